/*
 * test_starts.c - how workers come up, in hosts that are not as one expects: of which descriptors, program, children or
 * credentials are missing or others than they were.
 */
#include "pools/tests/suite.h"

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

static const struct suite_case cases[] = {
	CASE(worker_of_another_user_dies_with_its_host, POOL_CAN_ISOLATE),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
