/*
 * variant.c - the eight ways to run a whole workload through a pool, and opening one.
 *
 * DESIGN. Each function takes the same input to the same place, so that times can be compared. A failure's message goes to
 * bench->why because handles and iterators take theirs with them.
 */
#include "harness/bench.h"
#include "harness/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Handles alive at a time: a program with a million of them would measure the allocator. */
#define SLICE 1000

static void tell(struct bench *b, const struct pool_failure *failure)
{
	if (failure != NULL && failure->message != NULL)
		snprintf(b->why, sizeof b->why, "item %" PRIu64 ": %s", failure->index,
			 failure->message);
}

static int told(struct bench *b, int rc)
{
	if (rc < 0)
		tell(b, &b->failure);
	pool_failure_clear(&b->failure);
	return rc;
}

/* `count` results of a call are there. */
static void note_results(struct bench *b, uint64_t count, int64_t begin_ns)
{
	if (count == 1)
		b->first_ns += clock_now_ns() - begin_ns;
	if (b->probe != NULL)
		probe_delivered(b->probe, count);
}

static void *result_at(const struct bench *b, void *results, uint64_t i)
{
	return (char *)results + i * b->work.result_size;
}

/* One element of each column: item i's arguments. */
static void arguments(const struct bench *b, uint64_t i, struct pool_column *args)
{
	for (unsigned k = 0; k < b->work.columns; k++) {
		uint64_t size = b->column[k].size;
		uint64_t stride = size == POOL_VARIABLE ? sizeof(struct pool_bytes) : size;
		args[k] =
			(struct pool_column){ (const char *)b->column[k].data + i * stride, size };
	}
}

/*
 * == Blocking ==
 */

static int call_apply(struct bench *b, void *results)
{
	struct pool_column args[POOL_COLUMNS_MAX];
	int64_t begin = clock_now_ns();

	for (uint64_t i = 0; i < b->work.tasks; i++) {
		arguments(b, i, args);
		int rc = pool_apply(b->pool, b->work.load->task, args, b->work.columns,
				    result_at(b, results, i), b->work.result_size, &b->policy);
		if (rc < 0)
			return told(b, rc);
		note_results(b, i + 1, begin);
	}
	return 0;
}

static int call_map(struct bench *b, void *results)
{
	return told(b, pool_map(b->pool, b->work.load->task, b->column[0].data, b->column[0].size,
				b->work.tasks, results, b->work.result_size, &b->policy));
}

static int call_starmap(struct bench *b, void *results)
{
	return told(b, pool_starmap(b->pool, b->work.load->task, b->column, b->work.columns,
				    b->work.tasks, results, b->work.result_size, &b->policy));
}

/*
 * == Asynchronous ==
 */

static int collect(struct bench *b, struct pool_async *async, void *results)
{
	int rc = pool_async_get(async, results, POOL_FOREVER);

	if (rc < 0)
		tell(b, pool_async_failure(async));
	pool_async_release(async);
	return rc;
}

static int submit(struct bench *b, uint64_t i, struct pool_async **async)
{
	struct pool_column args[POOL_COLUMNS_MAX];

	arguments(b, i, args);
	return pool_apply_async(b->pool, b->work.load->task, args, b->work.columns,
				b->work.result_size, &b->policy, async);
}

/* Submits items begin..end-1, then collects them; after a failure the rest is collected all the same. */
static int apply_slice(struct bench *b, uint64_t begin, uint64_t end, void *results)
{
	struct pool_async *async[SLICE];
	uint64_t submitted = begin;
	int64_t begin_ns = clock_now_ns();
	int rc = 0;

	for (; rc == 0 && submitted < end; submitted += rc == 0)
		rc = submit(b, submitted, &async[submitted - begin]);
	for (uint64_t i = begin; i < submitted; i++) {
		int got = collect(b, async[i - begin], result_at(b, results, i));
		rc = rc ? rc : got;
		note_results(b, i + 1, begin_ns);
	}
	return rc;
}

static int call_apply_async(struct bench *b, void *results)
{
	uint64_t tasks = b->work.tasks;
	int rc = 0;

	for (uint64_t begin = 0; rc == 0 && begin < tasks; begin += SLICE)
		rc = apply_slice(b, begin, begin + SLICE < tasks ? begin + SLICE : tasks, results);
	return rc;
}

static int call_map_async(struct bench *b, void *results)
{
	struct pool_async *async;
	int rc = pool_map_async(b->pool, b->work.load->task, b->column[0].data, b->column[0].size,
				b->work.tasks, b->work.result_size, &b->policy, &async);

	return rc < 0 ? rc : collect(b, async, results);
}

static int call_starmap_async(struct bench *b, void *results)
{
	struct pool_async *async;
	int rc = pool_starmap_async(b->pool, b->work.load->task, b->column, b->work.columns,
				    b->work.tasks, b->work.result_size, &b->policy, &async);

	return rc < 0 ? rc : collect(b, async, results);
}

/*
 * == Lazy ==
 */

/* Results in input order go straight to their place; the iterator must agree that it is theirs. */
static int next_ordered(struct bench *b, struct pool_iter *iter, uint64_t i, void *results)
{
	int rc = pool_iter_next(iter, result_at(b, results, i), POOL_FOREVER);

	if (rc != 0 || pool_iter_index(iter) == i)
		return rc;
	snprintf(b->why, sizeof b->why, "imap gave item %" PRIu64 " where %" PRIu64 " was next",
		 pool_iter_index(iter), i);
	return POOL_DECODE_ERROR;
}

static int next_unordered(struct bench *b, struct pool_iter *iter, uint64_t i, void *results)
{
	int rc = pool_iter_next(iter, b->item, POOL_FOREVER);
	uint64_t index = rc == 0 ? pool_iter_index(iter) : 0;

	(void)i;
	if (rc != 0)
		return rc;
	if (index >= b->work.tasks) {
		snprintf(b->why, sizeof b->why, "imap_unordered gave item %" PRIu64, index);
		return POOL_DECODE_ERROR;
	}
	memcpy(result_at(b, results, index), b->item, b->work.result_size);
	return 0;
}

typedef int next_fn(struct bench *b, struct pool_iter *iter, uint64_t i, void *results);

/* Exactly `tasks` results, then the end. */
static int drain(struct bench *b, struct pool_iter *iter, next_fn *next, int64_t begin_ns,
		 void *results)
{
	for (uint64_t i = 0; i < b->work.tasks; i++) {
		int rc = next(b, iter, i, results);
		if (rc < 0)
			tell(b, pool_iter_failure(iter));
		if (rc != 0)
			return rc;
		note_results(b, i + 1, begin_ns);
	}
	return pool_iter_next(iter, b->item, POOL_FOREVER) == POOL_END ? 0 : POOL_DECODE_ERROR;
}

static struct pool_source source(const struct bench *b)
{
	return pool_columns(b->column, b->work.columns, b->work.tasks);
}

static int call_imap(struct bench *b, void *results)
{
	struct pool_iter *iter;
	int64_t begin = clock_now_ns();
	int rc = pool_imap(b->pool, b->work.load->task, source(b), b->work.result_size, &b->policy,
			   &iter);

	if (rc < 0)
		return rc;
	rc = drain(b, iter, next_ordered, begin, results);
	pool_iter_release(iter);
	return rc;
}

static int call_imap_unordered(struct bench *b, void *results)
{
	struct pool_iter *iter;
	int64_t begin = clock_now_ns();
	int rc = pool_imap_unordered(b->pool, b->work.load->task, source(b), b->work.result_size,
				     &b->policy, &iter);

	if (rc < 0)
		return rc;
	rc = drain(b, iter, next_unordered, begin, results);
	pool_iter_release(iter);
	return rc;
}

/*
 * == Opening ==
 */

int variant_open(struct bench *b, void *results)
{
	struct pool *pool;
	int rc = pool_open(&pool, &b->options);

	(void)results;
	if (rc < 0)
		return rc;
	rc = pool_close(pool);
	if (rc == 0)
		rc = pool_join(pool, POOL_FOREVER);
	pool_destroy(pool);
	return rc;
}

static const struct variant variants[] = {
	{ "apply", "one call after another, each waited for", call_apply, false },
	{ "apply_async", "all calls submitted, then all collected", call_apply_async, false },
	{ "map", "one array in, one array out", call_map, true },
	{ "map_async", "the same through a handle", call_map_async, true },
	{ "starmap", "several arrays in, one array out", call_starmap, false },
	{ "starmap_async", "the same through a handle", call_starmap_async, false },
	{ "imap", "lazy input, results in order", call_imap, false },
	{ "imap_unordered", "lazy input, results as they come", call_imap_unordered, false },
	{ "open", "no work: opening and ending a pool, time per worker", variant_open, false },
};

const struct variant *variant_at(unsigned i)
{
	return i < sizeof variants / sizeof variants[0] ? &variants[i] : NULL;
}

const struct variant *variant_find(const char *name)
{
	const struct variant *variant;

	for (unsigned i = 0; (variant = variant_at(i)) != NULL; i++)
		if (strcmp(variant->name, name) == 0)
			return variant;
	return NULL;
}
