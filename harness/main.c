/*
 * main.c - poolbench: which command?
 */
#include "harness/commands.h"
#include "pools/pool.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct command {
	const char *name, *summary;
	int (*main)(int argc, char **argv);
};

static const struct command commands[] = {
	{ "run", "run experiments; everything measured goes into one directory", run_main },
	{ "cell", "measure one combination of backend, variant and workload", cell_main },
	{ "advise", "which pool and chunk for a workload, and is it worth it", advise_main },
	{ "explain", "where a task's time goes", explain_main },
	{ "compare", "is one slower? two runs, or two programs measured by turns", compare_main },
	{ "plot", "draw a run's figures", plot_main },
	{ "report", "a run's figures and findings as one page", report_main },
	{ "doctor", "which conclusions this machine can support today", doctor_main },
	{ "selftest", "does the suite find faults put in, and none elsewhere?", selftest_main },
	{ "export", "a run in the format of another tool", export_main },
	{ "list", "backends, variants, workloads, experiments", list_main },
};
#define COMMANDS (sizeof commands / sizeof commands[0])

static void usage(FILE *file)
{
	fputs("Usage: poolbench COMMAND [ARGUMENT...]\n"
	      "\n"
	      "Which process pool, through which call, with what chunk size, and is a pool worth "
	      "it?\n"
	      "\n",
	      file);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(file, "  %-9s %s\n", commands[i].name, commands[i].summary);
	fputs("\n"
	      "`poolbench COMMAND --help` tells more; --version prints the version.\n"
	      "Exit status: 0 fine, 1 a wrong result, a cell that failed, or a regression, 2 bad "
	      "arguments\n"
	      "or input, 3 nothing to compare, 4 the machine cannot do it now, 5 a self-test "
	      "failed,\n"
	      "130 interrupted.\n",
	      file);
}

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int flush(int status)
{
	if (fflush(stdout) == 0 && !ferror(stdout))
		return status;
	perror("poolbench: stdout");
	return status ? status : EXIT_UNFIT;
}

/* Where the caller closed a stream, the next file that is opened would get its number, and whatever is said would go into
 * that file. Writing to stdout still fails, so that a result which nobody gets is noticed. 0 or -1. */
static int fill_streams(void)
{
	static const int flags[] = { O_RDONLY, O_RDONLY, O_WRONLY };

	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", flags[fd]) != fd)
			return -1;
	return 0;
}

int main(int argc, char **argv)
{
	const struct command *command;

	pool_main(&argc, &argv);
	if (fill_streams() < 0)
		return EXIT_UNFIT;
	signal(SIGXFSZ,
	       SIG_IGN); /* a file that may not grow is an error of write(), which is told */
	if (argc < 2) {
		usage(stderr);
		return EXIT_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		usage(stdout);
		return flush(EXIT_FINE);
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("poolbench " POOLBENCH_VERSION);
		return flush(EXIT_FINE);
	}
	command = find(argv[1]);
	if (command == NULL) {
		fprintf(stderr, "poolbench: unknown command '%s'; known:", argv[1]);
		for (size_t i = 0; i < COMMANDS; i++)
			fprintf(stderr, " %s", commands[i].name);
		fputc('\n', stderr);
		return EXIT_USAGE;
	}
	return flush(command->main(argc - 1, argv + 1));
}
