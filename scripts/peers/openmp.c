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

#ifdef _OPENMP
#define STANDARD _OPENMP
#else
#define STANDARD 0
#endif

/* Each: item i of the input at x, its result to the array at y; 0 or an error. */
static inline int square(const struct bench *b, const void *x, void *y, uint64_t i)
{
	(void)b;
	((int64_t *)y)[i] = square_kernel(((const int64_t *)x)[i]);
	return 0;
}

static inline int chain(const struct bench *b, const void *x, void *y, uint64_t i)
{
	(void)b;
	((uint64_t *)y)[i] = chain_kernel((const struct chain *)x + i);
	return 0;
}

static inline int other(const struct bench *b, const void *x, void *y, uint64_t i)
{
	(void)x;
	return b->work.load->serial(&b->work, i, i + 1,
				    (unsigned char *)y + i * b->work.result_size);
}

/* A macro, because a loop is outlined before functions are inlined: through a pointer the kernel would not be. */
#define LOOP(schedule, kernel)                                                                     \
	static int kernel##_##schedule(struct bench *b, void *y)                                   \
	{                                                                                          \
		const int workers = b->cell->workers;                                              \
		const int chunk = b->cell->chunk ? (int)b->cell->chunk : 1;                        \
		const uint64_t tasks = b->work.tasks;                                              \
		const void *x = b->column[0].data;                                                 \
		int error = 0;                                                                     \
		(void)chunk, (void)workers;                                                        \
		_Pragma(PRAGMA_##schedule) for (uint64_t i = 0; i < tasks; i++)                    \
		{                                                                                  \
			int rc = kernel(b, x, y, i);                                               \
			if (rc != 0)                                                               \
				__atomic_store_n(&error, rc, __ATOMIC_RELAXED);                    \
		}                                                                                  \
		return error;                                                                      \
	}

#define PRAGMA_static "omp parallel for num_threads(workers) schedule(static)"
#define PRAGMA_dynamic "omp parallel for num_threads(workers) schedule(dynamic, chunk)"
#define PRAGMA_guided "omp parallel for num_threads(workers) schedule(guided, chunk)"

LOOP(static, square)
LOOP(dynamic, square)
LOOP(guided, square)
LOOP(static, chain)
LOOP(dynamic, chain)
LOOP(guided, chain)
LOOP(static, other)
LOOP(dynamic, other)
LOOP(guided, other)

typedef int call_fn(struct bench *bench, void *results);

static int start(struct bench *b, call_fn *of_square, call_fn *of_chain, call_fn *of_other)
{
	const char *name = b->work.load->name;

	if (strcmp(name, "square") == 0)
		b->call = of_square;
	else if (strcmp(name, "spin") == 0 || strcmp(name, "skew") == 0)
		b->call = of_chain;
	else
		b->call = of_other;
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
	snprintf(version, sizeof version, "OpenMP %d, compiler %s", STANDARD, __VERSION__);
	for (size_t i = 0; i < sizeof schedules / sizeof *schedules; i++)
		baseline_add(&schedules[i]);
	return baseline_main(argc, argv, version);
}
