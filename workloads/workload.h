/*
 * workload.h - what is run through the pools: one file a workload, one line each in workloads.def.
 *
 * DESIGN. A workload owns a task, its input, a plain serial loop over the same kernel (the baseline and the reference),
 * and the check of every result. Everything a task needs is in its arguments, never in a global: an executed worker
 * has no memory of the parent. Tasks are deterministic, so the serial results are the truth for every backend.
 */
#ifndef WORKLOADS_WORKLOAD_H
#define WORKLOADS_WORKLOAD_H

#include "pools/pool.h"

struct work_options {
	uint64_t
		tasks; /* items; 0: the workload's default (wordcount, sha256: every file of the tree, and
			  more than there are begins again with the first) */
	int64_t work; /* size of one task in the workload's unit; 0: its default; < 0 is refused */
	uint64_t
		payload_bytes; /* stream: bytes in per task, emit: bytes out; 0: its default; others: refused unless 0 */
	const char *
		tree; /* wordcount, sha256: directory; NULL: the machine's C headers, /usr/include */
	uint64_t seed; /* of the input's random numbers; 0 is a seed like any other */
};

/* One prepared instance: what a pool call needs. Everything is owned by the instance. */
struct work {
	const struct workload *load;
	uint64_t tasks;
	int64_t work;
	uint64_t payload_bytes;
	unsigned columns;
	struct pool_column column
		[POOL_COLUMNS_MAX]; /* sizes may be POOL_VARIABLE: data is struct pool_bytes[] */
	uint64_t result_size;	    /* always fixed */
	void *expected;		    /* tasks x result_size once work_expect() has run, else NULL */
	void *state;		    /* the workload's own */
};

struct workload {
	const char *name;
	const char *summary; /* one line for `poolbench list` */
	const char *unit;    /* what `work` counts: "steps", "rows", ...; NULL: not adjustable */
	const struct pool_task *task;
	uint64_t tasks_default; /* 0: as many as open finds (the files of the tree) */
	int64_t work_default;
	uint64_t payload_default; /* bytes in or out per task; 0: not adjustable */
	/* Prepares w's columns, result_size and state; tasks, work, payload_bytes are already resolved. 0, or -errno with
	 * a clear reason in `why` (what was wrong, what is accepted). Column data are malloc'd; work_close frees them, also
	 * when open fails half way. */
	int (*open)(struct work *w, const struct work_options *options, char *why, size_t why_size);
	/* Items begin..end-1 in this process by a plain loop over the kernel, no pool in sight. results[0] is item begin's.
	 * 0 or -errno, the first error. */
	int (*serial)(const struct work *w, uint64_t begin, uint64_t end, void *results);
	/* All results as `serial` gives them, without the waiting that it does; NULL: there is none. */
	int (*expect)(const struct work *w, void *results);
	void (*close)(struct work *w); /* frees state, which may be NULL; NULL: there is none */
};

/* The i-th workload, NULL past the end; by name, NULL if unknown. */
const struct workload *workload_at(unsigned i);
const struct workload *workload_find(const char *name);

/* 0, or -errno with one clear line in `why` and nothing left behind. */
int work_open(struct work *w, const struct workload *load, const struct work_options *options,
	      char *why, size_t why_size);
void work_close(struct work *w);

/* Computes w->expected by the serial loop (without its waiting), once. 0 or -errno. */
int work_expect(struct work *w);

/* Whether all `tasks` results are bit for bit those of the serial loop (work_expect must have run); otherwise
 * *bad is the first index that is not. */
bool work_verify(const struct work *w, const void *results, uint64_t *bad);

#endif
