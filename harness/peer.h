/*
 * peer.h - cells that other programs measure: what people use instead of our pools, and what the machine can do at best.
 *
 * DESIGN. A peer is an arm of a round like any cell. Its backend's name begins with one of the prefixes below, and the
 * program of that line is executed in place of `poolbench cell --record`: the same row goes in, the same row comes
 * back. Programs lie in scripts/peers, of the build or of the source tree, or in share/poolbench/peers where they were
 * installed, found from the program's own place upwards.
 */
#ifndef HARNESS_PEER_H
#define HARNESS_PEER_H

#include <jansson.h>
#include <stddef.h>

struct peer {
	const char *prefix; /* of the backends it measures */
	const char *title;  /* for people */
	const char *program;
	const char *package; /* Debian's, that brings what it needs */
};

const struct peer *peer_at(unsigned i);		   /* NULL past the end */
const struct peer *peer_find(const char *backend); /* NULL: this program measures it */

/* Where its program lies: 0, or -errno. */
int peer_path(const struct peer *peer, char *path, size_t size);

/* Runs it for its version, one line: 0, or -ENOENT where it cannot run, or says nothing for 10 s and is killed. */
int peer_version(const struct peer *peer, char *version, size_t size);

/* A new object, the version of each peer by its title; null where it cannot run. */
json_t *peer_versions(void);

#endif
