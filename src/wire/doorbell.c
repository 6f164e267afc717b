/* SPDX-License-Identifier: Apache-2.0 */
/* Doorbells by pipes; see doorbell.h. */
#include "wire/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/point.h"

int seai_doorbell_new(int *ret_out_fd, int *ret_peer_fd)
{
	int ends[2], out_fd;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* Opened for both, a pipe always has a reader: no SIGPIPE when the peer is gone. */
	out_fd = seai_fd_reopen(ends[1], O_RDWR);
	if (out_fd < 0) {
		seai_close(ends[0]);
		seai_close(ends[1]);
		return out_fd;
	}
	seai_close(ends[1]);
	*ret_out_fd = out_fd;
	*ret_peer_fd = ends[0];
	return 0;
}

int seai_doorbell_accept(int *fd, int *ret_in_fd)
{
	struct stat stat;
	int in_fd;

	if (fstat(*fd, &stat) < 0 || !S_ISFIFO(stat.st_mode))
		return -EBADMSG;
	in_fd = seai_fd_reopen(*fd, O_RDONLY);
	if (in_fd < 0) {
		/* Without /proc the shared description must do, read with RWF_NOWAIT. */
		if (in_fd == -EMFILE || in_fd == -ENFILE)
			return in_fd;
		*ret_in_fd = seai_take_fd(fd);
		return 0;
	}
	*fd = seai_close(*fd);
	*ret_in_fd = in_fd;
	return 0;
}

void seai_doorbell_ring(int out_fd)
{
	int saved = errno;

	SEAI_POINT("doorbell: before it rings");
	(void)!write(out_fd, "", 1);
	errno = saved;
}

void seai_doorbell_drain(int in_fd)
{
	char bytes[256];
	struct iovec vector = { bytes, sizeof(bytes) };
	ssize_t n;
	int saved = errno;

	SEAI_POINT("doorbell: before it is drained");
	/* A hostile peer may ring faster than we read: bounded, the rest is drained next time. */
	for (int i = 0; i < 16; i++) {
		n = preadv2(in_fd, &vector, 1, -1, RWF_NOWAIT);
		if (n < 0 && (errno == EOPNOTSUPP || errno == ENOSYS))
			n = read(in_fd, bytes, sizeof(bytes)); /* before 6.4; our own description is non-blocking */
		if (n < (ssize_t)sizeof(bytes))
			break;
	}
	errno = saved;
}
