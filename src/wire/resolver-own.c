/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metas of this process's own memory: what itself makes of them, and what it answers to others.
 *
 * The odd rule: own memory goes as it likes, and is in no table of what was resolved: it is looked at under the books' lock, each time.
 */
#include "wire/resolver.h"

#include <errno.h>

#include "base/point.h"
#include "memory/arena.h"
#include "memory/heap.h"
#include "wire/keeper.h"
#include "wire/resolver-table.h"
#include "wire/told.h"

/* Whether an own arena that is not there was there once. Books lock held. */
static int resolver_missing(const struct sea_session *session, uint32_t arena_id)
{
	return (int32_t)(arena_id - session->next_arena_id) < 0 ? -ESTALE : -ENOENT;
}

/* An own block that a meta names. Books lock held. 0; -ENOENT; -ESTALE; -EBADMSG. */
static int resolver_find_own(struct sea_session *session, uint32_t arena_id, uint32_t block_id, uint64_t generation,
                             struct seai_block **ret_block)
{
	struct seai_arena *arena = seai_session_find_arena(session, arena_id);
	struct seai_block *block = arena ? seai_arena_get_block(arena, block_id) : NULL;

	if (!arena)
		return resolver_missing(session, arena_id);
	if (!block)
		return -EBADMSG;
	if (!(block->flags & SEAI_BLOCK_USED) || block->generation != generation)
		return -ESTALE;
	*ret_block = block;
	return 0;
}

int seai_resolver_look_own(struct sea_session *session, const struct sea_meta *meta, bool is_hold,
                           struct seai_block **ret_block, struct sea_resolved *ret_resolved)
{
	struct seai_block *block = NULL;
	int r;
	SEAI_LOCKED(&session->books, books);

	r = resolver_find_own(session, meta->arena_id, meta->block_id, meta->generation, &block);
	if (r < 0 || !block)
		return r;
	if (!seai_resolver_fits(meta, block->arena->data_offset, block->arena->n_bytes))
		return -EBADMSG;
	if (is_hold)
		block->n_own++;
	*ret_block = block;
	ret_resolved->data = (const uint8_t *)block->arena->head + meta->offset;
	ret_resolved->n_bytes = meta->n_bytes;
	return 0;
}

void seai_resolver_on_ask(struct seai_conn *conn, const struct seai_control *control)
{
	struct seai_wire *wire = conn->wire;
	struct sea_session *session = wire->session;
	struct seai_control answer = *control;
	struct seai_arena *arena;
	struct seai_block *block;
	unsigned n_fds = 0;
	int fds[2], r = 0;

	SEAI_POINT("resolve: question received");
	if (control->ask.flags & SEAI_ASK_KEPT) {
		seai_keeper_on_ask(conn, control);
		return;
	}
	{
		SEAI_LOCKED(&session->books, books);
		arena = seai_session_find_arena(session, control->ask.arena_id);
		if (!arena)
			r = resolver_missing(session, control->ask.arena_id);
		else if (arena->queued || arena->ro_fd < 0)
			r = -ESTALE; /* it is being given up */
		else if (arena->immutable && !arena->frozen)
			r = -ENOENT; /* not before it is sealed */
		if (r == 0 && control->ask.flags & SEAI_ASK_HOLD) {
			/* What was released and not read yet is no reason to refuse; a block that is free is. */
			r = resolver_find_own(session, control->ask.arena_id, control->ask.block_id,
			                      control->ask.generation, &block);
			if (r == 0)
				r = seai_ledger_hold(block, conn->holder, false);
		}
		if (r == 0) {
			arena->announced = true;
			n_fds = seai_arena_get_fds(arena, fds);
		}
	}
	/* The descriptors stay open: it is this thread that closes those of announced arenas. */
	if (r == 0 && !seai_told_find(conn->arenas_sent, conn->n_arenas_sent, session->id, control->ask.arena_id)) {
		struct seai_control show = { .type = SEAI_CONTROL_ARENA };

		show.arena.owner_id = session->id;
		show.arena.arena_id = control->ask.arena_id;
		if (seai_told_add(&conn->arenas_sent, &conn->n_arenas_sent, &conn->n_arenas_sent_max, session->id,
		                  control->ask.arena_id))
			seai_control_send(conn, &show, fds, n_fds);
		else
			r = -ENOMEM; /* with the hold, which the peer's end drops at the latest */
	}
	SEAI_POINT("resolve: arena shown, not answered");
	answer.type = SEAI_CONTROL_ANSWER;
	answer.ask.error = r;
	seai_control_send(conn, &answer, NULL, 0);
}
