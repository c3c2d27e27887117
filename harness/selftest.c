/*
 * selftest.c - `poolbench selftest`: are faults found that were put in, and none where there are none?
 *
 * DESIGN. The blocks of selftest_blocks.c one after the other: measured by arms_run, whose rows go to the directory as they
 * come, then judged by selftest_judge.c, a line each. The copy that a program is compared with is a file of its own
 * in that directory, so paths and the place of the code in memory differ as they do between two builds.
 */
#include "harness/args.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "harness/interrupt.h"
#include "harness/plot.h"
#include "harness/program.h"
#include "harness/progress.h"
#include "harness/run_dir.h"
#include "harness/selftest_blocks.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEADLINE_NS (20 * NS_PER_S)
/* What an invocation takes beside its batches: the process, input, the serial loop. */
#define INVOCATION_FIXED_NS (35 * NS_PER_MS)

static const char help[] =
	"Usage: poolbench selftest [OPTION...]\n"
	"\n"
	"Does the suite see what is there, and nothing else? Compares this program with a copy of "
	"itself\n"
	"many times, which must give no REGRESSION; and a program with faults put in (more work, a "
	"system\n"
	"call, a copy, a stall, a task left out or run twice), each of which must be found by what "
	"it\n"
	"changes. Prints a line for each check, draws how often slowdowns are found "
	"(DIR/plots/power.svg),\n"
	"and keeps all rows in DIR.\n"
	"\n"
	"  --short             under three minutes (default: some 25): fewer comparisons\n"
	"  -o, --out DIR       where to write, new or empty (default: results/run-DATE-TIME)\n"
	"  --seed N            of order and input (default: from the clock; it is recorded)\n"
	"  --fault-binary FILE the program with the faults (default: fault/poolbench beside this "
	"one;\n"
	"                      `make selftest` builds it)\n"
	"\n"
	"Timings are compared, so let nothing else run. Ctrl-C stops and keeps the rows.\n"
	"Exit status: 0 all checks passed, 2 bad arguments, 4 it cannot be measured here (or "
	"others\n"
	"disturbed it too much), 5 a check failed, 130 interrupted.\n";

struct wish {
	bool is_short, help;
	const char *out, *fault;
	int64_t seed;
};

struct selftest {
	struct wish wish;
	char fault[PATH_MAX], copy[PATH_MAX]; /* programs; copy "": not made */
	struct plan plan;		      /* of the directory; cells of all blocks */
	struct run_dir dir;
	sigset_t waiting;
	struct rows power; /* for the figure */
	size_t checks, failed, undecided;
};

/*
 * == Arguments ==
 */

static int read_option(struct wish *wish, int id, const char *text)
{
	switch (id) {
	case 'q':
		wish->is_short = true;
		return 0;
	case 'o':
		return args_text("--out", text, &wish->out);
	case 's':
		return args_whole("--seed", text, 0, INT64_MAX, &wish->seed);
	case 'f':
		return args_text("--fault-binary", text, &wish->fault);
	case 'h':
		wish->help = true;
		return 0;
	default:
		return -EINVAL;
	}
}

static int read_wish(struct wish *wish, int argc, char **argv)
{
	static const struct option options[] = {
		{ "short", no_argument, NULL, 'q' },
		{ "out", required_argument, NULL, 'o' },
		{ "seed", required_argument, NULL, 's' },
		{ "fault-binary", required_argument, NULL, 'f' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int id;

	*wish = (struct wish){ .seed = -1 };
	optind = 0;
	while ((id = args_option(argc, argv, "ho:", options)) != -1)
		if (read_option(wish, id, optarg) < 0)
			return -EINVAL;
	if (optind == argc)
		return 0;
	fprintf(stderr, "poolbench: selftest: '%s' is surplus: it takes options only\n",
		argv[optind]);
	return -EINVAL;
}

/*
 * == Programs ==
 */

static int find_fault_program(struct selftest *s)
{
	char self[PATH_MAX - sizeof "/fault/poolbench"], version[256];
	ssize_t size = readlink("/proc/self/exe", self, sizeof self - 1);

	if (s->wish.fault != NULL) {
		snprintf(s->fault, sizeof s->fault, "%s", s->wish.fault);
	} else {
		self[size > 0 ? size : 0] = '\0';
		char *slash = strrchr(self, '/');
		snprintf(s->fault, sizeof s->fault, "%.*s/fault/poolbench",
			 (int)(slash ? slash - self : 0), self);
	}
	if (s->wish.fault != NULL || access(s->fault, X_OK) == 0)
		return program_check(s->fault, version, sizeof version);
	fprintf(stderr,
		"poolbench: %s: %s; want the program with faults: `make selftest` builds it, "
		"--fault-binary names it\n",
		s->fault, strerror(errno));
	return -ENOENT;
}

/* A file of its own, so that its path and place in memory are not this program's. */
static int make_copy(struct selftest *s)
{
	snprintf(s->copy, sizeof s->copy, "%s/copy-of-poolbench", s->dir.path);
	return program_copy(NULL, s->copy, 0777);
}

/*
 * == Measuring ==
 */

static int64_t block_estimate_ns(const struct selftest *s, const struct block *block)
{
	int64_t ns = 0;

	for (size_t i = 0; i < block->cell_count; i++)
		ns += INVOCATION_FIXED_NS +
		      (block->cells[i].batches + 1) * block->cells[i].batch_ns;
	return ns * (int64_t)selftest_block_arms(block) *
	       selftest_block_rounds(block, s->wish.is_short);
}

static int make_plan(struct selftest *s)
{
	const struct block *block;
	uint64_t seed = args_seed(s->wish.seed);
	int rc = 0;

	plan_init(&s->plan, s->wish.is_short ? 0 : 2, 1, seed);
	s->plan.input_seed = seed;
	for (size_t i = 0; rc == 0 && (block = selftest_block(i)) != NULL; i++)
		for (size_t k = 0; rc == 0 && k < block->cell_count; k++)
			rc = plan_add(&s->plan, &block->cells[k]);
	return rc;
}

static void announce(const struct selftest *s)
{
	const struct block *block;
	int64_t ns = 0;
	char time[32];

	for (size_t i = 0; (block = selftest_block(i)) != NULL; i++)
		ns += block_estimate_ns(s, block);
	progress_time(ns, time, sizeof time);
	fprintf(stderr, "poolbench: selftest%s, seed %" PRIu64 ", about %s, into %s\n",
		s->wish.is_short ? ", short" : "", s->plan.seed, time, s->dir.path);
}

static void set_arms(const struct selftest *s, const struct block *block, struct arms *arms,
		     char settings[SELFTEST_ARMS_MAX][64])
{
	arms->arm_count = selftest_block_arms(block);
	for (size_t i = 0; i < arms->arm_count; i++) {
		snprintf(settings[i], 64, "POOLBENCH_FAULT=%s", block->arms[i]);
		arms->arm[i] = (struct arm){ block->arms[i], s->fault, settings[i] };
		if (block->same)
			arms->arm[i] = (struct arm){ block->arms[i], i ? s->copy : NULL, NULL };
	}
}

static int measure(struct selftest *s, const struct block *block, struct rows *rows)
{
	char settings[SELFTEST_ARMS_MAX][64], time[32];
	struct arms arms = { .cells = block->cells,
			     .cell_count = block->cell_count,
			     .rounds = selftest_block_rounds(block, s->wish.is_short),
			     .seed = s->plan.seed,
			     .deadline_ns = DEADLINE_NS,
			     .dir = &s->dir };
	int rc;

	set_arms(s, block, &arms, settings);
	progress_time(block_estimate_ns(s, block), time, sizeof time);
	fprintf(stderr, "poolbench: %s: %d rounds, about %s\n", block->about, arms.rounds, time);
	rc = arms_run(&arms, &s->waiting);
	*rows = arms.rows;
	return rc;
}

/*
 * == Judging ==
 */

static void print_check(struct selftest *s, const struct check *check)
{
	const char *result = check->ok ? "ok" : check->undecided ? "UNSURE" : "FAILED";

	printf("%-6s %-12s %s\n", result, check->name, check->text);
	fflush(stdout);
	s->checks++;
	s->failed += !check->ok && !check->undecided;
	s->undecided += check->undecided;
}

static int judge(struct selftest *s, const struct block *block, const struct rows *rows, int rounds)
{
	int tries = selftest_block_tries(block, s->wish.is_short);
	struct question q = { .rows = rows,
			      .cells = block->cells,
			      .cell_count = block->cell_count,
			      .baseline = block->arms[0],
			      .try_rounds = block->try_rounds,
			      .strict = !s->wish.is_short };
	int rc = 0;

	q.tries = rounds / block->try_rounds < tries ? rounds / block->try_rounds : tries;
	for (size_t i = 1; rc == 0 && i < selftest_block_arms(block); i++) {
		struct check check;
		q.candidate = block->arms[i];
		rc = block->judge(&q, &check);
		if (rc == 0)
			print_check(s, &check);
	}
	return rc;
}

/* By its undisturbed rounds; those of the power curve are kept for the figure. */
static int judge_usable(struct selftest *s, const struct block *block, const struct rows *rows)
{
	int measured = selftest_block_rounds(block, s->wish.is_short);
	struct rows usable;
	int rounds = selftest_usable(rows, (int)sysconf(_SC_NPROCESSORS_ONLN), measured, &usable);
	int rc = rounds < 0 ? rounds : judge(s, block, &usable, rounds);

	if (rc == 0 && rounds < measured)
		fprintf(stderr, "poolbench: %d of %d rounds are left out: others were busy\n",
			measured - rounds, measured);
	if (rc == 0 && strcmp(block->name, selftest_figure.name) == 0)
		s->power = usable;
	else
		rows_free(&usable);
	return rc;
}

static int run_blocks(struct selftest *s)
{
	const struct block *block;
	int rc = 0;

	for (size_t i = 0; rc == 0 && (block = selftest_block(i)) != NULL; i++) {
		struct rows rows = { 0 };
		rc = measure(s, block, &rows);
		if (rc == 0)
			rc = block->exact ? judge(s, block, &rows,
						  selftest_block_rounds(block, s->wish.is_short))
					  : judge_usable(s, block, &rows);
		rows_free(&rows);
	}
	return rc;
}

static int draw(const struct selftest *s)
{
	char finding[FINDING_SIZE];
	enum drawing drawing;
	int rc = plot_experiment("selftest", s->dir.path, &s->power, &selftest_figure, finding,
				 &drawing);

	if (rc == 0 && drawing == DRAWN)
		fprintf(stderr, "poolbench: drawn: %s/plots/power.svg\n", s->dir.path);
	return rc == 0 && drawing == BADLY ? EXIT_USAGE : rc;
}

static int conclude(struct selftest *s, int rc)
{
	if (rc == -EINTR) {
		fprintf(stderr, "poolbench: interrupted; the rows are kept in %s\n", s->dir.path);
		return EXIT_INTERRUPTED;
	}
	if (rc < 0) {
		fprintf(stderr, "poolbench: selftest: %s\n", strerror(-rc));
		return EXIT_UNFIT;
	}
	rc = draw(s);
	printf("selftest: %zu checks, %zu failed, %zu undecided; rows and figure in %s\n",
	       s->checks, s->failed, s->undecided, s->dir.path);
	if (s->failed > 0)
		return EXIT_SELFTEST;
	return rc || s->undecided ? EXIT_UNFIT : EXIT_FINE;
}

static int run(struct selftest *s)
{
	int rc = find_fault_program(s);

	if (rc == 0)
		rc = make_plan(s);
	if (rc == 0)
		rc = run_dir_create(&s->dir, s->wish.out, &s->plan, NULL);
	if (rc == 0)
		rc = run_dir_note(&s->dir, "selftest", json_true());
	if (rc < 0)
		return exit_of(rc);
	announce(s);
	interrupt_catch(&s->waiting);
	rc = make_copy(s);
	if (rc == 0)
		rc = run_blocks(s);
	unlink(s->copy);
	return conclude(s, rc);
}

int selftest_main(int argc, char **argv)
{
	struct selftest s = { .dir.rows_fd = -1 };
	int status = EXIT_USAGE;

	if (read_wish(&s.wish, argc, argv) < 0)
		return EXIT_USAGE;
	if (s.wish.help)
		fputs(help, stdout);
	else
		status = run(&s);
	run_dir_close(&s.dir);
	plan_free(&s.plan);
	rows_free(&s.power);
	return s.wish.help ? EXIT_FINE : status;
}
