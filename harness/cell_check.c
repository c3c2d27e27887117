/*
 * cell_check.c - is a cell sensible? Every refusal is one line that says what was wrong and what is accepted.
 */
#include "harness/bench.h"
#include "harness/cell.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

bool cell_is_baseline(const char *backend)
{
	return baseline_find(backend) != NULL;
}

bool cell_is_backend(const char *backend)
{
	const struct pool_backend_info *info;

	for (unsigned i = 0; (info = pool_backend_info(i)) != NULL; i++)
		if (strcmp(info->name, backend) == 0 ||
		    (info->alias != NULL && strcmp(info->alias, backend) == 0))
			return true;
	return false;
}

__attribute__((format(printf, 3, 4))) static int refuse(char *why, size_t why_size,
							const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, why_size, format, args);
	va_end(args);
	return -EINVAL;
}

static const char *variant_name(unsigned i)
{
	const struct variant *variant = variant_at(i);

	return variant ? variant->name : NULL;
}

static const char *workload_name(unsigned i)
{
	const struct workload *load = workload_at(i);

	return load ? load->name : NULL;
}

/* "unknown variant 'x'; known: a b c" */
static int unknown(char *why, size_t why_size, const char *kind, const char *name,
		   const char *(*name_at)(unsigned i))
{
	size_t used = (size_t)snprintf(why, why_size, "unknown %s '%s'; known:", kind, name);
	const char *known;

	for (unsigned i = 0; used < why_size && (known = name_at(i)) != NULL; i++)
		used += (size_t)snprintf(why + used, why_size - used, " %s", known);
	return -EINVAL;
}

/* Rows as "name" or "name=alias", then the baselines. */
static int unknown_backend(char *why, size_t why_size, const char *name)
{
	size_t used = (size_t)snprintf(why, why_size, "unknown backend '%s'; known:", name);
	const struct pool_backend_info *row;
	const struct baseline *baseline = baseline_first();

	for (unsigned i = 0; used < why_size && (row = pool_backend_info(i)) != NULL; i++)
		used += (size_t)snprintf(why + used, why_size - used, " %s%s%s", row->name,
					 row->alias ? "=" : "", row->alias ? row->alias : "");
	for (; used < why_size && baseline != NULL; baseline = baseline->next)
		used += (size_t)snprintf(why + used, why_size - used, " %s", baseline->name);
	return -EINVAL;
}

static int check_names(const struct cell *cell, char *why, size_t why_size)
{
	if (!cell_is_backend(cell->backend) && !cell_is_baseline(cell->backend))
		return unknown_backend(why, why_size, cell->backend);
	if (variant_find(cell->variant) == NULL)
		return unknown(why, why_size, "variant", cell->variant, variant_name);
	if (workload_find(cell->workload) == NULL)
		return unknown(why, why_size, "workload", cell->workload, workload_name);
	if (!probe_known(cell->probe))
		return unknown(why, why_size, "probe", cell->probe, probe_name);
	return 0;
}

static bool has_word(const char *words, const char *word)
{
	size_t size = strlen(word);

	for (const char *at = words; (at = strstr(at, word)) != NULL; at += size)
		if ((at == words || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
			return true;
	return false;
}

static int check_baseline(const struct cell *cell, char *why, size_t why_size)
{
	const struct baseline *baseline = baseline_find(cell->backend);
	const char *known;

	if (baseline == NULL)
		return 0;
	known = baseline->variants ? baseline->variants : "map";
	if (!has_word(known, cell->variant))
		return refuse(why, why_size, "baseline '%s' has no variant '%s'; known: %s",
			      cell->backend, cell->variant, known);
	if (cell->pool_memory)
		return refuse(why, why_size, "baseline '%s' is no pool: --memory must be own",
			      cell->backend);
	return 0;
}

int cell_workers(void)
{
	const int cpus = pool_cpus();

	return cpus < POOL_WORKERS_MAX ? cpus : POOL_WORKERS_MAX;
}

static int check_numbers(const struct cell *cell, char *why, size_t why_size)
{
	if (cell->workers < 1 || cell->workers > POOL_WORKERS_MAX)
		return refuse(why, why_size, "workers must be 1 to %d, not %d", POOL_WORKERS_MAX,
			      cell->workers);
	if (cell->chunk < 0 || cell->window < 0)
		return refuse(why, why_size, "chunk and window must not be negative");
	if (cell->batches < 1 || cell->batches > SAMPLES_MAX)
		return refuse(why, why_size, "timed batches must be 1 to %d, not %d", SAMPLES_MAX,
			      cell->batches);
	if (cell->batch_ns < 0)
		return refuse(why, why_size, "the time of a batch must not be negative");
	return 0;
}

int cell_check(const struct cell *cell, char *why, size_t why_size)
{
	int rc = check_names(cell, why, why_size);

	if (rc == 0)
		rc = check_baseline(cell, why, why_size);
	if (rc == 0)
		rc = check_numbers(cell, why, why_size);
	if (rc == 0 && cell->pool_memory && strcmp(cell->variant, "open") == 0)
		rc = refuse(why, why_size, "variant open has no results: --memory must be own");
	if (rc == 0 && strcmp(cell->probe, "delivery") == 0 && strcmp(cell->variant, "open") == 0)
		rc = refuse(why, why_size,
			    "variant open has no results: --probe must not be delivery");
	if (rc == 0 && strcmp(cell->probe, "memory") == 0 && strcmp(cell->variant, "open") == 0)
		rc = refuse(why, why_size,
			    "variant open has no pool that could be idle: --probe must not be "
			    "memory");
	return rc;
}
