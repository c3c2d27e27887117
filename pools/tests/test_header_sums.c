/*
 * test_header_sums.c - what the header says of sums, that is of sizes that are added up and of what is counted of workers;
 * and a few values and states of which it said nothing.
 */
#include "pools/tests/suite.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* == Sizes == */

#define HALF (UINT64_C(1) << 63) /* twice that is nothing */

static char byte[16];

static int nothing(struct pool_call *call)
{
	(void)call;
	return 0;
}
POOL_TASK(nothing)

static void expect_refused(struct pool *pool, const struct pool_column *columns, unsigned count,
			   uint64_t n)
{
	const struct pool_source source = pool_columns(columns, count, n);
	struct pool_async *async;
	struct pool_iter *iter;
	CHECK_EQ(pool_starmap(pool, POOL(nothing), columns, count, n, NULL, 0, NULL), -EINVAL);
	CHECK_EQ(pool_starmap_async(pool, POOL(nothing), columns, count, n, 0, NULL, &async),
		 -EINVAL);
	CHECK_EQ(pool_imap(pool, POOL(nothing), source, 0, NULL, &iter), -EINVAL);
	CHECK_EQ(pool_imap_unordered(pool, POOL(nothing), source, 0, NULL, &iter), -EINVAL);
	if (n != 1)
		return;
	CHECK_EQ(pool_apply(pool, POOL(nothing), columns, count, NULL, 0, NULL), -EINVAL);
	CHECK_EQ(pool_apply_async(pool, POOL(nothing), columns, count, 0, NULL, &async), -EINVAL);
}

/* Their sum went round: room for a few bytes, into which all were copied. */
static void sizes_that_come_to_too_much_are_refused(const struct pool_backend_info *row)
{
	const struct pool_bytes halves[2] = { { byte, HALF }, { byte, HALF } };
	const struct pool_bytes quarters[2] = { { byte, HALF / 2 }, { byte, HALF / 2 } };
	const struct pool_bytes most = { byte, UINT64_MAX }, rounded = { byte, UINT64_MAX - 14 },
				all = { byte, HALF - 1 };
	const struct pool_column two_halves = { halves, POOL_VARIABLE };
	const struct pool_column pair[2] = { { quarters, POOL_VARIABLE },
					     { quarters, POOL_VARIABLE } };
	const struct pool_column single[] = { { &most, POOL_VARIABLE },
					      { &rounded, POOL_VARIABLE },
					      { &all, POOL_VARIABLE } };
	struct pool *pool = suite_open(row, 1);
	expect_refused(pool, &two_halves, 1, 2);
	expect_refused(pool, pair, 2, 1); /* of two arguments */
	expect_refused(pool, pair, 2, 2);
	for (size_t i = 0; i < COUNT(single); i++)
		expect_refused(pool, &single[i], 1, 1);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	suite_finish(pool);
}

static int give_size(void *state, struct pool_bytes item[])
{
	item[0] = (struct pool_bytes){ byte, *(const uint64_t *)state };
	return 1;
}

/* With the byte behind it that is none at all. */
static void generated_size_that_is_too_much_ends_the_input(const struct pool_backend_info *row)
{
	uint64_t sizes[] = { UINT64_MAX, UINT64_MAX - 1, HALF };
	struct pool *pool = suite_open(row, 1);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct pool_iter *iter;
		CHECK_EQ(pool_imap(pool, POOL(nothing),
				   pool_generator(give_size, &sizes[i], POOL_VARIABLE), 0, NULL,
				   &iter),
			 0);
		CHECK_EQ(pool_iter_next(iter, NULL, POOL_FOREVER), -EINVAL);
		CHECK_EQ(pool_iter_next(iter, NULL, POOL_FOREVER), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* == Counts == */

static uint64_t claims_of(struct pool *pool)
{
	struct pool_worker_stats stats;
	uint64_t claims = 0;
	for (int i = 0; i < pool_workers(pool); i++) {
		CHECK_EQ(pool_worker_stats(pool, i, &stats), 0);
		claims += stats.claims;
	}
	return claims;
}

/* A chunk that its worker did not survive was left out. */
static void chunks_that_end_in_a_death_are_counted(const struct pool_backend_info *row)
{
	enum { N = 10 };
	struct errand errands[N] = { 0 };
	const struct pool_policy whole = { .chunk = N };
	struct pool *pool = suite_open(row, 2);
	for (uint64_t i = 1; i <= 3; i++) {
		CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_KILL }), POOL_WORKER_LOST);
		CHECK_EQ(claims_of(pool), i);
	}
	errands[N - 1].deed = DEED_KILL; /* nothing is left of it */
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, N, NULL, 0, &whole),
		 POOL_WORKER_LOST);
	CHECK_EQ(claims_of(pool), 4);
	errands[N / 2].deed = DEED_KILL; /* and then a rest */
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, N, NULL, 0, &whole),
		 POOL_WORKER_LOST);
	CHECK_EQ(claims_of(pool), 6);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	CHECK_EQ(claims_of(pool), 7);
	suite_finish(pool);
}

static uint64_t restarts_of(struct pool *pool)
{
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	return stats.restarts;
}

static uint64_t starts_of(struct pool *pool)
{
	struct pool_worker_stats stats;
	CHECK_EQ(pool_worker_stats(pool, 0, &stats), 0);
	return stats.starts;
}

static int fail(struct pool_call *call)
{
	(void)call;
	return 1;
}
POOL_TASK(fail)

/* Deaths were counted instead. */
static void restarts_are_replacements_that_started(const struct pool_backend_info *row)
{
	const struct errand kill = { .deed = DEED_KILL };
	struct pool *pool =
		suite_open_with(row,
				(struct pool_options){ .workers = 1, .initializer = POOL(fail) });
	struct pool_worker_stats stats;
	CHECK_EQ(suite_do(pool, kill), POOL_INIT_FAILED);
	CHECK_EQ(pool_worker_stats(pool, 0, &stats), 0);
	CHECK_EQ(stats.deaths, 3);
	CHECK_EQ(stats.starts, 3);
	CHECK_EQ(restarts_of(pool), 2);
	suite_finish(pool);

	pool = suite_open_with(row, (struct pool_options){ .workers = 1, .tasks_per_worker = 2 });
	for (int i = 0; i < 4; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ .value = i }), 0);
	CHECK_EQ(restarts_of(pool), 0);
	CHECK_EQ(suite_do(pool, kill), POOL_WORKER_LOST);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ .value = i }), 0);
	CHECK_EQ(restarts_of(pool), 1);
	suite_finish(pool);

	pool = suite_open(row, 1);
	struct pool_async *async = suite_start(pool, kill, NULL);
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0); /* it may have been replaced before, or not */
	CHECK_EQ(restarts_of(pool), starts_of(pool) - 1);
	pool_async_release(async);
	pool_destroy(pool);
}

/* == A pool without fit workers == */

static int stay(struct pool_call *call)
{
	(void)call;
	suite_sleep_ns(HOUR);
	return 0;
}
POOL_TASK(stay)

static bool all_gone(struct pool *pool)
{
	for (int i = 0; i < pool_workers(pool); i++)
		if (pool_worker_pid(pool, i))
			return false;
	return true;
}

/* Those whose start was put off came up afterwards: with nobody there to stop them, their initializers ran for ever. */
static void nobody_is_started_once_no_worker_is_fit(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 4,
							    .initializer = POOL(stay),
							    .initializer_timeout_ns = 50 * MS });
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), POOL_INIT_FAILED);
	suite_sleep_ns(SECOND / 2); /* for who comes up all the same */
	const int64_t until_ns = suite_now_ns() + WAIT;
	while (!all_gone(pool) && suite_now_ns() < until_ns)
		suite_sleep_ns(MS);
	CHECK(all_gone(pool));
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), POOL_INIT_FAILED);
	suite_finish(pool);
}

static int leave_with_3(struct pool_call *call)
{
	(void)call;
	_exit(3);
}
POOL_TASK(leave_with_3)

static int crash(struct pool_call *call)
{
	(void)call;
	raise(SIGUSR1);
	return 0;
}
POOL_TASK(crash)

static void expect_init_failure(const struct pool_backend_info *row,
				const struct pool_task *initializer, int64_t limit_ns, int code,
				int signal)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1,
							    .initializer = initializer,
							    .initializer_timeout_ns = limit_ns });
	struct pool_failure failure;
	int64_t x = 3, y;
	for (int i = 0; i < 2; i++) { /* when it comes to that, and refused afterwards */
		CHECK_EQ(pool_map(pool, suite_square, &x, 8, 1, &y, 8,
				  &(struct pool_policy){ .failure = &failure }),
			 POOL_INIT_FAILED);
		CHECK_EQ(failure.code, code);
		CHECK_EQ(failure.signal, signal);
		pool_failure_clear(&failure);
	}
	suite_finish(pool);
}

static void failed_initializer_tells_code_or_signal(const struct pool_backend_info *row)
{
	expect_init_failure(row, POOL(fail), 0, 1, 0);
	expect_init_failure(row, POOL(leave_with_3), 0, 3, 0);
	expect_init_failure(row, POOL(crash), 0, 0, SIGUSR1);
	expect_init_failure(row, POOL(stay), 50 * MS, 0, 0);
}

/* == Values and states == */

static void no_items_need_no_results(const struct pool_backend_info *row)
{
	const int64_t x = 3;
	const struct pool_column pair[2] = { { &x, 8 }, { &x, 8 } };
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_map(pool, suite_square, &x, 8, 0, NULL, 8, NULL), 0);
	CHECK_EQ(pool_map(pool, suite_flip, &x, 8, 0, NULL, POOL_VARIABLE, NULL), 0);
	CHECK_EQ(pool_starmap(pool, suite_add, pair, 2, 0, NULL, 8, NULL), 0);
	CHECK_EQ(pool_map(pool, suite_square, &x, 8, 1, NULL, 8, NULL), -EINVAL);
	suite_finish(pool);
}

static int count_oddly(void *state, struct pool_bytes item[])
{
	static const int answers[] = { 1, 2, 1000, -5001 };
	const int answer = answers[*(int64_t *)state];
	item[0].data = state;
	++*(int64_t *)state;
	return answer;
}

static void generators_positive_values_are_alike(const struct pool_backend_info *row)
{
	int64_t state = 0, y;
	struct pool *pool = suite_open(row, 1);
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, suite_square, pool_generator(count_oddly, &state, 8), 8, NULL,
			   &iter),
		 0);
	for (int64_t i = 1; i <= 3; i++) {
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
		CHECK_EQ(y, i * i);
	}
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), -5001);
	CHECK_EQ(pool_iter_next(iter, &y, WAIT), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* What had been read is told, and then there is no more. */
static void iteration_that_fails_fast_reads_no_further(const struct pool_backend_info *row)
{
	enum { N = 1000 };
	static struct errand errands[N];
	const struct pool_policy policy = { .chunk = 1, .window = 4, .fail_fast = true };
	struct pool *pool = suite_open(row, 1);
	for (int unordered = 0; unordered < 2; unordered++) {
		struct pool_iter *iter;
		int64_t y;
		int rc, told = 0;
		errands[0].deed = DEED_FAIL;
		errands[0].code = 7;
		const struct pool_source source = pool_array(errands, sizeof *errands, N);
		CHECK_EQ((unordered ? pool_imap_unordered : pool_imap)(pool, suite_errand, source,
								       8, &policy, &iter),
			 0);
		for (; (rc = pool_iter_next(iter, &y, WAIT)) != POOL_END; told++)
			CHECK(rc == 0 || rc == -ECANCELED || rc == POOL_TASK_ERROR);
		CHECK(told >= 1 && told < N / 2);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

static int block_and_tell(struct pool_call *call)
{
	sigset_t usr1, before;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &usr1, &before);
	*(int64_t *)pool_result(call) = sigismember(&before, SIGUSR1);
	return 0;
}
POOL_TASK(block_and_tell)

static void signal_mask_stays_for_later_tasks(const struct pool_backend_info *row)
{
	int64_t x[3] = { 0 }, y[3];
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_map(pool, POOL(block_and_tell), x, 8, 3, y, 8,
			  &(struct pool_policy){ .chunk = 1 }),
		 0);
	CHECK_EQ(y[1], 1);
	CHECK_EQ(y[2], 1);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(sizes_that_come_to_too_much_are_refused, 0),
	CASE(generated_size_that_is_too_much_ends_the_input, 0),
	CASE(chunks_that_end_in_a_death_are_counted, FAULTS),
	CASE(restarts_are_replacements_that_started, FAULTS),
	CASE(nobody_is_started_once_no_worker_is_fit, FAULTS),
	CASE(failed_initializer_tells_code_or_signal, FAULTS),
	CASE(no_items_need_no_results, 0),
	CASE(generators_positive_values_are_alike, 0),
	CASE(iteration_that_fails_fast_reads_no_further, 0),
	CASE(signal_mask_stays_for_later_tasks, POOL_CAN_REUSE),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
