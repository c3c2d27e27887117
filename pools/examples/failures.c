/*
 * failures.c - items that fail: how a map tells them apart, and how an iteration goes on behind them.
 *
 *	failures [BACKEND]
 *
 * BACKEND must be one whose workers are processes (default: fork-shm). Of six items one fails, one crashes and one takes too
 * long. The map writes a status for each item and says what is known of the first failure. Then a generator gives the
 * same items to an iteration, and each failure is told in its place.
 */
#include "pools/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ITEMS = 6, NEGATIVE = 1, CRASHING = 3, ENDLESS = 4 };

static int root(struct pool_call *call)
{
	const int64_t x = *(const int64_t *)pool_arg(call, 0);
	int64_t y = 0;
	if (x < 0)
		return pool_fail(call, 1, "%lld has no root", (long long)x);
	if (pool_index(call) == CRASHING)
		abort();
	while (pool_index(call) == ENDLESS)
		sleep(1);
	while ((y + 1) * (y + 1) <= x)
		y++;
	*(int64_t *)pool_result(call) = y;
	return 0;
}
POOL_TASK(root)

static int64_t item(int i)
{
	return i == NEGATIVE ? -1 : (int64_t)i * i;
}

#define SECOND INT64_C(1000000000) /* in ns */

static const struct pool_policy policy = { .chunk = 1, .task_timeout_ns = SECOND };

static void map(struct pool *pool)
{
	int64_t x[ITEMS], y[ITEMS];
	int32_t status[ITEMS];
	struct pool_failure failure = { 0 };
	struct pool_policy with_statuses = policy;
	with_statuses.statuses = status;
	with_statuses.failure = &failure;
	for (int i = 0; i < ITEMS; i++)
		x[i] = item(i);
	const int rc =
		pool_map(pool, POOL(root), x, sizeof *x, ITEMS, y, sizeof *y, &with_statuses);
	printf("map: %s\n", pool_strerror(rc));
	for (int i = 0; i < ITEMS; i++)
		if (status[i] == 0)
			printf("%d: %lld\n", i, (long long)y[i]);
		else
			printf("%d: %s\n", i, pool_strerror(status[i]));
	if (failure.message)
		printf("first failure: item %d, %s\n", (int)failure.index, failure.message);
	pool_failure_clear(&failure);
}

/* A generator. What it gives stays where it is until it is called again. */
static int next_item(void *state, struct pool_bytes input[])
{
	static int64_t x;
	int *given = state;
	if (*given == ITEMS)
		return 0;
	x = item((*given)++);
	input[0].data = &x;
	return 1;
}

static int iterate(struct pool *pool)
{
	int given = 0;
	struct pool_iter *iter;
	int64_t y;
	int rc = pool_imap(pool, POOL(root), pool_generator(next_item, &given, sizeof(int64_t)),
			   sizeof y, &policy, &iter);
	if (rc < 0)
		return rc;
	printf("imap\n");
	for (;;) {
		rc = pool_iter_next(iter, &y, POOL_FOREVER);
		const struct pool_failure *failure = pool_iter_failure(iter);
		if (rc == 0)
			printf("%d: %lld\n", (int)pool_iter_index(iter), (long long)y);
		else if (failure &&
			 failure->index != UINT64_MAX) /* of an item: there may be more */
			printf("%d: %s\n", (int)failure->index, pool_strerror(rc));
		else
			break; /* POOL_END, or the input or the pool failed */
	}
	pool_iter_release(iter);
	return rc == POOL_END ? 0 : rc;
}

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	struct pool *pool;
	struct pool_options options = { .backend = argc > 1 ? argv[1] : "fork-shm", .workers = 2 };
	int rc = pool_open(&pool, &options);
	if (rc == 0) {
		map(pool);
		rc = iterate(pool);
		pool_close(pool);
		pool_join(pool, POOL_FOREVER);
		pool_destroy(pool);
	}
	if (rc < 0)
		fprintf(stderr, "%s\n", pool_strerror(rc));
	return rc < 0;
}
