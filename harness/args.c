/*
 * args.c - strict readers for command line arguments.
 */
#include "harness/args.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BYTES_MAX (UINT64_C(1) << 50)

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

	if (shift >= 0 && (uint64_t)read <= BYTES_MAX >> shift && (uint64_t)read << shift >= min) {
		*value = (uint64_t)read << shift;
		return 0;
	}
	fprintf(stderr,
		"poolbench: %s: '%s' is not acceptable, want bytes from %" PRIu64
		" to 1048576G, suffixes k, M and G allowed\n",
		option, text, min);
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
