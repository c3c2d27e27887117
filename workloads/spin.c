/*
 * spin.c - tasks of equal, adjustable length: `work` steps of a dependent chain of arithmetic.
 */
#include "workloads/chain.h"

static int spin(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = chain_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(spin)

static int64_t length(const struct work *w, uint64_t seed, uint64_t i)
{
	(void)seed;
	(void)i;
	return w->work;
}

static int spin_open(struct work *w, const struct work_options *options, char *why, size_t why_size)
{
	return chain_open(w, options, length, why, why_size);
}

const struct workload workload_spin = {
	.name = "spin",
	.summary = "a dependent chain of arithmetic: time by the step",
	.unit = "steps",
	.task = POOL(spin),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = spin_open,
	.serial = chain_serial,
};
