/*
 * transport_shm.c - the parent's side of the shared-memory transport: publish, reap, recover. See
 * shm.h for the protocol.
 *
 * DESIGN. Arguments that do not lie in the arena are copied into it before the lock is taken,
 * results are copied out after it is let go. The parent looks at a batch through the sums of the
 * lanes' `done`, at a stream through its ring. Work that a dead worker had claimed and not begun
 * goes back to where it came from: its own lane, or a new ring position.
 */
#include "pools/shm_parent.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

void shm_view_of(struct shm_view *view, struct shm_area *area)
{
	view->area = area;
	view->desk = (struct shm_desk *)(void *)(view->arena.base + area->desks_at);
	view->slots = view->arena.base + area->slots_at;
	view->slot_size = area->slot_size;
	view->reserves = view->arena.base + area->reserves_at;
}

/* ---- life ---- */

/* The area is the first block of a new arena, however many workers there are: executed ones look for it there. Nobody had
 * these blocks before, so all of them is 0; and no page is touched that is not needed: each costs a fault, and many pools
 * are opened for one call. */
static int area_open(struct pool_transport *t, int workers)
{
	struct arena *arena = &t->view.arena;
	const uint64_t count = (uint64_t)workers;
	const uint64_t slot_size = sizeof(struct shm_slot) + (count + 1) * sizeof(struct shm_lane);
	const uint64_t slots = count * sizeof(struct shm_desk);
	const uint64_t reserves = slots + SHM_SLOTS * slot_size;
	struct shm_area *area = arena_alloc(arena, 4096);
	void *desks = arena_alloc(arena, reserves + count * SHM_RESERVE_BYTES);
	if (!area || !desks)
		return -ENOMEM;
	const uint64_t at = arena_offset(arena, desks);
	assert(arena_offset(arena, area) == SHM_AREA_AT);
	area->workers = (uint32_t)workers;
	area->slot_size = slot_size;
	area->desks_at = at;
	area->slots_at = at + slots;
	area->reserves_at = at + reserves;
	shm_view_of(&t->view, area);
	return 0;
}

static int shm_open_transport(struct pool_transport **out, const struct pool_transport_setup *setup)
{
	struct pool_transport *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	t->pool = setup->pool;
	t->board = setup->board;
	t->workers = (unsigned)setup->workers;
	int rc = arena_open(&t->view.arena);
	if (rc == 0)
		rc = area_open(t, setup->workers);
	if (rc < 0) {
		arena_close(&t->view.arena);
		free(t);
		return rc;
	}
	*out = t;
	return 0;
}

static void shm_close(struct pool_transport *t)
{
	arena_give_all(&t->view.arena);
	arena_close(&t->view.arena);
	free(t);
}

static int shm_ticket(struct pool_transport *t, int worker, struct pool_ticket *ticket)
{
	(void)worker;
	ticket->fd[0] = t->view.arena.fd;
	ticket->size = t->view.arena.size;
	ticket->transport_at = (uint64_t)(uintptr_t)&t->view;
	return 0;
}

static void shm_nothing(struct pool_transport *t, int worker)
{
	(void)t;
	(void)worker;
}

static void shm_event(struct pool_transport *t, int worker, unsigned events)
{
	(void)t;
	(void)worker;
	(void)events;
}

static void shm_stop(struct pool_transport *t)
{
	__atomic_store_n(&t->view.area->stopping, 1, __ATOMIC_RELEASE);
	shm_wake_all(t);
}

/* ---- memory ---- */

static void *shm_alloc(struct pool_transport *t, uint64_t bytes, bool zeroed)
{
	return (zeroed ? arena_alloc_zeroed : arena_alloc)(&t->view.arena, bytes);
}

static void shm_release(struct pool_transport *t, void *memory)
{
	arena_free(&t->view.arena, memory);
}

static bool shm_inside(struct pool_transport *t, const void *memory, uint64_t bytes)
{
	return arena_inside(&t->view.arena, memory, bytes);
}

/* ---- publishing ---- */

/* The fences are where the parent goes on to read what workers write: in shm_wake and find_free_slots. */
static void set_live(struct pool_transport *t)
{
	__atomic_store_n(&t->view.area->live, t->taken, __ATOMIC_RELEASE);
}

/* Without a job, and nobody in them. Their rings are not needed any more. */
static uint64_t find_free_slots(struct pool_transport *t)
{
	uint64_t used = t->taken;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < t->workers; i++) {
		uint32_t active = __atomic_load_n(&t->view.desk[i].active, __ATOMIC_SEQ_CST);
		if (active && active <= SHM_SLOTS)
			used |= UINT64_C(1) << (active - 1);
	}
	for (int slot = 0; slot < SHM_SLOTS; slot++) {
		if (used >> slot & 1)
			continue;
		arena_free(&t->view.arena, t->ring[slot]);
		t->ring[slot] = NULL;
	}
	return ~used;
}

/* One that was found free stays so. Looked for only when there is none left: a desk's line is its worker's. Round and round,
 * as workers go, so that of two jobs the older one comes first. */
static int take_free_slot(struct pool_transport *t)
{
	if (!t->free)
		t->free = find_free_slots(t);
	if (!t->free)
		return -1;
	const uint64_t behind = t->free & ~((UINT64_C(2) << t->last) - 1);
	const int slot = __builtin_ctzll(behind ? behind : t->free);
	t->free &= ~(UINT64_C(1) << slot);
	t->last = (unsigned)slot;
	return slot;
}

static void describe(const struct pool_transport *t, const struct pool_job *job, struct shm_slot *s)
{
	const struct shm_job *work = job->transport_data;
	s->task = job->task->id;
	s->count = job->count;
	const uint64_t unit = shm_unit(job->count);
	s->chunk = (uint32_t)(job->stream || !job->chunk ? job->chunk
							 : (job->chunk + unit - 1) / unit);
	s->columns = job->columns & 0xf;
	s->stream = job->stream;
	s->variable = (uint8_t)job->variable;
	s->variable_result = (job->variable & POOL_VARIABLE_RESULT) != 0;
	s->result = work->result;
	memcpy(s->arg, work->arg, job->columns * sizeof s->arg[0]);
	s->limit_ns = job->limit_ns;
	s->fail_fast = job->fail_fast;
	s->pace = PACE_UNKNOWN;
	s->patient = job->patient;
	s->tiles = work->tile_count;
	s->tiles_at = work->tiles ? arena_offset(&t->view.arena, work->tiles) : 0;
	s->faults = 0;
	__atomic_store_n(&s->ready, work->tail, __ATOMIC_RELAXED);
	/* Of a cancelled one, what it had in the queue was dropped there. */
	__atomic_store_n(&s->next, job->cancelled ? work->tail : 0, __ATOMIC_RELAXED);
	s->closed = job->cancelled || job->halting;
}

/* Who is served first: those who look for something, then those who sleep. Each flag is read once: it may change at any
 * time. */
static void rank_workers(struct pool_transport *t, uint64_t most)
{
	static const uint32_t order[] = { DESK_LOOKING, DESK_ASLEEP, DESK_AWAKE };
	uint32_t rest[POOL_WORKERS_MAX];
	uint64_t ranked = 0;
	for (unsigned i = 0; i < t->workers; i++)
		rest[i] = __atomic_load_n(&t->view.desk[i].rest, __ATOMIC_RELAXED);
	for (unsigned k = 0; k < sizeof order / sizeof order[0]; k++)
		for (unsigned i = 0; i < t->workers && ranked < most; i++)
			if (rest[i] == order[k])
				t->rank[ranked++] = i;
}

static void use_lane(struct shm_slot *s, uint32_t worker)
{
	const uint64_t used = s->used[worker / 64] | UINT64_C(1) << worker % 64;
	__atomic_store_n(&s->used[worker / 64], used, __ATOMIC_RELAXED);
}

/* Chunks evenly over the lanes of those who can run at a time; when there are fewer, one each to the first in rank. */
static uint64_t cut(struct pool_transport *t, struct shm_slot *s)
{
	const uint64_t unit = shm_unit(s->count);
	const uint64_t positions = s->count / unit + (s->count % unit != 0),
		       chunk = s->chunk ? s->chunk : 1;
	const uint64_t chunks = (positions + chunk - 1) / chunk;
	const uint64_t shares = shm_least(chunks, shm_least(t->workers, (uint64_t)t->pool->cpus));
	assert(shares > 0); /* an empty batch is never published */
	rank_workers(t, shares);
	for (uint64_t i = 0; i < shares; i++) {
		const uint64_t lo = chunks * i / shares, hi = chunks * (i + 1) / shares;
		const uint32_t worker = t->rank[i];
		const uint64_t word = lane_word(shm_least(lo * chunk, positions),
						shm_least(hi * chunk, positions), 0);
		__atomic_store_n(&s->lane[worker].word, word, __ATOMIC_RELAXED);
		use_lane(s, worker);
	}
	return chunks;
}

/* How many claims there are to be made. Nobody is in the slot, but somebody may look at what is atomic here. */
static uint64_t set_lanes(struct pool_transport *t, struct shm_slot *s)
{
	SHM_LANES (i, s, t->workers) {
		__atomic_store_n(&s->lane[i].word, LANE_EMPTY, __ATOMIC_RELAXED);
		s->lane[i].done = 0;
	}
	s->lane[t->workers].done = 0;
	for (unsigned k = 0; k < SHM_LANE_WORDS; k++)
		__atomic_store_n(&s->used[k], s->stream ? UINT64_MAX : 0, __ATOMIC_RELAXED);
	return s->stream ? s->ready : cut(t, s);
}

static int shm_publish(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	int slot = take_free_slot(t);
	if (slot < 0)
		return -EAGAIN;
	struct shm_slot *s = shm_slot(&t->view, (unsigned)slot);
	describe(t, job, s);
	s->serial = ++t->serial;
	uint64_t claims = set_lanes(t, s);
	if (shm_unit(job->count) > 1)
		job->retries = 0; /* a lane's word names runs of items then, not single ones */
	work->slot = slot;
	work->looked = UINT64_MAX;
	work->ran = true;
	t->job[slot] = job;
	t->taken |= UINT64_C(1) << slot;
	set_live(t);
	shm_wake_for(t, work, claims);
	return 0;
}

static int shm_extend(struct pool_transport *t, struct pool_job *job, uint64_t k)
{
	struct shm_job *work = job->transport_data;
	const struct pool_tile *tile = &job->tile[k];
	for (unsigned c = 0; c < job->columns; c++)
		for (uint64_t i = 0; work->staged[c] && i < tile->count; i++)
			if (!shm_stage_cell(t, job, c, k * job->chunk + i))
				return -ENOMEM;
	shm_push_tile(work, tile->index, k * job->chunk, tile->count);
	return 0;
}

/* Of a job that is not published yet, publish tells how many there are, and wakes. */
void shm_offer(struct pool_transport *t, struct pool_job *job, uint64_t tiles)
{
	struct shm_job *work = job->transport_data;
	if (work->slot < 0)
		return;
	struct shm_slot *s = shm_slot(&t->view, (unsigned)work->slot);
	__atomic_store_n(&s->ready, work->tail, __ATOMIC_RELEASE);
	shm_wake_for(t, work, tiles);
}

/* ---- taking back ---- */

static void shm_cancel(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	__atomic_store_n(&shm_slot(&t->view, (unsigned)work->slot)->closed, 1, __ATOMIC_SEQ_CST);
	shm_reap_job(t, job);
}

/* Whoever waits looks once more before it sleeps; see leave in shm_port.c. */
static void shm_want(struct pool_transport *t, struct pool_job *job)
{
	const struct shm_job *work = job->transport_data;
	__atomic_store_n(&shm_slot(&t->view, (unsigned)work->slot)->patient, 0, __ATOMIC_SEQ_CST);
}

static void shm_retire(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	t->job[work->slot] = NULL;
	t->taken &= ~(UINT64_C(1) << work->slot);
	set_live(t);
	t->ring[work->slot] = work->tiles; /* somebody may still be looking at it */
	if (work->tiles)
		t->free = 0;
	work->tiles = NULL;
	work->slot = -1;
}

static bool shm_holds(struct pool_transport *t, int worker, const struct pool_job *job)
{
	const struct shm_desk *desk = &t->view.desk[worker];
	const struct shm_job *work = job->transport_data;
	return work && work->slot >= 0 &&
	       __atomic_load_n(&desk->active, __ATOMIC_ACQUIRE) == (uint32_t)work->slot + 1 &&
	       __atomic_load_n(&desk->kind, __ATOMIC_ACQUIRE) != DESK_FREE;
}

/* ---- progress ---- */

static bool shm_reap(struct pool_transport *t)
{
	bool changed = false;
	for (uint64_t left = t->taken; left; left &= left - 1) {
		struct pool_job *job =
			t->job[__builtin_ctzll(left)]; /* NULL: gone by what was reaped before it */
		changed = (job && shm_reap_job(t, job)) || changed;
	}
	return changed;
}

static int64_t shm_doze(struct pool_transport *t, bool asleep)
{
	__atomic_store_n(&t->view.area->parent_asleep, asleep, __ATOMIC_SEQ_CST);
	t->doze_ns = 0;
	if (!asleep)
		return 0;
	const uint64_t woken_ns = __atomic_load_n(&t->view.area->woken_ns, __ATOMIC_RELAXED);
	const int64_t now_ns = pool_now_ns();
	const bool late = (uint64_t)now_ns - woken_ns > 2 * SHM_LATE_NS;
	const int64_t look_ns = shm_look(t, now_ns);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (shm_reap(t))
		return 0;
	return t->doze_ns = late ? look_ns : (int64_t)SHM_LATE_NS;
}

const struct pool_transport_ops pool_transport_shm = {
	.name = "shm",
	.autonomous = true,
	.open = shm_open_transport,
	.close = shm_close,
	.ticket = shm_ticket,
	.forked = shm_nothing,
	.started = shm_nothing,
	.stop = shm_stop,
	.alloc = shm_alloc,
	.release = shm_release,
	.inside = shm_inside,
	.prepare = shm_prepare,
	.publish = shm_publish,
	.extend = shm_extend,
	.offer = shm_offer,
	.cancel = shm_cancel,
	.want = shm_want,
	.retire = shm_retire,
	.collect = shm_collect,
	.reap = shm_reap,
	.doze = shm_doze,
	.event = shm_event,
	.lost = shm_lost,
	.holds = shm_holds,
	.attach = shm_attach,
	.claim = shm_claim,
	.result_alloc = shm_result_alloc,
	.fault = shm_fault,
	.commit = shm_commit,
	.detach = shm_detach,
};
