/*
 * syscalls.c - the tracepoint raw_syscalls:sys_enter, by perf_event_open(2).
 *
 * DESIGN. The event is inherited, so processes started later are counted with this one, also when they execute a
 * program; a reading sums over all of them, the ended ones too. The tracepoint's number is only told by tracefs. (Tried and
 * dropped: ptrace, as strace does. It makes calls so slow that workers sleep where they would not, and the counts are of
 * another program.)
 */
#include "harness/syscalls.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

struct syscalls {
	int fd;
};

static int read_id(const char *path, uint64_t *id)
{
	FILE *file = fopen(path, "re");
	unsigned long read;
	int rc = -EINVAL;

	if (file == NULL)
		return -errno;
	if (fscanf(file, "%lu", &read) == 1) {
		*id = read;
		rc = 0;
	}
	fclose(file);
	return rc;
}

/* Newer systems mount tracefs at the first place, older ones have it in debugfs. */
static int tracepoint(uint64_t *id)
{
	int rc = read_id("/sys/kernel/tracing/events/raw_syscalls/sys_enter/id", id);

	return rc == -ENOENT
		       ? read_id("/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id", id)
		       : rc;
}

int syscalls_new(struct syscalls **syscalls)
{
	struct perf_event_attr attr = { .type = PERF_TYPE_TRACEPOINT,
					.size = sizeof attr,
					.inherit = 1 };
	struct syscalls *made;
	uint64_t id = 0;
	int rc = tracepoint(&id), fd;

	if (rc < 0)
		return rc;
	attr.config = id;
	fd = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	if (fd < 0)
		return -errno;
	made = malloc(sizeof *made);
	if (made == NULL) {
		close(fd);
		return -ENOMEM;
	}
	made->fd = fd;
	*syscalls = made;
	return 0;
}

void syscalls_free(struct syscalls *syscalls)
{
	if (syscalls == NULL)
		return;
	close(syscalls->fd);
	free(syscalls);
}

int64_t syscalls_read(const struct syscalls *syscalls)
{
	int64_t count = 0;

	return read(syscalls->fd, &count, sizeof count) == sizeof count ? count : 0;
}

const char *syscalls_reason(int rc)
{
	if (rc == -ENOENT)
		return "no tracefs to ask (as root: mount -t tracefs none /sys/kernel/tracing)";
	if (rc == -EACCES || rc == -EPERM)
		return "not permitted (needs root, or CAP_PERFMON and a readable tracefs)";
	return "this kernel does not count them";
}
