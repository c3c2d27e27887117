/*
 * test_selftest.c - what the self-test says of rows that were made up.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "harness/probe.h"
#include "harness/selftest.h"

#define TRY_ROUNDS 12
#define TRIES 20

static const struct cell cells[] = {
	{ .experiment = "x",
	  .backend = "fork-shm",
	  .variant = "map",
	  .workload = "spin",
	  .tasks = 10 },
	{ .experiment = "x",
	  .backend = "fork-pipe",
	  .variant = "map",
	  .workload = "spin",
	  .tasks = 10 },
};
#define CELLS (sizeof cells / sizeof *cells)

static double random_unit(
	void) /* in (0, 1): Knuth, The Art of Computer Programming 2 (1997), section 3.3.4 */
{
	static uint64_t state = 1;

	state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return ((double)(state >> 11) + 0.5) / 9007199254740992.0;
}

static double random_normal(void)
{
	return sqrt(-2 * log(random_unit())) * cos(6.283185307179586 * random_unit());
}

static struct record *add(struct rows *rows, const struct cell *cell, const char *arm, int round,
			  double ns)
{
	struct record row = {
		.cell = *cell, .round = round, .verified = true, .samples = 1, .calls = 5
	};

	row.ns_per_task[0] = ns;
	snprintf(row.arm, sizeof row.arm, "%s", arm);
	assert_int_equal(rows_add(rows, &row), 0);
	return &rows->at[rows->count - 1];
}

/* All tries of arms "a" and "b": a round scatters by `sigma` around `ratio`, and drifts by more. */
static void simulate(struct rows *rows, double ratio, double sigma)
{
	for (int round = 0; round < TRIES * TRY_ROUNDS; round++)
		for (size_t i = 0; i < CELLS; i++) {
			double ns = 100 * exp(random_normal());
			add(rows, &cells[i], "a", round, ns);
			add(rows, &cells[i], "b", round, ns * ratio * exp(sigma * random_normal()));
		}
}

static struct question ask(const struct rows *rows)
{
	return (struct question){ .rows = rows,
				  .cells = cells,
				  .cell_count = CELLS,
				  .baseline = "a",
				  .candidate = "b",
				  .tries = TRIES,
				  .try_rounds = TRY_ROUNDS,
				  .strict = true };
}

static bool is_slower(double ratio, double sigma, bool detected)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct check check;

	simulate(&rows, ratio, sigma);
	assert_int_equal(selftest_slower(&q, detected, &check), 0);
	assert_string_equal(check.name, "b");
	rows_free(&rows);
	return check.ok;
}

static bool is_same(double ratio, double sigma)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct check check;

	simulate(&rows, ratio, sigma);
	assert_int_equal(selftest_same(&q, &check), 0);
	rows_free(&rows);
	return check.ok;
}

/*
 * == Comparisons ==
 */

static void slowdown_that_is_there_passes(void **state)
{
	(void)state;
	assert_true(is_slower(1.10, 0.01, true));
	assert_true(is_slower(1.05, 0.005, true));
	assert_true(is_slower(1.01, 0.01,
			      false)); /* seen in all rounds together; no regression by the rules */
}

static void slowdown_that_is_missed_fails(void **state)
{
	(void)state;
	assert_false(is_slower(1.0, 0.001, true));
	assert_false(is_slower(1.01, 0.001, true));
	assert_false(is_slower(1.05, 0.1, true));
	assert_false(is_slower(0.99, 0.001, false));
}

static void speedup_in_place_of_a_slowdown_fails(void **state)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct check check;

	(void)state;
	q.cell_count = 1;
	simulate(&rows, 1.2, 0.001);
	for (size_t i = 0; i < rows.count; i++)
		if (rows.at[i].round < TRY_ROUNDS && strcmp(rows.at[i].arm, "b") == 0)
			rows.at[i].ns_per_task[0] /= 1.5;
	assert_int_equal(selftest_slower(&q, true, &check), 0);
	assert_false(check.ok); /* 19 of 20 tries, which would do, but one says the opposite */
	assert_non_null(strstr(check.text, "IMPROVEMENT in 1 (want 0)"));
	rows_free(&rows);
}

static void few_tries_need_only_not_contradict(void **state)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct check check;

	(void)state;
	q.cell_count = 1;
	q.tries = 3;
	simulate(&rows, 1.2, 0.001);
	for (size_t i = 0; i < rows.count; i++)
		if (rows.at[i].round < TRY_ROUNDS && strcmp(rows.at[i].arm, "b") == 0)
			rows.at[i].ns_per_task[0] /= 1.2;
	assert_int_equal(selftest_slower(&q, true, &check), 0);
	assert_false(check.ok); /* 2 of 3 are less than 95 % */
	q.strict = false;
	assert_int_equal(selftest_slower(&q, true, &check), 0);
	assert_true(check.ok); /* but may be 95 % */
	q.tries = 1;
	assert_int_equal(selftest_slower(&q, true, &check), 0);
	assert_false(check.ok); /* so may 0 of 1; it is a miss all the same */
	rows_free(&rows);
}

static void equals_pass_and_false_alarms_fail(void **state)
{
	(void)state;
	assert_true(is_same(1.0, 0.02));
	assert_false(is_same(1.1, 0.02));   /* REGRESSION */
	assert_false(is_same(1.01, 0.002)); /* none, but p < 5 % far too often */
}

static void nothing_measured_fails(void **state)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct check check;

	(void)state;
	assert_int_equal(selftest_same(&q, &check), 0);
	assert_false(check.ok);
	assert_int_equal(selftest_slower(&q, true, &check), 0);
	assert_false(check.ok);
	assert_int_equal(selftest_slower(&q, false, &check), 0);
	assert_false(check.ok);
	assert_int_equal(selftest_counted(&q, &check), 0);
	assert_false(check.ok);
	assert_int_equal(selftest_refused(&q, "wrong", &check), 0);
	assert_false(check.ok);
	q.tries = 0;
	simulate(&rows, 1.2, 0.001);
	assert_int_equal(selftest_slower(&q, true, &check), 0);
	assert_false(check.ok);
	assert_true(check.undecided);
	assert_int_equal(selftest_same(&q, &check), 0);
	assert_false(check.ok);
	assert_true(check.undecided);
	rows_free(&rows);
}

static void power_counts_tries_and_their_intervals(void **state)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct power power;

	(void)state;
	simulate(&rows, 1.10, 0.005);
	assert_int_equal(selftest_power(&q, &power), 0);
	assert_int_equal(power.tries, TRIES * CELLS);
	assert_int_equal(power.regressions, power.tries);
	assert_int_equal(power.shown, power.tries);
	assert_int_equal(power.improvements, 0);
	assert_true(fabs(power.detected.low - pow(0.025, 1.0 / (double)power.tries)) < 1e-6);
	assert_true(fabs(power.ratio.mid - 1.10) < 0.005);
	rows_free(&rows);
}

static void disturbed_rounds_are_taken_out_and_the_rest_numbered(void **state)
{
	struct rows rows = { 0 }, usable;

	(void)state;
	for (int round = 0; round < 20; round++) {
		struct record *row = add(&rows, &cells[0], "a", round, round + 1);
		row->foreign_ns = round == 3 ? 1000000000 : 0;
	}
	assert_int_equal(selftest_usable(&rows, 2, 20, &usable), 19);
	assert_int_equal(usable.count, 19);
	for (int i = 0; i < 19; i++) {
		assert_int_equal(usable.at[i].round, i);
		assert_true(usable.at[i].ns_per_task[0] == (i < 3 ? i + 1 : i + 2));
	}
	rows_free(&usable);
	assert_int_equal(selftest_usable(&rows, 2, 12, &usable), 12);
	rows_free(&usable);
	for (int round = 0; round < 8; round++)
		rows.at[round].foreign_ns = 1000000000;
	assert_int_equal(selftest_usable(&rows, 2, 20, &usable), 0);
	rows_free(&usable);
	rows_free(&rows);
}

/*
 * == Counts, results, tails ==
 */

static void exactly_one_call_more_passes(void **state)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct check check;

	(void)state;
	simulate(&rows, 1, 0.01);
	for (size_t i = 0; i < rows.count; i++) {
		rows.at[i].io_calls = strcmp(rows.at[i].arm, "b") == 0 ? 150 : 100; /* 50 tasks */
		rows.at[i].system_calls = -1;
	}
	assert_int_equal(selftest_counted(&q, &check), 0);
	assert_true(check.ok);
	rows.at[7].io_calls += 2; /* one round, 0.04 a task */
	assert_int_equal(selftest_counted(&q, &check), 0);
	assert_false(check.ok);
	for (size_t i = 0; i < rows.count; i++)
		rows.at[i].system_calls = strcmp(rows.at[i].arm, "b") == 0 ? 50 : 0;
	assert_int_equal(selftest_counted(&q, &check), 0);
	assert_true(check.ok); /* what is counted exactly goes before reads and writes */
	rows_free(&rows);
}

static void failing_rows_pass_only_if_all_fail_for_the_reason(void **state)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct check check;

	(void)state;
	simulate(&rows, 1, 0.01);
	assert_int_equal(selftest_refused(&q, "wrong", &check), 0);
	assert_false(check.ok);
	for (size_t i = 0; i < rows.count; i++)
		if (strcmp(rows.at[i].arm, "b") == 0) {
			rows.at[i].verified = false;
			snprintf(rows.at[i].error, sizeof rows.at[i].error, "wrong result");
		}
	assert_int_equal(selftest_refused(&q, "wrong", &check), 0);
	assert_true(check.ok);
	assert_int_equal(selftest_refused(&q, "died", &check), 0);
	assert_false(check.ok);
	rows.at[1].verified = true;
	assert_int_equal(selftest_refused(&q, "wrong", &check), 0);
	assert_false(check.ok);
	rows.at[1].verified = rows.at[0].verified = false; /* of the sound arm */
	assert_int_equal(selftest_refused(&q, "wrong", &check), 0);
	assert_false(check.ok);
	rows_free(&rows);
}

static void tail_is_judged_where_times_are_equal(void **state)
{
	struct rows rows = { 0 };
	struct question q = ask(&rows);
	struct check check;

	(void)state;
	simulate(&rows, 1, 0.001);
	assert_int_equal(selftest_tail(&q, &check), 0);
	assert_false(check.ok); /* no row has a profile */
	for (size_t i = 0; i < rows.count; i++) {
		rows.at[i].profile = PROBE_EXCEEDANCES;
		rows.at[i].profile_ns[probe_exceedance_find(0.005)] =
			(strcmp(rows.at[i].arm, "b") == 0 ? 1e6 : 1e5) * exp(0.1 * random_normal());
	}
	assert_int_equal(selftest_tail(&q, &check), 0);
	assert_true(check.ok);
	assert_string_equal(check.name, "b, tail");
	rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slowdown_that_is_there_passes),
		cmocka_unit_test(slowdown_that_is_missed_fails),
		cmocka_unit_test(speedup_in_place_of_a_slowdown_fails),
		cmocka_unit_test(few_tries_need_only_not_contradict),
		cmocka_unit_test(equals_pass_and_false_alarms_fail),
		cmocka_unit_test(nothing_measured_fails),
		cmocka_unit_test(power_counts_tries_and_their_intervals),
		cmocka_unit_test(disturbed_rounds_are_taken_out_and_the_rest_numbered),
		cmocka_unit_test(exactly_one_call_more_passes),
		cmocka_unit_test(failing_rows_pass_only_if_all_fail_for_the_reason),
		cmocka_unit_test(tail_is_judged_where_times_are_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
