/* error.c - a text for every return value. */
#include "pools/pool.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	int code;
	const char *text;
} texts[] = {
	{ 0, "success" },
	{ POOL_END, "no more results" },
	{ POOL_TASK_ERROR, "the task reported an error" },
	{ POOL_WORKER_LOST, "the worker died while it ran the task" },
	{ POOL_TASK_TIMEOUT, "the task ran longer than its time limit" },
	{ POOL_TERMINATED, "the pool was terminated" },
	{ POOL_CLOSED, "the pool is closed" },
	{ POOL_INIT_FAILED, "no worker could be initialised" },
	{ POOL_ENCODE_ERROR, "an argument or result could not be delivered" },
	{ POOL_DECODE_ERROR, "a delivered result was malformed" },
	{ POOL_UNKNOWN_TASK, "the worker's program does not have this task" },
	{ POOL_NO_MAIN,
	  "this backend executes the program anew: call pool_main() first in main()" },
	{ POOL_NO_BACKEND, "no backend of that name" },
	{ POOL_BUSY, "not possible in this state" },
};

const char *pool_strerror(int rc)
{
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
		if (texts[i].code == rc)
			return texts[i].text;
	const char *text = rc < 0 && rc > -4096 ? strerrordesc_np(-rc) : NULL;
	return text ? text : "unknown error";
}

void pool_bytes_free(struct pool_bytes *bytes, uint64_t count)
{
	for (uint64_t i = 0; bytes && i < count; i++) {
		free(bytes[i].data);
		bytes[i] = (struct pool_bytes){ NULL, 0 };
	}
}

void pool_failure_clear(struct pool_failure *failure)
{
	if (!failure)
		return;
	free(failure->message);
	*failure = (struct pool_failure){ 0 };
}
