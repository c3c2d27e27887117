/*
 * tree.h - what both test programs of the workloads share: a small directory tree, and opening a workload over it.
 */
#ifndef WORKLOADS_TESTS_TREE_H
#define WORKLOADS_TESTS_TREE_H

#include "workloads/workload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char tree[] = "/tmp/test_workloads.XXXXXX";

/* An instance of `load` with expected results. */
static void open_with(struct work *w, const char *name, struct work_options options)
{
	char why[256] = "";

	assert_non_null(workload_find(name));
	if (work_open(w, workload_find(name), &options, why, sizeof why) != 0)
		fail_msg("%s: %s", name, why);
	assert_int_equal(work_expect(w), 0);
}

static int put(const char *name, const char *text, int times)
{
	char path[64];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", tree, name);
	file = fopen(path, "w");
	if (file == NULL)
		return -1;
	for (int i = 0; i < times; i++)
		fputs(text, file);
	return fclose(file);
}

/* Four readable files, and everything that must not be taken for one. "words" is longer than one read. */
static int make_tree(void **state)
{
	(void)state;
	umask(022);
	if (mkdtemp(tree) == NULL || chmod(tree, 0755) != 0 || chdir(tree) != 0)
		return -1;
	if (mkdir("deep", 0755) != 0 || mkdir("empty", 0755) != 0 || mkdir("locked", 0) != 0)
		return -1;
	if (mkfifo("fifo", 0644) != 0 || symlink("abc", "link") != 0)
		return -1;
	return put("abc", "abc", 1) || put("words", " abc def\n", 30000) || put("Z", "z\n", 1) ||
	       put("deep/er", "deeper\n", 9);
}

static int remove_tree(void **state)
{
	static const char *const files[] = { "abc", "words", "Z", "deep/er", "fifo", "link" };

	(void)state;
	for (unsigned i = 0; i < sizeof files / sizeof files[0]; i++)
		unlink(files[i]);
	return rmdir("deep") || rmdir("empty") || rmdir("locked") || chdir("/") || rmdir(tree);
}

#endif
