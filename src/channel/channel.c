/* SPDX-License-Identifier: Apache-2.0 */
/* Making, binding, connecting and closing of channels; and what can be asked of one beside its messages. channel-links.c has its links. */
#include "channel/channel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <sealane/meta.h>

#include "base/clock.h"
#include "channel/reply.h"
#include "channel/transport.h"
#include "memory/message.h"
#include "wire/records.h"
#include "wire/topics.h"

#define CHANNEL_SPIN_DEFAULT_NS INT64_C(10000)

static int channel_check_options(enum sea_pattern pattern, const struct sea_channel_options *options)
{
	bool is_publisher = pattern == SEA_PUB;

	if (pattern < SEA_PUSH || pattern > SEA_ROUTER)
		return -EINVAL;
	if (options->transport != SEA_TRANSPORT_ZEROMQ && pattern > SEA_SUB)
		return -ENOTSUP;
	if ((options->transport != SEA_TRANSPORT_MEMFD && options->transport != SEA_TRANSPORT_SHMEM &&
	     options->transport != SEA_TRANSPORT_ZEROMQ) ||
	    (unsigned)options->slow > SEA_SLOW_WAIT || (options->slow && !is_publisher) ||
	    options->flags & ~(uint64_t)SEA_CHANNEL_LATEST || (options->flags && !is_publisher) ||
	    (is_publisher && options->orphans != SEA_ORPHANS_DROP) || options->linger_ns < -1 ||
	    options->sndkernel_n_bytes < 0 || options->rcvkernel_n_bytes < 0 || options->reserved_1)
		return -EINVAL;
	if (options->sndbuf < -1 || options->sndbuf > (int32_t)SEA_CHANNEL_BUF_MAX || options->rcvbuf < -1 ||
	    options->rcvbuf > (int32_t)SEA_CHANNEL_BUF_MAX || options->spin_ns < -1 ||
	    (unsigned)options->orphans > SEA_ORPHANS_RESEND)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return -EINVAL;
	return 0;
}

static uint32_t channel_buf(int32_t option)
{
	return option == -1 ? 0 : option == 0 ? SEA_CHANNEL_BUF_DEFAULT : (uint32_t)option;
}

static void channel_destroy(struct sea_channel *channel)
{
	seai_close(channel->epoll_fd);
	seai_close(channel->kick_fd);
	free(channel->links);
	free(channel->endpoint.names);
	free(channel->endpoint.topics);
	free(channel);
}

int sea_channel_new(struct sea_channel **ret_channel, struct sea_session *session, enum sea_pattern pattern,
                    const struct sea_channel_options *options)
{
	static const struct sea_channel_options no_options;
	struct epoll_event event = { .events = EPOLLIN };
	struct sea_channel *channel;
	int r;

	if (seai_session_is_forked(session))
		return -EPERM;
	if (!options)
		options = &no_options;
	r = channel_check_options(pattern, options);
	if (r < 0)
		return r;
	channel = calloc(1, sizeof(*channel));
	if (!channel)
		return -ENOMEM;
	channel->session = session;
	channel->sends = seai_pattern_sends(pattern);
	channel->receives = seai_pattern_receives(pattern);
	channel->slow = options->slow;
	channel->keeps_latest = options->flags & SEA_CHANNEL_LATEST;
	channel->spin_ns = options->spin_ns == 0    ? CHANNEL_SPIN_DEFAULT_NS
	                   : options->spin_ns == -1 ? SEAI_FOR_EVER
	                   : options->spin_ns == 1  ? 0
	                                            : options->spin_ns;
	channel->pattern = pattern;
	channel->endpoint.pattern = (uint32_t)pattern |
	                            (options->transport == SEA_TRANSPORT_ZEROMQ ? SEAI_PATTERN_ZEROMQ : 0);
	channel->endpoint.n_send = channel_buf(options->sndbuf);
	channel->endpoint.n_receive = channel_buf(options->rcvbuf);
	seai_channel_fill_endpoint(channel);
	channel->kick_fd = -1;
	channel->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (channel->epoll_fd >= 0)
		channel->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (channel->kick_fd < 0 || epoll_ctl(channel->epoll_fd, EPOLL_CTL_ADD, channel->kick_fd, &event) < 0) {
		r = -errno;
		channel_destroy(channel);
		return r;
	}
	if (pattern == SEA_PUB) {
		channel->send_special = seai_publish_many;
	} else if (pattern == SEA_REQ) {
		channel->send_special = seai_req_send;
		channel->receive_special = seai_req_receive;
	} else if (pattern == SEA_REP) {
		channel->send_special = seai_rep_send;
		channel->receive_special = seai_rep_receive;
	}
	r = seai_account_new(&channel->account, options->orphans, channel->kick_fd);
	if (r < 0) {
		channel_destroy(channel);
		return r;
	}
	r = options->transport == SEA_TRANSPORT_ZEROMQ ? seai_zeromq_open(channel, options) : 0;
	if (r < 0) {
		seai_account_close(session, channel->account);
		channel_destroy(channel);
		return r;
	}
	{
		SEAI_LOCKED(&session->wire->control, control);
		seai_endpoint_add(session->wire, &channel->endpoint);
	}
	*ret_channel = channel;
	return 0;
}

struct sea_channel *sea_channel_close(struct sea_channel *channel)
{
	const struct seai_transport *transport;
	struct sea_session *session;
	struct seai_wire *wire;

	if (!channel)
		return NULL;
	session = channel->session;
	wire = session->wire;
	if (seai_session_is_forked(session)) {
		channel_destroy(channel);
		return NULL;
	}
	{
		/* A heartbeat counts its peers no more. */
		SEAI_LOCKED(&wire->control, control);
		transport = SEAI_TAKE(channel->transport);
	}
	if (transport)
		transport->close(channel);
	seai_endpoint_hold_off(wire, &channel->endpoint);
	{
		SEAI_LOCKED(&wire->control, control);
		for (uint32_t i = 0; i < channel->endpoint.n_names; i++)
			seai_directory_unbind(wire, channel->endpoint.names[i]);
		seai_link_free_finished(wire);
		seai_lookup_flush(&channel->lookup);
		seai_endpoint_remove(wire, &channel->endpoint);
	}
	seai_account_close(session, channel->account);
	sea_message_unref(channel->request);
	sea_message_unref(channel->latest);
	seai_wire_poke(wire);
	channel_destroy(channel);
	return NULL;
}

int sea_channel_bind(struct sea_channel *channel, const char *address)
{
	char name[SEAI_ADDRESS_N_BYTES];
	int r;

	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (channel->transport)
		return channel->transport->bind(channel, address);
	r = seai_directory_name(address, name);
	return r < 0 ? r : seai_channel_take_name(channel, name);
}

int seai_channel_take_name(struct sea_channel *channel, const char *name)
{
	struct seai_wire *wire = channel->session->wire;
	char(*names)[SEAI_ADDRESS_N_BYTES];
	int r;
	SEAI_LOCKED(&wire->control, control);

	names = realloc(channel->endpoint.names, (channel->endpoint.n_names + 1) * sizeof(*names));
	if (!names)
		return -ENOMEM;
	channel->endpoint.names = names;
	/* Known before it can be found. */
	strcpy(names[channel->endpoint.n_names++], name);
	r = seai_directory_bind(wire, name);
	if (r < 0)
		channel->endpoint.n_names--;
	return r;
}

int sea_channel_get_address(struct sea_channel *channel, char *address, size_t n_bytes)
{
	const struct seai_endpoint *endpoint = &channel->endpoint;
	const char *last = NULL;
	int n;

	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (channel->transport)
		last = channel->transport->address(channel);
	else if (endpoint->n_names)
		last = endpoint->names[endpoint->n_names - 1] + 2; /* after "c-" */
	if (!last)
		return -ENOENT;
	n = snprintf(address, n_bytes, "%s", last);
	return n < 0 || (size_t)n >= n_bytes ? -E2BIG : n;
}

int sea_channel_connect(struct sea_channel *channel, const char *address)
{
	if (seai_session_is_forked(channel->session))
		return -EPERM;
	return channel->transport ? channel->transport->connect(channel, address)
	                          : seai_channel_seek_name(channel, address);
}

int seai_channel_seek_name(struct sea_channel *channel, const char *address)
{
	struct seai_wire *wire = channel->session->wire;
	struct seai_target *target;
	int r;

	target = calloc(1, sizeof(*target));
	if (!target)
		return -ENOMEM;
	target->endpoint = &channel->endpoint;
	r = seai_directory_name(address, target->name);
	if (r < 0) {
		free(target);
		return r;
	}
	{
		SEAI_LOCKED(&wire->control, control);
		target->next = wire->targets;
		wire->targets = target;
		wire->targets_dirty = true;
	}
	seai_wire_poke(wire);
	return 0;
}

int sea_channel_fd(struct sea_channel *channel)
{
	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (channel->transport)
		return channel->transport->fd(channel);
	seai_publish_enter(channel);
	if (!channel->is_fd_given) {
		channel->is_fd_given = true;
		seai_channel_watch_again(channel);
		/* What came before is not announced any more: the first look is free. */
		seai_channel_kick(channel);
	}
	seai_publish_leave(channel);
	return channel->epoll_fd;
}

static int channel_check_topic(const struct sea_channel *channel, const void *prefix, size_t n_bytes)
{
	if (seai_session_is_forked(channel->session))
		return -EPERM;
	if (channel->pattern != SEA_SUB || (n_bytes && !prefix))
		return -EINVAL;
	return n_bytes > SEA_TOPIC_N_BYTES_MAX ? -E2BIG : 0;
}

int sea_channel_subscribe(struct sea_channel *channel, const void *prefix, size_t n_bytes)
{
	int r = channel_check_topic(channel, prefix, n_bytes);

	if (r < 0)
		return r;
	if (channel->transport)
		return channel->transport->subscribe(channel, prefix, n_bytes, true);
	SEAI_LOCKED(&channel->session->wire->control, control);
	return seai_topics_add(channel->session->wire, &channel->endpoint, prefix, n_bytes);
}

int sea_channel_unsubscribe(struct sea_channel *channel, const void *prefix, size_t n_bytes)
{
	int r = channel_check_topic(channel, prefix, n_bytes);

	if (r < 0)
		return r;
	if (channel->transport)
		return channel->transport->subscribe(channel, prefix, n_bytes, false);
	SEAI_LOCKED(&channel->session->wire->control, control);
	return seai_topics_remove(channel->session->wire, &channel->endpoint, prefix, n_bytes);
}

static int channel_resolve(const struct sea_meta *meta, int64_t timeout_ns, struct sea_resolved *ret_resolved,
                           void *userdata)
{
	return sea_meta_resolve(userdata, meta, timeout_ns, ret_resolved);
}

int sea_channel_resolver(struct sea_channel *channel, struct sea_resolver *ret_resolver)
{
	if (seai_session_is_forked(channel->session))
		return -EPERM;
	*ret_resolver = (struct sea_resolver){ channel_resolve, channel->session };
	return 0;
}

void sea_channel_interrupt(struct sea_channel *channel)
{
	atomic_store_explicit(&channel->is_interrupted, true, memory_order_seq_cst);
	seai_channel_kick(channel);
	seai_note_release(channel->session);
}

void sea_channel_hold(struct sea_channel *channel)
{
	atomic_store_explicit(&channel->is_held, true, memory_order_seq_cst);
	seai_channel_kick(channel);
	seai_note_release(channel->session);
}

void sea_channel_resume(struct sea_channel *channel)
{
	atomic_store_explicit(&channel->is_held, false, memory_order_seq_cst);
	atomic_store_explicit(&channel->is_interrupted, false, memory_order_seq_cst);
}

int sea_channel_get_stats(struct sea_channel *channel, struct sea_channel_stats *ret_stats)
{
	struct sea_session *session = channel->session;
	struct seai_wire *wire = session->wire;
	struct sea_channel_stats stats = { 0 };

	if (seai_session_is_forked(session))
		return -EPERM;
	SEAI_LOCKED(&wire->control, control);
	stats.n_links = channel->transport ? channel->transport->n_peers(channel) : 0;
	stats.n_missed = atomic_load_explicit(&channel->n_missed, memory_order_relaxed);
	stats.n_sent = atomic_load_explicit(&channel->n_sent, memory_order_relaxed);
	stats.n_received = atomic_load_explicit(&channel->n_received, memory_order_relaxed);
	stats.n_refused = atomic_load_explicit(&channel->n_refused, memory_order_relaxed);
	stats.n_doorbells = atomic_load_explicit(&channel->n_doorbells, memory_order_relaxed);
	stats.n_sleeps = atomic_load_explicit(&channel->n_sleeps, memory_order_relaxed);
	for (struct seai_link *link = seai_link_first(wire); link; link = link->next) {
		if (link->endpoint != &channel->endpoint ||
		    atomic_load_explicit(&link->state, memory_order_acquire) != SEAI_LINK_OPEN)
			continue;
		stats.n_links++;
		if (link->out.capacity) {
			uint64_t n = atomic_load_explicit(&link->out.position, memory_order_relaxed) -
			             atomic_load_explicit(&link->theirs->tail, memory_order_relaxed);

			stats.n_queued_out += n <= link->out.capacity ? n : 0;
		}
		if (link->n_slots_theirs)
			stats.n_queued_in += seai_link_head(link) -
			                     atomic_load_explicit(&link->in.position, memory_order_relaxed);
	}
	SEAI_LOCKED(&session->books, books);
	stats.n_orphans = channel->account->n_orphans;
	stats.n_orphans_waiting = channel->account->n_orphans_waiting;
	*ret_stats = stats;
	return 0;
}
