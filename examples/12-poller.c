/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A poller: waits for several channels and for descriptors of others, here a timer, at once. What it costs depends on
 * how many have something, not on how many there are.
 */
#include <errno.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sealane/sealane.h>

#define N_MESSAGES 30 /* per channel */

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static void loop(struct sea_channel *a, struct sea_channel *b)
{
	struct itimerspec every_20_ms = { .it_interval.tv_nsec = 20000000, .it_value.tv_nsec = 20000000 };
	int timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC), n_received = 0, n;
	unsigned long long ticks, n_ticks = 0;
	struct sea_message *message = NULL;
	struct sea_poller *poller = NULL;
	struct sea_poll_event events[3];

	check(timerfd_settime(timer_fd, 0, &every_20_ms, NULL) < 0 ? -errno : 0, "timer");
	check(sea_poller_new(&poller), "poller");
	check(sea_poller_set_fd(poller, timer_fd, SEA_POLL_IN, NULL), "timer");
	check(sea_poller_set_channel(poller, a, SEA_POLL_IN, NULL), "channel");
	check(sea_poller_set_channel(poller, b, SEA_POLL_IN, NULL), "channel");
	while (n_received < 2 * N_MESSAGES || n_ticks < 2) {
		check(n = sea_poller_wait(poller, events, 3, -1), "wait");
		for (int i = 0; i < n; i++)
			if (!events[i].channel)
				n_ticks += read(timer_fd, &ticks, sizeof(ticks)) == sizeof(ticks) ? ticks : 0;
			else if (sea_channel_receive(events[i].channel, &message, 0) == 0)
				/* One of each in turn is fair; what is left is reported again. */
				message = sea_message_unref(message), n_received++;
	}
	printf("%d messages of two channels, and ticks of a timer, by one poller\n", n_received);
	sea_poller_free(poller), close(timer_fd);
}

int main(void)
{
	struct sea_session *session = NULL;
	struct sea_message *message = NULL;
	struct sea_channel *channels[2] = { NULL };
	int status = 0;
	pid_t pid = fork();

	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, NULL), "session");
	for (int i = 0; i < 2; i++) {
		check(sea_channel_new(&channels[i], session, pid ? SEA_PUSH : SEA_PULL, NULL), "channel");
		check((pid ? sea_channel_bind : sea_channel_connect)(channels[i], i ? "example-b" : "example-a"),
		      "address");
	}
	for (int i = 0; pid && i < 2 * N_MESSAGES; i++) {
		check(sea_message_new(&message, sea_session_heap(session), 1 << 20, 0, -1), "message");
		check(sea_channel_send(channels[i % 2], &message, -1), "send");
	}
	if (!pid)
		loop(channels[0], channels[1]);
	for (int i = 0; i < 2; i++)
		check(sea_channel_flush(channels[i], -1), "flush"), sea_channel_close(channels[i]);
	sea_session_close(session);
	return pid && (waitpid(pid, &status, 0) != pid || status != 0);
}
