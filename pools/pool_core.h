/*
 * pool_core.h - the parent's side, shared by pool.c, crew.c, crew_stop.c, pump.c, job.c, map.c,
 * async.c, imap.c.
 *
 * DESIGN. One lock a pool guards everything below but what is said otherwise. Nobody holds it while
 * waiting.
 *
 * Who does the work of the parent (taking in results, handing out more, noticing deaths)? Whoever
 * waits: the first thread that waits for something *leads* (pump.c), the others sleep on `changed`
 * until their thing is done or the lead is free. So a blocking call costs no hand-over between
 * threads. When work is outstanding that needs the parent and nobody waits, the *keeper* leads, and
 * hands out what was read for iterations; but only when nobody was here for two milliseconds, as
 * whoever waits for one handle or result after the other comes back. The keeper (crew.c) is also
 * the only thread that starts workers: PR_SET_PDEATHSIG fires when the starting thread ends, not
 * the process, and user threads come and go.
 *
 * A job is alive from job_new to job_free; it is on `queue` until the transport takes it, then on
 * `jobs` until all of its items are resolved.
 */
#ifndef POOLS_POOL_CORE_H
#define POOLS_POOL_CORE_H

#include "pools/pool_ops.h"

#include <pthread.h>
#include <string.h>

enum hand_state {
	HAND_GONE,     /* no process and none wanted */
	HAND_WANTED,   /* the keeper shall start it, not before not_before_ns */
	HAND_STARTING, /* the keeper is at it, without the lock */
	HAND_RUNNING,
};

/* A worker as the parent sees it. */
struct pool_hand {
	struct pool_body body;
	enum hand_state state;
	int64_t started_ns, not_before_ns;
	int stop_reason; /* why we killed it: POOL_TASK_TIMEOUT, -ECANCELED, POOL_TERMINATED; 0: we did not */
	int init_reason; /* -ETIMEDOUT: its initializer took too long */
	pid_t pid;	 /* also after its death */
	int wait_status; /* of the last end; -1: unknown */
	int last_death;	 /* the same, of the last that counts as a death */
	bool begun; /* its initializer was seen to be over; a look at its phase takes a line away from it */
	bool failing; /* since it was ready last, or from the start, it could not be had */
	bool died;    /* its last process did: the next one is a restart */
	uint64_t starts, deaths, recycled, stopped, unfit;
	uint64_t lived_ns; /* all that have ended */
};

enum pool_state { POOL_IS_OPEN, POOL_IS_CLOSED, POOL_IS_TERMINATED };

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t changed; /* something resolved, or the lead is free */
	pthread_cond_t keeper_wake;
	const struct pool_backend *backend;
	struct pool_options options;
	int workers, cpus;
	uint64_t board_bytes; /* workers write on the board: what it says of itself is for them */
	int64_t spin_ns;
	pid_t owner;
	unsigned generation; /* of the process that made the pool: see pool_usable */
	enum pool_state state;

	struct pool_board *board;
	int board_fd, events_fd, wake_fd;
	struct pool_transport *transport;
	struct pool_hand *hand; /* [workers] */

	TAILQ_HEAD(, pool_job) jobs, queue; /* published; waiting for the transport */
	int streams;			    /* iterators that are open */
	uint64_t background;		    /* jobs that need the parent also when nobody waits */
	uint64_t limited; /* jobs with a time limit and something under way; and the finalizer's */
	int64_t shortest_limit_ns; /* of these */

	bool leading, news;
	struct pool_patience patience; /* the leader's */
	int64_t yield_ns;	       /* pump_yield: not before */
	bool halting;		       /* some job is */
	bool hunting;		       /* some job has a kill_reason */
	int waiters;
	pthread_t keeper;
	bool keeper_runs, keeper_quits, keeper_minds, keeper_leads;
	uint64_t visits; /* of those whose return is likely: who led, reads input, takes results */
	bool stopping;	 /* transport told to stop: no successors */
	int broken; /* POOL_INIT_FAILED: no worker comes up; what submissions answer. -errno: none could be
			    started; until the next submission */
	bool opened; /* crew_open is over: from now on failed starts are tried again */
	int start_error, init_failures, start_failures, bad_luck;
	struct pool_failure init_failure;

	struct pool_async *callbacks, **callbacks_tail; /* resolved, callback to be run */
	pthread_cond_t callback_wake;
	pthread_t callback_thread;
	bool callback_runs, callback_quits;
	uint64_t callbacks_pending; /* queued or running */

	struct plain *plain; /* pool_alloc without a transport that has memory */
	int refs;	     /* the user's, one a handle, one an iterator; atomic */
	struct pool_stats stats;
};

/* ---- pool.c ---- */
void pool_ref(struct pool *pool);
void pool_unref(struct pool *pool);
/* A time limit that can be added to the time without overflow; 0, for POOL_FOREVER too: none. */
static inline int64_t pool_limit_ns(int64_t wanted_ns)
{
	const int64_t most_ns = INT64_MAX / 4;
	return wanted_ns <= 0 ? 0 : wanted_ns < most_ns ? wanted_ns : most_ns;
}

int pool_usable(const struct pool *pool);      /* 0, -EINVAL or -EPERM */
int pool_usable_here(const struct pool *pool); /* or -EDEADLK: inside a task that this pool runs */
struct plain;
void plain_free(struct pool *pool, struct plain *plain); /* pool_ask.c: a block of pool_alloc */
int pool_accepts(struct pool *pool); /* under the lock: 0, POOL_CLOSED, POOL_INIT_FAILED */

/* ---- crew.c, crew_stop.c, crew_deaths.c: workers ---- */
void crew_want(struct pool *pool, int worker, int failures); /* a successor, later after failures */
void crew_try_again(struct pool *pool); /* whom no worker could be started for */
int crew_open(
	struct pool
		*pool); /* starts the keeper and all workers; 0 or the first error, nothing left */
void crew_event(struct pool *pool, int worker); /* its pidfd is readable */
void crew_look(struct pool *pool, int worker);	/* has this one ended? */
void crew_sweep(struct pool *pool); /* looks for ended workers without a pidfd (threads) */
int64_t crew_timers(struct pool *pool,
		    int64_t now_ns); /* kills what is over its limit; next time to look */
void crew_limit(struct pool_job *job, bool applies); /* from now on to its items, or not */
void crew_stop_holders(struct pool *pool, struct pool_job *job,
		       int reason);	 /* kills who runs items of the job */
bool crew_gone(const struct pool *pool); /* no worker is left and none wanted */
void crew_stop(struct pool *pool);	 /* no more successors; workers may leave */
void crew_signal(struct pool *pool, int number, int reason); /* to every running worker */
int crew_thread(pthread_t *thread, void *(*main)(void *),
		void *argument);	  /* signals blocked; 0 or -errno */
void crew_close(struct pool *pool);	  /* ends the keeper; without the lock */
void crew_want_keeper(struct pool *pool); /* something for the keeper to do */
void crew_mind(struct pool *pool); /* a visit: the keeper looks some time after the last one */

static inline struct pool_ledger *ledger_of(const struct pool *pool, int worker)
{
	return &pool->board->ledger[worker];
}

static inline uint32_t phase_of(const struct pool *pool, int worker)
{
	return __atomic_load_n(&ledger_of(pool, worker)->phase, __ATOMIC_ACQUIRE);
}

/* ---- pump.c: waiting ---- */
typedef bool pump_done(void *what);
/* Under the lock: until done(what), leading when nobody else does. 0 or -ETIMEDOUT (deadline 0:
 * only look). */
int pump_wait(struct pool *pool, pump_done *done, void *what, int64_t deadline_ns);
/* Something happened, or does in so many ns, that no leader has seen yet. */
bool pump_has_events(struct pool *pool, int64_t most_ns);
/* Are there more workers than CPUs? */
static inline bool pool_is_crowded(const struct pool *pool)
{
	return pool->workers > pool->cpus;
}

bool pump_yield(struct pool *pool);    /* to those who were just woken; false: not now */
bool pump_progress(struct pool *pool); /* under the lock, never blocks; true: something changed */
void pump_kick(struct pool *pool);     /* wakes the leader */
void pump_tell(struct pool *pool);     /* wakes all who wait: something resolved outside the lead */
int64_t pump_deadline(int64_t timeout_ns); /* on the clock; 0: only look, INT64_MAX: never */
int pump_watch_body(struct pool *pool, int fd, int worker);
int pump_watch_wake(struct pool *pool);

/* ---- job.c ---- */
struct pool_job *job_new(struct pool *pool, const struct pool_task *task,
			 const struct pool_policy *policy);
void job_free(struct pool_job *job);
void job_submit(struct pool_job *job);		  /* under the lock */
void job_publish_queued(struct pool *pool);	  /* under the lock */
bool job_is_resolved(void *job);		  /* a pump_done */
void job_stop(struct pool_job *job, int reason);  /* under the lock: drop what was not started */
void job_halt_failed(struct pool *pool);	  /* under the lock: what failed under fail-fast */
void job_stop_all(struct pool *pool, int reason); /* under the lock: every job of the pool */
void job_abandon_all(
	struct pool *pool); /* under the lock, no worker left: what was never accounted for */
void job_fail_rest(struct pool_job *job, uint64_t begin, uint64_t count,
		   const struct pool_failure *why);
int job_status_at(const struct pool_job *job, uint64_t index);
/* Under the lock, submitted: from now on, until it is unlisted, it is minded also when nobody waits,
 * where workers may die. True: it needs the parent at once; false: workers get along by themselves
 * as long as they live, and nobody insists. */
bool job_to_background(struct pool_job *job, bool insists);
bool job_count(struct pool_job *job); /* has something come under way? true: for the first time */

/* Copies results of fixed size to byte `to` of the job's and on; the places of items that failed stay as they are. */
static inline void job_put_results(const struct pool_job *job, uint64_t to,
				   const unsigned char *bytes, uint64_t size)
{
	const uint64_t each = job->result_size;
	for (uint64_t part = size; size; to += part, bytes += part, size -= part) {
		const uint64_t rest = job->failed ? each - to % each : size;
		part = rest < size ? rest : size;
		if (!job->failed || job_status_at(job, to / each) == 0)
			memcpy((unsigned char *)job->results + to, bytes, part);
	}
}

/* Items published and not resolved. */
static inline uint64_t job_under_way(const struct pool_job *job)
{
	return (job->stream ? job->ready : job->count) - job->resolved;
}

void job_unlist(struct pool_job *job); /* under the lock: resolved, out of the pool's lists */

/* ---- map.c: what all variants share ---- */
struct map_call { /* as the public functions take them */
	const struct pool_task *task;
	const struct pool_column *args;
	unsigned columns;
	uint64_t n, result_size;
	const struct pool_policy *policy;
};
int map_check(struct pool *pool, const struct map_call *call); /* 0 or what the call answers */
struct pool_job *map_job(struct pool *pool, const struct map_call *call); /* NULL: no memory */
void failure_copy(struct pool_failure *to, const struct pool_failure *from);

/* ---- callback.c ---- */
void async_stop_callbacks(
	struct pool *pool); /* runs what is queued, ends the thread; without the lock */
bool async_callbacks_idle(const struct pool *pool);

/* ---- imap.c, imap_ring.c ---- */
void imap_offer_all(struct pool *pool); /* under the lock: what was read is handed out */
void imap_detach(struct pool_job *job); /* under the lock: the pool's memory is about to go */

#endif
