/*
 * shm_rest.pml - who is woken for what in the shared-memory transport (shm.h, shm_port.c, transport_shm.c) as a model for spin.
 *
 *	spin -a pools/tests/shm_rest.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000 -w26
 *
 * searches all of it for 2 workers, 3 items published one by one in either of 2 slots, and one death at any point of any worker:
 * 50.7 million states, a minute, 2.5 GB. "errors: 0" and no "max search depth too small" is the proof. -DKILLS=0, -DWORKERS=3 and
 * -DITEMS=4 are other questions.
 *
 * Whoever publishes wakes one worker for one item, one that looks before one that sleeps. Workers claim what they find, be it
 * what they were woken for or not, and say that they look or sleep before they look for the last time. How a
 * claim is made is in shm_lane.pml and shm_ring.pml: here it is one step.
 *
 * Proved, if every item ends by itself: nobody waits for ever (no invalid end state). -DNO_LAST_LOOK leaves out the last look
 * and shows the error. -DFEW proves the same where nobody is woken while somebody is awake (shm_wake_for), with one CPU, and
 * -DALONE where nobody is woken for an only call while somebody is awake and at nothing (wake_for_few).
 *
 * -DLONGS=1: an item of each worker but one may end only when all others are done. Then an item can be left beside a worker that
 * sleeps: two are roused, one of them for an item that the other takes, and looks at a slot before something comes there.
 * -DLONGS=1 -DLOOK proves that the parent's look for what is left over (shm_wake.c), which is for stopped workers, ends that,
 * too, also with -DALONE.
 *
 * Left out: several items published at once, stopped workers, weak memory order, a death between rousing and waking
 * (shm_slot.pml).
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef ITEMS
#define ITEMS 3
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef LONGS
#define LONGS 0
#endif

#define ALL 100 /* more than there are: who sleeps again meanwhile is woken twice */
#define AWAKE 0
#define ASLEEP 1
#define LOOKING 2

byte waiting[2], done; /* items: in each slot; that were run */
byte rest[WORKERS], held[WORKERS]; /* held: slot + 1 of what is claimed */
bool dead[WORKERS], stopping;
byte kills, longs; /* longs: who runs an item that ends when all others are done */

/* One access that others can see; the worker may be killed before it. */
#define STEP(x) \
	atomic { \
		if \
		:: kills < KILLS -> kills++; goto died \
		:: true \
		fi; \
		x \
	}

/* Two slots, one after the other, from either. */
#define LOOK_AT(slot) \
	if \
	:: !held[me] -> STEP(if :: waiting[slot] > 0 -> waiting[slot]--; held[me] = slot + 1 :: else fi) \
	:: else \
	fi

#define TRY_CLAIM() \
	if \
	:: first = 0 \
	:: first = 1 \
	fi; \
	LOOK_AT(first); \
	LOOK_AT(1 - first); \
	first = 0

#define ROUSE(w, how) \
	if \
	:: rest[w] == how -> rest[w] = AWAKE; roused = true \
	:: else \
	fi

proctype worker(byte me)
{
	byte first, i, how, before;
	bool roused;

work:
	TRY_CLAIM();
	if
	:: held[me] -> goto run_it
	:: else
	fi;
	if
	:: goto say_looking /* there seems to be time and a processor to look */
	:: goto say_asleep
	fi;

say_looking:
	how = LOOKING;
	goto say;
say_asleep:
	how = ASLEEP;
say:
	STEP(rest[me] = how);
#ifndef NO_LAST_LOOK
	TRY_CLAIM();
#endif
	if
	:: held[me] -> goto rise
	:: !held[me] && how == LOOKING -> goto look
	:: !held[me] && how == ASLEEP -> goto doze
	fi;
rise:
	STEP(before = rest[me]; rest[me] = AWAKE);
	if
	:: before == AWAKE -> before = 0
	:: else -> before = 0; goto run_it
	fi;
	how = 0; /* it was roused, for what may be something else: if there is more, another one is */
	STEP(if :: waiting[0] == 0 -> how = 0 :: else -> how = LOOKING fi);
	if
	:: how == 0 -> STEP(if :: waiting[1] == 0 :: else -> how = LOOKING fi)
	:: else
	fi;
	do
	:: how == 0 -> break
	:: how != 0 && i < WORKERS ->
		STEP(if :: i != me -> ROUSE(i, how) :: else fi; i++);
		if
		:: roused -> break
		:: else
		fi
	:: how == LOOKING && i == WORKERS -> how = ASLEEP; i = 0
	:: how == ASLEEP && i == WORKERS -> break
	od;
	i = 0; roused = false;
	goto run_it;

look:
	if
	:: STEP(if :: rest[me] == AWAKE -> roused = true :: else fi);
	   if
	   :: roused ->
		   roused = false;
		   TRY_CLAIM();
		   if
		   :: held[me] -> goto run_it
		   :: else -> goto say_looking
		   fi
	   :: else -> goto look
	   fi
	:: goto say_asleep /* long enough, or the processor is wanted */
	fi;

doze: /* futex: sleeps while the word is ASLEEP; a signal may end it, too */
	how = 0;
	STEP(if :: stopping -> goto gone :: else fi);
	if
	:: atomic { rest[me] != ASLEEP }
	:: atomic { kills < KILLS -> kills++; goto died }
	fi;
	STEP(rest[me] = AWAKE);
	goto work;

run_it:
	how = 0;
	if
	:: atomic { LONGS && longs < WORKERS - 1 -> longs++ };
	   if
	   :: atomic { done + longs == ITEMS -> longs-- }
	   :: atomic { kills < KILLS -> kills++; longs--; goto died }
	   fi
	:: true
	fi;
	STEP(done++; held[me] = 0);
	goto work;
died:
	dead[me] = true;
gone:
	skip
}

/* ---- the parent ---- */

byte at, most;
bool roused;

inline wake(how_many)
{
	most = how_many; at = 0;
	do
	:: at < WORKERS && most ->
		atomic { ROUSE(at, LOOKING); most = (roused -> most - 1 : most); roused = false; at++ }
	:: else -> break
	od;
	at = 0;
	do
	:: at < WORKERS && most ->
		atomic { ROUSE(at, ASLEEP); most = (roused -> most - 1 : most); roused = false; at++ }
	:: else -> break
	od;
	at = 0; most = 0
}

/* FEW: nobody is woken while somebody seems to be awake, who will look for something here. ALONE: while somebody is awake and
 * at nothing, if all else is done. */
#ifdef FEW
#define COMES(w) rest[w] == AWAKE
#endif
#ifdef ALONE
#define COMES(w) rest[w] == AWAKE && held[w] == 0 && done + 1 == published
#endif

inline wake_for_one()
{
#ifdef COMES
	at = 0;
	do
	:: at < WORKERS ->
		atomic { roused = roused || (COMES(at)); at++ }
	:: else -> break
	od;
	at = 0;
	if
	:: roused -> roused = false
	:: else -> wake(1)
	fi
#else
	wake(1)
#endif
}

/* What a dead one had claimed is to be had again. */
inline recover(w)
{
	atomic {
		if
		:: held[w] -> waiting[held[w] - 1]++; held[w] = 0
		:: else
		fi
	};
	atomic { rest[w] = AWAKE; dead[w] = false };
	wake(ALL);
	run worker(w)
}

init
{
	byte published;

	atomic {
		at = 0;
		do
		:: at < WORKERS -> run worker(at); at++
		:: else -> at = 0; break
		od
	};
	do
	:: published < ITEMS ->
		if
		:: waiting[0]++
		:: waiting[1]++
		fi;
		published++;
		wake_for_one()
	:: dead[0] -> recover(0)
	:: dead[1] -> recover(1)
#if WORKERS > 2
	:: dead[2] -> recover(2)
#endif
	:: done == ITEMS -> break
#ifdef LOOK
	:: timeout -> wake(1) /* nothing else happens, for long enough */
#endif
	od;
	assert(waiting[0] == 0 && waiting[1] == 0);
	stopping = true;
	wake(ALL);
	(_nr_pr == 1)
}
