/*
 * explain_parts.c - which cells are measured for an explanation, and what their rows make of it.
 */
#include "harness/clock.h"
#include "harness/explain.h"
#include "harness/syscalls.h"
#include "pools/pool.h"

#include <math.h>
#include <string.h>

#define NONE SIZE_MAX
#define EMPTY_BYTES 16	      /* the argument and the result of "noop" */
#define COPY_BYTES_LEAST 4096 /* shorter copies are not seen beside the rest of a task */
#define COPY_CALL_BYTES (UINT64_C(32) << 20)
#define COPY_WORTH 64 /* fewer bytes travel with the item, and their price is not seen */
#define CALLS_PER_WAKE 2
#define SPREAD 2 /* claims per task must differ by this much, or their price is not seen */

/*
 * == From evidence to parts ==
 */

static double calls_beyond(const struct glance *g)
{
	return fmax(0, g->calls - CALLS_PER_WAKE * g->wakes);
}

/* What is left of an empty task when everything with a price is paid. */
static double unpriced_ns(const struct evidence *e, const struct glance *g)
{
	return g->ns - e->empty_run_ns - g->wakes * e->wake_ns - calls_beyond(g) * e->call_ns;
}

/* y = slope x through the origin. */
static struct line proportion(const double *x, const double *y, size_t n)
{
	double xy = 0, xx = 0;

	for (size_t i = 0; i < n; i++) {
		xy += x[i] * y[i];
		xx += x[i] * x[i];
	}
	return (struct line){ .slope = xx > 0 ? fmax(0, xy / xx) : 0 };
}

/* Neither an item nor a chunk costs less than nothing: least squares with that condition (C. L. Lawson and R. J. Hanson,
 * Solving Least Squares Problems (1974), chapter 23; with two unknowns a condition that is violated holds with equality).
 * Where items are claimed one by one whatever the chunk size, they cost what they cost with their chunk. */
static struct line fit(const struct evidence *e)
{
	double x[EXPLAIN_EMPTIES], y[EXPLAIN_EMPTIES], mean = 0, least = INFINITY, most = 0;
	struct line line = { 0 };

	for (size_t i = 0; i < e->empties; i++) {
		x[i] = e->empty[i].claims;
		y[i] = unpriced_ns(e, &e->empty[i]);
		mean += y[i] / (double)e->empties;
		least = fmin(least, x[i]);
		most = fmax(most, x[i]);
	}
	if (most < SPREAD * least || !stats_line(x, y, NULL, e->empties, &line) || line.slope < 0)
		return (struct line){ .intercept = fmax(0, mean) };
	return line.intercept < 0 ? proportion(x, y, e->empties) : line;
}

static void put(struct account *a, enum part part, double count, double unit_ns)
{
	a->count[part] = count;
	a->unit_ns[part] = unit_ns;
	a->ns[part] = count * unit_ns;
	a->rest_ns -= a->ns[part];
}

void explain_evidence(struct account *a, const struct evidence *e)
{
	struct line line = fit(e);

	*a = (struct account){ .total_ns = e->cell.ns, .rest_ns = e->cell.ns };
	put(a, PART_RUN, 1, e->run_ns);
	put(a, PART_ITEM, 1, line.intercept);
	put(a, PART_CHUNK, e->cell.claims, line.slope);
	put(a, PART_COPY, e->bytes, e->byte_ns);
	put(a, PART_WAKE, e->cell.wakes, e->wake_ns);
	put(a, PART_CALL, calls_beyond(&e->cell), e->call_ns);
}

/*
 * == From a cell to cells ==
 */

static size_t add(struct explanation *e, const struct cell *cell)
{
	e->cells[e->count] = *cell;
	return e->count++;
}

/* The cell with another backend, without a pool. */
static struct cell as_baseline(const struct cell *cell, const char *backend)
{
	struct cell plain = *cell;

	snprintf(plain.backend, sizeof plain.backend, "%s", backend);
	snprintf(plain.variant, sizeof plain.variant, "map");
	plain.chunk = plain.window = 0;
	plain.pool_memory = false;
	return plain;
}

static size_t add_baseline(struct explanation *e, const struct cell *cell, const char *backend)
{
	struct cell plain = as_baseline(cell, backend);

	return add(e, &plain);
}

/* As many processes as the pool has; a pool that runs in the caller has none. */
static size_t add_run(struct explanation *e, const struct cell *cell)
{
	return add_baseline(e, cell, strcmp(cell->backend, "serial") == 0 ? "loop" : "forked");
}

static size_t add_counted(struct explanation *e, const struct cell *cell)
{
	struct cell counted = *cell;

	if (e->uncounted != 0)
		return NONE;
	snprintf(counted.probe, sizeof counted.probe, "syscalls");
	return add(e, &counted);
}

static struct cell with_workload(const struct cell *cell, const char *workload)
{
	struct cell other = *cell;

	snprintf(other.workload, sizeof other.workload, "%s", workload);
	other.work = 0;
	other.payload_bytes = 0;
	return other;
}

/* 1, 8 and 64, as far as every worker gets a chunk. */
static void plan_empties(struct explanation *e, const struct cell *cell)
{
	struct cell empty = with_workload(cell, "noop");

	e->empty_run = add_run(e, &empty);
	for (int64_t chunk = 1; e->empties < EXPLAIN_EMPTIES; chunk *= 8) {
		if (chunk > 1 && (uint64_t)chunk * (uint64_t)cell->workers > cell->tasks)
			break;
		empty.chunk = chunk;
		e->empty[e->empties] = add(e, &empty);
		e->empty_counted[e->empties++] = add_counted(e, &empty);
	}
}

/* Twice, at as many bytes and at half of them: the difference is the copy's. */
static void plan_copy(struct explanation *e, const struct cell *cell)
{
	struct cell stream = with_workload(cell, "stream");
	uint64_t bytes = (uint64_t)fmax(e->bytes, COPY_BYTES_LEAST);
	uint64_t most = COPY_CALL_BYTES / bytes + (uint64_t)cell->workers;

	for (int i = 0; i < 2; i++)
		e->copy[i] = e->copy_run[i] = NONE;
	if (e->bytes <= 0)
		return;
	if (stream.tasks > most)
		stream.tasks = most;
	for (int i = 0; i < 2; i++) {
		stream.payload_bytes = bytes >> i;
		e->copy[i] = add(e, &stream);
		e->copy_run[i] = add_run(e, &stream);
	}
}

static void plan_prices(struct explanation *e, const struct cell *cell)
{
	struct cell price = with_workload(cell, "noop");

	price.tasks = 100;
	price.workers = 2;
	e->far_wake = pool_cpus() > 1 ? add_baseline(e, &price, "raw-futex") : NONE;
	price.workers = 1;
	e->price[EXPLAIN_WAKE] = as_baseline(&price, "raw-futex");
	e->price[EXPLAIN_CALL] = as_baseline(&price, "syscall");
}

void explain_plan(struct explanation *e, const struct cell *cell, double bytes)
{
	struct syscalls *syscalls = NULL;

	*e = (struct explanation){ .bytes = bytes - EMPTY_BYTES };
	if (e->bytes < COPY_WORTH)
		e->bytes = 0;
	e->uncounted = syscalls_new(&syscalls);
	syscalls_free(syscalls);
	add(e, cell);
	e->counted = add_counted(e, cell);
	e->run = add_run(e, cell);
	plan_empties(e, cell);
	plan_copy(e, cell);
	plan_prices(e, cell);
}

/*
 * == From rows to evidence ==
 */

bool explain_price(struct explanation *e, const struct trial *prices)
{
	e->wake_ns = trial_least_ns(prices, EXPLAIN_WAKE) / 2; /* one way */
	e->call_ns = trial_least_ns(prices, EXPLAIN_CALL);
	return e->wake_ns > 0 && e->call_ns > 0;
}

static struct glance glance(const struct trial *trial, int round, size_t cell, size_t counted)
{
	const struct record *row = trial_row(trial, cell, round);
	double tasks = (double)row->calls * (double)row->cell.tasks;
	struct glance g = { .ns = record_median(row),
			    .claims = (double)row->claims / tasks,
			    .wakes = (double)row->voluntary_switches / tasks,
			    .calls = (double)row->io_calls / tasks };

	if (counted != NONE) {
		row = trial_row(trial, counted, round);
		tasks = (double)row->calls * (double)row->cell.tasks;
		g.calls = (double)row->system_calls / tasks;
	}
	return g;
}

static double ns_of(const struct trial *trial, int round, size_t cell)
{
	return cell == NONE ? 0 : record_median(trial_row(trial, cell, round));
}

static double byte_ns(const struct explanation *e, const struct trial *trial, int round)
{
	double ns[2];

	if (e->copy[0] == NONE)
		return 0;
	for (int i = 0; i < 2; i++)
		ns[i] = ns_of(trial, round, e->copy[i]) - ns_of(trial, round, e->copy_run[i]);
	return fmax(ns[0] - ns[1], 0) /
	       (double)(e->cells[e->copy[0]].payload_bytes - e->cells[e->copy[1]].payload_bytes);
}

double explain_far_wake_ns(const struct explanation *e, const struct trial *trial)
{
	return e->far_wake == NONE ? 0 : trial_least_ns(trial, e->far_wake) / 2;
}

bool explain_round(const struct explanation *e, const struct trial *trial, int round,
		   struct account *account)
{
	struct evidence evidence = { .empties = e->empties, .bytes = e->bytes };

	for (size_t i = 0; i < e->count; i++) {
		const struct record *row = trial_row(trial, i, round);
		if (!row->verified || row->calls == 0)
			return false;
	}
	evidence.cell = glance(trial, round, 0, e->counted);
	for (size_t i = 0; i < e->empties; i++)
		evidence.empty[i] = glance(trial, round, e->empty[i], e->empty_counted[i]);
	evidence.run_ns = ns_of(trial, round, e->run);
	evidence.empty_run_ns = ns_of(trial, round, e->empty_run);
	evidence.wake_ns = e->wake_ns;
	evidence.call_ns = e->call_ns;
	evidence.byte_ns = byte_ns(e, trial, round);
	explain_evidence(account, &evidence);
	return true;
}
