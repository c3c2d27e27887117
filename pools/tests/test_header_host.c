/*
 * test_header_host.c - the manual taken at its word: the host program, the workers, wrong arguments.
 *
 * Cases written from pool.h alone; see test_header.c.
 */
#include "suite.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void check_works(struct pool *pool)
{
	int64_t x[64], y[64];
	for (int i = 0; i < 64; i++)
		x[i] = i;
	CHECK_EQ(pool_map(pool, suite_square, x, 8, 64, y, 8, NULL), 0);
	for (int i = 0; i < 64; i++)
		CHECK_EQ(y[i], i * i);
}

/* The first call that does not answer -EPERM, counted from 1; 0 if all do. */
static int use_elsewhere(struct pool *pool, struct pool_async *async, struct pool_iter *iter)
{
	int64_t x = 3, y;
	struct pool_column arg = { &x, sizeof x };
	struct pool_async *other;
	struct pool_iter *another;
	struct pool_stats stats;
	struct pool_worker_stats worker;
	const int answers[] = {
		pool_apply(pool, suite_square, &arg, 1, &y, 8, NULL),
		pool_map(pool, suite_square, &x, 8, 1, &y, 8, NULL),
		pool_starmap(pool, suite_square, &arg, 1, 1, &y, 8, NULL),
		pool_apply_async(pool, suite_square, &arg, 1, 8, NULL, &other),
		pool_map_async(pool, suite_square, &x, 8, 1, 8, NULL, &other),
		pool_imap(pool, suite_square, pool_array(&x, 8, 1), 8, NULL, &another),
		pool_async_wait(async, POOL_FOREVER),
		pool_async_get(async, &y, POOL_FOREVER),
		pool_async_cancel(async),
		pool_async_status(async, 0),
		pool_async_successful(async),
		pool_iter_next(iter, &y, POOL_FOREVER),
		pool_stats(pool, &stats),
		pool_worker_stats(pool, 0, &worker),
		(int)pool_worker_pid(pool, 0),
		pool_close(pool),
		pool_join(pool, POOL_FOREVER),
		pool_terminate(pool),
	};
	for (size_t i = 0; i < COUNT(answers); i++)
		if (answers[i] != -EPERM)
			return (int)i + 1;
	errno = 0;
	if (pool_alloc(pool, 64) || errno != EPERM)
		return 100;
	pool_async_release(async);
	pool_iter_release(iter);
	pool_destroy(pool);
	return 0;
}

static void forked_host_answers_eperm_and_the_pool_goes_on(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t x[200];
	for (int i = 0; i < 200; i++)
		x[i] = i;
	/* Again and again while the pool's own threads are busy: whatever they hold at that moment
	 * is held in the child for ever. */
	for (int round = 0; round < suite_some(row, 20); round++) {
		struct pool_async *async;
		struct pool_iter *iter;
		CHECK_EQ(pool_map_async(pool, suite_square, x, 8, 200, 8,
					&(struct pool_policy){ .chunk = 1 }, &async),
			 0);
		CHECK_EQ(pool_imap(pool, suite_square, pool_array(x, 8, 200), 8, NULL, &iter), 0);
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0)
			_exit(use_elsewhere(pool, async, iter));
		int64_t y[200];
		CHECK_EQ(pool_async_get(async, y, WAIT), 0);
		for (int i = 0; i < 200; i++) {
			CHECK_EQ(y[i], i * i);
			CHECK_EQ(pool_iter_next(iter, &y[0], WAIT), 0);
			CHECK_EQ(y[0], i * i);
		}
		int status;
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(status, 0);
		pool_async_release(async);
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

static void reap_all(int signal)
{
	(void)signal;
	int saved = errno;
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	errno = saved;
}

static void host_that_reaps_everything_does_not_break_the_pool(const struct pool_backend_info *row)
{
	struct sigaction action = { .sa_handler = reap_all, .sa_flags = SA_RESTART };
	CHECK_EQ(sigaction(SIGCHLD, &action, NULL), 0);
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 10; i++) {
		reap_all(0);
		if (row->can & POOL_CAN_SURVIVE) {
			struct errand errand = { .deed = DEED_SEGV };
			struct pool_failure failure = { 0 };
			struct pool_column arg = { &errand, sizeof errand };
			CHECK_EQ(pool_apply(pool, suite_errand, &arg, 1, &(int64_t){ 0 }, 8,
					    &(struct pool_policy){ .failure = &failure }),
				 POOL_WORKER_LOST);
			CHECK(failure.signal == SIGSEGV || failure.signal == 0);
			CHECK_EQ(failure.code, -1);
			pool_failure_clear(&failure);
		}
		check_works(pool);
	}
	suite_finish(pool);
	struct sigaction after;
	CHECK_EQ(sigaction(SIGCHLD, NULL, &after), 0);
	CHECK(after.sa_handler == reap_all);
}

static void host_that_ignores_its_children_has_a_pool_all_the_same(
	const struct pool_backend_info *row)
{
	CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	struct pool *pool = suite_open(row, 2);
	for (int i = 0; i < 5; i++) {
		if (row->can & POOL_CAN_SURVIVE)
			CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_KILL }),
				 POOL_WORKER_LOST);
		check_works(pool);
	}
	suite_finish(pool);
	CHECK(signal(SIGCHLD, SIG_DFL) == SIG_IGN);
}

static void own_children_of_the_host_are_left_to_it(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	pid_t children[5];
	for (int i = 0; i < 5; i++) {
		children[i] = fork();
		CHECK(children[i] >= 0);
		if (children[i] == 0)
			_exit(40 + i);
		if (row->can & POOL_CAN_SURVIVE)
			CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_KILL }),
				 POOL_WORKER_LOST);
		check_works(pool);
	}
	suite_finish(pool);
	for (int i = 0; i < 5; i++) {
		int status;
		CHECK_EQ(waitpid(children[i], &status, 0), children[i]);
		CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 40 + i);
	}
}

static void on_signal(int signal)
{
	(void)signal;
}

/* -> int64_t: how many signals are not as promised, 1000 a blocked one. */
static int wrong_signals(struct pool_call *call)
{
	int64_t wrong = 0;
	sigset_t mask;
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int s = 1; s < SIGRTMIN; s++) {
		struct sigaction action;
		if (s == SIGKILL || s == SIGSTOP || sigaction(s, NULL, &action) < 0)
			continue;
		wrong += action.sa_handler != (s == SIGINT ? SIG_IGN : SIG_DFL);
		wrong += sigismember(&mask, s) ? 1000 : 0;
	}
	*(int64_t *)pool_result(call) = wrong;
	return 0;
}
POOL_TASK(wrong_signals)

static void check_worker_signals(struct pool *pool)
{
	int64_t x[8] = { 0 }, wrong[8];
	CHECK_EQ(pool_map(pool, POOL(wrong_signals), x, 8, 8, wrong, 8, NULL), 0);
	for (int i = 0; i < 8; i++)
		CHECK_EQ(wrong[i], 0);
}

static void workers_have_default_signals_whatever_the_host_has(const struct pool_backend_info *row)
{
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR1, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGSEGV, on_signal);
	struct pool *pool = suite_open(row, 1);
	check_worker_signals(pool);
	/* Its replacement is not started by this thread. */
	CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_KILL }), POOL_WORKER_LOST);
	check_worker_signals(pool);
	suite_finish(pool);
}

struct manners {
	struct sigaction actions[65];
	sigset_t mask;
};

static void note_manners(struct manners *m)
{
	memset(m, 0, sizeof *m);
	for (int s = 1; s < 65; s++)
		(void)sigaction(s, NULL, &m->actions[s]);
	pthread_sigmask(SIG_SETMASK, NULL, &m->mask);
}

static void check_manners(const struct manners *before)
{
	struct manners now;
	note_manners(&now);
	for (int s = 1; s < 65; s++) {
		CHECK(now.actions[s].sa_handler == before->actions[s].sa_handler);
		CHECK_EQ(sigismember(&now.mask, s), sigismember(&before->mask, s));
	}
}

static void host_keeps_its_signal_mask_and_actions(const struct pool_backend_info *row)
{
	signal(SIGUSR2, on_signal);
	sigset_t some;
	sigemptyset(&some);
	sigaddset(&some, SIGUSR1);
	sigaddset(&some, SIGWINCH);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &some, NULL), 0);
	struct manners before;
	note_manners(&before);
	struct pool *pool = suite_open(row, 2);
	check_manners(&before);
	check_works(pool);
	if (row->can & POOL_CAN_SURVIVE)
		CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_ABORT }), POOL_WORKER_LOST);
	check_manners(&before);
	CHECK_EQ(pool_terminate(pool), 0);
	check_manners(&before);
	pool_destroy(pool);
	check_manners(&before);
}

static const struct suite_case cases[] = {
	CASE(forked_host_answers_eperm_and_the_pool_goes_on, 0),
	CASE(host_that_reaps_everything_does_not_break_the_pool, 0),
	CASE(host_that_ignores_its_children_has_a_pool_all_the_same, 0),
	CASE(own_children_of_the_host_are_left_to_it, 0),
	CASE(workers_have_default_signals_whatever_the_host_has,
	     POOL_CAN_ISOLATE | POOL_CAN_SURVIVE),
	CASE(host_keeps_its_signal_mask_and_actions, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
