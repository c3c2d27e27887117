/* inject.c - see inject.h. */
#include "pools/tests/inject.h"
#include "pools/tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_PATH "POOL_INJECT_PAGE"

/* Written by the pool's process before any worker is there, but for the counts. */
struct page {
	pid_t pool;
	int armed;
	struct inject_plan plan;
	uint64_t count[SIDES][CALLS]; /* atomic; anybody */
	uint64_t hits;
};

static struct page *page;
static int64_t live; /* atomic */

/* == Plans == */

static struct page *map_page(int fd)
{
	void *at = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

void inject_open(void)
{
	char path[64];
	int fd = memfd_create("inject", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, sizeof *page) == 0);
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
	setenv(PAGE_PATH, path, 1);
	page = map_page(fd);
	CHECK(page);
	page->pool = getpid();
}

void inject_arm(const struct inject_plan *plan)
{
	__atomic_store_n(&page->armed, 0, __ATOMIC_SEQ_CST);
	page->plan = *plan;
	memset(page->count, 0, sizeof page->count);
	page->hits = 0;
	__atomic_store_n(&page->armed, 1, __ATOMIC_SEQ_CST);
}

void inject_disarm(void)
{
	__atomic_store_n(&page->armed, 0, __ATOMIC_SEQ_CST);
}

uint64_t inject_count(enum inject_side side, enum inject_call call)
{
	return __atomic_load_n(&page->count[side][call], __ATOMIC_SEQ_CST);
}

uint64_t inject_hits(void)
{
	return __atomic_load_n(&page->hits, __ATOMIC_SEQ_CST);
}

int64_t inject_live(void)
{
	return __atomic_load_n(&live, __ATOMIC_SEQ_CST);
}

/* An executed worker finds the page at its first call, before it has any thread. */
static struct page *find_page(void)
{
	static bool looked;
	if (page || looked)
		return page;
	looked = true;
	const char *path = getenv(PAGE_PATH);
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	if (fd >= 0) {
		page = map_page(fd);
		close(fd);
	}
	return page;
}

/* The error this use shall have, 0: none. Also called between vfork and exec: atomics only. */
static int next_error(enum inject_call call)
{
	struct page *p = find_page();
	if (!p || !__atomic_load_n(&p->armed, __ATOMIC_SEQ_CST))
		return 0;
	enum inject_side side = getpid() == p->pool ? SIDE_POOL : SIDE_WORKERS;
	uint64_t n = __atomic_add_fetch(&p->count[side][call], 1, __ATOMIC_SEQ_CST);
	const struct inject_plan *plan = &p->plan;
	if (call != plan->call || side != plan->side || plan->nth == 0)
		return 0;
	if (n != plan->nth && !(plan->lasting && n > plan->nth))
		return 0;
	__atomic_add_fetch(&p->hits, 1, __ATOMIC_SEQ_CST);
	return plan->error;
}

static bool fails(enum inject_call call)
{
	int error = next_error(call);
	if (error)
		errno = error;
	return error != 0;
}

/* == Memory == */

void *inject_malloc(size_t size);
void *inject_calloc(size_t n, size_t size);
void inject_free(void *memory);
int inject_posix_memalign(void **memory, size_t alignment, size_t size);
char *inject_strdup(const char *text);
int inject_vasprintf(char **text, const char *format, va_list args);
cpu_set_t *inject_cpualloc(size_t cpus);

static void *counted(void *memory)
{
	if (memory)
		__atomic_add_fetch(&live, 1, __ATOMIC_SEQ_CST);
	return memory;
}

void *inject_malloc(size_t size)
{
	return fails(CALL_MEMORY) ? NULL : counted(malloc(size));
}

void *inject_calloc(size_t n, size_t size)
{
	return fails(CALL_MEMORY) ? NULL : counted(calloc(n, size));
}

void inject_free(void *memory)
{
	if (memory)
		__atomic_sub_fetch(&live, 1, __ATOMIC_SEQ_CST);
	free(memory);
}

int inject_posix_memalign(void **memory, size_t alignment, size_t size)
{
	int error = next_error(CALL_MEMORY);
	if (error == 0)
		error = posix_memalign(memory, alignment, size);
	if (error == 0)
		counted(*memory);
	return error;
}

char *inject_strdup(const char *text)
{
	return fails(CALL_MEMORY) ? NULL : counted(strdup(text));
}

int inject_vasprintf(char **text, const char *format, va_list args)
{
	if (fails(CALL_MEMORY))
		return -1;
	int size = vasprintf(text, format, args);
	if (size >= 0)
		counted(*text);
	return size;
}

cpu_set_t *inject_cpualloc(size_t cpus)
{
	return fails(CALL_MEMORY) ? NULL : CPU_ALLOC(cpus);
}

/* == Processes and threads == */

pid_t inject_fork(void);
int inject_vfork_error(void);
int inject_execve(const char *path, char *const argv[], char *const envp[]);
int inject_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*main)(void *), void *argument);
int inject_waitid(idtype_t type, id_t id, siginfo_t *info, int options);
pid_t inject_waitpid(pid_t pid, int *status, int options);
int inject_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set);
int inject_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set);

pid_t inject_fork(void)
{
	return fails(CALL_FORK) ? -1 : fork();
}

int inject_vfork_error(void)
{
	return fails(CALL_FORK);
}

/* No function may call vfork and return: this one asks, and then becomes vfork. */
#if defined(__x86_64__)
__asm__(".text\n.globl inject_vfork\n.type inject_vfork, @function\n"
	"inject_vfork:\n"
	"	sub $8, %rsp\n	call inject_vfork_error@PLT\n	add $8, %rsp\n"
	"	test %eax, %eax\n	jne 1f\n	jmp vfork@PLT\n"
	"1:	mov $-1, %eax\n	ret\n"
	".size inject_vfork, .-inject_vfork\n");
#elif defined(__aarch64__)
__asm__(".text\n.globl inject_vfork\n.type inject_vfork, %function\n"
	"inject_vfork:\n"
	"	stp x29, x30, [sp, #-16]!\n	bl inject_vfork_error\n	ldp x29, x30, [sp], #16\n"
	"	cbnz w0, 1f\n	b vfork\n"
	"1:	mov w0, #-1\n	ret\n"
	".size inject_vfork, .-inject_vfork\n");
#else /* a failing exec is then seen as a worker that exits */
pid_t inject_vfork(void);
pid_t inject_vfork(void)
{
	return inject_fork();
}
#endif

int inject_execve(const char *path, char *const argv[], char *const envp[])
{
	return fails(CALL_EXEC) ? -1 : execve(path, argv, envp);
}

int inject_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*main)(void *), void *argument)
{
	int error = next_error(CALL_THREAD);
	return error ? error : pthread_create(thread, attributes, main, argument);
}

int inject_waitid(idtype_t type, id_t id, siginfo_t *info, int options)
{
	return fails(CALL_WAIT_CHILD) ? -1 : waitid(type, id, info, options);
}

pid_t inject_waitpid(pid_t pid, int *status, int options)
{
	return fails(CALL_WAIT_CHILD) ? -1 : waitpid(pid, status, options);
}

int inject_sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
	return fails(CALL_AFFINITY) ? -1 : sched_getaffinity(pid, size, set);
}

int inject_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t *set)
{
	return fails(CALL_AFFINITY) ? -1 : sched_setaffinity(pid, size, set);
}

/* == Descriptors and what they name == */

int inject_pipe2(int ends[2], int flags);
int inject_fcntl(int fd, int command, ...);
int inject_memfd_create(const char *name, unsigned flags);
int inject_ftruncate(int fd, off_t size);
int inject_fallocate(int fd, int mode, off_t at, off_t bytes);
int inject_posix_fallocate(int fd, off_t at, off_t bytes);
void *inject_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset);
int inject_madvise(void *at, size_t bytes, int advice);
int inject_fstat(int fd, struct stat *about);
int inject_eventfd(unsigned value, int flags);
FILE *inject_fopen(const char *path, const char *mode);
int inject_open_file(const char *path, int flags, ...);

int inject_pipe2(int ends[2], int flags)
{
	return fails(CALL_PIPE) ? -1 : pipe2(ends, flags);
}

int inject_fcntl(int fd, int command, ...)
{
	va_list args;
	va_start(args, command);
	int argument = va_arg(args, int);
	va_end(args);
	if (command == F_SETPIPE_SZ && fails(CALL_PIPE_SIZE))
		return -1;
	if (command == F_DUPFD_CLOEXEC && fails(CALL_DUP))
		return -1;
	return fcntl(fd, command, argument);
}

int inject_memfd_create(const char *name, unsigned flags)
{
	return fails(CALL_MEMFD) ? -1 : memfd_create(name, flags);
}

int inject_ftruncate(int fd, off_t size)
{
	return fails(CALL_TRUNCATE) ? -1 : ftruncate(fd, size);
}

/* Giving memory back needs none. */
int inject_fallocate(int fd, int mode, off_t at, off_t bytes)
{
	return mode == 0 && fails(CALL_ALLOCATE) ? -1 : fallocate(fd, mode, at, bytes);
}

int inject_posix_fallocate(int fd, off_t at, off_t bytes)
{
	int error = next_error(CALL_ALLOCATE);
	return error ? error : posix_fallocate(fd, at, bytes);
}

void *inject_mmap(void *at, size_t bytes, int protection, int flags, int fd, off_t offset)
{
	return fails(CALL_MAP) ? MAP_FAILED : mmap(at, bytes, protection, flags, fd, offset);
}

int inject_madvise(void *at, size_t bytes, int advice)
{
	return fails(CALL_ADVISE) ? -1 : madvise(at, bytes, advice);
}

int inject_fstat(int fd, struct stat *about)
{
	return fails(CALL_STAT) ? -1 : fstat(fd, about);
}

int inject_eventfd(unsigned value, int flags)
{
	return fails(CALL_EVENTFD) ? -1 : eventfd(value, flags);
}

FILE *inject_fopen(const char *path, const char *mode)
{
	return fails(CALL_FILE) ? NULL : fopen(path, mode);
}

int inject_open_file(const char *path, int flags, ...)
{
	return fails(CALL_FILE) ? -1 : open(path, flags); /* the library creates no file */
}

/* == Moving bytes: pipes only, an eventfd that does not block cannot be interrupted == */

ssize_t inject_read(int fd, void *to, size_t bytes);
ssize_t inject_readv(int fd, const struct iovec *iov, int count);
ssize_t inject_write(int fd, const void *from, size_t bytes);
ssize_t inject_writev(int fd, const struct iovec *iov, int count);

static bool is_pipe(int fd)
{
	struct stat about;
	return fstat(fd, &about) == 0 && S_ISFIFO(about.st_mode);
}

ssize_t inject_read(int fd, void *to, size_t bytes)
{
	if (!is_pipe(fd))
		return read(fd, to, bytes);
	if (fails(CALL_READ))
		return -1;
	if (bytes > 1 && next_error(CALL_READ_LONG))
		bytes /= 2;
	return read(fd, to, bytes);
}

ssize_t inject_readv(int fd, const struct iovec *iov, int count)
{
	if (fails(CALL_READ))
		return -1;
	if (iov->iov_len > 1 && next_error(CALL_READ_LONG))
		return read(fd, iov->iov_base, 1 + iov->iov_len / 1000);
	return readv(fd, iov, count);
}

ssize_t inject_write(int fd, const void *from, size_t bytes)
{
	if (!is_pipe(fd))
		return write(fd, from, bytes);
	if (fails(CALL_WRITE))
		return -1;
	if (bytes > PIPE_BUF && next_error(CALL_WRITE_LONG))
		bytes /= 2;
	return write(fd, from, bytes);
}

ssize_t inject_writev(int fd, const struct iovec *iov, int count)
{
	size_t bytes = 0;
	for (int i = 0; i < count; i++)
		bytes += iov[i].iov_len;
	if (fails(CALL_WRITE))
		return -1;
	if (bytes > PIPE_BUF && next_error(CALL_WRITE_LONG))
		return write(fd, iov->iov_base, 1 + iov->iov_len / 2);
	return writev(fd, iov, count);
}

/* == Waiting == */

int inject_poll(struct pollfd *events, nfds_t count, int milliseconds);
int inject_epoll_create1(int flags);
int inject_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);
int inject_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds);
long inject_syscall(long number, long a, long b, long c, long d, long e, long f);

int inject_poll(struct pollfd *events, nfds_t count, int milliseconds)
{
	return fails(CALL_POLL) ? -1 : poll(events, count, milliseconds);
}

int inject_epoll_create1(int flags)
{
	return fails(CALL_EPOLL) ? -1 : epoll_create1(flags);
}

int inject_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	if (operation == EPOLL_CTL_ADD && fails(CALL_WATCH))
		return -1;
	return epoll_ctl(epoll, operation, fd, event);
}

int inject_epoll_wait(int epoll, struct epoll_event *events, int most, int milliseconds)
{
	return fails(CALL_WAIT_EVENTS) ? -1 : epoll_wait(epoll, events, most, milliseconds);
}

/* Taken as always having six: more are read than were given, which the ABIs we know allow, as glibc does. */
long inject_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number == SYS_pidfd_open && fails(CALL_PIDFD))
		return -1;
	if (number == SYS_futex && (int)b == FUTEX_WAIT && fails(CALL_FUTEX_WAIT))
		return -1;
	return syscall(number, a, b, c, d, e, f);
}
