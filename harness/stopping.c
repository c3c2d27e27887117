/*
 * stopping.c - when is a cell known well enough?
 */
#include "harness/stopping.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

int stopping_open(struct stopping *s, double within, size_t cells, size_t rounds)
{
	*s = (struct stopping){ .within = within, .cells = cells, .rounds = rounds };
	s->values = calloc(cells * rounds, sizeof *s->values);
	s->counts = calloc(cells, sizeof *s->counts);
	s->settled = calloc(cells, sizeof *s->settled);
	return s->values && s->counts && s->settled ? 0 : -ENOMEM;
}

void stopping_close(struct stopping *s)
{
	free(s->values);
	free(s->counts);
	free(s->settled);
	*s = (struct stopping){ .within = 0 };
}

double stopping_half(const struct stopping *s, size_t cell)
{
	struct interval interval = { 0 };

	if (s->counts[cell] > 0)
		interval =
			stats_median_interval(&s->values[cell * s->rounds], s->counts[cell], 0.95);
	if (interval.level == 0)
		return INFINITY;
	return (interval.high - interval.low) / 2 / interval.mid;
}

bool stopping_add(struct stopping *s, size_t cell, double ns)
{
	if (s->counts[cell] < s->rounds)
		s->values[cell * s->rounds + s->counts[cell]++] = ns;
	if (s->within > 0 && !s->settled[cell] && stopping_half(s, cell) <= s->within) {
		s->settled[cell] = true;
		s->settled_count++;
	}
	return s->settled[cell];
}

bool stopping_done(const struct stopping *s)
{
	return s->within > 0 && s->settled_count == s->cells;
}
