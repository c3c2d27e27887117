/*
 * suite_tasks.c - what cases are made of: shared words, tasks, short ways to open and use a pool.
 *
 * DESIGN. The shared words are a memfd. Forked workers and threads inherit the mapping; executed
 * workers open the file through the /proc path in the environment at the first use.
 */
#include "pools/tests/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARED_PATH "POOL_SUITE_SHARED" /* environment: where executed workers find the words */

static int64_t *shared_memory;

/* == Shared words == */

static void *map_words(int fd)
{
	void *words = mmap(NULL, SHARED_WORDS * sizeof(int64_t), PROT_READ | PROT_WRITE, MAP_SHARED,
			   fd, 0);
	return words == MAP_FAILED ? NULL : words;
}

void shared_create(void)
{
	int fd = memfd_create("suite", MFD_CLOEXEC);
	CHECK(fd >= 0 && ftruncate(fd, SHARED_WORDS * sizeof(int64_t)) == 0);
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getpid(), fd);
	setenv(SHARED_PATH, path, 1);
	shared_memory = map_words(fd);
	CHECK(shared_memory);
}

/* Only executed workers, whose tasks run one at a time, find nothing mapped yet. */
static int64_t *shared_word(unsigned word)
{
	if (!shared_memory) {
		const char *path = getenv(SHARED_PATH);
		int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
		shared_memory = fd < 0 ? NULL : map_words(fd);
		close(fd);
	}
	CHECK(shared_memory && word < SHARED_WORDS);
	return shared_memory + word;
}

void shared_set(unsigned word, int64_t value)
{
	__atomic_store_n(shared_word(word), value, __ATOMIC_SEQ_CST);
}

int64_t shared_add(unsigned word, int64_t by)
{
	return __atomic_add_fetch(shared_word(word), by, __ATOMIC_SEQ_CST);
}

int64_t shared_get(unsigned word)
{
	return __atomic_load_n(shared_word(word), __ATOMIC_SEQ_CST);
}

bool shared_reaches(unsigned word, int64_t value)
{
	int64_t end = suite_now_ns() + WAIT;
	while (shared_get(word) < value) {
		if (suite_now_ns() > end)
			return false;
		suite_sleep_ns(MS);
	}
	return true;
}

/* == Tasks == */

static int square(struct pool_call *call)
{
	const int64_t *x = pool_arg(call, 0);
	*(int64_t *)pool_result(call) = *x * *x;
	return 0;
}
POOL_TASK(square)

static int add(struct pool_call *call)
{
	const int64_t *a = pool_arg(call, 0), *b = pool_arg(call, 1);
	*(int64_t *)pool_result(call) = *a + *b;
	return 0;
}
POOL_TASK(add)

static int pid(struct pool_call *call)
{
	*(int64_t *)pool_result(call) = getpid();
	return 0;
}
POOL_TASK(pid)

static int flip(struct pool_call *call)
{
	uint64_t size = pool_arg_size(call, 0);
	const unsigned char *from = pool_arg(call, 0);
	unsigned char *to = pool_result_alloc(call, size);
	if (!to)
		return pool_fail(call, ENOMEM, "no room for %llu bytes", (unsigned long long)size);
	for (uint64_t i = 0; i < size; i++)
		to[i] = from[i] ^ 0x5a;
	return 0;
}
POOL_TASK(flip)

/* Some programs (sanitizers) handle SIGSEGV and SIGABRT themselves; here the signal is the point.
 */
static void die_by(int number)
{
	signal(number, SIG_DFL);
	raise(number);
}

static void do_deed(int32_t deed)
{
	switch (deed) {
	case DEED_KILL:
		die_by(SIGKILL);
		break;
	case DEED_SEGV:
		die_by(SIGSEGV);
		break;
	case DEED_ABORT:
		die_by(SIGABRT);
		break;
	case DEED_EXIT3:
		_exit(3);
	case DEED_EXIT0:
		_exit(0);
	case DEED_STUCK:
		suite_sleep_ns(HOUR);
		break;
	case DEED_DEAF:
		signal(SIGTERM, SIG_IGN);
		suite_sleep_ns(HOUR);
		break;
	case DEED_STOP:
		raise(SIGSTOP);
		break;
	default:
		break;
	}
}

static int errand(struct pool_call *call)
{
	const struct errand *errand = pool_arg(call, 0);
	int64_t execution = shared_add(errand->word, 1);
	while (errand->gate && !shared_get(errand->gate))
		suite_sleep_ns(MS);
	if (errand->nap_ns)
		suite_sleep_ns(errand->nap_ns);
	if (errand->deed == DEED_FAIL)
		return pool_fail(call, errand->code, "errand %lld", (long long)errand->value);
	if (errand->deed == DEED_KILL_ONCE)
		do_deed(execution == 1 ? DEED_KILL : DEED_NONE);
	else
		do_deed(errand->deed);
	*(int64_t *)pool_result(call) = errand->value * errand->value;
	return 0;
}
POOL_TASK(errand)

const struct pool_task *const suite_square = POOL(square);
const struct pool_task *const suite_add = POOL(add);
const struct pool_task *const suite_pid = POOL(pid);
const struct pool_task *const suite_flip = POOL(flip);
const struct pool_task *const suite_errand = POOL(errand);

/* == Pools == */

struct pool *suite_open_with(const struct pool_backend_info *row, struct pool_options options)
{
	struct pool *pool = NULL;
	options.backend = row->name;
	CHECK_EQ(pool_open(&pool, &options), 0);
	CHECK(pool != NULL);
	return pool;
}

struct pool *suite_open(const struct pool_backend_info *row, int workers)
{
	return suite_open_with(row, (struct pool_options){ .workers = workers });
}

void suite_finish(struct pool *pool)
{
	CHECK_EQ(pool_close(pool), 0);
	CHECK_EQ(pool_join(pool, WAIT), 0);
	pool_destroy(pool);
}

struct pool_async *suite_start(struct pool *pool, struct errand errand,
			       const struct pool_policy *policy)
{
	struct pool_async *async = NULL;
	struct pool_column arg = { &errand, sizeof errand };
	CHECK_EQ(pool_apply_async(pool, suite_errand, &arg, 1, sizeof(int64_t), policy, &async), 0);
	CHECK(async != NULL);
	return async;
}

int suite_do(struct pool *pool, struct errand errand)
{
	int64_t result = -1;
	struct pool_column arg = { &errand, sizeof errand };
	int rc = pool_apply(pool, suite_errand, &arg, 1, &result, sizeof result, NULL);
	CHECK(rc || result == errand.value * errand.value);
	return rc;
}

static unsigned char filled(uint64_t i, unsigned seed)
{
	return (unsigned char)(i * 31 + (uint64_t)seed * 7 + (i >> 8));
}

void suite_fill(struct pool_bytes *bytes, uint64_t size, unsigned seed)
{
	unsigned char *data = malloc(size + 1);
	CHECK(data != NULL);
	for (uint64_t i = 0; i < size; i++)
		data[i] = filled(i, seed);
	*bytes = (struct pool_bytes){ data, size };
}

bool suite_is_flipped(struct pool_bytes got, uint64_t size, unsigned seed)
{
	const unsigned char *data = got.data;
	if (!data || got.size != size)
		return false;
	for (uint64_t i = 0; i < size; i++)
		if (data[i] != (filled(i, seed) ^ 0x5a))
			return false;
	return true;
}

int suite_count_up(void *state, struct pool_bytes item[])
{
	struct suite_counting *counting = state;
	if (counting->next == counting->end)
		return counting->last;
	counting->value = counting->next++;
	item[0].data = &counting->value;
	return 1;
}

void *suite_find_memory(const char *name)
{
	char line[512], wanted[64];
	unsigned long long at = 0;
	FILE *maps = fopen("/proc/self/maps", "re");
	snprintf(wanted, sizeof wanted, "/memfd:%s ", name);
	while (maps && fgets(line, sizeof line, maps))
		if (strstr(line, wanted) && sscanf(line, "%llx", &at) == 1)
			break;
		else
			at = 0;
	if (maps)
		fclose(maps);
	return (void *)(uintptr_t)at;
}

int suite_find_descriptor(const char *name)
{
	char wanted[64];
	snprintf(wanted, sizeof wanted, "/memfd:%s ", name);
	for (int fd = 0; fd < 256; fd++) {
		char path[64], what[80] = "";
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
		if (readlink(path, what, sizeof what - 1) > 0 && strstr(what, wanted))
			return fd;
	}
	return -1;
}

int64_t suite_arena_bytes(void)
{
	struct stat stat;
	const int fd = suite_find_descriptor("pool-arena");
	return fd >= 0 && fstat(fd, &stat) == 0 ? stat.st_blocks * 512 : 0;
}
