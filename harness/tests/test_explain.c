/*
 * test_explain.c - parts of known times come out as they went in, nothing counts twice, and the command says what
 * it could not count.
 */
#include "harness/cell.h"
#include "harness/explain.h"
#include "harness/syscalls.h"
#include "harness/tests/capture.h"
#include "pools/pool.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NEAR 1e-9

static struct capture c;

/* A machine whose prices are known: what does a task take that claims, wakes and calls so often? */
enum { ITEM_NS = 5, CHUNK_NS = 20, WAKE_NS = 3000, CALL_NS = 400, EMPTY_NS = 1 };

static struct glance task(double run_ns, double claims, double wakes, double calls)
{
	double beyond = fmax(0, calls - 2 * wakes);

	return (struct glance){ .claims = claims,
				.wakes = wakes,
				.calls = calls,
				.ns = run_ns + ITEM_NS + CHUNK_NS * claims + WAKE_NS * wakes +
				      CALL_NS * beyond };
}

static struct evidence known_machine(void)
{
	return (struct evidence){
		.cell = task(700, 0.25, 0.01, 0.1),
		.empty = { task(EMPTY_NS, 1, 0.02, 0.3), task(EMPTY_NS, 0.125, 0.01, 0.02),
			   task(EMPTY_NS, 0.015625, 0, 0.01) },
		.empties = 3,
		.run_ns = 700,
		.empty_run_ns = EMPTY_NS,
		.wake_ns = WAKE_NS,
		.call_ns = CALL_NS,
	};
}

static void assert_near(double value, double wanted)
{
	if (!(fabs(value - wanted) <= NEAR * fmax(1, fabs(wanted))))
		fail_msg("%.12g, want %.12g", value, wanted);
}

static void assert_adds_up(const struct account *a)
{
	double sum = a->rest_ns;

	for (int part = 0; part < PARTS; part++) {
		assert_near(a->ns[part], a->count[part] * a->unit_ns[part]);
		sum += a->ns[part];
	}
	assert_near(sum, a->total_ns);
}

static void parts_of_a_known_machine_come_back(void **state)
{
	struct evidence e = known_machine();
	struct account a;

	(void)state;
	explain_evidence(&a, &e);
	assert_near(a.ns[PART_RUN], 700);
	assert_near(a.ns[PART_ITEM], ITEM_NS);
	assert_near(a.unit_ns[PART_CHUNK], CHUNK_NS);
	assert_near(a.ns[PART_CHUNK], CHUNK_NS * 0.25);
	assert_near(a.ns[PART_WAKE], WAKE_NS * 0.01);
	assert_near(a.count[PART_CALL], 0.1 - 2 * 0.01); /* a wake-up's own two are paid */
	assert_near(a.rest_ns, 0);
	assert_adds_up(&a);
}

static void copy_is_bytes_times_the_price_of_a_byte(void **state)
{
	struct evidence e = known_machine();
	struct account a;

	(void)state;
	e.bytes = 4096;
	e.byte_ns = 0.125;
	e.cell.ns += 512;
	explain_evidence(&a, &e);
	assert_near(a.ns[PART_COPY], 512);
	assert_near(a.rest_ns, 0);
}

static void time_that_nothing_explains_is_the_rest_with_its_sign(void **state)
{
	struct evidence e = known_machine();
	struct account a;

	(void)state;
	e.cell.ns += 123;
	explain_evidence(&a, &e);
	assert_near(a.rest_ns, 123);
	assert_adds_up(&a);
	e.cell.ns -= 2 * 123;
	explain_evidence(&a, &e);
	assert_near(a.rest_ns, -123);
	assert_adds_up(&a);
}

static void empty_task_explains_itself(void **state)
{
	struct evidence e = known_machine();
	struct account a;

	(void)state;
	e.cell = e.empty[0];
	e.run_ns = EMPTY_NS;
	explain_evidence(&a, &e);
	assert_near(a.rest_ns, 0); /* its kernel is run once, not a second time with the item */
}

static void wake_ups_that_overlap_make_no_part_negative(void **state)
{
	struct evidence e = known_machine();
	struct account a;

	(void)state;
	e.wake_ns *= 100; /* dearer than all of the empty tasks' time */
	explain_evidence(&a, &e);
	for (int part = 0; part < PARTS; part++)
		assert_true(a.ns[part] >= 0);
	assert_true(a.rest_ns < 0);
	assert_adds_up(&a);
}

static void chunks_that_cannot_be_told_from_items_are_theirs(void **state)
{
	struct evidence e = known_machine();
	struct account a;

	(void)state;
	e.empties = 1;
	explain_evidence(&a, &e);
	assert_near(a.unit_ns[PART_ITEM], ITEM_NS + CHUNK_NS);
	assert_near(a.unit_ns[PART_CHUNK], 0);
	e.empties = 3; /* one claim a task, whatever the chunk; differences are chance */
	e.empty[1] = task(EMPTY_NS, 0.99, 0, 0);
	e.empty[2] = task(EMPTY_NS + 30, 0.98, 0, 0);
	explain_evidence(&a, &e);
	assert_near(a.unit_ns[PART_CHUNK], 0);
	assert_true(a.unit_ns[PART_ITEM] > ITEM_NS + CHUNK_NS);
}

static void plan_has_the_cell_first_and_copies_only_what_is_worth_it(void **state)
{
	struct cell cell = { .backend = "fork-pipe",
			     .variant = "imap",
			     .workload = "stream",
			     .tasks = 10,
			     .workers = 2,
			     .chunk = 3,
			     .window = 7,
			     .payload_bytes = 1 << 20,
			     .batches = 1 };
	static struct explanation e;
	char why[256];

	(void)state;
	explain_plan(&e, &cell, (1 << 20) + 8);
	assert_true(cell_equal(&e.cells[0], &cell));
	assert_string_equal(e.cells[e.run].backend, "forked");
	assert_int_equal(e.cells[e.run].payload_bytes, 1 << 20);
	assert_int_equal(e.cells[e.copy[0]].payload_bytes, 2 * e.cells[e.copy[1]].payload_bytes);
	assert_int_equal(e.empties, 1); /* with chunks of 8 a worker would get none */
	for (size_t i = 0; i < e.count; i++)
		if (i != e.far_wake)
			assert_int_equal(cell_check(&e.cells[i], why, sizeof why), 0);
	explain_plan(&e, &cell, 40);
	assert_int_equal(e.copy[0], SIZE_MAX);
	assert_true(e.bytes == 0);
}

/*
 * == The command ==
 */

#define EXPLAIN "explain --backend fork-pipe --variant map --workload noop --tasks 200 --batch-ms 1"

static double median_of(const json_t *object, const char *key)
{
	const json_t *median = json_object_get(json_object_get(object, key), "median");

	assert_true(json_is_real(median));
	return json_real_value(median);
}

static void explain_in_one_round_adds_up(void **state)
{
	static const char *const names[] = { "run",  "item",	"chunk",
					     "copy", "wake-up", "system call" };
	json_t *all, *parts;
	double sum;

	(void)state;
	capture(&c, explain_main, EXPLAIN " --rounds 1 --json");
	if (c.status != EXIT_FINE)
		fail_msg("status %d: %s", c.status, c.error);
	all = json_loads(c.out, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(all);
	parts = json_object_get(all, "parts");
	assert_int_equal(json_array_size(parts), PARTS);
	sum = median_of(all, "unexplained_ns");
	for (size_t i = 0; i < PARTS; i++) {
		const json_t *part = json_array_get(parts, i);
		assert_string_equal(json_string_value(json_object_get(part, "part")), names[i]);
		sum += median_of(part, "ns_per_task");
	}
	assert_true(fabs(sum / median_of(all, "measured_ns") - 1) < 1e-6);
	/* no interval is made up from one round */
	assert_null(json_object_get(json_object_get(all, "measured_ns"), "low"));
	json_decref(all);
}

static void explain_in_six_rounds_has_a_table_with_intervals(void **state)
{
	static const char *const said[] = { "fork-pipe map noop n=200 c=1 w=",
					    "6 rounds",
					    "run ",
					    "item ",
					    "chunk ",
					    "copy ",
					    "wake-up ",
					    "unexplained ",
					    "measured ",
					    " to ",
					    "they add up in each round",
					    "Beside the parts" };
	struct syscalls *syscalls = NULL;
	bool counts = syscalls_new(&syscalls) == 0;

	(void)state;
	syscalls_free(syscalls);
	capture(&c, explain_main, EXPLAIN " --rounds 6 --chunk 1");
	if (c.status != EXIT_FINE)
		fail_msg("status %d: %s", c.status, c.error);
	for (size_t i = 0; i < sizeof said / sizeof *said; i++)
		if (strstr(c.out, said[i]) == NULL)
			fail_msg("no '%s' in:\n%s", said[i], c.out);
	assert_null(strstr(c.out, "too few rounds"));
	assert_null(strstr(c.out, "nan"));
	assert_non_null(strstr(c.out, counts ? "\nsystem call " : "\nread, write "));
	assert_true(counts == (strstr(c.out, "System calls were not counted: ") == NULL));
}

static void explain_of_what_cannot_be_is_refused(void **state)
{
	(void)state;
	assert_refuses(explain_main, "explain", "--backend");
	assert_refuses(explain_main, EXPLAIN " --backend nosuch", "fork-shm=shm");
	assert_refuses(explain_main, EXPLAIN " --variant nosuch", "imap_unordered");
	assert_refuses(explain_main, EXPLAIN " --workload nosuch", "mandelbrot");
	assert_refuses(explain_main, EXPLAIN " --variant open", "no tasks");
	assert_refuses(explain_main, EXPLAIN " --backend forked", "baseline");
	assert_refuses(explain_main, EXPLAIN " --tasks 0", "--tasks");
	assert_refuses(explain_main, EXPLAIN " --rounds 33", "--rounds");
	assert_refuses(explain_main, EXPLAIN " --probe latency", "--probe");
	assert_refuses(explain_main, EXPLAIN " --parent 1M", "--parent");
	assert_refuses(explain_main, EXPLAIN " --payload 8", "noop");
	assert_refuses(explain_main, EXPLAIN " surplus", "explain takes options only");
}

static void explain_of_a_cell_that_fails_says_which(void **state)
{
	(void)state;
	capture(&c, explain_main,
		"explain --backend serial --variant map --workload add --tasks 20 --rounds 1 "
		"--batch-ms 1");
	assert_int_equal(c.status, EXIT_BAD);
	assert_string_equal(c.out, "");
	assert_non_null(strstr(c.error, "serial map add n=20"));
	assert_non_null(strstr(c.error, "use starmap"));
}

static void explain_help_is_on_stdout(void **state)
{
	(void)state;
	capture(&c, explain_main, "explain --help");
	assert_int_equal(c.status, EXIT_FINE);
	assert_non_null(strstr(c.out, "Usage: poolbench explain"));
	assert_string_equal(c.error, "");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_of_a_known_machine_come_back),
		cmocka_unit_test(copy_is_bytes_times_the_price_of_a_byte),
		cmocka_unit_test(time_that_nothing_explains_is_the_rest_with_its_sign),
		cmocka_unit_test(empty_task_explains_itself),
		cmocka_unit_test(wake_ups_that_overlap_make_no_part_negative),
		cmocka_unit_test(chunks_that_cannot_be_told_from_items_are_theirs),
		cmocka_unit_test(plan_has_the_cell_first_and_copies_only_what_is_worth_it),
		cmocka_unit_test(explain_in_one_round_adds_up),
		cmocka_unit_test(explain_in_six_rounds_has_a_table_with_intervals),
		cmocka_unit_test(explain_of_what_cannot_be_is_refused),
		cmocka_unit_test(explain_of_a_cell_that_fails_says_which),
		cmocka_unit_test(explain_help_is_on_stdout),
	};

	pool_main(&argc, &argv);
	if (capture_is_cell(argc, argv))
		return cell_main(argc - 1, argv + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
