/*
 * skew.c - uneven tasks: one in a hundred, by chance, takes a hundred times as long. Which ones depends on the seed and nothing
 * else, so every backend meets the same long tasks in the same places.
 */
#include "workloads/chain.h"
#include "workloads/input.h"

#define LONG_FACTOR 100

/* Each task for itself, so that there is no share of neighbours that has as many as another. */
static bool is_long(uint64_t seed, uint64_t i)
{
	return input_random(~seed, i) % 100 == 0;
}

static int skew(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = chain_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(skew)

static int64_t length(const struct work *w, uint64_t seed, uint64_t i)
{
	return is_long(seed, i) ? LONG_FACTOR * w->work : w->work;
}

static int skew_open(struct work *w, const struct work_options *options, char *why, size_t why_size)
{
	return chain_open(w, options, length, why, why_size);
}

const struct workload workload_skew = {
	.name = "skew",
	.summary = "one task in a hundred takes a hundred times as long",
	.unit = "steps",
	.task = POOL(skew),
	.tasks_default = 10000,
	.work_default = 1000,
	.open = skew_open,
	.serial = chain_serial,
};
