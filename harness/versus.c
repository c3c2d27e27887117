/*
 * versus.c - from the rows of two programs to decided comparisons.
 */
#include "harness/versus.h"
#include "harness/commands.h"
#include "harness/peer.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/*
 * == Which cells ==
 */

bool versus_wants(const struct cell *cell)
{
	return peer_find(cell->backend) == NULL && strcmp(cell->backend, "hiccup") != 0 &&
	       strcmp(cell->probe, "syscalls") != 0;
}

static bool has_cell(const struct versus_cell *cells, size_t count, const struct cell *cell)
{
	for (size_t i = 0; i < count; i++)
		if (cell_equal(&cells[i].cell, cell))
			return true;
	return false;
}

/* Distinct cells at the end of `cells`, in the order of their first rows. */
static size_t add_cells(const struct rows *rows, struct versus_cell *cells, size_t count)
{
	for (size_t i = 0; rows != NULL && i < rows->count; i++)
		if (!has_cell(cells, count, &rows->at[i].cell))
			cells[count++] = (struct versus_cell){ .cell = rows->at[i].cell,
							       .floor = FLOOR_UNKNOWN };
	return count;
}

/* Moves the wanted cells to `to`, those of an experiment together, in the order of the experiments' first cells. */
static size_t gather(struct versus_cell *from, size_t count, struct versus_cell *to)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		for (size_t k = i; k < count; k++) {
			if (from[k].cell.batches < 0 ||
			    strcmp(from[k].cell.experiment, from[i].cell.experiment) != 0)
				continue;
			to[n++] = from[k];
			if (k != i)
				from[k].cell.batches = -1; /* moved */
		}
	}
	return n;
}

int versus_find(struct versus *v, const struct rows *a, const struct rows *b)
{
	size_t room = a->count + (b ? b->count : 0) + 1, found, wanted = 0;
	struct versus_cell *cells = calloc(room, sizeof *cells);

	*v = (struct versus){ .cells = calloc(room, sizeof *cells),
			      .comparisons = calloc(room, sizeof *v->comparisons) };
	if (cells == NULL || v->cells == NULL || v->comparisons == NULL) {
		free(cells);
		return -ENOMEM;
	}
	found = add_cells(a, cells, 0);
	found = add_cells(b, cells, found);
	for (size_t i = 0; i < found; i++)
		if (versus_wants(&cells[i].cell))
			cells[wanted++] = cells[i];
	v->left_out = found - wanted;
	v->count = gather(cells, wanted, v->cells);
	free(cells);
	for (size_t i = 0; i < v->count; i++)
		cell_label(&v->cells[i].cell, v->comparisons[i].label,
			   sizeof v->comparisons[i].label);
	return 0;
}

void versus_free(struct versus *v)
{
	free(v->cells);
	free(v->comparisons);
	*v = (struct versus){ .count = 0 };
}

size_t versus_index(const struct versus *v, const struct cell *cell)
{
	size_t at = 0;

	while (at < v->count && !cell_equal(&v->cells[at].cell, cell))
		at++;
	return at;
}

/*
 * == Experiments ==
 */

/* Where the experiment that begins at `first` ends. */
static size_t experiment_end(const struct versus *v, size_t first)
{
	size_t end = first;

	while (end < v->count &&
	       strcmp(v->cells[end].cell.experiment, v->cells[first].cell.experiment) == 0)
		end++;
	return end;
}

/* How far from 0, in ln ratio, the interval lies; 0 when it is too wide to tell. */
static double sure_difference(const struct comparison *c)
{
	if (c->refused || c->n == 0 || c->ratio.level == 0)
		return 0;
	return fmax(0, fmax(log(c->ratio.low), -log(c->ratio.high)));
}

static void find_floors(struct versus *v, const struct rows *rows, struct arms_pair pair,
			const struct exclusions *exclusions)
{
	static struct comparison itself; /* large for a stack */

	pair.candidate = ARM_FLOOR;
	for (size_t first = 0, end; first < v->count; first = end) {
		double floor = 0;
		end = experiment_end(v, first);
		for (size_t i = first; i < end; i++) {
			itself = (struct comparison){ .n = 0 };
			arms_compare(rows, &pair, &v->cells[i].cell, exclusions, &itself);
			floor = fmax(floor, expm1(sure_difference(&itself)));
		}
		for (size_t i = first; i < end; i++)
			v->cells[i].floor = floor;
	}
}

/* By either of its arms. */
static const struct record *baseline_failed(const struct rows *rows, const struct cell *cell)
{
	const struct record *row = arms_failed(rows, ARM_BASELINE, cell);

	return row ? row : arms_failed(rows, ARM_FLOOR, cell);
}

/* The second arm is the same program: what it fails once is not right, though the first did not happen to fail it. */
static void refuse_failed_again(struct comparison *c, const struct rows *rows,
				const struct cell *cell)
{
	const struct record *row = arms_failed(rows, ARM_FLOOR, cell);
	char why[160];

	if (row == NULL || c->refused)
		return;
	snprintf(why, sizeof why, "A failed (second arm): %.120s", row->error);
	comparison_refuse(c, why);
}

void versus_pair(struct versus *v, const struct rows *rows, int first_round, int rounds,
		 const struct exclusions *exclusions)
{
	const struct arms_pair pair = { ARM_CANDIDATE, ARM_BASELINE, first_round, rounds };

	for (size_t i = 0; i < v->count; i++) {
		const struct cell *cell = &v->cells[i].cell;
		v->cells[i].only_candidate_failed =
			arms_failed(rows, ARM_CANDIDATE, cell) && !baseline_failed(rows, cell);
		arms_compare(rows, &pair, cell, exclusions, &v->comparisons[i]);
		refuse_failed_again(&v->comparisons[i], rows, cell);
	}
	if (rows_have_arm(rows, ARM_FLOOR))
		find_floors(v, rows, pair, exclusions);
}

void versus_set_floor(struct versus *v, double floor)
{
	for (size_t i = 0; i < v->count; i++)
		v->cells[i].floor = floor;
}

int versus_decide(struct versus *v)
{
	for (size_t first = 0, end; first < v->count; first = end) {
		end = experiment_end(v, first);
		int rc =
			verdicts_decide(&v->comparisons[first], end - first, v->cells[first].floor);
		if (rc < 0)
			return rc;
	}
	return 0;
}

size_t versus_count(const struct versus *v, enum comparison_verdict verdict)
{
	size_t count = 0;

	for (size_t i = 0; i < v->count; i++)
		count += v->comparisons[i].verdict == verdict;
	return count;
}

int versus_status(const struct versus *v)
{
	for (size_t i = 0; i < v->count; i++)
		if (v->cells[i].only_candidate_failed || v->comparisons[i].verdict == REGRESSION)
			return EXIT_BAD;
	if (versus_count(v, NOT_COMPARABLE) == v->count)
		return EXIT_INCONCLUSIVE;
	return EXIT_FINE;
}
