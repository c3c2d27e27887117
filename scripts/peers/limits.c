/*
 * limits.c - what the machine can do at best, without a pool: `poolbench cell` with these baselines more.
 *
 *	raw-pipe, raw-futex, raw-spin   a task is a round trip of 8 bytes between two processes
 *	raw-fork and other starts: see limits_start.c
 *	raw-stream    a task is its payload through a pipe to one other process; all of a call's in a piece
 *	              (these four have two processes: 1 worker: the kernel places them; more: bound to two CPUs)
 *	raw-list: see limits_list.c
 *
 *	limits cell --record    a row in, a row out: what a run calls
 *	limits cell --backend raw-futex --variant map --workload noop --tasks 1000
 *	limits --version
 *
 * The two plain forked processes are not here: they are the baseline `forked` of every program that measures cells.
 */
#include "scripts/peers/limits.h"
#include "harness/bench.h"
#include "harness/clock.h"
#include "harness/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SPINS_PER_YIELD 16384	/* with one CPU for both a spinner must let the other run */
#define PIPE_BYTES (256 * 1024) /* as the pipes of the pool have, where the system allows it */
#define READ_BYTES                                                                                 \
	(64 * 1024) /* a writer goes on when a read has ended: less than what the pipe holds */

/* One line per direction: `word` counts messages; `value` is written before it by its sender. */
struct mailbox {
	_Alignas(64) _Atomic uint32_t word;
	int64_t value;
};

struct limit {
	pid_t pid; /* the other process; 0: none */
	int to[2], from[2];
	struct mailbox *box; /* [0] to the other process, [1] back; shared memory */
	uint64_t bytes;	     /* raw-stream: of a call */
};

void *map_shared(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

static int limit_new(struct bench *b)
{
	struct limit *l = calloc(1, sizeof *l);

	b->state = l;
	if (l == NULL)
		return -ENOMEM;
	l->box = map_shared(2 * sizeof *l->box);
	l->to[0] = l->to[1] = l->from[0] = l->from[1] = -1;
	if (l->box == NULL)
		return -ENOMEM;
	return pipe2(l->to, O_CLOEXEC) < 0 || pipe2(l->from, O_CLOEXEC) < 0 ? -errno : 0;
}

static void limit_stop(struct bench *b)
{
	struct limit *l = b->state;

	if (l == NULL)
		return;
	if (l->pid > 0) {
		kill(l->pid, SIGKILL);
		waitpid(l->pid, NULL, 0);
	}
	for (int i = 0; i < 2; i++) {
		if (l->to[i] >= 0)
			close(l->to[i]);
		if (l->from[i] >= 0)
			close(l->from[i]);
	}
	if (l->box != NULL)
		munmap(l->box, 2 * sizeof *l->box);
	free(l);
}

/* Starts the other process, which runs `body` until it is killed. */
static int limit_start(struct bench *b, int (*call)(struct bench *, void *),
		       void (*body)(struct limit *))
{
	struct limit *l;
	pid_t parent = getpid();
	int rc = limit_new(b);

	if (rc < 0)
		return rc;
	l = b->state;
	l->bytes = b->work.tasks * b->work.payload_bytes;
	l->pid = fork();
	if (l->pid < 0)
		return -errno;
	if (l->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (b->cell->workers > 1)
			baseline_bind(1);
		if (getppid() == parent)
			body(l);
		_exit(1);
	}
	if (b->cell->workers > 1)
		baseline_bind(0);
	b->call = call;
	return 0;
}

/*
 * == Round trips ==
 */

static void echo_pipe(struct limit *l)
{
	int64_t value;

	while (read(l->to[0], &value, sizeof value) == sizeof value)
		if (write(l->from[1], &value, sizeof value) != sizeof value)
			break;
}

static int call_pipe(struct bench *b, void *results)
{
	struct limit *l = b->state;
	const int64_t *x = b->work.column[0].data;
	int64_t *y = results;

	for (uint64_t i = 0; i < b->work.tasks; i++)
		if (write(l->to[1], &x[i], sizeof *x) != sizeof *x ||
		    read(l->from[0], &y[i], sizeof *y) != sizeof *y)
			return -EIO;
	return 0;
}

static void futex_await(_Atomic uint32_t *word, uint32_t old)
{
	/* acquire: pairs with the release in futex_post() */
	while (atomic_load_explicit(word, memory_order_acquire) == old)
		syscall(SYS_futex, word, FUTEX_WAIT, old, NULL, NULL, 0);
}

static void futex_post(_Atomic uint32_t *word)
{
	/* release: pairs with the acquire in futex_await() */
	atomic_fetch_add_explicit(word, 1, memory_order_release);
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static void spin_await(_Atomic uint32_t *word, uint32_t old)
{
	/* acquire: pairs with the release in spin_post() */
	for (uint32_t i = 1; atomic_load_explicit(word, memory_order_acquire) == old; i++)
		if (i % SPINS_PER_YIELD == 0)
			sched_yield();
}

static void spin_post(_Atomic uint32_t *word)
{
	/* release: pairs with the acquire in spin_await() */
	atomic_fetch_add_explicit(word, 1, memory_order_release);
}

/* Inlined into their callers, so that neither pays for a call through a pointer. */
typedef void await_fn(_Atomic uint32_t *word, uint32_t old);
typedef void post_fn(_Atomic uint32_t *word);

static inline __attribute__((always_inline)) void echo(struct limit *l, await_fn *await,
						       post_fn *post)
{
	for (uint32_t seen = 0;; seen++) {
		await(&l->box[0].word, seen);
		l->box[1].value = l->box[0].value;
		post(&l->box[1].word);
	}
}

static inline __attribute__((always_inline)) void trips(struct bench *b, int64_t *y,
							await_fn *await, post_fn *post)
{
	struct limit *l = b->state;
	const int64_t *x = b->work.column[0].data;
	uint32_t seen = atomic_load_explicit(&l->box[1].word, memory_order_relaxed);

	for (uint64_t i = 0; i < b->work.tasks; i++, seen++) {
		l->box[0].value = x[i];
		post(&l->box[0].word);
		await(&l->box[1].word, seen);
		y[i] = l->box[1].value;
	}
}

static void echo_futex(struct limit *l)
{
	echo(l, futex_await, futex_post);
}

static int call_futex(struct bench *b, void *results)
{
	trips(b, results, futex_await, futex_post);
	return 0;
}

static void echo_spin(struct limit *l)
{
	echo(l, spin_await, spin_post);
}

static int call_spin(struct bench *b, void *results)
{
	trips(b, results, spin_await, spin_post);
	return 0;
}

static int start_trips(struct bench *b, int (*call)(struct bench *, void *),
		       void (*body)(struct limit *))
{
	int rc = baseline_check_words(b);

	return rc < 0 ? rc : limit_start(b, call, body);
}

static int start_pipe(struct bench *b)
{
	return start_trips(b, call_pipe, echo_pipe);
}

static int start_futex(struct bench *b)
{
	return start_trips(b, call_futex, echo_futex);
}

static int start_spin(struct bench *b)
{
	return start_trips(b, call_spin, echo_spin);
}

/*
 * == Bandwidth of a pipe ==
 */

/* Answers once for each call. */
static void drain(struct limit *l)
{
	unsigned char *buffer = malloc(READ_BYTES);
	uint64_t got = 0;
	ssize_t size;

	while (buffer != NULL && (size = read(l->to[0], buffer, READ_BYTES)) > 0) {
		got += (uint64_t)size;
		if (got < l->bytes)
			continue;
		if (write(l->from[1], &got, sizeof got) != sizeof got)
			break;
		got = 0;
	}
}

static int write_all(int fd, const unsigned char *bytes, uint64_t size)
{
	while (size > 0) {
		ssize_t written = write(fd, bytes, size);
		if (written < 0)
			return -errno;
		bytes += written;
		size -= (uint64_t)written;
	}
	return 0;
}

static int call_stream(struct bench *b, void *results)
{
	struct limit *l = b->state;
	const unsigned char *bytes = b->work.column[0].data;
	uint64_t got = 0;
	int rc = write_all(l->to[1], bytes, l->bytes);

	(void)results;
	if (rc < 0)
		return rc;
	return read(l->from[0], &got, sizeof got) == sizeof got && got == l->bytes ? 0 : -EIO;
}

static int start_stream(struct bench *b)
{
	int rc = baseline_check_payload(b);

	if (rc == 0)
		rc = limit_start(b, call_stream, drain);
	if (rc < 0)
		return rc;
	fcntl(((struct limit *)b->state)->to[1], F_SETPIPE_SZ, PIPE_BYTES);
	b->has_results = false;
	return 0;
}

/*
 * == The program ==
 */

static struct baseline raw[] = {
	{ .name = "raw-pipe", .start = start_pipe, .stop = limit_stop },
	{ .name = "raw-futex", .start = start_futex, .stop = limit_stop },
	{ .name = "raw-spin", .start = start_spin, .stop = limit_stop },
	{ .name = "raw-stream", .start = start_stream, .stop = limit_stop },
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	for (size_t i = 0; i < sizeof raw / sizeof *raw; i++)
		baseline_add(&raw[i]);
	starts_add();
	list_add();
	return baseline_main(argc, argv, "poolbench " POOLBENCH_VERSION);
}
