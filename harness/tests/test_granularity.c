/*
 * test_granularity.c - METG from rows whose truth is known; a disturbed point on an efficiency curve is no crossing.
 */
#include "harness/experiments/granularity.h"
#include "harness/tests/derived.h"

#define POINTS 5

static struct record point(const char *backend, int64_t work, double serial_ns, double ns,
			   int round)
{
	struct record record = { .round = round, .verified = true, .samples = 1 };

	snprintf(record.cell.backend, sizeof record.cell.backend, "%s", backend);
	snprintf(record.cell.variant, sizeof record.cell.variant, "map");
	snprintf(record.cell.workload, sizeof record.cell.workload, "spin");
	record.cell.workers = 2;
	record.cell.work = work;
	record.serial_ns_per_task = serial_ns;
	record.ns_per_task[0] = ns;
	return record;
}

/* Tasks of 100 * 4^i ns on two workers, best possible 50 * 4^i; efficiency as given. */
static struct interval metg_of(const double efficiency[POINTS], const char **note)
{
	struct record at[ROUNDS * (POINTS + 1)];
	struct rows rows = { at, 0, 0 };
	struct groups groups;

	for (int round = 0; round < ROUNDS; round++) {
		double ns = 100;
		at[rows.count++] = point("forked", 1000, 1000, 500, round);
		for (int i = 0; i < POINTS; i++, ns *= 4)
			at[rows.count++] =
				point("fork-shm", i + 1, ns, ns / 2 / efficiency[i], round);
	}
	assert_int_equal(groups_make(&groups, &rows), 0);
	struct interval at_level = granularity_metg(&groups, "fork-shm", 0, 0.5, note);
	groups_free(&groups);
	return at_level;
}

static void curve_that_rises_crosses_once(void **state)
{
	static const double rising[POINTS] = { 0.1, 0.3, 0.4, 0.6, 0.9 };
	const char *note;
	struct interval at = metg_of(rising, &note);

	(void)state;
	assert_string_equal(note, "crossed");
	assert_true(at.mid > 1600 / 0.4 &&
		    at.mid < 6400 / 0.6); /* between the third and the fourth */
}

/* The second point alone says 0.6; with its neighbours it says 0.45 at most, so the crossing is after the third. */
static void single_point_above_the_level_is_no_crossing(void **state)
{
	static const double spike[POINTS] = { 0.1, 0.6, 0.3, 0.7, 0.9 };
	const char *note;
	struct interval at = metg_of(spike, &note);

	(void)state;
	assert_string_equal(note, "crossed");
	assert_true(at.mid > 1600 / 0.3 && at.mid < 6400 / 0.6);
}

/* Efficiency 13/52 at granularity 2 x 52 ns and 351/468 at 2 x 468 ns: one half is crossed at their geometric mean. */
static void granularity_crossing_is_where_it_was_put(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("granularity", "forked", "map", "spin");
	struct cell pool = cell_of("granularity", process_pool(), "map", "spin");

	cell.work = 1000;
	add(f, &cell, 1000, 2000); /* one step a ns: the best rate */
	pool.work = 13;
	add(f, &pool, 52, 26);
	pool.work = 351;
	add(f, &pool, 468, 702);
	derive(f, "granularity");
	const char *table = read_file(f, "tables/granularity-metg.tsv");
	double slow = 1 - 0.01 * 6, fast = 1 + 0.01 * 7;
	near(number_at(table, process_pool(), 3), sqrt(104 * 936.0) * DRIFT);
	assert_true(number_at(table, process_pool(), 4) >= sqrt(104 * 936.0) * slow * 0.999);
	assert_true(number_at(table, process_pool(), 5) <= sqrt(104 * 936.0) * fast * 1.001);
	assert_contains(table, "METG90\t?\t?\t?\t0\t8\tnot reached");
}

/* 100 ns of overhead paid inline by two workers: efficiency is one half where the task takes as long. */
static void inline_overhead_is_the_floor_and_half_of_metg(void **state)
{
	struct fixture *f = *state;
	struct cell forked = cell_of("granularity", "forked", "map", "spin");
	struct cell pool = cell_of("granularity", process_pool(), "map", "spin");

	forked.work = 1000;
	add(f, &forked, 1000, 2000);
	for (int i = 0; i < 5; i++) {
		double serial = 25 << i;
		pool.work = i + 1;
		add(f, &pool, (serial + 100) / 2, serial);
	}
	derive(f, "granularity");
	const char *table = read_file(f, "tables/granularity-floor.tsv");
	near(number_at(table, process_pool(), 2), 100 * DRIFT);
	near(number_at(table, process_pool(), 5), 1);
	assert_int_equal((int)number_at(table, process_pool(), 8), ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(curve_that_rises_crosses_once),
		cmocka_unit_test(single_point_above_the_level_is_no_crossing),
		TEST(granularity_crossing_is_where_it_was_put),
		TEST(inline_overhead_is_the_floor_and_half_of_metg),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
