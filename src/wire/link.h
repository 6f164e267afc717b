/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A link: one connection of a channel to a peer, with a ring of descriptors each way and a doorbell each way.
 *
 * It is made by the service thread (control lock) and then handed to its channel, which alone uses the rings.
 * The two speak through `state`, and through the channel's list of changes.
 */
#ifndef SEALANE_WIRE_LINK_H
#define SEALANE_WIRE_LINK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/fence.h"
#include "wire/latency.h"
#include "wire/layout.h"
#include "wire/wire.h"

enum seai_link_state {
	SEAI_LINK_OPENING = 0, /* handshake under way */
	SEAI_LINK_OPEN = 1,
	SEAI_LINK_CLOSED = 2, /* the peer uses it no more: what is in its ring can be read, nothing be sent */
	SEAI_LINK_DEAD = 3,   /* the peer's process is gone */
};

/* The sending half; used by the channel's thread. */
struct seai_ring_out {
	struct seai_descriptor *slots; /* ours */
	_Atomic uint64_t position;     /* next to be published; written by the channel's thread */
	uint64_t tail_cached;          /* the peer's, as last looked at */
	uint64_t mask;
	uint64_t capacity;
	const struct seai_side *theirs;
};

/* The receiving half. */
struct seai_ring_in {
	const struct seai_descriptor *slots; /* the peer's */
	_Atomic uint64_t position;           /* next to be read; written by the channel's thread */
	uint64_t mask;
	uint64_t capacity;
};

/* Arenas of which a link remembers that the peer has them. */
#define SEAI_LINK_N_PROVIDED 8

struct seai_link {
	struct seai_ring_out out;
	struct seai_ring_in in;
	struct seai_side *mine;
	const struct seai_side *theirs;
	uint32_t n_slots_mine, n_slots_theirs;
	struct seai_conn *conn;
	struct seai_endpoint *endpoint; /* NULL once its channel let it go */
	struct seai_target *target;     /* the one that made it; NULL where the peer did */
	uint64_t id;
	uint64_t peer_id;
	uint32_t holder; /* the peer in the ledger */
	_Atomic uint32_t state;
	bool asymmetric;        /* both processes can membarrier: fences are the sleeper's business */
	bool wants_fences;      /* as told to the peer, in mine->wants_fences (channel's thread) */
	uint64_t n_since_sleep; /* messages sent or received since this end slept last (channel's thread) */
	bool is_initiator;
	bool is_listed;                  /* among the channel's links (channel's thread) */
	int bell_out_fd;                 /* we ring */
	int bell_in_fd;                  /* we are rung */
	uint64_t armed_data, armed_room; /* what we asked to be rung for; UINT64_MAX: nothing (channel's thread) */
	/* What was made sure of last, so that it need not be looked up: channel's thread. */
	struct {
		uint64_t owner_id;
		uint32_t arena_id;
	} provided[SEAI_LINK_N_PROVIDED];
	uint64_t introduced_owner_id;
	uint64_t given_position; /* own blocks given back before this position are in the books as such (books lock) */
	struct seai_link *next_change; /* in the channel's list of changes */
	bool is_changed;               /* it is in that list (channel's lock) */
	bool is_finished;              /* the channel has let it go (channel's lock) */
	bool has_news;                 /* of a send to all: published, not rung yet (channel's thread) */
	bool needs_long_road;          /* of a send to all: still to be sent to (channel's thread) */
	bool is_awaited;               /* a wait is for room in this one (channel's thread) */
	bool is_late;                  /* has not been given the latest message yet (channel's thread) */
	uint64_t n_missed;             /* published while it had no room (channel's thread) */
	uint32_t n_stale;              /* answers to requests that were given up, still to come (channel's thread) */
	struct seai_topics
		*topics; /* what the peer wants of what is published; NULL: not known yet (channel's thread) */
	_Atomic(struct seai_topics *) topics_next; /* newer ones; from the service thread to the channel's */
	struct seai_topic *topics_said;            /* as the peer said them (control) */
	uint32_t n_topics_said, n_topics_said_max;
	bool is_topics_ready;   /* all that it started with were said (control) */
	bool is_rung;           /* its doorbell rang and was not drained since (channel's thread) */
	uint32_t n_undrained;   /* sleeps since it was drained (channel's thread) */
	struct seai_link *next; /* in the wire's list, or among the finished */
	uint64_t forget_mark;   /* the peer's head when it said forget */
	struct seai_latency latency;
};

/*
 * After something was published: whether this side is to execute the fence between that and the look at what the peer wants to be rung for. By
 * default it is the sleeper's (base/fence.h); a peer that sleeps often asks for ours instead, which is cheaper for both then.
 */
static inline bool seai_link_asks_for_fence(const struct seai_link *link)
{
	/* Looked at after what was published: a barrier that the peer has us execute comes before the one or after the other. */
	atomic_signal_fence(memory_order_seq_cst);
	return !link->asymmetric || atomic_load_explicit(&link->theirs->wants_fences, memory_order_relaxed);
}

/* After something was published: what the peer wants to be rung for. */
static inline uint64_t seai_link_read_want(const struct seai_link *link, const _Atomic uint64_t *want)
{
	if (seai_link_asks_for_fence(link))
		atomic_thread_fence(memory_order_seq_cst);
	atomic_signal_fence(memory_order_seq_cst);
	return atomic_load_explicit(want, memory_order_relaxed);
}

/* link-handshake.c: how it comes about, on the service thread. Control held. */

int seai_link_open(struct seai_conn *conn, struct seai_target *target);
void seai_link_on_open(struct seai_conn *conn, const struct seai_control *control, int *fd);
void seai_link_on_accept(struct seai_conn *conn, const struct seai_control *control, int fds[2]);
void seai_link_on_start(struct seai_conn *conn, const struct seai_control *control, int *fd);
void seai_link_on_refuse(struct seai_conn *conn, const struct seai_control *control);

/* link.c: its life. Control held, unless it says otherwise. */

/* An attempt that an endpoint makes, or is asked for. NULL: no memory. */
struct seai_link *seai_link_new(struct seai_conn *conn, struct seai_endpoint *endpoint, uint64_t id);
/* An attempt that came to nothing, with or without its endpoint: frees it. */
void seai_link_give_up(struct seai_link *link);
/* A link of that connection; NULL. */
struct seai_link *seai_link_find(struct seai_wire *wire, const struct seai_conn *conn, uint64_t id);
/* Sends a control message about it; error is positive. */
void seai_link_tell(struct seai_link *link, enum seai_control_type type, int error, const int *fds, unsigned n_fds);
void seai_link_on_close(struct seai_conn *conn, const struct seai_control *control);
/* The process at the other end is dead. */
void seai_link_on_death(struct seai_link *link);

/* All links of the session that are not freed. */
struct seai_link *seai_link_first(struct seai_wire *wire);

/* The channel uses it no more: tells the peer, and frees it on the service thread. Control held. */
void seai_link_let_go(struct seai_link *link);
/* The same from the channel's thread without control: the service thread does it. */
void seai_link_finish(struct seai_link *link);
/* Frees a link without a word. */
void seai_link_destroy(struct seai_link *link);
/* Frees what seai_link_finish() put aside. Control held. */
void seai_link_free_finished(struct seai_wire *wire);
/* The peer is dead: its holds of own blocks that stand unread in its ring as given back become this process's. Books lock held. */
void seai_link_take_given(struct seai_link *link);
/* Position up to which the peer has published, seen from here. */
uint64_t seai_link_head(const struct seai_link *link);

#endif
