/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about arenas of other processes share. Control lock held. */
#ifndef SEALANE_WIRE_ATTACHMENTS_H
#define SEALANE_WIRE_ATTACHMENTS_H

#include "wire/wire.h"

/* Where in the table of the wire an arena stands. */
static inline uint32_t seai_attachment_bucket(uint64_t owner_id, uint32_t arena_id)
{
	return (uint32_t)((owner_id ^ arena_id * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93) >> 32) %
	       SEAI_N_ATTACHED_BUCKETS;
}

/* attachments-end.c: takes it out of the table; it is unmapped once nobody looks at it. */
void seai_attachment_unlink(struct seai_wire *wire, struct seai_attached *attached);

#endif
