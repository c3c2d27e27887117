/*
 * start_process.c - watching and signalling a worker process through its pidfd.
 *
 * DESIGN. A pidfd names the process, not the number: a signal cannot hit a stranger that got the
 * number later, and the end of the process is an event that epoll delivers. A host program that
 * reaps all children in its own SIGCHLD handler takes the exit status away from us; the worker is
 * gone all the same, with status unknown (-1).
 */
#include "pools/start_process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

static int wait_pid(pid_t pid)
{
	int status;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* Once it has been waited for, its number may be a stranger's. */
static bool is_our_child(pid_t pid)
{
	siginfo_t info;
	int rc;
	do
		rc = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
	while (rc < 0 && errno == EINTR);
	return rc == 0;
}

int pool_process_reserve(const struct pool_ticket *ticket)
{
	int fd = pool_fd_duplicate(ticket->wake_fd);
	return fd < 0 ? -errno : fd;
}

int pool_process_adopt(pid_t pid, int spare, struct pool_body *body)
{
	close(spare);
	int fd = pool_fd_keep((int)syscall(SYS_pidfd_open, pid, 0)); /* is close-on-exec */
	*body = (struct pool_body){ .pid = pid, .pidfd = fd };
	if (fd < 0) {
		int error = errno;
		if (is_our_child(pid)) {
			kill(pid, SIGKILL);
			wait_pid(pid);
		}
		return -error;
	}
	return 0;
}

/* As wait(2) would have said it. */
static int status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return info->si_status << 8;
	return info->si_status;
}

bool pool_process_dead(const struct pool_body *body)
{
	struct pollfd event = { .fd = body->pidfd, .events = POLLIN };
	return poll(&event, 1, 0) == 1 && event.revents;
}

bool pool_process_ended(struct pool_body *body, int *status)
{
	siginfo_t info = { 0 };
	int rc;
	do
		rc = waitid((idtype_t)P_PIDFD, (id_t)body->pidfd, &info, WEXITED | WNOHANG);
	while (rc < 0 && errno == EINTR);
	if (rc == 0 && info.si_pid == 0)
		return false;
	if (rc < 0 && !pool_process_dead(body))
		return false;
	*status = rc == 0 ? status_of(&info) : -1;
	return true;
}

/* 'T' in /proc/PID/stat behind the command's closing parenthesis. */
static bool looks_still(pid_t pid)
{
	char path[64], text[512];
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return false;
	size_t size = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[size] = '\0';
	const char *end = strrchr(text, ')');
	return !end || strchr("TtZX", end[1] == ' ' ? end[2] : 'Z');
}

/* Needs no descriptor, so it works when there is none left; leaves what it sees to be waited for. A
 * host program that waits for all children may have taken the news away: then /proc tells. */
bool pool_process_still(const struct pool_body *body)
{
	siginfo_t info = { 0 };
	int rc = waitid((idtype_t)P_PIDFD, (id_t)body->pidfd, &info,
			WSTOPPED | WEXITED | WNOHANG | WNOWAIT);
	return (rc == 0 && info.si_pid != 0) || pool_process_dead(body) || looks_still(body->pid);
}

int pool_process_signal(struct pool_body *body, int number)
{
	return syscall(SYS_pidfd_send_signal, body->pidfd, number, NULL, 0) < 0 ? -errno : 0;
}
