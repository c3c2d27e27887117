/*
 * latency.c - one task at a time: submit it, wait for its result.
 *
 * DESIGN. A cell is a call of apply with one task, looked at by the probe "latency", which times each call on its own. What comes
 * out is a distribution of each invocation; over rounds each of its points has a median and an interval. Beside it in the
 * same rounds: the round trip of a futex and of a pipe between two processes, which no pool can undercut unless it
 * polls, as shared memory does for some microseconds after a call; that of two processes that do nothing but poll;
 * and what happens to a spinner (baseline "hiccup"): the tail that the machine makes and no pool is to blame for.
 * Batches are long, because a 99.9th percentile needs ten thousand calls.
 */
#include "harness/attempts.h"
#include "harness/clock.h"
#include "harness/grid.h"
#include "harness/probe.h"
#include "harness/series.h"

#include <errno.h>
#include <string.h>

/* The percentiles that are told in numbers. */
static const struct {
	const char *name;
	double exceedance;
} told[] = { { "p50", .5 }, { "p90", .1 }, { "p99", .01 }, { "p99.9", .001 }, { "max", 0 } };
#define TOLD (sizeof told / sizeof *told)
enum { P50, P90, P99, P999, MOST };

static void add_calls(struct grid *grid, const char *backend, const char *variant)
{
	static const int64_t batch_ms[] = { 20, 50, 200 };
	static const int batches[] = { 4, 4, 5 };
	struct cell cell = grid_cell(grid, backend, variant, "noop");

	if (!grid_can_measure(backend))
		return;
	cell.tasks = 1;
	cell.chunk = 1;
	cell.batch_ns = batch_ms[grid->scale->level] * NS_PER_MS;
	cell.batches = batches[grid->scale->level];
	snprintf(cell.probe, sizeof cell.probe, "latency");
	grid_add(grid, &cell);
}

static int latency_grid(struct plan *plan, const struct scale *scale)
{
	static const unsigned picks[] = { PICK_TRANSPORTS, PICK_PROCESSES | PICK_THREADS,
					  PICK_PROCESSES | PICK_THREADS | PICK_EACH };
	static const char *const beside[] = { "hiccup", "raw-futex", "raw-pipe", "raw-spin" };
	struct grid grid = { plan, scale, 0 };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(picks[scale->level], row);

	for (size_t i = 0; i < (scale->level > 0 ? 4 : 2); i++)
		add_calls(&grid, beside[i], "map");
	for (unsigned i = 0; i < count; i++)
		add_calls(&grid, row[i]->name, "apply");
	return grid.rc;
}

/* Over the rounds, if all of them know this point: a median over those that had more calls, which are the quicker ones,
 * might lie below that of a nearer percentile. Otherwise all 0. */
static struct interval point(const struct group *g, int i, size_t *rounds)
{
	double ns[PAIRS_MAX];
	size_t n = 0;

	for (size_t k = 0; k < g->count && n < PAIRS_MAX; k++)
		if (i >= 0 && i < g->at[k]->profile && g->at[k]->profile_ns[i] > 0)
			ns[n++] = g->at[k]->profile_ns[i];
	*rounds = n;
	if (n < g->count && n < PAIRS_MAX)
		return (struct interval){ 0 };
	return stats_median_interval(ns, n, CONFIDENCE);
}

static struct interval percentile(const struct group *g, size_t which)
{
	size_t rounds;

	return point(g, probe_exceedance_find(told[which].exceedance), &rounds);
}

static int write_curves(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "latency");

	if (!file)
		return -errno;
	fputs("backend\texceedance\tus\tlow\thigh\trounds\n", file);
	for (size_t i = 0; i < groups->count; i++)
		for (int k = 0; k < PROBE_EXCEEDANCES - 1; k++) {
			size_t rounds;
			struct interval ns = point(&groups->at[i], k, &rounds);
			if (!(ns.mid > 0))
				continue;
			fprintf(file, "%s\t%g", groups->at[i].cell->backend, probe_exceedance[k]);
			put_scaled(file, &ns, 1e3);
			fprintf(file, "\t%zu\n", rounds);
		}
	return table_close(file);
}

static int write_percentiles(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "latency-percentiles");

	if (!file)
		return -errno;
	fputs("backend\tpercentile\tus\tlow\thigh\trounds\n", file);
	for (size_t i = 0; i < groups->count; i++)
		for (size_t k = 0; k < TOLD; k++) {
			size_t rounds;
			struct interval ns =
				point(&groups->at[i], probe_exceedance_find(told[k].exceedance),
				      &rounds);
			fprintf(file, "%s\t%s", groups->at[i].cell->backend, told[k].name);
			put_scaled(file, &ns, 1e3);
			fprintf(file, "\t%zu\n", rounds);
		}
	return table_close(file);
}

static const struct group *find_backend(const struct groups *groups, const char *backend)
{
	for (size_t i = 0; i < groups->count; i++)
		if (strcmp(groups->at[i].cell->backend, backend) == 0)
			return &groups->at[i];
	return NULL;
}

/* The pool of processes with the shortest median; NULL: none with an interval. */
static const struct group *quickest(const struct groups *groups)
{
	const struct group *best = NULL;
	double best_ns = 0;

	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		struct interval ns = percentile(g, P50);
		if (!backend_is_process_pool(g->cell->backend) || ns.level <= 0)
			continue;
		if (!best || ns.mid < best_ns) {
			best = g;
			best_ns = ns.mid;
		}
	}
	return best;
}

/* What a pool by shared memory does when it sleeps, and when it polls. */
static bool is_trip(const struct group *g)
{
	return strcmp(g->cell->backend, "raw-futex") == 0 ||
	       strcmp(g->cell->backend, "raw-spin") == 0;
}

/* " (fork-pipe 12 us, raw-futex 4 us)": how long the median of others is. */
static size_t put_others(const struct groups *groups, const struct group *best, char *text,
			 size_t size)
{
	const char *separator = " (";
	size_t used = 0;
	char time[24];

	for (size_t i = 0; i < groups->count; i++) {
		const struct group *g = &groups->at[i];
		struct interval ns = percentile(g, P50);
		bool first_other = backend_is_process_pool(g->cell->backend) &&
				   strcmp(g->cell->backend, best->cell->backend) != 0 &&
				   strcmp(separator, " (") == 0;
		if (!(first_other || is_trip(g)) || !(ns.mid > 0))
			continue;
		used += (size_t)snprintf(text + used, size - used, "%s%s %s", separator,
					 g->cell->backend, time_text(ns.mid, time));
		separator = ", ";
	}
	return used + (size_t)snprintf(text + used, size - used, "%s", used ? ")" : "");
}

static size_t put_tail(const struct group *best, char *text, size_t size)
{
	struct interval p99 = percentile(best, P99), p999 = percentile(best, P999);
	char time[3][24];

	if (!(p99.mid > 0))
		return (size_t)snprintf(text, size, "; too few calls for the 99th percentile");
	if (!(p999.mid > 0))
		return (size_t)snprintf(text, size,
					", in 1 %% of calls %s and more; too few calls for 0.1 %%",
					time_text(p99.mid, time[0]));
	return (size_t)snprintf(text, size, ", in 1 %% of calls %s and more, in 0.1 %% %s",
				time_text(p99.mid, time[0]), time_text(p999.mid, time[1]));
}

static void put_hiccup(const struct groups *groups, char *text, size_t size)
{
	const struct group *spinner = find_backend(groups, "hiccup");
	struct interval ns = spinner ? percentile(spinner, P999) : (struct interval){ 0 };
	char time[24];

	if (ns.mid > 0)
		snprintf(text, size,
			 " A spinner without any pool is held up for %s and more in 0.1 %% of its "
			 "spells of 10 us.",
			 time_text(ns.mid, time));
}

static void find(struct derivation *d, const struct groups *groups)
{
	const struct group *best = quickest(groups);
	char others[160] = "", tail[120] = "", hiccup[140] = "", time[3][24];

	if (!best) {
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell how long an apply takes: no pool of processes was "
			 "measured in 6 rounds or more.");
		return;
	}
	struct interval p50 = percentile(best, P50);
	put_others(groups, best, others, sizeof others);
	put_tail(best, tail, sizeof tail);
	put_hiccup(groups, hiccup, sizeof hiccup);
	snprintf(d->finding, sizeof d->finding,
		 "On this machine, submitting one empty task and waiting for its result, again and "
		 "again, takes %s in the median by %s (95 %% interval %s to %s)%s%s.%s",
		 time_text(p50.mid, time[0]), best->cell->backend, time_text(p50.low, time[1]),
		 time_text(p50.high, time[2]), others, tail, hiccup);
}

static int latency_derive(struct derivation *d)
{
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_curves(d, &groups);
	if (rc == 0)
		rc = write_percentiles(d, &groups);
	attempts_keep_right(&groups, d->attempts);
	if (rc == 0)
		find(d, &groups);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_latency = {
	.name = "latency",
	.title = "How long one task takes there and back",
	.claim = "How long does one apply take?",
	.reading =
		"The share of calls that took at least as long; both axes are logarithmic. Lower "
		"and further left is better; bars are 95 % intervals over rounds. The grey "
		"curve is no pool: how long a spinner was held up within 10 us of work; what "
		"lasts longer is held up more often.",
	.grid = latency_grid,
	.derive = latency_derive,
};
