/*
 * sha256.c - the SHA-256 digests of the files of a tree, by libnettle: real work whose tasks are paths of any length and
 * whose lengths are those of real files.
 */
#include "workloads/files.h"

#include <nettle/sha2.h>
#include <string.h>

static void digest_piece(void *state, const unsigned char *bytes, size_t size)
{
	sha256_update(state, size, bytes);
}

static inline int sha256_kernel(const char *path, unsigned char *digest)
{
	struct sha256_ctx state;
	int rc;

	sha256_init(&state);
	rc = files_read(path, digest_piece, &state);
	if (rc < 0)
		return rc;
	sha256_digest(&state, SHA256_DIGEST_SIZE, digest);
	return 0;
}

static int sha256(struct pool_call *call)
{
	const char *path = pool_arg(call, 0);
	int rc = sha256_kernel(path, pool_result(call));

	return rc == 0 ? 0 : pool_fail(call, -rc, "cannot read %s: %s", path, strerror(-rc));
}
POOL_TASK(sha256)

static int sha256_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	w->result_size = SHA256_DIGEST_SIZE;
	return files_open(w, options, why, why_size);
}

static int sha256_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct pool_bytes *paths = w->column[0].data;
	unsigned char *digest = results;
	int rc = 0;

	for (uint64_t i = begin; i < end && rc == 0; i++, digest += SHA256_DIGEST_SIZE)
		rc = sha256_kernel(paths[i].data, digest);
	return rc;
}

const struct workload workload_sha256 = {
	.name = "sha256",
	.summary = "SHA-256 of each file of a directory tree",
	.task = POOL(sha256),
	.open = sha256_open,
	.serial = sha256_serial,
	.close = files_close,
};
