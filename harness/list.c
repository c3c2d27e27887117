/*
 * list.c - `poolbench list`: what there is. One JSON document is built from the tables; the text is printed from it.
 */
#include "harness/args.h"
#include "harness/bench.h"
#include "harness/commands.h"
#include "harness/experiment.h"

#include <getopt.h>
#include <jansson.h>
#include <string.h>

static const struct {
	unsigned bit;
	const char *name;
} abilities[] = {
	{ POOL_CAN_SURVIVE, "survive" }, { POOL_CAN_KILL, "kill" },
	{ POOL_CAN_OVERLAP, "overlap" }, { POOL_CAN_REUSE, "reuse" },
	{ POOL_CAN_ISOLATE, "isolate" }, { POOL_CAN_EXEC, "exec" },
};

static json_t *list_abilities(unsigned can)
{
	json_t *list = json_array();

	for (size_t i = 0; i < sizeof abilities / sizeof abilities[0]; i++)
		if (can & abilities[i].bit)
			json_array_append_new(list, json_string(abilities[i].name));
	return list;
}

static json_t *list_backends(void)
{
	const struct pool_backend_info *row;
	json_t *list = json_array();

	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		json_array_append_new(list,
				      json_pack("{ss ss? ss ss ss so}", "name", row->name, "alias",
						row->alias, "start", row->start, "transport",
						row->transport, "summary", row->summary, "can",
						list_abilities(row->can)));
	return list;
}

static json_t *list_baselines(void)
{
	const struct baseline *baseline;
	json_t *list = json_array();

	for (baseline = baseline_first(); baseline != NULL; baseline = baseline->next)
		json_array_append_new(list, json_pack("{ssss}", "name", baseline->name, "summary",
						      baseline->summary));
	return list;
}

static json_t *list_variants(void)
{
	const struct variant *variant;
	json_t *list = json_array();

	for (unsigned i = 0; (variant = variant_at(i)) != NULL; i++)
		json_array_append_new(list, json_pack("{ssss}", "name", variant->name, "summary",
						      variant->summary));
	return list;
}

static json_t *list_workloads(void)
{
	const struct workload *load;
	json_t *list = json_array();

	for (unsigned i = 0; (load = workload_at(i)) != NULL; i++)
		json_array_append_new(list,
				      json_pack("{ss ss ss? sI sI sI}", "name", load->name,
						"summary", load->summary, "unit", load->unit,
						"tasks", (json_int_t)load->tasks_default, "work",
						(json_int_t)load->work_default, "payload_bytes",
						(json_int_t)load->payload_default));
	return list;
}

static json_t *list_experiments(void)
{
	const struct experiment *experiment;
	json_t *list = json_array();

	for (unsigned i = 0; (experiment = experiment_at(i)) != NULL; i++)
		json_array_append_new(list, json_pack("{ssss}", "name", experiment->name, "summary",
						      experiment->claim));
	return list;
}

/*
 * == Text ==
 */

static void print_backend_details(json_t *row)
{
	size_t i;
	json_t *ability;

	printf("  %-15s   %s + %s; can:", "", json_string_value(json_object_get(row, "start")),
	       json_string_value(json_object_get(row, "transport")));
	json_array_foreach(json_object_get(row, "can"), i, ability)
		printf(" %s", json_string_value(ability));
	putchar('\n');
}

static void print_row(json_t *row)
{
	const char *name = json_string_value(json_object_get(row, "name"));
	const char *alias = json_string_value(json_object_get(row, "alias"));
	const char *unit = json_string_value(json_object_get(row, "unit"));

	printf("  %-15s   %s", name, json_string_value(json_object_get(row, "summary")));
	if (alias != NULL)
		printf(" (short: %s)", alias);
	if (unit != NULL)
		printf(" (--work: %s)", unit);
	putchar('\n');
	if (json_object_get(row, "can") != NULL)
		print_backend_details(row);
}

static void print_text(json_t *all)
{
	const char *heading;
	json_t *list, *row;
	size_t i;

	json_object_foreach(all, heading, list)
	{
		printf("%s\n", heading);
		json_array_foreach(list, i, row) print_row(row);
	}
}

static int print_all(bool json)
{
	json_t *all = json_pack("{so so so so so}", "backends", list_backends(), "baselines",
				list_baselines(), "variants", list_variants(), "workloads",
				list_workloads(), "experiments", list_experiments());

	if (all == NULL)
		return EXIT_UNFIT;
	if (json) {
		json_dumpf(all, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		print_text(all);
	}
	json_decref(all);
	return EXIT_FINE;
}

int list_main(int argc, char **argv)
{
	static const struct option options[] = { { "json", no_argument, NULL, 'j' },
						 { "help", no_argument, NULL, 'h' },
						 { NULL, 0, NULL, 0 } };
	bool json = false;
	int id;

	optind = 0;
	while ((id = args_option(argc, argv, "h", options)) != -1) {
		if (id == '?')
			return EXIT_USAGE;
		if (id == 'h') {
			puts("Usage: poolbench list [--json]\n\n"
			     "Backends, baselines, variants, workloads and experiments.");
			return EXIT_FINE;
		}
		json = true;
	}
	if (optind == argc)
		return print_all(json);
	fprintf(stderr, "poolbench: list takes no argument, not '%s'\n", argv[optind]);
	return EXIT_USAGE;
}
