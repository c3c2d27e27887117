/* pipe_port.h - a worker's port of the pipe transport: inbox.c (frames in), pipe_port.c (pieces)
 * and outbox.c (replies out). */
#ifndef POOLS_PIPE_PORT_H
#define POOLS_PIPE_PORT_H

#include "pools/inbox.h"

struct pool_port {
	int in, out, wake_fd;
	struct outbox *outbox;
	const struct pool_board *board;
	struct pool_ledger *ledger;
	struct inbox inbox;	  /* its `work` is being run */
	uint64_t done;		  /* items of it */
	bool overdue;		  /* it is to leave when the chunk ends */
	unsigned char *result;	  /* a large result */
	struct pool_ref variable; /* a result of variable size */
	int64_t piece_ns;	  /* when the piece began */
	uint64_t grain;		  /* chunks in a piece, at most */
	int64_t gather_ns;	  /* when the outbox was last empty */
};

/* All: 0 or -errno of a failed write. */
int outbox_flush(struct pool_port *p); /* what is gathered goes out */
int outbox_send(struct pool_port *p, const struct frame_reply *reply, const void *bytes);
int outbox_send_past(struct pool_port *p, const struct frame_reply *reply, const void *bytes);

uint64_t outbox_room(const struct pool_port *p); /* bytes that still fit */
/* bytes NULL: they stand in their place already. There must be room. */
void outbox_append(struct pool_port *p, const struct frame_reply *reply, const void *bytes);

#endif
