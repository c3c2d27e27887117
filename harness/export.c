/*
 * export.c - `poolbench export RUN`: a run for other tools.
 */
#include "harness/export.h"
#include "harness/args.h"
#include "harness/commands.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct format {
	const char *name, *summary;
	json_t *(*build)(const struct export_data *data); /* NULL: csv */
};

static const struct format formats[] = {
	{ "gbench", "Google Benchmark JSON: a row a round, ns; read by its tools/compare.py",
	  export_gbench },
	{ "hyperfine", "hyperfine's --export-json: a result a cell, seconds a call",
	  export_hyperfine },
	{ "github-action-benchmark", "a list for its tool customSmallerIsBetter, ns/task",
	  export_github },
	{ "bencher", "Bencher Metric Format: latency with its 95 % interval, ns", export_bencher },
	{ "csv", "one line an invocation, failed ones too, with every plain field (RFC 4180)",
	  NULL },
};
#define FORMATS (sizeof formats / sizeof formats[0])

struct wish {
	const char *run, *out;
	const struct format *format;
	bool help;
};

/*
 * == Arguments ==
 */

static void print_help(void)
{
	puts("Usage: poolbench export RUN --format FORMAT [--out FILE]\n"
	     "\n"
	     "Writes what a run measured in the format of another tool, to stdout or to FILE.\n");
	for (size_t i = 0; i < FORMATS; i++)
		printf("  %-24s  %s\n", formats[i].name, formats[i].summary);
	puts("\n"
	     "Rows that failed are left out except from csv. A value is the median of an "
	     "invocation's\n"
	     "batches, time per task (open: per worker). JSON is strict: no NaN, decimal points "
	     "always.\n"
	     "Exit status: 0 fine, 2 bad arguments or no readable run, 3 the run has no good row, "
	     "4 not\n"
	     "all could be written.");
}

static int read_format(const char *name, const struct format **format)
{
	for (size_t i = 0; i < FORMATS; i++)
		if (strcmp(formats[i].name, name) == 0) {
			*format = &formats[i];
			return 0;
		}
	fprintf(stderr, "poolbench: unknown format '%s'; known:", name);
	for (size_t i = 0; i < FORMATS; i++)
		fprintf(stderr, " %s", formats[i].name);
	fputc('\n', stderr);
	return -EINVAL;
}

static int read_wish(struct wish *wish, int argc, char **argv)
{
	static const struct option options[] = { { "format", required_argument, NULL, 'f' },
						 { "out", required_argument, NULL, 'o' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	int id;

	*wish = (struct wish){ 0 };
	optind = 0;
	while ((id = args_option(argc, argv, "h", options)) != -1) {
		if (id == '?' || (id == 'f' && read_format(optarg, &wish->format) < 0))
			return -EINVAL;
		wish->help |= id == 'h';
		if (id == 'o' && args_text("--out", optarg, &wish->out) < 0)
			return -EINVAL;
	}
	if (wish->help)
		return 0;
	wish->run = argc - optind == 1 ? argv[optind] : NULL;
	if (wish->run != NULL && wish->format != NULL)
		return 0;
	fprintf(stderr, "poolbench: export wants %s, see `poolbench export --help`\n",
		wish->run == NULL ? "one run directory" : "--format");
	return -EINVAL;
}

/*
 * == Series ==
 */

static void name_series(const struct record *row, char *name, size_t size)
{
	char label[256];

	cell_label(&row->cell, label, sizeof label);
	snprintf(name, size, "%s%s%s%s%s", row->cell.experiment, row->cell.experiment[0] ? "/" : "",
		 label, row->arm[0] ? " arm=" : "", row->arm);
}

static int compare_rows(const void *left, const void *right)
{
	const struct record *a = *(const struct record *const *)left;
	const struct record *b = *(const struct record *const *)right;
	char of_a[384], of_b[384];
	int order;

	name_series(a, of_a, sizeof of_a);
	name_series(b, of_b, sizeof of_b);
	order = strcmp(of_a, of_b);
	return order ? order : (a->round > b->round) - (a->round < b->round);
}

/* `order` has room for all rows; how many series there are, each at series[i]. */
static size_t make_series(const struct rows *rows, const struct record **order,
			  struct export_series *series)
{
	size_t good = 0, count = 0;

	for (size_t i = 0; i < rows->count; i++)
		if (rows->at[i].verified && record_median(&rows->at[i]) > 0)
			order[good++] = &rows->at[i];
	qsort(order, good, sizeof *order, compare_rows);
	for (size_t i = 0; i < good; i++) {
		char name[sizeof series->name];
		name_series(order[i], name, sizeof name);
		if (count == 0 || strcmp(series[count - 1].name, name) != 0) {
			series[count] = (struct export_series){ .at = &order[i] };
			memcpy(series[count++].name, name, sizeof name);
		}
		series[count - 1].count++;
	}
	return count;
}

/*
 * == Writing ==
 */

static int put(const struct format *format, const struct export_data *data, FILE *file)
{
	json_t *value;

	if (format->build == NULL)
		return export_csv(data, file);
	value = format->build(data);
	if (value == NULL)
		return -ENOMEM;
	json_dumpf(value, file, JSON_INDENT(1));
	fputc('\n', file);
	json_decref(value);
	return 0;
}

/* One that is there already stays as it was until the new one is whole. What is no file (a pipe, /dev/stdout) is written to. */
static FILE *open_out(const char *out, char fresh[PATH_MAX])
{
	struct stat about;
	bool is_draft = lstat(out, &about) < 0 || S_ISREG(about.st_mode);
	int size = snprintf(fresh, PATH_MAX, "%s%s", out, is_draft ? ".new" : "");
	FILE *file;

	if (size < 0 || size >= PATH_MAX) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	file = fopen(fresh, "we");
	if (!is_draft)
		fresh[0] = '\0';
	return file;
}

/* fresh "": it is in its place already. 0 or -errno. */
static int close_out(FILE *file, const char *fresh, const char *out, int rc)
{
	if (fclose(file) != 0 && rc == 0)
		rc = -errno;
	if (rc == 0 && fresh[0] && rename(fresh, out) < 0)
		rc = -errno;
	if (rc < 0 && fresh[0])
		unlink(fresh);
	return rc;
}

static int write_out(const struct wish *wish, const struct export_data *data)
{
	char fresh[PATH_MAX];
	FILE *file = wish->out ? open_out(wish->out, fresh) : stdout;
	const char *name = wish->out ? wish->out : "stdout";
	int rc;

	if (file == NULL) {
		fprintf(stderr, "poolbench: %s: cannot write this file: %s\n", name,
			strerror(errno));
		return EXIT_UNFIT;
	}
	rc = put(wish->format, data, file);
	errno = 0;
	if (fflush(file) != 0 || ferror(file))
		rc = errno ? -errno : -EIO;
	if (wish->out)
		rc = close_out(file, fresh, wish->out, rc);
	if (rc == 0)
		return EXIT_FINE;
	fprintf(stderr, "poolbench: %s: not all was written: %s\n", name, strerror(-rc));
	return EXIT_UNFIT;
}

/* NULL where there is no run.json; one that is broken is refused by *rc. */
static json_t *load_info(const char *run, int *rc)
{
	char path[4096];
	json_error_t error;
	json_t *info;

	snprintf(path, sizeof path, "%s/run.json", run);
	info = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	*rc = info != NULL || error.line < 0 ? 0 : -EINVAL;
	if (*rc < 0)
		fprintf(stderr, "poolbench: %s: line %d: %s\n", path, error.line, error.text);
	return info;
}

static int export_rows(const struct wish *wish, const struct rows *rows, const json_t *info)
{
	const struct record **order = calloc(rows->count + 1, sizeof *order);
	struct export_series *series = calloc(rows->count + 1, sizeof *series);
	struct export_data data = { .rows = rows, .info = info, .series = series };
	int status = EXIT_UNFIT;

	if (order == NULL || series == NULL) {
		fprintf(stderr, "poolbench: no memory\n");
		goto done;
	}
	data.count = make_series(rows, order, series);
	status = EXIT_INCONCLUSIVE;
	if (data.count == 0 && (wish->format->build != NULL || rows->count == 0))
		fprintf(stderr, "poolbench: %s: has no good row to export\n", wish->run);
	else
		status = write_out(wish, &data);
done:
	free(order);
	free(series);
	return status;
}

static int export_run(const struct wish *wish)
{
	struct rows rows;
	char why[512];
	bool truncated;
	json_t *info;
	int rc = rows_load(&rows, wish->run, &truncated, why, sizeof why), status = EXIT_USAGE;

	if (rc < 0) {
		fprintf(stderr, "poolbench: %s\n", why);
		rows_free(&rows);
		return exit_of(rc);
	}
	if (truncated)
		fprintf(stderr, "poolbench: %s: the last row is cut short and left out\n",
			wish->run);
	info = load_info(wish->run, &rc);
	if (rc == 0)
		status = export_rows(wish, &rows, info);
	json_decref(info);
	rows_free(&rows);
	return status;
}

int export_main(int argc, char **argv)
{
	struct wish wish;

	if (read_wish(&wish, argc, argv) < 0)
		return EXIT_USAGE;
	if (wish.help) {
		print_help();
		return EXIT_FINE;
	}
	return export_run(&wish);
}
