#!/bin/sh
# files_sha256.sh - the job of pool_sha256.c by coreutils: files_sha256.sh serial|xargs|parallel WORKERS TREE
set -eu
workers=$2
tree=$3
batch=64 # files a process: a fair chunk, since a process for each file would be compared with nothing else here

files() {
	find "$tree" -type f -readable -print0
}

case $1 in
serial) files | xargs -0 sha256sum ;;
xargs) files | xargs -0 -P "$workers" -n "$batch" sha256sum ;;
parallel) files | parallel -0 --will-cite -j "$workers" -n "$batch" sha256sum ;;
*)
	echo "usage: files_sha256.sh serial|xargs|parallel WORKERS TREE" >&2
	exit 2
	;;
esac
