/*
 * scenarios.c - see scenarios.h.
 *
 * DESIGN. A scenario goes on after a call that failed as a host program would, and frees everything
 * in the end. What a call may answer is checked by may_be: a known code, or 0 where the fault must
 * not be seen. Results are compared wherever the status says that there are any.
 */
#include "pools/tests/scenarios.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool all_well;

void scenario_expect(bool well)
{
	all_well = well;
}

/* -EINTR, -ETIMEDOUT and -ECANCELED are not among them: nobody gave up or cancelled. */
static const int known[] = { 0,
			     -ENOMEM,
			     -EMFILE,
			     -ENFILE,
			     -EAGAIN,
			     -ENOSPC,
			     -EPERM,
			     -ENOSYS,
			     POOL_TASK_ERROR,
			     POOL_WORKER_LOST,
			     POOL_INIT_FAILED,
			     POOL_ENCODE_ERROR,
			     POOL_DECODE_ERROR };

static int may_be(int rc)
{
	if (all_well)
		CHECK_EQ(rc, 0);
	for (size_t i = 0; i < COUNT(known); i++)
		if (rc == known[i])
			return rc;
	CHECK_EQ(rc, 0);
	return rc;
}

static struct pool *open_if_possible(const struct pool_backend_info *row,
				     struct pool_options options)
{
	struct pool *pool = NULL;
	options.backend = row->name;
	int rc = may_be(pool_open(&pool, &options));
	CHECK((rc == 0) == (pool != NULL));
	return pool;
}

static const struct pool_policy patient = { .timeout_ns = WAIT };

/* Is open in vain without it? Not for memory, of which less will do. */
static bool is_needed(const struct inject_plan *plan)
{
	const enum inject_call needed[] = { CALL_FORK,	CALL_EXEC,    CALL_THREAD, CALL_PIPE,
					    CALL_DUP,	CALL_MEMFD,   CALL_EPOLL,  CALL_WATCH,
					    CALL_PIDFD, CALL_EVENTFD, CALL_STAT };
	for (size_t i = 0; i < COUNT(needed); i++)
		if (plan->call == needed[i])
			return plan->side == SIDE_POOL || plan->call == CALL_EXEC;
	return false;
}

/* The third of three workers, too, cannot be done without when a pool is opened. */
void pool_is_opened_and_closed(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	struct pool *pool =
		open_if_possible(row, (struct pool_options){ .workers = 3, .pin = true });
	CHECK(!pool || !is_needed(plan) || inject_hits() == 0);
	if (pool)
		suite_finish(pool);
}

/* == Maps == */

enum { ITEMS = 30 };

/* The status returned is that of an item; not always of the lowest that failed: what ends the pool comes first. */
static void check_statuses(int rc, const int32_t *statuses, size_t n)
{
	bool found = rc == 0;
	for (size_t i = 0; i < n; i++) {
		may_be(statuses[i]);
		CHECK(rc || !statuses[i]);
		found = found || rc == statuses[i];
	}
	CHECK(found);
}

static void map_errands(struct pool *pool, const struct errand *errands, int lost)
{
	struct pool_stats before, after;
	int64_t out[ITEMS], again = 0;
	int32_t statuses[ITEMS];
	struct pool_failure failure = { 0 };
	struct pool_policy policy = patient;
	policy.chunk = 7;
	policy.retries = lost >= 0; /* in vain for that one, and nothing else is lost */
	policy.statuses = statuses;
	policy.failure = &failure;
	for (int i = 0; i < ITEMS; i++)
		statuses[i] = 1;
	CHECK_EQ(pool_stats(pool, &before), 0);
	int rc = pool_map(pool, suite_errand, errands, sizeof *errands, ITEMS, out, 8, &policy);
	CHECK(lost < 0 ? may_be(rc) <= 0 : rc < 0);
	CHECK_EQ(failure.status, rc);
	pool_failure_clear(&failure);
	if (statuses[0] == 1) {
		CHECK(rc != 0);
		return; /* refused: nothing ran */
	}
	for (int i = 0; i < ITEMS; i++) {
		int64_t runs = shared_get(errands[i].word);
		again += runs > 1;
		CHECK(i == lost || may_be(statuses[i]) <= 0);
		CHECK(i != lost || statuses[i] != 0);
		CHECK(runs <= 1 + policy.retries);
		CHECK(statuses[i] || (runs >= 1 && out[i] == errands[i].value * errands[i].value));
	}
	CHECK_EQ(pool_stats(pool, &after), 0); /* a new worker that cannot be watched dies, too */
	CHECK(again <= (int64_t)(after.retried - before.retried));
}

static void fill_errands(struct errand *errands, unsigned word)
{
	for (unsigned i = 0; i < ITEMS; i++)
		errands[i] = (struct errand){ .value = i, .word = word + i };
}

void map_of_fixed_size(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	struct errand errands[ITEMS];
	(void)plan;
	fill_errands(errands, 0);
	struct pool *pool = open_if_possible(row, (struct pool_options){ .workers = 2 });
	if (!pool)
		return;
	map_errands(pool, errands, -1);
	suite_finish(pool);
}

/* Some larger than a pipe's atomic write, than the outbox and than the inbox. */
static uint64_t size_of(unsigned i)
{
	const uint64_t sizes[] = { 0, 10, 5000, 40000, 100000, 300 };
	return sizes[i % COUNT(sizes)];
}

void map_of_variable_size(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	enum { N = 12 };
	struct pool_bytes in[N], out[N];
	int32_t statuses[N];
	(void)plan;
	struct pool *pool = open_if_possible(row, (struct pool_options){ .workers = 2 });
	if (!pool)
		return;
	for (unsigned i = 0; i < N; i++) {
		suite_fill(in + i, size_of(i), i);
		statuses[i] = 1;
	}
	memset(out, 0, sizeof out);
	struct pool_policy policy = patient;
	policy.statuses = statuses;
	int rc = may_be(
		pool_map(pool, suite_flip, in, POOL_VARIABLE, N, out, POOL_VARIABLE, &policy));
	if (statuses[0] != 1)
		check_statuses(rc, statuses, N);
	CHECK(statuses[0] != 1 || rc);
	for (unsigned i = 0; i < N; i++) {
		CHECK(statuses[0] == 1 || statuses[i] || suite_is_flipped(out[i], size_of(i), i));
		free(in[i].data);
	}
	pool_bytes_free(out, N);
	suite_finish(pool);
}

/* == Handles == */

static int calls; /* of callbacks, atomic */

static int count_call(struct pool_async *async, void *user)
{
	(void)async;
	__atomic_add_fetch((int *)user, 1, __ATOMIC_SEQ_CST);
	return 0;
}

void handles_with_callbacks(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	enum { N = 6 };
	struct pool_async *handles[N] = { NULL };
	int called[2][N] = { { 0 } };
	(void)plan;
	struct pool *pool = open_if_possible(row, (struct pool_options){ .workers = 2 });
	if (!pool)
		return;
	for (unsigned i = 0; i < N; i++) {
		struct errand errand = { .value = i, .word = i };
		struct pool_column arg = { &errand, sizeof errand };
		struct pool_policy policy = { .callback = count_call,
					      .error_callback = count_call,
					      .user = &called[i % 2][i] };
		int rc = may_be(
			pool_apply_async(pool, suite_errand, &arg, 1, 8, &policy, &handles[i]));
		CHECK((rc == 0) == (handles[i] != NULL));
	}
	for (unsigned i = 0; i < N; i++) {
		int64_t value = -1;
		if (!handles[i])
			continue;
		int rc = may_be(pool_async_get(handles[i], &value, WAIT));
		CHECK(rc || value == (int64_t)i * i);
		CHECK_EQ(pool_async_get(handles[i], &value, 0), rc);
		CHECK((pool_async_failure(handles[i]) != NULL) == (rc != 0));
		pool_async_release(handles[i]);
	}
	suite_finish(pool);
	for (unsigned i = 0; i < N; i++)
		CHECK_EQ(called[i % 2][i], handles[i] != NULL);
}

/* == Iterators == */

static void drain(struct pool_iter *iter, uint64_t n)
{
	uint64_t seen = 0;
	for (;;) {
		struct pool_bytes out = { 0 };
		int rc = pool_iter_next(iter, &out, WAIT);
		if (rc == POOL_END)
			break;
		may_be(rc);
		if (rc == 0) {
			uint64_t i = pool_iter_index(iter);
			CHECK(i < n && suite_is_flipped(out, size_of((unsigned)i), (unsigned)i));
			pool_bytes_free(&out, 1);
		} else {
			const struct pool_failure *failure = pool_iter_failure(iter);
			CHECK(!failure || failure->status == rc);
		}
		CHECK(++seen <= n + 1); /* at most one failure of the input itself */
	}
	CHECK(!all_well || seen == n);
	CHECK_EQ(pool_iter_next(iter, NULL, 0), POOL_END);
}

void imap_in_a_window(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	enum { N = 12 };
	struct pool_bytes in[N];
	(void)plan;
	struct pool *pool = open_if_possible(row, (struct pool_options){ .workers = 2 });
	if (!pool)
		return;
	for (unsigned i = 0; i < N; i++)
		suite_fill(in + i, size_of(i), i);
	for (int ordered = 0; ordered < 2; ordered++) {
		struct pool_iter *iter = NULL;
		struct pool_policy policy = { .chunk = 2, .window = 4 };
		struct pool_source source = pool_array(in, POOL_VARIABLE, N);
		int rc =
			ordered ? pool_imap(pool, suite_flip, source, POOL_VARIABLE, &policy, &iter)
				: pool_imap_unordered(pool, suite_flip, source, POOL_VARIABLE,
						      &policy, &iter);
		CHECK((may_be(rc) == 0) == (iter != NULL));
		if (iter)
			drain(iter, N);
		pool_iter_release(iter);
	}
	for (unsigned i = 0; i < N; i++)
		free(in[i].data);
	suite_finish(pool);
}

void imap_of_fixed_size(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	enum { N = 15 };
	int64_t in[N];
	uint64_t seen = 0;
	int rc;
	struct pool_iter *iter = NULL;
	(void)plan;
	for (int64_t i = 0; i < N; i++)
		in[i] = i;
	struct pool *pool = open_if_possible(row, (struct pool_options){ .workers = 2 });
	if (!pool)
		return;
	rc = may_be(pool_imap(pool, suite_square, pool_array(in, 8, N), 8,
			      &(struct pool_policy){ .window = 5 }, &iter));
	int64_t value;
	while (rc == 0 && (rc = pool_iter_next(iter, &value, WAIT)) != POOL_END) {
		if (may_be(rc) == 0)
			CHECK_EQ(value, in[seen] * in[seen]);
		rc = 0;
		CHECK(++seen <= N + 1);
	}
	CHECK(!all_well || seen == N);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* == Workers == */

/* One of the items kills its worker; another worker takes its place and all other items are done. */
void worker_is_replaced(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	struct errand errands[ITEMS];
	struct pool *pool = suite_open(row, 2);
	inject_arm(plan);
	for (int round = 0; round < 2; round++) {
		fill_errands(errands, (unsigned)round * ITEMS);
		errands[17].deed = DEED_KILL; /* in the middle of a chunk */
		map_errands(pool, errands, 17);
	}
	fill_errands(errands, 2 * ITEMS);
	map_errands(pool, errands, -1);
	suite_finish(pool);
}

/* Each is more than a pipe holds, so it is sent in parts; also to a worker that has just come up. */
void large_items_reach_a_new_worker(const struct pool_backend_info *row,
				    const struct inject_plan *plan)
{
	enum { N = 6, LARGE = 300000 };
	int64_t out[N];
	int32_t statuses[N];
	char *items = calloc(N, LARGE);
	CHECK(items);
	for (int i = 0; i < N; i++)
		*(struct errand *)(void *)(items + i * LARGE) = (struct errand){
			.value = i, .word = (unsigned)i, .deed = i % 3 ? DEED_NONE : DEED_KILL
		};
	struct pool *pool = suite_open(row, 1);
	inject_arm(plan);
	statuses[0] = 1;
	struct pool_policy policy = patient;
	policy.chunk = 1;
	policy.statuses = statuses;
	int rc = pool_map(pool, suite_errand, items, LARGE, N, out, 8, &policy);
	CHECK(rc < 0 && may_be(all_well ? rc - POOL_WORKER_LOST : rc) <= 0);
	for (int i = 0; i < N && statuses[0] != 1; i++) {
		CHECK(i % 3 || statuses[i]);
		CHECK(i % 3 == 0 || may_be(statuses[i]) || out[i] == (int64_t)i * i);
		CHECK(shared_get((unsigned)i) <= 1);
	}
	free(items);
	suite_finish(pool);
}

void workers_come_and_go(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	struct errand errands[ITEMS];
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .tasks_per_worker = 10 });
	inject_arm(plan);
	fill_errands(errands, 0);
	map_errands(pool, errands, -1);
	suite_finish(pool);
}

void busy_pool_is_terminated(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	enum { N = 6 };
	struct pool_async *handles[N] = { NULL };
	struct pool *pool =
		suite_open_with(row, (struct pool_options){ .workers = 2, .grace_ns = MS });
	inject_arm(plan);
	for (unsigned i = 0; i < N; i++) {
		struct errand errand = { .nap_ns = HOUR, .word = 1 };
		struct pool_column arg = { &errand, sizeof errand };
		struct pool_policy policy = { .callback = count_call,
					      .error_callback = count_call,
					      .user = &calls };
		may_be(pool_apply_async(pool, suite_errand, &arg, 1, 8, i % 2 ? NULL : &policy,
					&handles[i]));
	}
	suite_sleep_ns(2 * MS);
	CHECK_EQ(pool_terminate(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	for (unsigned i = 0; i < N; i++) {
		int rc = handles[i] ? pool_async_get(handles[i], NULL, 0) : POOL_TERMINATED;
		CHECK(rc == POOL_TERMINATED || (may_be(rc) < 0 && !all_well));
		pool_async_release(handles[i]);
	}
	pool_destroy(pool);
}

void task_runs_into_its_limit(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	enum { N = 6 };
	struct errand errands[N] = { { 0 } };
	int64_t out[N];
	int32_t statuses[N];
	struct pool *pool = suite_open(row, 2);
	inject_arm(plan);
	for (unsigned i = 0; i < N; i++)
		errands[i] = (struct errand){ .value = i, .word = i };
	errands[2].nap_ns = HOUR;
	struct pool_policy policy = {
		.chunk = 1, .timeout_ns = WAIT, .task_timeout_ns = 60 * MS, .statuses = statuses
	};
	statuses[2] = 1;
	int rc = pool_map(pool, suite_errand, errands, sizeof *errands, N, out, 8, &policy);
	CHECK(rc == POOL_TASK_TIMEOUT || (may_be(rc) < 0 && !all_well));
	for (unsigned i = 0; statuses[2] != 1 && i < N; i++) {
		CHECK(i != 2 || statuses[i] == POOL_TASK_TIMEOUT || may_be(statuses[i]) < 0);
		if (i != 2 && statuses[i] != POOL_TASK_TIMEOUT) /* it may have had no processor */
			CHECK(may_be(statuses[i]) || out[i] == (int64_t)i * i);
	}
	suite_finish(pool);
}

/* == Memory == */

void memory_of_the_pool(const struct pool_backend_info *row, const struct inject_plan *plan)
{
	(void)plan;
	struct pool *pool = open_if_possible(row, (struct pool_options){ .workers = 1 });
	if (!pool)
		return;
	for (uint64_t bytes = 8; bytes <= 10000; bytes *= 32) {
		errno = 0;
		int64_t *in = pool_alloc(pool, bytes);
		CHECK(in || may_be(-errno) < 0);
		int64_t *out = pool_alloc(pool, bytes);
		CHECK(!all_well || (in && out));
		if (in && out) {
			for (uint64_t i = 0; i < bytes / 8; i++)
				in[i] = (int64_t)i;
			int rc = may_be(
				pool_map(pool, suite_square, in, 8, bytes / 8, out, 8, &patient));
			uint64_t last = bytes / 8 - 1;
			CHECK(rc || out[last] == (int64_t)(last * last));
		}
		pool_free(pool, in);
		if (bytes > 8)
			pool_free(pool, out);
	}
	suite_finish(pool);
}
