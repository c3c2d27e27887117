/*
 * test_header_results.c - the manual taken at its word: memory, alignment, columns, bytes.
 *
 * Cases written from pool.h alone; see test_header.c.
 */
#include "suite.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

/* Results and arguments that are not zero, which the pool keeps somewhere meanwhile. */
static void leave_traces(struct pool *pool, uint64_t bytes)
{
	const uint64_t n = bytes / 8;
	int64_t *in = malloc(bytes), *out = malloc(bytes);
	CHECK(in && out);
	for (uint64_t i = 0; i < n; i++)
		in[i] = -1;
	CHECK_EQ(pool_map(pool, suite_square, in, 8, n, out, 8, NULL), 0);
	CHECK_EQ(out[n - 1], 1);
	free(in);
	free(out);
}

static unsigned char *expect_zero(struct pool *pool, uint64_t bytes)
{
	unsigned char *memory = pool_alloc(pool, bytes);
	CHECK(memory);
	for (uint64_t i = 0; i < bytes; i++)
		CHECK(memory[i] == 0);
	return memory;
}

/* Whoever had it before: the pool itself, or the caller who gave it back. The last size is one of which the pages go back. */
static void shared_memory_is_zero(const struct pool_backend_info *row)
{
	const uint64_t sizes[] = { 40, 800, 8000, 100000, 3 << 20, 65 << 20 };
	struct pool *pool = suite_open(row, 2);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		const uint64_t bytes = sizes[i];
		unsigned char *memory[3];
		leave_traces(pool, bytes < 4 << 20 ? bytes : 4 << 20);
		for (size_t k = 0; k < COUNT(memory); k++)
			memory[k] = expect_zero(pool, bytes);
		for (size_t k = 0; k < COUNT(memory); k++) {
			memset(memory[k], 0x5a, bytes);
			pool_free(pool, memory[k]);
		}
		pool_free(pool, expect_zero(pool, bytes * 3 / 4));
		pool_free(pool, expect_zero(pool, bytes));
	}
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

/* int64_t 0: nothing; 1: bytes of size 0; 2: five, then "two"; 3: fails after giving a result;
 * 4: gets no room and does not say so */
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
	int32_t statuses[5];
	const int32_t wanted[5] = { 0, 0, 0, POOL_TASK_ERROR, POOL_ENCODE_ERROR };
	struct pool_bytes out[5];
	memset(out, 0x44, sizeof out);
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .failure = &failure, .statuses = statuses };
	CHECK_EQ(pool_map(pool, POOL(give), how, sizeof *how, 5, out, POOL_VARIABLE, &policy),
		 POOL_TASK_ERROR);
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(statuses[i], wanted[i]);
		CHECK((out[i].data != NULL) == (wanted[i] == 0));
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
	/* What went wrong there is not held against the next one. */
	struct pool_bytes none;
	struct pool_column arg = { x, sizeof *x };
	CHECK_EQ(pool_apply(pool, POOL(give), &arg, 1, &none, POOL_VARIABLE, NULL), 0);
	pool_bytes_free(&none, 1);
	suite_finish(pool);
}

/* Two columns -> how far both are from an alignment of 16. */
static int misalignment(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = (int64_t)(((uintptr_t)pool_arg(call, 0) & 15) |
						  ((uintptr_t)pool_arg(call, 1) & 15) << 8);
	return 0;
}
POOL_TASK(misalignment)

/* Where workers copy arrays. */
static void arguments_are_aligned_wherever_the_array_is(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	char *odd = calloc(1, 16 * 100 + 32 * 100 + 64);
	struct pool_column columns[2] = { { odd + 1, 16 }, { odd + 16 * 100 + 3, 32 } };
	int64_t got[99];
	memset(got, 1, sizeof got);
	CHECK_EQ(pool_starmap(pool, POOL(misalignment), columns, 2, 99, got, 8, NULL), 0);
	for (int i = 0; i < 99; i++)
		CHECK_EQ(got[i], 0);
	CHECK_EQ(pool_starmap(pool, POOL(misalignment), columns, 2, 99, got, 8,
			      &(struct pool_policy){ .chunk = 7 }),
		 0);
	for (int i = 0; i < 99; i++)
		CHECK_EQ(got[i], 0);
	got[0] = 1;
	CHECK_EQ(pool_apply(pool, POOL(misalignment), columns, 2, got, 8, NULL), 0);
	CHECK_EQ(got[0], 0);
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, POOL(misalignment), pool_columns(columns, 2, 30), 8,
			   &(struct pool_policy){ .chunk = 3 }, &iter),
		 0);
	for (int i = 0; i < 30; i++) {
		int64_t value = 1;
		CHECK_EQ(pool_iter_next(iter, &value, WAIT), 0);
		CHECK_EQ(value, 0);
	}
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	pool_iter_release(iter);
	suite_finish(pool);
	free(odd);
}

/* int64_t -> the same; asks for bytes it cannot have, unless the number leaves 2 when divided by 3. */
static int asks_in_vain(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);
	if (*x % 3 == 0)
		(void)pool_result_alloc(call, 8);
	else if (*x % 3 == 1)
		(void)pool_return(call, x, 8);
	if (pool_result(call))
		*(int64_t *)pool_result(call) = *x;
	return 0;
}
POOL_TASK(asks_in_vain)

static void asking_for_room_of_a_fixed_result_spoils_that_item_only(
	const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	int64_t x[60], y[60];
	int32_t statuses[60];
	for (int i = 0; i < 60; i++)
		x[i] = i % 7 == 0 ? i : 3 * i + 2;
	const int64_t chunks[] = { 0, 1, 7, 60 };
	for (unsigned c = 0; c < COUNT(chunks); c++) {
		struct pool_failure failure = { 0 };
		struct pool_policy policy = { .chunk = chunks[c],
					      .statuses = statuses,
					      .failure = &failure };
		memset(y, 0, sizeof y);
		CHECK_EQ(pool_map(pool, POOL(asks_in_vain), x, 8, 60, y, 8, &policy),
			 POOL_ENCODE_ERROR);
		CHECK_EQ(failure.index, 0);
		CHECK_EQ(failure.status, POOL_ENCODE_ERROR);
		pool_failure_clear(&failure);
		for (int i = 0; i < 60; i++) {
			CHECK_EQ(statuses[i], x[i] % 3 == 2 ? 0 : POOL_ENCODE_ERROR);
			if (x[i] % 3 == 2)
				CHECK_EQ(y[i], x[i]);
		}
	}
	suite_finish(pool);
}

/* int64_t x -> bytes of x + 1; fails where x is 1 without touching its result, dies where it is 2. */
static int fill_unless_told(struct pool_call *call)
{
	const int64_t x = *(const int64_t *)pool_arg(call, 0);
	if (x == 1)
		return 3;
	if (x == 2)
		abort();
	for (uint64_t i = 0; i < call->result_size; i++)
		((unsigned char *)pool_result(call))[i] = (unsigned char)(x + 1);
	return 0;
}
POOL_TASK(fill_unless_told)

static void check_places(struct pool *pool, const int64_t *x, uint64_t n, uint64_t size)
{
	unsigned char *y = malloc(n * size);
	memset(y, 0x77, n * size);
	CHECK_EQ(pool_map(pool, POOL(fill_unless_told), x, 8, n, y, size,
			  &(struct pool_policy){ .chunk = 3 }),
		 POOL_TASK_ERROR);
	for (uint64_t i = 0; i < n * size; i++) {
		const int64_t of = x[i / size];
		CHECK_EQ(y[i], of == 1 || of == 2 ? 0x77 : of + 1);
	}
	free(y);
}

/* Nothing that an earlier call left with the workers stands there. */
static void places_of_failed_items_stay_as_they_were(const struct pool_backend_info *row)
{
	const uint64_t sizes[] = { 8, 1000,
				   80000 }; /* the last is more than is sent in one piece */
	struct pool *pool = suite_open(row, 2);
	for (size_t k = 0; k < COUNT(sizes); k++) {
		int64_t x[12] = { 0 };
		void *y = malloc(COUNT(x) * sizes[k]);
		CHECK_EQ(pool_map(pool, POOL(fill_unless_told), x, 8, 12, y, sizes[k], NULL), 0);
		free(y);
		x[1] = x[4] = x[11] = 1;
		check_places(pool, x, COUNT(x), sizes[k]);
		x[5] = x[9] = 2; /* the item before has failed, the worker ends in the same chunk */
		if (row->can & POOL_CAN_SURVIVE)
			check_places(pool, x, COUNT(x), sizes[k]);
	}
	suite_finish(pool);
}

/* int64_t: 0 gives a reason and succeeds, 1 fails without one, else fails with one. */
static int changes_its_mind(struct pool_call *call)
{
	int64_t x = *(const int64_t *)pool_arg(call, 0);
	if (x == 0) {
		(void)pool_fail(call, 9, "not so");
		return 0;
	}
	if (x == 1)
		return 4;
	return pool_fail(call, 0, "%s", "yes");
}
POOL_TASK(changes_its_mind)

static void a_reason_belongs_to_the_failing_item_alone(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t x[3] = { 0, 1, 2 };
	struct pool_iter *iter;
	CHECK_EQ(pool_imap(pool, POOL(changes_its_mind), pool_array(x, 8, 3), 0,
			   &(struct pool_policy){ .chunk = 3 }, &iter),
		 0);
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	CHECK(pool_iter_failure(iter) == NULL);
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_TASK_ERROR);
	const struct pool_failure *failure = pool_iter_failure(iter);
	CHECK(failure != NULL);
	CHECK_EQ(failure->code, 4);
	CHECK_EQ(failure->index, 1);
	CHECK(failure->message != NULL);
	CHECK(strstr(failure->message, "not so") == NULL);
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_TASK_ERROR);
	failure = pool_iter_failure(iter);
	CHECK_EQ(failure->code, 1);
	CHECK_EQ(strcmp(failure->message, "yes"), 0);
	CHECK_EQ(pool_iter_next(iter, NULL, WAIT), POOL_END);
	CHECK(pool_iter_failure(iter) == NULL);
	pool_iter_release(iter);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(shared_memory_outlives_calls_and_workers, 0),
	CASE(shared_memory_is_zero, 0),
	CASE(arguments_are_aligned_as_their_sizes_allow, 0),
	CASE(task_takes_as_many_columns_as_the_header_says, 0),
	CASE(bytes_delivered_are_never_null_and_failed_ones_are, 0),
	CASE(bytes_for_a_fixed_size_are_an_encode_error, 0),
	CASE(arguments_are_aligned_wherever_the_array_is, POOL_CAN_OVERLAP),
	CASE(asking_for_room_of_a_fixed_result_spoils_that_item_only, 0),
	CASE(places_of_failed_items_stay_as_they_were, 0),
	CASE(a_reason_belongs_to_the_failing_item_alone, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
