/*
 * input.h - what workload files share to prepare their input: columns and seeded random numbers.
 */
#ifndef WORKLOADS_INPUT_H
#define WORKLOADS_INPUT_H

#include "workloads/workload.h"

/* The i-th number of the sequence `seed`, uniform over 64 bits: SplitMix64 (Steele, Lea, Flood 2014, "Fast splittable
 * pseudorandom number generators", fig. 17), addressed by index. */
static inline uint64_t input_random(uint64_t seed, uint64_t i)
{
	uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Appends a column of w->tasks elements of `size` bytes and gives its data to fill in; work_close frees it. 0, or
 * -ENOMEM with a reason: more than half of the machine's memory is refused, since the results need room as well. */
int input_column(struct work *w, uint64_t size, void *data, char *why, size_t why_size);

/* A column of int64_t: number i is from 1 .. 2^bits by the seed. Never 0, so that a result of memory nobody wrote is
 * not taken for the right one. Errors as input_column. */
int input_numbers(struct work *w, unsigned bits, uint64_t seed, char *why, size_t why_size);

#endif
