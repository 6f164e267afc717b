/* SPDX-License-Identifier: Apache-2.0 */
/* Passing on what others own, whole and in parts; after each test all memory is back with its owner. */
#include "peers.h"

#include <stdio.h>

/* A chain of processes, each with a channel to the next: 0 owns, the last one only receives. */
#define N_MAX 5

struct chain {
	unsigned n;
	struct sea_session *sessions[N_MAX];
	struct sea_channel *push[N_MAX], *pull[N_MAX]; /* push[i] leads to pull[i + 1] */
};

static struct chain chain;

static void chain_init(unsigned n)
{
	char name[16];

	chain.n = n;
	for (unsigned i = 0; i < n; i++)
		chain.sessions[i] = peers_open();
	for (unsigned i = 0; i + 1 < n; i++) {
		snprintf(name, sizeof(name), "hop-%u", i);
		chain.push[i] = peers_connect(chain.sessions[i], SEA_PUSH, name);
		chain.pull[i + 1] = peers_bind(chain.sessions[i + 1], SEA_PULL, name);
		peers_wait(chain.push[i], 1);
	}
}

static void chain_fini(void)
{
	for (unsigned i = 0; i < chain.n; i++) {
		peers_wait_unused(chain.sessions[i]);
		CHECK_EQ(peers_stats(chain.sessions[i]).n_lies, 0);
		CHECK_EQ(peers_stats(chain.sessions[i]).n_refused, 0);
		if (chain.pull[i])
			CHECK_EQ(peers_channel_stats(chain.pull[i]).n_refused, 0);
	}
	for (unsigned i = 0; i < chain.n; i++) {
		sea_channel_close(chain.push[i]);
		sea_channel_close(chain.pull[i]);
	}
	for (unsigned i = 0; i < chain.n; i++)
		sea_session_close(chain.sessions[i]);
}

/* Sends a message of process 0 along the chain as far as process `to`, whole. */
static struct sea_message *chain_carry(struct sea_message *message, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		peers_send(chain.push[i], message);
		message = peers_receive(chain.pull[i + 1]);
		CHECK_EQ(sea_message_sender(message), sea_session_id(chain.sessions[i]));
	}
	return message;
}

/* A frame of n parts of that size in class 0, numbered from `first` on. */
static struct sea_message *frame_of(struct sea_session *session, unsigned n, size_t n_bytes, uint64_t first)
{
	struct sea_frame *frame = peers_frame(session, (n_bytes + 64) * n);

	for (unsigned i = 0; i < n; i++)
		peers_add(frame, 0, n_bytes, first + i);
	return peers_seal(frame);
}

static unsigned n_rounds(unsigned n)
{
	return test_is_sanitized() ? n / 10 : n;
}

/* Overwrites whatever of the session's memory is free: a block that was given back too early shows. */
static void scribble(struct sea_session *session)
{
	struct sea_message *messages[64];
	size_t n_bytes_max = (size_t)(test_is_sanitized() ? 256 : 4096) << 10;
	unsigned n = 0;

	for (size_t n_bytes = 64; n_bytes <= n_bytes_max; n_bytes *= 2)
		for (unsigned i = 0; i < 3; i++)
			messages[n++] = peers_message(session, n_bytes, 0xdead);
	sea_message_unref_many(messages, n);
}

TEST(whole, "a message passed on through three hops is read in place, and its memory goes back to its owner")
{
	struct sea_message *message;

	chain_init(5);
	for (unsigned round = 0; round < n_rounds(50); round++) {
		message = chain_carry(peers_message(chain.sessions[0], 100000, round), 0, 4);
		CHECK_EQ(sea_message_get_tag(message), round);
		CHECK_GT(peers_n_bytes_used(chain.sessions[0]), 0);
		for (unsigned i = 1; i < 5; i++)
			CHECK_EQ(peers_n_bytes_used(chain.sessions[i]), 0);
		scribble(chain.sessions[0]);
		peers_check_part(message, 0, 100000, round);
		sea_message_unref(message);
		message = chain_carry(frame_of(chain.sessions[0], 10, 5000, round), 0, 4);
		for (unsigned i = 0; i < 10; i++)
			peers_check_part(message, i, 5000, round + i);
		sea_message_unref(message);
		/* Small ones have no memory to go back. */
		message = chain_carry(peers_message(chain.sessions[0], 20, round), 0, 4);
		peers_check_part(message, 0, 20, round);
		sea_message_unref(message);
	}
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(peers_stats(chain.sessions[i]).n_bytes_copied, 0);
	chain_fini();
}

TEST(released_midway, "a message can be released at any hop")
{
	chain_init(5);
	for (unsigned to = 1; to < 5; to++) {
		struct sea_message *message = chain_carry(frame_of(chain.sessions[0], 3, 70000, to), 0, to);

		peers_check_part(message, 2, 70000, to + 2);
		sea_message_unref(message);
		peers_wait_unused(chain.sessions[0]);
	}
	chain_fini();
}

TEST(kept, "a forwarder may keep a reference to what it passes on")
{
	struct sea_message *message, *kept;

	chain_init(3);
	message = chain_carry(frame_of(chain.sessions[0], 4, 30000, 0), 0, 1);
	kept = sea_message_ref(message);
	message = chain_carry(message, 1, 2);
	sea_message_unref(message);
	scribble(chain.sessions[0]);
	for (unsigned i = 0; i < 4; i++)
		peers_check_part(kept, i, 30000, i);
	CHECK_GT(peers_n_bytes_used(chain.sessions[0]), 0);
	sea_message_unref(kept);
	chain_fini();
}

TEST(parts, "original parts and one of the forwarder's own travel in one message; each owner gets its memory back")
{
	struct sea_message *message, *product;
	struct sea_frame *frame;

	chain_init(4);
	for (unsigned round = 0; round < n_rounds(20); round++) {
		/* Hops 1 and 2 each add a part of their own. */
		message = chain_carry(frame_of(chain.sessions[0], 6, 100000, 0), 0, 1);
		for (unsigned hop = 1; hop < 3; hop++) {
			frame = peers_frame(chain.sessions[hop], 1 << 20);
			CHECK_EQ(sea_frame_add_message(frame, message), 0);
			CHECK_EQ(sea_frame_n_parts(frame), 5 + hop);
			peers_add(frame, 0, 2000, 100 + hop);
			CHECK_OK(sea_frame_absorb(frame, &message));
			CHECK(!message);
			product = peers_seal(frame);
			message = chain_carry(product, hop, hop + 1);
		}
		CHECK_EQ(sea_message_n_parts(message), 8);
		scribble(chain.sessions[0]);
		scribble(chain.sessions[1]);
		scribble(chain.sessions[2]);
		for (unsigned i = 0; i < 6; i++)
			peers_check_part(message, i, 100000, i);
		peers_check_part(message, 6, 2000, 101);
		peers_check_part(message, 7, 2000, 102);
		for (unsigned i = 0; i < 3; i++)
			CHECK_GT(peers_n_bytes_used(chain.sessions[i]), 0);
		sea_message_unref(message);
	}
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(peers_stats(chain.sessions[i]).n_bytes_copied, 0);
	chain_fini();
}

TEST(classes, "of a message in several blocks of one arena, a chosen part keeps the block in which it lies")
{
	struct sea_frame_options options = { .n_bytes_max = { 1 << 18, 1 << 18, 1 << 18 } };

	chain_init(3);
	for (unsigned class = 0; class < 3; class ++)
		for (int absorbs = 0; absorbs < 2; absorbs++) {
			struct sea_message *message;
			struct sea_frame *frame;

			CHECK_OK(sea_frame_new(&frame, sea_session_heap(chain.sessions[0]), &options, 0));
			for (unsigned i = 0; i < 3; i++)
				peers_add(frame, i, 200000, i);
			message = chain_carry(peers_seal(frame), 0, 1);
			CHECK_OK(sea_frame_new(&frame, sea_session_heap(chain.sessions[1]), NULL, 0));
			CHECK_OK(sea_frame_add_part_of(frame, message, class));
			if (absorbs)
				CHECK_OK(sea_frame_absorb(frame, &message));
			else
				message = sea_message_unref(message);
			message = chain_carry(peers_seal(frame), 1, 2);
			/* Let the owner take back what nobody holds, and use it. */
			CHECK_EVENTUALLY(peers_n_bytes_used(chain.sessions[0]) < 2 * 200000);
			for (unsigned i = 0; i < 5; i++)
				scribble(chain.sessions[0]);
			CHECK_EQ(sea_message_n_parts(message), 1);
			peers_check_part(message, 0, 200000, class);
			sea_message_unref(message);
			peers_wait_unused(chain.sessions[0]);
		}
	chain_fini();
}

TEST(owners, "a message of parts of three owners, in a table of a fourth")
{
	struct sea_session *owners[3], *merger = peers_open(), *sink = peers_open();
	struct sea_channel *push[3], *in, *out, *pull;
	struct sea_message *message, *sources[3];
	struct sea_frame *frame;

	in = peers_bind(merger, SEA_PULL, "in");
	out = peers_bind(merger, SEA_PUSH, "out");
	pull = peers_connect(sink, SEA_PULL, "out");
	for (unsigned i = 0; i < 3; i++) {
		owners[i] = peers_open();
		push[i] = peers_connect(owners[i], SEA_PUSH, "in");
		peers_wait(push[i], 1);
	}
	for (unsigned round = 0; round < n_rounds(20); round++) {
		for (unsigned i = 0; i < 3; i++) {
			peers_send(push[i], frame_of(owners[i], 2, 80000, 10 * i));
			sources[i] = peers_receive(in);
			CHECK_EQ(sea_message_sender(sources[i]), sea_session_id(owners[i]));
		}
		frame = peers_frame(merger, 1 << 16);
		/* Interleaved, and one part twice. */
		for (unsigned j = 0; j < 2; j++)
			for (unsigned i = 0; i < 3; i++)
				CHECK_EQ(sea_frame_add_part_of(frame, sources[i], j), 3 * j + i);
		CHECK_EQ(sea_frame_add_part_of(frame, sources[1], 0), 6);
		peers_add(frame, 0, 10, 99);
		for (unsigned i = 0; i < 3; i++)
			CHECK_OK(sea_frame_absorb(frame, &sources[i]));
		peers_send(out, peers_seal(frame));
		message = peers_receive(pull);
		CHECK_EQ(sea_message_n_parts(message), 8);
		for (unsigned i = 0; i < 3; i++)
			scribble(owners[i]);
		for (unsigned j = 0; j < 2; j++)
			for (unsigned i = 0; i < 3; i++)
				peers_check_part(message, 3 * j + i, 80000, 10 * i + j);
		peers_check_part(message, 6, 80000, 10);
		peers_check_part(message, 7, 10, 99);
		for (unsigned i = 0; i < 3; i++)
			CHECK_GT(peers_n_bytes_used(owners[i]), 0);
		sea_message_unref(message);
		for (unsigned i = 0; i < 3; i++)
			peers_wait_unused(owners[i]);
	}
	CHECK_EQ(peers_stats(merger).n_bytes_copied, 0);
	peers_wait_unused(merger);
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(peers_stats(owners[i]).n_lies, 0);
		sea_channel_close(push[i]);
		sea_session_close(owners[i]);
	}
	sea_channel_close(in);
	sea_channel_close(out);
	sea_channel_close(pull);
	sea_session_close(merger);
	sea_session_close(sink);
}

TEST(subset,
     "passing on small parts out of a large block copies them, and frees the block; large ones it does not copy")
{
	struct sea_message *message;
	struct sea_frame *frame;

	chain_init(3);
	message = chain_carry(frame_of(chain.sessions[0], 100, 10000, 0), 0, 1);
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(chain.sessions[1]), NULL, 0));
	CHECK_OK(sea_frame_add_part_of(frame, message, 17));
	CHECK_OK(sea_frame_absorb(frame, &message));
	message = chain_carry(peers_seal(frame), 1, 2);
	peers_wait_unused(chain.sessions[0]);
	CHECK_EQ(peers_stats(chain.sessions[1]).n_bytes_copied, 10000);
	CHECK_LE(peers_n_bytes_used(chain.sessions[1]), 2 * 10000);
	CHECK_EQ(sea_message_n_parts(message), 1);
	peers_check_part(message, 0, 10000, 17);
	sea_message_unref(message);
	/* All parts but a few: the block goes on. */
	message = chain_carry(frame_of(chain.sessions[0], 100, 10000, 0), 0, 1);
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(chain.sessions[1]), NULL, 0));
	for (unsigned i = 0; i < 90; i++)
		CHECK_EQ(sea_frame_add_part_of(frame, message, i), i);
	CHECK_OK(sea_frame_absorb(frame, &message));
	message = chain_carry(peers_seal(frame), 1, 2);
	CHECK_EQ(peers_stats(chain.sessions[1]).n_bytes_copied, 10000);
	for (unsigned i = 0; i < 90; i++)
		peers_check_part(message, i, 10000, i);
	sea_message_unref(message);
	/* A copy of everything that is small, by request. */
	message = chain_carry(frame_of(chain.sessions[0], 4, 200000, 0), 0, 1);
	{
		struct sea_frame_options options = { .copy_below_n_bytes = UINT64_MAX };

		CHECK_OK(sea_frame_new(&frame, sea_session_heap(chain.sessions[1]), &options, 0));
		CHECK_OK(sea_frame_add_part_of(frame, message, 3));
		CHECK_OK(sea_frame_absorb(frame, &message));
	}
	message = chain_carry(peers_seal(frame), 1, 2);
	peers_wait_unused(chain.sessions[0]);
	CHECK_EQ(peers_stats(chain.sessions[1]).n_bytes_copied, 210000);
	peers_check_part(message, 0, 200000, 3);
	sea_message_unref(message);
	chain_fini();
}

TEST(small, "parts of messages that lie in no memory are copied into the frame")
{
	struct sea_message *message;
	struct sea_frame *frame;

	chain_init(3);
	for (int own = 0; own < 2; own++) {
		message = chain_carry(peers_message(chain.sessions[0], 33, 5), 0, 1);
		if (own)
			frame = peers_frame(chain.sessions[1], 1 << 16);
		else
			CHECK_OK(sea_frame_new(&frame, sea_session_heap(chain.sessions[1]), NULL, 0));
		CHECK_EQ(sea_frame_add_message(frame, message), 0);
		peers_add(frame, 0, 0, 0);
		if (own)
			peers_add(frame, 0, 1000, 6);
		CHECK_OK(sea_frame_absorb(frame, &message));
		message = chain_carry(peers_seal(frame), 1, 2);
		CHECK_EQ(sea_message_n_parts(message), own ? 3 : 2);
		peers_check_part(message, 0, 33, 5);
		peers_check_part(message, 1, 0, 0);
		if (own)
			peers_check_part(message, 2, 1000, 6);
		sea_message_unref(message);
	}
	CHECK_EQ(peers_stats(chain.sessions[1]).n_bytes_copied, 66);
	chain_fini();
}

TEST(nested, "a frame of frames: what was put together is put together again, here and one hop on")
{
	struct sea_message *message, *inner;
	struct sea_frame *frame;

	chain_init(4);
	message = chain_carry(frame_of(chain.sessions[0], 3, 50000, 0), 0, 1);
	frame = peers_frame(chain.sessions[1], 1 << 17);
	peers_add(frame, 0, 60000, 50);
	CHECK_EQ(sea_frame_add_message(frame, message), 1);
	CHECK_OK(sea_frame_absorb(frame, &message));
	inner = peers_seal(frame);
	/* Put together again before it was ever sent. */
	frame = peers_frame(chain.sessions[1], 1 << 17);
	CHECK_EQ(sea_frame_add_message(frame, inner), 0);
	peers_add(frame, 0, 70000, 60);
	sea_message_unref(inner);
	message = chain_carry(peers_seal(frame), 1, 2);
	CHECK_EQ(sea_message_n_parts(message), 5);
	frame = peers_frame(chain.sessions[2], 1 << 17);
	peers_add(frame, 0, 1000, 70);
	CHECK_EQ(sea_frame_add_message(frame, message), 1);
	CHECK_OK(sea_frame_absorb(frame, &message));
	message = chain_carry(peers_seal(frame), 2, 3);
	for (unsigned i = 0; i < 4; i++)
		scribble(chain.sessions[i]);
	CHECK_EQ(sea_message_n_parts(message), 6);
	peers_check_part(message, 0, 1000, 70);
	peers_check_part(message, 1, 60000, 50);
	for (unsigned i = 0; i < 3; i++)
		peers_check_part(message, 2 + i, 50000, i);
	peers_check_part(message, 5, 70000, 60);
	sea_message_unref(message);
	chain_fini();
}

TEST(home, "a message that comes back to its owner is the owner's memory again, and can go out once more")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_channel *a = peers_bind(owner, SEA_PAIR, "there-and-back"),
			   *b = peers_connect(other, SEA_PAIR, "there-and-back");
	struct sea_message *message;
	const void *data;

	peers_wait(a, 1);
	peers_wait(b, 1);
	message = frame_of(owner, 3, 40000, 7);
	data = sea_message_data(message);
	for (unsigned round = 0; round < n_rounds(30); round++) {
		peers_send(a, message);
		message = peers_receive(b);
		peers_send(b, message);
		message = peers_receive(a);
		CHECK(sea_message_data(message) == data);
		CHECK_EQ(sea_message_sender(message), sea_session_id(other));
		CHECK(!sea_message_write(message));
		CHECK_GT(peers_n_bytes_used(owner), 0);
		for (unsigned i = 0; i < 3; i++)
			peers_check_part(message, i, 40000, 7 + i);
	}
	CHECK_OK(sea_message_notify(message, 5));
	sea_message_unref(message);
	{
		uint64_t cookie = 0;

		CHECK_EQ(sea_session_take_done(owner, &cookie, 1), 1);
		CHECK_EQ(cookie, 5);
	}
	/* In a frame of the other's, next to a part of its own. */
	for (unsigned round = 0; round < n_rounds(30); round++) {
		struct sea_frame *frame = peers_frame(other, 1 << 16);

		peers_send(a, peers_message(owner, 90000, round));
		message = peers_receive(b);
		CHECK_EQ(sea_frame_add_message(frame, message), 0);
		peers_add(frame, 0, 100, round + 1);
		CHECK_OK(sea_frame_absorb(frame, &message));
		peers_send(b, peers_seal(frame));
		message = peers_receive(a);
		scribble(owner);
		peers_check_part(message, 0, 90000, round);
		peers_check_part(message, 1, 100, round + 1);
		sea_message_unref(message);
		peers_wait_unused(other);
		CHECK_EQ(peers_n_bytes_used(owner), 0);
	}
	CHECK_EQ(peers_stats(owner).n_lies, 0);
	sea_channel_close(a);
	sea_channel_close(b);
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(absorb_only, "an input of which nothing is passed on goes back when the product was sent, and not before")
{
	struct sea_message *message, *product;
	struct sea_frame *frame;

	chain_init(3);
	message = chain_carry(frame_of(chain.sessions[0], 2, 60000, 0), 0, 1);
	frame = peers_frame(chain.sessions[1], 1 << 16);
	peers_add(frame, 0, 5000, 9);
	CHECK_OK(sea_frame_absorb(frame, &message));
	product = peers_seal(frame);
	CHECK_GT(peers_n_bytes_used(chain.sessions[0]), 0);
	product = chain_carry(product, 1, 2);
	peers_wait_unused(chain.sessions[0]);
	peers_check_part(product, 0, 5000, 9);
	sea_message_unref(product);
	/* A product that is dropped releases its input as well. */
	message = chain_carry(frame_of(chain.sessions[0], 2, 60000, 0), 0, 1);
	frame = peers_frame(chain.sessions[1], 1 << 16);
	peers_add(frame, 0, 5000, 9);
	CHECK_OK(sea_frame_absorb(frame, &message));
	sea_message_unref(peers_seal(frame));
	peers_wait_unused(chain.sessions[0]);
	chain_fini();
}

static void device(void *unused)
{
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_connect(session, SEA_PULL, "to-device");
	struct sea_channel *push = peers_connect(session, SEA_PUSH, "from-device");

	(void)unused;
	for (;;) {
		struct sea_message *message = peers_receive(pull);
		struct sea_frame *frame;
		bool is_last = sea_message_get_tag(message) == UINT64_MAX;

		frame = peers_frame(session, 1 << 16);
		CHECK_EQ(sea_frame_add_message(frame, message), 0);
		peers_add(frame, 0, 300, sea_message_get_tag(message));
		CHECK_OK(sea_frame_absorb(frame, &message));
		peers_send(push, peers_seal(frame));
		if (is_last)
			break;
	}
	CHECK_OK(sea_channel_flush(push, PEERS_LONG_NS));
	sea_channel_close(pull);
	sea_channel_close(push);
	peers_wait_unused(session);
	sea_session_close(session);
}

TEST(processes, "the same with a device in a process of its own: sent out, given a part, sent on")
{
	enum { N = 300 };
	pid_t pid = test_fork(device, NULL);
	struct sea_session *reader = peers_open(), *sink = peers_open();
	struct sea_channel *push = peers_bind(reader, SEA_PUSH, "to-device"),
			   *pull = peers_bind(sink, SEA_PULL, "from-device");

	for (unsigned i = 0; i <= N; i++) {
		struct sea_message *message = frame_of(reader, 5, 1000 * (i % 50), i);

		sea_message_set_tag(message, i == N ? UINT64_MAX : i);
		peers_send(push, message);
	}
	for (unsigned i = 0; i <= N; i++) {
		struct sea_message *message = peers_receive(pull);

		CHECK_EQ(sea_message_n_parts(message), 6);
		for (unsigned j = 0; j < 5; j++)
			peers_check_part(message, j, 1000 * (i % 50), i + j);
		peers_check_part(message, 5, 300, i == N ? UINT64_MAX : i);
		sea_message_unref(message);
	}
	CHECK_EQ(test_wait(pid), 0);
	peers_wait_unused(reader);
	CHECK_EQ(peers_stats(reader).n_lies, 0);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(sink);
	sea_session_close(reader);
}
