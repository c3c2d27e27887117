/*
 * pipe_port.c - the worker's side of the pipe transport: reads frames, runs them in pieces, gathers
 * replies. What a frame may be is judged by inbox.c.
 *
 * DESIGN. A piece is at most one flight and at most what the outbox holds, so that the results of
 * finished items always stand in shared memory, where the parent finds them if the worker dies.
 * Results that alone are larger than the outbox, and those of variable size, go one item a piece.
 * A piece is as many chunks as took PIECE_NS lately: between two the worker sees that a flight was
 * recalled, or cut. It is no more than an even share of what was left when the flight was sent: once begun, an item waits for
 * those before it. Somebody may wait for each result of a stream (or for the first that fails), and one that is finished waits for the
 * others of its piece: so there it is from one chunk on in each flight, and GRAIN_STREAM at most,
 * which is what a long item, or a run of them, keeps back.
 */
#include "pools/pipe_port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const int64_t FLUSH_NS = 1000000, FLUSH_BATCH_NS = 5000000, PIECE_NS = 20000;
enum { GRAIN_STREAM = POOL_FAIL_FAST_MOST, GRAIN_BATCH = 4096 };

int pipe_attach(struct pool_port **out, const struct pool_ticket *ticket, struct pool_board *board)
{
	struct pool_port *p = calloc(1, sizeof *p);
	if (!p || inbox_open(&p->inbox) < 0) {
		free(p);
		return -ENOMEM;
	}
	p->in = ticket->fd[0];
	p->out = ticket->fd[1];
	p->wake_fd = ticket->wake_fd;
	p->outbox = outbox_of(board, ticket->worker);
	p->board = board;
	p->grain = 1;
	p->ledger = &board->ledger[ticket->worker];
	*out = p;
	return 0;
}

/* ---- receiving ---- */

/* What is gathered leaves before the worker waits. */
static int read_some(struct pool_port *p)
{
	int rc = p->outbox->filled > p->outbox->base ? outbox_flush(p) : 0;
	if (rc < 0)
		return rc;
	const struct iovec room = inbox_room(&p->inbox);
	ssize_t got;
	do
		got = read(p->in, room.iov_base, room.iov_len);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return got < 0 ? -errno : POOL_END; /* the end: the parent is gone */
	__atomic_store_n(&p->outbox->heard, p->outbox->heard + (uint64_t)got, __ATOMIC_RELAXED);
	inbox_arrived(&p->inbox, (uint64_t)got);
	return 0;
}

static int next_frame(struct pool_port *p)
{
	int rc;
	inbox_drop(&p->inbox);
	p->done = 0;
	while ((rc = inbox_next(&p->inbox)) == -EAGAIN) {
		pool_ledger_wait(p->ledger, true, pool_now_ns());
		rc = read_some(p);
		pool_ledger_wait(p->ledger, false, pool_now_ns());
		if (rc)
			return rc;
	}
	if (p->inbox.work.magic == FRAME_STREAM)
		p->grain = 1;
	return rc;
}

/* ---- pieces ---- */

/* A worker that counts its tasks leaves where a chunk ends; an automatic one is a flight then. */
static uint64_t chunk_of(const struct pool_port *p)
{
	const struct frame_work *work = &p->inbox.work;
	if (work->chunk)
		return work->chunk;
	return p->board->tasks_per_worker ? work->count : 1;
}

static bool is_inside_chunk(const struct pool_port *p, uint64_t at)
{
	return at < p->inbox.work.count && at % chunk_of(p) != 0;
}

static uint64_t piece_size(const struct pool_port *p)
{
	const struct frame_work *work = &p->inbox.work;
	const uint64_t chunk = chunk_of(p), unit = work->chunk ? chunk : 1;
	uint64_t left = work->count - p->done;
	const uint64_t even = (left + work->behind) / p->board->workers / unit;
	const uint64_t most = even < 1 ? 1 : even < p->grain ? even : p->grain;
	if (work->variable & POOL_VARIABLE_RESULT)
		return 1;
	if (p->board->tasks_per_worker) {
		const uint64_t rest = chunk - p->done % chunk;
		left = rest < left ? rest : left;
	}
	if (most <= left / unit)
		left = most * unit;
	if (work->result_size == 0)
		return left;
	uint64_t fit = (OUTBOX_ROOM - sizeof(struct frame_reply)) / work->result_size;
	return fit == 0 ? 1 : fit < left ? fit : left;
}

/* Chunks that begin in the next `count` items. An automatic one is a flight. */
static uint64_t chunks_begun(const struct pool_port *p, uint64_t count)
{
	const uint64_t chunk = p->inbox.work.chunk;
	if (chunk == 0)
		return p->done == 0;
	return (p->done + count + chunk - 1) / chunk - (p->done + chunk - 1) / chunk;
}

static bool fits_outbox(const struct pool_port *p, uint64_t count)
{
	return sizeof(struct frame_reply) + frame_padded(count * p->inbox.work.result_size) <=
	       OUTBOX_ROOM;
}

/* Where the piece's results go: behind what is gathered, leaving room for the header. */
static int place_results(struct pool_port *p, struct pool_span *span)
{
	struct outbox *box = p->outbox;
	uint64_t size =
		sizeof(struct frame_reply) + frame_padded(span->count * p->inbox.work.result_size);
	box->piece.results_at = UINT64_MAX;
	if (p->inbox.work.variable & POOL_VARIABLE_RESULT) {
		p->variable = (struct pool_ref){ 0, 0 };
		span->call.result = (unsigned char *)&p->variable;
		return 0;
	}
	if (!fits_outbox(p, span->count)) {
		free(p->result);
		p->result = malloc(span->count * p->inbox.work.result_size);
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
	const struct frame_work *work = &p->inbox.work;
	for (unsigned k = 0; k < work->columns; k++) {
		bool variable = work->variable >> k & 1u;
		uint64_t size = variable ? sizeof(struct pool_ref) : work->arg_size[k];
		span->call.arg[k] = p->inbox.column[k] + p->done * size;
		span->call.arg_size[k] = size;
	}
}

static void announce(struct pool_port *p, const struct pool_span *span)
{
	struct outbox_piece *piece = &p->outbox->piece;
	piece->flight = p->inbox.work.flight;
	piece->at = p->inbox.work.at + p->done;
	piece->count = span->count;
	piece->progress_before = p->ledger->progress;
	__atomic_store_n(&piece->open, 1, __ATOMIC_RELEASE);
}

static bool is_recalled(const struct pool_port *p)
{
	const uint32_t number = p->inbox.work.flight;
	return __atomic_load_n(&p->outbox->recalled[number % DEAL_FLIGHTS], __ATOMIC_ACQUIRE) ==
	       number;
}

static uint64_t *extent_of(const struct pool_port *p)
{
	return &p->outbox->extent[p->inbox.work.flight % DEAL_FLIGHTS];
}

/* Where the flight ends now: a parent only brings the end nearer. True: that is where the worker is. */
static bool is_cut_here(struct pool_port *p, uint64_t extent)
{
	const uint64_t end = extent >> 32;
	if (end >= p->done && end < p->inbox.work.count)
		p->inbox.work.count = end;
	return p->done == p->inbox.work.count;
}

/* The next piece is the worker's now, the parent cannot cut it off. How many items it has; 0: there is none any more. */
static uint64_t begin(struct pool_port *p)
{
	uint64_t *extent = extent_of(p);
	uint64_t seen = __atomic_load_n(extent, __ATOMIC_ACQUIRE), count;
	do {
		if (is_cut_here(p, seen))
			return 0;
		count = piece_size(p);
	} while (!__atomic_compare_exchange_n(extent, &seen,
					      (seen & ~(uint64_t)UINT32_MAX) | (p->done + count),
					      false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return count;
}

/* Before the finalizer, which may take long: what it was sent and has not begun goes to others meanwhile. */
static int leave(struct pool_port *p)
{
	int rc = outbox_flush(p);
	if (rc == 0 && p->board->finalizer) {
		__atomic_store_n(&p->outbox->left, 1, __ATOMIC_RELEASE);
		pool_fd_wake(p->wake_fd);
	}
	return rc;
}

/* The rest of the flight is not begun. Who stayed only to end its chunk leaves, and says so before the parent may send
 * another. */
static int drop_rest(struct pool_port *p)
{
	is_cut_here(p, __atomic_load_n(extent_of(p), __ATOMIC_ACQUIRE));
	const struct frame_reply reply = {
		.magic = FRAME_DROPPED,
		.flight = p->inbox.work.flight,
		.at = p->inbox.work.at + p->done,
		.count = p->inbox.work.count - p->done,
	};
	p->done = p->inbox.work.count;
	if (p->overdue)
		__atomic_store_n(&p->ledger->phase, POOL_PHASE_LEAVING, __ATOMIC_RELEASE);
	int rc = outbox_send(p, &reply, NULL);
	if (rc == 0)
		rc = p->overdue ? leave(p) : outbox_flush(p);
	return rc == 0 && p->overdue ? POOL_END : rc;
}

/* What there is to run: the frame, how much of it is done and how much of it comes next. */
static int find_work(struct pool_port *p, uint64_t *count)
{
	for (;;) {
		int rc = p->done == p->inbox.work.count ? next_frame(p) : 0;
		if (rc)
			return rc;
		*count = is_recalled(p) ? 0 : begin(p);
		if (*count)
			return 0;
		rc = drop_rest(p);
		if (rc)
			return rc;
	}
}

int pipe_claim(struct pool_port *p, struct pool_span *span)
{
	uint64_t count;
	int rc = find_work(p, &count);
	if (rc)
		return rc;
	const struct frame_work *work = &p->inbox.work;
	*span = (struct pool_span){
		.task = work->task,
		.count = count,
		.limit_ns = work->limit_ns,
		.call = {
			.result_size = work->result_size,
			.index = work->index + p->done,
			.columns = work->columns,
			.variable = work->variable,
		},
	};
	span->claims = chunks_begun(p, span->count);
	span->goes_on = p->board->tasks_per_worker && is_inside_chunk(p, p->done + span->count);
	place_arguments(p, span);
	rc = place_results(p, span);
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

/* What cannot be told ends the worker here: its piece is open, so the item is lost. Were it to go on, the item would look
 * fine to whoever finds the piece in the outbox. */
void pipe_fault(struct pool_port *p, struct pool_span *span, const struct pool_fault *fault)
{
	const struct frame_reply reply = {
		.magic = FRAME_FAULT,
		.flight = p->inbox.work.flight,
		.status = fault->status,
		.code = fault->code,
		.at = p->inbox.work.at + p->done + (fault->index - span->call.index),
		.count = 1,
		.bytes = fault->message_size,
	};
	if (outbox_send_past(p, &reply, fault->message) < 0)
		_exit(POOL_EXIT_BROKEN);
}

static int send_piece(struct pool_port *p, const struct pool_span *span, int64_t run_ns)
{
	struct frame_reply reply = {
		.magic = FRAME_RESULT,
		.flight = p->inbox.work.flight,
		.at = p->inbox.work.at + p->done,
		.count = span->count,
		.bytes = span->count * p->inbox.work.result_size,
		.run_ns = (uint64_t)run_ns,
	};
	const void *bytes = NULL;
	if (p->inbox.work.variable & POOL_VARIABLE_RESULT) {
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

static bool flush_due(struct pool_port *p, int64_t run_ns)
{
	const int64_t now_ns = p->piece_ns + run_ns;
	if (!p->gather_ns)
		p->gather_ns = now_ns;
	const int64_t most_ns = p->inbox.work.magic == FRAME_STREAM ? FLUSH_NS : FLUSH_BATCH_NS;
	return run_ns > most_ns || now_ns - p->gather_ns > most_ns ||
	       p->outbox->filled - p->outbox->base > OUTBOX_ROOM / 2;
}

/* A smaller piece than might have been tells nothing of larger ones. */
static void adapt_grain(struct pool_port *p, uint64_t count, int64_t run_ns)
{
	const uint64_t most = p->inbox.work.magic == FRAME_STREAM ? GRAIN_STREAM : GRAIN_BATCH;
	const uint64_t unit = p->inbox.work.chunk ? p->inbox.work.chunk : 1;
	if (run_ns < PIECE_NS / 2 && p->grain < most && count / unit >= p->grain)
		p->grain *= 2;
	else if (run_ns > 2 * PIECE_NS)
		p->grain = 1;
}

int pipe_commit(struct pool_port *p, struct pool_span *span)
{
	const int64_t run_ns = pool_now_ns() - p->piece_ns;
	int rc = send_piece(p, span, run_ns);
	if (rc < 0)
		return rc; /* the piece stays open: begun and not answered */
	__atomic_store_n(&p->outbox->piece.open, 0, __ATOMIC_RELEASE);
	p->done += span->count;
	p->overdue = span->overdue;
	adapt_grain(p, span->count, run_ns);
	free((void *)(uintptr_t)p->variable.at);
	p->variable = (struct pool_ref){ 0, 0 };
	free(p->result);
	p->result = NULL;
	if (p->ledger->phase == POOL_PHASE_LEAVING)
		return leave(p);
	bool last = p->done == p->inbox.work.count; /* the parent has the next flight to send */
	return last || flush_due(p, run_ns) ? outbox_flush(p) : 0;
}

void pipe_detach(struct pool_port *p)
{
	outbox_flush(p);
	inbox_close(&p->inbox);
	free(p->result);
	close(p->in);
	close(p->out);
	free(p);
}
