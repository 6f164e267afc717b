/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are cut, made anew, aligned, empty or copied before they are sent, on every road; FairMQ's Message suite. */
#include "peers.h"

#include <string.h>

struct road {
	struct sea_session *a, *b;
	struct sea_channel *push, *pull;
};

static void road_open(struct road *road, unsigned n)
{
	road->a = peers_open();
	road->b = peers_open();
	road->push = peers_bind_on(n, road->a, SEA_PUSH, "road");
	road->pull = peers_connect_on(n, road->b, SEA_PULL, "road");
	peers_wait(road->push, 1);
	peers_wait(road->pull, 1);
}

/* With nothing left in use. */
static void road_close(struct road *road)
{
	peers_wait_unused(road->a);
	sea_channel_close(road->push);
	sea_channel_close(road->pull);
	sea_session_close(road->b);
	sea_session_close(road->a);
}

static struct sea_message *road_pass(struct road *road, struct sea_message *message)
{
	peers_send(road->push, message);
	return peers_receive(road->pull);
}

/* A message that begins with ABCDEF. */
static struct sea_message *letters(struct sea_session *session, size_t n_bytes)
{
	struct sea_message *message = peers_message(session, n_bytes, 1);

	memcpy(sea_message_write(message), "ABCDEF", 6);
	return message;
}

TEST(cut, "a message that is cut keeps its bytes at each step, is never made longer, and it and its copy arrive cut")
{
	static const size_t sizes[] = { 6, 100, 70000, 3000000 };

	for (unsigned n = 0; n < peers_n_roads(); n++) {
		struct road road;

		road_open(&road, n);
		for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			struct sea_message *message = letters(road.a, sizes[i]), *copy, *received;

			for (unsigned again = 0; again < 2; again++) {
				CHECK_OK(sea_message_shrink(message, 5));
				CHECK_EQ(sea_message_size(message), 5);
				CHECK_MEM_EQ(sea_message_data(message), "ABCDE", 5);
			}
			CHECK_ERR(sea_message_shrink(message, 7), -EINVAL);
			CHECK_EQ(sea_message_size(message), 5);
			CHECK_OK(sea_message_shrink(message, 2));
			CHECK_EQ(sea_message_n_bytes(message), 2);
			CHECK_MEM_EQ(sea_message_data(message), "AB", 2);
			copy = sea_message_ref(message);
			CHECK_EQ(sea_message_size(copy), 2);
			received = road_pass(&road, message);
			CHECK_EQ(sea_message_size(received), 2);
			CHECK_MEM_EQ(sea_message_data(received), "AB", 2);
			sea_message_unref(received);
			received = road_pass(&road, copy);
			CHECK_EQ(sea_message_size(received), 2);
			CHECK_MEM_EQ(sea_message_data(received), "AB", 2);
			sea_message_unref(received);
		}
		road_close(&road);
	}
}

TEST(to_nothing, "a message that is cut to nothing is one of no bytes for whoever has it, and gives its memory back")
{
	for (unsigned n = 0; n < peers_n_roads(); n++) {
		struct road road;
		struct sea_message *message, *copy;

		road_open(&road, n);
		message = peers_message(road.a, 1000, 1);
		CHECK_OK(sea_message_shrink(message, 0));
		CHECK_EQ(sea_message_size(message), 0);
		CHECK(!sea_message_data(message));
		CHECK(!sea_message_write(message));
		copy = sea_message_ref(message);
		CHECK_EQ(sea_message_size(copy), 0);
		for (unsigned i = 0; i < 2; i++) {
			message = road_pass(&road, i ? copy : message);
			CHECK_EQ(sea_message_n_parts(message), 1);
			peers_check_part(message, 0, 0, 0);
			CHECK_EQ(sea_message_size(message), 0);
			CHECK(!sea_message_data(message));
			sea_message_unref(message);
		}
		road_close(&road);
	}
}

TEST(empty, "empty messages and copies of them arrive one by one, each without bytes, whatever they were before")
{
	for (unsigned n = 0; n < peers_n_roads(); n++) {
		struct road road;
		struct sea_message *message, *copy;

		road_open(&road, n);
		message = peers_message(road.a, 0, 0);
		CHECK(!sea_message_data(message));
		/* As FairMQ's Rebuild(): another in its place. */
		sea_message_unref(message);
		message = peers_message(road.a, 100, 0);
		CHECK(sea_message_data(message));
		sea_message_unref(message);
		message = peers_message(road.a, 0, 0);
		CHECK(!sea_message_data(message));
		copy = sea_message_ref(message);
		CHECK_EQ(sea_message_size(copy), 0);
		peers_send(road.push, message);
		peers_send(road.push, copy);
		for (unsigned i = 0; i < 2; i++) {
			message = peers_receive(road.pull);
			CHECK_EQ(sea_message_size(message), 0);
			CHECK(!sea_message_data(message));
			sea_message_unref(message);
		}
		CHECK_ERR(sea_channel_receive(road.pull, &message, 0), -EAGAIN);
		road_close(&road);
	}
}

static void count_free(void *data, void *userdata)
{
	/* Nothing reads it any more. */
	memset(data, 'x', 4);
	++*(unsigned *)userdata;
}

TEST(anew, "a message is made in the place of another one out of the caller's bytes, which are freed once")
{
	for (unsigned n = 0; n < peers_n_roads(); n++) {
		struct road road;
		struct sea_message *message;
		unsigned n_freed = 0;
		char bytes[] = "asdf";

		road_open(&road, n);
		message = peers_message(road.a, 0, 0);
		sea_message_unref(message);
		message = peers_message(road.a, 100, 0);
		CHECK_EQ(sea_message_size(message), 100);
		sea_message_unref(message);
		CHECK_OK(sea_message_new_from(&message, sea_session_heap(road.a), bytes, 4, 0, count_free, &n_freed,
		                              PEERS_LONG_NS));
		CHECK_EQ(n_freed, 1);
		message = road_pass(&road, message);
		CHECK_EQ(sea_message_size(message), 4);
		CHECK_MEM_EQ(sea_message_data(message), "asdf", 4);
		sea_message_unref(message);
		CHECK_EQ(n_freed, 1);
		road_close(&road);
	}
}

TEST(aligned, "a message is aligned as asked for, made anew as asked for then, and over shared memory so it arrives")
{
	static const size_t sizes[] = { 100, 32, 25, 50 }, alignments[] = { 64, 32, 0, 4096 };

	for (unsigned n = 0; n < peers_n_roads(); n++) {
		struct road road;

		road_open(&road, n);
		for (unsigned i = 0; i < 16; i++) {
			size_t n_bytes = sizes[i / 4], alignment = alignments[i % 4];
			struct sea_message *message, *copy;
			const void *data;

			CHECK_OK(
				sea_message_new(&message, sea_session_heap(road.a), n_bytes, alignment, PEERS_LONG_NS));
			peers_fill(sea_message_write(message), n_bytes, i);
			data = sea_message_data(message);
			CHECK_EQ((uintptr_t)data % (alignment ? alignment : SEA_ALIGNMENT_DEFAULT), 0);
			copy = sea_message_ref(message);
			CHECK(sea_message_data(copy) == data);
			message = road_pass(&road, message);
			peers_check_part(message, 0, n_bytes, i);
			/* libzmq has memory of its own; who needs it aligned makes a message of it. */
			if (n) {
				struct sea_message *moved;

				CHECK_OK(sea_message_new(&moved, sea_session_heap(road.b), n_bytes, alignment,
				                         PEERS_LONG_NS));
				memcpy(sea_message_write(moved), sea_message_data(message), n_bytes);
				sea_message_unref(message);
				message = moved;
			}
			if (alignment)
				CHECK_EQ((uintptr_t)sea_message_data(message) % alignment, 0);
			sea_message_unref(message);
			sea_message_unref(copy);
		}
		road_close(&road);
	}
}

TEST(copies, "a copy is the same bytes at the same place, both count it, and its end leaves the other as it was")
{
	static const size_t sizes[] = { 4, 1000, 70000 };

	for (unsigned n = 0; n < peers_n_roads(); n++) {
		struct road road;

		road_open(&road, n);
		for (unsigned i = 0; i < 3; i++) {
			struct sea_message *message = peers_message(road.a, sizes[i], i), *copy, *received;
			const void *data = sea_message_data(message);

			CHECK_EQ(sea_message_n_references(message), 1);
			copy = sea_message_ref(message);
			CHECK(sea_message_data(copy) == data);
			CHECK_EQ(sea_message_n_references(message), 2);
			CHECK_EQ(sea_message_n_references(copy), 2);
			peers_check_part(copy, 0, sizes[i], i);
			sea_message_unref(copy);
			CHECK_EQ(sea_message_n_references(message), 1);
			peers_check_part(message, 0, sizes[i], i);
			/* The same with the copy in another process's hands. */
			received = road_pass(&road, sea_message_ref(message));
			peers_check_part(received, 0, sizes[i], i);
			peers_check_part(message, 0, sizes[i], i);
			copy = sea_message_ref(received);
			CHECK_EQ(sea_message_n_references(received), 2);
			CHECK(sea_message_data(copy) == sea_message_data(received));
			sea_message_unref(received);
			peers_check_part(copy, 0, sizes[i], i);
			sea_message_unref(copy);
			CHECK_EVENTUALLY(sea_message_n_references(message) == 1);
			peers_check_part(message, 0, sizes[i], i);
			sea_message_unref(message);
		}
		road_close(&road);
	}
}
