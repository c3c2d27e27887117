/* test_contract_life.c - the life of a pool. Numbers in comments are those of the
 * list of behaviours that the pool was specified by. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void open_tells_what_it_opened(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 3);
	CHECK(strcmp(pool_backend(pool), row->name) == 0);
	/* Where the caller does the work there is one worker, whatever was asked for. */
	CHECK_EQ(pool_workers(pool), row->can & POOL_CAN_OVERLAP ? 3 : 1);
	bool processes = row->can & POOL_CAN_ISOLATE && row->can & POOL_CAN_REUSE;
	for (int i = 0; i < 3 && processes; i++) {
		pid_t pid = pool_worker_pid(pool, i);
		CHECK(pid > 0 && pid != getpid() && kill(pid, 0) == 0);
		CHECK(i == 0 || pid != pool_worker_pid(pool, i - 1));
	}
	suite_finish(pool);
	if (!row->alias)
		return;
	struct pool_options by_alias = { .backend = row->alias, .workers = 1 };
	CHECK_EQ(pool_open(&pool, &by_alias), 0);
	CHECK(strcmp(pool_backend(pool), row->name) == 0);
	suite_finish(pool);
}

static void stats_count_items_and_workers(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_stats stats;
	uint64_t tasks = 0;
	int64_t in[30] = { 0 }, out[30];
	CHECK_EQ(pool_map(pool, suite_square, in, 8, 30, out, 8,
			  &(struct pool_policy){ .chunk = 4 }),
		 0);
	CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_FAIL, .code = 1 }), POOL_TASK_ERROR);
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.submitted, 31);
	CHECK_EQ(stats.done, 30);
	CHECK_EQ(stats.failed, 1);
	CHECK_EQ(stats.lost + stats.retried + stats.cancelled + stats.timed_out, 0);
	CHECK_EQ(stats.restarts, 0);
	for (int i = 0; i < pool_workers(pool); i++) {
		struct pool_worker_stats worker;
		CHECK_EQ(pool_worker_stats(pool, i, &worker), 0);
		CHECK_EQ(worker.deaths, 0);
		CHECK(!(row->can & POOL_CAN_REUSE) || worker.starts == 1);
		tasks += worker.tasks;
	}
	CHECK_EQ(tasks, 31);
	suite_finish(pool);
}

static uint64_t idle_of(struct pool *pool, int worker)
{
	struct pool_worker_stats stats;
	CHECK_EQ(pool_worker_stats(pool, worker, &stats), 0);
	return stats.idle_ns;
}

static void stats_tell_busy_from_idle(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct pool_worker_stats worker;
	CHECK_EQ(suite_do(pool, (struct errand){ .nap_ns = 20 * MS }), 0);
	CHECK_EQ(pool_worker_stats(pool, 0, &worker), 0);
	CHECK(worker.busy_ns >= 20 * MS);
	const int64_t end = suite_now_ns() + WAIT;
	for (uint64_t idle_ns = idle_of(pool, 0); idle_of(pool, 0) < idle_ns + MS;)
		CHECK(suite_now_ns() < end);
	suite_finish(pool);
}

/* An item in every state, and every reason for a replacement. */
static void stats_count_every_item_once(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	const struct pool_policy limit = { .task_timeout_ns = 50 * MS }, again = { .retries = 1 };
	struct pool_async *async[5] = {
		suite_start(pool, (struct errand){ .deed = DEED_FAIL, .code = 3 }, NULL),
		suite_start(pool, (struct errand){ .deed = DEED_KILL }, NULL),
		suite_start(pool, (struct errand){ .deed = DEED_STUCK }, &limit),
		suite_start(pool, (struct errand){ .deed = DEED_KILL_ONCE, .word = 1 }, &again),
	};
	for (size_t i = 0; i < COUNT(async); i++) {
		if (!async[i]) {
			async[i] = suite_start(pool, (struct errand){ .deed = DEED_STUCK }, NULL);
			CHECK_EQ(pool_async_cancel(async[i]), 0);
		}
		CHECK_EQ(pool_async_wait(async[i], WAIT), 0);
		pool_async_release(async[i]);
	}
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 1 }), 0);
	struct pool_stats stats;
	struct pool_worker_stats worker;
	const int64_t end = suite_now_ns() + WAIT;
	do { /* a replacement may have worked before its start is counted */
		CHECK(suite_now_ns() < end);
		CHECK_EQ(pool_stats(pool, &stats), 0);
		CHECK_EQ(pool_worker_stats(pool, 0, &worker), 0);
	} while (stats.restarts < worker.deaths);
	CHECK_EQ(stats.submitted, 6);
	CHECK_EQ(stats.done, 2);
	CHECK_EQ(stats.failed, 1);
	CHECK_EQ(stats.lost, 1);
	CHECK_EQ(stats.timed_out, 1);
	CHECK_EQ(stats.cancelled, 1);
	CHECK_EQ(stats.retried, 1);
	CHECK_EQ(stats.restarts, 3 + worker.stopped - 1); /* the cancelled one may not have begun */
	CHECK(worker.stopped == 1 || worker.stopped == 2);
	CHECK_EQ(worker.deaths, stats.restarts);
	CHECK_EQ(worker.last_signal, SIGKILL);
	CHECK_EQ(worker.unfit, 0);
	suite_finish(pool);
}

/* 54 */
static void open_default_workers_are_the_allowed_cpus(const struct pool_backend_info *row)
{
	cpu_set_t allowed, one;
	CHECK_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
	CHECK(pool_cpus() >= 1 && pool_cpus() <= CPU_COUNT(&allowed));
	CPU_ZERO(&one);
	for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			CPU_SET(cpu, &one);
	CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
	CHECK_EQ(pool_cpus(), 1);
	struct pool *pool = suite_open(row, 0);
	CHECK_EQ(pool_workers(pool), 1);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 2 }), 0);
	suite_finish(pool);
}

static int submit_each_way(struct pool *pool, uint64_t n, int rc[4])
{
	int64_t in[2] = { 1, 2 }, out[2];
	struct pool_async *async = NULL;
	struct pool_iter *iter = NULL;
	struct pool_column arg = { in, sizeof *in };
	rc[0] = pool_map(pool, suite_square, in, 8, n, out, 8, NULL);
	rc[1] = pool_apply(pool, suite_square, &arg, 1, out, 8, NULL);
	rc[2] = pool_map_async(pool, suite_square, in, 8, n, 8, NULL, &async);
	rc[3] = pool_imap(pool, suite_square, pool_array(in, 8, n), 8, NULL, &iter);
	return async || iter;
}

static void expect_closed(struct pool *pool)
{
	for (uint64_t n = 0; n <= 2; n += 2) {
		int rc[4];
		CHECK_EQ(submit_each_way(pool, n, rc), 0);
		for (int i = 0; i < 4; i++)
			CHECK_EQ(rc[i], POOL_CLOSED);
	}
}

/* 56 */
static void submit_after_close_or_terminate_is_refused(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	CHECK_EQ(pool_close(pool), 0);
	expect_closed(pool);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	expect_closed(pool);
	pool_destroy(pool);
	pool = suite_open(row, 2);
	CHECK_EQ(pool_terminate(pool), 0);
	expect_closed(pool);
	pool_destroy(pool);
}

/* 57, 58 */
static void close_join_terminate_may_be_repeated(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	CHECK_EQ(pool_join(pool, WAIT), POOL_BUSY);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 4 }), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pool_close(pool), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pool_join(pool, WAIT), 0);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pool_terminate(pool), 0);
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	pool_destroy(pool);
}

/* 59 */
static void join_waits_for_all_that_was_submitted(const struct pool_backend_info *row)
{
	struct pool_async *handles[20];
	struct pool *pool = suite_open(row, 4);
	const bool overlaps = row->can & POOL_CAN_OVERLAP;
	for (int64_t i = 0; i < 20; i++)
		handles[i] =
			suite_start(pool, (struct errand){ .value = i, .gate = overlaps }, NULL);
	CHECK_EQ(pool_close(pool), 0);
	if (overlaps)
		CHECK_EQ(pool_join(pool, 10 * MS), -ETIMEDOUT);
	shared_set(1, 1);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	pool_destroy(pool);
	for (int64_t i = 0; i < 20; i++) { /* handles outlive the pool */
		int64_t value = -1;
		CHECK(pool_async_ready(handles[i]));
		CHECK_EQ(pool_async_get(handles[i], &value, 0), 0);
		CHECK_EQ(value, i * i);
		pool_async_release(handles[i]);
	}
}

/* 60, 61 */
static void terminate_with_a_long_queue_resolves_every_handle(const struct pool_backend_info *row)
{
	enum { N = 10000 };
	static struct pool_async *handles[N];
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < N; i++)
		handles[i] = suite_start(pool, (struct errand){ .nap_ns = HOUR }, NULL);
	CHECK(shared_reaches(0, 1));
	int64_t start = suite_now_ns();
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	CHECK(suite_now_ns() - start < WAIT / 2);
	for (int i = 0; i < N; i++) {
		CHECK(pool_async_ready(handles[i]));
		CHECK_EQ(pool_async_get(handles[i], NULL, 0), POOL_TERMINATED);
		CHECK_EQ(pool_async_status(handles[i], 0), POOL_TERMINATED);
		pool_async_release(handles[i]);
	}
	pool_destroy(pool);
}

/* What waits in the queue and has no handle any more is given back as it is dropped. */
static void terminate_with_released_handles_in_the_queue_ends(const struct pool_backend_info *row)
{
	struct pool_stats stats;
	struct pool *pool = suite_open(row, 2);
	mallopt(M_PERTURB, 0x5a); /* what was given back is overwritten */
	for (int i = 0; i < 100; i++)
		pool_async_release(suite_start(pool, (struct errand){ .nap_ns = 100 * MS }, NULL));
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK(stats.cancelled > 0);
	CHECK_EQ(stats.done + stats.cancelled, 100);
	pool_destroy(pool);
}

enum { COUNTED = 7 }; /* the word of the items of a map that waits in the queue */

/* Workers that stay for as long as there is work. */
static int be_deaf(struct pool_call *call)
{
	(void)call;
	signal(SIGTERM, SIG_IGN);
	return 0;
}
POOL_TASK(be_deaf)

struct mapper {
	struct pool *pool;
	pthread_t thread;
	int32_t statuses[100];
};

static void *map_in_the_queue(void *state)
{
	struct mapper *mapper = state;
	struct errand errands[COUNT(mapper->statuses)];
	const struct pool_policy policy = { .chunk = 1, .statuses = mapper->statuses };
	for (size_t i = 0; i < COUNT(errands); i++)
		errands[i] = (struct errand){ .word = COUNTED };
	int rc = pool_map(mapper->pool, suite_errand, errands, sizeof *errands, COUNT(errands),
			  errands, 8, &policy);
	CHECK(rc == 0 || rc == POOL_TERMINATED);
	return NULL;
}

static void wait_until_submitted(struct pool *pool, uint64_t items)
{
	struct pool_stats stats;
	int64_t end = suite_now_ns() + WAIT;
	do {
		CHECK(suite_now_ns() < end);
		CHECK_EQ(pool_stats(pool, &stats), 0);
	} while (stats.submitted < items);
}

static void fill_the_slots(struct pool *pool, int jobs, uint64_t n)
{
	struct errand errands[300];
	CHECK(n <= COUNT(errands));
	for (uint64_t i = 0; i < n; i++)
		errands[i] = (struct errand){ .nap_ns = MS / 20 };
	for (int i = 0; i < jobs; i++) {
		struct pool_async *async = NULL;
		CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, n, 8,
					&(struct pool_policy){ .chunk = 1 }, &async),
			 0);
		pool_async_release(async);
	}
}

/* A map that has no place with the workers yet is told so. It gets one when the others end, with nothing left to run. */
static void terminate_of_a_map_in_the_queue_runs_nothing_of_it(const struct pool_backend_info *row)
{
	struct pool_options options = { .workers = 2, .grace_ns = 5 * SECOND };
	if (row->can & POOL_CAN_ISOLATE)
		options.initializer = POOL(be_deaf);
	for (int round = 0; round < 10; round++) {
		struct mapper mapper = { .pool = suite_open_with(row, options) };
		int64_t fine = 0;
		fill_the_slots(mapper.pool, 64, 300);
		CHECK(shared_reaches(0, 1));
		CHECK_EQ(pthread_create(&mapper.thread, NULL, map_in_the_queue, &mapper), 0);
		wait_until_submitted(mapper.pool, 64 * 300 + COUNT(mapper.statuses));
		CHECK_EQ(pool_terminate(mapper.pool), 0);
		pthread_join(mapper.thread, NULL);
		for (size_t i = 0; i < COUNT(mapper.statuses); i++)
			fine += mapper.statuses[i] == 0;
		CHECK_EQ(shared_get(COUNTED), fine);
		pool_destroy(mapper.pool);
		shared_set(0, 0);
		shared_set(COUNTED, 0);
	}
}

/* 62 */
static void terminate_deaf_workers_are_killed_together(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 8, .grace_ns = SECOND });
	for (int i = 0; i < 8; i++)
		pool_async_release(suite_start(pool, (struct errand){ .deed = DEED_DEAF }, NULL));
	CHECK(shared_reaches(0, 8));
	suite_sleep_ns(20 * MS); /* counted, and then deaf */
	int64_t start = suite_now_ns();
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK(suite_now_ns() - start < 6 * SECOND); /* one after another: eight */
	pool_destroy(pool);
}

static void *race_terminate(void *pool)
{
	CHECK_EQ(pool_terminate(pool), 0);
	return NULL;
}

static void *race_close(void *pool)
{
	CHECK_EQ(pool_close(pool), 0);
	return NULL;
}

static void *race_join(void *pool)
{
	int rc = pool_join(pool, WAIT);
	CHECK(rc == 0 || rc == POOL_BUSY);
	return NULL;
}

/* 63 */
static void terminate_close_join_race_ends(const struct pool_backend_info *row)
{
	void *(*const racers[])(void *) = { race_terminate, race_close, race_join };
	for (int round = 0; round < 10; round++) {
		struct pool *pool = suite_open(row, 2);
		struct pool_async *async =
			suite_start(pool, (struct errand){ .nap_ns = 20 * MS }, NULL);
		pthread_t threads[3];
		for (int i = 0; i < 3; i++)
			CHECK_EQ(pthread_create(threads + i, NULL, racers[(round + i) % 3], pool),
				 0);
		for (int i = 0; i < 3; i++)
			pthread_join(threads[i], NULL);
		int rc = pool_async_get(async, NULL, WAIT);
		CHECK(rc == 0 || rc == POOL_TERMINATED);
		pool_async_release(async);
		pool_destroy(pool);
	}
}

/* 64, 67 */
static void pools_in_a_loop_leave_nothing(const struct pool_backend_info *row)
{
	for (int i = 0; i < 100; i++) {
		struct pool *pool = suite_open(row, 2);
		struct errand work = { .value = 3,
				       .deed = i % 2 ? DEED_FAIL : DEED_NONE,
				       .code = 1 };
		CHECK_EQ(suite_do(pool, work), i % 2 ? POOL_TASK_ERROR : 0);
		if (i % 3 == 0)
			suite_finish(pool);
		else if (i % 3 == 1)
			CHECK_EQ(pool_terminate(pool), 0);
		if (i % 3)
			pool_destroy(pool); /* also without close */
	}
}

static const struct suite_case cases[] = {
	CASE(open_tells_what_it_opened, 0),
	CASE(stats_count_items_and_workers, 0),
	CASE(stats_tell_busy_from_idle, POOL_CAN_REUSE),
	CASE(stats_count_every_item_once, POOL_CAN_SURVIVE | POOL_CAN_KILL | POOL_CAN_OVERLAP),
	CASE(open_default_workers_are_the_allowed_cpus, 0),
	CASE(submit_after_close_or_terminate_is_refused, 0),
	CASE(close_join_terminate_may_be_repeated, 0),
	CASE(join_waits_for_all_that_was_submitted, 0),
	CASE(terminate_with_a_long_queue_resolves_every_handle, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(terminate_with_released_handles_in_the_queue_ends, POOL_CAN_OVERLAP),
	CASE(terminate_of_a_map_in_the_queue_runs_nothing_of_it, POOL_CAN_OVERLAP | POOL_CAN_REUSE),
	CASE(terminate_deaf_workers_are_killed_together, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(terminate_close_join_race_ends, 0),
	CASE(pools_in_a_loop_leave_nothing, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
