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

static int64_t length(const struct work *w, uint64_t seed, uint64_t i)
{
	double u = ((double)(input_random(~seed, i) >> 11) + 1) * 0x1p-53;
	double steps = (double)w->work * ((SHAPE - 1) / SHAPE) * pow(u, -1 / SHAPE);
	double most = (double)w->work * LONGEST;

	return (int64_t)(steps < most ? steps : most) + 1;
}

static int pareto_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	return chain_open(w, options, length, why, why_size);
}

const struct workload workload_pareto = {
	.name = "pareto",
	.summary = "heavy-tailed tasks: a few take much longer than all others",
	.unit = "steps",
	.task = POOL(pareto),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = pareto_open,
	.serial = chain_serial,
};
