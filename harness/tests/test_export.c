/*
 * test_export.c - exports have the shape their readers want, in every locale, and say what was measured.
 *
 * The tables of keys are written from the formats' documentation: Google Benchmark docs/user_guide.md and what its
 * tools/gbench/report.py reads, hyperfine's --export-json and its scripts, the README of github-action-benchmark, the schema
 * of Bencher's metric format. Files are read by jansson, which takes strict JSON only; duplicate keys are refused.
 */
#include "harness/record.h"
#include "harness/tests/capture.h"

#include <jansson.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROUNDS 8

static char place[] = "/tmp/test_export-XXXXXX";
static struct capture c;

struct key {
	const char *name;
	json_type type; /* JSON_REAL: any number */
};

static const struct record sample = {
	.cell = { .experiment = "overhead",
		  .backend = "fork-shm",
		  .variant = "map",
		  .workload = "noop",
		  .tasks = 1000,
		  .workers = 2,
		  .batch_ns = 1000000,
		  .batches = 3 },
	.start_ms = 1700000000123,
	.verified = true,
	.samples = 3,
	.calls = 30,
	.user_ns = 3000000,
	.system_ns = 1500000,
	.clock_ns = 22.5,
	.system_calls = -1,
};

static FILE *open_file(const char *name, const char *mode)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", place, name);
	file = fopen(path, mode);
	assert_non_null(file);
	return file;
}

static void put_row(FILE *file, const struct record *record)
{
	char *line = record_format(record);

	assert_non_null(line);
	fputs(line, file);
	free(line);
}

/* Eight rounds of one cell (medians 1001 to 1008 ns), backwards; two of another, whose processor time is 0; one
 * that failed. */
static void write_run(void)
{
	FILE *rows = open_file("rows.jsonl", "w"), *info = open_file("run.json", "w");
	struct record row = sample;

	for (int round = ROUNDS - 1; round >= 0; round--) {
		row.round = round;
		for (int i = 0; i < 3; i++)
			row.ns_per_task[i] = 1000.0 + round + i + 0.5;
		put_row(rows, &row);
	}
	snprintf(row.cell.variant, sizeof row.cell.variant, "open");
	row.user_ns = row.system_ns = 0;
	for (row.round = 0; row.round < 2; row.round++)
		put_row(rows, &row);
	row = sample;
	row.round = ROUNDS;
	row.verified = false;
	row.samples = 0;
	snprintf(row.error, sizeof row.error, "said \"no\", and\nleft");
	put_row(rows, &row);
	fclose(rows);
	fputs("{\"schema\": 2, \"started_s\": 1700000000, \"host\": {\"cpus_online\": 2, "
	      "\"load_1min\": 0.5, \"governor\": null}}\n",
	      info);
	fclose(info);
}

/* The export to stdout, which must be strict JSON. */
static json_t *exported(const char *format)
{
	char line[256];
	json_error_t error;
	json_t *value;

	snprintf(line, sizeof line, "export %s --format %s", place, format);
	capture(&c, export_main, line);
	if (c.status != 0)
		fail_msg("%s: %d, %s", format, c.status, c.error);
	value = json_loads(c.out, JSON_REJECT_DUPLICATES, &error);
	if (value == NULL)
		fail_msg("%s, line %d: %s", format, error.line, error.text);
	return value;
}

static void assert_keys(const json_t *object, const struct key *keys)
{
	for (; keys->name; keys++) {
		const json_t *value = json_object_get(object, keys->name);
		bool number = keys->type == JSON_REAL && json_is_number(value);
		bool flag = keys->type == JSON_TRUE && json_is_boolean(value);
		if (value == NULL || (!number && !flag && json_typeof(value) != keys->type))
			fail_msg("\"%s\" is missing or of another type", keys->name);
	}
}

static double number(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void gbench_context_has_what_readers_want(void **state)
{
	static const struct key keys[] = {
		{ "date", JSON_STRING },
		{ "host_name", JSON_STRING },
		{ "executable", JSON_STRING },
		{ "num_cpus", JSON_INTEGER },
		{ "mhz_per_cpu", JSON_INTEGER },
		{ "cpu_scaling_enabled", JSON_TRUE },
		{ "caches", JSON_ARRAY },
		{ "load_avg", JSON_ARRAY },
		{ "library_build_type", JSON_STRING },
		{ NULL, JSON_NULL },
	};
	json_t *all = exported("gbench");
	const json_t *context = json_object_get(all, "context");

	(void)state;
	assert_keys(context, keys);
	assert_string_equal(text(context, "date"), "2023-11-14T22:13:20+00:00");
	assert_int_equal(number(context, "num_cpus"), 2);
	assert_string_equal(text(context, "host_name"), "poolbench");
	json_decref(all);
}

static void gbench_rows_are_repetitions_in_order_of_rounds(void **state)
{
	static const struct key keys[] = {
		{ "name", JSON_STRING },
		{ "run_name", JSON_STRING },
		{ "run_type", JSON_STRING },
		{ "family_index", JSON_INTEGER },
		{ "repetitions", JSON_INTEGER },
		{ "per_family_instance_index", JSON_INTEGER },
		{ "threads", JSON_INTEGER },
		{ "repetition_index", JSON_INTEGER },
		{ "iterations", JSON_INTEGER },
		{ "real_time", JSON_REAL },
		{ "cpu_time", JSON_REAL },
		{ "time_unit", JSON_STRING },
		{ NULL, JSON_NULL },
	};
	json_t *all = exported("gbench"), *rows = json_object_get(all, "benchmarks"), *row;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(rows), ROUNDS + 2);
	json_array_foreach(rows, i, row)
	{
		assert_keys(row, keys);
		assert_string_equal(text(row, "run_type"), "iteration");
		assert_string_equal(text(row, "time_unit"), "ns");
		assert_int_equal(number(row, "repetition_index"), i < ROUNDS ? i : i - ROUNDS);
		assert_int_equal(number(row, "repetitions"), i < ROUNDS ? ROUNDS : 2);
		assert_true(number(row, "cpu_time") > 0);
		if (i >= ROUNDS)
			continue;
		assert_string_equal(text(row, "name"),
				    "overhead/fork-shm map noop n=1000 c=auto w=2");
		assert_true(number(row, "real_time") == 1001.5 + (double)i);
		assert_true(number(row, "cpu_time") == 4500000.0 / 30000);
		assert_int_equal(number(row, "iterations"), 30000);
	}
	json_decref(all);
}

/* Numbers that a row may have, but no machine: their product is no whole number of JSON any more. */
static void gbench_counts_have_an_end(void **state)
{
	FILE *rows = open_file("rows.jsonl", "w");
	struct record row = sample;

	(void)state;
	row.calls = row.cell.tasks = INT64_MAX;
	row.ns_per_task[1] = row.ns_per_task[2] = 1000;
	put_row(rows, &row);
	fclose(rows);
	json_t *all = exported("gbench");
	assert_true(number(json_array_get(json_object_get(all, "benchmarks"), 0), "iterations") >
		    1e18);
	json_decref(all);
	write_run();
}

static void hyperfine_results_are_seconds_a_call(void **state)
{
	static const struct key keys[] = {
		{ "command", JSON_STRING },   { "mean", JSON_REAL }, { "stddev", JSON_REAL },
		{ "median", JSON_REAL },      { "user", JSON_REAL }, { "system", JSON_REAL },
		{ "min", JSON_REAL },	      { "max", JSON_REAL },  { "times", JSON_ARRAY },
		{ "exit_codes", JSON_ARRAY }, { NULL, JSON_NULL },
	};
	json_t *all = exported("hyperfine"), *results = json_object_get(all, "results"), *result;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(results), 2);
	json_array_foreach(results, i, result) assert_keys(result, keys);
	result = json_array_get(results, 0);
	assert_true(fabs(number(result, "mean") - 1005e-6) < 1e-12);
	assert_true(fabs(number(result, "median") - 1005e-6) < 1e-12);
	assert_true(fabs(number(result, "min") - 1001.5e-6) < 1e-12);
	assert_true(fabs(number(result, "max") - 1008.5e-6) < 1e-12);
	/* of 1..8: 42/7 */
	assert_true(fabs(number(result, "stddev") - sqrt(6) * 1e-6) < 1e-12);
	assert_true(fabs(number(result, "user") - 1e-4) < 1e-12);
	assert_true(fabs(number(result, "system") - 5e-5) < 1e-12);
	assert_int_equal(json_array_size(json_object_get(result, "times")), ROUNDS);
	assert_int_equal(json_array_size(json_object_get(result, "exit_codes")), ROUNDS);
	json_decref(all);
}

static void github_entries_have_value_range_and_unit(void **state)
{
	static const struct key keys[] = { { "name", JSON_STRING },  { "unit", JSON_STRING },
					   { "value", JSON_REAL },   { "range", JSON_STRING },
					   { "extra", JSON_STRING }, { NULL, JSON_NULL } };
	json_t *all = exported("github-action-benchmark"), *entry;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(all), 2);
	json_array_foreach(all, i, entry) assert_keys(entry, keys);
	entry = json_array_get(all, 0);
	assert_string_equal(text(entry, "unit"), "ns/task");
	assert_true(number(entry, "value") == 1005);
	/* Of 8 values the sign interval at 95 % is the whole range. */
	assert_string_equal(text(entry, "range"), "\u00b1 3.5");
	entry = json_array_get(all, 1);
	assert_string_equal(text(entry, "unit"), "ns/worker");
	assert_string_equal(text(entry, "range"), "unknown");
	json_decref(all);
}

static void bencher_names_have_a_latency_within_its_ends(void **state)
{
	json_t *all = exported("bencher"), *latency;
	const json_t *benchmark;
	const char *name;

	(void)state;
	assert_int_equal(json_object_size(all), 2);
	json_object_foreach(all, name, benchmark)
		assert_true(number(json_object_get(benchmark, "latency"), "value") > 0);
	benchmark = json_object_get(all, "overhead/fork-shm map noop n=1000 c=auto w=2");
	latency = json_object_get(benchmark, "latency");
	assert_true(number(latency, "value") == 1005);
	assert_true(number(latency, "lower_value") == 1001.5);
	assert_true(number(latency, "upper_value") == 1008.5);
	benchmark = json_object_get(all, "overhead/fork-shm open noop n=1000 c=auto w=2");
	assert_null(json_object_get(json_object_get(benchmark, "latency"), "lower_value"));
	json_decref(all);
}

/* Fields of one record (RFC 4180); *end is where the next one begins. */
static size_t csv_fields(const char *line, const char **end)
{
	size_t fields = 1;
	bool quoted = false;

	for (; *line && (quoted || strncmp(line, "\r\n", 2) != 0); line++) {
		quoted ^= *line == '"';
		fields += *line == ',' && !quoted;
	}
	*end = *line ? line + 2 : line;
	return fields;
}

static void csv_has_every_invocation_and_quotes(void **state)
{
	char line[128];
	const char *at;
	size_t records = 0, fields;

	(void)state;
	snprintf(line, sizeof line, "export %s --format csv", place);
	capture(&c, export_main, line);
	assert_int_equal(c.status, 0);
	fields = csv_fields(c.out, &at);
	assert_true(fields > 30);
	for (; *at; records++)
		assert_int_equal(csv_fields(at, &at), fields);
	assert_int_equal(records, ROUNDS + 3);
	assert_memory_equal(c.out, "schema,experiment,backend,", 26);
	assert_non_null(strstr(c.out, ",\"said \"\"no\"\", and\nleft\",,\r\n"));
	assert_non_null(strstr(c.out, ",1008.5,1007.5\r\n"));
}

static void export_to_a_file_is_the_same(void **state)
{
	static char direct[sizeof c.out], stored[sizeof c.out];
	char line[256];
	FILE *file;

	(void)state;
	json_decref(exported("gbench"));
	memcpy(direct, c.out, sizeof direct);
	snprintf(line, sizeof line, "export %s --format gbench --out %s/out", place, place);
	capture(&c, export_main, line);
	assert_int_equal(c.status, 0);
	assert_string_equal(c.out, "");
	file = open_file("out", "r");
	stored[fread(stored, 1, sizeof stored - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(stored, direct);
}

static void export_of_what_cannot_be_is_refused(void **state)
{
	char line[256];

	(void)state;
	assert_refuses(export_main, "export", "run directory");
	assert_refuses(export_main, "export /tmp", "--format");
	assert_refuses(export_main, "export a b --format csv", "run directory");
	assert_refuses(export_main, "export /tmp --format xml", "gbench hyperfine");
	assert_refuses(export_main, "export /nonexistent --format csv", "rows.jsonl");
	snprintf(line, sizeof line, "export %s --format csv --out /dev/full", place);
	capture(&c, export_main, line);
	assert_int_equal(c.status, EXIT_UNFIT);
	assert_non_null(strstr(c.error, "No space"));
	snprintf(line, sizeof line, "export %s --format csv --out %s/no/such", place, place);
	capture(&c, export_main, line);
	assert_int_equal(c.status, EXIT_UNFIT);
}

/* A locale whose decimal point is a comma, made here: none may be installed. Whatever is printed must not change. */
static void export_in_a_locale_with_commas_has_points(void **state)
{
	static const char *const formats[] = { "gbench", "hyperfine", "github-action-benchmark",
					       "bencher", "csv" };
	static char before[sizeof c.out];
	char command[512], line[128], shown[16];
	FILE *source = open_file("comma.src", "w");

	(void)state;
	fputs("comment_char %\nescape_char /\nLC_NUMERIC\ndecimal_point \",\"\n"
	      "thousands_sep \"\"\ngrouping -1\nEND LC_NUMERIC\n",
	      source);
	fclose(source);
	snprintf(command, sizeof command,
		 "localedef -c -i %s/comma.src -f ANSI_X3.4-1968 %s/comma >/dev/null 2>&1", place,
		 place);
	assert_true(system(command) >= 0); /* its status is 1 for warnings, too */
	assert_int_equal(setenv("LOCPATH", place, 1), 0);
	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		snprintf(line, sizeof line, "export %s --format %s", place, formats[i]);
		capture(&c, export_main, line);
		memcpy(before, c.out, sizeof before);
		assert_non_null(setlocale(LC_NUMERIC, "comma"));
		snprintf(shown, sizeof shown, "%.1f", 0.5);
		assert_string_equal(shown, "0,5");
		capture(&c, export_main, line);
		setlocale(LC_NUMERIC, "C");
		assert_int_equal(c.status, 0);
		assert_string_equal(c.out, before);
	}
}

static void export_without_good_rows_is_inconclusive(void **state)
{
	char line[128];
	FILE *rows = open_file("rows.jsonl", "w");

	(void)state;
	fclose(rows);
	snprintf(line, sizeof line, "export %s --format bencher", place);
	capture(&c, export_main, line);
	assert_int_equal(c.status, EXIT_INCONCLUSIVE);
	assert_non_null(strstr(c.error, "no good row"));
	capture(&c, export_main, "export --help");
	assert_int_equal(c.status, 0);
	assert_non_null(strstr(c.out, "Usage: poolbench export"));
	assert_non_null(strstr(c.out, "github-action-benchmark"));
}

static int prepare(void **state)
{
	(void)state;
	if (mkdtemp(place) == NULL)
		return -1;
	write_run();
	return 0;
}

static int clean(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", place);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gbench_context_has_what_readers_want),
		cmocka_unit_test(gbench_rows_are_repetitions_in_order_of_rounds),
		cmocka_unit_test(gbench_counts_have_an_end),
		cmocka_unit_test(hyperfine_results_are_seconds_a_call),
		cmocka_unit_test(github_entries_have_value_range_and_unit),
		cmocka_unit_test(bencher_names_have_a_latency_within_its_ends),
		cmocka_unit_test(csv_has_every_invocation_and_quotes),
		cmocka_unit_test(export_to_a_file_is_the_same),
		cmocka_unit_test(export_of_what_cannot_be_is_refused),
		cmocka_unit_test(export_in_a_locale_with_commas_has_points),
		cmocka_unit_test(export_without_good_rows_is_inconclusive),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, prepare, clean);
}
