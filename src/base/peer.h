/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process at the other end of a unix socket.
 *
 * The odd rule: of a socket that was connected to, that is the process that began to listen, also where a child of it has the socket as well
 * and it itself has ended.
 */
#ifndef SEALANE_BASE_PEER_H
#define SEALANE_BASE_PEER_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

/*
 * pidfd of the process at the other end of a connected socket: SO_PEERPIDFD (Linux 6.5), else pidfd_open() of the pid that SO_PEERCRED says. @return
 * -ESRCH it has ended; -ENOTSUP its pid means nothing in this pid namespace; other -errno
 */
static inline int seai_peer_pidfd(int socket_fd)
{
	struct ucred credentials;
	socklen_t n_bytes = sizeof(int);
	int fd = -1;

	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERPIDFD, &fd, &n_bytes) == 0)
		return fd;
	n_bytes = sizeof(credentials);
	if (getsockopt(socket_fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n_bytes) < 0)
		return -errno;
	if (credentials.pid <= 0)
		return -ENOTSUP;
	fd = (int)syscall(SYS_pidfd_open, credentials.pid, 0);
	if (fd < 0)
		return -errno;
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

/* Whether that process has certainly ended; it lives if nothing can be found out. */
static inline bool seai_peer_has_ended(int socket_fd)
{
	struct pollfd pollfd = { .fd = seai_peer_pidfd(socket_fd), .events = POLLIN };
	bool has_ended = pollfd.fd < 0 ? pollfd.fd == -ESRCH : poll(&pollfd, 1, 0) > 0;

	if (pollfd.fd >= 0)
		close(pollfd.fd);
	return has_ended;
}

#endif
