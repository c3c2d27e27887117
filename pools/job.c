/*
 * job.c - one call's work: outcomes of its items, the queue in front of the transport.
 *
 * DESIGN. Transports tell three things: an item failed (fault), items are final (resolve), items
 * were never started (drop). A batch only counts what is resolved; statuses exist once something
 * failed. A stream keeps a status and a failure for each cell of its ring. The first failure told
 * for an item stands: a worker that dies after it reported a failure does not turn it into "lost".
 */
#include "pools/pool_core.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* A claim's items are counted in 32 bits. */
enum { CHUNK_MOST = 1 << 30 };

struct pool_job *job_new(struct pool *pool, const struct pool_task *task,
			 const struct pool_policy *policy)
{
	struct pool_job *job = malloc(sizeof *job); /* the C library has calloc go a longer way */
	if (!job)
		return NULL;
	*job = (struct pool_job){ .pool = pool, .task = task, .stop_status = -ECANCELED };
	int64_t limit_ns = pool->options.task_timeout_ns;
	if (policy) {
		job->chunk = policy->chunk < CHUNK_MOST ? (uint64_t)policy->chunk : CHUNK_MOST;
		job->retries = policy->retries;
		job->fail_fast = policy->fail_fast;
		if (policy->task_timeout_ns)
			limit_ns = policy->task_timeout_ns;
	}
	job->limit_ns = pool_limit_ns(limit_ns);
	return job;
}

void job_free(struct pool_job *job)
{
	if (!job)
		return;
	for (uint64_t i = 0; job->detail && i < job->count; i++)
		free(job->detail[i].message);
	free(job->detail);
	free(job->first.message);
	free(job->status);
	free(job->attempts);
	free(job->cell_done);
	free(job->arrived);
	free(job->tile);
	free(job);
}

/* An iteration that is open and has nothing under way needs nobody. */
bool job_count(struct pool_job *job)
{
	const bool counts = job->background && job_under_way(job);
	if (counts == job->counted)
		return false;
	job->counted = counts;
	if (job->stream)
		crew_limit(job, counts);
	job->pool->background += counts ? 1 : UINT64_MAX;
	return counts;
}

/* ---- outcomes ---- */

/* The position in the input of a stream's cell; a batch's items are their index. */
static uint64_t input_index(const struct pool_job *job, uint64_t at)
{
	return job->stream ? pool_cell_index(job, at) : at;
}

/* Where there was no memory for the first failure there are no statuses later either: see
 * job_status_at. */
static bool make_room(struct pool_job *job)
{
	if (!job->status && !job->failed)
		job->status = calloc(job->count, sizeof *job->status);
	if (!job->detail && job->stream)
		job->detail = calloc(job->count, sizeof *job->detail);
	return job->status;
}

/* Which failure is reported for a whole batch: that of the lowest index. What was dropped comes
 * last, being only a consequence of the first failure; unless somebody stopped the job, then that
 * is the story. */
static bool outranks(const struct pool_job *job, const struct pool_failure *a,
		     const struct pool_failure *b)
{
	bool a_dropped = job->cancelled && a->status == job->stop_status;
	bool b_dropped = job->cancelled && b->status == job->stop_status;
	if (!b->status || a_dropped == b_dropped)
		return !b->status || a->index < b->index;
	return a_dropped == job->stop_forced;
}

/* Under memory pressure the failure itself must survive: then only `first` tells. */
static void keep_failure(struct pool_job *job, uint64_t at, const struct pool_failure *failure,
			 const char *message, uint64_t message_size)
{
	struct pool_failure *place = &job->first;
	if (job->stream && job->detail)
		place = &job->detail[at];
	else if (!outranks(job, failure, &job->first))
		return;
	free(place->message);
	*place = *failure;
	place->index = input_index(job, at);
	place->message = malloc(message_size + 1);
	if (!place->message)
		return;
	memcpy(place->message, message, message_size);
	place->message[message_size] = '\0';
}

/* An item is in one of these, or done. */
static uint64_t *counter_of(struct pool_stats *stats, int status)
{
	switch (status) {
	case POOL_WORKER_LOST:
		return &stats->lost;
	case POOL_TASK_TIMEOUT:
		return &stats->timed_out;
	case -ECANCELED:
	case -ETIMEDOUT:
	case POOL_TERMINATED:
		return &stats->cancelled;
	default:
		return &stats->failed;
	}
}

/* `count` items or cells, from the failure's index on, that fail alike: a batch may have hundreds of millions. */
static void mark(struct pool_job *job, const struct pool_failure *failure, uint64_t count,
		 const char *message, uint64_t size)
{
	const bool room = make_room(job), all_alike = !room && !job->stream && count;
	const uint64_t end = failure->index + (all_alike ? 1 : count);
	uint64_t fresh = 0;
	for (uint64_t at = failure->index; at < end; at++) {
		if (room && job->status[at])
			continue;
		if (room)
			job->status[at] = failure->status;
		if (fresh++ == 0 || job->stream) /* of a batch the lowest one is told */
			keep_failure(job, at, failure, message, size);
	}
	fresh = all_alike ? count : fresh;
	job->failed += fresh;
	*counter_of(&job->pool->stats, failure->status) += fresh;
	if (fresh && job->fail_fast && !job->cancelled)
		job->halting = job->pool->halting = true;
}

void pool_job_fault(struct pool_job *job, const struct pool_fault *fault)
{
	const struct pool_failure failure = {
		.status = fault->status,
		.code = fault->code,
		.index = fault->index,
	};
	mark(job, &failure, 1, fault->message, fault->message_size);
}

static void finish(struct pool_job *job)
{
	job->pool->news = true;
	job_count(job);
	if (job_under_way(job) || (job->stream && !job->cancelled))
		return;
	if (job->resolved_hook)
		job->resolved_hook(job);
}

void pool_job_resolve(struct pool_job *job, uint64_t begin, uint64_t count)
{
	job->resolved += count;
	job->pool->stats.done += count;
	for (uint64_t i = 0; job->stream && i < count; i++) {
		job->cell_done[begin + i] = 1;
		job->arrived[job->arrivals++ & job->cell_mask] = begin + i;
	}
	finish(job);
}

void job_fail_rest(struct pool_job *job, uint64_t begin, uint64_t count,
		   const struct pool_failure *why)
{
	const char *message = why->message ? why->message : "";
	struct pool_failure failure = *why;
	failure.index = begin;
	mark(job, &failure, count, message, strlen(message));
	pool_job_resolve(job, begin, count);
}

void pool_job_drop(struct pool_job *job, uint64_t begin, uint64_t count)
{
	struct pool_failure why = { .status = job->stop_status, .message = (char *)"not started" };
	if (job->stop_status == POOL_INIT_FAILED)
		why = job->pool->init_failure;
	job_fail_rest(job, begin, count, &why);
}

/* ---- deaths ---- */

static struct pool_failure death_of(const struct pool_hand *hand, uint64_t index)
{
	struct pool_failure failure = { .index = index, .pid = hand->pid, .code = -1 };
	failure.status = hand->stop_reason ? hand->stop_reason : POOL_WORKER_LOST;
	if (hand->wait_status < 0)
		return failure;
	if (WIFSIGNALED(hand->wait_status))
		failure.signal = WTERMSIG(hand->wait_status);
	else
		failure.code = WEXITSTATUS(hand->wait_status);
	return failure;
}

static void death_text(const struct pool_failure *failure, char *text, size_t size)
{
	if (failure->status == POOL_TASK_TIMEOUT)
		snprintf(text, size, "stopped: over its time limit (worker %d)", (int)failure->pid);
	else if (failure->status == POOL_DECODE_ERROR)
		snprintf(text, size, "what worker %d sent was malformed", (int)failure->pid);
	else if (failure->status == POOL_ENCODE_ERROR)
		snprintf(text, size, "its argument or result could not be read or written");
	else if (failure->status != POOL_WORKER_LOST)
		snprintf(text, size, "stopped while it ran (worker %d)", (int)failure->pid);
	else if (failure->signal)
		snprintf(text, size, "worker %d was killed by signal %d (%s)", (int)failure->pid,
			 failure->signal,
			 sigabbrev_np(failure->signal) ? sigabbrev_np(failure->signal) : "?");
	else
		snprintf(text, size, "worker %d exited with code %d", (int)failure->pid,
			 failure->code);
}

static bool may_retry(struct pool_job *job, uint64_t index)
{
	if (job->retries <= 0 || job->cancelled || job_status_at(job, index))
		return false;
	if (!job->attempts)
		job->attempts = calloc(job->count, 1);
	uint8_t *attempts = job->attempts ? &job->attempts[index] : NULL;
	if (!attempts || *attempts >= job->retries || *attempts == UINT8_MAX)
		return false;
	++*attempts;
	return true;
}

bool pool_job_lost(struct pool_job *job, uint64_t index, int worker)
{
	struct pool *pool = job->pool;
	struct pool_failure failure = death_of(&pool->hand[worker], index);
	if (failure.status == POOL_WORKER_LOST && may_retry(job, index)) {
		pool->stats.retried++;
		return true;
	}
	char text[128];
	death_text(&failure, text, sizeof text);
	failure.message = text;
	job_fail_rest(job, index, 1, &failure);
	return false;
}

/* ---- the queue ---- */

bool job_is_resolved(void *what)
{
	const struct pool_job *job = what;
	return job->resolved == job->count;
}

/* Returns false when it has to wait for room. */
static bool publish(struct pool_job *job)
{
	struct pool *pool = job->pool;
	if (pool->backend->transport->publish(pool->transport, job) == -EAGAIN)
		return false;
	job->published = true;
	TAILQ_INSERT_TAIL(&pool->jobs, job, entry);
	return true;
}

void job_submit(struct pool_job *job)
{
	struct pool *pool = job->pool;
	pool->stats.submitted += job->stream ? 0 : job->count;
	crew_limit(job, !job->stream);
	if (!TAILQ_EMPTY(&pool->queue) || !publish(job))
		TAILQ_INSERT_TAIL(&pool->queue, job, entry);
}

void job_publish_queued(struct pool *pool)
{
	struct pool_job *job;
	while ((job = TAILQ_FIRST(&pool->queue))) {
		TAILQ_REMOVE(&pool->queue, job, entry);
		if (publish(job))
			continue;
		TAILQ_INSERT_HEAD(&pool->queue, job, entry);
		return;
	}
}

bool job_to_background(struct pool_job *job, bool insists)
{
	const struct pool *pool = job->pool;
	const bool at_once = insists || !pool->backend->transport->autonomous || job->limit_ns ||
			     job->retries || pool->options.tasks_per_worker || !job->published;
	job->background = at_once || pool->backend->info.can & POOL_CAN_SURVIVE ||
			  pool_is_crowded(pool); /* not all of them were woken */
	job_count(job);
	return at_once;
}

void job_unlist(struct pool_job *job)
{
	struct pool *pool = job->pool;
	job->background = false;
	job_count(job);
	crew_limit(job, false);
	if (!job->published) {
		TAILQ_REMOVE(&pool->queue, job, entry);
		return;
	}
	TAILQ_REMOVE(&pool->jobs, job, entry);
	pool->backend->transport->retire(pool->transport, job);
	job->published = false;
}

/* ---- stopping ---- */

static void drop_unpublished(struct pool_job *job)
{
	if (!job->stream) {
		pool_job_drop(job, 0, job->count); /* it may be gone now */
		return;
	}
	for (uint64_t k = 0; k < job->tiles; k++) {
		const uint64_t first = k * job->chunk, count = job->tile[k].count;
		if (count && !job->cell_done[first + count - 1]) /* else it has failed already */
			pool_job_drop(job, first, count);
	}
}

static void job_halt(struct pool_job *job, int reason)
{
	struct pool *pool = job->pool;
	if (job->cancelled)
		return;
	job->cancelled = true;
	if (!job->stream && job->resolved == job->count)
		return;
	job->stop_status = reason;
	if (job->published)
		pool->backend->transport->cancel(pool->transport, job);
	else
		drop_unpublished(job);
}

static bool is_halting(const struct pool_job *job)
{
	return job->halting;
}

static bool goes_on(const struct pool_job *job)
{
	return !job->cancelled;
}

/* Published or not. What is done with it may take jobs off the lists: who wants the next one starts over. */
static struct pool_job *find_job(const struct pool *pool, bool (*is)(const struct pool_job *job))
{
	struct pool_job *job;
	TAILQ_FOREACH (job, &pool->jobs, entry)
		if (is(job))
			return job;
	TAILQ_FOREACH (job, &pool->queue, entry)
		if (is(job))
			return job;
	return NULL;
}

/* Fail-fast, not from within the transport's own call. */
void job_halt_failed(struct pool *pool)
{
	struct pool_job *job;
	while (pool->halting && (job = find_job(pool, is_halting))) {
		job->halting = false;
		job_halt(job, -ECANCELED);
	}
	pool->halting = false;
}

void job_stop(struct pool_job *job, int reason)
{
	job->stop_forced = job->stop_forced || !job->cancelled;
	job_halt(job, reason);
}

void job_stop_all(struct pool *pool, int reason)
{
	struct pool_job *job;
	while ((job = find_job(pool, goes_on)))
		job_stop(job, reason);
}

/* With no worker left, what is not accounted for never will be: some task has written over the records. Which items of a
 * batch those are nobody knows, so none may pass for fine; nobody reads an iterator any more. */
static void abandon(struct pool_job *job)
{
	const uint64_t left = job_under_way(job);
	struct pool_failure failure = { .status = POOL_TERMINATED };
	const char *message = "lost from sight";
	if (!job->stream)
		mark(job, &failure, job->count, message, strlen(message));
	if (job->stream)
		job->pool->stats.cancelled += left;
	job->pool->stats.done += left;
	job->resolved += left;
	finish(job);
}

void job_abandon_all(struct pool *pool)
{
	struct pool_job *job;
	do {
		TAILQ_FOREACH (job, &pool->jobs, entry)
			if (job_under_way(job))
				break;
		if (job)
			abandon(job);
	} while (job);
}

/* Without statuses only the first failure is known; of the others none may pass for fine. */
int job_status_at(const struct pool_job *job, uint64_t index)
{
	if (job->status)
		return job->status[index];
	if (!job->failed)
		return 0;
	return index == job->first.index ? job->first.status : -ENOMEM;
}
