/*
 * map.c - the batch variants that wait: apply, map, starmap. One shape: publish n items, wait for
 * all, look what failed.
 */
#include "pools/pool_core.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- arguments ---- */

static const uint64_t ITEMS_MOST = UINT64_C(1) << 48;

static bool overflows(uint64_t n, uint64_t size)
{
	if (n > ITEMS_MOST)
		return true;
	return size && size != POOL_VARIABLE && n > (UINT64_MAX >> 1) / size;
}

/* What all arguments take together: whoever copies or sends them adds up without looking. False: too much. */
static bool add_variable(uint64_t *total, const struct pool_bytes *bytes)
{
	return !__builtin_add_overflow(*total, bytes->size, total) &&
	       !__builtin_add_overflow(*total, sizeof(struct pool_ref) + 15, total) &&
	       *total <= UINT64_MAX >> 1;
}

static int check_column(const struct pool_column *column, uint64_t n, uint64_t *total)
{
	if (!column->data && (n || !column->size))
		return -EINVAL;
	if (overflows(n, column->size))
		return -EINVAL;
	const struct pool_bytes *bytes = column->data;
	for (uint64_t i = 0; column->size == POOL_VARIABLE && i < n; i++)
		if ((!bytes[i].data && bytes[i].size) || !add_variable(total, &bytes[i]))
			return -EINVAL;
	return 0;
}

static int check_policy(const struct pool_policy *policy)
{
	if (!policy)
		return 0;
	if (policy->chunk < 0 || policy->window < 0 || policy->retries < 0)
		return -EINVAL;
	return policy->timeout_ns < POOL_FOREVER || policy->task_timeout_ns < POOL_FOREVER ? -EINVAL
											   : 0;
}

static int check_task(const struct pool *pool, const struct map_call *call)
{
	if (!call->task || call->columns < 1 || call->columns > POOL_COLUMNS_MAX || !call->args)
		return -EINVAL;
	int rc = check_policy(call->policy);
	if (rc < 0)
		return rc;
	if (call->policy && call->policy->task_timeout_ns > 0 &&
	    !(pool->backend->info.can & POOL_CAN_KILL))
		return -ENOTSUP;
	return call->task->id ? 0 : POOL_UNKNOWN_TASK;
}

int map_check(struct pool *pool, const struct map_call *call)
{
	uint64_t total = 0;
	int rc = pool_usable(pool);
	if (rc == 0)
		rc = check_task(pool, call);
	for (unsigned k = 0; rc == 0 && k < call->columns; k++)
		rc = check_column(&call->args[k], call->n, &total);
	if (rc == 0 && overflows(call->n, call->result_size))
		rc = -EINVAL;
	return rc;
}

struct pool_job *map_job(struct pool *pool, const struct map_call *call)
{
	struct pool_job *job = job_new(pool, call->task, call->policy);
	if (!job)
		return NULL;
	job->count = call->n;
	job->columns = call->columns;
	for (unsigned k = 0; k < call->columns; k++) {
		job->column[k] = call->args[k];
		if (call->args[k].size == POOL_VARIABLE)
			job->variable |= 1u << k;
	}
	job->result_size = call->result_size;
	if (call->result_size == POOL_VARIABLE) {
		job->variable |= POOL_VARIABLE_RESULT;
		job->result_size = sizeof(struct pool_bytes);
	}
	return job;
}

/* ---- outcome ---- */

void failure_copy(struct pool_failure *to, const struct pool_failure *from)
{
	*to = *from;
	to->message = strdup(from->message ? from->message : "");
}

/* A blocking call that runs nothing. Where its arguments are wrong the statuses may be no array. */
static int refuse(struct pool *pool, const struct map_call *call, int rc, bool statuses)
{
	const struct pool_policy *policy = call->policy;
	if (!policy || rc == 0)
		return rc;
	for (uint64_t i = 0; statuses && policy->statuses && i < call->n; i++)
		policy->statuses[i] = rc;
	if (!policy->failure)
		return rc;
	const struct pool_failure why = { .status = rc, .message = (char *)pool_strerror(rc) };
	if (rc != POOL_INIT_FAILED) {
		failure_copy(policy->failure, &why);
		return rc;
	}
	pthread_mutex_lock(&pool->lock); /* another worker's end may write it again */
	failure_copy(policy->failure, &pool->init_failure);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

/* rc: -ETIMEDOUT, where the caller gave up. */
static int outcome(const struct pool_job *job, const struct pool_policy *policy, int rc)
{
	if (policy && policy->statuses)
		for (uint64_t i = 0; i < job->count; i++)
			policy->statuses[i] = job_status_at(job, i);
	struct pool_failure failure = job->first;
	if (rc < 0) {
		failure.status = rc;
		failure.message = (char *)pool_strerror(rc);
	}
	if (policy && policy->failure && job->failed)
		failure_copy(policy->failure, &failure);
	return job->failed ? failure.status : 0;
}

/* ---- waiting ---- */

/* Until the deadline; then nothing more is started, what runs is killed where that is possible, and
 * waited for: the caller's memory must not be touched once we have returned. Nothing may have been given up by that. */
static int wait_for(struct pool_job *job, int64_t deadline_ns)
{
	struct pool *pool = job->pool;
	int rc = pump_wait(pool, job_is_resolved, job, deadline_ns);
	if (rc == 0)
		return 0;
	job_stop(job, -ECANCELED);
	job->stop_forced = true; /* it may be failing fast already */
	crew_stop_holders(pool, job, -ECANCELED);
	pump_wait(pool, job_is_resolved, job, INT64_MAX);
	return job->failed && job->first.status == -ECANCELED ? rc : 0;
}

static int run_batch(struct pool_job *job, const struct map_call *call)
{
	struct pool *pool = job->pool;
	const struct pool_policy *policy = call->policy;
	const struct pool_transport_ops *ops = pool->backend->transport;
	int64_t deadline =
		pump_deadline(policy && policy->timeout_ns ? policy->timeout_ns : POOL_FOREVER);
	int rc = ops->prepare(pool->transport, job);
	if (rc < 0)
		return refuse(pool, call, rc, true);
	pthread_mutex_lock(&pool->lock);
	int refused = pool_accepts(pool);
	if (refused == 0) {
		job_submit(job);
		rc = wait_for(job, deadline);
		job_unlist(job);
	}
	pthread_mutex_unlock(&pool->lock);
	ops->collect(pool->transport, job);
	return refused ? refuse(pool, call, refused, true) : outcome(job, policy, rc);
}

/* Under the lock for a moment: is the pool open at all? For calls that have nothing to run. */
static int accepts_now(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	int rc = pool_accepts(pool);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

static int run(struct pool *pool, const struct map_call *call, void *results)
{
	int rc = map_check(pool, call);
	if (rc == 0 && call->n && call->result_size && !results)
		rc = -EINVAL;
	if (rc < 0)
		return refuse(pool, call, rc, false);
	rc = accepts_now(pool);
	if (rc < 0 || call->n == 0)
		return refuse(pool, call, rc, true);
	struct pool_job *job = map_job(pool, call);
	if (!job)
		return refuse(pool, call, -ENOMEM, true);
	job->results = results;
	if (job->variable & POOL_VARIABLE_RESULT)
		memset(results, 0, call->n * sizeof(struct pool_bytes));
	rc = run_batch(job, call);
	job_free(job);
	return rc;
}

/* ---- the variants ---- */

int pool_starmap(struct pool *pool, const struct pool_task *task, const struct pool_column *args,
		 unsigned columns, uint64_t n, void *results, uint64_t result_size,
		 const struct pool_policy *policy)
{
	const struct map_call call = { task, args, columns, n, result_size, policy };
	return run(pool, &call, results);
}

int pool_map(struct pool *pool, const struct pool_task *task, const void *in, uint64_t in_size,
	     uint64_t n, void *results, uint64_t result_size, const struct pool_policy *policy)
{
	const struct pool_column column = { in, in_size };
	const struct map_call call = { task, &column, 1, n, result_size, policy };
	return run(pool, &call, results);
}

int pool_apply(struct pool *pool, const struct pool_task *task, const struct pool_column *args,
	       unsigned columns, void *result, uint64_t result_size,
	       const struct pool_policy *policy)
{
	const struct map_call call = { task, args, columns, 1, result_size, policy };
	return run(pool, &call, result);
}
