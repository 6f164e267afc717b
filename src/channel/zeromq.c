/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels over libzmq: bytes, one frame per part, to any ZeroMQ program. Here is their life, and what the transport's table wants of them; see
 * zeromq.h for the rest of it and for its odd rule.
 */
#include "channel/zeromq.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <sealane/poller.h>

#include "base/clock.h"

#define ZEROMQ_LINGER_DEFAULT_MS 500
/* Longest time that a close waits for libzmq to listen no more. */
#define CLOSE_WAIT_NS SEAI_NS_PER_S

const char *seai_zeromq_address(struct sea_channel *channel)
{
	const struct seai_zeromq *zeromq = channel->zeromq;

	return zeromq->n_bound ? zeromq->bound[zeromq->n_bound - 1] : NULL;
}

static int zeromq_bind(struct sea_channel *channel, const char *address)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	char name[SEAI_ADDRESS_N_BYTES], became[256] = "";
	size_t n_bytes = sizeof(became);
	char **bound = realloc(zeromq->bound, (zeromq->n_bound + 1) * sizeof(*bound));
	int r;

	if (!bound)
		return -ENOMEM;
	zeromq->bound = bound;
	if (zeromq->library->bind(zeromq->socket, address) < 0)
		return seai_zeromq_error(errno);
	(void)zeromq->library->getsockopt(zeromq->socket, ZMQ_LAST_ENDPOINT, became, &n_bytes);
	bound[zeromq->n_bound] = strdup(became);
	if (!bound[zeromq->n_bound])
		return -ENOMEM;
	zeromq->n_bound++;
	/* In the session's directory too, so that a peer over shared memory is told instead of waiting for ever. */
	if (seai_directory_name(became, name) == 0) {
		r = seai_channel_take_name(channel, name);
		if (r < 0) {
			(void)zeromq->library->unbind(zeromq->socket, became);
			free(bound[--zeromq->n_bound]);
			return r;
		}
	}
	seai_zeromq_announce(channel);
	return 0;
}

static int zeromq_connect(struct sea_channel *channel, const char *address)
{
	struct seai_zeromq *zeromq = channel->zeromq;

	if (zeromq->library->connect(zeromq->socket, address) < 0)
		return seai_zeromq_error(errno);
	if (strncmp(address, "inproc://", 9) == 0) {
		pthread_mutex_lock(&zeromq->peers_lock);
		zeromq->n_inproc++;
		pthread_mutex_unlock(&zeromq->peers_lock);
	} else {
		(void)seai_channel_seek_name(channel, address); /* -EINVAL: no address that shared memory could have */
	}
	seai_zeromq_announce(channel);
	return 0;
}

static int zeromq_fd(struct sea_channel *channel)
{
	if (!channel->is_fd_given) {
		channel->is_fd_given = true;
		/* What came before is not announced any more: the first look is free. */
		seai_channel_kick(channel);
	}
	return channel->epoll_fd;
}

static uint32_t zeromq_look(struct sea_channel *channel, uint32_t wanted, bool must_arm)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	int events;
	uint32_t found;

	if (must_arm) {
		zeromq->wants_room = wanted & SEA_POLL_OUT;
		(void)!read(channel->kick_fd, &(uint64_t){ 0 }, sizeof(uint64_t));
		(void)seai_zeromq_look_for_peers(channel);
	}
	events = seai_zeromq_events(zeromq);
	found = (events & ZMQ_POLLIN ? SEA_POLL_IN : 0) | (events & ZMQ_POLLOUT ? SEA_POLL_OUT : 0);
	found &= wanted;
	/* This look has read libzmq's own signal away. */
	if (found)
		seai_channel_kick(channel);
	return found;
}

static int zeromq_subscribe(struct sea_channel *channel, const void *prefix, size_t n_bytes, bool is_added)
{
	struct seai_zeromq *zeromq = channel->zeromq;

	if (zeromq->library->setsockopt(zeromq->socket, is_added ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE, prefix, n_bytes) <
	    0)
		return errno == EINVAL ? -ENOENT : seai_zeromq_error(errno);
	seai_zeromq_announce(channel);
	return 0;
}

/*
 * libzmq closes what listens later, by another thread, and that removes the file of ipc:// by its name: also one that the next channel has made
 * meanwhile. So this waits until it is gone. (To unbind before the close would be simpler, and lose what is still to be sent.)
 */
static void zeromq_wait_closed(struct sea_channel *channel)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	int64_t until_ns = seai_now_ns() + CLOSE_WAIT_NS;
	unsigned n_listeners = 0;

	for (unsigned i = 0; i < zeromq->n_bound; i++)
		n_listeners += strncmp(zeromq->bound[i], "inproc://", 9) != 0;
	while (zeromq->n_closed < n_listeners && seai_now_ns() < until_ns) {
		struct pollfd pollfd = { .fd = channel->epoll_fd, .events = POLLIN };

		(void)poll(&pollfd, 1, 1);
		(void)seai_zeromq_look_for_peers(channel);
	}
}

static void zeromq_close(struct sea_channel *channel)
{
	struct seai_zeromq *zeromq = channel->zeromq;

	if (!zeromq)
		return;
	if (zeromq->socket) {
		(void)seai_zeromq_look_for_peers(channel);
		zeromq->n_closed = 0;
		zeromq->library->close(zeromq->socket);
		zeromq->socket = NULL;
	}
	if (zeromq->monitor) {
		zeromq_wait_closed(channel);
		zeromq->library->setsockopt(zeromq->monitor, ZMQ_LINGER, &(int){ 0 }, sizeof(int));
		zeromq->library->close(zeromq->monitor);
	}
	for (unsigned i = 0; i < zeromq->n_bound; i++)
		free(zeromq->bound[i]);
	free(zeromq->bound);
	pthread_mutex_destroy(&zeromq->peers_lock);
	free(zeromq);
	channel->zeromq = NULL;
}

static int zeromq_set(struct seai_zeromq *zeromq, int option, int value)
{
	return zeromq->library->setsockopt(zeromq->socket, option, &value, sizeof(value)) < 0 ? seai_zeromq_error(errno)
	                                                                                      : 0;
}

/* -1 adds nothing, and libzmq's 0 would be no limit at all. */
static int zeromq_buf(int32_t option)
{
	return option == -1 ? 1 : option == 0 ? SEA_CHANNEL_BUF_DEFAULT : option;
}

static int zeromq_set_options(struct seai_zeromq *zeromq, enum sea_pattern pattern,
                              const struct sea_channel_options *options)
{
	int64_t linger_ns = options->linger_ns;
	int linger_ms = linger_ns == 0    ? ZEROMQ_LINGER_DEFAULT_MS
	                : linger_ns == -1 ? -1
	                                  : (int)(linger_ns / SEAI_NS_PER_MS < INT32_MAX ? linger_ns / SEAI_NS_PER_MS
	                                                                                 : INT32_MAX);
	int r = zeromq_set(zeromq, ZMQ_LINGER, linger_ms);

	if (r == 0)
		r = zeromq_set(zeromq, ZMQ_SNDHWM, zeromq_buf(options->sndbuf));
	if (r == 0)
		r = zeromq_set(zeromq, ZMQ_RCVHWM, zeromq_buf(options->rcvbuf));
	if (r == 0 && options->sndkernel_n_bytes)
		r = zeromq_set(zeromq, ZMQ_SNDBUF, options->sndkernel_n_bytes);
	if (r == 0 && options->rcvkernel_n_bytes)
		r = zeromq_set(zeromq, ZMQ_RCVBUF, options->rcvkernel_n_bytes);
	/* A request sent before the answer came gives the earlier one up, as over shared memory. */
	if (r == 0 && pattern == SEA_REQ)
		r = zeromq_set(zeromq, ZMQ_REQ_RELAXED, 1);
	if (r == 0 && pattern == SEA_REQ)
		r = zeromq_set(zeromq, ZMQ_REQ_CORRELATE, 1);
	if (r == 0 && options->slow == SEA_SLOW_WAIT)
		r = zeromq_set(zeromq, ZMQ_XPUB_NODROP, 1);
	return r;
}

/* Adds libzmq's descriptor of a socket to the channel's. */
int seai_zeromq_watch(struct sea_channel *channel, void *socket)
{
	struct epoll_event event = { .events = EPOLLIN };
	size_t n_bytes = sizeof(int);
	int fd = -1;

	if (channel->zeromq->library->getsockopt(socket, ZMQ_FD, &fd, &n_bytes) < 0)
		return seai_zeromq_error(errno);
	return epoll_ctl(channel->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static const struct seai_transport zeromq_transport = {
	.close = zeromq_close,
	.bind = zeromq_bind,
	.address = seai_zeromq_address,
	.connect = zeromq_connect,
	.wait_peers = seai_zeromq_wait_peers,
	.fd = zeromq_fd,
	.look = zeromq_look,
	.subscribe = zeromq_subscribe,
	.n_peers = seai_zeromq_n_peers,
};

int seai_zeromq_open(struct sea_channel *channel, const struct sea_channel_options *options)
{
	static const int types[] = {
		[SEA_PUSH] = ZMQ_PUSH, [SEA_PULL] = ZMQ_PULL,     [SEA_PAIR] = ZMQ_PAIR,    [SEA_REQ] = ZMQ_REQ,
		[SEA_REP] = ZMQ_REP,   [SEA_PUB] = ZMQ_PUB,       [SEA_SUB] = ZMQ_SUB,      [SEA_XPUB] = ZMQ_XPUB,
		[SEA_XSUB] = ZMQ_XSUB, [SEA_DEALER] = ZMQ_DEALER, [SEA_ROUTER] = ZMQ_ROUTER
	};
	const struct seai_zeromq_library *library = seai_zeromq_library();
	enum sea_pattern pattern = channel->pattern;
	void *context;
	int r;

	if (!library) {
		seai_log(channel->session, SEA_LOG_ERROR, "there is no libzmq (libzmq.so.5) on this machine");
		return -ENOTSUP;
	}
	if (options->orphans != SEA_ORPHANS_DROP || options->flags & SEA_CHANNEL_LATEST)
		return -ENOTSUP;
	context = channel->session->zeromq_context;
	if (!context) {
		context = seai_zeromq_context_ref(channel->session->n_zeromq_io_threads);
		if (!context)
			return -EMFILE;
		channel->session->zeromq_context = context;
		channel->session->end_zeromq = seai_zeromq_context_unref;
	}
	channel->zeromq = calloc(1, sizeof(*channel->zeromq));
	if (!channel->zeromq)
		return -ENOMEM;
	channel->zeromq->library = library;
	pthread_mutex_init(&channel->zeromq->peers_lock, NULL);
	channel->zeromq->socket = library->socket(context, types[pattern]);
	r = channel->zeromq->socket ? 0 : seai_zeromq_error(errno);
	if (r == 0)
		r = zeromq_set_options(channel->zeromq, pattern, options);
	if (r == 0)
		r = seai_zeromq_watch(channel, channel->zeromq->socket);
	if (r == 0)
		r = seai_zeromq_monitor(channel, context);
	if (r < 0) {
		zeromq_close(channel);
		return r;
	}
	channel->transport = &zeromq_transport;
	channel->send_special = seai_zeromq_send;
	channel->receive_special = seai_zeromq_receive;
	return 0;
}
