/* start_process.h - what every start method that makes processes shares. */
#ifndef POOLS_START_PROCESS_H
#define POOLS_START_PROCESS_H

#include "pools/pool_ops.h"

/* Takes over a child just made: opens its pidfd. On failure the child is killed and reaped. 0 or
 * -errno. */
int pool_process_adopt(pid_t pid, struct pool_body *body);
bool pool_process_ended(struct pool_body *body, int *status);
int pool_process_signal(struct pool_body *body, int number);
bool pool_process_still(const struct pool_body *body); /* stopped or dead: it runs no instruction */

#endif
