/*
 * crew_stop.c - stopping workers: all of them, those that run a cancelled job, those over a time
 * limit.
 *
 * DESIGN. Killing one running item must not hit the next one of the same worker: the worker is
 * stopped (SIGSTOP) first, looked at, and then killed or continued.
 */
#include "pools/pool_core.h"
#include "pools/start_process.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>

static const int64_t INIT_TIMEOUT_NS = INT64_C(10000000000);
static const int64_t HUNT_NS = 10000000;      /* between two looks at who runs a cancelled job */
static const int64_t LOOK_NS = 1000000;	      /* between two looks at what has begun, at least */
static const int64_t STOP_WAIT_NS = 20000000; /* how long a SIGSTOP may take to be seen */

/* ---- stopping ---- */

bool crew_gone(const struct pool *pool)
{
	for (int i = 0; i < pool->workers; i++)
		if (pool->hand[i].state != HAND_GONE)
			return false;
	return true;
}

/* A worker that is being started meanwhile is told by the transport like the others. */
void crew_stop(struct pool *pool)
{
	pool->stopping = true;
	for (int i = 0; i < pool->workers; i++)
		if (pool->hand[i].state == HAND_WANTED)
			pool->hand[i].state = HAND_GONE;
	pool->backend->transport->stop(pool->transport);
}

void crew_signal(struct pool *pool, int number, int reason)
{
	for (int i = 0; i < pool->workers; i++) {
		struct pool_hand *hand = &pool->hand[i];
		if (hand->state != HAND_RUNNING)
			continue;
		if (pool->backend->start->signal(&hand->body, number) == 0 && !hand->stop_reason)
			hand->stop_reason = reason;
	}
}

/* False: it could not be seen to stand still in time; nothing may be concluded. */
static bool hold_still(struct pool *pool, const struct pool_hand *hand)
{
	struct pool_body body = hand->body;
	pool->backend->start->signal(&body, SIGSTOP);
	int64_t until = pool_now_ns() + STOP_WAIT_NS;
	bool still;
	while (!(still = pool_process_still(&body)) && pool_now_ns() < until)
		sched_yield();
	return still;
}

static void kill_or_continue(struct pool *pool, struct pool_hand *hand, bool guilty, int reason)
{
	if (guilty)
		hand->stop_reason = reason;
	pool->backend->start->signal(&hand->body, guilty ? SIGKILL : SIGCONT);
}

static void stop_holders(struct pool *pool, const struct pool_job *job, int reason)
{
	const struct pool_transport_ops *ops = pool->backend->transport;
	for (int i = 0; i < pool->workers; i++) {
		struct pool_hand *hand = &pool->hand[i];
		if (hand->state != HAND_RUNNING || hand->stop_reason ||
		    !ops->holds(pool->transport, i, job))
			continue;
		bool guilty = hold_still(pool, hand) && ops->holds(pool->transport, i, job);
		kill_or_continue(pool, hand, guilty, reason);
	}
}

/* A job's items may also begin later, when they were on their way to a worker: crew_timers looks again. */
void crew_stop_holders(struct pool *pool, struct pool_job *job, int reason)
{
	if (!(pool->backend->info.can & POOL_CAN_KILL) || !job->published)
		return;
	job->kill_reason = reason;
	pool->hunting = true;
	stop_holders(pool, job, reason);
	pump_tell(pool); /* it hunts, and we may have taken in what others wait for */
}

/* A hook may take a job off the list: one job a call. */
static bool hunt(struct pool *pool)
{
	if (!pool->hunting)
		return false;
	struct pool_job *job;
	TAILQ_FOREACH (job, &pool->jobs, entry)
		if (job->kill_reason && job->resolved < job->count)
			break;
	pool->hunting = job != NULL;
	if (job)
		stop_holders(pool, job, job->kill_reason);
	return job != NULL;
}

/* ---- time limits ---- */

/* Without an initializer, too: a process forked while another thread held a lock may wait for it for ever. */
static int64_t init_deadline(const struct pool *pool, int worker)
{
	const int64_t limit = pool_limit_ns(pool->options.initializer_timeout_ns);
	struct pool_hand *hand = &pool->hand[worker];
	hand->begun = hand->begun || phase_of(pool, worker) != POOL_PHASE_NEW;
	if (pool->options.initializer_timeout_ns < 0 || hand->begun)
		return INT64_MAX;
	return hand->started_ns + (limit ? limit : INIT_TIMEOUT_NS);
}

static int64_t item_deadline(const struct pool *pool, int worker)
{
	const struct pool_ledger *ledger = ledger_of(pool, worker);
	uint64_t begun = __atomic_load_n(&ledger->begun_ns, __ATOMIC_ACQUIRE);
	uint64_t limit = __atomic_load_n(&ledger->limit_ns, __ATOMIC_ACQUIRE);
	return begun && limit ? (int64_t)(begun + limit) : INT64_MAX;
}

/* One that is dead died of itself, however late we are to see it: crew_event tells of what. */
static void stop_if_over(struct pool *pool, int worker)
{
	struct pool_hand *hand = &pool->hand[worker];
	bool over = hold_still(pool, hand) && !pool_process_dead(&hand->body) &&
		    item_deadline(pool, worker) <= pool_now_ns();
	kill_or_continue(pool, hand, over, POOL_TASK_TIMEOUT);
}

/* The items of a worker begin without telling us: look again after the shortest limit there is. */
static int64_t item_timer(struct pool *pool, int worker, int64_t now_ns)
{
	int64_t deadline = item_deadline(pool, worker);
	if (deadline <= now_ns)
		stop_if_over(pool, worker);
	return deadline;
}

/* There is none below `least_ns`. */
static int64_t shortest_limit_ns(const struct pool *pool, int64_t least_ns)
{
	const struct pool_job *first[] = { TAILQ_FIRST(&pool->jobs), TAILQ_FIRST(&pool->queue) };
	const int64_t finalizer_ns = pool->board->finalizer_limit_ns;
	int64_t shortest = finalizer_ns ? finalizer_ns : INT64_MAX;
	for (int i = 0; i < 2; i++)
		for (const struct pool_job *job = first[i]; job && shortest > least_ns;
		     job = TAILQ_NEXT(job, entry))
			if (job->limited && job->limit_ns < shortest)
				shortest = job->limit_ns;
	return shortest;
}

void crew_limit(struct pool_job *job, bool applies)
{
	struct pool *pool = job->pool;
	if (!job->limit_ns || job->limited == applies)
		return;
	job->limited = applies;
	pool->limited += applies ? 1 : UINT64_MAX;
	if (applies && (pool->limited == 1 || job->limit_ns < pool->shortest_limit_ns)) {
		pool->shortest_limit_ns = job->limit_ns;
		pump_kick(pool);
	} else if (!applies && job->limit_ns <= pool->shortest_limit_ns) {
		pool->shortest_limit_ns = shortest_limit_ns(pool, job->limit_ns);
	}
}

int64_t crew_timers(struct pool *pool, int64_t now_ns)
{
	int64_t next = INT64_MAX;
	for (int i = 0; i < pool->workers; i++) {
		struct pool_hand *hand = &pool->hand[i];
		if (hand->state != HAND_RUNNING || hand->stop_reason || hand->init_reason)
			continue;
		int64_t at = init_deadline(pool, i);
		if (at <= now_ns && !pool_process_dead(&hand->body)) {
			hand->init_reason = -ETIMEDOUT;
			pool->backend->start->signal(&hand->body, SIGKILL);
		} else if (pool->limited) {
			int64_t item = item_timer(pool, i, now_ns);
			at = item < at ? item : at;
		}
		next = at > now_ns && at < next ? at : next;
	}
	if (hunt(pool) && next > now_ns + HUNT_NS)
		next = now_ns + HUNT_NS;
	const int64_t look_ns =
		pool->shortest_limit_ns > LOOK_NS ? pool->shortest_limit_ns : LOOK_NS;
	if (pool->limited && next > now_ns + look_ns)
		next = now_ns + look_ns;
	return next;
}
