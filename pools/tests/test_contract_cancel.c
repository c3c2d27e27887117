/* test_contract_cancel.c - cancelling, time limits, and the callbacks of what did not end well.
 * Numbers in comments are those of the list of behaviours that the pool was specified by. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 82: queued */
static void cancel_queued_never_runs(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct pool_async *busy = suite_start(pool, (struct errand){ .word = 1, .gate = 3 }, NULL);
	CHECK(shared_reaches(1, 1));
	struct pool_async *queued[20];
	for (int i = 0; i < 20; i++)
		queued[i] = suite_start(pool, (struct errand){ .word = 2 }, NULL);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(pool_async_cancel(queued[i]), 0);
	for (int i = 0; i < 20; i++) {
		CHECK_EQ(pool_async_get(queued[i], NULL, WAIT), -ECANCELED);
		CHECK_EQ(pool_async_cancel(queued[i]), POOL_BUSY);
		pool_async_release(queued[i]);
	}
	shared_set(3, 1);
	CHECK_EQ(pool_async_get(busy, NULL, WAIT), 0);
	pool_async_release(busy);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	suite_finish(pool);
	CHECK_EQ(shared_get(2), 0);
}

/* 82: running */
static void cancel_running_is_stopped_and_the_next_task_is_not(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .grace_ns = 20 * MS });
	struct pool_async *neighbour =
		suite_start(pool, (struct errand){ .value = 4, .nap_ns = 300 * MS }, NULL);
	for (int i = 1; i <= 3; i++) {
		struct errand stuck = { .deed = i == 2 ? DEED_DEAF : DEED_STUCK, .word = 1 };
		struct pool_async *async = suite_start(pool, stuck, NULL);
		CHECK(shared_reaches(1, i));
		CHECK_EQ(pool_async_cancel(async), 0);
		CHECK_EQ(pool_async_get(async, NULL, WAIT), -ECANCELED);
		pool_async_release(async);
		for (int k = 0; k < 5; k++)
			CHECK_EQ(suite_do(pool, (struct errand){ .value = k }), 0);
	}
	CHECK_EQ(pool_async_get(neighbour, NULL, WAIT), 0);
	pool_async_release(neighbour);
	suite_finish(pool);
	CHECK_EQ(shared_get(1), 3);
}

/* 82: a running item of a row that cannot kill is waited for */
static void cancel_running_map_resolves_and_drops_the_rest(const struct pool_backend_info *row)
{
	struct errand errands[50];
	struct pool *pool = suite_open(row, 2);
	struct pool_async *async = NULL;
	for (int i = 0; i < 50; i++)
		errands[i] = (struct errand){ .nap_ns = 200 * MS, .word = 1 };
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, 50, 8,
				&(struct pool_policy){ .chunk = 1 }, &async),
		 0);
	CHECK(shared_reaches(1, 2));
	CHECK_EQ(pool_async_cancel(async), 0);
	CHECK_EQ(pool_async_get(async, NULL, WAIT), -ECANCELED);
	CHECK_EQ(pool_async_status(async, 49), -ECANCELED);
	int64_t ran = shared_get(1);
	CHECK(ran < 50);
	pool_async_release(async);
	suite_finish(pool);
	CHECK_EQ(shared_get(1), ran);
}

/* 82: finished; while workers complete them */
static void cancel_racing_with_completion_has_one_outcome(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *handles[100];
	for (unsigned i = 0; i < 100; i++)
		handles[i] = suite_start(pool, (struct errand){ .value = i, .word = 10 + i }, NULL);
	for (int i = 0; i < 100; i++) {
		int rc = pool_async_cancel(handles[i]);
		CHECK(rc == 0 || rc == POOL_BUSY);
	}
	for (unsigned i = 0; i < 100; i++) {
		int64_t value = -1;
		int rc = pool_async_get(handles[i], &value, WAIT);
		CHECK((rc == 0 && value == (int64_t)i * i && shared_get(10 + i) == 1) ||
		      rc == -ECANCELED);
		CHECK_EQ(pool_async_get(handles[i], NULL, 0), rc);
		CHECK(shared_get(10 + i) <= 1);
		pool_async_release(handles[i]);
	}
	for (int i = 0; i < 20; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ .value = i }), 0);
	suite_finish(pool);
}

/* 81 */
static void task_timeout_stops_stuck_tasks_only(const struct pool_backend_info *row)
{
	const struct errand stuck[] = { { .nap_ns = HOUR, .word = 1 },
					{ .deed = DEED_STUCK, .word = 2 },
					{ .deed = DEED_DEAF, .word = 3 },
					{ .deed = DEED_STOP, .word = 4 } };
	struct pool *pool = suite_open_with(row, (struct pool_options){ .workers = 2,
									.task_timeout_ns = 200 * MS,
									.grace_ns = 30 * MS });
	const struct pool_policy patient = { .task_timeout_ns = WAIT };
	for (unsigned i = 0; i < COUNT(stuck); i++) {
		int64_t start = suite_now_ns();
		struct pool_async *bad = suite_start(pool, stuck[i], NULL), *behind[4];
		for (int64_t k = 0; k < 4; k++)
			behind[k] = suite_start(pool, (struct errand){ .value = k }, &patient);
		CHECK_EQ(pool_async_get(bad, NULL, WAIT), POOL_TASK_TIMEOUT);
		CHECK(suite_now_ns() - start >= 200 * MS);
		CHECK(shared_get(stuck[i].word) <= 1); /* it may have had no processor */
		for (int k = 0; k < 4; k++) {
			CHECK_EQ(pool_async_get(behind[k], NULL, WAIT), 0);
			pool_async_release(behind[k]);
		}
		pool_async_release(bad);
	}
	suite_finish(pool);
}

/* 81 */
static void task_timeout_does_not_count_the_queue(const struct pool_backend_info *row)
{
	struct pool_async *handles[8];
	struct pool_policy policy = { .task_timeout_ns = SECOND };
	struct pool *pool = suite_open(row, 1);
	int late = 1;
	for (int tries = 0; tries < 5 && late; tries++) { /* a worker may have no processor */
		late = 0;
		for (int i = 0; i < 8; i++)
			handles[i] =
				suite_start(pool, (struct errand){ .nap_ns = 150 * MS }, &policy);
		for (int i = 0; i < 8; i++) {
			late += pool_async_get(handles[i], NULL, WAIT) != 0;
			pool_async_release(handles[i]);
		}
	}
	CHECK_EQ(late, 0);
	suite_finish(pool);
}

/* One chunk of six, of which one is stuck; true: that one is over its limit, and all others are fine. */
static bool only_the_stuck_one_is_late(struct pool *pool)
{
	struct errand errands[6];
	int32_t statuses[6];
	int64_t out[6];
	bool fine = true;
	for (unsigned i = 0; i < 6; i++) {
		errands[i] = (struct errand){ .value = i,
					      .nap_ns = i == 4 ? HOUR : 280 * MS,
					      .word = 1 + i };
		shared_set(1 + i, 0);
	}
	struct pool_policy policy = { .chunk = 6, .statuses = statuses, .task_timeout_ns = SECOND };
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, 6, out, 8, &policy),
		 POOL_TASK_TIMEOUT);
	for (unsigned i = 0; i < 6; i++) {
		CHECK(statuses[i] != 0 || out[i] == (int64_t)i * i);
		fine = fine && statuses[i] == (i == 4 ? POOL_TASK_TIMEOUT : 0) &&
		       shared_get(1 + i) == 1;
	}
	return fine;
}

/* 81: each item of a chunk has the limit for itself; the stuck one does not take its mates along */
static void task_timeout_is_an_item_s_and_not_a_chunk_s(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1, .grace_ns = 20 * MS });
	int tries = 1; /* the worker may have no processor for so long */
	while (!only_the_stuck_one_is_late(pool))
		CHECK(++tries <= 5);
	suite_finish(pool);
}

/* 81: a task that ends at its deadline has exactly one outcome */
static void task_timeout_racing_with_completion_has_one_outcome(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .grace_ns = 10 * MS });
	struct pool_policy policy = { .task_timeout_ns = 20 * MS };
	for (unsigned i = 0; i < 30; i++) {
		struct errand close_call = { .value = 3, .nap_ns = 20 * MS, .word = 1 + i };
		struct pool_async *async = suite_start(pool, close_call, &policy);
		int64_t value = -1;
		int rc = pool_async_get(async, &value, WAIT);
		CHECK((rc == 0 && value == 9) || rc == POOL_TASK_TIMEOUT);
		CHECK_EQ(pool_async_get(async, NULL, 0), rc);
		CHECK(shared_get(1 + i) <= 1);
		pool_async_release(async);
	}
	suite_finish(pool);
}

static int note_status(struct pool_async *async, void *user)
{
	const struct pool_failure *failure = pool_async_failure(async);
	int64_t *noted = user;
	noted[0] += 1;
	noted[1] = failure ? failure->status : 1;
	return 0;
}

static int note_good(struct pool_async *async, void *user)
{
	int64_t *noted = user;
	(void)async;
	noted[2] += 1;
	return 0;
}

/* Starts a task that is made to end badly by `policy`, cancel or terminate; checks the callbacks. */
static void expect_callback(struct pool *pool, struct errand errand, int64_t limit_ns,
			    void (*spoil)(struct pool *pool, struct pool_async *async), int status)
{
	int64_t noted[3] = { 0 };
	struct pool_policy policy = { .callback = note_good,
				      .error_callback = note_status,
				      .user = noted,
				      .task_timeout_ns = limit_ns };
	errand.word = 7;
	shared_set(7, 0);
	struct pool_async *async = suite_start(pool, errand, &policy);
	if (spoil) {
		CHECK(shared_reaches(7, 1));
		spoil(pool, async);
	}
	CHECK_EQ(pool_async_get(async, NULL, WAIT), status);
	CHECK_EQ(noted[0], 1);
	CHECK_EQ(noted[1], status);
	CHECK_EQ(noted[2], 0);
	pool_async_release(async);
}

static void spoil_by_cancel(struct pool *pool, struct pool_async *async)
{
	(void)pool;
	CHECK_EQ(pool_async_cancel(async), 0);
}

static void spoil_by_terminate(struct pool *pool, struct pool_async *async)
{
	(void)async;
	CHECK_EQ(pool_terminate(pool), 0);
}

/* 52 */
static void error_callback_fires_once_whatever_the_end(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .grace_ns = 20 * MS });
	struct errand stuck = { .nap_ns = HOUR }, killed = { .deed = DEED_KILL };
	expect_callback(pool, stuck, 0, spoil_by_cancel, -ECANCELED);
	expect_callback(pool, stuck, 50 * MS, NULL, POOL_TASK_TIMEOUT);
	expect_callback(pool, killed, 0, NULL, POOL_WORKER_LOST);
	expect_callback(pool, stuck, 0, spoil_by_terminate, POOL_TERMINATED);
	pool_destroy(pool);
}

/* Replaces its result again and again, for ever where it is told to. */
static int replace_result(struct pool_call *call)
{
	const int64_t value = *(const int64_t *)pool_arg(call, 0);
	for (int i = 0; i < 30 || value < 0; i++) {
		const uint64_t size = 500 + (uint64_t)(i % 20) * 150;
		char *result = pool_result_alloc(call, size);
		if (!result)
			return 1;
		memset(result, (int)value, size);
	}
	return 0;
}
POOL_TASK(replace_result)

/* One that is stopped while it gives its result's memory back must not give it twice: others would share it. */
static void stopped_task_spoils_no_result(const struct pool_backend_info *row)
{
	enum { N = 40, SIZE = 500 + 9 * 150 };
	const int64_t stuck = -1;
	int64_t x[N];
	struct pool_bytes y[N];
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < N; i++)
		x[i] = i;
	for (int k = 0; k < 40; k++)
		CHECK_EQ(pool_map(pool, POOL(replace_result), &stuck, 8, 1, y, POOL_VARIABLE,
				  &(struct pool_policy){ .task_timeout_ns = MS }),
			 POOL_TASK_TIMEOUT);
	CHECK_EQ(pool_map(pool, POOL(replace_result), x, 8, N, y, POOL_VARIABLE, NULL), 0);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(y[i].size, SIZE);
		for (int k = 0; k < SIZE; k++)
			CHECK_EQ(((char *)y[i].data)[k], i);
	}
	pool_bytes_free(y, N);
	suite_finish(pool);
}

enum { BEGUN = 1, SHORT_ONES, SHORT = 20000, ALL = 40000, A_CLAIM = 4096 };

/* An item fails behind many short ones, and all others are longer; counted from there on. */
static int grow_long(struct pool_call *call)
{
	const int64_t *deed = pool_arg(call, 0);
	shared_add(*deed ? BEGUN : SHORT_ONES,
		   1); /* a few nanoseconds, so there is a limit to what goes together */
	if (*deed == 0)
		return 0;
	if (*deed == 2)
		return 7;
	suite_sleep_ns(MS);
	return 0;
}
POOL_TASK(grow_long)

/* A few claims' worth of short items may be under way with it; a flight of a pipe, all of which ran, is more. */
static void failing_fast_drops_what_has_not_begun(const struct pool_backend_info *row)
{
	static int64_t deeds[ALL];
	static int32_t statuses[ALL];
	int dropped = 0;
	struct pool *pool = suite_open(row, 1);
	for (int i = 0; i < ALL; i++)
		deeds[i] = i < SHORT ? 0 : i == SHORT ? 2 : 1;
	CHECK_EQ(pool_map(pool, POOL(grow_long), deeds, 8, ALL, NULL, 0,
			  &(struct pool_policy){
				  .chunk = 1, .fail_fast = true, .statuses = statuses }),
		 POOL_TASK_ERROR);
	CHECK(shared_get(BEGUN) < A_CLAIM);
	for (int i = 0; i < ALL; i++)
		dropped += statuses[i] == -ECANCELED;
	CHECK_EQ(dropped, ALL - shared_get(SHORT_ONES) - shared_get(BEGUN));
	suite_finish(pool);
}

/* Who counts its tasks leaves where a chunk ends; but what a chunk is, is the library's own affair here. What goes together
 * is never more than half of what is left, at any speed. */
static void failing_fast_does_not_end_its_chunk(const struct pool_backend_info *row)
{
	static int64_t deeds[ALL / 2];
	for (int i = 0; i < ALL / 2; i++)
		deeds[i] = i < SHORT / 2 ? 0 : i == SHORT / 2 ? 2 : 1;
	for (int counted = 0; counted < 2; counted++) {
		struct pool *pool =
			suite_open_with(row, (struct pool_options){ .workers = 1,
								    .tasks_per_worker =
									    counted ? ALL : 0 });
		shared_set(BEGUN, 0);
		CHECK_EQ(pool_map(pool, POOL(grow_long), deeds, 8, ALL / 2, NULL, 0,
				  &(struct pool_policy){ .fail_fast = true }),
			 POOL_TASK_ERROR);
		CHECK(shared_get(BEGUN) <= ALL / 8);
		suite_finish(pool);
	}
}

static void failing_fast_begins_nothing_behind_a_chunk(const struct pool_backend_info *row)
{
	const int64_t deeds[20] = { 2 };
	struct pool *pool = suite_open(row, 1);
	const int maps = suite_some(row, 100);
	for (int i = 0; i < maps; i++)
		CHECK_EQ(pool_map(pool, POOL(grow_long), deeds, 8, COUNT(deeds), NULL, 0,
				  &(struct pool_policy){ .chunk = 1, .fail_fast = true }),
			 POOL_TASK_ERROR);
	CHECK_EQ(shared_get(BEGUN), maps);
	CHECK_EQ(shared_get(SHORT_ONES), 0);
	suite_finish(pool);
}

static void released_iteration_drops_what_has_not_begun(const struct pool_backend_info *row)
{
	static int64_t deeds[ALL];
	struct pool *pool = suite_open(row, 1);
	struct pool_iter *iter;
	for (int i = 0; i < ALL; i++)
		deeds[i] = i < SHORT ? 0 : 1;
	CHECK_EQ(pool_imap(pool, POOL(grow_long), pool_array(deeds, 8, ALL), 0,
			   &(struct pool_policy){ .chunk = 1 }, &iter),
		 0);
	/* How far it reads ahead is its own affair, up to the window; it may be less than 100. */
	for (int i = 0; i < SHORT - 100 || (i < ALL && shared_get(BEGUN) == 0); i++)
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	CHECK(shared_get(BEGUN) > 0);
	pool_iter_release(iter);
	const int64_t begun = shared_get(BEGUN);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	CHECK(shared_get(BEGUN) - begun < 100); /* a claim is 16 at most */
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(cancel_queued_never_runs, POOL_CAN_OVERLAP),
	CASE(cancel_running_is_stopped_and_the_next_task_is_not, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(cancel_running_map_resolves_and_drops_the_rest, POOL_CAN_OVERLAP),
	CASE(cancel_racing_with_completion_has_one_outcome, 0),
	CASE(task_timeout_stops_stuck_tasks_only, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(task_timeout_does_not_count_the_queue, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(task_timeout_is_an_item_s_and_not_a_chunk_s, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(task_timeout_racing_with_completion_has_one_outcome, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(stopped_task_spoils_no_result, POOL_CAN_KILL),
	CASE(failing_fast_drops_what_has_not_begun, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(failing_fast_does_not_end_its_chunk, POOL_CAN_OVERLAP),
	CASE(failing_fast_begins_nothing_behind_a_chunk, 0),
	CASE(released_iteration_drops_what_has_not_begun, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(error_callback_fires_once_whatever_the_end,
	     POOL_CAN_OVERLAP | POOL_CAN_KILL | POOL_CAN_SURVIVE),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
