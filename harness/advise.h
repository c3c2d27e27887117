/*
 * advise.h - which pool, through which call, with what chunk size, and is a pool worth it at all?
 *
 * DESIGN. Two trials. The first runs the work by the serial loop and by every pool of processes; the pool with the highest
 * median speedup goes on. The second measures that one anew, beside the loop, other chunk sizes and other calls: the
 * best of several looks better than it is in the rounds that chose it, so nothing it is judged by comes from those. Verdicts are
 * those of verdict.h, one family for all questions of the second trial.
 */
#ifndef HARNESS_ADVISE_H
#define HARNESS_ADVISE_H

#include "harness/trial.h"
#include "harness/verdict.h"

/* Cells of both trials: the loop first. Of the second: then the pool at the automatic chunk, then its alternatives. */
enum { ADVISE_LOOP = 0, ADVISE_POOL = 1, ADVISE_OTHERS = 2 };
#define ADVISE_CELLS 24

enum worth { WORTH_YES, WORTH_NO, WORTH_UNDECIDED };

struct advice {
	/* [ADVISE_POOL]: against the loop; the alternatives: against the pool at the automatic chunk. From [count] on: the
	 * alternatives against the loop, other calls refused. */
	struct comparison comparison[2 * ADVISE_CELLS];
	size_t count;
	size_t chosen; /* of the second trial: the pool as it is, or with another chunk size */
	enum worth worth;
};

/* `cell` has workload, tasks, workers and how long is measured; `call` is map or starmap. The number of cells. */
size_t advise_pools(struct cell cells[ADVISE_CELLS], const struct cell *cell, const char *call);
size_t advise_calls(struct cell cells[ADVISE_CELLS], const struct cell *pool);

/* The cell with the highest speedup of those that never failed; ADVISE_LOOP: no pool worked, or the loop did not. */
size_t advise_best(const struct trial *pools);
/* Is it not certainly slower than the best one, by the same rounds? */
bool advise_as_good(const struct trial *pools, size_t best, size_t other);

/* Of the pool at the automatic chunk, or of another chunk size of it. */
const struct comparison *advise_to_loop(const struct advice *advice, size_t cell);
/* Of an INCONCLUSIVE one: ": why. How many rounds would tell." */
void advise_say_undecided(const struct comparison *c, char *text, size_t size);
/* The second trial of `cell`, a pool's: in fewer rounds none of its questions can be answered. */
int advise_rounds_least(const struct cell *cell);

/* 0, -EINVAL: loop or pool failed; -ENOMEM. */
int advise_decide(struct advice *advice, const struct trial *calls);

#endif
