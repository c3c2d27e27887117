/*
 * selftest_blocks.h - what a self-test measures, block by block.
 */
#ifndef HARNESS_SELFTEST_BLOCKS_H
#define HARNESS_SELFTEST_BLOCKS_H

#include "harness/arms.h"
#include "harness/selftest.h"

#define SELFTEST_ARMS_MAX 6

struct block {
	const char *name;  /* `experiment` of its cells */
	const char *about; /* while it runs */
	const char *arms
		[SELFTEST_ARMS_MAX]; /* the first is the baseline; faults of harness/fault/fault.c */
	const struct cell *cells;
	size_t cell_count;
	int tries_short, tries_full, try_rounds;
	bool same;  /* the arms are this program and its copy, without faults */
	bool exact; /* nothing can disturb what is looked at: no round is taken out */
	/* Of one candidate; called for each. 0 or -ENOMEM. */
	int (*judge)(const struct question *q, struct check *check);
};

const struct block *selftest_block(size_t i); /* NULL past the end */
size_t selftest_block_arms(const struct block *block);
int selftest_block_tries(const struct block *block, bool is_short);
int selftest_block_rounds(const struct block *block, bool is_short); /* those to spare included */

#endif
