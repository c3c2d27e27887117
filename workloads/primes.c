/*
 * primes.c - how many primes are in a slice of `work` numbers, by trial division: CPU-bound work that grows slowly along
 * the input. Task i has the numbers from i * work on.
 */
#include "workloads/input.h"

#include <errno.h>
#include <stdio.h>

/* Largest number tested: trial division takes 2^20 steps there, and n + 2 or d * d never overflow. */
#define NUMBER_MAX (UINT64_C(1) << 40)

struct slice {
	uint64_t begin, end;
};

static inline bool is_prime(uint64_t n)
{
	if (n < 4)
		return n >= 2;
	if (n % 2 == 0 || n % 3 == 0)
		return false;
	for (uint64_t d = 5; d * d <= n; d += 6)
		if (n % d == 0 || n % (d + 2) == 0)
			return false;
	return true;
}

static inline uint64_t primes_kernel(const struct slice *slice)
{
	uint64_t count = 0;

	for (uint64_t n = slice->begin; n < slice->end; n++)
		count += is_prime(n);
	return count;
}

static int primes(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = primes_kernel(pool_arg(call, 0));
	return 0;
}
POOL_TASK(primes)

static int primes_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	uint64_t length = (uint64_t)w->work;
	struct slice *slices;
	int rc;

	(void)options;
	if (w->tasks > NUMBER_MAX / length) {
		snprintf(why, why_size, "primes: tasks times work must not exceed 2^40 numbers");
		return -EINVAL;
	}
	rc = input_column(w, sizeof *slices, &slices, why, why_size);
	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		slices[i] = (struct slice){ .begin = i * length, .end = (i + 1) * length };
	w->result_size = sizeof(uint64_t);
	return 0;
}

static int primes_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct slice *slices = w->column[0].data;
	uint64_t *counts = results;

	for (uint64_t i = begin; i < end; i++)
		counts[i - begin] = primes_kernel(&slices[i]);
	return 0;
}

const struct workload workload_primes = {
	.name = "primes",
	.summary = "primes in a slice of the integers, by trial division",
	.unit = "numbers",
	.task = POOL(primes),
	.tasks_default = 1000,
	.work_default = 1000,
	.open = primes_open,
	.serial = primes_serial,
};
