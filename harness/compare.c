/*
 * compare.c - `poolbench compare`: two runs, a session of two programs, or two programs now.
 */
#include "harness/compare.h"
#include "harness/args.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "harness/rerun.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: poolbench compare A B [--floor PERCENT | --floor-from RUN...] [--csv]\n"
	"       poolbench compare --rerun BINARY_A BINARY_B [OPTION...]\n"
	"       poolbench compare SESSION [--floor PERCENT] [--csv]\n"
	"\n"
	"Is B (the candidate) slower than A (the baseline)? One of five verdicts for each cell:\n"
	"  REGRESSION      surely slower, by more than 2 % and more than the floor\n"
	"  NOT COMPARABLE  a wrong result, another machine, batches of another length, too much\n"
	"                  disturbance\n"
	"  INCONCLUSIVE    the rows do not tell; what would have been seen, how many rounds it "
	"takes\n"
	"  IMPROVEMENT     surely faster, likewise\n"
	"  EQUIVALENT      within 3 %\n"
	"The ratio is B over A with its 95 % interval; p is corrected (Holm) over the cells of "
	"the\n"
	"experiment, which are one family. harness/verdict.h has the rules.\n"
	"\n"
	"A B: directories of two finished runs. They are different sessions, and what changed\n"
	"between them looks like a difference: REGRESSION and IMPROVEMENT need a floor.\n"
	"--rerun: both programs measure each cell in each round, in random order; A does so\n"
	"twice, and the furthest that the 95 % interval of one of an experiment's cells then "
	"lies\n"
	"from no difference is the floor. It is not corrected for the number of cells: with many "
	"of\n"
	"them chance raises it more often, and a difference must be larger to be named. A\n"
	"difference is measured again in as many fresh rounds and reported if it is shown again.\n"
	"SESSION is the directory that this wrote; floor and --all-rounds are then those it was\n"
	"measured with, unless --floor is given.\n"
	"\n"
	"  --csv              comma separated values instead of a table\n"
	"  --floor PERCENT    what one program may differ from itself (--rerun: A runs once only)\n"
	"  --floor-from RUN   another run of A's program, with all cells that are compared; the "
	"floor\n"
	"                     is the most by which one of them differs from A. May be repeated: "
	"with\n"
	"                     k of them an unchanged program passes the floor once in k + 1 times "
	"at\n"
	"                     most\n"
	"  --all-rounds       leave out no round, however disturbed the machine was\n"
	"with --rerun:\n"
	"  --experiment NAME  may be repeated (default: as for `poolbench run`)\n"
	"  --cells TEXT       only cells with this text in their name\n"
	"  --rounds N         1 to 256 (default 12, or as many as the largest experiment needs)\n"
	"  --quick, --full    coarser or finer grids, shorter or longer batches, 8 or 20 rounds\n"
	"  --budget TIME      90s, 10m, 2h: fewer rounds and shorter batches to fit\n"
	"  --seed N           of the order and the inputs (default: from the clock; recorded)\n"
	"  -o, --out DIR      new or empty (default: results/compare-DATE-TIME)\n"
	"\n"
	"Exit status: 0 no regression, 1 a regression, or a cell that only B fails, 2 bad "
	"arguments\n"
	"or input, 3 no cell could be compared, 4 the machine cannot do it now, 130 interrupted.\n";

#define EXPERIMENTS_MAX 32

struct request {
	struct compare compare;
	struct rerun rerun;
	const char *experiments[EXPERIMENTS_MAX];
	size_t experiment_count;
	const char *cells;
	int level, rounds;
	int64_t seed;
	bool scaled;			  /* a level was given */
	bool is_rerun, wants_rerun, help; /* wants_rerun: an option of --rerun was given */
};

static int too_many(const char *option, size_t most)
{
	fprintf(stderr, "poolbench: %s: given more than %zu times\n", option, most);
	return -EINVAL;
}

static int refuse(const char *why)
{
	fprintf(stderr, "poolbench: compare %s, see `poolbench compare --help`\n", why);
	return -EINVAL;
}

static int read_rerun_option(struct request *r, int id, const char *text)
{
	switch (id) {
	case 'e':
		if (r->experiment_count == EXPERIMENTS_MAX)
			return too_many("--experiment", EXPERIMENTS_MAX);
		r->experiments[r->experiment_count++] = text;
		return 0;
	case 'C':
		return args_text("--cells", text, &r->cells);
	case 'r':
		return args_int("--rounds", text, 1, PAIRS_MAX, &r->rounds);
	case 'q':
	case 'F':
		if (r->scaled)
			return refuse("takes --quick or --full, not both, and once");
		r->scaled = true;
		r->level = id == 'q' ? 0 : 2;
		return 0;
	case 'b':
		return args_time("--budget", text, &r->rerun.budget_ns);
	case 's':
		return args_whole("--seed", text, 0, INT64_MAX, &r->seed);
	case 'o':
		return args_text("--out", text, &r->rerun.out);
	default:
		return -EINVAL;
	}
}

static int read_option(struct request *r, int id, const char *text)
{
	switch (id) {
	case 'c':
		r->compare.csv = true;
		return 0;
	case 'a':
		r->compare.all_rounds = true;
		return 0;
	case 'h':
		r->help = true;
		return 0;
	case 'R':
		r->is_rerun = true;
		return 0;
	case 'f':
		return args_percent("--floor", text, &r->compare.floor);
	case 'g':
		if (r->compare.floor_run_count == FLOOR_RUNS_MAX)
			return too_many("--floor-from", FLOOR_RUNS_MAX);
		return args_text("--floor-from", text,
				 &r->compare.floor_runs[r->compare.floor_run_count++]);
	default:
		return read_rerun_option(r, id, text);
	}
}

static const struct option options[] = {
	{ "csv", no_argument, NULL, 'c' },
	{ "floor", required_argument, NULL, 'f' },
	{ "floor-from", required_argument, NULL, 'g' },
	{ "all-rounds", no_argument, NULL, 'a' },
	{ "rerun", no_argument, NULL, 'R' },
	{ "experiment", required_argument, NULL, 'e' },
	{ "cells", required_argument, NULL, 'C' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "quick", no_argument, NULL, 'q' },
	{ "full", no_argument, NULL, 'F' },
	{ "budget", required_argument, NULL, 'b' },
	{ "seed", required_argument, NULL, 's' },
	{ "out", required_argument, NULL, 'o' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* Options that go together. */
static int check(const struct request *r, int names)
{
	if (r->help)
		return 0;
	if (r->is_rerun && names != 2)
		return refuse("--rerun wants two poolbench programs");
	if (!r->is_rerun && r->wants_rerun)
		return refuse("takes grid, rounds, budget, seed and directory with --rerun only");
	if (!r->is_rerun && names != 2 && names != 1)
		return refuse("wants two run directories, or the one of a session");
	if (r->compare.floor_run_count > 0 && (names != 2 || r->is_rerun))
		return refuse("--floor-from is for two runs");
	if (r->compare.floor_run_count > 0 && r->compare.floor >= 0)
		return refuse("takes --floor or --floor-from, not both");
	if (r->rounds > 0 && r->rerun.budget_ns > 0)
		return refuse("takes --rounds or --budget, not both");
	return 0;
}

static int read_request(struct request *r, int argc, char **argv)
{
	int id;

	*r = (struct request){ .level = 1, .seed = -1, .compare.floor = FLOOR_UNKNOWN };
	optind = 0;
	while ((id = args_option(argc, argv, "ho:", options)) != -1) {
		if (read_option(r, id, optarg) < 0)
			return -EINVAL;
		r->wants_rerun |= strchr("cafgRh", id) == NULL;
	}
	r->compare.baseline = optind < argc ? argv[optind] : NULL;
	r->compare.candidate = optind + 1 < argc ? argv[optind + 1] : NULL;
	return check(r, argc - optind);
}

static int rerun(struct request *r)
{
	struct rerun *rerun = &r->rerun;
	uint64_t seed = args_seed(r->seed);
	int status = EXIT_USAGE;

	rerun->baseline = r->compare.baseline;
	rerun->candidate = r->compare.candidate;
	rerun->judging.floor = r->compare.floor;
	rerun->judging.all_rounds = r->compare.all_rounds;
	rerun->csv = r->compare.csv;
	rerun->rounds_given = r->rounds > 0;
	plan_init(&rerun->plan, r->level, r->rounds, seed);
	if (plan_add_named(&rerun->plan, r->experiments, r->experiment_count) == 0 &&
	    plan_keep(&rerun->plan, r->cells) == 0)
		status = rerun_session(rerun);
	plan_free(&rerun->plan);
	return status;
}

int compare_main(int argc, char **argv)
{
	struct request r;

	if (read_request(&r, argc, argv) < 0)
		return EXIT_USAGE;
	if (r.help) {
		fputs(help, stdout);
		return EXIT_FINE;
	}
	if (r.is_rerun)
		return rerun(&r);
	return r.compare.candidate ? compare_runs(&r.compare) : compare_session(&r.compare);
}
