/*
 * doctor_trials.c - what the machine does when it is asked to: an idle spinner's second, wake-ups, two equal arms.
 *
 * DESIGN. Nothing is measured here that `poolbench cell` could not measure: the spinner is the baseline "hiccup", the wake-ups
 * are those of scripts/peers/limits, the arms are two copies of one cell. So the figures are the same as a run's.
 */
#include "harness/clock.h"
#include "harness/doctor.h"
#include "harness/probe.h"
#include "harness/series.h"
#include "harness/trial.h"
#include "harness/verdict.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED 1
#define PAIRS 12 /* rounds of a default run */
/* More than this share of the CPU time that is ours went to others while we tried: nothing can be concluded. */
#define OTHERS_UNFIT 0.5
#define OTHERS_MIND 0.05
#define STEAL_MIND 0.01
#define PRESSURE_MIND 0.1
#define STOPPED_MIND_NS NS_PER_MS
#define WAKE_MIND_NS 20000
/* A run that could not see a change by half is no use; one that misses a tenth wants more rounds. */
#define EFFECT_UNFIT 0.5
#define EFFECT_MIND 0.1

static struct cell make_cell(const char *backend, const char *workload, int workers)
{
	struct cell cell = {
		.tasks = 100, .workers = workers, .batch_ns = 10 * NS_PER_MS, .batches = 3
	};

	snprintf(cell.backend, sizeof cell.backend, "%s", backend);
	snprintf(cell.variant, sizeof cell.variant, "map");
	snprintf(cell.workload, sizeof cell.workload, "%s", workload);
	return cell;
}

static void keep(struct checkup *c, const char *name, double value)
{
	json_object_set_new(c->measured, name, isfinite(value) ? json_real(value) : json_null());
}

/*
 * == An idle spinner ==
 */

static void note_machine(struct checkup *c, const struct record *row)
{
	double time = (double)row->window_ns,
	       all = time * json_number_value(json_object_get(c->host, "cpus_online"));
	double steal = (double)row->steal_ns / all, others = (double)row->foreign_ns / all;
	double pressure = (double)row->pressure_ns / time;

	checkup_note(c, "others, now",
		     others > OTHERS_MIND ? "other processes use the CPUs while we measure" : NULL,
		     "%.1f %% of all CPU time", 100 * others);
	checkup_note(c, "steal, now",
		     steal > STEAL_MIND ? "the hypervisor gives our time to others" : NULL,
		     "%.1f %% of all CPU time", 100 * steal);
	checkup_note(c, "CPU pressure, now",
		     pressure > PRESSURE_MIND
			     ? "someone has to wait for a CPU: rounds will be excluded"
			     : NULL,
		     "%.1f %% of the time", 100 * pressure);
	keep(c, "others_share", others);
	keep(c, "steal_share", steal);
	keep(c, "pressure_share", pressure);
	if (steal + others > OTHERS_UNFIT)
		c->unfit = "more than half of all CPU time went to others while it was tried";
}

static double exceeded_ns(const struct record *row, double share)
{
	int i = probe_exceedance_find(share);

	return i >= 0 && i < row->profile ? row->profile_ns[i] : 0;
}

static void note_hiccups(struct checkup *c, const struct record *row)
{
	double half = exceeded_ns(row, .5), cent = exceeded_ns(row, .01),
	       mille = exceeded_ns(row, .001), worst = exceeded_ns(row, 0);
	char text[4][24];

	c->stopped_ns = mille;
	checkup_note(c, "hiccups of a busy process",
		     mille > (double)STOPPED_MIND_NS
			     ? "a busy process is stopped: latencies beyond p99.9 are the machine's"
			     : NULL,
		     "longest stop in 10 us of work: p50 %s, p99 %s, p99.9 %s, worst %s",
		     half > 0 ? time_text(half, text[0]) : "too short to tell",
		     cent > 0 ? time_text(cent, text[1]) : "too short to tell",
		     mille > 0 ? time_text(mille, text[2]) : "too short to tell",
		     time_text(worst, text[3]));
	keep(c, "hiccup_p50_ns", half);
	keep(c, "hiccup_p99_ns", cent);
	keep(c, "hiccup_p999_ns", mille);
	keep(c, "hiccup_max_ns", worst);
}

/* A second of one process that only reads the clock. */
static int try_spinner(struct checkup *c)
{
	struct cell cell = make_cell("hiccup", "noop", 1);
	struct trial trial = { &cell, 1, 1, SEED, NULL };
	int rc;

	cell.tasks = 1;
	cell.batches = 4;
	cell.batch_ns = NS_PER_S / 4;
	snprintf(cell.probe, sizeof cell.probe, "latency");
	rc = trial_run(&trial);
	if (rc == 0 && trial_failed(&trial, 0) != NULL) {
		checkup_note(c, "spinner", "not measured: whether others disturb is not known",
			     "%.80s", trial.at[0].error);
	} else if (rc == 0) {
		note_machine(c, &trial.at[0]);
		note_hiccups(c, &trial.at[0]);
	}
	free(trial.at);
	return rc;
}

/*
 * == Wake-ups ==
 */

/* One way: half a round trip. */
static double note_wake(struct checkup *c, const struct trial *trial, size_t cell, const char *name)
{
	struct interval trip = trial_ns(trial, cell);
	double one_way = trip.mid / 2;
	char text[24];

	if (trip.mid <= 0)
		checkup_note(c, name, "not measured", "%.80s", trial_failed(trial, cell)->error);
	else
		checkup_note(c, name,
			     one_way > WAKE_MIND_NS
				     ? "tasks handed out one by one cost this much each"
				     : NULL,
			     "%s", time_text(one_way, text));
	keep(c, name, trip.mid > 0 ? one_way : NAN);
	return one_way;
}

static int try_same_cpu(struct checkup *c)
{
	const struct cell cells[] = { make_cell("raw-futex", "noop", 1),
				      make_cell("raw-pipe", "noop", 1) };
	struct trial trial = { cells, 2, 3, SEED, NULL };
	int rc = trial_run_on_one_cpu(&trial);

	if (rc == 0) {
		c->wake_ns = note_wake(c, &trial, 0, "wake-up, same CPU, futex");
		note_wake(c, &trial, 1, "wake-up, same CPU, pipe");
	}
	free(trial.at);
	return rc;
}

static int try_other_cpu(struct checkup *c)
{
	const struct cell cells[] = { make_cell("raw-futex", "noop", 2),
				      make_cell("raw-pipe", "noop", 2),
				      make_cell("raw-spin", "noop", 2) };
	struct trial trial = { cells, 3, 3, SEED, NULL };
	int rc;

	if (c->cpus < 2)
		return 0;
	rc = trial_run(&trial);
	if (rc == 0) {
		c->wake_ns = note_wake(c, &trial, 0, "wake-up, other CPU, futex");
		note_wake(c, &trial, 1, "wake-up, other CPU, pipe");
		note_wake(c, &trial, 2, "no wake-up, other CPU spins");
	}
	free(trial.at);
	return rc;
}

/*
 * == Two equal arms ==
 */

/* By the rules of `compare`, of one cell; 0: none could be told. */
static double least_effect(const struct trial *trial)
{
	double of_a[TRIAL_ROUNDS_MAX], of_b[TRIAL_ROUNDS_MAX];
	struct comparison *equal = calloc(1, sizeof *equal);
	double effect = 0;

	if (equal == NULL)
		return 0;
	comparison_pairs(equal, of_a, of_b, trial_pairs(trial, 0, 1, of_a, of_b));
	if (verdicts_decide(equal, 1, 0) == 0 && !equal->refused && isfinite(equal->least_effect))
		effect = equal->least_effect;
	free(equal);
	return effect;
}

static int try_arms(struct checkup *c)
{
	struct cell arm = make_cell("fork-shm", "spin", c->cpus), cells[2];
	struct trial trial = { cells, 2, PAIRS, SEED, NULL };
	const char *why = NULL;
	int rc;

	arm.tasks = 1000;
	arm.batch_ns = 50 * NS_PER_MS; /* as a default run's */
	cells[0] = cells[1] = arm;
	rc = trial_run(&trial);
	if (rc < 0)
		return rc;
	c->effect = least_effect(&trial);
	if (c->effect > EFFECT_MIND)
		why = "small changes will stay unseen: more rounds, or a quieter machine";
	if (c->effect > 0)
		checkup_note(c, "smallest visible effect", why, "%.1f %% in %d rounds",
			     100 * c->effect, PAIRS);
	else
		checkup_note(c, "smallest visible effect", "too few rounds worked", "%.80s",
			     trial_failed(&trial, 0) ? trial_failed(&trial, 0)->error
						     : "not known");
	keep(c, "smallest_effect", c->effect > 0 ? c->effect : NAN);
	if (c->effect > EFFECT_UNFIT || c->effect <= 0)
		c->unfit = "not even a change by half would be seen";
	free(trial.at);
	return 0;
}

int checkup_trials(struct checkup *c)
{
	int rc = try_spinner(c);

	if (rc == 0)
		rc = try_same_cpu(c);
	if (rc == 0)
		rc = try_other_cpu(c);
	return rc ? rc : try_arms(c);
}
