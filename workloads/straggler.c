/*
 * straggler.c - one slow task, the first: as long as a quarter of all others together, which are equal. Whoever waits for
 * results in order waits for it.
 */
#include "workloads/chain.h"
#include "workloads/input.h"

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

static int straggler_open(struct work *w, const struct work_options *options, char *why,
			  size_t why_size)
{
	struct chain *chains;
	int rc = input_column(w, sizeof *chains, &chains, why, why_size);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		chains[i] = (struct chain){ input_random(options->seed, i) | 1, w->work };
	chains[0].steps *= slow_factor(w->tasks);
	w->result_size = sizeof(uint64_t);
	return 0;
}

static int straggler_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct chain *chains = w->column[0].data;
	uint64_t *ends = results;

	for (uint64_t i = begin; i < end; i++)
		ends[i - begin] = chain_kernel(&chains[i]);
	return 0;
}

const struct workload workload_straggler = {
	.name = "straggler",
	.summary = "equal tasks but the first, which takes a quarter of the time of the others",
	.unit = "steps",
	.task = POOL(straggler),
	.tasks_default = 1000,
	.work_default = 10000,
	.open = straggler_open,
	.serial = straggler_serial,
};
