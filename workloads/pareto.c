/*
 * pareto.c - heavy-tailed tasks: lengths by a Pareto distribution of shape 3/2, whose mean exists and whose variance does not.
 *
 * DESIGN. Length = shortest / u^(2/3) with u uniform in (0, 1]: inversion (L. Devroye, Non-Uniform Random Variate Generation
 * (1986), section II.2). The mean is three times the shortest, so the shortest is a third of `work`. No task is longer
 * than LONGEST times `work`, which cuts off one in 27000 and keeps any one input from lasting for ever.
 */
#include "workloads/chain.h"
#include "workloads/input.h"

#include <math.h>

#define SHAPE 1.5
#define LONGEST 300

static int pareto(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = chain_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(pareto)

static int64_t length(uint64_t random, int64_t work)
{
	double u = ((double)(random >> 11) + 1) * 0x1p-53;
	double steps = (double)work * ((SHAPE - 1) / SHAPE) * pow(u, -1 / SHAPE);
	double most = (double)work * LONGEST;

	return (int64_t)(steps < most ? steps : most) + 1;
}

static int pareto_open(struct work *w, const struct work_options *options, char *why,
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

static int pareto_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct chain *chains = w->column[0].data;
	uint64_t *ends = results;

	for (uint64_t i = begin; i < end; i++)
		ends[i - begin] = chain_kernel(&chains[i]);
	return 0;
}

const struct workload workload_pareto = {
	.name = "pareto",
	.summary = "heavy-tailed tasks: a few take much longer than all others",
	.unit = "steps",
	.task = POOL(pareto),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = pareto_open,
	.serial = pareto_serial,
};
