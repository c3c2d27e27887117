/*
 * batch.c - repeating a prepared call under the clock, checking every result, counting what it cost.
 *
 * DESIGN. A batch is `repeats` calls in laps of at most `slots` calls; a lap is timed as a whole, then every result in
 * it is checked. What is discarded first doubles its laps until it has lasted batch_ns, which warms everything up and
 * says how many calls fill a batch. (Tried and dropped: one buffer, checked after the last call only; a call that skips
 * its work then passes on what its predecessor left.)
 */
#include "harness/bench.h"
#include "harness/clock.h"
#include "harness/memory.h"
#include "harness/syscalls.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define REPEATS_MAX (UINT64_C(1) << 24)
/* Looks at the memory while calls run, at least. */
#define MEMORY_SAMPLES 5

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
	if (b->syscalls)
		b->system_calls -= syscalls_read(b->syscalls) + 1; /* 1: the other reading */
	begin = clock_now_ns();
	for (size_t i = 0; rc == 0 && i < calls; i++) {
		unsigned char *results = b->arena + i * b->call_bytes;
		rc = b->probe ? probe_call(b, results) : b->call(b, results);
	}
	*ns = clock_now_ns() - begin;
	if (b->told_ns != 0)
		*ns = b->told_ns;
	if (b->syscalls)
		b->system_calls += syscalls_read(b->syscalls);
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

/* The discarded calls; *repeats is how many fill a batch. The first finds everything cold and may well last longer than
 * a batch. Of the others the fastest lap counts: one that was held up would make all batches of this cell too short. */
static int warm_up(struct bench *b, uint64_t *repeats)
{
	double per_call = INFINITY;
	int64_t total_ns = 0, ns;
	uint64_t calls = 1;
	int rc = batch(b, 1, &ns);

	for (; rc == 0 && total_ns < b->cell->batch_ns && calls <= REPEATS_MAX; calls *= 2) {
		rc = batch(b, calls, &ns);
		total_ns += ns;
		per_call = fmin(per_call, (double)(ns > 0 ? ns : 1) / (double)calls);
	}
	if (rc != 0)
		return rc;
	double wanted = (double)b->cell->batch_ns / per_call;
	*repeats = wanted < 1			  ? 1
		   : wanted > (double)REPEATS_MAX ? REPEATS_MAX
						  : (uint64_t)wanted + 1;
	b->calls = 0;
	b->timed_ns = b->first_ns = b->system_calls = 0;
	memset(&b->spent, 0, sizeof b->spent);
	probe_reset(b->probe);
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

/* What all workers of a pool did since it was opened. */
struct lives {
	int64_t starts, claims;
	uint64_t tasks;
};

/* Everything read outside the laps, before and after all batches. */
struct account {
	pid_t pid[POOL_WORKERS_MAX + 1]; /* worker_pid() */
	struct counts counts[POOL_WORKERS_MAX + 1];
	struct traffic traffic[POOL_WORKERS_MAX + 1], parent;
	struct counts self;
	struct machine_time machine;
	struct lives lives;
	int64_t at_ns;
};

static struct lives lives(const struct bench *b)
{
	struct pool_worker_stats stats;
	struct lives sum = { 0 };

	for (int i = 0; b->pool != NULL && i < b->cell->workers; i++)
		if (pool_worker_stats(b->pool, i, &stats) == 0) {
			sum.starts += (int64_t)stats.starts;
			sum.claims += (int64_t)stats.claims;
			sum.tasks += stats.tasks;
		}
	return sum;
}

static void open_account(const struct bench *b, struct account *account)
{
	for (int i = 0; (account->pid[i] = worker_pid(b, i)) >= 0; i++)
		if (account->pid[i] > 0) {
			counts_process(account->pid[i], &account->counts[i]);
			counts_traffic(account->pid[i], &account->traffic[i]);
		}
	counts_traffic(getpid(), &account->parent);
	account->lives = lives(b);
	counts_self(&account->self);
	counts_machine(&account->machine);
	account->at_ns = clock_now_ns();
}

static void add_traffic(struct record *record, const struct traffic *from, pid_t pid)
{
	struct traffic to;

	counts_traffic(pid, &to);
	record->io_calls += to.io_calls - from->io_calls;
	record->io_bytes += to.io_bytes - from->io_bytes;
	record->run_delay_ns += to.run_delay_ns - from->run_delay_ns;
}

/* Adds what workers that lived through all batches used, to *own as well; others' counts came with their reaping. */
static void add_workers(struct bench *b, const struct account *account, struct record *record,
			struct counts *own)
{
	struct counts after;

	for (int i = 0; account->pid[i] >= 0; i++) {
		if (account->pid[i] == 0 || worker_pid(b, i) != account->pid[i])
			continue;
		counts_process(account->pid[i], &after);
		counts_add_difference(&b->spent, &account->counts[i], &after);
		counts_add_difference(own, &account->counts[i], &after);
		add_traffic(record, &account->traffic[i], account->pid[i]);
	}
}

static void close_account(struct bench *b, const struct account *account, struct record *record)
{
	bool is_open = strcmp(b->cell->variant, "open") == 0;
	struct machine_time machine;
	struct counts self, own = { 0 };
	struct lives now;

	record->window_ns = clock_now_ns() - account->at_ns;
	counts_machine(&machine);
	counts_self(&self);
	counts_add_difference(&own, &account->self, &self);
	now = lives(b);
	add_traffic(record, &account->parent, getpid());
	record->starts = b->pool ? now.starts - account->lives.starts
				 : (int64_t)b->calls * (is_open ? b->cell->workers : 0);
	record->claims = now.claims - account->lives.claims;
	add_workers(b, account, record, &own);
	record->steal_ns = machine.steal_ns - account->machine.steal_ns;
	record->pressure_ns = machine.pressure_ns - account->machine.pressure_ns;
	record->foreign_ns =
		machine.busy_ns - account->machine.busy_ns - own.user_ns - own.system_ns;
	if (record->foreign_ns < 0)
		record->foreign_ns = 0;
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

/* Results alone do not tell a task that was run twice. A baseline with a pool of its own may run more. */
static int check_executions(struct bench *b, const struct account *account)
{
	uint64_t wanted = b->calls * b->work.tasks;
	uint64_t executed = lives(b).tasks - account->lives.tasks;

	if (b->pool == NULL || b->baseline != NULL || executed == wanted)
		return 0;
	snprintf(b->why, sizeof b->why,
		 "the workers ran %" PRIu64 " tasks where %" PRIu64 " were asked for", executed,
		 wanted);
	return -EBADMSG;
}

static void keep_counts(const struct bench *b, struct record *record)
{
	record->calls = b->calls;
	record->system_calls = b->syscalls ? b->system_calls : -1;
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

/* The pool as it was opened. */
static int measure_idle_memory(struct record *record)
{
	struct memory_watch *watch;
	int rc = memory_watch_start(&watch);

	return rc < 0 ? rc : memory_watch_end(watch, &record->pss_idle_kib);
}

/* One batch more, which nobody times. */
static int measure_memory(struct bench *b, uint64_t repeats, struct record *record)
{
	int64_t begin = clock_now_ns(), ns;
	struct memory_watch *watch;
	int rc = memory_watch_start(&watch), ended;

	if (rc < 0)
		return rc;
	do
		rc = bench_lap(b, repeats < b->slots ? (size_t)repeats : b->slots, &ns);
	while (rc == 0 && (clock_now_ns() - begin < b->cell->batch_ns ||
			   memory_watch_samples(watch) < MEMORY_SAMPLES));
	ended = memory_watch_end(watch, &record->pss_peak_kib);
	return rc ? rc : ended;
}

int bench_measure(struct bench *b, struct record *record)
{
	bool memory = strcmp(b->cell->probe, "memory") == 0;
	struct account account;
	uint64_t repeats;
	int rc = memory ? measure_idle_memory(record) : 0;

	if (rc != 0)
		return rc;
	counts_reset_peak();
	rc = warm_up(b, &repeats);
	if (rc != 0)
		return rc;
	open_account(b, &account);
	rc = timed_batches(b, repeats, record);
	if (rc == 0)
		rc = check_executions(b, &account);
	close_account(b, &account, record);
	keep_counts(b, record);
	probe_keep(b->probe, record);
	return rc == 0 && memory ? measure_memory(b, repeats, record) : rc;
}
