/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving: fair over the links, in place, and back to the ring as soon as a message was taken. */
#include <errno.h>

#include "base/clock.h"
#include "channel/reply.h"
#include "memory/message.h"

/* What a link that cannot be read on just now has to wait for: mostly that its owner's books catch up. */
#define RECEIVE_RETRY_NS (SEAI_NS_PER_MS / 2)

int seai_receive_from_link(struct sea_channel *channel, struct seai_link *link, struct sea_message **messages,
                           size_t n_max)
{
	size_t n = 0, n_passed = 0;
	int r = 0;

	while (n < n_max) {
		/* Slots are given back in one go, but not so late that a small queue looks full. */
		r = seai_link_take(link, &channel->lookup, &messages[n]);
		if (r > 0) {
			n++;
			n_passed++;
			atomic_store_explicit(&link->in.position,
			                      atomic_load_explicit(&link->in.position, memory_order_relaxed) + 1,
			                      memory_order_relaxed);
			continue;
		}
		if (SEAI_LIKELY(r != -EBADMSG))
			break;
		/* Refused, and passed over: the attacked goes on. */
		seai_count(&channel->n_refused, 1);
		n_passed++;
		atomic_store_explicit(&link->in.position,
		                      atomic_load_explicit(&link->in.position, memory_order_relaxed) + 1,
		                      memory_order_relaxed);
	}
	if (n_passed) {
		seai_link_note_use(link, n_passed);
		atomic_store_explicit(&link->in.position,
		                      atomic_load_explicit(&link->in.position, memory_order_relaxed) - n_passed,
		                      memory_order_relaxed);
		seai_link_advance(link, n_passed);
	}
	return n ? (int)n : r;
}

static int receive_try(struct sea_channel *channel, struct sea_message **messages, size_t n_max)
{
	int error = 0;

	for (uint32_t i = 0; i < channel->n_links; i++) {
		uint32_t index = channel->next_receive < channel->n_links ? channel->next_receive : 0;
		int n = seai_receive_from_link(channel, channel->links[index], messages, n_max);

		channel->next_receive = index + 1;
		if (n > 0) {
			channel->received_link = channel->links[index];
			seai_count(&channel->n_received, (uint64_t)n);
			return n;
		}
		if (n < 0)
			error = n;
	}
	return error;
}

int sea_channel_receive_many(struct sea_channel *channel, struct sea_message **messages, size_t n_max,
                             int64_t timeout_ns)
{
	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (!channel->receives || n_max == 0)
		return -EINVAL;
	if (SEAI_UNLIKELY(channel->receive_special != NULL)) {
		int r = channel->receive_special(channel, messages, n_max, timeout_ns);

		if (r > 0)
			seai_channel_note_active(channel);
		return r;
	}
	return seai_receive_any(channel, messages, n_max, timeout_ns);
}

int seai_receive_any(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns)
{
	int64_t deadline_ns = -1, spin_until_ns = 0;

	for (;;) {
		int r;

		seai_channel_update(channel);
		seai_channel_enter(channel);
		r = receive_try(channel, messages, n_max < INT32_MAX ? n_max : INT32_MAX);
		seai_channel_leave(channel);
		if (SEAI_LIKELY(r > 0)) {
			seai_channel_note_active(channel);
			return r;
		}
		/* -EAGAIN: covered by books that are not read yet; soon. Other errors are the caller's to act on. */
		if (r < 0 && r != -EAGAIN)
			return r;
		if (SEAI_UNLIKELY(channel->n_ending))
			seai_channel_drop_ended(channel);
		if (timeout_ns == 0) {
			if (seai_channel_arm_for_poll(channel, SEAI_WAIT_DATA) && r == 0)
				continue;
			/* It will be covered without a ring: who polls looks again. */
			if (r == -EAGAIN && channel->is_fd_given)
				seai_channel_kick(channel);
			return -EAGAIN;
		}
		if (deadline_ns == -1)
			deadline_ns = seai_deadline(timeout_ns);
		r = seai_channel_wait(channel, SEAI_WAIT_DATA, deadline_ns, &spin_until_ns,
		                      r == -EAGAIN ? RECEIVE_RETRY_NS : -1);
		if (r < 0)
			return r;
	}
}

int sea_channel_receive(struct sea_channel *channel, struct sea_message **ret_message, int64_t timeout_ns)
{
	int r = sea_channel_receive_many(channel, ret_message, 1, timeout_ns);

	return r < 0 ? r : 0;
}

int sea_channel_receive_into(struct sea_channel *channel, struct sea_message **message, int64_t timeout_ns)
{
	struct sea_message *received;
	int r = sea_channel_receive(channel, &received, timeout_ns);

	if (r < 0)
		return r;
	sea_message_unref(*message);
	*message = received;
	return 0;
}
