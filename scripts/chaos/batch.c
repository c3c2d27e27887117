/* batch.c - the calls that wait: apply, map, starmap; and what can be asked of a pool. */
#include "scripts/chaos/chaos.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static uint64_t choose_count(struct dice *dice)
{
	uint64_t kind = dice_below(dice, 100);
	return dice_below(dice, kind < 45 ? 9 : kind < 88 ? 200 : CHAOS_ITEMS_MOST);
}

static void choose_policy(struct operation *op)
{
	struct dice *dice = &op->dice;
	if (dice_percent(dice, 50))
		op->policy.chunk = (int64_t)dice_below(dice, 40);
	if (dice_percent(dice, 12))
		op->policy.timeout_ns = 1 + (int64_t)dice_below(dice, 20) * CHAOS_MS;
	if (op->house->mode == HOUSE_DOOMED && !op->policy.timeout_ns)
		op->policy.timeout_ns = (int64_t)(20 + dice_below(dice, 200)) * CHAOS_MS;
	op->may_cancel = op->may_cancel || op->policy.timeout_ns;
}

/* ---- what came back ---- */

static void check_statuses(const struct operation *op, int rc)
{
	const int32_t *status = op->policy.statuses;
	const struct pool_failure *failure = op->policy.failure;
	uint64_t lowest = op->n;
	for (uint64_t i = op->n; i-- > 0;) {
		operation_check_item(op, i, status[i], operation_result(op, i));
		if (status[i])
			lowest = i;
	}
	if ((lowest == op->n) != (rc == 0))
		finding(op->thread, "answers %d, first failing item %llu of %llu", rc,
			(unsigned long long)lowest, (unsigned long long)op->n);
	if (rc == 0)
		return;
	if (rc == -ETIMEDOUT && !op->policy.timeout_ns)
		finding(op->thread, "ran out of time without a timeout");
	operation_check_failure(op, failure, rc);
	if (rc != -ETIMEDOUT && status[failure->index] != failure->status)
		finding(op->thread, "the failure of item %llu says %d, its status %d",
			(unsigned long long)failure->index, failure->status,
			status[failure->index]);
	if (!op->may_cancel && !op->house->terminated && failure->index != lowest)
		finding(op->thread, "the failure is that of item %llu, item %llu failed too",
			(unsigned long long)failure->index, (unsigned long long)lowest);
}

static bool is_refusal(const struct operation *op, int rc)
{
	return (rc == POOL_CLOSED || rc == POOL_INIT_FAILED) && op->policy.failure->pid == 0 &&
	       op->n && tally_begun(chaos_shared->tally[op->first]) == 0 &&
	       op->policy.statuses[0] == rc;
}

static void check_batch(struct operation *op, int rc)
{
	const int32_t *status = op->policy.statuses;
	for (uint64_t i = 0; i < op->n; i++)
		if (status[i] == INT_MIN)
			finding(op->thread, "answers %d, status of item %llu was not written", rc,
				(unsigned long long)i);
	if (rc && (op->n == 0 || is_refusal(op, rc)))
		operation_check_refused(op, rc);
	else
		check_statuses(op, rc);
}

static int run_call(struct operation *op)
{
	struct pool *pool = op->house->pool;
	const struct pool_task *task = kind_task(op->kind);
	int rc;
	call_begin(op->thread, op->name);
	if (strcmp(op->name, "pool_apply") == 0)
		rc = pool_apply(pool, task, op->column, op->columns, op->results, op->result_size,
				&op->policy);
	else if (op->columns == 1)
		rc = pool_map(pool, task, op->column[0].data, op->column[0].size, op->n,
			      op->results, op->result_size, &op->policy);
	else
		rc = pool_starmap(pool, task, op->column, op->columns, op->n, op->results,
				  op->result_size, &op->policy);
	call_end(op->thread);
	return rc;
}

static void do_batch(struct thread *thread, struct dice *dice, const char *name, uint64_t n)
{
	struct pool_failure failure = { 0 };
	struct operation op;
	struct house *house = house_enter(thread, dice);
	operation_init(&op, thread, house, dice, name);
	op.item_in_pool = dice_percent(&op.dice, 15);
	op.results_in_pool = dice_percent(&op.dice, 15);
	operation_make(&op, n);
	choose_policy(&op);
	op.policy.failure = &failure;
	op.policy.statuses = malloc((op.n + 1) * sizeof *op.policy.statuses);
	if (!op.policy.statuses)
		finding(thread, "no memory");
	for (uint64_t i = 0; i < op.n; i++)
		op.policy.statuses[i] = INT_MIN;
	check_batch(&op, run_call(&op));
	free(op.policy.statuses);
	pool_failure_clear(&failure);
	operation_end(&op, false);
	house_leave(house);
	house_unref(house);
}

void do_apply(struct thread *thread, struct dice *dice)
{
	do_batch(thread, dice, "pool_apply", 1);
}

void do_map(struct thread *thread, struct dice *dice)
{
	do_batch(thread, dice, "pool_map", choose_count(dice));
}

/* ---- questions ---- */

static void use_memory(struct thread *thread, struct house *house, struct dice *dice)
{
	uint64_t size = 1 + dice_below(dice, dice_percent(dice, 10) ? 8 << 20 : 5000);
	unsigned char *memory = pool_alloc(house->pool, size);
	if (!memory)
		finding(thread, "pool_alloc(%llu): no memory", (unsigned long long)size);
	pattern_fill(memory, size, (int64_t)size);
	chaos_sleep_ns((int64_t)dice_below(dice, 1000) * 1000);
	if (!pattern_is(memory, size, (int64_t)size))
		finding(thread, "memory of pool_alloc was overwritten");
	pool_free(house->pool, memory);
}

void do_ask(struct thread *thread, struct dice *dice)
{
	struct pool_stats stats;
	struct pool_worker_stats worker;
	struct house *house = house_enter(thread, dice);
	thread->operation = "questions";
	call_begin(thread, "pool_stats");
	int rc = pool_stats(house->pool, &stats);
	for (int i = 0; rc == 0 && i < house->workers; i++)
		rc = pool_worker_stats(house->pool, i, &worker);
	call_end(thread);
	if (rc || stats.done > stats.submitted || stats.failed > stats.submitted)
		finding(thread, "answers %d: %llu submitted, %llu done, %llu failed", rc,
			(unsigned long long)stats.submitted, (unsigned long long)stats.done,
			(unsigned long long)stats.failed);
	if (pool_worker_pid(house->pool, -1) != -EINVAL)
		finding(thread, "there is a worker -1");
	use_memory(thread, house, dice);
	house_leave(house);
	house_unref(house);
}
