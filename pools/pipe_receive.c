/*
 * pipe_receive.c - replies from workers, through their pipes and out of their outboxes.
 */
#include "pools/pipe_parent.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- receiving ---- */

void pipe_give_up(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	struct pool_hand *hand = &t->pool->hand[worker];
	c->garbled = true;
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
	if (reply->magic != FRAME_RESULT || reply->at != begin || reply->count < 1 ||
	    reply->count > left)
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
		pool_job_fault(job, &(struct pool_fault){ .index = in->reply.at,
							  .status = POOL_DECODE_ERROR,
							  .message = "" });
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

/* As many whole headers and as much payload as there is; what is left of a header stays in the
 * buffer. */
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
				pipe_give_up(t, worker);
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
	struct iovec iov[2] = { { in->buffer + in->have, PIPE_INBOX_BYTES - in->have } };
	bool direct = in->in_payload && in->to && in->left >= PIPE_INBOX_BYTES;
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
bool pipe_receive(struct pool_transport *t, int worker)
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

/* ---- the outbox ---- */

/* What the worker gathered and did not send; the pipe before it must be empty. Nobody is moving
 * bytes. */
static bool take_outbox(struct pool_transport *t, int worker)
{
	struct outbox *box = outbox_of(t->board, worker);
	struct incoming *in = &t->channel[worker].in;
	uint64_t filled = __atomic_load_n(&box->filled, __ATOMIC_ACQUIRE);
	if (in->received >= filled || in->received < box->base || filled - box->base > OUTBOX_ROOM)
		return false;
	const unsigned char *from = box->bytes + (in->received - box->base);
	uint64_t size = filled - in->received;
	if (in->have + size > PIPE_INBOX_BYTES)
		return false;
	memcpy(in->buffer + in->have, from, size);
	in->have += size;
	in->received = filled;
	consume(t, worker, in->buffer, in->have);
	return true;
}

bool pipe_has_gathered(const struct pool_transport *t, int worker)
{
	const struct outbox *box = outbox_of(t->board, worker);
	return t->channel[worker].open && __atomic_load_n(&box->filled, __ATOMIC_ACQUIRE) >
						  __atomic_load_n(&box->taken, __ATOMIC_ACQUIRE);
}

bool pipe_pull(struct pool_transport *t, int worker)
{
	struct outbox *box = outbox_of(t->board, worker);
	uint32_t nobody = OUTBOX_FREE;
	if (!pipe_has_gathered(t, worker) ||
	    !__atomic_compare_exchange_n(&box->busy, &nobody, OUTBOX_PARENT, false,
					 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	bool any = pipe_receive(t, worker);
	if (t->channel[worker].in.received == box->taken && take_outbox(t, worker)) {
		__atomic_store_n(&box->taken, t->channel[worker].in.received, __ATOMIC_RELEASE);
		any = true;
	}
	__atomic_store_n(&box->busy, OUTBOX_FREE, __ATOMIC_RELEASE);
	return any;
}

/* ---- deaths ---- */

/* Results of the open piece that were finished stand behind what is gathered: true if they could be taken. */
static bool take_finished(struct pool_transport *t, int worker, uint64_t fine)
{
	const struct outbox *box = outbox_of(t->board, worker);
	const struct outbox_piece *piece = &box->piece;
	const struct pool_job *job = deal_front(t->deal, worker)->job;
	const uint64_t size = fine * job->result_size;
	if (fine == 0)
		return true;
	if (piece->results_at > OUTBOX_ROOM || size > OUTBOX_ROOM - piece->results_at ||
	    job->variable & POOL_VARIABLE_RESULT)
		return false;
	if (size)
		memcpy((unsigned char *)job->results + piece->at * job->result_size,
		       box->bytes + piece->results_at, size);
	return true;
}

/* Items of the piece that were begun, 0 .. its count. */
static uint64_t begun_in_piece(const struct pool_transport *t, int worker)
{
	const struct outbox_piece *piece = &outbox_of(t->board, worker)->piece;
	uint64_t progress = t->board->ledger[worker].progress;
	if (!piece->open)
		return piece->count;
	if (progress >> 32 == piece->progress_before >> 32)
		return 0;
	uint64_t begun = progress & UINT32_MAX;
	return begun < piece->count ? begun : piece->count;
}

/* Which of the worker's flights the piece is of; -1: none. A piece that was answered tells nothing, and its cells may have
 * been used again since, unless the answer was among what could not be read. */
static int flight_of_piece(const struct pool_transport *t, int worker)
{
	const struct outbox_piece *piece = &outbox_of(t->board, worker)->piece;
	if (!piece->open && !t->channel[worker].garbled)
		return -1;
	for (int i = 0; i < DEAL_FLIGHTS; i++) {
		const struct deal_flight *flight = deal_flight(t->deal, worker, i);
		if (flight && piece->job == flight->job->serial &&
		    piece->at >= flight->at + flight->done &&
		    piece->at < flight->at + flight->count)
			return i;
	}
	return -1;
}

/* What lies before the piece was begun too, and its answers were lost on the way. */
static void judge_piece(struct pool_transport *t, int worker, struct deal_end *end)
{
	const struct outbox_piece *piece = &outbox_of(t->board, worker)->piece;
	int of = flight_of_piece(t, worker);
	if (of < 0)
		return;
	const struct deal_flight *front = deal_front(t->deal, worker),
				 *flight = deal_flight(t->deal, worker, of);
	uint64_t next = flight->at + flight->done, begun = begun_in_piece(t, worker);
	if (begun > flight->at + flight->count - piece->at)
		begun = flight->at + flight->count - piece->at;
	if (of > 0) {
		end->lost = front->count - front->done;
		end->lost_behind = piece->at - next + begun;
		return;
	}
	end->lost = piece->at - next + begun;
	if (begun == 0 || !piece->open || piece->at != next || !take_finished(t, worker, begun - 1))
		return;
	end->fine = begun - 1;
	end->lost = 1;
}

/* What is still in the pipe, then what is in the outbox, then the open piece. */
void pipe_last_words(struct pool_transport *t, int worker, struct deal_end *end)
{
	const struct incoming *in = &t->channel[worker].in;
	pipe_receive(t, worker);
	if (!in->in_payload || in->to)
		take_outbox(t, worker);
	uint32_t phase = t->board->ledger[worker].phase;
	*end = (struct deal_end){ .peaceful =
					  phase == POOL_PHASE_LEAVING || phase == POOL_PHASE_DONE };
	judge_piece(t, worker, end);
}
