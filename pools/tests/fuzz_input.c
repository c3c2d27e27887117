/* fuzz_input.c - see fuzz.h. */
#include "pools/tests/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Sizes in headers are nobody's word: what is announced may be refused by malloc, and must be under the sanitizer. */
/* NOLINTBEGIN(bugprone-reserved-identifier): the sanitizer's own name for it */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1:max_allocation_size_mb=64:quarantine_size_mb=4";
}
/* NOLINTEND(bugprone-reserved-identifier) */

void fuzz_fail(const char *file, int line, const char *text)
{
	fprintf(stderr, "%s:%d: failed: %s\n", file, line, text);
	abort();
}

void fuzz_bytes(struct fuzz_input *in, void *to, uint64_t size)
{
	uint64_t part = size < in->left ? size : in->left;
	memcpy(to, in->at, part);
	memset((char *)to + part, 0, size - part);
	in->at += part;
	in->left -= part;
}

uint64_t fuzz_number(struct fuzz_input *in, unsigned bytes)
{
	uint64_t number = 0;
	fuzz_bytes(in, &number, bytes);
	return number;
}

uint64_t fuzz_below(struct fuzz_input *in, uint64_t bound)
{
	return fuzz_number(in, bound > 256 ? 2 : 1) % bound;
}
