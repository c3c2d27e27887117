/*
 * versus_print.c - comparisons as a table or as comma separated values.
 *
 * DESIGN. Sorted by verdict, then by how far apart the two are, so that what matters comes first. An unknown number is an empty
 * field in the values and a dash in the table. Quoting: RFC 4180, see export_csv.c.
 */
#include "harness/export.h"
#include "harness/series.h"
#include "harness/versus.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct shown {
	const struct versus_cell *cell;
	const struct comparison *c;
};

static double distance(const struct comparison *c)
{
	return c->n ? fabs(log(c->ratio.mid)) : 0;
}

static int compare_lines(const void *a, const void *b)
{
	const struct shown *x = a, *y = b;
	double far_x = distance(x->c), far_y = distance(y->c);

	if (x->c->verdict != y->c->verdict)
		return x->c->verdict < y->c->verdict ? -1 : 1;
	if (far_x < far_y || far_x > far_y)
		return far_x > far_y ? -1 : 1;
	return x->cell < y->cell ? -1 : x->cell > y->cell;
}

/*
 * == Comma separated values ==
 */

static void put_number(double number, bool known)
{
	putchar(',');
	if (known && isfinite(number))
		printf("%.6g", number);
}

static void put_values(const struct shown *line)
{
	const struct comparison *c = line->c;
	bool filled = c->n > 0, sure = filled && c->ratio.level > 0;

	printf("%s,", verdict_name(c->verdict));
	export_csv_text(stdout, line->cell->cell.experiment);
	putchar(',');
	export_csv_text(stdout, c->label);
	put_number(c->candidate, filled);
	put_number(c->baseline, filled);
	put_number(c->ratio.mid, filled);
	put_number(c->ratio.low, sure);
	put_number(c->ratio.high, sure);
	put_number(c->ratio_hl, filled);
	put_number(c->p, filled);
	put_number(c->p_holm, filled && !c->refused);
	printf(",%zu,%zu", c->n, c->excluded);
	put_number(line->cell->floor, line->cell->floor >= 0);
	put_number(c->least_effect, filled && !c->refused);
	put_number(c->rounds_needed, filled && !c->refused);
	putchar(',');
	export_csv_text(stdout, c->why);
	putchar('\n');
}

static void print_values(const struct shown *lines, size_t count)
{
	puts("verdict,experiment,cell,candidate_ns_per_task,baseline_ns_per_task,ratio,ratio_low,"
	     "ratio_high,ratio_hodges_lehmann,p,p_holm,rounds,rounds_excluded,floor,least_effect,"
	     "rounds_needed,why");
	for (size_t i = 0; i < count; i++)
		put_values(&lines[i]);
}

/*
 * == Table ==
 */

static void print_numbers(const struct comparison *c)
{
	char baseline[24] = "-", candidate[24] = "-", ratio[16] = "-", interval[32] = "-",
	     p[16] = "-";

	if (c->n > 0) {
		time_text(c->baseline, baseline);
		time_text(c->candidate, candidate);
		snprintf(ratio, sizeof ratio, "%.3f", c->ratio.mid);
	}
	if (c->n > 0 && c->ratio.level > 0)
		snprintf(interval, sizeof interval, "%.3f .. %.3f", c->ratio.low, c->ratio.high);
	if (c->n > 0 && !c->refused)
		snprintf(p, sizeof p, "%.2g", c->p_holm);
	printf("%-14s  %9s  %9s  %6s  %-16s  %-7s  ", verdict_name(c->verdict), baseline, candidate,
	       ratio, interval, p);
}

/* What an inconclusive comparison could have told. */
static void print_outlook(const struct comparison *c)
{
	if (c->verdict != INCONCLUSIVE)
		return;
	if (isfinite(c->least_effect))
		printf("; %.*f %% would have been seen", c->least_effect < 0.1,
		       100 * c->least_effect);
	if (!isfinite(c->rounds_needed))
		printf("; no number of rounds would tell");
	else if (c->rounds_needed > PAIRS_MAX)
		printf("; more than %d rounds, the most there can be, would tell", PAIRS_MAX);
	else if (c->rounds_needed > (double)c->n)
		printf("; about %.0f rounds would tell", c->rounds_needed);
}

static void print_table(const struct shown *lines, size_t count)
{
	printf("%-14s  %9s  %9s  %6s  %-16s  %-7s  %s\n", "verdict", "baseline", "candidate",
	       "ratio", "95 % interval", "p", "cell");
	for (size_t i = 0; i < count; i++) {
		print_numbers(lines[i].c);
		printf("%s: %s", lines[i].cell->cell.experiment, lines[i].c->label);
		if (lines[i].c->why[0])
			printf(" (%s", lines[i].c->why);
		print_outlook(lines[i].c);
		puts(lines[i].c->why[0] ? ")" : "");
	}
}

static void print_summary(const struct versus *v)
{
	fprintf(stderr, "poolbench: %zu cells:", v->count);
	for (int verdict = 0; verdict < VERDICTS; verdict++)
		fprintf(stderr, "%s %zu %s", verdict ? "," : "",
			versus_count(v, (enum comparison_verdict)verdict),
			verdict_name((enum comparison_verdict)verdict));
	if (v->left_out)
		fprintf(stderr, "; %zu more say nothing about the programs", v->left_out);
	if (v->only_a || v->only_b)
		fprintf(stderr, "; %zu only in A, %zu only in B", v->only_a, v->only_b);
	fputc('\n', stderr);
}

/* Floors that are known and more than the least that is looked at, by experiment; of cells that were measured again it may
 * be larger than of the others, and it is what they were judged by. */
static void print_floors(const struct versus *v)
{
	for (size_t i = 0; i < v->count;) {
		const char *experiment = v->cells[i].cell.experiment;
		double floor = FLOOR_UNKNOWN;
		for (; i < v->count && strcmp(v->cells[i].cell.experiment, experiment) == 0; i++)
			floor = fmax(floor, v->cells[i].floor);
		if (floor > VERDICT_LEAST)
			fprintf(stderr,
				"poolbench: %s: the floor is %.3g %%: so much the same program may "
				"differ\n",
				experiment, 100 * floor);
	}
}

int versus_print(const struct versus *v, bool csv)
{
	struct shown *lines = calloc(v->count + 1, sizeof *lines);

	if (lines == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < v->count; i++)
		lines[i] = (struct shown){ &v->cells[i], &v->comparisons[i] };
	qsort(lines, v->count, sizeof *lines, compare_lines);
	if (csv)
		print_values(lines, v->count);
	else
		print_table(lines, v->count);
	print_floors(v);
	print_summary(v);
	free(lines);
	return 0;
}
