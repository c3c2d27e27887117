/*
 * doctor.h - a checkup: what was looked at, what it means for a measurement, and what follows.
 */
#ifndef HARNESS_DOCTOR_H
#define HARNESS_DOCTOR_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#define CHECKUP_LINES 24

struct checkup_line {
	const char *name;
	char value[128];
	const char *why; /* what to mind; NULL: fine */
};

struct checkup {
	json_t *host;	  /* host_fingerprint() */
	json_t *measured; /* numbers by name */
	struct checkup_line line[CHECKUP_LINES];
	size_t lines;
	const char *unfit; /* NULL, or why nothing should be concluded here now */
	int cpus;	   /* usable ones */
	double effect;	/* the smallest a default run could see, as a share: 0.05; 0: not known */
	double wake_ns; /* from one CPU to another (one CPU only: on it); 0: not known */
	double stopped_ns; /* a spinner loses that much in one window of a thousand; 0: not known */
};

/* Adds a line; `why` is static text, NULL: fine. */
void checkup_note(struct checkup *c, const char *name, const char *why, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

void checkup_facts(struct checkup *c); /* from the fingerprint: doctor_facts.c */
int checkup_trials(
	struct checkup *c); /* by measuring, some ten seconds: doctor_trials.c; 0 or -errno */

#endif
