/*
 * attempts.c - cells with rows, failed or not, and those of the plan.
 */
#include "harness/attempts.h"
#include "harness/record_json.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <string.h>

/* Control characters would break the lines of a table. */
static void set_error(struct record *record, const char *what, const char *why)
{
	snprintf(record->error, sizeof record->error, "%s%.200s", what, why);
	for (char *c = record->error; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	record->verified = false;
}

static struct record *find(const struct rows *rows, const struct cell *cell)
{
	for (size_t i = 0; i < rows->count; i++)
		if (cell_equal(&rows->at[i].cell, cell))
			return &rows->at[i];
	return NULL;
}

/* The attempt at this cell; NULL: no memory. */
static struct record *attempt_at(struct rows *rows, const struct cell *cell)
{
	struct record *record = find(rows, cell);

	if (record != NULL)
		return record;
	if (rows_add(rows, &(struct record){ .cell = *cell, .verified = true }) < 0)
		return NULL;
	return &rows->at[rows->count - 1];
}

static int add_rows(struct rows *rows, const struct derivation *d)
{
	for (size_t i = 0; i < d->rows->count; i++)
		if (attempt_at(rows, &d->rows->at[i].cell) == NULL)
			return -ENOMEM;
	for (size_t i = 0; d->failed && i < d->failed->count; i++) {
		const struct record *row = &d->failed->at[i];
		struct record *attempt = attempt_at(rows, &row->cell);
		if (attempt == NULL)
			return -ENOMEM;
		const char *error = record_error(row);
		if (attempt->verified)
			set_error(attempt, "failed: ", error ? error : "not verified");
	}
	return 0;
}

static int add_planned(struct rows *rows, const char *run, const char *experiment)
{
	char path[PATH_MAX], why[256];
	json_t *info, *object;
	size_t i;
	int rc = 0;

	snprintf(path, sizeof path, "%s/run.json", run);
	info = json_load_file(path, 0, NULL);
	json_array_foreach(json_object_get(json_object_get(info, "plan"), "cells"), i, object)
	{
		struct record missing = { .verified = false };
		if (cell_from_json(&missing.cell, object, why, sizeof why) < 0 ||
		    strcmp(missing.cell.experiment, experiment) != 0 ||
		    find(rows, &missing.cell) != NULL)
			continue;
		set_error(&missing, "planned, but there is no row of it", "");
		rc = rows_add(rows, &missing);
		if (rc < 0)
			break;
	}
	json_decref(info);
	return rc;
}

static int attempts_make(struct attempts *attempts, const struct derivation *d,
			 const char *experiment)
{
	int rc;

	*attempts = (struct attempts){ .rows.count = 0 };
	rc = add_rows(&attempts->rows, d);
	if (rc == 0)
		rc = add_planned(&attempts->rows, d->run, experiment);
	if (rc == 0)
		rc = groups_make(&attempts->groups, &attempts->rows);
	if (rc < 0)
		rows_free(&attempts->rows);
	return rc;
}

static void attempts_free(struct attempts *attempts)
{
	groups_free(&attempts->groups);
	rows_free(&attempts->rows);
}

const char *attempt_error(const struct group *attempt)
{
	for (size_t i = 0; i < attempt->count; i++)
		if (!attempt->at[i]->verified)
			return attempt->at[i]->error;
	return NULL;
}

const char *attempts_error(const struct attempts *attempts, const struct cell *cell)
{
	const char *error = NULL;

	for (size_t i = 0; error == NULL && i < attempts->groups.count; i++)
		if (cell_equal(attempts->groups.at[i].cell, cell))
			error = attempt_error(&attempts->groups.at[i]);
	return error;
}

void attempts_keep_right(struct groups *groups, const struct attempts *attempts)
{
	size_t kept = 0;

	for (size_t i = 0; i < groups->count; i++)
		if (attempts_error(attempts, groups->at[i].cell) == NULL)
			groups->at[kept++] = groups->at[i];
	groups->count = kept;
}

#define NAMED_MOST 4 /* of the others how many */

void naming_add(struct naming *naming, const struct cell *cell, const char *what)
{
	if (naming->count++ < NAMED_MOST)
		finding_add(naming->d, "%s %s (%s)", naming->count == 1 ? naming->lead : ",",
			    cell->backend, what);
}

void naming_end(const struct naming *naming)
{
	if (naming->count > NAMED_MOST)
		finding_add(naming->d, " and %zu more", naming->count - NAMED_MOST);
	if (naming->count > 0)
		finding_add(naming->d, ".");
}

static void tell_failed(struct derivation *d)
{
	const struct groups *attempts = &d->attempts->groups;
	struct naming naming = { d, " Not right in each round, or not measured:", 0 };

	for (size_t i = 0; i < attempts->count; i++) {
		const struct cell *cell = attempts->at[i].cell;
		const char *what =
			strcmp(cell->variant, "map") == 0 ? cell->workload : cell->variant;
		if (attempt_error(&attempts->at[i]) != NULL)
			naming_add(&naming, cell, what);
	}
	naming_end(&naming);
}

int attempts_derive(const struct experiment *experiment, struct derivation *d)
{
	struct attempts attempts;
	int rc;

	/* The self-test's figure is of no plan. */
	if (experiment_find(experiment->name) != experiment)
		return experiment->derive(d);
	rc = attempts_make(&attempts, d, experiment->name);
	if (rc < 0)
		return rc;
	d->attempts = &attempts;
	rc = experiment->derive(d);
	if (rc == 0)
		tell_failed(d);
	d->attempts = NULL;
	attempts_free(&attempts);
	return rc;
}
