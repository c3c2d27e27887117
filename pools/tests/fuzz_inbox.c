/* fuzz_inbox.c - a worker's parser of frames: right ones of any shape, forged ones and noise, in
 * pieces. */
#include "pools/tests/fuzz.h"

#include "pools/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FRAME_MOST = 200000 };

struct worker {
	struct inbox inbox;
	struct fuzz_input *in;
	uint64_t piece_bytes;
	unsigned sum; /* of what was read of forged frames */
	bool honest, over;
};

static unsigned char content[FRAME_MOST]; /* of every payload: made once */

static void make_content(void)
{
	for (uint64_t i = 0; !content[0] && i < FRAME_MOST; i++)
		content[FRAME_MOST - 1 - i] = (unsigned char)((FRAME_MOST - 1 - i) * 29 + 5);
}

/* Every argument is read: the sanitizer sees where it lies. */
static void check_element(struct worker *w, const unsigned char *at, uint64_t size)
{
	const unsigned char *payload = w->inbox.payload;
	FUZZ_CHECK(at >= payload && (uint64_t)(at - payload) <= w->inbox.work.bytes &&
		   size <= w->inbox.work.bytes - (uint64_t)(at - payload));
	FUZZ_CHECK((uintptr_t)at % FRAME_ALIGN == 0);
	if (w->honest)
		FUZZ_CHECK(memcmp(at, content + (at - payload), size) == 0);
	else if (size)
		w->sum += (unsigned)at[0] + at[size - 1];
}

static void check_frame(struct worker *w)
{
	const struct frame_work *work = &w->inbox.work;
	FUZZ_CHECK(work->count >= 1 && work->columns <= POOL_COLUMNS_MAX);
	for (unsigned k = 0; k < work->columns; k++) {
		if (!(work->variable >> k & 1u)) {
			check_element(w, w->inbox.column[k], work->count * work->arg_size[k]);
			continue;
		}
		const struct pool_ref *refs =
			(const struct pool_ref *)(const void *)w->inbox.column[k];
		for (uint64_t i = 0; i < work->count; i++)
			check_element(w, (const unsigned char *)(uintptr_t)refs[i].at,
				      refs[i].size);
	}
	inbox_drop(&w->inbox);
}

static void parse(struct worker *w)
{
	int rc;
	while ((rc = inbox_next(&w->inbox)) == 0)
		check_frame(w);
	FUZZ_CHECK(rc == -EAGAIN || rc == -ENOMEM || !w->honest);
	w->over = rc != -EAGAIN;
}

static void arrive(struct worker *w, const unsigned char *from, uint64_t size)
{
	const uint64_t least = size / 64; /* a large frame in single bytes takes too long */
	while (size && !w->over) {
		const struct iovec room = inbox_room(&w->inbox);
		uint64_t part = w->piece_bytes > least ? w->piece_bytes : least;
		FUZZ_CHECK(room.iov_len > 0);
		part = part < size ? part : size;
		part = part < room.iov_len ? part : room.iov_len;
		memcpy(room.iov_base, from, part);
		inbox_arrived(&w->inbox, part);
		from += part;
		size -= part;
		parse(w);
	}
}

struct column {
	uint64_t size; /* POOL_VARIABLE: each element its own */
	uint64_t sizes[64];
};

static uint64_t lay_out(struct fuzz_input *in, struct column *column, uint64_t count)
{
	static const uint64_t sizes[] = { 0, 1, 8, 40, 1000, POOL_VARIABLE, POOL_VARIABLE, 3000 };
	column->size = sizes[fuzz_below(in, 8)];
	if (column->size != POOL_VARIABLE)
		return frame_padded(count * column->size);
	uint64_t bytes = frame_padded(count * sizeof(uint64_t));
	for (uint64_t i = 0; i < count; i++) {
		column->sizes[i] = fuzz_number(in, 1) * (i ? 1 : 7);
		bytes += frame_padded(column->sizes[i]);
	}
	return bytes;
}

/* Header, sizes and content of a right frame; false: it would be larger than there is room. */
static bool make_frame(struct fuzz_input *in, unsigned char *frame, uint64_t *size)
{
	struct column columns[POOL_COLUMNS_MAX];
	struct frame_work work = { .magic = FRAME_WORK, .flight = 1 };
	work.count = 1 + fuzz_below(in, 64);
	work.columns = fuzz_below(in, POOL_COLUMNS_MAX + 1) & 15;
	for (unsigned k = 0; k < work.columns; k++) {
		work.bytes += lay_out(in, &columns[k], work.count);
		work.arg_size[k] = columns[k].size;
		work.variable |= (uint32_t)(columns[k].size == POOL_VARIABLE) << k;
	}
	*size = sizeof work + work.bytes;
	if (*size > FRAME_MOST)
		return false;
	memcpy(frame, &work, sizeof work);
	memcpy(frame + sizeof work, content, work.bytes);
	unsigned char *at = frame + sizeof work;
	for (unsigned k = 0; k < work.columns; k++) {
		at += frame_padded(work.count *
				   (columns[k].size == POOL_VARIABLE ? 8 : columns[k].size));
		if (columns[k].size != POOL_VARIABLE)
			continue;
		memcpy(at - frame_padded(work.count * 8), columns[k].sizes, work.count * 8);
		for (uint64_t i = 0; i < work.count; i++)
			at += frame_padded(columns[k].sizes[i]);
	}
	return true;
}

/* Some word of the header or of the first sizes is something else. */
static void forge(struct fuzz_input *in, unsigned char *frame, uint64_t size)
{
	const uint64_t words = (size < 512 ? size : 512) / 4;
	const uint64_t at = fuzz_below(in, words) * 4, change = fuzz_number(in, 1);
	const uint64_t most = at + 8 <= size ? 8 : 4;
	if (change < 128)
		frame[at] = (unsigned char)(frame[at] + change);
	else
		fuzz_bytes(in, frame + at, change < 192 ? 4 : most);
}

static void step(struct worker *w, uint64_t deed)
{
	static unsigned char frame[FRAME_MOST];
	uint64_t size = 1 + fuzz_number(w->in, 1);
	if (deed < 6) {
		if (!make_frame(w->in, frame, &size))
			return;
		if (deed > 3) {
			w->honest = false;
			forge(w->in, frame, size);
		}
	} else {
		w->honest = false;
		memset(frame, 0, sizeof(struct frame_work));
		fuzz_bytes(w->in, frame, size);
		if (deed == 7)
			memcpy(frame, &(uint32_t){ FRAME_WORK }, 4);
	}
	arrive(w, frame, size);
}

void fuzz_inbox(const unsigned char *bytes, uint64_t size)
{
	struct fuzz_input in = { bytes, size };
	struct worker w = { .in = &in, .honest = true };
	make_content();
	FUZZ_CHECK(inbox_open(&w.inbox) == 0);
	w.piece_bytes = 1 + fuzz_number(&in, 1) * 4;
	if (w.piece_bytes > 800)
		w.piece_bytes = UINT64_MAX;
	while (in.left && !w.over)
		step(&w, fuzz_below(&in, 8));
	inbox_close(&w.inbox);
}
