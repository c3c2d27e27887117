/*
 * test_resume.c - what happens to a run happens to it here: killed at any moment, no space left, its files changed.
 *
 * After each of these nothing that was measured is lost or altered, one line says what happened, and --resume does what is
 * missing, once. The run has 13 cells and 2 rounds.
 */
#include "harness/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "harness/tests/outside.h"
#include "pools/pool.h"

#define RUN "run scaling --quick --cells map --rounds 2 --seed 5 --out "
/* Under a limit of file sizes pools in shared memory cannot be opened, so here the serial loop runs alone. */
#define LOOP "run scaling --quick --cells 'loop map' --rounds 24 --seed 5 --out "
#define LOOP_ROWS 24
#define FILE_LIMIT "12345" /* bytes: more than run.json has, less than all rows */

/* All rows of a whole run, which every test here must come to. */
static size_t whole;

static void assert_places(const char *run, size_t wanted)
{
	struct rows rows;
	char why[512] = "";
	bool truncated, *seen = calloc(wanted, sizeof *seen);

	assert_non_null(seen);
	if (rows_load(&rows, run, &truncated, why, sizeof why) < 0)
		fail_msg("%s", why);
	assert_false(truncated);
	assert_int_equal(rows.count, wanted);
	for (size_t i = 0; i < rows.count; i++) {
		assert_in_range(rows.at[i].order, 0, wanted - 1);
		assert_false(seen[rows.at[i].order]);
		seen[rows.at[i].order] = true;
	}
	rows_free(&rows);
	free(seen);
}

static void assert_each_place_once(const char *run)
{
	assert_places(run, whole);
}

static void whole_run_resumed_measures_nothing(void **state)
{
	(void)state;
	assert_outside(RUN "whole", 0, "0 failed");
	whole = outside_rows("whole");
	assert_true(whole > (pool_cpus() > 1 ? 20 : 10)); /* fewer numbers of workers on one CPU */
	assert_each_place_once("whole");
	assert_int_equal(outside_run("grep -q '\"input_seed\": 5,' whole/run.json"), 0);
	assert_int_equal(outside_run("cp whole/rows.jsonl before"), 0);
	assert_outside("run --resume whole", 0, "0 failed");
	assert_int_equal(outside_run("cmp before whole/rows.jsonl"), 0);
	assert_int_equal(outside_run("grep -q '\"resumed\"' whole/run.json"), 1);
}

/* So that two runs can be compared whose caller thought of nothing. */
static void inputs_are_the_same_where_no_seed_is_given(void **state)
{
	(void)state;
	assert_outside("run scaling --quick --cells 'loop map' --rounds 1 --out plain", 0,
		       "0 failed");
	assert_int_equal(outside_run("grep -q '\"input_seed\": 1,' plain/run.json"), 0);
}

/* run.json vouches for one program on one machine, and rows are counted by one process. */
static void run_is_resumed_by_its_own_program_alone(void **state)
{
	(void)state;
	assert_int_equal(outside_run(
				 "cp -r whole own && head -n 3 whole/rows.jsonl >own/rows.jsonl"),
			 0);
	assert_int_equal(outside_run(
				 "cp $P other && echo >>other && ./other run --resume own 2>&1"),
			 2);
	assert_non_null(strstr(outside_said, "another program"));
	assert_int_equal(outside_run("flock -F own/rows.jsonl sleep 60 >/dev/null 2>&1 & "
				     "echo $! >holder; "
				     "while flock -n own/rows.jsonl true; do sleep 0.02; done"),
			 0);
	assert_outside("run --resume own", 2, "another run is writing");
	assert_int_equal(outside_run("kill $(cat holder)"), 0);
	assert_int_equal(outside_run("sed -i 's/\"cpus_online\": [0-9]*/\"cpus_online\": 999/' "
				     "own/run.json"),
			 0);
	assert_outside("run --resume own", 2, "cpus_online differs");
	assert_int_equal(outside_rows("own"), 3);
	assert_outside("run latency --cells raw-pipe --rounds 1 --out beside", 0, "0 failed");
	assert_outside("run --resume beside", 0, "0 failed");
	assert_int_equal(outside_run("sed -i 's/\"CPython\": [^,]*/\"CPython\": \"Python 2\"/' "
				     "beside/run.json && grep -q 'Python 2' beside/run.json"),
			 0);
	assert_outside("run --resume beside", 2, "other peers, or other versions");
}

/* Starts or resumes the run and kills it after a while; whether it came to its end before. */
static bool run_and_kill(const char *arguments, int after_ms)
{
	pid_t pid = fork();
	int status = 0;

	if (pid == 0) {
		char command[256];
		if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
			_exit(98);
		snprintf(command, sizeof command, "exec $P %s", arguments);
		setenv("P", outside_program, 1);
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	assert_true(pid > 0);
	usleep((useconds_t)after_ms * 1000);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What was there is still there, in the same place. */
static void assert_begins_with_what_it_had(size_t rows_before)
{
	assert_true(outside_rows("killed") >= rows_before);
	if (rows_before > 0)
		assert_int_equal(outside_run("cmp -n $(stat -c %%s had) had killed/rows.jsonl"), 0);
	assert_int_equal(outside_run("head -n %zu killed/rows.jsonl >had", outside_rows("killed")),
			 0);
}

static void run_killed_at_any_moment_keeps_its_rows(void **state)
{
	unsigned random = (unsigned)clock_now_ns();
	size_t had = 0;
	bool ended = false;
	int tries = 0;

	(void)state;
	print_message("seed %u\n", random);
	for (; !ended && tries < 60; tries++) {
		int after_ms = 5 + rand_r(&random) % 400;
		if (access("killed/run.json", F_OK) == 0) {
			ended = run_and_kill("run --resume killed", after_ms);
			assert_begins_with_what_it_had(had);
			had = outside_rows("killed");
		} else {
			assert_int_equal(outside_run("rm -rf killed"), 0);
			ended = run_and_kill(RUN "killed", after_ms * (1 + tries / 8));
		}
	}
	assert_int_equal(/* a child that had not become a cell when its parent died holds the lock for a moment */
			 outside_run(
				 "while ! flock -n killed/rows.jsonl true; do sleep 0.02; done"),
			 0);
	assert_outside("run --resume killed", 0, "0 failed");
	assert_each_place_once("killed");
}

static void row_cut_short_is_measured_again(void **state)
{
	(void)state;
	assert_int_equal(outside_run("mkdir cut && cp whole/run.json cut && "
				     "head -n 9 whole/rows.jsonl >cut/rows.jsonl && "
				     "sed -n 10p whole/rows.jsonl | head -c 99 >>cut/rows.jsonl"),
			 0);
	assert_outside("compare cut whole --all-rounds", 0, "cut short"); /* however disturbed */
	assert_outside("run --resume cut", 0, "the last row is cut short: removed");
	assert_each_place_once("cut");
	assert_int_equal(outside_run("grep -q '\"resumed\": true' cut/run.json"), 0);
	assert_int_equal(outside_run("head -n 9 whole/rows.jsonl >nine && "
				     "cmp -n $(stat -c %%s nine) nine cut/rows.jsonl"),
			 0);
}

static void alien_row_is_refused_with_its_line_and_left_alone(void **state)
{
	(void)state;
	assert_int_equal(outside_run("cp -r whole alien && sed -i '4s/.*/{\"schema\":1}/' "
				     "alien/rows.jsonl && cp alien/rows.jsonl alien-before"),
			 0);
	assert_outside("run --resume alien", 2, "alien/rows.jsonl:4: \"schema\"");
	assert_outside("compare alien whole", 2, "rows.jsonl:4:");
	assert_int_equal(outside_run("printf 'abc\\n' >>alien/rows.jsonl && "
				     "sed -i 4d alien/rows.jsonl"),
			 0);
	assert_outside("run --resume alien", 2, "not JSON");
	assert_int_equal(outside_run("cp alien-before alien/rows.jsonl && "
				     "printf '\\0\\n' | cat - whole/rows.jsonl >alien/rows.jsonl"),
			 0);
	assert_outside("run --resume alien", 2, "rows.jsonl:1: not text");
	assert_int_equal(outside_run("echo '{\"schema\":2,' >alien/run.json"), 0);
	assert_outside("run --resume alien", 2, "run.json: line");
	assert_int_equal(outside_run("echo '{\"schema\":1}' >alien/run.json"), 0);
	assert_outside("run --resume alien", 2, "not a run of this version");
}

/* A limit of the file's size stands for a disk that fills: the write fails, or writes a part. */
static void full_disk_keeps_whole_rows(void **state)
{
	(void)state;
	assert_int_equal(outside_run("prlimit --fsize=" FILE_LIMIT " $P " LOOP "full 2>&1"), 4);
	assert_non_null(strstr(outside_said, "full: cannot append a row"));
	assert_non_null(strstr(outside_said, "go on with: poolbench run --resume full"));
	assert_true(outside_rows("full") > 0 && outside_rows("full") < LOOP_ROWS);
	assert_int_equal(outside_run("tail -c 1 full/rows.jsonl | od -An -c | grep -q '.n' && "
				     "cp full/rows.jsonl full-before"),
			 0);
	assert_int_equal(outside_run("prlimit --fsize=" FILE_LIMIT " $P run --resume full 2>&1"),
			 4);
	assert_int_equal(outside_run("cmp -n $(stat -c %%s full-before) full-before "
				     "full/rows.jsonl"),
			 0); /* a shorter row may have fitted */
	assert_true(outside_rows("full") < LOOP_ROWS);
	assert_outside("run --resume full", 0, "0 failed");
	assert_places("full", LOOP_ROWS);
	assert_int_equal(outside_run("cmp -n $(stat -c %%s full-before) full-before "
				     "full/rows.jsonl"),
			 0);
}

/* The same on a file system that is really full, where this user may mount one. */
static void full_file_system_keeps_whole_rows(void **state)
{
	int status;

	(void)state;
	status = outside_run("mkdir -p disk && unshare -rm sh -c '"
			     "mount -t tmpfs -o size=16k none disk 2>/dev/null || exit 77; "
			     "$P " RUN "disk/run 2>&1; status=$?; cp -r disk/run tiny; "
			     "exit $status' 2>&1 || exit $?");
	if (status == 77 || strstr(outside_said, "unshare") != NULL)
		skip();
	assert_int_equal(status, 4);
	assert_non_null(strstr(outside_said, "No space left on device"));
	assert_outside("run --resume tiny", 0, "0 failed");
	assert_each_place_once("tiny");
}

static void directory_without_room_for_run_json_is_an_error_before(void **state)
{
	(void)state;
	assert_int_equal(outside_run("prlimit --fsize=100 sh -c 'trap \"\" XFSZ; exec $P " RUN
				     "none' 2>&1"),
			 4);
	assert_non_null(strstr(outside_said, "none/run.json: cannot write this file"));
	assert_int_equal(access("none/run.json", F_OK), -1);
	assert_int_equal(rmdir("none"), 0); /* nothing is left in it: it can be given again */
}

static void report_without_room_says_so(void **state)
{
	(void)state;
	assert_int_equal(
		outside_run("cp -r whole crammed && rm -f crammed/summary.md && "
			    "prlimit --fsize=100 sh -c 'trap \"\" XFSZ; exec $P report crammed' "
			    "2>&1"),
		4);
	assert_non_null(strstr(outside_said, "File too large"));
	assert_int_equal(access("crammed/summary.md", F_OK), -1);
}

/* Nothing is computed from the wall clock: rows of the far past and future are like others. */
static void wall_clock_that_was_set_changes_nothing(void **state)
{
	(void)state;
	assert_int_equal(outside_run("mkdir clock && cp whole/run.json clock && "
				     "head -n 12 whole/rows.jsonl | "
				     "sed '1~2s/\"start_ms\":[0-9]*/\"start_ms\":-5000/;"
				     "2~2s/\"start_ms\":[0-9]*/\"start_ms\":99999999999999/' "
				     ">clock/rows.jsonl"),
			 0);
	assert_outside("run --resume clock", 0, "0 failed");
	assert_each_place_once("clock");
}

static void results_that_cannot_be_printed_are_an_error(void **state)
{
	(void)state;
	assert_int_equal(outside_run("$P list 2>&1 >/dev/full"), 4);
	assert_non_null(strstr(outside_said, "stdout"));
	assert_int_equal(outside_run("$P compare whole whole --all-rounds 2>&1 >/dev/full"), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_run_resumed_measures_nothing),
		cmocka_unit_test(inputs_are_the_same_where_no_seed_is_given),
		cmocka_unit_test(run_is_resumed_by_its_own_program_alone),
		cmocka_unit_test(run_killed_at_any_moment_keeps_its_rows),
		cmocka_unit_test(row_cut_short_is_measured_again),
		cmocka_unit_test(alien_row_is_refused_with_its_line_and_left_alone),
		cmocka_unit_test(full_disk_keeps_whole_rows),
		cmocka_unit_test(full_file_system_keeps_whole_rows),
		cmocka_unit_test(directory_without_room_for_run_json_is_an_error_before),
		cmocka_unit_test(report_without_room_says_so),
		cmocka_unit_test(wall_clock_that_was_set_changes_nothing),
		cmocka_unit_test(results_that_cannot_be_printed_are_an_error),
	};

	alarm(900);
	return cmocka_run_group_tests(tests, outside_prepare, outside_clean);
}
