/* pipe_parent.h - the parent's own state of the pipe transport: transport_pipe.c, pipe_send.c,
 * pipe_reply.c, pipe_receive.c. */
#ifndef POOLS_PIPE_PARENT_H
#define POOLS_PIPE_PARENT_H

#include "pools/deal.h"
#include "pools/frame.h"
#include "pools/pool_core.h"

#include <errno.h>
#include <sys/uio.h>

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
	unsigned char *to;   /* where the payload goes; NULL: nowhere */
	uint64_t left, pad;  /* of the payload, of its padding */
	void *owned;	     /* to, when it is ours: a message or a variable result */
	bool picky;	     /* items of the payload may have failed: it does not go there unseen */
	uint64_t next_fault; /* items before this one have told their failures; 0 after results */
	uint64_t received;   /* position in the reply stream */
};

struct channel {
	bool open;
	int request[2], reply[2];
	struct outbox *outbox;
	struct outgoing out;
	struct incoming in;
	uint64_t sent, sent_before[DEAL_FLIGHTS]; /* bytes; before the flight of that number */
	bool watched;				  /* the reply end */
	bool left;	 /* the worker runs its finalizer: what it had not begun was given back */
	bool garbled;	 /* it was given up: nothing more is read from it or sent to it */
	bool unreadable; /* given up since what was to be sent last cannot be read */
	int reason;	 /* what its items get then; 0: as for any death */
};

struct pool_transport {
	struct pool *pool;
	struct pool_board *board;
	unsigned char
		*outboxes; /* the board is the workers' to write: where they are is noted once */
	struct deal *deal;
	int workers;
	bool condemned; /* somebody was given up before it could be killed */
	bool stopping;
	bool initializes, finalizes; /* workers have an initializer, a finalizer */
	int64_t dozed_ns;	     /* since when outboxes may hold something; 0: they do not */
	bool pull_due;
	int64_t doze_ns;    /* how long whoever leads sleeps at most; 0: it does not */
	int64_t starved_ns; /* since when nothing can be sent for want of memory; 0: it can */
	struct channel channel[];
};

/* Of a read or write that does not block: later it may go. Anything else, as memory of the caller's that is not there
 * (EFAULT), would come again for ever. */
static inline bool pipe_error_passes(int error)
{
	return error == EAGAIN || error == ENOMEM;
}

/* pipe_send.c */
bool pipe_can_send(void *wire, int worker);
int pipe_send(void *wire, int worker, const struct deal_flight *flight);
void pipe_recall(void *wire, int worker, const struct deal_flight *flight);
uint64_t pipe_cut(void *wire, int worker, const struct deal_flight *flight, uint64_t most,
		  bool *all);
void pipe_writable(struct pool_transport *t, int worker); /* room was made */
void pipe_stop(struct pool_transport *t);
void pipe_drop_outgoing(struct outgoing *out);
void pipe_send_no_more(struct pool_transport *t, int worker); /* of what is half sent */

/* pipe_reply.c */
struct iovec pipe_room(const struct incoming *in); /* where the next bytes go; never empty */
void pipe_arrived(struct pool_transport *t, int worker, uint64_t bytes); /* so many stand there */

/* pipe_receive.c */
bool pipe_has_news(void *wire, int64_t most_ns); /* see deal.h */
bool pipe_receive(struct pool_transport *t,
		  int worker); /* until the pipe is empty; true: got something */
bool pipe_is_due(const struct pool_transport *t,
		 int worker); /* something stands in its outbox, or is not as it should be */
bool pipe_pull(struct pool_transport *t, int worker); /* takes it; true: got something */
/* A dead worker: takes what it had finished, says how it left its front flight. */
void pipe_last_words(struct pool_transport *t, int worker, struct deal_end *end);
/* Its stream is broken: it is killed, now or by pipe_kill_condemned. */
void pipe_give_up(struct pool_transport *t, int worker, int reason);
void pipe_kill_condemned(struct pool_transport *t);

#endif
