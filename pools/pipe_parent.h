/* pipe_parent.h - the parent's own state of the pipe transport: transport_pipe.c, pipe_send.c,
 * pipe_receive.c. */
#ifndef POOLS_PIPE_PARENT_H
#define POOLS_PIPE_PARENT_H

#include "pools/deal.h"
#include "pools/frame.h"
#include "pools/pool_core.h"

enum { PIPE_INBOX_BYTES = 64 * 1024 };

struct outgoing { /* what the pipe did not take yet */
	struct iovec *iov;
	unsigned count, at;
	void *owned; /* header, sizes: freed with the list */
};

struct incoming {
	unsigned char *buffer; /* PIPE_INBOX_BYTES */
	uint64_t have;	       /* bytes in it */
	struct frame_reply reply;
	bool in_payload;
	unsigned char *to;  /* where the payload goes; NULL: nowhere */
	uint64_t left, pad; /* of the payload, of its padding */
	void *owned;	    /* to, when it is ours: a message or a variable result */
	uint64_t received;  /* position in the reply stream */
};

struct channel {
	bool open;
	int request[2], reply[2];
	struct outgoing out;
	struct incoming in;
	bool watched; /* the reply end */
	bool garbled; /* what it sent made no sense: nothing more is read */
};

struct pool_transport {
	struct pool *pool;
	struct pool_board *board;
	struct deal *deal;
	int workers;
	bool stopping;
	int64_t dozed_ns; /* since when the leader sleeps; 0: it does not, or need not look after outboxes */
	bool pull_due;
	int64_t starved_ns; /* since when nothing can be sent for want of memory; 0: it can */
	struct channel channel[];
};

/* pipe_send.c */
bool pipe_can_send(void *wire, int worker);
int pipe_send(void *wire, int worker, const struct deal_flight *flight);
void pipe_writable(struct pool_transport *t, int worker); /* room was made */
void pipe_stop(struct pool_transport *t);
void pipe_drop_outgoing(struct outgoing *out);

/* pipe_receive.c */
bool pipe_receive(struct pool_transport *t,
		  int worker); /* until the pipe is empty; true: got something */
bool pipe_has_gathered(const struct pool_transport *t,
		       int worker);		      /* something stands in its outbox */
bool pipe_pull(struct pool_transport *t, int worker); /* takes it; true: got something */
/* A dead worker: takes what it had finished, says how it left its front flight. */
void pipe_last_words(struct pool_transport *t, int worker, struct deal_end *end);
void pipe_give_up(struct pool_transport *t, int worker); /* its stream is broken: kill it */

#endif
