/*
 * compare_runs.c - two finished runs beside each other.
 *
 * DESIGN. The runs are different sessions, so rounds are not paired: a ratio's interval is a hierarchical bootstrap over the
 * invocations of each. That interval knows nothing of what changed between the sessions, so a difference is called one
 * only above a floor: the most, over all cells, by which other runs of the baseline's program differ from the baseline. One
 * such run is as likely as the candidate to lie furthest out, so with k of them an unchanged program is called slower or
 * faster by the floor's chance once in k + 1 times at most. What cannot be compared gets its ratio but no verdict.
 */
#include "harness/commands.h"
#include "harness/compare.h"
#include "harness/host.h"
#include "harness/rerun.h"
#include "harness/run_dir.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct side {
	const char *name, *run;
	struct rows rows;
	json_t *info;
	struct exclusions exclusions;
};

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

static int cpus_of(const struct side *side)
{
	json_int_t cpus = json_integer_value(
		json_object_get(json_object_get(side->info, "host"), "cpus_online"));

	return cpus > 0 && cpus < 1 << 20 ? (int)cpus : 1;
}

static int load(struct side *side, const char *name, const char *run)
{
	*side = (struct side){ .name = name, .run = run };
	int rc = load_rows(side);

	if (rc == 0)
		rc = run_dir_info(run, &side->info);
	return rc;
}

static int load_run(struct side *side, const char *name, const char *run, bool all_rounds)
{
	int rc = load(side, name, run);

	if (rc == 0 && !all_rounds)
		exclusions_find(&side->exclusions, &side->rows, cpus_of(side));
	if (rc < 0 || json_object_get(side->info, "arms") == NULL)
		return rc;
	fprintf(stderr, "poolbench: %s: is a session of two programs: compare it alone\n", run);
	return -EINVAL;
}

static void unload(struct side *side)
{
	if (side == NULL)
		return;
	rows_free(&side->rows);
	json_decref(side->info);
}

static void say_exclusions(const struct side *side)
{
	if (side->exclusions.count > 0)
		fprintf(stderr,
			"poolbench: %s: %zu of %zu rounds left out because the machine was "
			"disturbed: %s\n",
			side->name, side->exclusions.count, side->exclusions.of,
			side->exclusions.why);
}

/*
 * == One cell ==
 */

/* Its good invocations, at most rows.count; *failed becomes the first that is not good, *excluded how many are left out. */
static size_t collect(const struct side *side, const struct cell *cell, struct invocation *found,
		      const struct record **failed, size_t *excluded)
{
	size_t count = 0;

	for (size_t i = 0; i < side->rows.count; i++) {
		const struct record *row = &side->rows.at[i];
		if (!cell_equal(&row->cell, cell))
			continue;
		if (!row->verified && *failed == NULL)
			*failed = row;
		if (!row->verified || !(record_median(row) > 0))
			continue;
		if (exclusions_has(&side->exclusions, row->round))
			++*excluded;
		else
			found[count++] =
				(struct invocation){ row->ns_per_task, (size_t)row->samples };
	}
	return count;
}

static int64_t batch_ns(const struct side *side, const struct cell *cell)
{
	for (size_t i = 0; i < side->rows.count; i++)
		if (cell_equal(&side->rows.at[i].cell, cell))
			return side->rows.at[i].cell.batch_ns;
	return 0;
}

static void refuse_failed(struct comparison *c, const struct side *side,
			  const struct record *failed)
{
	char why[160];

	snprintf(why, sizeof why, "%s failed: %.120s", side->name, failed->error);
	comparison_refuse(c, why);
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
	const struct record *a_failed = NULL, *b_failed = NULL;
	struct invocation *of_b = found + a->rows.count;
	size_t count_a = collect(a, cell, found, &a_failed, &c->excluded);
	size_t count_b = collect(b, cell, of_b, &b_failed, &c->excluded);
	int rc = comparison_sessions(c, of_b, count_b, found, count_a);

	if (b_failed != NULL)
		refuse_failed(c, b, b_failed);
	else if (a_failed != NULL)
		refuse_failed(c, a, a_failed);
	v->cells[at].only_candidate_failed = b_failed != NULL && a_failed == NULL && count_a > 0;
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

static int pair(struct versus *v, const struct side *a, const struct side *b)
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

/*
 * == The floor ==
 */

static const char *digest(const struct side *side)
{
	const char *text = json_string_value(json_object_get(side->info, "program_sha256"));

	return text ? text : "";
}

/* How far other runs lie from A: the most of their cells, and how many were looked at. */
struct distance {
	double most; /* |ln ratio| */
	size_t count;
};

static int add_differences(const struct side *a, const struct side *other, struct distance *d)
{
	struct versus v = { 0 };
	int rc = pair(&v, a, other);

	for (size_t i = 0; rc == 0 && i < v.count; i++)
		if (!v.comparisons[i].refused) {
			d->most = fmax(d->most, fabs(log(v.comparisons[i].ratio.mid)));
			d->count++;
		}
	versus_free(&v);
	return rc;
}

static bool is_same_run(const char *a, const char *b)
{
	struct stat of_a, of_b;

	return stat(a, &of_a) == 0 && stat(b, &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
	       of_a.st_ino == of_b.st_ino;
}

static int add_floor_run(const struct compare *compare, const struct side *a, const char *run,
			 struct distance *d)
{
	struct side *other = malloc(sizeof *other);
	int rc = other ? load_run(other, "the floor's run", run, compare->all_rounds) : -ENOMEM;

	if (rc == 0 && (is_same_run(run, a->run) || is_same_run(run, compare->candidate))) {
		fprintf(stderr,
			"poolbench: --floor-from: %s: is one of the two runs, want another run of "
			"%s's program\n",
			run, a->run);
		rc = -EINVAL;
	} else if (rc == 0 && strcmp(digest(a), digest(other)) != 0) {
		fprintf(stderr,
			"poolbench: --floor-from: %s: measured by another program than %s, "
			"want a run of the same\n",
			run, a->run);
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = add_differences(a, other, d);
	unload(other);
	free(other);
	return rc;
}

/* From the runs named, if any. */
static int find_floor(const struct compare *compare, const struct side *a, double *floor)
{
	struct distance d = { 0 };
	int rc = 0;

	*floor = compare->floor;
	for (size_t i = 0; rc == 0 && i < compare->floor_run_count; i++)
		rc = add_floor_run(compare, a, compare->floor_runs[i], &d);
	if (rc == 0 && compare->floor_run_count > 0 && d.count == 0) {
		fprintf(stderr, "poolbench: --floor-from: no cell can be compared with %s\n",
			a->run);
		rc = -EINVAL;
	}
	if (rc == 0 && d.count > 0) {
		*floor = expm1(d.most);
		fprintf(stderr,
			"poolbench: floor: runs of one program differ by up to %.3g %% (%zu "
			"differences, %zu runs beside A)\n",
			100 * *floor, d.count, compare->floor_run_count);
	}
	return rc;
}

/*
 * == Commands ==
 */

static int print_runs(const struct compare *compare, const struct side *a, const struct side *b,
		      double floor)
{
	struct versus v = { 0 };
	int rc = pair(&v, a, b), status;

	versus_set_floor(&v, floor);
	if (rc == 0)
		rc = versus_decide(&v);
	say_exclusions(a);
	say_exclusions(b);
	if (rc == 0)
		rc = versus_print(&v, compare->csv);
	status = rc < 0 ? EXIT_UNFIT : versus_status(&v);
	versus_free(&v);
	fprintf(stderr,
		"poolbench: the two runs are different sessions: what changed between them "
		"is not in the intervals%s\n",
		floor < 0 ? ", so no verdict of a difference is given (see --floor-from, --rerun)"
			  : "");
	return status;
}

int compare_runs(const struct compare *compare)
{
	struct side *sides = calloc(2, sizeof *sides);
	int status = EXIT_USAGE;
	double floor;

	if (sides == NULL)
		return EXIT_UNFIT;
	if (load_run(&sides[0], "A", compare->baseline, compare->all_rounds) == 0 &&
	    load_run(&sides[1], "B", compare->candidate, compare->all_rounds) == 0 &&
	    find_floor(compare, &sides[0], &floor) == 0)
		status = print_runs(compare, &sides[0], &sides[1], floor);
	unload(&sides[0]);
	unload(&sides[1]);
	free(sides);
	return status;
}

static int print_session(const struct compare *compare, const struct side *side)
{
	struct judging judging = { compare->floor, cpus_of(side), compare->all_rounds };
	struct versus v = { 0 };
	int rc, status;

	if (json_object_get(side->info, "arms") == NULL) {
		fprintf(stderr,
			"poolbench: %s: is no session of two programs, want two runs to compare\n",
			side->run);
		return EXIT_USAGE;
	}
	status = rerun_judged(&judging, side->run, side->info);
	if (status != 0)
		return status;
	rc = rerun_judge(&v, &side->rows, &judging);
	if (rc == 0)
		rc = versus_print(&v, compare->csv);
	status = rc < 0 ? EXIT_UNFIT : versus_status(&v);
	versus_free(&v);
	return status;
}

int compare_session(const struct compare *compare)
{
	struct side *side = malloc(sizeof *side);
	int status = EXIT_USAGE;

	if (side == NULL)
		return EXIT_UNFIT;
	if (load(side, "A", compare->baseline) == 0)
		status = print_session(compare, side);
	unload(side);
	free(side);
	return status;
}
