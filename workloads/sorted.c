/*
 * sorted.c - uneven tasks in ascending order, the longest last: what a fixed chunk balances worst.
 *
 * DESIGN. Length i of n is the quantile (i + 1/2)/n of the exponential distribution with mean `work`: the lengths are those of
 * `exponential` as nearly as n numbers can be, for every seed the same, and only their order differs.
 */
#include "workloads/chain.h"
#include "workloads/input.h"

#include <math.h>

static int sorted(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = chain_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(sorted)

static int64_t length(uint64_t i, uint64_t n, int64_t work)
{
	return (int64_t)(-(double)work * log(((double)(n - i) - 0.5) / (double)n)) + 1;
}

static int sorted_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	struct chain *chains;
	int rc = input_column(w, sizeof *chains, &chains, why, why_size);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		chains[i] = (struct chain){ input_random(options->seed, i) | 1,
					    length(i, w->tasks, w->work) };
	w->result_size = sizeof(uint64_t);
	return 0;
}

static int sorted_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct chain *chains = w->column[0].data;
	uint64_t *ends = results;

	for (uint64_t i = begin; i < end; i++)
		ends[i - begin] = chain_kernel(&chains[i]);
	return 0;
}

const struct workload workload_sorted = {
	.name = "sorted",
	.summary = "uneven tasks, each longer than the one before",
	.unit = "steps",
	.task = POOL(sorted),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = sorted_open,
	.serial = sorted_serial,
};
