/*
 * test_deaths.c - workers that die between two steps of what they tell others, and deaths that nobody looks at for a while.
 * The comment above a case says what went wrong. The calls of the C library that a case has to come between are defined here.
 */
#include "pools/tests/suite.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARMED = 1, DIED, STARTS };

static pid_t host;	 /* of the case; 0 in a worker that was executed */
static int64_t stall_ns; /* whoever sleeps for events next has no processor for so long then */
static int64_t vain;	 /* looks at whether a process stands still that did not find it */

/* Where a case has armed it, a worker dies as it is about to wake somebody. */
__attribute__((no_sanitize("address"))) /* reads six, there may be less */
long syscall(long number, ...)
{
	static long (*next)(long, ...);
	long argument[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		argument[i] = va_arg(list, long);
	va_end(list);
	if (!next)
		*(void **)&next = dlsym(RTLD_NEXT, "syscall");
	if (number == SYS_futex && argument[1] == FUTEX_WAKE && getpid() != host &&
	    shared_get(ARMED)) {
		shared_set(ARMED, 0);
		shared_set(DIED, 1);
		raise(SIGKILL);
	}
	return next(number, argument[0], argument[1], argument[2], argument[3], argument[4],
		    argument[5]);
}

int epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds)
{
	const int count = epoll_pwait(epoll, events, most, milliseconds, NULL);
	const int64_t stalled_ns = __atomic_exchange_n(&stall_ns, 0, __ATOMIC_RELAXED);
	if (stalled_ns)
		suite_sleep_ns(stalled_ns);
	return count;
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	const int rc = (int)syscall(SYS_waitid, type, id, info, options, NULL);
	if (options & WNOWAIT && rc < 0)
		__atomic_add_fetch(&vain, 1, __ATOMIC_RELAXED);
	return rc;
}

/* ---- between two steps ---- */

/* One worker works, one that is roused for the rest is stopped: so the first takes that as well, and rouses the third. */
static void die_as_it_wakes_another(struct pool *pool)
{
	struct errand errands[12] = { 0 };
	int64_t out[12];
	for (int i = 0; i < 12; i++)
		errands[i] = (struct errand){ .nap_ns = 5 * MS, .word = 10 };
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, 12, out, 8, NULL), 0);
	suite_sleep_ns(300 * MS); /* all sleep */
	CHECK_EQ(suite_do(pool, (struct errand){ .nap_ns = 50 * MS, .word = 10 }), 0);
	suite_sleep_ns(100 * MS);
	const pid_t second = pool_worker_pid(pool, 1);
	CHECK(second > 0 && kill(second, SIGSTOP) == 0);
	suite_sleep_ns(20 * MS);
	shared_set(ARMED, 1);
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, 4, out, 8,
			  &(struct pool_policy){ .chunk = 2, .retries = 3 }),
		 0);
	shared_set(ARMED, 0);
	CHECK_EQ(kill(second, SIGCONT), 0);
}

/* The third seemed to be awake from then on, and slept for ever: it did no more work, and joining the pool did not end. */
static void death_between_rousing_and_waking_is_made_up_for(const struct pool_backend_info *row)
{
	const bool sleeps_in_shared_memory = strstr(row->name, "shm");
	host = getpid();
	for (int tries = 0; tries < 5 && sleeps_in_shared_memory && !shared_get(DIED); tries++) {
		struct pool *pool = suite_open(row, 3);
		die_as_it_wakes_another(pool);
		suite_finish(pool);
	}
}

/* ---- nobody looks ---- */

/* Was over its time limit, and not tried again, when nobody looked until then. Where the host program lets its children be
 * waited for by nobody, each was looked for in vain for 20 ms. */
static void death_seen_after_the_limit_is_a_death(const struct pool_backend_info *row)
{
	const struct pool_policy policy = { .task_timeout_ns = 200 * MS };
	for (int ignored = 0; ignored < 2; ignored++) {
		signal(SIGCHLD, ignored ? SIG_IGN : SIG_DFL);
		struct pool *pool = suite_open(row, 2);
		int rc = 0;
		for (int tries = 0; tries < 5 && rc != POOL_WORKER_LOST; tries++) {
			struct pool_async *ends =
				suite_start(pool, (struct errand){ .nap_ns = 20 * MS }, &policy);
			struct pool_async *dies =
				suite_start(pool,
					    (struct errand){ .nap_ns = 40 * MS, .deed = DEED_KILL },
					    &policy);
			__atomic_store_n(&vain, 0, __ATOMIC_RELAXED);
			__atomic_store_n(&stall_ns, 600 * MS, __ATOMIC_RELAXED);
			CHECK_EQ(pool_async_wait(ends, WAIT), 0);
			rc = pool_async_get(dies, NULL, WAIT);
			CHECK(rc == POOL_WORKER_LOST ||
			      rc == POOL_TASK_TIMEOUT); /* it may have had no processor, too */
			pool_async_release(ends);
			pool_async_release(dies);
		}
		CHECK_EQ(rc, POOL_WORKER_LOST);
		CHECK(__atomic_load_n(&vain, __ATOMIC_RELAXED) < 10);
		suite_finish(pool);
	}
}

static int die_at_first(struct pool_call *call)
{
	(void)call;
	if (shared_add(STARTS, 1) == 1)
		raise(SIGKILL);
	return 0;
}
POOL_TASK(die_at_first)

/* Had taken too long, and the pool was given up, when nobody looked until its time was over. */
static void death_before_it_is_ready_is_one_whenever_it_is_seen(const struct pool_backend_info *row)
{
	int rc = POOL_INIT_FAILED;
	for (int tries = 0; tries < 3 && rc; tries++) { /* a good one may have no processor */
		const int64_t x = 3;
		int64_t y = 0;
		shared_set(STARTS, 0);
		struct pool *pool =
			suite_open_with(row,
					(struct pool_options){ .workers = 1,
							       .initializer = POOL(die_at_first),
							       .initializer_timeout_ns = SECOND });
		suite_sleep_ns(SECOND + 200 * MS);
		rc = pool_map(pool, suite_square, &x, 8, 1, &y, 8, NULL);
		CHECK(rc == POOL_INIT_FAILED || y == 9);
		suite_finish(pool);
	}
	CHECK_EQ(rc, 0);
}

static const struct suite_case cases[] = {
	CASE(death_between_rousing_and_waking_is_made_up_for, FAULTS | POOL_CAN_REUSE),
	CASE(death_seen_after_the_limit_is_a_death, POOL_CAN_KILL),
	CASE(death_before_it_is_ready_is_one_whenever_it_is_seen, POOL_CAN_KILL),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
