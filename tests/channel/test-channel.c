/* SPDX-License-Identifier: Apache-2.0 */
/* The channel calls: addresses, patterns, peers, waiting, and who owns a message when. */
#include "peers.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

TEST(arguments, "what a channel cannot be or do is refused")
{
	struct sea_session *session = peers_open();
	struct sea_channel *push, *pull, *pair, *other = NULL;
	struct sea_message *message = peers_message(session, 100, 1), *same = message, *none = NULL;
	struct sea_channel_options options = { 0 };
	static const char *const bad[] = { "",           "memfd://",     "tcp://localhost", "tcp://localhost:0",
		                           "tcp://x:1y", "tcp://:65536", "memfd://tcp://x", "a\nb",
		                           "\x7f" };
	char longest[300];

	CHECK_ERR(sea_channel_new(&other, session, (enum sea_pattern)0, NULL), -EINVAL);
	CHECK_ERR(sea_channel_new(&other, session, (enum sea_pattern)99, NULL), -EINVAL);
	options.sndbuf = -2;
	CHECK_ERR(sea_channel_new(&other, session, SEA_PUSH, &options), -EINVAL);
	options = (struct sea_channel_options){ .rcvbuf = (int32_t)SEA_CHANNEL_BUF_MAX + 1 };
	CHECK_ERR(sea_channel_new(&other, session, SEA_PUSH, &options), -EINVAL);
	options = (struct sea_channel_options){ .spin_ns = -2 };
	CHECK_ERR(sea_channel_new(&other, session, SEA_PUSH, &options), -EINVAL);
	options = (struct sea_channel_options){ .orphans = (enum sea_orphans)3 };
	CHECK_ERR(sea_channel_new(&other, session, SEA_PUSH, &options), -EINVAL);
	options = (struct sea_channel_options){ .reserved_1 = 1 };
	CHECK_ERR(sea_channel_new(&other, session, SEA_PUSH, &options), -EINVAL);
	options = (struct sea_channel_options){ .reserved = { [3] = 1 } };
	CHECK_ERR(sea_channel_new(&other, session, SEA_PUSH, &options), -EINVAL);
	CHECK(!other);
	push = peers_channel(session, SEA_PUSH, SEA_ORPHANS_DROP, 0);
	pull = peers_channel(session, SEA_PULL, SEA_ORPHANS_DROP, 0);
	pair = peers_channel(session, SEA_PAIR, SEA_ORPHANS_DROP, 0);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	CHECK_ERR(sea_channel_bind(pull, longest), -EINVAL);
	CHECK_ERR(sea_channel_connect(push, longest), -EINVAL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERR(sea_channel_bind(pull, bad[i]), -EINVAL);
		CHECK_ERR(sea_channel_connect(push, bad[i]), -EINVAL);
	}
	CHECK_ERR(sea_channel_send(pull, &message, 0), -EINVAL);
	CHECK_ERR(sea_channel_send_many(pull, &message, 1, 0), -EINVAL);
	CHECK_ERR(sea_channel_send_each(pull, &message, NULL), -EINVAL);
	CHECK_ERR(sea_channel_send(push, &none, 0), -EINVAL);
	CHECK_ERR(sea_channel_send_each(push, &none, NULL), -EINVAL);
	CHECK_ERR(sea_channel_send_many(push, &message, 0, 0), -EINVAL);
	CHECK_ERR(sea_channel_receive(push, &none, 0), -EINVAL);
	CHECK_ERR(sea_channel_receive_many(push, &none, 1, 0), -EINVAL);
	CHECK_ERR(sea_channel_receive_many(pull, &none, 0, 0), -EINVAL);
	CHECK_ERR(sea_channel_take_orphan(push, &none), -EAGAIN);
	CHECK(!none);
	CHECK(message == same);
	/* Nobody is there. */
	CHECK_ERR(sea_channel_send(push, &message, 0), -EAGAIN);
	CHECK_ERR(sea_channel_send(push, &message, 1), -ETIMEDOUT);
	CHECK_ERR(sea_channel_send(pair, &message, PEERS_SHORT_NS), -ETIMEDOUT);
	CHECK_ERR(sea_channel_send_each(push, &message, NULL), -EAGAIN);
	CHECK_ERR(sea_channel_receive(pull, &none, 0), -EAGAIN);
	CHECK_ERR(sea_channel_receive(pull, &none, 1), -ETIMEDOUT);
	CHECK_ERR(sea_channel_receive(pair, &none, PEERS_SHORT_NS), -ETIMEDOUT);
	CHECK_ERR(sea_channel_wait_peers(push, 1, 0), -EAGAIN);
	CHECK_ERR(sea_channel_wait_peers(push, 1, 1), -ETIMEDOUT);
	CHECK_OK(sea_channel_wait_peers(push, 0, 0));
	CHECK_OK(sea_channel_flush(push, 0));
	CHECK(message == same);
	CHECK(sea_message_write(message));
	sea_message_unref(message);
	CHECK(!sea_channel_close(push));
	CHECK(!sea_channel_close(pull));
	CHECK(!sea_channel_close(pair));
	CHECK(!sea_channel_close(NULL));
	sea_session_close(session);
}

TEST(foreign_session, "a message of another session is refused and stays the caller's")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *pull = peers_bind(a, SEA_PULL, "x"), *push = peers_connect(a, SEA_PUSH, "x");
	struct sea_message *messages[2] = { peers_message(a, 100, 1), peers_message(b, 100, 2) };

	peers_wait(push, 1);
	CHECK_ERR(sea_channel_send(push, &messages[1], 0), -EINVAL);
	CHECK_ERR(sea_channel_send_many(push, messages, 2, 0), -EINVAL);
	CHECK_ERR(sea_channel_send_each(push, &messages[1], NULL), -EINVAL);
	CHECK(messages[0] && messages[1]);
	sea_message_unref_many(messages, 2);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(a);
	sea_session_close(b);
}

static void count_lines(enum sea_log_level level, const char *line, void *userdata)
{
	if (level == SEA_LOG_WARNING && strstr(line, "session"))
		++*(_Atomic unsigned *)userdata;
}

TEST(elsewhere, "an address that only another session has is told on both sides, and is still waited for")
{
	_Atomic unsigned n_here = 0, n_there = 0;
	struct sea_session_options here_options = { .name = "here",
		                                    .log = count_lines,
		                                    .log_userdata = (void *)&n_here };
	struct sea_session_options there_options = { .name = "there",
		                                     .log = count_lines,
		                                     .log_userdata = (void *)&n_there };
	struct sea_session *here, *there;
	struct sea_channel *pull, *push, *late;

	CHECK_OK(sea_session_open(&here, &here_options));
	CHECK_OK(sea_session_open(&there, &there_options));
	pull = peers_bind(there, SEA_PULL, "x");
	push = peers_connect(here, SEA_PUSH, "x");
	CHECK_EVENTUALLY(n_here >= 2 && n_there >= 1);
	CHECK_ERR(sea_channel_wait_peers(push, 1, 0), -EAGAIN);
	late = peers_bind(here, SEA_PULL, "x");
	peers_wait(push, 1);
	CHECK_ERR(sea_channel_wait_peers(pull, 1, 0), -EAGAIN);
	sea_channel_close(late);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(here);
	sea_session_close(there);
}

TEST(self, "a process can send to itself")
{
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_bind(session, SEA_PULL, "self"),
			   *push = peers_connect(session, SEA_PUSH, "self");
	struct sea_message *message;

	for (unsigned i = 0; i < 100; i++) {
		peers_send(push, peers_message(session, 10000 * (i % 2), i));
		message = peers_receive(pull);
		peers_check_part(message, 0, 10000 * (i % 2), i);
		sea_message_unref(message);
	}
	CHECK_OK(sea_channel_flush(push, PEERS_LONG_NS));
	peers_wait_unused(session);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(session);
}

TEST(addresses, "an address is the same in all its forms, is taken by one, and is free after its channel's end")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *first = peers_bind(a, SEA_PULL, "readout"), *second, *push;

	second = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, 0);
	CHECK_ERR(sea_channel_bind(second, "readout"), -EADDRINUSE);
	CHECK_ERR(sea_channel_bind(second, "memfd://readout"), -EADDRINUSE);
	CHECK_ERR(sea_channel_bind(second, "ipc://readout"), -EADDRINUSE);
	CHECK_OK(sea_channel_bind(second, "other"));
	push = peers_connect(b, SEA_PUSH, "ipc://readout");
	peers_wait(push, 1);
	sea_channel_close(first);
	/* What is sent before that is noticed is for the first. */
	CHECK_EVENTUALLY(sea_channel_wait_peers(push, 1, 0) == -EAGAIN);
	CHECK_OK(sea_channel_bind(second, "readout"));
	/* The channel that connected to the first finds the second, which has both names. */
	peers_wait(push, 1);
	peers_send(push, peers_message(b, 100, 3));
	sea_message_unref(peers_receive(second));
	sea_channel_close(push);
	push = peers_connect(a, SEA_PUSH, "memfd://other");
	peers_wait(push, 1);
	sea_channel_close(push);
	/* Names that a directory could not hold as they are: a path, a dot, a space. */
	CHECK_OK(sea_channel_bind(second, "/tmp/x"));
	CHECK_OK(sea_channel_bind(second, ".."));
	CHECK_OK(sea_channel_bind(second, "a b"));
	CHECK_OK(sea_channel_bind(second, "@abstract"));
	push = peers_connect(a, SEA_PUSH, "ipc:///tmp/x");
	peers_wait(push, 1);
	sea_channel_close(push);
	sea_channel_close(second);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(first, "either side may come first")
{
	struct sea_session *a = peers_open(), *b = peers_open();

	for (int order = 0; order < 2; order++) {
		struct sea_channel *push, *pull;

		if (order == 0) {
			push = peers_connect(a, SEA_PUSH, "either");
			test_sleep_ms(10);
			pull = peers_bind(b, SEA_PULL, "either");
		} else {
			push = peers_bind(a, SEA_PUSH, "either");
			test_sleep_ms(10);
			pull = peers_connect(b, SEA_PULL, "either");
		}
		peers_send(push, peers_message(a, 5000, 1));
		sea_message_unref(peers_receive(pull));
		CHECK_EQ(peers_channel_stats(push).n_links, 1);
		CHECK_EQ(peers_channel_stats(pull).n_links, 1);
		sea_channel_close(pull);
		sea_channel_close(push);
	}
	/* Also where the whole other process comes later. */
	{
		struct sea_channel *push = peers_connect(a, SEA_PUSH, "later"), *pull;
		struct sea_session *c;

		test_sleep_ms(10);
		c = peers_open();
		pull = peers_bind(c, SEA_PULL, "later");
		peers_send(push, peers_message(a, 5000, 1));
		sea_message_unref(peers_receive(pull));
		sea_channel_close(pull);
		sea_session_close(c);
		sea_channel_close(push);
	}
	sea_session_close(a);
	sea_session_close(b);
}

TEST(mismatch, "channels whose patterns do not fit do not come together")
{
	static const enum sea_pattern pairs[][2] = {
		{ SEA_PUSH, SEA_PUSH }, { SEA_PULL, SEA_PULL }, { SEA_PAIR, SEA_PULL }, { SEA_PUSH, SEA_PAIR }
	};
	struct sea_session *a = peers_open(), *b = peers_open();

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct sea_channel *x = peers_bind(a, pairs[i][0], "mismatch"),
				   *y = peers_connect(b, pairs[i][1], "mismatch");

		CHECK_ERR(sea_channel_wait_peers(x, 1, PEERS_SHORT_NS), -ETIMEDOUT);
		CHECK_ERR(sea_channel_wait_peers(y, 1, PEERS_LONG_NS), -EPROTOTYPE);
		CHECK_EQ(peers_channel_stats(x).n_links, 0);
		sea_channel_close(y);
		sea_channel_close(x);
	}
	sea_session_close(a);
	sea_session_close(b);
}

TEST(pair, "a pair sends both ways, and has one peer at a time")
{
	struct sea_session *a = peers_open(), *b = peers_open(), *c = peers_open();
	struct sea_channel *x = peers_bind(a, SEA_PAIR, "pair"), *y = peers_connect(b, SEA_PAIR, "pair"), *z;
	struct sea_message *message;

	peers_wait(x, 1);
	z = peers_connect(c, SEA_PAIR, "pair");
	for (unsigned i = 0; i < 100; i++) {
		peers_send(x, peers_message(a, 3000, i));
		peers_send(y, peers_message(b, 4000, i + 1));
		message = peers_receive(y);
		peers_check_part(message, 0, 3000, i);
		sea_message_unref(message);
		message = peers_receive(x);
		peers_check_part(message, 0, 4000, i + 1);
		sea_message_unref(message);
	}
	CHECK_EQ(peers_channel_stats(x).n_links, 1);
	CHECK_ERR(sea_channel_wait_peers(z, 1, PEERS_SHORT_NS), -ETIMEDOUT);
	/* When the one is gone, the other has its turn, as soon as its channel was looked at. */
	sea_channel_close(y);
	CHECK_EVENTUALLY(sea_channel_receive(x, &message, 0) == -EAGAIN && sea_channel_wait_peers(z, 1, 0) == 0);
	peers_send(z, peers_message(c, 100, 7));
	message = peers_receive(x);
	peers_check_part(message, 0, 100, 7);
	CHECK_EQ(sea_message_sender(message), sea_session_id(c));
	sea_message_unref(message);
	sea_channel_close(z);
	sea_channel_close(x);
	sea_session_close(a);
	sea_session_close(b);
	sea_session_close(c);
}

TEST(many_peers, "a sender gives to each receiver in turn, a receiver takes from each sender in turn")
{
	enum { N = 4, EACH = 25 };
	struct sea_session *hub = peers_open(), *others[N];
	struct sea_channel *push = peers_bind(hub, SEA_PUSH, "out"), *pull = peers_bind(hub, SEA_PULL, "in");
	struct sea_channel *workers[N], *senders[N];
	unsigned n_taken[N] = { 0 };

	for (unsigned i = 0; i < N; i++) {
		others[i] = peers_open();
		workers[i] = peers_connect(others[i], SEA_PULL, "out");
		senders[i] = peers_connect(others[i], SEA_PUSH, "in");
		peers_wait(senders[i], 1);
		peers_wait(workers[i], 1);
	}
	peers_wait(push, N);
	peers_wait(pull, N);
	CHECK_EQ(peers_stats(hub).n_peers, N);
	for (unsigned i = 0; i < N * EACH; i++)
		peers_send(push, peers_message(hub, 100, i));
	for (unsigned i = 0; i < N; i++) {
		struct sea_message *message;
		uint64_t last = 0;

		CHECK_EQ(peers_channel_stats(workers[i]).n_queued_in, EACH);
		while (sea_channel_receive(workers[i], &message, 0) == 0) {
			CHECK(n_taken[i]++ == 0 || sea_message_get_tag(message) > last);
			last = sea_message_get_tag(message);
			sea_message_unref(message);
		}
		CHECK_EQ(n_taken[i], EACH);
		for (unsigned j = 0; j < EACH; j++)
			peers_send(senders[i], peers_message(others[i], 100, j));
	}
	/* In any N that follow each other there is one of each. */
	for (unsigned i = 0; i < EACH; i++) {
		uint64_t seen[N];

		for (unsigned j = 0; j < N; j++) {
			struct sea_message *message = peers_receive(pull);

			CHECK_EQ(sea_message_get_tag(message), i);
			seen[j] = sea_message_sender(message);
			for (unsigned k = 0; k < j; k++)
				CHECK_NE(seen[j], seen[k]);
			sea_message_unref(message);
		}
	}
	for (unsigned i = 0; i < N; i++) {
		sea_channel_close(workers[i]);
		sea_channel_close(senders[i]);
		sea_session_close(others[i]);
	}
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(hub);
}

TEST(full, "a queue holds as many messages as both ends add, and who has no room is passed over")
{
	static const int32_t bufs[][3] = { { -1, -1, 1 }, { 1, -1, 1 }, { -1, 3, 3 }, { 2, 5, 7 }, { 100, 1, 101 } };
	struct sea_session *a = peers_open(), *b = peers_open();

	for (size_t i = 0; i < sizeof(bufs) / sizeof(bufs[0]); i++) {
		struct sea_channel *push, *pull;
		struct sea_message *message;
		struct sea_channel_options options = { .sndbuf = bufs[i][0] };

		CHECK_OK(sea_channel_new(&push, a, SEA_PUSH, &options));
		options = (struct sea_channel_options){ .rcvbuf = bufs[i][1] };
		CHECK_OK(sea_channel_new(&pull, b, SEA_PULL, &options));
		CHECK_OK(sea_channel_bind(pull, "queue"));
		CHECK_OK(sea_channel_connect(push, "queue"));
		peers_wait(push, 1);
		for (unsigned round = 0; round < 3; round++) {
			for (int32_t n = 0; n < bufs[i][2]; n++) {
				message = peers_message(a, 100, (uint64_t)n);
				CHECK_OK(sea_channel_send(push, &message, 0));
			}
			CHECK_EQ(peers_channel_stats(push).n_queued_out, bufs[i][2]);
			message = peers_message(a, 100, 0);
			CHECK_ERR(sea_channel_send(push, &message, 0), -EAGAIN);
			CHECK_ERR(sea_channel_send(push, &message, PEERS_SHORT_NS), -ETIMEDOUT);
			CHECK(message);
			sea_message_unref(message);
			for (int32_t n = 0; n < bufs[i][2]; n++) {
				message = peers_receive(pull);
				CHECK_EQ(sea_message_get_tag(message), n);
				sea_message_unref(message);
			}
			CHECK_ERR(sea_channel_receive(pull, &message, 0), -EAGAIN);
		}
		sea_channel_close(push);
		sea_channel_close(pull);
	}
	/* Of two receivers one takes nothing. */
	{
		struct sea_channel *push = peers_channel(a, SEA_PUSH, SEA_ORPHANS_DROP, 1);
		struct sea_channel *slow = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, 1);
		struct sea_channel *fast = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, 1);

		CHECK_OK(sea_channel_bind(push, "two"));
		CHECK_OK(sea_channel_connect(slow, "two"));
		CHECK_OK(sea_channel_connect(fast, "two"));
		peers_wait(push, 2);
		peers_wait(slow, 1);
		peers_wait(fast, 1);
		for (unsigned i = 0; i < 50; i++) {
			struct sea_message *message;

			peers_send(push, peers_message(a, 100, i));
			if (sea_channel_receive(fast, &message, 0) == 0)
				sea_message_unref(message);
		}
		CHECK_EQ(peers_channel_stats(slow).n_queued_in, 2);
		CHECK_GE(peers_channel_stats(fast).n_received, 46);
		sea_channel_close(push);
		sea_channel_close(slow);
		sea_channel_close(fast);
	}
	peers_wait_unused(a);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(several, "a channel binds and connects to several addresses at once")
{
	struct sea_session *hub = peers_open(), *others[4];
	struct sea_channel *pull = peers_bind(hub, SEA_PULL, "a"), *push[4];
	char name[2] = "c";

	CHECK_OK(sea_channel_bind(pull, "b"));
	CHECK_OK(sea_channel_connect(pull, "c"));
	CHECK_OK(sea_channel_connect(pull, "d"));
	for (unsigned i = 0; i < 4; i++) {
		others[i] = peers_open();
		name[0] = (char)('a' + i);
		push[i] = i < 2 ? peers_connect(others[i], SEA_PUSH, name) : peers_bind(others[i], SEA_PUSH, name);
	}
	peers_wait(pull, 4);
	for (unsigned i = 0; i < 4; i++)
		peers_send(push[i], peers_message(others[i], 100, i));
	for (unsigned i = 0, seen = 0; i < 4; i++) {
		struct sea_message *message = peers_receive(pull);

		seen |= 1u << sea_message_get_tag(message);
		if (i == 3)
			CHECK_EQ(seen, 15);
		sea_message_unref(message);
	}
	for (unsigned i = 0; i < 4; i++) {
		sea_channel_close(push[i]);
		sea_session_close(others[i]);
	}
	sea_channel_close(pull);
	sea_session_close(hub);
}

static void receive_five(void *arg)
{
	struct test_step *step = arg;
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_bind(session, SEA_PULL, "restarted");

	for (unsigned i = 0; i < 5; i++) {
		struct sea_message *message = peers_receive(pull);

		peers_check_part(message, 0, 20000, sea_message_get_tag(message));
		sea_message_unref(message);
	}
	test_step_signal(step, 1);
	for (;;)
		pause();
}

TEST(restart, "a receiver that was killed and started again is found again, and the memory of the dead comes back")
{
	struct test_step step;
	struct sea_session *session = NULL;
	struct sea_channel *push = NULL;

	test_step_init(&step);
	for (unsigned round = 0; round < 5; round++) {
		pid_t pid = test_fork(receive_five, &step);

		if (!session) {
			session = peers_open();
			push = peers_connect(session, SEA_PUSH, "restarted");
		}
		for (unsigned i = 0; i < 5; i++)
			peers_send(push, peers_message(session, 20000, 100 * round + i));
		test_step_wait(&step);
		for (unsigned i = 0; i < 3; i++)
			peers_send(push, peers_message(session, 20000, 9)); /* never taken */
		CHECK_EQ(test_kill(pid), -SIGKILL);
		CHECK_EVENTUALLY(peers_stats(session).n_deaths == round + 1);
		peers_wait_unused(session);
		CHECK_EVENTUALLY(sea_channel_wait_peers(push, 1, 0) == -EAGAIN);
	}
	sea_channel_close(push);
	sea_session_close(session);
	test_step_fini(&step);
}

TEST(close_keeps, "what was sent can be received after the sender's channel and process are gone")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_bind(a, SEA_PUSH, "gone"), *pull = peers_connect(b, SEA_PULL, "gone");
	struct sea_message *messages[10];

	peers_wait(push, 1);
	peers_wait(pull, 1);
	for (unsigned i = 0; i < 10; i++)
		peers_send(push, peers_message(a, i % 2 ? 30 : 30000, i));
	messages[0] = peers_receive(pull);
	sea_channel_close(push);
	for (unsigned i = 1; i < 5; i++)
		messages[i] = peers_receive(pull);
	sea_session_close(a);
	for (unsigned i = 5; i < 10; i++)
		messages[i] = peers_receive(pull);
	CHECK_ERR(sea_channel_receive(pull, &messages[0], PEERS_SHORT_NS), -ETIMEDOUT);
	for (unsigned i = 0; i < 10; i++)
		peers_check_part(messages[i], 0, i % 2 ? 30 : 30000, i);
	CHECK_EQ(peers_channel_stats(pull).n_links, 0);
	sea_message_unref_many(messages, 10);
	sea_channel_close(pull);
	CHECK_EVENTUALLY(peers_stats(b).n_arenas_attached == 0);
	sea_session_close(b);
}

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

TEST(ownership, "a message is taken with success, kept with failure, and not written after it was sent")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_channel(a, SEA_PUSH, SEA_ORPHANS_DROP, -1),
			   *pull = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, -1);
	struct sea_message *message, *received;

	CHECK_OK(sea_channel_bind(push, "own"));
	CHECK_OK(sea_channel_connect(pull, "own"));
	peers_wait(push, 1);
	for (unsigned i = 0; i < 2; i++) {
		size_t n_bytes = i ? 10 : 10000;

		message = peers_message(a, n_bytes, 4);
		CHECK(sea_message_write(message));
		sea_message_ref(message);
		CHECK_OK(sea_channel_send(push, &(struct sea_message *){ message }, 0));
		CHECK(!sea_message_write(message));
		CHECK_ERR(sea_message_shrink(message, 1), -EINVAL);
		peers_check_part(message, 0, n_bytes, 4);
		/* The same once more, into a full queue. */
		received = message;
		CHECK_ERR(sea_channel_send(push, &received, 0), -EAGAIN);
		CHECK(received == message);
		received = peers_receive(pull);
		peers_check_part(received, 0, n_bytes, 4);
		CHECK_OK(sea_channel_send(push, &message, 0));
		CHECK(!message);
		sea_message_unref(received);
		received = peers_receive(pull);
		peers_check_part(received, 0, n_bytes, 4);
		sea_message_unref(received);
		peers_wait_unused(a);
	}
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(stats, "the counters add up")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_bind(a, SEA_PUSH, "stats"), *pull = peers_connect(b, SEA_PULL, "stats");
	struct sea_channel_stats stats;
	struct sea_message *held[10];

	peers_wait(push, 1);
	peers_wait(pull, 1);
	for (unsigned i = 0; i < 30; i++)
		peers_send(push, peers_message(a, 50000, i));
	for (unsigned i = 0; i < 10; i++)
		held[i] = peers_receive(pull);
	stats = peers_channel_stats(push);
	CHECK_EQ(stats.n_links, 1);
	CHECK_EQ(stats.n_sent, 30);
	CHECK_EQ(stats.n_received, 0);
	CHECK_EQ(stats.n_queued_out, 20);
	CHECK_EQ(stats.n_orphans, 0);
	stats = peers_channel_stats(pull);
	CHECK_EQ(stats.n_received, 10);
	CHECK_EQ(stats.n_queued_in, 20);
	CHECK_EQ(stats.n_refused, 0);
	CHECK_GE(peers_n_bytes_used(a), 30 * 50000);
	CHECK_GE(peers_stats(a).n_bytes_backed, peers_stats(a).n_bytes_used);
	CHECK_GE(peers_stats(b).n_arenas_attached, 1);
	CHECK_EQ(peers_stats(b).n_arenas_attached, peers_stats(a).n_arenas);
	CHECK_EQ(peers_stats(a).n_peers, 1);
	CHECK_EQ(peers_stats(b).n_peers, 1);
	sea_message_unref_many(held, 10);
	for (unsigned i = 0; i < 20; i++)
		sea_message_unref(peers_receive(pull));
	peers_wait_unused(a);
	/* Trimmed arenas are unmapped by who had them. */
	CHECK_OK(sea_heap_trim(sea_session_heap(a), 0));
	CHECK_EVENTUALLY(peers_stats(b).n_arenas_attached == 0);
	CHECK_EVENTUALLY(peers_stats(a).n_bytes_backed == 0);
	CHECK_EQ(peers_stats(a).n_arenas, 0);
	sea_channel_close(push);
	sea_channel_close(pull);
	CHECK_EQ(peers_stats(a).n_deaths, 0);
	sea_session_close(b);
	sea_session_close(a);
}

static void call_after_fork(void *arg)
{
	struct sea_channel *channel = arg;
	struct sea_message *message = NULL;
	struct sea_channel_stats stats;

	CHECK_ERR(sea_channel_bind(channel, "x"), -EPERM);
	CHECK_ERR(sea_channel_connect(channel, "x"), -EPERM);
	CHECK_ERR(sea_channel_wait_peers(channel, 0, 0), -EPERM);
	CHECK_ERR(sea_channel_send(channel, &message, 0), -EPERM);
	CHECK_ERR(sea_channel_send_many(channel, &message, 1, 0), -EPERM);
	CHECK_ERR(sea_channel_send_each(channel, &message, NULL), -EPERM);
	CHECK_ERR(sea_channel_receive(channel, &message, 0), -EPERM);
	CHECK_ERR(sea_channel_receive_many(channel, &message, 1, 0), -EPERM);
	CHECK_ERR(sea_channel_fd(channel), -EPERM);
	CHECK_ERR(sea_channel_take_orphan(channel, &message), -EPERM);
	CHECK_ERR(sea_channel_flush(channel, 0), -EPERM);
	CHECK_ERR(sea_channel_get_stats(channel, &stats), -EPERM);
	sea_channel_close(channel);
}

TEST(fork, "in a forked child every call is refused, and the parent goes on undisturbed")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *x = peers_bind(a, SEA_PAIR, "f"), *y = peers_connect(b, SEA_PAIR, "f");

	peers_wait(x, 1);
	peers_wait(y, 1);
	CHECK_EQ(test_wait(test_fork(call_after_fork, x)), 0);
	peers_send(x, peers_message(a, 1000, 1));
	sea_message_unref(peers_receive(y));
	sea_channel_close(x);
	sea_channel_close(y);
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

TEST(names, "processes of a session know each other by name")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_bind(a, SEA_PUSH, "names"), *pull = peers_connect(b, SEA_PULL, "names");
	char name[40], own[40];

	peers_wait(push, 1);
	CHECK_OK(sea_session_peer_name(a, sea_session_id(a), own, sizeof(own)));
	CHECK_OK(sea_session_peer_name(a, sea_session_id(b), name, sizeof(name)));
	CHECK_STR_EQ(name, own);
	CHECK_ERR(sea_session_peer_name(a, 12345, name, sizeof(name)), -ENOENT);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(b);
	sea_session_close(a);
}
