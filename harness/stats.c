/*
 * stats.c - the statistics of poolbench: medians, distribution-free intervals, one regression, one crossing.
 *
 * DESIGN. Everything is computed from ranks where that is possible: timings have a long right tail and no
 * distribution worth assuming. Samples are small (rounds, batches), so the k-th smallest is found by counting, which
 * takes n^2 steps, no memory, and cannot fail. Only the bootstrap allocates.
 */
#include "harness/stats.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

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

/* R. J. Hyndman and Y. Fan, Sample Quantiles in Statistical Packages, The American Statistician 50 (1996), type 7:
 * linear between the order statistics, the k-th of n (from 0) being the k/(n-1) quantile. */
double stats_quantile(const double *x, size_t n, double p)
{
	struct sample s = { x, NULL, n };
	double position = p * (double)(n - 1);
	size_t below = (size_t)position;
	double low = sample_rank(&s, below);

	if (below + 1 >= n)
		return low;
	return low + (position - (double)below) * (sample_rank(&s, below + 1) - low);
}

/* The most values d that can be cut off at either end so that the rest still covers the median with `level`: the
 * number of values below the median is binomial (n, 1/2), so [x(d), x(n+1-d)] covers it with
 * 1 - 2 P(B <= d-1). H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed. (2003), section 7.1.
 * 0: not even the whole range reaches the level. */
static size_t sign_depth(size_t n, double level, double *achieved)
{
	double term = pow(0.5, (double)n), tail = 0;
	size_t depth = 0;

	*achieved = 0;
	for (size_t k = 0; k < (n + 1) / 2; k++) {
		tail += term;
		if (1 - 2 * tail < level)
			break;
		depth = k + 1;
		*achieved = 1 - 2 * tail;
		term *= (double)(n - k) / (double)(k + 1);
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

/* G. L. Steele, D. Lea, C. H. Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014 (SplitMix64). */
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static double resampled_median(const double *x, size_t n, double *scratch, uint64_t *state)
{
	for (size_t i = 0; i < n; i++)
		scratch[i] = x[random_next(state) % n];
	return stats_median(scratch, n);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Percentile interval: B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3. The
 * ends are order statistics of the sorted draws. No memory or no draws: the estimate alone, level 0. */
struct interval stats_ratio_bootstrap(const double *a, size_t na, const double *b, size_t nb,
				      double level, unsigned draws, unsigned seed)
{
	double ratio = na && nb ? stats_median(a, na) / stats_median(b, nb) : 0;
	struct interval interval = { ratio, ratio, ratio, 0 };
	double *drawn = draws && ratio > 0 ? malloc((draws + na + nb) * sizeof *drawn) : NULL;
	uint64_t state = seed;

	if (!drawn)
		return interval;
	for (unsigned i = 0; i < draws; i++)
		drawn[i] = resampled_median(a, na, drawn + draws, &state) /
			   resampled_median(b, nb, drawn + draws + na, &state);
	qsort(drawn, draws, sizeof *drawn, by_value);
	double last = (double)(draws - 1);
	interval.low = drawn[(size_t)floor((1 - level) / 2 * last)];
	interval.high = drawn[(size_t)ceil((1 + level) / 2 * last)];
	interval.level = level;
	free(drawn);
	return interval;
}

struct moments {
	double weight, x, y, xx, xy, yy;
};

/* Means first, then sums of squares around them: the one-pass formula cancels catastrophically. T. F. Chan,
 * G. H. Golub, R. J. LeVeque, Algorithms for Computing the Sample Variance, The American Statistician 37 (1983). */
static struct moments weighted_moments(const double *x, const double *y, const double *w, size_t n)
{
	struct moments m = { 0 };

	for (size_t i = 0; i < n; i++) {
		double weight = w ? w[i] : 1;
		m.weight += weight;
		m.x += weight * x[i];
		m.y += weight * y[i];
	}
	m.x /= m.weight;
	m.y /= m.weight;
	for (size_t i = 0; i < n; i++) {
		double weight = w ? w[i] : 1, dx = x[i] - m.x, dy = y[i] - m.y;
		m.xx += weight * dx * dx;
		m.xy += weight * dx * dy;
		m.yy += weight * dy * dy;
	}
	return m;
}

/* Weighted least squares. N. R. Draper and H. Smith, Applied Regression Analysis, 3rd ed. (1998), chapters 1, 9. */
bool stats_line(const double *x, const double *y, const double *w, size_t n, struct line *line)
{
	bool distinct = false;

	for (size_t i = 1; i < n; i++)
		distinct = distinct || x[i] != x[0];
	if (!distinct)
		return false;
	struct moments m = weighted_moments(x, y, w, n);
	if (!(m.xx > 0))
		return false;
	line->slope = m.xy / m.xx;
	line->intercept = m.y - line->slope * m.x;
	line->r2 = m.yy > 0 ? m.xy * m.xy / (m.xx * m.yy) : 1;
	return true;
}

/* Piecewise linear over ln x, as METG is read off an efficiency curve: E. Slaughter et al., Task Bench: A
 * Parameterized Benchmark for Evaluating Parallel Runtime Performance, SC 2020, section IV. */
bool stats_crossing(const double *x, const double *y, size_t n, double level, double *at)
{
	for (size_t i = 0; i + 1 < n; i++) {
		double before = y[i] - level, after = y[i + 1] - level;

		if (before * after > 0 || before == after)
			continue;
		*at = x[i] * exp(before / (before - after) * log(x[i + 1] / x[i]));
		return true;
	}
	return false;
}
