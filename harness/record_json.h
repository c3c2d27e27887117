/*
 * record_json.h - cells and records as jansson objects, for those who put them into larger ones.
 */
#ifndef HARNESS_RECORD_JSON_H
#define HARNESS_RECORD_JSON_H

#include "harness/record.h"

#include <jansson.h>

/* A new reference, or NULL: no memory (or a sample that is no finite number). */
json_t *cell_to_json(const struct cell *cell);
json_t *record_to_json(const struct record *record);

/* 0, or -EINVAL with one line in `why`; *cell is written on success only. */
int cell_from_json(struct cell *cell, const json_t *object, char *why, size_t why_size);

#endif
