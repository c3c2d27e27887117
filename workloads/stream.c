/*
 * stream.c - payload_bytes in, a checksum out: what does moving arguments cost?
 */
#include "workloads/input.h"

#include <string.h>

/* Two running sums over the 64-bit words, after Fletcher (1982, "An arithmetic checksum for serial transmissions"):
 * words that are missing, doubled or in another order show, at a price near that of reading them. */
static inline uint64_t stream_kernel(const unsigned char *bytes, uint64_t size)
{
	uint64_t sum = size, sums = 0;

	for (uint64_t i = 0; i < size; i += sizeof sum) {
		uint64_t word = 0;
		memcpy(&word, bytes + i, size - i < sizeof word ? size - i : sizeof word);
		sum += word;
		sums += sum;
	}
	return sums ^ (sum << 32 | sum >> 32);
}

static int stream(struct pool_call *call)
{
	*(uint64_t *)pool_result(call) = stream_kernel(pool_arg(call, 0), pool_arg_size(call, 0));
	return 0;
}
POOL_TASK(stream)

static void fill(unsigned char *bytes, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size; i += sizeof seed) {
		uint64_t word = input_random(seed, i);
		memcpy(bytes + i, &word, size - i < sizeof word ? size - i : sizeof word);
	}
}

static int stream_open(struct work *w, const struct work_options *options, char *why,
		       size_t why_size)
{
	unsigned char *bytes;
	int rc = input_column(w, w->payload_bytes, &bytes, why, why_size);

	if (rc < 0)
		return rc;
	fill(bytes, w->tasks * w->payload_bytes, options->seed);
	w->result_size = sizeof(uint64_t);
	return 0;
}

static int stream_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const unsigned char *bytes = w->column[0].data;
	uint64_t *sums = results;

	for (uint64_t i = begin; i < end; i++)
		sums[i - begin] = stream_kernel(bytes + i * w->payload_bytes, w->payload_bytes);
	return 0;
}

const struct workload workload_stream = {
	.name = "stream",
	.summary = "many bytes in, a checksum out",
	.task = POOL(stream),
	.tasks_default = 256,
	.payload_default = 65536,
	.open = stream_open,
	.serial = stream_serial,
};
