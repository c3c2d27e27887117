/*
 * suite.c - see suite.h.
 *
 * DESIGN. The end of a case is looked for each millisecond: no signal, which a case may use for
 * itself, and no pidfd, which valgrind 3.19 does not know. This process and the child of a case are subreapers: whatever a dying program
 * leaves behind comes to them and not to a process that may not reap it.
 */
#include "pools/tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct entry {
	const struct suite_case *what;
	const struct pool_backend_info *row;
};

void suite_fail(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
	_exit(1);
}

void suite_check_equal(int64_t got, int64_t wanted, const char *file, int line, const char *text)
{
	if (got == wanted)
		return;
	fprintf(stderr, "%s:%d: %s is %lld, expected %lld\n", file, line, text, (long long)got,
		(long long)wanted);
	_exit(1);
}

int64_t suite_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

void suite_sleep_ns(int64_t ns)
{
	struct timespec rest = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };
	while (nanosleep(&rest, &rest) < 0 && errno == EINTR)
		;
}

bool suite_is_gone(pid_t pid)
{
	for (int64_t end = suite_now_ns() + WAIT; suite_now_ns() < end; suite_sleep_ns(MS)) {
		char path[64], state = 0;
		snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
		FILE *stat = fopen(path, "re");
		if (!stat)
			return true;
		if (fscanf(stat, "%*d (%*[^)]) %c", &state) != 1)
			state = 'X';
		fclose(stat);
		if (state == 'Z' || state == 'X')
			return true;
	}
	return false;
}

size_t suite_distinct(const int64_t *values, size_t n)
{
	size_t distinct = 0;
	for (size_t i = 0; i < n; i++) {
		size_t k = 0;
		while (k < i && values[k] != values[i])
			k++;
		distinct += k == i;
	}
	return distinct;
}

/* == Running == */

int64_t suite_entries_in(const char *directory)
{
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char buffer[8192];
	int64_t entries = 0;
	for (long bytes; (bytes = syscall(SYS_getdents64, fd, buffer, sizeof buffer)) > 0;)
		for (long at = 0; at < bytes; entries++) {
			unsigned short length; /* d_reclen, after the 64-bit d_ino and d_off */
			memcpy(&length, buffer + at + 16, sizeof length);
			at += length;
		}
	close(fd);
	return entries;
}

/* A joined thread can stay in /proc for a moment. */
static bool threads_return_to(int64_t before)
{
	int64_t end = suite_now_ns() + 5 * SECOND;
	while (suite_entries_in("/proc/self/task") >
	       before) { /* the one before may still be going */
		if (suite_now_ns() > end)
			return false;
		suite_sleep_ns(MS);
	}
	return true;
}

/* cmocka catches these and jumps back into its own loop; here they shall end the process. */
static void let_crashes_crash(void)
{
	const int crashes[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS };
	for (size_t i = 0; i < COUNT(crashes); i++)
		signal(crashes[i], SIG_DFL);
}

static void *be_brief(void *nothing)
{
	return nothing;
}

/* The thread sanitizer starts a thread of its own along with the first one; it is no leak. */
static void start_first_thread(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, be_brief, NULL) == 0)
		pthread_join(thread, NULL);
}

static void run_child(const struct entry *entry)
{
	let_crashes_crash();
	setpgid(0, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	shared_create();
	start_first_thread();
	int64_t threads = suite_entries_in("/proc/self/task");
	int64_t descriptors = suite_entries_in("/proc/self/fd");
	entry->what->run(entry->row);
	errno = 0;
	CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1); /* no child is left, not even a zombie */
	CHECK_EQ(errno, ECHILD);
	CHECK_EQ(suite_entries_in("/proc/self/fd"), descriptors);
	CHECK(threads_return_to(threads));
	exit(0); /* not _exit: the leak checker of sanitizer builds runs at exit */
}

/* This process is a subreaper: what outlives the child is its child now. */
static bool group_is_gone(pid_t group)
{
	int64_t end = suite_now_ns() + 5 * SECOND;
	while (kill(-group, 0) == 0 || errno == EPERM) {
		waitpid(-group, NULL, WNOHANG);
		if (suite_now_ns() > end)
			return false;
		suite_sleep_ns(MS);
	}
	return true;
}

/* Does not reap: until then nobody else can get the number. */
static bool ends_in_time(pid_t child)
{
	const char *seconds = getenv("SUITE_DEADLINE_S");
	int64_t end = suite_now_ns() + (seconds ? atoi(seconds) * SECOND : SUITE_DEADLINE_NS);
	for (siginfo_t info = { 0 }; suite_now_ns() < end; suite_sleep_ns(MS)) {
		waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG | WNOWAIT);
		if (info.si_pid == child)
			return true;
	}
	return false;
}

static const char hangs[] = "hangs: the deadline has passed";

/* Waits for the child and ends what is left of its group; NULL or what was wrong. */
static const char *watch_child(pid_t child)
{
	setpgid(child, child); /* here too: whoever comes first */
	int status = -1;
	bool in_time = ends_in_time(child);
	if (!in_time)
		kill(-child, SIGKILL);
	waitpid(child, &status, 0);
	bool gone = group_is_gone(child);
	kill(-child, SIGKILL);
	if (!in_time)
		return hangs;
	if (WIFSIGNALED(status))
		return strsignal(WTERMSIG(status));
	if (WEXITSTATUS(status) != 0)
		return "a check failed";
	return gone ? NULL : "processes are left behind";
}

static bool forks_each(const struct pool_backend_info *row)
{
	return !(row->can & POOL_CAN_REUSE) && row->can & POOL_CAN_OVERLAP;
}

/* The address sanitizer's allocator does not survive a fork while another thread is inside it: the child waits for a lock whose
 * owner it does not have; glibc's own allocator is made for it. A row that forks for each chunk, in its keeper beside the
 * host's own thread, meets that all the time. The others that fork may meet it when a worker is replaced, which is seldom (72000
 * times in a row it did not happen): a case that hangs there is tried once more. */
#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZER_MAY_HANG = 1 };
#else
enum { SANITIZER_MAY_HANG = 0 };
#endif

static bool forks(const struct pool_backend_info *row)
{
	return row->can & POOL_CAN_ISOLATE && !(row->can & POOL_CAN_EXEC);
}

static const char *try_entry(const struct entry *entry)
{
	fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0)
		run_child(entry);
	return watch_child(child);
}

static void run_entry(void **state)
{
	const struct entry *entry = *state;
	if ((entry->row->can & entry->what->needs) != entry->what->needs ||
	    (SANITIZER_MAY_HANG && forks_each(entry->row)))
		skip();
	const char *wrong = try_entry(entry);
	if (SANITIZER_MAY_HANG && wrong == hangs && forks(entry->row)) {
		print_message("%s [%s]: hangs, once more\n", entry->what->name, entry->row->name);
		wrong = try_entry(entry);
	}
	if (wrong)
		fail_msg("%s [%s]: %s", entry->what->name, entry->row->name, wrong);
}

int suite_some(const struct pool_backend_info *row, int n)
{
	return forks_each(row) ? (n + 9) / 10 : n;
}

static struct CMUnitTest make_test(struct entry *entry)
{
	char *name = NULL;
	if (asprintf(&name, "%s [%s]", entry->what->name, entry->row->name) < 0)
		abort();
	return (struct CMUnitTest){ .name = name, .test_func = run_entry, .initial_state = entry };
}

int suite_main(int argc, char **argv, const struct suite_case *cases, size_t count)
{
	size_t rows = 0, total = 0;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	while (pool_backend_info((unsigned)rows))
		rows++;
	struct CMUnitTest *tests = calloc(rows * count + 1, sizeof *tests);
	struct entry *entries = calloc(rows * count + 1, sizeof *entries);
	if (!tests || !entries || rows == 0)
		abort();
	for (size_t i = 0; i < count; i++)
		for (size_t r = 0; r < rows; r++, total++) {
			entries[total] =
				(struct entry){ cases + i, pool_backend_info((unsigned)r) };
			tests[total] = make_test(entries + total);
		}
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	int failed = _cmocka_run_group_tests(argv[0], tests, total, NULL, NULL);
	for (size_t i = 0; i < total; i++)
		free((void *)(uintptr_t)tests[i].name);
	free(tests);
	free(entries);
	return failed != 0;
}
