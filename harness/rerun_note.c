/*
 * rerun_note.c - what a session's run.json says of how it was judged, and whether its programs stayed as they were.
 *
 * DESIGN. "changed" is null while it is measured: not known. Only when the programs were looked at afterwards does it become
 * false, or the arm that was written to. So a session that was killed, or whose disk was full at its end, is never
 * taken for one that is all right.
 */
#include "harness/commands.h"
#include "harness/program.h"
#include "harness/rerun.h"
#include "harness/run_dir.h"

#include <errno.h>

static json_t *describe_judging(const struct judging *judging)
{
	if (judging->floor < 0)
		return json_pack("{sb}", "all_rounds", judging->all_rounds);
	return json_pack("{sb sf}", "all_rounds", judging->all_rounds, "floor", judging->floor);
}

int rerun_note_begin(const struct run_dir *dir, const struct judging *judging)
{
	int rc = run_dir_note(dir, "judging", describe_judging(judging));

	return rc ? rc : run_dir_note(dir, "changed", json_null());
}

static int refuse_changed(const char *directory, const char *arm)
{
	fprintf(stderr,
		"poolbench: %s: program %s was written to while it was measured: no verdict\n",
		directory, arm);
	return EXIT_INCONCLUSIVE;
}

int rerun_note_end(const struct run_dir *dir, const struct program *programs, bool *changed)
{
	const char *arm = program_changed(&programs[0])	  ? ARM_BASELINE
			  : program_changed(&programs[1]) ? ARM_CANDIDATE
							  : NULL;
	int rc = run_dir_note(dir, "changed", arm ? json_string(arm) : json_false());

	*changed = arm != NULL;
	if (arm != NULL)
		refuse_changed(dir->path, arm);
	return rc;
}

/* Sessions from before "changed" was noted at the beginning have it only if there was a change. */
static int check_changed(const char *directory, const json_t *info)
{
	const json_t *changed = json_object_get(info, "changed");

	if (json_is_string(changed))
		return refuse_changed(directory, json_string_value(changed));
	if (changed == NULL || json_is_false(changed))
		return 0;
	fprintf(stderr,
		"poolbench: %s: it did not come to its end, so whether its programs stayed as they "
		"were is not known: no verdict\n",
		directory);
	return EXIT_INCONCLUSIVE;
}

int rerun_judged(struct judging *judging, const char *directory, const json_t *info)
{
	const json_t *was = json_object_get(info, "judging"),
		     *floor = json_object_get(was, "floor");
	bool all_rounds = json_is_true(json_object_get(was, "all_rounds"));
	int status = check_changed(directory, info);

	if (status != 0)
		return status;
	if (floor && !(json_is_number(floor) && json_number_value(floor) >= 0)) {
		fprintf(stderr, "poolbench: %s/run.json: \"floor\": want a number, not negative\n",
			directory);
		return EXIT_USAGE;
	}
	if (floor && judging->floor < 0) {
		judging->floor = json_number_value(floor);
		fprintf(stderr, "poolbench: the floor is the one it was measured with, %g %%\n",
			100 * judging->floor);
	}
	if (all_rounds && !judging->all_rounds)
		fprintf(stderr, "poolbench: no round is left out, as when it was measured\n");
	judging->all_rounds |= all_rounds;
	return 0;
}
