/* test_levelling.c - what was sent to a worker and has not begun goes to who is free: see deal.h. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { DONE, RUNS, GOES, BRIEF, BEGUN, WAITER = 10 };

static void keep_busy(int64_t ns)
{
	for (const int64_t end_ns = suite_now_ns() + ns; suite_now_ns() < end_ns;)
		continue;
}

/* The result is who ran it. One waits until nearly all others are done. */
static int wait_for_others(struct pool_call *call)
{
	const int64_t wanted = *(const int64_t *)pool_arg(call, 0);
	*(int64_t *)pool_result(call) = pool_worker(call);
	if (pool_index(call) == WAITER && !shared_reaches(DONE, wanted))
		return 1;
	keep_busy(30000);
	shared_add(DONE, 1);
	return 0;
}
POOL_TASK(wait_for_others)

/* What was sent along with a long item waited for its end, however idle the others were. All of it goes to them but what the
 * worker has begun: the chunk with the long item. */
static void long_item_holds_nobody_up(const struct pool_backend_info *row)
{
	enum { N = 400, CHUNK = 4 };
	static int64_t x[N], y[N];
	if (strstr(row->name, "shm"))
		return; /* no item is sent; what is claimed with a long one waits */
	for (int64_t chunk = 0; chunk <= CHUNK; chunk += CHUNK) {
		const int64_t least = N - (chunk ? chunk : 1);
		struct pool *pool = suite_open(row, 2);
		shared_set(DONE, 0);
		for (int i = 0; i < N; i++)
			x[i] = least;
		CHECK_EQ(pool_map(pool, POOL(wait_for_others), x, 8, N, y, 8,
				  &(struct pool_policy){ .chunk = chunk }),
			 0);
		for (int i = 0; i < N && chunk; i++)
			CHECK_EQ(y[i], y[i / CHUNK * CHUNK]); /* they stay together */
		suite_finish(pool);
	}
}

/* The result is the process that ran it. */
static int take_long_once(struct pool_call *call)
{
	keep_busy(pool_index(call) == WAITER ? 30 * MS : 30000);
	*(int64_t *)pool_result(call) = getpid();
	return 0;
}
POOL_TASK(take_long_once)

/* Workers that count their tasks leave where a chunk ends, and an automatic chunk is what was sent at once: nothing is taken
 * from it, or its worker would go on with the next. */
static void counting_workers_keep_their_chunk(const struct pool_backend_info *row)
{
	enum { N = 400 };
	static int64_t x[N], y[N];
	int64_t parts = 1;
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .tasks_per_worker = 1 });
	CHECK_EQ(pool_map(pool, POOL(take_long_once), x, 8, N, y, 8, NULL), 0);
	for (int i = 1; i < N; i++)
		parts += y[i] != y[i - 1];
	CHECK_EQ(suite_distinct(y, N), parts); /* each process has a single part */
	suite_finish(pool);
}

/* Long ones are rare, so all estimates are wrong. */
static int take_uneven_time(struct pool_call *call)
{
	const int64_t x = *(const int64_t *)pool_arg(call, 0);
	shared_add(RUNS, 1);
	keep_busy(x * 2654435761 % 101 == 0 ? 1 * MS : x % 7 * 3000);
	*(int64_t *)pool_result(call) = x * x;
	return 0;
}
POOL_TASK(take_uneven_time)

/* What is taken from a worker at the moment in which it begins it is run by one of both, not by none or two. */
static void what_is_taken_away_runs_once(const struct pool_backend_info *row)
{
	enum { N = 600, CALLS = 40 };
	static int64_t x[N], y[N];
	const int n = suite_some(row, N), workers = 3;
	struct pool *pool = suite_open(row, workers);
	for (int call = 0; call < CALLS; call++) {
		shared_set(RUNS, 0);
		for (int i = 0; i < n; i++)
			x[i] = call * N + i;
		CHECK_EQ(pool_map(pool, POOL(take_uneven_time), x, 8, (uint64_t)n, y, 8,
				  &(struct pool_policy){ .chunk = call % 4 }),
			 0);
		CHECK_EQ(shared_get(RUNS), n);
		for (int i = 0; i < n; i++)
			CHECK_EQ(y[i], x[i] * x[i]);
	}
	suite_finish(pool);
}

/* The long one ends when it may, the others count. */
static int stay_until_told(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = getpid();
	shared_add(RUNS, 1);
	if (pool_index(call) == 40) /* in a flight of several chunks */
		return shared_reaches(GOES, 1) ? 0 : 1;
	keep_busy(1000);
	shared_add(DONE, 1);
	return 0;
}
POOL_TASK(stay_until_told)

static int count_brief(struct pool_call *call)
{
	keep_busy(1500);
	shared_add(BRIEF, 1);
	*(int64_t *)pool_result(call) = getpid();
	return 0;
}
POOL_TASK(count_brief)

/* The worker of a flight that was cut while it ran the last piece of what stayed did not know it had ended. Another flight had
 * its place in the outbox by then: items ran twice, and of the other call many were POOL_DECODE_ERROR. */
static void flight_that_was_cut_ends_where_it_was_cut(const struct pool_backend_info *row)
{
	enum { N = 128, CHUNK = 16, MANY = 20000 };
	static int64_t x[MANY], y[N], z[MANY];
	if (strstr(row->name, "shm"))
		return; /* there the items behind the long one wait */
	struct pool *pool = suite_open(row, 2);
	for (int round = 0; round < 8; round++) {
		struct pool_async *first, *second;
		for (unsigned word = DONE; word <= BRIEF; word++)
			shared_set(word, 0);
		CHECK_EQ(pool_map_async(pool, POOL(stay_until_told), x, 8, N, 8,
					&(struct pool_policy){ .chunk = CHUNK }, &first),
			 0);
		CHECK(shared_reaches(DONE, N - CHUNK));
		suite_sleep_ns(50 * MS); /* all is cut that can be cut */
		CHECK_EQ(pool_map_async(pool, POOL(count_brief), x, 8, MANY, 8,
					&(struct pool_policy){ .chunk = CHUNK }, &second),
			 0);
		CHECK(shared_reaches(BRIEF, MANY / 2));
		shared_set(GOES, 1);
		CHECK_EQ(pool_async_get(first, y, WAIT), 0);
		CHECK_EQ(pool_async_get(second, z, WAIT), 0);
		CHECK_EQ(shared_get(RUNS), N);
		CHECK_EQ(shared_get(BRIEF), MANY);
		pool_async_release(first);
		pool_async_release(second);
	}
	suite_finish(pool);
}

/* One worker waits. Another one fails when the third has done all that it was let have. */
static int fail_when_levelled(struct pool_call *call)
{
	if (pool_index(call) == WAITER) {
		shared_set(BEGUN, 1);
		const bool told = shared_reaches(GOES, 1);
		suite_sleep_ns(20 * MS); /* by then the call is recalled */
		return told ? 0 : 1;
	}
	keep_busy(30000);
	const int64_t most = *(const int64_t *)pool_arg(call, 0);
	if (shared_add(DONE, 1) < most / 2 || !shared_get(BEGUN) || shared_add(RUNS, 1) > 1)
		return 0;
	shared_reaches(DONE, most);
	suite_sleep_ns(50 * MS);
	shared_set(GOES, 1);
	return 7;
}
POOL_TASK(fail_when_levelled)

/* A worker whose flight was cut, and was recalled then, told that it had dropped nothing of a flight that was over, and was
 * killed for that. */
static void flight_that_was_cut_can_be_recalled(const struct pool_backend_info *row)
{
	enum { N = 400 };
	static int64_t x[N];
	struct pool_worker_stats stats;
	if (strstr(row->name, "shm"))
		return;
	for (int i = 0; i < N; i++)
		x[i] = N - 2;
	struct pool *pool = suite_open(row, 3);
	for (int round = 0; round < 4; round++) {
		int32_t status[N];
		for (unsigned word = DONE; word <= BEGUN; word++)
			shared_set(word, 0);
		CHECK_EQ(pool_map(pool, POOL(fail_when_levelled), x, 8, N, NULL, 0,
				  &(struct pool_policy){ .fail_fast = true, .statuses = status }),
			 POOL_TASK_ERROR);
		for (int i = 0; i < N; i++)
			CHECK(status[i] == 0 || status[i] == POOL_TASK_ERROR ||
			      status[i] == -ECANCELED);
	}
	suite_sleep_ns(50 * MS); /* who is killed has a successor by then */
	for (int worker = 0; worker < 3; worker++) {
		CHECK_EQ(pool_worker_stats(pool, worker, &stats), 0);
		CHECK_EQ(stats.starts, 1);
	}
	suite_finish(pool);
}

enum { MEETERS = 8, SHORT_MOST = 3000 };

/* The first are short, the others wait for each other. */
static int meet(struct pool_call *call)
{
	const int64_t meeting = *(const int64_t *)pool_arg(call, 0);
	if (meeting < 0)
		keep_busy(-meeting);
	if (meeting <= 0)
		return 0;
	shared_add(DONE, 1);
	return shared_reaches(DONE, meeting) ? 0 : 1;
}
POOL_TASK(meet)

static int meet_by_imap(struct pool *pool, const int64_t *x, uint64_t n)
{
	struct pool_iter *iter;
	int rc = pool_imap_unordered(pool, POOL(meet), pool_array(x, sizeof *x, n), 0,
				     &(struct pool_policy){ .chunk = 1 }, &iter);
	CHECK_EQ(rc, 0);
	while ((rc = pool_iter_next(iter, NULL, WAIT)) == 0)
		continue;
	pool_iter_release(iter);
	return rc == POOL_END ? 0 : rc;
}

static void meet_by_calls(struct pool *pool, const int64_t *x, int n)
{
	static struct pool_async *call[SHORT_MOST + MEETERS];
	for (int i = 0; i < n; i++) {
		const struct pool_column arg = { &x[i], sizeof x[i] };
		CHECK_EQ(pool_apply_async(pool, POOL(meet), &arg, 1, 0, NULL, &call[i]), 0);
	}
	for (int i = 0; i < n; i++) {
		CHECK_EQ(pool_async_get(call[i], NULL, WAIT), 0);
		pool_async_release(call[i]);
	}
}

/* As many as there are workers are under way together in the end: as calls of their own, as a whole call, or of a stream with
 * each row; and by pipe none of them is sent with or behind another, however short the items were until then. */
static void last_ones_do_not_wait_behind_each_other(const struct pool_backend_info *row)
{
	enum { ROUNDS = 12 };
	static const int shorts_of[] = { 2, 150, 0, SHORT_MOST };
	static int64_t x[SHORT_MOST + MEETERS];
	const bool alone = strstr(row->name, "pipe"); /* else who found them short takes several */
	struct pool *pool = suite_open(row, MEETERS);
	for (int round = 0; round < ROUNDS; round++) {
		const int shorts = shorts_of[round % 4], n = shorts + MEETERS;
		for (int i = 0; i < n; i++)
			x[i] = i < shorts ? 0 : MEETERS;
		shared_set(DONE, 0);
		if (shorts < SHORT_MOST)
			meet_by_calls(pool, x, n);
		shared_set(DONE, 0);
		if (shorts < SHORT_MOST || alone)
			CHECK_EQ(meet_by_imap(pool, x, (uint64_t)n), 0);
		if (!alone && shorts)
			continue;
		shared_set(DONE, 0);
		CHECK_EQ(pool_map(pool, POOL(meet), x, 8, (uint64_t)n, NULL, 0,
				  &(struct pool_policy){ .chunk = 1 }),
			 0);
	}
	suite_finish(pool);
}

/* With more workers than CPUs few are woken for short items. When those are in long ones the others come, although nobody waits
 * for the call. The short ones are long enough to be taken one by one. */
static void workers_come_when_items_turn_long(const struct pool_backend_info *row)
{
	enum { SHORTS = 16, SHORT_NS = 20000, ROUNDS = 5 };
	int64_t x[SHORTS + MEETERS];
	struct pool *pool = suite_open(row, MEETERS);
	for (int i = 0; i < SHORTS + MEETERS; i++)
		x[i] = i < SHORTS ? -SHORT_NS : MEETERS;
	for (int round = 0; round < ROUNDS; round++) {
		struct pool_async *async;
		shared_set(DONE, 0);
		CHECK_EQ(pool_map_async(pool, POOL(meet), x, 8, COUNT(x), 0,
					&(struct pool_policy){ .chunk = 1 }, &async),
			 0);
		CHECK(shared_reaches(DONE, MEETERS));
		CHECK_EQ(pool_async_get(async, NULL, WAIT), 0);
		pool_async_release(async);
	}
	suite_finish(pool);
}

/* Who was roused for the first was taken for one that would come by itself to the second, too. With threads nobody looks for
 * what is left, as long as nobody waits. */
static void two_items_begin_though_nobody_waits(const struct pool_backend_info *row)
{
	enum { SHORTS = 3, ROUNDS = 20 };
	const int64_t x[2] = { 2, 2 }, brief = 0;
	struct pool *pool = suite_open(row, 2);
	for (int round = 0; round < ROUNDS; round++) {
		struct pool_async *async;
		for (int i = 0; i < SHORTS; i++)
			CHECK_EQ(pool_apply(pool, POOL(meet), &(struct pool_column){ &brief, 8 }, 1,
					    NULL, 0, NULL),
				 0);
		shared_set(DONE, 0);
		CHECK_EQ(pool_map_async(pool, POOL(meet), x, 8, 2, 0,
					&(struct pool_policy){ .chunk = 1 }, &async),
			 0);
		CHECK(shared_reaches(DONE, 2));
		CHECK_EQ(pool_async_get(async, NULL, WAIT), 0);
		pool_async_release(async);
	}
	suite_finish(pool);
}

/* The result is the sum of the bytes. Some take long. */
static int sum_bytes(struct pool_call *call)
{
	const unsigned char *bytes = pool_arg(call, 1);
	int64_t sum = 0;
	for (uint64_t i = 0; i < pool_arg_size(call, 1); i++)
		sum += bytes[i];
	if (pool_index(call) % 67 == 66)
		suite_sleep_ns(60 * MS);
	*(int64_t *)pool_result(call) = sum;
	return 0;
}
POOL_TASK(sum_bytes)

/* The arguments of a stream's items go one by one, as their results are taken. A flight that was only half sent was cut, and
 * the rest of it read from there: POOL_ENCODE_ERROR, or other bytes. */
static void stream_is_not_taken_while_it_is_sent(const struct pool_backend_info *row)
{
	enum { N = 300, FIXED = 30000, VARIABLE = 36000, ROUNDS = 8 };
	static unsigned char fixed[N][FIXED], bytes[N][VARIABLE];
	static struct pool_bytes variable[N];
	const struct pool_column columns[2] = { { fixed, FIXED }, { variable, POOL_VARIABLE } };
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < N; i++) {
		memset(bytes[i], i % 100, VARIABLE);
		variable[i] = (struct pool_bytes){ bytes[i], VARIABLE };
	}
	for (int round = 0; round < ROUNDS; round++) {
		struct pool_iter *iter;
		int64_t y;
		CHECK_EQ(pool_imap_unordered(pool, POOL(sum_bytes), pool_columns(columns, 2, N), 8,
					     &(struct pool_policy){ .window = round % 2 ? 200 : 0 },
					     &iter),
			 0);
		for (int i = 0; i < N; i++) {
			CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
			CHECK_EQ(y, (int64_t)(pool_iter_index(iter) % 100 * VARIABLE));
		}
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(long_item_holds_nobody_up, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(counting_workers_keep_their_chunk, POOL_CAN_ISOLATE | POOL_CAN_REUSE),
	CASE(flight_that_was_cut_ends_where_it_was_cut, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(flight_that_was_cut_can_be_recalled, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(what_is_taken_away_runs_once, 0),
	CASE(last_ones_do_not_wait_behind_each_other, POOL_CAN_OVERLAP),
	CASE(workers_come_when_items_turn_long, POOL_CAN_OVERLAP),
	CASE(two_items_begin_though_nobody_waits, POOL_CAN_OVERLAP),
	CASE(stream_is_not_taken_while_it_is_sent, POOL_CAN_OVERLAP | POOL_CAN_REUSE),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
