/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for channels: what ends it, and descriptors to poll. */
#include "peers.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>

struct task {
	struct sea_channel *channel;
	struct sea_session *session;
	int64_t timeout_ns;
	int result;
};

static void *receive_task(void *arg)
{
	struct task *task = arg;
	struct sea_message *message = NULL;

	task->result = sea_channel_receive(task->channel, &message, task->timeout_ns);
	sea_message_unref(message);
	return NULL;
}

static void *send_task(void *arg)
{
	struct task *task = arg;
	struct sea_message *message = peers_message(task->session, 1000, 1);

	task->result = sea_channel_send(task->channel, &message, task->timeout_ns);
	sea_message_unref(message);
	return NULL;
}

TEST(blocking, "a call that waits is ended by what it waits for, for data and for room, with and without spinning")
{
	static const int64_t spins[] = { 0, 1, -1, 1000000 };
	struct sea_session *a = peers_open(), *b = peers_open();

	for (size_t i = 0; i < sizeof(spins) / sizeof(spins[0]); i++) {
		struct sea_channel_options options = { .sndbuf = -1, .rcvbuf = -1, .spin_ns = spins[i] };
		struct sea_channel *push, *pull;
		struct task task;
		pthread_t thread;

		CHECK_OK(sea_channel_new(&push, a, SEA_PUSH, &options));
		CHECK_OK(sea_channel_new(&pull, b, SEA_PULL, &options));
		CHECK_OK(sea_channel_bind(pull, "block"));
		CHECK_OK(sea_channel_connect(push, "block"));
		peers_wait(push, 1);
		for (unsigned round = 0; round < 4; round++) {
			struct sea_message *message;
			int64_t timeout_ns = round % 2 ? -1 : PEERS_LONG_NS;

			task = (struct task){ pull, b, timeout_ns, 1 };
			CHECK_EQ(pthread_create(&thread, NULL, receive_task, &task), 0);
			test_sleep_ms(5);
			peers_send(push, peers_message(a, 1000, 1));
			CHECK_EQ(pthread_join(thread, NULL), 0);
			CHECK_OK(task.result);
			/* The queue holds one. */
			peers_send(push, peers_message(a, 1000, 1));
			task = (struct task){ push, a, timeout_ns, 1 };
			CHECK_EQ(pthread_create(&thread, NULL, send_task, &task), 0);
			test_sleep_ms(5);
			sea_message_unref(peers_receive(pull));
			CHECK_EQ(pthread_join(thread, NULL), 0);
			CHECK_OK(task.result);
			CHECK_OK(sea_channel_receive(pull, &message, 0));
			sea_message_unref(message);
		}
		sea_channel_close(push);
		sea_channel_close(pull);
	}
	peers_wait_unused(a);
	sea_session_close(a);
	sea_session_close(b);
}

static void *wait_peers_task(void *arg)
{
	struct task *task = arg;

	task->result = sea_channel_wait_peers(task->channel, 1, task->timeout_ns);
	return NULL;
}

static void *flush_task(void *arg)
{
	struct task *task = arg;

	task->result = sea_channel_flush(task->channel, task->timeout_ns);
	return NULL;
}

TEST(interrupt, "an interruption ends the call that waits, or the next one that would wait, and no other")
{
	static void *(*const tasks[])(void *) = { receive_task, send_task, wait_peers_task, flush_task };
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *full = peers_channel(a, SEA_PUSH, SEA_ORPHANS_DROP, -1),
			   *taker = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, -1);
	struct sea_channel *lone = peers_channel(a, SEA_PAIR, SEA_ORPHANS_DROP, 0);

	CHECK_OK(sea_channel_bind(full, "full"));
	CHECK_OK(sea_channel_connect(taker, "full"));
	peers_wait(full, 1);
	peers_send(full, peers_message(a, 1000, 1));
	for (size_t i = 0; i < sizeof(tasks) / sizeof(tasks[0]); i++)
		for (int before = 0; before < 2; before++) {
			struct task task = { tasks[i] == send_task || tasks[i] == flush_task ? full : lone, a, -1, 1 };
			pthread_t thread;

			if (before)
				sea_channel_interrupt(task.channel);
			CHECK_EQ(pthread_create(&thread, NULL, tasks[i], &task), 0);
			if (!before) {
				test_sleep_ms(10);
				sea_channel_interrupt(task.channel);
			}
			CHECK_EQ(pthread_join(thread, NULL), 0);
			CHECK_EQ(task.result, -ECANCELED);
		}
	sea_message_unref(peers_receive(taker));
	CHECK_OK(sea_channel_flush(full, PEERS_LONG_NS));
	sea_channel_close(full);
	sea_channel_close(taker);
	sea_channel_close(lone);
	sea_session_close(a);
	sea_session_close(b);
}

static void on_signal(int number)
{
	(void)number;
}

TEST(signals, "a signal handler that runs ends a call that waits with -EINTR, and nothing is lost")
{
	struct sigaction action = { .sa_handler = on_signal };
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_bind(a, SEA_PUSH, "s"), *pull = peers_connect(b, SEA_PULL, "s");
	struct task task = { pull, b, -1, 1 };
	pthread_t thread;

	CHECK_SYS(sigaction(SIGUSR1, &action, NULL));
	peers_wait(push, 1);
	peers_wait(pull, 1);
	CHECK_EQ(pthread_create(&thread, NULL, receive_task, &task), 0);
	test_sleep_ms(20);
	CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_EQ(task.result, -EINTR);
	peers_send(push, peers_message(a, 1000, 1));
	sea_message_unref(peers_receive(pull));
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(a);
	sea_session_close(b);
}

static bool is_readable(int fd, int timeout_ms)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };

	return CHECK_SYS(poll(&pollfd, 1, timeout_ms)) > 0;
}

TEST(descriptor,
     "the descriptor is readable when a receive or a refused send may succeed, and stays so until it was tried")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_channel(a, SEA_PUSH, SEA_ORPHANS_DROP, -1),
			   *pull = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, -1);
	struct sea_message *message;
	int in_fd = (int)CHECK_OK(sea_channel_fd(pull)), out_fd = (int)CHECK_OK(sea_channel_fd(push));

	CHECK_EQ(sea_channel_fd(pull), in_fd);
	CHECK_OK(sea_channel_bind(pull, "fd"));
	CHECK_OK(sea_channel_connect(push, "fd"));
	/* A loop that only ever polls and tries gets everything through a queue of one. */
	for (unsigned sent = 0, received = 0; received < 500;) {
		CHECK(is_readable(in_fd, 0) || is_readable(out_fd, 0) || sent < 500);
		while (sent < 500) {
			message = peers_message(a, 100, sent);
			if (sea_channel_send(push, &message, 0) < 0) {
				sea_message_unref(message);
				break;
			}
			sent++;
		}
		if (received < sent) {
			CHECK(is_readable(in_fd, 10000));
			CHECK(is_readable(in_fd, 0));
		}
		while (sea_channel_receive(pull, &message, 0) == 0) {
			CHECK_EQ(sea_message_get_tag(message), received);
			received++;
			sea_message_unref(message);
		}
		if (sent && sent < 500)
			CHECK(is_readable(out_fd, 10000));
		else if (sent < 500)
			test_sleep_ms(1);
	}
	CHECK_ERR(sea_channel_receive(pull, &message, 0), -EAGAIN);
	CHECK(!is_readable(in_fd, 0));
	peers_send(push, peers_message(a, 100, 1));
	CHECK(is_readable(in_fd, 10000));
	sea_message_unref(peers_receive(pull));
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(held, "a channel that is held does not wait, but does what can be done at once, until it is resumed")
{
	struct sea_session *session = peers_open();
	struct sea_channel *push = peers_bind(session, SEA_PUSH, "held"),
			   *pull = peers_connect(session, SEA_PULL, "held");
	struct sea_message *message = peers_message(session, 100, 1);

	peers_wait(push, 1);
	peers_wait(pull, 1);
	sea_channel_hold(pull);
	for (unsigned i = 0; i < 3; i++) {
		struct sea_message *received;

		CHECK_ERR(sea_channel_receive(pull, &received, -1), -ECANCELED);
	}
	CHECK_OK(sea_channel_send(push, &message, 0));
	message = peers_receive(pull);
	sea_channel_interrupt(pull);
	sea_channel_resume(pull);
	sea_message_unref(message);
	CHECK_ERR(sea_channel_receive(pull, &message, PEERS_SHORT_NS), -ETIMEDOUT);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(session);
}

TEST(interrupt_roads, "a receive that waits for ever is interrupted by another thread, on every road")
{
	for (unsigned road = 0; road < peers_n_roads(); road++) {
		struct sea_session *session = peers_open();
		struct sea_channel *pull = peers_bind_on(road, session, SEA_PULL, "i");

		for (unsigned i = 0; i < 5; i++) {
			struct task task = { pull, session, -1, 1 };
			pthread_t thread;

			CHECK_EQ(pthread_create(&thread, NULL, receive_task, &task), 0);
			test_sleep_ms(i * 5);
			sea_channel_interrupt(pull);
			CHECK_EQ(pthread_join(thread, NULL), 0);
			CHECK_EQ(task.result, -ECANCELED);
		}
		sea_channel_close(pull);
		sea_session_close(session);
	}
}
