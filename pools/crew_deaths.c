/*
 * crew_deaths.c - workers that have ended: noticed by whoever leads, and replaced.
 *
 * When INIT_ATTEMPTS initialisations failed in a row and no worker is fit, the pool is broken: everything queued and
 * everything new is POOL_INIT_FAILED. Being killed from outside before the first task is bad luck, not a failed
 * initialisation, and is only counted up to BAD_LUCK_MAX.
 */
#include "pools/pool_core.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { INIT_ATTEMPTS = 3, BAD_LUCK_MAX = 100 };

/* Fit, or still on the way to it: also who has left in peace and is not back yet. */
static bool any_fit(const struct pool *pool)
{
	for (int i = 0; i < pool->workers; i++) {
		const struct pool_hand *hand = &pool->hand[i];
		if (hand->state == HAND_RUNNING ? phase_of(pool, i) != POOL_PHASE_UNFIT
						: hand->state != HAND_GONE && !hand->failing)
			return true;
	}
	return false;
}

static bool killed_from_outside(const struct pool_hand *hand)
{
	if (hand->wait_status < 0 || !WIFSIGNALED(hand->wait_status) || hand->init_reason)
		return false;
	int number = WTERMSIG(hand->wait_status);
	return number == SIGKILL || number == SIGTERM || number == SIGHUP || number == SIGINT;
}

static void note_init_failure(struct pool *pool, int worker)
{
	const struct pool_hand *hand = &pool->hand[worker];
	const struct pool_ledger *ledger = ledger_of(pool, worker);
	struct pool_failure *failure = &pool->init_failure;
	char text[320];
	free(failure->message);
	*failure = (struct pool_failure){ .status = POOL_INIT_FAILED, .pid = hand->pid };
	if (ledger->phase == POOL_PHASE_UNFIT) {
		failure->code = ledger->code;
		snprintf(text, sizeof text, "the initializer failed with code %d: %.*s",
			 ledger->code, (int)sizeof ledger->message, ledger->message);
	} else if (hand->init_reason) {
		snprintf(text, sizeof text, "the %s took too long",
			 pool->options.initializer ? "initializer" : "start of the worker");
	} else if (hand->wait_status >= 0 && WIFSIGNALED(hand->wait_status)) {
		failure->signal = WTERMSIG(hand->wait_status);
		snprintf(text, sizeof text,
			 "the worker was killed by signal %d before it was ready", failure->signal);
	} else {
		failure->code = hand->wait_status >= 0 ? WEXITSTATUS(hand->wait_status) : -1;
		snprintf(text, sizeof text, "the worker exited with code %d before it was ready",
			 failure->code);
	}
	failure->message = strdup(text);
}

/* For good: nobody is started any more. Who is being started meanwhile is stopped when that is done: see start_one. */
static void give_up(struct pool *pool)
{
	pool->broken = POOL_INIT_FAILED;
	for (int i = 0; i < pool->workers; i++)
		if (pool->hand[i].state == HAND_WANTED)
			pool->hand[i].state = HAND_GONE;
	job_stop_all(pool, POOL_INIT_FAILED);
}

static void init_failed(struct pool *pool, int worker)
{
	struct pool_hand *hand = &pool->hand[worker];
	note_init_failure(pool, worker);
	pool->init_failures++;
	hand->failing = true;
	bool blocked = hand->init_reason && pool->options.initializer;
	if (!any_fit(pool) && (pool->init_failures >= INIT_ATTEMPTS || blocked))
		give_up(pool);
	crew_want(pool, worker, pool->init_failures);
}

static void replace(struct pool *pool, int worker)
{
	struct pool_hand *hand = &pool->hand[worker];
	uint32_t phase = phase_of(pool, worker);
	const bool peaceful = /* its finalizer, too */
		hand->wait_status <= 0 ||
		(hand->stop_reason && hand->stop_reason != POOL_TASK_TIMEOUT);
	hand->failing = hand->failing && (phase == POOL_PHASE_NEW || phase == POOL_PHASE_UNFIT);
	if (phase == POOL_PHASE_LEAVING && peaceful) {
		hand->recycled++;
		pool->init_failures = pool->bad_luck = 0;
		crew_want(pool, worker, 0);
		return;
	}
	if (phase == POOL_PHASE_DONE && pool->stopping && peaceful) {
		hand->state = HAND_GONE;
		return;
	}
	hand->died = true;
	hand->deaths++;
	hand->last_death = hand->wait_status < 0 ? 0 : hand->wait_status;
	hand->stopped += hand->stop_reason != 0;
	hand->unfit += phase == POOL_PHASE_UNFIT || hand->init_reason ||
		       (phase == POOL_PHASE_NEW && pool->options.initializer &&
			!killed_from_outside(hand));
	if ((phase >= POOL_PHASE_READY && phase != POOL_PHASE_UNFIT) ||
	    hand->stop_reason == POOL_ENCODE_ERROR) { /* for what it was sent: see pipe_send.c */
		pool->init_failures = pool->bad_luck = 0;
		crew_want(pool, worker, 0);
	} else if (killed_from_outside(hand) && ++pool->bad_luck < BAD_LUCK_MAX) {
		crew_want(pool, worker, pool->bad_luck > 3);
	} else {
		init_failed(pool, worker);
	}
}

void crew_event(struct pool *pool, int worker)
{
	struct pool_hand *hand = &pool->hand[worker];
	if (hand->state != HAND_RUNNING ||
	    !pool->backend->start->ended(&hand->body, &hand->wait_status))
		return;
	if (hand->body.pidfd >= 0) {
		pool_unwatch(pool, hand->body.pidfd);
		close(hand->body.pidfd);
	}
	hand->state = HAND_GONE;
	hand->lived_ns += (uint64_t)(pool_now_ns() - hand->started_ns);
	if (ledger_of(pool, worker)->idle_since_ns)
		pool_ledger_wait(ledger_of(pool, worker), false, pool_now_ns());
	hand->body = (struct pool_body){ .pidfd = -1 };
	pool->backend->transport->lost(pool->transport, worker);
	replace(pool, worker);
	pool->news = true;
}

/* Nobody leads while a pool is idle: whoever asks for a worker notices its death. */
void crew_look(struct pool *pool, int worker)
{
	if (pool->hand[worker].state != HAND_RUNNING || pool->hand[worker].body.pidfd < 0)
		return;
	crew_event(pool, worker);
	if (pool->hand[worker].state != HAND_RUNNING)
		pump_tell(pool);
}

void crew_sweep(struct pool *pool)
{
	for (int i = 0; i < pool->workers && pool->backend->start; i++)
		if (pool->hand[i].state == HAND_RUNNING && pool->hand[i].body.pidfd < 0)
			crew_event(pool, i);
}
