/*
 * straggler.c - one slow task, the first: as long as a quarter of all others together, which are equal. Whoever waits for
 * results in order waits for it.
 */
#include "workloads/chain.h"

#define SHARE 4 /* the slow task is 1/SHARE of all others */
#define SLOWEST                                                                                    \
	1000000 /* at most so many times another, so that the steps are a number for any `work` */

static int straggler(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = chain_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(straggler)

static int64_t slow_factor(uint64_t tasks)
{
	uint64_t factor = (tasks - 1) / SHARE;

	return factor < 1 ? 1 : factor > SLOWEST ? SLOWEST : (int64_t)factor;
}

static int64_t length(const struct work *w, uint64_t seed, uint64_t i)
{
	(void)seed;
	return i == 0 ? w->work * slow_factor(w->tasks) : w->work;
}

static int straggler_open(struct work *w, const struct work_options *options, char *why,
			  size_t why_size)
{
	return chain_open(w, options, length, why, why_size);
}

const struct workload workload_straggler = {
	.name = "straggler",
	.summary = "equal tasks but the first, which takes a quarter of the time of the others",
	.unit = "steps",
	.task = POOL(straggler),
	.tasks_default = 1000,
	.work_default = 10000,
	.open = straggler_open,
	.serial = chain_serial,
};
