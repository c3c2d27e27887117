/*
 * start_vfork.c - a worker is the program executed anew: nothing of the parent is copied, whatever
 * its size.
 *
 * DESIGN. vfork lends the parent's memory to the child until exec, so between the two the child
 * does only this: fcntl to let its own descriptors through the exec, execve, and on failure one
 * store of errno and _exit. Everything it needs (path, the ticket as text, argv) is made before. The
 * child has its own descriptor table, so the parent's stay close-on-exec. The keeper thread is the
 * one suspended; signals are blocked in it, so no handler runs on lent memory.
 */
#include "pools/start_process.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

extern char **environ;

static void pass(int fd)
{
	if (fd >= 0)
		fcntl(fd, F_SETFD, 0);
}

/* Everything by value: the child must not find its inputs half changed. */
static int vfork_exec(const struct pool_ticket *ticket, const char *path, char *const argv[],
		      volatile int *error, pid_t *child)
{
	pid_t pid = vfork();
	if (pid == 0) {
		pass(ticket->board_fd);
		pass(ticket->fd[0]);
		pass(ticket->fd[1]);
		pass(ticket->wake_fd);
		execve(path, argv, environ);
		*error = errno;
		_exit(127);
	}
	*child = pid;
	return pid < 0 ? -errno : 0;
}

static int vfork_start(const struct pool_launch *launch, struct pool_body *body)
{
	char text[256], name[] = "pool-worker";
	pool_ticket_format(&launch->ticket, text);
	char *const argv[] = { name, text, NULL };
	volatile int error = 0;
	pid_t pid;
	int spare = pool_process_reserve(&launch->ticket);
	if (spare < 0)
		return spare;
	int rc = vfork_exec(&launch->ticket, pool_main_path(), argv, &error, &pid);
	if (rc < 0) {
		close(spare);
		return rc;
	}
	rc = pool_process_adopt(pid, spare, body);
	if (rc < 0 || !error)
		return rc;
	int status;
	while (!pool_process_ended(body, &status))
		;
	close(body->pidfd);
	return -error;
}

const struct pool_start_ops pool_start_vfork = {
	.name = "vfork",
	.can = POOL_CAN_SURVIVE | POOL_CAN_KILL | POOL_CAN_OVERLAP | POOL_CAN_REUSE |
	       POOL_CAN_ISOLATE | POOL_CAN_EXEC,
	.start = vfork_start,
	.ended = pool_process_ended,
	.signal = pool_process_signal,
};
