/* test_contract_workers.c - the life of workers: start, initializer, replacement, pools inside
 * workers. Numbers in comments are those of the list of behaviours that the pool was specified by. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void map_pids(struct pool *pool, int64_t *pids, uint64_t n, int64_t chunk)
{
	static const int64_t in[1000];
	CHECK_EQ(pool_map(pool, suite_pid, in, sizeof *in, n, pids, sizeof *pids,
			  &(struct pool_policy){ .chunk = chunk }),
		 0);
}

static int nested(struct pool_call *call)
{
	struct pool *pool = NULL;
	struct pool_options options = { .backend = pool_arg(call, 0), .workers = 1 };
	int64_t in[3] = { 1, 2, 3 }, out[3] = { 0 }, *result = pool_result(call);
	int rc = pool_open(&pool, &options);
	if (rc == 0)
		rc = pool_map(pool, suite_square, in, 8, 3, out, 8, NULL);
	shared_set(4, pool ? pool_worker_pid(pool, 0) : 0);
	*result = rc < 0 ? rc : out[0] + out[1] + out[2];
	if (*(const int64_t *)pool_arg(call, 1))
		suite_sleep_ns(HOUR);
	pool_destroy(pool);
	return 0;
}
POOL_TASK(nested)

static struct pool_async *start_nested(struct pool *pool, const struct pool_backend_info *row,
				       int64_t stays)
{
	char name[64] = { 0 };
	struct pool_async *async = NULL;
	strncpy(name, row->name, sizeof name - 1);
	struct pool_column args[] = { { name, sizeof name }, { &stays, sizeof stays } };
	CHECK_EQ(pool_apply_async(pool, POOL(nested), args, 2, sizeof(int64_t), NULL, &async), 0);
	return async;
}

/* 66: works, or says clearly that it does not */
static void pool_in_a_worker_works_or_says_no(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct pool_async *async = start_nested(pool, row, 0);
	int64_t result = 0;
	CHECK_EQ(pool_async_get(async, &result, WAIT), 0);
	CHECK(result == 14 || result < 0);
	pool_async_release(async);
	suite_finish(pool);
}

/* 66 */
static void pool_in_a_worker_dies_with_it(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	shared_set(4, -1);
	struct pool_async *async = start_nested(pool, row, 1);
	CHECK(shared_reaches(4, 0));
	pid_t inner = (pid_t)shared_get(4);
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK(inner == 0 || suite_is_gone(inner));
	pool_async_release(async);
	pool_destroy(pool);
	while (waitpid(-1, NULL, 0) > 0) /* this process is a subreaper: all that is left ends */
		;
}

static int set_up(struct pool_call *call)
{
	shared_add(1, 1);
	pool_local_set(call, (void *)(uintptr_t) * (const uint64_t *)pool_arg(call, 0));
	return 0;
}
POOL_TASK(set_up)

static int tear_down(struct pool_call *call)
{
	shared_add(2, pool_local(call) == (void *)(uintptr_t)77);
	return 0;
}
POOL_TASK(tear_down)

static int read_local(struct pool_call *call)
{
	suite_sleep_ns(MS);
	*(int64_t *)pool_result(call) = (int64_t)(uintptr_t)pool_local(call);
	return 0;
}
POOL_TASK(read_local)

static void expect_initialized(struct pool *pool)
{
	static const int64_t in[12];
	int64_t out[12] = { 0 };
	CHECK_EQ(pool_map(pool, POOL(read_local), in, 8, 12, out, 8,
			  &(struct pool_policy){ .chunk = 1 }),
		 0);
	for (int i = 0; i < 12; i++)
		CHECK_EQ(out[i], 77);
}

/* 68, 75 */
static void initializer_runs_once_in_each_worker(const struct pool_backend_info *row)
{
	uint64_t local = 77;
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2,
							    .initializer = POOL(set_up),
							    .initializer_arg = &local,
							    .initializer_arg_size = sizeof local,
							    .finalizer = POOL(tear_down) });
	local = 0; /* it was copied */
	expect_initialized(pool);
	int64_t workers = 2;
	if (row->can & POOL_CAN_SURVIVE && row->can & POOL_CAN_REUSE) {
		CHECK(shared_reaches(1, 2));
		pid_t pid = pool_worker_pid(pool, 0);
		CHECK_EQ(kill(pid, SIGKILL), 0);
		CHECK(suite_is_gone(pid));
		workers++; /* at the latest when there is work again */
		for (int64_t end = suite_now_ns() + WAIT; shared_get(1) < workers;) {
			expect_initialized(pool);
			CHECK(suite_now_ns() < end);
		}
		expect_initialized(pool);
	}
	suite_finish(pool);
	if (row->can & POOL_CAN_OVERLAP && row->can & POOL_CAN_REUSE) {
		CHECK_EQ(shared_get(1), workers);
		CHECK_EQ(shared_get(2), 2);
	}
	CHECK(shared_get(2) >= 1);
}

static int fail_set_up(struct pool_call *call)
{
	shared_add(1, 1);
	return pool_fail(call, 9, "no licence");
}
POOL_TASK(fail_set_up)

/* 69: work submitted early fails through its handle, later work may be refused at once */
static void initializer_that_fails_fails_the_tasks(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2,
							    .initializer = POOL(fail_set_up) });
	struct errand errand = { .word = 3 };
	struct pool_column arg = { &errand, sizeof errand };
	struct pool_async *async = NULL;
	int rc = pool_apply_async(pool, suite_errand, &arg, 1, 8, NULL, &async);
	if (rc == 0)
		rc = pool_async_get(async, NULL, WAIT);
	CHECK_EQ(rc, POOL_INIT_FAILED);
	pool_async_release(async);
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .failure = &failure };
	CHECK_EQ(pool_apply(pool, suite_errand, &arg, 1, &errand.value, 8, &policy),
		 POOL_INIT_FAILED);
	CHECK_EQ(failure.status, POOL_INIT_FAILED);
	CHECK(failure.message && strstr(failure.message, "no licence") != NULL);
	pool_failure_clear(&failure);
	CHECK(shared_get(1) <= 64); /* no storm of processes */
	CHECK_EQ(shared_get(3), 0);
	CHECK_EQ(pool_terminate(pool), 0);
	pool_destroy(pool);
}

static int stay_in_set_up(struct pool_call *call)
{
	(void)call;
	suite_sleep_ns(HOUR);
	return 0;
}
POOL_TASK(stay_in_set_up)

/* 70 */
static void initializer_that_blocks_is_given_up(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2,
							    .initializer = POOL(stay_in_set_up),
							    .initializer_timeout_ns = 50 * MS,
							    .grace_ns = 20 * MS });
	CHECK_EQ(suite_do(pool, (struct errand){ .word = 3 }), POOL_INIT_FAILED);
	CHECK_EQ(shared_get(3), 0);
	pool_destroy(pool);
}

/* 71 */
static void one_task_a_worker_and_close_at_once(const struct pool_backend_info *row)
{
	struct pool_async *handles[6];
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .tasks_per_worker = 1 });
	for (int64_t i = 0; i < 6; i++)
		handles[i] =
			suite_start(pool, (struct errand){ .value = i, .nap_ns = 50 * MS }, NULL);
	suite_finish(pool);
	for (int64_t i = 0; i < 6; i++) {
		int64_t value = -1;
		CHECK_EQ(pool_async_get(handles[i], &value, 0), 0);
		CHECK_EQ(value, i * i);
		pool_async_release(handles[i]);
	}
}

/* 72 */
static void tasks_a_worker_limits_single_tasks(const struct pool_backend_info *row)
{
	static const int64_t zero;
	struct pool_async *handles[10];
	struct pool_column arg = { &zero, sizeof zero };
	int64_t pids[10];
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1, .tasks_per_worker = 2 });
	for (int i = 0; i < 10; i++)
		CHECK_EQ(pool_apply_async(pool, suite_pid, &arg, 1, 8, NULL, handles + i), 0);
	for (int i = 0; i < 10; i++) {
		CHECK_EQ(pool_async_get(handles[i], pids + i, WAIT), 0);
		pool_async_release(handles[i]);
	}
	if (row->can & POOL_CAN_ISOLATE && row->can & POOL_CAN_REUSE)
		CHECK_EQ(suite_distinct(pids, 10), 5);
	suite_finish(pool);
}

/* 72: three workers, a limit that does not divide the number of tasks */
static void tasks_a_worker_loses_no_task_of_a_map(const struct pool_backend_info *row)
{
	int64_t pids[700];
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 3, .tasks_per_worker = 10 });
	map_pids(pool, pids, 100, 1);
	map_pids(pool, pids, 700, 9);
	if (row->can & POOL_CAN_ISOLATE)
		CHECK(suite_distinct(pids, 700) >= 700 / 18);
	suite_finish(pool);
}

/* 73: the limit counts tasks and is looked at after each chunk */
static void tasks_a_worker_counts_tasks_of_chunks(const struct pool_backend_info *row)
{
	int64_t pids[12];
	struct pool_worker_stats stats;
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1, .tasks_per_worker = 4 });
	map_pids(pool, pids, 12, 3);
	CHECK_EQ(suite_distinct(pids, 12), 2);
	CHECK_EQ(suite_distinct(pids, 6), 1);
	suite_finish(pool);
	pool = suite_open_with(row, (struct pool_options){ .workers = 1, .tasks_per_worker = 4 });
	map_pids(pool, pids, 12, 3);
	map_pids(pool, pids, 1, 1);
	CHECK_EQ(pool_worker_stats(pool, 0, &stats), 0);
	CHECK_EQ(stats.deaths, 0);
	CHECK_EQ(stats.recycled, 2);
	CHECK_EQ(stats.tasks, 13);
	suite_finish(pool);
}

static int zero_result(struct pool_call *call)
{
	memset(pool_result(call), 0, 8);
	return 0;
}
POOL_TASK(zero_result)

/* 73: of results of each size a chunk may run in parts. */
static void tasks_a_worker_are_counted_where_chunks_end(const struct pool_backend_info *row)
{
	enum { N = 100, CHUNK = 10, LARGE = 20000 };
	const uint64_t sizes[] = { 8, LARGE, POOL_VARIABLE };
	for (unsigned k = 0; k < COUNT(sizes); k++) {
		struct pool_bytes x[N], *y = calloc(N, LARGE);
		struct pool_worker_stats stats;
		struct pool *pool =
			suite_open_with(row, (struct pool_options){ .workers = 1,
								    .tasks_per_worker = 1 });
		for (int i = 0; i < N; i++)
			suite_fill(&x[i], 40, (unsigned)i);
		CHECK_EQ(pool_map(pool, sizes[k] == POOL_VARIABLE ? suite_flip : POOL(zero_result),
				  x, POOL_VARIABLE, N, y, sizes[k],
				  &(struct pool_policy){ .chunk = CHUNK }),
			 0);
		CHECK_EQ(pool_worker_stats(pool, 0, &stats), 0);
		CHECK_EQ(stats.claims, N / CHUNK);
		CHECK_EQ(stats.recycled + (stats.recycled < N / CHUNK), N / CHUNK);
		pool_bytes_free(x, N);
		pool_bytes_free(y, sizes[k] == POOL_VARIABLE ? N : 0);
		free(y);
		suite_finish(pool);
	}
}

/* 73: each call's last task waits until the other call has begun. */
/* Fails in the middle of a chunk of which each worker could run no more than a part. */
static int fail_fifth(struct pool_call *call)
{
	shared_set(1, getpid());
	return pool_index(call) == 5 ? 7 : 0;
}
POOL_TASK(fail_fifth)

static void worker_whose_chunk_was_dropped_leaves(const struct pool_backend_info *row)
{
	enum { N = 400, LARGE = 1000 };
	int64_t x[N] = { 0 }, pid = 0;
	char *y = calloc(N, LARGE);
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1, .tasks_per_worker = 3 });
	for (int i = 0; i < suite_some(row, 20); i++) {
		CHECK_EQ(pool_map(pool, POOL(fail_fifth), x, 8, N, y, LARGE,
				  &(struct pool_policy){ .chunk = N, .fail_fast = true }),
			 POOL_TASK_ERROR);
		CHECK_EQ(pool_map(pool, suite_pid, x, 8, 1, &pid, 8, NULL), 0);
		CHECK(pid != shared_get(1));
	}
	free(y);
	suite_finish(pool);
}

static void tasks_a_worker_lets_no_call_pass_another(const struct pool_backend_info *row)
{
	enum { N = 8, GATE = 1, RUNS, OTHER_RUNS };
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1, .tasks_per_worker = 1 });
	struct pool_async *gated = suite_start(pool, (struct errand){ .gate = GATE }, NULL);
	struct pool_async *call[2];
	for (unsigned c = 0; c < 2; c++) {
		struct errand errands[N];
		for (int i = 0; i < N; i++)
			errands[i] = (struct errand){ .value = i, .word = c ? OTHER_RUNS : RUNS };
		errands[N - 1].gate = c ? RUNS : OTHER_RUNS;
		CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, N, 8,
					&(struct pool_policy){ .chunk = 1 }, &call[c]),
			 0);
	}
	shared_set(GATE, 1);
	for (unsigned c = 0; c < 2; c++) {
		int64_t values[N];
		CHECK_EQ(pool_async_get(call[c], values, WAIT), 0);
		CHECK_EQ(values[N - 1], (N - 1) * (N - 1));
		pool_async_release(call[c]);
	}
	pool_async_release(gated);
	suite_finish(pool);
}

/* Waits for the other of two workers, however long it takes to start. */
static int report_worker(struct pool_call *call)
{
	const int worker = pool_worker(call);
	*(int64_t *)pool_result(call) = worker;
	shared_add((unsigned)worker, 1);
	return shared_reaches(1 - (unsigned)worker, 1) ? 0 : pool_fail(call, ETIME, "alone");
}
POOL_TASK(report_worker)

/* 74 */
static void both_workers_are_used_and_numbered(const struct pool_backend_info *row)
{
	static const int64_t in[10];
	int64_t numbers[10];
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .pin = true });
	CHECK_EQ(pool_map(pool, POOL(report_worker), in, 8, 10, numbers, 8,
			  &(struct pool_policy){ .chunk = 1 }),
		 0);
	for (int i = 0; i < 10; i++)
		CHECK(numbers[i] == 0 || numbers[i] == 1);
	CHECK_EQ(suite_distinct(numbers, 10), 2);
	suite_finish(pool);
}

static int tell_policy(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = sched_getscheduler(0);
	return 0;
}
POOL_TASK(tell_policy)

/* Processes are scheduled as SCHED_BATCH, unless the host has a policy other than the usual one. */
static void workers_yield_to_the_host(const struct pool_backend_info *row)
{
	const char x = 0;
	int64_t policy;
	CHECK_EQ(sched_getscheduler(0), SCHED_OTHER);
	for (int round = 0; round < 2; round++) {
		struct pool *pool = suite_open(row, 1);
		CHECK_EQ(pool_map(pool, POOL(tell_policy), &x, 1, 1, &policy, 8, NULL), 0);
		CHECK_EQ(policy, round ? SCHED_IDLE : SCHED_BATCH);
		CHECK_EQ(sched_getscheduler(0), round ? SCHED_IDLE : SCHED_OTHER);
		suite_finish(pool);
		CHECK_EQ(sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){ 0 }), 0);
	}
}

static const struct suite_case cases[] = {
	CASE(workers_yield_to_the_host, POOL_CAN_ISOLATE),
	CASE(pool_in_a_worker_works_or_says_no, 0),
	CASE(pool_in_a_worker_dies_with_it, POOL_CAN_OVERLAP | POOL_CAN_KILL | POOL_CAN_ISOLATE),
	CASE(initializer_runs_once_in_each_worker, 0),
	CASE(initializer_that_fails_fails_the_tasks, 0),
	CASE(initializer_that_blocks_is_given_up, POOL_CAN_OVERLAP | POOL_CAN_KILL),
	CASE(one_task_a_worker_and_close_at_once, 0),
	CASE(tasks_a_worker_limits_single_tasks, 0),
	CASE(tasks_a_worker_loses_no_task_of_a_map, 0),
	CASE(tasks_a_worker_counts_tasks_of_chunks, POOL_CAN_ISOLATE | POOL_CAN_REUSE),
	CASE(tasks_a_worker_are_counted_where_chunks_end, POOL_CAN_REUSE | POOL_CAN_OVERLAP),
	CASE(worker_whose_chunk_was_dropped_leaves, POOL_CAN_KILL),
	CASE(tasks_a_worker_lets_no_call_pass_another, POOL_CAN_OVERLAP),
	CASE(both_workers_are_used_and_numbered, POOL_CAN_OVERLAP),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
