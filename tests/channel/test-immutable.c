/* SPDX-License-Identifier: Apache-2.0 */
/* Immutable frames on their way: sealed against everybody, passed on like others, and gone with the last hold. */
#include "peers.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>

static struct sea_message *immutable(struct sea_session *session, unsigned n_parts, size_t n_bytes, uint64_t first)
{
	struct sea_frame_options options = { .n_bytes_max = { (n_bytes + 64) * n_parts, 1 << 16 },
		                             .flags = SEA_FRAME_IMMUTABLE };
	struct sea_frame *frame;

	CHECK_OK(sea_frame_new(&frame, sea_session_heap(session), &options, 0));
	for (unsigned i = 0; i < n_parts; i++)
		peers_add(frame, i % 2, i % 2 ? 100 : n_bytes, first + i);
	return peers_seal(frame);
}

static void check_immutable(const struct sea_message *message, unsigned n_parts, size_t n_bytes, uint64_t first)
{
	CHECK_EQ(sea_message_n_parts(message), n_parts);
	for (unsigned i = 0; i < n_parts; i++)
		peers_check_part(message, i, i % 2 ? 100 : n_bytes, first + i);
}

/* That mapping cannot be made writable, not even by who owns the file. */
static void check_read_only(const struct sea_message *message)
{
	for (size_t i = 0; i < sea_message_n_parts(message); i++) {
		struct sea_part part;

		CHECK_OK(sea_message_get_part(message, i, &part));
		CHECK_EQ(mprotect((void *)((uintptr_t)part.data & ~(uintptr_t)0xffff), 0x10000, PROT_READ | PROT_WRITE),
		         -1);
		CHECK_EQ(errno, EACCES);
	}
}

TEST(travel, "an immutable frame arrives, is passed on, and can be written by nobody on its way")
{
	struct sea_session *sessions[3];
	struct sea_channel *push[2], *pull[2];

	for (unsigned i = 0; i < 3; i++)
		sessions[i] = peers_open();
	for (unsigned i = 0; i < 2; i++) {
		char name[8];

		snprintf(name, sizeof(name), "i%u", i);
		push[i] = peers_bind(sessions[i], SEA_PUSH, name);
		pull[i] = peers_connect(sessions[i + 1], SEA_PULL, name);
		peers_wait(push[i], 1);
	}
	for (unsigned round = 0; round < 30; round++) {
		unsigned n_parts = 1 + round % 4;
		struct sea_message *message = immutable(sessions[0], n_parts, 30000, round);

		check_immutable(message, n_parts, 30000, round);
		check_read_only(message);
		peers_send(push[0], message);
		message = peers_receive(pull[0]);
		check_immutable(message, n_parts, 30000, round);
		check_read_only(message);
		peers_send(push[1], message);
		message = peers_receive(pull[1]);
		check_immutable(message, n_parts, 30000, round);
		check_read_only(message);
		sea_message_unref(message);
	}
	peers_wait_unused(sessions[0]);
	/* Each had memory of its own, which is gone. */
	CHECK_EVENTUALLY(peers_stats(sessions[1]).n_arenas_attached == 0);
	CHECK_EVENTUALLY(peers_stats(sessions[2]).n_arenas_attached == 0);
	CHECK_EVENTUALLY(peers_stats(sessions[0]).n_bytes_backed == 0);
	for (unsigned i = 0; i < 2; i++) {
		sea_channel_close(push[i]);
		sea_channel_close(pull[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		sea_session_close(sessions[i]);
}

TEST(held, "many immutable frames can be held at once, and outlive their producer")
{
	enum { N = 60 };
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *push = peers_bind(a, SEA_PUSH, "held"), *pull = peers_connect(b, SEA_PULL, "held");
	struct sea_message *messages[N];

	peers_wait(push, 1);
	for (unsigned i = 0; i < N; i++) {
		peers_send(push, immutable(a, 2, 5000, i));
		messages[i] = peers_receive(pull);
	}
	CHECK_GE(peers_stats(b).n_arenas_attached, N);
	sea_channel_close(push);
	sea_session_close(a);
	for (unsigned i = 0; i < N; i++) {
		check_immutable(messages[i], 2, 5000, i);
		sea_message_unref(messages[i]);
	}
	/* The link of the one that is gone ends when its channel is looked at. */
	CHECK_ERR(sea_channel_receive(pull, &messages[0], 0), -EAGAIN);
	CHECK_EVENTUALLY(peers_stats(b).n_arenas_attached == 0);
	sea_channel_close(pull);
	sea_session_close(b);
}

TEST(mixed, "parts of immutable frames go into pooled ones, and the other way round")
{
	struct sea_session *a = peers_open(), *b = peers_open(), *c = peers_open();
	struct sea_channel *ab = peers_bind(a, SEA_PUSH, "ab"), *in = peers_connect(b, SEA_PULL, "ab");
	struct sea_channel *bc = peers_bind(b, SEA_PUSH, "bc"), *end = peers_connect(c, SEA_PULL, "bc");
	struct sea_message *message;

	peers_wait(ab, 1);
	peers_wait(bc, 1);
	for (int outer = 0; outer < 2; outer++) {
		struct sea_frame_options options = { .n_bytes_max = { 1 << 16 },
			                             .flags = outer ? SEA_FRAME_IMMUTABLE : 0 };
		struct sea_frame *frame;

		peers_send(ab, outer ? peers_message(a, 80000, 5) : immutable(a, 1, 80000, 5));
		message = peers_receive(in);
		CHECK_OK(sea_frame_new(&frame, sea_session_heap(b), &options, 0));
		CHECK_EQ(sea_frame_add_message(frame, message), 0);
		peers_add(frame, 0, 3000, 6);
		CHECK_OK(sea_frame_absorb(frame, &message));
		peers_send(bc, peers_seal(frame));
		message = peers_receive(end);
		CHECK_EQ(sea_message_n_parts(message), 2);
		peers_check_part(message, 0, 80000, 5);
		peers_check_part(message, 1, 3000, 6);
		sea_message_unref(message);
		peers_wait_unused(a);
		peers_wait_unused(b);
	}
	CHECK_EQ(peers_stats(b).n_bytes_copied, 0);
	sea_channel_close(ab);
	sea_channel_close(in);
	sea_channel_close(bc);
	sea_channel_close(end);
	sea_session_close(a);
	sea_session_close(b);
	sea_session_close(c);
}
