/* SPDX-License-Identifier: Apache-2.0 */
/* What came back: taking it, and waiting until all that was sent has been released. */
#include <errno.h>

#include "base/clock.h"
#include "channel/channel.h"
#include "memory/message.h"

int sea_channel_take_orphan(struct sea_channel *channel, struct sea_message **ret_message)
{
	struct sea_session *session = channel->session;
	struct sea_message *message;

	if (seai_session_is_forked(session))
		return -EPERM;
	{
		SEAI_LOCKED(&session->books, books);
		message = seai_account_take_orphan(channel->account);
	}
	if (!message) {
		(void)seai_channel_arm_for_poll(channel, 0);
		return -EAGAIN;
	}
	*ret_message = message;
	return 0;
}

/* Whether something sent stands in a queue; notes how far each was read, to wait for more. */
static bool flush_has_queued(struct sea_channel *channel)
{
	bool has_queued = false;

	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];
		uint64_t position = atomic_load_explicit(&link->out.position, memory_order_relaxed), tail;

		if (!link->out.capacity || atomic_load_explicit(&link->state, memory_order_relaxed) != SEAI_LINK_OPEN)
			continue;
		tail = atomic_load_explicit(&link->out.theirs->tail, memory_order_acquire);
		if (tail - link->out.tail_cached <= position - link->out.tail_cached)
			link->out.tail_cached = tail;
		has_queued |= link->out.tail_cached != position;
	}
	return has_queued;
}

static int flush_wait(struct sea_channel *channel, int64_t timeout_ns)
{
	struct sea_session *session = channel->session;
	int64_t deadline_ns = seai_deadline(timeout_ns), spin_until_ns = 0;

	for (;;) {
		bool has_orphans, is_released;
		uint32_t epoch;
		int r;

		if (seai_channel_take_interrupt(channel) < 0)
			return -ECANCELED;
		seai_channel_update(channel);
		{
			SEAI_LOCKED(&session->books, books);
			session->hooks->drain(session);
			has_orphans = channel->account->n_orphans_waiting > 0;
			is_released = !has_orphans && channel->account->n_outstanding == 0;
			epoch = atomic_load_explicit(&session->memory_epoch, memory_order_relaxed);
		}
		if (is_released) {
			/* Messages that travel in a descriptor leave no trace in the books. */
			if (!flush_has_queued(channel))
				return 0;
			if (timeout_ns == 0)
				return -EAGAIN;
			r = seai_channel_wait(channel, SEAI_WAIT_TAKEN, deadline_ns, &spin_until_ns, -1);
			if (r < 0)
				return r;
			continue;
		}
		if (has_orphans && channel->account->policy == SEA_ORPHANS_KEEP)
			return -EPIPE;
		if (has_orphans) {
			r = seai_channel_send_orphans(channel, timeout_ns == 0 ? 0 : deadline_ns);
			if (r < 0)
				return r;
			continue;
		}
		if (timeout_ns == 0)
			return -EAGAIN;
		{
			SEAI_LOCKED(&session->books, books);
			session->hooks->arm(session);
			if (session->hooks->drain(session))
				continue;
		}
		r = seai_wait_for_release(session, epoch, deadline_ns);
		if (r < 0)
			return r;
	}
}

int sea_channel_flush(struct sea_channel *channel, int64_t timeout_ns)
{
	int r;

	if (seai_session_is_forked(channel->session))
		return -EPERM;
	seai_waiting_begin(channel->session);
	r = flush_wait(channel, timeout_ns);
	seai_waiting_end(channel->session);
	return r;
}
