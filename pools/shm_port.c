/*
 * shm_port.c - the worker's side of the shared-memory transport: claim, commit, sleep. See shm.h
 * for the protocol.
 *
 * This is the fast path; orders of stores matter and are explained where they do.
 *
 * With several live jobs a worker goes from one to the next after each claim, so a short one is not
 * stuck behind a long one.
 */
#include "pools/shm_port.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- attaching ---- */

int shm_attach(struct pool_port **out, const struct pool_ticket *ticket, struct pool_board *board)
{
	struct pool_port *p = calloc(1, sizeof *p);
	if (!p)
		return -ENOMEM;
	p->view = (struct shm_view *)(uintptr_t)ticket->transport_at;
	if (!p->view) {
		int rc = arena_attach(&p->own.arena, ticket->fd[0], ticket->size);
		if (rc < 0) {
			free(p);
			return rc;
		}
		shm_view_of(&p->own, arena_at(&p->own.arena, SHM_AREA_AT));
		p->view = &p->own;
	}
	p->worker = (uint32_t)ticket->worker;
	p->desk = &p->view->desk[ticket->worker];
	p->board = board;
	p->wake_fd = ticket->wake_fd;
	p->slot = -1;
	*out = p;
	return 0;
}

void shm_detach(struct pool_port *p)
{
	if (p->view == &p->own)
		arena_close(&p->own.arena);
	free(p);
}

/* ---- waking the parent ---- */

/* The fence pairs with the one in the parent's doze: either it sees what we did, or we see that it
 * sleeps. */
static void notify(struct pool_port *p)
{
	struct shm_area *area = p->view->area;
	uint32_t *asleep = &area->parent_asleep;
	p->untold = 0;
	if (__atomic_load_n(&area->untold, __ATOMIC_RELAXED))
		__atomic_store_n(&area->untold, 0, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(asleep, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(asleep, 0, __ATOMIC_ACQ_REL))
		return;
	__atomic_store_n(&area->woken_ns, (uint64_t)pool_now_ns(), __ATOMIC_RELAXED);
	pool_fd_wake(p->wake_fd);
}

/* What was done is to be seen before this clock is read. */
static void notify_late(struct pool_port *p)
{
	struct shm_area *area = p->view->area;
	const uint64_t woken_ns = __atomic_load_n(&area->woken_ns, __ATOMIC_RELAXED);
	if ((uint64_t)pool_now_ns() - woken_ns > SHM_LATE_NS)
		notify(p);
	else if (!__atomic_load_n(&area->untold, __ATOMIC_RELAXED))
		__atomic_store_n(&area->untold, 1, __ATOMIC_RELAXED);
}

/* ---- slots ---- */

static bool is_live(const struct pool_port *p, int slot)
{
	return __atomic_load_n(&p->view->area->live, __ATOMIC_SEQ_CST) >> slot & 1;
}

static void prepare_call(struct pool_port *p)
{
	const struct shm_slot *s = p->at;
	p->call = (struct pool_call){
		.result = arena_at(&p->view->arena, s->result.at),
		.result_size = s->result.size,
		.columns = s->columns,
		.variable = s->variable | (s->variable_result ? POOL_VARIABLE_RESULT : 0),
		.base = p->view->arena.base,
	};
	for (unsigned k = 0; k < s->columns; k++) {
		p->call.arg[k] = arena_at(&p->view->arena, s->arg[k].at);
		p->call.arg_size[k] = s->arg[k].size;
	}
}

/* Both accesses sequentially consistent, against the parent's "take live away, then look who is
 * in". */
static bool enter(struct pool_port *p, int slot)
{
	__atomic_store_n(&p->desk->active, (uint32_t)slot + 1, __ATOMIC_SEQ_CST);
	if (!is_live(p, slot)) {
		__atomic_store_n(&p->desk->active, 0, __ATOMIC_RELEASE);
		notify(p); /* a job may wait for the slot, which seemed to be in use */
		return false;
	}
	p->slot = slot;
	p->desk->last = (uint32_t)slot;
	p->at = shm_slot(p->view, (unsigned)slot);
	p->grain = shm_kept_grain(p);
	p->claimed_ns = 0;
	p->entered = true;
	prepare_call(p);
	return true;
}

/* Did the whole batch get done while we looked? Our own done is out before the fence in notify; of
 * two workers that finish together at least one sees both. */
static bool batch_complete(const struct pool_port *p)
{
	if (shm_is_all_ours(p))
		return true;
	uint64_t done = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	const uint32_t workers = p->view->area->workers;
	SHM_LANES (i, p->at, workers)
		done += __atomic_load_n(&p->at->lane[i].done, __ATOMIC_ACQUIRE);
	return done >= p->at->count || /* a line less */
	       done + __atomic_load_n(&p->at->lane[workers].done, __ATOMIC_ACQUIRE) >= p->at->count;
}

/* The parent may wait for the slot itself: it is told when we were the last to look at a dead one. */
static void leave(struct pool_port *p)
{
	if (p->slot < 0)
		return;
	const bool closed = __atomic_load_n(&p->at->closed, __ATOMIC_RELAXED);
	const bool over = p->at->stream ? p->untold != 0 : closed || batch_complete(p);
	const bool late =
		!closed && (p->at->stream || __atomic_load_n(&p->at->patient, __ATOMIC_RELAXED));
	__atomic_store_n(&p->desk->active, 0, __ATOMIC_SEQ_CST);
	if ((over && !late) || !is_live(p, p->slot))
		notify(p);
	else if (over)
		notify_late(p);
	p->untold = 0;
	p->slot = -1;
}

/* ---- claim ---- */

static void fill_span(struct pool_port *p, struct pool_span *span)
{
	uint64_t index = span->call.index;
	span->call = p->call;
	span->call.index = index;
	span->task = p->at->task;
	span->limit_ns = p->at->limit_ns;
	p->entered = false;
}

static void place_call(struct pool_port *p, struct pool_span *span)
{
	const uint64_t at = span->cookie[0];
	if (p->entered)
		fill_span(p, span);
	for (unsigned k = 0; k < p->call.columns; k++)
		span->call.arg[k] = p->call.arg[k] + at * p->call.arg_size[k];
	span->call.result = p->call.result + at * p->call.result_size;
	if (p->call.variable & POOL_VARIABLE_RESULT)
		shm_clear_results(p, span);
}

static bool claim_here(struct pool_port *p, struct pool_span *span)
{
	if (p->at->stream && p->entered) { /* the first claim here may stay the only one */
		p->claimed_ns = pool_now_ns();
		__atomic_store_n(&p->desk->claimed_ns, p->claimed_ns, __ATOMIC_RELAXED);
	}
	bool got = p->at->stream ? shm_claim_tiles(p, span) : shm_claim_batch(p, span);
	if (got)
		place_call(p, span);
	return got;
}

static bool has_work(const struct pool_port *p, int slot)
{
	return shm_has_work(shm_slot(p->view, (unsigned)slot), p->view->area->workers);
}

/* From the one behind the last on, and round; not those in `but`. Of several most may be done and not yet taken away; of one
 * it is cheaper to enter than to read a line more. */
static bool try_slots(struct pool_port *p, struct pool_span *span, uint64_t but)
{
	const uint64_t live = __atomic_load_n(&p->view->area->live, __ATOMIC_SEQ_CST) & ~but;
	const uint32_t first = (p->desk->last + 1) % SHM_SLOTS;
	const uint64_t below = (UINT64_C(1) << first) - 1;
	const uint64_t turns[2] = { live & ~below, live & below };
	const bool several = (live & (live - 1)) != 0;
	for (int turn = 0; turn < 2; turn++)
		for (uint64_t left = turns[turn]; left; left &= left - 1) {
			const int slot = __builtin_ctzll(left);
			if ((several && !has_work(p, slot)) || !enter(p, slot))
				continue;
			if (claim_here(p, span))
				return true;
			leave(p);
		}
	return false;
}

static bool try_claim(struct pool_port *p, struct pool_span *span)
{
	uint64_t seen = 0; /* nothing there: what comes meanwhile is found by whoever rests */
	if (p->slot >= 0) {
		const uint64_t own = UINT64_C(1) << p->slot;
		if (__atomic_load_n(&p->view->area->live, __ATOMIC_RELAXED) == own) {
			if (claim_here(p, span))
				return true;
			seen = own;
		} else {
			shm_keep_pace(p);
		}
		leave(p);
	}
	return try_slots(p, span, seen);
}

/* ---- sleeping ---- */

static bool stopping(const struct pool_port *p)
{
	return __atomic_load_n(&p->view->area->stopping, __ATOMIC_ACQUIRE);
}

/* True if somebody had something for us. */
static bool rise(struct pool_port *p)
{
	return __atomic_exchange_n(&p->desk->rest, DESK_AWAKE, __ATOMIC_ACQ_REL) == DESK_AWAKE;
}

static bool is_roused(const struct pool_port *p)
{
	return __atomic_load_n(&p->desk->rest, __ATOMIC_ACQUIRE) == DESK_AWAKE;
}

/* Besides what was just claimed. */
static bool is_more_to_do(const struct pool_port *p)
{
	uint64_t left = __atomic_load_n(&p->view->area->live, __ATOMIC_RELAXED);
	while (left && !has_work(p, __builtin_ctzll(left)))
		left &= left - 1;
	return left != 0;
}

/* Say so, fence, look again. The parent publishes, fences, looks who rests. Awake again if it got something; that need not be
 * what we were roused for, which is for somebody else then. */
static bool rest(struct pool_port *p, struct pool_span *span, enum desk_rest how)
{
	__atomic_store_n(&p->desk->rest, how, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!try_claim(p, span))
		return false;
	if (rise(p) && is_more_to_do(p))
		shm_wake_one(p);
	return true;
}

/* The builtin asks for a line to read on x86-64 unless it is told of a younger processor. */
static void fetch_to_write(const void *at)
{
#if defined(__x86_64__)
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

/* Who is roused finds most likely the slot behind its last one, and arguments and results where they were: all these lines
 * are with the parent, and come together so. */
static void fetch_next(const struct pool_port *p)
{
	const struct shm_slot *s = shm_slot(p->view, (p->desk->last + 1) % SHM_SLOTS);
	__builtin_prefetch(&p->view->area->live);
	__builtin_prefetch(&s->task);
	fetch_to_write(&s->lane[p->worker]);
	__builtin_prefetch(p->call.arg[0]);
	fetch_to_write(p->call.result);
}

/* Looks for as long as patience and the others allow. */
static bool look_out(struct pool_port *p, struct pool_span *span, int64_t most_ns)
{
	const int64_t since_ns = pool_now_ns();
	bool got = rest(p, span, DESK_LOOKING);
	for (int64_t spun_ns = 0; !got && spun_ns < most_ns && shm_cpu_is_free(p) && !stopping(p);
	     spun_ns = pool_now_ns() - since_ns) {
		for (int i = 0; i < 32 && !is_roused(p); i++)
			pool_spin_pause(i ? 0 : spun_ns);
		if (!is_roused(p))
			continue;
		fetch_next(p);
		got = try_claim(p, span) || rest(p, span, DESK_LOOKING);
	}
	return got;
}

/* Returns awake. */
static bool look_or_sleep(struct pool_port *p, struct pool_span *span)
{
	const int64_t most_ns = pool_patience_ns(&p->patience, p->board->spin_ns);
	bool got = false;
	if (__atomic_load_n(&p->view->area->untold, __ATOMIC_RELAXED))
		notify(p);
	if (most_ns && shm_cpu_is_free(p)) {
		got = look_out(p, span, most_ns);
		pool_patience_learn(&p->patience, got, p->board->spin_ns);
	}
	if (got || rest(p, span, DESK_ASLEEP))
		return true;
	if (!stopping(p))
		syscall(SYS_futex, &p->desk->rest, FUTEX_WAIT, DESK_ASLEEP, NULL, NULL, 0);
	rise(p);
	return false;
}

static int wait_for_claim(struct pool_port *p, struct pool_span *span)
{
	for (;;) {
		if (look_or_sleep(p, span))
			return 0;
		if (stopping(p))
			return try_claim(p, span) ? 0 : POOL_END;
		if (try_claim(p, span))
			return 0;
	}
}

int shm_claim(struct pool_port *p, struct pool_span *span)
{
	if (try_claim(p, span))
		return 0;
	pool_ledger_wait(&p->board->ledger[p->worker], true, pool_now_ns());
	int rc = wait_for_claim(p, span);
	const bool just_claimed = rc == 0 && !p->at->stream;
	pool_ledger_wait(&p->board->ledger[p->worker], false,
			 just_claimed ? p->claimed_ns : pool_now_ns());
	return rc;
}

/* ---- failures ---- */

/* The worker's own record, once the parent has taken what was told with it before. */
static struct shm_fault *reserved_fault(struct pool_port *p)
{
	struct shm_fault *record = shm_reserve(p->view, p->worker);
	while (__atomic_load_n(&record->status, __ATOMIC_ACQUIRE)) {
		notify(p);
		usleep(1000);
	}
	return record;
}

/* Pushed before the claim is committed, so the parent, which reads `done` first, finds it. Without
 * memory for the text the text is left out. Copying a long text takes long: who dies meanwhile holds the record. */
static struct shm_fault *new_fault(struct pool_port *p, const struct pool_fault *fault)
{
	struct arena *arena = &p->view->arena;
	uint64_t size = fault->message_size, *taking = &p->desk->taking;
	__atomic_store_n(&p->desk->holder, 0, __ATOMIC_RELAXED);
	struct shm_fault *record = arena_take(arena, sizeof *record + size + 1, taking);
	if (!record) {
		size = 0;
		record = arena_take(arena, sizeof *record + 1, taking);
	}
	if (!record)
		record = reserved_fault(p);
	record->status = fault->status;
	record->code = fault->code;
	record->size = size;
	if (size)
		memcpy(record->message, fault->message, size);
	return record;
}

void shm_fault(struct pool_port *p, struct pool_span *span, const struct pool_fault *fault)
{
	struct arena *arena = &p->view->arena;
	struct shm_fault *record = new_fault(p, fault);
	uint64_t at = arena_offset(arena, record),
		 head = __atomic_load_n(&p->at->faults, __ATOMIC_RELAXED);
	record->at = span->cookie[0] + (fault->index - span->call.index);
	arena_let_go(&p->desk->taking); /* before it is the parent's: it would be freed twice */
	do
		record->next = head;
	while (!__atomic_compare_exchange_n(&p->at->faults, &head, at, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
	if (p->at->fail_fast)
		__atomic_store_n(&p->at->closed, 1, __ATOMIC_RELEASE);
}

static void tell_tiles(struct pool_port *p, uint64_t tiles)
{
	p->untold += tiles;
	shm_measure_claim(p);
	if (p->untold > p->at->tiles / 8)
		notify(p);
	else
		notify_late(p);
}

/* A claim later there may be another task's call: see wake_for_few. */
static void note_single(struct pool_port *p)
{
	uint64_t *known = &p->view->area->short_task;
	const bool is_short = pool_now_ns() - p->claimed_ns <= SHM_WAKE_NS;
	if (is_short != (__atomic_load_n(known, __ATOMIC_RELAXED) == p->at->task))
		__atomic_store_n(known, is_short ? p->at->task : 0, __ATOMIC_RELAXED);
}

int shm_commit(struct pool_port *p, struct pool_span *span)
{
	struct shm_lane *lane = &p->at->lane[p->worker];
	uint64_t amount = p->at->stream ? span->claims : span->count;
	if (p->at->stream) {
		struct shm_tile *tiles = arena_at(&p->view->arena, p->at->tiles_at);
		uint64_t position = span->cookie[1];
		__atomic_store_n(&shm_tile_at(tiles, p->at->tiles, position)->state,
				 tile_word(position, amount, p->worker, TILE_DONE),
				 __ATOMIC_RELEASE);
	}
	__atomic_store_n(&lane->done, lane->done + amount, __ATOMIC_RELEASE);
	__atomic_store_n(&p->desk->kind, DESK_FREE, __ATOMIC_RELEASE);
	if (p->at->stream)
		tell_tiles(p, amount);
	else if (shm_is_crowded(p) && p->at->count <= p->board->cpus)
		note_single(p);
	if (p->board->tasks_per_worker && p->board->ledger[p->worker].phase == POOL_PHASE_LEAVING)
		leave(p);
	return 0;
}
