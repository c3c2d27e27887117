/*
 * test_granularity.c - a disturbed point on an efficiency curve is no crossing.
 */
#include "harness/experiments/granularity.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 6
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(curve_that_rises_crosses_once),
		cmocka_unit_test(single_point_above_the_level_is_no_crossing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
