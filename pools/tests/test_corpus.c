/*
 * test_corpus.c - feeds the files of pools/tests/corpus/<target> to the targets of fuzz.h, without
 * libFuzzer: what fuzzing once found, and what reaches every line it has reached.
 */
#include "pools/tests/fuzz.h"
#include "pools/tests/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MOST = 65536 };

static void feed_file(fuzz_target *target, const char *directory, const char *name)
{
	static unsigned char bytes[BYTES_MOST];
	char path[512];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "re");
	CHECK(file != NULL);
	size_t size = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	unsigned char *exact =
		malloc(size + 1); /* of its own size: a sanitizer sees who reads past it */
	CHECK(exact != NULL);
	for (size_t i = 0; i < size; i++)
		exact[i] = bytes[i];
	target(exact, size);
	free(exact);
}

/* Tests run in the project's directory. No file at all is a failure: then nothing was tested. */
static void replay(const struct pool_backend_info *row, fuzz_target *target, const char *name)
{
	char directory[64];
	int files = 0;
	if (strcmp(row->name, "fork-pipe") != 0)
		return; /* once is enough: no pool is opened */
	snprintf(directory, sizeof directory, "pools/tests/corpus/%s", name);
	DIR *entries = opendir(directory);
	CHECK(entries != NULL);
	for (const struct dirent *entry; (entry = readdir(entries));)
		if (entry->d_name[0] != '.') {
			feed_file(target, directory, entry->d_name);
			files++;
		}
	closedir(entries);
	CHECK(files > 0);
}

static void replies_of_all_kinds_harm_nothing(const struct pool_backend_info *row)
{
	replay(row, fuzz_reply, "reply");
}

static void outboxes_of_all_kinds_harm_nothing(const struct pool_backend_info *row)
{
	replay(row, fuzz_outbox, "outbox");
}

static void frames_of_all_kinds_harm_nothing(const struct pool_backend_info *row)
{
	replay(row, fuzz_inbox, "inbox");
}

static const struct suite_case cases[] = {
	CASE(replies_of_all_kinds_harm_nothing, 0),
	CASE(outboxes_of_all_kinds_harm_nothing, 0),
	CASE(frames_of_all_kinds_harm_nothing, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
