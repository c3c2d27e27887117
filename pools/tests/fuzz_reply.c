/* fuzz_reply.c - the parent's parser of replies: right answers, wrong answers and noise, in pieces,
 * from workers that die at any byte. */
#include "pools/tests/fuzz.h"

#include <string.h>

static void send_answer(struct fuzz_parent *p, int worker, struct fuzz_answer *answer,
			uint64_t bytes)
{
	const uint64_t head = bytes < sizeof answer->reply ? bytes : sizeof answer->reply;
	const uint64_t body = frame_padded(answer->reply.bytes);
	fuzz_arrive(p, worker, &answer->reply, head);
	bytes -= head;
	fuzz_arrive(p, worker, answer->bytes, bytes < body ? bytes : body);
	fuzz_answer_free(answer);
}

/* One field of the header is something else; what was to follow follows. */
static void send_forged(struct fuzz_parent *p, int worker, struct fuzz_answer *answer)
{
	unsigned char *header = (unsigned char *)&answer->reply;
	const uint64_t body = frame_padded(answer->reply.bytes);
	const uint64_t word = fuzz_below(p->in, sizeof answer->reply / 4) * 4;
	const uint64_t change = fuzz_number(p->in, 1);
	p->honest = false;
	if (change < 128)
		header[word] = (unsigned char)(header[word] + change);
	else
		fuzz_bytes(p->in, header + word, change < 192 ? 4 : 8 - word % 8);
	fuzz_arrive(p, worker, &answer->reply, sizeof answer->reply);
	fuzz_arrive(p, worker, answer->bytes, body);
	fuzz_answer_free(answer);
}

static void send_noise(struct fuzz_parent *p, int worker)
{
	unsigned char noise[256];
	const uint64_t size = 1 + fuzz_number(p->in, 1);
	p->honest = false;
	fuzz_bytes(p->in, noise, size);
	fuzz_arrive(p, worker, noise, size);
}

/* Nothing of a stream goes behind a part of an answer: the worker has died. */
static void step(struct fuzz_parent *p, int worker, uint64_t deed)
{
	struct fuzz_answer answer;
	const bool fault = deed & 1;
	if (deed == 6) {
		send_noise(p, worker);
	} else if (deed == 7) {
		fuzz_die(p, worker);
	} else if (fault ? fuzz_answer_fault(p, worker, &answer)
			 : fuzz_answer_results(p, worker, &answer)) {
		const uint64_t all = sizeof answer.reply + frame_padded(answer.reply.bytes);
		if (deed < 2) {
			send_answer(p, worker, &answer, all);
		} else if (deed < 4) {
			send_answer(p, worker, &answer, fuzz_below(p->in, all));
			fuzz_die(p, worker);
		} else {
			send_forged(p, worker, &answer);
		}
	}
}

void fuzz_reply(const unsigned char *bytes, uint64_t size)
{
	struct fuzz_input in = { bytes, size };
	struct fuzz_parent parent;
	fuzz_parent_open(&parent, &in);
	while (in.left) {
		const uint64_t what = fuzz_number(&in, 1);
		step(&parent, (int)(what & 1), what >> 1 & 7);
		fuzz_turn(&parent);
	}
	fuzz_parent_close(&parent);
}
