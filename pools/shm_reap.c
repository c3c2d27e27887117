/*
 * shm_reap.c - what has been done, and what a dead worker left behind.
 *
 * DESIGN. Order in a batch: read the lanes' `done` (acquire), then take the failures pushed before them, then resolve. A job
 * may be gone after the call that resolves its last item, so everything that is to be told of a job is gathered first.
 */
#include "pools/shm_parent.h"

#include <stdlib.h>
#include <string.h>

static struct shm_slot *slot_of(const struct pool_transport *t, const struct pool_job *job)
{
	const struct shm_job *work = job->transport_data;
	return shm_slot(&t->view, (unsigned)work->slot);
}

static void release_fault(struct pool_transport *t, struct shm_fault *record)
{
	const unsigned char *at = (const unsigned char *)record;
	__atomic_store_n(&record->status, 0, __ATOMIC_RELEASE);
	if (at < t->view.reserves ||
	    at >= t->view.reserves + (size_t)t->workers * SHM_RESERVE_BYTES)
		arena_free(&t->view.arena, record);
}

/* Messages are made by vasprintf: an int counts their bytes. */
static bool is_fault(const struct pool_transport *t, const struct pool_job *job, uint64_t at,
		     const struct shm_fault *head)
{
	return head->at < job->count && pool_fault_is_known(head->status) &&
	       head->size <= INT32_MAX &&
	       arena_reach(&t->view.arena, at, sizeof *head + head->size);
}

/* What does not look like a record ends the list: the rest is lost. A list that leads back to itself
 * comes to one that was taken. */
static void take_faults(struct pool_transport *t, struct pool_job *job)
{
	struct shm_slot *s = slot_of(t, job);
	struct shm_fault *record;
	if (!__atomic_load_n(&s->faults, __ATOMIC_RELAXED))
		return;
	uint64_t at = __atomic_exchange_n(&s->faults, 0, __ATOMIC_ACQUIRE);
	while ((record = arena_reach(&t->view.arena, at, sizeof *record))) {
		const struct shm_fault head = *record;
		if (!is_fault(t, job, at, &head))
			return;
		const struct pool_fault fault = {
			.index = head.at,
			.status = head.status,
			.code = head.code,
			.message = record->message,
			.message_size = head.size,
		};
		at = head.next;
		pool_job_fault(job, &fault);
		release_fault(t, record);
	}
}

/* So many items that may still become final, whatever a worker says. */
static uint64_t at_most_left(const struct pool_job *job, uint64_t items)
{
	const uint64_t left = job->count - job->resolved;
	return items < left ? items : left;
}

/* ---- batches ---- */

static uint64_t item_at(const struct pool_job *job, uint64_t position)
{
	uint64_t item = position * shm_unit(job->count);
	return item < job->count ? item : job->count;
}

/* Empties a lane that nobody may take from any more; what was in it. `lo` stays: a claim below it
 * may still run, and recover_take must see that it happened. */
static uint64_t drain_lane(struct shm_lane *lane)
{
	uint64_t word = __atomic_load_n(&lane->word, __ATOMIC_ACQUIRE);
	while (lane_lo(word) < lane_hi(word))
		if (__atomic_compare_exchange_n(&lane->word, &word,
						lane_word(lane_lo(word), lane_lo(word),
							  lane_thief(word)),
						false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return word;
	return LANE_EMPTY;
}

/* Counted on the parent's own lane first: the worker that finishes the batch adds the lanes up. */
static void account(const struct pool_transport *t, struct shm_slot *s, struct shm_job *work,
		    uint64_t items)
{
	struct shm_lane *own = &s->lane[t->workers];
	__atomic_store_n(&own->done, own->done + items, __ATOMIC_SEQ_CST);
	work->seen += items;
}

static bool drop_lanes(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	struct shm_slot *s = slot_of(t, job);
	uint64_t left = job->count - job->resolved;
	bool any = false;
	for (unsigned i = 0; i < t->workers && left; i++) {
		uint64_t word = drain_lane(&s->lane[i]);
		if (word == LANE_EMPTY)
			continue;
		uint64_t begin = item_at(job, lane_lo(word));
		uint64_t items = at_most_left(job, item_at(job, lane_hi(word)) - begin);
		account(t, s, work, items);
		left -= items;
		pool_job_drop(job, begin, items);
		any = true;
	}
	return any;
}

static bool reap_batch(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	struct shm_slot *s = slot_of(t, job);
	const uint64_t done = shm_done(t, s) + s->lane[t->workers].done;
	take_faults(t, job);
	uint64_t fresh = at_most_left(job, done - work->seen);
	bool last = job->resolved + fresh == job->count;
	work->seen = done;
	if (fresh)
		pool_job_resolve(job, 0, fresh);
	if (last) /* resolved earlier and not yet retired by its own thread: nothing new */
		return fresh != 0;
	bool dropped = __atomic_load_n(&s->closed, __ATOMIC_RELAXED) && job->cancelled &&
		       drop_lanes(t, job);
	return fresh || dropped;
}

/* ---- streams ---- */

static uint64_t word_of(const struct shm_tile *tile)
{
	return __atomic_load_n(&tile->state, __ATOMIC_ACQUIRE);
}

static void finish_cells(struct pool_transport *t, struct pool_job *job, uint64_t cell,
			 uint64_t count)
{
	for (uint64_t i = 0; job->variable & POOL_VARIABLE_RESULT && i < count; i++)
		if (!job->status || !job->status[cell + i])
			shm_take_variable(t, job, cell + i);
	pool_job_resolve(job, cell, count);
}

static bool stream_over(const struct pool_job *job, uint64_t count)
{
	return job->cancelled && job->resolved + count == job->ready;
}

/* Are these cells under way? What descriptors say, workers could have written. */
static bool names_cells(const struct pool_job *job, uint64_t cell, uint64_t items)
{
	if (!items || cell >= job->count || items > job->count - cell)
		return false;
	const uint64_t end = cell + items;
	for (uint64_t k = pool_tile_of(job, cell); cell < end; k++) {
		if (cell < k * job->chunk || job->cell_done[cell])
			return false; /* behind a tile that is not full there is a gap */
		const uint64_t behind = k * job->chunk + job->tile[k].count;
		if (behind <= cell)
			return false;
		cell = behind;
	}
	return true;
}

/* Frees the descriptors of a claim that begins at `tile`, with so many items from `cell` on; false: it names others. The first
 * is freed last: `next` may still stand at it, and whoever finds it free goes on to the second. */
static bool free_tiles(const struct pool_job *job, struct shm_tile *tile, uint64_t cell,
		       uint64_t *items)
{
	const struct shm_job *work = job->transport_data;
	const uint64_t first = (uint64_t)(tile - work->tiles), tiles = tile_tiles(word_of(tile));
	*items = 0;
	for (uint64_t i = 0; i < tiles && tiles <= work->tile_count; i++)
		*items += shm_work_tile(work, first + i)->count;
	if (tiles > work->tile_count || !names_cells(job, cell, *items))
		return false;
	for (uint64_t i = tiles; i-- > 0;)
		__atomic_store_n(&shm_work_tile(work, first + i)->state, TILE_FREE,
				 __ATOMIC_RELEASE);
	return true;
}

/* One descriptor: true if it begins a claim that is over. */
static bool reap_tile(struct pool_transport *t, struct pool_job *job, struct shm_tile *tile,
		      bool *over)
{
	const uint64_t cell = tile->cell;
	uint64_t items;
	if (tile_phase(word_of(tile)) != TILE_DONE || !free_tiles(job, tile, cell, &items))
		return false;
	*over = stream_over(job, items);
	take_faults(t, job); /* again: this tile may have become DONE after the first time */
	finish_cells(t, job, cell, items);
	return true;
}

/* What nobody has claimed of a cancelled stream. In the way of a worker, from `next` on: a claim of several tiles that is
 * being made would not notice that one behind its first is gone. */
static bool drop_tiles(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	struct shm_slot *s = slot_of(t, job);
	bool any = false, over = false;
	for (uint64_t at;
	     !over && (at = __atomic_load_n(&s->next, __ATOMIC_ACQUIRE)) < work->tail;) {
		struct shm_tile *tile = shm_work_tile(work, at);
		const uint64_t cell = tile->cell, items = tile->count;
		uint64_t word = tile_ready(at);
		bool ours = __atomic_compare_exchange_n(&tile->state, &word, TILE_FREE, false,
							__ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
		shm_pass_tiles(s, tile, at);
		if (!ours || !names_cells(job, cell, items))
			continue;
		any = true;
		over = stream_over(job, items);
		pool_job_drop(job, cell, items);
	}
	return any;
}

/* There are only tile_count descriptors; the head may stand at a slow one. */
static uint64_t first_tile(const struct shm_job *work)
{
	return work->tail > work->tile_count && work->head < work->tail - work->tile_count
		       ? work->tail - work->tile_count
		       : work->head;
}

static bool reap_stream(struct pool_transport *t, struct pool_job *job)
{
	struct shm_job *work = job->transport_data;
	struct shm_slot *s = slot_of(t, job);
	const uint64_t done = shm_done(t, s);
	bool any = false, over = false;
	take_faults(t, job); /* a worker may wait for that in the middle of a claim */
	if (done == work->seen && !job->cancelled)
		return false;
	work->seen = done;
	for (uint64_t at = first_tile(work); !over && at < work->tail; at++) {
		struct shm_tile *tile = shm_work_tile(work, at);
		any = reap_tile(t, job, tile, &over) || any;
		if (!over && at == work->head && tile_phase(word_of(tile)) == TILE_FREE)
			work->head++;
	}
	bool dropped = !over && job->cancelled && drop_tiles(t, job);
	return any || dropped;
}

bool shm_reap_job(struct pool_transport *t, struct pool_job *job)
{
	return job->stream ? reap_stream(t, job) : reap_batch(t, job);
}

/* ---- deaths ---- */

static uint64_t begun_of(const struct pool_transport *t, int worker)
{
	const struct pool_ledger *ledger = &t->board->ledger[worker];
	const struct shm_desk *desk = &t->view.desk[worker];
	if (ledger->progress >> 32 == desk->progress_before >> 32)
		return 0;
	return ledger->progress & UINT32_MAX;
}

/* The swap happened iff the victim's word names the dead thief; installed iff its own lane begins
 * at `lo`. */
static void finish_steal(struct pool_transport *t, struct shm_slot *s, int worker)
{
	const struct shm_desk *desk = &t->view.desk[worker];
	if (desk->victim > t->workers)
		return;
	struct shm_lane *own = &s->lane[worker], *victim = &s->lane[desk->victim];
	uint64_t word = __atomic_load_n(&victim->word, __ATOMIC_ACQUIRE);
	if (lane_thief(word) != (uint64_t)worker + 1)
		return;
	uint64_t mine = __atomic_load_n(&own->word, __ATOMIC_ACQUIRE);
	while (lane_lo(mine) == LANE_MASK &&
	       !__atomic_compare_exchange_n(&own->word, &mine,
					    lane_word(desk->lo, desk->hi, lane_thief(mine)), false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
	lane_clear_thief(victim);
}

/* Whether item `at` is run again; otherwise it is final. */
static bool settle_lost(struct pool_transport *t, struct pool_job *job, int worker, uint64_t at)
{
	struct shm_job *work = job->transport_data;
	struct shm_slot *s = slot_of(t, job);
	if (!job->stream)
		account(t, s, work, 1);
	bool again = pool_job_lost(job, at, worker);
	if (again && !job->stream) {
		struct shm_lane *own = &s->lane[t->workers];
		own->done--;
		work->seen--;
	}
	return again;
}

/* The lane of a dead owner begins again at `lo`: thieves and the successor take from there. */
static void give_back(struct shm_lane *lane, uint64_t lo)
{
	uint64_t word = __atomic_load_n(&lane->word, __ATOMIC_ACQUIRE);
	while (!__atomic_compare_exchange_n(&lane->word, &word,
					    lane_word(lo, lane_hi(word), lane_thief(word)), false,
					    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
}

/* Items before the last begun one are done, that one is lost, the others were never begun. With
 * unit > 1 a position may be begun in part: then its items that were not begun are lost with it. */
static void recover_take(struct pool_transport *t, struct pool_job *job, int worker)
{
	struct shm_job *work = job->transport_data;
	struct shm_slot *s = slot_of(t, job);
	const struct shm_desk *desk = &t->view.desk[worker];
	struct shm_lane *lane = &s->lane[worker];
	bool swapped = lane_lo(__atomic_load_n(&lane->word, __ATOMIC_ACQUIRE)) == desk->hi;
	if (!swapped || lane->done != desk->done_before)
		return;
	uint64_t first = item_at(job, desk->lo), begun = begun_of(t, worker);
	if (begun == 0) {
		give_back(lane, desk->lo);
		return;
	}
	const uint64_t unit = shm_unit(job->count);
	uint64_t rest = (first + begun + unit - 1) / unit;
	bool more = rest < desk->hi;
	const uint64_t fine = at_most_left(job, begun - 1);
	const uint64_t lost_end = item_at(job, more ? rest : desk->hi);
	if (more)
		give_back(lane, rest);
	take_faults(t, job);
	if (fine) {
		account(t, s, work, fine);
		pool_job_resolve(job, 0, fine);
	}
	uint64_t left = job->count - job->resolved;
	for (uint64_t at = first + fine; at < lost_end && left; at++, left--)
		if (settle_lost(t, job, worker, at))
			give_back(lane, desk->lo + fine);
}

static void recover_tile(struct pool_transport *t, struct pool_job *job, int worker,
			 struct shm_tile *tile)
{
	struct shm_job *work = job->transport_data;
	struct shm_tile rest = { .index = tile->index, .cell = tile->cell };
	uint64_t begun = begun_of(t, worker), items;
	if (!free_tiles(job, tile, rest.cell, &items))
		return;
	rest.count = (uint32_t)items;
	begun = begun < items ? begun : items;
	const uint64_t fine = begun ? begun - 1 : 0;
	take_faults(t, job);
	if (fine)
		finish_cells(t, job, rest.cell, fine);
	rest.index += fine;
	rest.cell += (uint32_t)fine;
	rest.count -= (uint32_t)fine;
	bool over = begun && rest.count == 1 && stream_over(job, 1);
	if (begun && !pool_job_lost(job, rest.cell, worker)) {
		rest.index++;
		rest.cell++;
		rest.count--;
	}
	if (over || rest.count == 0)
		return;
	if (job->cancelled) {
		pool_job_drop(job, rest.cell, rest.count);
	} else {
		shm_push_tile(work, rest.index, rest.cell, rest.count);
		shm_offer(t, job, 1);
	}
}

static void recover_tiles(struct pool_transport *t, struct pool_job *job, int worker)
{
	struct shm_job *work = job->transport_data;
	for (uint64_t at = first_tile(work); at < work->tail; at++) {
		struct shm_tile *tile = shm_work_tile(work, at);
		uint64_t word = word_of(tile);
		if (tile_phase(word) == TILE_CLAIMED && tile_owner(word) == (uint64_t)worker + 1) {
			recover_tile(t, job, worker, tile);
			return;
		}
	}
}

static void recover(struct pool_transport *t, struct pool_job *job, int worker)
{
	const struct shm_desk *desk = &t->view.desk[worker];
	if (desk->kind == DESK_STEAL)
		finish_steal(t, slot_of(t, job), worker);
	else if (desk->kind == DESK_TAKE)
		recover_take(t, job, worker);
	else if (desk->kind == DESK_TILE)
		recover_tiles(t, job, worker);
}

/* The job it was in, if it was in any. */
static struct pool_job *job_of(const struct pool_transport *t, int worker)
{
	const uint32_t active = t->view.desk[worker].active;
	return active && active <= SHM_SLOTS ? t->job[active - 1] : NULL;
}

/* Whatever it had pushed is taken, so its record in reserve is its successor's. */
static void take_back_reserve(struct pool_transport *t, int worker)
{
	for (int slot = 0; slot < SHM_SLOTS; slot++)
		if (t->job[slot])
			take_faults(t, t->job[slot]);
	__atomic_store_n(&shm_reserve(&t->view, (unsigned)worker)->status, 0, __ATOMIC_RELEASE);
}

void shm_lost(struct pool_transport *t, int worker)
{
	struct shm_desk *desk = &t->view.desk[worker];
	shm_take_back_block(t, desk); /* first: the reference may soon be another worker's */
	struct pool_job *job = job_of(t, worker);
	if (job && job->stream) /* it may have died between DONE and the count: look at all tiles */
		((struct shm_job *)job->transport_data)->seen = UINT64_MAX;
	if (job)
		shm_reap_job(t, job);
	job = job_of(t, worker);
	if (job)
		recover(t, job, worker);
	take_back_reserve(t, worker);
	__atomic_store_n(&desk->kind, DESK_FREE, __ATOMIC_RELEASE);
	__atomic_store_n(&desk->rest, DESK_AWAKE, __ATOMIC_RELEASE);
	__atomic_store_n(&desk->active, 0, __ATOMIC_SEQ_CST);
	shm_wake_all(t);
}
