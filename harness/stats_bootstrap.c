/*
 * stats_bootstrap.c - what a ratio of two sessions may be, by drawing invocations and their batches again.
 *
 * DESIGN. Batches of one invocation resemble each other more than invocations do, so a draw takes invocations first and,
 * within each, batches: A. C. Davison and D. V. Hinkley, Bootstrap Methods and their Application (1997), section 3.8;
 * T. Kalibera and R. Jones, Rigorous Benchmarking in Reasonable Time, ISMM 2013, on benchmarks.
 */
#include "harness/stats.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

/* G. L. Steele, D. Lea, C. H. Flood, Fast Splittable Pseudorandom Number Generators, OOPSLA 2014 (SplitMix64). */
uint64_t stats_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The median of x, which is reordered: insertion, since n is a number of batches or rounds. */
static double median_in_place(double *x, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		double value = x[i];
		size_t at = i;

		for (; at > 0 && x[at - 1] > value; at--)
			x[at] = x[at - 1];
		x[at] = value;
	}
	return x[(n - 1) / 2] / 2 + x[n / 2] / 2;
}

/* scratch: room for the invocations and for the batches of one. */
static double drawn_median(const struct invocation *from, size_t n, double *scratch,
			   uint64_t *state)
{
	for (size_t i = 0; i < n; i++) {
		const struct invocation *drawn = &from[stats_random(state) % n];

		for (size_t k = 0; k < drawn->count; k++)
			scratch[n + k] = drawn->at[stats_random(state) % drawn->count];
		scratch[i] = median_in_place(scratch + n, drawn->count);
	}
	return median_in_place(scratch, n);
}

static size_t most_batches(const struct invocation *from, size_t n)
{
	size_t most = 0;

	for (size_t i = 0; i < n; i++)
		most = from[i].count > most ? from[i].count : most;
	return most;
}

static double *make_scratch(const struct invocation *a, size_t na, const struct invocation *b,
			    size_t nb)
{
	size_t batches_a = most_batches(a, na), batches_b = most_batches(b, nb);

	return calloc((na > nb ? na : nb) + (batches_a > batches_b ? batches_a : batches_b),
		      sizeof(double));
}

int stats_ratio_draws(const struct invocation *a, size_t na, const struct invocation *b, size_t nb,
		      unsigned seed, double *draws, size_t count)
{
	double *scratch = na && nb ? make_scratch(a, na, b, nb) : NULL;
	uint64_t state = seed;

	if (na == 0 || nb == 0)
		return -EINVAL;
	if (scratch == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		double of_a = drawn_median(a, na, scratch, &state);
		draws[i] = log(of_a) - log(drawn_median(b, nb, scratch, &state));
	}
	qsort(draws, count, sizeof *draws, by_value);
	free(scratch);
	return 0;
}

/* Percentile interval: B. Efron and R. J. Tibshirani, An Introduction to the Bootstrap (1993), section 13.3. The
 * ends are order statistics of the draws. */
struct interval stats_draws_interval(const double *draws, size_t count, double level)
{
	if (count == 0)
		return (struct interval){ 0 };
	double last = (double)(count - 1);
	return (struct interval){ draws[(size_t)floor((1 - level) / 2 * last)], draws[count / 2],
				  draws[(size_t)ceil((1 + level) / 2 * last)], level };
}
