/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of messages over regions, many of them, over libzmq, and regions of several sessions in one process; FairMQ's ZeroCopyFromUnmanaged and Region suites. */
#include "peers.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define N_BYTES ((size_t)4 << 20)

/* What the callbacks were told. */
struct told {
	_Atomic unsigned n;
	struct sea_region_block blocks[16];
	_Atomic unsigned n_calls;
};

static void tell(const struct sea_region_block *blocks, size_t n_blocks, void *userdata)
{
	struct told *told = userdata;

	told->n_calls++;
	for (size_t i = 0; i < n_blocks; i++) {
		CHECK_LT(told->n, 16);
		told->blocks[told->n] = blocks[i];
		told->n++;
	}
}

static void tell_one(void *data, size_t n_bytes, uint64_t hint, void *userdata)
{
	tell(&(struct sea_region_block){ data, n_bytes, hint }, 1, userdata);
}

static struct sea_region *region_open(struct sea_session *session, struct told *told, bool is_bulk)
{
	struct sea_region_options options = { .n_bytes = N_BYTES,
		                              .name = "ring",
		                              .on_release = is_bulk ? tell : NULL,
		                              .on_release_one = is_bulk ? NULL : tell_one,
		                              .userdata = told };
	struct sea_region *region;

	if (getenv("SEALANE_TEST_TRANSPORT"))
		options.protection = SEA_PROTECTION_SHARED;
	CHECK_OK(sea_region_new(&region, session, &options));
	return region;
}

static uint8_t *at(struct sea_region *region, size_t offset)
{
	return (uint8_t *)sea_region_data(region) + offset;
}

static struct sea_message *piece(struct sea_region *region, size_t offset, size_t n_bytes, uint64_t hint)
{
	struct sea_message *message;

	CHECK_OK(sea_message_new_in_region(&message, region, at(region, offset), n_bytes, hint));
	return message;
}

/* Fails if any byte of the region is not what region_fill() wrote. */
static void region_check(struct sea_region *region)
{
	for (size_t i = 0; i < N_BYTES; i++)
		if (*at(region, i) != (uint8_t)(i * 7 + (i >> 12)))
			FAIL("byte %zu of the region was written", i);
}

static void region_fill(struct sea_region *region)
{
	for (size_t i = 0; i < N_BYTES; i++)
		*at(region, i) = (uint8_t)(i * 7 + (i >> 12));
}

TEST(copies, "copies of messages over a region are counted, no byte of it is touched, and each message is told of once")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct sea_channel *push = peers_bind(owner, SEA_PUSH, "c"), *pull = peers_connect(other, SEA_PULL, "c");
	struct told told = { 0 };
	struct sea_region *region = region_open(owner, &told, true);
	struct sea_region_stats stats;
	struct sea_message *first = piece(region, 1000, 100, 1), *second = piece(region, 1100, 100, 2);
	struct sea_message *copy, *copy_of_copy, *received[2];

	peers_wait(push, 1);
	region_fill(region);
	CHECK_EQ(sea_message_n_references(first), 1);
	copy = sea_message_ref(first);
	CHECK_EQ(sea_message_n_references(first), 2);
	copy_of_copy = sea_message_ref(copy);
	CHECK_EQ(sea_message_n_references(copy_of_copy), 3);
	CHECK_EQ(sea_message_size(copy), 100);
	CHECK_EQ(sea_message_size(copy_of_copy), 100);
	CHECK(sea_message_data(copy) == at(region, 1000));
	CHECK(sea_message_data(copy_of_copy) == at(region, 1000));
	/* One of the three, and one that has no copies. */
	peers_send(push, copy);
	peers_send(push, second);
	for (unsigned i = 0; i < 2; i++) {
		received[i] = peers_receive(pull);
		CHECK_EQ(sea_message_size(received[i]), 100);
		CHECK_MEM_EQ(sea_message_data(received[i]), at(region, 1000 + 100 * i), 100);
	}
	CHECK_EQ(sea_message_n_references(first), 3);
	/* The receiver copies what it alone holds. */
	copy = sea_message_ref(received[1]);
	CHECK_EQ(sea_message_n_references(copy), 2);
	sea_message_unref(copy);
	CHECK_EQ(sea_message_n_references(received[1]), 1);
	region_check(region);
	CHECK_EQ(told.n, 0);
	sea_message_unref(received[0]);
	CHECK_EVENTUALLY(sea_message_n_references(first) == 2);
	sea_message_unref(copy_of_copy);
	CHECK_EQ(sea_message_n_references(first), 1);
	CHECK_EQ(told.n, 0);
	sea_message_unref(received[1]);
	CHECK_EVENTUALLY(told.n == 1);
	CHECK_EQ(told.blocks[0].hint, 2);
	sea_message_unref(first);
	CHECK_EVENTUALLY(told.n == 2);
	CHECK_EQ(told.blocks[1].hint, 1);
	region_check(region);
	CHECK(!sea_region_close(region, &stats));
	CHECK_EQ(stats.n_out, 0);
	CHECK_EQ(told.n, 2);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(other);
	sea_session_close(owner);
}

/* A sender and two receivers, whose queues take n messages each. */
struct fan {
	struct sea_session *owner, *others[2];
	struct sea_channel *push, *pulls[2];
	struct told told;
	struct sea_region *region;
};

static void fan_open(struct fan *fan, int32_t n, unsigned n_receivers)
{
	struct sea_channel_options options = { .sndbuf = n, .rcvbuf = -1 };

	*fan = (struct fan){ .owner = peers_open() };
	CHECK_OK(sea_channel_new(&fan->push, fan->owner, SEA_PUSH, &options));
	CHECK_OK(sea_channel_bind(fan->push, "many"));
	for (unsigned i = 0; i < n_receivers; i++) {
		fan->others[i] = peers_open();
		CHECK_OK(sea_channel_new(&fan->pulls[i], fan->others[i], SEA_PULL, &options));
		CHECK_OK(sea_channel_connect(fan->pulls[i], "many"));
	}
	peers_wait(fan->push, n_receivers);
	fan->region = region_open(fan->owner, &fan->told, true);
	peers_fill(at(fan->region, 0), 1000, 1);
}

static void fan_close(struct fan *fan)
{
	CHECK_EVENTUALLY(fan->told.n == 1);
	CHECK(!sea_region_close(fan->region, NULL));
	CHECK_EQ(fan->told.n, 1);
	sea_channel_close(fan->push);
	for (unsigned i = 0; i < 2; i++) {
		sea_channel_close(fan->pulls[i]);
		sea_session_close(fan->others[i]);
	}
	sea_session_close(fan->owner);
}

TEST(many, "a message of which more than sixty-five thousand copies are out is told of once, after the last of them")
{
	enum { N = 70000 };
	struct fan fan;
	struct sea_message *message, **received = calloc(N, sizeof(received[0]));

	CHECK(received);
	fan_open(&fan, N / 2, 2);
	message = piece(fan.region, 0, 1000, 1);
	for (unsigned i = 0; i < N; i++)
		sea_message_ref(message);
	CHECK_EQ(sea_message_n_references(message), N + 1);
	for (unsigned i = 0; i < N; i++)
		peers_send(fan.push, message);
	CHECK_EQ(sea_message_n_references(message), N + 1);
	sea_message_unref(message);
	for (unsigned i = 0; i < N; i++)
		received[i] = peers_receive(fan.pulls[i % 2]);
	for (unsigned i = 0; i < N - 1; i++)
		received[i] = sea_message_unref(received[i]);
	peers_check_part(received[N - 1], 0, 1000, 1);
	CHECK_EQ(fan.told.n, 0);
	sea_message_unref(received[N - 1]);
	free(received);
	fan_close(&fan);
}

TEST(most, "one process holds a message 65534 times at most: one more is refused, stays the sender's, and goes later")
{
	enum { MOST = 65534 };
	struct fan fan;
	struct sea_message *message, *same;

	fan_open(&fan, 70000, 1);
	same = message = piece(fan.region, 0, 1000, 1);
	for (unsigned i = 0; i < MOST; i++)
		peers_send(fan.push, sea_message_ref(message));
	CHECK_ERR(sea_channel_send(fan.push, &message, 0), -E2BIG);
	CHECK_ERR(sea_channel_send(fan.push, &message, PEERS_LONG_NS), -E2BIG);
	CHECK(message == same);
	CHECK_EQ(sea_message_n_references(message), MOST + 1);
	peers_check_part(message, 0, 1000, 1);
	sea_message_unref(peers_receive(fan.pulls[0]));
	CHECK_EVENTUALLY(sea_channel_send(fan.push, &message, 0) == 0);
	for (unsigned i = 0; i < MOST; i++) {
		CHECK_EQ(fan.told.n, 0);
		message = peers_receive(fan.pulls[0]);
		peers_check_part(message, 0, 1000, 1);
		sea_message_unref(message);
	}
	fan_close(&fan);
}

TEST(many_forwarded,
     "copies beyond all counting that a forwarder passes on keep the message whole until their holder is gone")
{
	enum { N = 70000 };
	struct sea_session *forwarder;
	struct sea_channel_options options = { .sndbuf = N, .rcvbuf = -1 };
	struct sea_channel *in, *out, *pull;
	struct fan fan;
	struct sea_message *message, **received = calloc(N, sizeof(received[0]));

	CHECK(received);
	fan_open(&fan, 1, 0);
	forwarder = peers_open();
	fan.others[0] = peers_open();
	in = peers_connect(forwarder, SEA_PULL, "many");
	peers_wait(fan.push, 1);
	CHECK_OK(sea_channel_new(&out, forwarder, SEA_PUSH, &options));
	CHECK_OK(sea_channel_new(&pull, fan.others[0], SEA_PULL, &options));
	CHECK_OK(sea_channel_bind(out, "on"));
	CHECK_OK(sea_channel_connect(pull, "on"));
	peers_wait(out, 1);
	peers_send(fan.push, piece(fan.region, 0, 1000, 1));
	message = peers_receive(in);
	for (unsigned i = 0; i < N; i++)
		peers_send(out, sea_message_ref(message));
	sea_message_unref(message);
	for (unsigned i = 0; i < N; i++)
		received[i] = peers_receive(pull);
	for (unsigned i = 0; i < N - 1; i++)
		received[i] = sea_message_unref(received[i]);
	/* The forwarder's end is noticed after all that it had to say was read. */
	sea_channel_close(in);
	sea_channel_close(out);
	sea_session_close(forwarder);
	CHECK_EVENTUALLY(peers_stats(fan.owner).n_deaths == 1);
	peers_stats(fan.owner); /* reads what others have released */
	CHECK_EQ(fan.told.n, 0);
	CHECK_EQ(peers_stats(fan.owner).n_lies, 0);
	peers_check_part(received[N - 1], 0, 1000, 1);
	sea_message_unref(received[N - 1]);
	free(received);
	sea_channel_close(pull);
	fan.others[0] = sea_session_close(fan.others[0]);
	fan_close(&fan);
}

TEST(roads, "on every road each part of a region is told of once with its place, its size and its word")
{
	static const struct {
		size_t n_bytes;
		uint64_t hint;
	} cases[] = { { 100, 42 }, { 200, 43 }, { 0, 44 }, { 100000, 45 } };

	for (unsigned i = 0; i < 2 * peers_n_roads(); i++) {
		struct sea_session *owner = peers_open(), *other = peers_open();
		struct sea_channel *push = peers_bind_on(i / 2, owner, SEA_PUSH, "r"),
				   *pull = peers_connect_on(i / 2, other, SEA_PULL, "r");
		struct told told = { 0 };
		struct sea_region *region = region_open(owner, &told, i % 2);

		peers_wait(push, 1);
		for (unsigned j = 0; j < 4; j++) {
			struct sea_message *message;

			peers_fill(at(region, 8 * j), cases[j].n_bytes, j);
			peers_send(push, piece(region, 8 * j, cases[j].n_bytes, cases[j].hint));
			message = peers_receive(pull);
			peers_check_part(message, 0, cases[j].n_bytes, j);
			sea_message_unref(message);
			CHECK_EVENTUALLY(told.n == j + 1);
			CHECK(told.blocks[j].data == at(region, 8 * j));
			CHECK_EQ(told.blocks[j].n_bytes, cases[j].n_bytes);
			CHECK_EQ(told.blocks[j].hint, cases[j].hint);
		}
		CHECK(!sea_region_close(region, NULL));
		CHECK_EQ(told.n, 4);
		sea_channel_close(push);
		sea_channel_close(pull);
		sea_session_close(other);
		sea_session_close(owner);
	}
}

/* A session of another name, with heaps as peers_open() has them. */
static struct sea_session *named(const char *name)
{
	struct sea_session_options options = { .name = name, .quota_n_bytes = UINT64_C(64) << 20 };
	struct sea_session *session;

	if (getenv("SEALANE_TEST_TRANSPORT"))
		options.transport = SEA_TRANSPORT_SHMEM;
	CHECK_OK(sea_session_open(&session, &options));
	return session;
}

TEST(two_sessions, "equal regions of two sessions that one thread has open are never taken for each other")
{
	static const char letters[] = "abcd";

	for (unsigned road = 0; road < peers_n_roads(); road++) {
		struct told told[2] = { 0 };
		struct sea_session *owners[2], *others[2];
		struct sea_channel *push[2], *pull[2];
		struct sea_region *regions[2];
		struct sea_message *messages[4];
		struct sea_meta metas[2];

		for (unsigned i = 0; i < 2; i++) {
			owners[i] = named(i ? "one" : "two");
			others[i] = named(i ? "one" : "two");
			regions[i] = region_open(owners[i], &told[i], true);
			/* Over libzmq the addresses are those of the machine. */
			push[i] = peers_bind_on(road, owners[i], SEA_PUSH, road && i ? "s1" : "s0");
			pull[i] = peers_connect_on(road, others[i], SEA_PULL, road && i ? "s1" : "s0");
			peers_wait(push[i], 1);
		}
		for (unsigned i = 0; i < 4; i++) {
			memset(at(regions[i % 2], 64 * (i / 2)), letters[i], 64);
			messages[i] = piece(regions[i % 2], 64 * (i / 2), 64, i);
			if (i < 2)
				CHECK_OK(sea_message_meta(messages[i], 0, 0, &metas[i]));
			peers_send(push[i % 2], messages[i]);
		}
		CHECK_EQ(metas[0].arena_id, metas[1].arena_id);
		CHECK_EQ(metas[0].block_id, metas[1].block_id);
		CHECK_EQ(metas[0].offset, metas[1].offset);
		for (unsigned i = 0; i < 4; i++)
			messages[i] = peers_receive(pull[i % 2]);
		for (unsigned i = 0; i < 4; i++) {
			CHECK_EQ(sea_message_size(messages[i]), 64);
			for (unsigned j = 0; j < 64; j++)
				CHECK_EQ(((const char *)sea_message_data(messages[i]))[j], letters[i]);
		}
		if (road == 0)
			for (unsigned i = 0; i < 2; i++) {
				struct sea_resolved resolved;

				CHECK_OK(sea_meta_resolve(others[i], &metas[i], PEERS_LONG_NS, &resolved));
				CHECK_EQ(*(const char *)resolved.data, letters[i]);
				CHECK_ERR(sea_meta_resolve(others[!i], &metas[i], PEERS_LONG_NS, &resolved), -EREMOTE);
			}
		sea_message_unref_many(messages, 4);
		for (unsigned i = 0; i < 2; i++) {
			CHECK_EVENTUALLY(told[i].n == 2);
			sea_channel_close(push[i]);
			sea_channel_close(pull[i]);
			CHECK(!sea_region_close(regions[i], NULL));
			sea_session_close(others[i]);
			sea_session_close(owners[i]);
		}
	}
}
