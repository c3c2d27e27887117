/* check.c - what pool.h promises of an item, a failure, a refusal; compared with what came. */
#include "scripts/chaos/chaos.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { UNREADY_KILLS_MOST = 100 }; /* pool.h: POOL_INIT_FAILED */

static bool flag(const uint32_t *flag)
{
	return __atomic_load_n(flag, __ATOMIC_SEQ_CST);
}

static bool can(const struct operation *op, unsigned what)
{
	return (op->thread->options->row->can & what) == what;
}

static bool is_deadly(const struct item *item)
{
	return item->deed == DO_DIE || item->deed == DO_DIE_ONCE;
}

/* Its initializer fails, or workers were killed as often as a pool puts up with before they were ready (a machine on
 * which a start takes long). */
bool house_may_not_start(const struct house *house)
{
	uint64_t kills = __atomic_load_n(&chaos_shared->kills[house->place], __ATOMIC_SEQ_CST);
	return house->init_fails || kills - house->kills_before >= UNREADY_KILLS_MOST;
}

static bool may_be_stopped(const struct operation *op)
{
	return op->may_cancel || flag(&op->house->terminated);
}

/* ---- one item ---- */

static _Noreturn void item_finding(const struct operation *op, uint64_t i, int status,
				   const char *what)
{
	const struct item *item = &op->item[i];
	uint64_t tally = __atomic_load_n(&chaos_shared->tally[item->word], __ATOMIC_SEQ_CST);
	finding(op->thread,
		"item %llu of %llu: status %d (%s), deed %u(%u), begun %llu, ended %llu, retries "
		"%d, chunk %lld, house mode %d, closed %u, terminated %u: %s",
		(unsigned long long)i, (unsigned long long)op->n, status, pool_strerror(status),
		item->deed, item->amount, (unsigned long long)tally_begun(tally),
		(unsigned long long)tally_ended(tally), op->policy.retries,
		(long long)op->policy.chunk, (int)op->house->mode, flag(&op->house->closed),
		flag(&op->house->terminated), what);
}

static const char *check_result(const struct operation *op, uint64_t i, const void *result)
{
	const struct item *item = &op->item[i];
	const struct pool_bytes *bytes = result;
	if (op->result_size != POOL_VARIABLE)
		return *(const int64_t *)result == item_answer(item, op->kind) ? NULL
									       : "wrong result";
	if (!bytes->data)
		return "no data";
	if (bytes->size != item->size)
		return "result of a wrong size";
	return pattern_is(bytes->data, bytes->size, item->value) ? NULL : "wrong bytes";
}

static const char *check_success(const struct operation *op, uint64_t i, uint64_t begun,
				 uint64_t ended, const void *result)
{
	const struct item *item = &op->item[i];
	if (item->deed == DO_FAIL || item->deed == DO_DIE || item->deed == DO_LONG)
		return "cannot have succeeded";
	if (item->deed == DO_DIE_ONCE && begun < 2)
		return "has died once and did not run again";
	if (begun < 1 || ended < 1)
		return "did not run";
	if (op->policy.retries == 0 && (begun != 1 || ended != 1))
		return "ran more than once";
	return check_result(op, i, result);
}

static const char *check_lost(const struct operation *op, uint64_t i, uint64_t begun)
{
	const struct item *item = &op->item[i];
	if (!can(op, POOL_CAN_SURVIVE))
		return "nobody can die here";
	if (op->house->mode != HOUSE_QUIET)
		return NULL;
	if (!is_deadly(item))
		return "nobody killed its worker";
	if (item->deed == DO_DIE_ONCE && op->policy.retries && !may_be_stopped(op))
		return "was to be run again";
	if (begun != 1 + (uint64_t)op->policy.retries && !may_be_stopped(op))
		return "retries were left";
	return NULL;
}

static const char *check_unrun(const struct operation *op, bool allowed, uint64_t begun)
{
	if (!allowed)
		return "nobody stopped it";
	return can(op, POOL_CAN_KILL) || begun == 0 ? NULL : "has run";
}

static const char *check_failed(const struct operation *op, uint64_t i, int status, uint64_t begun)
{
	const struct house *house = op->house;
	switch (status) {
	case POOL_TASK_ERROR:
		return op->item[i].deed == DO_FAIL && begun ? NULL : "its task did not fail";
	case POOL_WORKER_LOST:
		return check_lost(op, i, begun);
	case POOL_TASK_TIMEOUT:
		return op->may_time_out ? NULL : "has no limit";
	case -ECANCELED:
		return check_unrun(op, op->may_cancel, begun);
	case POOL_TERMINATED:
		return check_unrun(op, flag(&house->terminated), begun);
	case POOL_CLOSED:
		return check_unrun(op, flag(&house->closed), begun);
	case POOL_INIT_FAILED:
		return house_may_not_start(house) && !begun ? NULL
							    : "its pool's initializer is fine";
	default:
		return "not a status of an item";
	}
}

void operation_check_item(const struct operation *op, uint64_t i, int status, const void *result)
{
	uint64_t tally = __atomic_load_n(&chaos_shared->tally[op->first + i], __ATOMIC_SEQ_CST);
	uint64_t begun = tally_begun(tally);
	const char *wrong;
	op->thread->lost += status == POOL_WORKER_LOST;
	op->thread->retried += begun > 1;
	if (begun > 1 + (uint64_t)op->policy.retries)
		item_finding(op, i, status, "ran too often");
	if (status == 0)
		wrong = check_success(op, i, begun, tally_ended(tally), result);
	else
		wrong = check_failed(op, i, status, begun);
	if (wrong)
		item_finding(op, i, status, wrong);
}

/* ---- failures ---- */

static const char *check_death(const struct operation *op, const struct pool_failure *failure)
{
	static const int signals[] = { SIGKILL, SIGSEGV, SIGABRT, SIGTERM };
	uint32_t how = op->item[failure->index].amount;
	if (failure->pid <= 0)
		return "no process";
	if (op->house->mode != HOUSE_QUIET)
		return NULL;
	if (failure->signal != (how < 4 ? signals[how] : 0))
		return "wrong signal";
	return failure->code == (how < 4 ? -1 : how == 4 ? 0 : 3) ? NULL : "wrong exit code";
}

void operation_check_failure(const struct operation *op, const struct pool_failure *failure, int rc)
{
	const char *wrong = NULL;
	char text[64];
	if (!failure)
		finding(op->thread, "answers %d, but there is no failure", rc);
	if (failure->index >= op->n)
		finding(op->thread, "the failure's index is %llu of %llu",
			(unsigned long long)failure->index, (unsigned long long)op->n);
	const struct item *item = &op->item[failure->index];
	if (!failure->message)
		wrong = "no message";
	if (rc != -ETIMEDOUT && failure->status != rc)
		wrong = "another status";
	if (failure->status == POOL_TASK_ERROR) {
		snprintf(text, sizeof text, "item %lld", (long long)item->value);
		if (item->deed != DO_FAIL || failure->code != (int)item->amount)
			wrong = "wrong code";
		else if (failure->message && strcmp(failure->message, text) != 0)
			wrong = "wrong message";
	}
	if (failure->status == POOL_WORKER_LOST)
		wrong = check_death(op, failure);
	if (wrong)
		finding(op->thread,
			"answers %d; failure: status %d, index %llu, code %d, signal %d, pid %d, "
			"\"%s\": %s",
			rc, failure->status, (unsigned long long)failure->index, failure->code,
			failure->signal, (int)failure->pid,
			failure->message ? failure->message : "", wrong);
}

void operation_check_refused(struct operation *op, int rc)
{
	bool fine = (rc == POOL_CLOSED && flag(&op->house->closed)) ||
		    (rc == POOL_INIT_FAILED && house_may_not_start(op->house));
	if (!fine)
		finding(op->thread, "refused with %d (%s), n %llu", rc, pool_strerror(rc),
			(unsigned long long)op->n);
	for (uint64_t i = 0; i < op->n; i++)
		if (tally_begun(chaos_shared->tally[op->first + i]))
			finding(op->thread, "item %llu ran though the call was refused",
				(unsigned long long)i);
}
