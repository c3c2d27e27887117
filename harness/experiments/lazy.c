/*
 * lazy.c - input from a generator, eager and lazy: how much memory it takes, and when the first result is there.
 *
 * DESIGN. The cells are measured by scripts/peers/lazy, where the input comes from a generator: map has to make an array of it
 * first, imap reads as far ahead as its window. Memory is what parent and workers take above the opened pool
 * (max_rss_kib of these rows). Bytes per queued item is the slope of memory over the number of tasks, by least squares
 * within each round, from where imap's window is full; its median and interval are over rounds. Tasks are empty: the first
 * result of map waits for all tasks, so with longer ones its disadvantage only grows.
 */
#include "harness/attempts.h"
#include "harness/grid.h"
#include "harness/series.h"

#include <errno.h>
#include <string.h>

#define PREFIX "lazy-"
#define WINDOW_FULL 10000 /* tasks; with fewer the memory of imap still grows */
#define LONG_CALL 1000000 /* tasks: such a call lasts longer than any batch */

static const char *const variants[] = { "map", "imap", "imap_unordered" };

static void add_cell(struct grid *grid, const char *row, const char *variant, uint64_t tasks)
{
	struct cell cell = grid_cell(grid, "", variant, "noop");

	snprintf(cell.backend, sizeof cell.backend, PREFIX "%.24s", row);
	cell.tasks = tasks;
	cell.batches = tasks >= LONG_CALL ? 1 : 0;
	cell.batch_ns = tasks >= LONG_CALL ? 1 : 0;
	if (grid_can_measure(cell.backend))
		grid_add(grid, &cell);
}

/* The rows of grid_rows() come in the table's order; when there is little time the last one stands for all. */
static int lazy_grid(struct plan *plan, const struct scale *scale)
{
	static const uint64_t quick[] = { 10000, 30000, 100000, 0 };
	static const uint64_t normal[] = { 1000, 10000, 100000, 1000000, 0 };
	static const uint64_t full[] = { 100,	300,	1000,	3000,	 10000,
					 30000, 100000, 300000, 1000000, 0 };
	static const uint64_t *const sizes[] = { quick, normal, full };
	struct grid grid = { plan, scale, 0 };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(PICK_TRANSPORTS, row);

	for (unsigned i = scale->level == 0 && count > 0 ? count - 1 : 0; i < count; i++)
		for (const uint64_t *tasks = sizes[scale->level]; *tasks; tasks++)
			for (size_t k = 0; k < sizeof variants / sizeof *variants; k++)
				add_cell(&grid, row[i]->name, variants[k], *tasks);
	return grid.rc;
}

static bool is_lazy(const struct group *g)
{
	return strncmp(g->cell->backend, PREFIX, strlen(PREFIX)) == 0;
}

static const char *row_of(const struct group *g)
{
	return g->cell->backend + strlen(PREFIX);
}

static double memory_kib(const struct record *record)
{
	return (double)record->max_rss_kib;
}

static double first_ms(const struct record *record)
{
	return record->first_result_ns / 1e6;
}

static int write_sizes(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "lazy");

	if (!file)
		return -errno;
	fputs("backend\tvariant\ttasks\tkib\tkib_low\tkib_high\tfirst_ms\tfirst_low\tfirst_high\t"
	      "rounds\n",
	      file);
	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		if (!is_lazy(g))
			continue;
		struct interval kib = group_over_rounds(g, memory_kib),
				first = group_over_rounds(g, first_ms);
		fprintf(file, "%s\t%s\t%llu", row_of(g), g->cell->variant,
			(unsigned long long)g->cell->tasks);
		put_interval(file, &kib);
		put_interval(file, &first);
		fprintf(file, "\t%zu\n", g->count);
	}
	return table_close(file);
}

/* One backend and variant: groups first..end-1, tasks ascending. */
struct curve {
	const struct group *first, *end;
	struct interval item_bytes; /* level 0: too few rounds */
	size_t rounds;		    /* that have a slope */
};

static bool same_curve(const struct group *a, const struct group *b)
{
	return strcmp(a->cell->backend, b->cell->backend) == 0 &&
	       strcmp(a->cell->variant, b->cell->variant) == 0;
}

static bool counts(const struct cell *cell)
{
	return cell->tasks >= WINDOW_FULL;
}

static size_t sizes_that_count(const struct curve *c)
{
	size_t n = 0;

	for (const struct group *g = c->first; g < c->end; g++)
		n += counts(g->cell);
	return n;
}

static bool memory_point(const struct record *record, const void *context, double *x, double *y)
{
	(void)context;
	*x = (double)record->cell.tasks;
	*y = 1024 * memory_kib(record);
	return counts(&record->cell);
}

static void set_slope(struct curve *c)
{
	struct lines lines;

	series_lines(c->first, c->end, memory_point, NULL, false, &lines);
	c->rounds = lines.count;
	c->item_bytes = stats_median_interval(lines.slope, lines.count, CONFIDENCE);
}

/* Fills in curves[0..n), returns n. */
static size_t find_curves(const struct groups *groups, struct curve curves[ROWS_MAX])
{
	size_t n = 0, end;

	for (size_t i = 0; i < groups->count && n < ROWS_MAX; i = end) {
		for (end = i + 1; end < groups->count; end++)
			if (!same_curve(&groups->at[end], &groups->at[i]))
				break;
		if (!is_lazy(&groups->at[i]) || end - i < 3)
			continue;
		curves[n] = (struct curve){ .first = &groups->at[i], .end = groups->at + end };
		set_slope(&curves[n++]);
	}
	return n;
}

static int write_slopes(const struct derivation *d, const struct curve *curves, size_t count)
{
	FILE *file = derive_table(d, "lazy-item");

	if (!file)
		return -errno;
	fputs("backend\tvariant\tbytes_per_item\tlow\thigh\tsizes\trounds\n", file);
	for (size_t i = 0; i < count; i++) {
		fprintf(file, "%s\t%s", row_of(curves[i].first), curves[i].first->cell->variant);
		put_interval(file, &curves[i].item_bytes);
		fprintf(file, "\t%zu\t%zu\n", sizes_that_count(&curves[i]), curves[i].rounds);
	}
	return table_close(file);
}

/* The last backend for which both calls are known with an interval, so that they are compared with each other. */
static bool find_pair(const struct curve *curves, size_t count, const struct curve **map,
		      const struct curve **imap)
{
	*map = *imap = NULL;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < count; k++)
			if (strcmp(curves[i].first->cell->variant, "map") == 0 &&
			    strcmp(curves[k].first->cell->variant, "imap") == 0 &&
			    strcmp(row_of(curves[i].first), row_of(curves[k].first)) == 0 &&
			    curves[i].item_bytes.level > 0 && curves[k].item_bytes.level > 0) {
				*map = &curves[i];
				*imap = &curves[k];
			}
	return *map != NULL;
}

static void put_bytes(const struct interval *bytes, char text[96])
{
	if (bytes->low > 0)
		snprintf(text, 96, "%.3g bytes (95 %% interval %.3g to %.3g)", bytes->mid,
			 bytes->low, bytes->high);
	else
		snprintf(text, 96, "nothing that can be seen (95 %% interval %.2g to %.2g bytes)",
			 bytes->low, bytes->high);
}

static void find(struct derivation *d, const struct curve *curves, size_t count)
{
	const struct curve *map, *imap;
	char bytes[2][96], time[2][24];

	if (!find_pair(curves, count, &map, &imap)) {
		snprintf(
			d->finding, sizeof d->finding,
			"The rows do not tell what a queued item takes: map and imap were not both "
			"measured with 3 numbers of tasks from 10000 on in 6 rounds or more.");
		return;
	}
	const struct group *most = map->end - 1, *lazy_most = imap->end - 1;
	put_bytes(&map->item_bytes, bytes[0]);
	put_bytes(&imap->item_bytes, bytes[1]);
	snprintf(d->finding, sizeof d->finding,
		 "On this machine, each item of the input takes %s with map and %s with imap (%s). "
		 "With %llu empty tasks the first result is there after %s by map and, with %llu, "
		 "after %s by imap.",
		 bytes[0], bytes[1], row_of(most), (unsigned long long)most->cell->tasks,
		 time_text(1e6 * group_over_rounds(most, first_ms).mid, time[0]),
		 (unsigned long long)lazy_most->cell->tasks,
		 time_text(1e6 * group_over_rounds(lazy_most, first_ms).mid, time[1]));
}

static int lazy_derive(struct derivation *d)
{
	struct curve curves[ROWS_MAX];
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_sizes(d, &groups);
	attempts_keep_right(&groups, d->attempts);
	size_t count = find_curves(&groups, curves);
	if (rc == 0)
		rc = write_slopes(d, curves, count);
	if (rc == 0)
		find(d, curves, count);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_lazy = {
	.name = "lazy",
	.title = "What eager input costs, and lazy input saves",
	.claim = "What does it cost to queue: map is eager, imap lazy?",
	.reading = "Left: the most memory that parent and workers took beside the idle pool. "
		   "Right: the time to the first result. The input comes from a generator, of "
		   "which map has to make an array. All axes are logarithmic; bars are 95 % "
		   "intervals over rounds.",
	.grid = lazy_grid,
	.derive = lazy_derive,
};
