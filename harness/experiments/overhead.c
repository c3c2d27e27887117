/*
 * overhead.c - what handing out a task costs, by call, backend and chunk size.
 *
 * DESIGN. The task does nothing, so the time a task takes is the pool's. A chunk of c tasks costs handing it out (b) and
 * c times the handling of one item (a), hence time per task = a + b/c, fitted to each curve in each round. A chunk is no
 * message: many small ones may travel together, and b is what remains of them. All calls of a curve have the same number
 * of tasks: what a call costs, such as waking the workers, is part of a then; with fewer tasks at small chunks it would
 * pass for b. Enough tasks that little is left of it, few enough for a pool that needs a microsecond for each.
 */
#include "harness/attempts.h"
#include "harness/grid.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define TASKS 320000
#define TASKS_LAZY 100000 /* of an imap, where a task takes longer than a call costs for it */
#define TASKS_APPLY 300	  /* one after the other, each a round trip between processes */
#define TASKS_EACH 40	  /* a process for each of them */
#define TASKS_EACH_QUICK 10

static const char *const maps[] = { "map",	     "map_async", "starmap",
				    "starmap_async", "imap",	  "imap_unordered" };
#define MAPS (sizeof maps / sizeof *maps)
/* Chunk sizes; 0 is auto. Each level takes the first so many. */
static const int64_t chunks[] = { 1, 0, 16, 256, 4096, 4, 64, 1024, 2, 8, 32, 128, 512, 2048 };
#define CHUNKS (sizeof chunks / sizeof *chunks)

static void add_call(struct grid *grid, const char *backend, const char *variant, int64_t chunk)
{
	const char *load = strncmp(variant, "starmap", 7) == 0 ? "add" : "noop";
	struct cell cell = grid_cell(grid, backend, variant, load);

	cell.chunk = chunk;
	cell.tasks = strncmp(variant, "imap", 4) == 0 ? TASKS_LAZY : TASKS;
	if (strncmp(variant, "apply", 5) == 0)
		cell.tasks = TASKS_APPLY;
	if (backend_is_each(backend))
		cell.tasks = grid->scale->level > 0 ? TASKS_EACH : TASKS_EACH_QUICK;
	grid_add(grid, &cell);
}

static void add_row(struct grid *grid, const char *backend, size_t map_chunks, size_t other_chunks)
{
	for (size_t i = 0; i < MAPS; i++)
		for (size_t k = 0; k < (i == 0 ? map_chunks : other_chunks); k++)
			add_call(grid, backend, maps[i], chunks[k]);
	if (other_chunks == 0)
		return;
	add_call(grid, backend, "apply", 1);
	add_call(grid, backend, "apply_async", 1);
}

static void add_rows(struct grid *grid, unsigned pick, size_t map_chunks, size_t other_chunks)
{
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(pick, row);

	for (unsigned i = 0; i < count; i++)
		add_row(grid, row[i]->name, map_chunks, other_chunks);
}

static int overhead_grid(struct plan *plan, const struct scale *scale)
{
	static const size_t map_chunks[] = { 4, 6, CHUNKS }, other_chunks[] = { 1, 3, 8 };
	struct grid grid = { plan, scale, 0 };
	const struct pool_backend_info *row[ROWS_MAX];
	size_t map = map_chunks[scale->level], other = other_chunks[scale->level];

	add_rows(&grid, PICK_TRANSPORTS, map, other);
	add_rows(&grid, PICK_THREADS, map, scale->level > 0 ? other : 0);
	if (scale->level > 0)
		add_rows(&grid, PICK_PROCESSES | PICK_SERIAL, scale->level > 1 ? map : 2,
			 scale->level > 1 ? 2 : 0);
	for (unsigned i = grid_rows(PICK_EACH, row); i-- > 0;)
		add_call(&grid, row[i]->name, "map", 1);
	return grid.rc;
}

static int write_times(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "overhead");

	if (!file)
		return -errno;
	fputs("backend\tvariant\tchunk\tns_per_task\tlow\thigh\trounds\n", file);
	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		struct interval ns = group_ns(g);
		fprintf(file, "%s\t%s\t%lld", g->cell->backend, g->cell->variant,
			(long long)g->cell->chunk);
		put_interval(file, &ns);
		fprintf(file, "\t%zu\n", g->count);
	}
	return table_close(file);
}

static bool chunk_point(const struct record *record, const void *context, double *x, double *y)
{
	(void)context;
	*x = 1 / (double)record->cell.chunk;
	*y = record_median(record);
	return record->cell.chunk != 0;
}

/* One curve: groups first..end-1 are one backend and variant. */
static void write_fit(FILE *file, const struct group *first, const struct group *end)
{
	struct lines lines;

	series_lines(first, end, chunk_point, NULL, true, &lines);
	if (lines.count == 0)
		return;
	struct interval item_ns = stats_median_interval(lines.intercept, lines.count, CONFIDENCE);
	struct interval chunk_ns = stats_median_interval(lines.slope, lines.count, CONFIDENCE);
	fprintf(file, "%s\t%s", first->cell->backend, first->cell->variant);
	put_interval(file, &item_ns);
	put_interval(file, &chunk_ns);
	fprintf(file, "\t%.3f\t%zu\n", stats_median(lines.r2, lines.count), lines.count);
}

static bool same_curve(const struct cell *a, const struct cell *b)
{
	return strcmp(a->backend, b->backend) == 0 && strcmp(a->variant, b->variant) == 0;
}

static int write_fits(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "overhead-fit");
	size_t first = 0;

	if (!file)
		return -errno;
	fputs("backend\tvariant\titem_ns\titem_low\titem_high\tchunk_ns\tchunk_low\tchunk_"
	      "high\tr2\trounds\n",
	      file);
	for (size_t i = 1; i <= groups->count; i++) {
		if (i < groups->count && same_curve(groups->at[i].cell, groups->at[first].cell))
			continue;
		write_fit(file, &groups->at[first], &groups->at[i]);
		first = i;
	}
	return table_close(file);
}

/* The process row with the cheapest map at this chunk size (sign -1: the dearest), one with an interval if there is any;
 * NULL: none. */
static const struct group *cheapest(const struct groups *groups, int64_t chunk, double sign)
{
	const struct group *best = NULL;
	struct interval best_ns = { 0 };

	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		if (g->cell->chunk != chunk || strcmp(g->cell->variant, "map") != 0 ||
		    !backend_is_process_pool(g->cell->backend))
			continue;
		struct interval ns = group_ns(g);
		if (!best || interval_precedes(&ns, &best_ns, sign)) {
			best = g;
			best_ns = ns;
		}
	}
	return best;
}

static const struct group *each_row(const struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		if (backend_is_each(groups->at[i].cell->backend))
			return &groups->at[i];
	return NULL;
}

/* Who takes it, and how well that is known. */
static const char *known_text(const struct group *g, char text[128])
{
	struct interval ns = group_ns(g);
	char low[24], high[24];

	if (ns.level > 0)
		snprintf(text, 128, "%s, 95 %% interval %s to %s", g->cell->backend,
			 time_text(ns.low, low), time_text(ns.high, high));
	else
		snprintf(text, 128, "%s, too few rounds for an interval", g->cell->backend);
	return text;
}

static void find(struct derivation *d, const struct groups *groups)
{
	const struct group *one = cheapest(groups, 1, 1), *automatic = cheapest(groups, 0, 1);
	const struct group *dear = cheapest(groups, 1, -1), *each = each_row(groups);
	char text[2][24], known[2][128];

	if (!one || !automatic) {
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell what a task costs: it takes map of a pool of "
			 "processes "
			 "at chunk 1 and at the automatic one, right in each round.");
		return;
	}
	finding_add(
		d,
		"On this machine, handing out an empty task by map costs %s at chunk 1 (%s) and %s "
		"at the automatic chunk (%s)",
		time_text(group_ns(one).mid, text[0]), known_text(one, known[0]),
		time_text(group_ns(automatic).mid, text[1]), known_text(automatic, known[1]));
	if (dear != one)
		finding_add(d, "; the dearest pool at chunk 1 takes %s (%s)",
			    time_text(group_ns(dear).mid, text[0]), known_text(dear, known[0]));
	if (each)
		finding_add(d, ". A process for each task costs %s a task (%s)",
			    time_text(group_ns(each).mid, text[0]), known_text(each, known[0]));
	finding_add(d, ".");
}

static int overhead_derive(struct derivation *d)
{
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_times(d, &groups);
	attempts_keep_right(&groups, d->attempts);
	if (rc == 0)
		rc = write_fits(d, &groups);
	if (rc == 0)
		find(d, &groups);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_overhead = {
	.name = "overhead",
	.title = "What handing out a task costs",
	.claim = "What does handing out an empty task cost?",
	.reading =
		"Each point is the time an empty task takes through the pool, the bar its 95 % "
		"interval over rounds; both axes are logarithmic. A curve would fall while the "
		"chunks' "
		"own cost dominates, and is flat where small chunks are handed out many at a time.",
	.grid = overhead_grid,
	.derive = overhead_derive,
};
