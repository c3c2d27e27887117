/*
 * experiment.h - one question each: which cells answer it, what is derived from their rows, and the sentence.
 *
 * DESIGN. An experiment is one file under harness/experiments/ and one line in experiments.def. `grid` adds cells to a
 * plan; `derive` turns rows into tidy tables (one TSV a figure, header line first, written through derive_table) and
 * into one finding, a sentence computed from the data, which says so when the data do not allow one. The figure is
 * scripts/plots/<name>.gp, which reads tables/<name>*.tsv and nothing else.
 */
#ifndef HARNESS_EXPERIMENT_H
#define HARNESS_EXPERIMENT_H

#include "harness/record.h"

/* How much time there is. A grid takes its points from the scale, and stays within its share of it. */
struct scale {
	const char *name; /* "quick", "default", "full" */
	int level;	  /* 0, 1, 2: coarse, normal, fine grid */
	int rounds;
	int64_t batch_ns;
	int batches;
	int cpus; /* CPUs this process may use, or as many as a pool can have workers */
};

struct plan;
struct attempts;
/* Adds a cell; experiment, batch_ns and batches are filled in from the plan where they are unset. 0 or -ENOMEM. */
int plan_add(struct plan *plan, const struct cell *cell);

#define FINDING_SIZE 800 /* bytes of a finding, with its end */

struct derivation {
	const struct rows *rows; /* of this experiment only, failed and unverified ones left out */
	const struct rows *failed; /* those; NULL: not known. See harness/attempts.h */
	const struct attempts
		*attempts;	    /* set by attempts_derive() for the experiments of the table */
	const char *run;	    /* the run's directory */
	char finding[FINDING_SIZE]; /* out: one or two sentences, plain text */
};

/* Adds to the finding that there is; what has no room left is cut off. */
void finding_add(struct derivation *d, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

struct experiment {
	const char *name;    /* the figure's file name, too */
	const char *title;   /* heading in the report */
	const char *claim;   /* the question or claim, one sentence */
	const char *reading; /* how to read the figure, one or two sentences */
	int (*grid)(struct plan *plan, const struct scale *scale);
	int (*derive)(struct derivation *d);
	bool on_request; /* a run that names no experiment leaves it out, unless it is --full */
};

const struct experiment *experiment_at(unsigned i);	    /* NULL past the end */
const struct experiment *experiment_find(const char *name); /* NULL: unknown */

/* Opens RUN/tables/<name>.tsv for writing, which stays as it was until table_close(); NULL with errno. Numbers in it: %.6g in
 * the C locale, "?" for missing. */
FILE *derive_table(const struct derivation *d, const char *name);
/* Closes it, and it is there as a whole: 0, or -errno when anything written did not arrive, and the old one stays. */
int table_close(FILE *file);

/* Copies the rows that count for an experiment: its own, verified, with a positive time. 0 or -ENOMEM with nothing to
 * free; else rows_free(own). */
int experiment_rows(const struct experiment *experiment, const struct rows *all, struct rows *own);
/* Likewise those of its own that do not count. */
int experiment_failed(const struct experiment *experiment, const struct rows *all,
		      struct rows *failed);

#endif
