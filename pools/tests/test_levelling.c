/* test_levelling.c - what was sent to a worker and has not begun goes to who is free: see deal.h. */
#include "pools/tests/suite.h"

#include <string.h>
#include <unistd.h>

enum { DONE, RUNS, WAITER = 10 };

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
 * worker must keep: its chunk, and one of what was sent behind. */
static void long_item_holds_nobody_up(const struct pool_backend_info *row)
{
	enum { N = 400, CHUNK = 4 };
	static int64_t x[N], y[N];
	if (strstr(row->name, "shm"))
		return; /* no item is sent; what is claimed with a long one waits */
	for (int64_t chunk = 0; chunk <= CHUNK; chunk += CHUNK) {
		const int64_t least = N - 2 * (chunk ? chunk : 1);
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

static const struct suite_case cases[] = {
	CASE(long_item_holds_nobody_up, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(counting_workers_keep_their_chunk, POOL_CAN_ISOLATE | POOL_CAN_REUSE),
	CASE(what_is_taken_away_runs_once, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
