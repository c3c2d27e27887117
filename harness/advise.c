/*
 * advise.c - `poolbench advise`: which pool, through which call, with what chunk size, and is it worth it?
 */
#include "harness/advise.h"
#include "harness/cell_options.h"
#include "harness/commands.h"
#include "harness/series.h"
#include "workloads/workload.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 12
#define BATCHES 3

static const char help[] =
	"Usage: poolbench advise --workload W [OPTION...]\n"
	"\n"
	"Which pool, with what chunk size, and is a pool worth it? By map or starmap. Runs the\n"
	"work by the serial loop and by every pool of processes; then the fastest of them anew,\n"
	"beside the loop, with other chunk sizes and other calls. Takes some twenty seconds\n"
	"for light work. The last paragraph is the advice.\n"
	"\n"
	"  --workload W  see `poolbench list`; --tasks --work --payload --workers --window\n"
	"                --memory --batch-ms --seed are those of `poolbench cell`\n"
	"  --rounds R    9 to 32 (default 12), for each of the two parts; for very few tasks from\n"
	"                7 on, as there are fewer questions\n"
	"  --json        one JSON object: advice, worth, pool, call, chunk, pools, others\n"
	"\n"
	"Verdicts hold for all questions of the second part together (5 % after Holm): a pool is\n"
	"worth it when it is shown to be faster than the loop, by more than 2 %, with some chunk.\n"
	"The automatic chunk is kept unless another is shown to be better. Other calls are shown "
	"for what they\n"
	"cost, not taken for speed: imap gives results early and needs little memory.\n"
	"What failed or gave a wrong result once is not advised, and shown with its error.\n"
	"Exit status: 0 an advice, 1 the loop, all pools or, in the second part, the fastest one\n"
	"failed, 2 bad arguments, 3 undecided, 4 not measured.\n";

/* One of the two answers on stdout. */
struct answer {
	const struct trial *pools, *calls;
	const struct advice *advice;
	size_t best; /* of pools */
	char text[1024];
};

static const char *chunk_text(int64_t chunk, char text[24])
{
	if (chunk == 0)
		return "auto";
	snprintf(text, 24, "%" PRId64, chunk);
	return text;
}

static const char *interval_text(const struct interval *interval, char text[48])
{
	if (interval->level > 0)
		snprintf(text, 48, "%.3g to %.3g", interval->low, interval->high);
	else
		snprintf(text, 48, "too few rounds");
	return text;
}

/* A comparison's ratio is a time over a time; a speedup is its inverse. */
static struct interval inverse(struct interval ratio)
{
	return (struct interval){ 1 / ratio.high, 1 / ratio.mid, 1 / ratio.low, ratio.level };
}

/*
 * == The advice in words ==
 */

static void say_ties(const struct answer *a, char *text, size_t size)
{
	size_t used = 0, ties = 0;

	text[0] = '\0';
	for (size_t i = ADVISE_POOL; i < a->pools->count && used < size; i++)
		if (advise_as_good(a->pools, a->best, i))
			used += (size_t)snprintf(text + used, size - used, "%s%s",
						 ties++ ? ", " : " As good as far as can be told: ",
						 a->pools->cells[i].backend);
	if (ties && used < size)
		snprintf(text + used, size - used, ".");
}

/* Empty for the automatic chunk. */
static void say_chunk(const struct answer *a, char *text, size_t size)
{
	const struct comparison *c = &a->advice->comparison[a->advice->chosen];

	text[0] = '\0';
	if (a->advice->chosen != ADVISE_POOL)
		snprintf(text, size, ", in %.3g of the time of the automatic chunk", c->ratio.mid);
}

static void advise(struct answer *a)
{
	const struct comparison *worth = advise_to_loop(a->advice, a->advice->chosen);
	const struct cell *chosen = &a->calls->cells[a->advice->chosen];
	struct interval speedup = inverse(worth->ratio);
	char ties[256], number[24], range[48], more[360];
	const char *chunk = chunk_text(chosen->chunk, number);

	if (a->advice->worth == WORTH_YES) {
		say_ties(a, ties, sizeof ties);
		say_chunk(a, more, sizeof more);
		snprintf(a->text, sizeof a->text,
			 "Take %s through %s with chunk %s: it is %.3g times as fast as the serial "
			 "loop (95 %% interval of the second part %s)%s.%s",
			 chosen->backend, chosen->variant, chunk, speedup.mid,
			 interval_text(&speedup, range), more, ties);
	} else if (a->advice->worth == WORTH_NO) {
		snprintf(
			a->text, sizeof a->text,
			"Keep the serial loop: the fastest pool, %s, takes %.3g times as long with "
			"chunk %s (95 %% interval of the second part %s).",
			chosen->backend, worth->ratio.mid, chunk,
			interval_text(&worth->ratio, range));
	} else {
		advise_say_undecided(worth, more, sizeof more);
		snprintf(
			a->text, sizeof a->text,
			"Undecided: the fastest pool, %s, is %.3g times as fast as the serial loop "
			"with chunk %s (95 %% interval of the second part %s)%s",
			chosen->backend, speedup.mid, chunk, interval_text(&speedup, range), more);
	}
}

/* Of an alternative, for people: against the pool at the automatic chunk. */
static const char *judgement(const struct comparison *c)
{
	static const char *const said[VERDICTS] = { [REGRESSION] = "slower",
						    [IMPROVEMENT] = "faster",
						    [EQUIVALENT] = "the same",
						    [INCONCLUSIVE] = "undecided",
						    [NOT_COMPARABLE] = "not comparable" };

	return said[c->verdict];
}

/*
 * == Tables ==
 */

static const char *error_of(const struct record *failed)
{
	const char *error = record_error(failed);

	return error ? error : "no time";
}

static void print_pools(const struct answer *a)
{
	char text[48], time[24];

	printf("First part: which pool is the fastest?\n\n%-12s  %11s  %8s  %s\n", "pool",
	       "time a task", "speedup", "95 % interval");
	for (size_t i = 0; i < a->pools->count; i++) {
		const struct record *failed = trial_failed(a->pools, i);
		struct interval ns = trial_ns(a->pools, i);
		struct interval speedup = trial_ratio(a->pools, ADVISE_LOOP, i);
		if (failed == NULL)
			printf("%-12s  %11s  %8.3g  %s\n", a->pools->cells[i].backend,
			       time_text(ns.mid, time), speedup.mid,
			       i == ADVISE_LOOP ? "" : interval_text(&speedup, text));
		else
			printf("%-12s  failed: %s\n", a->pools->cells[i].backend, error_of(failed));
	}
}

static void print_others(const struct answer *a)
{
	const struct cell *pool = &a->calls->cells[ADVISE_POOL];
	char text[48], chunk[24];

	printf("\nSecond part, measured anew: %s by another chunk or call, time over that of %s at "
	       "the automatic chunk:\n\n"
	       "%-14s  %6s  %8s  %-16s  %s\n",
	       pool->backend, pool->variant, "call", "chunk", "ratio", "95 % interval", "");
	for (size_t i = ADVISE_OTHERS; i < a->advice->count; i++) {
		const struct comparison *c = &a->advice->comparison[i];
		if (c->refused) {
			printf("%-14s  %6s  %s\n", a->calls->cells[i].variant,
			       chunk_text(a->calls->cells[i].chunk, chunk), c->why);
			continue;
		}
		printf("%-14s  %6s  %8.3g  %-16s  %s\n", a->calls->cells[i].variant,
		       chunk_text(a->calls->cells[i].chunk, chunk), c->ratio.mid,
		       interval_text(&c->ratio, text), judgement(c));
	}
}

static void print_text(const struct answer *a)
{
	const struct cell *cell = &a->calls->cells[ADVISE_POOL];

	printf("%s, %" PRIu64 " tasks, %d workers, %d rounds in each part\n\n", cell->workload,
	       cell->tasks, cell->workers, a->calls->rounds);
	print_pools(a);
	print_others(a);
	puts("\nVerdicts hold for all questions of the second part together: one may be undecided "
	     "though its interval is without 1.");
	printf("\n%s\n", a->text);
}

static json_t *interval_json(const struct interval *i)
{
	if (i->level > 0)
		return json_pack("{sf sf sf}", "median", i->mid, "low", i->low, "high", i->high);
	return i->mid > 0 ? json_pack("{sf}", "median", i->mid) : json_null();
}

static void print_json(const struct answer *a)
{
	static const char *const worth[] = { "yes", "no", "undecided" };
	const struct cell *chosen = &a->calls->cells[a->advice->chosen];
	struct interval speedup = inverse(advise_to_loop(a->advice, a->advice->chosen)->ratio);
	json_t *pools = json_array(), *others = json_array(), *all;

	for (size_t i = ADVISE_POOL; i < a->pools->count; i++) {
		const struct record *failed = trial_failed(a->pools, i);
		struct interval ratio = { 0 };
		if (failed == NULL)
			ratio = trial_ratio(a->pools, ADVISE_LOOP, i);
		json_array_append_new(pools, json_pack("{ss so ss*}", "backend",
						       a->pools->cells[i].backend, "speedup",
						       interval_json(&ratio), "error",
						       failed ? error_of(failed) : NULL));
	}
	for (size_t i = ADVISE_OTHERS; i < a->advice->count; i++) {
		const struct comparison *c = &a->advice->comparison[i];
		json_array_append_new(others, json_pack("{ss sI so ss}", "variant",
							a->calls->cells[i].variant, "chunk",
							(json_int_t)a->calls->cells[i].chunk,
							"ratio", interval_json(&c->ratio),
							"judgement", judgement(c)));
	}
	all = json_pack("{ss ss ss ss sI so so so}", "advice", a->text, "worth",
			worth[a->advice->worth], "backend", chosen->backend, "variant",
			chosen->variant, "chunk", (json_int_t)chosen->chunk, "speedup",
			interval_json(&speedup), "pools", pools, "others", others);
	json_dumpf(all, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(all);
}

/*
 * == The command ==
 */

static int second_part(const struct cell_request *r, const struct trial *pools, size_t best)
{
	static struct advice advice;
	struct cell cells[ADVISE_CELLS];
	struct trial trial = { .cells = cells, .rounds = pools->rounds, .seed = pools->seed + 1 };
	struct answer answer = { .pools = pools, .calls = &trial, .advice = &advice, .best = best };
	int status = EXIT_UNFIT;

	trial.count = advise_calls(cells, &pools->cells[best]);
	if (trial_run(&trial) < 0)
		goto done;
	if (advise_decide(&advice, &trial) < 0) {
		status = trial_say_failed(&trial);
		goto done;
	}
	advise(&answer);
	if (r->json)
		print_json(&answer);
	else
		print_text(&answer);
	status = advice.worth == WORTH_UNDECIDED ? EXIT_INCONCLUSIVE : EXIT_FINE;
done:
	free(trial.at);
	return status;
}

static int measure(const struct cell_request *r, const char *call)
{
	struct cell cell = r->cell, cells[ADVISE_CELLS];
	struct trial trial = { .cells = cells, .rounds = r->cell.batches, .seed = r->setup.seed };
	int status = EXIT_UNFIT;
	size_t best;

	cell.batches = BATCHES;
	trial.count = advise_pools(cells, &cell, call);
	if (trial_run(&trial) == 0) {
		best = advise_best(&trial);
		status = best == ADVISE_LOOP ? trial_say_failed(&trial)
					     : second_part(r, &trial, best);
	}
	free(trial.at);
	return status;
}

/* NULL, or what is wrong. */
static const char *refusal(const struct cell_request *r)
{
	if (!r->cell.workload[0])
		return "advise needs --workload (see `poolbench advise --help`)";
	if (r->cell.backend[0] || r->cell.variant[0] || r->cell.chunk)
		return "advise finds out backend, variant and chunk: these options are not for it";
	if (r->record || r->cell.probe[0] || r->setup.tree || r->cell.parent_bytes)
		return "advise does not take --record, --probe, --tree or --parent";
	return NULL;
}

/* Once the number of tasks is known. */
static int check_rounds(const struct cell_request *r, char *why, size_t why_size)
{
	int least = advise_rounds_least(&r->cell);

	if (r->cell.batches >= least && r->cell.batches <= TRIAL_ROUNDS_MAX)
		return 0;
	snprintf(why, why_size, "advise: --rounds must be %d to %d: %s", least, TRIAL_ROUNDS_MAX,
		 r->cell.batches < least ? "in fewer nothing could be shown"
					 : "more are not measured while somebody waits");
	return -EINVAL;
}

/* Fills in the number of tasks, checks that of rounds, and says which call takes the work's columns. */
static int look_at_work(struct cell_request *r, const char **call, char *why, size_t why_size)
{
	struct cell probe = r->cell;
	const struct work_options options = { .tasks = r->cell.tasks,
					      .work = r->cell.work,
					      .payload_bytes = r->cell.payload_bytes,
					      .seed = r->setup.seed };
	struct work work;
	int rc;

	snprintf(probe.backend, sizeof probe.backend, "shm");
	snprintf(probe.variant, sizeof probe.variant, "map");
	rc = cell_check(&probe, why, why_size);
	if (rc != 0)
		return rc;
	rc = work_open(&work, workload_find(r->cell.workload), &options, why, why_size);
	if (rc != 0)
		return rc;
	r->cell.tasks = work.tasks;
	*call = work.columns == 1 ? "map" : "starmap";
	work_close(&work);
	return check_rounds(r, why, why_size);
}

int advise_main(int argc, char **argv)
{
	struct cell_request r;
	const char *call, *refused;
	char why[256];

	if (cell_request_read(&r, argc, argv, ROUNDS) != 0)
		return EXIT_USAGE;
	if (r.help) {
		fputs(help, stdout);
		return EXIT_FINE;
	}
	refused = refusal(&r);
	if (refused == NULL && look_at_work(&r, &call, why, sizeof why) != 0)
		refused = why;
	if (refused == NULL)
		return measure(&r, call);
	fprintf(stderr, "poolbench: %s\n", refused);
	return EXIT_USAGE;
}
