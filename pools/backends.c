/*
 * backends.c - the table of backends, made from backends.def.
 *
 * Adding a row is a line there; a new start method or transport is also declared here by the same
 * line.
 */
#include "pools/pool_ops.h"

#include <string.h>

extern const struct pool_start_ops pool_start_fork, pool_start_vfork, pool_start_thread;

#define BACKEND(name, alias, start, transport, once, summary)                                      \
	extern const struct pool_transport_ops pool_transport_##transport;
#include "pools/backends.def"
#undef BACKEND

#define BACKEND(name, alias, start, transport, once, summary)                                      \
	{ { name, alias, NULL, NULL, summary, 0 }, start, &pool_transport_##transport, once },
static struct pool_backend rows[] = {
#include "pools/backends.def"
};
#undef BACKEND

enum { ROWS = sizeof rows / sizeof rows[0] };

/* Names and capabilities follow from the parts; set before main, so reading needs no lock. */
__attribute__((constructor)) static void complete_rows(void)
{
	for (unsigned i = 0; i < ROWS; i++) {
		struct pool_backend_info *info = &rows[i].info;
		info->start = rows[i].start ? rows[i].start->name : "none";
		info->transport = rows[i].transport->name;
		info->can = rows[i].start ? rows[i].start->can & ~rows[i].transport->cannot : 0;
		if (rows[i].once)
			info->can &= ~(unsigned)POOL_CAN_REUSE;
	}
}

const struct pool_backend *pool_backend_at(unsigned i)
{
	return i < ROWS ? &rows[i] : NULL;
}

const struct pool_backend *pool_backend_find(const char *name)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (strcmp(rows[i].info.name, name) == 0 ||
		    (rows[i].info.alias && strcmp(rows[i].info.alias, name) == 0))
			return &rows[i];
	return NULL;
}

const struct pool_backend_info *pool_backend_info(unsigned i)
{
	return i < ROWS ? &rows[i].info : NULL;
}
