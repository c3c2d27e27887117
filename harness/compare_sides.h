/*
 * compare_sides.h - a finished run read for comparing, and two of them beside each other.
 */
#ifndef HARNESS_COMPARE_SIDES_H
#define HARNESS_COMPARE_SIDES_H

#include "harness/exclusion.h"
#include "harness/versus.h"

#include <jansson.h>

struct side {
	const char *name, *run; /* what verdicts call it, its directory; the caller's */
	struct rows rows;
	json_t *info; /* its run.json */
	struct exclusions exclusions;
};

/* Its rows and run.json. 0 or -errno after one line on stderr. side_free in any case. */
int side_load(struct side *side, const char *name, const char *run);
/* The same of a run of one program; finds the rounds to leave out, unless all_rounds. */
int side_load_run(struct side *side, const char *name, const char *run, bool all_rounds);
void side_free(struct side *side); /* side may be NULL */

int side_cpus(const struct side *side); /* of the machine */

/* Cells that are in both, compared or refused, nothing decided. 0 or -ENOMEM. versus_free in any case. */
int sides_pair(struct versus *versus, const struct side *a, const struct side *b);

#endif
