/*
 * test_baseline.c - named baselines and the gate; runs that end by precision or by the clock.
 *
 * A gate is tested with one cell, the serial loop over `spin`, against a baseline whose program tells fixed times.
 */
#include "harness/stopping.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness/tests/outside.h"

#define ONE_CELL "run scaling --quick --cells 'loop map' --seed 3 "
#define SAVED "results/baselines/good"

static void baseline_is_kept_with_its_program(void **state)
{
	(void)state;
	assert_outside("run --gate", 2, "no baseline 'default'");
	assert_outside(ONE_CELL "--rounds 6 --out first --save-baseline good", 0,
		       "kept as baseline good");
	assert_int_equal(outside_run("cmp $P " SAVED "/poolbench && cmp first/rows.jsonl " SAVED
				     "/rows.jsonl && " SAVED "/poolbench --version"),
			 0);
	assert_outside("run --gate", 2, "known: good");
	assert_outside("compare first " SAVED " --all-rounds", 0, "1 cells");
}

/* What a report adds to it goes with it; what it only points to does not. */
static void baseline_with_a_report_is_replaced_as_a_whole(void **state)
{
	(void)state;
	assert_int_equal(outside_run(
				 "cd results/baselines && mkdir -p good/plots .old-good/plots &&"
				 ">good/report.html && >good/plots/a.svg && "
				 ">.old-good/plots/a.svg && ln -s \"$PWD\"/../../first good/to"),
			 0);
	assert_outside(ONE_CELL "--rounds 7 --out second --save-baseline good", 0, "kept");
	assert_int_equal(outside_rows(SAVED), 7);
	assert_int_equal(outside_run("ls -A results/baselines | grep -vx good"), 1);
	assert_int_equal(outside_rows("first"), 6);
}

/* What was asked for when it was begun. */
static void run_that_was_interrupted_is_kept_when_it_is_whole(void **state)
{
	(void)state;
	assert_outside(ONE_CELL "--rounds 6 --out broken --save-baseline late", 0, "kept");
	assert_int_equal(outside_run("rm -r results/baselines/late && head -n 4 broken/rows.jsonl "
				     ">rest && mv rest broken/rows.jsonl"),
			 0);
	assert_outside("run --resume broken", 0, "kept as baseline late");
	assert_int_equal(outside_rows("results/baselines/late"), 6);
	assert_int_equal(outside_run("sed -i 's|\"late\"|\"../../late\"|' broken/run.json && "
				     "rm -r results/baselines/late"),
			 0);
	assert_outside("run --resume broken", 2, "save_baseline of its plan");
}

static void gate_against_the_same_program_is_passed(void **state)
{
	int status = -1;

	(void)state;
	for (int try = 0; try < 3 && status != 0; try++) /* noise alone is one in some thousands */
		status = outside_run("rm -rf same && "
				     "$P run --gate --baseline good --all-rounds --out same 2>&1");
	assert_int_equal(status, 0);
	assert_non_null(strstr(outside_said, "0 REGRESSION"));
	assert_non_null(strstr(outside_said, "1 cells, 3 arms, 20 rounds"));
	assert_int_equal(outside_rows("same") % 3, 0);
	assert_true(outside_rows("same") >= 60);
}

static void gate_against_a_faster_program_is_a_regression(void **state)
{
	(void)state;
	assert_int_equal(
		outside_run("cd " SAVED " && rm poolbench && {\n"
			    "echo '#!/bin/sh'\n"
			    "echo '[ \"$1\" = cell ] || exec \"$P\" \"$@\"'\n"
			    "echo '\"$P\" \"$@\" | sed \"s/.samples.:[0-9]*/\\\"samples\\\":1/;"
			    "s/,.ns_per_task.:.[^]]*./,\\\"ns_per_task\\\":[1.0]/\"'\n"
			    "} >poolbench && chmod +x poolbench"),
		0);
	assert_outside("run --gate --baseline good --all-rounds --out worse", 1, "\nREGRESSION ");
	assert_outside("run --baseline good --all-rounds --rounds 6 --out six", 1,
		       "3 arms, 6 rounds");
	assert_outside("run scaling --baseline good --cells nosuch", 2, "nosuch");
	assert_outside("run overhead --baseline good", 2, "no cell of these experiments");
	assert_int_equal(outside_run("rm " SAVED "/poolbench"), 0);
	assert_outside("run --gate --baseline good", 2, "want a poolbench program");
}

static void baseline_that_cannot_be_kept_is_refused_before_measuring(void **state)
{
	(void)state;
	assert_int_equal(outside_run("mkdir blocked blocked/results file &&"
				     ">blocked/results/baselines && >file/results"),
			 0);
	assert_int_equal(outside_run("cd blocked && $P " ONE_CELL
				     "--out first --save-baseline good 2>&1"),
			 2);
	assert_string_equal(
		outside_said,
		"poolbench: results/baselines: cannot make a directory here: Not a directory\n");
	assert_int_equal(outside_run("cd file && $P " ONE_CELL
				     "--out first --save-baseline good 2>&1"),
			 2);
	assert_string_equal(outside_said, "poolbench: results/baselines: cannot make this "
					  "directory: Not a directory\n");
	assert_int_equal(outside_run("ls -d blocked/first file/first 2>/dev/null"), 2);
}

static void options_that_do_not_go_together_are_refused(void **state)
{
	(void)state;
	assert_refuses(run_main, "run --save-baseline ../x", "--save-baseline");
	assert_refuses(run_main, "run --baseline .x", "--baseline");
	assert_refuses(run_main, "run --baseline x --save-baseline y", "--baseline");
	assert_refuses(run_main, "run --gate --quick", "--quick");
	assert_refuses(run_main, "run --gate --rounds 5", "20 rounds");
	assert_refuses(run_main, "run --gate --precision 5", "--precision");
	assert_refuses(run_main, "run --all-rounds", "--gate");
	assert_refuses(run_main, "run --precision 0", "more than 0");
	assert_refuses(run_main, "run --precision x", "per cent");
	assert_refuses(run_main, "run --precision 5 --save-baseline x", "--precision");
	assert_refuses(run_main, "run --budget 10", "90s");
	assert_refuses(run_main, "run --budget 0s", "90s");
	assert_refuses(run_main, "run --budget 9999h", "90s");
	assert_refuses(run_main, "run --budget 10s --rounds 5", "not both");
	assert_refuses(run_main, "run --resume x --budget 5s", "--resume");
	assert_refuses(run_main, "run --quick --cells nosuch startup", "nosuch");
}

/*
 * == Precision ==
 */

static void stopping_of_equal_times_needs_six(void **state)
{
	struct stopping stopping;

	(void)state;
	assert_int_equal(stopping_open(&stopping, 0.02, 2, 10), 0);
	for (int round = 1; round <= 6; round++) {
		assert_int_equal(isfinite(stopping_half(&stopping, 1)) != 0, round > 6);
		assert_int_equal(stopping_add(&stopping, 1, 100), round == 6);
	}
	assert_false(stopping_done(&stopping));
	for (int round = 1; round <= 10; round++) /* 0.5 to 1.5 times the median */
		assert_false(stopping_add(&stopping, 0, 100 + (round % 3 - 1) * 50));
	assert_true(stopping_half(&stopping, 0) > 0.4 && stopping_half(&stopping, 0) < 0.6);
	stopping_close(&stopping);
}

static void stopping_without_precision_never_stops(void **state)
{
	struct stopping stopping;

	(void)state;
	assert_int_equal(stopping_open(&stopping, 0, 1, 10), 0);
	for (int round = 0; round < 10; round++)
		assert_false(stopping_add(&stopping, 0, 100));
	assert_false(stopping_done(&stopping));
	stopping_close(&stopping);
}

static void run_to_a_precision_ends_early_or_says_how_far_it_came(void **state)
{
	size_t rows;

	(void)state;
	assert_outside(ONE_CELL "--precision 1000 --out rough", 0, "exploratory");
	assert_non_null(strstr(outside_said, "1 of 1 cells are known within 1000 %"));
	rows = outside_rows("rough"); /* more than 6 where a batch had no processor for a while */
	assert_in_range(rows, 6, STOPPING_ROUNDS_MAX - 1);
	assert_outside(ONE_CELL "--precision 0.0000001 --rounds 7 --out fine", 0,
		       "0 of 1 cells are known");
	assert_int_equal(outside_rows("fine"), 7);
	assert_outside(ONE_CELL "--precision 1 --rounds 2 --out few", 0,
		       "poolbench: too few rounds to tell: ");
	assert_outside("run --resume rough", 0, "1 of 1 cells are known");
	assert_int_equal(outside_rows("rough"), rows);
	assert_outside("compare rough fine --all-rounds", 3, "exploratory");
}

/*
 * == Budget ==
 */

static json_int_t planned_rounds(const char *path)
{
	json_t *info = json_load_file(path, 0, NULL);
	json_int_t rounds =
		json_integer_value(json_object_get(json_object_get(info, "plan"), "rounds"));

	json_decref(info);
	return rounds;
}

static void budget_decides_on_the_rounds(void **state)
{
	(void)state;
	assert_outside(ONE_CELL "--budget 2s --out two", 0, "into two");
	assert_true(planned_rounds("two/run.json") > 12);
	assert_true(outside_rows("two") >= 1);
	assert_outside("run startup --quick --budget 1s --out one", 0, "rounds will be dropped");
	assert_int_equal(planned_rounds("one/run.json"), 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(baseline_is_kept_with_its_program),
		cmocka_unit_test(baseline_with_a_report_is_replaced_as_a_whole),
		cmocka_unit_test(run_that_was_interrupted_is_kept_when_it_is_whole),
		cmocka_unit_test(gate_against_the_same_program_is_passed),
		cmocka_unit_test(gate_against_a_faster_program_is_a_regression),
		cmocka_unit_test(baseline_that_cannot_be_kept_is_refused_before_measuring),
		cmocka_unit_test(options_that_do_not_go_together_are_refused),
		cmocka_unit_test(stopping_of_equal_times_needs_six),
		cmocka_unit_test(stopping_without_precision_never_stops),
		cmocka_unit_test(run_to_a_precision_ends_early_or_says_how_far_it_came),
		cmocka_unit_test(budget_decides_on_the_rounds),
	};

	alarm(900);
	return cmocka_run_group_tests(tests, outside_prepare, outside_clean);
}
