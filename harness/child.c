/*
 * child.c - running a cell elsewhere.
 *
 * DESIGN. The cell goes in by one pipe, the row comes back by another; both fit a pipe's buffer, so nobody ever blocks on
 * them, and the parent waits for one thing only, the end of the process. The child leads a process group of its own, which is
 * killed before the child is reaped: until then its number cannot be reused.
 */
#include "harness/child.h"
#include "harness/clock.h"
#include "harness/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	pid_t pid;
	int in, out; /* our ends */
	int pidfd;
};

/* The program that measures a cell: a peer's, or this one. 0, or -errno. */
static int find_program(const struct peer *peer, char *path, size_t size)
{
	if (peer != NULL)
		return peer_path(peer, path, size);
	snprintf(path, size, "/proc/self/exe");
	return 0;
}

void child_settle(pid_t parent)
{
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	setpgid(0, 0);
	signal(SIGPIPE, SIG_DFL); /* the run ignores these, and that survives exec */
	signal(SIGXFSZ, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Never returns. The caller is single-threaded, so anything is allowed here. */
static void become_cell(pid_t parent, int in, int out, const char *program, uint64_t seed)
{
	char number[24];

	child_settle(parent);
	snprintf(number, sizeof number, "%" PRIu64, seed);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execl(program, "poolbench", "cell", "--record", "--seed", number, NULL);
	_exit(127);
}

static int start(struct child *child, const char *program, uint64_t seed)
{
	pid_t parent = getpid();
	int in[2], out[2], rc;

	if (pipe2(in, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(out, O_CLOEXEC) < 0) {
		rc = -errno;
		goto err_close_in;
	}
	child->pid = fork();
	if (child->pid == 0)
		become_cell(parent, in[0], out[1], program, seed);
	if (child->pid < 0) {
		rc = -errno;
		goto err_close_out;
	}
	setpgid(child->pid, child->pid); /* whoever comes first, parent or child */
	close(in[0]);
	close(out[1]);
	child->in = in[1];
	child->out = out[0];
	child->pidfd = (int)syscall(SYS_pidfd_open, child->pid, 0);
	if (child->pidfd >= 0)
		return 0;
	rc = -errno; /* without it, the end would not be seen before the deadline */
	child_reap(child->pid);
	close(child->in);
	close(child->out);
	return rc;

err_close_out:
	close(out[0]);
	close(out[1]);
err_close_in:
	close(in[0]);
	close(in[1]);
	return rc;
}

/* 0 when it has ended, -ETIMEDOUT, -EINTR. */
static int wait_end(const struct child *child, int64_t deadline_ns, const sigset_t *waiting)
{
	struct pollfd end = { .fd = child->pidfd, .events = POLLIN };
	struct timespec timeout = { .tv_sec = deadline_ns / NS_PER_S,
				    .tv_nsec = deadline_ns % NS_PER_S };
	int ready = ppoll(&end, 1, &timeout, waiting);

	if (ready < 0)
		return -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

int child_reap(pid_t pid)
{
	int status = 0;

	kill(-pid, SIGKILL);
	kill(pid, SIGKILL); /* should it have no group yet */
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void explain_end(struct record *record, int rc, int status, int64_t deadline_ns)
{
	if (rc == -ETIMEDOUT)
		snprintf(record->error, sizeof record->error,
			 "no answer within %" PRId64 " s: killed", deadline_ns / NS_PER_S);
	else if (WIFSIGNALED(status))
		snprintf(record->error, sizeof record->error, "the measuring process died: %s",
			 strsignal(WTERMSIG(status)));
	else
		snprintf(record->error, sizeof record->error,
			 "the measuring process gave no row (exit status %d)", WEXITSTATUS(status));
}

/* Is the row of the cell that was asked for? Of 0 tasks the workload makes as many as there are. */
static bool is_answer(const struct record *row, const struct record *record)
{
	struct cell cell = row->cell;

	if (record->cell.tasks == 0)
		cell.tasks = 0;
	return row->order == record->order && row->round == record->round &&
	       cell_equal(&cell, &record->cell);
}

/* The row it wrote, if it is whole and an answer. */
static int take_row(const struct child *child, struct record *record)
{
	char line[16384], why[256];
	ssize_t size;
	struct record row;

	fcntl(child->out, F_SETFL, O_NONBLOCK);
	size = read(child->out, line, sizeof line - 1);
	if (size <= 0 || line[size - 1] != '\n')
		return -EINVAL;
	line[size] = '\0';
	if (record_parse(&row, line, why, sizeof why) < 0 || !is_answer(&row, record))
		return -EINVAL;
	*record = row;
	return 0;
}

/* A failure shows as a missing row. SIGPIPE is ignored by the run. */
static void send_cell(const struct child *child, const struct record *record)
{
	char *line = record_format(record);

	if (line != NULL && write(child->in, line, strlen(line)) < 0)
		perror("poolbench: starting a cell");
	close(child->in);
	free(line);
}

int child_measure(struct record *record, uint64_t seed, int64_t deadline_ns,
		  const sigset_t *waiting)
{
	const struct peer *peer = peer_find(record->cell.backend);
	char program[PATH_MAX];

	if (find_program(peer, program, sizeof program) == 0)
		return child_measure_by(program, record, seed, deadline_ns, waiting);
	snprintf(record->error, sizeof record->error,
		 "skipped: %s is not there (Debian package %s)", peer->title, peer->package);
	return 0;
}

int child_measure_by(const char *program, struct record *record, uint64_t seed, int64_t deadline_ns,
		     const sigset_t *waiting)
{
	struct child child = { .pid = -1 };
	int rc, status;

	rc = start(&child, program ? program : "/proc/self/exe", seed);
	if (rc < 0)
		return rc;
	send_cell(&child, record);
	rc = wait_end(&child, deadline_ns, waiting);
	status = child_reap(child.pid);
	close(child.pidfd);
	if (rc != -EINTR && (rc != 0 || take_row(&child, record) < 0))
		explain_end(record, rc, status, deadline_ns);
	close(child.out);
	return rc == -EINTR ? rc : 0;
}
