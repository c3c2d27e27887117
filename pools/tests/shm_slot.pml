/*
 * shm_slot.pml - reuse of slots in the shared-memory transport (shm.h, shm_port.c, transport_shm.c) as a model for spin.
 *
 *	spin -a pools/tests/shm_slot.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000 -w26
 *
 * searches all of it for 2 workers, 1 slot, 3 jobs (one of two items) that are submitted at any time, and one death at any
 * point of any worker: 94.6 million states, two minutes, 4 GB. "errors: 0" and no "max search depth too small" is the proof.
 * -DSLOTS=2 -DKILLS=0 was searched, too (222 million states, 11 GB); -DCANCEL=1 (the parent may cancel at any time), -DJOBS=2
 * and -DWORKERS=3 are other questions.
 *
 * Memory is that of x86-64 (Owens, Sarkar and Sewell, "A better x86 memory model: x86-TSO", 2009): what is stored without a lock
 * prefix or a fence behind it waits in the writer's own buffer, in order, and is seen by others at any later time. Of the
 * parent that is `live` (what it stores before is seen before), of a worker its lane's `done` and an `active` that is
 * taken back; all else is followed by a fence before anything else is read. A worker that is killed has its buffer
 * written. How a claim is made in a lane is in shm_lane.pml: here it is one step, and so is its commit. Who rouses somebody marks
 * it awake and then tells the kernel: two steps of a worker here, one in the other models.
 *
 * Proved: a slot is written for a new job only when no worker is in it; a claim is of a job that is not over; no item is
 * done twice, all are done or lost with the worker that held it, and nobody waits for ever (no invalid end state): whoever
 * does not look again at the slot that it has just left finds what comes there before it rests, and a parent that waits for
 * a slot is told of it.
 *
 * -DNO_LOOK_AGAIN (who has entered does not look whether the slot is live), -DLATE_LIVE (the parent looks who is in without a
 * fence first), -DNO_TELL (who was in a dead slot does not tell the parent), -DSKIP_ALWAYS (who rests skips its last slot, too)
 * and -DONLY_ASLEEP (a death wakes only those who seem to sleep: one that was killed behind its swap has told the kernel
 * nothing) leave one thing out each and show the error.
 *
 * Left out: streams and their rings, patience (what is told late), chunks, looking for work before sleeping (shm_rest.pml),
 * stopped workers, the order of other processors.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SLOTS
#define SLOTS 1
#endif
#ifndef JOBS
#define JOBS 3
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CANCEL
#define CANCEL 0
#endif

#define PARENT WORKERS
#define BIT(slot) (1 << (slot))
#define ALL_SLOTS (BIT(SLOTS) - 1)
#define ITEMS_OF(job) ((job) == 2 -> 2 : 1) /* jobs are 1, 2, ... */
#define ALL 100

#if WORKERS == 2
#define DONE(s) (slot[s].done[0] + slot[s].done[1] + slot[s].done[2])
#else
#define DONE(s) (slot[s].done[0] + slot[s].done[1] + slot[s].done[2] + slot[s].done[3])
#endif

typedef slot_t {
	byte job, left; /* items that nobody has claimed */
	byte done[WORKERS + 1];
	bit closed
};

slot_t slot[SLOTS];
byte live, entered[WORKERS]; /* entered: a desk's `active`, slot + 1 */
bool asleep[WORKERS], kernel[WORKERS], parent_asleep, stopping; /* asleep: a desk's `rest`; kernel: in its futex */

/* Stores that nobody else sees yet. A worker's: slot + 1 whose done grows, or TAKEN_BACK: entered = 0. */
#define TAKEN_BACK 9
chan stored_live = [3] of { byte };
byte stored[WORKERS];

byte held[WORKERS]; /* slot + 1 of what is claimed, as a desk tells */
bool dead[WORKERS];
byte kills;

byte inside[WORKERS]; /* what only the proof sees: in this slot + 1 */

inline write_out(w)
{
	if
	:: stored[w] == TAKEN_BACK -> entered[w] = 0
	:: stored[w] != 0 && stored[w] != TAKEN_BACK ->
		slot[stored[w] - 1].done[w]++;
		assert(DONE(stored[w] - 1) <= ITEMS_OF(slot[stored[w] - 1].job))
	:: else
	fi;
	stored[w] = 0
}

/* One access that others can see; the worker may be killed before it. */
#define STEP(x) \
	atomic { \
		if \
		:: kills < KILLS -> kills++; goto died \
		:: true \
		fi; \
		x \
	}

/* The processor's, which writes out what is stored when it likes. */
active proctype memory()
{
end:
	do
	:: atomic { nempty(stored_live) -> stored_live?live }
	:: atomic { stored[0] != 0 -> write_out(0) }
	:: atomic { stored[1] != 0 -> write_out(1) }
#if WORKERS > 2
	:: atomic { stored[2] != 0 -> write_out(2) }
#endif
	od
}

#define ROUSE(w) \
	if \
	:: asleep[w] -> asleep[w] = false; kernel[w] = false; roused = true \
	:: else \
	fi

/* A swap, which is a fence, too. */
#define CLAIM(s) \
	if \
	:: slot[s].left > 0 && !slot[s].closed -> \
		write_out(me); \
		assert(inside[me] == (s) + 1 && DONE(s) < ITEMS_OF(slot[s].job)); \
		slot[s].left--; held[me] = (s) + 1 \
	:: else \
	fi

/* Fence, then look whether it sleeps. */
#define NOTIFY() STEP(write_out(me); parent_asleep = false)

proctype worker(byte me)
{
	byte in, mask, at; /* in: slot + 1 */
	bool over, resting, own;
#ifdef SKIP_ALWAYS
	byte last;
#endif

	goto try_claim;

run_it:
	STEP(stored[me] = in; held[me] = 0);

/* ---- goes to `claimed` or `nothing` ---- */

try_claim:
	mask = ALL_SLOTS;
	if
	:: in == 0 -> goto try_slots
	:: else -> own = true
	fi;
	STEP(over = (live == BIT(in - 1)));
	if
	:: over ->
		STEP(over = false; CLAIM(in - 1));
		if
		:: held[me] -> own = false; goto claimed
		:: else -> mask = mask & ~BIT(in - 1)
		fi
	:: else
	fi;
	goto leave;
try_slots:
	own = false;
#ifdef SKIP_ALWAYS
	mask = (last -> mask & ~BIT(last - 1) : mask);
#endif
	STEP(mask = mask & live);
try_next:
	if
	:: mask == 0 -> goto nothing
	:: mask & 1 -> at = 0
#if SLOTS > 1
	:: mask & 2 -> at = 1
#endif
	fi;
	mask = mask & ~BIT(at);
	STEP(write_out(me); entered[me] = at + 1);
#ifndef NO_LOOK_AGAIN
	STEP(if
	     :: live & BIT(at) -> inside[me] = at + 1; in = at + 1
	     :: else -> stored[me] = TAKEN_BACK
	     fi; at = 0);
#else
	STEP(inside[me] = at + 1; in = at + 1; at = 0);
#endif
	if
	:: in == 0 -> NOTIFY(); goto try_next
	:: else
	fi;
	STEP(CLAIM(in - 1));
	if
	:: held[me] -> goto claimed
	:: else
	fi;

/* ---- was that the last of the batch? Then the parent is told ---- */

leave: /* the lanes in one step: they only grow, and of two workers that end one looks last */
	STEP(over = slot[in - 1].closed;
	     if
	     :: !over -> write_out(me); over = (DONE(in - 1) >= ITEMS_OF(slot[in - 1].job))
	     :: else
	     fi);
	STEP(write_out(me); entered[me] = 0; inside[me] = 0);
#ifdef SKIP_ALWAYS
	last = in;
#endif
#ifndef NO_TELL
	STEP(over = over || !(live & BIT(in - 1)); in = 0);
#else
	in = 0;
#endif
	if
	:: over -> over = false; NOTIFY()
	:: else
	fi;
	if
	:: own -> goto try_slots
	:: else -> goto try_next
	fi;

/* ---- rest: say so, fence, look again ---- */

nothing:
	if
	:: resting -> goto doze
	:: else -> resting = true
	fi;
	STEP(write_out(me); asleep[me] = true);
	goto try_claim;
doze:
	STEP(if :: stopping -> goto gone :: else fi);
	STEP(kernel[me] = asleep[me]);
	if
	:: atomic { !kernel[me] -> resting = false }
	:: atomic { kills < KILLS -> kills++; goto died }
	fi;
	STEP(asleep[me] = false);
	goto try_claim;

claimed:
	mask = 0;
	if
	:: !resting -> goto run_it
	:: else -> resting = false
	fi;
	STEP(over = !asleep[me]; asleep[me] = false);
	/* If it was roused, for what may be something else, and there is more, another one is. */
	if
	:: over -> STEP(over = (live & ~BIT(in - 1)) != 0 || slot[in - 1].left > 0)
	:: else
	fi;
	do
	:: over && at < WORKERS ->
		STEP(if :: at != me && asleep[at] -> asleep[at] = false; over = false :: else -> at++ fi);
		if
		:: !over -> STEP(kernel[at] = false) /* it may be killed before that */
		:: else
		fi
	:: else -> break
	od;
	atomic { at = 0; over = false };
	goto run_it;

died:
	atomic { write_out(me); inside[me] = 0; kernel[me] = false; dead[me] = true };
gone:
	skip
}

/* ---- the parent; its own variables are init's ---- */

inline fence()
{
	atomic {
		do
		:: nempty(stored_live) -> stored_live?live
		:: empty(stored_live) -> break
		od
	}
}

inline set_live()
{
	if
	:: full(stored_live) -> stored_live?live
	:: nfull(stored_live)
	fi;
	stored_live!taken
}

inline wake(how_many)
{
	fence();
	most = how_many;
	do
	:: at < WORKERS && most ->
		atomic { ROUSE(at); most = (roused -> most - 1 : most); roused = false; at++ }
	:: else -> break
	od;
	atomic { at = 0; most = 0 }
}

/* Also who seems to be awake. */
inline wake_all()
{
#ifdef ONLY_ASLEEP
	wake(ALL)
#else
	do
	:: at < WORKERS -> atomic { asleep[at] = false; kernel[at] = false; at++ }
	:: else -> at = 0; break
	od
#endif
}

inline find_free()
{
	used = taken;
#ifndef LATE_LIVE
	fence();
#endif
	do
	:: at < WORKERS -> atomic { used = (entered[at] -> used | BIT(entered[at] - 1) : used); at++ }
	:: else -> break
	od;
	atomic { free = ALL_SLOTS & ~used; used = 0; at = 0 }
}

/* In one step: nobody may look at it meanwhile. */
inline describe(which)
{
	atomic {
		do
		:: at < WORKERS -> assert(inside[at] != which + 1); at++
		:: else -> break
		od;
		at = 0;
		do
		:: at <= WORKERS -> slot[which].done[at] = 0; at++
		:: else -> break
		od;
		at = 0;
		published++;
		slot[which].job = published; slot[which].left = ITEMS_OF(published); slot[which].closed = 0;
		taken = taken | BIT(which); free = free & ~BIT(which);
		set_live()
	}
}

inline publish_queued()
{
	do
	:: published < submitted ->
		if
		:: free == 0 -> find_free()
		:: else
		fi;
		if
		:: free == 0 -> break
		:: free & 1 -> s = 0
#if SLOTS > 1
		:: free & 2 -> s = 1
#endif
		fi;
		describe(s);
		s = 0;
		changed = true;
		wake(ITEMS_OF(published))
	:: else -> break
	od
}

/* What is done is gone: its slot is not live any more. */
inline reap()
{
	atomic {
		do
		:: s < SLOTS && (taken & BIT(s)) && DONE(s) == ITEMS_OF(slot[s].job) ->
			taken = taken & ~BIT(s);
			set_live();
			resolved++;
			changed = true;
			s++
		:: s < SLOTS && !((taken & BIT(s)) && DONE(s) == ITEMS_OF(slot[s].job)) -> s++
		:: s == SLOTS -> s = 0; break
		od
	}
}

/* Nothing more is claimed, and what nobody has claimed is resolved here. */
inline cancel(which)
{
	atomic { fence(); slot[which].closed = 1 };
	atomic {
		slot[which].done[PARENT] = slot[which].done[PARENT] + slot[which].left;
		slot[which].left = 0
	}
}

/* What a dead one held goes back if it was not begun. */
inline recover(w)
{
	atomic {
		fence();
		if
		:: held[w] && !slot[held[w] - 1].closed -> slot[held[w] - 1].left++
		:: held[w] -> slot[held[w] - 1].done[PARENT]++
		:: !held[w]
		fi;
		held[w] = 0; entered[w] = 0; asleep[w] = false; dead[w] = false
	};
	wake_all();
	run worker(w)
}

/* One turn of the leader. */
inline lead()
{
	reap();
	publish_queued();
	if
	:: !changed ->
		atomic { fence(); parent_asleep = true };
		reap();
		publish_queued();
		if
		:: changed
		:: !changed && !parent_asleep
		:: dead[0] -> recover(0)
		:: dead[1] -> recover(1)
#if WORKERS > 2
		:: dead[2] -> recover(2)
#endif
		fi;
		atomic { fence(); parent_asleep = false }
	:: else
	fi;
	changed = false
}

init
{
	byte submitted, published, resolved;
	byte taken, free; /* bit a slot: has a job; was found to be free */
	byte at, most, s, used;
	bool roused, changed;

	atomic {
		do
		:: at < WORKERS -> run worker(at); at++
		:: else -> at = 0; break
		od
	};
	do
	:: submitted < JOBS -> submitted++; publish_queued(); changed = false
	:: resolved < submitted -> lead()
#if CANCEL
	:: taken & 1 && !slot[0].closed -> cancel(0)
#endif
	:: resolved == JOBS -> break
	od;
	stopping = true;
	wake_all();
	(_nr_pr == 2)
}
