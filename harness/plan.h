/*
 * plan.h - what a run is going to do: cells, rounds, order, and the time it may take.
 *
 * DESIGN. Cells come from the grids of the chosen experiments (plan_add is in experiment.h). When all are known the plan
 * is settled: the time of a batch, and if need be the number of rounds, are cut to fit the scale's budget. The order
 * within a round is a function of seed and round alone, so an interrupted run goes on as it would have.
 */
#ifndef HARNESS_PLAN_H
#define HARNESS_PLAN_H

#include "harness/experiment.h"

#include <jansson.h>

#define BASELINE_NAME_MOST 64 /* characters */

struct plan {
	struct scale scale;
	uint64_t seed;	     /* of the order */
	uint64_t input_seed; /* of the inputs: runs are compared where it is the same */
	int64_t budget_ns;   /* 0: none, the user said how many rounds */
	char save[BASELINE_NAME_MOST +
		  1];	  /* the baseline that it becomes when all is done; "": none */
	bool part;	  /* --cells chose among the cells of the grids */
	double precision; /* 0.02: a cell is left alone when it is known within 2 %; 0: never */
	const char *experiment; /* whose grid is being added */
	struct cell *cells;
	size_t count, room;
};

/* level 0, 1, 2: quick, default, full. rounds 0: the scale's own, and the budget counts. */
void plan_init(struct plan *plan, int level, int rounds, uint64_t seed);
int64_t plan_deadline_ns(
	const char *scale);		   /* of one cell, by the scale's name; 0: no such scale */
int64_t plan_budget_ns(const char *scale); /* its own, for all cells; 0: no such scale */
void plan_free(struct plan *plan);

int plan_add_experiment(struct plan *plan, const struct experiment *experiment); /* 0 or -errno */
/* The experiments of these names; count 0: all, but those on request only at level 2. 0, or -errno after one line on stderr. */
int plan_add_named(struct plan *plan, const char *const *names, size_t count);
/* Keeps the cells with this text in "EXPERIMENT: LABEL" (NULL: all). 0, or -EINVAL after one line on stderr: none has it. */
int plan_keep(struct plan *plan, const char *text);
void plan_settle(struct plan *plan);
void plan_fill(
	struct plan *plan); /* settled: more rounds, as many as fit the budget, at most PAIRS_MAX */
int64_t plan_estimate_ns(const struct plan *plan);

/* order[i] is the cell that is i-th in this round; room for plan->count. */
void plan_order(const struct plan *plan, int round, size_t *order);

json_t *plan_to_json(const struct plan *plan); /* NULL: no memory */
/* Into a zeroed plan; 0 or -EINVAL with one line. plan_free in any case. */
uint64_t plan_input_seed(const json_t *object); /* of a plan's object, old ones too */
int plan_from_json(struct plan *plan, const json_t *object, char *why, size_t why_size);

#endif
