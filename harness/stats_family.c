/*
 * stats_family.c - many tests at once, how many rounds they need, and how often something happened of so many times.
 */
#include "harness/stats.h"

#include <math.h>

static double next_above(const double *p, size_t n, double last, size_t *equal)
{
	double next = INFINITY;

	for (size_t i = 0; i < n; i++)
		if (p[i] > last && p[i] < next)
			next = p[i];
	*equal = 0;
	for (size_t i = 0; i < n; i++)
		*equal += p[i] == next;
	return next;
}

/* S. Holm, A Simple Sequentially Rejective Multiple Test Procedure, Scandinavian Journal of Statistics 6 (1979): the k-th
 * smallest (from 0) times n - k, never below its predecessor. Equal values get what their first would. */
void stats_holm(const double *p, size_t n, double *adjusted)
{
	double last = -1, highest = 0;
	size_t equal;

	for (size_t done = 0; done < n; done += equal) {
		last = next_above(p, n, last, &equal);
		if (equal == 0)
			return; /* only when a value is no number */
		highest = fmin(1, fmax(highest, last * (double)(n - done)));
		for (size_t i = 0; i < n; i++)
			if (p[i] == last)
				adjusted[i] = highest;
	}
}

/* By halving: erfc keeps its digits in the tail, where 1 - p would have lost them. */
double stats_normal_upper(double tail)
{
	double low = 0, high = 40;

	while (high - low > 1e-12 * high) {
		double z = (low + high) / 2;

		if (erfc(z / sqrt(2)) / 2 > tail)
			low = z;
		else
			high = z;
	}
	return high;
}

/* 1 - p for whole degrees of freedom is a finite sum: M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions
 * (1964), 26.7.3 and 26.7.4. */
double stats_student_p(double t, size_t freedom)
{
	const double angle = atan(fabs(t) / sqrt((double)freedom)), cosine = cos(angle);
	const bool odd = freedom % 2 == 1;
	double term = odd ? cosine : 1, sum = 0;

	for (size_t k = odd ? 3 : 2; k <= freedom; k += 2) {
		sum += term;
		term *= cosine * cosine * (double)(k - 1) / (double)k;
	}
	sum *= sin(angle);
	if (odd)
		sum = M_2_PI * (angle + sum);
	return fmax(1 - sum, 0);
}

double stats_student_upper(double tail, size_t freedom)
{
	double low = 0, high = 1;

	while (stats_student_p(high, freedom) > 2 * tail && high < 1e12)
		high *= 2;
	for (int i = 0; i < 100; i++) {
		const double mid = (low + high) / 2;
		if (stats_student_p(mid, freedom) > 2 * tail)
			low = mid;
		else
			high = mid;
	}
	return high;
}

#define ROUNDS_LEAST 6 /* fewer have no 95 % interval */

/* The least n with two-sided p <= alpha when all signs agree: 2 / 2^n. */
static double rounds_least(double alpha)
{
	return fmax(ROUNDS_LEAST, ceil(1 - log2(alpha)));
}

static double normal_below(double z)
{
	return erfc(-z * M_SQRT1_2) / 2;
}

/* sqrt(pi/3): the same as STATS_MEDIAN_ERROR of the signed-rank test, its asymptotic efficiency being 3/pi */
#define RANK_ERROR 1.0233

static double rounds_for(double tail, double error, double sigma, double distance)
{
	if (distance <= 0)
		return INFINITY;
	double root = stats_normal_upper(tail) * error * sigma / distance;
	return ceil(root * root);
}

/* Two one-sided tests at 5 % show that the median lies within `within` where its interval, of half width z(5 %) error, does.
 * The n from which that is as likely as not (D. J. Schuirmann, Journal of Pharmacokinetics and
 * Biopharmaceutics 15 (1987); the median's error is asymptotic, as below). */
static double rounds_for_equal(double sigma, double shift, double within)
{
	const double z = stats_normal_upper(0.05);
	double low = 0, high = 1e6; /* 1 / error of the median */

	if (shift >= within)
		return INFINITY;
	for (int i = 0; i < 100; i++) {
		double root = (low + high) / 2;
		if (normal_below((within - shift) * root - z) +
			    normal_below((within + shift) * root - z) <
		    1.5)
			low = root;
		else
			high = root;
	}
	return ceil(pow(high * STATS_MEDIAN_ERROR * sigma, 2));
}

/* Asymptotic: E. L. Lehmann, Nonparametrics: Statistical Methods Based on Ranks (1975), sections 2.4 and 4.3. */
double stats_rounds_needed(const struct rounds_question *q)
{
	double size = fabs(q->shift);
	double test_error = q->unpaired ? STATS_MEDIAN_ERROR : RANK_ERROR;
	double least = q->unpaired ? ROUNDS_LEAST : rounds_least(q->alpha);
	double show = fmax(rounds_for(0.025, STATS_MEDIAN_ERROR, q->sigma, size - q->beyond),
			   rounds_for(q->alpha / 2, test_error, q->sigma, size));
	double equal = rounds_for_equal(q->sigma, size, q->within);

	return fmin(fmax(show, least), fmax(equal, ROUNDS_LEAST));
}

/* ln P(X = k) of the binomial (n, p), 0 < p < 1. */
static double log_binomial(size_t n, size_t k, double p)
{
	return lgamma((double)n + 1) - lgamma((double)k + 1) - lgamma((double)(n - k) + 1) +
	       (double)k * log(p) + (double)(n - k) * log1p(-p);
}

/* P(X >= k), summed relative to its largest term: no power underflows, nothing cancels. */
static double binomial_upper(size_t n, size_t k, double p)
{
	double largest = -INFINITY, sum = 0;

	for (size_t i = k; i <= n; i++)
		largest = fmax(largest, log_binomial(n, i, p));
	for (size_t i = k; i <= n; i++)
		sum += exp(log_binomial(n, i, p) - largest);
	return exp(largest) * sum;
}

/* The p at which k or more of n have the probability `tail`; P rises with p. */
static double lower_end(size_t n, size_t k, double tail)
{
	double low = 0, high = 1;

	if (k == 0)
		return 0;
	for (int step = 0; step < 200 && high - low > 1e-15 * high; step++) {
		double p = (low + high) / 2;

		if (binomial_upper(n, k, p) < tail)
			low = p;
		else
			high = p;
	}
	return low;
}

/* C. J. Clopper and E. S. Pearson, The Use of Confidence or Fiducial Limits Illustrated in the Case of the Binomial,
 * Biometrika 26 (1934). */
struct interval stats_proportion_interval(size_t count, size_t n, double level)
{
	double tail = (1 - level) / 2;

	if (n == 0 || count > n)
		return (struct interval){ 0, 0, 1, 0 };
	return (struct interval){ lower_end(n, count, tail), (double)count / (double)n,
				  1 - lower_end(n, n - count, tail), level };
}
