/*
 * plot.c - tables and figures of a run.
 *
 * DESIGN. An experiment derives its tables; each figure is a gnuplot script named <experiment>.gp or <experiment>-*.gp that
 * reads tables and nothing else, run once for SVG and once for PNG. Scripts are looked for from the program's own place
 * upwards: scripts/plots in a source tree, share/poolbench/plots where it was installed. Nothing goes through a
 * shell.
 */
#include "harness/plot.h"
#include "harness/attempts.h"
#include "harness/commands.h"
#include "harness/gnuplot.h"
#include "harness/machine.h"
#include "harness/versus.h"
#include "pools/pool.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const script_places[] = { "scripts/plots", "share/poolbench/plots" };

static bool try_place(const char *root, const char *place, char scripts[PATH_MAX])
{
	int size = snprintf(scripts, PATH_MAX, "%s/%s/style.gpi", root, place);

	if (size < 0 || size >= PATH_MAX || access(scripts, R_OK) < 0)
		return false;
	*strrchr(scripts, '/') = '\0';
	return true;
}

/* -ENOENT: no scripts in any directory above the program. */
static int find_scripts(char scripts[PATH_MAX])
{
	char root[PATH_MAX], *slash;
	ssize_t size = readlink("/proc/self/exe", root, sizeof root - 1);

	if (size < 0)
		return -errno;
	root[size] = '\0';
	while ((slash = strrchr(root, '/')) != NULL) {
		*slash = '\0';
		for (size_t i = 0; i < sizeof script_places / sizeof *script_places; i++)
			if (try_place(root, script_places[i], scripts))
				return 0;
	}
	return -ENOENT;
}

/* A pattern that this path alone fits. */
static void escape(const char *path, char pattern[2 * PATH_MAX])
{
	for (; *path; path++) {
		if (strchr("*?[\\", *path))
			*pattern++ = '\\';
		*pattern++ = *path;
	}
	*pattern = '\0';
}

/* The paths of an experiment's scripts; the caller frees with globfree. */
static int find_figures(const struct experiment *experiment, const char *scripts, glob_t *found)
{
	char place[2 * PATH_MAX], pattern[sizeof place + 64];

	*found = (glob_t){ 0 };
	escape(scripts, place);
	snprintf(pattern, sizeof pattern, "%s/%s.gp", place, experiment->name);
	glob(pattern, 0, NULL, found);
	snprintf(pattern, sizeof pattern, "%s/%s-*.gp", place, experiment->name);
	glob(pattern, GLOB_APPEND, NULL, found);
	return found->gl_pathc ? 0 : -ENOENT;
}

static void figure_name(const char *script, char name[64])
{
	const char *base = strrchr(script, '/') + 1;

	snprintf(name, 64, "%.*s", (int)(strlen(base) - strlen(".gp")), base);
}

int plot_figure(const struct experiment *experiment, size_t i, char name[64])
{
	char scripts[PATH_MAX];
	glob_t found;
	int rc = find_scripts(scripts);

	if (rc < 0)
		return rc;
	rc = find_figures(experiment, scripts, &found);
	if (rc == 0 && i >= found.gl_pathc)
		rc = -ENOENT;
	if (rc == 0)
		figure_name(found.gl_pathv[i], name);
	globfree(&found);
	return rc;
}

static void backend_names(char *names, size_t size)
{
	const struct pool_backend_info *info;
	size_t used = 0;

	names[0] = '\0';
	for (unsigned i = 0; (info = pool_backend_info(i)) != NULL && used < size; i++)
		used += (size_t)snprintf(names + used, size - used, "%s%s", i ? " " : "",
					 info->name);
}

/* 0, or -errno: -ENOENT means gnuplot is not installed, -EIO that it failed. */
static int run_gnuplot(const char *run, const char *scripts, const char *figure, const char *output)
{
	char style[PATH_MAX + 16], tables[PATH_MAX], names[1024], cpus[16];
	const char *kind = strrchr(output, '.') + 1;

	snprintf(style, sizeof style, "%s/style.gpi", scripts);
	snprintf(tables, sizeof tables, "%s/tables", run);
	snprintf(cpus, sizeof cpus, "%d", machine_cpus(run));
	backend_names(names, sizeof names);
	/* -d: the user's own settings are not of the figure */
	const char *argv[] = { "gnuplot", "-d", "-c",  style, figure, tables,
			       output,	  kind, names, cpus,  NULL };
	return gnuplot_run(argv);
}

static int complain(const char *command, const char *what, const char *why)
{
	fprintf(stderr, "poolbench %s: %s: %s\n", command, what, why);
	return EXIT_USAGE;
}

/* A script ends early, and nothing or an empty file is there, when its table has no point. */
static bool is_empty(const char *output)
{
	struct stat stat_of;

	return stat(output, &stat_of) < 0 || stat_of.st_size == 0;
}

bool plot_exists(const char *run, const char *name)
{
	char path[PATH_MAX];
	int size = snprintf(path, sizeof path, "%s/plots/%s.svg", run, name);

	return size > 0 && (size_t)size < sizeof path && !is_empty(path);
}

static int complain_of(const char *command, const char *output, int rc)
{
	if (rc == -ENOENT)
		return complain(command, "gnuplot", "not installed; figures need it");
	return complain(command, output, "gnuplot could not draw it");
}

/* 0, or -errno; nothing is there then, nor is it when there is no point. */
static int draw_kind(const char *run, const char *scripts, const char *script, const char *output)
{
	int rc = run_gnuplot(run, scripts, script, output);

	if (rc < 0 || is_empty(output))
		unlink(output);
	return rc;
}

static int draw(const char *command, const char *run, const char *scripts, const char *script)
{
	static const char *const kinds[] = { "svg", "png" };
	char output[2][PATH_MAX], name[64];

	figure_name(script, name);
	for (size_t i = 0; i < 2; i++) {
		int size = snprintf(output[i], sizeof output[i], "%s/plots/%s.%s", run, name,
				    kinds[i]);
		if (size < 0 || (size_t)size >= sizeof output[i])
			return complain(command, name, strerror(ENAMETOOLONG));
		/* An old one does not stay when there is no new one. */
		if (unlink(output[i]) < 0 && errno != ENOENT)
			return complain(command, output[i], strerror(errno));
	}
	for (size_t i = 0; i < 2; i++) {
		int rc = draw_kind(run, scripts, script, output[i]);
		if (rc < 0)
			return complain_of(command, output[i], rc);
		if (!is_empty(output[i]))
			continue;
		fprintf(stderr, "poolbench %s: %s: left out: the rows have no point for it\n",
			command, name);
		break;
	}
	return 0;
}

static int draw_all(const char *command, const char *run, const struct experiment *experiment)
{
	char scripts[PATH_MAX], plots[PATH_MAX];
	glob_t found;
	int rc = 0, worst = 0;

	if (find_scripts(scripts) < 0)
		return complain(command, "scripts/plots", "not found above the program");
	snprintf(plots, sizeof plots, "%s/plots", run);
	if (mkdir(plots, 0777) < 0 && errno != EEXIST)
		return complain(command, plots, strerror(errno));
	if (find_figures(experiment, scripts, &found) < 0)
		rc = complain(command, experiment->name, "no figure is named like it");
	for (size_t i = 0; rc == 0 && i < found.gl_pathc; i++) {
		int drawn = draw(command, run, scripts, found.gl_pathv[i]);
		worst = drawn ? drawn : worst; /* one bad figure does not keep the others away */
	}
	globfree(&found);
	return rc ? rc : worst;
}

int plot_experiment(const char *command, const char *run, const struct rows *all,
		    const struct experiment *experiment, char finding[FINDING_SIZE],
		    enum drawing *drawing)
{
	struct rows own, failed = { 0 };
	struct derivation d = { .rows = &own, .failed = &failed, .run = run };
	int rc = experiment_rows(experiment, all, &own);

	if (rc == 0)
		rc = experiment_failed(experiment, all, &failed);

	*drawing = rc == 0 && own.count > 0 ? DRAWN : NO_ROWS;
	if (*drawing == DRAWN)
		rc = attempts_derive(experiment, &d);
	memcpy(finding, d.finding, sizeof d.finding);
	rows_free(&own);
	rows_free(&failed);
	if (rc < 0) {
		complain(command, experiment->name, strerror(-rc));
		return exit_of(rc);
	}
	if (*drawing == DRAWN && draw_all(command, run, experiment) != 0)
		*drawing = BADLY;
	return 0;
}

/* Rows of several arms are of the same cells: together they are no series. */
static bool is_session(const struct rows *rows)
{
	for (size_t i = 0; i < rows->count; i++)
		if (rows->at[i].arm[0] != '\0')
			return true;
	return false;
}

int plot_rows(const char *command, const char *run, struct rows *rows)
{
	bool truncated = false;
	char why[400];
	int rc = rows_load(rows, run, &truncated, why, sizeof why);

	if (rc < 0) {
		rows_free(rows);
		return complain(command, run, why);
	}
	if (truncated)
		fprintf(stderr,
			"poolbench %s: %s: the last row was cut off while it was written; left "
			"out\n",
			command, run);
	if (rows->count > 0 && !is_session(rows))
		return 0;
	rc = complain(command, run,
		      rows->count ? "a session of several programs, want the run of one: of two "
				    "use poolbench compare DIR"
				  : "the run has no rows");
	rows_free(rows);
	return rc;
}

static void usage(FILE *file)
{
	fputs("Usage: poolbench plot RUN [EXPERIMENT...]\n"
	      "\n"
	      "Derives RUN/tables/*.tsv from the rows of a run and draws RUN/plots/*.svg and *.png "
	      "with\n"
	      "gnuplot; all experiments of the run, or those named. Prints the figures drawn.\n"
	      "A session of several programs is refused; of two: see `poolbench compare DIR`.\n"
	      "\n"
	      "Exit status: 0 fine, 2 the run cannot be read, has no row that counts, or a figure "
	      "cannot be "
	      "drawn,\n"
	      "4 a table or figure cannot be written.\n",
	      file);
}

static int plot_one(const char *run, const struct rows *rows, const struct experiment *experiment,
		    enum drawing *drawing)
{
	char finding[FINDING_SIZE], name[64];
	int rc = plot_experiment("plot", run, rows, experiment, finding, drawing);

	if (rc != 0 || *drawing == NO_ROWS)
		return rc;
	for (size_t i = 0; plot_figure(experiment, i, name) == 0; i++)
		if (plot_exists(run, name))
			printf("%s/plots/%s.svg\n", run, name);
	return *drawing == BADLY ? EXIT_USAGE : 0;
}

static int plot_name(const char *run, const struct rows *rows, const char *name)
{
	const struct experiment *experiment = experiment_find(name);
	enum drawing drawing;
	int rc;

	if (!experiment)
		return complain("plot", name, "no such experiment; `poolbench list` names them");
	rc = plot_one(run, rows, experiment, &drawing);
	if (rc == 0 && drawing == NO_ROWS)
		return complain("plot", name, "the run has no good rows of it");
	return rc;
}

/* One that cannot be drawn does not keep the others away, here and below. */
static int plot_named(const char *run, const struct rows *rows, char **names)
{
	int worst = 0;

	for (; *names != NULL; names++) {
		int rc = plot_name(run, rows, *names);
		worst = rc ? rc : worst;
	}
	return worst;
}

static int plot_all(const char *run, const struct rows *rows)
{
	const struct experiment *experiment;
	bool any = false;
	int worst = 0;

	for (unsigned i = 0; (experiment = experiment_at(i)) != NULL; i++) {
		enum drawing drawing;
		int rc = plot_one(run, rows, experiment, &drawing);
		worst = rc ? rc : worst;
		any = any || drawing != NO_ROWS;
	}
	return worst || any ? worst : complain("plot", run, PLOT_NO_ROW_COUNTS);
}

int plot_main(int argc, char **argv)
{
	struct rows rows = { 0 };
	int rc;

	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		usage(stdout);
		return EXIT_FINE;
	}
	if (argc < 2 || argv[1][0] == '-')
		return complain("plot", argc < 2 ? "RUN" : argv[1],
				"a run's directory is wanted; see --help");
	rc = plot_rows("plot", argv[1], &rows);
	if (rc != 0)
		return rc;
	rc = argc > 2 ? plot_named(argv[1], &rows, argv + 2) : plot_all(argv[1], &rows);
	rows_free(&rows);
	return rc;
}
