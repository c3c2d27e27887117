/*
 * callback.c - the thread that runs callbacks, one at a time.
 *
 * DESIGN. A thread of its own, so a slow callback keeps no worker idle. It is started with the
 * first handle that has a callback. A callback that waits for another handle runs the callbacks
 * queued before that one itself.
 */
#include "pools/async.h"

bool has_callback(const struct pool_async *a)
{
	return a->callback || a->error_callback;
}

bool is_callback_thread(const struct pool *pool)
{
	return pool->callback_runs && pthread_equal(pool->callback_thread, pthread_self());
}

/* Under the lock, which is let go while the callback runs. The handle counts as done for the
 * callback itself. */
void callback_run(struct pool *pool)
{
	struct pool_async *a = pool->callbacks;
	pool->callbacks = a->next;
	if (!pool->callbacks)
		pool->callbacks_tail = &pool->callbacks;
	int (*call)(struct pool_async *, void *) = a->job->failed ? a->error_callback : a->callback;
	a->calling = true;
	pthread_mutex_unlock(&pool->lock);
	int result = call ? call(a, a->user) : 0;
	pthread_mutex_lock(&pool->lock);
	a->callback_result = result;
	a->calling = false;
	a->called = true;
	pool->callbacks_pending--;
	async_drop_ref(a);
	pump_tell(pool);
}

static void *callback_main(void *what)
{
	struct pool *pool = what;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		if (pool->callbacks)
			callback_run(pool);
		else if (pool->callback_quits)
			break;
		else
			pthread_cond_wait(&pool->callback_wake, &pool->lock);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

bool async_callbacks_idle(const struct pool *pool)
{
	return pool->callbacks_pending == 0 || is_callback_thread(pool);
}

void async_stop_callbacks(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	bool runs = pool->callback_runs;
	pool->callback_quits = true;
	pthread_cond_signal(&pool->callback_wake);
	pthread_mutex_unlock(&pool->lock);
	if (runs)
		pthread_join(pool->callback_thread, NULL);
	pool->callback_runs = false;
}

void callback_queue(struct pool_async *a)
{
	struct pool *pool = a->pool;
	a->next = NULL;
	*pool->callbacks_tail = a;
	pool->callbacks_tail = &a->next;
	pool->callbacks_pending++;
	pthread_cond_signal(&pool->callback_wake);
}

int callback_want(struct pool *pool, const struct pool_async *a)
{
	if (!has_callback(a) || pool->callback_runs)
		return 0;
	int rc = crew_thread(&pool->callback_thread, callback_main, pool);
	pool->callback_runs = rc == 0;
	return rc;
}
