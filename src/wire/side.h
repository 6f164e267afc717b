/* SPDX-License-Identifier: Apache-2.0 */
/* Making and checking of sides: see layout.h. */
#ifndef SEALANE_WIRE_SIDE_H
#define SEALANE_WIRE_SIDE_H

#include <stdint.h>

#include "wire/layout.h"

/* Bytes of a side with slots of that size. */
static inline uint64_t seai_side_n_bytes(uint32_t n_slots, uint32_t n_slot_bytes)
{
	return sizeof(struct seai_side) + (uint64_t)n_slots * n_slot_bytes;
}

/* Makes a side, mapped read-write here, and a descriptor for the peer, which cannot write through it. 0 or -errno. */
int seai_side_new(struct seai_side **ret_side, int *ret_peer_fd, uint64_t maker_id, uint64_t link_id, uint32_t n_slots,
                  uint32_t n_slot_bytes);

/*
 * Checks and maps a peer's side, read-only. The descriptor stays the caller's. 0; -EBADMSG not a sealed memfd, too
 * short, or not the side that was promised; -ENOMEM.
 */
int seai_side_attach(const struct seai_side **ret_side, int fd, uint64_t maker_id, uint64_t link_id, uint32_t n_slots,
                     uint32_t n_slot_bytes);

/* Unmaps either kind. @return NULL */
void *seai_side_unmap(const struct seai_side *side, uint32_t n_slots, uint32_t n_slot_bytes);

#endif
