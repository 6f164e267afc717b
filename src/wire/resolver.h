/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver: from metas to memory. Arenas that a meta named are found again without a lock; their owners
 * are asked for those that are not known. Everything here but the public calls wants the control lock.
 */
#ifndef SEALANE_WIRE_RESOLVER_H
#define SEALANE_WIRE_RESOLVER_H

#include "wire/wire.h"

/* The owner's side: shows an arena, holds a block. */
void seai_resolver_on_ask(struct seai_conn *conn, const struct seai_control *control);

/* What the arena's owner gave up resolves to -ESTALE from now on. */
void seai_resolver_on_retire(struct seai_wire *wire, uint64_t owner_id, uint32_t arena_id);

/* At the end of the session. No lock. */
void seai_resolver_free(struct seai_wire *wire);

#endif
