/*
 * child.h - one cell in a fresh process of its own, with a deadline.
 */
#ifndef HARNESS_CHILD_H
#define HARNESS_CHILD_H

#include "harness/record.h"

#include <signal.h>

/* Executes this program (for a peer's cell: the peer's) as `poolbench cell --record`, waits for it, and fills in *record (cell, round and order are given
 * in it). A child that crashes, hangs or says nonsense leaves a row with `error`; whatever it started
 * is killed with it. Blocks up to deadline_ns; signals that `waiting` lets through end it early.
 * 0; -EINTR: a signal came, no row; -errno: no process could be started. */
int child_measure(struct record *record, uint64_t seed, int64_t deadline_ns,
		  const sigset_t *waiting);

/* The same by `program`, another poolbench; NULL is this one. A path without a slash is not looked for. */
int child_measure_by(const char *program, struct record *record, uint64_t seed, int64_t deadline_ns,
		     const sigset_t *waiting);

#endif
