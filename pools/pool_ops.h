/*
 * pool_ops.h - the backend author's header: what a start method and a transport must do.
 *
 * DESIGN. A backend is a row of backends.def: a start method (how a worker comes up) and a
 * transport (how work and results travel). Neither knows the other, the variants (map.c, imap.c)
 * know neither. The only thing that moves is a *span*: a run of consecutive items of one job that a
 * worker claims, runs and commits. The worker is one loop (worker.c): attach; while (claim) { run;
 * commit; } detach.
 *
 * To add a transport: one file transport_<name>.c with a `const struct pool_transport_ops
 * pool_transport_<name>`, and one line in backends.def. The contract suite runs over the new row by
 * itself.
 *
 * RULES every backend keeps, each learnt from a pool that hung:
 *  1. What a worker has finished is published by `commit` with release stores after the results.
 *  2. A worker that is late can never claim from a job that took the place of the one it looked at.
 *  3. Going to sleep: say so, full fence, look again, wait. Waking: publish, full fence, look who
 *      sleeps.
 *  4. The parent never blocks on one worker: its ends of channels do not block.
 *  5. A forked worker closes its siblings' ends (`forked`); every descriptor is close-on-exec from
 *      birth, and again in a worker that was executed with it.
 *  6. No lock is shared between processes; a killed worker cannot hold one.
 *  7. What a worker claimed, and how many items of it began, stands where the parent can read it
 *      after its death: finished items count, begun ones are lost, the rest goes back to the queue.
 *  8. The host's signal dispositions stay as they are. A pipe's read end stays open in the parent
 *      too, so that writing to a dead worker's pipe cannot raise SIGPIPE.
 *  9. Only anonymous resources: nothing with a name, nothing to leak.
 * 10. Tasks travel as ids (a hash of their registered name): pointers do not survive exec.
 */
#ifndef POOLS_POOL_OPS_H
#define POOLS_POOL_OPS_H

#include "pools/pool.h"

#include <sys/queue.h>

/* ---- what both sides know ---- */

/* A worker's line of the board, shared memory that every row has. Written by the worker, read by
 * the parent at any time (atomics) and after the worker's death (plain). */
struct pool_ledger {
	/* claim << 32 | items of it begun. Store: pool_run_span, release. Load: the parent,
	 * acquire. */
	_Alignas(64) uint64_t progress;
	uint64_t
		begun_ns; /* when the running item began; 0: not watched. Relaxed; checked against progress */
	uint64_t limit_ns; /* its time limit; written before begun_ns */
	uint64_t begun_before
		[2];	 /* items begun before the claim of that parity; see pool_ledger_begun */
	uint64_t claims; /* chunks this span counts for: those that begin in it */
	int32_t code;	 /* what the initializer returned */
	uint32_t phase;	 /* enum pool_phase; release store, acquire load */
	uint64_t idle_ns, idle_since_ns; /* spent waiting for work; since: 0 while it does not wait.
					    Relaxed; the parent adds the end of a dead worker's wait */
	_Alignas(64) char message[256];	 /* why the initializer failed, NUL-terminated */
};

enum pool_phase {
	POOL_PHASE_NEW = 0,
	POOL_PHASE_READY,   /* the initializer has succeeded */
	POOL_PHASE_UNFIT,   /* the initializer has failed */
	POOL_PHASE_LEAVING, /* tasks_per_worker reached: leaves in peace, a successor is wanted */
	POOL_PHASE_DONE,    /* leaves in peace because the pool stops */
};

enum { POOL_OUTBOX_BYTES = 32 * 1024 };

struct pool_board {
	uint32_t workers;
	int32_t pin;
	uint64_t bytes; /* of the whole mapping */
	int64_t tasks_per_worker;
	uint64_t initializer, finalizer; /* task ids, 0: none */
	int64_t finalizer_limit_ns;	 /* 0: none */
	uint64_t argument_at, argument_size, outbox_at;
	uint32_t cpus; /* that the pool may use */
	int64_t spin_ns; /* how long to look for news, at most, before going to sleep, while a CPU is free for it */
	struct pool_ledger ledger[];
};

/* All a worker needs to attach: plain integers, so that it survives exec as text. */
struct pool_ticket {
	int32_t worker;
	int32_t parent;	  /* process id: the worker leaves when it is not its parent any more */
	int32_t board_fd; /* -1 where memory is inherited */
	int32_t fd
		[2]; /* the transport's, -1 unused; executed workers inherit exactly these and board_fd */
	int32_t wake_fd;		 /* eventfd that wakes the parent */
	uint64_t size;			 /* the transport's */
	uint64_t board_at, transport_at; /* addresses where memory is inherited, else 0 */
	uint64_t transport;		 /* index of the row in the table */
};

/* How often this process and those before it were forked since the program began: getpid would be a system call for each
 * use. */
extern unsigned pool_generation;

/* Under fail_fast a worker claims no more at a time: chunks, or items where they are automatic. What it has claimed it
 * runs, also when another item fails, and the next items may be longer than those by which it was measured. */
enum { POOL_FAIL_FAST_MOST = 16 };

/* A run of consecutive items. The transport fills it in in claim(), the worker runs it. It is one
 * zeroed object for the worker's whole life: what a transport knows to be the same as last time it
 * need not write again. The worker writes call.worker, progress, claim and watched. */
struct pool_span {
	struct pool_call call; /* arguments, result place, index, columns, variable, base */
	uint64_t task;	       /* id */
	uint64_t count;	       /* 1 .. 2^32-1 */
	int64_t limit_ns;      /* time limit of one item, 0: none */
	uint64_t claims; /* goes on with a chunk that an earlier span began: no claim of its own */
	bool goes_on; /* its last chunk does not end with it: with tasks_per_worker the worker stays */
	bool overdue;	    /* and would have left: told to commit */
	uint64_t cookie[2]; /* the transport's own */
};

/* Why one item of a span failed. `message` is valid during the call that passes it. */
struct pool_fault {
	uint64_t index;
	int32_t status, code;
	const char *message;
	uint64_t message_size; /* without NUL */
};

/* What a worker may say; anything else is noise. */
static inline bool pool_fault_is_known(int status)
{
	return status == POOL_TASK_ERROR || status == POOL_ENCODE_ERROR ||
	       status == POOL_UNKNOWN_TASK;
}

/* ---- the parent's side ---- */

/* A claimable run of a stream's cells: tile k is cells k*chunk .. k*chunk + count-1. */
struct pool_tile {
	uint64_t index; /* of its first item, in the input */
	uint32_t count; /* items in it, 1..chunk; 0: free */
	uint32_t left;	/* not yet returned to the user */
};

/* One call's work. Made by job.c, read by transports; under the pool's lock from publish to the
 * end.
 *
 * A batch is `count` items with columns and results of as many elements, known from the start. A
 * stream is a ring of `count` cells, a multiple of `chunk`; the input is read into free tiles,
 * which `extend` publishes one at a time. Between transport and core a stream's items are named by
 * their *cell*, a batch's by their index. */
struct pool_job {
	struct pool *pool;
	const struct pool_task *task;
	struct pool_column column[POOL_COLUMNS_MAX]; /* count elements each */
	unsigned columns, variable;		     /* variable: as in struct pool_call */
	void *results;	      /* count elements; struct pool_bytes[] if variable */
	uint64_t result_size; /* from one to the next */
	uint64_t count;
	uint64_t chunk;		       /* items a claim; 0: auto (batches only) */
	struct pool_tile *tile;	       /* stream */
	uint64_t tiles;		       /* stream: count / chunk */
	uint64_t tile_mask, cell_mask; /* places less one of a ring for all tiles, for all cells */
	bool stream, fail_fast;
	bool patient;	  /* nobody waits for its end yet: it may be told a little late */
	bool cancelled;	  /* nothing more of it is started */
	bool stop_forced; /* by the caller or terminate, not by fail-fast */
	bool halting;	  /* failed under fail-fast: to be stopped */
	bool published;	  /* the transport has it */
	bool background;  /* while it has something under way, somebody is to lead */
	bool counted;	  /* in the pool's background: it is so now */
	bool limited;	  /* the same: limit_ns is one of the pool's */
	int retries;
	int64_t limit_ns;
	int kill_reason; /* stopped by force: its running items are to be killed; 0: left to end */
	int stop_status; /* what items get that are dropped: -ECANCELED, POOL_TERMINATED, ... */
	uint64_t ready;	 /* stream: items published so far */
	uint64_t resolved; /* items with a final outcome */
	uint64_t failed;   /* of these, not fine */

	struct pool_failure first;   /* batch: the failure to report; status 0: none */
	int32_t *status;	     /* one an item or cell; batch: NULL until something fails */
	struct pool_failure *detail; /* stream: beside status */
	uint8_t *attempts;	     /* retries used per item or cell; NULL until needed */
	uint8_t *cell_done;	     /* stream: resolved, not yet returned */
	uint64_t *arrived;	     /* stream: cells in the order of their resolution, a ring */
	uint64_t arrivals;	     /* how many ever */

	void *transport_data;	     /* the transport's own */
	TAILQ_ENTRY(pool_job) entry; /* in the pool's jobs or queue */
	/* A batch, or a cancelled stream, is resolved; under the lock, once; may be NULL. It may
	 * retire the job: nothing of it may be touched after the call that resolved the last item. */
	void (*resolved_hook)(struct pool_job *job);
	void *owner;
};

/* Most streams have a chunk of 1. A division costs more than anything else that is done for a short item: therefore rings
 * are powers of two as well. */
static inline uint64_t pool_tile_of(const struct pool_job *job, uint64_t cell)
{
	return job->chunk == 1 ? cell : cell / job->chunk;
}

/* The position in the input of a stream's cell. */
static inline uint64_t pool_cell_index(const struct pool_job *job, uint64_t cell)
{
	const uint64_t tile = pool_tile_of(job, cell);
	return job->tile[tile].index + (cell - tile * job->chunk);
}

/* What transports tell of a job. All under the lock. */
void pool_job_fault(struct pool_job *job,
		    const struct pool_fault *fault); /* an item failed; resolve follows */
void pool_job_resolve(struct pool_job *job, uint64_t begin,
		      uint64_t count); /* these are final, results in place.
                                                              batch: `begin` may be 0 when only the number is known */
void pool_job_drop(struct pool_job *job, uint64_t begin,
		   uint64_t count); /* were not started and never will be */
/* Items begin..begin+count-1 were running when worker `w` died. True: run them again (put them back
 * into the queue); false: they are resolved as lost. Ask for each item on its own. */
bool pool_job_lost(struct pool_job *job, uint64_t index, int worker);

struct pool_transport; /* the parent's side */
struct pool_port;      /* a worker's side */

struct pool_transport_setup {
	struct pool *pool;
	int workers;
	struct pool_board *board;
	int wake_fd; /* eventfd the parent sleeps on */
};

struct pool_transport_ops {
	const char *name;
	unsigned needs;	 /* enum pool_can bits that the start method must have */
	unsigned cannot; /* enum pool_can bits that no row with this transport has */
	bool autonomous; /* published work goes on without the parent */

	/* Life. open: 0 or -errno with nothing left behind. */
	int (*open)(struct pool_transport **out, const struct pool_transport_setup *setup);
	void (*close)(struct pool_transport *t);
	/* A worker is about to start: make its channel, fill in the transport's part of the ticket. */
	int (*ticket)(struct pool_transport *t, int worker, struct pool_ticket *ticket);
	/* In the forked child: drop everything that belongs to siblings or the parent. */
	void (*forked)(struct pool_transport *t, int worker);
	/* In the parent, after the worker has started: drop the worker's ends, hand out work. */
	void (*started)(struct pool_transport *t, int worker);
	/* claim() answers POOL_END once there is nothing left to claim. */
	void (*stop)(struct pool_transport *t);

	/* Memory that workers reach in place; NULL slots: there is none. */
	void *(*alloc)(struct pool_transport *t, uint64_t bytes, bool zeroed);
	void (*release)(struct pool_transport *t, void *memory);
	bool (*inside)(struct pool_transport *t, const void *memory,
		       uint64_t bytes); /* reachable in place? */

	/* Work. prepare (stage what must be copied) and collect (copy back, give back) run without
	 * the lock, in the caller's thread. publish: 0, or -EAGAIN: no room now, try again after
	 * the next reap. extend: the tile is filled. cancel: drop what was not started
	 * (pool_job_drop), now or in a later reap. */
	int (*prepare)(struct pool_transport *t, struct pool_job *job);
	int (*publish)(struct pool_transport *t, struct pool_job *job);
	int (*extend)(struct pool_transport *t, struct pool_job *job,
		      uint64_t tile); /* 0 or -ENOMEM */
	/* So many were extended: now hand them out. */
	void (*offer)(struct pool_transport *t, struct pool_job *job, uint64_t tiles);
	void (*cancel)(struct pool_transport *t, struct pool_job *job);
	void (*want)(struct pool_transport *t,
		     struct pool_job *job); /* it is not patient any more; or NULL */
	void (*retire)(struct pool_transport *t,
		       struct pool_job *job); /* no item is in flight any more */
	void (*collect)(struct pool_transport *t, struct pool_job *job);

	/* Progress, under the lock, never blocking. reap takes in what is finished and hands out
	 * more; true: something changed. doze(true): about to sleep; how many ns at most: 0 if that
	 * would miss something, INT64_MAX: any; doze(false): awake again. */
	bool (*reap)(struct pool_transport *t);
	int64_t (*doze)(struct pool_transport *t, bool asleep);
	/* Descriptor events of a worker's channel (EPOLLIN...), where `ticket` registered one. */
	void (*event)(struct pool_transport *t, int worker, unsigned events);
	/* A worker is dead and reaped, or failed to start after `ticket`: take in what it finished, account for what it claimed. */
	void (*lost)(struct pool_transport *t, int worker);
	/* Does the worker run, or hold claimed, an item of this job? It is stopped while this is
	 * asked, and killed if so: one in its finalizer holds nothing. */
	bool (*holds)(struct pool_transport *t, int worker, const struct pool_job *job);

	/* The worker's side. claim: 0, POOL_END or -errno; blocks. result_alloc: room for a
	 * variable result. fault: an item of the span failed, told before the next item begins; it succeeds or does not return.
	 * commit: the whole span is done. */
	int (*attach)(struct pool_port **out, const struct pool_ticket *ticket,
		      struct pool_board *board);
	int (*claim)(struct pool_port *p, struct pool_span *span);
	void *(*result_alloc)(struct pool_port *p, struct pool_ref *ref, uint64_t bytes);
	void (*fault)(struct pool_port *p, struct pool_span *span, const struct pool_fault *fault);
	int (*commit)(struct pool_port *p, struct pool_span *span);
	void (*detach)(struct pool_port *p);
};

/* A worker that runs. */
struct pool_body {
	pid_t pid;    /* 0: not a process */
	int pidfd;    /* readable when the process has ended; -1: none */
	void *thread; /* the start method's own */
};

struct pool_launch {
	const struct pool_transport_ops *ops;
	struct pool_transport *transport;
	struct pool_board *board;
	struct pool_ticket ticket;
};

struct pool_start_ops {
	const char *name;
	unsigned can;
	/* Brings up a worker that runs pool_worker_main(); 0 or -errno. Called by the pool's keeper
	 * thread only. */
	int (*start)(const struct pool_launch *launch, struct pool_body *body);
	/* Has it ended? *status as of wait(2), -1: unknown. Never blocks (threads: joins one that
	 * said it is done). The pidfd stays open: the caller closes it after it has stopped
	 * watching it. */
	bool (*ended)(struct pool_body *body, int *status);
	/* Sends a signal; -ENOTSUP where there is none. */
	int (*signal)(struct pool_body *body, int signal);
};

struct pool_backend {
	struct pool_backend_info info;
	const struct pool_start_ops *start; /* NULL: no workers, the caller works */
	const struct pool_transport_ops *transport;
	bool once; /* a worker leaves after one span */
};

const struct pool_backend *pool_backend_find(const char *name); /* NULL: unknown */
const struct pool_backend *pool_backend_at(unsigned i);

enum {
	POOL_EXIT_BROKEN = 123, /* its transport failed */
	POOL_EXIT_NO_PORT = 124 /* could not be attached to */
};
/* The worker: runs until there is no more work. The process's exit code. */
int pool_worker_main(const struct pool_launch *launch);
/* The same in steps, for a transport without workers: open, begin (the initializer; false: it
 * failed), then step while it answers 0 (POOL_END: nothing to do). */
int pool_worker_open(struct pool_worker_state **out, const struct pool_launch *launch);
bool pool_worker_begin(struct pool_worker_state *worker);
int pool_worker_step(struct pool_worker_state *worker);
void pool_worker_end(struct pool_worker_state *worker); /* the finalizer */
void pool_worker_close(struct pool_worker_state *worker);
/* Binds the calling thread to a CPU, if the pool's workers are to be bound. */
void pool_worker_pin(int worker, const struct pool_board *board); /* worker_cpu.c */
void pool_worker_batch(void); /* of a process: it works in the background of its parent */
/* Signals, parent's death, pinning: what every worker process does first. */
void pool_worker_settle(const struct pool_ticket *ticket, const struct pool_board *board);

const struct pool_task *pool_task_find(uint64_t id); /* NULL: unknown or ambiguous */
const char *pool_main_path(
	void); /* of the program that runs, now; NULL: pool_main was not called */
void pool_ticket_format(const struct pool_ticket *ticket, char text[256]);
int pool_ticket_parse(struct pool_ticket *ticket, const char *text); /* 0 or -EINVAL */
struct pool_board *pool_board_map(int fd);			     /* NULL with errno */

bool pool_is_running_for(
	const struct pool_board *board); /* is this thread inside a task of that pool? */

/* Every descriptor that is kept goes through it when it is got: `fd`, or a copy above the standard ones in its place. -1
 * with errno, and fd is gone; -1 is handed on. */
int pool_fd_keep(int fd);
/* Wakes who sleeps on this eventfd. Never blocks: a full counter wakes as well. */
void pool_fd_wake(int fd);
int pool_fd_duplicate(int fd); /* a further one, close-on-exec; -1 with errno */

/* Helpers for transports. */
int64_t pool_now_ns(void);

/* Looking for news instead of sleeping pays if it comes at once, and costs whoever shares the CPU. So: half as long after
 * each time in vain, as long as allowed after each success; at 0 it is tried again now and then. Zeroed at first. */
struct pool_patience {
	int64_t spin_ns;
	unsigned naps;
};
int64_t pool_patience_ns(struct pool_patience *patience, int64_t most_ns); /* how long this time */
void pool_patience_learn(struct pool_patience *patience, bool news, int64_t most_ns);
/* For the time between two looks: nothing at first, then whoever else wants this CPU goes first. */
void pool_spin_pause(int64_t spun_ns);
/* Items begun so far under this worker number, by any process of it: right at any instruction at which it may be dead. */
uint64_t pool_ledger_begun(const struct pool_ledger *ledger);
/* claim() is about to wait for work; has waited. */
void pool_ledger_wait(struct pool_ledger *ledger, bool waits, int64_t now_ns);
int pool_watch(struct pool *pool, int fd, unsigned events, int worker); /* epoll; 0 or -errno */
int pool_watch_change(struct pool *pool, int fd, unsigned events, int worker);
void pool_unwatch(struct pool *pool, int fd);

#endif
