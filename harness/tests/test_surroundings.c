/*
 * test_surroundings.c - what the program finds around it when it is started, and what must not come of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness/tests/outside.h"

#define ONE_ROW "run scaling --quick --cells 'loop map' --rounds 1 --seed 5 --out "
#define DRAWN_RUN "run latency --quick --cells 'fork-shm' --rounds 1 --seed 5 --out "

/* No file that is opened takes the place of a stream. */
static void run_without_streams_writes_rows_alone(void **state)
{
	(void)state;
	assert_int_equal(outside_run("$P " ONE_ROW "silent 2>&-"), 0);
	assert_string_equal(outside_said, "silent\n");
	assert_int_equal(outside_rows("silent"), 1);
	assert_int_equal(outside_run("$P " ONE_ROW "mute 2>&1 >&-"), 4);
	assert_non_null(strstr(outside_said, "poolbench: stdout: "));
	assert_int_equal(outside_rows("mute"), 1);
	assert_int_equal(outside_run("$P " ONE_ROW "none <&- >&- 2>&-"), 4);
	assert_int_equal(outside_rows("none"), 1);
}

/* One line tells, and nothing half written stays. */
static void file_that_may_not_grow_is_told_and_leaves_nothing(void **state)
{
	(void)state;
	assert_int_equal(outside_run("prlimit --fsize=100 $P " ONE_ROW "small 2>&1"), 4);
	assert_non_null(strstr(outside_said, "small/run.json: cannot write this file: File too"));
	assert_ptr_equal(strchr(outside_said, '\n'), strrchr(outside_said, '\n'));
	assert_int_equal(outside_run("ls -A small"), 0);
	assert_string_equal(outside_said, "");
	assert_int_equal(outside_run("$P " ONE_ROW "short 2>/dev/null"), 0);
	assert_int_equal(outside_run("prlimit --fsize=2000 $P report short 2>&1"), 4);
	assert_non_null(strstr(outside_said, "short/report.html: File too large\n"));
	assert_int_equal(outside_run("find short -name '*.new' -o -name '*.html' -o -name '*.svg'"),
			 0);
	assert_string_equal(outside_said, "");
}

#define EXPORT "$P export exported --format csv"

/* Whole, or the old one; what is no file is written to. */
static void export_replaces_a_file_by_a_whole_one_alone(void **state)
{
	(void)state;
	assert_int_equal(outside_run("$P " ONE_ROW "exported 2>/dev/null && echo old >file"), 0);
	assert_int_equal(outside_run("prlimit --fsize=100 " EXPORT " --out file 2>&1"), 4);
	assert_string_equal(outside_said, "poolbench: file: not all was written: File too large\n");
	assert_int_equal(outside_run("cat file file.new 2>/dev/null"), 1);
	assert_string_equal(outside_said, "old\n");
	assert_int_equal(outside_run(EXPORT " >direct && " EXPORT " --out file && cmp direct file"),
			 0);
	assert_int_equal(outside_run("ln -s file link && echo old >file && " EXPORT
				     " --out link && "
				     "test -L link && cmp direct file"),
			 0);
	assert_int_equal(outside_run(EXPORT " --out /dev/stdout >through && cmp direct through"),
			 0);
	assert_int_equal(outside_run(EXPORT " --out /dev/stdout | cmp - direct"), 0);
	assert_int_equal(outside_run("ls *.new /dev/stdout.new 2>/dev/null | wc -l | grep -qx 0"),
			 0);
}

static void settings_of_the_user_are_not_in_figures(void **state)
{
	(void)state;
	assert_int_equal(outside_run(
				 "mkdir home && echo \"set title 'of the user'\" >home/.gnuplot"),
			 0);
	assert_int_equal(outside_run("$P " DRAWN_RUN "plain 2>/dev/null"), 0);
	assert_int_equal(outside_run("HOME=$PWD/home $P plot plain 2>&1"), 0);
	assert_int_equal(outside_run("grep -q '</svg>' plain/plots/latency.svg"), 0);
	assert_int_equal(outside_run("grep 'of the user' plain/plots/*.svg"), 1);
}

/* Warnings of tables without a point are ours to tell. */
static void gnuplot_is_heard_only_where_it_fails(void **state)
{
	(void)state;
	assert_int_equal(outside_run("mkdir before && printf '#!/bin/sh\necho warning >&2\n"
				     "PATH=${PATH#*:} exec gnuplot \"$@\"\n' >before/gnuplot && "
				     "chmod +x before/gnuplot && $P " DRAWN_RUN
				     "heard 2>/dev/null"),
			 0);
	assert_int_equal(outside_run("PATH=$PWD/before:$PATH $P plot heard 2>&1"), 0);
	assert_string_equal(outside_said, "heard/plots/latency.svg\n");
	assert_int_equal(outside_run("(echo '#!/bin/sh'; echo 'yes reason | head -n 99999 >&2'; "
				     "echo 'exit 1') >before/gnuplot; "
				     "PATH=$PWD/before:$PATH $P plot heard 2>&1"),
			 2);
	assert_non_null(strstr(outside_said, "reason\nreason\n"));
	assert_non_null(strstr(outside_said, "latency.svg: gnuplot could not draw it\n"));
}

static void place_may_have_characters_of_patterns(void **state)
{
	(void)state;
	assert_int_equal(outside_run("mkdir -p 'a[1]*b\\c/scripts' && cp $P 'a[1]*b\\c' && "
				     "cp -r \"$(dirname $P)\"/../../scripts/plots "
				     "'a[1]*b\\c/scripts' && $P " DRAWN_RUN "'x[1]' 2>/dev/null"),
			 0);
	assert_int_equal(outside_run("'a[1]*b\\c/poolbench' plot 'x[1]' 2>&1"), 0);
	assert_string_equal(outside_said, "x[1]/plots/latency.svg\n");
}

/* Where `make install` puts them. */
static void installed_program_finds_its_peers(void **state)
{
	(void)state;
	assert_int_equal(
		outside_run(
			"mkdir -p there/bin there/share/poolbench/peers && cp $P there/bin && "
			"cp \"$(dirname $P)\"/scripts/peers/limits there/share/poolbench/peers && "
			"there/bin/poolbench run latency --cells raw-pipe --rounds 1 "
			"--out found 2>&1"),
		0);
	assert_null(strstr(outside_said, "skipped"));
	assert_true(outside_rows("found") > 0);
	assert_int_equal(outside_run("rm there/share/poolbench/peers/limits; "
				     "there/bin/poolbench run latency --cells raw-pipe --rounds 1 "
				     "--out lost 2>&1"),
			 2);
	assert_non_null(strstr(outside_said, "skipped: the machine's limits is not there"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_without_streams_writes_rows_alone),
		cmocka_unit_test(file_that_may_not_grow_is_told_and_leaves_nothing),
		cmocka_unit_test(export_replaces_a_file_by_a_whole_one_alone),
		cmocka_unit_test(settings_of_the_user_are_not_in_figures),
		cmocka_unit_test(gnuplot_is_heard_only_where_it_fails),
		cmocka_unit_test(place_may_have_characters_of_patterns),
		cmocka_unit_test(installed_program_finds_its_peers),
	};

	alarm(900);
	return cmocka_run_group_tests(tests, outside_prepare, outside_clean);
}
