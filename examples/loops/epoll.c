/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sender in a plain epoll loop: it sends while there is room in the queue, and goes on when the poller's descriptor says that there is
 * room again. The loop is never blocked.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#define N_MESSAGES 1000

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static void receive_all(struct sea_channel *channel)
{
	for (int i = 0; i < N_MESSAGES; i++) {
		struct sea_message *message = NULL;

		check(sea_channel_receive(channel, &message, -1), "receive");
		sea_message_unref(message);
	}
}

/* Sends what can be sent now. @return how many */
static int send_some(struct sea_channel *channel, struct sea_heap *heap, int n_left)
{
	int n = 0, r = 0;

	while (n < n_left && r == 0) {
		struct sea_message *message = NULL;

		check(sea_message_new(&message, heap, 100000, 0, -1), "message");
		r = sea_channel_send(channel, &message, 0);
		check(r == -EAGAIN ? 0 : r, "send");
		n += r == 0;
		sea_message_unref(message);
	}
	return n;
}

static void loop(struct sea_channel *channel, struct sea_heap *heap)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC), n_sent = 0, n_turns = 0;
	struct sea_poller *poller = NULL;

	check(sea_poller_new(&poller), "poller");
	check(sea_poller_set_channel(poller, channel, SEA_POLL_OUT, NULL), "channel");
	check(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, sea_poller_fd(poller), &event) < 0 ? -errno : 0, "epoll");
	while (n_sent < N_MESSAGES) {
		struct sea_poll_event found;

		/* First, and whenever its descriptor is readable, the poller is asked; -EAGAIN has it tell of room. */
		while (sea_poller_wait(poller, &found, 1, 0) > 0 && n_sent < N_MESSAGES)
			n_sent += send_some(channel, heap, N_MESSAGES - n_sent);
		if (n_sent < N_MESSAGES)
			check(epoll_wait(epoll_fd, &event, 1, -1) < 0 && errno != EINTR ? -errno : 0, "epoll");
		n_turns++;
	}
	printf("%d messages through a queue of 2 in %s\n", n_sent, n_turns > 1 ? "many turns" : "one turn");
	sea_poller_free(poller), close(epoll_fd);
}

int main(void)
{
	struct sea_channel_options options = { .sndbuf = 1, .rcvbuf = 1 };
	struct sea_session *session = NULL;
	struct sea_channel *channel = NULL;
	int status = 0;
	pid_t pid = fork();

	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, NULL), "session");
	check(sea_channel_new(&channel, session, pid ? SEA_PUSH : SEA_PULL, &options), "channel");
	check((pid ? sea_channel_bind : sea_channel_connect)(channel, "example-epoll"), "address");
	pid ? loop(channel, sea_session_heap(session)) : receive_all(channel);
	check(sea_channel_flush(channel, -1), "flush");
	sea_channel_close(channel);
	sea_session_close(session);
	return pid && (waitpid(pid, &status, 0) != pid || status != 0);
}
