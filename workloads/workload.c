/*
 * workload.c - the table of workloads, and opening, checking and closing one.
 *
 * DESIGN. Options are resolved and refused here, so that a workload's open sees only sensible sizes: it adds what only
 * it can know. Whatever open leaves behind when it fails is given back by the same work_close as a whole instance.
 */
#include "workloads/workload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A task of 10^12 units takes an hour at a nanosecond a unit: more is a typing error. It also keeps products of work and
 * small factors far from overflow. */
#define WORK_MAX INT64_C(1000000000000)

#define WORKLOAD(name) extern const struct workload workload_##name;
#include "workloads/workloads.def"
#undef WORKLOAD

static const struct workload *const table[] = {
#define WORKLOAD(name) &workload_##name,
#include "workloads/workloads.def"
#undef WORKLOAD
};

const struct workload *workload_at(unsigned i)
{
	return i < sizeof table / sizeof table[0] ? table[i] : NULL;
}

const struct workload *workload_find(const char *name)
{
	const struct workload *load;

	for (unsigned i = 0; (load = workload_at(i)) != NULL; i++)
		if (strcmp(load->name, name) == 0)
			return load;
	return NULL;
}

static int check_work(const struct workload *load, int64_t work, char *why, size_t why_size)
{
	if (work < 0 || work > WORK_MAX) {
		snprintf(why, why_size, "work is %" PRId64 ", but must be 0 (default) to %" PRId64,
			 work, WORK_MAX);
		return -EINVAL;
	}
	if (work != 0 && load->unit == NULL) {
		snprintf(why, why_size, "%s has tasks of one size: work must be 0, not %" PRId64,
			 load->name, work);
		return -EINVAL;
	}
	return 0;
}

static int check_payload(const struct workload *load, uint64_t bytes, char *why, size_t why_size)
{
	if (bytes == 0 || load->payload_default != 0)
		return 0;
	snprintf(why, why_size, "%s carries no payload: payload bytes must be 0, not %" PRIu64,
		 load->name, bytes);
	return -EINVAL;
}

int work_open(struct work *w, const struct workload *load, const struct work_options *options,
	      char *why, size_t why_size)
{
	struct work work = { .load = load };
	int rc = check_work(load, options->work, why, why_size);

	if (rc == 0)
		rc = check_payload(load, options->payload_bytes, why, why_size);
	if (rc < 0)
		return rc;
	work.tasks = options->tasks ? options->tasks : load->tasks_default;
	work.work = options->work ? options->work : load->work_default;
	work.payload_bytes =
		options->payload_bytes ? options->payload_bytes : load->payload_default;
	rc = load->open(&work, options, why, why_size);
	if (rc < 0) {
		work_close(&work);
		return rc;
	}
	*w = work;
	return 0;
}

void work_close(struct work *w)
{
	for (unsigned k = 0; k < w->columns; k++)
		free((void *)w->column[k].data);
	if (w->load->close != NULL)
		w->load->close(w);
	free(w->expected);
	memset(w, 0, sizeof *w);
}

int work_expect(struct work *w)
{
	void *results;
	int rc;

	if (w->expected != NULL)
		return 0;
	results = calloc(w->tasks, w->result_size);
	if (results == NULL)
		return -ENOMEM;
	rc = w->load->expect ? w->load->expect(w, results)
			     : w->load->serial(w, 0, w->tasks, results);
	if (rc != 0) {
		free(results);
		return rc;
	}
	w->expected = results;
	return 0;
}

bool work_verify(const struct work *w, const void *results, uint64_t *bad)
{
	const unsigned char *got = results, *expected = w->expected;

	for (uint64_t i = 0; i < w->tasks; i++) {
		uint64_t at = i * w->result_size;
		if (memcmp(got + at, expected + at, w->result_size) == 0)
			continue;
		*bad = i;
		return false;
	}
	return true;
}
