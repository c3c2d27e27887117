/*
 * export_csv.c - a run as comma separated values: one line an invocation, one column a field of a row.
 *
 * DESIGN. The columns are the keys of the row's own JSON, so a new field appears by itself; the two arrays are given by
 * their medians and least values only. Quoting and line ends: Y. Shafranovich, Common Format and MIME Type for
 * Comma-Separated Values (CSV) Files, RFC 4180, 2005.
 */
#include "harness/export.h"
#include "harness/record_json.h"

#include <errno.h>
#include <string.h>

void export_csv_text(FILE *file, const char *text)
{
	if (text[strcspn(text, ",\"\r\n")] == '\0') {
		fputs(text, file);
		return;
	}
	fputc('"', file);
	for (; *text; text++) {
		if (*text == '"')
			fputc('"', file);
		fputc(*text, file);
	}
	fputc('"', file);
}

/* jansson writes numbers with a decimal point in every locale. */
static void put_value(FILE *file, const json_t *value)
{
	if (json_is_string(value))
		export_csv_text(file, json_string_value(value));
	else
		json_dumpf(value, file, JSON_ENCODE_ANY);
}

/* What cannot be told is an empty field. */
static void put_summary(FILE *file, const struct record *record)
{
	double least = record_median(record);
	json_t *summary;

	for (int i = 0; i < record->samples; i++)
		if (record->ns_per_task[i] < least)
			least = record->ns_per_task[i];
	summary = record->samples > 0 ? json_pack("[ff]", record_median(record), least) : NULL;
	for (size_t i = 0; i < 2; i++) {
		fputc(',', file);
		if (summary != NULL)
			put_value(file, json_array_get(summary, i));
	}
	fputs("\r\n", file);
	json_decref(summary);
}

/* The keys, or with `values` what they hold. */
static void put_fields(FILE *file, const json_t *object, bool values)
{
	const char *key, *between = "";
	const json_t *value;

	json_object_foreach((json_t *)object, key, value)
	{
		if (json_is_array(value))
			continue;
		fputs(between, file);
		if (values)
			put_value(file, value);
		else
			export_csv_text(file, key);
		between = ",";
	}
}

int export_csv(const struct export_data *data, FILE *file)
{
	for (size_t i = 0; i < data->rows->count; i++) {
		json_t *object = record_to_json(&data->rows->at[i]);
		if (object == NULL)
			return -ENOMEM;
		if (i == 0) {
			put_fields(file, object, false);
			fputs(",ns_per_task_median,ns_per_task_min\r\n", file);
		}
		put_fields(file, object, true);
		put_summary(file, &data->rows->at[i]);
		json_decref(object);
	}
	return 0;
}
