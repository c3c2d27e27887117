/*
 * test_chaos.c - scripts/chaos for about a second a row, and the faults that it has found.
 */
#include "pools/tests/suite.h"
#include "scripts/chaos/chaos.h"

#include <limits.h>

static void chaos_for_a_second_finds_nothing(const struct pool_backend_info *row)
{
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

static const struct suite_case cases[] = {
	CASE(open_where_every_initializer_fails_returns, 0),
	CASE(map_that_is_refused_writes_its_statuses, 0),
	CASE(map_async_of_nothing_leaves_limits_alone, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(chaos_for_a_second_finds_nothing, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
