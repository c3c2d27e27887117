/*
 * test_stats_rank.c - signed ranks, families and proportions against published tables, exact enumeration, and simulation
 * of what they promise.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "harness/stats.h"

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void near(double got, double wanted, double tolerance)
{
	if (!(fabs(got - wanted) <= tolerance))
		fail_msg("got %.12g, wanted %.12g +- %g", got, wanted, tolerance);
}

/* Values 1..n, those chosen negative whose sum is `sum`: greedily, from the largest. */
static double p_of_rank_sum(size_t n, size_t sum)
{
	double x[32];

	for (size_t rank = n; rank >= 1; rank--) {
		bool negative = rank <= sum;
		x[rank - 1] = negative ? -(double)rank : (double)rank;
		sum -= negative ? rank : 0;
	}
	return stats_signed_rank_p(x, n);
}

/* Two-sided critical values as tabled since F. Wilcoxon and R. A. Wilcox, Some Rapid Approximate Statistical Procedures
 * (1964): the largest sum with p <= 5 % and 1 %. Their table rounds; these are the exact ones of R. L. McCornack, Extended
 * Tables of the Wilcoxon Matched Pair Signed Rank Statistic, JASA 60 (1965). */
static void signed_rank_has_the_tabled_critical_values(void **state)
{
	static const struct {
		size_t n, five;
		int one;
	} table[] = {
		{ 6, 0, -1 },	{ 7, 2, -1 },	{ 8, 3, 0 },	{ 9, 5, 1 },	{ 10, 8, 3 },
		{ 11, 10, 5 },	{ 12, 13, 7 },	{ 13, 17, 9 },	{ 14, 21, 12 }, { 15, 25, 15 },
		{ 16, 29, 19 }, { 17, 34, 23 }, { 18, 40, 27 }, { 19, 46, 32 }, { 20, 52, 37 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(table); i++) {
		size_t n = table[i].n, beyond = (size_t)table[i].one + 1;
		assert_true(p_of_rank_sum(n, table[i].five) <= 0.05);
		assert_true(p_of_rank_sum(n, table[i].five + 1) > 0.05);
		assert_true(beyond == 0 || p_of_rank_sum(n, beyond - 1) <= 0.01);
		assert_true(p_of_rank_sum(n, beyond) > 0.01);
	}
	near(p_of_rank_sum(12, 0), 2 / 4096.0, 1e-15);
}

/* Pratt: ranks among all values, those of zeroes left out; every pattern of signs is as likely. */
static double enumerated_p(const double *x, unsigned n)
{
	double rank[16], seen = 0, total = 0, least;
	unsigned extreme = 0;

	for (unsigned i = 0; i < n; i++) {
		rank[i] = 0.5;
		for (unsigned j = 0; j < n; j++)
			rank[i] += (fabs(x[j]) < fabs(x[i])) + (fabs(x[j]) == fabs(x[i])) / 2.0;
		rank[i] = x[i] == 0 ? 0 : rank[i];
		seen += x[i] > 0 ? rank[i] : 0;
		total += rank[i];
	}
	least = fmin(seen, total - seen);
	for (unsigned pattern = 0; pattern < 1u << n; pattern++) {
		double sum = 0;
		for (unsigned i = 0; i < n; i++)
			sum += pattern >> i & 1 ? rank[i] : 0;
		extreme += sum <= least;
	}
	return fmin(1, 2.0 * extreme / (double)(1u << n));
}

static uint64_t state_of_random = 1;

static double random_unit(
	void) /* in (0, 1): Knuth's 64-bit linear congruence, The Art of Computer Programming 2 (1997) */
{
	state_of_random =
		state_of_random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return ((double)(state_of_random >> 11) + 0.5) / 9007199254740992.0;
}

static double random_normal(void) /* G. E. P. Box and M. E. Muller (1958) */
{
	double radius = sqrt(-2 * log(random_unit()));

	return radius * cos(6.283185307179586 * random_unit());
}

static void signed_rank_with_ties_and_zeroes_equals_enumeration(void **state)
{
	double x[13];

	(void)state;
	for (int trial = 0; trial < 200; trial++) {
		unsigned n = 1 + (unsigned)(random_unit() * 13);
		for (unsigned i = 0; i < n; i++)
			x[i] = floor(random_unit() * 9) - 3; /* -3..5, many ties */
		near(stats_signed_rank_p(x, n), enumerated_p(x, n), 1e-12);
	}
	const double zeroes[] = { 0, 0, 0 };
	near(stats_signed_rank_p(zeroes, 3), 1, 0);
	near(stats_signed_rank_p(zeroes, 0), 1, 0);
}

static void signed_rank_of_many_values_does_not_overflow(void **state)
{
	double x[400];

	(void)state;
	for (size_t i = 0; i < COUNT(x); i++)
		x[i] = (double)(i + 1) * (i % 2 ? 1 : -1);
	/* The sum is off its mean by 100, its standard deviation is 2314. */
	near(stats_signed_rank_p(x, COUNT(x)), 0.9655, 0.001);
	for (size_t i = 0; i < COUNT(x); i++)
		x[i] = (double)(i + 1);
	double p = stats_signed_rank_p(x, COUNT(x));
	near(log2(p), -399, 1e-9);
}

/* Hollander and Wolfe (1999), examples 3.1 to 3.4: the Hamilton depression scale of nine patients. One-sided p 0.020, estimate
 * -0.46, 96.1 % interval (-0.786, -0.010). */
static void signed_ranks_of_hamiltons_patients_match_the_book(void **state)
{
	const double before[] = { 1.83, .50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30 };
	const double after[] = { .878, .647, .598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29 };
	double x[9];

	(void)state;
	for (size_t i = 0; i < 9; i++)
		x[i] = after[i] - before[i];
	struct interval shift = stats_shift_interval(x, 9, 0.95);
	near(stats_signed_rank_p(x, 9), 2 * 0.01953125, 1e-12);
	near(shift.mid, -0.46, 1e-9);
	near(shift.low, -0.786, 1e-9);
	near(shift.high, -0.010, 1e-9);
	near(shift.level, 0.961, 0.0005);
	near(stats_shift_interval(x, 5, 0.95).level, 0, 0);
	near(stats_shift_interval(x, 0, 0.95).level, 0, 0);
}

/* The definition: with less than that shift the test and the interval say nothing, with more both do. */
static void least_shift_is_where_the_verdict_turns(void **state)
{
	double x[20], moved[20];

	(void)state;
	for (int trial = 0; trial < 60; trial++) {
		size_t n = 12 + (size_t)trial % 9;
		double alpha = trial % 2 ? 0.05 : 0.05 / 40, beyond = trial % 3 ? 0.02 : 1;
		for (size_t i = 0; i < n; i++)
			x[i] = random_normal() * 0.1;
		double least = stats_least_shift(x, n, alpha, beyond);
		for (int side = -1; side <= 1; side += 2) {
			for (size_t i = 0; i < n; i++)
				moved[i] = x[i] - stats_median(x, n) + least + side * 1e-9;
			bool seen = stats_signed_rank_p(moved, n) <= alpha &&
				    stats_median_interval(moved, n, 0.95).low > beyond;
			assert_int_equal(seen, side > 0);
		}
	}
	assert_true(isinf(stats_least_shift(x, 5, 0.05, 0.02)));
	assert_true(isinf(stats_least_shift(x, 12, 0.05 / 200, 0.02)));
}

/* Worked by hand, as Holm (1979) does: 4 * 0.01, then 3 * 0.01 may not fall below it, 2 * 0.03, 1 * 0.05 likewise. */
static void holm_steps_down_and_never_falls(void **state)
{
	const double p[] = { 0.03, 0.01, 0.05, 0.0133 }, equal[] = { 0.02, 0.02, 0.5 };
	const double wanted[] = { 0.06, 0.04, 0.06, 0.04 };
	double adjusted[4];

	(void)state;
	stats_holm(p, 4, adjusted);
	for (size_t i = 0; i < 4; i++)
		near(adjusted[i], wanted[i], 2e-4);
	stats_holm(equal, 3, adjusted);
	near(adjusted[0], 0.06, 1e-12);
	near(adjusted[1], 0.06, 1e-12);
	near(adjusted[2], 0.5, 1e-12);
	const double one = 0.7, large[] = { 0.6, 0.7 };
	stats_holm(&one, 1, adjusted);
	near(adjusted[0], 0.7, 0);
	stats_holm(large, 2, adjusted);
	near(adjusted[1], 1, 0);
}

/* Tables of the normal distribution; the last: 1 - Phi(8) = 6.22e-16. */
static void student_has_the_tabled_values(void **state)
{
	(void)state;
	near(stats_student_p(12.7062047, 1), 0.05, 1e-8);
	near(stats_student_p(-4.30265273, 2), 0.05, 1e-8);
	near(stats_student_p(2.22813885, 10), 0.05, 1e-8);
	near(stats_student_p(4.14370, 10), 0.002, 1e-6);
	near(stats_student_p(1.98421695, 99), 0.05, 1e-8);
	near(stats_student_p(0, 7), 1, 1e-15);
	near(stats_student_p(INFINITY, 7), 0, 1e-15);
	near(stats_student_upper(0.025, 1), 12.7062047, 1e-6);
	near(stats_student_upper(0.001, 10), 4.14370, 1e-4);
	near(stats_student_upper(0.025, 1000000), stats_normal_upper(0.025), 1e-5);
}

static void normal_upper_has_the_tabled_values(void **state)
{
	(void)state;
	near(stats_normal_upper(0.5), 0, 1e-9);
	near(stats_normal_upper(0.025), 1.959963985, 1e-8);
	near(stats_normal_upper(0.005), 2.575829304, 1e-8);
	near(stats_normal_upper(6.220960574e-16), 8, 1e-8);
}

/* R's binom.test: the first is its example (W. J. Conover, Practical Nonparametric Statistics (1971), p. 97); none of n gives
 * 1 - 0.025^(1/n). */
static void proportion_has_the_published_intervals(void **state)
{
	static const struct {
		size_t count, n;
		double low, high;
	} known[] = {
		{ 682, 925, 0.7076683, 0.7654066 }, { 5, 10, 0.1870860, 0.8129140 },
		{ 1, 10, 0.002528579, 0.4450161 },  { 0, 10, 0, 0.3084971 },
		{ 10, 10, 0.6915029, 1 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(known); i++) {
		struct interval got = stats_proportion_interval(known[i].count, known[i].n, 0.95);
		near(got.low, known[i].low, 1e-7);
		near(got.high, known[i].high, 1e-7);
	}
	near(stats_proportion_interval(0, 100000, 0.95).high, -log(0.025) / 100000, 1e-9);
	near(stats_proportion_interval(0, 0, 0.95).level, 0, 0);
	near(stats_proportion_interval(3, 2, 0.95).level, 0, 0);
}

static void rounds_needed_follow_from_scatter_and_distance(void **state)
{
	struct rounds_question q = {
		.shift = 0.10, .sigma = 0.10, .alpha = 0.05, .beyond = 0.02, .within = 0.03
	};

	(void)state;
	/* (1.96 * 1.2533 * 0.1 / 0.08)^2 = 9.43 */
	near(stats_rounds_needed(&q), 10, 0);
	q.shift = -q.shift;
	near(stats_rounds_needed(&q), 10, 0);
	q.alpha = 0.05 /
		  200; /* no fewer than 13 rounds reach that: 2 / 2^13; (3.66 * 1.0233)^2 = 14.05 */
	near(stats_rounds_needed(&q), 15, 0);
	q.sigma = 0;
	near(stats_rounds_needed(&q), 13, 0);
	/* of sessions: (3.66 * 1.2533)^2 = 21.04, and no more than an interval takes */
	q.unpaired = true;
	near(stats_rounds_needed(&q), 6, 0);
	q.sigma = 0.10;
	near(stats_rounds_needed(&q), 22, 0);
	/* no difference, both tests at even odds: ((1.645 + 0.674) * 1.2533 * 0.1 / 0.03)^2 = 93.9 */
	q = (struct rounds_question){
		.sigma = 0.10, .alpha = 0.05, .beyond = 0.02, .within = 0.03
	};
	near(stats_rounds_needed(&q), 94, 0);
	q.shift = 0.02; /* one of them decides: (1.645 * 1.2533 * 0.1 / 0.01)^2 = 425.0 */
	near(stats_rounds_needed(&q), 426, 1);
	/* between what counts as none and what a wide floor asks for */
	q.shift = 0.04;
	q.beyond = 0.05;
	assert_true(isinf(stats_rounds_needed(&q)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signed_rank_has_the_tabled_critical_values),
		cmocka_unit_test(signed_rank_with_ties_and_zeroes_equals_enumeration),
		cmocka_unit_test(signed_rank_of_many_values_does_not_overflow),
		cmocka_unit_test(signed_ranks_of_hamiltons_patients_match_the_book),
		cmocka_unit_test(least_shift_is_where_the_verdict_turns),
		cmocka_unit_test(holm_steps_down_and_never_falls),
		cmocka_unit_test(student_has_the_tabled_values),
		cmocka_unit_test(normal_upper_has_the_tabled_values),
		cmocka_unit_test(proportion_has_the_published_intervals),
		cmocka_unit_test(rounds_needed_follow_from_scatter_and_distance),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
