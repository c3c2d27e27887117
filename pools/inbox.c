/* inbox.c - see inbox.h. */
#include "pools/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INBOX_BYTES = 64 * 1024, KEEP_BYTES = 1 << 20 };
static const uint64_t READ_MOST = UINT64_C(1) << 30;

int inbox_open(struct inbox *in)
{
	void *buffer = NULL;
	if (posix_memalign(&buffer, 64, INBOX_BYTES))
		return -ENOMEM;
	in->buffer = buffer;
	return 0;
}

void inbox_close(struct inbox *in)
{
	inbox_drop(in);
	free(in->large);
	free(in->buffer);
}

void inbox_drop(struct inbox *in)
{
	for (unsigned k = 0; k < POOL_COLUMNS_MAX; k++) {
		free(in->refs[k]);
		in->refs[k] = NULL;
	}
	if (in->large_room > KEEP_BYTES) {
		free(in->large);
		in->large = NULL;
		in->large_room = 0;
	}
	in->work.count = 0;
	in->work.columns = 0;
}

/* ---- bytes ---- */

static bool is_large(const struct inbox *in)
{
	return in->in_payload && in->work.bytes > INBOX_BYTES;
}

/* What the buffer must hold before anything can be done. */
static uint64_t wanted(const struct inbox *in)
{
	return in->in_payload ? in->work.bytes : sizeof in->work;
}

/* What is wanted stands at the start of the buffer if it would not fit behind what was consumed. */
struct iovec inbox_room(struct inbox *in)
{
	if (is_large(in)) {
		uint64_t left = in->work.bytes - in->large_have;
		return (struct iovec){ in->large + in->large_have,
				       left < READ_MOST ? left : READ_MOST };
	}
	if (in->used == in->have)
		in->used = in->have = 0;
	if (in->used + wanted(in) > INBOX_BYTES) {
		memmove(in->buffer, in->buffer + in->used, in->have - in->used);
		in->have -= in->used;
		in->used = 0;
	}
	return (struct iovec){ in->buffer + in->have, INBOX_BYTES - in->have };
}

void inbox_arrived(struct inbox *in, uint64_t bytes)
{
	if (is_large(in))
		in->large_have += bytes;
	else
		in->have += bytes;
}

/* ---- frames ---- */

/* What of a large payload came along with the header. */
static int begin_large(struct inbox *in)
{
	uint64_t size = in->work.bytes, have = in->have - in->used;
	if (in->large_room < size) {
		free(in->large);
		in->large_room = 0;
		if (posix_memalign((void **)&in->large, 64, size)) {
			in->large = NULL;
			return -ENOMEM;
		}
		in->large_room = size;
	}
	in->large_have = have < size ? have : size;
	memcpy(in->large, in->buffer + in->used, in->large_have);
	in->used += in->large_have;
	return 0;
}

static bool plausible(const struct frame_work *work)
{
	const uint32_t known = ((1u << work->columns % 32) - 1) | POOL_VARIABLE_RESULT;
	if ((work->magic != FRAME_WORK && work->magic != FRAME_STREAM) ||
	    work->columns > POOL_COLUMNS_MAX || work->variable & ~known)
		return false;
	if (work->variable & POOL_VARIABLE_RESULT && work->result_size != sizeof(struct pool_ref))
		return false;
	return work->count >= 1 && work->count <= UINT32_MAX &&
	       work->result_size <= FRAME_BYTES_MOST && work->bytes <= FRAME_BYTES_MOST;
}

static int begin_frame(struct inbox *in)
{
	memcpy(&in->work, in->buffer + in->used, sizeof in->work);
	in->used += sizeof in->work;
	if (in->work.magic == FRAME_QUIT)
		return POOL_END;
	if (!plausible(&in->work))
		return -EPROTO;
	in->in_payload = true;
	return is_large(in) ? begin_large(in) : 0;
}

/* What is left of the payload. */
struct rest {
	unsigned char *at;
	uint64_t bytes;
};

/* `count` elements of it; NULL: it does not have them. */
static unsigned char *take(struct rest *rest, uint64_t count, uint64_t size)
{
	unsigned char *at = rest->at;
	uint64_t bytes;
	if (__builtin_mul_overflow(count, size, &bytes) || bytes > rest->bytes ||
	    frame_padded(bytes) > rest->bytes)
		return NULL;
	rest->at += frame_padded(bytes);
	rest->bytes -= frame_padded(bytes);
	return at;
}

static int map_variable(struct inbox *in, struct rest *rest, unsigned k)
{
	const uint64_t *sizes = (uint64_t *)(void *)take(rest, in->work.count, sizeof *sizes);
	if (!sizes)
		return -EPROTO;
	in->refs[k] = malloc(in->work.count * sizeof(struct pool_ref));
	if (!in->refs[k])
		return -ENOMEM;
	in->column[k] = (const unsigned char *)in->refs[k];
	for (uint64_t i = 0; i < in->work.count; i++) {
		const unsigned char *at = take(rest, 1, sizes[i]);
		if (!at)
			return -EPROTO;
		in->refs[k][i] = (struct pool_ref){ (uint64_t)(uintptr_t)at, sizes[i] };
	}
	return 0;
}

/* The columns' places in the payload; for variable size, references to each element. */
static int map_columns(struct inbox *in)
{
	struct rest rest = { in->payload, in->work.bytes };
	for (unsigned k = 0; k < in->work.columns; k++) {
		int rc = 0;
		if (in->work.variable >> k & 1u)
			rc = map_variable(in, &rest, k);
		else if (!(in->column[k] = take(&rest, in->work.count, in->work.arg_size[k])))
			rc = -EPROTO;
		if (rc)
			return rc;
	}
	return rest.bytes ? -EPROTO : 0;
}

int inbox_next(struct inbox *in)
{
	if (!in->in_payload) {
		if (in->have - in->used < sizeof in->work)
			return -EAGAIN;
		int rc = begin_frame(in);
		if (rc)
			return rc;
	}
	if (is_large(in)) {
		if (in->large_have < in->work.bytes)
			return -EAGAIN;
		in->payload = in->large;
	} else {
		if (in->have - in->used < in->work.bytes)
			return -EAGAIN;
		in->payload = in->buffer + in->used;
		in->used += in->work.bytes;
	}
	in->in_payload = false;
	return map_columns(in);
}
