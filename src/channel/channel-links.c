/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel's links, and what else the wire wants of a channel: what the service thread made is taken over here, and what has ended let go.
 *
 * The odd rule: the service thread, and whoever else has the control lock, calls what is in the endpoint, and only notes there what happened; the
 * channel's own thread acts on it at its next call.
 */
#include "channel/channel.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "channel/reply.h"
#include "channel/transport.h"

void seai_channel_kick(struct sea_channel *channel)
{
	int saved = errno;

	(void)!write(channel->kick_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	errno = saved;
}

static void channel_note_change(struct seai_endpoint *endpoint, struct seai_link *link)
{
	struct sea_channel *channel = seai_channel_of(endpoint);

	{
		SEAI_LOCKED(&channel->lock, lock);
		if (link->is_finished)
			return;
		if (!link->is_changed) {
			link->is_changed = true;
			link->next_change = channel->changes;
			channel->changes = link;
		}
		/* release: pairs with the acquire in seai_channel_update() */
		atomic_store_explicit(&channel->has_changes, true, memory_order_release);
	}
	seai_channel_kick(channel);
}

static void channel_on_refuse(struct seai_endpoint *endpoint)
{
	seai_channel_kick(seai_channel_of(endpoint));
}

static bool channel_is_quiet(struct seai_endpoint *endpoint)
{
	return atomic_load_explicit(&seai_channel_of(endpoint)->in_call, memory_order_acquire) == 0;
}

static uint64_t channel_n_taken(struct seai_endpoint *endpoint, const struct seai_attached *attached)
{
	return seai_lookup_n_taken(&seai_channel_of(endpoint)->lookup, attached);
}

static void channel_count(struct seai_endpoint *endpoint, struct seai_endpoint_counts *ret_counts)
{
	struct sea_channel *channel = seai_channel_of(endpoint);

	ret_counts->n_sent = atomic_load_explicit(&channel->n_sent, memory_order_relaxed);
	ret_counts->n_received = atomic_load_explicit(&channel->n_received, memory_order_relaxed);
	ret_counts->n_refused = atomic_load_explicit(&channel->n_refused, memory_order_relaxed);
	ret_counts->n_doorbells = atomic_load_explicit(&channel->n_doorbells, memory_order_relaxed);
	ret_counts->n_sleeps = atomic_load_explicit(&channel->n_sleeps, memory_order_relaxed);
	ret_counts->n_missed = atomic_load_explicit(&channel->n_missed, memory_order_relaxed);
	ret_counts->n_peers = channel->transport ? channel->transport->n_peers(channel) : 0;
	SEAI_LOCKED(&channel->session->books, books);
	ret_counts->n_orphans = channel->account->n_orphans;
	ret_counts->n_orphans_waiting = channel->account->n_orphans_waiting;
}

static void channel_on_fork(struct seai_endpoint *endpoint)
{
	struct sea_channel *channel = seai_channel_of(endpoint);

	channel->epoll_fd = seai_close(channel->epoll_fd);
	channel->kick_fd = seai_close(channel->kick_fd);
}

void seai_channel_fill_endpoint(struct sea_channel *channel)
{
	channel->endpoint.on_link = channel_note_change;
	channel->endpoint.on_change = channel_note_change;
	channel->endpoint.on_refuse = channel_on_refuse;
	channel->endpoint.on_idle = channel->keeps_latest ? seai_publish_on_idle : NULL;
	channel->endpoint.is_quiet = channel_is_quiet;
	channel->endpoint.n_taken = channel_n_taken;
	channel->endpoint.count = channel_count;
	channel->endpoint.on_fork = channel_on_fork;
}

/*
 * Adds a doorbell to the channel's descriptor, or changes how it is there. As long as nobody but this library waits on the descriptor, each
 * ring is told once (edge-triggered), and the bell need not be drained before each sleep: see wait.c.
 */
static int channel_watch_bell(struct sea_channel *channel, struct seai_link *link, int operation)
{
	struct epoll_event event = { .events = channel->is_fd_given ? EPOLLIN : EPOLLIN | EPOLLET, .data.ptr = link };

	return epoll_ctl(channel->epoll_fd, operation, link->bell_in_fd, &event) < 0 ? -errno : 0;
}

void seai_channel_watch_again(struct sea_channel *channel)
{
	for (uint32_t i = 0; i < channel->n_links; i++)
		(void)channel_watch_bell(channel, channel->links[i], EPOLL_CTL_MOD);
}

static int channel_list_link(struct sea_channel *channel, struct seai_link *link)
{
	int r;

	if (channel->n_links == channel->n_links_max) {
		uint32_t n_max = channel->n_links_max ? 2 * channel->n_links_max : 8;
		struct seai_link **links = realloc(channel->links, n_max * sizeof(struct seai_link *));

		if (!links)
			return -ENOMEM;
		channel->links = links;
		channel->n_links_max = n_max;
	}
	r = channel_watch_bell(channel, link, EPOLL_CTL_ADD);
	if (r < 0)
		return r;
	channel->links[channel->n_links++] = link;
	link->is_listed = true;
	return 0;
}

static void channel_finish_link(struct sea_channel *channel, struct seai_link *link)
{
	if (channel->turn == link)
		seai_turn_lost(channel);
	if (link->is_listed)
		epoll_ctl(channel->epoll_fd, EPOLL_CTL_DEL, link->bell_in_fd, NULL);
	{
		SEAI_LOCKED(&channel->lock, lock);
		link->is_finished = true;
		for (struct seai_link **at = &channel->changes; *at && link->is_changed; at = &(*at)->next_change)
			if (*at == link) {
				*at = link->next_change;
				link->is_changed = false;
				break;
			}
	}
	seai_link_finish(link);
}

static bool link_is_over(const struct seai_link *link)
{
	/* acquire: what the peer published before it ended is seen after its end is */
	return atomic_load_explicit(&link->state, memory_order_acquire) != SEAI_LINK_OPEN && !seai_link_has_data(link);
}

void seai_channel_drop_ended(struct sea_channel *channel)
{
	channel->n_ending = 0;
	for (uint32_t i = 0; i < channel->n_links;) {
		struct seai_link *link = channel->links[i];

		if (!link_is_over(link)) {
			channel->n_ending += atomic_load_explicit(&link->state, memory_order_relaxed) != SEAI_LINK_OPEN;
			i++;
			continue;
		}
		channel->links[i] = channel->links[--channel->n_links];
		channel_finish_link(channel, link);
	}
}

void seai_channel_update_slowly(struct sea_channel *channel)
{
	for (;;) {
		struct seai_link *link;

		/* One at a time: a link that is off the list may be put on it again at once, and its next_change is another then. */
		{
			SEAI_LOCKED(&channel->lock, lock);
			link = channel->changes;
			if (!link) {
				atomic_store_explicit(&channel->has_changes, false, memory_order_relaxed);
				break;
			}
			channel->changes = link->next_change;
			link->is_changed = false;
		}
		if (!link->is_listed && channel_list_link(channel, link) < 0) {
			seai_log(channel->session, SEA_LOG_ERROR, "no memory or descriptor for a peer; it is let go");
			channel_finish_link(channel, link);
			continue;
		}
		if (channel->endpoint.pattern == SEA_PUB)
			seai_publish_note_topics(channel, link);
	}
	seai_channel_drop_ended(channel);
}
