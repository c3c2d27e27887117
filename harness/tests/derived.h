/*
 * derived.h - what tests of experiments share: rows whose truth is known, a run's directory, and what is derived into it.
 */
#ifndef HARNESS_TESTS_DERIVED_H
#define HARNESS_TESTS_DERIVED_H

#include "harness/attempts.h"
#include "harness/cell.h"
#include "harness/grid.h"
#include "harness/peer.h"
#include "harness/plan.h"

#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 8
#define DRIFT 1.005 /* median over the rounds of the factor that add() puts in */

struct fixture {
	char run[64];
	struct rows rows;
	char finding[FINDING_SIZE];
	char *text; /* the last file read */
};

static inline const char *process_pool(void)
{
	const struct pool_backend_info *row[ROWS_MAX];

	assert_true(grid_rows(PICK_PROCESSES, row) > 0);
	return row[0]->name;
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	strcpy(f->run, "/tmp/poolbench-report-XXXXXX");
	*state = f;
	return mkdtemp(f->run) ? 0 : -1;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", f->run);
	rows_free(&f->rows);
	free(f->text);
	free(f);
	return system(command);
}

static inline struct cell cell_of(const char *experiment, const char *backend, const char *variant,
				  const char *workload)
{
	struct grid grid = { .scale = &(struct scale){ .cpus = 2 } };
	struct cell cell = grid_cell(&grid, backend, variant, workload);

	snprintf(cell.experiment, sizeof cell.experiment, "%s", experiment);
	cell.tasks = 100;
	cell.batches = 3;
	cell.batch_ns = 1000000;
	return cell;
}

/* The cell in all rounds; rounds differ by a common factor that paired statistics do not see. */
static inline void add(struct fixture *f, const struct cell *cell, double ns, double serial_ns)
{
	for (int round = 0; round < ROUNDS; round++) {
		double drift = 1 + 0.01 * (round % 2 ? round : -round);
		struct record record = { .cell = *cell,
					 .round = round,
					 .verified = true,
					 .samples = 3,
					 .serial_ns_per_task = serial_ns * drift };
		for (int i = 0; i < record.samples; i++)
			record.ns_per_task[i] = ns * drift;
		assert_int_equal(rows_add(&f->rows, &record), 0);
	}
}

/* Of the cell that was added last, the first so many rounds alone are kept. */
static inline void keep_rounds(struct fixture *f, int rounds)
{
	f->rows.count -= (size_t)(ROUNDS - rounds);
}

/* Likewise, and in the one after them its result was wrong: it was not tried again. */
static inline void fail_after(struct fixture *f, int rounds)
{
	keep_rounds(f, rounds + 1);
	struct record *last = &f->rows.at[f->rows.count - 1];
	last->verified = false;
	last->samples = 0;
	strcpy(last->error, "wrong result: item 7");
}

static inline void derive(struct fixture *f, const char *name)
{
	const struct experiment *experiment = experiment_find(name);
	struct rows own, failed;
	struct derivation d = { .run = f->run, .failed = &failed };

	assert_non_null(experiment);
	assert_int_equal(experiment_rows(experiment, &f->rows, &own), 0);
	assert_int_equal(experiment_failed(experiment, &f->rows, &failed), 0);
	d.rows = &own;
	assert_int_equal(attempts_derive(experiment, &d), 0);
	memcpy(f->finding, d.finding, sizeof f->finding);
	rows_free(&own);
	rows_free(&failed);
}

static inline const char *read_file(struct fixture *f, const char *name)
{
	char path[128];
	size_t size;

	snprintf(path, sizeof path, "%s/%s", f->run, name);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	free(f->text);
	f->text = calloc(1, 4u << 20);
	size = fread(f->text, 1, (4u << 20) - 1, file);
	fclose(file);
	assert_true(size > 0);
	return f->text;
}

/* The number in `column` (from 0) of the first line that begins with `start`. */
static inline double number_at(const char *table, const char *start, int column)
{
	const char *line = table;

	while (line && strncmp(line, start, strlen(start)) != 0) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	for (int i = 0; line && i < column; i++) {
		line = strchr(line, '\t');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		fail_msg("no column %d in a line that begins with '%s' in:\n%s", column, start,
			 table);
	return line ? strtod(line, NULL) : 0; /* fail_msg does not return */
}

static inline void near(double got, double wanted)
{
	if (!(fabs(got - wanted) <= 1e-4 * fabs(wanted)))
		fail_msg("got %g, wanted %g", got, wanted);
}

static inline void assert_contains(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("'%s' is not in: %.900s", part, text);
}

static inline void write_file(struct fixture *f, const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", f->run, name);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

/* As what the run was to measure; the plan is freed. */
/* Named behind the finding as failed, and not in it. */
static inline void assert_left_out(const struct fixture *f, const char *backend)
{
	const char *left_out = strstr(f->finding, " Not right in each round, or not measured:");
	const char *first = strstr(f->finding, backend);

	if (left_out == NULL || first == NULL || first < left_out)
		fail_msg("%s is not left out, or not told of: %s", backend, f->finding);
}

static inline void keep_plan(struct fixture *f, struct plan *plan)
{
	json_t *info = json_pack("{so}", "plan", plan_to_json(plan));
	char *text = json_dumps(info, 0);

	write_file(f, "run.json", text);
	free(text);
	json_decref(info);
	plan_free(plan);
}

static inline void write_rows(struct fixture *f)
{
	char path[128];

	snprintf(path, sizeof path, "%s/rows.jsonl", f->run);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	for (size_t i = 0; i < f->rows.count; i++) {
		char *line = record_format(&f->rows.at[i]);
		assert_non_null(line);
		fputs(line, file);
		free(line);
	}
	assert_int_equal(fclose(file), 0);
}

/* A run of the experiment real: primes by the serial loop in 1000 ns, by a pool in 520, by a third one in 900. */
static inline void write_real_rows(struct fixture *f, const char *third)
{
	struct cell loop = cell_of("real", "loop", "map", "primes");
	struct cell pool = cell_of("real", process_pool(), "map", "primes");
	struct cell other = cell_of("real", third, "map", "primes");

	add(f, &loop, 1000, 1000);
	add(f, &pool, 520, 1000);
	add(f, &other, 900, 1000);
	write_rows(f);
}

/* Runs a command of poolbench with stderr in RUN/stderr; returns its exit status. */
static inline int command(struct fixture *f, int (*entry)(int, char **), const char *run)
{
	char path[128];
	char *argv[] = { "command", (char *)run, NULL };

	snprintf(path, sizeof path, "%s/stderr", f->run);
	fflush(NULL);
	int out = dup(1), err = dup(2);
	assert_non_null(freopen(path, "w", stderr));
	assert_non_null(freopen("/dev/null", "w", stdout));
	int status = entry(2, argv);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	return status;
}

static inline void assert_one_line(const char *text)
{
	assert_non_null(strchr(text, '\n'));
	assert_string_equal(strchr(text, '\n'), "\n");
}

/* The plans of an experiment: each has cells, a finer one not fewer, all acceptable; quick and full at most so many. */
static inline void check_plans(const char *name, size_t quick_most, size_t full_most)
{
	size_t before = 1;

	for (int level = 0; level < 3; level++) {
		struct plan plan;
		char why[256];
		plan_init(&plan, level, 0, 1);
		assert_int_equal(plan_add_experiment(&plan, experiment_find(name)), 0);
		plan_settle(&plan);
		assert_true(plan.count >= before);
		assert_true(plan.count <= (level == 0 ? quick_most : full_most));
		before = plan.count;
		for (size_t i = 0; i < plan.count; i++) {
			struct cell *cell = &plan.cells[i];
			assert_string_equal(cell->experiment, name);
			if (peer_find(cell->backend) == NULL &&
			    cell_check(cell, why, sizeof why) < 0)
				fail_msg("%s, level %d: %s", name, level, why);
		}
		plan_free(&plan);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static inline bool exists(const struct fixture *f, const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s", f->run, name);
	return access(path, F_OK) == 0;
}

#endif
