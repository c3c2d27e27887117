/*
 * test_plan.c - plans as run.json has them: what nobody can have planned is refused, by name.
 */
#include "harness/tests/derived.h"

#include <limits.h>

/* A plan of one cell, of which `member` is changed: in the plan, or, if it has it, in the cell. */
static json_t *plan_with(const char *member, json_t *value)
{
	const struct cell cell = cell_of("real", process_pool(), "map", "primes");
	struct plan plan;
	json_t *object, *planned;

	plan_init(&plan, 0, 8, 1);
	assert_int_equal(plan_add(&plan, &cell), 0);
	object = plan_to_json(&plan);
	planned = json_array_get(json_object_get(object, "cells"), 0);
	plan_free(&plan);
	assert_int_equal(json_object_set_new(json_object_get(planned, member) ? planned : object,
					     member, value),
			 0);
	return object;
}

/* The line about it, or "" for a plan that is accepted. */
static const char *refusal_of(const char *member, json_t *value)
{
	static char why[256];
	json_t *object = plan_with(member, value);
	struct plan plan = { .count = 0 };

	why[0] = '\0';
	if (plan_from_json(&plan, object, why, sizeof why) == 0) {
		assert_true(plan_estimate_ns(&plan) > 0);
		assert_string_equal(why, "");
	}
	plan_free(&plan);
	json_decref(object);
	return why;
}

static void plan_that_nobody_can_have_made_is_refused_by_name(void **state)
{
	static const struct {
		const char *member;
		json_int_t bad[3];
	} cases[] = {
		{ "level", { -1, 3, INT_MAX } },
		{ "rounds", { 0, 257, (INT64_C(1) << 32) + 8 } },
		{ "budget_ns", { -1, INT64_MIN, -1 } },
		{ "batches", { -1, 65, INT_MAX } },
		{ "batch_ns", { -1, INT64_MAX, INT64_MIN } },
		{ "payload_bytes", { -1, INT64_MAX, (INT64_C(1) << 50) + 1 } },
		{ "parent_bytes", { -1, INT64_MAX, (INT64_C(1) << 50) + 1 } },
	};
	char name[32];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (size_t k = 0; k < 3; k++) {
			snprintf(name, sizeof name, "\"%s\": want", cases[i].member);
			assert_contains(refusal_of(cases[i].member, json_integer(cases[i].bad[k])),
					name);
		}
	assert_contains(refusal_of("rounds", json_string("many")), "Expected integer");
	assert_contains(refusal_of("cells", json_integer(1)), "no cells");
}

static void plan_at_its_bounds_is_accepted(void **state)
{
	(void)state;
	assert_string_equal(refusal_of("rounds", json_integer(256)), "");
	assert_string_equal(refusal_of("batches", json_integer(64)), "");
	assert_string_equal(refusal_of("tasks", json_integer(INT64_MAX)), "");
	assert_string_equal(refusal_of("payload_bytes", json_integer(INT64_C(1) << 50)), "");
	assert_string_equal(refusal_of("parent_bytes", json_integer(INT64_C(1) << 50)), "");
}

/* What does not fit was cut, and the run would have become a baseline of another name. */
static void name_of_a_baseline_is_not_cut(void **state)
{
	char name[BASELINE_NAME_MOST + 2] = "";

	(void)state;
	memset(name, 'n', BASELINE_NAME_MOST);
	assert_string_equal(refusal_of("save_baseline", json_string(name)), "");
	name[BASELINE_NAME_MOST] = 'n';
	assert_contains(refusal_of("save_baseline", json_string(name)), "at most 64 characters");
}

static void estimate_has_an_end(void **state)
{
	struct cell cell = cell_of("payload", process_pool(), "map", "stream");
	struct plan plan;

	(void)state;
	plan_init(&plan, 0, 256, 1);
	cell.payload_bytes = UINT64_C(1) << 50;
	for (cell.tasks = UINT64_C(1) << 30; cell.tasks < UINT64_C(1) << 40; cell.tasks *= 2)
		assert_int_equal(plan_add(&plan, &cell), 0);
	assert_true(plan_estimate_ns(&plan) == INT64_MAX / 8);
	plan_free(&plan);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plan_that_nobody_can_have_made_is_refused_by_name),
		cmocka_unit_test(plan_at_its_bounds_is_accepted),
		cmocka_unit_test(name_of_a_baseline_is_not_cut),
		cmocka_unit_test(estimate_has_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
