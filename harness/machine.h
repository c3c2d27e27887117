/*
 * machine.h - the machine of a run, for people: from `host` of run.json, which is host_fingerprint()'s.
 */
#ifndef HARNESS_MACHINE_H
#define HARNESS_MACHINE_H

#include <jansson.h>
#include <stddef.h>
#include <stdio.h>

/* "AMD EPYC, 2 CPUs (virtual), Linux 6.18.44"; host may be NULL. */
void machine_line(const json_t *host, char *text, size_t size);

/* CPUs that the run in this directory could use; 0: it does not say. */
int machine_cpus_told(const char *run);
/* The same; where it does not say, those that we can use. */
int machine_cpus(const char *run);

/* All that is known, as a table of HTML. */
void machine_table(FILE *file, json_t *host);

#endif
