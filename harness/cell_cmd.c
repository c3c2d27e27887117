/*
 * cell_cmd.c - `poolbench cell`: the stable door for scripts, and for `poolbench run` itself.
 *
 * DESIGN. With --record it reads one row without samples from stdin and writes the same row, measured, to stdout: that is
 * how a run measures each cell in a fresh process. Without, the cell comes from options and one object is printed.
 */
#include "harness/cell_options.h"
#include "harness/commands.h"
#include "harness/record_json.h"
#include "harness/syscalls.h"

#include <stdlib.h>
#include <string.h>

#define ROUNDS 3

static const char help[] =
	"Usage: poolbench cell --backend B --variant V --workload W [OPTION...]\n"
	"\n"
	"Measures one combination in this process and prints one object. Every result is checked\n"
	"against the serial loop; exit status 0 only if all were right.\n"
	"\n"
	"  --backend B     a backend or a baseline, see `poolbench list`\n"
	"  --variant V     apply apply_async map map_async starmap starmap_async imap\n"
	"                  imap_unordered, or open (time to open and end a pool, per worker)\n"
	"  --workload W    see `poolbench list`\n"
	"  --tasks N       items a call (default: the workload's)\n"
	"  --chunk C       items a worker claims at a time; auto (default)\n"
	"  --workers N     1 to 254 (default: the CPUs this process may use)\n"
	"  --work N        size of one task in the workload's unit (default: the workload's)\n"
	"  --payload B     bytes a task, for workloads with a payload; suffixes k M G\n"
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

static void print_result(const struct cell_request *r, const struct record *record)
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

/* A row says -1 only; a person wants to know why. */
static void say_uncounted(const struct record *record)
{
	struct syscalls *syscalls = NULL;
	int rc;

	if (strcmp(record->cell.probe, "syscalls") != 0 || record->system_calls >= 0)
		return;
	rc = syscalls_new(&syscalls);
	if (rc < 0)
		fprintf(stderr, "poolbench: system calls are not counted: %s\n",
			syscalls_reason(rc));
	syscalls_free(syscalls);
}

static int status_of(enum cell_outcome outcome, const struct record *record)
{
	if (outcome == CELL_DONE && record->verified)
		return EXIT_FINE;
	fprintf(stderr, "poolbench: %s\n", record->error);
	return outcome == CELL_REFUSED ? EXIT_USAGE : EXIT_BAD;
}

static int measure_given(const struct cell_request *r)
{
	struct record record;
	enum cell_outcome outcome;

	if (cell_request_check(r) != 0)
		return EXIT_USAGE;
	outcome = cell_measure(&r->cell, &r->setup, &record);
	if (outcome != CELL_REFUSED)
		print_result(r, &record);
	if (outcome == CELL_DONE)
		say_uncounted(&record);
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
	struct cell_request r;

	if (cell_request_read(&r, argc, argv, ROUNDS) != 0)
		return EXIT_USAGE;
	if (r.help) {
		fputs(help, stdout);
		return EXIT_FINE;
	}
	return r.record ? measure_row(&r.setup) : measure_given(&r);
}
