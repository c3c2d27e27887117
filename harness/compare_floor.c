/*
 * compare_floor.c - what runs of one program differ by from session to session.
 */
#include "harness/compare_floor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *digest(const struct side *side)
{
	const char *text = json_string_value(json_object_get(side->info, "program_sha256"));

	return text ? text : "";
}

struct search {
	const struct compare *compare;
	const struct side *a, *b;
	const struct versus *wanted;
	struct side *others; /* one for each run named */
	/* How far they lie from A: the most of the cells that are compared, and how many were looked at. */
	double most; /* |ln ratio| */
	size_t count;
};

/*
 * == Which runs ==
 */

static bool is_same_row(const struct record *a, const struct record *b)
{
	return a->start_ms == b->start_ms && a->round == b->round && a->order == b->order &&
	       a->samples == b->samples && cell_equal(&a->cell, &b->cell) &&
	       memcmp(a->ns_per_task, b->ns_per_task,
		      (size_t)a->samples * sizeof *a->ns_per_task) == 0;
}

static bool has_first_row(const struct rows *rows, const struct rows *of)
{
	for (size_t i = 0; of->count > 0 && i < rows->count; i++)
		if (is_same_row(&rows->at[i], &of->at[0]))
			return true;
	return false;
}

/* By what was measured, not by the file: a run that was kept as a baseline too, or a part of one, is no other run. */
static bool is_same_run(const struct side *a, const struct side *b)
{
	return has_first_row(&a->rows, &b->rows) || has_first_row(&b->rows, &a->rows);
}

/* The run that this one is again, NULL: it is another. */
static const char *find_same(const struct search *s, const struct side *other)
{
	if (is_same_run(s->a, other))
		return s->a->run;
	if (is_same_run(s->b, other))
		return s->b->run;
	for (const struct side *earlier = s->others; earlier < other; earlier++)
		if (is_same_run(earlier, other))
			return earlier->run;
	return NULL;
}

static int check_run(const struct search *s, const struct side *other)
{
	const char *same = find_same(s, other);

	if (same != NULL) {
		fprintf(stderr,
			"poolbench: --floor-from: %s: has the rows of %s, want another run of %s's "
			"program\n",
			other->run, same, s->a->run);
		return -EINVAL;
	}
	if (strcmp(digest(s->a), digest(other)) != 0) {
		fprintf(stderr,
			"poolbench: --floor-from: %s: measured by another program than %s, "
			"want a run of the same\n",
			other->run, s->a->run);
		return -EINVAL;
	}
	return 0;
}

/*
 * == Which cells ==
 */

/* Has it what an interval takes? */
static bool is_usable(const struct comparison *c)
{
	return !c->refused && c->n >= VERDICT_ROUNDS_LEAST;
}

static void describe_lack(const struct comparison *c, char *why, size_t size)
{
	if (c == NULL)
		snprintf(why, size, "not in it");
	else if (c->refused)
		snprintf(why, size, "%s", c->why);
	else
		snprintf(why, size, "too few rounds: %zu, want %d", c->n, VERDICT_ROUNDS_LEAST);
}

/* Is all that is wanted in `found`, the pairs of A and the floor's run? */
static int check_cells(const struct versus *wanted, const struct versus *found, const char *run)
{
	size_t usable = 0, lacking = 0, first = 0;
	char why[160] = "";

	for (size_t i = 0; i < wanted->count; i++) {
		size_t at = versus_index(found, &wanted->cells[i].cell);
		const struct comparison *c = at < found->count ? &found->comparisons[at] : NULL;
		if (!is_usable(&wanted->comparisons[i]))
			continue;
		usable++;
		if (c != NULL && is_usable(c))
			continue;
		if (lacking++ == 0) {
			first = i;
			describe_lack(c, why, sizeof why);
		}
	}
	if (lacking == 0)
		return 0;
	fprintf(stderr,
		"poolbench: --floor-from: %s: lacks %zu of the %zu cells that are compared, e.g. "
		"%s: %s (%s): want a run of the same cells\n",
		run, lacking, usable, wanted->cells[first].cell.experiment,
		wanted->comparisons[first].label, why);
	return -EINVAL;
}

/*
 * == The floor ==
 */

/* Where nothing can be compared the reason is mostly the same for all cells. */
static int check_any(const struct search *s, const struct versus *found, const struct side *other)
{
	const char *why = found->count > 0 ? found->comparisons[0].why : "none is in both";

	for (size_t i = 0; i < found->count; i++)
		if (!found->comparisons[i].refused)
			return 0;
	fprintf(stderr, "poolbench: --floor-from: %s: no cell can be compared with %s: %s\n",
		other->run, s->a->run, why);
	return -EINVAL;
}

/* Other cells of A and the floor's run may differ by much more, and say nothing of those compared. */
static void add_cells(struct search *s, const struct versus *found)
{
	for (size_t i = 0; i < found->count; i++) {
		size_t at = versus_index(s->wanted, &found->cells[i].cell);
		if (at == s->wanted->count || !is_usable(&s->wanted->comparisons[at]))
			continue;
		s->most = fmax(s->most, fabs(log(found->comparisons[i].ratio.mid)));
		s->count++;
	}
}

static int add_differences(struct search *s, const struct side *other)
{
	struct versus v = { 0 };
	int rc = sides_pair(&v, s->a, other);

	if (rc == 0)
		rc = check_any(s, &v, other);
	if (rc == 0)
		rc = check_cells(s->wanted, &v, other->run);
	if (rc == 0)
		add_cells(s, &v);
	versus_free(&v);
	return rc;
}

static int search(struct search *s)
{
	const struct compare *compare = s->compare;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < compare->floor_run_count; i++) {
		rc = side_load_run(&s->others[i], "the floor's run", compare->floor_runs[i],
				   compare->all_rounds);
		if (rc == 0)
			rc = check_run(s, &s->others[i]);
		if (rc == 0)
			rc = add_differences(s, &s->others[i]);
	}
	return rc;
}

static int find_floor(struct search *s, double *floor)
{
	size_t runs = s->compare->floor_run_count;
	int rc;

	s->others = calloc(runs, sizeof *s->others);
	rc = s->others ? search(s) : -ENOMEM;
	for (size_t i = 0; s->others != NULL && i < runs; i++)
		side_free(&s->others[i]);
	free(s->others);
	if (rc < 0)
		return rc;
	*floor = expm1(s->most);
	fprintf(stderr,
		"poolbench: floor: runs of one program differ by up to %.3g %% (%zu "
		"differences, %zu runs beside A)\n",
		100 * *floor, s->count, runs);
	return 0;
}

int compare_floor(const struct compare *compare, const struct side *a, const struct side *b,
		  const struct versus *wanted, double *floor)
{
	struct search s = { .compare = compare, .a = a, .b = b, .wanted = wanted };

	*floor = compare->floor;
	return compare->floor_run_count > 0 ? find_floor(&s, floor) : 0;
}
