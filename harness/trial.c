/*
 * trial.c - running cells at once and asking their rows.
 */
#include "harness/trial.h"
#include "harness/bench.h"
#include "harness/child.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "harness/plan.h"
#include "harness/progress.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_NS (30 * NS_PER_S)

static struct record *row_at(const struct trial *trial, size_t cell, int round)
{
	return &trial->at[(size_t)round * trial->count + cell];
}

const struct record *trial_row(const struct trial *trial, size_t cell, int round)
{
	return row_at(trial, cell, round);
}

static bool is_good(const struct record *row)
{
	return row->verified && record_median(row) > 0;
}

const struct record *trial_failed(const struct trial *trial, size_t cell)
{
	for (int round = 0; round < trial->rounds; round++)
		if (!is_good(row_at(trial, cell, round)))
			return row_at(trial, cell, round);
	return NULL;
}

int trial_say_failed(const struct trial *trial)
{
	const struct record *failed = NULL;
	char label[256];

	for (size_t i = 0; failed == NULL && i < trial->count; i++)
		failed = trial_failed(trial, i);
	if (failed != NULL) {
		cell_label(&failed->cell, label, sizeof label);
		fprintf(stderr, "poolbench: %s: %s\n", label, failed->error);
	}
	return EXIT_BAD;
}

static int run_round(struct trial *trial, int round, size_t *order, struct progress *progress)
{
	/* the order is a function of these three */
	const struct plan plan = { .seed = trial->seed, .count = trial->count };
	sigset_t mask;

	sigprocmask(SIG_BLOCK, NULL, &mask);
	plan_order(&plan, round, order);
	for (size_t i = 0; i < trial->count; i++) {
		struct record *row = row_at(trial, order[i], round);
		int rc = 0;
		*row = (struct record){ .cell = trial->cells[order[i]],
					.round = round,
					.order = (int)i };
		if (round > 0 && !is_good(row_at(trial, order[i], round - 1)))
			*row = *row_at(trial, order[i], round - 1);
		else
			rc = child_measure(row, trial->seed, DEADLINE_NS, &mask);
		if (rc < 0)
			return rc;
		if (progress->bar)
			progress_step(progress, row->cell.backend);
	}
	return 0;
}

int trial_run(struct trial *trial)
{
	size_t *order = calloc(trial->count, sizeof *order);
	struct progress progress;
	int rc = -ENOMEM;

	trial->at = calloc(trial->count * (size_t)trial->rounds, sizeof *trial->at);
	if (order == NULL || trial->at == NULL)
		goto done;
	signal(SIGPIPE,
	       SIG_IGN); /* child_measure wants that: a child that died is seen by its missing row */
	progress_begin(&progress, 0, trial->count * (size_t)trial->rounds);
	rc = 0;
	for (int round = 0; rc == 0 && round < trial->rounds; round++)
		rc = run_round(trial, round, order, &progress);
	progress_clear(&progress);
done:
	free(order);
	if (rc < 0)
		fprintf(stderr, "poolbench: cells cannot be measured: %s\n", strerror(-rc));
	return rc;
}

int trial_run_on_one_cpu(struct trial *trial)
{
	cpu_set_t all;
	int rc;

	if (sched_getaffinity(0, sizeof all, &all) < 0)
		return trial_run(trial);
	baseline_bind(0);
	rc = trial_run(trial);
	sched_setaffinity(0, sizeof all, &all);
	return rc;
}

struct interval trial_ns(const struct trial *trial, size_t cell)
{
	double ns[TRIAL_ROUNDS_MAX];
	size_t n = 0;

	for (int round = 0; round < trial->rounds; round++)
		if (is_good(row_at(trial, cell, round)))
			ns[n++] = record_median(row_at(trial, cell, round));
	return stats_median_interval(ns, n, 0.95);
}

size_t trial_pairs(const struct trial *trial, size_t a, size_t b, double of_a[TRIAL_ROUNDS_MAX],
		   double of_b[TRIAL_ROUNDS_MAX])
{
	size_t n = 0;

	for (int round = 0; round < trial->rounds; round++) {
		if (!is_good(row_at(trial, a, round)) || !is_good(row_at(trial, b, round)))
			continue;
		of_a[n] = record_median(row_at(trial, a, round));
		of_b[n++] = record_median(row_at(trial, b, round));
	}
	return n;
}

struct interval trial_ratio(const struct trial *trial, size_t a, size_t b)
{
	double of_a[TRIAL_ROUNDS_MAX], of_b[TRIAL_ROUNDS_MAX];
	size_t n = trial_pairs(trial, a, b, of_a, of_b);

	return n == 0 ? (struct interval){ 0 } : stats_ratio_interval(of_a, of_b, n, 0.95);
}

double trial_least_ns(const struct trial *trial, size_t cell)
{
	double least = 0;

	for (int round = 0; round < trial->rounds; round++) {
		const struct record *row = row_at(trial, cell, round);
		for (int i = 0; is_good(row) && i < row->samples; i++)
			if (least == 0 || row->ns_per_task[i] < least)
				least = row->ns_per_task[i];
	}
	return least;
}

double trial_per_task(const struct trial *trial, size_t cell, size_t offset)
{
	double each[TRIAL_ROUNDS_MAX];
	size_t n = 0;

	for (int round = 0; round < trial->rounds; round++) {
		const struct record *row = row_at(trial, cell, round);
		double tasks = (double)row->calls * (double)row->cell.tasks;
		int64_t value;
		memcpy(&value, (const char *)row + offset, sizeof value);
		if (is_good(row) && tasks > 0)
			each[n++] = (double)value / tasks;
	}
	return n ? stats_median(each, n) : 0;
}
