/*
 * exponential.c - uneven tasks without a heavy tail: lengths by an exponential distribution with mean `work`.
 *
 * DESIGN. Length = -work ln(u) with u uniform in (0, 1]: inversion (L. Devroye, Non-Uniform Random Variate Generation (1986),
 * section II.2). No task is longer than 37 times `work`, because u has 53 bits.
 */
#include "workloads/chain.h"
#include "workloads/input.h"

#include <math.h>

static int exponential(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = chain_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(exponential)

static int64_t length(uint64_t random, int64_t work)
{
	double u = ((double)(random >> 11) + 1) * 0x1p-53;

	return (int64_t)(-(double)work * log(u)) + 1;
}

static int exponential_open(struct work *w, const struct work_options *options, char *why,
			    size_t why_size)
{
	struct chain *chains;
	int rc = input_column(w, sizeof *chains, &chains, why, why_size);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		chains[i] = (struct chain){ input_random(options->seed, i) | 1,
					    length(input_random(~options->seed, i), w->work) };
	w->result_size = sizeof(uint64_t);
	return 0;
}

static int exponential_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct chain *chains = w->column[0].data;
	uint64_t *ends = results;

	for (uint64_t i = begin; i < end; i++)
		ends[i - begin] = chain_kernel(&chains[i]);
	return 0;
}

const struct workload workload_exponential = {
	.name = "exponential",
	.summary = "uneven tasks: lengths by an exponential distribution",
	.unit = "steps",
	.task = POOL(exponential),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = exponential_open,
	.serial = exponential_serial,
};
