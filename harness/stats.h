/*
 * stats.h - the statistics, as pure functions. Each cites its source at its definition.
 */
#ifndef HARNESS_STATS_H
#define HARNESS_STATS_H

#include <stdbool.h>
#include <stddef.h>

struct interval {
	double low, mid, high; /* mid is the point estimate */
	double level; /* achieved confidence, 0 when there are too few values for the one asked for */
};

double stats_median(const double *x, size_t n);		    /* n > 0; x is not changed */
double stats_quantile(const double *x, size_t n, double p); /* type 7 (Hyndman & Fan 1996) */
struct interval stats_median_interval(const double *x, size_t n,
				      double level); /* order statistics (sign) */
/* exp of the sign interval of ln(candidate[i]/baseline[i]): the paired ratio over rounds. */
struct interval stats_ratio_interval(const double *candidate, const double *baseline, size_t n,
				     double level);
/* The ratio of medians of two unpaired samples, percentile bootstrap of `draws` draws from `seed`. */
struct interval stats_ratio_bootstrap(const double *a, size_t na, const double *b, size_t nb,
				      double level, unsigned draws, unsigned seed);
/* y = a + b*x, weights w (NULL: all 1). false: fewer than 2 distinct x. */
struct line {
	double intercept, slope, r2;
};
bool stats_line(const double *x, const double *y, const double *w, size_t n, struct line *line);
/* Where a curve through (x[i], y[i]), x ascending, first crosses `level` (linear in log x); false: never. */
bool stats_crossing(const double *x, const double *y, size_t n, double level, double *at);

#endif
