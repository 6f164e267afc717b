/* SPDX-License-Identifier: Apache-2.0 */
/* One message to many receivers: one block, a hold for each. */
#include "peers.h"

#define N_RECEIVERS 16u

static struct sea_session *producer, *consumers[N_RECEIVERS];
static struct sea_channel *push, *pulls[N_RECEIVERS];

static void fanout_init(int32_t buf)
{
	producer = peers_open();
	push = peers_channel(producer, SEA_PUSH, SEA_ORPHANS_DROP, buf);
	CHECK_OK(sea_channel_bind(push, "fanout"));
	for (unsigned i = 0; i < N_RECEIVERS; i++) {
		consumers[i] = peers_open();
		pulls[i] = peers_channel(consumers[i], SEA_PULL, SEA_ORPHANS_DROP, buf);
		CHECK_OK(sea_channel_connect(pulls[i], "fanout"));
		peers_wait(pulls[i], 1);
	}
	peers_wait(push, N_RECEIVERS);
}

static void fanout_fini(void)
{
	peers_wait_unused(producer);
	CHECK_EQ(peers_stats(producer).n_lies, 0);
	CHECK_EQ(peers_stats(producer).n_bytes_copied, 0);
	sea_channel_close(push);
	for (unsigned i = 0; i < N_RECEIVERS; i++) {
		sea_channel_close(pulls[i]);
		sea_session_close(consumers[i]);
	}
	sea_session_close(producer);
}

static uint64_t n_blocks_used(void)
{
	struct sea_heap_stats stats;

	CHECK_OK(sea_session_take_done(producer, NULL, 0));
	CHECK_OK(sea_heap_get_stats(sea_session_heap(producer), &stats));
	return stats.n_blocks_used;
}

TEST(each, "one message to each of many is one block, which is free when the last one has released it")
{
	fanout_init(0);
	for (unsigned round = 0; round < 20; round++) {
		struct sea_message *message = peers_message(producer, 100000, round), *received[N_RECEIVERS];
		unsigned n_missed = 99;

		CHECK_OK(sea_message_notify(message, round));
		CHECK_EQ(sea_channel_send_each(push, &message, &n_missed), N_RECEIVERS);
		CHECK(!message);
		CHECK_EQ(n_missed, 0);
		CHECK_EQ(n_blocks_used(), 1);
		for (unsigned i = 0; i < N_RECEIVERS; i++)
			received[i] = peers_receive(pulls[i]);
		for (unsigned i = 0; i < N_RECEIVERS; i++) {
			uint64_t cookie;

			CHECK_EQ(sea_session_take_done(producer, &cookie, 1), 0);
			CHECK_EQ(n_blocks_used(), 1);
			peers_check_part(received[i], 0, 100000, round);
			sea_message_unref(received[i]);
		}
		{
			uint64_t cookie = 0;

			CHECK_EQ(sea_session_take_done(producer, &cookie, 1), 1);
			CHECK_EQ(cookie, round);
		}
		CHECK_EQ(n_blocks_used(), 0);
	}
	CHECK_EQ(peers_channel_stats(push).n_sent, 20 * N_RECEIVERS);
	fanout_fini();
}

TEST(kinds, "small messages, frames and empty frames reach each one as well")
{
	fanout_init(0);
	for (unsigned kind = 0; kind < 3; kind++) {
		struct sea_message *message;
		struct sea_frame *frame;

		if (kind == 0) {
			message = peers_message(producer, 20, 3);
		} else {
			frame = peers_frame(producer, 1 << 20);
			for (unsigned i = 0; i < 8 && kind == 1; i++)
				peers_add(frame, 0, 7000 * i, i);
			message = peers_seal(frame);
		}
		CHECK_EQ(sea_channel_send_each(push, &message, NULL), N_RECEIVERS);
		for (unsigned i = 0; i < N_RECEIVERS; i++) {
			struct sea_message *received = peers_receive(pulls[i]);

			CHECK_EQ(sea_message_n_parts(received), kind == 0 ? 1 : kind == 1 ? 8 : 0);
			if (kind == 0)
				peers_check_part(received, 0, 20, 3);
			for (unsigned j = 0; j < 8 && kind == 1; j++)
				peers_check_part(received, j, 7000 * j, j);
			sea_message_unref(received);
		}
	}
	fanout_fini();
}

TEST(shared, "a message that is sent on again and again while it is kept goes to each in turn, as one block")
{
	struct sea_message *message;

	fanout_init(0);
	message = peers_message(producer, 50000, 8);
	for (unsigned i = 0; i < 3 * N_RECEIVERS; i++) {
		struct sea_message *reference = sea_message_ref(message);

		CHECK_OK(sea_channel_send(push, &reference, 0));
		CHECK(!reference);
	}
	CHECK(!sea_message_write(message));
	CHECK_EQ(n_blocks_used(), 1);
	sea_message_unref(message);
	for (unsigned i = 0; i < N_RECEIVERS; i++)
		for (unsigned j = 0; j < 3; j++) {
			struct sea_message *received = peers_receive(pulls[i]);

			CHECK_EQ(n_blocks_used(), 1);
			peers_check_part(received, 0, 50000, 8);
			sea_message_unref(received);
		}
	fanout_fini();
}

TEST(stopped, "a receiver that takes nothing is missed, and slows nobody")
{
	struct sea_message *message;
	unsigned n_missed;

	fanout_init(2);
	for (unsigned round = 0; round < 20; round++) {
		message = peers_message(producer, 1000, round);
		CHECK_EQ(sea_channel_send_each(push, &message, &n_missed), round < 4 ? N_RECEIVERS : N_RECEIVERS - 1);
		CHECK_EQ(n_missed, round >= 4);
		for (unsigned i = 1; i < N_RECEIVERS; i++) {
			message = peers_receive(pulls[i]);
			CHECK_EQ(sea_message_get_tag(message), round);
			sea_message_unref(message);
		}
	}
	for (unsigned round = 0; round < 4; round++) {
		message = peers_receive(pulls[0]);
		CHECK_EQ(sea_message_get_tag(message), round);
		sea_message_unref(message);
	}
	/* None has room: it stays with its owner. */
	for (unsigned round = 0; round < 4; round++) {
		message = peers_message(producer, 1000, round);
		CHECK_EQ(sea_channel_send_each(push, &message, NULL), N_RECEIVERS);
	}
	message = peers_message(producer, 1000, 9);
	CHECK_ERR(sea_channel_send_each(push, &message, &n_missed), -EAGAIN);
	CHECK_EQ(n_missed, N_RECEIVERS);
	CHECK(message);
	sea_message_unref(message);
	for (unsigned i = 0; i < N_RECEIVERS; i++)
		for (unsigned round = 0; round < 4; round++)
			sea_message_unref(peers_receive(pulls[i]));
	fanout_fini();
}

TEST(forwarded, "what was received is shared with many as well; its owner gets it back after the last")
{
	struct sea_session *owner = peers_open();
	struct sea_channel *out = peers_bind(owner, SEA_PUSH, "source"), *in;

	fanout_init(0);
	in = peers_connect(producer, SEA_PULL, "source");
	peers_wait(out, 1);
	/* At first a receiver may be missed, until the owner and it know each other; no message is lost by that. */
	for (unsigned round = 0, n_complete = 0; n_complete < 10; round++) {
		struct sea_message *message, *received[N_RECEIVERS] = { NULL };
		int n_sent;

		peers_send(out, peers_message(owner, 60000, round));
		message = peers_receive(in);
		CHECK_EVENTUALLY((n_sent = sea_channel_send_each(push, &message, NULL)) > 0);
		CHECK(!message);
		n_complete += n_sent == N_RECEIVERS;
		for (int n = 0; n < n_sent;)
			for (unsigned i = 0; i < N_RECEIVERS; i++)
				if (!received[i] && sea_channel_receive(pulls[i], &received[i], 0) == 0)
					n++;
		for (unsigned i = 0; i < N_RECEIVERS; i++) {
			if (!received[i])
				continue;
			CHECK_GT(peers_n_bytes_used(owner), 0);
			peers_check_part(received[i], 0, 60000, round);
			sea_message_unref(received[i]);
		}
		peers_wait_unused(owner);
		CHECK_LT(round, 10000);
	}
	peers_wait_unused(owner);
	CHECK_EQ(peers_stats(owner).n_lies, 0);
	sea_channel_close(in);
	sea_channel_close(out);
	fanout_fini();
	sea_session_close(owner);
}
