/* chain.c - see chain.h. */
#include "workloads/chain.h"
#include "workloads/input.h"

int chain_open(struct work *w, const struct work_options *options, chain_length *length, char *why,
	       size_t why_size)
{
	struct chain *chains;
	int rc = input_column(w, sizeof *chains, &chains, why, why_size);

	if (rc < 0)
		return rc;
	for (uint64_t i = 0; i < w->tasks; i++)
		chains[i] = (struct chain){ input_random(options->seed, i) | 1,
					    length(w, options->seed, i) };
	w->result_size = sizeof(uint64_t);
	return 0;
}

int chain_serial(const struct work *w, uint64_t begin, uint64_t end, void *results)
{
	const struct chain *chains = w->column[0].data;
	uint64_t *ends = results;

	for (uint64_t i = begin; i < end; i++)
		ends[i - begin] = chain_kernel(&chains[i]);
	return 0;
}
