/*
 * gnuplot.h - running gnuplot.
 */
#ifndef HARNESS_GNUPLOT_H
#define HARNESS_GNUPLOT_H

/* Waits for its end. 0, or -errno: -ENOENT means it is not installed, -EIO that it failed. Its warnings are about tables
 * without a point, of which there is a line of ours: what it says is shown when it fails. argv ends with NULL. */
int gnuplot_run(const char *const *argv);

#endif
