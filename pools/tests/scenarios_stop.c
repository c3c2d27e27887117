/*
 * scenarios_stop.c - a pool that is closed while a worker is being started; see scenarios.h.
 *
 * It once hung: a fork copies the descriptors first and then the memory that names them, so a child that is made while its
 * parent closes an end of a pipe kept a copy that it did not know of, and waited for itself.
 */
#include "pools/tests/scenarios.h"

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

/* Below the heap, so that a fork, which copies mappings in the order of their addresses, takes milliseconds between copying
 * the descriptors and copying what the pool knows of them. */
static void fill_below_the_heap(void)
{
	const size_t bytes = (size_t)64 << 20;
	void *low = (void *)(uintptr_t)0x10000000;
	void *filled = mmap(low, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(filled == low);
	madvise(filled, bytes, MADV_NOHUGEPAGE);
	memset(filled, 1, bytes);
}

/* A worker has died and its successor is more or less far on its way when the pool is closed. */
void pool_is_closed_while_a_worker_starts(const struct pool_backend_info *row,
					  const struct inject_plan *plan)
{
	const int moments = plan->call == CALL_WRITE ? 8 : 2;
	if (plan->call == CALL_WRITE)
		fill_below_the_heap();
	for (int late = 0; late < moments; late++) {
		struct pool *pool = suite_open(row, 2);
		pid_t pid = pool_worker_pid(pool, 0);
		inject_arm(
			plan); /* the first write is what tells this worker's successor to stop */
		CHECK(pid > 0 && kill(pid, SIGKILL) == 0 && suite_is_gone(pid));
		pool_worker_pid(pool, 0); /* notices it */
		suite_sleep_ns(late * MS / 4);
		suite_finish(pool);
		inject_disarm();
	}
}
