/*
 * shared.c - memory that the threads, the workers and the killer share.
 *
 * DESIGN. A memfd. Forked workers and threads inherit the mapping; executed workers open the file
 * through the /proc path in the environment.
 */
#include "scripts/chaos/chaos.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHARED_PATH "POOL_CHAOS_SHARED"

struct chaos_shared *chaos_shared;
static int shared_fd = -1;

static struct chaos_shared *map_shared(int fd)
{
	void *at =
		mmap(NULL, sizeof(struct chaos_shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

void chaos_shared_open(void)
{
	char path[64];
	shared_fd = memfd_create("chaos", MFD_CLOEXEC);
	if (shared_fd >= 0 && ftruncate(shared_fd, sizeof(struct chaos_shared)) == 0)
		chaos_shared = map_shared(shared_fd);
	if (!chaos_shared) {
		perror("chaos: shared memory");
		_exit(1);
	}
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), shared_fd);
	setenv(SHARED_PATH, path, 1);
}

void chaos_shared_close(void)
{
	munmap(chaos_shared, sizeof *chaos_shared);
	close(shared_fd);
	unsetenv(SHARED_PATH);
	chaos_shared = NULL;
}

/* Only executed workers, whose tasks run one at a time, find nothing mapped yet. */
struct chaos_shared *chaos_shared_here(void)
{
	if (!chaos_shared) {
		const char *path = getenv(SHARED_PATH);
		int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
		if (fd >= 0)
			chaos_shared = map_shared(fd);
		if (!chaos_shared)
			_exit(99);
		close(fd);
	}
	return chaos_shared;
}

uint64_t tally_begun(uint64_t tally)
{
	return tally & 0xffff;
}

uint64_t tally_ended(uint64_t tally)
{
	return tally >> 16 & 0xffff;
}
