/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What two processes share beside payload: sides of links and connections, and the messages of
 * the control socket. A change here is a bump of SEAI_WIRE_VERSION.
 *
 * A side is a memfd that one process writes and its peer maps read-only. Who dies at any instruction leaves
 * whole entries and at most one that was never published: an entry is published by its last word, with release.
 */
#ifndef SEALANE_WIRE_LAYOUT_H
#define SEALANE_WIRE_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SEAI_WIRE_VERSION_MIN 1u
#define SEAI_WIRE_VERSION_MAX 1u

#define SEAI_SIDE_MAGIC 0x3145444953414553u /* "SEASIDE1", little-endian */

/*
 * A side of a link, or of a connection. Each line is written by its maker for one purpose, so that a reader's
 * cache line is only taken away for what it waits for.
 */
struct seai_side {
	_Atomic uint64_t magic; /* written last (release), read first (acquire) */
	uint32_t version;
	uint32_t n_slots; /* of what follows: descriptors of a link, units of a record ring; a power of two, or 0 */
	uint64_t maker_id;
	uint64_t link_id; /* 0: the side of a connection */
	uint64_t reserved[4];

	/* How far the maker has read in the peer's ring: everything before may be overwritten. */
	_Atomic uint64_t tail;
	uint64_t pad_0[7];

	/*
	 * Event indices. The maker sleeps until position want_data of the peer's ring is published, or until
	 * the peer's tail passes want_room: it wants to be rung when the peer goes from <= to > that value.
	 */
	_Atomic uint64_t want_data;
	_Atomic uint64_t want_room;
	/* The maker sleeps often just now: whoever rings is to execute a full fence before it reads the two above. */
	_Atomic uint64_t wants_fences;
	uint64_t pad_1[5];
};
static_assert(sizeof(struct seai_side) == 192, "layout");
static_assert(offsetof(struct seai_side, n_slots) == 12, "layout");
static_assert(offsetof(struct seai_side, maker_id) == 16, "layout");
static_assert(offsetof(struct seai_side, link_id) == 24, "layout");
static_assert(offsetof(struct seai_side, tail) == 64, "layout");
static_assert(offsetof(struct seai_side, want_data) == 128, "layout");
static_assert(offsetof(struct seai_side, want_room) == 136, "layout");
static_assert(offsetof(struct seai_side, wants_fences) == 144, "layout");
static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "lock-free 64-bit atomics");

/* One message. sequence is position + 1 once it is published; the receiver looks at nothing else to learn of it. */
struct seai_descriptor {
	_Atomic uint64_t sequence;
	union {
		struct {
			uint64_t owner_id;
			uint32_t arena_id;
			uint32_t block_id;
			uint64_t generation;
			uint64_t offset;
			uint64_t n_bytes;
		};
		uint8_t inline_data[40];
	};
	uint64_t tag;
	uint32_t n_parts;
	uint16_t kind;     /* enum seai_message_kind, and SEAI_DESCRIPTOR_ bits */
	uint16_t n_inline; /* of an inline one; else SEAI_TOKEN_ bits */
};

/*
 * A single block that goes back to its owner whole: the descriptor is the grant. The owner turns the sender's hold into its own when it
 * takes the message, or when the sender has died; no record is needed.
 */
#define SEAI_DESCRIPTOR_GIVEN 0x100u

/*
 * The sender keeps nothing of it, and nobody else holds any: in a shared heap the receiver may change it in place. The sender's word, which
 * costs nobody but the payload's readers anything if it is not true.
 */
#define SEAI_DESCRIPTOR_SOLE 0x200u

/* Bit i: the hold of table block i has its token; the last bit stands for all further ones. */
#define SEAI_TOKEN_N 15u
#define SEAI_TOKEN_BIT(i) ((uint16_t)(1u << ((i) < SEAI_TOKEN_N ? (i) : SEAI_TOKEN_N)))

static_assert(sizeof(struct seai_descriptor) == 64, "layout");
static_assert(offsetof(struct seai_descriptor, owner_id) == 8, "layout");
static_assert(offsetof(struct seai_descriptor, inline_data) == 8, "layout");
static_assert(offsetof(struct seai_descriptor, tag) == 48, "layout");
static_assert(offsetof(struct seai_descriptor, n_parts) == 56, "layout");
static_assert(offsetof(struct seai_descriptor, kind) == 60, "layout");

/*
 * A unit of a record ring. A record is one unit, or five for the kinds that name a target. control holds the low 56 bits of the
 * generation, 4 bits of the record's kind and 4 bits of the lap of the ring (1 + (position / n_slots) % 15), by
 * which a unit that was published is told from an old one. Several records are published at once by writing the first
 * unit's control last.
 */
struct seai_unit {
	_Atomic uint64_t value;
	_Atomic uint64_t control;
};
static_assert(sizeof(struct seai_unit) == 16, "layout");

#define SEAI_UNIT_OP_SHIFT 56
#define SEAI_UNIT_LAP_SHIFT 60
#define SEAI_UNIT_TOKEN 8u    /* with a kind: the hold's token goes with it */
#define SEAI_UNIT_DATA 15u    /* kind of a unit that continues a record: value is 64 bits of it */
#define SEAI_GRANT_N_UNITS 5u /* block; target, link, position, published */

/* Units of a connection's record ring: 64 KiB, so that it stays in the second-level caches. */
#define SEAI_RECORD_RING_N_UNITS 4096u

enum seai_control_type {
	SEAI_CONTROL_HELLO = 1,  /* fd: side of the connection */
	SEAI_CONTROL_OPEN = 2,   /* fd: doorbell of the opener */
	SEAI_CONTROL_ACCEPT = 3, /* fds: doorbell and side of the acceptor */
	SEAI_CONTROL_START = 4,  /* fd: side of the opener; without one the acceptor's answer: it is mapped */
	SEAI_CONTROL_REFUSE = 5,
	SEAI_CONTROL_CLOSE = 6,     /* the sender uses the link no more */
	SEAI_CONTROL_ARENA = 7,     /* fd: an arena, read-only */
	SEAI_CONTROL_INTRODUCE = 8, /* say hello to that owner: I am about to send you blocks of it */
	SEAI_CONTROL_READY = 9,     /* done, or that owner is dead */
	SEAI_CONTROL_SETTLE = 10,   /* how far did that dead forwarder's ring to you get? */
	SEAI_CONTROL_SETTLED = 11,
	SEAI_CONTROL_WAKE = 12,      /* there are records */
	SEAI_CONTROL_RETIRE = 13,    /* nobody holds anything in that arena of mine: unmap it */
	SEAI_CONTROL_FORGET = 14,    /* I shall not send descriptors of that dead owner's arena any more */
	SEAI_CONTROL_RESEND = 15,    /* the arena's descriptor did not arrive: send it again */
	SEAI_CONTROL_ASK = 16,       /* show me that arena of yours, and perhaps hold that block for me */
	SEAI_CONTROL_ANSWER = 17,    /* done (the arena came before this), or why not */
	SEAI_CONTROL_SUBSCRIBE = 18, /* show me all arenas of yours, and those that come */
	SEAI_CONTROL_TOPIC = 19,     /* what the sender wants of what the peer publishes on a link */
};

#define SEAI_CONTROL_MAGIC 0x5ea1a7e5u
#define SEAI_ADDRESS_N_BYTES 104
#define SEAI_TOPIC_N_BYTES 120

/* Every message of the control socket has this size and form. */
struct seai_control {
	uint32_t magic;
	uint16_t type;
	uint16_t n_fds;
	union {
		struct {
			uint32_t version_min, version_max;
			uint64_t session_id; /* hash of the name */
			uint64_t process_id; /* identity */
			uint32_t flags;      /* SEAI_HELLO_ */
			uint32_t reserved;
			char process_name[32];
		} hello;
		struct {
			uint64_t link_id;
			uint32_t pattern;
			uint32_t reserved;
			uint32_t n_send; /* capacity that this end adds towards the peer */
			uint32_t n_receive;
			char address[SEAI_ADDRESS_N_BYTES];
		} open;
		struct {
			uint64_t link_id;
			uint32_t n_send;
			uint32_t n_receive;
			int32_t error; /* REFUSE */
			uint32_t reserved;
		} link; /* ACCEPT, START, REFUSE, CLOSE */
		struct {
			uint64_t owner_id;
			uint32_t arena_id;
			uint32_t flags; /* of an ARENA: SEAI_ARENA_IS_ */
			uint64_t user_flags;
			char name[32];
		} arena; /* ARENA, RETIRE, FORGET, RESEND; INTRODUCE, READY */
		struct {
			uint64_t request_id;
			uint64_t generation;
			uint32_t arena_id;
			uint32_t block_id;
			uint32_t flags; /* SEAI_ASK_ */
			int32_t error;  /* of the answer: 0 or negative */
			char name[32];  /* with SEAI_ASK_KEPT */
		} ask;                  /* ASK, ANSWER */
		struct {
			uint64_t forwarder_id;
			uint64_t link_id;
			uint64_t head;
		} settle;
		struct {
			uint64_t link_id;
			uint32_t operation; /* SEAI_TOPIC_ */
			uint32_t n_bytes;
			uint8_t bytes[SEAI_TOPIC_N_BYTES];
		} topic; /* TOPIC */
		uint8_t bytes[136];
	};
};
static_assert(sizeof(struct seai_control) == 144, "layout");
static_assert(offsetof(struct seai_control, hello) == 8, "layout");

/* TOPIC: one prefix more, one less; all that there were when the link was made have been said. */
#define SEAI_TOPIC_ADD 1u
#define SEAI_TOPIC_REMOVE 2u
#define SEAI_TOPIC_READY 3u

/* ARENA: it is a region; user_flags and name are its. */
#define SEAI_ARENA_IS_REGION 1u

/* ASK: one hold more of the block for the asker. */
#define SEAI_ASK_HOLD 1u
/* ASK: the kept memory of that name; the answer brings its descriptor. */
#define SEAI_ASK_KEPT 2u

/* The sender of the hello is registered for membarrier and executes it before it sleeps. */
#define SEAI_HELLO_ASYMMETRIC 1u
/* It maps regions that are plain files. */
#define SEAI_HELLO_TRUSTS_FILES 2u

#endif
