/*
 * memory.c - sums over a process tree, taken by a thread.
 *
 * DESIGN. The tree is found by reading the parent of every process in /proc: lists of children are there only in kernels that
 * were built with them. A process that ends while it is read counts as nothing. Buffers are made before the thread
 * starts, so that the thread adds its stack and nothing else to what it measures. A child between vfork and exec is
 * counted with its parent's pages; that is why variant "open" is not watched (cell_check.c).
 */
#include "harness/memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PROCESSES_LEAST 1024

struct process {
	pid_t pid, parent;
	bool ours;
};

struct memory_watch {
	pthread_t thread;
	DIR *proc;
	struct process *process;
	size_t count, room;
	int64_t most_kib;	  /* the thread's, until it is joined */
	int error;		  /* likewise */
	_Atomic uint64_t samples; /* written by the thread, read by whoever waits for some */
	_Atomic bool end;	  /* written by who ends the watch, read by the thread */
};

/*
 * == One sample ==
 */

/* The beginning of a file as text: its length; 0: it cannot be read. */
static size_t read_start(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = 0;

	if (fd < 0)
		return 0;
	got = read(fd, text, size - 1);
	close(fd);
	if (got < 0)
		got = 0;
	text[got] = '\0';
	return (size_t)got;
}

/* proc(5), /proc/pid/stat: the parent is the second field after the name, which may hold anything and ends with the last
 * parenthesis. */
static bool read_parent(pid_t pid, pid_t *parent)
{
	char path[64], text[512];
	const char *fields;

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	if (read_start(path, text, sizeof text) == 0)
		return false;
	fields = strrchr(text, ')');
	return fields != NULL && sscanf(fields + 1, " %*c %d", parent) == 1;
}

int64_t memory_process_kib(pid_t pid)
{
	char path[64], text[512];
	const char *line;
	int64_t kib;

	snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
	if (read_start(path, text, sizeof text) == 0)
		return -ENOENT;
	line = strstr(text, "\nPss:");
	return line != NULL && sscanf(line, "\nPss: %" SCNd64, &kib) == 1 ? kib : -ENOENT;
}

static int add_process(struct memory_watch *w, const struct process *process)
{
	if (w->count == w->room) {
		struct process *more = reallocarray(w->process, 2 * w->room, sizeof *more);
		if (more == NULL)
			return -ENOMEM;
		w->process = more;
		w->room *= 2;
	}
	w->process[w->count++] = *process;
	return 0;
}

static int list_processes(struct memory_watch *w)
{
	const struct dirent *entry;
	int rc = 0;

	w->count = 0;
	rewinddir(w->proc);
	while (rc == 0 && (entry = readdir(w->proc)) != NULL) {
		struct process process = { .pid = (pid_t)strtol(entry->d_name, NULL, 10) };
		if (process.pid <= 0 || !read_parent(process.pid, &process.parent))
			continue;
		process.ours = process.pid == getpid();
		rc = add_process(w, &process);
	}
	return rc;
}

static bool has_our_parent(const struct memory_watch *w, const struct process *process)
{
	for (size_t i = 0; i < w->count; i++)
		if (w->process[i].pid == process->parent)
			return w->process[i].ours;
	return false;
}

/* Children mostly come after their parents, so one pass finds all, and a second finds that there are no more. */
static void mark_ours(struct memory_watch *w)
{
	bool more = true;

	while (more) {
		more = false;
		for (size_t i = 0; i < w->count; i++) {
			struct process *process = &w->process[i];
			if (process->ours || !has_our_parent(w, process))
				continue;
			process->ours = more = true;
		}
	}
}

static int take_sample(struct memory_watch *w)
{
	int64_t kib = 0;
	int rc = list_processes(w);

	if (rc < 0)
		return rc;
	mark_ours(w);
	for (size_t i = 0; i < w->count; i++) {
		int64_t own = w->process[i].ours ? memory_process_kib(w->process[i].pid) : 0;
		kib += own > 0 ? own : 0;
	}
	if (kib > w->most_kib)
		w->most_kib = kib;
	return 0;
}

/*
 * == The thread ==
 */

static void *watch(void *arg)
{
	const struct timespec pause = { .tv_nsec = MEMORY_PAUSE_NS };
	struct memory_watch *w = arg;

	for (;;) {
		w->error = take_sample(w);
		/* Counted also when it failed, so that nobody waits for ever. */
		atomic_fetch_add_explicit(&w->samples, 1, memory_order_relaxed);
		if (atomic_load_explicit(&w->end, memory_order_relaxed))
			return NULL;
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}

static void watch_free(struct memory_watch *w)
{
	if (w->proc != NULL)
		closedir(w->proc);
	free(w->process);
	free(w);
}

/* Signals are for the thread that measures. */
static int start_thread(struct memory_watch *w)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&w->thread, NULL, watch, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -rc;
}

int memory_watch_start(struct memory_watch **started)
{
	struct memory_watch *w;
	int rc = -ENOMEM;

	if (access("/proc/self/smaps_rollup", R_OK) < 0)
		return -errno;
	w = calloc(1, sizeof *w);
	if (w == NULL)
		return -ENOMEM;
	w->room = PROCESSES_LEAST;
	w->process = calloc(w->room, sizeof *w->process);
	if (w->process == NULL)
		goto err_free;
	w->proc = opendir("/proc");
	rc = w->proc == NULL ? -errno : start_thread(w);
	if (rc < 0)
		goto err_free;
	*started = w;
	return 0;

err_free:
	watch_free(w);
	return rc;
}

uint64_t memory_watch_samples(const struct memory_watch *w)
{
	/* Relaxed: it is a number to wait for, and nothing else is read on its strength. */
	return atomic_load_explicit(&w->samples, memory_order_relaxed);
}

int memory_watch_end(struct memory_watch *w, int64_t *most_kib)
{
	int rc;

	/* Relaxed: joining the thread orders everything it wrote. */
	atomic_store_explicit(&w->end, true, memory_order_relaxed);
	pthread_join(w->thread, NULL);
	rc = w->error;
	if (rc == 0)
		*most_kib = w->most_kib;
	watch_free(w);
	return rc;
}
