/*
 * test_header.c - the manual taken at its word: calls, arguments, results and failures.
 *
 * Cases written from pool.h alone, by somebody who had not read the library: what that header
 * promises or implies and a nasty but fair user would rely on. test_header_waits.c and
 * test_header_host.c go on with handles and iterators, and with the host program and its workers.
 */
#include "suite.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* bytes, int64_t, bytes -> the two around the number's low byte; the first execution of the item
 * whose number is negative takes the worker with it. */
static int sandwich(struct pool_call *call)
{
	uint64_t left = pool_arg_size(call, 0), right = pool_arg_size(call, 2);
	const int64_t *filling = pool_arg(call, 1);
	if (shared_add((unsigned)pool_index(call), 1) == 1 && *filling < 0)
		raise(SIGKILL);
	unsigned char *out = pool_result_alloc(call, left + 1 + right);
	if (!out)
		return pool_fail(call, ENOMEM, "no memory");
	memcpy(out, pool_arg(call, 0), left);
	out[left] = (unsigned char)*filling;
	memcpy(out + left + 1, pool_arg(call, 2), right);
	return 0;
}
POOL_TASK(sandwich)

#define PIECES 50
static void starmap_of_bytes_retries_a_worker_that_dies_at_the_last_item(
	const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_bytes left[PIECES], right[PIECES], out[PIECES];
	int64_t filling[PIECES];
	int32_t statuses[PIECES];
	for (unsigned i = 0; i < PIECES; i++) {
		suite_fill(&left[i], i * 7 % 23, i);
		suite_fill(&right[i], i * i * 41, i + 1);
		filling[i] = i == PIECES - 1 ? -1 : (int64_t)i;
	}
	struct pool_column columns[3] = { { left, POOL_VARIABLE },
					  { filling, sizeof *filling },
					  { right, POOL_VARIABLE } };
	CHECK_EQ(pool_starmap(pool, POOL(sandwich), columns, 3, PIECES, out, POOL_VARIABLE,
			      &(struct pool_policy){ .retries = 1, .statuses = statuses }),
		 0);
	for (unsigned i = 0; i < PIECES; i++) {
		CHECK_EQ(statuses[i], 0);
		CHECK_EQ(shared_get(i), i == PIECES - 1 ? 2 : 1);
		CHECK_EQ(out[i].size, left[i].size + 1 + right[i].size);
		unsigned char *got = out[i].data;
		CHECK(memcmp(got, left[i].data, left[i].size) == 0);
		CHECK_EQ(got[left[i].size], (unsigned char)filling[i]);
		CHECK(memcmp(got + left[i].size + 1, right[i].data, right[i].size) == 0);
		free(left[i].data);
		free(right[i].data);
	}
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK_EQ(stats.retried, 1);
	CHECK_EQ(stats.done, PIECES);
	CHECK_EQ(stats.lost, 0);
	pool_bytes_free(out, PIECES);
	for (unsigned i = 0; i < PIECES; i++)
		CHECK(out[i].data == NULL && out[i].size == 0);
	suite_finish(pool);
}

#define MANY 2000
static void fail_fast_gives_every_item_its_status(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	static struct errand errands[MANY];
	for (int i = 0; i < MANY; i++)
		errands[i] = (struct errand){ .value = i, .nap_ns = MS, .word = 1 };
	errands[10].deed = DEED_FAIL;
	errands[10].code = 77;
	struct pool_async *async;
	struct pool_policy policy = { .chunk = 1, .fail_fast = true };
	CHECK_EQ(pool_map_async(pool, suite_errand, errands, sizeof *errands, MANY, sizeof(int64_t),
				&policy, &async),
		 0);
	static int64_t results[MANY];
	CHECK_EQ(pool_async_get(async, results, WAIT), POOL_TASK_ERROR);
	int64_t done = 0, cancelled = 0;
	for (int i = 0; i < MANY; i++) {
		int status = pool_async_status(async, (uint64_t)i);
		done += status == 0;
		cancelled += status == -ECANCELED;
		if (status == 0)
			CHECK_EQ(results[i], (int64_t)i * i);
		if (i < 10)
			CHECK_EQ(status, 0);
		if (i == 10)
			CHECK_EQ(status, POOL_TASK_ERROR);
	}
	CHECK_EQ(done + 1 + cancelled, MANY);
	CHECK_EQ(shared_get(1), done + 1);
	CHECK(cancelled > 0);
	CHECK_EQ(pool_async_status(async, MANY), -EINVAL);
	CHECK_EQ(pool_async_successful(async), 0);
	const struct pool_failure *failure = pool_async_failure(async);
	CHECK(failure != NULL);
	CHECK_EQ(failure->index, 10);
	CHECK_EQ(failure->code, 77);
	CHECK(strstr(failure->message, "errand 10") != NULL);
	pool_async_release(async);
	suite_finish(pool);
}

/* int64_t: how to end; notes its process in the word of its index first. */
static int leave(struct pool_call *call)
{
	const int64_t *how = pool_arg(call, 0);
	shared_set((unsigned)pool_index(call), getpid());
	if (*how >= 1000)
		_exit((int)*how - 1000);
	if (*how > 0)
		raise((int)*how);
	return 0;
}
POOL_TASK(leave)

static void lost_item_of_a_map_says_who_how_and_which(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const int64_t ends[] = { SIGKILL, SIGTERM, SIGSEGV, SIGABRT, 1000, 1003 };
	for (size_t e = 0; e < COUNT(ends); e++) {
		int64_t how[9] = { 0 };
		int32_t statuses[9];
		struct pool_failure failure = { 0 };
		how[4] = ends[e];
		struct pool_policy policy = { .statuses = statuses, .failure = &failure };
		CHECK_EQ(pool_map(pool, POOL(leave), how, sizeof *how, 9, NULL, 0, &policy),
			 POOL_WORKER_LOST);
		for (int i = 0; i < 9; i++)
			CHECK_EQ(statuses[i], i == 4 ? POOL_WORKER_LOST : 0);
		CHECK_EQ(failure.status, POOL_WORKER_LOST);
		CHECK_EQ(failure.index, 4);
		CHECK_EQ(failure.signal, ends[e] < 1000 ? ends[e] : 0);
		CHECK_EQ(failure.code, ends[e] < 1000 ? -1 : ends[e] - 1000);
		CHECK_EQ(failure.pid, shared_get(4));
		CHECK(failure.message != NULL);
		CHECK(suite_is_gone(failure.pid));
		pool_failure_clear(&failure);
	}
	suite_finish(pool);
}

static void statuses_of_a_map_tell_all_outcomes_apart(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	const enum errand_deed deeds[] = { DEED_NONE, DEED_FAIL,  DEED_KILL,
					   DEED_SPIN, DEED_EXIT0, DEED_NONE };
	const int32_t wanted[] = {
		0, POOL_TASK_ERROR, POOL_WORKER_LOST, POOL_TASK_TIMEOUT, POOL_WORKER_LOST, 0
	};
	struct errand errands[COUNT(deeds)];
	int64_t results[COUNT(deeds)];
	int32_t statuses[COUNT(deeds)];
	for (size_t i = 0; i < COUNT(deeds); i++)
		errands[i] = (struct errand){
			.value = (int64_t)i, .deed = (int32_t)deeds[i], .code = -3, .word = 1
		};
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .statuses = statuses,
				      .failure = &failure,
				      .task_timeout_ns = SECOND };
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, COUNT(deeds), results,
			  sizeof *results, &policy),
		 POOL_TASK_ERROR);
	for (size_t i = 0; i < COUNT(deeds); i++)
		CHECK_EQ(statuses[i], wanted[i]);
	CHECK_EQ(results[0], 0);
	CHECK_EQ(results[5], 25);
	CHECK_EQ(failure.index, 1);
	CHECK_EQ(failure.code, -3);
	CHECK_EQ(shared_get(1), COUNT(deeds));
	pool_failure_clear(&failure);
	suite_finish(pool);
}

static void map_that_gives_up_writes_every_status(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct errand errands[6];
	int64_t results[6] = { 0 };
	int32_t statuses[6];
	memset(statuses, 0x55, sizeof statuses);
	for (int i = 0; i < 6; i++)
		errands[i] =
			(struct errand){ .value = i, .word = 1, .deed = i == 2 ? DEED_SPIN : 0 };
	struct pool_failure failure = { 0 };
	struct pool_policy policy = {
		.timeout_ns = SECOND, .chunk = 1, .statuses = statuses, .failure = &failure
	};
	CHECK_EQ(pool_map(pool, suite_errand, errands, sizeof *errands, 6, results, sizeof *results,
			  &policy),
		 -ETIMEDOUT);
	for (int i = 0; i < 6; i++) {
		CHECK(statuses[i] == 0 || statuses[i] == -ECANCELED);
		if (statuses[i] == 0)
			CHECK_EQ(results[i], i * i);
	}
	CHECK_EQ(statuses[2], -ECANCELED);
	CHECK_EQ(failure.status, -ETIMEDOUT);
	CHECK(failure.message != NULL);
	pool_failure_clear(&failure);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3, .word = 2 }), 0);
	CHECK(shared_get(1) <= 3);
	suite_finish(pool);
}

static void refused_map_fills_in_statuses_and_failure(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t x[4] = { 1, 2, 3, 4 }, y[4];
	int32_t statuses[4] = { 1, 1, 1, 1 };
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .chunk = -1, .statuses = statuses, .failure = &failure };
	CHECK_EQ(pool_map(pool, suite_square, x, sizeof *x, 4, y, sizeof *y, &policy), -EINVAL);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(statuses[i], -EINVAL);
	CHECK_EQ(failure.status, -EINVAL);
	CHECK(failure.message != NULL);
	pool_failure_clear(&failure);
	CHECK_EQ(pool_close(pool), 0);
	policy.chunk = 0;
	CHECK_EQ(pool_map(pool, suite_square, x, sizeof *x, 4, y, sizeof *y, &policy), POOL_CLOSED);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(statuses[i], POOL_CLOSED);
	CHECK_EQ(failure.status, POOL_CLOSED);
	CHECK(failure.message != NULL);
	pool_failure_clear(&failure);
	suite_finish(pool);
}

#define CELLS 4096
static void check_squares(struct pool *pool, const int64_t *in, int64_t *out)
{
	memset(out, 0x33, CELLS * sizeof *out);
	CHECK_EQ(pool_map(pool, suite_square, in, sizeof *in, CELLS, out, sizeof *out, NULL), 0);
	for (int64_t i = 0; i < CELLS; i++)
		CHECK_EQ(out[i], in[i] * in[i]);
}

static void shared_memory_outlives_calls_and_workers(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t *in = pool_alloc(pool, CELLS * sizeof *in);
	CHECK(in != NULL && (uintptr_t)in % 64 == 0);
	for (int64_t i = 0; i < CELLS; i++) {
		CHECK_EQ(in[i], 0);
		in[i] = i;
	}
	for (int round = 0; round < 3; round++) {
		/* Made after the workers, too: they find it all the same. */
		int64_t *out = pool_alloc(pool, CELLS * sizeof *out);
		CHECK(out != NULL && (uintptr_t)out % 64 == 0);
		check_squares(pool, in, out);
		if (row->can & POOL_CAN_SURVIVE)
			CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_KILL }),
				 POOL_WORKER_LOST);
		check_squares(pool, in, out);
		/* One column there and one not; results elsewhere; from the middle on. */
		int64_t plain[8] = { 1, 2, 3, 4, 5, 6, 7, 8 }, sums[8];
		struct pool_column pair[2] = { { in + 1001, sizeof *in },
					       { plain, sizeof *plain } };
		CHECK_EQ(pool_starmap(pool, suite_add, pair, 2, 8, sums, sizeof *sums, NULL), 0);
		for (int i = 0; i < 8; i++)
			CHECK_EQ(sums[i], in[1001 + i] + plain[i]);
		if (round == 1)
			pool_free(pool, out);
	}
	pool_free(pool, NULL);
	pool_free(pool, in);
	suite_finish(pool);
}

/* Answers how far each argument and the result are from the alignment that their sizes allow. */
static int misplaced(struct pool_call *call)
{
	int64_t wrong = 0;
	for (unsigned k = 0; k < 4; k++) {
		uint64_t size = pool_arg_size(call, k), unit = size & -size;
		wrong += (uintptr_t)pool_arg(call, k) % (unit < 16 ? unit : 16) != 0;
	}
	wrong += (uintptr_t)pool_result(call) % 8 != 0;
	*(int64_t *)pool_result(call) = wrong;
	return 0;
}
POOL_TASK(misplaced)

static void arguments_are_aligned_as_their_sizes_allow(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	static _Alignas(16) unsigned char bytes[4][101 * 48];
	int64_t wrong[101];
	const uint64_t sizes[4] = { 3, 8, 48, 20 };
	for (int64_t chunk = 0; chunk < 8; chunk++) {
		struct pool_column columns[4];
		for (int k = 0; k < 4; k++)
			columns[k] = (struct pool_column){ bytes[k], sizes[k] };
		CHECK_EQ(pool_starmap(pool, POOL(misplaced), columns, 4, 101, wrong, sizeof *wrong,
				      &(struct pool_policy){ .chunk = chunk }),
			 0);
		for (int i = 0; i < 101; i++)
			CHECK_EQ(wrong[i], 0);
		struct pool_iter *iter;
		CHECK_EQ(pool_imap(pool, POOL(misplaced), pool_columns(columns, 4, 101),
				   sizeof *wrong, &(struct pool_policy){ .chunk = chunk }, &iter),
			 0);
		for (int i = 0; i < 101; i++) {
			CHECK_EQ(pool_iter_next(iter, wrong, WAIT), 0);
			CHECK_EQ(*wrong, 0);
		}
		pool_iter_release(iter);
	}
	suite_finish(pool);
}

/* All columns, fixed (int64_t) at even and bytes at odd places: the sum of all. */
static int total(struct pool_call *call)
{
	int64_t sum = 0;
	for (unsigned k = 0; k < POOL_COLUMNS_MAX; k += 2)
		sum += *(const int64_t *)pool_arg(call, k);
	for (unsigned k = 1; k < POOL_COLUMNS_MAX; k += 2)
		for (uint64_t b = 0; b < pool_arg_size(call, k); b++)
			sum += ((const unsigned char *)pool_arg(call, k))[b];
	*(int64_t *)pool_result(call) = sum;
	return 0;
}
POOL_TASK(total)

static void task_takes_as_many_columns_as_the_header_says(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t numbers[20], sums[20];
	struct pool_bytes bytes[20];
	unsigned char text[20];
	for (int i = 0; i < 20; i++) {
		numbers[i] = 1000 * i;
		text[i] = 1;
		bytes[i] = (struct pool_bytes){ i ? text : NULL, (uint64_t)i };
	}
	struct pool_column columns[POOL_COLUMNS_MAX + 1];
	for (unsigned k = 0; k <= POOL_COLUMNS_MAX; k++)
		columns[k] = k % 2 ? (struct pool_column){ bytes, POOL_VARIABLE }
				   : (struct pool_column){ numbers, sizeof *numbers };
	CHECK_EQ(pool_starmap(pool, POOL(total), columns, POOL_COLUMNS_MAX, 20, sums, sizeof *sums,
			      NULL),
		 0);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(sums[i], POOL_COLUMNS_MAX / 2 * 1001 * i);
	CHECK_EQ(pool_apply(pool, POOL(total), columns, POOL_COLUMNS_MAX, sums, sizeof *sums, NULL),
		 0);
	CHECK_EQ(sums[0], 0);
	CHECK_EQ(pool_starmap(pool, POOL(total), columns, POOL_COLUMNS_MAX + 1, 20, sums,
			      sizeof *sums, NULL),
		 -EINVAL);
	CHECK_EQ(pool_starmap(pool, POOL(total), columns, 0, 20, sums, sizeof *sums, NULL),
		 -EINVAL);
	suite_finish(pool);
}

/* int64_t 0: nothing; 1: bytes of size 0; 2: five, then "two"; 3: fails after giving a result */
static int give(struct pool_call *call)
{
	int64_t how = *(const int64_t *)pool_arg(call, 0);
	if (pool_result(call))
		return 99;
	if (how == 1)
		return pool_return(call, NULL, 0);
	if (how == 2 && (!pool_result_alloc(call, 5) || pool_return(call, "two", 3)))
		return 98;
	if (how == 3)
		return pool_return(call, "lost", 4) ? 97 : pool_fail(call, 0, "%01000000d", 7);
	if (how == 4 && pool_result_alloc(call, UINT64_MAX - 4096))
		return 96;
	return 0;
}
POOL_TASK(give)

static void bytes_delivered_are_never_null_and_failed_ones_are(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t how[5] = { 0, 1, 2, 3, 4 };
	struct pool_bytes out[5];
	memset(out, 0x44, sizeof out);
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .failure = &failure };
	CHECK_EQ(pool_map(pool, POOL(give), how, sizeof *how, 5, out, POOL_VARIABLE, &policy),
		 POOL_TASK_ERROR);
	for (int i = 0; i < 5; i++) {
		CHECK((out[i].data != NULL) == (i != 3));
		CHECK_EQ(out[i].size, i == 2 ? 3 : 0);
	}
	CHECK(memcmp(out[2].data, "two", 3) == 0);
	CHECK_EQ(failure.index, 3);
	CHECK_EQ(failure.code, 1);
	CHECK(strlen(failure.message) >= 1000000);
	CHECK_EQ(failure.message[strlen(failure.message) - 1], '7');
	pool_failure_clear(&failure);
	pool_bytes_free(out, 5);
	suite_finish(pool);
}

/* Wants to give bytes where a fixed size is asked for, and says nothing of it. */
static int stubborn(struct pool_call *call)
{
	if (pool_result_alloc(call, 8))
		return 1;
	return pool_return(call, "x", 1) == -EINVAL ? 0 : 2;
}
POOL_TASK(stubborn)

static void bytes_for_a_fixed_size_are_an_encode_error(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t x[3] = { 0 }, y[3];
	int32_t statuses[3];
	struct pool_policy policy = { .statuses = statuses };
	CHECK_EQ(pool_map(pool, POOL(stubborn), x, sizeof *x, 3, y, sizeof *y, &policy),
		 POOL_ENCODE_ERROR);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(statuses[i], POOL_ENCODE_ERROR);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 2 }), 0);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(starmap_of_bytes_retries_a_worker_that_dies_at_the_last_item, POOL_CAN_SURVIVE),
	CASE(fail_fast_gives_every_item_its_status, 0),
	CASE(lost_item_of_a_map_says_who_how_and_which, POOL_CAN_SURVIVE),
	CASE(statuses_of_a_map_tell_all_outcomes_apart, POOL_CAN_SURVIVE | POOL_CAN_KILL),
	CASE(map_that_gives_up_writes_every_status, POOL_CAN_KILL),
	CASE(refused_map_fills_in_statuses_and_failure, 0),
	CASE(shared_memory_outlives_calls_and_workers, 0),
	CASE(arguments_are_aligned_as_their_sizes_allow, 0),
	CASE(task_takes_as_many_columns_as_the_header_says, 0),
	CASE(bytes_delivered_are_never_null_and_failed_ones_are, 0),
	CASE(bytes_for_a_fixed_size_are_an_encode_error, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
