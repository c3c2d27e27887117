/*
 * doctor.c - `poolbench doctor`: which conclusions this machine can support today.
 */
#include "harness/doctor.h"
#include "harness/args.h"
#include "harness/commands.h"
#include "harness/host.h"
#include "harness/series.h"

#include <getopt.h>
#include <stdarg.h>
#include <string.h>

static const char help[] =
	"Usage: poolbench doctor [--json]\n"
	"\n"
	"Looks at the machine and tries it for some ten seconds; changes nothing. One line each "
	"for\n"
	"CPUs, quota, governor, virtualisation, clock, load, huge pages, what others and the\n"
	"hypervisor take now, how a busy process is stopped, what a wake-up costs, and the "
	"smallest\n"
	"effect a default run could see; each is `fine` or `mind this` with the reason. The last "
	"line\n"
	"says what the machine can support.\n"
	"\n"
	"  --json   one JSON object: host (as in run.json), measured, lines, fit, conclusion\n"
	"\n"
	"Unfit is a machine that gives more than half of its CPU time to others while we try, or "
	"on\n"
	"which not even a change by half would be seen in 12 rounds.\n"
	"Exit status: 0 fit, 2 bad arguments, 4 unfit, or nothing could be measured.\n";

void checkup_note(struct checkup *c, const char *name, const char *why, const char *format, ...)
{
	struct checkup_line *line = &c->line[c->lines];
	va_list args;

	if (c->lines == CHECKUP_LINES)
		return;
	line->name = name;
	line->why = why;
	va_start(args, format);
	vsnprintf(line->value, sizeof line->value, format, args);
	va_end(args);
	c->lines++;
}

static void conclude(const struct checkup *c, char *text, size_t size)
{
	char wake[24], stopped[24];
	size_t used;

	if (c->unfit) {
		snprintf(text, size, "Nothing should be concluded here now: %s.", c->unfit);
		return;
	}
	used = (size_t)snprintf(text, size,
				"A default run can tell differences of %.1f %% and more in a cell",
				100 * c->effect);
	if (c->cpus > 1)
		used += (size_t)snprintf(text + used, size - used, ", speedup up to %d workers",
					 c->cpus);
	else
		used += (size_t)snprintf(text + used, size - used, ", overhead but no speedup");
	if (c->wake_ns > 0)
		used += (size_t)snprintf(text + used, size - used, ", latency above a wake-up's %s",
					 time_text(c->wake_ns, wake));
	if (c->stopped_ns > 0)
		used += (size_t)snprintf(text + used, size - used,
					 " and at p99.9 above the machine's own %s",
					 time_text(c->stopped_ns, stopped));
	snprintf(text + used, size - used, ".");
}

static void print_table(const struct checkup *c, const char *conclusion)
{
	for (size_t i = 0; i < c->lines; i++) {
		const struct checkup_line *line = &c->line[i];
		printf("%-28s  %-10s  %s\n", line->name, line->why ? "mind this" : "fine",
		       line->value);
		if (line->why != NULL)
			printf("%42s%s\n", "", line->why);
	}
	printf("\n%s\n", conclusion);
}

static int print_json(const struct checkup *c, const char *conclusion)
{
	json_t *lines = json_array(), *all;

	for (size_t i = 0; i < c->lines; i++)
		json_array_append_new(lines, json_pack("{ss ss ss ss?}", "name", c->line[i].name,
						       "value", c->line[i].value, "judgement",
						       c->line[i].why ? "mind this" : "fine", "why",
						       c->line[i].why));
	all = json_pack("{sO sO so sb ss}", "host", c->host, "measured", c->measured, "lines",
			lines, "fit", c->unfit == NULL, "conclusion", conclusion);
	if (all == NULL)
		return -1;
	json_dumpf(all, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(all);
	return 0;
}

static int examine(struct checkup *c, bool json)
{
	char conclusion[400];

	if (c->host == NULL || c->measured == NULL) {
		fprintf(stderr, "poolbench: no memory\n");
		return EXIT_UNFIT;
	}
	checkup_facts(c);
	if (checkup_trials(c) < 0)
		return EXIT_UNFIT;
	conclude(c, conclusion, sizeof conclusion);
	if (!json)
		print_table(c, conclusion);
	else if (print_json(c, conclusion) < 0)
		return EXIT_UNFIT;
	return c->unfit ? EXIT_UNFIT : EXIT_FINE;
}

int doctor_main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	struct checkup checkup = { 0 };
	bool json = false;
	int id, status;

	optind = 0;
	while ((id = args_option(argc, argv, "h", options)) != -1) {
		if (id == '?')
			return EXIT_USAGE;
		if (id == 'h') {
			fputs(help, stdout);
			return EXIT_FINE;
		}
		json = true;
	}
	if (optind < argc) {
		fprintf(stderr, "poolbench: doctor takes no argument, not '%s'\n", argv[optind]);
		return EXIT_USAGE;
	}
	checkup.host = host_fingerprint();
	checkup.measured = json_object();
	status = examine(&checkup, json);
	json_decref(checkup.host);
	json_decref(checkup.measured);
	return status;
}
