/*
 * transport_inline.c - no workers: reap runs one span in the caller. The baseline, and the pool to
 * debug tasks in.
 *
 * DESIGN. The worker's side takes the pool's lock for each step and lets go of it while the task
 * runs, so tasks and other threads may use the pool meanwhile; `running` keeps it to one task at a
 * time, as a worker would.
 */
#include "pools/pool_core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* With an automatic chunk: twice as many items a span while spans take less, half as many when they take twice as long. Between
 * two spans cancelling, time limits of calls and failing fast have their effect. */
static const int64_t SPAN_NS = 50000;
enum { SPAN_MAX = 1 << 16 };

struct entry { /* a published job */
	struct pool_job *job;
	uint64_t next;				    /* batch: the next item */
	uint64_t grain;				    /* items a span, of an automatic chunk */
	uint64_t *tiles, head, tail;		    /* stream: published tiles, a ring */
	struct pool_bytes *whole[POOL_COLUMNS_MAX]; /* batch: see fill_gaps; NULL: not needed */
	struct entry *after;
};

struct pool_transport {
	struct pool *pool;
	struct entry *entries;
	struct pool_worker_state *worker;
	bool running;
	bool dozing; /* a leader sleeps while another thread runs an item */
};

struct pool_port {
	struct pool_transport *t;
	int64_t claimed_ns;
};

static int inline_open(struct pool_transport **out, const struct pool_transport_setup *setup)
{
	struct pool_transport *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	t->pool = setup->pool;
	const struct pool_launch launch = {
		.ops = setup->pool->backend->transport,
		.transport = t,
		.board = setup->board,
		.ticket = { .transport_at = (uint64_t)(uintptr_t)t },
	};
	int rc = pool_worker_open(&t->worker, &launch);
	if (rc < 0) {
		free(t);
		return rc;
	}
	if (!pool_worker_begin(t->worker)) {
		const struct pool_ledger *ledger = &setup->board->ledger[0];
		const struct pool_failure why = {
			.status = POOL_INIT_FAILED,
			.code = ledger->code,
			.message = (char *)(uintptr_t)ledger->message,
		};
		failure_copy(&t->pool->init_failure, &why);
		t->pool->broken = POOL_INIT_FAILED;
	}
	*out = t;
	return 0;
}

static void inline_close(struct pool_transport *t)
{
	if (!t->pool->broken)
		pool_worker_end(t->worker);
	pool_worker_close(t->worker);
	free(t);
}

static void inline_stop(struct pool_transport *t)
{
	(void)t;
}

static void entry_free(struct entry *entry)
{
	for (unsigned k = 0; entry && k < POOL_COLUMNS_MAX; k++)
		free(entry->whole[k]);
	if (entry)
		free(entry->tiles);
	free(entry);
}

/* The caller's elements of variable size are used where they lie. But an argument's data is never NULL, and of those
 * without a byte it may be; then the column is copied. False: no memory. */
static bool fill_gaps(struct entry *entry, unsigned k)
{
	const struct pool_job *job = entry->job;
	const struct pool_bytes *bytes = job->column[k].data;
	uint64_t at = 0;
	while (at < job->count && bytes[at].data)
		at++;
	if (at == job->count)
		return true;
	struct pool_bytes *whole = entry->whole[k] = malloc(job->count * sizeof *whole);
	if (!whole)
		return false;
	memcpy(whole, bytes, job->count * sizeof *whole);
	for (; at < job->count; at++)
		if (!whole[at].data)
			whole[at].data = (char *)"";
	return true;
}

static int inline_prepare(struct pool_transport *t, struct pool_job *job)
{
	(void)t;
	struct entry *entry = calloc(1, sizeof *entry);
	bool fine = entry;
	if (entry)
		*entry = (struct entry){ .job = job, .grain = 1 };
	if (entry && job->stream)
		fine = (entry->tiles = calloc(job->tile_mask + 1, sizeof *entry->tiles));
	for (unsigned k = 0; fine && !job->stream && k < job->columns; k++)
		if (job->column[k].size == POOL_VARIABLE)
			fine = fill_gaps(entry, k);
	if (!fine) {
		entry_free(entry);
		return -ENOMEM;
	}
	job->transport_data = entry;
	return 0;
}

static int inline_publish(struct pool_transport *t, struct pool_job *job)
{
	struct entry **end = &t->entries;
	while (*end)
		end = &(*end)->after;
	*end = job->transport_data;
	return 0;
}

static int inline_extend(struct pool_transport *t, struct pool_job *job, uint64_t tile)
{
	(void)t;
	struct entry *entry = job->transport_data;
	entry->tiles[entry->tail++ & job->tile_mask] = tile;
	return 0;
}

static void inline_offer(struct pool_transport *t, struct pool_job *job, uint64_t tiles)
{
	(void)t;
	(void)job;
	(void)tiles;
}

static void inline_cancel(struct pool_transport *t, struct pool_job *job)
{
	(void)t;
	struct entry *entry = job->transport_data;
	uint64_t next = entry->next;
	entry->next = job->count;
	if (!job->stream && next < job->count)
		pool_job_drop(job, next, job->count - next);
	while (job->stream && entry->head < entry->tail) {
		uint64_t tile = entry->tiles[entry->head++ & job->tile_mask];
		bool last = entry->head == entry->tail;
		pool_job_drop(job, tile * job->chunk, job->tile[tile].count);
		if (last)
			return;
	}
}

static void inline_retire(struct pool_transport *t, struct pool_job *job)
{
	struct entry **link = &t->entries;
	while (*link && *link != job->transport_data)
		link = &(*link)->after;
	if (*link)
		*link = (*link)->after;
}

static void inline_collect(struct pool_transport *t, struct pool_job *job)
{
	(void)t;
	entry_free(job->transport_data);
	job->transport_data = NULL;
}

static bool inline_reap(struct pool_transport *t)
{
	if (t->running || !t->entries)
		return false;
	t->running = true;
	pthread_mutex_unlock(&t->pool->lock);
	int rc = pool_worker_step(t->worker);
	pthread_mutex_lock(&t->pool->lock);
	t->running = false;
	if (t->dozing)
		pump_tell(t->pool);
	return rc == 0;
}

static int64_t inline_doze(struct pool_transport *t, bool asleep)
{
	t->dozing = asleep;
	return asleep && inline_reap(t) ? 0 : INT64_MAX;
}

static void inline_event(struct pool_transport *t, int worker, unsigned events)
{
	(void)t;
	(void)worker;
	(void)events;
}

/* ---- the worker's side, in the same thread ---- */

static int inline_attach(struct pool_port **out, const struct pool_ticket *ticket,
			 struct pool_board *board)
{
	(void)board;
	struct pool_port *port = calloc(1, sizeof *port);
	if (!port)
		return -ENOMEM;
	port->t = (struct pool_transport *)(uintptr_t)ticket->transport_at;
	*out = port;
	return 0;
}

static void inline_detach(struct pool_port *port)
{
	free(port);
}

/* Elements of variable size: a pool_bytes is a pool_ref that counts from address 0. */
_Static_assert(sizeof(struct pool_bytes) == sizeof(struct pool_ref),
	       "pool_bytes serves as pool_ref");

static void fill_call(const struct entry *entry, struct pool_call *call, uint64_t at)
{
	const struct pool_job *job = entry->job;
	*call = (struct pool_call){ .columns = job->columns, .variable = job->variable };
	for (unsigned k = 0; k < job->columns; k++) {
		bool variable = job->column[k].size == POOL_VARIABLE;
		call->arg_size[k] = variable ? sizeof(struct pool_bytes) : job->column[k].size;
		const void *data = entry->whole[k] ? entry->whole[k] : job->column[k].data;
		call->arg[k] = (const unsigned char *)data + at * call->arg_size[k];
	}
	call->result_size = job->result_size;
	call->result = (unsigned char *)job->results + at * job->result_size;
	call->index = at;
}

static bool claim_batch(struct entry *entry, struct pool_span *span, uint64_t *at)
{
	const struct pool_job *job = entry->job;
	uint64_t left = job->count - entry->next, most = job->chunk ? job->chunk : entry->grain;
	*at = entry->next;
	span->count = left < most ? left : most;
	entry->next += span->count;
	return span->count;
}

static bool claim_tile(struct entry *entry, struct pool_span *span, uint64_t *at)
{
	const struct pool_job *job = entry->job;
	if (entry->head == entry->tail)
		return false;
	uint64_t tile = entry->tiles[entry->head++ & job->tile_mask];
	*at = tile * job->chunk;
	span->count = job->tile[tile].count;
	return true;
}

static int inline_claim(struct pool_port *port, struct pool_span *span)
{
	struct pool_transport *t = port->t;
	int rc = POOL_END;
	pthread_mutex_lock(&t->pool->lock);
	for (struct entry *e = t->entries; e && rc; e = e->after) {
		uint64_t at;
		*span = (struct pool_span){ .task = e->job->task->id, .claims = 1 };
		if (!(e->job->stream ? claim_tile(e, span, &at) : claim_batch(e, span, &at)))
			continue;
		fill_call(e, &span->call, at);
		if (e->job->stream)
			span->call.index = pool_cell_index(e->job, at);
		span->cookie[0] = (uint64_t)(uintptr_t)e->job;
		span->cookie[1] = at;
		rc = 0;
	}
	pthread_mutex_unlock(&t->pool->lock);
	port->claimed_ns = pool_now_ns();
	return rc;
}

static void *inline_result_alloc(struct pool_port *port, struct pool_ref *ref, uint64_t bytes)
{
	(void)port;
	free((void *)(uintptr_t)ref->at);
	void *room = malloc(bytes + 1);
	*ref = (struct pool_ref){ (uint64_t)(uintptr_t)room, room ? bytes : 0 };
	return room;
}

static struct pool_job *job_of(const struct pool_span *span)
{
	return (struct pool_job *)(uintptr_t)span->cookie[0];
}

static void inline_fault(struct pool_port *port, struct pool_span *span,
			 const struct pool_fault *fault)
{
	struct pool_job *job = job_of(span);
	struct pool_fault at = *fault;
	at.index = span->cookie[1] + (fault->index - span->call.index);
	if (job->variable & POOL_VARIABLE_RESULT)
		pool_bytes_free((struct pool_bytes *)job->results + at.index, 1);
	pthread_mutex_lock(&port->t->pool->lock);
	pool_job_fault(job, &at);
	pthread_mutex_unlock(&port->t->pool->lock);
}

/* A variable result never given is one of size 0, and data is not NULL for those. */
static void complete_results(struct pool_job *job, uint64_t at, uint64_t count)
{
	struct pool_bytes *bytes = (struct pool_bytes *)job->results + at;
	for (uint64_t i = 0; i < count; i++)
		if (!bytes[i].data && job_status_at(job, at + i) == 0 &&
		    !(bytes[i].data = malloc(1)))
			pool_job_fault(job, &(struct pool_fault){ .index = at + i,
								  .status = POOL_DECODE_ERROR,
								  .message = "" });
}

static void learn(struct entry *entry, int64_t took_ns)
{
	const uint64_t most = entry->job->fail_fast ? POOL_FAIL_FAST_MOST : SPAN_MAX;
	if (took_ns < SPAN_NS && entry->grain < most)
		entry->grain *= 2;
	else if (took_ns > 2 * SPAN_NS && entry->grain > 1)
		entry->grain /= 2;
}

static int inline_commit(struct pool_port *port, struct pool_span *span)
{
	struct pool_job *job = job_of(span);
	struct pool *pool = port->t->pool;
	learn(job->transport_data, pool_now_ns() - port->claimed_ns);
	pthread_mutex_lock(&pool->lock);
	if (job->variable & POOL_VARIABLE_RESULT)
		complete_results(job, span->cookie[1], span->count);
	pool_job_resolve(job, span->cookie[1], span->count);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

const struct pool_transport_ops pool_transport_inline = {
	.name = "inline",
	.open = inline_open,
	.close = inline_close,
	.stop = inline_stop,
	.prepare = inline_prepare,
	.publish = inline_publish,
	.extend = inline_extend,
	.offer = inline_offer,
	.cancel = inline_cancel,
	.retire = inline_retire,
	.collect = inline_collect,
	.reap = inline_reap,
	.doze = inline_doze,
	.event = inline_event,
	.attach = inline_attach,
	.claim = inline_claim,
	.result_alloc = inline_result_alloc,
	.fault = inline_fault,
	.commit = inline_commit,
	.detach = inline_detach,
};
