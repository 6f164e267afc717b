/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests and replies: whose turn it is. A requester has one request out at a time, and takes its answer from that peer alone;
 * a replier answers the peer whose request it took last.
 *
 * A replier that dies owes an answer that never comes: the requester is told, or, where orphans are sent again, its request goes to another.
 */
#include "channel/reply.h"
#include "base/clock.h"
#include "channel/send.h"

/* The peer whose turn it was is gone. */
void seai_turn_lost(struct sea_channel *channel)
{
	channel->turn = NULL;
	channel->has_lost_turn = true;
}

static void request_end(struct sea_channel *channel)
{
	channel->turn = NULL;
	channel->has_lost_turn = false;
	channel->request = sea_message_unref(channel->request);
}

/* A request that nobody waits for any more: its answer is passed over when it comes. */
static void request_give_up(struct sea_channel *channel)
{
	if (channel->turn)
		channel->turn->n_stale++;
	request_end(channel);
}

/* Sends to whoever has room. 0; -EAGAIN; -E2BIG. */
static int request_try(struct sea_channel *channel, struct sea_message **message, bool *ret_retry)
{
	int error = 0;

	if (seai_send_try(channel, message, 1, ret_retry, &error) == 0)
		return error < 0 ? error : -EAGAIN;
	channel->turn = channel->sent_link;
	channel->has_lost_turn = false;
	return 0;
}

int seai_req_send(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, int64_t timeout_ns)
{
	int64_t deadline_ns = seai_deadline(timeout_ns), spin_until_ns = 0;

	(void)n_messages;
	seai_channel_update(channel);
	request_give_up(channel);
	if (channel->account->policy == SEA_ORPHANS_RESEND)
		channel->request = sea_message_ref(messages[0]);
	for (;;) {
		bool retry = false;
		int r = request_try(channel, messages, &retry);

		if (r == 0)
			return 1;
		if (r == -EAGAIN && timeout_ns != 0)
			r = seai_channel_wait(channel, SEAI_WAIT_ROOM, deadline_ns, &spin_until_ns,
			                      retry ? SEAI_SEND_RETRY_NS : -1);
		else if (r == -EAGAIN && seai_channel_arm_for_poll(channel, SEAI_WAIT_ROOM) && !retry)
			r = 0;
		if (r < 0) {
			request_end(channel);
			return r;
		}
		seai_channel_update(channel);
	}
}

/* Takes what came of peers whose turn it is not: answers to what was given up, or lies. */
static void request_pass_over(struct sea_channel *channel)
{
	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];

		while ((link != channel->turn || link->n_stale) && seai_link_has_data(link)) {
			struct sea_message *message;

			if (seai_receive_from_link(channel, link, &message, 1) <= 0)
				break;
			sea_message_unref(message);
			if (link->n_stale)
				link->n_stale--;
		}
	}
}

/* One look. 1; 0 nothing yet; -EPIPE; -EPROTO; errors of sea_channel_receive(). */
static int request_look(struct sea_channel *channel, struct sea_message **messages, bool *ret_retry)
{
	int r;

	request_pass_over(channel);
	if (channel->turn) {
		r = seai_receive_from_link(channel, channel->turn, messages, 1);
		if (r > 0)
			request_end(channel);
		else if (SEAI_UNLIKELY(channel->n_ending))
			seai_channel_drop_ended(channel);
		if (r == -EAGAIN)
			*ret_retry = true;
		if (channel->turn || r > 0)
			return r == -EAGAIN ? 0 : r;
	}
	if (!channel->has_lost_turn)
		return -EPROTO;
	if (channel->request) {
		struct sea_message *again = sea_message_ref(channel->request);

		r = request_try(channel, &again, ret_retry);
		sea_message_unref(again);
		return r == -EAGAIN ? 0 : r;
	}
	channel->has_lost_turn = false;
	return -EPIPE;
}

int seai_req_receive(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns)
{
	int64_t deadline_ns = seai_deadline(timeout_ns), spin_until_ns = 0;

	(void)n_max;
	for (;;) {
		bool retry = false;
		int r;

		seai_channel_update(channel);
		seai_channel_enter(channel);
		r = request_look(channel, messages, &retry);
		seai_channel_leave(channel);
		if (r > 0)
			seai_count(&channel->n_received, 1);
		if (r != 0)
			return r;
		if (timeout_ns == 0) {
			if (seai_channel_arm_for_poll(channel, SEAI_WAIT_DATA) && !retry)
				continue;
			if (retry && channel->is_fd_given)
				seai_channel_kick(channel);
			return -EAGAIN;
		}
		r = seai_channel_wait(channel, channel->turn ? SEAI_WAIT_DATA : SEAI_WAIT_ROOM, deadline_ns,
		                      &spin_until_ns, retry ? SEAI_SEND_RETRY_NS : -1);
		if (r < 0)
			return r;
	}
}

/* To one peer alone. 0; -EAGAIN; -EPIPE; -E2BIG; -ENOMEM. */
static int reply_try(struct sea_channel *channel, struct seai_link *link, struct sea_message **message)
{
	int r;

	if (atomic_load_explicit(&link->state, memory_order_acquire) != SEAI_LINK_OPEN)
		return -EPIPE;
	if (!seai_link_has_room(link))
		return -EAGAIN;
	if (seai_send_is_plain(channel, link, *message)) {
		uint64_t old = atomic_load_explicit(&link->out.position, memory_order_relaxed);

		{
			SEAI_LOCKED(&channel->session->books, books);
			r = seai_send_plain(channel, link, *message, true);
		}
		if (r < 0)
			return r;
		(*message)->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
		*message = sea_message_unref(*message);
		seai_channel_ring(channel, link, old);
		return 0;
	}
	return seai_send_slowly(channel, link, message, true);
}

int seai_rep_send(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, int64_t timeout_ns)
{
	int64_t deadline_ns = seai_deadline(timeout_ns), spin_until_ns = 0;

	(void)n_messages;
	for (;;) {
		int r;

		seai_channel_update(channel);
		if (!channel->turn) {
			if (!channel->has_lost_turn)
				return -EPROTO;
			channel->has_lost_turn = false;
			return -EPIPE;
		}
		r = reply_try(channel, channel->turn, messages);
		if (r == 0) {
			messages[0] = NULL;
			channel->turn = NULL;
			seai_count(&channel->n_sent, 1);
			return 1;
		}
		if (r == -EPIPE) {
			channel->turn = NULL;
			return r;
		}
		if (r != -EAGAIN && r != -ENOMEM)
			return r;
		if (timeout_ns == 0)
			return -EAGAIN;
		channel->turn->is_awaited = true;
		r = seai_channel_wait(channel, SEAI_WAIT_AWAITED, deadline_ns, &spin_until_ns, SEAI_SEND_RETRY_NS);
		if (channel->turn)
			channel->turn->is_awaited = false;
		if (r < 0)
			return r;
	}
}

int seai_rep_receive(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns)
{
	int r;

	(void)n_max;
	if (channel->turn)
		return -EPROTO;
	channel->has_lost_turn = false;
	r = seai_receive_any(channel, messages, 1, timeout_ns);
	if (r > 0)
		channel->turn = channel->received_link;
	return r;
}
