/*
 * test_bars.c - verdicts of bars, and the tables of `peers` from rows whose truth is known.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "harness/bars.h"
#include "harness/experiments/peers.h"
#include "harness/grid.h"
#include "harness/peer.h"
#include "pools/pool.h"

#define ROUNDS 8

static const struct demand most = { "P1", "something", "x", AT_MOST, 1.2 };
static const struct demand least = { "P2", "something else", "x", AT_LEAST, 0.9 };

static struct interval between(double low, double high)
{
	return (struct interval){ low, (low + high) / 2, high, 0.95 };
}

static void assert_verdict(const struct demand *demand, double low, double high,
			   enum verdict wanted)
{
	struct interval interval = between(low, high);

	assert_string_equal(verdict_text(bar_verdict(demand, &interval)), verdict_text(wanted));
}

static void verdict_needs_the_whole_interval_on_one_side(void **state)
{
	(void)state;
	assert_verdict(&most, 0.5, 1.2, BAR_MET);
	assert_verdict(&most, 1.1, 1.3, BAR_UNDECIDED);
	assert_verdict(&most, 1.2, 1.3, BAR_UNDECIDED);
	assert_verdict(&most, 1.21, 1.3, BAR_NOT_MET);
	assert_verdict(&least, 0.9, 1.3, BAR_MET);
	assert_verdict(&least, 0.8, 1.3, BAR_UNDECIDED);
	assert_verdict(&least, 0.5, 0.89, BAR_NOT_MET);
}

static void verdict_without_enough_rounds_is_none(void **state)
{
	struct interval few = { 1, 1, 1, 0 }, none = { 0 };

	(void)state;
	assert_int_equal(bar_verdict(&most, &few), BAR_TOO_FEW);
	assert_int_equal(bar_verdict(&most, &none), BAR_MISSING);
}

static void worse_value_decides(void **state)
{
	struct value met = { .interval = between(1.0, 1.1) };
	struct value better = { .interval = between(0.1, 0.2) };
	struct value undecided = { .interval = between(1.0, 1.3) };
	struct value missing = { .which = "missing" };
	struct value not_met = { .interval = between(1.3, 1.4) };

	(void)state;
	assert_true(bar_is_worse(&most, &met, &better));
	assert_true(bar_is_worse(&least, &better, &met));
	assert_true(bar_is_worse(&most, &missing, &met));
	assert_true(bar_is_worse(&most, &undecided, &missing));
	assert_true(bar_is_worse(&most, &not_met, &undecided));
	assert_false(bar_is_worse(&most, &met, &not_met));
}

static void peer_is_found_by_the_prefix_of_its_backend(void **state)
{
	(void)state;
	assert_string_equal(peer_find("openmp-static")->title, "OpenMP");
	assert_string_equal(peer_find("cpython-pool")->package, "python3");
	assert_null(peer_find("fork-shm"));
	assert_null(peer_find("forked"));
	assert_null(peer_find("openmp"));
}

/*
 * == Tables from rows ==
 */

struct fixture {
	char run[64];
	struct rows rows;
	char finding[FINDING_SIZE];
	char text[65536]; /* the last table read */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	strcpy(f->run, "/tmp/poolbench-bars-XXXXXX");
	*state = f;
	return mkdtemp(f->run) ? 0 : -1;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", f->run);
	rows_free(&f->rows);
	free(f);
	return system(command);
}

/* `noise`: the ratio of two arms with opposite signs is that far from its middle, now above and now below. */
static void add(struct fixture *f, const struct arm *arm, double ns, double noise)
{
	struct record record = { .cell = { .experiment = "peers",
					   .tasks = 100000,
					   .chunk = arm->chunk,
					   .workers = arm->workers ? arm->workers : PEERS_WORKERS,
					   .payload_bytes = arm->payload_bytes,
					   .parent_bytes = arm->parent_bytes,
					   .pool_memory = arm->pool_memory },
				 .verified = true,
				 .samples = 1,
				 .clock_ns = 20 };

	snprintf(record.cell.backend, sizeof record.cell.backend, "%s", arm->backend);
	snprintf(record.cell.variant, sizeof record.cell.variant, "%s", arm->variant);
	snprintf(record.cell.workload, sizeof record.cell.workload, "%s", arm->workload);
	for (record.round = 0; record.round < ROUNDS; record.round++) {
		double drift = 1 + 0.1 * record.round; /* cancels in ratios */
		record.ns_per_task[0] = ns * drift * (record.round % 2 ? 1 + noise : 1 - noise);
		record.start_ms = 1000 * record.round;
		assert_int_equal(rows_add(&f->rows, &record), 0);
	}
}

static void derive(struct fixture *f)
{
	const struct experiment *experiment = experiment_find("peers");
	struct derivation d = { .run = f->run, .rows = &f->rows };

	assert_non_null(experiment);
	assert_int_equal(attempts_derive(experiment, &d), 0);
	memcpy(f->finding, d.finding, sizeof f->finding);
}

/* The line of a table that begins with `start`, valid until the next call; NULL: there is none. */
static const char *find_line(struct fixture *f, const char *table, const char *start)
{
	char path[128], *line = f->text;

	snprintf(path, sizeof path, "%s/tables/%s.tsv", f->run, table);
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(f->text, sizeof f->text, file))
		if (strncmp(f->text, start, strlen(start)) == 0)
			break;
		else
			f->text[0] = '\0';
	fclose(file);
	return line[0] ? line : NULL;
}

static void assert_line(struct fixture *f, const char *table, const char *start, const char *part)
{
	const char *line = find_line(f, table, start);

	if (line == NULL)
		fail_msg("no line in %s begins with '%s'", table, start);
	else if (strstr(line, part) == NULL)
		fail_msg("'%s' is not in: %s", part, line);
}

static void add_maps(struct fixture *f, double noise)
{
	const char *shm = transport_row("shm");

	add(f, &(struct arm){ shm, "map", "square", .chunk = 1 }, 5, noise);
	add(f, &(struct arm){ "openmp-dynamic", "map", "square", .chunk = 1 }, 20, -noise);
	add(f, &(struct arm){ shm, "map", "square", .chunk = 16 }, 3, noise);
	add(f, &(struct arm){ "openmp-dynamic", "map", "square", .chunk = 16 }, 4, -noise);
	add(f, &(struct arm){ shm, "map", "square", .chunk = 64 }, 3, noise);
	add(f, &(struct arm){ "openmp-dynamic", "map", "square", .chunk = 64 }, 2, -noise);
}

static void bars_are_ratios_within_rounds_and_the_worst_decides(void **state)
{
	struct fixture *f = *state;

	add_maps(f, 0);
	derive(f);
	assert_line(f, "bars", "P1\t", "\t0.25\t0.25\t0.25\tx\tat most 0.333\tmet\t");
	assert_line(f, "bars", "P2\t",
		    "chunk 64\t1.5\t1.5\t1.5\tx\tat most 1\tnot met\tworst of 2, 1 met");
	assert_line(f, "bars-all",
		    "P2\tshm map, time over OpenMP dynamic at the same chunk: chunk 16\t",
		    "\t0.75\t0.75\t0.75\tx\tat most 1\tmet\t");
	assert_non_null(strstr(f->finding, "On this machine, a task of map at chunk 1 costs"));
	assert_non_null(strstr(f->finding, "not met: P2"));
}

static void limits_are_told_and_demand_nothing(void **state)
{
	struct fixture *f = *state;

	add_maps(f, 0);
	add(f, &(struct arm)COPY_ARM, 3 * COPY_SQUARES, 0);
	add(f, &(struct arm){ "openmp-dynamic", "map", "square", .chunk = 4096 }, 2, 0);
	add(f, &(struct arm){ "raw-spin", "map", "noop", .chunk = 0 }, 600, 0);
	add(f, &(struct arm){ "raw-keeper", "map", "noop", .parent_bytes = MIB }, 150, 0);
	add(f, &(struct arm){ "raw-fork", "map", "noop", .parent_bytes = MIB }, 100, 0);
	derive(f);
	assert_line(f, "bars", "P2\tcopying", "\t1.5\t1.5\t1.5\tx\t-\ta limit\traw-memcpy 4.0 ns");
	assert_line(f, "bars", "P6\traw-spin round trip", "\tns\t-\ta limit\t");
	assert_line(f, "bars", "P8\traw fork", "\t1.5\t1.5\t1.5\tx\t-\ta limit\t");
	assert_non_null(strstr(f->finding, "not measured: P3"));
	assert_null(strstr(f->finding, "a limit"));
}

static void bar_inside_the_interval_is_undecided(void **state)
{
	struct fixture *f = *state;

	add_maps(f, 0.2); /* 0.25 x 2/3 to 0.25 x 3/2 */
	derive(f);
	assert_line(f, "bars", "P1\t", "\tundecided\t");
}

static void missing_peer_is_named_with_its_package(void **state)
{
	struct fixture *f = *state;

	add_maps(f, 0);
	add(f, &(struct arm){ transport_row("shm"), "map", "square", .pool_memory = true }, 1, 0);
	derive(f);
	assert_line(f, "bars", "P3\tthe same", "\t?\t?\t?\tx\tat least 100\tnot measured\t");
	assert_line(f, "bars", "P3\tthe same", "package python3");
	assert_line(f, "peers", "CPython Pool\t", "needs package python3");
	assert_line(f, "peers", "OpenMP\tmap, chunk 1\t27\t", "\t8\tmeasured");
}

static void parents_are_compared_with_the_smallest(void **state)
{
	struct fixture *f = *state;
	const struct pool_backend_info *row;

	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		for (uint64_t mib = 1; row->can & POOL_CAN_EXEC && mib <= 512; mib *= 512)
			add(f,
			    &(struct arm){ row->name, "open", "noop", .parent_bytes = mib * MIB },
			    mib > 1 ? 1100 : 1000, 0);
	derive(f);
	assert_line(f, "bars", "P8\tvfork rows, open + close, parent of 512 MiB over 1 MiB",
		    "\t1.1\t1.1\t1.1\tx\tat most 1.2\tmet\t");
	assert_line(f, "bars", "P8\tvfork rows, open + close, parent of 8192 MiB over 1 MiB",
		    "\t?\t?\t?\tx\tat most 1.2\tnot measured\tonly with --full");
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		if (row->can & POOL_CAN_EXEC)
			add(f,
			    &(struct arm){ row->name, "open", "noop", .parent_bytes = 8192 * MIB },
			    1150, 0);
	derive(f);
	assert_line(f, "bars", "P8\tvfork rows, open + close, parent of 8192 MiB over 1 MiB",
		    "\t1.15\t1.15\t1.15\tx\tat most 1.2\tmet\t");
	assert_null(find_line(f, "bars", "P8\tvfork rows, open + close, parent of 512 MiB over"));
}

static void balance_of_rows_that_were_not_planned_is_not_met(void **state)
{
	static const char others[] = "P9\tthe same with the other rows, auto chunk";
	struct fixture *f = *state;
	const struct pool_backend_info *row;

	add(f, &(struct arm){ "raw-list", "map", "skew", .chunk = 0 }, 100, 0);
	add(f, &(struct arm){ "fork-shm", "map", "skew", .chunk = 0 }, 101, 0);
	derive(f);
	assert_line(f, "bars", others,
		    "\tat most 1.1\tnot measured\tonly with --full: fork-pipe, v");
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		if (backend_reuses(row->name) && strcmp(row->name, "fork-shm") != 0)
			add(f, &(struct arm){ row->name, "map", "skew", .chunk = 0 }, 102, 0);
	derive(f);
	assert_null(find_line(f, "bars", others));
}

static void parents_of_one_size_are_not_compared(void **state)
{
	struct fixture *f = *state;
	const struct pool_backend_info *row;

	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++)
		if (row->can & POOL_CAN_EXEC)
			add(f, &(struct arm){ row->name, "open", "noop", .parent_bytes = MIB },
			    1000, 0);
	derive(f);
	assert_line(f, "bars", "P8\tvfork rows, open + close, large parent over 1 MiB",
		    "\t?\t?\t?\tx\tat most 1.2\tnot measured\tno parent is larger");
}

static void automatic_chunk_is_no_best_chunk(void **state)
{
	static const char best[] = "P9\tskewed tasks, makespan over list scheduling, best chunk";
	struct fixture *f = *state;

	add(f, &(struct arm){ "raw-list", "map", "skew", .chunk = 0 }, 100, 0);
	add(f, &(struct arm){ transport_row("shm"), "map", "skew", .chunk = 0 }, 101, 0);
	derive(f);
	assert_line(f, "bars", best, "\t?\t?\t?\tx\tat most 1.05\tnot measured\tno fixed chunk");
	add(f, &(struct arm){ transport_row("shm"), "map", "skew", .chunk = 8 }, 102, 0);
	derive(f);
	assert_line(f, "bars", best, "chunk 8\t1.02\t1.02\t1.02\tx\tat most 1.05\tmet\t");
}

static void lazy_memory_is_judged_in_mib(void **state)
{
	struct fixture *f = *state;

	add(f, &(struct arm){ "lazy100-fork-shm", "imap", "noop", .chunk = 0 }, 100, 0);
	for (size_t i = 0; i < f->rows.count; i++)
		f->rows.at[i].max_rss_kib = 9 * 1024;
	derive(f);
	assert_line(f, "bars", "P12\t", "fork-shm\t9\t9\t9\tMiB\tat most 8\tnot met\t");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Granularities smallest_ns * 8^i; a round each: 'a' above one half at all of them, 'c' crosses at 2.2 times the smallest,
 * 'n' never reaches it. */
static void add_spin(struct fixture *f, double smallest_ns, const char *rounds)
{
	struct record record = { .cell = { .experiment = "peers",
					   .backend = "forked",
					   .variant = "map",
					   .workload = "spin",
					   .workers = PEERS_WORKERS },
				 .verified = true,
				 .samples = 1 };

	rows_free(&f->rows);
	f->rows = (struct rows){ 0 };
	for (; rounds[record.round] != '\0'; record.round++) {
		char kind = rounds[record.round];
		double ns = smallest_ns;
		strcpy(record.cell.backend, "forked");
		record.ns_per_task[0] = 500;
		record.serial_ns_per_task = 1000;
		assert_int_equal(rows_add(&f->rows, &record), 0);
		snprintf(record.cell.backend, sizeof record.cell.backend, "%s",
			 transport_row("shm"));
		for (record.cell.work = 1; record.cell.work <= 6; record.cell.work++, ns *= 8) {
			double crossing = record.cell.work == 1 ? 0.25 : 0.9;
			double efficiency = kind == 'a' ? 0.8 : kind == 'n' ? 0.3 : crossing;
			record.ns_per_task[0] = ns / PEERS_WORKERS;
			record.serial_ns_per_task = ns * efficiency;
			assert_int_equal(rows_add(&f->rows, &record), 0);
		}
	}
	derive(f);
}

static void metg_outside_of_what_was_measured_is_a_bound(void **state)
{
	static const char p7[] = "P7\tshm map, METG(50 %), auto chunk\t";
	struct fixture *f = *state;

	add_spin(f, 12, "aaacccn");
	assert_line(f, "bars", p7, "\t26.7\t0\t?\tns\tat most 50\tundecided\tcrossed; of 7 rounds");
	add_spin(f, 12, "cccccccnnnnn");
	assert_line(f, "bars", p7, "\t26.7\t26.7\t?\tns\tat most 50\tundecided\tcrossed; of 12");
	add_spin(f, 12, "aaaaaccccccc");
	assert_line(f, "bars", p7, "\t26.7\t0\t26.7\tns\tat most 50\tmet\tcrossed; of 12 rounds");
	add_spin(f, 60, "aaaaaaa");
	assert_line(f, "bars", p7, "\tat most 60\t0\t60\tns\tat most 50\tundecided\tbelow");
	add_spin(f, 40, "aaaaaaa");
	assert_line(f, "bars", p7, "\tat most 40\t0\t40\tns\tat most 50\tmet\tbelow");
	add_spin(f, 12, "nnnnnnn");
	assert_line(f, "bars", p7, "\tat least 393216\t393216\t?\tns\tat most 50\tnot met\tnot");
	add_spin(f, 0.001, "nnnnnnn");
	assert_line(f, "bars", p7, "\tat least 32.8\t32.8\t?\tns\tat most 50\tundecided\tnot");
	add_spin(f, 40, "aaa");
	assert_line(f, "bars", p7, "\tat most 40\t?\t?\tns\tat most 50\ttoo few rounds\tbelow");
}

/* Where the machine of the run has one, whatever ours has. */
static void bars_of_two_workers_take_two_cpus(void **state)
{
	static const char lacks[] = "\tnot measured\ttakes 2 CPUs";
	struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/run.json", f->run);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs("{\"host\":{\"cpus_usable\":1}}", file);
	assert_int_equal(fclose(file), 0);
	add_maps(f, 0);
	add_spin(f, 12, "ccccccc");
	assert_line(f, "bars", "P1\t", lacks);
	assert_line(f, "bars", "P4\tshm imap, chunk 1\t", lacks);
	assert_line(f, "bars", "P7\tshm map, METG(50 %), auto chunk\t", lacks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdict_needs_the_whole_interval_on_one_side),
		cmocka_unit_test(verdict_without_enough_rounds_is_none),
		cmocka_unit_test(worse_value_decides),
		cmocka_unit_test(peer_is_found_by_the_prefix_of_its_backend),
		TEST(bars_are_ratios_within_rounds_and_the_worst_decides),
		TEST(limits_are_told_and_demand_nothing),
		TEST(bars_of_two_workers_take_two_cpus),
		TEST(bar_inside_the_interval_is_undecided),
		TEST(missing_peer_is_named_with_its_package),
		TEST(parents_are_compared_with_the_smallest),
		TEST(balance_of_rows_that_were_not_planned_is_not_met),
		TEST(parents_of_one_size_are_not_compared),
		TEST(automatic_chunk_is_no_best_chunk),
		TEST(lazy_memory_is_judged_in_mib),
		TEST(metg_outside_of_what_was_measured_is_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
