/*
 * batch.c - repeating a prepared call under the clock, checking every result, counting what it cost.
 *
 * DESIGN. A batch is `repeats` calls in laps of at most `slots` calls; a lap is timed as a whole, then every result in
 * it is checked. The discarded batch doubles its laps until it has lasted batch_ns, which warms everything up and
 * says how many calls fill a batch. (Tried and dropped: one buffer, checked after the last call only; a call that skips
 * its work then passes on what its predecessor left.)
 */
#include "harness/bench.h"
#include "harness/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define REPEATS_MAX (UINT64_C(1) << 24)

int bench_check(struct bench *b, size_t calls)
{
	for (size_t i = 0; i < calls; i++) {
		const unsigned char *results = b->arena + i * b->call_bytes;
		uint64_t bad;
		if (memcmp(results, b->work.expected, b->call_bytes) == 0 ||
		    work_verify(&b->work, results, &bad))
			continue;
		snprintf(b->why, sizeof b->why,
			 "the result of item %" PRIu64 " is not that of the serial loop", bad);
		return -EBADMSG;
	}
	return 0;
}

/* Up to `slots` calls back to back; *ns is what they took. */
int bench_lap(struct bench *b, size_t calls, int64_t *ns)
{
	struct counts before, after;
	int64_t begin;
	int rc = 0;

	if (b->has_results)
		memset(b->arena, POISON, calls * b->call_bytes);
	b->told_ns = 0;
	counts_self(&before);
	begin = clock_now_ns();
	for (size_t i = 0; rc == 0 && i < calls; i++)
		rc = b->call(b, b->arena + i * b->call_bytes);
	*ns = clock_now_ns() - begin;
	if (b->told_ns != 0)
		*ns = b->told_ns;
	counts_self(&after);
	counts_add_difference(&b->spent, &before, &after);
	b->calls += calls;
	b->timed_ns += *ns;
	return rc == 0 && b->has_results ? bench_check(b, calls) : rc;
}

static int batch(struct bench *b, uint64_t repeats, int64_t *ns)
{
	*ns = 0;
	while (repeats > 0) {
		size_t calls = repeats < b->slots ? (size_t)repeats : b->slots;
		int64_t lap_ns;
		int rc = bench_lap(b, calls, &lap_ns);
		if (rc != 0)
			return rc;
		*ns += lap_ns;
		repeats -= calls;
	}
	return 0;
}

/* The discarded batch; *repeats is how many calls fill a batch. */
static int warm_up(struct bench *b, uint64_t *repeats)
{
	int64_t total_ns = 0, ns = 0;
	uint64_t calls = 1;

	for (;; calls *= 2) {
		int rc = batch(b, calls, &ns);
		if (rc != 0)
			return rc;
		total_ns += ns;
		if (total_ns >= b->cell->batch_ns || calls >= REPEATS_MAX)
			break;
	}
	double per_call = (double)(ns > 0 ? ns : 1) / (double)calls;
	double wanted = (double)b->cell->batch_ns / per_call;
	*repeats = wanted < 1			  ? 1
		   : wanted > (double)REPEATS_MAX ? REPEATS_MAX
						  : (uint64_t)wanted + 1;
	b->calls = 0;
	b->timed_ns = b->first_ns = 0;
	memset(&b->spent, 0, sizeof b->spent);
	return 0;
}

/* The processes whose counts are not in this one's: -1 past the end; 0: it has none now. */
static pid_t worker_pid(const struct bench *b, int worker)
{
	pid_t pid = 0;

	if (worker >= b->cell->workers)
		return -1;
	if (b->forked != NULL)
		pid = forked_pid(b->forked, worker);
	else if (b->pool != NULL)
		pid = pool_worker_pid(b->pool, worker);
	return pid == getpid() || pid < 0 ? 0 : pid;
}

static void count_workers(const struct bench *b, pid_t *pids, struct counts *counts)
{
	for (int i = 0; (pids[i] = worker_pid(b, i)) >= 0; i++)
		if (pids[i] > 0)
			counts_process(pids[i], &counts[i]);
}

/* Adds what workers that lived through all batches used; others' counts came with their reaping. */
static void add_workers(struct bench *b, const pid_t *pids, const struct counts *before)
{
	struct counts after;

	for (int i = 0; pids[i] >= 0; i++) {
		if (pids[i] == 0 || worker_pid(b, i) != pids[i])
			continue;
		counts_process(pids[i], &after);
		counts_add_difference(&b->spent, &before[i], &after);
	}
}

static int timed_batches(struct bench *b, uint64_t repeats, struct record *record)
{
	for (int i = 0; i < b->cell->batches; i++) {
		int64_t ns;
		int rc = batch(b, repeats, &ns);
		if (rc != 0)
			return rc;
		record->ns_per_task[record->samples++] = (double)ns / (double)repeats / b->per_call;
	}
	return 0;
}

static void keep_counts(const struct bench *b, struct record *record)
{
	record->calls = b->calls;
	record->user_ns = b->spent.user_ns;
	record->system_ns = b->spent.system_ns;
	record->voluntary_switches = b->spent.voluntary_switches;
	record->involuntary_switches = b->spent.involuntary_switches;
	record->minor_faults = b->spent.minor_faults;
	record->max_rss_kib = b->memory_kib ? b->memory_kib : counts_peak_kib();
	if (b->calls > 0 && b->has_results)
		record->first_result_ns =
			(double)(b->first_ns ? b->first_ns : b->timed_ns) / (double)b->calls;
}

int bench_measure(struct bench *b, struct record *record)
{
	struct counts before[POOL_WORKERS_MAX + 1];
	pid_t pids[POOL_WORKERS_MAX + 1];
	int64_t steal;
	uint64_t repeats;
	int rc;

	counts_reset_peak();
	rc = warm_up(b, &repeats);
	if (rc != 0)
		return rc;
	count_workers(b, pids, before);
	steal = counts_steal_ns();
	rc = timed_batches(b, repeats, record);
	record->steal_ns = counts_steal_ns() - steal;
	add_workers(b, pids, before);
	keep_counts(b, record);
	return rc;
}
