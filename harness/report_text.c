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

static const json_t *plan_of(const struct report *report)
{
	return json_object_get(report->info, "plan");
}

bool report_is_exploratory(const struct report *report)
{
	return json_number_value(json_object_get(plan_of(report), "precision")) > 0;
}

const char *report_interval(const struct report *report)
{
	return report_is_exploratory(report) ? "interval" : "95 %";
}

bool report_has_choice(const struct report *report)
{
	return !report_is_exploratory(report) && has_table(report, CHOICE, "real");
}

bool report_has_bars(const struct report *report)
{
	return !report_is_exploratory(report) && has_table(report, BARS, "peers");
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

/* Invocations of the plan's first `rounds` rounds: a cell that failed once is not measured again. 0: not known. */
static size_t count_planned(const struct report *report, int rounds)
{
	json_int_t planned =
		rounds * (json_int_t)json_array_size(json_object_get(plan_of(report), "cells"));

	for (size_t i = 0; i < report->rows.count; i++)
		if (!report->rows.at[i].verified)
			planned -= rounds - 1 - report->rows.at[i].round;
	return planned > 0 ? (size_t)planned : 0;
}

void report_state(const struct report *report, char *text, size_t size)
{
	const int rounds = (int)json_integer_value(json_object_get(plan_of(report), "rounds"));
	const int begun = rows_last_round(&report->rows) + 1;
	const size_t planned = count_planned(report, rounds);

	text[0] = '\0';
	if (report_is_exploratory(report))
		snprintf(text, size,
			 "This run is exploratory: each cell was measured until its interval was "
			 "narrow, so intervals are not 95 %% ones, and there are no findings and "
			 "verdicts.");
	else if (report->rows.count >= planned)
		return;
	else if (report->rows.count == count_planned(report, begun))
		snprintf(text, size,
			 "This run has %d whole rounds of the %d planned: no time was left for "
			 "more, or it was "
			 "interrupted.",
			 begun, rounds);
	else
		snprintf(text, size,
			 "This run is incomplete: it was interrupted. %zu of %zu planned "
			 "invocations are there.",
			 report->rows.count, planned);
}

#define FAILED_LISTED 20

/* How a list is written. */
struct list_style {
	void (*text)(FILE *file, const char *text);
	const char *begin, *item, *item_end, *end;
};

/* How many, and the first of them with their reasons. */
static void list_failed(FILE *file, const struct report *report, const struct list_style *style)
{
	size_t failed = report_failed(report), listed = 0;
	char label[256];

	fprintf(file, "%zu of %zu invocations failed or gave a wrong result and were left out%s",
		failed, report->rows.count, failed ? ":" : ".");
	if (failed == 0)
		return;
	fputs(style->begin, file);
	for (size_t i = 0; i < report->rows.count && listed < FAILED_LISTED; i++) {
		const struct record *record = &report->rows.at[i];
		const char *error = record_error(record);
		if (error == NULL)
			continue;
		cell_label(&record->cell, label, sizeof label);
		fputs(style->item, file);
		style->text(file, record->cell.experiment);
		fputs(": ", file);
		style->text(file, label);
		fputs(": ", file);
		style->text(file, error);
		fputs(style->item_end, file);
		listed++;
	}
	if (failed > listed)
		fprintf(file, "%sand %zu more%s", style->item, failed - listed, style->item_end);
	fputs(style->end, file);
}

static void put_failed(FILE *file, const struct report *report)
{
	static const struct list_style style = { markdown_text, "\n\n", "- ", "\n", "" };

	list_failed(file, report, &style);
	fputs(report_failed(report) ? "\n" : "\n\n", file);
}

void report_failed_html(FILE *file, const struct report *report)
{
	static const struct list_style style = { html_text, "</p>\n<ul>\n", "<li>", "</li>\n",
						 "</ul>\n<p>" };

	list_failed(file, report, &style);
}

int report_markdown(FILE *file, const struct report *report)
{
	char origin[256], state[256];

	report_origin(report, origin, sizeof origin);
	report_state(report, state, sizeof state);
	fputs("# Which process pool?\n\n", file);
	markdown_text(file, origin);
	fputs(".\n\n", file);
	if (state[0])
		fprintf(file, "**%s**\n\n", state);
	put_failed(file, report);
	if (report_has_choice(report)) {
		int rc = markdown_table(file, report->run, CHOICE);
		if (rc < 0)
			return rc;
		fputc('\n', file);
	}
	if (report_has_bars(report)) {
		int rc;
		fputs("## Which bars are met\n\n", file);
		rc = markdown_table(file, report->run, BARS);
		if (rc < 0)
			return rc;
		fputc('\n', file);
	}
	for (size_t i = 0; i < report->sections; i++) {
		fprintf(file, "## %s\n\n", report->section[i].experiment->title);
		markdown_text(file, report->section[i].finding);
		fputs("\n\n", file);
	}
	return 0;
}

int report_bars(FILE *file, const struct report *report)
{
	fputs("# Which bars are met\n\n", file);
	put_failed(file, report);
	return markdown_table(file, report->run, BARS);
}
