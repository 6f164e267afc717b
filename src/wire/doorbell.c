/* SPDX-License-Identifier: Apache-2.0 */
/* Doorbells by pipes; see doorbell.h. */
#include "wire/doorbell.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/kernel.h"
#include "base/point.h"

/* Some doorbells of this process have no reader but the peer: without it a write is a SIGPIPE. */
static _Atomic bool doorbell_can_break;

int seai_doorbell_new(int *ret_out_fd, int *ret_peer_fd)
{
	int ends[2], out_fd;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* So that members of a session's group can open it again; only who has a descriptor of it can. */
	(void)fchmod(ends[0], 0666);
	/* Opened for both, a pipe always has a reader: no SIGPIPE when the peer is gone. */
	out_fd = seai_fd_reopen(ends[1], O_RDWR);
	if (out_fd == -EMFILE || out_fd == -ENFILE || out_fd == -ENOMEM) {
		seai_close(ends[0]);
		seai_close(ends[1]);
		return out_fd;
	}
	if (out_fd < 0)
		atomic_store_explicit(&doorbell_can_break, true, memory_order_relaxed); /* no /proc */
	else
		ends[1] = seai_close(ends[1]);
	*ret_out_fd = out_fd < 0 ? ends[1] : out_fd;
	*ret_peer_fd = ends[0];
	return 0;
}

int seai_doorbell_accept(int *fd, int *ret_in_fd)
{
	struct stat stat;
	int in_fd;

	if (fstat(*fd, &stat) < 0 || !S_ISFIFO(stat.st_mode))
		return -EBADMSG;
	/* Opened for both, a pipe always has a writer: one that the peer has closed does not look as if it rang for ever. */
	in_fd = seai_fd_reopen(*fd, O_RDWR);
	if (in_fd < 0) {
		if (in_fd == -EMFILE || in_fd == -ENFILE)
			return in_fd;
		/* Without /proc, and for a pipe of another user, the shared description must do, read with RWF_NOWAIT. */
		*ret_in_fd = seai_take_fd(fd);
		return 0;
	}
	*fd = seai_close(*fd);
	*ret_in_fd = in_fd;
	return 0;
}

/* Writes with SIGPIPE blocked, and takes back one that this write has caused. */
static void doorbell_ring_broken(int out_fd)
{
	const struct timespec at_once = { 0 };
	sigset_t broken, before, pending;

	sigemptyset(&broken);
	sigaddset(&broken, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &broken, &before);
	sigpending(&pending);
	if (write(out_fd, "", 1) < 0 && errno == EPIPE && !sigismember(&pending, SIGPIPE))
		while (sigtimedwait(&broken, NULL, &at_once) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void seai_doorbell_ring(int out_fd)
{
	int saved = errno;

	SEAI_POINT("doorbell: before it rings");
	if (SEAI_UNLIKELY(atomic_load_explicit(&doorbell_can_break, memory_order_relaxed)))
		doorbell_ring_broken(out_fd);
	else
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
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			n = read(in_fd, bytes,
			         sizeof(bytes)); /* before 6.4, or refused; our own description is non-blocking */
		if (n < (ssize_t)sizeof(bytes))
			break;
	}
	errno = saved;
}
