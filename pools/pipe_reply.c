/*
 * pipe_reply.c - the parent's parser of replies: bytes in, results and failures out.
 *
 * DESIGN. No input or output: whoever feeds it asks where the next bytes go (pipe_room), puts them
 * there and says how many they are (pipe_arrived). A large payload goes straight to its place.
 * Nothing in a header is believed: it must go on with the worker's front flight, item by item, and
 * bring exactly the bytes that were asked for; failures come in the order of the items. So a worker
 * that sends without end comes to the end of its flight, and what it may do harm to is its own
 * flight. Anything else is malformed: pipe_give_up.
 */
#include "pools/pipe_parent.h"

#include <stdlib.h>
#include <string.h>

static const uint64_t READ_MOST = UINT64_C(1) << 30;

static bool is_result(const struct deal_flight *flight, const struct frame_reply *reply)
{
	if (reply->at != flight->at + flight->done || reply->count < 1 ||
	    reply->count > flight->count - flight->done)
		return false;
	if (flight->job->variable & POOL_VARIABLE_RESULT)
		return reply->count == 1 && reply->bytes <= FRAME_BYTES_MOST;
	return reply->bytes == reply->count * flight->job->result_size;
}

/* Messages are made by vasprintf: an int counts their bytes. */
static bool is_fault(const struct deal_flight *flight, const struct incoming *in)
{
	const struct frame_reply *reply = &in->reply;
	uint64_t begin = flight->at + flight->done;
	if (begin < in->next_fault)
		begin = in->next_fault;
	return reply->at >= begin && reply->at < flight->at + flight->count &&
	       pool_fault_is_known(reply->status) && reply->bytes <= INT32_MAX;
}

static bool is_dropped(const struct deal_flight *flight, const struct frame_reply *reply)
{
	return (!flight->job || flight->job->cancelled) && reply->at == flight->at + flight->done &&
	       reply->count == flight->count - flight->done && reply->bytes == 0;
}

static bool plausible(struct pool_transport *t, int worker)
{
	const struct incoming *in = &t->channel[worker].in;
	const struct deal_flight *flight = deal_front(t->deal, worker);
	if (!flight || flight->number != in->reply.flight)
		return false;
	if (in->reply.magic == FRAME_FAULT)
		return is_fault(flight, in);
	if (in->reply.magic == FRAME_DROPPED)
		return is_dropped(flight, &in->reply);
	return in->reply.magic == FRAME_RESULT && is_result(flight, &in->reply);
}

/* Where the payload goes. Out of memory: it is read past and the item fails. */
static void direct_payload(struct pool_transport *t, int worker)
{
	struct incoming *in = &t->channel[worker].in;
	const struct pool_job *job = deal_front(t->deal, worker)->job;
	const bool result = in->reply.magic == FRAME_RESULT;
	const bool variable = result && job->variable & POOL_VARIABLE_RESULT;
	in->in_payload = true;
	in->left = in->reply.bytes;
	in->pad = frame_padded(in->left) - in->left;
	in->to = in->owned = NULL;
	if (in->reply.magic == FRAME_FAULT || variable)
		in->to = in->owned = malloc(in->left + 1);
	else if (in->left)
		in->to = (unsigned char *)job->results + in->reply.at * job->result_size;
	in->picky = result && job->failed && !in->owned;
}

static void deliver_fault(struct pool_job *job, struct incoming *in)
{
	const struct pool_fault fault = {
		.index = in->reply.at,
		.status = in->reply.status,
		.code = in->reply.code,
		.message = in->owned ? in->owned : "",
		.message_size = in->owned ? in->reply.bytes : 0,
	};
	in->next_fault = in->reply.at + 1;
	pool_job_fault(job, &fault);
	free(in->owned);
	in->owned = NULL;
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
		deliver_fault(job, in);
		return;
	}
	in->next_fault = 0;
	if (in->reply.magic == FRAME_DROPPED) {
		deal_dropped(t->deal, worker);
		return;
	}
	if (job->variable & POOL_VARIABLE_RESULT)
		deliver_variable(job, in);
	deal_done(t->deal, worker, in->reply.count, in->reply.run_ns);
}

static uint64_t take_payload(const struct pool_job *job, struct incoming *in,
			     const unsigned char *bytes, uint64_t size)
{
	uint64_t part = size < in->left ? size : in->left;
	if (in->to && part) {
		if (in->owned)
			memcpy(in->to, bytes, part);
		else
			job_put_results(job, (uint64_t)(in->to - (unsigned char *)job->results),
					bytes, part);
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
static void consume(struct pool_transport *t, int worker)
{
	struct incoming *in = &t->channel[worker].in;
	uint64_t used = 0;
	for (;;) {
		if (in->in_payload) {
			used += take_payload(deal_front(t->deal, worker)->job, in,
					     in->buffer + used, in->have - used);
			if (in->left || in->pad)
				break;
			frame_complete(t, worker);
		} else if (in->have - used >= sizeof in->reply) {
			memcpy(&in->reply, in->buffer + used, sizeof in->reply);
			used += sizeof in->reply;
			if (!plausible(t, worker)) {
				pipe_give_up(t, worker, POOL_DECODE_ERROR);
				return;
			}
			direct_payload(t, worker);
		} else {
			break;
		}
	}
	in->have -= used;
	memmove(in->buffer, in->buffer + used, in->have);
}

static bool is_direct(const struct incoming *in)
{
	return in->in_payload && in->to && !in->picky && in->left >= PIPE_INBOX_BYTES;
}

struct iovec pipe_room(const struct incoming *in)
{
	if (is_direct(in))
		return (struct iovec){ in->to, in->left < READ_MOST ? in->left : READ_MOST };
	return (struct iovec){ in->buffer + in->have, PIPE_INBOX_BYTES - in->have };
}

void pipe_arrived(struct pool_transport *t, int worker, uint64_t bytes)
{
	struct channel *c = &t->channel[worker];
	struct incoming *in = &c->in;
	if (c->garbled)
		return;
	if (is_direct(in)) {
		in->to += bytes;
		in->left -= bytes;
	} else {
		in->have += bytes;
	}
	consume(t, worker);
}
