/* SPDX-License-Identifier: Apache-2.0 */
/* Address space and quota run out in the middle: the call says so, nothing is lost, and who waits is woken when there is some again. */
#include <pthread.h>
#include <unistd.h>

#include "rig.h"
#include "scarce.h"

TEST(receiver_maps, "a receiver without address space gets -ENOMEM; with some, all messages in order")
{
	struct scarce *scarce = scarce_new();
	struct rlimit before;
	struct rig rig;
	uint64_t n;
	pid_t pid;

	if (test_is_sanitized())
		SKIP("sanitizers need address space themselves");
	pid = test_fork(scarce_arenas_sender, scarce);
	rig = rig_bind(SEA_PULL, "arenas", NULL);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	before = scarce_space(20u << 20);
	test_step_signal(&scarce->go, 1);
	test_step_wait(&scarce->ready);
	n = scarce_receive_until(&rig, 0, -ENOMEM);
	CHECK_LT(n, SCARCE_N_ARENAS);
	scarce_space_end(&before);
	scarce_receive_rest(&rig, n, 2 * SCARCE_N_ARENAS, -ENOMEM);
	test_step_signal(&scarce->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	scarce_free(scarce);
}

TEST(sender_maps, "a sender without address space gets -ENOMEM; with some, the same call succeeds")
{
	struct sea_message *message;
	struct rlimit before;
	struct rig rig;

	if (test_is_sanitized())
		SKIP("sanitizers need address space themselves");
	rig = rig_open(SEA_PUSH, NULL);
	before = scarce_space(1u << 20);
	for (int i = 0; i < 3; i++)
		CHECK_ERR(sea_message_new(&message, sea_session_heap(rig.session), 8u << 20, 0, rig_patience()),
		          -ENOMEM);
	scarce_space_end(&before);
	message = rig_message_of(sea_session_heap(rig.session), 0, 8u << 20);
	sea_message_unref(message);
	CHECK_EQ(rig_n_bytes_used(&rig), 0);
	rig_close(&rig);
}

static void *release_later(void *arg)
{
	struct sea_message **message = arg;

	test_sleep_ms(20);
	*message = sea_message_unref(*message);
	return NULL;
}

static void holder_main(void *arg)
{
	struct scarce *scarce = arg;
	struct rig rig = rig_bind(SEA_PULL, "quota", NULL);
	struct sea_message *messages[8];

	for (unsigned i = 0; i < 3; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
	test_step_signal(&scarce->ready, 1);
	for (unsigned i = 0; i < 3; i++) {
		test_step_wait(&scarce->go);
		test_sleep_ms(20);
		sea_message_unref(messages[i]);
	}
	test_step_wait(&scarce->finish);
	rig_close(&rig);
}

TEST(quota,
     "a heap at its quota: -ENOMEM at once, -ETIMEDOUT later, woken by a release here or there, -E2BIG for too much")
{
	struct scarce *scarce = scarce_new();
	/* Room for a few blocks of 5 MiB and not for more. */
	struct sea_heap_options options = { .quota_n_bytes = 20u << 20, .arena_n_bytes = 2u << 20 };
	pid_t pid = test_fork(holder_main, scarce);
	struct rig rig = rig_connect(SEA_PUSH, "quota", NULL);
	struct sea_message *messages[8] = { 0 }, *more;
	struct sea_heap_stats stats;
	struct sea_heap *heap;
	pthread_t thread;
	unsigned n = 0;
	int r;

	CHECK_OK(sea_heap_new(&heap, rig.session, &options));
	while (n < 8 && (r = sea_message_new(&messages[n], heap, 5u << 20, 0, 0)) == 0)
		n++;
	CHECK_EQ(n, 3);
	CHECK_EQ(r, -ENOMEM);
	CHECK_ERR(sea_message_new(&more, heap, 5u << 20, 0, 5000000), -ETIMEDOUT);
	CHECK_ERR(sea_message_new(&more, heap, 21u << 20, 0, 0), -E2BIG);
	CHECK_ERR(sea_message_new(&more, heap, 21u << 20, 0, -1), -E2BIG);
	CHECK_ERR(sea_message_new(&more, heap, SIZE_MAX / 2, 0, -1), -E2BIG);
	CHECK_ERR(sea_message_new(&more, heap, SIZE_MAX, 0, -1), -E2BIG);
	/* Woken by a thread. */
	CHECK_EQ(pthread_create(&thread, NULL, release_later, &messages[2]), 0);
	CHECK_OK(sea_message_new(&more, heap, 5u << 20, 0, rig_patience()));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	messages[2] = more;
	/* And by another process. */
	for (unsigned i = 0; i < 3; i++)
		CHECK_OK(sea_channel_send(rig.channel, &messages[i], rig_patience()));
	test_step_wait(&scarce->ready);
	CHECK_ERR(sea_message_new(&more, heap, 5u << 20, 0, 0), -ENOMEM);
	for (unsigned i = 0; i < 3; i++) {
		test_step_signal(&scarce->go, 1);
		CHECK_OK(sea_message_new(&messages[i], heap, 5u << 20, 0, -1));
	}
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_LE(stats.n_bytes_backed, stats.quota_n_bytes);
	CHECK_GE(stats.n_waits, 5);
	sea_message_unref_many(messages, 3);
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_bytes_used, 0);
	test_step_signal(&scarce->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	scarce_free(scarce);
}

TEST(quota_death, "who waits for memory that a peer holds is woken by the peer's death")
{
	struct scarce *scarce = scarce_new();
	struct sea_heap_options options = { .quota_n_bytes = 20u << 20, .arena_n_bytes = 2u << 20 };
	pid_t pid = test_fork(holder_main, scarce), killer;
	struct rig rig = rig_connect(SEA_PUSH, "quota", NULL);
	struct sea_message *messages[3];
	struct sea_heap *heap;

	CHECK_OK(sea_heap_new(&heap, rig.session, &options));
	for (unsigned i = 0; i < 3; i++) {
		messages[i] = rig_message_of(heap, i, 5u << 20);
		CHECK_OK(sea_channel_send(rig.channel, &messages[i], rig_patience()));
	}
	test_step_wait(&scarce->ready);
	killer = (pid_t)CHECK_SYS(fork());
	if (killer == 0) {
		test_sleep_ms(20);
		kill(pid, SIGKILL);
		_exit(0);
	}
	CHECK_OK(sea_message_new(&messages[0], heap, 5u << 20, 0, -1));
	sea_message_unref(messages[0]);
	CHECK_EQ(test_wait(pid), -SIGKILL);
	CHECK_EQ(test_wait(killer), 0);
	rig_close(&rig);
	scarce_free(scarce);
}
