/*
 * test_imap_input.c - how long an iteration reads: inputs that are slow, become slow, are steady, fail, or whose pool ends
 * meanwhile. Whoever waits gets what is there, in time, and is told of the end once.
 */
#include "pools/tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static int feed_slowly(void *state, struct pool_bytes item[])
{
	suite_sleep_ns(2 * MS);
	return suite_count_up(state, item);
}

static void slow_input_is_worked_on_while_it_is_read(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int ordered = 0; ordered < 2; ordered++) {
		struct suite_counting feed = { .end = 4000 }; /* in a window, but takes 8 s */
		struct pool_source source = pool_generator(feed_slowly, &feed, 8);
		struct pool_iter *iter = NULL;
		CHECK_EQ((ordered ? pool_imap : pool_imap_unordered)(pool, suite_square, source, 8,
								     NULL, &iter),
			 0);
		CHECK(feed.next < 20);
		int64_t y = -1;
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
		CHECK(feed.next < feed.end);
		CHECK_EQ(y, pool_iter_index(iter) * pool_iter_index(iter));
		for (int i = 1; i < 20; i++) /* nothing is kept back either */
			CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
		CHECK(feed.next < feed.end);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

static int feed_a_burst(void *state, struct pool_bytes item[])
{
	if (((struct suite_counting *)state)->next >= 16)
		suite_sleep_ns(20 * MS);
	return suite_count_up(state, item);
}

static void input_that_becomes_slow_is_left_at_once(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct suite_counting feed = { .end = 1000 };
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_generator(feed_a_burst, &feed, 8), 8, NULL,
			   &iter),
		 0);
	CHECK(feed.next < 20);
	int64_t y = -1;
	for (int64_t i = 0; i < 20; i++) {
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
		CHECK_EQ(y, i * i);
	}
	CHECK(feed.next < feed.end);
	pool_iter_release(iter);
	suite_finish(pool);
}

struct ending {
	struct pool *pool;
	bool terminate;
	int64_t read, at;
};

/* Fails behind the item with which it ends the pool: of the same chunk, so both are lost. */
static int feed_and_end(void *state, struct pool_bytes item[])
{
	struct ending *ending = state;
	if (ending->read > ending->at)
		return -77;
	if (ending->read++ == ending->at) {
		CHECK_EQ((ending->terminate ? pool_terminate : pool_close)(ending->pool), 0);
		if (!ending->terminate)
			CHECK_EQ(pool_join(ending->pool, WAIT), 0);
	}
	item[0].data = &ending->read;
	return 1;
}

static void pool_ended_while_input_is_read_is_told_of_once(const struct pool_backend_info *row)
{
	for (int way = 0; way < 8; way++) {
		struct ending ending = { .pool = suite_open(row, 2),
					 .terminate = way & 1,
					 .at = way & 2 ? 5 : 0 };
		int64_t y = -1;
		struct pool_iter *iter;
		CHECK_EQ(pool_imap(ending.pool, suite_square,
				   pool_generator(feed_and_end, &ending, 8), 8,
				   &(struct pool_policy){ .chunk = way & 4 ? 4 : 1 }, &iter),
			 0);
		int rc = 0;
		for (int i = 0; i < 10 && rc == 0; i++)
			rc = pool_iter_next(iter, &y, WAIT);
		CHECK_EQ(rc, ending.terminate ? POOL_TERMINATED : POOL_CLOSED);
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
		pool_iter_release(iter);
		pool_destroy(ending.pool);
	}
}

/* Of chunks of four: the sixth item fails when the first, which fails fast, is known to have failed. */
static int feed_and_fail(void *state, struct pool_bytes item[])
{
	static struct errand errands[5] = { { .deed = DEED_FAIL, .code = 9 } };
	struct ending *ending = state;
	struct pool_stats stats = { 0 };
	if (ending->read < 5) {
		item[0].data = &errands[ending->read++];
		return 1;
	}
	for (int i = 0; i < 10000 && !stats.failed; i++) {
		suite_sleep_ns(MS);
		CHECK_EQ(suite_do(ending->pool, (struct errand){ 0 }), 0);
		CHECK_EQ(pool_stats(ending->pool, &stats), 0);
	}
	ending->at = 1;
	return -77;
}

static void failed_input_is_told_of_where_a_task_failed_fast(const struct pool_backend_info *row)
{
	struct ending ending = { .pool = suite_open(row, 1) };
	int64_t y;
	struct pool_iter *iter;
	int rc = -1, last = 0;
	CHECK_EQ(pool_imap(ending.pool, suite_errand,
			   pool_generator(feed_and_fail, &ending, sizeof(struct errand)), 8,
			   &(struct pool_policy){ .chunk = 4, .fail_fast = true }, &iter),
		 0);
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_TASK_ERROR);
	for (int i = 0; i < 10 && rc != POOL_END; i++) {
		last = rc;
		rc = pool_iter_next(iter, &y, WAIT);
	}
	CHECK_EQ(rc, POOL_END);
	CHECK(last == -77 ||
	      !ending.at); /* a slow machine may have known of the failure before it asked */
	pool_iter_release(iter);
	suite_finish(ending.pool);
}

/* Five microseconds an item: forty in a burst. */
static int feed_steadily(void *state, struct pool_bytes item[])
{
	const int64_t until_ns = suite_now_ns() + 5000;
	while (suite_now_ns() < until_ns)
		continue;
	return suite_count_up(state, item);
}

static void input_that_is_not_slow_is_left_in_time(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct suite_counting feed = { .end = 1000000 };
	struct pool_iter *iter;
	int64_t y = -1;
	CHECK_EQ(pool_imap(pool, suite_square, pool_generator(feed_steadily, &feed, 8), 8,
			   &(struct pool_policy){ .window = 100000 }, &iter),
		 0);
	CHECK(feed.next < 100);
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
	CHECK_EQ(y, 0);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* Errands that wait for shared word 1. */
static int feed_gated(void *state, struct pool_bytes item[])
{
	static struct errand errand = { .gate = 1 };
	suite_sleep_ns(2 * MS);
	errand.value = (*(int64_t *)state)++;
	item[0].data = &errand;
	return 1;
}

static void time_limit_of_next_holds_with_a_slow_input(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t read = 0, y = -1;
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_errand,
			   pool_generator(feed_gated, &read, sizeof(struct errand)), 8,
			   &(struct pool_policy){ .window = 8000 }, &iter),
		 0);
	CHECK_EQ(pool_iter_next(iter, &y, 20 * MS), -ETIMEDOUT);
	const int64_t first = read;
	CHECK(first > 1 && first < 1000);
	CHECK_EQ(pool_iter_next(iter, &y, 0), -ETIMEDOUT);
	CHECK(read > first && read < first + 20); /* who only looks gets on, too */
	shared_set(1, 1);
	for (int64_t i = 0; i < 10; i++) {
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
		CHECK_EQ(y, i * i);
	}
	CHECK(read < 8000);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* All that was read has been returned, and that is not all there was: said, or not, by how much had been read. */
static void end_of_the_pool_is_told_where_input_was_left(const struct pool_backend_info *row)
{
	const int64_t x[8] = { 0 };
	for (int window = 1; window <= 16; window *= 2) {
		struct pool *pool = suite_open(row, 2);
		struct pool_iter *iter[2];
		for (int i = 0; i < 2; i++) {
			CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 8), 8,
					   &(struct pool_policy){ .window = window }, &iter[i]),
				 0);
			for (int taken = 0; taken < (i ? window : 8) && taken < 8; taken++)
				CHECK_EQ(pool_iter_next(iter[i], NULL, WAIT), 0);
		}
		pool_destroy(pool);
		CHECK_EQ(pool_iter_next(iter[0], NULL, WAIT), POOL_END);
		CHECK_EQ(pool_iter_next(iter[1], NULL, WAIT),
			 window < 8 ? POOL_TERMINATED : POOL_END);
		CHECK_EQ(pool_iter_next(iter[1], NULL, WAIT), POOL_END);
		pool_iter_release(iter[0]);
		pool_iter_release(iter[1]);
	}
}

static void array_that_was_read_to_its_end_is_whole(const struct pool_backend_info *row)
{
	const int64_t x[8] = { 0 };
	for (int window = 8; window <= 16; window++) {
		struct pool *pool = suite_open(row, 2);
		struct pool_iter *iter;
		CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 8), 8,
				   &(struct pool_policy){ .window = window }, &iter),
			 0);
		CHECK_EQ(pool_close(pool), 0);
		CHECK_EQ(pool_join(pool, WAIT), 0);
		int rc, taken = 0; /* a slow machine may have read less */
		while ((rc = pool_iter_next(iter, NULL, WAIT)) == 0)
			taken++;
		CHECK_EQ(rc, taken < 8 ? POOL_CLOSED : POOL_END);
		pool_iter_release(iter);
		pool_destroy(pool);
	}
}

static int feed_nothing(void *state, struct pool_bytes item[])
{
	(void)state;
	(void)item;
	return 1;
}

static void item_without_data_is_not_acceptable(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_generator(feed_nothing, NULL, 8), 8, NULL,
			   &iter),
		 0);
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), -EINVAL);
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

enum { LARGE = 5 << 20, LARGE_MOST = 4 << 20, RUNS = 1 };
static bool no_large_memory;

/* In place of the C library's. */
int fallocate(int fd, int mode, off_t at, off_t bytes)
{
	if (no_large_memory && bytes > LARGE_MOST) {
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, at, bytes);
}

static int count_itself(struct pool_call *call)
{
	(void)call;
	shared_add(RUNS, 1);
	suite_sleep_ns(MS);
	return 0;
}
POOL_TASK(count_itself)

/* So many that there is no place for anything else. */
static void start_jobs(struct pool *pool, struct pool_async *jobs[64])
{
	static int64_t numbers[300];
	for (int i = 0; i < 64; i++)
		CHECK_EQ(pool_map_async(pool, suite_square, numbers, 8, COUNT(numbers), 8,
					&(struct pool_policy){ .chunk = 1 }, &jobs[i]),
			 0);
}

static void finish_jobs(struct pool_async *jobs[64])
{
	for (int i = 0; i < 64; i++) {
		CHECK_EQ(pool_async_wait(jobs[i], WAIT), 0);
		pool_async_release(jobs[i]);
	}
}

/* The large one of these items may have no memory. */
static void read_behind_jobs(struct pool *pool, int64_t chunk, struct pool_bytes *in, int n,
			     int64_t pause)
{
	struct pool_async *jobs[64];
	struct pool_iter *iter = NULL;
	int64_t fine = 0, told = 0;
	int rc;
	start_jobs(pool, jobs);
	CHECK_EQ(pool_imap(pool, POOL(count_itself), pool_array(in, POOL_VARIABLE, (uint64_t)n), 0,
			   &(struct pool_policy){ .chunk = chunk, .fail_fast = true }, &iter),
		 0);
	for (; (rc = pool_iter_next(iter, NULL, WAIT)) != POOL_END; told++) {
		CHECK(rc == 0 || rc == -ECANCELED || rc == POOL_ENCODE_ERROR);
		fine += rc == 0;
		if (told == pause)
			finish_jobs(jobs);
	}
	if (told <= pause)
		finish_jobs(jobs);
	suite_sleep_ns(20 * MS); /* for what should not be run */
	CHECK_EQ(shared_get(RUNS), fine);
	pool_iter_release(iter);
}

/* Such an iteration has failed fast before it gets a place with the workers. Nothing of it is run or told again, also not
 * of a chunk of which some results were taken by then. */
static void failed_iteration_in_the_queue_is_not_run(const struct pool_backend_info *row)
{
	static char large[LARGE];
	struct pool_stats stats;
	for (int round = 0; round < 4; round++) {
		struct pool_bytes in[40];
		struct pool *pool = suite_open(row, 2);
		for (int i = 0; i < 40; i++)
			in[i] = (struct pool_bytes){ large, i == 20 ? LARGE : 8 };
		no_large_memory = true;
		read_behind_jobs(pool, round % 2 ? 4 : 1, in, 40, round % 2 ? 5 : 40);
		no_large_memory = false;
		CHECK_EQ(pool_stats(pool, &stats), 0);
		CHECK_EQ(stats.submitted, stats.done + stats.failed + stats.cancelled);
		suite_finish(pool);
		shared_set(RUNS, 0);
	}
}

/* Each of them takes long, in the second column; those before do not. They are not read all at once. */
static void array_that_becomes_slow_is_left_in_time(const struct pool_backend_info *row)
{
	static char large[LARGE];
	static const int64_t numbers[32];
	struct pool_bytes bytes[32];
	struct pool_column columns[2] = { { numbers, 8 }, { bytes, POOL_VARIABLE } };
	struct pool_iter *iter;
	struct pool_stats stats;
	struct pool *pool = suite_open(row, 1);
	for (int i = 0; i < 32; i++)
		bytes[i] = (struct pool_bytes){ large, i < 17 ? 8 : LARGE };
	CHECK_EQ(pool_imap(pool, POOL(count_itself), pool_columns(columns, 2, 32), 0,
			   &(struct pool_policy){ .window = 32 }, &iter),
		 0);
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK(stats.submitted < 24);
	for (int i = 0; i < 32; i++)
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(slow_input_is_worked_on_while_it_is_read, 0),
	CASE(input_that_becomes_slow_is_left_at_once, 0),
	CASE(input_that_is_not_slow_is_left_in_time, 0),
	CASE(end_of_the_pool_is_told_where_input_was_left, 0),
	CASE(array_that_was_read_to_its_end_is_whole, 0),
	CASE(item_without_data_is_not_acceptable, 0),
	CASE(pool_ended_while_input_is_read_is_told_of_once, 0),
	CASE(failed_input_is_told_of_where_a_task_failed_fast, POOL_CAN_OVERLAP),
	CASE(array_that_becomes_slow_is_left_in_time, 0),
	CASE(failed_iteration_in_the_queue_is_not_run, POOL_CAN_OVERLAP | POOL_CAN_REUSE),
	CASE(time_limit_of_next_holds_with_a_slow_input, POOL_CAN_OVERLAP),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
