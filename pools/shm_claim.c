/*
 * shm_claim.c - how a worker claims in a slot: from its lane, from others', from a stream's ring.
 * See shm.h.
 *
 * How much a claim takes. One chunk at first, twice as many while claims take less than half of
 * CHUNKS_NS (auto chunk: items, CLAIM_NS), so that the cost of claiming vanishes where chunks are tiny;
 * half as many when they take more than twice that. Never more than half of what is left in the lane,
 * so that near the end there is something to steal (guided self-scheduling: Polychronopoulos and
 * Kuck 1987). Work is divided and stolen where chunks meet.
 */
#include "pools/shm_port.h"

static const int64_t CLAIM_NS = 50000, CHUNKS_NS = 10000;
enum { GRAIN_MAX = 1 << 22, SPAN_MOST = 1 << 30 }; /* items: a claim counts them in 32 bits */

/* ---- batches ---- */

/* So many positions, in whole chunks; not more than half of what is left, so that there is something to steal. */
static uint64_t take_size(const struct pool_port *p, uint64_t left)
{
	const uint64_t chunk = p->at->chunk ? p->at->chunk : 1;
	const uint64_t half = left / chunk / 2;
	uint64_t chunks = p->grain < half ? p->grain : half;
	if (shm_is_crowded(p)) {
		const uint64_t even =
			p->at->count / shm_unit(p->at->count) / chunk / 2 / p->view->area->workers;
		chunks = chunks < even ? chunks : even;
	}
	uint64_t most = SPAN_MOST / shm_unit(p->at->count) / chunk;
	if (chunks > most)
		chunks = most;
	if (chunks <= 1 || p->board->tasks_per_worker)
		return chunk < left ? chunk : left;
	return chunks * chunk;
}

/* Announce, then swap: see shm.h. The release of the swap orders the announcement before it. */
static bool take_own(struct pool_port *p, uint64_t *lo, uint64_t *hi)
{
	struct shm_lane *lane = &p->at->lane[p->worker];
	uint64_t word = __atomic_load_n(&lane->word, __ATOMIC_ACQUIRE);
	while (lane_lo(word) < lane_hi(word) &&
	       !__atomic_load_n(&p->at->closed, __ATOMIC_RELAXED)) {
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

/* A single call is: then nobody's lane need be looked at, each a line that the parent writes to next. */
bool shm_is_all_ours(const struct pool_port *p)
{
	return p->at->lane[p->worker].done >= p->at->count;
}

/* The fullest lane of another worker that no thief is at. */
static struct shm_lane *fullest(const struct pool_port *p, uint64_t *word, uint32_t *victim)
{
	struct shm_lane *best = NULL;
	uint64_t most = 0;
	SHM_LANES (i, p->at, p->view->area->workers) {
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
	while (!__atomic_compare_exchange_n(&lane->word, &word, lane_word(lo, hi, lane_thief(word)),
					    true, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

static void use_own_lane(struct pool_port *p)
{
	uint64_t *word = &p->at->used[p->worker / 64];
	const uint64_t bit = UINT64_C(1) << p->worker % 64;
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		__atomic_fetch_or(word, bit, __ATOMIC_ACQ_REL);
}

/* Moves work into our own lane; false: there is none to be had. */
static bool steal(struct pool_port *p)
{
	struct shm_lane *own = &p->at->lane[p->worker], *lane;
	uint64_t word;
	uint32_t victim;
	if (shm_is_all_ours(p) || !(lane = fullest(p, &word, &victim)) ||
	    __atomic_load_n(&p->at->closed, __ATOMIC_RELAXED))
		return false;
	uint64_t mid = split_at(lane_lo(word), lane_hi(word), p->at->chunk), hi = lane_hi(word);
	use_own_lane(p);
	set_lane(own, LANE_MASK, LANE_MASK);
	p->desk->lo = mid;
	p->desk->hi = hi;
	p->desk->victim = victim;
	__atomic_store_n(&p->desk->kind, DESK_STEAL, __ATOMIC_RELEASE);
	uint64_t after = lane_word(lane_lo(word), mid, p->worker + 1);
	if (__atomic_compare_exchange_n(&lane->word, &word, after, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE)) {
		set_lane(own, mid, hi);
		lane_clear_thief(lane);
		if (hi - mid > 1 || mid > lane_lo(word))
			shm_wake_more(p); /* whoever looked meanwhile saw neither lane */
	}
	__atomic_store_n(&p->desk->kind, DESK_FREE, __ATOMIC_RELEASE);
	return true;
}

/* Who has found that chunks take long wakes one more for each, as long as there is something to do and somebody to wake. */
static void note_pace(struct pool_port *p, enum slot_pace pace)
{
	if (!shm_is_crowded(p))
		return;
	if (__atomic_load_n(&p->at->pace, __ATOMIC_RELAXED) != pace)
		__atomic_store_n(&p->at->pace, pace, __ATOMIC_RELAXED);
	if (pace == PACE_LONG && shm_has_work(p->at, p->view->area->workers))
		shm_wake_one(p);
}

/* How long did the last claim take? The first time there was none. */
int64_t shm_measure_claim(struct pool_port *p)
{
	const uint32_t chunk =
		__atomic_load_n(&p->at->chunk, __ATOMIC_RELAXED); /* or `closed` is read with it */
	const int64_t aim = chunk || p->at->stream ? CHUNKS_NS : CLAIM_NS;
	const uint64_t most = p->at->stream	 ? TILES_MOST
			      : p->at->fail_fast ? POOL_FAIL_FAST_MOST
						 : GRAIN_MAX;
	int64_t now = pool_now_ns();
	int64_t took = now - p->claimed_ns;
	if (p->claimed_ns)
		note_pace(p, took > SHM_WAKE_NS * (int64_t)p->chunks ? PACE_LONG : PACE_SHORT);
	if (p->claimed_ns && took < aim / 2 && p->grain < most && p->chunks >= p->grain)
		p->grain *= 2;
	else if (p->claimed_ns && took > aim * 2 && p->grain > 1)
		p->grain /= 2;
	p->claimed_ns = now;
	__atomic_store_n(&p->desk->claimed_ns, now, __ATOMIC_RELAXED);
	return took;
}

/* With several live jobs a worker makes one claim of each in turn, and must not learn each time anew how much goes into one. */
void shm_keep_pace(struct pool_port *p)
{
	if (p->at->count == 1)
		return;
	if (!p->at->stream)
		shm_measure_claim(p);
	p->pace[p->slot] = (struct shm_pace){ p->at->serial, p->grain };
}

/* The serial is a line more of the slot, read only where there is a pace. */
uint64_t shm_kept_grain(const struct pool_port *p)
{
	const struct shm_pace *pace = &p->pace[p->slot];
	return pace->serial && pace->serial == p->at->serial ? pace->grain : 1;
}

bool shm_claim_batch(struct pool_port *p, struct pool_span *span)
{
	uint64_t lo, hi;
	shm_measure_claim(p);
	while (!take_own(p, &lo, &hi))
		if (!steal(p))
			return false;
	const uint64_t unit = shm_unit(p->at->count);
	uint64_t first = lo * unit, end = hi * unit;
	if (end > p->at->count)
		end = p->at->count;
	span->call.index = first;
	span->count = end - first;
	span->cookie[0] = first;
	span->claims = p->at->chunk ? (hi - lo + p->at->chunk - 1) / p->at->chunk : 1;
	p->chunks = p->at->chunk ? span->claims : hi - lo;
	return true;
}

/* ---- streams ---- */

/* Maybe of another position by now: what was read holds only if the first tile is claimed after it. Relaxed: the swap that
 * claims it orders it. */
static struct shm_tile read_tile(const struct shm_tile *tile)
{
	return (struct shm_tile){
		.state = __atomic_load_n(&tile->state, __ATOMIC_ACQUIRE),
		.index = __atomic_load_n(&tile->index, __ATOMIC_RELAXED),
		.cell = __atomic_load_n(&tile->cell, __ATOMIC_RELAXED),
		.count = __atomic_load_n(&tile->count, __ATOMIC_RELAXED),
	};
}

/* How many tiles from `position` on may go together: published, beside each other, and a small part of what there is. Those
 * behind the first stay as they are until the first is claimed: `next` reaches them only over it. */
static uint64_t tiles_together(const struct pool_port *p, struct shm_tile *tiles,
			       const struct shm_tile *first, uint64_t position, uint64_t ready,
			       uint64_t *items)
{
	uint64_t most = (ready - position) / (4 * (uint64_t)p->view->area->workers), n = 1;
	if (most > p->grain)
		most = p->grain;
	for (*items = first->count; n < most && !p->board->tasks_per_worker; n++) {
		struct shm_tile tile = read_tile(shm_tile_at(tiles, p->at->tiles, position + n));
		if (tile.state != tile_ready(position + n) || tile.cell != first->cell + *items ||
		    tile.index != first->index + *items)
			break;
		*items += tile.count;
	}
	return n;
}

/* Announce, then swap: see shm.h. What was read of the tiles holds if the swap succeeds. */
static bool take_tiles(struct pool_port *p, struct shm_tile *tiles, struct shm_tile *tile,
		       uint64_t position, uint64_t ready, struct pool_span *span)
{
	const struct shm_tile first = read_tile(tile);
	uint64_t word = tile_ready(position);
	if (first.state != word)
		return false;
	p->chunks = span->claims = tiles_together(p, tiles, &first, position, ready, &span->count);
	span->call.index = first.index;
	span->cookie[0] = first.cell;
	span->cookie[1] = position;
	p->desk->lo = position;
	p->desk->progress_before = p->board->ledger[p->worker].progress;
	__atomic_store_n(&p->desk->kind, DESK_TILE, __ATOMIC_RELEASE);
	uint64_t claimed = tile_word(position, span->claims, p->worker, TILE_CLAIMED);
	if (__atomic_compare_exchange_n(&tile->state, &word, claimed, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return true;
	__atomic_store_n(&p->desk->kind, DESK_FREE, __ATOMIC_RELEASE);
	return false;
}

/* Whoever sees a position that is taken moves `next` past it, so a claimer that dies in between
 * stops nobody (the helping of Michael and Scott's queue, 1996). A position that is free was taken back, or never used. */
void shm_pass_tiles(struct shm_slot *s, const struct shm_tile *tile, uint64_t position)
{
	uint64_t word = __atomic_load_n(&tile->state, __ATOMIC_ACQUIRE);
	bool taken = tile_is_at(word, position) && tile_phase(word) >= TILE_CLAIMED;
	uint64_t behind = position + (taken ? tile_tiles(word) : 1);
	__atomic_compare_exchange_n(&s->next, &position, behind, false, __ATOMIC_ACQ_REL,
				    __ATOMIC_RELAXED);
}

bool shm_claim_tiles(struct pool_port *p, struct pool_span *span)
{
	struct shm_slot *s = p->at;
	struct shm_tile *tiles = arena_at(&p->view->arena, s->tiles_at);
	uint64_t position, ready;
	while ((position = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE)) <
		       (ready = __atomic_load_n(&s->ready, __ATOMIC_ACQUIRE)) &&
	       !__atomic_load_n(&s->closed, __ATOMIC_RELAXED)) {
		struct shm_tile *tile = shm_tile_at(tiles, s->tiles, position);
		bool ours = take_tiles(p, tiles, tile, position, ready, span);
		shm_pass_tiles(s, tile, position);
		if (ours)
			return true;
	}
	return false;
}
