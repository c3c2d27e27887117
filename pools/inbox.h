/*
 * inbox.h - a worker's parser of the parent's frames: bytes in, a frame with its columns out.
 *
 * DESIGN. No input or output: whoever feeds it asks where the next bytes go (inbox_room), puts them
 * there (inbox_arrived) and asks for a frame (inbox_next). Nothing in a frame is believed: its sizes
 * must add up to exactly the bytes that came with it.
 */
#ifndef POOLS_INBOX_H
#define POOLS_INBOX_H

#include "pools/frame.h"

#include <sys/uio.h>

struct inbox {
	unsigned char *buffer; /* INBOX_BYTES, aligned */
	uint64_t have, used;   /* bytes in it; of these, already consumed */
	unsigned char *large;  /* a payload that does not fit the buffer */
	uint64_t large_room, large_have;
	bool in_payload; /* `work` is read, what follows is not */
	struct frame_work work;
	unsigned char *payload;
	const unsigned char *column[POOL_COLUMNS_MAX]; /* its elements, or refs */
	struct pool_ref *refs[POOL_COLUMNS_MAX];       /* of its columns of variable size */
};

int inbox_open(struct inbox *in); /* a zeroed one; 0 or -ENOMEM */
void inbox_close(struct inbox *in);

/* 0: `work` and `column` stand until inbox_drop; -EAGAIN: more bytes are needed; POOL_END: the
 * parent says there will be none; -EPROTO: not a frame; -ENOMEM. */
int inbox_next(struct inbox *in);
void inbox_drop(struct inbox *in);

/* After -EAGAIN: where the next bytes go, never empty; so many stand there now. */
struct iovec inbox_room(struct inbox *in);
void inbox_arrived(struct inbox *in, uint64_t bytes);

#endif
