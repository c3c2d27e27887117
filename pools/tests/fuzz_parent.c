/*
 * fuzz_parent.c - see fuzz.h.
 *
 * DESIGN. Everything of the parent but its descriptors and processes is real: dealer, job, parser,
 * the recovery after deaths. The script decides the shape of the job and how many bytes arrive at
 * once. What an honest worker answers for an item follows from the item, so in the end results can
 * be looked at.
 */
#include "pools/tests/fuzz.h"

#include "pools/imap.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 70000, BOARD_BYTES = 8192 + FUZZ_WORKERS * POOL_OUTBOX_BYTES };

static unsigned char board_memory[BOARD_BYTES] __attribute__((aligned(4096)));
static unsigned char buffers[FUZZ_WORKERS][PIPE_INBOX_BYTES];
static struct fuzz_parent *current; /* signals have no other way to it */

/* ---- what is not real ---- */

static int count_signal(struct pool_body *body, int number)
{
	(void)number;
	current->kills[body->pid - 1]++;
	return 0;
}

static const struct pool_start_ops no_start = { .name = "none", .signal = count_signal };
static const struct pool_backend backend = { .start = &no_start };

static bool can_send(void *wire, int worker)
{
	const struct pool_transport *t = wire;
	return !t->channel[worker].garbled;
}

static int send_nowhere(void *wire, int worker, const struct deal_flight *flight)
{
	const struct pool_transport *t = wire;
	t->channel[worker].outbox->extent[flight->number % DEAL_FLIGHTS] = flight->count << 32;
	return 0;
}

static void recall_nothing(void *wire, int worker, const struct deal_flight *flight)
{
	(void)wire;
	(void)worker;
	(void)flight;
}

static bool hear_nothing(void *wire, int64_t most_ns)
{
	(void)wire;
	(void)most_ns;
	return false;
}

/* What comes out of a worker's pipe does not come by a descriptor: this one stays empty. There from the start of the
 * program, so that no case leaves it behind. */
static int empty_pipe[2];

__attribute__((constructor)) static void make_empty_pipe(void)
{
	FUZZ_CHECK(pipe2(empty_pipe, O_NONBLOCK | O_CLOEXEC) == 0);
}

/* ---- life ---- */

static void open_channel(struct fuzz_parent *p, int worker)
{
	struct outbox *box =
		(struct outbox *)(void *)(p->t->outboxes + (size_t)worker * POOL_OUTBOX_BYTES);
	*box = (struct outbox){ 0 };
	p->t->channel[worker] = (struct channel){
		.open = true,
		.request = { -1, -1 },
		.reply = { empty_pipe[0], -1 },
		.outbox = box,
		.in.buffer = buffers[worker],
	};
	p->pool.hand[worker].stop_reason = 0;
	p->ahead[worker] = 0;
}

static void open_transport(struct fuzz_parent *p)
{
	struct pool_board *board = (struct pool_board *)(void *)board_memory;
	p->t = calloc(1, sizeof *p->t + FUZZ_WORKERS * sizeof p->t->channel[0]);
	FUZZ_CHECK(p->t);
	const struct deal_wire wire = { p->t,		can_send, send_nowhere,
					recall_nothing, pipe_cut, hear_nothing };
	const struct deal_crew crew = { FUZZ_WORKERS, 1, false, false };
	memset(board_memory, 0, 8192);
	p->t->pool = &p->pool;
	p->t->board = p->pool.board = board;
	p->t->outboxes = board_memory + 8192;
	p->t->workers = FUZZ_WORKERS;
	p->t->deal = deal_open(&wire, &crew);
	FUZZ_CHECK(p->t->deal);
	for (int i = 0; i < FUZZ_WORKERS; i++)
		open_channel(p, i);
}

static struct pool_job *make_job(struct fuzz_parent *p)
{
	static const uint64_t sizes[] = { 0, 1, 8, 8, 24, 100, POOL_VARIABLE, POOL_VARIABLE };
	struct fuzz_input *in = p->in;
	/* Large ones take long: not by 0, which is what every number is behind the end, and few. */
	const uint64_t size = fuzz_below(in, 32) < 31 ? sizes[fuzz_below(in, 8)] : LARGE;
	const uint64_t chunk = 1 + fuzz_below(in, size == LARGE ? 1 : 4);
	const uint64_t flags = fuzz_number(in, 1);
	const struct pool_policy policy = { .chunk = (int64_t)chunk,
					    .retries = (int)(flags >> 1 & 1),
					    .fail_fast = flags >> 2 & 1 };
	struct pool_job *job = job_new(&p->pool, NULL, &policy);
	FUZZ_CHECK(job);
	job->stream = flags & 1;
	job->tiles = 1 + fuzz_below(in, size == LARGE ? 3 : 24);
	job->count = job->tiles * chunk;
	FUZZ_CHECK(!job->stream || ring_make(job));
	job->variable = size == POOL_VARIABLE ? POOL_VARIABLE_RESULT : 0;
	job->result_size = size == POOL_VARIABLE ? sizeof(struct pool_bytes) : size;
	if (job->result_size)
		job->results = calloc(job->count, job->result_size);
	return job;
}

/* The ring is filled once. */
static void fill_stream(struct fuzz_parent *p)
{
	struct pool_job *job = p->job;
	for (uint64_t k = 0; k < job->tiles; k++) {
		const uint32_t count = (uint32_t)(k + 1 < job->tiles ? job->chunk : 1);
		job->tile[k] = (struct pool_tile){ k * job->chunk, count, count };
		job->ready += count;
		deal_extend(p->t->deal, job, k);
	}
}

void fuzz_parent_open(struct fuzz_parent *p, struct fuzz_input *in)
{
	static struct pool_hand hands[FUZZ_WORKERS];
	*p = (struct fuzz_parent){ .in = in, .honest = true };
	current = p;
	p->pool.backend = &backend;
	p->pool.workers = FUZZ_WORKERS;
	p->pool.hand = hands;
	p->pool.events_fd = -1;
	for (int i = 0; i < FUZZ_WORKERS; i++)
		hands[i] = (struct pool_hand){ .state = HAND_RUNNING, .body.pid = i + 1 };
	p->piece_bytes = 1 + fuzz_number(in, 1);
	if (p->piece_bytes > 128)
		p->piece_bytes = UINT64_MAX;
	open_transport(p);
	p->job = make_job(p);
	FUZZ_CHECK(deal_prepare(p->t->deal, p->job) == 0);
	p->job->published = true;
	if (p->job->stream)
		fill_stream(p);
	deal_publish(p->t->deal, p->job);
	deal_out(p->t->deal);
}

/* ---- workers ---- */

void fuzz_arrive(struct fuzz_parent *p, int worker, const void *bytes, uint64_t size)
{
	struct channel *c = &p->t->channel[worker];
	const unsigned char *from = bytes;
	const uint64_t least = size / 64; /* a large value in single bytes takes too long */
	while (size && !c->garbled) {
		const struct iovec room = pipe_room(&c->in);
		uint64_t part = p->piece_bytes > least ? p->piece_bytes : least;
		FUZZ_CHECK(room.iov_len > 0);
		part = part < size ? part : size;
		part = part < room.iov_len ? part : room.iov_len;
		memcpy(room.iov_base, from, part);
		c->in.received += part;
		pipe_arrived(p->t, worker, part);
		from += part;
		size -= part;
	}
}

/* The result of an item: some bytes of one long pattern, begun elsewhere by each of 256 items. */
static const unsigned char *expected(uint64_t item)
{
	static unsigned char pattern[256 + LARGE];
	if (pattern[1] == 0)
		for (uint32_t i = 0; i < sizeof pattern; i++)
			pattern[i] = (unsigned char)((i * 2654435761U) >> 24);
	return pattern + item % 256;
}

static uint64_t expected_size(uint64_t item)
{
	return item % 5 * 50;
}

/* The parent must not take back what has begun. */
static void note_begun(struct fuzz_parent *p, int worker, const struct frame_reply *reply)
{
	uint64_t *extent = &p->t->channel[worker].outbox->extent[reply->flight % DEAL_FLIGHTS];
	const uint64_t begun = reply->at + reply->count - deal_front(p->t->deal, worker)->at;
	if ((*extent & UINT32_MAX) < begun)
		*extent = (*extent & ~(uint64_t)UINT32_MAX) | begun;
}

static bool make_answer(struct fuzz_answer *answer)
{
	answer->bytes = calloc(1, frame_padded(answer->reply.bytes) + 1);
	FUZZ_CHECK(answer->bytes);
	return true;
}

bool fuzz_answer_results(struct fuzz_parent *p, int worker, struct fuzz_answer *answer)
{
	const struct deal_flight *flight = deal_front(p->t->deal, worker);
	if (!flight)
		return false;
	const uint64_t done = flight->done + p->ahead[worker], at = flight->at + done;
	const uint64_t left = done < flight->count ? flight->count - done : 0;
	if (left ? flight->job->cancelled && fuzz_below(p->in, 2)
		 : flight->trimmed && p->over[worker] != flight->number) {
		answer->reply = (struct frame_reply){
			.magic = FRAME_DROPPED, .flight = flight->number, .at = at, .count = left
		};
		p->over[worker] = flight->number;
		return make_answer(answer);
	}
	if (left == 0)
		return false;
	const struct pool_job *job = flight->job;
	const bool variable = job->variable & POOL_VARIABLE_RESULT;
	const uint64_t count = variable ? 1 : 1 + fuzz_below(p->in, left);
	const uint64_t size = variable ? expected_size(at) : job->result_size;
	answer->reply = (struct frame_reply){ .magic = FRAME_RESULT,
					      .flight = flight->number,
					      .at = at,
					      .count = count,
					      .bytes = count * size,
					      .run_ns = fuzz_number(p->in, 1) * 4096 };
	note_begun(p, worker, &answer->reply);
	make_answer(answer);
	for (uint64_t i = 0; i < count; i++)
		memcpy(answer->bytes + i * size, expected(at + i), size);
	return true;
}

bool fuzz_answer_fault(struct fuzz_parent *p, int worker, struct fuzz_answer *answer)
{
	const struct incoming *in = &p->t->channel[worker].in;
	const struct deal_flight *flight = deal_front(p->t->deal, worker);
	if (!flight)
		return false;
	const uint64_t begin = flight->at + flight->done;
	const uint64_t first = in->next_fault > begin ? in->next_fault : begin;
	if (p->ahead[worker] || first >= flight->at + flight->count)
		return false;
	answer->reply = (struct frame_reply){
		.magic = FRAME_FAULT,
		.flight = flight->number,
		.status = fuzz_below(p->in, 2) ? POOL_TASK_ERROR : POOL_ENCODE_ERROR,
		.code = 3,
		.at = first + fuzz_below(p->in, flight->at + flight->count - first),
		.count = 1,
		.bytes = fuzz_number(p->in, 1)
	};
	note_begun(p, worker, &answer->reply);
	return make_answer(answer);
}

void fuzz_answer_free(struct fuzz_answer *answer)
{
	free(answer->bytes);
}

void fuzz_die(struct fuzz_parent *p, int worker)
{
	struct deal_end end;
	struct pool_hand *hand = &p->pool.hand[worker];
	FUZZ_CHECK(!p->t->channel[worker].garbled || hand->stop_reason);
	hand->state = HAND_GONE;
	hand->wait_status = 9;
	pipe_last_words(p->t, worker, &end);
	free(p->t->channel[worker].in.owned);
	deal_lost(p->t->deal, worker, &end);
	open_channel(p, worker);
	hand->state = HAND_RUNNING;
	deal_out(p->t->deal);
}

/* As job_halt does, which needs a whole transport. */
static void cancel(struct fuzz_parent *p)
{
	p->pool.halting = p->job->halting = false;
	if (p->job->cancelled)
		return;
	p->job->cancelled = true;
	deal_cancel(p->t->deal, p->job);
}

void fuzz_turn(struct fuzz_parent *p)
{
	for (int i = 0; i < FUZZ_WORKERS; i++)
		if (p->t->channel[i].garbled) {
			FUZZ_CHECK(!p->honest && p->kills[i] > 0);
			fuzz_die(p, i);
		}
	if (p->pool.halting)
		cancel(p);
	deal_out(p->t->deal);
	FUZZ_CHECK(p->job->resolved <= (p->job->stream ? p->job->ready : p->job->count));
}

/* ---- the end ---- */

static void check_item(const struct fuzz_parent *p, uint64_t at)
{
	const struct pool_job *job = p->job;
	const unsigned char *bytes = (const unsigned char *)job->results + at * job->result_size;
	uint64_t size = job->result_size;
	if (job->variable & POOL_VARIABLE_RESULT) {
		const struct pool_bytes *result = (const struct pool_bytes *)job->results + at;
		size = expected_size(at);
		FUZZ_CHECK(result->size == size);
		bytes = result->data;
	}
	FUZZ_CHECK(size == 0 || memcmp(bytes, expected(at), size) == 0);
}

void fuzz_parent_close(struct fuzz_parent *p)
{
	struct pool_job *job = p->job;
	fuzz_turn(p);
	cancel(p);
	for (int i = 0; i < FUZZ_WORKERS; i++)
		fuzz_die(p, i);
	FUZZ_CHECK(job->resolved == (job->stream ? job->ready : job->count));
	for (uint64_t at = 0; p->honest && job->result_size && at < job->count; at++)
		if (job_status_at(job, at) == 0 && (!job->stream || job->cell_done[at]))
			check_item(p, at);
	deal_retire(p->t->deal, job);
	deal_collect(p->t->deal, job);
	for (uint64_t i = 0; job->variable & POOL_VARIABLE_RESULT && i < job->count; i++)
		free(((struct pool_bytes *)job->results)[i].data);
	free(job->results);
	job_free(job);
	deal_close(p->t->deal);
	free(p->t);
}
