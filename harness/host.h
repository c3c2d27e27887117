/*
 * host.h - the machine's fingerprint: what a reader must know to judge the numbers. No names, no paths.
 */
#ifndef HARNESS_HOST_H
#define HARNESS_HOST_H

#include <jansson.h>

/* A new object; a fact that this machine does not tell is null. NULL: no memory. */
json_t *host_fingerprint(void);

#endif
