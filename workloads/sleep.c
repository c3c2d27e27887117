/*
 * sleep.c - a wait of `work` microseconds in place of input/output: it needs a worker, but no CPU.
 */
#include "workloads/input.h"

#include <errno.h>
#include <time.h>

struct nap {
	int64_t us;
	uint64_t token;
};

/* Sleeps to the end also through signals; returns the token, which says that this very nap was taken. */
static inline uint64_t sleep_kernel(const struct nap *nap)
{
	struct timespec left = { .tv_sec = nap->us / 1000000, .tv_nsec = nap->us % 1000000 * 1000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
	return nap->token;
}

static int nap(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = sleep_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(nap)

static int sleep_open(struct work *w, const struct work_options *options, char *why,
		      size_t why_size)
{
	struct nap *naps;
	int rc = input_column(w, sizeof *naps, &naps, why, why_size);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		naps[i] = (struct nap){ w->work, input_random(options->seed, i) | 1 };
	w->result_size = sizeof(uint64_t);
	return 0;
}

static int sleep_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct nap *naps = w->column[0].data;
	uint64_t *tokens = results;

	for (uint64_t i = begin; i < end; i++)
		tokens[i - begin] = sleep_kernel(&naps[i]);
	return 0;
}

static int sleep_expect(const struct work *w, void *results)
{
	const struct nap *naps = w->column[0].data;
	uint64_t *tokens = results;

	for (uint64_t i = 0; i < w->tasks; i++)
		tokens[i] = naps[i].token;
	return 0;
}

const struct workload workload_sleep = {
	.name = "sleep",
	.summary = "a wait in place of input/output",
	.unit = "microseconds",
	.task = POOL(nap),
	.tasks_default = 200,
	.work_default = 1000,
	.open = sleep_open,
	.serial = sleep_serial,
	.expect = sleep_expect,
};
