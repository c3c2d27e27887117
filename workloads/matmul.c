/*
 * matmul.c - C = A B by blocks of rows: dense linear algebra with results of some size.
 *
 * DESIGN. A has tasks * work rows and N columns, B is N x N; a task computes `work` rows of C. Entries have a closed form
 * in (seed, row, column), so the matrices travel as one number and no task needs memory of another. Each row of
 * B is made once per task and then used for all its rows of C, so making it costs a share of about 1/work. Entries are
 * small integers: all sums are exact in double, whatever the order a compiler adds them in.
 */
#include "workloads/input.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define N 256
#define ROWS_MAX 2048 /* a task's result is then 4 MiB */

struct block {
	uint64_t first, rows, seed;
};

/* An integer from -8 to 7. */
static inline double entry(uint64_t seed, uint64_t row, uint64_t column)
{
	return (double)((int)(input_random(seed, row * N + column) & 15) - 8);
}

static inline void matmul_kernel(const struct block *block, double *c)
{
	double b[N];

	memset(c, 0, block->rows * N * sizeof *c);
	for (uint64_t k = 0; k < N; k++) {
		for (uint64_t j = 0; j < N; j++)
			b[j] = entry(~block->seed, k, j);
		for (uint64_t i = 0; i < block->rows; i++) {
			double a = entry(block->seed, block->first + i, k);
			for (uint64_t j = 0; j < N; j++)
				c[i * N + j] += a * b[j];
		}
	}
}

static int matmul(struct pool_call *call)
{
	matmul_kernel(pool_arg(call, 0), pool_result(call));
	return 0;
}
POOL_TASK(matmul)

static int matmul_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	uint64_t rows = (uint64_t)w->work;
	struct block *blocks;
	int rc;

	if (rows > ROWS_MAX) {
		snprintf(why, why_size, "matmul: work must be 1 to %d rows a task", ROWS_MAX);
		return -EINVAL;
	}
	rc = input_column(w, sizeof *blocks, &blocks, why, why_size);
	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		blocks[i] = (struct block){ i * rows, rows, options->seed };
	w->result_size = rows * N * sizeof(double);
	return 0;
}

static int matmul_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct block *blocks = w->column[0].data;
	unsigned char *c = results;

	for (uint64_t i = begin; i < end; i++, c += w->result_size)
		matmul_kernel(&blocks[i], (void *)c);
	return 0;
}

const struct workload workload_matmul = {
	.name = "matmul",
	.summary = "blocks of rows of a dense matrix product, 256 columns",
	.unit = "rows",
	.task = POOL(matmul),
	.tasks_default = 64,
	.work_default = 16,
	.open = matmul_open,
	.serial = matmul_serial,
};
