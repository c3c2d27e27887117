/*
 * async.c - the calls that return a handle: polled, waited for, cancelled, released early, kept.
 *
 * DESIGN. An *orphan* is a handle that is kept while its thread does other things; its pool may be
 * gone by the time it is asked. What a callback needs lives until both the callback has run and the
 * operation is over.
 */
#include "scripts/chaos/chaos.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ORPHAN_AGE = 16 }; /* operations: fewer tallies than a thread has */

struct reply {
	struct house *house;
	int refs;
	bool nested;
	uint32_t good, bad, unready;
	int answer;
};

struct orphan {
	struct operation op;
	struct pool_async *async;
	struct reply *reply;
	uint64_t born;
};

static void reply_unref(struct reply *reply)
{
	if (!reply || __atomic_sub_fetch(&reply->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	house_unref(reply->house);
	free(reply);
}

/* ---- callbacks ---- */

/* A callback may use the pool; while it is destroyed nobody may. */
static void use_pool(struct reply *reply)
{
	struct house *house = reply->house;
	struct item item = { .tag = UINT32_MAX, .value = 12, .has_local = house->has_local };
	const struct pool_column column = { &item, sizeof item };
	const struct pool_policy policy = { .timeout_ns = 100 * CHAOS_MS };
	int64_t result = -1;
	if (pthread_rwlock_tryrdlock(&house->guard))
		return;
	int rc = house->gone ? -1
			     : pool_apply(house->pool, kind_task(KIND_FIXED), &column, 1, &result,
					  sizeof result, &policy);
	if (rc == 0 && result != item_answer(&item, KIND_FIXED))
		__atomic_add_fetch(&chaos_shared->corrupt, 1, __ATOMIC_SEQ_CST);
	pthread_rwlock_unlock(&house->guard);
}

static int note(struct pool_async *async, struct reply *reply, uint32_t *count)
{
	int answer = reply->answer;
	if (!pool_async_ready(async))
		__atomic_add_fetch(&reply->unready, 1, __ATOMIC_SEQ_CST);
	if (reply->nested)
		use_pool(reply);
	__atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&reply->house->callbacks_run, 1, __ATOMIC_SEQ_CST);
	reply_unref(reply);
	return answer;
}

static int on_success(struct pool_async *async, void *user)
{
	struct reply *reply = user;
	return note(async, reply, &reply->good);
}

static int on_error(struct pool_async *async, void *user)
{
	struct reply *reply = user;
	return note(async, reply, &reply->bad);
}

static struct reply *reply_new(struct operation *op)
{
	struct reply *reply = calloc(1, sizeof *reply);
	if (!reply)
		finding(op->thread, "no memory");
	house_ref(op->house);
	*reply = (struct reply){ .house = op->house,
				 .refs = 2,
				 .nested = dice_percent(&op->dice, 20),
				 .answer = (int)dice_below(&op->dice, 100) };
	op->policy.callback = on_success;
	op->policy.error_callback = on_error;
	op->policy.user = reply;
	__atomic_add_fetch(&op->house->callbacks_due, 1, __ATOMIC_SEQ_CST);
	return reply;
}

/* ---- what came back ---- */

static void check_reply(const struct operation *op, const struct reply *reply,
			struct pool_async *async, int rc)
{
	uint32_t good = __atomic_load_n(&reply->good, __ATOMIC_SEQ_CST),
		 bad = __atomic_load_n(&reply->bad, __ATOMIC_SEQ_CST);
	if (good + bad != 1 || good != (rc == 0))
		finding(op->thread, "the handle says %d; callback %u times, error callback %u", rc,
			good, bad);
	if (reply->unready)
		finding(op->thread, "the handle was not ready in its callback");
	if (pool_async_callback_result(async) != reply->answer)
		finding(op->thread, "the callback returned %d, kept is %d", reply->answer,
			pool_async_callback_result(async));
}

static void check_items(const struct operation *op, struct pool_async *async, int rc)
{
	uint64_t lowest = op->n;
	for (uint64_t i = op->n; i-- > 0;) {
		int status = pool_async_status(async, i);
		operation_check_item(op, i, status, operation_result(op, i));
		if (status)
			lowest = i;
	}
	if ((lowest == op->n) != (rc == 0))
		finding(op->thread, "the handle says %d, first failing item %llu of %llu", rc,
			(unsigned long long)lowest, (unsigned long long)op->n);
	if (rc == 0)
		return;
	const struct pool_failure *failure = pool_async_failure(async);
	operation_check_failure(op, failure, rc);
	if (pool_async_status(async, failure->index) != rc)
		finding(op->thread, "the handle says %d, item %llu of its failure %d", rc,
			(unsigned long long)failure->index,
			pool_async_status(async, failure->index));
	if (!op->may_cancel && !op->house->terminated && failure->index != lowest)
		finding(op->thread, "the failure is that of item %llu, item %llu failed too",
			(unsigned long long)failure->index, (unsigned long long)lowest);
}

/* The handle is waited for: it must resolve. */
static void check_handle(struct operation *op, struct pool_async *async, const struct reply *reply)
{
	call_begin(op->thread, "pool_async_wait");
	int rc = pool_async_wait(async, POOL_FOREVER);
	call_end(op->thread);
	if (rc)
		finding(op->thread, "pool_async_wait answers %d", rc);
	rc = pool_async_get(async, NULL, 0);
	int again = pool_async_get(async, op->results, POOL_FOREVER);
	if (rc != again)
		finding(op->thread, "pool_async_get answers %d, then %d", rc, again);
	if (!pool_async_ready(async) || pool_async_successful(async) != (rc == 0) ||
	    pool_async_count(async) != op->n)
		finding(op->thread, "the handle says %d; ready %d, successful %d, count %llu", rc,
			pool_async_ready(async), pool_async_successful(async),
			(unsigned long long)pool_async_count(async));
	check_items(op, async, rc);
	if (reply)
		check_reply(op, reply, async, rc);
	if (pool_async_cancel(async) != POOL_BUSY)
		finding(op->thread, "a handle that has resolved can be cancelled");
}

/* ---- what is done meanwhile ---- */

static void cancel(struct operation *op, struct pool_async *async)
{
	call_begin(op->thread, "pool_async_cancel");
	int rc = pool_async_cancel(async);
	call_end(op->thread);
	if (rc && rc != POOL_BUSY)
		finding(op->thread, "pool_async_cancel answers %d", rc);
	op->may_cancel = op->may_cancel || rc == 0;
}

static void pester(struct operation *op, struct pool_async *async)
{
	int64_t time_ns = (int64_t)dice_below(&op->dice, 8) * CHAOS_MS;
	int rc = 0;
	call_begin(op->thread, "a call on a handle");
	switch (dice_below(&op->dice, 5)) {
	case 0:
		rc = pool_async_wait(async, time_ns);
		break;
	case 1:
		rc = pool_async_ready(async) ? 0 : -ETIMEDOUT;
		break;
	case 2:
		rc = pool_async_get(async, NULL, 0) == -ETIMEDOUT ? -ETIMEDOUT : 0;
		break;
	case 3:
		pool_async_failure(async);
		pool_async_successful(async);
		pool_async_status(async, 0);
		break;
	default:
		chaos_sleep_ns(time_ns);
	}
	call_end(op->thread);
	if (rc && rc != -ETIMEDOUT)
		finding(op->thread, "pool_async_wait answers %d", rc);
}

static int submit(struct operation *op, struct pool_async **async)
{
	struct pool *pool = op->house->pool;
	const struct pool_task *task = kind_task(op->kind);
	int rc;
	call_begin(op->thread, op->name);
	if (op->n == 1)
		rc = pool_apply_async(pool, task, op->column, op->columns, op->result_size,
				      &op->policy, async);
	else if (op->columns == 1)
		rc = pool_map_async(pool, task, op->column[0].data, op->column[0].size, op->n,
				    op->result_size, &op->policy, async);
	else
		rc = pool_starmap_async(pool, task, op->column, op->columns, op->n, op->result_size,
					&op->policy, async);
	call_end(op->thread);
	return rc;
}

static void refused(struct operation *op, struct reply *reply, int rc)
{
	operation_check_refused(op, rc);
	if (!reply)
		return;
	__atomic_sub_fetch(&op->house->callbacks_due, 1, __ATOMIC_SEQ_CST);
	reply->refs = 1; /* no callback will come */
}

/* ---- orphans ---- */

static void settle(struct thread *thread, int which)
{
	struct orphan *orphan = thread->orphan[which];
	struct operation *op = &orphan->op;
	thread->orphan[which] = NULL;
	thread->operation = "a kept handle";
	house_reenter(op->house);
	if (op->house->mode == HOUSE_DOOMED)
		cancel(op, orphan->async);
	check_handle(op, orphan->async, orphan->reply);
	call_begin(thread, "pool_async_release");
	pool_async_release(orphan->async);
	call_end(thread);
	house_leave(op->house);
	reply_unref(orphan->reply);
	operation_end(op, false);
	free(orphan);
}

void orphans_settle(struct thread *thread, bool all)
{
	for (int i = 0; i < ORPHANS; i++)
		if (thread->orphan[i] &&
		    (all || thread->operations - thread->orphan[i]->born > ORPHAN_AGE))
			settle(thread, i);
}

static bool keep(struct thread *thread, const struct operation *op, struct pool_async *async,
		 struct reply *reply)
{
	for (int i = 0; i < ORPHANS; i++)
		if (!thread->orphan[i]) {
			struct orphan *orphan = calloc(1, sizeof *orphan);
			if (!orphan)
				finding(thread, "no memory");
			*orphan = (struct orphan){ *op, async, reply, thread->operations };
			thread->orphan[i] = orphan;
			return true;
		}
	return false;
}

/* ---- the operation ---- */

static void use_handle(struct operation *op, struct pool_async *async, struct reply *reply)
{
	uint64_t fate = dice_below(&op->dice, 100);
	for (uint64_t k = dice_below(&op->dice, 4); k > 0; k--)
		pester(op, async);
	if (fate < 15 || (op->house->mode == HOUSE_DOOMED && fate < 70))
		cancel(op, async);
	if (fate >= 85 && keep(op->thread, op, async, reply))
		return;
	if (op->house->mode == HOUSE_DOOMED && fate >= 70)
		cancel(op, async);
	bool early = fate >= 70 && fate < 85;
	if (!early)
		check_handle(op, async, reply);
	call_begin(op->thread, "pool_async_release");
	pool_async_release(async);
	call_end(op->thread);
	operation_end(op, early);
	reply_unref(reply);
}

void do_async(struct thread *thread, struct dice *dice)
{
	struct operation op;
	struct pool_async *async = NULL;
	struct house *house = house_enter(thread, dice);
	operation_init(&op, thread, house, dice, "an asynchronous call");
	uint64_t kind = dice_below(&op.dice, 10);
	operation_make(&op, kind < 4 ? 1 : dice_below(&op.dice, kind < 9 ? 150 : CHAOS_ITEMS_MOST));
	if (dice_percent(&op.dice, 50))
		op.policy.chunk = (int64_t)dice_below(&op.dice, 40);
	struct reply *reply = dice_percent(&op.dice, 50) ? reply_new(&op) : NULL;
	int rc = submit(&op, &async);
	if (rc == 0) {
		use_handle(&op, async, reply);
	} else {
		refused(&op, reply, rc);
		reply_unref(reply);
		operation_end(&op, false);
	}
	house_leave(house);
	house_unref(house);
}
