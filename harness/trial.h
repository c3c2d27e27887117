/*
 * trial.h - a handful of cells measured now, for a command that answers at once: interleaved, in fresh processes.
 *
 * DESIGN. The same unit and order as a run's (child.h, plan_order), only that nothing is written to disk. A cell that
 * fails is not tried again; its rows say why, and the questions below leave them out.
 */
#ifndef HARNESS_TRIAL_H
#define HARNESS_TRIAL_H

#include "harness/record.h"
#include "harness/stats.h"

#define TRIAL_ROUNDS_MAX 32

struct trial {
	const struct cell *cells;
	size_t count;
	int rounds; /* 1 to TRIAL_ROUNDS_MAX */
	uint64_t seed;
	struct record *at; /* after trial_run: count rows a round; free() it */
};

/* Each cell once a round, progress on stderr where that is a terminal. 0, or -errno after one line on stderr. */
int trial_run(struct trial *trial);

/* The same, with the first of the CPUs only. */
int trial_run_on_one_cpu(struct trial *trial);

/* Row of that round; trial_run must have succeeded. */
const struct record *trial_row(const struct trial *trial, size_t cell, int round);
/* The first row that failed, NULL: none. */
const struct record *trial_failed(const struct trial *trial, size_t cell);
/* One line on stderr about the first cell that failed, if one did. EXIT_BAD. */
int trial_say_failed(const struct trial *trial);

/* ns per task over the good rounds; mid 0 where there is none. */
struct interval trial_ns(const struct trial *trial, size_t cell);
/* ns per task of the least disturbed batch of all good rounds; 0 where there is none. */
double trial_least_ns(const struct trial *trial, size_t cell);
/* Times of a and b in the rounds that have both: how many. */
size_t trial_pairs(const struct trial *trial, size_t a, size_t b, double of_a[TRIAL_ROUNDS_MAX],
		   double of_b[TRIAL_ROUNDS_MAX]);
/* Time of a over time of b, paired by round; mid 0 where no round has both. */
struct interval trial_ratio(const struct trial *trial, size_t a, size_t b);

/* A member of a row per task, median over the good rounds: pass its offset in struct record. 0 without good rounds. */
double trial_per_task(const struct trial *trial, size_t cell, size_t offset);

#endif
