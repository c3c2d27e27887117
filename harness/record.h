/*
 * record.h - the flat record of one measured invocation: a cell, its round, its samples, its counts.
 *
 * DESIGN. One record type for everything. A record is appended to rows.jsonl the moment it exists, by one write() of one
 * line, so whatever happens later keeps it; tables, plots, reports and exports are derived from rows alone. All
 * samples are kept. JSON by jansson, always strict: no NaN, decimal points whatever the locale. The field names in the
 * file are the member names here; results/README.md lists them with units.
 */
#ifndef HARNESS_RECORD_H
#define HARNESS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SCHEMA 2 /* of rows.jsonl and run.json; other versions are refused */
#define NAME_SIZE 32
#define SAMPLES_MAX 64
#define ROUNDS_END 2048 /* rounds are below it */

/* What is run. `backend` is a row of the pool table, or a baseline without a pool: "loop" (the plain serial loop) or
 * "forked" (the same kernel by `workers` plain forked processes, each a fixed share, started outside the timed part).
 * `variant` is one of the eight calls, or "open" (time of pool open + close with a parent of parent_bytes). */
struct cell {
	char experiment[NAME_SIZE]; /* "" outside a run */
	char backend[NAME_SIZE], variant[NAME_SIZE], workload[NAME_SIZE];
	uint64_t tasks;
	int64_t chunk; /* items a claim; 0: auto */
	int workers;
	int64_t work; /* size of one task in the workload's unit; 0: its default */
	uint64_t payload_bytes;
	int64_t window;
	uint64_t parent_bytes; /* resident memory the parent touches before it opens the pool */
	bool pool_memory;      /* inputs and results lie in memory of pool_alloc() */
	int64_t batch_ns;      /* a batch repeats the call until it lasts this long */
	int batches;	       /* timed batches; one more goes first and is discarded */
	/* What else is looked at, into the row's profile or memory; costs time (but "memory"), so such a cell's times are
	 * not compared with others'. "": nothing; "syscalls", "latency", "delivery", "memory": see probe.h. */
	char probe[NAME_SIZE];
};

struct record {
	struct cell cell;
	int round;			 /* 0 .. ROUNDS_END - 1 */
	int order;			 /* position in the run, 0.. */
	int64_t start_ms;		 /* wall clock, ms since 1970 */
	bool verified;			 /* every result of every call was checked and right */
	int samples;			 /* batches kept */
	double ns_per_task[SAMPLES_MAX]; /* one a batch (variant "open": ns per worker) */
	uint64_t calls;			 /* pool calls timed in all batches */
	double serial_ns_per_task; /* the plain loop, same input, same process, before the batches; 0: not run */
	/* From the start of a call to its first result, mean over the calls; 0: not known ("open"). For
	 * map and starmap that is the whole call. */
	double first_result_ns;
	/* Counts over the timed part, parent and workers; a worker's split of user and system time has
	 * the grain of the kernel's tick, everything else is exact. */
	int64_t user_ns, system_ns, voluntary_switches, involuntary_switches, minor_faults;
	int64_t io_calls, io_bytes; /* read and write calls, and what they moved */
	int64_t system_calls; /* of all kinds, where the probe is "syscalls"; -1: not counted */
	int64_t starts;	      /* workers started */
	int64_t claims; /* chunks that workers took; 0: no pool. Younger than schema 2: may be missing in a row, then 0 */
	int64_t max_rss_kib; /* the parent's highest resident memory after preparation */
	/* Proportional set size of parent and workers, where the probe is "memory": with the pool as it was
	 * opened, and at most in a batch after the timed ones. */
	int64_t pss_idle_kib, pss_peak_kib;
	double clock_ns; /* cost of one reading of the clock */
	/* What disturbed it, over all timed batches with the checking between them, which took window_ns. */
	int64_t steal_ns;     /* time the hypervisor took from all CPUs */
	int64_t foreign_ns;   /* processor time of processes that are not ours; grain of a tick */
	int64_t run_delay_ns; /* parent and workers were ready to run and had no CPU */
	int64_t pressure_ns; /* some process of the machine was in that state (PSI); 0 where not known */
	int64_t window_ns; /* younger than schema 2: may be missing in a row, then 0 */
	char arm[NAME_SIZE]; /* which of the programs of a paired session; "" where there is one only */
	int profile;	     /* how many values; what they are is told by the probe */
	double profile_ns[SAMPLES_MAX];
	char error[256]; /* "" or why the cell failed; then samples may be 0 */
};

struct rows {
	struct record *at;
	size_t count, room;
};

/* One line of JSON with newline, malloc'd; NULL: no memory. */
char *record_format(const struct record *record);
/* Parses one line; 0, or -EINVAL with one line in `why`: an unknown schema, a missing or ill-typed field. */
int record_parse(struct record *record, const char *line, char *why, size_t why_size);

/* All rows of RUN/rows.jsonl. A broken line, and a second one of the same cell, round and
 * arm, is refused with its number; a last line without newline (an interrupted
 * write) is left out and reported by *truncated. 0 or -errno with `why`. rows_free in any case. */
int rows_load(struct rows *rows, const char *run, bool *truncated, char *why, size_t why_size);
int rows_add(struct rows *rows, const struct record *record);
void rows_free(struct rows *rows);
bool rows_have_arm(const struct rows *rows, const char *arm);
int rows_last_round(const struct rows *rows); /* -1: there are no rows */

/* Why it does not count ("not verified" where the result was wrong without a word); NULL: it counts. */
const char *record_error(const struct record *record);
double record_median(const struct record *record); /* ns per task; 0 when there are no samples */
/* Same question (how long it was measured, batch_ns and batches, aside)? */
bool cell_equal(const struct cell *a, const struct cell *b);
/* "shm map square n=10000 c=1 w=2": one readable, unique line. */
void cell_label(const struct cell *cell, char *label, size_t size);

#endif
