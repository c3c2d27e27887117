/*
 * test_doctor.c - the checkup looks at everything it promises, and its judgement, conclusion and exit status agree.
 */
#include "harness/doctor.h"
#include "harness/host.h"
#include "harness/tests/capture.h"
#include "pools/pool.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct capture c;

/* The facts' line of that name for a machine of these facts; NULL: there is none. */
static const struct checkup_line *fact(struct checkup *checkup, const char *name, const char *host)
{
	*checkup = (struct checkup){ .host = json_loads(host, 0, NULL) };
	assert_non_null(checkup->host);
	checkup_facts(checkup);
	json_decref(checkup->host);
	for (size_t i = 0; i < checkup->lines; i++)
		if (strcmp(checkup->line[i].name, name) == 0)
			return &checkup->line[i];
	return NULL;
}

static void facts_that_spoil_a_measurement_are_minded(void **state)
{
	static const struct {
		const char *name, *good, *bad, *says;
	} facts[] = {
		{ "CPUs", "{\"cpus_online\":4,\"cpus_affinity\":4,\"cpus_usable\":4}",
		  "{\"cpus_online\":4,\"cpus_affinity\":2,\"cpus_usable\":2}", "2 usable" },
		{ "CPUs", "{\"cpus_online\":2,\"cpus_affinity\":2,\"cpus_usable\":2}",
		  "{\"cpus_online\":1,\"cpus_affinity\":1,\"cpus_usable\":1}", "1 usable" },
		{ "CPU quota", "{\"cgroup_cpu_max\":\"max 100000\"}",
		  "{\"cgroup_cpu_max\":\"150000 100000\"}", "150000 100000" },
		{ "governor", "{\"governor\":\"performance\"}", "{\"governor\":\"powersave\"}",
		  "powersave" },
		{ "governor", "{\"governor\":\"performance\"}", "{\"governor\":null}", "not told" },
		{ "virtualisation", "{\"virtualised\":false}", "{\"virtualised\":true}",
		  "a virtual machine" },
		{ "clock", "{\"clock_source\":\"tsc\",\"clock_ns\":20}",
		  "{\"clock_source\":\"hpet\",\"clock_ns\":1500}", "hpet, 1500 ns" },
		{ "load, last minute", "{\"cpus_usable\":4,\"load_1min\":0.1}",
		  "{\"cpus_usable\":4,\"load_1min\":3.5}", "3.50 on 4 CPUs" },
		{ "huge pages", "{\"transparent_huge_pages\":\"madvise\"}",
		  "{\"transparent_huge_pages\":\"always\"}", "always" },
	};
	struct checkup checkup;

	(void)state;
	for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
		const struct checkup_line *line = fact(&checkup, facts[i].name, facts[i].good);
		assert_non_null(line);
		if (line->why != NULL)
			fail_msg("%s: %s: %s", facts[i].name, line->value, line->why);
		line = fact(&checkup, facts[i].name, facts[i].bad);
		assert_non_null(line);
		if (line->why == NULL || strstr(line->value, facts[i].says) == NULL)
			fail_msg("%s: %s", facts[i].name, line->value);
	}
}

static void more_lines_than_fit_are_left_out(void **state)
{
	struct checkup checkup = { 0 };

	(void)state;
	for (int i = 0; i < CHECKUP_LINES + 3; i++)
		checkup_note(&checkup, "name", NULL, "%d", i);
	assert_int_equal(checkup.lines, CHECKUP_LINES);
}

static bool has_line(const json_t *all, const char *name)
{
	const json_t *line;
	size_t i;

	json_array_foreach(json_object_get(all, "lines"), i, line)
	{
		const json_t *why = json_object_get(line, "why");
		const char *judgement = json_string_value(json_object_get(line, "judgement"));
		assert_true(json_is_null(why) == (strcmp(judgement, "fine") == 0));
		if (strcmp(json_string_value(json_object_get(line, "name")), name) == 0)
			return true;
	}
	return false;
}

/* The one case that measures: about ten seconds. */
static void doctor_looks_at_everything_and_concludes(void **state)
{
	static const char *const names[] = { "CPUs",
					     "CPU quota",
					     "governor",
					     "virtualisation",
					     "clock",
					     "load, last minute",
					     "huge pages",
					     "others, now",
					     "steal, now",
					     "CPU pressure, now",
					     "hiccups of a busy process",
					     "wake-up, same CPU, futex",
					     "wake-up, same CPU, pipe",
					     "smallest visible effect" };
	json_t *all, *own = host_fingerprint();
	const char *conclusion, *key;
	json_t *value;

	(void)state;
	capture(&c, doctor_main, "doctor --json");
	assert_true(c.status == EXIT_FINE || c.status == EXIT_UNFIT);
	all = json_loads(c.out, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(all);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!has_line(all, names[i]))
			fail_msg("no line '%s'", names[i]);
	/* the same fingerprint as in run.json */
	json_object_foreach(own, key, value)
		assert_non_null(json_object_get(json_object_get(all, "host"), key));
	value = json_object_get(json_object_get(all, "measured"), "smallest_effect");
	assert_true(json_real_value(value) > 0 || c.status == EXIT_UNFIT);
	conclusion = json_string_value(json_object_get(all, "conclusion"));
	assert_int_equal(json_is_true(json_object_get(all, "fit")), c.status == EXIT_FINE);
	assert_true((strncmp(conclusion, "Nothing should", 14) == 0) == (c.status == EXIT_UNFIT));
	json_decref(all);
	json_decref(own);
}

static void doctor_of_wrong_arguments_is_refused(void **state)
{
	(void)state;
	assert_refuses(doctor_main, "doctor surplus", "surplus");
	assert_refuses(doctor_main, "doctor --nosuch", "nosuch");
	capture(&c, doctor_main, "doctor --help");
	assert_int_equal(c.status, EXIT_FINE);
	assert_non_null(strstr(c.out, "Usage: poolbench doctor"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_that_spoil_a_measurement_are_minded),
		cmocka_unit_test(more_lines_than_fit_are_left_out),
		cmocka_unit_test(doctor_looks_at_everything_and_concludes),
		cmocka_unit_test(doctor_of_wrong_arguments_is_refused),
	};

	pool_main(&argc, &argv);
	if (capture_is_cell(argc, argv))
		return cell_main(argc - 1, argv + 1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
