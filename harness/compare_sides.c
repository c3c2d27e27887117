/*
 * compare_sides.c - reading two finished runs and pairing their cells.
 */
#include "harness/compare_sides.h"
#include "harness/host.h"
#include "harness/run_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int load_rows(struct side *side)
{
	char why[512];
	bool truncated;
	int rc = rows_load(&side->rows, side->run, &truncated, why, sizeof why);

	if (rc < 0)
		fprintf(stderr, "poolbench: %s\n", why);
	else if (truncated)
		fprintf(stderr, "poolbench: %s: the last row is cut short and left out\n",
			side->run);
	return rc;
}

int side_cpus(const struct side *side)
{
	json_int_t cpus = json_integer_value(
		json_object_get(json_object_get(side->info, "host"), "cpus_online"));

	return cpus > 0 && cpus < 1 << 20 ? (int)cpus : 1;
}

int side_load(struct side *side, const char *name, const char *run)
{
	*side = (struct side){ .name = name, .run = run };
	int rc = load_rows(side);

	if (rc == 0)
		rc = run_dir_info(run, &side->info);
	return rc;
}

int side_load_run(struct side *side, const char *name, const char *run, bool all_rounds)
{
	int rc = side_load(side, name, run);

	if (rc == 0 && !all_rounds)
		exclusions_find(&side->exclusions, &side->rows, side_cpus(side));
	if (rc == 0 && json_object_get(side->info, "selftest") != NULL) {
		fprintf(stderr, "poolbench: %s: is a self-test, want a run\n", run);
		return -EINVAL;
	}
	if (rc < 0 || json_object_get(side->info, "arms") == NULL)
		return rc;
	fprintf(stderr, "poolbench: %s: is a session of two programs: compare it alone\n", run);
	return -EINVAL;
}

void side_free(struct side *side)
{
	if (side == NULL)
		return;
	rows_free(&side->rows);
	json_decref(side->info);
}

/*
 * == One cell ==
 */

/* What a run has of a cell. */
struct collected {
	size_t good, kept; /* of the good ones those are kept that are of no round left out */
	const struct record *failed; /* the first that is not good; NULL: all are */
};

/* found[0..kept) become the invocations kept, at most rows.count. */
static struct collected collect(const struct side *side, const struct cell *cell,
				struct invocation *found)
{
	struct collected collected = { .good = 0 };

	for (size_t i = 0; i < side->rows.count; i++) {
		const struct record *row = &side->rows.at[i];
		if (!cell_equal(&row->cell, cell))
			continue;
		if (!row->verified && collected.failed == NULL)
			collected.failed = row;
		if (!row->verified || !(record_median(row) > 0))
			continue;
		collected.good++;
		if (!exclusions_has(&side->exclusions, row->round))
			found[collected.kept++] =
				(struct invocation){ row->ns_per_task, (size_t)row->samples };
	}
	return collected;
}

static int64_t batch_ns(const struct side *side, const struct cell *cell)
{
	for (size_t i = 0; i < side->rows.count; i++)
		if (cell_equal(&side->rows.at[i].cell, cell))
			return side->rows.at[i].cell.batch_ns;
	return 0;
}

static bool refuse_disturbed(struct comparison *c, const struct side *side,
			     const struct collected *of)
{
	char why[160];

	if (of->good == 0 || of->kept > 0)
		return false;
	snprintf(why, sizeof why,
		 "all its rounds in %s are left out because the machine was disturbed", side->name);
	comparison_refuse(c, why);
	return true;
}

static bool refuse_failed(struct comparison *c, const struct side *side, const struct collected *of)
{
	char why[160];

	if (of->failed == NULL)
		return false;
	snprintf(why, sizeof why, "%s failed: %.120s", side->name, of->failed->error);
	comparison_refuse(c, why);
	return true;
}

/* A quick run and a full one answer with different batches, which differ by more than noise. */
static void check_batches(struct comparison *c, const struct side *a, const struct side *b,
			  const struct cell *cell)
{
	char why[160];
	int64_t of_a = batch_ns(a, cell), of_b = batch_ns(b, cell);

	if (of_a == of_b || c->refused)
		return;
	snprintf(why, sizeof why, "batches of %.3g ms in %s and of %.3g ms in %s",
		 (double)of_a / 1e6, a->name, (double)of_b / 1e6, b->name);
	comparison_refuse(c, why);
}

static int compare_cell(struct versus *v, size_t at, const struct side *a, const struct side *b,
			struct invocation *found)
{
	const struct cell *cell = &v->cells[at].cell;
	struct comparison *c = &v->comparisons[at];
	struct invocation *found_b = found + a->rows.count;
	const struct collected of_a = collect(a, cell, found), of_b = collect(b, cell, found_b);
	int rc = comparison_sessions(c, found_b, of_b.kept, found, of_a.kept);

	c->excluded = of_a.good - of_a.kept + of_b.good - of_b.kept;
	v->cells[at].only_candidate_failed =
		of_b.failed != NULL && of_a.failed == NULL && of_a.good > 0;
	if (!refuse_failed(c, b, &of_b) && !refuse_failed(c, a, &of_a) &&
	    !refuse_disturbed(c, b, &of_b))
		refuse_disturbed(c, a, &of_a);
	check_batches(c, a, b, cell);
	return rc;
}

/*
 * == Two runs ==
 */

static void refuse_all(struct versus *v, const char *why)
{
	for (size_t i = 0; i < v->count; i++)
		if (!v->comparisons[i].refused)
			comparison_refuse(&v->comparisons[i], why);
}

static const char *exploratory(const struct side *side)
{
	return json_object_get(json_object_get(side->info, "plan"), "precision") ? side->name
										 : NULL;
}

/* In some workloads they decide how much work there is. */
static void check_inputs(struct versus *v, const struct side *a, const struct side *b)
{
	const uint64_t of_a = plan_input_seed(json_object_get(a->info, "plan")),
		       of_b = plan_input_seed(json_object_get(b->info, "plan"));
	char why[160];

	snprintf(why, sizeof why, "inputs of seed %" PRIu64 " in %s and of seed %" PRIu64 " in %s",
		 of_a, a->name, of_b, b->name);
	if (of_a != of_b)
		refuse_all(v, why);
}

/* What keeps all cells from being compared. */
static void check_runs(struct versus *v, const struct side *a, const struct side *b)
{
	const struct side *const sides[] = { a, b };
	char why[160];

	if (host_difference(json_object_get(a->info, "host"), json_object_get(b->info, "host"), why,
			    sizeof why))
		refuse_all(v, why);
	check_inputs(v, a, b);
	for (size_t i = 0; i < 2; i++) {
		snprintf(why, sizeof why, "too many rounds of %s are left out", sides[i]->name);
		if (exclusions_too_many(&sides[i]->exclusions))
			refuse_all(v, why);
		snprintf(why, sizeof why, "%s is exploratory: it stopped when it was precise",
			 sides[i]->name);
		if (exploratory(sides[i]))
			refuse_all(v, why);
	}
}

static bool has_rows(const struct side *side, const struct cell *cell)
{
	for (size_t i = 0; i < side->rows.count; i++)
		if (cell_equal(&side->rows.at[i].cell, cell))
			return true;
	return false;
}

static void keep_shared(struct versus *v, const struct side *a, const struct side *b)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->count; i++) {
		bool in_a = has_rows(a, &v->cells[i].cell), in_b = has_rows(b, &v->cells[i].cell);
		v->only_a += !in_b;
		v->only_b += !in_a;
		if (!in_a || !in_b)
			continue;
		v->cells[kept] = v->cells[i];
		v->comparisons[kept++] = v->comparisons[i];
	}
	v->count = kept;
}

int sides_pair(struct versus *v, const struct side *a, const struct side *b)
{
	struct invocation *found = calloc(a->rows.count + b->rows.count + 1, sizeof *found);
	int rc = found ? versus_find(v, &a->rows, &b->rows) : -ENOMEM;

	if (rc == 0)
		keep_shared(v, a, b);
	for (size_t i = 0; rc == 0 && i < v->count; i++)
		rc = compare_cell(v, i, a, b, found);
	if (rc == 0)
		check_runs(v, a, b);
	free(found);
	return rc;
}
