/*
 * pipe_receive.c - what workers have sent, through their pipes and in their outboxes.
 *
 * DESIGN. The pipe must bring what the worker says it has sent, in its outbox's positions. More than
 * that came from somebody else who has the descriptor, most likely a task; less went elsewhere. Both
 * are seen without a frame being malformed, and neither is waited for.
 */
#include "pools/pipe_parent.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* More than any pipe holds: whoever writes as fast as it is read must not keep the parent. */
static const uint64_t RECEIVE_MOST = UINT64_C(4) << 20;

/* ---- giving up ---- */

/* A worker that is being started cannot be killed yet. */
static void kill_garbled(struct pool_transport *t, int worker)
{
	struct pool_hand *hand = &t->pool->hand[worker];
	if (hand->state == HAND_STARTING) {
		t->condemned = true;
		return;
	}
	if (!hand->stop_reason)
		hand->stop_reason = t->channel[worker].reason;
	if (hand->state == HAND_RUNNING)
		t->pool->backend->start->signal(&hand->body, SIGKILL);
}

void pipe_give_up(struct pool_transport *t, int worker, int reason)
{
	struct channel *c = &t->channel[worker];
	if (c->garbled)
		return;
	c->garbled = true;
	c->reason = reason;
	c->in.have = 0;
	if (c->watched)
		pool_unwatch(t->pool, c->reply[0]);
	c->watched = false;
	if (c->out.count)
		pool_unwatch(t->pool, c->request[1]);
	kill_garbled(t, worker);
}

void pipe_kill_condemned(struct pool_transport *t)
{
	t->condemned = false;
	for (int i = 0; i < t->workers; i++)
		if (t->channel[i].garbled)
			kill_garbled(t, i);
}

/* ---- receiving ---- */

/* More than the worker has sent? The load of `busy` pairs with its releases in outbox.c: whatever
 * came from a worker that moves no bytes now is in `taken`. While it moves some nobody knows. */
static bool has_surplus(const struct pool_transport *t, int worker)
{
	const struct outbox *box = t->channel[worker].outbox;
	return __atomic_load_n(&box->busy, __ATOMIC_ACQUIRE) != OUTBOX_WORKER &&
	       t->channel[worker].in.received > __atomic_load_n(&box->taken, __ATOMIC_ACQUIRE);
}

/* Nobody moves bytes, and the pipe is empty: what came and what was sent are equal then. */
static bool makes_sense(const struct channel *c)
{
	const uint64_t filled = __atomic_load_n(&c->outbox->filled, __ATOMIC_ACQUIRE),
		       taken = __atomic_load_n(&c->outbox->taken, __ATOMIC_ACQUIRE),
		       base = __atomic_load_n(&c->outbox->base, __ATOMIC_RELAXED);
	return c->in.received == taken && base <= taken && taken <= filled &&
	       filled - base <= OUTBOX_ROOM;
}

/* Bytes read; 0: the end; or -errno. */
static int64_t read_reply(const struct channel *c, struct iovec room)
{
	ssize_t got;
	do
		got = read(c->reply[0], room.iov_base, room.iov_len);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Until the pipe is empty. At its end it is not watched any more: the pidfd tells the rest. */
bool pipe_receive(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	const uint64_t before = c->in.received;
	bool end = false;
	while (c->open && !c->garbled && c->in.received - before < RECEIVE_MOST) {
		const int64_t got = read_reply(c, pipe_room(&c->in));
		end = got == 0;
		if (got < 0 && !pipe_error_passes((int)-got))
			pipe_give_up(t, worker, POOL_ENCODE_ERROR);
		if (got <= 0)
			break;
		c->in.received += (uint64_t)got;
		if (has_surplus(t, worker))
			pipe_give_up(t, worker, POOL_DECODE_ERROR);
		else
			pipe_arrived(t, worker, (uint64_t)got);
	}
	if (end && c->watched) {
		pool_unwatch(t->pool, c->reply[0]);
		c->watched = false;
	}
	return c->in.received != before;
}

/* A leader that is woken calls deal_out whatever it finds, and before it sleeps. */
bool pipe_has_news(void *wire, int64_t most_ns)
{
	const struct pool_transport *t = wire;
	return pump_has_events(t->pool, most_ns);
}

/* ---- the outbox ---- */

/* What the worker gathered and did not send; the pipe before it must be empty. Nobody is moving
 * bytes. What the worker writes is looked at once: it may be something else the next time. */
static bool take_outbox(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	const struct outbox *box = c->outbox;
	const uint64_t filled = __atomic_load_n(&box->filled, __ATOMIC_ACQUIRE),
		       base = __atomic_load_n(&box->base, __ATOMIC_RELAXED);
	if (c->in.received >= filled || c->in.received < base || filled - base > OUTBOX_ROOM)
		return false;
	const unsigned char *from = box->bytes + (c->in.received - base);
	for (uint64_t left = filled - c->in.received; left && !c->garbled;) {
		const struct iovec room = pipe_room(&c->in);
		uint64_t part = left < room.iov_len ? left : room.iov_len;
		memcpy(room.iov_base, from, part);
		from += part;
		left -= part;
		c->in.received += part;
		pipe_arrived(t, worker, part);
	}
	return true;
}

bool pipe_is_due(const struct pool_transport *t, int worker)
{
	const struct channel *c = &t->channel[worker];
	if (!c->open || c->garbled)
		return false;
	uint64_t taken = __atomic_load_n(&c->outbox->taken, __ATOMIC_ACQUIRE);
	return c->in.received != taken ||
	       __atomic_load_n(&c->outbox->filled, __ATOMIC_ACQUIRE) > taken;
}

/* While the parent is at the outbox the worker sends nothing. Nobody but the parent says that it is
 * the parent. */
bool pipe_pull(struct pool_transport *t, int worker)
{
	const struct incoming *in = &t->channel[worker].in;
	struct outbox *box = t->channel[worker].outbox;
	uint32_t owner = OUTBOX_FREE;
	if (!pipe_is_due(t, worker))
		return false;
	if (!__atomic_compare_exchange_n(&box->busy, &owner, OUTBOX_PARENT, false, __ATOMIC_ACQUIRE,
					 __ATOMIC_RELAXED)) {
		if (owner != OUTBOX_WORKER)
			pipe_give_up(t, worker, POOL_DECODE_ERROR);
		return false;
	}
	bool any = pipe_receive(t, worker);
	if (!makes_sense(&t->channel[worker]))
		pipe_give_up(t, worker, POOL_DECODE_ERROR);
	else if (take_outbox(t, worker))
		any = true;
	__atomic_store_n(&box->taken, in->received, __ATOMIC_RELEASE);
	__atomic_store_n(&box->busy, OUTBOX_FREE, __ATOMIC_RELEASE);
	return any;
}

/* ---- deaths ---- */

/* A dead worker's open piece, looked at once: its siblings can still write there. */
struct remains {
	struct outbox_piece piece;
	uint64_t begun; /* items of the piece, 0 .. its count */
};

static void look_at_remains(const struct pool_transport *t, int worker, struct remains *left)
{
	const struct outbox *box = t->channel[worker].outbox;
	const uint64_t progress = t->board->ledger[worker].progress;
	memcpy(&left->piece, &box->piece, sizeof left->piece);
	left->begun = progress & UINT32_MAX;
	if (!left->piece.open)
		left->begun = left->piece.count;
	else if (progress >> 32 == left->piece.progress_before >> 32)
		left->begun = 0;
	if (left->begun > left->piece.count)
		left->begun = left->piece.count;
}

/* Results of the open piece that were finished stand behind what is gathered: true if they could be taken. */
static bool take_finished(struct pool_transport *t, int worker, const struct outbox_piece *piece,
			  uint64_t fine)
{
	const struct outbox *box = t->channel[worker].outbox;
	const struct pool_job *job = deal_front(t->deal, worker)->job;
	const uint64_t size = fine * job->result_size;
	if (fine == 0)
		return true;
	if (piece->results_at > OUTBOX_ROOM || size > OUTBOX_ROOM - piece->results_at ||
	    job->variable & POOL_VARIABLE_RESULT)
		return false;
	job_put_results(job, piece->at * job->result_size, box->bytes + piece->results_at, size);
	return true;
}

/* Which of the worker's flights the piece is of; -1: none. A piece that was answered tells nothing, and its cells may have
 * been used again since, unless the answer was among what could not be read. */
static int flight_of_piece(const struct pool_transport *t, int worker,
			   const struct outbox_piece *piece)
{
	if (!piece->open && !t->channel[worker].garbled)
		return -1;
	for (int i = 0; i < DEAL_FLIGHTS; i++) {
		const struct deal_flight *flight = deal_flight(t->deal, worker, i);
		if (flight && piece->flight == flight->number &&
		    piece->at >= flight->at + flight->done &&
		    piece->at < flight->at + flight->count)
			return i;
	}
	return -1;
}

/* Its record makes no sense: whatever it held may have begun, if it ever claimed anything. */
static void judge_unknown(const struct pool_transport *t, int worker,
			  const struct outbox_piece *piece, struct deal_end *end)
{
	const struct deal_flight *front = deal_flight(t->deal, worker, 0),
				 *behind = deal_flight(t->deal, worker, 1);
	if (t->channel[worker].reason != POOL_DECODE_ERROR || piece->flight == 0)
		return;
	end->lost = front ? front->count - front->done : 0;
	end->lost_behind = behind ? behind->count : 0;
}

/* What lies before the piece was begun too, and its answers were lost on the way. */
static void judge_piece(struct pool_transport *t, int worker, struct deal_end *end)
{
	struct remains left;
	look_at_remains(t, worker, &left);
	const struct outbox_piece *piece = &left.piece;
	int of = flight_of_piece(t, worker, piece);
	if (of < 0) {
		judge_unknown(t, worker, piece, end);
		return;
	}
	const struct deal_flight *front = deal_front(t->deal, worker),
				 *flight = deal_flight(t->deal, worker, of);
	uint64_t next = flight->at + flight->done, begun = left.begun;
	if (begun > flight->at + flight->count - piece->at)
		begun = flight->at + flight->count - piece->at;
	if (of > 0) {
		end->lost = front->count - front->done;
		end->lost_behind = piece->at - next + begun;
		return;
	}
	end->lost = piece->at - next + begun;
	if (begun == 0 || !piece->open || piece->at != next ||
	    !take_finished(t, worker, piece, begun - 1))
		return;
	end->fine = begun - 1;
	end->lost = 1;
}

/* The flight that was being sent: nobody else could be sent it. */
static void lose_unreadable(const struct pool_transport *t, int worker, struct deal_end *end)
{
	const struct deal_flight *front = deal_flight(t->deal, worker, 0),
				 *behind = deal_flight(t->deal, worker, 1);
	if (behind)
		end->lost_behind = behind->count;
	else if (front)
		end->lost = front->count - front->done;
}

static bool has_read_nothing(const struct pool_transport *t, int worker)
{
	const struct channel *c = &t->channel[worker];
	const struct deal_flight *front = deal_flight(t->deal, worker, 0);
	return front && __atomic_load_n(&c->outbox->heard, __ATOMIC_RELAXED) <=
				c->sent_before[front->number % DEAL_FLIGHTS];
}

/* What is still in the pipe, then what is in the outbox, then the open piece. */
void pipe_last_words(struct pool_transport *t, int worker, struct deal_end *end)
{
	const struct channel *c = &t->channel[worker];
	pipe_receive(t, worker);
	const uint32_t busy = c->outbox->busy;
	if (busy != OUTBOX_WORKER && (busy != OUTBOX_FREE || !makes_sense(c)))
		pipe_give_up(t, worker, POOL_DECODE_ERROR);
	if (!c->garbled)
		take_outbox(t, worker);
	*end = (struct deal_end){ .peaceful = t->board->ledger[worker].phase != POOL_PHASE_READY,
				  .unread = has_read_nothing(t, worker) };
	judge_piece(t, worker, end);
	if (c->unreadable)
		lose_unreadable(t, worker, end);
}
