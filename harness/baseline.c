/*
 * baseline.c - what is timed instead of a pool: the plain serial loop, plain forked processes, a spinner that waits to be
 * stopped, bare system calls, a copy of the payload, and whatever a program that links this adds.
 */
#include "harness/bench.h"
#include "harness/clock.h"
#include "harness/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#define HUGE_PAGE (UINT64_C(2) << 20)

static int call_loop(struct bench *b, void *results)
{
	return b->work.load->serial(&b->work, 0, b->work.tasks, results);
}

static int start_loop(struct bench *b)
{
	b->call = call_loop;
	return 0;
}

static int start_forked(struct bench *b)
{
	b->call = forked_call;
	return forked_start(&b->forked, b);
}

/* What a call that needs nothing but the CPU meets: for HICCUP_NS the clock is read again and again, and the longest time
 * between two readings is what the call tells the probe "latency". (Single gaps would be as rare as a reading is short;
 * a gap in a window has a share that can be held beside that of calls which last about as long.) */
#define HICCUP_NS 10000

static int call_hiccup(struct bench *b, void *results)
{
	int64_t begin = clock_now_ns(), last = begin, longest = 0;

	(void)results;
	while (last - begin < HICCUP_NS) {
		int64_t now = clock_now_ns();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	b->latency_ns = longest;
	return 0;
}

static int start_hiccup(struct bench *b)
{
	b->call = call_hiccup;
	b->has_results = false;
	return 0;
}

/* A task is 8 bytes into a pipe and out again, by one process: two calls that do something, and wait for nothing. */
static int call_syscall(struct bench *b, void *results)
{
	const int *pipe = b->state;
	const int64_t *x = b->work.column[0].data;
	int64_t *y = results;

	for (uint64_t i = 0; i < b->work.tasks; i++)
		if (write(pipe[1], &x[i], sizeof *x) != sizeof *x ||
		    read(pipe[0], &y[i], sizeof *y) != sizeof *y)
			return -EIO;
	return 0;
}

static void stop_syscall(struct bench *b)
{
	int *pipe = b->state;

	if (pipe == NULL)
		return;
	close(pipe[0]);
	close(pipe[1]);
	free(pipe);
}

/* Time per call of the system, so two a task. */
static int start_syscall(struct bench *b)
{
	int *ends, rc = baseline_check_words(b);

	if (rc < 0)
		return rc;
	ends = malloc(2 * sizeof *ends);
	if (ends == NULL)
		return -ENOMEM;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		rc = -errno;
		free(ends);
		return rc;
	}
	b->state = ends;
	b->call = call_syscall;
	b->per_call = 2.0 * (double)b->work.tasks;
	return 0;
}

int baseline_check_words(struct bench *b)
{
	if (b->work.column[0].size == sizeof(int64_t) && b->work.result_size == sizeof(int64_t))
		return 0;
	snprintf(b->why, sizeof b->why,
		 "baseline '%s' carries 8 bytes to each task and back, workload '%s' has others: "
		 "use noop or square",
		 b->cell->backend, b->work.load->name);
	return -EINVAL;
}

int baseline_check_payload(struct bench *b)
{
	if (b->work.payload_bytes > 0 && b->work.column[0].size == b->work.payload_bytes)
		return 0;
	snprintf(b->why, sizeof b->why, "workload '%s' has no payload in its arguments: use stream",
		 b->cell->workload);
	return -EINVAL;
}

void baseline_bind(int k)
{
	cpu_set_t may, one;

	if (sched_getaffinity(0, sizeof may, &may) < 0)
		return;
	for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &may) || k-- > 0)
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof one, &one);
		return;
	}
}

static int call_memcpy(struct bench *b, void *results)
{
	const unsigned char *bytes = b->work.column[0].data;
	uint64_t each = b->work.payload_bytes;
	unsigned char *copy = b->state;

	(void)results;
	for (uint64_t i = 0; i < b->work.tasks; i++) {
		memcpy(copy + i * each, bytes + i * each, each);
		/* The compiler must think that somebody reads it. */
		__asm__ volatile("" : : "r"(copy) : "memory");
	}
	return 0;
}

static void stop_memcpy(struct bench *b)
{
	free(b->state);
}

/* The copy is touched before, so that no page of it has to be found while the clock runs, and lies in huge pages where
 * there are any, as a pool's memory does. */
static int start_memcpy(struct bench *b)
{
	uint64_t bytes = b->work.tasks * b->work.payload_bytes;
	int rc = baseline_check_payload(b);

	if (rc < 0)
		return rc;
	bytes = (bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	b->state = aligned_alloc(HUGE_PAGE, bytes);
	if (b->state == NULL)
		return -ENOMEM;
	madvise(b->state, bytes, MADV_HUGEPAGE);
	memset(b->state, POISON, bytes);
	madvise(b->state, bytes, MADV_COLLAPSE);
	b->call = call_memcpy;
	b->has_results = false;
	return 0;
}

static struct baseline raw_memcpy = { .name = "raw-memcpy",
				      .start = start_memcpy,
				      .stop = stop_memcpy,
				      .summary = "a copy of the payload into memory of its own "
						 "(workload stream)" };
static struct baseline bare_calls = { .name = "syscall",
				      .start = start_syscall,
				      .stop = stop_syscall,
				      .summary = "bare system calls, time per call (workload noop)",
				      .next = &raw_memcpy };
static struct baseline hiccup = { .name = "hiccup",
				  .start = start_hiccup,
				  .summary = "a spinner that waits to be stopped",
				  .next = &bare_calls };
static struct baseline forked = { .name = "forked",
				  .start = start_forked,
				  .shared = true,
				  .summary = "plain forked processes, each a fixed share, no pool",
				  .next = &hiccup };
static struct baseline loop = {
	.name = "loop", .start = start_loop, .summary = "the plain serial loop", .next = &forked
};
static struct baseline *last = &raw_memcpy;

void baseline_add(struct baseline *baseline)
{
	baseline->next = NULL;
	last->next = baseline;
	last = baseline;
}

const struct baseline *baseline_first(void)
{
	return &loop;
}

const struct baseline *baseline_find(const char *name)
{
	const struct baseline *baseline = baseline_first();

	while (baseline != NULL && strcmp(baseline->name, name) != 0)
		baseline = baseline->next;
	return baseline;
}

int baseline_main(int argc, char **argv, const char *version)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts(version);
		return EXIT_FINE;
	}
	if (argc > 1 && strcmp(argv[1], "cell") == 0)
		return cell_main(argc - 1, argv + 1);
	fprintf(stderr, "usage: %s cell OPTION... | --version\n", argv[0]);
	return EXIT_USAGE;
}
