/*
 * program.h - programs as files: is it a poolbench, which one, and a copy of it.
 *
 * A path NULL is the running program.
 */
#ifndef HARNESS_PROGRAM_H
#define HARNESS_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#define PROGRAM_DIGEST_SIZE 65

/* Can it be run, and does it say by --version that it is a poolbench? `version` becomes that line. 0, or -errno after one line
 * on stderr. */
int program_check(const char *path, char *version, size_t size);

/* A program that stays the same one, whatever its path names later. */
struct program {
	int fd; /* -1: not open */
	char path
		[48]; /* executes it, also when it is a script, as long as this process has it open */
	char version[256];
	struct stat opened; /* as it was then */
};

/* Opens and checks as program_check does. program_close in any case. */
int program_open(struct program *program, const char *path);
bool program_changed(const struct program *program); /* written to since it was opened? */
void program_close(struct program *program);

/* SHA-256 in hexadecimal digits. 0 or -errno. */
int program_digest(const char *path, char digest[PROGRAM_DIGEST_SIZE]);

/* A copy of this file at `to`, which must not exist. 0, or -errno after one line on stderr; then nothing is left of it. */
int program_copy(const char *path, const char *to, mode_t mode);

#endif
