/*
 * exclusion.h - which rounds of a run are left out of a comparison because something else disturbed the machine.
 *
 * DESIGN. The rules were fixed before anything was measured and look only at what the kernel says about the machine, never at
 * the times that are compared. A round stands or falls as a whole, for all cells and arms alike; so leaving it out
 * favours none. A machine that is always disturbed has nothing to leave out: a round must be worse than the run's median.
 */
#ifndef HARNESS_EXCLUSION_H
#define HARNESS_EXCLUSION_H

#include "harness/record.h"

#define ROUNDS_MAX 2048		/* later rounds are never left out */
#define EXCLUDED_SHARE_MAX 0.25 /* more than these left out: the run is not comparable */

struct exclusions {
	bool round[ROUNDS_MAX]; /* is it left out */
	size_t count, of;	/* how many rounds are, of how many with rows */
	char why[160];		/* "steal 1, foreign processes 2"; "" for none */
};

/* cpus: of the machine. */
void exclusions_find(struct exclusions *exclusions, const struct rows *rows, int cpus);
bool exclusions_has(const struct exclusions *exclusions, int round);
bool exclusions_too_many(const struct exclusions *exclusions);

#endif
