/*
 * outbox.c - a worker's replies: gathered in shared memory, sent in few writes. See frame.h.
 */
#include "pools/pipe_port.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

static int write_all(int fd, const unsigned char *bytes, uint64_t size)
{
	while (size) {
		ssize_t written = write(fd, bytes, size);
		if (written < 0 && errno != EINTR)
			return -errno;
		if (written > 0) {
			bytes += written;
			size -= (uint64_t)written;
		}
	}
	return 0;
}

static void outbox_acquire(struct outbox *box)
{
	uint32_t nobody = OUTBOX_FREE;
	while (!__atomic_compare_exchange_n(&box->busy, &nobody, OUTBOX_WORKER, false,
					    __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
		nobody = OUTBOX_FREE;
		sched_yield();
	}
}

/* What is gathered goes out; busy is ours. What could not be sent stays for the parent to find. */
static int write_out(struct pool_port *p)
{
	struct outbox *box = p->outbox;
	int rc = 0;
	if (box->taken < box->filled)
		rc = write_all(p->out, box->bytes + (box->taken - box->base),
			       box->filled - box->taken);
	if (rc == 0)
		__atomic_store_n(&box->taken, box->filled, __ATOMIC_RELEASE);
	return rc;
}

int outbox_flush(struct pool_port *p)
{
	struct outbox *box = p->outbox;
	outbox_acquire(box);
	int rc = write_out(p);
	if (rc == 0)
		box->base = box->filled;
	__atomic_store_n(&box->busy, OUTBOX_FREE, __ATOMIC_RELEASE);
	p->gather_ns = 0;
	return rc;
}

uint64_t outbox_room(const struct pool_port *p)
{
	return OUTBOX_ROOM - (p->outbox->filled - p->outbox->base);
}

void outbox_append(struct pool_port *p, const struct frame_reply *reply, const void *bytes)
{
	struct outbox *box = p->outbox;
	unsigned char *at = box->bytes + (box->filled - box->base);
	memcpy(at, reply, sizeof *reply);
	if (bytes && reply->bytes)
		memcpy(at + sizeof *reply, bytes, reply->bytes);
	__atomic_store_n(&box->filled, box->filled + sizeof *reply + frame_padded(reply->bytes),
			 __ATOMIC_RELEASE);
}

static int write_frame(struct pool_port *p, const struct frame_reply *reply, const void *bytes)
{
	static const unsigned char zeros[FRAME_ALIGN];
	int rc = write_all(p->out, (const unsigned char *)reply, sizeof *reply);
	if (rc == 0)
		rc = write_all(p->out, bytes, reply->bytes);
	return rc ? rc : write_all(p->out, zeros, frame_padded(reply->bytes) - reply->bytes);
}

/* Past the outbox: what is large is not copied, and a fault must not go where the results of the
 * open piece are being built. The positions go on as if the frame had been in there; `filled -
 * base`, where the piece stands, stays. */
int outbox_send_past(struct pool_port *p, const struct frame_reply *reply, const void *bytes)
{
	const uint64_t size = sizeof *reply + frame_padded(reply->bytes);
	struct outbox *box = p->outbox;
	outbox_acquire(box);
	int rc = write_out(p);
	if (rc == 0)
		rc = write_frame(p, reply, bytes);
	if (rc == 0) {
		box->base += size;
		__atomic_store_n(&box->taken, box->filled + size, __ATOMIC_RELEASE);
		__atomic_store_n(&box->filled, box->filled + size, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&box->busy, OUTBOX_FREE, __ATOMIC_RELEASE);
	return rc;
}

int outbox_send(struct pool_port *p, const struct frame_reply *reply, const void *bytes)
{
	uint64_t size = sizeof *reply + frame_padded(reply->bytes);
	if (size > OUTBOX_ROOM)
		return outbox_send_past(p, reply, bytes);
	int rc = size > outbox_room(p) ? outbox_flush(p) : 0;
	if (rc == 0)
		outbox_append(p, reply, bytes);
	return rc;
}
