/*
 * stopping.h - exploring: a cell is measured until its time is known well enough.
 *
 * DESIGN. After each round the 95 % sign interval of a cell's median is looked at, and the cell is left alone once the interval's
 * half is within the precision that was asked for. Who looks again and again stops too early now and then, and the
 * cells end up with different rounds: such a run shows where to look, and `compare` gives no verdict on it.
 */
#ifndef HARNESS_STOPPING_H
#define HARNESS_STOPPING_H

#include "harness/stats.h"

#define STOPPING_ROUNDS_MAX 100 /* unless --rounds says otherwise */

struct stopping {
	double within; /* 0.02: half of the interval is at most 2 % of the median; 0: never */
	size_t cells, rounds;
	double *values; /* by cell */
	size_t *counts;
	bool *settled;
	size_t settled_count;
};

int stopping_open(struct stopping *stopping, double within, size_t cells,
		  size_t rounds); /* 0 or -ENOMEM */
void stopping_close(struct stopping *stopping);

/* One more round's time of that cell. Is it settled now? */
bool stopping_add(struct stopping *stopping, size_t cell, double ns);
/* Half of the interval over the median; INFINITY: too few rounds. */
double stopping_half(const struct stopping *stopping, size_t cell);
bool stopping_done(const struct stopping *stopping); /* all are settled */

#endif
