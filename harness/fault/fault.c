/*
 * fault.c - a poolbench with something wrong with it, for the suite to find: see selftest.h.
 *
 * DESIGN. No other file knows of faults. The faulty program is the objects of the sound one, linked with this file between
 * two of their calls: workload_find, as cell.c calls it, gives a workload whose task is one of those below around the
 * workload's own, and whose input can be longer; pool_map, as variant.c calls it, can ask twice (the Makefile renames the two symbols in copies of
 * those objects). So a sound and a faulty arm are one file, and differ by what $POOLBENCH_FAULT says:
 *
 *	none       nothing wrong; the same path through this file
 *	steps:N    the input of spin asks for N % more steps in every task, so the serial loop and plain forked processes take
 *	           them, too
 *	syscall    one more write of a byte to /dev/null a task
 *	copy       the argument is copied once more before the task runs
 *	stall      worker 0 sleeps for a millisecond in every hundredth of its tasks
 *	drop       a worker does nothing for item 7 of a call, and says that it was fine
 *	twice      a map runs its first item twice
 *
 * The drop is there from the first call. One that began later would pass on transports that keep results in place: what the
 * call before left there is right, as every call of a cell has the same input.
 *
 * The variable is read once, before main, and executed workers inherit it. Unset it is FAULT_BUILT_IN: one program is built that is
 * slower without being told. Workloads other than spin and stream have only `twice`.
 */
#include "pools/pool.h"
#include "workloads/workload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifndef FAULT_BUILT_IN
#define FAULT_BUILT_IN "none"
#endif
#define STALL_EACH 100
#define STALL_NS 1000000
#define DROP_INDEX 7
#define PERCENT_MAX 1000

enum fault { NONE, STEPS, SYSCALL, COPY, STALL, DROP, TWICE, FAULTS };
static enum fault fault;
static int percent; /* of STEPS */

__attribute__((constructor)) static void read_fault(void)
{
	static const char *const names[FAULTS] = {
		[SYSCALL] = "syscall", [COPY] = "copy",	  [STALL] = "stall",
		[DROP] = "drop",       [TWICE] = "twice", [NONE] = "none"
	};
	const char *name = getenv("POOLBENCH_FAULT");
	char surplus;

	name = name ? name : FAULT_BUILT_IN;
	if (sscanf(name, "steps:%d%c", &percent, &surplus) == 1 && percent >= 0 &&
	    percent <= PERCENT_MAX) {
		fault = STEPS;
		return;
	}
	for (enum fault i = NONE; i < FAULTS; i++)
		if (names[i] != NULL && strcmp(name, names[i]) == 0) {
			fault = i;
			return;
		}
	fprintf(stderr,
		"poolbench: POOLBENCH_FAULT=%s: want none, steps:N, syscall, copy, stall, drop or "
		"twice\n",
		name);
	_exit(2);
}

/*
 * == In a task ==
 */

static void one_more_call(void)
{
	static _Thread_local int fd = -1;

	if (fd < 0)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "", 1) != 1)
		abort();
}

static void one_more_copy(const void *argument, uint64_t size)
{
	static _Thread_local void *copy;
	static _Thread_local uint64_t room;

	if (size > room) {
		free(copy);
		copy = malloc(size);
		room = size;
	}
	if (copy == NULL)
		abort();
	memcpy(copy, argument, size);
	__asm__ volatile("" : : "r"(copy) : "memory"); /* somebody might read it */
}

static void stall_sometimes(void)
{
	static _Thread_local unsigned tasks;
	const struct timespec stall = { .tv_nsec = STALL_NS };

	if (++tasks % STALL_EACH == 0)
		nanosleep(&stall, NULL);
}

static int run_with_fault(const struct workload *load, struct pool_call *call)
{
	if (fault == DROP && pool_index(call) == DROP_INDEX)
		return 0;
	if (fault == STALL && pool_worker(call) == 0)
		stall_sometimes();
	if (fault == SYSCALL)
		one_more_call();
	if (fault == COPY)
		one_more_copy(pool_arg(call, 0), pool_arg_size(call, 0));
	return load->task->run(call);
}

extern const struct workload workload_spin, workload_stream;

static int faulty_spin(struct pool_call *call)
{
	return run_with_fault(&workload_spin, call);
}
POOL_TASK(faulty_spin)

static int faulty_stream(struct pool_call *call)
{
	return run_with_fault(&workload_stream, call);
}
POOL_TASK(faulty_stream)

/*
 * == Between the harness and the rest ==
 */

const struct workload *fault_workload_find(const char *name);
int fault_pool_map(struct pool *pool, const struct pool_task *task, const void *in,
		   uint64_t in_size, uint64_t n, void *results, uint64_t result_size,
		   const struct pool_policy *policy);

/* The chains themselves are longer. A second loop behind each would partly run beside the next task's first, and 5 % more
 * steps took 4.4 % more time. */
static int longer_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	if (fault == STEPS)
		w->work += w->work * percent / 100;
	return workload_spin.open(w, options, why, why_size);
}

const struct workload *fault_workload_find(const char *name)
{
	static struct workload spin, stream;

	if (strcmp(name, "spin") == 0) {
		spin = workload_spin;
		spin.task = POOL(faulty_spin);
		spin.open = longer_open;
		return &spin;
	}
	if (strcmp(name, "stream") == 0) {
		stream = workload_stream;
		stream.task = POOL(faulty_stream);
		return &stream;
	}
	return workload_find(name);
}

int fault_pool_map(struct pool *pool, const struct pool_task *task, const void *in,
		   uint64_t in_size, uint64_t n, void *results, uint64_t result_size,
		   const struct pool_policy *policy)
{
	int rc = pool_map(pool, task, in, in_size, n, results, result_size, policy);

	if (rc == 0 && fault == TWICE)
		rc = pool_map(pool, task, in, in_size, 1, results, result_size, policy);
	return rc;
}
