/*
 * peer.c - the table of peers, and finding their programs.
 */
#include "harness/peer.h"
#include "harness/bench.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct peer peers[] = {
	{ "openmp-", "OpenMP", "openmp", "gcc (for clang: libomp-dev)" },
	{ "cpython-", "CPython", "pool_square.py", "python3" },
	{ "mpi-", "MPI", "mpi", "libopenmpi-dev openmpi-bin" },
	{ "xargs", "xargs", "xargs_square.sh", "findutils" },
	{ "parallel", "GNU parallel", "parallel_square.sh", "parallel" },
	{ "raw-", "the machine's limits", "limits", "gcc" },
	{ "lazy", "memory of lazy input", "lazy", "gcc" },
};

const struct peer *peer_at(unsigned i)
{
	return i < sizeof peers / sizeof *peers ? &peers[i] : NULL;
}

const struct peer *peer_find(const char *backend)
{
	const struct peer *peer;

	if (baseline_find(backend) != NULL)
		return NULL; /* this program's own */
	for (unsigned i = 0; (peer = peer_at(i)) != NULL; i++)
		if (strncmp(backend, peer->prefix, strlen(peer->prefix)) == 0)
			return peer;
	return NULL;
}

/* In a source tree; where it was installed. */
static const char *const places[] = { "scripts/peers", "share/poolbench/peers" };

int peer_path(const struct peer *peer, char *path, size_t size)
{
	char root[PATH_MAX], *slash;
	ssize_t length = readlink("/proc/self/exe", root, sizeof root - 1);

	if (length < 0)
		return -errno;
	root[length] = '\0';
	while ((slash = strrchr(root, '/')) != NULL) {
		*slash = '\0';
		for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
			int used = snprintf(path, size, "%s/%s/%s", root, places[i], peer->program);
			if (used > 0 && (size_t)used < size && access(path, X_OK) == 0)
				return 0;
		}
	}
	return -ENOENT;
}

int peer_version(const struct peer *peer, char *version, size_t size)
{
	char path[PATH_MAX], command[PATH_MAX + 64];
	int rc = peer_path(peer, path, sizeof path);
	FILE *pipe;

	if (rc < 0 || strchr(path, '\'') != NULL)
		return -ENOENT;
	snprintf(command, sizeof command, "timeout -s KILL 10 '%s' --version 2>/dev/null", path);
	pipe = popen(command, "re");
	if (pipe == NULL)
		return -ENOENT;
	if (fgets(version, (int)size, pipe) == NULL)
		rc = -ENOENT;
	else
		version[strcspn(version, "\n")] = '\0';
	return pclose(pipe) == 0 ? rc : -ENOENT;
}

json_t *peer_versions(void)
{
	json_t *versions = json_object();
	const struct peer *peer;
	char version[256];

	for (unsigned i = 0; (peer = peer_at(i)) != NULL; i++)
		if (json_object_get(versions, peer->title) == NULL)
			json_object_set_new(versions, peer->title,
					    peer_version(peer, version, sizeof version) == 0
						    ? json_string(version)
						    : json_null());
	return versions;
}
