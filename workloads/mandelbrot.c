/*
 * mandelbrot.c - rows of an image of the Mandelbrot set: uneven CPU-bound work with results of some size. The image is
 * WIDTH pixels wide and tasks * work rows high; the result of a task is the iteration count of each of its pixels.
 */
#include "workloads/input.h"

#include <errno.h>
#include <stdio.h>

#define WIDTH 512
#define ITERATIONS 256
#define ROWS_MAX 4096 /* a task's result is then 4 MiB */

struct rows {
	uint64_t first, count, height; /* of the image: height */
};

/* Iterations until |z| > 2 for z = z*z + c from 0, ITERATIONS if it never comes to that. */
static inline uint16_t escape_time(double re, double im)
{
	double x = 0, y = 0;
	uint16_t n = 0;

	for (; n < ITERATIONS && x * x + y * y <= 4; n++) {
		double next = x * x - y * y + re;
		y = 2 * x * y + im;
		x = next;
	}
	return n;
}

/* The image shows [-2, 1] x [-1.5, 1.5]. */
static inline void mandelbrot_kernel(const struct rows *rows, uint16_t *pixel)
{
	for (uint64_t row = rows->first; row < rows->first + rows->count; row++)
		for (int x = 0; x < WIDTH; x++)
			*pixel++ = escape_time(-2 + 3.0 * x / WIDTH,
					       -1.5 + 3.0 * (double)row / (double)rows->height);
}

static int mandelbrot(struct pool_call *call)
{
	mandelbrot_kernel(pool_arg(call, 0), pool_result(call));
	return 0;
}
POOL_TASK(mandelbrot)

static int mandelbrot_open(struct work *w, const struct work_options *options, char *why,
			   size_t why_size)
{
	uint64_t count = (uint64_t)w->work;
	struct rows *rows;
	int rc;

	(void)options;
	if (count > ROWS_MAX) {
		snprintf(why, why_size, "mandelbrot: work must be 1 to %d rows a task", ROWS_MAX);
		return -EINVAL;
	}
	rc = input_column(w, sizeof *rows, &rows, why, why_size);
	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		rows[i] = (struct rows){ i * count, count, w->tasks * count };
	w->result_size = count * WIDTH * sizeof(uint16_t);
	return 0;
}

static int mandelbrot_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct rows *rows = w->column[0].data;
	unsigned char *image = results;

	for (uint64_t i = begin; i < end; i++, image += w->result_size)
		mandelbrot_kernel(&rows[i], (void *)image);
	return 0;
}

const struct workload workload_mandelbrot = {
	.name = "mandelbrot",
	.summary = "rows of an image of the Mandelbrot set, 512 pixels wide",
	.unit = "rows",
	.task = POOL(mandelbrot),
	.tasks_default = 512,
	.work_default = 1,
	.open = mandelbrot_open,
	.serial = mandelbrot_serial,
};
