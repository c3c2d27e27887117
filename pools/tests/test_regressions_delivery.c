/* test_regressions_delivery.c - what once went wrong between those who send and those who do not read: workers that start
 * or leave for long, failures that nobody can be told, results made of themselves, memory that is not there. The comment
 * above a case says what happened. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

enum { GATE = 1, CALLED = 2 };

static int wait_for_gate(struct pool_call *call)
{
	while (pool_worker(call) == 0 && !shared_get(GATE))
		suite_sleep_ns(MS);
	return 0;
}
POOL_TASK(wait_for_gate)

static int nap(struct pool_call *call)
{
	(void)call;
	suite_sleep_ns(50 * MS);
	return 0;
}
POOL_TASK(nap)

static int spin_and_square(struct pool_call *call)
{
	const int64_t x = *(const int64_t *)pool_arg(call, 0), end_ns = suite_now_ns() + 10000;
	while (suite_now_ns() < end_ns)
		continue;
	*(int64_t *)pool_result(call) = x * x;
	return 0;
}
POOL_TASK(spin_and_square)

static void expect_squares(struct pool *pool, int n)
{
	int64_t x[3000] = { 0 }, y[3000];
	for (int i = 0; i < n; i++)
		x[i] = i;
	CHECK_EQ(pool_map(pool, POOL(spin_and_square), x, 8, (uint64_t)n, y, 8,
			  &(struct pool_policy){ .timeout_ns = WAIT }),
		 0);
	for (int i = 0; i < n; i++)
		CHECK_EQ(y[i], x[i] * x[i]);
}

/* == Workers that start or leave for long == */

/* By pipe, what a worker had been sent and not begun when it left stayed with it until its finalizer had ended. */
static void items_do_not_wait_for_a_finalizer(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2,
							    .tasks_per_worker = 100,
							    .finalizer = POOL(wait_for_gate) });
	expect_squares(pool, suite_some(row, 3000));
	shared_set(GATE, 1);
	suite_finish(pool);
}

/* By pipe, items were sent to a worker whose initializer was still running, while another one was idle. */
static void items_do_not_wait_for_an_initializer(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row,
				(struct pool_options){ .workers = 2,
						       .initializer = POOL(wait_for_gate),
						       .initializer_timeout_ns = POOL_FOREVER });
	for (int i = 0; i < 4; i++)
		expect_squares(pool, 1);
	expect_squares(pool, suite_some(row, 3000));
	shared_set(GATE, 1);
	suite_finish(pool);
}

static int note_call(struct pool_async *async, void *user)
{
	(void)async;
	(void)user;
	shared_set(CALLED, 1);
	return 0;
}

/* Whoever is sent nothing before its initializer has ended must be sent something then, though nobody waits, and at once:
 * not when the initializer's time is up. */
static void callback_comes_after_a_slow_initializer(const struct pool_backend_info *row)
{
	const int64_t x = 3;
	int64_t y = 0;
	struct pool *pool = suite_open_with(row, (struct pool_options){ .workers = 1,
									.initializer = POOL(nap),
									.initializer_timeout_ns =
										POOL_FOREVER });
	const struct pool_column arg = { &x, sizeof x };
	struct pool_async *async;
	CHECK_EQ(pool_apply_async(pool, suite_square, &arg, 1, sizeof y,
				  &(struct pool_policy){ .callback = note_call }, &async),
		 0);
	CHECK(shared_reaches(CALLED, 1));
	CHECK_EQ(pool_async_get(async, &y, WAIT), 0);
	CHECK_EQ(y, 9);
	pool_async_release(async);
	suite_finish(pool);
}

/* == Failures that nobody can be told == */

static int fail_without_descriptors(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = -1;
	closefrom(3);
	return pool_fail(call, 7, "no");
}
POOL_TASK(fail_without_descriptors)

static int too_large_without_descriptors(struct pool_call *call)
{
	closefrom(3);
	return pool_result_alloc(call, UINT64_MAX) != NULL;
}
POOL_TASK(too_large_without_descriptors)

/* By pipe, the worker ended only after it had handed in the item as done: it was reported as fine. */
static void failure_that_cannot_be_told_is_no_success(const struct pool_backend_info *row)
{
	enum { ITEMS = 6 };
	const int64_t x[ITEMS] = { 0 };
	int64_t y[ITEMS];
	struct pool_bytes bytes[ITEMS] = { { 0 } };
	int32_t statuses[ITEMS];
	const struct pool_policy policy = { .timeout_ns = WAIT, .statuses = statuses };
	struct pool *pool = suite_open(row, 2);
	CHECK(pool_map(pool, POOL(fail_without_descriptors), x, 8, ITEMS, y, 8, &policy) < 0);
	for (int i = 0; i < ITEMS; i++)
		CHECK(statuses[i] == POOL_TASK_ERROR || statuses[i] == POOL_WORKER_LOST);
	CHECK(pool_map(pool, POOL(too_large_without_descriptors), x, 8, ITEMS, bytes, POOL_VARIABLE,
		       &policy) < 0);
	for (int i = 0; i < ITEMS; i++)
		CHECK(statuses[i] == POOL_ENCODE_ERROR || statuses[i] == POOL_WORKER_LOST);
	expect_squares(pool, 10);
	suite_finish(pool);
}

/* == Results made of themselves == */

static int return_a_part(struct pool_call *call)
{
	const uint64_t size = *(const uint64_t *)pool_arg(call, 0);
	unsigned char *room = pool_result_alloc(call, size);
	for (uint64_t i = 0; room && i < size; i++)
		room[i] = (unsigned char)(i * 7);
	return !room || pool_return(call, room + size / 4, size / 2);
}
POOL_TASK(return_a_part)

/* The room that was replaced had been given back before the new one was filled from it. */
static void result_may_be_a_part_of_what_it_replaces(const struct pool_backend_info *row)
{
	const uint64_t sizes[] = { 0, 4, 64, 5000, 262144, 5000000 };
	struct pool_bytes y[COUNT(sizes)] = { { 0 } };
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_map(pool, POOL(return_a_part), sizes, 8, COUNT(sizes), y, POOL_VARIABLE,
			  NULL),
		 0);
	for (size_t k = 0; k < COUNT(sizes); k++) {
		const unsigned char *got = y[k].data;
		CHECK_EQ(y[k].size, sizes[k] / 2);
		for (uint64_t i = 0; i < y[k].size; i++)
			CHECK_EQ(got[i], (unsigned char)((sizes[k] / 4 + i) * 7));
		free(y[k].data);
	}
	suite_finish(pool);
}

/* == Memory that is not there == */

/* By pipe the kernel reads arguments, and says so if it cannot (EFAULT): the caller took that for "no room yet" and tried
 * for ever. Each item costs a worker, most of them before they have come up: that is no failure to start. Elsewhere the caller's own copying ends it, as any use of such memory does. */
static void arguments_that_are_not_there_end_the_call(const struct pool_backend_info *row)
{
	enum { BYTES = 1 << 20, ITEMS = 32 };
	if (strcmp(row->transport, "pipe") != 0)
		return;
	void *sealed = mmap(NULL, BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(sealed != MAP_FAILED);
	struct pool *pool = suite_open(row, 2);
	int32_t statuses[ITEMS];
	struct pool_policy policy = { .timeout_ns = WAIT, .statuses = statuses };
	CHECK_EQ(pool_map(pool, POOL(nap), sealed, BYTES / ITEMS, ITEMS, NULL, 0, &policy),
		 POOL_ENCODE_ERROR);
	for (int i = 0; i < ITEMS; i++)
		CHECK_EQ(statuses[i], POOL_ENCODE_ERROR);
	expect_squares(pool, 100);
	suite_finish(pool);
	munmap(sealed, BYTES);
}

/* == Claims that wait == */

enum { SMALL = 64 << 20 };

static int fail_without_memory(struct pool_call *call)
{
	while (!shared_get(GATE))
		suite_sleep_ns(MS);
	return pool_result_alloc(call, 1000) ? 0 : pool_fail(call, 7, "no room");
}
POOL_TASK(fail_without_memory)

/* There is no memory for the report of a failure either, but for one in each worker. By shared memory the second one of a
 * claim waited for ever until the first was taken: an iteration's were taken only when a claim was over. */
static void failures_without_memory_reach_an_iteration(const struct pool_backend_info *row)
{
	enum { N = 400 };
	const struct rlimit small = { SMALL, SMALL }; /* shared memory is a file */
	int64_t x[N] = { 0 }, failed = 0;
	struct pool_iter *iter;
	struct pool_bytes result;
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_imap(pool, POOL(fail_without_memory), pool_array(x, 8, N), POOL_VARIABLE,
			   NULL, &iter),
		 0);
	for (uint64_t bytes = SMALL; suite_arena_bytes() && bytes; bytes /= 2)
		while (pool_alloc(pool, bytes))
			continue;
	shared_set(GATE, 1);
	for (int i = 0; i < N; i++) {
		const int rc = pool_iter_next(iter, &result, WAIT);
		CHECK(rc == 0 || rc == POOL_TASK_ERROR || rc == POOL_ENCODE_ERROR);
		failed += rc != 0;
		if (rc == 0)
			free(result.data);
	}
	CHECK_EQ(pool_iter_next(iter, &result, WAIT), POOL_END);
	CHECK(failed > 1 || !suite_arena_bytes());
	pool_iter_release(iter);
	suite_finish(pool);
}

/* One that was stopped while it slept took the only wake-up, and the others slept on. */
static void stopped_sleeper_keeps_no_work(const struct pool_backend_info *row)
{
	enum { WORKERS = 4 };
	struct pool *pool = suite_open(row, WORKERS);
	pid_t pid[WORKERS];
	expect_squares(pool, 100);
	suite_sleep_ns(50 * MS);   /* they sleep */
	if (suite_arena_bytes()) { /* by pipe work is with the worker it was sent to */
		for (int i = 0; i < WORKERS; i++)
			pid[i] = pool_worker_pid(pool, i);
		for (int stopped = 0; stopped < WORKERS - 1; stopped++) {
			CHECK_EQ(kill(pid[stopped], SIGSTOP), 0);
			struct pool_async *async =
				suite_start(pool, (struct errand){ .value = 3 }, NULL);
			CHECK_EQ(pool_async_wait(async, WAIT), 0);
			CHECK_EQ(pool_async_status(async, 0), 0);
			pool_async_release(async);
		}
		for (int i = 0; i < WORKERS; i++)
			kill(pid[i], SIGCONT);
	}
	suite_finish(pool);
}

enum { LONG_ONE = 150 };

static int be_long_once(struct pool_call *call)
{
	const int64_t x = *(const int64_t *)pool_arg(call, 0), end_ns = suite_now_ns() + 20000;
	while (x == LONG_ONE ? !shared_get(GATE) : suite_now_ns() < end_ns)
		continue;
	return 0;
}
POOL_TASK(be_long_once)

static int iterate(struct pool_async *async, void *user)
{
	enum { N = LONG_ONE + 50 };
	int64_t x[N];
	struct pool *pool = user;
	struct pool_iter *iter;
	(void)async;
	for (int i = 0; i < N; i++)
		x[i] = i;
	suite_sleep_ns(50 * MS); /* the other thread sleeps, then */
	CHECK_EQ(pool_imap(pool, POOL(be_long_once), pool_array(x, 8, N), 0,
			   &(struct pool_policy){ .window = 64 }, &iter),
		 0);
	for (int i = 0; i < N; i++) {
		suite_sleep_ns(MS); /* so that many are sent together */
		if (i == LONG_ONE)
			shared_set(GATE, 1);
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	}
	pool_iter_release(iter);
	return 0;
}

/* By pipe, replies that a worker gathers were not asked for while the leading thread slept without end: it had gone to sleep
 * when nothing was out, and another thread sent work. What was done waited for the next long item to end. */
static void results_do_not_wait_for_a_thread_that_sleeps(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	if (suite_arena_bytes() ==
	    0) { /* by shared memory what is claimed together comes together */
		struct pool_async *async =
			suite_start(pool, (struct errand){ 0 },
				    &(struct pool_policy){ .callback = iterate, .user = pool });
		CHECK_EQ(pool_async_get(async, NULL, POOL_FOREVER), 0);
		pool_async_release(async);
	}
	suite_finish(pool);
}

/* == Spans == */

static int fail_first(struct pool_call *call)
{
	shared_add(CALLED, 1);
	suite_sleep_ns(MS);
	return pool_index(call) == 0;
}
POOL_TASK(fail_first)

/* With an automatic chunk all of a serial call was one span, which nothing could end. */
static void serial_calls_end_early_too(const struct pool_backend_info *row)
{
	enum { N = 4000 };
	const bool shares = row->can & POOL_CAN_ISOLATE && !(row->can & POOL_CAN_REUSE);
	struct pool *pool = suite_open(row, 1);
	struct pool_policy policy = { .fail_fast = true };
	char x[N] = { 0 };
	CHECK_EQ(pool_map(pool, POOL(fail_first), x, 1, N, NULL, 0, &policy), POOL_TASK_ERROR);
	CHECK(shares ||
	      shared_get(CALLED) < N / 10); /* a process for each share is one for a lot */
	shared_set(CALLED, 0);
	policy = (struct pool_policy){ .timeout_ns = 20 * MS };
	CHECK_EQ(pool_map(pool, POOL(fail_first), x, 1, N, NULL, 0, &policy), -ETIMEDOUT);
	CHECK(shared_get(CALLED) < N);
	suite_finish(pool);
}

/* == Threads' own calls == */

static int fail_late(struct pool_call *call)
{
	shared_set(CALLED, 1);
	suite_sleep_ns(200 * MS);
	return pool_fail(call, 7, "mine");
}
POOL_TASK(fail_late)

/* A call that gave nothing up when its time was over, as it had to wait anyway, hid what its item said. */
static void failure_is_told_if_nothing_was_given_up(const struct pool_backend_info *row)
{
	const char x = 0;
	struct pool_failure failure = { 0 };
	const struct pool_column arg = { &x, 1 };
	struct pool *pool = suite_open(row, 1);
	if (!(row->can & POOL_CAN_KILL)) {
		int rc;
		do /* it may not have begun by then */
			rc = pool_apply(pool, POOL(fail_late), &arg, 1, NULL, 0,
					&(struct pool_policy){ .timeout_ns = 50 * MS,
							       .failure = &failure });
		while (rc == -ETIMEDOUT && !shared_get(CALLED));
		CHECK_EQ(rc, POOL_TASK_ERROR);
		CHECK_EQ(failure.status, POOL_TASK_ERROR);
		CHECK_EQ(failure.code, 7);
		CHECK_EQ(strcmp(failure.message, "mine"), 0);
		pool_failure_clear(&failure);
	}
	suite_finish(pool);
}

static struct pool *outer;

static int call_outer(struct pool_call *call)
{
	const char x = 0;
	(void)call;
	return pool_map(outer, POOL(nap), &x, 1, 1, NULL, 0,
			&(struct pool_policy){ .timeout_ns = WAIT / 2 }) == -EDEADLK
		       ? 0
		       : 1;
}
POOL_TASK(call_outer)

static int open_serial(struct pool_call *call)
{
	const char x = 0;
	struct pool *inner;
	(void)call;
	if (pool_open(&inner, &(struct pool_options){ .backend = "serial" }))
		return 1;
	const int rc = pool_map(inner, POOL(call_outer), &x, 1, 1, NULL, 0, NULL);
	pool_destroy(inner);
	return rc;
}
POOL_TASK(open_serial)

/* Only the innermost pool whose task a thread ran was known to it; of the others' it waited for itself. */
static void task_of_a_task_does_not_wait_for_itself(const struct pool_backend_info *row)
{
	const char x = 0;
	outer = suite_open(row, 1);
	if (!(row->can & POOL_CAN_ISOLATE))
		CHECK_EQ(pool_map(outer, POOL(open_serial), &x, 1, 1, NULL, 0, NULL), 0);
	suite_finish(outer);
}

static const struct suite_case cases[] = {
	CASE(items_do_not_wait_for_a_finalizer, POOL_CAN_OVERLAP),
	CASE(items_do_not_wait_for_an_initializer, POOL_CAN_OVERLAP),
	CASE(callback_comes_after_a_slow_initializer, POOL_CAN_OVERLAP),
	CASE(failure_that_cannot_be_told_is_no_success, FAULTS),
	CASE(result_may_be_a_part_of_what_it_replaces, 0),
	CASE(arguments_that_are_not_there_end_the_call, FAULTS),
	CASE(failures_without_memory_reach_an_iteration, POOL_CAN_ISOLATE),
	CASE(stopped_sleeper_keeps_no_work, POOL_CAN_ISOLATE | POOL_CAN_OVERLAP),
	CASE(results_do_not_wait_for_a_thread_that_sleeps, POOL_CAN_OVERLAP),
	CASE(serial_calls_end_early_too, 0),
	CASE(failure_is_told_if_nothing_was_given_up, 0),
	CASE(task_of_a_task_does_not_wait_for_itself, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
