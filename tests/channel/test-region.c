/* SPDX-License-Identifier: Apache-2.0 */
/* Regions: the user's own memory in messages, and being told when nobody holds a part of it any more. */
#include "peers.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define N_BYTES ((size_t)4 << 20)

/* What a callback was told, in order. */
struct told {
	_Atomic uint32_t n;
	_Atomic uint32_t n_calls;
	uint64_t hints[1 << 16];
	size_t n_bytes[1 << 16];
	void *data[1 << 16];
	pthread_t thread;
};

static void tell(const struct sea_region_block *blocks, size_t n_blocks, void *userdata)
{
	struct told *told = userdata;
	uint32_t n = told->n;

	CHECK_GT(n_blocks, 0);
	told->thread = pthread_self();
	for (size_t i = 0; i < n_blocks; i++, n++) {
		told->hints[n % (1 << 16)] = blocks[i].hint;
		told->n_bytes[n % (1 << 16)] = blocks[i].n_bytes;
		told->data[n % (1 << 16)] = blocks[i].data;
	}
	told->n_calls++;
	told->n = n;
}

static struct sea_region *region_open(struct sea_session *session, struct told *told, uint32_t n_blocks_max)
{
	struct sea_region_options options = { .n_bytes = N_BYTES,
		                              .name = "ring",
		                              .n_blocks_max = n_blocks_max,
		                              .linger_ns = PEERS_SHORT_NS,
		                              .on_release = told ? tell : NULL,
		                              .userdata = told };
	struct sea_region *region;

	if (getenv("SEALANE_TEST_TRANSPORT"))
		options.protection = SEA_PROTECTION_SHARED;
	CHECK_OK(sea_region_new(&region, session, &options));
	CHECK_EQ(sea_region_size(region), N_BYTES);
	CHECK_EQ((uintptr_t)sea_region_data(region) % (2 << 20), 0);
	return region;
}

static uint8_t *at(struct sea_region *region, size_t offset)
{
	return (uint8_t *)sea_region_data(region) + offset;
}

static struct sea_message *piece(struct sea_region *region, size_t offset, size_t n_bytes, uint64_t hint)
{
	struct sea_message *message;

	if (n_bytes)
		peers_fill(at(region, offset), n_bytes, hint);
	CHECK_OK(sea_message_new_in_region(&message, region, at(region, offset), n_bytes, hint));
	return message;
}

struct pipe {
	struct sea_session *owner, *other;
	struct sea_channel *push, *pull;
	struct told *told;
	struct sea_region *region;
};

static void pipe_open(struct pipe *pipe, bool has_callback)
{
	pipe->owner = peers_open();
	pipe->other = peers_open();
	pipe->push = peers_bind(pipe->owner, SEA_PUSH, "r");
	pipe->pull = peers_connect(pipe->other, SEA_PULL, "r");
	peers_wait(pipe->push, 1);
	peers_wait(pipe->pull, 1);
	pipe->told = calloc(1, sizeof(*pipe->told));
	pipe->region = region_open(pipe->owner, has_callback ? pipe->told : NULL, 0);
}

static void pipe_close(struct pipe *pipe)
{
	struct sea_region_stats stats;

	sea_channel_close(pipe->push);
	sea_channel_close(pipe->pull);
	CHECK(!sea_region_close(pipe->region, &stats));
	CHECK_EQ(stats.n_out, 0);
	sea_session_close(pipe->other);
	sea_session_close(pipe->owner);
	free(pipe->told);
}

TEST(travel, "a part of a region travels without a copy, and its owner is told once when nobody holds it any more")
{
	struct pipe pipe;
	static const size_t sizes[] = { 0, 1, 63, 4096, 100001, N_BYTES };

	pipe_open(&pipe, true);
	for (unsigned i = 0; i < 6; i++) {
		size_t offset = sizes[i] == N_BYTES ? 0 : 17 * i;
		struct sea_message *message = piece(pipe.region, offset, sizes[i], i);

		peers_send(pipe.push, message);
		message = peers_receive(pipe.pull);
		CHECK_EQ(pipe.told->n, i);
		peers_check_part(message, 0, sizes[i], i);
		sea_message_unref(message);
		CHECK_EVENTUALLY(pipe.told->n == i + 1);
		CHECK_EQ(pipe.told->hints[i], i);
		CHECK_EQ(pipe.told->n_bytes[i], sizes[i]);
		CHECK(pipe.told->data[i] == at(pipe.region, offset));
	}
	CHECK(!pthread_equal(pipe.told->thread, pthread_self()));
	CHECK_EQ(peers_stats(pipe.other).n_bytes_copied, 0);
	pipe_close(&pipe);
}

static void tell_one(void *data, size_t n_bytes, uint64_t hint, void *userdata)
{
	const struct sea_region_block block = { data, n_bytes, hint };

	tell(&block, 1, userdata);
}

TEST(one_by_one, "releases can be told of one by one; told of in bulk has precedence")
{
	struct told *told = calloc(1, sizeof(*told));
	struct sea_session *session = peers_open();
	struct sea_region_options options = { .n_bytes = N_BYTES, .on_release_one = tell_one, .userdata = told };

	for (unsigned i = 0; i < 2; i++) {
		struct sea_message *messages[100];
		struct sea_region *region;

		options.on_release = i ? tell : NULL;
		CHECK_OK(sea_region_new(&region, session, &options));
		for (unsigned j = 0; j < 100; j++)
			CHECK_OK(sea_message_new_in_region(&messages[j], region, at(region, 8 * j), 8, j));
		told->n = told->n_calls = 0;
		sea_message_unref_many(messages, 100);
		CHECK_EVENTUALLY(told->n == 100);
		CHECK_EQ(told->n_calls == 100, i == 0);
		CHECK_EQ(told->hints[99], 99);
		CHECK_ERR(sea_region_fd(region), -EINVAL);
		CHECK(!sea_region_close(region, NULL));
	}
	sea_session_close(session);
	free(told);
}

TEST(range, "both ends of a part are checked")
{
	struct sea_session *session = peers_open();
	struct told *told = calloc(1, sizeof(*told));
	struct sea_region *region = region_open(session, told, 0);
	struct sea_message *message;

	CHECK_ERR(sea_message_new_in_region(&message, region, at(region, 0) - 1, 1, 0), -EINVAL);
	CHECK_ERR(sea_message_new_in_region(&message, region, at(region, 0) - 64, 128, 0), -EINVAL);
	CHECK_ERR(sea_message_new_in_region(&message, region, at(region, N_BYTES - 1), 2, 0), -EINVAL);
	CHECK_ERR(sea_message_new_in_region(&message, region, at(region, 0), N_BYTES + 1, 0), -EINVAL);
	CHECK_ERR(sea_message_new_in_region(&message, region, at(region, 64), SIZE_MAX - 10, 0), -EINVAL);
	CHECK_ERR(sea_message_new_in_region(&message, region, at(region, N_BYTES) + 1, 0, 0), -EINVAL);
	CHECK_ERR(sea_message_new_in_region(&message, region, &message, 1, 0), -EINVAL);
	CHECK_OK(sea_message_new_in_region(&message, region, at(region, N_BYTES - 1), 1, 1));
	sea_message_unref(message);
	CHECK_OK(sea_message_new_in_region(&message, region, at(region, N_BYTES), 0, 2));
	sea_message_unref(message);
	CHECK_EVENTUALLY(told->n == 2);
	CHECK(!sea_region_close(region, NULL));
	CHECK(!sea_region_close(NULL, NULL));
	sea_session_close(session);
	free(told);
}

TEST(options, "options out of their range are refused")
{
	struct sea_session *session = peers_open();
	struct sea_region *region;
	static const struct sea_region_options bad[] = {
		{ .n_bytes = 0 },
		{ .n_bytes = 1, .flags = 1u << 12 },
		{ .n_bytes = 1, .reserved_0 = 1 },
		{ .n_bytes = 1, .linger_ns = -2 },
		{ .n_bytes = 1, .n_blocks_max = (1u << 28) + 1 },
		{ .n_bytes = 1, .name = "a name of more than thirty-one bytes" },
		{ .n_bytes = 1, .reserved = { [3] = 1 } },
		{ .n_bytes = 1, .protection = (enum sea_protection)7 },
		{ .n_bytes = 1, .pages = (enum sea_pages)7 },
		{ .n_bytes = UINT64_MAX },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERR(sea_region_new(&region, session, &bad[i]), -EINVAL);
	CHECK_OK(sea_region_new(&region, session, &(struct sea_region_options){ .n_bytes = 1 }));
	CHECK_EQ(sea_region_size(region), 65536);
	CHECK_ERR(sea_region_new(&region, session, &(struct sea_region_options){ .n_bytes = UINT64_C(1) << 45 }),
	          -ENOMEM);
	/* The session takes the other with it. */
	sea_session_close(session);
}

TEST(order, "releases are told of in their order, in bulk, whoever released")
{
	struct pipe pipe;
	struct sea_message *messages[1000];

	pipe_open(&pipe, true);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned i = 0; i < 1000; i++) {
			messages[i] = piece(pipe.region, 100 * i, 100, i);
			if (i % 3)
				peers_send(pipe.push, messages[i]);
		}
		for (unsigned i = 0; i < 1000; i++)
			if (i % 3)
				messages[i] = peers_receive(pipe.pull);
		/* The other's first, backwards, all at once; then its own. */
		for (unsigned i = 1000; i-- > 0;)
			if (i % 3)
				messages[i] = sea_message_unref(messages[i]);
		CHECK_EVENTUALLY(pipe.told->n == round * 1000 + 666);
		sea_message_unref_many(messages, 1000);
		CHECK_EVENTUALLY(pipe.told->n == round * 1000 + 1000);
		for (unsigned i = 0, k = 1000; i < 1000; i++) {
			uint64_t hint = pipe.told->hints[(round * 1000 + i) % (1 << 16)];

			if (i < 666)
				do
					k--;
				while (k % 3 == 0);
			CHECK_EQ(hint, i < 666 ? k : (i - 666) * 3);
		}
	}
	CHECK_LT(pipe.told->n_calls, pipe.told->n);
	pipe_close(&pipe);
}

TEST(take, "without a callback releases are taken, and a descriptor says when there are some")
{
	struct pipe pipe;
	struct sea_region_block blocks[4];
	struct pollfd pollfd = { .events = POLLIN };
	struct sea_message *message;

	pipe_open(&pipe, false);
	CHECK_EQ(sea_region_take_released(pipe.region, blocks, 4), 0);
	peers_send(pipe.push, piece(pipe.region, 0, 10, 1));
	sea_message_unref(peers_receive(pipe.pull));
	CHECK_EVENTUALLY(sea_region_take_released(pipe.region, blocks, 4) == 1);
	CHECK_EQ(blocks[0].hint, 1);
	/* One that is out while the descriptor is asked for. */
	peers_send(pipe.push, piece(pipe.region, 0, 10, 2));
	message = peers_receive(pipe.pull);
	pollfd.fd = CHECK_OK(sea_region_fd(pipe.region));
	CHECK_EQ(poll(&pollfd, 1, 20), 0);
	sea_message_unref(message);
	CHECK_EQ(poll(&pollfd, 1, 20000), 1);
	CHECK_EQ(poll(&pollfd, 1, 0), 1);
	CHECK_EQ(sea_region_take_released(pipe.region, blocks, 4), 1);
	CHECK_EQ(blocks[0].hint, 2);
	CHECK_EQ(poll(&pollfd, 1, 0), 0);
	for (unsigned i = 0; i < 50; i++) {
		peers_send(pipe.push, piece(pipe.region, 0, 10, i));
		sea_message_unref(peers_receive(pipe.pull));
		CHECK_EQ(poll(&pollfd, 1, 20000), 1);
		CHECK_EQ(sea_region_take_released(pipe.region, blocks, 4), 1);
		CHECK_EQ(blocks[0].hint, i);
	}
	pipe_close(&pipe);
}

TEST(full, "no more messages than agreed are out or untold, and each that comes back makes room for one")
{
	struct sea_session *session = peers_open();
	struct sea_region *region = region_open(session, NULL, 3);
	struct sea_message *messages[3], *message;
	struct sea_region_block block, many[5];

	for (unsigned i = 0; i < 5; i++)
		many[i] = (struct sea_region_block){ at(region, 8 * i), 8, i };
	CHECK_EQ(sea_message_new_in_region_many(messages, 5, region, many), 3);
	CHECK_ERR(sea_message_new_in_region(&message, region, at(region, 0), 8, 0), -ENOMEM);
	sea_message_unref(messages[1]);
	CHECK_ERR(sea_message_new_in_region(&message, region, at(region, 0), 8, 0), -ENOMEM);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQ(sea_region_take_released(region, &block, 1), 1);
		CHECK_EQ(block.hint, i ? 9 + i : 1);
		CHECK_OK(sea_message_new_in_region(&message, region, at(region, 0), 8, 10 + i));
		sea_message_unref(message);
	}
	sea_message_unref(messages[0]);
	sea_message_unref(messages[2]);
	CHECK(!sea_region_close(region, NULL));
	sea_session_close(session);
}

TEST(overlap, "two messages over the same bytes are each told of; cutting one leaves the region's bytes alone")
{
	struct pipe pipe;
	struct sea_message *first, *second;

	pipe_open(&pipe, true);
	first = piece(pipe.region, 0, 1000, 1);
	CHECK_OK(sea_message_new_in_region(&second, pipe.region, at(pipe.region, 500), 1000, 2));
	CHECK_OK(sea_message_shrink(first, 10));
	peers_send(pipe.push, first);
	first = peers_receive(pipe.pull);
	peers_check_part(first, 0, 10, 1);
	sea_message_unref(second);
	CHECK_EVENTUALLY(pipe.told->n == 1);
	CHECK_EQ(pipe.told->hints[0], 2);
	sea_message_unref(first);
	CHECK_EVENTUALLY(pipe.told->n == 2);
	/* As it was given, not as it was cut. */
	CHECK_EQ(pipe.told->n_bytes[1], 1000);
	peers_check(at(pipe.region, 0), 500, 1);
	pipe_close(&pipe);
}

TEST(names, "metas of parts of a region resolve, go stale with the release, and holds delay it")
{
	struct pipe pipe;
	struct sea_message *message, *held;
	struct sea_resolved resolved;
	struct sea_meta meta;

	pipe_open(&pipe, true);
	message = piece(pipe.region, 12345, 1000, 1);
	CHECK_OK(sea_message_meta(message, 0, 0, &meta));
	CHECK_EQ(meta.kind, getenv("SEALANE_TEST_TRANSPORT") ? SEA_META_SHARED : SEA_META_SEALED);
	CHECK_OK(sea_meta_resolve(pipe.other, &meta, PEERS_LONG_NS, &resolved));
	peers_check(resolved.data, 1000, 1);
	CHECK_OK(sea_meta_resolve(pipe.owner, &meta, 0, &resolved));
	CHECK(resolved.data == at(pipe.region, 12345));
	CHECK_OK(sea_meta_hold(pipe.other, &meta, PEERS_LONG_NS, &held));
	sea_message_unref(message);
	test_sleep_ms(5);
	CHECK_EQ(pipe.told->n, 0);
	peers_check_part(held, 0, 1000, 1);
	sea_message_unref(held);
	CHECK_EVENTUALLY(pipe.told->n == 1);
	CHECK_ERR(sea_meta_resolve(pipe.other, &meta, 0, &resolved), -ESTALE);
	CHECK_ERR(sea_meta_check(pipe.owner, &meta), -ESTALE);
	pipe_close(&pipe);
}

static struct test_step taken;

/* Takes messages, releases every third, and waits to be killed. */
static void take_and_die(void *arg)
{
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_connect(session, SEA_PULL, "work");

	for (uintptr_t i = 0; i < (uintptr_t)arg; i++) {
		struct sea_message *message = peers_receive(pull);

		if (i % 3 == 0)
			sea_message_unref(message);
	}
	test_step_signal(&taken, 1);
	for (;;)
		pause();
}

TEST(killed, "for everything that a killed receiver held, read or unread, its owner is told exactly once")
{
	struct told *told = calloc(1, sizeof(*told));
	struct sea_session *session;
	struct sea_channel *push;
	struct sea_region *region;
	bool seen[300] = { false };
	pid_t pid;

	test_step_init(&taken);
	pid = test_fork(take_and_die, (void *)200);
	session = peers_open();
	push = peers_bind(session, SEA_PUSH, "work");
	region = region_open(session, told, 0);
	for (unsigned i = 0; i < 300; i++)
		peers_send(push, piece(region, 1000 * i, 1000, i));
	test_step_wait(&taken);
	CHECK_EVENTUALLY(told->n == 67);
	test_kill(pid);
	CHECK_EVENTUALLY(told->n == 300);
	for (unsigned i = 0; i < 300; i++) {
		CHECK(!seen[told->hints[i]]);
		seen[told->hints[i]] = true;
	}
	CHECK(!sea_region_close(region, NULL));
	CHECK_EQ(told->n, 300);
	sea_channel_close(push);
	sea_session_close(session);
	test_step_fini(&taken);
	free(told);
}

TEST(close, "closing waits for what is out, and says what still is; that stays readable and is not told of")
{
	struct pipe pipe;
	struct sea_message *message;
	struct sea_region_stats stats;
	int64_t start_ns;

	pipe_open(&pipe, true);
	for (unsigned i = 0; i < 3; i++)
		peers_send(pipe.push, piece(pipe.region, 5000 * i, 5000, i));
	message = peers_receive(pipe.pull);
	sea_message_unref(peers_receive(pipe.pull));
	start_ns = test_now_ns();
	CHECK(!sea_region_close(pipe.region, &stats));
	CHECK_GE(test_now_ns() - start_ns, PEERS_SHORT_NS);
	CHECK_EQ(stats.n_out, 2);
	CHECK_EQ(stats.n_bytes_out, 10000);
	CHECK_EQ(stats.n_released, 1);
	CHECK_EQ(pipe.told->n, 1);
	peers_check_part(message, 0, 5000, 0);
	sea_message_unref(message);
	sea_message_unref(peers_receive(pipe.pull));
	/* The memory goes back when the last is done. */
	CHECK_EVENTUALLY(peers_stats(pipe.owner).n_bytes_backed == 0);
	CHECK_EQ(pipe.told->n, 1);
	pipe.region = region_open(pipe.owner, NULL, 0);
	pipe_close(&pipe);
}

struct again {
	struct sea_region *region;
	struct sea_channel *push;
	_Atomic unsigned n;
};

/* Sends what came back once more, out of the callback. */
static void send_again(const struct sea_region_block *blocks, size_t n_blocks, void *userdata)
{
	struct again *again = userdata;

	for (size_t i = 0; i < n_blocks; i++) {
		struct sea_message *message;

		if (again->n++ >= 1000)
			continue;
		CHECK_OK(sea_message_new_in_region(&message, again->region, blocks[i].data, blocks[i].n_bytes,
		                                   blocks[i].hint + 1));
		CHECK_OK(sea_channel_send(again->push, &message, 0));
	}
}

TEST(again, "a callback may make and send messages over what just came back")
{
	struct sea_session *owner = peers_open(), *other = peers_open();
	struct again again = { .push = peers_bind(owner, SEA_PUSH, "again") };
	struct sea_channel *pull = peers_connect(other, SEA_PULL, "again");
	struct sea_region_options options = { .n_bytes = N_BYTES, .on_release = send_again, .userdata = &again };
	struct sea_message *message;

	peers_wait(again.push, 1);
	CHECK_OK(sea_region_new(&again.region, owner, &options));
	CHECK_OK(sea_message_new_in_region(&message, again.region, sea_region_data(again.region), 100, 0));
	peers_send(again.push, message);
	for (unsigned i = 0; i <= 1000; i++)
		sea_message_unref(peers_receive(pull));
	CHECK_EVENTUALLY(again.n == 1001);
	CHECK(!sea_region_close(again.region, NULL));
	sea_channel_close(pull);
	sea_channel_close(again.push);
	sea_session_close(other);
	sea_session_close(owner);
}

TEST(writable, "who receives a part of a shared region alone may change it; of a sealed one nobody but its owner can")
{
	struct pipe pipe;
	struct sea_message *message;

	pipe_open(&pipe, true);
	peers_send(pipe.push, piece(pipe.region, 64, 1000, 1));
	message = peers_receive(pipe.pull);
	if (getenv("SEALANE_TEST_TRANSPORT")) {
		CHECK_EQ(sea_message_make_mutable(&message, sea_session_heap(pipe.other), 0), 0);
		memset(sea_message_write(message), 9, 1000);
		CHECK_EQ(*at(pipe.region, 64 + 999), 9);
	} else {
		CHECK_EQ(mprotect((void *)((uintptr_t)sea_message_data(message) & ~(uintptr_t)4095), 4096,
		                  PROT_READ | PROT_WRITE),
		         -1);
		CHECK_EQ(sea_message_make_mutable(&message, sea_session_heap(pipe.other), 0), 1);
	}
	sea_message_unref(message);
	CHECK_EVENTUALLY(pipe.told->n == 1);
	pipe_close(&pipe);
}

TEST(million, "a million releases over several threads are all told of, none twice")
{
	struct pipe pipe;
	struct sea_region_block blocks[64];
	struct sea_message *messages[64];
	uint64_t n = test_is_sanitized() ? 50000 : 1000000, n_sent = 0, n_received = 0;

	pipe_open(&pipe, true);
	while (n_received < n) {
		int r;

		for (unsigned i = 0; i < 64; i++)
			blocks[i] = (struct sea_region_block){ at(pipe.region, (n_sent + i) % 60000 * 64), 64,
				                               n_sent + i };
		/* Never more on its way than the queue takes: whoever sends here is the one who has to make room. */
		if (n_sent < n && n_sent - n_received < 512) {
			r = CHECK_OK(sea_message_new_in_region_many(messages, 64, pipe.region, blocks));
			CHECK_EQ(r, 64);
			for (unsigned i = 0; i < 64; i++)
				peers_send(pipe.push, messages[i]);
			n_sent += 64;
		}
		while ((r = sea_channel_receive_many(pipe.pull, messages, 64, 0)) > 0) {
			sea_message_unref_many(messages, (size_t)r);
			n_received += (uint64_t)r;
		}
		CHECK_EQ(r, -EAGAIN);
	}
	while (n_received < n_sent) {
		sea_message_unref(peers_receive(pipe.pull));
		n_received++;
	}
	CHECK_EVENTUALLY(pipe.told->n == n_sent);
	pipe_close(&pipe);
}
