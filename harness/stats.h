/*
 * stats.h - the statistics, as pure functions. Each cites its source at its definition.
 */
#ifndef HARNESS_STATS_H
#define HARNESS_STATS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct interval {
	double low, mid, high; /* mid is the point estimate */
	double level; /* achieved confidence, 0 when there are too few values for the one asked for */
};

double stats_median(const double *x, size_t n); /* n > 0; x is not changed */
double stats_scatter(const double *x,
		     size_t n); /* standard deviation, by the median absolute deviation */
struct interval stats_median_interval(const double *x, size_t n,
				      double level); /* order statistics (sign) */
/* exp of the sign interval of ln(candidate[i]/baseline[i]): the paired ratio over rounds. */
struct interval stats_ratio_interval(const double *candidate, const double *baseline, size_t n,
				     double level);

/*
 * == Paired differences by signed ranks (stats_rank.c) ==
 */

/* Two-sided exact Wilcoxon p of "x is symmetric about 0", ties by mean ranks, zeroes by Pratt's rule. 1 when there is
 * nothing to tell: no value, zeroes only, no memory. */
double stats_signed_rank_p(const double *x, size_t n);
/* Hodges-Lehmann: the median of the means of all pairs; level 0, and the whole range, when n is too small. */
struct interval stats_shift_interval(const double *x, size_t n, double level);
/* The smallest shift that this scatter would have shown: the e from which on x - median(x) + e has a signed-rank
 * p <= alpha and a 95 % sign interval above `beyond`. INFINITY: n is too small for any. */
double stats_least_shift(const double *x, size_t n, double alpha, double beyond);

/*
 * == Many tests, planning, proportions (stats_family.c) ==
 */

void stats_holm(const double *p, size_t n, double *adjusted); /* not in place */
double stats_normal_upper(double tail); /* z with P(Z > z) = tail, 0 < tail <= 0.5 */
/* Student's t, freedom > 0: P(|T| > |t|), right to 1e-15; and t with P(T > t) = tail. */
double stats_student_p(double t, size_t freedom);
double stats_student_upper(double tail, size_t freedom);

/* sqrt(pi/2): standard error of a median in units of sigma / sqrt(n) */
#define STATS_MEDIAN_ERROR 1.2533

/* How many values of this median and scatter it takes until one of two things is shown as likely as not, about: that the
 * median is further from 0 than `beyond` (signed-rank p <= alpha, 95 % sign interval), or nearer than `within` (90 % interval).
 * INFINITY: no number does. */
struct rounds_question {
	double shift, sigma; /* the median, and the standard deviation of one value */
	double alpha;	     /* of one test: that of the family over its size */
	bool unpaired;	     /* not by signed ranks: p is of the medians' error */
	double beyond;	     /* positive; INFINITY: that it differs cannot be shown */
	double within;	     /* not positive: that it does not cannot */
};
double stats_rounds_needed(const struct rounds_question *question);

/* Clopper-Pearson: the share behind `count` of n; level 0 for n = 0. */
struct interval stats_proportion_interval(size_t count, size_t n, double level);

/*
 * == Unpaired samples (stats_bootstrap.c) ==
 */

/* One process with its batches, at least one. */
struct invocation {
	const double *at;
	size_t count;
};

/* The next of a sequence that `state` determines; each bit even. */
uint64_t stats_random(uint64_t *state);

/* draws[0..count), ascending: ln of the ratio of medians, a over b, of invocations and batches drawn again. 0;
 * -EINVAL: a or b is empty; -ENOMEM. */
int stats_ratio_draws(const struct invocation *a, size_t na, const struct invocation *b, size_t nb,
		      unsigned seed, double *draws, size_t count);
struct interval stats_draws_interval(const double *draws, size_t count, double level);

/*
 * == Values against x (stats_curve.c) ==
 */

/* y = a + b*x, weights w (NULL: all 1). false: fewer than 2 distinct x. */
struct line {
	double intercept, slope, r2;
};
bool stats_line(const double *x, const double *y, const double *w, size_t n, struct line *line);
/* Replaces y by the nearest curve (least squares) that never falls. width: room for n. */
void stats_isotonic(double *y, size_t *width, size_t n);
/* Where a curve through (x[i], y[i]), x ascending, first crosses `level` (linear in log x); false: never. */
bool stats_crossing(const double *x, const double *y, size_t n, double level, double *at);

#endif
