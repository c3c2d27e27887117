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

bool rows_have_arm(const struct rows *rows, const char *arm)
{
	for (size_t i = 0; i < rows->count; i++)
		if (strcmp(rows->at[i].arm, arm) == 0)
			return true;
	return false;
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

/*
 * == Twice the same ==
 */

struct key {
	uint64_t hash;
	size_t row;
};

/* FNV-1a: Fowler, Noll, Vo. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
	for (; *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
	return hash;
}

static uint64_t hash_of(const struct record *record)
{
	char text[NAME_SIZE + 320];
	uint64_t hash;

	cell_label(&record->cell, text, sizeof text);
	hash = hash_text(UINT64_C(0xCBF29CE484222325), text);
	snprintf(text, sizeof text, "|%s|%s|%d", record->cell.experiment, record->arm,
		 record->round);
	return hash_text(hash, text);
}

static int compare_keys(const void *left, const void *right)
{
	const struct key *a = left, *b = right;

	if (a->hash != b->hash)
		return a->hash > b->hash ? 1 : -1;
	return (a->row > b->row) - (a->row < b->row);
}

static bool is_again(const struct record *a, const struct record *b)
{
	return a->round == b->round && strcmp(a->arm, b->arm) == 0 &&
	       cell_equal(&a->cell, &b->cell);
}

/* A row that is there twice would count twice: the rows seem to tell more than was measured. Each row has a line. */
static int refuse_twice(const struct rows *rows, const char *path, char *why, size_t why_size)
{
	struct key *keys = calloc(rows->count + 1, sizeof *keys);
	size_t first = 0, second = rows->count;

	if (keys == NULL) {
		snprintf(why, why_size, "%s: no memory", path);
		return -ENOMEM;
	}
	for (size_t i = 0; i < rows->count; i++)
		keys[i] = (struct key){ hash_of(&rows->at[i]), i };
	qsort(keys, rows->count, sizeof *keys, compare_keys);
	for (size_t i = 1; i < rows->count; i++) {
		size_t a = keys[i - 1].row, b = keys[i].row;
		if (keys[i - 1].hash != keys[i].hash || b >= second ||
		    !is_again(&rows->at[a], &rows->at[b]))
			continue;
		first = a;
		second = b;
	}
	free(keys);
	if (second == rows->count)
		return 0;
	snprintf(why, why_size, "%s:%zu: cell, round and arm of line %zu again", path, second + 1,
		 first + 1);
	return -EINVAL;
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
	return rc < 0 ? rc : refuse_twice(rows, path, why, why_size);
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
