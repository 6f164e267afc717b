/* SPDX-License-Identifier: Apache-2.0 */
/* Doorbells: rung and drained, and what the other end may do to them. */
#include "test.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/doorbell.h"

static bool is_readable(int fd)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return CHECK_SYS(poll(&pollfd, 1, 0)) > 0;
}

static void bell_new(int *ret_out_fd, int *ret_in_fd)
{
	int fd;

	CHECK_OK(seai_doorbell_new(ret_out_fd, &fd));
	CHECK_OK(seai_doorbell_accept(&fd, ret_in_fd));
	CHECK_EQ(fd, -1);
	CHECK(fcntl(*ret_out_fd, F_GETFD) & FD_CLOEXEC);
	CHECK(fcntl(*ret_in_fd, F_GETFD) & FD_CLOEXEC);
}

TEST(ring, "a bell that was rung, once or often, is readable until it is drained")
{
	int out_fd, in_fd;

	bell_new(&out_fd, &in_fd);
	CHECK(!is_readable(in_fd));
	seai_doorbell_drain(in_fd);
	for (unsigned n = 1; n <= 1000; n *= 10) {
		errno = 77;
		for (unsigned i = 0; i < n; i++)
			seai_doorbell_ring(out_fd);
		CHECK(is_readable(in_fd));
		CHECK(is_readable(in_fd));
		seai_doorbell_drain(in_fd);
		CHECK_EQ(errno, 77);
		CHECK(!is_readable(in_fd));
	}
	close(out_fd);
	close(in_fd);
}

TEST(full, "a bell that is rung more often than it holds blocks nobody, and is silent after some drains")
{
	int out_fd, in_fd;
	unsigned n = 0;

	bell_new(&out_fd, &in_fd);
	for (unsigned i = 0; i < 200000; i++)
		seai_doorbell_ring(out_fd);
	while (is_readable(in_fd)) {
		seai_doorbell_drain(in_fd);
		CHECK_LT(n++, 100);
	}
	close(out_fd);
	close(in_fd);
}

TEST(hostile_flags, "a peer that makes its own end blocking makes nobody else block")
{
	int out_fd, in_fd, peer_fd, kept_fd;

	CHECK_OK(seai_doorbell_new(&out_fd, &peer_fd));
	kept_fd = (int)CHECK_SYS(dup(peer_fd));
	CHECK_OK(seai_doorbell_accept(&peer_fd, &in_fd));
	/* As either end sees it, the other's description is its own. */
	CHECK_SYS(fcntl(kept_fd, F_SETFL, 0));
	for (unsigned i = 0; i < 100000; i++)
		seai_doorbell_ring(out_fd);
	while (is_readable(in_fd))
		seai_doorbell_drain(in_fd);
	seai_doorbell_drain(in_fd);
	seai_doorbell_drain(in_fd);
	close(kept_fd);
	close(out_fd);
	close(in_fd);
}

TEST(peer_gone, "ringing at somebody who is gone is no error and no signal")
{
	int out_fd, in_fd;

	bell_new(&out_fd, &in_fd);
	close(in_fd);
	signal(SIGPIPE, SIG_DFL);
	seai_doorbell_ring(out_fd);
	close(out_fd);
	/* Whoever sleeps on a bell whose ringer is gone can go on asking. */
	bell_new(&out_fd, &in_fd);
	seai_doorbell_ring(out_fd);
	close(out_fd);
	seai_doorbell_drain(in_fd);
	seai_doorbell_drain(in_fd);
	close(in_fd);
}

TEST(not_a_bell, "what is not a pipe is refused as a bell, and stays the caller's to close")
{
	int fds[4], ends[2], in_fd = -1;

	fds[0] = (int)CHECK_SYS(eventfd(0, EFD_CLOEXEC));
	fds[1] = (int)CHECK_SYS(open("/dev/null", O_RDWR | O_CLOEXEC));
	CHECK_SYS(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
	fds[2] = ends[0];
	fds[3] = ends[1];
	for (unsigned i = 0; i < 4; i++) {
		int fd = fds[i];

		CHECK_ERR(seai_doorbell_accept(&fd, &in_fd), -EBADMSG);
		CHECK_EQ(fd, fds[i]);
		CHECK_EQ(in_fd, -1);
		close(fd);
	}
}
