/*
 * compare_floor.h - what runs of one program differ by from session to session.
 */
#ifndef HARNESS_COMPARE_FLOOR_H
#define HARNESS_COMPARE_FLOOR_H

#include "harness/compare.h"
#include "harness/compare_sides.h"

/* `wanted`: A and B paired. Each of their cells that may get a verdict must be in each run named: cells differ in what they
 * change by from session to session, and the floor of a few easy ones is none for the others.
 * *floor becomes the one given, or that of the runs named beside A, if any; else FLOOR_UNKNOWN. 0 or -errno after one line on
 * stderr. */
int compare_floor(const struct compare *compare, const struct side *a, const struct side *b,
		  const struct versus *wanted, double *floor);

#endif
