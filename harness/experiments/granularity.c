/*
 * granularity.c - how large a task must be for a pool to be worth it.
 *
 * DESIGN. Efficiency = useful rate / best useful rate of the same kernel in as many plain forked processes in the same
 * round; granularity = wall time x cores / tasks, overhead included; METG(x %) = the smallest granularity
 * that still reaches x % (E. Slaughter et al., Task Bench, SC 2020), see granularity_metg.c. The kernel is a chain of
 * arithmetic that a preempted worker has to catch up on, never a timed wait.
 */
#include "harness/experiments/granularity.h"
#include "harness/grid.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define STEP_NS 2 /* about, of the spin kernel; only for choosing how many tasks */
#define TASKS_MOST                                                                                 \
	100000 /* of the lightest tasks, a CPU, at any chunk: a call costs something, too */
#define WORK_LARGEST (INT64_C(1) << 18) /* 0.5 ms: every pool must be efficient there */
#define WORK_SMALLEST 1 /* 2 ns: none can be, so that every curve has both its ends */

static void add_point(struct grid *grid, const char *backend, int64_t chunk, int64_t work)
{
	struct cell cell = grid_cell(grid, backend, "map", "spin");
	int64_t cpus = grid->scale->cpus, tasks = 10000000 * cpus / (work * STEP_NS);
	int64_t most = TASKS_MOST * (cpus > 2 ? cpus : 2);

	cell.tasks = (uint64_t)(tasks < most ? tasks : most);
	cell.chunk = chunk;
	cell.work = work;
	grid_add(grid, &cell);
}

/* From the largest down; smaller by 2^shift each time. */
static void add_curve(struct grid *grid, const char *backend, int64_t chunk, int shift)
{
	for (int64_t work = WORK_LARGEST; work >= WORK_SMALLEST; work >>= shift)
		add_point(grid, backend, chunk, work);
}

static int granularity_grid(struct plan *plan, const struct scale *scale)
{
	int shift = scale->level > 1 ? 1 : 3;
	struct grid grid = { plan, scale, 0 };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned pick = scale->level > 1 ? PICK_PROCESSES | PICK_THREADS : PICK_TRANSPORTS;
	unsigned count = grid_rows(pick, row);

	for (int i = 0; i <= scale->level + 1; i++)
		add_point(&grid, "forked", 0, WORK_LARGEST >> 3 * i);
	for (unsigned i = 0; i < count; i++) {
		add_curve(&grid, row[i]->name, 0, shift);
		if (scale->level > 0)
			add_curve(&grid, row[i]->name, 1, shift);
	}
	return grid.rc;
}

struct values {
	double at[PAIRS_MAX];
	size_t count;
};

static void values_add(struct values *values, double x)
{
	if (values->count < PAIRS_MAX)
		values->at[values->count++] = x;
}

static struct interval values_interval(const struct values *values)
{
	return stats_median_interval(values->at, values->count, CONFIDENCE);
}

static void write_point(FILE *file, const struct groups *groups, const struct group *g)
{
	struct values efficiency = { .count = 0 }, speedup = { .count = 0 }, task = { .count = 0 };
	struct interval ns = group_ns(g), e, s;

	for (size_t i = 0; i < g->count; i++) {
		const struct record *record = g->at[i];
		double best = best_rate(groups, record->round);
		if (best > 0)
			values_add(&efficiency, useful_rate(record) / best);
		if (record->serial_ns_per_task > 0) {
			values_add(&task, record->serial_ns_per_task);
			values_add(&speedup, record->serial_ns_per_task / record_median(record));
		}
	}
	e = values_interval(&efficiency);
	s = values_interval(&speedup);
	fprintf(file, "%s\t%lld\t%lld", g->cell->backend, (long long)g->cell->chunk,
		(long long)g->cell->work);
	fprintf(file, task.count ? "\t%.6g" : "\t?", task.count ? values_interval(&task).mid : 0);
	fprintf(file, "\t%.6g", ns.mid * g->cell->workers);
	put_interval(file, &e);
	put_interval(file, &s);
	fprintf(file, "\t%zu\n", g->count);
}

static int write_points(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "granularity");

	if (!file)
		return -errno;
	fputs("backend\tchunk\twork\ttask_ns\tgranularity_"
	      "ns\tefficiency\tlow\thigh\tspeedup\tspeedup_low\t"
	      "speedup_high\trounds\n",
	      file);
	for (size_t i = 0; i < groups->count; i++)
		write_point(file, groups, &groups->at[i]);
	return table_close(file);
}

/* What the finest task of the curve costs beside its useful part, in one round; false: no row. */
static bool round_floor(const struct curve *curve, int round, double *floor)
{
	const struct record *record = group_round(curve->first, round);
	double best = best_rate(curve->all, round);

	if (!record || !(best > 0))
		return false;
	*floor = fmax(record_median(record) * curve->first->cell->workers *
			      (1 - useful_rate(record) / best),
		      0);
	return true;
}

/* The floor o, and METG(50 %) over 2 o: about 1 where overhead is paid inline, much more where workers idle or wait for a
 * serial dispatcher (E. Slaughter et al., Task Bench, SC20, give METG; the quotient is ours). Within rounds. Where noise
 * leaves nothing for the floor it is 0 and the quotient has no end: such rounds count, or the medians would be those of the
 * rounds that were slow. */
static void write_floor(FILE *file, struct curve *curve)
{
	struct metg_rounds over = { .count = 0 };
	struct values floors = { .count = 0 };

	curve->level = 0.5;
	for (int round = 0; round <= group_last_round(curve->first); round++) {
		double floor;
		if (!round_floor(curve, round, &floor))
			continue;
		values_add(&floors, floor);
		metg_add(&over, curve, round, 2 * floor);
	}
	struct interval floor = values_interval(&floors);
	struct metg ratio = metg_over(&over);
	fprintf(file, "%s\t%lld", curve->first->cell->backend,
		(long long)curve->first->cell->chunk);
	put_interval(file, &floor);
	put_metg(file, &ratio);
	fprintf(file, "\t%zu\n", floors.count);
}

static bool same_curve(const struct cell *a, const struct cell *b)
{
	return strcmp(a->backend, b->backend) == 0 && a->chunk == b->chunk;
}

/* What the finding tells of: the pool with the smallest METG at the automatic chunk, of those no point of which failed, and
 * with an interval if there are any. */
struct best {
	const struct attempts *attempts;
	const char *half_backend, *even_backend; /* NULL: none reaches it */
	struct metg half, even;
};

static bool has_interval(const struct metg *metg)
{
	return metg->ns.level > 0 && isfinite(metg->ns.high);
}

static bool is_smaller(const struct metg *a, const struct metg *b)
{
	bool a_known = has_interval(a), b_known = has_interval(b);
	bool a_below = a->side == METG_BELOW, b_below = b->side == METG_BELOW;

	if (a_known != b_known)
		return a_known;
	return a_below != b_below ? a_below : a->ns.mid < b->ns.mid;
}

static void note_best(struct best *best, const struct curve *curve, const struct metg *metg)
{
	const struct cell *cell = curve->first->cell;
	const char **backend = curve->level > 0 ? &best->half_backend : &best->even_backend;
	struct metg *smallest = curve->level > 0 ? &best->half : &best->even;

	if (cell->chunk != 0 || !backend_is_process_pool(cell->backend) || curve->level > 0.5)
		return;
	if (metg->rounds == 0 || metg->side == METG_BEYOND ||
	    metg_error(best->attempts, cell->backend, cell->chunk) != NULL)
		return;
	if (*backend && !is_smaller(metg, smallest))
		return;
	*backend = cell->backend;
	*smallest = *metg;
}

static void write_crossings(FILE *file, struct curve *curve, struct best *best)
{
	static const double levels[] = { 0.5, 0.75, 0.9, 0 };
	static const char *const names[] = { "METG50", "METG75", "METG90", "break-even" };
	char note[METG_NOTE];

	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
		curve->level = levels[i];
		struct metg metg = metg_of(curve);
		fprintf(file, "%s\t%lld\t%s", curve->first->cell->backend,
			(long long)curve->first->cell->chunk, names[i]);
		put_metg(file, &metg);
		fprintf(file, "\t%zu\t%zu\t%s\n", metg.crossed, metg.rounds,
			metg_note(&metg, note));
		note_best(best, curve, &metg);
	}
}

/* Both tables, a line for each curve (METG: for each of its levels). */
static int write_metg(const struct derivation *d, const struct groups *groups, struct best *best)
{
	FILE *file = derive_table(d, "granularity-metg"), *floors;
	size_t first = 0;

	if (!file)
		return -errno;
	floors = derive_table(d, "granularity-floor");
	if (!floors) {
		int rc = -errno;
		table_close(file);
		return rc;
	}
	fputs("backend\tchunk\tlevel\tns\tlow\thigh\trounds_crossed\trounds\tnote\n", file);
	fputs("backend\tchunk\tfloor_ns\tlow\thigh\tmetg50_over_2_floors\tratio_low\tratio_high\t"
	      "rounds\n",
	      floors);
	for (size_t i = 1; i <= groups->count; i++) {
		struct curve curve = { .first = &groups->at[first],
				       .end = &groups->at[i],
				       .all = groups };
		if (i < groups->count && same_curve(groups->at[i].cell, curve.first->cell))
			continue;
		if (strcmp(curve.first->cell->backend, "forked") != 0) {
			write_crossings(file, &curve, best);
			write_floor(floors, &curve);
		}
		first = i;
	}
	int rc = table_close(file), other = table_close(floors);
	return rc ? rc : other;
}

/* A crossing known to less than a factor of 10 is not told as a number. */
static bool is_known(const struct interval *at)
{
	return at->level > 0 && at->high < 10 * at->low;
}

/* Does it lie below something, and nobody knows how far? */
static bool has_upper_end_only(const struct interval *at)
{
	return at->level > 0 && at->low <= 0 && isfinite(at->high);
}

static int half_text(const struct best *best, char *text, size_t size)
{
	const struct interval *half = &best->half.ns;
	char mid[24], low[24], high[24];

	if (!best->half_backend)
		return snprintf(
			text, size,
			"No crossing of 50 %% efficiency was measured: the tasks of this "
			"grid are all too small, or there are too few rows, or some failed.");
	if (best->half.all_below)
		return snprintf(text, size,
				"On this machine, more than half of the processors' time is useful "
				"even at the smallest tasks measured (%s, map, automatic chunk).",
				best->half_backend);
	if (has_upper_end_only(half))
		return snprintf(
			text, size,
			"On this machine, half of the processors' time is useful where a task, "
			"with what the pool adds, takes at most %s of it (%s, map, automatic "
			"chunk; the upper end of the 95 %% interval).",
			time_text(half->high, high), best->half_backend);
	if (half->level == 0)
		return snprintf(text, size,
				"The rows do not tell the granularity of 50 %% efficiency: it "
				"takes 6 rounds "
				"of each task size.");
	if (!is_known(half))
		return snprintf(
			text, size,
			"The rows scatter too much to tell the granularity of 50 %% efficiency.");
	return snprintf(
		text, size,
		"On this machine, half of the processors' time is useful where a task, with "
		"what the pool adds, takes %s of it (%s, map, automatic chunk; 95 %% "
		"interval %s to %s).",
		time_text(half->mid, mid), best->half_backend, time_text(half->low, low),
		time_text(half->high, high));
}

static void find(struct derivation *d, const struct best *best)
{
	int used = half_text(best, d->finding, sizeof d->finding);
	char *text = d->finding + used, even[24];
	size_t size = sizeof d->finding - (size_t)used;

	if (best->even_backend && best->even.all_below)
		snprintf(text, size,
			 " A pool beats the plain serial loop even with the smallest tasks (%s).",
			 best->even_backend);
	else if (best->even_backend && has_upper_end_only(&best->even.ns))
		snprintf(text, size,
			 " A pool beats the plain serial loop from tasks of at most %s on (%s).",
			 time_text(best->even.ns.high, even), best->even_backend);
	else if (best->even_backend && is_known(&best->even.ns))
		snprintf(text, size,
			 " A pool beats the plain serial loop from tasks of %s on (%s).",
			 time_text(best->even.ns.mid, even), best->even_backend);
	else
		snprintf(text, size,
			 " From which task size on a pool beats the plain serial loop, the rows do "
			 "not tell.");
}

static int granularity_derive(struct derivation *d)
{
	struct best best = { .attempts = d->attempts };
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_points(d, &groups);
	if (rc == 0)
		rc = write_metg(d, &groups, &best);
	if (rc == 0)
		find(d, &best);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_granularity = {
	.name = "granularity",
	.title = "How large a task must be",
	.claim = "When is a pool worth it?",
	.reading = "To the right tasks are larger. Efficiency is the share of what plain forked "
		   "processes reach on the same kernel in the same round; where a curve passes 0.5 "
		   "is METG(50 %), the smallest granularity at which half of the time is useful "
		   "work: processor time a task, of which the task itself is half. A bar that goes "
		   "to the frame has no known end there.",
	.grid = granularity_grid,
	.derive = granularity_derive,
};
