/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel inside. Its links, cursors and caches belong to the thread that uses it; what the service thread
 * wants of it goes through the list of changes.
 */
#ifndef SEALANE_CHANNEL_CHANNEL_H
#define SEALANE_CHANNEL_CHANNEL_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <sealane/channel.h>

#include "base/fence.h"
#include "base/lock.h"
#include "memory/ledger.h"
#include "memory/session.h"
#include "wire/endpoint.h"
#include "wire/link.h"
#include "wire/status.h"
#include "wire/take.h"

struct sea_channel {
	struct seai_endpoint endpoint; /* first, so that one is the other's address */
	struct sea_session *session;
	struct seai_account *account;
	int64_t spin_ns; /* 0: not at all; SEAI_FOR_EVER */
	enum sea_pattern pattern;
	bool sends, receives;

	/* NULL: shared memory; see transport.h. */
	const struct seai_transport *transport;
	struct seai_zeromq *zeromq;
	/* What send and receive do instead, where a pattern or a transport wants it; NULL: the usual. Forms of the _many() calls. */
	int (*send_special)(struct sea_channel *channel, struct sea_message **messages, size_t n_messages,
	                    int64_t timeout_ns);
	int (*receive_special)(struct sea_channel *channel, struct sea_message **messages, size_t n_max,
	                       int64_t timeout_ns);

	struct seai_lock lock; /* guards the next two, and the links' is_changed and is_finished */
	struct seai_link *changes;
	_Atomic bool has_changes;

	int epoll_fd;                /* all doorbells, and kick_fd: the channel's descriptor */
	int kick_fd;                 /* eventfd of this process alone: changes, orphans, interruption */
	bool is_kicked;              /* kick_fd was seen readable and not drained since */
	bool is_fd_given;            /* somebody polls epoll_fd: every -EAGAIN has to arm */
	_Atomic bool is_interrupted; /* the next wait ends */
	_Atomic bool is_held;        /* no call waits until it is resumed */

	struct seai_link **links;
	uint32_t n_links, n_links_max;
	uint32_t next_send, next_receive;
	uint32_t n_ending;   /* links among them that are to go once they are empty */
	int64_t back_off_ns; /* how long a wait looks away first; see wait.c */
	unsigned n_short_waits;
	struct seai_lookup lookup;

	/* Requests and replies: see reply.c. */
	struct seai_link *sent_link, *received_link; /* of the last message */
	struct seai_link *turn;                      /* who owes an answer, or is owed one */
	bool has_lost_turn;                          /* and is gone */
	struct sea_message *request;                 /* to be sent again if it is */

	/* Publishers: see publish.c. */
	enum sea_slow slow;
	bool keeps_latest;
	struct sea_message *latest;
	uint32_t n_late;       /* subscribers that have not got it yet */
	struct seai_lock user; /* with keeps_latest: all of the channel's thread's */

	_Atomic uint32_t in_call; /* this thread may be looking at attached arenas */

	_Atomic uint64_t n_sent, n_received, n_refused, n_doorbells, n_sleeps, n_missed;
};

/* What a waiting call waits for. */
#define SEAI_WAIT_DATA 1u
#define SEAI_WAIT_ROOM 2u
#define SEAI_WAIT_PEERS 4u
#define SEAI_WAIT_TAKEN 8u    /* that a receiver takes something out of its queue */
#define SEAI_WAIT_AWAITED 16u /* room in a link that is marked as awaited, or its end */

static inline struct sea_channel *seai_channel_of(struct seai_endpoint *endpoint)
{
	return (struct sea_channel *)(void *)endpoint;
}

static inline void seai_count(_Atomic uint64_t *counter, uint64_t n)
{
	/* One writer: no locked instruction. */
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n, memory_order_relaxed);
}

/* A process that did nothing has no heartbeat: it begins again. */
static inline void seai_channel_note_active(struct sea_channel *channel)
{
	if (SEAI_UNLIKELY(atomic_load_explicit(&channel->session->wire->is_quiet, memory_order_relaxed)))
		seai_status_wake(channel->session->wire);
}

/* While a thread is between these two, no attached arena is unmapped. */
static inline void seai_channel_enter(struct sea_channel *channel)
{
	atomic_store_explicit(&channel->in_call, 1, memory_order_relaxed);
	/* Pairs with the heavy fence of who unmaps. */
	seai_fence_light(channel->session->wire->asymmetric);
}

static inline void seai_channel_leave(struct sea_channel *channel)
{
	atomic_store_explicit(&channel->in_call, 0, memory_order_release);
}

/* -ECANCELED where the channel was interrupted; that is taken note of. */
static inline int seai_channel_take_interrupt(struct sea_channel *channel)
{
	if (SEAI_UNLIKELY(atomic_load_explicit(&channel->is_interrupted, memory_order_relaxed))) {
		atomic_store_explicit(&channel->is_interrupted, false, memory_order_relaxed);
		return -ECANCELED;
	}
	return SEAI_UNLIKELY(atomic_load_explicit(&channel->is_held, memory_order_relaxed)) ? -ECANCELED : 0;
}

/* channel-links.c: what the wire calls. */
void seai_channel_fill_endpoint(struct sea_channel *channel);
/* All doorbells, as is_fd_given says now. */
void seai_channel_watch_again(struct sea_channel *channel);

/* Takes over what the service thread has changed. */
void seai_channel_update_slowly(struct sea_channel *channel);

static inline void seai_channel_update(struct sea_channel *channel)
{
	/* acquire: pairs with the release of who put something on the list */
	if (SEAI_UNLIKELY(atomic_load_explicit(&channel->has_changes, memory_order_acquire)))
		seai_channel_update_slowly(channel);
}

/* So many messages without a sleep say that the peer's fences cost more than a membarrier now and then. */
#define SEAI_N_AWAKE 256

/* Notes that a link was used without a sleep; tells the peer when it need not fence any more. */
static inline void seai_link_note_use(struct seai_link *link, uint64_t n)
{
	link->n_since_sleep += n;
	if (SEAI_UNLIKELY(link->wants_fences && link->n_since_sleep > SEAI_N_AWAKE)) {
		link->wants_fences = false;
		atomic_store_explicit(&link->mine->wants_fences, 0, memory_order_relaxed);
	}
}

/* publish.c: the prefixes of a peer changed; to be called under the lock of those that keep their latest message. */
void seai_publish_note_topics(struct sea_channel *channel, struct seai_link *link);
/* Around whatever the channel's thread does with it. */
void seai_publish_enter(struct sea_channel *channel);
void seai_publish_leave(struct sea_channel *channel);
/* The service thread's turn. Returns whether to come again soon. */
bool seai_publish_on_idle(struct seai_endpoint *endpoint);
int seai_publish_many(struct sea_channel *channel, struct sea_message **messages, size_t n_messages,
                      int64_t timeout_ns);

/* Lets links go that have ended and hold nothing more to be received. */
void seai_channel_drop_ended(struct sea_channel *channel);

/* Whether a link has a message to be received. */
static inline bool seai_link_has_data(const struct seai_link *link)
{
	uint64_t position = atomic_load_explicit(&link->in.position, memory_order_relaxed);

	return link->n_slots_theirs && atomic_load_explicit(&link->in.slots[position & link->in.mask].sequence,
	                                                    memory_order_acquire) == position + 1;
}

/* Whether a message can be put into a link; looks at the peer's tail only where it has to. */
static inline bool seai_link_has_room(struct seai_link *link)
{
	uint64_t position = atomic_load_explicit(&link->out.position, memory_order_relaxed), tail;

	if (SEAI_LIKELY(position - link->out.tail_cached < link->out.capacity))
		return true;
	if (!link->out.capacity)
		return false;
	/* acquire: pairs with the release that gives slots back, after the peer has read them */
	tail = atomic_load_explicit(&link->out.theirs->tail, memory_order_acquire);
	/* A tail beyond what was sent, or one that goes back, is a lie; it counts for nothing. */
	if (tail - link->out.tail_cached <= position - link->out.tail_cached)
		link->out.tail_cached = tail;
	return position - link->out.tail_cached < link->out.capacity;
}

static inline bool seai_link_can_send(struct seai_link *link)
{
	return atomic_load_explicit(&link->state, memory_order_relaxed) == SEAI_LINK_OPEN && seai_link_has_room(link);
}

/*
 * Waits for any of `what`, a change, or the deadline. 0: look again; -ETIMEDOUT; -EINTR; -ECANCELED; -EDEADLK.
 * retry_ns: look again after that at the latest; -1: no such need.
 */
int seai_channel_wait(struct sea_channel *channel, unsigned what, int64_t deadline_ns, int64_t *spin_until_ns,
                      int64_t retry_ns);

/*
 * Of channels without links: sleeps until something in the channel's epoll set is readable, drains the kick, and returns; what was kicked
 * before is seen. 0: look again; -ETIMEDOUT; -EINTR; -ECANCELED; -EDEADLK.
 */
int seai_channel_sleep(struct sea_channel *channel, int64_t deadline_ns);

/* Before -EAGAIN: makes sure that the descriptor becomes readable when there is something. Returns whether there is something now. */
bool seai_channel_arm_for_poll(struct sea_channel *channel, unsigned what);

/* Whether the peer is known to have an arena. */
static inline bool seai_link_has_provided(const struct seai_link *link, uint64_t owner_id, uint32_t arena_id)
{
	const unsigned slot = arena_id % SEAI_LINK_N_PROVIDED;

	return link->provided[slot].owner_id == owner_id && link->provided[slot].arena_id == arena_id;
}

/* A whole message of one block of another process, with everything prepared: the short road of forwarding. */
bool seai_channel_can_hand_on(const struct seai_link *link, const struct sea_message *message);
/* Hands it on. 0: consumed; -EAGAIN. */
int seai_channel_hand_on(struct seai_link *link, struct sea_message *message);

/* Takes a name in the session's directory. Errors of sea_channel_bind(). */
int seai_channel_take_name(struct sea_channel *channel, const char *name);
/* Connects to the name that an address stands for. Errors of sea_channel_connect(). */
int seai_channel_seek_name(struct sea_channel *channel, const char *address);

/* Makes the channel's descriptor readable. Any thread. */
void seai_channel_kick(struct sea_channel *channel);

/* Puts a message of whatever memory into a link with room. 0; -EAGAIN; -EPIPE the link is of no use; -ENOMEM. The message is consumed on 0 if is_consumed. */
int seai_channel_post_foreign(struct sea_channel *channel, struct seai_link *link, struct sea_message *message,
                              bool is_consumed);

/* Makes sure the peer has the arenas of a message and its owners know the peer. 0; -EAGAIN. */
int seai_channel_prepare(struct sea_channel *channel, struct seai_link *link, struct sea_message *message);

/* SEA_ORPHANS_RESEND: sends what came back, until none waits. deadline_ns 0: does not wait. */
int seai_channel_send_orphans(struct sea_channel *channel, int64_t deadline_ns);

/* Fills the next slot of a link and publishes it; the caller rings. */
void seai_link_publish(struct seai_link *link, const struct sea_message *message, uint16_t tokens, uint16_t kind_flags);
/* Rings if the peer sleeps and something was published since position `old`. */
void seai_channel_ring(struct sea_channel *channel, struct seai_link *link, uint64_t old);
/* The same, where the caller has executed the fence that seai_link_asks_for_fence() asks for. */
void seai_channel_ring_fenced(struct sea_channel *channel, struct seai_link *link, uint64_t old);

#endif
