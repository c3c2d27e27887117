/*
 * shm_result.c - results of variable size: where a worker gets their blocks, and what becomes of the block that one had in
 * hand when it died.
 *
 * DESIGN. A block belongs to the reference that names it or, while it comes or goes, to the worker's desk; of a dead worker
 * the parent gives back what is the desk's. It is that iff `taking` names a block that the reference at `holder` does not
 * name. Stores of the worker are seen in their order, all are release; the parent looks when the worker is dead, and before
 * its item, and so the reference, is anybody else's. From left to right:
 *
 *	going:	taking = X	ref = 0		taking = 0	X is pushed
 *	owner:	ref	ref		desk		nobody		the stack
 *	coming:	X is popped	taking = X	ref = X		taking = 0
 *	owner:	stack	nobody		desk		ref		ref
 *
 * Never are there two owners, so nothing is freed twice. "Nobody" is from one instruction to the next: the compare-and-swap
 * that pops or pushes, and the store beside it. A death just there leaks the block. A swap that failed has changed nothing,
 * and `taking` names the block again before the next one. The parent may die at any point: then there is no pool.
 */
#include "pools/shm_parent.h"
#include "pools/shm_port.h"

static void set_holder(struct pool_port *p, const struct pool_ref *ref)
{
	__atomic_store_n(&p->desk->holder, arena_offset(&p->view->arena, ref), __ATOMIC_RELAXED);
}

static void free_result(struct pool_port *p, struct pool_ref *ref)
{
	struct arena *arena = &p->view->arena;
	const uint64_t at = ref->at;
	if (at) {
		void *memory = arena_at(arena, at);
		set_holder(p, ref);
		arena_hold(arena, memory, &p->desk->taking);
		__atomic_store_n(&ref->at, 0, __ATOMIC_RELEASE);
		arena_free_held(arena, memory, &p->desk->taking);
	}
	ref->size = 0;
}

void shm_clear_results(struct pool_port *p, struct pool_span *span)
{
	struct pool_ref *refs = (struct pool_ref *)(void *)span->call.result;
	for (uint64_t i = 0; i < span->count; i++)
		free_result(p, &refs[i]);
}

void *shm_result_alloc(struct pool_port *p, struct pool_ref *ref, uint64_t bytes)
{
	struct arena *arena = &p->view->arena;
	if (ref->at && arena_fits(arena_at(arena, ref->at), bytes)) {
		ref->size = bytes;
		return arena_at(arena, ref->at);
	}
	free_result(p, ref);
	set_holder(p, ref);
	void *room = arena_take(arena, bytes, &p->desk->taking);
	if (!room)
		return NULL;
	ref->size = bytes;
	__atomic_store_n(&ref->at, arena_offset(arena, room), __ATOMIC_RELEASE);
	arena_let_go(&p->desk->taking);
	return room;
}

void shm_take_back_block(struct pool_transport *t, struct shm_desk *desk)
{
	struct arena *arena = &t->view.arena;
	if (!__atomic_load_n(&desk->taking, __ATOMIC_ACQUIRE))
		return; /* the reference may be of a call that is over, whose results are being collected */
	const struct pool_ref *ref =
		arena_reach_part(arena, desk->holder, sizeof *ref, _Alignof(struct pool_ref));
	if (ref && ref->at && ref->at / ARENA_BLOCK_HEAD == desk->taking / ARENA_BLOCK_HEAD + 1)
		arena_let_go(&desk->taking);
	else
		arena_take_back(arena, &desk->taking);
}
