/*
 * chaos.h - random use of a row's pools while workers are killed and stopped: what its files share.
 *
 * DESIGN. Several threads do random operations on a few *houses*, each a pool and what may happen to
 * it. A process of its own, the killer, sends signals to the workers of those houses that are
 * hunted. Each item of each operation counts its executions in shared memory. What an operation
 * returned is compared with what pool.h promises for this house; the first finding ends the run.
 * All decisions follow from the seed, the thread and the operation's number, never from outcomes.
 */
#ifndef SCRIPTS_CHAOS_H
#define SCRIPTS_CHAOS_H

#include "pools/pool.h"

#include <pthread.h>

enum {
	CHAOS_THREADS_MAX = 16,
	CHAOS_HOUSES = 3, /* open at one time */
	CHAOS_WORKERS_MAX = 4,
	CHAOS_ITEMS_MOST = 1500,
	CHAOS_TALLIES = 1 << 16, /* a thread; reused in turn */
};
#define CHAOS_MS INT64_C(1000000)
#define CHAOS_SECOND (1000 * CHAOS_MS)

struct chaos_options {
	const struct pool_backend_info *row;
	uint64_t seed;
	int64_t time_ns, bound_ns; /* bound: a single call that takes longer hangs */
	int threads;
};

/* Runs one row in this process, which must have no other threads and no children: prints a line and
 * returns 0, or prints what was found and ends the process with 1. */
int chaos_run(const struct chaos_options *options);

/* ---- dice.c: decisions, time ---- */
struct dice {
	uint64_t state;
};
struct dice dice_of(uint64_t seed, uint64_t thread, uint64_t number);
uint64_t dice_below(struct dice *dice, uint64_t n); /* 0 .. n-1 */
bool dice_percent(struct dice *dice, unsigned percent);
int64_t chaos_now_ns(void);
void chaos_sleep_ns(int64_t ns);

/* ---- shared.c: what workers and the killer see ---- */
enum house_mode {
	HOUSE_QUIET,  /* nobody is killed from outside */
	HOUSE_HUNTED, /* killed; stopped for a while */
	HOUSE_DOOMED, /* some are stopped for ever: only limits, cancelling and terminate help */
};

/* Written by the parent, read by the killer; all by atomics. */
struct chaos_target {
	uint32_t mode;
	int32_t pid[CHAOS_WORKERS_MAX]; /* 0: none */
};

struct chaos_shared {
	uint64_t kills[CHAOS_HOUSES], stops; /* the killer; a place's kills over all its houses */
	uint64_t corrupt; /* tasks: arguments or state that were not as they should be */
	uint64_t quit;	  /* the parent: the killer shall end */
	uint64_t initialized[CHAOS_HOUSES];
	struct chaos_target target[CHAOS_HOUSES];
	uint64_t tally[CHAOS_THREADS_MAX * CHAOS_TALLIES]; /* tag << 32 | ended << 16 | begun */
};
extern struct chaos_shared *chaos_shared; /* the parent's; tasks use chaos_shared_here */
void chaos_shared_open(void);
void chaos_shared_close(void);
struct chaos_shared *chaos_shared_here(void); /* mapped at first use where a worker is executed */
uint64_t tally_begun(uint64_t tally);
uint64_t tally_ended(uint64_t tally);

/* ---- killer.c ---- */
pid_t killer_start(uint64_t seed); /* call while there is one thread */
void killer_stop(pid_t killer);

/* ---- tasks.c ---- */
enum deed { DO_QUICK, DO_SPIN, DO_SLEEP, DO_FAIL, DO_DIE, DO_DIE_ONCE, DO_LONG };

/* What an item is told; for `blob` it is the head of the bytes. */
struct item {
	uint32_t word, tag; /* its tally */
	int64_t value;
	uint32_t deed;
	uint32_t amount;    /* us; the code; how to die */
	uint32_t size;	    /* of a variable result */
	uint32_t has_local; /* the pool has an initializer */
};

enum kind { KIND_FIXED, KIND_PAIR, KIND_BYTES, KIND_BLOB, KINDS };
const struct pool_task *kind_task(enum kind kind);
extern const struct pool_task *const chaos_initializer, *const chaos_finalizer;
struct init_argument {
	uint32_t house, fails_each; /* each how many-th fails; 0: none, 1: all */
	uint32_t dies;		    /* instead of failing */
};
int64_t item_answer(const struct item *item, enum kind kind);
void pattern_fill(void *data, uint64_t size, int64_t value);
bool pattern_is(const void *data, uint64_t size, int64_t value);

/* ---- houses.c ---- */
struct house {
	struct pool *pool;
	pthread_rwlock_t guard; /* read: a call is under way; write: it is destroyed */
	int refs, place, workers;
	bool gone;
	enum house_mode mode;
	bool has_local, init_fails, limited;
	bool slow;		     /* a process for every few items: operations have few */
	uint32_t closed, terminated; /* set before the call that does it */
	uint64_t callbacks_due, callbacks_run;
	uint64_t kills_before; /* of its place, when it was opened */
};

/* One thread of the run. */
struct grave { /* a finished operation's tallies: must not change any more */
	uint32_t first, count, tag;
	int retries;
	bool open; /* released early: may still run */
	uint64_t begun;
};

enum { GRAVES = 256, ORPHANS = 4 };
struct orphan;
struct thread {
	const struct chaos_options *options;
	pthread_t handle;
	int number;
	uint64_t operations, items, lost, retried;
	const char *operation, *call; /* under way; for the watchdog */
	int64_t since_ns;	      /* atomic; 0: in no call */
	uint32_t tally_next, tag;
	struct grave grave[GRAVES];
	unsigned grave_first, graves;
	struct orphan *orphan[ORPHANS];
};

void houses_open(void);
void houses_publish(void); /* tells the killer who works where */
void houses_close(struct thread *thread);
struct house *house_enter(struct thread *thread, struct dice *dice); /* its guard is held */
void house_leave(struct house *house);				     /* lets the guard go */
bool house_reenter(struct house *house); /* the guard again; true also when the pool is gone */
void house_ref(struct house *house);
void house_unref(struct house *house);
void house_end(struct thread *thread, struct dice *dice);
bool house_may_not_start(const struct house *house); /* check.c: POOL_INIT_FAILED is right */

/* ---- run.c ---- */
void call_begin(struct thread *thread, const char *call); /* from here on the watchdog counts */
void call_end(struct thread *thread);
void finding(const struct thread *thread, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* ---- operation.c: an operation's items and what may become of them ---- */
struct operation {
	struct thread *thread;
	struct house *house;
	struct dice dice;
	const char *name;
	enum kind kind;
	struct pool_policy policy;
	uint64_t n;
	struct item *item;
	bool item_in_pool, results_in_pool; /* pool_alloc */
	int64_t *second;		    /* KIND_PAIR */
	struct pool_bytes *bytes;	    /* KIND_BYTES, KIND_BLOB */
	void *results;
	struct pool_column column[2];
	unsigned columns;
	uint64_t result_size;
	uint32_t first, tag;
	bool may_cancel; /* some items may not be run */
	bool may_time_out;
};

void operation_init(struct operation *op, struct thread *thread, struct house *house,
		    struct dice *dice, const char *name);
void operation_make(struct operation *op, uint64_t n);
void operation_check_item(const struct operation *op, uint64_t i, int status, const void *result);
void operation_check_failure(const struct operation *op, const struct pool_failure *failure,
			     int rc);
/* May the pool refuse work with this answer? Then nothing of it has run. */
void operation_check_refused(struct operation *op, int rc);
void operation_end(struct operation *op, bool released);
void *operation_result(const struct operation *op, uint64_t i);
void graves_check(struct thread *thread); /* all of them: the end */

/* ---- batch.c, async.c, stream.c: the operations ---- */
void do_apply(struct thread *thread, struct dice *dice);
void do_map(struct thread *thread, struct dice *dice);
void do_async(struct thread *thread, struct dice *dice);
void do_imap(struct thread *thread, struct dice *dice);
void do_ask(struct thread *thread, struct dice *dice);
void orphans_settle(struct thread *thread, bool all); /* those that are old, or all */

#endif
