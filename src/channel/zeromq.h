/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A channel over libzmq inside: what zeromq.c (its life, and the transport's table), zeromq-peers.c, zeromq-send.c and zeromq-receive.c share.
 *
 * The odd rule: libzmq's own descriptor is edge-triggered in disguise: whatever call on the socket reads it away. So the channel's
 * descriptor is kept readable by its kick as long as there is something.
 */
#ifndef SEALANE_CHANNEL_ZEROMQ_H
#define SEALANE_CHANNEL_ZEROMQ_H

#include <errno.h>
#include <pthread.h>

#include "channel/transport.h"
#include "channel/zeromq-library.h"

struct seai_zeromq {
	const struct seai_zeromq_library *library;
	void *socket;
	void *monitor;                   /* the receiving end of its events */
	pthread_mutex_t peers_lock;      /* guards the next three, and the monitor */
	unsigned n_peers, n_connections; /* that have shaken hands; all */
	unsigned n_inproc;               /* connections that have no events */
	int refusal;                     /* why a peer did not come together with this one; 0 */
	bool wants_room;                 /* a send found none, and somebody polls */
	char **bound;                    /* addresses; the last bind's last */
	unsigned n_bound;
	unsigned n_closed; /* listening sockets that are gone */
};

/* zeromq.c */

/* Of the last bind; NULL. */
const char *seai_zeromq_address(struct sea_channel *channel);
/* Adds libzmq's descriptor of a socket to the channel's. */
int seai_zeromq_watch(struct sea_channel *channel, void *socket);

/* zeromq-peers.c */

/* Has libzmq say what becomes of connections. 0; errors. */
int seai_zeromq_monitor(struct sea_channel *channel, void *context);
/* Reads what it has said, on the channel's thread, which looks for itself what follows. */
unsigned seai_zeromq_look_for_peers(struct sea_channel *channel);
/* The same on any thread. */
unsigned seai_zeromq_n_peers(struct sea_channel *channel);
int seai_zeromq_wait_peers(struct sea_channel *channel, unsigned n_peers, int64_t timeout_ns);

/* zeromq-send.c, zeromq-receive.c: as send_special and receive_special of a channel. */

int seai_zeromq_send(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, int64_t timeout_ns);
int seai_zeromq_receive(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns);

/* What libzmq's errors are here. */
static inline int seai_zeromq_error(int error)
{
	switch (error) {
	case EFSM: return -EPROTO;
	case EPROTONOSUPPORT:
	case ENOCOMPATPROTO: return -EINVAL;
	case ETERM: return -ECANCELED;
	case EMTHREAD: return -EMFILE;
	case ENOTSUP: return -ENOTSUP;
	default: return error > 0 && error < ZMQ_HAUSNUMERO ? -error : -EINVAL;
	}
}

/* What has come in, or can go out, after libzmq has looked at its mail. */
static inline int seai_zeromq_events(const struct seai_zeromq *zeromq)
{
	int events = 0;
	size_t n_bytes = sizeof(events);

	if (zeromq->library->getsockopt(zeromq->socket, ZMQ_EVENTS, &events, &n_bytes) < 0)
		return 0;
	return events;
}

/* After any call on the socket: what it read away is announced again. */
static inline void seai_zeromq_announce(struct sea_channel *channel)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	int events;

	if (!channel->is_fd_given)
		return;
	events = seai_zeromq_events(zeromq);
	if ((channel->receives && events & ZMQ_POLLIN) || (zeromq->wants_room && events & ZMQ_POLLOUT))
		seai_channel_kick(channel);
}

/* Waits until one of ZMQ_POLLIN, ZMQ_POLLOUT. 0: look again. */
static inline int seai_zeromq_wait(struct sea_channel *channel, int events, int64_t deadline_ns)
{
	for (;;) {
		int r;

		if (seai_zeromq_events(channel->zeromq) & events)
			return 0;
		/* Its events only make the channel's descriptor readable. */
		(void)seai_zeromq_look_for_peers(channel);
		r = seai_channel_sleep(channel, deadline_ns);
		if (r < 0)
			return r;
	}
}

#endif
