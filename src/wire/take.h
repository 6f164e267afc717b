/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a message out of a link's ring. What the peer wrote is loaded once, checked, and only then used.
 */
#ifndef SEALANE_WIRE_TAKE_H
#define SEALANE_WIRE_TAKE_H

#include <stdint.h>

#include "wire/link.h"

#define SEAI_LOOKUP_N 8

/* Arenas found of late, so that finding one again costs a compare; void when the wire's epoch has moved. One thread. */
struct seai_lookup {
	uint32_t epoch;
	uint32_t next;
	struct seai_attached *attached[SEAI_LOOKUP_N];
	/* Holds that are not written to the arena yet: a run of messages of one arena costs one locked instruction. */
	struct seai_attached *pending;
	int64_t n_pending;
	bool has_control; /* the caller holds the control lock */
};

/*
 * The next message of a link, without advancing. 1: there is one; 0: none; -EBADMSG: one that is refused (advance over it);
 * -EAGAIN: it is not covered by its owner's books yet, try later; -EMFILE, -ENOMEM: its memory cannot be mapped now.
 */
int seai_link_take(struct seai_link *link, struct seai_lookup *lookup, struct sea_message **ret_message);

/* Writes pending holds to their arena; before any message that was taken can be released. */
static inline void seai_lookup_flush(struct seai_lookup *lookup)
{
	if (lookup->n_pending) {
		atomic_fetch_add_explicit(&lookup->pending->n_holds, lookup->n_pending, memory_order_relaxed);
		lookup->n_pending = 0;
	}
}

/* Gives the slots of n messages back to the peer, and rings if it waits for room. */
void seai_link_advance(struct seai_link *link, uint64_t n);

/* After seai_records_return(): drops what a message holds of this process's own, as orphans, and the object. */
void seai_message_return_own(struct sea_message *message);

#endif
