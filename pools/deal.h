/*
 * deal.h - the dealer: who gets what, for transports that send messages. Any such transport gives
 * it these functions.
 *
 * DESIGN. A *flight* is a run of items sent to a worker and not answered; each worker has a queue
 * of at most two, so it finds the next when it ends one. How many items go into a flight follows
 * what they were measured to take: about FLIGHT_NS worth, in whole chunks, never more than its
 * share of what is left (guided self-scheduling: Polychronopoulos and Kuck 1987). Until a job's
 * items are known to be short a worker gets one chunk at a time and nothing behind it, so nothing
 * waits behind a long task while another worker is free.
 *
 * More workers than CPUs. Waking a worker takes longer than many short items do. As many as there are CPUs get one chunk at
 * first; each of the others only as long as no answer has come that may tell how short the items are. Then flights are shared
 * among as many as can run, and what takes WAKE_NS goes in one.
 *
 * Levelling. An estimate is wrong where items are not alike, so what was sent is not lost to the others: who has nothing, when
 * nothing is left, gets half of what the worker with most to do has not begun (as in work stealing: Blumofe and Leiserson
 * 1999). The transport cuts a flight without asking the worker, who may be in a long item. From who has not got on for much
 * longer than it should (DOUBT_NS) all of that is taken, whether somebody is free or not, and goes one chunk at a time: it has
 * its turn among the jobs. Nothing stays behind a long item but what the worker began along with it, and that is no more than an even
 * share of what was left: the last items, as many as there are workers, get on where they wait for each other.
 */
#ifndef POOLS_DEAL_H
#define POOLS_DEAL_H

#include "pools/pool_ops.h"

struct deal;
struct deal_flight {
	struct pool_job *
		job; /* NULL: it was cut to what has its results, and the worker has not told that it knows */
	uint32_t number;	   /* never 0; those of one worker follow each other */
	uint64_t at, count, index; /* items or cells; position of the first in the input */
	uint64_t done, run_ns;	   /* of count; what these took */
	uint64_t
		behind; /* items of the job and of higher index that nobody had, when it was sent */
	int64_t since_ns; /* when it was sent, or last answered in part */
	bool trimmed; /* it was cut to what had begun: over when its worker says so (deal_dropped) */
};

struct deal_wire {
	void *wire;
	/* May another frame go to this worker now? */
	bool (*can_send)(void *wire, int worker);
	/* Sends it: 0, or -errno when it was not sent at all. Never blocks. */
	int (*send)(void *wire, int worker, const struct deal_flight *flight);
	/* What of it has not begun is not wanted any more: the worker is to answer that soon. */
	void (*recall)(void *wire, int worker, const struct deal_flight *flight);
	/* Takes what has not begun from the flight's end, in whole chunks, `most` items at most. How many; *all: nothing is
	 * left that has not begun. Never blocks. */
	uint64_t (*cut)(void *wire, int worker, const struct deal_flight *flight, uint64_t most,
			bool *all);
	/* Has something come that was not looked at, or does it in so many ns? Then deal_out is called again when it was. */
	bool (*has_news)(void *wire, int64_t most_ns);
};

struct deal_crew {
	int workers, cpus; /* that they may use */
	bool once;	   /* a process a flight */
	bool counts; /* a worker leaves after so many chunks, and an automatic one is a flight */
};

/* deal_bytes.c. What an item takes as far as it is planned: of an argument of variable size no more than its size. */
uint64_t deal_item_bytes(const struct pool_job *job);
/* What such arguments of these items take. */
uint64_t deal_variable_bytes(const struct pool_job *job, uint64_t at, uint64_t count);
/* How many of `most` items from `at` on go together: whole chunks, one at least; what such arguments take is not more than
 * DEAL_FLIGHT_BYTES. */
enum { DEAL_FLIGHT_BYTES = 256 * 1024 };
uint64_t deal_fitting(const struct pool_job *job, uint64_t chunk, uint64_t at, uint64_t most);

/* NULL: no memory. */
struct deal *deal_open(const struct deal_wire *wire, const struct deal_crew *crew);
void deal_close(struct deal *deal);

/* The part of the transport's interface that is about jobs; see pool_ops.h. */
int deal_prepare(struct deal *deal, struct pool_job *job);
void deal_publish(struct deal *deal, struct pool_job *job); /* deal_out is up to the caller */
int deal_extend(struct deal *deal, struct pool_job *job, uint64_t tile);
void deal_cancel(struct deal *deal, struct pool_job *job);
void deal_retire(struct deal *deal, struct pool_job *job);
void deal_collect(struct deal *deal, struct pool_job *job);
bool deal_holds(const struct deal *deal, int worker, const struct pool_job *job);

/* Items sent to the worker and not answered. */
uint64_t deal_outstanding(const struct deal *deal, int worker);

/* Sends what can be sent; true: something was, and nothing has come that is to be looked at first. */
bool deal_out(struct deal *deal);

enum { DEAL_FLIGHTS = 2 };
const struct deal_flight *deal_flight(const struct deal *deal, int worker,
				      int i); /* i-th in line; NULL: none */

/* The flight that a reply must belong to; NULL: none. */
struct deal_flight *deal_front(struct deal *deal, int worker);
/* The next `count` items of the front flight have their results. The job may be gone afterwards. */
void deal_done(struct deal *deal, int worker, uint64_t count, uint64_t run_ns);
/* The rest of the front flight, which was recalled or cut, was not begun. The same holds. */
void deal_dropped(struct deal *deal, int worker);
/* How a worker left its front flight: behind what was answered, `fine` items have their results in place, the next `lost`
 * were begun and have none; the others were not begun and go back. peaceful: it left because it
 * was to, or had not come so far that it could read any; unread: it read nothing of its front flight. */
struct deal_end {
	uint64_t fine, lost;
	uint64_t
		lost_behind; /* items of the second flight that were begun, after all of the front one's */
	bool peaceful, unread;
};
void deal_lost(struct deal *deal, int worker, const struct deal_end *end);

/* Something waits for workers that will soon be through, if they are not stuck: call deal_out again soon. */
bool deal_held(const struct deal *deal);
/* Something could not be sent and nothing will happen by itself: call deal_out again soon. */
bool deal_starved(const struct deal *deal);

#endif
