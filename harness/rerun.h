/*
 * rerun.h - a session of two programs: measured by turns, judged, differences confirmed, printed.
 *
 * DESIGN. Three arms: A the baseline, B the candidate, and A2, the baseline once more, whose difference from A is the floor that
 * a regression must exceed; with a floor given there are two. A cell whose difference is shown is measured again in as
 * many fresh rounds, and only what these show too is reported, with their numbers: the first ones were chosen
 * for being large. Rounds that the machine disturbed are replaced, up to half as many as were asked for. Each program is opened once, so one that is built anew meanwhile does not count; one that is written to has no
 * verdict, nor has a session of which that is not known as it did not come to its end. All rows are in the session's directory, and how they were judged in its run.json, so `poolbench compare DIR` gives the same answers again.
 */
#ifndef HARNESS_RERUN_H
#define HARNESS_RERUN_H

#include "harness/plan.h"
#include "harness/versus.h"

struct program;
struct run_dir;

#define CONFIRM_ROUND                                                                              \
	(ROUNDS_END / 2) /* the first of the rounds that confirm; those before are fewer */

/* How rows are judged. */
struct judging {
	double floor;	 /* FLOOR_UNKNOWN: from a third arm, if there is one */
	int cpus;	 /* of the machine */
	bool all_rounds; /* no round is left out */
};

struct rerun {
	const char *baseline, *candidate; /* paths; NULL: this program */
	struct plan plan; /* the caller's: what to measure; settled by rerun_session */
	bool rounds_given; /* else plan.scale.rounds grows until the largest family can have a verdict */
	const char *out;	/* directory; NULL: results/compare-DATE-TIME */
	struct judging judging; /* with FLOOR_UNKNOWN there is a third arm; cpus is found out */
	int64_t budget_ns;	/* 0: none; a third of it is for confirming */
	bool csv;
};

/* Blocks for as long as it takes, prints the verdicts. An exit status: see versus_status(), and EXIT_USAGE, EXIT_UNFIT,
 * EXIT_INTERRUPTED. */
int rerun_session(struct rerun *rerun);

/* How long a process of its may take: as in a run of its level, but 30 s at least, since the programs may differ by much. */
int64_t rerun_deadline_ns(const struct plan *plan);

/* Into run.json, before and after measuring; programs: A's and B's. *changed: one of them was written to meanwhile, which is told
 * on stderr. 0, or -errno after one line on stderr: then the session is not judged again. */
int rerun_note_begin(const struct run_dir *dir, const struct judging *judging);
int rerun_note_end(const struct run_dir *dir, const struct program *programs, bool *changed);

/* How the session that `info` tells of (run.json in that directory) was judged: its floor unless one is given, and all
 * rounds if it kept all; says so on stderr. 0, or an exit status after one line on stderr. */
int rerun_judged(struct judging *judging, const char *directory, const json_t *info);

/* The verdicts of a session's rows. 0 or -ENOMEM; versus_free in any case. */
int rerun_judge(struct versus *versus, const struct rows *rows, const struct judging *judging);

#endif
