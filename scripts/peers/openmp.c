/*
 * openmp.c - the maps of poolbench by OpenMP threads: `poolbench cell` with three more baselines, openmp-static,
 * openmp-dynamic and openmp-guided.
 *
 *	openmp cell --record    a row in, a row out: what a run calls
 *	openmp cell --backend openmp-dynamic --variant map --workload square --chunk 16
 *	openmp --version
 *
 * DESIGN. The loop bodies of square, spin and skew are the workloads' own kernels, compiled into the loop as in the task
 * of a pool; every other workload is called through its serial loop, an item at a time, which is nothing beside its
 * length. The schedule is in the pragma and not in the environment, so that the compiler treats it as in any program.
 * The chunk 0 is OpenMP's default: equal shares for static, 1 for the others.
 */
#include "harness/bench.h"
#include "workloads/chain.h"
#include "workloads/square.h"

#include <stdio.h>
#include <string.h>

#ifndef _OPENMP
#define _OPENMP 0
#endif

#define LOOP(name, schedule_pragma, setup, body)                                                   \
	static int name(struct bench *b, void *results)                                            \
	{                                                                                          \
		const int workers = b->cell->workers;                                              \
		const int chunk = b->cell->chunk ? (int)b->cell->chunk : 1;                        \
		const uint64_t tasks = b->work.tasks;                                              \
		int error = 0;                                                                     \
		setup;                                                                             \
		(void)chunk, (void)workers;                                                        \
		_Pragma(schedule_pragma) for (uint64_t i = 0; i < tasks; i++) body;                \
		return error;                                                                      \
	}

#define STATIC "omp parallel for num_threads(workers) schedule(static)"
#define DYNAMIC "omp parallel for num_threads(workers) schedule(dynamic, chunk)"
#define GUIDED "omp parallel for num_threads(workers) schedule(guided, chunk)"

#define SQUARE_SETUP                                                                               \
	const int64_t *x = b->column[0].data;                                                      \
	int64_t *y = results
#define SQUARE y[i] = square_kernel(x[i])
#define CHAIN_SETUP                                                                                \
	const struct chain *x = b->column[0].data;                                                 \
	uint64_t *y = results
#define CHAIN y[i] = chain_kernel(&x[i])
#define OTHER_SETUP                                                                                \
	unsigned char *y = results;                                                                \
	const uint64_t size = b->work.result_size
#define OTHER                                                                                      \
	{                                                                                          \
		int rc = b->work.load->serial(&b->work, i, i + 1, y + i * size);                   \
		if (rc != 0)                                                                       \
			__atomic_store_n(&error, rc, __ATOMIC_RELAXED);                            \
	}

LOOP(square_static, STATIC, SQUARE_SETUP, SQUARE)
LOOP(square_dynamic, DYNAMIC, SQUARE_SETUP, SQUARE)
LOOP(square_guided, GUIDED, SQUARE_SETUP, SQUARE)
LOOP(chain_static, STATIC, CHAIN_SETUP, CHAIN)
LOOP(chain_dynamic, DYNAMIC, CHAIN_SETUP, CHAIN)
LOOP(chain_guided, GUIDED, CHAIN_SETUP, CHAIN)
LOOP(other_static, STATIC, OTHER_SETUP, OTHER)
LOOP(other_dynamic, DYNAMIC, OTHER_SETUP, OTHER)
LOOP(other_guided, GUIDED, OTHER_SETUP, OTHER)

typedef int call_fn(struct bench *bench, void *results);

static int start(struct bench *b, call_fn *square, call_fn *chain, call_fn *other)
{
	const char *name = b->work.load->name;

	if (strcmp(name, "square") == 0)
		b->call = square;
	else if (strcmp(name, "spin") == 0 || strcmp(name, "skew") == 0)
		b->call = chain;
	else
		b->call = other;
	return 0;
}

static int start_static(struct bench *b)
{
	return start(b, square_static, chain_static, other_static);
}

static int start_dynamic(struct bench *b)
{
	return start(b, square_dynamic, chain_dynamic, other_dynamic);
}

static int start_guided(struct bench *b)
{
	return start(b, square_guided, chain_guided, other_guided);
}

static struct baseline schedules[] = {
	{ .name = "openmp-static", .start = start_static },
	{ .name = "openmp-dynamic", .start = start_dynamic },
	{ .name = "openmp-guided", .start = start_guided },
};

int main(int argc, char **argv)
{
	char version[160];

	pool_main(&argc, &argv);
	snprintf(version, sizeof version, "OpenMP %d, compiler %s", _OPENMP, __VERSION__);
	for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++)
		baseline_add(&schedules[i]);
	return baseline_main(argc, argv, version);
}
