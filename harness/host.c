/*
 * host.c - reading the fingerprint from /proc, /sys and the kernel.
 */
#include "harness/host.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "pools/pool.h"

#include <libgen.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

/* A file's first line without its end, as a string; null when there is none. */
static json_t *first_line(const char *path)
{
	FILE *file = fopen(path, "re");
	char line[512];
	json_t *text = NULL;

	if (file != NULL && fgets(line, sizeof line, file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		text = json_string(line);
	}
	if (file != NULL)
		fclose(file);
	return text ? text : json_null();
}

/* What follows the colon in the first line of `path` that starts with `key`. */
static json_t *keyed_line(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	char line[512];
	const char *colon;
	json_t *text = NULL;

	if (file == NULL)
		return json_null();
	while (text == NULL && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, key, strlen(key)) != 0 || (colon = strchr(line, ':')) == NULL)
			continue;
		line[strcspn(line, "\n")] = '\0';
		text = json_string(colon + 1 + strspn(colon + 1, " \t"));
	}
	fclose(file);
	return text ? text : json_null();
}

static json_t *affinity(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof set, &set) < 0)
		return json_null();
	return json_integer(CPU_COUNT(&set));
}

/* CPUID tells a program under a hypervisor so: the flag is in /proc/cpuinfo. */
static json_t *virtualised(void)
{
	json_t *flags = keyed_line("/proc/cpuinfo", "flags"), *answer;

	if (json_is_null(flags))
		return flags;
	answer = json_boolean(strstr(json_string_value(flags), " hypervisor") != NULL);
	json_decref(flags);
	return answer;
}

static json_t *load_average(void)
{
	double load;

	return getloadavg(&load, 1) == 1 ? json_real(load) : json_null();
}

static json_t *memory_bytes(void)
{
	struct sysinfo info;

	if (sysinfo(&info) < 0)
		return json_null();
	return json_integer((json_int_t)info.totalram * info.mem_unit);
}

static json_t *kernel(void)
{
	struct utsname name;

	if (uname(&name) < 0)
		return json_null();
	return json_pack("{ssss}", "release", name.release, "machine", name.machine);
}

/* `git describe` of the source tree the binary was built in; null elsewhere. */
static json_t *git_describe(void)
{
	char exe[4096], command[4600], line[128];
	ssize_t size = readlink("/proc/self/exe", exe, sizeof exe - 1);
	json_t *text = NULL;
	FILE *pipe;

	if (size < 0)
		return json_null();
	exe[size] = '\0';
	if (strchr(exe, '\'') != NULL)
		return json_null();
	snprintf(command, sizeof command,
		 "git -C '%s' describe --always --dirty --tags 2>/dev/null", dirname(exe));
	pipe = popen(command, "re");
	if (pipe != NULL && fgets(line, sizeof line, pipe) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		text = json_string(line);
	}
	if (pipe != NULL)
		pclose(pipe);
	return text ? text : json_null();
}

json_t *host_fingerprint(void)
{
	return json_pack(
		"{so si so si so so so so so sf so so so so ss ss so}", "cpu_model",
		keyed_line("/proc/cpuinfo", "model name"), "cpus_online",
		(int)sysconf(_SC_NPROCESSORS_ONLN), "cpus_affinity", affinity(), "cpus_usable",
		pool_cpus(), "cgroup_cpu_max", first_line("/sys/fs/cgroup/cpu.max"), "kernel",
		kernel(), "virtualised", virtualised(), "governor",
		first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"), "clock_source",
		first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
		"clock_ns", clock_cost_ns(), "memory_bytes", memory_bytes(), "load_1min",
		load_average(), "transparent_huge_pages",
		first_line("/sys/kernel/mm/transparent_hugepage/enabled"), "cpu_pressure",
		first_line("/proc/pressure/cpu"), "compiler", __VERSION__, "poolbench",
		POOLBENCH_VERSION, "git", git_describe());
}
