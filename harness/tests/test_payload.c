/*
 * test_payload.c - the experiment payload, from rows whose line is known.
 */
#include "harness/tests/derived.h"

#define ALPHA_NS 500.0
#define BYTE_NS 0.25 /* 4000 MB/s; half-performance length 2000 bytes */

static void add_payload(struct fixture *f, const char *backend, const char *workload,
			uint64_t bytes, double ns)
{
	struct cell cell = cell_of("payload", backend, "map", workload);

	cell.chunk = 1;
	cell.payload_bytes = bytes;
	add(f, &cell, ns, 0);
}

static void add_line(struct fixture *f, const char *backend, const char *workload, double alpha_ns)
{
	for (uint64_t bytes = 1; bytes <= UINT64_C(1) << 20; bytes <<= 5)
		add_payload(f, backend, workload, bytes, alpha_ns + BYTE_NS * (double)bytes);
}

static void line_of_alpha_and_beta_is_fitted_exactly(void **state)
{
	struct fixture *f = *state;

	add_line(f, transport_row("shm"), "stream", ALPHA_NS);
	add_line(f, transport_row("shm"), "emit", 2 * ALPHA_NS);
	derive(f, "payload");
	const char *fits = read_file(f, "tables/payload-fit.tsv");
	char in[64], out[64];
	snprintf(in, sizeof in, "in\t%s\town", transport_row("shm"));
	snprintf(out, sizeof out, "out\t%s\town", transport_row("shm"));
	near(number_at(fits, in, 3), ALPHA_NS * DRIFT);
	near(number_at(fits, in, 6), 1e3 / BYTE_NS / DRIFT);
	near(number_at(fits, in, 9), ALPHA_NS / BYTE_NS);
	near(number_at(fits, in, 12), 1);
	assert_int_equal((int)number_at(fits, in, 13), ROUNDS);
	near(number_at(fits, out, 9), 2 * ALPHA_NS / BYTE_NS);
	assert_contains(f->finding, "On this machine");
	assert_contains(f->finding, "2.0 KiB");
	assert_null(strstr(f->finding, "straight line"));
}

static void rates_are_bytes_and_tasks_by_time(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_payload(f, transport_row("pipe"), "emit", 1000, 2000);
	add_payload(f, "raw-memcpy", "stream", 1000, 100);
	derive(f, "payload");
	const char *rates = read_file(f, "tables/payload.tsv");
	snprintf(start, sizeof start, "out\t%s\town\t1000", transport_row("pipe"));
	near(number_at(rates, start, 4), 500 / DRIFT);
	near(number_at(rates, start, 7), 500e3 / DRIFT);
	near(number_at(rates, "in\traw-memcpy\town\t1000", 4), 10000 / DRIFT);
	/* A roof has no line of its own. */
	assert_null(strstr(read_file(f, "tables/payload-fit.tsv"), "raw-memcpy"));
}

static void line_that_falls_or_has_two_sizes_is_none(void **state)
{
	struct fixture *f = *state;

	for (uint64_t bytes = 1; bytes <= 1024; bytes <<= 5)
		add_payload(f, transport_row("shm"), "stream", bytes, 5000 - (double)bytes);
	add_payload(f, transport_row("pipe"), "stream", 1, 100);
	add_payload(f, transport_row("pipe"), "stream", 1024, 1000);
	derive(f, "payload");
	assert_contains(f->finding, "The rows do not tell");
	assert_null(strstr(f->finding, "On this machine"));
}

/* In `odd` of the rounds the line is another. */
static void add_odd_rounds(struct fixture *f, int odd, double alpha_ns, double byte_ns)
{
	add_line(f, transport_row("shm"), "stream", ALPHA_NS);
	for (size_t i = 0; i < f->rows.count; i++) {
		struct record *record = &f->rows.at[i];
		double bytes = (double)record->cell.payload_bytes;
		for (int k = 0; k < record->samples && record->round < odd; k++)
			record->ns_per_task[k] = alpha_ns + byte_ns * bytes;
	}
}

static void assert_fit(struct fixture *f, int column, const char *wanted)
{
	char start[64], *field;

	snprintf(start, sizeof start, "in\t%s\town\t", transport_row("shm"));
	field = strstr(read_file(f, "tables/payload-fit.tsv"), start);
	assert_non_null(field);
	while (column-- > 0)
		field = strchr(field, '\t') + 1;
	if (strncmp(field, wanted, strlen(wanted)) != 0)
		fail_msg("'%s' does not begin: %s", wanted, field);
}

/* Of eight values the interval is from the first to the last. */
static void round_whose_line_falls_leaves_no_bandwidth_certain(void **state)
{
	struct fixture *f = *state;

	add_odd_rounds(f, 1, 5000, -0.004);
	derive(f, "payload");
	assert_fit(f, 8, "?\t");
	assert_fit(f, 11, "?\t1.000\t8\n"); /* high of the half size, r2, rounds */
	assert_contains(f->finding, "The rows do not tell");
	rows_free(&f->rows);
	f->rows = (struct rows){ 0 };
	add_odd_rounds(f, 5, 5000, -0.004);
	derive(f, "payload");
	assert_fit(f, 6, "?\t");
	assert_fit(f, 9, "?\t");
	assert_null(strstr(f->text, "inf"));
}

static void round_whose_line_begins_below_zero_counts_as_zero(void **state)
{
	struct fixture *f = *state;

	add_odd_rounds(f, 1, -0.2, 0.25);
	derive(f, "payload");
	assert_fit(f, 4, "0\t");
	assert_fit(f, 10, "0\t");
	assert_contains(f->finding, "The rows do not tell");
}

static void curve_that_is_no_line_is_called_one_nowhere(void **state)
{
	struct fixture *f = *state;

	/* A step: cheap up to 32 KiB, then ten times as dear. */
	for (uint64_t bytes = 1; bytes <= UINT64_C(1) << 20; bytes <<= 5)
		add_payload(f, transport_row("pipe"), "stream", bytes,
			    bytes < 32768 ? 500 : 100000 + (double)bytes / 1e3);
	derive(f, "payload");
	assert_contains(f->finding, "A straight line describes these times badly");
}

/* Its times before are a selection, and in the others the line would be one through fewer sizes. */
static void size_that_failed_in_a_round_is_in_no_line(void **state)
{
	struct fixture *f = *state;

	add_payload(f, transport_row("shm"), "stream", 2, 1e5);
	fail_after(f, 5);
	for (uint64_t bytes = 1; bytes <= 1024; bytes <<= 5)
		add_payload(f, transport_row("shm"), "stream", bytes,
			    ALPHA_NS + BYTE_NS * (double)bytes);
	add_payload(f, transport_row("shm"), "stream", 32768, 1e6);
	fail_after(f, 3);
	derive(f, "payload");
	assert_fit(f, 12, "1.000\t8\n"); /* r2, rounds */
	assert_fit(f, 9, "2000\t2000\t2000\t");
	assert_contains(read_file(f, "tables/payload.tsv"), "\town\t32768\t");
	rows_free(&f->rows);
	f->rows = (struct rows){ 0 };
	add_line(f, transport_row("shm"), "stream", ALPHA_NS);
	for (size_t i = 0; i < f->rows.count; i++)
		f->rows.at[i].verified = f->rows.at[i].round < ROUNDS - 1;
	derive(f, "payload");
	assert_contains(f->finding, "The rows do not tell");
}

/* A run that was interrupted: of one size, the first, there are three rounds. */
static void rounds_without_the_smallest_size_have_a_line_too(void **state)
{
	struct fixture *f = *state;

	add_payload(f, transport_row("shm"), "stream", 1, ALPHA_NS);
	keep_rounds(f, 3);
	for (uint64_t bytes = 32; bytes <= 32768; bytes <<= 5)
		add_payload(f, transport_row("shm"), "stream", bytes,
			    ALPHA_NS + BYTE_NS * (double)bytes);
	derive(f, "payload");
	assert_fit(f, 12, "1.000\t8\n");
	assert_contains(f->finding, "On this machine");
}

static void memory_of_the_pool_is_a_series_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("payload", transport_row("shm"), "map", "stream");
	char own[64], pool[64];

	add_line(f, transport_row("shm"), "stream", ALPHA_NS);
	cell.chunk = 1;
	cell.pool_memory = true;
	for (cell.payload_bytes = 1; cell.payload_bytes <= 4096; cell.payload_bytes <<= 4)
		add(f, &cell, 3 * ALPHA_NS + (double)cell.payload_bytes, 0);
	derive(f, "payload");
	const char *fits = read_file(f, "tables/payload-fit.tsv");
	snprintf(own, sizeof own, "in\t%s\town", transport_row("shm"));
	snprintf(pool, sizeof pool, "in\t%s\tpool", transport_row("shm"));
	near(number_at(fits, own, 9), ALPHA_NS / BYTE_NS);
	near(number_at(fits, pool, 9), 3 * ALPHA_NS);
}

static void plans_are_sensible_and_bounded(void **state)
{
	(void)state;
	check_plans("payload", 26, 150);
	for (int level = 0; level < 3; level++) {
		struct plan plan;
		uint64_t most = 0;
		plan_init(&plan, level, 1, 1);
		assert_int_equal(plan_add_experiment(&plan, experiment_find("payload")), 0);
		for (size_t i = 0; i < plan.count; i++) {
			const struct cell *cell = &plan.cells[i];
			uint64_t bytes = cell->payload_bytes * cell->tasks;
			assert_true(cell->payload_bytes >= 1 && cell->tasks >= 1);
			assert_int_equal(cell->chunk, 1);
			/* 4 MiB, or a payload for each worker. */
			assert_true(bytes <= UINT64_C(4) << 20 ||
				    cell->tasks == (uint64_t)plan.scale.cpus);
			most = cell->payload_bytes > most ? cell->payload_bytes : most;
		}
		assert_true(most <= UINT64_C(64) << 20);
		plan_free(&plan);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(line_of_alpha_and_beta_is_fitted_exactly),
		TEST(rates_are_bytes_and_tasks_by_time),
		TEST(line_that_falls_or_has_two_sizes_is_none),
		TEST(round_whose_line_falls_leaves_no_bandwidth_certain),
		TEST(round_whose_line_begins_below_zero_counts_as_zero),
		TEST(curve_that_is_no_line_is_called_one_nowhere),
		TEST(size_that_failed_in_a_round_is_in_no_line),
		TEST(rounds_without_the_smallest_size_have_a_line_too),
		TEST(memory_of_the_pool_is_a_series_of_its_own),
		TEST(plans_are_sensible_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
