/* shm_port.h - a worker's port of the shared-memory transport: shm_port.c, shm_claim.c and
 * shm_result.c. */
#ifndef POOLS_SHM_PORT_H
#define POOLS_SHM_PORT_H

#include "pools/shm.h"

struct shm_pace { /* what was learnt of a job that is left for others */
	uint64_t serial, grain;
};

struct pool_port {
	struct shm_view *view, own;
	struct shm_desk *desk;
	struct pool_board *board;
	uint32_t worker;
	int wake_fd;
	struct pool_patience patience;
	int slot;	/* we are in; -1: none */
	uint64_t grain; /* chunks (auto: positions, stream: tiles) to take */
	int64_t claimed_ns; /* when the last claim was made; stream: when the last one ended, or the first one here began */
	uint64_t chunks;		 /* of the last claim; auto: items */
	uint64_t untold;		 /* stream: tiles done and not told */
	struct shm_pace pace[SHM_SLOTS]; /* serial 0: none */
	bool entered;			 /* the span is not yet filled in for this slot */
	struct pool_call call;		 /* of the slot we are in, from item 0 */
	struct shm_slot *at;
};

/* In the slot the port is in: claims into span (call.index, count, cookie); false: nothing to be
 * had. */
bool shm_claim_batch(struct pool_port *p, struct pool_span *span);
bool shm_claim_tiles(struct pool_port *p, struct pool_span *span);
bool shm_is_all_ours(
	const struct pool_port *p); /* it has done all of the batch, as of a single call */
int64_t shm_measure_claim(struct pool_port *p); /* ns since the last time; adapts the grain */
void shm_keep_pace(struct pool_port *p);	/* before it leaves a slot for others */
uint64_t shm_kept_grain(const struct pool_port *p);
void shm_clear_results(struct pool_port *p,
		       struct pool_span *span); /* that an earlier run of the span left */

/* Are there more workers than CPUs? */
static inline bool shm_is_crowded(const struct pool_port *p)
{
	return p->board->workers > p->board->cpus;
}

/* shm_wake.c */
void shm_wake_one(struct pool_port *p);
void shm_wake_more(
	struct pool_port *p); /* the same, unless those who are awake are enough for what is here */
bool shm_cpu_is_free(
	const struct pool_port *p); /* everybody who is awake, the parent included, has one */

#endif
