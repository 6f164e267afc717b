/* SPDX-License-Identifier: Apache-2.0 */
/* The channel calls: arguments, who owns a message when, counters. */
#include "peers.h"

#include <string.h>

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
