/*
 * lazy.c - memory of a lazy input: `poolbench cell` with a baseline more for each row of the pool.
 *
 *	lazy-BACKEND  imap over LAZY_LAPS times the input, from a generator
 *
 *	lazy cell --record    a row in, a row out: what a run calls
 *	lazy cell --backend lazy-fork-shm --variant map --workload noop --tasks 1000000 --rounds 1 --batch-ms 0
 *	lazy --version
 *
 * DESIGN. max_rss_kib of the row is the highest memory of parent and workers (proportional set size) above that of the
 * pool when it was opened, looked at after each time through the input. The discarded call goes through it once. It is a
 * program of its own because 10^8 items as an array would be what is measured. Results lie in shared memory: a private
 * buffer that the parent writes to would stay behind as an old copy in each forked worker.
 */
#include "harness/bench.h"
#include "harness/commands.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAZY_LAPS 100

struct lazy {
	int64_t idle_kib; /* of the pool as it was opened */
	uint64_t at;	  /* items the generator has given */
	bool warm;	  /* the discarded call is over */
};

/* Proportional set size of a process, KiB; 0: not known. */
static int64_t process_kib(pid_t pid)
{
	char path[64], line[128];
	int64_t kib = 0;
	FILE *file;

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof line, file))
		if (sscanf(line, "Pss: %" SCNd64, &kib) == 1)
			break;
	if (file != NULL)
		fclose(file);
	return kib;
}

static int64_t tree_kib(struct bench *b)
{
	int64_t kib = process_kib(getpid());
	pid_t pid;

	for (int i = 0; (pid = pool_worker_pid(b->pool, i)) >= 0; i++)
		if (pid > 0 && pid != getpid())
			kib += process_kib(pid);
	return kib;
}

static int next_item(void *state, struct pool_bytes item[])
{
	struct bench *b = state;
	struct lazy *l = b->state;
	uint64_t laps = l->warm ? LAZY_LAPS : 1, size = b->work.column[0].size;

	if (l->at == laps * b->work.tasks)
		return 0;
	item[0].data = (char *)b->work.column[0].data + l->at++ % b->work.tasks * size;
	return 1;
}

/* One time through the input; every result is checked. */
static int drain_lap(struct bench *b, struct pool_iter *iter, unsigned char *results)
{
	uint64_t size = b->work.result_size, above;

	for (uint64_t i = 0; i < b->work.tasks; i++) {
		int rc = pool_iter_next(iter, results + i * size, POOL_FOREVER);
		if (rc != 0)
			return rc < 0 ? rc : -EIO;
	}
	if (!work_verify(&b->work, results, &above))
		return -EBADMSG;
	int64_t kib = tree_kib(b) - ((struct lazy *)b->state)->idle_kib;
	if (kib > b->memory_kib)
		b->memory_kib = kib;
	return 0;
}

static int call_lazy(struct bench *b, void *results)
{
	struct lazy *l = b->state;
	struct pool_source source = pool_generator(next_item, b, b->work.column[0].size);
	struct pool_iter *iter;
	int rc;

	l->at = 0;
	b->memory_kib = 1; /* 0 would mean that it was not measured */
	rc = pool_imap(b->pool, b->work.load->task, source, b->work.result_size, &b->policy, &iter);
	if (rc < 0)
		return rc;
	for (int lap = 0; rc == 0 && lap < (l->warm ? LAZY_LAPS : 1); lap++)
		rc = drain_lap(b, iter, results);
	pool_iter_release(iter);
	l->warm = true;
	return rc;
}

static int start_lazy(struct bench *b)
{
	struct lazy *l = b->state = calloc(1, sizeof *l);
	int rc;

	if (l == NULL)
		return -ENOMEM;
	b->options.backend = b->cell->backend + strlen("lazy-");
	rc = pool_open(&b->pool, &b->options);
	if (rc < 0)
		return rc;
	l->idle_kib = tree_kib(b);
	b->per_call *= LAZY_LAPS;
	b->call = call_lazy;
	return 0;
}

static void stop_lazy(struct bench *b)
{
	free(b->state);
}

#define LAZY_MAX 16

static void add_lazy(void)
{
	static struct baseline lazy[LAZY_MAX];
	static char names[LAZY_MAX][NAME_SIZE];
	const struct pool_backend_info *row;

	for (unsigned i = 0; i < LAZY_MAX && (row = pool_backend_info(i)) != NULL; i++) {
		snprintf(names[i], sizeof names[i], "lazy-%s", row->name);
		lazy[i] = (struct baseline){
			.name = names[i], .start = start_lazy, .stop = stop_lazy, .shared = true
		};
		baseline_add(&lazy[i]);
	}
}

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	add_lazy();
	return baseline_main(argc, argv, "poolbench " POOLBENCH_VERSION);
}
