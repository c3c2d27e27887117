/* async.h - a handle, shared by async.c and callback.c. */
#ifndef POOLS_ASYNC_H
#define POOLS_ASYNC_H

#include "pools/pool_core.h"

struct pool_async {
	struct pool *pool;
	struct pool_job *job;
	void *copies[POOL_COLUMNS_MAX]; /* of the arguments */
	int (*callback)(struct pool_async *async, void *user);
	int (*error_callback)(struct pool_async *async, void *user);
	void *user;
	int callback_result;
	bool resolved, called, calling; /* called: its callback, if any, has run */
	int refs;
	struct pool_async *next; /* in the pool's callback queue */
};

void async_drop_ref(struct pool_async *a); /* under the lock */

/* callback.c, all under the lock. */
bool is_callback_thread(const struct pool *pool);
void callback_run(struct pool *pool);	   /* the next one; lets go of the lock */
void callback_queue(struct pool_async *a); /* resolved: to be called */
int callback_want(struct pool *pool,
		  const struct pool_async *a); /* the thread exists; 0 or -errno */
bool has_callback(const struct pool_async *a);

#endif
