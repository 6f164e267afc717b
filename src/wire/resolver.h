/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The resolver: from metas to memory. Arenas that a meta named are found again without a lock (resolver-table.h); their owners
 * are asked for those that are not known. Control lock held, unless it says otherwise.
 */
#ifndef SEALANE_WIRE_RESOLVER_H
#define SEALANE_WIRE_RESOLVER_H

#include <sealane/meta.h>

#include "wire/wire.h"

/* The owner's side: shows an arena, holds a block. */
void seai_resolver_on_ask(struct seai_conn *conn, const struct seai_control *control);

/*
 * A meta of this process's own memory. If is_hold, the block gets one hold more. 0; -ENOENT; -ESTALE; -EBADMSG. Takes the books; no other lock held.
 */
int seai_resolver_look_own(struct sea_session *session, const struct sea_meta *meta, bool is_hold,
                           struct seai_block **ret_block, struct sea_resolved *ret_resolved);

/*
 * Has an arena of an owner shown to this process, and a block of it held. 0; the owner's answer; -EOWNERDEAD, unless it is not asked for a hold and
 * what it left is mapped. ret_conn: its connection; NULL when it is dead. No lock held.
 */
int seai_resolver_ask(struct sea_session *session, const struct sea_meta *meta, bool is_hold, int64_t timeout_ns,
                      struct seai_conn **ret_conn);

/* What the arena's owner gave up resolves to -ESTALE from now on. */
void seai_resolver_on_retire(struct seai_wire *wire, uint64_t owner_id, uint32_t arena_id);

/* At the end of the session. No lock. */
void seai_resolver_free(struct seai_wire *wire);

#endif
