/*
 * selftest_blocks.c - the table of what a self-test measures.
 *
 * DESIGN. Faults that show in counts or results come first: they take a moment, and a suite that misses them need not go on. The
 * cells of comparisons have many short batches, whose median a moment of disturbance does not move, and one worker where
 * the question is not about several, so that the machine has a CPU left for everything else; a cell takes a tenth of a second, so
 * that the arms of a round follow each other before the machine changes its pace. All slowdowns of spin are arms of the
 * same rounds, against one baseline. A hundred comparisons of equals, no more: their rejections at 5 % (4.2 % with 12 rounds, as
 * signed ranks are discrete) then have an interval that leaves out 5 % by bad luck once in 60 self-tests.
 */
#include "harness/selftest_blocks.h"
#include "harness/clock.h"

#include <string.h>

#define MS NS_PER_MS
/* One round more for so many; should they not do, there are fewer tries. */
#define SPARE_EACH 8
#define SHORT_BATCHES .batch_ns = MS, .batches = 61

/* NOLINTBEGIN(bugprone-macro-parentheses): text in parentheses does not initialise an array */
static const struct cell result_cells[] = {
#define RESULT_CELL(row)                                                                           \
	{                                                                                          \
		.experiment = "results", .backend = row, .variant = "map", .workload = "spin",     \
		.tasks = 200, .work = 100, .workers = 2, .batch_ns = 2 * MS, .batches = 2          \
	}
	RESULT_CELL("serial"),	   RESULT_CELL("fork-pipe"), RESULT_CELL("fork-shm"),
	RESULT_CELL("vfork-pipe"), RESULT_CELL("vfork-shm"), RESULT_CELL("thread-shm"),
	RESULT_CELL("fork-each"),
};

/* Reads and writes; of the serial row calls of all kinds, where the kernel lets them be counted: who waits for others yields a
 * CPU now and then, more or less often. */
static const struct cell counted_cells[] = {
	{ .experiment = "calls",
	  .backend = "fork-shm",
	  .variant = "map",
	  .workload = "spin",
	  .tasks = 2000,
	  .work = 100,
	  .workers = 1,
	  SHORT_BATCHES },
	{ .experiment = "calls",
	  .backend = "serial",
	  .variant = "map",
	  .workload = "spin",
	  .tasks = 2000,
	  .work = 100,
	  .workers = 1,
	  SHORT_BATCHES,
	  .probe = "syscalls" },
};

/* Payloads that no cache of one processor holds: a copy of a smaller one only fetches what the task would have fetched. */
static const struct cell copy_cells[] = {
	{ .experiment = "copy",
	  .backend = "fork-shm",
	  .variant = "map",
	  .workload = "stream",
	  .tasks = 16,
	  .payload_bytes = 1 << 20,
	  .workers = 1,
	  SHORT_BATCHES },
};

/* A task at a time, dealt to whoever is free: a worker that stalls leaves more to the other. */
static const struct cell stall_cells[] = {
	{ .experiment = "stall",
	  .backend = "fork-shm",
	  .variant = "map",
	  .workload = "spin",
	  .tasks = 400,
	  .chunk = 1,
	  .work = 2000,
	  .workers = 2,
	  .batch_ns = 4 * MS,
	  .batches = 25 },
};

/* 2000 calls and more, for ten beyond the quantile. */
static const struct cell tail_cells[] = {
	{ .experiment = "tail",
	  .backend = "fork-shm",
	  .variant = "apply",
	  .workload = "spin",
	  .tasks = 1,
	  .chunk = 1,
	  .work = 100,
	  .workers = 1,
	  .batch_ns = 25 * MS,
	  .batches = 6,
	  .probe = "latency" },
};

static const struct cell power_cells[] = {
	{ .experiment = "power",
	  .backend = "fork-shm",
	  .variant = "map",
	  .workload = "spin",
	  .tasks = 50,
	  .work = 2000,
	  .workers = 1,
	  .batch_ns = 2 * MS,
	  .batches = 61 },
};

/* Of each kind of work, transport, start and call. */
static const struct cell same_cells[] = {
#define SAME_CELL(row, call, load)                                                                 \
	.experiment = "same", .backend = row, .variant = call, .workload = load
	{ SAME_CELL("loop", "map", "spin"), .tasks = 500, .work = 1000, .workers = 1,
	  SHORT_BATCHES },
	{ SAME_CELL("fork-shm", "map", "spin"), .tasks = 50, .work = 2000, .workers = 1,
	  SHORT_BATCHES },
	{ SAME_CELL("fork-shm", "map", "spin"), .tasks = 200, .work = 1000, .workers = 2,
	  SHORT_BATCHES },
	{ SAME_CELL("fork-shm", "starmap", "add"), .tasks = 5000, .workers = 2, SHORT_BATCHES },
	{ SAME_CELL("fork-shm", "imap", "square"), .tasks = 1000, .workers = 2, SHORT_BATCHES },
	{ SAME_CELL("fork-shm", "map", "stream"), .tasks = 16, .payload_bytes = 65536, .workers = 1,
	  SHORT_BATCHES },
	{ SAME_CELL("fork-pipe", "map", "noop"), .tasks = 1000, .chunk = 10, .workers = 2,
	  SHORT_BATCHES },
	{ SAME_CELL("fork-pipe", "apply", "noop"), .tasks = 50, .workers = 1, SHORT_BATCHES },
	{ SAME_CELL("vfork-pipe", "imap_unordered", "spin"), .tasks = 200, .work = 1000,
	  .workers = 2, SHORT_BATCHES },
	{ SAME_CELL("thread-shm", "map", "noop"), .tasks = 2000, .chunk = 10, .workers = 2,
	  SHORT_BATCHES },
};
/* NOLINTEND(bugprone-macro-parentheses) */

static int judge_results(const struct question *q, struct check *check)
{
	bool drop = strcmp(q->candidate, "drop") == 0;

	return selftest_refused(q, drop ? "is not that of the serial loop" : "tasks where", check);
}

static int judge_found(const struct question *q, struct check *check)
{
	return selftest_slower(q, true, check);
}

/* Below 5 % only the sign is asked for: what is less than 2 % is no REGRESSION by the rules. */
static int judge_steps(const struct question *q, struct check *check)
{
	int percent = 0;

	sscanf(q->candidate, "steps:%d", &percent);
	return selftest_slower(q, percent >= 5, check);
}

#define CELLS(array) array, sizeof(array) / sizeof *(array)

static const struct block blocks[] = {
	{ "results",
	  "a task left out, and one run twice",
	  { "none", "drop", "twice" },
	  CELLS(result_cells),
	  .tries_short = 1,
	  .tries_full = 1, /* what failed is not tried again */
	  .try_rounds = 1,
	  .exact = true,
	  .judge = judge_results },
	{ "calls",
	  "a system call more",
	  { "none", "syscall" },
	  CELLS(counted_cells),
	  .tries_short = 1,
	  .tries_full = 2,
	  .try_rounds = 12,
	  .exact = true,
	  .judge = selftest_counted },
	{ "copy",
	  "a copy more",
	  { "none", "copy" },
	  CELLS(copy_cells),
	  .tries_short = 1,
	  .tries_full = 5,
	  .try_rounds = 60, /* one is off by 20 %, a copy more takes 10 to 17 % */
	  .judge = judge_found },
	{ "stall",
	  "a worker that stalls",
	  { "none", "stall" },
	  CELLS(stall_cells),
	  .tries_short = 1,
	  .tries_full = 5,
	  .try_rounds = 12,
	  .judge = judge_found },
	{ "tail",
	  "a worker that stalls, by single calls",
	  { "none", "stall" },
	  CELLS(tail_cells),
	  .tries_short = 1,
	  .tries_full = 5,
	  .try_rounds = 12,
	  .judge = selftest_tail },
	{ "same",
	  "a program and its copy",
	  { "this", "its copy" },
	  CELLS(same_cells),
	  .same = true,
	  .tries_short = 2,
	  .tries_full = 10,
	  .try_rounds = 12,
	  .judge = selftest_same },
	{ "power",
	  "more steps",
	  { "none", "steps:1", "steps:2", "steps:3", "steps:5", "steps:10" },
	  CELLS(power_cells),
	  .tries_short = 4,
	  .tries_full = SELFTEST_POWER_TRIES,
	  .try_rounds = SELFTEST_POWER_ROUNDS,
	  .judge = judge_steps },
};

const struct block *selftest_block(size_t i)
{
	return i < sizeof blocks / sizeof *blocks ? &blocks[i] : NULL;
}

size_t selftest_block_arms(const struct block *block)
{
	size_t count = 0;

	while (count < SELFTEST_ARMS_MAX && block->arms[count] != NULL)
		count++;
	return count;
}

int selftest_block_tries(const struct block *block, bool is_short)
{
	return is_short ? block->tries_short : block->tries_full;
}

int selftest_block_rounds(const struct block *block, bool is_short)
{
	int needed = selftest_block_tries(block, is_short) * block->try_rounds;

	return needed + (block->exact ? 0 : (needed + SPARE_EACH - 1) / SPARE_EACH);
}
