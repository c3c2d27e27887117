/*
 * cell_cmd.c - `poolbench cell`: the stable door for scripts, and for `poolbench run` itself.
 *
 * DESIGN. With --record it reads one row without samples from stdin and writes the same row, measured, to stdout: that is
 * how a run measures each cell in a fresh process. Without, the cell comes from options and one object is printed.
 */
#include "harness/args.h"
#include "harness/cell.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "harness/record_json.h"
#include "pools/pool.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define TASKS_MAX INT64_C(1000000000)
#define BATCH_MS_MAX 3600000

static const char help[] =
	"Usage: poolbench cell --backend B --variant V --workload W [OPTION...]\n"
	"\n"
	"Measures one combination in this process and prints one object. Every result is checked\n"
	"against the serial loop; exit status 0 only if all were right.\n"
	"\n"
	"  --backend B     a row of `poolbench list`, or a baseline: loop, forked, hiccup\n"
	"  --variant V     apply apply_async map map_async starmap starmap_async imap\n"
	"                  imap_unordered, or open (time to open and end a pool, per worker)\n"
	"  --workload W    see `poolbench list`\n"
	"  --tasks N       items a call (default: the workload's)\n"
	"  --chunk C       items a worker claims at a time; auto (default)\n"
	"  --workers N     1 to 254 (default: the CPUs this process may use)\n"
	"  --work N        size of one task in the workload's unit (default: the workload's)\n"
	"  --payload B     bytes in per task, for workloads with a payload; suffixes k M G\n"
	"  --window N      imap: items read ahead (default: the library's)\n"
	"  --rounds R      timed batches, 1 to 64 (default 3)\n"
	"  --batch-ms N    a batch repeats the call until it lasts this long (default 20; 0: one "
	"call)\n"
	"  --tree DIR      what wordcount and sha256 read (default /usr/include)\n"
	"  --parent B      memory the parent touches before it opens the pool; suffixes k M G\n"
	"  --memory own|pool  where inputs and results lie (default own)\n"
	"  --seed N        of the input's random numbers (default 1)\n"
	"  --probe NAME    look closer: latency (of each call), delivery (when results come), "
	"into\n"
	"                  profile_ns (see harness/probe.h); memory; syscalls\n"
	"  --json          one JSON object instead of `key value` lines\n"
	"\n"
	"Times are ns per task (open: per worker); chunk 0 means auto.\n"
	"Exit status: 0 verified, 1 failed or wrong result, 2 bad arguments.\n";

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
	HELP
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

struct request {
	struct cell cell;
	struct cell_setup setup;
	bool json, record, help;
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

static int read_number(struct request *r, int id, const char *text)
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
		fprintf(stderr, "poolbench: see `poolbench cell --help`\n");
		return -1;
	}
}

static int read_option(struct request *r, int id, const char *text)
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

static int read_request(struct request *r, int argc, char **argv)
{
	int id;

	*r = (struct request){ .setup.seed = 1 };
	r->cell.workers = pool_cpus();
	r->cell.batches = 3;
	r->cell.batch_ns = 20 * NS_PER_MS;
	optind = 0;
	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (read_option(r, id, optarg) != 0)
			return -1;
	if (optind == argc)
		return 0;
	fprintf(stderr, "poolbench: cell takes options only, not '%s'\n", argv[optind]);
	return -1;
}

static int check_given(const struct cell *cell)
{
	const char *missing = !cell->backend[0]	   ? "--backend"
			      : !cell->variant[0]  ? "--variant"
			      : !cell->workload[0] ? "--workload"
						   : NULL;

	if (missing == NULL)
		return 0;
	fprintf(stderr, "poolbench: cell needs %s (see `poolbench cell --help`)\n", missing);
	return -1;
}

/*
 * == Printing ==
 */

static json_t *describe(const struct record *record)
{
	json_t *object = record_to_json(record);
	double median = record_median(record), least = median;

	for (int i = 0; i < record->samples; i++)
		if (record->ns_per_task[i] < least)
			least = record->ns_per_task[i];
	json_object_set_new(object, "rounds", json_integer(record->samples));
	json_object_set_new(object, "ns_per_task_median", json_real(median));
	json_object_set_new(object, "ns_per_task_min", json_real(least));
	json_object_set_new(object, "tasks_per_s", json_real(median > 0 ? 1e9 / median : 0));
	return object;
}

static void print_text(json_t *object)
{
	const char *key;
	json_t *value;

	json_object_foreach(object, key, value)
	{
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(6));
		const char *shown = json_is_string(value) ? json_string_value(value) : text;
		if (strcmp(key, "chunk") == 0 && json_integer_value(value) == 0)
			shown = "auto";
		printf("%-20s  %s\n", key, shown ? shown : "");
		free(text);
	}
}

static void print_result(const struct request *r, const struct record *record)
{
	json_t *object = describe(record);

	if (r->json)
		json_dumpf(object, stdout, JSON_COMPACT);
	else
		print_text(object);
	if (r->json)
		putchar('\n');
	json_decref(object);
}

static int status_of(enum cell_outcome outcome, const struct record *record)
{
	if (outcome == CELL_DONE && record->verified)
		return EXIT_FINE;
	fprintf(stderr, "poolbench: %s\n", record->error);
	return outcome == CELL_REFUSED ? EXIT_USAGE : EXIT_BAD;
}

static int measure_given(const struct request *r)
{
	struct record record;
	enum cell_outcome outcome;

	if (check_given(&r->cell) != 0)
		return EXIT_USAGE;
	outcome = cell_measure(&r->cell, &r->setup, &record);
	if (outcome != CELL_REFUSED)
		print_result(r, &record);
	return status_of(outcome, &record);
}

/*
 * == A row in, a row out ==
 */

static int read_row(struct record *record)
{
	char why[256] = "nothing on stdin", *line = NULL;
	size_t room = 0;
	int rc = -1;

	if (getline(&line, &room, stdin) > 0)
		rc = record_parse(record, line, why, sizeof why);
	free(line);
	if (rc < 0)
		fprintf(stderr, "poolbench: cell --record: %s\n", why);
	return rc;
}

static int measure_row(const struct cell_setup *setup)
{
	struct record asked, record;
	enum cell_outcome outcome;
	char *line;

	if (read_row(&asked) < 0)
		return EXIT_USAGE;
	outcome = cell_measure(&asked.cell, setup, &record);
	record.round = asked.round;
	record.order = asked.order;
	line = record_format(&record);
	if (line == NULL)
		return EXIT_UNFIT;
	fputs(line, stdout);
	free(line);
	if (outcome == CELL_REFUSED)
		return EXIT_USAGE;
	return record.verified ? EXIT_FINE : EXIT_BAD;
}

int cell_main(int argc, char **argv)
{
	struct request r;

	if (read_request(&r, argc, argv) != 0)
		return EXIT_USAGE;
	if (r.help) {
		fputs(help, stdout);
		return EXIT_FINE;
	}
	return r.record ? measure_row(&r.setup) : measure_given(&r);
}
