/*
 * shm_wake.c - who is woken, by the parent or by a worker, and when. See shm.h.
 */
#include "pools/shm_parent.h"
#include "pools/shm_port.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int64_t LOOK_NS =
	100000000; /* a task may have closed the descriptor that wakes the parent; who was roused may be stopped */
static const int64_t NEWS_NS = 100000, HELD_NS = 5000000; /* see shm.h */

void shm_futex_wake(uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool shm_rouse(struct shm_desk *desk, enum desk_rest rest)
{
	uint32_t seen = __atomic_load_n(&desk->rest, __ATOMIC_RELAXED);
	if (seen != rest || !__atomic_compare_exchange_n(&desk->rest, &seen, DESK_AWAKE, false,
							 __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		return false;
	if (rest == DESK_ASLEEP)
		shm_futex_wake(&desk->rest);
	return true;
}

/* ---- by the parent ---- */

static bool rouse(struct pool_transport *t, unsigned worker, enum desk_rest rest)
{
	const bool roused = shm_rouse(&t->view.desk[worker], rest);
	if (roused)
		t->hope[worker].since_ns = 0; /* it may take a while to wake up */
	return roused;
}

/* Full fence first: pairs with the one after a worker has said that it sleeps. */
void shm_wake(struct pool_transport *t, uint64_t most)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < t->workers && most; i++)
		most -= rouse(t, i, DESK_LOOKING);
	for (unsigned i = 0; i < t->workers && most; i++)
		most -= rouse(t, i, DESK_ASLEEP);
}

/* Also who seems to be awake: a worker that roused somebody may have been killed before it told the kernel. */
void shm_wake_all(struct pool_transport *t)
{
	for (unsigned i = 0; i < t->workers; i++) {
		__atomic_exchange_n(&t->view.desk[i].rest, DESK_AWAKE, __ATOMIC_SEQ_CST);
		shm_futex_wake(&t->view.desk[i].rest);
	}
}

static bool is_awake(const struct pool_transport *t, unsigned worker)
{
	return __atomic_load_n(&t->view.desk[worker].rest, __ATOMIC_RELAXED) == DESK_AWAKE &&
	       t->pool->hand[worker].state == HAND_RUNNING &&
	       __atomic_load_n(&t->board->ledger[worker].phase, __ATOMIC_RELAXED) ==
		       POOL_PHASE_READY;
}

static bool is_in_long_claim(const struct shm_desk *desk, int64_t now_ns)
{
	return __atomic_load_n(&desk->kind, __ATOMIC_RELAXED) != DESK_FREE &&
	       now_ns - __atomic_load_n(&desk->claimed_ns, __ATOMIC_RELAXED) >= SHM_WAKE_NS;
}

/* Who is awake, and will soon look for something in this slot, or is in another one? */
static void count_awake(const struct pool_transport *t, uint32_t slot, uint64_t *here,
			uint64_t *elsewhere)
{
	const int64_t now_ns = pool_now_ns();
	*here = *elsewhere = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < t->workers; i++) {
		const struct shm_desk *desk = &t->view.desk[i];
		if (!is_awake(t, i))
			continue;
		const uint32_t active = __atomic_load_n(&desk->active, __ATOMIC_RELAXED);
		if (active != 0 && active != slot + 1)
			++*elsewhere;
		else if (active == 0 || !is_in_long_claim(desk, now_ns))
			++*here;
	}
}

/* Is what is done in this slot known to be short? */
static bool is_brief(const struct pool_transport *t, uint32_t slot)
{
	if (slot >= SHM_SLOTS || !t->job[slot])
		return true; /* nothing is done there any more */
	const struct shm_slot *s = shm_slot(&t->view, slot);
	return __atomic_load_n(&s->pace, __ATOMIC_RELAXED) == PACE_SHORT ||
	       s->task == __atomic_load_n(&t->view.area->short_task, __ATOMIC_RELAXED);
}

/* One that has been counted on and does not get on may be stopped, or have lost its CPU. */
static bool gets_on(struct pool_transport *t, unsigned worker, int64_t now_ns)
{
	struct shm_hope *hope = &t->hope[worker];
	const uint64_t claim =
		__atomic_load_n(&t->board->ledger[worker].progress, __ATOMIC_RELAXED) >> 32;
	if (claim != hope->claim || hope->since_ns == 0)
		*hope = (struct shm_hope){ claim, now_ns };
	return now_ns - hope->since_ns < NEWS_NS;
}

/* Who is awake and will soon look for something wherever there is any, up to `most`. */
static uint64_t count_coming(struct pool_transport *t, uint64_t most)
{
	const int64_t now_ns = pool_now_ns();
	uint64_t coming = 0;
	for (unsigned i = 0; i < t->workers && coming < most; i++) {
		const struct shm_desk *desk = &t->view.desk[i];
		const uint32_t active = __atomic_load_n(&desk->active, __ATOMIC_ACQUIRE);
		coming += is_awake(t, i) &&
			  (active == 0 ||
			   (!is_in_long_claim(desk, now_ns) && is_brief(t, active - 1))) &&
			  gets_on(t, i, now_ns);
	}
	return coming;
}

/* Once it is waited for, for as long as a wake-up and a short claim take. */
static bool is_short(const struct pool_transport *t, struct shm_job *work, const struct shm_slot *s)
{
	const int64_t end_ns = work->waited ? 0 : pool_now_ns() + NEWS_NS;
	uint32_t pace;
	while ((pace = __atomic_load_n(&s->pace, __ATOMIC_RELAXED)) == PACE_UNKNOWN &&
	       !work->waited)
		work->waited = !pump_yield(t->pool) || pool_now_ns() > end_ns;
	return pace == PACE_SHORT;
}

/* Whoever leads may have gone to sleep for long. */
static void hold(struct pool_transport *t)
{
	t->held = true;
	if (t->doze_ns <= HELD_NS)
		return;
	t->doze_ns = 0;
	pump_kick(t->pool);
}

/* Awake and at nothing: before it rests it looks for what is published by now. Read in this order, as who leaves says so
 * before it is at nothing. */
static uint64_t count_free(struct pool_transport *t, uint64_t most)
{
	const int64_t now_ns = pool_now_ns();
	uint64_t free = 0;
	for (unsigned i = 0; i < t->workers && free < most; i++)
		free += __atomic_load_n(&t->view.desk[i].kind, __ATOMIC_ACQUIRE) == DESK_FREE &&
			is_awake(t, i) && gets_on(t, i, now_ns);
	return free;
}

/* Single calls and what is as small: they come one after the other. Who looks has a lane here, and costs nothing. Who is free
 * comes by itself, and to nothing else if there is nothing else. With more workers than CPUs it is enough that as many are
 * awake as there are CPUs, while calls are short. */
static void wake_for_few(struct pool_transport *t, const struct shm_slot *s, uint64_t claims)
{
	const uint64_t jobs = (uint64_t)__builtin_popcountll(t->taken);
	const uint64_t most = shm_least((uint64_t)t->pool->cpus, jobs - 1 + claims);
	uint64_t roused = 0, free = 0;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (uint64_t i = 0; i < claims; i++)
		roused += rouse(t, t->rank[i], DESK_LOOKING);
	if (!roused && jobs == 1) /* else who was roused would be counted again */
		free = count_free(t, claims);
	const uint64_t left = claims - roused - free;
	uint64_t now = left;
	if (left && pool_is_crowded(t->pool) &&
	    s->task == __atomic_load_n(&t->view.area->short_task, __ATOMIC_RELAXED))
		now = shm_least(left, most - count_coming(t, most));
	shm_wake(t, now);
	if (now < left || free)
		hold(t);
}

/* There is so much to be claimed. A stream goes on, however little comes at a time. */
void shm_wake_for(struct pool_transport *t, struct shm_job *work, uint64_t claims)
{
	const struct shm_slot *s = shm_slot(&t->view, (unsigned)work->slot);
	const uint64_t cpus = (uint64_t)t->pool->cpus;
	const bool crowded = pool_is_crowded(t->pool);
	if (!s->stream && s->count <= shm_least(cpus, t->workers)) {
		wake_for_few(t, s, claims);
		return;
	}
	if (!crowded || claims == 0 || (!s->stream && claims <= cpus)) {
		shm_wake(t, claims);
		return;
	}
	uint64_t here, elsewhere;
	count_awake(t, (uint32_t)work->slot, &here, &elsewhere);
	const uint64_t first = here < cpus ? shm_least(cpus - here, claims) : 0;
	shm_wake(t, first);
	if (first == claims)
		return;
	work->waited = work->waited || elsewhere >= cpus; /* nobody would answer soon */
	if (is_short(t, work, s))
		hold(t);
	else
		shm_wake(t, claims - first);
}

/* ---- what nobody has claimed ---- */

static bool waits_for_a_worker(const struct pool_transport *t, int slot)
{
	const struct shm_slot *s = shm_slot(&t->view, (unsigned)slot);
	return shm_has_work(s, t->workers) && !__atomic_load_n(&s->closed, __ATOMIC_RELAXED);
}

static bool anybody_rests(const struct pool_transport *t)
{
	for (unsigned i = 0; i < t->workers; i++)
		if (__atomic_load_n(&t->view.desk[i].rest, __ATOMIC_RELAXED) != DESK_AWAKE)
			return true;
	return false;
}

/* Maybe somebody was not woken for it, as those who were at it would soon come for it. */
static void look_for_held(struct pool_transport *t, int64_t now_ns)
{
	if (!t->held || now_ns - t->held_ns < HELD_NS)
		return;
	t->held = false;
	t->held_ns = now_ns;
	for (int slot = 0; slot < SHM_SLOTS && anybody_rests(t); slot++) {
		if (!t->job[slot] || !waits_for_a_worker(t, slot))
			continue;
		struct shm_job *work = t->job[slot]->transport_data;
		const uint64_t done = shm_done(t, shm_slot(&t->view, (unsigned)slot));
		if (done == work->looked)
			shm_wake(t, t->workers);
		work->looked = done;
		t->held = true;
	}
}

/* Whoever is roused for something may be stopped, and nobody else would come for it. So if there is something at two looks
 * one after the other, one more is roused. */
static void look_for_leftovers(struct pool_transport *t, int64_t now_ns)
{
	bool any = false;
	if (now_ns - t->looked_ns < LOOK_NS)
		return;
	for (int slot = 0; slot < SHM_SLOTS && !any; slot++)
		any = t->job[slot] && waits_for_a_worker(t, slot);
	if (any && t->left_over)
		shm_wake(t, 1);
	t->left_over = any;
	t->looked_ns = now_ns;
}

int64_t shm_look(struct pool_transport *t, int64_t now_ns)
{
	look_for_leftovers(t, now_ns);
	look_for_held(t, now_ns);
	return t->held ? t->held_ns + HELD_NS - now_ns : LOOK_NS;
}

/* ---- by a worker ---- */

/* One worker that rests, if any: there is something for it. The fence pairs with the one in rest. */
void shm_wake_one(struct pool_port *p)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	for (enum desk_rest rest = DESK_LOOKING; rest >= DESK_ASLEEP; rest--)
		for (uint32_t i = 0; i < p->view->area->workers; i++)
			if (i != p->worker && shm_rouse(&p->view->desk[i], rest))
				return;
}

/* Everybody who is awake, the parent included, has a CPU. */
bool shm_cpu_is_free(const struct pool_port *p)
{
	uint32_t awake = !__atomic_load_n(&p->view->area->parent_asleep, __ATOMIC_RELAXED);
	for (uint32_t i = 0; i < p->view->area->workers && awake <= p->board->cpus; i++)
		awake += __atomic_load_n(&p->view->desk[i].rest, __ATOMIC_RELAXED) != DESK_ASLEEP;
	return awake <= p->board->cpus;
}

void shm_wake_more(struct pool_port *p)
{
	if (!shm_is_crowded(p) || shm_cpu_is_free(p) ||
	    __atomic_load_n(&p->at->pace, __ATOMIC_RELAXED) != PACE_SHORT)
		shm_wake_one(p);
}
