/* imap.h - an iteration, shared by imap.c (results) and imap_ring.c (the window and what is read
 * into it). */
#ifndef POOLS_IMAP_H
#define POOLS_IMAP_H

#include "pools/pool_core.h"

struct pool_iter {
	struct pool *pool;
	struct pool_job *job; /* its columns and results are the ring's memory */
	struct pool_source source;
	bool ordered,
		attached; /* attached: the ring may be in the transport's memory, which still exists */
	bool ended;	  /* the input gives no more */
	int input_error;    /* told once after everything before it */
	bool told;	    /* that the pool was terminated */
	bool slow;	    /* reading a tile took long the last time */
	uint64_t unoffered; /* tiles read and not handed out */
	uint64_t fill;	    /* the next tile to look at for room */
	uint64_t read, returned;
	uint64_t granted; /* results that may be taken without the lock */
	uint64_t want;	  /* imap: the cell that is next */
	uint64_t taken;	  /* imap_unordered: arrivals taken so far */
	uint64_t index;	  /* in the input, of what was returned last */
	struct pool_failure failure;
};

/* False: no memory. Of job, chunk and tiles are set; ring_make: the cells alone, without arguments
 * and results. */
bool ring_make(struct pool_job *job);
bool ring_open(struct pool_job *job, const struct pool_source *source);
void ring_close(struct pool_iter *it);
void free_argument(struct pool_job *job, unsigned k,
		   uint64_t cell); /* of a column of variable size */

/* Under the lock: reads input into free tiles and hands them out, where that is worth a wake-up. An
 * input that takes long is read until there is something to return, or the deadline (0: until
 * something was handed out). */
void refill(struct pool_iter *it, int64_t deadline_ns);
bool next_cell(const struct pool_iter *it,
	       uint64_t *cell); /* of the next result; false: not there yet */
int wait_for_result(struct pool_iter *it, int64_t deadline_ns); /* 0 or -ETIMEDOUT */

#endif
