/*
 * run.c - `poolbench run`: every cell of the chosen experiments, once a round, in random order, each in a process of its own.
 *
 * DESIGN. The loop owns nothing but the order: what to do is the plan's, where it goes is the directory's, how it is measured
 * is the child's. Signals are blocked except while waiting for a child, so Ctrl-C is always seen at one place, and
 * everything measured before is on disk. A cell that failed once is not tried again in later rounds: a hanging backend
 * would cost its deadline in each.
 */
#include "harness/args.h"
#include "harness/child.h"
#include "harness/clock.h"
#include "harness/commands.h"
#include "harness/interrupt.h"
#include "harness/progress.h"
#include "harness/run_dir.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"Usage: poolbench run [EXPERIMENT...] [OPTION...]\n"
	"\n"
	"Runs experiments (default: all, see `poolbench list`) and prints the run's directory.\n"
	"The experiment `peers` runs when it is named or with --full.\n"
	"\n"
	"  --quick       under a minute: coarse grids, short batches\n"
	"  --full        under an hour: fine grids, many rounds (default: under five minutes)\n"
	"  --out DIR     where to write, new or empty (default: results/run-DATE-TIME)\n"
	"  --rounds N    exactly N rounds, 1 to 1000, however long they take\n"
	"  --seed N      of the order and the inputs (default: from the clock; it is recorded)\n"
	"  --resume DIR  go on with an interrupted run; its plan is used, other options are "
	"refused\n"
	"\n"
	"Ctrl-C stops the run and keeps what is done. Exit status: 0 fine, 1 a cell failed or gave "
	"a\n"
	"wrong result, 2 bad arguments, 4 the directory cannot be written any more, 130 "
	"interrupted.\n";

struct wish {
	int level, rounds;
	int64_t seed;
	const char *out, *resume;
	char **experiments;
	int count;
	bool help, planned; /* planned: an option was given that --resume takes from the run */
};

struct session {
	struct plan plan;
	struct rows rows; /* of a resumed run; for the summary all rows end up here */
	struct run_dir dir;
	struct progress progress;
	bool *done;   /* by order number */
	bool *failed; /* by cell */
	size_t *order;
	int64_t deadline_ns, begin_ns;
	sigset_t waiting; /* the signal mask while waiting */
};

/*
 * == Arguments ==
 */

static int read_option(struct wish *wish, int id, const char *text)
{
	wish->planned |= id != 'R' && id != 'h';
	switch (id) {
	case 'q':
	case 'f':
		if (wish->level != 1) {
			fprintf(stderr, "poolbench: give --quick or --full, not both, and once\n");
			return -EINVAL;
		}
		wish->level = id == 'q' ? 0 : 2;
		return 0;
	case 'o':
		wish->out = text;
		return 0;
	case 'r':
		return args_int("--rounds", text, 1, 1000, &wish->rounds);
	case 's':
		return args_whole("--seed", text, 0, INT64_MAX, &wish->seed);
	case 'R':
		wish->resume = text;
		return 0;
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
		{ "quick", no_argument, NULL, 'q' },
		{ "full", no_argument, NULL, 'f' },
		{ "out", required_argument, NULL, 'o' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "resume", required_argument, NULL, 'R' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int id;

	*wish = (struct wish){ .level = 1, .seed = -1 };
	optind = 0;
	while ((id = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (read_option(wish, id, optarg) < 0)
			return -EINVAL;
	wish->experiments = argv + optind;
	wish->count = argc - optind;
	if (wish->resume == NULL || (!wish->planned && wish->count == 0))
		return 0;
	fprintf(stderr, "poolbench: --resume takes everything from the run: no other arguments\n");
	return -EINVAL;
}

/*
 * == Before ==
 */

static int new_run(struct session *s, const struct wish *wish)
{
	uint64_t seed = wish->seed >= 0 ? (uint64_t)wish->seed
					: (uint64_t)clock_now_ns() & UINT64_C(0x7FFFFFFF);
	int rc;

	plan_init(&s->plan, wish->level, wish->rounds, seed);
	rc = plan_add_named(&s->plan, (const char *const *)wish->experiments, (size_t)wish->count);
	if (rc < 0)
		return rc;
	plan_settle(&s->plan);
	return run_dir_create(&s->dir, wish->out, &s->plan, NULL);
}

static int make_room(struct session *s)
{
	static const int64_t deadline_s[] = { 10, 30, 120 };
	size_t total = s->plan.count * (size_t)s->plan.scale.rounds;

	s->deadline_ns = deadline_s[s->plan.scale.level] * NS_PER_S;
	s->done = calloc(total, sizeof *s->done);
	s->failed = calloc(s->plan.count, sizeof *s->failed);
	s->order = calloc(s->plan.count, sizeof *s->order);
	return s->done && s->failed && s->order ? 0 : -ENOMEM;
}

static void note_failed(struct session *s, const struct cell *cell)
{
	for (size_t i = 0; i < s->plan.count; i++)
		if (cell_equal(&s->plan.cells[i], cell))
			s->failed[i] = true;
}

/* Marks what a resumed run has already; how many. */
static size_t mark_done(struct session *s)
{
	size_t total = s->plan.count * (size_t)s->plan.scale.rounds, count = 0;

	for (size_t i = 0; i < s->rows.count; i++) {
		const struct record *row = &s->rows.at[i];
		if (row->order < 0 || (size_t)row->order >= total || s->done[row->order])
			continue;
		s->done[row->order] = true;
		count++;
		if (!row->verified)
			note_failed(s, &row->cell);
	}
	return count;
}

static void announce(const struct session *s, size_t done)
{
	char time[32];
	size_t total = s->plan.count * (size_t)s->plan.scale.rounds;
	double left = (double)(total - done) / (double)total;

	progress_time((int64_t)((double)plan_estimate_ns(&s->plan) * left), time, sizeof time);
	fprintf(stderr,
		"poolbench: %s run, %zu cells, %d rounds, seed %" PRIu64 ", about %s, into %s\n",
		s->plan.scale.name, s->plan.count, s->plan.scale.rounds, s->plan.seed, time,
		s->dir.path);
	if (s->plan.budget_ns != 0 && plan_estimate_ns(&s->plan) > s->plan.budget_ns)
		fprintf(stderr,
			"poolbench: that is more than a %s run should take: rounds will be "
			"dropped\n",
			s->plan.scale.name);
}

/*
 * == During ==
 */

static int run_cell(struct session *s, int round, size_t position)
{
	size_t cell = s->order[position];
	struct record record = { .cell = s->plan.cells[cell],
				 .round = round,
				 .order = (int)((size_t)round * s->plan.count + position) };
	char label[256];
	int rc;

	if (s->done[record.order])
		return 0;
	cell_label(&record.cell, label, sizeof label);
	if (!s->failed[cell]) {
		rc = child_measure(&record, s->plan.seed, s->deadline_ns, &s->waiting);
		if (rc == 0)
			rc = run_dir_append(&s->dir, &record);
		if (rc == 0)
			rc = rows_add(&s->rows, &record);
		if (rc < 0)
			return rc;
		s->failed[cell] = !record.verified;
	}
	s->done[record.order] = true;
	progress_step(&s->progress, label);
	return 0;
}

static int run_round(struct session *s, int round)
{
	plan_order(&s->plan, round, s->order);
	for (size_t position = 0; position < s->plan.count; position++) {
		int rc = run_cell(s, round, position);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Would one more round like the mean of `rounds` overrun the time this scale may take? */
static bool out_of_time(const struct session *s, int rounds)
{
	int64_t used = clock_now_ns() - s->begin_ns;

	return s->plan.budget_ns != 0 && used + used / rounds > s->plan.budget_ns;
}

static int run_rounds(struct session *s)
{
	int rounds = s->plan.scale.rounds, fresh = 0;

	for (int round = 0; round < rounds; round++) {
		size_t before = s->progress.done;
		int rc = run_round(s, round);
		if (rc < 0)
			return rc;
		fresh += s->progress.done != before;
		if (fresh == 0 || round + 1 == rounds || !out_of_time(s, fresh))
			continue;
		progress_clear(&s->progress);
		fprintf(stderr,
			"poolbench: %d of %d rounds done; the rest is dropped, it would take "
			"longer "
			"than a %s run should\n",
			round + 1, rounds, s->plan.scale.name);
		break;
	}
	return 0;
}

/*
 * == After ==
 */

/* Rows that are not verified, each with its reason; how many. */
static size_t report_failed(const struct session *s)
{
	size_t count = 0;
	char label[256];

	for (size_t i = 0; i < s->rows.count; i++) {
		const struct record *row = &s->rows.at[i];
		if (row->verified)
			continue;
		cell_label(&row->cell, label, sizeof label);
		fprintf(stderr, "poolbench: failed: %s %s: %s\n", row->cell.experiment, label,
			row->error);
		count++;
	}
	return count;
}

static int conclude(struct session *s, int rc)
{
	size_t failed;

	progress_clear(&s->progress);
	failed = report_failed(s);
	if (rc < 0) {
		fprintf(stderr,
			"poolbench: %s; %zu rows are kept, go on with: poolbench run --resume %s\n",
			rc == -EINTR ? "interrupted" : strerror(-rc), s->rows.count, s->dir.path);
		return rc == -EINTR ? EXIT_INTERRUPTED : EXIT_UNFIT;
	}
	fprintf(stderr,
		"poolbench: %zu rows, %zu failed; next: poolbench plot %s, poolbench report %s\n",
		s->rows.count, failed, s->dir.path, s->dir.path);
	printf("%s\n", s->dir.path);
	return failed ? EXIT_BAD : EXIT_FINE;
}

static int run_session(struct session *s)
{
	size_t done;
	int rc = make_room(s);

	if (rc < 0) {
		fprintf(stderr, "poolbench: no memory\n");
		return EXIT_UNFIT;
	}
	done = mark_done(s);
	announce(s, done);
	interrupt_catch(&s->waiting);
	progress_begin(&s->progress, done, s->plan.count * (size_t)s->plan.scale.rounds);
	s->begin_ns = clock_now_ns();
	rc = run_rounds(s);
	return conclude(s, rc);
}

static void session_free(struct session *s)
{
	run_dir_close(&s->dir);
	plan_free(&s->plan);
	rows_free(&s->rows);
	free(s->done);
	free(s->failed);
	free(s->order);
}

int run_main(int argc, char **argv)
{
	struct session s = { .dir.rows_fd = -1 };
	struct wish wish;
	int rc;

	if (read_wish(&wish, argc, argv) < 0)
		return EXIT_USAGE;
	if (wish.help) {
		fputs(help, stdout);
		return EXIT_FINE;
	}
	rc = wish.resume ? run_dir_resume(&s.dir, wish.resume, &s.plan, &s.rows)
			 : new_run(&s, &wish);
	rc = rc < 0 ? EXIT_USAGE : run_session(&s);
	session_free(&s);
	return rc;
}
