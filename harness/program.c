/*
 * program.c - asking, digesting and copying programs.
 */
#include "harness/program.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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
	if (strchr(path, '\'') != NULL || strlen(path) >= PATH_MAX)
		return refuse(path, "too long, or a quotation mark in it");
	return 0;
}

/* What the file `executable` says; complaints call it `path`. */
static int ask_version(const char *path, const char *executable, char *version, size_t size)
{
	char command[PATH_MAX + 64], line[256] = "";
	FILE *pipe;

	if (strcmp(executable, "/proc/self/exe") == 0) /* that would be the shell */
		snprintf(command, sizeof command, "/proc/%d/exe --version", (int)getpid());
	else
		snprintf(command, sizeof command, "'%s%s' --version 2>/dev/null </dev/null",
			 strchr(executable, '/') ? "" : "./", executable);
	pipe = popen(command, "re");
	if (pipe == NULL)
		return refuse(path, strerror(errno));
	if (fgets(line, sizeof line, pipe) != NULL)
		line[strcspn(line, "\n")] = '\0';
	if (pclose(pipe) != 0 || strncmp(line, "poolbench ", strlen("poolbench ")) != 0)
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
