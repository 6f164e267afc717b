/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One block of an owner O and three processes that hold it: F (0), B (1) and C (2).
 *
 * Every step of a process that another can tell apart is one atomic step here, and a process may die between any
 * two of them. The owner is drawn as three hands, one per holder: each of its steps touches the books as a whole, so
 * three hands are one owner that reads its rings in any order. Odd rule: the owner's steps look only at what an owner
 * can know; variables below "ghost" are read by assertions alone.
 *
 * Switches: BF BB BC forwards each process may make, MP positions per ring (the largest of them), RL length of a record
 * ring, DIE set of those who may die (1 F, 2 B, 4 C), GENS lives of the block, RESEND orphans sent on,
 * FANOUT O sends the block to B as well, HOME the block may be sent back to O,
 * PREPARED all have been introduced to each other and stand in O's backlog,
 * ORIGIN a record says whether the hold that it ends came from O itself,
 * SHARE DROP RETURN which records exist besides RELEASE, TRANSFER and PUBLISHED, LINKS the setup of a link is a
 * message too. NEG_x takes rule x away.
 */
#ifndef BF
#define BF 1
#endif
#ifndef BB
#define BB 1
#endif
#ifndef BC
#define BC 0
#endif
#ifndef MP
#define MP 1
#endif
#ifndef RL
#define RL 4
#endif
#ifndef DIE
#define DIE 7
#endif
#ifndef GENS
#define GENS 1
#endif
#ifndef RESEND
#define RESEND 0
#endif

#define X(s, d) ((s) * 4 + (d)) /* the ring s -> d; 3 is the owner */
#define REL 1
#define RET 2
#define PUB 3
#define TRA 4
#define SHA 5
#define DRO 6

/* What the processes do: rings of records to O, rings of descriptors between them, sockets. */
chan rec[3] = [RL] of { byte, byte, byte, byte, byte }; /* type, to whom, position, published head, generation */
bool alive[4] = true;
byte held[3];
byte from_owner[3]; /* descriptors in the ring O -> i */
byte fly[12];	    /* descriptors of the block, published and not received */
byte product[12];    /* descriptors of what was made out of the block (DROP), published and not received */
byte head[12];	    /* published head of a ring */
byte told[12];	    /* the head that O was told last */
byte pend[3];	    /* the grant is written, the descriptor is not (NEG_ORDER: the other way round) */
byte pend_to[3];
byte budget[3];
byte intro[12]; /* 1 INTRODUCE sent, 2 READY sent */
byte ask[12];   /* 1 SETTLE sent, 2 SETTLED sent */
#ifdef LINKS
bool known_link[12]; /* the receiver has read the message that opens the link */
byte answer[12];
#endif
#ifdef NEG_SPILL
byte spill[3];
byte spill_to[3];
byte spill_pos[3];
#endif

/* What the owner knows. */
byte hello[3]; /* 0 never seen, 1 in the backlog, 2 linked, 3 dropped */
#ifdef NEG_SUM
short n_held[3];
#else
byte n_held[3];
#endif
bool sent[3];	/* O itself sent it what it holds */
byte debt[3];	/* undone grants for which the count is not there yet */
byte log[12 * MP];
byte log_gen[12 * MP];
byte n_orphans;
byte n_limbo;
#ifdef HOME
byte n_incoming[3]; /* sent back to O, the record read, the descriptor not */
#endif
bool allocated;
byte gen;
byte n_resend;

bool calm; /* nobody dies any more: without it a run would end only when all are dead */

/* Ghost. */
byte n_done;   /* how often the work was done */
bool may_lose; /* somebody died with the work in his hands who had it from another process than O */
byte own[3];	/* holds that came from O itself */
byte lost_own[3]; /* and died with it */
byte unpublished_to; /* 1 + receiver: the sender died between grant and descriptor */

hidden byte k, y, o_, t_, d_, p_, h_, g_;

#if !defined(SHARE)
#define SINGLE 1 /* one copy of the work: it is done exactly once */
#endif

/* What goes wrong first when a rule is missing may be a stale record; LOOSE looks further, for the harm it does. */
#ifdef LOOSE
#define STRICT(e) skip
#else
#define STRICT(e) assert(e)
#endif

#define LIVE_AT(i, a, b)                                                                                          \
	(alive[i] && (held[i] > 0 || from_owner[i] > 0 || fly[X(a, i)] > 0 || fly[X(b, i)] > 0 ||                  \
		      ((pend[i] == TRA || pend[i] == SHA) && alive[pend_to[i]])))
#define LIVE                                                                                                      \
	(LIVE_AT(0, 1, 2) || LIVE_AT(1, 0, 2) || LIVE_AT(2, 0, 1) || fly[X(0, 3)] > 0 || fly[X(1, 3)] > 0 ||       \
	 fly[X(2, 3)] > 0)
#define PRODUCT_AT(i, a, b)                                                                                              \
	(alive[i] && (product[X(a, i)] > 0 || product[X(b, i)] > 0 || (pend[i] == DRO && alive[pend_to[i]])))
#define PRODUCT (PRODUCT_AT(0, 1, 2) || PRODUCT_AT(1, 0, 2) || PRODUCT_AT(2, 0, 1))

#ifdef NEG_SUM
#define NOT_HELD (n_held[0] + n_held[1] + n_held[2] == 0)
#define COVERED(i) true
#else
#define NOT_HELD (n_held[0] == 0 && n_held[1] == 0 && n_held[2] == 0)
#define COVERED(i) (n_held[i] > 0)
#endif

#ifdef HOME
#define NOT_INCOMING (n_incoming[0] == 0 && n_incoming[1] == 0 && n_incoming[2] == 0)
#else
#define NOT_INCOMING true
#endif

/* A record that waits while everything else was read would be taken for a lie. */
#define WAITS(i) (hello[i] == 2 && nempty(rec[i]) && !COVERED(i) && !rec[i] ?[PUB, _, _, _, _])
#define QUIET(i) (hello[i] != 1 && (hello[i] != 2 || empty(rec[i]) || WAITS(i)))
#define LIE ((WAITS(0) || WAITS(1) || WAITS(2)) && QUIET(0) && QUIET(1) && QUIET(2))

inline done() {
#ifdef SINGLE
	assert(n_done == 0);
#endif
	n_done = 1
}

inline check_free() {
	if
	:: allocated && NOT_HELD && NOT_INCOMING && n_orphans == 0 && n_limbo == 0 ->
		assert(!LIVE);
#ifdef SINGLE
		assert(n_done == 1 || may_lose || PRODUCT);
#endif
		printf("O frees\n");
		allocated = false;
		sent[0] = false; sent[1] = false; sent[2] = false
	:: else
	fi
}

inline orphan() {
	assert(allocated);
#ifdef SINGLE
	assert(!LIVE && !PRODUCT && n_done == 0 && n_orphans == 0);
#endif
	printf("O has an orphan\n");
	unpublished_to = 0;
	n_orphans++
}

inline take(i) {
	n_held[i]--;
#ifndef ORIGIN
	if
	:: n_held[i] == 0 -> sent[i] = false
	:: else
	fi
#endif
}

inline leave_limbo() {
#ifdef NEG_LIMBO
	skip
#else
	n_limbo--
#endif
}

/* Entries of ring x before position h were published: nothing of them can be undone any more. */
inline trim(x, h) {
	k = 0;
	do
	:: k < MP ->
		if
		:: log[(x) * MP + k] && k < h ->
			if
			:: log[(x) * MP + k] == DRO -> leave_limbo()
			:: else
			fi;
			log[(x) * MP + k] = 0; log_gen[(x) * MP + k] = 0
		:: else
		fi;
		k++
	:: else -> break
	od
}

/* The receiver said that ring x ends at h. What is beyond it never happened. */
inline undo(x, h, d) {
	k = h;
	do
	:: k < MP ->
		if
		:: log[(x) * MP + k] ->
			STRICT(allocated && log_gen[(x) * MP + k] == gen);
			if
			:: log[(x) * MP + k] == DRO -> leave_limbo(); orphan()
			:: log[(x) * MP + k] == TRA -> debt[d]++; orphan()
			:: log[(x) * MP + k] == SHA -> debt[d]++
			fi;
			log[(x) * MP + k] = 0; log_gen[(x) * MP + k] = 0
		:: else
		fi;
		k++
	:: else -> break
	od;
	/* The count may already be spent on a release whose own grant, in a third ring, is not read yet. */
	do
	:: debt[d] > 0 && n_held[d] > 0 -> take(d); debt[d]--
	:: else -> break
	od
#ifdef NEG_SATURATE
	; debt[d] = 0
#endif
}

inline accept_all() {
	k = 0;
	do
	:: k < 3 ->
		if
		:: hello[k] == 1 -> hello[k] = 2
		:: else
		fi;
		k++
	:: else -> break
	od
}

/* Whether what ends here is the hold that O's own message gave, or one that came by another process. */
inline origin_read(i) {
	if
	:: g_ >= 8 -> g_ = g_ - 8; sent[i] = false
	:: else
	fi
}
#ifdef ORIGIN
#define ORIGIN_READ(i) origin_read(i)
#else
#define ORIGIN_READ(i) skip
#endif

inline read_record(i) {
	rec[i] ? t_, d_, p_, h_, g_;
	printf("O reads %d of %d (to %d at %d)\n", t_, i, d_, p_);
	if
	:: t_ == PUB -> trim(X(i, d_), h_)
	:: t_ == REL -> ORIGIN_READ(i); STRICT(allocated && g_ == gen); take(i)
	:: t_ == RET -> ORIGIN_READ(i); STRICT(allocated && g_ == gen); take(i); orphan()
	:: t_ == TRA || t_ == SHA || t_ == DRO ->
		ORIGIN_READ(i);
		STRICT(allocated && g_ == gen);
		accept_all();
		trim(X(i, d_), h_);
#ifndef NEG_LIMBO
		if
		:: t_ == DRO && d_ < 3 && hello[d_] == 2 -> n_limbo++
		:: else
		fi;
#endif
		if
#ifdef HOME
		:: d_ == 3 ->
#ifndef NEG_HOME
			n_incoming[i]++;
			log[X(i, 3) * MP + p_] = t_;
			log_gen[X(i, 3) * MP + p_] = gen
#endif
#endif
		:: d_ < 3 && hello[d_] == 2 ->
			if
			:: t_ != DRO -> n_held[d_]++
			:: else
			fi;
			log[X(i, d_) * MP + p_] = t_;
			log_gen[X(i, d_) * MP + p_] = gen
		:: else
		fi;
		if
		:: t_ != SHA -> take(i)
		:: else
		fi;
		/* A debt is paid as soon as there is something to pay it from. */
		do
		:: d_ < 3 && debt[d_] > 0 && n_held[d_] > 0 -> take(d_); debt[d_]--
		:: else -> break
		od
	fi;
	check_free()
}

#ifdef ORIGIN
#define OWN_COUNTS(i) true
#else
#define OWN_COUNTS(i) (n_held[i] > 0)
#endif
/* i is dead and its ring is empty. */
inline drop(i) {
	printf("O drops %d\n", i);
	hello[i] = 3;
	debt[i] = 0;
	y = 0;
	do
	:: y < 3 ->
		if
		:: y != i ->
			/* Towards the dead: nothing left to undo, and nobody to ask. What it had may have gone on. */
#ifdef NEG_GUESS
			if
			:: ask[X(y, i)] && log[X(y, i) * MP] == DRO -> leave_limbo(); orphan(); log[X(y, i) * MP] = 0
			:: else
			fi;
#endif
			trim(X(y, i), MP);
			ask[X(y, i)] = 0;
#ifdef NEG_SETTLE
			trim(X(i, y), MP);
#else
			k = 0;
			do
			:: k < MP ->
				if
				:: log[X(i, y) * MP + k] -> ask[X(i, y)] = 1
				:: else
				fi;
				k++
			:: else -> break
			od;
#endif
		:: else
		fi;
		y++
	:: else -> break
	od;
#ifdef HOME
	/* Of its own ring O knows the end itself. */
	k = 0;
	do
	:: k < MP ->
		if
		:: log[X(i, 3) * MP + k] && k >= head[X(i, 3)] -> n_incoming[i]--; orphan()
		:: else
		fi;
		log[X(i, 3) * MP + k] = 0; log_gen[X(i, 3) * MP + k] = 0;
		k++
	:: else -> break
	od;
#endif
	if
	/* With ORIGIN the count may be spent on a release of another hold whose grant is unread: the mark decides. */
	:: sent[i] && OWN_COUNTS(i) -> assert(lost_own[i] > 0); lost_own[i] = 0; orphan()
	:: else -> assert(lost_own[i] == 0)
	fi;
	n_held[i] = 0;
	sent[i] = false;
	check_free()
}

#define SETTLED(s, i) atomic { ask[X(s, i)] == 2 -> ask[X(s, i)] = 0; undo_trim(s, i); check_free() }
inline undo_trim(s, i) {
#ifdef LINKS
	h_ = answer[X(s, i)];
#else
	h_ = head[X(s, i)];
#endif
	printf("O hears that the ring %d -> %d ends at %d\n", s, i, h_);
	trim(X(s, i), h_);
	undo(X(s, i), h_, i)
}

/* What was made of an earlier life of the block is no longer followed: it was certain when the block became free. */
inline forget_products() {
	k = 0;
	do
	:: k < 12 -> product[k] = 0; k++
	:: else -> break
	od
}

/* The owner's hand for holder i; a and b are the two others. */
proctype Owner(byte i; byte a; byte b) {
end:	do
	:: atomic { hello[i] == 1 -> hello[i] = 2 }
	:: atomic {
		hello[i] == 2 && nempty(rec[i]) && (COVERED(i) || rec[i] ?[PUB, _, _, _, _]) -> read_record(i)
	}
	/* A socket shows an end, a pidfd fires; a backlog is accepted first. */
#ifdef NEG_DRAIN
	:: atomic {
		hello[i] == 2 && !alive[i] ->
		do
		:: nempty(rec[i]) -> rec[i] ? t_, d_, p_, h_, g_
		:: empty(rec[i]) -> break
		od;
		drop(i)
	}
#elif defined(NEG_DRAIN_ALL)
	:: atomic {
		hello[i] == 2 && !alive[i] && (empty(rec[i]) || WAITS(i)) ->
		do
		:: nempty(rec[i]) -> rec[i] ? t_, d_, p_, h_, g_
		:: empty(rec[i]) -> break
		od;
		drop(i)
	}
#else
	:: atomic { hello[i] == 2 && !alive[i] && empty(rec[i]) -> drop(i) }
#endif
	:: SETTLED(a, i)
	:: SETTLED(b, i)
#ifdef HOME
	/* What comes back is received after its record was read: until then its sender's count stands for it. */
#ifdef NEG_HOME
	:: atomic { fly[X(i, 3)] > 0 -> fly[X(i, 3)]--; n_orphans++ }
#else
	:: atomic {
		fly[X(i, 3)] > 0 && n_incoming[i] > 0 ->
		printf("O receives from %d\n", i);
		fly[X(i, 3)]--; n_incoming[i]--; n_orphans++
	}
#endif
#endif
	/* An orphan is dropped or sent to another. */
	:: atomic { i == 0 && n_orphans > 0 -> n_orphans--; done(); check_free() }
	:: atomic {
		hello[i] == 2 && n_orphans > 0 && n_resend > 0 ->
		n_orphans--; n_resend--; n_held[i]++; sent[i] = true;
		if
		:: alive[i] -> from_owner[i]++
		:: else -> lost_own[i]++
		fi
	}
	/* A free block is used again. */
	:: atomic {
		hello[i] == 2 && !allocated && gen + 1 < GENS ->
		gen++; allocated = true; n_done = 0; may_lose = false; unpublished_to = 0;
		forget_products();
		n_held[i]++; sent[i] = true;
		if
		:: alive[i] -> from_owner[i]++
		:: else -> lost_own[i]++
		fi
	}
#if !defined(NEG_SUM) && !defined(LOOSE)
	:: atomic { i == 0 && LIE -> assert(false) }
#endif
	od
}

#define CAN_NAME(i, d) (budget[i] > 0 && held[i] > 0 && pend[i] == 0 && head[X(i, d)] < MP && READY(i, d))
#if defined(NEG_HELLO)
#define READY(i, d) true
#else
#define READY(i, d) (intro[X(i, d)] == 2)
#endif
#ifdef NEG_PUBLISHED
#define TELLS false
#else
#define TELLS true
#endif
/* A process writes records only where O will find its ring. */
#define HAS_RING(i) (hello[i] != 0)

inline publish(i, d, t) {
	printf("%d publishes to %d at %d\n", i, d, head[X(i, d)]);
	head[X(i, d)]++;
	if
	:: !alive[d] -> may_lose = true
	:: alive[d] && t == DRO -> product[X(i, d)]++
	:: alive[d] && t != DRO -> fly[X(i, d)]++
	fi
}

/* One of its holds goes: the one that came from O, or another. */
inline finish(i) {
	if
	:: own[i] > 0 -> own[i]--; o_ = 8
	:: held[i] > own[i] -> o_ = 0
	fi;
#ifndef ORIGIN
	o_ = 0;
#endif
	held[i]--
}

inline grant(i, d, t) {
	printf("%d grants %d to %d at %d\n", i, t, d, head[X(i, d)]);
	budget[i]--;
	if
	:: t != SHA && !alive[d] -> may_lose = true
	:: else
	fi;
	if
	:: t != SHA -> finish(i)
	:: else -> o_ = 0
	fi;
	pend[i] = t;
	pend_to[i] = d;
#if defined(NEG_ORDER)
	publish(i, d, t)
#elif defined(NEG_SPILL)
	/* The record ring is full: the grant goes to the private list. */
	if
	:: spill[i] == 0 -> spill[i] = t; spill_to[i] = d; spill_pos[i] = head[X(i, d)]
	:: rec[i] ! t, d, head[X(i, d)], head[X(i, d)], gen + o_
	fi
#else
	rec[i] ! t, d, head[X(i, d)], head[X(i, d)], gen + o_;
	told[X(i, d)] = head[X(i, d)]
#endif
}

/* What process i may do towards process d. */
#if defined(SHARE)
#define DO_SHARE(i, d) :: atomic { alive[i] && CAN_NAME(i, d) && HAS_RING(i) && nfull(rec[i]) -> grant(i, d, SHA) }
#else
#define DO_SHARE(i, d)
#endif
#if defined(DROP)
#define DO_DROP(i, d) :: atomic { alive[i] && CAN_NAME(i, d) && HAS_RING(i) && nfull(rec[i]) -> grant(i, d, DRO) }
#else
#define DO_DROP(i, d)
#endif
#ifdef LINKS
#define KNOWN(s, i) known_link[X(s, i)]
#else
#define KNOWN(s, i) true
#endif

#define TOWARDS(i, d)                                                                                             \
	:: atomic { alive[i] && CAN_NAME(i, d) && HAS_RING(i) && nfull(rec[i]) -> grant(i, d, TRA) }               \
	DO_SHARE(i, d)                                                                                             \
	DO_DROP(i, d)                                                                                              \
	:: atomic {                                                                                                \
		alive[i] && budget[i] > 0 && held[i] > 0 && intro[X(i, d)] == 0 && alive[d] -> intro[X(i, d)] = 1  \
	}                                                                                                          \
	:: atomic {                                                                                                \
		alive[i] && pend[i] == 0 && TELLS && told[X(i, d)] < head[X(i, d)] && nfull(rec[i]) && HAS_RING(i) ->       \
		told[X(i, d)] = head[X(i, d)];                                                                     \
		rec[i] ! PUB, d, 0, head[X(i, d)], 0                                                               \
	}

#define FROM(s, i)                                                                                                \
	:: atomic { alive[i] && KNOWN(s, i) && fly[X(s, i)] > 0 -> printf("%d receives from %d\n", i, s); fly[X(s, i)]--; held[i]++ }     \
	:: atomic { alive[i] && KNOWN(s, i) && product[X(s, i)] > 0 -> printf("%d has the product of %d\n", i, s); product[X(s, i)]--; done() }                \
	:: atomic { alive[i] && intro[X(s, i)] == 1 && hello[i] == 0 -> hello[i] = 1 }                             \
	:: atomic { alive[i] && intro[X(s, i)] == 1 && hello[i] != 0 -> intro[X(s, i)] = 2 }

/* SETTLE: the writer of the ring is dead, so its head is final; what stands in the dead one's socket is read first. */
#if !defined(LINKS)
#define ANSWER(s, i) :: atomic { alive[i] && ask[X(s, i)] == 1 -> ask[X(s, i)] = 2 }
#elif defined(NEG_BLIND)
#define ANSWER(s, i)                                                                                              \
	:: atomic {                                                                                                \
		alive[i] && ask[X(s, i)] == 1 ->                                                                   \
		ask[X(s, i)] = 2;                                                                                  \
		answer[X(s, i)] = (known_link[X(s, i)] -> head[X(s, i)] : 0)                                       \
	}                                                                                                          \
	:: atomic { alive[i] && !known_link[X(s, i)] && intro[X(s, i)] == 2 -> known_link[X(s, i)] = true }
#else
#define ANSWER(s, i)                                                                                              \
	:: atomic {                                                                                                \
		alive[i] && ask[X(s, i)] == 1 && known_link[X(s, i)] ->                                            \
		ask[X(s, i)] = 2;                                                                                  \
		answer[X(s, i)] = head[X(s, i)]                                                                    \
	}                                                                                                          \
	:: atomic { alive[i] && !known_link[X(s, i)] && intro[X(s, i)] == 2 -> known_link[X(s, i)] = true }
#endif

inline lose_from(s, i) {
	if
	:: fly[X(s, i)] > 0 || product[X(s, i)] > 0 -> may_lose = true
	:: else
	fi;
	if
	:: (pend[s] == TRA || pend[s] == DRO) && pend_to[s] == i -> may_lose = true
	:: else
	fi;
	fly[X(s, i)] = 0;
	product[X(s, i)] = 0
}

inline die(i, a, b) {
	printf("%d dies\n", i);
	alive[i] = false;
	if
	:: held[i] > own[i] -> may_lose = true
	:: else
	fi;
	lost_own[i] = own[i] + from_owner[i];
	held[i] = 0; own[i] = 0; from_owner[i] = 0;
	lose_from(a, i);
	lose_from(b, i);
	if
	:: unpublished_to == i + 1 -> may_lose = true
	:: else
	fi;
	if
	:: (pend[i] == TRA || pend[i] == DRO) && !alive[pend_to[i]] -> may_lose = true
	:: (pend[i] == TRA || pend[i] == DRO) && alive[pend_to[i]] -> unpublished_to = pend_to[i] + 1
	:: else
	fi;
	pend[i] = 0; pend_to[i] = 0; budget[i] = 0
#ifdef NEG_SPILL
	; spill[i] = 0
#endif
}

proctype Process(byte i; byte a; byte b) {
end:	do
	:: atomic { alive[i] && from_owner[i] > 0 -> from_owner[i]--; held[i]++; own[i]++ }
	FROM(a, i)
	FROM(b, i)
	ANSWER(a, i)
	ANSWER(b, i)
#ifdef NEG_HELLO
	/* It goes to the owner when it first has something to say. */
	:: atomic { alive[i] && held[i] > 0 && hello[i] == 0 -> hello[i] = 1 }
#endif
	:: atomic {
		alive[i] && held[i] > 0 && pend[i] == 0 && HAS_RING(i) && nfull(rec[i]) ->
		printf("%d releases\n", i);
		finish(i); done();
		rec[i] ! REL, 0, 0, 0, gen + o_
	}
#ifdef RETURN
	:: atomic {
		alive[i] && held[i] > 0 && pend[i] == 0 && HAS_RING(i) && nfull(rec[i]) && budget[i] > 0 ->
		finish(i); budget[i]--;
		rec[i] ! RET, 0, 0, 0, gen + o_
	}
#endif
	TOWARDS(i, a)
	TOWARDS(i, b)
#ifdef HOME
	:: atomic {
		alive[i] && budget[i] > 0 && held[i] > 0 && pend[i] == 0 && head[X(i, 3)] < MP && HAS_RING(i) &&
			nfull(rec[i]) -> grant(i, 3, TRA)
	}
	:: atomic {
		alive[i] && pend[i] == 0 && TELLS && told[X(i, 3)] < head[X(i, 3)] && nfull(rec[i]) && HAS_RING(i) ->
		told[X(i, 3)] = head[X(i, 3)];
		rec[i] ! PUB, 3, 0, head[X(i, 3)], 0
	}
#endif
#ifdef NEG_ORDER
	:: atomic {
		alive[i] && pend[i] != 0 && nfull(rec[i]) ->
		rec[i] ! pend[i], pend_to[i], head[X(i, pend_to[i])] - 1, head[X(i, pend_to[i])] - 1, gen;
		pend[i] = 0; pend_to[i] = 0
	}
#else
	:: atomic { alive[i] && pend[i] != 0 -> publish(i, pend_to[i], pend[i]); pend[i] = 0; pend_to[i] = 0 }
#endif
#ifdef NEG_SPILL
	:: atomic {
		alive[i] && spill[i] != 0 && nfull(rec[i]) ->
		rec[i] ! spill[i], spill_to[i], spill_pos[i], spill_pos[i], gen;
		spill[i] = 0; spill_to[i] = 0; spill_pos[i] = 0
	}
#endif
	:: atomic { alive[i] && !calm && (DIE & (1 << i)) -> die(i, a, b) }
	od
}

/* When nobody can do anything any more, nobody holds anything, and the owner has everything back. */
proctype Check() {
end:	if
	:: calm = true
	fi;
end_calm:
	atomic {
		timeout ->
		assert(!LIVE && !PRODUCT);
		assert(!allocated && n_orphans == 0 && n_limbo == 0);
		assert(NOT_HELD && NOT_INCOMING);
		k = 0;
		do
		:: k < 12 * MP -> STRICT(log[k] == 0); k++
		:: else -> break
		od;
		k = 0;
		do
		:: k < 3 -> 
			STRICT(debt[k] == 0 && (empty(rec[k]) || hello[k] == 3));
			assert(alive[k] || hello[k] == 0 || hello[k] == 3);
			k++
		:: else -> break
		od
	}
}

init {
	atomic {
		budget[0] = BF; budget[1] = BB; budget[2] = BC;
		n_resend = RESEND;
		hello[0] = 2; allocated = true; n_held[0] = 1; sent[0] = true; from_owner[0] = 1;
#ifdef PREPARED
		hello[1] = 1; hello[2] = 1;
		k = 0;
		do
		:: k < 12 -> intro[k] = 2; k++
		:: else -> break
		od;
#endif
#ifdef FANOUT
		hello[1] = 2; n_held[1] = 1; sent[1] = true; from_owner[1] = 1;
#endif
		run Owner(0, 1, 2); run Owner(1, 0, 2); run Owner(2, 0, 1);
		run Process(0, 1, 2); run Process(1, 0, 2); run Process(2, 0, 1);
		run Check()
	}
}
