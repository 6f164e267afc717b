/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses in a runtime directory: which are good, who has one, what the dead have left, who finds it again. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directory.h"
#include "rig.h"

static void killed_main(void *arg)
{
	struct rig rig = rig_bind(SEA_PULL, "address", NULL);

	test_step_signal(arg, 1);
	for (;;)
		pause();
	rig_close(&rig);
}

TEST(leftovers, "what killed processes leave in the directory is removed by the next that opens the session")
{
	struct test_step bound;
	struct sea_session *session;
	char path[300], name[400];

	snprintf(path, sizeof(path), "%s/default", test_runtime_dir());
	test_step_init(&bound);
	for (int i = 0; i < 4; i++) {
		pid_t pid = test_fork(killed_main, &bound);

		test_step_wait(&bound);
		CHECK_EQ(directory_count(path, "p-"), 2);
		CHECK_EQ(directory_count(path, "c-"), 1);
		CHECK_EQ(test_kill(pid), -SIGKILL);
		CHECK_EQ(directory_count(path, "p-"), 2);
		CHECK_EQ(directory_count(path, "c-"), 1);
	}
	/* What a start that was killed in the middle leaves, and what is not ours. */
	snprintf(name, sizeof(name), "%s/.t-0123456789abcdef", path);
	CHECK_SYS(symlink("p-0123456789abcdef.sock", name));
	snprintf(name, sizeof(name), "%s/p-0123456789abcdef.status", path);
	close((int)CHECK_SYS(open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600)));
	snprintf(name, sizeof(name), "%s/c-old", path);
	CHECK_SYS(symlink("p-fedcba9876543210.sock", name));
	snprintf(name, sizeof(name), "%s/README", path);
	close((int)CHECK_SYS(open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600)));
	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_EQ(directory_count(path, "p-"), 2); /* its own */
	CHECK_EQ(directory_count(path, "c-"), 0);
	CHECK_EQ(directory_count(path, ".t-"), 0);
	CHECK_EQ(directory_count(path, "README"), 1);
	sea_session_close(session);
	CHECK_EQ(directory_count(path, "p-"), 0);
	test_step_fini(&bound);
}

TEST(address_in_use, "an address is refused while a process that is bound to it lives, stopped or not, and only then")
{
	struct test_step bound;
	struct rig rig = rig_open(SEA_PULL, NULL);
	struct sea_channel *other;
	pid_t pid;

	test_step_init(&bound);
	pid = test_fork(killed_main, &bound);
	test_step_wait(&bound);
	CHECK_ERR(sea_channel_bind(rig.channel, "address"), -EADDRINUSE);
	rig_stop(pid);
	CHECK_ERR(sea_channel_bind(rig.channel, "ipc://address"), -EADDRINUSE);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	CHECK_OK(sea_channel_bind(rig.channel, "memfd://address"));
	/* By itself as well, by this channel or another, until it is closed. */
	CHECK_ERR(sea_channel_bind(rig.channel, "address"), -EADDRINUSE);
	CHECK_OK(sea_channel_new(&other, rig.session, SEA_PULL, NULL));
	CHECK_ERR(sea_channel_bind(other, "address"), -EADDRINUSE);
	rig.channel = sea_channel_close(rig.channel);
	CHECK_OK(sea_channel_bind(other, "address"));
	sea_channel_close(other);
	rig_close(&rig);
	test_step_fini(&bound);
}

TEST(bad_names, "malformed addresses and session names are -EINVAL and leave nothing")
{
	char too_long[400];
	const char *addresses[] = { "", "memfd://", "ipc://", "a\nb", "\x7f", "a\tb", too_long };
	const char *names[] = { "", ".", "..", ".hidden", "a/b", "../x", "a b", "\xc3\xa4", too_long };
	struct rig rig = rig_open(SEA_PULL, NULL);

	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = 0;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		CHECK_ERR(sea_channel_bind(rig.channel, addresses[i]), -EINVAL);
		CHECK_ERR(sea_channel_connect(rig.channel, addresses[i]), -EINVAL);
	}
	CHECK_ERR(sea_channel_bind(rig.channel, NULL), -EINVAL);
	CHECK_ERR(sea_channel_connect(rig.channel, NULL), -EINVAL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		directory_check_open(-EINVAL, test_runtime_dir(), names[i]);
	too_long[64] = 0;
	directory_check_open(0, test_runtime_dir(), too_long);
	too_long[65] = 0;
	too_long[64] = 'x';
	directory_check_open(-EINVAL, test_runtime_dir(), too_long);
	CHECK_EQ(directory_count(sea_session_directory(rig.session), "c-"), 0);
	rig_close(&rig);
}

TEST(odd_addresses, "addresses with slashes, dots and other characters stay in the directory and are told apart")
{
	static const char *const addresses[] = { "a/b", "a%2Fb", "../../etc/x", "/abs/olute", ".",
		                                 "..",  "a b",   "a",           "\xc3\xa4" };
	enum { n = sizeof(addresses) / sizeof(addresses[0]) };
	struct rig in[n], out[n];
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	for (size_t i = 0; i < n; i++) {
		in[i].session = out[i].session = session;
		CHECK_OK(sea_channel_new(&in[i].channel, session, SEA_PULL, NULL));
		CHECK_OK(sea_channel_bind(in[i].channel, addresses[i]));
		CHECK_OK(sea_channel_new(&out[i].channel, session, SEA_PUSH, NULL));
		CHECK_OK(sea_channel_connect(out[i].channel, addresses[i]));
	}
	CHECK_EQ(directory_count(sea_session_directory(session), "c-"), n);
	for (size_t i = 0; i < n; i++)
		CHECK_OK(rig_send(&out[i], i, 100, rig_patience()));
	for (size_t i = 0; i < n; i++)
		rig_expect(&in[i], i, i + 1);
	for (size_t i = 0; i < n; i++) {
		sea_channel_close(in[i].channel);
		sea_channel_close(out[i].channel);
	}
	sea_session_close(session);
}

/* Sends ten messages each time it is started, from where it was told. */
static void restarted_main(void *arg)
{
	struct rig rig = rig_open(SEA_PUSH, NULL);

	if (*(bool *)arg)
		CHECK_OK(sea_channel_bind(rig.channel, "again"));
	else
		CHECK_OK(sea_channel_connect(rig.channel, "again"));
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 2000, rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	kill(getpid(), SIGKILL);
}

static void check_restarts(bool peer_binds)
{
	struct rig rig = rig_open(SEA_PULL, NULL);

	CHECK_OK(peer_binds ? sea_channel_connect(rig.channel, "again") : sea_channel_bind(rig.channel, "again"));
	for (int i = 0; i < 5; i++) {
		/* A child of a process with an open session, as a launcher would start it. */
		pid_t pid = test_fork(restarted_main, &peer_binds);

		rig_expect(&rig, 0, 10);
		CHECK_EQ(test_wait(pid), -SIGKILL);
	}
	rig_close(&rig);
}

TEST(restarts_bound, "a connected side finds the bound one again after each of its restarts")
{
	check_restarts(true);
}

TEST(restarts_connected, "a bound side is found again by the connected one after each of its restarts")
{
	check_restarts(false);
}

TEST(either_first, "either side of either role may come first, in processes and within one")
{
	for (int i = 0; i < 4; i++) {
		bool sender_first = i & 1, sender_binds = i & 2;
		struct rig rigs[2];

		for (int j = 0; j < 2; j++) {
			bool is_sender = (j == 0) == sender_first;
			struct rig *rig = &rigs[is_sender];

			*rig = rig_open(is_sender ? SEA_PUSH : SEA_PULL, NULL);
			CHECK_OK(is_sender == sender_binds ? sea_channel_bind(rig->channel, "first")
			                                   : sea_channel_connect(rig->channel, "first"));
			test_sleep_ms(2);
		}
		CHECK_OK(rig_send(&rigs[1], 7, 100, rig_patience()));
		rig_expect(&rigs[0], 7, 8);
		rig_close(&rigs[0]);
		rig_close(&rigs[1]);
	}
}
