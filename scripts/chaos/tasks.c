/* tasks.c - what workers run: count, do a deed, answer. */
#include "scripts/chaos/chaos.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { LOCAL_MARK = 4711, BLOCK = 64 };

/* ---- contents of variable size ---- */

static void fill_block(unsigned char block[BLOCK], int64_t value, uint64_t number)
{
	uint64_t head = (uint64_t)value * 2654435761u + number;
	memset(block, (int)(head & 0xff), BLOCK);
	memcpy(block, &head, sizeof head);
}

void pattern_fill(void *data, uint64_t size, int64_t value)
{
	unsigned char block[BLOCK], *to = data;
	for (uint64_t at = 0; at < size; at += BLOCK) {
		fill_block(block, value, at);
		memcpy(to + at, block, size - at < BLOCK ? size - at : BLOCK);
	}
}

bool pattern_is(const void *data, uint64_t size, int64_t value)
{
	unsigned char block[BLOCK];
	const unsigned char *from = data;
	for (uint64_t at = 0; at < size; at += BLOCK) {
		fill_block(block, value, at);
		if (memcmp(from + at, block, size - at < BLOCK ? size - at : BLOCK) != 0)
			return false;
	}
	return true;
}

/* ---- counting ---- */

/* Returns what the tally says now; one of another operation is left alone. */
static uint64_t tally_add(const struct item *item, uint64_t amount)
{
	uint64_t *tally = &chaos_shared_here()->tally[item->word];
	uint64_t seen = __atomic_load_n(tally, __ATOMIC_RELAXED);
	do {
		if (seen >> 32 != item->tag)
			return 0;
	} while (!__atomic_compare_exchange_n(tally, &seen, seen + amount, false, __ATOMIC_SEQ_CST,
					      __ATOMIC_RELAXED));
	return seen + amount;
}

static void report_corrupt(void)
{
	__atomic_add_fetch(&chaos_shared_here()->corrupt, 1, __ATOMIC_SEQ_CST);
}

/* ---- deeds ---- */

/* Sanitizers handle some of these signals themselves; here the signal is the point. */
static void die(uint32_t how)
{
	static const int signals[] = { SIGKILL, SIGSEGV, SIGABRT, SIGTERM };
	if (how < 4) {
		signal(signals[how], SIG_DFL);
		raise(signals[how]);
	}
	_exit(how == 4 ? 0 : 3);
}

static void spin(int64_t ns)
{
	for (int64_t until = chaos_now_ns() + ns; chaos_now_ns() < until;)
		;
}

static int do_deed(struct pool_call *call, const struct item *item, uint64_t begun)
{
	switch ((enum deed)item->deed) {
	case DO_SPIN:
		spin(item->amount * INT64_C(1000));
		break;
	case DO_SLEEP:
	case DO_LONG:
		chaos_sleep_ns(item->amount * INT64_C(1000));
		break;
	case DO_FAIL:
		return pool_fail(call, (int)item->amount, "item %lld", (long long)item->value);
	case DO_DIE_ONCE:
		if (begun > 1)
			break;
		die(item->amount);
		break;
	case DO_DIE:
		die(item->amount);
		break;
	case DO_QUICK:
		break;
	}
	return 0;
}

int64_t item_answer(const struct item *item, enum kind kind)
{
	return item->value * item->value + (kind == KIND_PAIR ? item->value ^ 5 : 1);
}

static int perform(struct pool_call *call, const struct item *item)
{
	uint64_t begun = tally_begun(tally_add(item, 1));
	if (item->has_local && pool_local(call) != (void *)(uintptr_t)LOCAL_MARK)
		report_corrupt();
	int code = do_deed(call, item, begun);
	if (code == 0)
		tally_add(item, 1 << 16);
	return code;
}

static int answer_bytes(struct pool_call *call, const struct item *item)
{
	void *to = pool_result_alloc(call, item->size);
	if (!to)
		return pool_fail(call, 12345, "no room");
	pattern_fill(to, item->size, item->value);
	return 0;
}

static int chaos_fixed(struct pool_call *call)
{
	const struct item *item = pool_arg(call, 0);
	int code = perform(call, item);
	if (code == 0)
		*(int64_t *)pool_result(call) = item_answer(item, KIND_FIXED);
	return code;
}
POOL_TASK(chaos_fixed)

static int chaos_pair(struct pool_call *call)
{
	const struct item *item = pool_arg(call, 0);
	const int64_t *second = pool_arg(call, 1);
	int code = perform(call, item);
	if (code == 0)
		*(int64_t *)pool_result(call) = item->value * item->value + *second;
	return code;
}
POOL_TASK(chaos_pair)

static int chaos_bytes(struct pool_call *call)
{
	struct item item;
	memcpy(&item, pool_arg(call, 0), sizeof item);
	if (!pattern_is(pool_arg(call, 1), pool_arg_size(call, 1), item.value))
		report_corrupt();
	int code = perform(call, &item);
	return code ? code : answer_bytes(call, &item);
}
POOL_TASK(chaos_bytes)

static int chaos_blob(struct pool_call *call)
{
	struct item item;
	const char *blob = pool_arg(call, 0);
	memcpy(&item, blob, sizeof item);
	if (!pattern_is(blob + sizeof item, pool_arg_size(call, 0) - sizeof item, item.value))
		report_corrupt();
	int code = perform(call, &item);
	return code ? code : answer_bytes(call, &item);
}
POOL_TASK(chaos_blob)

const struct pool_task *kind_task(enum kind kind)
{
	static const struct pool_task *const tasks[] = {
		[KIND_FIXED] = POOL(chaos_fixed),
		[KIND_PAIR] = POOL(chaos_pair),
		[KIND_BYTES] = POOL(chaos_bytes),
		[KIND_BLOB] = POOL(chaos_blob),
	};
	return tasks[kind];
}

/* ---- coming and going ---- */

static int chaos_begin(struct pool_call *call)
{
	const struct init_argument *argument = pool_arg(call, 0);
	uint64_t *count = &chaos_shared_here()->initialized[argument->house];
	uint64_t turn = __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
	if (argument->fails_each && turn % argument->fails_each == 0) {
		if (argument->dies)
			die(5);
		return pool_fail(call, 77, "no luck");
	}
	pool_local_set(call, (void *)(uintptr_t)LOCAL_MARK);
	return 0;
}
POOL_TASK(chaos_begin)

static int chaos_leave(struct pool_call *call)
{
	if (pool_local(call) != (void *)(uintptr_t)LOCAL_MARK)
		report_corrupt();
	return 0;
}
POOL_TASK(chaos_leave)

const struct pool_task *const chaos_initializer = POOL(chaos_begin);
const struct pool_task *const chaos_finalizer = POOL(chaos_leave);
