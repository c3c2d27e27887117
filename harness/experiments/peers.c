/*
 * peers.c - our pools beside what people use and what the machine can do: what one task costs, and which bars are met.
 *
 * DESIGN. A peer is an arm of a round like a cell (harness/peer.h), so every ratio is taken within rounds. The tasks are
 * squares of integers, where nothing but handing out costs anything; the other arms are there for one bar each
 * (peers_bars.c). Numbers of tasks are such that a call lasts some milliseconds with each.
 */
#include "harness/experiments/peers.h"
#include "harness/grid.h"
#include "harness/peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * == The grid ==
 */

/* Filling and copying a parent of this size takes seconds: one forking row does, and fewer batches. */
#define PARENT_LARGE (1024 * MIB)

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static uint64_t peer_tasks(const struct arm *arm)
{
	bool grouped = arm->chunk > 1 || (arm->chunk == 0 && strcmp(arm->variant, "map") == 0);

	if (strcmp(arm->variant, "apply") == 0)
		return 200;
	if (strcmp(arm->backend, "xargs") == 0)
		return 100;
	if (strcmp(arm->backend, "parallel") == 0)
		return 40;
	if (begins(arm->backend, "cpython-executor"))
		return 500;
	return grouped ? 100000 : 1000;
}

static uint64_t square_tasks(const struct arm *arm)
{
	bool lazy = begins(arm->variant, "imap"), map = strcmp(arm->variant, "map") == 0;

	if (peer_find(arm->backend) != NULL && !begins(arm->backend, "openmp-"))
		return peer_tasks(arm);
	if (backend_is_each(arm->backend))
		return map && arm->chunk == 0 ? 20000 : 20;
	if (strcmp(arm->variant, "apply") == 0)
		return 1000;
	return lazy ? 100000 : 1000000;
}

static void add_arm(struct grid *grid, const struct arm *arm, uint64_t tasks)
{
	struct cell cell = grid_cell(grid, arm->backend, arm->variant, arm->workload);

	if (!grid_can_measure(arm->backend))
		return;
	cell.tasks = tasks;
	cell.chunk = arm->chunk;
	cell.work = arm->work;
	cell.workers = arm->workers ? arm->workers : PEERS_WORKERS;
	cell.payload_bytes = arm->payload_bytes;
	cell.parent_bytes = arm->parent_bytes;
	cell.pool_memory = arm->pool_memory;
	cell.batches = arm->parent_bytes >= PARENT_LARGE ? 2 : arm->batches;
	grid_add(grid, &cell);
}

static void add_square(struct grid *grid, const char *backend, const char *variant, int64_t chunk)
{
	const struct arm arm = { backend, variant, "square", .chunk = chunk };

	add_arm(grid, &arm, square_tasks(&arm));
}

/* What one task costs, and P1 to P6. */
static void add_squares(struct grid *grid)
{
	const struct pool_backend_info *row;
	const char *shm = transport_row("shm");

	add_arm(grid, &(struct arm){ "loop", "map", "square", .workers = 1 }, 1000000);
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++) {
		add_square(grid, row->name, "map", 1);
		add_square(grid, row->name, "map", 0);
		add_square(grid, row->name, "imap", 1);
		add_square(grid, row->name, "apply", 0);
	}
	add_square(grid, shm, "imap_unordered", 1);
	add_arm(grid, &(struct arm){ shm, "apply", "square", .workers = 1 }, 1000);
	add_arm(grid, &(struct arm){ shm, "map", "square", .pool_memory = true }, 1000000);
	for (int64_t chunk = 16; chunk <= 4096; chunk *= grid->scale->level > 1 ? 4 : 16) {
		add_square(grid, shm, "map", chunk);
		add_square(grid, "openmp-dynamic", "map", chunk);
	}
	add_arm(grid, &(struct arm)COPY_ARM, 1000000 / COPY_SQUARES);
	add_square(grid, "openmp-dynamic", "map", 1);
	add_square(grid, "openmp-guided", "map", 1);
	add_square(grid, "openmp-static", "map", 0);
}

static void add_cpython(struct grid *grid)
{
	static const struct {
		const char *variant;
		int64_t chunk;
	} python[] = {
		{ "map", 1 }, { "map", 0 }, { "imap", 1 }, { "apply", 0 }, { "imap_unordered", 1 }
	};

	for (size_t i = 0; i < sizeof python / sizeof *python; i++)
		add_square(grid, "cpython-pool", python[i].variant, python[i].chunk);
	add_square(grid, "cpython-executor", "map", 1);
}

/* MPI hands out by a manager; xargs and GNU parallel start a shell for each task, and a batch is a whole command. */
static void add_launched(struct grid *grid)
{
	static const char *const commands[] = { "xargs", "parallel" };

	if (grid->scale->level == 0)
		return;
	add_square(grid, "mpi-pool", "map", 1);
	add_square(grid, "mpi-pool", "map", 0);
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		struct arm arm = { commands[i], "map", "square", .chunk = 1, .batches = 2 };
		add_arm(grid, &arm, peer_tasks(&arm));
	}
}

/* P6: the raw round trips carry what a task of square carries. */
static void add_trips(struct grid *grid)
{
	static const char *const names[] = { "raw-pipe", "raw-futex", "raw-spin" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		for (int cpus = 1; cpus <= 2; cpus++)
			add_arm(grid, &(struct arm){ names[i], "map", "noop", .workers = cpus },
				1000);
}

/* P7: a narrow stretch of the granularity experiment, around the bars. */
static void add_granularity(struct grid *grid)
{
	const char *const rows[] = { transport_row("shm"), transport_row("pipe") };

	for (int64_t work = 2048; work <= 131072; work *= 8)
		add_arm(grid, &(struct arm){ "forked", "map", "spin", .work = work },
			(uint64_t)(20000000 / work));
	for (size_t i = 0; i < 2; i++)
		for (int64_t work = 1; work <= 729; work *= 3) {
			add_arm(grid, &(struct arm){ rows[i], "map", "spin", .work = work },
				work < 100 ? 200000 : 10000);
			add_arm(grid,
				&(struct arm){ rows[i], "map", "spin", .chunk = 1, .work = work },
				work < 100 ? 200000 : 10000);
		}
}

static void add_opens(struct grid *grid, uint64_t parent_bytes)
{
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(PICK_PROCESSES, row);

	for (unsigned i = 0; i < count; i++) {
		struct arm arm = { row[i]->name, "open", "noop", .parent_bytes = parent_bytes };
		if (row[i]->can & POOL_CAN_EXEC || parent_bytes < PARENT_LARGE ||
		    strcmp(arm.backend, transport_row("shm")) == 0)
			add_arm(grid, &arm, 1);
	}
	add_arm(grid, &(struct arm){ "raw-fork", "map", "noop", .parent_bytes = parent_bytes }, 1);
}

/* P8: half of the free memory at most, because a forked child may write to what it shares. */
static void add_starts(struct grid *grid)
{
	static const uint64_t sizes[] = { MIB, 64 * MIB, 512 * MIB, 8192 * MIB };
	static const size_t counts[] = { 2, 3, 4 };
	uint64_t most = grid_memory_available() / 2;

	add_arm(grid, &(struct arm){ "raw-keeper", "map", "noop", .parent_bytes = MIB }, 1);
	for (size_t i = 0; i < counts[grid->scale->level]; i++)
		if (i == 0 || sizes[i] <= most)
			add_opens(grid, sizes[i]);
}

/* P9 */
static void add_skewed(struct grid *grid)
{
	static const int64_t chunks[] = { 0, 8, 1, 64 };
	static const size_t counts[] = { 2, 4, 4 };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned pick = grid->scale->level > 1 ? PICK_PROCESSES | PICK_THREADS : PICK_TRANSPORTS;
	unsigned count = grid_rows(pick, row);

	add_arm(grid, &(struct arm){ "raw-list", "map", "skew", .chunk = 0 }, 10000);
	for (unsigned i = 0; i < count; i++)
		for (size_t k = 0; k < counts[grid->scale->level]; k++)
			add_arm(grid,
				&(struct arm){ row[i]->name, "map", "skew", .chunk = chunks[k] },
				10000);
}

/* P10 */
static void add_payload(struct grid *grid)
{
	const char *shm = transport_row("shm"), *pipe = transport_row("pipe");
	struct arm raw = { "raw-stream", "map", "stream", .payload_bytes = MIB };

	add_arm(grid, &(struct arm){ "forked", "map", "stream", .payload_bytes = MIB }, 32);
	add_arm(grid,
		&(struct arm){ shm, "map", "stream", .payload_bytes = MIB, .pool_memory = true },
		32);
	for (raw.workers = 1; raw.workers <= 2; raw.workers++)
		add_arm(grid, &raw, 32);
	add_arm(grid, &(struct arm){ pipe, "map", "stream", .payload_bytes = MIB }, 32);
}

/* P11: a serial pass of each lasts some ten milliseconds. */
static void add_loads(struct grid *grid)
{
	static const struct {
		const char *name;
		int64_t work;
		uint64_t tasks;
	} loads[] = { { "primes", 500, 800 }, { "mandelbrot", 1, 192 }, { "matmul", 4, 32 } };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(grid->scale->level > 1 ? PICK_PROCESSES : PICK_TRANSPORTS, row);

	for (size_t i = 0; i < sizeof loads / sizeof *loads; i++) {
		struct arm arm = { "forked", "map", loads[i].name, .work = loads[i].work };
		add_arm(grid, &arm, loads[i].tasks);
		for (unsigned k = 0; k < count; k++) {
			arm.backend = row[k]->name;
			add_arm(grid, &arm, loads[i].tasks);
		}
		arm.backend = "openmp-dynamic";
		arm.chunk = 1;
		add_arm(grid, &arm, loads[i].tasks);
	}
}

/* P12: a million items, a hundred times. One call takes ten seconds, so only where there is an hour. */
static void add_lazy(struct grid *grid)
{
	static const char *const transports[] = { "shm", "pipe" };

	for (size_t i = 0; i < 2 && grid->scale->level > 1; i++) {
		char name[NAME_SIZE];
		snprintf(name, sizeof name, "lazy100-%.20s", transport_row(transports[i]));
		struct cell cell = grid_cell(grid, name, "imap", "noop");
		if (!grid_can_measure(name))
			continue;
		cell.workers = PEERS_WORKERS;
		cell.tasks = 1000000;
		cell.batches = 1;
		cell.batch_ns = 1;
		grid_add(grid, &cell);
	}
}

static int peers_grid(struct plan *plan, const struct scale *scale)
{
	struct grid grid = { plan, scale, 0 };

	add_squares(&grid);
	add_cpython(&grid);
	add_launched(&grid);
	add_trips(&grid);
	add_granularity(&grid);
	add_starts(&grid);
	add_skewed(&grid);
	add_payload(&grid);
	add_loads(&grid);
	add_lazy(&grid);
	return grid.rc;
}

/*
 * == What one task costs ==
 */

/* How a subject of the figure is measured through each of its calls; NULL: it has no such call. */
struct subject {
	const char *name;
	const char *whole, *one; /* backends of map, as it comes by default and at chunk 1 */
	const char *lazy;	 /* imap and apply */
};

static const char *const calls[] = { "map, default chunk", "map, chunk 1", "imap, chunk 1",
				     "apply" };

static struct arm subject_arm(const struct subject *subject, int call)
{
	const char *const backends[] = { subject->whole, subject->one, subject->lazy,
					 subject->lazy };
	static const char *const variants[] = { "map", "map", "imap", "apply" };

	return (struct arm){ backends[call], variants[call], "square", call == 1 || call == 2,
			     .workers = strcmp(subject->name, "serial loop") == 0 };
}

static void write_subject(FILE *file, const struct groups *groups, const struct subject *subject)
{
	bool any = false;

	for (int i = 0; i < 4; i++) {
		struct arm arm = subject_arm(subject, i);
		const struct group *g = arm.backend ? arm_group(groups, &arm) : NULL;
		if (g == NULL)
			continue;
		struct interval ns = group_ns(g);
		fprintf(file, "%s\t%s", subject->name, calls[i]);
		put_interval(file, &ns);
		fprintf(file, "\t%zu\tmeasured\n", g->count);
		any = true;
	}
	const struct peer *peer = peer_find(subject->one ? subject->one : "");
	if (!any && peer != NULL)
		fprintf(file, "%s\t-\t?\t?\t?\t0\tnot measured: needs package %s\n", subject->name,
			peer->package);
}

static int write_costs(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "peers");
	const struct pool_backend_info *row;

	if (!file)
		return -errno;
	fputs("who\tcall\tns_per_task\tlow\thigh\trounds\tnote\n", file);
	write_subject(file, groups, &(struct subject){ "serial loop", "loop", NULL, NULL });
	write_subject(file, groups,
		      &(struct subject){ "OpenMP", "openmp-static", "openmp-dynamic", NULL });
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		write_subject(file, groups,
			      &(struct subject){ row->name, row->name, row->name, row->name });
	write_subject(file, groups,
		      &(struct subject){ "CPython Pool", "cpython-pool", "cpython-pool",
					 "cpython-pool" });
	write_subject(file, groups,
		      &(struct subject){ "CPython Executor", NULL, "cpython-executor", NULL });
	write_subject(file, groups, &(struct subject){ "MPI", "mpi-pool", "mpi-pool", NULL });
	write_subject(file, groups, &(struct subject){ "xargs", NULL, "xargs", NULL });
	write_subject(file, groups, &(struct subject){ "GNU parallel", NULL, "parallel", NULL });
	return table_close(file);
}

/*
 * == The finding ==
 */

/* "<before><time> (95 % interval <low> to <high>)"; nothing where there are no rows. */
static size_t put_cost(const struct groups *groups, const char *backend, const char *before,
		       char *text, size_t size)
{
	const struct group *g =
		arm_group(groups, &(struct arm){ backend, "map", "square", .chunk = 1 });
	struct interval ns = g ? group_ns(g) : (struct interval){ 0 };
	char mid[24], low[24], high[24];

	if (g == NULL)
		return 0;
	if (ns.level == 0)
		return (size_t)snprintf(text, size, "%s%s (too few rounds for an interval)", before,
					time_text(ns.mid, mid));
	return (size_t)snprintf(text, size, "%s%s (%s to %s)", before, time_text(ns.mid, mid),
				time_text(ns.low, low), time_text(ns.high, high));
}

static int bars_text(const struct bars *bars, enum verdict verdict, const char *name, char *text,
		     size_t size)
{
	int used = 0, count = 0;

	for (size_t i = 0; i < bars->count; i++)
		count += bars->bar[i].verdict == verdict;
	if (count == 0)
		return 0;
	used = snprintf(text, size, "; %s:", name);
	for (size_t i = 0; i < bars->count; i++)
		if (bars->bar[i].verdict == verdict)
			used += snprintf(text + used, size - (size_t)used, " %s", bars->bar[i].bar);
	return used;
}

static void find(struct derivation *d, const struct groups *groups, const struct bars *bars)
{
	const char *shm = transport_row("shm");
	char *text = d->finding, lead[96];
	size_t size = sizeof d->finding, used;

	snprintf(lead, sizeof lead, "On this machine, a task of map at chunk 1 costs by %s ", shm);
	used = put_cost(groups, shm, lead, text, size);
	if (used == 0) {
		snprintf(text, size, "The rows do not tell what a task costs beside its peers.");
		return;
	}
	used += put_cost(groups, "openmp-dynamic", ", by OpenMP ", text + used, size - used);
	used += put_cost(groups, "cpython-pool", ", by CPython's Pool ", text + used, size - used);
	used += (size_t)snprintf(text + used, size - used, "; in brackets 95 %% intervals.");
	if (bars->count == 0)
		return;
	size_t met = 0;
	for (size_t i = 0; i < bars->count; i++)
		met += bars->bar[i].verdict == BAR_MET;
	used += (size_t)snprintf(text + used, size - used, " Of %zu bars %zu are met in all parts",
				 bars->count, met);
	for (enum verdict v = BAR_NOT_MET; v > BAR_MET; v--)
		used += (size_t)bars_text(bars, v, verdict_text(v), text + used, size - used);
	snprintf(text + used, size - used, ".");
}

static int peers_derive(struct derivation *d)
{
	struct groups groups;
	struct bars bars = { .count = 0 };
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_costs(d, &groups);
	if (rc == 0)
		rc = peers_bars(d, &groups, &bars);
	attempts_keep_right(&groups, d->attempts);
	if (rc == 0)
		find(d, &groups, &bars);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_peers = {
	.name = "peers",
	.title = "Beside what others do",
	.claim = "What does one task cost, from a serial loop to CPython, and which bars are met?",
	.reading = "A row is somebody who squares integers, a million or as many as take some "
		   "milliseconds; further left is cheaper. The axis is logarithmic: a grid line "
		   "is ten times its left neighbour. All were measured in the same rounds, with 2 "
		   "workers. The table of bars gives ratios taken within rounds.",
	.grid = peers_grid,
	.derive = peers_derive,
	.on_request = true,
};
