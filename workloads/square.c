/*
 * square.c - x squared. Arguments are at most 2^31, so that nothing overflows.
 */
#include "workloads/square.h"
#include "workloads/input.h"

static int square(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);

	*(int64_t *)pool_result(call) = square_kernel(*x);
	return 0;
}
POOL_TASK(square)

static int square_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	w->result_size = sizeof(int64_t);
	return input_numbers(w, 31, options->seed, why, why_size);
}

static int square_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const int64_t *x = w->column[0].data;
	int64_t *y = results;

	for (uint64_t i = begin; i < end; i++)
		y[i - begin] = square_kernel(x[i]);
	return 0;
}

const struct workload workload_square = {
	.name = "square",
	.summary = "the square of an integer: the tiny task of the textbooks",
	.task = POOL(square),
	.tasks_default = 100000,
	.open = square_open,
	.serial = square_serial,
};
