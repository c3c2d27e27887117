/* pool_ask.c - what can be asked of a pool, and memory from it. */
#include "pools/pool_core.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

int pool_workers(const struct pool *pool)
{
	return pool ? pool->workers : -EINVAL;
}

const char *pool_backend(const struct pool *pool)
{
	return pool ? pool->backend->info.name : NULL;
}

pid_t pool_worker_pid(struct pool *pool, int worker)
{
	int rc = pool_usable(pool);
	if (rc < 0)
		return rc;
	if (worker < 0 || worker >= pool->workers)
		return -EINVAL;
	if (!(pool->backend->info.can & POOL_CAN_ISOLATE))
		return pool->owner;
	pthread_mutex_lock(&pool->lock);
	crew_look(pool, worker);
	const struct pool_hand *hand = &pool->hand[worker];
	pid_t pid = hand->state == HAND_RUNNING ? hand->body.pid : 0;
	pthread_mutex_unlock(&pool->lock);
	return pid;
}

/* Rows without shared memory: plain blocks on a list, so that they can go with the pool. */
struct plain {
	_Alignas(64) struct plain *next, **link;
	void *block; /* as calloc gave it: zeroed without touching its pages */
};

static void *plain_alloc(struct pool *pool, uint64_t bytes)
{
	const uint64_t more = sizeof(struct plain) + 63;
	void *block = bytes > UINT64_MAX - more ? NULL : calloc(1, bytes + more);
	if (!block) {
		errno = ENOMEM;
		return NULL;
	}
	struct plain *plain = (struct plain *)(((uintptr_t)block + 63) / 64 * 64);
	pthread_mutex_lock(&pool->lock);
	*plain = (struct plain){ .next = pool->plain, .link = &pool->plain, .block = block };
	if (plain->next)
		plain->next->link = &plain->next;
	pool->plain = plain;
	pthread_mutex_unlock(&pool->lock);
	return plain + 1;
}

void plain_free(struct pool *pool, struct plain *plain)
{
	pthread_mutex_lock(&pool->lock);
	*plain->link = plain->next;
	if (plain->next)
		plain->next->link = plain->link;
	pthread_mutex_unlock(&pool->lock);
	free(plain->block);
}

void *pool_alloc(struct pool *pool, uint64_t bytes)
{
	int rc = pool_usable(pool);
	if (rc < 0 || bytes == 0) {
		errno = rc < 0 ? -rc : EINVAL;
		return NULL;
	}
	const struct pool_transport_ops *ops = pool->backend->transport;
	return ops->alloc ? ops->alloc(pool->transport, bytes, true) : plain_alloc(pool, bytes);
}

void pool_free(struct pool *pool, void *memory)
{
	if (pool_usable(pool) < 0 || !memory)
		return;
	if (pool->backend->transport->alloc)
		pool->backend->transport->release(pool->transport, memory);
	else
		plain_free(pool, (struct plain *)memory - 1);
}

int pool_stats(struct pool *pool, struct pool_stats *stats)
{
	int rc = pool_usable(pool);
	if (rc < 0 || !stats)
		return rc < 0 ? rc : -EINVAL;
	pthread_mutex_lock(&pool->lock);
	*stats =
		pool->stats; /* whose `done` are all resolved ones; a failure is told before its item is resolved */
	const uint64_t bad = stats->failed + stats->lost + stats->cancelled + stats->timed_out;
	stats->done = stats->done > bad ? stats->done - bad : 0;
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

/* Up to now. The worker may be about to end its wait: then a moment is missing. */
static uint64_t idle_time_ns(const struct pool_ledger *ledger)
{
	uint64_t since_ns = __atomic_load_n(&ledger->idle_since_ns, __ATOMIC_RELAXED);
	uint64_t idle_ns = __atomic_load_n(&ledger->idle_ns, __ATOMIC_RELAXED);
	uint64_t now_ns = (uint64_t)pool_now_ns();
	return idle_ns + (since_ns && since_ns < now_ns ? now_ns - since_ns : 0);
}

static uint64_t life_time_ns(const struct pool_hand *hand)
{
	bool lives = hand->state == HAND_RUNNING;
	return hand->lived_ns + (lives ? (uint64_t)(pool_now_ns() - hand->started_ns) : 0);
}

int pool_worker_stats(struct pool *pool, int worker, struct pool_worker_stats *stats)
{
	int rc = pool_usable(pool);
	if (rc < 0)
		return rc;
	if (!stats || worker < 0 || worker >= pool->workers)
		return -EINVAL;
	pthread_mutex_lock(&pool->lock);
	crew_look(pool, worker);
	const struct pool_hand *hand = &pool->hand[worker];
	const struct pool_ledger *ledger = ledger_of(pool, worker);
	const uint64_t idle_ns = idle_time_ns(ledger), lived_ns = life_time_ns(hand);
	*stats = (struct pool_worker_stats){
		.pid = hand->state == HAND_RUNNING ? hand->body.pid : 0,
		.tasks = pool_ledger_begun(ledger),
		.claims = __atomic_load_n(&ledger->claims, __ATOMIC_RELAXED),
		.idle_ns = idle_ns,
		.busy_ns = lived_ns > idle_ns ? lived_ns - idle_ns : 0,
		.starts = hand->starts,
		.recycled = hand->recycled,
		.deaths = hand->deaths,
		.stopped = hand->stopped,
		.unfit = hand->unfit,
		.last_signal = WIFSIGNALED(hand->last_death) ? WTERMSIG(hand->last_death) : 0,
		.last_code = WIFEXITED(hand->last_death) ? WEXITSTATUS(hand->last_death) : 0,
	};
	pthread_mutex_unlock(&pool->lock);
	return 0;
}
