/*
 * test_corpus.c - feeds the files of pools/tests/corpus/<target> to the targets of fuzz.h, without
 * libFuzzer: what fuzzing once found, and what reaches every line it has reached.
 */
#include "pools/tests/fuzz.h"
#include "pools/tests/suite.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MOST = 65536 };

static void feed_file(fuzz_target *target, const char *directory, const char *name)
{
	static unsigned char bytes[BYTES_MOST];
	char path[512];
	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *file = fopen(path, "re");
	CHECK(file != NULL);
	size_t size = fread(bytes, 1, sizeof bytes, file);
	fclose(file);
	unsigned char *exact =
		malloc(size + 1); /* of its own size: a sanitizer sees who reads past it */
	CHECK(exact != NULL);
	for (size_t i = 0; i < size; i++)
		exact[i] = bytes[i];
	target(exact, size);
	free(exact);
}

/* Tests run in the project's directory. No file at all is a failure: then nothing was tested. */
static void replay(const struct pool_backend_info *row, fuzz_target *target, const char *name)
{
	char directory[64];
	int files = 0;
	if (strcmp(row->name, "fork-pipe") != 0)
		return; /* once is enough: no pool is opened */
	snprintf(directory, sizeof directory, "pools/tests/corpus/%s", name);
	DIR *entries = opendir(directory);
	CHECK(entries != NULL);
	for (const struct dirent *entry; (entry = readdir(entries));)
		if (entry->d_name[0] != '.') {
			feed_file(target, directory, entry->d_name);
			files++;
		}
	closedir(entries);
	CHECK(files > 0);
}

static void replies_of_all_kinds_harm_nothing(const struct pool_backend_info *row)
{
	replay(row, fuzz_reply, "reply");
}

static void outboxes_of_all_kinds_harm_nothing(const struct pool_backend_info *row)
{
	replay(row, fuzz_outbox, "outbox");
}

static void frames_of_all_kinds_harm_nothing(const struct pool_backend_info *row)
{
	replay(row, fuzz_inbox, "inbox");
}

/* == What no script finds == */

static const unsigned char zeros[8192];

/* The next `count` results of 8 bytes each, and so many bytes of them; run_ns is what makes flights worth cutting. */
static void send_results(struct fuzz_parent *p, int worker, uint64_t count, uint64_t bytes)
{
	const struct deal_flight *flight = deal_front(p->t->deal, worker);
	const struct frame_reply reply = {
		.magic = FRAME_RESULT,
		.flight = flight->number,
		.at = flight->at + flight->done,
		.count = count,
		.bytes = count * 8,
		.run_ns = count * MS,
	};
	fuzz_arrive(p, worker, &reply, sizeof reply);
	fuzz_arrive(p, worker, zeros, bytes);
}

/* A worker says that it sends all of its flight, and in shared memory that it has begun nothing of it: what is being received
 * was cut off, and so were counted twice, and more accepted than there was room for. */
static void what_is_being_received_is_not_cut_off(const struct pool_backend_info *row)
{
	static const unsigned char script[] = { 255, 0, 2, 0, 0, 23 }; /* 24 items, chunk 1 */
	struct fuzz_input in = { script, sizeof script };
	struct fuzz_parent p;
	if (strcmp(row->name, "fork-pipe") != 0)
		return;
	fuzz_parent_open(&p, &in);
	p.honest = false;
	CHECK_EQ(p.job->count, 24);
	CHECK_EQ(p.job->result_size, 8);
	send_results(&p, 0, 1, frame_padded(8));
	deal_out(p.t->deal);
	const struct deal_flight *flight = deal_front(p.t->deal, 0);
	const uint64_t all = flight->count;
	CHECK(all > 2);
	send_results(&p, 0, all, 8);
	for (int turn = 0; turn < 24 && deal_front(p.t->deal, 1); turn++) {
		send_results(&p, 1, 1, frame_padded(8));
		deal_out(p.t->deal);
	}
	CHECK_EQ(flight->count, all);
	CHECK(deal_flight(p.t->deal, 0, 1)->count == 0); /* that one was */
	fuzz_arrive(&p, 0, zeros, frame_padded(all * 8) - 8);
	CHECK_EQ(p.job->resolved, 24);
	CHECK_EQ(p.kills[0], 0);
	fuzz_parent_close(&p);
}

static const struct suite_case cases[] = {
	CASE(what_is_being_received_is_not_cut_off, 0),
	CASE(replies_of_all_kinds_harm_nothing, 0),
	CASE(outboxes_of_all_kinds_harm_nothing, 0),
	CASE(frames_of_all_kinds_harm_nothing, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
