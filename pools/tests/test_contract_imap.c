/* test_contract_imap.c - lazy work: imap and imap_unordered. Numbers in comments are those of the
 * list of behaviours that the pool was specified by. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { GATE = 1 }; /* the shared word that slow items wait for */

typedef int imap_fn(struct pool *pool, const struct pool_task *task, struct pool_source source,
		    uint64_t result_size, const struct pool_policy *policy,
		    struct pool_iter **iter);

static struct pool_iter *start(imap_fn *imap, struct pool *pool, const struct pool_task *task,
			       struct pool_source source, struct pool_policy policy)
{
	struct pool_iter *iter = NULL;
	CHECK_EQ(imap(pool, task, source, sizeof(int64_t), &policy, &iter), 0);
	CHECK(iter != NULL);
	return iter;
}

static struct pool_iter *start_errands(imap_fn *imap, struct pool *pool,
				       const struct errand *errands, uint64_t n,
				       struct pool_policy policy)
{
	return start(imap, pool, suite_errand, pool_array(errands, sizeof *errands, n), policy);
}

static struct pool_source counting_source(struct suite_counting *counting)
{
	return pool_generator(suite_count_up, counting, sizeof counting->value);
}

/* Reads to the first answer that is not 0, and again: it must be sticky. Results must be squares in
 * order. */
static void expect_squares_then(struct pool_iter *iter, int64_t n, int last)
{
	int64_t value = -1;
	for (int64_t i = 0; i < n; i++) {
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
		CHECK_EQ(value, i * i);
		CHECK_EQ(pool_iter_index(iter), i);
	}
	value = -1;
	CHECK_EQ(pool_iter_next(iter, &value, WAIT), last);
	CHECK_EQ(pool_iter_next(iter, &value, WAIT), POOL_END);
	CHECK_EQ(pool_iter_next(iter, &value, 0), POOL_END);
	CHECK_EQ(value, -1);
}

/* 35 */
static void imap_ends_and_stays_at_its_end(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t in[10];
	for (int64_t i = 0; i < 10; i++)
		in[i] = i;
	for (int64_t chunk = 0; chunk < 15; chunk += 3) {
		struct pool_iter *iter =
			start(pool_imap, pool, suite_square, pool_array(in, sizeof *in, 10),
			      (struct pool_policy){ .chunk = chunk });
		expect_squares_then(iter, 10, POOL_END);
		pool_iter_release(iter);
	}
	pool_iter_release(NULL);
	suite_finish(pool);
}

/* 20 */
static void imap_empty_input_ends_at_once(const struct pool_backend_info *row)
{
	imap_fn *const variants[] = { pool_imap, pool_imap_unordered };
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 4; i++) {
		struct suite_counting none = { .end = 0 };
		int64_t x = 0;
		struct pool_source source = i < 2 ? pool_array(&x, 8, 0) : counting_source(&none);
		struct pool_iter *iter = start(variants[i % 2], pool, suite_square, source,
					       (struct pool_policy){ .chunk = i < 2 ? 0 : 20 });
		expect_squares_then(iter, 0, POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 36 */
static void imap_unordered_delivers_every_item_once(const struct pool_backend_info *row)
{
	enum { MOST = 1000 };
	static int64_t in[MOST];
	const int n = suite_some(row, MOST);
	struct pool *pool = suite_open(row, 2);
	for (int64_t i = 0; i < n; i++)
		in[i] = i;
	for (int64_t chunk = 1; chunk <= 100; chunk += 99) {
		bool seen[MOST] = { false };
		struct pool_iter *iter = start(pool_imap_unordered, pool, suite_square,
					       pool_array(in, sizeof *in, (uint64_t)n),
					       (struct pool_policy){ .chunk = chunk });
		for (int i = 0; i < n; i++) {
			int64_t value = -1;
			CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
			uint64_t index = pool_iter_index(iter);
			CHECK(index < (uint64_t)n && !seen[index]);
			CHECK_EQ(value, index * index);
			seen[index] = true;
		}
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 36 */
static void imap_unordered_fast_item_overtakes_a_slow_one(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct errand errands[] = { { .value = 7, .gate = GATE }, { .value = 3 } };
	struct pool_iter *iter = start_errands(pool_imap_unordered, pool, errands, 2,
					       (struct pool_policy){ .chunk = 1 });
	int64_t value = 0;
	CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
	CHECK_EQ(value, 9);
	shared_set(GATE, 1);
	CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
	CHECK_EQ(value, 49);
	CHECK_EQ(pool_iter_next(iter, &value, WAIT), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* 37, 38 */
static void imap_next_that_gives_up_loses_nothing(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int64_t chunk = 1; chunk <= 4; chunk += 3) {
		struct errand errands[10];
		for (int64_t i = 0; i < 10; i++)
			errands[i] = (struct errand){ .value = i, .gate = i ? 0 : GATE };
		shared_set(GATE, 0);
		struct pool_iter *iter = start_errands(pool_imap, pool, errands, 10,
						       (struct pool_policy){ .chunk = chunk });
		int64_t value = -1;
		CHECK_EQ(pool_iter_next(iter, &value, 0), -ETIMEDOUT);
		CHECK_EQ(pool_iter_next(iter, &value, 50 * MS), -ETIMEDOUT);
		CHECK_EQ(value, -1);
		shared_set(GATE, 1);
		expect_squares_then(iter, 10, POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 39, 40 */
static void imap_failing_item_is_reported_in_its_place(const struct pool_backend_info *row)
{
	struct errand errands[] = { { .value = 1 },
				    { .value = 5, .deed = DEED_FAIL, .code = 8 },
				    { .value = 2 } };
	struct pool *pool = suite_open(row, 2);
	for (int64_t chunk = 0; chunk <= 3; chunk++) {
		struct pool_iter *iter = start_errands(pool_imap, pool, errands, 3,
						       (struct pool_policy){ .chunk = chunk });
		int64_t value = -1;
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
		CHECK_EQ(value, 1);
		CHECK(pool_iter_failure(iter) == NULL);
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), POOL_TASK_ERROR);
		const struct pool_failure *failure = pool_iter_failure(iter);
		CHECK(failure && failure->code == 8 && failure->index == 1);
		CHECK(strcmp(failure->message, "errand 5") == 0);
		CHECK_EQ(pool_iter_index(iter), 1);
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
		CHECK_EQ(value, 4);
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 41 */
static void imap_unordered_delivers_the_others_of_a_failing_item(
	const struct pool_backend_info *row)
{
	struct errand errands[20] = { 0 };
	struct pool *pool = suite_open(row, 2);
	errands[11] = (struct errand){ .deed = DEED_FAIL, .code = 8 };
	for (int64_t chunk = 0; chunk <= 6; chunk += 3) {
		struct pool_iter *iter = start_errands(pool_imap_unordered, pool, errands, 20,
						       (struct pool_policy){ .chunk = chunk });
		int good = 0, bad = 0;
		for (int rc; (rc = pool_iter_next(iter, NULL, WAIT)) != POOL_END;) {
			CHECK(rc == 0 || rc == POOL_TASK_ERROR);
			CHECK(rc == 0 || pool_iter_index(iter) == 11);
			*(rc ? &bad : &good) += 1;
		}
		CHECK_EQ(good, 19);
		CHECK_EQ(bad, 1);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 22 */
static void imap_generator_of_unknown_length_equals_serial(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const int64_t lengths[] = { 1, 10, 100, suite_some(row, 3000) };
	for (size_t i = 0; i < 2 * COUNT(lengths); i++) {
		struct suite_counting counting = { .end = lengths[i / 2] };
		struct pool_iter *iter =
			start(pool_imap, pool, suite_square, counting_source(&counting),
			      (struct pool_policy){ .chunk = i % 2 ? 20 : 0 });
		expect_squares_then(iter, counting.end, POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 31, 32, 42 */
static void imap_failing_generator_delivers_what_it_read(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const int64_t chunks[] = { 0, 1, 2, 4 }, ends[] = { 0, 1, 7 };
	for (size_t i = 0; i < COUNT(chunks) * COUNT(ends) * 2; i++) {
		struct suite_counting counting = { .end = ends[i / 2 % 3], .last = -EIO };
		struct pool_iter *iter =
			start(pool_imap, pool, suite_square, counting_source(&counting),
			      (struct pool_policy){ .chunk = chunks[i / 6] });
		expect_squares_then(iter, counting.end, -EIO);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 42, unordered: the same items in any order, then the error */
static void imap_unordered_failing_generator_comes_last(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int64_t chunk = 1; chunk <= 4; chunk *= 2) {
		struct suite_counting counting = { .end = 7, .last = -EIO };
		struct pool_iter *iter =
			start(pool_imap_unordered, pool, suite_square, counting_source(&counting),
			      (struct pool_policy){ .chunk = chunk });
		int64_t sum = 0, value = 0;
		for (int i = 0; i < 7; i++, sum += value)
			CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
		CHECK_EQ(sum, 0 + 1 + 4 + 9 + 16 + 25 + 36);
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), -EIO);
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 43 */
static void imap_never_reads_ahead_of_its_window(const struct pool_backend_info *row)
{
	imap_fn *const variants[] = { pool_imap, pool_imap_unordered };
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 4; i++) {
		struct suite_counting counting = { .end = 100 };
		struct pool_policy policy = { .chunk = 1 + i / 2 * 2, .window = 8 };
		int64_t most = policy.chunk == 1 ? 8 : 9; /* rounded up to a chunk */
		struct pool_iter *iter = start(variants[i % 2], pool, suite_square,
					       counting_source(&counting), policy);
		suite_sleep_ns(50 * MS);
		CHECK(counting.next <= most);
		for (int64_t read = 1; read <= 100; read++) {
			CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
			CHECK(counting.next - read <= most);
		}
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 46 */
static void imap_slow_first_item_holds_the_window(const struct pool_backend_info *row)
{
	static struct errand errands[100];
	struct pool *pool = suite_open(row, 2);
	for (int64_t i = 0; i < 100; i++)
		errands[i] = (struct errand){ .value = i, .gate = i ? 0 : GATE };
	struct pool_iter *iter = start_errands(pool_imap, pool, errands, 100,
					       (struct pool_policy){ .chunk = 1, .window = 16 });
	CHECK_EQ(pool_iter_next(iter, NULL, 100 * MS), -ETIMEDOUT);
	CHECK(shared_get(0) <= 16);
	shared_set(GATE, 1);
	expect_squares_then(iter, 100, POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* 44 */
static void imap_with_a_full_window_terminates(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct suite_counting counting = { .end = 1000 };
	struct pool_iter *iter = start(pool_imap, pool, suite_square, counting_source(&counting),
				       (struct pool_policy){ .chunk = 1, .window = 2 });
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	int64_t begin = suite_now_ns();
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	CHECK(suite_now_ns() - begin < WAIT / 2);
	pool_iter_release(iter);
	pool_destroy(pool);
}

/* 47 */
static void imap_next_after_terminate_and_destroy_says_so(const struct pool_backend_info *row)
{
	static struct errand errands[50];
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 50; i++)
		errands[i] = (struct errand){ .nap_ns = i ? 50 * MS : 0 };
	struct pool_iter *first =
		start_errands(pool_imap, pool, errands, 50, (struct pool_policy){ .chunk = 1 });
	struct pool_iter *second = start_errands(pool_imap_unordered, pool, errands, 50,
						 (struct pool_policy){ .chunk = 1 });
	CHECK_EQ(pool_iter_next(first, NULL, WAIT), 0);
	CHECK_EQ(pool_terminate(pool), 0);
	int rc = 0;
	for (int i = 0; i < 50 && rc == 0; i++) /* what was done before may still come */
		rc = pool_iter_next(first, NULL, WAIT);
	CHECK_EQ(rc, POOL_TERMINATED);
	pool_destroy(pool);
	for (int i = rc = 0; i < 50 && rc == 0; i++)
		rc = pool_iter_next(second, NULL, WAIT);
	CHECK_EQ(rc, POOL_TERMINATED);
	pool_iter_release(first);
	pool_iter_release(second);
}

static void imap_released_early_leaves_the_pool_usable(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 20; i++) {
		struct suite_counting counting = { .end = 1000 };
		struct pool_iter *iter =
			start(i % 2 ? pool_imap : pool_imap_unordered, pool, suite_square,
			      counting_source(&counting), (struct pool_policy){ .chunk = 1 + i });
		for (int read = 0; read < i; read++)
			CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
		pool_iter_release(iter);
		CHECK_EQ(suite_do(pool, (struct errand){ .value = i }), 0);
	}
	suite_finish(pool);
}

/* Two iterations and a map at a time do not mix. */
static void imap_two_iterations_at_a_time_stay_apart(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct suite_counting one = { .end = 200 }, two = { .end = 200 };
	struct pool_policy policy = { .chunk = 3, .window = 9 };
	struct pool_iter *first =
		start(pool_imap, pool, suite_square, counting_source(&one), policy);
	struct pool_iter *second =
		start(pool_imap, pool, suite_square, counting_source(&two), policy);
	for (int64_t i = 0; i < 200; i++) {
		int64_t a = -1, b = -1;
		CHECK_EQ(pool_iter_next(first, &a, WAIT), 0);
		if (i % 50 == 0)
			CHECK_EQ(suite_do(pool, (struct errand){ .value = i }), 0);
		CHECK_EQ(pool_iter_next(second, &b, WAIT), 0);
		CHECK(a == i * i && b == i * i);
	}
	pool_iter_release(first);
	CHECK_EQ(pool_iter_next(second, NULL, WAIT), POOL_END);
	pool_iter_release(second);
	suite_finish(pool);
}

static void imap_columns_and_variable_sizes_keep_their_bytes(const struct pool_backend_info *row)
{
	const uint64_t sizes[] = { 0, 1, 1000, 1 << 20, 17, 0 };
	struct pool_bytes in[6], out = { 0 };
	int64_t ignored[6] = { 0 };
	struct pool_column columns[] = { { in, POOL_VARIABLE }, { ignored, sizeof *ignored } };
	struct pool *pool = suite_open(row, 2);
	for (unsigned i = 0; i < 6; i++)
		suite_fill(in + i, sizes[i], i);
	for (int k = 0; k < 4; k++) {
		struct pool_iter *iter = NULL;
		CHECK_EQ((k % 2 ? pool_imap : pool_imap_unordered)(
				 pool, suite_flip, pool_columns(columns, 2, 6), POOL_VARIABLE,
				 &(struct pool_policy){ .chunk = k, .window = 2 }, &iter),
			 0);
		for (int i = 0; i < 6; i++) {
			CHECK_EQ(pool_iter_next(iter, &out, WAIT), 0);
			uint64_t index = pool_iter_index(iter);
			CHECK(suite_is_flipped(out, sizes[index], (unsigned)index));
			pool_bytes_free(&out, 1);
		}
		CHECK_EQ(pool_iter_next(iter, &out, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	for (unsigned i = 0; i < 6; i++)
		free(in[i].data);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(imap_ends_and_stays_at_its_end, 0),
	CASE(imap_empty_input_ends_at_once, 0),
	CASE(imap_unordered_delivers_every_item_once, 0),
	CASE(imap_unordered_fast_item_overtakes_a_slow_one, POOL_CAN_OVERLAP),
	CASE(imap_next_that_gives_up_loses_nothing, POOL_CAN_OVERLAP),
	CASE(imap_failing_item_is_reported_in_its_place, 0),
	CASE(imap_unordered_delivers_the_others_of_a_failing_item, 0),
	CASE(imap_generator_of_unknown_length_equals_serial, 0),
	CASE(imap_failing_generator_delivers_what_it_read, 0),
	CASE(imap_unordered_failing_generator_comes_last, 0),
	CASE(imap_never_reads_ahead_of_its_window, 0),
	CASE(imap_slow_first_item_holds_the_window, POOL_CAN_OVERLAP),
	CASE(imap_with_a_full_window_terminates, 0),
	CASE(imap_next_after_terminate_and_destroy_says_so, 0),
	CASE(imap_released_early_leaves_the_pool_usable, 0),
	CASE(imap_two_iterations_at_a_time_stay_apart, 0),
	CASE(imap_columns_and_variable_sizes_keep_their_bytes, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
