/*
 * exclusion.c - the rules for leaving out rounds.
 */
#include "harness/exclusion.h"
#include "harness/stats.h"

#include <string.h>

/* A disturbance is a share of the time in which it was counted, checking included: of processor time, or of the clock's. A round is left out when its share is
 * above the run's median by more than `limit`. The pools' own processes wait for each other too, so the rules about waiting
 * leave more room than those about what others took. */
static const struct {
	const char *name;
	size_t offset;
	bool of_cpus;
	double limit;
} rules[] = {
	{ "steal", offsetof(struct record, steal_ns), true, 0.05 },
	{ "foreign processes", offsetof(struct record, foreign_ns), true, 0.10 },
	{ "run delay", offsetof(struct record, run_delay_ns), true, 0.25 },
	{ "pressure", offsetof(struct record, pressure_ns), false, 0.25 },
};
#define RULES (sizeof rules / sizeof *rules)

struct round {
	double window_ns, disturbed_ns[RULES];
};

/* Of older rows only the timed part is known. ns_per_task is per worker where the variant is "open". */
static double window_ns(const struct record *record)
{
	double units = strcmp(record->cell.variant, "open") == 0 ? record->cell.workers
								 : (double)record->cell.tasks;
	double sum = 0;

	if (record->window_ns > 0)
		return (double)record->window_ns;
	for (int i = 0; i < record->samples; i++)
		sum += record->ns_per_task[i] / record->samples;
	return sum * units * (double)record->calls;
}

static void add_row(struct round *round, const struct record *record)
{
	round->window_ns += window_ns(record);
	for (size_t k = 0; k < RULES; k++)
		round->disturbed_ns[k] +=
			(double)*(const int64_t *)((const char *)record + rules[k].offset);
}

static void apply(struct exclusions *e, size_t rule, const struct round *rounds, int cpus)
{
	double share[ROUNDS_MAX], at[ROUNDS_MAX];
	size_t n = 0, found = 0, used = strlen(e->why);

	for (size_t i = 0; i < ROUNDS_MAX; i++) {
		double whole = rounds[i].window_ns * (rules[rule].of_cpus ? cpus : 1);
		share[i] = whole > 0 ? rounds[i].disturbed_ns[rule] / whole : 0;
		if (whole > 0)
			at[n++] = share[i];
	}
	double most = n ? stats_median(at, n) + rules[rule].limit : 0;
	for (size_t i = 0; i < ROUNDS_MAX; i++) {
		found += share[i] > most;
		e->round[i] = e->round[i] || share[i] > most;
	}
	e->of = n;
	if (found > 0)
		snprintf(e->why + used, sizeof e->why - used, "%s%s %zu", used ? ", " : "",
			 rules[rule].name, found);
}

void exclusions_find(struct exclusions *e, const struct rows *rows, int cpus)
{
	static struct round rounds[ROUNDS_MAX]; /* large for a stack */

	memset(rounds, 0, sizeof rounds);
	*e = (struct exclusions){ .count = 0 };
	for (size_t i = 0; i < rows->count; i++) {
		const struct record *row = &rows->at[i];
		if (row->verified && row->samples > 0 && row->round >= 0 && row->round < ROUNDS_MAX)
			add_row(&rounds[row->round], row);
	}
	for (size_t k = 0; k < RULES; k++)
		apply(e, k, rounds, cpus);
	for (size_t i = 0; i < ROUNDS_MAX; i++)
		e->count += e->round[i];
}

bool exclusions_has(const struct exclusions *e, int round)
{
	return round >= 0 && round < ROUNDS_MAX && e->round[round];
}

bool exclusions_too_many(const struct exclusions *e)
{
	return (double)e->count > EXCLUDED_SHARE_MAX * (double)e->of;
}
