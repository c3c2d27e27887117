/*
 * test_hostile.c - tasks that write where only the pool may: into its pipes, into shared memory.
 *
 * What holds whatever they do: the program goes on, nobody waits, no item gets another's result, and
 * what the worker was not at is none of its business. The worker that did it is replaced, its item is
 * POOL_DECODE_ERROR where the pool saw what happened.
 */
#include "pools/arena.h"
#include "pools/frame.h"
#include "pools/tests/suite.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ITEMS = 12, CULPRIT = 5, FLOODING = 60, MARKS = 100, DESCRIPTORS = 256 };

enum deed {
	PIPE_NOISE,
	PIPE_LONG_HEADER,  /* a header for this item that announces more than ever comes */
	PIPE_FALSE_RESULT, /* a whole reply for this item */
	PIPE_FALSE_FAULT,
	PIPE_ELSEWHERE, /* replies go to /dev/null */
	PIPE_FLOOD,	/* a process that the task leaves behind writes without end */
	BOX_NOISE,
	BOX_NOISE_AND_DEATH,
	BOX_BUSY,   /* says that the parent is at it */
	BOX_FILLED, /* says that there is more in it than fits */
	DEEDS
};

struct order {
	int32_t deed; /* done by the culprit only */
};

/* ---- what they do ---- */

static bool is_pipe_to_write(int fd)
{
	struct stat about;
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && (flags & O_ACCMODE) == O_WRONLY && fstat(fd, &about) == 0 &&
	       S_ISFIFO(about.st_mode);
}

/* The last pipe that the pool gave this worker: the test's own are marked. */
static int reply_pipe(void)
{
	int last = -1;
	for (int fd = 3; fd < DESCRIPTORS; fd++)
		if (!shared_get(MARKS + (unsigned)fd) && is_pipe_to_write(fd))
			last = fd;
	return last;
}

static void mark_own_pipes(void)
{
	for (int fd = 3; fd < DESCRIPTORS; fd++)
		shared_set(MARKS + (unsigned)fd, is_pipe_to_write(fd));
}

static void fill_with_noise(void *to, size_t size)
{
	for (size_t i = 0; i < size; i++)
		((unsigned char *)to)[i] = (unsigned char)(i * 37 + 11);
}

static void write_header(struct pool_call *call, uint32_t magic, uint64_t bytes)
{
	const char payload[16] = "not a result";
	struct pool_board *board = suite_find_memory("pool-board");
	const struct frame_reply reply = {
		.magic = magic,
		.flight = board ? outbox_of(board, pool_worker(call))->piece.flight : 0,
		.status = POOL_TASK_ERROR,
		.at = pool_index(call),
		.count = 1,
		.bytes = bytes
	};
	ssize_t written = write(reply_pipe(), &reply, sizeof reply);
	if (bytes <= sizeof payload)
		written = write(reply_pipe(), payload, sizeof payload);
	(void)written;
}

static void flood(void)
{
	static char noise[65536];
	const int fd = reply_pipe();
	shared_set(FLOODING, 0);
	if (fork() == 0)
		while (write(fd, noise, sizeof noise) > 0) /* SIGPIPE ends it: the pool closes */
			shared_set(FLOODING, 1);
	shared_reaches(FLOODING, 1);
}

static void write_pipe(struct pool_call *call, const struct order *order)
{
	char noise[5000];
	ssize_t written = 0;
	fill_with_noise(noise, sizeof noise);
	if (order->deed == PIPE_NOISE)
		written = write(reply_pipe(), noise, sizeof noise);
	else if (order->deed == PIPE_LONG_HEADER)
		write_header(call, FRAME_RESULT, 1 << 20);
	else if (order->deed == PIPE_FALSE_RESULT)
		write_header(call, FRAME_RESULT, 16);
	else if (order->deed == PIPE_FALSE_FAULT)
		write_header(call, FRAME_FAULT, 16);
	else if (order->deed == PIPE_ELSEWHERE)
		dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), reply_pipe());
	else
		flood();
	(void)written;
}

static void write_box(struct pool_call *call, enum deed deed)
{
	struct pool_board *board = suite_find_memory("pool-board");
	struct outbox *box = board ? outbox_of(board, pool_worker(call)) : NULL;
	if (!box)
		return;
	if (deed == BOX_BUSY)
		box->busy = OUTBOX_PARENT;
	else if (deed == BOX_FILLED)
		box->filled += 1 << 20;
	else
		fill_with_noise(box, sizeof *box);
	if (deed == BOX_NOISE_AND_DEATH)
		raise(SIGKILL);
}

static int misbehave(struct pool_call *call)
{
	const struct order *order = pool_arg(call, 0);
	shared_add((unsigned)pool_index(call), 1);
	if (pool_index(call) == CULPRIT && order->deed < BOX_NOISE)
		write_pipe(call, order);
	else if (pool_index(call) == CULPRIT)
		write_box(call, (enum deed)order->deed);
	/* Nothing is dealt behind an item of 10 ms; and whoever is slow to see what is false sees the true answer with it. */
	const bool waits = pool_index(call) == CULPRIT && order->deed <= PIPE_FALSE_FAULT;
	suite_sleep_ns(waits ? WAIT : 10 * MS);
	return pool_return(call, &(int64_t){ (int64_t)pool_index(call) }, 8);
}
POOL_TASK(misbehave)

/* ---- what comes of it ---- */

static void expect_culprit(int status, enum deed deed)
{
	CHECK(status != -ECANCELED && status != -ETIMEDOUT);
	if (deed <= PIPE_FLOOD)
		CHECK_EQ(status, POOL_DECODE_ERROR);
	CHECK(status == POOL_DECODE_ERROR || status == POOL_WORKER_LOST);
}

/* The other worker may have done everything before the replacement came. */
static uint64_t restarts_in_the_end(struct pool *pool)
{
	const int64_t until_ns = suite_now_ns() + WAIT;
	struct pool_stats stats;
	do {
		suite_sleep_ns(MS);
		for (int i = 0; i < pool_workers(pool); i++)
			pool_worker_pid(pool, i); /* looks whether it has ended */
		CHECK_EQ(pool_stats(pool, &stats), 0);
	} while (stats.restarts == 0 && suite_now_ns() < until_ns);
	return stats.restarts;
}

static void run_deed(const struct pool_backend_info *row, enum deed deed, int workers)
{
	struct order orders[ITEMS];
	struct pool_bytes out[ITEMS];
	int32_t statuses[ITEMS];
	struct pool_policy policy = { .chunk = 1, .timeout_ns = WAIT, .statuses = statuses };
	mark_own_pipes();
	for (unsigned i = 0; i < ITEMS; i++) {
		orders[i] = (struct order){ .deed = (int32_t)deed };
		shared_set(i, 0);
	}
	struct pool *pool = suite_open(row, workers);
	int rc = pool_map(pool, POOL(misbehave), orders, sizeof *orders, ITEMS, out, POOL_VARIABLE,
			  &policy);
	CHECK_EQ(rc, statuses[CULPRIT]);
	expect_culprit(statuses[CULPRIT], deed);
	for (int64_t i = 0; i < ITEMS; i++) {
		CHECK_EQ(shared_get((unsigned)i), 1);
		if (i == CULPRIT)
			continue;
		CHECK_EQ(statuses[i], 0);
		CHECK(out[i].size == 8 && memcmp(out[i].data, &i, 8) == 0);
	}
	pool_bytes_free(out, ITEMS);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ .value = i, .word = 50 }), 0);
	if (row->can & POOL_CAN_REUSE)
		CHECK_EQ(restarts_in_the_end(pool), 1);
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK(stats.restarts <= 1);
	suite_finish(pool);
	while (waitpid(-1, NULL, 0) >
	       0) /* what the task left behind; this process is a subreaper */
		;
}

static bool has_pipes(const struct pool_backend_info *row)
{
	return strcmp(row->transport, "pipe") == 0;
}

static void noise_in_the_pipe_is_one_failed_item(const struct pool_backend_info *row)
{
	for (int workers = 1; has_pipes(row) && workers <= 2; workers++)
		run_deed(row, PIPE_NOISE, workers);
}

/* Was waited for until a time limit. */
static void header_without_its_bytes_is_one_failed_item(const struct pool_backend_info *row)
{
	for (int workers = 1; has_pipes(row) && workers <= 2; workers++)
		run_deed(row, PIPE_LONG_HEADER, workers);
}

static void false_replies_are_one_failed_item(const struct pool_backend_info *row)
{
	for (int workers = 1; has_pipes(row) && workers <= 2; workers++) {
		run_deed(row, PIPE_FALSE_RESULT, workers);
		run_deed(row, PIPE_FALSE_FAULT, workers);
	}
}

/* Was waited for without end. */
static void replies_sent_elsewhere_are_one_failed_item(const struct pool_backend_info *row)
{
	for (int workers = 1; has_pipes(row) && workers <= 2; workers++)
		run_deed(row, PIPE_ELSEWHERE, workers);
}

/* Kept the parent reading for ever. */
static void flood_in_the_pipe_is_one_failed_item(const struct pool_backend_info *row)
{
	for (int workers = 1; has_pipes(row) && workers <= 2; workers++)
		run_deed(row, PIPE_FLOOD, workers);
}

static void scribbled_outbox_is_one_failed_item(const struct pool_backend_info *row)
{
	for (int deed = BOX_NOISE; has_pipes(row) && deed < DEEDS; deed++)
		run_deed(row, (enum deed)deed, 1 + deed % 2);
}

/* Noise before the worker counts as running: four times, then a good start. */
static int start_noisily(struct pool_call *call)
{
	char noise[100];
	(void)call;
	fill_with_noise(noise, sizeof noise);
	if (shared_add(0, 1) <= 4 && write(reply_pipe(), noise, sizeof noise) < 0)
		return errno;
	suite_sleep_ns(5 * MS);
	return 0;
}
POOL_TASK(start_noisily)

/* Such a worker was not killed and answered nothing. */
static void noise_from_an_initializer_is_a_lost_worker(const struct pool_backend_info *row)
{
	if (!has_pipes(row))
		return;
	mark_own_pipes();
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2,
							    .initializer = POOL(start_noisily) });
	char in[20] = { 0 };
	int32_t statuses[20];
	struct pool_policy policy = { .chunk = 1, .timeout_ns = WAIT, .statuses = statuses };
	int rc = pool_map(pool, suite_pid, in, 1, 20, NULL, 0, &policy), again = 0;
	for (int i = 0; i < 20; i++)
		CHECK(statuses[i] == 0 || (statuses[i] == POOL_DECODE_ERROR && rc == statuses[i]));
	for (rc = POOL_DECODE_ERROR; rc == POOL_DECODE_ERROR && again <= 4; again++)
		rc = suite_do(pool, (struct errand){ .value = 3, .word = 50 });
	CHECK_EQ(rc, 0);
	suite_finish(pool);
}

enum { AT_REST = 1, WORKER };

/* The last of the first four leaves somebody behind who stops the worker when it has answered them, and makes its open
 * piece what it was just before. */
static int answer_and_stop(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);
	struct pool_board *board = suite_find_memory("pool-board");
	*(int64_t *)pool_result(call) = *x * *x;
	if (pool_index(call) != 3 || !board)
		return 0;
	struct outbox *box = outbox_of(board, pool_worker(call));
	const pid_t worker = getpid();
	shared_set(WORKER, worker);
	if (fork())
		return 0;
	const volatile struct outbox *seen = box;
	while (seen->piece.open || seen->busy != OUTBOX_FREE || seen->taken != seen->filled)
		suite_sleep_ns(MS);
	suite_sleep_ns(10 * MS);
	kill(worker, SIGSTOP);
	box->piece.open = 1;
	shared_set(AT_REST, 1);
	_exit(0);
}
POOL_TASK(answer_and_stop)

/* The next flight has the same places. Its items were taken for done, with the results of the former ones. */
static void death_between_two_flights_costs_nothing(const struct pool_backend_info *row)
{
	const int64_t x[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	if (!has_pipes(row)) /* the others have no such record */
		return;
	struct pool *pool = suite_open(row, 1);
	struct pool_iter *iter;
	int64_t y = 0;
	CHECK_EQ(pool_imap(pool, POOL(answer_and_stop), pool_array(x, 8, 8), 8,
			   &(struct pool_policy){ .chunk = 4, .window = 4 }, &iter),
		 0);
	CHECK(shared_reaches(AT_REST, 1));
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
		CHECK_EQ(y, x[i] * x[i]);
	}
	CHECK_EQ(pool_iter_next(iter, &y, 50 * MS), -ETIMEDOUT);
	CHECK_EQ(kill((pid_t)shared_get(WORKER), SIGKILL), 0);
	for (int i = 4; i < 8; i++) {
		CHECK_EQ(pool_iter_next(iter, &y, WAIT), 0);
		CHECK_EQ(y, x[i] * x[i]);
	}
	pool_iter_release(iter);
	suite_finish(pool);
	while (waitpid(-1, NULL, 0) > 0) /* what the task left behind */
		;
}

/* ---- shared-memory rows ---- */

/* Item 0 leaves the arena with nothing to give; all fail. */
static int fail_without_memory(struct pool_call *call)
{
	enum { STACKS_AT = 64, STACKS = ARENA_CLASSES };
	unsigned char *arena = suite_find_memory("pool-arena");
	if (pool_index(call) == 0 && arena) {
		*(uint64_t *)(void *)arena =
			UINT64_MAX; /* where what was never handed out begins */
		memset(arena + STACKS_AT, 0, STACKS * sizeof(uint64_t));
	}
	return pool_fail(call, 7, "item %d fails", (int)pool_index(call));
}
POOL_TASK(fail_without_memory)

/* A worker that had no memory to tell of a failure waited for some, for ever. */
static void failures_without_memory_are_told(const struct pool_backend_info *row)
{
	char in[30] = { 0 };
	int32_t statuses[30];
	struct pool_failure failure = { 0 };
	struct pool_policy policy = {
		.chunk = 10, .timeout_ns = WAIT, .statuses = statuses, .failure = &failure
	};
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_map(pool, POOL(fail_without_memory), in, 1, 30, NULL, 0, &policy),
		 POOL_TASK_ERROR);
	CHECK(failure.index == 0 && failure.code == 7 && failure.message);
	pool_failure_clear(&failure);
	for (int i = 0; i < 30; i++)
		CHECK_EQ(statuses[i], POOL_TASK_ERROR);
	suite_finish(pool);
}

/* Item 3 writes noise over the descriptions of work, and dies. */
static int scribble_arena(struct pool_call *call)
{
	unsigned char *arena = suite_find_memory("pool-arena");
	const int64_t stride = *(const int64_t *)pool_arg(call, 0);
	if (pool_index(call) != 3 || !arena)
		return 0;
	for (int64_t i = 128; i < 65536; i += stride)
		arena[i] = (unsigned char)(i * 37 + 11);
	raise(SIGKILL);
	return 0;
}
POOL_TASK(scribble_arena)

static _Noreturn void be_scribbled_at(const struct pool_backend_info *row, int64_t stride)
{
	int64_t in[30];
	struct pool_async *async = NULL;
	for (int i = 0; i < 30; i++)
		in[i] = stride;
	struct pool *pool = suite_open(row, 2);
	CHECK_EQ(pool_map_async(pool, POOL(scribble_arena), in, 8, 30, 0,
				&(struct pool_policy){ .chunk = 2 }, &async),
		 0);
	pool_async_wait(async, 100 * MS);
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK(pool_async_ready(async));
	_exit(0);
}

/* Nothing is promised of the call, which may not end by itself, but that the program goes on and terminate ends it. */
static void scribbled_arena_does_not_crash_the_program(const struct pool_backend_info *row)
{
	for (int64_t stride = 1; stride < 40; stride += 3) {
		int status = -1;
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0)
			be_scribbled_at(row, stride);
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK_EQ(status, 0);
		while (waitpid(-1, NULL, 0) > 0) /* its workers: this process is a subreaper */
			;
	}
}

static const struct suite_case cases[] = {
	CASE(noise_in_the_pipe_is_one_failed_item, FAULTS),
	CASE(header_without_its_bytes_is_one_failed_item, FAULTS),
	CASE(false_replies_are_one_failed_item, FAULTS),
	CASE(replies_sent_elsewhere_are_one_failed_item, FAULTS),
	CASE(flood_in_the_pipe_is_one_failed_item, FAULTS),
	CASE(scribbled_outbox_is_one_failed_item, FAULTS),
	CASE(death_between_two_flights_costs_nothing, FAULTS | POOL_CAN_REUSE),
	CASE(noise_from_an_initializer_is_a_lost_worker, FAULTS),
	CASE(failures_without_memory_are_told, 0),
	CASE(scribbled_arena_does_not_crash_the_program, FAULTS),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
