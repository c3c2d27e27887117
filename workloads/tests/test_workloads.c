/*
 * test_workloads.c - the contract of workload.h for every workload, and every one through every backend row.
 *
 * DESIGN. The rows are run in a child each, with a deadline, so that a hang is a failure and a crash has a name. A child
 * never asserts: it says what was wrong and exits with a code.
 */
#include "workloads/tests/tree.h"

#include <errno.h>
#include <sys/wait.h>

#define ROW_DEADLINE_S 120
#define TASKS 203 /* no multiple of anything a chunk size could be */

static struct work_options small_options(const struct workload *load)
{
	return (struct work_options){
		.tasks = TASKS,
		.work = load->unit ? 3 : 0,
		.payload_bytes = load->payload_default ? 1001 : 0,
		.tree = tree,
		.seed = 7,
	};
}

static void open_small(struct work *w, const struct workload *load)
{
	struct work_options options = small_options(load);
	char why[256] = "";
	int rc = work_open(w, load, &options, why, sizeof why);

	if (rc != 0)
		fail_msg("%s: %s", load->name, why);
}

static void refuse_with(const char *name, struct work_options options, int rc, const char *text)
{
	unsigned char before[sizeof(struct work)];
	struct work w;
	char why[256] = "";

	memset(&w, 0x5a, sizeof w);
	memcpy(before, &w, sizeof w);
	assert_int_equal(work_open(&w, workload_find(name), &options, why, sizeof why), rc);
	assert_memory_equal(&w, before, sizeof w);
	if (strstr(why, text) == NULL)
		fail_msg("%s: no \"%s\" in \"%s\"", name, text, why);
}

static void registry_every_workload_is_found_and_complete(void **state)
{
	const struct workload *load;
	unsigned count = 0;

	(void)state;
	for (; (load = workload_at(count)) != NULL; count++) {
		assert_ptr_equal(workload_find(load->name), load);
		assert_true(strlen(load->summary) > 10);
		assert_true((load->unit == NULL) == (load->work_default == 0));
		assert_non_null(load->task);
	}
	assert_true(count >= 13);
	assert_null(workload_find("no such workload"));
	assert_null(workload_find(""));
}

static void serial_run_twice_equals_verify(void **state)
{
	const struct workload *load;

	(void)state;
	for (unsigned k = 0; (load = workload_at(k)) != NULL; k++) {
		struct work w;
		uint64_t bad = 12345;
		open_small(&w, load);
		void *again = malloc(w.tasks * w.result_size);
		assert_int_equal(w.tasks, TASKS);
		assert_int_equal(work_expect(&w), 0);
		assert_int_equal(load->serial(&w, 0, w.tasks, again), 0);
		assert_true(work_verify(&w, again, &bad));
		assert_int_equal(bad, 12345);
		free(again);
		work_close(&w);
	}
}

static void serial_of_a_part_gives_that_part(void **state)
{
	const struct workload *load;

	(void)state;
	for (unsigned k = 0; (load = workload_at(k)) != NULL; k++) {
		struct work w;
		open_small(&w, load);
		assert_int_equal(work_expect(&w), 0);
		unsigned char *part = malloc(10 * w.result_size);
		assert_int_equal(load->serial(&w, 5, 15, part), 0);
		assert_memory_equal(part, (unsigned char *)w.expected + 5 * w.result_size,
				    10 * w.result_size);
		free(part);
		work_close(&w);
	}
}

static void verify_finds_the_first_wrong_result_at_its_index(void **state)
{
	const struct workload *load;

	(void)state;
	for (unsigned k = 0; (load = workload_at(k)) != NULL; k++) {
		struct work w;
		uint64_t bad;
		open_small(&w, load);
		assert_int_equal(work_expect(&w), 0);
		unsigned char *results = malloc(w.tasks * w.result_size);
		const uint64_t wrong[] = { TASKS - 1, 42, 0 };
		memcpy(results, w.expected, w.tasks * w.result_size);
		for (unsigned i = 0; i < 3; i++) {
			results[(wrong[i] + 1) * w.result_size - 1] ^= 1;
			assert_false(work_verify(&w, results, &bad));
			assert_int_equal(bad, wrong[i]);
		}
		free(results);
		work_close(&w);
	}
}

/* A pool whose results never arrive must not pass for one that works. */
static void verify_refuses_results_nobody_wrote(void **state)
{
	const struct workload *load;

	(void)state;
	for (unsigned k = 0; (load = workload_at(k)) != NULL; k++) {
		struct work w;
		uint64_t bad;
		open_small(&w, load);
		assert_int_equal(work_expect(&w), 0);
		void *zeros = calloc(w.tasks, w.result_size);
		assert_false(work_verify(&w, zeros, &bad));
		free(zeros);
		work_close(&w);
	}
}

static void open_with_unset_options_takes_the_defaults(void **state)
{
	const struct workload *load;

	(void)state;
	for (unsigned k = 0; (load = workload_at(k)) != NULL; k++) {
		struct work w;
		char why[256] = "";
		const struct work_options options = { .tree = tree };
		assert_int_equal(work_open(&w, load, &options, why, sizeof why), 0);
		assert_int_equal(w.tasks, load->tasks_default ? load->tasks_default : 4);
		assert_int_equal(w.work, load->work_default);
		assert_int_equal(w.payload_bytes, load->payload_default);
		work_close(&w);
	}
}

static void open_with_bad_options_is_refused_with_a_text(void **state)
{
	const uint64_t many = UINT64_C(1) << 62;

	(void)state;
	refuse_with("spin", (struct work_options){ .work = -1 }, -EINVAL, "work is -1");
	refuse_with("spin", (struct work_options){ .work = INT64_MAX }, -EINVAL, "work is 92233");
	refuse_with("noop", (struct work_options){ .work = 5 }, -EINVAL, "must be 0, not 5");
	refuse_with("sha256", (struct work_options){ .work = 1 }, -EINVAL, "must be 0, not 1");
	refuse_with("add", (struct work_options){ .payload_bytes = 8 }, -EINVAL, "no payload");
	refuse_with("square", (struct work_options){ .tasks = many }, -ENOMEM, "no memory");
	refuse_with("stream", (struct work_options){ .tasks = 2, .payload_bytes = many }, -ENOMEM,
		    "no memory");
	refuse_with("mandelbrot", (struct work_options){ .work = 4097 }, -EINVAL, "4096 rows");
	refuse_with("matmul", (struct work_options){ .work = 2049 }, -EINVAL, "2048 rows");
	refuse_with("primes", (struct work_options){ .tasks = many }, -EINVAL, "2^40");
}

static void open_of_a_bad_tree_is_refused_with_a_text(void **state)
{
	char path[64];

	(void)state;
	refuse_with("sha256", (struct work_options){ .tree = "/no/such/tree" }, -ENOENT,
		    "/no/such/tree: No such file");
	refuse_with("sha256", (struct work_options){ .tree = "" }, -ENOENT, "No such file");
	snprintf(path, sizeof path, "%s/abc", tree);
	refuse_with("wordcount", (struct work_options){ .tree = path }, -ENOTDIR,
		    "Not a directory");
	snprintf(path, sizeof path, "%s/empty", tree);
	refuse_with("wordcount", (struct work_options){ .tree = path }, -ENOENT,
		    "no readable regular file");
}

/* Root may read everything, so it steps down for one test; a teardown steps up again also when that test fails. */
static int step_down(void **state)
{
	static bool stays_root;

	*state = &stays_root;
	if (put("secret", "secret", 1) != 0 || chmod("secret", 0) != 0)
		return -1;
	stays_root = geteuid() == 0 && seteuid(65534) < 0; /* where there is no other user */
	return 0;
}

static int step_up(void **state)
{
	(void)state;
	return seteuid(getuid()) || unlink("secret");
}

static void open_leaves_out_what_may_not_be_read(void **state)
{
	struct work w;
	char path[64];

	if (*(const bool *)*state)
		skip();
	snprintf(path, sizeof path, "%s/locked", tree);
	refuse_with("sha256", (struct work_options){ .tree = path }, -EACCES, "Permission denied");
	open_with(&w, "wordcount", (struct work_options){ .tree = tree });
	assert_int_equal(w.tasks, 4);
	work_close(&w);
}

static void files_are_sorted_limited_and_begin_again(void **state)
{
	static const char *const name[] = { "Z", "abc", "deep/er", "words", "Z", "abc" };
	struct work w;

	(void)state;
	open_with(&w, "sha256", (struct work_options){ .tree = tree, .tasks = 6 });
	const struct pool_bytes *paths = w.column[0].data;
	assert_int_equal(w.tasks, 6);
	for (int i = 0; i < 6; i++) {
		assert_string_equal((char *)paths[i].data + strlen(tree) + 1, name[i]);
		assert_int_equal(paths[i].size, strlen(paths[i].data) + 1);
	}
	work_close(&w);
	open_with(&w, "sha256", (struct work_options){ .tree = tree, .tasks = 2 });
	assert_int_equal(w.tasks, 2);
	work_close(&w);
}

static void file_that_vanished_is_an_error_of_the_serial_loop(void **state)
{
	char path[64];
	struct work w;
	FILE *file;

	(void)state;
	snprintf(path, sizeof path, "%s/empty/gone", tree);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	const struct work_options options = { .tree = tree };
	char why[256];
	assert_int_equal(work_open(&w, workload_find("sha256"), &options, why, sizeof why), 0);
	assert_int_equal(w.tasks, 5);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(work_expect(&w), -ENOENT);
	assert_null(w.expected);
	work_close(&w);
}

/* In the child: 0, or a complaint on stderr and another exit code. */
static int complain(const char *backend, const struct work *w, const char *what, int rc)
{
	fprintf(stderr, "%s %s: %s: %d %s\n", backend, w->load->name, what, rc, pool_strerror(rc));
	return 1;
}

static int run_map(struct pool *pool, const struct work *w, void *results)
{
	const struct pool_column *in = w->column;

	if (w->columns != 1)
		return pool_starmap(pool, w->load->task, in, w->columns, w->tasks, results,
				    w->result_size, NULL);
	return pool_map(pool, w->load->task, in->data, in->size, w->tasks, results, w->result_size,
			NULL);
}

static int run_starmap(struct pool *pool, const struct work *w, void *results)
{
	return pool_starmap(pool, w->load->task, w->column, w->columns, w->tasks, results,
			    w->result_size, NULL);
}

static int run_and_verify(struct pool *pool, const struct work *w,
			  int (*run)(struct pool *, const struct work *, void *))
{
	void *results = calloc(w->tasks, w->result_size);
	uint64_t bad = 0;
	int rc = run(pool, w, results);

	if (rc < 0)
		rc = complain(pool_backend(pool), w, "call failed", rc);
	else if (!work_verify(w, results, &bad))
		rc = complain(pool_backend(pool), w, "wrong result at index", (int)bad);
	free(results);
	return rc;
}

static int run_row(const char *backend, struct work *w)
{
	const struct pool_options options = { .backend = backend, .workers = 2 };
	struct pool *pool;
	int rc = work_expect(w);

	if (rc < 0)
		return complain(backend, w, "serial loop", rc);
	rc = pool_open(&pool, &options);
	if (rc < 0)
		return complain(backend, w, "pool_open", rc);
	rc = run_and_verify(pool, w, run_map);
	if (rc == 0)
		rc = run_and_verify(pool, w, run_starmap);
	pool_close(pool);
	if (rc == 0 && (rc = pool_join(pool, POOL_FOREVER)) < 0)
		rc = complain(backend, w, "pool_join", rc);
	pool_destroy(pool);
	return rc;
}

static void row_in_child(const char *backend, const struct workload *load)
{
	struct work w;
	int status;

	open_small(&w, load);
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		alarm(ROW_DEADLINE_S);
		_exit(run_row(backend, &w));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0)
		fail_msg("%s %s: %s %d", backend, load->name,
			 WIFSIGNALED(status) ? "signal" : "exit status",
			 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	work_close(&w);
}

static void every_workload_through_every_row_is_right(void **state)
{
	const struct pool_backend_info *row;
	const struct workload *load;

	(void)state;
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		for (unsigned k = 0; (load = workload_at(k)) != NULL; k++)
			row_in_child(row->name, load);
}

static void task_that_cannot_read_its_file_says_which(void **state)
{
	const struct pool_options options = { .backend = "serial" };
	struct pool_bytes path = { .data = "/no/such/file", .size = sizeof "/no/such/file" };
	struct pool_failure failure = { 0 };
	struct pool_policy policy = { .failure = &failure };
	unsigned char digest[32];
	struct pool *pool;

	(void)state;
	assert_int_equal(pool_open(&pool, &options), 0);
	assert_int_equal(pool_map(pool, workload_find("sha256")->task, &path, POOL_VARIABLE, 1,
				  digest, sizeof digest, &policy),
			 POOL_TASK_ERROR);
	assert_int_equal(failure.code, ENOENT);
	assert_non_null(strstr(failure.message, "/no/such/file: No such file"));
	pool_failure_clear(&failure);
	pool_destroy(pool);
}

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registry_every_workload_is_found_and_complete),
		cmocka_unit_test(serial_run_twice_equals_verify),
		cmocka_unit_test(serial_of_a_part_gives_that_part),
		cmocka_unit_test(verify_finds_the_first_wrong_result_at_its_index),
		cmocka_unit_test(verify_refuses_results_nobody_wrote),
		cmocka_unit_test(open_with_unset_options_takes_the_defaults),
		cmocka_unit_test(open_with_bad_options_is_refused_with_a_text),
		cmocka_unit_test(open_of_a_bad_tree_is_refused_with_a_text),
		cmocka_unit_test_setup_teardown(open_leaves_out_what_may_not_be_read, step_down,
						step_up),
		cmocka_unit_test(files_are_sorted_limited_and_begin_again),
		cmocka_unit_test(file_that_vanished_is_an_error_of_the_serial_loop),
		cmocka_unit_test(task_that_cannot_read_its_file_says_which),
		cmocka_unit_test(every_workload_through_every_row_is_right),
	};
	return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
