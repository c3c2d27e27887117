/*
 * test_probe.c - what probes say of calls whose latencies and deliveries are known.
 */
#include "harness/bench.h"
#include "harness/cell.h"
#include "harness/clock.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define CALLS 10000
#define RESOLUTION 0.01 /* of the histogram, relative */

struct known {
	struct cell cell;
	struct bench bench;
	struct record record;
	uint64_t calls;
};

static void begin(struct known *k, const char *probe, uint64_t tasks,
		  int (*call)(struct bench *bench, void *results))
{
	*k = (struct known){ .bench = { .work.tasks = tasks, .call = call } };
	snprintf(k->cell.probe, sizeof k->cell.probe, "%s", probe);
	k->bench.cell = &k->cell;
	k->bench.state = k;
	assert_int_equal(probe_new(&k->bench.probe, &k->bench), 0);
	assert_non_null(k->bench.probe);
}

static void end(struct known *k)
{
	probe_keep(k->bench.probe, &k->record);
	probe_free(k->bench.probe);
}

/* Tells 1000, 2000, 3000, ... ns. */
static int call_longer_and_longer(struct bench *b, void *results)
{
	struct known *k = b->state;

	(void)results;
	b->latency_ns = (int64_t)(++k->calls * 1000);
	return 0;
}

static double latency(const struct known *k, double exceedance)
{
	int i = probe_exceedance_find(exceedance);

	assert_true(i >= 0);
	return k->record.profile_ns[i];
}

static void near(double got, double wanted)
{
	if (!(fabs(got - wanted) <= RESOLUTION * wanted))
		fail_msg("got %g, wanted %g", got, wanted);
}

static void table_of_exceedances_descends_from_one_to_zero(void **state)
{
	(void)state;
	assert_true(probe_exceedance[0] == 1);
	assert_true(probe_exceedance[PROBE_EXCEEDANCES - 1] == 0);
	for (int i = 1; i < PROBE_EXCEEDANCES; i++)
		assert_true(probe_exceedance[i] < probe_exceedance[i - 1]);
	assert_int_equal(probe_exceedance_find(0.123), -1);
}

static void latency_quantiles_of_known_calls_are_theirs(void **state)
{
	struct known k;

	(void)state;
	begin(&k, "latency", 1, call_longer_and_longer);
	for (int i = 0; i < CALLS; i++)
		assert_int_equal(probe_call(&k.bench, NULL), 0);
	end(&k);
	assert_int_equal(k.record.profile, PROBE_EXCEEDANCES);
	assert_true(latency(&k, 1) == 1000);
	assert_true(latency(&k, 0) == CALLS * 1000);
	near(latency(&k, .9), (CALLS * .1 + 1) * 1000);
	near(latency(&k, .5), (CALLS * .5 + 1) * 1000);
	near(latency(&k, .01), (CALLS * .99 + 1) * 1000);
	near(latency(&k, .001), (CALLS - 9) * 1000);
}

static void latency_quantiles_with_too_few_calls_beyond_are_left_out(void **state)
{
	struct known k;

	(void)state;
	begin(&k, "latency", 1, call_longer_and_longer);
	for (int i = 0; i < CALLS; i++)
		assert_int_equal(probe_call(&k.bench, NULL), 0);
	end(&k);
	assert_true(latency(&k, .001) > 0);
	for (int i = probe_exceedance_find(.001) + 1; i < PROBE_EXCEEDANCES - 1; i++)
		assert_true(k.record.profile_ns[i] == 0);
}

static void latency_below_ten_clock_costs_is_left_out(void **state)
{
	struct known k;

	(void)state;
	begin(&k, "latency", 1, call_longer_and_longer);
	k.record.clock_ns = 500e3; /* ten of them: 5 ms, the median */
	for (int i = 0; i < CALLS; i++)
		assert_int_equal(probe_call(&k.bench, NULL), 0);
	end(&k);
	assert_true(latency(&k, 1) == 0);
	assert_true(latency(&k, .75) == 0);
	near(latency(&k, .25), 7500e3);
}

static void reset_forgets_the_calls_before(void **state)
{
	struct known k;

	(void)state;
	begin(&k, "latency", 1, call_longer_and_longer);
	for (int i = 0; i < 5; i++)
		assert_int_equal(probe_call(&k.bench, NULL), 0);
	probe_reset(k.bench.probe);
	assert_int_equal(probe_call(&k.bench, NULL), 0);
	end(&k);
	assert_true(latency(&k, 1) == 6000);
	assert_true(latency(&k, 0) == 6000);
}

/* Five results at once, then a pause, then five more; the end is told by nobody. */
static int call_in_two_halves(struct bench *b, void *results)
{
	(void)results;
	probe_delivered(b->probe, b->work.tasks / 2);
	usleep(2000);
	return 0;
}

static void delivery_marks_are_reached_when_the_results_are(void **state)
{
	struct known k;

	(void)state;
	begin(&k, "delivery", 10, call_in_two_halves);
	for (int i = 0; i < 3; i++)
		assert_int_equal(probe_call(&k.bench, NULL), 0);
	end(&k);
	assert_int_equal(k.record.profile, 10);
	assert_true(k.record.profile_ns[0] == k.record.profile_ns[4]);
	assert_true(k.record.profile_ns[5] == k.record.profile_ns[9]);
	assert_true(k.record.profile_ns[5] - k.record.profile_ns[4] >= 2e6);
}

/* The first half of 129 is 64 results; mark 31 of 64 wants 64.5, hence 65. */
static void delivery_of_more_tasks_than_marks_rounds_up(void **state)
{
	struct known k;

	(void)state;
	begin(&k, "delivery", 129, call_in_two_halves);
	assert_int_equal(probe_call(&k.bench, NULL), 0);
	end(&k);
	assert_int_equal(k.record.profile, SAMPLES_MAX);
	assert_true(k.record.profile_ns[0] == k.record.profile_ns[30]);
	assert_true(k.record.profile_ns[31] == k.record.profile_ns[63]);
	assert_true(k.record.profile_ns[31] - k.record.profile_ns[30] >= 2e6);
}

/* As many calls as are kept take 50 us and more, those after them nothing. */
static int call_slow_at_first(struct bench *b, void *results)
{
	struct known *k = b->state;

	(void)results;
	if (k->calls++ < PROBE_CALLS)
		usleep(50);
	return 0;
}

static void delivery_of_more_calls_than_are_kept_takes_the_first(void **state)
{
	struct known k;

	(void)state;
	begin(&k, "delivery", 1, call_slow_at_first);
	for (int i = 0; i < 4 * PROBE_CALLS; i++)
		assert_int_equal(probe_call(&k.bench, NULL), 0);
	end(&k);
	assert_int_equal(k.record.profile, 1);
	assert_true(k.record.profile_ns[0] >= 50e3);
}

static int call_that_fails(struct bench *b, void *results)
{
	(void)b;
	(void)results;
	return -5;
}

static void failed_calls_do_not_count(void **state)
{
	struct known k;

	(void)state;
	begin(&k, "delivery", 4, call_that_fails);
	assert_int_equal(probe_call(&k.bench, NULL), -5);
	end(&k);
	assert_int_equal(k.record.profile, 0);
}

/* Whole cells: the values must be possible, whatever the machine does meanwhile. */
static void measure(const char *variant, const char *probe, uint64_t tasks, struct record *record)
{
	const struct cell_setup setup = { .seed = 1 };
	struct cell cell = { .backend = "fork-shm", .workload = "noop", .tasks = tasks };

	cell.workers = 2;
	cell.batches = 2;
	cell.batch_ns = 2 * NS_PER_MS;
	snprintf(cell.variant, sizeof cell.variant, "%s", variant);
	snprintf(cell.probe, sizeof cell.probe, "%s", probe);
	if (cell_measure(&cell, &setup, record) != CELL_DONE)
		fail_msg("%s: %s", variant, record->error);
}

static void cell_without_probe_has_no_profile(void **state)
{
	struct record record;

	(void)state;
	measure("apply", "", 1, &record);
	assert_int_equal(record.profile, 0);
}

static void cell_of_apply_has_latencies_that_do_not_fall(void **state)
{
	struct record record;
	double last = 0;

	(void)state;
	measure("apply", "latency", 1, &record);
	assert_int_equal(record.profile, PROBE_EXCEEDANCES);
	for (int i = 0; i < PROBE_EXCEEDANCES; i++) {
		if (record.profile_ns[i] == 0)
			continue;
		assert_true(record.profile_ns[i] >= last);
		last = record.profile_ns[i];
	}
	assert_true(last > 0);
}

static void cells_of_all_calls_deliver_all_results(void **state)
{
	const struct variant *variant;

	(void)state;
	for (unsigned i = 0; (variant = variant_at(i)) != NULL; i++) {
		struct record record;
		if (variant->call == variant_open)
			continue;
		measure(variant->name, "delivery", 100, &record);
		assert_int_equal(record.profile, SAMPLES_MAX);
		assert_true(record.profile_ns[0] > 0);
		for (int k = 1; k < record.profile; k++)
			assert_true(record.profile_ns[k] >= record.profile_ns[k - 1]);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_of_exceedances_descends_from_one_to_zero),
		cmocka_unit_test(latency_quantiles_of_known_calls_are_theirs),
		cmocka_unit_test(latency_quantiles_with_too_few_calls_beyond_are_left_out),
		cmocka_unit_test(latency_below_ten_clock_costs_is_left_out),
		cmocka_unit_test(reset_forgets_the_calls_before),
		cmocka_unit_test(delivery_marks_are_reached_when_the_results_are),
		cmocka_unit_test(delivery_of_more_tasks_than_marks_rounds_up),
		cmocka_unit_test(delivery_of_more_calls_than_are_kept_takes_the_first),
		cmocka_unit_test(failed_calls_do_not_count),
		cmocka_unit_test(cell_without_probe_has_no_profile),
		cmocka_unit_test(cell_of_apply_has_latencies_that_do_not_fall),
		cmocka_unit_test(cells_of_all_calls_deliver_all_results),
	};

	pool_main(&argc, &argv);
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
