/*
 * operation.c - an operation's items, and what may become of them.
 *
 * DESIGN. An operation has a run of its thread's tallies, marked with its tag; a task that comes
 * late finds another tag. A finished operation goes into a grave: when its tallies are wanted again,
 * and at the end, nothing of it may have run since.
 */
#include "scripts/chaos/chaos.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- graves ---- */

static uint64_t tally_of(uint32_t word)
{
	return __atomic_load_n(&chaos_shared->tally[word], __ATOMIC_SEQ_CST);
}

static uint64_t sum_begun(const struct thread *thread, const struct grave *grave)
{
	uint64_t sum = 0;
	for (uint32_t i = 0; i < grave->count; i++) {
		uint64_t begun = tally_begun(tally_of(grave->first + i));
		if (begun > 1 + (uint64_t)grave->retries)
			finding(thread, "an item of operation tag %u ran %llu times, %d retries",
				grave->tag, (unsigned long long)begun, grave->retries);
		sum += begun;
	}
	return sum;
}

static void check_oldest(struct thread *thread)
{
	const struct grave *grave = &thread->grave[thread->grave_first];
	uint64_t begun = sum_begun(thread, grave);
	if (!grave->open && begun != grave->begun)
		finding(thread, "items of operation tag %u ran after its end: %llu, then %llu",
			grave->tag, (unsigned long long)grave->begun, (unsigned long long)begun);
	thread->grave_first = (thread->grave_first + 1) % GRAVES;
	thread->graves--;
}

static bool overlaps(const struct thread *thread, uint32_t first, uint32_t count)
{
	for (unsigned i = 0; i < thread->graves; i++) {
		const struct grave *grave = &thread->grave[(thread->grave_first + i) % GRAVES];
		if (grave->first < first + count && first < grave->first + grave->count)
			return true;
	}
	return false;
}

void graves_check(struct thread *thread)
{
	while (thread->graves)
		check_oldest(thread);
}

static void bury(struct operation *op, bool released)
{
	struct thread *thread = op->thread;
	if (thread->graves == GRAVES)
		check_oldest(thread);
	struct grave *grave = &thread->grave[(thread->grave_first + thread->graves++) % GRAVES];
	*grave = (struct grave){ .first = op->first,
				 .count = (uint32_t)op->n,
				 .tag = op->tag,
				 .retries = op->policy.retries,
				 .open = released };
	grave->begun = sum_begun(thread, grave);
}

static void take_tallies(struct operation *op)
{
	struct thread *thread = op->thread;
	const uint32_t base = (uint32_t)thread->number * CHAOS_TALLIES;
	if (thread->tally_next + op->n > CHAOS_TALLIES)
		thread->tally_next = 0;
	op->first = base + thread->tally_next;
	thread->tally_next += (uint32_t)op->n;
	op->tag = ++thread->tag;
	while (overlaps(thread, op->first, (uint32_t)op->n))
		check_oldest(thread);
	for (uint64_t i = 0; i < op->n; i++)
		__atomic_store_n(&chaos_shared->tally[op->first + i], (uint64_t)op->tag << 32,
				 __ATOMIC_SEQ_CST);
}

/* ---- making ---- */

enum { FEW = 40 };

static bool can(const struct operation *op, unsigned what)
{
	return (op->thread->options->row->can & what) == what;
}

void operation_init(struct operation *op, struct thread *thread, struct house *house,
		    struct dice *dice, const char *name)
{
	*op = (struct operation){ .thread = thread, .house = house, .dice = *dice, .name = name };
	thread->operation = name;
	house_ref(house);
	struct dice *own = &op->dice;
	op->kind = (enum kind)dice_below(own, KINDS);
	op->policy.retries = dice_percent(own, 40) ? (int)dice_below(own, 4) : 0;
	op->policy.fail_fast = dice_percent(own, 12);
	if (can(op, POOL_CAN_KILL) && dice_percent(own, 10))
		op->policy.task_timeout_ns = (int64_t)(10 + dice_below(own, 50)) * CHAOS_MS;
	op->may_time_out = op->policy.task_timeout_ns || house->limited;
	op->may_cancel = op->policy.fail_fast;
}

static void do_deed_to_some(struct operation *op, unsigned most, enum deed deed, uint32_t amount)
{
	for (uint64_t k = 1 + dice_below(&op->dice, most); k && op->n; k--) {
		struct item *item = &op->item[dice_below(&op->dice, op->n)];
		item->deed = deed;
		item->amount = deed == DO_LONG ? amount : (uint32_t)dice_below(&op->dice, amount);
	}
}

static void choose_deeds(struct operation *op)
{
	struct dice *dice = &op->dice;
	uint64_t profile = dice_below(dice, 100);
	bool many = op->n > 100;
	for (uint64_t i = 0; i < op->n; i++) {
		struct item *item = &op->item[i];
		if (profile < 30)
			continue;
		if (profile < 55) {
			item->deed = DO_SPIN;
			item->amount = (uint32_t)dice_below(dice, many ? 30 : 300);
		} else if (profile < 72 && dice_percent(dice, many ? 2 : 60)) {
			item->deed = DO_SLEEP;
			item->amount = (uint32_t)dice_below(dice, 2500);
		} else if (profile >= 72 && profile < 85 && dice_percent(dice, 10)) {
			item->deed = DO_FAIL;
			item->amount = 1 + (uint32_t)dice_below(dice, 1000);
		}
	}
	if (profile >= 85 && profile < 95 && can(op, POOL_CAN_SURVIVE)) {
		do_deed_to_some(op, 2, DO_DIE, 6);
		do_deed_to_some(op, 3, DO_DIE_ONCE, 6);
	} else if (profile >= 95 && op->may_time_out) {
		do_deed_to_some(op, 2, DO_LONG, 20000000);
	}
}

/* Most are small; some fill pipes, few are megabytes. */
static uint64_t choose_size(struct operation *op)
{
	uint64_t kind = dice_below(&op->dice, 200);
	if (kind == 0 && op->n < 8)
		return dice_below(&op->dice, 3 << 20);
	if (kind < 8 && op->n < 60)
		return dice_below(&op->dice, 200000);
	return kind < 60 ? 0 : dice_below(&op->dice, 300);
}

static void make_bytes(struct operation *op)
{
	const uint64_t head = op->kind == KIND_BLOB ? sizeof(struct item) : 0;
	op->bytes = calloc(op->n + 1, sizeof *op->bytes);
	for (uint64_t i = 0; op->bytes && i < op->n; i++) {
		struct item *item = &op->item[i];
		uint64_t size = choose_size(op);
		item->size = (uint32_t)choose_size(op);
		op->bytes[i] = (struct pool_bytes){ malloc(head + size + 1), head + size };
		if (!op->bytes[i].data)
			finding(op->thread, "no memory");
		if (head)
			memcpy(op->bytes[i].data, item, head);
		pattern_fill((char *)op->bytes[i].data + head, size, item->value);
	}
}

static void make_columns(struct operation *op)
{
	op->columns = 1;
	op->column[0] = (struct pool_column){ op->item, sizeof *op->item };
	op->result_size = sizeof(int64_t);
	if (op->kind == KIND_PAIR) {
		op->second = calloc(op->n + 1, sizeof *op->second);
		for (uint64_t i = 0; op->second && i < op->n; i++)
			op->second[i] = op->item[i].value ^ 5;
		op->column[op->columns++] = (struct pool_column){ op->second, sizeof *op->second };
	}
	if (op->kind == KIND_BYTES || op->kind == KIND_BLOB) {
		make_bytes(op);
		op->result_size = POOL_VARIABLE;
		op->columns = op->kind == KIND_BYTES ? 2 : 1;
		op->column[op->columns - 1] = (struct pool_column){ op->bytes, POOL_VARIABLE };
	}
}

/* Memory in place only where the pool is sure to outlive it: what blocks. */
static void *make_array(struct operation *op, bool in_pool, uint64_t size)
{
	void *array =
		in_pool ? pool_alloc(op->house->pool, (op->n + 1) * size) : calloc(op->n + 1, size);
	if (!array)
		finding(op->thread, "no memory");
	memset(array, 0, (op->n + 1) * size);
	return array;
}

void operation_make(struct operation *op, uint64_t n)
{
	if (op->house->slow && n > FEW)
		n %= FEW;
	op->n = n;
	take_tallies(op);
	op->item = make_array(op, op->item_in_pool, sizeof *op->item);
	for (uint64_t i = 0; i < n; i++)
		op->item[i] = (struct item){ .word = op->first + (uint32_t)i,
					     .tag = op->tag,
					     .value = (int64_t)dice_below(&op->dice, 1 << 30),
					     .has_local = op->house->has_local };
	choose_deeds(op);
	make_columns(op);
	op->results_in_pool = op->results_in_pool && op->result_size != POOL_VARIABLE;
	op->results = make_array(op, op->results_in_pool,
				 op->result_size == POOL_VARIABLE ? sizeof(struct pool_bytes)
								  : op->result_size);
	op->thread->items += n;
}

static void give_array(const struct operation *op, void *array, bool in_pool)
{
	if (in_pool)
		pool_free(op->house->pool, array);
	else
		free(array);
}

void operation_end(struct operation *op, bool released)
{
	bury(op, released);
	for (uint64_t i = 0; op->bytes && i < op->n; i++)
		free(op->bytes[i].data);
	free(op->bytes);
	free(op->second);
	if (op->result_size == POOL_VARIABLE)
		pool_bytes_free(op->results, op->n);
	give_array(op, op->results, op->results_in_pool);
	give_array(op, op->item, op->item_in_pool);
	house_unref(op->house);
}

void *operation_result(const struct operation *op, uint64_t i)
{
	return op->result_size == POOL_VARIABLE ? (void *)((struct pool_bytes *)op->results + i)
						: (void *)((int64_t *)op->results + i);
}
