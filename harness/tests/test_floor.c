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

static void floor_run_has_to_have_the_cells_that_are_compared(void **state)
{
	static const struct {
		struct run floor;
		const char *said;
	} cases[] = {
		{ { .light_only = true }, " n=1000 c=auto w=2 work=100 (not in it)" },
		{ { .failed = 1 }, " work=10 (the floor's run failed: wrong result, item 3)" },
		{ { .rounds = 5 }, "lacks 2 of the 2 cells that are compared, e.g. overhead: shm" },
		{ { .rounds = 5 }, "(too few rounds: 5, want 6)" },
	};

	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct run floor = cases[i].floor;
		floor.name = "floor";
		write_run(floor);
		assert_refuses(compare_main, "compare a b --floor-from floor", cases[i].said);
	}
	write_run((struct run){ .name = "whole" });
	assert_refuses(compare_main, "compare a b --floor-from whole --floor-from floor", "lacks");
}

static void floor_run_may_lack_what_has_no_verdict_anyway(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "wrong", .failed = 1 });
	write_run((struct run){ .name = "floor", .failed = 1, .factor = 1.01 });
	compare("a wrong --floor-from floor");
	assert_status(EXIT_BAD);
	assert_verdict("10", "NOT COMPARABLE");
	assert_verdict("100", "EQUIVALENT");
}

/* Of the floor's runs, too, the cells count that can have a verdict, and no others. */
static void floor_is_of_the_cells_that_are_compared(void **state)
{
	static const char *const commands[] = {
		"true",
		"sed -i '/\"work\":10,/d' b/rows.jsonl",
		"sed -Ei '/\"work\":10,.*\"round\":([4-9]|1.),/d' b/rows.jsonl",
	};

	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "floor", .factor = 1.5 });
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		write_run((struct run){ .name = "b", .failed = i == 0 });
		assert_int_equal(system(commands[i]), 0);
		compare("a b --floor-from floor");
		assert_verdict("100", "EQUIVALENT");
		assert_non_null(strstr(said.error, "(1 differences, 1 runs beside A)"));
	}
	assert_verdict("10", "INCONCLUSIVE");
	assert_non_null(strstr(line_of("10"), "too few rounds: 4, want 6"));
}

/* A run that is kept as a baseline is such a copy. */
static void floor_run_that_is_a_copy_is_refused(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	write_run((struct run){ .name = "near", .factor = 1.04 });
	write_run((struct run){ .name = "part" });
	assert_int_equal(system("rm -rf a2 b2 near2; cp -r a a2; cp -r b b2; cp -r near near2;"
				"head -n 18 a/rows.jsonl >part/rows.jsonl"),
			 0);
	assert_refuses(compare_main, "compare a b --floor-from b", "b: has the rows of b");
	assert_refuses(compare_main, "compare a b --floor-from a2", "a2: has the rows of a, want");
	assert_refuses(compare_main, "compare a b --floor-from part", "part: has the rows of a,");
	assert_refuses(compare_main, "compare part b --floor-from a", "a: has the rows of part,");
	assert_refuses(compare_main, "compare a b --floor-from b2", "has the rows of b, want");
	compare("a b --floor-from near --floor-from near2");
	assert_status(EXIT_USAGE);
	assert_non_null(strstr(said.error, "near2: has the rows of near, want another run of a's"));
	write_run((struct run){ .name = "like", .factor = 1.04 });
	compare("a b --floor-from near --floor-from like");
	assert_status(EXIT_BAD);
}

static void floor_run_that_cannot_be_compared_is_refused_with_the_reason(void **state)
{
	static const struct {
		struct run a, floor;
		const char *said;
	} cases[] = {
		{ { .cpus = 2 }, { .cpus = 4 }, "with a: different machines: cpus_online" },
		{ { .cpus = 2 }, { .precision = true }, "with a: the floor's run is exploratory" },
		{ { .precision = true }, { .cpus = 2 }, "with a: A is exploratory" },
		{ { .cpus = 2 }, { .experiment = "scaling" }, "with a: none is in both" },
		{ { .cpus = 2 }, { .disturbed = 5 }, "rounds of the floor's run are left out" },
	};

	(void)state;
	write_run((struct run){ .name = "b", .factor = 1.5 });
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct run a = cases[i].a, floor = cases[i].floor;
		a.name = "a";
		floor.name = "floor";
		write_run(a);
		write_run(floor);
		assert_refuses(compare_main, "compare a b --floor-from floor", cases[i].said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(floor_of_other_runs_is_what_they_differ_from_the_baseline),
		cmocka_unit_test(floor_run_has_to_have_the_cells_that_are_compared),
		cmocka_unit_test(floor_run_may_lack_what_has_no_verdict_anyway),
		cmocka_unit_test(floor_is_of_the_cells_that_are_compared),
		cmocka_unit_test(floor_run_that_is_a_copy_is_refused),
		cmocka_unit_test(floor_run_that_cannot_be_compared_is_refused_with_the_reason),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, written_prepare, written_clean);
}
