/*
 * memory.h - what this process and all it has started take of the memory: proportional set size, and the most of it.
 *
 * DESIGN. A page that n processes map counts as 1/n in each (proc(5), smaps_rollup: Pss), so the sum over a tree counts every
 * page of it once. Not in it: the kernel's own memory (page tables, stacks, the contents of pipes). A watch is a thread of
 * this process that takes a sample, pauses MEMORY_PAUSE_NS, and so on until it is ended; what comes and goes within a pause
 * may be missed. It has no place in a part that is timed: a sample reads every process of the machine and walks the
 * page tables of ours, some milliseconds for 64 workers. Its own few pages are in every sample, so
 * they cancel where one watch is compared with another.
 */
#ifndef HARNESS_MEMORY_H
#define HARNESS_MEMORY_H

#include <stdint.h>
#include <sys/types.h>

#define MEMORY_PAUSE_NS 1000000

struct memory_watch;

/* Proportional set size of one process, KiB; -ENOENT: it is gone, or it cannot be read. */
int64_t memory_process_kib(pid_t pid);

/* Starts watching this process and its descendants. 0 or -errno: -ENOENT where there is no smaps_rollup (Linux before 4.14). */
int memory_watch_start(struct memory_watch **watch);
/* Samples taken so far. */
uint64_t memory_watch_samples(const struct memory_watch *watch);
/* Ends and frees the watch; at least one sample was taken. *most_kib is the largest sum. 0, or -errno of a failed watch. */
int memory_watch_end(struct memory_watch *watch, int64_t *most_kib);

#endif
