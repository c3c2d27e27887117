/*
 * transport_pipe.c - the parent's side of the pipe transport: two pipes a worker, neither of which
 * ever blocks the parent.
 *
 * DESIGN. Sending: arguments go from where they are by writev; what the pipe does not take waits as
 * a list of pieces, and the worker gets no other frame until that is gone. Receiving: a buffer for
 * headers and small results, and for large ones a read straight into their place. A reply must be
 * for the front flight and continue it, anything else is a garbled stream: the worker is killed and
 * what it had begun is POOL_DECODE_ERROR, with no other harm.
 */
#include "pools/pipe_parent.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { PIPE_BYTES = 256 * 1024 };
static const int64_t STARVED_NS = 10000000;	   /* between attempts to send without memory */
static const int64_t STARVED_MOST_NS = 1000000000; /* then what was not sent fails */
static const int64_t PULL_NS = 2000000;	       /* how long gathered replies may wait to be sent */
static const int64_t PULL_BATCH_NS = 10000000; /* the same, while no iterator is open */
static const int64_t LOOK_NS =
	100000000; /* a task may have sent replies elsewhere: see pipe_receive.c */

/* ---- life ---- */

static int pipe_open(struct pool_transport **out, const struct pool_transport_setup *setup)
{
	struct pool_transport *t =
		calloc(1, sizeof *t + (size_t)setup->workers * sizeof t->channel[0]);
	if (!t)
		return -ENOMEM;
	t->pool = setup->pool;
	t->board = setup->board;
	t->outboxes = (unsigned char *)outbox_of(setup->board, 0);
	t->workers = setup->workers;
	t->initializes = setup->board->initializer != 0;
	t->finalizes = setup->board->finalizer != 0;
	const struct deal_wire wire = { t,	     pipe_can_send, pipe_send,
					pipe_recall, pipe_cut,	    pipe_has_news };
	const struct deal_crew crew = { setup->workers, setup->pool->cpus,
					setup->pool->backend->once,
					setup->board->tasks_per_worker != 0 };
	t->deal = deal_open(&wire, &crew);
	if (!t->deal) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void channel_close(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	if (!c->open)
		return;
	if (c->watched)
		pool_unwatch(t->pool, c->reply[0]);
	if (c->out.count)
		pool_unwatch(t->pool, c->request[1]);
	for (int i = 0; i < 2; i++) {
		close_fd(&c->request[i]);
		close_fd(&c->reply[i]);
	}
	pipe_drop_outgoing(&c->out);
	free(c->in.owned);
	free(c->in.buffer);
	*c = (struct channel){ 0 };
}

static void pipe_close(struct pool_transport *t)
{
	for (int i = 0; i < t->workers; i++)
		channel_close(t, i);
	deal_close(t->deal);
	free(t);
}

static int pipe_make(int ends[2])
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		ends[i] = pool_fd_keep(ends[i]);
		if (ends[i] < 0)
			return -errno;
	}
	return 0;
}

/* The parent's ends do not block. A larger pipe is a favour that may be refused. */
static int channel_open(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	*c = (struct channel){ .open = true, .request = { -1, -1 }, .reply = { -1, -1 } };
	c->outbox = (struct outbox *)(void *)(t->outboxes + (size_t)worker * POOL_OUTBOX_BYTES);
	*c->outbox = (struct outbox){ 0 };
	int rc = pipe_make(c->request);
	if (rc == 0)
		rc = pipe_make(c->reply);
	if (rc < 0)
		return rc;
	fcntl(c->request[1], F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(c->reply[0], F_SETPIPE_SZ, PIPE_BYTES);
	if (fcntl(c->request[1], F_SETFL, O_NONBLOCK) < 0 ||
	    fcntl(c->reply[0], F_SETFL, O_NONBLOCK) < 0)
		return -errno;
	c->in.buffer = malloc(PIPE_INBOX_BYTES);
	if (!c->in.buffer)
		return -ENOMEM;
	rc = pool_watch(t->pool, c->reply[0], EPOLLIN, worker);
	c->watched = rc == 0;
	return rc;
}

static int pipe_ticket(struct pool_transport *t, int worker, struct pool_ticket *ticket)
{
	struct channel *c = &t->channel[worker];
	int rc = channel_open(t, worker);
	if (rc < 0) {
		channel_close(t, worker);
		return rc;
	}
	ticket->fd[0] = c->request[0];
	ticket->fd[1] = c->reply[1];
	return 0;
}

/* In the child. Its own two ends stay. */
static void pipe_forked(struct pool_transport *t, int worker)
{
	for (int i = 0; i < t->workers; i++) {
		struct channel *c = &t->channel[i];
		if (!c->open)
			continue;
		close(c->request[1]);
		close(c->reply[0]);
		if (i != worker)
			close(c->request[0]);
	}
}

static int64_t pull_ns(const struct pool_transport *t)
{
	return t->pool->streams ? PULL_NS : PULL_BATCH_NS;
}

/* Whoever leads may have gone to sleep for long, as there was little out or nothing: it is to look for replies sooner. */
static bool hand_out(struct pool_transport *t)
{
	const bool any = deal_out(t->deal);
	if ((any || deal_held(t->deal)) && t->doze_ns > pull_ns(t)) {
		t->doze_ns = 0;
		pump_kick(t->pool);
	}
	return any;
}

/* The request pipe's read end stays with the parent, see rule 8 of pool_ops.h. */
static void pipe_started(struct pool_transport *t, int worker)
{
	close_fd(&t->channel[worker].reply[1]);
	if (t->stopping)
		pipe_stop(t);
	else
		hand_out(t);
}

static void pipe_event(struct pool_transport *t, int worker, unsigned events)
{
	if (!t->channel[worker].open)
		return;
	if (events & EPOLLOUT)
		pipe_writable(t, worker);
	if (events & (EPOLLIN | EPOLLHUP) && pipe_receive(t, worker))
		hand_out(t);
}

/* ---- progress ---- */

/* What no memory could be had for in all that time fails; what runs goes on. */
static void give_up_starved(struct pool_transport *t)
{
	if (!deal_starved(t->deal)) {
		t->starved_ns = 0;
	} else if (!t->starved_ns) {
		t->starved_ns = pool_now_ns();
	} else if (pool_now_ns() - t->starved_ns > STARVED_MOST_NS) {
		t->starved_ns = 0;
		job_stop_all(t->pool, -ENOMEM);
	}
}

/* A worker that leaves begins nothing more. Its finalizer may take long: what it was sent behind does not wait for that. */
static bool take_from_leaving(struct pool_transport *t, int worker)
{
	struct channel *c = &t->channel[worker];
	struct deal_end end;
	if (!c->open || c->left || c->garbled ||
	    !__atomic_load_n(&c->outbox->left, __ATOMIC_ACQUIRE))
		return false;
	c->left = true;
	pipe_send_no_more(t, worker); /* the job that it reads from may be gone before the worker */
	pipe_last_words(t, worker, &end);
	if (!c->garbled)
		deal_lost(t->deal, worker, &end);
	return true;
}

static bool pipe_reap(struct pool_transport *t)
{
	bool any = false;
	if (t->condemned)
		pipe_kill_condemned(t);
	for (int i = 0; t->finalizes && i < t->workers; i++)
		any = take_from_leaving(t, i) || any;
	for (int i = 0; t->pull_due && i < t->workers; i++)
		any = pipe_pull(t, i) || any;
	t->pull_due = false;
	any = hand_out(t) || any;
	give_up_starved(t);
	return any;
}

/* A worker with several items may finish one, keep the reply back and be long in the next: look
 * again after a while. With one it sends the reply at once: look now and then. */
static int64_t pipe_doze(struct pool_transport *t, bool asleep)
{
	const int64_t soon_ns = pull_ns(t);
	t->doze_ns = 0;
	if (!asleep) {
		t->pull_due = t->dozed_ns && pool_now_ns() - t->dozed_ns >= soon_ns;
		if (t->pull_due)
			t->dozed_ns = 0;
		return 0;
	}
	int64_t most_ns = INT64_MAX;
	for (int i = 0; i < t->workers && most_ns > soon_ns; i++) {
		uint64_t items = deal_outstanding(t->deal, i);
		if (items > 1 || pipe_is_due(t, i) || (items && deal_held(t->deal)))
			most_ns = soon_ns;
		else if (items == 1)
			most_ns = LOOK_NS;
	}
	if (most_ns == INT64_MAX)
		t->dozed_ns = 0;
	else if (!t->dozed_ns)
		t->dozed_ns = pool_now_ns();
	if (deal_starved(t->deal) && most_ns > STARVED_NS)
		most_ns = STARVED_NS;
	return t->doze_ns = most_ns;
}

static void pipe_lost(struct pool_transport *t, int worker)
{
	if (!t->channel[worker].open)
		return;
	struct deal_end end;
	pipe_last_words(t, worker, &end);
	channel_close(t, worker);
	deal_lost(t->deal, worker, &end);
	hand_out(t);
}

/* ---- jobs: the dealer's ---- */

static int pipe_prepare(struct pool_transport *t, struct pool_job *job)
{
	return deal_prepare(t->deal, job);
}

static int pipe_publish(struct pool_transport *t, struct pool_job *job)
{
	deal_publish(t->deal, job);
	hand_out(t);
	return 0;
}

static int pipe_extend(struct pool_transport *t, struct pool_job *job, uint64_t tile)
{
	return deal_extend(t->deal, job, tile);
}

static void pipe_offer(struct pool_transport *t, struct pool_job *job, uint64_t tiles)
{
	(void)job;
	(void)tiles;
	hand_out(t);
}

static void pipe_cancel(struct pool_transport *t, struct pool_job *job)
{
	deal_cancel(t->deal, job);
}

static void pipe_retire(struct pool_transport *t, struct pool_job *job)
{
	deal_retire(t->deal, job);
}

static void pipe_collect(struct pool_transport *t, struct pool_job *job)
{
	deal_collect(t->deal, job);
}

static bool pipe_holds(struct pool_transport *t, int worker, const struct pool_job *job)
{
	const struct channel *c = &t->channel[worker];
	pipe_receive(t, worker); /* what it has answered it does not hold any more */
	pipe_pull(t, worker);
	if (t->finalizes && c->open && __atomic_load_n(&c->outbox->left, __ATOMIC_ACQUIRE))
		return false; /* it is in its finalizer; what it was sent behind is taken back, see pipe_reap */
	return deal_holds(t->deal, worker, job);
}

const struct pool_transport_ops pool_transport_pipe = {
	.name = "pipe",
	.needs = POOL_CAN_ISOLATE, /* both sides close their own ends */
	.open = pipe_open,
	.close = pipe_close,
	.ticket = pipe_ticket,
	.forked = pipe_forked,
	.started = pipe_started,
	.stop = pipe_stop,
	.prepare = pipe_prepare,
	.publish = pipe_publish,
	.extend = pipe_extend,
	.offer = pipe_offer,
	.cancel = pipe_cancel,
	.retire = pipe_retire,
	.collect = pipe_collect,
	.reap = pipe_reap,
	.doze = pipe_doze,
	.event = pipe_event,
	.lost = pipe_lost,
	.holds = pipe_holds,
	.attach = pipe_attach,
	.claim = pipe_claim,
	.result_alloc = pipe_result_alloc,
	.fault = pipe_fault,
	.commit = pipe_commit,
	.detach = pipe_detach,
};
