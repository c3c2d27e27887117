/* test_contract_args.c - every public argument that is not acceptable, and who may use a pool. */
#include "pools/tests/suite.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int64_t in[4], out[4];
static const struct pool_column good[1] = { { in, sizeof *in } };

/* The ways to submit, each reduced to what the bad arguments have in common. */
static int try_apply(struct pool *pool, const struct pool_task *task,
		     const struct pool_column *args, unsigned columns, uint64_t n,
		     const struct pool_policy *policy)
{
	(void)n;
	return pool_apply(pool, task, args, columns, out, sizeof *out, policy);
}

static int try_starmap(struct pool *pool, const struct pool_task *task,
		       const struct pool_column *args, unsigned columns, uint64_t n,
		       const struct pool_policy *policy)
{
	return pool_starmap(pool, task, args, columns, n, out, sizeof *out, policy);
}

static int try_map(struct pool *pool, const struct pool_task *task, const struct pool_column *args,
		   unsigned columns, uint64_t n, const struct pool_policy *policy)
{
	if (!args || columns != 1)
		return -EINVAL; /* cannot be said to a map */
	return pool_map(pool, task, args->data, args->size, n, out, sizeof *out, policy);
}

static int release_async(int rc, struct pool_async *async)
{
	CHECK((rc == 0) == (async != NULL)); /* outputs are written on success only */
	pool_async_release(async);
	return rc;
}

static int try_apply_async(struct pool *pool, const struct pool_task *task,
			   const struct pool_column *args, unsigned columns, uint64_t n,
			   const struct pool_policy *policy)
{
	struct pool_async *async = NULL;
	(void)n;
	return release_async(pool_apply_async(pool, task, args, columns, 8, policy, &async), async);
}

static int try_map_async(struct pool *pool, const struct pool_task *task,
			 const struct pool_column *args, unsigned columns, uint64_t n,
			 const struct pool_policy *policy)
{
	struct pool_async *async = NULL;
	if (!args || columns != 1)
		return -EINVAL;
	return release_async(pool_map_async(pool, task, args->data, args->size, n, 8, policy,
					    &async),
			     async);
}

static int try_starmap_async(struct pool *pool, const struct pool_task *task,
			     const struct pool_column *args, unsigned columns, uint64_t n,
			     const struct pool_policy *policy)
{
	struct pool_async *async = NULL;
	return release_async(pool_starmap_async(pool, task, args, columns, n, 8, policy, &async),
			     async);
}

static int try_source(struct pool *pool, const struct pool_task *task, struct pool_source source,
		      bool ordered, const struct pool_policy *policy)
{
	struct pool_iter *iter = NULL;
	int rc = (ordered ? pool_imap : pool_imap_unordered)(pool, task, source, 8, policy, &iter);
	CHECK((rc == 0) == (iter != NULL));
	pool_iter_release(iter);
	return rc;
}

static struct pool_source source_of(const struct pool_column *args, unsigned columns, uint64_t n)
{
	struct pool_source source = { .columns = columns, .count = n };
	if (columns <= POOL_COLUMNS_MAX) /* else their number is all that matters */
		for (unsigned k = 0; args && k < columns; k++)
			source.column[k] = args[k];
	return source;
}

static int try_imap(struct pool *pool, const struct pool_task *task, const struct pool_column *args,
		    unsigned columns, uint64_t n, const struct pool_policy *policy)
{
	return try_source(pool, task, source_of(args, columns, n), true, policy);
}

static int try_imap_unordered(struct pool *pool, const struct pool_task *task,
			      const struct pool_column *args, unsigned columns, uint64_t n,
			      const struct pool_policy *policy)
{
	return try_source(pool, task, source_of(args, columns, n), false, policy);
}

typedef int submit_fn(struct pool *pool, const struct pool_task *task,
		      const struct pool_column *args, unsigned columns, uint64_t n,
		      const struct pool_policy *policy);

static submit_fn *const variants[] = { try_apply,	try_map,	   try_starmap,
				       try_apply_async, try_map_async,	   try_starmap_async,
				       try_imap,	try_imap_unordered };

static int count_in_shared(struct pool_call *call)
{
	(void)call;
	shared_add(5, 1);
	return 0;
}
POOL_TASK(count_in_shared)

static void submit_bad_columns_are_refused(const struct pool_backend_info *row)
{
	const struct pool_task *task = POOL(count_in_shared);
	const struct pool_column none[1] = { { NULL, 0 } }, missing[1] = { { NULL, 8 } };
	static struct pool_column nine[POOL_COLUMNS_MAX + 1];
	struct pool *pool = suite_open(row, 2);
	for (unsigned k = 0; k < COUNT(nine); k++)
		nine[k] = good[0];
	for (size_t v = 0; v < COUNT(variants); v++) {
		CHECK_EQ(variants[v](NULL, task, good, 1, 4, NULL), -EINVAL);
		CHECK_EQ(variants[v](pool, NULL, good, 1, 4, NULL), -EINVAL);
		CHECK_EQ(variants[v](pool, task, NULL, 1, 4, NULL), -EINVAL);
		CHECK_EQ(variants[v](pool, task, good, 0, 4, NULL), -EINVAL);
		CHECK_EQ(variants[v](pool, task, nine, COUNT(nine), 4, NULL), -EINVAL);
		CHECK_EQ(variants[v](pool, task, none, 1, 4, NULL), -EINVAL);
		CHECK_EQ(variants[v](pool, task, missing, 1, 4, NULL), -EINVAL);
		CHECK_EQ(variants[v](pool, task, good, UINT_MAX, 4, NULL), -EINVAL);
	}
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 2 }), 0);
	suite_finish(pool);
	CHECK_EQ(shared_get(5), 0);
}

/* 19: also on empty input */
static void submit_negative_policy_is_refused(const struct pool_backend_info *row)
{
	const struct pool_policy bad[] = { { .chunk = -1 },	   { .chunk = INT64_MIN },
					   { .window = -1 },	   { .timeout_ns = -2 },
					   { .retries = -1 },	   { .task_timeout_ns = -2 },
					   { .window = INT64_MIN } };
	struct pool *pool = suite_open(row, 2);
	for (size_t v = 0; v < COUNT(variants); v++)
		for (size_t i = 0; i < COUNT(bad); i++)
			for (uint64_t n = 0; n <= 4; n += 4)
				CHECK_EQ(variants[v](pool, POOL(count_in_shared), good, 1, n,
						     bad + i),
					 -EINVAL);
	suite_finish(pool);
	CHECK_EQ(shared_get(5), 0);
}

static void submit_without_a_place_for_the_answer_is_refused(const struct pool_backend_info *row)
{
	const struct pool_task *task = POOL(count_in_shared);
	struct pool *pool = suite_open(row, 2);
	struct pool_source source = pool_array(in, 8, 4);
	CHECK_EQ(pool_apply(pool, task, good, 1, NULL, 8, NULL), -EINVAL);
	CHECK_EQ(pool_map(pool, task, in, 8, 4, NULL, 8, NULL), -EINVAL);
	CHECK_EQ(pool_starmap(pool, task, good, 1, 4, NULL, POOL_VARIABLE, NULL), -EINVAL);
	CHECK_EQ(pool_apply_async(pool, task, good, 1, 8, NULL, NULL), -EINVAL);
	CHECK_EQ(pool_map_async(pool, task, in, 8, 4, 8, NULL, NULL), -EINVAL);
	CHECK_EQ(pool_starmap_async(pool, task, good, 1, 4, 8, NULL, NULL), -EINVAL);
	CHECK_EQ(pool_imap(pool, task, source, 8, NULL, NULL), -EINVAL);
	CHECK_EQ(pool_imap_unordered(pool, task, source, 8, NULL, NULL), -EINVAL);
	suite_finish(pool);
	CHECK_EQ(shared_get(5), 0);
}

static void handles_bad_arguments_are_refused(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct pool_async *async = suite_start(pool, (struct errand){ .value = 2 }, NULL);
	struct pool_iter *iter = NULL;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(in, 8, 4), 8, NULL, &iter), 0);
	CHECK_EQ(pool_async_get(NULL, out, 0), -EINVAL);
	CHECK_EQ(pool_async_wait(NULL, 0), -EINVAL);
	CHECK_EQ(pool_async_cancel(NULL), -EINVAL);
	CHECK_EQ(pool_async_successful(NULL), -EINVAL);
	CHECK_EQ(pool_iter_next(NULL, out, 0), -EINVAL);
	CHECK_EQ(pool_async_wait(async, -2), -EINVAL);
	CHECK_EQ(pool_async_get(async, out, INT64_MIN), -EINVAL);
	CHECK_EQ(pool_iter_next(iter, out, -2), -EINVAL);
	CHECK_EQ(pool_async_get(async, out, WAIT), 0);
	CHECK_EQ(pool_async_status(async, 1), -EINVAL);
	CHECK_EQ(pool_async_status(async, UINT64_MAX), -EINVAL);
	pool_async_release(async);
	pool_iter_release(iter);
	suite_finish(pool);
}

/* 53: negative values; 0 means the default in this interface */
static void open_bad_options_are_refused(const struct pool_backend_info *row)
{
	struct pool *pool = NULL;
	const char *name = row->name;
	const struct pool_options bad[] = {
		{ .backend = name, .workers = -1 },
		{ .backend = name, .workers = INT_MIN },
		{ .backend = name, .workers = POOL_WORKERS_MAX + 1 },
		{ .backend = name, .tasks_per_worker = -1 },
		{ .backend = name, .task_timeout_ns = -2 },
		{ .backend = name, .grace_ns = -2 },
		{ .backend = name, .initializer_timeout_ns = -2 },
		{ .backend = name, .initializer = suite_square, .initializer_arg_size = 8 },
	};
	for (size_t i = 0; i < COUNT(bad); i++)
		CHECK_EQ(pool_open(&pool, bad + i), -EINVAL);
	CHECK_EQ(pool_open(NULL, &(struct pool_options){ .backend = name }), -EINVAL);
	CHECK_EQ(pool_open(&pool, &(struct pool_options){ .backend = "no-such" }), POOL_NO_BACKEND);
	CHECK_EQ(pool_open(&pool, &(struct pool_options){ .backend = "" }), POOL_NO_BACKEND);
	CHECK(pool == NULL);
}

static void pool_bad_arguments_are_refused(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_stats stats;
	struct pool_worker_stats worker;
	CHECK_EQ(pool_close(NULL), -EINVAL);
	CHECK_EQ(pool_terminate(NULL), -EINVAL);
	CHECK_EQ(pool_join(NULL, 0), -EINVAL);
	CHECK_EQ(pool_join(pool, -2), -EINVAL);
	CHECK_EQ(pool_stats(NULL, &stats), -EINVAL);
	CHECK_EQ(pool_stats(pool, NULL), -EINVAL);
	CHECK_EQ(pool_worker_stats(NULL, 0, &worker), -EINVAL);
	CHECK_EQ(pool_worker_stats(pool, 0, NULL), -EINVAL);
	CHECK_EQ(pool_worker_stats(pool, -1, &worker), -EINVAL);
	CHECK_EQ(pool_worker_stats(pool, 2, &worker), -EINVAL);
	CHECK_EQ(pool_worker_pid(pool, -1), -EINVAL);
	CHECK_EQ(pool_worker_pid(pool, 2), -EINVAL);
	CHECK_EQ(pool_worker_pid(NULL, 0), -EINVAL);
	pool_free(pool, NULL);
	pool_bytes_free(NULL, 0);
	pool_destroy(NULL);
	suite_finish(pool);
}

static int first_wrong_answer(struct pool *pool, struct pool_async *async, struct pool_iter *iter)
{
	struct pool_stats stats;
	const int answers[] = { try_apply(pool, suite_square, good, 1, 4, NULL),
				try_map(pool, suite_square, good, 1, 4, NULL),
				try_map(pool, suite_square, good, 1, 0, NULL),
				try_apply_async(pool, suite_square, good, 1, 4, NULL),
				try_imap(pool, suite_square, good, 1, 4, NULL),
				pool_async_get(async, out, 0),
				pool_async_wait(async, 0),
				pool_async_cancel(async),
				pool_iter_next(iter, out, 0),
				pool_stats(pool, &stats),
				pool_join(pool, 0),
				pool_close(pool),
				pool_terminate(pool) };
	for (size_t i = 0; i < COUNT(answers); i++)
		if (answers[i] != -EPERM)
			return 10 + (int)i;
	pool_async_release(async);
	pool_iter_release(iter);
	pool_destroy(pool);
	return 0;
}

static void pool_in_a_forked_child_is_refused(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	struct pool_async *async = suite_start(pool, (struct errand){ .value = 2 }, NULL);
	struct pool_iter *iter = NULL;
	CHECK_EQ(pool_imap(pool, suite_square, pool_array(in, 8, 4), 8, NULL, &iter), 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(first_wrong_answer(pool, async, iter));
	int status = -1;
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0); /* 10 + the index of the first wrong answer */
	CHECK_EQ(pool_async_get(async, out, WAIT), 0);
	CHECK_EQ(out[0], 4);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pool_iter_next(iter, NULL, WAIT), 0);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 2 }), 0);
	pool_async_release(async);
	pool_iter_release(iter);
	suite_finish(pool);
}

static int return_in_wrong_ways(struct pool_call *call)
{
	/* The caller wants a fixed size here. */
	if (pool_result_alloc(call, 8) || pool_return(call, "x", 1) != -EINVAL)
		return 1;
	*(int64_t *)pool_result(call) = 3;
	return *(const int64_t *)pool_arg(call, 0) ? pool_fail(call, 0, "%s", "") : 0;
}
POOL_TASK(return_in_wrong_ways)

static void task_fixed_result_refuses_pool_return(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .failure = &failure };
	int64_t bad = 1, zero = 0;
	struct pool_column arg = { &bad, sizeof bad };
	/* A code of 0 cannot be a failure: pool_fail makes it 1. */
	CHECK_EQ(pool_apply(pool, POOL(return_in_wrong_ways), &arg, 1, out, 8, &policy),
		 POOL_TASK_ERROR);
	CHECK_EQ(failure.code, 1);
	CHECK(failure.message && failure.message[0] == '\0');
	pool_failure_clear(&failure);
	CHECK(failure.message == NULL);
	arg.data = &zero;
	int rc = pool_apply(pool, POOL(return_in_wrong_ways), &arg, 1, out, 8, NULL);
	CHECK(rc == 0 || rc == POOL_ENCODE_ERROR);
	suite_finish(pool);
}

static int return_nothing(struct pool_call *call)
{
	int64_t size = *(const int64_t *)pool_arg(call, 0);
	if (pool_result(call))
		return 1;
	if (size >= 0 && (pool_return(call, "dropped", 7) || pool_return(call, "kept", 4)))
		return 2;
	return 0;
}
POOL_TASK(return_nothing)

static void task_variable_result_is_the_last_one_given(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	int64_t sizes[2] = { 0, -1 };
	struct pool_bytes got[2];
	CHECK_EQ(pool_map(pool, POOL(return_nothing), sizes, 8, 2, got, POOL_VARIABLE, NULL), 0);
	CHECK(got[0].size == 4 && memcmp(got[0].data, "kept", 4) == 0);
	CHECK(got[1].size == 0 && got[1].data != NULL);
	pool_bytes_free(got, 2);
	suite_finish(pool);
}

static void strerror_names_every_status(const struct pool_backend_info *row)
{
	(void)row;
	const char *unknown = pool_strerror(-4999);
	CHECK(unknown && *unknown);
	CHECK(pool_strerror(0) && pool_strerror(INT_MIN) && pool_strerror(INT_MAX));
	CHECK(strcmp(pool_strerror(-ENOMEM), unknown) != 0);
	for (int rc = POOL_BUSY; rc <= POOL_TASK_ERROR; rc++)
		CHECK(strcmp(pool_strerror(rc), unknown) != 0);
}

/* Their products and sums do not fit 64 bits: no ring of them, and no division by what is left of such a sum. */
static void imap_of_sizes_beyond_memory_is_refused(const struct pool_backend_info *row)
{
	static const uint64_t sizes[] = { UINT64_C(1) << 62, UINT64_MAX - 63, UINT64_MAX - 1 };
	struct suite_counting feed = { .end = 1 };
	struct pool *pool = suite_open(row, 1);
	struct pool_iter *iter = NULL;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		CHECK_EQ(pool_imap(pool, suite_square,
				   pool_generator(suite_count_up, &feed, sizes[i]), 8, NULL, &iter),
			 -ENOMEM);
		CHECK_EQ(pool_imap(pool, suite_square, pool_generator(suite_count_up, &feed, 8),
				   sizes[i], NULL, &iter),
			 -ENOMEM);
	}
	CHECK_EQ(feed.next, 0);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(imap_of_sizes_beyond_memory_is_refused, 0),
	CASE(submit_bad_columns_are_refused, 0),
	CASE(submit_negative_policy_is_refused, 0),
	CASE(submit_without_a_place_for_the_answer_is_refused, 0),
	CASE(handles_bad_arguments_are_refused, 0),
	CASE(open_bad_options_are_refused, 0),
	CASE(pool_bad_arguments_are_refused, 0),
	CASE(pool_in_a_forked_child_is_refused, 0),
	CASE(task_fixed_result_refuses_pool_return, 0),
	CASE(task_variable_result_is_the_last_one_given, 0),
	CASE(strerror_names_every_status, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
