/*
 * peers_heavy.c - bars P8 to P13: processes, balance, payload, real work, memory, and the cost of measuring.
 */
#include "harness/experiments/peers.h"
#include "harness/grid.h"
#include "harness/peer.h"

#include <string.h>

/*
 * == Processes ==
 */

static uint64_t largest_parent(const struct attempts *attempts)
{
	uint64_t most = 0;

	for (size_t i = 0; i < attempts->groups.count; i++)
		if (attempts->groups.at[i].cell->parent_bytes > most)
			most = attempts->groups.at[i].cell->parent_bytes;
	return most;
}

/* The next larger one in which something is opened; 0: none. */
static uint64_t next_parent(const struct attempts *attempts, uint64_t after)
{
	uint64_t next = 0;

	for (size_t i = 0; i < attempts->groups.count; i++) {
		const struct cell *cell = attempts->groups.at[i].cell;
		if (strcmp(cell->variant, "open") == 0 && cell->parent_bytes > after &&
		    (next == 0 || cell->parent_bytes < next))
			next = cell->parent_bytes;
	}
	return next;
}

static void judge_flat(struct judge *j, uint64_t parent_bytes)
{
	const struct pool_backend_info *row;
	char what[96];

	if (parent_bytes <= MIB) {
		judge_begin(j, "P8", "vfork rows, open + close, large parent over 1 MiB", "x",
			    AT_MOST, 1.2);
		judge_missing(j, "", "no parent is larger than 1 MiB");
		judge_end(j);
		return;
	}
	snprintf(what, sizeof what, "vfork rows, open + close, parent of %llu MiB over 1 MiB",
		 (unsigned long long)(parent_bytes / MIB));
	judge_begin(j, "P8", what, "x", AT_MOST, 1.2);
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		if (backend_reuses(row->name) && row->can & POOL_CAN_EXEC)
			judge_ratio(j, row->name,
				    &(struct arm){ row->name, "open", "noop",
						   .parent_bytes = parent_bytes },
				    &(struct arm){ row->name, "open", "noop",
						   .parent_bytes = MIB });
	judge_end(j);
}

static void judge_forks(struct judge *j, uint64_t parent_bytes)
{
	const struct pool_backend_info *row;
	struct arm raw = { "raw-fork", "map", "noop", .parent_bytes = parent_bytes };

	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++) {
		struct arm arm = { row->name, "open", "noop", .parent_bytes = parent_bytes };
		char which[sizeof((struct value *)0)->which];
		snprintf(which, sizeof which, "%.20s, %llu MiB", row->name,
			 (unsigned long long)(parent_bytes / MIB));
		/* Not every row has the largest parents. */
		if (backend_is_process_pool(row->name) && !(row->can & POOL_CAN_EXEC) &&
		    judge_knows(j, &arm))
			judge_ratio(j, which, &arm, &raw);
	}
}

/* What P8 asks for. */
#define PARENT_WANTED (8192 * MIB)

/* A part of a bar that this plan has no cells for. */
static void judge_left_out(struct judge *j, const char *bar, const char *what, double most,
			   const char *why)
{
	judge_begin(j, bar, what, "x", AT_MOST, most);
	judge_missing(j, "", why);
	judge_end(j);
}

static void judge_p8(struct judge *j)
{
	judge_flat(j, largest_parent(j->attempts));
	if (largest_parent(j->attempts) < PARENT_WANTED)
		judge_left_out(j, "P8", "vfork rows, open + close, parent of 8192 MiB over 1 MiB",
			       1.2, "only with --full and 16 GiB of free memory");
	judge_begin(j, "P8", "fork rows, open + close, time over raw fork", "x", AT_MOST, 1.3);
	for (uint64_t bytes = 0; (bytes = next_parent(j->attempts, bytes)) != 0;)
		judge_forks(j, bytes);
	judge_end(j);
	judge_limit(j, "P8",
		    "raw fork by a thread made for it, parent of 1 MiB, time over raw fork", "x");
	judge_ratio(j, "", &(struct arm){ "raw-keeper", "map", "noop", .parent_bytes = MIB },
		    &(struct arm){ "raw-fork", "map", "noop", .parent_bytes = MIB });
	judge_end(j);
}

/*
 * == Balance, payload, real work ==
 */

static const struct arm list = { "raw-list", "map", "skew", .chunk = 0 };

/* The fixed chunk with the smallest median ratio; 0: none was measured. */
static int64_t best_chunk(const struct judge *j, const char *backend)
{
	const struct group *ideal = judge_group(j, &list);
	double least = 0;
	int64_t best = 0;

	for (size_t i = 0; ideal && i < j->groups->count; i++) {
		const struct group *g = &j->groups->at[i];
		double ratio = group_speedup(ideal, g).mid;
		if (strcmp(g->cell->backend, backend) != 0 || g->cell->chunk == 0 ||
		    strcmp(g->cell->workload, list.workload) != 0 || !(ratio > 0))
			continue;
		if (best != 0 && ratio >= least)
			continue;
		best = g->cell->chunk;
		least = ratio;
	}
	return best;
}

/* One of its fixed chunks that failed: which is the best is not known then. NULL: none. */
static const struct cell *failed_chunk(const struct judge *j, const char *backend)
{
	const struct groups *attempts = &j->attempts->groups;

	for (size_t i = 0; i < attempts->count; i++) {
		const struct cell *cell = attempts->at[i].cell;
		if (strcmp(cell->backend, backend) == 0 && cell->chunk > 0 &&
		    strcmp(cell->workload, list.workload) == 0 &&
		    attempt_error(&attempts->at[i]) != NULL)
			return cell;
	}
	return NULL;
}

static void judge_best_chunk(struct judge *j, const char *backend)
{
	const struct cell *failed = failed_chunk(j, backend);
	struct arm arm = { backend, "map", list.workload, .chunk = best_chunk(j, backend) };
	char which[sizeof((struct value *)0)->which];

	snprintf(which, sizeof which, "%.20s, chunk %d", backend,
		 (int)(failed ? failed->chunk : arm.chunk));
	if (failed != NULL)
		arm.chunk = failed->chunk;
	if (arm.chunk != 0)
		judge_ratio(j, which, &arm, &list);
	else if (judge_group(j, &list) == NULL)
		judge_unmeasured(j, backend, &list);
	else
		judge_missing(j, backend, "no fixed chunk beside list scheduling");
}

/* Rows that keep their workers and were not planned, by name. false: there is none. */
static bool rows_left_out(const struct judge *j, char *why, size_t size)
{
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(PICK_PROCESSES | PICK_THREADS, row);
	size_t used = (size_t)snprintf(why, size, "only with --full");
	bool any = false;

	for (unsigned i = 0; i < count && used < size; i++) {
		const struct arm arm = { row[i]->name, "map", list.workload, .chunk = 0 };
		if (judge_knows(j, &arm))
			continue;
		used += (size_t)snprintf(why + used, size - used, "%s %s", any ? "," : ":",
					 row[i]->name);
		any = true;
	}
	return any;
}

static void judge_p9(struct judge *j, bool best)
{
	const struct pool_backend_info *row;
	const double most = best ? 1.05 : 1.10;
	char why[sizeof((struct value *)0)->why];

	judge_begin(j, "P9",
		    best ? "skewed tasks, makespan over list scheduling, best chunk"
			 : "skewed tasks, makespan over list scheduling, auto chunk",
		    "x", AT_MOST, most);
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++) {
		const struct arm arm = { row->name, "map", list.workload, .chunk = 0 };
		if (best && (judge_knows(j, &arm) || best_chunk(j, row->name) != 0 ||
			     failed_chunk(j, row->name) != NULL))
			judge_best_chunk(j, row->name);
		else if (!best && judge_knows(j, &arm))
			judge_ratio(j, row->name, &arm, &list);
	}
	judge_end(j);
	if (rows_left_out(j, why, sizeof why))
		judge_left_out(j, "P9",
			       best ? "the same with the other rows, best chunk"
				    : "the same with the other rows, auto chunk",
			       most, why);
}

static void judge_p10(struct judge *j)
{
	const struct arm pipe = { j->pipe, "map", "stream", .payload_bytes = MIB };
	struct arm forked = { "forked", "map", "stream", .payload_bytes = MIB };
	struct arm shm = forked;

	shm.backend = j->shm;
	shm.pool_memory = true;
	judge_begin(j, "P10",
		    "1 MiB in, its sum out: shm in place, speed over plain forked processes", "x",
		    AT_LEAST, 0.9);
	judge_ratio(j, "", &shm, &forked);
	judge_end(j);
	judge_begin(j, "P10", "1 MiB in, its sum out: pipe, bandwidth over that of a raw pipe", "x",
		    AT_LEAST, 0.8);
	forked.backend = "raw-stream";
	for (forked.workers = 1; forked.workers <= 2; forked.workers++)
		judge_ratio(j, forked.workers == 1 ? "placed by the kernel" : "bound to two CPUs",
			    &pipe, &forked);
	judge_end(j);
}

static bool is_load(const struct cell *cell)
{
	static const char *const others[] = { "square", "noop", "spin", "skew", "stream" };

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcmp(cell->workload, others[i]) == 0)
			return false;
	return true;
}

static void judge_p11(struct judge *j, const char *base, int64_t chunk)
{
	bool forked = chunk == 0;

	judge_begin(j, "P11",
		    forked ? "CPU-bound work, speed over plain forked processes"
			   : "CPU-bound work, time over OpenMP dynamic,1",
		    "x", forked ? AT_LEAST : AT_MOST, forked ? 0.97 : 1);
	for (size_t i = 0; i < j->attempts->groups.count; i++) {
		const struct cell *cell = j->attempts->groups.at[i].cell;
		struct arm arm = { cell->backend, "map", cell->workload, .work = cell->work };
		struct arm other = arm;
		char which[sizeof((struct value *)0)->which];
		if (!backend_is_process_pool(cell->backend) || !is_load(cell))
			continue;
		other.backend = base;
		other.chunk = chunk;
		snprintf(which, sizeof which, "%.16s, %.20s", cell->workload, cell->backend);
		judge_ratio(j, which, &arm, &other);
	}
	judge_end(j);
}

/*
 * == Memory and cost ==
 */

static double rss_mib(const struct record *record)
{
	return (double)record->max_rss_kib / 1024;
}

static void add_lazy_memory(struct judge *j, const char *which, const struct group *g)
{
	struct value value = { .why = "parent and workers, proportional set size" };

	value.interval = group_over_rounds(g, rss_mib);
	snprintf(value.which, sizeof value.which, "%s", which);
	bars_add(j->bars, &value);
}

static void judge_p12(struct judge *j)
{
	const struct groups *attempts = &j->attempts->groups;
	bool any = false;

	judge_begin(j, "P12", "imap of 10^8 lazy items, most memory above an idle pool", "MiB",
		    AT_MOST, 8);
	for (size_t i = 0; i < attempts->count; i++) {
		const struct cell *cell = attempts->at[i].cell;
		const struct arm arm = { cell->backend, cell->variant, cell->workload,
					 .chunk = cell->chunk, .workers = cell->workers };
		const struct group *g = judge_group(j, &arm);
		const char *which = cell->backend + strlen("lazy100-");
		if (strncmp(cell->backend, "lazy100-", strlen("lazy100-")) != 0)
			continue;
		if (g != NULL)
			add_lazy_memory(j, which, g);
		else
			judge_unmeasured(j, which, &arm);
		any = true;
	}
	if (!any)
		bars_add(j->bars,
			 &(struct value){ .why = "only with --full, where there is time" });
	judge_end(j);
}

/* Readings of the clock inside what is timed: one for the lap, and at most one for the first result. Laps may be
 * longer than a call, so this is an upper bound. */
#define READINGS 2

static void timing_name(const struct cell *cell, char which[sizeof((struct value *)0)->which])
{
	snprintf(which, sizeof((struct value *)0)->which, "%.16s %.14s %.12s", cell->backend,
		 cell->variant, cell->workload);
}

static double timing_percent(const struct record *record)
{
	double call_ns = record_median(record) * (double)record->cell.tasks;

	return 100 * READINGS * record->clock_ns / call_ns;
}

static void add_timing_cost(struct judge *j, const struct group *g)
{
	struct value value = { .why = "readings of the clock in a call, over its time" };

	value.interval = group_over_rounds(g, timing_percent);
	timing_name(g->cell, value.which);
	bars_add(j->bars, &value);
}

/* Of cells that are measured by our clock. */
static void add_untimed(struct judge *j)
{
	const struct groups *attempts = &j->attempts->groups;

	for (size_t i = 0; i < attempts->count; i++) {
		const struct cell *cell = attempts->at[i].cell;
		const char *error = attempt_error(&attempts->at[i]);
		char which[sizeof((struct value *)0)->which];
		if (error == NULL || strcmp(cell->variant, "open") == 0 ||
		    peer_find(cell->backend) != NULL)
			continue;
		timing_name(cell, which);
		judge_missing(j, which, error);
	}
}

static void judge_p13(struct judge *j, const struct derivation *d)
{
	judge_begin(j, "P13", "what timing adds to what it times", "%", AT_MOST, 1);
	for (size_t i = 0; i < j->groups->count; i++)
		if (strcmp(j->groups->at[i].cell->variant, "open") != 0 &&
		    j->groups->at[i].at[0]->clock_ns > 0) /* else it was a peer's clock */
			add_timing_cost(j, &j->groups->at[i]);
	add_untimed(j);
	judge_end(j);
	judge_run_time(j, d);
}

void judge_heavy(struct judge *j, const struct derivation *d)
{
	judge_p8(j);
	judge_p9(j, true);
	judge_p9(j, false);
	judge_p10(j);
	judge_p11(j, "forked", 0);
	judge_p11(j, "openmp-dynamic", 1);
	judge_p12(j);
	judge_p13(j, d);
}
