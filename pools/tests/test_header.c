/*
 * test_header.c - the manual taken at its word: calls, arguments, results and failures.
 *
 * Cases written from pool.h alone, by somebody who had not read the library: what that header
 * promises or implies and a nasty but fair user would rely on. The other
 * test_header_*.c go on with results, handles, iterations, workers and the host program.
 */
#include "suite.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* bytes, int64_t, bytes -> the two around the number's low byte; the first execution of the item
 * whose number is negative takes the worker with it. */
static int sandwich(struct pool_call *call)
{
	uint64_t left = pool_arg_size(call, 0), right = pool_arg_size(call, 2);
	const int64_t *filling = pool_arg(call, 1);
	if (shared_add((unsigned)pool_index(call), 1) == 1 && *filling < 0)
		raise(SIGKILL);
	unsigned char *out = pool_result_alloc(call, left + 1 + right);
	if (!out)
		return pool_fail(call, ENOMEM, "no memory");
	memcpy(out, pool_arg(call, 0), left);
	out[left] = (unsigned char)*filling;
	memcpy(out + left + 1, pool_arg(call, 2), right);
	return 0;
}
POOL_TASK(sandwich)

#define PIECES 50
static void starmap_of_bytes_retries_a_worker_that_dies_at_the_last_item(
	const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_bytes left[PIECES], right[PIECES], out[PIECES];
	int64_t filling[PIECES];
	int32_t statuses[PIECES];
	for (unsigned i = 0; i < PIECES; i++) {
		suite_fill(&left[i], i * 7 % 23, i);
		suite_fill(&right[i], i * i * 41, i + 1);
		filling[i] = i == PIECES - 1 ? -1 : (int64_t)i;
	}
	struct pool_column columns[3] = { { left, POOL_VARIABLE },
					  { filling, sizeof *filling },
					  { right, POOL_VARIABLE } };
	CHECK_EQ(pool_starmap(pool, POOL(sandwich), columns, 3, PIECES, out, POOL_VARIABLE,
			      &(struct pool_policy){ .retries = 1, .statuses = statuses }),
		 0);
	for (unsigned i = 0; i < PIECES; i++) {
		CHECK_EQ(statuses[i], 0);
		CHECK_EQ(shared_get(i), i == PIECES - 1 ? 2 : 1);
		CHECK_EQ(out[i].size, left[i].size + 1 + right[i].size);
		unsigned char *got = out[i].data;
		CHECK(memcmp(got, left[i].data, left[i].size) == 0);
		CHECK_EQ(got[left[i].size], (unsigned char)filling[i]);
		CHECK(memcmp(got + left[i].size + 1, right[i].data, right[i].size) == 0);
		free(left[i].data);
		free(right[i].data);
	}
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.retried, 1);
	CHECK_EQ(stats.done, PIECES);
	CHECK_EQ(stats.lost, 0);
	pool_bytes_free(out, PIECES);
	for (unsigned i = 0; i < PIECES; i++)
		CHECK(out[i].data == NULL && out[i].size == 0);
	suite_finish(pool);
}

#define MANY 2000
static void fail_fast_gives_every_item_its_status(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	static struct errand errands[MANY];
	for (int i = 0; i < MANY; i++)
		errands[i] = (struct errand){ .value = i, .nap_ns = MS, .word = 1 };
	errands[10].deed = DEED_FAIL;
	errands[10].code = 77;
	struct pool_async *async;
	struct pool_policy policy = { .chunk = 1, .fail_fast = true };
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, MANY, sizeof(int64_t),
				&policy, &async),
		 0);
	static int64_t results[MANY];
	CHECK_EQ(pool_async_get(async, results, WAIT), POOL_TASK_ERROR);
	int64_t done = 0, cancelled = 0;
	for (int i = 0; i < MANY; i++) {
		int status = pool_async_status(async, (uint64_t)i);
		done += status == 0;
		cancelled += status == -ECANCELED;
		if (status == 0)
			CHECK_EQ(results[i], (int64_t)i * i);
		if (i < 10)
			CHECK_EQ(status, 0);
		if (i == 10)
			CHECK_EQ(status, POOL_TASK_ERROR);
	}
	CHECK_EQ(done + 1 + cancelled, MANY);
	CHECK_EQ(shared_get(1), done + 1);
	CHECK(cancelled > 0);
	CHECK_EQ(pool_async_status(async, MANY), -EINVAL);
	CHECK_EQ(pool_async_successful(async), 0);
	const struct pool_failure *failure = pool_async_failure(async);
	CHECK(failure != NULL);
	CHECK_EQ(failure->index, 10);
	CHECK_EQ(failure->code, 77);
	CHECK(strstr(failure->message, "errand 10") != NULL);
	pool_async_release(async);
	suite_finish(pool);
}

/* int64_t: how to end; notes its process in the word of its index first. */
static int leave(struct pool_call *call)
{
	const int64_t *how = pool_arg(call, 0);
	shared_set((unsigned)pool_index(call), getpid());
	if (*how >= 1000)
		_exit((int)*how - 1000);
	if (*how > 0)
		raise((int)*how);
	return 0;
}
POOL_TASK(leave)

static void lost_item_of_a_map_says_who_how_and_which(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const int64_t ends[] = { SIGKILL, SIGTERM, SIGSEGV, SIGABRT, 1000, 1003 };
	for (size_t e = 0; e < COUNT(ends); e++) {
		int64_t how[9] = { 0 };
		int32_t statuses[9];
		struct pool_failure failure = { 0 };
		how[4] = ends[e];
		struct pool_policy policy = { .statuses = statuses, .failure = &failure };
		CHECK_EQ(pool_map(pool, POOL(leave), how, sizeof *how, 9, NULL, 0, &policy),
			 POOL_WORKER_LOST);
		for (int i = 0; i < 9; i++)
			CHECK_EQ(statuses[i], i == 4 ? POOL_WORKER_LOST : 0);
		CHECK_EQ(failure.status, POOL_WORKER_LOST);
		CHECK_EQ(failure.index, 4);
		CHECK_EQ(failure.signal, ends[e] < 1000 ? ends[e] : 0);
		CHECK_EQ(failure.code, ends[e] < 1000 ? -1 : ends[e] - 1000);
		CHECK_EQ(failure.pid, shared_get(4));
		CHECK(failure.message != NULL);
		CHECK(suite_is_gone(failure.pid));
		pool_failure_clear(&failure);
	}
	suite_finish(pool);
}

static void statuses_of_a_map_tell_all_outcomes_apart(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const enum errand_deed deeds[] = { DEED_NONE,  DEED_FAIL,  DEED_KILL,
					   DEED_STUCK, DEED_EXIT0, DEED_NONE };
	const int32_t wanted[] = {
		0, POOL_TASK_ERROR, POOL_WORKER_LOST, POOL_TASK_TIMEOUT, POOL_WORKER_LOST, 0
	};
	struct errand errands[COUNT(deeds)];
	int64_t results[COUNT(deeds)];
	int32_t statuses[COUNT(deeds)];
	for (size_t i = 0; i < COUNT(deeds); i++)
		errands[i] = (struct errand){
			.value = (int64_t)i, .deed = (int32_t)deeds[i], .code = -3, .word = 1
		};
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .statuses = statuses,
				      .failure = &failure,
				      .task_timeout_ns = 3 * SECOND };
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, COUNT(deeds), results,
			  sizeof *results, &policy),
		 POOL_TASK_ERROR);
	for (size_t i = 0; i < COUNT(deeds); i++)
		CHECK_EQ(statuses[i], wanted[i]);
	CHECK_EQ(results[0], 0);
	CHECK_EQ(results[5], 25);
	CHECK_EQ(failure.index, 1);
	CHECK_EQ(failure.code, -3);
	CHECK_EQ(shared_get(1), COUNT(deeds));
	pool_failure_clear(&failure);
	suite_finish(pool);
}

static void map_that_gives_up_writes_every_status(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct errand errands[6];
	int64_t results[6] = { 0 };
	int32_t statuses[6];
	memset(statuses, 0x55, sizeof statuses);
	for (int i = 0; i < 6; i++)
		errands[i] =
			(struct errand){ .value = i, .word = 1, .deed = i == 2 ? DEED_STUCK : 0 };
	struct pool_failure failure = { 0 };
	struct pool_policy policy = {
		.timeout_ns = SECOND, .chunk = 1, .statuses = statuses, .failure = &failure
	};
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, 6, results, sizeof *results,
			  &policy),
		 -ETIMEDOUT);
	for (int i = 0; i < 6; i++) {
		CHECK(statuses[i] == 0 || statuses[i] == -ECANCELED);
		if (statuses[i] == 0)
			CHECK_EQ(results[i], i * i);
	}
	CHECK_EQ(statuses[2], -ECANCELED);
	CHECK_EQ(failure.status, -ETIMEDOUT);
	CHECK(failure.message != NULL);
	pool_failure_clear(&failure);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3, .word = 2 }), 0);
	CHECK(shared_get(1) <= 3);
	suite_finish(pool);
}

static void refused_map_fills_in_statuses_and_failure(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t x[4] = { 1, 2, 3, 4 }, y[4];
	int32_t statuses[4] = { 1, 1, 1, 1 };
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .chunk = -1, .statuses = statuses, .failure = &failure };
	CHECK_EQ(pool_map(pool, suite_square, x, sizeof *x, 4, y, sizeof *y, &policy), -EINVAL);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(statuses[i], 1);
	CHECK_EQ(failure.status, -EINVAL);
	CHECK(failure.message != NULL);
	pool_failure_clear(&failure);
	CHECK_EQ(pool_close(pool), 0);
	policy.chunk = 0;
	CHECK_EQ(pool_map(pool, suite_square, x, sizeof *x, 4, y, sizeof *y, &policy), POOL_CLOSED);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(statuses[i], POOL_CLOSED);
	CHECK_EQ(failure.status, POOL_CLOSED);
	CHECK(failure.message != NULL);
	pool_failure_clear(&failure);
	suite_finish(pool);
}

static void a_call_without_limit_stands_above_the_limit_of_the_pool(
	const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row,
				(struct pool_options){ .workers = 1, .task_timeout_ns = 100 * MS });
	struct errand slow = { .value = 3, .nap_ns = 400 * MS };
	int64_t out = 0;
	struct pool_column arg = { &slow, sizeof slow };
	CHECK_EQ(pool_apply(pool, suite_errand, &arg, 1, &out, 8,
			    &(struct pool_policy){ .task_timeout_ns = POOL_FOREVER }),
		 0);
	CHECK_EQ(out, 9);
	slow.nap_ns = HOUR;
	CHECK_EQ(pool_apply(pool, suite_errand, &arg, 1, &out, 8, NULL), POOL_TASK_TIMEOUT);
	slow.nap_ns = 400 * MS;
	CHECK_EQ(pool_apply(pool, suite_errand, &arg, 1, &out, 8,
			    &(struct pool_policy){ .task_timeout_ns = 10 * SECOND }),
		 0);
	suite_finish(pool);
}

static void no_limit_is_acceptable_to_every_row(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row,
				(struct pool_options){ .workers = 2,
						       .task_timeout_ns = POOL_FOREVER,
						       .initializer_timeout_ns = POOL_FOREVER });
	int64_t x[5] = { 1, 2, 3, 4, 5 }, y[5];
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 5, y, 8,
			  &(struct pool_policy){ .task_timeout_ns = POOL_FOREVER,
						 .timeout_ns = POOL_FOREVER }),
		 0);
	CHECK_EQ(y[4], 25);
	struct pool_policy negative = { .task_timeout_ns = -2 };
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 5, y, 8, &negative), -EINVAL);
	negative = (struct pool_policy){ .timeout_ns = -2 };
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 5, y, 8, &negative), -EINVAL);
	negative = (struct pool_policy){ .retries = -1 };
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 5, y, 8, &negative), -EINVAL);
	struct pool *none = NULL;
	CHECK_EQ(pool_open(&none, &(struct pool_options){ .backend = row->name, .grace_ns = -1 }),
		 -EINVAL);
	CHECK_EQ(pool_open(&none,
			   &(struct pool_options){ .backend = row->name, .task_timeout_ns = -2 }),
		 -EINVAL);
	CHECK_EQ(pool_open(&none, &(struct pool_options){ .backend = row->name,
							  .initializer_timeout_ns = -2 }),
		 -EINVAL);
	CHECK(none == NULL);
	suite_finish(pool);
}

static void a_lost_item_is_run_again_as_often_as_said_and_its_neighbours_are_not(
	const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct errand e[12];
	int64_t y[12];
	int32_t statuses[12];
	for (int i = 0; i < 12; i++)
		e[i] = (struct errand){ .value = i,
					.word = (uint32_t)i,
					.deed = i == 4	 ? DEED_KILL_ONCE
						: i == 7 ? DEED_EXIT0
							 : DEED_NONE };
	CHECK_EQ(pool_map(pool, suite_errand, e, sizeof *e, 12, y, 8,
			  &(struct pool_policy){ .retries = 2, .chunk = 6, .statuses = statuses }),
		 POOL_WORKER_LOST);
	for (int i = 0; i < 12; i++) {
		CHECK_EQ(statuses[i], i == 7 ? POOL_WORKER_LOST : 0);
		CHECK_EQ(shared_get((unsigned)i), i == 4 ? 2 : i == 7 ? 3 : 1);
		if (i != 7)
			CHECK_EQ(y[i], i * i);
	}
	struct pool_stats s;
	CHECK_EQ(pool_stats(pool, &s), 0);
	CHECK_EQ(s.retried, 3);
	CHECK_EQ(s.lost, 1);
	CHECK_EQ(s.done, 11);
	suite_finish(pool);
}

/* Names that a macro might use itself. */
static int count(struct pool_call *item)
{
	*(int64_t *)pool_result(item) = 1 + *(const int64_t *)pool_arg(item, 0);
	return 0;
}
POOL_TASK(count)

static int call(struct pool_call *item)
{
	*(int64_t *)pool_result(item) = 2 + *(const int64_t *)pool_arg(item, 0);
	return 0;
}
POOL_TASK(call)

static void tasks_of_any_name_run(const struct pool_backend_info *row)
{
	const int64_t x = 40;
	int64_t y = 0;
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_map(pool, POOL(count), &x, 8, 1, &y, 8, NULL), 0);
	CHECK_EQ(y, 41);
	CHECK_EQ(pool_map(pool, POOL(call), &x, 8, 1, &y, 8, NULL), 0);
	CHECK_EQ(y, 42);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(tasks_of_any_name_run, 0),
	CASE(starmap_of_bytes_retries_a_worker_that_dies_at_the_last_item, POOL_CAN_SURVIVE),
	CASE(fail_fast_gives_every_item_its_status, 0),
	CASE(lost_item_of_a_map_says_who_how_and_which, POOL_CAN_SURVIVE),
	CASE(statuses_of_a_map_tell_all_outcomes_apart, POOL_CAN_SURVIVE | POOL_CAN_KILL),
	CASE(map_that_gives_up_writes_every_status, POOL_CAN_KILL),
	CASE(refused_map_fills_in_statuses_and_failure, 0),
	CASE(a_call_without_limit_stands_above_the_limit_of_the_pool, POOL_CAN_KILL),
	CASE(no_limit_is_acceptable_to_every_row, 0),
	CASE(a_lost_item_is_run_again_as_often_as_said_and_its_neighbours_are_not,
	     POOL_CAN_SURVIVE),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
