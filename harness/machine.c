/*
 * machine.c - where figures come from, in one line and in full.
 */
#include "harness/machine.h"
#include "harness/html.h"
#include "pools/pool.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

void machine_line(const json_t *host, char *text, size_t size)
{
	const char *model = json_string_value(json_object_get(host, "cpu_model"));
	const json_t *kernel = json_object_get(host, "kernel");
	const char *release = json_string_value(json_object_get(kernel, "release"));

	if (host == NULL) {
		snprintf(text, size, "a machine that is not known");
		return;
	}
	if (release == NULL)
		release = "of an unknown version";
	/* what follows a hyphen is the distribution's */
	snprintf(text, size, "%.64s, %d CPUs%s, Linux %.*s", model ? model : "an unknown processor",
		 (int)json_integer_value(json_object_get(host, "cpus_usable")),
		 json_is_true(json_object_get(host, "virtualised")) ? " (virtual)" : "",
		 (int)strcspn(release, "-"), release);
}

int machine_cpus_told(const char *run)
{
	char path[PATH_MAX];
	json_t *info;
	int cpus;

	snprintf(path, sizeof path, "%s/run.json", run);
	info = json_load_file(path, 0, NULL);
	cpus = (int)json_integer_value(
		json_object_get(json_object_get(info, "host"), "cpus_usable"));
	json_decref(info);
	return cpus > 0 ? cpus : 0;
}

int machine_cpus(const char *run)
{
	int told = machine_cpus_told(run);

	return told > 0 ? told : pool_cpus();
}

static void write_fact(FILE *file, const char *key, const char *value)
{
	fputs("<tr><td>", file);
	html_words(file, key);
	fputs("</td><td>", file);
	html_text(file, value);
	fputs("</td></tr>\n", file);
}

void machine_table(FILE *file, json_t *host)
{
	json_t *value;
	const char *key;

	fputs("<div class=\"scroll\"><table class=\"facts\">\n", file);
	json_object_foreach(host, key, value)
	{
		char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_SORT_KEYS);
		if (text && !json_is_null(value))
			write_fact(file, key,
				   json_is_string(value) ? json_string_value(value) : text);
		free(text);
	}
	fputs("</table></div>\n", file);
}
