/*
 * test_figures.c - a report of a run without points for a figure, and of one whose figures cannot be drawn.
 */
#include "harness/html.h"
#include "harness/plot.h"
#include "harness/report.h"
#include "harness/tests/derived.h"

/* What `run --cells fork-shm` has: pools without what they are compared with. */
static void write_pools_alone(struct fixture *f)
{
	static const struct {
		const char *experiment, *workload;
	} rows[] = { { "granularity", "spin" },
		     { "real", "primes" },
		     { "scaling", "spin" },
		     { "balance", "skew" } };

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct cell cell =
			cell_of(rows[i].experiment, process_pool(), "map", rows[i].workload);
		cell.work = 100;
		add(f, &cell, 1000, 1000);
	}
	write_rows(f);
}

static void report_of_pools_alone_leaves_figures_out(void **state)
{
	static const char *const names[] = { "granularity", "real", "scaling", "balance" };
	struct fixture *f = *state;
	char text[128];

	write_pools_alone(f);
	assert_int_equal(command(f, report_main, f->run), 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(text, sizeof text, "&#8220;%s&#8221; is left out: the rows have no point",
			 names[i]);
		assert_contains(read_file(f, "report.html"), text);
		snprintf(text, sizeof text, "report: %s: left out", names[i]);
		assert_contains(read_file(f, "stderr"), text);
		snprintf(text, sizeof text, "plots/%s.svg", names[i]);
		assert_false(exists(f, text));
	}
	assert_true(exists(f, "plots/granularity-metg.svg"));
	assert_true(exists(f, "summary.md"));
}

/* Only the automatic chunk: an axis of chunks needs one. */
static void balance_of_automatic_chunks_is_drawn(void **state)
{
	struct fixture *f = *state;
	struct cell ideal = cell_of("balance", "raw-list", "map", "skew");
	struct cell pool = cell_of("balance", process_pool(), "map", "skew");

	add(f, &ideal, 1000, 1000);
	add(f, &pool, 1100, 1000);
	write_rows(f);
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_contains(read_file(f, "plots/balance.svg"), "</svg>");
}

/* As poolbench <main> RUN with a program named gnuplot in front of the real one, which fails for figures of this name. */
static int command_without(struct fixture *f, int (*main)(int, char **), const char *figure)
{
	const char *now = getenv("PATH");
	char *before = strdup(now ? now : ""), path[128], script[200];
	int status;

	snprintf(script, sizeof script,
		 "#!/bin/sh\ncase \"$*\" in *%s*) exit 1 ;; esac\nPATH=${PATH#*:}\nexec gnuplot "
		 "\"$@\"\n",
		 figure);
	write_file(f, "gnuplot", script);
	snprintf(path, sizeof path, "%s/gnuplot", f->run);
	assert_int_equal(chmod(path, 0755), 0);
	char *both = NULL;
	assert_true(asprintf(&both, "%s:%s", f->run, before) > 0);
	setenv("PATH", both, 1);
	status = command(f, main, f->run);
	setenv("PATH", before, 1);
	free(both);
	free(before);
	return status;
}

static void figure_that_cannot_be_drawn_is_missing_on_the_page(void **state)
{
	struct fixture *f = *state;
	struct cell loop = cell_of("real", "loop", "map", "primes");
	struct cell pool = cell_of("real", process_pool(), "map", "primes");

	add(f, &loop, 1000, 1000);
	add(f, &pool, 520, 1000);
	write_rows(f);
	assert_int_equal(command(f, report_main, f->run), 0);
	assert_contains(read_file(f, "report.html"), "<svg");
	assert_int_equal(command_without(f, report_main, "/real"), 2);
	assert_contains(read_file(f, "stderr"), "gnuplot could not draw it");
	assert_contains(read_file(f, "report.html"), "&#8220;real&#8221; is missing: it could not");
	assert_null(strstr(f->text, "<svg"));
	assert_contains(f->text, "certainly faster");
	assert_false(exists(f, "plots/real.svg"));
	assert_false(exists(f, "plots/real.png"));
}

static void figure_that_cannot_be_drawn_keeps_no_other_away(void **state)
{
	struct fixture *f = *state;
	struct cell ideal = cell_of("balance", "ideal", "map", "skew");
	struct cell skewed = cell_of("balance", process_pool(), "map", "skew");
	struct cell loop = cell_of("real", "loop", "map", "primes");
	struct cell pool = cell_of("real", process_pool(), "map", "primes");

	add(f, &ideal, 1000, 1000);
	add(f, &skewed, 1100, 1000);
	add(f, &loop, 1000, 1000);
	add(f, &pool, 520, 1000);
	write_rows(f);
	assert_int_equal(command_without(f, plot_main, "/balance"), 2);
	assert_contains(read_file(f, "stderr"), "gnuplot could not draw it");
	assert_false(exists(f, "plots/balance.svg"));
	assert_contains(read_file(f, "plots/real.svg"), "</svg>");
}

/* An id is one for the whole page, and gnuplot takes the same in each figure. */
static void ids_of_a_figure_on_the_page_have_its_name(void **state)
{
	struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/plots", f->run);
	assert_int_equal(mkdir(path, 0777), 0);
	write_file(f, "plots/speed.svg",
		   "<?xml?>\n<svg width='1'>\n<g id=\"canvas\"><path id='pt0' d='M1'/></g>\n"
		   "<use xlink:href='#pt0' id='pt1'/><use href=\"#pt0\" filter='url(#box)'/>\n"
		   "<a href='https://x.org/#y'>the grid='coarse'</a>\n</svg>\n");
	snprintf(path, sizeof path, "%s/page", f->run);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(html_figure(file, f->run, "speed", "alt"), 0);
	fclose(file);
	const char *page = read_file(f, "page");
	assert_contains(page, "<g id=\"speed-canvas\"><path id='speed-pt0' d='M1'/></g>\n"
			      "<use xlink:href='#speed-pt0' id='speed-pt1'/>"
			      "<use href=\"#speed-pt0\" filter='url(#speed-box)'/>\n"
			      "<a href='https://x.org/#y'>the grid='coarse'</a>\n</svg>");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(report_of_pools_alone_leaves_figures_out),
		TEST(balance_of_automatic_chunks_is_drawn),
		TEST(figure_that_cannot_be_drawn_is_missing_on_the_page),
		TEST(figure_that_cannot_be_drawn_keeps_no_other_away),
		TEST(ids_of_a_figure_on_the_page_have_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
