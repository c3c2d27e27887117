/* deal.c - what is left of each job, and how much of it a worker gets. See deal.h. */
#include "pools/deal_deck.h"

#include <errno.h>
#include <stdlib.h>

enum { FLIGHT_MOST = 1 << 30 };
/* At the end of each flight the parent needs a CPU for some 20 us, which one of the workers then has not. */
static const double FLIGHT_NS = 4000000, FLIGHT_STREAM_NS = 1000000;
static const double WAKE_NS =
	50000; /* what a wake-up costs both sides: shorter flights are not worth one */
static const int64_t NEWS_NS = 100000;	/* a wake-up and an answer */
static const double QUEUE_NS = 5000000; /* items shorter than this may wait behind others */

struct deal *deal_open(const struct deal_wire *wire, const struct deal_crew *crew)
{
	struct deal *deal = calloc(1, sizeof *deal + (size_t)crew->workers * sizeof deal->hand[0]);
	if (!deal)
		return NULL;
	deal->wire = *wire;
	deal->crew = *crew;
	deal->at_once = crew->workers < crew->cpus ? crew->workers : crew->cpus;
	TAILQ_INIT(&deal->decks);
	return deal;
}

void deal_close(struct deal *deal)
{
	free(deal);
}

/* ---- jobs ---- */

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

/* Never dealt yet. */
static uint64_t fresh_left(const struct deck *deck)
{
	const struct pool_job *job = deck->job;
	return job->stream ? (deck->tail - deck->head) * job->chunk : job->count - deck->next;
}

uint64_t deck_left(const struct deck *deck)
{
	uint64_t left = fresh_left(deck);
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
	if (deal->crew.once || (run == &fresh && deck->job->stream))
		return most; /* a process costs more than memory; see take_tiles */
	return deal_fitting(deck->job, deck->chunk, run->at, run->count < most ? run->count : most);
}

/* Of items given back those of lower index are not behind it, though they are dealt later. */
static uint64_t left_behind(const struct deck *deck, uint64_t index)
{
	uint64_t left = fresh_left(deck);
	for (const struct run *run = deck->back; run; run = run->next)
		left += run->index > index ? run->count : 0;
	return left;
}

void deck_take(struct deck *deck, struct deal_flight *flight, uint64_t most)
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
	flight->behind = left_behind(deck, flight->index);
}

/* ---- how much ---- */

/* Are there more workers than can run? A process a flight is woken by nobody. */
static bool is_crowded(const struct deal *deal)
{
	return deal->crew.workers > deal->at_once && !deal->crew.once;
}

/* How many workers are worth waking for what is left. With n of them it takes left_ns / n; one more saves left_ns / (n * (n + 1))
 * of that at most, and where there are more than CPUs waking it costs one of them WAKE_NS. */
static int worth_waking(const struct deal *deal, const struct deck *deck)
{
	const double left_ns = deck->item_ns * (double)deck_left(deck);
	int n = deal->at_once;
	while (n < deal->crew.workers && WAKE_NS * n * (n + 1) < left_ns)
		n++;
	return n;
}

bool deal_is_worth_waking(const struct deal *deal, struct deck *deck)
{
	const int64_t now_ns = pool_now_ns();
	int active = 0;
	const double chunk_ns = deck->item_ns * (double)deck->chunk;
	if (!is_crowded(deal) || chunk_ns <= 0 || chunk_ns > WAKE_NS)
		return true;
	for (int i = 0; i < deal->crew.workers; i++) {
		const struct deal_flight *own = hand_at(&deal->hand[i]);
		if (!own || own->job != deck->job)
			continue;
		active += !deal_is_stuck(own, now_ns);
		deck->doubted = deck->doubted || deal_refutes(own, now_ns);
	}
	return deck->doubted || active < worth_waking(deal, deck);
}

/* How much of what is left, in items: the less there is, the less at a time, until it is not worth a flight. Of a stream more
 * is to come. What cannot be cut is shared among all workers. */
static double share_of(const struct deal *deal, const struct deck *deck)
{
	const struct pool_job *job = deck->job;
	const bool whole = deal->crew.once || (deal->crew.counts && !job->chunk);
	const double left = (double)deck_left(deck);
	const double even = left / (whole ? deal->crew.workers : worth_waking(deal, deck));
	const double share = job->stream ? even : even / 2;
	double least = deck->item_ns > 0 ? WAKE_NS / deck->item_ns : 1;
	if (least > even && (whole || job->stream))
		least = even;
	return share > least ? share : least;
}

static uint64_t flight_size(const struct deal *deal, const struct deck *deck)
{
	const struct pool_job *job = deck->job;
	const double flight_ns = job->stream ? FLIGHT_STREAM_NS : FLIGHT_NS;
	double items = deck->item_ns > 0 && !deck->doubted ? flight_ns / deck->item_ns : 1;
	double share = share_of(deal, deck);
	double bytes = (double)DEAL_FLIGHT_BYTES / (double)deal_item_bytes(job);
	if (share > FLIGHT_MOST)
		share = FLIGHT_MOST;
	if (items > share)
		items = share;
	if (items > bytes)
		items = bytes;
	if (deal->crew.once || items < (double)deck->chunk)
		return deal->crew.once && !job->chunk ? (uint64_t)(share > 1 ? share : 1)
						      : deck->chunk;
	return (uint64_t)items / deck->chunk * deck->chunk;
}

/* A second flight waits behind the first: only where items are known to be short. */
static bool may_queue(const struct deal *deal, const struct deck *deck)
{
	return !deal->crew.once && deck->item_ns > 0 &&
	       deck->item_ns * (double)deck->chunk < QUEUE_NS;
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
	deck_take(deck, &flight, fitting(deal, deck, flight_size(deal, deck)));
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

bool deal_held(const struct deal *deal)
{
	return deal->held && !TAILQ_EMPTY(&deal->decks);
}

/* The deck goes to the end of the line: several jobs share the workers. */
static void rotate(struct deal *deal, struct deck *deck)
{
	TAILQ_REMOVE(&deal->decks, deck, entry);
	TAILQ_INSERT_TAIL(&deal->decks, deck, entry);
}

/* The last items of a job go to who is free, not behind others. */
static bool enough_left(const struct deal *deal, const struct deck *deck)
{
	return deck_left(deck) > (uint64_t)deal->crew.workers * deck->chunk;
}

static bool has_some(const struct deck *deck)
{
	return !deck->job->cancelled && !deck->job->halting && deck_left(deck);
}

struct deck *deck_first(const struct deal *deal)
{
	struct deck *deck;
	TAILQ_FOREACH (deck, &deal->decks, entry)
		if (has_some(deck))
			break;
	return deck;
}

/* For who has nothing: the first in line that is worth waking it. */
static struct deck *deck_for_idle(struct deal *deal)
{
	struct deck *deck;
	TAILQ_FOREACH (deck, &deal->decks, entry) {
		if (!has_some(deck))
			continue;
		if (deal_is_worth_waking(deal, deck))
			break;
		deal->held = true;
	}
	return deck;
}

/* Behind others a flight may wait only for its own job: whoever cancels it cannot stop an item of another one. Then nobody
 * may: a worker that always had a second flight would never be free for it. */
static struct deck *deck_for_busy(const struct deal *deal, const struct deal_flight *own)
{
	if (!may_queue(deal, deck_of(own->job)) || deal_is_stuck(own, pool_now_ns()))
		return NULL;
	struct deck *deck = deck_first(deal);
	return deck && deck->job == own->job && may_queue(deal, deck) && enough_left(deal, deck)
		       ? deck
		       : NULL;
}

/* What came may tell that the items are shorter than was thought, so that waking more workers for them is not worth it. Once
 * it is worth waiting for, unless others have taken the CPUs: nobody would answer soon. */
static bool should_look(const struct deal *deal, struct deck *deck)
{
	int here = 0, elsewhere = 0;
	if (!is_crowded(deal))
		return false;
	for (int i = 0; i < deal->crew.workers; i++) {
		const struct deal_flight *own = hand_at(&deal->hand[i]);
		here += own && own->job == deck->job;
		elsewhere += own && own->job != deck->job;
	}
	if (here < deal->at_once)
		return false;
	const bool wait = deck->item_ns <= 0 && !deck->waited && elsewhere < deal->at_once;
	deck->waited = true;
	return deal->wire.has_news(deal->wire.wire, wait ? NEWS_NS : 0);
}

/* Those who have nothing first, then those who have one flight. False also where it is to go on when what has come was
 * looked at: whoever hears of a change looks at nothing. */
static bool deal_round(struct deal *deal)
{
	bool any = false;
	deal->held = deal->starved = false; /* unless it still is */
	for (int busy = 0; busy < 2; busy++) {
		for (int worker = 0; worker < deal->crew.workers; worker++) {
			struct hand *hand = &deal->hand[worker];
			const struct deal_flight *own = hand_at(hand);
			if (hand->count == DEAL_FLIGHTS || (own != NULL) != busy ||
			    !deal->wire.can_send(deal->wire.wire, worker))
				continue;
			struct deck *deck = own ? deck_for_busy(deal, own) : deck_for_idle(deal);
			if (deck && should_look(deal, deck))
				return false;
			if (!deck && !busy)
				break; /* nor for others who have nothing */
			if (!deck || !deal_one(deal, deck, worker))
				continue;
			rotate(deal, deck);
			any = true;
		}
	}
	return any;
}

/* Ends: a round gives what was taken to somebody who had nothing, or leaves it where it forbids taking more. */
bool deal_out(struct deal *deal)
{
	deal_relieve(deal);
	bool any = deal_round(deal);
	while (deal_level(deal))
		any = deal_round(deal) || any;
	return any;
}
