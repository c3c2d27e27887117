/*
 * attempts.h - what a run was to measure of an experiment: cells with rows, cells that failed, cells of the plan without a row.
 *
 * DESIGN. Values are computed from good rows alone, so what failed would silently be missing among them, and what is said of
 * all of them would be the better for it. Here it is still there, with its reason. A cell that failed in one round is not
 * right in the others: it is not measured again, and its rounds before that are a selection.
 */
#ifndef HARNESS_ATTEMPTS_H
#define HARNESS_ATTEMPTS_H

#include "harness/experiment.h"
#include "harness/series.h"

struct attempts {
	struct rows
		rows; /* one for each cell: `verified`, or with an error that says why there is no value */
	struct groups groups; /* the same, sorted, a group each */
};

/* Why it has no value ("failed: ..."); NULL: it succeeded in each round. */
const char *attempt_error(const struct group *attempt);
/* Likewise of this cell; NULL also where nobody tried it. */
const char *attempts_error(const struct attempts *attempts, const struct cell *cell);

/* Leaves out of groups those that failed in any round: what remains may be named in a finding. */
void attempts_keep_right(struct groups *groups, const struct attempts *attempts);

/* The experiment's tables and finding, and behind it which of its cells failed or have no row. Its `derive` has
 * d->attempts: its rows, failed ones too, and the plan in run.json, if there is one. 0 or -errno. */
int attempts_derive(const struct experiment *experiment, struct derivation *d);

/* Names cells behind the finding that there is: "<lead> fork-shm (skew), fork-pipe (skew) and 3 more.", nothing if there are
 * none. `{ d, lead }` begins; then the cells, then the end. */
struct naming {
	struct derivation *d;
	const char *lead;
	size_t count;
};
void naming_add(struct naming *naming, const struct cell *cell, const char *what);
void naming_end(const struct naming *naming);

#endif
