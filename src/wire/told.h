/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer was told once and need not be told again: arenas that were sent to it, owners that it was introduced to. Control lock held. */
#ifndef SEALANE_WIRE_TOLD_H
#define SEALANE_WIRE_TOLD_H

#include "wire/wire.h"

/* NULL: not told. */
struct seai_told *seai_told_find(struct seai_told *told, uint32_t n, uint64_t owner_id, uint32_t arena_id);

/* NULL: no memory. */
struct seai_told *seai_told_add(struct seai_told **told, uint32_t *n, uint32_t *n_max, uint64_t owner_id,
                                uint32_t arena_id);

void seai_told_forget(struct seai_told *told, uint32_t *n, uint64_t owner_id, uint32_t arena_id);

#endif
