/*
 * payload.c - what bytes cost on their way to a task and back.
 *
 * DESIGN. `stream` takes its payload as an argument, `emit` gives it as a result; both touch every byte, and every result is
 * checked. Chunk 1: small payloads still travel many at a time. Time is fitted as t = alpha + n / beta over payloads of n
 * bytes, one line a round, weighted by 1/t^2 so that small and large payloads count alike; alpha * beta is the
 * half-performance length, the payload that gets half of the bandwidth beta (R. W. Hockney, The Communication Challenge for
 * MPP: Intel Paragon and Meiko CS-2, Parallel Computing 20 (1994)). What the task itself does with the bytes is in both;
 * plain forked processes, which have them in memory already, show how much that is. Roofs of arguments: one process that
 * writes to another through a pipe, and memcpy.
 *
 * A call moves CALL_BYTES, or a payload for each worker if that is more; input, expected results, results and what travels
 * are in memory together, so a payload too large for half of the free memory is left out. Payloads above LARGE_BYTES, where
 * fresh memory for each call makes a call last for up to a second, are sent in the full plan only, in one timed batch, by
 * the first row of each transport and in place.
 */
#include "harness/attempts.h"
#include "harness/grid.h"
#include "harness/series.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

#define CALL_BYTES (UINT64_C(4) << 20)
#define LARGE_BYTES (UINT64_C(1) << 20)
#define MOST_BYTES (UINT64_C(64) << 20)
#define TASKS_MOST 262144 /* so many that what a call costs is little beside them */
#define COPIES 4	  /* of a call's bytes that are in memory at a time */
#define ROOF_PIPE "raw-stream"
#define ROOF_COPY "raw-memcpy"
#define FORKED "forked"

/* With the ends of its interval so many times apart a half-performance length is not told. */
#define SPREAD_MOST 10
#define STRAIGHT_LEAST 0.9 /* r2 from which on a line is not called bad */

static uint64_t tasks_for(uint64_t bytes, int workers)
{
	uint64_t tasks = CALL_BYTES / bytes;

	if (tasks > TASKS_MOST)
		tasks = TASKS_MOST;
	return tasks < (uint64_t)workers ? (uint64_t)workers : tasks;
}

static void add_cell(struct grid *grid, const char *backend, const char *workload, uint64_t bytes,
		     bool pool_memory)
{
	struct cell cell = grid_cell(grid, backend, "map", workload);

	if (!grid_can_measure(backend))
		return;
	/* One process for one pipe, where the kernel places it. */
	if (strcmp(backend, ROOF_PIPE) == 0)
		cell.workers = 1;
	cell.tasks = tasks_for(bytes, grid->scale->cpus);
	cell.chunk = 1;
	cell.payload_bytes = bytes;
	cell.pool_memory = pool_memory;
	cell.batches = bytes > LARGE_BYTES ? 1 : 0;
	grid_add(grid, &cell);
}

static void add_rows(struct grid *grid, const char *workload, uint64_t bytes)
{
	static const unsigned picks[] = { PICK_TRANSPORTS, PICK_TRANSPORTS,
					  PICK_TRANSPORTS | PICK_THREADS };
	const struct pool_backend_info *row[ROWS_MAX];
	bool large = bytes > LARGE_BYTES;
	unsigned count = grid_rows(large ? PICK_TRANSPORTS : picks[grid->scale->level], row);

	for (unsigned i = 0; i < count; i++)
		add_cell(grid, row[i]->name, workload, bytes, false);
	if (grid->scale->level > 0)
		add_cell(grid, transport_row("shm"), workload, bytes, true);
}

static bool fits(const struct grid *grid, uint64_t bytes)
{
	uint64_t need = COPIES * bytes * tasks_for(bytes, grid->scale->cpus);
	uint64_t half = grid_memory_available() / 2;

	if (half == 0 || need <= half)
		return true;
	fprintf(stderr,
		"poolbench: payload: left out: from %" PRIu64
		" bytes a task on a call needs %" PRIu64
		" MiB, and half of the free memory is %" PRIu64 " MiB\n",
		bytes, need >> 20, half >> 20);
	return false;
}

static int payload_grid(struct plan *plan, const struct scale *scale)
{
	static const uint64_t most[] = { MOST_BYTES / 64, MOST_BYTES / 64, MOST_BYTES };
	static const int shift[] = { 10, 5, 2 };
	/* Where roofs begin: they are of interest where bytes count, and flat beyond LARGE_BYTES. */
	static const uint64_t roof[] = { LARGE_BYTES, 1024, 1024 };
	struct grid grid = { plan, scale, 0 };

	for (uint64_t bytes = 1; bytes <= most[scale->level]; bytes <<= shift[scale->level]) {
		if (!fits(&grid, bytes))
			break;
		add_rows(&grid, "stream", bytes);
		add_rows(&grid, "emit", bytes);
		if (bytes <= LARGE_BYTES && scale->level > 0)
			add_cell(&grid, FORKED, "stream", bytes, false);
		if (bytes < roof[scale->level] || bytes > LARGE_BYTES)
			continue;
		add_cell(&grid, ROOF_PIPE, "stream", bytes, false);
		add_cell(&grid, ROOF_COPY, "stream", bytes, false);
	}
	return grid.rc;
}

static const char *direction(const struct cell *cell)
{
	return strcmp(cell->workload, "emit") == 0 ? "out" : "in";
}

static bool is_roof(const struct cell *cell)
{
	return strcmp(cell->backend, ROOF_PIPE) == 0 || strcmp(cell->backend, ROOF_COPY) == 0;
}

/* `amount` a task is how much a second, times `unit`. */
static struct interval per_s(const struct interval *ns, double amount, double unit)
{
	double scaled = amount * 1e9 * unit;
	struct interval rate = { 0, ns->mid > 0 ? scaled / ns->mid : 0, 0, ns->level };

	if (ns->level > 0) {
		rate.low = scaled / ns->high;
		rate.high = scaled / ns->low;
	}
	return rate;
}

static bool same_series(const struct cell *a, const struct cell *b)
{
	return strcmp(a->backend, b->backend) == 0 && strcmp(a->workload, b->workload) == 0 &&
	       a->pool_memory == b->pool_memory;
}

static bool is_first(const struct groups *groups, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_series(groups->at[k].cell, groups->at[i].cell))
			return false;
	return true;
}

static void write_rate(FILE *file, const struct group *g)
{
	const struct cell *cell = g->cell;
	struct interval ns = group_ns(g);
	struct interval mb = per_s(&ns, (double)cell->payload_bytes, 1e-6);
	struct interval tasks = per_s(&ns, 1, 1);

	fprintf(file, "%s\t%s\t%s\t%" PRIu64, direction(cell), cell->backend,
		cell->pool_memory ? "pool" : "own", cell->payload_bytes);
	put_interval(file, &mb);
	put_interval(file, &tasks);
	fprintf(file, "\t%zu\n", g->count);
}

/* One series after the other, so that a line can be drawn through each. */
static int write_rates(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "payload");

	if (!file)
		return -errno;
	fputs("direction\tbackend\tmemory\tbytes\tmb_per_s\tmb_low\tmb_high\ttasks_per_s\ttasks_low"
	      "\ttasks_high\trounds\n",
	      file);
	for (size_t i = 0; i < groups->count; i++)
		for (size_t k = i; is_first(groups, i) && k < groups->count; k++)
			if (same_series(groups->at[i].cell, groups->at[k].cell))
				write_rate(file, &groups->at[k]);
	return table_close(file);
}

/*
 * == The line ==
 */

/* One backend in one direction. */
struct fit {
	const struct cell *cell; /* any of its cells */
	struct interval alpha_ns, beta_mb, half_bytes;
	double r2; /* median over rounds */
	size_t rounds;
};

/* context: any cell of the series */
static bool payload_point(const struct record *record, const void *context, double *x, double *y)
{
	*x = (double)record->cell.payload_bytes;
	*y = record_median(record);
	return same_series(&record->cell, context);
}

/* A line that begins below 0 has alpha 0; one that does not rise tells no limit of the bandwidth. Both count, or the
 * medians would be those of the rounds that turned out well. */
static struct fit fit_series(const struct groups *groups, const struct group *first)
{
	double alpha[PAIRS_MAX], beta[PAIRS_MAX], half[PAIRS_MAX];
	struct fit fit = { .cell = first->cell };
	struct lines lines;

	series_lines(first, groups->at + groups->count, payload_point, first->cell, true, &lines);
	for (size_t i = 0; i < lines.count; i++) {
		double slope = lines.slope[i];
		alpha[i] = fmax(lines.intercept[i], 0);
		beta[i] = slope > 0 ? 1e3 / slope : INFINITY;
		half[i] = slope > 0 ? alpha[i] / slope : INFINITY;
	}
	fit.rounds = lines.count;
	if (lines.count == 0)
		return fit;
	fit.alpha_ns = stats_median_interval(alpha, lines.count, CONFIDENCE);
	fit.beta_mb = stats_median_interval(beta, lines.count, CONFIDENCE);
	fit.half_bytes = stats_median_interval(half, lines.count, CONFIDENCE);
	fit.r2 = stats_median(lines.r2, lines.count);
	return fit;
}

#define FITS_MAX 32

static size_t fit_all(const struct groups *groups, struct fit fits[FITS_MAX])
{
	size_t count = 0;

	for (size_t i = 0; i < groups->count && count < FITS_MAX; i++)
		if (!is_roof(groups->at[i].cell) && is_first(groups, i))
			fits[count++] = fit_series(groups, &groups->at[i]);
	return count;
}

static int write_fits(const struct derivation *d, const struct fit *fits, size_t count)
{
	FILE *file = derive_table(d, "payload-fit");

	if (!file)
		return -errno;
	fputs("direction\tbackend\tmemory\talpha_ns\talpha_low\talpha_high\tbeta_mb_per_s"
	      "\tbeta_low\tbeta_high\thalf_performance_bytes\thalf_low\thalf_high\tr2\trounds\n",
	      file);
	for (size_t i = 0; i < count; i++) {
		const struct fit *fit = &fits[i];
		fprintf(file, "%s\t%s\t%s", direction(fit->cell), fit->cell->backend,
			fit->cell->pool_memory ? "pool" : "own");
		put_interval(file, &fit->alpha_ns);
		put_interval(file, &fit->beta_mb);
		put_interval(file, &fit->half_bytes);
		fprintf(file, fit->rounds ? "\t%.3f" : "\t?", fit->r2);
		fprintf(file, "\t%zu\n", fit->rounds);
	}
	return table_close(file);
}

/*
 * == The sentence ==
 */

static const char *bytes_text(double bytes, char text[24])
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB" };
	size_t i = 0;

	for (; i < 3 && bytes >= 1024; i++)
		bytes /= 1024;
	snprintf(text, 24, "%.*f %s", bytes < 10 && i > 0 ? 1 : 0, bytes, units[i]);
	return text;
}

static const char *rate_text(double mb_per_s, char text[24])
{
	bool giga = mb_per_s >= 1000;

	snprintf(text, 24, "%.3g %s/s", giga ? mb_per_s / 1000 : mb_per_s, giga ? "GB" : "MB");
	return text;
}

/* From where on bytes count. */
static const char *half_text(const struct interval *half, char text[128])
{
	char bytes[3][24];

	if (!(half->high <= SPREAD_MOST * half->low))
		return " (from where on bytes are the larger part cannot be told)";
	snprintf(text, 128, ", which are the larger part from %s on (95 %% interval %s to %s)",
		 bytes_text(half->mid, bytes[0]), bytes_text(half->low, bytes[1]),
		 bytes_text(half->high, bytes[2]));
	return text;
}

/* Does the line certainly begin above 0, and rise? */
static bool is_known(const struct fit *fit)
{
	return fit->half_bytes.level > 0 && fit->alpha_ns.low > 0 && isfinite(fit->beta_mb.high);
}

/* " by fork-pipe a task takes ...", after what ended the one before. */
static void add_fit(struct derivation *d, const struct fit *fit, const char *before)
{
	char time[24], rate[24], half[128];

	if (is_known(fit))
		finding_add(d, "%s by %s a task takes %s and its bytes pass at %s%s", before,
			    strcmp(fit->cell->backend, FORKED) == 0
				    ? "plain forked processes, which need not move them,"
				    : fit->cell->backend,
			    time_text(fit->alpha_ns.mid, time), rate_text(fit->beta_mb.mid, rate),
			    half_text(&fit->half_bytes, half));
	else
		finding_add(d, "%s what it is by %s cannot be told", before, fit->cell->backend);
}

/* Arguments of processes in memory of their own; the first row of each transport. */
static bool is_told(const struct fit *fit)
{
	const char *backend = fit->cell->backend;

	return strcmp(direction(fit->cell), "in") == 0 && !fit->cell->pool_memory &&
	       (strcmp(backend, FORKED) == 0 || strcmp(backend, transport_row("shm")) == 0 ||
		strcmp(backend, transport_row("pipe")) == 0);
}

static void find(struct derivation *d, const struct fit *fits, size_t count)
{
	size_t told = 0, known = 0;
	double r2 = 1;

	finding_add(d, "On this machine, where each task sums its bytes,");
	for (size_t i = 0; i < count; i++) {
		if (!is_told(&fits[i]))
			continue;
		add_fit(d, &fits[i], told++ > 0 ? ";" : "");
		if (is_known(&fits[i])) {
			r2 = fmin(r2, fits[i].r2);
			known++;
		}
	}
	finding_add(d, ".");
	if (known == 0)
		snprintf(
			d->finding, sizeof d->finding,
			"The rows do not tell what a payload costs: a rising line through at least "
			"3 sizes is wanted in 6 rounds or more.");
	else if (r2 < STRAIGHT_LEAST)
		finding_add(d, " A straight line describes these times badly: see the figure.");
}

static int payload_derive(struct derivation *d)
{
	struct fit fits[FITS_MAX];
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_rates(d, &groups);
	attempts_keep_right(&groups, d->attempts);
	size_t count = fit_all(&groups, fits);
	if (rc == 0)
		rc = write_fits(d, fits, count);
	if (rc == 0)
		find(d, fits, count);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_payload = {
	.name = "payload",
	.title = "What bytes cost",
	.claim = "How fast do arguments and results travel, and from which size on does it matter?",
	.reading =
		"Bytes and tasks a second by the size of the argument (in) or of the result (out); "
		"what the task does with them is included, as plain forked processes show, which "
		"need not move them. Bars are 95 % intervals. Grey, of arguments: one process that "
		"writes each payload into a pipe to another, and a copy within one process. In "
		"place: arguments and results lie in memory of the pool and are not copied.",
	.grid = payload_grid,
	.derive = payload_derive,
};
