/*
 * plan.c - building, settling, ordering, saving plans.
 */
#include "harness/plan.h"
#include "harness/args.h"
#include "harness/cell.h"
#include "harness/clock.h"
#include "harness/record_json.h"
#include "harness/series.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What a cell costs besides its batches: starting a process, input, expected results, the pool. */
#define CELL_FIXED_NS (25 * NS_PER_MS)
/* A batch shorter than this says little on a machine with a millisecond of noise. */
#define BATCH_LEAST_NS (2 * NS_PER_MS)
/* Fewer rounds than this have no 95 % interval (2 / 2^6 = 3 %). */
#define ROUNDS_LEAST 6

struct level {
	const char *name;
	int rounds, batches;
	int64_t batch_ns, budget_ns;
	int64_t deadline_ns;
};

/* The budgets stay under the promised 60 s, 5 min and 1 h: the last round may be slower than the mean. */
static const struct level levels[] = {
	{ "quick", 8, 2, 10 * NS_PER_MS, 46 * NS_PER_S, 10 * NS_PER_S },
	{ "default", 12, 3, 50 * NS_PER_MS, 255 * NS_PER_S, 30 * NS_PER_S },
	{ "full", 20, 5, 50 * NS_PER_MS, 3300 * NS_PER_S, 120 * NS_PER_S },
};

void plan_init(struct plan *plan, int level, int rounds, uint64_t seed)
{
	const struct level *l = &levels[level];

	*plan = (struct plan){
		.scale = { .name = l->name,
			   .level = level,
			   .rounds = rounds ? rounds : l->rounds,
			   .batch_ns = l->batch_ns,
			   .batches = l->batches,
			   .cpus = cell_workers() },
		.seed = seed,
		.input_seed = INPUT_SEED,
		.budget_ns = rounds ? 0 : l->budget_ns,
	};
}

static const struct level *level_named(const char *scale)
{
	for (size_t i = 0; i < sizeof levels / sizeof *levels; i++)
		if (strcmp(scale, levels[i].name) == 0)
			return &levels[i];
	return NULL;
}

int64_t plan_deadline_ns(const char *scale)
{
	const struct level *level = level_named(scale);

	return level ? level->deadline_ns : 0;
}

int64_t plan_budget_ns(const char *scale)
{
	const struct level *level = level_named(scale);

	return level ? level->budget_ns : 0;
}

void plan_free(struct plan *plan)
{
	free(plan->cells);
	plan->cells = NULL;
	plan->count = plan->room = 0;
}

static bool has_cell(const struct plan *plan, const struct cell *cell)
{
	for (size_t i = 0; i < plan->count; i++)
		if (cell_equal(&plan->cells[i], cell))
			return true;
	return false;
}

int plan_add(struct plan *plan, const struct cell *cell)
{
	struct cell added = *cell;

	if (added.experiment[0] == '\0' && plan->experiment != NULL)
		snprintf(added.experiment, sizeof added.experiment, "%s", plan->experiment);
	if (has_cell(plan, &added))
		return 0;
	if (plan->count == plan->room) {
		size_t room = plan->room ? 2 * plan->room : 64;
		struct cell *cells = reallocarray(plan->cells, room, sizeof *cells);
		if (cells == NULL)
			return -ENOMEM;
		plan->cells = cells;
		plan->room = room;
	}
	plan->cells[plan->count++] = added;
	return 0;
}

int plan_add_experiment(struct plan *plan, const struct experiment *experiment)
{
	plan->experiment = experiment->name;
	return experiment->grid(plan, &plan->scale);
}

static int unknown_experiment(const char *name)
{
	const struct experiment *experiment;

	fprintf(stderr, "poolbench: unknown experiment '%s'; known:", name);
	for (unsigned i = 0; (experiment = experiment_at(i)) != NULL; i++)
		fprintf(stderr, " %s", experiment->name);
	fputc('\n', stderr);
	return -EINVAL;
}

static int add_all(struct plan *plan)
{
	const struct experiment *experiment;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && (experiment = experiment_at(i)) != NULL; i++)
		if (!experiment->on_request || plan->scale.level == 2)
			rc = plan_add_experiment(plan, experiment);
	return rc;
}

int plan_add_named(struct plan *plan, const char *const *names, size_t count)
{
	int rc = count == 0 ? add_all(plan) : 0;

	for (size_t i = 0; rc == 0 && i < count; i++) {
		const struct experiment *experiment = experiment_find(names[i]);
		if (experiment == NULL)
			return unknown_experiment(names[i]);
		rc = plan_add_experiment(plan, experiment);
	}
	if (rc == 0 && plan->count > 0)
		return 0;
	fprintf(stderr, "poolbench: %s\n",
		rc ? "no memory" : "these experiments have no cells on this machine");
	return rc ? rc : -EINVAL;
}

int plan_keep(struct plan *plan, const char *text)
{
	char label[256], name[NAME_SIZE + 260];
	size_t count = 0;

	for (size_t i = 0; i < plan->count; i++) {
		cell_label(&plan->cells[i], label, sizeof label);
		snprintf(name, sizeof name, "%s: %s", plan->cells[i].experiment, label);
		if (text == NULL || strstr(name, text) != NULL)
			plan->cells[count++] = plan->cells[i];
	}
	plan->count = count;
	plan->part |= text != NULL;
	if (count > 0)
		return 0;
	fprintf(stderr, "poolbench: --cells: no cell has '%s' in its name\n", text ? text : "");
	return -EINVAL;
}

/* One batch more than timed is discarded, one more goes to the serial loop, one to looking at the memory; the parent's memory
 * has to be touched, and its page tables copied, before and during each. */
#define PARENT_BYTE_NS 1.6
/* A call lasts at least as long as its payloads travel, however short a batch may be. */
#define PAYLOAD_BYTE_NS 4

/* 36 years: what an estimate is told as when it is more. A session of several programs multiplies it. */
#define ESTIMATE_MOST_NS (INT64_MAX / 8)

/* In ns. */
static double cell_estimate(const struct cell *cell, const struct scale *scale)
{
	int batches = cell->batches ? cell->batches : scale->batches;
	double batch_ns = (double)(cell->batch_ns ? cell->batch_ns : scale->batch_ns);
	double call_ns = (double)cell->payload_bytes * (double)cell->tasks * PAYLOAD_BYTE_NS;

	if (batch_ns < call_ns)
		batch_ns = call_ns;
	if (strcmp(cell->probe, "memory") == 0)
		batches++;
	return (double)CELL_FIXED_NS + (batches + 2) * batch_ns +
	       (double)cell->parent_bytes * PARENT_BYTE_NS;
}

static int64_t estimate(const struct plan *plan, int rounds)
{
	double ns = 0;

	for (size_t i = 0; i < plan->count; i++)
		ns += rounds * cell_estimate(&plan->cells[i], &plan->scale);
	return ns < (double)ESTIMATE_MOST_NS ? (int64_t)ns : ESTIMATE_MOST_NS;
}

int64_t plan_estimate_ns(const struct plan *plan)
{
	return estimate(plan, plan->scale.rounds);
}

static void shorten_batches(struct plan *plan)
{
	while (plan_estimate_ns(plan) > plan->budget_ns && plan->scale.batch_ns > BATCH_LEAST_NS)
		plan->scale.batch_ns = plan->scale.batch_ns * 9 / 10;
	if (plan->scale.batch_ns < BATCH_LEAST_NS)
		plan->scale.batch_ns = BATCH_LEAST_NS;
}

void plan_settle(struct plan *plan)
{
	if (plan->budget_ns != 0)
		shorten_batches(plan);
	while (plan->budget_ns != 0 && plan_estimate_ns(plan) > plan->budget_ns &&
	       plan->scale.rounds > ROUNDS_LEAST)
		plan->scale.rounds--;
	for (size_t i = 0; i < plan->count; i++) {
		struct cell *cell = &plan->cells[i];
		if (cell->batches == 0)
			cell->batches = plan->scale.batches;
		if (cell->batch_ns == 0)
			cell->batch_ns = plan->scale.batch_ns;
	}
}

void plan_fill(struct plan *plan)
{
	int64_t round_ns = estimate(plan, 1);
	int64_t fit = round_ns > 0 ? plan->budget_ns / round_ns : 0;

	if (fit > PAIRS_MAX)
		fit = PAIRS_MAX;
	if (fit > plan->scale.rounds)
		plan->scale.rounds = (int)fit;
}

/* Fisher and Yates; the modulo's bias is below 2^-50 for any number of cells that fits a run. */
void plan_order(const struct plan *plan, int round, size_t *order)
{
	uint64_t state = plan->seed + (uint64_t)round * UINT64_C(0xD1B54A32D192ED03);

	for (size_t i = 0; i < plan->count; i++)
		order[i] = i;
	for (size_t i = plan->count; i > 1; i--) {
		size_t j = stats_random(&state) % i, swap = order[i - 1];
		order[i - 1] = order[j];
		order[j] = swap;
	}
}

json_t *plan_to_json(const struct plan *plan)
{
	json_t *cells = json_array(), *object;

	for (size_t i = 0; i < plan->count; i++)
		json_array_append_new(cells, cell_to_json(&plan->cells[i]));
	object = json_pack("{ss si si sI sI sI sI si so}", "scale", plan->scale.name, "level",
			   plan->scale.level, "rounds", plan->scale.rounds, "seed",
			   (json_int_t)plan->seed, "input_seed", (json_int_t)plan->input_seed,
			   "budget_ns", (json_int_t)plan->budget_ns, "batch_ns",
			   (json_int_t)plan->scale.batch_ns, "batches", plan->scale.batches,
			   "cells", cells);
	if (plan->part)
		json_object_set_new(object, "part", json_true());
	if (plan->save[0])
		json_object_set_new(object, "save_baseline", json_string(plan->save));
	if (plan->precision > 0)
		json_object_set_new(object, "precision", json_real(plan->precision));
	return object;
}

/* What `run` and `cell` accept as well. */
#define BATCH_MOST_NS (3600 * NS_PER_S)

static int refuse(char *why, size_t why_size, const char *name, int64_t least, int64_t most)
{
	snprintf(why, why_size,
		 "no plan of poolbench: \"%s\": want a whole number from %" PRId64 " to %" PRId64,
		 name, least, most);
	return -EINVAL;
}

static int check_cell(const struct cell *cell, char *why, size_t why_size)
{
	if (cell->batches < 0 || cell->batches > SAMPLES_MAX)
		return refuse(why, why_size, "batches", 0, SAMPLES_MAX);
	if (cell->batch_ns < 0 || cell->batch_ns > BATCH_MOST_NS)
		return refuse(why, why_size, "batch_ns", 0, BATCH_MOST_NS);
	if (cell->payload_bytes > ARGS_BYTES_MAX)
		return refuse(why, why_size, "payload_bytes", 0, ARGS_BYTES_MAX);
	if (cell->parent_bytes > ARGS_BYTES_MAX)
		return refuse(why, why_size, "parent_bytes", 0, ARGS_BYTES_MAX);
	return 0;
}

static int cells_from_json(struct plan *plan, const json_t *cells, char *why, size_t why_size)
{
	size_t i;
	json_t *object;

	json_array_foreach(cells, i, object)
	{
		struct cell cell;
		int rc = cell_from_json(&cell, object, why, why_size);
		if (rc == 0)
			rc = check_cell(&cell, why, why_size);
		if (rc == 0)
			rc = plan_add(plan, &cell);
		if (rc < 0)
			return rc;
	}
	if (plan->count > 0 && plan->count == json_array_size(cells))
		return 0;
	snprintf(why, why_size, "the plan has no cells, or one twice");
	return -EINVAL;
}

uint64_t plan_input_seed(const json_t *object)
{
	const json_t *own = json_object_get(object, "input_seed");

	return (uint64_t)json_integer_value(own ? own : json_object_get(object, "seed"));
}

/* The numbers of a plan as run.json has them. */
struct numbers {
	json_int_t level, rounds, seed, budget_ns, batch_ns;
};

static int numbers_from_json(struct numbers *n, const json_t *object, char *why, size_t why_size)
{
	json_error_t error;

	if (json_unpack_ex((json_t *)object, &error, 0, "{sI sI sI sI sI}", "level", &n->level,
			   "rounds", &n->rounds, "seed", &n->seed, "budget_ns", &n->budget_ns,
			   "batch_ns", &n->batch_ns) < 0) {
		snprintf(why, why_size, "no plan of poolbench: %s", error.text);
		return -EINVAL;
	}
	if (n->level < 0 || n->level > 2)
		return refuse(why, why_size, "level", 0, 2);
	if (n->rounds < 1 || n->rounds > PAIRS_MAX)
		return refuse(why, why_size, "rounds", 1, PAIRS_MAX);
	if (n->budget_ns < 0)
		return refuse(why, why_size, "budget_ns", 0, INT64_MAX);
	if (n->batch_ns < 0 || n->batch_ns > BATCH_MOST_NS)
		return refuse(why, why_size, "batch_ns", 0, BATCH_MOST_NS);
	return 0;
}

int plan_from_json(struct plan *plan, const json_t *object, char *why, size_t why_size)
{
	const char *save = json_string_value(json_object_get(object, "save_baseline"));
	struct numbers n;
	int rc = numbers_from_json(&n, object, why, why_size);

	if (rc < 0)
		return rc;
	if (save && strlen(save) > BASELINE_NAME_MOST) {
		snprintf(why, why_size,
			 "no plan of poolbench: \"save_baseline\": want at most %d characters",
			 BASELINE_NAME_MOST);
		return -EINVAL;
	}
	plan_init(plan, (int)n.level, (int)n.rounds, (uint64_t)n.seed);
	plan->budget_ns = n.budget_ns;
	plan->scale.batch_ns = n.batch_ns;
	plan->precision = json_number_value(json_object_get(object, "precision"));
	plan->input_seed = plan_input_seed(object);
	if (save)
		snprintf(plan->save, sizeof plan->save, "%s", save);
	plan->part = json_is_true(json_object_get(object, "part"));
	return cells_from_json(plan, json_object_get(object, "cells"), why, why_size);
}
