/*
 * imap.c - the lazy variants: a window of cells between an input that is read on demand and results
 * that leave one by one.
 *
 * DESIGN. The window is a ring of tiles, each one claim's worth of cells. next() first refills free
 * tiles from the input, then looks for a result: in input order imap looks at one cell only,
 * imap_unordered takes cells in the order in which they were resolved. A tile is free again when
 * all its results have left, so items read and not yet returned never exceed the window, and a slow
 * item in imap_unordered holds one tile, not the ring.
 *
 * Refilling waits until a quarter of the window is free, unless workers are about to run dry and
 * there is nothing to return meanwhile: a tile at a time would cost a wake-up each. For the same
 * reason next() looks under the lock how many results it can return, and takes that many without
 * it: those cells are the iterator's own by then. An input that takes long to read is not waited for
 * while workers or the caller could have what was read: see refill.
 */
#include "pools/imap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
	WINDOW_BYTES = 4 << 20,
	WINDOW_MOST = 4096,
	CLAIMS_AHEAD = 4,
	CELL_BYTES = 64,       /* what the ring itself takes for a cell */
	VARIABLE_BYTES = 4096, /* a guess */
	CELLS_MOST = 1 << 30,  /* a cell's number has 32 bits */
};

/* ---- opening ---- */

static uint64_t item_bytes(const struct pool_job *job)
{
	const bool variable = job->variable & POOL_VARIABLE_RESULT;
	uint64_t bytes = CELL_BYTES + (variable ? VARIABLE_BYTES : 0);
	bool too_many = !variable && __builtin_add_overflow(bytes, job->result_size, &bytes);
	for (unsigned k = 0; k < job->columns; k++) {
		const uint64_t size = job->column[k].size;
		too_many |=
			__builtin_add_overflow(bytes, size == POOL_VARIABLE ? VARIABLE_BYTES : size,
					       &bytes);
	}
	return too_many ? UINT64_MAX : bytes;
}

/* As large as WINDOW_BYTES allow, since each refill costs wake-ups; but work for all workers, and not without end. */
static uint64_t default_window(const struct pool_job *job)
{
	const uint64_t least = CLAIMS_AHEAD * (uint64_t)job->pool->workers * job->chunk;
	uint64_t window = WINDOW_BYTES / item_bytes(job);
	if (window > WINDOW_MOST)
		window = WINDOW_MOST;
	return window < least ? least : window;
}

/* An array takes no more than its length, however large a chunk is asked for. */
static void set_window(struct pool_job *job, const struct pool_policy *policy,
		       const struct pool_source *source)
{
	uint64_t window = policy ? (uint64_t)policy->window : 0;
	const uint64_t most = source->next ? CELLS_MOST : source->count;
	uint64_t chunk = job->chunk < most ? job->chunk : most;
	if (chunk == 0)
		chunk = 1;
	job->chunk = chunk;
	if (window == 0)
		window = default_window(job);
	if (window < chunk)
		window = chunk;
	if (window > most && window > WINDOW_MOST)
		window = (most / chunk + 1) * chunk;
	if (window > CELLS_MOST)
		window = CELLS_MOST;
	job->tiles = window / chunk;
}

static struct pool_iter *iter_new(struct pool *pool, const struct map_call *call,
				  const struct pool_source *source)
{
	struct pool_iter *it = calloc(1, sizeof *it);
	if (!it)
		return NULL;
	pool_ref(pool);
	it->pool = pool;
	it->source = *source;
	it->attached = true;
	it->job = map_job(pool, call);
	if (it->job) {
		it->job->stream = true;
		it->job->owner = it;
		set_window(it->job, call->policy, source);
	}
	return it;
}

static void iter_free(struct pool_iter *it)
{
	if (it->job && it->attached)
		ring_close(it);
	job_free(it->job);
	pool_failure_clear(&it->failure);
	pool_unref(it->pool);
	free(it);
}

static bool has_place(void *what)
{
	return ((const struct pool *)what)->streams < POOL_ITERATORS_MAX;
}

/* Released iterations may have come to their end without anybody having looked. */
static int iter_start(struct pool_iter *it)
{
	struct pool *pool = it->pool;
	int rc = pool->backend->transport->prepare(pool->transport, it->job);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&pool->lock);
	const bool place = pump_wait(pool, has_place, pool, 0) == 0;
	rc = pool_accepts(pool);
	if (rc == 0 && !place)
		rc = -EMFILE;
	if (rc == 0) {
		job_submit(it->job);
		pool->streams++;
		job_to_background(it->job, it->source.next != NULL);
	}
	pthread_mutex_unlock(&pool->lock);
	if (rc < 0)
		pool->backend->transport->collect(pool->transport, it->job);
	return rc;
}

/* A generator has no data to check. */
static int check(struct pool *pool, struct map_call *call, const struct pool_source *source)
{
	static const char some[1];
	struct pool_column column[POOL_COLUMNS_MAX];
	if (source->columns < 1 || source->columns > POOL_COLUMNS_MAX)
		return -EINVAL;
	memcpy(column, source->column, sizeof column);
	for (unsigned k = 0; source->next && k < source->columns; k++)
		column[k].data = some;
	struct map_call checked = *call;
	checked.args = column;
	checked.n = source->next ? 0 : source->count;
	return map_check(pool, &checked);
}

static int run(struct pool *pool, struct map_call call, const struct pool_source *source,
	       bool ordered, struct pool_iter **iter)
{
	call.args = source->column;
	call.columns = source->columns;
	int rc = check(pool, &call, source);
	if (rc < 0 || !iter)
		return rc < 0 ? rc : -EINVAL;
	struct pool_iter *it = iter_new(pool, &call, source);
	if (!it)
		return -ENOMEM;
	it->ordered = ordered;
	rc = it->job && ring_open(it->job, source) ? iter_start(it) : -ENOMEM;
	if (rc < 0) {
		iter_free(it);
		return rc;
	}
	pthread_mutex_lock(&pool->lock);
	refill(it, 0);
	pthread_mutex_unlock(&pool->lock);
	*iter = it;
	return 0;
}

int pool_imap(struct pool *pool, const struct pool_task *task, struct pool_source source,
	      uint64_t result_size, const struct pool_policy *policy, struct pool_iter **iter)
{
	return run(pool, (struct map_call){ task, NULL, 0, 0, result_size, policy }, &source, true,
		   iter);
}

int pool_imap_unordered(struct pool *pool, const struct pool_task *task, struct pool_source source,
			uint64_t result_size, const struct pool_policy *policy,
			struct pool_iter **iter)
{
	return run(pool, (struct map_call){ task, NULL, 0, 0, result_size, policy }, &source, false,
		   iter);
}

/* ---- results ---- */

/* The cell behind this one in the order of the input: that of the next tile when it is its tile's last. */
static uint64_t cell_behind(const struct pool_job *job, uint64_t cell)
{
	const uint64_t k = pool_tile_of(job, cell), next = (k + 1) * job->chunk,
		       behind = cell + 1 == k * job->chunk + job->tile[k].count ? next : cell + 1;
	return behind == job->count ? 0 : behind;
}

static void advance(struct pool_iter *it, uint64_t cell)
{
	struct pool_job *job = it->job;
	struct pool_tile *tile = &job->tile[pool_tile_of(job, cell)];
	job->cell_done[cell] = 0;
	if (it->ordered)
		it->want = cell_behind(job, cell);
	it->index = pool_cell_index(job, cell);
	it->taken++;
	it->returned++;
	for (unsigned k = 0; k < job->columns; k++)
		if (job->column[k].size == POOL_VARIABLE)
			free_argument(job, k, cell);
	if (--tile->left == 0)
		tile->count = 0;
}

static void take_result(struct pool_job *job, uint64_t cell, int status, void *result)
{
	if (!(job->variable & POOL_VARIABLE_RESULT)) {
		if (status == 0 && result && job->result_size)
			memcpy(result, (char *)job->results + cell * job->result_size,
			       job->result_size);
		return;
	}
	struct pool_bytes *bytes = (struct pool_bytes *)job->results + cell;
	if (status == 0 && result)
		*(struct pool_bytes *)result = *bytes;
	else
		free(bytes->data);
	*bytes = (struct pool_bytes){ NULL, 0 };
}

static int take_cell(struct pool_iter *it, uint64_t cell, void *result)
{
	struct pool_job *job = it->job;
	int status = job_status_at(job, cell);
	take_result(job, cell, status, result);
	advance(it, cell);
	if (status) {
		job->status[cell] = 0;
		it->failure = (struct pool_failure){ .status = status, .index = it->index };
		if (job->detail && job->detail[cell].status) {
			it->failure = job->detail[cell];
			job->detail[cell] = (struct pool_failure){ 0 };
		}
		if (!it->failure.message)
			it->failure.message = strdup("");
	}
	if (job->attempts)
		job->attempts[cell] = 0;
	return status;
}

/* Everything read has been returned and the input gives no more. */
static int end_of(struct pool_iter *it)
{
	int rc = it->input_error ? it->input_error : POOL_END;
	it->input_error = 0;
	return rc;
}

/* Said once, as any error of the whole iteration: who reads on until POOL_END comes to an end. */
static int terminated(struct pool_iter *it)
{
	bool told = it->told || (it->ended && it->read == it->returned && !it->input_error);
	it->told = true;
	return told ? POOL_END : POOL_TERMINATED;
}

/* How many results stand ready from here on; few enough that refilling does not fall behind. */
static uint64_t count_ready(const struct pool_iter *it)
{
	const struct pool_job *job = it->job;
	const uint64_t most = job->count / 8 + 1;
	uint64_t ready = 0;
	if (!it->ordered)
		ready = job->arrivals - it->taken;
	for (uint64_t cell = it->want;
	     it->ordered && job->chunk == 1 && ready < most && job->cell_done[cell]; ready++)
		cell = cell_behind(job, cell);
	return ready < most ? ready : most;
}

/* The lock is not held: of what was granted, the next. Nothing in this iteration has failed or been
 * retried when it was granted, so only the cell itself is touched. */
static int take_granted(struct pool_iter *it, void *result)
{
	struct pool_job *job = it->job;
	uint64_t cell = it->ordered ? it->want : job->arrived[it->taken & job->cell_mask];
	it->granted--;
	take_result(job, cell, 0, result);
	advance(it, cell);
	return 0;
}

static int next_locked(struct pool_iter *it, void *result, int64_t deadline_ns)
{
	struct pool *pool = it->pool;
	uint64_t cell;
	pool->visits++;
	if (pool->state == POOL_IS_TERMINATED || !it->attached)
		return terminated(it);
	refill(it, deadline_ns);
	if (pool->state == POOL_IS_TERMINATED)
		return terminated(it);
	if (it->read == it->returned)
		return end_of(it);
	if (!next_cell(it, &cell)) {
		int rc = wait_for_result(it, deadline_ns);
		if (rc < 0)
			return rc;
		if (pool->state == POOL_IS_TERMINATED || !next_cell(it, &cell))
			return terminated(it);
	}
	uint64_t ready = it->job->failed || it->job->retries ? 1 : count_ready(it);
	int status = take_cell(it, cell, result);
	it->granted = ready ? ready - 1 : 0;
	return status;
}

/* What failed was no item: the input, the pool, the wait. */
static void note_failure(struct pool_iter *it, int rc)
{
	it->failure = (struct pool_failure){ .status = rc, .index = UINT64_MAX };
	it->failure.message = strdup(pool_strerror(rc));
}

int pool_iter_next(struct pool_iter *it, void *result, int64_t timeout_ns)
{
	if (!it)
		return -EINVAL;
	int rc = pool_usable(it->pool);
	if (rc < 0)
		return rc;
	if (it->granted && timeout_ns >= POOL_FOREVER &&
	    __atomic_load_n(&it->pool->state, __ATOMIC_RELAXED) != POOL_IS_TERMINATED)
		return take_granted(it, result);
	if (pool_is_running_for(it->pool->board))
		return -EDEADLK;
	pthread_mutex_lock(&it->pool->lock);
	pool_failure_clear(&it->failure);
	it->granted = 0; /* what is granted does not touch the failure */
	rc = timeout_ns < POOL_FOREVER ? -EINVAL
				       : next_locked(it, result, pump_deadline(timeout_ns));
	if (rc < 0 && !it->failure.status)
		note_failure(it, rc);
	pthread_mutex_unlock(&it->pool->lock);
	return rc;
}

uint64_t pool_iter_index(const struct pool_iter *it)
{
	return it ? it->index : 0;
}

const struct pool_failure *pool_iter_failure(struct pool_iter *it)
{
	return it && it->failure.status ? &it->failure : NULL;
}

/* ---- the end ---- */

/* Under the lock: nothing of the iteration is with the transport any more. */
void imap_detach(struct pool_job *job)
{
	struct pool_iter *it = job->owner;
	struct pool *pool = job->pool;
	job_unlist(job);
	pool->streams--;
	pool->backend->transport->collect(pool->transport, job);
	ring_close(it);
	it->attached = false;
}

/* The last running item of a released iterator has ended. */
static void on_drained(struct pool_job *job)
{
	imap_detach(job);
	iter_free(job->owner);
}

/* Items that run keep the ring alive until they end; nobody waits for them. */
void pool_iter_release(struct pool_iter *it)
{
	if (!it || pool_usable(it->pool) < 0)
		return;
	struct pool *pool = it->pool;
	pool_ref(pool);
	pthread_mutex_lock(&pool->lock);
	if (it->attached) {
		job_stop(it->job, -ECANCELED);
		pump_progress(pool);
	}
	if (it->attached && it->job->resolved < it->job->ready) {
		it->job->resolved_hook = on_drained;
	} else {
		if (it->attached)
			imap_detach(it->job);
		iter_free(it);
	}
	pump_tell(pool);
	pthread_mutex_unlock(&pool->lock);
	pool_unref(pool);
}
