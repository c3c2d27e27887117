/*
 * probe.h - what a cell can be looked at with beside its batches: `probe` of a cell, `profile_ns` of its row.
 *
 * DESIGN. "memory" looks at the proportional set size of parent and workers (memory.h), into the row's pss_idle_kib, before
 * the first call, and pss_peak_kib, in one batch after the timed ones: the times of such a cell are like any other's. A
 * probe that times sees every call of the timed batches: batch.c calls through probe_call(). It costs readings of the
 * clock, so the times of such a cell are not compared with others'. What profile_ns holds:
 * "syscalls" counts system calls into the row's system_calls (syscalls.h); each costs a little more then. -1: not permitted.
 *
 *	latency   how long single calls took, each timed on its own: profile_ns[i] is the time that the share
 *	          probe_exceedance[i] of all calls took longer than or as long as (1: the shortest call, 0: the longest). 0 where
 *	          it is not known: fewer than PROBE_TAIL calls lie beyond it, or it is less than PROBE_CLOCKS readings
 *	          of the clock. A baseline may tell another time than the call's: see bench.h, latency_ns.
 *	delivery  when results came: with n values, profile_ns[i] is the time from the start of a call until the caller had
 *	          the share (i+1)/n of its results (rounded up to whole ones), median over the first
 *	          PROBE_CALLS calls. n is 64, or the number of tasks if that is less.
 */
#ifndef HARNESS_PROBE_H
#define HARNESS_PROBE_H

#include "harness/record.h"

#define PROBE_TAIL                                                                                 \
	10 /* calls that must lie beyond a quantile; none are asked for of the shortest and the longest */
#define PROBE_CLOCKS 10 /* readings of the clock: what is shorter is not published */
#define PROBE_CALLS 512
#define PROBE_EXCEEDANCES 20
extern const double probe_exceedance[PROBE_EXCEEDANCES]; /* descending, from 1 to 0 */
int probe_exceedance_find(double share);		 /* its place in the table, -1: not in it */

const char *probe_name(unsigned i); /* all there are; NULL past the end */
bool probe_known(const char *name); /* "" is known, too: none */

struct bench;
struct probe; /* one that times; NULL: none does */

/* For bench's cell; *probe is NULL where its probe does not time. 0 or -ENOMEM. */
int probe_new(struct probe **probe, const struct bench *bench);
void probe_free(struct probe *probe);  /* NULL is fine */
void probe_reset(struct probe *probe); /* forgets all calls; NULL is fine */

/* One call, seen. */
int probe_call(struct bench *bench, void *results);
/* The caller has got `count` results of the running call. Cheap. */
void probe_delivered(struct probe *probe, uint64_t count);

/* Sets record->profile and profile_ns; record->clock_ns is set. NULL: nothing to do. */
void probe_keep(const struct probe *probe, struct record *record);

#endif
