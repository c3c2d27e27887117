/*
 * cell_options.c - the options of `poolbench cell`, for every command that is told a cell by options.
 */
#include "harness/cell_options.h"
#include "harness/args.h"
#include "harness/cell.h"
#include "harness/clock.h"
#include "pools/pool.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_MAX INT64_C(1000000000)
#define BATCH_MS_MAX 3600000

enum option_id {
	BACKEND = 1,
	VARIANT,
	WORKLOAD,
	TASKS,
	CHUNK,
	WORKERS,
	WORK,
	PAYLOAD,
	WINDOW,
	ROUNDS,
	BATCH_MS,
	TREE,
	PARENT,
	MEMORY,
	SEED,
	PROBE,
	JSON,
	RECORD,
	HELP = 'h'
};

static const struct option options[] = {
	{ "backend", required_argument, NULL, BACKEND },
	{ "variant", required_argument, NULL, VARIANT },
	{ "workload", required_argument, NULL, WORKLOAD },
	{ "tasks", required_argument, NULL, TASKS },
	{ "chunk", required_argument, NULL, CHUNK },
	{ "workers", required_argument, NULL, WORKERS },
	{ "work", required_argument, NULL, WORK },
	{ "payload", required_argument, NULL, PAYLOAD },
	{ "window", required_argument, NULL, WINDOW },
	{ "rounds", required_argument, NULL, ROUNDS },
	{ "batch-ms", required_argument, NULL, BATCH_MS },
	{ "tree", required_argument, NULL, TREE },
	{ "parent", required_argument, NULL, PARENT },
	{ "memory", required_argument, NULL, MEMORY },
	{ "seed", required_argument, NULL, SEED },
	{ "probe", required_argument, NULL, PROBE },
	{ "json", no_argument, NULL, JSON },
	{ "record", no_argument, NULL, RECORD },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

static int read_chunk(const char *text, int64_t *chunk)
{
	long long items = strtoll(text, NULL, 10);

	if (strcmp(text, "auto") == 0) {
		*chunk = 0;
		return 0;
	}
	if (strspn(text, "0123456789") == strlen(text) && items >= 1 && items <= TASKS_MAX) {
		*chunk = items;
		return 0;
	}
	fprintf(stderr,
		"poolbench: --chunk: '%s' is not acceptable, want auto or a whole number from 1 to "
		"%" PRId64 "\n",
		text, TASKS_MAX);
	return -1;
}

static int read_memory(const char *text, bool *pool_memory)
{
	*pool_memory = strcmp(text, "pool") == 0;
	if (*pool_memory || strcmp(text, "own") == 0)
		return 0;
	fprintf(stderr, "poolbench: --memory: '%s' is not acceptable, want own or pool\n", text);
	return -1;
}

static int read_seed(const char *text, uint64_t *seed)
{
	int64_t value;
	int rc = args_whole("--seed", text, 0, INT64_MAX, &value);

	if (rc == 0)
		*seed = (uint64_t)value;
	return rc;
}

static int read_tasks(const char *text, uint64_t *tasks)
{
	int64_t value;
	int rc = args_whole("--tasks", text, 1, TASKS_MAX, &value);

	if (rc == 0)
		*tasks = (uint64_t)value;
	return rc;
}

static int read_batch(const char *text, int64_t *ns)
{
	int64_t ms;
	int rc = args_whole("--batch-ms", text, 0, BATCH_MS_MAX, &ms);

	if (rc == 0)
		*ns = ms * NS_PER_MS;
	return rc;
}

static int read_tree(const char *path, const char **tree)
{
	*tree = path;
	return args_directory("--tree", path);
}

static int read_number(struct cell_request *r, int id, const char *text)
{
	struct cell *cell = &r->cell;

	switch (id) {
	case TASKS:
		return read_tasks(text, &cell->tasks);
	case CHUNK:
		return read_chunk(text, &cell->chunk);
	case WORKERS:
		return args_int("--workers", text, 1, POOL_WORKERS_MAX, &cell->workers);
	case WORK:
		return args_whole("--work", text, 1, INT64_MAX, &cell->work);
	case PAYLOAD:
		return args_bytes("--payload", text, 1, &cell->payload_bytes);
	case WINDOW:
		return args_whole("--window", text, 1, TASKS_MAX, &cell->window);
	case ROUNDS:
		return args_int("--rounds", text, 1, SAMPLES_MAX, &cell->batches);
	case BATCH_MS:
		return read_batch(text, &cell->batch_ns);
	case PARENT:
		return args_bytes("--parent", text, 0, &cell->parent_bytes);
	case SEED:
		return read_seed(text, &r->setup.seed);
	default:
		fprintf(stderr, "poolbench: see `poolbench %s --help`\n", r->command);
		return -1;
	}
}

static int read_option(struct cell_request *r, int id, const char *text)
{
	struct cell *cell = &r->cell;

	switch (id) {
	case BACKEND:
		args_name(text, cell->backend, sizeof cell->backend);
		return 0;
	case VARIANT:
		args_name(text, cell->variant, sizeof cell->variant);
		return 0;
	case WORKLOAD:
		args_name(text, cell->workload, sizeof cell->workload);
		return 0;
	case PROBE:
		args_name(text, cell->probe, sizeof cell->probe);
		return 0;
	case TREE:
		return read_tree(text, &r->setup.tree);
	case MEMORY:
		return read_memory(text, &cell->pool_memory);
	case JSON:
		r->json = true;
		return 0;
	case RECORD:
		r->record = true;
		return 0;
	case HELP:
		r->help = true;
		return 0;
	default:
		return read_number(r, id, text);
	}
}

int cell_request_read(struct cell_request *r, int argc, char **argv, int rounds)
{
	int id;

	*r = (struct cell_request){ .command = argv[0], .setup.seed = INPUT_SEED };
	r->cell.workers = cell_workers();
	r->cell.batches = rounds;
	r->cell.batch_ns = 20 * NS_PER_MS;
	optind = 0;
	while ((id = args_option(argc, argv, "h", options)) != -1)
		if (read_option(r, id, optarg) != 0)
			return -1;
	if (optind == argc)
		return 0;
	fprintf(stderr, "poolbench: %s takes options only, not '%s'\n", r->command, argv[optind]);
	return -1;
}

int cell_request_check(const struct cell_request *r)
{
	const struct cell *cell = &r->cell;
	const char *missing = !cell->backend[0]	   ? "--backend"
			      : !cell->variant[0]  ? "--variant"
			      : !cell->workload[0] ? "--workload"
						   : NULL;

	if (missing == NULL)
		return 0;
	fprintf(stderr, "poolbench: %s needs %s (see `poolbench %s --help`)\n", r->command, missing,
		r->command);
	return -1;
}
