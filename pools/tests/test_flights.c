/* test_flights.c - what is sent to a worker beyond the item that it runs: who dies or leaves does not take it along, it is no
 * larger than it should be, and it ends with the first failure where that was asked for. The comment above a case says
 * what went wrong. */
#include "pools/pool_ops.h"
#include "pools/tests/suite.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BEGUN = 1, ENDED, ENDS, TOGETHER_MOST, FAILED, LATE, EARLY, HELD, GOES };
enum { WORKERS = 4, LARGE = 200 << 10, FREELY = 40 };

static int use_all(struct pool_call *call)
{
	const unsigned char *data = pool_arg(call, 0);
	const uint64_t size = pool_arg_size(call, 0);
	*(int64_t *)pool_result(call) = data[0] + data[size - 1];
	return 0;
}
POOL_TASK(use_all)

/* == Leaving == */

/* The first of each worker's are those of the workers that the pool was opened with, more or less. */
static int end_slowly(struct pool_call *call)
{
	(void)call;
	if (shared_add(ENDS, 1) <= WORKERS)
		return 0;
	shared_add(BEGUN, 1);
	suite_sleep_ns(100 * MS);
	shared_add(ENDED, 1);
	return 0;
}
POOL_TASK(end_slowly)

static bool forks_slowly;

static void before_fork(void)
{
	if (forks_slowly)
		suite_sleep_ns(8 * MS); /* as a program with much memory does */
}

/* The rest of a flight that did not go into the pipe was sent from the job's arguments even when the worker had left and the
 * job was gone; what could not be read there had the worker killed in its finalizer. */
static void half_sent_flight_ends_with_its_worker(const struct pool_backend_info *row)
{
	static bool watches;
	if (!watches)
		CHECK_EQ(pthread_atfork(before_fork, NULL, NULL), 0);
	watches = forks_slowly = true;
	mallopt(M_MMAP_THRESHOLD, 128 << 10); /* freed memory is not there any more */
	for (int round = 0; round < 4; round++) {
		shared_set(BEGUN, 0);
		shared_set(ENDED, 0);
		shared_set(ENDS, 0);
		struct pool *pool =
			suite_open_with(row,
					(struct pool_options){ .workers = WORKERS,
							       .tasks_per_worker = 1,
							       .finalizer = POOL(end_slowly) });
		void *in = calloc(FREELY, LARGE);
		struct pool_async *async;
		CHECK_EQ(pool_map_async(pool, POOL(use_all), in, LARGE, FREELY, 8,
					&(struct pool_policy){ .chunk = 1 }, &async),
			 0);
		free(in); /* the call has a copy */
		shared_reaches(BEGUN, 1);
		pool_async_cancel(async);
		pool_async_release(async);
		const char x = 2;
		int64_t y;
		CHECK_EQ(pool_map(pool, POOL(use_all), &x, 1, 1, &y, 8, NULL),
			 0); /* somebody leads */
		suite_finish(pool);
		CHECK_EQ(shared_get(BEGUN), shared_get(ENDED));
	}
	forks_slowly = false;
}

/* The worker waits for its child, and does not stop when it is told to, for a while. */
static int hold_up_or_leave(struct pool_call *call)
{
	if (shared_add(EARLY, 1) <= WORKERS)
		return 0; /* short ones, so that more is sent at a time */
	if (pool_worker(call) == 0) {
		shared_add(HELD, 1);
		if (vfork() == 0) {
			usleep(300000);
			_exit(0);
		}
		return 0;
	}
	shared_reaches(GOES, 1);
	suite_sleep_ns(2 * MS);
	return 0;
}
POOL_TASK(hold_up_or_leave)

/* How many had begun their finalizers by then. */
static int64_t cancel_as_workers_leave(const struct pool_backend_info *row)
{
	const int64_t x[64] = { 0 };
	for (unsigned counter = BEGUN; counter <= GOES; counter++)
		shared_set(counter, 0);
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2,
							    .tasks_per_worker = 1,
							    .finalizer = POOL(end_slowly) });
	struct pool_async *async;
	CHECK_EQ(pool_map_async(pool, POOL(hold_up_or_leave), x, 8, 64, 8,
				&(struct pool_policy){ .chunk = 1 }, &async),
		 0);
	CHECK(shared_reaches(HELD, 1));
	suite_sleep_ns(5 * MS);
	shared_set(GOES, 1);
	pool_async_cancel(async);
	CHECK_EQ(pool_async_wait(async, POOL_FOREVER), 0);
	pool_async_release(async);
	const int64_t begun = shared_get(BEGUN);
	suite_finish(pool);
	while (waitpid(-1, NULL, 0) > 0) /* the child, whose parent was killed */
		continue;
	CHECK_EQ(shared_get(ENDED), shared_get(BEGUN));
	return begun;
}

/* Who was stopped as it held something of a cancelled call, and had ended its item and begun its finalizer by then, was
 * killed there. Who has not got so far when the call is cancelled may be killed: then again, some times. */
static void cancel_leaves_finalizers_alone(const struct pool_backend_info *row)
{
	for (int attempt = 0; attempt < 20; attempt++)
		if (cancel_as_workers_leave(row) > 0)
			break;
}

/* What it sends goes to somebody who does not read it. */
static int tell_nobody(struct pool_call *call)
{
	int ends[2];
	closefrom(3);
	for (int i = 0; i < 32; i++)
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
			return 1;
	pool_result_alloc(call, 1 << 20);
	return 0;
}
POOL_TASK(tell_nobody)

/* A worker that leaves was spared from then on, and not from its finalizer on: a call whose time was up waited for one that
 * was held up as it sent its last result. */
static void sending_the_last_result_is_no_leaving(const struct pool_backend_info *row)
{
	for (int tasks = 0; tasks < 2; tasks++) {
		struct pool *pool =
			suite_open_with(row, (struct pool_options){ .workers = 2,
								    .tasks_per_worker = tasks });
		const int64_t x = 3;
		struct pool_bytes y = { NULL, 0 };
		const int rc =
			pool_apply(pool, POOL(tell_nobody), &(struct pool_column){ &x, sizeof x },
				   1, &y, POOL_VARIABLE,
				   &(struct pool_policy){ .timeout_ns = 100 * MS });
		/* by shared memory there is nothing to send, and no memory to be had: its descriptor is closed */
		CHECK(rc == -ETIMEDOUT || rc == POOL_ENCODE_ERROR);
		suite_finish(pool);
	}
}

/* An item that was sent to one worker after the other, all of them dead already and not noticed yet, counted as one that
 * kills who receives it. */
static void item_is_not_blamed_for_earlier_deaths(const struct pool_backend_info *row)
{
	enum { MANY = 24 };
	for (int round = 0; round < 3; round++) {
		struct pool *pool = suite_open(row, MANY);
		int64_t x[MANY] = { 0 }, y[MANY];
		CHECK_EQ(pool_map(pool, suite_square, x, 8, MANY, y, 8, NULL), 0);
		pid_t pid[MANY];
		for (int i = 0; i < MANY; i++)
			pid[i] = pool_worker_pid(pool, i);
		for (int i = 0; i < MANY; i++)
			if (pid[i] > 0)
				kill(pid[i], SIGKILL);
		x[0] = 3;
		CHECK_EQ(pool_map(pool, suite_square, x, 8, 1, y, 8, NULL), 0);
		CHECK_EQ(y[0], 9);
		suite_finish(pool);
	}
}

static int close_all(struct pool_call *call)
{
	(void)call;
	return close_range(3, ~0U, 0);
}
POOL_TASK(close_all)

/* Nobody was blamed for the end of workers that could not read at all: they were started for ever. By shared memory nothing
 * is read. */
static void workers_that_cannot_read_are_not_started_for_ever(const struct pool_backend_info *row)
{
	int64_t x[3] = { 1, 2, 3 }, y[3];
	struct pool_worker_stats stats;
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2,
							    .initializer = POOL(close_all) });
	const int rc = pool_map(pool, suite_square, x, 8, COUNT(x), y, 8, NULL);
	CHECK(rc == 0 || rc == POOL_INIT_FAILED);
	CHECK_EQ(pool_worker_stats(pool, 0, &stats), 0);
	CHECK(stats.starts < 200);
	suite_finish(pool);
}

/* == Sizes == */

/* Arguments that came together lie one behind the other. */
static int count_neighbours(struct pool_call *call)
{
	static const unsigned char *end;
	static int64_t together;
	const unsigned char *data = pool_arg(call, 0);
	together = data == end ? together + 1 : 1;
	end = data + pool_arg_size(call, 0);
	if (together > shared_get(TOGETHER_MOST))
		shared_set(TOGETHER_MOST, together);
	return 0;
}
POOL_TASK(count_neighbours)

/* Of an argument of variable size 1 KiB was counted, however large it was: a worker was sent a gigabyte at a time. */
static void large_arguments_do_not_travel_in_crowds(const struct pool_backend_info *row)
{
	enum { ITEMS = 400, EACH = 64 << 10 };
	static struct pool_bytes item[ITEMS];
	if (!strstr(row->name, "pipe"))
		return;
	unsigned char *data = calloc(1, EACH);
	for (int i = 0; i < ITEMS; i++)
		item[i] = (struct pool_bytes){ data, EACH };
	for (unsigned chunk = 0; chunk < 16; chunk += 5) {
		shared_set(TOGETHER_MOST, 0);
		struct pool *pool = suite_open(row, 1);
		CHECK_EQ(pool_map(pool, POOL(count_neighbours), item, POOL_VARIABLE, ITEMS, NULL, 0,
				  &(struct pool_policy){ .chunk = chunk }),
			 0);
		suite_finish(pool);
		CHECK(shared_get(TOGETHER_MOST) >= chunk);
		CHECK(shared_get(TOGETHER_MOST) <= (chunk > 4 ? chunk : 4)); /* 256 KiB */
	}
	free(data);
}

/* == Failing fast == */

enum { SHORT = 50000, LONG = 1000 };

static int fail_then_nap(struct pool_call *call)
{
	if (pool_index(call) < SHORT)
		return 0;
	if (pool_index(call) == SHORT)
		return shared_set(FAILED, 1), 7;
	if (shared_get(FAILED))
		shared_add(LATE, 1);
	suite_sleep_ns(60 * MS);
	return 0;
}
POOL_TASK(fail_then_nap)

/* How much was claimed or sent at a time followed what earlier items took: behind thousands of short ones, thousands of long
 * ones began after the failure. */
static void little_begins_after_the_first_failure(const struct pool_backend_info *row)
{
	static char in[SHORT + LONG];
	if (strstr(row->name, "each"))
		return; /* takes half a minute for so many */
	for (unsigned chunk = 0; chunk < 2; chunk++) {
		shared_set(FAILED, 0);
		shared_set(LATE, 0);
		struct pool *pool = suite_open(row, 2);
		CHECK_EQ(pool_map(pool, POOL(fail_then_nap), in, 1, sizeof in, NULL, 0,
				  &(struct pool_policy){ .chunk = chunk, .fail_fast = true }),
			 POOL_TASK_ERROR);
		CHECK(shared_get(LATE) <
		      100); /* two workers, 16 each; the others until it is known */
		suite_finish(pool);
	}
}

/* == Beside others == */

/* How many spans this pool's two workers have run. */
static uint64_t spans_run(void)
{
	const struct pool_board *board = suite_find_memory("pool-board");
	CHECK(board != NULL);
	return (board->ledger[0].progress >> 32) + (board->ledger[1].progress >> 32);
}

/* How much is claimed at a time was learnt anew with each claim while there was another call: one item, at any chunk. */
static void map_beside_a_call_claims_as_much_as_alone(const struct pool_backend_info *row)
{
	enum { N = 200000, STREAM = 4000, GATES = 20, BEGAN = 22 };
	static int64_t x[N], y[N];
	struct pool *pool = suite_open(row, 2);
	struct pool_async *others[2];
	struct pool_iter *iter;
	uint64_t before;
	for (uint32_t i = 0; i < 2; i++) {
		others[i] =
			suite_start(pool, (struct errand){ .word = BEGAN + i, .gate = GATES + i },
				    NULL);
		CHECK(shared_reaches(BEGAN + i, 1));
		for (int64_t chunk = 0; i == 0 && chunk < 2; chunk++) {
			before = spans_run();
			CHECK_EQ(pool_map(pool, suite_square, x, 8, N, y, 8,
					  &(struct pool_policy){ .chunk = chunk }),
				 0);
			CHECK(spans_run() - before < N / 100);
		}
	}
	before = spans_run();
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, STREAM), 8,
			   &(struct pool_policy){ .chunk = 1, .window = STREAM }, &iter),
		 0);
	shared_set(GATES, 1); /* all of it is there by now */
	for (int i = 0; i < STREAM; i++)
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	CHECK(spans_run() - before < STREAM / 4); /* 16 at a time, at most */
	pool_iter_release(iter);
	shared_set(GATES + 1, 1);
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pool_async_wait(others[i], WAIT), 0);
		pool_async_release(others[i]);
	}
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(half_sent_flight_ends_with_its_worker, POOL_CAN_ISOLATE | POOL_CAN_OVERLAP),
	CASE(cancel_leaves_finalizers_alone, POOL_CAN_KILL | POOL_CAN_ISOLATE),
	CASE(map_beside_a_call_claims_as_much_as_alone, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(sending_the_last_result_is_no_leaving, POOL_CAN_KILL | POOL_CAN_ISOLATE),
	CASE(item_is_not_blamed_for_earlier_deaths, POOL_CAN_SURVIVE | POOL_CAN_KILL),
	CASE(workers_that_cannot_read_are_not_started_for_ever, POOL_CAN_ISOLATE),
	CASE(large_arguments_do_not_travel_in_crowds, 0),
	CASE(little_begins_after_the_first_failure, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
