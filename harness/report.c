/*
 * report.c - RUN/report.html and RUN/summary.md.
 *
 * DESIGN. The tables are derived and the figures drawn anew, so that the page and the rows never disagree. The page
 * needs no network: figures are inline. Every sentence about the data comes from an experiment's finding or is computed
 * here; nothing from rows or run.json reaches the page unescaped. Both files are written under another name first:
 * a report is whole or the old one stays.
 */
#include "harness/report.h"
#include "harness/commands.h"
#include "harness/html.h"
#include "harness/machine.h"
#include "harness/report_parts.h"
#include "harness/series.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "poolbench report: %s: %s\n", what, why);
	return EXIT_USAGE;
}

/* rc: -errno. */
static int complain_of(const char *what, int rc)
{
	complain(what, strerror(-rc));
	return exit_of(rc);
}

/* Nothing of it was measured: that is what was found. */
static int add_failed(struct report *report, const struct experiment *experiment)
{
	struct section *section = &report->section[report->sections];
	struct rows failed;

	if (experiment_failed(experiment, &report->rows, &failed) < 0)
		return complain_of(report->run, -ENOMEM);
	if (failed.count > 0) {
		snprintf(section->finding, sizeof section->finding,
			 "Nothing was measured: all of %zu invocations failed, the first with: %s.",
			 failed.count, record_error(&failed.at[0]));
		section->experiment = experiment;
		report->sections++;
	}
	rows_free(&failed);
	return 0;
}

static int add_section(struct report *report, const struct experiment *experiment)
{
	struct section *section = &report->section[report->sections];
	int rc = plot_experiment("report", report->run, &report->rows, experiment, section->finding,
				 &section->drawing);

	if (rc != 0)
		return rc;
	if (section->drawing == NO_ROWS)
		return add_failed(report, experiment);
	if (report_is_exploratory(report))
		snprintf(section->finding, sizeof section->finding, "None: exploratory.");
	if (experiment_rows(experiment, &report->rows, &section->rows) < 0)
		return complain_of(report->run, -ENOMEM);
	section->experiment = experiment;
	report->sections++;
	return 0;
}

/* The last part of the path: where it lies on this machine is nobody's business. */
static void write_name(FILE *file, const char *run)
{
	char path[PATH_MAX];
	const char *slash = realpath(run, path) ? strrchr(path, '/') : NULL;

	html_text(file, slash && slash[1] ? slash + 1 : run);
}

static void write_summary(FILE *file, const struct report *report)
{
	char origin[256], state[256];

	fputs("<h1>Which process pool?</h1>\n<p class=\"soft\">poolbench, run ", file);
	write_name(file, report->run);
	fputs(": ", file);
	report_origin(report, origin, sizeof origin);
	html_text(file, origin);
	fputs("</p>\n", file);
	report_state(report, state, sizeof state);
	if (state[0])
		fprintf(file, "<p><strong>%s</strong></p>\n", state);
	if (report_has_choice(report)) {
		fputs("<h3>What to take for which work</h3>\n", file);
		html_table(file, report->run, CHOICE, "95 %");
		fputs("<p class=\"soft\">Speedup over the plain serial loop with its 95 % "
		      "interval, the pool being open already; &#8220;as good&#8221;: pools not "
		      "certainly slower than that one in the same rounds.</p>\n",
		      file);
	}
	if (report_has_bars(report)) {
		fputs("<h3>Which bars are met</h3>\n", file);
		html_table(file, report->run, BARS, "95 %");
		fputs("<p class=\"soft\">Ratios are taken within rounds; a verdict needs the "
		      "whole 95 % interval on one side of what is wanted, otherwise it is "
		      "undecided. &#8220;A limit&#8221; wants nothing: it tells what takes that "
		      "long whatever the pool does otherwise.</p>\n",
		      file);
	}
	fputs("<h3>What was found</h3>\n<ul>\n", file);
	for (size_t i = 0; i < report->sections; i++) {
		fprintf(file, "<li><a href=\"#%s\">", report->section[i].experiment->name);
		html_text(file, report->section[i].experiment->title);
		fputs("</a>: ", file);
		html_text(file, report->section[i].finding);
		fputs("</li>\n", file);
	}
	fputs("</ul>\n", file);
}

/* `file` is the name of a file. */
static void write_table(FILE *out, const struct report *report, const char *file)
{
	size_t size = strlen(file), suffix = strlen(".tsv");
	char name[64];

	if (size <= suffix || size - suffix >= sizeof name ||
	    strcmp(file + size - suffix, ".tsv") != 0)
		return;
	snprintf(name, sizeof name, "%.*s", (int)(size - suffix), file);
	if (report_is_exploratory(report) && strcmp(name, CHOICE) == 0)
		return; /* it is verdicts */
	fputs("<h3>tables/", out);
	html_text(out, file);
	fputs("</h3>\n", out);
	html_table(out, report->run, name, report_interval(report));
}

/* A table's name is that of its file; those of an experiment are its name, and whatever begins with it and a hyphen. */
static void write_tables(FILE *file, const struct report *report, const char *experiment)
{
	char tables[PATH_MAX], first[64], others[64];
	struct dirent **entry = NULL;
	int count;

	fputs("<details><summary>The numbers</summary>\n", file);
	snprintf(tables, sizeof tables, "%s/tables", report->run);
	snprintf(first, sizeof first, "%s.tsv", experiment);
	snprintf(others, sizeof others, "%s-", experiment);
	count = scandir(tables, &entry, NULL, alphasort);
	for (int i = 0; i < count; i++)
		if (strcmp(entry[i]->d_name, first) == 0)
			write_table(file, report, first);
	for (int i = 0; i < count; i++) {
		if (strncmp(entry[i]->d_name, others, strlen(others)) == 0)
			write_table(file, report, entry[i]->d_name);
		free(entry[i]);
	}
	free(entry);
	if (strcmp(experiment, "peers") == 0 && report_has_bars(report)) {
		fputs("<h3>tables/bars-all.tsv</h3>\n", file);
		html_table(file, report->run, "bars-all", "95 %");
	}
	fputs("</details>\n", file);
}

/* Inline, or a sentence in its place. */
static int write_figures(FILE *file, const struct report *report, const struct section *section)
{
	const char *why = section->drawing == BADLY ? "is missing: it could not be drawn."
						    : "is left out: the rows have no point for it.";
	size_t i = 0;
	char name[64];
	int rc = 0;

	for (; rc == 0 && plot_figure(section->experiment, i, name) == 0; i++)
		if (plot_exists(report->run, name))
			rc = html_figure(file, report->run, name, section->experiment->title);
		else
			fprintf(file, "<p class=\"soft\">The figure &#8220;%s&#8221; %s</p>\n",
				name, why);
	if (i == 0)
		fputs("<p class=\"soft\">The figures are missing: what draws them was not "
		      "found.</p>\n",
		      file);
	return rc;
}

static int write_section(FILE *file, const struct report *report, const struct section *section)
{
	const struct experiment *experiment = section->experiment;
	struct groups groups;
	const bool measured = section->rows.count > 0;
	int rc = groups_make(&groups, &section->rows);

	if (rc < 0)
		return rc;
	fprintf(file, "<section id=\"%s\">\n<h2>", experiment->name);
	html_text(file, experiment->title);
	fputs("</h2>\n<p class=\"claim\">", file);
	html_text(file, experiment->claim);
	fputs("</p>\n", file);
	if (measured)
		rc = write_figures(file, report, section);
	fputs("<p class=\"finding\">", file);
	html_text(file, section->finding);
	fputs("</p>\n", file);
	if (measured) {
		fputs("<p class=\"soft\">How to read it: ", file);
		html_text(file, experiment->reading);
		fputs("</p>\n", file);
		report_method(file, report, section, &groups);
		write_tables(file, report, experiment->name);
	}
	fputs("</section>\n", file);
	groups_free(&groups);
	return rc;
}

static void write_machine(FILE *file, const struct report *report)
{
	fputs("<section id=\"machine\"><h2>The machine</h2>\n", file);
	if (report->info)
		machine_table(file, json_object_get(report->info, "host"));
	else
		fputs("<p>The run has no run.json: the machine is not known.</p>\n", file);
}

static int write_page(FILE *file, const struct report *report)
{
	int rc = 0;

	html_head(file, "poolbench report");
	write_summary(file, report);
	for (size_t i = 0; rc == 0 && i < report->sections; i++)
		rc = write_section(file, report, &report->section[i]);
	write_machine(file, report);
	report_noise(file, report);
	fputs("</main>\n</body>\n</html>\n", file);
	return rc;
}

/* Writes RUN/<name> through RUN/<name>.new. 0, or an exit status after one line. */
static int write_file(const struct report *report, const char *name,
		      int (*writer)(FILE *file, const struct report *report))
{
	char path[PATH_MAX], fresh[PATH_MAX + 8];
	int size = snprintf(path, sizeof path, "%s/%s", report->run, name);

	if (size < 0 || (size_t)size >= sizeof path)
		return complain(name, strerror(ENAMETOOLONG));
	snprintf(fresh, sizeof fresh, "%s.new", path);
	FILE *file = fopen(fresh, "we");
	if (!file)
		return complain_of(fresh, -errno);
	int rc = writer(file, report), closed = table_close(file);
	if (rc == 0)
		rc = closed;
	if (rc == 0 && rename(fresh, path) < 0)
		rc = -errno;
	if (rc == 0)
		return 0;
	unlink(fresh);
	return complain_of(path, rc);
}

static int load_info(struct report *report)
{
	char path[PATH_MAX], why[JSON_ERROR_TEXT_LENGTH + 24];
	json_error_t error;

	snprintf(path, sizeof path, "%s/run.json", report->run);
	if (access(path, F_OK) < 0)
		return 0;
	report->info = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	if (report->info)
		return 0;
	snprintf(why, sizeof why, "line %d: %s", error.line, error.text);
	return complain(path, error.line < 0 ? error.text : why);
}

static bool any_measured(const struct report *report)
{
	for (size_t i = 0; i < report->sections; i++)
		if (report->section[i].rows.count > 0)
			return true;
	return false;
}

static int make_report(struct report *report)
{
	const struct experiment *experiment;
	int rc = plot_rows("report", report->run, &report->rows);

	if (rc == 0)
		rc = load_info(report);
	for (unsigned i = 0; rc == 0 && (experiment = experiment_at(i)) != NULL; i++)
		rc = add_section(report, experiment);
	if (rc == 0 && !any_measured(report))
		rc = complain(report->run, PLOT_NO_ROW_COUNTS);
	if (rc == 0)
		rc = write_file(report, "summary.md", report_markdown);
	if (rc == 0 && report_has_bars(report))
		rc = write_file(report, "bars.md", report_bars);
	if (rc == 0)
		rc = write_file(report, "report.html", write_page);
	if (rc == 0)
		printf("%s/report.html\n%s/summary.md\n", report->run, report->run);
	for (size_t i = 0; i < report->sections; i++)
		if (rc == 0 && report->section[i].drawing == BADLY)
			rc = EXIT_USAGE;
	return rc;
}

static void free_report(struct report *report)
{
	for (size_t i = 0; i < report->sections; i++)
		rows_free(&report->section[i].rows);
	json_decref(report->info);
	rows_free(&report->rows);
	free(report);
}

int report_main(int argc, char **argv)
{
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs("Usage: poolbench report RUN\n"
		      "\n"
		      "Derives the tables and draws the figures of a run, then writes "
		      "RUN/report.html (one page that\n"
		      "needs nothing else) and RUN/summary.md. Prints both names. A session of two "
		      "programs is\n"
		      "refused: see `poolbench compare DIR`.\n"
		      "\n"
		      "A figure that cannot be drawn is missing on the page, which says so.\n"
		      "\n"
		      "Exit status: 0 fine, 2 the run cannot be read, or a figure not be drawn, 4 "
		      "the disk is full "
		      "or\nthere is no memory.\n",
		      stdout);
		return EXIT_FINE;
	}
	if (argc != 2 || argv[1][0] == '-')
		return complain(argc < 2 ? "RUN" : argv[argc - 1],
				"one run's directory is wanted; see --help");
	struct report *report = calloc(1, sizeof *report);
	if (!report)
		return complain_of(argv[1], -ENOMEM);
	report->run = argv[1];
	int rc = make_report(report);
	free_report(report);
	return rc;
}
