/*
 * peers_time.c - bar P13: how long the run took, where that tells of its plan.
 *
 * DESIGN. The limits are promises of the plans, so only a run is judged that had a plan's own cells and its own time: one
 * with a budget of its own takes as long as it was told to, and a part of the cells takes less. A run that was resumed
 * says so in run.json.
 */
#include "harness/experiments/peers.h"
#include "harness/plan.h"

#include <jansson.h>
#include <limits.h>
#include <string.h>

/* What run.json tells. */
struct told {
	char scale[16]; /* "quick", "default" or "full"; "": nothing */
	int64_t budget_ns;
	bool part, resumed;
};

/* Has the plan cells of each experiment that a run measures which names none? (Where a peer is missing, balance and lazy have
 * none.) */
static bool has_all(const json_t *plan)
{
	const struct experiment *experiment;
	const json_t *cells = json_object_get(plan, "cells");

	for (unsigned i = 0; (experiment = experiment_at(i)) != NULL; i++) {
		bool found = cells == NULL || experiment->on_request ||
			     strcmp(experiment->name, "balance") == 0 ||
			     strcmp(experiment->name, "lazy") == 0;
		for (size_t k = 0; !found && k < json_array_size(cells); k++) {
			const char *name = json_string_value(
				json_object_get(json_array_get(cells, k), "experiment"));
			found = name && strcmp(name, experiment->name) == 0;
		}
		if (!found)
			return false;
	}
	return true;
}

static struct told told_by(const char *run)
{
	struct told told = { .scale = "" };
	char path[PATH_MAX];
	json_t *info, *plan;
	const char *scale;

	snprintf(path, sizeof path, "%s/run.json", run);
	info = json_load_file(path, 0, NULL);
	plan = json_object_get(info, "plan");
	scale = json_string_value(json_object_get(plan, "scale"));
	snprintf(told.scale, sizeof told.scale, "%s", scale ? scale : "");
	told.budget_ns = json_integer_value(json_object_get(plan, "budget_ns"));
	told.part = json_is_true(json_object_get(plan, "part")) || !has_all(plan);
	told.resumed = json_is_true(json_object_get(info, "resumed"));
	json_decref(info);
	return told;
}

/* Why the time is not that of the plan; NULL: it is. */
static const char *other_time(const struct told *told)
{
	if (told->budget_ns == 0)
		return "its rounds were fixed";
	if (told->budget_ns != plan_budget_ns(told->scale))
		return "it had a budget of its own";
	if (told->part)
		return "it had a part of the cells only";
	if (told->resumed)
		return "it was resumed: its rows do not tell how long it paused";
	return NULL;
}

/* Has each cell a row in each round up to the last one? Otherwise cells failed, or nobody waited for the end. */
static bool is_complete(const struct judge *j, const struct rows *rows)
{
	return rows->count == j->attempts->groups.count * (size_t)(rows_last_round(rows) + 1);
}

/* From one row to the next, at most. */
static double longest_step_s(const struct rows *rows)
{
	int64_t longest = 0;

	for (size_t i = 1; i < rows->count; i++) {
		int64_t step = rows->at[i].start_ms - rows->at[i - 1].start_ms;
		longest = step > longest ? step : longest;
	}
	return (double)longest / 1e3;
}

/* How long the run took so far, from the rows' own clocks; the last cell counts as the mean one. A step that no cell can
 * last, nor a cell and one that failed, is a pause: the machine slept, or an older program resumed the run without a note. */
static void add_run_time(struct judge *j, const struct rows *rows, double step_most_s)
{
	double step_s = longest_step_s(rows);
	int64_t first = INT64_MAX, last = 0;
	struct value value = { .why = "first to last row of this experiment" };

	for (size_t i = 0; i < rows->count; i++) {
		first = rows->at[i].start_ms < first ? rows->at[i].start_ms : first;
		last = rows->at[i].start_ms > last ? rows->at[i].start_ms : last;
	}
	if (step_s > step_most_s) {
		snprintf(value.why, sizeof value.why, "it paused for %.0f s", step_s);
	} else if (rows->count > 1 && last > first) {
		double s = (double)(last - first) / 1e3 * (double)rows->count /
			   (double)(rows->count - 1);
		value.interval = (struct interval){ s, s, s, 1 };
	}
	bars_add(j->bars, &value);
}

void judge_run_time(struct judge *j, const struct derivation *d)
{
	static const struct {
		const char *scale;
		double limit_s;
	} plans[] = { { "quick", 60 }, { "default", 300 }, { "full", 3600 } };
	struct told told = told_by(d->run);
	const char *why = other_time(&told);
	char what[64];

	if (why == NULL && !is_complete(j, d->rows))
		why = "cells failed, or it was interrupted: it may have taken less than a whole "
		      "run";

	for (size_t i = 0; i < sizeof plans / sizeof *plans; i++) {
		if (strcmp(told.scale, plans[i].scale) != 0)
			continue;
		snprintf(what, sizeof what, "time of this run, plan %s", told.scale);
		judge_begin(j, "P13", what, "s", AT_MOST, plans[i].limit_s);
		if (why == NULL)
			add_run_time(j, d->rows, 2e-9 * (double)plan_deadline_ns(told.scale));
		else
			judge_missing(j, "", why);
		judge_end(j);
	}
}
