/*
 * sorted.c - uneven tasks in ascending order, the longest last: what a fixed chunk balances worst.
 *
 * DESIGN. Length i of n is the quantile (i + 1/2)/n of the exponential distribution with mean `work`: the lengths are those of
 * `exponential` as nearly as n numbers can be, for every seed the same, and only their order differs.
 */
#include "workloads/chain.h"

#include <math.h>

static int sorted(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = chain_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(sorted)

static int64_t length(const struct work *w, uint64_t seed, uint64_t i)
{
	double rest = ((double)(w->tasks - i) - 0.5) / (double)w->tasks;

	(void)seed;
	return (int64_t)(-(double)w->work * log(rest)) + 1;
}

static int sorted_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	return chain_open(w, options, length, why, why_size);
}

const struct workload workload_sorted = {
	.name = "sorted",
	.summary = "uneven tasks, each longer than the one before",
	.unit = "steps",
	.task = POOL(sorted),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = sorted_open,
	.serial = chain_serial,
};
