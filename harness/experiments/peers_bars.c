/*
 * peers_bars.c - the bars of the library's performance, each computed from one interleaved run: P1 to P7, light tasks.
 *
 * DESIGN. Each bar is a function that states its demands beside the arms they compare. Ratios are paired by round. A
 * demand on several arms (every backend, every size) keeps them all in tables/bars-all.tsv, and the worst in
 * tables/bars.tsv. Processes, balance, payload, memory and cost are in peers_heavy.c.
 */
#include "harness/experiments/granularity.h"
#include "harness/experiments/peers.h"
#include "harness/grid.h"
#include "harness/machine.h"

#include <string.h>

/*
 * == Light tasks ==
 */

static void judge_p1_p2(struct judge *j)
{
	struct arm ours = { j->shm, "map", "square", .chunk = 1 };
	struct arm openmp = { "openmp-dynamic", "map", "square", .chunk = 1 };

	judge_begin(j, "P1", "shm map, chunk 1, time over OpenMP dynamic,1", "x", AT_MOST, 1 / 3.0);
	judge_ratio(j, "", &ours, &openmp);
	judge_end(j);
	judge_begin(j, "P2", "shm map, time over OpenMP dynamic at the same chunk", "x", AT_MOST,
		    1);
	for (int64_t chunk = 16; chunk <= 4096; chunk *= 4) {
		char which[32];
		snprintf(which, sizeof which, "chunk %d", (int)chunk);
		ours.chunk = openmp.chunk = chunk;
		if (judge_knows(j, &ours) || judge_knows(j, &openmp))
			judge_ratio(j, which, &ours, &openmp);
	}
	judge_end(j);
	openmp.chunk = 4096;
	judge_limit(j, "P2",
		    "copying as many arguments and results by one process, time over OpenMP "
		    "dynamic,4096",
		    "x");
	judge_share(j, &(struct arm)COPY_ARM, &openmp, COPY_SQUARES);
	judge_end(j);
}

static void judge_p3(struct judge *j)
{
	const struct arm ours = { j->shm, "map", "square", .pool_memory = true };

	judge_begin(j, "P3", "shm map, auto chunk, memory of the pool, time over OpenMP static",
		    "x", AT_MOST, 1.15);
	judge_ratio(j, "", &ours, &(struct arm){ "openmp-static", "map", "square", .chunk = 0 });
	judge_end(j);
	judge_begin(j, "P3", "the same, speed over CPython's default map", "x", AT_LEAST, 100);
	judge_ratio(j, "", &ours, &(struct arm){ "cpython-pool", "map", "square", .chunk = 0 });
	judge_end(j);
}

static void judge_calls(struct judge *j, const char *bar, const char *backend,
			const char *const variants[2], const double limits[2])
{
	const char *name = strcmp(backend, j->shm) == 0 ? "shm" : "pipe";
	char what[96];

	for (int i = 0; i < 2; i++) {
		const struct arm ours = { backend, variants[i], "square", .chunk = 1 };
		const struct arm cpython = { "cpython-pool", variants[i], "square", .chunk = 1 };
		snprintf(what, sizeof what, "%s %s, chunk 1", name, variants[i]);
		judge_begin(j, bar, what, "ns", AT_MOST, limits[0]);
		judge_ns(j, &ours);
		judge_end(j);
		snprintf(what, sizeof what, "%s %s, chunk 1, speed over CPython", name,
			 variants[i]);
		judge_begin(j, bar, what, "x", AT_LEAST, limits[1]);
		judge_ratio(j, "", &ours, &cpython);
		judge_end(j);
	}
}

/* Where the kernel places the two raw processes is its choice, often one CPU, where a round trip is far cheaper; a pool has
 * a worker on each CPU. Both are told. */
static void judge_apply(struct judge *j, const char *name, const char *backend, const char *raw)
{
	const struct arm ours = { backend, "apply", "square", .chunk = 0 };
	char what[96];

	for (int cpus = 1; cpus <= 2; cpus++) {
		const struct arm trip = { raw, "map", "noop", .workers = cpus };
		snprintf(what, sizeof what, "%s apply, time over a %s round trip%s", name, raw,
			 cpus == 1 ? "" : " bound to two CPUs");
		judge_begin(j, "P6", what, "x", AT_MOST, 1.2);
		judge_ratio(j, "", &ours, &trip);
		judge_end(j);
	}
}

static void judge_p6(struct judge *j)
{
	judge_apply(j, "shm", j->shm, "raw-futex");
	judge_apply(j, "pipe", j->pipe, "raw-pipe");
	judge_begin(j, "P6", "hot shm apply, 1 worker", "ns", AT_MOST, 1000);
	judge_ns(j, &(struct arm){ j->shm, "apply", "square", .workers = 1 });
	judge_end(j);
	judge_limit(j, "P6", "raw-spin round trip bound to two CPUs, a cache line each way", "ns");
	judge_ns(j, &(struct arm){ "raw-spin", "map", "noop", .workers = 2 });
	judge_end(j);
}

/*
 * == Granularity ==
 */

static void judge_metg(struct judge *j, const char *name, const char *backend, int64_t chunk,
		       double limit_ns)
{
	static const char *const bounds[] = { NULL, "at most ", "at least " };
	struct metg metg = metg_find(j->groups, backend, chunk, 0.5);
	const char *error = metg_error(j->attempts, backend, chunk);
	struct value value = { .interval = metg.ns, .bound = bounds[metg.side] };
	char what[96];

	metg_note(&metg, value.why);
	if (error != NULL)
		value = (struct value){ .which = "" };
	if (error != NULL)
		snprintf(value.why, sizeof value.why, "a point of it %.120s", error);
	snprintf(what, sizeof what, "%s map, METG(50 %%), %s", name,
		 chunk ? "chunk 1" : "auto chunk");
	judge_begin(j, "P7", what, "ns", AT_MOST, limit_ns);
	if (!judge_lacks_cpus(j, ""))
		bars_add(j->bars, &value);
	judge_end(j);
}

int peers_bars(const struct derivation *d, const struct groups *groups, struct bars *bars)
{
	static const char *const lazy[] = { "imap", "imap_unordered" }, *const both[] = { "map",
											  "imap" };
	struct judge j = { bars,
			   groups,
			   d->attempts,
			   transport_row("shm"),
			   transport_row("pipe"),
			   machine_cpus_told(d->run) };
	int rc, closed;

	rc = bars_open(bars, d);
	if (rc == 0) {
		judge_p1_p2(&j);
		judge_p3(&j);
		judge_calls(&j, "P4", j.shm, lazy, (double[]){ 100, 300 });
		judge_calls(&j, "P5", j.pipe, both, (double[]){ 1000, 30 });
		judge_p6(&j);
		judge_metg(&j, "shm", j.shm, 0, 50);
		judge_metg(&j, "shm", j.shm, 1, 200);
		judge_metg(&j, "pipe", j.pipe, 0, 100);
		judge_metg(&j, "pipe", j.pipe, 1, 5000);
		judge_heavy(&j, d);
	}
	closed = bars_close(bars);
	return rc ? rc : closed;
}
