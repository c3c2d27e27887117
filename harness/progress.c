/*
 * progress.c - drawing progress. Colour only on a terminal, and not with NO_COLOR (no-color.org) or TERM=dumb.
 */
#include "harness/progress.h"
#include "harness/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 24
#define BAR_EVERY_NS (100 * NS_PER_MS)
#define LINE_EVERY_NS (5 * NS_PER_S)

void progress_time(int64_t ns, char *text, size_t size)
{
	int64_t seconds = (ns + NS_PER_S / 2) / NS_PER_S;

	if (seconds < 60)
		snprintf(text, size, "%" PRId64 " s", seconds);
	else
		snprintf(text, size, "%" PRId64 ":%02" PRId64 " min", seconds / 60, seconds % 60);
}

static bool is_set(const char *name)
{
	const char *value = getenv(name);

	return value != NULL && value[0] != '\0';
}

void progress_begin(struct progress *p, size_t done, size_t total)
{
	const char *term = getenv("TERM");

	p->done = p->skipped = done;
	p->total = total;
	p->begin_ns = p->shown_ns = clock_now_ns();
	p->bar = isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
	p->colour = p->bar && !is_set("NO_COLOR");
}

static int64_t time_left(const struct progress *p, int64_t now)
{
	size_t fresh = p->done - p->skipped;

	if (fresh == 0 || p->done >= p->total)
		return 0;
	return (int64_t)((double)(now - p->begin_ns) / (double)fresh *
			 (double)(p->total - p->done));
}

static void draw_bar(const struct progress *p, const char *left, const char *label)
{
	size_t full = p->total ? p->done * BAR_WIDTH / p->total : BAR_WIDTH;
	char bar[BAR_WIDTH + 1];

	if (full > BAR_WIDTH)
		full = BAR_WIDTH;
	memset(bar, '#', full);
	memset(bar + full, '.', BAR_WIDTH - full);
	bar[BAR_WIDTH] = '\0';
	fprintf(stderr, "\r%s[%s]%s %zu/%zu, %s left  %.40s\033[K", p->colour ? "\033[32m" : "",
		bar, p->colour ? "\033[0m" : "", p->done, p->total, left, label);
}

void progress_step(struct progress *p, const char *label)
{
	int64_t now = clock_now_ns();
	bool last = ++p->done >= p->total;
	char left[32];

	if (now - p->shown_ns < (p->bar ? BAR_EVERY_NS : LINE_EVERY_NS) && !last)
		return;
	p->shown_ns = now;
	progress_time(time_left(p, now), left, sizeof left);
	if (p->bar)
		draw_bar(p, left, label);
	else
		fprintf(stderr, "poolbench: %zu of %zu cells done, %s left\n", p->done, p->total,
			left);
}

void progress_clear(struct progress *p)
{
	if (p->bar)
		fputs("\r\033[K", stderr);
}
