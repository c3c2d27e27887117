/*
 * grid.h - helps the experiments to lay out their cells: which backend rows, how large.
 */
#ifndef HARNESS_GRID_H
#define HARNESS_GRID_H

#include "harness/experiment.h"
#include "pools/pool.h"

/* Which rows of the pool table, told by what they can do and never by name; to be combined. */
enum pick {
	PICK_TRANSPORTS = 1, /* reused processes: the first row of each transport */
	PICK_PROCESSES = 2,  /* reused processes: all rows */
	PICK_THREADS = 4,    /* reused, sharing the caller's memory */
	PICK_SERIAL = 8,     /* the caller runs the tasks */
	PICK_EACH = 16,	     /* workers that are not reused */
	PICK_STARTS = 32,    /* reused workers: the first row of each start method */
};

#define ROWS_MAX 32

/* Fills in row[0..n), returns n. */
unsigned grid_rows(unsigned pick, const struct pool_backend_info *row[ROWS_MAX]);

/* The first row of processes with that transport ("pipe", "shm"); never NULL, "" when there is none. */
const char *transport_row(const char *transport);

/* Is it a row whose workers are reused; false for baselines and unknown names, too. */
bool backend_reuses(const char *backend);
/* Is it a row of processes that are reused. */
bool backend_is_process_pool(const char *backend);
/* Is it a row that makes a process for each chunk. */
bool backend_is_each(const char *backend);

struct grid {
	struct plan *plan;
	const struct scale *scale;
	int rc; /* the first error of grid_add, which does nothing from then on */
};

struct cell grid_cell(const struct grid *grid, const char *backend, const char *variant,
		      const char *workload);
void grid_add(struct grid *grid, const struct cell *cell);

/* Can who measures this backend run here (a peer may be missing)? Says so on stderr, once, when not. */
bool grid_can_measure(const char *backend);

/* Bytes of memory that could be used without swapping; 0: not known. */
uint64_t grid_memory_available(void);

#endif
