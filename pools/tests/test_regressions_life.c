/*
 * test_regressions_life.c - faults that were found in the life of pools and workers: what a worker
 * does to what the pool keeps for itself, initializers and finalizers that misbehave, callbacks.
 */
#include "pools/pool_ops.h"
#include "pools/tests/suite.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the board ---- */

/* The host must not read there again how long its own mapping is, or how long to spin. */
static int lie_about_the_board(struct pool_call *call)
{
	struct pool_board *board = suite_find_memory("pool-board");
	(void)call;
	if (!board)
		return 1;
	board->bytes += UINT64_C(1) << 30;
	board->spin_ns = HOUR;
	board->cpus = 100;
	return 0;
}
POOL_TASK(lie_about_the_board)

static void what_a_worker_writes_on_the_board_misleads_nobody(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_map(pool, POOL(lie_about_the_board), "", 1, 1, NULL, 0, NULL), 0);
	CHECK_EQ(kill(pool_worker_pid(pool, 0), SIGSTOP), 0);
	const int64_t since_ns = suite_now_ns();
	CHECK_EQ(pool_map(pool, suite_errand, &(struct errand){ 0 }, sizeof(struct errand), 1, NULL,
			  0, &(struct pool_policy){ .timeout_ns = 20 * MS }),
		 -ETIMEDOUT);
	CHECK(suite_now_ns() - since_ns < WAIT);
	CHECK_EQ(pool_terminate(pool), 0);
	suite_finish(pool);
}

/* ---- initializers and finalizers ---- */

enum { STUCK = 1, SMALL_PAGES, CHILD_ENDED };

/* One of worker 1's is stuck, once. */
static int get_stuck_once(struct pool_call *call)
{
	if (pool_worker(call) == 1 && shared_add(STUCK, 1) == 2)
		for (;;)
			pause();
	return 0;
}
POOL_TASK(get_stuck_once)

/* Whether the other worker has just left as well, to come back, is a matter of luck. On a busy machine the others take long,
 * too, but not two seconds. */
static void one_stuck_initializer_does_not_break_the_pool(const struct pool_backend_info *row)
{
	static int64_t x[50], y[50];
	for (int i = 0; i < 2; i++) {
		bool paused = false;
		shared_set(STUCK, 0);
		struct pool *pool =
			suite_open_with(row, (struct pool_options){
						     .workers = 2,
						     .tasks_per_worker = 1,
						     .initializer = POOL(get_stuck_once),
						     .initializer_timeout_ns = 2 * SECOND });
		const int64_t until_ns = suite_now_ns() + WAIT;
		struct pool_worker_stats stats = { 0 };
		while (suite_now_ns() < until_ns && !stats.deaths) {
			CHECK_EQ(pool_map(pool, suite_square, x, 8, COUNT(x), y, 8,
					  &(struct pool_policy){ .chunk = 1 }),
				 0);
			CHECK_EQ(pool_worker_stats(pool, 1, &stats), 0);
			if (!paused &&
			    shared_get(STUCK) > 1) { /* it counts at the end of the time */
				suite_sleep_ns(SECOND + 800 * MS);
				paused = true;
			}
		}
		suite_finish(pool);
	}
}

static struct pool *own; /* of threads, and of serial */

static int use_own_pool(struct pool_call *call)
{
	int64_t x = 3, y;
	(void)call;
	if (own)
		shared_set(0, pool_map(own, suite_square, &x, 8, 1, &y, 8, NULL));
	return 0;
}
POOL_TASK(use_own_pool)

static void finalizer_that_uses_its_own_pool_is_refused(const struct pool_backend_info *row)
{
	const int64_t x[3] = { 1, 2, 3 };
	int64_t y[3];
	if (row->can & POOL_CAN_ISOLATE)
		return; /* a process has no pool of its own */
	own = suite_open_with(row, (struct pool_options){ .workers = 1,
							  .tasks_per_worker = 1,
							  .finalizer = POOL(use_own_pool) });
	CHECK_EQ(pool_map(own, suite_square, x, 8, COUNT(x), y, 8,
			  &(struct pool_policy){ .chunk = 1 }),
		 0);
	suite_finish(own);
	CHECK_EQ(shared_get(0), -EDEADLK);
}

static int crash(struct pool_call *call)
{
	(void)call;
	raise(SIGSEGV);
	return 0;
}
POOL_TASK(crash)

static void finalizer_that_crashes_is_a_death(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open_with(row, (struct pool_options){ .workers = 1,
									.tasks_per_worker = 1,
									.finalizer = POOL(crash) });
	struct pool_worker_stats stats;
	CHECK_EQ(suite_do(pool, (struct errand){ 0 }), 0);
	CHECK_EQ(suite_do(pool, (struct errand){ 0 }), 0); /* by its successor */
	CHECK_EQ(pool_worker_stats(pool, 0, &stats), 0);
	CHECK(stats.deaths >= 1);
	CHECK_EQ(stats.last_signal, SIGSEGV);
	suite_finish(pool);
}

static int never_end(struct pool_call *call)
{
	(void)call;
	shared_add(0, 1);
	for (;;)
		pause();
	return 0;
}
POOL_TASK(never_end)

static void finalizer_over_the_time_limit_is_killed(const struct pool_backend_info *row)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1,
							    .tasks_per_worker = 1,
							    .task_timeout_ns = 100 * MS,
							    .finalizer = POOL(never_end) });
	const struct pool_policy ample = { .task_timeout_ns = POOL_FOREVER };
	const int64_t x = 3;
	int64_t y;
	struct pool_worker_stats stats;
	for (int i = 0; i < 2; i++) /* the second by its successor */
		CHECK_EQ(pool_apply(pool, suite_square, &(struct pool_column){ &x, sizeof x }, 1,
				    &y, sizeof y, &ample),
			 0);
	CHECK_EQ(pool_worker_stats(pool, 0, &stats), 0);
	CHECK(stats.deaths >= 1);
	CHECK(stats.stopped == stats.deaths && stats.recycled == 0);
	CHECK_EQ(stats.last_signal, SIGKILL);
	suite_finish(pool); /* nothing is under way, and the last worker is stuck as well */
	CHECK(shared_get(0) >= 2);
}

static void argument_of_no_possible_size_is_refused(const struct pool_backend_info *row)
{
	const char argument = 0;
	struct pool_options options = { .backend = row->name,
					.workers = 1,
					.initializer = POOL(get_stuck_once),
					.initializer_arg = &argument,
					.initializer_arg_size = UINT64_MAX };
	struct pool *pool;
	CHECK_EQ(pool_open(&pool, &options), -EINVAL);
}

/* ---- callbacks ---- */

enum { CALLBACKS = 1, MEANWHILE, OTHER, THIRD, RUN };

struct asking {
	struct pool_async *other;
	bool ready;
};

static int ask(struct pool_async *async, void *user)
{
	struct asking *asking = user;
	(void)async;
	shared_set(THIRD, 1);
	suite_sleep_ns(50 * MS); /* another one's callback is queued */
	asking->ready = pool_async_ready(asking->other);
	shared_set(MEANWHILE, shared_get(CALLBACKS));
	return 0;
}

static int count_itself(struct pool_async *async, void *user)
{
	(void)async;
	(void)user;
	shared_add(CALLBACKS, 1);
	return 0;
}

/* The third does not end before the first one's callback runs, in whatever order workers take them. */
static void asking_in_a_callback_runs_no_other(const struct pool_backend_info *row)
{
	struct asking asking = { NULL, true };
	struct pool *pool = suite_open(row, 3);
	const struct pool_policy counts = { .callback = count_itself },
				 asks = { .callback = ask, .user = &asking };
	asking.other = suite_start(pool, (struct errand){ .gate = OTHER, .word = RUN }, &counts);
	struct pool_async *first = suite_start(pool, (struct errand){ .word = RUN }, &asks);
	struct pool_async *third =
		suite_start(pool, (struct errand){ .gate = THIRD, .word = RUN }, &counts);
	CHECK_EQ(pool_async_wait(first, WAIT), 0);
	CHECK(!asking.ready);
	CHECK_EQ(shared_get(MEANWHILE), 0);
	shared_set(OTHER, 1);
	CHECK_EQ(pool_async_wait(asking.other, WAIT), 0);
	CHECK_EQ(pool_async_wait(third, WAIT), 0);
	CHECK_EQ(shared_get(CALLBACKS), 2);
	pool_async_release(first);
	pool_async_release(third);
	pool_async_release(asking.other);
	suite_finish(pool);
}

/* ---- memory ---- */

/* Processes that were forked while the pool was open hold its memory, too. */
static void memory_goes_with_the_pool_whoever_holds_it(const struct pool_backend_info *row)
{
	enum { BYTES = 20 << 20 };
	struct pool *pool = suite_open(row, 1);
	struct stat stat;
	const int fd = dup(suite_find_descriptor("pool-arena")); /* -1: not on this row */
	void *memory = pool_alloc(pool, BYTES);
	CHECK(memory);
	memset(memory, 1, BYTES);
	suite_finish(pool);
	if (fd < 0)
		return;
	CHECK_EQ(fstat(fd, &stat), 0);
	CHECK_EQ(stat.st_blocks, 0);
	close(fd);
}

/* In place of the C library's, in workers too. */
int madvise(void *at, size_t bytes, int advice)
{
	if (advice == 25 /* MADV_COLLAPSE */ && shared_get(SMALL_PAGES)) {
		errno = EINVAL;
		return -1;
	}
	return (int)syscall(SYS_madvise, at, bytes, advice);
}

enum { LARGE_MESSAGE = 8 << 20 };

static int fail_at_length(struct pool_call *call)
{
	return pool_fail(call, 7, "%*s", (int)LARGE_MESSAGE, "x");
}
POOL_TASK(fail_at_length)

struct assassin {
	struct pool *pool;
	int64_t pause_ns;
};

static void *kill_after_a_pause(void *state)
{
	const struct assassin *assassin = state;
	suite_sleep_ns(assassin->pause_ns);
	const pid_t pid = pool_worker_pid(assassin->pool, 0);
	if (pid > 0)
		kill(pid, SIGKILL);
	return NULL;
}

/* For so long it takes. */
static int64_t fail_once(struct pool *pool)
{
	const int64_t x = 0, started_ns = suite_now_ns();
	const int rc = pool_map(pool, POOL(fail_at_length), &x, 8, 1, NULL, 0, NULL);
	CHECK(rc == POOL_TASK_ERROR || rc == POOL_WORKER_LOST);
	return suite_now_ns() - started_ns;
}

/* The text is written, copied to shared memory and from there: a kill in each part of that time. What one leaves behind is
 * missing in the next call, which takes pages anew. Huge ones would make the copying too short, and take time to be made. */
static void killed_tasks_leave_no_message_behind(const struct pool_backend_info *row)
{
	enum { KILLS = 8 };
	if (!strstr(row->name, "shm"))
		return;
	shared_set(SMALL_PAGES, 1);
	struct pool *pool = suite_open(row, 1);
	fail_once(pool);
	const int64_t most = suite_arena_bytes() + LARGE_MESSAGE / 2, took_ns = fail_once(pool);
	for (int i = 0; i < KILLS; i++) {
		struct assassin assassin = { pool, took_ns * i / KILLS };
		pthread_t thread;
		CHECK_EQ(pthread_create(&thread, NULL, kill_after_a_pause, &assassin), 0);
		fail_once(pool);
		pthread_join(thread, NULL);
	}
	fail_once(pool);
	CHECK(suite_arena_bytes() < most);
	suite_finish(pool);
}

static int return_twice(struct pool_call *call)
{
	int status = -1;
	(void)call;
	const pid_t pid = fork();
	if (pid == 0)
		return 0;
	const int64_t until_ns = suite_now_ns() + WAIT;
	while (pid > 0 && waitpid(pid, &status, WNOHANG) == 0 && suite_now_ns() < until_ns)
		suite_sleep_ns(MS);
	if (pid > 0 && status < 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	shared_set(CHILD_ENDED, status == 0 ? 1 : 2);
	return 0;
}
POOL_TASK(return_twice)

/* It went on as a second worker with the first one's pipe and lane: calls did not return, and it outlived the program. */
static void child_of_a_task_is_no_second_worker(const struct pool_backend_info *row)
{
	const int64_t x[20] = { 0 };
	int64_t y[20];
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_map(pool, POOL(return_twice), x, 8, 1, NULL, 0, NULL), 0);
	CHECK(shared_reaches(CHILD_ENDED, 1));
	CHECK_EQ(shared_get(CHILD_ENDED), 1);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(pool_map(pool, suite_square, x, 8, COUNT(x), y, 8, NULL), 0);
	suite_finish(pool);
}

static int start_twice(struct pool_call *call)
{
	return shared_get(CHILD_ENDED) ? 0 : return_twice(call);
}
POOL_TASK(start_twice)

static void child_of_an_initializer_is_no_second_worker(const struct pool_backend_info *row)
{
	const int64_t x[20] = { 0 };
	int64_t y[20];
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 1,
							    .initializer = POOL(start_twice) });
	CHECK_EQ(pool_map(pool, suite_square, x, 8, COUNT(x), y, 8, NULL), 0);
	CHECK_EQ(shared_get(CHILD_ENDED), 1);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(what_a_worker_writes_on_the_board_misleads_nobody, POOL_CAN_KILL | POOL_CAN_REUSE),
	CASE(child_of_a_task_is_no_second_worker, 0),
	CASE(child_of_an_initializer_is_no_second_worker, 0),
	CASE(one_stuck_initializer_does_not_break_the_pool, POOL_CAN_KILL | POOL_CAN_REUSE),
	CASE(finalizer_that_uses_its_own_pool_is_refused, 0),
	CASE(finalizer_that_crashes_is_a_death, POOL_CAN_SURVIVE),
	CASE(finalizer_over_the_time_limit_is_killed, POOL_CAN_KILL),
	CASE(argument_of_no_possible_size_is_refused, 0),
	CASE(asking_in_a_callback_runs_no_other, POOL_CAN_OVERLAP),
	CASE(memory_goes_with_the_pool_whoever_holds_it, 0),
	CASE(killed_tasks_leave_no_message_behind, FAULTS | POOL_CAN_REUSE),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
