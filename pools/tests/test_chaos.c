/*
 * test_chaos.c - scripts/chaos for about a second a row, and the faults that it has found.
 */
#include "pools/tests/suite.h"
#include "scripts/chaos/chaos.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

/* Under the address sanitizer a fork beside threads that allocate may leave the child waiting in the
 * sanitizer's allocator: here nearly all forks are such. */
static bool sanitizer_cannot(const struct pool_backend_info *row)
{
#if defined(__SANITIZE_ADDRESS__)
	return strcmp(row->start, "fork") == 0;
#else
	(void)row;
	return false;
#endif
}

static void chaos_for_a_second_finds_nothing(const struct pool_backend_info *row)
{
	if (sanitizer_cannot(row))
		return;
	const struct chaos_options options = {
		.row = row, .seed = 1, .time_ns = SECOND, .bound_ns = 30 * SECOND, .threads = 4
	};
	CHECK_EQ(chaos_run(&options), 0);
}

/* == Found == */

static int fail_to_begin(struct pool_call *call)
{
	return pool_fail(call, 3, "never");
}
POOL_TASK(fail_to_begin)

/* Where workers are threads, pool_open waited until none of them was wanted back: for ever. */
static void open_where_every_initializer_fails_returns(const struct pool_backend_info *row)
{
	for (int i = 0; i < 20; i++) {
		struct pool *pool =
			suite_open_with(row,
					(struct pool_options){
						.workers = 2, .initializer = POOL(fail_to_begin) });
		CHECK_EQ(suite_do(pool, (struct errand){ .value = 1 }), POOL_INIT_FAILED);
		pool_destroy(pool);
	}
}

/* They were left as they had been, although they are written whatever is returned. */
static void map_that_is_refused_writes_its_statuses(const struct pool_backend_info *row)
{
	int64_t x[3] = { 1, 2, 3 }, y[3];
	int32_t statuses[3] = { INT_MIN, INT_MIN, INT_MIN };
	struct pool *pool = suite_open(row, 2);
	const struct pool_policy policy = { .statuses = statuses };
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_map(pool, suite_square, x, sizeof *x, 3, y, sizeof *y, &policy), POOL_CLOSED);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(statuses[i], POOL_CLOSED);
	suite_finish(pool);
}

/* It was counted out of the calls with a limit without having been counted in: nobody looked at
 * the others' limits any more. */
static void map_async_of_nothing_leaves_limits_alone(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *async = NULL;
	const struct pool_policy policy = { .task_timeout_ns = 50 * MS };
	const int64_t none = 0;
	CHECK_EQ(pool_map_async(pool, suite_square, &none, sizeof none, 0, sizeof none, &policy,
				&async),
		 0);
	CHECK_EQ(pool_async_get(async, NULL, WAIT), 0);
	pool_async_release(async);
	async = suite_start(pool, (struct errand){ .nap_ns = HOUR }, &policy);
	CHECK_EQ(pool_async_get(async, NULL, WAIT), POOL_TASK_TIMEOUT);
	pool_async_release(async);
	suite_finish(pool);
}

static void *call_until_refused(void *pool)
{
	for (int i = 0; i < 200; i++) {
		const int64_t x = 3;
		int64_t y;
		struct pool_failure failure = { 0 };
		const struct pool_column arg = { &x, sizeof x };
		const struct pool_policy policy = { .failure = &failure };
		CHECK_EQ(pool_apply(pool, suite_square, &arg, 1, &y, sizeof y, &policy),
			 POOL_INIT_FAILED);
		CHECK_EQ(failure.code, 3);
		CHECK(failure.message && strstr(failure.message, "never"));
		pool_failure_clear(&failure);
	}
	return NULL;
}

/* The reason was read while a worker that failed just then replaced it (seen by the thread
 * sanitizer). */
static void refused_while_workers_still_fail_tells_why(const struct pool_backend_info *row)
{
	for (int i = 0; i < 10; i++) {
		pthread_t thread;
		struct pool *pool =
			suite_open_with(row,
					(struct pool_options){
						.workers = 4, .initializer = POOL(fail_to_begin) });
		CHECK_EQ(pthread_create(&thread, NULL, call_until_refused, pool), 0);
		call_until_refused(pool);
		pthread_join(thread, NULL);
		pool_destroy(pool);
	}
}

enum { RACED = 40 };

static void terminate_after(struct pool *pool, int64_t nap_ns)
{
	struct errand errands[RACED];
	struct pool_async *async = NULL;
	const struct pool_policy policy = { .chunk = 1 };
	for (int i = 0; i < RACED; i++)
		errands[i] = (struct errand){ .value = i, .nap_ns = 3 * MS };
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, RACED,
				sizeof(int64_t), &policy, &async),
		 0);
	suite_sleep_ns(nap_ns);
	CHECK_EQ(pool_terminate(pool), 0);
	for (uint64_t i = 0; i < RACED; i++)
		if (pool_async_status(async, i) != 0)
			CHECK_EQ(pool_async_status(async, i), POOL_TERMINATED);
	pool_async_release(async);
}

/* The item of a worker that had begun it before it counted as started was lost, as if it had died by
 * itself. */
static void terminate_while_workers_start_loses_nothing(const struct pool_backend_info *row)
{
	for (int i = 0; i < 60; i++) {
		struct pool *pool =
			suite_open_with(row, (struct pool_options){ .workers = 3,
								    .tasks_per_worker = 1 });
		terminate_after(pool, 2 * MS + i * MS / 6);
		pool_destroy(pool);
	}
}

static const struct suite_case cases[] = {
	CASE(open_where_every_initializer_fails_returns, 0),
	CASE(map_that_is_refused_writes_its_statuses, 0),
	CASE(map_async_of_nothing_leaves_limits_alone, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(refused_while_workers_still_fail_tells_why, 0),
	CASE(terminate_while_workers_start_loses_nothing, POOL_CAN_OVERLAP),
	CASE(chaos_for_a_second_finds_nothing, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
