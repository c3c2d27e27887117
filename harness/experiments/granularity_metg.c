/*
 * granularity_metg.c - METG of one curve.
 *
 * DESIGN. Crossings are found in each round and the interval is taken over rounds, so a slow round moves all its curves
 * together. Larger tasks can only be more efficient, so each curve is first made to rise: one disturbed point is no
 * crossing. Where a round begins above the level, or never reaches it, what was measured bounds its METG. Order
 * statistics need no more than bounds: the interval's ends are those of the low bounds and of the high ones.
 */
#include "harness/experiments/granularity.h"

#include <math.h>
#include <string.h>

#define POINTS_MAX 32

/* The unit of useful work is the serial loop's time for the same input and not the step: the chains of short tasks overlap
 * in the processor, so a step is not always worth the same. */
double useful_rate(const struct record *record)
{
	return record->serial_ns_per_task / record_median(record);
}

double best_rate(const struct groups *groups, int round)
{
	double best = 0;

	for (size_t i = 0; i < groups->count; i++) {
		const struct record *record = group_round(&groups->at[i], round);
		if (strcmp(groups->at[i].cell->backend, "forked") == 0 && record &&
		    strcmp(groups->at[i].cell->workload, "spin") == 0 && useful_rate(record) > best)
			best = useful_rate(record);
	}
	return best;
}

/* One round's curve; how many points. */
static size_t round_points(const struct curve *curve, int round, double x[POINTS_MAX],
			   double y[POINTS_MAX])
{
	double best = best_rate(curve->all, round);
	size_t n = 0;

	for (const struct group *g = curve->first; g < curve->end && n < POINTS_MAX; g++) {
		const struct record *record = group_round(g, round);
		if (!record || !(best > 0) || !(record->serial_ns_per_task > 0))
			continue;
		double ns = record_median(record), serial_ns = record->serial_ns_per_task;
		x[n] = curve->level > 0 ? ns * g->cell->workers : serial_ns;
		y[n] = curve->level > 0 ? useful_rate(record) / best : serial_ns / ns;
		n++;
	}
	return n;
}

bool metg_add(struct metg_rounds *rounds, const struct curve *curve, int round, double unit)
{
	double x[POINTS_MAX], y[POINTS_MAX], low, high;
	double level = curve->level > 0 ? curve->level : 1;
	size_t width[POINTS_MAX], n = round_points(curve, round, x, y);

	if (n < 2 || rounds->count == PAIRS_MAX)
		return false;
	stats_isotonic(y, width, n);
	if (y[0] >= level) {
		low = 0;
		high = x[0];
	} else if (stats_crossing(x, y, n, level, &low)) {
		high = low;
	} else {
		low = x[n - 1];
		high = INFINITY;
	}
	rounds->low[rounds->count] = low > 0 ? low / unit : 0;
	rounds->high[rounds->count++] = high / unit;
	return true;
}

struct metg metg_over(const struct metg_rounds *rounds)
{
	struct interval low = stats_median_interval(rounds->low, rounds->count, CONFIDENCE);
	struct interval high = stats_median_interval(rounds->high, rounds->count, CONFIDENCE);
	struct metg metg = { .rounds = rounds->count };

	for (size_t i = 0; i < rounds->count; i++) {
		metg.crossed += rounds->low[i] == rounds->high[i];
		metg.below += rounds->low[i] <= 0;
	}
	if (isinf(high.mid))
		metg.side = METG_BEYOND;
	else if (low.mid < high.mid)
		metg.side = METG_BELOW;
	metg.ns = (struct interval){ low.low, metg.side == METG_BEYOND ? low.mid : high.mid,
				     high.high, low.level };
	metg.all_below = low.level > 0 && low.high <= 0;
	return metg;
}

struct metg metg_of(const struct curve *curve)
{
	struct metg_rounds rounds = { .count = 0 };

	for (int round = 0; round <= group_last_round(curve->first); round++)
		metg_add(&rounds, curve, round, 1);
	return metg_over(&rounds);
}

static bool is_point(const struct cell *cell, const char *backend, int64_t chunk)
{
	return strcmp(cell->backend, backend) == 0 && cell->chunk == chunk &&
	       strcmp(cell->workload, "spin") == 0 && strcmp(cell->variant, "map") == 0;
}

struct metg metg_find(const struct groups *groups, const char *backend, int64_t chunk, double level)
{
	struct curve curve = { .all = groups, .level = level };
	size_t first = 0, end;

	while (first < groups->count && !is_point(groups->at[first].cell, backend, chunk))
		first++;
	for (end = first; end < groups->count && is_point(groups->at[end].cell, backend, chunk);)
		end++;
	if (first == end)
		return (struct metg){ .rounds = 0 };
	curve.first = &groups->at[first];
	curve.end = &groups->at[end];
	return metg_of(&curve);
}

const char *metg_error(const struct attempts *attempts, const char *backend, int64_t chunk)
{
	const char *error = NULL;

	for (size_t i = 0; error == NULL && i < attempts->groups.count; i++) {
		const struct group *attempt = &attempts->groups.at[i];
		const struct cell *cell = attempt->cell;
		if (strcmp(cell->workload, "spin") == 0 &&
		    (strcmp(cell->backend, "forked") == 0 ||
		     (strcmp(cell->backend, backend) == 0 && cell->chunk == chunk)))
			error = attempt_error(attempt);
	}
	return error;
}

const char *metg_note(const struct metg *metg, char text[METG_NOTE])
{
	static const char *const sides[] = { "crossed", "below the smallest measured: at most ",
					     "not reached: at least " };
	const size_t counts[] = { metg->crossed, metg->below,
				  metg->rounds - metg->crossed - metg->below };
	char bound[24] = "";
	int size;

	if (metg->side != METG_CROSSED)
		time_text(metg->ns.mid, bound);
	size = snprintf(text, METG_NOTE, "%s%s", metg->rounds ? sides[metg->side] : "no rows",
			bound);
	if (counts[metg->side] < metg->rounds)
		snprintf(text + size, METG_NOTE - (size_t)size,
			 "; of %zu rounds %zu crossed, %zu began above, %zu did not reach it",
			 metg->rounds, counts[METG_CROSSED], counts[METG_BELOW],
			 counts[METG_BEYOND]);
	return text;
}

void put_metg(FILE *file, const struct metg *metg)
{
	struct interval known = metg->ns;

	if (metg->side != METG_CROSSED)
		known.mid = NAN;
	if (!(known.low > 0))
		known.low = NAN;
	put_interval(file, &known);
}
