/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages from libzmq. What is received lies where libzmq put it, until it goes on over shared memory.
 *
 * The odd rule: libzmq wants its frames moved, not copied, and small ones carry their bytes in themselves; so where the parts are is known only when
 * all frames are there.
 */
#include "channel/zeromq.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "memory/message.h"

/* Parts of one message from the network. */
#define ZEROMQ_N_PARTS_MAX (1u << 16)

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
				return seai_zeromq_error(errno);
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
			r = seai_zeromq_error(-r);
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

int seai_zeromq_receive(struct sea_channel *channel, struct sea_message **messages, size_t n_max, int64_t timeout_ns)
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
		r = seai_zeromq_wait(channel, ZMQ_POLLIN, deadline_ns);
		if (r < 0)
			break;
	}
	if (channel->is_fd_given && r == -EAGAIN)
		(void)!read(channel->kick_fd, &(uint64_t){ 0 }, sizeof(uint64_t)); /* announced again below */
	seai_zeromq_announce(channel);
	if (n)
		seai_count(&channel->n_received, n);
	return n ? (int)n : r;
}
