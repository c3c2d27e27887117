/*
 * experiment.c - the table of experiments and what all of them derive through.
 */
#include "harness/experiment.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXPERIMENT(name) extern const struct experiment experiment_##name;
#include "harness/experiments/experiments.def"
#undef EXPERIMENT

#define EXPERIMENT(name) &experiment_##name,
static const struct experiment *const experiments[] = {
#include "harness/experiments/experiments.def"
};
#undef EXPERIMENT
#define COUNT (sizeof experiments / sizeof *experiments)

const struct experiment *experiment_at(unsigned i)
{
	return i < COUNT ? experiments[i] : NULL;
}

const struct experiment *experiment_find(const char *name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (strcmp(experiments[i]->name, name) == 0)
			return experiments[i];
	return NULL;
}

/*
 * == Tables ==
 */

/* A table while it is written, as NAME.new: at its end it replaces the old one, or when anything did not arrive the old one
 * stays. */
struct draft {
	int fd;
	int error; /* the first; 0: none */
	char path[PATH_MAX], fresh[PATH_MAX];
};

static ssize_t draft_write(void *cookie, const char *text, size_t size)
{
	struct draft *draft = cookie;
	size_t done = 0;

	while (done < size) {
		ssize_t count = write(draft->fd, text + done, size - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0 && draft->error == 0)
			draft->error = errno;
		if (count < 0)
			break;
		done += (size_t)count;
	}
	return (ssize_t)done;
}

static int draft_close(void *cookie)
{
	struct draft *draft = cookie;
	int error = draft->error;

	if (close(draft->fd) < 0 && error == 0)
		error = errno;
	if (error == 0 && rename(draft->fresh, draft->path) < 0)
		error = errno;
	if (error != 0)
		unlink(draft->fresh);
	free(draft);
	errno = error;
	return error ? EOF : 0;
}

static int draft_place(struct draft *draft, const char *run, const char *name)
{
	int size = snprintf(draft->path, sizeof draft->path, "%s/tables", run);

	if (size < 0 || (size_t)size + strlen(name) + sizeof "/.tsv.new" > sizeof draft->path)
		return -ENAMETOOLONG;
	if (mkdir(draft->path, 0777) < 0 && errno != EEXIST)
		return -errno;
	snprintf(draft->fresh, sizeof draft->fresh, "%s/tables/%s.tsv.new", run, name);
	snprintf(draft->path + size, sizeof draft->path - (size_t)size, "/%s.tsv", name);
	return 0;
}

FILE *derive_table(const struct derivation *d, const char *name)
{
	static const cookie_io_functions_t calls = { .write = draft_write, .close = draft_close };
	struct draft *draft = calloc(1, sizeof *draft);
	FILE *file;
	int rc = draft ? draft_place(draft, d->run, name) : -ENOMEM;

	if (rc < 0)
		goto err_free;
	draft->fd = open(draft->fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (draft->fd < 0) {
		rc = -errno;
		goto err_free;
	}
	file = fopencookie(draft, "w", calls);
	if (file != NULL)
		return file;
	rc = -errno;
	close(draft->fd);
	unlink(draft->fresh);
err_free:
	free(draft);
	errno = -rc;
	return NULL;
}

int table_close(FILE *file)
{
	int failed = ferror(file);

	errno = 0;
	if (fclose(file) == 0 && !failed)
		return 0;
	return errno ? -errno : -EIO;
}

static int copy_rows(const struct experiment *experiment, const struct rows *all, bool good,
		     struct rows *own)
{
	*own = (struct rows){ 0 };
	for (size_t i = 0; i < all->count; i++) {
		const struct record *record = &all->at[i];
		bool counts = record_error(record) == NULL && record_median(record) > 0;
		if (strcmp(record->cell.experiment, experiment->name) != 0 || counts != good)
			continue;
		int rc = rows_add(own, record);
		if (rc < 0) {
			rows_free(own);
			return rc;
		}
	}
	return 0;
}

int experiment_rows(const struct experiment *experiment, const struct rows *all, struct rows *own)
{
	return copy_rows(experiment, all, true, own);
}

int experiment_failed(const struct experiment *experiment, const struct rows *all,
		      struct rows *failed)
{
	return copy_rows(experiment, all, false, failed);
}

void finding_add(struct derivation *d, const char *format, ...)
{
	size_t used = strlen(d->finding);
	va_list args;

	va_start(args, format);
	vsnprintf(d->finding + used, sizeof d->finding - used, format, args);
	va_end(args);
}
