/*
 * test_starts.c - how workers come up, in hosts that are not as one expects: of which descriptors, program, children or
 * credentials are missing or others than they were.
 */
#include "pools/tests/suite.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

/* == Credentials == */

enum { WORKER = 2 }; /* shared word */

static int become_nobody(struct pool_call *call)
{
	(void)call;
	return setgid(65534) || setuid(65534);
}
POOL_TASK(become_nobody)

static int wait_for_ever(struct pool_call *call)
{
	(void)call;
	return pause();
}
POOL_TASK(wait_for_ever)

static _Noreturn void be_host_until_killed(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open_with(row, (struct pool_options){
							 .workers = 1,
							 .initializer = POOL(become_nobody),
						 });
	struct pool_async *async;
	int64_t x = 3, y = 0;
	struct pool_column arg = { &x, sizeof x };
	CHECK_EQ(pool_apply(pool, suite_square, &arg, 1, &y, 8, NULL), 0);
	CHECK_EQ(pool_apply_async(pool, POOL(wait_for_ever), &arg, 1, 0, NULL, &async), 0);
	pid_t pid = 0;
	while (pid <= 0)
		pid = pool_worker_pid(pool, 0);
	suite_sleep_ns(50 * MS); /* it runs: a worker that reads a pipe would see its end */
	shared_set(WORKER, pid);
	for (;;)
		pause();
}

/* With its credentials a process loses the wish to die with its parent. */
static void worker_of_another_user_dies_with_its_host(const struct pool_backend_info *row)
{
	if (geteuid() != 0) {
		fprintf(stderr, "[%s] not tried: only root can become somebody else\n", row->name);
		return;
	}
	pid_t host = fork();
	CHECK(host >= 0);
	if (host == 0)
		be_host_until_killed(row);
	CHECK(shared_reaches(WORKER, 1));
	pid_t worker = (pid_t)shared_get(WORKER);
	CHECK_EQ(kill(host, SIGKILL), 0);
	CHECK_EQ(waitpid(host, NULL, 0), host);
	CHECK(suite_is_gone(worker));
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* == Descriptors == */

static int64_t standard_descriptors(void)
{
	int64_t open = 0;
	for (int fd = 0; fd < 3; fd++)
		open += fcntl(fd, F_GETFD) >= 0;
	return open;
}

static int standard_descriptors_of_worker(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = standard_descriptors();
	return 0;
}
POOL_TASK(standard_descriptors_of_worker)

/* Nobody could read what was wrong: its exit code is the line. */
static int use_without_standard_descriptors(const struct pool_backend_info *row)
{
	int64_t x = 0, open = -1;
	struct pool_column arg = { &x, sizeof x };
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	struct pool *pool = suite_open(row, 2);
	if (standard_descriptors() != 0)
		return 2;
	if (pool_apply(pool, POOL(standard_descriptors_of_worker), &arg, 1, &open, 8, NULL))
		return 3;
	if (open != 0)
		return 4;
	if (row->can & POOL_CAN_SURVIVE &&
	    suite_do(pool, (struct errand){ .deed = DEED_KILL }) != POOL_WORKER_LOST)
		return 5;
	if (suite_do(pool, (struct errand){ .value = 1 }) || standard_descriptors() != 0)
		return 6;
	suite_finish(pool);
	return 0;
}

/* Who writes to standard output there would write into the pool. */
static void pool_takes_no_standard_descriptor(const struct pool_backend_info *row)
{
	int status;
	pid_t host = fork();
	CHECK(host >= 0);
	if (host == 0)
		_exit(use_without_standard_descriptors(row));
	CHECK_EQ(waitpid(host, &status, 0), host);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static const struct suite_case cases[] = {
	CASE(worker_of_another_user_dies_with_its_host, POOL_CAN_ISOLATE),
	CASE(pool_takes_no_standard_descriptor, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
