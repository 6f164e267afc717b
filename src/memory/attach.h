/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An attached arena: one of another process, mapped here read-only; but a shared one's blocks for writing.
 *
 * Nothing is mapped before its seals, its size and its head were checked, so no access within n_bytes can
 * fail later, whatever its owner does. Messages count their references; the
 * mapping goes when there is none and its owner said that it is over, or died and no
 * descriptor of it can come any more (wire/attachments.h decides that).
 */
#ifndef SEALANE_MEMORY_ATTACH_H
#define SEALANE_MEMORY_ATTACH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "memory/layout.h"

struct sea_session;

/* How far a subscriber was told of an arena. */
enum seai_told_state {
	SEAI_TOLD_NOTHING = 0,
	SEAI_TOLD_CREATING = 1, /* the event waits: nothing is delivered out of it */
	SEAI_TOLD_CREATED = 2,
	SEAI_TOLD_DESTROYING = 3, /* the event waits: it stays mapped */
	SEAI_TOLD_DESTROYED = 4,
};

struct seai_attached {
	uint64_t owner_id;
	uint32_t arena_id;
	uint32_t flags;
	const uint8_t *base;
	uint64_t n_bytes;
	uint64_t data_offset;
	const _Atomic uint64_t *generations;
	uint32_t n_blocks_max;
	int fd;         /* O_RDONLY; passed on to those we forward to */
	int payload_fd; /* a shared arena's, O_RDWR, likewise; else -1 */
	/*
	 * References of messages of this process: those taken, but for what channels have not added yet (struct
	 * seai_lookup), and those given back. The second is written under the record lock of its owner's connection.
	 */
	_Atomic uint64_t n_taken;
	_Atomic uint64_t n_given;
	_Atomic bool dying; /* whoever gives back a reference wakes the service thread */
	/* wire layer, control lock */
	struct seai_attached *next;        /* in the hash chain, or among the dying */
	_Atomic(struct seai_conn *) owner; /* NULL when the owner is dead: nothing is given back then */
	struct seai_provider *providers;
	uint32_t n_providers, n_providers_max;
	uint32_t told_state; /* enum seai_told_state: see wire/events.h */
	bool is_region;
	uint64_t user_flags;
	char name[32];
	uint32_t
		n_pins; /* of its references, those of the resolver: it stays mapped for them, and nobody waits for their end */
};

/*
 * Checks and maps what a peer sent as an arena: one descriptor, or two of a shared arena (else fds[1] is -1). Takes them on success.
 * 0; -EBADMSG not a memfd, not sealed, too short, or a head that does not fit; -ENOTSUP a user's file, which this session does not trust; -ENOMEM, -EMFILE the map could not be made: nothing is lost.
 */
int seai_attached_new(struct seai_attached **ret_attached, const struct sea_session *session, int fds[2],
                      uint64_t owner_id, uint32_t arena_id);

/* What is passed on: one descriptor or two, borrowed. Returns how many. */
unsigned seai_attached_get_fds(const struct seai_attached *attached, int fds[2]);

/* Unmaps and closes; the object stays. */
void seai_attached_unmap(struct seai_attached *attached);

/* Unmaps and closes where that is not done yet. */
struct seai_attached *seai_attached_free(struct seai_attached *attached);

#endif
