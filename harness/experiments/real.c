/*
 * real.c - real work: which backend should a user take?
 *
 * DESIGN. Speedup is the time of the plain serial loop over the time of the backend, paired by round. The choice for a
 * workload is the pool of processes with the highest median, of those with an interval if there are any; every other pool
 * that is not certainly slower in the same rounds is named as being as good. One that failed in any round is not chosen, and a workload counts even if nothing of it is right.
 * Task counts make a serial pass some ten milliseconds long, with many CPUs more.
 */
#include "harness/attempts.h"
#include "harness/grid.h"

#include <errno.h>
#include <string.h>

/* In order of importance: each level takes the first so many. */
static const struct load {
	const char *name;
	uint64_t tasks;
	int64_t work; /* 0: the workload's default */
} loads[] = {
	{ "primes", 400, 500 }, { "mandelbrot", 96, 1 }, { "skew", 4000, 1000 },
	{ "matmul", 16, 4 },	{ "sha256", 200, 0 },	 { "wordcount", 200, 0 },
	{ "stream", 128, 0 },	{ "sleep", 20, 1000 },
};
#define LOADS (sizeof loads / sizeof *loads)
#define TASKS_EACH 4 /* at least, for each CPU: fewer would bound the speedup */

static void add_load(struct grid *grid, const char *backend, const struct load *load)
{
	struct cell cell = grid_cell(grid, backend, "map", load->name);
	uint64_t tasks_least = TASKS_EACH * (uint64_t)grid->scale->cpus;

	if (strcmp(backend, "loop") == 0)
		cell.workers = 1;
	cell.tasks = load->tasks > tasks_least ? load->tasks : tasks_least;
	cell.work = load->work;
	grid_add(grid, &cell);
}

static int real_grid(struct plan *plan, const struct scale *scale)
{
	static const size_t count[] = { 4, LOADS, LOADS }; /* 4: without a tree of files */
	static const unsigned pick[] = { PICK_TRANSPORTS, PICK_TRANSPORTS | PICK_THREADS,
					 PICK_PROCESSES | PICK_THREADS };
	struct grid grid = { plan, scale, 0 };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned rows = grid_rows(pick[scale->level], row);

	for (size_t i = 0; i < count[scale->level]; i++) {
		add_load(&grid, "loop", &loads[i]);
		for (unsigned k = 0; k < rows; k++)
			add_load(&grid, row[k]->name, &loads[i]);
	}
	return grid.rc;
}

static const struct group *serial_loop(const struct groups *groups, const char *workload)
{
	for (size_t i = 0; i < groups->count; i++)
		if (strcmp(groups->at[i].cell->backend, "loop") == 0 &&
		    strcmp(groups->at[i].cell->workload, workload) == 0)
			return &groups->at[i];
	return NULL;
}

static int write_speedups(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "real");

	if (!file)
		return -errno;
	fputs("workload\tbackend\tspeedup\tlow\thigh\tns_per_task\ttasks_per_s\trounds\n", file);
	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i],
				   *loop = serial_loop(groups, g->cell->workload);
		double ns = group_ns(g).mid;
		if (!loop)
			continue;
		struct interval speedup = group_speedup(g, loop);
		fprintf(file, "%s\t%s", g->cell->workload, g->cell->backend);
		put_interval(file, &speedup);
		fprintf(file, "\t%.6g\t%.6g\t%zu\n", ns, 1e9 / ns, group_pairs(g, loop));
	}
	return table_close(file);
}

/* What is to be chosen from. */
struct choice {
	const struct groups *groups;
	const struct attempts *attempts;
};

static bool is_pool(const struct cell *cell, const char *workload)
{
	return strcmp(cell->workload, workload) == 0 && backend_is_process_pool(cell->backend);
}

static bool is_candidate(const struct choice *choice, const struct group *g, const char *workload)
{
	return is_pool(g->cell, workload) && attempts_error(choice->attempts, g->cell) == NULL;
}

static const struct group *best_for(const struct choice *choice, const char *workload,
				    const struct group *loop)
{
	const struct group *best = NULL;
	struct interval best_speedup = { 0 };

	for (size_t i = 0; i < choice->groups->count; i++) {
		const struct group *g = &choice->groups->at[i];
		if (!is_candidate(choice, g, workload))
			continue;
		struct interval speedup = group_speedup(g, loop);
		if (interval_precedes(&speedup, &best_speedup, -1)) {
			best = g;
			best_speedup = speedup;
		}
	}
	return best;
}

/* Pools that are not certainly slower than the best one in the same rounds. Returns how many. */
static int write_ties(FILE *file, const struct choice *choice, const struct group *best)
{
	const struct groups *groups = choice->groups;
	int ties = 0;

	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		if (g == best || !is_candidate(choice, g, best->cell->workload))
			continue;
		struct interval speed = group_speedup(g, best);
		if (speed.level > 0 && speed.high < 1)
			continue;
		fprintf(file, "%s%s", ties++ ? ", " : "", g->cell->backend);
	}
	if (!ties)
		fputs("-", file);
	return ties;
}

struct tally {
	int loads, gains, losses, unknown; /* unknown: too few rounds for an interval */
	double best_speedup;
	char best[NAME_SIZE],
		lost[160]; /* workload of the highest certain speedup; those where no pool is faster */
};

static void count_load(struct tally *tally, const char *workload, const struct interval *speedup)
{
	size_t used = strlen(tally->lost);
	bool gains = speedup->level > 0 && speedup->low > 1;

	tally->loads++;
	tally->gains += gains;
	tally->unknown += speedup->level == 0;
	if (speedup->level > 0 && speedup->high < 1) {
		snprintf(tally->lost + used, sizeof tally->lost - used, "%s%s",
			 tally->losses++ ? ", " : "", workload);
	}
	if (gains && speedup->mid > tally->best_speedup) {
		tally->best_speedup = speedup->mid;
		snprintf(tally->best, sizeof tally->best, "%s", workload);
	}
}

/* Were both the loop and a pool to be measured? */
static bool is_asked(const struct choice *choice, const char *workload)
{
	const struct groups *attempts = &choice->attempts->groups;
	bool pool = false;

	for (size_t i = 0; i < attempts->count; i++)
		pool |= is_pool(attempts->at[i].cell, workload);
	return pool && serial_loop(attempts, workload) != NULL;
}

static void write_choice(FILE *file, const struct choice *choice, const char *workload,
			 struct tally *tally)
{
	const struct group *loop = serial_loop(choice->groups, workload);
	const struct group *best = NULL;

	if (loop && attempts_error(choice->attempts, loop->cell) == NULL)
		best = best_for(choice, workload, loop);
	if (!best) {
		fprintf(file, "%s\t-\t?\t?\t?\t-\tnot measured\n", workload);
		tally->loads++;
		return;
	}
	struct interval speedup = group_speedup(best, loop);
	fprintf(file, "%s\t%s", workload, best->cell->backend);
	put_interval(file, &speedup);
	fputc('\t', file);
	write_ties(file, choice, best);
	fprintf(file, "\t%s\n",
		speedup.level == 0 ? "too few rounds"
		: speedup.low > 1  ? "yes"
		: speedup.high < 1 ? "no"
				   : "undecided");
	count_load(tally, workload, &speedup);
}

static int write_choices(const struct derivation *d, const struct choice *choice,
			 struct tally *tally)
{
	FILE *file = derive_table(d, "real-choice");

	if (!file)
		return -errno;
	fputs("workload\ttake\tspeedup\tlow\thigh\tas_good\tworth_it\n", file);
	for (size_t i = 0; i < LOADS; i++)
		if (is_asked(choice, loads[i].name))
			write_choice(file, choice, loads[i].name, tally);
	return table_close(file);
}

static void find(struct derivation *d, const struct tally *tally)
{
	if (tally->loads == 0) {
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell a speedup: no workload has both the serial loop and "
			 "a pool.");
		return;
	}
	if (tally->unknown > 0 && tally->unknown == tally->loads) {
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell whether a pool of processes is faster than the "
			 "serial loop: too few rounds (it takes 6).");
		return;
	}
	finding_add(d,
		    "On this machine, a pool of processes is certainly faster than the serial "
		    "loop for %d of %d workloads.",
		    tally->gains, tally->loads);
	if (tally->gains)
		finding_add(d, " Its highest median speedup is %.2f (%s).", tally->best_speedup,
			    tally->best);
	if (tally->losses)
		finding_add(d, " It is slower for %s.", tally->lost);
	if (tally->unknown)
		finding_add(d, " Of %d the rows do not tell: too few rounds (it takes 6).",
			    tally->unknown);
}

static int real_derive(struct derivation *d)
{
	struct tally tally = { 0 };
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_speedups(d, &groups);
	if (rc == 0)
		rc = write_choices(d, &(struct choice){ &groups, d->attempts }, &tally);
	if (rc == 0)
		find(d, &tally);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_real = {
	.name = "real",
	.title = "Real work",
	.claim = "Which backend should a user take, for which workload?",
	.reading = "Each row of points is a workload; a point is a backend's speedup over the "
		   "plain serial loop with "
		   "its 95 % interval. Left of the line at 1 the loop would have been faster.",
	.grid = real_grid,
	.derive = real_derive,
};
