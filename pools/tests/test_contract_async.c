/* test_contract_async.c - handles: apply_async, map_async, starmap_async, callbacks, cancel. For numbers see test_contract_maps.c. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct pool_async *start_square(struct pool *pool, int64_t x,
				       const struct pool_policy *policy)
{
	struct pool_async *async = NULL;
	struct pool_column arg = { &x, sizeof x };
	CHECK_EQ(pool_apply_async(pool, suite_square, &arg, 1, sizeof x, policy, &async), 0);
	x = -99; /* 16: the argument was copied */
	return async;
}

static struct pool_async *start_map(struct pool *pool, const struct errand *errands, uint64_t n,
				    const struct pool_policy *policy)
{
	struct pool_async *async = NULL;
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, n, sizeof(int64_t),
				policy, &async),
		 0);
	return async;
}

static int64_t get_value(struct pool_async *async)
{
	int64_t value = -1;
	CHECK_EQ(pool_async_get(async, &value, WAIT), 0);
	return value;
}

/* 2 */
static void async_handles_read_in_reverse_and_twice(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *handles[100];
	for (int64_t i = 0; i < 100; i++)
		handles[i] = start_square(pool, i, NULL);
	for (int64_t i = 99; i >= 0; i--) {
		CHECK_EQ(get_value(handles[i]), i * i);
		CHECK_EQ(get_value(handles[i]), i * i);
		CHECK_EQ(pool_async_get(handles[i], NULL, 0), 0);
		CHECK_EQ(pool_async_count(handles[i]), 1);
		pool_async_release(handles[i]);
	}
	suite_finish(pool);
}

/* 3, 4, 5 */
static void async_get_that_gives_up_leaves_the_handle(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *async =
		suite_start(pool, (struct errand){ .value = 6, .gate = 1 }, NULL);
	int64_t start = suite_now_ns(), value = -1;
	CHECK_EQ(pool_async_get(async, &value, 0), -ETIMEDOUT);
	CHECK_EQ(pool_async_get(async, &value, 50 * MS), -ETIMEDOUT);
	CHECK_EQ(pool_async_wait(async, 10 * MS), -ETIMEDOUT);
	CHECK(suite_now_ns() - start >= 60 * MS);
	CHECK(!pool_async_ready(async));
	CHECK_EQ(pool_async_successful(async), -EINVAL);
	CHECK_EQ(pool_async_status(async, 0), -EAGAIN);
	CHECK(pool_async_failure(async) == NULL);
	CHECK_EQ(value, -1);
	shared_set(1, 1);
	CHECK_EQ(get_value(async), 36);
	CHECK(pool_async_ready(async) && pool_async_successful(async) == 1);
	CHECK_EQ(pool_async_status(async, 0), 0);
	CHECK_EQ(pool_async_get(async, &value, 0), 0);
	pool_async_release(async);
	suite_finish(pool);
}

static void async_failed_handle_says_so(const struct pool_backend_info *row)
{
	struct errand errands[4] = { { .value = 1 },
				     { .deed = DEED_FAIL, .code = 4, .value = 9 },
				     { .value = 2 },
				     { .deed = DEED_FAIL, .code = 5 } };
	struct pool *pool = suite_open(row, 2);
	struct pool_async *async = start_map(pool, errands, 4, NULL);
	int64_t values[4] = { -1, -1, -1, -1 };
	CHECK_EQ(pool_async_get(async, values, WAIT), POOL_TASK_ERROR);
	CHECK_EQ(pool_async_wait(async, 0), 0);
	CHECK_EQ(pool_async_successful(async), 0);
	CHECK_EQ(pool_async_count(async), 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(pool_async_status(async, i), i % 2 ? POOL_TASK_ERROR : 0);
	CHECK_EQ(values[0], 1);
	CHECK_EQ(values[2], 4);
	CHECK_EQ(pool_async_status(async, 4), -EINVAL);
	const struct pool_failure *failure = pool_async_failure(async);
	CHECK(failure && failure->message && strcmp(failure->message, "errand 9") == 0);
	CHECK_EQ(failure->index, 1);
	CHECK_EQ(failure->code, 4);
	pool_async_release(async);
	suite_finish(pool);
}

static void *get_in_thread(void *async)
{
	return (void *)(intptr_t)get_value(async);
}

/* 6 */
static void async_get_in_eight_threads_gives_all_the_value(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *async =
		suite_start(pool, (struct errand){ .value = 9, .nap_ns = 100 * MS }, NULL);
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		CHECK_EQ(pthread_create(threads + i, NULL, get_in_thread, async), 0);
	for (int i = 0; i < 8; i++) {
		void *value = NULL;
		pthread_join(threads[i], &value);
		CHECK_EQ((intptr_t)value, 81);
	}
	pool_async_release(async);
	suite_finish(pool);
}

/* 7 */
static void async_released_at_once_runs_all_the_same(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const int n = suite_some(row, 1000);
	for (int i = 0; i < n; i++)
		pool_async_release(suite_start(pool, (struct errand){ .word = 3 }, NULL));
	pool_async_release(NULL);
	suite_finish(pool);
	CHECK_EQ(shared_get(3), n);
}

/* A round of everything, all of it checked; the value is different in each thread and round. */
static void mix_calls(struct pool *pool, int64_t x)
{
	struct pool_async *first = start_square(pool, x, NULL);
	struct pool_async *second = start_square(pool, x + 1, NULL);
	pool_async_cancel(second);
	int64_t in[20], out[20], value = -1;
	for (int64_t i = 0; i < 20; i++)
		in[i] = x + i;
	CHECK_EQ(pool_map(pool, suite_square, in, 8, 20, out, 8, NULL), 0);
	for (int64_t i = 0; i < 20; i++)
		CHECK_EQ(out[i], (x + i) * (x + i));
	CHECK_EQ(get_value(first), x * x);
	int rc = pool_async_get(second, &value, WAIT);
	CHECK(rc == -ECANCELED || (rc == 0 && value == (x + 1) * (x + 1)));
	pool_async_release(first);
	pool_async_release(second);
}

struct mixing {
	struct pool *pool;
	int64_t rounds;
};

static void *mix_in_thread(void *what)
{
	const struct mixing *mixing = what;
	int64_t thread = shared_add(1, 1);
	for (int64_t i = 0; i < mixing->rounds; i++)
		mix_calls(mixing->pool, thread * 1000 + i);
	return NULL;
}

/* 15 */
static void async_eight_threads_share_one_pool(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct mixing mixing = { pool, suite_some(row, 40) };
	pthread_t threads[8];
	for (int i = 0; i < 8; i++)
		CHECK_EQ(pthread_create(threads + i, NULL, mix_in_thread, &mixing), 0);
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	suite_finish(pool);
}

/* 16 */
static void async_arguments_are_copied_before_the_call_returns(const struct pool_backend_info *row)
{
	enum { N = 500 };
	static struct errand errands[N];
	static int64_t values[N];
	struct pool *pool = suite_open(row, 2);
	for (int64_t i = 0; i < N; i++)
		errands[i] = (struct errand){ .value = i, .nap_ns = i < 2 ? 20 * MS : 0 };
	struct pool_async *fixed = start_map(pool, errands, N, NULL), *variable = NULL;
	memset(errands, 0x77, sizeof errands);
	struct pool_bytes in[2], out[2];
	suite_fill(in, 70000, 1);
	suite_fill(in + 1, 5, 2);
	CHECK_EQ(pool_map_async(pool, suite_flip, in, POOL_VARIABLE, 2, POOL_VARIABLE, NULL,
				&variable),
		 0);
	memset(in[0].data, 0x77, in[0].size);
	free(in[0].data);
	free(in[1].data);
	CHECK_EQ(pool_async_get(variable, out, WAIT), 0);
	CHECK(suite_is_flipped(out[0], 70000, 1) && suite_is_flipped(out[1], 5, 2));
	pool_bytes_free(out, 2);
	pool_async_release(variable);
	CHECK_EQ(pool_async_get(fixed, values, WAIT), 0);
	for (int64_t i = 0; i < N; i++)
		CHECK_EQ(values[i], i * i);
	pool_async_release(fixed);
	suite_finish(pool);
}

struct calls {
	int good, bad, order_is_wrong;
	int status;
	int64_t value;
	int answer; /* what the callbacks return */
};

static int note_success(struct pool_async *async, void *user)
{
	struct calls *calls = user;
	int64_t values[16] = { 0 };
	calls->status = pool_async_get(async, values, 0);
	calls->value = values[0];
	__atomic_add_fetch(&calls->good, 1, __ATOMIC_SEQ_CST);
	return calls->answer;
}

static int note_failure(struct pool_async *async, void *user)
{
	struct calls *calls = user;
	const struct pool_failure *failure = pool_async_failure(async);
	calls->status = failure ? failure->status : 1;
	__atomic_add_fetch(&calls->bad, 1, __ATOMIC_SEQ_CST);
	return calls->answer;
}

static struct pool_policy noting(struct calls *calls)
{
	return (struct pool_policy){ .callback = note_success,
				     .error_callback = note_failure,
				     .user = calls };
}

/* 20, 21 */
static void async_empty_input_resolves_and_calls_back(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct calls calls = { 0 };
	struct pool_policy policy = noting(&calls);
	for (int i = 1; i <= 2; i++) {
		struct pool_async *async = NULL;
		int64_t x = 0;
		policy.chunk = i == 1 ? 0 : 20;
		CHECK_EQ(pool_map_async(pool, suite_square, &x, 8, 0, 8, &policy, &async), 0);
		CHECK_EQ(pool_async_get(async, NULL, WAIT), 0);
		CHECK_EQ(pool_async_count(async), 0);
		CHECK_EQ(pool_async_successful(async), 1);
		CHECK_EQ(calls.good, i);
		CHECK_EQ(calls.status, 0);
		pool_async_release(async);
	}
	CHECK_EQ(calls.bad, 0);
	suite_finish(pool);
}

/* 23 */
static void starmap_async_pairs_equal_serial(const struct pool_backend_info *row)
{
	int64_t a[50], b[50], sums[50];
	struct pool *pool = suite_open(row, 2);
	for (int64_t i = 0; i < 50; i++) {
		a[i] = i;
		b[i] = 1000 * i;
	}
	struct pool_column columns[] = { { a, sizeof *a }, { b, sizeof *b } };
	for (int64_t chunk = 0; chunk < 40; chunk += 20) {
		struct pool_async *async = NULL;
		struct pool_policy policy = { .chunk = chunk };
		CHECK_EQ(pool_starmap_async(pool, suite_add, columns, 2, 50, 8, &policy, &async),
			 0);
		CHECK_EQ(pool_async_get(async, sums, WAIT), 0);
		for (int64_t i = 0; i < 50; i++)
			CHECK_EQ(sums[i], 1001 * i);
		pool_async_release(async);
	}
	suite_finish(pool);
}

static void starmap_async_mixes_variable_and_fixed_columns(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const uint64_t sizes[] = { 0, 1, 1000, 1 << 20 };
	struct pool_bytes in[4], out[4];
	int64_t ignored[4] = { 0 };
	for (unsigned i = 0; i < 4; i++)
		suite_fill(in + i, sizes[i], i);
	struct pool_column columns[] = { { in, POOL_VARIABLE }, { ignored, sizeof *ignored } };
	struct pool_async *async = NULL;
	CHECK_EQ(pool_starmap_async(pool, suite_flip, columns, 2, 4, POOL_VARIABLE, NULL, &async),
		 0);
	for (unsigned i = 0; i < 4; i++)
		free(in[i].data);
	for (int repeat = 0; repeat < 2; repeat++) {
		CHECK_EQ(pool_async_get(async, out, WAIT), 0);
		for (unsigned i = 0; i < 4; i++)
			CHECK(suite_is_flipped(out[i], sizes[i], i));
		pool_bytes_free(out, 4);
	}
	pool_async_release(async);
	suite_finish(pool);
}

/* 26 */
static void map_async_get_gives_up_then_gets_all(const struct pool_backend_info *row)
{
	struct errand errands[10];
	int64_t values[10];
	struct pool *pool = suite_open(row, 4);
	for (int64_t i = 0; i < 10; i++)
		errands[i] = (struct errand){ .value = i, .gate = 1 };
	struct pool_async *async = start_map(pool, errands, 10, NULL);
	CHECK_EQ(pool_async_get(async, values, 20 * MS), -ETIMEDOUT);
	shared_set(1, 1);
	CHECK_EQ(pool_async_get(async, values, POOL_FOREVER), 0);
	for (int64_t i = 0; i < 10; i++)
		CHECK_EQ(values[i], i * i);
	pool_async_release(async);
	suite_finish(pool);
}

/* 27, 49: what a callback returns is kept and harms nothing */
static void async_calls_back_once_and_the_right_one(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int bad = 0; bad <= 1; bad++) {
		struct errand errands[8] = { { .value = 5 } };
		struct calls calls = { .answer = 40 + bad };
		struct pool_policy policy = noting(&calls);
		errands[3] = (struct errand){ .deed = bad ? DEED_FAIL : DEED_NONE, .code = 2 };
		struct pool_async *async = start_map(pool, errands, 8, &policy);
		CHECK_EQ(pool_async_wait(async, WAIT), 0);
		CHECK_EQ(calls.good, !bad);
		CHECK_EQ(calls.bad, bad);
		CHECK_EQ(calls.status, bad ? POOL_TASK_ERROR : 0);
		CHECK(bad || calls.value == 25);
		CHECK_EQ(pool_async_callback_result(async), 40 + bad);
		pool_async_release(async);
		CHECK_EQ(suite_do(pool, (struct errand){ .value = 2 }), 0);
		CHECK_EQ(calls.good + calls.bad, 1);
	}
	suite_finish(pool);
}

/* 27: a released handle still calls back, before join returns */
static void async_released_handle_calls_back_before_join(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct calls calls = { 0 };
	struct pool_policy policy = noting(&calls);
	for (int i = 0; i < 20; i++)
		pool_async_release(start_square(pool, 3, &policy));
	suite_finish(pool);
	CHECK_EQ(calls.good, 20);
	CHECK_EQ(calls.bad, 0);
	CHECK_EQ(calls.value, 9);
}

static int set_flag_late(struct pool_async *async, void *user)
{
	(void)async;
	suite_sleep_ns(50 * MS);
	__atomic_store_n((int *)user, 1, __ATOMIC_SEQ_CST);
	return 0;
}

/* 48 */
static void async_callback_has_run_when_get_returns(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 5; i++) {
		int flag = 0;
		struct pool_policy policy = { .callback = set_flag_late, .user = &flag };
		struct pool_async *async = start_square(pool, 2, &policy);
		CHECK_EQ(get_value(async), 4);
		CHECK_EQ(__atomic_load_n(&flag, __ATOMIC_SEQ_CST), 1);
		pool_async_release(async);
	}
	suite_finish(pool);
}

struct chain {
	struct pool *pool;
	int left;
};

static int submit_next(struct pool_async *async, void *user)
{
	struct chain *chain = user;
	(void)async;
	if (--chain->left == 0)
		return (int)shared_add(9, 1);
	struct pool_policy policy = { .callback = submit_next, .user = chain };
	pool_async_release(suite_start(chain->pool, (struct errand){ .word = 8 }, &policy));
	return 0;
}

/* 50 */
static void async_callbacks_submit_three_chains(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct chain chains[3];
	for (int i = 0; i < 3; i++) {
		chains[i] = (struct chain){ pool, suite_some(row, 100) };
		struct pool_policy policy = { .callback = submit_next, .user = chains + i };
		pool_async_release(suite_start(pool, (struct errand){ .word = 8 }, &policy));
	}
	CHECK(shared_reaches(9, 3));
	CHECK_EQ(shared_get(8), 3 * suite_some(row, 100));
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(async_handles_read_in_reverse_and_twice, 0),
	CASE(async_get_that_gives_up_leaves_the_handle, POOL_CAN_OVERLAP),
	CASE(async_failed_handle_says_so, 0),
	CASE(async_get_in_eight_threads_gives_all_the_value, 0),
	CASE(async_released_at_once_runs_all_the_same, 0),
	CASE(async_eight_threads_share_one_pool, 0),
	CASE(async_arguments_are_copied_before_the_call_returns, 0),
	CASE(async_empty_input_resolves_and_calls_back, 0),
	CASE(starmap_async_pairs_equal_serial, 0),
	CASE(starmap_async_mixes_variable_and_fixed_columns, 0),
	CASE(map_async_get_gives_up_then_gets_all, POOL_CAN_OVERLAP),
	CASE(async_calls_back_once_and_the_right_one, 0),
	CASE(async_released_handle_calls_back_before_join, 0),
	CASE(async_callback_has_run_when_get_returns, 0),
	CASE(async_callbacks_submit_three_chains, POOL_CAN_OVERLAP),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
