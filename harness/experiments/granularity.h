/*
 * granularity.h - efficiency of tasks of `spin`, and METG: the smallest granularity that reaches a given efficiency.
 */
#ifndef HARNESS_EXPERIMENTS_GRANULARITY_H
#define HARNESS_EXPERIMENTS_GRANULARITY_H

#include "harness/attempts.h"

/* Useful time per wall time; that of the best of the plain forked processes in that round, 0: none. */
double useful_rate(const struct record *record);
double best_rate(const struct groups *groups, int round);

/* What is known of METG (or a multiple of it) in each round: it is within low and high. A round that is above the level even
 * at its smallest tasks has low 0, one that never reaches it has high INFINITY; both count like any other, or the median
 * would be that of a selection. */
struct metg_rounds {
	double low[PAIRS_MAX], high[PAIRS_MAX];
	size_t count;
};

/* Over rounds. Unless `side` is METG_CROSSED, the middle is a bound: METG is at most (below), or at least (beyond) that. */
struct metg {
	struct interval ns; /* low may be 0, high INFINITY; mid is neither, 0: no rounds */
	enum metg_side { METG_CROSSED, METG_BELOW, METG_BEYOND } side;
	bool all_below; /* the interval as a whole is below the smallest measured */
	size_t rounds, crossed, below;
};

/* A curve of one backend and chunk, work ascending, and what is looked for on it. */
struct curve {
	const struct group *first, *end;
	const struct groups *all;
	double level; /* efficiency, or 0: speedup 1 over the serial loop by task time */
};

/* Adds a round, its bounds divided by `unit` (0: they have no end); false: it has too few points. */
bool metg_add(struct metg_rounds *rounds, const struct curve *curve, int round, double unit);
struct metg metg_over(const struct metg_rounds *rounds);
struct metg metg_of(const struct curve *curve);
/* Of map of `spin` by this backend with this chunk. */
struct metg metg_find(const struct groups *groups, const char *backend, int64_t chunk,
		      double level);

/* A point of that curve, or of the best that is possible, without a value in each round; NULL: none. Without it the curve
 * is another. */
const char *metg_error(const struct attempts *attempts, const char *backend, int64_t chunk);

/* "not reached: at least 12 us; of 7 rounds 2 crossed, 5 did not reach it": for people. Returns text. */
#define METG_NOTE 160
const char *metg_note(const struct metg *metg, char text[METG_NOTE]);
/* As put_interval(); "?" for a middle that is only a bound, and for an end without one. */
void put_metg(FILE *file, const struct metg *metg);

#endif
