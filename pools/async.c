/*
 * async.c - the batch variants that return a handle, and the thread that runs callbacks.
 *
 * DESIGN. A handle owns copies of the arguments and the results. It has two references, the user's
 * and the work's, so it may be released at any time. It is ready when its job has resolved and its
 * callback has run: a get that returns has the callback behind it. Callbacks run one at a time in a
 * thread of their own, so a slow one keeps no worker idle; a callback that waits for another handle
 * runs the callbacks queued before that one itself.
 */
#include "pools/async.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- making and freeing ---- */

static void async_free(struct pool_async *a)
{
	struct pool_job *job = a->job;
	if (job && job->variable & POOL_VARIABLE_RESULT)
		pool_bytes_free(job->results, job->count);
	if (job)
		free(job->results);
	job_free(job);
	for (unsigned k = 0; k < POOL_COLUMNS_MAX; k++)
		free(a->copies[k]);
	pool_unref(a->pool);
	free(a);
}

/* Elements of variable size: the array and all bytes in one block. */
static void *copy_variable(const struct pool_bytes *bytes, uint64_t n)
{
	uint64_t total = 0;
	for (uint64_t i = 0; i < n; i++)
		total += bytes[i].size;
	struct pool_bytes *copy = malloc(n * sizeof *copy + total + 1);
	if (!copy)
		return NULL;
	char *at = (char *)(copy + n);
	for (uint64_t i = 0; i < n; i++) {
		copy[i] = (struct pool_bytes){ at, bytes[i].size };
		if (bytes[i].size)
			memcpy(at, bytes[i].data, bytes[i].size);
		at += bytes[i].size;
	}
	return copy;
}

static void *copy_fixed(const struct pool_column *column, uint64_t n)
{
	void *copy = malloc(n * column->size + 1);
	if (copy && n && column->size)
		memcpy(copy, column->data, n * column->size);
	return copy;
}

static int copy_arguments(struct pool_async *a)
{
	struct pool_job *job = a->job;
	const struct pool_transport_ops *ops = a->pool->backend->transport;
	for (unsigned k = 0; k < job->columns; k++) {
		struct pool_column *column = &job->column[k];
		bool variable = column->size == POOL_VARIABLE;
		if (!variable && ops->inside &&
		    ops->inside(a->pool->transport, column->data, job->count * column->size))
			continue;
		a->copies[k] = variable ? copy_variable(column->data, job->count)
					: copy_fixed(column, job->count);
		if (!a->copies[k])
			return -ENOMEM;
		column->data = a->copies[k];
	}
	return 0;
}

static struct pool_async *async_new(struct pool *pool, const struct map_call *call)
{
	struct pool_async *a = calloc(1, sizeof *a);
	if (!a)
		return NULL;
	pool_ref(pool);
	a->pool = pool;
	a->refs = 1;
	if (call->policy) {
		a->callback = call->policy->callback;
		a->error_callback = call->policy->error_callback;
		a->user = call->policy->user;
	}
	a->job = map_job(pool, call);
	if (a->job) {
		a->job->owner = a;
		a->job->results = calloc(call->n ? call->n : 1,
					 a->job->result_size ? a->job->result_size : 1);
	}
	if (!a->job || !a->job->results || copy_arguments(a) < 0) {
		async_free(a);
		return NULL;
	}
	return a;
}

/* Under the lock. */
void async_drop_ref(struct pool_async *a)
{
	if (--a->refs == 0)
		async_free(a);
}

/* ---- submission ---- */

static void on_resolved(struct pool_job *job)
{
	struct pool_async *a = job->owner;
	struct pool *pool = a->pool;
	if (job->count) { /* an empty one was never prepared nor submitted */
		job_unlist(job);
		pool->backend->transport->collect(pool->transport, job);
	}
	a->resolved = true;
	if (!has_callback(a)) {
		a->called = true;
		async_drop_ref(a);
		return;
	}
	callback_queue(a);
}

static bool handle_resolved(void *what)
{
	return ((const struct pool_async *)what)->resolved;
}

/* Under the lock. From here on the work has its reference. */
static void start(struct pool_async *a)
{
	struct pool *pool = a->pool;
	a->refs++;
	a->job->resolved_hook = on_resolved;
	a->job->patient = !has_callback(a);
	if (a->job->count == 0) {
		on_resolved(a->job);
		return;
	}
	job_submit(a->job);
	if (!(pool->backend->info.can & POOL_CAN_OVERLAP)) {
		pump_wait(pool, handle_resolved, a, INT64_MAX);
		return;
	}
	if (a->resolved)
		return;
	const bool at_once = job_to_background(a->job, has_callback(a));
	if (!a->job->background || pool->leading || pool->waiters || pool->keeper_minds)
		return;
	pool->visits += !at_once;
	crew_want_keeper(pool);
}

static int submit(struct pool_async *a)
{
	struct pool *pool = a->pool;
	int rc = a->job->count ? pool->backend->transport->prepare(pool->transport, a->job) : 0;
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&pool->lock);
	rc = pool_accepts(pool);
	if (rc == 0)
		rc = callback_want(pool, a);
	if (rc == 0)
		start(a);
	pthread_mutex_unlock(&pool->lock);
	if (rc < 0 && a->job->count)
		pool->backend->transport->collect(pool->transport, a->job);
	return rc;
}

static int run_async(struct pool *pool, const struct map_call *call, struct pool_async **async)
{
	int rc = map_check(pool, call);
	if (rc < 0 || !async)
		return rc < 0 ? rc : -EINVAL;
	struct pool_async *a = async_new(pool, call);
	if (!a)
		return -ENOMEM;
	rc = submit(a);
	if (rc < 0) {
		async_free(a);
		return rc;
	}
	*async = a;
	return 0;
}

int pool_starmap_async(struct pool *pool, const struct pool_task *task,
		       const struct pool_column *args, unsigned columns, uint64_t n,
		       uint64_t result_size, const struct pool_policy *policy,
		       struct pool_async **async)
{
	const struct map_call call = { task, args, columns, n, result_size, policy };
	return run_async(pool, &call, async);
}

int pool_map_async(struct pool *pool, const struct pool_task *task, const void *in,
		   uint64_t in_size, uint64_t n, uint64_t result_size,
		   const struct pool_policy *policy, struct pool_async **async)
{
	const struct pool_column column = { in, in_size };
	const struct map_call call = { task, &column, 1, n, result_size, policy };
	return run_async(pool, &call, async);
}

int pool_apply_async(struct pool *pool, const struct pool_task *task,
		     const struct pool_column *args, unsigned columns, uint64_t result_size,
		     const struct pool_policy *policy, struct pool_async **async)
{
	const struct map_call call = { task, args, columns, 1, result_size, policy };
	return run_async(pool, &call, async);
}

/* ---- handles ---- */

static int usable(const struct pool_async *a)
{
	return a ? pool_usable_here(a->pool) : -EINVAL;
}

static bool is_ready(void *what)
{
	const struct pool_async *a = what;
	return a->resolved && (a->called || (a->calling && is_callback_thread(a->pool)));
}

static bool is_ready_or_callback(void *what)
{
	return is_ready(what) || ((const struct pool_async *)what)->pool->callbacks;
}

/* Under the lock: somebody waits for it from now on. */
static void want(struct pool_async *a)
{
	struct pool *pool = a->pool;
	const struct pool_transport_ops *ops = pool->backend->transport;
	if (a->job->patient && a->job->published && ops->want)
		ops->want(pool->transport, a->job);
	a->job->patient = false;
}

/* Under the lock. A callback that waits for a handle whose own callback is still to run does that
 * and those queued before it. */
static int wait_ready(struct pool_async *a, int64_t deadline_ns)
{
	struct pool *pool = a->pool;
	if (!is_callback_thread(pool) || !has_callback(a))
		return is_ready(a) ? 0 : pump_wait(pool, is_ready, a, deadline_ns);
	while (!is_ready(a)) {
		const bool polls = deadline_ns == 0 && !a->resolved; /* then none would help */
		int rc = pump_wait(pool, polls ? is_ready : is_ready_or_callback, a, deadline_ns);
		if (rc < 0)
			return rc;
		if (!is_ready(a) && pool->callbacks)
			callback_run(pool);
	}
	return 0;
}

int pool_async_wait(struct pool_async *a, int64_t timeout_ns)
{
	int rc = usable(a);
	if (rc < 0 || timeout_ns < POOL_FOREVER)
		return rc < 0 ? rc : -EINVAL;
	pthread_mutex_lock(&a->pool->lock);
	if (timeout_ns)
		want(a);
	rc = wait_ready(a, pump_deadline(timeout_ns));
	pthread_mutex_unlock(&a->pool->lock);
	return rc;
}

bool pool_async_ready(struct pool_async *a)
{
	return pool_async_wait(a, 0) == 0;
}

int pool_async_successful(struct pool_async *a)
{
	int rc = pool_async_wait(a, 0);
	if (rc < 0)
		return rc == -ETIMEDOUT ? -EINVAL : rc;
	return a->job->failed == 0;
}

/* The handle keeps its own: the caller's copy is the caller's. */
static int copy_bytes(const struct pool_bytes *from, uint64_t n, struct pool_bytes *to)
{
	for (uint64_t i = 0; i < n; i++) {
		to[i] = (struct pool_bytes){ from[i].data ? malloc(from[i].size + 1) : NULL,
					     from[i].size };
		if (from[i].data && !to[i].data) {
			pool_bytes_free(to, i);
			return -ENOMEM;
		}
		if (to[i].data && from[i].size)
			memcpy(to[i].data, from[i].data, from[i].size);
	}
	return 0;
}

int pool_async_get(struct pool_async *a, void *results, int64_t timeout_ns)
{
	int rc = pool_async_wait(a, timeout_ns);
	if (rc < 0)
		return rc;
	const struct pool_job *job = a->job;
	if (results && job->variable & POOL_VARIABLE_RESULT)
		rc = copy_bytes(job->results, job->count, results);
	else if (results && job->failed < job->count)
		memcpy(results, job->results, job->count * job->result_size);
	if (rc < 0)
		return rc;
	return job->failed ? job->first.status : 0;
}

int pool_async_cancel(struct pool_async *a)
{
	int rc = usable(a);
	if (rc < 0)
		return rc;
	struct pool *pool = a->pool;
	pthread_mutex_lock(&pool->lock);
	if (!a->resolved)
		pump_progress(pool);
	rc = a->resolved ? POOL_BUSY : 0;
	a->refs++;
	if (rc == 0) {
		job_stop(a->job, -ECANCELED);
		if (!a->resolved)
			crew_stop_holders(pool, a->job, -ECANCELED);
		pump_tell(pool);
	}
	async_drop_ref(a);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

uint64_t pool_async_count(const struct pool_async *a)
{
	return a ? a->job->count : 0;
}

int pool_async_status(struct pool_async *a, uint64_t index)
{
	int rc = pool_async_wait(a, 0);
	if (rc < 0)
		return rc == -ETIMEDOUT ? -EAGAIN : rc;
	return index < a->job->count ? job_status_at(a->job, index) : -EINVAL;
}

const struct pool_failure *pool_async_failure(struct pool_async *a)
{
	return pool_async_wait(a, 0) == 0 && a->job->failed ? &a->job->first : NULL;
}

int pool_async_callback_result(struct pool_async *a)
{
	return pool_async_wait(a, 0) == 0 ? a->callback_result : 0;
}

void pool_async_release(struct pool_async *a)
{
	if (!a || pool_usable(a->pool) < 0)
		return;
	struct pool *pool = a->pool;
	pool_ref(pool);
	pthread_mutex_lock(&pool->lock);
	async_drop_ref(a);
	pthread_mutex_unlock(&pool->lock);
	pool_unref(pool);
}
