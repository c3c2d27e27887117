/*
 * arena_tidy.c - free blocks become blocks of other sizes, and their pages the system's.
 *
 * DESIGN. Tidying takes all free blocks off their stacks, which makes them its own: a stack's tag has changed, so whoever
 * was about to pop or push tries again. Neighbours are joined. What ends where nobody was handed anything yet is given back
 * to there; the rest is cut into the largest blocks possible, which keep the pages of their heads only. It is done by the
 * process that opened the arena, when it allocates: without that process there is no pool, so nobody has to put right what
 * a death in the middle leaves. Meanwhile others find no free blocks. They take new ones, and if there are none wait.
 *
 * When: if an allocation fails; and if since the last time the arena grew by more than was in use then, than it had grown
 * before that time, and than GROWN_LEAST: calls that need the same blocks again and again find them untidied. So it has
 * pages for some small multiple of what was ever in use at once.
 *
 * Runs shorter than a block that small ones are carved from stay as they are: they would be many, for few pages.
 */
#include "pools/arena_blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const int64_t GROWN_LEAST = INT64_C(64) << 20;
static const uint64_t RUN_LEAST = UINT64_C(1) << CARVE_CLASS;
enum { CUT_PAGES = 8192 }; /* blocks so large keep only their head's page */

struct piece {
	uint64_t at, end; /* with the gap before the block */
	struct block *block;
};

struct pieces {
	struct piece *piece;
	uint64_t count, room;
};

static uint64_t bump_of(const struct arena *arena)
{
	return __atomic_load_n(&arena->head->bump, __ATOMIC_ACQUIRE);
}

/* ---- taking all free blocks ---- */

/* The whole stack; offset/64 of its first block. Acquire pairs with the release in arena_push. */
static uint64_t take_stack(struct arena *arena, unsigned class)
{
	uint64_t *stack = &arena->head->stack[class];
	uint64_t head = __atomic_load_n(stack, __ATOMIC_RELAXED);
	while (head & UNITS_MASK &&
	       !__atomic_compare_exchange_n(stack, &head, (head & ~UNITS_MASK) + UNITS_MASK + 1,
					    true, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		;
	return head & UNITS_MASK;
}

static bool add(struct pieces *pieces, struct piece piece)
{
	if (pieces->count == pieces->room) {
		const uint64_t room = pieces->room ? 2 * pieces->room : 1024;
		struct piece *more = malloc(room * sizeof *more);
		if (!more)
			return false;
		if (pieces->count)
			memcpy(more, pieces->piece, pieces->count * sizeof *more);
		free(pieces->piece);
		pieces->piece = more;
		pieces->room = room;
	}
	pieces->piece[pieces->count++] = piece;
	return true;
}

/* What does not look like a free block ends the list: the rest is lost. So does a list longer than the arena has blocks. */
static void collect(struct arena *arena, struct pieces *pieces, unsigned class)
{
	uint64_t at = take_stack(arena, class) * 64;
	const uint64_t bump = bump_of(arena), size = UINT64_C(1) << class;
	const uint64_t most = bump < arena->size ? bump : arena->size;
	for (uint64_t left = most / size; left && at >= ARENA_FIRST; left--) {
		struct block *block = arena_block_at(arena, at);
		if (size > most || at > most - size || block->class != class ||
		    block->gap >= HUGE || block->gap > at - ARENA_FIRST)
			return;
		const uint64_t next = __atomic_load_n(&block->next, __ATOMIC_RELAXED) & UNITS_MASK;
		if (!add(pieces, (struct piece){ at - block->gap, at + size, block }))
			arena_push(arena, block);
		at = next * 64;
	}
}

static int by_place(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;
	return (x->at > y->at) - (x->at < y->at);
}

/* ---- runs of neighbours ---- */

/* The class of the largest block that may begin at `at` and has room in `rest`. */
static unsigned largest_at(uint64_t at, uint64_t rest)
{
	if (rest >= HUGE && at % HUGE)
		rest = HUGE - at % HUGE;
	return 63 - (unsigned)__builtin_clzll(rest);
}

static bool back_heads(struct arena *arena, uint64_t at, uint64_t end)
{
	for (unsigned class; at < end; at += UINT64_C(1) << class) {
		class = largest_at(at, end - at);
		const uint64_t size = UINT64_C(1) << class;
		if (arena_back(arena, at, size < CUT_PAGES ? size : ARENA_BLOCK_HEAD) < 0)
			return false;
	}
	return true;
}

/* Before the first byte of it changes all heads have their pages. False: nothing was done, there is no memory. */
static bool cut(struct arena *arena, uint64_t at, uint64_t end)
{
	if (!back_heads(arena, at, end))
		return false;
	for (uint64_t size; at < end; at += size) {
		const unsigned class = largest_at(at, end - at);
		size = UINT64_C(1) << class;
		const bool large = size >= CUT_PAGES;
		if (large && !arena_punch(arena, at + ARENA_BLOCK_HEAD, size - ARENA_BLOCK_HEAD))
			continue; /* lost: it has no head that is known to be right */
		arena_block_begin(arena_block_at(arena, at), large ? ARENA_BLOCK_HEAD : size,
				  class);
		arena_push(arena, arena_block_at(arena, at));
	}
	return true;
}

/* What nobody was handed must be zero, so the pages go first. If somebody took something behind it meanwhile, and there is no
 * memory for heads, its addresses are lost. False: nothing was done. */
static bool give_back(struct arena *arena, uint64_t at, uint64_t end)
{
	if (bump_of(arena) != end || !arena_punch(arena, at, end - at))
		return false;
	uint64_t bump = end;
	if (!__atomic_compare_exchange_n(&arena->head->bump, &bump, at, false, __ATOMIC_RELEASE,
					 __ATOMIC_RELAXED))
		cut(arena, at, end);
	return true;
}

/* The free neighbours piece[0..n). */
static void settle(struct arena *arena, const struct piece *piece, uint64_t n)
{
	const uint64_t at = piece[0].at, end = piece[n - 1].end;
	if (end - at >= RUN_LEAST && (give_back(arena, at, end) || cut(arena, at, end)))
		return;
	for (uint64_t i = 0; i < n; i++)
		arena_push(arena, piece[i].block);
}

/* Returns their bytes. One that lies in another, which no free block does, is lost. */
static uint64_t settle_all(struct arena *arena, struct piece *piece, uint64_t count)
{
	uint64_t bytes = 0, n;
	for (uint64_t i = 0; i < count; i += n) {
		uint64_t kept = 1, end = piece[i].end;
		for (n = 1; i + n < count && piece[i + n].at <= end; n++)
			if (piece[i + n].at == end) {
				piece[i + kept++] = piece[i + n];
				end = piece[i + kept - 1].end;
			}
		bytes += end - piece[i].at;
		settle(arena, &piece[i], kept);
	}
	return bytes;
}

static int64_t most_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* One thread at a time: others go on as if there were no free blocks, see take_again. No lock, which a process that is
 * forked meanwhile would find taken for ever. */
void arena_tidy(struct arena *arena)
{
	struct pieces pieces = { 0 };
	struct arena_head *head = arena->head;
	uint32_t before = __atomic_load_n(&head->tidied, __ATOMIC_RELAXED);
	if (before % 2 || !__atomic_compare_exchange_n(&head->tidied, &before, before + 1, false,
						       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	const int64_t grown = __atomic_exchange_n(&head->grown, 0, __ATOMIC_RELAXED);
	const uint64_t handed_out = bump_of(arena);
	for (unsigned class = SMALLEST; class < ARENA_CLASSES; class ++)
		collect(arena, &pieces, class);
	if (pieces.count)
		qsort(pieces.piece, pieces.count, sizeof *pieces.piece, by_place);
	const uint64_t bytes = settle_all(arena, pieces.piece, pieces.count);
	const int64_t used = (int64_t)(handed_out - bytes);
	int64_t most = most_of(used, GROWN_LEAST);
	if (grown < ARENA_GROWN_TOO_FAR)
		most = most_of(most, grown);
	__atomic_store_n(&arena->grown_most, most, __ATOMIC_RELAXED);
	__atomic_store_n(&head->tidied, before + 2, __ATOMIC_SEQ_CST);
	free(pieces.piece);
}

/* ---- a smaller block out of a larger one ---- */

/* The upper half becomes a block of its own; `block` is noted as the lower one before that is known to others. First of all
 * it gets its new class: a death before the note, which then names another one, leaks both halves instead of giving the whole
 * back with a head in the middle. One behind it leaks the upper one. */
static bool halve(struct arena *arena, struct block *block, uint64_t *taking)
{
	const uint64_t at = arena_offset(arena, block), class = block->class - 1;
	const uint64_t size = UINT64_C(1) << class, backed = block->backed;
	const uint64_t above = backed > size ? backed - size : 0;
	if (above < ARENA_BLOCK_HEAD && arena_back(arena, at + size, ARENA_BLOCK_HEAD) < 0)
		return false;
	struct block *upper = arena_block_at(arena, at + size);
	__atomic_store_n(&block->class, class, __ATOMIC_RELAXED);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	block->backed = backed < size ? backed : size;
	arena_block_begin(upper, above < ARENA_BLOCK_HEAD ? ARENA_BLOCK_HEAD : above, class);
	arena_note(taking, at | class);
	arena_push(arena, upper);
	return true;
}

struct block *arena_split(struct arena *arena, unsigned class, uint64_t *taking)
{
	struct block *block = NULL;
	unsigned larger = class;
	while (!block && ++larger < ARENA_CLASSES)
		block = arena_pop(arena, larger, taking);
	if (!block || block->class != larger) {
		arena_note(taking, 0);
		return NULL; /* or somebody wrote there; it is lost */
	}
	while (block->class > class && halve(arena, block, taking))
		;
	if (block->class == class)
		return block;
	arena_note(taking, 0);
	arena_push(arena, block);
	return NULL;
}
