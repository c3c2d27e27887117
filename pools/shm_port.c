/*
 * shm_port.c - the worker's side of the shared-memory transport: claim, commit, sleep. See shm.h for the protocol.
 *
 * This is the fast path; orders of stores matter and are explained where they do.
 *
 * auto chunk. A claim starts at one item and doubles while claims take less than half of CLAIM_NS, so that the cost
 * of claiming vanishes, and halves when they take more than twice that. It never takes more than half of what is left in
 * the lane, so that near the end there is something to steal (guided self-scheduling: Polychronopoulos and Kuck 1987).
 *
 * Waking the parent costs more than many small items, so a stream's results wake it late: when a claim took longer than
 * SLOW_NS, when an eighth of the ring is done since, or when there is nothing left to claim. For the case that a long
 * item comes right after short ones the parent does not sleep longer than STREAM_NS while a stream is open (shm_doze).
 *
 * With several live jobs a worker goes from one to the next after each claim, so a short one is not stuck behind
 * a long one.
 */
#include "pools/shm.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int64_t CLAIM_NS = 50000;
static const int64_t SLOW_NS = 20000;
enum { GRAIN_MAX = 1 << 22 };

struct pool_port {
	struct shm_view *view, own;
	struct shm_desk *desk;
	struct pool_board *board;
	uint32_t worker;
	int wake_fd;
	int slot;     /* we are in; -1: none */
	int last;     /* slot looked at last: the search goes on behind it */
	bool rotate;  /* leave the slot after this claim */
	uint64_t grain; /* auto chunk: positions to take */
	int64_t claimed_ns; /* auto chunk: when the last claim was made; stream: when the last one ended */
	uint64_t untold;    /* stream: tiles done since the parent was told */
	bool entered;          /* the span is not yet filled in for this slot */
	struct pool_call call; /* of the slot we are in, from item 0 */
	struct shm_slot *at;
};

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
		shm_view_of(&p->own, (struct shm_area *)(void *)(p->own.arena.base + 4096 + ARENA_BLOCK_HEAD));
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

/* The fence pairs with the one in the parent's doze: either it sees what we did, or we see that it sleeps. */
static void notify(struct pool_port *p)
{
	uint32_t *asleep = &p->view->area->parent_asleep;
	const uint64_t one = 1;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!__atomic_load_n(asleep, __ATOMIC_RELAXED) || !__atomic_exchange_n(asleep, 0, __ATOMIC_ACQ_REL))
		return;
	ssize_t written = write(p->wake_fd, &one, sizeof one);
	(void)written; /* a full counter wakes too */
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

/* Both accesses sequentially consistent, against the parent's "take live away, then look who is in". */
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

/* Did the whole batch get done while we looked? Our own done is out before the fence in notify; of two workers that finish
 * together at least one sees both. */
static bool batch_complete(const struct pool_port *p)
{
	uint64_t done = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i <= p->view->area->workers; i++)
		done += __atomic_load_n(&p->at->lane[i].done, __ATOMIC_ACQUIRE);
	return done >= p->at->count;
}

static void leave(struct pool_port *p)
{
	if (p->slot < 0)
		return;
	if (p->at->tiles ? p->untold : p->at->closed || batch_complete(p))
		notify(p);
	p->untold = 0;
	__atomic_store_n(&p->desk->active, 0, __ATOMIC_RELEASE);
	p->slot = -1;
}

/* ---- batches ---- */

static uint64_t take_size(struct pool_port *p, uint64_t left)
{
	uint64_t size = p->at->chunk;
	if (size == 0) {
		uint64_t half = left / 2 ? left / 2 : 1;
		size = p->grain < half ? p->grain : half;
	}
	return size < left ? size : left;
}

/* Announce, then swap: see shm.h. The release of the swap orders the announcement before it. */
static bool take_own(struct pool_port *p, uint64_t *lo, uint64_t *hi)
{
	struct shm_lane *lane = &p->at->lane[p->worker];
	uint64_t word = __atomic_load_n(&lane->word, __ATOMIC_ACQUIRE);
	while (lane_lo(word) < lane_hi(word) && !__atomic_load_n(&p->at->closed, __ATOMIC_RELAXED)) {
		uint64_t size = take_size(p, lane_hi(word) - lane_lo(word));
		*lo = lane_lo(word);
		*hi = *lo + size;
		p->desk->lo = *lo;
		p->desk->hi = *hi;
		p->desk->done_before = lane->done;
		p->desk->progress_before = p->board->ledger[p->worker].progress;
		__atomic_store_n(&p->desk->kind, DESK_TAKE, __ATOMIC_RELEASE);
		uint64_t after = lane_word(*hi, lane_hi(word), lane_thief(word));
		if (__atomic_compare_exchange_n(&lane->word, &word, after, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return true;
		__atomic_store_n(&p->desk->kind, DESK_FREE, __ATOMIC_RELEASE);
	}
	return false;
}

/* The fullest lane of somebody else, the parent's too, that no thief is at. */
static struct shm_lane *fullest(const struct pool_port *p, uint64_t *word, uint32_t *victim)
{
	struct shm_lane *best = NULL;
	uint64_t most = 0;
	for (uint32_t i = 0; i <= p->view->area->workers; i++) {
		struct shm_lane *lane = &p->at->lane[i];
		uint64_t seen = __atomic_load_n(&lane->word, __ATOMIC_ACQUIRE);
		if (i == p->worker || lane_thief(seen) || lane_hi(seen) <= lane_lo(seen))
			continue;
		if (lane_hi(seen) - lane_lo(seen) <= most)
			continue;
		most = lane_hi(seen) - lane_lo(seen);
		best = lane;
		*word = seen;
		*victim = i;
	}
	return best;
}

/* Upper half, cut where chunks meet; everything when that is less than two chunks. */
static uint64_t split_at(uint64_t lo, uint64_t hi, uint64_t chunk)
{
	if (chunk == 0)
		chunk = 1;
	uint64_t chunks = (hi - lo + chunk - 1) / chunk;
	return lo + chunks / 2 * chunk;
}

/* Keeps the bits of a thief that is still at this lane. */
static void set_lane(struct shm_lane *lane, uint64_t lo, uint64_t hi)
{
	uint64_t word = __atomic_load_n(&lane->word, __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&lane->word, &word, lane_word(lo, hi, lane_thief(word)), true,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

static void clear_thief(struct shm_lane *lane)
{
	__atomic_and_fetch(&lane->word, LANE_EMPTY, __ATOMIC_ACQ_REL);
}

/* Moves work into our own lane; false: there is none to be had. */
static bool steal(struct pool_port *p)
{
	struct shm_lane *own = &p->at->lane[p->worker], *lane;
	uint64_t word;
	uint32_t victim;
	if (!(lane = fullest(p, &word, &victim)) || __atomic_load_n(&p->at->closed, __ATOMIC_RELAXED))
		return false;
	uint64_t mid = split_at(lane_lo(word), lane_hi(word), p->at->chunk), hi = lane_hi(word);
	set_lane(own, LANE_MASK, LANE_MASK);
	p->desk->lo = mid;
	p->desk->hi = hi;
	p->desk->victim = victim;
	__atomic_store_n(&p->desk->kind, DESK_STEAL, __ATOMIC_RELEASE);
	uint64_t after = lane_word(lane_lo(word), mid, p->worker + 1);
	if (__atomic_compare_exchange_n(&lane->word, &word, after, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
		set_lane(own, mid, hi);
		clear_thief(lane);
	}
	__atomic_store_n(&p->desk->kind, DESK_FREE, __ATOMIC_RELEASE);
	return true;
}

/* How long did the last claim take? The first time there was none. */
static void adapt_grain(struct pool_port *p)
{
	if (p->at->chunk)
		return;
	int64_t now = pool_now_ns();
	int64_t took = now - p->claimed_ns;
	if (p->claimed_ns && took < CLAIM_NS / 2 && p->grain < GRAIN_MAX)
		p->grain *= 2;
	else if (p->claimed_ns && took > CLAIM_NS * 2 && p->grain > 1)
		p->grain /= 2;
	p->claimed_ns = now;
}

static bool claim_batch(struct pool_port *p, struct pool_span *span)
{
	uint64_t lo, hi;
	adapt_grain(p);
	while (!take_own(p, &lo, &hi))
		if (!steal(p))
			return false;
	uint64_t first = lo * p->at->unit, end = hi * p->at->unit;
	if (end > p->at->count)
		end = p->at->count;
	span->call.index = first;
	span->count = end - first;
	span->cookie[0] = first;
	return true;
}

/* ---- streams ---- */

static uint64_t tile_state(uint64_t position, uint32_t worker, enum tile_phase phase)
{
	return position << 16 | (uint64_t)(worker + 1) << 8 | phase;
}

static uint64_t tile_ready(uint64_t position)
{
	return position << 16 | TILE_READY;
}

/* Whoever sees a position that is taken moves `next` past it, so a claimer that dies in between stops nobody
 * (the helping of Michael and Scott's queue, 1996). */
static bool claim_tile(struct pool_port *p, struct pool_span *span)
{
	struct shm_slot *s = p->at;
	struct shm_tile *tiles = arena_at(&p->view->arena, s->tiles_at);
	uint64_t position = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE);
	while (position < __atomic_load_n(&s->ready, __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&s->closed, __ATOMIC_RELAXED)) {
		struct shm_tile *tile = &tiles[position % s->tiles];
		uint64_t ready = tile_ready(position), next = position;
		bool ours = false;
		if (__atomic_load_n(&tile->state, __ATOMIC_ACQUIRE) == ready) {
			p->desk->lo = position;
			p->desk->progress_before = p->board->ledger[p->worker].progress;
			__atomic_store_n(&p->desk->kind, DESK_TILE, __ATOMIC_RELEASE);
			ours = __atomic_compare_exchange_n(&tile->state, &ready,
							   tile_state(position, p->worker, TILE_CLAIMED), false,
							   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
			if (!ours)
				__atomic_store_n(&p->desk->kind, DESK_FREE, __ATOMIC_RELEASE);
		}
		__atomic_compare_exchange_n(&s->next, &next, position + 1, false, __ATOMIC_ACQ_REL,
					    __ATOMIC_RELAXED);
		if (ours) {
			span->call.index = tile->index;
			span->count = tile->count;
			span->cookie[0] = tile->cell;
			span->cookie[1] = position;
			return true;
		}
		position = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE);
	}
	return false;
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
		memset(span->call.result, 0, span->count * sizeof(struct pool_ref));
}

static bool claim_here(struct pool_port *p, struct pool_span *span)
{
	bool got = p->at->tiles ? claim_tile(p, span) : claim_batch(p, span);
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
	__atomic_store_n(asleep, 0, __ATOMIC_RELEASE);
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

/* Pushed before the claim is committed, so the parent, which reads `done` first, finds it. Without memory for the text
 * the text is left out; without any the parent must still learn of the failure: wait for memory. */
static struct shm_fault *new_fault(struct arena *arena, const struct pool_fault *fault)
{
	uint64_t size = fault->message_size;
	struct shm_fault *record;
	while (!(record = arena_alloc(arena, sizeof *record + size + 1))) {
		if (size == 0)
			usleep(1000);
		size = 0;
	}
	record->status = fault->status;
	record->code = fault->code;
	record->size = size;
	if (size)
		memcpy(record->message, fault->message, size);
	return record;
}

int shm_fault(struct pool_port *p, struct pool_span *span, const struct pool_fault *fault)
{
	struct arena *arena = &p->view->arena;
	struct shm_fault *record = new_fault(arena, fault);
	uint64_t at = arena_offset(arena, record), head = __atomic_load_n(&p->at->faults, __ATOMIC_RELAXED);
	record->at = span->cookie[0] + (fault->index - span->call.index);
	do
		record->next = head;
	while (!__atomic_compare_exchange_n(&p->at->faults, &head, at, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED));
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
				 tile_state(position, p->worker, TILE_DONE), __ATOMIC_RELEASE);
	}
	__atomic_store_n(&lane->done, lane->done + amount, __ATOMIC_RELEASE);
	__atomic_store_n(&p->desk->kind, DESK_FREE, __ATOMIC_RELEASE);
	if (p->at->tiles)
		tell_late(p);
	if (p->board->tasks_per_worker && p->board->ledger[p->worker].phase == POOL_PHASE_LEAVING)
		leave(p);
	return 0;
}
