/*
 * input.c - columns and seeded numbers for the workloads.
 */
#include "workloads/input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t half_of_memory(void)
{
	return (uint64_t)sysconf(_SC_PHYS_PAGES) / 2 * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* `data` is a pointer to the caller's typed pointer; memcpy, since its type is not void *. */
int input_column(struct work *w, uint64_t size, void *data, char *why, size_t why_size)
{
	uint64_t bytes;
	void *memory = NULL;

	if (!__builtin_mul_overflow(w->tasks, size, &bytes) && bytes <= half_of_memory())
		memory = malloc(bytes);
	if (memory == NULL) {
		snprintf(why, why_size,
			 "no memory for %" PRIu64 " tasks with %" PRIu64 " bytes of input each",
			 w->tasks, size);
		return -ENOMEM;
	}
	w->column[w->columns++] = (struct pool_column){ .data = memory, .size = size };
	memcpy(data, &memory, sizeof memory);
	return 0;
}

int input_numbers(struct work *w, unsigned bits, uint64_t seed, char *why, size_t why_size)
{
	uint64_t mask = (UINT64_C(1) << bits) - 1;
	int64_t *x;
	int rc = input_column(w, sizeof *x, &x, why, why_size);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		x[i] = (int64_t)(input_random(seed, i) & mask) + 1;
	return 0;
}
