/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sending. A message of this process's own memory: note the receiver's hold in the books, fill a slot, publish it.
 * The books are taken once for a whole batch; a peer is rung once per batch, and only if it sleeps.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/point.h"
#include "channel/send.h"
#include "memory/heap-state.h"
#include "memory/message.h"
#include "wire/doorbell.h"

/* Messages that become visible together, at most: enough to spread the price, few enough not to be late. */
#define SEND_N_AT_ONCE 64

void seai_link_publish(struct seai_link *link, const struct sea_message *message, uint16_t tokens, uint16_t kind_flags)
{
	uint64_t position = atomic_load_explicit(&link->out.position, memory_order_relaxed);

	seai_link_fill(link, position, message, tokens, kind_flags);
	atomic_store_explicit(&link->out.position, position + 1, memory_order_relaxed);
	seai_link_show(link, position);
	seai_link_prepare_slot(link, position + SEAI_SEND_N_AHEAD);
}

static inline void ring_where_wanted(struct sea_channel *channel, struct seai_link *link, uint64_t old, uint64_t want)
{
	uint64_t new = atomic_load_explicit(&link->out.position, memory_order_relaxed);

	if (SEAI_UNLIKELY(want - old < new - old)) {
		seai_doorbell_ring(link->bell_out_fd);
		seai_count(&channel->n_doorbells, 1);
	}
}

void seai_channel_ring(struct sea_channel *channel, struct seai_link *link, uint64_t old)
{
	SEAI_POINT("publish: shown, not rung");
	ring_where_wanted(channel, link, old, seai_link_read_want(link, &link->theirs->want_data));
}

void seai_channel_ring_fenced(struct sea_channel *channel, struct seai_link *link, uint64_t old)
{
	SEAI_POINT("publish: shown, not rung");
	ring_where_wanted(channel, link, old, atomic_load_explicit(&link->theirs->want_data, memory_order_relaxed));
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

/* A message in the object has no hold anywhere; where orphans are wanted it gets a block. So does what lies in this process's own memory. */
static int send_promote(struct sea_channel *channel, struct sea_message *message)
{
	int r;

	if (message->kind != SEAI_MESSAGE_LOCAL &&
	    (message->kind != SEAI_MESSAGE_INLINE || channel->account->policy == SEA_ORPHANS_DROP ||
	     message->n_parts == 0 || message->n_sources))
		return 0;
	r = seai_message_to_block(message);
	return r == -ENOMEM ? -EAGAIN : r;
}

int seai_send_slowly(struct sea_channel *channel, struct seai_link *link, struct sea_message **message,
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
	} else if (seai_send_is_plain(channel, link, *message)) {
		{
			SEAI_LOCKED(&channel->session->books, books);
			r = seai_send_plain(channel, link, *message, is_consumed);
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
		if (SEAI_UNLIKELY(!seai_send_is_alive(channel, link))) {
			*ret_error = -EPIPE;
			n_messages = 0;
		}
		while (n < n_messages && seai_link_has_room(link) && seai_send_is_plain(channel, link, messages[n])) {
			int r = seai_send_fill_plain(channel, link, old + n, messages[n], true);

			if (SEAI_UNLIKELY(r < 0)) {
				*ret_error = r;
				break;
			}
			send_consume_plain(messages[n]);
			if (n)
				seai_link_show(link, old + n);
			seai_link_prepare_slot(
				link, old + n + (n_messages > 1 ? SEAI_SEND_N_AHEAD_BATCH : SEAI_SEND_N_AHEAD));
			n++;
			atomic_store_explicit(&link->out.position, old + n, memory_order_relaxed);
		}
		SEAI_POINT("publish: all shown but the first");
		if (n)
			seai_link_show(link, old);
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
		seai_link_fill(link, old + n, messages[n], 0, 0);
		if (n)
			seai_link_show(link, old + n);
		seai_link_prepare_slot(link, old + n + (n_messages > 1 ? SEAI_SEND_N_AHEAD_BATCH : SEAI_SEND_N_AHEAD));
		n++;
		atomic_store_explicit(&link->out.position, old + n, memory_order_relaxed);
	}
	if (n) {
		seai_link_show(link, old);
		seai_channel_ring(channel, link, old);
		seai_link_note_use(link, n);
		sea_message_unref_many(messages, n);
	}
	return n;
}

size_t seai_send_try(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, bool *ret_retry,
                     int *ret_error)
{
	size_t n = 0;
	uint32_t n_failed = 0;

	while (n < n_messages && n_failed <= channel->n_links) {
		struct seai_link *link = send_pick(channel);
		int r = 0;

		if (!link)
			break;
		channel->sent_link = link;
		if (SEAI_LIKELY(seai_send_is_plain(channel, link, messages[n]))) {
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
			r = seai_send_slowly(channel, link, &messages[n], true);
			if (r == 0) {
				messages[n++] = NULL;
				n_failed = 0;
			}
		}
		if (r == -EPIPE)
			/* The service thread has buried the peer and will tell us. */
			atomic_store_explicit(&link->state, SEAI_LINK_DEAD, memory_order_release);
		/* Too large for the rings, or of a file that the peer does not trust: no waiting would help. */
		if (SEAI_UNLIKELY(r == -E2BIG || r == -EBUSY || r == -EACCES)) {
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
	while (atomic_load_explicit(&channel->account->n_orphans_waiting, memory_order_relaxed)) {
		struct sea_message *orphan;

		{
			SEAI_LOCKED(&session->books, books);
			orphan = seai_account_take_orphan(channel->account);
		}
		if (!orphan)
			return 0;
		SEAI_POINT("resend: orphan taken, not sent");
		if (seai_send_try(channel, &orphan, 1, ret_retry, &error) == 0) {
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
		r = seai_channel_wait(channel, SEAI_WAIT_ROOM, deadline_ns, &spin_until_ns,
		                      retry ? SEAI_SEND_RETRY_NS : -1);
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
	if (SEAI_UNLIKELY(channel->send_special != NULL))
		return channel->send_special(channel, messages, n_messages, timeout_ns);
	for (;;) {
		bool retry = false;
		int r;

		seai_channel_update(channel);
		if (send_orphans(channel, &retry) == 0) {
			int error = 0;
			size_t n = seai_send_try(channel, messages, n_messages, &retry, &error);

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
		r = seai_channel_wait(channel, SEAI_WAIT_ROOM, deadline_ns, &spin_until_ns,
		                      retry ? SEAI_SEND_RETRY_NS : -1);
		if (r < 0)
			return r;
	}
}

int sea_channel_send(struct sea_channel *channel, struct sea_message **message, int64_t timeout_ns)
{
	int r = sea_channel_send_many(channel, message, 1, timeout_ns);

	return r < 0 ? r : 0;
}
