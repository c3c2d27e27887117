/*
 * test_stats.c - the statistics against published values, exact enumeration and values worked out by hand.
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

static void median_of_odd_and_even_counts_is_the_middle(void **state)
{
	const double odd[] = { 9, 1, 5 }, even[] = { 4, 1, 3, 2 }, ties[] = { 2, 7, 2, 2 };

	(void)state;
	near(stats_median(odd, 3), 5, 0);
	near(stats_median(even, 4), 2.5, 0);
	near(stats_median(ties, 4), 2, 0);
	near(stats_median(odd, 1), 9, 0);
	near(odd[0], 9, 0);
}

/* Conover (1999), table of the binomial: n = 12, two tails of (1 + 12 + 66) / 4096. */
static void interval_of_twelve_values_is_third_to_tenth(void **state)
{
	const double x[] = { 12, 1, 11, 2, 10, 3, 9, 4, 8, 5, 7, 6 };
	struct interval i = stats_median_interval(x, 12, 0.95);

	(void)state;
	near(i.low, 3, 0);
	near(i.mid, 6.5, 0);
	near(i.high, 10, 0);
	near(i.level, 1 - 2 * 79.0 / 4096, 1e-12);
}

static unsigned bits(unsigned x)
{
	unsigned count = 0;

	for (; x; x &= x - 1)
		count++;
	return count;
}

/* Share of all 2^n equally likely patterns of "below the median" in which [x(d), x(n+1-d)] holds it. */
static double enumerated_coverage(unsigned n, unsigned d)
{
	unsigned covered = 0;

	for (unsigned pattern = 0; pattern < 1u << n; pattern++)
		covered += bits(pattern) >= d && bits(pattern) <= n - d;
	return (double)covered / (double)(1u << n);
}

static void interval_coverage_equals_exact_enumeration(void **state)
{
	double x[16];

	(void)state;
	for (unsigned n = 1; n <= COUNT(x); n++) {
		x[n - 1] = n;
		struct interval i = stats_median_interval(x, n, 0.95);
		if (n < 6) {
			near(i.level, 0, 0);
			continue;
		}
		unsigned d = (unsigned)i.low;
		near(i.high, n + 1 - d, 0);
		near(i.level, enumerated_coverage(n, d), 1e-12);
		assert_true(i.level >= 0.95 && enumerated_coverage(n, d + 1) < 0.95);
	}
}

/* The normal approximation of the binomial: the depth is n/2 + 1/2 - 1.96 sqrt(n)/2, rounded down. */
static void interval_of_thousands_of_values_is_no_point(void **state)
{
	static const size_t counts[] = { 1000, 1074, 1075, 1500, 3000 };
	static double x[3000];

	(void)state;
	for (size_t i = 0; i < COUNT(x); i++)
		x[i] = (double)i + 1;
	for (size_t i = 0; i < COUNT(counts); i++) {
		double n = (double)counts[i];
		struct interval found = stats_median_interval(x, counts[i], 0.95);
		near(found.low, floor((n + 1) / 2 - 1.96 * sqrt(n) / 2), 1);
		near(found.low + found.high, n + 1, 0);
		assert_true(found.level >= 0.95 && found.level < 0.96);
	}
}

static void interval_of_five_values_says_too_few(void **state)
{
	const double x[] = { 5, 1, 4, 2, 3 };
	struct interval i = stats_median_interval(x, 5, 0.95);

	(void)state;
	near(i.level, 0, 0);
	near(i.mid, 3, 0);
	near(stats_median_interval(x, 0, 0.95).level, 0, 0);
}

static void ratio_of_paired_values_ignores_drift(void **state)
{
	double a[8], b[8];

	(void)state;
	for (int i = 0; i < 8; i++) {
		b[i] = pow(2, i);
		a[i] = 1.5 * b[i];
	}
	struct interval i = stats_ratio_interval(a, b, 8, 0.95);
	near(i.low, 1.5, 1e-12);
	near(i.mid, 1.5, 1e-12);
	near(i.high, 1.5, 1e-12);
}

static void ratio_swapped_is_the_reciprocal(void **state)
{
	const double a[] = { 3, 5, 2, 8, 6, 7 }, b[] = { 2, 6, 1, 4, 6, 5 };
	struct interval ab = stats_ratio_interval(a, b, 6, 0.95);
	struct interval ba = stats_ratio_interval(b, a, 6, 0.95);

	(void)state;
	near(ab.mid * ba.mid, 1, 1e-12);
	near(ab.low * ba.high, 1, 1e-12);
	near(ab.mid, sqrt(1.4 * 1.5), 1e-12); /* ratios 5/6 1 1.4 1.5 2 2 */
	near(ab.low, 5.0 / 6, 1e-12);
	near(ab.high, 2, 1e-12);
}

/* {1, 3} resampled has medians 1, 2, 3 with probabilities 1/4, 1/2, 1/4; one batch each. */
static void bootstrap_of_two_values_has_the_enumerated_quantiles(void **state)
{
	const double one = 1, three = 3;
	const struct invocation a[] = { { &one, 1 }, { &three, 1 } };
	double draws[2000];

	(void)state;
	assert_int_equal(stats_ratio_draws(a, 2, a, 1, 7, draws, 2000), 0);
	struct interval wide = stats_draws_interval(draws, 2000, 0.95);
	struct interval narrow = stats_draws_interval(draws, 2000, 0.40);
	near(wide.low, 0, 0);
	near(wide.mid, log(2), 1e-12);
	near(wide.high, log(3), 1e-12);
	near(narrow.low, log(2), 1e-12);
	near(narrow.high, log(2), 1e-12);
}

/* One invocation of batches {1, 3}: drawing invocations alone would never vary. */
static void bootstrap_draws_batches_within_an_invocation(void **state)
{
	const double batches[] = { 1, 3 }, one = 1;
	const struct invocation a = { batches, 2 }, b = { &one, 1 };
	double draws[2000], again[2000];
	unsigned ones = 0;

	(void)state;
	assert_int_equal(stats_ratio_draws(&a, 1, &b, 1, 3, draws, 2000), 0);
	assert_int_equal(stats_ratio_draws(&a, 1, &b, 1, 3, again, 2000), 0);
	assert_memory_equal(draws, again, sizeof draws);
	for (unsigned i = 0; i < 2000; i++)
		ones += draws[i] == 0;
	near(ones / 2000.0, 0.25, 0.04); /* four standard errors */
	assert_true(stats_ratio_draws(&a, 0, &b, 1, 3, draws, 2000) < 0);
	near(stats_draws_interval(draws, 0, 0.95).level, 0, 0);
}

/* F. J. Anscombe, Graphs in Statistical Analysis, The American Statistician 27 (1973), data set 1: y = 3 + 0.5 x. */
static void line_through_anscombe_one_matches_the_paper(void **state)
{
	const double x[] = { 10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5 };
	const double y[] = { 8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68 };
	struct line line;

	(void)state;
	assert_true(stats_line(x, y, NULL, 11, &line));
	near(line.intercept, 3.0, 0.005);
	near(line.slope, 0.5, 0.0005);
	near(line.r2, 0.667, 0.0005);
}

/* A weight of 2 is the same as writing the point twice. */
static void line_weight_two_equals_a_repeated_point(void **state)
{
	const double x[] = { 1, 2, 4 }, y[] = { 3, 1, 8 }, w[] = { 1, 2, 1 };
	const double x2[] = { 1, 2, 2, 4 }, y2[] = { 3, 1, 1, 8 };
	struct line weighted, repeated;

	(void)state;
	assert_true(stats_line(x, y, w, 3, &weighted));
	assert_true(stats_line(x2, y2, NULL, 4, &repeated));
	near(weighted.slope, repeated.slope, 1e-12);
	near(weighted.intercept, repeated.intercept, 1e-12);
	near(weighted.r2, repeated.r2, 1e-12);
}

static void line_far_from_zero_keeps_its_digits(void **state)
{
	const double x[] = { 1e9, 1e9 + 1, 1e9 + 2 }, y[] = { 1, 3, 5 };
	struct line line;

	(void)state;
	assert_true(stats_line(x, y, NULL, 3, &line));
	near(line.slope, 2, 1e-9);
	near(line.r2, 1, 1e-9);
}

static void line_with_one_distinct_x_is_refused(void **state)
{
	const double x[] = { 2, 2, 2 }, y[] = { 1, 2, 3 };
	struct line line = { 7, 7, 7 };

	(void)state;
	assert_false(stats_line(x, y, NULL, 3, &line));
	assert_false(stats_line(x, y, NULL, 0, &line));
	near(line.slope, 7, 0);
}

static void crossing_is_linear_in_log_x(void **state)
{
	const double x[] = { 1, 100, 1000 }, rising[] = { 0, 1, 2 }, falling[] = { 1, 0, -1 };
	double at = -1;

	(void)state;
	assert_true(stats_crossing(x, rising, 3, 0.5, &at));
	near(at, 10, 1e-9);
	assert_true(stats_crossing(x, falling, 3, 0.5, &at));
	near(at, 10, 1e-9);
	assert_true(stats_crossing(x, rising, 3, 1, &at));
	near(at, 100, 1e-9);
}

static void crossing_that_never_happens_is_refused(void **state)
{
	const double x[] = { 1, 2, 4 }, y[] = { 0.6, 0.8, 0.9 }, flat[] = { 1, 1, 1 };
	double at = -1;

	(void)state;
	assert_false(stats_crossing(x, y, 3, 0.5, &at));
	assert_false(stats_crossing(x, y, 3, 0.95, &at));
	assert_false(stats_crossing(x, flat, 3, 0.5, &at));
	assert_false(stats_crossing(x, y, 1, 0.6, &at));
	near(at, -1, 0);
}

static void isotonic_pools_violators_to_their_mean(void **state)
{
	double y[] = { 1, 3, 2, 4, 3, 3.5, 0 }, falling[] = { 3, 2, 1 }, rising[] = { 1, 1, 2 };
	/* By hand: {3, 2} pool, {4, 3, 3.5, 0} pool to 2.625, which stays above 2.5. */
	const double wanted[] = { 1, 2.5, 2.5, 2.625, 2.625, 2.625, 2.625 };
	size_t width[7];

	(void)state;
	stats_isotonic(y, width, 7);
	for (size_t i = 0; i < COUNT(y); i++)
		near(y[i], wanted[i], 1e-12);
	stats_isotonic(falling, width, 3);
	near(falling[0], 2, 1e-12);
	near(falling[2], 2, 1e-12);
	stats_isotonic(rising, width, 3);
	near(rising[1], 1, 0);
	near(rising[2], 2, 0);
	stats_isotonic(rising, width, 0);
}

/* 1.4826 times the median of the deviations 4 3 1 0 1 95 from 5. */
static void scatter_ignores_one_wild_value(void **state)
{
	const double x[] = { 1, 2, 4, 5, 6, 100, 5 }, same[] = { 3, 3, 3 };
	const double even[] = { 1, 2, 3, 10 }; /* deviations 1.5 0.5 0.5 7.5 */

	(void)state;
	near(stats_scatter(x, 7), 1.4826, 1e-12);
	near(stats_scatter(same, 3), 0, 0);
	near(stats_scatter(even, 4), 1.4826, 1e-12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(median_of_odd_and_even_counts_is_the_middle),
		cmocka_unit_test(interval_of_twelve_values_is_third_to_tenth),
		cmocka_unit_test(interval_coverage_equals_exact_enumeration),
		cmocka_unit_test(interval_of_thousands_of_values_is_no_point),
		cmocka_unit_test(interval_of_five_values_says_too_few),
		cmocka_unit_test(ratio_of_paired_values_ignores_drift),
		cmocka_unit_test(ratio_swapped_is_the_reciprocal),
		cmocka_unit_test(bootstrap_of_two_values_has_the_enumerated_quantiles),
		cmocka_unit_test(bootstrap_draws_batches_within_an_invocation),
		cmocka_unit_test(line_through_anscombe_one_matches_the_paper),
		cmocka_unit_test(line_weight_two_equals_a_repeated_point),
		cmocka_unit_test(line_far_from_zero_keeps_its_digits),
		cmocka_unit_test(line_with_one_distinct_x_is_refused),
		cmocka_unit_test(crossing_is_linear_in_log_x),
		cmocka_unit_test(isotonic_pools_violators_to_their_mean),
		cmocka_unit_test(scatter_ignores_one_wild_value),
		cmocka_unit_test(crossing_that_never_happens_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
