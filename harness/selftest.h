/*
 * selftest.h - what the rows of a self-test must show.
 *
 * DESIGN. A self-test measures blocks of cells by arms (arms.h) and asks of each block whether the suite's own rules saw what
 * was there: nothing, between a program and its copy; or the fault that harness/fault/fault.c put into one arm. The
 * functions here only judge rows, so they are tested with rows that were made up. Rounds are used once: round t * try_rounds and
 * those after it are try t, a comparison of its own. Rounds in which something else disturbed the machine are taken out first, by the
 * rules of exclusion.h, and more rounds are measured than are needed.
 */
#ifndef HARNESS_SELFTEST_H
#define HARNESS_SELFTEST_H

#include "harness/experiment.h"
#include "harness/stats.h"

#define SELFTEST_DETECTED_LEAST 0.95 /* share of tries in which a fault must be found */

/* Two arms of a block. */
struct question {
	const struct rows *rows;
	const struct cell *cells;
	size_t cell_count;
	const char *baseline, *candidate;
	int tries, try_rounds; /* tries 0: none was left */
	/* Enough tries to decide by what was seen: shares must be reached. Else it is enough that most tries find what is
	 * there and their interval does not contradict the share. */
	bool strict;
};

struct check {
	char name[NAME_SIZE];
	bool ok, undecided; /* undecided: not ok, because the machine was disturbed too much */
	char text[320];	    /* what was seen, with what was wanted if that was missed */
};

/* How often a slower candidate was found out, each try and cell a family of its own. */
struct power {
	size_t tries,
		left_out; /* comparisons; those that could not be made are not among the tries */
	size_t regressions, improvements, shown; /* shown: slower with p < 5 %, by however little */
	struct interval detected, seen;		 /* Clopper-Pearson for regressions and shown */
	struct interval ratio;			 /* over all rounds of the first cell */
};

/* Copies the rows of undisturbed rounds to *usable and numbers these anew, without gaps. How many there are: at most `most`, and 0
 * when too many were disturbed for a comparison. -ENOMEM. rows_free(usable) in any case. */
int selftest_usable(const struct rows *rows, int cpus, int most, struct rows *usable);

/* Rounds outside tries are not looked at; cells and arms without rows are not compared. 0 or -ENOMEM. */
int selftest_power(const struct question *q, struct power *power);

/* Each fills in *check. 0 or -ENOMEM. */
/* Nothing differs: no REGRESSION, each try a family of all cells; p < 5 % in a share that can be 5 %. */
int selftest_same(const struct question *q, struct check *check);
/* Slower: REGRESSION in most tries and never IMPROVEMENT. least: whether that is asked for; else only that it is slower in all
 * rounds together (if strict) and never IMPROVEMENT. */
int selftest_slower(const struct question *q, bool detected, struct check *check);
/* The same for the time that one call in 200 exceeds; rows are of the probe "latency". */
int selftest_tail(const struct question *q, struct check *check);
/* One more system call a task (where these are not counted: read or write), in every round, and never IMPROVEMENT. */
int selftest_counted(const struct question *q, struct check *check);
/* Every cell fails with `said` in its error, in all rounds that were tried; the baseline never does. */
int selftest_refused(const struct question *q, const char *said, struct check *check);

/* The figure of slowdowns: arms named "steps:N" against "none". Not in the table of experiments: it is no run's. */
extern const struct experiment selftest_figure;
#define SELFTEST_POWER_ROUNDS 20 /* of one of its tries: a gate's */
#define SELFTEST_POWER_TRIES 40	 /* at most; rounds beyond were spare */

#endif
