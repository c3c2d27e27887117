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

/* x86 has a name; others have a number or a word under another key. */
static json_t *cpu_model(void)
{
	static const char *const keys[] = { "model name", "CPU part", "cpu", "uarch" };
	json_t *text = json_null();

	for (size_t i = 0; json_is_null(text) && i < sizeof keys / sizeof *keys; i++)
		text = keyed_line("/proc/cpuinfo", keys[i]);
	return text;
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

/* Pages, forks and RSS figures depend on the one in brackets: "always [madvise] never" gives "madvise". */
static json_t *chosen_word(const char *path)
{
	json_t *line = first_line(path), *word;
	const char *open = json_is_string(line) ? strchr(json_string_value(line), '[') : NULL;
	size_t length = open ? strcspn(open + 1, "]") : 0;

	if (open == NULL)
		return line;
	word = json_stringn(open + 1, length);
	json_decref(line);
	return word;
}

static json_t *cpu_mhz(void)
{
	json_t *text = keyed_line("/proc/cpuinfo", "cpu MHz"), *mhz;

	if (json_is_null(text))
		return text;
	mhz = json_real(strtod(json_string_value(text), NULL));
	json_decref(text);
	return mhz;
}

static int64_t bytes_of(const char *text)
{
	char *suffix;
	int64_t number = strtoll(text, &suffix, 10);

	return *suffix == 'K' ? number << 10 : *suffix == 'M' ? number << 20 : number;
}

/* CPUs in a list like "0-3,8". */
static int count_cpus(const char *list)
{
	int count = 0;

	while (*list) {
		char *end;
		long first = strtol(list, &end, 10), last = first;
		if (end == list)
			break;
		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		count += (int)(last - first + 1);
		list = *end == ',' ? end + 1 : end;
	}
	return count;
}

static json_t *cache_fact(int index, const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu0/cache/index%d/%s", index, name);
	return first_line(path);
}

/* Of the first CPU, in Google Benchmark's words; empty where the kernel does not tell. */
static json_t *caches(void)
{
	json_t *list = json_array();

	for (int i = 0; i < 8; i++) {
		json_t *type = cache_fact(i, "type"), *level = cache_fact(i, "level"),
		       *size = cache_fact(i, "size"), *shared = cache_fact(i, "shared_cpu_list");
		if (json_is_string(type) && json_is_string(level) && json_is_string(size) &&
		    json_is_string(shared))
			json_array_append_new(
				list,
				json_pack("{sO si sI si}", "type", type, "level",
					  atoi(json_string_value(level)), "size",
					  (json_int_t)bytes_of(json_string_value(size)),
					  "num_sharing", count_cpus(json_string_value(shared))));
		json_decref(type);
		json_decref(level);
		json_decref(size);
		json_decref(shared);
	}
	return list;
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
		 "timeout -s KILL 10 git -C '%s' describe --always --dirty --tags 2>/dev/null",
		 dirname(exe));
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
		"{so so so si so si so so so so so sf so so so so so so ss ss so}", "cpu_model",
		cpu_model(), "cpu_mhz", cpu_mhz(), "caches", caches(), "cpus_online",
		(int)sysconf(_SC_NPROCESSORS_ONLN), "cpus_affinity", affinity(), "cpus_usable",
		pool_cpus(), "cgroup_cpu_max", first_line("/sys/fs/cgroup/cpu.max"), "kernel",
		kernel(), "virtualised", virtualised(), "governor",
		first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"), "clock_source",
		first_line("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
		"clock_ns", clock_cost_ns(), "memory_bytes", memory_bytes(), "load_1min",
		load_average(), "transparent_huge_pages",
		chosen_word("/sys/kernel/mm/transparent_hugepage/enabled"), "cpu_pressure",
		first_line("/proc/pressure/cpu"), "memory_pressure",
		first_line("/proc/pressure/memory"), "io_pressure", first_line("/proc/pressure/io"),
		"compiler", __VERSION__, "poolbench", POOLBENCH_VERSION, "git", git_describe());
}

/* The fact without which nobody knows which machine it was, NULL: all are there. */
static const char *unknown_fact(const json_t *host)
{
	if (!json_is_string(json_object_get(host, "cpu_model")))
		return "cpu_model";
	return json_is_integer(json_object_get(host, "cpus_online")) ? NULL : "cpus_online";
}

bool host_difference(const json_t *a, const json_t *b, char *why, size_t size)
{
	static const char *const facts[] = {
		"cpu_model",
		"cpus_online",
		"cpus_affinity",
		"cpus_usable",
		"kernel",
		"virtualised",
		"governor",
		"cgroup_cpu_max",
		"caches",
		"clock_source",
		"transparent_huge_pages",
	};

	const char *unknown = unknown_fact(a) ? unknown_fact(a) : unknown_fact(b);

	if (unknown != NULL) {
		snprintf(why, size, "unknown machine: its %s is not there", unknown);
		return true;
	}
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
		const json_t *x = json_object_get(a, facts[i]), *y = json_object_get(b, facts[i]);
		if (x == y || json_equal(x, y))
			continue;
		snprintf(why, size, "different machines: %s differs", facts[i]);
		return true;
	}
	return false;
}
