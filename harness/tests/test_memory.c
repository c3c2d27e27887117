/*
 * test_memory.c - a tree's memory is the sum of what its processes hold, each page once; and what the probe makes of it.
 */
#include "harness/bench.h"
#include "harness/cell.h"
#include "harness/clock.h"
#include "harness/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define HELD_KIB 65536
#define ERROR_KIB 4096 /* stacks, copies of what processes wrote, tables of the C library */

static void *hold(int sharing)
{
	void *memory =
		mmap(NULL, HELD_KIB * 1024, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);

	if (memory != MAP_FAILED)
		memset(memory, 1, HELD_KIB * 1024);
	return memory;
}

static int64_t now_kib(void)
{
	struct memory_watch *watch;
	int64_t kib = 0;

	assert_int_equal(memory_watch_start(&watch), 0);
	assert_int_equal(memory_watch_end(watch, &kib), 0);
	assert_true(kib > 0);
	return kib;
}

static void within(int64_t kib, int64_t wanted_kib)
{
	if (kib < wanted_kib - ERROR_KIB || kib > wanted_kib + ERROR_KIB)
		fail_msg("got %ld KiB, wanted %ld", (long)kib, (long)wanted_kib);
}

/* A chain of `depth` descendants, the last of which holds memory (or `shared`, touched again). Returns the first's pid
 * when all is as it will be; they end when that is killed. */
static pid_t start_chain(int depth, void *shared)
{
	int ready[2];
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		for (prctl(PR_SET_PDEATHSIG, SIGKILL); --depth > 0;) {
			if (fork() > 0)
				for (;;)
					pause();
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		}
		if (shared != NULL)
			memset(shared, 2, HELD_KIB * 1024);
		else if (hold(MAP_PRIVATE) == MAP_FAILED)
			_exit(1);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end_chain(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void memory_of_descendants_is_counted(void **state)
{
	(void)state;
	for (int depth = 1; depth <= 3; depth++) {
		int64_t before = now_kib();
		pid_t pid = start_chain(depth, NULL);
		int64_t with = now_kib();
		end_chain(pid);
		within(with - before, HELD_KIB);
	}
}

static void memory_that_two_processes_share_is_counted_once(void **state)
{
	void *shared = hold(MAP_SHARED);
	int64_t before = now_kib();

	(void)state;
	assert_true(shared != MAP_FAILED);
	pid_t pid = start_chain(1, shared);
	int64_t with = now_kib();
	end_chain(pid);
	munmap(shared, HELD_KIB * 1024);
	within(with - before, 0);
}

/* The child sees itself and not its parent, which holds memory that the child does not inherit. */
static void memory_of_the_parent_is_not_counted(void **state)
{
	void *memory = hold(MAP_SHARED);
	int status;

	(void)state;
	assert_true(memory != MAP_FAILED);
	assert_int_equal(madvise(memory, HELD_KIB * 1024, MADV_DONTFORK), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct memory_watch *watch;
		int64_t kib = 0;
		if (memory_watch_start(&watch) < 0 || memory_watch_end(watch, &kib) < 0)
			_exit(2);
		_exit(kib > 0 && kib < HELD_KIB ? 0 : 1);
	}
	waitpid(pid, &status, 0);
	munmap(memory, HELD_KIB * 1024);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void watch_keeps_a_peak_that_is_over(void **state)
{
	struct memory_watch *watch;
	int64_t before = now_kib(), most = 0;
	uint64_t seen;

	(void)state;
	assert_int_equal(memory_watch_start(&watch), 0);
	void *memory = hold(MAP_PRIVATE);
	assert_true(memory != MAP_FAILED);
	/* A sample that begins when the memory is there ends at the second count from here. */
	seen = memory_watch_samples(watch);
	while (memory_watch_samples(watch) < seen + 2)
		usleep(1000);
	munmap(memory, HELD_KIB * 1024);
	assert_int_equal(memory_watch_end(watch, &most), 0);
	within(most - before, HELD_KIB);
	within(now_kib() - before, 0);
}

/* Holds memory from its first call to its end. */
static int call_that_holds(struct bench *b, void *results)
{
	if (b->state == NULL)
		b->state = hold(MAP_PRIVATE);
	return b->work.load->serial(&b->work, 0, b->work.tasks, results);
}

static int start_that_holds(struct bench *b)
{
	b->call = call_that_holds;
	return 0;
}

static void stop_that_holds(struct bench *b)
{
	if (b->state != NULL)
		munmap(b->state, HELD_KIB * 1024);
}

static struct cell cell_of(const char *backend, const char *probe)
{
	struct cell cell = { .variant = "map", .workload = "noop", .tasks = 100, .workers = 2 };

	cell.batches = 2;
	cell.batch_ns = 2 * NS_PER_MS;
	snprintf(cell.backend, sizeof cell.backend, "%s", backend);
	snprintf(cell.probe, sizeof cell.probe, "%s", probe);
	return cell;
}

static void measure(const char *backend, const char *probe, struct record *record)
{
	const struct cell_setup setup = { .seed = 1 };
	struct cell cell = cell_of(backend, probe);

	if (cell_measure(&cell, &setup, record) != CELL_DONE)
		fail_msg("%s: %s", backend, record->error);
}

static void probe_tells_what_calls_take_above_the_idle_pool(void **state)
{
	static struct baseline holder = { .name = "holder",
					  .start = start_that_holds,
					  .stop = stop_that_holds };
	struct record record;

	(void)state;
	baseline_add(&holder);
	measure("holder", "memory", &record);
	assert_true(record.pss_idle_kib > 0);
	within(record.pss_peak_kib - record.pss_idle_kib, HELD_KIB);
}

static void probe_works_on_every_backend_and_leaves_its_samples(void **state)
{
	const struct pool_backend_info *row;

	(void)state;
	for (unsigned i = 0; (row = pool_backend_info(i)) != NULL; i++) {
		struct record record;
		measure(row->name, "memory", &record);
		assert_true(record.pss_idle_kib > 0);
		assert_true(record.pss_peak_kib > 0);
		assert_int_equal(record.samples, 2);
		assert_int_equal(record.profile, 0);
	}
}

static void cell_without_the_probe_has_no_memory(void **state)
{
	struct record record;

	(void)state;
	measure("fork-shm", "", &record);
	assert_int_equal(record.pss_idle_kib, 0);
	assert_int_equal(record.pss_peak_kib, 0);
}

static void opening_is_refused(void **state)
{
	struct cell cell = cell_of("fork-shm", "memory");
	char why[256] = "";

	(void)state;
	snprintf(cell.variant, sizeof cell.variant, "open");
	assert_int_equal(cell_check(&cell, why, sizeof why), -EINVAL);
	assert_non_null(strstr(why, "--probe must not be memory"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_of_descendants_is_counted),
		cmocka_unit_test(memory_that_two_processes_share_is_counted_once),
		cmocka_unit_test(memory_of_the_parent_is_not_counted),
		cmocka_unit_test(watch_keeps_a_peak_that_is_over),
		cmocka_unit_test(probe_tells_what_calls_take_above_the_idle_pool),
		cmocka_unit_test(probe_works_on_every_backend_and_leaves_its_samples),
		cmocka_unit_test(cell_without_the_probe_has_no_memory),
		cmocka_unit_test(opening_is_refused),
	};

	pool_main(&argc, &argv);
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
