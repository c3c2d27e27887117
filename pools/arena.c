/* arena.c - see arena.h. */
#include "pools/arena.h"
#include "pools/pool_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum {
	SMALLEST = 7,	  /* 2^7 = 128 bytes with the head */
	CARVED = 12,	  /* classes below one page are carved */
	CARVE_CLASS = 16, /* from blocks of 64 KiB */
	HUGE = 1 << 21,	  /* a huge page, of which blocks of that size and more are multiples */
	RETURNED = 26,	  /* blocks of 64 MiB and more give their pages back when freed */
};

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
static const uint64_t SIZE_MIN = UINT64_C(64) << 20;

/* A stack's head: offset/64 in the low 40 bits, a tag above. */
struct arena_head {
	_Alignas(64) uint64_t bump; /* fetch-and-add: what was never handed out begins here */
	_Alignas(64) uint64_t stack[ARENA_CLASSES];
};

struct block {
	uint64_t
		next; /* on a free stack: offset/64 of the next one; relaxed, checked by the head's tag */
	uint64_t backed; /* bytes for which pages are allocated */
	uint64_t class;
};
_Static_assert(sizeof(struct block) <= ARENA_BLOCK_HEAD, "a block's head fits");

#define UNITS_MASK ((UINT64_C(1) << 40) - 1)

uint64_t arena_file_most(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return UINT64_MAX;
	return limit.rlim_cur;
}

/* At a multiple of HUGE, as huge pages want it: the reserved address space is larger by as much. */
static int map(struct arena *arena, uint64_t size)
{
	const uint64_t bytes = size + HUGE;
	void *reserved =
		mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (reserved == MAP_FAILED)
		return -errno;
	unsigned char *at = reserved;
	at += (HUGE - (uintptr_t)at % HUGE) % HUGE;
	if (mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
		 arena->fd, 0) == MAP_FAILED) {
		int error = errno;
		munmap(reserved, bytes);
		return -error;
	}
	*arena = (struct arena){ .base = at,
				 .size = size,
				 .fd = arena->fd,
				 .head = (void *)at,
				 .reserved = reserved,
				 .reserved_bytes = bytes };
	return 0;
}

static int try_size(struct arena *arena, uint64_t size)
{
	if (size > arena_file_most())
		return -EFBIG;
	if (ftruncate(arena->fd, (off_t)size) < 0)
		return -errno;
	return map(arena, size);
}

/* Four times the memory there is: address space is no limit before memory is. Less where that is
 * refused. */
static uint64_t wanted_size(void)
{
	struct sysinfo info;
	if (sysinfo(&info) < 0)
		return SIZE_MIN;
	uint64_t size = SIZE_MIN;
	while (size < (uint64_t)info.totalram * info.mem_unit * 4)
		size *= 2;
	return size;
}

/* One by one, up to the first for which there is no memory: looking for it in one piece may take long. A page that was busy
 * just then stays as it is. */
static void make_huge(struct arena *arena, uint64_t at, uint64_t bytes)
{
	uint64_t pages = at % HUGE ? 0 : (bytes + HUGE / 4) / HUGE;
	for (; pages && !__atomic_load_n(&arena->small_pages, __ATOMIC_RELAXED);
	     pages--, at += HUGE) {
		if (madvise(arena->base + at, HUGE, MADV_COLLAPSE) == 0 || errno == EAGAIN ||
		    errno == EBUSY)
			continue;
		if (errno == EINVAL)
			__atomic_store_n(&arena->small_pages, true, __ATOMIC_RELAXED);
		return;
	}
}

static int back(struct arena *arena, uint64_t at, uint64_t bytes)
{
	int rc;
	do
		rc = fallocate(arena->fd, 0, (off_t)at, (off_t)bytes);
	while (rc < 0 && errno == EINTR);
	if (rc < 0)
		return -errno;
	make_huge(arena, at, bytes);
	return 0;
}

int arena_open(struct arena *arena)
{
	arena->fd = pool_fd_keep(memfd_create("pool-arena", MFD_CLOEXEC));
	if (arena->fd < 0)
		return -errno;
	int rc = -ENOMEM;
	for (uint64_t size = wanted_size(); rc < 0 && size >= SIZE_MIN; size /= 2)
		rc = try_size(arena, size);
	if (rc == 0)
		rc = back(arena, 0, sizeof(struct arena_head));
	if (rc < 0) {
		arena_close(arena);
		return rc;
	}
	arena->head->bump = 4096;
	return 0;
}

int arena_attach(struct arena *arena, int fd, uint64_t size)
{
	*arena = (struct arena){ .fd = fd };
	return map(arena, size);
}

static bool punch(const struct arena *arena, uint64_t at, uint64_t bytes)
{
	return fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
			 (off_t)bytes) == 0;
}

void arena_give_all(const struct arena *arena)
{
	punch(arena, 0, arena->size);
}

void arena_close(struct arena *arena)
{
	if (arena->reserved)
		munmap(arena->reserved, arena->reserved_bytes);
	if (arena->fd >= 0)
		close(arena->fd);
	*arena = (struct arena){ .fd = -1 };
}

bool arena_inside(const struct arena *arena, const void *memory, uint64_t bytes)
{
	const unsigned char *at = memory;
	return at >= arena->base && at < arena->base + arena->size &&
	       bytes <= (uint64_t)(arena->base + arena->size - at);
}

static unsigned class_of(uint64_t bytes)
{
	unsigned class = SMALLEST;
	while (class < ARENA_CLASSES && UINT64_C(1) << class < bytes)
		class ++;
	return class;
}

static struct block *block_at(const struct arena *arena, uint64_t offset)
{
	return (struct block *)(void *)(arena->base + offset);
}

/* Acquire pairs with the release in push: the block's head is seen as it was pushed. */
static struct block *pop(struct arena *arena, unsigned class)
{
	uint64_t *stack = &arena->head->stack[class];
	uint64_t head = __atomic_load_n(stack, __ATOMIC_ACQUIRE);
	while (head & UNITS_MASK && (head & UNITS_MASK) * 64 < arena->size) {
		struct block *block = block_at(arena, (head & UNITS_MASK) * 64);
		uint64_t next = __atomic_load_n(&block->next, __ATOMIC_RELAXED) & UNITS_MASK;
		uint64_t after = ((head & ~UNITS_MASK) + UNITS_MASK + 1) | next;
		if (__atomic_compare_exchange_n(stack, &head, after, true, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE))
			return block;
	}
	return NULL;
}

static void push(struct arena *arena, struct block *block)
{
	uint64_t *stack = &arena->head->stack[block->class];
	uint64_t unit = arena_offset(arena, block) / 64,
		 head = __atomic_load_n(stack, __ATOMIC_RELAXED), after;
	do {
		__atomic_store_n(&block->next, head & UNITS_MASK, __ATOMIC_RELAXED);
		after = ((head & ~UNITS_MASK) + UNITS_MASK + 1) | unit;
	} while (!__atomic_compare_exchange_n(stack, &head, after, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

static void note(uint64_t *taking, uint64_t what)
{
	__atomic_store_n(taking, what, __ATOMIC_SEQ_CST);
}

/* Getting pages may take long: who does it says so meanwhile, for arena_take_back. */
static int back_noted(struct arena *arena, uint64_t at, unsigned class, uint64_t bytes,
		      uint64_t *taking)
{
	note(taking, at | class);
	const int rc = back(arena, at, bytes);
	note(taking, 0);
	return rc;
}

/* A block nobody had before, its first `bytes` backed. Failure leaves a hole in the numbering, not
 * in memory. */
static struct block *fresh(struct arena *arena, unsigned class, uint64_t bytes, uint64_t *taking)
{
	const uint64_t size = UINT64_C(1) << class, unit = size < HUGE ? 1 : HUGE;
	uint64_t bump = __atomic_load_n(&arena->head->bump, __ATOMIC_RELAXED), at;
	do {
		at = (bump + unit - 1) / unit * unit;
		if (bump > arena->size || size > arena->size || at > arena->size - size) {
			errno = ENOMEM;
			return NULL;
		}
	} while (!__atomic_compare_exchange_n(&arena->head->bump, &bump, at + size, true,
					      __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	int rc = back_noted(arena, at, class, bytes, taking);
	if (rc < 0) {
		uint64_t end = at + size; /* given back unless somebody was handed what follows */
		__atomic_compare_exchange_n(&arena->head->bump, &end, at, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
		errno = -rc;
		return NULL;
	}
	struct block *block = block_at(arena, at);
	*block = (struct block){ .backed = bytes, .class = class };
	return block;
}

/* Small blocks: a whole one is cut up, the first piece is ours. */
static struct block *carve(struct arena *arena, unsigned class, uint64_t *taking)
{
	const uint64_t size = UINT64_C(1) << class, whole = UINT64_C(1) << CARVE_CLASS;
	struct block *first = fresh(arena, CARVE_CLASS, whole, taking);
	if (!first)
		return NULL;
	for (uint64_t at = size; at < whole; at += size) {
		struct block *piece = (struct block *)(void *)((unsigned char *)first + at);
		*piece = (struct block){ .backed = size, .class = class };
		push(arena, piece);
	}
	*first = (struct block){ .backed = size, .class = class };
	return first;
}

/* *used: so much of it, its head included, may have been written to. */
static struct block *reuse(struct arena *arena, unsigned class, uint64_t bytes, uint64_t *taking,
			   uint64_t *used)
{
	struct block *block = pop(arena, class);
	*used = block ? block->backed : 0;
	if (*used >= bytes || !block)
		return block;
	int rc = back_noted(arena, arena_offset(arena, block), class, bytes, taking);
	if (rc < 0) {
		push(arena, block);
		errno = -rc;
		return NULL;
	}
	block->backed = bytes;
	return block;
}

static void *take(struct arena *arena, uint64_t bytes, uint64_t *taking, uint64_t *used)
{
	const uint64_t need = bytes + ARENA_BLOCK_HEAD;
	unsigned class = class_of(need);
	if (need < bytes || class >= ARENA_CLASSES) {
		errno = ENOMEM;
		return NULL;
	}
	errno = 0;
	struct block *block = reuse(arena, class, need, taking, used);
	if (!block && errno == 0)
		block = class < CARVED ? carve(arena, class, taking)
				       : fresh(arena, class, need, taking);
	return block ? (unsigned char *)block + ARENA_BLOCK_HEAD : NULL;
}

void *arena_take(struct arena *arena, uint64_t bytes, uint64_t *taking)
{
	uint64_t used;
	return take(arena, bytes, taking, &used);
}

void arena_hold(const struct arena *arena, const void *memory, uint64_t *taking)
{
	if (!memory)
		return;
	const unsigned char *block = (const unsigned char *)memory - ARENA_BLOCK_HEAD;
	note(taking,
	     arena_offset(arena, block) | ((const struct block *)(const void *)block)->class);
}

void arena_let_go(uint64_t *taking)
{
	note(taking, 0);
}

void *arena_alloc(struct arena *arena, uint64_t bytes)
{
	uint64_t nobody_looks;
	return arena_take(arena, bytes, &nobody_looks);
}

/* Pages that nobody had are zero, and are not touched: most of a large block may never be needed. */
void *arena_alloc_zeroed(struct arena *arena, uint64_t bytes)
{
	uint64_t nobody_looks, used;
	void *memory = take(arena, bytes, &nobody_looks, &used);
	if (memory && used > ARENA_BLOCK_HEAD) {
		const uint64_t dirty = used - ARENA_BLOCK_HEAD;
		memset(memory, 0, dirty < bytes ? dirty : bytes);
	}
	return memory;
}

static bool give_pages(const struct arena *arena, const struct block *block, uint64_t class)
{
	return punch(arena, arena_offset(arena, block) + HUGE, (UINT64_C(1) << class) - HUGE);
}

/* Its head is there if it was used before; of a new one it is all zero, or not there yet. */
void arena_take_back(struct arena *arena, uint64_t *taking)
{
	const uint64_t noted = __atomic_exchange_n(taking, 0, __ATOMIC_SEQ_CST),
		       class = noted % ARENA_BLOCK_HEAD, at = noted - class;
	if (class < CARVED || class >= ARENA_CLASSES || at > arena->size ||
	    UINT64_C(1) << class > arena->size - at || back(arena, at, ARENA_BLOCK_HEAD) < 0)
		return;
	struct block *block = block_at(arena, at);
	if (block->class != 0 && block->class != class)
		return; /* no block begins there: somebody wrote on the note */
	block->class = class;
	if (class >= RETURNED && block->backed <= HUGE)
		give_pages(arena, block, class); /* as many as it had got */
	arena_free(arena, (unsigned char *)block + ARENA_BLOCK_HEAD);
}

void arena_free(struct arena *arena, void *memory)
{
	if (!memory)
		return;
	struct block *block = (struct block *)(void *)((unsigned char *)memory - ARENA_BLOCK_HEAD);
	if (block->class >= ARENA_CLASSES)
		return; /* somebody wrote there; it is lost */
	if (block->class >= RETURNED && block->backed > HUGE &&
	    give_pages(arena, block, block->class))
		block->backed = HUGE;
	push(arena, block);
}
