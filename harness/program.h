/*
 * program.h - programs as files: is it a poolbench, which one, and a copy of it.
 *
 * A path NULL is the running program.
 */
#ifndef HARNESS_PROGRAM_H
#define HARNESS_PROGRAM_H

#include <stddef.h>
#include <sys/types.h>

#define PROGRAM_DIGEST_SIZE 65

/* Can it be run, and does it say by --version that it is a poolbench? `version` becomes that line. 0, or -errno after one line
 * on stderr. */
int program_check(const char *path, char *version, size_t size);

/* SHA-256 in hexadecimal digits. 0 or -errno. */
int program_digest(const char *path, char digest[PROGRAM_DIGEST_SIZE]);

/* A copy of this file at `to`, which must not exist. 0, or -errno after one line on stderr; then nothing is left of it. */
int program_copy(const char *path, const char *to, mode_t mode);

#endif
