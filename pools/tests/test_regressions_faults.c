/* test_regressions_faults.c - what once went wrong when workers died, were misused or cancelled, or
 * the system had nothing left to give. The comment above a case says what happened. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void expect_usable(struct pool *pool, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ .value = i }), 0);
}

static uint64_t restarts_of(struct pool *pool)
{
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	return stats.restarts;
}

/* == Misused workers == */

/* Item 0 takes all descriptors from its worker; each item counts its executions. */
static int close_all(struct pool_call *call)
{
	shared_add((unsigned)pool_index(call), 1);
	if (pool_index(call) == 0)
		closefrom(3);
	return 0;
}
POOL_TASK(close_all)

/* Was run again without end, a worker each time: a task that is done cannot say so. */
static void task_closing_all_descriptors_runs_once(const struct pool_backend_info *row)
{
	char in[4] = { 0 };
	int32_t statuses[4];
	struct pool_policy policy = { .chunk = 1, .timeout_ns = WAIT, .statuses = statuses };
	struct pool *pool = suite_open(row, 2);
	int rc = pool_map(pool, POOL(close_all), in, 1, 4, NULL, 0, &policy);
	CHECK(rc == 0 || rc == POOL_WORKER_LOST);
	CHECK(statuses[0] == 0 || statuses[0] == POOL_WORKER_LOST);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(shared_get(i), 1);
	for (int i = 1; i < 4; i++)
		CHECK(statuses[i] == 0 || statuses[i] == POOL_WORKER_LOST);
	CHECK(restarts_of(pool) <= 4);
	expect_usable(pool, 4);
	suite_finish(pool);
}

enum { DESCRIPTORS = 256, MARKS = 100 }; /* words MARKS..: 1 where the test had a pipe already */

static bool is_pipe_to_write(int fd)
{
	struct stat about;
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && fstat(fd, &about) == 0 &&
	       S_ISFIFO(about.st_mode);
}

/* Counts its executions; item 3 writes noise into the last pipe that the pool gave this worker. */
static int babble(struct pool_call *call)
{
	char noise[5000];
	int last = -1;
	shared_add((unsigned)pool_index(call), 1);
	suite_sleep_ns(MS); /* or all are sent at once, and lost together */
	for (int fd = 3; pool_index(call) == 3 && fd < DESCRIPTORS; fd++)
		if (!shared_get(MARKS + (unsigned)fd) && is_pipe_to_write(fd))
			last = fd;
	for (size_t i = 0; i < sizeof noise; i++)
		noise[i] = (char)(i * 37 + 11);
	if (last >= 0 && write(last, noise, sizeof noise) < 0)
		return errno;
	return pool_return(call, noise, 4);
}
POOL_TASK(babble)

/* Noise in a reply was waited for as if it were a header. */
static void task_writing_noise_to_the_pool_loses_little(const struct pool_backend_info *row)
{
	char in[8] = { 0 };
	int32_t statuses[8];
	struct pool_bytes out[8];
	struct pool_policy policy = { .chunk = 1, .timeout_ns = WAIT, .statuses = statuses };
	for (int fd = 3; fd < DESCRIPTORS; fd++)
		shared_set(MARKS + (unsigned)fd, is_pipe_to_write(fd));
	struct pool *pool = suite_open(row, 1);
	int rc = pool_map(pool, POOL(babble), in, 1, 8, out, POOL_VARIABLE, &policy);
	CHECK(rc == 0 || rc == POOL_WORKER_LOST || rc == POOL_DECODE_ERROR);
	for (int i = 0; i < 8; i++) {
		CHECK(statuses[i] != -ECANCELED && statuses[i] != -ETIMEDOUT);
		CHECK(statuses[i] ||
		      (out[i].size == 4 && memcmp(out[i].data, "\x0b\x30\x55\x7a", 4) == 0));
	}
	CHECK_EQ(statuses[7], 0);
	pool_bytes_free(out, 8);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(shared_get(i), 1);
	expect_usable(pool, 4);
	suite_finish(pool);
}

/* Uses the pool at the address in the argument, whose process this may be or not. */
static int use_own_pool(struct pool_call *call)
{
	uint64_t address = *(const uint64_t *)pool_arg(call, 0);
	struct pool *pool = (struct pool *)(uintptr_t)address;
	int64_t x = 2, *answers = pool_result(call);
	struct pool_column arg = { &x, 8 };
	struct pool_async *async = NULL;
	struct pool_iter *iter = NULL;
	answers[0] = pool_map(pool, suite_square, &x, 8, 1, &x, 8, NULL);
	answers[1] = pool_apply(pool, suite_square, &arg, 1, &x, 8, NULL);
	answers[2] = pool_apply_async(pool, suite_square, &arg, 1, 8, NULL, &async);
	answers[3] = pool_imap(pool, suite_square, pool_array(&x, 8, 1), 8, NULL, &iter);
	return async || iter;
}
POOL_TASK(use_own_pool)

/* A task that used the pool that ran it waited for itself. */
static void task_using_its_own_pool_is_told_so(const struct pool_backend_info *row)
{
	if (row->can & POOL_CAN_EXEC)
		return; /* the address means nothing there */
	int wanted = row->can & POOL_CAN_ISOLATE ? -EPERM : -EDEADLK;
	for (int workers = 1; workers <= 2; workers++) {
		struct pool *pool = suite_open(row, workers);
		uint64_t address = (uint64_t)pool;
		int64_t answers[4] = { 0 };
		CHECK_EQ(pool_apply(pool, POOL(use_own_pool),
				    &(struct pool_column){ &address, sizeof address }, 1, answers,
				    sizeof answers, NULL),
			 0);
		for (int i = 0; i < 4; i++)
			CHECK_EQ(answers[i], wanted);
		expect_usable(pool, 4);
		suite_finish(pool);
	}
}

/* == Nothing left to give == */

/* False: there was none for so long that the pool gave up. */
static bool replaces_once_there_are_descriptors_again(const struct pool_backend_info *row)
{
	enum { N = 100, FEW = 64, GO = 200 };
	struct errand errands[N];
	struct rlimit before, few;
	int spare[FEW], n = 0;
	for (unsigned i = 0; i < N; i++) {
		const bool dies = i % 50 == 7;
		errands[i] = (struct errand){ .deed = dies ? DEED_KILL : DEED_NONE,
					      .nap_ns = MS / 2,
					      .word = i,
					      .gate = dies ? GO : 0 };
		shared_set(i, 0);
	}
	shared_set(GO, !(row->can & POOL_CAN_REUSE));
	struct pool *pool = suite_open(row, 2);
	getrlimit(RLIMIT_NOFILE, &before);
	few = (struct rlimit){ .rlim_cur = FEW, .rlim_max = before.rlim_max };
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (n < FEW && (spare[n] = fcntl(0, F_DUPFD_CLOEXEC, 3)) >= 0)
		n++;
	struct pool_async *async = NULL;
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, N, 8,
				&(struct pool_policy){ .chunk = 1 }, &async),
		 0);
	if (row->can & POOL_CAN_REUSE) /* both die at once */
		CHECK(shared_reaches(57, 1));
	shared_set(GO, 1);
	suite_sleep_ns(50 * MS);
	while (n)
		close(spare[--n]);
	const int rc = pool_async_get(async, NULL, WAIT);
	CHECK(rc == POOL_WORKER_LOST || rc == -EMFILE);
	for (unsigned i = 0; i < N && rc != -EMFILE; i++) {
		CHECK_EQ(pool_async_status(async, i), i % 50 == 7 ? POOL_WORKER_LOST : 0);
		CHECK_EQ(shared_get(i), 1);
	}
	pool_async_release(async);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	suite_finish(pool);
	return rc != -EMFILE;
}

/* A reviewer's probe, never seen to fail: no descriptor is left for the successors of the dead. */
static void workers_replaced_once_there_are_descriptors_again(const struct pool_backend_info *row)
{
	int tries = 1; /* we may have no processor while it tries */
	while (!replaces_once_there_are_descriptors_again(row))
		CHECK(++tries <= 10);
}

/* The second of any four initialisations fails. */
static int start_badly(struct pool_call *call)
{
	return shared_add(0, 1) % 4 == 2 ? pool_fail(call, 9, "a bad start") : 0;
}
POOL_TASK(start_badly)

/* Failures of initializers were added up although others had succeeded since. */
static void initializer_that_fails_now_and_then_is_put_up_with(const struct pool_backend_info *row)
{
	char in[20] = { 0 };
	struct pool_options options = { .workers = 1,
					.initializer = POOL(start_badly),
					.tasks_per_worker = 1 };
	struct pool *pool = suite_open_with(row, options);
	CHECK_EQ(pool_map(pool, suite_pid, in, 1, sizeof in, NULL, 0,
			  &(struct pool_policy){ .chunk = 1 }),
		 0);
	CHECK(shared_get(0) >= 20);
	suite_finish(pool);
}

/* == Cancelling == */

enum { ENDLESS, OTHER }; /* words: such an item is running */

static int run_short_or_endless(struct pool_call *call)
{
	if (!*(const char *)pool_arg(call, 0))
		return 0;
	shared_set(ENDLESS, 1);
	suite_sleep_ns(HOUR);
	return 0;
}
POOL_TASK(run_short_or_endless)

static int run_other(struct pool_call *call)
{
	int64_t nap_ns = *(const int64_t *)pool_arg(call, 0);
	shared_set(OTHER, 1);
	suite_sleep_ns(nap_ns);
	return 0;
}
POOL_TASK(run_other)

/* Cancelled items that were queued behind another job's ran all the same, and without end. */
static void cancel_of_what_is_queued_behind_another_job_holds(const struct pool_backend_info *row)
{
	enum { N = 4000 };
	static char in[N];
	int64_t nap_ns = 4 * MS;
	struct pool_column arg = { &nap_ns, 8 };
	memset(in + N / 2, 1, N / 2);
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1, .grace_ns = MS });
	for (int i = 0; i < 40; i++) {
		struct pool_async *endless = NULL, *other = NULL;
		shared_set(ENDLESS, 0);
		shared_set(OTHER, 0);
		CHECK_EQ(pool_map_async(pool, POOL(run_short_or_endless), in, 1, N, 0,
					&(struct pool_policy){ .chunk = 100 }, &endless),
			 0);
		CHECK_EQ(pool_apply_async(pool, POOL(run_other), &arg, 1, 0, NULL, &other), 0);
		while (!shared_get(OTHER) && !shared_get(ENDLESS) && !pool_async_ready(other))
			sched_yield();
		suite_sleep_ns(shared_get(OTHER) ? i % 4 * MS : 0);
		CHECK_EQ(pool_async_cancel(endless), 0);
		CHECK_EQ(pool_async_get(endless, NULL, WAIT), -ECANCELED);
		CHECK_EQ(pool_async_get(other, NULL, WAIT), 0);
		pool_async_release(endless);
		pool_async_release(other);
	}
	suite_finish(pool);
}

struct bystander {
	struct pool *pool;
	int stop;
	int64_t maps;
};

static void *map_meanwhile(void *state)
{
	struct bystander *bystander = state;
	struct errand errands[20];
	for (int i = 0; i < 20; i++)
		errands[i] = (struct errand){ .value = i, .nap_ns = MS / 50 };
	do {
		int64_t out[20];
		CHECK_EQ(pool_map(bystander->pool, suite_errand, errands, sizeof *errands, 20, out,
				  8, &(struct pool_policy){ .chunk = 1 }),
			 0);
		CHECK_EQ(out[19], 361);
		bystander->maps++;
	} while (!__atomic_load_n(&bystander->stop, __ATOMIC_RELAXED));
	return NULL;
}

/* A worker was killed for a cancelled item that had just ended, and another's item with it. */
static void two_threads_cancel_never_hits_the_other_s_items(const struct pool_backend_info *row)
{
	struct errand errands[60];
	pthread_t thread;
	struct bystander bystander = {
		.pool = suite_open_with(row, (struct pool_options){ .workers = 1, .grace_ns = MS })
	};
	for (int i = 0; i < 60; i++)
		errands[i] = (struct errand){ .nap_ns = MS / 50 };
	CHECK_EQ(pthread_create(&thread, NULL, map_meanwhile, &bystander), 0);
	int64_t end = suite_now_ns() + 500 * MS;
	for (int i = 0; suite_now_ns() < end; i++) {
		struct pool_async *async = NULL;
		CHECK_EQ(pool_map_async(bystander.pool, suite_errand, errands, sizeof *errands, 60,
					8, NULL, &async),
			 0);
		suite_sleep_ns(i * 37 % 100 * MS / 20);
		pool_async_cancel(async);
		CHECK_EQ(pool_async_wait(async, WAIT), 0);
		pool_async_release(async);
	}
	__atomic_store_n(&bystander.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CHECK(bystander.maps > 0);
	suite_finish(bystander.pool);
}

/* == The end of a pool, from many threads == */

static void *submit_until_closed(void *pool)
{
	struct errand errands[20];
	for (int i = 0; i < 20; i++)
		errands[i] = (struct errand){ .nap_ns = MS / 2 };
	for (int i = 0;; i++) {
		struct pool_async *async = NULL;
		int rc = pool_map_async(pool, suite_errand, errands, sizeof *errands, 20, 8, NULL,
					&async);
		CHECK(rc == 0 || rc == POOL_CLOSED);
		if (rc == POOL_CLOSED)
			return NULL;
		rc = pool_async_wait(async, i % 2 ? WAIT : 2 * MS);
		CHECK(rc == 0 || (i % 2 == 0 && rc == -ETIMEDOUT));
		if (i % 3 == 0)
			pool_async_cancel(async);
		pool_async_release(async);
	}
}

static void *terminate_soon(void *pool)
{
	suite_sleep_ns(20 * MS);
	CHECK_EQ(pool_terminate(pool), 0);
	return NULL;
}

static void *close_and_join(void *pool)
{
	suite_sleep_ns(15 * MS);
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	return NULL;
}

static void *join_too_early(void *pool)
{
	int rc = pool_join(pool, 5 * MS);
	CHECK(rc == POOL_BUSY || rc == 0 || rc == -ETIMEDOUT);
	return close_and_join(pool);
}

/* A reviewer's probe, never seen to fail: whoever waits or joins meanwhile comes back. */
static void many_threads_end_a_pool_in_use_and_all_return(const struct pool_backend_info *row)
{
	void *(*const roles[])(void *) = { submit_until_closed, submit_until_closed,
					   submit_until_closed, close_and_join,
					   join_too_early,	terminate_soon };
	for (int round = 0; round < 6; round++) {
		pthread_t threads[COUNT(roles)];
		struct pool *pool =
			suite_open_with(row, (struct pool_options){ .workers = 3,
								    .grace_ns = 20 * MS,
								    .tasks_per_worker =
									    round % 2 * 20 });
		size_t n = COUNT(roles) - (round < 2); /* the first two rounds end in peace */
		for (size_t i = 0; i < n; i++)
			CHECK_EQ(pthread_create(&threads[i], NULL, roles[i], pool), 0);
		for (size_t i = 0; i < n; i++)
			pthread_join(threads[i], NULL);
		pool_destroy(pool);
	}
}

static const struct suite_case cases[] = {
	CASE(task_closing_all_descriptors_runs_once, FAULTS),
	CASE(task_writing_noise_to_the_pool_loses_little, FAULTS),
	CASE(task_using_its_own_pool_is_told_so, 0),
	CASE(workers_replaced_once_there_are_descriptors_again, FAULTS),
	CASE(initializer_that_fails_now_and_then_is_put_up_with, POOL_CAN_OVERLAP),
	CASE(cancel_of_what_is_queued_behind_another_job_holds, POOL_CAN_KILL),
	CASE(two_threads_cancel_never_hits_the_other_s_items, POOL_CAN_KILL),
	CASE(many_threads_end_a_pool_in_use_and_all_return, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
