/*
 * limits_start.c - starting `workers` processes or threads that end at once, and waiting for them; time per process.
 *
 *	raw-fork     fork and _exit
 *	raw-keeper   the same by a thread made for it, which then ends: a pool's keeper thread starts its workers
 *	raw-vfork    vfork and _exit: no memory is copied, the parent stands still meanwhile
 *	raw-spawn    posix_spawn of true, a small program: what exec costs, too
 *	raw-thread   pthread_create and join
 *
 * All are started before the first is waited for, except that vfork's end before the next begins.
 */
#include "harness/bench.h"
#include "scripts/peers/limits.h"

#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

int start_reap(int count)
{
	int status, rc = 0;

	for (int i = 0; i < count; i++)
		if (wait(&status) < 0 || status != 0)
			rc = -ECHILD;
	return rc;
}

/* Starts one; 0 or -errno. */
typedef int start_fn(void);

static int fork_one(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -errno : 0;
}

static int vfork_one(void)
{
	pid_t pid =
		vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork): what is measured */

	if (pid == 0)
		_exit(0);
	return pid < 0 ? -errno : 0;
}

static int spawn_one(void)
{
	char *argv[] = { "true", NULL };
	pid_t pid;

	return -posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
}

static int start_all(struct bench *b, start_fn *one)
{
	int started = 0, rc = 0;

	for (; started < b->cell->workers && rc == 0; started += rc == 0)
		rc = one();
	return start_reap(started) < 0 ? -ECHILD : rc;
}

static int call_fork(struct bench *b, void *results)
{
	(void)results;
	return start_all(b, fork_one);
}

static void *fork_in_thread(void *bench)
{
	return start_all(bench, fork_one) < 0 ? bench : NULL;
}

static int call_keeper(struct bench *b, void *results)
{
	pthread_t keeper;
	void *failed = NULL;
	int rc = -pthread_create(&keeper, NULL, fork_in_thread, b);

	(void)results;
	if (rc == 0)
		pthread_join(keeper, &failed);
	return failed ? -ECHILD : rc;
}

static int call_vfork(struct bench *b, void *results)
{
	(void)results;
	return start_all(b, vfork_one);
}

static int call_spawn(struct bench *b, void *results)
{
	(void)results;
	return start_all(b, spawn_one);
}

static void *end_at_once(void *nothing)
{
	return nothing;
}

static int call_thread(struct bench *b, void *results)
{
	pthread_t thread[POOL_WORKERS_MAX];
	int started = 0, rc = 0;

	(void)results;
	for (; started < b->cell->workers && rc == 0; started += rc == 0)
		rc = -pthread_create(&thread[started], NULL, end_at_once, NULL);
	while (started > 0)
		pthread_join(thread[--started], NULL);
	return rc;
}

static int start(struct bench *b, int (*call)(struct bench *, void *))
{
	b->call = call;
	b->per_call = b->cell->workers;
	b->has_results = false;
	return 0;
}

static int start_fork(struct bench *b)
{
	return start(b, call_fork);
}

static int start_keeper(struct bench *b)
{
	return start(b, call_keeper);
}

static int start_vfork(struct bench *b)
{
	return start(b, call_vfork);
}

static int start_spawn(struct bench *b)
{
	return start(b, call_spawn);
}

static int start_thread(struct bench *b)
{
	return start(b, call_thread);
}

void starts_add(void)
{
	static struct baseline starts[] = {
		{ .name = "raw-fork", .start = start_fork },
		{ .name = "raw-keeper", .start = start_keeper },
		{ .name = "raw-vfork", .start = start_vfork },
		{ .name = "raw-spawn", .start = start_spawn },
		{ .name = "raw-thread", .start = start_thread },
	};

	for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
		baseline_add(&starts[i]);
}
