/*
 * export_json.c - Google Benchmark, hyperfine, github-action-benchmark, Bencher.
 *
 * DESIGN. What each of them must contain is taken from the formats' documentation and from what their own tools read:
 * Google Benchmark's tools/compare.py pairs rows by name and takes each row's real_time and cpu_time; hyperfine's
 * scripts read command, times, mean, stddev, median and parameters. A round's value is the median of its batches, the same
 * as everywhere in poolbench; nothing is averaged away that the other tool could look at itself.
 */
#include "harness/export.h"
#include "harness/series.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* What an iteration is in a cell: a task; a worker that is started and ended, where the call is "open". */
static bool is_open(const struct record *row)
{
	return strcmp(row->cell.variant, "open") == 0;
}

static double per_call(const struct record *row)
{
	return is_open(row) ? row->cell.workers : (double)row->cell.tasks;
}

static double iterations(const struct record *row)
{
	double count = (double)row->calls * per_call(row);

	return count > 1 ? count : 1;
}

/* Of numbers that a row may have from anywhere: JSON has whole numbers up to 2^63. */
static json_int_t whole(double x)
{
	return x < 9e18 ? (json_int_t)x : (json_int_t)9e18;
}

static struct interval series_ns(const struct export_series *series)
{
	double ns[PAIRS_MAX];
	size_t n = series->count < PAIRS_MAX ? series->count : PAIRS_MAX;

	for (size_t i = 0; i < n; i++)
		ns[i] = record_median(series->at[i]);
	return stats_median_interval(ns, n, CONFIDENCE);
}

/*
 * == Google Benchmark ==
 */

/* Parent and workers. Where the kernel counted nothing it was less than what it counts: 1 ns stands for that, because
 * readers divide by it. */
static double cpu_ns(const struct record *row)
{
	double used = (double)(row->user_ns + row->system_ns);

	return (used > 1 ? used : 1) / iterations(row);
}

static json_t *gbench_row(const struct export_series *series, size_t family, size_t i)
{
	const struct record *row = series->at[i];

	return json_pack("{ss sI sI ss ss sI sI sI sI sf sf ss}", "name", series->name,
			 "family_index", (json_int_t)family, "per_family_instance_index",
			 (json_int_t)0, "run_name", series->name, "run_type", "iteration",
			 "repetitions", (json_int_t)series->count, "repetition_index",
			 (json_int_t)i, "threads", (json_int_t)row->cell.workers, "iterations",
			 whole(iterations(row)), "real_time", record_median(row), "cpu_time",
			 cpu_ns(row), "time_unit", "ns");
}

static void iso_date(json_int_t seconds, char *text, size_t size)
{
	time_t time = (time_t)seconds;
	struct tm utc;

	if (gmtime_r(&time, &utc) == NULL ||
	    strftime(text, size, "%Y-%m-%dT%H:%M:%S+00:00", &utc) == 0)
		text[0] = '\0';
}

/* The names are Google Benchmark's. The host's name is nobody's business; what the run did not record is 0 or empty,
 * as there. */
static json_t *gbench_context(const json_t *info)
{
	const json_t *host = json_object_get(info, "host");
	const char *governor = json_string_value(json_object_get(host, "governor"));
	json_t *caches = json_deep_copy(json_object_get(host, "caches"));
	char date[40];

	iso_date(json_integer_value(json_object_get(info, "started_s")), date, sizeof date);
	return json_pack("{ss ss ss sI sI sb so s[f] ss}", "date", date, "host_name", "poolbench",
			 "executable", "poolbench", "num_cpus",
			 json_integer_value(json_object_get(host, "cpus_online")), "mhz_per_cpu",
			 whole(fmax(json_number_value(json_object_get(host, "cpu_mhz")), 0)),
			 "cpu_scaling_enabled", governor && strcmp(governor, "performance") != 0,
			 "caches", caches ? caches : json_array(), "load_avg",
			 json_number_value(json_object_get(host, "load_1min")),
			 "library_build_type", "release");
}

json_t *export_gbench(const struct export_data *data)
{
	json_t *rows = json_array();

	for (size_t k = 0; k < data->count; k++)
		for (size_t i = 0; i < data->series[k].count; i++)
			if (json_array_append_new(rows, gbench_row(&data->series[k], k, i)) < 0)
				goto err_free_rows;
	return json_pack("{so so}", "context", gbench_context(data->info), "benchmarks", rows);

err_free_rows:
	json_decref(rows);
	return NULL;
}

/*
 * == hyperfine ==
 */

static double mean(const double *x, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += x[i];
	return sum / (double)n;
}

/* Of the sample; hyperfine writes null for a single run. */
static json_t *deviation(const double *x, size_t n)
{
	double squares = 0;

	if (n < 2)
		return json_null();
	const double middle = mean(x, n);
	for (size_t i = 0; i < n; i++)
		squares += (x[i] - middle) * (x[i] - middle);
	return json_real(sqrt(squares / (double)(n - 1)));
}

static double extreme(const double *x, size_t n, double sign)
{
	double best = x[0];

	for (size_t i = 1; i < n; i++)
		if (sign * x[i] > sign * best)
			best = x[i];
	return best;
}

static json_t *numbers(const double *x, size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		if (json_array_append_new(array, json_real(x[i])) < 0) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *zeroes(size_t n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, json_integer(0));
	return array;
}

/* A "command" is one call of the cell; seconds. */
static json_t *hyperfine_result(const struct export_series *series)
{
	double s[PAIRS_MAX] = { 0 }, user = 0, kernel = 0;
	size_t n = series->count < PAIRS_MAX ? series->count : PAIRS_MAX;

	for (size_t i = 0; i < n; i++) {
		const struct record *row = series->at[i];
		double calls = iterations(row) / per_call(row) * 1e9 * (double)n;
		s[i] = record_median(row) * per_call(row) / 1e9;
		user += (double)row->user_ns / calls;
		kernel += (double)row->system_ns / calls;
	}
	return json_pack("{ss sf so sf sf sf sf sf so so}", "command", series->name, "mean",
			 mean(s, n), "stddev", deviation(s, n), "median", stats_median(s, n),
			 "user", user, "system", kernel, "min", extreme(s, n, -1), "max",
			 extreme(s, n, 1), "times", numbers(s, n), "exit_codes", zeroes(n));
}

json_t *export_hyperfine(const struct export_data *data)
{
	json_t *results = json_array();

	for (size_t k = 0; k < data->count; k++)
		if (json_array_append_new(results, hyperfine_result(&data->series[k])) < 0) {
			json_decref(results);
			return NULL;
		}
	return json_pack("{so}", "results", results);
}

/*
 * == github-action-benchmark (tool: customSmallerIsBetter) ==
 */

/* %g in the C locale, whatever the user's: jansson writes numbers so. */
static void number_text(double value, char *text, size_t size)
{
	json_t *number = json_real(value);
	size_t length = number ? json_dumpb(number, text, size - 1,
					    JSON_ENCODE_ANY | JSON_REAL_PRECISION(4))
			       : 0;

	text[length < size ? length : 0] = '\0';
	json_decref(number);
}

static json_t *github_entry(const struct export_series *series)
{
	struct interval ns = series_ns(series);
	char low[32], high[32], wide[32], range[48] = "unknown", extra[160];

	if (ns.level > 0) {
		number_text(ns.low, low, sizeof low);
		number_text(ns.high, high, sizeof high);
		number_text((ns.high - ns.low) / 2, wide, sizeof wide);
		snprintf(range, sizeof range, "\u00b1 %s", wide);
		snprintf(extra, sizeof extra, "rounds: %zu\n95 %% interval of the median: %s to %s",
			 series->count, low, high);
	} else {
		snprintf(extra, sizeof extra, "rounds: %zu, too few for an interval",
			 series->count);
	}
	return json_pack("{ss ss sf ss ss}", "name", series->name, "unit",
			 is_open(series->at[0]) ? "ns/worker" : "ns/task", "value", ns.mid, "range",
			 range, "extra", extra);
}

json_t *export_github(const struct export_data *data)
{
	json_t *list = json_array();

	for (size_t k = 0; k < data->count; k++)
		if (json_array_append_new(list, github_entry(&data->series[k])) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

/*
 * == Bencher Metric Format ==
 */

json_t *export_bencher(const struct export_data *data)
{
	json_t *all = json_object();

	for (size_t k = 0; k < data->count; k++) {
		struct interval ns = series_ns(&data->series[k]);
		json_t *metric = ns.level > 0
					 ? json_pack("{sf sf sf}", "value", ns.mid, "lower_value",
						     ns.low, "upper_value", ns.high)
					 : json_pack("{sf}", "value", ns.mid);
		if (json_object_set_new(all, data->series[k].name,
					json_pack("{so}", "latency", metric)) < 0) {
			json_decref(all);
			return NULL;
		}
	}
	return all;
}
