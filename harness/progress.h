/*
 * progress.h - how far a run is, on stderr: a bar with the time left on a terminal, a plain line now and then elsewhere.
 */
#ifndef HARNESS_PROGRESS_H
#define HARNESS_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	size_t done, total; /* cells; total may shrink on the way */
	int64_t begin_ns, shown_ns;
	size_t skipped; /* of done, those that were there before begin (a resumed run) */
	bool bar, colour;
};

void progress_begin(struct progress *progress, size_t done, size_t total);
void progress_step(struct progress *progress, const char *label); /* one more cell is done */
void progress_clear(struct progress *progress); /* before other output: takes the bar away */

/* "4:05" or "12 s" */
void progress_time(int64_t ns, char *text, size_t size);

#endif
