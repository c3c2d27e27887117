/*
 * explain.h - where a task's time goes: its parts, each a count times a price, and what they leave unexplained.
 *
 * DESIGN. Prices are not taken from the cell that is explained, or they would explain anything: each is measured beside it, in
 * the same rounds. What has a count (wake-ups, system calls, bytes) is priced first; the empty task at several chunk
 * sizes, less its own priced counts, then gives a + b x (chunks claimed per task), and a and b are what an item and a chunk
 * cost otherwise, neither less than nothing. So nothing is counted twice: not the kernel either, which the empty task runs too.
 *
 *	run        the same work by as many plain forked processes, no pool
 *	item       a: claim, call and commit of one item, and its share of what a call costs once
 *	chunk      b: claim or message of one chunk, without the waking and the system calls
 *	copy       bytes of arguments and result beyond those of the empty task (if they are 64 or more), priced by the workload
 *	           "stream"
 *	wake-up    voluntary context switches, priced by one way of a futex round trip on one CPU: what switching costs. That a
 *	           sleeping CPU takes longer to answer is no part, as others may work meanwhile; what it could add is told beside
 *	syscall    system calls beyond the two of a wake-up, the one that waits and the one that wakes; where they are not counted,
 *	           reads and writes stand in for them
 *
 * A wake-up and a system call are priced as the least batch of all rounds, because what disturbs them is not their cost: it
 * belongs to the rest. Parts of several processes that run at the same time each count in full. Then they explain more than was measured, and
 * the rest is negative: what overlaps. A positive rest is what nobody counted: imbalance, cold caches, preemption.
 */
#ifndef HARNESS_EXPLAIN_H
#define HARNESS_EXPLAIN_H

#include "harness/trial.h"

enum part { PART_RUN, PART_ITEM, PART_CHUNK, PART_COPY, PART_WAKE, PART_CALL, PARTS };
enum explain_price { EXPLAIN_WAKE, EXPLAIN_CALL, EXPLAIN_PRICES };
#define EXPLAIN_EMPTIES 3 /* chunk sizes of the empty task */

/* What one row says, per task. */
struct glance {
	double ns, claims, wakes, calls;
};

/* What one round says. */
struct evidence {
	struct glance cell, empty[EXPLAIN_EMPTIES];
	size_t empties;
	double run_ns, empty_run_ns; /* plain processes: the cell's work, and the empty task */
	double wake_ns, call_ns, byte_ns;
	double bytes; /* beyond the empty task's */
};

struct account {
	double count[PARTS], unit_ns[PARTS], ns[PARTS]; /* per task */
	double total_ns, rest_ns;			/* measured; measured less all parts */
};

/* The accounting alone, of any numbers. */
void explain_evidence(struct account *account, const struct evidence *evidence);

/* What is measured for it. */
struct explanation {
	struct cell cells[24];
	size_t count;
	size_t run, empty_run, empty[EXPLAIN_EMPTIES], empties;
	size_t far_wake; /* from one CPU to another; SIZE_MAX: there is one only */
	size_t counted,
		empty_counted[EXPLAIN_EMPTIES]; /* with the probe; SIZE_MAX: not permitted */
	size_t copy[2], copy_run[2]; /* more and fewer bytes, SIZE_MAX: nothing to copy */
	double bytes;
	struct cell price[EXPLAIN_PRICES]; /* measured apart, on one CPU */
	double wake_ns, call_ns;	   /* set by explain_price() */
	int uncounted; /* 0, or why system calls are not counted: see syscalls_reason() */
};

/* Plans the cells for this one, which is sensible and of a pool; `bytes` in and out per task. cells[0] is the cell. */
void explain_plan(struct explanation *e, const struct cell *cell, double bytes);

/* Takes the prices from a trial of e->price; false: a cell failed. */
bool explain_price(struct explanation *e, const struct trial *prices);
/* One way of a round trip between two CPUs, undisturbed; 0: there is one CPU only. */
double explain_far_wake_ns(const struct explanation *e, const struct trial *trial);

/* A round of the cells, once prices are known; false: a cell failed. */
bool explain_round(const struct explanation *e, const struct trial *trial, int round,
		   struct account *account);

#endif
