/*
 * worker.c - the worker: one loop for every backend, and what a task may call.
 *
 * DESIGN. attach; initialise; while (claim) { run; commit; } finalise; detach. A failing item is
 * told to the transport at once and not at commit: if the worker dies later in the same span, the
 * items before the last begun one count as finished, and a failure kept here would make one of them
 * look fine.
 */
#include "pools/pool_ops.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

struct pool_worker_state {
	const struct pool_transport_ops *ops;
	struct pool_port *port;
	struct pool_ledger *ledger;
	struct pool_board *board;
	struct pool_span claimed;     /* the one span object, see pool_ops.h */
	struct pool_span *span;	      /* being run; NULL in initializer and finalizer */
	const struct pool_task *task; /* looked up last */
	int worker;
	unsigned generation; /* of the process: see pool_generation */
	uint32_t claim;
	void *local;
	char *message; /* of the item that is failing */
	uint64_t message_size;
	const void *room; /* of a result, given last */
	uint64_t room_size;
	bool encode_failed; /* the item asked for a result it could not get */
	uint64_t begun; /* items begun before this span, also by those who had this number before */
	uint64_t served; /* items of this process's spans */
};

/* Whose task this thread runs: it must not wait for the pool that waits for it. A task may have a pool without workers run
 * tasks in turn. */
struct running {
	const struct pool_board *board;
	const struct running *outer;
};
static _Thread_local const struct running *running;

bool pool_is_running_for(const struct pool_board *board)
{
	const struct running *r = running;
	while (r && r->board != board)
		r = r->outer;
	return board && r;
}

int64_t pool_now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* The worker writes what was before a claim, then progress as its items begin; over what was before claim c only when c + 1
 * has begun. So it belongs to this progress unless that has gone on to another claim meanwhile. */
uint64_t pool_ledger_begun(const struct pool_ledger *ledger)
{
	uint64_t progress = __atomic_load_n(&ledger->progress, __ATOMIC_ACQUIRE), begun = 0;
	for (int tries = 0; tries < 100;
	     tries++) { /* it may be faster than we are, for as long as it likes */
		const uint64_t seen = progress;
		begun = __atomic_load_n(&ledger->begun_before[seen >> 32 & 1], __ATOMIC_ACQUIRE) +
			(seen & UINT32_MAX);
		progress = __atomic_load_n(&ledger->progress, __ATOMIC_ACQUIRE);
		if (progress >> 32 == seen >> 32)
			break;
	}
	return begun;
}

void pool_ledger_wait(struct pool_ledger *ledger, bool waits, int64_t now_ns)
{
	const uint64_t idle_ns = (uint64_t)now_ns - ledger->idle_since_ns;
	if (!waits)
		__atomic_store_n(&ledger->idle_ns, ledger->idle_ns + idle_ns, __ATOMIC_RELAXED);
	__atomic_store_n(&ledger->idle_since_ns, waits ? (uint64_t)now_ns : 0, __ATOMIC_RELAXED);
}

/* ---- what a task may call ---- */

void *pool_local(const struct pool_call *call)
{
	return call->worker->local;
}

void pool_local_set(struct pool_call *call, void *local)
{
	call->worker->local = local;
}

int pool_worker(const struct pool_call *call)
{
	return call->worker->worker;
}

/* A task that asks in vain for room fails, whatever it returns. Items of fixed size are not watched,
 * as that would cost each of them: this span's are from here on, and so they are after a pool_fail. */
static void note_encoding(struct pool_call *call, bool fine)
{
	call->worker->encode_failed = !fine && call->worker->span;
	if (!fine)
		call->watched = true;
}

void *pool_result_alloc(struct pool_call *call, uint64_t size)
{
	struct pool_worker_state *w = call->worker;
	struct pool_ref *ref = (struct pool_ref *)(void *)call->result;
	void *room = NULL;
	if (call->variable & POOL_VARIABLE_RESULT && w->span && size <= INT64_MAX)
		room = w->ops->result_alloc(w->port, ref, size);
	if (room) {
		w->room = room;
		w->room_size = size;
	}
	note_encoding(call, room != NULL);
	return room;
}

/* Does it lie in the room that a further call replaces? That goes before the new one comes. */
static bool is_own_room(const struct pool_worker_state *w, const void *data)
{
	const uintptr_t at = (uintptr_t)data, room = (uintptr_t)w->room;
	return room && at >= room && at - room < w->room_size;
}

int pool_return(struct pool_call *call, const void *data, uint64_t size)
{
	if (!(call->variable & POOL_VARIABLE_RESULT) || (!data && size)) {
		note_encoding(call, false);
		return -EINVAL;
	}
	void *copy = NULL;
	if (size && is_own_room(call->worker, data)) {
		copy = malloc(size);
		if (!copy) {
			note_encoding(call, false);
			return -ENOMEM;
		}
		data = memcpy(copy, data, size);
	}
	void *room = pool_result_alloc(call, size);
	if (room && size)
		memcpy(room, data, size);
	free(copy);
	return room ? 0 : -ENOMEM;
}

int pool_fail(struct pool_call *call, int code, const char *format, ...)
{
	struct pool_worker_state *w = call->worker;
	va_list args;
	va_start(args, format);
	free(w->message);
	int size = vasprintf(&w->message, format, args);
	va_end(args);
	if (size < 0)
		w->message = NULL;
	w->message_size = size < 0 ? 0 : (uint64_t)size;
	call->watched = true; /* it may yet return 0 */
	return code ? code : 1;
}

/* ---- items ---- */

static void forget_message(struct pool_worker_state *w)
{
	free(w->message);
	w->message = NULL;
	w->message_size = 0;
}

/* A child that a task forked and let return is no second worker. */
static void end_if_forked(const struct pool_worker_state *w)
{
	if (w->generation != pool_generation)
		_exit(0);
}

static void tell_fault(struct pool_worker_state *w, uint64_t i, int status, int code)
{
	const struct pool_fault fault = {
		.index = w->span->call.index + i,
		.status = status,
		.code = code,
		.message = w->message ? w->message : "",
		.message_size = w->message ? w->message_size : 0,
	};
	end_if_forked(w);
	w->ops->fault(w->port, w->span, &fault);
	forget_message(w);
}

void pool_item_failed(struct pool_call *span, uint64_t i, int code)
{
	struct pool_worker_state *w = span->worker;
	w->encode_failed = false;
	if (w->span)
		tell_fault(w, i, POOL_TASK_ERROR, code);
}

/* Told before the next item begins: were the worker to die in between, this item would look fine. What it gave as a
 * reason is not the next one's. */
void pool_item_end(struct pool_call *span, uint64_t i)
{
	struct pool_worker_state *w = span->worker;
	if (w->encode_failed && w->span)
		tell_fault(w, i, POOL_ENCODE_ERROR, 0);
	else if (w->message)
		forget_message(w);
	w->encode_failed = false;
}

void pool_item_begin(struct pool_call *span, uint64_t i)
{
	struct pool_worker_state *w = span->worker;
	(void)i;
	if (w->span && w->span->limit_ns)
		__atomic_store_n(&w->ledger->begun_ns, (uint64_t)pool_now_ns(), __ATOMIC_RELEASE);
}

/* None of them begins. */
static void run_unknown(struct pool_worker_state *w, uint64_t count)
{
	__atomic_store_n(&w->ledger->progress, (uint64_t)w->claim << 32, __ATOMIC_RELEASE);
	for (uint64_t i = 0; i < count; i++)
		tell_fault(w, i, POOL_UNKNOWN_TASK, 0);
}

static void run_span(struct pool_worker_state *w, struct pool_span *span)
{
	if (!w->task || w->task->id != span->task)
		w->task = pool_task_find(span->task);
	span->call.worker = w;
	span->call.progress = &w->ledger->progress;
	span->call.claim = (uint64_t)++w->claim << 32;
	span->call.watched = span->limit_ns || (span->call.variable & POOL_VARIABLE_RESULT);
	w->span = span;
	if (span->limit_ns != (int64_t)w->ledger->limit_ns)
		__atomic_store_n(&w->ledger->limit_ns, (uint64_t)span->limit_ns, __ATOMIC_RELEASE);
	__atomic_store_n(&w->ledger->begun_before[w->claim & 1], w->begun, __ATOMIC_RELAXED);
	if (w->task)
		w->task->run_span(&span->call, span->count);
	else
		run_unknown(w, span->count);
	w->begun += w->task ? span->count : 0;
	w->served += span->count;
	if (span->limit_ns)
		__atomic_store_n(&w->ledger->begun_ns, 0, __ATOMIC_RELEASE);
}

/* ---- life ---- */

/* Runs initializer or finalizer as an item of its own, outside any span. */
static int run_once(struct pool_worker_state *w, uint64_t id, const void *argument, uint64_t size)
{
	const struct pool_task *task = pool_task_find(id);
	uint64_t unused = 0;
	struct pool_call call = {
		.arg = { argument },
		.arg_size = { size },
		.columns = size ? 1 : 0,
		.progress = &unused,
		.worker = w,
	};
	w->span = NULL;
	const struct running me = { w->board, running };
	running = &me;
	const int code = task ? task->run(&call) : POOL_UNKNOWN_TASK;
	end_if_forked(w);
	running = me.outer;
	return code;
}

static void declare_unfit(struct pool_worker_state *w, int code, const char *message)
{
	w->ledger->code = code;
	snprintf(w->ledger->message, sizeof w->ledger->message, "%s", message);
	__atomic_store_n(&w->ledger->phase, POOL_PHASE_UNFIT, __ATOMIC_RELEASE);
}

bool pool_worker_begin(struct pool_worker_state *w)
{
	const struct pool_board *board = w->board;
	const void *argument = (const char *)board + board->argument_at;
	int code = board->initializer
			   ? run_once(w, board->initializer, argument, board->argument_size)
			   : 0;
	if (code)
		declare_unfit(w, code, w->message ? w->message : "");
	else
		__atomic_store_n(&w->ledger->phase, POOL_PHASE_READY, __ATOMIC_RELEASE);
	forget_message(w);
	return code == 0;
}

static bool worn_out(const struct pool_worker_state *w)
{
	return w->board->tasks_per_worker && w->served >= (uint64_t)w->board->tasks_per_worker;
}

/* Claims count before the span runs: it may end with the worker. */
int pool_worker_step(struct pool_worker_state *w)
{
	struct pool_span *span = &w->claimed;
	int rc = w->ops->claim(w->port, span);
	if (rc)
		return rc;
	__atomic_store_n(&w->ledger->claims, w->ledger->claims + span->claims, __ATOMIC_RELAXED);
	const struct running me = { w->board, running };
	running = &me;
	run_span(w, span);
	end_if_forked(w);
	running = me.outer;
	const bool worn = worn_out(w);
	span->overdue = worn && span->goes_on;
	if (worn && !span->goes_on)
		__atomic_store_n(&w->ledger->phase, POOL_PHASE_LEAVING, __ATOMIC_RELEASE);
	return w->ops->commit(w->port, span);
}

static int work(struct pool_worker_state *w)
{
	int rc;
	do
		rc = pool_worker_step(w);
	while (rc == 0 && w->ledger->phase != POOL_PHASE_LEAVING);
	if (rc == POOL_END && w->ledger->phase != POOL_PHASE_LEAVING)
		__atomic_store_n(&w->ledger->phase, POOL_PHASE_DONE, __ATOMIC_RELEASE);
	else if (rc == -EBADF && w->served == 0 && w->board->initializer)
		declare_unfit(w, -EBADF, "it closed the pool's descriptors");
	return rc == POOL_END ? 0 : rc;
}

int pool_worker_open(struct pool_worker_state **out, const struct pool_launch *launch)
{
	struct pool_worker_state *w = calloc(1, sizeof *w);
	if (!w)
		return -ENOMEM;
	w->ops = launch->ops;
	w->board = launch->board;
	w->worker = launch->ticket.worker;
	w->generation = pool_generation;
	w->ledger = &launch->board->ledger[w->worker];
	w->begun = pool_ledger_begun(w->ledger);
	w->claim = (uint32_t)(w->ledger->progress >> 32);
	int rc = w->ops->attach(&w->port, &launch->ticket, launch->board);
	if (rc < 0) {
		free(w);
		return rc;
	}
	*out = w;
	return 0;
}

void pool_worker_end(struct pool_worker_state *w)
{
	const struct pool_board *board = w->board;
	if (!board->finalizer)
		return;
	if (board->finalizer_limit_ns) {
		__atomic_store_n(&w->ledger->limit_ns, (uint64_t)board->finalizer_limit_ns,
				 __ATOMIC_RELEASE);
		__atomic_store_n(&w->ledger->begun_ns, (uint64_t)pool_now_ns(), __ATOMIC_RELEASE);
	}
	run_once(w, board->finalizer, NULL, 0);
	__atomic_store_n(&w->ledger->begun_ns, 0, __ATOMIC_RELEASE);
}

void pool_worker_close(struct pool_worker_state *w)
{
	free(w->message);
	w->ops->detach(w->port);
	free(w);
}

/* Not for a worker that is a thread: its parent is the host program's. */
static void die_with_parent(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(0);
}

int pool_worker_main(const struct pool_launch *launch)
{
	struct pool_worker_state *w;
	int rc = pool_worker_open(&w, launch);
	if (rc < 0)
		return POOL_EXIT_NO_PORT;
	bool fit = pool_worker_begin(w);
	/* An initializer that changes the credentials takes the wish to die with the parent away. */
	if (launch->board->initializer && getpid() != launch->ticket.parent)
		die_with_parent(launch->ticket.parent);
	if (fit && launch->board->initializer)
		pool_fd_wake(launch->ticket.wake_fd); /* it may be sent work now */
	if (fit) {
		rc = work(w);
		if (rc == 0)
			pool_worker_end(w);
	}
	pool_worker_close(w);
	return rc < 0 ? POOL_EXIT_BROKEN : 0;
}

/* Signals came in blocked from the keeper: nothing of the host's can run before the dispositions
 * are our own. */
void pool_worker_settle(const struct pool_ticket *ticket, const struct pool_board *board)
{
	die_with_parent(ticket->parent);
	struct sigaction action = { .sa_handler = SIG_DFL };
	for (int number = 1; number < NSIG; number++)
		sigaction(number, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGINT, &action, NULL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	pool_worker_pin(ticket->worker, board);
	pool_worker_batch();
}
