/*
 * emit.c - a number in, payload_bytes out: what does moving results cost? The other direction of stream.
 */
#include "workloads/input.h"

#include <string.h>

#define ODD 0x9e3779b97f4a7c15u

/* What a task gets. */
struct order {
	uint64_t seed, bytes;
};

/* No two places of a result hold the same word, so bytes that are missing or displaced show; one addition and one
 * multiplication a word, at a price near that of writing them. */
static inline void emit_kernel(const struct order *order, unsigned char *bytes)
{
	uint64_t word, i = 0;

	for (; order->bytes - i >= sizeof word; i += sizeof word) {
		word = (order->seed + i) * ODD;
		memcpy(bytes + i, &word, sizeof word);
	}
	word = (order->seed + i) * ODD;
	memcpy(bytes + i, &word, order->bytes - i);
}

static int emit(struct pool_call *call)
{
	emit_kernel(pool_arg(call, 0), pool_result(call));
	return 0;
}
POOL_TASK(emit)

static int emit_open(struct work *w, const struct work_options *options, char *why, size_t why_size)
{
	struct order *orders;
	int rc = input_column(w, sizeof *orders, &orders, why, why_size);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		orders[i] = (struct order){ input_random(options->seed, i), w->payload_bytes };
	w->result_size = w->payload_bytes;
	return 0;
}

static int emit_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct order *orders = w->column[0].data;
	unsigned char *bytes = results;

	for (uint64_t i = begin; i < end; i++)
		emit_kernel(&orders[i], bytes + (i - begin) * w->payload_bytes);
	return 0;
}

const struct workload workload_emit = {
	.name = "emit",
	.summary = "a number in, many bytes out",
	.task = POOL(emit),
	.tasks_default = 256,
	.payload_default = 65536,
	.open = emit_open,
	.serial = emit_serial,
};
