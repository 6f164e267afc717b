/* SPDX-License-Identifier: Apache-2.0 */
/* Two channels in a loop of libuv, beside a timer of its own: one uv_poll_t watches the descriptor of a poller. */
#include <errno.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <uv.h>

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

static void on_tick(uv_timer_t *timer)
{
	(void)timer;
	n_ticks++;
}

static void on_poller(uv_poll_t *watch, int status, int readable)
{
	struct sea_message *message = NULL;
	struct sea_poll_event events[2];
	int n = sea_poller_wait(watch->data, events, 2, 0);

	(void)status, (void)readable;
	check(n == -EAGAIN ? 0 : n, "poller");
	/* One of each, then the loop's other handles have their turn; what is left is reported again. */
	for (int i = 0; i < n; i++)
		if (sea_channel_receive(events[i].channel, &message, 0) == 0)
			message = sea_message_unref(message), n_received++;
}

static void loop(struct sea_channel *channels[2])
{
	struct sea_poller *poller = NULL;
	uv_timer_t timer;
	uv_poll_t watch;
	uv_loop_t loop;

	check(sea_poller_new(&poller), "poller");
	for (int i = 0; i < 2; i++)
		check(sea_poller_set_channel(poller, channels[i], SEA_POLL_IN, NULL), "channel");
	/* Errors of libuv are errnos here. */
	check(uv_loop_init(&loop), "loop");
	check(uv_poll_init(&loop, &watch, sea_poller_fd(poller)), "watch");
	watch.data = poller;
	check(uv_poll_start(&watch, UV_READABLE, on_poller), "watch");
	check(uv_timer_init(&loop, &timer), "timer");
	check(uv_timer_start(&timer, on_tick, 1, 1), "timer");
	while (n_received < N_MESSAGES || n_ticks == 0)
		uv_run(&loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&watch, NULL);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	/* After the watch: the descriptor is the poller's. */
	sea_poller_free(poller);
	printf("%d messages and some ticks of a timer in one loop of libuv\n", n_received);
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
