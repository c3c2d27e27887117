/*
 * frame.h - what travels through a worker's two pipes, and the worker's outbox.
 *
 * DESIGN. Requests: a frame_work, then each column: fixed size: the elements; variable size: all
 * sizes as uint64_t, then the elements. Every part is padded to FRAME_ALIGN, so arguments stand
 * aligned wherever the frame was read to. Replies: a frame_reply and its bytes, padded likewise;
 * failures of a piece travel before its results. Both ends are the same program, so fields are in
 * host order.
 *
 * Flights. A request is a flight of deal.h and has its number; replies and the open piece name it. Cells of a stream are used
 * again, so job and cell would not tell which of two flights a worker had begun when it died. What was not started of a
 * cancelled job is recalled by that number: the worker looks before each piece, and answers with FRAME_DROPPED. The parent may
 * also end a flight sooner than it was sent (cut): where it ends, and how much of it has begun, is one word that the worker
 * moves by compare-and-swap before it begins a piece, and the parent when it cuts. So no item has two owners. If something
 * stays that has not begun, the worker sees the new end before it begins the last piece, whose answer ends the flight for both.
 * If nothing stays, the worker sees it when it is to go on, and answers with FRAME_DROPPED, of 0 items: until then the flight has
 * its place in the outbox, which another one would get.
 *
 * The outbox. Small replies gather in shared memory and leave in one write: when half of it is
 * full, when a flight is over or the worker has nothing more to do, and after FLUSH_NS (a batch's
 * later: each time the parent needs a CPU, which the workers are using). A worker that is in a long
 * task meanwhile keeps nothing back: the parent takes what is in there itself (pull) when it has
 * waited a while; and when the worker dies, what it finished is there, not lost. Positions count
 * bytes of the reply stream since the worker started. `busy` says who moves bytes: the worker, the
 * parent or nobody; the parent never waits for it, the worker does only while the parent copies.
 */
#ifndef POOLS_FRAME_H
#define POOLS_FRAME_H

#include "pools/deal.h"

enum { FRAME_ALIGN = 16 };
enum { FRAME_BEHIND_MOST = (1 << 28) - 1 };
#define FRAME_BYTES_MOST (UINT64_C(1) << 47) /* no process has a place for more */
enum frame_magic {
	FRAME_WORK = 0x706f6f6c, /* nobody waits for one result of it */
	FRAME_STREAM =
		0x73747265, /* somebody may: of a stream, or of a batch that the first failure ends */
	FRAME_QUIT = 0x71756974,
	FRAME_RESULT = 0x72736c74,
	FRAME_FAULT = 0x666c7421,
	FRAME_DROPPED =
		0x64726f70 /* the rest of a recalled flight, or what a cut left of one: not begun */
};

struct frame_work {
	uint32_t magic, flight;
	uint64_t task, at, index, count; /* at: first item or cell; index: in the input */
	uint64_t chunk;			 /* items a claim; 0: as many as fit */
	uint64_t arg_size[POOL_COLUMNS_MAX], result_size;
	uint32_t columns : 4, behind : 28; /* deal_flight's, or FRAME_BEHIND_MOST */
	uint32_t variable;
	int64_t limit_ns;
	uint64_t bytes; /* that follow */
};
_Static_assert(sizeof(struct frame_work) % FRAME_ALIGN == 0, "what follows is aligned");

struct frame_reply {
	uint32_t magic, flight;
	int32_t status, code; /* of a fault */
	uint64_t at, count;
	uint64_t bytes;	 /* that follow, without padding */
	uint64_t run_ns; /* what running these items took */
};
_Static_assert(sizeof(struct frame_reply) % FRAME_ALIGN == 0, "what follows is aligned");

static inline uint64_t frame_padded(uint64_t bytes)
{
	return (bytes + FRAME_ALIGN - 1) & ~(uint64_t)(FRAME_ALIGN - 1);
}

enum outbox_busy { OUTBOX_FREE, OUTBOX_WORKER, OUTBOX_PARENT };

/* What the worker is running, see pipe_port.c. Its answer may have been taken while it is open still. */
struct outbox_piece {
	uint32_t flight, open; /* open: 1 from claim to commit; release */
	uint64_t at, count, progress_before;
	uint64_t results_at; /* offset in bytes[]; UINT64_MAX: elsewhere, lost with the worker */
};

struct outbox {
	uint32_t busy; /* enum outbox_busy; compare-and-swap */
	uint32_t
		left; /* 1: the worker leaves, its replies are sent, it reads nothing more; release */
	uint64_t base;	 /* position of bytes[0]; the worker, while busy */
	uint64_t taken;	 /* position up to which bytes have left; whoever is busy */
	uint64_t filled; /* position up to which bytes are complete; the worker, release */
	struct outbox_piece piece;
	uint64_t heard; /* bytes that the worker has read and lived to see; relaxed */
	uint32_t recalled[DEAL_FLIGHTS]; /* flights, by number; the parent; release */
	/* Of flights, by number: items that have begun, and 32 bits further up where it ends; both sides. */
	uint64_t extent[DEAL_FLIGHTS];
	_Alignas(64) unsigned char bytes[];
};
enum { OUTBOX_ROOM = POOL_OUTBOX_BYTES - 128 };
_Static_assert(sizeof(struct outbox) <= 128, "OUTBOX_ROOM bytes fit");

static inline struct outbox *outbox_of(struct pool_board *board, int worker)
{
	return (struct outbox *)(void *)((unsigned char *)board + board->outbox_at +
					 (uint64_t)worker * POOL_OUTBOX_BYTES);
}

/* The worker's side, pipe_port.c. */
int pipe_attach(struct pool_port **out, const struct pool_ticket *ticket, struct pool_board *board);
int pipe_claim(struct pool_port *port, struct pool_span *span);
void *pipe_result_alloc(struct pool_port *port, struct pool_ref *ref, uint64_t bytes);
void pipe_fault(struct pool_port *port, struct pool_span *span, const struct pool_fault *fault);
int pipe_commit(struct pool_port *port, struct pool_span *span);
void pipe_detach(struct pool_port *port);

#endif
