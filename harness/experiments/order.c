/*
 * order.c - when the results of a lazy map are there: in order, and as they come.
 *
 * DESIGN. One slow task (workload straggler) or a few (pareto) keep all later results of imap back, although they are
 * ready; imap_unordered hands them over. The window is larger than the input, so workers never wait and both calls end at
 * the same time: what differs is when the caller gets how much (probe "delivery"). The area between the two
 * curves is the cost of waiting at the head of the line: its unit is result x second, and over the number of results it is
 * the mean delay of one. Taken within rounds.
 */
#include "harness/attempts.h"
#include "harness/clock.h"
#include "harness/grid.h"
#include "harness/probe.h"
#include "harness/series.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define TASKS 64
/* Steps, some 0.4 ms a task: with a worker on each CPU the caller may have to wait for the scheduler's next tick. */
#define WORK 200000

static const struct {
	const char *workload, *words;
} inputs[] = { { "straggler", "one slow task at the front" }, { "pareto", "heavy-tailed tasks" } };
#define INPUTS (sizeof inputs / sizeof *inputs)

static void add_pair(struct grid *grid, const char *backend, const char *workload)
{
	static const char *const variants[] = { "imap", "imap_unordered" };

	for (size_t i = 0; i < 2; i++) {
		struct cell cell = grid_cell(grid, backend, variants[i], workload);
		cell.tasks = TASKS;
		cell.work = WORK;
		cell.chunk = 1;
		cell.window = TASKS;
		snprintf(cell.probe, sizeof cell.probe, "delivery");
		grid_add(grid, &cell);
	}
}

static int order_grid(struct plan *plan, const struct scale *scale)
{
	struct grid grid = { plan, scale, 0 };
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned pick = PICK_TRANSPORTS | (scale->level > 1 ? PICK_THREADS : 0);
	unsigned count = grid_rows(pick, row);

	/* in a minute there is time for one transport, the last of the table */
	for (unsigned i = scale->level == 0 && count > 0 ? count - 1 : 0; i < count; i++)
		for (size_t k = 0; k < INPUTS; k++)
			add_pair(&grid, row[i]->name, inputs[k].workload);
	return grid.rc;
}

/* Both calls of one backend on one workload. */
struct pair {
	const struct group *imap, *unordered;
	size_t rounds;		  /* that tell */
	struct interval delay_ns; /* of a result, mean over all results */
	struct interval share;	  /* the same as a share of the whole call */
	struct interval whole_ns; /* imap's last result */
};

static struct interval mark(const struct group *g, int k)
{
	double ns[PAIRS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < g->count && n < PAIRS_MAX; i++)
		if (k < g->at[i]->profile)
			ns[n++] = g->at[i]->profile_ns[k];
	return stats_median_interval(ns, n, CONFIDENCE);
}

static int marks(const struct group *g)
{
	return g->at[0]->profile;
}

/* The area between the curves of one round over the number of results. */
static double round_delay(const struct record *imap, const struct record *unordered)
{
	double sum = 0;

	for (int k = 0; k < imap->profile; k++)
		sum += imap->profile_ns[k] - unordered->profile_ns[k];
	return sum / imap->profile;
}

/* The same with each call's length as the unit of its time: both do the same work, so a round in which the machine gave
 * one of them less of itself says as much as any other. */
static double round_share(const struct record *imap, const struct record *unordered)
{
	double imap_ns = imap->profile_ns[imap->profile - 1], share = 0;
	double unordered_ns = unordered->profile_ns[unordered->profile - 1];

	for (int k = 0; k < imap->profile; k++)
		share += imap->profile_ns[k] / imap_ns - unordered->profile_ns[k] / unordered_ns;
	return share / imap->profile;
}

static struct interval paired(struct pair *pair,
			      double (*difference)(const struct record *, const struct record *))
{
	const struct group *imap = pair->imap;
	double x[PAIRS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < imap->count && n < PAIRS_MAX; i++) {
		const struct record *other = group_round(pair->unordered, imap->at[i]->round);
		if (other && other->profile == imap->at[i]->profile && other->profile > 0)
			x[n++] = difference(imap->at[i], other);
	}
	pair->rounds = n;
	return stats_median_interval(x, n, CONFIDENCE);
}

static const struct group *partner(const struct groups *groups, const struct cell *imap)
{
	for (size_t i = 0; i < groups->count; i++) {
		const struct cell *cell = groups->at[i].cell;
		if (strcmp(cell->variant, "imap_unordered") == 0 &&
		    strcmp(cell->backend, imap->backend) == 0 &&
		    strcmp(cell->workload, imap->workload) == 0 && cell->tasks == imap->tasks)
			return &groups->at[i];
	}
	return NULL;
}

static bool pair_of(const struct groups *groups, const struct group *g, struct pair *pair)
{
	if (strcmp(g->cell->variant, "imap") != 0 || marks(g) == 0)
		return false;
	*pair = (struct pair){ .imap = g, .unordered = partner(groups, g->cell) };
	if (!pair->unordered || marks(pair->unordered) != marks(g))
		return false;
	pair->delay_ns = paired(pair, round_delay);
	pair->share = paired(pair, round_share);
	pair->whole_ns = mark(pair->imap, marks(g) - 1);
	return true;
}

/* One line a mark, both calls in it: the figure connects them. */
static void write_pair(FILE *file, const struct pair *pair)
{
	const struct cell *cell = pair->imap->cell;

	for (int k = 0; k < marks(pair->imap); k++) {
		struct interval imap = mark(pair->imap, k), other = mark(pair->unordered, k);
		fprintf(file, "%s\t%s\t%g", cell->workload, cell->backend,
			(double)(k + 1) * (double)cell->tasks / marks(pair->imap));
		put_scaled(file, &imap, 1e6);
		put_scaled(file, &other, 1e6);
		fputc('\n', file);
	}
}

static int write_curves(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "order");
	struct pair pair;

	if (!file)
		return -errno;
	fputs("workload\tbackend\tresults\timap_ms\timap_low\timap_high\tunordered_ms\t"
	      "unordered_low\tunordered_high\n",
	      file);
	for (size_t i = 0; i < groups->count; i++)
		if (pair_of(groups, &groups->at[i], &pair))
			write_pair(file, &pair);
	return table_close(file);
}

static int write_costs(const struct derivation *d, const struct groups *groups)
{
	FILE *file = derive_table(d, "order-cost");
	struct pair pair;

	if (!file)
		return -errno;
	fputs("workload\tbackend\tdelay_ms\tlow\thigh\tarea_result_s\tshare\tshare_low\t"
	      "share_high\tcall_ms\tcall_low\tcall_high\trounds\n",
	      file);
	for (size_t i = 0; i < groups->count; i++) {
		if (!pair_of(groups, &groups->at[i], &pair))
			continue;
		fprintf(file, "%s\t%s", pair.imap->cell->workload, pair.imap->cell->backend);
		put_scaled(file, &pair.delay_ns, 1e6);
		if (pair.rounds)
			fprintf(file, "\t%.6g",
				pair.delay_ns.mid * (double)pair.imap->cell->tasks /
					(double)NS_PER_S);
		else
			fputs("\t?", file);
		put_interval(file, &pair.share);
		put_scaled(file, &pair.whole_ns, 1e6);
		fprintf(file, "\t%zu\n", pair.rounds);
	}
	return table_close(file);
}

/* Is this imap of a process row on this workload, with a partner and an interval? */
static bool process_pair(const struct groups *groups, const struct group *g, const char *workload,
			 struct pair *pair)
{
	return strcmp(g->cell->workload, workload) == 0 &&
	       backend_is_process_pool(g->cell->backend) && pair_of(groups, g, pair) &&
	       pair->share.level > 0;
}

/* 1: imap's results come later for certain, -1: earlier, 0: neither is certain. */
static int sign(const struct pair *p)
{
	return (p->share.low > 0) - (p->share.high < 0);
}

/* A certain sign precedes none; of two, the larger share, or where no sign is certain the narrower interval. */
static bool says_more(const struct pair *a, const struct pair *b)
{
	if ((sign(a) != 0) != (sign(b) != 0))
		return sign(a) != 0;
	if (sign(a) != 0)
		return fabs(a->share.mid) > fabs(b->share.mid);
	return a->share.high - a->share.low < b->share.high - b->share.low;
}

/* The process row whose delay on this workload says most; imap is NULL: none. */
static struct pair telling(const struct groups *groups, const char *workload)
{
	struct pair best = { 0 }, pair;

	for (size_t i = 0; i < groups->count; i++)
		if (process_pair(groups, &groups->at[i], workload, &pair) &&
		    (!best.imap || says_more(&pair, &best)))
			best = pair;
	return best;
}

/* The process rows that say something else than that one. */
static size_t put_others(const struct groups *groups, const struct pair *told, char *text,
			 size_t size)
{
	static const char *const said[] = { "imap is the earlier one", "none is certain",
					    "it comes later" };
	const char *workload = told->imap->cell->workload;
	size_t used = 0;
	struct pair pair;

	for (size_t i = 0; i < groups->count && used < size; i++)
		if (process_pair(groups, &groups->at[i], workload, &pair) &&
		    sign(&pair) != sign(told))
			used += (size_t)snprintf(text + used, size - used, ", by %s %s",
						 pair.imap->cell->backend, said[1 + sign(&pair)]);
	return used;
}

static size_t put_input(const struct groups *groups, size_t input, char *text, size_t size)
{
	struct pair p = telling(groups, inputs[input].workload);
	const char *words = inputs[input].words;
	char time[24];
	size_t used;

	if (!p.imap)
		return 0;
	if (sign(&p) == 0)
		used = (size_t)snprintf(text, size,
					"with %s no delay by the order of imap is certain (%s",
					words, p.imap->cell->backend);
	else if (sign(&p) < 0)
		used = (size_t)snprintf(text, size, "with %s imap is the earlier one (%s", words,
					p.imap->cell->backend);
	else
		used = (size_t)snprintf(text, size,
					"with %s a result comes later by %.0f %% of the whole call "
					"(95 %% interval %.0f to %.0f), %s in the mean (%s",
					words, 100 * p.share.mid, 100 * p.share.low,
					100 * p.share.high,
					time_text(p.delay_ns.mid > 0 ? p.delay_ns.mid : 0, time),
					p.imap->cell->backend);
	used += put_others(groups, &p, text + used, size - used);
	return used + (size_t)snprintf(text + used, size - used, ")");
}

static void find(struct derivation *d, const struct groups *groups)
{
	char text[INPUTS][240] = { "" };
	size_t known = 0;

	for (size_t i = 0; i < INPUTS; i++)
		known += put_input(groups, i, text[known], sizeof text[0]) > 0;
	if (known == 0)
		snprintf(d->finding, sizeof d->finding,
			 "The rows do not tell what order costs: imap and imap_unordered were not "
			 "measured in the same 6 rounds or more by a pool of processes.");
	else
		snprintf(d->finding, sizeof d->finding,
			 "On this machine, %s%s%s; that is imap compared with imap_unordered.",
			 text[0], known > 1 ? "; " : "", known > 1 ? text[1] : "");
}

static int order_derive(struct derivation *d)
{
	struct groups groups;
	int rc = groups_make(&groups, d->rows);

	if (rc < 0)
		return rc;
	rc = write_curves(d, &groups);
	if (rc == 0)
		rc = write_costs(d, &groups);
	attempts_keep_right(&groups, d->attempts);
	if (rc == 0)
		find(d, &groups);
	groups_free(&groups);
	return rc;
}

const struct experiment experiment_order = {
	.name = "order",
	.title = "What waiting for the order costs",
	.claim = "What does it cost to keep the order: imap or imap_unordered?",
	.reading = "How many results the caller has by when. Both calls do the same work; the "
		   "shaded area between the curves is how long results that were ready had to "
		   "wait for an earlier, slower one. Bars are 95 % intervals over rounds.",
	.grid = order_grid,
	.derive = order_derive,
};
