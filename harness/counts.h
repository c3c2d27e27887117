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

/* What is read once around all batches, as it costs a few files of /proc: of a process with all its threads, but not
 * of children it has reaped. */
struct traffic {
	int64_t io_calls, io_bytes; /* read and write calls, and what they moved */
	int64_t run_delay_ns;	    /* ready to run, and no CPU free; of the main thread */
};
void counts_traffic(pid_t pid, struct traffic *traffic); /* zeroes when it is gone */

/* The machine's, since boot; 0 where not known. */
struct machine_time {
	int64_t steal_ns;    /* the hypervisor gave to others, all CPUs; grain of a tick */
	int64_t busy_ns;     /* spent by processes and interrupts, all CPUs; grain of a tick */
	int64_t pressure_ns; /* some process had to wait for a CPU */
};
void counts_machine(struct machine_time *time);

/* total += to - from */
void counts_add_difference(struct counts *total, const struct counts *from,
			   const struct counts *to);

/* This process's highest resident memory in KiB since counts_reset_peak(); 0 where it is not known. */
int64_t counts_peak_kib(void);
void counts_reset_peak(void);

#endif
