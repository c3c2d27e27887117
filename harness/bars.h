/*
 * bars.h - bars that measured values must reach, and the table that says which do.
 *
 * DESIGN. A bar ("P1") has parts; a part is one demand (at most, at least a limit) on one or several values that must all
 * reach it, such as one for each backend. The table has a line for each part, that of the value which decides:
 * the worst of its verdict. A verdict needs the whole interval on one side of the limit. A part without a bound demands
 * nothing: it tells a limit of the machine that stands in the way of a bar.
 */
#ifndef HARNESS_BARS_H
#define HARNESS_BARS_H

#include "harness/experiment.h"
#include "harness/stats.h"

enum bound { AT_MOST, AT_LEAST, NO_BOUND };

/* The later, the worse; what decides among several values is the worst. */
enum verdict { BAR_TOLD, BAR_MET, BAR_MISSING, BAR_TOO_FEW, BAR_UNDECIDED, BAR_NOT_MET };

struct demand {
	const char *bar;  /* "P1" */
	const char *what; /* what is measured, against what */
	const char *unit; /* of value and limit */
	enum bound bound;
	double limit;
};

/* One value; mid 0: it was not measured; high INFINITY: no upper end is known. `bound` is "at most " or "at least " where that
 * is all that is known of mid, otherwise NULL. */
struct value {
	struct interval interval;
	const char *bound;
	char which[48]; /* of several; "" when there is one only */
	char why[160];	/* what it was computed from, or why it is missing */
};

enum verdict bar_verdict(const struct demand *demand, const struct interval *value);
const char *verdict_text(enum verdict verdict);
/* Does `a` decide rather than `b`: a worse verdict, or the same and further towards the wrong side? */
bool bar_is_worse(const struct demand *demand, const struct value *a, const struct value *b);

#define BARS_MAX 32

struct bars {
	FILE *file, *all; /* a line for each part, a line for each value */
	struct demand demand;
	struct value worst;
	size_t values, met, missing; /* of the part */
	struct {
		const char *bar;
		enum verdict verdict; /* the worst of its parts */
	} bar[BARS_MAX];
	size_t count;
};

/* Opens tables/bars.tsv and tables/bars-all.tsv. 0 or -errno; then bars_close() in any case. */
int bars_open(struct bars *bars, const struct derivation *d);
int bars_close(struct bars *bars); /* 0, or -errno when anything written did not arrive */

void bars_begin(struct bars *bars, const struct demand *demand);
void bars_add(struct bars *bars, const struct value *value);
void bars_end(struct bars *bars); /* a part without values was not measured */

#endif
