/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a message out of a link's ring. What the peer wrote is loaded once, checked, and only then used.
 */
#ifndef SEALANE_WIRE_TAKE_H
#define SEALANE_WIRE_TAKE_H

#include <stdint.h>

#include "wire/link.h"

#define SEAI_LOOKUP_N 8

/* An arena found of late, and how many holds of it its thread has taken since: counted here, without a locked instruction. */
struct seai_lookup_entry {
	_Atomic(struct seai_attached *) attached;
	const struct seai_conn *conn; /* over which it came */
	_Atomic uint64_t n_taken;
};

/* Finding an arena again costs a compare. Void when the wire's epoch has moved. One thread; others read n_taken while it is not in a call. */
struct seai_lookup {
	uint32_t epoch;
	uint32_t next;
	uint32_t last;    /* the entry found last */
	bool has_control; /* the caller holds the control lock */
	struct seai_lookup_entry entries[SEAI_LOOKUP_N];
};

/* Adds what was counted to the arenas, and forgets them. */
void seai_lookup_flush(struct seai_lookup *lookup);

/* Holds of an arena that are counted in a lookup only. */
uint64_t seai_lookup_n_taken(const struct seai_lookup *lookup, const struct seai_attached *attached);

/*
 * The next message of a link, without advancing. 1: there is one; 0: none; -EBADMSG: one that is refused (advance over it);
 * -EAGAIN: it is not covered by its owner's books yet, try later; -EMFILE, -ENOMEM: its memory cannot be mapped now.
 */
int seai_link_take(struct seai_link *link, struct seai_lookup *lookup, struct sea_message **ret_message);

/* Gives the slots of n messages back to the peer, and rings if it waits for room. */
void seai_link_advance(struct seai_link *link, uint64_t n);

/* After seai_records_return(): drops what a message holds of this process's own, as orphans, and the object. */
void seai_message_return_own(struct sea_message *message);

#endif
