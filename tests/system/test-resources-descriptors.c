/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors run out in the middle: the call says so, nothing is lost, and when there are some again the same call goes on.
 * Memory: test-resources-memory.c; the runtime directory: test-resources-directory.c.
 */
#include <grp.h>
#include <sys/resource.h>
#include <unistd.h>

#include "rig.h"
#include "scarce.h"

TEST(receiver_fds, "a receiver without descriptors gets -EMFILE, again and again; with some, all messages in order")
{
	struct scarce *scarce = scarce_new();
	pid_t pid = test_fork(scarce_arenas_sender, scarce);
	struct rig rig = rig_bind(SEA_PULL, "arenas", NULL);
	struct scarce_hoard hoard;
	uint64_t n;

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	scarce_hoard(&hoard, 3);
	test_step_signal(&scarce->go, 1);
	test_step_wait(&scarce->ready);
	n = scarce_receive_until(&rig, 0, -EMFILE);
	CHECK_LT(n, SCARCE_N_ARENAS);
	for (int i = 0; i < 100; i++) {
		uint64_t number = 0;

		CHECK_ERR(rig_receive(&rig, &number, i % 2 ? 0 : rig_patience()), -EMFILE);
	}
	scarce_hoard_end(&hoard);
	scarce_receive_rest(&rig, n, 2 * SCARCE_N_ARENAS, -EMFILE);
	test_step_signal(&scarce->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	scarce_free(scarce);
}

static void plain_receiver(void *arg)
{
	struct scarce *scarce = arg;
	struct rig rig = rig_bind(SEA_PULL, "sender", NULL);

	rig_expect(&rig, 0, 20);
	test_step_wait(&scarce->finish);
	rig_close(&rig);
}

TEST(sender_fds, "a sender without descriptors gets -EMFILE for what needs one, and sends what it has")
{
	struct scarce *scarce = scarce_new();
	struct sea_frame_options frame_options = { .n_bytes_max = { 10000 }, .flags = SEA_FRAME_IMMUTABLE };
	struct sea_session_options session_options = { .name = "other" };
	pid_t pid = test_fork(plain_receiver, scarce);
	struct rig rig = rig_connect(SEA_PUSH, "sender", NULL);
	struct sea_session *session;
	struct sea_channel *channel;
	struct sea_message *message;
	struct sea_frame *frame;
	struct sea_heap *heap;
	struct scarce_hoard hoard;
	int r;

	CHECK_OK(sea_heap_new(&heap, rig.session, NULL));
	CHECK_OK(rig_send(&rig, 0, 5000, rig_patience()));
	for (unsigned n_left = 0; n_left < 3; n_left++) {
		scarce_hoard(&hoard, n_left);
		for (int i = 0; i < 3; i++) {
			r = sea_message_new(&message, heap, 5000, 0, rig_patience());
			if (r == 0) {
				CHECK_GT(n_left, 1);
				sea_message_unref(message);
			} else {
				CHECK_EQ(r, -EMFILE);
			}
			r = sea_frame_new(&frame, heap, &frame_options, rig_patience());
			if (r == 0)
				sea_frame_free(frame);
			else
				CHECK_EQ(r, -EMFILE);
			if (n_left < 2)
				CHECK_ERR(sea_channel_new(&channel, rig.session, SEA_PULL, NULL), -EMFILE);
			CHECK_ERR(sea_session_open(&session, &session_options), -EMFILE);
		}
		scarce_hoard_end(&hoard);
	}
	for (uint64_t i = 1; i < 20; i++) {
		scarce_hoard(&hoard, 0);
		r = rig_send(&rig, i, 5000, rig_patience());
		scarce_hoard_end(&hoard);
		CHECK_OK(r);
	}
	message = rig_message_of(heap, 0, 5000);
	sea_message_unref(message);
	test_step_signal(&scarce->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	scarce_free(scarce);
}

static void starved_peer(void *arg)
{
	struct scarce *scarce = arg;
	struct rig rig;

	test_step_wait(&scarce->go);
	rig = rig_connect(SEA_PUSH, "starved", NULL);
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 3000, 3 * rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	test_step_signal(&scarce->ready, 1);
	rig_close(&rig);
}

TEST_TIMEOUT(accept_fds,
             "a bound process without descriptors in the middle of being connected is connected when it has some", 60)
{
	struct scarce *scarce = scarce_new();
	struct rig rig = rig_bind(SEA_PULL, "starved", NULL);
	struct scarce_hoard hoard;

	/* At each step of accept, hello and link another call is the one that fails. */
	for (unsigned n_left = 0; n_left < 10; n_left++) {
		pid_t pid;

		pid = test_fork(starved_peer, scarce);
		scarce_hoard(&hoard, n_left);
		test_step_signal(&scarce->go, 1);
		test_sleep_ms(30);
		scarce_hoard_end(&hoard);
		rig_expect(&rig, 0, 10);
		test_step_wait(&scarce->ready);
		CHECK_EQ(test_wait(pid), 0);
	}
	rig_close(&rig);
	scarce_free(scarce);
}

static void starving_connector(void *arg)
{
	struct scarce *scarce = arg;
	struct rig rig = rig_open(SEA_PUSH, NULL);
	struct scarce_hoard hoard;

	scarce_hoard(&hoard, scarce->n_left);
	CHECK_OK(sea_channel_connect(rig.channel, "starving"));
	test_sleep_ms(30);
	scarce_hoard_end(&hoard);
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 3000, 3 * rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	rig_close(&rig);
}

TEST_TIMEOUT(connect_fds, "a connecting process without descriptors in the middle of it is connected when it has some",
             60)
{
	struct scarce *scarce = scarce_new();
	struct rig rig = rig_bind(SEA_PULL, "starving", NULL);

	for (unsigned n_left = 0; n_left < 10; n_left++) {
		pid_t pid;

		scarce->n_left = n_left;
		pid = test_fork(starving_connector, scarce);
		rig_expect(&rig, 0, 10);
		CHECK_EQ(test_wait(pid), 0);
	}
	rig_close(&rig);
	scarce_free(scarce);
}

TEST(neighbours,
     "a process without descriptors goes on with the peers that it has, and does not spin over those that knock")
{
	struct scarce *scarce = scarce_new();
	struct rig rig = rig_bind(SEA_PULL, "arenas", NULL), other = { .session = rig.session };
	pid_t old = test_fork(scarce_arenas_sender, scarce), new;
	struct rusage before, after;
	struct scarce_hoard hoard;

	CHECK_OK(sea_channel_new(&other.channel, rig.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_bind(other.channel, "starved"));
	test_step_signal(&scarce->go, 1);
	rig_expect(&rig, 0, SCARCE_N_ARENAS);
	new = test_fork(starved_peer, scarce);
	scarce_hoard(&hoard, 0);
	test_step_signal(&scarce->go, 1);
	CHECK_SYS(getrusage(RUSAGE_SELF, &before));
	test_sleep_ms(200);
	CHECK_SYS(getrusage(RUSAGE_SELF, &after));
	rig_expect(&rig, SCARCE_N_ARENAS, 2 * SCARCE_N_ARENAS);
	/* Who spins is put off by the scheduler or not; who looks now and then sleeps in between: some dozens of times here. */
	CHECK_LT(after.ru_nvcsw - before.ru_nvcsw, 1000);
	CHECK_LT((after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 + after.ru_stime.tv_usec -
	                 before.ru_stime.tv_usec,
	         150000);
	scarce_hoard_end(&hoard);
	rig_expect(&other, 0, 10);
	test_step_signal(&scarce->finish, 1);
	CHECK_EQ(test_wait(new), 0);
	CHECK_EQ(test_wait(old), 0);
	sea_channel_close(other.channel);
	rig_close(&rig);
	scarce_free(scarce);
}

#define N_FLIGHT 60
#define FLIGHT_UID 65000

static void become_nobody(void)
{
	CHECK_SYS(setgroups(0, NULL));
	CHECK_SYS(setgid(FLIGHT_UID));
	CHECK_SYS(setuid(FLIGHT_UID));
}

static void flight_receiver(void *arg)
{
	struct scarce *scarce = arg;
	struct rig rig;

	become_nobody();
	rig = rig_bind(SEA_PULL, "flight", NULL);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	test_step_signal(&scarce->ready, 1);
	rig_expect(&rig, 0, N_FLIGHT);
	rig_close(&rig);
}

static void flight_sender(void *arg)
{
	struct scarce *scarce = arg;
	struct sea_heap_options options = { .quota_n_bytes = 4u << 20, .arena_n_bytes = 2u << 20 };
	struct sea_message *messages[N_FLIGHT];
	struct sea_heap *heaps[N_FLIGHT];
	struct rlimit limit;
	struct rig rig;
	unsigned n = 0;
	int r = 0;

	become_nobody();
	rig = rig_connect(SEA_PUSH, "flight", NULL);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	for (unsigned i = 0; i < N_FLIGHT; i++) {
		CHECK_OK(sea_heap_new(&heaps[i], rig.session, &options));
		messages[i] = rig_message_of(heaps[i], i, 5000);
	}
	/* The kernel counts descriptors in flight per user, and compares them with this. */
	CHECK_SYS(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max = 20;
	CHECK_SYS(setrlimit(RLIMIT_NOFILE, &limit));
	test_step_signal(&scarce->go, 1);
	test_step_wait(&scarce->finish);
	while (n < N_FLIGHT && (r = sea_channel_send(rig.channel, &messages[n], 0)) == 0)
		n++;
	CHECK_EQ(r, -EAGAIN);
	CHECK_LT(n, N_FLIGHT);
	CHECK_ERR(sea_channel_send(rig.channel, &messages[n], 5000000), -ETIMEDOUT);
	CHECK(messages[n]);
	test_step_signal(&scarce->go, 1);
	for (; n < N_FLIGHT; n++)
		CHECK_OK(sea_channel_send(rig.channel, &messages[n], rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	rig_close(&rig);
}

TEST(in_flight, "too many descriptors in flight to a stopped receiver: no room for now, and all arrive once it runs")
{
	struct scarce *scarce = scarce_new();
	pid_t receiver, sender;

	if (geteuid() != 0)
		SKIP("only root can become a user without privileges");
	CHECK_SYS(chown(test_runtime_dir(), FLIGHT_UID, FLIGHT_UID));
	receiver = test_fork(flight_receiver, scarce);
	sender = test_fork(flight_sender, scarce);
	test_step_wait(&scarce->ready);
	test_step_wait(&scarce->go);
	rig_stop(receiver);
	test_step_signal(&scarce->finish, 1);
	test_step_wait(&scarce->go);
	CHECK_SYS(kill(receiver, SIGCONT));
	CHECK_EQ(test_wait(sender), 0);
	CHECK_EQ(test_wait(receiver), 0);
	scarce_free(scarce);
}

TEST(repeated, "running out of descriptors a hundred times leaves as many descriptors and maps as before")
{
	struct sea_session_options options = { .name = "repeated" };
	struct sea_session *session;
	struct scarce_hoard hoard;
	unsigned n_opened = 0;

	for (unsigned i = 0; i < 100; i++) {
		int r;

		scarce_hoard(&hoard, i % 20);
		r = sea_session_open(&session, &options);
		if (r == 0) {
			struct sea_channel *channel;
			struct sea_message *message;

			n_opened++;
			r = sea_channel_new(&channel, session, SEA_PULL, NULL);
			if (r == 0)
				sea_channel_close(channel);
			else
				CHECK_EQ(r, -EMFILE);
			r = sea_message_new(&message, sea_session_heap(session), 5000, 0, 0);
			if (r == 0)
				sea_message_unref(message);
			else
				CHECK_EQ(r, -EMFILE);
			sea_session_close(session);
		} else {
			CHECK_EQ(r, -EMFILE);
		}
		scarce_hoard_end(&hoard);
	}
	CHECK_GT(n_opened, 0);
	CHECK_LT(n_opened, 100);
}
