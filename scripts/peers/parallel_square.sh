#!/bin/sh
# parallel_square.sh - squares by GNU parallel, a fresh shell for each chunk: see xargs_square.sh.
exec "$(dirname "$0")/xargs_square.sh" --parallel "$@"
