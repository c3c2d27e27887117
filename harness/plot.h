/*
 * plot.h - poolbench plot RUN [EXPERIMENT...]: derive the tables, draw the figures.
 */
#ifndef HARNESS_PLOT_H
#define HARNESS_PLOT_H

#include "harness/experiment.h"

/* What is said of a run when all experiments have NO_ROWS. */
#define PLOT_NO_ROW_COUNTS "no row counts: all failed, or are of no experiment"

int plot_main(int argc, char **argv);

/* Reads RUN's rows, telling on stderr of an interrupted last line. 0, or an exit status after one line on stderr. */
int plot_rows(const char *command, const char *run, struct rows *rows);

/* NO_ROWS: nothing was derived, since no row counts. BADLY: a figure that should be there is missing, after a line on stderr.
 * A figure that the rows have no point for is left out, after a line, too, and that is fine. */
enum drawing { NO_ROWS, DRAWN, BADLY };

/* Writes RUN/tables/<name>*.tsv, fills in `finding` and draws RUN/plots/<name>*.svg and .png; waits for gnuplot. 0, or an exit
 * status after one line on stderr when there are no tables. */
int plot_experiment(const char *command, const char *run, const struct rows *all,
		    const struct experiment *experiment, char finding[FINDING_SIZE],
		    enum drawing *drawing);

/* A figure's name from the i-th script of the experiment ("real", "real-choice", ...): 0, or -ENOENT past the last or
 * where the scripts are not found. */
int plot_figure(const struct experiment *experiment, size_t i, char name[64]);
/* Is there RUN/plots/<name>.svg? */
bool plot_exists(const char *run, const char *name);

#endif
