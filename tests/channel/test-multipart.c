/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of several parts, on every road: their order, sent on, between threads, and when nobody is there; FairMQ's Multipart suite. */
#include "peers.h"

#include <pthread.h>
#include <string.h>

/* A message of n parts, "1", "2" and so on from first. */
static struct sea_message *numbers(struct sea_session *session, unsigned first, unsigned n_parts)
{
	struct sea_frame *frame = peers_frame(session, 4096);

	for (unsigned i = 0; i < n_parts; i++) {
		void *data;

		CHECK_OK(sea_frame_add(frame, 1, 0, &data));
		*(char *)data = (char)('0' + first + i);
	}
	return peers_seal(frame);
}

static void check_numbers(const struct sea_message *message, unsigned first, unsigned n_parts)
{
	CHECK_EQ(sea_message_n_parts(message), n_parts);
	for (unsigned i = 0; i < n_parts; i++) {
		struct sea_part part;

		CHECK_OK(sea_message_get_part(message, i, &part));
		CHECK_EQ(part.n_bytes, 1);
		CHECK_EQ(*(const char *)part.data, '0' + first + i);
	}
}

TEST(order, "messages of three parts and of one arrive in order, part by part, and so they do when they are sent on")
{
	for (unsigned road = 0; road < peers_n_roads(); road++) {
		struct sea_session *a = peers_open(), *b = peers_open();
		struct sea_channel *push = peers_bind_on(road, a, SEA_PUSH, "one"),
				   *in = peers_connect_on(road, b, SEA_PULL, "one"),
				   *out = peers_bind_on(road, b, SEA_PUSH, "two"),
				   *pull = peers_connect_on(road, a, SEA_PULL, "two");
		struct sea_message *messages[2], *message;

		peers_wait(push, 1);
		peers_wait(in, 1);
		peers_wait(out, 1);
		peers_wait(pull, 1);
		for (unsigned i = 0; i < 20; i++) {
			peers_send(push, numbers(a, 1, 3));
			peers_send(push, numbers(a, 4, 1));
			messages[0] = peers_receive(in);
			messages[1] = peers_receive(in);
			check_numbers(messages[0], 1, 3);
			check_numbers(messages[1], 4, 1);
			peers_send(out, messages[0]);
			peers_send(out, messages[1]);
			message = peers_receive(pull);
			check_numbers(message, 1, 3);
			sea_message_unref(message);
			message = peers_receive(pull);
			check_numbers(message, 4, 1);
			sea_message_unref(message);
		}
		peers_wait_unused(a);
		sea_channel_close(push);
		sea_channel_close(in);
		sea_channel_close(out);
		sea_channel_close(pull);
		sea_session_close(b);
		sea_session_close(a);
	}
}

struct side {
	struct sea_session *session;
	struct sea_channel *channel;
};

#define N_ROUNDS 2000u

static void *pusher(void *arg)
{
	const struct side *side = arg;

	for (unsigned i = 0; i < N_ROUNDS; i++)
		peers_send(side->channel, numbers(side->session, 1 + i % 5, 1 + i % 4));
	return NULL;
}

static void *puller(void *arg)
{
	const struct side *side = arg;

	for (unsigned i = 0; i < N_ROUNDS; i++) {
		struct sea_message *message = peers_receive(side->channel);

		check_numbers(message, 1 + i % 5, 1 + i % 4);
		sea_message_unref(message);
	}
	return NULL;
}

TEST(threads, "one thread sends messages of several parts while another one receives them: all of them, in order")
{
	for (unsigned road = 0; road < peers_n_roads(); road++) {
		struct side sides[2];
		pthread_t threads[2];

		for (unsigned i = 0; i < 2; i++)
			sides[i].session = peers_open();
		sides[0].channel = peers_bind_on(road, sides[0].session, SEA_PUSH, "t");
		sides[1].channel = peers_connect_on(road, sides[1].session, SEA_PULL, "t");
		CHECK_EQ(pthread_create(&threads[0], NULL, pusher, &sides[0]), 0);
		CHECK_EQ(pthread_create(&threads[1], NULL, puller, &sides[1]), 0);
		for (unsigned i = 0; i < 2; i++)
			CHECK_EQ(pthread_join(threads[i], NULL), 0);
		peers_wait_unused(sides[0].session);
		for (unsigned i = 0; i < 2; i++) {
			sea_channel_close(sides[i].channel);
			sea_session_close(sides[i].session);
		}
	}
}

TEST(nobody, "where nobody is, a message of any number of parts is neither sent nor received, and stays the caller's")
{
	static const int64_t timeouts[] = { 0, PEERS_SHORT_NS };

	for (unsigned road = 0; road < peers_n_roads(); road++) {
		struct sea_session *session = peers_open();
		struct sea_channel *push = peers_bind_on(road, session, SEA_PUSH, "out"),
				   *pull = peers_bind_on(road, session, SEA_PULL, "in");

		for (unsigned n_parts = 1; n_parts <= 3; n_parts++) {
			struct sea_message *message = n_parts < 3 ? numbers(session, 1, n_parts)
			                                          : peers_message(session, 1000, 1);
			struct sea_message *same = message;

			for (unsigned i = 0; i < 2; i++) {
				int r = i ? -ETIMEDOUT : -EAGAIN;
				int64_t start_ns = test_now_ns();

				CHECK_ERR(sea_channel_send(push, &message, timeouts[i]), r);
				CHECK_ERR(sea_channel_receive(pull, &message, timeouts[i]), r);
				CHECK_GE(test_now_ns() - start_ns, 2 * timeouts[i]);
				CHECK(message == same);
			}
			if (n_parts < 3)
				check_numbers(message, 1, n_parts);
			sea_message_unref(message);
		}
		peers_wait_unused(session);
		sea_channel_close(push);
		sea_channel_close(pull);
		sea_session_close(session);
	}
}

TEST(no_parts, "a message without parts arrives as such over shared memory; libzmq, which knows none, refuses it")
{
	for (unsigned road = 0; road < peers_n_roads(); road++) {
		struct sea_session *a = peers_open(), *b = peers_open();
		struct sea_channel *push = peers_bind_on(road, a, SEA_PUSH, "none"),
				   *pull = peers_connect_on(road, b, SEA_PULL, "none");
		struct sea_message *message = numbers(a, 1, 0);

		peers_wait(push, 1);
		if (road) {
			CHECK_ERR(sea_channel_send(push, &message, PEERS_LONG_NS), -EINVAL);
			CHECK(message);
		} else {
			peers_send(push, message);
			message = peers_receive(pull);
			check_numbers(message, 1, 0);
		}
		sea_message_unref(message);
		peers_wait_unused(a);
		sea_channel_close(push);
		sea_channel_close(pull);
		sea_session_close(b);
		sea_session_close(a);
	}
}
