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

static int64_t length(const struct work *w, uint64_t seed, uint64_t i)
{
	double u = ((double)(input_random(~seed, i) >> 11) + 1) * 0x1p-53;

	return (int64_t)(-(double)w->work * log(u)) + 1;
}

static int exponential_open(struct work *w, const struct work_options *options, char *why,
			    size_t why_size)
{
	return chain_open(w, options, length, why, why_size);
}

const struct workload workload_exponential = {
	.name = "exponential",
	.summary = "uneven tasks: lengths by an exponential distribution",
	.unit = "steps",
	.task = POOL(exponential),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = exponential_open,
	.serial = chain_serial,
};
