/*
 * start_fork.c - a worker is a fork of the host program: it sees the memory as it was, and costs
 * page tables.
 *
 * The child leaves by _exit: no exit handler, no flushing of the host's streams.
 */
#include "pools/start_process.h"

#include <errno.h>
#include <unistd.h>

static int fork_start(const struct pool_launch *launch, struct pool_body *body)
{
	int spare = pool_process_reserve(&launch->ticket);
	if (spare < 0)
		return spare;
	pid_t pid = fork();
	if (pid < 0) {
		int error = errno;
		close(spare);
		return -error;
	}
	if (pid == 0) {
		close(spare);
		pool_worker_settle(&launch->ticket, launch->board);
		launch->ops->forked(launch->transport, launch->ticket.worker);
		_exit(pool_worker_main(launch));
	}
	return pool_process_adopt(pid, spare, body);
}

const struct pool_start_ops pool_start_fork = {
	.name = "fork",
	.can = POOL_CAN_SURVIVE | POOL_CAN_KILL | POOL_CAN_OVERLAP | POOL_CAN_REUSE |
	       POOL_CAN_ISOLATE,
	.start = fork_start,
	.ended = pool_process_ended,
	.signal = pool_process_signal,
};
