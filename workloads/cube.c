/*
 * cube.c - x to the third. Arguments are at most 2^20, so that nothing overflows.
 */
#include "workloads/input.h"

static inline int64_t cube_kernel(int64_t x)
{
	return x * x * x;
}

static int cube(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);

	*(int64_t *)pool_result(call) = cube_kernel(*x);
	return 0;
}
POOL_TASK(cube)

static int cube_open(struct work *w, const struct work_options *options, char *why, size_t why_size)
{
	w->result_size = sizeof(int64_t);
	return input_numbers(w, 20, options->seed, why, why_size);
}

static int cube_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const int64_t *x = w->column[0].data;
	int64_t *y = results;

	for (uint64_t i = begin; i < end; i++)
		y[i - begin] = cube_kernel(x[i]);
	return 0;
}

const struct workload workload_cube = {
	.name = "cube",
	.summary = "the third power of an integer",
	.task = POOL(cube),
	.tasks_default = 100000,
	.open = cube_open,
	.serial = cube_serial,
};
