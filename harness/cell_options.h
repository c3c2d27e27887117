/*
 * cell_options.h - a cell told by options: `--backend B --variant V --workload W [OPTION...]`.
 */
#ifndef HARNESS_CELL_OPTIONS_H
#define HARNESS_CELL_OPTIONS_H

#include "harness/cell.h"

struct cell_request {
	const char *command; /* argv[0] */
	struct cell cell;    /* `--rounds` is its batches */
	struct cell_setup setup;
	bool json, record, help;
};

/* `rounds` if none are given. Both: 0, or -1 after one line on stderr. */
int cell_request_read(struct cell_request *request, int argc, char **argv, int rounds);
int cell_request_check(const struct cell_request *request); /* is a cell named at all? */

#endif
