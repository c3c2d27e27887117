/* test_contract_sharing.c - several users of one pool, values that cannot be delivered, consumers that are slow, workers
 * that are killed all the time: what one of them does must not be felt by the others. Numbers in comments are those of
 * the list of behaviours that the pool was specified by. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

/* == Values that cannot be delivered == */

/* Odd values ask for a result that no machine has room for, nor a sanitizer an opinion about. */
static int too_large(struct pool_call *call)
{
	const int64_t *value = pool_arg(call, 0);
	shared_add(1, 1);
	if (*value % 2)
		return pool_result_alloc(call, UINT64_MAX - 4096) ? 9 : 0;
	return pool_return(call, value, sizeof *value);
}
POOL_TASK(too_large)

static int64_t pid_sum(struct pool *pool)
{
	int64_t sum = 0;
	for (int i = 0; i < pool_workers(pool); i++)
		sum += pool_worker_pid(pool, i);
	return sum;
}

/* 12 */
static void result_without_room_fails_alone(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const int64_t pids = pid_sum(pool);
	for (int64_t i = 0; i < 40; i++) {
		struct pool_bytes result = { 0 };
		struct pool_column arg = { &i, sizeof i };
		int rc = pool_apply(pool, POOL(too_large), &arg, 1, &result, POOL_VARIABLE, NULL);
		CHECK_EQ(rc, i % 2 ? POOL_ENCODE_ERROR : 0);
		CHECK(i % 2 || (result.size == sizeof i && *(int64_t *)result.data == i));
		pool_bytes_free(&result, 1);
	}
	CHECK(!(row->can & POOL_CAN_REUSE) || pid_sum(pool) == pids);
	CHECK_EQ(shared_get(1), 40);
	suite_finish(pool);
}

/* 11, 14: what is refused takes no place in any queue */
static void submissions_refused_between_good_ones_leave_no_trace(
	const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *async[100];
	for (int64_t i = 0; i < 100; i++) {
		struct pool_column good = { &i, sizeof i }, bad = { NULL, sizeof i };
		struct pool_async *none = NULL;
		CHECK_EQ(pool_apply_async(pool, suite_square, &bad, 1, 8, NULL, &none), -EINVAL);
		CHECK(!none);
		CHECK_EQ(pool_apply_async(pool, suite_square, &good, 1, 8, NULL, &async[i]), 0);
	}
	for (int64_t i = 0, result; i < 100; i++) {
		CHECK_EQ(pool_async_get(async[i], &result, WAIT), 0);
		CHECK_EQ(result, i * i);
		pool_async_release(async[i]);
	}
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.submitted, 100);
	suite_finish(pool);
}

/* == Jobs beside each other == */

/* True: the short one was over first. */
static bool overtakes_a_long_map(struct pool *pool)
{
	enum { LONG = 400, SHORT = 4 };
	struct errand errands[LONG];
	int64_t results[SHORT];
	struct pool_async *async = NULL;
	const struct pool_policy one_by_one = { .chunk = 1 };
	for (int i = 0; i < LONG; i++)
		errands[i] = (struct errand){ .nap_ns = 4 * MS, .word = 1 };
	shared_set(1, 0);
	shared_set(2, 0);
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, LONG, 8, &one_by_one,
				&async),
		 0);
	CHECK(shared_reaches(1, 1));
	for (int i = 0; i < SHORT; i++)
		errands[i].word = 2;
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, SHORT, results, 8,
			  &one_by_one),
		 0);
	const bool first = !pool_async_ready(async);
	CHECK_EQ(pool_async_wait(async, 2 * WAIT), 0);
	CHECK_EQ(shared_get(1), LONG);
	CHECK_EQ(shared_get(2), SHORT);
	pool_async_release(async);
	return first;
}

/* 33 */
static void map_beside_a_long_map_is_not_starved(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int tries = 1; /* we may have no processor for as long as the long one takes */
	while (!overtakes_a_long_map(pool))
		CHECK(++tries <= 10);
	suite_finish(pool);
}

/* Two maps take turns, and all of a sudden an item of the one does not end. False: the other was through by then. */
static bool cancels_beside_a_stuck_map(struct pool *pool, struct errand *errands, int n)
{
	enum { BEGUN = 1, GATE = 3 };
	const struct pool_policy policy = { .chunk = 1 };
	const int stuck = n / 10 * 7; /* so late that both have had their turns */
	struct pool_async *async[2];
	shared_set(GATE, 0);
	shared_set(BEGUN, 0);
	errands[stuck] = (struct errand){ .gate = GATE, .word = BEGUN };
	for (int i = 0; i < 2; i++) {
		CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, (uint64_t)n,
					8, &policy, &async[i]),
			 0);
		errands[stuck] = (struct errand){ 0 }; /* the second has none such */
	}
	CHECK(shared_reaches(BEGUN, 1));
	const int rc = pool_async_cancel(async[1]);
	CHECK(rc == 0 || rc == POOL_BUSY);
	CHECK_EQ(pool_async_wait(async[1], WAIT), 0);
	CHECK_EQ(pool_async_wait(async[0], 0), -ETIMEDOUT);
	shared_set(GATE, 1);
	CHECK_EQ(pool_async_wait(async[0], WAIT), 0);
	for (int i = 0; i < 2; i++)
		pool_async_release(async[i]);
	return rc == 0;
}

static void cancelled_map_does_not_wait_for_another(const struct pool_backend_info *row)
{
	enum { N = 20000 };
	struct pool *pool = suite_open(row, 1);
	const int n = suite_some(row, suite_some(row, suite_some(row, N)));
	struct errand *errands = calloc((size_t)n, sizeof *errands);
	int tries = 1;
	while (!cancels_beside_a_stuck_map(pool, errands, n))
		CHECK(++tries <= 100);
	free(errands);
	suite_finish(pool);
}

static int wait_for_the_others(struct pool_async *async, void *user)
{
	(void)async;
	(void)user;
	return shared_reaches(2, 60) ? 0 : 1;
}

/* 51: the callback does not end before the other tasks have run */
static void callback_that_takes_long_keeps_no_worker(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *slow =
		suite_start(pool, (struct errand){ .value = 1 },
			    &(struct pool_policy){ .callback = wait_for_the_others });
	struct errand errands[30];
	int64_t results[30];
	for (int i = 0; i < 30; i++)
		errands[i] = (struct errand){ .value = i, .word = 2 };
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, 30, results, 8, NULL), 0);
	for (int i = 0; i < 30; i++)
		CHECK_EQ(suite_do(pool, errands[i]), 0);
	CHECK_EQ(pool_async_wait(slow, WAIT), 0);
	CHECK_EQ(pool_async_callback_result(slow), 0);
	pool_async_release(slow);
	suite_finish(pool);
}

/* == Slow consumers == */

static int megabyte(struct pool_call *call)
{
	unsigned char *to = pool_result_alloc(call, 1 << 20);
	if (!to)
		return pool_fail(call, 1, "no memory");
	for (unsigned i = 0; i < 1 << 20; i += 4096)
		to[i] = (unsigned char)pool_index(call);
	shared_add(1, 1);
	return 0;
}
POOL_TASK(megabyte)

/* 45: results that exist and were not read are never more than the window */
static void imap_slow_consumer_bounds_what_is_resident(const struct pool_backend_info *row)
{
	enum { ITEMS = 60, WINDOW = 4 };
	struct pool *pool = suite_open(row, 2);
	int64_t in[ITEMS] = { 0 };
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, POOL(megabyte), pool_array(in, sizeof *in, ITEMS), POOL_VARIABLE,
			   &(struct pool_policy){ .chunk = 1, .window = WINDOW }, &iter),
		 0);
	for (int i = 0; i < ITEMS; i++) {
		struct pool_bytes result;
		suite_sleep_ns(i % 4 ? 0 : 3 * MS);
		CHECK(shared_get(1) <= i + WINDOW);
		CHECK_EQ(pool_iter_next(iter, &result, WAIT), 0);
		CHECK_EQ(result.size, 1 << 20);
		CHECK_EQ(((unsigned char *)result.data)[4096], i);
		pool_bytes_free(&result, 1);
	}
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* == Workers that die all the time == */

enum { CHAOS_ITEMS_MOST = 2000, CHAOS_WORD = 10 };

static int counted(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);
	shared_add(CHAOS_WORD + (unsigned)pool_index(call), 1);
	for (int64_t end = suite_now_ns() + MS / 10; suite_now_ns() < end;)
		;
	*(int64_t *)pool_result(call) = *x * *x;
	return 0;
}
POOL_TASK(counted)

struct killer {
	struct pool *pool;
	int stop;
};

static void *kill_workers(void *what)
{
	struct killer *killer = what;
	struct pool_stats stats;
	uint64_t done = 0;
	for (unsigned i = 0; !__atomic_load_n(&killer->stop, __ATOMIC_RELAXED); i++) {
		suite_sleep_ns(5 * MS);
		pid_t pid = pool_worker_pid(killer->pool, (int)(i * 7 / 3 % 2));
		CHECK_EQ(pool_stats(killer->pool, &stats), 0);
		/* workers that are all killed before they are up are POOL_INIT_FAILED, and rightly */
		if (pid > 0 && stats.done > done) {
			kill(pid, SIGKILL);
			done = stats.done;
		}
	}
	return NULL;
}

static void map_under_fire(struct pool *pool, unsigned n, int retries)
{
	static int64_t in[CHAOS_ITEMS_MOST], out[CHAOS_ITEMS_MOST];
	static int32_t status[CHAOS_ITEMS_MOST];
	for (unsigned i = 0; i < n; i++) {
		in[i] = i;
		shared_set(CHAOS_WORD + i, 0);
	}
	int rc = pool_map(pool, POOL(counted), in, 8, n, out, 8,
			  &(struct pool_policy){
				  .chunk = 1, .retries = retries, .statuses = status });
	CHECK(rc == 0 || (rc == POOL_WORKER_LOST && retries == 0));
	for (unsigned i = 0; i < n; i++) {
		int64_t runs = shared_get(CHAOS_WORD + i);
		CHECK(status[i] == 0 || status[i] == POOL_WORKER_LOST);
		CHECK(status[i] != 0 || (runs >= 1 && out[i] == (int64_t)i * i));
		CHECK(runs <= 1 + retries);
	}
}

/* 80 */
static void map_while_workers_are_killed_runs_each_item_once(const struct pool_backend_info *row)
{
	const unsigned n = (unsigned)suite_some(row, CHAOS_ITEMS_MOST);
	struct killer killer = { .pool = suite_open(row, 2) };
	pthread_t thread;
	CHECK_EQ(pthread_create(&thread, NULL, kill_workers, &killer), 0);
	map_under_fire(killer.pool, n, 0);
	map_under_fire(killer.pool, n, 250);
	__atomic_store_n(&killer.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	CHECK_EQ(suite_do(killer.pool, (struct errand){ .value = 2 }), 0);
	suite_finish(killer.pool);
}

/* == A child that does not get past the fork == */

enum { WORD_FORKS = 900 };
static bool first_child_hangs;

/* As it does when another thread held a lock that it needs: such a worker is given up and replaced. */
static void hang_in_first_child(void)
{
	while (first_child_hangs && shared_add(WORD_FORKS, 1) == 1)
		for (;;)
			pause();
}

static void worker_that_hangs_after_the_fork_is_replaced(const struct pool_backend_info *row)
{
	CHECK_EQ(pthread_atfork(NULL, NULL, hang_in_first_child), 0);
	first_child_hangs = !(row->can & POOL_CAN_EXEC);
	struct pool_options options = { .workers = 1 };
	if (first_child_hangs)
		options.initializer_timeout_ns = 2 * SECOND; /* the second child must keep it */
	struct pool *pool = suite_open_with(row, options);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	CHECK(!first_child_hangs || shared_get(WORD_FORKS) >= 2);
	suite_finish(pool);
}

/* == The number of processors == */

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	CHECK(file);
	CHECK(fputs(text, file) >= 0);
	CHECK_EQ(fclose(file), 0);
}

/* 54: under a quota. In a name space of its own the files of the control groups are ours; where that is not allowed
 * there is nothing to be seen. */
static void cpus_are_bound_by_the_quota(const struct pool_backend_info *row)
{
	(void)row;
	const int cpus = pool_cpus();
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "/sys/fs/cgroup", "tmpfs", 0, NULL) < 0)
		return;
	write_text("/sys/fs/cgroup/cpu.max", "150000 100000\n");
	CHECK_EQ(pool_cpus(), cpus < 2 ? cpus : 2);
	write_text("/sys/fs/cgroup/cpu.max", "10000 100000\n");
	CHECK_EQ(pool_cpus(), 1);
	write_text("/sys/fs/cgroup/cpu.max", "max 100000\n");
	CHECK_EQ(mkdir("/sys/fs/cgroup/cpu", 0755), 0);
	write_text("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
	write_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
	CHECK_EQ(pool_cpus(), 1);
	write_text("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
	CHECK(pool_cpus() >= cpus);
}

/* == Order == */

enum { GATE = 1, TURN = 2, BEGAN = 10, LINE = 60, BEFORE = 30 };

static int take_a_number(struct pool_call *call)
{
	const int64_t who = *(const int64_t *)pool_arg(call, 0);
	while (who < 0 && !shared_get(GATE))
		suite_sleep_ns(MS);
	if (who >= 0)
		shared_set(BEGAN + (unsigned)who, shared_add(TURN, 1));
	return 0;
}
POOL_TASK(take_a_number)

/* Whoever came first was served last by shared memory, if others came meanwhile. Of more than 64 some may change places: so
 * many are with the workers there, and a place is free again a moment sooner or later. */
static void calls_are_begun_in_the_order_in_which_they_came(const struct pool_backend_info *row)
{
	struct pool_async *async[LINE + 1];
	struct pool *pool = suite_open(row, 1);
	for (int i = 0; i < BEFORE; i++) {
		int64_t y;
		CHECK_EQ(pool_map(pool, suite_square, &(int64_t){ i }, 8, 1, &y, 8, NULL), 0);
	}
	for (int64_t i = -1; i < LINE; i++) {
		const struct pool_column who = { &i, sizeof i };
		CHECK_EQ(pool_apply_async(pool, POOL(take_a_number), &who, 1, 0, NULL,
					  &async[i + 1]),
			 0);
	}
	shared_set(GATE, 1);
	for (int i = 0; i <= LINE; i++) {
		CHECK_EQ(pool_async_get(async[i], NULL, WAIT), 0);
		pool_async_release(async[i]);
	}
	for (unsigned i = 0; i < LINE; i++)
		CHECK_EQ(shared_get(BEGAN + i), i + 1);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(result_without_room_fails_alone, 0),
	CASE(submissions_refused_between_good_ones_leave_no_trace, 0),
	CASE(map_beside_a_long_map_is_not_starved, POOL_CAN_OVERLAP),
	CASE(cancelled_map_does_not_wait_for_another, POOL_CAN_OVERLAP),
	CASE(callback_that_takes_long_keeps_no_worker, 0),
	CASE(imap_slow_consumer_bounds_what_is_resident, 0),
	CASE(map_while_workers_are_killed_runs_each_item_once, POOL_CAN_SURVIVE | POOL_CAN_KILL),
	CASE(worker_that_hangs_after_the_fork_is_replaced, POOL_CAN_ISOLATE | POOL_CAN_KILL),
	CASE(cpus_are_bound_by_the_quota, 0),
	CASE(calls_are_begun_in_the_order_in_which_they_came, POOL_CAN_OVERLAP),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
