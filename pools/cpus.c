/*
 * cpus.c - how many CPUs this process may use: affinity, and the quota of its control group (v2
 * cpu.max, v1 cpu.cfs_quota_us), rounded up, because a pool of zero workers helps nobody.
 */
#include "pools/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int affinity_cpus(void)
{
	for (int room = 1024; room <= 1 << 20; room *= 4) {
		cpu_set_t *set = CPU_ALLOC((size_t)room);
		size_t size = CPU_ALLOC_SIZE((size_t)room);
		if (!set)
			return 1;
		int count = sched_getaffinity(0, size, set) == 0 ? CPU_COUNT_S(size, set) : 0;
		CPU_FREE(set);
		if (count > 0)
			return count;
	}
	return 1;
}

static int ceil_div(long quota, long period)
{
	return quota > 0 && period > 0 ? (int)((quota + period - 1) / period) : 0;
}

/* The file's text, cut to fit; empty if there is none. Without stdio: its buffers and lists are pages that a process
 * that has just forked would have to copy. */
static const char *text_of(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got, all = 0;
	while (fd >= 0 && (got = read(fd, text + all, size - 1 - (size_t)all)) != 0) {
		if (got > 0)
			all += got;
		else if (errno != EINTR)
			break;
	}
	if (fd >= 0)
		close(fd);
	text[all] = '\0';
	return text;
}

static long number_in(const char *path)
{
	char text[32];
	return strtol(text_of(path, text, sizeof text), NULL, 10);
}

/* "max 100000" or "150000 100000"; 0: no quota. */
static int quota_v2(const char *path)
{
	char text[64], *end;
	const long quota = strtol(text_of(path, text, sizeof text), &end, 10);
	return ceil_div(quota, strtol(end, NULL, 10));
}

static int smaller(int a, int b)
{
	return b > 0 && b < a ? b : a;
}

/* The quota of every group from ours up to the root counts. */
static int quota_of_groups(char *group, int cpus)
{
	char path[1200];
	for (;;) {
		snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
		cpus = smaller(cpus, quota_v2(path));
		char *slash = strrchr(group, '/');
		if (!slash)
			return cpus;
		*slash = '\0';
	}
}

int pool_cpus(void)
{
	char groups[16384]; /* one line with v2, a dozen with v1 */
	int cpus = affinity_cpus();
	text_of("/proc/self/cgroup", groups, sizeof groups);
	for (char *line = groups, *next; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (strncmp(line, "0::", 3) == 0)
			cpus = quota_of_groups(line + 3, cpus);
	}
	const long quota = number_in("/sys/fs/cgroup/cpu/cpu.cfs_quota_us");
	return quota > 0
		       ? smaller(cpus,
				 ceil_div(quota, number_in("/sys/fs/cgroup/cpu/cpu.cfs_period_us")))
		       : cpus;
}
