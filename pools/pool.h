/*
 * pool.h - process pools for C: a few reused workers run many independent tasks.
 *
 * This header is the manual. A pool keeps P worker processes (or threads) alive and hands them
 * *tasks*: registered C functions. Eight calls give out work, after Python's multiprocessing.Pool:
 *
 *	pool_apply          one call, wait for it           pool_apply_async    one call, a handle
 *	pool_map            one array in, one array out     pool_map_async      the same, a handle
 *	pool_starmap        several arrays in, one out      pool_starmap_async  the same, a handle
 *	pool_imap           lazy input, results in order    pool_imap_unordered results as they come
 *
 * A complete program:
 *
 *	#include "pools/pool.h"
 *
 *	#include <stdio.h>
 *
 *	static int square(struct pool_call *call)
 *	{
 *		const int64_t *x = pool_arg(call, 0);
 *		*(int64_t *)pool_result(call) = *x * *x;
 *		return 0;
 *	}
 *	POOL_TASK(square)
 *
 *	int main(int argc, char **argv)
 *	{
 *		pool_main(&argc, &argv);
 *		int64_t x[4] = { 1, 2, 3, 4 }, y[4] = { 0 };
 *		struct pool *pool;
 *		int rc = pool_open(&pool, &(struct pool_options){ .backend = "shm" });
 *		if (rc == 0)
 *			rc = pool_map(pool, POOL(square), x, sizeof *x, 4, y, sizeof *y, NULL);
 *		if (rc < 0) {
 *			fprintf(stderr, "%s\n", pool_strerror(rc));
 *			return 1;
 *		}
 *		for (int i = 0; i < 4; i++)
 *			printf("%lld\n", (long long)y[i]);
 *		pool_close(pool);
 *		pool_join(pool, POOL_FOREVER);
 *		pool_destroy(pool);
 *		return 0;
 *	}
 *
 * The other calls, from pools/examples/tutorial.c:
 *
 *	struct pool_column arg = { &x, sizeof x };
 *	pool_apply_async(pool, POOL(cube), &arg, 1, sizeof y, NULL, &async);
 *	pool_async_get(async, &y, POOL_FOREVER);
 *	pool_async_release(async);
 *
 *	struct pool_column pairs[2] = { { a, sizeof *a }, { b, sizeof *b } };
 *	pool_starmap(pool, POOL(add), pairs, 2, 3, sums, sizeof *sums, NULL);
 *
 *	pool_imap(pool, POOL(slow_square), pool_columns(columns, 2, 5), sizeof y, NULL, &iter);
 *	while ((rc = pool_iter_next(iter, &y, POOL_FOREVER)) == 0)
 *		show("imap", y);
 *	pool_iter_release(iter);
 *
 * CONVENTIONS
 *
 * Errors. Functions return 0 (or what they say) on success and a negative number on failure:
 * -errno, or one of enum pool_status; pool_strerror() names both. Output arguments are written on
 * success only, unless said otherwise. -EINVAL: an argument is not acceptable, nothing was
 * executed. -ENOTSUP: a time limit for tasks where the row cannot stop one (POOL_CAN_KILL).
 *
 * Time. Everything is in nanoseconds (`_ns`) on CLOCK_MONOTONIC. A timeout of 0 does not wait;
 * POOL_FOREVER waits without end. Structure fields left 0 mean "not set": the default named beside
 * the field. (Python calls a chunk size of 0 an error; in C a zeroed field is one that nobody set.
 * Negative values are -EINVAL, except POOL_FOREVER where a timeout is wanted.)
 *
 * Sizes. In bytes, 64 bits. Memory for arguments and results is the caller's unless said otherwise.
 *
 * Threads. Every function may be called from any thread and several pools may live side by side,
 * but a pool, a handle and an iterator belong to the process that made them: elsewhere (after fork)
 * every call that works with tasks, workers or memory answers -EPERM. A thread inside a call must
 * not be cancelled (pthread_cancel), and a process made without fork's handlers (_Fork, clone) must
 * not use the pool.
 *
 * Manners. The library never prints, never exits, never installs a signal handler, never changes
 * the signal mask or the children of the host program. It starts one or two threads of its own with
 * all signals blocked. Workers are children of the host program, too: their ends raise SIGCHLD, and
 * a waitpid(-1) may meet them. A host that gives up privileges does so before pool_open: workers of
 * another user cannot be stopped. A host that reaps everything, or ignores SIGCHLD, does the pool
 * no harm, but takes what is known of a lost worker's end: signal 0 and code -1 then.
 *
 * WORKERS
 *
 * A forked worker sees the memory of the process as it was when the worker started; later changes
 * of globals are not seen, and a replacement worker sees a later state. A vfork row executes the
 * program anew: its workers see no state at all, only registered tasks. In workers SIGINT is
 * ignored and every other signal has its default action; none is blocked. What a task changes of
 * that, such as the signal mask, stays for later tasks of that worker. A task must not call exit()
 * (use a return code); if it does, or crashes, that item alone is POOL_WORKER_LOST. Items that had
 * not begun go to another worker; where ten in a row die before they begin any of what they were
 * sent and have received some of (pipe rows; nothing: more than twice as many as there are workers),
 * the first of these items is lost, since receiving it may kill. A process that a task forks must end by _exit() or exec: one that returns from the
 * task runs those items, too, that its worker had claimed with it, spoils their results (pipe rows)
 * and is ended then. A task must
 * not use the pool that runs it, nor handles and iterators of that: in a forked worker that is
 * -EPERM, in a thread (and in serial) submitting, waiting, cancelling and ending are -EDEADLK; a
 * pool of its own is fine. A worker that dies idle is replaced when the pool is used or asked next.
 */
#ifndef POOLS_POOL_H
#define POOLS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define POOL_FOREVER INT64_C(-1) /* a timeout that never comes */
#define POOL_COLUMNS_MAX 8	 /* arguments a task can take */
#define POOL_ITERATORS_MAX 48	 /* iterations open at one time in one pool */
#define POOL_WORKERS_MAX 254	 /* workers in one pool */

/* What became of a task or a call, beside 0 (fine) and -errno (the system said no). -ETIMEDOUT: the
 * waiting gave up; what a handle or an iterator waited for goes on, the rest of a blocking call with
 * a timeout_ns is cancelled. -ECANCELED: the task was cancelled.
 * POOL_INIT_FAILED: three starts in a row failed, or an initializer exceeded its limit, or workers
 * were killed from outside a hundred times in a row before they were ready, and no worker is fit.
 * The pool stays like that and starts nobody any more. -EMFILE, -EAGAIN, -ENOMEM and the like of a
 * call that was accepted: all workers are gone and none could be started, for some 0.4 s; the next
 * call tries again.
 */
enum pool_status {
	POOL_END = 1,		   /* iterators: no more results (not an error) */
	POOL_TASK_ERROR = -5001,   /* the task returned a code other than 0 */
	POOL_WORKER_LOST = -5002,  /* the worker died while it ran the task */
	POOL_TASK_TIMEOUT = -5003, /* the task ran longer than its limit and was stopped */
	POOL_TERMINATED = -5004,   /* the pool was terminated first */
	POOL_CLOSED = -5005,	   /* the pool accepts no more work */
	POOL_INIT_FAILED = -5006,  /* no worker could be initialised */
	POOL_ENCODE_ERROR = -5007, /* an argument or a result could not be delivered */
	POOL_DECODE_ERROR = -5008, /* a delivered result was malformed */
	POOL_UNKNOWN_TASK =
		-5009, /* the worker's program does not have the task (or has two of that name) */
	POOL_NO_MAIN = -5010,	 /* the backend executes the program anew: call pool_main() first */
	POOL_NO_BACKEND = -5011, /* no backend of that name */
	POOL_BUSY = -5012,	 /* cannot be cancelled any more (or: join before close) */
};

/* A static text for any return value of this library, in English; never NULL. */
const char *pool_strerror(int rc);

/*
 * == Tasks ==
 */

struct pool;
struct pool_call;

/* A task reads its arguments and writes its result through `call`; 0 is success, any other value is
 * the error code of this item (POOL_TASK_ERROR with that code). One signature serves every variant.
 * Printing: a worker process ends by _exit, or is killed, without exit handlers; what a task left
 * in stdio's buffers is lost then, so end with fflush. A forked worker has a copy of what the
 * host's buffers held when it was started: fflush(NULL) before pool_open, or that appears twice.
 */
typedef int pool_task_fn(struct pool_call *call);

struct pool_task {
	const char *name; /* the function's name */
	const char *unit; /* the file it is in: two files may have tasks of one name */
	pool_task_fn *run;
	void (*run_span)(struct pool_call *call, uint64_t count);
	uint64_t id; /* set by pool_register */
	struct pool_task *next;
};

/* Registers a task; called by POOL_TASK before main. `task` must live as long as the program. */
void pool_register(struct pool_task *task);

/* POOL_TASK(fn) makes `static int fn(struct pool_call *)` a task; write it once, after the
 * function, in the same file. POOL(fn) is the task, in the same file; to use it in another, hand
 * out the pointer. */
#define POOL(fn) (&pool_task_##fn)
#define POOL_TASK(fn)                                                                              \
	static void pool_span_##fn(struct pool_call *pool_call_, uint64_t pool_count_)             \
	{                                                                                          \
		pool_run_span(pool_call_, pool_count_, fn);                                        \
	}                                                                                          \
	static struct pool_task pool_task_##fn = { #fn, __FILE__, fn, pool_span_##fn, 0, NULL };   \
	__attribute__((constructor)) static void pool_register_##fn(void)                          \
	{                                                                                          \
		pool_register(&pool_task_##fn);                                                    \
	}

/* Bytes of any length: a variable-size argument or result. data is never NULL for a delivered
 * value, even of size 0. */
struct pool_bytes {
	void *data;
	uint64_t size;
};

/* Frees what the library wrote into bytes[0..count) (see "variable size" below) and zeroes it. NULL
 * data is skipped. */
void pool_bytes_free(struct pool_bytes *bytes, uint64_t count);

/* The k-th argument of this item, k < columns; aligned like the start of its column (16) plus a
 * multiple of its size. Where arrays are read and written in place (serial; memory of pool_alloc)
 * they are aligned as you made them. Valid until the task returns. */
static inline const void *pool_arg(const struct pool_call *call, unsigned k);

/* Its size in bytes. */
static inline uint64_t pool_arg_size(const struct pool_call *call, unsigned k);

/* Where a fixed-size result goes: result_size bytes of unspecified content. NULL when the caller
 * wants a result of variable size; with result_size 0 nothing may be written. */
static inline void *pool_result(const struct pool_call *call);

/* Gives a variable-size result: room for `size` bytes to write into until the task returns. A
 * second call replaces the first. NULL: no memory, or the caller asked for a fixed size. Return an
 * error then: a task that returns 0 although its last such call, or pool_return, failed makes its
 * item POOL_ENCODE_ERROR. A task of variable-size result that calls neither delivers size 0. */
void *pool_result_alloc(struct pool_call *call, uint64_t size);

/* The same, copying `data`: 0, -ENOMEM or -EINVAL. */
int pool_return(struct pool_call *call, const void *data, uint64_t size);

/* Records why the task fails and returns `code` (1 if code is 0): `return pool_fail(call, 7,
 * "cannot read %s", path);` The message may have any length. */
int pool_fail(struct pool_call *call, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* The index of this item in its map (0 for apply; position in the input for imap). */
static inline uint64_t pool_index(const struct pool_call *call);

/* Per-worker state: a pointer of the worker's own, NULL at first, set by the initializer or by any
 * task. */
void *pool_local(const struct pool_call *call);
void pool_local_set(struct pool_call *call, void *local);

/* This worker's number, 0 .. workers-1; a replacement has the number of the worker it replaces. */
int pool_worker(const struct pool_call *call);

/*
 * == Pools ==
 */

/* Call first in main() with the addresses of main's own argc and argv. In an executed worker it
 * does not return (started by anybody but a pool it says so in one line on stderr, exit status 2);
 * in the host program it notes how to execute the program again. Without it, and in a program with
 * rights of its own (set-user-id), the vfork rows answer POOL_NO_MAIN. */
void pool_main(int *argc, char ***argv);

struct pool_options {
	const char *backend; /* a name or alias of pool_backend_info(); NULL: "shm" */
	int workers;	     /* 1..POOL_WORKERS_MAX; 0: pool_cpus() */
	const struct pool_task
		*initializer; /* run once in each new worker before its first task, without a result
				 (pool_result is NULL); NULL: none */
	const void *initializer_arg;   /* its argument 0: copied by pool_open */
	uint64_t initializer_arg_size; /* bytes; 0: the initializer has no argument */
	const struct pool_task
		*finalizer; /* run once when a worker leaves in peace (not when killed) */
	int64_t initializer_timeout_ns; /* from a worker's start until it is ready, with or without
					   an initializer; 0: 10 s; POOL_FOREVER: no limit. Of no
					   effect on rows that cannot kill */
	int64_t tasks_per_worker; /* a worker is replaced after the chunk in which it reaches this
				     many tasks; 0: never */
	int64_t task_timeout_ns;  /* run time a task, or the finalizer, may take (not queueing); 0,
				     POOL_FOREVER: no limit */
	int64_t grace_ns;	  /* between asking (SIGTERM) and killing, for all workers together;
				     0: 100 ms */
	bool pin; /* bind worker i to the i-th CPU this process may use, round robin; not on serial,
		     whose worker is the caller */
};

/* Opens a pool and starts its workers; returns when all are running (their initializers may still
 * run). *pool is the caller's until pool_destroy(). Blocks for the time it takes to start
 * processes. -EINVAL, POOL_NO_BACKEND, POOL_NO_MAIN, -ENOTSUP (a task_timeout_ns where no worker can
 * be killed), POOL_UNKNOWN_TASK, or what the system answered (-EAGAIN, -ENOMEM, -EMFILE, -EFBIG,
 * -E2BIG, ...): nothing is left behind. Where the caller's policy is SCHED_OTHER, worker processes run
 * as SCHED_BATCH with a slice of 3 ms (slices: since Linux 6.12), and so does what tasks start: their
 * share of the CPUs is the same, but whoever hands out their work has the first turn. */
int pool_open(struct pool **pool, const struct pool_options *options);

/* No more work is accepted (POOL_CLOSED); what was submitted will be done. Never blocks. Repeating
 * it is fine. */
int pool_close(struct pool *pool);

/* Every unfinished handle and iterator resolves as POOL_TERMINATED before this returns, callbacks
 * included (pool_iter_next says it once, then POOL_END; results that were not returned yet are
 * dropped); workers are asked, given the grace, killed and reaped, all at the same time. Blocks for
 * the grace at most, plus a little, and for the callbacks that are to run. Thread rows cannot kill:
 * there it waits for the running items. Repeating it is fine, and so is calling it from a callback:
 * it does not wait for callbacks then. */
int pool_terminate(struct pool *pool);

/* After close: waits until all work is done, all callbacks have run and all workers are gone. Of an
 * iteration that means what was read from its input: that can still be taken afterwards, then comes
 * POOL_CLOSED, then POOL_END (take all results before joining to have the whole input done). A
 * thread that goes on iterating goes on reading, until all that was read is done at some moment.
 * -ETIMEDOUT: not yet, try again. POOL_BUSY: the pool is not closed. Repeating it is fine. From a
 * callback it does not wait for callbacks. */
int pool_join(struct pool *pool, int64_t timeout_ns);

/* Terminates and joins if that was not done, and gives back everything. NULL is fine. Handles and
 * iterators may outlive the pool: they stay valid until their own release. No other call on the
 * pool, its handles or its iterators may be under way, nor a callback: so not from one. */
void pool_destroy(struct pool *pool);

int pool_workers(const struct pool *pool); /* how many workers the pool has (thread and serial rows
					      count too) */
pid_t pool_worker_pid(
	struct pool *pool,
	int worker); /* its process now; 0: none at the moment; -EINVAL: no such worker */
const char *pool_backend(const struct pool *pool); /* the row's name; static */

/* CPUs this process may use: affinity and cgroup quota (rounded up), at least 1. */
int pool_cpus(void);

/* Memory that workers reach in place: arguments and results of the shm rows that lie in it are not
 * copied, and 1.5 MiB and more take huge pages where Linux (6.1) has them. Other rows: plain
 * memory. 64-byte aligned and zero. NULL with errno: ENOMEM; EINVAL (no pool, or 0 bytes); EPERM.
 * Freed by pool_free or with the pool. */
void *pool_alloc(struct pool *pool, uint64_t bytes);
void pool_free(struct pool *pool, void *memory);

/* What a row can do, so that callers (and tests) need not know rows by name. */
enum pool_can {
	POOL_CAN_SURVIVE = 1,  /* a dying worker takes only its own item with it */
	POOL_CAN_KILL = 2,     /* a running task can be stopped: time limits, terminate */
	POOL_CAN_OVERLAP = 4,  /* async work proceeds while the caller does something else */
	POOL_CAN_REUSE = 8,    /* workers live for more than one chunk */
	POOL_CAN_ISOLATE = 16, /* workers have memory of their own */
	POOL_CAN_EXEC = 32,    /* workers run the program anew (vfork + exec) */
};

struct pool_backend_info {
	const char *name, *alias;      /* alias may be NULL */
	const char *start, *transport; /* names of the two parts */
	const char *summary;	       /* one line */
	unsigned can;		       /* enum pool_can */
};

/* The i-th row of the table, NULL past the end; static. */
const struct pool_backend_info *pool_backend_info(unsigned i);

struct pool_worker_stats {
	pid_t pid;
	uint64_t tasks;	   /* items begun, by all processes that had this number */
	uint64_t claims;   /* chunks taken; what a death left of one is taken anew by another */
	uint64_t busy_ns;  /* time its processes lived, start and end included, less idle_ns */
	uint64_t idle_ns;  /* time they waited for work; both approximate, and 0 on serial */
	uint64_t starts;   /* processes started under this number; 1 in a quiet life */
	uint64_t recycled; /* of these, how many ended by tasks_per_worker */
	uint64_t deaths;   /* how many ended by a signal or an unexpected exit */
	uint64_t stopped;  /* of the deaths: killed by the pool (time limit of a task, cancel,
			      terminate, started when the pool was POOL_INIT_FAILED already) */
	uint64_t
		unfit; /* of the deaths: the initializer failed, ended the process or took too long */
	int last_signal; /* the last death's signal, 0: it exited, or nobody died */
	int last_code;	 /* the last death's exit code */
};

struct pool_stats {
	uint64_t submitted; /* items; once nothing is under way, the sum of the next five */
	uint64_t done;	    /* fine */
	uint64_t failed;    /* the task's error, or an argument or result that did not arrive */
	uint64_t lost;	    /* POOL_WORKER_LOST */
	uint64_t
		cancelled; /* dropped or killed by cancel, fail_fast, a call's timeout, terminate */
	uint64_t timed_out; /* POOL_TASK_TIMEOUT */
	uint64_t retried;   /* executions repeated because the worker died; not part of the sum */
	uint64_t restarts;  /* workers replaced after a death: whose replacement has started; it
			       may have done its first items a moment before it is counted */
};

int pool_stats(struct pool *pool, struct pool_stats *stats);
int pool_worker_stats(struct pool *pool, int worker, struct pool_worker_stats *stats);

/*
 * == Work ==
 *
 * Calls that are under way at one time share the workers; which of them comes first is not said.
 * A worker that somebody else stops (SIGSTOP) keeps what it is at, and by pipe what it was sent;
 * time limits are for items that have begun.
 */

/* One argument of a task: an array with one element an item. For an element of variable size, size
 * is POOL_VARIABLE and data an array of struct pool_bytes. A NULL data with size 0 is no argument
 * at all and is -EINVAL. So are variable sizes that come to 2^63 and more together, over all
 * arguments and items of a call, each with 31 bytes on top. */
struct pool_column {
	const void *data;
	uint64_t size;
};
#define POOL_VARIABLE UINT64_MAX

/* What is known of a failure. */
struct pool_failure {
	int status; /* the return value it belongs to: POOL_TASK_ERROR, POOL_WORKER_LOST, ... */
	int code; /* POOL_TASK_ERROR: what the task returned; POOL_WORKER_LOST: its exit code, or -1;
		     POOL_INIT_FAILED: what the initializer returned, or else the worker's exit
		     code (-1: unknown); 0 where it was killed, and of an iteration's own failure */
	int signal;	/* POOL_WORKER_LOST: the signal that killed it, or 0. POOL_INIT_FAILED: the
			   same, but 0 where the start took too long */
	pid_t pid;	/* of the worker that died or was not fit, else 0 */
	uint64_t index; /* the item; of several failed ones always the lowest, of those that were
			   cancelled only where nothing else failed */
	char *message;	/* once filled in NULL only if there was no memory for it; freed by
			  pool_failure_clear (yours) or with its handle */
};
void pool_failure_clear(struct pool_failure *failure);

struct pool_async;
struct pool_iter;

/* How work is handed out. NULL, or a field left 0, is the default. */
struct pool_policy {
	int64_t chunk; /* items a claim; 0: auto (maps: the pool measures and adapts; imap: 1). The unit
			  in which work is divided: while chunks take only microseconds a worker
			  may take several at once, and their results come together. So one may
			  wait behind another while workers are free: items that wait for each
			  other are calls of their own (apply_async). */
	int64_t window; /* imap: most items read from the input and not yet returned; 0: as many as
			   take 4 MiB (arguments and results; a variable one counts 4 KiB), at most
			   4096, at least 4 chunks a worker. Rounded to whole chunks, at least one. */
	int64_t timeout_ns;	 /* blocking calls: give up (-ETIMEDOUT, the rest is cancelled; rows
				    that cannot kill wait for what runs, and if that was all the
				    call succeeds); 0: POOL_FOREVER */
	int64_t task_timeout_ns; /* run time of one item; 0: the pool's; POOL_FOREVER: no limit */
	int retries; /* how often an item whose worker died is run again; more than 255 are 255; 0:
			never (executed at most once). Shared-memory rows: none where a batch has
			n > 2^28 - 2 items, and a death may cost n / (2^28 - 2) items then, rounded
			up. */
	bool fail_fast; /* the first failing item cancels those that were not started; each worker may
			   have up to 16 chunks in hand that it still runs (automatic: items). imap:
			   and ends the reading, what was not read gives no result */
	int (*callback)(struct pool_async *async, void *user); /* async calls: after success */
	int (*error_callback)(struct pool_async *async,
			      void *user); /* async calls: after anything else */
	void *user;			   /* both callbacks' */
	int32_t *statuses; /* blocking maps: n statuses, one an item, written whatever is returned
			     unless an argument was refused (-EINVAL, -ENOTSUP,
			     POOL_UNKNOWN_TASK, -EPERM); what was given up is -ECANCELED */
	struct pool_failure *failure; /* blocking calls: filled in whenever the call fails, also for
					 -EINVAL; pool_failure_clear() it */
};

/* Runs task once with one element of each column and waits. result: result_size bytes, or NULL with
 * 0 for none; for variable size result_size is POOL_VARIABLE and result a struct pool_bytes, whose
 * data is then the caller's (pool_bytes_free). Returns 0 or the item's status. results that are
 * NULL with a size, here and below, are -EINVAL where there is an item (n > 0). */
int pool_apply(struct pool *pool, const struct pool_task *task, const struct pool_column *args,
	       unsigned columns, void *result, uint64_t result_size,
	       const struct pool_policy *policy);

/* results[i] = task(in[i]) for i < n; waits for all items, also when some fail. Returns 0, or the
 * status of the lowest failing item; results of the others are written all the same. A failed one's
 * place stays as it was, unless its task wrote there already (where results are written in place)
 * or its worker died while the result was on its way. n = 0 does nothing and succeeds. Variable
 * size: in is an array of struct pool_bytes, likewise results (data NULL where the item failed;
 * free with pool_bytes_free(results, n)). */
int pool_map(struct pool *pool, const struct pool_task *task, const void *in, uint64_t in_size,
	     uint64_t n, void *results, uint64_t result_size, const struct pool_policy *policy);

/* The same with several arguments an item: column k is argument k. 1 <= columns <=
 * POOL_COLUMNS_MAX. Arrays of unequal length: pass the smallest as n. */
int pool_starmap(struct pool *pool, const struct pool_task *task, const struct pool_column *args,
		 unsigned columns, uint64_t n, void *results, uint64_t result_size,
		 const struct pool_policy *policy);

/* The asynchronous forms return at once with a handle, which is the caller's until
 * pool_async_release(); or no handle, and no callback runs, when the work is refused: beside
 * -EINVAL POOL_CLOSED, and POOL_INIT_FAILED once that is known (serial: from the start). Arguments
 * are copied before the call returns (memory of pool_alloc is not: leave it alone until the handle
 * has resolved). */
int pool_apply_async(struct pool *pool, const struct pool_task *task,
		     const struct pool_column *args, unsigned columns, uint64_t result_size,
		     const struct pool_policy *policy, struct pool_async **async);
int pool_map_async(struct pool *pool, const struct pool_task *task, const void *in,
		   uint64_t in_size, uint64_t n, uint64_t result_size,
		   const struct pool_policy *policy, struct pool_async **async);
int pool_starmap_async(struct pool *pool, const struct pool_task *task,
		       const struct pool_column *args, unsigned columns, uint64_t n,
		       uint64_t result_size, const struct pool_policy *policy,
		       struct pool_async **async);

/* Handles. A handle resolves exactly once, whatever happens to workers and pool. Callbacks run in a
 * thread of the pool's, one at a time, before pool_async_get/wait return; they may submit, and may
 * wait for other handles (for one that has a callback: callbacks queued up to that one then run
 * inside the wait). What a callback returns is kept (pool_async_callback_result) and harms
 * nothing. */
bool pool_async_ready(struct pool_async *async); /* resolved? never blocks */
int pool_async_wait(struct pool_async *async,
		    int64_t timeout_ns); /* 0 resolved, -ETIMEDOUT not yet */
int pool_async_successful(
	struct pool_async *async); /* 1 all items fine, 0 not; -EINVAL while unresolved */

/* Waits, then copies the results to `results` (n x result_size bytes as for map; NULL: not wanted).
 * Returns 0 or the status as pool_map does (the places of failed items are written to as well
 * then); -ETIMEDOUT leaves the handle as it was. May be repeated: same answer. */
int pool_async_get(struct pool_async *async, void *results, int64_t timeout_ns);

/* Not started items never run and the handle resolves as -ECANCELED. Items already running are
 * waited for unless the row can kill: then their workers are killed and replaced. 0, or POOL_BUSY
 * when it had resolved. */
int pool_async_cancel(struct pool_async *async);

uint64_t pool_async_count(const struct pool_async *async); /* n */
int pool_async_status(struct pool_async *async,
		      uint64_t index); /* one item's; -EAGAIN while unresolved */
const struct pool_failure *pool_async_failure(
	struct pool_async *async); /* NULL: none (yet); valid until release */
int pool_async_callback_result(struct pool_async *async); /* 0 before and without callback */

/* Gives the handle back, at any time; unfinished work goes on, its result is dropped. NULL is fine.
 */
void pool_async_release(struct pool_async *async);

/*
 * == Lazy work: imap ==
 */

/* Where the items of an imap come from. Make one with pool_array, pool_columns or pool_generator.
 */
struct pool_source {
	struct pool_column column[POOL_COLUMNS_MAX]; /* arrays: as for starmap; generator: only the
							sizes count */
	unsigned columns;
	uint64_t count; /* arrays: how many items */
	/* Generator: set item[k] (data; size too where the column is POOL_VARIABLE) and return 1
	 * (any other positive value is the same); 0: no more; negative: failed, the iteration
	 * delivers what was read before, then this value, then POOL_END (an item without data where
	 * there should be some, or of 2^63 bytes and more: -EINVAL). The data must stay valid until
	 * the next call of the generator or the end of the iterator. Never called ahead of the
	 * window; called by the thread that is in pool_imap or pool_iter_next. One that takes long
	 * (more than 0.2 ms for what is read at a time) is called only while there is nothing to
	 * return, and in pool_imap only once or a few times; what was handed out is worked on
	 * meanwhile. */
	int (*next)(void *state, struct pool_bytes item[]);
	void *state;
};

struct pool_source pool_array(const void *in, uint64_t in_size, uint64_t n);
struct pool_source pool_columns(const struct pool_column *columns, unsigned count, uint64_t n);
struct pool_source pool_generator(int (*next)(void *state, struct pool_bytes item[]), void *state,
				  uint64_t size);

/* Starts an iteration. The input is read lazily, never more than the window ahead of what was
 * returned; an array's elements are read then too, so it must stay until the end. *iter is the
 * caller's until pool_iter_release(). -EMFILE: POOL_ITERATORS_MAX iterations are not
 * released yet, or have items that still run.
 * The work goes on also while the caller is elsewhere (busy between two results, or its generator
 * takes long; not on `serial`): after a few ms what was read in whole chunks is with the workers,
 * time limits are kept, dead workers replaced. */
int pool_imap(struct pool *pool, const struct pool_task *task, struct pool_source source,
	      uint64_t result_size, const struct pool_policy *policy, struct pool_iter **iter);
int pool_imap_unordered(struct pool *pool, const struct pool_task *task, struct pool_source source,
			uint64_t result_size, const struct pool_policy *policy,
			struct pool_iter **iter);

/* The next result: 0 and *result (result_size bytes; variable size: a struct pool_bytes that is
 * then the caller's; NULL: not wanted), POOL_END when there is none left (again and again), the
 * item's status when it failed (the iteration goes on: pools/examples/failures.c shows the loop),
 * -ETIMEDOUT when none came in time (nothing is lost; a chunk of the input that is being read is
 * read to its end). One thread at a time. */
int pool_iter_next(struct pool_iter *iter, void *result, int64_t timeout_ns);

uint64_t pool_iter_index(
	const struct pool_iter *iter); /* position in the input of what next returned last */
/* Of the last next, if that returned an error: valid until the next one. NULL: it did not. Its index
 * is UINT64_MAX where it is of no item but of the input, the pool or the wait. (-EDEADLK of a task's own
 * pool tells nothing: the iteration may be another thread's.) */
const struct pool_failure *pool_iter_failure(struct pool_iter *iter);

/* Ends the iteration at any time: what was not started is dropped, what runs is left to end. NULL
 * is fine. */
void pool_iter_release(struct pool_iter *iter);

/*
 * == Inside. Public only so that the loop below is compiled into the task's own file, where the ==
 * compiler can inline the task into it: a call through a pointer for each item would cost more than
 * everything else together.
 */

/* An element of variable size as the worker sees it: `at` counts from call->base. */
struct pool_ref {
	uint64_t at, size;
};

struct pool_call {
	const unsigned char *arg[POOL_COLUMNS_MAX]; /* this item's element of each column */
	uint64_t arg_size[POOL_COLUMNS_MAX];	    /* from one element to the next */
	unsigned char *result;
	uint64_t result_size;
	uint64_t index;
	unsigned columns;
	unsigned variable; /* bit k: column k is of variable size; POOL_VARIABLE_RESULT: the result
			      is */
	bool watched;	   /* pool_item_begin wants to know of each item */
	unsigned char *base; /* what refs count from */
	uint64_t *progress;  /* the ledger's word (struct pool_ledger in pool_ops.h): items of this
				claim begun */
	uint64_t claim;	     /* what that word says before the first item */
	struct pool_worker_state *worker;
};
#define POOL_VARIABLE_RESULT (1u << 31)

/* Slow paths, in the library: item i of the span is about to run; returned 0; returned `code`. */
void pool_item_begin(struct pool_call *span, uint64_t i);
void pool_item_end(struct pool_call *span, uint64_t i);
void pool_item_failed(struct pool_call *span, uint64_t i, int code);

static inline const void *pool_arg(const struct pool_call *call, unsigned k)
{
	if (call->variable >> k & 1u)
		return call->base + ((const struct pool_ref *)(const void *)call->arg[k])->at;
	return call->arg[k];
}

static inline uint64_t pool_arg_size(const struct pool_call *call, unsigned k)
{
	if (call->variable >> k & 1u)
		return ((const struct pool_ref *)(const void *)call->arg[k])->size;
	return call->arg_size[k];
}

static inline void *pool_result(const struct pool_call *call)
{
	return call->variable & POOL_VARIABLE_RESULT ? NULL : call->result;
}

static inline uint64_t pool_index(const struct pool_call *call)
{
	return call->index;
}

/* The loop over a span's items. The copy never leaves it unless the task passes it on, so its
 * fields can live in registers. Progress is a release store: what item i-1 wrote is visible to
 * whoever sees that item i began. A task may set `watched` on its way: see note_encoding in
 * worker.c. */
static inline __attribute__((always_inline)) void pool_run_items(struct pool_call *span,
								 struct pool_call call,
								 uint64_t count, pool_task_fn *fn)
{
	for (uint64_t i = 0; i < count; i++) {
		if (call.watched)
			pool_item_begin(span, i);
		__atomic_store_n(call.progress, call.claim + i + 1, __ATOMIC_RELEASE);
		int code = fn(&call);
		if (__builtin_expect(code != 0, 0))
			pool_item_failed(span, i, code);
		else if (call.watched)
			pool_item_end(span, i);
		for (unsigned k = 0; k < call.columns; k++)
			call.arg[k] += call.arg_size[k];
		call.result += call.result_size;
		call.index++;
	}
}

/* Runs `count` consecutive items. The common case, one column of fixed size and nothing to watch,
 * is said in constants, so that the compiler makes a loop of its own for it. */
static inline __attribute__((always_inline)) void pool_run_span(struct pool_call *span,
								uint64_t count, pool_task_fn *fn)
{
	struct pool_call call = *span;
	if (call.watched || call.variable || call.columns != 1) {
		pool_run_items(span, call, count, fn);
		return;
	}
	call.watched = false;
	call.variable = 0;
	call.columns = 1;
	pool_run_items(span, call, count, fn);
}

#ifdef __cplusplus
}
#endif

#endif
