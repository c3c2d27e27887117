/*
 * test_examples.c - the example programs run on every row and say what they should; the program in
 * the head of pool.h and the first C block of the README are the example pools/examples/minimal.c.
 */
#include "pools/tests/suite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NAP_MS 100
#define TEXT_MAX 65536

/* Runs .build/VARIANT/examples/NAME; this program is .build/VARIANT/pools/tests/test_examples. */
static FILE *run_example(const char *name, const char *arguments)
{
	char self[3000] = { 0 }, command[4000];
	CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	char *end = strstr(self, "/pools/tests/");
	CHECK(end != NULL);
	*end = '\0';
	snprintf(command, sizeof command, "exec '%s/examples/%s' %s", self, name, arguments);
	FILE *output = popen(command, "r");
	CHECK(output != NULL);
	return output;
}

static double expect_line(FILE *output, const char *call, int64_t *value)
{
	char name[32] = "";
	long long number = -1;
	double at_s = -1;
	CHECK_EQ(fscanf(output, "%31s %lld %lf s", name, &number, &at_s), 3);
	CHECK(strcmp(name, call) == 0);
	CHECK(at_s >= 0);
	*value = number;
	return at_s;
}

static void expect_values(FILE *output, const char *call, const int64_t *wanted, int n)
{
	for (int i = 0; i < n; i++) {
		int64_t value = -1;
		expect_line(output, call, &value);
		CHECK_EQ(value, wanted[i]);
	}
}

static void run_tutorial(const char *name, const struct pool_backend_info *row)
{
	char arguments[200];
	int64_t value, squares = 0;
	snprintf(arguments, sizeof arguments, "'%s' %d", row->name, NAP_MS);
	FILE *output = run_example(name, arguments);
	expect_values(output, "map", (int64_t[]){ 1, 4, 9, 16 }, 4);
	expect_values(output, "apply_async", (int64_t[]){ 27 }, 1);
	expect_values(output, "starmap", (int64_t[]){ 3, 7, 11 }, 3);
	CHECK(expect_line(output, "imap", &value) >= NAP_MS / 1000.0);
	CHECK_EQ(value, 1);
	expect_values(output, "imap", (int64_t[]){ 4, 9, 16, 25 }, 4);
	for (int i = 0; i < 5; i++) {
		CHECK(expect_line(output, "imap_unordered", &value) >= NAP_MS / 1000.0);
		CHECK(value >= 1 && value <= 25);
		squares |= INT64_C(1) << value;
	}
	CHECK_EQ(squares, 1 << 1 | 1 << 4 | 1 << 9 | 1 << 16 | 1 << 25);
	CHECK_EQ(fscanf(output, " %*c"), EOF);
	CHECK_EQ(pclose(output), 0);
}

static void tutorial_prints_what_python_s_does(const struct pool_backend_info *row)
{
	run_tutorial("tutorial", row);
}

static void tutorial_runs_in_a_position_dependent_program(const struct pool_backend_info *row)
{
	run_tutorial("tutorial-nopie", row);
}

static void tutorial_unknown_backend_is_an_error(const struct pool_backend_info *row)
{
	(void)row;
	FILE *output = run_example("tutorial", "no-such-backend 2>&1 >/dev/null");
	char text[200] = "";
	CHECK(fgets(text, sizeof text, output) != NULL);
	CHECK(strstr(text, pool_strerror(POOL_NO_BACKEND)) != NULL);
	int status = pclose(output);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
}

static void failures_are_told_in_their_places(const struct pool_backend_info *row)
{
	char items[1000], wanted[3000], text[3000] = "";
	const char *failed = pool_strerror(POOL_TASK_ERROR);
	snprintf(items, sizeof items, "0: 0\n1: %s\n2: 2\n3: %s\n4: %s\n5: 5\n", failed,
		 pool_strerror(POOL_WORKER_LOST), pool_strerror(POOL_TASK_TIMEOUT));
	snprintf(wanted, sizeof wanted,
		 "map: %s\n%sfirst failure: item 1, -1 has no root\nimap\n%s", failed, items,
		 items);
	for (int tries = 0; tries < 3 && strcmp(text, wanted) != 0; tries++) { /* it has limits */
		FILE *output = run_example("failures", row->name);
		text[fread(text, 1, sizeof text - 1, output)] = '\0';
		CHECK_EQ(pclose(output), 0);
	}
	CHECK(strcmp(text, wanted) == 0);
}

static void minimal_prints_the_squares(const struct pool_backend_info *row)
{
	(void)row;
	FILE *output = run_example("minimal", "");
	int n = 0, value;
	for (; fscanf(output, "%d", &value) == 1; n++)
		CHECK_EQ(value, (n + 1) * (n + 1));
	CHECK_EQ(n, 4);
	CHECK_EQ(pclose(output), 0);
}

/* The text of a file beside this source; "" if there is none. */
static void read_source(const char *path, char text[TEXT_MAX])
{
	char name[4000];
	const char *slash = strrchr(__FILE__, '/');
	snprintf(name, sizeof name, "%.*s/%s", (int)(slash - __FILE__), __FILE__, path);
	FILE *file = fopen(name, "re");
	size_t size = file ? fread(text, 1, TEXT_MAX - 1, file) : 0;
	text[size] = '\0';
	if (file)
		fclose(file);
}

/* The program in minimal.c, without its head comment. */
static const char *minimal_program(void)
{
	static char text[TEXT_MAX];
	read_source("../examples/minimal.c", text);
	const char *program = strstr(text, "#include");
	CHECK(program != NULL);
	return program;
}

/* Takes " *" and, from lines that are not empty, a tab off each line of a comment. */
static void uncomment(const char *from, const char *end, char *to)
{
	for (; from < end; from = strchr(from, '\n') + 1) {
		from += strncmp(from, " *", 2) == 0 ? 2 : 0;
		from += *from == '\t';
		size_t length = (size_t)(strchr(from, '\n') + 1 - from);
		memcpy(to, from, length);
		to += length;
	}
	*to = '\0';
}

static void header_shows_the_minimal_program(const struct pool_backend_info *row)
{
	static char header[TEXT_MAX], shown[TEXT_MAX];
	(void)row;
	read_source("../pool.h", header);
	char *start = strstr(header, " *\t#include \"pools/pool.h\"");
	CHECK(start != NULL);
	char *end = strstr(start, "\n *\t}\n *\n * ");
	CHECK(end != NULL);
	uncomment(start, end + strlen("\n *\t}\n"), shown);
	CHECK(strcmp(shown, minimal_program()) == 0);
}

static void readme_shows_the_minimal_program(const struct pool_backend_info *row)
{
	static char readme[TEXT_MAX];
	(void)row;
	read_source("../../README.md", readme);
	char *block = strstr(readme, "```c\n");
	if (!block)
		return; /* nothing is shown, nothing is wrong */
	block += strlen("```c\n");
	char *end = strstr(block, "```\n");
	CHECK(end != NULL);
	*end = '\0';
	CHECK(strcmp(block, minimal_program()) == 0);
}

static const struct suite_case cases[] = {
	CASE(tutorial_prints_what_python_s_does, 0),
	CASE(tutorial_runs_in_a_position_dependent_program, 0),
	CASE(tutorial_unknown_backend_is_an_error, 0),
	CASE(failures_are_told_in_their_places, POOL_CAN_SURVIVE | POOL_CAN_KILL),
	CASE(minimal_prints_the_squares, 0),
	CASE(header_shows_the_minimal_program, 0),
	CASE(readme_shows_the_minimal_program, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
