/*
 * plot.h - poolbench plot RUN [EXPERIMENT...]: derive the tables, draw the figures.
 */
#ifndef HARNESS_PLOT_H
#define HARNESS_PLOT_H

#include "harness/experiment.h"

int plot_main(int argc, char **argv);

/* Reads RUN's rows, telling on stderr of an interrupted last line. 0, or an exit status after one line on stderr. */
int plot_rows(const char *command, const char *run, struct rows *rows);

/* Writes RUN/tables/<name>*.tsv, fills in `finding` and draws RUN/plots/<name>*.svg and .png; waits for gnuplot. Nothing is
 * drawn when no row counts: *drawn is false then. 0, or an exit status after one line on stderr. */
int plot_experiment(const char *command, const char *run, const struct rows *all,
		    const struct experiment *experiment, char finding[600], bool *drawn);

/* A figure's name from the i-th script of the experiment ("real", "real-choice", ...): 0, or -ENOENT past the last or
 * where the scripts are not found. */
int plot_figure(const struct experiment *experiment, size_t i, char name[64]);

#endif
