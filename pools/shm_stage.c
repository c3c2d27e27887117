/*
 * shm_stage.c - arguments into the arena, results out of it.
 *
 * DESIGN. What lies in the arena already stays where it is. Everything else is copied, without the
 * lock, before a job is published and after it has resolved. A stream's elements of variable size
 * are staged a cell at a time.
 */
#include "pools/pool_core.h"
#include "pools/shm_parent.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* References and bytes of a column of variable size, in one block. */
static void *stage_variable(struct arena *arena, const struct pool_bytes *bytes, uint64_t n)
{
	uint64_t total = n * sizeof(struct pool_ref);
	for (uint64_t i = 0; i < n; i++)
		total += (bytes[i].size + 15) & ~UINT64_C(15);
	struct pool_ref *refs = arena_alloc(arena, total);
	if (!refs)
		return NULL;
	unsigned char *at = (unsigned char *)(refs + n);
	for (uint64_t i = 0; i < n; i++) {
		refs[i] = (struct pool_ref){ arena_offset(arena, at), bytes[i].size };
		if (bytes[i].size)
			memcpy(at, bytes[i].data, bytes[i].size);
		at += (bytes[i].size + 15) & ~UINT64_C(15);
	}
	return refs;
}

static void *stage_fixed(struct arena *arena, const struct pool_column *column, uint64_t n)
{
	void *copy = arena_alloc(arena, n * column->size);
	if (copy && n && column->size)
		memcpy(copy, column->data, n * column->size);
	return copy;
}

static bool stage_column(struct pool_transport *t, struct shm_job *work, const struct pool_job *job,
			 unsigned k)
{
	struct arena *arena = &t->view.arena;
	const struct pool_column *column = &job->column[k];
	bool variable = column->size == POOL_VARIABLE;
	work->arg[k].size = variable ? sizeof(struct pool_ref) : column->size;
	if (!variable && arena_inside(arena, column->data, job->count * column->size)) {
		work->arg[k].at = arena_offset(arena, column->data);
		return true;
	}
	if (job->stream) /* filled tile by tile */
		work->staged[k] = arena_alloc(arena, job->count * sizeof(struct pool_ref));
	else if (variable)
		work->staged[k] = stage_variable(arena, column->data, job->count);
	else
		work->staged[k] = stage_fixed(arena, column, job->count);
	if (!work->staged[k])
		return false;
	if (job->stream)
		memset(work->staged[k], 0, job->count * sizeof(struct pool_ref));
	work->arg[k].at = arena_offset(arena, work->staged[k]);
	return true;
}

static bool stage_results(struct pool_transport *t, struct shm_job *work,
			  const struct pool_job *job)
{
	struct arena *arena = &t->view.arena;
	bool variable = job->variable & POOL_VARIABLE_RESULT;
	work->result.size = variable ? sizeof(struct pool_ref) : job->result_size;
	uint64_t bytes = job->count * work->result.size;
	if (!variable && job->results && arena_inside(arena, job->results, bytes)) {
		work->result.at = arena_offset(arena, job->results);
		return true;
	}
	work->staged_results = arena_alloc(arena, bytes);
	if (!work->staged_results)
		return false;
	if (variable)
		memset(work->staged_results, 0, bytes);
	work->result.at = arena_offset(arena, work->staged_results);
	return true;
}

int shm_prepare(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = malloc(sizeof *work);
	job->transport_data = work;
	if (!work)
		return -ENOMEM;
	*work = (struct shm_job){ .slot = -1 };
	bool ok = stage_results(t, work, job);
	for (unsigned k = 0; ok && k < job->columns; k++)
		ok = stage_column(t, work, job, k);
	if (ok && job->stream) {
		work->tile_count = job->tile_mask + 1;
		work->tiles = arena_alloc(&t->view.arena, work->tile_count * sizeof *work->tiles);
		ok = work->tiles;
	}
	if (ok && work->tiles)
		memset(work->tiles, 0, work->tile_count * sizeof *work->tiles);
	if (ok)
		return 0;
	shm_unstage(t, job);
	return -ENOMEM;
}

static void free_ref(struct pool_transport *t, struct pool_ref *ref)
{
	if (ref->at)
		arena_free(&t->view.arena, arena_reach(&t->view.arena, ref->at, 0));
	*ref = (struct pool_ref){ 0, 0 };
}

/* A stream's cells own their argument blocks; a batch's references point into one. */
void shm_unstage(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	struct arena *arena = &t->view.arena;
	for (unsigned k = 0; k < job->columns; k++) {
		struct pool_ref *refs = work->staged[k];
		for (uint64_t i = 0; refs && job->stream && i < job->count; i++)
			free_ref(t, &refs[i]);
		arena_free(arena, refs);
	}
	struct pool_ref *results = work->staged_results;
	for (uint64_t i = 0; results && job->variable & POOL_VARIABLE_RESULT && i < job->count; i++)
		free_ref(t, &results[i]);
	arena_free(arena, work->staged_results);
	arena_free(arena, work->tiles);
	free(work);
	job->transport_data = NULL;
}

/* A stream's results are taken under the lock, and so are those of a job with a hook. A blocking call's own thread is without
 * it, but a failure is counted in the pool. */
static void tell_undelivered(struct pool_job *job, uint64_t at)
{
	const bool locked = job->stream || job->resolved_hook;
	if (!locked)
		pthread_mutex_lock(&job->pool->lock);
	pool_job_fault(job, &(struct pool_fault){
				    .index = at, .status = POOL_DECODE_ERROR, .message = "" });
	if (!locked)
		pthread_mutex_unlock(&job->pool->lock);
}

/* A variable result leaves the arena: `to` gets memory of its own. Out of memory, or no such place: the item fails. */
void shm_take_variable(struct pool_transport *t, struct pool_job *job, uint64_t at)
{
	struct shm_job *work = job->transport_data;
	struct pool_ref *ref = (struct pool_ref *)work->staged_results + at;
	const uint64_t size = ref->size;
	const void *from = size ? arena_reach(&t->view.arena, ref->at, size) : "";
	struct pool_bytes *to = (struct pool_bytes *)job->results + at;
	to->data = from ? malloc(size + 1) : NULL;
	to->size = to->data ? size : 0;
	if (to->data && size)
		memcpy(to->data, from, size);
	if (!to->data)
		tell_undelivered(job, at);
	free_ref(t, ref);
}

void shm_collect(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	if (!work)
		return;
	bool variable = job->variable & POOL_VARIABLE_RESULT, batch = work->ran && !job->stream;
	for (uint64_t i = 0; batch && variable && i < job->count; i++)
		if (job_status_at(job, i) == 0)
			shm_take_variable(t, job, i);
	if (batch && !variable &&
	    work->staged_results) /* where one failed there is what somebody else left */
		job_put_results(job, 0, work->staged_results, job->count * job->result_size);
	shm_unstage(t, job);
}

bool shm_stage_cell(struct pool_transport *t, struct pool_job *job, unsigned k, uint64_t cell)
{
	struct shm_job *work = job->transport_data;
	struct pool_ref *ref = (struct pool_ref *)work->staged[k] + cell;
	const struct pool_bytes *bytes = (const struct pool_bytes *)job->column[k].data + cell;
	free_ref(t, ref);
	void *copy = arena_alloc(&t->view.arena, bytes->size);
	if (!copy)
		return false;
	if (bytes->size)
		memcpy(copy, bytes->data, bytes->size);
	*ref = (struct pool_ref){ arena_offset(&t->view.arena, copy), bytes->size };
	return true;
}

/* A position whose descriptor is still in use is passed over: workers find it taken and move on. */
void shm_push_tile(struct shm_job *work, uint64_t index, uint64_t cell, uint64_t count)
{
	assert(work->tile_count > 0);
	struct shm_tile *tile = shm_work_tile(work, work->tail);
	for (uint64_t most = work->tile_count;
	     most && tile_phase(__atomic_load_n(&tile->state, __ATOMIC_RELAXED)) != TILE_FREE;
	     most--)
		tile = shm_work_tile(work, ++work->tail);
	__atomic_store_n(&tile->index, index, __ATOMIC_RELAXED); /* see read_tile */
	__atomic_store_n(&tile->cell, (uint32_t)cell, __ATOMIC_RELAXED);
	__atomic_store_n(&tile->count, (uint32_t)count, __ATOMIC_RELAXED);
	__atomic_store_n(&tile->state, tile_ready(work->tail), __ATOMIC_RELEASE);
	work->tail++;
}
