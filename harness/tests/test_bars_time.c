/*
 * test_bars_time.c - bar P13, the time of a run: judged where it is the time of a plan, and of nothing else.
 */
#include "harness/tests/derived.h"

#define P13 "P13\ttime of this run, plan quick\t"
#define OWN_BUDGET "\"budget_ns\":46000000000" /* of quick */

static void write_plan(struct fixture *f, const char *members, const char *beside)
{
	char text[256];

	snprintf(text, sizeof text, "{\"plan\":{\"scale\":\"quick\",%s}%s}", members, beside);
	write_file(f, "run.json", text);
}

/* A row a second; from the fifth on after a pause. */
static void add_rows(struct fixture *f, int64_t pause_ms)
{
	struct cell cell = cell_of("peers", "fork-shm", "map", "square");

	add(f, &cell, 100, 0);
	for (size_t i = 0; i < f->rows.count; i++) {
		f->rows.at[i].start_ms = (int64_t)(1000 * i) + (i >= 4 ? pause_ms : 0);
		f->rows.at[i].clock_ns = 25;
	}
}

static void assert_time(struct fixture *f, const char *wanted)
{
	derive(f, "peers");
	const char *line = strstr(read_file(f, "tables/bars.tsv"), P13);
	assert_non_null(line);
	*strchr(line, '\n') = '\0';
	assert_contains(line, wanted);
}

static void time_of_a_run_is_judged_where_it_had_the_plan_s_budget(void **state)
{
	struct fixture *f = *state;

	add_rows(f, 0);
	write_plan(f, OWN_BUDGET, "");
	assert_time(f, "\t8\t8\t8\ts\tat most 60\tmet\t");
	assert_contains(read_file(f, "tables/bars.tsv"), "P13\twhat timing adds");
	write_plan(f, "\"budget_ns\":0", "");
	assert_time(f, "not measured\tits rounds were fixed");
	write_plan(f, "\"budget_ns\":10000000000", "");
	assert_time(f, "not measured\tit had a budget of its own");
	write_plan(f, OWN_BUDGET ",\"cells\":[{\"experiment\":\"peers\"}]", "");
	assert_time(f, "not measured\tit had a part of the cells only");
	write_plan(f, "\"budget_ns\":7200000000000", "");
	assert_time(f, "not measured\tit had a budget of its own");
}

static void time_of_a_part_of_the_cells_is_not_judged(void **state)
{
	const char *const names[] = { "granularity" };
	struct fixture *f = *state;
	struct plan plan;
	json_t *object;

	plan_init(&plan, 0, 0, 1);
	assert_int_equal(plan_add_named(&plan, names, 1), 0);
	assert_int_equal(plan_keep(&plan, NULL), 0);
	object = plan_to_json(&plan);
	assert_null(json_object_get(object, "part"));
	json_decref(object);
	assert_int_equal(plan_keep(&plan, "fork-shm"), 0);
	keep_plan(f, &plan);
	add_rows(f, 0);
	assert_time(f, "not measured\tit had a part of the cells only");
}

/* Longer than two cells may last. */
static void long_pause_is_none_of_its_time(void **state)
{
	struct fixture *f = *state;

	add_rows(f, 28800000);
	write_plan(f, OWN_BUDGET, "");
	assert_time(f, "\t?\t?\t?\ts\tat most 60\tnot measured\tit paused for 28801 s");
}

/* However short the pause. */
static void time_of_a_resumed_run_is_not_judged(void **state)
{
	struct fixture *f = *state;

	add_rows(f, 15000);
	write_plan(f, OWN_BUDGET, ",\"resumed\":true");
	assert_time(f, "\t?\t?\t?\ts\tat most 60\tnot measured\tit was resumed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(time_of_a_run_is_judged_where_it_had_the_plan_s_budget),
		TEST(time_of_a_part_of_the_cells_is_not_judged),
		TEST(long_pause_is_none_of_its_time),
		TEST(time_of_a_resumed_run_is_not_judged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
