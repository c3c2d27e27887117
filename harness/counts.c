/*
 * counts.c - reading getrusage() and /proc.
 */
#include "harness/counts.h"
#include "harness/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

double clock_cost_ns(void)
{
	enum { ROWS = 5, READINGS = 1000 };
	int64_t best = INT64_MAX;

	for (int row = 0; row < ROWS; row++) {
		int64_t begin = clock_now_ns(), end = begin;
		for (int i = 0; i < READINGS; i++)
			end = clock_now_ns();
		if (end - begin < best)
			best = end - begin;
	}
	return (double)best / READINGS;
}

static int64_t ns_of(struct timeval time)
{
	return time.tv_sec * NS_PER_S + time.tv_usec * 1000;
}

static void add_usage(struct counts *counts, int who)
{
	struct rusage usage;

	getrusage(who, &usage);
	counts->user_ns += ns_of(usage.ru_utime);
	counts->system_ns += ns_of(usage.ru_stime);
	counts->voluntary_switches += usage.ru_nvcsw;
	counts->involuntary_switches += usage.ru_nivcsw;
	counts->minor_faults += usage.ru_minflt;
}

void counts_self(struct counts *counts)
{
	memset(counts, 0, sizeof *counts);
	add_usage(counts, RUSAGE_SELF);
	add_usage(counts, RUSAGE_CHILDREN);
}

static int64_t tick_ns(void)
{
	return NS_PER_S / sysconf(_SC_CLK_TCK);
}

/* The number after `key` at a line's start in a file of /proc, or 0. */
static int64_t proc_number(const char *path, const char *key)
{
	FILE *file = fopen(path, "re");
	char line[256];
	int64_t value = 0;

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, key, strlen(key)) != 0)
			continue;
		sscanf(line + strlen(key), "%" SCNd64, &value);
		break;
	}
	fclose(file);
	return value;
}

/* proc(5), /proc/pid/stat: minflt is field 10, utime 14, stime 15; the name before may hold spaces,
 * so counting begins after its last parenthesis. */
static void read_stat(const char *path, struct counts *counts)
{
	FILE *file = fopen(path, "re");
	char line[1024];
	const char *fields;
	int64_t user, kernel;

	if (file == NULL)
		return;
	if (fgets(line, sizeof line, file) != NULL && (fields = strrchr(line, ')')) != NULL &&
	    sscanf(fields + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %" SCNd64 " %*u %*u %*u %" SCNd64 " %" SCNd64,
		   &counts->minor_faults, &user, &kernel) == 3) {
		counts->user_ns = user * tick_ns();
		counts->system_ns = kernel * tick_ns();
	}
	fclose(file);
}

/* The processor clock of a process is exact; ticks only say which part was the kernel's. */
static void refine_time(pid_t pid, struct counts *counts)
{
	struct timespec used;
	clockid_t clock;
	int64_t total;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &used) != 0)
		return;
	total = used.tv_sec * NS_PER_S + used.tv_nsec;
	if (counts->system_ns > total)
		counts->system_ns = total;
	counts->user_ns = total - counts->system_ns;
}

void counts_process(pid_t pid, struct counts *counts)
{
	char path[64];

	memset(counts, 0, sizeof *counts);
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	read_stat(path, counts);
	refine_time(pid, counts);
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	counts->voluntary_switches = proc_number(path, "voluntary_ctxt_switches:");
	counts->involuntary_switches = proc_number(path, "nonvoluntary_ctxt_switches:");
}

void counts_add_difference(struct counts *total, const struct counts *from, const struct counts *to)
{
	total->user_ns += to->user_ns - from->user_ns;
	total->system_ns += to->system_ns - from->system_ns;
	total->voluntary_switches += to->voluntary_switches - from->voluntary_switches;
	total->involuntary_switches += to->involuntary_switches - from->involuntary_switches;
	total->minor_faults += to->minor_faults - from->minor_faults;
}

void counts_traffic(pid_t pid, struct traffic *traffic)
{
	char path[64];
	FILE *file;

	memset(traffic, 0, sizeof *traffic);
	snprintf(path, sizeof path, "/proc/%d/io", (int)pid);
	traffic->io_calls = proc_number(path, "syscr:") + proc_number(path, "syscw:");
	traffic->io_bytes = proc_number(path, "rchar:") + proc_number(path, "wchar:");
	snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
	file = fopen(path, "re");
	if (file == NULL)
		return;
	if (fscanf(file, "%*d %" SCNd64, &traffic->run_delay_ns) != 1)
		traffic->run_delay_ns = 0;
	fclose(file);
}

/* proc(5), /proc/stat, first line: user nice system idle iowait irq softirq steal. */
static void read_cpu_line(struct machine_time *time)
{
	FILE *file = fopen("/proc/stat", "re");
	int64_t user, nice, kernel, irq, softirq, steal;

	if (file == NULL)
		return;
	if (fscanf(file,
		   "cpu %" SCNd64 " %" SCNd64 " %" SCNd64 " %*d %*d %" SCNd64 " %" SCNd64
		   " %" SCNd64,
		   &user, &nice, &kernel, &irq, &softirq, &steal) == 6) {
		time->steal_ns = steal * tick_ns();
		time->busy_ns = (user + nice + kernel + irq + softirq) * tick_ns();
	}
	fclose(file);
}

/* Documentation/accounting/psi.rst of Linux: the total is in microseconds. */
static void read_pressure(struct machine_time *time)
{
	FILE *file = fopen("/proc/pressure/cpu", "re");
	int64_t us;

	if (file == NULL)
		return;
	if (fscanf(file, "some avg10=%*f avg60=%*f avg300=%*f total=%" SCNd64, &us) == 1)
		time->pressure_ns = us * 1000;
	fclose(file);
}

void counts_machine(struct machine_time *time)
{
	memset(time, 0, sizeof *time);
	read_cpu_line(time);
	read_pressure(time);
}

int64_t counts_peak_kib(void)
{
	return proc_number("/proc/self/status", "VmHWM:");
}

/* proc(5), /proc/pid/clear_refs: 5 resets the high-water mark. */
void counts_reset_peak(void)
{
	FILE *file = fopen("/proc/self/clear_refs", "we");

	if (file == NULL)
		return;
	fputs("5", file);
	fclose(file);
}
