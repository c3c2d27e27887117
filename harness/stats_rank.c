/*
 * stats_rank.c - paired differences by their signed ranks: an exact test, an estimate, and what the test could have seen.
 *
 * DESIGN. Under the null hypothesis each difference is as likely negative as positive, whatever its size; so the
 * distribution of the sum of the positive ranks follows from the ranks at hand, ties included, by adding one rank after the
 * other. It is built from probabilities and only by adding and halving: nothing cancels, and nothing overflows.
 * Ranks are doubled, so that the mean rank of a tie is whole.
 */
#include "harness/stats.h"

#include <math.h>
#include <stdlib.h>

/* Twice the rank of |x[i]| among all, the mean of its tie. Zeroes take part in the ranking and then count for nothing:
 * J. W. Pratt, Remarks on Zeros and Ties in the Wilcoxon Signed Rank Procedures, JASA 54 (1959). */
static size_t doubled_rank(const double *x, size_t n, size_t i)
{
	size_t less = 0, equal = 0;

	for (size_t j = 0; j < n; j++) {
		less += fabs(x[j]) < fabs(x[i]);
		equal += fabs(x[j]) == fabs(x[i]);
	}
	return 2 * less + equal + 1;
}

/* One rank more, counted or not with probability 1/2 each; sums so far are at most `highest`. */
static void add_rank(double *share, size_t highest, size_t rank)
{
	for (size_t sum = highest + rank; sum >= rank; sum--)
		share[sum] = share[sum] / 2 + share[sum - rank] / 2;
	for (size_t sum = 0; sum < rank; sum++)
		share[sum] /= 2;
}

static double sum_to(const double *share, size_t last)
{
	double sum = 0;

	for (size_t i = 0; i <= last; i++)
		sum += share[i];
	return sum;
}

/* F. Wilcoxon, Individual Comparisons by Ranking Methods, Biometrics Bulletin 1 (1945); exact and conditional on the ties:
 * M. Hollander and D. A. Wolfe, Nonparametric Statistical Methods, 2nd ed. (1999), section 3.1. */
double stats_signed_rank_p(const double *x, size_t n)
{
	double *share = calloc(n * (n + 1) + 1, sizeof *share), p;
	size_t total = 0, positive = 0;

	if (share == NULL)
		return 1;
	share[0] = 1;
	for (size_t i = 0; i < n; i++) {
		size_t rank = doubled_rank(x, n, i);

		if (x[i] == 0)
			continue;
		add_rank(share, total, rank);
		total += rank;
		positive += x[i] > 0 ? rank : 0;
	}
	p = 2 * sum_to(share, positive < total - positive ? positive : total - positive);
	free(share);
	return p < 1 ? p : 1;
}

/* How many sums of ranks from 0 upwards have together at most `tail` of the probability; no ties. 0: not even the sum 0. */
static size_t rank_depth(size_t n, double tail, double *reached)
{
	double *share = calloc(n * (n + 1) / 2 + 1, sizeof *share), sum = 0;
	size_t depth = 0;

	*reached = 0;
	if (share == NULL)
		return 0;
	share[0] = 1;
	for (size_t rank = 1; rank <= n; rank++)
		add_rank(share, rank * (rank - 1) / 2, rank);
	for (; depth <= n * (n + 1) / 2 && sum + share[depth] <= tail; depth++)
		sum += share[depth];
	*reached = sum;
	free(share);
	return depth;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The means of all pairs, each value with itself too, in order; their number is n (n+1) / 2. Free it. NULL: no memory. */
static double *walsh_averages(const double *x, size_t n)
{
	double *mean = calloc(n * (n + 1) / 2 + 1, sizeof *mean);
	size_t count = 0;

	if (mean == NULL)
		return NULL;
	for (size_t i = 0; i < n; i++)
		for (size_t j = i; j < n; j++)
			mean[count++] = x[i] / 2 + x[j] / 2;
	qsort(mean, count, sizeof *mean, by_value);
	return mean;
}

/* J. L. Hodges and E. L. Lehmann, Estimates of Location Based on Rank Tests, Annals of Mathematical Statistics 34 (1963); the
 * interval is Tukey's: Hollander and Wolfe, sections 3.2 and 3.3. */
struct interval stats_shift_interval(const double *x, size_t n, double level)
{
	size_t count = n * (n + 1) / 2, depth;
	double *mean = n ? walsh_averages(x, n) : NULL, tail;
	struct interval interval = { 0 };

	if (mean == NULL)
		return interval;
	depth = rank_depth(n, (1 - level) / 2, &tail);
	interval.low = mean[depth ? depth - 1 : 0];
	interval.mid = mean[(count - 1) / 2] / 2 + mean[count / 2] / 2;
	interval.high = mean[count - (depth ? depth : 1)];
	interval.level = depth ? 1 - 2 * tail : 0;
	free(mean);
	return interval;
}

/* The sum of positive ranks is the number of positive Walsh averages (J. W. Tukey, 1949; Hollander and Wolfe, section
 * 3.1, comment 9), so the test rejects as soon as all but its `depth - 1` lowest averages are above zero. */
double stats_least_shift(const double *x, size_t n, double alpha, double beyond)
{
	struct interval sign = stats_median_interval(x, n, 0.95);
	double *mean = sign.level > 0 ? walsh_averages(x, n) : NULL, tail, shift = INFINITY;
	size_t depth = mean ? rank_depth(n, alpha / 2, &tail) : 0;

	if (depth > 0)
		shift = fmax(sign.mid - mean[depth - 1], sign.mid - sign.low + beyond);
	free(mean);
	return shift;
}
