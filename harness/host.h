/*
 * host.h - the machine's fingerprint: what a reader must know to judge the numbers. No names, no paths.
 */
#ifndef HARNESS_HOST_H
#define HARNESS_HOST_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* A new object; a fact that this machine does not tell is null. NULL: no memory. */
json_t *host_fingerprint(void);

/* Do two fingerprints differ in what changes times? The program's own facts, load and the memory's size do not count;
 * a machine whose cpu_model or cpus_online is not known is like no other. If so, `why` names the first such fact. */
bool host_difference(const json_t *a, const json_t *b, char *why, size_t size);

#endif
