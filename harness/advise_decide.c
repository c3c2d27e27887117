/*
 * advise_decide.c - what is measured for an advice, and what follows.
 */
#include "harness/advise.h"
#include "harness/grid.h"

#include <errno.h>
#include <math.h>
#include <string.h>

static const int64_t chunks[] = { 1, 16, 256 };
static const char *const calls[] = { "imap", "imap_unordered" };

static struct cell loop_of(const struct cell *cell)
{
	struct cell loop = *cell;

	snprintf(loop.backend, sizeof loop.backend, "loop");
	snprintf(loop.variant, sizeof loop.variant, "map");
	loop.workers = 1;
	loop.pool_memory = false;
	loop.window = 0;
	return loop;
}

size_t advise_pools(struct cell cells[ADVISE_CELLS], const struct cell *cell, const char *call)
{
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned rows = grid_rows(PICK_PROCESSES, row);
	size_t count = 0;

	cells[count++] = loop_of(cell);
	for (unsigned i = 0; i < rows && count < ADVISE_CELLS; i++, count++) {
		cells[count] = *cell;
		snprintf(cells[count].backend, NAME_SIZE, "%s", row[i]->name);
		snprintf(cells[count].variant, NAME_SIZE, "%s", call);
	}
	return count;
}

size_t advise_calls(struct cell cells[ADVISE_CELLS], const struct cell *pool)
{
	size_t count = 0;

	cells[count++] = loop_of(pool);
	cells[count++] = *pool;
	for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
		if ((uint64_t)chunks[i] * (uint64_t)pool->workers > pool->tasks)
			break; /* some worker would have nothing to do */
		cells[count] = *pool;
		cells[count++].chunk = chunks[i];
	}
	for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
		cells[count] = *pool;
		snprintf(cells[count++].variant, NAME_SIZE, "%s", calls[i]);
	}
	return count;
}

/* The first row of the two that is not good; NULL: all are. A failed cell's other rounds are a selection. */
static const struct record *any_failed(const struct trial *trial, size_t a, size_t b)
{
	const struct record *failed = trial_failed(trial, a);

	return failed ? failed : trial_failed(trial, b);
}

size_t advise_best(const struct trial *pools)
{
	size_t best = ADVISE_LOOP;
	double highest = 0;

	for (size_t i = ADVISE_POOL; i < pools->count; i++) {
		double speedup = trial_ratio(pools, ADVISE_LOOP, i).mid;
		if (speedup <= highest || any_failed(pools, ADVISE_LOOP, i))
			continue;
		highest = speedup;
		best = i;
	}
	return best;
}

bool advise_as_good(const struct trial *pools, size_t best, size_t other)
{
	struct interval speed = trial_ratio(pools, best, other);

	return other != best && speed.level > 0 && speed.high >= 1 &&
	       trial_failed(pools, other) == NULL;
}

/* False: one of them failed. */
static bool compare(struct comparison *c, const struct trial *trial, size_t candidate,
		    size_t baseline)
{
	double of_candidate[TRIAL_ROUNDS_MAX], of_baseline[TRIAL_ROUNDS_MAX];
	const struct record *failed = any_failed(trial, candidate, baseline);
	char why[sizeof c->why];

	cell_label(&trial->cells[candidate], c->label, sizeof c->label);
	if (failed != NULL) {
		const char *error = record_error(failed);
		snprintf(why, sizeof why, "failed: %.120s", error ? error : "no time");
		comparison_refuse(c, why);
		return false;
	}
	for (int round = 0; round < trial->rounds; round++) {
		of_candidate[round] = record_median(trial_row(trial, candidate, round));
		of_baseline[round] = record_median(trial_row(trial, baseline, round));
	}
	comparison_pairs(c, of_candidate, of_baseline, (size_t)trial->rounds);
	return true;
}

static enum worth worth_of(const struct comparison *c)
{
	switch (c->verdict) {
	case IMPROVEMENT:
		return WORTH_YES;
	case REGRESSION:
	case EQUIVALENT:
		return WORTH_NO;
	default:
		return WORTH_UNDECIDED;
	}
}

static bool is_chunk(const struct trial *trial, size_t cell)
{
	return cell >= ADVISE_OTHERS &&
	       strcmp(trial->cells[cell].variant, trial->cells[ADVISE_POOL].variant) == 0;
}

static size_t loop_at(const struct advice *a, size_t cell)
{
	return cell == ADVISE_POOL ? cell : a->count + cell - ADVISE_OTHERS;
}

const struct comparison *advise_to_loop(const struct advice *a, size_t cell)
{
	return &a->comparison[loop_at(a, cell)];
}

static bool beats_loop(const struct advice *a, size_t cell)
{
	return advise_to_loop(a, cell)->verdict == IMPROVEMENT;
}

/* The chunk size with the least ratio of those shown to be better, than the automatic one or than the loop; ADVISE_POOL:
 * none. Other calls do another thing, so they are not taken for speed. */
static size_t best_chunk(const struct advice *a, const struct trial *trial, bool than_loop)
{
	size_t chosen = ADVISE_POOL;
	double least = 1;

	for (size_t i = ADVISE_OTHERS; i < a->count; i++) {
		const struct comparison *c = than_loop ? advise_to_loop(a, i) : &a->comparison[i];
		if (!is_chunk(trial, i) || c->verdict != IMPROVEMENT || c->ratio.mid >= least)
			continue;
		least = c->ratio.mid;
		chosen = i;
	}
	return chosen;
}

/* All chunk sizes are asked about the loop, not only the one that is chosen: it was the best in these very rounds. */
static void choose(struct advice *a, const struct trial *trial)
{
	size_t beating = best_chunk(a, trial, true);

	a->chosen = best_chunk(a, trial, false);
	if (!beats_loop(a, a->chosen) && !beats_loop(a, ADVISE_POOL) && beating != ADVISE_POOL)
		a->chosen = beating;
	a->worth = beats_loop(a, ADVISE_POOL) ? WORTH_YES : worth_of(advise_to_loop(a, a->chosen));
}

static bool is_without_1(const struct interval *ratio)
{
	return ratio->level > 0 && (ratio->low > 1 || ratio->high < 1);
}

/* In the words of `compare`, but for at most TRIAL_ROUNDS_MAX rounds. */
static void say_outlook(const struct comparison *c, char *text, size_t size)
{
	text[0] = '\0';
	if (!isfinite(c->rounds_needed))
		snprintf(text, size, " No number of rounds would tell.");
	else if (c->rounds_needed > TRIAL_ROUNDS_MAX)
		snprintf(text, size, " More than %d rounds, the most there can be, would tell.",
			 TRIAL_ROUNDS_MAX);
	else if (c->rounds_needed > (double)c->n)
		snprintf(text, size, " About %.0f rounds would tell.", c->rounds_needed);
}

void advise_say_undecided(const struct comparison *c, char *text, size_t size)
{
	char outlook[80];

	say_outlook(c, outlook, sizeof outlook);
	if (is_without_1(&c->ratio) && c->p_holm >= VERDICT_ALPHA)
		snprintf(
			text, size,
			": on its own the interval is without 1, but not together with the other "
			"questions of that part (p = %.2g after Holm, less than %.2g is wanted).%s",
			c->p_holm, VERDICT_ALPHA, outlook);
	else
		snprintf(text, size, ": %s.%s", c->why, outlook);
}

int advise_rounds_least(const struct cell *cell)
{
	struct cell cells[ADVISE_CELLS], pool = *cell;
	size_t count, questions;
	int rounds = VERDICT_ROUNDS_LEAST;

	snprintf(pool.variant, sizeof pool.variant, "map");
	count = advise_calls(cells, &pool);
	questions = count - ADVISE_POOL + (count - ADVISE_OTHERS - sizeof calls / sizeof *calls);
	while ((double)questions * 2 / (double)(1 << rounds) >= VERDICT_ALPHA)
		rounds++;
	return rounds;
}

int advise_decide(struct advice *a, const struct trial *trial)
{
	memset(a, 0, sizeof *a);
	a->count = trial->count;
	if (!compare(&a->comparison[ADVISE_POOL], trial, ADVISE_POOL, ADVISE_LOOP))
		return -EINVAL;
	for (size_t i = ADVISE_OTHERS; i < a->count; i++) {
		compare(&a->comparison[i], trial, i, ADVISE_POOL);
		if (is_chunk(trial, i))
			compare(&a->comparison[loop_at(a, i)], trial, i, ADVISE_LOOP);
		else
			comparison_refuse(&a->comparison[loop_at(a, i)], "another call");
	}
	if (verdicts_decide(&a->comparison[ADVISE_POOL], 2 * a->count - ADVISE_OTHERS - ADVISE_POOL,
			    0) < 0)
		return -ENOMEM;
	choose(a, trial);
	return 0;
}
