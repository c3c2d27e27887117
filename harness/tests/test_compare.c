/*
 * test_compare.c - `poolbench compare` on rows that are written here: each verdict, each reason to have none, exit statuses.
 */
#include "harness/rerun.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "harness/tests/capture.h"

static char place[] = "/tmp/test_compare-XXXXXX";
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
	bool precision, session, no_host;
	double factor_later; /* a session: of light's times in B in as many further rounds; 0: there are none */
};

static FILE *open_file(const char *run, const char *name)
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

static void write_row(FILE *file, const struct run *run, const char *arm, int round, bool light,
		      double factor)
{
	double ns = light ? 100 * factor : 1000;
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
		.verified = !(light && round < run->failed),
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

static void write_rows(const struct run *run)
{
	FILE *file = open_file(run->name, "rows.jsonl");

	for (int round = 0; round < run->rounds; round++)
		for (int light = 0; light < 2; light++) {
			write_row(file, run, run->session ? "A" : "", round, light,
				  run->session ? 1 : run->factor);
			if (!run->session)
				continue;
			write_row(file, run, "A2", round, light, 1);
			write_row(file, run, "B", round, light, run->factor);
		}
	for (int round = CONFIRM_ROUND;
	     run->factor_later > 0 && round < CONFIRM_ROUND + run->rounds; round++) {
		write_row(file, run, "A", round, true, 1);
		write_row(file, run, "A2", round, true, 1);
		write_row(file, run, "B", round, true, run->factor_later);
	}
	fclose(file);
}

static void write_run(struct run run)
{
	FILE *file = open_file(run.name, "run.json");
	json_t *info;

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
static int compare(const char *arguments)
{
	char line[1024];

	snprintf(line, sizeof line, "compare %s --csv", arguments);
	capture(&said, compare_main, line);
	return said.status;
}

/* The line of the light or the heavy cell. */
static const char *line_of(const char *work)
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

static void assert_verdict(const char *work, const char *verdict)
{
	const char *line = line_of(work);

	if (strncmp(line, verdict, strlen(verdict)) != 0 || line[strlen(verdict)] != ',')
		fail_msg("want %s: %s\n%s", verdict, line, said.error);
}

static void assert_status(int status)
{
	if (said.status != status)
		fail_msg("status %d, want %d: %s%s", said.status, status, said.out, said.error);
}

/*
 * == Two runs ==
 */

static void runs_that_differ_without_a_floor_have_no_verdict_of_it(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	compare("a b");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
	assert_verdict("100", "EQUIVALENT");
	assert_non_null(strstr(line_of("10"), "no floor is known"));
	assert_non_null(strstr(said.error, "different sessions"));
}

static void runs_with_a_floor_show_what_is_beyond_it(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	compare("a b --floor 5");
	assert_status(EXIT_BAD);
	assert_verdict("10", "REGRESSION");
	assert_verdict("100", "INCONCLUSIVE"); /* two sessions may differ by more than 3 % */
	compare("a b --floor 1");
	assert_status(EXIT_BAD);
	assert_verdict("100", "EQUIVALENT");
	assert_true(strstr(said.out, " work=10,") < strstr(said.out, " work=100,"));
	compare("b a --floor 5%");
	assert_status(EXIT_FINE);
	assert_verdict("10", "IMPROVEMENT");
	compare("a b --floor 60");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
}

static void floor_of_other_runs_is_what_they_differ_from_the_baseline(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	write_run((struct run){ .name = "near", .factor = 1.04 });
	write_run((struct run){ .name = "far", .factor = 1.7 });
	write_run((struct run){ .name = "alien", .digest = "cd34" });
	compare("a b --floor-from near");
	assert_status(EXIT_BAD);
	assert_verdict("10", "REGRESSION");
	assert_non_null(strstr(said.error, "floor"));
	compare("a b --floor-from near --floor-from far");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
	compare("a b --floor-from alien");
	assert_status(EXIT_USAGE);
	assert_non_null(strstr(said.error, "another program"));
	compare("a b --floor-from a");
	assert_status(EXIT_USAGE);
	assert_non_null(strstr(said.error, "want another run"));
}

static void runs_that_are_not_alike_are_not_comparable(void **state)
{
	static const struct {
		struct run a, other;
		const char *why;
	} cases[] = {
		{ { .cpus = 2 }, { .cpus = 4 }, "cpus_online" },
		{ { .no_host = true }, { .no_host = true }, "unknown machine" },
		{ { .batch_ns = 50000000 },
		  { .batch_ns = 10000000 },
		  "batches of 50 ms in A and of 10 ms in B" },
		{ { .precision = false }, { .precision = true }, "exploratory" },
		{ { .input_seed = 1 },
		  { .input_seed = 5 },
		  "inputs of seed 1 in A and of seed 5 in B" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct run a = cases[i].a, other = cases[i].other;
		a.name = "a";
		other.name = "other";
		write_run(a);
		write_run(other);
		compare("a other --floor 2");
		assert_status(EXIT_INCONCLUSIVE);
		assert_verdict("10", "NOT COMPARABLE");
		assert_verdict("100", "NOT COMPARABLE");
		assert_non_null(strstr(line_of("10"), cases[i].why));
	}
}

static void run_with_wrong_results_is_not_comparable(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "wrong", .failed = 1 });
	compare("a wrong");
	assert_status(EXIT_BAD);
	assert_verdict("10", "NOT COMPARABLE");
	assert_verdict("100", "EQUIVALENT");
	assert_non_null(strstr(line_of("10"), "B failed: wrong result, item 3"));
	compare("wrong a");
	assert_status(EXIT_FINE);
	assert_verdict("10", "NOT COMPARABLE");
}

static void disturbed_rounds_are_left_out_and_counted(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "some", .disturbed = 2 });
	write_run((struct run){ .name = "many", .disturbed = 5 });
	compare("a some");
	assert_status(EXIT_FINE);
	assert_verdict("10", "EQUIVALENT");
	assert_non_null(strstr(said.error, "B: 2 of 12 rounds left out"));
	assert_non_null(strstr(said.error, "steal 2"));
	assert_non_null(strstr(line_of("10"), ",10,2,"));
	compare("a many");
	assert_status(EXIT_INCONCLUSIVE);
	assert_verdict("100", "NOT COMPARABLE");
	compare("a many --all-rounds");
	assert_status(EXIT_FINE);
	assert_verdict("100", "EQUIVALENT");
}

static void runs_without_a_common_cell_are_inconclusive(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "else", .experiment = "scaling" });
	compare("a else");
	assert_status(EXIT_INCONCLUSIVE);
	assert_non_null(strstr(said.error, "2 only in A, 2 only in B"));
	write_run((struct run){ .name = "short", .rounds = 4 });
	compare("a short");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
	assert_non_null(strstr(line_of("10"), "too few rounds"));
}

static void table_names_what_it_shows(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "b", .factor = 1.5 });
	capture(&said, compare_main, "compare a b --floor 3");
	assert_status(EXIT_BAD);
	assert_memory_equal(said.out, "verdict ", 8);
	assert_non_null(strstr(said.out, "\nREGRESSION "));
	assert_non_null(strstr(said.out, "overhead: shm map spin"));
	assert_non_null(strstr(said.error, "1 REGRESSION, 0 NOT COMPARABLE"));
}

static void names_with_commas_and_quotes_are_quoted_in_csv(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a", .workload = "sq,\"x", .experiment = "o,h" });
	compare("a a");
	assert_status(EXIT_FINE);
	assert_non_null(strstr(said.out, "\nEQUIVALENT,\"o,h\",\"shm map sq,\"\"x n=1000 "));
	assert_non_null(strstr(said.out, " work=10\","));
}

/*
 * == A session of two programs ==
 */

static void session_confirmed_is_a_regression(void **state)
{
	(void)state;
	write_run((struct run){ .name = "s", .session = true, .factor = 1.2, .factor_later = 1.2 });
	compare("s");
	assert_status(EXIT_BAD);
	assert_verdict("10", "REGRESSION");
	assert_verdict("100", "EQUIVALENT");
}

static void session_not_confirmed_is_inconclusive(void **state)
{
	(void)state;
	write_run((struct run){ .name = "s", .session = true, .factor = 1.2, .factor_later = 1 });
	compare("s");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
	assert_non_null(strstr(line_of("10"), "REGRESSION in 12 rounds, not confirmed by 12 more"));
	write_run((struct run){ .name = "s", .session = true, .factor = 1.2 });
	compare("s");
	assert_status(EXIT_FINE);
	assert_non_null(strstr(line_of("10"), "not measured again"));
}

static void session_floor_given_replaces_the_measured_one(void **state)
{
	(void)state;
	write_run((struct run){ .name = "s", .session = true, .factor = 1.2, .factor_later = 1.2 });
	compare("s --floor 25");
	assert_status(EXIT_FINE);
	assert_verdict("10", "INCONCLUSIVE");
}

static void arguments_that_do_not_go_together_are_refused(void **state)
{
	(void)state;
	write_run((struct run){ .name = "a" });
	write_run((struct run){ .name = "s", .session = true });
	assert_refuses(compare_main, "compare", "two run directories");
	assert_refuses(compare_main, "compare a b c", "two run directories");
	assert_refuses(compare_main, "compare a", "no session");
	assert_refuses(compare_main, "compare a s", "session of two programs");
	assert_refuses(compare_main, "compare a nowhere", "rows.jsonl");
	assert_refuses(compare_main, "compare a a --floor x", "per cent");
	assert_refuses(compare_main, "compare a a --floor -1", "per cent");
	assert_refuses(compare_main, "compare a a --floor 2 --floor-from a", "not both");
	assert_refuses(compare_main, "compare s --floor-from a", "two runs");
	assert_refuses(compare_main, "compare a a --rounds 9", "--rerun");
	assert_refuses(compare_main, "compare --rerun a", "two poolbench programs");
	assert_refuses(compare_main, "compare --rerun a a --rounds 0", "--rounds");
	assert_refuses(compare_main, "compare --rerun a a --rounds 257", "256");
	assert_refuses(compare_main, "compare --rerun a a --budget 5", "90s");
	assert_refuses(compare_main, "compare --rerun a a --rounds 5 --budget 5s", "not both");
	assert_refuses(compare_main, "compare --rerun a a --experiment nosuch", "nosuch");
	assert_refuses(compare_main, "compare --rerun a a --experiment scaling --cells nosuch",
		       "nosuch");
	assert_refuses(compare_main, "compare --rerun a a --experiment scaling", "not a file");
	assert_refuses(compare_main, "compare --rerun /bin/true a --experiment scaling",
		       "--version");
}

static int prepare(void **state)
{
	(void)state;
	return mkdtemp(place) != NULL ? chdir(place) : -1;
}

static int clean(void **state)
{
	char command[256];

	(void)state;
	snprintf(command, sizeof command, "rm -r %s", place);
	return chdir("/") == 0 ? system(command) : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_that_differ_without_a_floor_have_no_verdict_of_it),
		cmocka_unit_test(runs_with_a_floor_show_what_is_beyond_it),
		cmocka_unit_test(floor_of_other_runs_is_what_they_differ_from_the_baseline),
		cmocka_unit_test(runs_that_are_not_alike_are_not_comparable),
		cmocka_unit_test(run_with_wrong_results_is_not_comparable),
		cmocka_unit_test(disturbed_rounds_are_left_out_and_counted),
		cmocka_unit_test(runs_without_a_common_cell_are_inconclusive),
		cmocka_unit_test(table_names_what_it_shows),
		cmocka_unit_test(names_with_commas_and_quotes_are_quoted_in_csv),
		cmocka_unit_test(session_confirmed_is_a_regression),
		cmocka_unit_test(session_not_confirmed_is_inconclusive),
		cmocka_unit_test(session_floor_given_replaces_the_measured_one),
		cmocka_unit_test(arguments_that_do_not_go_together_are_refused),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, prepare, clean);
}
