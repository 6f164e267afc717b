/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block: one allocation of this process, the unit of hold and release. Private
 * memory; all members are guarded by the session's books lock, but for those
 * of a block that only its allocating thread knows yet.
 */
#ifndef SEALANE_MEMORY_BLOCK_H
#define SEALANE_MEMORY_BLOCK_H

#include <stdint.h>

struct seai_arena;
struct seai_account;

/*
 * So many holds by one other process. Holders are small indices, see ledger.h. A token says that the hold is the
 * message as its channel sent it, or as it was passed on whole: what comes back when the holder dies. A
 * shared hold has none, so that work is never done twice.
 */
struct seai_hold {
	uint32_t holder;
	uint16_t count;
	uint16_t n_tokens; /* never more than count */
};

#define SEAI_HOLD_COUNT_MAX (UINT16_MAX - 1u)
#define SEAI_HOLD_PINNED UINT16_MAX /* a count that nobody counts down any more: until the holder's end */

#define SEAI_BLOCK_N_HOLDS 1 /* held inline; more go to a spill array */

struct seai_block {
	/* First cache line: what allocate, send, and release touch. */
	uint64_t generation; /* as in the arena's head; bumped at free */
	struct seai_arena *arena;
	uint64_t offset; /* of the first byte in the arena */
	uint32_t id;
	uint16_t size_class; /* heap.c's */
	uint16_t flags;      /* SEAI_BLOCK_ */
	uint32_t n_own;      /* holds by this process, those on their way back to it included */
	uint32_t n_holds;    /* entries in use in holds and spill together */
	struct seai_hold holds[SEAI_BLOCK_N_HOLDS];
	struct seai_account *account; /* of the channel that sent it, for orphans; see ledger.h */
	union {
		struct seai_block *next; /* while free: in a free list */
		uint64_t sequence;       /* while used and account is set: when its channel sent it, see below */
	};

	/* Second cache line. */
	struct seai_hold *spill; /* further holds; stays allocated with the block */
	uint16_t n_spill_max;
	uint16_t n_returned;     /* of n_own: granted back to this process by others, and not received yet */
	uint32_t n_parts;        /* as the message of which this is the head block was sent */
	uint64_t message_offset; /* of the part or of the part table, in the arena */
	uint64_t message_n_bytes;
	uint64_t tag;
	uint64_t cookie;   /* for SEAI_BLOCK_NOTIFY */
	uint64_t n_backed; /* bytes from offset on that are known to be backed */
	uint64_t hint;     /* of a region's: the user's word */
};

/*
 * A sequence is a time in ms, shifted, and a number below: strictly growing per account, which is the order of orphans, and
 * a time to within a second and what was sent in it. 40 bits of ms last for 34 years.
 */
#define SEAI_SEQUENCE_MS_SHIFT 24

#define SEAI_BLOCK_USED 1u   /* handed out */
#define SEAI_BLOCK_NOTIFY 2u /* somebody wants to know when it is free */
#define SEAI_BLOCK_TABLE 4u  /* message_offset is a part table */
#define SEAI_BLOCK_HEAD 8u   /* a message's head block that was sent: it can come back as an orphan */

_Static_assert(sizeof(struct seai_block) == 128, "two cache lines");

#endif
