/*
 * arms.h - several programs measured by turns: in every round each cell once by each of them, in fresh processes.
 *
 * DESIGN. The cells of a round come in random order, and so do the arms of a cell, which follow each other: what the machine
 * does for longer than a cell lasts hits all arms alike, and their ratio within a round does not see it. An arm is any
 * program that answers `cell --record` as poolbench does. The same program may be two arms: their difference is what the
 * benchmark shows where there is none, its own floor.
 *
 *	struct arms arms = { .arm = { { "A", "old/poolbench" }, { "B", "new/poolbench" } }, .arm_count = 2,
 *			     .cells = plan.cells, .cell_count = plan.count, .rounds = 12, .seed = 1 };
 *	interrupt_catch(&waiting);
 *	if (arms_run(&arms, &waiting) == 0)
 *		arms_compare(&arms.rows, &(struct arms_pair){ "B", "A", 0, 12 }, &arms.rows.at[0].cell, NULL, &comparison);
 *	rows_free(&arms.rows);
 */
#ifndef HARNESS_ARMS_H
#define HARNESS_ARMS_H

#include "harness/exclusion.h"
#include "harness/verdict.h"

#include <signal.h>

#define ARMS_MAX 8

struct run_dir;

struct arm {
	const char *name;    /* in its rows: shorter than NAME_SIZE */
	const char *program; /* path; NULL: this program */
	const char *setting; /* "NAME=value", put into its environment; NULL: nothing */
};

struct arms {
	struct arm arm[ARMS_MAX];
	size_t arm_count;
	const struct cell *cells; /* with batches and batch_ns */
	size_t cell_count;
	int first_round, rounds; /* rounds first_round .. first_round + rounds - 1 */
	uint64_t seed;
	int64_t deadline_ns; /* of one process; 0: 30 s */
	int64_t budget_ns;   /* a round that would not fit is dropped; 0: none is */
	struct run_dir *dir; /* rows are appended there as they come; NULL: kept in memory only */
	/* After arms_run. */
	struct rows rows; /* everything measured so far, also by earlier calls; rows_free() */
	int rounds_done;
};

/* Measures; progress goes to stderr. A cell that one arm failed is not tried again by any. 0; -EINTR; or -errno after one line
 * on stderr. */
int arms_run(struct arms *arms, const sigset_t *waiting);

/* Two arms in some of the rounds. */
struct arms_pair {
	const char *candidate, *baseline;
	int first_round, rounds;
};

/* Fills in the cell's comparison by its rounds in which both arms are right and which are not left out (exclusions may be
 * NULL). A cell that one of them failed is refused, as is one of which too many rounds are left out. */
void arms_compare(const struct rows *rows, const struct arms_pair *pair, const struct cell *cell,
		  const struct exclusions *exclusions, struct comparison *comparison);

/* The first row of that arm that is not right, NULL: all are. */
const struct record *arms_failed(const struct rows *rows, const char *arm, const struct cell *cell);

#endif
