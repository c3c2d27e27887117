/*
 * peers.h - what the files of the experiment `peers` share: arms, finding their rows, and judging them.
 */
#ifndef HARNESS_EXPERIMENTS_PEERS_H
#define HARNESS_EXPERIMENTS_PEERS_H

#include "harness/attempts.h"
#include "harness/bars.h"

#define MIB (UINT64_C(1) << 20)
#define PEERS_WORKERS 2 /* what the bars speak of */

/* A copy of the arguments and results of so many tasks of square, 16 bytes each. */
#define COPY_SQUARES 65536
#define COPY_ARM                                                                                   \
	{                                                                                          \
		"raw-memcpy", "map", "stream", .payload_bytes = 16 * COPY_SQUARES, .workers = 1    \
	}

/* A cell but for what follows from the scale; 0 workers: PEERS_WORKERS. */
struct arm {
	const char *backend, *variant, *workload;
	int64_t chunk, work;
	uint64_t payload_bytes, parent_bytes;
	int workers, batches; /* batches 0: as many as the plan says */
	bool pool_memory;
};

/* Its rows; NULL: none. The number of tasks may be any. */
const struct group *arm_group(const struct groups *groups, const struct arm *arm);

struct judge {
	struct bars *bars;
	const struct groups *groups;
	const struct attempts *attempts; /* what there should be a group of */
	const char *shm, *pipe;		 /* the rows that bars mean by these names */
	int cpus;			 /* of the run's machine; 0: not known */
};

void judge_begin(struct judge *j, const char *bar, const char *what, const char *unit,
		 enum bound bound, double limit);
/* A part that demands nothing: a limit of the machine, see harness/bars.h. */
void judge_limit(struct judge *j, const char *bar, const char *what, const char *unit);
/* Time of `arm` over that of `base`; where the bound is AT_LEAST its reciprocal, the speed. */
void judge_ratio(struct judge *j, const char *which, const struct arm *arm, const struct arm *base);
/* Time of `arm`, a task of which does what `squares` tasks of `base` do. */
void judge_share(struct judge *j, const struct arm *arm, const struct arm *base, int squares);
void judge_ns(struct judge *j, const struct arm *arm); /* its time per task */
void judge_missing(struct judge *j, const char *which, const char *why);
/* The bars speak of two workers that have a CPU each, as their peers have: true, after a missing value, where there are not. */
bool judge_lacks_cpus(struct judge *j, const char *which);
/* Was it to be measured? */
bool judge_knows(const struct judge *j, const struct arm *arm);
/* Its rows where it succeeded in each round; NULL: it did not. */
const struct group *judge_group(const struct judge *j, const struct arm *arm);
/* A value that is missing, with the reason why this arm has none. */
void judge_unmeasured(struct judge *j, const char *which, const struct arm *arm);
void judge_end(struct judge *j);

void judge_heavy(struct judge *j, const struct derivation *d);	  /* P8 to P13 */
void judge_run_time(struct judge *j, const struct derivation *d); /* of P13 */

/* Writes tables/bars.tsv and tables/bars-all.tsv, and fills in `bars` for the finding. 0 or -errno. */
int peers_bars(const struct derivation *d, const struct groups *groups, struct bars *bars);

#endif
