/* arena_pages.c - see arena.h: the memfd, its mapping, and its pages. */
#include "pools/arena_blocks.h"
#include "pools/pool_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
static const uint64_t SIZE_MIN = UINT64_C(64) << 20;
enum { BACKED_AT_ONCE = 4 << 20, BACKED_AT_LEAST = 4096 };

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

bool arena_is_possible(const struct arena *arena, uint64_t bytes)
{
	struct sysinfo info;
	if (bytes >
	    arena->size /
		    2) /* blocks are powers of two, and so is the size; it begins with the head */
		return false;
	return sysinfo(&info) < 0 ||
	       bytes / info.mem_unit <= (uint64_t)info.totalram + info.totalswap;
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

/* In pieces: on some kernels any pending signal undoes a whole call, and under an interval timer a large one would never get
 * through. One that was undone is tried again for half as much. */
int arena_back(struct arena *arena, uint64_t at, uint64_t bytes)
{
	uint64_t piece = BACKED_AT_ONCE, done = 0;
	while (done < bytes) {
		const uint64_t next = bytes - done < piece ? bytes - done : piece;
		if (fallocate(arena->fd, 0, (off_t)(at + done), (off_t)next) == 0)
			done += next;
		else if (errno != EINTR)
			return -errno;
		else if (piece > BACKED_AT_LEAST)
			piece /= 2;
	}
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
		rc = arena_back(arena, 0, sizeof(struct arena_head));
	if (rc < 0) {
		arena_close(arena);
		return rc;
	}
	arena->head->bump = ARENA_FIRST;
	arena->grown_most = (int64_t)SIZE_MIN;
	return 0;
}

int arena_attach(struct arena *arena, int fd, uint64_t size)
{
	*arena = (struct arena){ .fd = fd };
	return map(arena, size);
}

bool arena_punch(const struct arena *arena, uint64_t at, uint64_t bytes)
{
	return fallocate(arena->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at,
			 (off_t)bytes) == 0;
}

void arena_give_all(const struct arena *arena)
{
	arena_punch(arena, 0, arena->size);
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
