/* test_header_told.c - what the header says is told: how handles, iterations and workers ended, and what counts of it. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { CALLED = 1, STARTED = 2 };

/* == Handles and iterations == */

static int note_late(struct pool_async *async, void *user)
{
	(void)async;
	(void)user;
	suite_sleep_ns(20 * MS);
	shared_add(CALLED, 1);
	return 0;
}

/* Their callbacks had run some time later. */
static void terminate_leaves_no_handle_pending(const struct pool_backend_info *row)
{
	enum { HANDLES = 4 };
	struct pool_async *async[HANDLES];
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < HANDLES; i++)
		async[i] = suite_start(pool, (struct errand){ .nap_ns = SECOND / 2 },
				       &(struct pool_policy){ .callback = note_late,
							      .error_callback = note_late });
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK_EQ(shared_get(CALLED), HANDLES);
	for (int i = 0; i < HANDLES; i++) {
		CHECK_EQ(pool_async_ready(async[i]), 1);
		const int status = pool_async_status(async[i], 0);
		CHECK(status == POOL_TERMINATED || status == 0); /* 0: what could not be killed */
		pool_async_release(async[i]);
	}
	pool_destroy(pool);
}

/* Of no item. */
static void expect_failure(struct pool_iter *iter, int status)
{
	const struct pool_failure *failure = pool_iter_failure(iter);
	CHECK(failure != NULL);
	CHECK_EQ(failure->status, status);
	CHECK(failure->index == UINT64_MAX);
	CHECK(failure->message != NULL && *failure->message != '\0');
}

/* Only a failed item had one. */
static void every_failed_next_has_a_failure(const struct pool_backend_info *row)
{
	struct suite_counting count = { .end = 3, .last = -777 };
	struct suite_counting endless = { .end = INT64_MAX };
	const struct pool_source bad = pool_generator(suite_count_up, &count, 8);
	const struct pool_source long_one = pool_generator(suite_count_up, &endless, 8);
	struct pool *pool = suite_open(row, 2);
	struct pool_iter *iter;
	int64_t value;
	CHECK_EQ(pool_imap(pool, suite_square, bad, 8, NULL, &iter), 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), 0);
		CHECK(pool_iter_failure(iter) == NULL);
	}
	CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), -777);
	expect_failure(iter, -777);
	CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), POOL_END);
	CHECK(pool_iter_failure(iter) == NULL);
	pool_iter_release(iter);
	count = (struct suite_counting){ .end = 1,
					 .last = -EDEADLK }; /* the input may say so, too */
	CHECK_EQ(pool_imap(pool, suite_square, bad, 8, NULL, &iter), 0);
	CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), 0);
	CHECK_EQ(pool_iter_next(iter, &value, -2), -EINVAL);
	expect_failure(iter, -EINVAL);
	CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), -EDEADLK);
	expect_failure(iter, -EDEADLK);
	pool_iter_release(iter);
	CHECK_EQ(pool_imap(pool, suite_square, long_one, 8, NULL, &iter), 0);
	CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), 0);
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), POOL_TERMINATED);
	expect_failure(iter, POOL_TERMINATED);
	CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), POOL_END);
	CHECK(pool_iter_failure(iter) == NULL);
	pool_iter_release(iter);
	pool_destroy(pool);
}

/* Results that could be had without a look at the pool left the failure of a call that was wrong. */
static void next_after_a_failed_one_has_none(const struct pool_backend_info *row)
{
	enum { N = 400 };
	int64_t x[N] = { 0 }, value;
	struct pool *pool = suite_open(row, 1);
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, N), 8, NULL, &iter), 0);
	suite_sleep_ns(50 * MS); /* many are done */
	for (int i = 0; i < N; i++) {
		CHECK_EQ(pool_iter_next(iter, &value, POOL_FOREVER), 0);
		CHECK(pool_iter_failure(iter) == NULL);
		CHECK_EQ(pool_iter_next(iter, &value, -2), -EINVAL);
		expect_failure(iter, -EINVAL);
	}
	pool_iter_release(iter);
	suite_finish(pool);
}

static int fail_or_stay(struct pool_call *call)
{
	const int64_t fails = *(const int64_t *)pool_arg(call, 0);
	if (!fails)
		shared_set(CALLED, 1);
	while (!fails ||
	       !shared_get(CALLED)) /* fails when the other has begun, which stays for ever */
		suite_sleep_ns(MS);
	return (int)fails;
}
POOL_TASK(fail_or_stay)

/* What it gives up is told also where an item that failed fast had cancelled the rest. */
static void call_that_gives_up_says_so(const struct pool_backend_info *row)
{
	const int64_t fails[2] = { 0, 1 };
	int32_t statuses[2];
	struct pool *pool = suite_open(row, 2);
	for (int seconds = 2; seconds <= 8; seconds *= 2) { /* both must have begun */
		shared_set(CALLED, 0);
		CHECK_EQ(pool_map(pool, POOL(fail_or_stay), fails, 8, 2, NULL, 0,
				  &(struct pool_policy){ .chunk = 1,
							 .fail_fast = true,
							 .timeout_ns = seconds * SECOND,
							 .statuses = statuses }),
			 -ETIMEDOUT);
		if (statuses[1] != -ECANCELED)
			break;
	}
	CHECK_EQ(statuses[0], -ECANCELED);
	CHECK_EQ(statuses[1], POOL_TASK_ERROR);
	suite_finish(pool);
}

/* == Arguments == */

static int is_null(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = pool_arg(call, 0) == NULL;
	return 0;
}
POOL_TASK(is_null)

/* By the serial row it was the caller's NULL. */
static void argument_of_no_bytes_is_not_null(const struct pool_backend_info *row)
{
	const struct pool_bytes none[3] = { { NULL, 0 }, { "", 0 }, { NULL, 0 } };
	int64_t result[3];
	struct pool *pool = suite_open(row, 1);
	struct pool_iter *iter;
	CHECK_EQ(pool_map(pool, POOL(is_null), none, POOL_VARIABLE, 3, result, 8, NULL), 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(result[i], 0);
	CHECK_EQ(pool_imap(pool, POOL(is_null), pool_array(none, POOL_VARIABLE, 3), 8, NULL, &iter),
		 0);
	for (int i = 0; i < 3; i++) {
		CHECK_EQ(pool_iter_next(iter, &result[0], POOL_FOREVER), 0);
		CHECK_EQ(result[0], 0);
	}
	pool_iter_release(iter);
	suite_finish(pool);
}

static void more_retries_than_there_can_be_count_as_the_most(const struct pool_backend_info *row)
{
	const struct errand kill = { .deed = DEED_KILL, .word = STARTED };
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_map(pool, suite_errand, &kill, sizeof kill, 1, NULL, 0,
			  &(struct pool_policy){ .retries = 1000 }),
		 POOL_WORKER_LOST);
	CHECK_EQ(shared_get(STARTED), 256);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	suite_finish(pool);
}

/* == Workers == */

static int count_cpus(struct pool_call *call)
{
	cpu_set_t mine;
	if (sched_getaffinity(0, sizeof mine, &mine) < 0)
		return 1;
	*(int64_t *)pool_result(call) = CPU_COUNT(&mine);
	return 0;
}
POOL_TASK(count_cpus)

/* Only processes were bound; with one CPU for all nothing can be seen. */
static void workers_are_bound_to_cpus(const struct pool_backend_info *row)
{
	int64_t x[8] = { 0 }, cpus[8];
	cpu_set_t before, after;
	CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .pin = true });
	CHECK_EQ(pool_map(pool, POOL(count_cpus), x, 8, COUNT(x), cpus, 8, NULL), 0);
	for (size_t i = 0; i < COUNT(cpus); i++)
		CHECK_EQ(cpus[i], 1);
	CHECK_EQ(sched_getaffinity(0, sizeof after, &after), 0);
	CHECK(CPU_EQUAL(&before, &after));
	suite_finish(pool);
}

static uint64_t tasks_of(struct pool *pool, int workers)
{
	struct pool_worker_stats stats;
	uint64_t tasks = 0;
	for (int i = 0; i < workers; i++) {
		CHECK_EQ(pool_worker_stats(pool, i, &stats), 0);
		tasks += stats.tasks;
	}
	return tasks;
}

/* What had run of the claim in which a worker died was missing. */
static void items_before_a_death_are_counted(const struct pool_backend_info *row)
{
	enum { N = 100, MAPS = 5 };
	struct errand errands[N] = { 0 };
	struct pool_stats stats;
	struct pool *pool = suite_open(row, 2);
	errands[30].deed = DEED_KILL;
	errands[75].deed = DEED_KILL_ONCE;
	for (int i = 0; i < MAPS; i++) {
		errands[75].word = (uint32_t)(10 + i);
		CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, N, NULL, 0,
				  &(struct pool_policy){ .chunk = 50 }),
			 POOL_WORKER_LOST);
	}
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.lost, 2 * MAPS);
	CHECK_EQ(stats.done, (N - 2) * MAPS);
	CHECK_EQ(tasks_of(pool, 2), N * MAPS);
	suite_finish(pool);
}

static int leave_every_other_time(struct pool_call *call)
{
	(void)call;
	if (shared_add(STARTED, 1) % 2)
		_exit(3);
	return 0;
}
POOL_TASK(leave_every_other_time)

/* Only those whose initializer returned something counted. */
static void initializers_that_exit_make_workers_unfit(const struct pool_backend_info *row)
{
	struct pool_worker_stats stats;
	int64_t x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, y[8];
	struct pool *pool =
		suite_open_with(row,
				(struct pool_options){ .workers = 1,
						       .initializer = POOL(leave_every_other_time),
						       .tasks_per_worker = 1 });
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 8, y, 8, &(struct pool_policy){ .chunk = 1 }),
		 0);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(y[i], x[i] * x[i]);
	CHECK_EQ(pool_worker_stats(pool, 0, &stats), 0);
	CHECK(stats.deaths >= 8);
	CHECK_EQ(stats.unfit, stats.deaths);
	suite_finish(pool);
}

/* For a while no worker can be started: calls tell the reason, for that while only. */
static void pool_recovers_when_there_are_descriptors_again(const struct pool_backend_info *row)
{
	const struct errand kill = { .deed = DEED_KILL };
	struct rlimit before;
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
	const struct rlimit few = { 3, before.rlim_max };
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
	CHECK_EQ(suite_do(pool, kill), POOL_WORKER_LOST);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ .value = 2 }), -EMFILE);
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(terminate_leaves_no_handle_pending, 0),
	CASE(every_failed_next_has_a_failure, 0),
	CASE(next_after_a_failed_one_has_none, 0),
	CASE(call_that_gives_up_says_so, FAULTS),
	CASE(argument_of_no_bytes_is_not_null, 0),
	CASE(more_retries_than_there_can_be_count_as_the_most, FAULTS),
	CASE(workers_are_bound_to_cpus, POOL_CAN_OVERLAP),
	CASE(items_before_a_death_are_counted, FAULTS),
	CASE(initializers_that_exit_make_workers_unfit, FAULTS),
	CASE(pool_recovers_when_there_are_descriptors_again, FAULTS),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
