/*
 * arms.c - measuring programs by turns, and pairing what they gave.
 */
#include "harness/arms.h"
#include "harness/child.h"
#include "harness/clock.h"
#include "harness/plan.h"
#include "harness/progress.h"
#include "harness/run_dir.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEADLINE_NS (30 * NS_PER_S)

/*
 * == Measuring ==
 */

/* One call of arms_run. */
struct session {
	struct arms *arms;
	const sigset_t *waiting;
	bool *failed; /* by cell */
	size_t *order;
	struct progress progress;
};

/* Into the environment that children get, or out of it. */
static int set(const char *setting, bool wanted)
{
	char name[64];
	size_t size = setting ? strcspn(setting, "=") : 0;

	if (size == 0)
		return 0;
	if (size >= sizeof name || setting[size] == '\0')
		return -EINVAL;
	memcpy(name, setting, size);
	name[size] = '\0';
	if ((wanted ? setenv(name, setting + size + 1, 1) : unsetenv(name)) < 0)
		return -errno;
	return 0;
}

/* Measures, keeps and notes one row. */
static int measure(struct session *s, struct record *record, size_t arm)
{
	struct arms *arms = s->arms;
	const char *name = arms->arm[arm].name, *setting = arms->arm[arm].setting;
	int64_t deadline_ns = arms->deadline_ns ? arms->deadline_ns : DEADLINE_NS;
	int rc = set(setting, true);

	if (rc == 0)
		rc = child_measure_by(arms->arm[arm].program, record, arms->seed, deadline_ns,
				      s->waiting);
	set(setting, false);
	snprintf(record->arm, sizeof record->arm, "%s", name);
	if (rc == 0 && arms->dir != NULL)
		rc = run_dir_append(arms->dir, record);
	return rc ? rc : rows_add(&arms->rows, record);
}

/* The cell by each arm; the arms' order is a function of seed, cell and round. */
static int measure_cell(struct session *s, int round, size_t position)
{
	struct arms *arms = s->arms;
	size_t cell = s->order[position], turns[ARMS_MAX];
	const struct plan plan = { .seed = arms->seed + 1 + cell, .count = arms->arm_count };
	bool failed = s->failed[cell];

	plan_order(&plan, round, turns);
	for (size_t turn = 0; turn < arms->arm_count; turn++) {
		size_t at = ((size_t)round * arms->cell_count + position) * arms->arm_count + turn;
		struct record record = { .cell = arms->cells[cell],
					 .round = round,
					 .order = (int)at };
		int rc = s->failed[cell] ? 0 : measure(s, &record, turns[turn]);
		char label[256];
		if (rc < 0)
			return rc;
		failed |= !record.verified;
		cell_label(&arms->cells[cell], label, sizeof label);
		progress_step(&s->progress, label);
	}
	s->failed[cell] = failed;
	return 0;
}

static int measure_round(struct session *s, int round)
{
	const struct plan plan = { .seed = s->arms->seed, .count = s->arms->cell_count };

	plan_order(&plan, round, s->order);
	for (size_t position = 0; position < plan.count; position++) {
		int rc = measure_cell(s, round, position);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int measure_rounds(struct session *s)
{
	struct arms *arms = s->arms;
	int64_t begin_ns = clock_now_ns();

	for (arms->rounds_done = 0; arms->rounds_done < arms->rounds;) {
		int rc = measure_round(s, arms->first_round + arms->rounds_done);
		int64_t used = clock_now_ns() - begin_ns;
		if (rc < 0)
			return rc;
		arms->rounds_done++;
		if (arms->budget_ns != 0 && used + used / arms->rounds_done > arms->budget_ns)
			break;
	}
	return 0;
}

/* Those that failed in an earlier call. */
static void mark_failed(struct session *s)
{
	const struct rows *rows = &s->arms->rows;

	for (size_t i = 0; i < rows->count; i++)
		for (size_t cell = 0; !rows->at[i].verified && cell < s->arms->cell_count; cell++)
			s->failed[cell] |= cell_equal(&rows->at[i].cell, &s->arms->cells[cell]);
}

int arms_run(struct arms *arms, const sigset_t *waiting)
{
	struct session s = { .arms = arms, .waiting = waiting };
	int rc = -ENOMEM;

	s.failed = calloc(arms->cell_count + 1, sizeof *s.failed);
	s.order = calloc(arms->cell_count + 1, sizeof *s.order);
	if (s.failed != NULL && s.order != NULL) {
		mark_failed(&s);
		progress_begin(&s.progress, 0,
			       arms->cell_count * arms->arm_count * (size_t)arms->rounds);
		rc = measure_rounds(&s);
		progress_clear(&s.progress);
	}
	free(s.failed);
	free(s.order);
	if (rc < 0 && rc != -EINTR)
		fprintf(stderr, "poolbench: cells cannot be measured: %s\n", strerror(-rc));
	return rc;
}

/*
 * == Pairing ==
 */

const struct record *arms_failed(const struct rows *rows, const char *arm, const struct cell *cell)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct record *row = &rows->at[i];
		if (!row->verified && strcmp(row->arm, arm) == 0 && cell_equal(&row->cell, cell))
			return row;
	}
	return NULL;
}

/* by_round[round - first] becomes the arm's time in that round, 0 where it has none. */
static void collect(const struct rows *rows, const struct arms_pair *pair, const char *arm,
		    const struct cell *cell, double *by_round)
{
	for (size_t i = 0; i < rows->count; i++) {
		const struct record *row = &rows->at[i];
		int at = row->round - pair->first_round;
		if (at >= 0 && at < pair->rounds && row->verified && strcmp(row->arm, arm) == 0 &&
		    cell_equal(&row->cell, cell))
			by_round[at] = record_median(row);
	}
}

/* Keeps the rounds in which both have a time; how many. */
static size_t keep_pairs(const struct arms_pair *pair, const struct exclusions *exclusions,
			 double *candidate, double *baseline, size_t *excluded)
{
	size_t n = 0;

	for (int at = 0; at < pair->rounds; at++) {
		bool is_left_out = exclusions && exclusions_has(exclusions, pair->first_round + at);
		if (!(candidate[at] > 0 && baseline[at] > 0))
			continue;
		*excluded += is_left_out;
		if (is_left_out)
			continue;
		candidate[n] = candidate[at];
		baseline[n++] = baseline[at];
	}
	return n;
}

static bool refuse_failed(const struct rows *rows, const char *arm, const struct cell *cell,
			  struct comparison *c)
{
	const struct record *row = arms_failed(rows, arm, cell);
	char why[160];

	if (row == NULL)
		return false;
	snprintf(why, sizeof why, "%s failed: %.120s", arm, row->error);
	comparison_refuse(c, why);
	return true;
}

void arms_compare(const struct rows *rows, const struct arms_pair *pair, const struct cell *cell,
		  const struct exclusions *exclusions, struct comparison *c)
{
	double *values;
	size_t n;

	if (refuse_failed(rows, pair->candidate, cell, c) ||
	    refuse_failed(rows, pair->baseline, cell, c))
		return;
	values = calloc(2 * (size_t)pair->rounds + 1, sizeof *values);
	if (values == NULL) {
		comparison_refuse(c, "no memory");
		return;
	}
	collect(rows, pair, pair->candidate, cell, values);
	collect(rows, pair, pair->baseline, cell, values + pair->rounds);
	n = keep_pairs(pair, exclusions, values, values + pair->rounds, &c->excluded);
	comparison_pairs(c, values, values + pair->rounds, n);
	if ((double)c->excluded > EXCLUDED_SHARE_MAX * (double)(n + c->excluded))
		comparison_refuse(c, "too many rounds are left out because the machine was "
				     "disturbed");
	free(values);
}
