/*
 * verdict.h - is the candidate slower than the baseline? One of five answers for each of a family of cells.
 *
 * DESIGN. A comparison is filled in from numbers by one of three functions, then all of a family are decided together,
 * because the more questions are asked the more of them chance answers. Nothing here reads files or prints, so the same
 * rules serve `compare`, gates and the self-test.
 *
 *	struct comparison c[2] = { { .label = "light" }, { .label = "heavy" } };
 *	comparison_pairs(&c[0], candidate_ns, baseline_ns, 12);   // 12 rounds, one value of each arm a round
 *	comparison_refuse(&c[1], "a cell failed");
 *	verdicts_decide(c, 2, 0);
 *	printf("%s: %s\n", c[0].label, verdict_name(c[0].verdict));
 *
 * The rules, decided before anything was measured:
 *
 *	REGRESSION      p < 5 % after Holm's correction over the family, and the whole 95 % interval of the ratio is above
 *	                1 + the larger of 2 % and the floor: what an unchanged program shows against itself
 *	IMPROVEMENT     the mirror image: candidate and baseline exchanged it would be a regression
 *	EQUIVALENT      neither, and the 90 % interval lies within a factor of 1.03 of 1 (two one-sided tests at 5 %:
 *	                D. J. Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 15 (1987)); of two sessions
 *	                so far within that a floor that is known does not lead out of it
 *	INCONCLUSIVE    none of these; least_effect and rounds_needed say what the data could have told
 *	NOT COMPARABLE  there is nothing to compare; `why` says so. Such a cell is not of the family
 *
 * So a small difference that is real may be both shown and tolerable: it is then EQUIVALENT or INCONCLUSIVE.
 */
#ifndef HARNESS_VERDICT_H
#define HARNESS_VERDICT_H

#include "harness/series.h"
#include "harness/stats.h"

#define VERDICT_ALPHA 0.05
#define VERDICT_LEAST 0.02  /* a smaller difference is never a regression */
#define VERDICT_WITHIN 0.03 /* a smaller one is none at all */
#define FLOOR_UNKNOWN (-1.0)
#define VERDICT_ROUNDS_LEAST 6 /* fewer have no 95 % interval */

/* In the order in which a table is sorted. */
enum comparison_verdict { REGRESSION, NOT_COMPARABLE, INCONCLUSIVE, IMPROVEMENT, EQUIVALENT };
#define VERDICTS 5

struct comparison {
	char label[320]; /* the caller's */
	/* Filled in from numbers. */
	size_t freedom;	 /* of two sessions: the degrees of freedom of their difference */
	size_t n;	 /* rounds compared; of two sessions, those of the one that has fewer */
	size_t excluded; /* the caller's: rounds left out because the machine was disturbed */
	double candidate, baseline; /* medians, in the caller's unit */
	struct interval ratio;	/* candidate over baseline, 95 %; > 1: the candidate takes longer */
	struct interval narrow; /* the same, 90 % */
	double ratio_hl;	/* the same by Hodges and Lehmann: what most rounds together say */
	double p;		/* that both are the same; before the correction */
	double scatter;		/* standard deviation of one round's ln ratio */
	bool paired, refused;
	double difference[PAIRS_MAX]; /* ln ratio of each round, if paired */
	/* Filled in by verdicts_decide. */
	double p_holm;
	enum comparison_verdict verdict;
	double least_effect; /* 0.04: a change by 4 % or more would have been shown; INFINITY: none would */
	double rounds_needed; /* about, for a verdict to be as likely as not, if ratio and scatter are as they seem; INFINITY: never */
	char why[160];	      /* of INCONCLUSIVE and NOT_COMPARABLE: one clause; else "" */
};

/* Both arms were measured in each of n rounds, the values in the order of the rounds, all positive. Rounds after PAIRS_MAX are
 * left out. n 0 is refused. */
void comparison_pairs(struct comparison *c, const double *candidate, const double *baseline,
		      size_t n);

/* Two sessions: hierarchical bootstrap. p and intervals tell of the rows, not of what changed between the sessions, so
 * verdicts_decide wants a floor that was measured between sessions. 0 or -ENOMEM. Empty samples are refused. */
int comparison_sessions(struct comparison *c, const struct invocation *candidate,
			size_t candidate_count, const struct invocation *baseline,
			size_t baseline_count);

void comparison_refuse(struct comparison *c, const char *why); /* it becomes NOT_COMPARABLE */

/* All comparisons of one question. floor: 0.03 when the same program differs from itself by up to 3 % under the same
 * conditions; 0: not more than VERDICT_LEAST; FLOOR_UNKNOWN: as 0 for pairs, while sessions get neither REGRESSION
 * nor IMPROVEMENT. 0 or -ENOMEM. */
int verdicts_decide(struct comparison *c, size_t count, double floor);

const char *verdict_name(enum comparison_verdict verdict); /* "REGRESSION" */

#endif
