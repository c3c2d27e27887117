/*
 * test_selftest_faults.c - the faults that need no timing to be found are found; and the command.
 *
 * The programs are found from where this test lies: .build/X/harness/tests/test_selftest_faults, .build/X/poolbench and
 * .build/X/fault/poolbench.
 */
#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/selftest_blocks.h"

static char program[PATH_MAX], faulty[PATH_MAX + 16];
static char place[] = "/tmp/test_selftest-XXXXXX";

/*
 * == The program with faults ==
 */

static const struct block *block_with(const char *arm)
{
	const struct block *block;

	for (size_t i = 0; (block = selftest_block(i)) != NULL; i++)
		for (size_t k = 0; k < selftest_block_arms(block); k++)
			if (strcmp(block->arms[k], arm) == 0)
				return block;
	return NULL;
}

/* One round of the block with two of its arms, judged as the self-test does. */
static struct check measure(const struct block *block, const char *candidate)
{
	char setting[64];
	struct arms arms = { .arm = { { "none", faulty, "POOLBENCH_FAULT=none" },
				      { candidate, faulty, setting } },
			     .arm_count = 2,
			     .cells = block->cells,
			     .cell_count = block->cell_count,
			     .rounds = 1,
			     .seed = 1 };
	struct question q = { .rows = &arms.rows,
			      .cells = block->cells,
			      .cell_count = block->cell_count,
			      .baseline = "none",
			      .candidate = candidate,
			      .tries = 1,
			      .try_rounds = 1 };
	struct check check = { .ok = false };
	sigset_t waiting;

	snprintf(setting, sizeof setting, "POOLBENCH_FAULT=%s", candidate);
	sigprocmask(SIG_BLOCK, NULL, &waiting);
	assert_int_equal(arms_run(&arms, &waiting), 0);
	assert_int_equal(arms.rows.count, 2 * block->cell_count);
	assert_int_equal(block->judge(&q, &check), 0);
	assert_null(getenv("POOLBENCH_FAULT"));
	rows_free(&arms.rows);
	return check;
}

/* A busy machine can hide a fault once; one that is missed is missed each time. */
static void assert_found(const char *fault)
{
	struct check check = measure(block_with(fault), fault);

	for (int again = 0; again < 2 && !check.ok; again++)
		check = measure(block_with(fault), fault);
	if (!check.ok)
		fail_msg("%s: %s", check.name, check.text);
}

static void faults_that_count_are_found(void **state)
{
	(void)state;
	assert_found("drop");
	assert_found("twice");
	assert_found("syscall");
}

/* Nor in rounds that are measured in place of disturbed ones. */
static void cell_that_failed_is_not_tried_again(void **state)
{
	const struct block *block = block_with("drop");
	struct arms arms = { .arm = { { "drop", faulty, "POOLBENCH_FAULT=drop" } },
			     .arm_count = 1,
			     .cells = block->cells,
			     .cell_count = 1,
			     .rounds = 2,
			     .seed = 1 };
	sigset_t waiting;

	(void)state;
	sigprocmask(SIG_BLOCK, NULL, &waiting);
	assert_int_equal(arms_run(&arms, &waiting), 0);
	assert_int_equal(arms.rows.count, 1);
	assert_false(arms.rows.at[0].verified);
	arms.first_round = 2;
	assert_int_equal(arms_run(&arms, &waiting), 0);
	assert_int_equal(arms.rows.count, 1);
	rows_free(&arms.rows);
}

static void sound_arm_in_place_of_a_fault_fails(void **state)
{
	(void)state;
	assert_false(measure(block_with("drop"), "copy").ok);
	assert_false(measure(block_with("syscall"), "steps:0").ok);
}

/* Exit status of a shell command. */
static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
	char command[3 * PATH_MAX];
	va_list list;

	va_start(list, format);
	vsnprintf(command, sizeof command, format, list);
	va_end(list);
	int status = system(command); /* NOLINT(bugprone-command-processor) */
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void unknown_fault_is_refused(void **state)
{
	(void)state;
	assert_int_equal(run("POOLBENCH_FAULT=nosuch %s --version 2>%s/said >&2", faulty, place),
			 2);
	assert_int_equal(run("grep -q 'nosuch.*stall' %s/said", place), 0);
	assert_int_equal(run("POOLBENCH_FAULT=steps:1x %s --version 2>/dev/null", faulty), 2);
	assert_int_equal(run("POOLBENCH_FAULT=nosuch %s --version >%s/said", program, place), 0);
}

/*
 * == The command ==
 */

static void assert_bad(const char *arguments, const char *said)
{
	if (run("%s selftest %s 2>%s/said >%s/out", program, arguments, place, place) != 2 ||
	    run("grep -q -e '%s' %s/said && test $(wc -l <%s/said) = 1 && test ! -s %s/out", said,
		place, place, place) != 0)
		fail_msg("selftest %s: want one line with %s", arguments, said);
}

static void command_with_bad_arguments_is_refused(void **state)
{
	char occupied[128];

	(void)state;
	snprintf(occupied, sizeof occupied, "--short -o %s", place);
	assert_bad("surplus", "surplus");
	assert_bad("--seed x", "--seed");
	assert_bad("--nosuch", "nosuch");
	assert_bad("--fault-binary /nonexistent", "/nonexistent");
	assert_bad(occupied, "not empty");
	assert_int_equal(run("%s selftest --help | grep -q -e --fault-binary", program), 0);
}

static void command_that_is_interrupted_keeps_its_rows(void **state)
{
	struct rows rows;
	bool truncated;
	char why[400], run_path[64];

	(void)state;
	snprintf(run_path, sizeof run_path, "%s/run", place);
	assert_int_equal(
		run("%s selftest --short --seed 7 -o %s >/dev/null 2>&1 & "
		    "until [ -s %s/rows.jsonl ]; do sleep 0.05; done; kill -TERM $!; wait $!",
		    program, run_path, run_path),
		130);
	assert_int_equal(rows_load(&rows, run_path, &truncated, why, sizeof why), 0);
	assert_true(rows.count > 0);
	assert_false(truncated);
	assert_string_equal(rows.at[0].cell.experiment, "results");
	assert_true(rows.at[0].arm[0] != '\0');
	rows_free(&rows);
	assert_int_equal(run("%s run --resume %s 2>&1 | grep -q 'programs cannot be resumed'",
			     program, run_path),
			 0);
	assert_int_equal(run("%s compare %s %s 2>&1 | grep -q 'is a self-test'", program, run_path,
			     run_path),
			 0);
	assert_int_equal(run("test ! -e %s/copy-of-poolbench && grep -q '\"seed\": 7' %s/run.json",
			     run_path, run_path),
			 0);
}

static int find_programs(void **state)
{
	char self[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

	(void)state;
	if (size < 0 || mkdtemp(place) == NULL)
		return -1;
	self[size] = '\0';
	const char *build = dirname(dirname(dirname(self)));
	snprintf(program, sizeof program, "%s/poolbench", build);
	snprintf(faulty, sizeof faulty, "%s/fault/poolbench", build);
	return 0;
}

static int remove_place(void **state)
{
	(void)state;
	return run("rm -rf %s", place);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(faults_that_count_are_found),
		cmocka_unit_test(cell_that_failed_is_not_tried_again),
		cmocka_unit_test(sound_arm_in_place_of_a_fault_fails),
		cmocka_unit_test(unknown_fault_is_refused),
		cmocka_unit_test(command_with_bad_arguments_is_refused),
		cmocka_unit_test(command_that_is_interrupted_keeps_its_rows),
	};

	return cmocka_run_group_tests(tests, find_programs, remove_place);
}
