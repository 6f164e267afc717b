/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of one part and their references, within one process. */
#include "test.h"

#include <pthread.h>
#include <string.h>

#include <sealane/sealane.h>

static struct sea_session *session;
static struct sea_heap *heap;

static void message_test_init(uint64_t quota_n_bytes)
{
	struct sea_session_options options = { .quota_n_bytes = quota_n_bytes };

	CHECK_OK(sea_session_open(&session, &options));
	heap = sea_session_heap(session);
}

static struct sea_heap_stats heap_stats(void)
{
	struct sea_heap_stats stats;

	CHECK_OK(sea_heap_get_stats(heap, &stats));
	return stats;
}

static void message_test_fini(void)
{
	CHECK_EQ(heap_stats().n_blocks_used, 0);
	sea_session_close(session);
}

TEST(arguments, "sizes and alignments out of their range are refused")
{
	struct sea_message *message = NULL;

	message_test_init(16 << 20);
	CHECK_ERR(sea_message_new(&message, heap, 10, 3, 0), -EINVAL);
	CHECK_ERR(sea_message_new(&message, heap, 10, (size_t)4 << 20, 0), -EINVAL);
	CHECK_ERR(sea_message_new(&message, heap, 17 << 20, 0, 0), -E2BIG);
	CHECK_ERR(sea_message_new(&message, heap, SIZE_MAX, 0, 0), -E2BIG);
	CHECK_ERR(sea_message_new(&message, heap, SIZE_MAX / 2, SEA_ALIGNMENT_MAX, 0), -E2BIG);
	CHECK_ERR(sea_message_new(&message, heap, 17 << 20, 0, 1000000000), -E2BIG);
	CHECK_ERR(sea_message_new_many(&message, 0, heap, 10, 0, 0), -EINVAL);
	CHECK(!message);
	CHECK(!sea_message_unref(NULL));
	message_test_fini();
}

TEST(one, "a message is written until it is shared, and gives its memory back with the last reference")
{
	struct sea_message *message;
	struct sea_part part;

	message_test_init(16 << 20);
	CHECK_OK(sea_message_new(&message, heap, 1000, 0, 0));
	CHECK_EQ(heap_stats().n_blocks_used, 1);
	CHECK_GE(heap_stats().n_bytes_used, 1000);
	CHECK_EQ(sea_message_n_parts(message), 1);
	CHECK_EQ(sea_message_n_bytes(message), 1000);
	CHECK_EQ(sea_message_size(message), 1000);
	CHECK(sea_message_write(message) == sea_message_data(message));
	CHECK_EQ(sea_message_sender(message), 0);
	CHECK_EQ(sea_message_get_tag(message), 0);
	sea_message_set_tag(message, UINT64_MAX);
	CHECK_EQ(sea_message_get_tag(message), UINT64_MAX);
	CHECK_OK(sea_message_get_part(message, 0, &part));
	CHECK(part.data == sea_message_data(message));
	CHECK_ERR(sea_message_get_part(message, 1, &part), -EINVAL);
	CHECK(sea_message_ref(message) == message);
	CHECK(!sea_message_write(message));
	CHECK_ERR(sea_message_shrink(message, 5), -EINVAL);
	CHECK(!sea_message_unref(message));
	CHECK(sea_message_write(message));
	CHECK_ERR(sea_message_shrink(message, 1001), -EINVAL);
	CHECK_OK(sea_message_shrink(message, 5));
	CHECK_EQ(sea_message_size(message), 5);
	CHECK_EQ(heap_stats().n_blocks_used, 1);
	CHECK(!sea_message_unref(message));
	message_test_fini();
}

TEST(empty, "an empty message takes no memory and has one part without bytes")
{
	struct sea_message *message;
	struct sea_part part = { "", 1 };

	message_test_init(16 << 20);
	CHECK_OK(sea_message_new(&message, heap, 0, 0, 0));
	CHECK_EQ(heap_stats().n_blocks_used, 0);
	CHECK_EQ(sea_message_n_parts(message), 1);
	CHECK_EQ(sea_message_n_bytes(message), 0);
	CHECK(!sea_message_data(message));
	CHECK(!sea_message_write(message));
	CHECK_OK(sea_message_get_part(message, 0, &part));
	CHECK(!part.data);
	CHECK_EQ(part.n_bytes, 0);
	CHECK_ERR(sea_message_notify(message, 1), -EINVAL);
	sea_message_unref(message);
	message_test_fini();
}

TEST(many, "many messages at once: as many as there is memory for, none of them another's")
{
	enum { N = 1000 };
	struct sea_message *messages[N];
	int n, r;

	message_test_init(16 << 20);
	n = sea_message_new_many(messages, N, heap, 1000, 0, 0);
	CHECK_EQ(n, N);
	for (int i = 0; i < n; i++)
		memset(sea_message_write(messages[i]), i, 1000);
	for (int i = 0; i < n; i++)
		for (int j = 0; j < 1000; j++)
			CHECK_EQ(((const unsigned char *)sea_message_data(messages[i]))[j], i & 0xff);
	/* Gaps are passed over. */
	messages[3] = sea_message_unref(messages[3]);
	sea_message_unref_many(messages, N);
	for (int i = 0; i < N; i++)
		CHECK(!messages[i]);
	CHECK_EQ(heap_stats().n_blocks_used, 0);
	/* A quota that has room for a part of them. */
	for (n = 0; (r = sea_message_new_many(messages + n, (size_t)(N - n), heap, 100000, 0, 0)) > 0; n += r)
		;
	CHECK_EQ(r, -ENOMEM);
	CHECK_GT(n, 50);
	CHECK_LT(n, 168);
	sea_message_unref_many(messages, (size_t)n);
	n = sea_message_new_many(messages, N, heap, 10, 0, 0);
	CHECK_EQ(n, N);
	sea_message_unref_many(messages, N);
	message_test_fini();
}

static void *release_later(void *arg)
{
	test_sleep_ms(30);
	return sea_message_unref(arg);
}

TEST(wait, "at the quota an allocation fails, times out, or waits for another thread's release")
{
	struct sea_message *messages[2], *message = NULL;
	pthread_t thread;

	message_test_init(8 << 20);
	CHECK_OK(sea_message_new(&messages[0], heap, 7 << 20, 0, 0));
	CHECK_ERR(sea_message_new(&message, heap, 7 << 20, 0, 0), -ENOMEM);
	CHECK_ERR(sea_message_new(&message, heap, 7 << 20, 0, 1000000), -ETIMEDOUT);
	CHECK(!message);
	CHECK_EQ(pthread_create(&thread, NULL, release_later, messages[0]), 0);
	CHECK_OK(sea_message_new(&message, heap, 7 << 20, 0, -1));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_GE(heap_stats().n_waits, 1);
	sea_message_unref(message);
	message_test_fini();
}

TEST(warm, "memory that was used before is used again, the last one first")
{
	struct sea_message *message;
	const void *data;
	uint64_t n_backed;

	message_test_init(64 << 20);
	CHECK_OK(sea_message_new(&message, heap, 1 << 20, 0, 0));
	data = sea_message_data(message);
	sea_message_unref(message);
	n_backed = heap_stats().n_bytes_backed;
	for (unsigned i = 0; i < 100; i++) {
		CHECK_OK(sea_message_new(&message, heap, 1 << 20, 0, 0));
		CHECK(sea_message_data(message) == data);
		sea_message_unref(message);
	}
	CHECK_EQ(heap_stats().n_bytes_backed, n_backed);
	CHECK_GE(heap_stats().n_bytes_peak, 1 << 20);
	CHECK_EQ(heap_stats().n_arenas, 1);
	CHECK_EQ(heap_stats().quota_n_bytes, 64 << 20);
	message_test_fini();
}

TEST(heaps, "a heap of one's own has its own quota, is trimmed, and is freed; the session adds them up")
{
	struct sea_heap_options options = { .quota_n_bytes = 32 << 20,
		                            .arena_n_bytes = 4 << 20,
		                            .flags = SEA_HEAP_PREFAULT };
	struct sea_heap *other;
	struct sea_heap_stats stats;
	struct sea_session_stats sum;
	struct sea_message *message;

	message_test_init(64 << 20);
	CHECK_OK(sea_heap_new(&other, session, &options));
	CHECK_OK(sea_heap_get_stats(other, &stats));
	CHECK_GE(stats.n_bytes_backed, 4 << 20);
	CHECK_OK(sea_message_new(&message, other, 20 << 20, 0, 0));
	CHECK_EQ(heap_stats().n_blocks_used, 0);
	CHECK_OK(sea_heap_get_stats(other, &stats));
	CHECK_OK(sea_session_get_stats(session, &sum));
	CHECK_EQ(sum.n_bytes_used, stats.n_bytes_used + heap_stats().n_bytes_used);
	CHECK_EQ(sum.n_bytes_backed, stats.n_bytes_backed + heap_stats().n_bytes_backed);
	CHECK_EQ(sum.n_arenas, stats.n_arenas + stats.n_arenas_retired + heap_stats().n_arenas);
	sea_message_unref(message);
	CHECK_OK(sea_heap_trim(other, 8 << 20));
	CHECK_EVENTUALLY(sea_heap_get_stats(other, &stats) == 0 && stats.n_bytes_backed <= 8 << 20);
	CHECK_OK(sea_heap_trim(other, 0));
	CHECK_EVENTUALLY(sea_heap_get_stats(other, &stats) == 0 && stats.n_bytes_backed == 0);
	CHECK_EQ(stats.n_bytes_used, 0);
	CHECK(!sea_heap_free(other));
	CHECK(!sea_heap_free(NULL));
	options.protection = (enum sea_protection)2;
	CHECK_ERR(sea_heap_new(&other, session, &options), -EINVAL);
	message_test_fini();
}

#define N_THREADS 4
#define N_ROUNDS 3000

static void *allocate_a_lot(void *arg)
{
	unsigned char mark = (unsigned char)(uintptr_t)arg;
	struct sea_message *messages[16] = { NULL };
	int n_rounds = test_is_sanitized() ? N_ROUNDS / 10 : N_ROUNDS;

	for (int i = 0; i < n_rounds; i++) {
		struct sea_message **message = &messages[test_random() % 16];
		size_t n_bytes = 64u << test_random() % 8;

		if (*message) {
			const unsigned char *data = sea_message_data(*message);

			for (size_t j = 0; j < sea_message_size(*message); j += 61)
				CHECK_EQ(data[j], mark);
			*message = sea_message_unref(*message);
		} else {
			CHECK_OK(sea_message_new(message, heap, n_bytes, 0, -1));
			memset(sea_message_write(*message), mark, n_bytes);
		}
	}
	sea_message_unref_many(messages, 16);
	return NULL;
}

TEST(threads, "many threads allocate and release at once, and none sees another's bytes")
{
	pthread_t threads[N_THREADS];

	message_test_init(16 << 20);
	for (uintptr_t i = 0; i < N_THREADS; i++)
		CHECK_EQ(pthread_create(&threads[i], NULL, allocate_a_lot, (void *)(i + 1)), 0);
	for (unsigned i = 0; i < N_THREADS; i++)
		CHECK_EQ(pthread_join(threads[i], NULL), 0);
	message_test_fini();
}

static void call_after_fork(void *arg)
{
	struct sea_message *message = arg, *other = NULL;
	struct sea_heap_stats stats;
	struct sea_session_stats session_stats;
	struct sea_heap *new_heap;
	struct sea_frame *frame;
	uint64_t cookie;

	CHECK_ERR(sea_message_new(&other, heap, 100, 0, 0), -EPERM);
	CHECK_ERR(sea_message_notify(message, 1), -EPERM);
	CHECK_ERR(sea_heap_get_stats(heap, &stats), -EPERM);
	CHECK_ERR(sea_heap_trim(heap, 0), -EPERM);
	CHECK_ERR(sea_heap_new(&new_heap, session, NULL), -EPERM);
	CHECK_ERR(sea_frame_new(&frame, heap, NULL, 0), -EPERM);
	CHECK_ERR(sea_session_get_stats(session, &session_stats), -EPERM);
	CHECK_ERR(sea_session_done_fd(session), -EPERM);
	CHECK_ERR(sea_session_take_done(session, &cookie, 1), -EPERM);
	CHECK_ERR(sea_session_on_done(session, NULL, NULL), -EPERM);
	sea_message_unref(message);
	sea_session_close(session);
}

TEST(fork, "in a forked child every call is refused, and nothing that it drops reaches its parent's memory")
{
	struct sea_message *message;

	message_test_init(16 << 20);
	CHECK_OK(sea_message_new(&message, heap, 1000, 0, 0));
	memset(sea_message_write(message), 6, 1000);
	CHECK_EQ(test_wait(test_fork(call_after_fork, message)), 0);
	CHECK_EQ(((const unsigned char *)sea_message_data(message))[999], 6);
	CHECK_EQ(heap_stats().n_blocks_used, 1);
	sea_message_unref(message);
	message_test_fini();
}

TEST(words, "the library names its version, what it can do, and its errors")
{
	CHECK_EQ(sea_version(), SEA_VERSION);
	CHECK_EQ(sea_features() & (SEA_FEATURE_MEMFD | SEA_FEATURE_ORPHANS | SEA_FEATURE_IMMUTABLE),
	         SEA_FEATURE_MEMFD | SEA_FEATURE_ORPHANS | SEA_FEATURE_IMMUTABLE);
	for (int i = 0; i < 200; i++) {
		CHECK(sea_error_text(i) && *sea_error_text(i));
		CHECK_STR_EQ(sea_error_text(i), sea_error_text(-i));
		CHECK_NE(sea_error_text(i)[strlen(sea_error_text(i)) - 1], '.');
	}
	CHECK(sea_error_text(INT32_MIN));
	CHECK(strcmp(sea_error_text(-EAGAIN), sea_error_text(-EINVAL)) != 0);
}

TEST(session, "a session has an identity, a directory and options that are checked")
{
	struct sea_session *other;
	struct sea_session_options options = { .name = "a-session", .process_name = "me" };

	message_test_init(16 << 20);
	CHECK_NE(sea_session_id(session), 0);
	CHECK(strncmp(sea_session_directory(session), test_runtime_dir(), strlen(test_runtime_dir())) == 0);
	CHECK_OK(sea_session_open(&other, &options));
	CHECK_NE(sea_session_id(session), sea_session_id(other));
	CHECK(strcmp(sea_session_directory(session), sea_session_directory(other)) != 0);
	sea_session_close(other);
	options.reserved[3] = 1;
	CHECK_ERR(sea_session_open(&other, &options), -EINVAL);
	options.reserved[3] = 0;
	options.transport = (enum sea_transport)2;
	CHECK_ERR(sea_session_open(&other, &options), -EINVAL);
	options.transport = SEA_TRANSPORT_MEMFD;
	for (unsigned i = 0; i < 5; i++) {
		options.name = (const char *[]){
			"", ".hidden", "a/b", "a b",
			"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		}[i];
		CHECK_ERR(sea_session_open(&other, &options), -EINVAL);
	}
	options.name = NULL;
	options.runtime_dir = "/nowhere/at/all";
	CHECK_LT(sea_session_open(&other, &options), 0);
	CHECK(!sea_session_close(NULL));
	message_test_fini();
}
