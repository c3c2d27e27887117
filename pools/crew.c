/*
 * crew.c - the workers as the parent sees them: started and watched; stopped in crew_stop.c, replaced in crew_deaths.c.
 *
 * DESIGN. The keeper thread starts every worker, first ones and replacements (see pool_core.h for
 * why), and leads when work needs the parent and nobody else was here for a while. Deaths are
 * noticed by whoever leads.
 *
 * Starts back off: 10 ms, doubled with each start or initialisation that fails in a row, up to 1 s. When START_ATTEMPTS
 * starts failed in a row and no worker runs, everything queued gets the reason, and so does what is submitted until the next
 * call: that one tries again.
 */
#include "pools/pool_core.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

enum { START_ATTEMPTS = 8 };
static const int64_t BACKOFF_NS = 10000000, BACKOFF_MAX_NS = 1000000000;
static const int64_t MIND_NS = 2000000; /* after a visit */

void crew_want_keeper(struct pool *pool)
{
	if (pool->keeper_runs)
		pthread_cond_signal(&pool->keeper_wake);
}

/* ---- starting ---- */

void crew_want(struct pool *pool, int worker, int failures)
{
	struct pool_hand *hand = &pool->hand[worker];
	if (pool->stopping || pool->broken) {
		hand->state = HAND_GONE;
		return;
	}
	int64_t delay = failures ? BACKOFF_NS << (failures < 8 ? failures - 1 : 7) : 0;
	hand->state = HAND_WANTED;
	hand->not_before_ns = pool_now_ns() + (delay < BACKOFF_MAX_NS ? delay : BACKOFF_MAX_NS);
	if (!delay)
		hand->not_before_ns = 0;
	crew_want_keeper(pool);
}

void crew_try_again(struct pool *pool)
{
	pool->broken = 0;
	pool->start_failures = 0;
	for (int i = 0; i < pool->workers; i++)
		if (pool->hand[i].state == HAND_GONE)
			crew_want(pool, i, 0);
}

static bool any_running(const struct pool *pool)
{
	for (int i = 0; i < pool->workers; i++)
		if (pool->hand[i].state == HAND_RUNNING)
			return true;
	return false;
}

/* During open every failure counts; later the pool goes on with fewer workers unless none can be
 * had. */
static void start_failed(struct pool *pool, int worker, int error)
{
	struct pool_hand *hand = &pool->hand[worker];
	if (!pool->opened) {
		pool->start_error = error;
		hand->state = HAND_GONE;
		return;
	}
	pool->start_failures++;
	hand->failing = true;
	if (pool->start_failures >= START_ATTEMPTS && !any_running(pool) &&
	    pool->broken != POOL_INIT_FAILED) {
		pool->broken = error;
		job_stop_all(pool, error);
	}
	crew_want(pool, worker, pool->start_failures);
}

static void start_succeeded(struct pool *pool, int worker, const struct pool_body *body)
{
	struct pool_hand *hand = &pool->hand[worker];
	pool->start_failures = 0;
	hand->body = *body;
	hand->state = HAND_RUNNING;
	hand->starts++;
	pool->stats.restarts += hand->died;
	hand->died = false;
}

/* A process whose end we would not notice is of no use. It may have begun an item already. */
static int watch_body(struct pool *pool, int worker, struct pool_body *body)
{
	struct pool_hand *hand = &pool->hand[worker];
	int rc = body->pidfd >= 0 ? pump_watch_body(pool, body->pidfd, worker) : 0;
	if (rc == 0)
		return 0;
	pool->backend->start->signal(body, SIGKILL);
	while (!pool->backend->start->ended(body, &hand->wait_status))
		sched_yield();
	close(body->pidfd);
	return rc;
}

static void fill_ticket(const struct pool *pool, int worker, struct pool_ticket *ticket)
{
	*ticket = (struct pool_ticket){
		.worker = worker,
		.parent = (int32_t)pool->owner,
		.board_fd = pool->board_fd,
		.fd = { -1, -1 },
		.wake_fd = pool->wake_fd,
	};
	while (pool_backend_at((unsigned)ticket->transport) != pool->backend)
		ticket->transport++;
}

/* Once each. Not "nobody is wanted": workers whose initializer fails may take turns at that for ever. */
static bool all_started(const struct pool *pool)
{
	for (int i = 0; i < pool->workers; i++)
		if (pool->hand[i].starts == 0)
			return pool->broken;
	return true;
}

/* The pool came to its end while this one was started. */
static void stop_late_comer(struct pool *pool, int worker)
{
	const int reason = pool->state == POOL_IS_TERMINATED ? POOL_TERMINATED : pool->broken;
	if (reason != POOL_TERMINATED && reason != POOL_INIT_FAILED)
		return;
	if (pool->backend->start->signal(&pool->hand[worker].body, SIGKILL) == 0)
		pool->hand[worker].stop_reason = reason; /* it may have begun an item */
}

/* Under the lock, which is let go while the process is made: copying page tables takes long. */
static void start_one(struct pool *pool, int worker)
{
	const struct pool_backend *backend = pool->backend;
	struct pool_launch launch = {
		.ops = backend->transport,
		.transport = pool->transport,
		.board = pool->board,
	};
	struct pool_body body = { .pidfd = -1 };
	pool->hand[worker].state = HAND_STARTING;
	pool->hand[worker].wait_status = -1;
	pool->hand[worker].stop_reason = pool->hand[worker].init_reason = 0;
	pool->hand[worker].begun = false;
	pool->hand[worker].started_ns = pool_now_ns(); /* it may be up, and wait, before we know */
	fill_ticket(pool, worker, &launch.ticket);
	ledger_of(pool, worker)->phase = POOL_PHASE_NEW;
	ledger_of(pool, worker)->begun_ns = 0;
	ledger_of(pool, worker)->idle_since_ns = 0;
	int rc = backend->transport->ticket(pool->transport, worker, &launch.ticket);
	if (rc == 0) {
		pthread_mutex_unlock(&pool->lock);
		rc = backend->start->start(&launch, &body);
		pthread_mutex_lock(&pool->lock);
		pool->hand[worker].pid = body.pid;
		if (rc == 0)
			rc = watch_body(pool, worker, &body);
		if (rc < 0)
			backend->transport->lost(pool->transport, worker);
	}
	if (rc == 0) {
		/* In this order: work that is handed out now needs a worker that can be killed. */
		start_succeeded(pool, worker, &body);
		backend->transport->started(pool->transport, worker);
		crew_sweep(
			pool); /* a thread may have ended before it counted as running: its wake-up is past */
		stop_late_comer(pool, worker);
	} else {
		start_failed(pool, worker, rc);
	}
	pump_kick(pool);
	if (pool->opened || pool->start_error ||
	    all_started(pool)) /* before, only crew_open waits: wake it once */
		pthread_cond_broadcast(&pool->changed);
}

/* ---- the keeper ---- */

/* The next worker to start, or -1; *when_ns: when to look again. */
static int next_wanted(const struct pool *pool, int64_t *when_ns)
{
	int64_t now = pool_now_ns();
	*when_ns = INT64_MAX;
	for (int i = 0; i < pool->workers; i++) {
		const struct pool_hand *hand = &pool->hand[i];
		if (hand->state != HAND_WANTED)
			continue;
		if (hand->not_before_ns <= now)
			return i;
		if (hand->not_before_ns < *when_ns)
			*when_ns = hand->not_before_ns;
	}
	return -1;
}

void crew_mind(struct pool *pool)
{
	pool->visits++;
	if (pool->keeper_leads)
		pump_kick(pool);
	else if (!pool->keeper_minds)
		crew_want_keeper(pool);
}

struct rest {
	const struct pool *pool;
	uint64_t visits; /* that were seen, the last before mind_ns - MIND_NS */
	int64_t mind_ns; /* from then on the keeper leads if there was no visit since */
	int64_t when_ns; /* the first start that is wanted */
};

/* A worker that died while the keeper leads is wanted earlier than the rest was meant to last. */
static bool keeper_is_relieved(void *what)
{
	const struct rest *rest = what;
	const struct pool *pool = rest->pool;
	int64_t when_ns;
	return pool->keeper_quits || !pool->background || pool->waiters ||
	       pool->visits != rest->visits || next_wanted(pool, &when_ns) >= 0 ||
	       when_ns < rest->when_ns;
}

static void keeper_leads(struct pool *pool, struct rest *rest, int64_t deadline_ns)
{
	pool->keeper_leads = true;
	pump_wait(pool, keeper_is_relieved, rest, deadline_ns);
	pool->keeper_leads = false;
}

static void keeper_sleeps(struct pool *pool, int64_t until_ns)
{
	struct timespec until = { until_ns / 1000000000, until_ns % 1000000000 };
	if (until_ns == INT64_MAX)
		pthread_cond_wait(&pool->keeper_wake, &pool->lock);
	else
		pthread_cond_timedwait(&pool->keeper_wake, &pool->lock, &until);
}

/* Whoever has just been here often comes back: it waits for one handle or result after the other.
 * But it need not wait each time, and who does not wait does not lead: then we take a turn. */
static void keeper_rest(struct pool *pool, struct rest *rest)
{
	const int64_t now_ns = pool_now_ns();
	const bool due = pool->keeper_minds && now_ns >= rest->mind_ns;
	const bool visited = pool->visits != rest->visits;
	if (visited)
		rest->mind_ns = now_ns + MIND_NS;
	rest->visits = pool->visits;
	pool->keeper_minds = now_ns < rest->mind_ns;
	if (pool->background && (due || !pool->keeper_minds))
		imap_offer_all(pool);
	const bool wanted = pool->background && !pool->leading && !pool->waiters;
	if (wanted && (due || !pool->keeper_minds)) {
		keeper_leads(pool, rest, pool->keeper_minds ? 0 : rest->when_ns);
		return;
	}
	const bool minds_first = pool->keeper_minds && rest->mind_ns < rest->when_ns;
	keeper_sleeps(pool, minds_first ? rest->mind_ns : rest->when_ns);
}

static void *keeper_main(void *what)
{
	struct pool *pool = what;
	struct rest rest = { .pool = pool };
	pthread_mutex_lock(&pool->lock);
	while (!pool->keeper_quits) {
		int worker = next_wanted(pool, &rest.when_ns);
		if (worker >= 0)
			start_one(pool, worker);
		else
			keeper_rest(pool, &rest);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

/* A thread with all signals blocked: the host's handlers never run in it, nor in what it starts
 * before exec. */
int crew_thread(pthread_t *thread, void *(*main)(void *), void *argument)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(thread, NULL, main, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

int crew_open(struct pool *pool)
{
	if (!pool->backend->start)
		return 0;
	pthread_mutex_lock(&pool->lock);
	for (int i = 0; i < pool->workers; i++)
		pool->hand[i].state = HAND_WANTED;
	int rc = crew_thread(&pool->keeper, keeper_main, pool);
	pool->keeper_runs = rc == 0;
	while (rc == 0 && !all_started(pool) && !pool->start_error)
		pthread_cond_wait(&pool->changed, &pool->lock);
	pool->opened = true;
	pthread_mutex_unlock(&pool->lock);
	return rc < 0 ? rc : pool->start_error;
}

void crew_close(struct pool *pool)
{
	if (!pool->keeper_runs)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->keeper_quits = true;
	pump_kick(pool);
	pthread_cond_signal(&pool->keeper_wake);
	pthread_mutex_unlock(&pool->lock);
	pthread_join(pool->keeper, NULL);
	pool->keeper_runs = false;
}
