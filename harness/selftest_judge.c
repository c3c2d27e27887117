/*
 * selftest_judge.c - from the rows of a block to whether the suite saw what was there.
 */
#include "harness/arms.h"
#include "harness/probe.h"
#include "harness/selftest.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TAIL 0.005	     /* share of calls beyond the time that is compared */
#define CALLS_TOLERANCE 0.01 /* reads and writes a task that are the pool's own, and may vary */

static void note(struct check *check, bool ok, const char *name)
{
	check->ok = ok;
	check->undecided = false;
	snprintf(check->name, sizeof check->name, "%s", name);
}

/* "4 of 100 (4.0 %, 95 % interval 1.1 .. 9.9 %)" */
static const char *share_text(size_t count, size_t n, const struct interval *share, char text[96])
{
	snprintf(text, 96, "%zu of %zu (%.3g %%, 95 %% interval %.3g .. %.3g %%)", count, n,
		 n ? 100.0 * (double)count / (double)n : 0, 100 * share->low, 100 * share->high);
	return text;
}

/* True if there are rounds to judge. */
static bool has_rounds(const struct question *q, struct check *check)
{
	check->undecided = q->tries <= 0;
	if (check->undecided)
		snprintf(check->text, sizeof check->text,
			 "too many rounds were disturbed by others, so nothing can be said");
	return !check->undecided;
}

static void compare(const struct question *q, int try, size_t cell, struct comparison *c)
{
	const struct arms_pair pair = { q->candidate, q->baseline, try * q->try_rounds,
					q->try_rounds };

	*c = (struct comparison){ .n = 0 };
	cell_label(&q->cells[cell], c->label, sizeof c->label);
	arms_compare(q->rows, &pair, &q->cells[cell], NULL, c);
}

/*
 * == Which rounds ==
 */

static int add_round(const struct rows *rows, int round, int number, struct rows *usable)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < rows->count; i++) {
		struct record row = rows->at[i];
		if (row.round != round)
			continue;
		row.round = number;
		rc = rows_add(usable, &row);
	}
	return rc;
}

int selftest_usable(const struct rows *rows, int cpus, int most, struct rows *usable)
{
	struct exclusions exclusions;
	int last = rows_last_round(rows), count = 0;

	*usable = (struct rows){ 0 };
	exclusions_find(&exclusions, rows, cpus);
	if (exclusions_too_many(&exclusions))
		return 0;
	for (int round = 0; round <= last && count < most; round++) {
		if (exclusions_has(&exclusions, round))
			continue;
		int rc = add_round(rows, round, count, usable);
		if (rc < 0)
			return rc;
		count++;
	}
	return count;
}

/*
 * == Nothing to find ==
 */

struct alarms {
	size_t comparisons, false_p, regressions, improvements;
};

/* One family: the try with all cells. */
static int count_alarms(const struct question *q, int try, struct comparison *c,
			struct alarms *alarms)
{
	for (size_t i = 0; i < q->cell_count; i++)
		compare(q, try, i, &c[i]);
	int rc = verdicts_decide(c, q->cell_count, FLOOR_UNKNOWN);
	for (size_t i = 0; rc == 0 && i < q->cell_count; i++) {
		alarms->comparisons += !c[i].refused;
		alarms->false_p += !c[i].refused && c[i].p < VERDICT_ALPHA;
		alarms->regressions += c[i].verdict == REGRESSION;
		alarms->improvements += c[i].verdict == IMPROVEMENT;
	}
	return rc;
}

int selftest_same(const struct question *q, struct check *check)
{
	struct comparison *c = calloc(q->cell_count + 1, sizeof *c);
	struct alarms a = { 0 };
	struct interval share;
	char text[96];
	int rc = c ? 0 : -ENOMEM;

	for (int try = 0; rc == 0 && try < q->tries; try++)
		rc = count_alarms(q, try, c, &a);
	free(c);
	share = stats_proportion_interval(a.false_p, a.comparisons, 0.95);
	note(check,
	     a.comparisons == q->cell_count * (size_t)q->tries && a.comparisons > 0 &&
		     a.regressions == 0 && share.low <= VERDICT_ALPHA &&
		     VERDICT_ALPHA <= share.high,
	     "same");
	snprintf(check->text, sizeof check->text,
		 "a program and its copy: %zu REGRESSION (want 0), %zu IMPROVEMENT in %zu "
		 "comparisons; p < 5 %% in %s, want 5 %% in it",
		 a.regressions, a.improvements, a.comparisons,
		 share_text(a.false_p, a.comparisons, &share, text));
	has_rounds(q, check);
	return rc;
}

/*
 * == Something to find ==
 */

static int count_try(const struct question *q, int try, size_t cell, struct comparison *c,
		     struct power *power)
{
	compare(q, try, cell, c);
	int rc = verdicts_decide(c, 1, FLOOR_UNKNOWN);
	if (rc < 0)
		return rc;
	power->tries += !c->refused;
	power->regressions += c->verdict == REGRESSION;
	power->improvements += c->verdict == IMPROVEMENT;
	power->shown += !c->refused && c->p < VERDICT_ALPHA && c->ratio.mid > 1;
	return 0;
}

/* comparison_pairs() looks at PAIRS_MAX rounds at most; the pairs of a whole block are more. */
static int ratio_of_all(const struct question *q, struct interval *ratio)
{
	int rounds = q->tries * q->try_rounds;
	double *at = calloc(2 * (size_t)rounds + 1, sizeof *at), *other;
	size_t n = 0;

	if (at == NULL)
		return -ENOMEM;
	other = at + rounds;
	for (size_t i = 0; i < q->rows->count; i++) {
		const struct record *row = &q->rows->at[i];
		if (!row->verified || row->round >= rounds || !cell_equal(&row->cell, q->cells))
			continue;
		if (strcmp(row->arm, q->candidate) == 0)
			at[row->round] = record_median(row);
		else if (strcmp(row->arm, q->baseline) == 0)
			other[row->round] = record_median(row);
	}
	for (int i = 0; i < rounds; i++)
		if (at[i] > 0 && other[i] > 0) {
			at[n] = at[i];
			other[n++] = other[i];
		}
	*ratio = n ? stats_ratio_interval(at, other, n, 0.95) : (struct interval){ 0 };
	free(at);
	return 0;
}

int selftest_power(const struct question *q, struct power *power)
{
	struct comparison *c = malloc(sizeof *c);
	int rc = c ? 0 : -ENOMEM;

	*power = (struct power){ 0 };
	for (int try = 0; rc == 0 && try < q->tries; try++)
		for (size_t cell = 0; rc == 0 && cell < q->cell_count; cell++)
			rc = count_try(q, try, cell, c, power);
	free(c);
	power->detected = stats_proportion_interval(power->regressions, power->tries, 0.95);
	power->seen = stats_proportion_interval(power->shown, power->tries, 0.95);
	return rc ? rc : ratio_of_all(q, &power->ratio);
}

/* The interval of one or two tries says nothing, hence the majority. */
static bool is_often_enough(const struct power *power, bool strict)
{
	if (strict)
		return power->detected.mid >= SELFTEST_DETECTED_LEAST;
	return power->detected.high >= SELFTEST_DETECTED_LEAST && power->detected.mid > 0.5;
}

/* Fills in all but the name. */
static void judge_power(const struct question *q, const struct power *power, bool detected,
			struct check *check)
{
	char text[96], wanted[48] = "";
	bool slower = power->ratio.level > 0 && power->ratio.low > 1;

	if (detected)
		snprintf(wanted, sizeof wanted, ", want %.0f %%%s", 100 * SELFTEST_DETECTED_LEAST,
			 q->strict ? "" : " in it, and most");
	check->ok = power->tries == q->cell_count * (size_t)q->tries && power->tries > 0 &&
		    power->improvements == 0 &&
		    (detected ? is_often_enough(power, q->strict) : slower || !q->strict);
	snprintf(check->text, sizeof check->text,
		 "REGRESSION in %s%s; IMPROVEMENT in %zu (want 0); all rounds together %.4f (%.4f "
		 ".. %.4f)",
		 share_text(power->regressions, power->tries, &power->detected, text), wanted,
		 power->improvements, power->ratio.mid, power->ratio.low, power->ratio.high);
}

int selftest_slower(const struct question *q, bool detected, struct check *check)
{
	struct power power;
	int rc = selftest_power(q, &power);

	note(check, false, q->candidate);
	if (rc == 0 && has_rounds(q, check))
		judge_power(q, &power, detected, check);
	return rc;
}

/*
 * == Found by something else than the time of a task ==
 */

static double tail_ns(const struct record *row)
{
	int i = probe_exceedance_find(TAIL);

	return row->verified && i >= 0 && i < row->profile ? row->profile_ns[i] : 0;
}

/* The same rows with the tail where the time was, so that the same rules apply. */
int selftest_tail(const struct question *q, struct check *check)
{
	struct rows rows = { 0 };
	struct question of_tail = *q;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < q->rows->count; i++) {
		struct record row = q->rows->at[i];
		row.ns_per_task[0] = tail_ns(&row);
		row.samples = row.ns_per_task[0] > 0;
		rc = rows_add(&rows, &row);
	}
	of_tail.rows = &rows;
	if (rc == 0)
		rc = selftest_slower(&of_tail, true, check);
	snprintf(check->name, sizeof check->name, "%.20s, tail", q->candidate);
	rows_free(&rows);
	return rc;
}

/* Of all kinds, where the kernel lets them be counted; else reads and writes. */
static double calls_per_task(const struct record *row)
{
	double tasks = (double)row->calls * (double)row->cell.tasks;
	int64_t calls = row->system_calls >= 0 ? row->system_calls : row->io_calls;

	return tasks > 0 ? (double)calls / tasks : NAN;
}

/* NULL: that arm has no good row. */
static const struct record *good_row(const struct question *q, const char *arm,
				     const struct cell *cell, int round)
{
	for (size_t i = 0; i < q->rows->count; i++) {
		const struct record *row = &q->rows->at[i];
		if (row->verified && row->round == round && strcmp(row->arm, arm) == 0 &&
		    cell_equal(&row->cell, cell))
			return row;
	}
	return NULL;
}

/* Rounds in which the candidate made one call more a task; *least and *most are over all rounds. */
static size_t count_exact(const struct question *q, size_t *rounds, double *least, double *most)
{
	size_t exact = 0;

	*rounds = 0;
	*least = INFINITY;
	*most = -INFINITY;
	for (int round = 0; round < q->tries * q->try_rounds; round++)
		for (size_t cell = 0; cell < q->cell_count; cell++) {
			const struct record *a = good_row(q, q->baseline, &q->cells[cell], round);
			const struct record *b = good_row(q, q->candidate, &q->cells[cell], round);
			double more = a && b ? calls_per_task(b) - calls_per_task(a) : NAN;
			++*rounds;
			exact += fabs(more - 1) <= CALLS_TOLERANCE;
			*least = fmin(*least, more);
			*most = fmax(*most, more);
		}
	return exact;
}

int selftest_counted(const struct question *q, struct check *check)
{
	struct power power;
	double least, most;
	size_t rounds, exact = count_exact(q, &rounds, &least, &most);
	int rc = selftest_power(q, &power);

	note(check, rounds > 0 && exact == rounds && power.improvements == 0, q->candidate);
	snprintf(check->text, sizeof check->text,
		 "%zu of %zu rows show one more system call a task (%.4f .. %.4f; want all); "
		 "IMPROVEMENT in %zu (want 0)",
		 exact, rounds, least, most, power.improvements);
	return rc;
}

/* Did this row fail as it should, or, without `said`, not at all? */
static bool is_as_wanted(const struct record *row, const char *said)
{
	return said ? !row->verified && strstr(row->error, said) != NULL : row->verified;
}

static size_t count_cells(const struct question *q, const char *arm, const char *said,
			  const char **other)
{
	size_t count = 0;

	for (size_t cell = 0; cell < q->cell_count; cell++) {
		size_t rows = 0, wanted = 0;
		for (size_t i = 0; i < q->rows->count; i++) {
			const struct record *row = &q->rows->at[i];
			if (strcmp(row->arm, arm) != 0 || !cell_equal(&row->cell, &q->cells[cell]))
				continue;
			rows++;
			wanted += is_as_wanted(row, said);
			if (!is_as_wanted(row, said))
				*other = row->verified ? "a result passed for right" : row->error;
		}
		count += rows > 0 && wanted == rows;
	}
	return count;
}

int selftest_refused(const struct question *q, const char *said, struct check *check)
{
	const char *other = "";
	size_t sound = count_cells(q, q->baseline, NULL, &other);
	size_t found = count_cells(q, q->candidate, said, &other);

	note(check, q->cell_count > 0 && sound == q->cell_count && found == q->cell_count,
	     q->candidate);
	snprintf(check->text, sizeof check->text,
		 "found in %zu of %zu cells by what it did to the results; without it %zu are "
		 "right%s%.100s",
		 found, q->cell_count, sound, other[0] ? "; instead: " : "", other);
	return 0;
}
