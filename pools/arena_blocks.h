/* arena_blocks.h - what an arena consists of: for arena.c, arena_pages.c and arena_tidy.c. */
#ifndef POOLS_ARENA_BLOCKS_H
#define POOLS_ARENA_BLOCKS_H

#include "pools/arena.h"

enum {
	SMALLEST = 7,	    /* 2^7 = 128 bytes with the head */
	CARVED = 12,	    /* classes below one page are carved */
	CARVE_CLASS = 16,   /* from blocks of 64 KiB */
	HUGE = 1 << 21,	    /* a huge page, of which blocks of that size and more are multiples */
	RETURNED = 26,	    /* blocks of 64 MiB and more give their pages back when freed */
	ARENA_FIRST = 4096, /* where the first block begins */
};

/* What `grown` is set to by a process that may not tidy and has found nothing. */
#define ARENA_GROWN_TOO_FAR (INT64_MAX / 2)

/* A stack's head: offset/64 in the low 40 bits, a tag above. */
#define UNITS_MASK ((UINT64_C(1) << 40) - 1)

struct arena_head {
	_Alignas(64) uint64_t bump; /* compare-and-swap: what is handed out to nobody begins here */
	int64_t grown; /* bytes that got pages, less those that lost them, since the last tidying; any process, relaxed */
	uint32_t tidied; /* odd while stacks are being tidied, by the process that opened it */
	_Alignas(64) uint64_t stack[ARENA_CLASSES];
};

struct block {
	uint64_t
		next; /* on a free stack: offset/64 of the next one; relaxed, checked by the head's tag */
	uint64_t backed; /* bytes for which pages are allocated; behind them all is zero */
	uint64_t class;
	uint64_t gap; /* so many bytes before it were passed over for its sake, and are its own */
};
_Static_assert(sizeof(struct block) <= ARENA_BLOCK_HEAD, "a block's head fits");

static inline struct block *arena_block_at(const struct arena *arena, uint64_t offset)
{
	return (struct block *)(void *)(arena->base + offset);
}

/* Whoever still looks at what was a free block here reads `next`: it is atomic. */
static inline void arena_block_begin(struct block *block, uint64_t backed, uint64_t class)
{
	__atomic_store_n(&block->next, 0, __ATOMIC_RELAXED);
	block->backed = backed;
	block->class = class;
	block->gap = 0;
}

/* Read when who wrote it is dead. Release: what the program does next is not to be seen before it. NULL: nobody will look. */
static inline void arena_note(uint64_t *taking, uint64_t what)
{
	if (taking)
		__atomic_store_n(taking, what, __ATOMIC_RELEASE);
}

/* arena.c: free blocks of a class. One that was popped is noted; NULL: there is none. */
struct block *arena_pop(struct arena *arena, unsigned class, uint64_t *taking);
void arena_push(struct arena *arena, struct block *block);

/* arena_pages.c. Could there be so many bytes in one block, were all else free? */
bool arena_is_possible(const struct arena *arena, uint64_t bytes);
/* 0 or -errno: there may be pages for a part then. */
int arena_back(struct arena *arena, uint64_t at, uint64_t bytes);
bool arena_punch(const struct arena *arena, uint64_t at, uint64_t bytes);

/* arena_tidy.c */
void arena_tidy(struct arena *arena);
struct block *arena_split(struct arena *arena, unsigned class, uint64_t *taking);

#endif
