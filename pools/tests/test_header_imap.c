/*
 * test_header_imap.c - the manual taken at its word: iterations.
 *
 * Cases written from pool.h alone; see test_header.c.
 */
#include "suite.h"

#include <errno.h>
#include <pthread.h>

/* A generator that uses one buffer for all items and counts. */
struct feed {
	int64_t buffer;
	int64_t read, returned, most_ahead;
	int64_t end;
	int fails_with;
	int ended;
	pthread_t thread;
};

static int feed_next(void *state, struct pool_bytes item[])
{
	struct feed *feed = state;
	CHECK(pthread_equal(feed->thread, pthread_self()));
	CHECK_EQ(feed->ended, 0);
	if (feed->read == feed->end) {
		feed->ended = 1;
		return feed->fails_with;
	}
	feed->buffer = feed->read++;
	if (feed->read - feed->returned > feed->most_ahead)
		feed->most_ahead = feed->read - feed->returned;
	item[0].data = &feed->buffer;
	return 1;
}

static void generator_is_read_no_further_than_the_window(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int64_t window = 1; window <= 7; window += 3) {
		struct feed feed = { .end = 50, .thread = pthread_self() };
		struct pool_iter *iter;
		struct pool_policy policy = { .chunk = 3, .window = window };
		CHECK_EQ(pool_imap(pool, suite_square, pool_generator(feed_next, &feed, 8), 8,
				   &policy, &iter),
			 0);
		int64_t y = 0;
		for (int64_t i = 0; i < 50; i++) {
			CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
			CHECK_EQ(y, i * i);
			CHECK_EQ(pool_iter_index(iter), i);
			feed.returned++;
		}
		for (int i = 0; i < 3; i++)
			CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
		/* +1: the item that next is about to return makes room for one. */
		CHECK(feed.most_ahead <= (window < 3 ? 3 : (window + 2) / 3 * 3) + 1);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

static void generator_that_fails_delivers_what_it_read(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	for (int ordered = 0; ordered < 2; ordered++) {
		struct feed feed = { .end = 5, .fails_with = -EIO, .thread = pthread_self() };
		struct pool_iter *iter;
		struct pool_policy policy = { .chunk = 2 };
		struct pool_source source = pool_generator(feed_next, &feed, 8);
		int rc = ordered ? pool_imap(pool, suite_square, source, 8, &policy, &iter)
				 : pool_imap_unordered(pool, suite_square, source, 8, &policy,
						       &iter);
		CHECK_EQ(rc, 0);
		int64_t y, sum = 0;
		for (int i = 0; i < 5; i++) {
			CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
			sum += y;
		}
		CHECK_EQ(sum, 30);
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), -EIO);
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

static void iteration_goes_on_after_failed_and_lost_items(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct errand errands[30];
	for (int i = 0; i < 30; i++)
		errands[i] = (struct errand){ .value = i,
					      .code = 8,
					      .deed = i % 10 == 3   ? DEED_FAIL
						      : i % 10 == 7 ? DEED_KILL
								    : DEED_NONE };
	struct pool_iter *iter;
	CHECK_EQ(pool_imap_unordered(pool, suite_errand, pool_array(errands, sizeof *errands, 30),
				     8, NULL, &iter),
		 0);
	bool seen[30] = { false };
	for (int i = 0; i < 30; i++) {
		int64_t y;
		int rc = pool_iter_next(iter, &y, WAIT);
		uint64_t at = pool_iter_index(iter);
		CHECK(at < 30 && !seen[at]);
		seen[at] = true;
		const struct pool_failure *failure = pool_iter_failure(iter);
		int wanted = at % 10 == 3 ? POOL_TASK_ERROR : at % 10 == 7 ? POOL_WORKER_LOST : 0;
		CHECK_EQ(rc, wanted);
		if (rc == 0) {
			CHECK_EQ(y, at * at);
			CHECK(failure == NULL);
			continue;
		}
		CHECK(failure != NULL);
		CHECK_EQ(failure->status, rc);
		CHECK_EQ(failure->index, at);
		CHECK_EQ(failure->signal, rc == POOL_WORKER_LOST ? 9 : 0);
		CHECK(failure->message != NULL);
	}
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

static void *join_forever(void *user)
{
	CHECK_EQ(pool_join(user, POOL_FOREVER), 0);
	return NULL;
}

static void close_in_the_middle_of_an_iteration_lets_it_finish(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t x[100], y;
	for (int i = 0; i < 100; i++)
		x[i] = i;
	struct pool_iter *iter, *late;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 100), 8,
			   &(struct pool_policy){ .window = 4 }, &iter),
		 0);
	for (int64_t i = 0; i < 3; i++)
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
	CHECK_EQ(pool_join(pool, 0), POOL_BUSY);
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, -2), -EINVAL);
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 100), 8, NULL, &late), POOL_CLOSED);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 1 }), POOL_CLOSED);
	for (int64_t i = 3; i < 100; i++) {
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
		CHECK_EQ(y, i * i);
	}
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
	pthread_t joiners[2];
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&joiners[i], NULL, join_forever, pool), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(joiners[i], NULL), 0);
	CHECK_EQ(pool_join(pool, 0), 0);
	pool_iter_release(iter);
	suite_finish(pool);
}

static void join_before_an_iteration_ends_keeps_what_was_read(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct feed feed = { .end = 100, .thread = pthread_self() };
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_generator(feed_next, &feed, 8), 8,
			   &(struct pool_policy){ .window = 10 }, &iter),
		 0);
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	int64_t y, count = 0, read = feed.read;
	int rc;
	while ((rc = pool_iter_next(iter, &y, WAIT)) == 0) {
		CHECK_EQ(y, count * count);
		count++;
		feed.returned++;
	}
	CHECK(count >= read);
	CHECK_EQ(count, feed.read);
	CHECK_EQ(rc, POOL_CLOSED);
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
	pool_iter_release(iter);
	pool_destroy(pool);
}

/* Elements of no bytes, as many as *state says. */
static int nothing_left(void *state, struct pool_bytes item[])
{
	int *left = state;
	item[0] = (struct pool_bytes){ NULL, 0 };
	return (*left)-- > 0;
}

static void empty_elements_of_a_generator_arrive_as_empty(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int left = 40;
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_flip, pool_generator(nothing_left, &left, POOL_VARIABLE),
			   POOL_VARIABLE, &(struct pool_policy){ .chunk = 3, .window = 7 }, &iter),
		 0);
	for (int i = 0; i < 40; i++) {
		struct pool_bytes got = { NULL, 5 };
		CHECK_EQ(pool_iter_next(iter, i % 2 ? &got : NULL, WAIT), 0);
		CHECK_EQ(pool_iter_index(iter), i);
		if (i % 2) {
			CHECK(got.data != NULL);
			CHECK_EQ(got.size, 0);
		}
		pool_bytes_free(&got, i % 2 ? 1 : 0);
		CHECK(i % 2 == 0 || got.data == NULL);
	}
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	CHECK_EQ(pool_iter_next(iter, NULL, 0), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

static void an_iteration_of_a_joined_pool_gives_what_was_read_and_says_closed_once(
	const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t x[50], y;
	for (int i = 0; i < 50; i++)
		x[i] = i;
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 50), 8,
			   &(struct pool_policy){ .window = 6, .chunk = 2 }, &iter),
		 0);
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
	CHECK_EQ(y, 0);
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	int more = 0, rc;
	while ((rc = pool_iter_next(iter, &y, WAIT)) == 0) {
		more++;
		CHECK_EQ(y, more * more);
		CHECK_EQ(pool_iter_index(iter), more);
	}
	CHECK_EQ(rc, POOL_CLOSED);
	CHECK(more < 9);
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
	pool_destroy(pool);
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
	pool_iter_release(iter);
}

/* The items before it are known to be short. */
static void results_do_not_wait_for_a_long_item_behind_them(const struct pool_backend_info *row)
{
	enum { N = 7, LONG = 4, GATE = 1 };
	struct pool *pool = suite_open(row, 1);
	for (int ordered = 0; ordered < 2; ordered++) {
		struct errand errands[N] = { { 0 } };
		struct pool_iter *iter;
		int64_t y;
		for (int i = 0; i < N; i++)
			errands[i] = (struct errand){ .value = i, .nap_ns = i ? MS / 20 : 0 };
		errands[LONG].gate = GATE;
		shared_set(GATE, 0);
		struct pool_source source = pool_array(errands, sizeof *errands, N);
		CHECK_EQ((ordered ? pool_imap : pool_imap_unordered)(pool, suite_errand, source, 8,
								     NULL, &iter),
			 0);
		for (int i = 0; i < N; i++) {
			if (i == LONG)
				shared_set(GATE, 1);
			CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
			CHECK_EQ(y, i * i);
		}
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

enum { TOLD = 1, GATED = 700 };

/* Twenty microseconds, by the clock; one waits until the caller has the result before it. */
static int wait_for_the_caller(struct pool_call *call)
{
	const int64_t until_ns = suite_now_ns() + 20000;
	*(int64_t *)pool_result(call) = 0;
	while (suite_now_ns() < until_ns)
		continue;
	return pool_index(call) != GATED || shared_reaches(TOLD, 1) ? 0 : 1;
}
POOL_TASK(wait_for_the_caller)

static void caller_may_have_a_result_before_the_next_item_ends(const struct pool_backend_info *row)
{
	static const int64_t x[2 * GATED];
	struct pool *pool = suite_open(row, 1);
	struct pool_iter *iter;
	int64_t y;
	CHECK_EQ(pool_imap(pool, POOL(wait_for_the_caller), pool_array(x, 8, COUNT(x)), 8, NULL,
			   &iter),
		 0);
	for (int i = 0; i < 2 * GATED; i++) {
		if (i == GATED)
			shared_set(TOLD, 1);
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
	}
	pool_iter_release(iter);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(generator_is_read_no_further_than_the_window, 0),
	CASE(generator_that_fails_delivers_what_it_read, 0),
	CASE(iteration_goes_on_after_failed_and_lost_items, POOL_CAN_SURVIVE),
	CASE(close_in_the_middle_of_an_iteration_lets_it_finish, 0),
	CASE(join_before_an_iteration_ends_keeps_what_was_read, 0),
	CASE(empty_elements_of_a_generator_arrive_as_empty, 0),
	CASE(results_do_not_wait_for_a_long_item_behind_them, POOL_CAN_OVERLAP),
	CASE(caller_may_have_a_result_before_the_next_item_ends, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(an_iteration_of_a_joined_pool_gives_what_was_read_and_says_closed_once, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
