/* deal_bytes.c - how large what is sent will be. See deal.h. */
#include "pools/deal.h"

uint64_t deal_item_bytes(const struct pool_job *job)
{
	uint64_t bytes = 1;
	for (unsigned k = 0; k < job->columns; k++)
		bytes += job->column[k].size == POOL_VARIABLE ? sizeof(uint64_t)
							      : job->column[k].size;
	return bytes + (job->variable & POOL_VARIABLE_RESULT ? 1024 : job->result_size);
}

uint64_t deal_variable_bytes(const struct pool_job *job, uint64_t at, uint64_t count)
{
	uint64_t total = 0;
	for (unsigned k = 0; k < job->columns; k++) {
		const struct pool_bytes *bytes = job->column[k].data;
		for (uint64_t i = 0; job->column[k].size == POOL_VARIABLE && i < count; i++)
			total += bytes[at + i].size;
	}
	return total;
}

uint64_t deal_fitting(const struct pool_job *job, uint64_t chunk, uint64_t at, uint64_t most)
{
	uint64_t bytes = 0, fit = 0;
	if (!(job->variable & ~POOL_VARIABLE_RESULT))
		return most;
	while (fit < most && (bytes += deal_variable_bytes(job, at + fit, 1)) <= DEAL_FLIGHT_BYTES)
		fit++;
	if (fit == most)
		return most;
	fit -= fit % chunk;
	return fit ? fit : chunk < most ? chunk : most;
}
