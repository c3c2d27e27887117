/*
 * killed_map.c - a map whose workers are killed: 2,000 tasks of half a millisecond at chunk 1, and every 20 ms SIGKILL
 * to a random worker. The program that `killed` runs beside CPython's.
 *
 *	killed_map --rows              the rows whose workers can be killed
 *	killed_map BACKEND RETRIES     one line: time, items right, lost, wrong, kills, what was left behind
 *
 * Exit status 0 if each item is right or said to be lost and nothing is left behind.
 */
#include "pools/pool.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

enum { ITEMS = 2000, WORKERS = 2, TASK_NS = 500000, KILL_NS = 20000000 };

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int slow_square(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);
	for (int64_t end = now_ns() + TASK_NS; now_ns() < end;)
		;
	*(int64_t *)pool_result(call) = *x * *x;
	return 0;
}
POOL_TASK(slow_square)

struct killer {
	struct pool *pool;
	int stop, kills;
};

static void *kill_workers(void *what)
{
	struct killer *killer = what;
	unsigned seed = 1;
	while (!__atomic_load_n(&killer->stop, __ATOMIC_RELAXED)) {
		nanosleep(&(struct timespec){ .tv_nsec = KILL_NS }, NULL);
		pid_t pid = pool_worker_pid(killer->pool, rand_r(&seed) % WORKERS);
		killer->kills += pid > 0 && kill(pid, SIGKILL) == 0;
	}
	return NULL;
}

static int count_descriptors(void)
{
	DIR *directory = opendir("/proc/self/fd");
	int count = 0;
	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

struct outcome {
	int rc, right, lost, wrong;
	double seconds;
};

static void run_map(struct pool *pool, int retries, struct outcome *outcome)
{
	static int64_t in[ITEMS], out[ITEMS];
	static int32_t statuses[ITEMS];
	const struct pool_policy policy = { .chunk = 1, .retries = retries, .statuses = statuses };
	for (int i = 0; i < ITEMS; i++)
		in[i] = i;
	int64_t begun_ns = now_ns();
	outcome->rc =
		pool_map(pool, POOL(slow_square), in, sizeof *in, ITEMS, out, sizeof *out, &policy);
	outcome->seconds = (double)(now_ns() - begun_ns) / 1e9;
	for (int i = 0; i < ITEMS; i++) {
		outcome->right += statuses[i] == 0 && out[i] == in[i] * in[i];
		outcome->lost += statuses[i] == POOL_WORKER_LOST;
	}
	outcome->wrong = ITEMS - outcome->right - outcome->lost;
}

static int run(const char *backend, int retries)
{
	const int descriptors = count_descriptors();
	struct killer killer = { 0 };
	struct outcome outcome = { 0 };
	pthread_t thread;
	const struct pool_options options = { .backend = backend, .workers = WORKERS };
	int rc = pool_open(&killer.pool, &options);
	if (rc < 0) {
		fprintf(stderr, "killed_map: %s: %s\n", backend, pool_strerror(rc));
		return 2;
	}
	if (pthread_create(&thread, NULL, kill_workers, &killer) != 0) {
		fprintf(stderr, "killed_map: cannot start a thread\n");
		pool_destroy(killer.pool);
		return 1;
	}
	run_map(killer.pool, retries, &outcome);
	__atomic_store_n(&killer.stop, 1, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	pool_destroy(killer.pool);
	const bool children = waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD;
	const int leaked = count_descriptors() - descriptors;
	printf("%-10s  retries %2d  %5.2f s  %4d right  %3d lost  %d wrong  %3d kills  left: %d "
	       "descriptors, %s\n",
	       backend, retries, outcome.seconds, outcome.right, outcome.lost, outcome.wrong,
	       killer.kills, leaked, children ? "children" : "no child");
	return outcome.wrong || leaked || children || (retries && outcome.lost);
}

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	if (argc == 2 && strcmp(argv[1], "--rows") == 0) {
		const struct pool_backend_info *row;
		for (unsigned i = 0; (row = pool_backend_info(i)); i++)
			if (row->can & POOL_CAN_KILL)
				puts(row->name);
		return 0;
	}
	if (argc != 3 || strspn(argv[2], "0123456789") != strlen(argv[2]) || strlen(argv[2]) > 3) {
		fprintf(stderr, "usage: killed_map --rows | killed_map BACKEND RETRIES\n");
		return 2;
	}
	return run(argv[1], atoi(argv[2]));
}
