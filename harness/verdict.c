/*
 * verdict.c - from ratios to answers.
 */
#include "harness/verdict.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DRAWS 2000
#define DRAWS_SEED 1 /* the same rows give the same answer */

const char *verdict_name(enum comparison_verdict verdict)
{
	static const char *const names[VERDICTS] = {
		[REGRESSION] = "REGRESSION",	 [NOT_COMPARABLE] = "NOT COMPARABLE",
		[INCONCLUSIVE] = "INCONCLUSIVE", [IMPROVEMENT] = "IMPROVEMENT",
		[EQUIVALENT] = "EQUIVALENT",
	};

	return names[verdict];
}

void comparison_refuse(struct comparison *c, const char *why)
{
	c->refused = true;
	snprintf(c->why, sizeof c->why, "%s", why);
}

/*
 * == From numbers ==
 */

void comparison_pairs(struct comparison *c, const double *candidate, const double *baseline,
		      size_t n)
{
	if (n == 0) {
		comparison_refuse(c, "no round has both");
		return;
	}
	c->paired = true;
	c->n = n < PAIRS_MAX ? n : PAIRS_MAX;
	for (size_t i = 0; i < c->n; i++)
		c->difference[i] = log(candidate[i]) - log(baseline[i]);
	c->candidate = stats_median(candidate, c->n);
	c->baseline = stats_median(baseline, c->n);
	c->ratio = stats_ratio_interval(candidate, baseline, c->n, 0.95);
	c->narrow = stats_ratio_interval(candidate, baseline, c->n, 0.90);
	c->ratio_hl = exp(stats_shift_interval(c->difference, c->n, 0.95).mid);
	c->p = stats_signed_rank_p(c->difference, c->n);
	c->scatter = stats_scatter(c->difference, c->n);
}

static double invocations_median(const struct invocation *from, size_t n, double *scratch)
{
	for (size_t i = 0; i < n; i++)
		scratch[i] = stats_median(from[i].at, from[i].count);
	return stats_median(scratch, n);
}

static double standard_deviation(const double *x, size_t n)
{
	double mean = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		mean += x[i] / (double)n;
	for (size_t i = 0; i < n; i++)
		squares += (x[i] - mean) * (x[i] - mean);
	return sqrt(squares / (double)(n - 1));
}

static struct interval ratio_of(const double *draws, double estimate, double level)
{
	struct interval interval = stats_draws_interval(draws, DRAWS, level);

	return (struct interval){ exp(interval.low), estimate, exp(interval.high), level };
}

/* p from the bootstrap's standard error: draws alone would have to be many times the size of the family to show a small one.
 * By Student's t, as that error comes from a few invocations; a normal tail told of differences where there are none.
 * B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), sections 12.2 and 16.4. */
static void describe_draws(struct comparison *c, const double *draws)
{
	double ratio = c->candidate / c->baseline;
	double error = standard_deviation(draws, DRAWS), size = fabs(log(ratio));

	c->ratio = ratio_of(draws, ratio, 0.95);
	c->narrow = ratio_of(draws, ratio, 0.90);
	c->ratio_hl = ratio;
	c->p = size > 0 && c->freedom > 0 ? stats_student_p(size / error, c->freedom) : 1;
	c->scatter = error * sqrt((double)c->n) / STATS_MEDIAN_ERROR;
	if (c->n < VERDICT_ROUNDS_LEAST)
		c->ratio.level = c->narrow.level = 0;
}

int comparison_sessions(struct comparison *c, const struct invocation *candidate,
			size_t candidate_count, const struct invocation *baseline,
			size_t baseline_count)
{
	size_t most = candidate_count > baseline_count ? candidate_count : baseline_count;

	if (candidate_count == 0 || baseline_count == 0) {
		comparison_refuse(c, "it is not in both runs");
		return 0;
	}
	double *draws = malloc((DRAWS + most) * sizeof *draws);
	if (draws == NULL)
		return -ENOMEM;
	c->n = candidate_count < baseline_count ? candidate_count : baseline_count;
	c->freedom = candidate_count + baseline_count - 2;
	c->candidate = invocations_median(candidate, candidate_count, draws);
	c->baseline = invocations_median(baseline, baseline_count, draws);
	int rc = stats_ratio_draws(candidate, candidate_count, baseline, baseline_count, DRAWS_SEED,
				   draws, DRAWS);
	if (rc == 0)
		describe_draws(c, draws);
	free(draws);
	return rc;
}

/*
 * == To answers ==
 */

/* What the family asks of one of its comparisons. */
struct rule {
	double alpha;  /* of the first step of Holm's correction, the strictest */
	double beyond; /* ln of the ratio that a regression must exceed */
	double floor;  /* the same; 0 where it is unknown */
	bool floor_known;
};

/* Sessions of one program differ, too: without a floor by who knows how much. */
static bool may_differ(const struct comparison *c, const struct rule *rule)
{
	return c->paired || rule->floor_known;
}

static double least_shift(const struct comparison *c, const struct rule *rule)
{
	if (c->paired)
		return stats_least_shift(c->difference, c->n, rule->alpha, rule->beyond);
	if (c->ratio.level == 0 || !rule->floor_known)
		return INFINITY;
	double error = c->scatter * STATS_MEDIAN_ERROR / sqrt((double)c->n);
	double half = log(c->ratio.high / c->ratio.low) / 2;
	return fmax(stats_student_upper(rule->alpha / 2, c->freedom) * error, half + rule->beyond);
}

/* Two sessions have to be so near beside what their difference alone does. */
static double within(const struct comparison *c, const struct rule *rule)
{
	return log1p(VERDICT_WITHIN) - (c->paired ? 0 : rule->floor);
}

static bool is_equivalent(const struct comparison *c, const struct rule *rule)
{
	const double most = within(c, rule);

	return log(c->narrow.high) < most && log(c->narrow.low) > -most;
}

static enum comparison_verdict decide(const struct comparison *c, const struct rule *rule)
{
	bool differ = may_differ(c, rule) && c->p_holm < VERDICT_ALPHA;

	if (c->refused)
		return NOT_COMPARABLE;
	if (c->ratio.level == 0)
		return INCONCLUSIVE;
	if (differ && log(c->ratio.low) > rule->beyond)
		return REGRESSION;
	if (differ && log(c->ratio.high) < -rule->beyond)
		return IMPROVEMENT;
	return is_equivalent(c, rule) ? EQUIVALENT : INCONCLUSIVE;
}

static void explain(struct comparison *c, const struct rule *rule)
{
	if (c->verdict != INCONCLUSIVE)
		return;
	if (c->ratio.level == 0)
		snprintf(c->why, sizeof c->why, "too few rounds: %zu, want %d at least", c->n,
			 VERDICT_ROUNDS_LEAST);
	else if (!may_differ(c, rule))
		snprintf(c->why, sizeof c->why, "%s no floor is known",
			 c->p_holm < VERDICT_ALPHA
				 ? "they differ, and so may two sessions of one program:"
				 : "the rounds scatter too much, and");
	else if (!isfinite(c->least_effect))
		snprintf(c->why, sizeof c->why,
			 "too few rounds for so many cells: no difference could be shown");
	else if (c->p_holm < VERDICT_ALPHA)
		snprintf(c->why, sizeof c->why, "they differ, but not surely by more than %.3g %%",
			 100 * expm1(rule->beyond));
	else if (!c->paired && rule->floor > 0)
		snprintf(c->why, sizeof c->why,
			 "the rounds scatter too much, or the floor is too high");
	else
		snprintf(c->why, sizeof c->why, "the rounds scatter too much");
}

static void decide_one(struct comparison *c, const struct rule *rule)
{
	struct rounds_question question = { .shift = log(c->ratio.mid),
					    .sigma = c->scatter,
					    .unpaired = !c->paired,
					    .alpha = rule->alpha,
					    .beyond = may_differ(c, rule) ? rule->beyond : INFINITY,
					    .within = within(c, rule) };

	c->verdict = decide(c, rule);
	if (c->refused)
		return;
	c->least_effect = expm1(least_shift(c, rule));
	c->rounds_needed = stats_rounds_needed(&question);
	explain(c, rule);
}

static size_t correct(struct comparison *c, size_t count, double *p, double *adjusted)
{
	size_t family = 0;

	for (size_t i = 0; i < count; i++)
		if (!c[i].refused)
			p[family++] = c[i].p;
	stats_holm(p, family, adjusted);
	for (size_t i = 0, k = 0; i < count; i++)
		c[i].p_holm = c[i].refused ? 1 : adjusted[k++];
	return family;
}

int verdicts_decide(struct comparison *c, size_t count, double floor)
{
	double *p = calloc(2 * count + 1, sizeof *p);
	struct rule rule = { .floor_known = floor >= 0,
			     .floor = log1p(fmax(floor, 0)),
			     .beyond = log1p(fmax(VERDICT_LEAST, floor)) };
	size_t family;

	if (p == NULL)
		return -ENOMEM;
	family = correct(c, count, p, p + count);
	rule.alpha = VERDICT_ALPHA / (double)(family ? family : 1);
	for (size_t i = 0; i < count; i++)
		decide_one(&c[i], &rule);
	free(p);
	return 0;
}
