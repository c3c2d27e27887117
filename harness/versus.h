/*
 * versus.h - two programs, or two runs, cell by cell: the comparisons, what is decided, and how it is printed.
 *
 * DESIGN. A family, whose answers are corrected together, is the cells of one experiment: that is the question somebody asked.
 * What another program measured (peers), what no program is measured by (the idle machine), and cells whose system
 * calls were traced are left out before anything is compared. A cell with a wrong or missing result
 * is NOT COMPARABLE; if the candidate fails it and the baseline does not, that is as bad as a regression.
 */
#ifndef HARNESS_VERSUS_H
#define HARNESS_VERSUS_H

#include "harness/arms.h"

/* Arms of a session of two programs, as its rows call them. */
#define ARM_BASELINE "A"
#define ARM_CANDIDATE "B"
#define ARM_FLOOR "A2" /* the baseline once more */

struct versus_cell {
	struct cell cell;
	bool only_candidate_failed;
	double floor; /* see verdicts_decide(); that of the cell's experiment */
};

struct versus {
	struct versus_cell *cells;	/* those of an experiment follow each other */
	struct comparison *comparisons; /* one a cell; labelled */
	size_t count;
	size_t left_out;       /* cells that say nothing about the programs */
	size_t only_a, only_b; /* cells of two runs that the other has not, left out too */
};

/* Is it about the program that measures it? */
bool versus_wants(const struct cell *cell);

/* The cells in either (b may be NULL), nothing compared, all floors unknown. 0 or -ENOMEM. versus_free in any case. */
int versus_find(struct versus *versus, const struct rows *a, const struct rows *b);
void versus_free(struct versus *versus);

/* Where it is, or versus->count. */
size_t versus_index(const struct versus *versus, const struct cell *cell);

/* Some rounds of a session with arms A and B: fills in all comparisons, and the floors from A2 if there is such an arm: in
 * each experiment the furthest that the 95 % interval of a cell's A2 over A lies from 1. Each cell is looked at by itself:
 * unlike a regression's p nothing is corrected for their number. So chance raises a floor now and then, with many cells
 * more often, and a difference must then be larger to be named: an error on the careful side. exclusions may be NULL. */
void versus_pair(struct versus *versus, const struct rows *rows, int first_round, int rounds,
		 const struct exclusions *exclusions);

void versus_set_floor(struct versus *versus, double floor); /* the same for all */
int versus_decide(struct versus *versus); /* each experiment by itself. 0 or -ENOMEM */

size_t versus_count(const struct versus *versus, enum comparison_verdict verdict);

/* A table for people, or comma separated values; worst first. To stderr how many of each verdict. 0 or -ENOMEM. */
int versus_print(const struct versus *versus, bool csv);

/* EXIT_BAD: a regression, or something only the candidate fails; EXIT_INCONCLUSIVE: nothing could be compared; else
 * EXIT_FINE. */
int versus_status(const struct versus *versus);

#endif
