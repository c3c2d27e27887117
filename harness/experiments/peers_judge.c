/*
 * peers_judge.c - values for the bars: ratios and times of arms, with what they were computed from.
 */
#include "harness/experiments/peers.h"
#include "harness/grid.h"
#include "harness/peer.h"

#include <string.h>

const struct group *arm_group(const struct groups *groups, const struct arm *arm)
{
	int workers = arm->workers ? arm->workers : PEERS_WORKERS;

	for (size_t i = 0; i < groups->count; i++) {
		const struct cell *cell = groups->at[i].cell;
		if (strcmp(cell->backend, arm->backend) == 0 &&
		    strcmp(cell->variant, arm->variant) == 0 &&
		    strcmp(cell->workload, arm->workload) == 0 && cell->chunk == arm->chunk &&
		    cell->work == arm->work && cell->payload_bytes == arm->payload_bytes &&
		    cell->parent_bytes == arm->parent_bytes && cell->workers == workers &&
		    cell->pool_memory == arm->pool_memory)
			return &groups->at[i];
	}
	return NULL;
}

void judge_begin(struct judge *j, const char *bar, const char *what, const char *unit,
		 enum bound bound, double limit)
{
	bars_begin(j->bars, &(struct demand){ bar, what, unit, bound, limit });
}

void judge_limit(struct judge *j, const char *bar, const char *what, const char *unit)
{
	judge_begin(j, bar, what, unit, NO_BOUND, 0);
}

void judge_end(struct judge *j)
{
	bars_end(j->bars);
}

void judge_missing(struct judge *j, const char *which, const char *why)
{
	struct value value = { .which = "" };

	snprintf(value.which, sizeof value.which, "%s", which);
	snprintf(value.why, sizeof value.why, "%s", why);
	bars_add(j->bars, &value);
}

bool judge_knows(const struct judge *j, const struct arm *arm)
{
	return arm_group(&j->attempts->groups, arm) != NULL;
}

static const char *arm_error(const struct judge *j, const struct arm *arm)
{
	const struct group *attempt = arm_group(&j->attempts->groups, arm);

	return attempt ? attempt_error(attempt) : NULL;
}

const struct group *judge_group(const struct judge *j, const struct arm *arm)
{
	return arm_error(j, arm) == NULL ? arm_group(j->groups, arm) : NULL;
}

void judge_unmeasured(struct judge *j, const char *which, const struct arm *arm)
{
	const struct peer *peer = peer_find(arm->backend);
	const char *error = arm_error(j, arm);
	char why[sizeof((struct value *)0)->why];

	if (error != NULL)
		snprintf(why, sizeof why, "%s %s %s: %.100s", arm->backend, arm->variant,
			 arm->workload, error);
	else
		snprintf(why, sizeof why, "no rows of %s %s%s%s%s", arm->backend, arm->variant,
			 peer ? " (skipped, or see package " : "", peer ? peer->package : "",
			 peer ? ")" : "");
	judge_missing(j, which, why);
}

static struct interval part(struct interval whole, double parts)
{
	return (struct interval){ whole.low / parts, whole.mid / parts, whole.high / parts,
				  whole.level };
}

bool judge_lacks_cpus(struct judge *j, const char *which)
{
	if (j->cpus == 0 || j->cpus >= PEERS_WORKERS)
		return false;
	judge_missing(j, which, "takes 2 CPUs");
	return true;
}

static void judge_pair(struct judge *j, const char *which, const struct arm *arm,
		       const struct arm *base, double squares)
{
	const struct group *a = judge_group(j, arm), *b = judge_group(j, base);
	struct value value = { .why = "" };
	char text[2][24];

	if (judge_lacks_cpus(j, which))
		return;
	if (a == NULL || b == NULL) {
		judge_unmeasured(j, which, a == NULL ? arm : base);
		return;
	}
	snprintf(value.which, sizeof value.which, "%s", which);
	value.interval = j->bars->demand.bound == AT_LEAST ? group_speedup(a, b)
							   : part(group_speedup(b, a), squares);
	snprintf(value.why, sizeof value.why, "%s %s, %s %s", arm->backend,
		 time_text(group_ns(a).mid / squares, text[0]), base->backend,
		 time_text(group_ns(b).mid, text[1]));
	bars_add(j->bars, &value);
}

void judge_ratio(struct judge *j, const char *which, const struct arm *arm, const struct arm *base)
{
	judge_pair(j, which, arm, base, 1);
}

void judge_share(struct judge *j, const struct arm *arm, const struct arm *base, int squares)
{
	judge_pair(j, "", arm, base, squares);
}

void judge_ns(struct judge *j, const struct arm *arm)
{
	const struct group *g = judge_group(j, arm);
	struct value value = { .which = "" };

	if (judge_lacks_cpus(j, ""))
		return;
	if (g == NULL) {
		judge_unmeasured(j, "", arm);
		return;
	}
	value.interval = group_ns(g);
	snprintf(value.why, sizeof value.why, "%s, time per task", arm->backend);
	bars_add(j->bars, &value);
}
