/* test_faults.c - dying workers, dying programs, signals, large values. Numbers in comments are those
 * of the list of behaviours that the pool was specified by. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

static void expect_usable(struct pool *pool, int n)
{
	for (int i = 0; i < n; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ .value = i }), 0);
}

/* Waits until worker `number` has a process other than `old`. There is work meanwhile: nothing says
 * that the death of an idle worker is noticed before that. */
static bool is_replaced(struct pool *pool, int number, pid_t old)
{
	for (int64_t end = suite_now_ns() + WAIT; suite_now_ns() < end; expect_usable(pool, 1)) {
		pid_t pid = pool_worker_pid(pool, number);
		if (pid > 0 && pid != old)
			return true;
	}
	return false;
}

/* 76 */
static void lost_worker_loses_its_item_only(const struct pool_backend_info *row)
{
	const struct {
		int32_t deed;
		int signal, code;
	} deaths[] = { { DEED_KILL, SIGKILL, -1 },
		       { DEED_SEGV, SIGSEGV, -1 },
		       { DEED_ABORT, SIGABRT, -1 },
		       { DEED_EXIT3, 0, 3 },
		       { DEED_EXIT0, 0, 0 } };
	struct pool *pool = suite_open(row, 2);
	for (size_t i = 0; i < COUNT(deaths); i++) {
		struct pool_async *neighbour =
			suite_start(pool, (struct errand){ .value = 4, .nap_ns = 100 * MS }, NULL);
		struct pool_async *bad =
			suite_start(pool, (struct errand){ .deed = deaths[i].deed, .word = 1 },
				    NULL);
		CHECK_EQ(pool_async_get(bad, NULL, WAIT), POOL_WORKER_LOST);
		const struct pool_failure *failure = pool_async_failure(bad);
		CHECK(failure && failure->status == POOL_WORKER_LOST && failure->message);
		CHECK_EQ(failure->signal, deaths[i].signal);
		CHECK_EQ(failure->code, deaths[i].code);
		CHECK(failure->pid > 0 && failure->pid != getpid());
		CHECK_EQ(pool_async_get(neighbour, NULL, WAIT), 0);
		expect_usable(pool, 4);
		pool_async_release(neighbour);
		pool_async_release(bad);
		CHECK_EQ(shared_get(1), i + 1);
	}
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.lost, COUNT(deaths));
	suite_finish(pool);
}

/* 76: inside a chunk what was done stays done and what was not begun is run by another */
static void lost_worker_s_chunk_mates_run_once(const struct pool_backend_info *row)
{
	struct errand errands[20];
	int32_t statuses[20];
	int64_t out[20];
	struct pool *pool = suite_open(row, 2);
	struct pool_failure failure = { 0 };
	for (unsigned i = 0; i < 20; i++)
		errands[i] = (struct errand){ .value = i,
					      .deed = i % 10 == 3 ? DEED_KILL : DEED_NONE,
					      .word = 1 + i };
	struct pool_policy policy = { .chunk = 10, .statuses = statuses, .failure = &failure };
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, 20, out, 8, &policy),
		 POOL_WORKER_LOST);
	CHECK_EQ(failure.index, 3);
	CHECK_EQ(failure.signal, SIGKILL);
	pool_failure_clear(&failure);
	for (unsigned i = 0; i < 20; i++) {
		CHECK_EQ(shared_get(1 + i), 1);
		CHECK_EQ(statuses[i], i % 10 == 3 ? POOL_WORKER_LOST : 0);
		CHECK(i % 10 == 3 || out[i] == (int64_t)i * i);
	}
	suite_finish(pool);
}

static void retries_run_a_lost_item_again(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_policy policy = { .retries = 2 };
	struct pool_async *once =
		suite_start(pool, (struct errand){ .value = 5, .deed = DEED_KILL_ONCE, .word = 1 },
			    &policy);
	struct pool_async *always =
		suite_start(pool, (struct errand){ .deed = DEED_KILL, .word = 2 }, &policy);
	int64_t value = 0;
	CHECK_EQ(pool_async_get(once, &value, WAIT), 0);
	CHECK_EQ(value, 25);
	CHECK_EQ(shared_get(1), 2);
	CHECK_EQ(pool_async_get(always, NULL, WAIT), POOL_WORKER_LOST);
	CHECK_EQ(shared_get(2), 3);
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.retried, 3);
	pool_async_release(once);
	pool_async_release(always);
	suite_finish(pool);
}

static void lost_worker_in_imap_is_one_failed_item(const struct pool_backend_info *row)
{
	struct errand errands[30];
	struct pool *pool = suite_open(row, 2);
	for (int64_t i = 0; i < 30; i++)
		errands[i] = (struct errand){ .value = i, .deed = i == 9 ? DEED_KILL : DEED_NONE };
	for (int64_t chunk = 1; chunk <= 4; chunk += 3) {
		struct pool_iter *iter = NULL;
		CHECK_EQ(pool_imap(pool, suite_errand, pool_array(errands, sizeof *errands, 30), 8,
				   &(struct pool_policy){ .chunk = chunk }, &iter),
			 0);
		for (int64_t i = 0; i < 30; i++) {
			int64_t value = -1;
			CHECK_EQ(pool_iter_next(iter, &value, WAIT), i == 9 ? POOL_WORKER_LOST : 0);
			CHECK(i == 9 || value == i * i);
		}
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* 77 */
static void killed_idle_workers_harm_nothing(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 3);
	expect_usable(pool, 3);
	for (int i = 0; i < 3; i++) {
		pid_t pid = pool_worker_pid(pool, i);
		CHECK(pid > 0 && kill(pid, SIGKILL) == 0);
		CHECK(suite_is_gone(pid)); /* it looks for work for a moment before it sleeps */
		suite_sleep_ns(i * MS);
		expect_usable(pool, 4);
		CHECK(is_replaced(pool, i, pid));
	}
	for (int i = 0; i < 3; i++) {
		pid_t pid = pool_worker_pid(pool, i);
		CHECK_EQ(kill(pid, SIGKILL), 0);
		CHECK(suite_is_gone(pid));
	}
	suite_sleep_ns(MS);
	struct pool_async *handles[12];
	for (int i = 0; i < 12; i++)
		handles[i] = suite_start(pool, (struct errand){ .word = 20 + (uint32_t)i }, NULL);
	for (unsigned i = 0; i < 12; i++) {
		CHECK_EQ(pool_async_get(handles[i], NULL, WAIT), 0);
		CHECK_EQ(shared_get(20 + i), 1);
		pool_async_release(handles[i]);
	}
	int64_t start = suite_now_ns();
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK(suite_now_ns() - start < WAIT / 2);
	pool_destroy(pool);
}

/* 78 */
static void killed_while_it_moves_a_large_value(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_bytes in, out;
	suite_fill(&in, 8 * MIB, 5);
	struct pool_column arg = { &in, POOL_VARIABLE };
	for (int i = 0; i < 16; i += 3) {
		struct pool_async *pair[2];
		int lost = 0;
		for (int k = 0; k < 2; k++)
			CHECK_EQ(pool_apply_async(pool, suite_flip, &arg, 1, POOL_VARIABLE, NULL,
						  pair + k),
				 0);
		suite_sleep_ns(i * MS);
		pid_t victim = pool_worker_pid(pool, 0);
		if (victim > 0)
			kill(victim, SIGKILL);
		for (int k = 0; k < 2; k++) {
			int rc = pool_async_get(pair[k], &out, WAIT);
			CHECK(rc == 0 || rc == POOL_WORKER_LOST);
			CHECK(rc != 0 || suite_is_flipped(out, 8 * MIB, 5));
			lost += rc != 0;
			if (rc == 0)
				pool_bytes_free(&out, 1);
			pool_async_release(pair[k]);
		}
		CHECK(lost <= 1);
	}
	free(in.data);
	expect_usable(pool, 8);
	suite_finish(pool);
}

enum ending { END_EXIT, END_AT_ONCE, END_KILLED, END_TERMINATED, ENDINGS };

/* A program that ends with a live pool, idle or busy. Notes its workers in words 10, 11. */
static _Noreturn void be_a_program(const struct pool_backend_info *row, enum ending ending,
				   bool busy)
{
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .grace_ns = 50 * MS });
	for (int i = 0; busy && i < 2; i++)
		pool_async_release(
			suite_start(pool, (struct errand){ .nap_ns = HOUR, .word = 1 }, NULL));
	CHECK(!busy || shared_reaches(1, 2));
	for (int i = 0; i < 2; i++)
		shared_set(10 + (unsigned)i, pool_worker_pid(pool, i));
	if (ending == END_EXIT)
		exit(0);
	if (ending == END_AT_ONCE)
		_exit(0);
	raise(ending == END_KILLED ? SIGKILL : SIGTERM);
	_exit(1);
}

/* 65, 79: whatever ends the program, its workers go */
static void program_that_ends_takes_its_workers_along(const struct pool_backend_info *row)
{
	for (int i = 0; i < ENDINGS * 2; i++) {
		shared_set(1, 0);
		shared_set(10, 0);
		shared_set(11, 0);
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0)
			be_a_program(row, (enum ending)(i % ENDINGS), i >= ENDINGS);
		CHECK_EQ(waitpid(child, NULL, 0), child);
		int64_t start = suite_now_ns();
		for (unsigned k = 10; k <= 11; k++)
			CHECK(shared_get(k) == 0 || suite_is_gone((pid_t)shared_get(k)));
		CHECK(suite_now_ns() - start < WAIT / 2);
		while (waitpid(-1, NULL, 0) > 0) /* this process is a subreaper */
			;
	}
}

static const int watched[] = { SIGHUP, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCHLD, SIGPIPE };

/* How many of the promises about signals are broken in this worker. */
static int wrong_signals(struct pool_call *call)
{
	struct sigaction now;
	sigset_t blocked;
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	sigaction(SIGINT, NULL, &now);
	int64_t wrong = now.sa_handler != SIG_IGN;
	for (size_t i = 0; i < COUNT(watched); i++) {
		sigaction(watched[i], NULL, &now);
		wrong += now.sa_handler != SIG_DFL || sigismember(&blocked, watched[i]);
	}
	*(int64_t *)pool_result(call) = wrong;
	return 0;
}
POOL_TASK(wrong_signals)

static volatile sig_atomic_t caught;

static void catch_signal(int number)
{
	(void)number;
	caught++;
}

static void install(int number, void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler }; /* no SA_RESTART: EINTR happens */
	CHECK_EQ(sigaction(number, &action, NULL), 0);
}

/* 83: workers start from default actions and an empty mask; the host keeps what it had */
static void signals_of_host_and_workers_are_apart(const struct pool_backend_info *row)
{
	sigset_t some, before, after;
	int64_t in[4] = { 0 }, wrong[4] = { -1, -1, -1, -1 };
	for (size_t i = 0; i < COUNT(watched); i++)
		install(watched[i], i % 2 ? SIG_IGN : catch_signal);
	install(SIGCHLD, SIG_DFL);
	memset(&before, 0, sizeof before); /* the kernel fills in less than a sigset_t */
	memset(&after, 0, sizeof after);
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigprocmask(SIG_BLOCK, &some, NULL);
	sigprocmask(SIG_SETMASK, NULL, &before);
	struct pool *pool = suite_open(row, 2);
	CHECK_EQ(pool_map(pool, POOL(wrong_signals), in, 8, 4, wrong, 8,
			  &(struct pool_policy){ .chunk = 1 }),
		 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(wrong[i], 0);
	suite_finish(pool);
	sigprocmask(SIG_SETMASK, NULL, &after);
	CHECK(memcmp(&before, &after, sizeof before) == 0);
	for (size_t i = 0; i < COUNT(watched); i++) {
		struct sigaction now;
		sigaction(watched[i], NULL, &now);
		CHECK(watched[i] == SIGCHLD || now.sa_handler == (i % 2 ? SIG_IGN : catch_signal));
	}
}

static void use_every_wait(struct pool *pool)
{
	struct errand errands[8];
	struct pool_iter *iter = NULL;
	int64_t out[8];
	for (int64_t i = 0; i < 8; i++)
		errands[i] = (struct errand){ .value = i, .nap_ns = 5 * MS };
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, 8, out, 8, NULL), 0);
	CHECK_EQ(out[7], 49);
	struct pool_async *async = suite_start(pool, errands[3], NULL);
	CHECK_EQ(pool_async_get(async, out, POOL_FOREVER), 0);
	CHECK_EQ(out[0], 9);
	pool_async_release(async);
	CHECK_EQ(pool_imap(pool, suite_errand, pool_array(errands, sizeof *errands, 8), 8, NULL,
			   &iter),
		 0);
	for (int64_t i = 0; i < 8; i++) {
		CHECK_EQ(pool_iter_next(iter, out, POOL_FOREVER), 0);
		CHECK_EQ(out[0], i * i);
	}
	pool_iter_release(iter);
	pool_async_release(suite_start(pool, errands[0], NULL));
}

/* 83: EINTR is invisible */
static void signals_every_millisecond_are_not_seen(const struct pool_backend_info *row)
{
	struct itimerval every = { .it_interval.tv_usec = 1000, .it_value.tv_usec = 1000 };
	install(SIGALRM, catch_signal);
	setitimer(ITIMER_REAL, &every, NULL);
	for (int i = 0; i < 3; i++) {
		struct pool *pool = suite_open(row, 2);
		use_every_wait(pool);
		suite_finish(pool);
	}
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	CHECK(caught > 0);
}

/* Every pipe of this process gets a page: nothing large is written or read at once. */
static void shrink_pipes(void)
{
	for (int fd = 3; fd < 64; fd++)
		fcntl(fd, F_SETPIPE_SZ, 4096);
}

static void flip_four(struct pool *pool, uint64_t bytes)
{
	struct pool_bytes in[4], out[4];
	for (unsigned i = 0; i < 4; i++)
		suite_fill(in + i, bytes + i, i);
	CHECK_EQ(pool_map(pool, suite_flip, in, POOL_VARIABLE, 4, out, POOL_VARIABLE,
			  &(struct pool_policy){ .chunk = 1 }),
		 0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK(suite_is_flipped(out[i], bytes + i, i));
		free(in[i].data);
	}
	pool_bytes_free(out, 4);
}

/* 83: nor do writes and reads that are cut short by them */
static void signals_amid_short_reads_and_writes_are_not_seen(const struct pool_backend_info *row)
{
	struct itimerval every = { .it_interval.tv_usec = 1000, .it_value.tv_usec = 1000 };
	struct pool *pool = suite_open(row, 2);
	shrink_pipes();
	install(SIGALRM, catch_signal);
	setitimer(ITIMER_REAL, &every, NULL);
	flip_four(pool, MIB);
	use_every_wait(pool);
	setitimer(ITIMER_REAL, &(struct itimerval){ 0 }, NULL);
	CHECK(caught > 0);
	suite_finish(pool);
}

static void *interrupt_group(void *nothing)
{
	for (int i = 0; i < 20; i++) {
		suite_sleep_ns(5 * MS);
		kill(0, SIGINT); /* as the terminal does for Ctrl-C */
	}
	return nothing;
}

/* 83: Ctrl-C is the host's affair; workers ignore it */
static void interrupt_of_the_group_is_ignored_by_workers(const struct pool_backend_info *row)
{
	pthread_t thread;
	install(SIGINT, catch_signal);
	struct pool *pool = suite_open(row, 2);
	CHECK_EQ(pthread_create(&thread, NULL, interrupt_group, NULL), 0);
	use_every_wait(pool);
	use_every_wait(pool);
	pthread_join(thread, NULL);
	CHECK(caught > 0);
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.restarts, 0);
	suite_finish(pool);
}

/* 84 */
static void large_values_both_ways_on_all_workers(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	flip_four(pool, 16 * MIB);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(lost_worker_loses_its_item_only, FAULTS),
	CASE(lost_worker_s_chunk_mates_run_once, FAULTS),
	CASE(retries_run_a_lost_item_again, FAULTS),
	CASE(lost_worker_in_imap_is_one_failed_item, FAULTS),
	CASE(killed_idle_workers_harm_nothing, FAULTS | POOL_CAN_REUSE),
	CASE(killed_while_it_moves_a_large_value, FAULTS),
	CASE(program_that_ends_takes_its_workers_along, POOL_CAN_ISOLATE | POOL_CAN_OVERLAP),
	CASE(signals_of_host_and_workers_are_apart, POOL_CAN_ISOLATE),
	CASE(signals_every_millisecond_are_not_seen, 0),
	CASE(signals_amid_short_reads_and_writes_are_not_seen, 0),
	CASE(interrupt_of_the_group_is_ignored_by_workers, 0),
	CASE(large_values_both_ways_on_all_workers, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
