/*
 * report_method.c - how a section of the report was measured, and how noisy its run was.
 */
#include "harness/html.h"
#include "harness/probe.h"
#include "harness/report_parts.h"

#include <stdlib.h>
#include <string.h>

/* "3 batches of about 50 ms", or what the cells have between them. */
static void batches_text(const struct groups *groups, char *text, size_t size)
{
	const struct cell *first = groups->at[0].cell;
	int least = first->batches, most = least, used;
	int64_t shortest = first->batch_ns, longest = shortest;

	for (size_t i = 1; i < groups->count; i++) {
		const struct cell *cell = groups->at[i].cell;
		least = cell->batches < least ? cell->batches : least;
		most = cell->batches > most ? cell->batches : most;
		shortest = cell->batch_ns < shortest ? cell->batch_ns : shortest;
		longest = cell->batch_ns > longest ? cell->batch_ns : longest;
	}
	used = least < most ? snprintf(text, size, "%d to ", least) : 0;
	snprintf(text + used, size - (size_t)used, "%d batches of %sabout %.3g ms", most,
		 shortest < longest ? "at most " : "", (double)longest / 1e6);
}

static bool has_probe(const struct groups *groups, const char *probe)
{
	for (size_t i = 0; i < groups->count; i++)
		if (strcmp(groups->at[i].cell->probe, probe) == 0)
			return true;
	return false;
}

/* What stands in the tables: of a probe that looks at single calls, not the median of batches. */
static void write_value(FILE *file, const struct groups *groups)
{
	char batches[80];

	batches_text(groups, batches, sizeof batches);
	if (has_probe(groups, "latency"))
		fprintf(file, "Calls are told one by one, all of %s", batches);
	else if (has_probe(groups, "delivery"))
		fprintf(file, "When results came is a median over the calls (at most %d) of %s",
			PROBE_CALLS, batches);
	else
		fprintf(file, "A time is the median of %s", batches);
	fputs(" after one that is discarded; ", file);
	if (has_probe(groups, "memory"))
		fputs("memory is the most that was seen in a batch more; ", file);
}

void report_method(FILE *file, const struct report *report, const struct section *section,
		   const struct groups *groups)
{
	fprintf(file,
		"<p class=\"soft\">How it was measured: %zu cells, %s%d rounds in random order, "
		"each "
		"cell in a process of its own each time (%zu in all). ",
		groups->count, report_is_exploratory(report) ? "up to " : "",
		rows_last_round(&section->rows) + 1, section->rows.count);
	write_value(file, groups);
	fputs("points are medians over rounds with the order-statistic interval; every result was "
	      "checked.</p>\n",
	      file);
}

/* The median over cells of half the interval's width, relative to its middle: what a difference must exceed. */
static double typical_error(const struct rows *rows)
{
	struct groups groups;
	double error = 0;

	if (groups_make(&groups, rows) < 0)
		return 0;
	double *errors = calloc(groups.count + 1, sizeof *errors);
	size_t count = 0;
	for (size_t i = 0; errors && i < groups.count; i++) {
		struct interval ns = group_ns(&groups.at[i]);
		if (ns.level > 0 && ns.mid > 0)
			errors[count++] = (ns.high - ns.low) / 2 / ns.mid;
	}
	if (count)
		error = stats_median(errors, count);
	free(errors);
	groups_free(&groups);
	return error;
}

static double mean_error(const struct report *report)
{
	double sum = 0;
	size_t count = 0;

	for (size_t i = 0; i < report->sections; i++) {
		sum += typical_error(&report->section[i].rows) *
		       (double)report->section[i].rows.count;
		count += report->section[i].rows.count;
	}
	return count ? sum / (double)count : 0;
}

void report_noise(FILE *file, const struct report *report)
{
	double steal_ns = 0, error = mean_error(report);

	for (size_t i = 0; i < report->rows.count; i++) {
		const struct record *record = &report->rows.at[i];
		steal_ns += (double)record->steal_ns;
	}
	fputs("<h3>Noise</h3>\n<p>", file);
	if (error > 0)
		fprintf(file, "The %s of a typical cell is +-%.1f %% of its median. ",
			report_is_exploratory(report) ? "interval" : "95 % interval", 100 * error);
	else
		fputs("There are too few rounds for intervals. ", file);
	report_failed_html(file, report);
	fprintf(file,
		" While cells were timed the hypervisor took %.2f s from all CPUs "
		"together.</p>\n</section>\n",
		steal_ns / 1e9);
}
