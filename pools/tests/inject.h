/*
 * inject.h - calls to the system that fail on the nth use, in the pool's process or in its workers.
 *
 * DESIGN. test_injection is linked with a copy of the library in which the names listed in
 * inject.syms are replaced (objcopy): only what the library calls can fail, not what the test or the
 * C library call. Uses are counted in shared memory, which executed workers open by the path in an
 * environment variable, so "the nth" counts over all workers and all their successors. The process
 * that called inject_open is the pool's, every other one a worker.
 *
 * What the library calls beyond that list either cannot fail (clock_gettime, getpid, locks), or is
 * only called to give something back (close, munmap, kill), or has a way out (stat). To see it:
 *	nm -u .build/release/libprocpool.a | awk '{ print $2 }' | grep -v -e ^pool_ | sort -u
 */
#ifndef POOLS_TESTS_INJECT_H
#define POOLS_TESTS_INJECT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum inject_call {
	CALL_NONE,
	CALL_MEMORY, /* malloc and all that come down to it */
	CALL_FORK,   /* and vfork */
	CALL_EXEC,
	CALL_THREAD,
	CALL_PIPE,
	CALL_PIPE_SIZE,
	CALL_DUP,
	CALL_MEMFD,
	CALL_TRUNCATE,
	CALL_ALLOCATE, /* posix_fallocate and fallocate */
	CALL_MAP,
	CALL_STAT,
	CALL_READ, /* of pipes; and readv */
	CALL_READ_LONG,
	CALL_WRITE,	 /* to pipes; and writev */
	CALL_WRITE_LONG, /* more than PIPE_BUF, so that it may be done in part */
	CALL_POLL,
	CALL_EPOLL,
	CALL_WATCH, /* epoll_ctl to add */
	CALL_WAIT_EVENTS,
	CALL_EVENTFD,
	CALL_PIDFD,
	CALL_FUTEX_WAIT,
	CALL_WAIT_CHILD,
	CALL_FILE,
	CALL_AFFINITY,
	CALL_ADVISE, /* madvise */
	CALLS,
};

enum { INJECT_PART = -1 }; /* in place of an error: does half of what was asked */

enum inject_side { SIDE_POOL, SIDE_WORKERS, SIDES };

struct inject_plan {
	enum inject_call call;
	enum inject_side side;
	int error;
	uint64_t nth; /* from 1; 0: never */
	bool lasting; /* from then on */
};

void inject_open(void); /* in the pool's process, once; keeps a descriptor */
/* Counting begins anew. */
void inject_arm(const struct inject_plan *plan);
void inject_disarm(void);
uint64_t inject_count(enum inject_side side, enum inject_call call); /* uses since then */
uint64_t inject_hits(void);					     /* of them, made to fail */
int64_t inject_live(void); /* blocks of memory the library holds in this process */

#endif
