/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a meta to a message that holds what it names.
 *
 * The odd rule: an owner's yes is a hold, wherever this ends: what cannot be made a message of is given back.
 */
#include "wire/resolver.h"

#include <errno.h>
#include <string.h>

#include "memory/arena.h"
#include "memory/heap.h"
#include "memory/message.h"
#include "memory/meta.h"
#include "wire/request.h"
#include "wire/resolver-table.h"

/* A message of one part, of a hold that is this process's already. NULL: no memory. */
static struct sea_message *hold_message(struct sea_session *session, const struct sea_meta *meta)
{
	struct sea_message *message = seai_message_take(session);

	if (!message)
		return NULL;
	message->kind = SEAI_MESSAGE_SINGLE;
	message->n_parts = 1;
	message->n_blocks = 1;
	message->offset = meta->offset;
	message->n_bytes = meta->n_bytes;
	message->tag = 0;
	message->ref = (struct seai_ref){ .generation = meta->generation,
		                          .block_id = meta->block_id,
		                          .arena_id = meta->arena_id };
	return message;
}

static int hold_own(struct sea_session *session, const struct sea_meta *meta, struct sea_message **ret_message)
{
	struct sea_resolved resolved;
	struct sea_message *message;
	struct seai_block *block;
	int r = seai_resolver_look_own(session, meta, true, &block, &resolved);

	if (r < 0)
		return r;
	message = hold_message(session, meta);
	if (!message) {
		SEAI_LOCKED(&session->books, books);
		seai_ledger_release_own(session, block);
		return -ENOMEM;
	}
	message->ref.block = block;
	message->ref.base = (const uint8_t *)block->arena->head;
	message->ref.n_bytes = block->arena->n_bytes;
	*ret_message = message;
	return 0;
}

static int hold_foreign(struct sea_session *session, const struct sea_meta *meta, int64_t timeout_ns,
                        struct sea_message **ret_message)
{
	struct seai_wire *wire = session->wire;
	struct sea_message *message;
	struct seai_attached *attached;
	struct sea_resolved resolved;
	struct seai_conn *conn;
	int r = seai_resolver_ask(session, meta, true, timeout_ns, &conn);

	if (r < 0)
		return r;
	message = hold_message(session, meta);
	SEAI_LOCKED(&wire->control, control);
	attached = seai_attachment_find(wire, conn, meta->owner_id, meta->arena_id);
	r = !message    ? -ENOMEM
	    : !attached ? (wire->attach_error ? wire->attach_error : -EOWNERDEAD)
	    : meta->block_id >= attached->n_blocks_max ||
	                    !seai_resolver_fits(meta, attached->data_offset, attached->n_bytes)
	            ? -EBADMSG
	            : seai_resolver_add(wire, attached);
	/* Of a dead owner nobody holds anything, and nothing is used again: what is not stale now never will be. */
	if (r == 0 && !conn)
		r = seai_resolver_look(seai_resolver_find(seai_resolver_table(session), meta->owner_id, meta->arena_id),
		                       meta, &resolved);
	if (r < 0 || !attached || !message) {
		if (conn && conn->state == SEAI_CONN_OPEN)
			seai_request_give_back(conn, meta);
		if (message) {
			message->n_blocks = 0;
			seai_message_put_slowly(message);
		}
		return r;
	}
	atomic_fetch_add_explicit(&attached->n_taken, 1, memory_order_relaxed);
	message->flags = SEAI_MESSAGE_RECEIVED;
	message->sender_id = meta->owner_id;
	message->ref.attached = attached;
	message->ref.base = attached->base;
	message->ref.n_bytes = attached->n_bytes;
	*ret_message = message;
	return 0;
}

int sea_meta_hold(struct sea_session *session, const struct sea_meta *meta, int64_t timeout_ns,
                  struct sea_message **ret_message)
{
	struct seai_meta_words words;
	struct sea_meta own;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	memcpy(&words, meta, sizeof(words));
	r = seai_meta_words_check(&words, session->meta_session);
	if (r < 0)
		return r;
	memcpy(&own, &words, sizeof(own));
	if (own.kind == SEA_META_EMPTY || own.n_bytes == 0) {
		struct sea_message *message = hold_message(session, &own);

		if (!message)
			return -ENOMEM;
		message->kind = SEAI_MESSAGE_INLINE;
		message->n_blocks = 0;
		message->n_bytes = 0;
		*ret_message = message;
		return 0;
	}
	if (own.owner_id == 0)
		return -EBADMSG;
	return own.owner_id == session->id ? hold_own(session, &own, ret_message)
	                                   : hold_foreign(session, &own, timeout_ns, ret_message);
}
