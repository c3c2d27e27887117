/*
 * report_parts.h - what the files of `poolbench report` share: the run, what was found in it, and its texts.
 */
#ifndef HARNESS_REPORT_PARTS_H
#define HARNESS_REPORT_PARTS_H

#include "harness/plot.h"
#include "harness/series.h"

#include <jansson.h>

#define EXPERIMENTS_MAX 32
#define CHOICE "real-choice" /* the table that says which backend for which workload */
#define BARS "bars"	     /* the table of the experiment "peers" that says which bars are met */

struct section {
	const struct experiment *experiment;
	char finding[FINDING_SIZE];
	enum drawing drawing;
	struct rows rows;
};

struct report {
	const char *run;
	struct rows rows;
	json_t *info; /* run.json; NULL: there is none */
	struct section section[EXPERIMENTS_MAX];
	size_t sections;
};

bool report_has_choice(const struct report *report);
bool report_has_bars(const struct report *report);
size_t report_failed(const struct report *report); /* invocations that do not count */
/* How many, and the first of them with their reasons: the middle of a paragraph, which a list may interrupt. */
void report_failed_html(FILE *file, const struct report *report);
/* Were its rounds chosen by looking at the results (--precision)? */
bool report_is_exploratory(const struct report *report);
/* Why it tells less than others: exploratory, or rows of its plan are missing. Else "". */
void report_state(const struct report *report, char *text, size_t size);
/* What its intervals are called: "95 %", of an exploratory run "interval". */
const char *report_interval(const struct report *report);
/* "8 rounds on <machine>" */
void report_origin(const struct report *report, char *text, size_t size);

/* Paragraphs of the page, report_method.c: how a section was measured, and how noisy the run was. */
void report_method(FILE *file, const struct report *report, const struct section *section,
		   const struct groups *groups);
void report_noise(FILE *file, const struct report *report);

/* Writers of RUN/summary.md and RUN/bars.md: 0 or -errno. */
int report_markdown(FILE *file, const struct report *report);
int report_bars(FILE *file, const struct report *report);

#endif
