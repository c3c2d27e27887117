/*
 * wordcount.c - lines, words and bytes of the files of a tree, as `LC_ALL=C wc` counts them.
 */
#include "workloads/files.h"

#include <string.h>

struct counts {
	uint64_t lines, words, bytes;
};

struct counting {
	struct counts counts;
	bool in_word; /* a word may go on in the next piece */
};

/* White space of the C locale, whatever locale the host program has set. */
static inline bool is_space(unsigned char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void count_piece(void *state, const unsigned char *bytes, size_t size)
{
	struct counting *counting = state;
	struct counts counts = counting->counts;
	bool in_word = counting->in_word;

	for (size_t i = 0; i < size; i++) {
		bool space = is_space(bytes[i]);
		counts.lines += bytes[i] == '\n';
		counts.words += !space && !in_word;
		in_word = !space;
	}
	counts.bytes += size;
	*counting = (struct counting){ counts, in_word };
}

static inline int wordcount_kernel(const char *path, struct counts *counts)
{
	struct counting counting = { .in_word = false };
	int rc = files_read(path, count_piece, &counting);

	if (rc == 0)
		*counts = counting.counts;
	return rc;
}

static int wordcount(struct pool_call *call)
{
	const char *path = pool_arg(call, 0);
	int rc = wordcount_kernel(path, pool_result(call));

	return rc == 0 ? 0 : pool_fail(call, -rc, "cannot read %s: %s", path, strerror(-rc));
}
POOL_TASK(wordcount)

static int wordcount_open(struct work *w, const struct work_options *options, char *why,
			  size_t why_size)
{
	w->result_size = sizeof(struct counts);
	return files_open(w, options, why, why_size);
}

static int wordcount_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct pool_bytes *paths = w->column[0].data;
	struct counts *counts = results;
	int rc = 0;

	for (uint64_t i = begin; i < end && rc == 0; i++)
		rc = wordcount_kernel(paths[i].data, &counts[i - begin]);
	return rc;
}

const struct workload workload_wordcount = {
	.name = "wordcount",
	.summary = "lines, words and bytes of each file of a directory tree",
	.task = POOL(wordcount),
	.open = wordcount_open,
	.serial = wordcount_serial,
	.close = files_close,
};
