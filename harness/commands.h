/*
 * commands.h - the commands of poolbench and what they return.
 *
 * Each gets its own name as argv[0]. Results go to stdout, everything else to stderr.
 */
#ifndef HARNESS_COMMANDS_H
#define HARNESS_COMMANDS_H

#include <errno.h>

#define POOLBENCH_VERSION "0.1.0"

enum exit_status {
	EXIT_FINE = 0,
	EXIT_BAD = 1,	       /* a regression; a cell that failed or gave a wrong result */
	EXIT_USAGE = 2,	       /* arguments or input not acceptable */
	EXIT_INCONCLUSIVE = 3, /* the data do not allow an answer */
	EXIT_UNFIT = 4,	       /* the machine cannot do it now (disk full, no memory) */
	EXIT_SELFTEST = 5,     /* a self-test failed */
	EXIT_INTERRUPTED = 130 /* Ctrl-C or SIGTERM during a run; what was done is kept */
};

/* Of a negative errno: is it what was asked for, or has the machine no room? */
static inline int exit_of(int rc)
{
	const int error = -rc;

	return error == ENOSPC || error == EDQUOT || error == EFBIG || error == ENOMEM ||
			       error == EIO
		       ? EXIT_UNFIT
		       : EXIT_USAGE;
}

int cell_main(int argc, char **argv);
int run_main(int argc, char **argv);
int compare_main(int argc, char **argv);
int list_main(int argc, char **argv);
int export_main(int argc, char **argv);
int advise_main(int argc, char **argv);
int explain_main(int argc, char **argv);
int doctor_main(int argc, char **argv);
int selftest_main(int argc, char **argv);
int plot_main(int argc, char **argv);	/* plot.c */
int report_main(int argc, char **argv); /* report.c */

#endif
