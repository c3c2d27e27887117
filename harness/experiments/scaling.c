/*
 * scaling.c - what more workers bring for CPU-bound work.
 *
 * DESIGN. Speedup is the time of the plain serial loop over the time of the pool, paired by round. Beyond the CPUs there is
 * nothing to gain, and a model of scaling has nothing to say: Amdahl's law (G. M. Amdahl, Validity of the Single Processor
 * Approach, AFIPS 1967) is fitted only when at least 4 worker counts lie within the CPUs, and never extrapolated.
 */
#include "harness/attempts.h"
#include "harness/grid.h"
#include "harness/machine.h"

#include <errno.h>
#include <string.h>

#define WORK 4096  /* steps, about 8 us a task */
#define TASKS 2000 /* on 1 or 2 CPUs; on more, more */
#define TASKS_QUICK 500
#define AMDAHL_POINTS 4
#define WORKERS_POINTS 64

static void add_point(struct grid *grid, const char *backend, int workers)
{
	struct cell cell = grid_cell(grid, backend, "map", "spin");

	cell.tasks = grid->scale->level > 0 ? TASKS : TASKS_QUICK;
	if (grid->scale->cpus > 2)
		cell.tasks = cell.tasks * (uint64_t)grid->scale->cpus / 2;
	cell.work = WORK;
	cell.workers = workers;
	grid_add(grid, &cell);
}

/* Level 0: 1, 2, 4, ... and the CPUs, up to twice them; level 1 up to 4 times; level 2 every count. */
static bool is_on_grid(int workers, const struct scale *scale)
{
	bool power = (workers & (workers - 1)) == 0;

	return power || workers == scale->cpus || scale->level > 1;
}

static int scaling_grid(struct plan *plan, const struct scale *scale)
{
	struct grid grid = { plan, scale, 0 };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(PICK_TRANSPORTS | PICK_THREADS, row);
	int most = (scale->level > 0 ? 4 : 2) * scale->cpus;

	add_point(&grid, "loop", 1);
	for (int workers = 1; workers <= most && workers <= POOL_WORKERS_MAX; workers++) {
		if (!is_on_grid(workers, scale))
			continue;
		add_point(&grid, "forked", workers);
		for (unsigned i = 0; i < count; i++)
			add_point(&grid, row[i]->name, workers);
	}
	return grid.rc;
}

static const struct group *serial_loop(const struct groups *groups)
{
	for (size_t i = 0; i < groups->count; i++)
		if (strcmp(groups->at[i].cell->backend, "loop") == 0)
			return &groups->at[i];
	return NULL;
}

static int write_speedups(const struct derivation *d, const struct groups *groups,
			  const struct group *loop)
{
	FILE *file = derive_table(d, "scaling");

	if (!file)
		return -errno;
	fputs("backend\tworkers\tspeedup\tlow\thigh\tns_per_task\trounds\n", file);
	for (size_t i = 0; loop && i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		struct interval speedup = group_speedup(g, loop);
		if (g == loop)
			continue;
		fprintf(file, "%s\t%d", g->cell->backend, g->cell->workers);
		put_interval(file, &speedup);
		fprintf(file, "\t%.6g\t%zu\n", group_ns(g).mid, group_pairs(g, loop));
	}
	return table_close(file);
}

/* 1/S = s + (1 - s)/p is a line in 1/p. Returns how many worker counts within the CPUs were measured. */
static size_t serial_share(const struct groups *groups, const struct group *loop,
			   const char *backend, int cpus, double *share)
{
	double x[WORKERS_POINTS], y[WORKERS_POINTS];
	size_t n = 0;
	struct line line;

	for (size_t i = 0; i < groups->count && n < WORKERS_POINTS; i++) {
		const struct cell *cell = groups->at[i].cell;
		if (strcmp(cell->backend, backend) != 0 || cell->workers > cpus)
			continue;
		x[n] = 1.0 / cell->workers;
		y[n++] = 1 / group_speedup(&groups->at[i], loop).mid;
	}
	if (n >= AMDAHL_POINTS && stats_line(x, y, NULL, n, &line))
		*share = line.intercept / (line.intercept + line.slope);
	return n;
}

/* With an interval if there is any; NULL: none. */
static const struct group *fastest_pool(const struct groups *groups, const struct group *loop,
					int cpus)
{
	const struct group *best = NULL;
	struct interval best_speedup = { 0 };

	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		if (g->cell->workers != cpus || !backend_is_process_pool(g->cell->backend))
			continue;
		struct interval speedup = group_speedup(g, loop);
		if (interval_precedes(&speedup, &best_speedup, -1)) {
			best = g;
			best_speedup = speedup;
		}
	}
	return best;
}

static void amdahl_text(const struct groups *groups, const struct group *loop,
			const struct group *best, char *text, size_t size)
{
	int cpus = best->cell->workers;
	double share = 0;
	size_t points = serial_share(groups, loop, best->cell->backend, cpus, &share);

	/* Speedups need not follow the law: beyond the number of workers its share is below 0, where they fall above 1. */
	if (points >= AMDAHL_POINTS && share < 0)
		snprintf(text, size, " By Amdahl's law no serial share can be seen.");
	else if (points >= AMDAHL_POINTS && share > 1)
		snprintf(text, size, " Amdahl's law says nothing: more workers are not faster.");
	else if (points >= AMDAHL_POINTS)
		snprintf(text, size, " Amdahl's law gives a serial share of %.1f %%.", 100 * share);
	else
		snprintf(text, size,
			 " Amdahl's law is not fitted: %zu worker count%s within the %d CPUs, %d "
			 "are needed.",
			 points, points == 1 ? " lies" : "s lie", cpus, AMDAHL_POINTS);
}

static void find(struct derivation *d, const struct groups *groups)
{
	const struct group *loop = serial_loop(groups);
	int all = machine_cpus(d->run), cpus = all < POOL_WORKERS_MAX ? all : POOL_WORKERS_MAX;
	const struct group *best = loop ? fastest_pool(groups, loop, cpus) : NULL;
	char amdahl[160];

	if (!best) {
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell a speedup: the serial loop or a pool with as many "
			 "workers as CPUs is missing or failed.");
		return;
	}
	struct interval speedup = group_speedup(best, loop);
	if (speedup.level <= 0) {
		snprintf(
			d->finding, sizeof d->finding,
			"Too few rounds for an interval: the median speedup of %d worker%s is %.2f "
			"(%s).",
			cpus, cpus == 1 ? "" : "s", speedup.mid, best->cell->backend);
		return;
	}
	amdahl_text(groups, loop, best, amdahl, sizeof amdahl);
	snprintf(d->finding, sizeof d->finding,
		 "On this machine, %d worker%s CPU-bound work %.2f times as fast as the serial "
		 "loop (%s, 95 %% "
		 "interval %.2f to %.2f).%s",
		 cpus, cpus == 1 ? " makes" : "s make", speedup.mid, best->cell->backend,
		 speedup.low, speedup.high, amdahl);
}

static int scaling_derive(struct derivation *d)
{
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_speedups(d, &groups, serial_loop(&groups));
	attempts_keep_right(&groups, d->attempts);
	if (rc == 0)
		find(d, &groups);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_scaling = {
	.name = "scaling",
	.title = "What more workers bring",
	.claim = "What do more workers bring for CPU-bound work?",
	.reading = "Speedup over the plain serial loop, paired by round, with 95 % intervals. The "
		   "dashed line "
		   "is the ideal up to the number of CPUs; beyond it more workers cannot help.",
	.grid = scaling_grid,
	.derive = scaling_derive,
};
