/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pollers: an epoll set of the channels' own descriptors and of others'.
 *
 * The odd rule: what had something the last time is looked at first, without a system call, and only every so often the kernel is asked
 * about all: a busy channel among many idle ones costs what it would cost alone.
 */
#include <sealane/poller.h>

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/kernel.h"
#include "channel/transport.h"

/* Looks without asking the kernel, in a row. */
#define POLLER_N_LOOKS 16
#define POLLER_N_EVENTS 64

struct poller_entry {
	struct sea_channel *channel; /* NULL: a descriptor */
	int fd;
	uint32_t events;
	void *userdata;
	uint64_t reported; /* number of the wait that reported it last */
	struct poller_entry *next;
};

struct sea_poller {
	int epoll_fd;
	int kick_fd;
	_Atomic bool is_interrupted;
	struct poller_entry *entries;
	uint32_t n_senders; /* channels that are waited for because of room */
	struct poller_entry *recent[POLLER_N_EVENTS];
	unsigned n_recent;
	unsigned n_looks;
	uint64_t n_waits;
};

int sea_poller_new(struct sea_poller **ret_poller)
{
	struct sea_poller *poller = calloc(1, sizeof(*poller));
	struct epoll_event event = { .events = EPOLLIN };
	int r;

	if (!poller)
		return -ENOMEM;
	poller->kick_fd = -1;
	poller->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (poller->epoll_fd >= 0)
		poller->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (poller->kick_fd < 0 || epoll_ctl(poller->epoll_fd, EPOLL_CTL_ADD, poller->kick_fd, &event) < 0) {
		r = -errno;
		sea_poller_free(poller);
		return r;
	}
	*ret_poller = poller;
	return 0;
}

struct sea_poller *sea_poller_free(struct sea_poller *poller)
{
	if (!poller)
		return NULL;
	while (poller->entries) {
		struct poller_entry *next = poller->entries->next;

		free(poller->entries);
		poller->entries = next;
	}
	seai_close(poller->epoll_fd);
	seai_close(poller->kick_fd);
	free(poller);
	return NULL;
}

static struct poller_entry *poller_find(struct sea_poller *poller, const struct sea_channel *channel, int fd)
{
	struct poller_entry *entry = poller->entries;

	while (entry && (entry->channel != channel || (!channel && entry->fd != fd)))
		entry = entry->next;
	return entry;
}

/* What epoll is to be asked of an entry. A channel's descriptor is only ever readable. */
static uint32_t entry_epoll(const struct poller_entry *entry)
{
	if (entry->channel)
		return entry->events ? EPOLLIN : 0;
	return (entry->events & SEA_POLL_IN ? EPOLLIN | EPOLLRDHUP : 0) | (entry->events & SEA_POLL_OUT ? EPOLLOUT : 0);
}

static bool entry_waits_for_room(const struct poller_entry *entry)
{
	return entry->channel && entry->events & SEA_POLL_OUT;
}

static int poller_set(struct sea_poller *poller, struct sea_channel *channel, int fd, uint32_t events, void *userdata)
{
	struct poller_entry *entry = poller_find(poller, channel, fd);
	struct epoll_event event = { 0 };
	bool is_new = !entry;

	if (is_new) {
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		entry->channel = channel;
		entry->fd = fd;
	}
	poller->n_senders -= entry_waits_for_room(entry);
	entry->events = events;
	entry->userdata = userdata;
	event.events = entry_epoll(entry);
	event.data.ptr = entry;
	if (epoll_ctl(poller->epoll_fd, is_new ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event) < 0) {
		int r = -errno;

		if (is_new)
			free(entry);
		return r;
	}
	poller->n_senders += entry_waits_for_room(entry);
	if (is_new) {
		entry->next = poller->entries;
		poller->entries = entry;
	}
	return 0;
}

int sea_poller_set_channel(struct sea_poller *poller, struct sea_channel *channel, uint32_t events, void *userdata)
{
	int fd;

	if (events & ~(SEA_POLL_IN | SEA_POLL_OUT) || (events & SEA_POLL_IN && !channel->receives) ||
	    (events & SEA_POLL_OUT && !channel->sends))
		return -EINVAL;
	fd = sea_channel_fd(channel);
	return fd < 0 ? fd : poller_set(poller, channel, fd, events, userdata);
}

int sea_poller_set_fd(struct sea_poller *poller, int fd, uint32_t events, void *userdata)
{
	if (events & ~(SEA_POLL_IN | SEA_POLL_OUT) || fd < 0)
		return -EINVAL;
	return poller_set(poller, NULL, fd, events, userdata);
}

static int poller_remove(struct sea_poller *poller, const struct sea_channel *channel, int fd)
{
	for (struct poller_entry **at = &poller->entries; *at; at = &(*at)->next) {
		struct poller_entry *entry = *at;

		if (entry->channel != channel || (!channel && entry->fd != fd))
			continue;
		(void)epoll_ctl(poller->epoll_fd, EPOLL_CTL_DEL, entry->fd, NULL);
		poller->n_senders -= entry_waits_for_room(entry);
		poller->n_recent = 0;
		*at = entry->next;
		free(entry);
		return 0;
	}
	return -ENOENT;
}

int sea_poller_remove_channel(struct sea_poller *poller, struct sea_channel *channel)
{
	return channel ? poller_remove(poller, channel, -1) : -ENOENT;
}

int sea_poller_remove_fd(struct sea_poller *poller, int fd)
{
	return poller_remove(poller, NULL, fd);
}

int sea_poller_fd(const struct sea_poller *poller)
{
	return poller->epoll_fd;
}

void sea_poller_interrupt(struct sea_poller *poller)
{
	int saved = errno;

	atomic_store_explicit(&poller->is_interrupted, true, memory_order_seq_cst);
	(void)!write(poller->kick_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
	errno = saved;
}

/* What of the wanted can be done now; must_arm: where nothing can, the channel's descriptor is made to tell. */
static uint32_t channel_look(struct sea_channel *channel, uint32_t events, bool must_arm)
{
	uint32_t found = 0;

	if (channel->transport)
		return channel->transport->look(channel, events, must_arm);
	seai_publish_enter(channel);
	seai_channel_update(channel);
	for (int i = 0; i < 2; i++) {
		/* A publisher never has to wait, and an orphan that waits is something to be sent. */
		if (channel->pattern == SEA_PUB && channel->slow == SEA_SLOW_DROP)
			found |= events & SEA_POLL_OUT;
		for (uint32_t j = 0; j < channel->n_links && found != events; j++) {
			struct seai_link *link = channel->links[j];

			if (events & SEA_POLL_IN && seai_link_has_data(link))
				found |= SEA_POLL_IN;
			if (events & SEA_POLL_OUT && seai_link_can_send(link))
				found |= SEA_POLL_OUT;
		}
		if (found || !must_arm ||
		    !seai_channel_arm_for_poll(channel, (events & SEA_POLL_IN ? SEAI_WAIT_DATA : 0) |
		                                                (events & SEA_POLL_OUT ? SEAI_WAIT_ROOM : 0)))
			break;
		seai_channel_update(channel);
	}
	seai_publish_leave(channel);
	return found;
}

static void poller_report(struct sea_poller *poller, struct poller_entry *entry, uint32_t found,
                          struct sea_poll_event *events, size_t *n)
{
	entry->reported = poller->n_waits;
	events[(*n)++] = (struct sea_poll_event){
		.channel = entry->channel,
		.fd = entry->channel ? -1 : entry->fd,
		.events = found,
		.userdata = entry->userdata,
	};
}

/* Channels that have something as they did before, without a system call. */
static size_t poller_look_at_recent(struct sea_poller *poller, struct sea_poll_event *events, size_t n_max)
{
	size_t n = 0;

	for (unsigned i = 0; i < poller->n_recent && n < n_max; i++) {
		struct poller_entry *entry = poller->recent[i];
		uint32_t found = channel_look(entry->channel, entry->events, false);

		if (found)
			poller_report(poller, entry, found, events, &n);
	}
	return n;
}

/* Channels that may be sent to: their descriptors tell only after there was no room. */
static size_t poller_look_for_room(struct sea_poller *poller, struct sea_poll_event *events, size_t n_max)
{
	size_t n = 0;

	for (struct poller_entry *entry = poller->n_senders ? poller->entries : NULL; entry && n < n_max;
	     entry = entry->next) {
		uint32_t found;

		if (!entry_waits_for_room(entry))
			continue;
		found = channel_look(entry->channel, entry->events, true);
		if (found)
			poller_report(poller, entry, found, events, &n);
	}
	return n;
}

static uint32_t fd_events(uint32_t epoll_events)
{
	return (epoll_events & EPOLLIN ? SEA_POLL_IN : 0) | (epoll_events & EPOLLOUT ? SEA_POLL_OUT : 0) |
	       (epoll_events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP) ? SEA_POLL_ERROR : 0);
}

/* Asks the kernel. Adds to what was found; 0 or an error. */
static int poller_ask(struct sea_poller *poller, struct sea_poll_event *events, size_t n_max, size_t *n,
                      int64_t deadline_ns)
{
	struct epoll_event ready[POLLER_N_EVENTS];
	int n_ready = seai_epoll_wait(poller->epoll_fd, ready, POLLER_N_EVENTS, *n ? 0 : deadline_ns);

	if (n_ready < 0)
		return *n ? 0 : n_ready;
	for (int i = 0; i < n_ready && *n < n_max; i++) {
		struct poller_entry *entry = ready[i].data.ptr;
		uint32_t found;

		if (!entry) {
			(void)!read(poller->kick_fd, &(uint64_t){ 0 }, sizeof(uint64_t));
			continue;
		}
		if (entry->reported == poller->n_waits)
			continue;
		found = entry->channel ? channel_look(entry->channel, entry->events, true) : fd_events(ready[i].events);
		if (!found)
			continue;
		poller_report(poller, entry, found, events, n);
		if (entry->channel && poller->n_recent < POLLER_N_EVENTS)
			poller->recent[poller->n_recent++] = entry;
	}
	return 0;
}

int sea_poller_wait(struct sea_poller *poller, struct sea_poll_event *events, size_t n_max, int64_t timeout_ns)
{
	int64_t deadline_ns = 0;
	size_t n = 0;

	if (n_max == 0)
		return -EINVAL;
	poller->n_waits++;
	if (poller->n_recent && poller->n_looks++ < POLLER_N_LOOKS) {
		n = poller_look_at_recent(poller, events, n_max);
		if (n)
			return (int)n;
	}
	poller->n_looks = 0;
	poller->n_recent = 0;
	if (timeout_ns != 0)
		deadline_ns = seai_deadline(timeout_ns);
	for (;;) {
		int r;

		/* In one step: an interrupt that comes in between would be lost, and acquire: what made the caller interrupt is seen after it. */
		if (atomic_load_explicit(&poller->is_interrupted, memory_order_relaxed) &&
		    atomic_exchange_explicit(&poller->is_interrupted, false, memory_order_seq_cst))
			return -ECANCELED;
		n = poller_look_for_room(poller, events, n_max);
		r = poller_ask(poller, events, n_max, &n, deadline_ns);
		if (n)
			return (int)n;
		if (r < 0)
			return r;
		if (timeout_ns == 0)
			return -EAGAIN;
		if (seai_now_ns() >= deadline_ns)
			return -ETIMEDOUT;
	}
}
