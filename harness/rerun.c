/*
 * rerun.c - one session of two programs.
 */
#include "harness/rerun.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "harness/interrupt.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "harness/run_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_LEAST_NS (30 * NS_PER_S)

/*
 * == Judging ==
 */

static void say_exclusions(const struct exclusions *e)
{
	if (e->count > 0)
		fprintf(stderr,
			"poolbench: %zu of %zu rounds left out because the machine was disturbed: "
			"%s\n",
			e->count, e->of, e->why);
}

/* A stage is a run of rounds, judged by itself. */
struct stage {
	const struct rows *rows; /* of all stages */
	int first, rounds;
	const struct judging *judging;
	bool quiet;
	size_t excluded; /* out: rounds left out */
};

static int stage_rows(const struct stage *stage, struct rows *own)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < stage->rows->count; i++) {
		int at = stage->rows->at[i].round - stage->first;
		if (at >= 0 && at < stage->rounds)
			rc = rows_add(own, &stage->rows->at[i]);
	}
	return rc;
}

static int judge_rows(struct versus *v, const struct rows *rows, struct stage *stage,
		      struct exclusions *exclusions)
{
	const struct judging *judging = stage->judging;
	int rc = versus_find(v, rows, NULL);

	if (rc < 0)
		return rc;
	exclusions_find(exclusions, rows, judging->cpus);
	if (judging->all_rounds)
		*exclusions = (struct exclusions){ .of = exclusions->of };
	if (!stage->quiet)
		say_exclusions(exclusions);
	stage->excluded = exclusions->count;
	versus_pair(v, rows, stage->first, stage->rounds, exclusions);
	if (judging->floor >= 0)
		versus_set_floor(v, judging->floor);
	return versus_decide(v);
}

static int judge_stage(struct versus *v, struct stage *stage)
{
	struct exclusions *exclusions = malloc(sizeof *exclusions);
	struct rows own = { 0 };
	int rc = exclusions ? stage_rows(stage, &own) : -ENOMEM;

	if (rc == 0)
		rc = judge_rows(v, &own, stage, exclusions);
	rows_free(&own);
	free(exclusions);
	return rc;
}

static bool is_difference(const struct comparison *c)
{
	return c->verdict == REGRESSION || c->verdict == IMPROVEMENT;
}

/* What was shown once becomes what is shown the second time. */
static void confirm(struct versus *v, size_t at, const struct versus *again)
{
	struct comparison *c = &v->comparisons[at];
	enum comparison_verdict first = c->verdict;
	size_t n = c->n, same = versus_index(again, &v->cells[at].cell);

	if (same == again->count) {
		c->verdict = INCONCLUSIVE;
		snprintf(c->why, sizeof c->why, "%s, but not measured again to confirm it",
			 verdict_name(first));
		return;
	}
	*c = again->comparisons[same];
	v->cells[at] = again->cells[same];
	if (c->verdict == first || c->verdict == NOT_COMPARABLE)
		return;
	c->verdict = INCONCLUSIVE;
	snprintf(c->why, sizeof c->why, "%s in %zu rounds, not confirmed by %zu more",
		 verdict_name(first), n, c->n);
}

/* The floor of an experiment is the larger of both stages'. */
static void raise_floors(struct versus *again, const struct versus *v)
{
	for (size_t i = 0; i < again->count; i++) {
		size_t same = versus_index(v, &again->cells[i].cell);
		if (same < v->count)
			again->cells[i].floor = fmax(again->cells[i].floor, v->cells[same].floor);
	}
}

static int confirm_all(struct versus *v, struct stage *stage)
{
	struct versus again = { 0 };
	int rc = judge_stage(&again, stage);

	raise_floors(&again, v);
	if (rc == 0)
		rc = versus_decide(&again);
	for (size_t i = 0; rc == 0 && i < v->count; i++)
		if (is_difference(&v->comparisons[i]))
			confirm(v, i, &again);
	versus_free(&again);
	return rc;
}

int rerun_judge(struct versus *v, const struct rows *rows, const struct judging *judging)
{
	struct stage stage = { .rows = rows, .rounds = CONFIRM_ROUND, .judging = judging };
	int rc = judge_stage(v, &stage);

	stage.first = CONFIRM_ROUND;
	return rc ? rc : confirm_all(v, &stage);
}

/*
 * == Before ==
 */

static int choose_cells(struct rerun *r)
{
	struct plan *plan = &r->plan;
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++)
		if (versus_wants(&plan->cells[i]))
			plan->cells[count++] = plan->cells[i];
	plan->count = count;
	if (count > 0)
		return 0;
	fprintf(stderr, "poolbench: none of these cells says anything about the programs\n");
	return -EINVAL;
}

static size_t largest_family(const struct plan *plan)
{
	size_t largest = 0;

	for (size_t i = 0; i < plan->count; i++) {
		size_t size = 0;
		for (size_t k = 0; k < plan->count; k++)
			size += strcmp(plan->cells[i].experiment, plan->cells[k].experiment) == 0;
		largest = size > largest ? size : largest;
	}
	return largest;
}

/* The least n with 2 / 2^n < alpha / family: what the signed-rank test says of n differences of one sign. */
static int rounds_least(size_t family)
{
	int n = VERDICT_ROUNDS_LEAST;

	while (ldexp(2, -n) * (double)family >= VERDICT_ALPHA)
		n++;
	return n;
}

static void settle(struct rerun *r, size_t arm_count)
{
	struct plan *plan = &r->plan;
	int least = rounds_least(largest_family(plan));

	if (r->budget_ns != 0)
		plan->budget_ns = r->budget_ns * 2 / 3 / (int64_t)arm_count;
	else
		plan->budget_ns = 0;
	if (!r->rounds_given && plan->scale.rounds < least)
		plan->scale.rounds = least;
	plan_settle(plan);
	if (plan->scale.rounds < least)
		fprintf(stderr,
			"poolbench: %d rounds cannot show a difference among the %zu cells of an "
			"experiment: %d can\n",
			plan->scale.rounds, largest_family(plan), least);
}

int64_t rerun_deadline_ns(const struct plan *plan)
{
	int64_t of_level = plan_deadline_ns(plan->scale.name);

	return of_level > DEADLINE_LEAST_NS ? of_level : DEADLINE_LEAST_NS;
}

static json_t *describe_program(const char *arm, const struct program *program)
{
	char digest[PROGRAM_DIGEST_SIZE] = "";

	program_digest(program->path, digest);
	return json_pack("{ss ss ss}", "arm", arm, "version", program->version, "sha256", digest);
}

static void announce(const struct rerun *r, size_t arm_count, const char *directory)
{
	const struct plan *plan = &r->plan;
	char time[32];

	progress_time(plan_estimate_ns(plan) * (int64_t)arm_count, time, sizeof time);
	fprintf(stderr,
		"poolbench: %zu cells, %zu arms, %d rounds, seed %" PRIu64
		", about %s, more to confirm differences; into %s\n",
		plan->count, arm_count, plan->scale.rounds, plan->seed, time, directory);
}

static int open_directory(struct rerun *r, const struct program *programs, struct run_dir *dir)
{
	json_t *arms = json_pack("[oo]", describe_program(ARM_BASELINE, &programs[0]),
				 describe_program(ARM_CANDIDATE, &programs[1]));
	int rc = run_dir_create(dir, r->out, &r->plan, arms);

	return rc ? rc : rerun_note_begin(dir, &r->judging);
}

/*
 * == During ==
 */

/* The rounds, and others for those that the machine disturbed. *v becomes the verdicts of this stage. */
static int measure_stage(struct rerun *r, struct arms *arms, const sigset_t *waiting, int first,
			 struct versus *v)
{
	struct stage stage = { .rows = &arms->rows,
			       .first = first,
			       .rounds = CONFIRM_ROUND,
			       .judging = &r->judging,
			       .quiet = true };
	int wanted = r->plan.scale.rounds, most = wanted + wanted / 2, done = 0, rc;

	if (most > CONFIRM_ROUND)
		most = CONFIRM_ROUND;
	arms->rounds = wanted;
	for (;;) {
		arms->first_round = first + done;
		rc = arms_run(arms, waiting);
		done += arms->rounds_done;
		if (rc == 0 && arms->rounds_done < arms->rounds)
			fprintf(stderr,
				"poolbench: %d of %d rounds done; the rest does not fit the "
				"budget\n",
				arms->rounds_done, arms->rounds);
		versus_free(v);
		if (rc == 0)
			rc = judge_stage(v, &stage);
		int good = done - (int)stage.excluded;
		if (rc < 0 || r->budget_ns != 0 || good >= wanted || done == most)
			return rc;
		arms->rounds = wanted - good < most - done ? wanted - good : most - done;
		fprintf(stderr,
			"poolbench: %zu rounds were disturbed, %d more are measured instead\n",
			stage.excluded, arms->rounds);
	}
}

/* Measures the cells whose difference was shown once more, in rounds of their own. */
static int measure_again(struct rerun *r, struct arms *arms, const sigset_t *waiting,
			 const struct versus *first)
{
	struct cell *cells = calloc(first->count + 1, sizeof *cells);
	struct versus v = { 0 };
	size_t count = 0;
	int rc = cells ? 0 : -ENOMEM;

	for (size_t i = 0; rc == 0 && i < first->count; i++)
		if (is_difference(&first->comparisons[i]))
			cells[count++] = first->cells[i].cell;
	if (count > 0) {
		fprintf(stderr, "poolbench: %zu cells differ: measured again to confirm it\n",
			count);
		arms->cells = cells;
		arms->cell_count = count;
		arms->budget_ns = r->budget_ns / 3;
		rc = measure_stage(r, arms, waiting, CONFIRM_ROUND, &v);
	}
	versus_free(&v);
	free(cells);
	return rc;
}

static int measure_all(struct rerun *r, struct arms *arms)
{
	struct versus v = { 0 };
	sigset_t waiting;
	int rc;

	arms->cells = r->plan.cells;
	arms->cell_count = r->plan.count;
	arms->seed = r->plan.seed;
	arms->budget_ns = r->budget_ns * 2 / 3;
	interrupt_catch(&waiting);
	rc = measure_stage(r, arms, &waiting, 0, &v);
	if (rc == 0)
		rc = measure_again(r, arms, &waiting, &v);
	versus_free(&v);
	return rc;
}

/* rc: of measuring. */
static int conclude(struct rerun *r, const struct arms *arms, const struct program *programs,
		    int rc)
{
	const char *directory = arms->dir->path;
	bool changed;
	int noted = rerun_note_end(arms->dir, programs, &changed), status = EXIT_UNFIT;
	struct versus v = { 0 };

	if (rc == -EINTR) {
		fprintf(stderr, "poolbench: interrupted; %zu rows are kept in %s\n",
			arms->rows.count, directory);
		return EXIT_INTERRUPTED;
	}
	if (changed)
		return noted < 0 ? EXIT_UNFIT : EXIT_INCONCLUSIVE;
	if (rc == 0)
		rc = rerun_judge(&v, &arms->rows, &r->judging);
	if (rc == 0)
		rc = versus_print(&v, r->csv);
	if (rc == 0 && noted == 0) {
		fprintf(stderr, "poolbench: again from its rows: poolbench compare %s\n",
			directory);
		status = versus_status(&v);
	} else if (rc == 0) {
		fprintf(stderr,
			"poolbench: %s: its end could not be noted: it will not be judged again\n",
			directory);
	} else {
		fprintf(stderr, "poolbench: %s; %zu rows are kept in %s\n", strerror(-rc),
			arms->rows.count, directory);
	}
	versus_free(&v);
	return status;
}

static int run_session(struct rerun *r, const struct program *programs)
{
	struct run_dir dir = { .rows_fd = -1 };
	struct arms arms = { .arm = { { ARM_BASELINE, programs[0].path, NULL },
				      { ARM_CANDIDATE, programs[1].path, NULL },
				      { ARM_FLOOR, programs[0].path, NULL } },
			     .arm_count = r->judging.floor >= 0 ? 2 : 3,
			     .deadline_ns = rerun_deadline_ns(&r->plan),
			     .dir = &dir };
	int rc, status;

	settle(r, arms.arm_count);
	r->plan.input_seed = r->plan.seed; /* what arms_run gives the cells */
	rc = open_directory(r, programs, &dir);
	if (rc == 0) {
		announce(r, arms.arm_count, dir.path);
		rc = measure_all(r, &arms);
		status = conclude(r, &arms, programs, rc);
	} else {
		status = exit_of(rc);
	}
	rows_free(&arms.rows);
	run_dir_close(&dir);
	return status;
}

int rerun_session(struct rerun *r)
{
	struct program programs[2] = { { .fd = -1 }, { .fd = -1 } };
	int status = EXIT_USAGE;

	r->judging.cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	if (choose_cells(r) == 0 && program_open(&programs[0], r->baseline) == 0 &&
	    program_open(&programs[1], r->candidate) == 0)
		status = run_session(r, programs);
	program_close(&programs[0]);
	program_close(&programs[1]);
	return status;
}
