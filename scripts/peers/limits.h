/* limits.h - what the files of the program limits share. */
#ifndef SCRIPTS_PEERS_LIMITS_H
#define SCRIPTS_PEERS_LIMITS_H

#include <stddef.h>

void starts_add(void); /* the baselines of limits_start.c */
void list_add(void);   /* raw-list */

/* Zeroed memory that children share; NULL: there is none. */
void *map_shared(size_t bytes);

/* Waits for so many children; -ECHILD if one is missing or did not exit with 0. */
int start_reap(int count);

#endif
