/*
 * experiment.c - the table of experiments and what all of them derive through.
 */
#include "harness/experiment.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

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

FILE *derive_table(const struct derivation *d, const char *name)
{
	char path[PATH_MAX];
	int size = snprintf(path, sizeof path, "%s/tables", d->run);

	if (size < 0 || (size_t)size + strlen(name) + sizeof "/.tsv" > sizeof path) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return NULL;
	snprintf(path + size, sizeof path - (size_t)size, "/%s.tsv", name);
	return fopen(path, "we");
}

int experiment_rows(const struct experiment *experiment, const struct rows *all, struct rows *own)
{
	*own = (struct rows){ 0 };
	for (size_t i = 0; i < all->count; i++) {
		const struct record *record = &all->at[i];
		if (strcmp(record->cell.experiment, experiment->name) != 0 || !record->verified ||
		    record->error[0] != '\0' || !(record_median(record) > 0))
			continue;
		int rc = rows_add(own, record);
		if (rc < 0) {
			rows_free(own);
			return rc;
		}
	}
	return 0;
}

int table_close(FILE *file)
{
	int failed = ferror(file);

	errno = 0;
	if (fclose(file) == 0 && !failed)
		return 0;
	return errno ? -errno : -EIO;
}
