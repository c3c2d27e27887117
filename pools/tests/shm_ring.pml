/*
 * shm_ring.pml - the ring of a stream in the shared-memory transport (shm.h, shm_claim.c, shm_reap.c) as a model for spin.
 *
 *	spin -a pools/tests/shm_ring.pml && cc -O2 -DSAFETY -DCOLLAPSE -o pan pan.c && ./pan -m1000000 -w26
 *
 * searches all of it for 2 workers, a ring of 3 descriptors, 4 items, claims of at most 2 tiles and one death, at any point
 * of any worker: 60.8 million states, a minute, 3 GB. "errors: 0" and no "max search depth too small" is the proof. -DCANCEL=1: the parent may cancel at any
 * time; -DKILLS=0, -DWORKERS=3, -DITEMS=5 are other questions.
 *
 * Every access to another's memory is a step of its own, in a sequentially consistent order. What a descriptor says beside
 * its word is read in a step of its own, too, and may be torn from it: only the swap decides.
 *
 * Proved: every item has exactly one outcome and was begun at most once (no item lost, none resolved or run twice; there are
 * no retries); nobody waits for ever while there is something to claim. -DFORWARD frees the descriptors of a claim from the
 * first to the last and -DDROP_ANY takes back a cancelled stream's tiles in any order: each shows the error that the
 * code's order avoids.
 *
 * Left out: sleep and wake-up (shm_lane.pml), slot reuse, retries, failing items, weak memory order.
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CANCEL
#define CANCEL 0
#endif
#ifndef ITEMS
#define ITEMS 4
#endif
#define RING 3
#define MOST 2 /* tiles a claim */

#define FREE 0
#define READY 1
#define CLAIMED 2
#define DONE 3

/* A descriptor's word: position, tiles, worker + 1, phase. */
#define WORD(position, tiles, owner, phase) ((position) * 64 + ((tiles) - 1) * 32 + (owner) * 4 + (phase))
#define POSITION(w) ((w) / 64)
#define TILES(w) ((((w) / 32) & 1) + 1)
#define OWNER(w) (((w) / 4) & 7)
#define PHASE(w) ((w) & 3)

short state[RING];
byte item[RING], count[RING];
byte next, ready;
bool closed, over;
bool dead[WORKERS], desk[WORKERS]; /* desk: a claim is announced */
byte begun[WORKERS];		   /* items of the claim; reset with the announcement */
byte kills;

/* What only the proof sees. */
byte runs[ITEMS], outcomes[ITEMS];

/* One access that others can see; the worker may be killed before it. */
#define STEP(x) \
	atomic { \
		if \
		:: kills < KILLS -> kills++; goto died \
		:: true \
		fi; \
		x \
	}

proctype worker(byte me)
{
	byte position, seen_ready, first, items, more, i;
	short word;
	bool ours;
again:
	atomic { next < ready && !closed || over; word = 0 }
	if
	:: over -> goto end
	:: else
	fi;
	STEP(position = next);
	STEP(seen_ready = ready);
	if
	:: position >= seen_ready -> goto again
	:: else
	fi;
	ours = false;
	STEP(word = state[position % RING]);
	if
	:: word == WORD(position, 1, 0, READY) ->
		STEP(first = item[position % RING]; items = count[position % RING]);
		more = 1;
		if /* as many as there are, or fewer: that is a matter of speed */
		:: position + 1 < seen_ready ->
			STEP(word = state[(position + 1) % RING]);
			if
			:: word == WORD(position + 1, 1, 0, READY) ->
				STEP(
					if
					:: item[(position + 1) % RING] == first + items ->
						more = 2; items = items + count[(position + 1) % RING]
					:: else
					fi);
			:: else
			fi
		:: true
		fi;
		STEP(desk[me] = true; begun[me] = 0);
		STEP(
			if
			:: state[position % RING] == WORD(position, 1, 0, READY) ->
				state[position % RING] = WORD(position, more, me + 1, CLAIMED); ours = true
			:: else -> desk[me] = false
			fi)
	:: else
	fi;
	/* pass */
	STEP(word = state[position % RING]);
	STEP(
		if
		:: next == position ->
			if
			:: POSITION(word) == position && PHASE(word) >= CLAIMED -> next = position + TILES(word)
			:: else -> next = position + 1
			fi
		:: else
		fi);
	if
	:: !ours -> goto again
	:: else
	fi;
	i = 0;
	do
	:: i < items ->
		STEP(begun[me] = begun[me] + 1; assert(first + i < ITEMS); runs[first + i] = runs[first + i] + 1);
		i++
	:: else -> break
	od;
	STEP(state[position % RING] = WORD(position, more, me + 1, DONE));
	STEP(desk[me] = false);
	goto again;
died:
	dead[me] = true;
end:
	skip
}

byte tail, published, resolved;
byte gathered_first, gathered_items;

inline outcome(which, how_many)
{
	byte o;
	o = 0;
	do
	:: o < how_many -> outcomes[which + o] = outcomes[which + o] + 1; resolved++; o++
	:: else -> break
	od
}

/* The parent's word for positions that are in use. */
inline push(which, how_many)
{
	do
	:: PHASE(state[tail % RING]) != FREE -> tail++
	:: else -> break
	od;
	item[tail % RING] = which;
	count[tail % RING] = how_many;
	state[tail % RING] = WORD(tail, 1, 0, READY);
	tail++;
	ready = tail
}

/* The claim that begins at descriptor `at`. */
inline free_tiles(at)
{
	byte f;
	gathered_first = item[at];
	gathered_items = count[at];
	if
	:: TILES(state[at]) == 2 ->
		gathered_items = gathered_items + count[(at + 1) % RING];
#ifdef FORWARD
		state[at] = FREE;
		state[(at + 1) % RING] = FREE
#else
		state[(at + 1) % RING] = FREE;
		state[at] = FREE
#endif
	:: else -> state[at] = FREE
	fi;
	f = 0
}

inline reap()
{
	byte r;
	r = 0;
	do
	:: r < RING ->
		if
		:: PHASE(state[r]) == DONE -> free_tiles(r); outcome(gathered_first, gathered_items)
		:: else
		fi;
		r++
	:: else -> break
	od
}

inline drop()
{
	short seen;
	byte at, d_item, d_count;
	bool mine;
#ifdef DROP_ANY
	at = 0;
	do
	:: at < RING ->
		atomic {
			if
			:: PHASE(state[at]) == READY ->
				state[at] = FREE; outcome(item[at], count[at])
			:: else
			fi
		};
		at++
	:: else -> break
	od
#else
	do
	:: next < tail ->
		at = next;
		d_item = item[at % RING];
		d_count = count[at % RING];
		atomic {
			mine = state[at % RING] == WORD(at, 1, 0, READY);
			if
			:: mine -> state[at % RING] = FREE
			:: else
			fi
		};
		seen = state[at % RING];
		atomic {
			if
			:: next == at && POSITION(seen) == at && PHASE(seen) >= CLAIMED -> next = at + TILES(seen)
			:: next == at && !(POSITION(seen) == at && PHASE(seen) >= CLAIMED) -> next = at + 1
			:: else
			fi
		};
		if
		:: mine -> outcome(d_item, d_count)
		:: else
		fi
	:: else -> break
	od
#endif
}

inline recover(who)
{
	byte c, fine, rest, rest_items;
	reap();
	c = 0;
	do
	:: c < RING ->
		if
		:: desk[who] && PHASE(state[c]) == CLAIMED && OWNER(state[c]) == who + 1 ->
			free_tiles(c);
			outcome(gathered_first, begun[who]); /* the last begun one as lost, those before as done */
			rest = gathered_first + begun[who];
			rest_items = gathered_items - begun[who];
			if
			:: rest_items > 0 && !closed -> push(rest, rest_items)
			:: rest_items > 0 && closed -> outcome(rest, rest_items)
			:: else
			fi;
			break
		:: else -> c++
		fi
	:: else -> break
	od
}

proctype parent()
{
	bool handled[WORKERS];
	byte w;
	do
	:: resolved == published && (published == ITEMS || closed) -> break
	:: published < ITEMS && !closed && published - resolved < RING && PHASE(state[tail % RING]) == FREE ->
		push(published, 1);
		published++
	:: d_step { PHASE(state[0]) == DONE || PHASE(state[1]) == DONE || PHASE(state[2]) == DONE } -> reap()
	:: dead[0] && !handled[0] -> recover(0); handled[0] = true
	:: dead[1] && !handled[1] -> recover(1); handled[1] = true
#if WORKERS > 2
	:: dead[2] && !handled[2] -> recover(2); handled[2] = true
#endif
#if CANCEL
	:: !closed && published > 0 -> closed = true; drop()
#endif
	od;
	w = 0;
	do
	:: w < published -> assert(outcomes[w] == 1 && runs[w] <= 1); w++
	:: else -> break
	od;
	over = true
}

init
{
	atomic {
		run parent();
		run worker(0);
		run worker(1)
#if WORKERS > 2
		; run worker(2)
#endif
	}
}
