/*
 * test_report_state.c - a report says what its run lacks: cells that failed, rows of the plan, rounds that were not chosen.
 */
#include "harness/report.h"
#include "harness/tests/derived.h"

static void report_names_what_failed_on_the_page_too(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("real", process_pool(), "imap", "primes");

	write_real_rows(f, "forked");
	add(f, &cell, 500, 1000);
	f->rows.at[3 * ROUNDS].verified = false;
	strcpy(f->rows.at[3 * ROUNDS].error, "wrong result, <b>item 3");
	strcpy(f->rows.at[3 * ROUNDS + 1].error, "first line\n# second");
	write_rows(f);
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_contains(read_file(f, "summary.md"), "wrong result, \\<b\\>item 3");
	assert_contains(f->text, ": first line # second\n");
	assert_contains(read_file(f, "report.html"), "wrong result, &lt;b&gt;item 3</li>");
	assert_contains(f->text, " imap primes n=100 ");
}

/* Three of the plan's four cells have rows, of its nine rounds eight. */
static void report_of_an_interrupted_run_says_what_is_missing(void **state)
{
	struct fixture *f = *state;

	write_real_rows(f, "forked");
	write_file(f, "run.json", "{\"host\":{},\"plan\":{\"rounds\":9,\"cells\":[{},{},{},{}]}}");
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_contains(read_file(f, "summary.md"), "24 of 36 planned invocations");
	assert_contains(read_file(f, "report.html"), "24 of 36 planned invocations");
	write_file(f, "run.json", "{\"host\":{},\"plan\":{\"rounds\":8,\"cells\":[{},{},{}]}}");
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_null(strstr(read_file(f, "summary.md"), "This run"));
}

static void report_of_fewer_rounds_than_planned_says_how_many(void **state)
{
	struct fixture *f = *state;
	struct cell failing = cell_of("real", process_pool(), "imap", "primes");

	write_real_rows(f, "forked");
	write_file(f, "run.json", "{\"host\":{},\"plan\":{\"rounds\":9,\"cells\":[{},{},{}]}}");
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_contains(read_file(f, "summary.md"), "8 whole rounds of the 9 planned");
	assert_null(strstr(f->text, "incomplete"));
	add(f, &failing, 500, 1000);
	fail_after(f, 2); /* and was not measured again */
	write_rows(f);
	write_file(f, "run.json", "{\"host\":{},\"plan\":{\"rounds\":9,\"cells\":[{},{},{},{}]}}");
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_contains(read_file(f, "summary.md"), "8 whole rounds of the 9 planned");
}

static void report_of_an_exploratory_run_gives_no_verdicts(void **state)
{
	struct fixture *f = *state;

	write_real_rows(f, "forked");
	write_file(
		f, "run.json",
		"{\"host\":{},\"plan\":{\"rounds\":100,\"precision\":0.02,\"cells\":[{},{},{}]}}");
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_contains(read_file(f, "summary.md"), "exploratory");
	assert_null(strstr(f->text, "worth it"));
	assert_null(strstr(f->text, "incomplete"));
	assert_contains(read_file(f, "report.html"), "exploratory");
	assert_null(strstr(f->text, "What to take"));
	assert_contains(f->text, "The interval of a typical cell");
	assert_contains(f->text, ">interval from</th>");
	assert_contains(f->text, "cells, up to 8 rounds");
	assert_null(strstr(f->text, "95 % from"));
}

/* Not the median of batches where a probe looked at single calls. */
static void page_says_what_a_value_is(void **state)
{
	static const struct {
		const char *experiment, *variant, *probe, *said;
	} sections[] = {
		{ "scaling", "map", "", "A time is the median of 3 batches of about 1 ms after" },
		{ "latency", "apply", "latency", "Calls are told one by one, all of 3 batches" },
		{ "order", "imap", "delivery", "over the calls (at most 512) of 3 batches" },
		{ "io", "map", "memory", "memory is the most that was seen in a batch more" },
	};

	for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
		struct fixture *f = *state;
		struct cell cell = cell_of(sections[i].experiment, process_pool(),
					   sections[i].variant, "spin");
		strcpy(cell.probe, sections[i].probe);
		f->rows.count = 0;
		add(f, &cell, 500, 1000);
		write_rows(f);
		assert_int_equal(command(f, report_main, f->run), 0);
		assert_contains(read_file(f, "report.html"), sections[i].said);
	}
}

static void page_does_not_say_where_the_run_lies(void **state)
{
	struct fixture *f = *state;
	char run[80];

	write_real_rows(f, "forked");
	for (int i = 0; i < 2; i++) {
		snprintf(run, sizeof run, "%s%s", f->run, i ? "/." : "/");
		assert_int_equal(command(f, report_main, run), 0);
		assert_contains(read_file(f, "report.html"), "run poolbench-report-");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(report_names_what_failed_on_the_page_too),
		TEST(report_of_an_interrupted_run_says_what_is_missing),
		TEST(report_of_fewer_rounds_than_planned_says_how_many),
		TEST(report_of_an_exploratory_run_gives_no_verdicts),
		TEST(page_says_what_a_value_is),
		TEST(page_does_not_say_where_the_run_lies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
