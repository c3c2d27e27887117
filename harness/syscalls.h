/*
 * syscalls.h - counting system calls of all kinds, of this process and of all it starts from now on.
 */
#ifndef HARNESS_SYSCALLS_H
#define HARNESS_SYSCALLS_H

#include <stdint.h>

struct syscalls;

/* Begins to count. 0; -ENOENT: there is no tracefs to ask, -EACCES or -EPERM: not permitted, or another -errno. */
int syscalls_new(struct syscalls **syscalls);
void syscalls_free(struct syscalls *syscalls); /* NULL is fine */

/* How many so far. What was called between two readings: their difference less one, the second reading itself. */
int64_t syscalls_read(const struct syscalls *syscalls);

/* Why syscalls_new answered rc, and what would help: static text. */
const char *syscalls_reason(int rc);

#endif
