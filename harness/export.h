/*
 * export.h - a run in the formats of other tools: what a format is given, and what it gives.
 *
 * DESIGN. The command (export.c) reads the run and makes series of its good rows: one a cell and arm, by round. A format
 * is one function that turns them into a JSON value; the one that is no JSON writes itself. A new format is one
 * function and one line in the table of export.c.
 */
#ifndef HARNESS_EXPORT_H
#define HARNESS_EXPORT_H

#include "harness/record.h"

#include <jansson.h>

/* The invocations of one cell and arm, by round. */
struct export_series {
	char name[384]; /* "overhead/shm map noop n=320000 c=auto w=2", unique within the run */
	const struct record *const *at;
	size_t count; /* at least 1 */
};

struct export_data {
	const struct rows *rows; /* all of them, failed ones too */
	const json_t *info;	 /* run.json; NULL: not there */
	const struct export_series *series;
	size_t count;
};

/* Each a new reference; NULL: no memory, or a value that is no finite number. */
json_t *export_gbench(const struct export_data *data);
json_t *export_hyperfine(const struct export_data *data);
json_t *export_github(const struct export_data *data);
json_t *export_bencher(const struct export_data *data);

/* 0 or -ENOMEM; whether what was written arrived is told by the file. */
int export_csv(const struct export_data *data, FILE *file);
/* A field of comma separated values, in quotation marks where it needs them. */
void export_csv_text(FILE *file, const char *text);

#endif
