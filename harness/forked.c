/*
 * forked.c - the baseline without a pool: W plain forked processes, each a fixed share of the items.
 *
 * DESIGN. The processes are started once and wait on a futex; a call bumps `go` and waits until `left` is 0. Nothing is
 * handed out and nothing is copied: this is the most that W processes can do with this kernel and a static split, and so
 * the denominator of efficiency. Results go into the arena, which is shared memory.
 *
 * Where there is a CPU for each, each is bound to one: woken together they would often share one for a whole call.
 *
 * A share is blocks from all over the items, dealt to and fro (to workers 0 1 2, 2 1 0, 0 1 2, ...). Halves would
 * be a weak rival where later items are longer, as those of primes: there the first worker would have two fifths of the work.
 */
#include "harness/bench.h"
#include "harness/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How often a waiting parent looks whether its children live. */
#define LOOK_NS (100 * NS_PER_MS)

#define BLOCKS                                                                                     \
	256 /* of a worker's share, or more; fewer if it has fewer items: then they are single ones */

struct shared {
	/* The parent adds 1 to start a call; children wait for it to change. */
	_Alignas(64) _Atomic uint32_t go;
	uint32_t stop;	/* written by the parent before go, read by children after */
	uint64_t place; /* where in the arena the results go; likewise */
	/* Children that are not done; set by the parent before go, each child subtracts 1. */
	_Alignas(64) _Atomic uint32_t left;
	_Atomic int error; /* a child's first error */
};

struct forked {
	const struct bench *bench;
	struct shared *shared;
	int workers; /* started so far */
	pid_t pid[POOL_WORKERS_MAX];
};

static void futex_wait(_Atomic uint32_t *word, uint32_t value, const struct timespec *timeout)
{
	syscall(SYS_futex, word, FUTEX_WAIT, value, timeout, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count)
{
	syscall(SYS_futex, word, FUTEX_WAKE, count, NULL, NULL, 0);
}

static int run_items(const struct forked *f, uint64_t begin, uint64_t end)
{
	const struct work *work = &f->bench->work;

	if (begin == end)
		return 0;
	return work->load->serial(work, begin, end,
				  f->bench->arena + f->shared->place + begin * work->result_size);
}

/* Shares differ by one item at most. */
static void run_share(const struct forked *f, int worker)
{
	uint64_t workers = (uint64_t)f->bench->cell->workers, at = (uint64_t)worker;
	uint64_t each = f->bench->work.tasks / workers;
	uint64_t block = each > BLOCKS ? each / BLOCKS : 1, turns = each / block;
	uint64_t dealt = turns * workers * block, left = f->bench->work.tasks - dealt;
	int rc = 0;

	for (uint64_t turn = 0; rc == 0 && turn < turns; turn++) {
		uint64_t place = turn * workers + (turn % 2 ? workers - 1 - at : at);
		rc = run_items(f, place * block, (place + 1) * block);
	}
	if (rc == 0)
		rc = run_items(f, dealt + left * at / workers, dealt + left * (at + 1) / workers);
	if (rc != 0)
		atomic_store(&f->shared->error, rc);
}

/* Never returns. Allowed in the child: the parent is single-threaded here (no pool is open). */
static void child(const struct forked *f, int worker)
{
	struct shared *shared = f->shared;

	for (uint32_t seen = 0;; seen++) {
		/* acquire: pairs with the release of go in release_all() */
		while (atomic_load_explicit(&shared->go, memory_order_acquire) == seen)
			futex_wait(&shared->go, seen, NULL);
		if (shared->stop)
			_exit(0);
		run_share(f, worker);
		/* release: pairs with the acquire of left in wait_all() */
		if (atomic_fetch_sub_explicit(&shared->left, 1, memory_order_release) == 1)
			futex_wake(&shared->left, 1);
	}
}

static void release_all(struct forked *f)
{
	atomic_store_explicit(&f->shared->left, (uint32_t)f->workers, memory_order_relaxed);
	atomic_fetch_add_explicit(&f->shared->go, 1, memory_order_release);
	futex_wake(&f->shared->go, INT_MAX);
}

static bool all_alive(const struct forked *f)
{
	for (int i = 0; i < f->workers; i++) {
		siginfo_t info = { 0 };
		if (waitid(P_PID, (id_t)f->pid[i], &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid != 0)
			return false;
	}
	return true;
}

static int wait_all(struct forked *f)
{
	const struct timespec look = { .tv_nsec = LOOK_NS };
	uint32_t left;

	while ((left = atomic_load_explicit(&f->shared->left, memory_order_acquire)) != 0) {
		int64_t begin = clock_now_ns();
		futex_wait(&f->shared->left, left, &look);
		if (clock_now_ns() - begin >= LOOK_NS && !all_alive(f))
			return -ECHILD;
	}
	return atomic_load(&f->shared->error);
}

int forked_call(struct bench *b, void *results)
{
	b->forked->shared->place = (uint64_t)((unsigned char *)results - b->arena);
	release_all(b->forked);
	return wait_all(b->forked);
}

static int start_child(struct forked *f, int worker)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent) /* it died before the line above */
			_exit(1);
		if (f->bench->cell->workers <= pool_cpus())
			baseline_bind(worker);
		child(f, worker);
	}
	f->pid[worker] = pid;
	f->workers = worker + 1;
	return 0;
}

int forked_start(struct forked **forked, const struct bench *bench)
{
	struct forked *f = calloc(1, sizeof *f);
	int rc = -ENOMEM;

	if (f == NULL)
		return -ENOMEM;
	f->bench = bench;
	f->shared = mmap(NULL, sizeof *f->shared, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (f->shared == MAP_FAILED)
		goto err_free;
	for (int i = 0; i < bench->cell->workers; i++) {
		rc = start_child(f, i);
		if (rc < 0)
			goto err_stop;
	}
	*forked = f;
	return 0;

err_stop:
	forked_stop(f);
	return rc;
err_free:
	free(f);
	return rc;
}

void forked_stop(struct forked *f)
{
	if (f == NULL)
		return;
	f->shared->stop = 1;
	release_all(f);
	for (int i = 0; i < f->workers; i++)
		waitpid(f->pid[i], NULL, 0);
	munmap(f->shared, sizeof *f->shared);
	free(f);
}

pid_t forked_pid(const struct forked *f, int worker)
{
	return f->pid[worker];
}
