/*
 * explain.c - `poolbench explain`: where a task's time goes.
 */
#include "harness/explain.h"
#include "harness/cell_options.h"
#include "harness/commands.h"
#include "harness/series.h"
#include "harness/syscalls.h"
#include "workloads/workload.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 8
#define PRICE_ROUNDS 3
#define BATCHES 3

static const char help[] =
	"Usage: poolbench explain --backend B --variant V --workload W [OPTION...]\n"
	"\n"
	"Where does a task's time go? Measures the cell, the same work without a pool, empty tasks "
	"at\n"
	"several chunk sizes, a wake-up, a system call and, where there is something to copy, "
	"copies;\n"
	"all in turn, in fresh processes. Takes some twenty seconds. Prints each part of the time "
	"as\n"
	"count per task x price, then what the parts leave unexplained. Options name a cell as "
	"those\n"
	"of `poolbench cell` do (but not --tree, --probe, --parent), and:\n"
	"\n"
	"  --rounds R    1 to 32 (default 8; fewer than 6 give no intervals)\n"
	"  --json        one JSON object: cell, rounds, parts, measured, unexplained, beside\n"
	"\n"
	"  run           the same work by as many plain processes, no pool\n"
	"  item          claim, call and commit of an item; and its share of what a call costs "
	"once\n"
	"  chunk         claim or message of a chunk, without waking and system calls\n"
	"  copy          bytes of arguments and result beyond an empty task's, if 64 or more\n"
	"  wake-up       voluntary context switches, each priced as one way of a futex round trip "
	"on one\n"
	"                CPU; what waking another CPU takes longer is told below the table\n"
	"  system call   beyond the two of a wake-up. Counting them takes a permission; without it "
	"reads\n"
	"                and writes stand in for them, and the table says so\n"
	"\n"
	"A wake-up and a system call have the price of their least disturbed batch; disturbance\n"
	"belongs to the rest. Prices come from other cells than the explained one; what has a "
	"price\n"
	"is taken out of the empty tasks before item and chunk are fitted to them (time = item +\n"
	"chunk x chunks a task), so nothing counts twice. What several processes do at the same "
	"time\n"
	"counts for each: then the parts exceed the time, and the rest is negative. Each figure "
	"is\n"
	"the median over rounds of its own: parts and rest add up to the time in each round, "
	"their\n"
	"medians need not.\n"
	"Exit status: 0 explained, 1 a cell failed in every round, 2 bad arguments, 4 not "
	"measured.\n";

static const char *const names[PARTS] = {
	"run", "item", "chunk", "copy", "wake-up", "system call"
};

/* The rounds in which every cell worked. */
struct rounds {
	struct account at[TRIAL_ROUNDS_MAX];
	size_t n;
};

/* Median and interval of the double at this offset of an account. */
static struct interval over(const struct rounds *rounds, size_t offset)
{
	double x[TRIAL_ROUNDS_MAX];

	for (size_t i = 0; i < rounds->n; i++)
		memcpy(&x[i], (const char *)&rounds->at[i] + offset, sizeof x[i]);
	return stats_median_interval(x, rounds->n, 0.95);
}

#define OVER(rounds, member) over(rounds, offsetof(struct account, member))

static struct interval over_part(const struct rounds *rounds, size_t array, int part)
{
	return over(rounds, array + (size_t)part * sizeof(double));
}

/*
 * == Text ==
 */

static const char *number_text(double number, char text[24])
{
	snprintf(text, 24, fabs(number) < 1000 ? "%.4g" : "%.0f", number);
	return text;
}

static const char *interval_text(const struct interval *interval, char text[56])
{
	char low[24], high[24];

	if (interval->level > 0)
		snprintf(text, 56, "%s to %s", number_text(interval->low, low),
			 number_text(interval->high, high));
	else
		snprintf(text, 56, "too few rounds");
	return text;
}

static void print_row(const char *name, const char *count, const char *unit,
		      const struct interval *ns, double total_ns)
{
	char text[56], mid[24];

	printf("%-13s  %10s  %10s  %10s  %-22s  %6.1f %%\n", name, count, unit,
	       number_text(ns->mid, mid), interval_text(ns, text), 100 * ns->mid / total_ns);
}

static void print_part(const struct rounds *rounds, int part, const char *name, double total_ns)
{
	struct interval count = over_part(rounds, offsetof(struct account, count), part);
	struct interval unit = over_part(rounds, offsetof(struct account, unit_ns), part);
	struct interval ns = over_part(rounds, offsetof(struct account, ns), part);
	char number[24], price[24];

	if (part == PART_COPY && count.mid > 0)
		snprintf(price, sizeof price, "%.3g ns", unit.mid); /* of a byte: far below 1 */
	else if (part == PART_COPY)
		snprintf(price, sizeof price, "-"); /* nothing to copy, so no price was asked */
	else
		snprintf(price, sizeof price, "%s", time_text(unit.mid, number));
	print_row(name, number_text(count.mid, number), price, &ns, total_ns);
}

static void print_rest(const struct interval *rest)
{
	if (rest->level > 0 && rest->low <= 0 && rest->high >= 0)
		puts("The parts explain the time: the rest cannot be told from nothing.");
	else if (rest->mid < 0)
		puts("The parts explain more than was measured: some of them happen at the same "
		     "time.");
	else
		puts("Part of the time is unexplained: imbalance, cold caches, preemption, or what "
		     "has no row here.");
}

static void print_beside(const struct trial *trial)
{
	printf("Beside the parts, per task: %.4g ns ready to run without a CPU, %.4g preemptions, "
	       "%.4g page faults.\n",
	       trial_per_task(trial, 0, offsetof(struct record, run_delay_ns)),
	       trial_per_task(trial, 0, offsetof(struct record, involuntary_switches)),
	       trial_per_task(trial, 0, offsetof(struct record, minor_faults)));
}

static void print_far_wake(const struct explanation *e, const struct trial *trial,
			   const struct rounds *rounds)
{
	double more = explain_far_wake_ns(e, trial) - e->wake_ns;
	struct interval wakes = over_part(rounds, offsetof(struct account, count), PART_WAKE);
	char each[24], all[24];

	if (more > 0 && wakes.mid > 0)
		printf("Waking another CPU takes %s longer than the price above: up to %s a task "
		       "if nothing else runs meanwhile.\n",
		       time_text(more, each), time_text(more * wakes.mid, all));
}

static void print_table(const struct explanation *e, const struct trial *trial,
			const struct rounds *rounds)
{
	struct interval total = OVER(rounds, total_ns), rest = OVER(rounds, rest_ns);
	char label[256];

	cell_label(&e->cells[0], label, sizeof label);
	printf("%s, %zu rounds\n\n%-13s  %10s  %10s  %10s  %-22s  %8s\n", label, rounds->n, "part",
	       "per task", "price", "ns a task", "95 % interval", "share");
	for (int part = 0; part < PARTS; part++)
		print_part(rounds, part,
			   part == PART_CALL && e->uncounted ? "read, write" : names[part],
			   total.mid);
	print_row("unexplained", "", "", &rest, total.mid);
	print_row("measured", "", "", &total, total.mid);
	putchar('\n');
	if (rounds->n > 1)
		puts("Each row is the median over rounds of its own: they add up in each round, "
		     "here they need not.");
	print_rest(&rest);
	print_beside(trial);
	print_far_wake(e, trial, rounds);
	if (e->uncounted != 0)
		printf("System calls were not counted: %s. Reads and writes stand in for them.\n",
		       syscalls_reason(e->uncounted));
}

/*
 * == JSON ==
 */

static json_t *interval_json(const struct interval *interval)
{
	json_t *object = json_pack("{sf}", "median", interval->mid);

	if (interval->level > 0) {
		json_object_set_new(object, "low", json_real(interval->low));
		json_object_set_new(object, "high", json_real(interval->high));
	}
	return object;
}

static json_t *parts_json(const struct rounds *rounds)
{
	json_t *parts = json_array();

	for (int part = 0; part < PARTS; part++) {
		struct interval count = over_part(rounds, offsetof(struct account, count), part);
		struct interval unit = over_part(rounds, offsetof(struct account, unit_ns), part);
		struct interval ns = over_part(rounds, offsetof(struct account, ns), part);
		json_array_append_new(parts, json_pack("{ss so so so}", "part", names[part],
						       "count_per_task", interval_json(&count),
						       "unit_ns", interval_json(&unit),
						       "ns_per_task", interval_json(&ns)));
	}
	return parts;
}

static void print_json(const struct explanation *e, const struct trial *trial,
		       const struct rounds *rounds)
{
	struct interval total = OVER(rounds, total_ns), rest = OVER(rounds, rest_ns);
	char label[256];
	json_t *all;

	cell_label(&e->cells[0], label, sizeof label);
	all = json_pack("{ss si so so so sb s{sf sf sf}}", "cell", label, "rounds", (int)rounds->n,
			"parts", parts_json(rounds), "measured_ns", interval_json(&total),
			"unexplained_ns", interval_json(&rest), "system_calls_counted",
			e->uncounted == 0, "beside", "run_delay_ns",
			trial_per_task(trial, 0, offsetof(struct record, run_delay_ns)),
			"preemptions",
			trial_per_task(trial, 0, offsetof(struct record, involuntary_switches)),
			"page_faults",
			trial_per_task(trial, 0, offsetof(struct record, minor_faults)));
	json_dumpf(all, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(all);
}

/*
 * == The command ==
 */

static double column_bytes(const struct pool_column *column, uint64_t tasks)
{
	const struct pool_bytes *item = column->data;
	double sum = 0;

	if (column->size != POOL_VARIABLE)
		return (double)column->size;
	for (uint64_t i = 0; i < tasks; i++)
		sum += (double)item[i].size;
	return sum / (double)tasks;
}

/* Opens the work as a cell would, for the number of tasks and the bytes of one. */
static int look_at_work(struct cell *cell, uint64_t seed, double *bytes, char *why, size_t why_size)
{
	const struct work_options options = { .tasks = cell->tasks,
					      .work = cell->work,
					      .payload_bytes = cell->payload_bytes,
					      .seed = seed };
	struct work work;
	int rc = work_open(&work, workload_find(cell->workload), &options, why, why_size);

	if (rc < 0)
		return rc;
	cell->tasks = work.tasks;
	*bytes = (double)work.result_size;
	for (unsigned k = 0; k < work.columns; k++)
		*bytes += column_bytes(&work.column[k], work.tasks);
	work_close(&work);
	return 0;
}

/* What only this command asks of a cell: NULL, or what is wrong. */
static const char *refusal(const struct cell_request *r)
{
	if (r->record || r->cell.probe[0] || r->setup.tree || r->cell.parent_bytes)
		return "explain does not take --record, --probe, --tree or --parent";
	if (r->cell.batches > TRIAL_ROUNDS_MAX)
		return "explain: --rounds must be 1 to 32";
	if (strcmp(r->cell.variant, "open") == 0)
		return "variant open has no tasks to explain: want one of the eight calls";
	if (cell_is_baseline(r->cell.backend))
		return "a baseline hands nothing out, so there is nothing to explain: want a row "
		       "of "
		       "`poolbench list`";
	return NULL;
}

static int check(struct cell_request *r, double *bytes)
{
	char why[256];
	const char *refused = why;

	if (cell_request_check(r) != 0)
		return -1;
	if (cell_check(&r->cell, why, sizeof why) == 0 && (refused = refusal(r)) == NULL) {
		refused = why;
		if (look_at_work(&r->cell, r->setup.seed, bytes, why, sizeof why) == 0)
			return 0;
	}
	fprintf(stderr, "poolbench: %s\n", refused);
	return -1;
}

static int answer(const struct cell_request *r, const struct explanation *e,
		  const struct trial *trial)
{
	struct rounds rounds = { 0 };

	for (int round = 0; round < trial->rounds; round++)
		rounds.n += explain_round(e, trial, round, &rounds.at[rounds.n]);
	if (rounds.n == 0)
		return trial_say_failed(trial);
	if (r->json)
		print_json(e, trial, &rounds);
	else
		print_table(e, trial, &rounds);
	return EXIT_FINE;
}

static int explain(const struct cell_request *r, double bytes)
{
	struct cell cell = r->cell;
	struct explanation e;
	struct trial trial = { .cells = e.cells, .rounds = r->cell.batches, .seed = r->setup.seed };
	struct trial prices = {
		.cells = e.price, EXPLAIN_PRICES, PRICE_ROUNDS, r->setup.seed, NULL
	};
	int status = EXIT_UNFIT;

	cell.batches = BATCHES;
	explain_plan(&e, &cell, bytes);
	trial.count = e.count;
	if (trial_run(&trial) == 0 && trial_run_on_one_cpu(&prices) == 0) {
		if (explain_price(&e, &prices))
			status = answer(r, &e, &trial);
		else
			status = trial_say_failed(&prices);
	}
	free(prices.at);
	free(trial.at);
	return status;
}

int explain_main(int argc, char **argv)
{
	struct cell_request r;
	double bytes;

	if (cell_request_read(&r, argc, argv, ROUNDS) != 0)
		return EXIT_USAGE;
	if (r.help) {
		fputs(help, stdout);
		return EXIT_FINE;
	}
	return check(&r, &bytes) == 0 ? explain(&r, bytes) : EXIT_USAGE;
}
