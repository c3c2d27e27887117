/*
 * test_compare.c - `poolbench compare` on rows that are written here: each verdict, each reason to have none, exit statuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness/tests/written.h"

/*
 * == Two runs ==
 */

static void runs_that_differ_without_a_floor_have_no_verdict_of_it(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	compare("a b");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
	assert_verdict("100", "EQUIVALENT");
	assert_non_null(strstr(line_of("10"), "no floor is known"));
	assert_non_null(strstr(said.error, "different sessions"));
}

static void runs_with_a_floor_show_what_is_beyond_it(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	compare("a b --floor 5");
	assert_status(EXIT_BAD);
	assert_verdict("10", "REGRESSION");
	assert_verdict("100", "INCONCLUSIVE"); /* two sessions may differ by more than 3 % */
	compare("a b --floor 1");
	assert_status(EXIT_BAD);
	assert_verdict("100", "EQUIVALENT");
	assert_true(strstr(said.out, " work=10,") < strstr(said.out, " work=100,"));
	compare("b a --floor 5%");
	assert_status(EXIT_FINE);
	assert_verdict("10", "IMPROVEMENT");
	compare("a b --floor 60");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
}

static void runs_that_are_not_alike_are_not_comparable(void **state)
{
	static const struct {
		struct run a, other;
		const char *why;
	} cases[] = {
		{ { .cpus = 2 }, { .cpus = 4 }, "cpus_online" },
		{ { .no_host = true }, { .no_host = true }, "unknown machine" },
		{ { .batch_ns = 50000000 },
		  { .batch_ns = 10000000 },
		  "batches of 50 ms in A and of 10 ms in B" },
		{ { .precision = false }, { .precision = true }, "exploratory" },
		{ { .input_seed = 1 },
		  { .input_seed = 5 },
		  "inputs of seed 1 in A and of seed 5 in B" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct run a = cases[i].a, other = cases[i].other;
		a.name = "a";
		other.name = "other";
		write_run(a);
		write_run(other);
		compare("a other --floor 2");
		assert_status(EXIT_INCONCLUSIVE);
		assert_verdict("10", "NOT COMPARABLE");
		assert_verdict("100", "NOT COMPARABLE");
		assert_non_null(strstr(line_of("10"), cases[i].why));
	}
}

static void run_with_wrong_results_is_not_comparable(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "wrong", .failed = 1 });
	compare("a wrong");
	assert_status(EXIT_BAD);
	assert_verdict("10", "NOT COMPARABLE");
	assert_verdict("100", "EQUIVALENT");
	assert_non_null(strstr(line_of("10"), "B failed: wrong result, item 3"));
	compare("wrong a");
	assert_status(EXIT_FINE);
	assert_verdict("10", "NOT COMPARABLE");
}

static void disturbed_rounds_are_left_out_and_counted(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "some", .disturbed = 2 });
	write_run((struct run){ .name = "many", .disturbed = 5 });
	compare("a some");
	assert_status(EXIT_FINE);
	assert_verdict("10", "EQUIVALENT");
	assert_non_null(strstr(said.error, "B: 2 of 12 rounds left out"));
	assert_non_null(strstr(said.error, "steal 2"));
	assert_non_null(strstr(line_of("10"), ",10,2,"));
	compare("a many");
	assert_status(EXIT_INCONCLUSIVE);
	assert_verdict("100", "NOT COMPARABLE");
	compare("a many --all-rounds");
	assert_status(EXIT_FINE);
	assert_verdict("100", "EQUIVALENT");
}

static void cell_with_disturbed_rounds_only_is_not_one_that_is_missing(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a", .disturbed = 1 });
	write_run((struct run){ .name = "b" });
	write_run((struct run){ .name = "wrong", .failed = 1 });
	assert_int_equal(system("sed -Ei '/\"work\":10,.*\"round\":([1-9]|1.),/d' a/rows.jsonl"),
			 0);
	for (int side = 0; side < 2; side++) {
		compare(side ? "b a" : "a b");
		assert_status(EXIT_FINE);
		assert_verdict("10", "NOT COMPARABLE");
		assert_non_null(strstr(line_of("10"), side ? "all its rounds in B are left out"
							   : "all its rounds in A are left out"));
	}
	compare("a wrong");
	assert_non_null(strstr(line_of("10"), "B failed: wrong result, item 3"));
	assert_status(EXIT_BAD);
	compare("wrong a");
	assert_status(EXIT_FINE);
}

static void runs_without_a_common_cell_are_inconclusive(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "else", .experiment = "scaling" });
	compare("a else");
	assert_status(EXIT_INCONCLUSIVE);
	assert_non_null(strstr(said.error, "2 only in A, 2 only in B"));
	write_run((struct run){ .name = "short", .rounds = 4 });
	compare("a short");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
	assert_non_null(strstr(line_of("10"), "too few rounds"));
}

static void table_names_what_it_shows(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	capture(&said, compare_main, "compare a b --floor 3");
	assert_status(EXIT_BAD);
	assert_memory_equal(said.out, "verdict ", 8);
	assert_non_null(strstr(said.out, "\nREGRESSION "));
	assert_non_null(strstr(said.out, "overhead: shm map spin"));
	assert_non_null(strstr(said.error, "1 REGRESSION, 0 NOT COMPARABLE"));
}

static void names_with_commas_and_quotes_are_quoted_in_csv(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a", .workload = "sq,\"x", .experiment = "o,h" });
	compare("a a");
	assert_status(EXIT_FINE);
	assert_non_null(strstr(said.out, "\nEQUIVALENT,\"o,h\",\"shm map sq,\"\"x n=1000 "));
	assert_non_null(strstr(said.out, " work=10\","));
}

/*
 * == A session of two programs ==
 */

static void session_confirmed_is_a_regression(void **state)
{
	(void)state;
	write_run((struct run){ .name = "s", .session = true, .factor = 1.2, .factor_later = 1.2 });
	compare("s");
	assert_status(EXIT_BAD);
	assert_verdict("10", "REGRESSION");
	assert_verdict("100", "EQUIVALENT");
}

static void session_not_confirmed_is_inconclusive(void **state)
{
	(void)state;
	write_run((struct run){ .name = "s", .session = true, .factor = 1.2, .factor_later = 1 });
	compare("s");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
	assert_non_null(strstr(line_of("10"), "REGRESSION in 12 rounds, not confirmed by 12 more"));
	write_run((struct run){ .name = "s", .session = true, .factor = 1.2 });
	compare("s");
	assert_status(EXIT_FINE);
	assert_non_null(strstr(line_of("10"), "not measured again"));
}

static void session_floor_given_replaces_the_measured_one(void **state)
{
	(void)state;
	write_run((struct run){ .name = "s", .session = true, .factor = 1.2, .factor_later = 1.2 });
	compare("s --floor 25");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
}

/* Of A2 over heavy's A the p is 0.2, the interval is some 5 % above 1: by the rules for a regression there were none. */
static void session_floor_is_by_the_interval_of_a_cell_alone(void **state)
{
	struct run run = { .name = "s", .session = true, .factor = 1.045, .factor_later = 1.045 };

	(void)state;
	write_run(run);
	compare("s");
	assert_verdict("10", "REGRESSION");
	run.a2_heavy = 1.055;
	write_run(run);
	compare("s");
	assert_verdict("10", "INCONCLUSIVE");
	assert_non_null(strstr(line_of("10"), "they differ, but not surely by more than 5"));
}

/* Heavy was judged by a floor of 3 %, light when it was measured again by one of 8 %. */
static void session_names_the_largest_floor_of_an_experiment(void **state)
{
	(void)state;
	write_run((struct run){ .name = "s",
				.session = true,
				.factor = 1.1,
				.factor_later = 1.06,
				.a2_heavy = 1.03,
				.a2_later = 1.08 });
	compare("s");
	assert_verdict("10", "INCONCLUSIVE");
	assert_non_null(strstr(line_of("10"), "not confirmed"));
	if (strstr(said.error, "overhead: the floor is 8 %") == NULL)
		fail_msg("%s", said.error);
}

/* Both arms of A are one program: if either gives a wrong result, that program does. */
static void session_whose_second_arm_of_a_fails_is_not_comparable(void **state)
{
	struct run run = { .name = "s",
			   .session = true,
			   .factor = 1.2,
			   .factor_later = 1.2,
			   .failed = 1,
			   .a_right = true,
			   .b_right = true };

	(void)state;
	write_run(run);
	compare("s");
	assert_status(EXIT_FINE);
	assert_verdict("10", "NOT COMPARABLE");
	assert_verdict("100", "EQUIVALENT");
	assert_non_null(strstr(line_of("10"), "A failed (second arm): wrong result, item 3"));
	run.b_right = false; /* then it is not B alone that fails */
	write_run(run);
	compare("s");
	assert_status(EXIT_FINE);
	assert_non_null(strstr(line_of("10"), "B failed: wrong result, item 3"));
	run.b_right = true;
	run.a_right = false;
	write_run(run);
	compare("s");
	assert_non_null(strstr(line_of("10"), "A failed: wrong result, item 3"));
}

static void arguments_that_do_not_go_together_are_refused(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "s", .session = true });
	assert_refuses(compare_main, "compare", "two run directories");
	assert_refuses(compare_main, "compare a b c", "two run directories");
	assert_refuses(compare_main, "compare a", "no session");
	assert_refuses(compare_main, "compare a s", "session of two programs");
	assert_refuses(compare_main, "compare a nowhere", "rows.jsonl");
	assert_refuses(compare_main, "compare a a --floor x", "per cent");
	assert_refuses(compare_main, "compare a a --floor -1", "per cent");
	assert_refuses(compare_main, "compare a a --floor 2 --floor-from a", "not both");
	assert_refuses(compare_main, "compare s --floor-from a", "two runs");
	assert_refuses(compare_main, "compare a a --rounds 9", "--rerun");
	assert_refuses(compare_main, "compare --rerun a a --quick --full", "not both");
	assert_refuses(compare_main, "compare --rerun a", "two poolbench programs");
	assert_refuses(compare_main, "compare --rerun a a --rounds 0", "--rounds");
	assert_refuses(compare_main, "compare --rerun a a --rounds 257", "256");
	assert_refuses(compare_main, "compare --rerun a a --budget 5", "90s");
	assert_refuses(compare_main, "compare --rerun a a --rounds 5 --budget 5s", "not both");
	assert_refuses(compare_main, "compare --rerun a a --experiment nosuch", "nosuch");
	assert_refuses(compare_main, "compare --rerun a a --experiment scaling --cells nosuch",
		       "nosuch");
	assert_refuses(compare_main, "compare --rerun a a --experiment scaling", "not a file");
	assert_refuses(compare_main, "compare --rerun /bin/true a --experiment scaling",
		       "--version");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_that_differ_without_a_floor_have_no_verdict_of_it),
		cmocka_unit_test(runs_with_a_floor_show_what_is_beyond_it),
		cmocka_unit_test(runs_that_are_not_alike_are_not_comparable),
		cmocka_unit_test(run_with_wrong_results_is_not_comparable),
		cmocka_unit_test(disturbed_rounds_are_left_out_and_counted),
		cmocka_unit_test(cell_with_disturbed_rounds_only_is_not_one_that_is_missing),
		cmocka_unit_test(runs_without_a_common_cell_are_inconclusive),
		cmocka_unit_test(table_names_what_it_shows),
		cmocka_unit_test(names_with_commas_and_quotes_are_quoted_in_csv),
		cmocka_unit_test(session_confirmed_is_a_regression),
		cmocka_unit_test(session_not_confirmed_is_inconclusive),
		cmocka_unit_test(session_floor_given_replaces_the_measured_one),
		cmocka_unit_test(session_floor_is_by_the_interval_of_a_cell_alone),
		cmocka_unit_test(session_names_the_largest_floor_of_an_experiment),
		cmocka_unit_test(session_whose_second_arm_of_a_fails_is_not_comparable),
		cmocka_unit_test(arguments_that_do_not_go_together_are_refused),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, written_prepare, written_clean);
}
