/*
 * run.c - `poolbench run`: every cell of the chosen experiments, once a round, in random order, each in a process of its own.
 *
 * DESIGN. The loop owns nothing but the order: what to do is the plan's, where it goes is the directory's, how it is measured
 * is the child's. Signals are blocked except while waiting for a child, so Ctrl-C is always seen at one place, and
 * everything measured before is on disk. A cell that failed once is not tried again in later rounds: a hanging backend
 * would cost its deadline in each.
 */
#include "harness/args.h"
#include "harness/child.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "harness/interrupt.h"
#include "harness/progress.h"
#include "harness/rerun.h"
#include "harness/run_args.h"
#include "harness/run_dir.h"
#include "harness/saved.h"
#include "harness/stopping.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BASELINE_ROUNDS 12

struct session {
	struct plan plan;
	struct rows rows; /* of a resumed run; for the summary all rows end up here */
	struct run_dir dir;
	struct progress progress;
	bool *done;   /* by order number */
	bool *failed; /* by cell */
	size_t *order;
	bool resumed; /* and run.json does not say so yet */
	struct stopping stopping;
	int64_t deadline_ns, begin_ns;
	sigset_t waiting; /* the signal mask while waiting */
};

/*
 * == Before ==
 */

static int new_run(struct session *s, const struct run_wish *wish)
{
	struct plan *plan = &s->plan;
	int rounds = wish->precision > 0 && wish->rounds == 0 ? STOPPING_ROUNDS_MAX : wish->rounds;
	int rc;

	plan_init(plan, wish->level, rounds, args_seed(wish->seed));
	if (wish->seed >= 0)
		plan->input_seed = plan->seed;
	if (wish->budget_ns > 0 && rounds == 0)
		plan->budget_ns = wish->budget_ns;
	plan->precision = wish->precision;
	rc = plan_add_named(plan, wish->experiments, wish->experiment_count);
	if (rc == 0)
		rc = plan_keep(plan, wish->cells);
	if (rc < 0)
		return rc;
	plan_settle(plan);
	if (wish->budget_ns > 0 && rounds == 0)
		plan_fill(plan);
	plan->budget_ns = wish->budget_ns > 0 ? wish->budget_ns : plan->budget_ns;
	if (wish->save) {
		snprintf(plan->save, sizeof plan->save, "%s", wish->save);
		rc = saved_prepare();
	}
	return rc ? rc : run_dir_create(&s->dir, wish->out, plan, NULL);
}

static int make_room(struct session *s)
{
	size_t total = s->plan.count * (size_t)s->plan.scale.rounds;

	s->deadline_ns = plan_deadline_ns(s->plan.scale.name);
	s->done = calloc(total, sizeof *s->done);
	s->failed = calloc(s->plan.count, sizeof *s->failed);
	s->order = calloc(s->plan.count, sizeof *s->order);
	if (s->done == NULL || s->failed == NULL || s->order == NULL)
		return -ENOMEM;
	return stopping_open(&s->stopping, s->plan.precision, s->plan.count,
			     (size_t)s->plan.scale.rounds);
}

/* A row of the plan, by its place in the order: the cell it is of. */
static void mark_row(struct session *s, const struct record *row)
{
	size_t cell;

	plan_order(&s->plan, row->order / (int)s->plan.count, s->order);
	cell = s->order[(size_t)row->order % s->plan.count];
	s->done[row->order] = true;
	if (row->verified)
		stopping_add(&s->stopping, cell, record_median(row));
	else
		s->failed[cell] = true;
}

/* Marks what a resumed run has already; how many. */
static size_t mark_done(struct session *s)
{
	size_t total = s->plan.count * (size_t)s->plan.scale.rounds, count = 0;

	for (size_t i = 0; i < s->rows.count; i++) {
		const struct record *row = &s->rows.at[i];
		if (row->order < 0 || (size_t)row->order >= total || s->done[row->order])
			continue;
		mark_row(s, row);
		count++;
	}
	return count;
}

static void announce(const struct session *s, size_t done)
{
	char time[32];
	size_t total = s->plan.count * (size_t)s->plan.scale.rounds;
	double left = (double)(total - done) / (double)total;

	progress_time((int64_t)((double)plan_estimate_ns(&s->plan) * left), time, sizeof time);
	fprintf(stderr,
		"poolbench: %s run, %zu cells, %d rounds, seed %" PRIu64 ", %s %s, into %s\n",
		s->plan.scale.name, s->plan.count, s->plan.scale.rounds, s->plan.seed,
		s->plan.precision > 0 ? "at most" : "about", time, s->dir.path);
	if (s->plan.precision > 0)
		fprintf(stderr,
			"poolbench: exploratory: each cell until it is known within %g %%, so no "
			"verdicts\n",
			100 * s->plan.precision);
	else if (s->plan.budget_ns != 0 && plan_estimate_ns(&s->plan) > s->plan.budget_ns)
		fprintf(stderr,
			"poolbench: that is more than it should take: rounds will be dropped\n");
}

/*
 * == During ==
 */

/* "...  +-3.1 %": how well the cell is known by now. */
static void add_precision(const struct session *s, size_t cell, char *label, size_t size)
{
	double half = stopping_half(&s->stopping, cell);
	size_t used = strlen(label);

	if (s->plan.precision > 0 && isfinite(half))
		snprintf(label + used, size - used, "  +-%.1f %%", 100 * half);
}

/* From its first new row on, its rows do not tell how long it took. */
static int note_resumed(struct session *s)
{
	int rc = s->resumed ? run_dir_note(&s->dir, "resumed", json_true()) : 0;

	s->resumed &= rc < 0;
	return rc;
}

static int measure(struct session *s, struct record *record, size_t cell)
{
	int rc = child_measure(record, s->plan.input_seed, s->deadline_ns, &s->waiting);

	if (rc == 0)
		rc = note_resumed(s);
	if (rc == 0)
		rc = run_dir_append(&s->dir, record);
	if (rc == 0)
		rc = rows_add(&s->rows, record);
	if (rc < 0)
		return rc;
	s->failed[cell] = !record->verified;
	if (record->verified)
		stopping_add(&s->stopping, cell, record_median(record));
	return 0;
}

static int run_cell(struct session *s, int round, size_t position)
{
	size_t cell = s->order[position];
	struct record record = { .cell = s->plan.cells[cell],
				 .round = round,
				 .order = (int)((size_t)round * s->plan.count + position) };
	char label[256];
	int rc = 0;

	if (s->done[record.order])
		return 0;
	if (!s->failed[cell] && !s->stopping.settled[cell])
		rc = measure(s, &record, cell);
	if (rc < 0)
		return rc;
	s->done[record.order] = true;
	cell_label(&s->plan.cells[cell], label, sizeof label);
	add_precision(s, cell, label, sizeof label);
	progress_step(&s->progress, label);
	return 0;
}

static int run_round(struct session *s, int round)
{
	plan_order(&s->plan, round, s->order);
	for (size_t position = 0; position < s->plan.count; position++) {
		int rc = run_cell(s, round, position);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Would one more round like the mean of `rounds` overrun the time this scale may take? */
static bool out_of_time(const struct session *s, int rounds)
{
	int64_t used = clock_now_ns() - s->begin_ns;

	return s->plan.budget_ns != 0 && used + used / rounds > s->plan.budget_ns;
}

static int run_rounds(struct session *s)
{
	int rounds = s->plan.scale.rounds, fresh = 0;

	for (int round = 0; round < rounds; round++) {
		size_t before = s->progress.done;
		int rc = run_round(s, round);
		if (rc < 0)
			return rc;
		fresh += s->progress.done != before;
		if (stopping_done(&s->stopping))
			break;
		if (fresh == 0 || round + 1 == rounds || !out_of_time(s, fresh))
			continue;
		progress_clear(&s->progress);
		fprintf(stderr,
			"poolbench: %d of %d rounds done; the rest is dropped, it would take "
			"longer than it should\n",
			round + 1, rounds);
		break;
	}
	return 0;
}

/*
 * == After ==
 */

/* Rows that are not verified, each with its reason; how many. */
static size_t report_failed(const struct session *s)
{
	size_t count = 0;
	char label[256];

	for (size_t i = 0; i < s->rows.count; i++) {
		const struct record *row = &s->rows.at[i];
		if (row->verified)
			continue;
		cell_label(&row->cell, label, sizeof label);
		fprintf(stderr, "poolbench: failed: %s %s: %s\n", row->cell.experiment, label,
			row->error);
		count++;
	}
	return count;
}

/* How well a cell is known that is not known as well as was wanted. */
static void report_loose(const struct session *s, size_t cell)
{
	const double half = stopping_half(&s->stopping, cell);
	char label[256], known[48] = "too few rounds to tell";

	if (isfinite(half))
		snprintf(known, sizeof known, "within %.1f %%", 100 * half);
	cell_label(&s->plan.cells[cell], label, sizeof label);
	fprintf(stderr, "poolbench: %s: %s: %s\n", known, s->plan.cells[cell].experiment, label);
}

static void report_precision(const struct session *s)
{
	if (s->plan.precision <= 0)
		return;
	fprintf(stderr, "poolbench: %zu of %zu cells are known within %g %%\n",
		s->stopping.settled_count, s->plan.count, 100 * s->plan.precision);
	for (size_t i = 0; i < s->plan.count; i++)
		if (!s->stopping.settled[i] && !s->failed[i])
			report_loose(s, i);
}

/* As a baseline, if that was asked for. */
static int save(const struct session *s, int status)
{
	const char *name = s->plan.save;

	if (!name[0])
		return status;
	if (saved_store(name, s->dir.path) < 0)
		return EXIT_UNFIT;
	fprintf(stderr, "poolbench: kept as baseline %s, with this program\n", name);
	return status;
}

static int conclude(struct session *s, int rc)
{
	size_t failed;

	progress_clear(&s->progress);
	failed = report_failed(s);
	report_precision(s);
	if (rc < 0) {
		fprintf(stderr,
			"poolbench: %s; %zu rows are kept, go on with: poolbench run --resume %s\n",
			rc == -EINTR ? "interrupted" : strerror(-rc), s->rows.count, s->dir.path);
		return rc == -EINTR ? EXIT_INTERRUPTED : EXIT_UNFIT;
	}
	if (failed > 0 && s->plan.save[0])
		fprintf(stderr, "poolbench: not kept as a baseline: a cell failed\n");
	fprintf(stderr, "poolbench: %zu rows, %zu failed; next: poolbench report %s\n",
		s->rows.count, failed, s->dir.path);
	printf("%s\n", s->dir.path);
	return failed ? EXIT_BAD : save(s, EXIT_FINE);
}

static int run_session(struct session *s)
{
	size_t done;
	int rc = make_room(s);

	if (rc < 0) {
		fprintf(stderr, "poolbench: no memory\n");
		return EXIT_UNFIT;
	}
	done = mark_done(s);
	announce(s, done);
	interrupt_catch(&s->waiting);
	progress_begin(&s->progress, done, s->plan.count * (size_t)s->plan.scale.rounds);
	s->begin_ns = clock_now_ns();
	rc = run_rounds(s);
	return conclude(s, rc);
}

static void session_free(struct session *s)
{
	run_dir_close(&s->dir);
	plan_free(&s->plan);
	rows_free(&s->rows);
	stopping_close(&s->stopping);
	free(s->done);
	free(s->failed);
	free(s->order);
}

/*
 * == Against a baseline ==
 */

static bool is_named(const struct run_wish *wish, const char *experiment)
{
	for (size_t i = 0; i < wish->experiment_count; i++)
		if (strcmp(wish->experiments[i], experiment) == 0)
			return true;
	return wish->experiment_count == 0;
}

static int choose_cells(struct plan *plan, const struct run_wish *wish)
{
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++)
		if (is_named(wish, plan->cells[i].experiment))
			plan->cells[count++] = plan->cells[i];
	plan->count = count;
	if (count > 0)
		return plan_keep(plan, wish->cells);
	fprintf(stderr, "poolbench: baseline '%s' has no cell of these experiments\n",
		wish->baseline);
	return -EINVAL;
}

static int run_against(const struct run_wish *wish)
{
	struct rerun rerun = { .out = wish->out,
			       .judging = { .floor = FLOOR_UNKNOWN,
					    .all_rounds = wish->all_rounds },
			       .rounds_given = wish->rounds > 0,
			       .budget_ns = wish->budget_ns };
	struct plan *plan = &rerun.plan;
	char program[PATH_MAX];
	int status = EXIT_USAGE;

	if (saved_open(wish->baseline, plan, program, sizeof program) == 0 &&
	    choose_cells(plan, wish) == 0) {
		rerun.baseline = program;
		plan->seed = args_seed(wish->seed);
		plan->scale.rounds = wish->gate		? GATE_ROUNDS
				     : wish->rounds > 0 ? wish->rounds
							: BASELINE_ROUNDS;
		status = rerun_session(&rerun);
	}
	plan_free(plan);
	return status;
}

int run_main(int argc, char **argv)
{
	struct session s = { .dir.rows_fd = -1 };
	struct run_wish wish;
	int rc;

	if (run_args_read(&wish, argc, argv) < 0)
		return EXIT_USAGE;
	if (wish.help) {
		fputs(run_help, stdout);
		return EXIT_FINE;
	}
	if (wish.baseline != NULL)
		return run_against(&wish);
	s.resumed = wish.resume != NULL;
	rc = wish.resume ? run_dir_resume(&s.dir, wish.resume, &s.plan, &s.rows)
			 : new_run(&s, &wish);
	if (rc == 0 && s.plan.save[0])
		rc = saved_check_name("save_baseline of its plan", s.plan.save);
	rc = rc < 0 ? exit_of(rc) : run_session(&s);
	session_free(&s);
	return rc;
}
