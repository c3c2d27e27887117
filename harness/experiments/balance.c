/*
 * balance.c - what the chunk size does to balance: how much longer a map takes than the best schedule in input order.
 *
 * DESIGN. Makespan over ideal, paired by round. The ideal is list scheduling, each task in input order to the worker that is
 * free first (R. L. Graham, Bounds for Certain Multiprocessing Anomalies, Bell System Technical Journal 45 (1966)), computed
 * from lengths measured in the same round while all workers were busy (baseline "raw-list"): nothing that hands out tasks one
 * by one can do better without knowing how long they take. Lengths are numbers of steps of a dependent chain, never
 * waits. Small chunks pay in messages, large ones in workers that have nothing left to do; `auto` is held against the best
 * fixed chunk. That is the best of several in the same rounds, so it looks a little better than it is, and `auto` a little
 * worse.
 */
#include "harness/attempts.h"
#include "harness/grid.h"
#include "harness/series.h"

#include <errno.h>
#include <string.h>

#define WORK 2500 /* steps, about 5 us a task */
#define TASKS 1024
#define LIST "raw-list"
#define IDEAL_LEAST 0.97 /* no schedule is better than the ideal, but lengths have errors */

/* What the lengths are like; `mean` is that of the workload over its `work`. */
static const struct {
	const char *workload, *lengths;
	int mean;
} loads[] = {
	{ "sorted", "sorted", 1 },
	{ "skew", "skew", 2 },
	{ "exponential", "exponential", 1 },
	{ "spin", "constant", 1 },
};
#define LOADS (sizeof loads / sizeof *loads)

static void add_cell(struct grid *grid, const char *backend, size_t load, int64_t chunk)
{
	struct cell cell = grid_cell(grid, backend, "map", loads[load].workload);

	cell.tasks = TASKS;
	cell.work = WORK / loads[load].mean;
	cell.chunk = chunk;
	grid_add(grid, &cell);
}

/* The last chunk gives each worker one. */
static void add_chunks(struct grid *grid, const char *backend, size_t load)
{
	static const int shift[] = { 5, 3, 1 };
	int64_t most = TASKS / grid->scale->cpus;

	add_cell(grid, backend, load, 0);
	for (int64_t chunk = 1; chunk < most; chunk <<= shift[grid->scale->level])
		add_cell(grid, backend, load, chunk);
	add_cell(grid, backend, load, most > 1 ? most : 1);
}

static int balance_grid(struct plan *plan, const struct scale *scale)
{
	static const size_t counts[] = { 2, LOADS, LOADS };
	struct grid grid = { plan, scale, 0 };

	if (!grid_can_measure(LIST))
		return 0;
	for (size_t load = 0; load < counts[scale->level]; load++) {
		add_cell(&grid, LIST, load, 0);
		add_chunks(&grid, transport_row("shm"), load);
		if (scale->level > 1)
			add_chunks(&grid, transport_row("pipe"), load);
	}
	return grid.rc;
}

static const struct group *find_list(const struct groups *groups, const char *workload)
{
	for (size_t i = 0; i < groups->count; i++)
		if (strcmp(groups->at[i].cell->backend, LIST) == 0 &&
		    strcmp(groups->at[i].cell->workload, workload) == 0)
			return &groups->at[i];
	return NULL;
}

static const char *lengths_of(const char *workload)
{
	for (size_t i = 0; i < LOADS; i++)
		if (strcmp(loads[i].workload, workload) == 0)
			return loads[i].lengths;
	return workload;
}

static int write_makespans(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "balance");

	if (!file)
		return -errno;
	fputs("lengths\tbackend\tchunk\tmakespan_over_ideal\tlow\thigh\trounds\n", file);
	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		const struct group *list = find_list(groups, g->cell->workload);
		if (!list || list == g)
			continue;
		struct interval ratio = group_speedup(list, g);
		fprintf(file, "%s\t%s\t%lld", lengths_of(g->cell->workload), g->cell->backend,
			(long long)g->cell->chunk);
		put_interval(file, &ratio);
		fprintf(file, "\t%zu\n", group_pairs(g, list));
	}
	return table_close(file);
}

/* One backend with tasks of one kind. */
struct choice {
	const struct group *list, *automatic, *best; /* NULL: not measured */
	struct interval over_best;		     /* time of auto over that of the best chunk */
	struct interval ideal, best_ideal; /* times of auto and of the best chunk over list's */
};

static bool same_series(const struct cell *a, const struct cell *b)
{
	return strcmp(a->backend, b->backend) == 0 && strcmp(a->workload, b->workload) == 0;
}

static bool precedes(const struct group *a, const struct group *b)
{
	struct interval a_ns = group_ns(a), b_ns = group_ns(b);

	return interval_precedes(&a_ns, &b_ns, 1);
}

/* Chunk 0, which is auto, comes first in each series. */
static struct choice choose(const struct groups *groups, const struct group *automatic)
{
	const struct group *end = groups->at + groups->count;
	struct choice c = { .list = find_list(groups, automatic->cell->workload),
			    .automatic = automatic };

	for (const struct group *g = automatic + 1; g < end; g++)
		if (same_series(g->cell, automatic->cell) && (!c.best || precedes(g, c.best)))
			c.best = g;
	if (c.best)
		c.over_best = group_speedup(c.best, automatic);
	if (c.best && c.list) {
		c.best_ideal = group_speedup(c.list, c.best);
		c.ideal = group_speedup(c.list, automatic);
	}
	return c;
}

static void write_choice(FILE *file, const struct choice *c)
{
	fprintf(file, "%s\t%s\t%lld", lengths_of(c->best->cell->workload), c->best->cell->backend,
		(long long)c->best->cell->chunk);
	put_interval(file, &c->best_ideal);
	put_interval(file, &c->ideal);
	put_interval(file, &c->over_best);
	fprintf(file, "\t%zu\n", group_pairs(c->automatic, c->best));
}

static bool is_compared(const struct choice *c)
{
	return c->list && c->over_best.level > 0 && c->best_ideal.level > 0 && c->ideal.level > 0;
}

/* *worst, which is zeroed, becomes the one where auto loses most against the best chunk. */
static int write_choices(const struct derivation *d, const struct groups *groups,
			 struct choice *worst)
{
	FILE *file = derive_table(d, "balance-auto");

	if (!file)
		return -errno;
	fputs("lengths\tbackend\tbest_chunk\tbest_over_ideal\tbest_low\tbest_high\tauto_over_ideal"
	      "\tauto_low\tauto_high\tauto_over_best\tover_best_low\tover_best_high\trounds\n",
	      file);
	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		struct choice c;
		if (g->cell->chunk != 0 || strcmp(g->cell->backend, LIST) == 0)
			continue;
		c = choose(groups, g);
		if (!c.list || !c.best)
			continue;
		write_choice(file, &c);
		if (is_compared(&c) && (!worst->best || c.over_best.mid > worst->over_best.mid))
			*worst = c;
	}
	return table_close(file);
}

/* What an interval of a ratio allows to be said. */
static const char *verdict(const struct interval *ratio)
{
	if (ratio->low > 1)
		return "certainly slower";
	return ratio->high < 1 ? "certainly faster" : "no difference can be told";
}

static void find(struct derivation *d, const struct choice *worst)
{
	if (!worst->best) {
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell how good the automatic chunk is: it takes 6 rounds "
			 "or more of it, of fixed chunks, and of the lengths that the ideal comes "
			 "from.");
		return;
	}
	snprintf(d->finding, sizeof d->finding,
		 "On this machine, the automatic chunk does worst for %s lengths by %s: %.2f times "
		 "the time of the best fixed chunk found, %lld (95 %% interval %.2f to %.2f, %s). "
		 "It takes %.2f times as long as list scheduling would (%.2f to %.2f), that chunk "
		 "%.2f times.%s",
		 lengths_of(worst->best->cell->workload), worst->best->cell->backend,
		 worst->over_best.mid, (long long)worst->best->cell->chunk, worst->over_best.low,
		 worst->over_best.high, verdict(&worst->over_best), worst->ideal.mid,
		 worst->ideal.low, worst->ideal.high, worst->best_ideal.mid,
		 worst->best_ideal.mid < IDEAL_LEAST
			 ? " (Less than 1: the CPUs were busier with other things "
			   "while the lengths were measured.)"
			 : "");
}

/* Is this automatic chunk compared with the best one? */
static bool is_told(const struct groups *right, const struct cell *automatic)
{
	for (size_t i = 0; i < right->count; i++)
		if (cell_equal(right->at[i].cell, automatic)) {
			struct choice c = choose(right, &right->at[i]);
			return is_compared(&c);
		}
	return false;
}

/* The worst may be among them. Those that failed are told of anyway. */
static void tell_left_out(struct derivation *d, const struct groups *right,
			  const struct groups *attempts)
{
	struct naming naming = {
		d, " Not compared, as it takes 6 rounds or more and none that failed:", 0
	};

	for (size_t i = 0; i < attempts->count; i++) {
		const struct cell *cell = attempts->at[i].cell;
		if (cell->chunk == 0 && strcmp(cell->backend, LIST) != 0 &&
		    attempt_error(&attempts->at[i]) == NULL && !is_told(right, cell))
			naming_add(&naming, cell, lengths_of(cell->workload));
	}
	naming_end(&naming);
}

static int balance_derive(struct derivation *d)
{
	struct groups groups;
	struct choice worst = { 0 };
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_makespans(d, &groups);
	attempts_keep_right(&groups, d->attempts);
	if (rc == 0)
		rc = write_choices(d, &groups, &worst);
	if (rc == 0)
		find(d, &worst);
	if (rc == 0 && worst.best)
		tell_left_out(d, &groups, &d->attempts->groups);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_balance = {
	.name = "balance",
	.title = "Chunk size and balance",
	.claim = "Which chunk for uneven tasks, and does the automatic one find it?",
	.reading =
		"Time of a map over that of the ideal, list scheduling of the same tasks without "
		"any overhead: 1 is each task in order to the worker that is free first, at no "
		"cost. Left: the automatic "
		"chunk; right: fixed chunks up to one for each worker. Bars are 95 % intervals.",
	.grid = balance_grid,
	.derive = balance_derive,
};
