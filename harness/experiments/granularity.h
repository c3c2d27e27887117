/*
 * granularity.h - METG of one curve, for other experiments that have tasks of `spin`.
 */
#ifndef HARNESS_EXPERIMENTS_GRANULARITY_H
#define HARNESS_EXPERIMENTS_GRANULARITY_H

#include "harness/series.h"

/* The smallest granularity in ns at which map of `spin` by this backend with this chunk reaches the efficiency `level`, over
 * rounds. mid 0: no such point; *note says why: "not reached", "below the smallest measured", or "no rows". */
struct interval granularity_metg(const struct groups *groups, const char *backend, int64_t chunk,
				 double level, const char **note);

#endif
