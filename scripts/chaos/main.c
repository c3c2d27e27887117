/* main.c - the command: each row in a process of its own. */
#include "scripts/chaos/chaos.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
	"usage: chaos [--seconds N] [--seed N] [--threads N] [--bound SECONDS] [ROW...]\n"
	"\n"
	"Random operations on pools of each ROW (all, when none is named) by several threads,\n"
	"while another process kills, stops and continues workers. Each row runs for --seconds\n"
	"(10). The same --seed makes the same decisions. A single call that takes longer than\n"
	"--bound (30) is a hang. One line a row.\n"
	"\n"
	"Exit status: 0 nothing was found, 1 something was, 2 usage.\n";

static _Noreturn void misused(const char *what, const char *which)
{
	fprintf(stderr, "chaos: %s: %s (--help tells more)\n", what, which);
	exit(2);
}

static uint64_t number_of(const char *option, const char *text, uint64_t most)
{
	char *end = NULL;
	errno = 0;
	unsigned long long number = text ? strtoull(text, &end, 10) : 0;
	if (!text || !*text || *text == '-' || *end || errno)
		misused(option, text ? "not a number" : "a number is missing");
	if (number > most)
		misused(option, "the number is too large");
	return number;
}

static const struct pool_backend_info *row_of(const char *name)
{
	const struct pool_backend_info *row;
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		if (strcmp(row->name, name) == 0 || (row->alias && strcmp(row->alias, name) == 0))
			return row;
	misused("no such row", name);
}

static bool take_option(struct chaos_options *o, const char *option, const char *text)
{
	if (strcmp(option, "--seconds") == 0)
		o->time_ns = (int64_t)number_of(option, text, 1000000) * CHAOS_SECOND;
	else if (strcmp(option, "--bound") == 0)
		o->bound_ns = (int64_t)number_of(option, text, 1000000) * CHAOS_SECOND;
	else if (strcmp(option, "--seed") == 0)
		o->seed = number_of(option, text, UINT64_MAX);
	else if (strcmp(option, "--threads") == 0)
		o->threads = (int)number_of(option, text, CHAOS_THREADS_MAX);
	else
		return false;
	return true;
}

/* Returns how many arguments are options. */
static int read_options(int argc, char **argv, struct chaos_options *o)
{
	int i = 1;
	for (; i < argc && argv[i][0] == '-'; i += 2) {
		if (strcmp(argv[i], "--help") == 0) {
			fputs(help, stdout);
			exit(0);
		}
		if (!take_option(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL))
			misused("no such option", argv[i]);
	}
	if (o->threads < 1 || o->bound_ns < 1)
		misused("must not be 0", o->threads < 1 ? "--threads" : "--bound");
	return i;
}

static bool run_row(struct chaos_options options, const struct pool_backend_info *row)
{
	int status = 0;
	options.row = row;
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		exit(chaos_run(&options));
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		perror("chaos");
		return false;
	}
	if (status)
		printf("%-11s seed %llu: FAILED (%s %d)\n", row->name,
		       (unsigned long long)options.seed,
		       WIFSIGNALED(status) ? "signal" : "exit status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	return status == 0;
}

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	struct chaos_options options = {
		.seed = (uint64_t)time(NULL),
		.time_ns = 10 * CHAOS_SECOND,
		.bound_ns = 30 * CHAOS_SECOND,
		.threads = 4,
	};
	int first = read_options(argc, argv, &options), failed = 0;
	for (int i = first; i < argc; i++)
		row_of(argv[i]);
	printf("chaos: seed %llu\n", (unsigned long long)options.seed);
	for (int i = first; i < argc; i++)
		failed += !run_row(options, row_of(argv[i]));
	for (unsigned i = 0; first >= argc && pool_backend_info(i); i++)
		failed += !run_row(options, pool_backend_info(i));
	return failed != 0;
}
