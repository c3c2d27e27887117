/* arena.c - see arena.h: blocks. */
#include "pools/arena_blocks.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { TIDYING_MS_MOST = 10000 }; /* that others wait for it */

static unsigned class_of(uint64_t bytes)
{
	return bytes <= UINT64_C(1) << SMALLEST ? SMALLEST
						: 64 - (unsigned)__builtin_clzll(bytes - 1);
}

/* Acquire pairs with the release in arena_push: the block's head is seen as it was pushed. The block is noted by the very next
 * store. */
static inline struct block *pop(struct arena *arena, unsigned class, uint64_t *taking)
{
	uint64_t nobody_looks, *note = taking ? taking : &nobody_looks;
	uint64_t *stack = &arena->head->stack[class];
	uint64_t head = __atomic_load_n(stack, __ATOMIC_ACQUIRE);
	while (head & UNITS_MASK && (head & UNITS_MASK) * 64 < arena->size) {
		const uint64_t at = (head & UNITS_MASK) * 64;
		struct block *block = arena_block_at(arena, at);
		uint64_t next = __atomic_load_n(&block->next, __ATOMIC_RELAXED) & UNITS_MASK;
		uint64_t after = ((head & ~UNITS_MASK) + UNITS_MASK + 1) | next;
		if (__atomic_compare_exchange_n(stack, &head, after, true, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			arena_note(note, at | class);
			return block;
		}
	}
	return NULL;
}

/* What is noted in *taking is let go of in the last moment: once it is on the stack it may be somebody else's. If it did not
 * get there it is still ours. */
static inline void push_noted(struct arena *arena, struct block *block, uint64_t *taking)
{
	const uint64_t at = arena_offset(arena, block), class = block->class;
	uint64_t *stack = &arena->head->stack[class];
	uint64_t head = __atomic_load_n(stack, __ATOMIC_RELAXED);
	for (;;) {
		__atomic_store_n(&block->next, head & UNITS_MASK, __ATOMIC_RELAXED);
		const uint64_t after = ((head & ~UNITS_MASK) + UNITS_MASK + 1) | at / 64;
		arena_note(taking, 0);
		if (__atomic_compare_exchange_n(stack, &head, after, true, __ATOMIC_RELEASE,
						__ATOMIC_RELAXED))
			return;
		arena_note(taking, at | class);
	}
}

struct block *arena_pop(struct arena *arena, unsigned class, uint64_t *taking)
{
	return pop(arena, class, taking);
}

void arena_push(struct arena *arena, struct block *block)
{
	push_noted(arena, block, NULL);
}

static void count_grown(const struct arena *arena, int64_t bytes)
{
	__atomic_add_fetch(&arena->head->grown, bytes, __ATOMIC_RELAXED);
}

/* Where nobody was handed anything yet: a place of the class, 0 if there is none. *gap: what was passed over before it. */
static uint64_t advance(struct arena *arena, unsigned class, uint64_t *gap)
{
	const uint64_t size = UINT64_C(1) << class, unit = size < HUGE ? 1 : HUGE;
	uint64_t bump = __atomic_load_n(&arena->head->bump, __ATOMIC_RELAXED), at;
	do {
		at = (bump + unit - 1) / unit * unit;
		if (bump > arena->size || size > arena->size || at > arena->size - size)
			return 0;
	} while (!__atomic_compare_exchange_n(&arena->head->bump, &bump, at + size, true,
					      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
	*gap = at - bump;
	return at;
}

/* No pages for it: its addresses are given back, or if more was taken behind it, it is a free block without pages. */
static void take_no_more(struct arena *arena, uint64_t at, unsigned class, uint64_t gap)
{
	uint64_t end = at + (UINT64_C(1) << class);
	if (__atomic_compare_exchange_n(&arena->head->bump, &end, at - gap, false, __ATOMIC_RELEASE,
					__ATOMIC_RELAXED) ||
	    arena_back(arena, at, ARENA_BLOCK_HEAD) < 0)
		return;
	struct block *block = arena_block_at(arena, at);
	arena_block_begin(block, ARENA_BLOCK_HEAD, class);
	block->gap = gap;
	arena_push(arena, block);
}

/* A block nobody has, its first `bytes` backed. */
static struct block *fresh(struct arena *arena, unsigned class, uint64_t bytes, uint64_t *taking)
{
	uint64_t gap;
	const uint64_t at = advance(arena, class, &gap);
	if (!at) {
		errno = ENOMEM;
		return NULL;
	}
	arena_note(taking, at | class); /* getting pages may take long */
	const int rc = arena_back(arena, at, bytes);
	if (rc < 0) {
		arena_punch(arena, at, bytes); /* there may be pages for a part */
		arena_note(taking, 0);
		take_no_more(arena, at, class, gap);
		errno = -rc;
		return NULL;
	}
	count_grown(arena, (int64_t)bytes);
	struct block *block = arena_block_at(arena, at);
	arena_block_begin(block, bytes, class);
	block->gap = gap;
	return block;
}

/* Small blocks: a whole one is cut up, the first piece is ours. */
static struct block *carve(struct arena *arena, unsigned class, uint64_t *taking)
{
	const uint64_t size = UINT64_C(1) << class, whole = UINT64_C(1) << CARVE_CLASS;
	struct block *first = fresh(arena, CARVE_CLASS, whole, taking);
	if (!first)
		return NULL;
	const uint64_t at = arena_offset(arena, first);
	arena_note(taking, 0); /* before pieces of it are others' */
	arena_block_begin(first, size, class);
	for (uint64_t piece = at + size; piece < at + whole; piece += size) {
		arena_block_begin(arena_block_at(arena, piece), size, class);
		arena_push(arena, arena_block_at(arena, piece));
	}
	arena_note(taking, at | class);
	return first;
}

/* One that was free and is noted, NULL is fine: backed as far as it is to be, or NULL. *used: so much of it, its head
 * included, may have been written to. */
static struct block *reuse(struct arena *arena, struct block *block, uint64_t bytes,
			   uint64_t *taking, uint64_t *used)
{
	if (!block)
		return NULL;
	const uint64_t at = arena_offset(arena, block), backed = block->backed;
	*used = backed;
	if (backed >= bytes)
		return block;
	const int rc = arena_back(arena, at, bytes);
	if (rc < 0) {
		const uint64_t kept = backed < ARENA_BLOCK_HEAD ? ARENA_BLOCK_HEAD : backed;
		arena_punch(arena, at + kept, bytes - kept);
		push_noted(arena, block, taking);
		errno = -rc;
		return NULL;
	}
	count_grown(arena, (int64_t)(bytes - backed));
	block->backed = bytes;
	return block;
}

/* block: that was free, but is short of pages, or NULL. Without room, or without pages: a larger one may have both. */
static __attribute__((noinline)) void *take_slowly(struct arena *arena, struct block *block,
						   uint64_t bytes, uint64_t *taking, uint64_t *used)
{
	const uint64_t need = bytes + ARENA_BLOCK_HEAD;
	const unsigned class = class_of(need);
	*used = 0;
	errno = 0;
	block = reuse(arena, block, need, taking, used);
	if (!block && errno == 0)
		block = class < CARVED ? carve(arena, class, taking)
				       : fresh(arena, class, need, taking);
	if (!block)
		block = reuse(arena, arena_split(arena, class, taking), need, taking, used);
	return block ? (unsigned char *)block + ARENA_BLOCK_HEAD : NULL;
}

static inline void *take(struct arena *arena, uint64_t bytes, uint64_t *taking, uint64_t *used)
{
	const uint64_t need = bytes + ARENA_BLOCK_HEAD;
	const unsigned class = class_of(need);
	if (need < bytes || class >= ARENA_CLASSES) {
		errno = ENOMEM;
		return NULL;
	}
	struct block *block = pop(arena, class, taking);
	if (!block || block->backed < need)
		return take_slowly(arena, block, bytes, taking, used);
	*used = block->backed;
	return (unsigned char *)block + ARENA_BLOCK_HEAD;
}

/* After a failure: once more, until nobody had taken free blocks away for tidying meanwhile. */
static __attribute__((noinline)) void *take_again(struct arena *arena, uint64_t bytes,
						  uint64_t *taking, uint64_t *used)
{
	const uint32_t *tidied = &arena->head->tidied;
	for (unsigned waited_ms = 0;; waited_ms++) {
		const uint32_t before = __atomic_load_n(tidied, __ATOMIC_ACQUIRE);
		void *memory = take(arena, bytes, taking, used);
		const bool alone =
			before % 2 == 0 && __atomic_load_n(tidied, __ATOMIC_ACQUIRE) == before;
		if (memory || alone || waited_ms == TIDYING_MS_MOST)
			return memory;
		usleep(1000);
		errno = ENOMEM;
	}
}

/* Only the process that opened the arena may tidy: if there is nothing left it is to do so when it allocates next. */
void *arena_take(struct arena *arena, uint64_t bytes, uint64_t *taking)
{
	uint64_t used;
	void *memory = take(arena, bytes, taking, &used);
	if (memory || !arena_is_possible(arena, bytes))
		return memory;
	memory = take_again(arena, bytes, taking, &used);
	if (!memory)
		__atomic_store_n(&arena->head->grown, ARENA_GROWN_TOO_FAR, __ATOMIC_RELAXED);
	return memory;
}

static void *take_tidily(struct arena *arena, uint64_t bytes, uint64_t *used)
{
	if (__atomic_load_n(&arena->head->grown, __ATOMIC_RELAXED) >
	    __atomic_load_n(&arena->grown_most, __ATOMIC_RELAXED))
		arena_tidy(arena);
	void *memory = take(arena, bytes, NULL, used);
	if (memory || !arena_is_possible(arena, bytes))
		return memory;
	arena_tidy(arena);
	return take_again(arena, bytes, NULL, used);
}

void arena_hold(const struct arena *arena, const void *memory, uint64_t *taking)
{
	const unsigned char *at = (const unsigned char *)memory - ARENA_BLOCK_HEAD;
	const struct block *block = (const struct block *)(const void *)at;
	arena_note(taking, arena_offset(arena, block) | block->class);
}

void arena_let_go(uint64_t *taking)
{
	arena_note(taking, 0);
}

void *arena_alloc(struct arena *arena, uint64_t bytes)
{
	uint64_t used;
	return take_tidily(arena, bytes, &used);
}

/* Pages that nobody had are zero, and are not touched: most of a large block may never be needed. */
void *arena_alloc_zeroed(struct arena *arena, uint64_t bytes)
{
	uint64_t used;
	void *memory = take_tidily(arena, bytes, &used);
	if (memory && used > ARENA_BLOCK_HEAD) {
		const uint64_t dirty = used - ARENA_BLOCK_HEAD;
		memset(memory, 0, dirty < bytes ? dirty : bytes);
	}
	return memory;
}

static bool give_pages(const struct arena *arena, const struct block *block, uint64_t class)
{
	return arena_punch(arena, arena_offset(arena, block) + HUGE, (UINT64_C(1) << class) - HUGE);
}

/* Its head is there if it was used before; of a new one it is all zero, or not there yet. */
void arena_take_back(struct arena *arena, uint64_t *taking)
{
	const uint64_t noted = __atomic_exchange_n(taking, 0, __ATOMIC_SEQ_CST),
		       class = noted % ARENA_BLOCK_HEAD, at = noted - class;
	if (class < SMALLEST || class >= ARENA_CLASSES || at > arena->size ||
	    UINT64_C(1) << class > arena->size - at || arena_back(arena, at, ARENA_BLOCK_HEAD) < 0)
		return;
	struct block *block = arena_block_at(arena, at);
	if (block->class != class && (block->class != 0 || class < CARVED))
		return; /* no block begins there: somebody wrote on the note */
	block->class = class;
	if (class >= RETURNED && block->backed <= HUGE)
		give_pages(arena, block, class); /* as many as it had got */
	arena_free(arena, (unsigned char *)block + ARENA_BLOCK_HEAD);
}

static inline void put(struct arena *arena, void *memory, uint64_t *taking)
{
	if (!memory)
		return;
	struct block *block = (struct block *)(void *)((unsigned char *)memory - ARENA_BLOCK_HEAD);
	if (block->class >= ARENA_CLASSES)
		return; /* somebody wrote there; it is lost */
	const uint64_t backed = block->backed;
	if (block->class >= RETURNED && backed > HUGE && give_pages(arena, block, block->class)) {
		block->backed = HUGE;
		count_grown(arena, HUGE - (int64_t)backed);
	}
	push_noted(arena, block, taking);
}

void arena_free_held(struct arena *arena, void *memory, uint64_t *taking)
{
	put(arena, memory, taking);
}

void arena_free(struct arena *arena, void *memory)
{
	put(arena, memory, NULL);
}

bool arena_fits(const void *memory, uint64_t bytes)
{
	const unsigned char *at = (const unsigned char *)memory - ARENA_BLOCK_HEAD;
	const struct block *block = (const struct block *)(const void *)at;
	const uint64_t need = bytes + ARENA_BLOCK_HEAD;
	return need > bytes && block->backed >= need && block->class == class_of(need);
}
