/*
 * capture.h - a command of poolbench in a process of its own: what it prints, and its exit status.
 *
 * A test that uses it hands `cell` on to cell_main(), because commands that measure execute this very program
 * as `poolbench cell`: see capture_is_cell().
 */
#ifndef HARNESS_TESTS_CAPTURE_H
#define HARNESS_TESTS_CAPTURE_H

#include "harness/commands.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct capture {
	char out[65536], error[4096];
	int status; /* -1: it did not exit */
};

static inline bool capture_is_cell(int argc, char **argv)
{
	return argc > 1 && strcmp(argv[1], "cell") == 0;
}

static inline void capture_read(FILE *file, char *text, size_t size)
{
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

/* `line` is split at single spaces; its first word becomes argv[0]. */
static inline void capture(struct capture *c, int (*command)(int, char **), const char *line)
{
	FILE *out = tmpfile(), *error = tmpfile();
	char words[2048], *argv[64];
	int argc = 0, status = 0;
	pid_t pid;

	snprintf(words, sizeof words, "%s", line);
	for (char *word = strtok(words, " "); word && argc < 63; word = strtok(NULL, " "))
		argv[argc++] = word;
	argv[argc] = NULL;
	fflush(NULL);
	pid = out && error ? fork() : -1;
	if (pid == 0) {
		dup2(fileno(out), STDOUT_FILENO);
		dup2(fileno(error), STDERR_FILENO);
		status = command(argc, argv);
		fflush(stdout);
		_exit(status);
	}
	c->status = pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status)
			    ? WEXITSTATUS(status)
			    : -1;
	capture_read(out, c->out, sizeof c->out);
	capture_read(error, c->error, sizeof c->error);
}

/* One line on stderr that has `said`, nothing on stdout, exit status 2. */
#define assert_refuses(command, line, said)                                                        \
	do {                                                                                       \
		struct capture *c_ = malloc(sizeof *c_);                                           \
		assert_non_null(c_);                                                               \
		capture(c_, command, line);                                                        \
		if (c_->status != EXIT_USAGE || c_->out[0] || !strstr(c_->error, said) ||          \
		    strchr(c_->error, '\n') != strrchr(c_->error, '\n'))                           \
			fail_msg("%s: status %d, %s%s", line, c_->status, c_->out, c_->error);     \
		free(c_);                                                                          \
	} while (0)

/* Path of poolbench: $POOLBENCH, or found from where a test lies, .build/X/harness/tests/TEST. 0 or -1. */
static inline int capture_program(char *path, size_t size)
{
	const char *given = getenv("POOLBENCH");
	char exe[4096];
	ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);

	if (length < 0)
		return -1;
	exe[length] = '\0';
	for (int up = 0; up < 3 && strrchr(exe, '/') != NULL; up++)
		*strrchr(exe, '/') = '\0';
	if (given != NULL)
		snprintf(path, size, "%s", given);
	else
		snprintf(path, size, "%.3900s/poolbench", exe);
	return access(path, X_OK);
}

#endif
