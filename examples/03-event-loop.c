/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event loop: a channel is one more descriptor to poll, here beside standard
 * timers. Level-triggered: when it is readable, receive until -EAGAIN.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#define N_MESSAGES 20

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static void send_some(struct sea_channel *channel, struct sea_heap *heap)
{
	for (int i = 0; i < N_MESSAGES; i++) {
		struct sea_message *message = NULL;

		check(sea_message_new(&message, heap, 1 << 20, 0, -1), "message");
		check(sea_channel_send(channel, &message, -1), "send");
		usleep(5000);
	}
	check(sea_channel_flush(channel, -1), "flush");
}

static void loop(struct sea_channel *channel)
{
	struct itimerspec every_20_ms = { .it_interval.tv_nsec = 20000000, .it_value.tv_nsec = 20000000 };
	struct pollfd fds[2] = { { .fd = sea_channel_fd(channel), .events = POLLIN },
		                 { .fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), .events = POLLIN } };
	unsigned long long ticks, n_ticks = 0;
	int r, n_received = 0;

	check(fds[0].fd, "descriptor");
	check(timerfd_settime(fds[1].fd, 0, &every_20_ms, NULL) < 0 ? -errno : 0, "timer");
	while (n_received < N_MESSAGES) {
		struct sea_message *message = NULL;

		check(poll(fds, 2, -1) < 0 ? -errno : 0, "poll");
		if (fds[1].revents && read(fds[1].fd, &ticks, sizeof(ticks)) == sizeof(ticks))
			n_ticks += ticks;
		while (fds[0].revents && (r = sea_channel_receive(channel, &message, 0)) != -EAGAIN) {
			check(r, "receive");
			message = sea_message_unref(message);
			n_received++;
		}
	}
	printf("%d messages and %s timer ticks through one poll()\n", n_received, n_ticks ? "some" : "no");
	close(fds[1].fd);
}

int main(void)
{
	struct sea_session *session = NULL;
	struct sea_channel *channel = NULL;
	int status = 0;
	pid_t pid = fork();

	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, NULL), "session");
	check(sea_channel_new(&channel, session, pid ? SEA_PUSH : SEA_PULL, NULL), "channel");
	check((pid ? sea_channel_bind : sea_channel_connect)(channel, "example-event-loop"), "address");
	pid ? send_some(channel, sea_session_heap(session)) : loop(channel);
	sea_channel_close(channel);
	sea_session_close(session);
	return pid && (waitpid(pid, &status, 0) != pid || status != 0);
}
