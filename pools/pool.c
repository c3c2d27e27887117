/*
 * pool.c - a pool's life: open, close, terminate, join, destroy; and what can be asked of it.
 *
 * DESIGN. What exists is undone in reverse order by close_parts, which open uses for its own
 * failures too. The structure itself lives until the user's reference and those of all handles and
 * iterators are gone.
 */
#include "pools/arena.h"
#include "pools/pool_core.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

static const int64_t GRACE_NS = 100000000;
static const int64_t SPIN_NS =
	50000; /* about two wake-ups across CPUs: longer than that, sleeping was cheaper */

/* ---- references ---- */

void pool_ref(struct pool *pool)
{
	__atomic_add_fetch(&pool->refs, 1, __ATOMIC_RELAXED);
}

void pool_unref(struct pool *pool)
{
	if (__atomic_sub_fetch(&pool->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	free(pool->init_failure.message);
	pthread_cond_destroy(&pool->callback_wake);
	pthread_cond_destroy(&pool->keeper_wake);
	pthread_cond_destroy(&pool->changed);
	pthread_mutex_destroy(&pool->lock);
	free(pool->hand);
	free(pool);
}

unsigned pool_generation;

static void forked(void)
{
	pool_generation++;
}

__attribute__((constructor)) static void watch_forks(void)
{
	pthread_atfork(NULL, NULL, forked);
}

int pool_usable(const struct pool *pool)
{
	if (!pool)
		return -EINVAL;
	return pool->generation == pool_generation ? 0 : -EPERM;
}

int pool_usable_here(const struct pool *pool)
{
	int rc = pool_usable(pool);
	return rc == 0 && pool_is_running_for(pool->board) ? -EDEADLK : rc;
}

int pool_accepts(struct pool *pool)
{
	if (pool_is_running_for(pool->board))
		return -EDEADLK;
	if (pool->state != POOL_IS_OPEN)
		return POOL_CLOSED;
	if (pool->broken && pool->broken != POOL_INIT_FAILED)
		crew_try_again(pool);
	return pool->broken;
}

/* ---- open ---- */

static int check_options(const struct pool_options *o, const struct pool_backend *backend)
{
	if (backend->start && backend->transport->needs & ~backend->start->can)
		return -ENOTSUP; /* a row of parts that do not go together */
	if (o->workers < 0 || o->workers > POOL_WORKERS_MAX || o->tasks_per_worker < 0 ||
	    o->task_timeout_ns < POOL_FOREVER)
		return -EINVAL;
	if (o->grace_ns < 0 || o->initializer_timeout_ns < POOL_FOREVER)
		return -EINVAL;
	if (o->initializer_arg_size && (!o->initializer_arg || !o->initializer))
		return -EINVAL;
	if (o->initializer_arg_size > INT64_MAX / 2)
		return -EINVAL;
	if ((o->initializer && !o->initializer->id) || (o->finalizer && !o->finalizer->id))
		return POOL_UNKNOWN_TASK;
	if (backend->info.can & POOL_CAN_EXEC && !pool_main_path())
		return POOL_NO_MAIN;
	if (o->task_timeout_ns > 0 && !(backend->info.can & POOL_CAN_KILL))
		return -ENOTSUP;
	return 0;
}

static uint64_t align_up(uint64_t bytes, uint64_t to)
{
	return (bytes + to - 1) / to * to;
}

/* The board: ledgers, the initializer's argument, a page-aligned outbox for each worker. */
static int board_open(struct pool *pool)
{
	const struct pool_options *o = &pool->options;
	uint64_t argument_at =
		sizeof(struct pool_board) + (uint64_t)pool->workers * sizeof(struct pool_ledger);
	uint64_t outbox_at = align_up(argument_at + o->initializer_arg_size, 4096);
	uint64_t bytes = outbox_at + (uint64_t)pool->workers * POOL_OUTBOX_BYTES;
	if (bytes > arena_file_most())
		return -EFBIG;
	pool->board_bytes = bytes;
	pool->board_fd = pool_fd_keep(memfd_create("pool-board", MFD_CLOEXEC));
	if (pool->board_fd < 0)
		return -errno;
	int error;
	do
		error = posix_fallocate(pool->board_fd, 0, (off_t)outbox_at);
	while (error == EINTR);
	if (error)
		return -error;
	if (ftruncate(pool->board_fd, (off_t)bytes) < 0)
		return -errno;
	pool->board = pool_board_map(pool->board_fd);
	if (!pool->board)
		return -errno;
	*pool->board = (struct pool_board){
		.workers = (uint32_t)pool->workers,
		.pin = o->pin,
		.bytes = bytes,
		.tasks_per_worker = o->tasks_per_worker,
		.initializer = o->initializer ? o->initializer->id : 0,
		.finalizer = o->finalizer ? o->finalizer->id : 0,
		.finalizer_limit_ns = o->finalizer ? pool_limit_ns(o->task_timeout_ns) : 0,
		.argument_at = argument_at,
		.argument_size = o->initializer_arg_size,
		.outbox_at = outbox_at,
		.cpus = (uint32_t)pool->cpus,
		.spin_ns = pool->spin_ns,
	};
	/* It begins when no job is under way any more: its limit always applies. */
	pool->shortest_limit_ns = pool->board->finalizer_limit_ns;
	pool->limited = pool->shortest_limit_ns != 0;
	if (o->initializer_arg_size)
		memcpy((char *)pool->board + argument_at, o->initializer_arg,
		       o->initializer_arg_size);
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void close_parts(struct pool *pool)
{
	crew_close(pool);
	while (!TAILQ_EMPTY(&pool->jobs))
		imap_detach(TAILQ_FIRST(&pool->jobs));
	if (pool->transport)
		pool->backend->transport->close(pool->transport);
	pool->transport = NULL;
	while (pool->plain)
		plain_free(pool, pool->plain);
	if (pool->board)
		munmap(pool->board, pool->board_bytes);
	pool->board = NULL;
	close_fd(&pool->board_fd);
	close_fd(&pool->events_fd);
	close_fd(&pool->wake_fd);
}

static int events_open(struct pool *pool)
{
	pool->events_fd = pool_fd_keep(epoll_create1(EPOLL_CLOEXEC));
	if (pool->events_fd < 0)
		return -errno;
	pool->wake_fd = pool_fd_keep(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (pool->wake_fd < 0)
		return -errno;
	return pump_watch_wake(pool);
}

static int open_parts(struct pool *pool)
{
	int rc = events_open(pool);
	if (rc < 0)
		return rc;
	rc = board_open(pool);
	if (rc < 0)
		return rc;
	const struct pool_transport_setup setup = {
		.pool = pool,
		.workers = pool->workers,
		.board = pool->board,
		.wake_fd = pool->wake_fd,
	};
	rc = pool->backend->transport->open(&pool->transport, &setup);
	return rc < 0 ? rc : crew_open(pool);
}

static void init_waiting(struct pool *pool)
{
	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->changed, &attributes);
	pthread_cond_init(&pool->keeper_wake, &attributes);
	pthread_cond_init(&pool->callback_wake, &attributes);
	pthread_condattr_destroy(&attributes);
}

static struct pool *pool_new(const struct pool_backend *backend, const struct pool_options *options)
{
	struct pool *pool = calloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	pool->backend = backend;
	pool->options = *options;
	if (backend->once)
		pool->options.tasks_per_worker = 1;
	pool->cpus = pool_cpus();
	pool->spin_ns = pool->cpus > 1 ? SPIN_NS : 0;
	pool->workers = options->workers ? options->workers : pool->cpus;
	if (pool->workers > POOL_WORKERS_MAX)
		pool->workers = POOL_WORKERS_MAX;
	if (!backend->start)
		pool->workers = 1;
	pool->hand = calloc((size_t)pool->workers, sizeof *pool->hand);
	if (!pool->hand) {
		free(pool);
		return NULL;
	}
	pool->owner = getpid();
	pool->generation = pool_generation;
	pool->board_fd = pool->events_fd = pool->wake_fd = -1;
	TAILQ_INIT(&pool->jobs);
	TAILQ_INIT(&pool->queue);
	pool->callbacks_tail = &pool->callbacks;
	pool->refs = 1;
	init_waiting(pool);
	return pool;
}

int pool_open(struct pool **out, const struct pool_options *options)
{
	const struct pool_options defaults = { 0 };
	if (!out)
		return -EINVAL;
	if (!options)
		options = &defaults;
	const struct pool_backend *backend =
		pool_backend_find(options->backend ? options->backend : "shm");
	if (!backend)
		return POOL_NO_BACKEND;
	int rc = check_options(options, backend);
	if (rc < 0)
		return rc;
	struct pool *pool = pool_new(backend, options);
	if (!pool)
		return -ENOMEM;
	rc = open_parts(pool);
	if (rc < 0) {
		pool_terminate(pool);
		close_parts(pool);
		pool_unref(pool);
		return rc;
	}
	*out = pool;
	return 0;
}

/* ---- the end ---- */

int pool_close(struct pool *pool)
{
	int rc = pool_usable_here(pool);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&pool->lock);
	if (pool->state == POOL_IS_OPEN)
		__atomic_store_n(&pool->state, POOL_IS_CLOSED, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

static bool is_gone(void *what)
{
	return crew_gone(what);
}

static void stop_workers(struct pool *pool)
{
	const struct pool_start_ops *start = pool->backend->start;
	int64_t grace = pool->options.grace_ns ? pool->options.grace_ns : GRACE_NS;
	if (!start || !pool->transport)
		return;
	crew_stop(pool);
	if (!(start->can & POOL_CAN_KILL)) {
		pump_wait(pool, is_gone, pool, INT64_MAX);
		return;
	}
	crew_signal(pool, SIGTERM, POOL_TERMINATED);
	if (pump_wait(pool, is_gone, pool, pump_deadline(grace)) == 0)
		return;
	crew_signal(pool, SIGKILL, POOL_TERMINATED);
	pump_wait(pool, is_gone, pool, INT64_MAX);
}

static bool all_resolved(void *what)
{
	const struct pool *pool = what;
	const struct pool_job *job;
	TAILQ_FOREACH (job, &pool->jobs, entry)
		if (job_under_way(job))
			return false;
	return TAILQ_EMPTY(&pool->queue);
}

static bool callbacks_idle(void *what)
{
	return async_callbacks_idle(what);
}

int pool_terminate(struct pool *pool)
{
	int rc = pool_usable_here(pool);
	if (rc < 0)
		return rc;
	pthread_mutex_lock(&pool->lock);
	__atomic_store_n(&pool->state, POOL_IS_TERMINATED, __ATOMIC_RELAXED);
	job_stop_all(pool, POOL_TERMINATED);
	stop_workers(pool);
	if (pool->transport && pool->backend->info.can & POOL_CAN_KILL) {
		while (pump_progress(pool))
			;
		job_abandon_all(pool);
	} else if (pool->transport) {
		pump_wait(pool, all_resolved, pool, INT64_MAX);
	}
	pump_tell(pool);
	pump_wait(pool, callbacks_idle, pool, INT64_MAX);
	pthread_mutex_unlock(&pool->lock);
	return 0;
}

static bool work_done(void *what)
{
	return all_resolved(what) && callbacks_idle(what);
}

/* Iterators whose input is not at its end get no more workers: what was read is delivered, then
 * POOL_CLOSED. */
int pool_join(struct pool *pool, int64_t timeout_ns)
{
	int rc = pool_usable_here(pool);
	if (rc < 0)
		return rc;
	if (timeout_ns < POOL_FOREVER)
		return -EINVAL;
	int64_t deadline = pump_deadline(timeout_ns);
	pthread_mutex_lock(&pool->lock);
	rc = pool->state == POOL_IS_OPEN ? POOL_BUSY : 0;
	if (rc == 0) {
		imap_offer_all(pool); /* a generator may run for as long as it likes */
		rc = pump_wait(pool, work_done, pool, deadline);
	}
	if (rc == 0 && !pool->stopping)
		crew_stop(pool); /* without workers, too: iterations end alike on all rows */
	if (rc == 0 && pool->backend->start)
		rc = pump_wait(pool, is_gone, pool, deadline);
	pthread_mutex_unlock(&pool->lock);
	return rc;
}

void pool_destroy(struct pool *pool)
{
	if (pool_usable_here(pool) < 0)
		return;
	pool_terminate(pool);
	async_stop_callbacks(pool);
	close_parts(pool);
	pool_unref(pool);
}
