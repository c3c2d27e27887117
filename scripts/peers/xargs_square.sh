#!/bin/sh
# xargs_square.sh - squares by xargs -P, a fresh shell for each chunk: what a process for each piece of work costs.
#
#	xargs_square.sh [--parallel] cell --record    a row in, a row out: what a run calls; --parallel: by GNU parallel
#	xargs_square.sh [--parallel] --version
#
# A batch is one whole pipeline; the first is discarded. Verified: sorted, the results are 1, 4, 9 ... n^2, each once.
set -eu
export LC_ALL=C
with="xargs"
if [ "${1-}" = --parallel ]; then
	with=parallel
	shift
fi

# shellcheck disable=SC2016 # expanded by the inner shells
squares() {
	if [ "$with" = xargs ]; then
		seq "$tasks" | xargs -P "$workers" -n "$chunk" sh -c 'for x; do echo $((x * x)); done' sh
	else
		seq "$tasks" | parallel --will-cite -j "$workers" -n "$chunk" 'for x in {}; do echo $((x * x)); done'
	fi
}

# Prints ns per task and whether all results were right. Sorting is for the check; the time is taken before it.
batch() {
	begin=$(date +%s%N)
	squares >"$results"
	end=$(date +%s%N)
	sort -n "$results" | awk -v n="$tasks" -v ns=$((end - begin)) '
		$1 != NR * NR { wrong = 1 }
		END { print ns / n, NR == n && !wrong }'
}

batches() {
	i=0
	while [ "$i" -le "$count" ]; do
		batch
		i=$((i + 1))
	done | sed 1d
}

# field NAME: a number of the row.
field() {
	printf '%s\n' "$row" | jq ".$1"
}

record() {
	IFS= read -r row
	if [ "$(field workload)$(field variant)" != '"square""map"' ]; then
		printf '%s\n' "$row" | jq -c '.error = "the only workload is square, the only variant map"'
		return 1
	fi
	tasks=$(field tasks) chunk=$(field chunk) workers=$(field workers) count=$(field batches)
	[ "$chunk" -gt 0 ] || chunk=1
	results=$(mktemp)
	trap 'rm -f "$results"' EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	now=$(date +%s%3N)
	batches | jq -c -R -s --argjson row "$row" --argjson now "$now" --argjson count "$count" '
		[split("\n")[] | select(. != "") | split(" ")] as $batch
		| $row + {start_ms: $now, samples: ($batch | length), calls: ($batch | length),
			ns_per_task: [$batch[][0] | tonumber], verified: (($batch | length) == $count and all($batch[][1]; . == "1"))}
		| .error = (if .verified then "" else "wrong result" end)'
}

case ${1-} in
--version) "$with" --version | head -n 1 ;;
cell) record ;;
*)
	echo "usage: xargs_square.sh [--parallel] cell --record | --version" >&2
	exit 2
	;;
esac
