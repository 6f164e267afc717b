/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Channels over libzmq: bytes, one frame per part, to any ZeroMQ program. What is sent is not copied: libzmq holds a reference to the
 * message until it lets go. What is received lies where libzmq put it, until it goes on over shared memory.
 *
 * The odd rule: libzmq's own descriptor is edge-triggered in disguise: whatever call on the socket reads it away. So the channel's
 * descriptor is kept readable by its kick as long as there is something.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <sealane/poller.h>

#include "base/clock.h"
#include "base/tsan.h"
#include "channel/transport.h"
#include "channel/zeromq-library.h"
#include "memory/message.h"

/* Parts below this are copied: that is cheaper than a reference that libzmq's thread gives back, for which it needs the books, and frees the block at once. */
#define ZEROMQ_COPY_BELOW_N_BYTES 4096u
#define ZEROMQ_LINGER_DEFAULT_MS 500
/* Longest time that a close waits for libzmq to listen no more. */
#define CLOSE_WAIT_NS SEAI_NS_PER_S
/* Parts of one message from the network. */
#define ZEROMQ_N_PARTS_MAX (1u << 16)

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

static int zeromq_error(int error)
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

static const char *zeromq_address(struct sea_channel *channel)
{
	const struct seai_zeromq *zeromq = channel->zeromq;

	return zeromq->n_bound ? zeromq->bound[zeromq->n_bound - 1] : NULL;
}

/* What has come in, or can go out, after libzmq has looked at its mail. */
static int zeromq_events(const struct seai_zeromq *zeromq)
{
	int events = 0;
	size_t n_bytes = sizeof(events);

	if (zeromq->library->getsockopt(zeromq->socket, ZMQ_EVENTS, &events, &n_bytes) < 0)
		return 0;
	return events;
}

/* After any call on the socket: what it read away is announced again. */
static void zeromq_announce(struct sea_channel *channel)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	int events;

	if (!channel->is_fd_given)
		return;
	events = zeromq_events(zeromq);
	if ((channel->receives && events & ZMQ_POLLIN) || (zeromq->wants_room && events & ZMQ_POLLOUT))
		seai_channel_kick(channel);
}

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
				         zeromq_address(channel) ? zeromq_address(channel) : "zeromq");
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
static unsigned zeromq_look_for_peers(struct sea_channel *channel)
{
	unsigned n_peers;
	int refusal;

	(void)peers_read(channel, &n_peers, &refusal);
	return n_peers;
}

/* On any thread: the channel's may be about to sleep until there is what has been read away here. */
static unsigned zeromq_n_peers(struct sea_channel *channel)
{
	unsigned n_peers;
	int refusal;

	if (peers_read(channel, &n_peers, &refusal))
		seai_channel_kick(channel);
	return n_peers;
}

static int zeromq_wait_peers(struct sea_channel *channel, unsigned n_peers, int64_t timeout_ns)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	int64_t deadline_ns = seai_deadline(timeout_ns);

	for (;;) {
		unsigned n_now;
		int refusal, r;

		/* libzmq opens connections of others while it looks at its mail. */
		(void)zeromq_events(zeromq);
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

/* Waits until one of ZMQ_POLLIN, ZMQ_POLLOUT. 0: look again. */
static int zeromq_wait(struct sea_channel *channel, int events, int64_t deadline_ns)
{
	for (;;) {
		int r;

		if (zeromq_events(channel->zeromq) & events)
			return 0;
		/* Its events only make the channel's descriptor readable. */
		(void)zeromq_look_for_peers(channel);
		r = seai_channel_sleep(channel, deadline_ns);
		if (r < 0)
			return r;
	}
}

/* libzmq, or one of its threads, has sent it. */
static void zeromq_give_back(void *data, void *hint)
{
	struct sea_message *message = hint;
	struct sea_session *session;

	(void)data;
	/* libzmq's queue from the thread that sent to this one. */
	seai_tsan_acquire(hint);
	session = message->session;
	sea_message_unref(message);
	/* release: the session's memory is not touched after it */
	atomic_fetch_sub_explicit(&session->n_lent, 1, memory_order_release);
}

static int zeromq_make_frame(struct seai_zeromq *zeromq, struct sea_message *message, const struct sea_part *part,
                             zmq_msg_t *frame)
{
	const struct seai_zeromq_library *library = zeromq->library;

	if (part->n_bytes < ZEROMQ_COPY_BELOW_N_BYTES) {
		if (library->msg_init_size(frame, part->n_bytes) < 0)
			return -ENOMEM;
		if (part->n_bytes)
			memcpy(library->msg_data(frame), part->data, part->n_bytes);
		return 0;
	}
	atomic_fetch_add_explicit(&message->session->n_lent, 1, memory_order_relaxed);
	seai_tsan_release(message);
	if (library->msg_init_data(frame, (void *)(uintptr_t)part->data, part->n_bytes, zeromq_give_back,
	                           sea_message_ref(message)) < 0) {
		zeromq_give_back(NULL, message);
		return -ENOMEM;
	}
	return 0;
}

/* All parts, or none: once the first is accepted libzmq takes the rest. 0; -EAGAIN. */
static int zeromq_put(struct sea_channel *channel, struct sea_message *message)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	size_t n_parts = sea_message_n_parts(message);

	if (n_parts == 0)
		return -EINVAL;
	message->flags &= (uint16_t)~SEAI_MESSAGE_WRITABLE;
	for (size_t i = 0; i < n_parts; i++) {
		struct sea_part part;
		zmq_msg_t frame;
		int r = sea_message_get_part(message, i, &part);

		/* A table that its producer has spoiled meanwhile: an empty frame stands for the part. */
		if (r < 0 && i == 0)
			return r;
		if (r < 0)
			part = (struct sea_part){ NULL, 0 };
		r = zeromq_make_frame(zeromq, message, &part, &frame);
		if (r < 0)
			return r;
		/* Only the first can find no room. */
		while (zeromq->library->msg_send(&frame, zeromq->socket,
		                                 ZMQ_DONTWAIT | (i + 1 < n_parts ? ZMQ_SNDMORE : 0)) < 0) {
			r = errno;
			if (r == EINTR)
				continue;
			zeromq->library->msg_close(&frame);
			return r == EAGAIN && i > 0 ? -EPIPE : zeromq_error(r);
		}
	}
	return 0;
}

/* A publisher that waits for the slow: what is in the way is put aside for this message. */
static int zeromq_put_anyway(struct sea_channel *channel, struct sea_message *message)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	int r;

	zeromq->library->setsockopt(zeromq->socket, ZMQ_XPUB_NODROP, &(int){ 0 }, sizeof(int));
	r = zeromq_put(channel, message);
	zeromq->library->setsockopt(zeromq->socket, ZMQ_XPUB_NODROP, &(int){ 1 }, sizeof(int));
	if (r == 0)
		seai_count(&channel->n_missed, 1);
	return r;
}

static int zeromq_send(struct sea_channel *channel, struct sea_message **messages, size_t n_messages,
                       int64_t timeout_ns)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	int64_t deadline_ns = -1;
	size_t n = 0;
	int r = 0;

	zeromq->wants_room = false;
	while (n < n_messages) {
		r = zeromq_put(channel, messages[n]);
		if (r == 0) {
			messages[n] = sea_message_unref(messages[n]);
			n++;
			continue;
		}
		/* A send does not look at all its mail. */
		if (r == -EAGAIN && zeromq_events(zeromq) & ZMQ_POLLOUT)
			continue;
		if (r != -EAGAIN || n)
			break;
		if (timeout_ns == 0) {
			zeromq->wants_room = true;
			break;
		}
		if (deadline_ns == -1)
			deadline_ns = seai_deadline(timeout_ns);
		r = zeromq_wait(channel, ZMQ_POLLOUT, deadline_ns);
		if (r == -ETIMEDOUT && channel->slow == SEA_SLOW_WAIT) {
			r = zeromq_put_anyway(channel, messages[n]);
			if (r == 0) {
				messages[n] = sea_message_unref(messages[n]);
				n++;
			}
		}
		if (r < 0)
			break;
	}
	zeromq_announce(channel);
	if (n)
		seai_count(&channel->n_sent, n);
	return n ? (int)n : r;
}

/* A message's frames, from libzmq. */
struct zeromq_local {
	struct seai_local local; /* first, so that one is the other's address */
	const struct seai_zeromq_library *library;
	size_t n_frames, n_frames_max;
	struct sea_part part; /* of the usual message, of one */
	zmq_msg_t frame;
	zmq_msg_t *frames; /* &frame, or an array */
};

static void local_free(struct seai_local *local)
{
	struct zeromq_local *mine = (struct zeromq_local *)(void *)local;

	for (size_t i = 0; i < mine->n_frames; i++)
		mine->library->msg_close(&mine->frames[i]);
	if (mine->frames != &mine->frame)
		free(mine->frames);
	if (mine->local.parts != &mine->part)
		free(mine->local.parts);
	free(mine);
}

/* Room for one frame more; libzmq wants its messages moved, not copied. */
static int local_grow(struct zeromq_local *mine)
{
	size_t n_max = 4 * mine->n_frames_max;
	zmq_msg_t *frames;

	if (mine->n_frames < mine->n_frames_max)
		return 0;
	frames = malloc(n_max * sizeof(*frames));
	if (!frames)
		return -ENOMEM;
	for (size_t i = 0; i < mine->n_frames; i++) {
		mine->library->msg_init(&frames[i]);
		mine->library->msg_move(&frames[i], &mine->frames[i]);
		mine->library->msg_close(&mine->frames[i]);
	}
	if (mine->frames != &mine->frame)
		free(mine->frames);
	mine->frames = frames;
	mine->n_frames_max = n_max;
	return 0;
}

/* Where the parts are, now that the frames do not move any more. */
static int local_finish(struct zeromq_local *mine)
{
	mine->local.parts = &mine->part;
	if (mine->n_frames > 1) {
		mine->local.parts = calloc(mine->n_frames, sizeof(struct sea_part));
		if (!mine->local.parts) {
			mine->local.parts = &mine->part;
			return -ENOMEM;
		}
	}
	for (size_t i = 0; i < mine->n_frames; i++) {
		size_t n_bytes = mine->library->msg_size(&mine->frames[i]);

		mine->local.parts[i] = (struct sea_part){ n_bytes ? mine->library->msg_data(&mine->frames[i]) : NULL,
			                                  n_bytes };
	}
	return 0;
}

static struct zeromq_local *local_new(const struct seai_zeromq_library *library)
{
	struct zeromq_local *mine = malloc(sizeof(*mine));

	if (!mine)
		return NULL;
	mine->local.free = local_free;
	mine->library = library;
	mine->n_frames = 0;
	mine->n_frames_max = 1;
	mine->frames = &mine->frame;
	mine->local.parts = &mine->part;
	return mine;
}

/* The frames that follow the first one. They are there: libzmq delivers all or none. */
static int zeromq_take_rest(struct seai_zeromq *zeromq, struct zeromq_local *mine)
{
	int r = 0;

	while (zeromq->library->msg_more(&mine->frames[mine->n_frames - 1])) {
		if (r == 0)
			r = mine->n_frames == ZEROMQ_N_PARTS_MAX ? -EBADMSG : local_grow(mine);
		if (r < 0) {
			/* Read away, so that the next message is whole. */
			zmq_msg_t frame;
			int more;

			zeromq->library->msg_init(&frame);
			do
				more = zeromq->library->msg_recv(&frame, zeromq->socket, 0) >= 0 &&
				       zeromq->library->msg_more(&frame);
			while (more);
			zeromq->library->msg_close(&frame);
			return r;
		}
		zeromq->library->msg_init(&mine->frames[mine->n_frames]);
		while (zeromq->library->msg_recv(&mine->frames[mine->n_frames], zeromq->socket, 0) < 0)
			if (errno != EINTR) {
				zeromq->library->msg_close(&mine->frames[mine->n_frames]);
				return zeromq_error(errno);
			}
		mine->n_frames++;
	}
	return r;
}

/* 1; 0 nothing there; errors. */
static int zeromq_take(struct sea_channel *channel, struct sea_message **ret_message)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	struct sea_message *message = seai_message_take(channel->session);
	struct zeromq_local *mine = message ? local_new(zeromq->library) : NULL;
	int r = mine ? 0 : -ENOMEM;

	if (r == 0) {
		zeromq->library->msg_init(&mine->frame);
		mine->n_frames = 1;
		do
			r = zeromq->library->msg_recv(&mine->frame, zeromq->socket, ZMQ_DONTWAIT) < 0 ? -errno : 0;
		while (r == -EINTR);
		if (r == 0)
			r = zeromq_take_rest(zeromq, mine);
		else
			r = zeromq_error(-r);
	}
	if (r == 0)
		r = local_finish(mine);
	if (r < 0) {
		if (mine)
			local_free(&mine->local);
		if (message)
			seai_message_put(message);
		return r == -EAGAIN ? 0 : r;
	}
	message->kind = SEAI_MESSAGE_LOCAL;
	message->n_parts = (uint32_t)mine->n_frames;
	message->n_bytes = mine->local.parts[0].n_bytes;
	message->offset = 0;
	message->local = &mine->local;
	*ret_message = message;
	return 1;
}

static int zeromq_receive(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns)
{
	int64_t deadline_ns = -1;
	size_t n = 0;
	int r;

	for (;;) {
		do {
			r = zeromq_take(channel, &messages[n]);
			n += r > 0;
		} while (r > 0 && n < n_max && n < INT32_MAX);
		if (n)
			break;
		if (r == -EBADMSG) {
			seai_count(&channel->n_refused, 1);
			continue;
		}
		if (r < 0)
			break;
		r = -EAGAIN;
		if (timeout_ns == 0)
			break;
		if (deadline_ns == -1)
			deadline_ns = seai_deadline(timeout_ns);
		r = zeromq_wait(channel, ZMQ_POLLIN, deadline_ns);
		if (r < 0)
			break;
	}
	if (channel->is_fd_given && r == -EAGAIN)
		(void)!read(channel->kick_fd, &(uint64_t){ 0 }, sizeof(uint64_t)); /* announced again below */
	zeromq_announce(channel);
	if (n)
		seai_count(&channel->n_received, n);
	return n ? (int)n : r;
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
		return zeromq_error(errno);
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
	zeromq_announce(channel);
	return 0;
}

static int zeromq_connect(struct sea_channel *channel, const char *address)
{
	struct seai_zeromq *zeromq = channel->zeromq;

	if (zeromq->library->connect(zeromq->socket, address) < 0)
		return zeromq_error(errno);
	if (strncmp(address, "inproc://", 9) == 0) {
		pthread_mutex_lock(&zeromq->peers_lock);
		zeromq->n_inproc++;
		pthread_mutex_unlock(&zeromq->peers_lock);
	} else {
		(void)seai_channel_seek_name(channel, address); /* -EINVAL: no address that shared memory could have */
	}
	zeromq_announce(channel);
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
		(void)zeromq_look_for_peers(channel);
	}
	events = zeromq_events(zeromq);
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
		return errno == EINVAL ? -ENOENT : zeromq_error(errno);
	zeromq_announce(channel);
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
		(void)zeromq_look_for_peers(channel);
	}
}

static void zeromq_close(struct sea_channel *channel)
{
	struct seai_zeromq *zeromq = channel->zeromq;

	if (!zeromq)
		return;
	if (zeromq->socket) {
		(void)zeromq_look_for_peers(channel);
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
	return zeromq->library->setsockopt(zeromq->socket, option, &value, sizeof(value)) < 0 ? zeromq_error(errno) : 0;
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
static int zeromq_watch(struct sea_channel *channel, void *socket)
{
	struct epoll_event event = { .events = EPOLLIN };
	size_t n_bytes = sizeof(int);
	int fd = -1;

	if (channel->zeromq->library->getsockopt(socket, ZMQ_FD, &fd, &n_bytes) < 0)
		return zeromq_error(errno);
	return epoll_ctl(channel->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

/* Events about connections come over a pair of sockets. */
static int zeromq_monitor(struct sea_channel *channel, void *context)
{
	struct seai_zeromq *zeromq = channel->zeromq;
	char address[64];

	snprintf(address, sizeof(address), "inproc://sealane-monitor-%p", zeromq->socket);
	if (zeromq->library->socket_monitor(zeromq->socket, address,
	                                    ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
	                                            ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED) < 0)
		return zeromq_error(errno);
	zeromq->monitor = zeromq->library->socket(context, ZMQ_PAIR);
	if (!zeromq->monitor || zeromq->library->connect(zeromq->monitor, address) < 0)
		return zeromq_error(errno);
	return zeromq_watch(channel, zeromq->monitor);
}

static const struct seai_transport zeromq_transport = {
	.close = zeromq_close,
	.bind = zeromq_bind,
	.address = zeromq_address,
	.connect = zeromq_connect,
	.wait_peers = zeromq_wait_peers,
	.fd = zeromq_fd,
	.look = zeromq_look,
	.subscribe = zeromq_subscribe,
	.n_peers = zeromq_n_peers,
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
	r = channel->zeromq->socket ? 0 : zeromq_error(errno);
	if (r == 0)
		r = zeromq_set_options(channel->zeromq, pattern, options);
	if (r == 0)
		r = zeromq_watch(channel, channel->zeromq->socket);
	if (r == 0)
		r = zeromq_monitor(channel, context);
	if (r < 0) {
		zeromq_close(channel);
		return r;
	}
	channel->transport = &zeromq_transport;
	channel->send_special = zeromq_send;
	channel->receive_special = zeromq_receive;
	return 0;
}
