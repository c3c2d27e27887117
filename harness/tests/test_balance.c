/*
 * test_balance.c - the experiment balance, from rows whose makespans are known.
 */
#include "harness/tests/derived.h"

static void add_chunk(struct fixture *f, const char *backend, const char *workload, int64_t chunk,
		      double ns)
{
	struct cell cell = cell_of("balance", backend, "map", workload);

	cell.chunk = chunk;
	add(f, &cell, ns, 0);
}

/* Ideal 1000; the best chunk is 8. */
static void add_curve(struct fixture *f, const char *workload, double automatic_ns)
{
	const char *shm = transport_row("shm");

	add_chunk(f, "raw-list", workload, 0, 1000);
	add_chunk(f, shm, workload, 0, automatic_ns);
	add_chunk(f, shm, workload, 1, 1300);
	add_chunk(f, shm, workload, 8, 1100);
	add_chunk(f, shm, workload, 64, 1200);
	add_chunk(f, shm, workload, 512, 1800);
}

static void makespans_are_over_the_ideal_of_the_same_lengths(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_curve(f, "sorted", 1210);
	add_chunk(f, "raw-list", "spin", 0, 500);
	add_chunk(f, transport_row("shm"), "spin", 4, 600);
	derive(f, "balance");
	const char *table = read_file(f, "tables/balance.tsv");
	snprintf(start, sizeof start, "sorted\t%s\t512", transport_row("shm"));
	near(number_at(table, start, 3), 1.8);
	snprintf(start, sizeof start, "constant\t%s\t4", transport_row("shm"));
	near(number_at(table, start, 3), 1.2);
	assert_null(strstr(table, "raw-list"));
	add_curve(f, "skew", 1210); /* called as everywhere else */
	derive(f, "balance");
	snprintf(start, sizeof start, "skew\t%s\t8", transport_row("shm"));
	near(number_at(read_file(f, "tables/balance.tsv"), start, 3), 1.1);
}

static void best_chunk_is_found_and_auto_held_against_it(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_curve(f, "sorted", 1210);
	add_curve(f, "exponential", 1320);
	derive(f, "balance");
	const char *table = read_file(f, "tables/balance-auto.tsv");
	snprintf(start, sizeof start, "sorted\t%s", transport_row("shm"));
	assert_int_equal((int)number_at(table, start, 2), 8);
	near(number_at(table, start, 3), 1.1);
	near(number_at(table, start, 6), 1.21);
	near(number_at(table, start, 9), 1.1);
	snprintf(start, sizeof start, "exponential\t%s", transport_row("shm"));
	near(number_at(table, start, 9), 1.2);
	assert_contains(f->finding, "worst for exponential lengths");
	assert_contains(f->finding, "1.20 times the time of the best fixed chunk found, 8 ");
	assert_contains(f->finding, "certainly slower");
	assert_contains(f->finding, "1.32 times as long as list scheduling");
}

/* The same time in the median, with rounds on both sides. */
static void auto_that_differs_by_noise_alone_is_not_called_slower(void **state)
{
	struct fixture *f = *state;

	add_curve(f, "sorted", 1100);
	for (size_t i = 0; i < f->rows.count; i++)
		if (f->rows.at[i].cell.chunk == 0 &&
		    strcmp(f->rows.at[i].cell.backend, "raw-list") != 0)
			for (int k = 0; k < 3; k++)
				f->rows.at[i].ns_per_task[k] *= f->rows.at[i].round % 2 ? 1.2 : 0.9;
	derive(f, "balance");
	assert_contains(f->finding, "no difference can be told");
}

static void series_without_an_ideal_gives_no_finding(void **state)
{
	struct fixture *f = *state;

	add_chunk(f, transport_row("shm"), "sorted", 0, 1200);
	add_chunk(f, transport_row("shm"), "sorted", 8, 1100);
	derive(f, "balance");
	assert_contains(f->finding, "The rows do not tell");
}

/* Two pairs have no interval, however many rounds each side has. */
static void ideal_of_two_rounds_gives_no_finding(void **state)
{
	struct fixture *f = *state;
	char start[64];

	add_chunk(f, "raw-list", "sorted", 0, 1000);
	keep_rounds(f, 2);
	add_chunk(f, transport_row("shm"), "sorted", 0, 1200);
	add_chunk(f, transport_row("shm"), "sorted", 8, 1100);
	derive(f, "balance");
	snprintf(start, sizeof start, "sorted\t%s\t8", transport_row("shm"));
	assert_int_equal((int)number_at(read_file(f, "tables/balance.tsv"), start, 6), 2);
	assert_contains(f->finding, "The rows do not tell");
}

static void best_chunk_failed_nowhere_and_has_an_interval(void **state)
{
	struct fixture *f = *state;
	char start[64];

	snprintf(start, sizeof start, "sorted\t%s", transport_row("shm"));
	add_curve(f, "sorted", 1210);
	add_chunk(f, transport_row("shm"), "sorted", 2048, 900);
	keep_rounds(f, 1);
	derive(f, "balance");
	assert_int_equal((int)number_at(read_file(f, "tables/balance-auto.tsv"), start, 2), 8);
	add_chunk(f, transport_row("shm"), "sorted", 4096, 900);
	fail_after(f, 7);
	derive(f, "balance");
	assert_int_equal((int)number_at(read_file(f, "tables/balance-auto.tsv"), start, 2), 8);
}

/* What has no ideal or no automatic chunk might be worse than the worst of the others. */
static void lengths_that_are_left_out_are_told(void **state)
{
	struct fixture *f = *state;
	char list[128];

	add_curve(f, "sorted", 1210);
	derive(f, "balance");
	assert_null(strstr(f->finding, "Not compared"));
	add_curve(f, "exponential", 1320);
	add_chunk(f, "raw-list", "skew", 0, 1000);
	fail_after(f, 7);
	add_chunk(f, transport_row("shm"), "skew", 0, 1900);
	add_chunk(f, transport_row("shm"), "skew", 8, 1000);
	add_chunk(f, transport_row("pipe"), "sorted", 8, 1000);
	add_chunk(f, transport_row("pipe"), "sorted", 0, 1900);
	fail_after(f, 7);
	add_chunk(f, transport_row("pipe"), "exponential", 8, 1000);
	add_chunk(f, transport_row("pipe"), "exponential", 0, 1900);
	keep_rounds(f, 3);
	derive(f, "balance");
	assert_contains(f->finding, "worst for exponential lengths");
	snprintf(list, sizeof list, "none that failed: %s (exponential), %s (skew).",
		 transport_row("pipe"), transport_row("shm"));
	assert_contains(f->finding, list);
	snprintf(list, sizeof list,
		 " Not right in each round, or not measured: %s (sorted), raw-list (skew).",
		 transport_row("pipe"));
	assert_contains(f->finding, list);
}

static void plans_are_sensible_and_bounded(void **state)
{
	(void)state;
	check_plans("balance", 14, 120);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(makespans_are_over_the_ideal_of_the_same_lengths),
		TEST(best_chunk_is_found_and_auto_held_against_it),
		TEST(auto_that_differs_by_noise_alone_is_not_called_slower),
		TEST(series_without_an_ideal_gives_no_finding),
		TEST(ideal_of_two_rounds_gives_no_finding),
		TEST(best_chunk_failed_nowhere_and_has_an_interval),
		TEST(lengths_that_are_left_out_are_told),
		TEST(plans_are_sensible_and_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
