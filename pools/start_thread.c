/*
 * start_thread.c - a worker is a thread: the yardstick for what isolation costs.
 *
 * A thread cannot be killed and does not survive a crash; rows with it say so in their
 * capabilities.
 */
#include "pools/pool_ops.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

struct thread {
	pthread_t id;
	struct pool_launch launch;
	int code;
	int done; /* release by the thread as the last thing it does here, acquire by ended */
};

static void *thread_main(void *argument)
{
	struct thread *thread = argument;
	pool_worker_pin(thread->launch.ticket.worker, thread->launch.board);
	thread->code = pool_worker_main(&thread->launch);
	int wake_fd = thread->launch.ticket.wake_fd;
	__atomic_store_n(&thread->done, 1, __ATOMIC_RELEASE);
	pool_fd_wake(wake_fd);
	return NULL;
}

static int thread_start(const struct pool_launch *launch, struct pool_body *body)
{
	struct thread *thread = calloc(1, sizeof *thread);
	if (!thread)
		return -ENOMEM;
	thread->launch = *launch;
	int error = pthread_create(&thread->id, NULL, thread_main, thread);
	if (error) {
		free(thread);
		return -error;
	}
	*body = (struct pool_body){ .pid = 0, .pidfd = -1, .thread = thread };
	return 0;
}

static bool thread_ended(struct pool_body *body, int *status)
{
	struct thread *thread = body->thread;
	if (!__atomic_load_n(&thread->done, __ATOMIC_ACQUIRE))
		return false;
	pthread_join(thread->id, NULL);
	*status = thread->code << 8;
	free(thread);
	body->thread = NULL;
	return true;
}

static int thread_signal(struct pool_body *body, int number)
{
	(void)body;
	(void)number;
	return -ENOTSUP;
}

const struct pool_start_ops pool_start_thread = {
	.name = "thread",
	.can = POOL_CAN_OVERLAP | POOL_CAN_REUSE,
	.start = thread_start,
	.ended = thread_ended,
	.signal = thread_signal,
};
