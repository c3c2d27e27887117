/* patience.c - looking for news before going to sleep: for how long, and what to do between two looks. See pool_ops.h. */
#include "pools/pool_ops.h"

#include <sched.h>

static const int64_t SPIN_ALONE_NS = 2000; /* a spinning round trip takes less */
enum { NAPS_BETWEEN = 32 };

int64_t pool_patience_ns(struct pool_patience *patience, int64_t most_ns)
{
	if (patience->spin_ns == 0 && patience->naps++ % NAPS_BETWEEN == 0)
		patience->spin_ns = most_ns;
	return patience->spin_ns;
}

void pool_patience_learn(struct pool_patience *patience, bool news, int64_t most_ns)
{
	patience->spin_ns = news ? most_ns : patience->spin_ns / 2;
	if (patience->spin_ns < SPIN_ALONE_NS)
		patience->spin_ns = 0;
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

void pool_spin_pause(int64_t spun_ns)
{
	if (spun_ns > SPIN_ALONE_NS)
		sched_yield();
	else
		pause_cpu();
}
