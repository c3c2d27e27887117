/*
 * pipe_send.c - frames to workers: from where the arguments are, without waiting.
 */
#include "pools/pipe_parent.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

enum { IOV_AT_ONCE = 256 };
enum { ATTEMPTS = 100 }; /* to cut, while the worker begins one piece after the other */

void pipe_drop_outgoing(struct outgoing *out)
{
	free(out->iov);
	free(out->owned);
	*out = (struct outgoing){ 0 };
}

void pipe_send_no_more(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	if (!c->out.count)
		return;
	pool_unwatch(t->pool, c->request[1]);
	pipe_drop_outgoing(&c->out);
}

static unsigned advance(struct outgoing *out, uint64_t written)
{
	while (out->at < out->count && written >= out->iov[out->at].iov_len)
		written -= out->iov[out->at++].iov_len;
	if (out->at < out->count) {
		out->iov[out->at].iov_base = (char *)out->iov[out->at].iov_base + written;
		out->iov[out->at].iov_len -= written;
	}
	return out->count - out->at;
}

/* True: all is written. A pipe whose worker died takes bytes until it is full; they go with it. What cannot be read where
 * the arguments are said to be (EFAULT) never goes. */
static bool push_out(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	struct outgoing *out = &c->out;
	while (out->at < out->count) {
		unsigned count = out->count - out->at;
		ssize_t written = writev(c->request[1], out->iov + out->at,
					 (int)(count < IOV_AT_ONCE ? count : IOV_AT_ONCE));
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0 && !pipe_error_passes(errno)) {
			c->unreadable = true;
			pipe_give_up(t, worker, POOL_ENCODE_ERROR);
		}
		if (written < 0)
			return false;
		c->sent += (uint64_t)written;
		advance(out, (uint64_t)written);
	}
	return true;
}

/* Its end of the reply pipe is still ours: pipe_started closes it. */
static bool is_being_started(const struct channel *c)
{
	return c->reply[1] >= 0;
}

/* An initializer may take long, and what was sent is not taken back: nothing goes out before it is through. Without one
 * a worker finds its first frame when it comes up. */
static bool takes_work(const struct pool_transport *t, int worker)
{
	const uint32_t phase = __atomic_load_n(&t->board->ledger[worker].phase, __ATOMIC_ACQUIRE);
	return phase == POOL_PHASE_READY || (phase == POOL_PHASE_NEW && !t->initializes);
}

bool pipe_can_send(void *wire, int worker)
{
	const struct pool_transport *t = wire;
	const struct channel *c = &t->channel[worker];
	if (!c->open || c->garbled || c->out.count || t->stopping ||
	    t->pool->hand[worker].stop_reason)
		return false;
	return takes_work(t, worker) && !is_being_started(c);
}

static uint64_t column_bytes(const struct pool_column *column, uint64_t at, uint64_t count)
{
	if (column->size != POOL_VARIABLE)
		return frame_padded(count * column->size);
	const struct pool_bytes *bytes = (const struct pool_bytes *)column->data + at;
	uint64_t total = frame_padded(count * sizeof(uint64_t));
	for (uint64_t i = 0; i < count; i++)
		total += frame_padded(bytes[i].size);
	return total;
}

static void add_part(struct outgoing *out, const void *base, uint64_t size)
{
	static const unsigned char zeros[FRAME_ALIGN];
	if (size)
		out->iov[out->count++] = (struct iovec){ (void *)(uintptr_t)base, size };
	if (frame_padded(size) > size)
		out->iov[out->count++] =
			(struct iovec){ (void *)(uintptr_t)zeros, frame_padded(size) - size };
}

static uint64_t *add_column(struct outgoing *out, const struct pool_column *column, uint64_t at,
			    uint64_t count, uint64_t *sizes)
{
	if (column->size != POOL_VARIABLE) {
		add_part(out, (const char *)column->data + at * column->size, count * column->size);
		return sizes;
	}
	const struct pool_bytes *bytes = (const struct pool_bytes *)column->data + at;
	for (uint64_t i = 0; i < count; i++)
		sizes[i] = bytes[i].size;
	add_part(out, sizes, count * sizeof *sizes);
	for (uint64_t i = 0; i < count; i++)
		add_part(out, bytes[i].data, bytes[i].size);
	return sizes + count;
}

static void fill_header(const struct deal_flight *flight, struct frame_work *frame)
{
	const struct pool_job *job = flight->job;
	*frame = (struct frame_work){
		.magic = job->stream || job->fail_fast ? FRAME_STREAM : FRAME_WORK,
		.flight = flight->number,
		.task = job->task->id,
		.at = flight->at,
		.index = flight->index,
		.count = flight->count,
		.chunk = job->chunk,
		.result_size = job->variable & POOL_VARIABLE_RESULT ? sizeof(struct pool_ref)
								    : job->result_size,
		.columns = job->columns & 15,
		.behind = flight->behind < FRAME_BEHIND_MOST ? flight->behind & FRAME_BEHIND_MOST
							     : FRAME_BEHIND_MOST,
		.variable = job->variable,
		.limit_ns = job->limit_ns,
	};
	for (unsigned k = 0; k < job->columns; k++) {
		frame->arg_size[k] = job->column[k].size;
		frame->bytes += column_bytes(&job->column[k], flight->at, flight->count);
	}
}

/* Header and sizes in one block of ours, the arguments where they are. */
static int build(const struct deal_flight *flight, struct outgoing *out)
{
	const struct pool_job *job = flight->job;
	uint64_t parts = 1, sizes = 0;
	for (unsigned k = 0; k < job->columns; k++) {
		bool variable = job->column[k].size == POOL_VARIABLE;
		parts += variable ? 2 + 2 * flight->count : 2;
		sizes += variable ? flight->count : 0;
	}
	struct frame_work *frame = malloc(sizeof *frame + sizes * sizeof(uint64_t));
	out->owned = frame;
	out->iov = malloc(parts * sizeof *out->iov);
	if (!frame || !out->iov) {
		pipe_drop_outgoing(out);
		return -ENOMEM;
	}
	fill_header(flight, frame);
	uint64_t *next = (uint64_t *)(void *)(frame + 1);
	add_part(out, frame, sizeof *frame);
	for (unsigned k = 0; k < job->columns; k++)
		next = add_column(out, &job->column[k], flight->at, flight->count, next);
	return 0;
}

int pipe_send(void *wire, int worker, const struct deal_flight *flight)
{
	struct pool_transport *t = wire;
	struct channel *c = &t->channel[worker];
	int rc = build(flight, &c->out);
	if (rc < 0)
		return rc;
	const uint32_t slot = flight->number % DEAL_FLIGHTS;
	c->sent_before[slot] = c->sent;
	__atomic_store_n(&c->outbox->recalled[slot], 0, __ATOMIC_RELAXED);
	__atomic_store_n(&c->outbox->extent[slot], flight->count << 32, __ATOMIC_RELAXED);
	if (push_out(t, worker)) {
		pipe_drop_outgoing(&c->out);
		return 0;
	}
	if (!c->garbled && pool_watch(t->pool, c->request[1], EPOLLOUT, worker) < 0)
		pipe_give_up(t, worker, 0); /* half a frame that nobody would complete */
	return 0;
}

/* Seen by the worker before its next piece. */
void pipe_recall(void *wire, int worker, const struct deal_flight *flight)
{
	const struct pool_transport *t = wire;
	struct outbox *box = t->channel[worker].outbox;
	__atomic_store_n(&box->recalled[flight->number % DEAL_FLIGHTS], flight->number,
			 __ATOMIC_RELEASE);
}

/* How much of the flight has answers, at least: those that came, and of the front flight the one that is coming. */
static uint64_t answered(const struct channel *c, const struct deal_flight *flight)
{
	const struct incoming *in = &c->in;
	uint64_t next = flight->at + flight->done;
	if (in->reply.flight != flight->number)
		return flight->done;
	if (in->next_fault > next)
		next = in->next_fault;
	if (in->in_payload && in->reply.at + in->reply.count > next)
		next = in->reply.at + in->reply.count;
	return next - flight->at;
}

/* Its arguments must stay until it is sent: a batch's do while anything of it is left, a stream's go item by item. Only the last
 * flight can be. */
static bool is_being_sent(const struct pool_transport *t, int worker,
			  const struct deal_flight *flight)
{
	const struct deal_flight *last = deal_flight(t->deal, worker, 1);
	return t->channel[worker].out.count && (!last || last == flight);
}

/* An automatic chunk of workers that count their tasks is a whole flight. See frame.h. */
uint64_t pipe_cut(void *wire, int worker, const struct deal_flight *flight, uint64_t most,
		  bool *all)
{
	struct pool_transport *t = wire;
	struct channel *c = &t->channel[worker];
	const uint64_t chunk = flight->job->chunk ? flight->job->chunk : 1;
	const uint64_t least = answered(c, flight);
	uint64_t *extent = &c->outbox->extent[flight->number % DEAL_FLIGHTS];
	uint64_t seen = __atomic_load_n(extent, __ATOMIC_ACQUIRE);
	const bool sending = is_being_sent(t, worker, flight);
	if ((!flight->job->chunk && t->board->tasks_per_worker) || (sending && flight->job->stream))
		return 0;
	for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
		const uint64_t begun = seen & UINT32_MAX;
		const uint64_t keeps = begun < least || sending;
		uint64_t end = (begun > least ? begun : least) + keeps;
		if (seen >> 32 != flight->count) { /* nobody else may write that */
			pipe_give_up(t, worker, POOL_DECODE_ERROR);
			return 0;
		}
		if (flight->count > most && end < flight->count - most)
			end = flight->count - most;
		end = (end + chunk - 1) / chunk * chunk;
		if (end >= flight->count)
			return 0;
		if (__atomic_compare_exchange_n(extent, &seen, end << 32 | begun, false,
						__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
			*all = end == begun;
			return flight->count - end;
		}
	}
	return 0;
}

/* Room was made: go on with what waits. */
void pipe_writable(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	if (!c->out.count || c->garbled || !push_out(t, worker))
		return;
	pipe_send_no_more(t, worker);
	if (t->stopping)
		pipe_stop(t);
	else
		deal_out(t->deal);
}

static void close_end(struct channel *c)
{
	close(c->request[1]);
	c->request[1] = -1;
}

/* A worker that is being started is told by pipe_started. An end that is closed in the middle of a fork stays open in the
 * child, which would wait for it for ever: the descriptors are copied before the memory that names them. */
void pipe_stop(struct pool_transport *t)
{
	static const struct frame_work quit = { .magic = FRAME_QUIT };
	t->stopping = true;
	for (int i = 0; i < t->workers; i++) {
		struct channel *c = &t->channel[i];
		if (!c->open || is_being_started(c) || c->out.count || c->request[1] < 0)
			continue;
		ssize_t written;
		do
			written = write(c->request[1], &quit, sizeof quit);
		while (written < 0 && errno == EINTR);
		if (written < 0)
			close_end(c); /* full or no memory: the end of the pipe says the same */
	}
}
