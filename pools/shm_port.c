/*
 * shm_port.c - the worker's side of the shared-memory transport: claim, commit, sleep. See shm.h
 * for the protocol.
 *
 * This is the fast path; orders of stores matter and are explained where they do.
 *
 * Waking the parent costs more than many small items, so a stream's results wake it late: when a
 * claim took longer than SLOW_NS, when an eighth of the ring is done since, or when there is
 * nothing left to claim. For the case that a long item comes right after short ones the parent does
 * not sleep longer than STREAM_NS while a stream is open (shm_doze).
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

static const int64_t SLOW_NS = 20000;

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
		shm_view_of(&p->own, (struct shm_area *)(void *)(p->own.arena.base + 4096 +
								 ARENA_BLOCK_HEAD));
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
	uint32_t *asleep = &p->view->area->parent_asleep;
	const uint64_t one = 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(asleep, __ATOMIC_RELAXED) ||
	    !__atomic_exchange_n(asleep, 0, __ATOMIC_ACQ_REL))
		return;
	ssize_t written = write(p->wake_fd, &one, sizeof one);
	(void)written; /* a full counter wakes too */
}

/* One worker that sleeps, if any: there is something for it. The fence pairs with the one in doze. */
void shm_wake_one(struct pool_port *p)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < p->view->area->workers; i++) {
		uint32_t *asleep = &p->view->desk[i].asleep;
		if (i != p->worker && __atomic_load_n(asleep, __ATOMIC_RELAXED) &&
		    __atomic_exchange_n(asleep, 0, __ATOMIC_ACQ_REL)) {
			shm_futex_wake(asleep);
			return;
		}
	}
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
		.result = arena_at(&p->view->arena, s->result_at),
		.result_size = s->result_size,
		.columns = s->columns,
		.variable = s->variable,
		.base = p->view->arena.base,
	};
	for (unsigned k = 0; k < s->columns; k++) {
		p->call.arg[k] = arena_at(&p->view->arena, s->arg_at[k]);
		p->call.arg_size[k] = s->arg_size[k];
	}
}

/* Both accesses sequentially consistent, against the parent's "take live away, then look who is
 * in". */
static bool enter(struct pool_port *p, int slot)
{
	__atomic_store_n(&p->desk->active, (uint32_t)slot + 1, __ATOMIC_SEQ_CST);
	if (!is_live(p, slot)) {
		__atomic_store_n(&p->desk->active, 0, __ATOMIC_RELEASE);
		return false;
	}
	p->slot = p->last = slot;
	p->at = shm_slot(p->view, (unsigned)slot);
	p->grain = 1;
	p->claimed_ns = 0;
	p->entered = true;
	prepare_call(p);
	return true;
}

/* Did the whole batch get done while we looked? Our own done is out before the fence in notify; of
 * two workers that finish together at least one sees both. */
static bool batch_complete(const struct pool_port *p)
{
	uint64_t done = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i <= p->view->area->workers; i++)
		done += __atomic_load_n(&p->at->lane[i].done, __ATOMIC_ACQUIRE);
	return done >= p->at->count;
}

/* The parent may wait for the slot itself: it is told when we were the last to look at a dead one. */
static void leave(struct pool_port *p)
{
	if (p->slot < 0)
		return;
	bool tell = p->at->tiles ? p->untold != 0
				 : __atomic_load_n(&p->at->closed, __ATOMIC_RELAXED) ||
					   batch_complete(p);
	__atomic_store_n(&p->desk->active, 0, __ATOMIC_SEQ_CST);
	if (tell || !is_live(p, p->slot))
		notify(p);
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

/* What an earlier run of these items or cells left behind. */
static void clear_results(struct pool_port *p, struct pool_span *span)
{
	struct arena *arena = &p->view->arena;
	struct pool_ref *refs = (struct pool_ref *)(void *)span->call.result;
	for (uint64_t i = 0; i < span->count; i++) {
		if (refs[i].at)
			arena_free(arena, arena_at(arena, refs[i].at));
		refs[i] = (struct pool_ref){ 0, 0 };
	}
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
		clear_results(p, span);
}

static bool claim_here(struct pool_port *p, struct pool_span *span)
{
	bool got = p->at->tiles ? shm_claim_tile(p, span) : shm_claim_batch(p, span);
	if (got)
		place_call(p, span);
	return got;
}

static bool try_slots(struct pool_port *p, struct pool_span *span)
{
	uint64_t live = __atomic_load_n(&p->view->area->live, __ATOMIC_SEQ_CST);
	const int last = p->last;
	for (int i = 1; live && i <= SHM_SLOTS; i++) {
		int slot = (last + i) % SHM_SLOTS;
		if (!(live >> slot & 1) || !enter(p, slot))
			continue;
		if (claim_here(p, span))
			return true;
		leave(p);
	}
	return false;
}

static bool try_claim(struct pool_port *p, struct pool_span *span)
{
	if (p->slot >= 0) {
		uint64_t live = __atomic_load_n(&p->view->area->live, __ATOMIC_RELAXED);
		if (live == UINT64_C(1) << p->slot && claim_here(p, span))
			return true;
		leave(p);
	}
	return try_slots(p, span);
}

/* ---- sleeping ---- */

static bool stopping(const struct pool_port *p)
{
	return __atomic_load_n(&p->view->area->stopping, __ATOMIC_ACQUIRE);
}

static void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#else
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
#endif
}

/* Looks for news for as long as the board allows, which is 0 unless a CPU is free for it. */
static bool spin(struct pool_port *p, struct pool_span *span)
{
	const uint64_t *epoch = &p->view->area->epoch;
	uint64_t seen = __atomic_load_n(epoch, __ATOMIC_ACQUIRE);
	int64_t until = p->board->spin_ns ? pool_now_ns() + p->board->spin_ns : 0;
	while (until && pool_now_ns() < until) {
		for (int i = 0; i < 64 && __atomic_load_n(epoch, __ATOMIC_ACQUIRE) == seen; i++)
			pause_cpu();
		if (__atomic_load_n(epoch, __ATOMIC_ACQUIRE) == seen)
			continue;
		if (stopping(p) || try_claim(p, span))
			return p->slot >= 0;
		seen = __atomic_load_n(epoch, __ATOMIC_ACQUIRE);
	}
	return false;
}

/* Say so, fence, look again, wait. The parent publishes, fences, looks who sleeps. */
static bool doze(struct pool_port *p, struct pool_span *span)
{
	uint32_t *asleep = &p->desk->asleep;
	__atomic_store_n(asleep, 1, __ATOMIC_SEQ_CST);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	bool got = try_claim(p, span);
	if (!got && !stopping(p))
		syscall(SYS_futex, asleep, FUTEX_WAIT, 1, NULL, NULL, 0);
	bool woken = !__atomic_exchange_n(asleep, 0, __ATOMIC_ACQ_REL);
	if (got && woken) /* the wake-up was meant for somebody who is free */
		shm_wake_one(p);
	return got;
}

int shm_claim(struct pool_port *p, struct pool_span *span)
{
	for (;;) {
		if (try_claim(p, span) || spin(p, span) || doze(p, span))
			return 0;
		if (stopping(p)) {
			if (try_claim(p, span))
				return 0;
			return POOL_END;
		}
	}
}

/* ---- results ---- */

void *shm_result_alloc(struct pool_port *p, struct pool_ref *ref, uint64_t bytes)
{
	struct arena *arena = &p->view->arena;
	if (ref->at)
		arena_free(arena, arena_at(arena, ref->at));
	*ref = (struct pool_ref){ 0, 0 };
	void *room = arena_alloc(arena, bytes);
	if (room)
		*ref = (struct pool_ref){ arena_offset(arena, room), bytes };
	return room;
}

/* When the arena is full: one failure a worker at a time, and without its text. The parent gives the
 * record back; acquire pairs with its release. */
static struct shm_fault *spare_fault(struct pool_port *p)
{
	while (__atomic_load_n(&p->desk->spare_told, __ATOMIC_ACQUIRE)) {
		notify(p);
		usleep(1000);
	}
	p->desk->spare_told = 1;
	return &p->desk->spare;
}

/* Pushed before the claim is committed, so the parent, which reads `done` first, finds it. */
static struct shm_fault *new_fault(struct pool_port *p, const struct pool_fault *fault)
{
	uint64_t size = fault->message_size;
	struct shm_fault *record = arena_alloc(&p->view->arena, sizeof *record + size);
	if (!record) {
		record = spare_fault(p);
		size = 0;
	}
	record->status = fault->status;
	record->code = fault->code;
	record->size = size;
	if (size)
		memcpy(record + 1, fault->message, size);
	return record;
}

int shm_fault(struct pool_port *p, struct pool_span *span, const struct pool_fault *fault)
{
	struct arena *arena = &p->view->arena;
	struct shm_fault *record = new_fault(p, fault);
	uint64_t at = arena_offset(arena, record),
		 head = __atomic_load_n(&p->at->faults, __ATOMIC_RELAXED);
	record->at = span->cookie[0] + (fault->index - span->call.index);
	do
		record->next = head;
	while (!__atomic_compare_exchange_n(&p->at->faults, &head, at, true, __ATOMIC_RELEASE,
					    __ATOMIC_RELAXED));
	if (p->at->fail_fast)
		__atomic_store_n(&p->at->closed, 1, __ATOMIC_RELEASE);
	return 0;
}

static void tell_late(struct pool_port *p)
{
	int64_t now = pool_now_ns();
	if (++p->untold > p->at->tiles / 8 || now - p->claimed_ns > SLOW_NS) {
		notify(p);
		p->untold = 0;
	}
	p->claimed_ns = now;
}

int shm_commit(struct pool_port *p, struct pool_span *span)
{
	struct shm_lane *lane = &p->at->lane[p->worker];
	uint64_t amount = p->at->tiles ? 1 : span->count;
	if (p->at->tiles) {
		struct shm_tile *tiles = arena_at(&p->view->arena, p->at->tiles_at);
		uint64_t position = span->cookie[1];
		__atomic_store_n(&tiles[position % p->at->tiles].state,
				 shm_tile_state(position, p->worker, TILE_DONE), __ATOMIC_RELEASE);
	}
	__atomic_store_n(&lane->done, lane->done + amount, __ATOMIC_RELEASE);
	__atomic_store_n(&p->desk->kind, DESK_FREE, __ATOMIC_RELEASE);
	if (p->at->tiles)
		tell_late(p);
	if (p->board->tasks_per_worker && p->board->ledger[p->worker].phase == POOL_PHASE_LEAVING)
		leave(p);
	return 0;
}
