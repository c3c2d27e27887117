/*
 * run.c - one row: its threads, the watchdog, and what must be as before at the end.
 *
 * DESIGN. The main thread publishes the workers' numbers for the killer and looks how long each
 * thread has been in its call. Each operation has dice of its own, so what happened before does not
 * change what it decides.
 */
#include "scripts/chaos/chaos.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static struct thread threads[CHAOS_THREADS_MAX + 1]; /* the last is for the main thread */
static uint32_t time_is_over;

/* ---- findings ---- */

void finding(const struct thread *thread, const char *format, ...)
{
	char text[400];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	fprintf(stderr, "chaos: %s: seed %llu, thread %d, operation %llu (%s): %s\n",
		thread->options->row->name, (unsigned long long)thread->options->seed,
		thread->number, (unsigned long long)thread->operations,
		thread->operation ? thread->operation : "none", text);
	_exit(1);
}

void call_begin(struct thread *thread, const char *call)
{
	thread->call = call;
	__atomic_store_n(&thread->since_ns, chaos_now_ns(), __ATOMIC_RELEASE);
}

void call_end(struct thread *thread)
{
	__atomic_store_n(&thread->since_ns, 0, __ATOMIC_RELEASE);
}

/* Where everybody stands, if there is a debugger to tell. */
static void show_stacks(void)
{
	char command[200];
	prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	snprintf(command, sizeof command,
		 "command -v gdb >/dev/null && gdb -p %d -batch -ex 'thread apply all bt' >&2",
		 (int)getpid());
	if (system(command) != 0) /* NOLINT(cert-env33-c): the command is our own */
		fputs("chaos: no stacks\n", stderr);
}

static void watch(void)
{
	for (int i = 0; i <= CHAOS_THREADS_MAX; i++) {
		struct thread *thread = &threads[i];
		int64_t since_ns = __atomic_load_n(&thread->since_ns, __ATOMIC_ACQUIRE);
		if (!since_ns || chaos_now_ns() - since_ns < thread->options->bound_ns)
			continue;
		fprintf(stderr, "chaos: %s: seed %llu: thread %d hangs in %s\n",
			thread->options->row->name, (unsigned long long)thread->options->seed,
			thread->number, thread->call);
		show_stacks();
		finding(thread, "%s has not returned for %lld s", thread->call,
			(long long)(thread->options->bound_ns / CHAOS_SECOND));
	}
}

/* ---- threads ---- */

static void do_something(struct thread *thread, struct dice *dice)
{
	uint64_t what = dice_below(dice, 100);
	if (what < 18)
		do_apply(thread, dice);
	else if (what < 45)
		do_map(thread, dice);
	else if (what < 70)
		do_async(thread, dice);
	else if (what < 93)
		do_imap(thread, dice);
	else if (what < 97)
		do_ask(thread, dice);
	else
		house_end(thread, dice);
}

static void *thread_main(void *what)
{
	struct thread *thread = what;
	while (!__atomic_load_n(&time_is_over, __ATOMIC_ACQUIRE)) {
		struct dice dice = dice_of(thread->options->seed, (uint64_t)thread->number,
					   thread->operations++);
		do_something(thread, &dice);
		orphans_settle(thread, false);
		if (__atomic_load_n(&chaos_shared->corrupt, __ATOMIC_SEQ_CST))
			finding(thread, "a task found its arguments or its state corrupt");
	}
	orphans_settle(thread, true);
	return NULL;
}

static void start_threads(const struct chaos_options *options)
{
	memset(threads, 0, sizeof threads);
	for (int i = 0; i <= CHAOS_THREADS_MAX; i++) {
		threads[i].options = options;
		threads[i].number = i;
		threads[i].operation = "start";
	}
	for (int i = 0; i < options->threads; i++)
		if (pthread_create(&threads[i].handle, NULL, thread_main, &threads[i]))
			finding(&threads[i], "no thread");
}

static void *join_threads(void *what)
{
	const struct chaos_options *options = what;
	struct thread *main_thread = &threads[CHAOS_THREADS_MAX];
	for (int i = 0; i < options->threads; i++)
		pthread_join(threads[i].handle, NULL);
	main_thread->operation = "the end";
	houses_close(main_thread);
	for (int i = 0; i < options->threads; i++)
		graves_check(&threads[i]);
	__atomic_store_n(&time_is_over, 2, __ATOMIC_RELEASE);
	return NULL;
}

static void watch_until_end(const struct chaos_options *options)
{
	int64_t until = chaos_now_ns() + options->time_ns;
	pthread_t joiner = 0;
	bool over = false;
	while (__atomic_load_n(&time_is_over, __ATOMIC_ACQUIRE) < 2) {
		houses_publish();
		watch();
		chaos_sleep_ns(2 * CHAOS_MS);
		if (over || chaos_now_ns() < until)
			continue;
		over = true;
		__atomic_store_n(&time_is_over, 1, __ATOMIC_RELEASE);
		if (pthread_create(&joiner, NULL, join_threads, (void *)(uintptr_t)options))
			finding(&threads[0], "no thread");
	}
	pthread_join(joiner, NULL);
}

/* ---- as before ---- */

struct baseline {
	int descriptors, threads, mappings;
};

static int count_entries(const char *path)
{
	int count = 0;
	DIR *directory = opendir(path);
	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

/* The pools' shared memory; the C library keeps stacks and heaps of its own. */
static int count_mappings(void)
{
	char line[600];
	int count = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	while (maps && fgets(line, sizeof line, maps))
		count += strstr(line, "/memfd:") != NULL;
	if (maps)
		fclose(maps);
	return count;
}

static struct baseline baseline_now(void)
{
	return (struct baseline){ count_entries("/proc/self/fd"), count_entries("/proc/self/task"),
				  count_mappings() };
}

/* A thread of the row before may be going, not gone. */
static struct baseline baseline_settled(void)
{
	struct baseline now = baseline_now(), before;
	do {
		before = now;
		chaos_sleep_ns(20 * CHAOS_MS);
		now = baseline_now();
	} while (now.threads != before.threads);
	return now;
}

static void check_baseline(const struct baseline *before)
{
	const struct thread *main_thread = &threads[CHAOS_THREADS_MAX];
	struct baseline now = baseline_now();
	for (int i = 0; i < 10000 && now.threads > before->threads; i++) { /* going, not gone */
		chaos_sleep_ns(CHAOS_MS);
		now = baseline_now();
	}
	errno = 0;
	pid_t child = waitpid(-1, NULL, WNOHANG);
	if (child != -1 || errno != ECHILD)
		finding(main_thread, "children are left (waitpid answers %d)", (int)child);
	if (now.descriptors != before->descriptors)
		finding(main_thread, "%d descriptors, before %d", now.descriptors,
			before->descriptors);
	if (now.threads != before->threads)
		finding(main_thread, "%d threads, before %d", now.threads, before->threads);
	if (now.mappings != before->mappings)
		finding(main_thread, "%d shared mappings, before %d", now.mappings,
			before->mappings);
}

static void *nothing(void *what)
{
	return what;
}

/* The thread sanitizer starts a thread of its own along with the first one. */
static void start_first_thread(void)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, nothing, NULL) == 0)
		pthread_join(thread, NULL);
}

static void report(const struct chaos_options *options)
{
	unsigned long long operations = 0, items = 0, lost = 0, again = 0, kills = 0;
	for (int i = 0; i < options->threads; i++) {
		operations += threads[i].operations;
		items += threads[i].items;
		lost += threads[i].lost;
		again += threads[i].retried;
	}
	for (int i = 0; i < CHAOS_HOUSES; i++)
		kills += chaos_shared->kills[i];
	printf("%-11s seed %llu: %llu operations, %llu items, %llu kills, %llu stops, %llu lost, "
	       "%llu run again: fine\n",
	       options->row->name, (unsigned long long)options->seed, operations, items, kills,
	       (unsigned long long)chaos_shared->stops, lost, again);
	fflush(stdout);
}

int chaos_run(const struct chaos_options *options)
{
	chaos_shared_open();
	start_first_thread();
	struct baseline before = baseline_settled();
	time_is_over = 0;
	pid_t killer = options->row->can & POOL_CAN_KILL ? killer_start(options->seed) : 0;
	if (killer < 0) {
		fprintf(stderr, "chaos: cannot start the process that kills: %s\n",
			strerror(errno));
		return 1;
	}
	houses_open();
	start_threads(options);
	watch_until_end(options);
	killer_stop(killer);
	check_baseline(&before);
	report(options);
	chaos_shared_close();
	return 0;
}
