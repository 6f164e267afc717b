/* SPDX-License-Identifier: Apache-2.0 */
/* Many messages with one call. */
#include "peers.h"

#include <pthread.h>

#define N 500u

TEST(all, "what is allocated, sent, received and released in bulk is the same as one by one")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_bind(a, SEA_PUSH, "bulk"), *pull = peers_connect(b, SEA_PULL, "bulk");
	static const size_t sizes[] = { 0, 10, 100, 5000, 100000 };
	struct sea_message *messages[N];

	peers_wait(push, 1);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		unsigned n_made = 0, n_sent = 0, n_received = 0;

		while (n_made < N)
			n_made += (unsigned)CHECK_OK(sea_message_new_many(messages + n_made, N - n_made,
			                                                  sea_session_heap(a), sizes[i], 0, 0));
		for (unsigned j = 0; j < N; j++) {
			peers_fill(sea_message_write(messages[j]), sizes[i], j);
			sea_message_set_tag(messages[j], j);
		}
		while (n_sent < N) {
			int n = (int)CHECK_OK(
				sea_channel_send_many(push, messages + n_sent, N - n_sent, PEERS_LONG_NS));

			CHECK_GT(n, 0);
			for (int j = 0; j < n; j++)
				CHECK(!messages[n_sent++]);
		}
		while (n_received < N) {
			int n = (int)CHECK_OK(
				sea_channel_receive_many(pull, messages + n_received, N - n_received, PEERS_LONG_NS));

			CHECK_GT(n, 0);
			n_received += (unsigned)n;
		}
		CHECK_ERR(sea_channel_receive_many(pull, messages, N, 0), -EAGAIN);
		for (unsigned j = 0; j < N; j++) {
			CHECK_EQ(sea_message_get_tag(messages[j]), j);
			peers_check_part(messages[j], 0, sizes[i], j);
		}
		sea_message_unref_many(messages, N);
		for (unsigned j = 0; j < N; j++)
			CHECK(!messages[j]);
		peers_wait_unused(a);
	}
	CHECK_EQ(peers_channel_stats(push).n_sent, 5 * N);
	CHECK_EQ(peers_channel_stats(pull).n_received, 5 * N);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(partial, "what does not fit stays the caller's, in order")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_channel(a, SEA_PUSH, SEA_ORPHANS_DROP, 5),
			   *pull = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, 5);
	struct sea_message *messages[30];

	CHECK_OK(sea_channel_bind(push, "bulk"));
	CHECK_OK(sea_channel_connect(pull, "bulk"));
	peers_wait(push, 1);
	for (unsigned i = 0; i < 30; i++)
		messages[i] = peers_message(a, 1000, i);
	CHECK_EQ(sea_channel_send_many(push, messages, 30, 0), 10);
	for (unsigned i = 0; i < 30; i++)
		CHECK_EQ(messages[i] == NULL, i < 10);
	CHECK_ERR(sea_channel_send_many(push, messages + 10, 20, 0), -EAGAIN);
	CHECK_ERR(sea_channel_send_many(push, messages + 10, 20, PEERS_SHORT_NS), -ETIMEDOUT);
	/* Something that is no message: nothing is sent. */
	sea_message_unref(peers_receive(pull));
	CHECK_ERR(sea_channel_send_many(push, messages + 9, 2, 0), -EINVAL);
	CHECK(messages[10]);
	CHECK_EQ(sea_channel_send_many(push, messages + 10, 20, 0), 1);
	CHECK(!messages[10] && messages[11]);
	CHECK_EQ(sea_channel_receive_many(pull, messages, 4, 0), 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(sea_message_get_tag(messages[i]), i + 1);
	CHECK_EQ(sea_channel_receive_many(pull, messages + 4, 7, 0), 6);
	sea_message_unref_many(messages, 30);
	peers_wait_unused(a);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(spread, "a batch is spread over all receivers, a mixed one too")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_bind(a, SEA_PUSH, "bulk"), *pulls[4];
	struct sea_message *messages[100];
	uint64_t sum = 0;

	for (unsigned i = 0; i < 4; i++) {
		pulls[i] = peers_connect(b, SEA_PULL, "bulk");
		peers_wait(pulls[i], 1);
	}
	peers_wait(push, 4);
	for (unsigned i = 0; i < 100; i++) {
		if (i % 5 == 0) {
			struct sea_frame *frame = peers_frame(a, 10000);

			peers_add(frame, 0, 2000, i);
			peers_add(frame, 0, 3000, i + 1);
			messages[i] = peers_seal(frame);
			sea_message_set_tag(messages[i], i);
		} else {
			messages[i] = peers_message(a, i % 2 ? 20 : 4000, i);
		}
	}
	for (unsigned n = 0; n < 100;)
		n += (unsigned)CHECK_OK(sea_channel_send_many(push, messages + n, 100 - n, PEERS_LONG_NS));
	for (unsigned i = 0; i < 4; i++) {
		int n = 0, r;

		while (n < 25 && (r = sea_channel_receive_many(pulls[i], messages + n, 100, PEERS_LONG_NS)) > 0)
			n += r;
		CHECK_EQ(n, 25);
		for (int j = 0; j < n; j++) {
			uint64_t tag = sea_message_get_tag(messages[j]);

			sum += tag;
			if (tag % 5 == 0)
				peers_check_part(messages[j], 1, 3000, tag + 1);
			else
				peers_check_part(messages[j], 0, tag % 2 ? 20 : 4000, tag);
		}
		sea_message_unref_many(messages, (size_t)n);
	}
	CHECK_EQ(sum, 99 * 100 / 2);
	peers_wait_unused(a);
	sea_channel_close(push);
	for (unsigned i = 0; i < 4; i++)
		sea_channel_close(pulls[i]);
	sea_session_close(a);
	sea_session_close(b);
}

#define N_STREAM 100000u

static void consume(void *unused)
{
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_connect(session, SEA_PULL, "stream");
	unsigned n = 0, n_max = test_is_sanitized() ? N_STREAM / 10 : N_STREAM;

	(void)unused;
	while (n < n_max) {
		struct sea_message *messages[64];
		int r = (int)CHECK_OK(sea_channel_receive_many(pull, messages, 1 + n % 64, PEERS_LONG_NS));

		for (int i = 0; i < r; i++, n++) {
			CHECK_EQ(sea_message_get_tag(messages[i]), n);
			peers_check_part(messages[i], 0, 64, n);
		}
		sea_message_unref_many(messages, (size_t)r);
	}
	sea_channel_close(pull);
	sea_session_close(session);
}

TEST_TIMEOUT(stream, "a stream in batches between two processes: each message once, in order, in a heap of two MiB", 60)
{
	pid_t pid = test_fork(consume, NULL);
	struct sea_session_options options = { .quota_n_bytes = 4 << 20 };
	struct sea_session *session;
	struct sea_channel *push;
	unsigned n = 0, n_max = test_is_sanitized() ? N_STREAM / 10 : N_STREAM;

	CHECK_OK(sea_session_open(&session, &options));
	push = peers_bind(session, SEA_PUSH, "stream");
	while (n < n_max) {
		struct sea_message *messages[64];
		unsigned n_wanted = n_max - n < 64 ? n_max - n : 64;
		int n_made = (int)CHECK_OK(
			sea_message_new_many(messages, n_wanted, sea_session_heap(session), 64, 0, PEERS_LONG_NS));

		for (int i = 0; i < n_made; i++) {
			peers_fill(sea_message_write(messages[i]), 64, n + (unsigned)i);
			sea_message_set_tag(messages[i], n + (unsigned)i);
		}
		for (int i = 0; i < n_made;)
			i += (int)CHECK_OK(
				sea_channel_send_many(push, messages + i, (size_t)(n_made - i), PEERS_LONG_NS));
		n += (unsigned)n_made;
	}
	CHECK_EQ(test_wait(pid), 0);
	peers_wait_unused(session);
	CHECK_EQ(peers_stats(session).n_lies, 0);
	sea_channel_close(push);
	sea_session_close(session);
}
