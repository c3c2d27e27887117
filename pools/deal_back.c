/* deal_back.c - what comes back from workers: answers, what the dead leave, what is taken from those who have too much. See
 * deal.h. */
#include "pools/deal_deck.h"

#include <stdlib.h>
#include <string.h>

enum { BARREN_MOST = 10 };
static const double FEW = 16, FORGET = 32;
/* Less than that is not worth taking: handing it out takes each side some 20 us. */
static const double LEVEL_NS = 100000;
/* A front flight out for longer than four times its estimate and this has a long item in it. */
static const int64_t STUCK_NS = 1000000;
static const int64_t DOUBT_NS = 10000000; /* or it waits for a CPU, with many workers */

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

static void pop(struct hand *hand)
{
	hand->count--;
	memmove(&hand->flight[0], &hand->flight[1], hand->count * sizeof hand->flight[0]);
}

/* The front flight has all its results: the next in line has the worker from now on. One that was cut keeps its place, and
 * with that its number, until the worker knows. */
static void end_front(struct hand *hand)
{
	hand->flight[1].since_ns = hand->flight[0].since_ns;
	if (hand->flight[0].trimmed)
		hand->flight[0].job = NULL;
	else
		pop(hand);
}

/* A flight counts as one, in however many pieces it came back: an item that takes long is not most of what is known. The more
 * items the more it tells, as what each flight takes aside from them is in there too: one of many more than those before
 * stands for itself, one of far fewer counts less. */
static void learn(struct deck *deck, const struct deal_flight *flight)
{
	const double item_ns = (double)flight->run_ns / (double)flight->count;
	const double items = (double)flight->count;
	double weight = items * FEW < deck->most_items ? items * FEW / deck->most_items : 1;
	weight = items < 2 * deck->most_items ? weight / 4 : 1;
	deck->item_ns += weight * (item_ns - deck->item_ns);
	deck->most_items -= deck->most_items / FORGET;
	if (items > deck->most_items)
		deck->most_items = items;
}

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
		deck->doubted = false;
		learn(deck, front);
		end_front(hand);
	}
	pool_job_resolve(job, at, count);
}

void deal_dropped(struct deal *deal, int worker)
{
	struct hand *hand = &deal->hand[worker];
	const struct deal_flight flight = hand->flight[0];
	if (flight.job)
		hand->flight[1].since_ns = pool_now_ns();
	pop(hand);
	if (flight.job)
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
	const struct deal_flight *own = hand_at(&deal->hand[worker]);
	return own && own->job == job;
}

/* ---- taking back ---- */

/* Ranges are gathered before they are dropped: with the last one the job may be gone. */
void deal_cancel(struct deal *deal, struct pool_job *job)
{
	struct deck *deck = deck_of(job);
	for (int i = 0; i < deal->crew.workers; i++)
		for (unsigned k = 0; k < deal->hand[i].count; k++)
			if (deal->hand[i].flight[k].job == job)
				deal->wire.recall(deal->wire.wire, i, &deal->hand[i].flight[k]);
	for (uint64_t left = deck_left(deck); left;) {
		struct deal_flight flight;
		deck_take(deck, &flight, UINT64_MAX / 2);
		left = deck_left(deck);
		pool_job_drop(job, flight.at, flight.count);
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
	const unsigned most = BARREN_MOST + (end->unread ? 2 * (unsigned)deal->crew.workers : 0);
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
	if (!job)
		return;
	const uint64_t rest = flight->count - first - lost;
	give_back(job, flight->at + first + lost, rest, flight->index + first + lost, worker);
	for (uint64_t at = first; at < first + lost; at++)
		if (pool_job_lost(job, flight->at + at, worker))
			give_back(job, flight->at + at, 1, flight->index + at, worker);
}

void deal_lost(struct deal *deal, int worker, const struct deal_end *end)
{
	struct hand *hand = &deal->hand[worker];
	struct deal_flight flights[DEAL_FLIGHTS];
	unsigned count = hand->count;
	memcpy(flights, hand->flight, sizeof flights);
	hand->count = 0;
	for (unsigned i = count; i-- > 1;)
		settle(&flights[i], 0, end->lost_behind, worker);
	const struct deal_flight *front = &flights[0];
	if (count == 0 || !front->job)
		return;
	const uint64_t lost = blame(deal, deck_of(front->job), end);
	if (end->fine)
		pool_job_resolve(front->job, front->at + front->done, end->fine);
	settle(front, front->done + end->fine, lost, worker);
}

/* ---- levelling ---- */

/* For longer than it should be, and that much longer. */
static bool is_late(const struct deal_flight *flight, int64_t now_ns, int64_t more_ns)
{
	double due_ns = deck_of(flight->job)->item_ns * (double)(flight->count - flight->done);
	return (double)(now_ns - flight->since_ns) > 4 * due_ns + (double)more_ns;
}

bool deal_is_stuck(const struct deal_flight *flight, int64_t now_ns)
{
	return is_late(flight, now_ns, STUCK_NS);
}

bool deal_refutes(const struct deal_flight *flight, int64_t now_ns)
{
	return is_late(flight, now_ns, DOUBT_NS);
}

static bool anybody_free(const struct deal *deal)
{
	for (int i = 0; i < deal->crew.workers; i++)
		if (!hand_at(&deal->hand[i]) && deal->hand[i].count < DEAL_FLIGHTS &&
		    deal->wire.can_send(deal->wire.wire, i))
			return true;
	return false;
}

/* How long what it has will take; below 0: nothing is taken from it. */
static double burden(const struct deal *deal, int worker, int64_t now_ns)
{
	const struct deal_flight *own = hand_at(&deal->hand[worker]);
	if (!own || own->job->cancelled || own->job->halting)
		return -1;
	const double due_ns = deck_of(own->job)->item_ns * (double)deal_outstanding(deal, worker);
	return due_ns > LEVEL_NS || deal_is_stuck(own, now_ns) ? due_ns : -1;
}

/* Up to `most` items of the flight's end go back. How many did. */
static uint64_t cut(struct deal *deal, int worker, struct deal_flight *flight, uint64_t most)
{
	struct run *note = flight->job && most ? malloc(sizeof *note) : NULL;
	bool all = false;
	const uint64_t count =
		note ? deal->wire.cut(deal->wire.wire, worker, flight, most, &all) : 0;
	if (count == 0) {
		free(note);
		return 0;
	}
	struct deck *deck = deck_of(flight->job);
	flight->count -= count;
	flight->trimmed = all;
	if (all && flight->done == flight->count)
		flight->job = NULL;
	*note = (struct run){ flight->at + flight->count, count, flight->index + flight->count,
			      deck->back };
	deck->back = note;
	return count;
}

void deal_relieve(struct deal *deal)
{
	const int64_t now_ns = pool_now_ns();
	if (deal->crew.once || deal->crew.workers == 1 || now_ns - deal->relieved_ns < STUCK_NS)
		return;
	deal->relieved_ns = now_ns;
	for (int i = 0; i < deal->crew.workers; i++) {
		struct hand *hand = &deal->hand[i];
		const struct deal_flight *own = hand_at(hand);
		if (!own || own->job->cancelled || own->job->halting ||
		    deal_outstanding(deal, i) < 2 || !deal_refutes(own, now_ns))
			continue;
		deck_of(own->job)->doubted = true;
		for (unsigned k = hand->count; k-- > 0;)
			cut(deal, i, &hand->flight[k], UINT64_MAX);
	}
}

bool deal_level(struct deal *deal)
{
	const int64_t now_ns = pool_now_ns();
	int richest = -1;
	double most_ns = -1;
	if (deal->crew.once || deck_first(deal) || !anybody_free(deal))
		return false;
	for (int i = 0; i < deal->crew.workers; i++) {
		const double due_ns = burden(deal, i, now_ns);
		if (due_ns > most_ns) {
			richest = i;
			most_ns = due_ns;
		}
	}
	if (richest < 0)
		return false;
	struct hand *hand = &deal->hand[richest];
	const struct deal_flight *own = hand_at(hand);
	struct deck *deck = deck_of(own->job);
	deck->doubted = deck->doubted || deal_refutes(own, now_ns);
	if (!deal_is_worth_waking(deal, deck))
		return false;
	uint64_t got = 0;
	const uint64_t half = deal_outstanding(deal, richest) / 2;
	for (unsigned k = hand->count; k-- > 0;)
		got += cut(deal, richest, &hand->flight[k], half - got);
	return got > 0;
}
