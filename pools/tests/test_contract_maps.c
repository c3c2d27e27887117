/* test_contract_maps.c - the blocking calls: apply, map, starmap. Numbers in comments are those of
 * the list of behaviours that the pool was specified by. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MANY 1000
#define MIB (UINT64_C(1) << 20)

static int64_t inputs[MANY], outputs[MANY];

static void prepare_arrays(void)
{
	for (int64_t i = 0; i < MANY; i++) {
		inputs[i] = i - 7;
		outputs[i] = -1;
	}
}

static bool squares_are_right(int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		if (outputs[i] != (i - 7) * (i - 7))
			return false;
	return n == MANY || outputs[n] == -1;
}

static int map_squares(struct pool *pool, uint64_t n, const struct pool_policy *policy)
{
	prepare_arrays();
	return pool_map(pool, suite_square, inputs, sizeof *inputs, n, outputs, sizeof *outputs,
			policy);
}

static int map_errands(struct pool *pool, const struct errand *errands, uint64_t n,
		       const struct pool_policy *policy)
{
	memset(outputs, 0xff, sizeof outputs);
	return pool_map(pool, suite_errand, errands, sizeof *errands, n, outputs, sizeof *outputs,
			policy);
}

/* 1 */
static void apply_square_and_add_give_values(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 4);
	int64_t five = 5, six = 6, result = 0;
	struct pool_column args[] = { { &five, sizeof five }, { &six, sizeof six } };
	CHECK_EQ(pool_apply(pool, suite_square, args, 1, &result, sizeof result, NULL), 0);
	CHECK_EQ(result, 25);
	CHECK_EQ(pool_apply(pool, suite_add, args, 2, &result, sizeof result, NULL), 0);
	CHECK_EQ(result, 11);
	suite_finish(pool);
}

/* 8 */
static void apply_empty_argument_gives_empty_result(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_bytes nothing = { "", 0 }, result = { NULL, 99 };
	struct pool_column arg = { &nothing, POOL_VARIABLE };
	CHECK_EQ(pool_apply(pool, suite_flip, &arg, 1, &result, POOL_VARIABLE, NULL), 0);
	CHECK_EQ(result.size, 0);
	CHECK(result.data != NULL);
	pool_bytes_free(&result, 1);
	CHECK(result.data == NULL);
	suite_finish(pool);
}

static int error_as_value(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = POOL_TASK_ERROR;
	return 0;
}
POOL_TASK(error_as_value)

/* 9 */
static void apply_task_that_returns_an_error_value_is_fine(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t result = 0;
	struct pool_column arg = { &result, sizeof result };
	CHECK_EQ(pool_apply(pool, POOL(error_as_value), &arg, 1, &result, sizeof result, NULL), 0);
	CHECK_EQ(result, POOL_TASK_ERROR);
	suite_finish(pool);
}

/* 10 */
static void apply_failing_task_tells_code_and_message(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	pid_t before = pool_worker_pid(pool, 0);
	struct errand bad = { .value = 42, .deed = DEED_FAIL, .code = 7 };
	struct pool_column arg = { &bad, sizeof bad };
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .failure = &failure };
	int64_t result = -3;
	CHECK_EQ(pool_apply(pool, suite_errand, &arg, 1, &result, sizeof result, &policy),
		 POOL_TASK_ERROR);
	CHECK_EQ(failure.status, POOL_TASK_ERROR);
	CHECK_EQ(failure.code, 7);
	CHECK_EQ(failure.index, 0);
	CHECK(failure.message && strcmp(failure.message, "errand 42") == 0);
	pool_failure_clear(&failure);
	if (row->can & POOL_CAN_REUSE)
		CHECK_EQ(pool_worker_pid(pool, 0), before);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	suite_finish(pool);
}

static int local_counter(struct pool_call *call)
{
	if (pool_worker(call) != 0 || pool_index(call) != 0)
		return 1;
	int64_t *count = pool_local(call);
	if (!count)
		pool_local_set(call, count = calloc(1, sizeof *count));
	*(int64_t *)pool_result(call) = ++*count;
	if (*count == 3) { /* the last call of the case */
		free(count);
		pool_local_set(call, NULL);
	}
	return 0;
}
POOL_TASK(local_counter)

static void apply_local_state_stays_with_the_worker(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t result = 0;
	struct pool_column arg = { &result, sizeof result };
	for (int64_t i = 1; i <= 3; i++) {
		CHECK_EQ(pool_apply(pool, POOL(local_counter), &arg, 1, &result, sizeof result, 0),
			 0);
		CHECK_EQ(result, i);
	}
	suite_finish(pool);
}

/* 17 */
static void map_sizes_equal_serial(const struct pool_backend_info *row)
{
	const uint64_t sizes[] = { 0, 1, 3, 4, 5, 15, 16, 17, MANY };
	struct pool *pool = suite_open(row, 4);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		CHECK_EQ(map_squares(pool, sizes[i], NULL), 0);
		CHECK(squares_are_right((int64_t)sizes[i]));
	}
	suite_finish(pool);
}

static uint64_t claims_of(struct pool *pool)
{
	uint64_t claims = 0;
	for (int i = 0; i < pool_workers(pool); i++) {
		struct pool_worker_stats stats;
		CHECK_EQ(pool_worker_stats(pool, i, &stats), 0);
		claims += stats.claims;
	}
	return claims;
}

/* 18 */
static void map_chunks_equal_serial_and_are_claimed_once(const struct pool_backend_info *row)
{
	const int64_t n = 50, chunks[] = { 1, 3, 49, 50, 51, 500, INT64_MAX };
	struct pool *pool = suite_open(row, 2);
	for (size_t i = 0; i < COUNT(chunks); i++) {
		uint64_t before = claims_of(pool);
		CHECK_EQ(map_squares(pool, 50, &(struct pool_policy){ .chunk = chunks[i] }), 0);
		CHECK(squares_are_right(n));
		CHECK_EQ(claims_of(pool) - before, (n - 1) / chunks[i] + 1);
	}
	suite_finish(pool);
}

/* 20 */
static void map_empty_input_does_nothing(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_column columns[] = { { inputs, sizeof *inputs }, { inputs, sizeof *inputs } };
	for (int64_t chunk = 0; chunk < 40; chunk += 20) {
		struct pool_policy policy = { .chunk = chunk, .timeout_ns = SECOND };
		CHECK_EQ(map_squares(pool, 0, &policy), 0);
		CHECK_EQ(pool_starmap(pool, suite_add, columns, 2, 0, outputs, 8, &policy), 0);
		CHECK_EQ(pool_map(pool, suite_square, inputs, 8, 0, NULL, 8, &policy), 0);
		CHECK(squares_are_right(0));
	}
	suite_finish(pool);
}

/* 23, 24 */
static void starmap_pairs_equal_serial(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	prepare_arrays();
	struct pool_column columns[] = { { inputs, sizeof *inputs },
					 { inputs + 3, sizeof *inputs } };
	for (int64_t chunk = 0; chunk < 40; chunk += 20) {
		memset(outputs, 0, sizeof outputs);
		CHECK_EQ(pool_starmap(pool, suite_add, columns, 2, MANY - 3, outputs,
				      sizeof *outputs, &(struct pool_policy){ .chunk = chunk }),
			 0);
		for (int64_t i = 0; i < MANY - 3; i++)
			CHECK_EQ(outputs[i], 2 * (i - 7) + 3);
		CHECK_EQ(outputs[MANY - 3], 0);
	}
	suite_finish(pool);
}

/* Adds up columns of 1, 2, 4, 8 bytes in turn. */
static int add_mixed(struct pool_call *call)
{
	int64_t sum = 0;
	for (unsigned k = 0; k < call->columns; k++) {
		int64_t value = 0;
		memcpy(&value, pool_arg(call, k), pool_arg_size(call, k));
		sum += value;
	}
	*(int64_t *)pool_result(call) = sum;
	return 0;
}
POOL_TASK(add_mixed)

static void starmap_columns_of_every_number_and_size_arrive(const struct pool_backend_info *row)
{
	enum { ITEMS = 33 };
	static unsigned char bytes[POOL_COLUMNS_MAX][ITEMS * 8];
	struct pool *pool = suite_open(row, 2);
	struct pool_column columns[POOL_COLUMNS_MAX];
	int64_t wanted[ITEMS] = { 0 };
	for (unsigned k = 0; k < POOL_COLUMNS_MAX; k++) {
		uint64_t size = UINT64_C(1) << (k % 4);
		columns[k] = (struct pool_column){ bytes[k], size };
		for (unsigned i = 0; i < ITEMS; i++) {
			bytes[k][i * size] = (unsigned char)(i * 3 + k * 11);
			wanted[i] += bytes[k][i * size];
		}
		CHECK_EQ(pool_starmap(pool, POOL(add_mixed), columns, k + 1, ITEMS, outputs, 8,
				      &(struct pool_policy){ .chunk = 5 }),
			 0);
		CHECK(memcmp(outputs, wanted, sizeof wanted) == 0);
	}
	suite_finish(pool);
}

/* 25 */
static void map_items_that_end_in_reverse_keep_their_places(const struct pool_backend_info *row)
{
	struct errand errands[8] = { 0 };
	struct pool *pool = suite_open(row, 4);
	for (int64_t i = 0; i < 8; i++)
		errands[i] = (struct errand){ .value = i, .nap_ns = (8 - i) * 5 * MS };
	CHECK_EQ(map_errands(pool, errands, 8, &(struct pool_policy){ .chunk = 1 }), 0);
	for (int64_t i = 0; i < 8; i++)
		CHECK_EQ(outputs[i], i * i);
	suite_finish(pool);
}

static int fail_at_length(struct pool_call *call)
{
	const int64_t *bytes = pool_arg(call, 0);
	shared_add(1, 1);
	if (*bytes)
		return pool_fail(call, 5, "%0*d", (int)*bytes, 7);
	suite_sleep_ns(100 * MS);
	shared_add(2, 1);
	return 0;
}
POOL_TASK(fail_at_length)

/* 28 */
static void map_long_messages_arrive_after_all_items_ended(const struct pool_backend_info *row)
{
	int64_t lengths[5] = { MIB, MIB, 0, 0, 0 };
	struct pool *pool = suite_open(row, 2);
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .chunk = 1, .failure = &failure };
	CHECK_EQ(pool_map(pool, POOL(fail_at_length), lengths, 8, 5, NULL, 0, &policy),
		 POOL_TASK_ERROR);
	CHECK_EQ(shared_get(1), 5);
	CHECK_EQ(shared_get(2), 3);
	CHECK_EQ(failure.index, 0);
	CHECK_EQ(failure.code, 5);
	CHECK_EQ(strlen(failure.message), MIB);
	CHECK_EQ(strspn(failure.message, "0"), MIB - 1);
	pool_failure_clear(&failure);
	suite_finish(pool);
}

/* 29 */
static void map_reports_the_lowest_failing_item(const struct pool_backend_info *row)
{
	struct errand errands[10] = { 0 };
	struct pool *pool = suite_open(row, 4);
	errands[3] = (struct errand){ .nap_ns = 30 * MS, .deed = DEED_FAIL, .code = 33 };
	errands[7] = (struct errand){ .deed = DEED_FAIL, .code = 77 };
	for (int repeat = 0; repeat < 5; repeat++) {
		struct pool_failure failure = { 0 };
		struct pool_policy policy = { .chunk = 1, .failure = &failure };
		CHECK_EQ(map_errands(pool, errands, 10, &policy), POOL_TASK_ERROR);
		CHECK_EQ(failure.index, 3);
		CHECK_EQ(failure.code, 33);
		pool_failure_clear(&failure);
	}
	suite_finish(pool);
}

/* 30 */
static void map_chunk_mates_of_a_failing_item_run(const struct pool_backend_info *row)
{
	struct errand errands[10];
	int32_t statuses[10];
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 10; i++)
		errands[i] = (struct errand){ .value = i, .word = (uint32_t)i };
	errands[2].deed = DEED_FAIL;
	errands[2].code = 1;
	struct pool_policy policy = { .chunk = 5, .statuses = statuses };
	CHECK_EQ(map_errands(pool, errands, 10, &policy), POOL_TASK_ERROR);
	for (unsigned i = 0; i < 10; i++) {
		CHECK_EQ(shared_get(i), 1);
		CHECK_EQ(statuses[i], i == 2 ? POOL_TASK_ERROR : 0);
		CHECK(i == 2 || outputs[i] == (int64_t)i * i);
	}
	errands[2].deed = DEED_NONE;
	CHECK_EQ(map_errands(pool, errands, 10, &policy), 0);
	CHECK_EQ(statuses[2], 0);
	suite_finish(pool);
}

/* 34 */
static void map_fail_fast_drops_what_was_not_started(const struct pool_backend_info *row)
{
	static struct errand errands[MANY];
	static int32_t statuses[MANY];
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < MANY; i++)
		errands[i] = (struct errand){ .nap_ns = 20 * MS };
	errands[0] = (struct errand){ .deed = DEED_FAIL, .code = 1 };
	struct pool_policy policy = { .chunk = 1, .fail_fast = true, .statuses = statuses };
	CHECK_EQ(map_errands(pool, errands, MANY, &policy), POOL_TASK_ERROR);
	CHECK(shared_get(0) < MANY / 2);
	CHECK_EQ(statuses[0], POOL_TASK_ERROR);
	CHECK_EQ(statuses[MANY - 1], -ECANCELED);
	CHECK_EQ(map_squares(pool, 100, NULL), 0);
	CHECK(squares_are_right(100));
	suite_finish(pool);
}

static void map_timeout_gives_up_and_the_pool_goes_on(const struct pool_backend_info *row)
{
	struct errand errands[40];
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 40; i++)
		errands[i] = (struct errand){ .nap_ns = 200 * MS };
	int64_t start = suite_now_ns();
	struct pool_policy policy = { .chunk = 1, .timeout_ns = 80 * MS };
	CHECK_EQ(map_errands(pool, errands, 40, &policy), -ETIMEDOUT);
	CHECK(suite_now_ns() - start >= 80 * MS);
	CHECK(shared_get(0) < 40);
	CHECK_EQ(map_squares(pool, 100, NULL), 0);
	CHECK(squares_are_right(100));
	suite_finish(pool);
}

static void map_variable_sizes_keep_their_bytes(const struct pool_backend_info *row)
{
	const uint64_t sizes[] = { 0, 1, 1000, MIB, 3, 0 };
	struct pool_bytes in[6], out[6] = { { 0 } };
	struct pool *pool = suite_open(row, 2);
	for (unsigned i = 0; i < 6; i++)
		suite_fill(in + i, sizes[i], i);
	for (int64_t chunk = 0; chunk < 4; chunk++) {
		struct pool_policy policy = { .chunk = chunk };
		CHECK_EQ(pool_map(pool, suite_flip, in, POOL_VARIABLE, 6, out, POOL_VARIABLE,
				  &policy),
			 0);
		for (unsigned i = 0; i < 6; i++)
			CHECK(suite_is_flipped(out[i], sizes[i], i));
		pool_bytes_free(out, 6);
		CHECK(out[3].data == NULL && out[3].size == 0);
	}
	for (unsigned i = 0; i < 6; i++)
		free(in[i].data);
	suite_finish(pool);
}

static void map_pool_memory_is_input_and_output(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t *in = pool_alloc(pool, MANY * sizeof *in);
	int64_t *out = pool_alloc(pool, MANY * sizeof *out);
	CHECK(in && out && (uintptr_t)in % 64 == 0 && (uintptr_t)out % 64 == 0);
	for (int repeat = 1; repeat <= 3; repeat++) {
		for (int64_t i = 0; i < MANY; i++)
			in[i] = i * repeat;
		CHECK_EQ(pool_map(pool, suite_square, in, 8, MANY, out, 8, NULL), 0);
		for (int64_t i = 0; i < MANY; i++)
			CHECK_EQ(out[i], i * repeat * i * repeat);
	}
	pool_free(pool, in);
	suite_finish(pool); /* frees out */
}

static void map_two_pools_side_by_side_stay_apart(const struct pool_backend_info *row)
{
	struct pool *first = suite_open(row, 2), *second = suite_open(row, 1);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(map_squares(first, 100, NULL), 0);
		CHECK(squares_are_right(100));
		CHECK_EQ(map_squares(second, 50, NULL), 0);
		CHECK(squares_are_right(50));
	}
	suite_finish(first);
	CHECK_EQ(map_squares(second, 50, NULL), 0);
	suite_finish(second);
}

static const struct suite_case cases[] = {
	CASE(apply_square_and_add_give_values, 0),
	CASE(apply_empty_argument_gives_empty_result, 0),
	CASE(apply_task_that_returns_an_error_value_is_fine, 0),
	CASE(apply_failing_task_tells_code_and_message, 0),
	CASE(apply_local_state_stays_with_the_worker, POOL_CAN_REUSE),
	CASE(map_sizes_equal_serial, 0),
	CASE(map_chunks_equal_serial_and_are_claimed_once, 0),
	CASE(map_empty_input_does_nothing, 0),
	CASE(starmap_pairs_equal_serial, 0),
	CASE(starmap_columns_of_every_number_and_size_arrive, 0),
	CASE(map_items_that_end_in_reverse_keep_their_places, 0),
	CASE(map_long_messages_arrive_after_all_items_ended, 0),
	CASE(map_reports_the_lowest_failing_item, 0),
	CASE(map_chunk_mates_of_a_failing_item_run, 0),
	CASE(map_fail_fast_drops_what_was_not_started, 0),
	CASE(map_timeout_gives_up_and_the_pool_goes_on, POOL_CAN_OVERLAP),
	CASE(map_variable_sizes_keep_their_bytes, 0),
	CASE(map_pool_memory_is_input_and_output, 0),
	CASE(map_two_pools_side_by_side_stay_apart, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
