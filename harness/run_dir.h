/*
 * run_dir.h - the directory of a run while it is written: run.json once, rows.jsonl row by row.
 */
#ifndef HARNESS_RUN_DIR_H
#define HARNESS_RUN_DIR_H

#include "harness/plan.h"

struct run_dir {
	char path[1024];
	int rows_fd;
	int64_t size; /* of rows.jsonl: whole rows only */
};

/* Makes the directory (and those above it), which must be new or empty, and writes run.json. path NULL: one named after the
 * time, under results/ (run-..., with arms compare-...). arms: what run.json says about the programs of a paired session
 * (a new reference, taken over); NULL: this program measures. 0 or -errno after one line on stderr. */
int run_dir_create(struct run_dir *dir, const char *path, const struct plan *plan, json_t *arms);

/* Sets a member of its run.json; `value` is taken over. 0 or -errno after one line on stderr. */
int run_dir_note(const struct run_dir *dir, const char *name, json_t *value);

/* RUN/run.json, a new reference: of this schema, with host and plan. 0 or -errno after one line on stderr. */
int run_dir_info(const char *path, json_t **info);

/* Opens an interrupted run: its plan and its rows; a row cut short at the end is removed. Refused while another process
 * writes there, on another machine, and by another program than began it. 0 or -errno after one line on stderr. plan_free
 * and rows_free in any case. */
int run_dir_resume(struct run_dir *dir, const char *path, struct plan *plan, struct rows *rows);

/* Appends one row by one write. When that fails (disk full) the file is cut back to its whole rows:
 * -errno after one line on stderr. */
int run_dir_append(struct run_dir *dir, const struct record *record);

void run_dir_close(struct run_dir *dir);

#endif
