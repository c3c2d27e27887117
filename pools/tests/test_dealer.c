/* test_dealer.c - the dealer alone: who is sent what, on a wire that only takes notes. See deal.h. */
#include "pools/deal_deck.h"
#include "pools/pool_core.h"
#include "pools/tests/suite.h"

#include <string.h>

enum { CROWD = 16, N = 3000, SHORT_NS = 1000 };

struct paper {
	bool news;	      /* something has come that nobody has looked at */
	int flights;	      /* sent */
	int64_t waited_ns;    /* for news */
	uint64_t cut;	      /* items */
	uint64_t behind;      /* the last flight sent */
	uint64_t items, most; /* sent; in one flight */
};

struct desk { /* a dealer, its wire and jobs */
	struct paper paper;
	struct pool pool;
	struct deal *deal;
};

static bool can_send(void *wire, int worker)
{
	(void)worker;
	return wire != NULL;
}

static int note_flight(void *wire, int worker, const struct deal_flight *flight)
{
	struct paper *paper = wire;
	paper->flights++;
	(void)worker;
	paper->items += flight->count;
	paper->behind = flight->behind;
	if (flight->count > paper->most)
		paper->most = flight->count;
	return 0;
}

static void recall_nothing(void *wire, int worker, const struct deal_flight *flight)
{
	(void)wire;
	(void)worker;
	(void)flight;
}

/* Says that the first item of each flight has begun. */
static uint64_t cut_off(void *wire, int worker, const struct deal_flight *flight, uint64_t most,
			bool *all)
{
	struct paper *paper = wire;
	(void)worker;
	const uint64_t left = flight->count - 1, count = left < most ? left : most;
	*all = count == left;
	paper->cut += count;
	return count;
}

static bool has_news(void *wire, int64_t most_ns)
{
	struct paper *paper = wire;
	paper->waited_ns += most_ns;
	return paper->news;
}

static void desk_open(struct desk *desk, int cpus, bool news)
{
	*desk = (struct desk){ .paper.news = news, .pool.workers = CROWD };
	const struct deal_wire wire = { &desk->paper,	can_send, note_flight,
					recall_nothing, cut_off,  has_news };
	desk->deal = deal_open(&wire, &(struct deal_crew){ CROWD, cpus, false, false });
	CHECK(desk->deal);
}

static struct pool_job *publish(struct desk *desk)
{
	struct pool_job *job = job_new(&desk->pool, NULL, NULL);
	CHECK(job);
	job->count = N;
	CHECK_EQ(deal_prepare(desk->deal, job), 0);
	deal_publish(desk->deal, job);
	return job;
}

static void put_away(struct desk *desk, struct pool_job *job)
{
	deal_retire(desk->deal, job);
	deal_collect(desk->deal, job);
	job_free(job);
}

static int workers_with_something(const struct desk *desk)
{
	int workers = 0;
	for (int i = 0; i < CROWD; i++)
		workers += deal_outstanding(desk->deal, i) > 0;
	return workers;
}

/* The first worker's first flight took so long an item. */
static void answer(struct desk *desk, uint64_t item_ns)
{
	deal_done(desk->deal, 0, 1, item_ns);
}

static bool is_once(const struct pool_backend_info *row) /* no pool is opened */
{
	return strcmp(row->name, "fork-pipe") == 0;
}

/* Each of 64 workers on 2 CPUs was woken for one of 3000 empty tasks, and each for another small part of the rest. */
static void few_of_a_crowd_are_woken_for_short_items(const struct pool_backend_info *row)
{
	struct desk desk;
	if (!is_once(row))
		return;
	desk_open(&desk, 2, true);
	struct pool_job *job = publish(&desk);
	CHECK(!deal_out(desk.deal)); /* to go on when what has come was looked at */
	CHECK_EQ(desk.paper.flights, 2);
	CHECK(desk.paper.waited_ns > 0);
	answer(&desk, 10);
	deal_out(desk.deal); /* 30 us in all */
	CHECK_EQ(desk.paper.flights, 3);
	CHECK_EQ(desk.paper.items, N);
	put_away(&desk, job);
	deal_close(desk.deal);
}

/* News that tell nothing of how long items take keep them only until somebody has looked. */
static void items_that_may_be_long_go_to_everybody(const struct pool_backend_info *row)
{
	if (!is_once(row))
		return;
	for (int news = 0; news < 2; news++) {
		struct desk desk;
		desk_open(&desk, 2, news);
		struct pool_job *job = publish(&desk);
		deal_out(desk.deal);
		CHECK_EQ(workers_with_something(&desk), news ? 2 : CROWD);
		desk.paper.news = false;
		deal_out(desk.deal);
		CHECK_EQ(workers_with_something(&desk), CROWD);
		CHECK_EQ(desk.paper.most, 1);
		put_away(&desk, job);
		deal_close(desk.deal);
	}
}

/* 3 ms of short items are worth some more than the CPUs, but not all; of long ones, and where each worker has a CPU, all are. */
static void workers_are_woken_for_what_there_is(const struct pool_backend_info *row)
{
	static const struct {
		int cpus;
		uint64_t count, item_ns;
		int least, most;
	} cases[] = { { 2, N, SHORT_NS, 3, CROWD - 1 },
		      { 2, 2 * CROWD, 100000, CROWD, CROWD },
		      { CROWD, N, SHORT_NS, CROWD, CROWD } };
	if (!is_once(row))
		return;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct desk desk;
		desk_open(&desk, cases[i].cpus, true);
		struct pool_job *job = publish(&desk);
		job->count = cases[i].count;
		deal_out(desk.deal);
		answer(&desk, cases[i].item_ns);
		desk.paper.news = false;
		deal_out(desk.deal);
		CHECK(workers_with_something(&desk) >= cases[i].least);
		CHECK(workers_with_something(&desk) <= cases[i].most);
		CHECK(deal_held(desk.deal) == (cases[i].most < CROWD));
		put_away(&desk, job);
		deal_close(desk.deal);
	}
}

/* What waits for workers that do not get on goes to all others, an item each; and it keeps nobody from another job. */
static void what_is_held_back_comes_to_no_harm(const struct pool_backend_info *row)
{
	struct desk desk;
	if (!is_once(row))
		return;
	desk_open(&desk, 2, true);
	struct pool_job *job = publish(&desk);
	deal_out(desk.deal);
	answer(&desk, SHORT_NS);
	desk.paper.news = false;
	deal_out(desk.deal);
	CHECK(deal_held(desk.deal));
	const int before = workers_with_something(&desk);

	struct pool_job *other = publish(&desk);
	deal_out(desk.deal);
	CHECK_EQ(workers_with_something(&desk), CROWD);
	for (int i = before; i < CROWD; i++)
		CHECK(deal_holds(desk.deal, i, other));
	for (int i = before; i < CROWD; i++)
		deal_done(desk.deal, i, 1, 100000000);
	other->cancelled = true;
	deal_cancel(desk.deal, other);

	suite_sleep_ns(50 * MS); /* what was sent was to take less than 1 ms */
	desk.paper.most = 0;
	deal_out(desk.deal);
	CHECK_EQ(workers_with_something(&desk), CROWD);
	CHECK_EQ(desk.paper.most, 1);
	CHECK(desk.paper.cut > 0); /* all of them had been sent several */
	put_away(&desk, other);
	put_away(&desk, job);
	deal_close(desk.deal);
}

/* The last items were taken for some with many behind them, when others that had come back were dealt later: a worker began all
 * of them together, and they waited for each other. */
static void what_comes_back_is_not_behind_later_items(const struct pool_backend_info *row)
{
	struct desk desk;
	if (!is_once(row))
		return;
	desk_open(&desk, CROWD, false);
	struct pool_job *job = publish(&desk);
	deal_out(desk.deal);
	CHECK_EQ(workers_with_something(&desk), CROWD);
	CHECK_EQ(desk.paper.behind, N - CROWD);
	const struct deal_end end = { .peaceful = true };
	deal_lost(desk.deal, 1, &end);
	deal_lost(desk.deal, 2, &end); /* item 2 lies on top of item 1 */
	deal_out(desk.deal);
	CHECK_EQ(desk.paper.behind, N - CROWD); /* of item 1, which went last */
	deal_lost(desk.deal, 2, &end);
	deal_lost(desk.deal, 1, &end); /* again: item 1 went to worker 2 */
	struct deal_flight flight;
	deck_take(deck_of(job), &flight, 1);
	CHECK_EQ(flight.index, 2);
	CHECK_EQ(flight.behind, N - CROWD);
	put_away(&desk, job);
	deal_close(desk.deal);
}

static const struct suite_case cases[] = {
	CASE(few_of_a_crowd_are_woken_for_short_items, 0),
	CASE(items_that_may_be_long_go_to_everybody, 0),
	CASE(workers_are_woken_for_what_there_is, 0),
	CASE(what_is_held_back_comes_to_no_harm, 0),
	CASE(what_comes_back_is_not_behind_later_items, 0),
};

int main(int argc, char **argv)
{
	pool_main(&argc, &argv);
	return suite_main(argc, argv, cases, COUNT(cases));
}
