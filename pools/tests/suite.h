/*
 * suite.h - runs contract cases over every row of pool_backend_info().
 *
 * A case is a function of a row. Each case x row runs in a child of its own, in a process group of
 * its own, with a deadline: a hang is a failure. The child never uses cmocka (which leaves a failed
 * assert by longjmp); it uses CHECK, which says where and exits with 1, and the parent asserts the
 * exit status. When a case returns, its child must have no children and as many descriptors and
 * threads as before, and nothing of its process group may survive it.
 *
 * A test program is: tasks, cases, a table of them, and
 *	int main(int argc, char **argv)
 *	{
 *		pool_main(&argc, &argv);
 *		return suite_main(argc, argv, cases, sizeof cases / sizeof *cases);
 *	}
 * Its argument is a filter for names such as "map_sizes_equal_serial [fork-shm]": * and ? match.
 */
#ifndef POOLS_TESTS_SUITE_H
#define POOLS_TESTS_SUITE_H

#include "pools/pool.h"

#define SUITE_DEADLINE_NS (INT64_C(60) * 1000000000) /* ample: a loaded machine, a sanitizer */
/* SUITE_DEADLINE_S in the environment stands above it. */
#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define HOUR (3600 * SECOND)
#define WAIT (20 * SECOND) /* long enough for anything that is not stuck */
#define COUNT(array) (sizeof(array) / sizeof *(array))

struct suite_case {
	const char *name;
	void (*run)(const struct pool_backend_info *row);
	unsigned needs; /* enum pool_can: a row without these is skipped */
};

/* What cases need in which workers die while others work. */
#define FAULTS (POOL_CAN_SURVIVE | POOL_CAN_ISOLATE | POOL_CAN_OVERLAP)

#define CASE(function, needs)                                                                      \
	{                                                                                          \
#function, function, needs                                                         \
	}

/* Runs every case on every row; returns main's exit status. */
int suite_main(int argc, char **argv, const struct suite_case *cases, size_t count);

/* In the child of a case only: ends it as failed, with place, text and, for CHECK_EQ, both values.
 */
#define CHECK(condition) ((condition) ? (void)0 : suite_fail(__FILE__, __LINE__, #condition))
#define CHECK_EQ(got, wanted)                                                                      \
	suite_check_equal((int64_t)(got), (int64_t)(wanted), __FILE__, __LINE__, #got)
_Noreturn void suite_fail(const char *file, int line, const char *text);
void suite_check_equal(int64_t got, int64_t wanted, const char *file, int line, const char *text);

/* An open pool of this row, or the end of the case. */
struct pool *suite_open(const struct pool_backend_info *row, int workers);
struct pool *suite_open_with(const struct pool_backend_info *row, struct pool_options options);
/* Closes, joins within WAIT, destroys. */
void suite_finish(struct pool *pool);

/* How many, of `n`, on this row: a tenth where a process is forked for each task, which takes milliseconds. */
int suite_some(const struct pool_backend_info *row, int n);

int64_t suite_now_ns(void);
void suite_sleep_ns(int64_t ns);
/* Waits up to WAIT until process `pid` is gone (a zombie counts as gone). */
bool suite_is_gone(pid_t pid);
/* How many different values there are in values[0..n). */
size_t suite_distinct(const int64_t *values, size_t n);

int64_t suite_entries_in(
	const char *directory); /* of /proc: with . and .., and its own descriptor */

/* Words that tasks share with the test on every row, executed workers included (they open the file
 * by the path in an environment variable). All are 0 at the start of a case. */
#define SHARED_WORDS 16384
void shared_create(void); /* done for every case */
void shared_set(unsigned word, int64_t value);
int64_t shared_add(unsigned word, int64_t by); /* returns the new value */
int64_t shared_get(unsigned word);
/* Waits up to WAIT until the word is at least `value`; false if it never was. */
bool shared_reaches(unsigned word, int64_t value);

/* The state of a generator that gives 0, 1, 2, ... and answers `last` in place of item `end`. */
struct suite_counting {
	int64_t next, end, value;
	int last;
};
int suite_count_up(void *state, struct pool_bytes item[]);

/* Where the pool's shared memory of this name is in this process; NULL: it has none. */
void *suite_find_memory(const char *name);
int suite_find_descriptor(const char *name); /* the first one of it; -1: none is open */
int64_t suite_arena_bytes(void); /* for which the pool's arena has pages; 0: it has none */

/* Tasks that most suites need. */
extern const struct pool_task *const suite_square; /* int64_t -> int64_t */
extern const struct pool_task *const suite_add;	   /* int64_t, int64_t -> int64_t */
extern const struct pool_task *const suite_pid;	   /* anything -> int64_t, the worker's process */
extern const struct pool_task *const suite_flip;   /* bytes -> bytes of that size, each ^ 0x5a */
extern const struct pool_task *const suite_errand; /* struct errand -> int64_t, value squared */

enum errand_deed {
	DEED_NONE,
	DEED_FAIL, /* fails with `code` and the message "errand <value>" */
	DEED_KILL, /* the worker ends by SIGKILL, SIGSEGV, SIGABRT, _exit(3), _exit(0) */
	DEED_SEGV,
	DEED_ABORT,
	DEED_EXIT3,
	DEED_EXIT0,
	DEED_KILL_ONCE, /* by SIGKILL, but only in the first execution that counts in `word` */
	DEED_STUCK,	/* never ends */
	DEED_DEAF,	/* never ends, ignores SIGTERM */
	DEED_STOP,	/* stops the worker's process */
};

/* Counts itself in shared word `word`, waits for its gate, naps, does its deed. */
struct errand {
	int64_t value;
	int64_t nap_ns;
	int32_t deed; /* enum errand_deed */
	int32_t code;
	uint32_t word;
	uint32_t gate; /* not 0: it stays until this shared word is set, for ever if need be */
};

/* Starts one errand; the handle is the caller's. */
struct pool_async *suite_start(struct pool *pool, struct errand errand,
			       const struct pool_policy *policy);
/* Runs one errand and waits for it: its status. */
int suite_do(struct pool *pool, struct errand errand);

/* What suite_flip makes of `size` bytes filled by suite_fill(seed): true if `got` is that. */
void suite_fill(struct pool_bytes *bytes, uint64_t size, unsigned seed); /* mallocs data */
bool suite_is_flipped(struct pool_bytes got, uint64_t size, unsigned seed);

#endif
