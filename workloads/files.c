/*
 * files.c - walking a directory tree and reading files.
 *
 * DESIGN. The list is sorted as a whole, so it is the same whatever order the file system answers in, and the same as
 * that of `find TREE -type f | LC_ALL=C sort` for the peers. Paths stay in one array for the life of the instance; the
 * column only points to them, so wrapping around costs no memory.
 */
#include "workloads/files.h"
#include "workloads/input.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TREE_DEFAULT "/usr/include"
#define PIECE_BYTES 32768

struct files {
	char **path;
	size_t count, room;
};

static int add_path(struct files *files, const char *path)
{
	if (files->count == files->room) {
		size_t room = files->room ? 2 * files->room : 1024;
		char **grown = reallocarray(files->path, room, sizeof *grown);
		if (grown == NULL)
			return -ENOMEM;
		files->path = grown;
		files->room = room;
	}
	files->path[files->count] = strdup(path);
	if (files->path[files->count] == NULL)
		return -ENOMEM;
	files->count++;
	return 0;
}

/* One entry of the walk: what is not a readable regular file is passed over, but for the tree itself. */
static int visit(struct files *files, const FTSENT *entry)
{
	bool bad = entry->fts_info == FTS_DNR || entry->fts_info == FTS_NS;

	if (entry->fts_level == FTS_ROOTLEVEL && bad)
		return -entry->fts_errno;
	if (entry->fts_level == FTS_ROOTLEVEL && entry->fts_info == FTS_F)
		return -ENOTDIR;
	if (entry->fts_info == FTS_ERR)
		return -entry->fts_errno;
	if (entry->fts_info != FTS_F || faccessat(AT_FDCWD, entry->fts_path, R_OK, AT_EACCESS) != 0)
		return 0;
	return add_path(files, entry->fts_path);
}

static int walk(struct files *files, const char *tree)
{
	char *const roots[] = { (char *)tree, NULL };
	/* COMFOLLOW: the tree itself may be named by a link. */
	FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	FTSENT *entry;
	int rc = 0;

	if (fts == NULL)
		return -errno;
	while (rc == 0 && (errno = 0, entry = fts_read(fts)) != NULL)
		rc = visit(files, entry);
	if (rc == 0)
		rc = -errno;
	fts_close(fts);
	return rc;
}

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int open_column(struct work *w, const struct files *files, char *why, size_t why_size)
{
	struct pool_bytes *paths;
	int rc;

	if (w->tasks == 0)
		w->tasks = files->count;
	rc = input_column(w, sizeof *paths, &paths, why, why_size);
	if (rc < 0)
		return rc;
	w->column[w->columns - 1].size = POOL_VARIABLE;
	for (uint64_t i = 0; i < w->tasks; i++) {
		char *path = files->path[i % files->count];
		paths[i] = (struct pool_bytes){ .data = path, .size = strlen(path) + 1 };
	}
	return 0;
}

int files_open(struct work *w, const struct work_options *options, char *why, size_t why_size)
{
	const char *tree = options->tree ? options->tree : TREE_DEFAULT;
	struct files *files = calloc(1, sizeof *files);
	int rc;

	if (files == NULL) {
		snprintf(why, why_size, "no memory for a list of files");
		return -ENOMEM;
	}
	w->state = files;
	rc = *tree ? walk(files, tree) : -ENOENT;
	if (rc < 0) {
		snprintf(why, why_size, "cannot read directory %s: %s", tree, strerror(-rc));
		return rc;
	}
	if (files->count == 0) {
		snprintf(why, why_size, "no readable regular file in directory %s", tree);
		return -ENOENT;
	}
	qsort(files->path, files->count, sizeof *files->path, compare_paths);
	return open_column(w, files, why, why_size);
}

void files_close(struct work *w)
{
	struct files *files = w->state;

	if (files == NULL)
		return;
	for (size_t i = 0; i < files->count; i++)
		free(files->path[i]);
	free(files->path);
	free(files);
}

int files_read(const char *path,
	       void (*piece)(void *state, const unsigned char *bytes, size_t size), void *state)
{
	unsigned char bytes[PIECE_BYTES];
	ssize_t size;
	int error, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd < 0)
		return -errno;
	while ((size = read(fd, bytes, sizeof bytes)) != 0) {
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			break;
		piece(state, bytes, (size_t)size);
	}
	error = size < 0 ? errno : 0;
	close(fd);
	return -error;
}
