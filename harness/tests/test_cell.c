/*
 * test_cell.c - measuring cells in this process: what is right is verified, what is wrong is found, what makes no sense
 * is refused.
 */
#include "harness/bench.h"
#include "harness/cell.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static const struct cell_setup setup = { .seed = 1 };

static struct cell make_cell(const char *backend, const char *variant, const char *workload)
{
	struct cell cell = { .tasks = 100, .workers = 2, .batch_ns = 100000, .batches = 2 };

	snprintf(cell.backend, sizeof cell.backend, "%s", backend);
	snprintf(cell.variant, sizeof cell.variant, "%s", variant);
	snprintf(cell.workload, sizeof cell.workload, "%s", workload);
	return cell;
}

static void assert_verified(const struct cell *cell)
{
	struct record record;
	double timed_ns = 0;

	if (cell_measure(cell, &setup, &record) != CELL_DONE)
		fail_msg("%s %s %s: %s", cell->backend, cell->variant, cell->workload,
			 record.error);
	assert_true(record.verified);
	assert_int_equal(record.samples, cell->batches);
	for (int i = 0; i < record.samples; i++) {
		assert_true(record.ns_per_task[i] > 0);
		timed_ns += record.ns_per_task[i] / record.samples *
			    (double)(record.calls * record.cell.tasks);
	}
	if (strcmp(cell->variant, "open") != 0)
		assert_true((double)record.window_ns >= timed_ns);
	assert_true(record.calls >= (uint64_t)cell->batches);
	assert_true(record.clock_ns > 0);
}

static void assert_cell_refused(const struct cell *cell, const char *said)
{
	struct record record;

	assert_int_equal(cell_measure(cell, &setup, &record), CELL_REFUSED);
	assert_false(record.verified);
	if (strstr(record.error, said) == NULL)
		fail_msg("'%s' does not say '%s'", record.error, said);
}

static void baselines_on_any_workload_are_verified(void **state)
{
	struct cell cell = make_cell("loop", "map", "add");

	(void)state;
	assert_verified(&cell);
	cell = make_cell("forked", "map", "add");
	assert_verified(&cell);
	cell = make_cell("forked", "map", "square");
	for (uint64_t tasks = 1; tasks < 300; tasks += tasks / 2 + 1)
		for (int workers = 1; workers <= 7; workers += 2) {
			cell.tasks = tasks;
			cell.workers = workers;
			assert_verified(&cell);
		}
}

static void forked_counts_what_its_children_used(void **state)
{
	struct cell cell = make_cell("forked", "map", "spin");
	struct record record;

	(void)state;
	cell.work = 10000;
	cell.tasks = 1000;
	assert_int_equal(cell_measure(&cell, &setup, &record), CELL_DONE);
	/* A step waits for a product of 64 bits; no processor is done with one in a tenth of a nanosecond. */
	assert_true((double)(record.user_ns + record.system_ns) >
		    0.1 * 10000 * 1000 * (double)record.calls);
}

static void every_row_opens_on_the_clock(void **state)
{
	const struct pool_backend_info *row;

	(void)state;
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++) {
		struct cell cell = make_cell(row->name, "open", "square");
		cell.parent_bytes = 1 << 20;
		assert_verified(&cell);
	}
}

static void every_row_maps_memory_of_the_pool(void **state)
{
	const struct pool_backend_info *row;

	(void)state;
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++) {
		struct cell cell = make_cell(row->name, "map", "square");
		cell.pool_memory = true;
		assert_verified(&cell);
	}
}

static void many_tasks_are_verified(void **state)
{
	struct cell cell = make_cell("fork-shm", "map", "square");

	(void)state;
	cell.tasks = 1000000;
	assert_verified(&cell);
}

static void map_of_two_columns_is_refused_with_advice(void **state)
{
	struct cell cell = make_cell("serial", "map", "add");

	(void)state;
	assert_cell_refused(&cell, "starmap");
	cell = make_cell("serial", "starmap", "square");
	assert_verified(&cell);
}

static void unknown_names_are_refused_with_the_known_ones(void **state)
{
	struct cell cell = make_cell("nosuch", "map", "square");

	(void)state;
	assert_cell_refused(&cell, "fork-pipe");
	cell = make_cell("loop", "nosuch", "square");
	assert_cell_refused(&cell, "imap_unordered");
	cell = make_cell("loop", "map", "nosuch");
	assert_cell_refused(&cell, "stream");
	cell = make_cell("loop", "map", "square");
	strcpy(cell.probe, "nosuch");
	assert_cell_refused(&cell, "delivery");
	cell = make_cell("fork-shm", "open", "noop");
	strcpy(cell.probe, "delivery");
	assert_cell_refused(&cell, "must not be delivery");
}

static void bad_numbers_are_refused(void **state)
{
	struct cell cell = make_cell("loop", "map", "square");

	(void)state;
	cell.workers = 0;
	assert_cell_refused(&cell, "workers");
	cell = make_cell("loop", "map", "square");
	cell.batches = SAMPLES_MAX + 1;
	assert_cell_refused(&cell, "batches");
	cell = make_cell("loop", "map", "square");
	cell.chunk = -1;
	assert_cell_refused(&cell, "chunk");
	cell = make_cell("loop", "imap", "square");
	assert_cell_refused(&cell, "map");
	cell = make_cell("loop", "map", "square");
	cell.pool_memory = true;
	assert_cell_refused(&cell, "own");
	cell = make_cell("loop", "map", "square");
	cell.payload_bytes = 5;
	assert_cell_refused(&cell, "payload");
}

static void check_of_one_wrong_byte_finds_its_item(void **state)
{
	unsigned char arena[2 * 4 * 8] = { 0 }, expected[4 * 8] = { 0 };
	struct bench bench = { .work = { .tasks = 4, .result_size = 8, .expected = expected },
			       .arena = arena,
			       .call_bytes = 32 };

	(void)state;
	assert_int_equal(bench_check(&bench, 2), 0);
	arena[32 + 2 * 8 + 7] = 1; /* the second call's item 2 */
	assert_int_equal(bench_check(&bench, 1), 0);
	assert_int_equal(bench_check(&bench, 2), -EBADMSG);
	assert_non_null(strstr(bench.why, "item 2 "));
}

/* == How many calls fill a batch == By a baseline that says itself how long its calls take. */

static uint64_t stutter_calls;

/* 10 us; the first a second, being cold, and the third one held up for 5 ms. */
static int stutter(struct bench *b, void *results)
{
	const int64_t odd_ns[] = { 1000000000, 0, 5000000 };

	b->told_ns += stutter_calls < 3 && odd_ns[stutter_calls] ? odd_ns[stutter_calls] : 10000;
	stutter_calls++;
	memcpy(results, b->work.expected, b->call_bytes);
	return 0;
}

static int start_stutter(struct bench *b)
{
	stutter_calls = 0;
	b->call = stutter;
	return 0;
}

static void slow_warm_up_does_not_make_the_batches_short(void **state)
{
	static struct baseline stutters = { .name = "stutters", .start = start_stutter };
	struct cell cell = make_cell("stutters", "map", "add");
	struct record record;

	(void)state;
	baseline_add(&stutters);
	assert_int_equal(cell_measure(&cell, &setup, &record), CELL_DONE);
	/* as many as fit into 100 us, and one more */
	assert_int_equal(record.calls / (uint64_t)cell.batches, 11);
}

static int cpus_more; /* that this machine seems to have */

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	if (syscall(SYS_sched_getaffinity, pid, size, set) < 0)
		return -1;
	for (int cpu = 0; cpu < cpus_more; cpu++)
		CPU_SET_S((size_t)cpu, size, set);
	return 0;
}

/* Every plan was refused on a machine with more CPUs than a pool can have workers. */
static void workers_are_never_more_than_there_may_be(void **state)
{
	struct cell cell = make_cell("loop", "map", "noop");
	char why[256] = "";

	(void)state;
	assert_in_range(cell_workers(), 1, POOL_WORKERS_MAX);
	cpus_more = 300;
	cell.workers = cell_workers();
	if (pool_cpus() >= 300) /* without a quota */
		assert_int_equal(cell.workers, POOL_WORKERS_MAX);
	cpus_more = 0;
	assert_int_equal(cell_check(&cell, why, sizeof why), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(baselines_on_any_workload_are_verified),
		cmocka_unit_test(forked_counts_what_its_children_used),
		cmocka_unit_test(every_row_opens_on_the_clock),
		cmocka_unit_test(every_row_maps_memory_of_the_pool),
		cmocka_unit_test(many_tasks_are_verified),
		cmocka_unit_test(map_of_two_columns_is_refused_with_advice),
		cmocka_unit_test(unknown_names_are_refused_with_the_known_ones),
		cmocka_unit_test(bad_numbers_are_refused),
		cmocka_unit_test(workers_are_never_more_than_there_may_be),
		cmocka_unit_test(check_of_one_wrong_byte_finds_its_item),
		cmocka_unit_test(slow_warm_up_does_not_make_the_batches_short),
	};

	pool_main(&argc, &argv);
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
