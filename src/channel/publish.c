/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One message to many: to every receiver that has room, or to every subscriber that wants it. It stays one block, with a hold more for each.
 *
 * The odd rule: of a publisher that keeps its latest message the service thread acts as the channel's thread, for subscribers that
 * come while the program is busy elsewhere; such a channel has a lock, which others never take.
 */
#include "base/clock.h"
#include "channel/send.h"
#include "wire/topics.h"

/* A subscriber that could be given the message but for something that passes (its introduction to an owner) is waited for so long. */
#define PUBLISH_PREPARE_NS (20 * SEAI_NS_PER_MS)

/* What a message is chosen by. */
struct publish_topic {
	const uint8_t *bytes;
	size_t n_bytes;
};

static bool publish_wants(const struct sea_channel *channel, const struct seai_link *link,
                          const struct publish_topic *topic)
{
	return atomic_load_explicit(&link->state, memory_order_relaxed) == SEAI_LINK_OPEN &&
	       (channel->endpoint.pattern != SEA_PUB || seai_topics_match(link->topics, topic->bytes, topic->n_bytes));
}

/* A message that lies in its object and needs no memory that could come back. */
static bool publish_is_inline(const struct sea_channel *channel, const struct sea_message *message)
{
	return message->kind == SEAI_MESSAGE_INLINE && message->n_sources == 0 &&
	       (channel->account->policy == SEA_ORPHANS_DROP || message->n_parts == 0);
}

/* Puts a message into all links that want it and have room, under one lock, and marks those that need the long road. Returns how many got it. */
static int publish_plain(struct sea_channel *channel, struct sea_message *message, const struct publish_topic *topic,
                         unsigned *n_missed)
{
	bool is_inline = publish_is_inline(channel, message);
	SEAI_LOCKED(&channel->session->books, books);
	int n = 0;

	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];
		int r = 0;

		if (!publish_wants(channel, link, topic))
			continue;
		if (!seai_link_has_room(link)) {
			link->n_missed++;
			++*n_missed;
			continue;
		}
		if (is_inline) {
			seai_link_publish(link, message, 0, 0);
		} else if (seai_send_is_plain(channel, link, message)) {
			r = seai_send_plain(channel, link, message, false);
		} else {
			link->needs_long_road = true;
			continue;
		}
		link->has_news = r == 0;
		n += r == 0;
		if (r < 0 && r != -EPIPE) {
			link->n_missed++;
			++*n_missed;
		}
	}
	return n;
}

/* Rings those that got it. After all have, and without the lock: one fence does for all. */
static void publish_ring(struct sea_channel *channel)
{
	bool must_fence = false;

	for (uint32_t i = 0; i < channel->n_links; i++)
		must_fence |= channel->links[i]->has_news && seai_link_asks_for_fence(channel->links[i]);
	if (must_fence)
		atomic_thread_fence(memory_order_seq_cst);
	atomic_signal_fence(memory_order_seq_cst);
	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];

		if (link->has_news) {
			link->has_news = false;
			seai_channel_ring_fenced(channel, link,
			                         atomic_load_explicit(&link->out.position, memory_order_relaxed) - 1);
		}
	}
}

/* The long road, for those that are marked for it. Returns how many got it; *ret_n_left are to be tried again. */
static int publish_slowly(struct sea_channel *channel, struct sea_message **message, unsigned *n_missed,
                          unsigned *ret_n_left)
{
	int n = 0;

	*ret_n_left = 0;
	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];
		int r;

		if (SEAI_LIKELY(!link->needs_long_road))
			continue;
		r = seai_send_slowly(channel, link, message, false);
		if (r == -EAGAIN) {
			++*ret_n_left;
			continue;
		}
		link->needs_long_road = false;
		n += r == 0;
		if (r < 0 && r != -EPIPE) {
			link->n_missed++;
			++*n_missed;
		}
	}
	return n;
}

/* Those that are still marked go without. */
static unsigned publish_give_up(struct sea_channel *channel)
{
	unsigned n = 0;

	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];

		if (link->needs_long_road) {
			link->needs_long_road = false;
			link->n_missed++;
			n++;
		}
	}
	return n;
}

static void publish_consume(struct sea_channel *channel, struct sea_message **message, int n)
{
	(*message)->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
	*message = sea_message_unref(*message);
	seai_count(&channel->n_sent, (uint64_t)n);
}

int sea_channel_send_each(struct sea_channel *channel, struct sea_message **message, unsigned *ret_n_missed)
{
	const struct publish_topic topic = { NULL, 0 };
	unsigned n_missed = 0, n_left;
	int n;

	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (channel->endpoint.pattern != SEA_PUSH && channel->endpoint.pattern != SEA_PAIR)
		return -EINVAL;
	if (channel->transport)
		return -ENOTSUP;
	if (!*message || (*message)->session != channel->session)
		return -EINVAL;
	seai_channel_note_active(channel);
	seai_channel_update(channel);
	n = publish_plain(channel, *message, &topic, &n_missed);
	publish_ring(channel);
	n += publish_slowly(channel, message, &n_missed, &n_left);
	n_missed += publish_give_up(channel);
	if (ret_n_missed)
		*ret_n_missed = n_missed;
	if (n == 0)
		return -EAGAIN;
	publish_consume(channel, message, n);
	return n;
}

/* Whether a subscriber that wants the message has no room; such are marked for the wait. */
static bool publish_is_blocked(struct sea_channel *channel, const struct publish_topic *topic)
{
	bool is_blocked = false;

	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];

		link->is_awaited = publish_wants(channel, link, topic) && !seai_link_has_room(link);
		is_blocked |= link->is_awaited;
	}
	return is_blocked;
}

/* Waits until all have room. 0: they have, or the time is over; -EINTR, -ECANCELED, -EDEADLK. */
static int publish_wait(struct sea_channel *channel, const struct publish_topic *topic, int64_t timeout_ns)
{
	int64_t deadline_ns, spin_until_ns = 0;

	if (timeout_ns == 0 || !publish_is_blocked(channel, topic))
		return 0;
	deadline_ns = seai_deadline(timeout_ns);
	do {
		int r = seai_channel_wait(channel, SEAI_WAIT_AWAITED, deadline_ns, &spin_until_ns, -1);

		if (r == -ETIMEDOUT)
			return 0;
		if (r < 0)
			return r;
		seai_channel_update(channel);
	} while (publish_is_blocked(channel, topic));
	return 0;
}

static int publish(struct sea_channel *channel, struct sea_message **message, int64_t timeout_ns)
{
	const struct publish_topic topic = { sea_message_data(*message), sea_message_size(*message) };
	unsigned n_missed = 0, n_left = 0;
	int64_t deadline_ns = -1, spin_until_ns = 0;
	int r;

	seai_channel_update(channel);
	if (channel->slow == SEA_SLOW_WAIT) {
		r = publish_wait(channel, &topic, timeout_ns);
		if (r < 0)
			return r;
	}
	(void)publish_plain(channel, *message, &topic, &n_missed);
	publish_ring(channel);
	for (;;) {
		(void)publish_slowly(channel, message, &n_missed, &n_left);
		if (SEAI_LIKELY(!n_left) || timeout_ns == 0)
			break;
		if (deadline_ns == -1)
			deadline_ns = seai_deadline(
				timeout_ns > 0 && timeout_ns < PUBLISH_PREPARE_NS ? timeout_ns : PUBLISH_PREPARE_NS);
		/* An interruption does not take back what some have got already. */
		if (seai_channel_wait(channel, 0, deadline_ns, &spin_until_ns, SEAI_SEND_RETRY_NS) < 0)
			break;
		seai_channel_update(channel);
	}
	if (SEAI_UNLIKELY(n_left))
		n_missed += publish_give_up(channel);
	if (n_missed)
		seai_count(&channel->n_missed, n_missed);
	if (channel->keeps_latest) {
		sea_message_unref(channel->latest);
		channel->latest = sea_message_ref(*message);
	}
	publish_consume(channel, message, 1);
	return 0;
}

static void publish_latest(struct sea_channel *channel)
{
	struct publish_topic topic;

	if (!channel->latest)
		return;
	topic = (struct publish_topic){ sea_message_data(channel->latest), sea_message_size(channel->latest) };
	channel->n_late = 0;
	for (uint32_t i = 0; i < channel->n_links; i++) {
		struct seai_link *link = channel->links[i];

		if (!link->is_late)
			continue;
		if (publish_wants(channel, link, &topic) &&
		    (!seai_link_has_room(link) ||
		     seai_send_slowly(channel, link, &channel->latest, false) == -EAGAIN)) {
			channel->n_late++;
			continue;
		}
		link->is_late = false;
	}
}

void seai_publish_note_topics(struct sea_channel *channel, struct seai_link *link)
{
	bool had_it = false;
	struct publish_topic topic = { NULL, 0 };

	if (channel->latest) {
		topic = (struct publish_topic){ sea_message_data(channel->latest), sea_message_size(channel->latest) };
		had_it = publish_wants(channel, link, &topic);
	}
	(void)seai_topics_update(link);
	if (channel->latest && !had_it && publish_wants(channel, link, &topic)) {
		link->is_late = true;
		channel->n_late++;
	}
}

void seai_publish_enter(struct sea_channel *channel)
{
	if (channel->keeps_latest)
		seai_lock_take(&channel->user);
}

void seai_publish_leave(struct sea_channel *channel)
{
	if (!channel->keeps_latest)
		return;
	for (;;) {
		if (channel->n_late)
			publish_latest(channel);
		/* What the service thread found locked is done here. */
		if (!atomic_load_explicit(&channel->has_changes, memory_order_acquire)) {
			seai_lock_release(&channel->user);
			if (SEAI_LIKELY(!atomic_load_explicit(&channel->has_changes, memory_order_seq_cst)) ||
			    !seai_lock_try(&channel->user))
				return;
		}
		seai_channel_update(channel);
	}
}

bool seai_publish_on_idle(struct seai_endpoint *endpoint)
{
	struct sea_channel *channel = seai_channel_of(endpoint);
	bool is_left;

	if (!seai_lock_try(&channel->user))
		return false;
	seai_channel_update(channel);
	if (channel->n_late)
		publish_latest(channel);
	is_left = channel->n_late != 0;
	seai_publish_leave(channel);
	return is_left;
}

int seai_publish_many(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, int64_t timeout_ns)
{
	size_t n = 0;
	int r = 0;

	seai_publish_enter(channel);
	for (; n < n_messages; n++) {
		r = publish(channel, &messages[n], timeout_ns);
		if (r < 0)
			break;
	}
	seai_publish_leave(channel);
	return n ? (int)n : r;
}
