/*
 * test_io.c - the experiment io, from rows whose rates and memory are known.
 */
#include "harness/tests/derived.h"

static const char *threads(void)
{
	const struct pool_backend_info *row[ROWS_MAX];

	assert_true(grid_rows(PICK_THREADS, row) > 0);
	return row[0]->name;
}

#define LATE 1.1 /* a bare wait takes so many times as long as it was asked for */

/* `share` of the 1000 waits a second that each worker could do; memory fixed_kib and each_kib a worker. */
static void add_workers(struct fixture *f, const char *backend, int workers, double share,
			int64_t fixed_kib, int64_t each_kib)
{
	struct cell cell = cell_of("io", backend, "map", "sleep");
	size_t first = f->rows.count;

	cell.workers = workers;
	cell.work = 1000;
	snprintf(cell.probe, sizeof cell.probe, "memory");
	add(f, &cell, 1e6 / workers / share, 0);
	for (size_t i = first; i < f->rows.count; i++) {
		f->rows.at[i].pss_peak_kib = fixed_kib + each_kib * workers;
		f->rows.at[i].serial_ns_per_task =
			LATE * f->rows.at[i].ns_per_task[0] * workers * share;
	}
}

static void add_series(struct fixture *f, const char *backend, double share, int64_t each_kib)
{
	for (int workers = 1; workers <= 64; workers *= 4)
		add_workers(f, backend, workers, share, 2000, each_kib);
}

static void slope_of_memory_is_what_a_worker_costs(void **state)
{
	struct fixture *f = *state;

	add_series(f, transport_row("shm"), 0.5, 512);
	add_series(f, threads(), 0.8, 64);
	derive(f, "io");
	const char *costs = read_file(f, "tables/io-cost.tsv");
	near(number_at(costs, transport_row("shm"), 1), 0.5);
	near(number_at(costs, threads(), 1), 0.0625);
	assert_int_equal((int)number_at(costs, threads(), 4), ROUNDS);
	assert_int_equal((int)number_at(costs, threads(), 5), 64);
	near(number_at(costs, transport_row("shm"), 6), 50 * LATE);
	near(number_at(costs, transport_row("shm"), 9), 1000 / LATE / DRIFT);
	assert_contains(f->finding, "A waiting process takes 0.5 MiB");
	assert_contains(f->finding, "a waiting thread 0.062 MiB");
	assert_contains(f->finding, "threads take 0.62 times as long, 0.62 to 0.62");
}

static void table_has_rates_and_memory_by_workers(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_workers(f, transport_row("shm"), 16, 0.75, 1024, 64);
	derive(f, "io");
	snprintf(start, sizeof start, "%s\t16", transport_row("shm"));
	const char *table = read_file(f, "tables/io.tsv");
	near(number_at(table, start, 2), 12000 / DRIFT);
	near(number_at(table, start, 5), 2);
	assert_contains(f->finding, "The rows do not tell");
}

static void rows_without_memory_have_no_cost(void **state)
{
	struct fixture *f = *state;

	add_series(f, transport_row("shm"), 0.5, 512);
	add_series(f, threads(), 0.8, 64);
	for (size_t i = 0; i < f->rows.count; i++)
		f->rows.at[i].pss_peak_kib = 0;
	derive(f, "io");
	assert_contains(f->finding, "The rows do not tell");
	assert_null(strstr(f->finding, "On this machine"));
}

/* Memory that differs from round to round by more than the workers add. */
static void cost_that_drowns_in_noise_is_not_told(void **state)
{
	struct fixture *f = *state;

	add_series(f, transport_row("shm"), 0.5, 512);
	add_series(f, threads(), 0.5, 4);
	for (size_t i = 0; i < f->rows.count; i++)
		if (strcmp(f->rows.at[i].cell.backend, threads()) == 0)
			f->rows.at[i].pss_peak_kib +=
				f->rows.at[i].round % 2 * 100 * (64 - f->rows.at[i].cell.workers);
	derive(f, "io");
	assert_contains(f->finding, "a waiting thread too little memory to be told from none");
	assert_contains(f->finding, "which of them is faster cannot be told");
}

/* Threads with 64 workers fail in the last round; the other side stays as it is. */
static void sides_are_compared_at_the_most_workers_that_both_have(void **state)
{
	struct fixture *f = *state;

	add_series(f, transport_row("shm"), 0.5, 512);
	add_series(f, threads(), 0.8, 64);
	derive(f, "io");
	assert_contains(f->finding, "64 processes");
	assert_contains(f->finding, "64 threads");
	fail_after(f, ROUNDS - 1);
	derive(f, "io");
	assert_contains(f->finding, "16 processes");
	assert_contains(f->finding, "16 threads do 88 %");
	assert_contains(f->finding, "threads take 0.62 times as long");
	assert_null(strstr(f->finding, "64"));
	f->rows.count -= 6; /* right, and in too few rounds */
	derive(f, "io");
	assert_contains(f->finding, "16 processes");
}

static void sides_that_have_no_number_of_workers_in_common_are_not_compared(void **state)
{
	struct fixture *f = *state;

	add_series(f, transport_row("shm"), 0.5, 512);
	for (int workers = 2; workers <= 32; workers *= 4)
		add_workers(f, threads(), workers, 0.8, 2000, 64);
	derive(f, "io");
	assert_contains(f->finding, "The rows do not tell");
}

/* A run that was interrupted: of one worker there are three rounds. */
static void rounds_without_the_fewest_workers_have_a_slope_too(void **state)
{
	struct fixture *f = *state;

	add_series(f, transport_row("shm"), 0.5, 512);
	add_workers(f, threads(), 1, 0.8, 2000, 64);
	keep_rounds(f, 3);
	for (int workers = 4; workers <= 64; workers *= 4)
		add_workers(f, threads(), workers, 0.8, 2000, 64);
	derive(f, "io");
	const char *costs = read_file(f, "tables/io-cost.tsv");
	near(number_at(costs, threads(), 1), 0.0625);
	assert_int_equal((int)number_at(costs, threads(), 4), ROUNDS);
	assert_contains(f->finding, "a waiting thread 0.062 MiB");
}

/* Its memory is not that of the line, and it failed after three rounds. */
static void memory_of_what_failed_is_in_no_slope(void **state)
{
	struct fixture *f = *state;

	add_series(f, transport_row("shm"), 0.5, 512);
	add_workers(f, threads(), 2, 0.8, 200000, 64);
	fail_after(f, 3);
	add_series(f, threads(), 0.8, 64);
	derive(f, "io");
	near(number_at(read_file(f, "tables/io-cost.tsv"), threads(), 2), 0.0625);
	assert_contains(f->finding, "a waiting thread 0.062 MiB (95 % interval 0.062 to 0.062)");
}

static void plans_are_sensible_and_bounded(void **state)
{
	(void)state;
	check_plans("io", 10, 60);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(slope_of_memory_is_what_a_worker_costs),
		TEST(table_has_rates_and_memory_by_workers),
		TEST(rows_without_memory_have_no_cost),
		TEST(cost_that_drowns_in_noise_is_not_told),
		TEST(sides_are_compared_at_the_most_workers_that_both_have),
		TEST(sides_that_have_no_number_of_workers_in_common_are_not_compared),
		TEST(rounds_without_the_fewest_workers_have_a_slope_too),
		TEST(memory_of_what_failed_is_in_no_slope),
		TEST(plans_are_sensible_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
