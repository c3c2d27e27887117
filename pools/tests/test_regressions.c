/* test_regressions.c - what once went wrong without any worker dying: streams, slots, polling,
 * threads, counts. The comment above a case says what happened. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { ENTERED, OPENED }; /* shared words of the gate */

static struct pool_async *start_at_gate(struct pool *pool)
{
	return suite_start(pool, (struct errand){ .word = ENTERED, .gate = OPENED }, NULL);
}

static void finish_at_gate(struct pool_async *async)
{
	shared_set(OPENED, 1);
	CHECK_EQ(pool_async_get(async, NULL, WAIT), 0);
	pool_async_release(async);
}

static void expect_squares(struct pool *pool, int64_t chunk, uint64_t n)
{
	static int64_t in[20000], out[20000];
	for (uint64_t i = 0; i < n; i++)
		in[i] = (int64_t)i;
	memset(out, -1, sizeof out);
	CHECK_EQ(pool_map(pool, suite_square, in, 8, n, out, 8,
			  &(struct pool_policy){ .chunk = chunk }),
		 0);
	for (uint64_t i = 0; i < n; i++)
		CHECK_EQ(out[i], i * i);
}

/* == Streams and slots == */

/* A reviewer's probe, never seen to fail: what a released stream left under way is in nobody's way. */
static void imap_released_under_way_lets_maps_end(const struct pool_backend_info *row)
{
	struct errand errands[10];
	for (int i = 0; i < 10; i++)
		errands[i] = (struct errand){ .nap_ns = 10 * MS };
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 3; i++) {
		struct pool_iter *iter = NULL;
		CHECK_EQ(pool_imap(pool, suite_errand, pool_array(errands, sizeof *errands, 10), 8,
				   NULL, &iter),
			 0);
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
		pool_iter_release(iter);
		expect_squares(pool, 1, 10);
	}
	suite_finish(pool);
}

/* An iteration behind so many calls that nobody waits for; pauses before it is opened and before it is read. */
static void imap_behind(const struct pool_backend_info *row, int calls, int64_t nap_ns,
			int64_t pause_ns)
{
	struct pool_async *jobs[80];
	struct pool_iter *iter = NULL;
	int64_t in[10], value = -1;
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < calls; i++)
		jobs[i] = suite_start(pool, (struct errand){ .nap_ns = nap_ns }, NULL);
	for (int64_t i = 0; i < 10; i++)
		in[i] = i;
	suite_sleep_ns(pause_ns);
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(in, 8, 10), 8, NULL, &iter), 0);
	suite_sleep_ns(pause_ns);
	for (int64_t i = 0; i < 10; i++) {
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
		CHECK_EQ(value, i * i);
	}
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	pool_iter_release(iter);
	for (int i = 0; i < calls; i++) {
		CHECK_EQ(pool_async_get(jobs[i], NULL, WAIT), 0);
		pool_async_release(jobs[i]);
	}
	suite_finish(pool);
}

/* A stream opened while every slot was taken never got one. */
static void imap_opened_while_all_slots_are_taken_works(const struct pool_backend_info *row)
{
	imap_behind(row, 80, 3 * MS, 0);
}

/* 64 slots, all with calls that are over and that nobody asked for: it got one, and no worker was woken for it. */
static void imap_opened_while_finished_calls_have_all_slots_works(
	const struct pool_backend_info *row)
{
	imap_behind(row, 64, 0, 50 * MS);
}

/* Open streams could take every slot: maps then waited for ever. */
static void iterators_one_too_many_is_refused_and_maps_go_on(const struct pool_backend_info *row)
{
	struct pool_iter *iters[POOL_ITERATORS_MAX], *more = NULL;
	int64_t in[1] = { 3 }, value = -1;
	struct pool_source source = pool_array(in, 8, 1);
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < POOL_ITERATORS_MAX; i++) {
		CHECK_EQ(pool_imap(pool, suite_square, source, 8, NULL, &iters[i]), 0);
		CHECK_EQ(pool_iter_next(iters[i], &value, WAIT), 0);
		CHECK_EQ(value, 9);
	}
	CHECK_EQ(pool_imap(pool, suite_square, source, 8, NULL, &more), -EMFILE);
	CHECK_EQ(pool_imap_unordered(pool, suite_square, source, 8, NULL, &more), -EMFILE);
	CHECK(!more);
	for (int i = 0; i < 50; i++)
		expect_squares(pool, 0, 5);
	pool_iter_release(iters[7]);
	CHECK_EQ(pool_imap(pool, suite_square, source, 8, NULL, &iters[7]), 0);
	CHECK_EQ(pool_iter_next(iters[7], NULL, WAIT), 0);
	for (int i = 0; i < POOL_ITERATORS_MAX; i++)
		pool_iter_release(iters[i]);
	suite_finish(pool);
}

/* Processor time of this process, which neighbours do not change as they do the time on the clock. */
static int64_t cost_of_reading(struct pool_iter *iter, int n)
{
	struct timespec before, after;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
	for (int i = 0; i < n; i++)
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
	return (after.tv_sec - before.tv_sec) * SECOND + after.tv_nsec - before.tv_nsec;
}

/* Each result cost time in proportion to all that had passed the stuck item. The last window is
 * read when the gate is open: some of it may have been handed to the stuck worker. */
static void imap_unordered_past_a_stuck_item_keeps_its_pace(const struct pool_backend_info *row)
{
	enum { STEP = 5000, STEPS = 8, WINDOW = 8 };
	static struct errand in[STEP * STEPS + WINDOW] = { { .gate = OPENED } };
	struct pool_iter *iter = NULL;
	bool seen = false;
	const int64_t until = suite_now_ns() + 30 * SECOND; /* on a busy machine */
	struct pool *pool = suite_open(row, 2);
	CHECK_EQ(pool_imap_unordered(pool, suite_errand, pool_array(in, sizeof *in, COUNT(in)), 8,
				     &(struct pool_policy){ .chunk = 1, .window = WINDOW }, &iter),
		 0);
	int64_t first = cost_of_reading(iter, STEP), late = INT64_MAX;
	int i = 1;
	for (; i < STEPS && suite_now_ns() < until; i++) {
		int64_t step = cost_of_reading(iter, STEP);
		late = i >= STEPS - 3 && step < late ? step : late;
	}
	CHECK(i < STEPS || late < 3 * first + 30 * MS);
	shared_set(OPENED, 1);
	for (int k = 0; i == STEPS && k < WINDOW; k++) {
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
		seen = seen || pool_iter_index(iter) == 0;
	}
	CHECK(seen || i < STEPS);
	pool_iter_release(iter);
	suite_finish(pool);
}

static int fail_with_a_large_result(struct pool_call *call)
{
	void *room = pool_result_alloc(call, 100000);
	return room ? memset(room, 7, 100000), 5 : 6;
}
POOL_TASK(fail_with_a_large_result)

/* KiB of shared memory that this process has touched. */
static int touched_shared_kib(struct pool_call *call)
{
	char line[256];
	long long kib = -1;
	FILE *status = fopen("/proc/self/status", "re");
	while (status && kib < 0 && fgets(line, sizeof line, status))
		sscanf(line, "RssShmem: %lld", &kib);
	if (status)
		fclose(status);
	*(int64_t *)pool_result(call) = kib;
	return 0;
}
POOL_TASK(touched_shared_kib)

/* The variable-size results of failing items were overwritten and never freed. */
static void imap_failing_items_give_back_their_results(const struct pool_backend_info *row)
{
	enum { N = 1000 };
	static int64_t in[N];
	int64_t before = 0, after = 0;
	struct pool_column arg = { in, 8 };
	struct pool_iter *iter = NULL;
	struct pool_bytes none;
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_apply(pool, POOL(touched_shared_kib), &arg, 1, &before, 8, NULL), 0);
	CHECK_EQ(pool_imap(pool, POOL(fail_with_a_large_result), pool_array(in, 8, N),
			   POOL_VARIABLE, &(struct pool_policy){ .chunk = 1, .window = 8 }, &iter),
		 0);
	for (int i = 0; i < N; i++) {
		CHECK_EQ(pool_iter_next(iter, &none, WAIT), POOL_TASK_ERROR);
		CHECK_EQ(pool_iter_failure(iter)->code, 5);
	}
	CHECK_EQ(pool_apply(pool, POOL(touched_shared_kib), &arg, 1, &after, 8, NULL), 0);
	CHECK(before >= 0 && after - before < 20000);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* == Polling: the calls that do not wait must move things on, too == */

enum { POLLS = 100 };

/* Short naps first, for a quiet machine, long ones later, for a busy one. */
static void rest_between_polls(int poll)
{
	suite_sleep_ns(poll < POLLS / 2 ? MS : WAIT / POLLS);
}

/* A handle that was only asked whether it is ready never was. */
static void async_only_polled_resolves(const struct pool_backend_info *row)
{
	const int rounds = row->can & POOL_CAN_SURVIVE ? 2 : 1; /* the second time it dies */
	struct pool *pool = suite_open(row, 2);
	for (int round = 0; round < rounds; round++) {
		struct pool_async *async =
			suite_start(pool, (struct errand){ .deed = round ? DEED_KILL : DEED_NONE },
				    NULL);
		for (int i = 0; i < POLLS && !pool_async_ready(async); i++)
			rest_between_polls(i);
		CHECK(pool_async_ready(async));
		CHECK_EQ(pool_async_get(async, NULL, 0), round ? POOL_WORKER_LOST : 0);
		pool_async_release(async);
	}
	suite_finish(pool);
}

/* An iteration that was only asked without waiting delivered nothing, and saw no death. */
static void imap_only_polled_delivers_all(const struct pool_backend_info *row)
{
	const bool dies = row->can & POOL_CAN_SURVIVE;
	struct errand errands[3] = { { .value = 1 },
				     { .value = 2, .deed = dies ? DEED_KILL : DEED_NONE },
				     { .value = 3 } };
	struct pool_iter *iter = NULL;
	struct pool *pool = suite_open(row, 2);
	CHECK_EQ(pool_imap(pool, suite_errand, pool_array(errands, sizeof *errands, 3), 8,
			   &(struct pool_policy){ .chunk = 1 }, &iter),
		 0);
	for (int item = 0; item < 3; item++) {
		int rc = -ETIMEDOUT;
		for (int i = 0; i < POLLS && rc == -ETIMEDOUT; i++) {
			rc = pool_iter_next(iter, NULL, 0);
			if (rc == -ETIMEDOUT)
				rest_between_polls(i);
		}
		CHECK_EQ(rc, dies && item == 1 ? POOL_WORKER_LOST : 0);
	}
	CHECK_EQ(pool_iter_next(iter, NULL, 0), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* A join that was only tried without waiting never succeeded. */
static void join_only_polled_ends(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	pool_async_release(suite_start(pool, (struct errand){ .nap_ns = 10 * MS }, NULL));
	CHECK_EQ(pool_close(pool), 0);
	int rc = -ETIMEDOUT;
	for (int i = 0; i < POLLS && (rc = pool_join(pool, 0)) == -ETIMEDOUT; i++)
		rest_between_polls(i);
	CHECK_EQ(rc, 0);
	pool_destroy(pool);
}

/* == Beside each other == */

/* Short items were queued behind a running long one while another worker had nothing to do. */
static void map_beside_a_long_item_ends_first(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *stuck = start_at_gate(pool);
	CHECK(shared_reaches(ENTERED, 1));
	for (int64_t chunk = 0; chunk <= 100; chunk += 100)
		expect_squares(pool, chunk, row->can & POOL_CAN_REUSE ? 20000 : 200);
	CHECK(!pool_async_ready(stuck));
	finish_at_gate(stuck);
	suite_finish(pool);
}

static void *wait_for_handle(void *async)
{
	CHECK_EQ(pool_async_wait(async, WAIT), 0);
	return NULL;
}

static int64_t cpu_time_ns(void)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	return (used.ru_utime.tv_sec + used.ru_stime.tv_sec) * SECOND +
	       (used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
}

/* With two threads waiting, the one that led burnt a processor and held up the other's map. */
static void two_threads_waiting_neither_spin_nor_delay(const struct pool_backend_info *row)
{
	pthread_t thread;
	struct errand errands[30];
	for (size_t i = 0; i < COUNT(errands); i++)
		errands[i] = (struct errand){ .nap_ns = 3 * MS };
	struct pool *pool = suite_open(row, 2);
	struct pool_async *stuck = start_at_gate(pool);
	CHECK(shared_reaches(ENTERED, 1));
	CHECK_EQ(pthread_create(&thread, NULL, wait_for_handle, stuck), 0);
	int64_t cpu = cpu_time_ns(), start = suite_now_ns();
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, COUNT(errands), errands,
			  sizeof(int64_t), NULL),
		 0);
	int64_t elapsed = suite_now_ns() - start;
	CHECK(elapsed < WAIT / 2);
	CHECK(cpu_time_ns() - cpu < elapsed / 2);
	shared_set(OPENED, 1);
	pthread_join(thread, NULL);
	finish_at_gate(stuck);
	suite_finish(pool);
}

struct slow_input {
	struct pool *pool;
	int64_t left, value;
};

static int read_slowly(void *state, struct pool_bytes item[])
{
	struct slow_input *input = state;
	if (input->left-- == 0)
		return 0;
	shared_add(ENTERED, 1);
	suite_sleep_ns(50 * MS);
	item[0].data = &input->value;
	return 1;
}

static void *iterate_slowly(void *state)
{
	struct slow_input *input = state;
	struct pool_iter *iter = NULL;
	struct pool_policy policy = { .chunk = 1, .window = 1 };
	int rc = pool_imap(input->pool, suite_square, pool_generator(read_slowly, input, 8), 8,
			   &policy, &iter);
	while (rc == 0)
		rc = pool_iter_next(iter, NULL, WAIT);
	CHECK(rc == POOL_END || rc == POOL_CLOSED || rc == POOL_TERMINATED);
	pool_iter_release(iter);
	return NULL;
}

/* What a generator gave after the pool had ended was never resolved: its reader hung. */
static void two_threads_pool_ends_while_a_generator_runs(const struct pool_backend_info *row)
{
	for (int terminate = 0; terminate <= 1; terminate++) {
		pthread_t thread;
		struct slow_input input = { .pool = suite_open(row, 2), .left = 3 };
		shared_set(ENTERED, 0);
		CHECK_EQ(pthread_create(&thread, NULL, iterate_slowly, &input), 0);
		CHECK(shared_reaches(ENTERED, 1));
		CHECK_EQ(terminate ? pool_terminate(input.pool) : pool_close(input.pool), 0);
		CHECK_EQ(pool_join(input.pool, WAIT), 0);
		pthread_join(thread, NULL);
		pool_destroy(input.pool);
	}
}

/* == Numbers == */

/* Its size overflowed: the host program crashed. */
static void map_of_absurd_count_is_refused(const struct pool_backend_info *row)
{
	const uint64_t counts[] = { UINT64_MAX, UINT64_MAX / 2 + 1, UINT64_MAX / 16 };
	struct pool_policy policy = { .timeout_ns = WAIT };
	struct pool *pool = suite_open(row, 2);
	char nothing = 0;
	for (size_t i = 0; i < COUNT(counts); i++)
		CHECK_EQ(pool_map(pool, suite_pid, &nothing, 0, counts[i], NULL, 0, &policy),
			 -EINVAL);
	expect_squares(pool, 1, 10);
	suite_finish(pool);
}

static uint64_t claims_of(struct pool *pool)
{
	uint64_t claims = 0;
	struct pool_worker_stats stats;
	for (int i = 0; i < pool_workers(pool); i++) {
		CHECK_EQ(pool_worker_stats(pool, i, &stats), 0);
		claims += stats.claims;
	}
	return claims;
}

/* Never seen to fail: chunks that are taken several at a time count one by one. */
static void map_claims_are_chunks_however_taken(const struct pool_backend_info *row)
{
	uint64_t n = row->can & POOL_CAN_REUSE ? 1000 : 100;
	struct pool *pool = suite_open(row, 2);
	for (int64_t chunk = 1; chunk <= 13; chunk += 6) {
		uint64_t before = claims_of(pool);
		expect_squares(pool, chunk, n);
		uint64_t per = (uint64_t)chunk;
		CHECK_EQ(claims_of(pool) - before, (n + per - 1) / per);
	}
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(imap_released_under_way_lets_maps_end, 0),
	CASE(imap_opened_while_all_slots_are_taken_works, 0),
	CASE(imap_opened_while_finished_calls_have_all_slots_works, 0),
	CASE(iterators_one_too_many_is_refused_and_maps_go_on, 0),
	CASE(imap_unordered_past_a_stuck_item_keeps_its_pace, POOL_CAN_OVERLAP | POOL_CAN_REUSE),
	CASE(imap_failing_items_give_back_their_results, POOL_CAN_REUSE),
	CASE(async_only_polled_resolves, 0),
	CASE(imap_only_polled_delivers_all, 0),
	CASE(join_only_polled_ends, 0),
	CASE(map_beside_a_long_item_ends_first, POOL_CAN_OVERLAP),
	CASE(two_threads_waiting_neither_spin_nor_delay, POOL_CAN_OVERLAP),
	CASE(two_threads_pool_ends_while_a_generator_runs, 0),
	CASE(map_of_absurd_count_is_refused, 0),
	CASE(map_claims_are_chunks_however_taken, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
