/*
 * killer.c - the process that kills, stops and continues workers.
 *
 * DESIGN. A number may belong to somebody else by the time it is used: the killer opens a pidfd and
 * then looks whether that process is a child of ours. What was stopped is continued through the
 * same pidfd, except for the workers of doomed pools.
 */
#include "scripts/chaos/chaos.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOPPED_MOST = 8 };

struct stopped {
	int fd;
	int64_t until_ns;
};

struct killer {
	struct dice dice;
	pid_t parent;
	struct stopped stopped[STOPPED_MOST];
	int count;
};

static int open_pid(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

static void send_signal(int fd, int number)
{
	syscall(SYS_pidfd_send_signal, fd, number, NULL, 0);
}

/* The fourth field of /proc/PID/stat, behind the command's closing parenthesis. */
static pid_t parent_of(pid_t pid)
{
	char path[64], text[512];
	int parent = -1;
	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return -1;
	text[fread(text, 1, sizeof text - 1, file)] = '\0';
	fclose(file);
	const char *end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %*c %d", &parent) != 1)
		return -1;
	return parent;
}

static void resume(struct killer *k, bool all)
{
	int64_t now = chaos_now_ns();
	for (int i = 0; i < k->count;) {
		if (!all && k->stopped[i].until_ns > now) {
			i++;
			continue;
		}
		send_signal(k->stopped[i].fd, SIGCONT);
		close(k->stopped[i].fd);
		k->stopped[i] = k->stopped[--k->count];
	}
}

static int64_t stop_time(struct dice *dice)
{
	uint64_t kind = dice_below(dice, 50);
	if (kind == 0)
		return 2 * CHAOS_SECOND;
	return (int64_t)dice_below(dice, kind < 5 ? 300 : 20) * CHAOS_MS;
}

static void stop(struct killer *k, int fd, uint32_t mode)
{
	int64_t time_ns = stop_time(&k->dice);
	bool for_ever = mode == HOUSE_DOOMED && dice_percent(&k->dice, 50);
	if (!for_ever && k->count == STOPPED_MOST) {
		close(fd);
		return;
	}
	__atomic_add_fetch(&chaos_shared->stops, 1, __ATOMIC_RELAXED);
	send_signal(fd, SIGSTOP);
	if (for_ever)
		close(fd);
	else
		k->stopped[k->count++] = (struct stopped){ fd, chaos_now_ns() + time_ns };
}

static void strike(struct killer *k)
{
	uint64_t place = dice_below(&k->dice, CHAOS_HOUSES);
	struct chaos_target *target = &chaos_shared->target[place];
	uint64_t worker = dice_below(&k->dice, CHAOS_WORKERS_MAX), what = dice_below(&k->dice, 100);
	uint32_t mode = __atomic_load_n(&target->mode, __ATOMIC_SEQ_CST);
	pid_t pid = __atomic_load_n(&target->pid[worker], __ATOMIC_SEQ_CST);
	int fd = mode != HOUSE_QUIET && pid ? open_pid(pid) : -1;
	if (fd < 0)
		return;
	if (parent_of(pid) != k->parent) {
		close(fd);
	} else if (what < 40) {
		stop(k, fd, mode);
	} else {
		__atomic_add_fetch(&chaos_shared->kills[place], 1, __ATOMIC_SEQ_CST);
		send_signal(fd, what < 85 ? SIGKILL : SIGTERM);
		close(fd);
	}
}

static void killer_main(uint64_t seed)
{
	struct killer k = { .dice = dice_of(seed, 1000, 0), .parent = getppid() };
	while (!__atomic_load_n(&chaos_shared->quit, __ATOMIC_SEQ_CST)) {
		strike(&k);
		resume(&k, false);
		chaos_sleep_ns((int64_t)dice_below(&k.dice, 8000) * 1000);
	}
	resume(&k, true);
}

pid_t killer_start(uint64_t seed)
{
	pid_t parent = getpid(), pid = fork();
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() == parent)
		killer_main(seed);
	_exit(0);
}

void killer_stop(pid_t killer)
{
	__atomic_store_n(&chaos_shared->quit, 1, __ATOMIC_SEQ_CST);
	if (killer > 0)
		waitpid(killer, NULL, 0);
}
