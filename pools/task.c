/*
 * task.c - the registry of tasks, and the way into a program that was executed as a worker.
 *
 * DESIGN. A task's id is the FNV-1a hash (Fowler, Noll, Vo 1991) of its file and name: the same in
 * every process of the same program wherever it is loaded. Registration runs before main,
 * single-threaded, and only links the task into a list; two tasks of one id leave both unusable (id
 * 0), which submission reports as POOL_UNKNOWN_TASK.
 */
#include "pools/pool_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define WORKER_ARGUMENT "--pool-worker="
enum { REFUSED = 2, NO_MEMORY = 125 }; /* exit codes of what could not become a worker */

static struct pool_task *tasks;
static struct {
	char *path; /* NULL: pool_main was not called */
	dev_t device;
	ino_t inode;
} program;

static uint64_t fnv1a(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return hash;
}

void pool_register(struct pool_task *task)
{
	task->id = fnv1a(fnv1a(UINT64_C(14695981039346656037), task->unit), task->name);
	for (struct pool_task *other = tasks; other; other = other->next)
		if (other->id == task->id)
			other->id = task->id = 0;
	task->next = tasks;
	tasks = task;
}

const struct pool_task *pool_task_find(uint64_t id)
{
	for (const struct pool_task *task = tasks; task && id; task = task->next)
		if (task->id == id)
			return task;
	return NULL;
}

void pool_ticket_format(const struct pool_ticket *t, char text[256])
{
	snprintf(text, 256,
		 "%s%" PRId32 ",%" PRId32 ",%" PRId32 ",%" PRId32 ",%" PRId32 ",%" PRId32
		 ",%" PRIu64 ",%" PRIu64,
		 WORKER_ARGUMENT, t->worker, t->parent, t->board_fd, t->fd[0], t->fd[1], t->wake_fd,
		 t->size, t->transport);
}

int pool_ticket_parse(struct pool_ticket *t, const char *text)
{
	int end = 0;
	*t = (struct pool_ticket){ 0 };
	int got = sscanf(text,
			 WORKER_ARGUMENT "%" SCNd32 ",%" SCNd32 ",%" SCNd32 ",%" SCNd32 ",%" SCNd32
					 ",%" SCNd32 ",%" SCNu64 ",%" SCNu64 "%n",
			 &t->worker, &t->parent, &t->board_fd, &t->fd[0], &t->fd[1], &t->wake_fd,
			 &t->size, &t->transport, &end);
	return got == 8 && text[end] == '\0' ? 0 : -EINVAL;
}

struct pool_board *pool_board_map(int fd)
{
	struct stat st;
	if (fstat(fd, &st) < 0)
		return NULL;
	void *at = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return at == MAP_FAILED ? NULL : at;
}

/* They came through exec; what a task executes is not to have them. */
static void keep_from_exec(const struct pool_ticket *ticket)
{
	const int kept[] = { ticket->fd[0], ticket->fd[1], ticket->wake_fd };
	for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
		if (kept[i] >= 0)
			fcntl(kept[i], F_SETFD, FD_CLOEXEC);
}

/* Is it as pool.c makes it, in a file of that size, and has that worker? */
static bool board_fits(const struct pool_board *board, uint64_t bytes, int32_t worker)
{
	if (board->workers < 1 || board->workers > POOL_WORKERS_MAX || worker < 0 ||
	    (uint32_t)worker >= board->workers || board->bytes != bytes)
		return false;
	const uint64_t ledgers = sizeof *board + board->workers * sizeof board->ledger[0],
		       outboxes = (uint64_t)board->workers * POOL_OUTBOX_BYTES;
	if (outboxes > bytes || board->outbox_at != bytes - outboxes ||
	    board->outbox_at % _Alignof(struct pool_ledger))
		return false;
	return ledgers <= board->argument_at && board->argument_at <= board->outbox_at &&
	       board->argument_size <= board->outbox_at - board->argument_at;
}

static const struct pool_backend *backend_of(const struct pool_ticket *ticket)
{
	const struct pool_backend *backend =
		ticket->transport <= UINT_MAX ? pool_backend_at((unsigned)ticket->transport) : NULL;
	return backend && backend->info.can & POOL_CAN_EXEC ? backend : NULL;
}

/* Whoever executes a program with rights of its own does not choose the memory it works with. */
static bool is_privileged(void)
{
	return getauxval(AT_SECURE) != 0;
}

/* No pool's doing: somebody has typed it. */
static int refuse(const char *why)
{
	fprintf(stderr, "%s: %s...: %s\n", program_invocation_short_name, WORKER_ARGUMENT, why);
	return REFUSED;
}

static int run_as_worker(const char *argument)
{
	struct pool_launch launch = { 0 };
	struct stat st;
	if (is_privileged())
		return refuse("a program with rights of its own is no worker");
	if (pool_ticket_parse(&launch.ticket, argument) < 0)
		return refuse("only a pool starts a worker");
	const struct pool_backend *backend = backend_of(&launch.ticket);
	if (!backend || fstat(launch.ticket.board_fd, &st) < 0 ||
	    st.st_size < (off_t)sizeof *launch.board)
		return refuse("only a pool starts a worker");
	launch.board = pool_board_map(launch.ticket.board_fd);
	if (!launch.board)
		return NO_MEMORY;
	if (!board_fits(launch.board, (uint64_t)st.st_size, launch.ticket.worker))
		return refuse("not a worker of this pool");
	close(launch.ticket.board_fd);
	keep_from_exec(&launch.ticket);
	launch.ops = backend->transport;
	pool_worker_settle(&launch.ticket, launch.board);
	return pool_worker_main(&launch);
}

/* Under valgrind readlink tells the program, exec of /proc/self/exe would run valgrind itself: so the path is what is
 * executed, as long as it names this file. */
static void note_program(void)
{
	char path[4096];
	struct stat about;
	ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
	if (size <= 0 || is_privileged())
		return;
	path[size] = '\0';
	if (stat(path, &about) == 0) {
		program.device = about.st_dev;
		program.inode = about.st_ino;
	}
	program.path = strdup(path);
}

/* In a worker, too: its tasks may open pools of their own. */
void pool_main(int *argc, char ***argv)
{
	if (!program.path)
		note_program();
	if (*argc == 2 && strncmp((*argv)[1], WORKER_ARGUMENT, strlen(WORKER_ARGUMENT)) == 0)
		_exit(run_as_worker((*argv)[1]));
}

/* A program that was deleted or replaced is still reached through /proc/self/exe, which is the one that runs; its inode's
 * number is nobody else's until then. */
const char *pool_main_path(void)
{
	struct stat about;
	if (!program.path || (stat(program.path, &about) == 0 && about.st_dev == program.device &&
			      about.st_ino == program.inode))
		return program.path;
	return "/proc/self/exe";
}
