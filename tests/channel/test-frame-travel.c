/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of many shapes, as their receiver sees them. */
#include "peers.h"

#include <stdlib.h>

static struct sea_session *producer, *consumer;
static struct sea_channel *push, *pull;

static void travel_init(void)
{
	producer = peers_open();
	consumer = peers_open();
	push = peers_bind(producer, SEA_PUSH, "frames");
	pull = peers_connect(consumer, SEA_PULL, "frames");
	peers_wait(push, 1);
}

static void travel_fini(void)
{
	peers_wait_unused(producer);
	CHECK_EQ(peers_stats(producer).n_lies, 0);
	CHECK_EQ(peers_channel_stats(pull).n_refused, 0);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(consumer);
	sea_session_close(producer);
}

static struct sea_message *travel(struct sea_message *message)
{
	peers_send(push, message);
	return peers_receive(pull);
}

TEST(mixed, "parts of all sizes, empty ones among them, arrive as they were written")
{
	static const size_t sizes[] = { 0, 1, 63, 64, 65, 0, 4095, 4096, 100000, 3, 0, 1 << 20, 17 };
	const size_t n = sizeof(sizes) / sizeof(sizes[0]);
	struct sea_frame *frame;
	struct sea_message *message;
	uint64_t sum = 0;

	travel_init();
	frame = peers_frame(producer, 8 << 20);
	for (size_t i = 0; i < n; i++) {
		peers_add(frame, 0, sizes[i], i);
		sum += sizes[i];
	}
	message = peers_seal(frame);
	sea_message_set_tag(message, 99);
	message = travel(message);
	CHECK_EQ(sea_message_n_parts(message), n);
	CHECK_EQ(sea_message_n_bytes(message), sum);
	CHECK_EQ(sea_message_get_tag(message), 99);
	CHECK_EQ(sea_message_sender(message), sea_session_id(producer));
	CHECK(!sea_message_data(message));
	CHECK_EQ(sea_message_size(message), 0);
	for (size_t i = 0; i < n; i++)
		peers_check_part(message, i, sizes[i], i);
	CHECK_ERR(sea_message_get_part(message, n, &(struct sea_part){ 0 }), -EINVAL);
	CHECK(!sea_message_write(message));
	CHECK_ERR(sea_message_shrink(message, 0), -EINVAL);
	CHECK_ERR(sea_message_notify(message, 1), -EINVAL);
	sea_message_unref(message);
	travel_fini();
}

TEST(empty, "frames without parts, and of one empty part, arrive as such")
{
	struct sea_frame *frame;
	struct sea_message *message;

	travel_init();
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(producer), NULL, 0));
	message = travel(peers_seal(frame));
	CHECK_EQ(sea_message_n_parts(message), 0);
	CHECK_EQ(sea_message_n_bytes(message), 0);
	CHECK(!sea_message_data(message));
	CHECK_EQ(sea_message_size(message), 0);
	sea_message_unref(message);
	message = travel(peers_seal(peers_frame(producer, 1 << 20)));
	CHECK_EQ(sea_message_n_parts(message), 0);
	sea_message_unref(message);
	frame = peers_frame(producer, 1 << 20);
	peers_add(frame, 0, 0, 0);
	message = travel(peers_seal(frame));
	CHECK_EQ(sea_message_n_parts(message), 1);
	peers_check_part(message, 0, 0, 0);
	sea_message_unref(message);
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(producer), NULL, 0));
	peers_add(frame, 0, 0, 0);
	message = travel(peers_seal(frame));
	CHECK_EQ(sea_message_n_parts(message), 1);
	sea_message_unref(message);
	travel_fini();
}

TEST(alignment, "a part's address is a multiple of its alignment, from 1 byte to 2 MiB, at both ends")
{
	struct sea_frame *frame;
	struct sea_message *message;
	unsigned n = 0;

	travel_init();
	frame = peers_frame(producer, 64 << 20);
	for (size_t alignment = 1; alignment <= SEA_ALIGNMENT_MAX; alignment *= 2, n++) {
		void *data;

		CHECK_OK(sea_frame_add(frame, 5, alignment, &data));
		CHECK_EQ((uintptr_t)data % alignment, 0);
		peers_fill(data, 5, n);
	}
	message = travel(peers_seal(frame));
	for (unsigned i = 0; i < n; i++) {
		struct sea_part part;

		CHECK_OK(sea_message_get_part(message, i, &part));
		CHECK_EQ((uintptr_t)part.data % ((size_t)1 << i), 0);
		peers_check(part.data, 5, i);
	}
	sea_message_unref(message);
	for (size_t alignment = 64; alignment <= SEA_ALIGNMENT_MAX; alignment *= 2) {
		CHECK_OK(sea_message_new(&message, sea_session_heap(producer), 10, alignment, 0));
		CHECK_EQ((uintptr_t)sea_message_write(message) % alignment, 0);
		peers_fill(sea_message_write(message), 10, alignment);
		message = travel(message);
		CHECK_EQ((uintptr_t)sea_message_data(message) % alignment, 0);
		peers_check_part(message, 0, 10, alignment);
		sea_message_unref(message);
	}
	travel_fini();
}

TEST(classes, "parts that are laid out in several blocks arrive in the order in which they were added")
{
	struct sea_frame_options options = { .n_bytes_max = { [0] = 1 << 20, [3] = 1 << 20, [15] = 4 << 20 } };
	struct sea_frame *frame;
	struct sea_message *message;

	travel_init();
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(producer), &options, 0));
	for (unsigned i = 0; i < 160; i++)
		peers_add(frame, i % 16, 1000 + i, i);
	message = travel(peers_seal(frame));
	CHECK_EQ(sea_message_n_parts(message), 160);
	for (unsigned i = 0; i < 160; i++)
		peers_check_part(message, i, 1000 + i, i);
	sea_message_unref(message);
	travel_fini();
}

TEST(many, "a frame of 33 000 parts arrives whole, whether or not that many were expected")
{
	enum { N = 33000 };

	travel_init();
	for (int hint = 0; hint < 2; hint++) {
		struct sea_frame_options options = { .n_bytes_max = { 64 << 20 }, .n_parts_hint = hint ? N : 0 };
		struct sea_frame *frame;
		struct sea_message *message;

		CHECK_OK(sea_frame_new(&frame, sea_session_heap(producer), &options, 0));
		for (unsigned i = 0; i < N; i++)
			peers_add(frame, 0, i % 97, i);
		CHECK_EQ(sea_frame_n_parts(frame), N);
		message = travel(peers_seal(frame));
		CHECK_EQ(sea_message_n_parts(message), N);
		for (unsigned i = 0; i < N; i++)
			peers_check_part(message, i, i % 97, i);
		sea_message_unref(message);
	}
	travel_fini();
}

TEST(full, "a frame that uses its reserve to the last byte finds a place for its table, and is one part without one")
{
	struct sea_frame *frame;
	struct sea_message *message;
	void *data;

	travel_init();
	for (size_t n_bytes = 1; n_bytes < 300000; n_bytes = n_bytes * 3 + 1)
		for (unsigned n_parts = 1; n_parts < 4; n_parts++) {
			frame = peers_frame(producer, n_bytes * n_parts);
			for (unsigned i = 0; i < n_parts; i++) {
				CHECK_OK(sea_frame_add(frame, n_bytes, 1, &data));
				peers_fill(data, n_bytes, i);
			}
			CHECK_ERR(sea_frame_add(frame, 1, 1, &data), -E2BIG);
			message = travel(peers_seal(frame));
			CHECK_EQ(sea_message_n_parts(message), n_parts);
			for (unsigned i = 0; i < n_parts; i++)
				peers_check_part(message, i, n_bytes, i);
			sea_message_unref(message);
		}
	travel_fini();
}

TEST(sizes, "messages of one part of every kind of size arrive, small ones inside of their descriptor")
{
	travel_init();
	for (size_t n_bytes = 0; n_bytes < 200; n_bytes++) {
		struct sea_message *message = travel(peers_message(producer, n_bytes, n_bytes));

		CHECK_EQ(sea_message_n_parts(message), 1);
		CHECK_EQ(sea_message_size(message), n_bytes);
		CHECK_EQ(sea_message_get_tag(message), n_bytes);
		peers_check_part(message, 0, n_bytes, n_bytes);
		sea_message_unref(message);
	}
	for (size_t n_bytes = 256; n_bytes <= (size_t)64 << 20; n_bytes *= 4) {
		struct sea_message *message = travel(peers_message(producer, n_bytes, 1));

		peers_check_part(message, 0, n_bytes, 1);
		sea_message_unref(message);
	}
	travel_fini();
}

TEST(shrink, "what was cut before it was sent arrives cut")
{
	struct sea_message *message;

	travel_init();
	message = peers_message(producer, 10000, 4);
	CHECK_ERR(sea_message_shrink(message, 10001), -EINVAL);
	CHECK_OK(sea_message_shrink(message, 7));
	CHECK_EQ(sea_message_size(message), 7);
	message = travel(message);
	peers_check_part(message, 0, 7, 4);
	sea_message_unref(message);
	message = peers_message(producer, 10000, 4);
	CHECK_OK(sea_message_shrink(message, 0));
	message = travel(message);
	CHECK_EQ(sea_message_n_parts(message), 1);
	peers_check_part(message, 0, 0, 0);
	sea_message_unref(message);
	message = peers_message(producer, 30, 4);
	CHECK_OK(sea_message_shrink(message, 9));
	message = travel(message);
	peers_check_part(message, 0, 9, 4);
	sea_message_unref(message);
	travel_fini();
}

TEST(held, "a frame stays as it is while it is held, whatever its producer does next")
{
	enum { N = 40 };
	struct sea_message *held[N];

	travel_init();
	for (unsigned i = 0; i < N; i++) {
		struct sea_frame *frame = peers_frame(producer, 1 << 20);

		for (unsigned j = 0; j < 20; j++)
			peers_add(frame, 0, 500 * j, i * 20 + j);
		held[i] = travel(peers_seal(frame));
	}
	/* Released out of order, and used again in between. */
	for (unsigned i = 0; i < N; i++) {
		unsigned k = i % 2 ? N - 1 - i / 2 : i / 2;

		for (unsigned j = 0; j < 20; j++)
			peers_check_part(held[k], j, 500 * j, k * 20 + j);
		sea_message_unref(held[k]);
		sea_message_unref(travel(peers_message(producer, 1 << 20, 0xee)));
	}
	travel_fini();
}
