/*
 * written.h - runs of rows that are written by a test, in a directory of its own, and `poolbench compare` on them.
 */
#ifndef HARNESS_TESTS_WRITTEN_H
#define HARNESS_TESTS_WRITTEN_H

#include "harness/rerun.h"
#include "harness/tests/capture.h"

#include <jansson.h>
#include <math.h>
#include <sys/stat.h>

static char place[] = "/tmp/test-written-XXXXXX";
static struct capture said;

/* A run of one experiment with two cells, "light" of 100 ns a task and "heavy" of 1000 ns. */
struct run {
	const char *name;
	double factor; /* of light's times */
	int rounds;
	int cpus;
	int disturbed; /* the first so many rounds lost a fifth of their time to the hypervisor */
	int failed;    /* in so many rounds light gives a wrong result */
	int64_t batch_ns;
	int input_seed;
	const char *digest, *experiment, *workload;
	bool precision, session, no_host, light_only;
	bool a_right, b_right; /* in a session these arms do not fail */
	int64_t start_ms;      /* of all its rows; write_run gives each another */
	double factor_later; /* a session: of light's times in B in as many further rounds; 0: there are none */
	double a2_heavy; /* of heavy's times in A2, but for the first two rounds, far on the other side */
	double a2_later; /* of light's times in A2 in the further rounds */
};

static inline FILE *open_file(const char *run, const char *name)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof path, "%s/%s", place, run);
	if (mkdir(path, 0777) < 0)
		assert_int_equal(access(path, W_OK), 0);
	snprintf(path, sizeof path, "%s/%s/%s", place, run, name);
	file = fopen(path, "w");
	assert_non_null(file);
	return file;
}

static inline bool is_wrong(const struct run *run, const char *arm, int round, bool light)
{
	bool is_right_arm =
		(run->a_right && strcmp(arm, "A") == 0) || (run->b_right && strcmp(arm, "B") == 0);

	return light && round < run->failed && !is_right_arm;
}

static inline double factor_of(const struct run *run, const char *arm, int round, bool light)
{
	bool later = round >= CONFIRM_ROUND;

	if (strcmp(arm, "A2") == 0 && later)
		return run->a2_later > 0 ? run->a2_later : 1;
	if (strcmp(arm, "A2") == 0 && !light && run->a2_heavy > 0)
		return round < 2 ? pow(run->a2_heavy, -2) : run->a2_heavy;
	if (arm[0] == 'A' || !light)
		return 1;
	return later ? run->factor_later : run->factor;
}

static inline void write_row(FILE *file, const struct run *run, const char *arm, int round,
			     bool light)
{
	double ns = (light ? 100 : 1000) * factor_of(run, arm, round, light);
	struct record record = {
		.cell = { .backend = "shm",
			  .variant = "map",
			  .workload = "spin",
			  .tasks = 1000,
			  .workers = 2,
			  .work = light ? 10 : 100,
			  .batch_ns = run->batch_ns,
			  .batches = 3 },
		.round = round,
		.start_ms = run->start_ms,
		.verified = !is_wrong(run, arm, round, light),
		.samples = 3,
		.calls = 10,
		.system_calls = -1,
	};
	char *line;

	snprintf(record.cell.experiment, sizeof record.cell.experiment, "%s", run->experiment);
	if (run->workload)
		snprintf(record.cell.workload, sizeof record.cell.workload, "%s", run->workload);
	snprintf(record.arm, sizeof record.arm, "%s", arm);
	/* up to 1 % of scatter that repeats itself */
	for (int i = 0; i < 3; i++)
		record.ns_per_task[i] = ns * (1 + 0.001 * ((round * 7 + i * 3 + arm[0]) % 11));
	record.steal_ns = round < run->disturbed ? (int64_t)(ns * 1000 * 10 * 0.2 * run->cpus) : 0;
	if (!record.verified)
		snprintf(record.error, sizeof record.error, "wrong result, item 3");
	line = record_format(&record);
	assert_non_null(line);
	fputs(line, file);
	free(line);
}

/* By each arm. */
static inline void write_cell(FILE *file, const struct run *run, int round, bool light)
{
	write_row(file, run, run->session ? "A" : "", round, light);
	if (run->session) {
		write_row(file, run, "A2", round, light);
		write_row(file, run, "B", round, light);
	}
}

static inline void write_rows(const struct run *run)
{
	FILE *file = open_file(run->name, "rows.jsonl");

	for (int round = 0; round < run->rounds; round++)
		for (int light = run->light_only; light < 2; light++)
			write_cell(file, run, round, light);
	for (int round = 0; run->factor_later > 0 && round < run->rounds; round++)
		write_cell(file, run, CONFIRM_ROUND + round, true);
	fclose(file);
}

static inline void write_run(struct run run)
{
	FILE *file = open_file(run.name, "run.json");
	static int64_t written;
	json_t *info;

	run.start_ms = ++written;
	run.factor = run.factor > 0 ? run.factor : 1;
	run.rounds = run.rounds ? run.rounds : 12;
	run.cpus = run.cpus ? run.cpus : 2;
	run.batch_ns = run.batch_ns ? run.batch_ns : 50000000;
	run.experiment = run.experiment ? run.experiment : "overhead";
	info = json_pack("{si s{si ss} s{si} ss}", "schema", SCHEMA, "host", "cpus_online",
			 run.cpus, "cpu_model", "a CPU", "plan", "rounds", run.rounds,
			 "program_sha256", run.digest ? run.digest : "ab12");
	if (run.precision)
		json_object_set_new(json_object_get(info, "plan"), "precision", json_real(0.01));
	if (run.input_seed)
		json_object_set_new(json_object_get(info, "plan"), "input_seed",
				    json_integer(run.input_seed));
	if (run.no_host)
		json_object_clear(json_object_get(info, "host"));
	if (run.session)
		json_object_set_new(info, "arms", json_array());
	json_dumpf(info, file, 0);
	json_decref(info);
	fclose(file);
	write_rows(&run);
}

/* Runs `compare ARGUMENTS --csv` in the place. */
static inline int compare(const char *arguments)
{
	char line[1024];

	snprintf(line, sizeof line, "compare %s --csv", arguments);
	capture(&said, compare_main, line);
	return said.status;
}

/* The line of the light or the heavy cell. */
static inline const char *line_of(const char *work)
{
	static char line[1024];
	char name[32];
	const char *at;

	snprintf(name, sizeof name, " work=%s,", work);
	at = strstr(said.out, name);
	if (at == NULL)
		fail_msg("%s is not in: %s%s", name, said.out, said.error);
	while (at > said.out && at[-1] != '\n')
		at--;
	snprintf(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at);
	return line;
}

static inline void assert_verdict(const char *work, const char *verdict)
{
	const char *line = line_of(work);

	if (strncmp(line, verdict, strlen(verdict)) != 0 || line[strlen(verdict)] != ',')
		fail_msg("want %s: %s\n%s", verdict, line, said.error);
}

static inline void assert_status(int status)
{
	if (said.status != status)
		fail_msg("status %d, want %d: %s%s", said.status, status, said.out, said.error);
}

static inline int written_prepare(void **state)
{
	(void)state;
	return mkdtemp(place) != NULL ? chdir(place) : -1;
}

static inline int written_clean(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", place);
	return chdir("/") == 0 ? system(command) : -1;
}

#endif
