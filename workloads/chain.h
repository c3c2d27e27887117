/*
 * chain.h - a chain of arithmetic of any length: time that a preempted task has to make up for, unlike a timed wait.
 */
#ifndef WORKLOADS_CHAIN_H
#define WORKLOADS_CHAIN_H

#include "workloads/workload.h"

#include <stdint.h>

/* What a task gets: where the chain begins and how long it is. */
struct chain {
	uint64_t start;
	int64_t steps;
};

/* Every step needs the one before (shift, xor, multiply: 5 cycles on current x86). The xor-shift is there because a
 * compiler may fold a plain multiply-and-add over several steps into one; through this mix it cannot. */
static inline uint64_t chain_kernel(const struct chain *chain)
{
	uint64_t x = chain->start;

	for (int64_t i = 0; i < chain->steps; i++)
		x = (x ^ (x >> 29)) * 0x9e3779b97f4a7c15u;
	return x;
}

/* Steps of task i, at least 1. */
typedef int64_t chain_length(const struct work *w, uint64_t seed, uint64_t i);

/* `open` and `serial` of workloads whose tasks are chains: the argument of task i is a struct chain that begins anywhere, its
 * result the uint64_t at its end. */
int chain_open(struct work *w, const struct work_options *options, chain_length *length, char *why,
	       size_t why_size);
int chain_serial(const struct work *w, uint64_t begin, uint64_t end, void *results);

#endif
