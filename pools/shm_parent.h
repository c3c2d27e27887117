/* shm_parent.h - the parent's own state of the shared-memory transport: transport_shm.c,
 * shm_stage.c, shm_reap.c. */
#ifndef POOLS_SHM_PARENT_H
#define POOLS_SHM_PARENT_H

#include "pools/pool_core.h"
#include "pools/shm.h"

struct shm_job {  /* a job's transport_data */
	int slot; /* -1: not published */
	bool ran; /* was published at some time: results are worth collecting */
	void *staged[POOL_COLUMNS_MAX], *staged_results; /* arena blocks, or NULL: in place */
	struct shm_column result, arg[POOL_COLUMNS_MAX];
	uint64_t seen; /* of the lanes' done */
	uint64_t
		looked; /* the same, at the last look for what nobody claims; UINT64_MAX: none yet */
	bool waited;	/* for news of its pace */
	struct shm_tile *tiles; /* stream */
	uint64_t tile_count;	/* a power of two */
	uint64_t head, tail;	/* ring positions: oldest that may be unfinished; next to publish */
};

struct shm_hope { /* since when a worker that was counted on has been at the same claim */
	uint64_t claim;
	int64_t since_ns;
};

struct pool_transport {
	struct pool *pool;
	struct shm_view view;
	struct pool_board *board;
	unsigned workers;
	struct pool_job *job[SHM_SLOTS];
	uint64_t taken;			  /* bit a slot: has a job */
	struct shm_tile *ring[SHM_SLOTS]; /* of its last stream, until free slots are looked for */
	uint64_t free;			  /* bit a slot: some of those that are free */
	unsigned last;			  /* slot taken last */
	uint64_t serial;		  /* of the job published last */
	uint32_t rank[POOL_WORKERS_MAX];  /* of the batch being published */
	struct shm_hope hope[POOL_WORKERS_MAX];
	int64_t looked_ns, held_ns; /* see look_for_leftovers, look_for_held */
	int64_t doze_ns;	    /* how long whoever leads sleeps at most; 0: it does not */
	bool left_over, held;	    /* held: somebody was not woken for what is short */
};

static inline struct shm_tile *shm_work_tile(const struct shm_job *work, uint64_t position)
{
	return shm_tile_at(work->tiles, work->tile_count, position);
}

/* What workers have done of it. */
static inline uint64_t shm_done(const struct pool_transport *t, const struct shm_slot *s)
{
	uint64_t done = 0;
	SHM_LANES (i, s, t->workers)
		done += __atomic_load_n(&s->lane[i].done, __ATOMIC_ACQUIRE);
	return done;
}

static inline uint64_t shm_least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* shm_stage.c */
int shm_prepare(struct pool_transport *t, struct pool_job *job);
void shm_collect(struct pool_transport *t, struct pool_job *job);
bool shm_stage_cell(struct pool_transport *t, struct pool_job *job, unsigned k,
		    uint64_t cell); /* false: no memory */
void shm_unstage(struct pool_transport *t, struct pool_job *job);
/* Workers see what was pushed once it is offered. */
void shm_push_tile(struct shm_job *work, uint64_t index, uint64_t cell, uint64_t count);
void shm_offer(struct pool_transport *t, struct pool_job *job, uint64_t tiles);
void shm_take_variable(struct pool_transport *t, struct pool_job *job, uint64_t at);

/* shm_wake.c */
void shm_wake(struct pool_transport *t, uint64_t most); /* who rests */
void shm_wake_all(struct pool_transport *t);
void shm_wake_for(struct pool_transport *t, struct shm_job *work,
		  uint64_t claims); /* so many can be made */
/* Before the parent sleeps: wakes for what nobody has claimed. Until when it is to look again, ns from now. */
int64_t shm_look(struct pool_transport *t, int64_t now_ns);

/* shm_result.c: the block that a dead worker was taking or giving back. */
void shm_take_back_block(struct pool_transport *t, struct shm_desk *desk);

/* shm_reap.c. After true the job may be gone. */
bool shm_reap_job(struct pool_transport *t, struct pool_job *job);
void shm_lost(struct pool_transport *t, int worker);

#endif
