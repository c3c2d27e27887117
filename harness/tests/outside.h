/*
 * outside.h - poolbench from outside, in a directory of the test's own.
 *
 * The program is $POOLBENCH, or found from where the test lies: .build/X/harness/tests/TEST and .build/X/poolbench.
 */
#ifndef HARNESS_TESTS_OUTSIDE_H
#define HARNESS_TESTS_OUTSIDE_H

#include "harness/record.h"
#include "harness/tests/capture.h"

#include <limits.h>
#include <stdarg.h>
#include <sys/stat.h>

static char outside_program[PATH_MAX];
static char outside_place[] = "/tmp/poolbench-test-XXXXXX";
static char outside_said[65536]; /* of the last outside_run: stdout and stderr */

/* A command of the shell, in which $P is the program; its exit status, or -1. */
static inline int outside_run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static inline int outside_run(const char *format, ...)
{
	char command[2048];
	va_list list;
	size_t size;
	FILE *pipe;
	int status;

	va_start(list, format);
	vsnprintf(command, sizeof command, format, list);
	va_end(list);
	setenv("P", outside_program, 1);
	pipe = popen(command, "r");
	if (pipe == NULL)
		return -1;
	size = fread(outside_said, 1, sizeof outside_said - 1, pipe);
	outside_said[size] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* `poolbench ARGUMENTS` has this exit status, and says this (NULL: anything). */
static inline void assert_outside(const char *arguments, int wanted, const char *text)
{
	int status = outside_run("$P %s 2>&1", arguments);

	if (status != wanted || (text && !strstr(outside_said, text)))
		fail_msg("%s: status %d: %s", arguments, status, outside_said);
}

/* The rows of a run in the place; a last one that is cut short is left out. */
static inline size_t outside_rows(const char *run)
{
	struct rows rows;
	char why[512] = "";
	bool truncated;
	size_t count;

	if (rows_load(&rows, run, &truncated, why, sizeof why) < 0)
		fail_msg("%s", why);
	count = rows.count;
	rows_free(&rows);
	return count;
}

static inline int outside_prepare(void **state)
{
	(void)state;
	return capture_program(outside_program, sizeof outside_program) == 0 &&
			       mkdtemp(outside_place) != NULL
		       ? chdir(outside_place)
		       : -1;
}

static inline int outside_clean(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", outside_place);
	return chdir("/") == 0 ? system(command) : -1;
}

#endif
