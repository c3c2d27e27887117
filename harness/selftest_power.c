/*
 * selftest_power.c - the table behind the power curve: how often is a slowdown found, by how large it is?
 */
#include "harness/selftest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PERCENT_MAX 100

static int rounds_of(const struct rows *rows)
{
	int rounds = 0;

	for (size_t i = 0; i < rows->count; i++)
		rounds = rows->at[i].round >= rounds ? rows->at[i].round + 1 : rounds;
	return rounds;
}

static int tries_of(const struct rows *rows)
{
	int tries = rounds_of(rows) / SELFTEST_POWER_ROUNDS;

	return tries < SELFTEST_POWER_TRIES ? tries : SELFTEST_POWER_TRIES;
}

static void put_line(FILE *file, int percent, const struct power *p)
{
	fprintf(file, "%d\t%zu\t%zu\t%.6g\t%.6g\t%.6g\t%zu\t%.6g\t%.6g\t%.6g\t%.6g\n", percent,
		p->tries, p->regressions, p->detected.mid, p->detected.low, p->detected.high,
		p->shown, p->seen.mid, p->seen.low, p->seen.high, p->ratio.mid);
}

static int power_derive(struct derivation *d)
{
	struct question q = { .rows = d->rows,
			      .cells = &d->rows->at[0].cell,
			      .cell_count = 1,
			      .baseline = "none",
			      .tries = tries_of(d->rows),
			      .try_rounds = SELFTEST_POWER_ROUNDS };
	FILE *file = derive_table(d, "power");
	struct power power = { 0 };
	int rc = 0;

	if (file == NULL)
		return -errno;
	fputs("percent\ttries\tregressions\tdetected\tlow\thigh\tshown\tseen\tseen_low\tseen_high\t"
	      "ratio\n",
	      file);
	for (int percent = 1; rc == 0 && percent <= PERCENT_MAX; percent++) {
		char arm[NAME_SIZE];
		snprintf(arm, sizeof arm, "steps:%d", percent);
		if (!rows_have_arm(d->rows, arm))
			continue;
		q.candidate = arm;
		rc = selftest_power(&q, &power);
		if (rc == 0)
			put_line(file, percent, &power);
	}
	snprintf(d->finding, sizeof d->finding, "%d tries of %d rounds for each slowdown.", q.tries,
		 q.try_rounds);
	int closed = table_close(file);
	return rc ? rc : closed;
}

const struct experiment selftest_figure = {
	.name = "power",
	.title = "Power",
	.claim = "How large must a slowdown be to be found?",
	.reading = "The share of comparisons that found it, with 95 % intervals.",
	.derive = power_derive,
};
