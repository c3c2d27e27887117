/*
 * stats.c - medians, quantiles, and the intervals that order statistics give.
 *
 * DESIGN. Everything is computed from ranks where that is possible: timings have a long right tail and no
 * distribution worth assuming. Samples are small (rounds, batches), so the k-th smallest is found by counting, which
 * takes n^2 steps, no memory, and cannot fail. The other files: stats_rank.c (signed ranks), stats_family.c (many tests,
 * proportions), stats_bootstrap.c, stats_curve.c (lines, crossings, monotone curves).
 */
#include "harness/stats.h"

#include <math.h>

/* Values, or with `base` the logarithms of value[i]/base[i]. */
struct sample {
	const double *value, *base;
	size_t n;
};

static double sample_at(const struct sample *s, size_t i)
{
	return s->base ? log(s->value[i] / s->base[i]) : s->value[i];
}

/* The k-th smallest, k from 0. */
static double sample_rank(const struct sample *s, size_t k)
{
	for (size_t i = 0; i < s->n; i++) {
		double x = sample_at(s, i);
		size_t less = 0, equal = 0;

		for (size_t j = 0; j < s->n; j++) {
			less += sample_at(s, j) < x;
			equal += sample_at(s, j) == x;
		}
		if (less <= k && k < less + equal)
			return x;
	}
	return NAN; /* only when a value is no number */
}

static double sample_median(const struct sample *s)
{
	double low = sample_rank(s, (s->n - 1) / 2);

	return s->n % 2 ? low : low / 2 + sample_rank(s, s->n / 2) / 2;
}

double stats_median(const double *x, size_t n)
{
	return sample_median(&(struct sample){ x, NULL, n });
}

/* F. R. Hampel, The Influence Curve and its Role in Robust Estimation, JASA 69 (1974); 1.4826 makes it the standard
 * deviation where values are normal. The k-th smallest deviation is found by counting, as above. */
double stats_scatter(const double *x, size_t n)
{
	double middle = stats_median(x, n), low = 0, high = 0;

	for (size_t i = 0; i < n; i++) {
		double deviation = fabs(x[i] - middle);
		size_t below = 0, equal = 0;

		for (size_t j = 0; j < n; j++) {
			below += fabs(x[j] - middle) < deviation;
			equal += fabs(x[j] - middle) == deviation;
		}
		if (below <= (n - 1) / 2 && (n - 1) / 2 < below + equal)
			low = deviation;
		if (below <= n / 2 && n / 2 < below + equal)
			high = deviation;
	}
	return 1.4826 * (low + high) / 2;
}

/* The most values d that can be cut off at either end so that the rest still covers the median with `level`: the
 * number of values below the median is binomial (n, 1/2), so [x(d), x(n+1-d)] covers it with
 * 1 - 2 P(B <= d-1). H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed. (2003), section 7.1.
 * 0: not even the whole range reaches the level. */
static size_t sign_depth(size_t n, double level, double *achieved)
{
	double log_term = -(double)n * log(2), tail = 0; /* 2^-n itself is 0 from n = 1075 on */
	size_t depth = 0;

	*achieved = 0;
	for (size_t k = 0; k < (n + 1) / 2; k++) {
		tail += exp(log_term);
		if (1 - 2 * tail < level)
			break;
		depth = k + 1;
		*achieved = 1 - 2 * tail;
		log_term += log((double)(n - k) / (double)(k + 1));
	}
	return depth;
}

/* With too few values the whole range stands in for the interval, and level 0 says so. */
static struct interval sign_interval(const struct sample *s, double level)
{
	struct interval interval = { 0 };

	if (s->n == 0)
		return interval;
	size_t depth = sign_depth(s->n, level, &interval.level);
	size_t cut = depth ? depth - 1 : 0;
	interval.low = sample_rank(s, cut);
	interval.mid = sample_median(s);
	interval.high = sample_rank(s, s->n - 1 - cut);
	return interval;
}

struct interval stats_median_interval(const double *x, size_t n, double level)
{
	return sign_interval(&(struct sample){ x, NULL, n }, level);
}

/* The interval that belongs to the sign test (W. J. Conover, Practical Nonparametric Statistics, 3rd ed. (1999),
 * sections 3.4 and 5.7) on log ratios: swapping candidate and baseline gives the reciprocal. */
struct interval stats_ratio_interval(const double *candidate, const double *baseline, size_t n,
				     double level)
{
	struct interval log_ratio =
		sign_interval(&(struct sample){ candidate, baseline, n }, level);

	if (n == 0)
		return log_ratio;
	return (struct interval){ exp(log_ratio.low), exp(log_ratio.mid), exp(log_ratio.high),
				  log_ratio.level };
}
