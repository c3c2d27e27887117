/*
 * compare_floor.h - what runs of one program differ by from session to session.
 */
#ifndef HARNESS_COMPARE_FLOOR_H
#define HARNESS_COMPARE_FLOOR_H

#include "harness/compare.h"
#include "harness/compare_sides.h"

/* *floor becomes the one given, or that of the runs named beside A, if any; else FLOOR_UNKNOWN. 0 or -errno after one line on
 * stderr. */
int compare_floor(const struct compare *compare, const struct side *a, double *floor);

#endif
