/*
 * houses.c - pools that are opened, used by several threads, and ended in all the ways there are.
 *
 * DESIGN. A place holds one house at a time. Whoever ends a house may let others in meanwhile, so
 * they meet a pool that is closed or terminated under their hands; then nobody enters any more, and
 * when the last one has left (the guard) the pool is destroyed.
 */
#include "scripts/chaos/chaos.h"

#include <errno.h>
#include <stdlib.h>

enum place_state { PLACE_EMPTY, PLACE_OPEN, PLACE_LINGERS, PLACE_SHUT };

static struct place {
	pthread_mutex_t lock;
	struct house *house;
	enum place_state state;
	uint64_t generation;
} places[CHAOS_HOUSES];

void houses_open(void)
{
	for (int i = 0; i < CHAOS_HOUSES; i++) {
		places[i] = (struct place){ .house = NULL };
		pthread_mutex_init(&places[i].lock, NULL);
	}
}

/* ---- references ---- */

void house_ref(struct house *house)
{
	__atomic_add_fetch(&house->refs, 1, __ATOMIC_RELAXED);
}

void house_unref(struct house *house)
{
	if (__atomic_sub_fetch(&house->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	pthread_rwlock_destroy(&house->guard);
	free(house);
}

bool house_reenter(struct house *house)
{
	return pthread_rwlock_rdlock(&house->guard) == 0;
}

/* ---- opening ---- */

static void choose_initializer(struct house *house, struct dice *dice, unsigned can,
			       struct pool_options *options, struct init_argument *argument)
{
	uint64_t luck = dice_below(dice, 10);
	if (!dice_percent(dice, 35))
		return;
	*argument = (struct init_argument){
		.house = (uint32_t)house->place,
		.fails_each = luck == 0	  ? 1
			      : luck == 1 ? 4
					  : 0,
		.dies = can & POOL_CAN_SURVIVE && dice_percent(dice, 50),
	};
	if (!(can & POOL_CAN_REUSE) && argument->fails_each > 1)
		argument->fails_each = 0;
	options->initializer = chaos_initializer;
	options->finalizer = chaos_finalizer;
	options->initializer_arg = argument;
	options->initializer_arg_size = sizeof *argument;
	house->has_local = true;
	house->init_fails = argument->fails_each == 1;
}

static enum house_mode choose_mode(struct dice *dice, unsigned can)
{
	uint64_t mode = dice_below(dice, 20);
	if (!(can & POOL_CAN_KILL) || !(can & POOL_CAN_SURVIVE) || mode < 8)
		return HOUSE_QUIET;
	return mode < 17 ? HOUSE_HUNTED : HOUSE_DOOMED;
}

static struct house *house_open(struct thread *thread, int place, uint64_t generation)
{
	struct dice dice = dice_of(thread->options->seed, 100 + (uint64_t)place, generation);
	const unsigned can = thread->options->row->can;
	struct init_argument argument = { 0 };
	struct house *house = calloc(1, sizeof *house);
	if (!house)
		finding(thread, "no memory");
	house->refs = 1;
	house->place = place;
	house->mode = choose_mode(&dice, can);
	house->kills_before = __atomic_load_n(&chaos_shared->kills[place], __ATOMIC_SEQ_CST);
	struct pool_options options = {
		.backend = thread->options->row->name,
		.workers = (int)(1 + dice_below(&dice, CHAOS_WORKERS_MAX)),
		.grace_ns = (int64_t)(20 + dice_below(&dice, 80)) * CHAOS_MS,
		.pin = dice_percent(&dice, 10),
	};
	choose_initializer(house, &dice, can, &options, &argument);
	if (dice_percent(&dice, 25))
		options.tasks_per_worker = (int64_t)(1 + dice_below(&dice, 60));
	if (can & POOL_CAN_KILL && dice_percent(&dice, 25))
		options.task_timeout_ns = (int64_t)(100 + dice_below(&dice, 300)) * CHAOS_MS;
	house->limited = options.task_timeout_ns;
	house->slow = (can & POOL_CAN_ISOLATE && !(can & POOL_CAN_REUSE)) ||
		      (options.tasks_per_worker && options.tasks_per_worker < 20);
	pthread_rwlock_init(&house->guard, NULL);
	call_begin(thread, "pool_open");
	int rc = pool_open(&house->pool, &options);
	call_end(thread);
	if (rc < 0)
		finding(thread, "pool_open answers %d (%s)", rc, pool_strerror(rc));
	house->workers = pool_workers(house->pool);
	return house;
}

static void publish(const struct house *house)
{
	struct chaos_target *target = &chaos_shared->target[house->place];
	__atomic_store_n(&target->mode, house->mode, __ATOMIC_SEQ_CST);
	for (int i = 0; i < CHAOS_WORKERS_MAX; i++) {
		pid_t pid = i < house->workers ? pool_worker_pid(house->pool, i) : 0;
		__atomic_store_n(&target->pid[i], pid < 0 ? 0 : pid, __ATOMIC_SEQ_CST);
	}
}

void houses_publish(void)
{
	for (int i = 0; i < CHAOS_HOUSES; i++) {
		struct place *place = &places[i];
		if (pthread_mutex_trylock(&place->lock))
			continue;
		struct house *house = place->house;
		if (house && pthread_rwlock_tryrdlock(&house->guard) == 0) {
			if (!house->gone)
				publish(house);
			pthread_rwlock_unlock(&house->guard);
		}
		pthread_mutex_unlock(&place->lock);
	}
}

static struct house *enter(struct thread *thread, int at)
{
	struct place *place = &places[at];
	pthread_mutex_lock(&place->lock);
	if (place->state == PLACE_EMPTY) {
		place->house = house_open(thread, at, place->generation++);
		place->state = PLACE_OPEN;
	}
	struct house *house = place->state == PLACE_SHUT ? NULL : place->house;
	if (house) {
		house_ref(house);
		pthread_rwlock_rdlock(&house->guard);
	}
	pthread_mutex_unlock(&place->lock);
	return house;
}

/* Where the first choice is being ended, the next one; two threads at most end a house. */
struct house *house_enter(struct thread *thread, struct dice *dice)
{
	uint64_t first = dice_below(dice, CHAOS_HOUSES);
	for (;; first++) {
		struct house *house = enter(thread, (int)(first % CHAOS_HOUSES));
		if (house)
			return house;
		chaos_sleep_ns(CHAOS_MS);
	}
}

void house_leave(struct house *house)
{
	pthread_rwlock_unlock(&house->guard);
}

/* ---- the end ---- */

static void close_house(struct thread *thread, struct house *house)
{
	__atomic_store_n(&house->closed, 1, __ATOMIC_SEQ_CST);
	call_begin(thread, "pool_close");
	int rc = pool_close(house->pool);
	call_end(thread);
	if (rc)
		finding(thread, "pool_close answers %d", rc);
}

static void terminate_house(struct thread *thread, struct house *house)
{
	__atomic_store_n(&house->closed, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&house->terminated, 1, __ATOMIC_SEQ_CST);
	call_begin(thread, "pool_terminate");
	int rc = pool_terminate(house->pool);
	call_end(thread);
	if (rc)
		finding(thread, "pool_terminate answers %d", rc);
}

static void join_house(struct thread *thread, struct house *house, int64_t timeout_ns)
{
	call_begin(thread, "pool_join");
	int rc = pool_join(house->pool, timeout_ns);
	call_end(thread);
	if (rc && (rc != -ETIMEDOUT || timeout_ns == POOL_FOREVER))
		finding(thread, "pool_join(%lld) answers %d", (long long)timeout_ns, rc);
	const bool processes = thread->options->row->can & POOL_CAN_ISOLATE;
	for (int i = 0; processes && rc == 0 && i < house->workers; i++)
		if (pool_worker_pid(house->pool, i) > 0)
			finding(thread, "worker %d has process %d after pool_join", i,
				(int)pool_worker_pid(house->pool, i));
}

/* The guard is held for reading: others are in. */
static void wind_up(struct thread *thread, struct dice *dice, struct house *house)
{
	uint64_t way = dice_below(dice, 5);
	if (way == 0)
		return;
	if (way == 1 || (way == 2 && house->mode == HOUSE_DOOMED)) {
		terminate_house(thread, house);
		join_house(thread, house, POOL_FOREVER);
		return;
	}
	close_house(thread, house);
	join_house(thread, house,
		   way == 2 ? POOL_FOREVER : (int64_t)dice_below(dice, 10) * CHAOS_MS);
	if (way == 3)
		terminate_house(thread, house);
}

static void check_stats(const struct thread *thread, const struct house *house)
{
	struct pool_stats stats;
	int rc = pool_stats(house->pool, &stats);
	if (rc)
		finding(thread, "pool_stats answers %d", rc);
	const uint64_t ends =
		stats.done + stats.failed + stats.lost + stats.cancelled + stats.timed_out;
	if (stats.submitted != ends)
		finding(thread, "submitted %llu items, %llu came to an end",
			(unsigned long long)stats.submitted, (unsigned long long)ends);
}

/* Nobody is in any more, nobody comes. */
static void destroy_house(struct thread *thread, struct house *house)
{
	pthread_rwlock_wrlock(&house->guard);
	if (house->terminated)
		check_stats(thread, house);
	__atomic_store_n(&house->closed, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&house->terminated, 1, __ATOMIC_SEQ_CST);
	call_begin(thread, "pool_destroy");
	pool_destroy(house->pool);
	call_end(thread);
	house->gone = true;
	if (house->callbacks_due != house->callbacks_run)
		finding(thread, "%llu callbacks were due, %llu ran",
			(unsigned long long)house->callbacks_due,
			(unsigned long long)house->callbacks_run);
	pthread_rwlock_unlock(&house->guard);
}

static void set_state(struct place *place, enum place_state state)
{
	pthread_mutex_lock(&place->lock);
	place->state = state;
	pthread_mutex_unlock(&place->lock);
}

static void end_house_at(struct thread *thread, struct dice *dice, struct place *place)
{
	pthread_mutex_lock(&place->lock);
	struct house *house = place->state == PLACE_OPEN ? place->house : NULL;
	if (house)
		place->state = dice_percent(dice, 50) ? PLACE_LINGERS : PLACE_SHUT;
	pthread_mutex_unlock(&place->lock);
	if (!house)
		return;
	pthread_rwlock_rdlock(&house->guard);
	wind_up(thread, dice, house);
	pthread_rwlock_unlock(&house->guard);
	set_state(place, PLACE_SHUT);
	destroy_house(thread, house);
	pthread_mutex_lock(&place->lock);
	chaos_shared->target[house->place] = (struct chaos_target){ .mode = HOUSE_QUIET };
	place->house = NULL;
	place->state = PLACE_EMPTY;
	pthread_mutex_unlock(&place->lock);
	house_unref(house);
}

void house_end(struct thread *thread, struct dice *dice)
{
	end_house_at(thread, dice, &places[dice_below(dice, CHAOS_HOUSES)]);
}

/* The other threads have ended. */
void houses_close(struct thread *thread)
{
	struct dice dice = dice_of(thread->options->seed, 2000, 0);
	for (int i = 0; i < CHAOS_HOUSES; i++) {
		end_house_at(thread, &dice, &places[i]);
		pthread_mutex_destroy(&places[i].lock);
	}
}
