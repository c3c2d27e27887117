/*
 * add.c - the sum of two integers: the smallest task of two arguments, for starmap. They are at most 2^61, so that
 * nothing overflows.
 */
#include "workloads/input.h"

static inline int64_t add_kernel(int64_t a, int64_t b)
{
	return a + b;
}

static int add(struct pool_call *call)
{
	const int64_t *a = pool_arg(call, 0), *b = pool_arg(call, 1);

	*(int64_t *)pool_result(call) = add_kernel(*a, *b);
	return 0;
}
POOL_TASK(add)

static int add_open(struct work *w, const struct work_options *options, char *why, size_t why_size)
{
	int rc = input_numbers(w, 61, options->seed, why, why_size);

	if (rc < 0)
		return rc;
	w->result_size = sizeof(int64_t);
	return input_numbers(w, 61, ~options->seed, why, why_size);
}

static int add_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const int64_t *a = w->column[0].data, *b = w->column[1].data;
	int64_t *sum = results;

	for (uint64_t i = begin; i < end; i++)
		sum[i - begin] = add_kernel(a[i], b[i]);
	return 0;
}

const struct workload workload_add = {
	.name = "add",
	.summary = "the sum of two integers: two columns, for starmap",
	.task = POOL(add),
	.tasks_default = 100000,
	.open = add_open,
	.serial = add_serial,
};
