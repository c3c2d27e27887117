/*
 * test_lazy.c - the experiments lazy and order, from rows whose memory and moments of delivery are known.
 */
#include "harness/tests/derived.h"

/* Memory fixed + each bytes an item, the first result after first_ns. */
static void add_size(struct fixture *f, const char *variant, uint64_t tasks, double each_bytes,
		     double first_ns)
{
	struct cell cell = cell_of("lazy", "", variant, "noop");
	size_t first = f->rows.count;

	snprintf(cell.backend, sizeof cell.backend, "lazy-%.24s", process_pool());
	cell.tasks = tasks;
	add(f, &cell, 10, 0);
	for (size_t i = first; i < f->rows.count; i++) {
		f->rows.at[i].max_rss_kib =
			(int64_t)(256 + each_bytes * (double)tasks / 1024 + 0.5);
		f->rows.at[i].first_result_ns = first_ns;
	}
}

static void add_sizes(struct fixture *f, const char *variant, double each_bytes)
{
	for (uint64_t tasks = 16384; tasks <= 1048576; tasks *= 8)
		add_size(f, variant, tasks, each_bytes,
			 variant[0] == 'm' ? 10.0 * (double)tasks : 5e3);
}

static void slope_of_memory_is_what_an_item_takes(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_sizes(f, "map", 32);
	add_sizes(f, "imap", 0);
	add_size(f, "imap", 1000, -100, 5e3); /* its window is not full */
	derive(f, "lazy");
	const char *items = read_file(f, "tables/lazy-item.tsv");
	snprintf(start, sizeof start, "%s\tmap", process_pool());
	near(number_at(items, start, 2), 32);
	assert_int_equal((int)number_at(items, start, 5), 3);
	assert_int_equal((int)number_at(items, start, 6), ROUNDS);
	assert_contains(f->finding, "takes 32 bytes (95 % interval 32 to 32) with map");
	assert_contains(f->finding, "nothing that can be seen");
	assert_contains(f->finding,
			"With 1048576 empty tasks the first result is there after 10 ms by "
			"map and, with 1048576, after 5.0 us by imap");
}

static void table_has_memory_and_first_result_by_tasks(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_sizes(f, "map", 32);
	derive(f, "lazy");
	const char *table = read_file(f, "tables/lazy.tsv");
	snprintf(start, sizeof start, "%s\tmap\t131072", process_pool());
	near(number_at(table, start, 3), 256 + 4096);
	near(number_at(table, start, 6), 1.31072);
	assert_contains(f->finding, "The rows do not tell");
}

static void memory_of_a_call_that_failed_is_not_told(void **state)
{
	struct fixture *f = *state;

	add_sizes(f, "imap", 0);
	add_sizes(f, "map", 32);
	fail_after(f, ROUNDS - 1); /* its largest size */
	derive(f, "lazy");
	assert_contains(f->finding, "The rows do not tell");
}

/* A run that was interrupted: of some sizes there are fewer rounds. */
static void rounds_are_those_that_have_a_slope(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_sizes(f, "map", 32);
	keep_rounds(f, 6);
	add_size(f, "imap", 32, 0, 5e3);
	keep_rounds(f, 3);
	add_sizes(f, "imap", 0);
	derive(f, "lazy");
	const char *items = read_file(f, "tables/lazy-item.tsv");
	snprintf(start, sizeof start, "%s\tmap", process_pool());
	assert_int_equal((int)number_at(items, start, 6), 6);
	snprintf(start, sizeof start, "%s\timap", process_pool());
	assert_int_equal((int)number_at(items, start, 6), ROUNDS);
	assert_contains(f->finding, "takes 32 bytes");
}

static void two_sizes_are_no_line(void **state)
{
	struct fixture *f = *state;

	add_size(f, "map", 1000, 32, 1e4);
	add_size(f, "map", 10000, 32, 1e4);
	add_size(f, "map", 100000, 32, 1e6);
	add_size(f, "imap", 1000, 0, 1e4);
	add_size(f, "imap", 10000, 0, 1e4);
	add_size(f, "imap", 100000, 0, 1e4);
	derive(f, "lazy");
	assert_contains(f->finding, "The rows do not tell");
}

/* 64 moments from `first_ns` on, then at equal distances to `last_ns`. */
static void add_delivery(struct fixture *f, const char *variant, const char *workload,
			 double first_ns, double last_ns)
{
	struct cell cell = cell_of("order", process_pool(), variant, workload);
	size_t first = f->rows.count;

	cell.tasks = 128;
	snprintf(cell.probe, sizeof cell.probe, "delivery");
	add(f, &cell, last_ns / 128, 0);
	for (size_t i = first; i < f->rows.count; i++) {
		f->rows.at[i].profile = 64;
		for (int k = 0; k < 64; k++)
			f->rows.at[i].profile_ns[k] = first_ns + (last_ns - first_ns) * k / 63;
	}
}

/* Straight lines from 0 and from 5 ms to 10 ms enclose 128 x 10 x 5 / 2 result-ms. */
static void area_between_the_curves_is_the_cost_of_order(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_delivery(f, "imap", "straggler", 5e6, 10e6);
	add_delivery(f, "imap_unordered", "straggler", 0, 10e6);
	derive(f, "order");
	const char *costs = read_file(f, "tables/order-cost.tsv");
	snprintf(start, sizeof start, "straggler\t%s", process_pool());
	near(number_at(costs, start, 2), 2.5);
	near(number_at(costs, start, 5), 2.5e-3 * 128);
	near(number_at(costs, start, 6), 0.25);
	near(number_at(costs, start, 9), 10);
	assert_int_equal((int)number_at(costs, start, 12), ROUNDS);
	assert_contains(f->finding,
			"with one slow task at the front a result comes later by 25 % of the "
			"whole call (95 % interval 25 to 25), 2.5 ms in the mean");
	assert_null(strstr(f->finding, "heavy-tailed"));
}

static const char *other_pool(void)
{
	const struct pool_backend_info *row[ROWS_MAX];

	assert_true(grid_rows(PICK_PROCESSES, row) > 1);
	return row[1]->name;
}

/* The surest backend is told; where another shows no delay, that too. */
static void backends_that_disagree_are_both_told(void **state)
{
	struct fixture *f = *state;
	char told[80];

	add_delivery(f, "imap", "pareto", 0, 10e6);
	add_delivery(f, "imap_unordered", "pareto", 0, 10e6);
	for (size_t i = 0; i < f->rows.count; i++) { /* as sure, or less */
		snprintf(f->rows.at[i].cell.backend, NAME_SIZE, "%s", other_pool());
		f->rows.at[i].profile_ns[0] += i < ROUNDS ? 1e6 * (double)(i % 2) : 0;
	}
	add_delivery(f, "imap", "pareto", 5e6, 10e6);
	add_delivery(f, "imap_unordered", "pareto", 0, 10e6);
	derive(f, "order");
	snprintf(told, sizeof told, "in the mean (%s, by %s none is certain)", process_pool(),
		 other_pool());
	assert_contains(f->finding, told);
}

/* Too few rounds for ends do not hide the middle, of whatever sign; no round that both have tells nothing. */
static void delay_below_nothing_is_a_number(void **state)
{
	struct fixture *f = *state;
	char line[80];

	add_delivery(f, "imap", "straggler", 0, 10e6);
	keep_rounds(f, 3);
	add_delivery(f, "imap_unordered", "straggler", 5e6, 10e6);
	derive(f, "order");
	snprintf(line, sizeof line, "straggler\t%s\t-2.5\t?\t?\t-0.32\t", process_pool());
	assert_contains(read_file(f, "tables/order-cost.tsv"), line);
	for (size_t i = 0; i < 3; i++)
		f->rows.at[i].round += ROUNDS;
	derive(f, "order");
	snprintf(line, sizeof line, "straggler\t%s\t?\t?\t?\t?\t", process_pool());
	assert_contains(read_file(f, "tables/order-cost.tsv"), line);
}

static void call_that_failed_once_is_not_told_of(void **state)
{
	struct fixture *f = *state;

	add_delivery(f, "imap_unordered", "straggler", 0, 10e6);
	add_delivery(f, "imap", "straggler", 5e6, 10e6);
	fail_after(f, 6);
	derive(f, "order");
	assert_contains(f->finding, "The rows do not tell");
}

static void calls_that_deliver_alike_show_no_cost(void **state)
{
	struct fixture *f = *state;

	add_delivery(f, "imap", "pareto", 1e6, 10e6);
	add_delivery(f, "imap_unordered", "pareto", 1e6, 10e6);
	derive(f, "order");
	assert_contains(f->finding,
			"with heavy-tailed tasks no delay by the order of imap is certain");
}

static void one_call_alone_tells_nothing(void **state)
{
	struct fixture *f = *state;

	add_delivery(f, "imap", "pareto", 1e6, 10e6);
	derive(f, "order");
	assert_contains(f->finding, "The rows do not tell");
}

static void plans_are_sensible_and_bounded(void **state)
{
	(void)state;
	check_plans("lazy", 9, 60);
	check_plans("order", 8, 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(slope_of_memory_is_what_an_item_takes),
		TEST(table_has_memory_and_first_result_by_tasks),
		TEST(memory_of_a_call_that_failed_is_not_told),
		TEST(rounds_are_those_that_have_a_slope),
		TEST(two_sizes_are_no_line),
		TEST(area_between_the_curves_is_the_cost_of_order),
		TEST(backends_that_disagree_are_both_told),
		TEST(delay_below_nothing_is_a_number),
		TEST(call_that_failed_once_is_not_told_of),
		TEST(calls_that_deliver_alike_show_no_cost),
		TEST(one_call_alone_tells_nothing),
		TEST(plans_are_sensible_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
