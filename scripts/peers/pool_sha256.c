/*
 * pool_sha256.c - one job, done once, through one row of the pool: the program that `whole` times beside its peers.
 *
 *	pool_sha256 --rows                  the names of all rows
 *	pool_sha256 BACKEND WORKERS TREE    prints the digest of each file as sha256sum does
 *
 * It is apart from `poolbench cell` because that verifies against a serial run and repeats: right for the time of
 * a call, wrong for the time of a command. What it prints is compared with sha256sum's instead.
 */
#include "workloads/workload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGEST_BYTES 32

static int complain(const char *what, const char *why)
{
	fprintf(stderr, "pool_sha256: %s: %s\n", what, why);
	return 1;
}

static int print_rows(void)
{
	const struct pool_backend_info *row;

	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		puts(row->name);
	return 0;
}

static void print_digests(const struct work *w, const unsigned char *digest)
{
	const struct pool_bytes *paths = w->column[0].data;

	for (uint64_t i = 0; i < w->tasks; i++, digest += DIGEST_BYTES) {
		for (int k = 0; k < DIGEST_BYTES; k++)
			printf("%02x", digest[k]);
		printf("  %s\n", (const char *)paths[i].data);
	}
}

static int run(const struct work *w, const struct pool_options *options, unsigned char *digests)
{
	struct pool *pool;
	int rc = pool_open(&pool, options);

	if (rc < 0)
		return rc;
	rc = pool_map(pool, w->load->task, w->column[0].data, w->column[0].size, w->tasks, digests,
		      w->result_size, NULL);
	pool_close(pool);
	pool_join(pool, POOL_FOREVER);
	pool_destroy(pool);
	return rc;
}

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	if (argc == 2 && strcmp(argv[1], "--rows") == 0)
		return print_rows();
	if (argc != 4)
		return complain("usage", "pool_sha256 --rows | BACKEND WORKERS TREE"), 2;

	const struct pool_options options = { .backend = argv[1], .workers = atoi(argv[2]) };
	const struct work_options wanted = { .tree = argv[3] };
	struct work w;
	char why[256];
	if (work_open(&w, workload_find("sha256"), &wanted, why, sizeof why) < 0)
		return complain("input", why);
	unsigned char *digests = calloc(w.tasks, w.result_size);
	int rc = digests ? run(&w, &options, digests) : -ENOMEM;
	if (rc == 0)
		print_digests(&w, digests);
	free(digests);
	work_close(&w);
	return rc == 0 ? 0 : complain(argv[1], pool_strerror(rc));
}
