/*
 * test_away.c - calls whose caller is not in the pool: it released the handle, its generator takes
 * long, it is busy between two results. The work goes on all the same, limits are kept, the dead
 * replaced.
 */
#include "pools/tests/suite.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

#define LIMIT (200 * MS) /* far above what an errand takes on a slow machine */

enum { BURST = 46 }; /* tiles are handed out 1, 2, 4, 8, 16, 16 at a time: some are left over */

struct feed {
	struct pool *pool;
	struct errand errand;
	int64_t given, burst;
	int64_t begun; /* how many executions the input waits for, in word 0, when it has given all */
	int64_t limits;	      /* how many items over their limit, after that */
	int64_t pause_ns;     /* before the second and the third item */
	const int64_t *calls; /* not NULL: of somebody else */
	int64_t calls_meanwhile;
	bool in_vain;
};

static bool times_out(struct pool *pool, uint64_t wanted)
{
	const int64_t until_ns = suite_now_ns() + WAIT;
	struct pool_stats stats = { 0 };
	while (stats.timed_out < wanted && suite_now_ns() < until_ns) {
		suite_sleep_ns(MS);
		CHECK_EQ(pool_stats(pool, &stats), 0);
	}
	return stats.timed_out >= wanted;
}

/* The first item naps and does the deed, the others do nothing. */
static int feed_then_wait(void *state, struct pool_bytes item[])
{
	struct feed *feed = state;
	if (feed->given == feed->burst) {
		const int64_t before =
			feed->calls ? __atomic_load_n(feed->calls, __ATOMIC_RELAXED) : 0;
		feed->in_vain = !shared_reaches(0, feed->begun) ||
				(feed->limits && !times_out(feed->pool, (uint64_t)feed->limits));
		if (feed->calls)
			feed->calls_meanwhile =
				__atomic_load_n(feed->calls, __ATOMIC_RELAXED) - before;
		return 0;
	}
	if (feed->given == 1)
		feed->errand = (struct errand){ .deed = DEED_NONE };
	if (feed->given == 1 || feed->given == 2) /* by pool_imap, by pool_iter_next */
		suite_sleep_ns(feed->pause_ns);
	feed->given++;
	item[0].data = &feed->errand;
	return 1;
}

/* Reads all; how many were not fine. */
static int64_t run(struct feed *feed, bool ordered, const struct pool_policy *policy)
{
	struct pool_iter *iter;
	int64_t taken = 0, failed = 0;
	int rc;
	CHECK_EQ((ordered ? pool_imap : pool_imap_unordered)(feed->pool, suite_errand,
							     pool_generator(feed_then_wait, feed,
									    sizeof feed->errand),
							     8, policy, &iter),
		 0);
	for (; (rc = pool_iter_next(iter, NULL, WAIT)) != POOL_END; taken++)
		failed += rc != 0;
	CHECK_EQ(taken, feed->burst);
	CHECK(!feed->in_vain);
	pool_iter_release(iter);
	return failed;
}

static void all_of_a_burst_is_worked_on(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const int burst = suite_some(row, BURST);
	for (int way = 0; way < 8; way++) {
		shared_set(0, 0);
		struct feed feed = {
			.pool = pool,
			.burst = burst,
			.begun = burst,
			.errand.nap_ns = way & 4 ? 80 * MS : 0, /* so nothing can be returned */
			.pause_ns = way & 4 ? 20 * MS : 0,
		};
		CHECK_EQ(run(&feed, way & 1, &(struct pool_policy){ .window = way & 2 ? 64 : 0 }),
			 0);
	}
	suite_finish(pool);
}

struct beside {
	struct pool *pool;
	int64_t calls;
	bool over;
};

static void *call_all_the_time(void *what)
{
	struct beside *beside = what;
	int64_t x = 3, y;
	while (!__atomic_load_n(&beside->over, __ATOMIC_RELAXED)) {
		CHECK_EQ(pool_map(beside->pool, suite_square, &x, 8, 1, &y, 8, NULL), 0);
		__atomic_add_fetch(&beside->calls, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* They come again and again, but not for the iteration: 7 items, of which 1, 2 and 4 go out at once. */
static void burst_is_worked_on_beside_other_calls(const struct pool_backend_info *row)
{
	struct beside beside = { .pool = suite_open(row, 2) };
	struct feed feed = { .pool = beside.pool, .burst = 7, .begun = 7 };
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, call_all_the_time, &beside), 0);
	while (__atomic_load_n(&beside.calls, __ATOMIC_RELAXED) < 10)
		suite_sleep_ns(MS);
	feed.calls = &beside.calls;
	for (int tries = 0; tries < 10;
	     tries++) { /* a worker may have no CPU for thousands of calls */
		shared_set(0, 0);
		feed.given = 0;
		CHECK_EQ(run(&feed, true, NULL), 0);
		if (feed.calls_meanwhile < 5000)
			break;
	}
	__atomic_store_n(&beside.over, true, __ATOMIC_RELAXED);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK(feed.calls_meanwhile < 5000);
	suite_finish(beside.pool);
}

static int64_t switches(void)
{
	struct rusage usage;
	CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
	return usage.ru_nvcsw;
}

/* Nothing of it is under way, so nobody has to look. */
static void open_iteration_costs_nothing(const struct pool_backend_info *row)
{
	const int64_t x[3] = { 1, 2, 3 };
	struct pool *pool = suite_open(row, 2);
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, COUNT(x)), 8,
			   &(struct pool_policy){ .task_timeout_ns = HOUR }, &iter),
		 0);
	for (size_t i = 0; i < COUNT(x); i++)
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	struct pool_iter *limited;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, COUNT(x)), 8,
			   &(struct pool_policy){ .task_timeout_ns = MS }, &limited),
		 0);
	for (size_t i = 0; i < COUNT(x); i++)
		pool_iter_next(limited, NULL, WAIT); /* a slow machine may take longer */
	suite_sleep_ns(20 * MS);
	const int64_t before = switches();
	suite_sleep_ns(300 * MS);
	CHECK(switches() - before < 50);
	pool_iter_release(iter);
	pool_iter_release(limited);
	suite_finish(pool);
}

/* Its first item kills one worker, which leaves nobody. */
static void killed_worker_is_replaced(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct feed feed = { .pool = pool, .errand.deed = DEED_KILL, .burst = 8, .begun = 8 };
	CHECK_EQ(run(&feed, true, NULL), 1);
	suite_finish(pool);
}

static void lost_item_is_retried(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct feed feed = { .pool = pool,
			     .errand = { .deed = DEED_KILL_ONCE, .word = 0 },
			     .burst = 1,
			     .begun = 2 };
	CHECK_EQ(run(&feed, true, &(struct pool_policy){ .retries = 1 }), 0);
	suite_finish(pool);
}

static void time_limit_is_kept_while_the_input_blocks(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct feed feed = { .pool = pool, .errand.deed = DEED_STUCK, .burst = 4, .limits = 1 };
	CHECK(run(&feed, true, &(struct pool_policy){ .task_timeout_ns = LIMIT }) >= 1);
	suite_finish(pool);
}

/* The first of an array of errands does the deed. */
static struct pool_iter *iterate(struct pool *pool, struct errand *errands, int n,
				 enum errand_deed first)
{
	struct pool_iter *iter;
	for (int i = 0; i < n; i++)
		errands[i] = (struct errand){ .deed = (int32_t)(i ? DEED_NONE : first) };
	CHECK_EQ(pool_imap_unordered(pool, suite_errand,
				     pool_array(errands, sizeof *errands, (uint64_t)n), 8,
				     &(struct pool_policy){ .task_timeout_ns =
								    first == DEED_STUCK ? LIMIT : 0,
							    .retries = 1,
							    .window = n },
				     &iter),
		 0);
	return iter;
}

static void time_limit_is_kept_while_the_caller_is_busy(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct errand errands[20];
	struct pool_iter *iter = iterate(pool, errands, COUNT(errands), DEED_STUCK);
	CHECK(times_out(pool, 1));
	pool_iter_release(iter);
	suite_finish(pool);
}

/* Results stand ready nearly all the time: it is in the pool often, and never waits. */
static void time_limit_is_kept_while_the_caller_takes_results(const struct pool_backend_info *row)
{
	enum { N = 10000 };
	static struct errand errands[N];
	struct pool *pool = suite_open(row, 2);
	const int n = suite_some(row, N);
	struct pool_iter *iter = iterate(pool, errands, n, DEED_STUCK);
	struct pool_stats stats = { 0 };
	for (int taken = 0; taken < n / 2 && !stats.timed_out; taken++) {
		suite_sleep_ns(20 * LIMIT / n);
		const int rc = pool_iter_next(iter, NULL, WAIT);
		CHECK(rc == 0 || rc == POOL_TASK_TIMEOUT);
		CHECK_EQ(pool_stats(pool, &stats), 0);
	}
	CHECK(stats.timed_out >= 1);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* Nobody waits in the pool. */
static void all_of_the_window_is_worked_on(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct errand errands[BURST];
	const int n = suite_some(row, BURST);
	struct pool_stats stats;
	struct pool_iter *iter = iterate(pool, errands, n, DEED_NONE);
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK(stats.submitted > 0); /* a slow machine may have read less than all */
	CHECK(shared_reaches(0, (int64_t)stats.submitted));
	for (int i = 0; i < n; i++)
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* Items 1 and up count themselves in word 0. */
static void send_and_forget(struct pool *pool, enum errand_deed first)
{
	struct errand errands[8] = { { .deed = (int32_t)first } };
	struct pool_async *async;
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, COUNT(errands), 8,
				&(struct pool_policy){ .chunk = 1 }, &async),
		 0);
	pool_async_release(async);
}

static void released_work_goes_on_after_a_death(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	send_and_forget(pool, DEED_KILL);
	CHECK(shared_reaches(0, 8));
	suite_finish(pool);
}

static void kill_all(struct pool *pool, int workers)
{
	for (int i = 0; i < workers; i++) {
		pid_t pid;
		while ((pid = pool_worker_pid(pool, i)) == 0) /* it is being started */
			suite_sleep_ns(MS);
		CHECK(pid > 0 && kill(pid, SIGKILL) == 0);
		CHECK(suite_is_gone(pid));
	}
}

static void work_for_dead_workers_is_done_though_nobody_waits(const struct pool_backend_info *row)
{
	const int64_t x = 3;
	int64_t y;
	struct errand errands[8] = { 0 };
	struct pool *pool = suite_open(row, 2);
	struct pool_iter *iter;
	CHECK_EQ(pool_map(pool, suite_square, &x, 8, 1, &y, 8, NULL), 0);
	kill_all(pool, 2);
	send_and_forget(pool, DEED_NONE);
	CHECK(shared_reaches(0, 8));
	suite_sleep_ns(10 * MS);
	kill_all(pool, 2);
	CHECK_EQ(pool_imap(pool, suite_errand, pool_array(errands, sizeof *errands, 8), 8, NULL,
			   &iter),
		 0);
	CHECK(shared_reaches(0, 9)); /* a slow machine may have read but one */
	pool_iter_release(iter);
	suite_finish(pool);
}

static void cancelled_call_makes_way_though_nobody_waits(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct pool_async *stuck =
		suite_start(pool, (struct errand){ .deed = DEED_STUCK, .word = 1 }, NULL);
	CHECK(shared_reaches(1, 1));
	send_and_forget(pool, DEED_NONE);
	CHECK_EQ(pool_async_cancel(stuck), 0);
	pool_async_release(stuck);
	CHECK(shared_reaches(0, 8));
	suite_finish(pool);
}

/* A short limit has someone look often; only as long as something is under way that it is for. */
static void limit_that_is_over_costs_nothing(const struct pool_backend_info *row)
{
	const struct pool_policy brief = { .task_timeout_ns = MS },
				 ample = { .task_timeout_ns = HOUR };
	const struct errand nothing = { 0 };
	struct pool *pool = suite_open(row, 2);
	struct pool_async *runs =
		suite_start(pool, (struct errand){ .word = 1, .gate = 2 }, &ample);
	struct pool_async *ended = suite_start(pool, nothing, &brief);
	struct pool_iter *iter;
	CHECK_EQ(pool_async_wait(ended, WAIT), 0);
	pool_async_release(ended);
	CHECK_EQ(pool_imap(pool, suite_errand, pool_array(&nothing, sizeof nothing, 1), 8, &brief,
			   &iter),
		 0);
	pool_iter_next(iter, NULL, WAIT); /* a slow machine may take longer */
	CHECK(shared_reaches(1, 1));
	int64_t most = 100;
	for (int tries = 0; tries < 10 && most >= 100; tries++) {
		suite_sleep_ns(20 *
			       MS); /* who is about to say that it is done may have no processor */
		const int64_t before = switches();
		suite_sleep_ns(300 * MS);
		most = switches() - before;
	}
	CHECK(most < 100);
	shared_set(2, 1);
	CHECK_EQ(pool_async_wait(runs, WAIT), 0);
	pool_async_release(runs);
	pool_iter_release(iter);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(all_of_a_burst_is_worked_on, POOL_CAN_OVERLAP),
	CASE(burst_is_worked_on_beside_other_calls, POOL_CAN_OVERLAP),
	CASE(open_iteration_costs_nothing, POOL_CAN_KILL),
	CASE(killed_worker_is_replaced, POOL_CAN_KILL),
	CASE(lost_item_is_retried, POOL_CAN_KILL),
	CASE(time_limit_is_kept_while_the_input_blocks, POOL_CAN_KILL),
	CASE(time_limit_is_kept_while_the_caller_is_busy, POOL_CAN_KILL),
	CASE(time_limit_is_kept_while_the_caller_takes_results, POOL_CAN_KILL),
	CASE(all_of_the_window_is_worked_on, POOL_CAN_OVERLAP),
	CASE(released_work_goes_on_after_a_death, POOL_CAN_KILL),
	CASE(work_for_dead_workers_is_done_though_nobody_waits, POOL_CAN_KILL | POOL_CAN_REUSE),
	CASE(cancelled_call_makes_way_though_nobody_waits, POOL_CAN_KILL),
	CASE(limit_that_is_over_costs_nothing, POOL_CAN_KILL),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
