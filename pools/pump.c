/*
 * pump.c - waiting: whoever waits does the parent's work, one thread at a time.
 *
 * DESIGN. The leader takes in what is finished, hands out more, and sleeps in epoll on everything
 * that can happen: the wake-up eventfd that workers and other threads write, the workers' channels,
 * and their pidfds, so a death is an event like any other. Others sleep on `changed`. A leader that
 * has what it wanted leaves; if anybody is waiting, or work is left that needs the parent, the lead
 * goes on to them.
 */
#include "pools/pool_core.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 32 };
/* Between two looks: each takes a line away from the worker that is about to write to it. */
enum { PAUSES_MORE = 2 };
static const int64_t TURN_NS = 1000000, NO_YIELD_NS = 1000000000;
enum event_kind { EVENT_WAKE, EVENT_BODY, EVENT_CHANNEL };

static uint64_t event_data(enum event_kind kind, int worker)
{
	return (uint64_t)kind << 32 | (uint32_t)worker;
}

static int watch(struct pool *pool, int operation, int fd, unsigned events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };
	return epoll_ctl(pool->events_fd, operation, fd, &event) < 0 ? -errno : 0;
}

int pool_watch(struct pool *pool, int fd, unsigned events, int worker)
{
	return watch(pool, EPOLL_CTL_ADD, fd, events, event_data(EVENT_CHANNEL, worker));
}

int pool_watch_change(struct pool *pool, int fd, unsigned events, int worker)
{
	return watch(pool, EPOLL_CTL_MOD, fd, events, event_data(EVENT_CHANNEL, worker));
}

void pool_unwatch(struct pool *pool, int fd)
{
	watch(pool, EPOLL_CTL_DEL, fd, 0, 0);
}

int pump_watch_body(struct pool *pool, int fd, int worker)
{
	return watch(pool, EPOLL_CTL_ADD, fd, EPOLLIN, event_data(EVENT_BODY, worker));
}

int pump_watch_wake(struct pool *pool)
{
	return watch(pool, EPOLL_CTL_ADD, pool->wake_fd, EPOLLIN, event_data(EVENT_WAKE, 0));
}

void pump_kick(struct pool *pool)
{
	if (pool->leading)
		pool_fd_wake(pool->wake_fd);
}

void pump_tell(struct pool *pool)
{
	pump_kick(pool);
	if (pool->waiters)
		pthread_cond_broadcast(&pool->changed);
}

int64_t pump_deadline(int64_t timeout_ns)
{
	if (timeout_ns < 0)
		return INT64_MAX;
	if (timeout_ns == 0)
		return 0;
	int64_t now = pool_now_ns();
	return timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

bool pump_progress(struct pool *pool)
{
	bool changed = pool->backend->transport->reap(pool->transport);
	job_halt_failed(pool);
	job_publish_queued(pool);
	return changed;
}

/* Whoever was woken may wait for this very CPU. But who computes takes it for a whole turn: then it is not given away for a
 * while. */
bool pump_yield(struct pool *pool)
{
	const int64_t before_ns = pool_now_ns();
	if (before_ns < pool->yield_ns)
		return false;
	sched_yield();
	const int64_t after_ns = pool_now_ns();
	if (after_ns - before_ns > TURN_NS)
		pool->yield_ns = after_ns + NO_YIELD_NS;
	return true;
}

/* They stay there for the leader. */
bool pump_has_events(struct pool *pool, int64_t most_ns)
{
	struct epoll_event event;
	const int64_t end_ns = most_ns ? pool_now_ns() + most_ns : 0;
	while (epoll_wait(pool->events_fd, &event, 1, 0) <= 0)
		if (most_ns == 0 || pool_now_ns() >= end_ns || !pump_yield(pool))
			return false;
	return true;
}

static void dispatch(struct pool *pool, const struct epoll_event *event)
{
	int worker = (int)(uint32_t)event->data.u64;
	uint64_t count;
	switch ((enum event_kind)(event->data.u64 >> 32)) {
	case EVENT_WAKE:
		if (read(pool->wake_fd, &count, sizeof count) < 0)
			break;
		crew_sweep(pool);
		break;
	case EVENT_BODY:
		crew_event(pool, worker);
		break;
	case EVENT_CHANNEL:
		pool->backend->transport->event(pool->transport, worker, event->events);
		break;
	}
}

/* epoll's milliseconds, rounded up: waking early would spin. */
static int milliseconds_until(int64_t deadline_ns, int64_t now_ns)
{
	if (deadline_ns == INT64_MAX)
		return -1;
	if (deadline_ns <= now_ns)
		return 0;
	int64_t ms = (deadline_ns - now_ns + 999999) / 1000000;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void sleep_for_events(struct pool *pool, int64_t deadline_ns)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	pthread_mutex_unlock(&pool->lock);
	int count = epoll_wait(pool->events_fd, events, EVENTS_AT_ONCE,
			       milliseconds_until(deadline_ns, pool_now_ns()));
	pthread_mutex_lock(&pool->lock);
	for (int i = 0; i < count; i++)
		dispatch(pool, &events[i]);
}

/* As many workers as have something to do, and we, have a CPU each. */
static bool cpu_is_free(const struct pool *pool)
{
	const uint64_t most = (uint64_t)pool->cpus;
	uint64_t busy = 0;
	const struct pool_job *job;
	for (job = TAILQ_FIRST(&pool->jobs); job && busy < most; job = TAILQ_NEXT(job, entry))
		busy += job_under_way(job);
	if (busy > (uint64_t)pool->workers)
		busy = (uint64_t)pool->workers;
	return busy && busy < most && !pool->waiters;
}

/* Where a CPU is free for it, look for a while before going to sleep. Others may want the lock. */
static bool spin(struct pool *pool, int64_t deadline_ns)
{
	const struct pool_transport_ops *ops = pool->backend->transport;
	if (!ops->autonomous || deadline_ns == 0 || !cpu_is_free(pool))
		return false;
	const int64_t most_ns = pool_patience_ns(&pool->patience, pool->spin_ns);
	const int64_t since_ns = most_ns ? pool_now_ns() : 0;
	bool news = false;
	for (int64_t spun_ns = 0; !news && spun_ns < most_ns; spun_ns = pool_now_ns() - since_ns) {
		pthread_mutex_unlock(&pool->lock);
		pool_spin_pause(spun_ns);
		for (int i = 0; i < PAUSES_MORE; i++)
			pool_spin_pause(0);
		pthread_mutex_lock(&pool->lock);
		news = ops->reap(pool->transport) || pool->news;
	}
	if (most_ns)
		pool_patience_learn(&pool->patience, news, pool->spin_ns);
	return news;
}

/* One turn of the leader: until something happened, or the deadline. */
static void lead(struct pool *pool, int64_t deadline_ns)
{
	const struct pool_transport_ops *ops = pool->backend->transport;
	if (pump_progress(pool))
		return;
	int64_t timer_ns = crew_timers(pool, pool_now_ns());
	if (pool->news || spin(pool, deadline_ns))
		return;
	int64_t most_ns = ops->doze(pool->transport, true);
	job_publish_queued(
		pool); /* a slot may have become free since: whoever frees one wakes us only now */
	deadline_ns = timer_ns < deadline_ns ? timer_ns : deadline_ns;
	if (most_ns != INT64_MAX && pool_now_ns() + most_ns < deadline_ns)
		deadline_ns = pool_now_ns() + most_ns;
	if (most_ns > 0)
		sleep_for_events(pool, deadline_ns);
	ops->doze(pool->transport, false);
	pump_progress(pool);
}

static int follow(struct pool *pool, int64_t deadline_ns)
{
	struct timespec until = { deadline_ns / 1000000000, deadline_ns % 1000000000 };
	pool->waiters++;
	int error = deadline_ns == INT64_MAX
			    ? pthread_cond_wait(&pool->changed, &pool->lock)
			    : pthread_cond_timedwait(&pool->changed, &pool->lock, &until);
	pool->waiters--;
	return -error;
}

static void pass_news(struct pool *pool)
{
	if (pool->news && pool->waiters)
		pthread_cond_broadcast(&pool->changed);
	pool->news = false;
}

/* The lead is free: somebody else may want it. */
static void hand_over(struct pool *pool)
{
	if (pool->leading)
		return;
	if (pool->waiters)
		pthread_cond_broadcast(&pool->changed);
	else if (pool->background && !pool->keeper_leads)
		crew_mind(pool);
}

int pump_wait(struct pool *pool, pump_done *done, void *what, int64_t deadline_ns)
{
	int rc = 0;
	if (!done(what) && pump_progress(pool) && pool->waiters)
		pthread_cond_broadcast(&pool->changed);
	bool looked = false; /* whoever only polls still takes the lead for one turn */
	while (!done(what)) {
		bool late = deadline_ns != INT64_MAX && pool_now_ns() >= deadline_ns;
		if (late && (looked || pool->leading)) {
			rc = -ETIMEDOUT;
			break;
		}
		looked = looked || late;
		if (pool->leading) {
			follow(pool, deadline_ns);
			continue;
		}
		pool->leading = true;
		lead(pool, deadline_ns);
		pool->leading = false;
		pass_news(pool);
	}
	hand_over(pool);
	return rc;
}
