/*
 * counts.h - what the kernel counted: processor time, context switches, faults, memory, stolen time.
 */
#ifndef HARNESS_COUNTS_H
#define HARNESS_COUNTS_H

#include <stdint.h>
#include <sys/types.h>

struct counts {
	int64_t user_ns, system_ns, voluntary_switches, involuntary_switches, minor_faults;
};

/* Of this process, all its threads, and the children it has reaped. */
void counts_self(struct counts *counts);

/* Of another living process, all its threads; zeroes when it is gone. The split of its processor
 * time into user and system has the grain of the kernel's tick. */
void counts_process(pid_t pid, struct counts *counts);

/* total += to - from */
void counts_add_difference(struct counts *total, const struct counts *from,
			   const struct counts *to);

/* Processor time that the hypervisor gave to others, all CPUs, since boot; 0 where it is not known. */
int64_t counts_steal_ns(void);

/* This process's highest resident memory in KiB since counts_reset_peak(); 0 where it is not known. */
int64_t counts_peak_kib(void);
void counts_reset_peak(void);

#endif
