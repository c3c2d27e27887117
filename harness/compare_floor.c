/*
 * compare_floor.c - what runs of one program differ by from session to session.
 */
#include "harness/compare_floor.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

static int add_differences(const struct side *a, const struct side *other,
			   const struct versus *wanted, struct distance *d)
{
	struct versus v = { 0 };
	int rc = sides_pair(&v, a, other);

	if (rc == 0)
		rc = check_cells(wanted, &v, other->run);
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

static int add_floor_run(const struct compare *compare, const struct side *a,
			 const struct versus *wanted, const char *run, struct distance *d)
{
	struct side *other = malloc(sizeof *other);
	int rc =
		other ? side_load_run(other, "the floor's run", run, compare->all_rounds) : -ENOMEM;

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
		rc = add_differences(a, other, wanted, d);
	side_free(other);
	free(other);
	return rc;
}

/* From the runs named, if any. */
int compare_floor(const struct compare *compare, const struct side *a, const struct versus *wanted,
		  double *floor)
{
	struct distance d = { 0 };
	int rc = 0;

	*floor = compare->floor;
	for (size_t i = 0; rc == 0 && i < compare->floor_run_count; i++)
		rc = add_floor_run(compare, a, wanted, compare->floor_runs[i], &d);
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
