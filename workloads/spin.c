/*
 * spin.c - tasks of equal, adjustable length: `work` steps of a dependent chain of arithmetic.
 */
#include "workloads/chain.h"
#include "workloads/input.h"

static int spin(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = chain_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(spin)

static int spin_open(struct work *w, const struct work_options *options, char *why, size_t why_size)
{
	struct chain *chains;
	int rc = input_column(w, sizeof *chains, &chains, why, why_size);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++) {
		chains[i].start = input_random(options->seed, i) | 1;
		chains[i].steps = w->work;
	}
	w->result_size = sizeof(uint64_t);
	return 0;
}

static int spin_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct chain *chains = w->column[0].data;
	uint64_t *ends = results;

	for (uint64_t i = begin; i < end; i++)
		ends[i - begin] = chain_kernel(&chains[i]);
	return 0;
}

const struct workload workload_spin = {
	.name = "spin",
	.summary = "a dependent chain of arithmetic: time by the step",
	.unit = "steps",
	.task = POOL(spin),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = spin_open,
	.serial = spin_serial,
};
