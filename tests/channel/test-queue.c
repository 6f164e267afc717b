/* SPDX-License-Identifier: Apache-2.0 */
/* Queues between channels: whose turn it is, how many messages they hold, what stays in them. */
#include "peers.h"

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
