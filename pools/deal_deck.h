/*
 * deal_deck.h - what deal.c (what goes to whom) and deal_back.c (what comes back) share.
 */
#ifndef POOLS_DEAL_DECK_H
#define POOLS_DEAL_DECK_H

#include "pools/deal.h"

struct run { /* items given back by a death, or taken back from a worker */
	uint64_t at, count, index;
	struct run *next;
};

struct deck { /* a job's transport_data: what is still to be dealt */
	struct pool_job *job;
	uint64_t chunk;		     /* items; an automatic one counts as 1 */
	uint64_t next;		     /* batch */
	uint64_t *tiles, head, tail; /* stream: a ring of published tiles */
	struct run *back;
	double item_ns;	   /* measured, 0: not yet */
	double most_items; /* of a flight by which it was */
	bool doubted; /* some of them take much longer: a chunk at a time until a flight is over */
	bool waited;  /* for news of how long they take */
	unsigned barren[2]; /* deaths in a row before an item began; [1]: or was read */
	TAILQ_ENTRY(deck) entry;
};

struct hand {
	struct deal_flight flight[DEAL_FLIGHTS];
	unsigned count;
	uint32_t number; /* of the last flight, never 0; parities alternate: 2 is behind the last */
};

struct deal {
	struct deal_wire wire;
	struct deal_crew crew;
	int at_once;	     /* workers that can run at a time */
	int64_t relieved_ns; /* when it was looked for those who do not get on */
	bool held;	     /* something is left for workers that are at it: look after them */
	bool starved;	     /* something could not be sent for want of memory: try again */
	TAILQ_HEAD(, deck) decks; /* in the order in which they are served */
	struct hand hand[];
};

/* What its worker is at; NULL: it has nothing to do. */
static inline const struct deal_flight *hand_at(const struct hand *hand)
{
	for (unsigned i = 0; i < hand->count; i++)
		if (hand->flight[i].job)
			return &hand->flight[i];
	return NULL;
}

static inline struct deck *deck_of(const struct pool_job *job)
{
	return job->transport_data;
}

/* deal.c */
uint64_t deck_left(const struct deck *deck);	  /* items that nobody was sent */
struct deck *deck_first(const struct deal *deal); /* in line that has some; NULL: none */
void deck_take(struct deck *deck, struct deal_flight *flight, uint64_t most);

/* deal_back.c */
/* A worker has nothing, and nothing is left: takes from the one that has most to do, into its deck. False: there is no such
 * worker, or it has too little. */
bool deal_level(struct deal *deal);
void deal_relieve(
	struct deal *deal); /* who has not got on for long: takes all that has not begun */
bool deal_is_stuck(const struct deal_flight *flight, int64_t now_ns);
bool deal_refutes(const struct deal_flight *flight,
		  int64_t now_ns); /* what its deck says of items */
/* May one more worker be given some of it? */
bool deal_is_worth_waking(const struct deal *deal, struct deck *deck);

#endif
