/*
 * test_report.c - what is derived from rows whose truth is known, and the page made of them.
 */
#include "harness/html.h"
#include "harness/plot.h"
#include "harness/report.h"
#include "harness/series.h"
#include "harness/tests/derived.h"

#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <sys/resource.h>

static void real_choice_names_the_faster_pool_and_the_loss(void **state)
{
	struct fixture *f = *state;
	const char *loads[] = { "primes", "skew" };
	const double ns[] = { 600, 1200 };

	for (int i = 0; i < 2; i++) {
		struct cell loop = cell_of("real", "loop", "map", loads[i]);
		struct cell pool = cell_of("real", process_pool(), "map", loads[i]);
		add(f, &loop, 1000, 1000);
		add(f, &pool, ns[i], 1000);
	}
	derive(f, "real");
	const char *table = read_file(f, "tables/real-choice.tsv");
	near(number_at(table, "primes", 2), 1 / 0.6);
	assert_contains(table, "\tyes\n");
	assert_contains(table, "\tno\n");
	assert_contains(f->finding, "slower for skew");
}

static void real_loss_needs_enough_rounds(void **state)
{
	struct fixture *f = *state;
	struct cell loop = cell_of("real", "loop", "map", "primes");
	struct cell pool = cell_of("real", process_pool(), "map", "primes");

	add(f, &loop, 1000, 1000);
	add(f, &pool, 2000, 1000);
	f->rows.at[1] = f->rows.at[ROUNDS]; /* of both the first round only */
	f->rows.count = 2;
	derive(f, "real");
	assert_contains(read_file(f, "tables/real-choice.tsv"), "too few rounds");
	assert_null(strstr(f->finding, "slower for"));
	assert_contains(f->finding, "The rows do not tell whether");
	assert_contains(f->finding, "it takes 6");
	assert_null(strstr(f->finding, "0 of 1"));
}

/* primes, then skew; each twice as fast by the pool as by the loop. */
static void add_two_loads(struct fixture *f)
{
	const char *loads[] = { "primes", "skew" };

	for (int i = 0; i < 2; i++) {
		struct cell loop = cell_of("real", "loop", "map", loads[i]);
		struct cell pool = cell_of("real", process_pool(), "map", loads[i]);
		add(f, &loop, 1000, 1000);
		add(f, &pool, 500, 1000);
	}
}

/* One workload has an interval, of the other there is a round only. */
static void real_without_rounds_for_one_workload_says_of_how_many(void **state)
{
	struct fixture *f = *state;

	add_two_loads(f);
	keep_rounds(f, 1);
	derive(f, "real");
	assert_contains(f->finding, "faster than the serial loop for 1 of 2 workloads.");
	assert_contains(f->finding, "Of 1 the rows do not tell: too few rounds (it takes 6).");
}

/* Its median is the highest, and in three rounds of eight the loop was faster. */
static void real_gain_that_is_undecided_is_not_the_most(void **state)
{
	struct fixture *f = *state;

	add_two_loads(f);
	for (size_t i = 3 * ROUNDS; i < 4 * ROUNDS; i++)
		for (int k = 0; k < f->rows.at[i].samples; k++)
			f->rows.at[i].ns_per_task[k] *= f->rows.at[i].round < 3 ? 4 : 0.5;
	derive(f, "real");
	assert_contains(read_file(f, "tables/real-choice.tsv"), "\tundecided\n");
	assert_contains(f->finding,
			"for 1 of 2 workloads. Its highest median speedup is 2.00 (primes).");
}

static void real_choice_of_too_few_rounds_does_not_win_over_an_interval(void **state)
{
	struct cell loop = cell_of("real", "loop", "map", "primes");
	struct cell shm = cell_of("real", transport_row("shm"), "map", "primes");
	struct cell pipe = cell_of("real", transport_row("pipe"), "map", "primes");
	struct fixture *f = *state;

	add(f, &loop, 1000, 1000);
	add(f, &shm, 600, 1000);
	add(f, &pipe, 500, 1000);
	keep_rounds(f, 2);
	derive(f, "real");
	near(number_at(read_file(f, "tables/real-choice.tsv"), "primes", 2), 1 / 0.6);
}

static void findings_without_enough_rows_say_so(void **state)
{
	struct fixture *f = *state;
	struct cell cell;

	for (unsigned i = 0; experiment_at(i); i++) {
		cell = cell_of(experiment_at(i)->name, "forked", "map", "noop");
		add(f, &cell, 10, 0);
		derive(f, experiment_at(i)->name);
		assert_true(strlen(f->finding) > 20);
		assert_null(strstr(f->finding, "On this machine"));
	}
}

/* Fails where two columns of the table have one name: who reads it by name would take the first for both. */
static void assert_columns_differ(struct fixture *f, const char *path)
{
	char header[512], seen[600] = "\t", *rest = header, *name;

	snprintf(header, sizeof header, "%s", read_file(f, path + strlen(f->run) + 1));
	header[strcspn(header, "\n")] = '\0';
	while ((name = strsep(&rest, "\t")) != NULL) {
		char wanted[64];
		snprintf(wanted, sizeof wanted, "\t%s\t", name);
		if (strstr(seen, wanted) != NULL)
			fail_msg("%s: two columns are named %s", path, name);
		strcat(seen, wanted + 1);
	}
}

static void columns_of_a_table_have_names_of_their_own(void **state)
{
	struct fixture *f = *state;
	char pattern[128];
	glob_t found;

	for (unsigned i = 0; experiment_at(i); i++) {
		struct cell cell = cell_of(experiment_at(i)->name, "forked", "map", "noop");
		add(f, &cell, 10, 0);
		derive(f, experiment_at(i)->name);
	}
	snprintf(pattern, sizeof pattern, "%s/tables/*.tsv", f->run);
	assert_int_equal(glob(pattern, 0, NULL, &found), 0);
	assert_true(found.gl_pathc > 20);
	for (size_t i = 0; i < found.gl_pathc; i++)
		assert_columns_differ(f, found.gl_pathv[i]);
	globfree(&found);
}

static void rows_that_failed_do_not_count(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("real", "loop", "map", "primes");
	struct rows own;

	add(f, &cell, 10, 10);
	f->rows.at[0].verified = false;
	strcpy(f->rows.at[1].error, "broken");
	f->rows.at[2].samples = 0;
	assert_int_equal(experiment_rows(experiment_find("real"), &f->rows, &own), 0);
	assert_int_equal(own.count, ROUNDS - 3);
	rows_free(&own);
}

static void write_real_run(struct fixture *f)
{
	write_real_rows(f, "<i>alien</i>");
	write_file(f, "run.json",
		   "{\"host\":{\"cpu_model\":\"<script>alert('x')</script> & co\",\"cpus\":2}}");
}

static void report_is_one_page_with_figures_and_escaped_data(void **state)
{
	struct fixture *f = *state;

	write_real_run(f);
	assert_int_equal(command(f, report_main, f->run), 0);
	const char *page = read_file(f, "report.html");
	assert_contains(page, "<svg");
	assert_contains(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; co");
	assert_contains(page, "&lt;i&gt;alien");
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "<i>alien"));
	assert_null(strstr(page, "src="));
	assert_null(strstr(page, f->run));
	assert_contains(read_file(f, "summary.md"), "| primes |");
}

static void report_says_columns_in_words_and_where_figures_come_from(void **state)
{
	struct fixture *f = *state;

	write_real_run(f);
	write_file(
		f, "run.json",
		"{\"host\":{\"cpu_model\":\"Some <b>CPU\",\"cpus_usable\":3,\"virtualised\":true,"
		"\"kernel\":{\"release\":\"6.1.2-distro9\"}}}");
	assert_int_equal(command(f, report_main, f->run), 0);
	const char *page = read_file(f, "report.html");
	assert_contains(page, "<th scope=\"col\">95 % from</th><th scope=\"col\">95 % to</th>");
	assert_contains(page, "<th scope=\"col\">worth it</th>");
	assert_contains(page, "<th scope=\"col\">ns per task</th>");
	assert_contains(page, "Some &lt;b&gt;CPU, 3 CPUs (virtual), Linux 6.1.2</p>");
	assert_contains(page, "<tr><td>cpus usable</td><td>3</td></tr>");
	assert_null(strstr(page, "worth_it"));
	const char *summary = read_file(f, "summary.md");
	assert_contains(summary, "| speedup | 95 % from | 95 % to | as good | worth it |\n|---|");
	assert_contains(summary, " rounds on Some \\<b\\>CPU, 3 CPUs (virtual), Linux 6.1.2.\n");
}

static void report_without_machine_says_so(void **state)
{
	struct fixture *f = *state;
	char path[128];

	write_real_run(f);
	snprintf(path, sizeof path, "%s/run.json", f->run);
	unlink(path);
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_contains(read_file(f, "summary.md"), " rounds on a machine that is not known.\n");
	assert_contains(read_file(f, "report.html"), "the machine is not known.");
}

/* Tables of another experiment, and what only begins like the name, stay out. */
static void report_shows_every_table_of_the_experiment(void **state)
{
	struct fixture *f = *state;
	char path[128];

	write_real_run(f);
	snprintf(path, sizeof path, "%s/tables", f->run);
	assert_int_equal(mkdir(path, 0777), 0);
	write_file(f, "tables/real-zebra.tsv", "a\nfirst\n");
	write_file(f, "tables/real-ape.tsv", "a\nsecond\n");
	write_file(f, "tables/really.tsv", "a\nthird\n");
	write_file(f, "tables/scaling.tsv", "a\nfourth\n");
	write_file(f, "tables/real-notes.txt", "a\nfifth\n");
	assert_int_equal(command(f, report_main, f->run), 0);
	const char *page = read_file(f, "report.html");
	const char *own = strstr(page, "tables/real.tsv"),
		   *ape = strstr(page, "tables/real-ape.tsv");
	const char *zebra = strstr(page, "tables/real-zebra.tsv");
	assert_true(own && ape && zebra && own < ape && ape < zebra);
	assert_contains(page, "first");
	assert_contains(page, "second");
	assert_null(strstr(page, "third"));
	assert_null(strstr(page, "fourth"));
	assert_null(strstr(page, "fifth"));
}

static void plot_draws_both_kinds_of_figure(void **state)
{
	struct fixture *f = *state;

	write_real_run(f);
	assert_int_equal(command(f, plot_main, f->run), 0);
	assert_contains(read_file(f, "plots/real.svg"), "</svg>");
	assert_memory_equal(read_file(f, "plots/real.png"), "\x89PNG", 4);
}

/* A limit of the file's size stands for a disk that is full: no table is cut short, the old ones stay. */
static void table_that_does_not_fit_is_left_as_it_was(void **state)
{
	struct rlimit limit, small;
	struct fixture *f = *state;
	char *before, said[256];

	write_real_run(f);
	assert_int_equal(command(f, plot_main, f->run), 0);
	before = strdup(read_file(f, "tables/real.tsv"));
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	small = (struct rlimit){ 64, limit.rlim_max };
	assert_true(strlen(before) > small.rlim_cur);
	signal(SIGXFSZ, SIG_IGN);
	add(f,
	    &(struct cell){
		    .experiment = "real", .backend = "loop", .variant = "map", .workload = "skew" },
	    1000, 1000);
	write_rows(f);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	struct derivation d = { .run = f->run, .rows = &f->rows };
	int rc = attempts_derive(experiment_find("real"), &d);
	snprintf(said, sizeof said, "%s", strerror(-rc));
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_string_equal(said, strerror(EFBIG));
	assert_string_equal(read_file(f, "tables/real.tsv"), before);
	free(before);
	assert_false(exists(f, "tables/real.tsv.new"));
}

/* Too few rounds for an interval, and only one of the panels has rows, or (peers) nobody who is in the figure. */
static void figure_without_intervals_is_drawn(void **state)
{
	struct fixture *f = *state;
	struct cell cell = cell_of("order", process_pool(), "imap", "straggler");
	struct cell alone = cell_of("peers", "raw-spin", "map", "noop");

	add(f, &alone, 1000, 0);
	add(f, &cell, 1000, 0);
	snprintf(cell.variant, sizeof cell.variant, "imap_unordered");
	add(f, &cell, 1000, 0);
	for (size_t i = 0; i < f->rows.count; i++) {
		f->rows.at[i].verified = f->rows.at[i].round < 4;
		f->rows.at[i].profile = 1;
		f->rows.at[i].profile_ns[0] = 1e6;
	}
	write_rows(f);
	assert_int_equal(command(f, plot_main, f->run), 0);
	assert_contains(read_file(f, "plots/order.svg"), "</svg>");
	assert_contains(read_file(f, "plots/peers.svg"), "</svg>");
}

static void missing_run_is_refused_in_one_line(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(command(f, report_main, "/nonexistent/run"), 2);
	assert_one_line(read_file(f, "stderr"));
	assert_int_equal(command(f, plot_main, "/nonexistent/run"), 2);
	assert_one_line(read_file(f, "stderr"));
}

static void corrupt_row_is_refused_with_its_number(void **state)
{
	struct fixture *f = *state;

	write_file(f, "rows.jsonl", "{\"broken\":\n{}\n");
	assert_int_equal(command(f, plot_main, f->run), 2);
	assert_contains(read_file(f, "stderr"), "1");
	assert_one_line(f->text);
}

static void corrupt_run_json_is_refused_and_no_report_appears(void **state)
{
	struct fixture *f = *state;

	write_real_run(f);
	write_file(f, "run.json", "{\n\"host\":");
	assert_int_equal(command(f, report_main, f->run), 2);
	assert_contains(read_file(f, "stderr"), "run.json: line 2: ");
	assert_one_line(f->text);
	assert_false(exists(f, "report.html"));
}

static void missing_gnuplot_is_named_in_one_line(void **state)
{
	struct fixture *f = *state;
	const char *now = getenv("PATH");
	char *path = strdup(now ? now : "");

	write_real_run(f);
	setenv("PATH", "/nonexistent", 1);
	int status = command(f, plot_main, f->run);
	setenv("PATH", path, 1);
	free(path);
	assert_int_equal(status, 2);
	assert_contains(read_file(f, "stderr"), "gnuplot");
	assert_one_line(f->text);
}

static void html_text_escapes_what_is_markup(void **state)
{
	struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/text", f->run);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	html_text(file, "a<b> & \"c\" 'd'");
	html_text(file, "\te\n\x1b[31m\001\rf");
	fclose(file);
	assert_string_equal(read_file(f, "text"),
			    "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;\te\n [31m  f");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(real_choice_names_the_faster_pool_and_the_loss),
		TEST(real_loss_needs_enough_rounds),
		TEST(real_without_rounds_for_one_workload_says_of_how_many),
		TEST(real_gain_that_is_undecided_is_not_the_most),
		TEST(real_choice_of_too_few_rounds_does_not_win_over_an_interval),
		TEST(findings_without_enough_rows_say_so),
		TEST(columns_of_a_table_have_names_of_their_own),
		TEST(rows_that_failed_do_not_count),
		TEST(report_is_one_page_with_figures_and_escaped_data),
		TEST(report_shows_every_table_of_the_experiment),
		TEST(report_says_columns_in_words_and_where_figures_come_from),
		TEST(report_without_machine_says_so),
		TEST(plot_draws_both_kinds_of_figure),
		TEST(table_that_does_not_fit_is_left_as_it_was),
		TEST(figure_without_intervals_is_drawn),
		TEST(missing_run_is_refused_in_one_line),
		TEST(corrupt_row_is_refused_with_its_number),
		TEST(corrupt_run_json_is_refused_and_no_report_appears),
		TEST(missing_gnuplot_is_named_in_one_line),
		TEST(html_text_escapes_what_is_markup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
