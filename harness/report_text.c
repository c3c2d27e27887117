/*
 * report_text.c - RUN/summary.md and RUN/bars.md.
 */
#include "harness/html.h"
#include "harness/machine.h"
#include "harness/report_parts.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Was the table written by an experiment of this run, and not left by an earlier one? */
static bool has_table(const struct report *report, const char *table, const char *experiment)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < report->sections; i++)
		if (strcmp(experiment, report->section[i].experiment->name) == 0) {
			snprintf(path, sizeof path, "%s/tables/%s.tsv", report->run, table);
			return report->section[i].rows.count > 0 && access(path, R_OK) == 0;
		}
	return false;
}

bool report_has_choice(const struct report *report)
{
	return has_table(report, CHOICE, "real");
}

bool report_has_bars(const struct report *report)
{
	return has_table(report, BARS, "peers");
}

void report_origin(const struct report *report, char *text, size_t size)
{
	int used = snprintf(text, size, "%d rounds on ", rows_last_round(&report->rows) + 1);

	machine_line(json_object_get(report->info, "host"), text + used, size - (size_t)used);
}

size_t report_failed(const struct report *report)
{
	size_t count = 0;

	for (size_t i = 0; i < report->rows.count; i++)
		count += record_error(&report->rows.at[i]) != NULL;
	return count;
}

#define FAILED_LISTED 20

/* How many, and the first of them with their reasons. */
static void put_failed(FILE *file, const struct report *report)
{
	size_t failed = report_failed(report), listed = 0;
	char label[256];

	fprintf(file,
		"%zu of %zu invocations failed or gave a wrong result and were left out%s\n\n",
		failed, report->rows.count, failed ? ":" : ".");
	for (size_t i = 0; i < report->rows.count && listed < FAILED_LISTED; i++) {
		const struct record *record = &report->rows.at[i];
		const char *error = record_error(record);
		if (error == NULL)
			continue;
		cell_label(&record->cell, label, sizeof label);
		fprintf(file, "- %s: ", record->cell.experiment);
		markdown_text(file, label);
		fputs(": ", file);
		markdown_text(file, error);
		fputc('\n', file);
		listed++;
	}
	if (failed > listed)
		fprintf(file, "- and %zu more\n", failed - listed);
	if (failed > 0)
		fputc('\n', file);
}

int report_markdown(FILE *file, const struct report *report)
{
	char origin[256];

	report_origin(report, origin, sizeof origin);
	fputs("# Which process pool?\n\n", file);
	markdown_text(file, origin);
	fputs(".\n\n", file);
	put_failed(file, report);
	if (report_has_choice(report)) {
		int rc = markdown_table(file, report->run, CHOICE, 0);
		if (rc < 0)
			return rc;
		fputc('\n', file);
	}
	if (report_has_bars(report)) {
		int rc;
		fputs("## Which bars are met\n\n", file);
		rc = markdown_table(file, report->run, BARS, 0);
		if (rc < 0)
			return rc;
		fputc('\n', file);
	}
	for (size_t i = 0; i < report->sections; i++)
		fprintf(file, "## %s\n\n%s\n\n", report->section[i].experiment->title,
			report->section[i].finding);
	return 0;
}

int report_bars(FILE *file, const struct report *report)
{
	fputs("# Which bars are met\n\n", file);
	put_failed(file, report);
	return markdown_table(file, report->run, BARS, 0);
}
