/*
 * record.c - records to JSON lines and back.
 *
 * DESIGN. One table says for each member its name, place and kind; writing, reading and comparing walk the table, so a
 * new member is one line. Reading is strict: every member must be there (but see LATER) and of its kind; members that this version does
 * not know are ignored, and a different `schema` is refused.
 */
#include "harness/record_json.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

/* LATER: a whole number that rows written before it was known do not have; it is then 0. */
enum kind { TEXT, INT, WHOLE, COUNT, FLAG, REAL, LATER };

struct field {
	const char *name;
	size_t offset, size;
	enum kind kind;
};

#define FIELD(type, member, kind)                                                                  \
	{                                                                                          \
#member, offsetof(struct type, member), sizeof(((struct type *)0)->member), kind   \
	}

static const struct field cell_fields[] = {
	FIELD(cell, experiment, TEXT),	   FIELD(cell, backend, TEXT),
	FIELD(cell, variant, TEXT),	   FIELD(cell, workload, TEXT),
	FIELD(cell, tasks, COUNT),	   FIELD(cell, chunk, WHOLE),
	FIELD(cell, workers, INT),	   FIELD(cell, work, WHOLE),
	FIELD(cell, payload_bytes, COUNT), FIELD(cell, window, WHOLE),
	FIELD(cell, parent_bytes, COUNT),  FIELD(cell, pool_memory, FLAG),
	FIELD(cell, batch_ns, WHOLE),	   FIELD(cell, batches, INT),
	FIELD(cell, probe, TEXT),
};

static const struct field record_fields[] = {
	FIELD(record, round, INT),
	FIELD(record, order, INT),
	FIELD(record, start_ms, WHOLE),
	FIELD(record, verified, FLAG),
	FIELD(record, samples, INT),
	FIELD(record, calls, COUNT),
	FIELD(record, serial_ns_per_task, REAL),
	FIELD(record, first_result_ns, REAL),
	FIELD(record, user_ns, WHOLE),
	FIELD(record, system_ns, WHOLE),
	FIELD(record, voluntary_switches, WHOLE),
	FIELD(record, involuntary_switches, WHOLE),
	FIELD(record, minor_faults, WHOLE),
	FIELD(record, io_calls, WHOLE),
	FIELD(record, io_bytes, WHOLE),
	FIELD(record, system_calls, WHOLE),
	FIELD(record, starts, WHOLE),
	FIELD(record, claims, LATER),
	FIELD(record, max_rss_kib, WHOLE),
	FIELD(record, pss_idle_kib, WHOLE),
	FIELD(record, pss_peak_kib, WHOLE),
	FIELD(record, clock_ns, REAL),
	FIELD(record, steal_ns, WHOLE),
	FIELD(record, foreign_ns, WHOLE),
	FIELD(record, run_delay_ns, WHOLE),
	FIELD(record, pressure_ns, WHOLE),
	FIELD(record, window_ns, LATER),
	FIELD(record, arm, TEXT),
	FIELD(record, profile, INT),
	FIELD(record, error, TEXT),
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static int refuse(char *why, size_t why_size, const char *name, const char *wanted)
{
	snprintf(why, why_size, "\"%s\": want %s", name, wanted);
	return -EINVAL;
}

/*
 * == Out ==
 */

/* Error texts may quote bytes of any kind (a task's message); JSON wants UTF-8. */
static json_t *text_to_json(const char *text)
{
	json_t *value = json_string(text);
	char *copy;

	if (value != NULL)
		return value;
	copy = strdup(text);
	if (copy == NULL)
		return NULL;
	for (char *c = copy; *c; c++)
		if ((unsigned char)*c >= 128)
			*c = '?';
	value = json_string(copy);
	free(copy);
	return value;
}

static json_t *field_to_json(const struct field *field, const void *base)
{
	const void *at = (const char *)base + field->offset;

	switch (field->kind) {
	case TEXT:
		return text_to_json(at);
	case INT:
		return json_integer(*(const int *)at);
	case WHOLE:
	case LATER:
		return json_integer(*(const int64_t *)at);
	case COUNT:
		return json_integer((json_int_t) * (const uint64_t *)at);
	case FLAG:
		return json_boolean(*(const bool *)at);
	case REAL:
		return json_real(*(const double *)at);
	}
	return NULL;
}

static int fields_to_json(const struct field *fields, size_t count, const void *base,
			  json_t *object)
{
	for (size_t i = 0; i < count; i++)
		if (json_object_set_new(object, fields[i].name, field_to_json(&fields[i], base)) <
		    0)
			return -ENOMEM;
	return 0;
}

json_t *cell_to_json(const struct cell *cell)
{
	json_t *object = json_object();

	if (object == NULL)
		return NULL;
	if (fields_to_json(cell_fields, COUNT_OF(cell_fields), cell, object) == 0)
		return object;
	json_decref(object);
	return NULL;
}

static int array_to_json(json_t *object, const char *name, const double *at, int count)
{
	json_t *array = json_array();

	for (int i = 0; i < count; i++)
		if (json_array_append_new(array, json_real(at[i])) < 0)
			goto err_free_array;
	return json_object_set_new(object, name, array);

err_free_array:
	json_decref(array);
	return -ENOMEM;
}

json_t *record_to_json(const struct record *record)
{
	json_t *object = json_object();

	if (object == NULL)
		return NULL;
	if (json_object_set_new(object, "schema", json_integer(SCHEMA)) == 0 &&
	    fields_to_json(cell_fields, COUNT_OF(cell_fields), &record->cell, object) == 0 &&
	    fields_to_json(record_fields, COUNT_OF(record_fields), record, object) == 0 &&
	    array_to_json(object, "ns_per_task", record->ns_per_task, record->samples) == 0 &&
	    array_to_json(object, "profile_ns", record->profile_ns, record->profile) == 0)
		return object;
	json_decref(object);
	return NULL;
}

char *record_format(const struct record *record)
{
	json_t *object = record_to_json(record);
	char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	char *line = NULL;

	if (text != NULL && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	json_decref(object);
	return line;
}

/*
 * == In ==
 */

static int text_from_json(const struct field *field, const json_t *value, char *text)
{
	if (!json_is_string(value) || json_string_length(value) >= field->size)
		return -EINVAL;
	memcpy(text, json_string_value(value), json_string_length(value) + 1);
	return 0;
}

static int integer_from_json(const struct field *field, const json_t *value, void *at)
{
	json_int_t integer = json_integer_value(value);

	if (!json_is_integer(value))
		return -EINVAL;
	if (field->kind == WHOLE || field->kind == LATER)
		*(int64_t *)at = integer;
	else if (field->kind == COUNT && integer >= 0)
		*(uint64_t *)at = (uint64_t)integer;
	else if (field->kind == INT && integer >= INT_MIN && integer <= INT_MAX)
		*(int *)at = (int)integer;
	else
		return -EINVAL;
	return 0;
}

static int field_from_json(const struct field *field, const json_t *value, void *base)
{
	void *at = (char *)base + field->offset;

	switch (field->kind) {
	case TEXT:
		return text_from_json(field, value, at);
	case FLAG:
		*(bool *)at = json_is_true(value);
		return json_is_boolean(value) ? 0 : -EINVAL;
	case REAL:
		*(double *)at = json_number_value(value);
		return json_is_number(value) ? 0 : -EINVAL;
	default:
		return integer_from_json(field, value, at);
	}
}

static const char *const wanted[] = {
	[TEXT] = "a string that is not too long",
	[INT] = "a whole number",
	[WHOLE] = "a whole number",
	[LATER] = "a whole number",
	[COUNT] = "a whole number, not negative",
	[FLAG] = "true or false",
	[REAL] = "a number",
};

static int fields_from_json(const struct field *fields, size_t count, const json_t *object,
			    void *base, char *why, size_t why_size)
{
	for (size_t i = 0; i < count; i++) {
		const json_t *value = json_object_get(object, fields[i].name);
		if (value == NULL && fields[i].kind == LATER)
			continue;
		if (value == NULL)
			return refuse(why, why_size, fields[i].name, "this field, it is missing");
		if (field_from_json(&fields[i], value, base) < 0)
			return refuse(why, why_size, fields[i].name, wanted[fields[i].kind]);
	}
	return 0;
}

int cell_from_json(struct cell *cell, const json_t *object, char *why, size_t why_size)
{
	struct cell read = { 0 };
	int rc = fields_from_json(cell_fields, COUNT_OF(cell_fields), object, &read, why, why_size);

	if (rc == 0)
		*cell = read;
	return rc;
}

/* `count` numbers, which is what the field `counted` of the row says. */
static int array_from_json(const json_t *object, const char *name, const char *counted, int count,
			   double *at, char *why, size_t why_size)
{
	const json_t *array = json_object_get(object, name);
	char wanted_text[96];

	snprintf(wanted_text, sizeof wanted_text,
		 "an array of as many numbers as \"%s\" says, at most %d", counted, SAMPLES_MAX);
	if (!json_is_array(array) || count < 0 || count > SAMPLES_MAX ||
	    json_array_size(array) != (size_t)count)
		return refuse(why, why_size, name, wanted_text);
	for (int i = 0; i < count; i++) {
		const json_t *value = json_array_get(array, (size_t)i);
		if (!json_is_number(value) || !(json_number_value(value) >= 0))
			return refuse(why, why_size, name, "numbers, none negative");
		at[i] = json_number_value(value);
	}
	return 0;
}

static int record_from_json(struct record *record, const json_t *object, char *why, size_t why_size)
{
	const json_t *schema = json_object_get(object, "schema");
	int rc;

	if (!json_is_integer(schema) || json_integer_value(schema) != SCHEMA)
		return refuse(why, why_size, "schema", "2: not a row of this version of poolbench");
	rc = cell_from_json(&record->cell, object, why, why_size);
	if (rc == 0)
		rc = fields_from_json(record_fields, COUNT_OF(record_fields), object, record, why,
				      why_size);
	if (rc == 0 && (record->round < 0 || record->round >= ROUNDS_END))
		rc = refuse(why, why_size, "round", "a whole number from 0 to 2047");
	if (rc == 0 && record->cell.batches < 0)
		rc = refuse(why, why_size, "batches", wanted[COUNT]);
	if (rc == 0)
		rc = array_from_json(object, "ns_per_task", "samples", record->samples,
				     record->ns_per_task, why, why_size);
	if (rc == 0)
		rc = array_from_json(object, "profile_ns", "profile", record->profile,
				     record->profile_ns, why, why_size);
	return rc;
}

int record_parse(struct record *record, const char *line, char *why, size_t why_size)
{
	struct record read = { 0 };
	json_error_t error;
	json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, &error);
	int rc = -EINVAL;

	if (object == NULL)
		snprintf(why, why_size, "not JSON: %s", error.text);
	else if (!json_is_object(object))
		snprintf(why, why_size, "not a JSON object");
	else
		rc = record_from_json(&read, object, why, why_size);
	json_decref(object);
	if (rc == 0)
		*record = read;
	return rc;
}
