/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An endpoint: what a channel is to the wire. The channel has it inside; the wire lists it, calls it, and knows nothing else of channels.
 * Control lock held, unless it says otherwise.
 */
#ifndef SEALANE_WIRE_ENDPOINT_H
#define SEALANE_WIRE_ENDPOINT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "wire/pattern.h"
#include "wire/wire.h"

/* Counters of a channel, for the status file. */
struct seai_endpoint_counts {
	uint64_t n_sent, n_received, n_refused, n_doorbells, n_sleeps;
	uint64_t n_orphans, n_orphans_waiting;
	uint64_t n_missed;
	uint64_t n_peers; /* that are not links */
};

/* Its functions are called with control held, on the service thread or, while the channel's thread makes progress with the socket, on that one. */
struct seai_endpoint {
	struct seai_endpoint *next;
	uint32_t
		pattern; /* enum sea_pattern; with SEAI_PATTERN_ZEROMQ it is here to be told from one over shared memory, and never linked */
	_Atomic int
		error; /* why a peer refused the last attempt to connect, if trying again is of no use; 0 (any thread) */
	struct seai_topic *topics; /* what a subscriber wants (control) */
	uint32_t n_topics, n_topics_max;
	bool has_warned; /* of peers that do not fit (control) */
	uint32_t n_send; /* what this end adds to capacities */
	uint32_t n_receive;
	char (*names)[SEAI_ADDRESS_N_BYTES]; /* all file names it is bound to */
	uint32_t n_names;
	uint32_t n_links;           /* open or opening */
	uint32_t id;                /* never used again within the session */
	uint64_t peak_out, peak_in; /* fullest that a heartbeat found one of its queues (service thread) */
	/* What was counted at an earlier heartbeat, when, and what follows from the difference (service thread). */
	uint64_t n_sent_before, n_received_before;
	int64_t counted_ns;
	uint64_t n_sent_per_s, n_received_per_s;
	/* A link is ready for use. */
	void (*on_link)(struct seai_endpoint *endpoint, struct seai_link *link);
	/* A link's state changed. */
	void (*on_change)(struct seai_endpoint *endpoint, struct seai_link *link);
	/* A peer refused it for good; see error. */
	void (*on_refuse)(struct seai_endpoint *endpoint);
	/* Whether the channel's thread is not looking at attached arenas just now, after a heavy fence. Any thread. */
	bool (*is_quiet)(struct seai_endpoint *endpoint);
	/* Holds of an arena that the channel's thread has counted for itself so far. */
	uint64_t (*n_taken)(struct seai_endpoint *endpoint, const struct seai_attached *attached);
	/* What it has counted so far. Control held; takes the books. */
	void (*count)(struct seai_endpoint *endpoint, struct seai_endpoint_counts *ret_counts);
	/* Wanted by the service thread, without a lock: returns whether to come again soon. NULL: never. */
	bool (*on_idle)(struct seai_endpoint *endpoint);
	bool wants_idle, is_idling, wants_idle_again; /* it is to be called; it is; after a while (control) */
	/* In the child, after a fork: closes its descriptors. */
	void (*on_fork)(struct seai_endpoint *endpoint);
};

/* From its making on. */
void seai_endpoint_add(struct seai_wire *wire, struct seai_endpoint *endpoint);
/* Takes it out; its links are let go. */
void seai_endpoint_remove(struct seai_wire *wire, struct seai_endpoint *endpoint);

/* The one that is bound to a file name of the session's directory; NULL. */
struct seai_endpoint *seai_endpoint_find_bound(struct seai_wire *wire, const char *name);
/* Whether an endpoint has a peer, or is about to: a pair has one at a time, not counting one that has closed its end. */
bool seai_endpoint_has_peer(struct seai_wire *wire, const struct seai_endpoint *endpoint);

/* Calls those that want it. Service thread; takes and drops control. */
void seai_endpoints_run_idle(struct seai_wire *wire);
/* The same channel is not called from here on. Takes and drops control. */
void seai_endpoint_hold_off(struct seai_wire *wire, struct seai_endpoint *endpoint);

#endif
