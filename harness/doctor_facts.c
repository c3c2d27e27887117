/*
 * doctor_facts.c - what the machine says about itself.
 */
#include "harness/doctor.h"

#include <string.h>

#define CLOCK_DEAR_NS                                                                              \
	100 /* a vDSO reading of a cycle counter takes 15 to 40 ns; a system call takes more than this */

static const char *host_text(const struct checkup *c, const char *key)
{
	return json_string_value(json_object_get(c->host, key));
}

static double host_number(const struct checkup *c, const char *key)
{
	return json_number_value(json_object_get(c->host, key));
}

static void note_cpus(struct checkup *c)
{
	int online = (int)host_number(c, "cpus_online"),
	    allowed = (int)host_number(c, "cpus_affinity");
	const char *why = NULL;

	c->cpus = (int)host_number(c, "cpus_usable");
	if (c->cpus < 2)
		why = "with one CPU no pool can be faster than the loop";
	else if (c->cpus < online)
		why = "affinity or quota keeps some CPUs from this process";
	checkup_note(c, "CPUs", why, "%d usable, %d by affinity, %d online", c->cpus, allowed,
		     online);
}

static void note_quota(struct checkup *c)
{
	const char *quota = host_text(c, "cgroup_cpu_max");
	bool none = quota == NULL || strncmp(quota, "max", 3) == 0;

	checkup_note(c, "CPU quota",
		     none ? NULL
			  : "a group that used its quota stands still for the rest of the period",
		     "%s", none ? "none" : quota);
}

static void note_frequency(struct checkup *c)
{
	const char *governor = host_text(c, "governor");

	if (governor == NULL)
		checkup_note(c, "governor", "whether the frequency follows the load is not known",
			     "not told");
	else
		checkup_note(
			c, "governor",
			strcmp(governor, "performance") == 0
				? NULL
				: "the frequency follows the load: short batches may run slower",
			"%s", governor);
}

static void note_virtualisation(struct checkup *c)
{
	const json_t *virtualised = json_object_get(c->host, "virtualised");

	if (json_is_boolean(virtualised))
		checkup_note(c, "virtualisation",
			     json_is_true(virtualised) ? "what neighbours do shows as steal, or "
							 "not at all; waking an idle CPU is dear"
						       : NULL,
			     "%s", json_is_true(virtualised) ? "a virtual machine" : "none seen");
	else
		checkup_note(c, "virtualisation", NULL, "not told");
}

static void note_clock(struct checkup *c)
{
	const char *source = host_text(c, "clock_source");
	double cost = host_number(c, "clock_ns");

	checkup_note(c, "clock",
		     cost > CLOCK_DEAR_NS
			     ? "dear to read: no latency below ten readings is published"
			     : NULL,
		     "%s, %.0f ns a reading", source ? source : "unknown source", cost);
}

static void note_load(struct checkup *c)
{
	double load = host_number(c, "load_1min");

	checkup_note(c, "load, last minute",
		     load > 0.5 * c->cpus ? "others have been using the CPUs" : NULL,
		     "%.2f on %d CPUs", load, c->cpus);
}

static void note_pages(struct checkup *c)
{
	const char *pages = host_text(c, "transparent_huge_pages");

	checkup_note(c, "huge pages",
		     pages && strcmp(pages, "always") == 0
			     ? "always: forking a large parent is cheaper than elsewhere, memory "
			       "looks larger"
			     : NULL,
		     "%s", pages ? pages : "not told");
}

void checkup_facts(struct checkup *c)
{
	note_cpus(c);
	note_quota(c);
	note_frequency(c);
	note_virtualisation(c);
	note_clock(c);
	note_load(c);
	note_pages(c);
}
