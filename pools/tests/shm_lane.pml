/*
 * shm_lane.pml - the lane protocol of the shared-memory transport (shm.h, shm_port.c, shm_reap.c) as a model for spin.
 *
 *	spin -a pools/tests/shm_lane.pml && cc -O2 -DSAFETY -o pan pan.c && ./pan -m1000000 -w28
 *
 * searches all of it for 2 workers, 3 items (lanes [0,2) and [2,3)) and one death, at any point of any worker:
 * 45.6 million states, two minutes, 7 GB. "errors: 0" and no "max search depth too small" is the proof. To spin
 * -DKILLS=0 (seconds), -DKILLS=2, -DCHUNK=2 (items a claim) and -DWORKERS=3 are larger or smaller questions.
 *
 * Every access to another's memory is a step of its own, in a sequentially consistent order; the parent's recovery
 * is interleaved with the live worker likewise. A desk's fields are written in one step with `kind`: nobody reads them
 * while it is FREE.
 *
 * Proved: when the parent believes the batch done, every item has exactly one outcome and was begun exactly once (no
 * item lost, none resolved or run twice; there are no retries); nobody waits for ever (no invalid end state: claims,
 * sleep and wake-up, notify, death); in the end no lane names a thief that lives.
 *
 * Recovery of a steal is modelled with a compare-and-swap of the dead thief's lane; -DBLIND_STORE is a plain store, which
 * can bring back the number of a third worker that is leaving that lane at the same moment (-DWORKERS=3).
 *
 * Left out: slot reuse, retries, streams, auto chunk, cancellation, looking for work before sleeping (DESK_LOOKING); a death
 * between rousing and waking (shm_slot.pml); weak memory order.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef CHUNK
#define CHUNK 1
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define ITEMS 3
#define NONE 7 /* lo and hi of LANE_EMPTY */
#define PARENT WORKERS

/* A lane's word: lo | hi << 3 | thief << 6. */
#define WORD(lo, hi, thief) ((lo) + (hi) * 8 + (thief) * 64)
#define LO(w) ((w) & 7)
#define HI(w) (((w) >> 3) & 7)
#define THIEF(w) ((w) >> 6)

#define FREE 0
#define TAKE 1
#define STEAL 2

typedef desk_t {
	byte kind, lo, hi, victim, done_before;
	bit claim_before
};

short lane[WORKERS];
byte done[WORKERS + 1];
desk_t desk[WORKERS];
bit claim[WORKERS];
byte begun[WORKERS]; /* with claim, of which a bit is enough: the ledger's progress, one word, written in one step */
bool asleep[WORKERS], dead[WORKERS];
bool live, stopping, parent_asleep;
byte kills;

/* What only the proof sees. */
byte runs[ITEMS], outcomes[ITEMS];

/* One instruction that others can see; the worker may be killed before it. */
#define STEP(x) \
	atomic { \
		if \
		:: kills < KILLS -> kills++; goto died \
		:: true \
		fi; \
		x \
	}

/* Nobody looks at the fields of a desk that is free; equal states stay equal without them. */
inline clear_desk(w)
{
	desk[w].kind = FREE; desk[w].lo = 0; desk[w].hi = 0; desk[w].victim = 0;
	desk[w].done_before = 0; desk[w].claim_before = 0; begun[w] = 0; claim[w] = 0
}

inline outcome(item)
{
	outcomes[item]++;
	assert(outcomes[item] == 1)
}

proctype worker(byte me)
{
	short word, best;
	byte lo, hi, size, i, victim, sum;
	bool ok, dozing;

look:
	STEP(if :: !live -> goto nothing :: else fi);
take:
	STEP(word = lane[me]; if :: LO(word) >= HI(word) -> word = 0; goto steal :: else fi);
	STEP(lo = LO(word);
	     size = (HI(word) - lo < CHUNK -> HI(word) - lo : CHUNK);
	     hi = lo + size;
	     desk[me].lo = lo; desk[me].hi = hi;
	     desk[me].done_before = done[me]; desk[me].claim_before = claim[me];
	     desk[me].kind = TAKE);
	STEP(ok = (lane[me] == word); if :: ok -> lane[me] = WORD(hi, HI(word), THIEF(word)) :: else fi; word = 0);
	if
	:: !ok ->
		STEP(clear_desk(me); ok = false; lo = 0; hi = 0; size = 0; victim = 0; best = 0);
		goto take
	:: else
	fi;
	if
	:: dozing -> STEP(asleep[me] = false; dozing = false)
	:: else
	fi;
	do
	:: i < size ->
		STEP(claim[me] = (i == 0 -> 1 - claim[me] : claim[me]);
		     begun[me] = i + 1; runs[lo + i]++; assert(runs[lo + i] == 1); i++)
	:: else -> break
	od;
	STEP(done[me] = done[me] + size; i = 0;
	     do :: i < size -> outcome(lo + i); i++ :: else -> i = 0; break od);
	STEP(clear_desk(me); ok = false; lo = 0; hi = 0; size = 0; victim = 0; best = 0);
	goto look;

steal:
	do
	:: i < WORKERS ->
		STEP(word = (i == me -> 0 : lane[i]);
		     if
		     :: THIEF(word) == 0 && HI(word) - LO(word) > HI(best) - LO(best) -> best = word; victim = i
		     :: else
		     fi;
		     word = 0; i++)
	:: else -> break
	od;
	atomic {
		i = 0;
		if
		:: best == 0 -> goto leave
		:: else
		fi
	};
	STEP(lane[me] = WORD(NONE, NONE, THIEF(lane[me]))); /* a compare-and-swap loop: one step */
	STEP(hi = HI(best);
	     lo = LO(best) + ((hi - LO(best) + CHUNK - 1) / CHUNK / 2) * CHUNK;
	     desk[me].lo = lo; desk[me].hi = hi; desk[me].victim = victim;
	     desk[me].kind = STEAL);
	STEP(ok = (lane[victim] == best); if :: ok -> lane[victim] = WORD(LO(best), lo, me + 1) :: else fi);
	if
	:: ok ->
		STEP(assert(LO(lane[me]) == NONE); lane[me] = WORD(lo, hi, THIEF(lane[me])));
		STEP(lane[victim] = WORD(LO(lane[victim]), HI(lane[victim]), 0))
	:: else
	fi;
	STEP(clear_desk(me); ok = false; lo = 0; hi = 0; size = 0; victim = 0; best = 0);
	goto take;

leave: /* was that the last of the batch? */
	do
	:: i <= WORKERS -> STEP(sum = sum + done[i]; i++)
	:: else -> i = 0; break
	od;
	if
	:: sum >= ITEMS -> STEP(parent_asleep = false)
	:: else
	fi;
nothing:
	sum = 0;
	if
	:: !dozing ->
		STEP(asleep[me] = true; dozing = true);
		goto look
	:: else
	fi;
	STEP(if :: stopping -> goto gone :: else fi);
	if /* futex: sleeps while the word is 1 */
	:: atomic { !asleep[me] -> dozing = false }
	:: atomic { kills < KILLS -> kills++; goto died }
	fi;
	goto look;
died:
	dead[me] = true;
gone:
	skip
}

/* ---- the parent ---- */

byte total, at, late;
short theirs, mine;

inline add_up()
{
	atomic { /* the counts only grow: one look is as good as three */
		total = 0; at = 0;
		do
		:: at <= WORKERS -> total = total + done[at]; at++
		:: else -> break
		od;
		at = 0;
		assert(total <= ITEMS)
	}
}

inline wake_all()
{
	atomic {
		at = 0;
		do
		:: at < WORKERS -> asleep[at] = false; at++
		:: else -> break
		od;
		at = 0
	}
}

inline finish_steal(w)
{
	theirs = lane[desk[w].victim];
	if
	:: THIEF(theirs) == w + 1 ->
		mine = lane[w];
		if
		:: LO(mine) == NONE ->
#ifdef BLIND_STORE
			lane[w] = WORD(desk[w].lo, desk[w].hi, THIEF(mine))
#else
			lane[w] = WORD(desk[w].lo, desk[w].hi, THIEF(lane[w]))
#endif
		:: else
		fi;
		lane[desk[w].victim] = WORD(LO(lane[desk[w].victim]), HI(lane[desk[w].victim]), 0)
	:: else
	fi
}

inline lost_items(w)
{
	late = desk[w].lo + begun[w] - 1; /* the one that ran; those before are done */
	if
	:: late + 1 < desk[w].hi -> lane[w] = WORD(late + 1, HI(lane[w]), THIEF(lane[w]))
	:: else
	fi;
	at = desk[w].lo;
	do
	:: at <= late -> atomic { done[PARENT]++; assert(runs[at] == 1); outcome(at); at++ }
	:: else -> break
	od
}

inline finish_take(w)
{
	if
	:: LO(lane[w]) == desk[w].hi && done[w] == desk[w].done_before ->
		if
		:: claim[w] == desk[w].claim_before -> lane[w] = WORD(desk[w].lo, HI(lane[w]), THIEF(lane[w]))
		:: else -> lost_items(w)
		fi
	:: else
	fi
}

inline recover(w)
{
	if
	:: desk[w].kind == STEAL -> finish_steal(w)
	:: desk[w].kind == TAKE -> finish_take(w)
	:: else
	fi;
	atomic { clear_desk(w); asleep[w] = false; dead[w] = false; late = 0; theirs = 0; mine = 0 };
	wake_all();
	run worker(w)
}

inline check_end()
{
	atomic {
		at = 0;
		do
		:: at < ITEMS -> assert(runs[at] == 1 && outcomes[at] == 1); at++
		:: else -> break
		od
	}
}

/* All workers are gone: the words are as they will stay. */
inline check_lanes()
{
	at = 0;
	do
	:: at < WORKERS ->
		assert(LO(lane[at]) >= HI(lane[at]));
		assert(THIEF(lane[at]) == 0 || dead[THIEF(lane[at]) - 1]); /* died when all was done */
		at++
	:: else -> break
	od
}

init
{
	atomic {
		at = 0;
		do
		:: at < WORKERS -> lane[at] = WORD(NONE, NONE, 0); run worker(at); at++
		:: else -> break
		od
	};
	lane[0] = WORD(0, 2, 0);
	lane[1] = WORD(2, 3, 0);
	live = true;
	wake_all();
	do
	:: add_up();
	   if
	   :: total == ITEMS -> break
	   :: else
	   fi;
	   parent_asleep = true;
	   add_up();
	   if
	   :: total == ITEMS -> break
	   :: else
	   fi;
	   if
	   :: !parent_asleep
	   :: dead[0] -> recover(0)
	   :: dead[1] -> recover(1)
#if WORKERS > 2
	   :: dead[2] -> recover(2)
#endif
	   fi;
	   parent_asleep = false
	od;
	check_end();
	stopping = true;
	wake_all();
	(_nr_pr == 1);
	check_lanes()
}
