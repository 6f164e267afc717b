/* SPDX-License-Identifier: Apache-2.0 */
/* Two channels in a main loop of GLib, beside a timer of its own: one source watches the descriptor of a poller. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <glib-unix.h>

#include <sealane/sealane.h>

#define N_MESSAGES 1000

static int n_received, n_ticks;

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

static gboolean on_tick(gpointer userdata)
{
	(void)userdata;
	n_ticks++;
	return G_SOURCE_CONTINUE;
}

static gboolean on_poller(gint fd, GIOCondition readable, gpointer poller)
{
	struct sea_message *message = NULL;
	struct sea_poll_event events[2];
	int n = sea_poller_wait(poller, events, 2, 0);

	(void)fd, (void)readable;
	check(n == -EAGAIN ? 0 : n, "poller");
	/* One of each, then the loop's other sources have their turn; what is left is reported again. */
	for (int i = 0; i < n; i++)
		if (sea_channel_receive(events[i].channel, &message, 0) == 0)
			message = sea_message_unref(message), n_received++;
	return G_SOURCE_CONTINUE;
}

static void loop(struct sea_channel *channels[2])
{
	struct sea_poller *poller = NULL;
	guint watch, timer;

	check(sea_poller_new(&poller), "poller");
	for (int i = 0; i < 2; i++)
		check(sea_poller_set_channel(poller, channels[i], SEA_POLL_IN, NULL), "channel");
	watch = g_unix_fd_add(sea_poller_fd(poller), G_IO_IN, on_poller, poller);
	timer = g_timeout_add(1, on_tick, NULL);
	while (n_received < N_MESSAGES || n_ticks == 0)
		g_main_context_iteration(NULL, TRUE);
	g_source_remove(timer);
	g_source_remove(watch);
	/* After the watch: the descriptor is the poller's. */
	sea_poller_free(poller);
	printf("%d messages and some ticks of a timer in one loop of GLib\n", n_received);
}

static void send_all(struct sea_channel *channels[2], struct sea_heap *heap)
{
	for (int i = 0; i < N_MESSAGES; i++) {
		struct sea_message *message = NULL;

		check(sea_message_new(&message, heap, 100000, 0, -1), "message");
		check(sea_channel_send(channels[i % 2], &message, -1), "send");
	}
}

int main(void)
{
	struct sea_channel *channels[2] = { NULL };
	struct sea_session *session = NULL;
	int status = 0;
	pid_t pid = fork();

	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, NULL), "session");
	for (int i = 0; i < 2; i++) {
		check(sea_channel_new(&channels[i], session, pid ? SEA_PULL : SEA_PUSH, NULL), "channel");
		check((pid ? sea_channel_bind : sea_channel_connect)(channels[i], i ? "example-b" : "example-a"),
		      "address");
	}
	pid ? loop(channels) : send_all(channels, sea_session_heap(session));
	for (int i = 0; i < 2; i++)
		check(sea_channel_flush(channels[i], -1), "flush"), sea_channel_close(channels[i]);
	sea_session_close(session);
	return pid && (waitpid(pid, &status, 0) != pid || status != 0);
}
