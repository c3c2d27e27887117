/*
 * test_cli.c - the program from outside: exit statuses, one clear line for bad input, verified cells, whole runs.
 *
 * The program is $POOLBENCH, or found from where this test lies: .build/X/harness/tests/test_cli and .build/X/poolbench.
 */
#include "harness/bench.h"
#include "harness/peer.h"

#include <errno.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define OUTPUT_SIZE 65536

static char program[PATH_MAX];
static char output[OUTPUT_SIZE]; /* of the last run() */
static char place[] = "/tmp/test_cli-XXXXXX";

/* Runs `poolbench ARGUMENTS` through the shell; the exit status, or -1. */
static int run(const char *format, ...) __attribute__((format(printf, 1, 2)));
static int run(const char *format, ...)
{
	char arguments[1024], command[PATH_MAX + 1200];
	va_list list;
	size_t size;
	FILE *pipe;
	int status;

	va_start(list, format);
	vsnprintf(arguments, sizeof arguments, format, list);
	va_end(list);
	snprintf(command, sizeof command, "cd %s && %s %s", place, program, arguments);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	size = fread(output, 1, sizeof output - 1, pipe);
	output[size] = '\0';
	status = pclose(pipe);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static size_t lines(const char *text)
{
	size_t count = 0;

	for (; *text; text++)
		count += *text == '\n';
	return count;
}

/* One line on stderr, nothing on stdout, exit status 2. */
static void assert_bad(const char *arguments, const char *said)
{
	if (run("%s 2>&1 >/dev/null", arguments) != 2 || strstr(output, said) == NULL ||
	    lines(output) != 1)
		fail_msg("%s: %s", arguments, output);
	assert_int_equal(run("%s 2>/dev/null", arguments), 2);
	assert_string_equal(output, "");
}

static void assert_bad_cell(const char *options, const char *said)
{
	char arguments[512];

	snprintf(arguments, sizeof arguments,
		 "cell --backend loop --variant map --workload square --tasks 10 %s", options);
	assert_bad(arguments, said);
}

static void cell_with_bad_numbers_is_refused(void **state)
{
	static const char *const options[] = {
		"--workers 0",	       "--workers -1",	  "--workers 255",
		"--chunk 0",	       "--chunk -1",	  "--chunk 1x",
		"--chunk ''",	       "--tasks 0",	  "--tasks 12x",
		"--tasks ' 5'",	       "--tasks +5",	  "--tasks 99999999999999999999",
		"--work -1",	       "--payload 1Z",	  "--payload -1",
		"--payload 99999999G", "--window 0",	  "--rounds 0",
		"--rounds 65",	       "--seed x",	  "--batch-ms -1",
		"--parent 1.5M",       "--memory shared", "--tree /nonexistent",
		"--tree /dev/null",
	};

	(void)state;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		char name[32];
		snprintf(name, sizeof name, "%.*s", (int)strcspn(options[i], " "), options[i]);
		assert_bad_cell(options[i], name);
	}
}

static void cell_with_unknown_names_lists_the_known(void **state)
{
	(void)state;
	assert_bad_cell("--backend nosuch", "fork-shm");
	assert_bad_cell("--variant nosuch", "imap_unordered");
	assert_bad_cell("--workload nosuch", "mandelbrot");
	assert_bad_cell("--probe nosuch", "syscalls latency delivery memory");
	assert_bad_cell("surplus", "surplus");
	assert_bad("cell --backend loop --variant map", "--workload");
}

static void commands_unknown_or_wrong_are_refused(void **state)
{
	(void)state;
	assert_bad("nosuch", "compare");
	assert_bad("run nosuch", "nosuch");
	assert_bad("run --rounds 0", "--rounds");
	assert_bad("run --rounds", "poolbench: option '--rounds' requires");
	assert_bad("export --nosuch", "poolbench: unrecognized option '--nosuch'");
	assert_bad("run --rounds 257", "256");
	assert_bad("run --resume nowhere", "run.json");
	assert_bad("run --resume nowhere --quick", "--resume");
	assert_bad("compare", "two");
	assert_bad("compare onlyone", "rows.jsonl");
	assert_bad("compare nowhere nowhere", "rows.jsonl");
	assert_bad("list surplus", "surplus");
}

/* Each would be refused anyhow, with another reason; an empty text for --cells would be in the name of every cell. */
static void empty_texts_are_refused(void **state)
{
	static const struct {
		const char *arguments, *option;
	} cases[] = {
		{ "run nosuch --cells ''", "--cells: '' is not acceptable" },
		{ "run nosuch --out ''", "--out: '' is not acceptable" },
		{ "run --resume ''", "--resume: '' is not acceptable" },
		{ "run nosuch --save-baseline ''", "--save-baseline: '' is not acceptable" },
		{ "run nosuch --baseline ''", "--baseline: '' is not acceptable" },
		{ "compare --rerun a b --cells ''", "--cells: '' is not acceptable" },
		{ "compare --rerun a b --out ''", "--out: '' is not acceptable" },
		{ "compare --rerun a b --experiment ''", "unknown experiment ''" },
		{ "compare a b --floor-from ''", "--floor-from: '' is not acceptable" },
		{ "selftest surplus --out ''", "--out: '' is not acceptable" },
		{ "selftest surplus --fault-binary ''", "--fault-binary: '' is not acceptable" },
		{ "export nowhere --format csv --out ''", "--out: '' is not acceptable" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_bad(cases[i].arguments, cases[i].option);
}

static void help_of_each_command_is_on_stdout(void **state)
{
	static const char *const commands[] = { "",	   "run",    "cell",   "compare",
						"explain", "advise", "doctor", "list",
						"export",  "plot",   "report" };

	(void)state;
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		assert_int_equal(run("%s --help 2>/dev/null", commands[i]), 0);
		assert_int_equal(run("%s -h 2>/dev/null", commands[i]), 0);
		assert_non_null(strstr(output, "Usage: poolbench"));
	}
	assert_int_equal(run("--version"), 0);
	assert_memory_equal(output, "poolbench ", 10);
}

static void list_names_every_row_of_the_tables(void **state)
{
	const struct workload *load;
	const struct pool_backend_info *row;

	(void)state;
	assert_int_equal(run("list"), 0);
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		assert_non_null(strstr(output, row->name));
	for (unsigned i = 0; (load = workload_at(i)) != NULL; i++)
		assert_non_null(strstr(output, load->name));
	for (const struct baseline *b = baseline_first(); b != NULL; b = b->next) {
		assert_non_null(b->summary);
		assert_non_null(strstr(output, b->name)); /* what `cell` takes */
		assert_non_null(strstr(output, b->summary));
	}
	assert_int_equal(run("list --json"), 0);
	json_t *all = json_loads(output, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_array_size(json_object_get(all, "experiments")) > 0);
	json_decref(all);
}

static void assert_cell_verified(const char *backend, const char *variant, const char *workload)
{
	json_t *object;
	int status = run("cell --backend %s --variant %s --workload %s --tasks 200 --batch-ms 1 "
			 "--workers 2 --json 2>&1",
			 backend, variant, workload);

	if (status != 0)
		fail_msg("%s %s %s: %d, %s", backend, variant, workload, status, output);
	object = json_loads(output, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(object);
	assert_true(json_is_true(json_object_get(object, "verified")));
	assert_string_equal(json_string_value(json_object_get(object, "backend")), backend);
	assert_int_equal(json_integer_value(json_object_get(object, "tasks")), 200);
	assert_int_equal(json_integer_value(json_object_get(object, "rounds")), 3);
	assert_true(json_real_value(json_object_get(object, "ns_per_task_median")) > 0);
	assert_true(json_real_value(json_object_get(object, "ns_per_task_min")) > 0);
	assert_true(json_real_value(json_object_get(object, "tasks_per_s")) > 0);
	json_decref(object);
}

static void every_variant_of_every_row_is_verified(void **state)
{
	const struct pool_backend_info *row;
	const struct variant *variant;

	(void)state;
	assert_non_null(pool_backend_info(0));
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		for (unsigned k = 0; (variant = variant_at(k)) != NULL; k++)
			assert_cell_verified(row->name, variant->name,
					     variant->one_column ? "square" : "add");
}

static void baselines_are_verified(void **state)
{
	(void)state;
	assert_cell_verified("loop", "map", "square");
	assert_cell_verified("forked", "map", "add");
	assert_cell_verified("hiccup", "map", "noop");
}

/* The same by one of the programs of scripts/peers. */
static void assert_peer_verified(const char *name, const char *backend, const char *variant,
				 const char *workload)
{
	char own[PATH_MAX], folder[PATH_MAX];

	snprintf(own, sizeof own, "%s", program);
	snprintf(folder, sizeof folder, "%s", program);
	snprintf(program, sizeof program, "%.3900s/scripts/peers/%s", dirname(folder), name);
	if (access(program, X_OK) == 0 || strcmp(name, "openmp") != 0)
		assert_cell_verified(backend, variant, workload);
	snprintf(program, sizeof program, "%s", own);
}

static void peers_are_verified(void **state)
{
	(void)state;
	assert_peer_verified("openmp", "openmp-static", "map", "square");
	assert_peer_verified("openmp", "openmp-dynamic", "map", "spin");
	assert_peer_verified("openmp", "openmp-guided", "map", "add");
	assert_peer_verified("limits", "raw-pipe", "map", "noop");
	assert_peer_verified("limits", "raw-futex", "map", "noop");
	assert_peer_verified("limits", "raw-spin", "map", "noop");
	assert_peer_verified("limits", "raw-fork", "map", "noop");
	assert_peer_verified("limits", "raw-vfork", "map", "noop");
	assert_peer_verified("limits", "raw-spawn", "map", "noop");
	assert_peer_verified("limits", "raw-keeper", "map", "noop");
	assert_peer_verified("limits", "raw-thread", "map", "noop");
	assert_peer_verified("limits", "raw-stream", "map", "stream");
	assert_peer_verified("limits", "raw-list", "map", "skew");
	assert_peer_verified("lazy", "lazy-fork-shm", "map", "noop");
	assert_peer_verified("lazy", "lazy-fork-pipe", "imap", "square");
	assert_peer_verified("lazy", "lazy-fork-shm", "imap_unordered", "square");
	assert_peer_verified("lazy", "lazy100-fork-shm", "imap", "noop");
}

/* A whole run by hand: run.json and the asked rows, of which the last is cut in half. */
static void write_interrupted_run(const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof command,
		 "cd %s && mkdir %s && cp %s/run.json %s && head -2 %s/rows.jsonl > %s/rows.jsonl "
		 "&& "
		 "sed -n 3p %s/rows.jsonl | head -c 99 >> %s/rows.jsonl",
		 place, to, from, to, from, to, from, to);
	assert_int_equal(system(command), 0);
}

static size_t count_rows(const char *directory)
{
	struct rows rows;
	char path[256], why[512] = "";
	bool truncated;
	size_t count;

	snprintf(path, sizeof path, "%s/%s", place, directory);
	if (rows_load(&rows, path, &truncated, why, sizeof why) < 0)
		fail_msg("%s", why);
	assert_false(truncated);
	count = rows.count;
	rows_free(&rows);
	return count;
}

static void run_interrupted_and_resumed_has_all_rows(void **state)
{
	(void)state;
	assert_int_equal(run("run startup --quick --rounds 1 --seed 5 --out whole 2>/dev/null"), 0);
	assert_string_equal(output, "whole\n");
	assert_true(count_rows("whole") > 2);
	write_interrupted_run("whole", "part");
	assert_int_equal(run("run --resume part 2>/dev/null"), 0);
	assert_int_equal(count_rows("part"), count_rows("whole"));
	assert_bad("run startup --quick --out whole", "--resume");
	assert_bad("run startup --quick --out /dev/null/x", "/dev/null");
}

/* Its program is named from scripts/peers of the tree: no tree lies deeper than these steps up. */
#define UP "../../../../../../../../../../../../../../../.."

static void peer_that_never_tells_its_version_is_not_there(void **state)
{
	char command[256], name[256], path[PATH_MAX], version[64];
	struct peer stuck = { .title = "stuck", .program = name };

	(void)state;
	snprintf(command, sizeof command,
		 "cd %s && printf '#!/bin/sh\\nsleep 600\\n' >stuck && chmod +x stuck", place);
	assert_int_equal(system(command), 0);
	snprintf(name, sizeof name, UP "%s/stuck", place);
	assert_int_equal(peer_path(&stuck, path, sizeof path), 0);
	assert_int_equal(peer_version(&stuck, version, sizeof version), -ENOENT);
}

static void write_json(json_t *object, const char *directory, const char *name)
{
	char path[256];

	snprintf(path, sizeof path, "%s/%s/%s", place, directory, name);
	assert_int_equal(json_dump_file(object, path, 0), 0);
}

/* The plan of an earlier run with other cells: one that a peer measures, one of a peer that there is not. */
static void run_with_peers_takes_their_rows(void **state)
{
	char command[256], path[256];

	(void)state;
	snprintf(command, sizeof command, "cd %s && mkdir peers && touch peers/rows.jsonl", place);
	assert_int_equal(system(command), 0);
	snprintf(path, sizeof path, "%s/whole/run.json", place);
	json_t *info = json_load_file(path, 0, NULL);
	json_t *cells = json_object_get(json_object_get(info, "plan"), "cells");
	json_t *cell = json_deep_copy(json_array_get(cells, 0));
	json_object_set_new(cell, "backend", json_string("raw-fork"));
	json_object_set_new(cell, "variant", json_string("map"));
	assert_int_equal(json_array_clear(cells), 0);
	json_array_append_new(cells, cell);
	write_json(info, "peers", "run.json");
	assert_int_equal(run("run --resume peers 2>/dev/null"), 0);
	assert_int_equal(count_rows("peers"), 1);
	json_object_set_new(cell, "backend", json_string("raw-nothing"));
	write_json(info, "peers", "run.json");
	snprintf(command, sizeof command, "cd %s && : >peers/rows.jsonl", place);
	assert_int_equal(system(command), 0);
	assert_int_equal(run("run --resume peers 2>&1 >/dev/null"), 1);
	assert_non_null(strstr(output, "unknown backend 'raw-nothing'"));
	json_decref(info);
}

static void compare_of_two_runs_gives_ratios_and_no_verdict(void **state)
{
	size_t cells = count_rows("whole");

	(void)state;
	assert_int_equal(run("compare whole part --csv 2>/dev/null"), 0);
	assert_int_equal(lines(output), cells + 1);
	assert_int_equal(run("compare whole part 2>&1 >/dev/null"), 0);
	assert_non_null(strstr(output, "no verdict"));
}

static void compare_with_alien_row_names_its_line(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof command, "cd %s && sed -i '2s/.*/{\"a\":1}/' part/rows.jsonl",
		 place);
	assert_int_equal(system(command), 0);
	assert_bad("compare whole part", "rows.jsonl:2:");
}

static int find_program(void)
{
	const char *given = getenv("POOLBENCH");
	char exe[PATH_MAX];
	ssize_t size = readlink("/proc/self/exe", exe, sizeof exe - 1);

	if (given != NULL && realpath(given, program) != NULL)
		return 0;
	if (size < 0)
		return -1;
	exe[size] = '\0';
	snprintf(program, sizeof program, "%s/poolbench", dirname(dirname(dirname(exe))));
	return access(program, X_OK);
}

static int prepare(void **state)
{
	(void)state;
	return find_program() == 0 && mkdtemp(place) != NULL ? 0 : -1;
}

static int clean(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", place);
	return system(command);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cell_with_bad_numbers_is_refused),
		cmocka_unit_test(cell_with_unknown_names_lists_the_known),
		cmocka_unit_test(commands_unknown_or_wrong_are_refused),
		cmocka_unit_test(empty_texts_are_refused),
		cmocka_unit_test(help_of_each_command_is_on_stdout),
		cmocka_unit_test(list_names_every_row_of_the_tables),
		cmocka_unit_test(every_variant_of_every_row_is_verified),
		cmocka_unit_test(baselines_are_verified),
		cmocka_unit_test(peers_are_verified),
		cmocka_unit_test(run_interrupted_and_resumed_has_all_rows),
		cmocka_unit_test(peer_that_never_tells_its_version_is_not_there),
		cmocka_unit_test(run_with_peers_takes_their_rows),
		cmocka_unit_test(compare_of_two_runs_gives_ratios_and_no_verdict),
		cmocka_unit_test(compare_with_alien_row_names_its_line),
	};

	pool_main(&argc, &argv);
	alarm(900);
	return cmocka_run_group_tests(tests, prepare, clean);
}
