/*
 * worker_cpu.c - how a worker gets its CPU: which one, and how it is scheduled there.
 *
 * DESIGN. With as many workers as CPUs the parent has none of its own. A worker that is woken must not take the parent's while
 * that has more to hand out: the others would wait. SCHED_BATCH is for that: who is woken preempts nobody. And when the parent
 * is woken it must not wait for the end of a worker's slice: since Linux 6.12 who has a shorter one comes first, so workers
 * have the longest default, or a little more. Earlier versions ignore the slice. It changes nobody's share of the CPUs. The
 * longest slice there is (100 ms) gains 1 % more, and workers that share CPUs are then kept from them so long in an item that
 * short ones run into a time limit.
 *
 * Measured (Intel Xeon, 2 CPUs, Linux 6.18, 8 to 12 pairs in different hours): with a dealer that levels (deal.h), fork-pipe
 * takes 0.94 to 0.99 of the time without for mandelbrot, 0.95 to 1.00 for skew; a hot apply by fork-shm 0.70 to 0.80. Maps
 * and iterations by fork-shm are as before.
 */
#include "pools/pool_ops.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As in linux/sched/types.h, which some C libraries have too, and some not. */
struct schedule {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns, deadline_ns,
		period_ns; /* SCHED_OTHER, SCHED_BATCH: runtime is the slice */
};
/* The default is 2.8 ms on 8 CPUs and more (3 in Linux 6.12, where this gains nothing then), on less CPUs less. */
static const uint64_t SLICE_NS = 3000000;

void pool_worker_pin(int worker, const struct pool_board *board)
{
	cpu_set_t allowed, one;
	if (!board->pin || sched_getaffinity(0, sizeof allowed, &allowed) < 0)
		return;
	unsigned wanted = (unsigned)worker % (unsigned)CPU_COUNT(&allowed);
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &allowed) || wanted--)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof one, &one);
		return;
	}
}

/* What cannot be had is done without. A policy that somebody chose stays. */
void pool_worker_batch(void)
{
	struct schedule now = { 0 };
	if (syscall(SYS_sched_getattr, 0, &now, sizeof now, 0) < 0 || now.policy != SCHED_OTHER)
		return;
	now.policy = SCHED_BATCH;
	now.runtime_ns = SLICE_NS;
	syscall(SYS_sched_setattr, 0, &now, 0);
}
