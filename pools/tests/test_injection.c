/*
 * test_injection.c - every call of the library to the system fails, in every scenario, on every row.
 *
 * DESIGN. A case is a scenario. On each row it is run once to count the uses of each call by the
 * pool's process and by its workers; then, for each fault of the table and each n, in a process of
 * its own with the nth use made to fail, and once more with all uses from the nth on where that can
 * happen. Whatever fails, a scenario sees results that are right or an error code that is known,
 * every handle resolves once, nothing is left: children, threads, descriptors, memory, mappings. A
 * fault that must not be seen at all (an interrupted wait) must let everything succeed.
 *
 * With many uses only some n are tried, see next_nth. INJECT_ALL=1 in the environment tries each.
 */
#include "pools/tests/scenarios.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct scenario {
	const char *name;
	void (*run)(const struct pool_backend_info *row, const struct inject_plan *plan);
	bool arms;
};

struct fault {
	const char *name;
	enum inject_call call;
	int error;
	bool unseen; /* once, it must not be noticed */
	bool lasts;  /* may be so from then on */
};

static const struct fault faults[] = {
	{ "no memory", CALL_MEMORY, ENOMEM, false, true },
	{ "fork: EAGAIN", CALL_FORK, EAGAIN, false, true },
	{ "fork: ENOMEM", CALL_FORK, ENOMEM, false, false },
	{ "exec: ENOMEM", CALL_EXEC, ENOMEM, false, true },
	{ "thread: EAGAIN", CALL_THREAD, EAGAIN, false, true },
	{ "pipe: EMFILE", CALL_PIPE, EMFILE, false, true },
	{ "pipe: ENFILE", CALL_PIPE, ENFILE, false, false },
	{ "pipe size: EPERM", CALL_PIPE_SIZE, EPERM, true, true },
	{ "dup: EMFILE", CALL_DUP, EMFILE, false, true },
	{ "memfd: EMFILE", CALL_MEMFD, EMFILE, false, true },
	{ "memfd: ENOMEM", CALL_MEMFD, ENOMEM, false, false },
	{ "ftruncate: ENOMEM", CALL_TRUNCATE, ENOMEM, false, true },
	{ "fallocate: ENOSPC", CALL_ALLOCATE, ENOSPC, false, true },
	{ "fallocate: EINTR", CALL_ALLOCATE, EINTR, true, false },
	{ "mmap: ENOMEM", CALL_MAP, ENOMEM, false, true },
	{ "madvise: ENOMEM", CALL_ADVISE, ENOMEM, true, true },
	{ "madvise: EINVAL", CALL_ADVISE, EINVAL, true, true },
	{ "fstat: ENOMEM", CALL_STAT, ENOMEM, false, false },
	{ "read: EINTR", CALL_READ, EINTR, true, false },
	{ "read: in part", CALL_READ_LONG, INJECT_PART, true, true },
	{ "write: EINTR", CALL_WRITE, EINTR, true, false },
	{ "write: ENOMEM", CALL_WRITE, ENOMEM, false, false },
	{ "write: in part", CALL_WRITE_LONG, INJECT_PART, true, true },
	{ "poll: EINTR", CALL_POLL, EINTR, true, false },
	{ "epoll: EMFILE", CALL_EPOLL, EMFILE, false, true },
	{ "epoll_ctl: ENOMEM", CALL_WATCH, ENOMEM, false, true },
	{ "epoll_ctl: ENOSPC", CALL_WATCH, ENOSPC, false, false },
	{ "epoll_wait: EINTR", CALL_WAIT_EVENTS, EINTR, true, false },
	{ "eventfd: ENFILE", CALL_EVENTFD, ENFILE, false, true },
	{ "pidfd_open: EMFILE", CALL_PIDFD, EMFILE, false, true },
	{ "pidfd_open: EPERM", CALL_PIDFD, EPERM, false, true },
	{ "pidfd_open: ENOSYS", CALL_PIDFD, ENOSYS, false, true },
	{ "futex: EINTR", CALL_FUTEX_WAIT, EINTR, true, false },
	{ "futex: EAGAIN", CALL_FUTEX_WAIT, EAGAIN, true, false },
	{ "waitid: EINTR", CALL_WAIT_CHILD, EINTR, true, false },
	{ "open: EMFILE", CALL_FILE, EMFILE, true, true },
	{ "affinity: EINVAL", CALL_AFFINITY, EINVAL, true, true },
};

/* == One attempt == */

static uint64_t (*uses)[CALLS]; /* [SIDES]: counted in a run without a fault; shared */

struct attempt {
	const struct scenario *scenario;
	const struct pool_backend_info *row;
	const struct fault *fault; /* NULL: only counting */
	struct inject_plan plan;
	pid_t pid;
	int64_t end_ns;
};

static void describe(const struct attempt *a, const char *what)
{
	fprintf(stderr, "%s [%s], %s, use %d of the %s%s: %s\n", a->scenario->name, a->row->name,
		a->fault ? a->fault->name : "nothing fails", (int)a->plan.nth,
		a->plan.side == SIDE_POOL ? "pool" : "workers",
		a->plan.lasting ? " and all after it" : "", what);
}

/* What a process has that a pool could leave behind. */
struct holdings {
	int64_t descriptors, threads, mappings, memory;
};

/* A line of /proc/self/maps: shared memory, or the address space that the arena reserves. */
static bool is_ours(const char *line)
{
	unsigned long from, to;
	if (strstr(line, "/memfd:pool-"))
		return true;
	return sscanf(line, "%lx-%lx", &from, &to) == 2 && strstr(line, " ---p ") &&
	       to - from >= 1ul << 30;
}

static void take_stock(struct holdings *have)
{
	have->descriptors = suite_entries_in("/proc/self/fd");
	have->threads = suite_entries_in("/proc/self/task");
	have->mappings = 0;
	have->memory = inject_live();
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");
	CHECK(maps);
	while (fgets(line, sizeof line, maps))
		have->mappings += is_ours(line);
	fclose(maps);
}

static void check_nothing_is_left(const struct holdings *before)
{
	struct holdings now;
	errno = 0;
	CHECK_EQ(waitpid(-1, NULL, WNOHANG), -1);
	CHECK_EQ(errno, ECHILD);
	take_stock(&now);
	for (int i = 0; now.threads > before->threads && i < 10000; i++) {
		suite_sleep_ns(MS);
		take_stock(&now);
	}
	CHECK_EQ(now.threads, before->threads);
	CHECK_EQ(now.descriptors, before->descriptors);
	CHECK_EQ(now.mappings, before->mappings);
	CHECK_EQ(now.memory, before->memory);
}

/* A start that fails once is tried again when the pool is open already. */
static bool is_of_starting(enum inject_call call)
{
	return call == CALL_FORK || call == CALL_EXEC || call == CALL_PIPE || call == CALL_DUP;
}

static void run_attempt(const struct attempt *a)
{
	struct holdings before;
	const struct scenario *s = a->scenario;
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	inject_open();
	shared_create();
	take_stock(&before);
	bool well = !a->fault || (a->fault->unseen && (!a->plan.lasting || a->fault->lasts));
	if (a->fault && s->arms && is_of_starting(a->fault->call) && !a->plan.lasting)
		well = true;
	scenario_expect(well);
	if (!s->arms)
		inject_arm(&a->plan);
	s->run(a->row, &a->plan);
	inject_disarm();
	check_nothing_is_left(&before);
	for (int side = 0; !a->fault && side < SIDES; side++)
		for (int call = 0; call < CALLS; call++)
			uses[side][call] =
				inject_count((enum inject_side)side, (enum inject_call)call);
}

/* == Many of them == */

enum { AT_ONCE = 12, MOST_NTH = 1000 };
static const int64_t ATTEMPT_NS = 30 * SECOND;

struct crowd {
	struct attempt running[AT_ONCE];
	int64_t attempts, failed;
};

static void start_attempt(struct attempt *a)
{
	fflush(NULL);
	a->end_ns = suite_now_ns() + ATTEMPT_NS;
	a->pid = fork();
	CHECK(a->pid >= 0);
	if (a->pid > 0)
		return;
	run_attempt(a);
	_exit(0);
}

/* NULL, or what was wrong with the attempt that has ended or is over its time. */
static bool has_ended(struct attempt *a, const char **wrong)
{
	int status;
	pid_t pid = waitpid(a->pid, &status, WNOHANG);
	*wrong = NULL;
	if (pid == 0 && suite_now_ns() < a->end_ns)
		return false;
	if (pid == 0) {
		*wrong = "hangs";
		kill(a->pid, SIGKILL);
		waitpid(a->pid, NULL, 0);
	} else if (WIFSIGNALED(status)) {
		*wrong = strsignal(WTERMSIG(status));
	} else if (WEXITSTATUS(status)) {
		*wrong = "a check failed";
	}
	a->pid = 0;
	return true;
}

/* Ends those that can be ended; how many run. */
static int look_after(struct crowd *crowd)
{
	int running = 0;
	for (int i = 0; i < AT_ONCE; i++) {
		struct attempt *a = &crowd->running[i];
		const char *wrong;
		if (a->pid && has_ended(a, &wrong) && wrong) {
			describe(a, wrong);
			crowd->failed++;
		}
		running += a->pid != 0;
	}
	return running;
}

static void wait_below(struct crowd *crowd, int most)
{
	while (look_after(crowd) >= most)
		suite_sleep_ns(MS / 4);
}

static void add_attempt(struct crowd *crowd, const struct attempt *what)
{
	wait_below(crowd, AT_ONCE);
	for (int i = 0; i < AT_ONCE; i++) {
		if (crowd->running[i].pid)
			continue;
		crowd->running[i] = *what;
		start_attempt(&crowd->running[i]);
		crowd->attempts++;
		return;
	}
}

/* 1, 8, 64 and so on, and the last; a call's further errors: 1 and the last. Where timing decides how many
 * uses there are, an nth that never comes is a run without a fault. */
static uint64_t next_nth(const struct fault *fault, uint64_t nth, uint64_t last)
{
	if (getenv("INJECT_ALL"))
		return nth + 1;
	bool further = fault > faults && fault[-1].call == fault->call;
	uint64_t next = nth == 0 ? 1 : further ? last : 8 * nth;
	return nth < last && next > last ? last : next + (next == nth);
}

static void count_uses(const struct scenario *s, const struct pool_backend_info *row)
{
	struct crowd crowd = { 0 };
	struct attempt a = { .scenario = s, .row = row };
	uses = mmap(NULL, sizeof(uint64_t[SIDES][CALLS]), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(uses != MAP_FAILED);
	add_attempt(&crowd, &a);
	wait_below(&crowd, 1);
	CHECK_EQ(crowd.failed, 0);
	uint64_t any = 0;
	for (int call = 0; call < CALLS; call++)
		any += uses[SIDE_POOL][call];
	/* Else nothing was replaced in the library. What arms late may need no memory. */
	CHECK(any > 0 && (s->arms || uses[SIDE_POOL][CALL_MEMORY] > 0));
}

static void try_fault(struct crowd *crowd, const struct scenario *s,
		      const struct pool_backend_info *row, const struct fault *fault)
{
	for (unsigned side = 0; side < SIDES; side++) {
		uint64_t last = uses[side][fault->call];
		if (last > MOST_NTH)
			last = MOST_NTH;
		for (uint64_t nth = next_nth(fault, 0, last); nth <= last && last;
		     nth = next_nth(fault, nth, last)) {
			struct attempt a = {
				.scenario = s,
				.row = row,
				.fault = fault,
				.plan = { fault->call, (enum inject_side)side, fault->error, nth,
					  false },
			};
			add_attempt(crowd, &a);
			a.plan.lasting = true;
			if (fault->lasts)
				add_attempt(crowd, &a);
		}
	}
}

static void run_scenario(const struct scenario *s, const struct pool_backend_info *row)
{
	struct crowd crowd = { 0 };
	count_uses(s, row);
	const char *only = getenv("INJECT_ONLY");
	for (size_t i = 0; i < COUNT(faults); i++)
		if (!only || strcmp(only, faults[i].name) == 0)
			try_fault(&crowd, s, row, &faults[i]);
	wait_below(&crowd, 1);
	fprintf(stderr, "%s [%s]: %lld attempts\n", s->name, row->name, (long long)crowd.attempts);
	CHECK_EQ(crowd.failed, 0);
}

/* == Cases == */

#define DEFINE(name, arms, needs)                                                                  \
	static void case_##name(const struct pool_backend_info *row)                               \
	{                                                                                          \
		run_scenario(&(const struct scenario){ #name, name, arms }, row);                  \
	}
SCENARIOS(DEFINE)

#define LIST(name, arms, needs) { #name, case_##name, needs },
static const struct suite_case cases[] = { SCENARIOS(LIST) };

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
