/*
 * transport_pipe.c - the parent's side of the pipe transport: two pipes a worker, neither of which ever blocks the parent.
 *
 * DESIGN. Sending: arguments go from where they are by writev; what the pipe does not take waits as a list of pieces, and
 * the worker gets no other frame until that is gone. Receiving: a buffer for headers and small results, and for
 * large ones a read straight into their place. A reply must be for the front flight and continue it, anything else is a
 * garbled stream: the worker is killed and its items are lost, with no other harm.
 */
#include "pools/deal.h"
#include "pools/frame.h"
#include "pools/pool_core.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

enum { INBOX_BYTES = 64 * 1024, IOV_AT_ONCE = 256, PIPE_BYTES = 1 << 20 };
static const int64_t PULL_NS = 2000000; /* how long gathered replies may wait for the worker to send them */

struct outgoing { /* what the pipe did not take yet */
	struct iovec *iov;
	unsigned count, at;
	void *owned; /* header, sizes: freed with the list */
};

struct incoming {
	unsigned char *buffer; /* INBOX_BYTES */
	uint64_t have;         /* bytes in it */
	struct frame_reply reply;
	bool in_payload;
	unsigned char *to;  /* where the payload goes; NULL: nowhere */
	uint64_t left, pad; /* of the payload, of its padding */
	void *owned;        /* to, when it is ours: a message or a variable result */
	uint64_t received;  /* position in the reply stream */
};

struct channel {
	bool open;
	int request[2], reply[2];
	struct outgoing out;
	struct incoming in;
	bool watched; /* the reply end */
};

struct pool_transport {
	struct pool *pool;
	struct pool_board *board;
	struct deal *deal;
	int workers;
	bool stopping;
	int64_t dozed_ns; /* since when the leader sleeps; 0: it does not, or need not look after outboxes */
	bool pull_due;
	struct channel channel[];
};

/* ---- life ---- */

static bool pipe_can_send(void *wire, int worker);
static int pipe_send(void *wire, int worker, const struct deal_flight *flight);
static void pipe_stop(struct pool_transport *t);

static int pipe_open(struct pool_transport **out, const struct pool_transport_setup *setup)
{
	struct pool_transport *t = calloc(1, sizeof *t + (size_t)setup->workers * sizeof t->channel[0]);
	if (!t)
		return -ENOMEM;
	t->pool = setup->pool;
	t->board = setup->board;
	t->workers = setup->workers;
	const struct deal_wire wire = { t, pipe_can_send, pipe_send };
	t->deal = deal_open(&wire, setup->workers, setup->pool->backend->once);
	if (!t->deal) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void drop_outgoing(struct outgoing *out)
{
	free(out->iov);
	free(out->owned);
	*out = (struct outgoing){ 0 };
}

static void channel_close(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	if (!c->open)
		return;
	if (c->watched)
		pool_unwatch(t->pool, c->reply[0]);
	if (c->out.count)
		pool_unwatch(t->pool, c->request[1]);
	for (int i = 0; i < 2; i++) {
		close_fd(&c->request[i]);
		close_fd(&c->reply[i]);
	}
	drop_outgoing(&c->out);
	free(c->in.owned);
	free(c->in.buffer);
	*c = (struct channel){ 0 };
}

static void pipe_close(struct pool_transport *t)
{
	for (int i = 0; i < t->workers; i++)
		channel_close(t, i);
	deal_close(t->deal);
	free(t);
}

/* The parent's ends do not block. A larger pipe is a favour that may be refused. */
static int channel_open(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	*c = (struct channel){ .open = true, .request = { -1, -1 }, .reply = { -1, -1 } };
	if (pipe2(c->request, O_CLOEXEC) < 0 || pipe2(c->reply, O_CLOEXEC) < 0)
		return -errno;
	if (fcntl(c->request[1], F_SETFL, O_NONBLOCK) < 0 || fcntl(c->reply[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	c->in.buffer = malloc(INBOX_BYTES);
	if (!c->in.buffer)
		return -ENOMEM;
	int rc = pool_watch(t->pool, c->reply[0], EPOLLIN, worker);
	c->watched = rc == 0;
	return rc;
}

static int pipe_ticket(struct pool_transport *t, int worker, struct pool_ticket *ticket)
{
	struct channel *c = &t->channel[worker];
	int rc = channel_open(t, worker);
	if (rc < 0) {
		channel_close(t, worker);
		return rc;
	}
	struct outbox *box = outbox_of(t->board, worker);
	*box = (struct outbox){ 0 };
	ticket->fd[0] = c->request[0];
	ticket->fd[1] = c->reply[1];
	return 0;
}

/* In the child. Its own two ends stay. */
static void pipe_forked(struct pool_transport *t, int worker)
{
	for (int i = 0; i < t->workers; i++) {
		struct channel *c = &t->channel[i];
		if (!c->open)
			continue;
		close(c->request[1]);
		close(c->reply[0]);
		if (i != worker)
			close(c->request[0]);
	}
}

/* The request pipe's read end stays with the parent, see rule 8 of pool_ops.h. */
static void pipe_started(struct pool_transport *t, int worker)
{
	close_fd(&t->channel[worker].reply[1]);
	if (t->stopping)
		pipe_stop(t);
	else
		deal_out(t->deal);
}

/* ---- sending ---- */

static void pipe_done(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	pool_unwatch(t->pool, c->request[1]);
	drop_outgoing(&c->out);
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

/* True: all is written. A pipe whose worker died takes bytes until it is full; they go with it. */
static bool push_out(const struct channel *c, struct outgoing *out)
{
	while (out->at < out->count) {
		unsigned count = out->count - out->at;
		ssize_t written = writev(c->request[1], out->iov + out->at, (int)(count < IOV_AT_ONCE ? count : IOV_AT_ONCE));
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return false;
		advance(out, (uint64_t)written);
	}
	return true;
}

static bool pipe_can_send(void *wire, int worker)
{
	const struct pool_transport *t = wire;
	const struct channel *c = &t->channel[worker];
	if (!c->open || c->out.count || t->stopping || t->pool->hand[worker].stop_reason)
		return false;
	return __atomic_load_n(&t->board->ledger[worker].phase, __ATOMIC_ACQUIRE) != POOL_PHASE_LEAVING &&
	       c->reply[1] < 0;
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
		out->iov[out->count++] = (struct iovec){ (void *)(uintptr_t)zeros, frame_padded(size) - size };
}

static uint64_t *add_column(struct outgoing *out, const struct pool_column *column, uint64_t at, uint64_t count,
			    uint64_t *sizes)
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
		.magic = FRAME_WORK,
		.job = job->serial,
		.task = job->task->id,
		.at = flight->at,
		.index = flight->index,
		.count = flight->count,
		.chunk = job->chunk,
		.result_size = job->variable & POOL_VARIABLE_RESULT ? sizeof(struct pool_ref) : job->result_size,
		.columns = job->columns,
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
		drop_outgoing(out);
		return -ENOMEM;
	}
	fill_header(flight, frame);
	uint64_t *next = (uint64_t *)(void *)(frame + 1);
	add_part(out, frame, sizeof *frame);
	for (unsigned k = 0; k < job->columns; k++)
		next = add_column(out, &job->column[k], flight->at, flight->count, next);
	return 0;
}

static int pipe_send(void *wire, int worker, const struct deal_flight *flight)
{
	struct pool_transport *t = wire;
	struct channel *c = &t->channel[worker];
	int rc = build(flight, &c->out);
	if (rc < 0)
		return rc;
	if (push_out(c, &c->out)) {
		drop_outgoing(&c->out);
		return 0;
	}
	rc = pool_watch(t->pool, c->request[1], EPOLLOUT, worker);
	if (rc < 0 && c->out.at == 0 && c->out.iov[0].iov_len == sizeof(struct frame_work)) {
		drop_outgoing(&c->out);
		return rc;
	}
	return 0;
}

/* Room was made: go on with what waits. */
static void pipe_writable(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	if (!c->out.count || !push_out(c, &c->out))
		return;
	pipe_done(t, worker);
	if (t->stopping)
		pipe_stop(t);
	else
		deal_out(t->deal);
}

static void pipe_stop(struct pool_transport *t)
{
	static const struct frame_work quit = { .magic = FRAME_QUIT };
	t->stopping = true;
	for (int i = 0; i < t->workers; i++) {
		const struct channel *c = &t->channel[i];
		if (!c->open || c->out.count)
			continue;
		ssize_t written = write(c->request[1], &quit, sizeof quit);
		(void)written; /* full: the worker is behind; it will be killed, or has quit frames enough */
	}
}

/* ---- receiving ---- */

static void garbled(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	struct pool_hand *hand = &t->pool->hand[worker];
	c->in.have = 0;
	c->in.left = UINT64_MAX;
	c->in.to = NULL;
	c->in.in_payload = true;
	if (hand->state == HAND_RUNNING)
		t->pool->backend->start->signal(&hand->body, SIGKILL);
}

static bool plausible(struct pool_transport *t, int worker)
{
	const struct frame_reply *reply = &t->channel[worker].in.reply;
	const struct deal_flight *flight = deal_front(t->deal, worker);
	if (!flight || flight->job->serial != reply->job || reply->bytes > UINT64_MAX / 2)
		return false;
	uint64_t begin = flight->at + flight->done, left = flight->count - flight->done;
	if (reply->magic == FRAME_FAULT)
		return reply->at >= begin && reply->at < begin + left;
	if (reply->magic != FRAME_RESULT || reply->at != begin || reply->count < 1 || reply->count > left)
		return false;
	if (flight->job->variable & POOL_VARIABLE_RESULT)
		return reply->count == 1;
	return reply->bytes == reply->count * flight->job->result_size;
}

/* Where the payload goes. Out of memory: it is read past and the item fails. */
static void direct_payload(struct pool_transport *t, int worker)
{
	struct incoming *in = &t->channel[worker].in;
	const struct pool_job *job = deal_front(t->deal, worker)->job;
	in->in_payload = true;
	in->left = in->reply.bytes;
	in->pad = frame_padded(in->left) - in->left;
	in->owned = NULL;
	if (in->reply.magic == FRAME_RESULT && !(job->variable & POOL_VARIABLE_RESULT)) {
		in->to = (unsigned char *)job->results + in->reply.at * job->result_size;
		return;
	}
	in->owned = malloc(in->left + 1);
	in->to = in->owned;
}

static void deliver_variable(struct pool_job *job, struct incoming *in)
{
	struct pool_bytes *place = (struct pool_bytes *)job->results + in->reply.at;
	free(place->data);
	*place = (struct pool_bytes){ in->owned, in->owned ? in->reply.bytes : 0 };
	if (!in->owned) {
		pool_job_fault(job, &(struct pool_fault){ .index = in->reply.at, .status = POOL_DECODE_ERROR, .message = "" });
	} else if (job_status_at(job, in->reply.at)) {
		free(place->data);
		*place = (struct pool_bytes){ NULL, 0 };
	}
	in->owned = NULL;
}

static void frame_complete(struct pool_transport *t, int worker)
{
	struct incoming *in = &t->channel[worker].in;
	struct pool_job *job = deal_front(t->deal, worker)->job;
	in->in_payload = false;
	if (in->reply.magic == FRAME_FAULT) {
		const struct pool_fault fault = {
			.index = in->reply.at,
			.status = in->reply.status,
			.code = in->reply.code,
			.message = in->owned ? in->owned : "",
			.message_size = in->owned ? in->reply.bytes : 0,
		};
		pool_job_fault(job, &fault);
		free(in->owned);
		in->owned = NULL;
		return;
	}
	if (job->variable & POOL_VARIABLE_RESULT)
		deliver_variable(job, in);
	deal_done(t->deal, worker, in->reply.count, in->reply.run_ns);
}

static uint64_t take_payload(struct incoming *in, const unsigned char *bytes, uint64_t size)
{
	uint64_t part = size < in->left ? size : in->left;
	if (in->to) {
		memcpy(in->to, bytes, part);
		in->to += part;
	}
	in->left -= part;
	uint64_t pad = size - part < in->pad ? size - part : in->pad;
	if (in->left == 0)
		in->pad -= pad;
	return in->left ? part : part + pad;
}

/* As many whole headers and as much payload as there is; what is left of a header stays in the buffer. */
static void consume(struct pool_transport *t, int worker, const unsigned char *bytes, uint64_t size)
{
	struct incoming *in = &t->channel[worker].in;
	uint64_t used = 0;
	for (;;) {
		if (in->in_payload) {
			used += take_payload(in, bytes + used, size - used);
			if (in->left || in->pad)
				break;
			frame_complete(t, worker);
		} else if (size - used >= sizeof in->reply) {
			memcpy(&in->reply, bytes + used, sizeof in->reply);
			used += sizeof in->reply;
			if (!plausible(t, worker)) {
				garbled(t, worker);
				return;
			}
			direct_payload(t, worker);
		} else {
			break;
		}
	}
	in->have = size - used;
	memmove(in->buffer, bytes + used, in->have);
}

/* Bytes read; 0: nothing there or the end (*end). A large payload is read to its place. */
static ssize_t read_reply(struct channel *c, bool *end)
{
	struct incoming *in = &c->in;
	ssize_t got;
	struct iovec iov[2] = { { in->buffer + in->have, INBOX_BYTES - in->have } };
	bool direct = in->in_payload && in->to && in->left >= INBOX_BYTES;
	if (direct)
		iov[0] = (struct iovec){ in->to, in->left < SSIZE_MAX ? in->left : SSIZE_MAX };
	do
		got = readv(c->reply[0], iov, 1);
	while (got < 0 && errno == EINTR);
	*end = got == 0;
	if (got <= 0)
		return 0;
	in->received += (uint64_t)got;
	if (direct) {
		in->to += got;
		in->left -= (uint64_t)got;
	} else {
		in->have += (uint64_t)got;
	}
	return got;
}

/* Until the pipe is empty. At its end it is not watched any more: the pidfd tells the rest. */
static bool receive(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	bool any = false, end = false;
	while (c->open && read_reply(c, &end) > 0) {
		consume(t, worker, c->in.buffer, c->in.have);
		any = true;
	}
	if (end && c->watched) {
		pool_unwatch(t->pool, c->reply[0]);
		c->watched = false;
	}
	return any;
}

static void pipe_event(struct pool_transport *t, int worker, unsigned events)
{
	if (!t->channel[worker].open)
		return;
	if (events & EPOLLOUT)
		pipe_writable(t, worker);
	if (events & (EPOLLIN | EPOLLHUP) && receive(t, worker))
		deal_out(t->deal);
}

/* ---- the outbox ---- */

/* What the worker gathered and did not send; the pipe before it must be empty. Nobody is moving bytes. */
static bool take_outbox(struct pool_transport *t, int worker)
{
	struct outbox *box = outbox_of(t->board, worker);
	struct incoming *in = &t->channel[worker].in;
	uint64_t filled = __atomic_load_n(&box->filled, __ATOMIC_ACQUIRE);
	if (in->received >= filled || in->received < box->base || filled - box->base > OUTBOX_ROOM)
		return false;
	const unsigned char *from = box->bytes + (in->received - box->base);
	uint64_t size = filled - in->received;
	if (in->have + size > INBOX_BYTES)
		return false;
	memcpy(in->buffer + in->have, from, size);
	in->have += size;
	in->received = filled;
	consume(t, worker, in->buffer, in->have);
	return true;
}

static bool has_gathered(const struct pool_transport *t, int worker)
{
	const struct outbox *box = outbox_of(t->board, worker);
	return t->channel[worker].open && __atomic_load_n(&box->filled, __ATOMIC_ACQUIRE) >
						  __atomic_load_n(&box->taken, __ATOMIC_ACQUIRE);
}

static bool pull(struct pool_transport *t, int worker)
{
	struct outbox *box = outbox_of(t->board, worker);
	uint32_t nobody = OUTBOX_FREE;
	if (!has_gathered(t, worker) || !__atomic_compare_exchange_n(&box->busy, &nobody, OUTBOX_PARENT, false,
								     __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	bool any = receive(t, worker);
	if (t->channel[worker].in.received == box->taken && take_outbox(t, worker)) {
		__atomic_store_n(&box->taken, t->channel[worker].in.received, __ATOMIC_RELEASE);
		any = true;
	}
	__atomic_store_n(&box->busy, OUTBOX_FREE, __ATOMIC_RELEASE);
	return any;
}

/* ---- progress ---- */

static bool pipe_reap(struct pool_transport *t)
{
	bool any = false;
	for (int i = 0; t->pull_due && i < t->workers; i++)
		any = pull(t, i) || any;
	t->pull_due = false;
	return deal_out(t->deal) || any;
}

/* A worker with several items may finish one, keep the reply back and be long in the next: look again after PULL_NS. */
static int64_t pipe_doze(struct pool_transport *t, bool asleep)
{
	if (!asleep) {
		t->pull_due = t->dozed_ns && pool_now_ns() - t->dozed_ns >= PULL_NS;
		t->dozed_ns = 0;
		return 0;
	}
	for (int i = 0; i < t->workers && !t->dozed_ns; i++)
		if (deal_outstanding(t->deal, i) > 1 || has_gathered(t, i))
			t->dozed_ns = pool_now_ns();
	return t->dozed_ns ? PULL_NS : INT64_MAX;
}

/* Results of the open piece that were finished stand behind what is gathered. */
static uint64_t finished_in_piece(struct pool_transport *t, int worker, uint64_t begun)
{
	const struct outbox *box = outbox_of(t->board, worker);
	const struct outbox_piece *piece = &box->piece;
	struct pool_job *job = deal_front(t->deal, worker)->job;
	uint64_t fine = begun - 1, size = fine * job->result_size;
	if (fine == 0)
		return begun;
	if (piece->results_at > OUTBOX_ROOM || size > OUTBOX_ROOM - piece->results_at ||
	    job->variable & POOL_VARIABLE_RESULT)
		return 1;
	memcpy((unsigned char *)job->results + piece->at * job->result_size, box->bytes + piece->results_at, size);
	return begun;
}

static uint64_t begun_in_piece(struct pool_transport *t, int worker)
{
	const struct outbox_piece *piece = &outbox_of(t->board, worker)->piece;
	const struct pool_ledger *ledger = &t->board->ledger[worker];
	const struct deal_flight *flight = deal_front(t->deal, worker);
	if (!flight || !piece->open || piece->job != flight->job->serial || piece->at != flight->at + flight->done)
		return 0;
	if (ledger->progress >> 32 == piece->progress_before >> 32)
		return 0;
	uint64_t begun = ledger->progress & UINT32_MAX;
	if (begun == 0 || begun > flight->count - flight->done)
		return 0;
	return finished_in_piece(t, worker, begun);
}

static void pipe_lost(struct pool_transport *t, int worker)
{
	if (!t->channel[worker].open)
		return;
	receive(t, worker);
	struct incoming *in = &t->channel[worker].in;
	if (!in->in_payload || in->to)
		take_outbox(t, worker);
	uint64_t begun = begun_in_piece(t, worker);
	channel_close(t, worker);
	deal_lost(t->deal, worker, begun);
	deal_out(t->deal);
}

/* ---- jobs: the dealer's ---- */

static int pipe_prepare(struct pool_transport *t, struct pool_job *job)
{
	return deal_prepare(t->deal, job);
}

static int pipe_publish(struct pool_transport *t, struct pool_job *job)
{
	return deal_publish(t->deal, job);
}

static int pipe_extend(struct pool_transport *t, struct pool_job *job, uint64_t tile)
{
	return deal_extend(t->deal, job, tile);
}

static void pipe_offer(struct pool_transport *t, uint64_t tiles)
{
	(void)tiles;
	deal_out(t->deal);
}

static void pipe_cancel(struct pool_transport *t, struct pool_job *job)
{
	deal_cancel(t->deal, job);
}

static void pipe_retire(struct pool_transport *t, struct pool_job *job)
{
	deal_retire(t->deal, job);
}

static void pipe_collect(struct pool_transport *t, struct pool_job *job)
{
	deal_collect(t->deal, job);
}

static bool pipe_holds(struct pool_transport *t, int worker, const struct pool_job *job)
{
	return deal_holds(t->deal, worker, job);
}

const struct pool_transport_ops pool_transport_pipe = {
	.name = "pipe",
	.open = pipe_open,
	.close = pipe_close,
	.ticket = pipe_ticket,
	.forked = pipe_forked,
	.started = pipe_started,
	.stop = pipe_stop,
	.prepare = pipe_prepare,
	.publish = pipe_publish,
	.extend = pipe_extend,
	.offer = pipe_offer,
	.cancel = pipe_cancel,
	.retire = pipe_retire,
	.collect = pipe_collect,
	.reap = pipe_reap,
	.doze = pipe_doze,
	.event = pipe_event,
	.lost = pipe_lost,
	.holds = pipe_holds,
	.attach = pipe_attach,
	.claim = pipe_claim,
	.result_alloc = pipe_result_alloc,
	.fault = pipe_fault,
	.commit = pipe_commit,
	.detach = pipe_detach,
};
