/*
 * gnuplot.c - running gnuplot.
 */
#include "harness/gnuplot.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

#define SAID_MOST 2000 /* bytes of what gnuplot says that are kept */

/* What comes through the pipe until its end. */
static void read_said(int from, char said[SAID_MOST + 1])
{
	char rest[512];
	size_t used = 0;
	ssize_t size;

	do {
		bool full = used == SAID_MOST;
		size = full ? read(from, rest, sizeof rest)
			    : read(from, said + used, SAID_MOST - used);
		used += !full && size > 0 ? (size_t)size : 0;
	} while (size > 0 || (size < 0 && errno == EINTR));
	said[used] = '\0';
}

/* gnuplot itself does not look whether all was written: a file that may not grow has to end it. 0 or -errno. */
static int spawn_gnuplot(const char *const *argv, int error, pid_t *pid)
{
	posix_spawnattr_t attributes;
	posix_spawn_file_actions_t actions;
	sigset_t back, none;
	int rc = posix_spawnattr_init(&attributes);

	if (rc != 0)
		return -rc;
	sigemptyset(&back);
	sigaddset(&back, SIGXFSZ);
	posix_spawnattr_setsigdefault(&attributes, &back);
	sigemptyset(&none); /* whoever measures waits with signals blocked */
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
	rc = posix_spawn_file_actions_init(&actions);
	if (rc != 0)
		goto err_destroy_attributes;
	rc = posix_spawn_file_actions_adddup2(&actions, error, STDERR_FILENO);
	if (rc == 0)
		rc = posix_spawnp(pid, "gnuplot", &actions, &attributes, (char *const *)argv,
				  environ);
	posix_spawn_file_actions_destroy(&actions);
err_destroy_attributes:
	posix_spawnattr_destroy(&attributes);
	return -rc;
}

int gnuplot_run(const char *const *argv)
{
	char said[SAID_MOST + 1];
	int error[2], status, rc;
	pid_t pid = 0;

	if (pipe2(error, O_CLOEXEC) < 0)
		return -errno;
	rc = spawn_gnuplot(argv, error[1], &pid);
	close(error[1]);
	if (rc == 0)
		read_said(error[0], said);
	close(error[0]);
	if (rc < 0)
		return rc;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	fputs(said, stderr);
	return -EIO;
}
