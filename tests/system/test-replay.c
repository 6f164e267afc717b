/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane replay` as a user runs it: over the file or copied, at its speed, to receivers that are slow, change what they get, or are killed. */
#include <sys/stat.h>
#include <unistd.h>

#include "taping.h"

TEST(same,
     "what was recorded and replayed arrives with the same bytes, parts, tags and order: over the file, copied, part of it, over and over")
{
	char path[TOOL_PATH_N_BYTES];
	struct sea_session_stats stats;
	struct tool tool;
	struct rig rig;

	taping_record(tool_path(path, "r"), TAPING_N_MESSAGES);
	/* Over the file: nothing is copied. */
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--map", "--json");
	rig = taping_connect("e");
	taping_expect(&rig, 0, TAPING_N_MESSAGES);
	CHECK_OK(sea_session_get_stats(rig.session, &stats));
	taping_expect_replay(&tool, TAPING_N_MESSAGES, true);
	rig_close(&rig);
	/* To one who does not trust files. */
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--json");
	rig = rig_connect(SEA_PULL, "e", NULL);
	taping_expect(&rig, 0, TAPING_N_MESSAGES);
	CHECK_OK(sea_session_get_stats(rig.session, &stats));
	CHECK_EQ(stats.n_refused, 0);
	taping_expect_replay(&tool, TAPING_N_MESSAGES, false);
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--copy", "--check", "--from-message", "7",
	                  "--to-message", "20", "--loop", "3", "--json");
	rig = taping_connect("e");
	for (unsigned i = 0; i < 3; i++)
		taping_expect(&rig, 7, 21);
	taping_expect_replay(&tool, 3 * 14, false);
	rig_close(&rig);
	/* Or it is said. */
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--map");
	rig = rig_connect(SEA_PULL, "e", NULL);
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "does not trust files"));
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--verify", "--json");
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), TAPING_N_MESSAGES);
	CHECK_EQ(tool_number(&tool, "wrong"), 0);
}

TEST(unchanged,
     "replaying over the file leaves it as it was, also when receivers change what they got, and a second replay reads it beside the first")
{
	char path[TOOL_PATH_N_BYTES];
	struct stat before, after;
	struct sea_message *message;
	struct tool tools[2];
	struct rig rigs[2];

	taping_record(tool_path(path, "r"), 20);
	CHECK_SYS(stat(path, &before));
	for (unsigned i = 0; i < 2; i++)
		tools[i] = TOOL_START("replay", path, "--to", i ? "e" : "f", "--map", "--speed", "max", "--json");
	for (unsigned i = 0; i < 2; i++)
		rigs[i] = taping_connect(i ? "e" : "f");
	for (unsigned i = 0; i < 20; i++) {
		CHECK_OK(sea_channel_receive(rigs[0].channel, &message, rig_patience()));
		CHECK_OK(sea_message_make_mutable(&message, sea_session_heap(rigs[0].session), rig_patience()));
		if (sea_message_size(message))
			memset(sea_message_write(message), 0xee, sea_message_size(message));
		sea_message_unref(message);
	}
	taping_expect(&rigs[1], 0, 20);
	for (unsigned i = 0; i < 2; i++) {
		taping_expect_replay(&tools[i], 20, true);
		rig_close(&rigs[i]);
	}
	CHECK_SYS(stat(path, &after));
	CHECK_EQ(after.st_mtim.tv_sec, before.st_mtim.tv_sec);
	CHECK_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
	tools[0] = TOOL_START("replay", path, "--verify", "--quiet");
	tool_expect(&tools[0], 0);
}

TEST(many, "more messages than may be out at a time go over the file, however late they are released")
{
	char path[TOOL_PATH_N_BYTES];
	struct sea_message *held[100] = { NULL }, *message;
	unsigned n = 1500, n_mapped = 0;
	struct tool tool;
	struct rig rig;

	taping_record(tool_path(path, "r"), TAPING_N_MESSAGES);
	for (unsigned i = 0; i < TAPING_N_MESSAGES; i++)
		for (size_t k = 0; k < traffic_n_parts(i); k++)
			if (traffic_size(i, k)) {
				n_mapped++;
				break;
			}
	CHECK_GT(n * n_mapped, 65536);
	tool = TOOL_START("replay", path, "--to", "e", "--map", "--speed", "max", "--loop", "1500", "--json");
	rig = taping_connect("e");
	for (unsigned i = 0; i < n * TAPING_N_MESSAGES; i++) {
		CHECK_OK(sea_channel_receive(rig.channel, &message, rig_patience()));
		CHECK_EQ(sea_message_get_tag(message), traffic_tag(i % TAPING_N_MESSAGES));
		sea_message_unref(held[i % 100]);
		held[i % 100] = message;
	}
	sea_message_unref_many(held, 100);
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "mapped"), n * n_mapped);
	rig_close(&rig);
}

TEST(timing,
     "messages are replayed no earlier than they were recorded, at the speed asked for, and it is said how late they were")
{
	char path[TOOL_PATH_N_BYTES];
	struct tool tool;
	struct rig rig;
	int64_t start_ns;

	tool = TOOL_START("record", "--from", "d", "--out", tool_path(path, "r"), "--count", "4", "--json");
	rig = rig_bind(SEA_PUSH, "d", NULL);
	for (unsigned i = 0; i < 4; i++) {
		/* Each is in the file before the next is sent. */
		taping_send(&rig, i, i + 1);
		test_sleep_ms(30);
	}
	tool_expect(&tool, 0);
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--info", "--json");
	tool_expect(&tool, 0);
	CHECK_GE(tool_number(&tool, "seconds"), 0.09);
	for (unsigned speed = 1; speed <= 2; speed++) {
		start_ns = test_now_ns();
		tool = TOOL_START("replay", path, "--to", "e", "--json", "--speed", speed == 1 ? "1" : "2.0");
		rig = rig_connect(SEA_PULL, "e", NULL);
		taping_expect(&rig, 0, 4);
		CHECK_GE(test_now_ns() - start_ns, 3 * 30000000 / speed);
		tool_expect(&tool, 0);
		CHECK_GT(tool_number(&tool, "latest_us"), 0);
		rig_close(&rig);
	}
	/* Rounds follow each other at the same pace. */
	start_ns = test_now_ns();
	tool = TOOL_START("replay", path, "--to", "e", "--loop", "2", "--speed", "4");
	rig = rig_connect(SEA_PULL, "e", NULL);
	taping_expect(&rig, 0, 4);
	taping_expect(&rig, 0, 4);
	CHECK_GE(test_now_ns() - start_ns, 7 * 30000000 / 4);
	tool_expect(&tool, 0);
	rig_close(&rig);
}

struct worker {
	struct test_step taken;
};

/* Takes ten messages, releases five of them, and waits to be killed. */
static void work_and_die(void *arg)
{
	struct worker *worker = arg;
	struct rig rig = taping_connect("e");
	struct sea_message *message;

	for (unsigned i = 0; i < 10; i++) {
		CHECK_OK(sea_channel_receive(rig.channel, &message, rig_patience()));
		traffic_check(message, i);
		if (i < 5)
			sea_message_unref(message);
	}
	test_step_signal(&worker->taken, 1);
	for (;;)
		pause();
}

static void receiver_killed(bool is_mapped, bool successor_trusts)
{
	struct worker *worker = test_shared(sizeof(*worker));
	char path[TOOL_PATH_N_BYTES];
	bool seen[TAPING_N_MESSAGES] = { false };
	struct tool tool;
	struct rig rig;
	unsigned n_left = 0;
	pid_t pid;

	test_step_init(&worker->taken);
	taping_record(tool_path(path, successor_trusts ? is_mapped ? "m" : "c" : "u"), TAPING_N_MESSAGES);
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--json", is_mapped ? "--quiet" : "--copy");
	pid = test_fork(work_and_die, worker);
	test_step_wait(&worker->taken);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	rig = successor_trusts ? taping_connect("e") : rig_connect(SEA_PULL, "e", NULL);
	/* What the dead one had not released, and all that follows, once each. Without parts there is nothing that it could have held. */
	for (unsigned i = 5; i < TAPING_N_MESSAGES; i++)
		n_left += traffic_n_parts(i) > 0;
	while (n_left > 0) {
		struct sea_message *message;
		unsigned number = 0;

		CHECK_OK(sea_channel_receive(rig.channel, &message, rig_patience()));
		while (number < TAPING_N_MESSAGES && traffic_tag(number) != sea_message_get_tag(message))
			number++;
		CHECK_LT(number, TAPING_N_MESSAGES);
		CHECK(!seen[number]);
		seen[number] = true;
		n_left -= traffic_n_parts(number) > 0;
		traffic_check(message, number);
		sea_message_unref(message);
	}
	for (unsigned i = 0; i < TAPING_N_MESSAGES; i++)
		CHECK(traffic_n_parts(i) == 0 || seen[i] == (i >= 5));
	tool_expect(&tool, 0);
	CHECK_GE(tool_number(&tool, "sent_again"), 4);
	CHECK_EQ(tool_number(&tool, "messages"), TAPING_N_MESSAGES);
	rig_close(&rig);
	test_step_fini(&worker->taken);
}

TEST(receiver,
     "a receiver that is killed costs nothing: what it had not released goes to the next, over the file and copied, whether or not that one trusts files")
{
	receiver_killed(true, true);
	receiver_killed(false, true);
	receiver_killed(true, false);
}

/* Takes all there is, keeps it, and waits to be killed. */
static void hoard_and_die(void *arg)
{
	struct worker *worker = arg;
	struct rig rig = rig_connect(SEA_PULL, "e", NULL);
	struct sea_message *message;

	for (unsigned i = 0; i < 12; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &message, rig_patience()));
	test_step_signal(&worker->taken, 1);
	for (;;)
		pause();
}

TEST(hoarder, "a receiver that is killed while it holds all memory of the replay holds nothing up")
{
	struct worker *worker = test_shared(sizeof(*worker));
	char path[TOOL_PATH_N_BYTES];
	uint64_t number = 0;
	struct tool tool;
	struct rig rig;
	pid_t pid;

	test_step_init(&worker->taken);
	tool = TOOL_START("record", "--from", "d", "--out", tool_path(path, "r"), "--count", "40");
	rig = rig_bind(SEA_PUSH, "d", NULL);
	for (unsigned i = 0; i < 40; i++)
		CHECK_OK(rig_send(&rig, i, 1 << 20, rig_patience()));
	tool_expect(&tool, 0);
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--copy", "--shm-segment-size", "16000000",
	                  "--json");
	pid = test_fork(hoard_and_die, worker);
	test_step_wait(&worker->taken);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	rig = rig_connect(SEA_PULL, "e", NULL);
	for (unsigned i = 0, seen = 0; i < 40; i++) {
		CHECK_OK(rig_receive(&rig, &number, rig_patience()));
		CHECK_LT(number, 40);
		seen += number < 12;
		CHECK(i < 39 || seen == 12);
	}
	tool_expect(&tool, 0);
	CHECK_GE(tool_number(&tool, "sent_again"), 12);
	rig_close(&rig);
	test_step_fini(&worker->taken);
}
