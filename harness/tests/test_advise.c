/*
 * test_advise.c - the advice follows from the rounds: what is certain is advised, what is not is said to be undecided.
 */
#include "harness/advise.h"
#include "harness/tests/capture.h"
#include "pools/pool.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROUNDS 12
#define CELLS 5

static struct capture c;

/* A trial whose times are given: of each cell, in each round times 1, 1.001, 1.002, ... */
struct made {
	struct cell cells[CELLS];
	struct record rows[CELLS * ROUNDS];
	struct trial trial;
};

static void make(struct made *m, const double ns[CELLS])
{
	static const char *const variant[CELLS] = { "map", "map", "map", "map", "imap" };
	static const int64_t chunk[CELLS] = { 0, 0, 1, 16, 0 };

	*m = (struct made){ .trial = { .count = CELLS, .rounds = ROUNDS } };
	for (size_t i = 0; i < CELLS; i++) {
		m->cells[i] = (struct cell){ .workload = "spin", .tasks = 100, .workers = 2 };
		snprintf(m->cells[i].backend, NAME_SIZE, "%s", i ? "fork-shm" : "loop");
		snprintf(m->cells[i].variant, NAME_SIZE, "%s", variant[i]);
		m->cells[i].chunk = chunk[i];
	}
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < CELLS; i++)
			m->rows[(size_t)round * CELLS + i] =
				(struct record){ .cell = m->cells[i],
						 .round = round,
						 .verified = true,
						 .samples = 1,
						 .ns_per_task = { ns[i] * (1 + 0.001 * round) } };
	m->trial.cells = m->cells;
	m->trial.at = m->rows;
}

static struct advice decided(struct made *m)
{
	struct advice advice;

	assert_int_equal(advise_decide(&advice, &m->trial), 0);
	return advice;
}

static void pool_that_is_faster_is_worth_it(void **state)
{
	struct made m;
	struct advice advice;

	(void)state;
	make(&m, (double[]){ 100, 50, 60, 50, 90 });
	advice = decided(&m);
	assert_int_equal(advice.worth, WORTH_YES);
	assert_int_equal(advice.chosen, ADVISE_POOL);
	assert_int_equal(advice.comparison[2].verdict, REGRESSION);
	assert_int_equal(advice.comparison[3].verdict, EQUIVALENT);
}

static void pool_that_is_not_faster_is_not_worth_it(void **state)
{
	struct made m;

	(void)state;
	make(&m, (double[]){ 100, 150, 150, 150, 150 });
	assert_int_equal(decided(&m).worth, WORTH_NO);
	make(&m, (double[]){ 100, 100.5, 100, 100, 100 });
	assert_int_equal(decided(&m).worth, WORTH_NO);
}

static void pool_that_wins_and_loses_is_undecided(void **state)
{
	struct made m;

	(void)state;
	make(&m, (double[]){ 100, 100, 100, 100, 100 });
	for (int round = 0; round < ROUNDS; round++)
		m.rows[round * CELLS + ADVISE_POOL].ns_per_task[0] = round % 2 ? 60 : 170;
	assert_int_equal(decided(&m).worth, WORTH_UNDECIDED);
}

/* Of the pool, in each round: what `advise_say_undecided` says about it and the loop. */
static const char *said_of(struct made *m, const double ns[ROUNDS])
{
	static char text[360];
	struct advice advice;

	make(m, (double[]){ 100, 100, 100, 100, 100 });
	for (int round = 0; round < ROUNDS; round++)
		m->rows[round * CELLS + ADVISE_POOL].ns_per_task[0] =
			ns[round] * (1 + 0.001 * round);
	advice = decided(m);
	assert_int_equal(advice.worth, WORTH_UNDECIDED);
	advise_say_undecided(advise_to_loop(&advice, ADVISE_POOL), text, sizeof text);
	return text;
}

static void assert_says(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no '%s' in: %s", part, text);
}

static void undecided_says_why_and_asks_for_no_more_rounds_than_there_can_be(void **state)
{
	struct made m;

	(void)state;
	/* 10 of 12 rounds agree, so the interval is without 1; that is not enough for eight questions */
	assert_says(said_of(&m, (double[]){ 90, 90, 90, 90, 90, 90, 90, 90, 90, 90, 150, 150 }),
		    ": on its own the interval is without 1, but not together with the other");
	/* half of the rounds on each side */
	assert_says(said_of(&m, (double[]){ 60, 170, 60, 170, 60, 170, 60, 170, 60, 170, 60, 170 }),
		    ": the rounds scatter too much. More than 32 rounds, the most there can be,");
	assert_says(said_of(&m, (double[]){ 80, 84, 86, 88, 90, 92, 94, 96, 100, 104, 108, 112 }),
		    " About ");
}

/* Two rounds cannot show anything, whatever they say. */
static void too_few_rounds_are_undecided(void **state)
{
	struct made m;

	(void)state;
	make(&m, (double[]){ 100, 10, 10, 10, 10 });
	m.trial.rounds = 2;
	assert_int_equal(decided(&m).worth, WORTH_UNDECIDED);
}

static void chunk_is_chosen_only_where_it_is_shown_to_be_better(void **state)
{
	struct made m;

	(void)state;
	make(&m, (double[]){ 100, 50, 45, 40, 20 });
	assert_int_equal(decided(&m).chosen, 3); /* the best chunk; imap is another call */
	make(&m, (double[]){ 100, 50, 49.5, 49.9, 20 });
	assert_int_equal(decided(&m).chosen, ADVISE_POOL);
	make(&m, (double[]){ 100, 50, 45, 40, 20 });
	for (int round = 0; round < ROUNDS; round++)
		m.rows[round * CELLS + 3].verified = false;
	assert_int_equal(decided(&m).chosen, 2);
}

static void chunk_that_beats_the_loop_is_advised_where_the_automatic_one_does_not(void **state)
{
	struct made m;
	struct advice advice;

	(void)state;
	make(&m, (double[]){ 100, 130, 120, 55, 130 });
	advice = decided(&m);
	assert_int_equal(advice.worth, WORTH_YES);
	assert_int_equal(advice.chosen, 3);
	assert_true(fabs(advise_to_loop(&advice, 3)->ratio.mid - 0.55) < 1e-9);
	make(&m, (double[]){ 100, 130, 120, 110, 130 });
	advice = decided(&m);
	assert_int_equal(advice.worth, WORTH_NO);
	assert_int_equal(advice.chosen, 3);
	/* faster than the loop for certain, and not told from the automatic one */
	make(&m, (double[]){ 100, 100, 90, 130, 130 });
	for (int round = 0; round < ROUNDS; round++)
		m.rows[round * CELLS + ADVISE_POOL].ns_per_task[0] = round % 2 ? 60 : 170;
	advice = decided(&m);
	assert_int_equal(advice.worth, WORTH_YES);
	assert_int_equal(advice.chosen, 2);
}

/* 2 / 2^n is the least p of n rounds, and Holm multiplies it by the number of questions: 1 + 3 + 2 of chunks, calls and the
 * loop, and as many of chunks against the loop. */
static void rounds_that_can_tell_depend_on_the_questions(void **state)
{
	(void)state;
	assert_int_equal(advise_rounds_least(&(struct cell){ .tasks = 1000, .workers = 2 }), 9);
	assert_int_equal(advise_rounds_least(&(struct cell){ .tasks = 100, .workers = 2 }), 9);
	assert_int_equal(advise_rounds_least(&(struct cell){ .tasks = 4, .workers = 2 }), 8);
	assert_int_equal(advise_rounds_least(&(struct cell){ .tasks = 1, .workers = 2 }), 7);
}

static void loop_that_failed_leaves_nothing_to_decide(void **state)
{
	struct made m;
	struct advice advice;

	(void)state;
	make(&m, (double[]){ 100, 50, 50, 50, 50 });
	for (int round = 0; round < ROUNDS; round++)
		m.rows[round * CELLS + ADVISE_LOOP].verified = false;
	assert_int_equal(advise_decide(&advice, &m.trial), -EINVAL);
	assert_int_equal(advise_best(&m.trial), ADVISE_LOOP);
}

/* One bad round of twelve; the others are a selection. */
static void pool_that_failed_once_is_not_advised(void **state)
{
	struct made m;
	struct advice advice;

	(void)state;
	make(&m, (double[]){ 100, 20, 50, 60, 60 });
	m.rows[CELLS + ADVISE_POOL].verified = false;
	assert_int_equal(advise_best(&m.trial), 2);
	assert_false(advise_as_good(&m.trial, 2, ADVISE_POOL));
	assert_int_equal(advise_decide(&advice, &m.trial), -EINVAL);
}

static void chunk_that_failed_once_is_not_chosen_and_says_why(void **state)
{
	struct made m;
	struct advice advice;

	(void)state;
	make(&m, (double[]){ 100, 50, 45, 40, 20 });
	m.rows[CELLS + 3].verified = false;
	snprintf(m.rows[CELLS + 3].error, sizeof m.rows[0].error, "wrong result, item 3");
	advice = decided(&m);
	assert_int_equal(advice.chosen, 2);
	assert_int_equal(advice.comparison[3].verdict, NOT_COMPARABLE);
	assert_string_equal(advice.comparison[3].why, "failed: wrong result, item 3");
}

static void best_has_the_highest_speedup_and_ties_are_not_slower(void **state)
{
	struct made m;

	(void)state;
	make(&m, (double[]){ 100, 60, 40, 50, 80 });
	assert_int_equal(advise_best(&m.trial), 2);
	assert_false(advise_as_good(&m.trial, 2, 3));
	assert_false(advise_as_good(&m.trial, 2, 2));
	for (int round = 0; round < ROUNDS; round++) {
		m.rows[round * CELLS + 2].ns_per_task[0] = round % 2 ? 30 : 52;
		m.rows[round * CELLS + 3].ns_per_task[0] = round % 2 ? 52 : 32;
	}
	assert_true(advise_as_good(&m.trial, 2, 3));
	/* Their times overlap, and one is slower in each round. */
	for (int round = 0; round < ROUNDS; round++) {
		m.rows[round * CELLS + 2].ns_per_task[0] = 30 + 4 * round;
		m.rows[round * CELLS + 3].ns_per_task[0] = 1.1 * (30 + 4 * round);
	}
	assert_false(advise_as_good(&m.trial, 2, 3));
	for (int round = 0; round < ROUNDS; round++)
		m.rows[round * CELLS + 2].verified = false;
	assert_int_equal(advise_best(&m.trial), 3);
	assert_false(advise_as_good(&m.trial, 3, 2));
}

static void cells_are_the_loop_and_what_makes_sense(void **state)
{
	const struct cell cell = { .workload = "add", .tasks = 40, .workers = 2 };
	struct cell cells[ADVISE_CELLS];
	size_t count = advise_pools(cells, &cell, "starmap");

	(void)state;
	assert_string_equal(cells[ADVISE_LOOP].backend, "loop");
	assert_string_equal(cells[ADVISE_LOOP].variant, "map");
	assert_int_equal(cells[ADVISE_LOOP].workers, 1);
	assert_true(count >= 5); /* forked and executed workers, pipes and shared memory */
	for (size_t i = ADVISE_POOL; i < count; i++) {
		assert_string_equal(cells[i].variant, "starmap");
		assert_string_not_equal(cells[i].backend, "thread-shm");
		assert_string_not_equal(cells[i].backend, "fork-each");
	}
	struct cell pool = cells[ADVISE_POOL];
	count = advise_calls(cells, &pool);
	assert_int_equal(count, 6); /* chunks 1 and 16: with 256 a worker would get none */
	assert_string_equal(cells[0].backend, "loop");
	assert_true(cell_equal(&cells[ADVISE_POOL], &pool));
	assert_int_equal(cells[3].chunk, 16);
	assert_string_equal(cells[5].variant, "imap_unordered");
}

#define ADVISE "advise --workload add --tasks 100 --workers 2 --batch-ms 1"

static void advise_measures_and_its_status_says_what_it_found(void **state)
{
	json_t *all;
	const char *worth;

	(void)state;
	capture(&c, advise_main, ADVISE " --rounds 9 --json");
	if (c.status != EXIT_FINE && c.status != EXIT_INCONCLUSIVE)
		fail_msg("status %d: %s", c.status, c.error);
	all = json_loads(c.out, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(all);
	worth = json_string_value(json_object_get(all, "worth"));
	assert_int_equal(strcmp(worth, "undecided") == 0, c.status == EXIT_INCONCLUSIVE);
	/* two arguments: map takes one */
	assert_string_equal(json_string_value(json_object_get(all, "variant")), "starmap");
	assert_true(json_array_size(json_object_get(all, "pools")) >= 4);
	assert_int_equal(json_array_size(json_object_get(all, "others")), 4);
	assert_true(json_is_string(json_object_get(all, "advice")));
	json_decref(all);
}

static void advise_as_text_ends_with_the_advice(void **state)
{
	static const char *const said[] = { "add, 100 tasks, ",	   "9 rounds in each part\n",
					    "First part: ",	   "\nloop ",
					    "\nfork-shm ",	   "Second part, measured anew: ",
					    "\nstarmap ",	   "\nimap_unordered ",
					    " of the second part " };
	const char *last;

	(void)state;
	capture(&c, advise_main, ADVISE " --rounds 9");
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		if (strstr(c.out, said[i]) == NULL)
			fail_msg("no '%s' in:\n%s", said[i], c.out);
	last = strstr(c.out, "\n\nUndecided: ");
	if (last == NULL)
		last = strstr(c.out, "\n\nTake ");
	if (last == NULL)
		last = strstr(c.out, "\n\nKeep the serial loop: ");
	assert_non_null(last);
	assert_int_equal(strcmp(strchr(last + 2, '\n'), "\n"), 0);
}

static void advise_of_what_cannot_be_is_refused(void **state)
{
	(void)state;
	assert_refuses(advise_main, "advise", "--workload");
	assert_refuses(advise_main, "advise --workload nosuch", "mandelbrot");
	assert_refuses(advise_main, ADVISE " --backend shm", "finds out");
	assert_refuses(advise_main, ADVISE " --variant map", "finds out");
	assert_refuses(advise_main, ADVISE " --chunk 4", "finds out");
	assert_refuses(advise_main, ADVISE " --probe latency", "--probe");
	assert_refuses(advise_main, ADVISE " --rounds 8", "9 to 32: in fewer nothing");
	assert_refuses(advise_main, ADVISE " --rounds 33", "9 to 32: more are not");
	assert_refuses(advise_main, ADVISE " --work 5", "add");
	assert_refuses(advise_main, ADVISE " surplus", "surplus");
	capture(&c, advise_main, "advise --help");
	assert_int_equal(c.status, EXIT_FINE);
	assert_non_null(strstr(c.out, "Usage: poolbench advise"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_that_is_faster_is_worth_it),
		cmocka_unit_test(pool_that_is_not_faster_is_not_worth_it),
		cmocka_unit_test(pool_that_wins_and_loses_is_undecided),
		cmocka_unit_test(undecided_says_why_and_asks_for_no_more_rounds_than_there_can_be),
		cmocka_unit_test(too_few_rounds_are_undecided),
		cmocka_unit_test(chunk_is_chosen_only_where_it_is_shown_to_be_better),
		cmocka_unit_test(
			chunk_that_beats_the_loop_is_advised_where_the_automatic_one_does_not),
		cmocka_unit_test(rounds_that_can_tell_depend_on_the_questions),
		cmocka_unit_test(loop_that_failed_leaves_nothing_to_decide),
		cmocka_unit_test(pool_that_failed_once_is_not_advised),
		cmocka_unit_test(chunk_that_failed_once_is_not_chosen_and_says_why),
		cmocka_unit_test(best_has_the_highest_speedup_and_ties_are_not_slower),
		cmocka_unit_test(cells_are_the_loop_and_what_makes_sense),
		cmocka_unit_test(advise_measures_and_its_status_says_what_it_found),
		cmocka_unit_test(advise_as_text_ends_with_the_advice),
		cmocka_unit_test(advise_of_what_cannot_be_is_refused),
	};

	pool_main(&argc, &argv);
	if (capture_is_cell(argc, argv))
		return cell_main(argc - 1, argv + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
