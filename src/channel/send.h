/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a message gets into a link: what send.c (one receiver) and publish.c (many) share. The short road, of one block of this process's own, is
 * inline; all else takes the long one.
 */
#ifndef SEALANE_CHANNEL_SEND_H
#define SEALANE_CHANNEL_SEND_H

#include <errno.h>
#include <string.h>

#include "base/point.h"
#include "channel/channel.h"
#include "memory/heap-state.h"
#include "memory/message.h"

/* A peer's socket that is full, or a record ring without room, is looked at again after this. */
#define SEAI_SEND_RETRY_NS (SEAI_NS_PER_MS / 2)

static inline void seai_link_fill(struct seai_link *link, uint64_t position, const struct sea_message *message,
                                  uint16_t tokens, uint16_t kind_flags)
{
	struct seai_descriptor *slot = &link->out.slots[position & link->out.mask];

	if (SEAI_LIKELY(message->kind != SEAI_MESSAGE_INLINE)) {
		const struct seai_ref *ref = &message->refs[0];

		slot->owner_id = ref->attached ? ref->attached->owner_id : message->session->id;
		slot->arena_id = ref->arena_id;
		slot->block_id = ref->block_id;
		slot->generation = ref->generation;
		slot->offset = message->offset;
		slot->n_bytes = message->n_bytes;
		slot->n_inline = tokens;
	} else {
		memcpy(slot->inline_data, message->inline_data, SEAI_INLINE_N_BYTES);
		slot->n_inline = (uint16_t)message->n_bytes;
	}
	SEAI_POINT("publish: descriptor half written");
	slot->tag = message->tag;
	slot->n_parts = message->n_parts;
	slot->kind = message->kind | kind_flags;
}

/* Cache lines that are asked for ahead: in a batch as many as are written while one comes over, else those that are needed soon. */
#define SEAI_SEND_N_AHEAD_BATCH 8
#define SEAI_SEND_N_AHEAD 2

/* Takes a slot that is written soon from the receiver's cache, while there is still other work. */
static inline void seai_link_prepare_slot(const struct seai_link *link, uint64_t position)
{
	seai_prefetch_for_write(&link->out.slots[position & link->out.mask]);
}

/* Everything before is visible to the receiver from here on, and if this is the first of a batch, what follows too. */
static inline void seai_link_show(struct seai_link *link, uint64_t position)
{
	SEAI_POINT("publish: descriptor written, not shown");
	/* release: pairs with the acquire of the receiver's look */
	atomic_store_explicit(&link->out.slots[position & link->out.mask].sequence, position + 1, memory_order_release);
}

/* Whether a message is all of one block of this process's own, in an arena the peer has: the short road. */
static inline bool seai_send_is_plain(const struct sea_channel *channel, const struct seai_link *link,
                                      const struct sea_message *message)
{
	return message->n_blocks == 1 && message->ref.block && !message->ref.source_plus_1 && message->n_sources == 0 &&
	       seai_link_has_provided(link, channel->session->id, message->ref.arena_id);
}

/* Whether a receiver that was just noted holds all there will be of a message in a shared heap, once the sender's own reference is consumed. */
static inline bool seai_send_is_sole(const struct seai_block *block, const struct sea_message *message)
{
	return SEAI_UNLIKELY(block->arena->shared) && block->n_own == 1 && block->n_holds == 1 &&
	       block->holds[0].count == 1 && seai_message_is_last_reference(message);
}

/*
 * Notes the hold of a peer that is alive and fills a slot. Books lock held. 0; -ENOMEM; -E2BIG. Does not consume the message; is_consumed: the
 * caller will.
 */
static inline int seai_send_fill_plain(struct sea_channel *channel, struct seai_link *link, uint64_t position,
                                       struct sea_message *message, bool is_consumed)
{
	struct seai_block *block = message->ref.block;
	int r = seai_ledger_hold(block, link->holder, true);
	if (SEAI_UNLIKELY(r < 0))
		return r;
	seai_ledger_set_sent(block, message, channel->account);
	SEAI_POINT("send: held, no descriptor");
	seai_link_fill(link, position, message, SEAI_TOKEN_BIT(0),
	               is_consumed && seai_send_is_sole(block, message) ? SEAI_DESCRIPTOR_SOLE : 0);
	return 0;
}

/* Whether the peer's holds still count. Books lock held: it cannot die in them meanwhile. */
static inline bool seai_send_is_alive(const struct sea_channel *channel, const struct seai_link *link)
{
	return seai_ledger_is_alive_as(channel->session->ledger, link->holder, link->peer_id);
}

static inline int seai_send_plain(struct sea_channel *channel, struct seai_link *link, struct sea_message *message,
                                  bool is_consumed)
{
	uint64_t position = atomic_load_explicit(&link->out.position, memory_order_relaxed);
	int r = seai_send_is_alive(channel, link) ? seai_send_fill_plain(channel, link, position, message, is_consumed)
	                                          : -EPIPE;

	if (r < 0)
		return r;
	atomic_store_explicit(&link->out.position, position + 1, memory_order_relaxed);
	seai_link_show(link, position);
	return 0;
}

/* One message by the long road. *message is consumed on 0 if is_consumed. 0; -EAGAIN; -ENOMEM; -EPIPE; -E2BIG. */
int seai_send_slowly(struct sea_channel *channel, struct seai_link *link, struct sea_message **message,
                     bool is_consumed);

/* Sends what can be sent now. Returns how many; *ret_retry: something is in the way that nobody rings for; *ret_error: the next one can never be sent. */
size_t seai_send_try(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, bool *ret_retry,
                     int *ret_error);

#endif
