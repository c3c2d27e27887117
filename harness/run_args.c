/*
 * run_args.c - reading the arguments of `poolbench run`.
 */
#include "harness/run_args.h"
#include "harness/args.h"
#include "harness/saved.h"
#include "harness/series.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>

const char run_help[] =
	"Usage: poolbench run [EXPERIMENT...] [OPTION...]\n"
	"\n"
	"Runs experiments (default: all, see `poolbench list`) and prints the run's directory.\n"
	"The experiment `peers` runs when it is named or with --full.\n"
	"\n"
	"  --quick         under a minute: coarse grids, short batches\n"
	"  --full          under an hour: fine grids, many rounds (default: under five minutes)\n"
	"  --out DIR       where to write, new or empty (default: results/run-DATE-TIME)\n"
	"  --cells TEXT    only cells with this text in their name\n"
	"  --rounds N      exactly N rounds, 1 to 256, however long they take\n"
	"  --budget TIME   90s, 10m, 2h: as many rounds as fit, and shorter batches if need be\n"
	"  --seed N        of the order and the inputs (default: order by the clock, inputs of "
	"seed 1;\n"
	"                  both are recorded)\n"
	"  --resume DIR    go on with an interrupted run; its plan is used, other options are\n"
	"                  refused\n"
	"  --precision P   for exploring: a cell is left alone when its time is known within P "
	"per\n"
	"                  cent (half of the 95 % interval), at the latest after --rounds "
	"(default\n"
	"                  100). No verdicts from such a run.\n"
	"\n"
	"Baselines are kept with their program under results/baselines:\n"
	"  --save-baseline NAME  when all cells are right, keep the run and this program as NAME,\n"
	"                  also where it was interrupted and resumed\n"
	"  --baseline NAME  measure this program and NAME's by turns, and print verdicts as\n"
	"                  `poolbench compare --rerun` does; the cells are NAME's\n"
	"  --gate          the same in 20 rounds (default NAME: default)\n"
	"  --all-rounds    with a baseline: leave out no round, however disturbed the machine was\n"
	"\n"
	"Ctrl-C stops the run and keeps what is done. Exit status: 0 fine, 1 a cell failed or gave "
	"a\n"
	"wrong result, or a regression; 2 bad arguments, 3 nothing could be compared, 4 the "
	"directory\n"
	"cannot be written any more, 130 interrupted.\n";

static const struct option options[] = {
	{ "quick", no_argument, NULL, 'q' },
	{ "full", no_argument, NULL, 'f' },
	{ "out", required_argument, NULL, 'o' },
	{ "cells", required_argument, NULL, 'c' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "budget", required_argument, NULL, 'b' },
	{ "seed", required_argument, NULL, 's' },
	{ "resume", required_argument, NULL, 'R' },
	{ "precision", required_argument, NULL, 'p' },
	{ "save-baseline", required_argument, NULL, 'S' },
	{ "baseline", required_argument, NULL, 'B' },
	{ "all-rounds", no_argument, NULL, 'a' },
	{ "gate", no_argument, NULL, 'g' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static int refuse(const char *why)
{
	fprintf(stderr, "poolbench: %s\n", why);
	return -EINVAL;
}

static int read_level(struct run_wish *wish, int level)
{
	if (wish->scaled)
		return refuse("give --quick or --full, not both, and once");
	wish->scaled = true;
	wish->level = level;
	return 0;
}

static int read_precision(const char *text, double *precision)
{
	if (args_percent("--precision", text, precision) < 0)
		return -EINVAL;
	return *precision > 0 ? 0 : refuse("--precision: want more than 0 per cent");
}

static int read_text(struct run_wish *wish, int id, const char *text)
{
	switch (id) {
	case 'o':
		return args_text("--out", text, &wish->out);
	case 'c':
		return args_text("--cells", text, &wish->cells);
	case 'R':
		return args_text("--resume", text, &wish->resume);
	case 'S':
		wish->save = text;
		return saved_check_name("--save-baseline", text);
	case 'B':
		wish->baseline = text;
		return saved_check_name("--baseline", text);
	default:
		return -EINVAL;
	}
}

static int read_option(struct run_wish *wish, int id, const char *text)
{
	wish->planned |= id != 'R' && id != 'h';
	switch (id) {
	case 'q':
		return read_level(wish, 0);
	case 'f':
		return read_level(wish, 2);
	case 'r':
		return args_int("--rounds", text, 1, PAIRS_MAX, &wish->rounds);
	case 'b':
		return args_time("--budget", text, &wish->budget_ns);
	case 's':
		return args_whole("--seed", text, 0, INT64_MAX, &wish->seed);
	case 'p':
		return read_precision(text, &wish->precision);
	case 'g':
		wish->gate = true;
		return 0;
	case 'a':
		wish->all_rounds = true;
		return 0;
	case 'h':
		wish->help = true;
		return 0;
	default:
		return read_text(wish, id, text);
	}
}

/* Options that do not go together. */
static int check(struct run_wish *wish)
{
	if (wish->resume != NULL && (wish->planned || wish->experiment_count > 0))
		return refuse("--resume takes everything from the run: no other arguments");
	if (wish->rounds > 0 && wish->budget_ns > 0 && wish->precision <= 0)
		return refuse("give --rounds or --budget, not both");
	if (wish->gate && wish->rounds > 0)
		return refuse("--gate has 20 rounds: give --baseline and --rounds for others");
	if (wish->gate && wish->baseline == NULL)
		wish->baseline = SAVED_NAME_DEFAULT;
	if (wish->baseline != NULL && (wish->save != NULL || wish->precision > 0 || wish->scaled))
		return refuse("--baseline and --gate take cells and batches from the baseline: no "
			      "--quick, --full, --precision, --save-baseline");
	if (wish->all_rounds && wish->baseline == NULL)
		return refuse("--all-rounds is for --baseline and --gate");
	if (wish->save != NULL && wish->precision > 0)
		return refuse("--save-baseline wants a whole run: no --precision");
	return 0;
}

int run_args_read(struct run_wish *wish, int argc, char **argv)
{
	int id;

	*wish = (struct run_wish){ .level = 1, .seed = -1 };
	optind = 0;
	while ((id = args_option(argc, argv, "h", options)) != -1)
		if (read_option(wish, id, optarg) < 0)
			return -EINVAL;
	wish->experiments = (const char *const *)argv + optind;
	wish->experiment_count = (size_t)(argc - optind);
	return check(wish);
}
