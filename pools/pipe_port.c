/*
 * pipe_port.c - the worker's side of the pipe transport: reads frames, runs them in pieces, gathers
 * replies.
 *
 * DESIGN. A piece is at most one chunk and at most what the outbox holds, so that the results of
 * finished items always stand in shared memory, where the parent finds them if the worker dies.
 * Results that alone are larger than the outbox, and those of variable size, go one item a piece.
 */
#include "pools/pipe_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INBOX_BYTES = 64 * 1024, KEEP_BYTES = 1 << 20 };
static const int64_t FLUSH_NS = 200000;

int pipe_attach(struct pool_port **out, const struct pool_ticket *ticket, struct pool_board *board)
{
	struct pool_port *p = calloc(1, sizeof *p);
	void *inbox = NULL;
	if (!p || posix_memalign(&inbox, 64, INBOX_BYTES)) {
		free(p);
		return -ENOMEM;
	}
	p->inbox = inbox;
	p->in = ticket->fd[0];
	p->out = ticket->fd[1];
	p->outbox = outbox_of(board, ticket->worker);
	p->board = board;
	p->ledger = &board->ledger[ticket->worker];
	*out = p;
	return 0;
}

/* ---- receiving ---- */

/* Bytes read; 0: the parent is gone. */
static int read_some(struct pool_port *p, unsigned char *to, uint64_t room_bytes)
{
	ssize_t got;
	do
		got = read(p->in, to, room_bytes);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : (int)got;
}

/* Until `bytes` unread ones stand in the inbox, at its start if they would not fit behind. What is
 * gathered leaves before the worker waits. */
static int need(struct pool_port *p, uint64_t bytes)
{
	if (p->used == p->have)
		p->used = p->have = 0;
	if (p->used + bytes > INBOX_BYTES) {
		memmove(p->inbox, p->inbox + p->used, p->have - p->used);
		p->have -= p->used;
		p->used = 0;
	}
	while (p->have - p->used < bytes) {
		int rc = p->outbox->filled > p->outbox->base ? outbox_flush(p) : 0;
		if (rc == 0)
			rc = read_some(p, p->inbox + p->have, INBOX_BYTES - p->have);
		if (rc <= 0)
			return rc < 0 ? rc : POOL_END;
		p->have += (uint64_t)rc;
	}
	return 0;
}

static int read_large(struct pool_port *p)
{
	uint64_t size = p->work.bytes, have = p->have - p->used;
	if (p->large_room < size) {
		free(p->large);
		p->large_room = 0;
		if (posix_memalign((void **)&p->large, 64, size)) {
			p->large = NULL;
			return -ENOMEM;
		}
		p->large_room = size;
	}
	if (have > size)
		have = size;
	memcpy(p->large, p->inbox + p->used, have);
	p->used += have;
	int rc = p->outbox->filled > p->outbox->base ? outbox_flush(p) : 0;
	while (rc >= 0 && have < size) {
		rc = read_some(p, p->large + have, size - have < 1u << 30 ? size - have : 1u << 30);
		if (rc == 0)
			return POOL_END;
		have += rc > 0 ? (uint64_t)rc : 0;
	}
	p->payload = p->large;
	return rc < 0 ? rc : 0;
}

static void drop_frame(struct pool_port *p)
{
	for (unsigned k = 0; k < p->work.columns; k++) {
		free(p->refs[k]);
		p->refs[k] = NULL;
	}
	if (p->large_room > KEEP_BYTES) {
		free(p->large);
		p->large = NULL;
		p->large_room = 0;
	}
	p->work.count = p->done = 0;
	p->work.columns = 0;
}

/* The columns' places in the payload; for variable size, references to each element. */
static int map_columns(struct pool_port *p)
{
	unsigned char *at = p->payload;
	for (unsigned k = 0; k < p->work.columns; k++) {
		if (!(p->work.variable >> k & 1u)) {
			p->column[k] = at;
			at += frame_padded(p->work.count * p->work.arg_size[k]);
			continue;
		}
		const uint64_t *sizes = (const uint64_t *)(void *)at;
		at += frame_padded(p->work.count * sizeof *sizes);
		p->refs[k] = malloc(p->work.count * sizeof(struct pool_ref));
		if (!p->refs[k])
			return -ENOMEM;
		p->column[k] = (const unsigned char *)p->refs[k];
		for (uint64_t i = 0; i < p->work.count; i++) {
			p->refs[k][i] = (struct pool_ref){ (uint64_t)(uintptr_t)at, sizes[i] };
			at += frame_padded(sizes[i]);
		}
	}
	return 0;
}

static int next_frame(struct pool_port *p)
{
	pool_ledger_wait(p->ledger, true);
	int rc = need(p, sizeof p->work);
	pool_ledger_wait(p->ledger, false);
	if (rc)
		return rc;
	memcpy(&p->work, p->inbox + p->used, sizeof p->work);
	p->used += sizeof p->work;
	if (p->work.magic != FRAME_WORK)
		return p->work.magic == FRAME_QUIT ? POOL_END : -EPROTO;
	if (p->work.bytes > INBOX_BYTES) {
		rc = read_large(p);
	} else {
		rc = need(p, p->work.bytes);
		p->payload = p->inbox + p->used;
		p->used += p->work.bytes;
	}
	p->done = 0;
	return rc ? rc : map_columns(p);
}

/* ---- pieces ---- */

/* Chunks that came in one flight are short: they run as one piece. Where a worker counts its tasks, chunk by chunk. */
static uint64_t piece_size(const struct pool_port *p)
{
	const struct frame_work *work = &p->work;
	uint64_t left = work->count - p->done;
	if (work->variable & POOL_VARIABLE_RESULT)
		return 1;
	if (work->chunk && p->board->tasks_per_worker) {
		uint64_t rest = work->chunk - p->done % work->chunk;
		left = rest < left ? rest : left;
	}
	if (work->result_size == 0)
		return left;
	uint64_t fit = (OUTBOX_ROOM - sizeof(struct frame_reply)) / work->result_size;
	return fit == 0 ? 1 : fit < left ? fit : left;
}

/* Chunks that begin in the next `count` items. */
static uint64_t chunks_begun(const struct pool_port *p, uint64_t count)
{
	const uint64_t chunk = p->work.chunk;
	if (chunk == 0)
		return 1;
	return (p->done + count + chunk - 1) / chunk - (p->done + chunk - 1) / chunk;
}

static bool fits_outbox(const struct pool_port *p, uint64_t count)
{
	return sizeof(struct frame_reply) + frame_padded(count * p->work.result_size) <=
	       OUTBOX_ROOM;
}

/* Where the piece's results go: behind what is gathered, leaving room for the header. */
static int place_results(struct pool_port *p, struct pool_span *span)
{
	struct outbox *box = p->outbox;
	uint64_t size =
		sizeof(struct frame_reply) + frame_padded(span->count * p->work.result_size);
	box->piece.results_at = UINT64_MAX;
	if (p->work.variable & POOL_VARIABLE_RESULT) {
		p->variable = (struct pool_ref){ 0, 0 };
		span->call.result = (unsigned char *)&p->variable;
		return 0;
	}
	if (!fits_outbox(p, span->count)) {
		free(p->result);
		p->result = malloc(span->count * p->work.result_size);
		span->call.result = p->result;
		return p->result ? 0 : -ENOMEM;
	}
	int rc = size > outbox_room(p) ? outbox_flush(p) : 0;
	box->piece.results_at = box->filled - box->base + sizeof(struct frame_reply);
	span->call.result = box->bytes + box->piece.results_at;
	return rc;
}

static void place_arguments(const struct pool_port *p, struct pool_span *span)
{
	const struct frame_work *work = &p->work;
	for (unsigned k = 0; k < work->columns; k++) {
		bool variable = work->variable >> k & 1u;
		uint64_t size = variable ? sizeof(struct pool_ref) : work->arg_size[k];
		span->call.arg[k] = p->column[k] + p->done * size;
		span->call.arg_size[k] = size;
	}
}

static void announce(struct pool_port *p, const struct pool_span *span)
{
	struct outbox_piece *piece = &p->outbox->piece;
	piece->job = p->work.job;
	piece->at = p->work.at + p->done;
	piece->count = span->count;
	piece->progress_before = p->ledger->progress;
	__atomic_store_n(&piece->open, 1, __ATOMIC_RELEASE);
}

int pipe_claim(struct pool_port *p, struct pool_span *span)
{
	if (p->done == p->work.count) {
		drop_frame(p);
		int rc = next_frame(p);
		if (rc)
			return rc;
	}
	const struct frame_work *work = &p->work;
	*span = (struct pool_span){
		.task = work->task,
		.count = piece_size(p),
		.limit_ns = work->limit_ns,
		.call = {
			.result_size = work->result_size,
			.index = work->index + p->done,
			.columns = work->columns,
			.variable = work->variable,
		},
	};
	span->claims = chunks_begun(p, span->count);
	place_arguments(p, span);
	int rc = place_results(p, span);
	announce(p, span);
	p->piece_ns = pool_now_ns();
	return rc;
}

void *pipe_result_alloc(struct pool_port *p, struct pool_ref *ref, uint64_t bytes)
{
	(void)p;
	free((void *)(uintptr_t)ref->at);
	void *place = malloc(bytes + 1);
	*ref = (struct pool_ref){ (uint64_t)(uintptr_t)place, place ? bytes : 0 };
	return place;
}

int pipe_fault(struct pool_port *p, struct pool_span *span, const struct pool_fault *fault)
{
	const struct frame_reply reply = {
		.magic = FRAME_FAULT,
		.job = p->work.job,
		.status = fault->status,
		.code = fault->code,
		.at = p->work.at + p->done + (fault->index - span->call.index),
		.count = 1,
		.bytes = fault->message_size,
	};
	return outbox_send_past(p, &reply, fault->message);
}

static int send_piece(struct pool_port *p, const struct pool_span *span)
{
	struct frame_reply reply = {
		.magic = FRAME_RESULT,
		.job = p->work.job,
		.at = p->work.at + p->done,
		.count = span->count,
		.bytes = span->count * p->work.result_size,
		.run_ns = (uint64_t)(pool_now_ns() - p->piece_ns),
	};
	const void *bytes = NULL;
	if (p->work.variable & POOL_VARIABLE_RESULT) {
		reply.bytes = p->variable.size;
		bytes = (const void *)(uintptr_t)p->variable.at;
	} else if (p->outbox->piece.results_at == UINT64_MAX) {
		bytes = p->result;
	} else {
		outbox_append(p, &reply, NULL);
		return 0;
	}
	return outbox_send(p, &reply, bytes);
}

static bool flush_due(struct pool_port *p)
{
	int64_t now = pool_now_ns();
	if (!p->gather_ns)
		p->gather_ns = now;
	return now - p->piece_ns > FLUSH_NS || now - p->gather_ns > FLUSH_NS ||
	       p->outbox->filled - p->outbox->base > OUTBOX_ROOM / 2;
}

int pipe_commit(struct pool_port *p, struct pool_span *span)
{
	int rc = send_piece(p, span);
	if (rc < 0)
		return rc; /* the piece stays open: begun and not answered */
	__atomic_store_n(&p->outbox->piece.open, 0, __ATOMIC_RELEASE);
	p->done += span->count;
	free((void *)(uintptr_t)p->variable.at);
	p->variable = (struct pool_ref){ 0, 0 };
	free(p->result);
	p->result = NULL;
	bool last = p->done == p->work.count; /* the parent has the next flight to send */
	return last || flush_due(p) ? outbox_flush(p) : 0;
}

void pipe_detach(struct pool_port *p)
{
	outbox_flush(p);
	drop_frame(p);
	free(p->large);
	free(p->result);
	free(p->inbox);
	close(p->in);
	close(p->out);
	free(p);
}
