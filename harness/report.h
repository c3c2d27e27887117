/*
 * report.h - poolbench report RUN: one page and one summary, from the rows alone.
 */
#ifndef HARNESS_REPORT_H
#define HARNESS_REPORT_H

int report_main(int argc, char **argv);

#endif
