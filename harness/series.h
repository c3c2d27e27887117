/*
 * series.h - rows seen as series: the invocations of one cell together, their intervals, and pairs by round.
 */
#ifndef HARNESS_SERIES_H
#define HARNESS_SERIES_H

#include "harness/record.h"
#include "harness/stats.h"

#define CONFIDENCE 0.95
#define PAIRS_MAX 256 /* rounds that are looked at, so the most that --rounds takes */

/* The rows of one cell in order of their rounds. */
struct group {
	const struct cell *cell;
	const struct record *const *at;
	size_t count;
};

/* Sorted by backend (in the order of the pool table, baselines first), variant, workload, payload, parent, chunk,
 * workers, work. Valid as long as the rows are. */
struct groups {
	struct group *at;
	size_t count;
	const struct record **order; /* what the groups point into */
};

int groups_make(struct groups *groups, const struct rows *rows); /* 0 or -ENOMEM */
void groups_free(struct groups *groups);

/* Rank of a backend's name in tables and legends: baselines, then the pool table; unknown names last. */
int backend_rank(const char *backend);

/* Of a value that each row has. */
struct interval group_over_rounds(const struct group *group,
				  double (*value)(const struct record *));
struct interval group_ns(const struct group *group); /* ns per task, over rounds */
/* Time of `baseline` over time of `group`, paired by round: > 1 where group is the faster one. */
struct interval group_speedup(const struct group *group, const struct group *baseline);
/* Rounds that both have, the pairs of group_speedup. */
size_t group_pairs(const struct group *group, const struct group *baseline);
/* Is `a` named before `b`: a known one (with a level) before one of too few rounds, then the smaller `sign` x middle. */
bool interval_precedes(const struct interval *a, const struct interval *b, double sign);
/* The row of that round, NULL: it has none. */
const struct record *group_round(const struct group *group, int round);
int group_last_round(const struct group *group);
/* The last round that any of first..end-1 has; -1: there are none. In a run that was interrupted they differ. */
int series_last_round(const struct group *first, const struct group *end);

/* Straight lines y = intercept + slope x, one for each round that has three points or more. */
struct lines {
	double intercept[PAIRS_MAX], slope[PAIRS_MAX], r2[PAIRS_MAX];
	size_t count;
};

/* Where a row lies, by what `context` says; false: it is no point. */
typedef bool series_point(const struct record *record, const void *context, double *x, double *y);

/* Through the rows of first..end-1. relative: weighted by 1/y^2, where errors are a share of y; the small would drown in the
 * errors of the large otherwise. */
void series_lines(const struct group *first, const struct group *end, series_point *point,
		  const void *context, bool relative, struct lines *lines);

/* A writer of tables: "\t%.6g" for each of mid, low, high; "?" for an end that too few rounds leave unknown, for what is not
 * finite, and for a middle of 0 without ends: no round knows it. */
void put_interval(FILE *file, const struct interval *interval);
void put_scaled(FILE *file, const struct interval *interval, double unit); /* in units of so many */

/* "12.3 us": a time for people. Returns text. */
const char *time_text(double ns, char text[24]);

#endif
