/*
 * tutorial.c - the seed program of every Python tutorial on pools, in C.
 *
 *	tutorial [BACKEND [NAP_MS]]
 *
 * Maps square over 1..4, applies cube to 3 asynchronously, starmaps add over three pairs, and runs a
 * square that takes NAP_MS (default: one second) lazily over 1..5 with two workers, once with
 * results in the order of the input and once as they come. Each line is a result: the call that
 * gave it, the value, and when it was there, in seconds from the start of that call.
 */
#include "pools/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int square(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);
	*(int64_t *)pool_result(call) = *x * *x;
	return 0;
}
POOL_TASK(square)

static int cube(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);
	*(int64_t *)pool_result(call) = *x * *x * *x;
	return 0;
}
POOL_TASK(cube)

static int add(struct pool_call *call)
{
	const int64_t *a = pool_arg(call, 0), *b = pool_arg(call, 1);
	*(int64_t *)pool_result(call) = *a + *b;
	return 0;
}
POOL_TASK(add)

static int slow_square(struct pool_call *call)
{
	const int64_t *nap_ms = pool_arg(call, 1);
	nanosleep(&(struct timespec){ *nap_ms / 1000, *nap_ms % 1000 * 1000000 }, NULL);
	return square(call);
}
POOL_TASK(slow_square)

static double now_s(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double start_s; /* of the call that is being shown */

static void show(const char *call, int64_t value)
{
	printf("%-14s %4lld %8.3f s\n", call, (long long)value, now_s() - start_s);
	fflush(stdout);
}

static void must(int rc)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "tutorial: %s\n", pool_strerror(rc));
	exit(1);
}

static void show_map(struct pool *pool)
{
	int64_t x[4] = { 1, 2, 3, 4 }, y[4];
	start_s = now_s();
	must(pool_map(pool, POOL(square), x, sizeof *x, 4, y, sizeof *y, NULL));
	for (int i = 0; i < 4; i++)
		show("map", y[i]);
}

static void show_apply_async(struct pool *pool)
{
	int64_t x = 3, y;
	struct pool_async *async;
	struct pool_column arg = { &x, sizeof x };
	start_s = now_s();
	must(pool_apply_async(pool, POOL(cube), &arg, 1, sizeof y, NULL, &async));
	must(pool_async_get(async, &y, POOL_FOREVER));
	pool_async_release(async);
	show("apply_async", y);
}

static void show_starmap(struct pool *pool)
{
	int64_t a[3] = { 1, 3, 5 }, b[3] = { 2, 4, 6 }, sums[3];
	struct pool_column pairs[2] = { { a, sizeof *a }, { b, sizeof *b } };
	start_s = now_s();
	must(pool_starmap(pool, POOL(add), pairs, 2, 3, sums, sizeof *sums, NULL));
	for (int i = 0; i < 3; i++)
		show("starmap", sums[i]);
}

static void show_lazy(struct pool *pool, bool ordered, int64_t nap_ms)
{
	int64_t x[5] = { 1, 2, 3, 4, 5 }, naps[5], y;
	for (int i = 0; i < 5; i++)
		naps[i] = nap_ms;
	struct pool_column columns[2] = { { x, sizeof *x }, { naps, sizeof *naps } };
	struct pool_policy one_by_one = { .chunk = 1 };
	struct pool_iter *iter = NULL;
	start_s = now_s();
	must((ordered ? pool_imap : pool_imap_unordered)(pool, POOL(slow_square),
							 pool_columns(columns, 2, 5), sizeof y,
							 &one_by_one, &iter));
	int rc;
	while ((rc = pool_iter_next(iter, &y, POOL_FOREVER)) == 0)
		show(ordered ? "imap" : "imap_unordered", y);
	must(rc);
	pool_iter_release(iter);
}

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	const char *backend = argc > 1 ? argv[1] : NULL;
	int64_t nap_ms = argc > 2 ? atol(argv[2]) : 1000;
	struct pool *pool;
	must(pool_open(&pool, &(struct pool_options){ .backend = backend, .workers = 2 }));
	show_map(pool);
	show_apply_async(pool);
	show_starmap(pool);
	show_lazy(pool, true, nap_ms);
	show_lazy(pool, false, nap_ms);
	must(pool_close(pool));
	must(pool_join(pool, POOL_FOREVER));
	pool_destroy(pool);
	return 0;
}
