/*
 * args.c - strict readers for command line arguments.
 */
#include "harness/args.h"
#include "harness/clock.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEEK_S (7 * 24 * INT64_C(3600))

int args_option(int argc, char **argv, const char *letters, const struct option *options)
{
	static char program[] = "poolbench";
	char *command = argv[0];
	int id;

	argv[0] = program;
	id = getopt_long(argc, argv, letters, options, NULL);
	argv[0] = command;
	return id;
}

/* strtoll skips spaces and takes a plus sign; neither is a number here. */
static bool read_whole(const char *text, int64_t *value, char **end)
{
	if (!isdigit((unsigned char)text[0]) &&
	    !(text[0] == '-' && isdigit((unsigned char)text[1])))
		return false;
	errno = 0;
	*value = strtoll(text, end, 10);
	return errno == 0;
}

int args_whole(const char *option, const char *text, int64_t min, int64_t max, int64_t *value)
{
	int64_t read;
	char *end;

	if (read_whole(text, &read, &end) && *end == '\0' && read >= min && read <= max) {
		*value = read;
		return 0;
	}
	fprintf(stderr,
		"poolbench: %s: '%s' is not acceptable, want a whole number from %" PRId64
		" to %" PRId64 "\n",
		option, text, min, max);
	return -EINVAL;
}

int args_int(const char *option, const char *text, int min, int max, int *value)
{
	int64_t read;
	int rc = args_whole(option, text, min, max, &read);

	if (rc == 0)
		*value = (int)read;
	return rc;
}

uint64_t args_seed(int64_t wanted)
{
	return (uint64_t)(wanted >= 0 ? wanted : clock_now_ns() & INT64_C(0x7FFFFFFF));
}

static int suffix_shift(const char *suffix)
{
	static const struct {
		const char *suffix;
		int shift;
	} known[] = { { "", 0 }, { "k", 10 }, { "K", 10 }, { "M", 20 }, { "G", 30 } };

	for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
		if (strcmp(known[i].suffix, suffix) == 0)
			return known[i].shift;
	return -1;
}

int args_bytes(const char *option, const char *text, uint64_t min, uint64_t *value)
{
	int64_t read;
	char *end;
	int shift = read_whole(text, &read, &end) && read >= 0 ? suffix_shift(end) : -1;

	if (shift >= 0 && (uint64_t)read <= ARGS_BYTES_MAX >> shift &&
	    (uint64_t)read << shift >= min) {
		*value = (uint64_t)read << shift;
		return 0;
	}
	fprintf(stderr,
		"poolbench: %s: '%s' is not acceptable, want bytes from %" PRIu64
		" to 1048576G, suffixes k, M and G allowed\n",
		option, text, min);
	return -EINVAL;
}

static int64_t time_unit_s(const char *suffix)
{
	return strcmp(suffix, "s") == 0	  ? 1
	       : strcmp(suffix, "m") == 0 ? 60
	       : strcmp(suffix, "h") == 0 ? 3600
					  : 0;
}

int args_time(const char *option, const char *text, int64_t *ns)
{
	int64_t read, unit_s;
	char *end;

	if (read_whole(text, &read, &end) && (unit_s = time_unit_s(end)) > 0 && read >= 1 &&
	    read <= WEEK_S / unit_s) {
		*ns = read * unit_s * NS_PER_S;
		return 0;
	}
	fprintf(stderr,
		"poolbench: %s: '%s' is not acceptable, want a time like 90s, 10m or 2h, a week at "
		"most\n",
		option, text);
	return -EINVAL;
}

int args_percent(const char *option, const char *text, double *fraction)
{
	size_t digits = strspn(text, "0123456789.");
	char *end;
	double read = strtod(text, &end);

	if (digits > 0 && end == text + digits && (*end == '\0' || strcmp(end, "%") == 0) &&
	    read <= 1000) {
		*fraction = read / 100;
		return 0;
	}
	fprintf(stderr,
		"poolbench: %s: '%s' is not acceptable, want per cent from 0 to 1000, like 2.5\n",
		option, text);
	return -EINVAL;
}

int args_text(const char *option, const char *text, const char **value)
{
	if (text[0] != '\0') {
		*value = text;
		return 0;
	}
	fprintf(stderr, "poolbench: %s: '' is not acceptable, want a text that is not empty\n",
		option);
	return -EINVAL;
}

int args_directory(const char *option, const char *path)
{
	DIR *directory = opendir(path);

	if (directory != NULL) {
		closedir(directory);
		return 0;
	}
	fprintf(stderr, "poolbench: %s: %s: %s, want a directory that can be read\n", option, path,
		strerror(errno));
	return -EINVAL;
}

void args_name(const char *text, char *name, size_t size)
{
	snprintf(name, size, "%s", text);
}
