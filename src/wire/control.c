/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the control socket, with descriptors. Never blocks; what finds the socket full is queued in order. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "wire/wire.h"

/* A peer that reads so little is given up: it is hostile, or stopped for so long that it is as good as dead to us. */
#define CONTROL_N_QUEUED_MAX 65536u

int seai_control_try_send(struct seai_conn *conn, struct seai_control *control, const int *fds, unsigned n_fds)
{
	char buffer[CMSG_SPACE(2 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec vector = { control, sizeof(*control) };
	struct msghdr message = { .msg_iov = &vector, .msg_iovlen = 1 };

	control->magic = SEAI_CONTROL_MAGIC;
	control->n_fds = (uint16_t)n_fds;
	if (n_fds) {
		struct cmsghdr *header;

		memset(buffer, 0, sizeof(buffer));
		message.msg_control = buffer;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(header), fds, n_fds * sizeof(int));
	}
	if (sendmsg(conn->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	/* ETOOMANYREFS: too many descriptors are in flight; ENOBUFS, ENOMEM: the kernel has no memory now. All of them pass. */
	if (errno == EAGAIN || errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM || errno == EINTR)
		return -EAGAIN;
	return -EPIPE;
}

void seai_control_send(struct seai_conn *conn, struct seai_control *control, const int *fds, unsigned n_fds)
{
	struct seai_queued *queued;

	if (conn->state == SEAI_CONN_DEAD || conn->is_doomed)
		return;
	if (!conn->queue) {
		int r = seai_control_try_send(conn, control, fds, n_fds);

		if (r == 0)
			return;
		if (r != -EAGAIN) {
			seai_conn_doom(conn, "the peer closed its end");
			return;
		}
	}
	queued = calloc(1, sizeof(*queued));
	if (!queued || conn->n_queued >= CONTROL_N_QUEUED_MAX) {
		free(queued);
		seai_conn_doom(conn, "the peer does not read its control messages");
		return;
	}
	queued->control = *control;
	queued->control.magic = SEAI_CONTROL_MAGIC;
	queued->control.n_fds = (uint16_t)n_fds;
	queued->fds[0] = queued->fds[1] = -1;
	for (unsigned i = 0; i < n_fds; i++) {
		queued->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 3);
		if (queued->fds[i] < 0) {
			seai_close(queued->fds[0]);
			free(queued);
			seai_conn_doom(conn, "no file descriptor is left for a control message");
			return;
		}
	}
	*conn->queue_end = queued;
	conn->queue_end = &queued->next;
	conn->n_queued++;
	seai_conn_flush(conn);
}

void seai_conn_flush(struct seai_conn *conn)
{
	bool wants_write;

	while (conn->queue) {
		struct seai_queued *queued = conn->queue;
		int r = seai_control_try_send(conn, &queued->control, queued->fds, queued->control.n_fds);

		if (r == -EAGAIN)
			break;
		conn->queue = queued->next;
		if (!conn->queue)
			conn->queue_end = &conn->queue;
		conn->n_queued--;
		seai_close(queued->fds[0]);
		seai_close(queued->fds[1]);
		free(queued);
		if (r < 0) {
			seai_conn_doom(conn, "the peer closed its end");
			return;
		}
	}
	wants_write = conn->queue != NULL;
	if (wants_write != conn->wants_write && conn->fd >= 0) {
		struct epoll_event event = { .events = EPOLLIN | (wants_write ? EPOLLOUT : 0), .data.ptr = conn };

		epoll_ctl(conn->wire->epoll_fd, EPOLL_CTL_MOD, conn->fd, &event);
		conn->wants_write = wants_write;
	}
}

/* Takes descriptors out of what came; more than two, or any other control data, are closed. */
static int control_take_fds(struct msghdr *message, int fds[2])
{
	int n = 0;

	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t n_here;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		n_here = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n_here; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (n < 2)
				fds[n] = fd;
			else
				seai_close(fd);
			n++;
		}
	}
	return n;
}

int seai_control_receive(struct seai_conn *conn, struct seai_control *control, int fds[2], bool *ret_is_truncated)
{
	/* Room for more descriptors than we ever expect, so that surplus ones are seen and closed. */
	char buffer[CMSG_SPACE(16 * sizeof(int))] __attribute__((aligned(8)));
	struct iovec vector = { control, sizeof(*control) };
	struct msghdr message = {
		.msg_iov = &vector,
		.msg_iovlen = 1,
		.msg_control = buffer,
		.msg_controllen = sizeof(buffer),
	};
	ssize_t n;
	int n_fds;

	fds[0] = fds[1] = -1;
	n = recvmsg(conn->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : 0;
	n_fds = control_take_fds(&message, fds);
	*ret_is_truncated = message.msg_flags & MSG_CTRUNC;
	/* The end, or an empty message, which nobody honest sends; it may carry descriptors. */
	if (n != (ssize_t)sizeof(*control) || message.msg_flags & MSG_TRUNC || control->magic != SEAI_CONTROL_MAGIC ||
	    control->n_fds > 2 || n_fds > control->n_fds || (n_fds < control->n_fds && !*ret_is_truncated)) {
		fds[0] = seai_close(fds[0]);
		fds[1] = seai_close(fds[1]);
		return n == 0 ? 0 : -EBADMSG;
	}
	return 1;
}
