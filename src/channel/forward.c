/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passing on what others own: the peer is made known to the owners, the owners are told by grants, and only then the
 * descriptor is published. If this process dies in between, the owner asks the peer how far the ring got, and
 * undoes what did not get there: each message is with the one or comes back to the other.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/point.h"
#include "channel/channel.h"
#include "memory/arena.h"
#include "memory/heap.h"
#include "memory/message.h"
#include "wire/records.h"

/* Records and owners of one message without an allocation; more is rare. */
#define FORWARD_N_RECORDS 64
#define FORWARD_N_OWNERS 32

struct forward {
	struct sea_channel *channel;
	struct seai_link *link;
	struct sea_message *message;
	bool is_whole; /* this process keeps nothing of the message */
	struct seai_record *records;
	size_t n_records, n_records_max;
	struct seai_conn **owners; /* per record */
	struct seai_record records_here[FORWARD_N_RECORDS];
	struct seai_conn *owners_here[FORWARD_N_RECORDS];
	struct seai_conn *drop_owners[FORWARD_N_OWNERS]; /* those with a drop among their records */
	size_t n_drop_owners;
};

static void forward_cleanup(struct forward *forward)
{
	if (forward->records != forward->records_here) {
		free(forward->records);
		free(forward->owners);
	}
}

/* Whether the memory is a user's file, which a peer that does not trust files would refuse, and the message with it. */
static bool prepare_is_file(const struct seai_ref *ref)
{
	return (ref->attached ? ref->attached->flags : ref->block->arena->head->flags) & SEAI_ARENA_FILE;
}

static int prepare_ref(struct seai_link *link, const struct seai_ref *ref, uint64_t own_id)
{
	uint64_t owner_id = ref->attached ? ref->attached->owner_id : own_id;
	unsigned slot = ref->arena_id % SEAI_LINK_N_PROVIDED;
	int r;

	if (link->provided[slot].owner_id != owner_id || link->provided[slot].arena_id != ref->arena_id) {
		int fds[2];
		unsigned n_fds = ref->attached ? seai_attached_get_fds(ref->attached, fds)
		                               : seai_arena_get_fds(ref->block->arena, fds);

		if (!link->conn->trusts_files && link->conn->peer_id != owner_id && prepare_is_file(ref))
			return -EACCES;
		if (!ref->attached)
			ref->block->arena->announced = true;
		r = seai_attachment_provide(link->conn, owner_id, ref->arena_id, fds, n_fds);
		if (r < 0)
			return r;
		SEAI_POINT("forward: arena sent");
		link->provided[slot].owner_id = owner_id;
		link->provided[slot].arena_id = ref->arena_id;
	}
	if (!ref->attached || link->introduced_owner_id == owner_id ||
	    !atomic_load_explicit(&ref->attached->owner, memory_order_relaxed))
		return 0;
	r = seai_introduction_make(link->conn, owner_id);
	SEAI_POINT("forward: introduction sent");
	if (r == 0)
		link->introduced_owner_id = owner_id;
	return r;
}

int seai_channel_prepare(struct sea_channel *channel, struct seai_link *link, struct sea_message *message)
{
	SEAI_LOCKED(&channel->session->wire->control, control);

	for (uint32_t i = 0; i < message->n_blocks; i++) {
		int r = prepare_ref(link, &message->refs[i], channel->session->id);

		if (r < 0)
			return r;
	}
	/* What is only dropped with the message needs the peer to be known as well: its records name it. */
	for (uint32_t i = 0; i < message->n_sources; i++)
		for (uint32_t j = 0; j < message->sources[i]->n_blocks; j++) {
			const struct seai_ref *ref = &message->sources[i]->refs[j];
			int r = ref->attached && atomic_load_explicit(&ref->attached->owner, memory_order_relaxed)
			                ? seai_introduction_make(link->conn, ref->attached->owner_id)
			                : 0;

			if (r < 0)
				return r;
		}
	return 0;
}

static int forward_add(struct forward *forward, const struct seai_ref *ref, enum seai_record_op op)
{
	struct seai_conn *owner = atomic_load_explicit(&ref->attached->owner, memory_order_relaxed);
	uint64_t position = atomic_load_explicit(&forward->link->out.position, memory_order_relaxed);

	/* The owner is dead: nothing is used again there, and no hold is needed. */
	if (!owner)
		return 0;
	if (forward->n_records == forward->n_records_max) {
		size_t n_max = 4 * forward->n_records_max;
		struct seai_record *records = malloc(n_max * sizeof(*records));
		struct seai_conn **owners = malloc(n_max * sizeof(struct seai_conn *));

		if (!records || !owners) {
			free(records);
			free(owners);
			return -ENOMEM;
		}
		for (size_t i = 0; i < forward->n_records; i++) {
			records[i] = forward->records[i];
			owners[i] = forward->owners[i];
		}
		forward_cleanup(forward);
		forward->records = records;
		forward->owners = owners;
		forward->n_records_max = n_max;
	}
	forward->owners[forward->n_records] = owner;
	forward->records[forward->n_records++] = (struct seai_record){
		.op = op,
		.has_token = ref->has_token && op != SEAI_RECORD_SHARE,
		.arena_id = ref->arena_id,
		.block_id = ref->block_id,
		.generation = ref->generation,
		.target_id = forward->link->peer_id,
		.link_id = forward->link->id,
		.position = position,
		.published = position,
	};
	if (op == SEAI_RECORD_DROP &&
	    (!forward->n_drop_owners || forward->drop_owners[forward->n_drop_owners - 1] != owner) &&
	    forward->n_drop_owners < FORWARD_N_OWNERS)
		forward->drop_owners[forward->n_drop_owners++] = owner;
	return 0;
}

/*
 * A source that nobody but this message refers to goes with it. One that was put together here itself does not: what it
 * refers to is held by its own sources, which are released with it.
 */
static bool source_is_consumed(const struct forward *forward, const struct sea_message *source)
{
	return forward->is_whole && source->n_sources == 0 && seai_message_is_last_reference(source);
}

static bool forward_refers_to(const struct sea_message *message, uint32_t source, const struct seai_ref *ref)
{
	for (uint32_t i = 0; i < message->n_blocks; i++)
		if (message->refs[i].source_plus_1 == source + 1 && message->refs[i].block_id == ref->block_id &&
		    message->refs[i].attached == ref->attached)
			return true;
	return false;
}

static int forward_collect(struct forward *forward)
{
	const struct sea_message *message = forward->message;
	int r = 0;

	for (uint32_t i = 0; i < message->n_blocks && r == 0; i++) {
		const struct seai_ref *ref = &message->refs[i];
		bool is_given = ref->source_plus_1
		                        ? source_is_consumed(forward, message->sources[ref->source_plus_1 - 1])
		                        : forward->is_whole;

		if (ref->attached)
			r = forward_add(forward, ref, is_given ? SEAI_RECORD_TRANSFER : SEAI_RECORD_SHARE);
	}
	/* What a consumed source holds besides: released on the same condition. */
	for (uint32_t i = 0; i < message->n_sources && r == 0; i++) {
		const struct sea_message *source = message->sources[i];

		if (!source_is_consumed(forward, source))
			continue;
		for (uint32_t j = 0; j < source->n_blocks && r == 0; j++)
			if (source->refs[j].attached && !source->refs[j].source_plus_1 &&
			    !forward_refers_to(message, i, &source->refs[j]))
				r = forward_add(forward, &source->refs[j], SEAI_RECORD_DROP);
	}
	return r;
}

/* Records ordered by owner, one group each. */
static int forward_write(struct forward *forward)
{
	struct seai_records_group groups[FORWARD_N_OWNERS];
	struct seai_record sorted_here[FORWARD_N_RECORDS], *sorted = sorted_here;
	SEAI_AUTO_FREE struct seai_record *sorted_more = NULL;
	size_t n_groups = 0, n_sorted = 0;

	if (forward->n_records == 0)
		return 0;
	if (forward->n_records > FORWARD_N_RECORDS) {
		sorted_more = malloc(forward->n_records * sizeof(*sorted_more));
		if (!sorted_more)
			return -ENOMEM;
		sorted = sorted_more;
	}
	for (size_t i = 0; i < forward->n_records; i++) {
		struct seai_conn *owner = forward->owners[i];
		size_t n_before = n_sorted;

		if (!owner)
			continue;
		if (n_groups == FORWARD_N_OWNERS)
			return -E2BIG;
		for (size_t j = i; j < forward->n_records; j++)
			if (forward->owners[j] == owner) {
				sorted[n_sorted++] = forward->records[j];
				forward->owners[j] = NULL;
			}
		groups[n_groups++] = (struct seai_records_group){ .owner = owner,
			                                          .records = sorted + n_before,
			                                          .n_records = n_sorted - n_before };
	}
	return seai_records_write_groups(groups, n_groups);
}

static void forward_tell_published(struct forward *forward)
{
	uint64_t published = atomic_load_explicit(&forward->link->out.position, memory_order_relaxed);

	/* Blocks that were dropped on condition stay with their owner until it knows; the condition is met. */
	for (size_t i = 0; i < forward->n_drop_owners; i++) {
		struct seai_record record = { .op = SEAI_RECORD_PUBLISHED };
		struct seai_conn *owner = forward->drop_owners[i];

		record.target_id = forward->link->peer_id;
		record.link_id = forward->link->id;
		record.published = published;
		(void)seai_records_write(owner, &record, 1, false);
	}
}

/* Which of the message's holds carry their token to the receiver. */
static uint16_t forward_tokens(const struct forward *forward)
{
	const struct sea_message *message = forward->message;
	uint16_t tokens = 0;

	for (uint32_t i = 0; i < message->n_blocks; i++) {
		const struct seai_ref *ref = &message->refs[i];
		bool is_given = ref->source_plus_1
		                        ? source_is_consumed(forward, message->sources[ref->source_plus_1 - 1])
		                        : forward->is_whole;

		if (ref->attached ? is_given && ref->has_token : i == 0)
			tokens |= SEAI_TOKEN_BIT(i);
	}
	return tokens;
}

/* Own blocks: the receiver's holds, in the books. Undone by the caller if what follows fails. */
static int forward_hold_own(struct forward *forward, uint32_t *ret_n_held)
{
	struct sea_session *session = forward->channel->session;
	struct sea_message *message = forward->message;
	uint32_t i;
	int r = 0;
	SEAI_LOCKED(&session->books, books);

	if (!seai_ledger_is_alive_as(session->ledger, forward->link->holder, forward->link->peer_id))
		return -EPIPE;
	for (i = 0; i < message->n_blocks && r == 0; i++)
		if (message->refs[i].block)
			r = seai_ledger_hold(message->refs[i].block, forward->link->holder, i == 0);
	for (uint32_t j = 1; r == 0 && session->guard && j < message->n_blocks; j++)
		if (message->refs[j].block)
			seai_block_guard(message->refs[j].block, true);
	*ret_n_held = r < 0 ? i - 1 : i;
	if (r == 0 && message->n_blocks && message->refs[0].block && !message->refs[0].source_plus_1)
		seai_ledger_set_sent(message->refs[0].block, message, forward->channel->account);
	return r;
}

static void forward_undo_own(struct forward *forward, uint32_t n_held)
{
	struct sea_session *session = forward->channel->session;
	SEAI_LOCKED(&session->books, books);

	for (uint32_t i = 0; i < n_held; i++)
		if (forward->message->refs[i].block)
			seai_ledger_unhold(forward->message->refs[i].block, forward->link->holder, i == 0);
}

static void forward_give(struct sea_session *session, const struct seai_ref *ref)
{
	if (ref->attached)
		seai_attached_give(session, ref->attached, 1);
}

/* Everything of the message is with the receiver: drops the object without giving anything back a second time. */
static void forward_consume(struct forward *forward)
{
	struct sea_message *message = forward->message;
	struct sea_session *session = message->session;

	for (uint32_t i = 0; i < message->n_sources; i++) {
		struct sea_message *source = message->sources[i];

		/* A source can have sources of its own, if it was made here: then it is this process's memory. */
		if (seai_message_is_last_reference(source) && source->n_sources == 0) {
			for (uint32_t j = 0; j < source->n_blocks; j++)
				if (!source->refs[j].source_plus_1)
					forward_give(session, &source->refs[j]);
			SEAI_LOCKED(&session->books, books);
			seai_message_release_own_locked(source);
			source->flags |= SEAI_MESSAGE_GIVEN;
		}
		sea_message_unref(source);
	}
	message->n_sources = 0;
	for (uint32_t i = 0; i < message->n_blocks; i++)
		if (!message->refs[i].source_plus_1)
			forward_give(session, &message->refs[i]);
	{
		SEAI_LOCKED(&session->books, books);
		seai_message_release_own_locked(message);
	}
	seai_message_put(message);
}

int seai_channel_post_foreign(struct sea_channel *channel, struct seai_link *link, struct sea_message *message,
                              bool is_consumed)
{
	SEAI_CLEANUP(forward_cleanup)
	struct forward forward = {
		.channel = channel,
		.link = link,
		.message = message,
		.n_records_max = FORWARD_N_RECORDS,
	};
	uint32_t n_held = 0;
	int r;

	forward.records = forward.records_here;
	forward.owners = forward.owners_here;
	forward.is_whole = is_consumed && seai_message_is_last_reference(message);
	r = forward_collect(&forward);
	if (r == 0)
		r = forward_hold_own(&forward, &n_held);
	SEAI_POINT("forward: own blocks held");
	if (r == 0)
		r = forward_write(&forward);
	if (r < 0) {
		forward_undo_own(&forward, n_held);
		return r;
	}
	SEAI_POINT("forward: granted, not published");
	seai_link_publish(link, message, forward_tokens(&forward),
	                  forward.is_whole && message->flags & SEAI_MESSAGE_SOLE ? SEAI_DESCRIPTOR_SOLE : 0);
	SEAI_POINT("forward: published, owner not told");
	forward_tell_published(&forward);
	SEAI_POINT("forward: owner told, not let go");
	message->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
	if (forward.is_whole)
		forward_consume(&forward);
	else if (is_consumed)
		sea_message_unref(message);
	return 0;
}

bool seai_channel_can_hand_on(const struct seai_link *link, const struct sea_message *message)
{
	const struct seai_attached *attached = message->refs[0].attached;

	if (message->kind != SEAI_MESSAGE_SINGLE || !attached || message->ref.source_plus_1 || message->n_sources ||
	    !seai_message_is_last_reference(message) || !atomic_load_explicit(&attached->owner, memory_order_relaxed))
		return false;
	return link->peer_id == attached->owner_id ||
	       (link->introduced_owner_id == attached->owner_id &&
	        seai_link_has_provided(link, attached->owner_id, attached->arena_id));
}

int seai_channel_hand_on(struct seai_link *link, struct sea_message *message)
{
	const struct seai_ref *ref = &message->ref;
	struct seai_attached *attached = ref->attached;
	bool is_to_owner = link->peer_id == attached->owner_id;

	if (!is_to_owner) {
		struct seai_conn *owner = atomic_load_explicit(&attached->owner, memory_order_relaxed);
		uint64_t position = atomic_load_explicit(&link->out.position, memory_order_relaxed);
		const struct seai_record record = {
			.op = SEAI_RECORD_TRANSFER,
			.has_token = ref->has_token,
			.arena_id = ref->arena_id,
			.block_id = ref->block_id,
			.generation = ref->generation,
			.target_id = link->peer_id,
			.link_id = link->id,
			.position = position,
			.published = position,
		};
		int r = owner ? seai_records_write(owner, &record, 1, true) : 0;

		if (r < 0 && r != -EOWNERDEAD)
			return r;
	}
	SEAI_POINT("hand on: granted, not published");
	seai_link_publish(link, message, ref->has_token ? SEAI_TOKEN_BIT(0) : 0,
	                  (is_to_owner ? SEAI_DESCRIPTOR_GIVEN : 0) |
	                          (message->flags & SEAI_MESSAGE_SOLE ? SEAI_DESCRIPTOR_SOLE : 0));
	SEAI_POINT("hand on: published, not let go");
	seai_attached_give(message->session, attached, 1);
	seai_message_put(message);
	return 0;
}
