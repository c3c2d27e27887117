/*
 * test_findings.c - overhead, scaling, startup: what is derived from rows whose truth is known, and who may be named for it.
 */
#include "harness/probe.h"
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
	near(number_at(fit, process_pool(), 5), 800 * DRIFT);
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

/* 1, 2, 4 and 8 workers on 8 CPUs; a task takes so long with each. */
static void add_workers(struct fixture *f, const double ns[4])
{
	struct cell loop = cell_of("scaling", "loop", "map", "spin");
	struct cell pool = cell_of("scaling", process_pool(), "map", "spin");

	write_file(f, "run.json", "{\"host\":{\"cpus_usable\":8}}");
	f->rows.count = 0;
	loop.workers = 1;
	add(f, &loop, 1000, 1000);
	for (int i = 0; i < 4; i++) {
		pool.workers = 1 << i;
		add(f, &pool, ns[i], 1000);
	}
	derive(f, "scaling");
}

static void scaling_tells_a_serial_share_only_if_there_can_be_one(void **state)
{
	struct fixture *f = *state;

	add_workers(f, (const double[]){ 1000, 550, 325, 212.5 }); /* 0.1 + 0.9 / p */
	assert_contains(f->finding, " Amdahl's law gives a serial share of 10.0 %.");
	add_workers(f, (const double[]){ 1000, 475, 220,
					 100 }); /* each worker gains more than its share */
	assert_contains(f->finding, " By Amdahl's law no serial share can be seen.");
	add_workers(f, (const double[]){ 500, 800, 900, 950 }); /* each one more costs */
	assert_contains(f->finding, " Amdahl's law says nothing: more workers are not faster.");
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

/* Only the rounds with most calls know a far percentile, and those were the quicker ones: the curve must not turn back. */
static void latency_tail_that_a_round_does_not_know_is_not_told(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("latency", process_pool(), "apply", "noop");

	add(f, &cell, 10e3, 0);
	for (int round = 0; round < ROUNDS; round++) {
		struct record *record = &f->rows.at[round];
		record->profile = PROBE_EXCEEDANCES;
		for (int i = 0; i < PROBE_EXCEEDANCES; i++)
			record->profile_ns[i] = probe_exceedance[i] >= .01 ? 10e3 : 0;
		record->profile_ns[probe_exceedance_find(.001)] = 120e3;
	}
	derive(f, "latency");
	assert_contains(f->finding, "in 0.1 % 120 us");
	assert_contains(read_file(f, "tables/latency.tsv"), "\t0.001\t120\t");
	f->rows.at[3].profile_ns[probe_exceedance_find(.001)] = 0;
	derive(f, "latency");
	assert_contains(f->finding, "too few calls for 0.1 %");
	assert_null(strstr(read_file(f, "tables/latency.tsv"), "\t0.001\t"));
	assert_contains(read_file(f, "tables/latency-percentiles.tsv"), "\tp99.9\t?\t?\t?\t7\n");
	fail_after(f, 6); /* its six rounds with an interval are a selection */
	derive(f, "latency");
	assert_contains(f->finding, "The rows do not tell");
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

/* A run that was interrupted: of the smallest parent there are three rounds. */
static void startup_slope_is_of_all_rounds_that_have_one(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("startup", process_pool(), "open", "noop");

	for (int mib = 1; mib <= 256; mib *= 4) {
		cell.parent_bytes = (uint64_t)mib << 20;
		add(f, &cell, 100e3 + 30e6 * mib / 1024, 0);
		if (mib == 1)
			keep_rounds(f, 3);
	}
	derive(f, "startup");
	const char *table = read_file(f, "tables/startup-reuse.tsv");
	assert_int_equal((int)number_at(table, process_pool(), 9), ROUNDS);
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
	assert_left_out(f, transport_row("pipe"));
	f->rows.count = 0;
	add_maps(f, 2, ROUNDS - 1, true); /* nor is it the dearest */
	derive(f, "overhead");
	assert_contains(f->finding, transport_row("shm"));
	assert_left_out(f, transport_row("pipe"));
}

static void overhead_of_too_few_rounds_does_not_win_over_an_interval(void **state)
{
	struct fixture *f = *state;

	add_maps(f, 0.5, 2, false);
	derive(f, "overhead");
	assert_contains(f->finding, transport_row("shm"));
	assert_null(strstr(f->finding, transport_row("pipe")));
}

/* Nothing was wrong with the rows of another call. */
static void overhead_without_map_is_not_told(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("overhead", process_pool(), "imap", "noop");

	add(f, &cell, 100, 0);
	derive(f, "overhead");
	assert_string_equal(f->finding, "The rows do not tell what a task costs: it takes map of a "
					"pool of processes at chunk 1 and at the automatic one, "
					"right in each round.");
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
	assert_left_out(f, transport_row("pipe"));
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

/* Of all cells. */
static void keep_first(struct fixture *f, int rounds)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->rows.count; i++)
		if (f->rows.at[i].round < rounds)
			f->rows.at[kept++] = f->rows.at[i];
	f->rows.count = kept;
}

/* 100 us and slope_ms a GiB; with the largest parent, `scatter` times as long or as short in turn. */
static void add_starts(struct fixture *f, const char *backend, double slope_ms, double scatter)
{
	struct cell cell = cell_of("startup", backend, "open", "noop");

	for (int mib = 1; mib <= 256; mib *= 4) {
		cell.parent_bytes = (uint64_t)mib << 20;
		add(f, &cell, 100e3 + slope_ms * 1e6 * mib / 1024, 0);
		for (size_t i = f->rows.count - ROUNDS; mib == 256 && i < f->rows.count; i++)
			for (int k = 0; k < 3; k++)
				f->rows.at[i].ns_per_task[k] *= i % 2 ? scatter : 1 / scatter;
	}
}

static void startup_names_a_slope_only_if_its_interval_is_above_none(void **state)
{
	const char *shm = transport_row("shm"), *pipe = transport_row("pipe");
	struct fixture *f = *state;

	add_starts(f, pipe, 30, 1);
	add_starts(f, shm, 0.1, 1.5);
	derive(f, "startup");
	const char *table = read_file(f, "tables/startup-reuse.tsv");
	near(number_at(table, pipe, 3), 30 * 0.94);
	near(number_at(table, pipe, 4), 30 * 1.07);
	assert_true(number_at(table, shm, 3) < 0);
	assert_int_equal((int)number_at(table, pipe, 9), ROUNDS);
	assert_contains(f->finding, "adds 30.1 ms (95 % interval 28.2 to 32.1) to the start");
	assert_contains(f->finding, "and nothing that can be seen to one of");
}

static void startup_of_too_few_rounds_tells_no_numbers(void **state)
{
	struct fixture *f = *state;

	add_starts(f, transport_row("pipe"), 30, 1);
	add_starts(f, transport_row("shm"), 1, 1);
	keep_first(f, 5);
	derive(f, "startup");
	assert_contains(f->finding, "too few rounds");
	assert_null(strstr(f->finding, " ms"));
	assert_contains(read_file(f, "tables/startup-reuse.tsv"), "\t?\t?\t");
}

/* A pool of two workers costs 200 us, a task 1 us in it and 101 us in a process of its own. */
static void add_reuse(struct fixture *f)
{
	const struct pool_backend_info *row[ROWS_MAX];

	assert_true(grid_rows(PICK_EACH, row) > 0);
	struct cell open = cell_of("startup", process_pool(), "open", "noop");
	struct cell task = cell_of("startup", process_pool(), "map", "noop");
	struct cell each = cell_of("startup", row[0]->name, "map", "noop");
	open.parent_bytes = task.parent_bytes = each.parent_bytes = 1 << 20;
	open.workers = 2;
	add(f, &open, 100e3, 0);
	add(f, &task, 1e3, 0);
	add(f, &each, 101e3, 0);
}

static void startup_beside_what_failed_is_not_told(void **state)
{
	struct fixture *f = *state;

	add_reuse(f);
	derive(f, "startup");
	assert_contains(f->finding, "pays for its start");
	fail_after(f, ROUNDS - 1); /* a process for each task */
	derive(f, "startup");
	assert_null(strstr(f->finding, "pays for its start"));
}

static void startup_tells_from_how_many_tasks_on_a_pool_pays(void **state)
{
	struct fixture *f = *state;

	add_reuse(f);
	derive(f, "startup");
	const char *table = read_file(f, "tables/startup-reuse.tsv");
	for (int column = 6; column <= 8; column++) /* paired: the rounds' drift cancels */
		near(number_at(table, process_pool(), column), 2);
	assert_contains(f->finding, "from 2 tasks on (median 2, 95 % interval 2 to 2)");
	keep_rounds(f, 5);
	derive(f, "startup");
	assert_null(strstr(f->finding, "from about"));
	assert_contains(f->finding, "too few rounds");
}

/* In half of the rounds a process of its own is quicker than the pool: there is no number from which on the pool pays. */
static void startup_without_an_end_of_reuse_tells_no_number(void **state)
{
	struct fixture *f = *state;

	add_reuse(f);
	for (size_t i = f->rows.count - 3; i < f->rows.count; i++)
		for (int k = 0; k < 3; k++)
			f->rows.at[i].ns_per_task[k] = 100;
	derive(f, "startup");
	assert_null(strstr(f->finding, "from about"));
	assert_null(strstr(read_file(f, "tables/startup-reuse.tsv"), "inf"));
}

static void overhead_is_told_with_its_interval(void **state)
{
	struct fixture *f = *state;

	add_maps(f, 2, ROUNDS, false);
	derive(f, "overhead");
	assert_contains(f->finding, "costs 100 ns at chunk 1 (");
	assert_contains(f->finding, "95 % interval 94 ns to 107 ns");
	assert_null(strstr(f->finding, "too few"));
	keep_first(f, 5);
	derive(f, "overhead");
	assert_contains(f->finding, "too few rounds for an interval");
	assert_null(strstr(f->finding, "95 %"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(overhead_of_a_plus_b_over_c_is_fitted_exactly),
		TEST(scaling_speedup_is_paired_and_amdahl_needs_four_points),
		TEST(scaling_tells_a_serial_share_only_if_there_can_be_one),
		TEST(scaling_knows_the_machine_of_the_run),
		TEST(latency_tail_that_a_round_does_not_know_is_not_told),
		TEST(startup_slope_per_gib_is_fitted),
		TEST(startup_slope_is_of_all_rounds_that_have_one),
		TEST(startup_shows_what_the_system_takes),
		TEST(overhead_of_a_backend_that_failed_is_not_the_cheapest),
		TEST(overhead_of_too_few_rounds_does_not_win_over_an_interval),
		TEST(overhead_without_map_is_not_told),
		TEST(overhead_of_processes_that_failed_is_not_told),
		TEST(scaling_of_a_backend_that_failed_is_not_the_best),
		TEST(scaling_of_too_few_rounds_does_not_win_over_an_interval),
		TEST(scaling_over_a_loop_that_failed_is_not_told),
		TEST(startup_names_a_slope_only_if_its_interval_is_above_none),
		TEST(startup_of_too_few_rounds_tells_no_numbers),
		TEST(startup_tells_from_how_many_tasks_on_a_pool_pays),
		TEST(startup_beside_what_failed_is_not_told),
		TEST(startup_without_an_end_of_reuse_tells_no_number),
		TEST(overhead_is_told_with_its_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
