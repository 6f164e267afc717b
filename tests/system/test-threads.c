/* SPDX-License-Identifier: Apache-2.0 */
/* Threads: memory goes from one to the other, channels stay with theirs, sessions do not know of each other. */
#include <pthread.h>
#include <stdio.h>

#include "rig.h"

static pthread_t thread_start(void *(*function)(void *), void *arg)
{
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, function, arg), 0);
	return thread;
}

static void thread_join(pthread_t thread)
{
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static unsigned n_of(unsigned n)
{
	return test_is_sanitized() ? n / 10 : n;
}

/* A queue of messages between threads. */
struct hand {
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	struct sea_message *messages[64];
	unsigned n;
	bool is_over;
};

static void hand_give(struct hand *hand, struct sea_message *message)
{
	pthread_mutex_lock(&hand->mutex);
	while (hand->n == 64)
		pthread_cond_wait(&hand->changed, &hand->mutex);
	hand->messages[hand->n++] = message;
	pthread_cond_broadcast(&hand->changed);
	pthread_mutex_unlock(&hand->mutex);
}

static struct sea_message *hand_take(struct hand *hand)
{
	struct sea_message *message = NULL;

	pthread_mutex_lock(&hand->mutex);
	while (hand->n == 0 && !hand->is_over)
		pthread_cond_wait(&hand->changed, &hand->mutex);
	if (hand->n)
		message = hand->messages[--hand->n];
	pthread_cond_broadcast(&hand->changed);
	pthread_mutex_unlock(&hand->mutex);
	return message;
}

static void *release_main(void *arg)
{
	struct hand *hand = arg;

	for (struct sea_message *message; (message = hand_take(hand));) {
		(void)rig_number_of(message);
		sea_message_unref(message);
	}
	return NULL;
}

/* Its heap holds a few hundred of the messages: it gets through only if all are released. */
static void release_sender(void *arg)
{
	struct sea_heap_options options = { .quota_n_bytes = 4u << 20, .arena_n_bytes = 2u << 20 };
	struct rig rig = rig_connect(SEA_PUSH, "threads", NULL);
	struct sea_heap *heap;

	CHECK_OK(sea_heap_new(&heap, rig.session, &options));
	for (uint64_t i = 0; i < *(unsigned *)arg; i++) {
		struct sea_message *message = rig_message_of(heap, i, 8000);

		CHECK_OK(sea_channel_send(rig.channel, &message, rig_patience()));
	}
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	CHECK_EQ(rig_n_bytes_used(&rig), 0);
	rig_close(&rig);
}

TEST(release_elsewhere,
     "messages that one thread received are released by four others, and their owner gets all of them")
{
	struct hand hand = { .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };
	unsigned n = n_of(20000);
	pthread_t threads[4];
	pid_t pid = test_fork(release_sender, &n);
	struct rig rig = rig_bind(SEA_PULL, "threads", NULL);

	for (int i = 0; i < 4; i++)
		threads[i] = thread_start(release_main, &hand);
	for (uint64_t i = 0; i < n; i++) {
		struct sea_message *message;

		CHECK_OK(sea_channel_receive(rig.channel, &message, rig_patience()));
		CHECK_EQ(rig_number_of(message), i);
		hand_give(&hand, message);
	}
	pthread_mutex_lock(&hand.mutex);
	hand.is_over = true;
	pthread_cond_broadcast(&hand.changed);
	pthread_mutex_unlock(&hand.mutex);
	for (int i = 0; i < 4; i++)
		thread_join(threads[i]);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
}

struct allocator {
	struct sea_heap *heaps[3];
	unsigned n_heaps, index, n_rounds;
};

static void *allocate_main(void *arg)
{
	static const size_t sizes[] = { 64, 100, 4096, 5000, 70000, 1u << 20 };
	const struct allocator *allocator = arg;
	struct sea_message *messages[8] = { 0 };
	uint64_t numbers[8] = { 0 };

	for (unsigned i = 0; i < allocator->n_rounds; i++) {
		uint64_t random = test_random();
		unsigned at = random % 8;

		if (messages[at]) {
			CHECK_EQ(rig_number_of(messages[at]), numbers[at]);
			messages[at] = sea_message_unref(messages[at]);
		} else {
			numbers[at] = (uint64_t)allocator->index << 32 | i;
			messages[at] = rig_message_of(allocator->heaps[(random >> 16) % allocator->n_heaps],
			                              numbers[at], sizes[(random >> 8) % 6]);
		}
	}
	for (unsigned at = 0; at < 8; at++)
		sea_message_unref(messages[at]);
	return NULL;
}

/* Four threads, each of which takes from all of the heaps by turns. */
static void allocate_from(unsigned n_heaps)
{
	struct sea_heap_options options = { .quota_n_bytes = 40u << 20, .arena_n_bytes = 2u << 20 };
	struct sea_heap *heaps[3] = { 0 };
	struct allocator allocators[4];
	pthread_t threads[4];
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	for (unsigned i = 0; i < n_heaps; i++) {
		options.segment_id = i;
		CHECK_OK(sea_heap_new(&heaps[i], session, &options));
	}
	for (unsigned i = 0; i < 4; i++) {
		allocators[i] = (struct allocator){ { heaps[0], heaps[1], heaps[2] }, n_heaps, i, n_of(30000) };
		threads[i] = thread_start(allocate_main, &allocators[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		thread_join(threads[i]);
	for (unsigned i = 0; i < n_heaps; i++) {
		struct sea_heap_stats stats;

		CHECK_OK(sea_heap_get_stats(heaps[i], &stats));
		CHECK_EQ(stats.n_blocks_used, 0);
		CHECK_EQ(stats.n_bytes_used, 0);
		CHECK_LE(stats.n_bytes_backed, stats.quota_n_bytes);
	}
	sea_session_close(session);
}

TEST(allocate_together, "four threads allocate and release in one heap at its quota, and none gets another's bytes")
{
	allocate_from(1);
}

TEST(allocate_from_several, "four threads allocate and release in three heaps at once, and none gets another's bytes")
{
	allocate_from(3);
}

struct lane {
	struct sea_session *session;
	char address[16];
	unsigned n;
	bool is_bound;
};

static void *lane_send(void *arg)
{
	struct lane *lane = arg;
	struct rig rig = { .session = lane->session };

	CHECK_OK(sea_channel_new(&rig.channel, lane->session, SEA_PUSH, NULL));
	CHECK_OK(lane->is_bound ? sea_channel_bind(rig.channel, lane->address)
	                        : sea_channel_connect(rig.channel, lane->address));
	for (uint64_t i = 0; i < lane->n; i++)
		CHECK_OK(rig_send(&rig, i, 8 + i % 3 * 500, rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	sea_channel_close(rig.channel);
	return NULL;
}

static void *lane_receive(void *arg)
{
	struct lane *lane = arg;
	struct rig rig = { .session = lane->session };

	CHECK_OK(sea_channel_new(&rig.channel, lane->session, SEA_PULL, NULL));
	CHECK_OK(lane->is_bound ? sea_channel_bind(rig.channel, lane->address)
	                        : sea_channel_connect(rig.channel, lane->address));
	rig_expect(&rig, 0, lane->n);
	sea_channel_close(rig.channel);
	return NULL;
}

/* Runs four lanes in threads of one session each way. */
static void lanes_run(struct sea_session *sender, struct sea_session *receiver, unsigned n)
{
	struct lane lanes[8];
	pthread_t threads[8];
	unsigned n_threads = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct lane lane = { .n = n };

		snprintf(lane.address, sizeof(lane.address), "lane%u", i);
		lane.is_bound = i % 2;
		lane.session = sender;
		lanes[2 * i] = lane;
		lane.is_bound = !lane.is_bound;
		lane.session = receiver;
		lanes[2 * i + 1] = lane;
		if (sender)
			threads[n_threads++] = thread_start(lane_send, &lanes[2 * i]);
		if (receiver)
			threads[n_threads++] = thread_start(lane_receive, &lanes[2 * i + 1]);
	}
	for (unsigned i = 0; i < n_threads; i++)
		thread_join(threads[i]);
}

static void lanes_sender(void *arg)
{
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	lanes_run(session, NULL, *(unsigned *)arg);
	sea_session_close(session);
}

TEST(several_channels, "several channels of one session are used in a thread each, in two processes")
{
	unsigned n = n_of(20000);
	pid_t pid = test_fork(lanes_sender, &n);
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	lanes_run(NULL, session, n);
	CHECK_EQ(test_wait(pid), 0);
	sea_session_close(session);
}

TEST(two_sessions, "two sessions of one name in one process exchange messages as two processes would")
{
	struct sea_session *sender, *receiver;
	struct sea_session_stats stats;

	CHECK_OK(sea_session_open(&sender, NULL));
	CHECK_OK(sea_session_open(&receiver, NULL));
	CHECK_NE(sea_session_id(sender), sea_session_id(receiver));
	lanes_run(sender, receiver, n_of(5000));
	CHECK_OK(sea_session_get_stats(sender, &stats));
	CHECK_EQ(stats.n_bytes_used, 0);
	sea_session_close(sender);
	CHECK_EVENTUALLY(sea_session_get_stats(receiver, &stats) == 0 && stats.n_peers == 0);
	CHECK_EQ(stats.n_refused, 0);
	sea_session_close(receiver);
}

TEST(to_itself, "a session whose channel is connected to its own bound one sends to itself")
{
	struct sea_session *session;
	struct sea_session_stats stats;

	CHECK_OK(sea_session_open(&session, NULL));
	lanes_run(session, session, n_of(5000));
	CHECK_OK(sea_session_get_stats(session, &stats));
	CHECK_EQ(stats.n_bytes_used, 0);
	CHECK_EQ(stats.n_lies, 0);
	CHECK_EQ(stats.n_refused, 0);
	sea_session_close(session);
}

TEST(to_itself_in_one_thread, "one thread holds both ends of a pair in one session, and gets back what it sent")
{
	struct rig bound = rig_bind(SEA_PAIR, "mirror", NULL), other = { .session = bound.session };
	struct sea_message *message;

	CHECK_OK(sea_channel_new(&other.channel, bound.session, SEA_PAIR, NULL));
	CHECK_OK(sea_channel_connect(other.channel, "mirror"));
	CHECK_OK(sea_channel_wait_peers(other.channel, 1, rig_patience()));
	for (uint64_t i = 0; i < 100; i++) {
		/* There and back again, the same block. */
		CHECK_OK(rig_send(&bound, i, 5000, rig_patience()));
		CHECK_OK(sea_channel_receive(other.channel, &message, rig_patience()));
		CHECK_OK(sea_channel_send(other.channel, &message, rig_patience()));
		rig_expect(&bound, i, i + 1);
	}
	CHECK_EQ(rig_n_bytes_used(&bound), 0);
	sea_channel_close(other.channel);
	rig_close(&bound);
}
