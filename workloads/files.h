/*
 * files.h - the files of a directory tree as input, and reading one in a task.
 */
#ifndef WORKLOADS_FILES_H
#define WORKLOADS_FILES_H

#include "workloads/workload.h"

/* Appends a column of paths (POOL_VARIABLE, each with its final NUL) of the regular files under options->tree that this
 * process may read, sorted by byte. Symbolic links are not followed; directories further down that may not be read are
 * left out like such files. w->tasks 0: as many as there are; fewer: the first of them; more: from the first again.
 * w->state owns the paths: give it back with files_close. 0, or -errno with a reason. Blocks on the disk. */
int files_open(struct work *w, const struct work_options *options, char *why, size_t why_size);
void files_close(struct work *w);

/* Reads all of `path`, handing it piece by piece to `piece`. 0 or -errno. */
int files_read(const char *path,
	       void (*piece)(void *state, const unsigned char *bytes, size_t size), void *state);

#endif
