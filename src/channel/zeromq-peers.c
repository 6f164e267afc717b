/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of a socket of libzmq: its monitor tells of connections, over a pair of sockets.
 *
 * The odd rule: any thread may ask how many there are, so the monitor has a lock, which the socket itself has not.
 */
#include "channel/zeromq.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* One event of the monitor: two frames, a number with a value, and an address. false: there is none. */
static bool monitor_read(struct seai_zeromq *zeromq, uint16_t *ret_event, uint32_t *ret_value)
{
	const struct seai_zeromq_library *library = zeromq->library;
	zmq_msg_t frame;
	bool is_whole = false;

	library->msg_init(&frame);
	if (library->msg_recv(&frame, zeromq->monitor, ZMQ_DONTWAIT) >= 0) {
		if (library->msg_size(&frame) >= sizeof(*ret_event) + sizeof(*ret_value)) {
			memcpy(ret_event, library->msg_data(&frame), sizeof(*ret_event));
			memcpy(ret_value, (char *)library->msg_data(&frame) + sizeof(*ret_event), sizeof(*ret_value));
			is_whole = true;
		}
		while (library->msg_more(&frame))
			if (library->msg_recv(&frame, zeromq->monitor, 0) < 0)
				break;
	}
	library->msg_close(&frame);
	return is_whole;
}

/*
 * libzmq says which connection ended, but not which has shaken hands; so they are counted: one that ends while there are some that have not is
 * taken for one of those, and there are never more that have than there are. It says nothing else about a peer that does not fit.
 */
static void peers_note(struct sea_channel *channel, uint16_t event)
{
	struct seai_zeromq *zeromq = channel->zeromq;

	switch (event) {
	case ZMQ_EVENT_CONNECTED:
	case ZMQ_EVENT_ACCEPTED: zeromq->n_connections++; break;
	case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
		zeromq->refusal = 0;
		zeromq->n_peers++;
		break;
	case ZMQ_EVENT_CLOSED: zeromq->n_closed++; break;
	case ZMQ_EVENT_DISCONNECTED:
		if (zeromq->n_connections > zeromq->n_peers) {
			if (!zeromq->refusal)
				seai_log(channel->session, SEA_LOG_WARNING,
				         "%s: a peer went before it had shaken hands: another pattern, or no ZeroMQ",
				         seai_zeromq_address(channel) ? seai_zeromq_address(channel) : "zeromq");
			zeromq->refusal = -EPROTOTYPE;
		}
		if (zeromq->n_connections)
			zeromq->n_connections--;
		break;
	default: break;
	}
	if (zeromq->n_peers > zeromq->n_connections)
		zeromq->n_peers = zeromq->n_connections;
	/* The next heartbeat tells. */
	seai_channel_note_active(channel);
}

/* Reads what libzmq has said about connections. Returns whether there was something. */
static bool peers_read(struct sea_channel *channel, unsigned *ret_n_peers, int *ret_refusal)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	bool has_read = false;
	uint16_t event;
	uint32_t value;

	pthread_mutex_lock(&zeromq->peers_lock);
	while (zeromq->monitor && monitor_read(zeromq, &event, &value)) {
		peers_note(channel, event);
		has_read = true;
	}
	*ret_n_peers = zeromq->n_peers + zeromq->n_inproc;
	*ret_refusal = zeromq->refusal;
	pthread_mutex_unlock(&zeromq->peers_lock);
	return has_read;
}

/* The same on the channel's thread, which looks for itself what follows. */
unsigned seai_zeromq_look_for_peers(struct sea_channel *channel)
{
	unsigned n_peers;
	int refusal;

	(void)peers_read(channel, &n_peers, &refusal);
	return n_peers;
}

/* On any thread: the channel's may be about to sleep until there is what has been read away here. */
unsigned seai_zeromq_n_peers(struct sea_channel *channel)
{
	unsigned n_peers;
	int refusal;

	if (peers_read(channel, &n_peers, &refusal))
		seai_channel_kick(channel);
	return n_peers;
}

int seai_zeromq_wait_peers(struct sea_channel *channel, unsigned n_peers, int64_t timeout_ns)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	int64_t deadline_ns = seai_deadline(timeout_ns);

	for (;;) {
		unsigned n_now;
		int refusal, r;

		/* libzmq opens connections of others while it looks at its mail. */
		(void)seai_zeromq_events(zeromq);
		(void)peers_read(channel, &n_now, &refusal);
		if (n_now >= n_peers)
			return 0;
		r = atomic_load_explicit(&channel->endpoint.error, memory_order_relaxed);
		if (refusal || r < 0)
			return refusal ? refusal : r;
		if (timeout_ns == 0)
			return -EAGAIN;
		r = seai_channel_sleep(channel, deadline_ns);
		if (r < 0)
			return r;
	}
}

/* Events about connections come over a pair of sockets. */
int seai_zeromq_monitor(struct sea_channel *channel, void *context)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	char address[64];

	snprintf(address, sizeof(address), "inproc://sealane-monitor-%p", zeromq->socket);
	if (zeromq->library->socket_monitor(zeromq->socket, address,
	                                    ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
	                                            ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED) < 0)
		return seai_zeromq_error(errno);
	zeromq->monitor = zeromq->library->socket(context, ZMQ_PAIR);
	if (!zeromq->monitor || zeromq->library->connect(zeromq->monitor, address) < 0)
		return seai_zeromq_error(errno);
	return seai_zeromq_watch(channel, zeromq->monitor);
}
