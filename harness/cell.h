/*
 * cell.h - measuring one cell in this process.
 */
#ifndef HARNESS_CELL_H
#define HARNESS_CELL_H

#include "harness/record.h"

#define INPUT_SEED 1

/* What a cell needs beside its own fields. */
struct cell_setup {
	const char *tree; /* directory for the workloads that read one; NULL: theirs */
	uint64_t seed;	  /* of the input; INPUT_SEED where nobody asks for another */
};

enum cell_outcome {
	CELL_DONE,   /* measured; record->verified says whether every result was right */
	CELL_FAILED, /* record->error says what went wrong */
	CELL_REFUSED, /* the cell makes no sense; record->error says what was wrong and what is accepted */
};

/* Workers where no number is asked for: as many as CPUs, or as there may be. */
int cell_workers(void);

/* Are the names known, the numbers in range, the combination sensible? 0, or -EINVAL with one line. */
int cell_check(const struct cell *cell, char *why, size_t why_size);

/* Opens workload and pool, computes what is expected, runs some calls that are discarded and cell->batches timed
 * ones, checks every result of every call. *record is filled in whatever happens. Blocks as long as
 * the work takes: the caller who wants a deadline runs it in a process of its own. */
enum cell_outcome cell_measure(const struct cell *cell, const struct cell_setup *setup,
			       struct record *record);

bool cell_is_baseline(const char *backend); /* "loop", "forked", or one that was added */
bool cell_is_backend(const char *backend);  /* a row of the pool table, by name or alias */

#endif
