/*
 * test_rerun.c - two programs measured by turns: the real one, and wrappers of it that are worse.
 *
 * The program is $POOLBENCH, or found from where this test lies: .build/X/harness/tests/test_rerun and .build/X/poolbench.
 * One cell, the serial loop over `spin`; a wrapper changes the cell on its way in and the row on its way out: the time, too.
 */
#include "harness/record.h"
#include "harness/rerun.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "harness/tests/capture.h"

#define ONE_CELL "--quick --experiment scaling --cells loop --rounds 6 --seed 3 --all-rounds"

static char program[PATH_MAX];
static char place[] = "/tmp/test_rerun-XXXXXX";
static struct capture said;

static int compare(const char *a, const char *b, const char *options)
{
	char line[3 * PATH_MAX];

	snprintf(line, sizeof line, "compare --rerun %s %s %s", a, b, options);
	capture(&said, compare_main, line);
	return said.status;
}

static void assert_status(int status)
{
	if (said.status != status)
		fail_msg("status %d, want %d: %s%s", said.status, status, said.out, said.error);
}

static void assert_said(const char *text)
{
	if (strstr(said.out, text) == NULL && strstr(said.error, text) == NULL)
		fail_msg("'%s' is not in: %s%s", text, said.out, said.error);
}

/* A program in the place; `in` and `out` are sed's commands for the cell and for the row. */
static void write_wrapper(const char *name, const char *in, const char *out)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fprintf(file,
		"#!/bin/sh\n"
		"[ \"$1\" = cell ] || exec '%s' \"$@\"\n"
		"sed '%s' | '%s' \"$@\" | sed '%s'\n",
		program, in, program, out);
	fclose(file);
	assert_int_equal(chmod(name, 0755), 0);
}

static size_t count_rows(const char *run, const char *arm)
{
	struct rows rows;
	char why[512] = "";
	bool truncated;
	size_t count = 0;

	if (rows_load(&rows, run, &truncated, why, sizeof why) < 0)
		fail_msg("%s", why);
	for (size_t i = 0; i < rows.count; i++)
		count += strcmp(rows.at[i].arm, arm) == 0;
	rows_free(&rows);
	return count;
}

/* Noise alone makes a regression of one session in some thousands: up to three, each in a place of its own. */
static const char *compare_with_itself(const char *name, const char *options)
{
	static char out[32];
	char line[256];

	said.status = -1;
	for (int try = 0; try < 3 && said.status != EXIT_FINE; try++) {
		snprintf(out, sizeof out, "%s%d", name, try);
		snprintf(line, sizeof line, ONE_CELL "%s --out %s", options, out);
		compare(program, program, line);
	}
	assert_status(EXIT_FINE);
	return out;
}

static void program_against_itself_is_no_regression(void **state)
{
	const char *out = compare_with_itself("same", "");

	(void)state;
	assert_said("0 REGRESSION, 0 NOT COMPARABLE");
	assert_true(count_rows(out, "A") >= 6);
	assert_int_equal(count_rows(out, "A"), count_rows(out, "B"));
	assert_int_equal(count_rows(out, "A"), count_rows(out, "A2"));
	out = compare_with_itself("two", " --floor 3");
	assert_int_equal(count_rows(out, "A2"), 0);
}

/* What the rows of a wrapper say of the time, so that a verdict does not hang on the machine. */
#define TAKES(ns)                                                                                  \
	"s/\"samples\":[0-9]*/\"samples\":1/;s/\"ns_per_task\":\\[[^]]*\\]/\"ns_per_task\":[" ns   \
	"]/"

static void slower_program_is_a_regression(void **state)
{
	(void)state;
	write_wrapper("./quick", "", TAKES("100.0"));
	write_wrapper("./slow", "", TAKES("110.0"));
	compare("./quick", "./slow", ONE_CELL " --out slow-run");
	assert_status(EXIT_BAD);
	assert_said("\nREGRESSION ");
	assert_said("1 cells differ: measured again");
	assert_int_equal(count_rows("slow-run", "B"), 12);
	capture(&said, compare_main, "compare slow-run --all-rounds");
	assert_status(EXIT_BAD);
	assert_said("\nREGRESSION ");
	compare("./slow", "./quick", ONE_CELL " --floor 3 --out fast-run");
	assert_status(EXIT_FINE);
	assert_said("\nIMPROVEMENT ");
	compare("./quick", "./slow", ONE_CELL " --floor 11 --out tolerated");
	assert_status(EXIT_FINE);
	assert_said("0 REGRESSION");
}

/* Rounds that confirm are numbered from CONFIRM_ROUND, which has more than one digit. */
static void difference_that_does_not_come_again_is_not_reported(void **state)
{
	(void)state;
	write_wrapper("./first-slow", "",
		      TAKES("100.0") ";/\"round\":[0-7],/s/\\[100.0\\]/[110.0]/");
	compare("./quick", "./first-slow", ONE_CELL " --floor 3 --out first");
	assert_status(EXIT_FINE);
	assert_said("not confirmed by 6 more");
}

/* A program that takes 100 ns a task; after the first cell it also does `once`. */
static void write_restless(const char *once)
{
	FILE *file = fopen("./restless", "w");

	assert_non_null(file);
	fprintf(file,
		"#!/bin/sh\n"
		"[ \"$1\" = cell ] || exec '%s' \"$@\"\n"
		"'%s' \"$@\" | sed '%s'\n"
		"[ -e done ] || { >done; %s; }\n",
		program, program, TAKES("100.0"), once);
	fclose(file);
	assert_int_equal(chmod("./restless", 0755), 0);
	assert_true(unlink("done") == 0 || access("done", F_OK) < 0);
}

static void program_replaced_meanwhile_is_still_the_one_measured(void **state)
{
	(void)state;
	write_restless("cp slow next; mv -f next restless");
	compare("./quick", "./restless", ONE_CELL " --floor 3 --out replaced");
	assert_status(EXIT_FINE);
	assert_said("0 REGRESSION, 0 NOT COMPARABLE, 0 INCONCLUSIVE");
	assert_int_equal(system("cmp -s slow restless"), 0);
}

static void program_written_to_meanwhile_has_no_verdict(void **state)
{
	(void)state;
	write_restless("echo >>restless");
	compare("./quick", "./restless", ONE_CELL " --floor 3 --out written");
	assert_status(EXIT_INCONCLUSIVE);
	assert_said("program B was written to");
	assert_string_equal(said.out, "");
	assert_int_equal(count_rows("written", "B"), 6);
	capture(&said, compare_main, "compare written");
	assert_status(EXIT_INCONCLUSIVE);
	assert_said("program B was written to");
	assert_string_equal(said.out, "");
}

/* What cannot be written for want of room is stood for by a directory that is in the way. */
#define FULL(run) "mkdir " run "/run.json.new"

static void program_written_to_on_a_full_disk_has_no_verdict_later(void **state)
{
	(void)state;
	write_restless("echo >>restless; " FULL("full"));
	compare("./quick", "./restless", ONE_CELL " --floor 3 --out full");
	assert_status(EXIT_UNFIT);
	assert_said("full/run.json: cannot write this file");
	assert_said("program B was written to");
	assert_string_equal(said.out, "");
	capture(&said, compare_main, "compare full");
	assert_status(EXIT_INCONCLUSIVE);
	assert_said("did not come to its end");
	assert_string_equal(said.out, "");
}

static void session_whose_end_cannot_be_noted_is_judged_once(void **state)
{
	(void)state;
	write_restless(FULL("unnoted"));
	compare("./quick", "./restless", ONE_CELL " --floor 3 --out unnoted");
	assert_status(EXIT_UNFIT);
	assert_said("0 REGRESSION, 0 NOT COMPARABLE, 0 INCONCLUSIVE");
	assert_said("will not be judged again");
	capture(&said, compare_main, "compare unnoted");
	assert_status(EXIT_INCONCLUSIVE);
	assert_said("did not come to its end");
}

static void assert_verdict(const char *verdict)
{
	char line[32];

	snprintf(line, sizeof line, "\n%s ", verdict);
	assert_said(line);
}

static void session_is_judged_again_as_it_was(void **state)
{
	(void)state;
	compare("./quick", "./slow", ONE_CELL " --floor 20 --out floored");
	assert_status(EXIT_FINE);
	assert_verdict("INCONCLUSIVE");
	capture(&said, compare_main, "compare floored");
	assert_status(EXIT_FINE);
	assert_verdict("INCONCLUSIVE");
	assert_said("measured with, 20 %");
	assert_said("no round is left out, as when");
	capture(&said, compare_main, "compare floored --floor 3");
	assert_said("not measured again to confirm it");
	assert_int_equal(system("sed -i 's/\"floor\": [0-9.e+-]*/\"floor\": -1/' floored/run.json"),
			 0);
	assert_refuses(compare_main, "compare floored", "want a number, not negative");
}

/* Neither may take the programs' rows together for one series. */
static void session_is_not_reported_as_a_run(void **state)
{
	(void)state;
	compare("./quick", "./slow", ONE_CELL " --floor 3 --out not-a-run");
	assert_status(EXIT_BAD);
	assert_refuses(report_main, "report not-a-run", "use poolbench compare DIR");
	assert_refuses(plot_main, "plot not-a-run", "use poolbench compare DIR");
	assert_int_equal(access("not-a-run/tables", F_OK), -1);
	/* its inputs are told, too */
	assert_int_equal(system("jq -e '.plan | .seed == .input_seed' not-a-run/run.json >jq"), 0);
}

static void program_with_wrong_results_is_not_comparable(void **state)
{
	(void)state;
	write_wrapper("./wrong", "", "s/\"verified\":true/\"verified\":false/");
	compare(program, "./wrong", ONE_CELL " --out wrong-b");
	assert_status(EXIT_BAD);
	assert_said("B failed");
	assert_int_equal(count_rows("wrong-b", "B"), 1); /* not tried again */
	compare("./wrong", program, ONE_CELL " --out wrong-a");
	assert_status(EXIT_INCONCLUSIVE);
	assert_said("A failed");
	write_wrapper("./mute", "", "d");
	compare(program, "./mute", ONE_CELL " --out mute-b");
	assert_status(EXIT_BAD);
	assert_said("gave no row");
}

static void rounds_too_few_for_a_verdict_are_said_before(void **state)
{
	(void)state;
	compare(program, program,
		"--quick --experiment scaling --cells loop --rounds 2 --all-rounds --out few");
	assert_status(EXIT_FINE);
	assert_said("2 rounds cannot show a difference among the 1 cells");
	assert_said("too few rounds: 2, want 6");
}

static void cells_have_as_long_as_in_a_run_of_their_level(void **state)
{
	static const int64_t wanted_s[] = { 30, 30, 120 };

	(void)state;
	for (int level = 0; level < 3; level++) {
		struct plan plan;
		plan_init(&plan, level, 0, 1);
		assert_int_equal(rerun_deadline_ns(&plan), wanted_s[level] * 1000000000);
		plan_free(&plan);
	}
}

static void budget_is_kept_to(void **state)
{
	(void)state;
	compare(program, program,
		"--quick --experiment scaling --cells loop --budget 1s --all-rounds --out budget");
	assert_status(EXIT_FINE);
	assert_true(count_rows("budget", "A") >= 1 && count_rows("budget", "A") <= 8);
	compare(program, program, ONE_CELL " --out budget");
	assert_status(EXIT_USAGE);
	assert_said("is not empty");
	capture(&said, run_main, "run --resume budget");
	assert_status(EXIT_USAGE);
	assert_said("programs cannot be resumed");
}

static int prepare(void **state)
{
	(void)state;
	return capture_program(program, sizeof program) == 0 && mkdtemp(place) != NULL
		       ? chdir(place)
		       : -1;
}

static int clean(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", place);
	return chdir("/") == 0 ? system(command) : -1;
}

static void write_script(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	assert_non_null(file);
	fprintf(file, "#!/bin/sh\n%s\n", text);
	fclose(file);
	assert_int_equal(chmod(name, 0755), 0);
}

static void assert_refused(const char *name, const char *text)
{
	compare(name, name, ONE_CELL " --out refused");
	assert_status(EXIT_USAGE);
	assert_said(text);
}

/* One that knows no --version may wait for something that never comes. */
static void program_that_does_not_say_what_it_is_is_refused(void **state)
{
	(void)state;
	write_script("./endless", "sleep 1000");
	write_script("./failing", "echo poolbench 1; exit 1");
	write_script("./other", "echo other 1; echo poolbench 1");
	write_script("./dying", "echo poolbench 1; kill -9 $$");
	assert_refused("./endless", "./endless: does not answer --version within 10 s, want");
	assert_refused("./failing", "./failing: does not say by --version");
	assert_refused("./other", "./other: does not say by --version");
	assert_refused("./dying", "./dying: does not say by --version");
	write_wrapper("./it's", "", "");
	compare("./it's", program, ONE_CELL " --out quoted");
	assert_int_equal(count_rows("quoted", "A"), count_rows("quoted", "B"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(program_against_itself_is_no_regression),
		cmocka_unit_test(slower_program_is_a_regression),
		cmocka_unit_test(difference_that_does_not_come_again_is_not_reported),
		cmocka_unit_test(program_replaced_meanwhile_is_still_the_one_measured),
		cmocka_unit_test(program_written_to_meanwhile_has_no_verdict),
		cmocka_unit_test(program_written_to_on_a_full_disk_has_no_verdict_later),
		cmocka_unit_test(session_whose_end_cannot_be_noted_is_judged_once),
		cmocka_unit_test(session_is_judged_again_as_it_was),
		cmocka_unit_test(session_is_not_reported_as_a_run),
		cmocka_unit_test(program_with_wrong_results_is_not_comparable),
		cmocka_unit_test(rounds_too_few_for_a_verdict_are_said_before),
		cmocka_unit_test(cells_have_as_long_as_in_a_run_of_their_level),
		cmocka_unit_test(budget_is_kept_to),
		cmocka_unit_test(program_that_does_not_say_what_it_is_is_refused),
	};

	alarm(900);
	return cmocka_run_group_tests(tests, prepare, clean);
}
