/*
 * baseline.c - what is timed instead of a pool: the plain serial loop, plain forked processes, and whatever a program
 * that links this adds.
 */
#include "harness/bench.h"
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

static struct baseline forked = { .name = "forked", .start = start_forked, .shared = true };
static struct baseline loop = { .name = "loop", .start = start_loop, .next = &forked };
static struct baseline *last = &forked;

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
