/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending. A message of this process's own memory: note the receiver's hold in the books, fill a slot, publish it.
 * The books are taken once for a whole batch; a peer is rung once per batch, and only if it sleeps.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/point.h"
#include "channel/channel.h"
#include "memory/heap-state.h"
#include "memory/message.h"
#include "wire/doorbell.h"

/* A peer's socket that is full, or a record ring without room, is looked at again after this. */
#define SEND_RETRY_NS (SEAI_NS_PER_MS / 2)

/* Messages that become visible together, at most: enough to spread the price, few enough not to be late. */
#define SEND_N_AT_ONCE 64

static inline void link_fill(struct seai_link *link, uint64_t position, const struct sea_message *message,
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
#define SEND_N_AHEAD_BATCH 8
#define SEND_N_AHEAD 2

/* Takes a slot that is written soon from the receiver's cache, while there is still other work. */
static inline void link_prepare_slot(const struct seai_link *link, uint64_t position)
{
	seai_prefetch_for_write(&link->out.slots[position & link->out.mask]);
}

/* Everything before is visible to the receiver from here on, and if this is the first of a batch, what follows too. */
static inline void link_show(struct seai_link *link, uint64_t position)
{
	SEAI_POINT("publish: descriptor written, not shown");
	/* release: pairs with the acquire of the receiver's look */
	atomic_store_explicit(&link->out.slots[position & link->out.mask].sequence, position + 1, memory_order_release);
}

void seai_link_publish(struct seai_link *link, const struct sea_message *message, uint16_t tokens, uint16_t kind_flags)
{
	uint64_t position = atomic_load_explicit(&link->out.position, memory_order_relaxed);

	link_fill(link, position, message, tokens, kind_flags);
	atomic_store_explicit(&link->out.position, position + 1, memory_order_relaxed);
	link_show(link, position);
	link_prepare_slot(link, position + SEND_N_AHEAD);
}

void seai_channel_ring(struct sea_channel *channel, struct seai_link *link, uint64_t old)
{
	uint64_t new = atomic_load_explicit(&link->out.position, memory_order_relaxed), want;

	SEAI_POINT("publish: shown, not rung");
	want = seai_link_read_want(link, &link->theirs->want_data);
	if (SEAI_UNLIKELY(want - old < new - old)) {
		seai_doorbell_ring(link->bell_out_fd);
		seai_count(&channel->n_doorbells, 1);
	}
}

static struct seai_link *send_pick(struct sea_channel *channel)
{
	for (uint32_t i = 0; i < channel->n_links; i++) {
		uint32_t index = channel->next_send < channel->n_links ? channel->next_send : 0;
		struct seai_link *link = channel->links[index];

		channel->next_send = index + 1;
		if (seai_link_can_send(link))
			return link;
	}
	return NULL;
}

/* Whether a message is all of one block of this process's own, in an arena the peer has: the short road. */
static inline bool send_is_plain(const struct sea_channel *channel, const struct seai_link *link,
                                 const struct sea_message *message)
{
	return message->n_blocks == 1 && message->ref.block && !message->ref.source_plus_1 && message->n_sources == 0 &&
	       seai_link_has_provided(link, channel->session->id, message->ref.arena_id);
}

/* Whether a receiver that was just noted holds all there will be of a message in a shared heap, once the sender's own reference is consumed. */
static inline bool send_is_sole(const struct seai_block *block, const struct sea_message *message)
{
	return SEAI_UNLIKELY(block->arena->shared) && block->n_own == 1 && block->n_holds == 1 &&
	       block->holds[0].count == 1 && seai_message_is_last_reference(message);
}

/*
 * Notes the hold of a peer that is alive and fills a slot. Books lock held. 0; -ENOMEM; -E2BIG. Does not consume the message; is_consumed: the
 * caller will.
 */
static inline int send_fill_plain(struct sea_channel *channel, struct seai_link *link, uint64_t position,
                                  struct sea_message *message, bool is_consumed)
{
	struct seai_block *block = message->ref.block;
	int r = seai_ledger_hold(block, link->holder, true);
	if (SEAI_UNLIKELY(r < 0))
		return r;
	seai_ledger_set_sent(block, message, channel->account);
	SEAI_POINT("send: held, no descriptor");
	link_fill(link, position, message, SEAI_TOKEN_BIT(0),
	          is_consumed && send_is_sole(block, message) ? SEAI_DESCRIPTOR_SOLE : 0);
	return 0;
}

/* Whether the peer's holds still count. Books lock held: it cannot die in them meanwhile. */
static inline bool send_is_alive(const struct sea_channel *channel, const struct seai_link *link)
{
	return seai_ledger_is_alive_as(channel->session->ledger, link->holder, link->peer_id);
}

static int send_plain(struct sea_channel *channel, struct seai_link *link, struct sea_message *message,
                      bool is_consumed)
{
	uint64_t position = atomic_load_explicit(&link->out.position, memory_order_relaxed);
	int r = send_is_alive(channel, link) ? send_fill_plain(channel, link, position, message, is_consumed) : -EPIPE;

	if (r < 0)
		return r;
	atomic_store_explicit(&link->out.position, position + 1, memory_order_relaxed);
	link_show(link, position);
	return 0;
}

/* A message in the object has no hold anywhere; where orphans are wanted it gets a block. */
static int send_promote(struct sea_channel *channel, struct sea_message *message)
{
	struct sea_session *session = channel->session;
	struct seai_block *block;
	int r;

	if (message->kind != SEAI_MESSAGE_INLINE || channel->account->policy == SEA_ORPHANS_DROP ||
	    message->n_parts == 0 || message->n_sources)
		return 0;
	r = seai_allocate_wait(session->default_heap, SEAI_BLOCK_MIN_N_BYTES, SEA_ALIGNMENT_DEFAULT,
	                       SEAI_ALLOCATE_WHOLE, &block, 1, 0);
	if (r < 0)
		return -EAGAIN;
	memcpy(seai_block_data(block), message->inline_data, message->n_bytes);
	message->kind = SEAI_MESSAGE_SINGLE;
	message->n_blocks = 1;
	message->offset = block->offset;
	message->ref = (struct seai_ref){
		.block = block,
		.base = (const uint8_t *)block->arena->head,
		.n_bytes = block->arena->n_bytes,
		.generation = block->generation,
		.block_id = block->id,
		.arena_id = block->arena->id,
	};
	return 0;
}

/* One message by the long road. *message is consumed on 0. */
static int send_slowly(struct sea_channel *channel, struct seai_link *link, struct sea_message **message,
                       bool is_consumed)
{
	uint64_t old = atomic_load_explicit(&link->out.position, memory_order_relaxed);
	int r;

	if (is_consumed && seai_channel_can_hand_on(link, *message)) {
		r = seai_channel_hand_on(link, *message);
		if (r < 0)
			return r;
		*message = NULL;
		seai_channel_ring(channel, link, old);
		return 0;
	}
	r = send_promote(channel, *message);
	if (r < 0)
		return r;
	r = seai_channel_prepare(channel, link, *message);
	if (r < 0)
		return r;
	if ((*message)->kind == SEAI_MESSAGE_INLINE && (*message)->n_sources == 0) {
		seai_link_publish(link, *message, 0, 0);
		(*message)->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
		if (is_consumed)
			*message = sea_message_unref(*message);
	} else if (send_is_plain(channel, link, *message)) {
		{
			SEAI_LOCKED(&channel->session->books, books);
			r = send_plain(channel, link, *message, is_consumed);
		}
		if (r < 0)
			return r;
		(*message)->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
		if (is_consumed)
			*message = sea_message_unref(*message);
	} else {
		r = seai_channel_post_foreign(channel, link, *message, is_consumed);
		if (r < 0)
			return r;
		if (is_consumed)
			*message = NULL;
	}
	seai_channel_ring(channel, link, old);
	return 0;
}

/* The sender's own hold of a plain message ends with its last reference. Books lock held; what is left of the message is dropped by the caller. */
static inline void send_consume_plain(struct sea_message *message)
{
	message->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
	if (SEAI_UNLIKELY(!seai_message_is_last_reference(message)))
		return;
	/* The receiver holds it now, so this cannot be the last hold. */
	message->ref.block->n_own--;
	message->flags |= SEAI_MESSAGE_GIVEN;
}

/*
 * Sends plain messages to one link as long as they are plain and there is room. Returns how many; *ret_error where it ended
 * for another reason. The first of them is shown last: a receiver that is close behind looks at one slot while the
 * others are filled, and their cache lines do not go to and fro.
 */
static size_t send_run(struct sea_channel *channel, struct seai_link *link, struct sea_message **messages,
                       size_t n_messages, int *ret_error)
{
	struct sea_session *session = channel->session;
	uint64_t old = atomic_load_explicit(&link->out.position, memory_order_relaxed);
	size_t n = 0;

	if (n_messages > SEND_N_AT_ONCE)
		n_messages = SEND_N_AT_ONCE;
	{
		SEAI_LOCKED(&session->books, books);
		if (SEAI_UNLIKELY(!send_is_alive(channel, link))) {
			*ret_error = -EPIPE;
			n_messages = 0;
		}
		while (n < n_messages && seai_link_has_room(link) && send_is_plain(channel, link, messages[n])) {
			int r = send_fill_plain(channel, link, old + n, messages[n], true);

			if (SEAI_UNLIKELY(r < 0)) {
				*ret_error = r;
				break;
			}
			send_consume_plain(messages[n]);
			if (n)
				link_show(link, old + n);
			link_prepare_slot(link, old + n + (n_messages > 1 ? SEND_N_AHEAD_BATCH : SEND_N_AHEAD));
			n++;
			atomic_store_explicit(&link->out.position, old + n, memory_order_relaxed);
		}
		SEAI_POINT("publish: all shown but the first");
		if (n)
			link_show(link, old);
	}
	if (n) {
		seai_channel_ring(channel, link, old);
		seai_link_note_use(link, n);
	}
	for (size_t i = 0; i < n; i++) {
		struct sea_message *message = SEAI_TAKE(messages[i]);

		if (SEAI_LIKELY(message->flags & SEAI_MESSAGE_GIVEN))
			seai_message_put(message);
		else
			sea_message_unref(message);
	}
	return n;
}

/* Whether a message lies in its object and may travel in a descriptor alone. */
static inline bool send_is_inline(const struct sea_channel *channel, const struct sea_message *message)
{
	return message->kind == SEAI_MESSAGE_INLINE && message->n_sources == 0 &&
	       (channel->account->policy == SEA_ORPHANS_DROP || message->n_parts == 0);
}

/* As send_run(), of messages that have no memory: nothing is to be noted anywhere. */
static size_t send_run_inline(struct sea_channel *channel, struct seai_link *link, struct sea_message **messages,
                              size_t n_messages)
{
	uint64_t old = atomic_load_explicit(&link->out.position, memory_order_relaxed);
	size_t n = 0;

	if (n_messages > SEND_N_AT_ONCE)
		n_messages = SEND_N_AT_ONCE;
	while (n < n_messages && seai_link_has_room(link) && send_is_inline(channel, messages[n])) {
		messages[n]->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
		link_fill(link, old + n, messages[n], 0, 0);
		if (n)
			link_show(link, old + n);
		link_prepare_slot(link, old + n + (n_messages > 1 ? SEND_N_AHEAD_BATCH : SEND_N_AHEAD));
		n++;
		atomic_store_explicit(&link->out.position, old + n, memory_order_relaxed);
	}
	if (n) {
		link_show(link, old);
		seai_channel_ring(channel, link, old);
		seai_link_note_use(link, n);
		sea_message_unref_many(messages, n);
	}
	return n;
}

/* Sends what can be sent now. Returns how many; *ret_retry: something is in the way that nobody rings for; *ret_error: the next one can never be sent. */
static size_t send_try(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, bool *ret_retry,
                       int *ret_error)
{
	size_t n = 0;
	uint32_t n_failed = 0;

	while (n < n_messages && n_failed <= channel->n_links) {
		struct seai_link *link = send_pick(channel);
		int r = 0;

		if (!link)
			break;
		if (SEAI_LIKELY(send_is_plain(channel, link, messages[n]))) {
			/* With one receiver all goes to it; with several they take turns. */
			size_t n_run = channel->n_links == 1 ? n_messages - n : 1;
			size_t n_sent = send_run(channel, link, messages + n, n_run, &r);

			n += n_sent;
			if (n_sent)
				n_failed = 0;
		} else if (send_is_inline(channel, messages[n])) {
			size_t n_sent = send_run_inline(channel, link, messages + n,
			                                channel->n_links == 1 ? n_messages - n : 1);

			n += n_sent;
			n_failed = n_sent ? 0 : n_failed + 1;
		} else {
			r = send_slowly(channel, link, &messages[n], true);
			if (r == 0) {
				messages[n++] = NULL;
				n_failed = 0;
			}
		}
		if (r == -EPIPE)
			/* The service thread has buried the peer and will tell us. */
			atomic_store_explicit(&link->state, SEAI_LINK_DEAD, memory_order_release);
		/* Too large for the rings: no waiting would help. */
		if (SEAI_UNLIKELY(r == -E2BIG || r == -EBUSY)) {
			*ret_error = r;
			break;
		}
		if (r < 0) {
			n_failed++;
			*ret_retry |= r == -EAGAIN || r == -ENOMEM;
		}
	}
	if (n)
		seai_count(&channel->n_sent, n);
	return n;
}

/* What came back goes first. 0, or -EAGAIN: there is some that finds no room. */
static int send_orphans(struct sea_channel *channel, bool *ret_retry)
{
	struct sea_session *session = channel->session;
	int error = 0;

	if (channel->account->policy != SEA_ORPHANS_RESEND)
		return 0;
	while (__atomic_load_n(&channel->account->n_orphans_waiting, __ATOMIC_RELAXED)) {
		struct sea_message *orphan;

		{
			SEAI_LOCKED(&session->books, books);
			orphan = seai_account_take_orphan(channel->account);
		}
		if (!orphan)
			return 0;
		SEAI_POINT("resend: orphan taken, not sent");
		if (send_try(channel, &orphan, 1, ret_retry, &error) == 0) {
			SEAI_LOCKED(&session->books, books);
			seai_account_put_back(channel->account, orphan);
			return -EAGAIN;
		}
	}
	return 0;
}

int seai_channel_send_orphans(struct sea_channel *channel, int64_t deadline_ns)
{
	int64_t spin_until_ns = 0;

	for (;;) {
		bool retry = false;
		int r;

		seai_channel_update(channel);
		if (send_orphans(channel, &retry) == 0)
			return 0;
		if (deadline_ns == 0)
			return -EAGAIN;
		r = seai_channel_wait(channel, SEAI_WAIT_ROOM, deadline_ns, &spin_until_ns, retry ? SEND_RETRY_NS : -1);
		if (r < 0)
			return r;
	}
}

int sea_channel_send_many(struct sea_channel *channel, struct sea_message **messages, size_t n_messages,
                          int64_t timeout_ns)
{
	int64_t deadline_ns = -1, spin_until_ns = 0;

	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (!channel->sends || n_messages == 0)
		return -EINVAL;
	for (size_t i = 0; i < n_messages; i++)
		if (!messages[i] || messages[i]->session != channel->session)
			return -EINVAL;
	if (n_messages > INT32_MAX)
		n_messages = INT32_MAX;
	seai_channel_note_active(channel);
	for (;;) {
		bool retry = false;
		int r;

		seai_channel_update(channel);
		if (send_orphans(channel, &retry) == 0) {
			int error = 0;
			size_t n = send_try(channel, messages, n_messages, &retry, &error);

			if (SEAI_LIKELY(n))
				return (int)n;
			if (error < 0)
				return error;
		}
		if (timeout_ns == 0) {
			if (seai_channel_arm_for_poll(channel, SEAI_WAIT_ROOM) && !retry)
				continue;
			/* What is in the way passes without a ring: who polls looks again. */
			if (retry && channel->is_fd_given)
				seai_channel_kick(channel);
			return -EAGAIN;
		}
		if (deadline_ns == -1)
			deadline_ns = seai_deadline(timeout_ns);
		r = seai_channel_wait(channel, SEAI_WAIT_ROOM, deadline_ns, &spin_until_ns, retry ? SEND_RETRY_NS : -1);
		if (r < 0)
			return r;
	}
}

int sea_channel_send(struct sea_channel *channel, struct sea_message **message, int64_t timeout_ns)
{
	int r = sea_channel_send_many(channel, message, 1, timeout_ns);

	return r < 0 ? r : 0;
}

/* Sends a message to all links for which it is plain, under one lock, and marks those that need the long road. Returns how many got it. */
static int send_each_plain(struct sea_channel *channel, struct sea_message *message, unsigned *n_missed)
{
	SEAI_LOCKED(&channel->session->books, books);
	int n = 0;

	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];
		int r;

		if (atomic_load_explicit(&link->state, memory_order_relaxed) != SEAI_LINK_OPEN)
			continue;
		if (!seai_link_has_room(link)) {
			++*n_missed;
		} else if (!send_is_plain(channel, link, message)) {
			link->needs_long_road = true;
		} else {
			r = send_plain(channel, link, message, false);
			link->has_news = r == 0;
			n += r == 0;
			*n_missed += r < 0 && r != -EPIPE;
		}
	}
	return n;
}

int sea_channel_send_each(struct sea_channel *channel, struct sea_message **message, unsigned *ret_n_missed)
{
	unsigned n_missed = 0;
	int n;

	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (!channel->sends || !*message || (*message)->session != channel->session)
		return -EINVAL;
	seai_channel_update(channel);
	n = send_each_plain(channel, *message, &n_missed);
	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];

		/* Peers are woken after all have got it, and without the lock. */
		if (link->has_news) {
			link->has_news = false;
			seai_channel_ring(channel, link,
			                  atomic_load_explicit(&link->out.position, memory_order_relaxed) - 1);
		}
		if (SEAI_UNLIKELY(link->needs_long_road)) {
			int r = send_slowly(channel, link, message, false);

			link->needs_long_road = false;
			n += r == 0;
			n_missed += r < 0 && r != -EPIPE;
		}
	}
	if (ret_n_missed)
		*ret_n_missed = n_missed;
	if (n == 0)
		return -EAGAIN;
	(*message)->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
	*message = sea_message_unref(*message);
	seai_count(&channel->n_sent, (uint64_t)n);
	return n;
}
