/*
 * test_findings.c - overhead, scaling, startup: what is derived from rows whose truth is known, and who may be named for it.
 */
#include "harness/tests/derived.h"

static void overhead_of_a_plus_b_over_c_is_fitted_exactly(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("overhead", process_pool(), "map", "noop");

	for (cell.chunk = 1; cell.chunk <= 4096; cell.chunk *= 4)
		add(f, &cell, 5 + 800.0 / (double)cell.chunk, 0);
	cell.chunk = 0;
	add(f, &cell, 6, 0);
	derive(f, "overhead");
	const char *fit = read_file(f, "tables/overhead-fit.tsv");
	near(number_at(fit, process_pool(), 2), 5 * DRIFT);
	near(number_at(fit, process_pool(), 3), 800 * DRIFT);
	assert_contains(f->finding, "On this machine");
}

static void scaling_speedup_is_paired_and_amdahl_needs_four_points(void **state)
{
	struct fixture *f = *state;
	struct cell loop = cell_of("scaling", "loop", "map", "spin");
	struct cell pool = cell_of("scaling", process_pool(), "map", "spin");

	loop.workers = 1;
	pool.workers = pool_cpus();
	add(f, &loop, 1000, 1000);
	add(f, &pool, 625, 1000);
	derive(f, "scaling");
	const char *table = read_file(f, "tables/scaling.tsv");
	for (int column = 2; column <= 4; column++) /* drift cancels: the interval is a point */
		near(number_at(table, process_pool(), column), 1.6);
	assert_contains(f->finding, "1.60 times");
	assert_contains(f->finding, "Amdahl's law is not fitted");
}

/* The figures of a run that was measured elsewhere are of the machine it was measured on. */
static void scaling_knows_the_machine_of_the_run(void **state)
{
	struct fixture *f = *state;
	struct cell loop = cell_of("scaling", "loop", "map", "spin");
	struct cell pool = cell_of("scaling", process_pool(), "map", "spin");

	write_file(f, "run.json", "{\"host\":{\"cpus_usable\":61}}");
	loop.workers = 1;
	pool.workers = 61;
	add(f, &loop, 1000, 1000);
	add(f, &pool, 20, 1000);
	derive(f, "scaling");
	assert_contains(f->finding, "50.00 times");
	assert_contains(f->finding, "within the 61 CPUs");
}

static void startup_slope_per_gib_is_fitted(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("startup", process_pool(), "open", "noop");

	for (int mib = 1; mib <= 256; mib *= 4) {
		cell.parent_bytes = (uint64_t)mib << 20;
		add(f, &cell, 100e3 + 30e6 * mib / 1024, 0);
	}
	derive(f, "startup");
	const char *table = read_file(f, "tables/startup-reuse.tsv");
	near(number_at(table, process_pool(), 1), 100 * DRIFT);
	near(number_at(table, process_pool(), 2), 30 * DRIFT);
}

static void startup_shows_what_the_system_takes(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("startup", "raw-fork", "map", "noop");

	for (int mib = 1; mib <= 256; mib *= 4) {
		cell.parent_bytes = (uint64_t)mib << 20;
		add(f, &cell, 50e3 + 20e6 * mib / 1024, 0);
	}
	derive(f, "startup");
	near(number_at(read_file(f, "tables/startup-reuse.tsv"), "raw-fork", 2), 20 * DRIFT);
	near(number_at(read_file(f, "tables/startup.tsv"), "raw-fork\tstart\t1", 3),
	     (50 + 20e3 / 1024) * DRIFT);
}

/* shm as it should be; pipe is quicker, or dearer, by this much. */
static void add_maps(struct fixture *f, double pipe_factor, int pipe_rounds, bool fails)
{
	struct cell shm = cell_of("overhead", transport_row("shm"), "map", "noop");
	struct cell pipe = cell_of("overhead", transport_row("pipe"), "map", "noop");

	for (int64_t chunk = 0; chunk < 2; chunk++) {
		shm.chunk = pipe.chunk = chunk;
		add(f, &shm, 100, 0);
		add(f, &pipe, 100 * pipe_factor, 0);
		if (fails)
			fail_after(f, pipe_rounds);
		else
			keep_rounds(f, pipe_rounds);
	}
}

static void overhead_of_a_backend_that_failed_is_not_the_cheapest(void **state)
{
	struct fixture *f = *state;

	add_maps(f, 0.5, ROUNDS - 1, true);
	derive(f, "overhead");
	assert_contains(f->finding, transport_row("shm"));
	assert_null(strstr(f->finding, transport_row("pipe")));
	f->rows.count = 0;
	add_maps(f, 2, ROUNDS - 1, true); /* nor is it the dearest */
	derive(f, "overhead");
	assert_contains(f->finding, transport_row("shm"));
	assert_null(strstr(f->finding, transport_row("pipe")));
}

static void overhead_of_too_few_rounds_does_not_win_over_an_interval(void **state)
{
	struct fixture *f = *state;

	add_maps(f, 0.5, 2, false);
	derive(f, "overhead");
	assert_contains(f->finding, transport_row("shm"));
	assert_null(strstr(f->finding, transport_row("pipe")));
}

static void overhead_of_processes_that_failed_is_not_told(void **state)
{
	const struct pool_backend_info *row[ROWS_MAX];
	struct fixture *f = *state;

	assert_true(grid_rows(PICK_EACH, row) > 0);
	struct cell each = cell_of("overhead", row[0]->name, "map", "noop");
	add_maps(f, 2, ROUNDS, false);
	add(f, &each, 1e6, 0);
	derive(f, "overhead");
	assert_contains(f->finding, "A process for each task costs 1.0 ms");
	fail_after(f, ROUNDS - 1);
	derive(f, "overhead");
	assert_null(strstr(f->finding, "A process for each task"));
}

/* The serial loop and two pools on all CPUs, pipe the faster one. */
static void add_speedups(struct fixture *f)
{
	struct cell loop = cell_of("scaling", "loop", "map", "spin");
	struct cell shm = cell_of("scaling", transport_row("shm"), "map", "spin");
	struct cell pipe = cell_of("scaling", transport_row("pipe"), "map", "spin");

	loop.workers = 1;
	shm.workers = pipe.workers = pool_cpus();
	add(f, &loop, 1000, 1000);
	add(f, &shm, 625, 1000);
	add(f, &pipe, 500, 1000);
}

static void scaling_of_a_backend_that_failed_is_not_the_best(void **state)
{
	struct fixture *f = *state;

	add_speedups(f);
	derive(f, "scaling");
	assert_contains(f->finding, "2.00 times");
	fail_after(f, ROUNDS - 1);
	derive(f, "scaling");
	assert_contains(f->finding, "1.60 times");
	assert_null(strstr(f->finding, transport_row("pipe")));
}

static void scaling_of_too_few_rounds_does_not_win_over_an_interval(void **state)
{
	struct fixture *f = *state;

	add_speedups(f);
	keep_rounds(f, 2);
	derive(f, "scaling");
	assert_contains(f->finding, "1.60 times");
}

static void scaling_over_a_loop_that_failed_is_not_told(void **state)
{
	struct cell loop = cell_of("scaling", "loop", "map", "spin");
	struct cell pool = cell_of("scaling", process_pool(), "map", "spin");
	struct fixture *f = *state;

	pool.workers = pool_cpus();
	loop.workers = 1;
	add(f, &pool, 625, 1000);
	add(f, &loop, 1000, 1000);
	fail_after(f, ROUNDS - 1);
	derive(f, "scaling");
	assert_contains(f->finding, "The rows do not tell a speedup");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(overhead_of_a_plus_b_over_c_is_fitted_exactly),
		TEST(scaling_speedup_is_paired_and_amdahl_needs_four_points),
		TEST(scaling_knows_the_machine_of_the_run),
		TEST(startup_slope_per_gib_is_fitted),
		TEST(startup_shows_what_the_system_takes),
		TEST(overhead_of_a_backend_that_failed_is_not_the_cheapest),
		TEST(overhead_of_too_few_rounds_does_not_win_over_an_interval),
		TEST(overhead_of_processes_that_failed_is_not_told),
		TEST(scaling_of_a_backend_that_failed_is_not_the_best),
		TEST(scaling_of_too_few_rounds_does_not_win_over_an_interval),
		TEST(scaling_over_a_loop_that_failed_is_not_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
