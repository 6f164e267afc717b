/* SPDX-License-Identifier: Apache-2.0 */
/* See peers.h. */
#include "peers.h"

#include <stdlib.h>
#include <string.h>

struct sea_session *peers_open(void)
{
	struct sea_session *session;

	/* Every test of this layer runs twice: over sealed and over shared heaps. */
	const char *transport = getenv("SEALANE_TEST_TRANSPORT");
	struct sea_session_options options = { .quota_n_bytes = UINT64_C(1) << 30 };

	if (transport && strcmp(transport, "shmem") == 0)
		options.transport = SEA_TRANSPORT_SHMEM;
	CHECK_OK(sea_session_open(&session, &options));
	return session;
}

struct sea_channel *peers_channel(struct sea_session *session, enum sea_pattern pattern, enum sea_orphans orphans,
                                  int32_t buf)
{
	struct sea_channel_options options = { .orphans = orphans, .sndbuf = buf, .rcvbuf = buf };
	struct sea_channel *channel;

	CHECK_OK(sea_channel_new(&channel, session, pattern, &options));
	return channel;
}

struct sea_channel *peers_bind(struct sea_session *session, enum sea_pattern pattern, const char *address)
{
	struct sea_channel *channel = peers_channel(session, pattern, SEA_ORPHANS_DROP, 0);

	CHECK_OK(sea_channel_bind(channel, address));
	return channel;
}

struct sea_channel *peers_connect(struct sea_session *session, enum sea_pattern pattern, const char *address)
{
	struct sea_channel *channel = peers_channel(session, pattern, SEA_ORPHANS_DROP, 0);

	CHECK_OK(sea_channel_connect(channel, address));
	return channel;
}

struct sea_channel *peers_zeromq(struct sea_session *session, enum sea_pattern pattern, const char *address, bool binds)
{
	struct sea_channel_options options = { .transport = SEA_TRANSPORT_ZEROMQ };
	struct sea_channel *channel;
	int r = sea_channel_new(&channel, session, pattern, &options);

	if (r == -ENOTSUP)
		SKIP("there is no libzmq here");
	CHECK_OK(r);
	CHECK_OK(binds ? sea_channel_bind(channel, address) : sea_channel_connect(channel, address));
	return channel;
}

void peers_wait(struct sea_channel *channel, unsigned n_peers)
{
	CHECK_OK(sea_channel_wait_peers(channel, n_peers, PEERS_LONG_NS));
}

void peers_fill(void *data, size_t n_bytes, uint64_t n)
{
	unsigned char *bytes = data;

	for (size_t i = 0; i < n_bytes; i++)
		bytes[i] = (unsigned char)(n * 31 + i * 7 + (i >> 8));
}

void peers_check(const void *data, size_t n_bytes, uint64_t n)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < n_bytes; i++)
		if (bytes[i] != (unsigned char)(n * 31 + i * 7 + (i >> 8)))
			FAIL("byte %zu of %zu of content %llu is wrong", i, n_bytes, (unsigned long long)n);
}

void peers_check_part(const struct sea_message *message, size_t index, size_t n_bytes, uint64_t n)
{
	struct sea_part part;

	CHECK_OK(sea_message_get_part(message, index, &part));
	CHECK_EQ(part.n_bytes, n_bytes);
	CHECK_EQ(part.data == NULL, n_bytes == 0);
	peers_check(part.data, n_bytes, n);
}

struct sea_message *peers_message(struct sea_session *session, size_t n_bytes, uint64_t n)
{
	struct sea_message *message;

	CHECK_OK(sea_message_new(&message, sea_session_heap(session), n_bytes, 0, PEERS_LONG_NS));
	peers_fill(sea_message_write(message), n_bytes, n);
	sea_message_set_tag(message, n);
	return message;
}

void peers_send(struct sea_channel *channel, struct sea_message *message)
{
	CHECK_OK(sea_channel_send(channel, &message, PEERS_LONG_NS));
	CHECK(!message);
}

struct sea_message *peers_receive(struct sea_channel *channel)
{
	struct sea_message *message;

	CHECK_OK(sea_channel_receive(channel, &message, PEERS_LONG_NS));
	return message;
}

void peers_add(struct sea_frame *frame, unsigned layout_class, size_t n_bytes, uint64_t n)
{
	void *data;

	CHECK_OK(sea_frame_add_to(frame, layout_class, n_bytes, 0, &data));
	CHECK_EQ(data == NULL, n_bytes == 0);
	peers_fill(data, n_bytes, n);
}

struct sea_frame *peers_frame(struct sea_session *session, uint64_t n_bytes_max)
{
	struct sea_frame *frame;

	CHECK_OK(sea_frame_new(&frame, sea_session_heap(session),
	                       &(struct sea_frame_options){ .n_bytes_max = { n_bytes_max } }, PEERS_LONG_NS));
	return frame;
}

struct sea_message *peers_seal(struct sea_frame *frame)
{
	struct sea_message *message;

	CHECK_OK(sea_frame_seal(&frame, &message));
	CHECK(!frame);
	return message;
}

uint64_t peers_n_bytes_used(struct sea_session *session)
{
	struct sea_heap_stats stats;

	/* Reads the records that have come. */
	CHECK_OK(sea_session_take_done(session, NULL, 0));
	CHECK_OK(sea_heap_get_stats(sea_session_heap(session), &stats));
	CHECK_EQ(stats.n_blocks_used == 0, stats.n_bytes_used == 0);
	return stats.n_bytes_used;
}

void peers_wait_unused(struct sea_session *session)
{
	CHECK_EVENTUALLY(peers_n_bytes_used(session) == 0);
}

struct sea_session_stats peers_stats(struct sea_session *session)
{
	struct sea_session_stats stats;

	CHECK_OK(sea_session_get_stats(session, &stats));
	return stats;
}

struct sea_channel_stats peers_channel_stats(struct sea_channel *channel)
{
	struct sea_channel_stats stats;

	CHECK_OK(sea_channel_get_stats(channel, &stats));
	return stats;
}
