/* SPDX-License-Identifier: Apache-2.0 */
/* Frames while they grow, and what they cost; how they look elsewhere is tests/channel/test-frame-travel.c. */
#include "test.h"

#include <signal.h>
#include <string.h>

#include <sealane/sealane.h>

static struct sea_session *session;
static struct sea_heap *heap;

static void frame_test_init(uint64_t quota_n_bytes)
{
	struct sea_heap_options options = { .quota_n_bytes = quota_n_bytes };

	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_OK(sea_heap_new(&heap, session, &options));
}

static struct sea_heap_stats heap_stats(void)
{
	struct sea_heap_stats stats;

	CHECK_OK(sea_heap_get_stats(heap, &stats));
	return stats;
}

static void frame_test_fini(void)
{
	CHECK_EQ(heap_stats().n_blocks_used, 0);
	CHECK_EQ(heap_stats().n_bytes_used, 0);
	CHECK(!sea_heap_free(heap));
	CHECK(!sea_session_close(session));
}

static struct sea_frame *frame_new(uint64_t n_bytes_max)
{
	struct sea_frame_options options = { .n_bytes_max = { n_bytes_max } };
	struct sea_frame *frame;

	CHECK_OK(sea_frame_new(&frame, heap, &options, 0));
	return frame;
}

static struct sea_message *frame_seal(struct sea_frame *frame)
{
	struct sea_message *message;

	CHECK_OK(sea_frame_seal(&frame, &message));
	CHECK(!frame);
	return message;
}

static void check_part(const struct sea_message *message, size_t index, size_t n_bytes, int byte)
{
	struct sea_part part;

	CHECK_OK(sea_message_get_part(message, index, &part));
	CHECK_EQ(part.n_bytes, n_bytes);
	for (size_t i = 0; i < n_bytes; i++)
		if (((const unsigned char *)part.data)[i] != byte)
			FAIL("part %zu is wrong at byte %zu", index, i);
}

static struct sea_message *message_of(size_t n_bytes, int byte)
{
	struct sea_message *message;

	CHECK_OK(sea_message_new(&message, heap, n_bytes, 0, 0));
	if (n_bytes)
		memset(sea_message_write(message), byte, n_bytes);
	return message;
}

TEST(reserve, "a frame that reserves a GiB and uses a MiB costs a MiB or little more")
{
	struct sea_frame *frame;
	struct sea_message *message;
	void *data;

	frame_test_init(UINT64_C(4) << 30);
	frame = frame_new(UINT64_C(1) << 30);
	CHECK_LE(heap_stats().n_bytes_backed, 1 << 20);
	CHECK_EQ(sea_frame_add(frame, 1 << 20, 0, &data), 0);
	memset(data, 1, 1 << 20);
	message = frame_seal(frame);
	CHECK_GE(heap_stats().n_bytes_backed, 1 << 20);
	CHECK_LE(heap_stats().n_bytes_backed, 2 << 20);
	check_part(message, 0, 1 << 20, 1);
	sea_message_unref(message);
	/* Dropped without a seal, it gives everything back, too. */
	frame = frame_new(UINT64_C(1) << 30);
	CHECK_EQ(sea_frame_add(frame, 3 << 20, 0, &data), 0);
	memset(data, 1, 3 << 20);
	CHECK(!sea_frame_free(frame));
	CHECK(!sea_frame_free(NULL));
	CHECK_EQ(heap_stats().n_blocks_used, 0);
	CHECK_LE(heap_stats().n_bytes_backed, 6 << 20);
	frame_test_fini();
}

TEST(grow, "a frame grows part by part; what was written stays where it is")
{
	struct sea_frame *frame;
	struct sea_message *message;
	unsigned char *data[200];

	frame_test_init(256 << 20);
	frame = frame_new(64 << 20);
	for (unsigned i = 0; i < 200; i++) {
		void *ret;

		CHECK_EQ(sea_frame_n_parts(frame), i);
		CHECK_EQ(sea_frame_add(frame, 1000 * (i + 1), 0, &ret), i);
		CHECK_EQ((uintptr_t)ret % 64, 0);
		data[i] = ret;
		memset(ret, (int)i, 1000 * (i + 1));
	}
	message = frame_seal(frame);
	for (unsigned i = 0; i < 200; i++) {
		struct sea_part part;

		check_part(message, i, 1000 * (i + 1), (int)i);
		CHECK_OK(sea_message_get_part(message, i, &part));
		CHECK(part.data == data[i]);
	}
	sea_message_unref(message);
	frame_test_fini();
}

TEST(shrink, "the last part can be cut, also to nothing, and the next one uses what was cut off")
{
	struct sea_frame *frame;
	struct sea_message *message;
	void *a, *b, *c;

	frame_test_init(64 << 20);
	frame = frame_new(1 << 20);
	CHECK_ERR(sea_frame_shrink_last(frame, 0), -EINVAL);
	CHECK_EQ(sea_frame_add(frame, 1 << 20, 1, &a), 0);
	memset(a, 7, 1 << 20);
	CHECK_ERR(sea_frame_add(frame, 1, 1, &b), -E2BIG);
	CHECK_ERR(sea_frame_shrink_last(frame, (1 << 20) + 1), -EINVAL);
	CHECK_OK(sea_frame_shrink_last(frame, 1000));
	CHECK_EQ(sea_frame_add(frame, 5000, 1, &b), 1);
	CHECK((unsigned char *)b == (unsigned char *)a + 1000);
	memset(b, 8, 5000);
	CHECK_OK(sea_frame_shrink_last(frame, 0));
	CHECK_EQ(sea_frame_add(frame, 6000, 1, &c), 2);
	CHECK(b == c);
	memset(c, 9, 6000);
	CHECK_OK(sea_frame_shrink_last(frame, 6000));
	message = frame_seal(frame);
	CHECK_EQ(sea_message_n_parts(message), 3);
	check_part(message, 0, 1000, 7);
	check_part(message, 1, 0, 0);
	check_part(message, 2, 6000, 9);
	/* A part of another message is not this frame's to cut. */
	CHECK_OK(sea_frame_new(&frame, heap, NULL, 0));
	CHECK_EQ(sea_frame_add_part_of(frame, message, 2), 0);
	CHECK_ERR(sea_frame_shrink_last(frame, 1), -EINVAL);
	sea_frame_free(frame);
	sea_message_unref(message);
	frame_test_fini();
}

TEST(refusals, "what cannot be added is refused, and the frame is as before")
{
	struct sea_frame *frame;
	struct sea_message *message, *other = NULL;
	struct sea_frame_options options = { .n_bytes_max = { 10000 } };
	void *data, *untouched = &data;

	frame_test_init(16 << 20);
	options.flags = 1u << 31;
	CHECK_ERR(sea_frame_new(&frame, heap, &options, 0), -EINVAL);
	options.flags = 0;
	options.reserved[5] = 1;
	CHECK_ERR(sea_frame_new(&frame, heap, &options, 0), -EINVAL);
	options.reserved[5] = 0;
	options.n_bytes_max[9] = UINT64_MAX;
	CHECK_ERR(sea_frame_new(&frame, heap, &options, 0), -E2BIG);
	CHECK_EQ(heap_stats().n_blocks_used, 0);
	options.n_bytes_max[9] = 0;
	CHECK_OK(sea_frame_new(&frame, heap, &options, 0));
	CHECK_EQ(sea_frame_add(frame, 100, 0, &data), 0);
	memset(data, 1, 100);
	data = untouched;
	CHECK_ERR(sea_frame_add(frame, 100, 3, &data), -EINVAL);
	CHECK_ERR(sea_frame_add(frame, 100, (size_t)4 << 20, &data), -EINVAL);
	CHECK_ERR(sea_frame_add_to(frame, SEA_FRAME_N_CLASSES, 100, 0, &data), -EINVAL);
	CHECK_ERR(sea_frame_add(frame, 10000, 0, &data), -E2BIG);
	CHECK_ERR(sea_frame_add(frame, SIZE_MAX, 0, &data), -E2BIG);
	CHECK_ERR(sea_frame_add(frame, SIZE_MAX - 50, 1, &data), -E2BIG);
	CHECK_ERR(sea_frame_add(frame, 100, SEA_ALIGNMENT_MAX, &data), -E2BIG);
	other = message_of(5000, 4);
	CHECK_ERR(sea_frame_add_part_of(frame, other, 1), -EINVAL);
	CHECK(data == untouched);
	CHECK_EQ(sea_frame_n_parts(frame), 1);
	CHECK_EQ(sea_frame_add(frame, 9000, 0, &data), 1);
	memset(data, 2, 9000);
	message = frame_seal(frame);
	CHECK_EQ(sea_message_n_parts(message), 2);
	check_part(message, 0, 100, 1);
	check_part(message, 1, 9000, 2);
	sea_message_unref(message);
	sea_message_unref(other);
	/* Without a block of its own a frame has no place for own parts. */
	CHECK_OK(sea_frame_new(&frame, heap, NULL, 0));
	CHECK_ERR(sea_frame_add(frame, 1, 0, &data), -E2BIG);
	sea_frame_free(frame);
	frame_test_fini();
}

TEST(sessions, "a message of another session is refused")
{
	struct sea_session *other;
	struct sea_message *message, *same;
	struct sea_frame *frame;

	frame_test_init(16 << 20);
	CHECK_OK(sea_session_open(&other, NULL));
	CHECK_OK(sea_message_new(&message, sea_session_heap(other), 5000, 0, 0));
	same = message;
	frame = frame_new(1000);
	CHECK_ERR(sea_frame_add_part_of(frame, message, 0), -EINVAL);
	CHECK_ERR(sea_frame_add_message(frame, message), -EINVAL);
	CHECK_ERR(sea_frame_absorb(frame, &message), -EINVAL);
	CHECK(message == same);
	CHECK_EQ(sea_frame_n_parts(frame), 0);
	sea_frame_free(frame);
	sea_message_unref(message);
	sea_session_close(other);
	frame_test_fini();
}

TEST(quota, "a frame that meets the quota says so, keeps what it has, and can still be sealed")
{
	struct sea_frame *frame;
	struct sea_message *message, *rest;
	void *data;
	int n = 0, r;

	frame_test_init(8 << 20);
	frame = frame_new(7 << 20);
	rest = message_of(4 << 20, 3);
	while ((r = sea_frame_add(frame, 100000, 0, &data)) >= 0) {
		memset(data, n, 100000);
		n++;
	}
	CHECK_EQ(r, -ENOMEM);
	CHECK_GT(n, 10);
	CHECK_LT(n, 42);
	CHECK_EQ(sea_frame_n_parts(frame), n);
	sea_message_unref(rest);
	CHECK_OK(sea_heap_trim(heap, 0));
	CHECK_EVENTUALLY(sea_frame_add(frame, 100000, 0, &data) == n);
	memset(data, n, 100000);
	message = frame_seal(frame);
	for (int i = 0; i <= n; i++)
		check_part(message, (size_t)i, 100000, i);
	sea_message_unref(message);
	frame_test_fini();
}

TEST(other_parts, "parts of own messages are referred to, and keep their memory as long as the new message lives")
{
	struct sea_message *a, *b, *message;
	struct sea_frame *frame;
	struct sea_session_stats stats;
	struct sea_part part, source;

	frame_test_init(64 << 20);
	a = message_of(200000, 1);
	b = message_of(300000, 2);
	frame = frame_new(1000);
	CHECK_EQ(sea_frame_add_part_of(frame, b, 0), 0);
	CHECK_EQ(sea_frame_add_message(frame, a), 1);
	CHECK_EQ(sea_frame_add_part_of(frame, b, 0), 2);
	CHECK_OK(sea_message_get_part(a, 0, &source));
	sea_message_unref(a);
	sea_message_unref(b);
	message = frame_seal(frame);
	CHECK_OK(sea_message_get_part(message, 1, &part));
	CHECK(part.data == source.data);
	check_part(message, 0, 300000, 2);
	check_part(message, 1, 200000, 1);
	check_part(message, 2, 300000, 2);
	CHECK_OK(sea_session_get_stats(session, &stats));
	CHECK_EQ(stats.n_bytes_copied, 0);
	CHECK_EQ(heap_stats().n_blocks_used, 3);
	sea_message_unref(message);
	/* Dropped with its frame. */
	a = message_of(200000, 1);
	frame = frame_new(1000);
	CHECK_EQ(sea_frame_add_message(frame, a), 0);
	sea_message_unref(a);
	CHECK_EQ(heap_stats().n_blocks_used, 2);
	sea_frame_free(frame);
	frame_test_fini();
}

TEST(many_sources, "a frame of parts of a thousand messages; of more than a format allows it says so")
{
	struct sea_message *message;
	struct sea_frame *frame;
	int n = 0, r;

	frame_test_init(64 << 20);
	frame = frame_new(1000);
	for (;;) {
		message = message_of(100, n);
		r = sea_frame_add_part_of(frame, message, 0);
		sea_message_unref(message);
		if (r < 0)
			break;
		CHECK_EQ(r, n++);
	}
	CHECK_EQ(r, -E2BIG);
	CHECK_GE(n, 1000);
	CHECK_EQ(sea_frame_n_parts(frame), n);
	message = frame_seal(frame);
	for (int i = 0; i < n; i++)
		check_part(message, (size_t)i, 100, i & 0xff);
	sea_message_unref(message);
	frame_test_fini();
}

TEST(copy_rule, "a small part of a much larger block is copied, a whole message never is")
{
	struct sea_message *big, *message;
	struct sea_frame *frame = NULL;
	struct sea_session_stats stats;
	void *data;

	frame_test_init(64 << 20);
	frame = frame_new(8 << 20);
	for (unsigned i = 0; i < 100; i++) {
		CHECK_EQ(sea_frame_add(frame, 10000, 0, &data), i);
		memset(data, (int)i, 10000);
	}
	big = frame_seal(frame);
	frame = frame_new(1000);
	CHECK_EQ(sea_frame_add_part_of(frame, big, 40), 0);
	CHECK_EQ(sea_frame_add_part_of(frame, big, 41), 1);
	message = frame_seal(frame);
	CHECK_OK(sea_session_get_stats(session, &stats));
	CHECK_EQ(stats.n_bytes_copied, 20000);
	check_part(message, 0, 10000, 40);
	check_part(message, 1, 10000, 41);
	sea_message_unref(message);
	frame = frame_new(1000);
	CHECK_EQ(sea_frame_add_message(frame, big), 0);
	CHECK_EQ(sea_frame_n_parts(frame), 100);
	message = frame_seal(frame);
	CHECK_OK(sea_session_get_stats(session, &stats));
	CHECK_EQ(stats.n_bytes_copied, 20000);
	for (unsigned i = 0; i < 100; i++)
		check_part(message, i, 10000, (int)i);
	sea_message_unref(message);
	sea_message_unref(big);
	frame_test_fini();
}

static void write_to(void *data)
{
	*(volatile unsigned char *)data = 5;
}

TEST(pieces,
     "pieces of a part are referred to without a copy while they are most of it, copied where they would pin it, and lie within it")
{
	struct sea_message *message, *tiny, *whole;
	struct sea_frame *frame;
	struct sea_part part;

	frame_test_init(16 << 20);
	message = message_of(1 << 20, 6);
	tiny = message_of(8, 1);
	memcpy(sea_message_write(tiny), "01234567", 8);
	frame = frame_new(1 << 20);
	CHECK_ERR(sea_frame_add_piece_of(frame, message, 1, 0, 1), -EINVAL);
	CHECK_ERR(sea_frame_add_piece_of(frame, message, 0, (1 << 20) + 1, 0), -EINVAL);
	CHECK_ERR(sea_frame_add_piece_of(frame, message, 0, 1, 1 << 20), -EINVAL);
	CHECK_ERR(sea_frame_add_piece_of(frame, message, 0, 2, SIZE_MAX), -EINVAL);
	CHECK_EQ(sea_frame_n_parts(frame), 0);
	sea_frame_free(frame);
	CHECK_OK(sea_frame_new(&frame, heap, NULL, 0));
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(sea_frame_add_piece_of(frame, message, 0, i << 17, 1 << 17), i);
	CHECK_EQ(sea_frame_add_piece_of(frame, message, 0, 1 << 20, 0), 8);
	CHECK_EQ(sea_frame_add_piece_of(frame, tiny, 0, 3, 2), 9);
	whole = frame_seal(frame);
	for (unsigned i = 0; i < 8; i++) {
		check_part(whole, i, 1 << 17, 6);
		CHECK_OK(sea_message_get_part(whole, i, &part));
		CHECK(part.data == (const char *)sea_message_data(message) + (i << 17));
	}
	check_part(whole, 8, 0, 0);
	CHECK_OK(sea_message_get_part(whole, 9, &part));
	CHECK_EQ(part.n_bytes, 2);
	CHECK_MEM_EQ(part.data, "34", 2);
	sea_message_unref(whole);
	/* A thousand bytes of a MiB. */
	CHECK_OK(sea_frame_new(&frame, heap, NULL, 0));
	CHECK_EQ(sea_frame_add_piece_of(frame, message, 0, 5000, 1000), 0);
	whole = frame_seal(frame);
	CHECK_OK(sea_message_get_part(whole, 0, &part));
	CHECK(part.data != (const char *)sea_message_data(message) + 5000);
	sea_message_unref(message);
	check_part(whole, 0, 1000, 6);
	sea_message_unref(whole);
	sea_message_unref(tiny);
	frame_test_fini();
}

TEST(immutable, "an immutable frame is written by nobody after its seal, its own maker included")
{
	struct sea_frame_options options = { .n_bytes_max = { [0] = 1 << 20, [2] = 1 << 20 },
		                             .flags = SEA_FRAME_IMMUTABLE };
	struct sea_message *message;
	struct sea_frame *frame;
	void *data[3];

	frame_test_init(64 << 20);
	CHECK_OK(sea_frame_new(&frame, heap, &options, 0));
	for (unsigned i = 0; i < 3; i++) {
		CHECK_EQ(sea_frame_add_to(frame, i, 5000, 0, &data[i]), i);
		memset(data[i], (int)i, 5000);
	}
	message = frame_seal(frame);
	CHECK(!sea_message_write(message));
	for (unsigned i = 0; i < 3; i++) {
		struct sea_part part;

		check_part(message, i, 5000, (int)i);
		CHECK_OK(sea_message_get_part(message, i, &part));
		/* A forked child has none of it mapped, so that a write there proves nothing: the kernel says what this process may. */
		CHECK(part.data == data[i]);
	}
	sea_message_unref(message);
	frame_test_fini();
}

/* In a process of its own, from the start. */
static void write_late(void *arg)
{
	struct sea_frame_options options = { .n_bytes_max = { 1 << 20 }, .flags = SEA_FRAME_IMMUTABLE };
	struct sea_frame *frame;
	struct sea_message *message;
	void *data;

	(void)arg;
	frame_test_init(16 << 20);
	CHECK_OK(sea_frame_new(&frame, heap, &options, 0));
	CHECK_EQ(sea_frame_add(frame, 100, 0, &data), 0);
	memset(data, 4, 100);
	write_to((unsigned char *)data + 99);
	CHECK_OK(sea_frame_shrink_last(frame, 99));
	message = frame_seal(frame);
	check_part(message, 0, 99, 4);
	signal(SIGSEGV, SIG_DFL);
	write_to(data);
	sea_message_unref(message);
}

TEST(immutable_write, "a late write to an immutable frame is a SIGSEGV in its maker")
{
	/* A sanitizer that catches the signal ends the process with a code of its own. */
	int code = test_wait(test_fork(write_late, NULL));

	CHECK(code == -SIGSEGV || (test_is_sanitized() && code != 0));
}
