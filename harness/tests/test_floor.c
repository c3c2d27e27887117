/*
 * test_floor.c - `poolbench compare --floor-from`: which runs tell what one program differs by, and what it is then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness/tests/written.h"

static void floor_of_other_runs_is_what_they_differ_from_the_baseline(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	write_run((struct run){ .name = "near", .factor = 1.04 });
	write_run((struct run){ .name = "far", .factor = 1.7 });
	write_run((struct run){ .name = "alien", .digest = "cd34" });
	compare("a b --floor-from near");
	assert_status(EXIT_BAD);
	assert_verdict("10", "REGRESSION");
	assert_non_null(strstr(said.error, "floor"));
	compare("a b --floor-from near --floor-from far");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
	compare("a b --floor-from alien");
	assert_status(EXIT_USAGE);
	assert_non_null(strstr(said.error, "another program"));
	compare("a b --floor-from a");
	assert_status(EXIT_USAGE);
	assert_non_null(strstr(said.error, "want another run"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floor_of_other_runs_is_what_they_differ_from_the_baseline),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, written_prepare, written_clean);
}
