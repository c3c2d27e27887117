/*
 * probe.c - timing single calls, and the results of single calls as they come.
 *
 * DESIGN. Latencies go into a histogram whose buckets are a 64th of their power of two wide, so a quantile is right to 1 % and
 * noting one takes a few instructions (the layout of G. Tene's HdrHistogram); the extremes are kept exactly. Deliveries
 * are kept call by call, because their median over calls is wanted at each mark.
 */
#include "harness/probe.h"
#include "harness/bench.h"
#include "harness/clock.h"
#include "harness/stats.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SUB_BITS 6
#define SUBS (1u << SUB_BITS)
#define BUCKETS ((64 - SUB_BITS) * SUBS)

const double probe_exceedance[PROBE_EXCEEDANCES] = { 1,	     .9,      .75,    .5,     .25,
						     .1,     .05,     .025,   .01,    .005,
						     .0025,  .001,    .0005,  .00025, .0001,
						     .00005, .000025, .00001, 1e-6,   0 };
_Static_assert(PROBE_EXCEEDANCES <= SAMPLES_MAX, "a profile has room for SAMPLES_MAX values");

static const char *const names[] = { "syscalls", "latency", "delivery", "memory" };

struct latency {
	uint64_t calls, least_ns, most_ns;
	uint64_t bucket[BUCKETS];
};

struct delivery {
	uint64_t tasks;
	unsigned marks, mark; /* how many there are; the next to be reached */
	uint64_t due;	      /* results that reach it */
	int64_t begin_ns;     /* of the running call */
	size_t calls;
	double (*ns)[SAMPLES_MAX]; /* [PROBE_CALLS] */
};

/* Exactly one of them. */
struct probe {
	struct latency *latency;
	struct delivery *delivery;
};

int probe_exceedance_find(double share)
{
	for (int i = 0; i < PROBE_EXCEEDANCES; i++)
		if (probe_exceedance[i] == share)
			return i;
	return -1;
}

const char *probe_name(unsigned i)
{
	return i < sizeof names / sizeof *names ? names[i] : NULL;
}

bool probe_known(const char *name)
{
	const char *known;

	for (unsigned i = 0; (known = probe_name(i)) != NULL; i++)
		if (strcmp(known, name) == 0)
			return true;
	return name[0] == '\0';
}

/*
 * == Latency ==
 */

/* Below SUBS a bucket is one nanosecond; above, each power of two has SUBS buckets. */
static unsigned bucket_of(uint64_t ns)
{
	unsigned shift;

	if (ns < SUBS)
		return (unsigned)ns;
	shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(ns);
	return (shift + 1) * SUBS + (unsigned)(ns >> shift) - SUBS;
}

static double bucket_middle(unsigned bucket)
{
	unsigned shift = bucket / SUBS;

	if (shift == 0)
		return bucket;
	return ldexp(SUBS + bucket % SUBS + 0.5, (int)shift - 1) - 0.5;
}

static void note_latency(struct latency *l, int64_t elapsed_ns)
{
	uint64_t ns = elapsed_ns > 0 ? (uint64_t)elapsed_ns : 0;

	if (l->calls == 0 || ns < l->least_ns)
		l->least_ns = ns;
	if (ns > l->most_ns)
		l->most_ns = ns;
	l->calls++;
	l->bucket[bucket_of(ns)]++;
}

/* What `beyond` calls are at least as long as: the beyond-th longest. */
static double ranked_ns(const struct latency *l, uint64_t beyond)
{
	unsigned bucket = BUCKETS - 1;
	double ns;

	for (uint64_t seen = l->bucket[bucket]; seen < beyond; seen += l->bucket[bucket])
		bucket--;
	ns = bucket_middle(bucket);
	return fmin(fmax(ns, (double)l->least_ns), (double)l->most_ns);
}

static double quantile_ns(const struct latency *l, double exceedance)
{
	uint64_t beyond = (uint64_t)llround(exceedance * (double)l->calls);

	if (l->calls == 0)
		return 0;
	if (exceedance == 1)
		return (double)l->least_ns;
	if (exceedance == 0)
		return (double)l->most_ns;
	return beyond < PROBE_TAIL ? 0 : ranked_ns(l, beyond);
}

static void keep_latency(const struct latency *l, struct record *record)
{
	record->profile = PROBE_EXCEEDANCES;
	for (int i = 0; i < PROBE_EXCEEDANCES; i++) {
		double ns = quantile_ns(l, probe_exceedance[i]);
		record->profile_ns[i] = ns < PROBE_CLOCKS * record->clock_ns ? 0 : ns;
	}
}

/*
 * == Delivery ==
 */

/* Results that reach mark k: the share (k+1)/marks, rounded up. */
static uint64_t due_at(const struct delivery *d, unsigned k)
{
	return (d->tasks * (k + 1) + d->marks - 1) / d->marks;
}

static void begin_delivery(struct delivery *d)
{
	d->mark = 0;
	d->due = due_at(d, 0);
	d->begin_ns = clock_now_ns();
}

static void note_delivery(struct delivery *d, uint64_t count, int64_t now_ns)
{
	bool room = d->calls < PROBE_CALLS;

	for (; d->mark < d->marks && count >= d->due; d->due = due_at(d, ++d->mark))
		if (room)
			d->ns[d->calls][d->mark] = (double)(now_ns - d->begin_ns);
}

/* What the call did not tell of came with its end. */
static void end_delivery(struct delivery *d, int64_t now_ns)
{
	note_delivery(d, d->tasks, now_ns);
	d->calls += d->calls < PROBE_CALLS;
}

static void keep_delivery(const struct delivery *d, struct record *record)
{
	double ns[PROBE_CALLS];

	record->profile = d->calls ? (int)d->marks : 0;
	for (unsigned k = 0; d->calls && k < d->marks; k++) {
		for (size_t i = 0; i < d->calls; i++)
			ns[i] = d->ns[i][k];
		record->profile_ns[k] = stats_median(ns, d->calls);
	}
}

/*
 * == Both ==
 */

static int new_delivery(struct probe *probe, uint64_t tasks)
{
	struct delivery *d = probe->delivery = calloc(1, sizeof *d);

	if (d == NULL)
		return -ENOMEM;
	d->tasks = tasks;
	d->marks = tasks < SAMPLES_MAX ? (unsigned)tasks : SAMPLES_MAX;
	d->ns = calloc(PROBE_CALLS, sizeof *d->ns);
	return d->ns ? 0 : -ENOMEM;
}

int probe_new(struct probe **probe, const struct bench *b)
{
	bool latency = strcmp(b->cell->probe, "latency") == 0;
	struct probe *made;
	int rc = 0;

	*probe = NULL;
	if (!latency && strcmp(b->cell->probe, "delivery") != 0)
		return 0;
	made = calloc(1, sizeof *made);
	if (made == NULL)
		return -ENOMEM;
	if (!latency)
		rc = new_delivery(made, b->work.tasks);
	else if ((made->latency = calloc(1, sizeof *made->latency)) == NULL)
		rc = -ENOMEM;
	if (rc < 0)
		probe_free(made);
	else
		*probe = made;
	return rc;
}

void probe_free(struct probe *probe)
{
	if (probe == NULL)
		return;
	if (probe->delivery != NULL)
		free(probe->delivery->ns);
	free(probe->delivery);
	free(probe->latency);
	free(probe);
}

void probe_reset(struct probe *probe)
{
	if (probe != NULL && probe->latency != NULL)
		memset(probe->latency, 0, sizeof *probe->latency);
	if (probe != NULL && probe->delivery != NULL)
		probe->delivery->calls = 0;
}

int probe_call(struct bench *b, void *results)
{
	struct probe *probe = b->probe;
	int64_t begin_ns;
	int rc;

	b->latency_ns = -1;
	if (probe->delivery != NULL)
		begin_delivery(probe->delivery);
	begin_ns = clock_now_ns();
	rc = b->call(b, results);
	int64_t end_ns = clock_now_ns();
	if (rc != 0)
		return rc;
	if (probe->latency != NULL)
		note_latency(probe->latency,
			     b->latency_ns >= 0 ? b->latency_ns : end_ns - begin_ns);
	if (probe->delivery != NULL)
		end_delivery(probe->delivery, end_ns);
	return 0;
}

void probe_delivered(struct probe *probe, uint64_t count)
{
	struct delivery *d = probe ? probe->delivery : NULL;

	if (d != NULL && count >= d->due)
		note_delivery(d, count, clock_now_ns());
}

void probe_keep(const struct probe *probe, struct record *record)
{
	if (probe != NULL && probe->latency != NULL)
		keep_latency(probe->latency, record);
	if (probe != NULL && probe->delivery != NULL)
		keep_delivery(probe->delivery, record);
}
