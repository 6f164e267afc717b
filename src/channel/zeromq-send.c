/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to libzmq, one frame per part.
 *
 * The odd rule: what is sent is not copied but where it is small: libzmq holds a reference to the message until it lets go, on a thread of its own.
 */
#include "channel/zeromq.h"

#include <string.h>

#include "base/clock.h"
#include "base/tsan.h"
#include "memory/message.h"

/* Parts below this are copied: that is cheaper than a reference that libzmq's thread gives back, for which it needs the books, and frees the block at once. */
#define ZEROMQ_COPY_BELOW_N_BYTES 4096u

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
			return r == EAGAIN && i > 0 ? -EPIPE : seai_zeromq_error(r);
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

int seai_zeromq_send(struct sea_channel *channel, struct sea_message **messages, size_t n_messages, int64_t timeout_ns)
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
		if (r == -EAGAIN && seai_zeromq_events(zeromq) & ZMQ_POLLOUT)
			continue;
		if (r != -EAGAIN || n)
			break;
		if (timeout_ns == 0) {
			zeromq->wants_room = true;
			break;
		}
		if (deadline_ns == -1)
			deadline_ns = seai_deadline(timeout_ns);
		r = seai_zeromq_wait(channel, ZMQ_POLLOUT, deadline_ns);
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
	seai_zeromq_announce(channel);
	if (n)
		seai_count(&channel->n_sent, n);
	return n ? (int)n : r;
}
