/*
 * cpus.c - how many CPUs this process may use: affinity, and the quota of its control group (v2
 * cpu.max, v1 cpu.cfs_quota_us), rounded up, because a pool of zero workers helps nobody.
 */
#include "pools/pool.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* "max 100000" or "150000 100000"; 0: no quota. */
static int quota_v2(const char *path)
{
	char quota[32];
	long period = 0;
	FILE *file = fopen(path, "re");
	if (!file)
		return 0;
	int got = fscanf(file, "%31s %ld", quota, &period);
	fclose(file);
	return got == 2 && strcmp(quota, "max") != 0 ? ceil_div(strtol(quota, NULL, 10), period)
						     : 0;
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

static int quota_v1(int cpus)
{
	long quota = 0, period = 0;
	FILE *a = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "re");
	FILE *b = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "re");
	if (a && b && fscanf(a, "%ld", &quota) == 1 && fscanf(b, "%ld", &period) == 1)
		cpus = smaller(cpus, ceil_div(quota, period));
	if (a)
		fclose(a);
	if (b)
		fclose(b);
	return cpus;
}

int pool_cpus(void)
{
	int cpus = affinity_cpus();
	char line[1024];
	FILE *file = fopen("/proc/self/cgroup", "re");
	while (file && fgets(line, sizeof line, file)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0)
			cpus = quota_of_groups(line + 3, cpus);
	}
	if (file)
		fclose(file);
	return quota_v1(cpus);
}
