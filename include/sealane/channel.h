/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel: a user's socket. It has a pattern, binds and connects to any number
 * of addresses, and sends and receives whole messages. Either side may start first,
 * and a side that was restarted is found again by itself.
 *
 * Addresses: a name such as "readout", "memfd://readout", "shmem://readout" or "ipc://readout"
 * (the four are the same: what memory a message lies in is its heap's business), unique within a session.
 *
 * Threads: a channel is used by one thread at a time; sea_channel_interrupt() and sea_channel_get_stats()
 * may be called from any.
 */
#ifndef SEALANE_CHANNEL_H
#define SEALANE_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_channel;
struct sea_message;
struct sea_resolver;
struct sea_session;

/** What a channel does with its peers. */
enum sea_pattern {
	SEA_PUSH = 1, /**< sends, round robin over the receivers with room */
	SEA_PULL = 2, /**< receives, fair over the senders */
	SEA_PAIR = 3, /**< sends to and receives from one peer at a time */
	/**
	 * Sends a request to one replier, round robin over those with room, and receives its answer; then the next. A request sent before the answer
	 * came gives the earlier one up. Dies the replier, the wait for its answer ends with -EPIPE; with SEA_ORPHANS_RESEND the request goes to another by itself.
	 */
	SEA_REQ = 4,
	SEA_REP = 5,     /**< receives a request, fair over the requesters, and sends its answer; then the next */
	SEA_PUB = 6,     /**< sends to all subscribers that want it: as one block that all hold */
	SEA_SUB = 7,     /**< receives what begins with any of its prefixes: see sea_channel_subscribe() */
	SEA_XPUB = 8,    /**< as ZeroMQ's; over libzmq alone */
	SEA_XSUB = 9,    /**< as ZeroMQ's; over libzmq alone */
	SEA_DEALER = 10, /**< as ZeroMQ's; over libzmq alone */
	SEA_ROUTER = 11, /**< as ZeroMQ's; over libzmq alone */
};

/** What a publisher does about a subscriber whose queue is full. */
enum sea_slow {
	SEA_SLOW_DROP = 0, /**< that one misses the message; counted in n_missed */
	SEA_SLOW_WAIT = 1, /**< waits until all have room, or the send's timeout is over; then as above */
};

/** A publisher keeps the latest message and gives it to whoever subscribes to it later. */
#define SEA_CHANNEL_LATEST (1u << 0)
/** Longest prefix of a subscription. */
#define SEA_TOPIC_N_BYTES_MAX 120

/** What happens to messages that a receiver had not released when it died or left. */
enum sea_orphans {
	SEA_ORPHANS_DROP = 0,   /**< their memory is free again */
	SEA_ORPHANS_KEEP = 1,   /**< they wait for sea_channel_take_orphan() */
	SEA_ORPHANS_RESEND = 2, /**< the next send call sends them first; sea_channel_flush() waits for them */
};

/** Default of sndbuf and rcvbuf in messages. */
#define SEA_CHANNEL_BUF_DEFAULT 1000
/** Largest capacity of a queue in messages; what 0 stands for. */
#define SEA_CHANNEL_BUF_MAX (1u << 20)

/** How to make a channel. All zero is a good start; unset members must be zero. */
struct sea_channel_options {
	/**
	 * Messages that this end adds to the capacity of a queue towards a peer. A queue holds as many as
	 * the sender's sndbuf and the receiver's rcvbuf together, to the message. 0: the default of 1000;
	 * -1: nothing (at least one end must add something, else the queue holds 1).
	 */
	int32_t sndbuf;
	/** As sndbuf, for the queues from peers. */
	int32_t rcvbuf;
	/** How long a waiting call looks for itself before it sleeps, in ns. 0: 10 us; -1: for as long as it waits; 1: not at all. */
	int64_t spin_ns;
	/** What happens to orphans. */
	enum sea_orphans orphans;
	/** What a publisher does about slow subscribers. Since 0.3. */
	enum sea_slow slow;
	/** SEA_CHANNEL_ bits. Since 0.3. */
	uint64_t flags;
	/** Over libzmq: how long messages that were sent are still delivered after the close, in ns. 0: 500 ms; -1: for ever; 1: not at all. Since 0.3. */
	int64_t linger_ns;
	/** Over libzmq: the kernel's send buffer in bytes. 0: as it is. Since 0.3. */
	int32_t sndkernel_n_bytes;
	/** Over libzmq: the kernel's receive buffer in bytes. 0: as it is. Since 0.3. */
	int32_t rcvkernel_n_bytes;
	/** SEA_TRANSPORT_ZEROMQ: over libzmq. Any other: shared memory, whatever the heaps of its messages. Since 0.3. */
	enum sea_transport transport;
	/** Must be 0. */
	uint32_t reserved_1;
	/** Must be 0. */
	uint64_t reserved[4];
};

/** Counters of a channel since it was made. */
struct sea_channel_stats {
	uint64_t n_links;           /**< peers connected now */
	uint64_t n_sent;            /**< messages sent */
	uint64_t n_received;        /**< messages received */
	uint64_t n_orphans;         /**< messages that came back */
	uint64_t n_orphans_waiting; /**< of them, not yet taken or sent again */
	uint64_t n_refused;         /**< descriptors of peers that were malformed; refused */
	uint64_t n_doorbells;       /**< times a sleeping peer had to be woken */
	uint64_t n_sleeps;          /**< times this channel slept */
	uint64_t n_queued_out;      /**< messages sent that no receiver has taken yet */
	uint64_t n_queued_in;       /**< messages that wait to be received */
	uint64_t n_missed; /**< messages that a subscriber, or a receiver of sea_channel_send_each(), had no room for */
	uint64_t reserved[5]; /**< 0 */
};

/**
 * Makes a channel.
 * @param ret_channel receives the channel; the caller closes it before the session
 * @param options NULL for the defaults
 * @return 0; -EINVAL; -ENOMEM; -EMFILE, -ENFILE; -EPERM in a forked child;
 *         -ENOTSUP a pattern that shared memory has not, or there is no libzmq on this machine. Any thread. Since 0.1.
 */
int sea_channel_new(struct sea_channel **ret_channel, struct sea_session *session, enum sea_pattern pattern,
                    const struct sea_channel_options *options);

/**
 * Closes a channel. Messages already sent stay where they are and can be received
 * as long as this process or the receiver's mapping lives; messages not yet received go back to their senders as orphans.
 * @param channel NULL is allowed
 * @return NULL. Since 0.1.
 */
struct sea_channel *sea_channel_close(struct sea_channel *channel);

/**
 * Takes an address for this channel: peers that connect to it find this channel.
 * @return 0; -EINVAL a malformed address; -EADDRINUSE another live process or channel has it;
 *         -ENOSPC, -EACCES, -EROFS from the runtime directory. Since 0.1.
 */
int sea_channel_bind(struct sea_channel *channel, const char *address);

/**
 * The address of the last bind, as peers have to connect to it: over libzmq with the port that was chosen for `tcp://127.0.0.1:*`.
 * @param address receives it, terminated
 * @return its length; -ENOENT nothing is bound; -E2BIG it does not fit; -EPERM in a forked child. Since 0.3.
 */
int sea_channel_get_address(struct sea_channel *channel, char *address, size_t n_bytes);

/**
 * Connects to an address, now or as soon as somebody is bound to it, and again after each loss.
 * @return 0 (which does not mean connected); -EINVAL a malformed address. Since 0.1.
 */
int sea_channel_connect(struct sea_channel *channel, const char *address);

/**
 * Waits until at least n_peers are connected; subscribers count once it is known what they want.
 * @return 0; -EPROTOTYPE the channel at the address has a pattern that does not fit; -ETIMEDOUT, -EAGAIN (timeout 0); -EINTR; -ECANCELED; -EDEADLK; -EPERM. Since 0.1.
 */
int sea_channel_wait_peers(struct sea_channel *channel, unsigned n_peers, int64_t timeout_ns);

/**
 * Sends a message to one receiver.
 *
 * @param message taken on success; on failure the caller still has it
 * @param timeout_ns how long to wait for a receiver with room; 0 not at all, -1 for ever
 * @return 0; -EAGAIN no room (timeout 0); -ETIMEDOUT; -EINTR; -EINVAL not a message, a pull channel, or over libzmq a message without parts;
 *         -EPROTO a replier has no request to answer; -EPIPE its requester is gone: the next request may be received;
 *         -EACCES it lies in a region that is a plain file, and the receiver whose turn it is does not trust files;
 *         -E2BIG the receiver whose turn it is holds this same memory 65534 times already: one more when it has released some;
 *         -ECANCELED; -EDEADLK waiting in a callback; -EPERM in a forked child. Since 0.1.
 */
int sea_channel_send(struct sea_channel *channel, struct sea_message **message, int64_t timeout_ns);

/**
 * Sends up to n_messages, in order; waits until at least one was sent.
 * @param messages those that were sent become NULL
 * @return how many were sent, at least 1; else an error as of sea_channel_send(). Since 0.1.
 */
int sea_channel_send_many(struct sea_channel *channel, struct sea_message **messages, size_t n_messages,
                          int64_t timeout_ns);

/**
 * Sends one message to every receiver that has room, as one block with many holds; never waits.
 * @param message taken if at least one receiver got it
 * @param ret_n_missed receives how many receivers had no room; may be NULL
 * @return how many receivers got it; -EAGAIN none had room or none is connected; -EINVAL; -EPERM. Since 0.1.
 */
int sea_channel_send_each(struct sea_channel *channel, struct sea_message **message, unsigned *ret_n_missed);

/**
 * Receives a message.
 *
 * @param ret_message receives the message; the caller unrefs it, or sends it on
 * @param timeout_ns how long to wait; 0 not at all, -1 for ever
 * @return 0; -EAGAIN nothing there (timeout 0); -ETIMEDOUT; -EINTR; -EINVAL a push channel;
 *         -EPROTO a requester has no request out, or a replier one unanswered; -EPIPE the replier is gone: send the request again;
 *         -EMFILE, -ENOMEM this process cannot map the sender's memory: free something and call again, nothing is lost;
 *         -ECANCELED; -EDEADLK waiting in a callback; -EPERM in a forked child. Since 0.1.
 */
int sea_channel_receive(struct sea_channel *channel, struct sea_message **ret_message, int64_t timeout_ns);

/**
 * Receives into a variable that may hold a message already, which is released once there is another.
 * @param message replaced on success; untouched on failure. May point to NULL
 * @return as sea_channel_receive(). Since 0.2.
 */
int sea_channel_receive_into(struct sea_channel *channel, struct sea_message **message, int64_t timeout_ns);

/**
 * Receives up to n_max messages; waits until there is at least one.
 * @return how many, at least 1; else an error as of sea_channel_receive(). Since 0.1.
 */
int sea_channel_receive_many(struct sea_channel *channel, struct sea_message **messages, size_t n_max,
                             int64_t timeout_ns);

/**
 * Subscribes to all messages whose first part begins with these bytes; none at all: to everything. Subscribing twice to the same
 * needs unsubscribing twice. Peers learn of it within a moment.
 * @param n_bytes 0 to SEA_TOPIC_N_BYTES_MAX
 * @return 0; -EINVAL not a subscriber; -E2BIG; -ENOSPC more than 1024; -ENOMEM; -EPERM. Since 0.3.
 */
int sea_channel_subscribe(struct sea_channel *channel, const void *prefix, size_t n_bytes);

/** Takes a subscription back. @return 0; -ENOENT there is none; -EINVAL; -E2BIG; -EPERM. Since 0.3. */
int sea_channel_unsubscribe(struct sea_channel *channel, const void *prefix, size_t n_bytes);

/**
 * One file descriptor for poll, select, epoll or any event loop: it is readable
 * whenever a receive may succeed, and after -EAGAIN of a send when that may succeed. Level-triggered. When
 * it is readable, call until -EAGAIN. Owned by the channel: poll it, never read or close it.
 * @return a descriptor; -EPERM in a forked child. Since 0.1.
 */
int sea_channel_fd(struct sea_channel *channel);

/**
 * Takes a message that came back from a receiver that died or left without releasing it
 * (SEA_ORPHANS_KEEP), oldest first. The caller may look at it, drop it, or send it to another.
 * @return 0; -EAGAIN there is none; -EPERM in a forked child. Since 0.1.
 */
int sea_channel_take_orphan(struct sea_channel *channel, struct sea_message **ret_message);

/**
 * Waits until every message of this process's own memory that was sent on this channel has been released,
 * and every message has been taken by its receiver; sends orphans again meanwhile (SEA_ORPHANS_RESEND).
 * @return 0; -ETIMEDOUT; -EAGAIN (timeout 0); -EINTR; -ECANCELED; -EDEADLK; -EPERM; with SEA_ORPHANS_KEEP
 *         -EPIPE when there are orphans to take. Since 0.1.
 */
int sea_channel_flush(struct sea_channel *channel, int64_t timeout_ns);

/** Ends the call that waits on this channel now, or the next one that would wait, with -ECANCELED. Any thread, also a signal handler. Since 0.1. */
void sea_channel_interrupt(struct sea_channel *channel);

/** As sea_channel_interrupt(), and every call that would wait, until sea_channel_resume(). Any thread, also a signal handler. Since 0.3. */
void sea_channel_hold(struct sea_channel *channel);

/** Calls may wait again; an interruption that nobody has noticed is forgotten. Any thread, also a signal handler. Since 0.3. */
void sea_channel_resume(struct sea_channel *channel);

/**
 * What finds the bytes of metas (meta.h) that came over this channel, for code that shall know no more than that:
 * rows of a table, for instance. Works for every meta of the session.
 * @param ret_resolver receives a function and its argument, valid until the session is closed
 * @return 0; -EPERM in a forked child. Any thread. Since 0.2.
 */
int sea_channel_resolver(struct sea_channel *channel, struct sea_resolver *ret_resolver);

/** Fills in the counters. Any thread. @return 0; -EPERM in a forked child. Since 0.1. */
int sea_channel_get_stats(struct sea_channel *channel, struct sea_channel_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
