/* start_process.h - what every start method that makes processes shares. */
#ifndef POOLS_START_PROCESS_H
#define POOLS_START_PROCESS_H

#include "pools/pool_ops.h"

/* Before a child is made: a descriptor that stands in for its pidfd, or -errno. A child for which there
 * turns out to be none has to be killed, and may have begun to work by then. */
int pool_process_reserve(const struct pool_ticket *ticket);

/* Takes over a child just made: opens its pidfd in place of `spare`, which is gone in any case. On
 * failure the child is killed and reaped, if the host program has not done that, and body names it. 0 or -errno. */
int pool_process_adopt(pid_t pid, int spare, struct pool_body *body);
bool pool_process_ended(struct pool_body *body, int *status);
int pool_process_signal(struct pool_body *body, int number);
bool pool_process_dead(const struct pool_body *body);  /* whoever may have waited for it */
bool pool_process_still(const struct pool_body *body); /* stopped or dead: it runs no instruction */

#endif
