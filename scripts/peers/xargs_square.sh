#!/bin/sh
# xargs_square.sh - squares by xargs -P, a fresh shell for each chunk: what a process for each piece of work costs.
#
#	xargs_square.sh TASKS CHUNK WORKERS [ROUNDS]
#
# Prints the line of JSON that `poolbench cell` prints. A round is one whole pipeline; the first is discarded.
# Verified: there are TASKS results, each once, and their sum is TASKS (TASKS + 1) (2 TASKS + 1) / 6.
set -eu
if [ $# -lt 3 ]; then
	echo "usage: xargs_square.sh TASKS CHUNK WORKERS [ROUNDS]" >&2
	exit 2
fi
tasks=$1 chunk=$2 workers=$3 rounds=${4:-5}

squares() {
	# shellcheck disable=SC2016 # expanded by the inner shell
	seq "$tasks" | xargs -P "$workers" -n "$chunk" sh -c 'for x; do echo $((x * x)); done' sh
}

# Sorting is for the check; the time is taken before it.
round() {
	begin=$(date +%s%N)
	squares >"$results"
	end=$(date +%s%N)
	sort -n -u "$results" | awk -v n="$tasks" -v ns=$((end - begin)) '
		{ sum += $1 }
		END { print ns / n, NR == n && sum == n * (n + 1) * (2 * n + 1) / 6 }'
}

results=$(mktemp)
trap 'rm -f "$results"' EXIT
i=0
while [ "$i" -le "$rounds" ]; do
	round
	i=$((i + 1))
done | sed 1d | sort -g | awk -v tasks="$tasks" -v chunk="$chunk" -v workers="$workers" '
	{ ns[NR] = $1; right += $2 }
	END {
		median = (ns[int((NR + 1) / 2)] + ns[int(NR / 2) + 1]) / 2
		printf "{\"backend\": \"xargs\", \"variant\": \"map\", \"workload\": \"square\", "
		printf "\"tasks\": %d, \"chunk\": %d, \"workers\": %d, \"rounds\": %d, ", tasks, chunk, workers, NR
		printf "\"ns_per_task_median\": %.1f, \"ns_per_task_min\": %.1f, ", median, ns[1]
		printf "\"tasks_per_s\": %.1f, \"verified\": %s}\n", 1e9 / median, right == NR ? "true" : "false"
		exit right != NR
	}'
