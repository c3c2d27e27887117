/*
 * test_failed.c - what failed, or was never measured, stands in the bars and in the choice: nothing is better for it.
 *
 * Through `poolbench report`, from rows as a run writes them. Each case first has all arms good, then one of them failed.
 */
#include "harness/experiments/peers.h"
#include "harness/plot.h"
#include "harness/report.h"
#include "harness/tests/derived.h"

#define WRONG "wrong result: item 7"

static void add_arm(struct fixture *f, const struct arm *arm, double ns)
{
	struct cell cell = cell_of("peers", arm->backend, arm->variant, arm->workload);

	cell.chunk = arm->chunk;
	cell.work = arm->work;
	cell.workers = arm->workers ? arm->workers : PEERS_WORKERS;
	cell.parent_bytes = arm->parent_bytes;
	add(f, &cell, ns, 2 * ns);
	for (size_t i = f->rows.count - ROUNDS; i < f->rows.count; i++)
		f->rows.at[i].clock_ns = 20;
}

static void fail_row(struct record *record)
{
	record->verified = false;
	record->samples = 0;
	strcpy(record->error, WRONG);
}

/* In the first round; a run does not try it again. */
static void fail_arm(struct fixture *f, const char *backend, const char *workload, int64_t chunk)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->rows.count; i++) {
		struct record record = f->rows.at[i];
		bool failed = strcmp(record.cell.backend, backend) == 0 &&
			      strcmp(record.cell.workload, workload) == 0 &&
			      record.cell.chunk == chunk;
		if (failed && record.round > 0)
			continue;
		if (failed)
			fail_row(&record);
		f->rows.at[kept++] = record;
	}
	assert_true(kept < f->rows.count);
	f->rows.count = kept;
}

static void report(struct fixture *f)
{
	write_rows(f);
	assert_int_equal(command(f, report_main, f->run), 0);
}

/* The line of a table that begins so has all these parts. */
static void assert_line(struct fixture *f, const char *table, const char *start, const char *part,
			const char *other)
{
	const char *text = read_file(f, table), *line = strstr(text, start);

	if (line == NULL)
		fail_msg("nothing begins with '%s' in: %s", start, text);
	else
		*strchr(line, '\n') = '\0';
	assert_contains(line, part);
	assert_contains(line, other);
}

static void add_skewed(struct fixture *f)
{
	add_arm(f, &(struct arm){ "raw-list", "map", "skew", .chunk = 0 }, 1000);
	for (int64_t chunk = 0; chunk <= 8; chunk += 8) {
		add_arm(f, &(struct arm){ "fork-pipe", "map", "skew", .chunk = chunk }, 1010);
		add_arm(f, &(struct arm){ "fork-shm", "map", "skew", .chunk = chunk }, 2000);
	}
}

#define P9 "P9\tskewed tasks, makespan over list scheduling, "

static void backend_that_failed_keeps_balance_from_being_met(void **state)
{
	struct fixture *f = *state;

	add_skewed(f);
	report(f);
	assert_line(f, "tables/bars.tsv", P9 "auto", "\t2\t2\t2\tx\t",
		    "not met\tworst of 2, 1 met");
	fail_arm(f, "fork-shm", "skew", 0);
	report(f);
	assert_line(f, "tables/bars.tsv", P9 "auto", "\tnot measured\tworst of 2, 1 met, 1 not",
		    "fork-shm map skew: failed: " WRONG);
	assert_line(f, "tables/bars-all.tsv", P9 "auto chunk: fork-shm", "\t?\t?\t?\tx\t",
		    "not measured");
	fail_arm(f, "fork-shm", "skew", 8);
	report(f);
	assert_line(f, "tables/bars.tsv", P9 "best", "\tnot measured\tworst of 2, 1 met, 1 not",
		    "failed: " WRONG);
}

/* The first rounds were right: they are a selection. */
static void failure_in_a_later_round_is_one(void **state)
{
	struct fixture *f = *state;

	add_arm(f, &(struct arm){ "raw-list", "map", "skew", .chunk = 0 }, 1000);
	add_arm(f, &(struct arm){ "fork-shm", "map", "skew", .chunk = 0 }, 1010);
	report(f);
	assert_line(f, "tables/bars.tsv", P9 "auto", "\tmet\t", "");
	fail_row(&f->rows.at[f->rows.count - 1]);
	report(f);
	assert_line(f, "tables/bars.tsv", P9 "auto", "\tnot measured\t", "failed: " WRONG);
}

static void baseline_that_failed_keeps_its_bars(void **state)
{
	static const char p8[] = "P8\tfork rows, open + close, time over raw fork";
	struct fixture *f = *state;
	struct arm raw = { "raw-fork", "map", "noop", .parent_bytes = MIB };
	struct arm open = { "fork-shm", "open", "noop", .parent_bytes = MIB };

	add_skewed(f);
	add_arm(f, &raw, 1000);
	add_arm(f, &open, 1100);
	raw.parent_bytes = open.parent_bytes = 64 * MIB;
	add_arm(f, &raw, 1000);
	add_arm(f, &open, 5000);
	report(f);
	assert_line(f, "tables/bars.tsv", p8, "fork-shm, 64 MiB\t5\t",
		    "not met\tworst of 2, 1 met");
	fail_arm(f, "raw-fork", "noop", 0);
	fail_arm(f, "raw-list", "skew", 0);
	report(f);
	assert_line(f, "tables/bars.tsv", p8, "\tnot measured\tworst of 2, 0 met, 2 not",
		    "raw-fork map noop: failed: " WRONG);
	assert_line(f, "tables/bars.tsv", P9 "auto", "\tnot measured\t",
		    "raw-list map skew: failed");
	assert_line(f, "tables/bars.tsv", P9 "best", "\tnot measured\t",
		    "raw-list map skew: failed");
}

static void raw_fork_that_was_not_there_is_missing(void **state)
{
	struct fixture *f = *state;

	add_arm(f, &(struct arm){ "fork-shm", "open", "noop", .parent_bytes = MIB }, 1100);
	report(f);
	assert_line(f, "tables/bars.tsv", "P8\tfork rows, open + close, time over raw fork",
		    "\tnot measured\t", "no rows of raw-fork");
	assert_line(f, "tables/bars.tsv", P9 "auto", "\tnot measured\t",
		    "nothing of it was measured");
}

#define P11 "P11\tCPU-bound work, speed over plain forked processes"

static void workload_that_failed_is_counted(void **state)
{
	struct fixture *f = *state;

	add_arm(f, &(struct arm){ "forked", "map", "primes", .work = 500 }, 1000);
	add_arm(f, &(struct arm){ "fork-shm", "map", "primes", .work = 500 }, 1000);
	add_arm(f, &(struct arm){ "fork-pipe", "map", "primes", .work = 500 }, 1500);
	report(f);
	assert_line(f, "tables/bars.tsv", P11, "\tnot met\tworst of 2, 1 met", "");
	fail_arm(f, "fork-pipe", "primes", 0);
	report(f);
	assert_line(f, "tables/bars.tsv", P11, "\tnot measured\tworst of 2, 1 met, 1 not",
		    "fork-pipe map primes: failed: " WRONG);
	assert_line(f, "tables/bars-all.tsv", "P13\twhat timing adds to what it times: fork-pipe",
		    "\tnot measured\t", "failed: " WRONG);
}

/* As after Ctrl-C in the first round. */
static void arm_of_the_plan_without_a_row_is_missing(void **state)
{
	struct fixture *f = *state;
	struct plan plan = { .scale.name = "quick" };
	struct cell cell = cell_of("peers", "fork-pipe", "map", "primes");

	add_arm(f, &(struct arm){ "forked", "map", "primes", .work = 500 }, 1000);
	add_arm(f, &(struct arm){ "fork-shm", "map", "primes", .work = 500 }, 1000);
	for (size_t i = 0; i < f->rows.count; i += ROUNDS)
		assert_int_equal(plan_add(&plan, &f->rows.at[i].cell), 0);
	cell.work = 500;
	cell.workers = PEERS_WORKERS;
	assert_int_equal(plan_add(&plan, &cell), 0);
	keep_plan(f, &plan);
	report(f);
	assert_line(f, "tables/bars.tsv", P11, "\tnot measured\tworst of 2, 1 met, 1 not",
		    "fork-pipe map primes: planned, but there is no row");
}

static void curve_without_one_of_its_points_is_none(void **state)
{
	static const char p7[] = "P7\tshm map, METG(50 %), auto chunk";
	struct fixture *f = *state;
	struct arm arm = { "forked", "map", "spin", .work = 2048 };

	add_arm(f, &arm, 1000);
	for (arm.backend = "fork-shm", arm.work = 4; arm.work <= 64; arm.work *= 4)
		add_arm(f, &arm, (double)arm.work);
	report(f);
	assert_line(f, "tables/bars.tsv", p7, "\tmet\t", "");
	for (size_t i = 0; i < f->rows.count; i++)
		if (f->rows.at[i].cell.work == 4)
			fail_row(&f->rows.at[i]);
	report(f);
	assert_line(f, "tables/bars.tsv", p7, "\tnot measured\ta point of it", "failed: " WRONG);
}

static void failures_are_counted_in_the_texts(void **state)
{
	struct fixture *f = *state;

	add_skewed(f);
	report(f);
	assert_contains(read_file(f, "summary.md"), "0 of 40 invocations failed");
	fail_arm(f, "fork-shm", "skew", 0);
	report(f);
	assert_contains(read_file(f, "summary.md"), "1 of 33 invocations failed or gave a wrong");
	assert_contains(f->text, "\n- peers: fork-shm map skew n=100 c=auto w=2: " WRONG "\n");
	assert_contains(read_file(f, "bars.md"), "1 of 33 invocations failed or gave a wrong");
	assert_contains(read_file(f, "report.html"), "1 of 33 invocations failed or gave a wrong");
}

/* Once the faster pool failed, once all of them, once the loop. */
static void real_tells_of_what_failed_and_counts_it(void **state)
{
	static const char *const loads[] = { "primes", "mandelbrot", "skew" };
	struct fixture *f = *state;

	for (int i = 0; i < 3; i++) {
		struct cell loop = cell_of("real", "loop", "map", loads[i]);
		struct cell pipe = cell_of("real", "fork-pipe", "map", loads[i]);
		struct cell shm = cell_of("real", "fork-shm", "map", loads[i]);
		loop.workers = 1;
		add(f, &loop, 1000, 1000);
		add(f, &shm, 500, 1000);
		add(f, &pipe, 600, 1000);
	}
	/* The loop alone is uneven: by shm each round is faster than by pipe. */
	for (size_t i = 0; i < f->rows.count; i++)
		if (strcmp(f->rows.at[i].cell.backend, "loop") == 0 &&
		    strcmp(f->rows.at[i].cell.workload, "mandelbrot") == 0)
			for (int k = 0; k < f->rows.at[i].samples; k++)
				f->rows.at[i].ns_per_task[k] *= f->rows.at[i].round % 2 ? 1.2 : 0.7;
	report(f);
	assert_line(f, "tables/real-choice.tsv", "mandelbrot\t", "fork-shm\t1.83303\t", "\t-\tyes");
	assert_contains(read_file(f, "summary.md"),
			"for 3 of 3 workloads. Its highest median speedup is");
	fail_row(&f->rows.at[2 * ROUNDS - 1]); /* shm with primes, in the last round only */
	fail_arm(f, "fork-shm", "mandelbrot", 0);
	fail_arm(f, "fork-pipe", "mandelbrot", 0);
	fail_arm(f, "loop", "skew", 0);
	report(f);
	assert_line(f, "tables/real-choice.tsv", "primes\t", "fork-pipe\t1.66667\t", "\t-\tyes");
	assert_line(f, "tables/real-choice.tsv", "mandelbrot\t", "-\t?\t?\t?\t-\tnot measured", "");
	assert_line(f, "tables/real-choice.tsv", "skew\t", "-\t?\t?\t?\t-\tnot measured", "");
	assert_contains(read_file(f, "summary.md"), "for 1 of 3 workloads.");
	assert_contains(f->text, "or not measured: loop (skew), fork-pipe (mandelbrot), fork-shm "
				 "(mandelbrot), fork-shm (primes).");
}

/* Failed cells are not tried again, and an interrupted run has no end. */
static void time_of_a_run_with_failures_is_not_judged(void **state)
{
	static const char p13[] = "P13\ttime of this run, plan quick";
	struct fixture *f = *state;

	add_skewed(f);
	for (size_t i = 0; i < f->rows.count; i++)
		f->rows.at[i].start_ms = (int64_t)(1000 * i);
	write_file(f, "run.json", "{\"plan\":{\"scale\":\"quick\",\"budget_ns\":46000000000}}");
	report(f);
	assert_line(f, "tables/bars.tsv", p13, "\tmet\t", "");
	f->rows.count--;
	report(f);
	assert_line(f, "tables/bars.tsv", p13, "\tnot measured\t", "it was interrupted");
	f->rows.count++;
	fail_arm(f, "fork-shm", "skew", 8);
	report(f);
	assert_line(f, "tables/bars.tsv", p13, "\tnot measured\t", "cells failed");
}

static void experiment_of_which_nothing_is_left_says_so(void **state)
{
	struct fixture *f = *state;
	struct cell loop = cell_of("real", "loop", "map", "primes");
	struct cell pool = cell_of("real", process_pool(), "map", "primes");
	struct cell skewed = cell_of("balance", process_pool(), "map", "skew");

	add(f, &loop, 1000, 1000);
	add(f, &pool, 520, 1000);
	add(f, &skewed, 1100, 1000);
	fail_arm(f, process_pool(), "skew", skewed.chunk);
	report(f);
	assert_contains(read_file(f, "report.html"), "<section id=\"balance\">");
	assert_contains(
		f->text,
		"Nothing was measured: all of 1 invocations failed, the first with: " WRONG);
	assert_contains(f->text, "certainly faster");
	assert_contains(read_file(f, "summary.md"), "Nothing was measured: all of 1 invocations");
	assert_false(exists(f, "tables/balance.tsv"));
	strcpy(f->rows.at[f->rows.count - 1].error, "first line\n# <second>");
	report(f);
	assert_contains(read_file(f, "summary.md"), "the first with: first line # \\<second\\>.\n");
}

static void run_of_which_nothing_is_left_has_no_report_and_no_figure(void **state)
{
	struct fixture *f = *state;
	struct cell skewed = cell_of("balance", process_pool(), "map", "skew");

	add(f, &skewed, 1100, 1000);
	fail_arm(f, process_pool(), "skew", skewed.chunk);
	write_rows(f);
	assert_int_equal(command(f, report_main, f->run), 2);
	assert_contains(read_file(f, "stderr"), "no row counts");
	assert_false(exists(f, "report.html"));
	assert_int_equal(command(f, plot_main, f->run), 2);
	assert_contains(read_file(f, "stderr"), "no row counts");
	assert_one_line(f->text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(backend_that_failed_keeps_balance_from_being_met),
		TEST(failure_in_a_later_round_is_one),
		TEST(baseline_that_failed_keeps_its_bars),
		TEST(raw_fork_that_was_not_there_is_missing),
		TEST(workload_that_failed_is_counted),
		TEST(arm_of_the_plan_without_a_row_is_missing),
		TEST(curve_without_one_of_its_points_is_none),
		TEST(failures_are_counted_in_the_texts),
		TEST(real_tells_of_what_failed_and_counts_it),
		TEST(time_of_a_run_with_failures_is_not_judged),
		TEST(experiment_of_which_nothing_is_left_says_so),
		TEST(run_of_which_nothing_is_left_has_no_report_and_no_figure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
