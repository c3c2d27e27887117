/*
 * compare_runs.c - two finished runs beside each other.
 *
 * DESIGN. The runs are different sessions, so rounds are not paired: a ratio's interval is a hierarchical bootstrap over the
 * invocations of each. That interval knows nothing of what changed between the sessions, so a difference is called one
 * only above a floor: the most, over the cells compared, by which other runs of the baseline's program differ from the
 * baseline. One such run is as likely as the candidate to lie furthest out, so with k of them an unchanged program is
 * called slower or faster by the floor's chance once in k + 1 times at most. What cannot be compared gets its ratio but
 * no verdict.
 */
#include "harness/commands.h"
#include "harness/compare.h"
#include "harness/compare_floor.h"
#include "harness/compare_sides.h"
#include "harness/rerun.h"

#include <stdlib.h>

static void say_exclusions(const struct side *side)
{
	if (side->exclusions.count > 0)
		fprintf(stderr,
			"poolbench: %s: %zu of %zu rounds left out because the machine was "
			"disturbed: %s\n",
			side->name, side->exclusions.count, side->exclusions.of,
			side->exclusions.why);
}

static int print_decided(const struct compare *compare, struct versus *v, double floor)
{
	int rc;

	versus_set_floor(v, floor);
	rc = versus_decide(v);
	if (rc == 0)
		rc = versus_print(v, compare->csv);
	fprintf(stderr,
		"poolbench: the two runs are different sessions: what changed between them "
		"is not in the intervals%s\n",
		floor < 0 ? ", so no verdict of a difference is given (see --floor-from, --rerun)"
			  : "");
	return rc < 0 ? EXIT_UNFIT : versus_status(v);
}

static int compare_loaded(const struct compare *compare, const struct side *a, const struct side *b)
{
	struct versus v = { 0 };
	int status = EXIT_USAGE;
	double floor;

	if (sides_pair(&v, a, b) < 0) {
		status = EXIT_UNFIT;
	} else if (compare_floor(compare, a, b, &v, &floor) == 0) {
		say_exclusions(a);
		say_exclusions(b);
		status = print_decided(compare, &v, floor);
	}
	versus_free(&v);
	return status;
}

int compare_runs(const struct compare *compare)
{
	struct side *sides = calloc(2, sizeof *sides);
	int rc, status;

	if (sides == NULL)
		return EXIT_UNFIT;
	rc = side_load_run(&sides[0], "A", compare->baseline, compare->all_rounds);
	if (rc == 0)
		rc = side_load_run(&sides[1], "B", compare->candidate, compare->all_rounds);
	status = rc == 0 ? compare_loaded(compare, &sides[0], &sides[1]) : exit_of(rc);
	side_free(&sides[0]);
	side_free(&sides[1]);
	free(sides);
	return status;
}

static int print_session(const struct compare *compare, const struct side *side)
{
	struct judging judging = { compare->floor, side_cpus(side), compare->all_rounds };
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
	int rc, status;

	if (side == NULL)
		return EXIT_UNFIT;
	rc = side_load(side, "A", compare->baseline);
	status = rc == 0 ? print_session(compare, side) : exit_of(rc);
	side_free(side);
	free(side);
	return status;
}
