/*
 * test_record.c - records survive the way to a file and back, and nothing else is taken for one.
 */
#include "harness/record.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct record sample = {
	.cell = { .experiment = "overhead",
		  .backend = "shm",
		  .variant = "map",
		  .workload = "square",
		  .tasks = 10000,
		  .chunk = 1,
		  .workers = 2,
		  .work = 7,
		  .payload_bytes = 64,
		  .window = 5,
		  .parent_bytes = 4096,
		  .pool_memory = true,
		  .batch_ns = 50000000,
		  .batches = 3,
		  .probe = "memory" },
	.round = 4,
	.order = 99,
	.start_ms = 1700000000123,
	.verified = true,
	.samples = 3,
	.ns_per_task = { 10.25, 0.1, 1e9 / 3 },
	.calls = 12,
	.serial_ns_per_task = 0.7,
	.first_result_ns = 1234.5,
	.user_ns = 1,
	.system_ns = 2,
	.voluntary_switches = 3,
	.involuntary_switches = 4,
	.minor_faults = 5,
	.io_calls = 7,
	.io_bytes = 8,
	.system_calls = -1,
	.starts = 9,
	.claims = 15,
	.window_ns = 16,
	.max_rss_kib = 6,
	.pss_idle_kib = 10,
	.pss_peak_kib = 11,
	.clock_ns = 22.5,
	.steal_ns = -1,
	.foreign_ns = 12,
	.run_delay_ns = 13,
	.pressure_ns = 14,
	.arm = "b",
	.profile = 2,
	.profile_ns = { 0.5, 1e9 },
	.error = "a \"quoted\" \\ text\nof two lines",
};

/* The sample's line with the first `from` replaced by `to`; the caller frees it. */
static char *altered(const char *from, const char *to)
{
	char *line = record_format(&sample), *at, *result;

	assert_non_null(line);
	at = strstr(line, from);
	assert_non_null(at);
	assert_true(asprintf(&result, "%.*s%s%s", (int)(at - line), line, to, at + strlen(from)) >
		    0);
	free(line);
	return result;
}

static void assert_refused(const char *from, const char *to, const char *named)
{
	struct record record = { .order = 12345 };
	char why[256] = "";
	char *line = altered(from, to);

	assert_int_equal(record_parse(&record, line, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, named));
	assert_int_equal(record.order, 12345);
	free(line);
}

static void record_formatted_comes_back_equal(void **state)
{
	char *line = record_format(&sample), why[256];
	struct record back;

	(void)state;
	assert_int_equal(record_parse(&back, line, why, sizeof why), 0);
	assert_true(cell_equal(&back.cell, &sample.cell));
	assert_int_equal(back.cell.batch_ns, sample.cell.batch_ns);
	assert_int_equal(back.cell.batches, sample.cell.batches);
	assert_int_equal(back.start_ms, sample.start_ms);
	assert_memory_equal(back.ns_per_task, sample.ns_per_task, sizeof sample.ns_per_task);
	assert_true(back.clock_ns == sample.clock_ns && back.steal_ns == sample.steal_ns);
	assert_true(back.first_result_ns == sample.first_result_ns);
	assert_memory_equal(back.profile_ns, sample.profile_ns, sizeof sample.profile_ns);
	assert_int_equal(back.pss_peak_kib, sample.pss_peak_kib);
	assert_int_equal(back.foreign_ns, sample.foreign_ns);
	assert_int_equal(back.claims, sample.claims);
	assert_int_equal(back.window_ns, sample.window_ns);
	assert_string_equal(back.arm, sample.arm);
	assert_string_equal(back.error, sample.error);
	assert_true(back.verified);
	free(line);
}

/* Rows of schema 2 that are older than the field. */
static void record_without_claims_has_none(void **state)
{
	char *line = altered("\"claims\":15,", ""), why[256];
	struct record back;

	(void)state;
	assert_int_equal(record_parse(&back, line, why, sizeof why), 0);
	assert_int_equal(back.claims, 0);
	assert_int_equal(back.starts, 9);
	free(line);
	assert_refused("\"claims\":15", "\"claims\":1.5", "claims");
}

static void record_format_is_one_line(void **state)
{
	char *line = record_format(&sample);

	(void)state;
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	free(line);
}

static void record_error_of_odd_bytes_is_still_json(void **state)
{
	struct record record = { .error = "bad \xff byte" }, back;
	char why[256], *line = record_format(&record);

	(void)state;
	assert_non_null(line);
	assert_int_equal(record_parse(&back, line, why, sizeof why), 0);
	assert_string_equal(back.error, "bad ? byte");
	free(line);
}

static void record_of_infinite_sample_is_not_written(void **state)
{
	struct record record = { .samples = 1, .ns_per_task = { 1e308 * 10 } };

	(void)state;
	assert_null(record_format(&record));
}

static void record_parse_of_wrong_fields_names_them(void **state)
{
	(void)state;
	assert_refused("\"schema\":2", "\"schema\":1", "schema");
	assert_refused("\"schema\":2,", "", "schema");
	assert_refused("\"tasks\":10000", "\"tasks\":-1", "tasks");
	assert_refused("\"tasks\":10000", "\"tasks\":1.5", "tasks");
	assert_refused("\"workers\":2", "\"workers\":\"2\"", "workers");
	assert_refused("\"workers\":2", "\"workers\":5000000000", "workers");
	assert_refused("\"verified\":true", "\"verified\":1", "verified");
	assert_refused("\"backend\":\"shm\"", "\"backend\":null", "backend");
	assert_refused("\"backend\":\"shm\"",
		       "\"backend\":\"a name that is far too long for thirty-one bytes\"",
		       "backend");
	assert_refused("\"round\":4,", "", "round");
	assert_refused("\"round\":4,", "\"round\":-1,", "0 to 2047");
	assert_refused("\"round\":4,", "\"round\":2048,", "0 to 2047");
	assert_refused("\"round\":4,", "\"round\":2147483647,", "\"round\"");
	assert_refused("\"batches\":3", "\"batches\":-1",
		       "\"batches\": want a whole number, not neg");
	assert_refused("\"samples\":3", "\"samples\":2", "ns_per_task");
	assert_refused("\"samples\":3", "\"samples\":-3", "ns_per_task");
	assert_refused("[10.25,", "[\"10.25\",", "ns_per_task");
	assert_refused("[10.25,", "[-10.25,", "ns_per_task");
	assert_refused("[10.25,", "[NaN,", "JSON");
	assert_refused("{\"schema\"", "\"schema\"", "JSON");
	assert_refused("\"round\":4,", "\"round\":4,\"round\":4,", "JSON");
}

static void record_of_the_last_round_is_taken(void **state)
{
	char *line = altered("\"round\":4,", "\"round\":2047,"), why[256];
	struct record back;

	(void)state;
	assert_int_equal(record_parse(&back, line, why, sizeof why), 0);
	assert_int_equal(back.round, ROUNDS_END - 1);
	free(line);
}

static void record_median_of_samples_is_the_middle_one(void **state)
{
	struct record none = { .samples = 0 };

	(void)state;
	assert_true(record_median(&sample) == 10.25);
	assert_true(record_median(&none) == 0);
}

static void cell_label_differs_when_cells_do(void **state)
{
	struct cell other = sample.cell;
	char a[256], b[256];

	(void)state;
	other.window++;
	assert_false(cell_equal(&sample.cell, &other));
	cell_label(&sample.cell, a, sizeof a);
	cell_label(&other, b, sizeof b);
	assert_string_not_equal(a, b);
	assert_non_null(strstr(a, "shm map square n=10000 c=1 w=2"));
}

/*
 * == Files ==
 */

struct place {
	char directory[64], rows[96];
};

static int make_place(void **state)
{
	static struct place place;

	strcpy(place.directory, "/tmp/test_record-XXXXXX");
	if (mkdtemp(place.directory) == NULL)
		return -1;
	snprintf(place.rows, sizeof place.rows, "%s/rows.jsonl", place.directory);
	*state = &place;
	return 0;
}

static int remove_place(void **state)
{
	struct place *place = *state;

	unlink(place->rows);
	return rmdir(place->directory);
}

/* Two whole rows, then `tail`. */
static void write_rows(const struct place *place, const char *tail)
{
	FILE *file = fopen(place->rows, "w");
	struct record next = sample;
	next.round++;
	char *line = record_format(&sample), *second = record_format(&next);

	assert_non_null(file);
	fprintf(file, "%s%s%s", line, second, tail);
	fclose(file);
	free(second);
	free(line);
}

static void rows_load_of_good_file_gives_all(void **state)
{
	struct place *place = *state;
	struct rows rows;
	bool truncated;
	char why[512];

	write_rows(place, "");
	assert_int_equal(rows_load(&rows, place->directory, &truncated, why, sizeof why), 0);
	assert_int_equal(rows.count, 2);
	assert_false(truncated);
	assert_int_equal(rows.at[1].order, 99);
	rows_free(&rows);
}

static void rows_load_of_truncated_last_line_leaves_it_out(void **state)
{
	struct place *place = *state;
	struct rows rows;
	bool truncated;
	char why[512];

	write_rows(place, "{\"schema\":2,\"exper");
	assert_int_equal(rows_load(&rows, place->directory, &truncated, why, sizeof why), 0);
	assert_int_equal(rows.count, 2);
	assert_true(truncated);
	rows_free(&rows);
}

static void rows_load_of_garbage_names_the_line(void **state)
{
	struct place *place = *state;
	struct rows rows;
	bool truncated;
	char why[512] = "";

	write_rows(place, "garbage\n");
	assert_int_equal(rows_load(&rows, place->directory, &truncated, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "rows.jsonl:3:"));
	rows_free(&rows);
}

/* The same cell, round and arm again would count twice. */
static void rows_load_of_a_row_twice_names_the_second(void **state)
{
	struct place *place = *state;
	char *twice = record_format(&sample),
	     *other_arm = altered("\"arm\":\"b\"", "\"arm\":\"c\"");
	struct rows rows;
	bool truncated;
	char why[512] = "", *tail;

	assert_true(asprintf(&tail, "%s%s%s", other_arm, twice, twice) > 0);
	write_rows(place, other_arm);
	assert_int_equal(rows_load(&rows, place->directory, &truncated, why, sizeof why), 0);
	rows_free(&rows);
	write_rows(place, tail);
	assert_int_equal(rows_load(&rows, place->directory, &truncated, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "rows.jsonl:4: "));
	assert_non_null(strstr(why, "line 1"));
	rows_free(&rows);
	free(tail);
	free(other_arm);
	free(twice);
}

static void rows_load_without_file_says_so(void **state)
{
	struct rows rows;
	bool truncated;
	char why[512] = "";

	(void)state;
	assert_int_equal(rows_load(&rows, "/nonexistent", &truncated, why, sizeof why), -ENOENT);
	assert_non_null(strstr(why, "/nonexistent"));
	rows_free(&rows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(record_formatted_comes_back_equal),
		cmocka_unit_test(record_without_claims_has_none),
		cmocka_unit_test(record_format_is_one_line),
		cmocka_unit_test(record_error_of_odd_bytes_is_still_json),
		cmocka_unit_test(record_of_infinite_sample_is_not_written),
		cmocka_unit_test(record_parse_of_wrong_fields_names_them),
		cmocka_unit_test(record_of_the_last_round_is_taken),
		cmocka_unit_test(record_median_of_samples_is_the_middle_one),
		cmocka_unit_test(cell_label_differs_when_cells_do),
		cmocka_unit_test_setup_teardown(rows_load_of_good_file_gives_all, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(rows_load_of_truncated_last_line_leaves_it_out,
						make_place, remove_place),
		cmocka_unit_test_setup_teardown(rows_load_of_garbage_names_the_line, make_place,
						remove_place),
		cmocka_unit_test_setup_teardown(rows_load_of_a_row_twice_names_the_second,
						make_place, remove_place),
		cmocka_unit_test(rows_load_without_file_says_so),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
