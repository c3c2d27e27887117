/*
 * noop.c - the empty task. It hands its argument back, so that a dropped or misplaced item is noticed.
 */
#include "workloads/input.h"

static inline int64_t noop_kernel(int64_t x)
{
	return x;
}

static int noop(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);

	*(int64_t *)pool_result(call) = noop_kernel(*x);
	return 0;
}
POOL_TASK(noop)

static int noop_open(struct work *w, const struct work_options *options, char *why, size_t why_size)
{
	w->result_size = sizeof(int64_t);
	return input_numbers(w, 62, options->seed, why, why_size);
}

static int noop_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const int64_t *x = w->column[0].data;
	int64_t *y = results;

	for (uint64_t i = begin; i < end; i++)
		y[i - begin] = noop_kernel(x[i]);
	return 0;
}

const struct workload workload_noop = {
	.name = "noop",
	.summary = "returns its argument: what remains is the pool",
	.task = POOL(noop),
	.tasks_default = 100000,
	.open = noop_open,
	.serial = noop_serial,
};
