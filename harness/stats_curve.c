/*
 * stats_curve.c - values against x: a straight line, a monotone curve, where a curve crosses a level.
 */
#include "harness/stats.h"

#include <math.h>

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

/* Pool adjacent violators: M. Ayer, H. D. Brunk, G. M. Ewing, W. T. Reid, E. Silverman, An Empirical Distribution Function
 * for Sampling with Incomplete Information, Annals of Mathematical Statistics 26 (1955). y[0..blocks) are the means of the
 * blocks and width[0..blocks) their lengths; then they are spread out again from the end, which no longer overlaps. */
void stats_isotonic(double *y, size_t *width, size_t n)
{
	size_t blocks = 0;

	for (size_t i = 0; i < n; i++) {
		y[blocks] = y[i];
		width[blocks++] = 1;
		for (; blocks > 1 && y[blocks - 2] > y[blocks - 1]; blocks--) {
			size_t total = width[blocks - 2] + width[blocks - 1];
			double share = (double)width[blocks - 1] / (double)total;

			y[blocks - 2] += share * (y[blocks - 1] - y[blocks - 2]);
			width[blocks - 2] = total;
		}
	}
	for (size_t end = n; blocks-- > 0;)
		for (size_t k = width[blocks]; k > 0; k--)
			y[--end] = y[blocks];
}
