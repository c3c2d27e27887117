/*
 * grid.c - rows by what they can do.
 */
#include "harness/grid.h"
#include "harness/peer.h"

#include <string.h>

static bool is_pool(const struct pool_backend_info *info)
{
	const unsigned wanted = POOL_CAN_REUSE | POOL_CAN_OVERLAP;

	return (info->can & wanted) == wanted;
}

static bool is_process_pool(const struct pool_backend_info *info)
{
	return is_pool(info) && info->can & POOL_CAN_ISOLATE;
}

static bool is_each(const struct pool_backend_info *info)
{
	return !(info->can & POOL_CAN_REUSE) && info->can & POOL_CAN_OVERLAP;
}

static bool first_of_transport(const struct pool_backend_info *info)
{
	const struct pool_backend_info *other;
	unsigned i = 0;

	while ((other = pool_backend_info(i++)) != info)
		if (is_process_pool(other) && strcmp(other->transport, info->transport) == 0)
			return false;
	return true;
}

static bool first_of_start(const struct pool_backend_info *info)
{
	const struct pool_backend_info *other;
	unsigned i = 0;

	while ((other = pool_backend_info(i++)) != info)
		if (is_pool(other) && strcmp(other->start, info->start) == 0)
			return false;
	return true;
}

static bool picked(unsigned pick, const struct pool_backend_info *info)
{
	return (pick & PICK_PROCESSES && is_process_pool(info)) ||
	       (pick & PICK_TRANSPORTS && is_process_pool(info) && first_of_transport(info)) ||
	       (pick & PICK_STARTS && is_pool(info) && first_of_start(info)) ||
	       (pick & PICK_THREADS && is_pool(info) && !is_process_pool(info)) ||
	       (pick & PICK_SERIAL && !(info->can & POOL_CAN_OVERLAP)) ||
	       (pick & PICK_EACH && is_each(info));
}

unsigned grid_rows(unsigned pick, const struct pool_backend_info *row[ROWS_MAX])
{
	const struct pool_backend_info *info;
	unsigned count = 0;

	for (unsigned i = 0; count < ROWS_MAX && (info = pool_backend_info(i)) != NULL; i++)
		if (picked(pick, info))
			row[count++] = info;
	return count;
}

const char *transport_row(const char *transport)
{
	const struct pool_backend_info *row[ROWS_MAX];
	unsigned count = grid_rows(PICK_TRANSPORTS, row);

	for (unsigned i = 0; i < count; i++)
		if (strcmp(row[i]->transport, transport) == 0)
			return row[i]->name;
	return "";
}

static const struct pool_backend_info *find(const char *name)
{
	const struct pool_backend_info *info;

	for (unsigned i = 0; (info = pool_backend_info(i)) != NULL; i++)
		if (strcmp(info->name, name) == 0)
			return info;
	return NULL;
}

bool backend_reuses(const char *backend)
{
	const struct pool_backend_info *info = find(backend);

	return info && is_pool(info);
}

bool backend_is_process_pool(const char *backend)
{
	const struct pool_backend_info *info = find(backend);

	return info && is_process_pool(info);
}

bool backend_is_each(const char *backend)
{
	const struct pool_backend_info *info = find(backend);

	return info && is_each(info);
}

struct cell grid_cell(const struct grid *grid, const char *backend, const char *variant,
		      const char *workload)
{
	struct cell cell = { .workers = grid->scale->cpus };

	snprintf(cell.backend, sizeof cell.backend, "%s", backend);
	snprintf(cell.variant, sizeof cell.variant, "%s", variant);
	snprintf(cell.workload, sizeof cell.workload, "%s", workload);
	if (strcmp(backend, "raw-list") == 0)
		cell.batch_ns = 1; /* a call of it measures often enough */
	return cell;
}

void grid_add(struct grid *grid, const struct cell *cell)
{
	if (grid->rc == 0)
		grid->rc = plan_add(grid->plan, cell);
}

#define PEERS_MAX 8

bool grid_can_measure(const char *backend)
{
	static struct {
		bool asked, there;
	} known[PEERS_MAX];
	const struct peer *peer = peer_find(backend);
	size_t i = peer ? (size_t)(peer - peer_at(0)) : PEERS_MAX;
	char version[256];

	if (i >= PEERS_MAX)
		return true;
	if (known[i].asked)
		return known[i].there;
	known[i].asked = true;
	known[i].there = peer_version(peer, version, sizeof version) == 0;
	if (!known[i].there)
		fprintf(stderr, "poolbench: skipped: %s is not there (Debian package %s)\n",
			peer->title, peer->package);
	return known[i].there;
}

uint64_t grid_memory_available(void)
{
	FILE *file = fopen("/proc/meminfo", "re");
	unsigned long long kib = 0;
	char line[128];

	while (file && kib == 0 && fgets(line, sizeof line, file))
		if (sscanf(line, "MemAvailable: %llu kB", &kib) != 1)
			kib = 0;
	if (file)
		fclose(file);
	return kib * 1024;
}
