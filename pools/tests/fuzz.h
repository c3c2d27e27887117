/*
 * fuzz.h - targets for libFuzzer (fuzz_*.c), and what they share (fuzz_input.c, fuzz_parent.c).
 *
 * A target is a function of bytes that returns, or ends the program when something is wrong. `make
 * fuzz` runs them under libFuzzer and sanitizers, test_corpus.c feeds the files of
 * pools/tests/corpus/<target> to the same functions. Adding one: a function here, its file, its name
 * in the Makefile and in test_corpus.c.
 */
#ifndef POOLS_TESTS_FUZZ_H
#define POOLS_TESTS_FUZZ_H

#include "pools/pipe_parent.h"

typedef void fuzz_target(const unsigned char *bytes, uint64_t size);
fuzz_target fuzz_reply;	 /* the parent's parser of replies */
fuzz_target fuzz_outbox; /* the parent's reading of what workers write in shared memory */
fuzz_target fuzz_inbox;	 /* a worker's parser of frames */

/* == Input == A script: numbers are taken from its front; at its end they are 0. */
struct fuzz_input {
	const unsigned char *at;
	uint64_t left;
};

uint64_t fuzz_number(struct fuzz_input *in, unsigned bytes); /* 1 .. 8 of them */
uint64_t fuzz_below(struct fuzz_input *in, uint64_t bound);  /* 0 .. bound - 1; one or two bytes */
void fuzz_bytes(struct fuzz_input *in, void *to, uint64_t size);

/* Ends the program: a promise is broken. */
#define FUZZ_CHECK(condition) ((condition) ? (void)0 : fuzz_fail(__FILE__, __LINE__, #condition))
_Noreturn void fuzz_fail(const char *file, int line, const char *text);

/* == A parent == with workers that are scripts: no processes, and of descriptors only one that nothing comes from. */
enum { FUZZ_WORKERS = 2 };

struct fuzz_parent {
	struct pool pool;
	struct pool_transport *t;
	struct pool_job *job;
	struct fuzz_input *in;
	uint64_t piece_bytes;	      /* so many bytes arrive at once */
	bool honest;		      /* workers have done nothing wrong so far */
	int kills[FUZZ_WORKERS];      /* signals sent */
	uint64_t ahead[FUZZ_WORKERS]; /* items answered that the parent does not know of */
	uint32_t over[FUZZ_WORKERS];  /* the last flight that was dropped */
};

void fuzz_parent_open(struct fuzz_parent *p, struct fuzz_input *in);
/* Bytes come out of the worker's pipe. */
void fuzz_arrive(struct fuzz_parent *p, int worker, const void *bytes, uint64_t size);
/* A right answer for the next items of the worker's front flight: results of some or the failure of
 * one. False: there are no such items. */
struct fuzz_answer {
	struct frame_reply reply;
	unsigned char *bytes; /* reply.bytes, padded; fuzz_answer_free */
};
/* Of a cancelled job also that the rest was dropped. */
bool fuzz_answer_results(struct fuzz_parent *p, int worker, struct fuzz_answer *answer);
bool fuzz_answer_fault(struct fuzz_parent *p, int worker, struct fuzz_answer *answer);
void fuzz_answer_free(struct fuzz_answer *answer);
/* The worker dies and has a successor. */
void fuzz_die(struct fuzz_parent *p, int worker);
/* What the parent does now and then. */
void fuzz_turn(struct fuzz_parent *p);
/* All die, the rest is cancelled: every item must have its one outcome, and right results. */
void fuzz_parent_close(struct fuzz_parent *p);

#endif
