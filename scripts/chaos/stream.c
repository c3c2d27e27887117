/*
 * stream.c - imap and imap_unordered: arrays and generators, some of which fail; read to the end or
 * only in part.
 */
#include "scripts/chaos/chaos.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FEED_ERROR = -777 };

/* The state of a generator, and what the consumer has seen. */
struct feed {
	struct operation *op;
	uint64_t window; /* items; 0: not known */
	uint64_t asked, returned, fails_at;
	void *copy[2]; /* of the item given last */
	bool ordered, generated, error_told;
	uint8_t *seen;
	int last_failed; /* a failed item's status was the last answer */
};

/* ---- the source ---- */

static void drop_copies(struct feed *feed)
{
	free(feed->copy[0]);
	free(feed->copy[1]);
	feed->copy[0] = feed->copy[1] = NULL;
}

/* What it gave before is taken away: nobody may look at it any more. */
static int feed_next(void *state, struct pool_bytes item[])
{
	struct feed *feed = state;
	const struct operation *op = feed->op;
	uint64_t at = feed->asked;
	drop_copies(feed);
	if (feed->window && at + 1 - feed->returned > feed->window)
		finding(op->thread, "asked for item %llu, %llu returned, window %llu",
			(unsigned long long)at, (unsigned long long)feed->returned,
			(unsigned long long)feed->window);
	if (at == feed->fails_at)
		return FEED_ERROR;
	if (at == op->n)
		return 0;
	feed->asked++;
	for (unsigned k = 0; k < op->columns; k++) {
		const struct pool_column *column = &op->column[k];
		const struct pool_bytes *bytes = column->data;
		bool variable = column->size == POOL_VARIABLE;
		const void *from =
			variable ? bytes[at].data : (const char *)column->data + at * column->size;
		uint64_t size = variable ? bytes[at].size : column->size;
		feed->copy[k] = malloc(size + 1);
		if (!feed->copy[k])
			finding(op->thread, "no memory");
		memcpy(feed->copy[k], from, size);
		item[k].data = feed->copy[k];
		item[k].size = size;
	}
	return 1;
}

static struct pool_source source_of(struct feed *feed)
{
	struct operation *op = feed->op;
	struct pool_source source = pool_columns(op->column, op->columns, op->n);
	if (feed->generated) {
		source.next = feed_next;
		source.state = feed;
	}
	return source;
}

static void choose_window(struct feed *feed)
{
	struct operation *op = feed->op;
	struct dice *dice = &op->dice;
	op->policy.chunk = dice_percent(dice, 50) ? (int64_t)dice_below(dice, 12) : 0;
	op->policy.window = dice_percent(dice, 75) ? (int64_t)dice_below(dice, 70) : 0;
	uint64_t chunk = op->policy.chunk ? (uint64_t)op->policy.chunk : 1;
	uint64_t window = (uint64_t)op->policy.window;
	feed->window = window && window < chunk ? chunk : window / chunk * chunk;
}

/* ---- results ---- */

static bool is_over(const struct feed *feed)
{
	const struct house *house = feed->op->house;
	return __atomic_load_n(&house->closed, __ATOMIC_SEQ_CST);
}

static void take_item(struct feed *feed, uint64_t index, int status)
{
	struct operation *op = feed->op;
	if (index >= op->n || (feed->generated && index >= feed->asked))
		finding(op->thread, "result of item %llu, which was not read",
			(unsigned long long)index);
	if (feed->seen[index]++)
		finding(op->thread, "second result of item %llu", (unsigned long long)index);
	if (feed->ordered && index != feed->returned)
		finding(op->thread, "result of item %llu, expected is %llu",
			(unsigned long long)index, (unsigned long long)feed->returned);
	feed->returned++;
	operation_check_item(op, index, status, operation_result(op, index));
}

/* The source's error comes once, after everything that was read before. */
static void take_feed_error(struct feed *feed)
{
	const struct operation *op = feed->op;
	if (!feed->generated || feed->asked != feed->fails_at || feed->error_told ||
	    feed->returned != feed->asked)
		finding(op->thread, "error of the source after %llu of %llu items, failing at %llu",
			(unsigned long long)feed->returned, (unsigned long long)feed->asked,
			(unsigned long long)feed->fails_at);
	feed->error_told = true;
}

static void check_end(const struct feed *feed, bool any_failed)
{
	const struct operation *op = feed->op;
	uint64_t all = feed->fails_at < op->n ? feed->fails_at : op->n;
	if (is_over(feed) || house_may_not_start(op->house) || (op->policy.fail_fast && any_failed))
		return;
	if (feed->returned != all)
		finding(op->thread, "the end after %llu of %llu items",
			(unsigned long long)feed->returned, (unsigned long long)all);
	if (feed->generated && feed->fails_at <= op->n && !feed->error_told)
		finding(op->thread, "the end, but the source's error was not told");
}

/* Is this answer the outcome of an item, not of the iteration? */
static bool is_item(const struct feed *feed, struct pool_iter *iter, int rc)
{
	const struct pool_failure *failure = pool_iter_failure(iter);
	uint64_t index = pool_iter_index(iter);
	if (rc == 0)
		return true;
	if (!failure || failure->status != rc)
		finding(feed->op->thread, "pool_iter_next answers %d, its failure has %d", rc,
			failure ? failure->status : 0);
	if (failure->index == UINT64_MAX)
		return false;
	return index < feed->op->n && !feed->seen[index];
}

/* One answer of next; false: the iteration is over. */
static bool take(struct feed *feed, struct pool_iter *iter, int rc, struct pool_bytes *room,
		 bool *any_failed)
{
	struct operation *op = feed->op;
	uint64_t index = pool_iter_index(iter);
	if (rc == POOL_END) {
		check_end(feed, *any_failed);
		return false;
	}
	if (rc == -ETIMEDOUT)
		return true;
	if (is_item(feed, iter, rc)) {
		if (rc == 0 && index < op->n && op->result_size == POOL_VARIABLE)
			((struct pool_bytes *)op->results)[index] = *room;
		else if (rc == 0 && index < op->n)
			memcpy(operation_result(op, index), room, sizeof(int64_t));
		take_item(feed, index, rc);
		if (rc)
			operation_check_failure(op, pool_iter_failure(iter), rc);
		*any_failed = *any_failed || rc;
		return true;
	}
	if (rc == FEED_ERROR) {
		take_feed_error(feed);
		return true;
	}
	if (rc == POOL_TERMINATED && op->house->terminated)
		return false;
	if ((rc == POOL_CLOSED && is_over(feed)) ||
	    (rc == POOL_INIT_FAILED && house_may_not_start(op->house)))
		return true;
	finding(op->thread, "pool_iter_next answers %d (%s) after %llu of %llu items", rc,
		pool_strerror(rc), (unsigned long long)feed->returned, (unsigned long long)op->n);
}

static int64_t choose_wait(struct operation *op)
{
	uint64_t kind = dice_below(&op->dice, 10);
	if (kind < 7 && op->house->mode != HOUSE_DOOMED)
		return POOL_FOREVER;
	return kind < 8 ? 0 : (int64_t)dice_below(&op->dice, 10) * CHAOS_MS;
}

/* True: everything that was read has been returned. */
static bool consume(struct feed *feed, struct pool_iter *iter)
{
	struct operation *op = feed->op;
	struct pool_bytes room;
	bool any_failed = false, more = true;
	uint64_t most = dice_percent(&op->dice, 30) ? dice_below(&op->dice, op->n + 1) : UINT64_MAX;
	int64_t progress_ns = chaos_now_ns();
	while (more && feed->returned < most) {
		int64_t timeout_ns = choose_wait(op);
		uint64_t before = feed->returned;
		call_begin(op->thread, "pool_iter_next");
		int rc = pool_iter_next(iter, &room, timeout_ns);
		call_end(op->thread);
		if (rc == -ETIMEDOUT && timeout_ns == POOL_FOREVER)
			finding(op->thread, "pool_iter_next ran out of time without a limit");
		more = take(feed, iter, rc, &room, &any_failed);
		if (feed->returned != before)
			progress_ns = chaos_now_ns();
		int64_t idle_ns = chaos_now_ns() - progress_ns;
		if (op->house->mode == HOUSE_DOOMED && idle_ns > 150 * CHAOS_MS)
			return false;
		if (idle_ns > op->thread->options->bound_ns)
			finding(op->thread, "no result after %llu of %llu items for too long",
				(unsigned long long)feed->returned, (unsigned long long)op->n);
	}
	if (!more) {
		int rc = pool_iter_next(iter, &room, 0);
		if (rc != POOL_END && rc != POOL_TERMINATED)
			finding(op->thread, "pool_iter_next answers %d after the end", rc);
	}
	return !more && !op->house->terminated;
}

static int open_iter(struct feed *feed, struct pool_iter **iter)
{
	struct operation *op = feed->op;
	struct pool *pool = op->house->pool;
	const struct pool_task *task = kind_task(op->kind);
	struct pool_source source = source_of(feed);
	call_begin(op->thread, op->name);
	int rc = feed->ordered ? pool_imap(pool, task, source, op->result_size, &op->policy, iter)
			       : pool_imap_unordered(pool, task, source, op->result_size,
						     &op->policy, iter);
	call_end(op->thread);
	return rc;
}

static void choose_feed(struct feed *feed)
{
	struct operation *op = feed->op;
	struct dice *dice = &op->dice;
	feed->generated = dice_percent(dice, 50);
	feed->fails_at = UINT64_MAX;
	if (feed->generated && dice_percent(dice, 20))
		feed->fails_at = dice_below(dice, op->n + 1);
	feed->seen = calloc(op->n + 1, 1);
	if (!feed->seen)
		finding(op->thread, "no memory");
	choose_window(feed);
}

void do_imap(struct thread *thread, struct dice *dice)
{
	struct operation op;
	struct pool_iter *iter = NULL;
	bool whole = false;
	struct house *house = house_enter(thread, dice);
	struct feed feed = { .op = &op, .ordered = dice_percent(dice, 50) };
	operation_init(&op, thread, house, dice,
		       feed.ordered ? "pool_imap" : "pool_imap_unordered");
	operation_make(&op,
		       dice_below(&op.dice, dice_percent(&op.dice, 80) ? 120 : CHAOS_ITEMS_MOST));
	choose_feed(&feed);
	int rc = open_iter(&feed, &iter);
	if (rc == 0) {
		whole = consume(&feed, iter);
		call_begin(thread, "pool_iter_release");
		pool_iter_release(iter);
		call_end(thread);
	} else {
		operation_check_refused(&op, rc);
	}
	drop_copies(&feed);
	free(feed.seen);
	operation_end(&op, !whole && rc == 0);
	house_leave(house);
	house_unref(house);
}
