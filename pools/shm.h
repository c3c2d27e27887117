/*
 * shm.h - what the two sides of the shared-memory transport share.
 *
 * DESIGN. A published job has a *slot*. A batch's items are cut into one range a worker (its
 * *lane*); a worker takes chunks from the low end of its own lane, and when that is empty steals
 * the upper half of the fullest other one. A stream's tiles are handed out from one ring of
 * descriptors. Claims, results and completion are all plain memory; the only system calls are a
 * futex when a worker has nothing to do and an eventfd when the parent sleeps.
 *
 * Who may die when. Every claim is announced on the worker's *desk* before the compare-and-swap
 * that makes it, such that the desk and the word together tell, after a death at any instruction,
 * whether it happened:
 *   take: only the owner moves `lo` of its lane, so it happened iff lo is the announced end.
 *   steal: the swap leaves the thief's number in the victim's word, which keeps other thieves out
 *     until the thief has installed what it took and cleared it. Before a steal the thief's own
 *     (empty) lane is set to LANE_EMPTY, so "installed" is: its lo is the announced one.
 *   tiles: the descriptor of the first names the claimer and how many; `next` is moved past them by
 *     whoever sees that, so it never stands inside a claim. A claim is over when `done` of the lane (or the
 *     descriptor's DONE) says so; the desk remembers what done was before.
 *
 * The parent is woken late: a wake-up costs as much as many small items, and with as many workers as CPUs one of them stands
 * still for it. Somebody may wait for a batch's end, and is told at once. A stream's results, and the ends of batches that
 * nobody waits for yet, are told when no worker has woken the parent for SHM_LATE_NS, else by the first worker that
 * finds nothing to do. So for that long after it was woken the parent does not sleep without a timer: a worker may have kept
 * something back and have begun a long task.
 *
 * A slot is reused only when no worker is in it: a worker says which slot it is in (full fence),
 * then looks again whether the slot is live; the parent takes the live bit away (full fence), then
 * looks who is in. This is a hazard pointer (Michael, "Hazard pointers", 2004) and stands in for a
 * generation in the lane's word, which has no bits to spare. A worker that is stopped inside a slot
 * keeps that one slot from reuse, nothing else. One that is stopped when it is roused has what it was roused for taken by
 * others some 0.2 s later: the parent looks for what nobody has claimed. One that is killed when it has marked another awake and
 * has not told the kernel leaves that one asleep: a death wakes all.
 *
 * More workers than CPUs. Waking one takes longer than many short items do, and so does taking its lane apart. A batch is cut
 * into as many lanes as there are CPUs, and as many workers are woken first. If the first claims show within NEWS_NS that
 * chunks are short, so it stays; else all are woken that there is something for, and a chunk that took longer than a
 * wake-up (SHM_WAKE_NS) has its worker wake one more. What is left to workers that do not get on (nothing was done for
 * HELD_NS) the parent's look gives to all. A claim is then no more than half of what a lane a worker would have, so that
 * no more long items stand behind each other where the first were short. A single call is a batch of its own: how long the
 * last ones of its task took tells whether as many as there are CPUs are enough; one that two looks find where it was is for
 * all. Nobody looks through the lanes, desks or slots of those who were not at it: a slot has a bit for each lane that was.
 *
 * What is proved. pools/tests/shm_lane.pml is a model of lanes: claims, steals, commits, sleep and wake-up, a death at any
 * instruction and its recovery; pools/tests/shm_ring.pml one of a stream's ring: claims of several tiles, reuse of
 * descriptors, cancellation, a death and its recovery; pools/tests/shm_rest.pml one of who is woken for what is published bit
 * by bit, by those who look first and sleep then; pools/tests/shm_slot.pml one of slots that are used again. spin searches all
 * of them for two workers, three or four items and one death: no item is lost, run twice or resolved twice, no slot is written
 * while a worker is in it, and nobody waits for ever. (One worker may sleep beside an item for as long as another takes, if two
 * are roused and one takes what the other was roused for; the parent's look ends that.) In none: retries, what is told late (a
 * lost wake-up would cost a tenth of a second: the parent looks that often), memory order weaker than that of x86-64 (for
 * slots; the other models' memory is sequentially consistent).
 */
#ifndef POOLS_SHM_H
#define POOLS_SHM_H

#include "pools/arena.h"
#include "pools/pool_ops.h"

#define SHM_LATE_NS UINT64_C(500000)
enum { SHM_WAKE_NS = 50000 }; /* a wake-up, on both sides */

enum { SHM_LANE_WORDS = POOL_WORKERS_MAX / 64 + 1 }; /* a bit a worker, and at least one more */
enum { SHM_SLOTS = 64, SHM_AREA_AT = 4096 + ARENA_BLOCK_HEAD /* in the arena: its first block */ };

/* A lane's word: lo | hi << 28 | thief << 56; positions are items / shm_unit; thief: worker + 1 or
 * 0. */
#define LANE_BITS 28
#define LANE_MASK ((UINT64_C(1) << LANE_BITS) - 1)
#define LANE_MOST (LANE_MASK - 1) /* positions a batch can have */
#define LANE_EMPTY (LANE_MASK | LANE_MASK << LANE_BITS)

static inline uint64_t lane_lo(uint64_t word)
{
	return word & LANE_MASK;
}
static inline uint64_t lane_hi(uint64_t word)
{
	return word >> LANE_BITS & LANE_MASK;
}
static inline uint64_t lane_thief(uint64_t word)
{
	return word >> (2 * LANE_BITS);
}
static inline uint64_t lane_word(uint64_t lo, uint64_t hi, uint64_t thief)
{
	return lo | hi << LANE_BITS | thief << (2 * LANE_BITS);
}

struct shm_lane {
	_Alignas(64) uint64_t word; /* owner, thieves and parent: compare-and-swap */
	uint64_t
		done; /* items of committed claims (stream: tiles); one writer: the owner; release/acquire */
};

static inline void lane_clear_thief(struct shm_lane *lane)
{
	__atomic_and_fetch(&lane->word, LANE_EMPTY, __ATOMIC_ACQ_REL);
}

enum desk_kind { DESK_FREE, DESK_TAKE, DESK_STEAL, DESK_TILE };

/* A worker without work sleeps, or looks for some for a while first. Whoever publishes something makes as many of them AWAKE
 * as it is for, those who look first: they need no system call. One that looks, is awake and has found nothing says again
 * that it looks, and looks again. */
enum desk_rest { DESK_AWAKE, DESK_ASLEEP, DESK_LOOKING };

/* What a worker is about to do or doing. Written by the worker, read by the parent when the worker
 * is dead or stopped (kind, active: at any time); rest is also made AWAKE by whoever has work for it. */
struct shm_desk {
	_Alignas(64)
		uint32_t rest; /* futex: enum desk_rest; who looks for work reads it all the time */
	_Alignas(64) uint32_t active; /* slot + 1; sequentially consistent, see above */
	uint32_t kind, victim;
	uint32_t last;	 /* slot looked at last: the search goes on behind it, a successor's too */
	uint64_t lo, hi; /* positions taken or stolen; tile: lo is the ring position */
	uint64_t taking; /* see arena_take and shm_result.c */
	uint64_t done_before; /* own lane's done at the claim */
	int64_t claimed_ns;   /* about when the claim was made */
	uint64_t
		progress_before; /* ledger's progress at the claim: unchanged claim number means nothing has begun */
	uint64_t
		holder; /* offset of the pool_ref that `taking` goes to or comes from; 0: it is none's */
};

/* A stream's descriptor of one tile. state: position << 24 | (tiles - 1) << 16 | (worker + 1) << 8 | phase. A claim takes
 * `tiles` positions by the word of the first; the words of the others stay as they were until the claim is over. */
enum tile_phase { TILE_FREE, TILE_READY, TILE_CLAIMED, TILE_DONE };
enum { TILES_MOST = 16 }; /* a claim: an item that takes long keeps the others of its claim */
static inline uint64_t tile_word(uint64_t position, uint64_t tiles, uint32_t worker,
				 enum tile_phase phase)
{
	return position << 24 | (tiles - 1) << 16 | (uint64_t)(worker + 1) << 8 | phase;
}
static inline uint64_t tile_ready(uint64_t position)
{
	return position << 24 | TILE_READY;
}
static inline bool tile_is_at(uint64_t word, uint64_t position)
{
	return (word ^ position << 24) >> 24 == 0;
}
static inline enum tile_phase tile_phase(uint64_t word)
{
	return (enum tile_phase)(word & 0xff);
}
static inline uint64_t tile_owner(uint64_t word) /* worker + 1 */
{
	return word >> 8 & 0xff;
}
static inline uint64_t tile_tiles(uint64_t word)
{
	return (word >> 16 & 0xff) + 1;
}

struct shm_tile {
	uint64_t state;
	uint64_t index; /* in the input, of the first item */
	uint32_t cell, count;
};

/* In a ring of `count`, a power of two. */
static inline struct shm_tile *shm_tile_at(struct shm_tile *tiles, uint64_t count,
					   uint64_t position)
{
	return &tiles[position & (count - 1)];
}

/* A failed item: a stack; pushed by workers, all taken by the parent, which sets status to 0 then.
 * Each worker has a record in reserve, without a message, for when there is no memory: it is the
 * worker's while its status is 0 (release by the parent, acquire by the worker). */
struct shm_fault {
	uint64_t next; /* offset */
	uint64_t at;   /* item or cell */
	int32_t status, code;
	uint64_t size;
	char message[];
};

struct shm_column {	   /* of arguments, or the results */
	uint64_t at, size; /* offset of the first element; bytes from one to the next */
};

/* Of the last claims. With more workers than CPUs nobody is woken for short chunks while as many as there are CPUs are at it. */
enum slot_pace { PACE_UNKNOWN, PACE_SHORT, PACE_LONG };

struct shm_slot {
	/* Written by the parent before the live bit is set, then constant, patient and closed aside. A cache line costs as much
	 * as a small task where it was another processor's: of a batch with one argument a worker reads only this. */
	_Alignas(64) uint64_t task;
	uint64_t count; /* items; see shm_unit */
	int64_t limit_ns;
	uint32_t chunk; /* positions a claim, 0: auto */
	uint8_t columns : 4, stream : 1, fail_fast : 1, variable_result : 1;
	uint8_t variable; /* bit k: argument k */
	uint8_t patient;
	uint8_t closed; /* nothing more is claimed; set by the parent, or a worker under fail_fast */
	struct shm_column result, arg[POOL_COLUMNS_MAX];
	uint64_t tiles_at, tiles; /* stream: descriptors, a power of two */
	/* Shared. */
	_Alignas(64)
		uint64_t faults; /* offset of the newest shm_fault: compare-and-swap, exchange */
	uint64_t serial;	 /* of the job; constant like the description */
	uint32_t pace;		 /* enum slot_pace; workers, when it changes */
	uint64_t used
		[SHM_LANE_WORDS]; /* bit a lane; the parent, and a thief before it first writes to its own */
	_Alignas(64) uint64_t next; /* stream: ring position to claim; compare-and-swap */
	_Alignas(64) uint64_t
		ready; /* stream: ring positions published; the parent: release, workers: acquire */
	/* One a worker, and the parent's: what it resolved itself. A worker's that is not used is empty with done 0, so whoever
	 * passes it over has seen what stands there, and a call costs no more with many workers than with a few. */
	struct shm_lane lane[];
};

_Static_assert(POOL_COLUMNS_MAX == 8, "a bit an argument");

/* The first lane in use from `from` on; `workers` if there is none. */
static inline uint32_t shm_next_lane(const struct shm_slot *s, uint32_t from, uint32_t workers)
{
	while (from < workers) {
		const uint64_t bits =
			__atomic_load_n(&s->used[from / 64], __ATOMIC_ACQUIRE) >> from % 64;
		if (bits) {
			const uint32_t lane = from + (uint32_t)__builtin_ctzll(bits);
			return lane < workers ? lane : workers;
		}
		from = (from / 64 + 1) * 64;
	}
	return workers;
}

#define SHM_LANES(i, s, workers)                                                                   \
	for (uint32_t i = shm_next_lane(s, 0, workers); i < (workers);                             \
	     i = shm_next_lane(s, i + 1, workers))

/* Is there something that nobody has claimed, or is it on its way from one lane to another? Also for whoever is not in the
 * slot: then it may be another job's by now, and whoever published that wakes who rests. A stream uses all lanes, also those
 * that no worker has. */
static inline bool shm_has_work(const struct shm_slot *s, uint32_t workers)
{
	if (__atomic_load_n(&s->used[SHM_LANE_WORDS - 1], __ATOMIC_RELAXED) == UINT64_MAX)
		return __atomic_load_n(&s->next, __ATOMIC_RELAXED) <
		       __atomic_load_n(&s->ready, __ATOMIC_RELAXED);
	SHM_LANES (i, s, workers) {
		const uint64_t word = __atomic_load_n(&s->lane[i].word, __ATOMIC_RELAXED);
		if (lane_lo(word) < lane_hi(word) || lane_thief(word))
			return true;
	}
	return false;
}

/* Items a position of a lane, for a batch of so many. */
static inline uint64_t shm_unit(uint64_t count)
{
	return count / LANE_MOST + (count % LANE_MOST != 0);
}

struct shm_area {
	uint32_t workers, stopping;
	uint64_t slots_at, slot_size, desks_at, reserves_at;
	_Alignas(64) uint64_t live;	     /* bit a slot; the parent writes it, see set_live */
	_Alignas(64) uint32_t parent_asleep; /* set by the parent, cleared by whoever wakes it */
	uint32_t untold;		     /* something is done of which it was not told */
	uint64_t woken_ns;		     /* when a worker last woke it */
	uint64_t
		short_task; /* id; with more workers than CPUs: of which a single call was short last; workers */
};

struct shm_view { /* where things are in this process */
	struct arena arena;
	struct shm_area *area;
	struct shm_desk *desk;
	unsigned char *slots, *reserves;
	uint64_t slot_size;
};

static inline struct shm_slot *shm_slot(const struct shm_view *view, unsigned slot)
{
	return (struct shm_slot *)(void *)(view->slots + slot * view->slot_size);
}

enum { SHM_RESERVE_BYTES = 64 };
_Static_assert(sizeof(struct shm_fault) <= SHM_RESERVE_BYTES, "a record without a message fits");

static inline struct shm_fault *shm_reserve(const struct shm_view *view, unsigned worker)
{
	return (struct shm_fault *)(void *)(view->reserves + (size_t)worker * SHM_RESERVE_BYTES);
}

/* shm_claim.c: moves `next` past what stands at `position`, which is in this descriptor, if nobody has. */
void shm_pass_tiles(struct shm_slot *s, const struct shm_tile *tile, uint64_t position);

void shm_view_of(struct shm_view *view, struct shm_area *area);
void shm_futex_wake(uint32_t *word);
/* Makes a worker awake that is in this rest; false: it was not. */
bool shm_rouse(struct shm_desk *desk, enum desk_rest rest);

/* The worker's side, shm_port.c. */
int shm_attach(struct pool_port **out, const struct pool_ticket *ticket, struct pool_board *board);
int shm_claim(struct pool_port *port, struct pool_span *span);
void *shm_result_alloc(struct pool_port *port, struct pool_ref *ref, uint64_t bytes);
void shm_fault(struct pool_port *port, struct pool_span *span, const struct pool_fault *fault);
int shm_commit(struct pool_port *port, struct pool_span *span);
void shm_detach(struct pool_port *port);

#endif
