/*
 * fuzz_outbox.c - what the parent reads of a worker's words in shared memory: gathered replies, the
 * open piece, progress. The worker works as pipe_port.c and outbox.c do, or writes what it likes.
 */
#include "pools/tests/fuzz.h"

#include <string.h>

/* A right answer goes into the outbox, as outbox_append does. */
static void gather(struct fuzz_parent *p, int worker, struct fuzz_answer *answer)
{
	struct outbox *box = p->t->channel[worker].outbox;
	const uint64_t used = box->filled - box->base, body = frame_padded(answer->reply.bytes);
	if (used <= OUTBOX_ROOM && sizeof answer->reply + body <= OUTBOX_ROOM - used) {
		memcpy(box->bytes + used, &answer->reply, sizeof answer->reply);
		memcpy(box->bytes + used + sizeof answer->reply, answer->bytes, body);
		box->filled += sizeof answer->reply + body;
		p->ahead[worker] += answer->reply.magic == FRAME_FAULT ? 0 : answer->reply.count;
	}
	fuzz_answer_free(answer);
}

/* What is gathered goes through the pipe, all of it or, when the worker dies meanwhile, a part. */
static void flush(struct fuzz_parent *p, int worker, bool whole)
{
	struct outbox *box = p->t->channel[worker].outbox;
	const uint64_t from = box->taken - box->base, size = box->filled - box->taken;
	if (box->filled < box->taken || from > OUTBOX_ROOM || size > OUTBOX_ROOM - from)
		return; /* it would be the worker that reads out of bounds */
	fuzz_arrive(p, worker, box->bytes + from, whole ? size : fuzz_below(p->in, size + 1));
	if (whole) {
		box->base = box->taken = box->filled;
		p->ahead[worker] = 0;
		return;
	}
	box->busy = OUTBOX_WORKER;
	fuzz_die(p, worker);
}

/* Begins a piece, runs some of it and dies. */
static void die_in_piece(struct fuzz_parent *p, int worker)
{
	struct outbox *box = p->t->channel[worker].outbox;
	struct pool_ledger *ledger = &p->t->board->ledger[worker];
	struct fuzz_answer answer;
	const uint64_t used = box->filled - box->base;
	if (!fuzz_answer_results(p, worker, &answer))
		return;
	if (answer.reply.magic == FRAME_DROPPED) { /* no piece comes of it */
		gather(p, worker, &answer);
		return;
	}
	const uint64_t body = answer.reply.bytes;
	const bool fits = used <= OUTBOX_ROOM && body + sizeof answer.reply <= OUTBOX_ROOM - used;
	box->piece = (struct outbox_piece){
		.flight = answer.reply.flight,
		.open = 1,
		.at = answer.reply.at,
		.count = answer.reply.count,
		.progress_before = ledger->progress,
		.results_at = fits ? used + sizeof answer.reply : UINT64_MAX,
	};
	if (fits)
		memcpy(box->bytes + box->piece.results_at, answer.bytes, body);
	ledger->progress =
		((ledger->progress >> 32) + 1) << 32 | fuzz_below(p->in, answer.reply.count + 1);
	fuzz_answer_free(&answer);
	fuzz_die(p, worker);
}

static void scribble(struct fuzz_parent *p, int worker)
{
	struct outbox *box = p->t->channel[worker].outbox;
	const uint64_t where = fuzz_number(p->in, 1);
	unsigned char *at = (unsigned char *)box + where % (sizeof *box + 128);
	p->honest = false;
	if (where == 255)
		p->t->board->ledger[worker].progress = fuzz_number(p->in, 8);
	else if (where & 1)
		*at = (unsigned char)fuzz_number(p->in, 1);
	else
		fuzz_bytes(p->in, at, 8);
}

/* As scribble, where it matters most. */
static void forge(struct fuzz_parent *p, int worker)
{
	struct outbox *box = p->t->channel[worker].outbox;
	const struct deal_flight *front = deal_front(p->t->deal, worker);
	uint64_t *words[] = { &box->base,
			      &box->taken,
			      &box->filled,
			      &box->piece.at,
			      &box->piece.count,
			      &box->piece.results_at,
			      &box->piece.progress_before };
	uint64_t *word = words[fuzz_below(p->in, 7)];
	const uint64_t change = fuzz_number(p->in, 1);
	p->honest = false;
	if (change < 128)
		*word += change * 8;
	else if (change < 192)
		*word -= (change - 128) * 8;
	else
		*word = fuzz_number(p->in, 8);
	if (change % 2)
		box->piece.open = !box->piece.open;
	if (front)
		box->piece.flight = front->number;
}

static void pull(struct fuzz_parent *p, int worker)
{
	const struct channel *c = &p->t->channel[worker];
	pipe_pull(p->t, worker);
	if (c->in.received == c->outbox->filled)
		p->ahead[worker] = 0;
}

static void step(struct fuzz_parent *p, int worker, uint64_t deed)
{
	struct fuzz_answer answer;
	if (deed < 2) {
		const struct channel *c = &p->t->channel[worker];
		if (deed ? c->outbox->filled == c->in.received &&
				    fuzz_answer_fault(p, worker, &answer)
			 : fuzz_answer_results(p, worker, &answer))
			gather(p, worker, &answer);
	} else if (deed == 2 || deed == 3)
		flush(p, worker, deed == 2);
	else if (deed == 4)
		die_in_piece(p, worker);
	else if (deed == 5)
		scribble(p, worker);
	else if (deed == 6)
		forge(p, worker);
	else
		pull(p, worker);
}

void fuzz_outbox(const unsigned char *bytes, uint64_t size)
{
	struct fuzz_input in = { bytes, size };
	struct fuzz_parent parent;
	fuzz_parent_open(&parent, &in);
	while (in.left) {
		const uint64_t what = fuzz_number(&in, 1);
		step(&parent, (int)(what & 1), what >> 1 & 7);
		fuzz_turn(&parent);
	}
	fuzz_parent_close(&parent);
}
