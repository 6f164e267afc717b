/* SPDX-License-Identifier: Apache-2.0 */
/* From a descriptor to a message; see take.h. */
#include "wire/take.h"

#include <errno.h>
#include <string.h>

#include "base/fence.h"
#include "base/point.h"
#include "memory/heap.h"
#include "memory/ledger.h"
#include "memory/message.h"
#include "wire/doorbell.h"
#include "wire/records.h"

static void lookup_empty(struct seai_lookup_entry *entry)
{
	uint64_t n = atomic_load_explicit(&entry->n_taken, memory_order_relaxed);

	/* Where nothing is counted nothing is touched: then it may be gone, else it is kept (seai_attachment_reap()). */
	if (entry->attached && n) {
		atomic_fetch_add_explicit(&entry->attached->n_taken, n, memory_order_relaxed);
		/* release: who sees the 0 sees the sum that it went to */
		atomic_store_explicit(&entry->n_taken, 0, memory_order_release);
	}
	entry->attached = NULL;
}

void seai_lookup_flush(struct seai_lookup *lookup)
{
	for (unsigned i = 0; i < SEAI_LOOKUP_N; i++)
		lookup_empty(&lookup->entries[i]);
}

uint64_t seai_lookup_n_taken(const struct seai_lookup *lookup, const struct seai_attached *attached)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < SEAI_LOOKUP_N; i++)
		if (lookup->entries[i].attached == attached)
			n += atomic_load_explicit(&lookup->entries[i].n_taken, memory_order_acquire);
	return n;
}

/* The slow road: the table of the session, and if need be what waits in the socket. */
static int lookup_slowly(struct seai_link *link, struct seai_lookup *lookup, uint64_t owner_id, uint32_t arena_id)
{
	struct seai_wire *wire = link->conn->wire;
	struct seai_attached *attached;
	struct seai_lookup_entry *entry;
	int r = -EBADMSG;

	if (!lookup->has_control)
		seai_lock_take(&wire->control);
	attached = seai_attachment_find(wire, link->conn, owner_id, arena_id);
	if (!attached && !lookup->has_control) {
		/* It was sent before the descriptor, so it is in the socket by now, if the peer is honest. */
		seai_conn_read(link->conn);
		attached = seai_attachment_find(wire, link->conn, owner_id, arena_id);
	}
	if (attached && attached->told_state == SEAI_TOLD_CREATING) {
		/* Whoever subscribed to memory that comes is to know it first. */
		attached = NULL;
		r = -EAGAIN;
	} else if (!attached && link->conn->state == SEAI_CONN_OPEN) {
		/* Who has the control lock may be walking over the links, which reading can free; it comes again after the peer's CLOSE. */
		if (lookup->has_control || link->conn->has_lost_arena)
			r = -EMFILE;
		else if (link->conn->is_doomed)
			r = -EAGAIN; /* its last words are not read yet */
	}
	if (r == -EMFILE && !lookup->has_control) {
		/* It came when this process had no descriptor or map left. */
		struct seai_control control = { .type = SEAI_CONTROL_RESEND };

		control.arena.owner_id = owner_id;
		control.arena.arena_id = arena_id;
		seai_control_send(link->conn, &control, NULL, 0);
		if (wire->attach_error)
			r = wire->attach_error;
	}
	if (!lookup->has_control)
		seai_lock_release(&wire->control);
	if (!attached)
		return r;
	lookup->last = lookup->next++ % SEAI_LOOKUP_N;
	entry = &lookup->entries[lookup->last];
	lookup_empty(entry);
	entry->attached = attached;
	entry->conn = link->conn;
	return 0;
}

static inline bool lookup_entry_is(const struct seai_lookup_entry *entry, const struct seai_link *link,
                                   uint64_t owner_id, uint32_t arena_id)
{
	const struct seai_attached *attached = entry->attached;

	return attached && attached->owner_id == owner_id && attached->arena_id == arena_id &&
	       entry->conn == link->conn;
}

/* Makes lookup->last the entry of an arena. */
static inline int lookup_find(struct seai_link *link, struct seai_lookup *lookup, uint64_t owner_id, uint32_t arena_id)
{
	uint32_t epoch = atomic_load_explicit(&link->conn->wire->attached_epoch, memory_order_acquire);
	const struct seai_lookup_entry *last = &lookup->entries[lookup->last];

	if (SEAI_UNLIKELY(epoch != lookup->epoch)) {
		seai_lookup_flush(lookup);
		lookup->epoch = epoch;
	} else if (SEAI_LIKELY(lookup_entry_is(last, link, owner_id, arena_id))) {
		return 0;
	}
	for (unsigned i = 0; i < SEAI_LOOKUP_N; i++) {
		if (lookup_entry_is(&lookup->entries[i], link, owner_id, arena_id)) {
			lookup->last = i;
			return 0;
		}
	}
	return lookup_slowly(link, lookup, owner_id, arena_id);
}

/* Counts a hold. An arena that has been pushed out of the lookup meanwhile gets it directly. */
static inline void lookup_hold(struct seai_lookup *lookup, struct seai_attached *attached)
{
	struct seai_lookup_entry *entry = &lookup->entries[lookup->last];

	if (SEAI_LIKELY(entry->attached == attached))
		atomic_store_explicit(&entry->n_taken, atomic_load_explicit(&entry->n_taken, memory_order_relaxed) + 1,
		                      memory_order_relaxed);
	else
		atomic_fetch_add_explicit(&attached->n_taken, 1, memory_order_relaxed);
}

/* The hold of an own block that a descriptor hands to this process. Books lock held. */
static bool take_from_books(struct seai_link *link, const struct seai_block_name *name, bool is_given,
                            struct seai_block **ret_block)
{
	struct sea_session *session = link->conn->wire->session;

	if (seai_ledger_take_returned(session, name->arena_id, name->block_id, name->generation, ret_block))
		return true;
	/* The descriptor itself is the grant, or this process is connected to itself and sent it directly. */
	if ((!is_given && link->peer_id != session->id) ||
	    !seai_ledger_take_given(session, link->holder, name->arena_id, name->block_id, name->generation, ret_block))
		return false;
	link->given_position = atomic_load_explicit(&link->in.position, memory_order_relaxed) + 1;
	return true;
}

void seai_link_take_given(struct seai_link *link)
{
	struct sea_session *session = link->conn->wire->session;
	uint64_t position = atomic_load_explicit(&link->in.position, memory_order_relaxed);

	if (!link->theirs || !link->n_slots_theirs)
		return;
	if (position < link->given_position)
		position = link->given_position;
	for (uint32_t i = 0; i < link->n_slots_theirs; i++, position++) {
		const struct seai_descriptor *slot = &link->in.slots[position & link->in.mask];
		struct seai_block *block;

		if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != position + 1)
			break;
		if ((slot->kind & ~SEAI_DESCRIPTOR_SOLE) == (SEAI_MESSAGE_SINGLE | SEAI_DESCRIPTOR_GIVEN) &&
		    slot->owner_id == session->id &&
		    seai_ledger_take_given(session, link->holder, slot->arena_id, slot->block_id, slot->generation,
		                           &block))
			block->n_returned++;
	}
	link->given_position = position;
}

/* A block that came back to its owner: there is a grant for it in the ledger, or will be as soon as it is read. */
static int take_own(struct seai_link *link, const struct seai_block_name *name, bool is_given, struct seai_ref *ref)
{
	struct sea_session *session = link->conn->wire->session;
	struct seai_block *block;
	SEAI_LOCKED(&session->books, books);

	if (!take_from_books(link, name, is_given, &block)) {
		/* Its grant was published before its descriptor. */
		seai_records_drain(session);
		if (!take_from_books(link, name, is_given, &block))
			return atomic_load_explicit(&session->wire->has_stuck, memory_order_relaxed) ? -EAGAIN
			                                                                             : -EBADMSG;
	}
	*ref = (struct seai_ref){
		.block = block,
		.base = (const uint8_t *)block->arena->head,
		.n_bytes = block->arena->n_bytes,
		.generation = block->generation,
		.block_id = block->id,
		.arena_id = block->arena->id,
	};
	return 0;
}

static void take_undo_own(struct sea_session *session, struct seai_ref *refs, uint32_t n)
{
	SEAI_LOCKED(&session->books, books);
	for (uint32_t i = 0; i < n; i++)
		if (refs[i].block)
			refs[i].block->n_returned++;
}

static int take_foreign(struct seai_link *link, struct seai_lookup *lookup, const struct seai_block_name *name,
                        struct seai_ref *ref)
{
	struct seai_attached *attached;
	int r = lookup_find(link, lookup, name->owner_id, name->arena_id);

	if (SEAI_UNLIKELY(r < 0))
		return r;
	attached = lookup->entries[lookup->last].attached;
	if (SEAI_UNLIKELY(name->block_id >= attached->n_blocks_max))
		return -EBADMSG;
	ref->attached = attached;
	ref->block = NULL;
	ref->base = attached->base;
	ref->n_bytes = attached->n_bytes;
	ref->generation = name->generation;
	ref->block_id = name->block_id;
	ref->arena_id = name->arena_id;
	ref->source_plus_1 = 0;
	return 0;
}

static int take_single(struct seai_link *link, struct seai_lookup *lookup, const struct seai_descriptor *descriptor,
                       struct sea_message *message)
{
	const struct seai_block_name name = {
		.owner_id = descriptor->owner_id,
		.arena_id = descriptor->arena_id,
		.block_id = descriptor->block_id,
		.generation = descriptor->generation,
	};
	bool is_own = name.owner_id == link->conn->wire->session->id;
	int r = is_own ? take_own(link, &name, descriptor->kind & SEAI_DESCRIPTOR_GIVEN, &message->ref)
	               : take_foreign(link, lookup, &name, &message->ref);

	if (SEAI_UNLIKELY(r < 0))
		return r;
	message->kind = SEAI_MESSAGE_SINGLE;
	message->n_blocks = 1;
	message->ref.has_token = descriptor->n_inline & SEAI_TOKEN_BIT(0);
	message->offset = descriptor->offset;
	message->n_bytes = descriptor->n_bytes;
	if (SEAI_UNLIKELY(descriptor->n_parts != 1 || message->offset > message->ref.n_bytes ||
	                  message->n_bytes > message->ref.n_bytes - message->offset)) {
		if (is_own)
			take_undo_own(message->session, &message->ref, 1);
		return -EBADMSG;
	}
	if (!is_own)
		lookup_hold(lookup, message->ref.attached);
	return 1;
}

/* A table names the blocks that the message holds; the first is the one that the descriptor names, head, which is taken already if it is own. */
static int take_table_of(struct seai_link *link, struct seai_lookup *lookup, const struct seai_descriptor *descriptor,
                         const struct seai_ref *head, struct sea_message *message)
{
	uint64_t own_id = link->conn->wire->session->id;
	const struct seai_block_name *names;
	const struct seai_table_part *parts;
	struct seai_block_name name;
	uint32_t n_blocks;
	int r;

	if (!seai_table_open(head->base, head->n_bytes, descriptor->offset, descriptor->n_bytes, descriptor->n_parts,
	                     &names, &n_blocks, &parts))
		return -EBADMSG;
	r = seai_message_reserve_refs(message, n_blocks);
	if (r < 0)
		return r;
	message->n_blocks = n_blocks;
	message->refs[0] = *head;
	/* All that can fail without a trace first: foreign arenas; then what changes our own books. */
	for (uint32_t i = 1; i < n_blocks; i++) {
		memcpy(&name, &names[i], sizeof(name)); /* loaded once */
		if (name.owner_id == own_id) {
			message->refs[i] = (struct seai_ref){ .generation = name.generation,
				                              .block_id = name.block_id,
				                              .arena_id = name.arena_id };
			continue;
		}
		r = take_foreign(link, lookup, &name, &message->refs[i]);
		if (r < 0)
			return r;
	}
	for (uint32_t i = 1; i < n_blocks; i++) {
		struct seai_ref *ref = &message->refs[i];

		if (ref->attached)
			continue;
		name = (struct seai_block_name){ own_id, ref->arena_id, ref->block_id, ref->generation };
		r = take_own(link, &name, false, ref);
		if (r < 0) {
			take_undo_own(message->session, message->refs + 1, i - 1);
			return r;
		}
	}
	for (uint32_t i = 0; i < n_blocks; i++) {
		message->refs[i].has_token = descriptor->n_inline & SEAI_TOKEN_BIT(i);
		if (message->refs[i].attached)
			lookup_hold(lookup, message->refs[i].attached);
	}
	message->kind = SEAI_MESSAGE_TABLE;
	message->offset = descriptor->offset;
	message->n_bytes = descriptor->n_bytes;
	if (sea_message_get_part(message, 0, &message->first_part) < 0)
		message->first_part = (struct sea_part){ NULL, 0 };
	return 1;
}

static int take_table(struct seai_link *link, struct seai_lookup *lookup, const struct seai_descriptor *descriptor,
                      struct sea_message *message)
{
	const struct seai_block_name name = {
		.owner_id = descriptor->owner_id,
		.arena_id = descriptor->arena_id,
		.block_id = descriptor->block_id,
		.generation = descriptor->generation,
	};
	bool is_own = name.owner_id == link->conn->wire->session->id;
	struct seai_ref head;
	/* An own head is held from here on, so that its arena stays while the table is read. */
	int r = is_own ? take_own(link, &name, false, &head) : take_foreign(link, lookup, &name, &head);

	if (r < 0)
		return r;
	r = take_table_of(link, lookup, descriptor, &head, message);
	if (r < 0 && is_own)
		take_undo_own(message->session, &head, 1);
	return r;
}

/* What the sender says about it holds for shared memory of others; of its own this process knows better. */
static void take_sole(struct sea_message *message)
{
	for (uint32_t i = 0; i < message->n_blocks; i++)
		if (!message->refs[i].attached || (message->refs[i].attached->flags &
		                                   (SEAI_ARENA_SHARED | SEAI_ARENA_READ_ONLY)) != SEAI_ARENA_SHARED)
			return;
	if (message->n_blocks)
		message->flags |= SEAI_MESSAGE_SOLE;
}

int seai_link_take(struct seai_link *link, struct seai_lookup *lookup, struct sea_message **ret_message)
{
	uint64_t position = atomic_load_explicit(&link->in.position, memory_order_relaxed);
	const struct seai_descriptor *slot = &link->in.slots[position & link->in.mask];
	struct seai_descriptor descriptor;
	struct sea_message *message;
	int r;

	/* acquire: pairs with the release that published it */
	if (atomic_load_explicit(&slot->sequence, memory_order_acquire) != position + 1)
		return 0;
	message = seai_message_take(link->conn->wire->session);
	if (SEAI_UNLIKELY(!message))
		return -ENOMEM;
	/* Copied out at once: an honest peer does not touch it any more, another may. */
	memcpy((uint8_t *)&descriptor + sizeof(descriptor.sequence), (const uint8_t *)slot + sizeof(slot->sequence),
	       sizeof(descriptor) - sizeof(descriptor.sequence));
	message->flags = SEAI_MESSAGE_RECEIVED;
	message->tag = descriptor.tag;
	message->sender_id = link->peer_id;
	message->n_parts = descriptor.n_parts;
	switch (descriptor.kind & ~SEAI_DESCRIPTOR_SOLE) {
	case SEAI_MESSAGE_SINGLE | SEAI_DESCRIPTOR_GIVEN:
	case SEAI_MESSAGE_SINGLE: r = take_single(link, lookup, &descriptor, message); break;
	case SEAI_MESSAGE_TABLE: r = take_table(link, lookup, &descriptor, message); break;
	case SEAI_MESSAGE_INLINE:
		r = descriptor.n_inline <= SEAI_INLINE_N_BYTES && descriptor.n_parts <= 1 ? 1 : -EBADMSG;
		if (r > 0) {
			message->kind = SEAI_MESSAGE_INLINE;
			message->n_bytes = descriptor.n_inline;
			memcpy(message->inline_data, descriptor.inline_data, SEAI_INLINE_N_BYTES);
		}
		break;
	default: r = -EBADMSG; break;
	}
	if (SEAI_UNLIKELY(r < 0)) {
		message->n_blocks = 0;
		seai_message_put_slowly(message);
		return r;
	}
	if (SEAI_UNLIKELY(descriptor.kind & SEAI_DESCRIPTOR_SOLE))
		take_sole(message);
	SEAI_POINT("receive: taken, slot not given back");
	*ret_message = message;
	return 1;
}

void seai_link_advance(struct seai_link *link, uint64_t n)
{
	uint64_t old = atomic_load_explicit(&link->in.position, memory_order_relaxed), want;

	atomic_store_explicit(&link->in.position, old + n, memory_order_release);
	/* release: the slots were read before they are given back */
	SEAI_POINT("receive: passed, tail not published");
	atomic_store_explicit(&link->mine->tail, old + n, memory_order_release);
	SEAI_POINT("receive: tail published, not rung");
	want = seai_link_read_want(link, &link->theirs->want_room);
	if (SEAI_UNLIKELY(want - old < n))
		seai_doorbell_ring(link->bell_out_fd);
}

void seai_message_return_own(struct sea_message *message)
{
	struct sea_session *session = message->session;

	{
		SEAI_LOCKED(&session->books, books);
		if (message->n_blocks && message->refs[0].block && message->refs[0].has_token)
			seai_ledger_orphan(session, message->refs[0].block);
		seai_message_release_own_locked(message);
	}
	seai_message_put(message);
}
