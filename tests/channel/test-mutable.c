/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that are changed on their way: in place by their only holder in a shared heap, as a copy everywhere else. */
#include "peers.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory/message.h"
#include "wire/wire.h"

static bool is_shared(void)
{
	return getenv("SEALANE_TEST_TRANSPORT") != NULL;
}

struct line {
	struct sea_session *sessions[3];
	struct sea_channel *push[3], *pull[3]; /* from 0 to 1, from 1 to 2, from 2 to 0 */
};

static void line_open(struct line *line)
{
	static const char *const names[] = { "first", "shmem://second", "memfd://third" };

	for (unsigned i = 0; i < 3; i++)
		line->sessions[i] = peers_open();
	for (unsigned i = 0; i < 3; i++) {
		line->push[i] = peers_bind(line->sessions[i], SEA_PUSH, names[i]);
		line->pull[i] = peers_connect(line->sessions[(i + 1) % 3], SEA_PULL, names[i]);
		peers_wait(line->push[i], 1);
	}
}

static void line_close(struct line *line)
{
	for (unsigned i = 0; i < 3; i++) {
		sea_channel_close(line->push[i]);
		sea_channel_close(line->pull[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		sea_session_close(line->sessions[i]);
}

static struct sea_message *line_pass(struct line *line, unsigned i, struct sea_message *message)
{
	peers_send(line->push[i], message);
	return peers_receive(line->pull[i]);
}

TEST(chain,
     "a message that is passed round is changed by each, in place where memory is shared, and comes home changed")
{
	struct line line;

	line_open(&line);
	for (unsigned round = 0; round < 20; round++) {
		struct sea_message *message = peers_message(line.sessions[0], 5000, round);
		uint64_t n_copied = peers_stats(line.sessions[1]).n_bytes_copied;

		for (unsigned i = 0; i < 3; i++) {
			const void *before;
			uint8_t *data;
			int r;

			message = line_pass(&line, i, message);
			sea_message_set_tag(message, sea_message_get_tag(message) + 1);
			before = sea_message_data(message);
			CHECK(!sea_message_write(message));
			r = CHECK_OK(
				sea_message_make_mutable(&message, sea_session_heap(line.sessions[(i + 1) % 3]), 0));
			/* Copied once: the copy is the copier's own, and sealed again for the next. */
			CHECK_EQ(r, is_shared() ? 0 : 1);
			CHECK_EQ(sea_message_data(message) == before, is_shared());
			data = sea_message_write(message);
			CHECK(data != NULL);
			data[i] = (uint8_t)(0xa0 + i);
			CHECK_EQ(sea_message_get_tag(message), round + i + 1);
		}
		CHECK_EQ(sea_message_size(message), 5000);
		CHECK_MEM_EQ(sea_message_data(message), "\xa0\xa1\xa2", 3);
		CHECK_EQ(peers_stats(line.sessions[1]).n_bytes_copied - n_copied, is_shared() ? 0 : 5000);
		sea_message_unref(message);
	}
	for (unsigned i = 0; i < 3; i++)
		peers_wait_unused(line.sessions[i]);
	line_close(&line);
}

TEST(parts, "of a message of several parts each can be changed, and the others stay")
{
	struct line line;
	struct sea_frame *frame;
	struct sea_message *message;
	uint8_t *data;

	line_open(&line);
	frame = peers_frame(line.sessions[0], 1 << 20);
	peers_add(frame, 0, 3000, 1);
	peers_add(frame, 0, 0, 2);
	peers_add(frame, 0, 70000, 3);
	message = line_pass(&line, 0, peers_seal(frame));
	CHECK_EQ(sea_message_make_mutable(&message, sea_session_heap(line.sessions[1]), 0), is_shared() ? 0 : 1);
	CHECK(!sea_message_write_part(message, 1));
	CHECK(!sea_message_write_part(message, 3));
	CHECK_ERR(sea_message_shrink(message, 10), -EINVAL);
	data = sea_message_write_part(message, 2);
	CHECK(data != NULL);
	peers_fill(data, 70000, 33);
	message = line_pass(&line, 1, message);
	CHECK_EQ(sea_message_n_parts(message), 3);
	peers_check_part(message, 0, 3000, 1);
	peers_check_part(message, 1, 0, 2);
	peers_check_part(message, 2, 70000, 33);
	sea_message_unref(message);
	for (unsigned i = 0; i < 3; i++)
		peers_wait_unused(line.sessions[i]);
	line_close(&line);
}

TEST(not_alone, "whoever is not the only holder gets a copy, and the others' bytes stay as they are")
{
	struct line line;
	struct sea_message *kept, *message, *second;

	line_open(&line);
	/* The sender keeps a reference. */
	kept = sea_message_ref(peers_message(line.sessions[0], 5000, 1));
	message = line_pass(&line, 0, kept);
	second = sea_message_ref(message);
	CHECK_EQ(sea_message_make_mutable(&message, sea_session_heap(line.sessions[1]), 0), 1);
	memset(sea_message_write(message), 0, 5000);
	peers_check_part(kept, 0, 5000, 1);
	peers_check_part(second, 0, 5000, 1);
	CHECK_EQ(sea_message_n_references(kept), 2);
	sea_message_unref(message);
	/* Alone here, but not in the session. */
	CHECK_EQ(sea_message_make_mutable(&second, sea_session_heap(line.sessions[1]), 0), 1);
	peers_check_part(second, 0, 5000, 1);
	sea_message_unref(second);
	/* The owner gets it in place once the other has given it back. */
	CHECK_EVENTUALLY(sea_message_n_references(kept) == 1);
	CHECK_EQ(sea_message_make_mutable(&kept, sea_session_heap(line.sessions[0]), 0), 0);
	memset(sea_message_write(kept), 7, 5000);
	sea_message_unref(kept);
	line_close(&line);
}

TEST(fanout, "of a message to several receivers none may change it in place")
{
	struct sea_session *session = peers_open();
	struct sea_channel *push = peers_bind(session, SEA_PUSH, "each"), *pull[2];
	struct sea_message *message = peers_message(session, 5000, 1), *received[2];

	for (unsigned i = 0; i < 2; i++)
		pull[i] = peers_connect(session, SEA_PULL, "each");
	peers_wait(push, 2);
	CHECK_EQ(sea_channel_send_each(push, &message, NULL), 2);
	for (unsigned i = 0; i < 2; i++)
		received[i] = peers_receive(pull[i]);
	CHECK_EQ(sea_message_make_mutable(&received[0], sea_session_heap(session), 0), 1);
	memset(sea_message_write(received[0]), 0, 5000);
	peers_check_part(received[1], 0, 5000, 1);
	for (unsigned i = 0; i < 2; i++) {
		sea_message_unref(received[i]);
		sea_channel_close(pull[i]);
	}
	sea_channel_close(push);
	peers_wait_unused(session);
	sea_session_close(session);
}

TEST(no_room, "where a copy finds no memory the message is as before")
{
	struct line line;
	struct sea_message *message, *before;
	struct sea_heap *small;
	struct sea_heap_options options = { .quota_n_bytes = 4 << 20 };

	line_open(&line);
	CHECK_OK(sea_heap_new(&small, line.sessions[1], &options));
	message = sea_message_ref(peers_message(line.sessions[0], 8 << 20, 1));
	before = message;
	message = line_pass(&line, 0, message);
	CHECK_ERR(sea_message_make_mutable(&message, small, 0), -E2BIG);
	CHECK(!sea_message_write(message));
	peers_check_part(message, 0, 8 << 20, 1);
	sea_message_unref(message);
	sea_message_unref(before);
	line_close(&line);
}

TEST(shrink, "a received message that is cut stays cut for the next, and its memory comes home whole")
{
	struct line line;
	struct sea_message *message;

	line_open(&line);
	message = line_pass(&line, 0, peers_message(line.sessions[0], 100000, 1));
	CHECK_ERR(sea_message_shrink(message, 10), -EINVAL);
	CHECK_OK(sea_message_make_mutable(&message, sea_session_heap(line.sessions[1]), 0));
	CHECK_OK(sea_message_shrink(message, 100000));
	CHECK_ERR(sea_message_shrink(message, 100001), -EINVAL);
	CHECK_OK(sea_message_shrink(message, 70));
	message = line_pass(&line, 1, message);
	peers_check_part(message, 0, 70, 1);
	CHECK_OK(sea_message_make_mutable(&message, sea_session_heap(line.sessions[2]), 0));
	CHECK_OK(sea_message_shrink(message, 0));
	CHECK(!sea_message_write(message));
	message = line_pass(&line, 2, message);
	CHECK_EQ(sea_message_size(message), 0);
	CHECK(!sea_message_data(message));
	sea_message_unref(message);
	for (unsigned i = 0; i < 3; i++)
		peers_wait_unused(line.sessions[i]);
	line_close(&line);
}

static unsigned n_freed;

static void count_free(void *data, void *userdata)
{
	CHECK(data == userdata);
	n_freed++;
}

TEST(new_from, "bytes of the caller are copied and freed once, also none, and not where there is no memory")
{
	struct sea_session *session = peers_open();
	struct sea_message *message;
	uint8_t bytes[3000];

	peers_fill(bytes, sizeof(bytes), 5);
	for (size_t n_bytes = 0; n_bytes <= sizeof(bytes); n_bytes += n_bytes ? 1490 : 20) {
		n_freed = 0;
		CHECK_OK(sea_message_new_from(&message, sea_session_heap(session), bytes, n_bytes, 0, count_free, bytes,
		                              0));
		CHECK_EQ(n_freed, 1);
		peers_check_part(message, 0, n_bytes, 5);
		sea_message_unref(message);
	}
	CHECK_ERR(sea_message_new_from(&message, sea_session_heap(session), bytes, (size_t)1 << 40, 0, count_free,
	                               bytes, 0),
	          -E2BIG);
	CHECK_EQ(n_freed, 1);
	sea_session_close(session);
}

TEST(receive_into, "receiving into a message that still holds something releases that, once there is another")
{
	struct line line;
	struct sea_message *message = NULL;

	line_open(&line);
	for (unsigned i = 0; i < 5; i++) {
		peers_send(line.push[0], peers_message(line.sessions[0], 5000, i));
		CHECK_OK(sea_channel_receive_into(line.pull[0], &message, PEERS_LONG_NS));
		peers_check_part(message, 0, 5000, i);
	}
	CHECK_ERR(sea_channel_receive_into(line.pull[0], &message, 0), -EAGAIN);
	peers_check_part(message, 0, 5000, 4);
	CHECK_ERR(sea_channel_receive_into(line.push[0], &message, 0), -EINVAL);
	sea_message_unref(message);
	peers_wait_unused(line.sessions[0]);
	line_close(&line);
}

TEST(counts, "references cannot wrap, a message is not sent twice, and a second release is noticed")
{
	struct line line;
	struct sea_message *message, *sent;

	line_open(&line);
	message = sent = peers_message(line.sessions[0], 5000, 1);
	CHECK_OK(sea_channel_send(line.push[0], &sent, PEERS_LONG_NS));
	CHECK(!sent);
	CHECK_ERR(sea_channel_send(line.push[0], &sent, 0), -EINVAL);
	/* The object is spare now: a release of it does nothing. A sanitizer's build keeps none, and says what that is. */
	for (unsigned i = 0; i < 2 && !test_is_sanitized(); i++)
		sea_message_unref(message);
	message = peers_receive(line.pull[0]);
	peers_check_part(message, 0, 5000, 1);
	/* As if it had been shared two thousand million times. */
	atomic_store(&message->n_refs, (UINT32_C(1) << 31) - 2);
	sea_message_ref(message);
	sea_message_ref(message);
	CHECK_GE(atomic_load(&message->n_refs), UINT32_C(1) << 31);
	for (unsigned i = 0; i < 10; i++)
		sea_message_unref(message);
	peers_check_part(message, 0, 5000, 1);
	atomic_store(&message->n_refs, 1);
	sea_message_unref(message);
	peers_wait_unused(line.sessions[0]);
	line_close(&line);
}

struct shared_word {
	struct test_step ready;
	_Atomic uint64_t n;
};

/* Writes all over the payload of everything it receives, as no honest holder would. */
static void scribbler(void *arg)
{
	struct shared_word *word = arg;
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_connect(session, SEA_PULL, "scribble");

	test_step_signal(&word->ready, 1);
	for (;;) {
		struct sea_message *message = peers_receive(pull);
		const struct seai_attached *attached = message->refs[0].attached;

		CHECK_EQ(mprotect((void *)(uintptr_t)attached->base, 4096, PROT_READ | PROT_WRITE), -1);
		for (uint64_t i = 0; i < 200000; i++) {
			uint64_t at = attached->data_offset + test_random() % (1 << 20);

			if (at + 8 <= attached->n_bytes)
				*(volatile uint64_t *)(uintptr_t)(attached->base + at / 8 * 8) = test_random() % 4
				                                                                         ? test_random()
				                                                                         : 0;
		}
		if (word->n++ % 3)
			sea_message_unref(message);
	}
}

TEST(scribble, "a holder that writes all over a shared heap changes bytes, and neither books nor anybody's life")
{
	struct shared_word *word = test_shared(sizeof(*word));
	struct sea_session *session;
	struct sea_channel *push, *pull, *local;
	pid_t pid;

	if (!is_shared())
		SKIP("of sealed memory nobody else writes a byte: see test-sealed");
	test_step_init(&word->ready);
	pid = test_fork(scribbler, word);
	session = peers_open();
	push = peers_channel(session, SEA_PUSH, SEA_ORPHANS_KEEP, 0);
	CHECK_OK(sea_channel_bind(push, "scribble"));
	local = peers_bind(session, SEA_PUSH, "local");
	pull = peers_connect(session, SEA_PULL, "local");
	peers_wait(local, 1);
	test_step_wait(&word->ready);
	peers_wait(push, 1);
	for (unsigned i = 0; i < 300 || word->n < 20; i++) {
		struct sea_frame *frame = peers_frame(session, 30000);
		struct sea_message *message;
		struct sea_part part;
		void *data;

		for (unsigned j = 0; j < 5; j++)
			CHECK_OK(sea_frame_add(frame, 3000, 0, &data));
		message = peers_seal(frame);
		if (word->n < 40)
			(void)sea_channel_send(push, &message, 0);
		if (!message)
			continue;
		CHECK_OK(sea_channel_send(local, &message, PEERS_LONG_NS));
		/* What is read may be anything, or be refused. */
		if (sea_channel_receive(pull, &message, 0) == 0) {
			for (unsigned j = 0; j < sea_message_n_parts(message); j++)
				if (sea_message_get_part(message, j, &part) == 0 && part.n_bytes)
					(void)*(const volatile uint8_t *)part.data;
			sea_message_unref(message);
		}
	}
	test_kill(pid);
	/* Orphans whose table is scribbled over cannot be put together; their memory is free all the same. */
	CHECK_EVENTUALLY(peers_stats(session).n_deaths == 1);
	for (struct sea_message *orphan; sea_channel_take_orphan(push, &orphan) == 0;)
		sea_message_unref(orphan);
	sea_channel_close(pull);
	sea_channel_close(local);
	sea_channel_close(push);
	peers_wait_unused(session);
	sea_session_close(session);
	test_step_fini(&word->ready);
}
