/*
 * imap_ring.c - the window of an iteration: its memory, and reading the input into it.
 *
 * DESIGN. The input is read by the thread that is in next(), in bursts, as handing out costs a
 * wake-up. A burst is over when the window is full or reading took long; what was read is handed
 * out then, and when it took long the thread goes on reading only while it has nothing to return
 * and time is left.
 */
#include "pools/imap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t SLOW_NS = 200000; /* handing out costs a wake-up, a tenth of this */
enum { LOOK_MOST = 16, LOOK_BYTES = 4096 };

/* ---- sources ---- */

struct pool_source pool_columns(const struct pool_column *columns, unsigned count, uint64_t n)
{
	struct pool_source source = { .columns = count, .count = n };
	for (unsigned k = 0; columns && k < count && k < POOL_COLUMNS_MAX; k++)
		source.column[k] = columns[k];
	if (!columns)
		source.columns = 0;
	return source;
}

struct pool_source pool_array(const void *in, uint64_t in_size, uint64_t n)
{
	return pool_columns(&(struct pool_column){ in, in_size }, 1, n);
}

struct pool_source pool_generator(int (*next)(void *state, struct pool_bytes item[]), void *state,
				  uint64_t size)
{
	return (struct pool_source){
		.column = { { NULL, size } }, .columns = next ? 1 : 0, .next = next, .state = state
	};
}

/* ---- the ring's memory ---- */

static void *ring_alloc(struct pool *pool, uint64_t count, uint64_t size)
{
	const struct pool_transport_ops *ops = pool->backend->transport;
	uint64_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes))
		return NULL;
	if (bytes == 0)
		bytes = 1;
	return ops->alloc ? ops->alloc(pool->transport, bytes, false) : calloc(1, bytes);
}

static void ring_free(struct pool *pool, const void *memory)
{
	const struct pool_transport_ops *ops = pool->backend->transport;
	void *ring = (void *)(uintptr_t)memory;
	if (!ring)
		return;
	if (ops->alloc)
		ops->release(pool->transport, ring);
	else
		free(ring);
}

static bool ring_columns(struct pool_job *job, const struct pool_source *source)
{
	for (unsigned k = 0; k < source->columns; k++) {
		bool variable = source->column[k].size == POOL_VARIABLE;
		uint64_t size = source->column[k].size;
		job->column[k].size = size;
		job->column[k].data = variable ? calloc(job->count, sizeof(struct pool_bytes))
					       : ring_alloc(job->pool, job->count, size);
		if (!job->column[k].data)
			return false;
	}
	return true;
}

static bool ring_results(struct pool_job *job)
{
	job->results = job->variable & POOL_VARIABLE_RESULT
			       ? calloc(job->count, sizeof(struct pool_bytes))
			       : ring_alloc(job->pool, job->count, job->result_size);
	return job->results;
}

static uint64_t ring_mask(uint64_t least)
{
	uint64_t places = 1;
	while (places < least)
		places *= 2;
	return places - 1;
}

/* Statuses are here from the start: a cell's failure must not get lost for want of memory. */
bool ring_make(struct pool_job *job)
{
	job->count = job->tiles * job->chunk;
	job->tile_mask = ring_mask(job->tiles);
	job->cell_mask = ring_mask(job->count);
	job->status = calloc(job->count, sizeof *job->status);
	job->tile = calloc(job->tiles, sizeof *job->tile);
	job->cell_done = calloc(job->count, 1);
	job->arrived = calloc(job->cell_mask + 1, sizeof *job->arrived);
	return job->status && job->tile && job->cell_done && job->arrived;
}

/* The job was made with the user's columns, which are not ours to free. */
bool ring_open(struct pool_job *job, const struct pool_source *source)
{
	for (unsigned k = 0; k < job->columns; k++)
		job->column[k].data = NULL;
	return ring_make(job) && ring_columns(job, source) && ring_results(job);
}

void free_argument(struct pool_job *job, unsigned k, uint64_t cell)
{
	struct pool_bytes *bytes = (struct pool_bytes *)(uintptr_t)job->column[k].data;
	free(bytes[cell].data);
	bytes[cell] = (struct pool_bytes){ NULL, 0 };
}

/* What is in the transport's memory goes before the transport does, the rest with the iterator. */
void ring_close(struct pool_iter *it)
{
	struct pool_job *job = it->job;
	for (unsigned k = 0; k < job->columns; k++) {
		bool variable = job->column[k].size == POOL_VARIABLE;
		for (uint64_t cell = 0; variable && job->column[k].data && cell < job->count;
		     cell++)
			free_argument(job, k, cell);
		if (variable)
			free((void *)(uintptr_t)job->column[k].data);
		else
			ring_free(job->pool, job->column[k].data);
		job->column[k].data = NULL;
	}
	if (job->variable & POOL_VARIABLE_RESULT) {
		pool_bytes_free(job->results, job->results ? job->count : 0);
		free(job->results);
	} else {
		ring_free(job->pool, job->results);
	}
	job->results = NULL;
}

/* ---- reading the input ---- */

static int store_variable(struct pool_job *job, unsigned k, uint64_t cell,
			  const struct pool_bytes *item)
{
	struct pool_bytes *place = (struct pool_bytes *)(uintptr_t)job->column[k].data + cell;
	if ((!item->data && item->size) || item->size > INT64_MAX)
		return -EINVAL;
	place->data = malloc(item->size + 1);
	if (!place->data)
		return -ENOMEM;
	place->size = item->size;
	if (item->size)
		memcpy(place->data, item->data, item->size);
	return 0;
}

static int store(struct pool_job *job, unsigned k, uint64_t cell, const struct pool_bytes *item)
{
	const uint64_t size = job->column[k].size;
	if (size == POOL_VARIABLE)
		return store_variable(job, k, cell, item);
	if (size && !item->data)
		return -EINVAL;
	if (size)
		memcpy((char *)(uintptr_t)job->column[k].data + cell * size, item->data, size);
	return 0;
}

static int read_array(const struct pool_iter *it, uint64_t cell)
{
	const struct pool_source *source = &it->source;
	if (it->read >= source->count)
		return 0;
	for (unsigned k = 0; k < source->columns; k++) {
		const struct pool_column *column = &source->column[k];
		const bool variable = column->size == POOL_VARIABLE;
		struct pool_bytes item;
		if (variable)
			item = ((const struct pool_bytes *)column->data)[it->read];
		else
			item.data = (char *)(uintptr_t)column->data + it->read * column->size;
		const int rc = store(it->job, k, cell, &item);
		if (rc < 0)
			return rc;
	}
	return 1;
}

/* The generator is the user's: it runs without the lock, as nobody else touches a tile that is not
 * published. */
static int read_generator(const struct pool_iter *it, uint64_t cell)
{
	struct pool_bytes item[POOL_COLUMNS_MAX] = { 0 };
	pthread_mutex_unlock(&it->pool->lock);
	const int given = it->source.next(it->source.state, item);
	pthread_mutex_lock(&it->pool->lock);
	for (unsigned k = 0; given > 0 && k < it->job->columns; k++) {
		const int rc = store(it->job, k, cell, &item[k]);
		if (rc < 0)
			return rc;
	}
	return given;
}

static bool read_item(struct pool_iter *it, uint64_t cell)
{
	const int rc = it->source.next ? read_generator(it, cell) : read_array(it, cell);
	if (rc > 0) {
		it->read++;
		it->ended = !it->source.next && it->read == it->source.count;
		return true;
	}
	it->ended = true;
	it->input_error = rc;
	return false;
}

/* Nothing that is read now would be run: the input ends here, and it is told why; what fails fast
 * tells by the item that failed. */
static bool is_cut_off(struct pool_iter *it)
{
	const struct pool *pool = it->pool;
	const struct pool_job *job = it->job;
	if (!pool->broken && !pool->stopping && !job->cancelled)
		return false;
	int why = POOL_CLOSED;
	if (pool->broken)
		why = pool->broken;
	else if (job->cancelled)
		why = job->stop_forced ? job->stop_status : 0;
	if (why)
		it->input_error = why;
	it->ended = true;
	return true;
}

/* Fills one free tile and publishes it, unless the input has ended. */
static void fill_tile(struct pool_iter *it, uint64_t k)
{
	struct pool_job *job = it->job;
	const uint64_t first = it->read;
	uint32_t count = 0;
	while (count < job->chunk && !it->ended && read_item(it, k * job->chunk + count))
		count++;
	if (count == 0)
		return;
	if (is_cut_off(it)) { /* meanwhile: as if it had not been read */
		it->read = first;
		return;
	}
	job->tile[k] = (struct pool_tile){ .index = first, .count = count, .left = count };
	job->ready += count;
	job->pool->stats.submitted += count;
	if (job_count(job) || it->source.next) /* whose next call may take any time */
		crew_mind(it->pool);
	if (job->pool->backend->transport->extend(job->pool->transport, job, k) < 0)
		job_fail_rest(job, k * job->chunk, count,
			      &(struct pool_failure){ .status = POOL_ENCODE_ERROR,
						      .message = (char *)"no memory" });
	it->unoffered++;
}

static void go_on(struct pool_iter *it)
{
	if (++it->fill == it->job->tiles)
		it->fill = 0;
}

/* In order the tiles are used one after the other; otherwise any free one. */
static bool find_free(struct pool_iter *it)
{
	for (uint64_t tried = 0; tried < it->job->tiles; tried++) {
		if (it->job->tile[it->fill].count == 0)
			return true;
		if (it->ordered)
			return false;
		go_on(it);
	}
	return false;
}

/* The cell of the next result, if it is there. */
bool next_cell(const struct pool_iter *it, uint64_t *cell)
{
	const struct pool_job *job = it->job;
	if (it->ordered) {
		*cell = it->want;
		return job->cell_done[it->want];
	}
	if (it->taken == job->arrivals)
		return false;
	*cell = job->arrived[it->taken & job->cell_mask];
	return true;
}

static bool can_return(void *what)
{
	struct pool_iter *it = what;
	uint64_t cell;
	return it->pool->state == POOL_IS_TERMINATED || next_cell(it, &cell);
}

/* Under the lock: until there is a result. 0 or -ETIMEDOUT. */
int wait_for_result(struct pool_iter *it, int64_t deadline_ns)
{
	return pump_wait(it->pool, can_return, it, deadline_ns);
}

/* A result that is there does not wait for a slow input. */
static bool worth_refilling(const struct pool_iter *it)
{
	const struct pool_job *job = it->job;
	uint64_t waiting = job->ready - job->resolved, cell;
	uint64_t room = job->count - (it->read - it->returned);
	const bool there = next_cell(it, &cell);
	if (room < job->chunk || (it->slow && there))
		return false;
	bool dry = waiting < 2 * (uint64_t)it->pool->workers * job->chunk && !there;
	return dry || room * 4 >= job->count;
}

static bool has_room(struct pool_iter *it)
{
	const struct pool_job *job = it->job;
	return it->read - it->returned + job->chunk <= job->count && find_free(it);
}

static void offer(struct pool_iter *it)
{
	if (it->unoffered)
		it->pool->backend->transport->offer(it->pool->transport, it->job, it->unoffered);
	it->unoffered = 0;
}

void imap_offer_all(struct pool *pool)
{
	struct pool_job *job;
	TAILQ_FOREACH (job, &pool->jobs, entry)
		if (job->stream)
			offer(job->owner);
}

/* An array of small items needs the clock only with the 1st, 2nd, 4th, 8th, 16th, 32nd, 48th ... tile:
 * reading that costs as much as reading a short item. */
static bool may_take_long(const struct pool_iter *it)
{
	const struct pool_job *job = it->job;
	uint64_t bytes = 0;
	for (unsigned k = 0; k < job->columns && bytes < LOOK_BYTES; k++) {
		if (job->column[k].size == POOL_VARIABLE)
			return true;
		bytes += job->column[k].size;
	}
	return it->source.next || bytes >= LOOK_BYTES / job->chunk;
}

/* What was read goes out when it took long; of a generator, whose next call may take any time, also
 * with the tiles named above, and each at once when somebody may wait in pool_join. */
void refill(struct pool_iter *it, int64_t deadline_ns)
{
	if (it->ended || is_cut_off(it) || !worth_refilling(it))
		return;
	const bool generator = it->source.next != NULL, each = may_take_long(it);
	uint64_t filled = 0, seen = 0, look = 1; /* tiles */
	int64_t seen_ns = pool_now_ns(), looked_ns = seen_ns;
	it->slow = false;
	while (!it->ended && has_room(it)) {
		fill_tile(it, it->fill);
		go_on(it);
		const bool due = ++filled == look;
		if (!due && !each)
			continue;
		if (due)
			look += look < LOOK_MOST ? look : LOOK_MOST;
		const int64_t now_ns = pool_now_ns();
		const bool late = now_ns - looked_ns >= SLOW_NS,
			   slow = now_ns - seen_ns >= SLOW_NS * (int64_t)(filled - seen);
		seen = filled;
		seen_ns = now_ns;
		if (late || (generator && (due || it->pool->state != POOL_IS_OPEN)))
			offer(it);
		if (!late)
			continue;
		it->slow = slow;
		if (now_ns >= deadline_ns || it->ended || wait_for_result(it, 0) == 0 ||
		    is_cut_off(it))
			return;
		seen_ns = looked_ns = pool_now_ns();
	}
	offer(it);
}
