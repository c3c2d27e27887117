/* deal.c - see deal.h. */
#include "pools/deal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FLIGHTS = DEAL_FLIGHTS, BARREN_MOST = 10, FLIGHT_MOST = 1 << 30 };
/* At the end of each flight the parent needs a CPU for some 20 us, which one of the workers then has not. */
static const double FLIGHT_NS = 4000000, FLIGHT_STREAM_NS = 1000000;
static const double QUEUE_NS = 5000000; /* items shorter than this may wait behind others */
/* A front flight out for longer than four times its estimate and this has a long item in it. */
static const int64_t STUCK_NS = 1000000;

struct run { /* items given back by a death */
	uint64_t at, count, index;
	struct run *next;
};

struct deck { /* a job's transport_data: what is still to be dealt */
	struct pool_job *job;
	uint64_t chunk;		     /* items; an automatic one counts as 1 */
	uint64_t next;		     /* batch */
	uint64_t *tiles, head, tail; /* stream: a ring of published tiles */
	struct run *back;
	double item_ns;	    /* measured, 0: not yet */
	unsigned barren[2]; /* deaths in a row before an item began; [1]: or was read */
	TAILQ_ENTRY(deck) entry;
};

struct hand {
	struct deal_flight flight[FLIGHTS];
	unsigned count;
	uint32_t number; /* of the last flight, never 0; parities alternate: 2 is behind the last */
};

struct deal {
	struct deal_wire wire;
	int workers;
	bool once;
	bool starved;		  /* something could not be sent for want of memory: try again */
	TAILQ_HEAD(, deck) decks; /* in the order in which they are served */
	struct hand hand[];
};

struct deal *deal_open(const struct deal_wire *wire, int workers, bool once)
{
	struct deal *deal = calloc(1, sizeof *deal + (size_t)workers * sizeof deal->hand[0]);
	if (!deal)
		return NULL;
	deal->wire = *wire;
	deal->workers = workers;
	deal->once = once;
	TAILQ_INIT(&deal->decks);
	return deal;
}

void deal_close(struct deal *deal)
{
	free(deal);
}

/* ---- jobs ---- */

static struct deck *deck_of(const struct pool_job *job)
{
	return job->transport_data;
}

int deal_prepare(struct deal *deal, struct pool_job *job)
{
	struct deck *deck = calloc(1, sizeof *deck);
	job->transport_data = deck;
	if (!deck)
		return -ENOMEM;
	deck->job = job;
	deck->chunk = job->chunk ? job->chunk : 1;
	if (job->stream)
		deck->tiles = calloc(job->tile_mask + 1, sizeof *deck->tiles);
	if (!job->stream || deck->tiles)
		return 0;
	deal_collect(deal, job);
	return -ENOMEM;
}

void deal_publish(struct deal *deal, struct pool_job *job)
{
	TAILQ_INSERT_TAIL(&deal->decks, deck_of(job), entry);
}

int deal_extend(struct deal *deal, struct pool_job *job, uint64_t tile)
{
	struct deck *deck = deck_of(job);
	(void)deal;
	deck->tiles[deck->tail++ & job->tile_mask] = tile;
	return 0;
}

void deal_retire(struct deal *deal, struct pool_job *job)
{
	TAILQ_REMOVE(&deal->decks, deck_of(job), entry);
}

void deal_collect(struct deal *deal, struct pool_job *job)
{
	(void)deal;
	struct deck *deck = deck_of(job);
	if (!deck)
		return;
	while (deck->back) {
		struct run *run = deck->back;
		deck->back = run->next;
		free(run);
	}
	free(deck->tiles);
	free(deck);
	job->transport_data = NULL;
}

/* ---- what is left to deal ---- */

static uint64_t left_in(const struct deck *deck)
{
	const struct pool_job *job = deck->job;
	uint64_t left =
		job->stream ? (deck->tail - deck->head) * job->chunk : job->count - deck->next;
	for (const struct run *run = deck->back; run; run = run->next)
		left += run->count;
	return left;
}

static void take_back(struct deck *deck, struct deal_flight *flight, uint64_t most)
{
	struct run *run = deck->back;
	flight->at = run->at;
	flight->index = run->index;
	flight->count = run->count < most ? run->count : most;
	run->at += flight->count;
	run->index += flight->count;
	run->count -= flight->count;
	if (run->count)
		return;
	deck->back = run->next;
	free(run);
}

/* Tiles that stand beside each other travel together; behind one that is not full there is a gap. */
static void take_tiles(struct deck *deck, struct deal_flight *flight, uint64_t most)
{
	const struct pool_job *job = deck->job;
	uint64_t first = deck->tiles[deck->head++ & job->tile_mask];
	flight->at = first * job->chunk;
	flight->index = job->tile[first].index;
	flight->count = job->tile[first].count;
	uint64_t bytes = deal_variable_bytes(job, flight->at, flight->count);
	while (deck->head < deck->tail && flight->count + job->chunk <= most) {
		uint64_t tile = deck->tiles[deck->head & job->tile_mask];
		if (tile * job->chunk != flight->at + flight->count ||
		    job->tile[tile].index != flight->index + flight->count ||
		    (bytes += deal_variable_bytes(job, tile * job->chunk, job->tile[tile].count)) >
			    DEAL_FLIGHT_BYTES)
			break;
		flight->count += job->tile[tile].count;
		deck->head++;
	}
}

static uint64_t fitting(const struct deal *deal, const struct deck *deck, uint64_t most)
{
	const struct run fresh = { .at = deck->next, .count = deck->job->count - deck->next };
	const struct run *run = deck->back ? deck->back : &fresh;
	if (deal->once || (run == &fresh && deck->job->stream))
		return most; /* a process costs more than memory; see take_tiles */
	return deal_fitting(deck->job, deck->chunk, run->at, run->count < most ? run->count : most);
}

static void take(struct deck *deck, struct deal_flight *flight, uint64_t most)
{
	*flight = (struct deal_flight){ .job = deck->job };
	if (deck->back) {
		take_back(deck, flight, most);
	} else if (deck->job->stream) {
		take_tiles(deck, flight, most);
	} else {
		uint64_t left = deck->job->count - deck->next;
		flight->at = flight->index = deck->next;
		flight->count = left < most ? left : most;
		deck->next += flight->count;
	}
}

/* Puts a run back in front, to be dealt next. False: no memory. */
static bool put_back(struct deck *deck, uint64_t at, uint64_t count, uint64_t index)
{
	struct run *run = malloc(sizeof *run);
	if (!run)
		return false;
	*run = (struct run){ at, count, index, deck->back };
	deck->back = run;
	return true;
}

/* ---- how much ---- */

static uint64_t flight_size(const struct deal *deal, const struct deck *deck)
{
	const struct pool_job *job = deck->job;
	const double flight_ns = job->stream ? FLIGHT_STREAM_NS : FLIGHT_NS;
	double items = deck->item_ns > 0 ? flight_ns / deck->item_ns : 1;
	double share = (double)left_in(deck) /
		       ((job->stream ? 1 : 2) * deal->workers); /* more of a stream is to come */
	double bytes = (double)DEAL_FLIGHT_BYTES / (double)deal_item_bytes(job);
	if (share > FLIGHT_MOST)
		share = FLIGHT_MOST;
	if (items > share)
		items = share;
	if (items > bytes)
		items = bytes;
	if (deal->once || items < (double)deck->chunk)
		return deal->once && !job->chunk ? (uint64_t)(share > 1 ? share : 1) : deck->chunk;
	return (uint64_t)items / deck->chunk * deck->chunk;
}

/* A second flight waits behind the first: only where items are known to be short. */
static bool may_queue(const struct deal *deal, const struct deck *deck)
{
	return !deal->once && deck->item_ns > 0 && deck->item_ns * (double)deck->chunk < QUEUE_NS;
}

/* ---- dealing ---- */

/* The note to put the run back is there before it is taken, so nothing can vanish. */
static bool deal_one(struct deal *deal, struct deck *deck, int worker)
{
	struct hand *hand = &deal->hand[worker];
	struct deal_flight flight;
	struct run *note = malloc(sizeof *note);
	deal->starved = deal->starved || !note;
	if (!note)
		return false;
	take(deck, &flight, fitting(deal, deck, flight_size(deal, deck)));
	flight.number = hand->number == UINT32_MAX ? 2 : hand->number + 1;
	if (deal->wire.send(deal->wire.wire, worker, &flight) < 0) {
		*note = (struct run){ flight.at, flight.count, flight.index, deck->back };
		deck->back = note;
		deal->starved = true;
		return false;
	}
	free(note);
	flight.since_ns = pool_now_ns();
	hand->number = flight.number;
	hand->flight[hand->count++] = flight;
	return true;
}

bool deal_starved(const struct deal *deal)
{
	return deal->starved && !TAILQ_EMPTY(&deal->decks);
}

/* The deck goes to the end of the line: several jobs share the workers. */
static void rotate(struct deal *deal, struct deck *deck)
{
	TAILQ_REMOVE(&deal->decks, deck, entry);
	TAILQ_INSERT_TAIL(&deal->decks, deck, entry);
}

static bool is_stuck(const struct deal_flight *flight)
{
	double due_ns = deck_of(flight->job)->item_ns * (double)(flight->count - flight->done);
	return (double)(pool_now_ns() - flight->since_ns) > 4 * due_ns + (double)STUCK_NS;
}

/* The last items of a job go to who is free, not behind others. */
static bool enough_left(const struct deal *deal, const struct deck *deck)
{
	return left_in(deck) > (uint64_t)deal->workers * deck->chunk;
}

/* The first in line that has something. Behind others it may wait only for its own job: whoever cancels it cannot stop an
 * item of another one. Then nobody may: a worker that always had a second flight would never be free for it. */
static struct deck *deck_for(struct deal *deal, const struct hand *hand)
{
	struct deck *deck;
	if (hand->count &&
	    (!may_queue(deal, deck_of(hand->flight[0].job)) || is_stuck(&hand->flight[0])))
		return NULL;
	TAILQ_FOREACH (deck, &deal->decks, entry)
		if (!deck->job->cancelled && !deck->job->halting && left_in(deck))
			break;
	if (!deck || !hand->count)
		return deck;
	const bool same = deck->job == hand->flight[0].job;
	return same && may_queue(deal, deck) && enough_left(deal, deck) ? deck : NULL;
}

/* Those who have nothing first, then those who have one flight. */
bool deal_out(struct deal *deal)
{
	bool any = false;
	deal->starved = false; /* unless it still is */
	for (unsigned have = 0; have < FLIGHTS; have++) {
		for (int worker = 0; worker < deal->workers; worker++) {
			struct hand *hand = &deal->hand[worker];
			if (hand->count != have || !deal->wire.can_send(deal->wire.wire, worker))
				continue;
			struct deck *deck = deck_for(deal, hand);
			if (!deck || !deal_one(deal, deck, worker))
				continue;
			rotate(deal, deck);
			any = true;
		}
	}
	return any;
}

/* ---- answers ---- */

struct deal_flight *deal_front(struct deal *deal, int worker)
{
	struct hand *hand = &deal->hand[worker];
	return hand->count ? &hand->flight[0] : NULL;
}

const struct deal_flight *deal_flight(const struct deal *deal, int worker, int i)
{
	const struct hand *hand = &deal->hand[worker];
	return (unsigned)i < hand->count ? &hand->flight[i] : NULL;
}

/* The next in line has the worker from now on. */
static void pop(struct hand *hand)
{
	hand->count--;
	hand->flight[1].since_ns = hand->flight[0].since_ns;
	memmove(&hand->flight[0], &hand->flight[1], hand->count * sizeof hand->flight[0]);
}

/* A flight counts as one, in however many pieces it came back: an item that takes long is not most of what is known. */
void deal_done(struct deal *deal, int worker, uint64_t count, uint64_t run_ns)
{
	struct hand *hand = &deal->hand[worker];
	struct deal_flight *front = &hand->flight[0];
	struct pool_job *job = front->job;
	struct deck *deck = deck_of(job);
	const uint64_t at = front->at + front->done;
	front->done += count;
	front->run_ns += run_ns;
	front->since_ns = pool_now_ns();
	deck->barren[0] = deck->barren[1] = 0;
	if (front->done == front->count) {
		const double item_ns = (double)front->run_ns / (double)front->count;
		deck->item_ns = deck->item_ns > 0 ? 0.75 * deck->item_ns + 0.25 * item_ns : item_ns;
		pop(hand);
	}
	pool_job_resolve(job, at, count);
}

void deal_dropped(struct deal *deal, int worker)
{
	struct hand *hand = &deal->hand[worker];
	const struct deal_flight flight = hand->flight[0];
	hand->flight[0].since_ns = pool_now_ns();
	pop(hand);
	pool_job_drop(flight.job, flight.at + flight.done, flight.count - flight.done);
}

uint64_t deal_outstanding(const struct deal *deal, int worker)
{
	const struct hand *hand = &deal->hand[worker];
	uint64_t items = 0;
	for (unsigned i = 0; i < hand->count; i++)
		items += hand->flight[i].count - hand->flight[i].done;
	return items;
}

bool deal_holds(const struct deal *deal, int worker, const struct pool_job *job)
{
	return deal->hand[worker].count && deal->hand[worker].flight[0].job == job;
}

/* ---- taking back ---- */

/* Ranges are gathered before they are dropped: with the last one the job may be gone. */
void deal_cancel(struct deal *deal, struct pool_job *job)
{
	struct deck *deck = deck_of(job);
	for (int i = 0; i < deal->workers; i++)
		for (unsigned k = 0; k < deal->hand[i].count; k++)
			if (deal->hand[i].flight[k].job == job)
				deal->wire.recall(deal->wire.wire, i, &deal->hand[i].flight[k]);
	for (uint64_t left = left_in(deck); left;) {
		struct deal_flight flight;
		take(deck, &flight, UINT64_MAX / 2);
		left = left_in(deck);
		pool_job_drop(job, flight.at, flight.count);
	}
}

static void give_back(struct pool_job *job, uint64_t at, uint64_t count, uint64_t index, int worker)
{
	if (count == 0)
		return;
	if (job->cancelled)
		pool_job_drop(job, at, count);
	else if (!put_back(deck_of(job), at, count, index))
		for (uint64_t i = 0; i < count; i++)
			while (pool_job_lost(job, at + i, worker))
				continue; /* not again: there is no memory for that */
}

/* Receiving may itself kill: then the first item counts as begun. Who read nothing was dead before, or can never read. */
static uint64_t blame(const struct deal *deal, struct deck *deck, const struct deal_end *end)
{
	const unsigned most = BARREN_MOST + (end->unread ? 2 * (unsigned)deal->workers : 0);
	if (end->lost || end->peaceful || ++deck->barren[end->unread] < most)
		return end->lost;
	deck->barren[0] = deck->barren[1] = 0;
	return 1;
}

/* The last item that becomes final may be the job's last: nothing is told of the job afterwards, so what goes back goes
 * first. `first` counts from the flight's beginning. */
static void settle(const struct deal_flight *flight, uint64_t first, uint64_t lost, int worker)
{
	struct pool_job *job = flight->job;
	const uint64_t rest = flight->count - first - lost;
	give_back(job, flight->at + first + lost, rest, flight->index + first + lost, worker);
	for (uint64_t at = first; at < first + lost; at++)
		if (pool_job_lost(job, flight->at + at, worker))
			give_back(job, flight->at + at, 1, flight->index + at, worker);
}

void deal_lost(struct deal *deal, int worker, const struct deal_end *end)
{
	struct hand *hand = &deal->hand[worker];
	struct deal_flight flights[FLIGHTS];
	unsigned count = hand->count;
	memcpy(flights, hand->flight, sizeof flights);
	hand->count = 0;
	for (unsigned i = count; i-- > 1;)
		settle(&flights[i], 0, end->lost_behind, worker);
	if (count == 0)
		return;
	const struct deal_flight *front = &flights[0];
	const uint64_t lost = blame(deal, deck_of(front->job), end);
	if (end->fine)
		pool_job_resolve(front->job, front->at + front->done, end->fine);
	settle(front, front->done + end->fine, lost, worker);
}
