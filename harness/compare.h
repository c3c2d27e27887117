/*
 * compare.h - the two ways to compare what was measured before.
 */
#ifndef HARNESS_COMPARE_H
#define HARNESS_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#define FLOOR_RUNS_MAX 16

struct compare {
	const char *baseline,
		*candidate; /* directories; candidate NULL: one session of two programs */
	double floor;	    /* FLOOR_UNKNOWN: not given */
	const char *floor_runs[FLOOR_RUNS_MAX]; /* more runs of the baseline's program */
	size_t floor_run_count;
	bool csv;
	bool all_rounds; /* no round is left out because the machine was disturbed */
};

/* Both print verdicts and return an exit status. */
int compare_runs(const struct compare *compare);
int compare_session(const struct compare *compare);

#endif
