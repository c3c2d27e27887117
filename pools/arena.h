/*
 * arena.h - memory that all processes of a pool share, allocated and freed without locks.
 *
 * DESIGN. One memfd, mapped whole by everybody at whatever address; blocks are named by their
 * offset. It is larger than memory and sparse: what a block needs is allocated by fallocate when
 * the block is handed out, so running out is an error then and not SIGBUS later. Blocks come in
 * powers of two; free ones wait on a stack a size (Treiber, "Systems programming: coping with
 * parallelism", 1986), whose head carries a tag against the ABA problem. A process killed in the
 * middle of it leaks at most the block it was taking; nothing is left locked or torn. Of the time
 * that takes nearly all goes into pages, for which see arena_take.
 *
 * Free blocks change their size. The process that opened the arena tidies it now and then, see arena_tidy.c: neighbours
 * are joined and their pages given back. Whoever finds neither a free block nor room for a new one cuts up a larger one.
 * What is left: workers do not tidy. A result for which there are only smaller blocks fails with ENOMEM, and so do those
 * after it until the program allocates or starts a call. What is free between blocks that are in use is of no use for
 * larger ones, and below 64 KiB stays as it was cut. Addresses that a dead worker had got, and not yet noted, are lost.
 *
 * Large blocks get huge pages, asked for with MADV_COLLAPSE, which needs no setting of the machine's administrator
 * (Linux 6.1). Each process has page tables of its own and pays a fault for each page that it touches first, as much as
 * hundreds of small items. Asking makes every CPU empty its list of new pages: some microseconds a huge page. Where there are
 * none, small pages do as well. A block's last part of a huge page becomes
 * a whole one if it is three quarters of one.
 */
#ifndef POOLS_ARENA_H
#define POOLS_ARENA_H

#include <stdbool.h>
#include <stdint.h>

enum { ARENA_CLASSES = 48, ARENA_BLOCK_HEAD = 64 };

struct arena_head; /* in shared memory, at offset 0 */

struct arena {
	unsigned char *base;
	uint64_t size;
	int fd;
	struct arena_head *head;
	void *reserved; /* address space that the mapping lies in */
	uint64_t reserved_bytes;
	bool small_pages;   /* the kernel has no huge ones for us */
	int64_t grown_most; /* by more than that it is tidied; of the process that opened it */
};

/* Beyond this a file's growth ends the program by SIGXFSZ instead of failing: RLIMIT_FSIZE. */
uint64_t arena_file_most(void);

int arena_open(struct arena *arena);			      /* 0 or -errno */
int arena_attach(struct arena *arena, int fd, uint64_t size); /* the fd is then the arena's */
void arena_close(struct arena *arena);
/* Its pages go, whoever still maps them: processes that were forked for something else do. */
void arena_give_all(const struct arena *arena);

/* 64-byte aligned, content unspecified; NULL with errno ENOMEM or ENOSPC. The process that opened it. */
void *arena_alloc(struct arena *arena, uint64_t bytes);
void *arena_alloc_zeroed(struct arena *arena, uint64_t bytes); /* the same, all zero */
/* As arena_alloc, in any process. Until arena_let_go *taking, which is shared, names the block: of a process that dies
 * meanwhile another one gives it back by arena_take_back. */
void *arena_take(struct arena *arena, uint64_t bytes, uint64_t *taking);
void arena_take_back(struct arena *arena, uint64_t *taking);
void arena_hold(const struct arena *arena, const void *memory,
		uint64_t *taking); /* names it again, to be freed */
void arena_let_go(uint64_t *taking);
void arena_free(struct arena *arena, void *memory); /* NULL is fine. Any process */
void arena_free_held(struct arena *arena, void *memory, uint64_t *taking); /* and lets go of it */
bool arena_fits(const void *memory,
		uint64_t bytes); /* a block like this would be handed out for so many */

bool arena_inside(const struct arena *arena, const void *memory, uint64_t bytes);

static inline uint64_t arena_offset(const struct arena *arena, const void *memory)
{
	return (uint64_t)((const unsigned char *)memory - arena->base);
}

static inline void *arena_at(const struct arena *arena, uint64_t offset)
{
	return arena->base + offset;
}

/* The same for an offset that another process wrote, of something that lies in a block: NULL if it has no place there. */
static inline void *arena_reach_part(const struct arena *arena, uint64_t offset, uint64_t bytes,
				     uint64_t alignment)
{
	bool fine = offset >= ARENA_BLOCK_HEAD && offset % alignment == 0 &&
		    offset <= arena->size && bytes <= arena->size - offset;
	return fine ? arena->base + offset : (void *)0;
}

/* NULL if no block can begin there and have so many bytes. */
static inline void *arena_reach(const struct arena *arena, uint64_t offset, uint64_t bytes)
{
	return arena_reach_part(arena, offset, bytes, ARENA_BLOCK_HEAD);
}

#endif
