/*
 * descriptor.c - the library's descriptors are none of the standard ones.
 *
 * DESIGN. In a host program that has closed 0, 1 or 2 the system hands these out next, and what anybody prints then
 * would go into a pool's memory or pipes, in the host as in its workers. Only then does it cost a system call.
 * NOT closed: the moment between the call that made a descriptor and its copy, in which another thread of such a host
 * that writes to a standard descriptor hits the new one. No call that makes a pipe or a memory takes a lower bound.
 */
#include "pools/pool_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int pool_fd_duplicate(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (copy < 0 && errno == EINVAL)
		errno = EMFILE; /* the limit does not even reach there */
	return copy;
}

int pool_fd_keep(int fd)
{
	if (fd < 0 || fd > STDERR_FILENO)
		return fd;
	int copy = pool_fd_duplicate(fd), error = errno;
	close(fd);
	errno = error;
	return copy;
}

void pool_fd_wake(int fd)
{
	const uint64_t one = 1;
	ssize_t written = write(fd, &one, sizeof one);
	(void)written;
}
