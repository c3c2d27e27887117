/*
 * run_dir.c - creating, resuming and appending to a run's directory.
 */
#include "harness/run_dir.h"
#include "harness/host.h"
#include "harness/peer.h"
#include "harness/program.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Says what failed and returns -errno. */
static int failed(const char *path, const char *doing)
{
	int rc = -errno;

	fprintf(stderr, "poolbench: %s: cannot %s: %s\n", path, doing, strerror(errno));
	return rc;
}

static void name_by_time(const char *kind, char *path, size_t size)
{
	time_t now = time(NULL);
	char moment[32];
	struct tm local;

	localtime_r(&now, &local);
	strftime(moment, sizeof moment, "%Y%m%d-%H%M%S", &local);
	snprintf(path, size, "results/%s-%s", kind, moment);
}

static int make_directories(const char *path)
{
	char part[1024];

	snprintf(part, sizeof part, "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0777) < 0 && errno != EEXIST)
			return failed(part, "make this directory");
		*slash = '/';
	}
	if (mkdir(part, 0777) < 0 && errno != EEXIST)
		return failed(part, "make this directory");
	return 0;
}

static int check_empty(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int rc = 0;

	if (directory == NULL)
		return failed(path, "open this directory");
	while (rc == 0 && (entry = readdir(directory)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			rc = -EEXIST;
	closedir(directory);
	if (rc < 0)
		fprintf(stderr,
			"poolbench: %s: is not empty; give a new directory, or finish an "
			"interrupted run by 'poolbench run --resume'\n",
			path);
	return rc;
}

/* A child of a run that was killed may hold it for a moment more. */
static bool is_ours(int fd)
{
	for (int tries = 0; tries < 100; tries++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			return true;
		usleep(10000);
	}
	return false;
}

static int open_rows(struct run_dir *dir, int flags)
{
	char path[1100];
	struct stat stat;

	snprintf(path, sizeof path, "%s/rows.jsonl", dir->path);
	dir->rows_fd = open(path, flags | O_WRONLY | O_APPEND | O_CLOEXEC, 0666);
	if (dir->rows_fd < 0)
		return failed(path, "open this file for writing");
	if (!is_ours(dir->rows_fd)) {
		fprintf(stderr, "poolbench: %s: another run is writing here\n", dir->path);
		return -EBUSY;
	}
	if (fstat(dir->rows_fd, &stat) < 0)
		return failed(path, "read its size");
	dir->size = stat.st_size;
	return 0;
}

static bool has_peers(const struct plan *plan)
{
	for (size_t i = 0; i < plan->count; i++)
		if (peer_find(plan->cells[i].backend) != NULL)
			return true;
	return false;
}

/* Takes over arms. */
static json_t *describe_run(const struct plan *plan, json_t *arms)
{
	json_t *object =
		json_pack("{si sI so so}", "schema", SCHEMA, "started_s", (json_int_t)time(NULL),
			  "host", host_fingerprint(), "plan", plan_to_json(plan));
	char digest[PROGRAM_DIGEST_SIZE];

	if (has_peers(plan))
		json_object_set_new(json_object_get(object, "host"), "peers", peer_versions());
	if (arms != NULL)
		json_object_set_new(object, "arms", arms);
	else if (program_digest(NULL, digest) == 0)
		json_object_set_new(object, "program_sha256", json_string(digest));
	return object;
}

/* Whole or not at all. */
static int write_run_json(const char *directory, json_t *object)
{
	char path[1100], fresh[1110];
	int rc = 0;

	snprintf(path, sizeof path, "%s/run.json", directory);
	snprintf(fresh, sizeof fresh, "%s.new", path);
	errno = ENOMEM;
	if (object == NULL || json_dump_file(object, fresh, JSON_INDENT(1)) < 0 ||
	    rename(fresh, path) < 0) {
		rc = failed(path, "write this file");
		unlink(fresh);
	}
	json_decref(object);
	return rc;
}

/* A directory that holds nothing can be given again. */
static void remove_rows(const struct run_dir *dir)
{
	char path[1100];

	snprintf(path, sizeof path, "%s/rows.jsonl", dir->path);
	unlink(path);
}

int run_dir_create(struct run_dir *dir, const char *path, const struct plan *plan, json_t *arms)
{
	json_t *description = describe_run(plan, arms);
	int rc;

	if (path != NULL && strlen(path) >= sizeof dir->path) {
		fprintf(stderr, "poolbench: --out: this path is too long\n");
		json_decref(description);
		return -ENAMETOOLONG;
	}
	if (path != NULL)
		snprintf(dir->path, sizeof dir->path, "%s", path);
	else
		name_by_time(arms ? "compare" : "run", dir->path, sizeof dir->path);
	rc = make_directories(dir->path);
	if (rc == 0)
		rc = check_empty(dir->path);
	if (rc == 0)
		rc = open_rows(dir,
			       O_CREAT |
				       O_EXCL); /* before run.json, which tells that all is there */
	if (rc < 0) {
		json_decref(description);
		return rc;
	}
	rc = write_run_json(dir->path, description);
	if (rc < 0)
		remove_rows(dir);
	return rc;
}

int run_dir_info(const char *directory, json_t **info)
{
	char path[1100];
	json_error_t error;
	json_t *object, *schema;

	snprintf(path, sizeof path, "%s/run.json", directory);
	object = json_load_file(path, JSON_REJECT_DUPLICATES, &error);
	schema = json_object_get(object, "schema");
	if (json_is_integer(schema) && json_integer_value(schema) == SCHEMA &&
	    json_is_object(json_object_get(object, "host")) &&
	    json_is_object(json_object_get(object, "plan"))) {
		*info = object;
		return 0;
	}
	if (object == NULL && error.line < 0)
		fprintf(stderr, "poolbench: %s: cannot be read: not a run's directory?\n", path);
	else if (object == NULL)
		fprintf(stderr, "poolbench: %s: line %d: %s\n", path, error.line, error.text);
	else
		fprintf(stderr, "poolbench: %s: not a run of this version of poolbench\n", path);
	json_decref(object);
	return -EINVAL;
}

/* One program on one machine: that is what run.json vouches for. */
static int check_same(const json_t *info, char *why, size_t size)
{
	const char *begun_by = json_string_value(json_object_get(info, "program_sha256"));
	char digest[PROGRAM_DIGEST_SIZE], what[160];
	const json_t *peers = json_object_get(json_object_get(info, "host"), "peers");
	json_t *here = host_fingerprint(), *peers_here = peers ? peer_versions() : NULL;
	bool differs = host_difference(json_object_get(info, "host"), here, what, sizeof what);
	bool peers_differ = peers && !json_equal(peers, peers_here);

	json_decref(here);
	json_decref(peers_here);
	if (differs)
		snprintf(why, size, "was begun elsewhere (%s): start a new run", what);
	else if (peers_differ)
		snprintf(why, size,
			 "was begun with other peers, or other versions of them: start a new run");
	else if (begun_by && program_digest(NULL, digest) == 0 && strcmp(begun_by, digest) != 0)
		snprintf(
			why, size,
			"was begun by another program than this: resume it with that one, or start "
			"a new run");
	else
		return 0;
	return -EINVAL;
}

int run_dir_note(const struct run_dir *dir, const char *name, json_t *value)
{
	json_t *info;
	int rc = run_dir_info(dir->path, &info);

	if (rc < 0) {
		json_decref(value);
		return rc;
	}
	json_object_set_new(info, name, value);
	return write_run_json(dir->path, info);
}

static int read_plan(const char *directory, struct plan *plan)
{
	char why[256];
	json_t *info;
	int rc = run_dir_info(directory, &info);

	if (rc < 0)
		return rc;
	rc = plan_from_json(plan, json_object_get(info, "plan"), why, sizeof why);
	if (rc == 0 &&
	    (json_object_get(info, "arms") != NULL || json_object_get(info, "selftest") != NULL)) {
		snprintf(why, sizeof why,
			 "a session of several programs cannot be resumed, start it again");
		rc = -EINVAL;
	}
	if (rc == 0)
		rc = check_same(info, why, sizeof why);
	json_decref(info);
	if (rc < 0)
		fprintf(stderr, "poolbench: %s/run.json: %s\n", directory, why);
	return rc;
}

/* Where the last whole row ends: the first part of a row may be there if a write was interrupted. */
static int cut_last_row(struct run_dir *dir, const struct rows *rows)
{
	char path[1100], *line = NULL;
	size_t room = 0;
	int64_t size = 0;
	FILE *file;

	snprintf(path, sizeof path, "%s/rows.jsonl", dir->path);
	file = fopen(path, "re");
	if (file == NULL)
		return failed(path, "read this file");
	for (size_t i = 0; i < rows->count; i++)
		size += getline(&line, &room, file);
	free(line);
	fclose(file);
	if (ftruncate(dir->rows_fd, size) < 0)
		return failed(path, "remove its broken last row");
	dir->size = size;
	return 0;
}

int run_dir_resume(struct run_dir *dir, const char *path, struct plan *plan, struct rows *rows)
{
	char why[512];
	bool truncated;
	int rc = read_plan(path, plan);

	if (rc < 0)
		return rc;
	snprintf(dir->path, sizeof dir->path, "%s", path);
	rc = open_rows(dir, 0);
	if (rc < 0)
		return rc;
	rc = rows_load(rows, path, &truncated, why, sizeof why);
	if (rc < 0)
		fprintf(stderr, "poolbench: %s\n", why);
	if (rc < 0 || !truncated)
		return rc;
	fprintf(stderr,
		"poolbench: %s: the last row is cut short: removed, its cell is measured again\n",
		path);
	return cut_last_row(dir, rows);
}

int run_dir_append(struct run_dir *dir, const struct record *record)
{
	char *line = record_format(record);
	size_t size = line ? strlen(line) : 0;
	ssize_t written = -1;

	errno = ENOMEM;
	if (line != NULL)
		written = write(dir->rows_fd, line, size);
	free(line);
	if (written == (ssize_t)size) {
		dir->size += written;
		return 0;
	}
	if (written >= 0)
		errno = ENOSPC; /* a short write to a file means that */
	int rc = failed(dir->path, "append a row");
	if (ftruncate(dir->rows_fd, dir->size) < 0)
		failed(dir->path, "remove the broken row");
	return rc;
}

void run_dir_close(struct run_dir *dir)
{
	if (dir->rows_fd >= 0)
		close(dir->rows_fd);
	dir->rows_fd = -1;
}
