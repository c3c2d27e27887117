/*
 * clock.h - the one clock of the harness: CLOCK_MONOTONIC in nanoseconds.
 */
#ifndef HARNESS_CLOCK_H
#define HARNESS_CLOCK_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)

static inline int64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

/* What one reading costs, in ns: the best of a few rows of readings (takes under a millisecond). */
double clock_cost_ns(void);

#endif
