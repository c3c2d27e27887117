/*
 * limits_list.c - raw-list: the makespan of list scheduling, computed from lengths measured while all workers are busy.
 *
 * DESIGN. The processes run their items three times, with a look at the clock between items and without. An item's
 * length is the middle one of its looks, less its part of what looking takes: a fault or an interruption is no part of a
 * task, and the shortest would be shorter than any pool can have them. They begin together, and whoever is done goes
 * on without looking until all are, since an item may be shorter while the other CPUs have nothing to do. It is the
 * makespan of workers that each have a CPU, also where there are fewer.
 */
#include "harness/bench.h"
#include "harness/clock.h"
#include "scripts/peers/limits.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#define PASSES 3

/* Shared by all workers. */
struct meeting {
	_Atomic int missing;   /* workers that are not there yet */
	_Atomic int measuring; /* workers that are not done */
};

/* What one worker has to do: every `workers`-th item. */
struct strip {
	struct meeting *meeting;
	struct bench *b;
	uint64_t first, step;
	unsigned char *results;
	int64_t (*look_ns)[PASSES]; /* of all items; the first of them becomes the length */
};

static void run_item(const struct strip *s, uint64_t i)
{
	const struct work *work = &s->b->work;

	if (work->load->serial(work, i, i + 1, s->results + i * work->result_size) == 0)
		return;
	atomic_store(&s->meeting->measuring, 0);
	_exit(1);
}

static int64_t time_strip(const struct strip *s)
{
	int64_t begin = clock_now_ns();

	for (uint64_t i = s->first; i < s->b->work.tasks; i += s->step)
		run_item(s, i);
	return clock_now_ns() - begin;
}

static void time_items(const struct strip *s, int pass)
{
	int64_t begin = clock_now_ns();

	for (uint64_t i = s->first; i < s->b->work.tasks; i += s->step) {
		run_item(s, i);
		int64_t end = clock_now_ns();
		s->look_ns[i][pass] = end - begin;
		begin = end;
	}
}

static int64_t middle(const int64_t x[PASSES])
{
	int64_t low = x[0] < x[1] ? x[0] : x[1], high = x[0] < x[1] ? x[1] : x[0];

	return x[2] < low ? low : x[2] > high ? high : x[2];
}

/* Looking at the clock takes time itself, and keeps a processor from beginning an item before the last one has ended. So
 * items that were looked at take longer together than the same items without a look: all are shortened by that. */
static void settle(const struct strip *s, int64_t whole_ns)
{
	double shorter;
	int64_t sum_ns = 0;

	for (uint64_t i = s->first; i < s->b->work.tasks; i += s->step) {
		s->look_ns[i][0] = middle(s->look_ns[i]);
		sum_ns += s->look_ns[i][0];
	}
	shorter = whole_ns < sum_ns ? (double)whole_ns / (double)sum_ns : 1;
	for (uint64_t i = s->first; i < s->b->work.tasks; i += s->step)
		s->look_ns[i][0] = (int64_t)((double)s->look_ns[i][0] * shorter);
}

/* Never returns. */
static void measure_strip(const struct strip *s)
{
	int64_t whole_ns[PASSES];

	atomic_fetch_sub(&s->meeting->missing, 1);
	while (atomic_load(&s->meeting->missing) > 0)
		sched_yield();
	for (int i = 0; i < PASSES; i++) {
		whole_ns[i] = time_strip(s);
		time_items(s, i);
	}
	atomic_fetch_sub(&s->meeting->measuring, 1);
	while (atomic_load(&s->meeting->measuring) > 0)
		time_strip(s);
	settle(s, middle(whole_ns));
	_exit(0);
}

/* Items in order, each to the worker that is free first (R. L. Graham, Bounds for Certain Multiprocessing Anomalies,
 * Bell System Technical Journal 45 (1966)). */
static int64_t makespan(int64_t (*const look_ns)[PASSES], uint64_t count, int workers)
{
	int64_t busy[POOL_WORKERS_MAX] = { 0 }, last = 0;

	for (uint64_t i = 0; i < count; i++) {
		int first = 0;
		for (int k = 1; k < workers; k++)
			if (busy[k] < busy[first])
				first = k;
		busy[first] += look_ns[i][0];
		if (busy[first] > last)
			last = busy[first];
	}
	return last;
}

/* 0, or -errno: then nobody waits for those who are missing. */
static int measure(struct bench *b, unsigned char *results, struct meeting *meeting,
		   int64_t (*look_ns)[PASSES])
{
	int workers = b->cell->workers, started = 0, rc = 0;

	atomic_store(&meeting->missing, workers);
	atomic_store(&meeting->measuring, workers);
	for (; rc == 0 && started < workers; started += rc == 0) {
		const struct strip strip = { meeting,		b,	 (uint64_t)started,
					     (uint64_t)workers, results, look_ns };
		pid_t pid = fork();
		if (pid == 0)
			measure_strip(&strip);
		if (pid < 0)
			rc = -errno;
	}
	if (rc < 0) {
		atomic_store(&meeting->measuring, 0);
		atomic_store(&meeting->missing, 0);
	}
	return start_reap(started) < 0 ? -ECHILD : rc;
}

static int call_list(struct bench *b, void *results)
{
	uint64_t bytes = sizeof(struct meeting) + b->work.tasks * sizeof(int64_t[PASSES]);
	struct meeting *meeting = map_shared(bytes);
	int64_t(*look_ns)[PASSES] = (int64_t(*)[PASSES])(meeting + 1);
	int rc;

	if (meeting == NULL)
		return -ENOMEM;
	rc = measure(b, results, meeting, look_ns);
	b->told_ns += makespan(look_ns, b->work.tasks, b->cell->workers);
	munmap(meeting, bytes);
	return rc;
}

static int start_list(struct bench *b)
{
	b->call = call_list;
	return 0;
}

static struct baseline list = { .name = "raw-list", .start = start_list, .shared = true };

void list_add(void)
{
	baseline_add(&list);
}
