/*
 * test_header_workers.c - the manual taken at its word: statistics, initializers, pools in tasks,
 * and wrong arguments.
 *
 * Cases written from pool.h alone; see test_header.c.
 */
#include "suite.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void check_works(struct pool *pool)
{
	int64_t x[64], y[64];
	for (int i = 0; i < 64; i++)
		x[i] = i;
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 64, y, 8, NULL), 0);
	for (int i = 0; i < 64; i++)
		CHECK_EQ(y[i], i * i);
}

static void stats_add_up(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	check_works(pool);
	CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_FAIL, .code = 1 }), POOL_TASK_ERROR);
	uint64_t lost = 0, late = 0, cancelled = 0;
	if (row->can & POOL_CAN_SURVIVE) {
		CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_KILL }), POOL_WORKER_LOST);
		lost = 1;
	}
	if (row->can & POOL_CAN_KILL) {
		struct pool_policy limit = { .task_timeout_ns = 20 * MS };
		struct pool_async *async =
			suite_start(pool, (struct errand){ .deed = DEED_STUCK }, &limit);
		CHECK_EQ(pool_async_get(async, NULL, WAIT), POOL_TASK_TIMEOUT);
		pool_async_release(async);
		struct errand spins[7];
		for (int i = 0; i < 7; i++)
			spins[i] = (struct errand){ .deed = DEED_STUCK };
		CHECK_EQ(pool_map_async(pool, suite_errand, spins, sizeof *spins, 7, 8, NULL,
					&async),
			 0);
		CHECK_EQ(pool_async_cancel(async), 0);
		CHECK_EQ(pool_async_get(async, NULL, WAIT), -ECANCELED);
		pool_async_release(async);
		late = 1;
		cancelled = 7;
	}
	check_works(pool);
	struct pool_stats s;
	CHECK_EQ(pool_stats(pool, &s), 0);
	CHECK_EQ(s.submitted, 64 + 64 + 1 + lost + late + cancelled);
	CHECK_EQ(s.done, 64 + 64);
	CHECK_EQ(s.failed, 1);
	CHECK_EQ(s.lost, lost);
	CHECK_EQ(s.timed_out, late);
	CHECK_EQ(s.cancelled, cancelled);
	CHECK_EQ(s.retried, 0);
	uint64_t tasks = 0;
	for (int w = 0; w < pool_workers(pool); w++) {
		struct pool_worker_stats one;
		CHECK_EQ(pool_worker_stats(pool, w, &one), 0);
		tasks += one.tasks;
		if (row->can & POOL_CAN_REUSE)
			CHECK(one.starts >= 1);
		CHECK(one.claims <= one.tasks || one.deaths); /* killed between claim and item */
	}
	CHECK(tasks >= 129 && tasks <= s.submitted);
	struct pool_worker_stats none;
	CHECK_EQ(pool_worker_stats(pool, 2, &none), -EINVAL);
	CHECK_EQ(pool_worker_stats(pool, -1, &none), -EINVAL);
	CHECK_EQ(pool_worker_pid(pool, 2), -EINVAL);
	suite_finish(pool);
}

/* Words: 1 initialised, 2 finalised, 3 the sum of what workers counted in their local state. */
static int begin(struct pool_call *call)
{
	if (pool_local(call))
		return pool_fail(call, 1, "not NULL at first");
	pool_local_set(call, calloc(1, sizeof(int64_t)));
	shared_add(1, 1);
	return 0;
}
POOL_TASK(begin)

static int finish(struct pool_call *call)
{
	shared_add(2, 1);
	shared_add(3, *(int64_t *)pool_local(call));
	free(pool_local(call));
	return 0;
}
POOL_TASK(finish)

static int count_locally(struct pool_call *call)
{
	int64_t *local = pool_local(call);
	if (!local || pool_worker(call) < 0 || pool_worker(call) >= 3)
		return 1;
	++*local;
	*(int64_t *)pool_result(call) = getpid();
	return 0;
}
POOL_TASK(count_locally)

static void finalizer_runs_once_for_each_worker_in_peace(const struct pool_backend_info *row)
{
	struct pool_options options = { .backend = row->name,
					.workers = 3,
					.initializer = POOL(begin),
					.finalizer = POOL(finish) };
	struct pool *pool = suite_open_with(row, options);
	int64_t x[300] = { 0 }, pids[300];
	CHECK_EQ(pool_map(pool, POOL(count_locally), x, 8, 300, pids, 8, NULL), 0);
	suite_finish(pool);
	CHECK(shared_get(1) >= 1);
	CHECK_EQ(shared_get(2), shared_get(1));
	CHECK_EQ(shared_get(3), 300);
}

static void recycled_workers_keep_an_iteration_in_order(const struct pool_backend_info *row)
{
	struct pool_options options = { .backend = row->name,
					.workers = 2,
					.initializer = POOL(begin),
					.finalizer = POOL(finish),
					.tasks_per_worker = 2 };
	struct pool *pool = suite_open_with(row, options);
	int64_t x[40] = { 0 }, pids[40];
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, POOL(count_locally), pool_array(x, 8, 40), 8, NULL, &iter), 0);
	for (int i = 0; i < 40; i++) {
		CHECK_EQ(pool_iter_next(iter, &pids[i], WAIT), 0);
		CHECK_EQ(pool_iter_index(iter), i);
	}
	pool_iter_release(iter);
	CHECK(suite_distinct(pids, 40) >= 20);
	uint64_t recycled = 0;
	for (int w = 0; w < 2; w++) {
		struct pool_worker_stats one;
		CHECK_EQ(pool_worker_stats(pool, w, &one), 0);
		recycled += one.recycled;
		CHECK_EQ(one.deaths, 0);
		CHECK(one.starts >= one.recycled);
	}
	CHECK(recycled >= 18);
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.restarts, 0);
	suite_finish(pool);
	CHECK_EQ(shared_get(2), shared_get(1));
	CHECK_EQ(shared_get(3), 40);
}

static int no_license(struct pool_call *call)
{
	const char *name = pool_arg(call, 0);
	return pool_fail(call, 9, "no license for %s (%u)", name, (unsigned)pool_arg_size(call, 0));
}
POOL_TASK(no_license)

static int note_failure(struct pool_async *async, void *user)
{
	const struct pool_failure *failure = pool_async_failure(async);
	CHECK(failure && failure->status == POOL_INIT_FAILED);
	++*(atomic_int *)user;
	return 0;
}

static void initializer_that_fails_says_why(const struct pool_backend_info *row)
{
	char name[] = "widgets";
	struct pool_options options = { .backend = row->name,
					.workers = 2,
					.initializer = POOL(no_license),
					.initializer_arg = name,
					.initializer_arg_size = sizeof name };
	struct pool *pool = suite_open_with(row, options);
	memset(name, 'x', sizeof name);
	atomic_int calls = 0;
	struct pool_policy policy = { .error_callback = note_failure, .user = &calls };
	struct errand errand = { .word = 9 };
	struct pool_column arg = { &errand, sizeof errand };
	struct pool_async *async;
	int rc = pool_apply_async(pool, suite_errand, &arg, 1, 8, &policy, &async);
	if (rc == 0) {
		CHECK_EQ(pool_async_get(async, NULL, WAIT), POOL_INIT_FAILED);
		CHECK_EQ(calls, 1);
		CHECK(strstr(pool_async_failure(async)->message, "no license for widgets (8)"));
		pool_async_release(async);
	} else {
		CHECK_EQ(rc, POOL_INIT_FAILED); /* known already */
		CHECK_EQ(calls, 0);
	}
	int64_t x[4] = { 0 }, y[4];
	int32_t statuses[4];
	struct pool_failure failure = { 0 };
	struct pool_policy blocking = { .statuses = statuses, .failure = &failure };
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 4, y, 8, &blocking), POOL_INIT_FAILED);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(statuses[i], POOL_INIT_FAILED);
	CHECK(strstr(failure.message, "no license for widgets (8)") != NULL);
	pool_failure_clear(&failure);
	CHECK_EQ(shared_get(9), 0);
	suite_finish(pool);
}

/* The name of a row -> int64_t: the sum of squares computed by a pool of this task's own. */
static int pool_in_a_task(struct pool_call *call)
{
	char name[64] = { 0 };
	memcpy(name, pool_arg(call, 0), pool_arg_size(call, 0) % sizeof name);
	struct pool *pool;
	int rc = pool_open(&pool, &(struct pool_options){ .backend = name, .workers = 2 });
	if (rc < 0)
		return pool_fail(call, 1, "open: %s", pool_strerror(rc));
	int64_t x[10] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 }, y[10] = { 0 };
	rc = pool_map(pool, suite_square, x, 8, 10, y, 8, NULL);
	pool_close(pool);
	int joined = pool_join(pool, WAIT);
	pool_destroy(pool);
	int64_t sum = 0;
	for (int i = 0; i < 10; i++)
		sum += y[i];
	*(int64_t *)pool_result(call) = sum;
	return rc ? rc : joined;
}
POOL_TASK(pool_in_a_task)

static void task_may_have_a_pool_of_its_own(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (unsigned b = 0; pool_backend_info(b); b++) {
		struct pool_bytes names[4];
		int64_t sums[4];
		const char *name = pool_backend_info(b)->name;
		for (int i = 0; i < 4; i++)
			names[i] = (struct pool_bytes){ (void *)(uintptr_t)name, strlen(name) };
		struct pool_failure failure = { 0 };
		CHECK_EQ(pool_map(pool, POOL(pool_in_a_task), names, POOL_VARIABLE, 4, sums, 8,
				  &(struct pool_policy){ .failure = &failure }),
			 0);
		for (int i = 0; i < 4; i++)
			CHECK_EQ(sums[i], 285);
	}
	suite_finish(pool);
}

/* A pool's address -> what its calls answer here. */
static int use_own_pool(struct pool_call *call)
{
	struct pool *pool = *(struct pool *const *)pool_arg(call, 0);
	int32_t *answers = pool_result(call);
	int64_t x = 1, y;
	struct pool_column arg = { &x, 8 };
	struct pool_async *async;
	struct pool_iter *iter;
	answers[0] = pool_apply(pool, suite_square, &arg, 1, &y, 8, NULL);
	answers[1] = pool_map(pool, suite_square, &x, 8, 1, &y, 8, NULL);
	answers[2] = pool_apply_async(pool, suite_square, &arg, 1, 8, NULL, &async);
	answers[3] = pool_imap(pool, suite_square, pool_array(&x, 8, 1), 8, NULL, &iter);
	answers[4] = pool_close(pool);
	answers[5] = pool_join(pool, POOL_FOREVER);
	answers[6] = pool_terminate(pool);
	return 0;
}
POOL_TASK(use_own_pool)

static void task_must_not_use_the_pool_that_runs_it(const struct pool_backend_info *row)
{
	if (row->can & POOL_CAN_EXEC)
		return; /* an address means nothing there */
	struct pool *pool = suite_open(row, 2);
	struct pool_column arg = { &pool, sizeof pool };
	int32_t answers[7];
	CHECK_EQ(pool_apply(pool, POOL(use_own_pool), &arg, 1, answers, sizeof answers, NULL), 0);
	for (int i = 0; i < 7; i++)
		CHECK_EQ(answers[i], row->can & POOL_CAN_ISOLATE ? -EPERM : -EDEADLK);
	check_works(pool);
	suite_finish(pool);
}

static void pools_of_all_rows_live_side_by_side(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t *in = pool_alloc(pool, 512 * 8), *out = pool_alloc(pool, 512 * 8);
	CHECK(in && out);
	for (int i = 0; i < 512; i++)
		in[i] = i;
	for (unsigned b = 0; pool_backend_info(b); b++) {
		struct pool *other = suite_open(pool_backend_info(b), 2);
		struct pool_async *here, *there;
		memset(out, 0, 512 * 8);
		/* The first pool's memory is plain memory to the second. */
		CHECK_EQ(pool_map_async(other, suite_square, in, 8, 512, 8, NULL, &there), 0);
		CHECK_EQ(pool_map_async(pool, suite_square, in, 8, 512, 8, NULL, &here), 0);
		CHECK_EQ(pool_map(other, suite_square, in, 8, 512, out, 8, NULL), 0);
		for (int i = 0; i < 512; i++)
			CHECK_EQ(out[i], i * i);
		CHECK_EQ(pool_async_get(there, out, WAIT), 0);
		pool_async_release(there);
		suite_finish(other);
		CHECK_EQ(pool_async_get(here, out, WAIT), 0);
		for (int i = 0; i < 512; i++)
			CHECK_EQ(out[i], i * i);
		pool_async_release(here);
	}
	suite_finish(pool);
}

static void idle_worker_killed_from_outside_costs_nothing(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 6; i++) {
		pid_t pid = pool_worker_pid(pool, i % 2);
		if (pid > 0)
			CHECK(kill(pid, SIGKILL) == 0 && suite_is_gone(pid));
		check_works(pool);
		while (pool_worker_pid(pool, i % 2) == pid)
			suite_sleep_ns(MS);
	}
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.lost, 0);
	suite_finish(pool);
}

static void strange_sizes_are_refused(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t x[4] = { 1, 2, 3, 4 }, y[4];
	struct pool_column arg = { x, 8 };
	struct pool_async *async;
	struct pool_iter *iter;
	const struct pool_task *f = suite_square;
	const uint64_t huge = UINT64_MAX / 8 + 2;
	CHECK_EQ(pool_map(pool, f, x, 8, huge, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_map(pool, f, x, 1, huge, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_starmap(pool, f, &arg, 1, huge, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_map(pool, f, x, POOL_VARIABLE, huge, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_map(pool, f, x, 1, huge, y, POOL_VARIABLE, NULL), -EINVAL);
	CHECK_EQ(pool_map_async(pool, f, x, 8, huge, 8, NULL, &async), -EINVAL);
	CHECK_EQ(pool_map_async(pool, f, x, 1, huge, 8, NULL, &async), -EINVAL);
	CHECK_EQ(pool_starmap_async(pool, f, &arg, 1, huge, 8, NULL, &async), -EINVAL);
	CHECK_EQ(pool_imap(pool, f, pool_array(x, 8, huge), 8, NULL, &iter), -EINVAL);
	CHECK_EQ(pool_map(pool, f, NULL, 8, 4, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_map(pool, f, x, 8, 4, NULL, 8, NULL), -EINVAL);
	CHECK_EQ(pool_map(pool, f, NULL, 0, 4, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_map(pool, NULL, x, 8, 4, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_map(NULL, f, x, 8, 4, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_apply(pool, f, NULL, 1, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_apply(NULL, f, &arg, 1, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_starmap(pool, f, NULL, 1, 4, y, 8, NULL), -EINVAL);
	CHECK_EQ(pool_apply_async(pool, f, &arg, 1, 8, NULL, NULL), -EINVAL);
	CHECK_EQ(pool_map_async(pool, f, x, 8, 4, 8, NULL, NULL), -EINVAL);
	CHECK_EQ(pool_imap(pool, f, pool_array(x, 8, 4), 8, NULL, NULL), -EINVAL);
	CHECK_EQ(pool_imap(pool, f, pool_generator(NULL, NULL, 8), 8, NULL, &iter), -EINVAL);
	CHECK_EQ(pool_imap(NULL, f, pool_array(x, 8, 4), 8, NULL, &iter), -EINVAL);
	CHECK_EQ(pool_map(pool, f, NULL, 8, 0, NULL, 8, NULL), 0);
	CHECK_EQ(pool_starmap(pool, f, &(struct pool_column){ NULL, 8 }, 1, 0, NULL, 8, NULL), 0);
	errno = 0;
	CHECK(pool_alloc(pool, UINT64_MAX - 10) == NULL && errno == ENOMEM);
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.submitted, 0);
	CHECK_EQ(pool_stats(pool, NULL), -EINVAL);
	CHECK_EQ(pool_worker_stats(pool, 0, NULL), -EINVAL);
	check_works(pool);
	suite_finish(pool);
}

static void nothing_is_no_pool_handle_or_iterator(const struct pool_backend_info *row)
{
	struct pool *pool;
	struct pool_stats stats;
	CHECK_EQ(pool_open(NULL, &(struct pool_options){ .backend = row->name }), -EINVAL);
	CHECK_EQ(pool_open(&pool, &(struct pool_options){ .backend = row->name, .workers = -1 }),
		 -EINVAL);
	CHECK_EQ(pool_open(&pool, &(struct pool_options){ .backend = row->name,
							  .workers = POOL_WORKERS_MAX + 1 }),
		 -EINVAL);
	CHECK_EQ(pool_open(&pool, &(struct pool_options){ .backend = row->name, .grace_ns = -2 }),
		 -EINVAL);
	CHECK_EQ(pool_open(&pool, &(struct pool_options){ .backend = "no such" }), POOL_NO_BACKEND);
	CHECK_EQ(pool_close(NULL), -EINVAL);
	CHECK_EQ(pool_terminate(NULL), -EINVAL);
	CHECK_EQ(pool_join(NULL, 0), -EINVAL);
	CHECK_EQ(pool_stats(NULL, &stats), -EINVAL);
	CHECK_EQ(pool_async_get(NULL, NULL, 0), -EINVAL);
	CHECK_EQ(pool_async_wait(NULL, 0), -EINVAL);
	CHECK_EQ(pool_async_cancel(NULL), -EINVAL);
	CHECK_EQ(pool_async_successful(NULL), -EINVAL);
	CHECK_EQ(pool_async_status(NULL, 0), -EINVAL);
	CHECK_EQ(pool_iter_next(NULL, NULL, 0), -EINVAL);
	CHECK(pool_async_failure(NULL) == NULL);
	pool_async_release(NULL);
	pool_iter_release(NULL);
	pool_destroy(NULL);
	pool_bytes_free(NULL, 0);
	const int rows[] = { 0, 1, INT_MIN, INT_MAX, -999999, POOL_TASK_ERROR + 1, POOL_BUSY - 1 };
	for (size_t i = 0; i < COUNT(rows); i++)
		CHECK(pool_strerror(rows[i]) && *pool_strerror(rows[i]));
	for (int a = POOL_TASK_ERROR; a >= POOL_BUSY; a--)
		for (int b = a - 1; b >= POOL_BUSY; b--)
			CHECK(strcmp(pool_strerror(a), pool_strerror(b)) != 0);
	for (int e = 1; e < 134; e++)
		CHECK(pool_strerror(-e) && *pool_strerror(-e));
}

static const struct suite_case cases[] = {
	CASE(stats_add_up, 0),
	CASE(finalizer_runs_once_for_each_worker_in_peace, 0),
	CASE(recycled_workers_keep_an_iteration_in_order, POOL_CAN_REUSE | POOL_CAN_ISOLATE),
	CASE(initializer_that_fails_says_why, 0),
	CASE(task_may_have_a_pool_of_its_own, 0),
	CASE(task_must_not_use_the_pool_that_runs_it, 0),
	CASE(pools_of_all_rows_live_side_by_side, 0),
	CASE(idle_worker_killed_from_outside_costs_nothing, POOL_CAN_SURVIVE | POOL_CAN_REUSE),
	CASE(strange_sizes_are_refused, 0),
	CASE(nothing_is_no_pool_handle_or_iterator, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
