/*
 * saved.h - named baselines: a run and the program that measured it, kept under results/baselines/NAME.
 *
 * DESIGN. The program is kept because two sessions cannot be told apart from two programs: against a baseline both programs
 * are measured by turns, now (rerun.h). The run beside it says which cells to measure, and with which batches; being
 * an ordinary run's directory it can be plotted and reported, too.
 */
#ifndef HARNESS_SAVED_H
#define HARNESS_SAVED_H

#include "harness/plan.h"

#define SAVED_ROOT "results/baselines"
#define SAVED_NAME_DEFAULT "default"

/* Letters, digits, '.', '_', '-'; not with a '.' first; 64 at most. 0, or -EINVAL after one line on stderr. */
int saved_check_name(const char *option, const char *name);

/* Can baselines be kept here? To be asked before measuring. 0, or -errno after one line on stderr. */
int saved_prepare(void);

/* Keeps the run in that directory and this program; one of the same name is replaced, when everything else is done. 0, or
 * -errno after one line on stderr. */
int saved_store(const char *name, const char *run);

/* Its plan, into a zeroed one, and the path of its program. 0, or -errno after one line on stderr, which lists those there
 * are. plan_free in any case. */
int saved_open(const char *name, struct plan *plan, char *program, size_t size);

#endif
