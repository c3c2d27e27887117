/*
 * cell.c - one cell from its names to its samples.
 *
 * DESIGN. Everything outside the pool calls is outside the clock: input, expected results, the pool's opening. This file
 * prepares and gives back; batch.c measures.
 */
#include "harness/cell.h"
#include "harness/bench.h"
#include "harness/clock.h"
#include "harness/syscalls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Room for the results of one lap (or of one call, if that is more): stays within a second-level cache. */
#define ARENA_BYTES (UINT64_C(512) << 10)
#define SLOTS_MAX 4096
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older ones refuse it */
#endif
/* A serial loop shorter than this is repeated, because its first run pays for cold memory. */
#define SERIAL_COLD_NS (100 * NS_PER_MS)
#define SERIAL_TIME_NS (20 * NS_PER_MS)
/* Items that are enough where the loop only waits. */
#define SERIAL_WAITS 4

/*
 * == Preparation ==
 */

static void *map_memory(size_t bytes, int sharing)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int size_arena(struct bench *b)
{
	size_t bytes;

	if (__builtin_mul_overflow(b->work.tasks, b->work.result_size, &bytes))
		return -ENOMEM;
	b->call_bytes = bytes;
	b->slots = bytes ? ARENA_BYTES / bytes : SLOTS_MAX;
	if (b->slots < 1)
		b->slots = 1;
	if (b->slots > SLOTS_MAX)
		b->slots = SLOTS_MAX;
	b->arena_bytes = bytes ? b->slots * bytes : 1;
	return 0;
}

static int map_arena(struct bench *b)
{
	bool shared = b->baseline != NULL && b->baseline->shared;

	if (b->cell->pool_memory)
		return 0; /* it comes from the pool, once that is open */
	b->arena = map_memory(b->arena_bytes, shared ? MAP_SHARED : MAP_PRIVATE);
	if (b->arena == NULL)
		return -ENOMEM;
	memset(b->arena, POISON, b->arena_bytes);
	return 0;
}

static int enlarge_parent(struct bench *b)
{
	if (b->cell->parent_bytes == 0)
		return 0;
	b->parent = map_memory(b->cell->parent_bytes, MAP_PRIVATE);
	if (b->parent == NULL)
		return -ENOMEM;
	b->parent_bytes = b->cell->parent_bytes;
	/* One call for all pages: a fault for each takes four times as long on a virtual machine. */
	if (madvise(b->parent, b->parent_bytes, MADV_POPULATE_WRITE) < 0)
		memset(b->parent, 1, b->parent_bytes);
	return 0;
}

static int move_column(struct bench *b, unsigned k)
{
	const struct pool_column *column = &b->work.column[k];
	size_t bytes = b->work.tasks * column->size;
	void *memory = pool_alloc(b->pool, bytes);

	if (memory == NULL)
		return -ENOMEM;
	memcpy(memory, column->data, bytes);
	b->column[k].data = memory;
	return 0;
}

/* Freed with the pool. */
static int move_into_pool(struct bench *b)
{
	for (unsigned k = 0; k < b->work.columns; k++) {
		int rc = move_column(b, k);
		if (rc < 0)
			return rc;
	}
	b->arena = pool_alloc(b->pool, b->arena_bytes);
	if (b->arena == NULL)
		return -ENOMEM;
	memset(b->arena, POISON, b->arena_bytes);
	return 0;
}

/* A pool that is opened only to see that pools opened like this work. */
static int prove_open(struct bench *b)
{
	int64_t ns;
	int rc = pool_open(&b->pool, &b->options);

	if (rc < 0)
		return rc;
	b->call = variant_find("starmap")->call;
	b->has_results = true;
	rc = bench_lap(b, 1, &ns);
	pool_destroy(b->pool);
	b->pool = NULL;
	b->call = variant_open;
	b->has_results = false;
	return rc;
}

static int start_pool(struct bench *b)
{
	int rc = pool_open(&b->pool, &b->options);

	if (rc < 0)
		return rc;
	b->call = variant_find(b->cell->variant)->call;
	return b->cell->pool_memory ? move_into_pool(b) : 0;
}

static int start(struct bench *b)
{
	if (b->baseline != NULL)
		return b->baseline->start(b);
	if (strcmp(b->cell->variant, "open") == 0) {
		b->per_call = b->cell->workers;
		return prove_open(b);
	}
	return start_pool(b);
}

static void finish(struct bench *b)
{
	bool own = b->arena != NULL && !b->cell->pool_memory;

	if (b->baseline != NULL && b->baseline->stop != NULL)
		b->baseline->stop(b);
	forked_stop(b->forked);
	pool_destroy(b->pool);
	if (own)
		munmap(b->arena, b->arena_bytes);
	if (b->parent != NULL)
		munmap(b->parent, b->parent_bytes);
	free(b->item);
	probe_free(b->probe);
	syscalls_free(b->syscalls);
	if (b->work.load != NULL)
		work_close(&b->work);
}

/*
 * == The serial loop ==
 */

/* Waits do not warm up and are as long for the last item as for the first. */
static int time_waits(struct bench *b, double *ns_per_task)
{
	uint64_t items = b->work.tasks < SERIAL_WAITS ? b->work.tasks : SERIAL_WAITS;
	int64_t begin = clock_now_ns();
	int rc = 0;

	for (uint64_t i = 0; rc == 0 && i < items; i++)
		rc = b->work.load->serial(&b->work, i, i + 1, b->item);
	*ns_per_task = (double)(clock_now_ns() - begin) / (double)items;
	return rc ? rc : work_expect(&b->work);
}

static int time_serial(struct bench *b, double *ns_per_task)
{
	int64_t begin = clock_now_ns(), elapsed;
	uint64_t loops = 0;
	int rc;

	if (b->work.load->expect != NULL)
		return time_waits(b, ns_per_task);
	rc = work_expect(&b->work);
	elapsed = clock_now_ns() - begin;
	if (rc != 0 || elapsed >= SERIAL_COLD_NS || b->arena == NULL || !b->has_results) {
		*ns_per_task = (double)elapsed / (double)b->work.tasks;
		return rc;
	}
	begin = clock_now_ns();
	do {
		rc = b->work.load->serial(&b->work, 0, b->work.tasks, b->arena);
		loops++;
		elapsed = clock_now_ns() - begin;
	} while (rc == 0 && elapsed < SERIAL_TIME_NS && elapsed < b->cell->batch_ns);
	*ns_per_task = (double)elapsed / (double)(loops * b->work.tasks);
	return rc;
}

/*
 * == From a cell to a record ==
 */

static int open_work(struct bench *b, const struct cell_setup *setup, char *why, size_t why_size)
{
	const struct cell *cell = b->cell;
	const struct work_options options = {
		.tasks = cell->tasks,
		.work = cell->work,
		.payload_bytes = cell->payload_bytes,
		.tree = setup->tree,
		.seed = setup->seed,
	};
	int rc = work_open(&b->work, workload_find(cell->workload), &options, why, why_size);

	if (rc == 0)
		memcpy(b->column, b->work.column, sizeof b->column);
	return rc;
}

/* What only an opened workload can tell. */
static int check_work(const struct bench *b, char *why, size_t why_size)
{
	const struct variant *variant = variant_find(b->cell->variant);

	if (variant->one_column && b->work.columns != 1 && !cell_is_baseline(b->cell->backend)) {
		snprintf(why, why_size,
			 "workload '%s' takes %u arguments, %s gives one: use starmap%s, imap or "
			 "apply",
			 b->cell->workload, b->work.columns, variant->name,
			 strcmp(variant->name, "map") == 0 ? "" : "_async");
		return -EINVAL;
	}
	for (unsigned k = 0; b->cell->pool_memory && k < b->work.columns; k++)
		if (b->work.column[k].size == POOL_VARIABLE) {
			snprintf(why, why_size,
				 "workload '%s' has inputs of variable size: --memory must be own",
				 b->cell->workload);
			return -EINVAL;
		}
	return 0;
}

static void set_options(struct bench *b)
{
	const struct cell *cell = b->cell;

	b->baseline = baseline_find(cell->backend);
	b->options = (struct pool_options){ .backend = cell->backend, .workers = cell->workers };
	b->policy = (struct pool_policy){ .chunk = cell->chunk,
					  .window = cell->window,
					  .failure = &b->failure };
	b->per_call = (double)b->work.tasks;
	b->has_results = true;
}

static int prepare(struct bench *b, struct record *record)
{
	int rc;

	set_options(b);
	b->item = malloc(b->work.result_size + 1);
	rc = b->item ? size_arena(b) : -ENOMEM;
	if (rc == 0)
		rc = map_arena(b);
	if (rc == 0)
		rc = time_serial(b, &record->serial_ns_per_task);
	if (rc == 0)
		rc = enlarge_parent(b);
	if (rc == 0)
		rc = probe_new(&b->probe, b);
	if (rc == 0 && strcmp(b->cell->probe, "syscalls") == 0)
		syscalls_new(
			&b->syscalls); /* where that fails the row says -1; before workers are started */
	return rc ? rc : start(b);
}

static void explain(struct record *record, const struct bench *b, int rc)
{
	const char *what = rc == -EBADMSG ? "wrong result" : pool_strerror(rc);

	snprintf(record->error, sizeof record->error, "%s%s%.200s", what, b->why[0] ? ": " : "",
		 b->why);
}

static int64_t wall_clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000 + now.tv_nsec / NS_PER_MS;
}

enum cell_outcome cell_measure(const struct cell *cell, const struct cell_setup *setup,
			       struct record *record)
{
	struct bench b = { .cell = &record->cell };
	int rc;

	*record = (struct record){ .cell = *cell,
				   .start_ms = wall_clock_ms(),
				   .clock_ns = clock_cost_ns(),
				   .system_calls = -1 };
	if (cell_check(cell, record->error, sizeof record->error) < 0 ||
	    open_work(&b, setup, record->error, sizeof record->error) < 0)
		return CELL_REFUSED;
	rc = check_work(&b, record->error, sizeof record->error);
	if (rc < 0) {
		work_close(&b.work);
		return CELL_REFUSED;
	}
	record->cell.tasks = b.work.tasks;
	rc = prepare(&b, record);
	if (rc == 0)
		rc = bench_measure(&b, record);
	if (rc != 0)
		explain(record, &b, rc);
	record->verified = rc == 0;
	finish(&b);
	return rc == 0 ? CELL_DONE : CELL_FAILED;
}
