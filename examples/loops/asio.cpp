/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two channels in a loop of asio, beside a timer of its own: one descriptor waits for the poller. With Boost it is the same, by
 * <boost/asio.hpp> and boost::asio.
 */
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <sys/wait.h>
#include <unistd.h>

#include <asio.hpp>

#include <sealane/sealane.h>

static const int n_messages = 1000;

static void check(int r, const char *what)
{
	if (r >= 0)
		return;
	std::fprintf(stderr, "%s: %s\n", what, sea_error_text(r));
	_exit(1);
}

struct receiver {
	asio::io_context context;
	asio::posix::stream_descriptor descriptor{ context };
	asio::steady_timer timer{ context };
	sea_poller *poller = nullptr;
	int n_received = 0, n_ticks = 0;

	void turn()
	{
		sea_poll_event events[2];
		int n = sea_poller_wait(poller, events, 2, 0);

		check(n == -EAGAIN ? 0 : n, "poller");
		/* One of each, then what else there is in the loop has its turn; what is left is reported again. */
		for (int i = 0; i < n; i++) {
			sea_message *message = nullptr;

			if (sea_channel_receive(events[i].channel, &message, 0) == 0)
				n_received++;
			sea_message_unref(message);
		}
	}

	void wait()
	{
		descriptor.async_wait(asio::posix::stream_descriptor::wait_read, [this](const asio::error_code &error) {
			check(error ? -error.value() : 0, "wait");
			turn();
			wait();
		});
	}

	void tick()
	{
		timer.expires_after(std::chrono::milliseconds(1));
		timer.async_wait([this](const asio::error_code &) {
			n_ticks++;
			tick();
		});
	}
};

static void loop(sea_channel *channels[2])
{
	receiver receiver;

	check(sea_poller_new(&receiver.poller), "poller");
	for (int i = 0; i < 2; i++)
		check(sea_poller_set_channel(receiver.poller, channels[i], SEA_POLL_IN, nullptr), "channel");
	receiver.descriptor.assign(sea_poller_fd(receiver.poller));
	receiver.wait();
	receiver.tick();
	while (receiver.n_received < n_messages || receiver.n_ticks == 0)
		receiver.context.run_one();
	/* asio would close it, and it is the poller's. */
	receiver.descriptor.release();
	sea_poller_free(receiver.poller);
	std::printf("%d messages and some ticks of a timer in one loop of asio\n", receiver.n_received);
}

static void send_all(sea_channel *channels[2], sea_heap *heap)
{
	for (int i = 0; i < n_messages; i++) {
		sea_message *message = nullptr;

		check(sea_message_new(&message, heap, 100000, 0, -1), "message");
		check(sea_channel_send(channels[i % 2], &message, -1), "send");
	}
}

int main()
{
	sea_channel *channels[2] = { nullptr, nullptr };
	sea_session *session = nullptr;
	int status = 0;
	pid_t pid = fork();

	check(pid < 0 ? -errno : 0, "fork");
	check(sea_session_open(&session, nullptr), "session");
	for (int i = 0; i < 2; i++) {
		check(sea_channel_new(&channels[i], session, pid ? SEA_PULL : SEA_PUSH, nullptr), "channel");
		check((pid ? sea_channel_bind : sea_channel_connect)(channels[i], i ? "example-b" : "example-a"),
		      "address");
	}
	if (pid)
		loop(channels);
	else
		send_all(channels, sea_session_heap(session));
	for (int i = 0; i < 2; i++) {
		check(sea_channel_flush(channels[i], -1), "flush");
		sea_channel_close(channels[i]);
	}
	sea_session_close(session);
	return pid && (waitpid(pid, &status, 0) != pid || status != 0);
}
