/*
 * lazy.c - memory of eager and lazy input: `poolbench cell` with baselines more for each row of the pool.
 *
 *	lazy-BACKEND     map, imap or imap_unordered over input from a generator; map has to make an array of it first
 *	lazy100-BACKEND  imap over a hundred times `tasks` items, the input again and again
 *
 *	lazy cell --record    a row in, a row out: what a run calls
 *	lazy cell --backend lazy-fork-shm --variant imap --workload noop --tasks 1000000 --rounds 1 --batch-ms 0
 *	lazy --version
 *
 * DESIGN. max_rss_kib of the row is the highest memory of parent and workers (proportional set size) above that of the
 * pool when it was opened. It is looked at after each time through the input, while the arrays of map are still there (so
 * is what the pool copied of them: its arena keeps blocks below 64 MiB), and in the discarded call half way, too. What
 * the generator draws from and the results are checked against lies in the parent before the pool is opened, so it
 * is not counted. Results lie in shared memory: a private buffer that the parent writes to would stay behind as an old
 * copy in each forked worker. It is a program of its own because 10^8 items as an array would be what is measured. The
 * discarded call goes through the input once.
 */
#include "harness/bench.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "harness/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAZY_LAPS 100 /* of lazy100 */

struct lazy {
	int64_t idle_kib;  /* of the pool as it was opened */
	int64_t begin_ns;  /* of the running call */
	uint64_t laps, at; /* times through the input; items the generator has given */
	bool warm;	   /* the discarded call is over */
};

/* KiB, or an error: what cannot be read must not look like nothing. */
static int64_t tree_kib(struct bench *b)
{
	int64_t kib = memory_process_kib(getpid());
	pid_t pid;

	for (int i = 0; kib >= 0 && (pid = pool_worker_pid(b->pool, i)) >= 0; i++) {
		if (pid == 0 || pid == getpid())
			continue;
		int64_t own = memory_process_kib(pid);
		kib = own < 0 ? own : kib + own;
	}
	return kib;
}

static int look(struct bench *b)
{
	int64_t kib = tree_kib(b), more;

	if (kib < 0)
		return (int)kib;
	more = kib - ((struct lazy *)b->state)->idle_kib;
	if (more > b->memory_kib)
		b->memory_kib = more;
	return 0;
}

static void note_first(struct bench *b)
{
	b->first_ns += clock_now_ns() - ((struct lazy *)b->state)->begin_ns;
}

static uint64_t laps_now(const struct lazy *l)
{
	return l->warm ? l->laps : 1;
}

static int next_item(void *state, struct pool_bytes item[])
{
	struct bench *b = state;
	struct lazy *l = b->state;
	uint64_t size = b->work.column[0].size;

	if (l->at == laps_now(l) * b->work.tasks)
		return 0;
	item[0].data = (char *)b->work.column[0].data + l->at++ % b->work.tasks * size;
	return 1;
}

static void begin_call(struct bench *b)
{
	struct lazy *l = b->state;

	l->at = 0;
	l->begin_ns = clock_now_ns();
	if (b->memory_kib == 0)
		b->memory_kib = 1; /* 0 would mean that it was not measured */
}

/*
 * == Eager ==
 */

static int map_arrays(struct bench *b, char *in, unsigned char *out, unsigned char *results)
{
	uint64_t size = b->work.column[0].size, n = 0;
	struct pool_bytes item;
	int rc;

	for (; next_item(b, &item) == 1; n++)
		memcpy(in + n * size, item.data, size);
	rc = pool_map(b->pool, b->work.load->task, in, size, n, out, b->work.result_size,
		      &b->policy);
	if (rc < 0)
		return rc;
	note_first(b);
	memcpy(results, out, n * b->work.result_size);
	return look(b);
}

static int call_map(struct bench *b, void *results)
{
	struct lazy *l = b->state;
	char *in = malloc(b->work.tasks * b->work.column[0].size);
	unsigned char *out = malloc(b->work.tasks * b->work.result_size);
	int rc = -ENOMEM;

	begin_call(b);
	if (in != NULL && out != NULL)
		rc = map_arrays(b, in, out, results);
	free(in);
	free(out);
	l->warm = true;
	return rc;
}

/*
 * == Lazy ==
 */

/* A result to its place; the caller of the pool would use it up here. Unless there is one lap only, which begins with
 * poisoned results, the n-th result must be the n-th item's: a place still holds what the lap before left there. */
static int take(struct bench *b, struct pool_iter *iter, uint64_t n, unsigned char *results)
{
	uint64_t size = b->work.result_size, tasks = b->work.tasks, index;
	int rc = pool_iter_next(iter, b->item, POOL_FOREVER);

	if (rc != 0)
		return rc < 0 ? rc : -EIO;
	index = pool_iter_index(iter);
	if (index != n && (((struct lazy *)b->state)->laps > 1 || index >= tasks))
		return -EBADMSG;
	memcpy(results + index % tasks * size, b->item, size);
	return 0;
}

/* One time through the input; every result is checked. */
static int drain_lap(struct bench *b, struct pool_iter *iter, uint64_t lap, unsigned char *results)
{
	struct lazy *l = b->state;
	uint64_t tasks = b->work.tasks, bad;

	for (uint64_t i = 0; i < tasks; i++) {
		int rc = take(b, iter, lap * tasks + i, results);
		if (rc == 0 && !l->warm && i == tasks / 2)
			rc = look(b);
		if (rc != 0)
			return rc;
		if (i == 0 && lap == 0)
			note_first(b);
	}
	return work_verify(&b->work, results, &bad) ? look(b) : -EBADMSG;
}

typedef int imap_fn(struct pool *pool, const struct pool_task *task, struct pool_source source,
		    uint64_t result_size, const struct pool_policy *policy,
		    struct pool_iter **iter);

static int iterate(struct bench *b, imap_fn *imap, void *results)
{
	struct lazy *l = b->state;
	struct pool_source source = pool_generator(next_item, b, b->work.column[0].size);
	struct pool_iter *iter;
	int rc;

	begin_call(b);
	rc = imap(b->pool, b->work.load->task, source, b->work.result_size, &b->policy, &iter);
	if (rc < 0)
		return rc;
	for (uint64_t lap = 0; rc == 0 && lap < laps_now(l); lap++)
		rc = drain_lap(b, iter, lap, results);
	pool_iter_release(iter);
	l->warm = true;
	return rc;
}

static int call_imap(struct bench *b, void *results)
{
	return iterate(b, pool_imap, results);
}

static int call_imap_unordered(struct bench *b, void *results)
{
	return iterate(b, pool_imap_unordered, results);
}

/*
 * == Baselines ==
 */

static int start(struct bench *b, uint64_t laps)
{
	struct lazy *l = b->state = calloc(1, sizeof *l);
	const char *variant = b->cell->variant;
	int rc;

	if (l == NULL)
		return -ENOMEM;
	b->options.backend = strchr(b->cell->backend, '-') + 1;
	rc = pool_open(&b->pool, &b->options);
	if (rc < 0)
		return rc;
	l->idle_kib = tree_kib(b);
	if (l->idle_kib < 0) {
		snprintf(b->why, sizeof b->why, "cannot read /proc/PID/smaps_rollup (Linux 4.14)");
		return (int)l->idle_kib;
	}
	l->laps = laps;
	b->per_call *= (double)laps;
	b->call = strcmp(variant, "map") == 0	 ? call_map
		  : strcmp(variant, "imap") == 0 ? call_imap
						 : call_imap_unordered;
	return 0;
}

static int start_lazy(struct bench *b)
{
	return start(b, 1);
}

static int start_lazy100(struct bench *b)
{
	return start(b, LAZY_LAPS);
}

static void stop_lazy(struct bench *b)
{
	free(b->state);
}

#define LAZY_MAX 16

static void add_lazy(const struct baseline *like, struct baseline *lazy, char (*name)[NAME_SIZE])
{
	const struct pool_backend_info *row;

	for (unsigned i = 0; i < LAZY_MAX && (row = pool_backend_info(i)) != NULL; i++) {
		lazy[i] = *like;
		snprintf(name[i], sizeof name[i], "%s-%s", like->name, row->name);
		lazy[i].name = name[i];
		baseline_add(&lazy[i]);
	}
}

int main(int argc, char **argv)
{
	static const struct baseline kinds[] = {
		{ .name = "lazy",
		  .start = start_lazy,
		  .stop = stop_lazy,
		  .variants = "map imap imap_unordered",
		  .shared = true },
		{ .name = "lazy100",
		  .start = start_lazy100,
		  .stop = stop_lazy,
		  .variants = "imap",
		  .shared = true },
	};
	static struct baseline lazy[2][LAZY_MAX];
	static char names[2][LAZY_MAX][NAME_SIZE];

	pool_main(&argc, &argv);
	for (size_t i = 0; i < 2; i++)
		add_lazy(&kinds[i], lazy[i], names[i]);
	return baseline_main(argc, argv, "poolbench " POOLBENCH_VERSION);
}
