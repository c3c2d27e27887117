/*
 * program.c - asking, digesting and copying programs.
 */
#include "harness/program.h"
#include "harness/child.h"
#include "harness/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *path_of(const char *path)
{
	return path ? path : "/proc/self/exe";
}

static int refuse(const char *path, const char *why)
{
	fprintf(stderr, "poolbench: %s: %s, want a poolbench program\n", path, why);
	return -EINVAL;
}

static int check_file(const char *path)
{
	struct stat stat_buffer;

	if (stat(path, &stat_buffer) < 0 || access(path, X_OK) < 0)
		return refuse(path, strerror(errno));
	if (!S_ISREG(stat_buffer.st_mode))
		return refuse(path, "not a file");
	return 0;
}

/*
 * == Asking ==
 */

#define ANSWER_S                                                                                   \
	10 /* an answer takes milliseconds; a program that knows no --version may never end */

/* Never returns. The caller is single-threaded, so anything is allowed here. */
static void become_program(pid_t parent, const char *executable, int out)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	child_settle(parent);
	if (dup2(null, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
	    dup2(null, STDERR_FILENO) >= 0)
		execl(executable, executable, "--version", NULL);
	_exit(127);
}

/* Until there is something to read, or an end: 0, -ETIMEDOUT or -errno. */
static int wait_for(int fd, int64_t until_ns)
{
	struct pollfd event = { .fd = fd, .events = POLLIN };
	int64_t left_ms;
	int ready;

	do {
		left_ms = (until_ns - clock_now_ns()) / NS_PER_MS;
		ready = poll(&event, 1, left_ms > 0 ? (int)left_ms : 0);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	return ready == 0 ? -ETIMEDOUT : 0;
}

/* The first line, or what there is of it. 0, -ETIMEDOUT or -errno. */
static int read_line(int from, int64_t until_ns, char *line, size_t size)
{
	size_t used = 0;
	ssize_t got = 1;

	while (got > 0 && used + 1 < size && memchr(line, '\n', used) == NULL) {
		int rc = wait_for(from, until_ns);
		if (rc < 0)
			return rc;
		got = read(from, line + used, size - 1 - used);
		used += got > 0 ? (size_t)got : 0;
	}
	line[used] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return 0;
}

/* Its end, or, when it does not come in time, ours; *status is the one of waitpid. */
static int end_program(pid_t pid, int64_t until_ns, int *status)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int rc = pidfd < 0 ? -errno : wait_for(pidfd, until_ns);

	*status = child_reap(pid);
	if (pidfd >= 0)
		close(pidfd);
	return rc;
}

/* The first line that it says by --version. 0, -EPROTO: it fails, -ETIMEDOUT or -errno. */
static int ask(const char *executable, char *line, size_t size)
{
	const int64_t until_ns = clock_now_ns() + ANSWER_S * NS_PER_S;
	int out[2], status = 0, rc, ended;
	pid_t parent = getpid(), pid;

	if (pipe2(out, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		become_program(parent, executable, out[1]);
	rc = pid < 0 ? -errno : 0;
	close(out[1]);
	if (rc == 0)
		rc = read_line(out[0], until_ns, line, size);
	close(out[0]);
	if (pid < 0)
		return rc;
	ended = end_program(pid, rc < 0 ? 0 : until_ns, &status);
	if (rc == 0)
		rc = ended;
	return rc == 0 && status != 0 ? -EPROTO : rc;
}

/* What the file `executable` says; complaints call it `path`. */
static int ask_version(const char *path, const char *executable, char *version, size_t size)
{
	char line[256], why[64];
	int rc = ask(executable, line, sizeof line);

	if (rc == -ETIMEDOUT) {
		snprintf(why, sizeof why, "does not answer --version within %d s", ANSWER_S);
		return refuse(path, why);
	}
	if (rc < 0 && rc != -EPROTO)
		return refuse(path, strerror(-rc));
	if (rc < 0 || strncmp(line, "poolbench ", strlen("poolbench ")) != 0)
		return refuse(path, "does not say by --version that it is one");
	snprintf(version, size, "%s", line);
	return 0;
}

int program_check(const char *path, char *version, size_t size)
{
	int rc = check_file(path_of(path));

	return rc ? rc : ask_version(path_of(path), path_of(path), version, size);
}

int program_open(struct program *program, const char *path)
{
	int rc = check_file(path_of(path));

	program->fd = rc ? -1 : open(path_of(path), O_RDONLY | O_CLOEXEC);
	if (rc < 0)
		return rc;
	if (program->fd < 0 || fstat(program->fd, &program->opened) < 0)
		return refuse(path_of(path), strerror(errno));
	/* By our number: a script's interpreter opens this path once more, when its own descriptor is closed. */
	snprintf(program->path, sizeof program->path, "/proc/%d/fd/%d", (int)getpid(), program->fd);
	return ask_version(path_of(path), program->path, program->version, sizeof program->version);
}

bool program_changed(const struct program *program)
{
	const struct stat *then = &program->opened;
	struct stat now;

	return fstat(program->fd, &now) < 0 || now.st_size != then->st_size ||
	       now.st_mtim.tv_sec != then->st_mtim.tv_sec ||
	       now.st_mtim.tv_nsec != then->st_mtim.tv_nsec;
}

void program_close(struct program *program)
{
	if (program->fd >= 0)
		close(program->fd);
	program->fd = -1;
}

int program_digest(const char *path, char digest[PROGRAM_DIGEST_SIZE])
{
	uint8_t buffer[65536], bytes[SHA256_DIGEST_SIZE];
	struct sha256_ctx context;
	FILE *file = fopen(path_of(path), "re");
	size_t size;
	int rc;

	if (file == NULL)
		return -errno;
	sha256_init(&context);
	while ((size = fread(buffer, 1, sizeof buffer, file)) > 0)
		sha256_update(&context, size, buffer);
	rc = ferror(file) ? -EIO : 0;
	fclose(file);
	sha256_digest(&context, sizeof bytes, bytes);
	for (size_t i = 0; i < sizeof bytes; i++)
		snprintf(digest + 2 * i, 3, "%02x", bytes[i]);
	return rc;
}

static int copy_bytes(int from, int to)
{
	char buffer[65536];
	ssize_t size;

	while ((size = read(from, buffer, sizeof buffer)) > 0)
		for (ssize_t at = 0, written; at < size; at += written) {
			written = write(to, buffer + at, (size_t)(size - at));
			if (written < 0)
				return -errno;
		}
	return size < 0 ? -errno : 0;
}

int program_copy(const char *path, const char *to, mode_t mode)
{
	int in = open(path_of(path), O_RDONLY | O_CLOEXEC), out, rc;

	if (in < 0) {
		rc = -errno;
		goto done;
	}
	out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	rc = out < 0 ? -errno : copy_bytes(in, out);
	if (out >= 0 && close(out) < 0 && rc == 0)
		rc = -errno;
	if (out >= 0 && rc < 0)
		unlink(to);
	close(in);
done:
	if (rc < 0)
		fprintf(stderr, "poolbench: %s: cannot be copied to %s: %s\n", path_of(path), to,
			strerror(-rc));
	return rc;
}
