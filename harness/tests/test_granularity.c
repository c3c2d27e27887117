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
static void add_curve(struct fixture *f, const double efficiency[POINTS], int round)
{
	struct record record = point("forked", 1000, 1000, 500, round);
	double ns = 100;

	assert_int_equal(rows_add(&f->rows, &record), 0);
	for (int i = 0; i < POINTS; i++, ns *= 4) {
		record = point("fork-shm", i + 1, ns, ns / 2 / efficiency[i], round);
		assert_int_equal(rows_add(&f->rows, &record), 0);
	}
}

static struct metg metg_half(const struct fixture *f)
{
	struct groups groups;

	assert_int_equal(groups_make(&groups, &f->rows), 0);
	struct metg metg = metg_find(&groups, "fork-shm", 0, 0.5);
	groups_free(&groups);
	return metg;
}

/* Rounds that are above one half at all sizes, that cross it between the third and the fourth, that never reach it. */
static const double above[POINTS] = { 0.8, 0.8, 0.8, 0.8, 0.9 };
static const double rising[POINTS] = { 0.1, 0.3, 0.4, 0.6, 0.9 };
static const double low[POINTS] = { 0.1, 0.2, 0.3, 0.3, 0.3 };
#define ABOVE_FIRST (100 / 0.8)
#define LOW_LAST (25600 / 0.3)

static void add_rounds(struct fixture *f, int above_count, int rising_count, int low_count)
{
	int round = 0;

	while (above_count-- > 0)
		add_curve(f, above, round++);
	while (rising_count-- > 0)
		add_curve(f, rising, round++);
	while (low_count-- > 0)
		add_curve(f, low, round++);
}

static void curve_that_rises_crosses_once(void **state)
{
	struct fixture *f = *state;
	char note[METG_NOTE];

	add_rounds(f, 0, 6, 0);
	struct metg metg = metg_half(f);
	assert_string_equal(metg_note(&metg, note), "crossed");
	assert_true(metg.ns.mid > 1600 / 0.4 && metg.ns.mid < 6400 / 0.6);
	assert_true(metg.ns.level > 0.95 && metg.ns.low > 0 && isfinite(metg.ns.high));
}

/* The second point alone says 0.6; with its neighbours it says 0.45 at most, so the crossing is after the third. */
static void single_point_above_the_level_is_no_crossing(void **state)
{
	static const double spike[POINTS] = { 0.1, 0.6, 0.3, 0.7, 0.9 };
	struct fixture *f = *state;

	for (int round = 0; round < 6; round++)
		add_curve(f, spike, round);
	struct metg metg = metg_half(f);
	assert_int_equal(metg.side, METG_CROSSED);
	assert_true(metg.ns.mid > 1600 / 0.3 && metg.ns.mid < 6400 / 0.6);
}

static void rounds_without_a_crossing_count_for_the_interval(void **state)
{
	struct fixture *f = *state;
	char note[METG_NOTE];

	add_rounds(f, 3, 3, 1); /* all seven are the interval */
	struct metg metg = metg_half(f);
	assert_int_equal(metg.side, METG_CROSSED);
	assert_true(metg.ns.mid > 1600 / 0.4 && metg.ns.mid < 6400 / 0.6);
	assert_true(metg.ns.low <= 0 && isinf(metg.ns.high) && metg.ns.level > 0.95);
	assert_string_equal(metg_note(&metg, note),
			    "crossed; of 7 rounds 3 crossed, 3 began above, 1 did not reach it");
}

/* Of twelve values the interval is from the third to the tenth. */
static void five_of_twelve_rounds_that_never_reach_it_leave_no_upper_end(void **state)
{
	struct fixture *f = *state;

	add_rounds(f, 0, 7, 5);
	struct metg metg = metg_half(f);
	assert_int_equal(metg.side, METG_CROSSED);
	near(metg.ns.low, metg.ns.mid);
	assert_true(isinf(metg.ns.high));
	rows_free(&f->rows);
	f->rows = (struct rows){ 0 };
	add_rounds(f, 0, 10, 2);
	metg = metg_half(f);
	near(metg.ns.high, metg.ns.mid);
}

static void middle_that_is_only_a_bound_says_so(void **state)
{
	struct fixture *f = *state;
	char note[METG_NOTE];

	add_rounds(f, 7, 0, 0);
	struct metg metg = metg_half(f);
	assert_string_equal(metg_note(&metg, note), "below the smallest measured: at most 125 ns");
	near(metg.ns.mid, ABOVE_FIRST);
	near(metg.ns.high, ABOVE_FIRST);
	assert_true(metg.ns.low <= 0 && metg.all_below);
	rows_free(&f->rows);
	f->rows = (struct rows){ 0 };
	add_rounds(f, 0, 2, 5);
	metg = metg_half(f);
	assert_string_equal(metg_note(&metg, note), "not reached: at least 85 us; of 7 rounds 2 "
						    "crossed, 0 began above, 5 did not reach it");
	near(metg.ns.mid, LOW_LAST);
	assert_true(isinf(metg.ns.high));
}

static void assert_derived(struct fixture *f, const char *line, const char *finding)
{
	for (size_t i = 0; i < f->rows.count; i++)
		strcpy(f->rows.at[i].cell.experiment, "granularity");
	derive(f, "granularity");
	assert_contains(f->finding, finding);
	assert_null(strstr(read_file(f, "tables/granularity-floor.tsv"), "inf"));
	const char *table = read_file(f, "tables/granularity-metg.tsv");
	assert_contains(table, line);
	assert_null(strstr(table, "inf"));
	assert_null(strstr(table, "nan"));
	rows_free(&f->rows);
	f->rows = (struct rows){ 0 };
}

static void tables_and_sentence_tell_what_is_known(void **state)
{
	struct fixture *f = *state;

	add_rounds(f, 3, 9, 0);
	assert_derived(f, "\tMETG50\t6531.97\t?\t6531.97\t9\t12\tcrossed; of 12",
		       "takes at most 6.5 us of it (fork-shm");
	add_rounds(f, 9, 3, 0);
	assert_derived(f,
		       "\tMETG50\t?\t?\t6531.97\t3\t12\tbelow the smallest measured: at most 125",
		       "takes at most 6.5 us of it (fork-shm");
	add_rounds(f, 10, 2, 0);
	assert_derived(f, "\tMETG50\t?\t?\t125\t2\t12\tbelow the smallest measured: at most 125",
		       "even at the smallest tasks measured (fork-shm");
	add_rounds(f, 0, 7, 5);
	assert_derived(f, "\tMETG50\t6531.97\t6531.97\t?\t7\t12\tcrossed; of 12",
		       "The rows scatter too much");
	add_rounds(f, 0, 1, 0);
	assert_derived(f, "\tMETG50\t6531.97\t?\t?\t1\t1\tcrossed", "it takes 6 rounds");
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
	assert_contains(table, "METG90\t?\t879.84\t?\t0\t8\tnot reached: at least 941 ns");
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

/* Half of the rounds cost 10 ns beside the useful time, the others are 2 ns faster than what plain processes need: what a task costs is
 * about nothing, and how many times METG is that has no upper end. */
static void rounds_without_a_floor_count_for_it(void **state)
{
	struct fixture *f = *state;
	struct cell forked = cell_of("granularity", "forked", "map", "spin");
	struct cell pool = cell_of("granularity", process_pool(), "map", "spin");

	forked.work = 1000;
	add(f, &forked, 1000, 2000);
	for (int i = 0; i < 5; i++) {
		double serial = 4 << (2 * i);
		pool.work = i + 1;
		add(f, &pool, (serial + 10) / 2, serial);
		for (size_t k = f->rows.count - ROUNDS; i == 0 && k < f->rows.count; k++)
			if (f->rows.at[k].round % 2)
				for (int batch = 0; batch < 3; batch++)
					f->rows.at[k].ns_per_task[batch] *= 2.0 / 14;
	}
	derive(f, "granularity");
	const char *table = read_file(f, "tables/granularity-floor.tsv");
	char wanted[128];
	snprintf(wanted, sizeof wanted, "%s\t0\t", process_pool());
	assert_int_equal((int)number_at(table, wanted, 8), ROUNDS);
	near(number_at(table, wanted, 3), 0);
	assert_true(number_at(table, wanted, 4) > 9);
	assert_contains(table, "\t?\t8\n"); /* the ratio has no upper end */
	assert_null(strstr(table, "inf"));
	assert_null(strstr(table, "nan"));
}

/* Both transports cross one half, the one named first at finer tasks. */
static void add_two_pools(struct fixture *f, const char *finer, const char *coarser)
{
	struct cell cell = cell_of("granularity", coarser, "map", "spin");

	for (int i = 0; i < 4; i++) {
		double serial = 25 << (2 * i);
		cell.work = i + 1;
		add(f, &cell, (serial + 400) / 2, serial);
	}
	snprintf(cell.backend, sizeof cell.backend, "forked");
	cell.work = 1000;
	add(f, &cell, 1000, 2000);
	snprintf(cell.backend, sizeof cell.backend, "%s", finer);
	for (int i = 0; i < 4; i++) {
		double serial = 25 << (2 * i);
		cell.work = i + 1;
		add(f, &cell, (serial + 100) / 2, serial);
	}
}

static void curve_with_a_point_that_failed_is_not_the_best(void **state)
{
	const char *shm = transport_row("shm"), *pipe = transport_row("pipe");
	struct fixture *f = *state;

	add_two_pools(f, pipe, shm);
	derive(f, "granularity");
	assert_contains(f->finding, pipe);
	fail_after(f, ROUNDS - 1);
	derive(f, "granularity");
	assert_contains(f->finding, shm);
	assert_left_out(f, pipe);
	f->rows.count = 0;
	add_two_pools(f, pipe, shm);
	fail_after(f, 0); /* without any value */
	derive(f, "granularity");
	assert_left_out(f, pipe);
}

static void curve_of_too_few_rounds_does_not_win_over_an_interval(void **state)
{
	const char *shm = transport_row("shm"), *pipe = transport_row("pipe");
	struct fixture *f = *state;
	size_t kept = 0;

	add_two_pools(f, pipe, shm);
	for (size_t i = 0; i < f->rows.count; i++)
		if (strcmp(f->rows.at[i].cell.backend, pipe) != 0 || f->rows.at[i].round < 2)
			f->rows.at[kept++] = f->rows.at[i];
	f->rows.count = kept;
	derive(f, "granularity");
	assert_contains(f->finding, shm);
	assert_null(strstr(f->finding, pipe));
}

static void best_rate_that_failed_leaves_no_half(void **state)
{
	struct cell forked = cell_of("granularity", "forked", "map", "spin");
	struct fixture *f = *state;

	add_two_pools(f, transport_row("pipe"), transport_row("shm"));
	forked.work = 2000;
	add(f, &forked, 2000, 4000);
	derive(f, "granularity");
	assert_contains(f->finding, "half of the processors' time");
	fail_after(f, ROUNDS - 1);
	derive(f, "granularity");
	assert_contains(f->finding, "No crossing of 50 % efficiency");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(curve_that_rises_crosses_once),
		TEST(single_point_above_the_level_is_no_crossing),
		TEST(rounds_without_a_crossing_count_for_the_interval),
		TEST(five_of_twelve_rounds_that_never_reach_it_leave_no_upper_end),
		TEST(middle_that_is_only_a_bound_says_so),
		TEST(tables_and_sentence_tell_what_is_known),
		TEST(granularity_crossing_is_where_it_was_put),
		TEST(inline_overhead_is_the_floor_and_half_of_metg),
		TEST(rounds_without_a_floor_count_for_it),
		TEST(curve_with_a_point_that_failed_is_not_the_best),
		TEST(curve_of_too_few_rounds_does_not_win_over_an_interval),
		TEST(best_rate_that_failed_leaves_no_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
