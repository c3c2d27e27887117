/*
 * series.c - grouping rows by cell.
 */
#include "harness/series.h"
#include "pools/pool.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int backend_rank(const char *backend)
{
	const struct pool_backend_info *info;
	unsigned i;

	if (strcmp(backend, "loop") == 0)
		return 0;
	if (strcmp(backend, "forked") == 0)
		return 1;
	for (i = 0; (info = pool_backend_info(i)) != NULL; i++)
		if (strcmp(backend, info->name) == 0)
			break;
	return (int)i + 2;
}

static int compare_numbers(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_sizes(const struct cell *a, const struct cell *b)
{
	const uint64_t left[] = { a->payload_bytes,	a->parent_bytes,   (uint64_t)a->chunk,
				  (uint64_t)a->workers, (uint64_t)a->work, a->tasks,
				  (uint64_t)a->window,	a->pool_memory };
	const uint64_t right[] = { b->payload_bytes,	 b->parent_bytes,   (uint64_t)b->chunk,
				   (uint64_t)b->workers, (uint64_t)b->work, b->tasks,
				   (uint64_t)b->window,	 b->pool_memory };
	int order = 0;

	for (size_t i = 0; order == 0 && i < sizeof left / sizeof *left; i++)
		order = compare_numbers(left[i], right[i]);
	return order;
}

static int compare_cells(const struct cell *a, const struct cell *b)
{
	int order = backend_rank(a->backend) - backend_rank(b->backend);

	if (order == 0)
		order = strcmp(a->backend, b->backend);
	if (order == 0)
		order = strcmp(a->variant, b->variant);
	if (order == 0)
		order = strcmp(a->workload, b->workload);
	return order ? order : compare_sizes(a, b);
}

static int compare_records(const void *left, const void *right)
{
	const struct record *a = *(const struct record *const *)left;
	const struct record *b = *(const struct record *const *)right;
	int order = compare_cells(&a->cell, &b->cell);

	return order ? order : (a->round > b->round) - (a->round < b->round);
}

static void split(struct groups *groups, size_t count)
{
	struct group *last = NULL;

	for (size_t i = 0; i < count; i++) {
		if (!last || compare_cells(last->cell, &groups->order[i]->cell) != 0) {
			last = &groups->at[groups->count++];
			*last = (struct group){ &groups->order[i]->cell, &groups->order[i], 0 };
		}
		last->count++;
	}
}

int groups_make(struct groups *groups, const struct rows *rows)
{
	*groups = (struct groups){ 0 };
	groups->at = calloc(rows->count + 1, sizeof *groups->at);
	groups->order = calloc(rows->count + 1, sizeof *groups->order);
	if (!groups->at || !groups->order) {
		groups_free(groups);
		return -ENOMEM;
	}
	for (size_t i = 0; i < rows->count; i++)
		groups->order[i] = &rows->at[i];
	qsort(groups->order, rows->count, sizeof *groups->order, compare_records);
	split(groups, rows->count);
	return 0;
}

void groups_free(struct groups *groups)
{
	free(groups->at);
	free(groups->order);
	*groups = (struct groups){ 0 };
}

struct interval group_over_rounds(const struct group *group, double (*value)(const struct record *))
{
	double x[PAIRS_MAX];
	size_t n = group->count < PAIRS_MAX ? group->count : PAIRS_MAX;

	for (size_t i = 0; i < n; i++)
		x[i] = value(group->at[i]);
	return stats_median_interval(x, n, CONFIDENCE);
}

struct interval group_ns(const struct group *group)
{
	return group_over_rounds(group, record_median);
}

const struct record *group_round(const struct group *group, int round)
{
	for (size_t i = 0; i < group->count; i++)
		if (group->at[i]->round == round)
			return group->at[i];
	return NULL;
}

int group_last_round(const struct group *group)
{
	return group->at[group->count - 1]->round;
}

int series_last_round(const struct group *first, const struct group *end)
{
	int last = -1;

	for (const struct group *g = first; g < end; g++)
		if (group_last_round(g) > last)
			last = group_last_round(g);
	return last;
}

#define POINTS_MAX 64

static bool round_line(const struct group *first, const struct group *end, int round,
		       series_point *point, const void *context, bool relative, struct line *line)
{
	double x[POINTS_MAX], y[POINTS_MAX], w[POINTS_MAX];
	size_t n = 0;

	for (const struct group *g = first; g < end && n < POINTS_MAX; g++) {
		const struct record *record = group_round(g, round);
		if (!record || !point(record, context, &x[n], &y[n]))
			continue;
		w[n] = relative ? 1 / (y[n] * y[n]) : 1;
		n++;
	}
	return n >= 3 && stats_line(x, y, w, n, line);
}

void series_lines(const struct group *first, const struct group *end, series_point *point,
		  const void *context, bool relative, struct lines *lines)
{
	int last = series_last_round(first, end);
	struct line line;
	size_t n = 0;

	for (int round = 0; round <= last && n < PAIRS_MAX; round++) {
		if (!round_line(first, end, round, point, context, relative, &line))
			continue;
		lines->intercept[n] = line.intercept;
		lines->slope[n] = line.slope;
		lines->r2[n++] = line.r2;
	}
	lines->count = n;
}

struct interval group_speedup(const struct group *group, const struct group *baseline)
{
	double ns[PAIRS_MAX], base_ns[PAIRS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < group->count && n < PAIRS_MAX; i++) {
		const struct record *base = group_round(baseline, group->at[i]->round);
		if (!base)
			continue;
		ns[n] = record_median(group->at[i]);
		base_ns[n++] = record_median(base);
	}
	return stats_ratio_interval(base_ns, ns, n, CONFIDENCE);
}

size_t group_pairs(const struct group *group, const struct group *baseline)
{
	size_t n = 0;

	for (size_t i = 0; i < group->count; i++)
		n += group_round(baseline, group->at[i]->round) != NULL;
	return n;
}

bool interval_precedes(const struct interval *a, const struct interval *b, double sign)
{
	bool a_known = a->level > 0, b_known = b->level > 0;

	return a_known != b_known ? a_known : sign * a->mid < sign * b->mid;
}

static void put_number(FILE *file, bool known, double x)
{
	if (known && isfinite(x))
		fprintf(file, "\t%.6g", x);
	else
		fputs("\t?", file);
}

void put_interval(FILE *file, const struct interval *interval)
{
	bool bounded = interval->level > 0;

	put_number(file, bounded || interval->mid != 0, interval->mid);
	put_number(file, bounded, interval->low);
	put_number(file, bounded, interval->high);
}

void put_scaled(FILE *file, const struct interval *interval, double unit)
{
	struct interval scaled = { interval->low / unit, interval->mid / unit,
				   interval->high / unit, interval->level };

	put_interval(file, &scaled);
}

const char *time_text(double ns, char text[24])
{
	static const struct {
		double ns;
		const char *name;
	} units[] = { { 1e9, "s" }, { 1e6, "ms" }, { 1e3, "us" }, { 1, "ns" } };
	size_t i = 0;

	while (i < 3 && ns < units[i].ns)
		i++;
	double value = ns / units[i].ns;
	snprintf(text, 24, "%.*f %s", value < 10 ? 1 : 0, value, units[i].name);
	return text;
}
