/*
 * test_limits.c - pools under the limits that a system really sets: descriptors, processes, address
 * space, file size. The host's limits are those of the case's own process.
 */
#include "pools/tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum { CAN_LIMIT_MEMORY = false }; /* the sanitizer needs an address space without limits */
#else
enum { CAN_LIMIT_MEMORY = true };
#endif

static const struct pool_policy patient = { .chunk = 1, .timeout_ns = WAIT };

static void limit(int what, rlim_t most)
{
	struct rlimit now;
	CHECK_EQ(getrlimit((__rlimit_resource_t)what, &now), 0);
	now.rlim_cur = most < now.rlim_max ? most : now.rlim_max;
	CHECK_EQ(setrlimit((__rlimit_resource_t)what, &now), 0);
}

/* Opens, works, closes: 0, or what pool_open said; then nothing is left. */
static int try_pool(const struct pool_backend_info *row, int workers)
{
	int64_t in[8], out[8], descriptors = suite_entries_in("/proc/self/fd");
	struct pool *pool = NULL;
	int rc = pool_open(&pool,
			   &(struct pool_options){ .backend = row->name, .workers = workers });
	CHECK((rc == 0) == (pool != NULL));
	for (int64_t i = 0; i < 8; i++)
		in[i] = i;
	if (pool) {
		int mapped = pool_map(pool, suite_square, in, 8, 8, out, 8, &patient);
		CHECK(mapped != -ETIMEDOUT);
		CHECK(mapped || out[7] == 49);
		suite_finish(pool);
	}
	errno = 0;
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	CHECK_EQ(suite_entries_in("/proc/self/fd"), descriptors);
	return rc;
}

/* == Descriptors == */

static void open_fails_cleanly_without_descriptors(const struct pool_backend_info *row)
{
	int rc = -1;
	int64_t used = suite_entries_in("/proc/self/fd");
	for (int64_t most = used; rc != 0; most++) {
		CHECK(most < used + 64);
		limit(RLIMIT_NOFILE, (rlim_t)most);
		rc = try_pool(row, 3);
		CHECK(rc == 0 || rc == -EMFILE);
	}
}

/* When it returns the worker takes no more work; nobody has noticed its death so far. */
static pid_t kill_worker(struct pool *pool, int worker)
{
	pid_t pid = pool_worker_pid(pool, worker);
	CHECK(pid > 0 && kill(pid, SIGKILL) == 0);
	CHECK(suite_is_gone(pid));
	return pid;
}

/* No successor can be watched: everything ends with an error, soon. */
static void pool_without_any_worker_says_so(const struct pool_backend_info *row)
{
	struct pool_async *handles[6];
	struct pool *pool = suite_open(row, 2);
	kill_worker(pool, 0);
	kill_worker(pool, 1);
	limit(RLIMIT_NOFILE, 3);
	for (int i = 0; i < 6; i++)
		handles[i] = suite_start(pool, (struct errand){ 0 }, NULL);
	for (int i = 0; i < 6; i++) {
		CHECK_EQ(pool_async_get(handles[i], NULL, WAIT), -EMFILE);
		pool_async_release(handles[i]);
	}
	CHECK_EQ(suite_do(pool, (struct errand){ 0 }), -EMFILE);
	limit(RLIMIT_NOFILE, RLIM_INFINITY);
	suite_finish(pool);
}

/* A limit was never enforced when there was no descriptor to read /proc with. */
static void time_limit_holds_without_descriptors(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 2);
	limit(RLIMIT_NOFILE, 3);
	struct pool_policy policy = patient;
	policy.task_timeout_ns = 100 * MS;
	struct pool_async *stuck =
		suite_start(pool, (struct errand){ .deed = DEED_STUCK }, &policy);
	CHECK_EQ(pool_async_get(stuck, NULL, WAIT), POOL_TASK_TIMEOUT);
	pool_async_release(stuck);
	limit(RLIMIT_NOFILE, RLIM_INFINITY);
	suite_finish(pool);
}

/* == Processes == */

/* The limit counts all processes of a user, and not those of root: become somebody else. False: it
 * cannot be tried here. */
static bool become_nobody(const struct pool_backend_info *row)
{
	char program[4096] = { 0 };
	if (readlink("/proc/self/exe", program, sizeof program - 1) < 0)
		return false;
	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0))
		return false;
	prctl(PR_SET_DUMPABLE, 1); /* executed workers open this process's shared words */
	if (row->can & POOL_CAN_EXEC && access(program, X_OK) < 0)
		return false;
	limit(RLIMIT_NPROC, 1);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	limit(RLIMIT_NPROC, RLIM_INFINITY);
	return pid < 0;
}

static void skipped(const struct pool_backend_info *row, const char *why)
{
	fprintf(stderr, "[%s] not tried: %s\n", row->name, why);
}

/* 55, by the system itself; also when not even the keeper's thread can be made */
static void open_fails_cleanly_without_processes(const struct pool_backend_info *row)
{
	if (!become_nobody(row)) {
		skipped(row, "the number of processes cannot be limited");
		return;
	}
	for (rlim_t most = 1; most <= 6; most++) { /* this one, the keeper, at most 4 workers */
		limit(RLIMIT_NPROC, most);
		CHECK_EQ(try_pool(row, 5), -EAGAIN);
	}
	limit(RLIMIT_NPROC, RLIM_INFINITY);
	CHECK_EQ(try_pool(row, 5), 0);
}

static void pool_goes_on_with_fewer_workers(const struct pool_backend_info *row)
{
	if (!become_nobody(row)) {
		skipped(row, "the number of processes cannot be limited");
		return;
	}
	struct pool *pool = suite_open(row, 2);
	limit(RLIMIT_NPROC, 1);
	pid_t old = kill_worker(pool, 0);
	for (int i = 0; i < 20; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ .nap_ns = MS }), 0);
	limit(RLIMIT_NPROC, RLIM_INFINITY);
	int64_t end = suite_now_ns() + WAIT;
	for (pid_t pid = old; pid <= 0 || pid == old; pid = pool_worker_pid(pool, 0)) {
		CHECK(suite_now_ns() < end);
		CHECK_EQ(suite_do(pool, (struct errand){ .nap_ns = MS }), 0);
	}
	limit(RLIMIT_NPROC, 1);
	kill_worker(pool, 0);
	kill_worker(pool, 1);
	CHECK_EQ(suite_do(pool, (struct errand){ 0 }), -EAGAIN);
	limit(RLIMIT_NPROC, RLIM_INFINITY);
	suite_finish(pool);
}

/* == Memory == */

static rlim_t address_space_bytes(pid_t pid)
{
	char path[64];
	unsigned long long pages = 0;
	snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
	FILE *statm = fopen(path, "re");
	CHECK(statm && fscanf(statm, "%llu", &pages) == 1);
	fclose(statm);
	return (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE);
}

/* From nothing at all to more than enough. */
static void open_fails_cleanly_without_address_space(const struct pool_backend_info *row)
{
	if (!CAN_LIMIT_MEMORY)
		return;
	int rc = -1;
	for (rlim_t more = 4096; more <= (rlim_t)1 << 34; more *= 4) {
		limit(RLIMIT_AS, address_space_bytes(getpid()) + more);
		rc = try_pool(row, 2);
		CHECK(rc == 0 || rc == -ENOMEM || rc == -EAGAIN);
	}
	CHECK_EQ(rc, 0);
	limit(RLIMIT_AS, RLIM_INFINITY);
}

/* This process and its worker may grow by `bytes`. */
static void limit_growth(struct pool *pool, rlim_t bytes)
{
	pid_t worker = pool_worker_pid(pool, 0);
	struct rlimit limit = { .rlim_max = RLIM_INFINITY };
	limit.rlim_cur = address_space_bytes(getpid()) + bytes;
	CHECK_EQ(setrlimit(RLIMIT_AS, &limit), 0);
	if (worker > 0) {
		limit.rlim_cur = address_space_bytes(worker) + bytes;
		CHECK_EQ(prlimit(worker, RLIMIT_AS, &limit, NULL), 0);
	}
}

/* An argument that no worker had memory for killed workers without end. */
static void apply_too_large_for_the_worker_is_given_up(const struct pool_backend_info *row)
{
	if (!CAN_LIMIT_MEMORY)
		return;
	uint64_t bytes = UINT64_C(96) << 20;
	char *large = calloc(1, bytes);
	CHECK(large != NULL);
	memset(large, 1, bytes);
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(suite_do(pool, (struct errand){ 0 }), 0);
	limit_growth(pool, (rlim_t)bytes / 2);
	struct pool_policy policy = { .timeout_ns = WAIT };
	int rc = pool_apply(pool, suite_pid, &(struct pool_column){ large, bytes }, 1, NULL, 0,
			    &policy);
	CHECK(rc != -ETIMEDOUT);
	struct pool_stats stats;
	CHECK_EQ(pool_stats(pool, &stats), 0);
	CHECK(stats.restarts <= 20);
	CHECK_EQ(setrlimit(RLIMIT_AS, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY }), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(suite_do(pool, (struct errand){ 0 }), 0);
	suite_finish(pool);
	free(large);
}

/* Files that may not be as large as the pool's memory: an error, and no SIGXFSZ. */
static void open_under_a_file_size_limit_survives(const struct pool_backend_info *row)
{
	for (rlim_t most = 1; most <= (rlim_t)1 << 32; most *= 16) {
		limit(RLIMIT_FSIZE, most);
		int rc = try_pool(row, 2);
		limit(RLIMIT_FSIZE, RLIM_INFINITY);
		CHECK(rc == 0 || rc == -EFBIG);
		CHECK(rc == 0 || most < (rlim_t)1 << 32);
	}
}

/* == Page faults == */

enum { MEMORY = 16 << 20, HUGE = 2 << 20, PAGE = 4096 };

/* Can the kernel give as many huge pages of shared memory as the pool will ask for, just now? */
static bool huge_pages_can_be_had(void)
{
	int fd = memfd_create("probe", MFD_CLOEXEC);
	unsigned char *room = mmap(NULL, MEMORY + HUGE, PROT_NONE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	CHECK(fd >= 0 && room != MAP_FAILED);
	bool can = posix_fallocate(fd, 0, MEMORY) == 0;
	unsigned char *at = room + (HUGE - (uintptr_t)room % HUGE) % HUGE;
	CHECK(mmap(at, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == at);
	can = can && madvise(at, MEMORY, 25 /* MADV_COLLAPSE */) == 0;
	munmap(room, MEMORY + HUGE);
	close(fd);
	return can;
}

static int64_t faults_so_far(void)
{
	struct rusage use;
	CHECK_EQ(getrusage(RUSAGE_SELF, &use), 0);
	return use.ru_minflt;
}

/* Each worker touches all of its part once: with small pages that is a fault for each, in each process. */
static int faults_of_worker(struct pool_call *call)
{
	(void)call;
	*(int64_t *)pool_result(call) = faults_so_far();
	return 0;
}
POOL_TASK(faults_of_worker)

static bool few_faults(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	const uint64_t items = MEMORY / 2 / 8;
	const struct pool_column nothing = { "", 1 };
	int64_t begin = faults_so_far(), before, after;
	int64_t *memory = pool_alloc(pool, MEMORY);
	CHECK(memory);
	for (uint64_t i = 0; i < 2 * items; i++)
		memory[i] = (int64_t)i;
	const int64_t here = faults_so_far() - begin;
	CHECK_EQ(pool_apply(pool, POOL(faults_of_worker), &nothing, 1, &before, 8, NULL), 0);
	CHECK_EQ(pool_map(pool, suite_square, memory, 8, items, memory + items, 8, NULL), 0);
	CHECK_EQ(pool_apply(pool, POOL(faults_of_worker), &nothing, 1, &after, 8, NULL), 0);
	CHECK_EQ(memory[2 * items - 1], (int64_t)((items - 1) * (items - 1)));
	pool_free(pool, memory);
	suite_finish(pool);
	return here < MEMORY / PAGE / 4 && after - before < MEMORY / PAGE / 4;
}

/* What the kernel could give just now it may refuse now and then: one time in ten is enough. */
static void large_memory_takes_few_faults(const struct pool_backend_info *row)
{
	if (!strstr(row->name, "shm") || !CAN_LIMIT_MEMORY)
		return;
	bool fine = false;
	for (int i = 0; i < 10 && !fine; i++)
		fine = !huge_pages_can_be_had() || few_faults(row);
	CHECK(fine);
}

enum { ARRIVED };

/* The result is the square, once all have come. */
static int square_when_all_are_here(struct pool_call *call)
{
	const int64_t x = *(const int64_t *)pool_arg(call, 0);
	shared_add(ARRIVED, 1);
	*(int64_t *)pool_result(call) = x * x;
	return shared_reaches(ARRIVED, POOL_WORKERS_MAX) ? 0 : 1;
}
POOL_TASK(square_when_all_are_here)

/* Whatever depends on their number has room; executed workers find it. Each takes an item at the same time, and again where
 * by shared memory an earlier call was: its slots are used in turn. */
static void as_many_workers_as_there_may_be_all_work(const struct pool_backend_info *row)
{
	enum { N = 4 * POOL_WORKERS_MAX, ROUNDS = 3, SLOTS = 64 };
	int64_t in[N], out[N];
	if (!CAN_LIMIT_MEMORY)
		return; /* so many processes of the sanitizer take too much */
	for (int64_t i = 0; i < N; i++)
		in[i] = i;
	struct pool *pool = suite_open(row, POOL_WORKERS_MAX);
	CHECK_EQ(pool_map(pool, suite_square, in, 8, N, out, 8, &patient), 0);
	for (int64_t i = 0; i < N; i++)
		CHECK_EQ(out[i], i * i);
	for (int round = 0; round < ROUNDS; round++) {
		memset(out, 0, sizeof out);
		shared_set(ARRIVED, 0);
		CHECK_EQ(pool_map(pool, POOL(square_when_all_are_here), in, 8, POOL_WORKERS_MAX,
				  out, 8, &(struct pool_policy){ .chunk = 1 }),
			 0);
		for (int64_t i = 0; i < POOL_WORKERS_MAX; i++)
			CHECK_EQ(out[i], i * i);
		for (int i = 0; i < SLOTS - 1; i++)
			CHECK_EQ(pool_apply(pool, suite_square, &(struct pool_column){ in, 8 }, 1,
					    out, 8, &patient),
				 0);
	}
	suite_finish(pool);
}

enum { LARGE_RESULT = 20 << 20 };

static int give_large_result(struct pool_call *call)
{
	return pool_result_alloc(call, LARGE_RESULT) ? 0 : 1;
}
POOL_TASK(give_large_result)

/* Getting pages for it takes longer than it may: what there was of them is used again. */
static void stopped_tasks_leave_no_memory_behind(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open(row, 1);
	const int64_t x = 0;
	for (int i = 0; i < suite_some(row, 12); i++) {
		struct pool_bytes y = { NULL, 0 };
		const int rc = pool_map(pool, POOL(give_large_result), &x, 8, 1, &y, POOL_VARIABLE,
					&(struct pool_policy){ .task_timeout_ns = 2 * MS });
		CHECK(rc == 0 || rc == POOL_TASK_TIMEOUT);
		pool_bytes_free(&y, 1);
	}
	CHECK(suite_arena_bytes() < INT64_C(3) * LARGE_RESULT);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(open_fails_cleanly_without_descriptors, 0),
	CASE(pool_without_any_worker_says_so, FAULTS | POOL_CAN_REUSE),
	CASE(time_limit_holds_without_descriptors, POOL_CAN_KILL | POOL_CAN_REUSE),
	CASE(open_fails_cleanly_without_processes, POOL_CAN_ISOLATE),
	CASE(pool_goes_on_with_fewer_workers, FAULTS | POOL_CAN_REUSE),
	CASE(open_fails_cleanly_without_address_space, 0),
	CASE(apply_too_large_for_the_worker_is_given_up, FAULTS),
	CASE(open_under_a_file_size_limit_survives, 0),
	CASE(stopped_tasks_leave_no_memory_behind, POOL_CAN_KILL),
	CASE(as_many_workers_as_there_may_be_all_work, POOL_CAN_EXEC),
	CASE(large_memory_takes_few_faults, POOL_CAN_REUSE),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
