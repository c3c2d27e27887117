/*
 * test_surroundings.c - what the program finds around it when it is started, and what must not come of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness/tests/outside.h"

#define ONE_ROW "run scaling --quick --cells 'loop map' --rounds 1 --seed 5 --out "

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_without_streams_writes_rows_alone),
		cmocka_unit_test(file_that_may_not_grow_is_told_and_leaves_nothing),
	};

	alarm(300);
	return cmocka_run_group_tests(tests, outside_prepare, outside_clean);
}
