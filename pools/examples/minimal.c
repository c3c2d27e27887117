/* minimal.c - a whole program: opens a pool, maps a task over an array, prints the results. */
#include "pools/pool.h"

#include <stdio.h>

static int square(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);
	*(int64_t *)pool_result(call) = *x * *x;
	return 0;
}
POOL_TASK(square)

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	int64_t x[4] = { 1, 2, 3, 4 }, y[4] = { 0 };
	struct pool *pool;
	int rc = pool_open(&pool, &(struct pool_options){ .backend = "shm" });
	if (rc == 0)
		rc = pool_map(pool, POOL(square), x, sizeof *x, 4, y, sizeof *y, NULL);
	if (rc < 0) {
		fprintf(stderr, "%s\n", pool_strerror(rc));
		return 1;
	}
	for (int i = 0; i < 4; i++)
		printf("%lld\n", (long long)y[i]);
	pool_close(pool);
	pool_join(pool, POOL_FOREVER);
	pool_destroy(pool);
	return 0;
}
