/*
 * child.h - one cell in a fresh process of its own, with a deadline.
 */
#ifndef HARNESS_CHILD_H
#define HARNESS_CHILD_H

#include "harness/record.h"

#include <signal.h>
#include <sys/types.h>

/* Executes this program (for a peer's cell: the peer's) as `poolbench cell --record`, waits for it, and fills in *record (cell, round and order are given
 * in it). A child that crashes, hangs or says nonsense leaves a row with `error`; whatever it started
 * is killed with it. Blocks up to deadline_ns; signals that `waiting` lets through end it early.
 * 0; -EINTR: a signal came, no row; -errno: no process could be started. */
int child_measure(struct record *record, uint64_t seed, int64_t deadline_ns,
		  const sigset_t *waiting);

/* The same by `program`, another poolbench; NULL is this one. A path without a slash is not looked for. */
int child_measure_by(const char *program, struct record *record, uint64_t seed, int64_t deadline_ns,
		     const sigset_t *waiting);

/* For other programs that are run: in a process that was just forked, a group of its own, signals as a program finds them, and
 * an end with its parent, whose number it was told: one that is gone already ends it at once. */
void child_settle(pid_t parent);
/* Kills what is left of such a process and its group, and reaps it: until then its number is nobody else's. Its status. */
int child_reap(pid_t pid);

#endif
