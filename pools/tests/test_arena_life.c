/* test_arena_life.c - a pool's shared memory over its life: what was given back can be had again, in other sizes, and
 * whoever dies takes nothing with it. The comment above a case says what went wrong. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)
enum { HEAD = 64, BLOCKS_MOST = 4096, ARENA_MIB = 64 };

/* A pool whose shared memory has addresses for 64 MiB; NULL: this row's pools have none. */
static struct pool *open_small(const struct pool_backend_info *row, int workers)
{
	struct rlimit before, limit;
	CHECK_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
	limit = (struct rlimit){ .rlim_cur = ARENA_MIB * MIB, .rlim_max = before.rlim_max };
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
	struct pool *pool = suite_open(row, workers);
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
	if (suite_arena_bytes())
		return pool;
	suite_finish(pool);
	return NULL;
}

/* == Sizes == */

/* As many blocks of this size, their heads included, as go into `bytes`; all are there at once and of their own, then freed. */
static void alloc_and_free(struct pool *pool, uint64_t size, uint64_t bytes)
{
	static unsigned char *block[BLOCKS_MOST];
	const size_t n = bytes / size;
	CHECK(n <= BLOCKS_MOST);
	for (size_t i = 0; i < n; i++) {
		block[i] = pool_alloc(pool, size - HEAD);
		CHECK(block[i] != NULL);
		for (uint64_t at = 0; at < size - HEAD; at += 997) /* zero, says pool.h */
			CHECK_EQ(block[i][at], 0);
		memset(block[i], (int)(i % 255) + 1, size - HEAD);
	}
	for (size_t i = 0; i < n; i++)
		for (uint64_t at = 0; at < size - HEAD; at += 997)
			CHECK_EQ(block[i][at], i % 255 + 1);
	for (size_t i = 0; i < n; i++)
		pool_free(pool, block[i]);
}

static void expect_map(struct pool *pool)
{
	char in[1000] = { 0 };
	CHECK_EQ(pool_map(pool, suite_pid, in, 1, sizeof in, NULL, 0, NULL), 0);
}

/* A freed block kept its size for ever: when the arena had no addresses left, each size that had not been used enough
 * before was refused, though all had been given back. */
static void all_given_back_can_be_had_in_other_sizes(const struct pool_backend_info *row)
{
	struct pool *pool = open_small(row, 1);
	if (!pool)
		return;
	for (int round = 0; round < 2; round++) {
		for (unsigned class = 23; class >= 14; class --)
			alloc_and_free(pool, UINT64_C(1) << class, 40 * MIB);
		for (unsigned class = 14; class <= 24; class ++)
			alloc_and_free(pool, UINT64_C(1) << class, 40 * MIB);
		expect_map(pool);
	}
	suite_finish(pool);
}

/* The same with blocks in between that stay in use. */
static void blocks_in_use_do_not_keep_others_from_other_sizes(const struct pool_backend_info *row)
{
	struct pool *pool = open_small(row, 1);
	if (!pool)
		return;
	unsigned char *kept[10];
	for (unsigned k = 0; k < COUNT(kept); k++) {
		alloc_and_free(pool, UINT64_C(1) << (23 - k), 24 * MIB);
		kept[k] = pool_alloc(pool, 1000 + k * 10000);
		CHECK(kept[k] != NULL);
		memset(kept[k], 0xa0 + (int)k, 1000 + k * 10000);
	}
	for (unsigned class = 23; class >= 13; class --)
		alloc_and_free(pool, UINT64_C(1) << class, 24 * MIB);
	expect_map(pool);
	for (unsigned k = 0; k < COUNT(kept); k++) {
		for (unsigned i = 0; i < 1000 + k * 10000; i++)
			CHECK_EQ(kept[k][i], 0xa0 + k);
		pool_free(pool, kept[k]);
	}
	alloc_and_free(pool, 32 * MIB, 32 * MIB);
	suite_finish(pool);
}

static int return_large(struct pool_call *call)
{
	unsigned char *room = pool_result_alloc(call, 3 * MIB);
	if (!room)
		return pool_fail(call, 1, "no memory");
	memset(room, 7, 3 * MIB);
	return 0;
}
POOL_TASK(return_large)

/* Likewise for results, which workers allocate: for good. They cannot join blocks, the program's next call does. */
static void result_that_had_no_room_has_it_the_next_time(const struct pool_backend_info *row)
{
	struct pool *pool = open_small(row, 1);
	if (!pool)
		return;
	char in = 0;
	struct pool_bytes out = { 0 };
	alloc_and_free(pool, MIB / 2, 60 * MIB);
	if (pool_map(pool, POOL(return_large), &in, 1, 1, &out, POOL_VARIABLE, NULL) == 0)
		pool_bytes_free(&out, 1);
	CHECK_EQ(pool_map(pool, POOL(return_large), &in, 1, 1, &out, POOL_VARIABLE, NULL), 0);
	CHECK_EQ(out.size, 3 * MIB);
	CHECK_EQ(((const unsigned char *)out.data)[3 * MIB - 1], 7);
	pool_bytes_free(&out, 1);
	suite_finish(pool);
}

/* Freed blocks below 64 MiB kept their pages for ever, each size those of its own peak: 480 MiB here. */
static void sizes_share_their_pages(const struct pool_backend_info *row)
{
	const uint64_t peak = 96 * MIB, most = 2 * peak + 68 * MIB; /* see arena_tidy.c */
	struct pool *pool = suite_open(row, 1);
	for (unsigned class = 25; suite_arena_bytes() && class >= 21; class --) {
		void *block[BLOCKS_MOST];
		const uint64_t size = UINT64_C(1) << class, n = peak / size;
		for (uint64_t i = 0; i < n; i++)
			CHECK((block[i] = pool_alloc(pool, size - HEAD)) != NULL);
		for (uint64_t i = 0; i < n; i++)
			pool_free(pool, block[i]);
		CHECK(suite_arena_bytes() <= (int64_t)most);
	}
	suite_finish(pool);
}

/* == All at once == */

enum { USERS = 3, HELD = 40, ROUNDS = 3000 };

struct user {
	struct pool *pool;
	unsigned seed;
	unsigned refused;
};

/* Blocks of any size up to 4 MiB, each filled with a pattern of its own while it is held. */
static void *use(void *argument)
{
	struct user *user = argument;
	struct {
		unsigned char *at;
		uint64_t size;
		unsigned char mark;
	} held[HELD] = { 0 };
	for (unsigned i = 0; i < ROUNDS + HELD; i++) {
		const unsigned k = i % HELD;
		for (uint64_t at = 0; held[k].at && at < held[k].size; at += 61)
			CHECK_EQ(held[k].at[at], held[k].mark);
		pool_free(user->pool, held[k].at);
		held[k].at = NULL;
		if (i >= ROUNDS)
			continue;
		const unsigned class = 6 + (unsigned)rand_r(&user->seed) % 17;
		held[k].size = 1 + (unsigned)rand_r(&user->seed) % (1U << class);
		held[k].mark = (unsigned char)rand_r(&user->seed);
		held[k].at = pool_alloc(user->pool, held[k].size);
		user->refused += !held[k].at;
		if (held[k].at)
			memset(held[k].at, held[k].mark, held[k].size);
	}
	return NULL;
}

static int return_some(struct pool_call *call)
{
	const uint64_t k = pool_index(call), size = 1 + k * 7919 % (UINT64_C(200) << k % 9);
	unsigned char *room = pool_result_alloc(call, size);
	if (!room)
		return pool_fail(call, 1, "no memory");
	memset(room, (int)(k % 251), size);
	return 0;
}
POOL_TASK(return_some)

/* Sound, not mended: several threads allocate and free while others' and workers' allocations make the arena be tidied. */
static void tidying_under_use_gives_no_block_twice(const struct pool_backend_info *row)
{
	enum { N = 300 };
	struct pool *pool = open_small(row, 2);
	if (!pool)
		return;
	struct user user[USERS];
	pthread_t thread[USERS];
	char in[N] = { 0 };
	struct pool_bytes out[N];
	for (unsigned k = 0; k < USERS; k++) {
		user[k] = (struct user){ .pool = pool, .seed = k + 1 };
		CHECK_EQ(pthread_create(&thread[k], NULL, use, &user[k]), 0);
	}
	for (int round = 0; round < suite_some(row, 50); round++) {
		int rc = pool_map(pool, POOL(return_some), in, 1, N, out, POOL_VARIABLE, NULL);
		CHECK(rc == 0 || rc == -ENOMEM || rc == POOL_TASK_ERROR);
		for (uint64_t k = 0; rc == 0 && k < N; k++)
			for (uint64_t i = 0; i < out[k].size; i++)
				CHECK_EQ(((const unsigned char *)out[k].data)[i], k % 251);
		if (rc != -ENOMEM)
			pool_bytes_free(out, N);
	}
	for (unsigned k = 0; k < USERS; k++)
		CHECK_EQ(pthread_join(thread[k], NULL), 0);
	alloc_and_free(pool, 16 * MIB, 32 * MIB);
	suite_finish(pool);
}

/* == Deaths == */

/* Sanitizers' own instructions would be stepped through as well. */
#if defined __x86_64__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
#define CAN_STEP
#endif

#ifdef CAN_STEP

enum { STEPPED = 64, STEPS_MOST = 2000, SMALL = 1 << 16, LARGE = 1 << 17, WHOLE = 1 << 20 };

static volatile sig_atomic_t steps_left;

static void step(int number)
{
	(void)number;
	if (--steps_left == 0)
		kill(getpid(), SIGKILL);
}

/* From then on each instruction ends in SIGTRAP. The stack's red zone stays as it is. */
static void trap(bool on)
{
	if (on)
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\t"
				 "popfq\n\tlea 128(%%rsp), %%rsp" ::
					 : "cc", "memory");
	else
		__asm__ volatile("lea -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\t"
				 "popfq\n\tlea 128(%%rsp), %%rsp" ::
					 : "cc", "memory");
}

/* Dies after so many instructions of taking another block for its result than it had; 0: does not. */
static int die_on_the_way(struct pool_call *call)
{
	struct sigaction action = { .sa_handler = step };
	CHECK(pool_result_alloc(call, SMALL - HEAD) != NULL);
	steps_left = *(const int32_t *)pool_arg(call, 0);
	if (steps_left == 0)
		return 0;
	CHECK_EQ(sigaction(SIGTRAP, &action, NULL), 0);
	trap(true);
	const void *room = pool_result_alloc(call, LARGE - HEAD);
	trap(false);
	return room ? 0 : pool_fail(call, 1, "no memory");
}
POOL_TASK(die_on_the_way)

/* STEPPED blocks of each size at once, each of its own: who was freed twice is here twice. */
static void fill_stepped(struct pool *pool)
{
	unsigned char *block[2 * STEPPED];
	for (int i = 0; i < 2 * STEPPED; i++) {
		CHECK((block[i] = pool_alloc(pool, (i % 2 ? SMALL : LARGE) - HEAD)) != NULL);
		memset(block[i], i, (i % 2 ? SMALL : LARGE) - HEAD);
	}
	for (int i = 0; i < 2 * STEPPED; i++) {
		CHECK_EQ(block[i][0], i);
		CHECK_EQ(block[i][(i % 2 ? SMALL : LARGE) - HEAD - 1], i);
	}
	for (int i = 0; i < 2 * STEPPED; i++)
		pool_free(pool, block[i]);
}

/* A worker that died between forgetting a block and freeing it, or getting one and noting where, took it with it: one in four
 * of those that died here. Between two instructions at a time it still does, at the swap that pops and at the one that pushes. */
static void deaths_at_any_instruction_leak_next_to_nothing(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int rc = POOL_WORKER_LOST, steps = 0;
	const int64_t empty = suite_arena_bytes();
	fill_stepped(pool);
	const int64_t before = suite_arena_bytes();
	while (empty && rc == POOL_WORKER_LOST && steps++ < STEPS_MOST) {
		int32_t in[4] = {
			0
		}; /* the references of some lie at the beginning of a line, of others not */
		struct pool_bytes out[4];
		in[steps % 4] = steps;
		rc = pool_map(pool, POOL(die_on_the_way), in, sizeof *in, 4, out, POOL_VARIABLE,
			      NULL);
		pool_bytes_free(out, 4);
	}
	CHECK(!empty || rc == 0);
	CHECK(!empty || steps > 100);
	fill_stepped(pool);
	CHECK(suite_arena_bytes() - before <= 12 * LARGE);
	suite_finish(pool);
}

static void fill_arena(struct pool *pool)
{
	for (uint64_t bytes = UINT64_C(64) << 20; bytes >= WHOLE; bytes /= 2)
		while (pool_alloc(pool, bytes - HEAD))
			continue;
}

/* Zero, then dirty; false: there is none. */
static bool use_whole(struct pool *pool, unsigned char *block)
{
	block = block ? block : pool_alloc(pool, WHOLE - HEAD);
	for (int i = 0; block && i < WHOLE - HEAD; i++)
		CHECK_EQ(block[i], 0);
	if (block)
		memset(block, 0xaa, WHOLE - HEAD);
	pool_free(pool, block);
	return block;
}

/* There is only one free block, much larger than the result, which is cut out of it. Had the worker died in the middle of
 * that, the block was given back as it had been, with the head of its upper half in it. */
static void deaths_while_a_block_is_cut_leave_no_dirt(const struct pool_backend_info *row)
{
	enum { SPARE = 48 };
	const struct rlimit small = { 64 << 20, 64 << 20 }; /* the arena is a file */
	unsigned char *spare[SPARE];
	int rc = POOL_WORKER_LOST, used = 0;
	int32_t steps = 0;
	struct pool_bytes out = { 0 };
	CHECK_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
	struct pool *pool = suite_open(row, 1);
	const int64_t shared = suite_arena_bytes();
	CHECK_EQ(pool_map(pool, POOL(die_on_the_way), &steps, sizeof steps, 1, &out, POOL_VARIABLE,
			  NULL),
		 0);
	pool_bytes_free(&out, 1);
	for (int i = 0; i < SPARE; i++)
		CHECK((spare[i] = pool_alloc(pool, WHOLE - HEAD)) != NULL);
	if (shared)
		fill_arena(pool);
	use_whole(pool, spare[used++]);
	while (shared && rc == POOL_WORKER_LOST && steps++ < STEPS_MOST && used < SPARE) {
		rc = pool_map(pool, POOL(die_on_the_way), &steps, sizeof steps, 1, &out,
			      POOL_VARIABLE, NULL);
		pool_bytes_free(&out, 1);
		while (used < SPARE && !use_whole(pool, NULL)) /* what was there is lost */
			use_whole(pool, spare[used++]);
	}
	CHECK(!shared || steps > 100);
	suite_finish(pool);
}

#endif

/* == Pages == */

/* The system's call, which the library in this program calls: the kernel's manner with signals, and a kernel without memory. */
static struct {
	uint64_t
		undone_from; /* a call for more bytes than that never gets through: a timer interrupts it; 0: none */
	unsigned undone; /* so many did not */
	unsigned left;	 /* so many calls succeed, then there is no memory; 0: any number */
} kernel;

int fallocate(int fd, int mode, off_t offset, off_t bytes)
{
	if (mode == 0 && kernel.undone_from && (uint64_t)bytes > kernel.undone_from &&
	    kernel.undone++ < 1000) {
		errno = EINTR;
		return -1;
	}
	if (mode == 0 && kernel.left && --kernel.left == 0) {
		kernel.left = 1;
		errno = ENOSPC;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, bytes);
}

/* Kernels whose fallocate gives up on any pending signal undo all of it. The whole was asked for again each time: under an
 * interval timer a large allocation never ended. */
static void large_blocks_get_their_pages_under_a_timer(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	kernel.undone_from = MIB;
	unsigned char *block = pool_alloc(pool, 40 * MIB + 5);
	CHECK(block != NULL);
	CHECK(kernel.undone < 1000);
	memset(block, 1, 40 * MIB + 5);
	pool_free(pool, block);
	kernel.undone_from = 0;
	suite_finish(pool);
}

/* What was got in pieces before there was no more is given back; all at once it is again as it was. */
static void block_without_memory_keeps_no_pages(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	for (int size_mib = 40; size_mib <= 60; size_mib += 10) { /* new, used, used */
		const int64_t before = suite_arena_bytes();
		kernel.left = 8;
		void *block = pool_alloc(pool, (uint64_t)size_mib * MIB);
		kernel.left = 0;
		CHECK(!before || !block);
		pool_free(pool, block);
		CHECK(suite_arena_bytes() <= before);
		if (size_mib == 40)
			pool_free(pool, pool_alloc(pool, 36 * MIB));
	}
	alloc_and_free(pool, 64 * MIB, 64 * MIB);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(all_given_back_can_be_had_in_other_sizes, 0),
	CASE(blocks_in_use_do_not_keep_others_from_other_sizes, 0),
	CASE(result_that_had_no_room_has_it_the_next_time, 0),
	CASE(sizes_share_their_pages, 0),
	CASE(tidying_under_use_gives_no_block_twice, 0),
	CASE(large_blocks_get_their_pages_under_a_timer, 0),
	CASE(block_without_memory_keeps_no_pages, 0),
#ifdef CAN_STEP
	CASE(deaths_at_any_instruction_leak_next_to_nothing, FAULTS),
	CASE(deaths_while_a_block_is_cut_leave_no_dirt, FAULTS),
#endif
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
