/*
 * rows.c - the rows of a run in memory, and what is asked of single records and cells.
 */
#include "harness/record.h"
#include "harness/stats.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int rows_add(struct rows *rows, const struct record *record)
{
	if (rows->count == rows->room) {
		size_t room = rows->room ? 2 * rows->room : 64;
		struct record *at = reallocarray(rows->at, room, sizeof *at);
		if (at == NULL)
			return -ENOMEM;
		rows->at = at;
		rows->room = room;
	}
	rows->at[rows->count++] = *record;
	return 0;
}

void rows_free(struct rows *rows)
{
	free(rows->at);
	memset(rows, 0, sizeof *rows);
}

static int parse_line(struct rows *rows, const char *line, size_t size, char *why, size_t why_size)
{
	struct record record;
	int rc;

	if (strlen(line) != size) {
		snprintf(why, why_size, "not text: it has a zero byte");
		return -EINVAL;
	}
	rc = record_parse(&record, line, why, why_size);
	return rc < 0 ? rc : rows_add(rows, &record);
}

static int load_lines(struct rows *rows, FILE *file, bool *truncated, const char *path, char *why,
		      size_t why_size)
{
	char *line = NULL, reason[256] = "no memory";
	size_t room = 0;
	ssize_t size;
	int rc = 0;

	*truncated = false;
	for (unsigned number = 1; (size = getline(&line, &room, file)) > 0; number++) {
		if (line[size - 1] != '\n') {
			*truncated = true;
			break;
		}
		rc = parse_line(rows, line, (size_t)size, reason, sizeof reason);
		if (rc < 0) {
			snprintf(why, why_size, "%s:%u: %s", path, number, reason);
			break;
		}
	}
	if (rc == 0 && ferror(file)) {
		rc = -EIO;
		snprintf(why, why_size, "%s: cannot be read to its end", path);
	}
	free(line);
	return rc;
}

int rows_load(struct rows *rows, const char *run, bool *truncated, char *why, size_t why_size)
{
	char path[4096];
	FILE *file;
	int rc;

	memset(rows, 0, sizeof *rows);
	snprintf(path, sizeof path, "%s/rows.jsonl", run);
	file = fopen(path, "re");
	if (file == NULL) {
		rc = -errno;
		snprintf(why, why_size, "%s: %s (want the directory of a run)", path,
			 strerror(errno));
		return rc;
	}
	rc = load_lines(rows, file, truncated, path, why, why_size);
	fclose(file);
	return rc;
}

int rows_last_round(const struct rows *rows)
{
	int last = -1;

	for (size_t i = 0; i < rows->count; i++)
		last = rows->at[i].round > last ? rows->at[i].round : last;
	return last;
}

const char *record_error(const struct record *record)
{
	if (record->error[0] != '\0')
		return record->error;
	return record->verified ? NULL : "not verified";
}

double record_median(const struct record *record)
{
	if (record->samples <= 0)
		return 0;
	return stats_median(record->ns_per_task, (size_t)record->samples);
}

bool cell_equal(const struct cell *a, const struct cell *b)
{
	return strcmp(a->experiment, b->experiment) == 0 && strcmp(a->backend, b->backend) == 0 &&
	       strcmp(a->variant, b->variant) == 0 && strcmp(a->workload, b->workload) == 0 &&
	       a->tasks == b->tasks && a->chunk == b->chunk && a->workers == b->workers &&
	       a->work == b->work && a->payload_bytes == b->payload_bytes &&
	       a->window == b->window && a->parent_bytes == b->parent_bytes &&
	       a->pool_memory == b->pool_memory && strcmp(a->probe, b->probe) == 0;
}

static void append_count(char *label, size_t size, const char *name, uint64_t count)
{
	size_t used = strlen(label);

	if (count != 0)
		snprintf(label + used, size - used, " %s=%" PRIu64, name, count);
}

void cell_label(const struct cell *cell, char *label, size_t size)
{
	char chunk[24] = "auto";

	if (cell->chunk != 0)
		snprintf(chunk, sizeof chunk, "%" PRId64, cell->chunk);
	snprintf(label, size, "%s %s %s n=%" PRIu64 " c=%s w=%d", cell->backend, cell->variant,
		 cell->workload, cell->tasks, chunk, cell->workers);
	append_count(label, size, "work", (uint64_t)cell->work);
	append_count(label, size, "payload", cell->payload_bytes);
	append_count(label, size, "window", (uint64_t)cell->window);
	append_count(label, size, "parent", cell->parent_bytes);
	append_count(label, size, "pool-memory", cell->pool_memory);
	if (cell->probe[0])
		snprintf(label + strlen(label), size - strlen(label), " probe=%s", cell->probe);
}
