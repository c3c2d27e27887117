/*
 * bench.h - what is under the clock: one prepared cell, inside the harness.
 *
 * DESIGN. A cell is prepared into a struct bench whose `call` runs the whole input once and leaves all results at
 * `results`; a batch repeats it. Results lie in an arena of `slots` calls, so that a few calls run back to back
 * before the clock stops and all their results are checked. The arena is kept small (see cell.c), so that the
 * caches see the same as with one buffer.
 */
#ifndef HARNESS_BENCH_H
#define HARNESS_BENCH_H

#include "harness/counts.h"
#include "harness/probe.h"
#include "harness/record.h"
#include "workloads/workload.h"

struct forked;
struct syscalls;

struct bench {
	const struct cell *cell;
	struct work work;
	struct pool_column column[POOL_COLUMNS_MAX]; /* work's, or its copy in memory of the pool */
	/* 0, or an error of the pool library with the reason in `why` */
	int (*call)(struct bench *bench, void *results);
	struct pool_options options;
	struct pool_policy policy;
	struct pool_failure failure;	 /* where policy.failure points */
	struct pool *pool;		 /* NULL: a baseline, or variant "open" */
	const struct baseline *baseline; /* NULL: a pool */
	struct forked *forked;		 /* NULL unless that is the backend */
	void *state;			 /* the baseline's own */
	unsigned char *arena;
	size_t arena_bytes, call_bytes, slots;
	void *parent; /* the memory that makes the parent large */
	size_t parent_bytes;
	void *item;	  /* room for one result */
	double per_call;  /* what a time is divided by: tasks, or workers for "open" */
	bool has_results; /* false for "open" */
	int64_t first_ns; /* sum over the calls: start to first result; 0 where call does not tell */
	int64_t told_ns;  /* a call that knows its time better than the clock adds it here */
	/* probe "latency": a call that waited for something shorter than itself says so; -1: it did not */
	int64_t latency_ns;
	struct probe *probe;	   /* NULL: none that times */
	struct syscalls *syscalls; /* NULL: not counted */
	int64_t system_calls;	   /* of the timed calls */
	uint64_t calls;		   /* timed ones */
	int64_t timed_ns;	   /* their sum */
	struct counts spent;	   /* by this process and reaped children while the clock ran */
	int64_t memory_kib;	   /* becomes the row's max_rss_kib; 0: the parent's peak does */
	char why[256];
};

#define POISON 0xA5 /* fills result buffers before a call */

/* Are all results of the first `calls` calls in the arena those of the serial loop? 0, or -EBADMSG
 * with `why`. */
int bench_check(struct bench *bench, size_t calls);

/* Up to `slots` calls back to back, then the check; *ns is what the calls took. 0 or an error. */
int bench_lap(struct bench *bench, size_t calls, int64_t *ns);

/* The discarded calls and the timed batches; samples and counts go to *record. 0 or an error. */
int bench_measure(struct bench *bench, struct record *record);

/* What is timed instead of a pool. The programs under scripts/peers add theirs and then give
 * rows as `poolbench cell` does. */
struct baseline {
	const char *name;
	int (*start)(struct bench *bench); /* sets bench->call; 0 or an error */
	void (*stop)(struct bench *bench); /* also after a start that failed; NULL: nothing to do */
	const char *variants;		   /* names of those it knows; NULL: "map" */
	bool shared;			   /* results lie in shared memory, mapped before start */
	const char *summary; /* for `poolbench list`; NULL in programs that have no list */
	struct baseline *next;
};

/* `baseline` must live as long as the program, and its name be new. */
void baseline_add(struct baseline *baseline);
/* Are the arguments of the workload its payload, so that it can be carried or copied? 0, or -EINVAL with `why`. */
int baseline_check_payload(struct bench *bench);
/* Are arguments and results 8 bytes each, so that a baseline can carry them as a word? Likewise. */
int baseline_check_words(struct bench *bench);
/* From now on this process runs on the k-th of the CPUs that it may use; where there are fewer it stays free. */
void baseline_bind(int k);
/* The main() of a program that has added its baselines: `cell OPTION...`, or --version, which prints that line. */
int baseline_main(int argc, char **argv, const char *version);
const struct baseline *baseline_first(void);
const struct baseline *baseline_find(const char *name); /* NULL: none of that name */

/* The eight calls, and "open". */
struct variant {
	const char *name;
	const char *summary;
	int (*call)(struct bench *bench, void *results);
	bool one_column; /* takes workloads of one argument only */
};

const struct variant *variant_at(unsigned i);	      /* NULL past the end */
const struct variant *variant_find(const char *name); /* NULL: unknown */
int variant_open(struct bench *bench, void *results); /* opens and ends a pool; results unused */

/* The baseline of plain forked processes. Each owns a fixed share of the items and writes into the
 * arena, which must be shared memory, mapped before. 0 or -errno. */
int forked_start(struct forked **forked, const struct bench *bench);
int forked_call(struct bench *bench, void *results); /* releases all, waits for all */
void forked_stop(struct forked *forked);	     /* NULL is fine */
pid_t forked_pid(const struct forked *forked, int worker);

#endif
