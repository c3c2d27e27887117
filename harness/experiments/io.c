/*
 * io.c - tasks that wait: what many workers bring where none needs a CPU, and what each costs in memory.
 *
 * DESIGN. A task waits WAIT_US in place of input/output, so W workers could do W waits at a time however few CPUs there are.
 * Processes and threads of the same transport are compared, at the largest number of workers that both have, so that they
 * differ in nothing else. The memory of a cell is
 * looked at in a batch of its own (probe "memory"); what a waiting worker costs is the slope of a straight line through it
 * by the number of workers, one line a round.
 */
#include "harness/attempts.h"
#include "harness/clock.h"
#include "harness/grid.h"

#include <errno.h>
#include <string.h>

#define WAIT_US 1000
#define WAITS_EACH 4 /* tasks for each worker in a call */
#define TASKS_LEAST 8
#define WORKERS_MOST 64

static void add_point(struct grid *grid, const char *backend, int workers)
{
	static const int64_t batch_ms[] = { 5, 10, 20 };
	struct cell cell = grid_cell(grid, backend, "map", "sleep");

	cell.workers = workers;
	cell.chunk = 1;
	cell.work = WAIT_US;
	cell.tasks = (uint64_t)(WAITS_EACH * workers);
	if (cell.tasks < TASKS_LEAST)
		cell.tasks = TASKS_LEAST;
	cell.batch_ns = batch_ms[grid->scale->level] * NS_PER_MS;
	snprintf(cell.probe, sizeof cell.probe, "memory");
	grid_add(grid, &cell);
}

/* Quick: only the rows that share a transport with the threads. */
static bool is_wanted(const struct pool_backend_info *row, int level)
{
	bool shm = strcmp(row->transport, "shm") == 0;

	return level > 1 || (shm && (level > 0 || !(row->can & POOL_CAN_EXEC)));
}

static int io_grid(struct plan *plan, const struct scale *scale)
{
	static const int shift[] = { 2, 2, 1 }, most[] = { 16, WORKERS_MOST, WORKERS_MOST };
	struct grid grid = { plan, scale, 0 };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(PICK_PROCESSES | PICK_THREADS, row);

	for (int workers = 1; workers <= most[scale->level]; workers <<= shift[scale->level])
		for (unsigned i = 0; i < count; i++)
			if (is_wanted(row[i], scale->level))
				add_point(&grid, row[i]->name, workers);
	return grid.rc;
}

static struct interval tasks_per_s(const struct group *g)
{
	struct interval ns = group_ns(g);
	struct interval rate = { 0, ns.mid > 0 ? 1e9 / ns.mid : 0, 0, ns.level };

	if (ns.level > 0) {
		rate.low = 1e9 / ns.high;
		rate.high = 1e9 / ns.low;
	}
	return rate;
}

static double mib(const struct record *record)
{
	return (double)record->pss_peak_kib / 1024;
}

static struct interval group_mib(const struct group *g)
{
	double x[PAIRS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < g->count && n < PAIRS_MAX; i++)
		if (g->at[i]->pss_peak_kib > 0)
			x[n++] = mib(g->at[i]);
	return n ? stats_median_interval(x, n, CONFIDENCE) : (struct interval){ 0 };
}

static int write_rates(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "io");

	if (!file)
		return -errno;
	fputs("backend\tworkers\ttasks_per_s\tlow\thigh\tmib\tmib_low\tmib_high\trounds\n", file);
	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		struct interval rate = tasks_per_s(g), memory = group_mib(g);
		fprintf(file, "%s\t%d", g->cell->backend, g->cell->workers);
		put_interval(file, &rate);
		put_interval(file, &memory);
		fprintf(file, "\t%zu\n", g->count);
	}
	return table_close(file);
}

/* One backend: its groups, by number of workers. */
struct series {
	const struct group *first, *end;
	const struct group *most;   /* with the most workers */
	struct interval worker_mib; /* slope */
	size_t rounds;		    /* that have one */
};

/* Of what so many waits at a time would give that last as long as those of the plain loop in the same process: a wait
 * ends when the machine's timer says so, later than was asked for. */
static double share_percent(const struct record *record)
{
	return 100 * record->serial_ns_per_task / (record_median(record) * record->cell.workers);
}

static double bare_per_s(const struct record *record)
{
	return (double)NS_PER_S / record->serial_ns_per_task;
}

static bool memory_point(const struct record *record, const void *context, double *x, double *y)
{
	(void)context;
	*x = record->cell.workers;
	*y = mib(record);
	return record->pss_peak_kib > 0;
}

static void measure_series(struct series *s)
{
	struct lines lines;

	s->most = s->end - 1;
	series_lines(s->first, s->end, memory_point, NULL, false, &lines);
	s->rounds = lines.count;
	if (s->rounds > 0)
		s->worker_mib = stats_median_interval(lines.slope, lines.count, CONFIDENCE);
}

static size_t find_series(const struct groups *groups, struct series series[ROWS_MAX])
{
	const struct group *end = groups->at + groups->count, *g = groups->at;
	size_t count = 0;

	while (g < end && count < ROWS_MAX) {
		struct series *s = &series[count++];
		*s = (struct series){ .first = g };
		while (g < end && strcmp(g->cell->backend, s->first->cell->backend) == 0)
			g++;
		s->end = g;
		measure_series(s);
	}
	return count;
}

static int write_costs(const struct derivation *d, const struct series *series, size_t count)
{
	FILE *file = derive_table(d, "io-cost");

	if (!file)
		return -errno;
	fputs("backend\tmib_per_worker\tmib_low\tmib_high\trounds\tworkers_most"
	      "\tpercent_of_ideal\tpercent_low\tpercent_high\tbare_waits_per_s\n",
	      file);
	for (size_t i = 0; i < count; i++) {
		struct interval share = group_over_rounds(series[i].most, share_percent);
		fputs(series[i].first->cell->backend, file);
		put_interval(file, &series[i].worker_mib);
		fprintf(file, "\t%zu\t%d", series[i].rounds, series[i].most->cell->workers);
		put_interval(file, &share);
		fprintf(file, "\t%.6g\n", group_over_rounds(series[i].most, bare_per_s).mid);
	}
	return table_close(file);
}

/* The first whose memory is known. */
static const struct series *first_of(const struct series *series, size_t count, bool processes)
{
	for (size_t i = 0; i < count; i++)
		if (backend_is_process_pool(series[i].first->cell->backend) == processes &&
		    series[i].worker_mib.level > 0 &&
		    (!processes ||
		     strcmp(series[i].first->cell->backend, transport_row("shm")) == 0))
			return &series[i];
	return NULL;
}

/* Both sides with the same number of workers; NULL: none. */
struct pair {
	const struct group *processes, *threads;
};

/* The largest number that both sides have an interval for. */
static struct pair common(const struct series *processes, const struct series *threads)
{
	struct pair pair = { NULL, NULL };

	for (const struct group *p = processes->first; p < processes->end; p++)
		for (const struct group *t = threads->first; t < threads->end; t++)
			if (p->cell->workers == t->cell->workers && group_ns(p).level > 0 &&
			    group_ns(t).level > 0)
				pair = (struct pair){ p, t };
	return pair;
}

static const char *compare(const struct interval *ratio, char text[96])
{
	if (!(ratio->level > 0))
		return "too few rounds have both";
	if (ratio->low <= 1 && ratio->high >= 1)
		return "which of them is faster cannot be told";
	snprintf(text, 96, "threads take %.2f times as long, %.2f to %.2f", ratio->mid, ratio->low,
		 ratio->high);
	return text;
}

static const char *memory_text(const struct interval *mib_each, char text[96])
{
	if (mib_each->low <= 0)
		return "too little memory to be told from none";
	snprintf(text, 96, "%.2g MiB (95 %% interval %.2g to %.2g)", mib_each->mid, mib_each->low,
		 mib_each->high);
	return text;
}

static void find(struct derivation *d, const struct series *series, size_t count)
{
	const struct series *p = first_of(series, count, true), *t = first_of(series, count, false);
	struct pair both = { NULL, NULL };
	char text[96], memory[2][96];

	if (p && t)
		both = common(p, t);
	if (!both.processes) {
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell what waiting workers cost: it takes 6 rounds of "
			 "processes and of threads, each with 3 numbers of workers, one of them "
			 "that "
			 "of both.");
		return;
	}
	const struct cell *cell = both.processes->cell;
	struct interval ratio = group_speedup(both.processes, both.threads);
	snprintf(d->finding, sizeof d->finding,
		 "On this machine, %d processes (%s) do %.0f waits of %.3g ms a second, %.0f %% of "
		 "what so many bare waits at a time would give; %d threads do %.0f %% (%s). A "
		 "waiting process "
		 "takes %s, a waiting thread %s.",
		 cell->workers, cell->backend, tasks_per_s(both.processes).mid,
		 (double)cell->work / 1e3, group_over_rounds(both.processes, share_percent).mid,
		 cell->workers, group_over_rounds(both.threads, share_percent).mid,
		 compare(&ratio, text), memory_text(&p->worker_mib, memory[0]),
		 memory_text(&t->worker_mib, memory[1]));
}

static int io_derive(struct derivation *d)
{
	struct series series[ROWS_MAX];
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_rates(d, &groups);
	attempts_keep_right(&groups, d->attempts);
	size_t count = find_series(&groups, series);
	if (rc == 0)
		rc = write_costs(d, series, count);
	if (rc == 0)
		find(d, series, count);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_io = {
	.name = "io",
	.title = "Tasks that wait",
	.claim = "Are processes right for tasks that wait for input or output?",
	.reading =
		"Left: tasks a second by the number of workers, both axes logarithmic; the dashed "
		"line is a bare wait for each worker at any time. Right: the memory of the pool "
		"and "
		"its workers, proportional set size, which counts a shared page once. The kernel's "
		"own memory for each process and thread is not in it.",
	.grid = io_grid,
	.derive = io_derive,
};
