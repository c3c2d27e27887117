/*
 * compare.c - `poolbench compare A B`: the cells that two runs share, side by side.
 *
 * DESIGN. A cell's value in a run is the median over its rounds of each round's median. The runs are different sessions, so
 * rounds are not paired: the ratio's interval is a percentile bootstrap over the invocations of each, and
 * no verdict is given, because between sessions machines differ by more than such an interval knows.
 */
#include "harness/commands.h"
#include "harness/record.h"
#include "harness/verdict.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] = "Usage: poolbench compare A B [--csv]\n"
			   "\n"
			   "A and B are directories of runs. For each cell in both: medians over "
			   "rounds (ns per task), and\n"
			   "the ratio B/A with its 95 % interval; above 1 means B is slower. The "
			   "sessions differ, so no\n"
			   "verdict is given.\n"
			   "\n"
			   "  --csv   comma separated values instead of a table\n"
			   "\n"
			   "Exit status: 0 fine, 2 a run cannot be read, 3 no cell is in both.\n";

static int load(struct rows *rows, const char *run)
{
	char why[512];
	bool truncated;
	int rc = rows_load(rows, run, &truncated, why, sizeof why);

	if (rc < 0)
		fprintf(stderr, "poolbench: %s\n", why);
	else if (truncated)
		fprintf(stderr, "poolbench: %s: the last row is cut short and left out\n", run);
	return rc;
}

/* The batches of `cell` in its good rows; at most `rows->count` of them. */
static size_t collect(const struct rows *rows, const struct cell *cell, struct invocation *found)
{
	size_t count = 0;

	for (size_t i = 0; i < rows->count; i++) {
		const struct record *row = &rows->at[i];
		if (row->verified && row->samples > 0 && cell_equal(&row->cell, cell))
			found[count++] =
				(struct invocation){ row->ns_per_task, (size_t)row->samples };
	}
	return count;
}

static bool seen_before(const struct rows *rows, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (cell_equal(&rows->at[i].cell, &rows->at[at].cell))
			return true;
	return false;
}

static void print_head(bool csv)
{
	if (csv)
		puts("experiment,cell,a_ns_per_task,b_ns_per_task,ratio,ratio_low,ratio_high,a_"
		     "rounds,"
		     "b_rounds");
	else
		printf("%-58s %11s %11s %7s  %s\n", "cell", "A ns/task", "B ns/task", "B/A",
		       "95 % interval");
}

static void print_row(const struct cell *cell, const struct comparison *c, size_t rounds_a,
		      size_t rounds_b, bool csv)
{
	char named[400], interval[48] = "too few rounds";

	if (csv) {
		printf("%s,%s,%.6g,%.6g,%.6g,%.6g,%.6g,%zu,%zu\n", cell->experiment, c->label,
		       c->baseline, c->candidate, c->ratio.mid, c->ratio.low, c->ratio.high,
		       rounds_a, rounds_b);
		return;
	}
	snprintf(named, sizeof named, "%s: %s", cell->experiment, c->label);
	if (c->ratio.level > 0)
		snprintf(interval, sizeof interval, "%.3f .. %.3f", c->ratio.low, c->ratio.high);
	printf("%-58s %11.4g %11.4g %7.3f  %s\n", named, c->baseline, c->candidate, c->ratio.mid,
	       interval);
}

/* Whether the cell is in both. */
static bool compare_cell(const struct rows *a, const struct rows *b, const struct cell *cell,
			 struct invocation *found, bool csv)
{
	struct invocation *of_b = found + a->count;
	size_t rounds_a = collect(a, cell, found), rounds_b = collect(b, cell, of_b);
	struct comparison c = { .n = 0 };

	if (rounds_a == 0 || rounds_b == 0 ||
	    comparison_sessions(&c, of_b, rounds_b, found, rounds_a) < 0)
		return false;
	cell_label(cell, c.label, sizeof c.label);
	print_row(cell, &c, rounds_a, rounds_b, csv);
	return true;
}

static size_t count_cells(const struct rows *rows)
{
	size_t count = 0;

	for (size_t i = 0; i < rows->count; i++)
		count += !seen_before(rows, i);
	return count;
}

static int compare(const struct rows *a, const struct rows *b, bool csv)
{
	struct invocation *values = calloc(a->count + b->count + 1, sizeof *values);
	size_t shared = 0;

	if (values == NULL)
		return EXIT_UNFIT;
	print_head(csv);
	for (size_t i = 0; i < a->count; i++)
		if (!seen_before(a, i))
			shared += compare_cell(a, b, &a->at[i].cell, values, csv);
	free(values);
	fprintf(stderr,
		"poolbench: %zu cells compared; %zu only in A or without good rows in B, %zu only "
		"in B "
		"or without good rows in A\n",
		shared, count_cells(a) - shared, count_cells(b) - shared);
	fprintf(stderr, "poolbench: the two runs are different sessions: differences between "
			"sessions are not in the intervals, so no verdict is given\n");
	return shared ? EXIT_FINE : EXIT_INCONCLUSIVE;
}

static int compare_runs(const char *run_a, const char *run_b, bool csv)
{
	struct rows a = { 0 }, b = { 0 };
	int status = EXIT_USAGE;

	if (load(&a, run_a) == 0 && load(&b, run_b) == 0)
		status = compare(&a, &b, csv);
	rows_free(&a);
	rows_free(&b);
	return status;
}

int compare_main(int argc, char **argv)
{
	static const struct option options[] = { { "csv", no_argument, NULL, 'c' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	bool csv = false;
	int id;

	optind = 0;
	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (id == '?')
			return EXIT_USAGE;
		if (id == 'h') {
			fputs(help, stdout);
			return EXIT_FINE;
		}
		csv = true;
	}
	if (argc - optind == 2)
		return compare_runs(argv[optind], argv[optind + 1], csv);
	fprintf(stderr, "poolbench: compare wants two run directories, see `poolbench compare "
			"--help`\n");
	return EXIT_USAGE;
}
