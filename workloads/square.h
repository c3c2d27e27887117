/*
 * square.h - the kernel of square.c, for who runs it without a pool.
 */
#ifndef WORKLOADS_SQUARE_H
#define WORKLOADS_SQUARE_H

#include <stdint.h>

static inline int64_t square_kernel(int64_t x)
{
	return x * x;
}

#endif
