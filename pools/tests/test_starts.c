/*
 * test_starts.c - how workers come up, in hosts that are not as one expects: of which descriptors, program, children or
 * credentials are missing or others than they were.
 */
#include "pools/tests/suite.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REFUSED = 2 }; /* the exit code of a program that is not to be a worker */

/* == Credentials == */

enum { WORKER = 2 }; /* shared word */

static int become_nobody(struct pool_call *call)
{
	(void)call;
	return setgid(65534) || setuid(65534);
}
POOL_TASK(become_nobody)

static int wait_for_ever(struct pool_call *call)
{
	(void)call;
	return pause();
}
POOL_TASK(wait_for_ever)

static _Noreturn void be_host_until_killed(const struct pool_backend_info *row)
{
	struct pool *pool = suite_open_with(row, (struct pool_options){
							 .workers = 1,
							 .initializer = POOL(become_nobody),
						 });
	struct pool_async *async;
	int64_t x = 3, y = 0;
	struct pool_column arg = { &x, sizeof x };
	CHECK_EQ(pool_apply(pool, suite_square, &arg, 1, &y, 8, NULL), 0);
	CHECK_EQ(pool_apply_async(pool, POOL(wait_for_ever), &arg, 1, 0, NULL, &async), 0);
	pid_t pid = 0;
	while (pid <= 0)
		pid = pool_worker_pid(pool, 0);
	suite_sleep_ns(50 * MS); /* it runs: a worker that reads a pipe would see its end */
	shared_set(WORKER, pid);
	for (;;)
		pause();
}

/* With its credentials a process loses the wish to die with its parent. */
static void worker_of_another_user_dies_with_its_host(const struct pool_backend_info *row)
{
	if (geteuid() != 0) {
		fprintf(stderr, "[%s] not tried: only root can become somebody else\n", row->name);
		return;
	}
	pid_t host = fork();
	CHECK(host >= 0);
	if (host == 0)
		be_host_until_killed(row);
	CHECK(shared_reaches(WORKER, 1));
	pid_t worker = (pid_t)shared_get(WORKER);
	CHECK_EQ(kill(host, SIGKILL), 0);
	CHECK_EQ(waitpid(host, NULL, 0), host);
	CHECK(suite_is_gone(worker));
	while (waitpid(-1, NULL, 0) > 0)
		;
}

/* == Descriptors == */

static int64_t standard_descriptors(void)
{
	int64_t open = 0;
	for (int fd = 0; fd < 3; fd++)
		open += fcntl(fd, F_GETFD) >= 0;
	return open;
}

static int standard_descriptors_of_worker(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = standard_descriptors();
	return 0;
}
POOL_TASK(standard_descriptors_of_worker)

/* Nobody could read what was wrong: its exit code is the line. */
static int use_without_standard_descriptors(const struct pool_backend_info *row)
{
	int64_t x = 0, open = -1;
	struct pool_column arg = { &x, sizeof x };
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	struct pool *pool = suite_open(row, 2);
	if (standard_descriptors() != 0)
		return 2;
	if (pool_apply(pool, POOL(standard_descriptors_of_worker), &arg, 1, &open, 8, NULL) || open)
		return 3;
	if (row->can & POOL_CAN_SURVIVE &&
	    suite_do(pool, (struct errand){ .deed = DEED_KILL }) != POOL_WORKER_LOST)
		return 4;
	if (suite_do(pool, (struct errand){ .value = 1 }))
		return 5;
	/* While a thread starts the killed one's successor, a new descriptor is a standard one until it has been copied. */
	for (int64_t end = suite_now_ns() + WAIT;
	     (open = standard_descriptors()) && suite_now_ns() < end;)
		suite_sleep_ns(MS);
	suite_finish(pool);
	return open == 0 ? 0 : 6;
}

/* Who writes to standard output there would write into the pool. */
static void pool_takes_no_standard_descriptor(const struct pool_backend_info *row)
{
	int status;
	pid_t host = fork();
	CHECK(host >= 0);
	if (host == 0)
		_exit(use_without_standard_descriptors(row));
	CHECK_EQ(waitpid(host, &status, 0), host);
	CHECK(WIFEXITED(status));
	CHECK_EQ(WEXITSTATUS(status), 0);
}

/* Descriptors that a program would inherit which is executed now. */
static int64_t inherited_descriptors(void)
{
	int64_t inherited = 0;
	for (int fd = 3; fd < 256; fd++) {
		int flags = fcntl(fd, F_GETFD);
		inherited += flags >= 0 && !(flags & FD_CLOEXEC);
	}
	return inherited;
}

static int inherited_from_worker(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = inherited_descriptors();
	return 0;
}
POOL_TASK(inherited_from_worker)

static void program_started_by_a_task_inherits_nothing_of_the_pool(
	const struct pool_backend_info *row)
{
	int64_t x = 0, inherited = -1;
	struct pool_column arg = { &x, sizeof x };
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(pool_apply(pool, POOL(inherited_from_worker), &arg, 1, &inherited, 8, NULL), 0);
	CHECK_EQ(inherited, inherited_descriptors());
	suite_finish(pool);
}

/* == The program == */

static const char HOST[] = "--host="; /* main's argument: the row */

static const struct pool_backend_info *row_named(const char *name)
{
	unsigned i = 0;
	while (strcmp(pool_backend_info(i)->name, name) != 0)
		i++;
	return pool_backend_info(i);
}

static void check_successor_works(struct pool *pool)
{
	CHECK_EQ(suite_do(pool, (struct errand){ .deed = DEED_KILL }), POOL_WORKER_LOST);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
}

/* A program that is deleted while its pool is open, and then another has its name. */
static int be_host_without_program(const struct pool_backend_info *row, const char *path)
{
	struct pool *pool = suite_open(row, 1);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 3 }), 0);
	CHECK_EQ(unlink(path), 0);
	check_successor_works(pool);
	CHECK_EQ(symlink("/bin/true", path), 0);
	check_successor_works(pool);
	suite_finish(pool);
	suite_finish(suite_open(row, 2));
	return 0;
}

/* Another name of this program, to be deleted. False: not here. */
static bool give_name(char name[4200])
{
	char path[4096] = "";
	if (readlink("/proc/self/exe", path, sizeof path - 1) < 0)
		return false;
	snprintf(name, 4200, "%s.%d", path, (int)getpid());
	return link(path, name) == 0;
}

static void program_that_was_replaced_goes_on_starting_workers(const struct pool_backend_info *row)
{
	char name[4200], argument[64];
	int status;
	if (!give_name(name)) {
		fprintf(stderr, "[%s] not tried: no name can be made beside the program's\n",
			row->name);
		return;
	}
	snprintf(argument, sizeof argument, "%s%s", HOST, row->name);
	pid_t host = fork();
	CHECK(host >= 0);
	if (host == 0) {
		execl(name, name, argument, (char *)NULL);
		_exit(127);
	}
	CHECK_EQ(waitpid(host, &status, 0), host);
	unlink(name);
	CHECK_EQ(status, 0);
}

/* == A worker that no pool has started == */

static const char self[] = "/proc/self/exe";

/* The exit code of `program`, executed as a worker. */
static int execute(const char *program, const char *row, int worker, int board, pid_t parent)
{
	char argument[128];
	unsigned i = 0;
	while (pool_backend_info(i) != row_named(row))
		i++;
	snprintf(argument, sizeof argument, "--pool-worker=%d,%d,%d,-1,-1,-1,0,%u", worker,
		 (int)parent, board, i);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		fcntl(board, F_SETFD, 0);
		execl(program, program, argument, (char *)NULL);
		_exit(127);
	}
	int status;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int file_of(const void *data, size_t size)
{
	int fd = memfd_create("crafted", MFD_CLOEXEC);
	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	return fd;
}

static void check_refused(const struct pool_backend_info *row, const void *data, size_t size)
{
	int fd = file_of(data, size);
	CHECK_EQ(execute(self, row->name, 0, fd, getpid()), REFUSED);
	close(fd);
}

static void worker_of_no_pool_is_refused(const struct pool_backend_info *row)
{
	unsigned char head[4096];
	struct pool *pool = suite_open(row, 2);
	const int board = suite_find_descriptor("pool-board");
	CHECK_EQ(execute(self, row->name, 1, board, 1), 0); /* not its parent's child */
	CHECK_EQ(execute(self, row->name, 2, board, getpid()), REFUSED);
	CHECK_EQ(execute(self, row->name, -1, board, getpid()), REFUSED);
	CHECK_EQ(execute(self, row->name, 1 << 30, board, getpid()), REFUSED);
	CHECK_EQ(execute(self, "serial", 0, board, getpid()), REFUSED);
	CHECK_EQ(execute(self, row->name, 0, 1000, getpid()), REFUSED);
	CHECK_EQ(pread(board, head, sizeof head, 0), sizeof head);
	check_refused(row, head, 0);
	check_refused(row, head, 3);
	check_refused(row, head, sizeof head);
	memset(head, 0xff, sizeof head);
	check_refused(row, head, sizeof head);
	memset(head, 0, sizeof head);
	check_refused(row, head, sizeof head);
	suite_finish(pool);
}

/* A copy of this program that runs with the rights of its owner. False: not here. */
static bool make_privileged(char name[4200])
{
	struct stat about;
	struct statvfs place;
	if (geteuid() != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) || !give_name(name))
		return false;
	int from = open(name, O_RDONLY | O_CLOEXEC);
	CHECK(from >= 0 && fstat(from, &about) == 0 && fstatvfs(from, &place) == 0);
	CHECK_EQ(unlink(name), 0);
	int to = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);
	CHECK(to >= 0 && !fchown(to, 65534, 65534) && !fchmod(to, 04755));
	for (off_t left = about.st_size; left > 0;) {
		ssize_t sent = sendfile(to, from, NULL, (size_t)left);
		CHECK(sent > 0);
		left -= sent;
	}
	fchmod(to, 04755); /* writing took the bit away */
	close(from);
	close(to);
	if (place.f_flag & ST_NOSUID)
		unlink(name);
	return !(place.f_flag & ST_NOSUID);
}

/* Else whoever may start it would choose what it does with its rights. */
static void privileged_program_is_no_worker(const struct pool_backend_info *row)
{
	char name[4200];
	if (!make_privileged(name)) {
		fprintf(stderr, "[%s] not tried: no program can have its owner's rights here\n",
			row->name);
		return;
	}
	struct pool *pool = suite_open(row, 1);
	const int code = execute(name, row->name, 0, suite_find_descriptor("pool-board"), 1);
	unlink(name);
	CHECK_EQ(code, REFUSED);
	suite_finish(pool);
}

/* == Workers that cannot be watched == */

enum { ENTERED = 2, OPENED, BEGUN }; /* shared words */
static bool no_pidfd;
static bool reaps;   /* and the host kills and reaps what the pool was about to watch */
static pid_t reaped; /* that */
static int killed;   /* how often by its number since then */

static void *next_of(const char *name)
{
	void *next = dlsym(RTLD_NEXT, name);
	CHECK(next);
	return next;
}

static void be_in_the_way(pid_t pid)
{
	if (!reaps) {
		CHECK(shared_reaches(BEGUN, 1)); /* it works already */
		return;
	}
	kill(pid, SIGKILL);
	CHECK_EQ(waitpid(pid, NULL, 0), pid);
	reaped = pid;
}

/* In place of the C library's: once there is no descriptor. */
__attribute__((no_sanitize("address"))) /* reads six, there may be less */
long syscall(long number, ...)
{
	static long (*real)(long, ...);
	long a[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	if (!real)
		*(void **)&real = next_of("syscall");
	if (number == SYS_pidfd_open && __atomic_exchange_n(&no_pidfd, false, __ATOMIC_SEQ_CST)) {
		be_in_the_way((pid_t)a[0]);
		errno = EMFILE;
		return -1;
	}
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int kill(pid_t pid, int number)
{
	static int (*real)(pid_t, int);
	if (!real)
		*(void **)&real = next_of("kill");
	killed += pid == reaped && pid > 0;
	return real(pid, number);
}

static void number_of_a_reaped_worker_is_not_killed(const struct pool_backend_info *row)
{
	struct pool *pool;
	const struct pool_options options = { .backend = row->name, .workers = 1 };
	reaps = true;
	__atomic_store_n(&no_pidfd, true, __ATOMIC_SEQ_CST);
	CHECK_EQ(pool_open(&pool, &options), -EMFILE);
	CHECK(reaped > 0);
	CHECK_EQ(killed, 0);
}

static const struct pool_failure *lost_item(struct pool_async *async)
{
	CHECK_EQ(pool_async_get(async, NULL, WAIT), POOL_WORKER_LOST);
	const struct pool_failure *failure = pool_async_failure(async);
	CHECK(failure && failure->pid > 0);
	return failure;
}

/* What is told of the item is not its predecessor's end. */
static void item_of_a_worker_that_cannot_be_watched_is_lost(const struct pool_backend_info *row)
{
	if (!strstr(row->name, "shm"))
		return; /* there nobody is sent anything before it is watched */
	struct pool *pool = suite_open(row, 1);
	struct pool_async *dies =
		suite_start(pool,
			    (struct errand){ .deed = DEED_SEGV, .word = ENTERED, .gate = OPENED },
			    NULL);
	CHECK(shared_reaches(ENTERED, 1));
	struct pool_async *next =
		suite_start(pool, (struct errand){ .nap_ns = HOUR, .word = BEGUN }, NULL);
	__atomic_store_n(&no_pidfd, true, __ATOMIC_SEQ_CST);
	shared_set(OPENED, 1);
	const struct pool_failure *first = lost_item(dies), *second = lost_item(next);
	CHECK(second->pid != first->pid);
	CHECK(second->signal == 0 || second->signal == SIGKILL);
	CHECK_EQ(second->code, -1);
	pool_async_release(dies);
	pool_async_release(next);
	CHECK_EQ(suite_do(pool, (struct errand){ .value = 1 }), 0);
	suite_finish(pool);
}

static const struct suite_case cases[] = {
	CASE(worker_of_another_user_dies_with_its_host, POOL_CAN_ISOLATE),
	CASE(pool_takes_no_standard_descriptor, 0),
	CASE(program_started_by_a_task_inherits_nothing_of_the_pool, POOL_CAN_ISOLATE),
	CASE(program_that_was_replaced_goes_on_starting_workers, POOL_CAN_EXEC),
	CASE(worker_of_no_pool_is_refused, POOL_CAN_EXEC),
	CASE(privileged_program_is_no_worker, POOL_CAN_EXEC),
	CASE(number_of_a_reaped_worker_is_not_killed, POOL_CAN_ISOLATE),
	CASE(item_of_a_worker_that_cannot_be_watched_is_lost, POOL_CAN_ISOLATE),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	if (argc == 2 && strncmp(argv[1], HOST, sizeof HOST - 1) == 0)
		return be_host_without_program(row_named(argv[1] + sizeof HOST - 1), argv[0]);
	return suite_main(argc, argv, cases, COUNT(cases));
}
