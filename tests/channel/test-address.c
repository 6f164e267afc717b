/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses of channels: how they are found, by whom, and found again. */
#include "peers.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static void count_lines(enum sea_log_level level, const char *line, void *userdata)
{
	if (level == SEA_LOG_WARNING && strstr(line, "session"))
		++*(_Atomic unsigned *)userdata;
}

TEST(elsewhere, "an address that only another session has is told on both sides, and is still waited for")
{
	_Atomic unsigned n_here = 0, n_there = 0;
	struct sea_session_options here_options = { .name = "here",
		                                    .log = count_lines,
		                                    .log_userdata = (void *)&n_here };
	struct sea_session_options there_options = { .name = "there",
		                                     .log = count_lines,
		                                     .log_userdata = (void *)&n_there };
	struct sea_session *here, *there;
	struct sea_channel *pull, *push, *late;

	CHECK_OK(sea_session_open(&here, &here_options));
	CHECK_OK(sea_session_open(&there, &there_options));
	pull = peers_bind(there, SEA_PULL, "x");
	push = peers_connect(here, SEA_PUSH, "x");
	CHECK_EVENTUALLY(n_here >= 2 && n_there >= 1);
	CHECK_ERR(sea_channel_wait_peers(push, 1, 0), -EAGAIN);
	late = peers_bind(here, SEA_PULL, "x");
	peers_wait(push, 1);
	CHECK_ERR(sea_channel_wait_peers(pull, 1, 0), -EAGAIN);
	sea_channel_close(late);
	sea_channel_close(push);
	sea_channel_close(pull);
	sea_session_close(here);
	sea_session_close(there);
}

TEST(addresses, "an address is the same in all its forms, is taken by one, and is free after its channel's end")
{
	struct sea_session *a = peers_open(), *b = peers_open();
	struct sea_channel *first = peers_bind(a, SEA_PULL, "readout"), *second, *push;

	second = peers_channel(b, SEA_PULL, SEA_ORPHANS_DROP, 0);
	CHECK_ERR(sea_channel_bind(second, "readout"), -EADDRINUSE);
	CHECK_ERR(sea_channel_bind(second, "memfd://readout"), -EADDRINUSE);
	CHECK_ERR(sea_channel_bind(second, "ipc://readout"), -EADDRINUSE);
	CHECK_OK(sea_channel_bind(second, "other"));
	push = peers_connect(b, SEA_PUSH, "ipc://readout");
	peers_wait(push, 1);
	sea_channel_close(first);
	/* What is sent before that is noticed is for the first. */
	CHECK_EVENTUALLY(sea_channel_wait_peers(push, 1, 0) == -EAGAIN);
	CHECK_OK(sea_channel_bind(second, "readout"));
	/* The channel that connected to the first finds the second, which has both names. */
	peers_wait(push, 1);
	peers_send(push, peers_message(b, 100, 3));
	sea_message_unref(peers_receive(second));
	sea_channel_close(push);
	push = peers_connect(a, SEA_PUSH, "memfd://other");
	peers_wait(push, 1);
	sea_channel_close(push);
	/* Names that a directory could not hold as they are: a path, a dot, a space. */
	CHECK_OK(sea_channel_bind(second, "/tmp/x"));
	CHECK_OK(sea_channel_bind(second, ".."));
	CHECK_OK(sea_channel_bind(second, "a b"));
	CHECK_OK(sea_channel_bind(second, "@abstract"));
	push = peers_connect(a, SEA_PUSH, "ipc:///tmp/x");
	peers_wait(push, 1);
	sea_channel_close(push);
	sea_channel_close(second);
	sea_session_close(a);
	sea_session_close(b);
}

TEST(first, "either side may come first")
{
	struct sea_session *a = peers_open(), *b = peers_open();

	for (int order = 0; order < 2; order++) {
		struct sea_channel *push, *pull;

		if (order == 0) {
			push = peers_connect(a, SEA_PUSH, "either");
			test_sleep_ms(10);
			pull = peers_bind(b, SEA_PULL, "either");
		} else {
			push = peers_bind(a, SEA_PUSH, "either");
			test_sleep_ms(10);
			pull = peers_connect(b, SEA_PULL, "either");
		}
		peers_send(push, peers_message(a, 5000, 1));
		sea_message_unref(peers_receive(pull));
		CHECK_EQ(peers_channel_stats(push).n_links, 1);
		CHECK_EQ(peers_channel_stats(pull).n_links, 1);
		sea_channel_close(pull);
		sea_channel_close(push);
	}
	/* Also where the whole other process comes later. */
	{
		struct sea_channel *push = peers_connect(a, SEA_PUSH, "later"), *pull;
		struct sea_session *c;

		test_sleep_ms(10);
		c = peers_open();
		pull = peers_bind(c, SEA_PULL, "later");
		peers_send(push, peers_message(a, 5000, 1));
		sea_message_unref(peers_receive(pull));
		sea_channel_close(pull);
		sea_session_close(c);
		sea_channel_close(push);
	}
	sea_session_close(a);
	sea_session_close(b);
}

TEST(mismatch, "channels whose patterns do not fit do not come together")
{
	static const enum sea_pattern pairs[][2] = {
		{ SEA_PUSH, SEA_PUSH }, { SEA_PULL, SEA_PULL }, { SEA_PAIR, SEA_PULL }, { SEA_PUSH, SEA_PAIR }
	};
	struct sea_session *a = peers_open(), *b = peers_open();

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		struct sea_channel *x = peers_bind(a, pairs[i][0], "mismatch"),
				   *y = peers_connect(b, pairs[i][1], "mismatch");

		CHECK_ERR(sea_channel_wait_peers(x, 1, PEERS_SHORT_NS), -ETIMEDOUT);
		CHECK_ERR(sea_channel_wait_peers(y, 1, PEERS_LONG_NS), -EPROTOTYPE);
		CHECK_EQ(peers_channel_stats(x).n_links, 0);
		sea_channel_close(y);
		sea_channel_close(x);
	}
	sea_session_close(a);
	sea_session_close(b);
}

TEST(several, "a channel binds and connects to several addresses at once")
{
	struct sea_session *hub = peers_open(), *others[4];
	struct sea_channel *pull = peers_bind(hub, SEA_PULL, "a"), *push[4];
	char name[2] = "c";

	CHECK_OK(sea_channel_bind(pull, "b"));
	CHECK_OK(sea_channel_connect(pull, "c"));
	CHECK_OK(sea_channel_connect(pull, "d"));
	for (unsigned i = 0; i < 4; i++) {
		others[i] = peers_open();
		name[0] = (char)('a' + i);
		push[i] = i < 2 ? peers_connect(others[i], SEA_PUSH, name) : peers_bind(others[i], SEA_PUSH, name);
	}
	peers_wait(pull, 4);
	for (unsigned i = 0; i < 4; i++)
		peers_send(push[i], peers_message(others[i], 100, i));
	for (unsigned i = 0, seen = 0; i < 4; i++) {
		struct sea_message *message = peers_receive(pull);

		seen |= 1u << sea_message_get_tag(message);
		if (i == 3)
			CHECK_EQ(seen, 15);
		sea_message_unref(message);
	}
	for (unsigned i = 0; i < 4; i++) {
		sea_channel_close(push[i]);
		sea_session_close(others[i]);
	}
	sea_channel_close(pull);
	sea_session_close(hub);
}

static void receive_five(void *arg)
{
	struct test_step *step = arg;
	struct sea_session *session = peers_open();
	struct sea_channel *pull = peers_bind(session, SEA_PULL, "restarted");

	for (unsigned i = 0; i < 5; i++) {
		struct sea_message *message = peers_receive(pull);

		peers_check_part(message, 0, 20000, sea_message_get_tag(message));
		sea_message_unref(message);
	}
	test_step_signal(step, 1);
	for (;;)
		pause();
}

TEST(restart, "a receiver that was killed and started again is found again, and the memory of the dead comes back")
{
	struct test_step step;
	struct sea_session *session = NULL;
	struct sea_channel *push = NULL;

	test_step_init(&step);
	for (unsigned round = 0; round < 5; round++) {
		pid_t pid = test_fork(receive_five, &step);

		if (!session) {
			session = peers_open();
			push = peers_connect(session, SEA_PUSH, "restarted");
		}
		for (unsigned i = 0; i < 5; i++)
			peers_send(push, peers_message(session, 20000, 100 * round + i));
		test_step_wait(&step);
		for (unsigned i = 0; i < 3; i++)
			peers_send(push, peers_message(session, 20000, 9)); /* never taken */
		CHECK_EQ(test_kill(pid), -SIGKILL);
		CHECK_EVENTUALLY(peers_stats(session).n_deaths == round + 1);
		peers_wait_unused(session);
		CHECK_EVENTUALLY(sea_channel_wait_peers(push, 1, 0) == -EAGAIN);
	}
	sea_channel_close(push);
	sea_session_close(session);
	test_step_fini(&step);
}

TEST(connected, "who is connected is counted at both ends: nobody, one when it comes, nobody when it goes")
{
	for (unsigned road = 0; road < peers_n_roads(); road++) {
		struct sea_session *a = peers_open(), *b = peers_open();
		struct sea_channel *bound = peers_bind_on(road, a, SEA_PUSH, "c"), *connected;

		for (unsigned i = 0; i < 3; i++) {
			CHECK_EQ(peers_channel_stats(bound).n_links, 0);
			connected = peers_connect_on(road, b, SEA_PULL, "c");
			CHECK_EVENTUALLY(peers_channel_stats(bound).n_links == 1);
			CHECK_EVENTUALLY(peers_channel_stats(connected).n_links == 1);
			sea_channel_close(connected);
			CHECK_EVENTUALLY(peers_channel_stats(bound).n_links == 0);
		}
		/* And the other way round. */
		connected = peers_connect_on(road, b, SEA_PULL, "c");
		CHECK_EVENTUALLY(peers_channel_stats(connected).n_links == 1);
		sea_channel_close(bound);
		CHECK_EVENTUALLY(peers_channel_stats(connected).n_links == 0);
		sea_channel_close(connected);
		sea_session_close(b);
		sea_session_close(a);
	}
}
