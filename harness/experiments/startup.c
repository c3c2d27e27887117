/*
 * startup.c - what a worker costs to start, by start method and size of the parent, and when reuse pays.
 *
 * DESIGN. Variant "open" times opening and ending a pool, per worker, while the parent holds touched memory: fork copies the
 * page tables of all of it, exec and threads do not, so the slope in ms/GiB, a line in each round, is the price of fork. Reuse pays from
 * N tasks on, N = cost of the pool / (task with a process of its own - task in the pool).
 */
#include "harness/attempts.h"
#include "harness/grid.h"
#include "harness/series.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define GIB_BYTES 1073741824.0
#define TASKS_EACH 20
#define TASKS_EACH_SOON 10 /* where there is less time */
#define TASKS_POOL 10000

static void add_opens(struct grid *grid, uint64_t parent_bytes)
{
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(PICK_STARTS, row);

	for (unsigned i = 0; i < count; i++) {
		struct cell cell = grid_cell(grid, row[i]->name, "open", "noop");
		cell.tasks = 1;
		cell.parent_bytes = parent_bytes;
		grid_add(grid, &cell);
	}
}

/* The same without a pool: the system's ways to start something that ends at once. */
static void add_raw(struct grid *grid, uint64_t parent_bytes)
{
	static const char *const names[] = { "raw-fork", "raw-vfork", "raw-spawn", "raw-thread" };

	for (size_t i = 0; i < sizeof names / sizeof *names && grid->scale->level > 0; i++) {
		struct cell cell = grid_cell(grid, names[i], "map", "noop");
		cell.tasks = 1;
		cell.parent_bytes = parent_bytes;
		if (grid_can_measure(names[i]))
			grid_add(grid, &cell);
	}
}

static void add_tasks(struct grid *grid, unsigned pick, uint64_t tasks, uint64_t parent_bytes)
{
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(pick, row);

	for (unsigned i = 0; i < count; i++) {
		struct cell cell = grid_cell(grid, row[i]->name, "map", "noop");
		cell.chunk = 1;
		cell.tasks = tasks;
		cell.parent_bytes = parent_bytes;
		grid_add(grid, &cell);
	}
}

static int startup_grid(struct plan *plan, const struct scale *scale)
{
	static const uint64_t most[] = { 64 * MIB, 256 * MIB, 4096 * MIB };
	static const int shift[] = { 3, 2, 2 };
	struct grid grid = { plan, scale, 0 };
	uint64_t third = grid_memory_available() / 3;

	for (uint64_t bytes = MIB; bytes <= most[scale->level]; bytes <<= shift[scale->level]) {
		if (bytes > third && bytes > MIB)
			break;
		add_opens(&grid, bytes);
		if (bytes <= MIB || bytes >= 64 * MIB) /* the slope needs no more */
			add_raw(&grid, bytes);
		if (bytes == MIB || scale->level > 0)
			add_tasks(&grid, PICK_EACH, scale->level > 1 ? TASKS_EACH : TASKS_EACH_SOON,
				  bytes);
	}
	add_tasks(&grid, PICK_STARTS, TASKS_POOL, MIB);
	return grid.rc;
}

static bool is_open(const struct group *g)
{
	return strcmp(g->cell->variant, "open") == 0;
}

static bool is_raw(const struct group *g)
{
	return strncmp(g->cell->backend, "raw-", strlen("raw-")) == 0;
}

static int write_times(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "startup");

	if (!file)
		return -errno;
	fputs("backend\twhat\tparent_mib\tus\tlow\thigh\trounds\n", file);
	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		struct interval us = group_ns(g);
		if (!is_open(g) && !is_raw(g) && !backend_is_each(g->cell->backend))
			continue;
		us.low /= 1e3;
		us.mid /= 1e3;
		us.high /= 1e3;
		fprintf(file, "%s\t%s\t%.6g", g->cell->backend,
			is_open(g)  ? "worker"
			: is_raw(g) ? "start"
				    : "task",
			(double)g->cell->parent_bytes / (double)MIB);
		put_interval(file, &us);
		fprintf(file, "\t%zu\n", g->count);
	}
	return table_close(file);
}

static const struct group *find_group(const struct groups *groups, const char *backend,
				      const char *variant, uint64_t parent_bytes)
{
	for (size_t i = 0; i < groups->count; i++) {
		const struct cell *cell = groups->at[i].cell;
		if (strcmp(cell->variant, variant) == 0 && cell->parent_bytes == parent_bytes &&
		    (backend ? strcmp(cell->backend, backend) == 0
			     : backend_is_each(cell->backend)))
			return &groups->at[i];
	}
	return NULL;
}

/* One backend's cost of starting: ns per worker = fixed + slope x GiB of parent, fitted in each round. */
struct start {
	const char *backend;
	size_t rounds;			  /* that have a line */
	struct interval fixed, slope, r2; /* x in GiB, y in ns */
	size_t reuse_rounds;		  /* in which it can be told, INFINITY among them */
	struct interval reuse_tasks;	  /* reuse pays from so many tasks on */
};

static bool parent_point(const struct record *record, const void *context, double *x, double *y)
{
	(void)context;
	*x = (double)record->cell.parent_bytes / GIB_BYTES;
	*y = record_median(record);
	return true;
}

static void fit(struct start *start, const struct group *first, const struct group *end)
{
	struct lines lines;

	series_lines(first, end, parent_point, NULL, true, &lines);
	start->rounds = lines.count;
	start->fixed = stats_median_interval(lines.intercept, lines.count, CONFIDENCE);
	start->slope = stats_median_interval(lines.slope, lines.count, CONFIDENCE);
	start->r2 = stats_median_interval(lines.r2, lines.count, CONFIDENCE);
}

/* Within rounds; INFINITY where a process for each task was not the slower one. */
static void set_reuse(struct start *start, const struct groups *groups)
{
	const struct group *open = find_group(groups, start->backend, "open", MIB);
	const struct group *task = find_group(groups, start->backend, "map", MIB);
	const struct group *each = find_group(groups, NULL, "map", MIB);
	double tasks[PAIRS_MAX];
	size_t n = 0;

	if (!open || !task || !each) /* the system's own ways have no pool that is reused */
		return;
	for (size_t i = 0; i < open->count && n < PAIRS_MAX; i++) {
		const struct record *in_pool = group_round(task, open->at[i]->round);
		const struct record *alone = group_round(each, open->at[i]->round);
		if (!in_pool || !alone)
			continue;
		double saved = record_median(alone) - record_median(in_pool);
		double cost = record_median(open->at[i]) * open->cell->workers;
		tasks[n++] = saved > 0 ? cost / saved : INFINITY;
	}
	start->reuse_rounds = n;
	start->reuse_tasks = stats_median_interval(tasks, n, CONFIDENCE);
}

static void write_start(FILE *file, const struct start *start)
{
	fputs(start->backend, file);
	if (start->rounds > 0) {
		fprintf(file, "\t%.6g", start->fixed.mid / 1e3);
		put_scaled(file, &start->slope, 1e6);
		fprintf(file, "\t%.3f", start->r2.mid);
	} else {
		fputs("\t?\t?\t?\t?\t?", file);
	}
	put_interval(file, &start->reuse_tasks);
	fprintf(file, "\t%zu\n", start->rounds > 0 ? start->rounds : start->reuse_rounds);
}

/* Fills in starts[0..*count). */
static int write_starts(const struct derivation *d, const struct groups *groups,
			struct start starts[ROWS_MAX], size_t *count)
{
	FILE *file = derive_table(d, "startup-reuse");
	size_t end;

	if (!file)
		return -errno;
	*count = 0;
	fputs("backend\tfixed_us\tslope_ms_per_gib\tslope_low\tslope_high\tr2\treuse_pays_tasks"
	      "\treuse_low\treuse_high\trounds\n",
	      file);
	for (size_t i = 0; i < groups->count; i = end) {
		const struct group *first = &groups->at[i];
		for (end = i + 1; end < groups->count; end++)
			if (strcmp(groups->at[end].cell->backend, first->cell->backend) != 0 ||
			    is_open(&groups->at[end]) != is_open(first))
				break;
		if ((!is_open(first) && !is_raw(first)) || *count == ROWS_MAX)
			continue;
		struct start *start = &starts[(*count)++];
		*start = (struct start){ .backend = first->cell->backend };
		fit(start, first, &groups->at[end]);
		set_reuse(start, groups);
		write_start(file, start);
	}
	return table_close(file);
}

static const char *slope_text(const struct interval *slope, char text[96])
{
	if (slope->high < 0)
		return "nothing (it falls)";
	if (slope->low <= 0)
		return "nothing that can be seen";
	snprintf(text, 96, "%.3g ms (95 %% interval %.3g to %.3g)", slope->mid / 1e6,
		 slope->low / 1e6, slope->high / 1e6);
	return text;
}

/* The pools of processes that the sentence names, each with an interval; NULL: none. */
struct named {
	const struct start *steep, *flat, *early;
};

static struct named choose(const struct start *starts, size_t count)
{
	struct named named = { NULL, NULL, NULL };

	for (size_t i = 0; i < count; i++) {
		const struct start *s = &starts[i];
		if (!backend_is_process_pool(s->backend))
			continue;
		if (s->slope.level > 0 && (!named.steep || s->slope.mid > named.steep->slope.mid))
			named.steep = s;
		if (s->slope.level > 0 && (!named.flat || s->slope.mid < named.flat->slope.mid))
			named.flat = s;
		if (s->reuse_tasks.level > 0 && isfinite(s->reuse_tasks.high) &&
		    (!named.early || s->reuse_tasks.mid < named.early->reuse_tasks.mid))
			named.early = s;
	}
	return named;
}

static void find(struct derivation *d, const struct start *starts, size_t count)
{
	struct named named = choose(starts, count);
	char text[2][96];
	int size = 0;

	if (named.steep && named.flat && named.steep != named.flat)
		size = snprintf(d->finding, sizeof d->finding,
				"On this machine, each GiB of memory in the parent adds %s to the "
				"start of a worker of %s and %s to one of %s.",
				slope_text(&named.steep->slope, text[0]), named.steep->backend,
				slope_text(&named.flat->slope, text[1]), named.flat->backend);
	if (named.early) {
		const struct interval *tasks = &named.early->reuse_tasks;
		snprintf(d->finding + size, sizeof d->finding - (size_t)size,
			 "%sA pool (%s, parent of 1 MiB) pays for its start from %.0f task%s "
			 "on (median %.2g, 95 %% interval %.2g to %.2g), compared with a process "
			 "for each task.",
			 size ? " " : "", named.early->backend, fmax(ceil(tasks->mid), 1),
			 tasks->mid <= 1 ? "" : "s", tasks->mid, tasks->low, tasks->high);
	} else if (size == 0) {
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell what starting a worker costs: fewer than 3 parent "
			 "sizes were measured, or too few rounds of them (it takes 6).");
	}
}

static int startup_derive(struct derivation *d)
{
	struct start starts[ROWS_MAX];
	struct groups groups;
	size_t count = 0;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_times(d, &groups);
	attempts_keep_right(&groups, d->attempts);
	if (rc == 0)
		rc = write_starts(d, &groups, starts, &count);
	if (rc == 0)
		find(d, starts, count);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_startup = {
	.name = "startup",
	.title = "What starting a worker costs",
	.claim = "What does a worker cost to start, and when does its reuse pay?",
	.reading = "Time to open and end a pool, for each worker, against the memory the parent "
		   "holds; both axes are "
		   "logarithmic. Fork copies page tables and rises with the parent; executed "
		   "workers and "
		   "threads stay flat. The row without reuse shows the time of one task that gets "
		   "a process of its own.",
	.grid = startup_grid,
	.derive = startup_derive,
};
