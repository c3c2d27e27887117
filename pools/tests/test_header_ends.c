/*
 * test_header_ends.c - the manual taken at its word: what a callback may end, what is left of what was ended.
 *
 * Cases written from pool.h alone; see test_header.c.
 */
#include "suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What a callback saw of its own handle, and the pool it is to end. */
struct own {
	int64_t value;
	int rc, status, ready, successful;
	struct pool *pool;
};

static int gets_its_own(struct pool_async *async, void *user)
{
	struct own *own = user;
	own->ready = pool_async_ready(async);
	own->successful = pool_async_successful(async);
	own->rc = pool_async_get(async, &own->value, POOL_FOREVER);
	own->status = pool_async_status(async, 0);
	return 77;
}

static void a_callback_may_get_the_result_of_its_own_handle(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct own own = { 0 };
	int64_t x = 12, y;
	struct pool_async *async;
	CHECK_EQ(pool_apply_async(pool, suite_square, &(struct pool_column){ &x, 8 }, 1, 8,
				  &(struct pool_policy){ .callback = gets_its_own, .user = &own },
				  &async),
		 0);
	CHECK_EQ(pool_async_get(async, &y, WAIT), 0);
	CHECK_EQ(y, 144);
	CHECK_EQ(own.rc, 0);
	CHECK_EQ(own.value, 144);
	CHECK_EQ(own.status, 0);
	CHECK_EQ(own.ready, 1);
	CHECK_EQ(own.successful, 1);
	CHECK_EQ(pool_async_callback_result(async), 77);
	pool_async_release(async);
	suite_finish(pool);
}

static int joins(struct pool_async *async, void *user)
{
	struct own *own = user;
	(void)async;
	own->status = pool_close(own->pool);
	own->rc = pool_join(own->pool, POOL_FOREVER);
	return 0;
}

static void a_callback_that_joins_does_not_hang(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct own own = { .pool = pool, .rc = 1, .status = 1 };
	int64_t x = 12;
	struct pool_async *async;
	CHECK_EQ(pool_apply_async(pool, suite_square, &(struct pool_column){ &x, 8 }, 1, 8,
				  &(struct pool_policy){ .callback = joins, .user = &own }, &async),
		 0);
	CHECK_EQ(pool_async_wait(async, WAIT), 0);
	CHECK_EQ(own.status, 0);
	CHECK(own.rc <= 0);
	pool_async_release(async);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	pool_destroy(pool);
}

static int terminates(struct pool_async *async, void *user)
{
	struct own *own = user;
	(void)async;
	own->rc = pool_terminate(own->pool);
	return 0;
}

static void a_callback_may_terminate(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct own own = { .pool = pool, .rc = 1 };
	int64_t x = 12, out[200];
	struct pool_async *async, *rest[20] = { 0 };
	CHECK_EQ(pool_apply_async(pool, suite_square, &(struct pool_column){ &x, 8 }, 1, 8,
				  &(struct pool_policy){ .callback = terminates, .user = &own },
				  &async),
		 0);
	struct errand nap = { .nap_ns = 5 * MS };
	struct errand naps[200];
	for (int i = 0; i < 200; i++)
		naps[i] = nap;
	int rc = 0, started = 0;
	while (started < 20 && (rc = pool_map_async(pool, suite_errand, naps, sizeof nap, 200, 8,
						    NULL, &rest[started])) == 0)
		started++;
	CHECK(rc == 0 || rc == POOL_CLOSED);
	for (int i = 0; i < started; i++) {
		rc = pool_async_get(rest[i], out, WAIT);
		CHECK(rc == 0 || rc == POOL_TERMINATED);
		pool_async_release(rest[i]);
	}
	CHECK_EQ(pool_async_wait(async, WAIT), 0);
	CHECK(own.rc == 0 || own.rc == -EDEADLK);
	pool_async_release(async);
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	pool_destroy(pool);
}

/* Two int64_t that a worker keeps until its finalizer adds the second one to shared word 1; word 0 counts those who came. */
static int brings_luggage(struct pool_call *call)
{
	if (pool_result(call) || pool_local(call))
		return 5;
	const int64_t *arg = pool_arg(call, 0);
	if (pool_arg_size(call, 0) != 16)
		return 6;
	int64_t *mine = malloc(16);
	if (!mine)
		return 7;
	memcpy(mine, arg, 16);
	pool_local_set(call, mine);
	(void)shared_add(0, 1);
	return 0;
}
POOL_TASK(brings_luggage)

static int takes_luggage(struct pool_call *call)
{
	int64_t *mine = pool_local(call);
	(void)shared_add(1, mine ? mine[1] : 1000);
	free(mine);
	pool_local_set(call, NULL);
	return 0;
}
POOL_TASK(takes_luggage)

static int shows_luggage(struct pool_call *call)
{
	int64_t *mine = pool_local(call);
	*(int64_t *)pool_result(call) = mine ? mine[0] : -1;
	return 0;
}
POOL_TASK(shows_luggage)

static void what_an_initializer_set_lasts_until_the_finalizer(const struct pool_backend_info *row)
{
	int64_t luggage[2] = { 4711, 1 }, x[20] = { 0 }, y[20];
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2,
							    .initializer = POOL(brings_luggage),
							    .initializer_arg = luggage,
							    .initializer_arg_size = 16,
							    .tasks_per_worker = 3,
							    .finalizer = POOL(takes_luggage) });
	luggage[0] = luggage[1] = -99;
	for (int round = 0; round < 3; round++) {
		CHECK_EQ(pool_map(pool, POOL(shows_luggage), x, 8, 20, y, 8,
				  &(struct pool_policy){ .chunk = 2 }),
			 0);
		for (int i = 0; i < 20; i++)
			CHECK_EQ(y[i], 4711);
	}
	suite_finish(pool);
	CHECK(shared_get(0) > 0);
	CHECK_EQ(shared_get(1), shared_get(0));
}

static void a_killed_worker_leaves_its_finalizer_out(const struct pool_backend_info *row)
{
	int64_t luggage[2] = { 1, 1 };
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1,
							    .initializer = POOL(brings_luggage),
							    .initializer_arg = luggage,
							    .initializer_arg_size = 16,
							    .finalizer = POOL(takes_luggage) });
	luggage[0] = 0;
	struct errand errand = { .deed = DEED_KILL, .word = 9 };
	CHECK_EQ(suite_do(pool, errand), POOL_WORKER_LOST);
	int64_t x = 0, y;
	CHECK_EQ(pool_apply(pool, POOL(shows_luggage), &(struct pool_column){ &x, 8 }, 1, &y, 8,
			    NULL),
		 0);
	CHECK_EQ(y, 1);
	suite_finish(pool);
	CHECK(shared_get(0) >= 2);
	CHECK_EQ(shared_get(1), shared_get(0) - 1);
}

static void the_numbers_add_up_after_every_kind_of_end(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct errand e[50];
	int64_t y[50];
	for (int i = 0; i < 50; i++)
		e[i] = (struct errand){
			.value = i, .nap_ns = MS, .deed = i == 20 ? DEED_FAIL : DEED_NONE, .code = 3
		};
	CHECK_EQ(pool_map(pool, suite_errand, e, sizeof *e, 50, y, 8,
			  &(struct pool_policy){ .fail_fast = true, .chunk = 1 }),
		 POOL_TASK_ERROR);
	CHECK_EQ(pool_map(pool, suite_errand, e, sizeof *e, 50, y, 8, NULL), POOL_TASK_ERROR);
	for (int i = 0; i < 50; i++) /* far longer than the caller may be without a processor */
		e[i].nap_ns = 100 * MS;
	int rc = pool_map(pool, suite_errand, e, sizeof *e, 50, y, 8,
			  &(struct pool_policy){ .timeout_ns = 5 * MS, .chunk = 1 });
	CHECK(rc == -ETIMEDOUT || (rc == POOL_TASK_ERROR && !(row->can & POOL_CAN_OVERLAP)));
	for (int i = 0; i < 50; i++)
		e[i].nap_ns = MS;
	struct pool_async *async;
	CHECK_EQ(pool_map_async(pool, suite_errand, e, sizeof *e, 50, 8, NULL, &async), 0);
	rc = pool_async_cancel(async);
	CHECK(rc == 0 || rc == POOL_BUSY);
	pool_async_release(async);
	struct pool_iter *iter;
	CHECK_EQ(pool_imap_unordered(pool, suite_errand, pool_array(e, sizeof *e, 50), 8,
				     &(struct pool_policy){ .chunk = 2, .window = 10 }, &iter),
		 0);
	CHECK_EQ(pool_iter_next(iter, y, WAIT), 0);
	pool_iter_release(iter);
	uint64_t lost = 0;
	if (row->can & POOL_CAN_SURVIVE) {
		CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_KILL }), POOL_WORKER_LOST);
		lost = 1;
	}
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	struct pool_stats s;
	CHECK_EQ(pool_stats(pool, &s), 0);
	CHECK_EQ(s.submitted, s.done + s.failed + s.lost + s.cancelled + s.timed_out);
	CHECK_EQ(s.lost, lost);
	CHECK_EQ(s.retried, 0);
	CHECK(s.failed >= 2);
	pool_destroy(pool);
}

static void what_a_call_gave_up_is_told_item_by_item(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct errand e[40];
	int64_t y[40];
	int32_t statuses[40];
	for (int i = 0; i < 40; i++) {
		e[i] = (struct errand){ .value = i + 1,
					.nap_ns = i < 4 ? 0 : 200 * MS,
					.word = (uint32_t)i };
		y[i] = -1;
		statuses[i] = 12345;
	}
	struct pool_failure failure = { 0 };
	int rc = pool_map(pool, suite_errand, e, sizeof *e, 40, y, 8,
			  &(struct pool_policy){ .timeout_ns = 150 * MS,
						 .chunk = 1,
						 .statuses = statuses,
						 .failure = &failure });
	CHECK_EQ(rc, -ETIMEDOUT);
	CHECK_EQ(failure.status, -ETIMEDOUT);
	pool_failure_clear(&failure);
	pool_failure_clear(&failure);
	int given_up = 0;
	for (int i = 0; i < 40; i++) {
		CHECK(statuses[i] == 0 || statuses[i] == -ECANCELED);
		given_up += statuses[i] != 0;
		if (statuses[i] == 0) {
			CHECK_EQ(y[i], (i + 1) * (i + 1));
			CHECK_EQ(shared_get((unsigned)i), 1);
		}
	}
	CHECK(given_up > 0);
	int64_t before = 0, after = 0;
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3, .word = 100 }), 0);
	for (unsigned i = 0; i < 40; i++)
		before += shared_get(i);
	suite_sleep_ns(500 * MS); /* longer than a nap: a worker that went on would begin another */
	for (unsigned i = 0; i < 40; i++)
		after += shared_get(i);
	CHECK_EQ(before, after);
	suite_finish(pool);
}

static int counts_calls(struct pool_async *async, void *user)
{
	struct own *own = user;
	own->rc = pool_async_get(async, NULL, 0);
	own->value++;
	return -3;
}

static void a_handle_knows_its_items_and_no_others(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct errand e[30];
	for (int i = 0; i < 30; i++)
		e[i] = (struct errand){ .value = i,
					.deed = i == 3 ? DEED_FAIL : DEED_NONE,
					.code = 6 };
	struct own bad = { 0 };
	struct pool_async *async;
	CHECK_EQ(pool_map_async(pool, suite_errand, e, sizeof *e, 30, 8,
				&(struct pool_policy){ .fail_fast = true,
						       .chunk = 1,
						       .callback = gets_its_own,
						       .error_callback = counts_calls,
						       .user = &bad },
				&async),
		 0);
	CHECK_EQ(pool_async_wait(async, WAIT), 0);
	CHECK_EQ(bad.value, 1);
	CHECK_EQ(bad.rc, POOL_TASK_ERROR);
	CHECK_EQ(pool_async_callback_result(async), -3);
	CHECK_EQ(pool_async_count(async), 30);
	CHECK_EQ(pool_async_status(async, 30), -EINVAL);
	CHECK_EQ(pool_async_status(async, UINT64_MAX), -EINVAL);
	CHECK_EQ(pool_async_status(async, 3), POOL_TASK_ERROR);
	CHECK_EQ(pool_async_status(async, 29), -ECANCELED);
	CHECK_EQ(pool_async_successful(async), 0);
	const struct pool_failure *failure = pool_async_failure(async);
	CHECK(failure != NULL);
	CHECK_EQ(failure->index, 3);
	CHECK_EQ(failure->code, 6);
	CHECK_EQ(strcmp(failure->message, "errand 3"), 0);
	int64_t y[30];
	for (int i = 0; i < 2; i++) {
		memset(y, 0, sizeof y);
		CHECK_EQ(pool_async_get(async, y, 0), POOL_TASK_ERROR);
		CHECK_EQ(y[2], 4);
	}
	CHECK_EQ(pool_async_cancel(async), POOL_BUSY);
	suite_finish(pool);
	CHECK_EQ(pool_async_get(async, y, 0), POOL_TASK_ERROR);
	pool_async_release(async);
}

static const struct suite_case cases[] = {
	CASE(a_callback_may_get_the_result_of_its_own_handle, 0),
	CASE(a_callback_that_joins_does_not_hang, 0),
	CASE(a_callback_may_terminate, 0),
	CASE(what_an_initializer_set_lasts_until_the_finalizer, 0),
	CASE(a_killed_worker_leaves_its_finalizer_out, POOL_CAN_SURVIVE),
	CASE(the_numbers_add_up_after_every_kind_of_end, 0),
	CASE(what_a_call_gave_up_is_told_item_by_item, 0),
	CASE(a_handle_knows_its_items_and_no_others, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
