/*
 * baseline.c - what is timed instead of a pool: the plain serial loop, plain forked processes, a spinner that waits to be
 * stopped, and whatever a program that links this adds.
 */
#include "harness/bench.h"
#include "harness/clock.h"
#include "harness/commands.h"

#include <stdio.h>
#include <string.h>

static int call_loop(struct bench *b, void *results)
{
	return b->work.load->serial(&b->work, 0, b->work.tasks, results);
}

static int start_loop(struct bench *b)
{
	b->call = call_loop;
	return 0;
}

static int start_forked(struct bench *b)
{
	b->call = forked_call;
	return forked_start(&b->forked, b);
}

/* What a call that needs nothing but the CPU meets: for HICCUP_NS the clock is read again and again, and the longest time
 * between two readings is what the call tells the probe "latency". (Single gaps would be as rare as a reading is short;
 * a gap in a window has a share that can be held beside that of calls which last about as long.) */
#define HICCUP_NS 10000

static int call_hiccup(struct bench *b, void *results)
{
	int64_t begin = clock_now_ns(), last = begin, longest = 0;

	(void)results;
	while (last - begin < HICCUP_NS) {
		int64_t now = clock_now_ns();
		if (now - last > longest)
			longest = now - last;
		last = now;
	}
	b->latency_ns = longest;
	return 0;
}

static int start_hiccup(struct bench *b)
{
	b->call = call_hiccup;
	b->has_results = false;
	return 0;
}

static struct baseline hiccup = { .name = "hiccup", .start = start_hiccup };
static struct baseline forked = {
	.name = "forked", .start = start_forked, .shared = true, .next = &hiccup
};
static struct baseline loop = { .name = "loop", .start = start_loop, .next = &forked };
static struct baseline *last = &hiccup;

void baseline_add(struct baseline *baseline)
{
	baseline->next = NULL;
	last->next = baseline;
	last = baseline;
}

const struct baseline *baseline_first(void)
{
	return &loop;
}

const struct baseline *baseline_find(const char *name)
{
	const struct baseline *baseline = baseline_first();

	while (baseline != NULL && strcmp(baseline->name, name) != 0)
		baseline = baseline->next;
	return baseline;
}

int baseline_main(int argc, char **argv, const char *version)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts(version);
		return EXIT_FINE;
	}
	if (argc > 1 && strcmp(argv[1], "cell") == 0)
		return cell_main(argc - 1, argv + 1);
	fprintf(stderr, "usage: %s cell OPTION... | --version\n", argv[0]);
	return EXIT_USAGE;
}
