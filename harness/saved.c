/*
 * saved.c - storing and finding baselines.
 */
#include "harness/saved.h"
#include "harness/program.h"
#include "harness/run_dir.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 256

static const char *const files[] = { "run.json", "rows.jsonl", "poolbench" };
#define FILES (sizeof files / sizeof *files)

int saved_check_name(const char *option, const char *name)
{
	size_t length = strlen(name);
	bool good = length >= 1 && length <= BASELINE_NAME_MOST && name[0] != '.';

	for (size_t i = 0; i < length; i++)
		good = good && (isalnum((unsigned char)name[i]) || strchr("._-", name[i]));
	if (good)
		return 0;
	fprintf(stderr,
		"poolbench: %s: '%s' is not acceptable, want a name of at most %d letters, digits, "
		"'.', '_', '-'\n",
		option, name, BASELINE_NAME_MOST);
	return -EINVAL;
}

/*
 * == Storing ==
 */

static int failed(const char *path, const char *doing)
{
	int rc = -errno;

	fprintf(stderr, "poolbench: %s: cannot %s: %s\n", path, doing, strerror(errno));
	return rc;
}

static void path_of(char path[PATH_SIZE], const char *prefix, const char *name, const char *file)
{
	snprintf(path, PATH_SIZE, "%s/%s%s%s%s", SAVED_ROOT, prefix, name, file ? "/" : "",
		 file ? file : "");
}

static int discard_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
	(void)status;
	(void)type;
	(void)at;
	remove(path);
	return 0;
}

/* With all that a report may have added: what is left over would be in the way of the next rename. */
static void discard(const char *prefix, const char *name)
{
	char path[PATH_SIZE];

	path_of(path, prefix, name, NULL);
	nftw(path, discard_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static int make_directory(const char *path)
{
	return mkdir(path, 0777) < 0 && errno != EEXIST ? failed(path, "make this directory") : 0;
}

static int copy_run(const char *name, const char *run)
{
	char from[1100], to[PATH_SIZE];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < FILES; i++) {
		bool is_program = strcmp(files[i], "poolbench") == 0;
		snprintf(from, sizeof from, "%s/%s", run, files[i]);
		path_of(to, ".new-", name, files[i]);
		rc = program_copy(is_program ? NULL : from, to, is_program ? 0777 : 0666);
	}
	return rc;
}

static int put_in_place(const char *name)
{
	char fresh[PATH_SIZE], old[PATH_SIZE], path[PATH_SIZE];

	path_of(fresh, ".new-", name, NULL);
	path_of(old, ".old-", name, NULL);
	path_of(path, "", name, NULL);
	if (rename(path, old) < 0 && errno != ENOENT)
		return failed(path, "move this away");
	if (rename(fresh, path) == 0)
		return 0;
	int rc = failed(path, "put a baseline here");
	if (rename(old, path) < 0 && errno != ENOENT)
		failed(old, "put the old baseline back");
	return rc;
}

static int make_root(void)
{
	int rc = make_directory("results");

	return rc ? rc : make_directory(SAVED_ROOT);
}

int saved_prepare(void)
{
	char trial[] = SAVED_ROOT "/.try-XXXXXX";
	int rc = make_root();

	if (rc < 0)
		return rc;
	if (mkdtemp(trial) == NULL)
		return failed(SAVED_ROOT, "make a directory here");
	rmdir(trial);
	return 0;
}

int saved_store(const char *name, const char *run)
{
	char fresh[PATH_SIZE];
	int rc = make_root();

	if (rc < 0)
		return rc;
	discard(".new-", name); /* of an earlier attempt */
	discard(".old-", name);
	path_of(fresh, ".new-", name, NULL);
	rc = make_directory(fresh);
	if (rc == 0)
		rc = copy_run(name, run);
	if (rc == 0)
		rc = put_in_place(name);
	discard(rc < 0 ? ".new-" : ".old-", name);
	return rc;
}

/*
 * == Finding ==
 */

static void list_known(void)
{
	DIR *directory = opendir(SAVED_ROOT);
	struct dirent *entry;
	size_t count = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			fprintf(stderr, "%s%s", count++ ? " " : "; known: ", entry->d_name);
	fputs(count ? "\n" : "; there is none (see --save-baseline)\n", stderr);
	if (directory != NULL)
		closedir(directory);
}

static int read_plan(const char *directory, struct plan *plan)
{
	char why[256];
	json_t *info;
	int rc = run_dir_info(directory, &info);

	if (rc < 0)
		return rc;
	rc = plan_from_json(plan, json_object_get(info, "plan"), why, sizeof why);
	json_decref(info);
	if (rc < 0)
		fprintf(stderr, "poolbench: %s/run.json: %s\n", directory, why);
	return rc;
}

int saved_open(const char *name, struct plan *plan, char *program, size_t size)
{
	char path[PATH_SIZE];

	path_of(path, "", name, NULL);
	if (access(path, F_OK) < 0) {
		fprintf(stderr, "poolbench: no baseline '%s' under %s", name, SAVED_ROOT);
		list_known();
		return -ENOENT;
	}
	snprintf(program, size, "%s/poolbench", path);
	return read_plan(path, plan);
}
