/*
 * test_header_waits.c - the manual taken at its word: handles, callbacks, iterators, timeouts.
 *
 * Cases written from pool.h alone; see test_header.c.
 */
#include "suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Words of the gate task. */
#define BEGUN 100
#define OPEN 101

/* int64_t -> its square, once the gate is open. */
static int gated(struct pool_call *call)
{
	int64_t x = *(const int64_t *)pool_arg(call, 0);
	shared_add(BEGUN, 1);
	if (!shared_reaches(OPEN, 1))
		return 1;
	*(int64_t *)pool_result(call) = x * x;
	return 0;
}
POOL_TASK(gated)

static struct pool_async *start_gated(struct pool *pool, int64_t x)
{
	struct pool_async *async;
	struct pool_column arg = { &x, sizeof x };
	CHECK_EQ(pool_apply_async(pool, POOL(gated), &arg, 1, sizeof x, NULL, &async), 0);
	x = -1; /* copied before the call returned */
	return async;
}

/* A callback's errands in another place than the test's thread. */
struct plan {
	struct pool *pool;
	struct pool_async *victim;
	atomic_int cancelled;
	atomic_int calls;
	atomic_int running;
	bool opens; /* the gate: a worker that can be killed stays before it until it is */
};

static int cancel_victim_and_let_go(struct pool_async *async, void *user)
{
	struct plan *plan = user;
	const struct pool_failure *failure = pool_async_failure(async);
	CHECK(failure && failure->status == POOL_TASK_ERROR && failure->code == 6);
	plan->cancelled = pool_async_cancel(plan->victim);
	pool_async_release(async);
	plan->calls++;
	if (plan->opens)
		shared_set(OPEN, 1);
	return 5;
}

static void error_callback_cancels_another_and_releases_itself(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct plan plan = { .pool = pool, .opens = !(row->can & POOL_CAN_KILL) };
	struct pool_policy policy = { .error_callback = cancel_victim_and_let_go, .user = &plan };
	struct pool_async *victim = start_gated(pool, 5);
	plan.victim = victim;
	suite_start(pool, (struct errand){ .deed = DEED_FAIL, .code = 6 }, &policy);
	int status = pool_async_get(victim, NULL, WAIT);
	CHECK(status == -ECANCELED || (status == 0 && !(row->can & POOL_CAN_KILL)));
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	CHECK_EQ(plan.calls, 1);
	CHECK_EQ(plan.cancelled, 0);
	pool_async_release(victim);
	suite_finish(pool);
}

static int submit_and_wait(struct pool_async *async, void *user)
{
	struct plan *plan = user;
	CHECK_EQ(plan->running++, 0);
	CHECK(pool_async_ready(async));
	struct pool_async *other =
		suite_start(plan->pool, (struct errand){ .value = 12, .word = 1 }, NULL);
	int64_t y = 0;
	CHECK_EQ(pool_async_get(other, &y, WAIT), 0);
	CHECK_EQ(y, 144);
	pool_async_release(other);
	plan->running--;
	return 100 + plan->calls++;
}

static void callbacks_submit_wait_and_run_one_at_a_time(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct plan plan = { .pool = pool };
	struct pool_policy policy = { .callback = submit_and_wait, .user = &plan };
	struct pool_async *asyncs[6];
	for (int i = 0; i < 5; i++)
		asyncs[i] = suite_start(pool, (struct errand){ .value = i }, &policy);
	CHECK_EQ(pool_map_async(pool, suite_square, NULL, sizeof(int64_t), 0, sizeof(int64_t),
				&policy, &asyncs[5]),
		 0);
	bool seen[6] = { false };
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(pool_async_wait(asyncs[i], WAIT), 0);
		int kept = pool_async_callback_result(asyncs[i]) - 100;
		CHECK(kept >= 0 && kept < 6 && !seen[kept]);
		seen[kept] = true;
		CHECK_EQ(pool_async_successful(asyncs[i]), 1);
		pool_async_release(asyncs[i]);
	}
	CHECK_EQ(plan.calls, 6);
	suite_finish(pool);
}

static atomic_int timeouts, answers;

static void *get_impatiently(void *user)
{
	int64_t y[100];
	int rc;
	while ((rc = pool_async_get(user, y, 2 * MS)) == -ETIMEDOUT)
		timeouts++;
	CHECK_EQ(rc, 0);
	for (int64_t i = 0; i < 100; i++)
		CHECK_EQ(y[i], i * i);
	answers++;
	return NULL;
}

static void eight_threads_get_one_handle_with_timeouts(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t x[100];
	for (int i = 0; i < 100; i++)
		x[i] = i;
	struct pool_async *async;
	CHECK_EQ(pool_map_async(pool, POOL(gated), x, sizeof *x, 100, sizeof *x, NULL, &async), 0);
	memset(x, 0, sizeof x);
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, get_impatiently, async), 0);
	CHECK_EQ(pool_async_get(async, NULL, 0), -ETIMEDOUT);
	CHECK_EQ(pool_async_successful(async), -EINVAL);
	CHECK_EQ(pool_async_status(async, 0), -EAGAIN);
	CHECK(pool_async_failure(async) == NULL);
	while (timeouts < 8)
		suite_sleep_ns(MS);
	shared_set(OPEN, 1);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(answers, 8);
	CHECK_EQ(pool_async_cancel(async), POOL_BUSY);
	pool_async_release(async);
	suite_finish(pool);
}

/* What each thread of the next case waits in. */
struct waiter {
	struct pool *pool;
	struct pool_async *async;
	struct pool_iter *iter;
	int how;
};

static void *wait_somewhere(void *user)
{
	struct waiter *w = user;
	int64_t x[3] = { 0 }, y[3];
	struct pool_column arg = { x, sizeof *x };
	shared_add(1, 1);
	if (w->how == 0)
		CHECK_EQ(pool_apply(w->pool, POOL(gated), &arg, 1, y, 8, NULL), POOL_TERMINATED);
	if (w->how == 1)
		CHECK_EQ(pool_map(w->pool, POOL(gated), x, 8, 3, y, 8, NULL), POOL_TERMINATED);
	if (w->how == 2)
		CHECK_EQ(pool_async_get(w->async, NULL, POOL_FOREVER), POOL_TERMINATED);
	if (w->how == 3)
		CHECK_EQ(pool_async_wait(w->async, HOUR), 0);
	if (w->how == 4) {
		int count = 0, rc;
		while ((rc = pool_iter_next(w->iter, y, POOL_FOREVER)) != POOL_END) {
			CHECK_EQ(rc, POOL_TERMINATED);
			CHECK(++count <= 3);
		}
		CHECK_EQ(count, 1);
	}
	if (w->how == 5)
		CHECK_EQ(pool_join(w->pool, POOL_FOREVER), 0);
	return NULL;
}

static void terminate_wakes_everybody_who_waits(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t x[3] = { 0 };
	struct pool_async *async = start_gated(pool, 1);
	struct pool_iter *iter = NULL;
	struct waiter waiters[6];
	pthread_t threads[6];
	for (int i = 0; i < 6; i++) {
		if (i ==
		    2) { /* apply and map must have submitted before nothing more is accepted */
			struct pool_stats stats;
			do
				CHECK_EQ(pool_stats(pool, &stats), 0);
			while (stats.submitted < 1 + 1 + 3);
			CHECK_EQ(pool_imap(pool, POOL(gated), pool_array(x, 8, 3), 8, NULL, &iter),
				 0);
		}
		waiters[i] = (struct waiter){ pool, async, i < 2 ? NULL : iter, i };
		if (i == 5) {
			while (shared_get(1) < 5)
				suite_sleep_ns(MS);
			CHECK_EQ(pool_close(pool), 0);
		}
		CHECK_EQ(pthread_create(&threads[i], NULL, wait_somewhere, &waiters[i]), 0);
	}
	CHECK(shared_reaches(1, 6) && shared_reaches(BEGUN, 1));
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK(pool_async_ready(async));
	for (int i = 0; i < 6; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	CHECK_EQ(pool_terminate(pool), 0);
	pool_async_release(async);
	pool_iter_release(iter);
	suite_finish(pool);
}

static void handles_and_iterators_outlive_their_pool(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t x[40], y = 0;
	for (int i = 0; i < 40; i++)
		x[i] = i;
	struct pool_async *failed =
		suite_start(pool, (struct errand){ .deed = DEED_FAIL, .code = 3 }, NULL);
	struct pool_async *done;
	CHECK_EQ(pool_map_async(pool, suite_square, x, 8, 40, 8, NULL, &done), 0);
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 40), 8, NULL, &iter), 0);
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
	CHECK_EQ(pool_async_wait(done, WAIT), 0);
	CHECK_EQ(pool_async_wait(failed, WAIT), 0);
	struct pool_async *stuck = NULL;
	if (row->can & POOL_CAN_KILL)
		stuck = suite_start(pool, (struct errand){ .deed = DEED_DEAF }, NULL);
	pool_destroy(pool);
	int64_t squares[40];
	CHECK_EQ(pool_async_get(done, squares, 0), 0);
	CHECK_EQ(pool_async_count(done), 40);
	for (int64_t i = 0; i < 40; i++)
		CHECK_EQ(squares[i], i * i);
	CHECK_EQ(pool_async_get(failed, NULL, 0), POOL_TASK_ERROR);
	CHECK_EQ(pool_async_failure(failed)->code, 3);
	if (stuck) {
		CHECK_EQ(pool_async_get(stuck, NULL, 0), POOL_TERMINATED);
		CHECK_EQ(pool_async_status(stuck, 0), POOL_TERMINATED);
		CHECK_EQ(pool_async_cancel(stuck), POOL_BUSY);
	}
	int rc;
	for (int64_t i = 1; (rc = pool_iter_next(iter, &y, POOL_FOREVER)) != POOL_END; i++) {
		CHECK(i < 42);
		if (rc == 0)
			CHECK_EQ(y, i * i);
		else
			CHECK_EQ(rc, POOL_TERMINATED);
	}
	CHECK_EQ(pool_iter_next(iter, &y, 0), POOL_END);
	pool_iter_release(iter);
	pool_async_release(done);
	pool_async_release(failed);
	pool_async_release(stuck);
}

static void released_handle_goes_on_and_released_iterator_stops(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct errand errands[20];
	for (int i = 0; i < 20; i++)
		errands[i] = (struct errand){ .value = i, .word = 3 };
	struct pool_async *async;
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, 20, 8, NULL, &async),
		 0);
	pool_async_release(async);
	struct pool_iter *iters[POOL_ITERATORS_MAX + 1];
	for (int i = 0; i < POOL_ITERATORS_MAX; i++) {
		errands[i % 20].word = 4;
		CHECK_EQ(pool_imap(pool, suite_errand, pool_array(errands, sizeof *errands, 20), 8,
				   &(struct pool_policy){ .window = 1 }, &iters[i]),
			 0);
	}
	struct pool_source source = pool_array(errands, sizeof *errands, 20);
	CHECK_EQ(pool_imap(pool, suite_errand, source, 8, NULL, &iters[POOL_ITERATORS_MAX]),
		 -EMFILE);
	for (int i = 0; i < POOL_ITERATORS_MAX; i += 2)
		pool_iter_release(iters[i]);
	CHECK_EQ(pool_imap(pool, suite_errand, source, 8, NULL, &iters[0]), 0);
	pool_iter_release(iters[0]);
	for (int i = 1; i < POOL_ITERATORS_MAX; i += 2) {
		CHECK_EQ(pool_iter_next(iters[i], NULL, WAIT), 0);
		pool_iter_release(iters[i]);
	}
	CHECK(shared_reaches(3, 20));
	suite_finish(pool);
	CHECK_EQ(shared_get(3), 20);
}

static int do_nothing(struct pool_call *call)
{
	return pool_result(call) != NULL;
}
POOL_TASK(do_nothing)

static void limits_of_the_type_are_no_trap(const struct pool_backend_info *row)
{
	const int64_t huge = INT64_MAX;
	struct pool_options options = { .backend = row->name,
					.workers = 2,
					.tasks_per_worker = huge,
					.task_timeout_ns = huge,
					.initializer_timeout_ns = huge,
					.initializer = POOL(do_nothing) };
	struct pool *pool;
	bool kills = row->can & POOL_CAN_KILL;
	if (!kills)
		CHECK_EQ(pool_open(&pool, &options), -ENOTSUP);
	options.task_timeout_ns = kills ? huge : 0;
	pool = suite_open_with(row, options);
	struct pool_policy policy = { .chunk = huge,
				      .window = huge,
				      .timeout_ns = huge,
				      .task_timeout_ns = kills ? huge : 0,
				      .retries = INT32_MAX };
	int64_t x[9] = { 0, 1, 2, 3, 4, 5, 6, 7, 8 }, y[9];
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 9, y, 8, &policy), 0);
	CHECK_EQ(y[8], 64);
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 9), 8, &policy, &iter), 0);
	for (int i = 0; i < 9; i++) {
		CHECK_EQ(pool_iter_next(iter, y, huge), 0);
		CHECK_EQ(*y, i * i);
	}
	CHECK_EQ(pool_iter_next(iter, y, -2), -EINVAL);
	CHECK_EQ(pool_iter_next(iter, y, huge), POOL_END);
	pool_iter_release(iter);
	policy.window = 1;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 9), 8, &policy, &iter), 0);
	CHECK_EQ(pool_iter_next(iter, y, huge), 0);
	pool_iter_release(iter);
	policy.timeout_ns = 0;
	struct pool_async *async =
		suite_start(pool, (struct errand){ .value = 9, .nap_ns = MS }, &policy);
	CHECK_EQ(pool_async_get(async, y, INT64_MIN), -EINVAL);
	CHECK_EQ(pool_async_wait(async, -2), -EINVAL);
	CHECK_EQ(pool_async_get(async, y, huge), 0);
	CHECK_EQ(*y, 81);
	pool_async_release(async);
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, huge), 0);
	pool_destroy(pool);
}

static const struct suite_case cases[] = {
	CASE(error_callback_cancels_another_and_releases_itself, POOL_CAN_OVERLAP),
	CASE(callbacks_submit_wait_and_run_one_at_a_time, 0),
	CASE(eight_threads_get_one_handle_with_timeouts, POOL_CAN_OVERLAP),
	CASE(terminate_wakes_everybody_who_waits, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(handles_and_iterators_outlive_their_pool, 0),
	CASE(released_handle_goes_on_and_released_iterator_stops, 0),
	CASE(limits_of_the_type_are_no_trap, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
