/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane record` as a user runs it: recorders that are killed or told to end, disks that are full, files that are damaged. Replays: test-replay.c. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "taping.h"

TEST(killed,
     "a recorder that is killed leaves all that it had written; it is said that the file was cut short, and what is whole is replayed")
{
	char path[TOOL_PATH_N_BYTES];
	struct tool tool;
	struct rig rig;

	tool = TOOL_START("record", "--from", "d", "--out", tool_path(path, "r"));
	rig = rig_bind(SEA_PUSH, "d", NULL);
	taping_send(&rig, 0, TRAFFIC_N_SHAPES);
	CHECK_EQ(test_kill(tool.pid), -SIGKILL);
	rig_close(&rig);
	/* Half a record, as of a killer who came in between. */
	CHECK_SYS(truncate(path, (off_t)taping_file_size(path) - 1));
	tool = TOOL_START("replay", path, "--info", "--json");
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "cut short"));
	CHECK_EQ(tool_number(&tool, "messages"), TRAFFIC_N_SHAPES - 1);
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--json");
	rig = taping_connect("e");
	taping_expect(&rig, 0, TRAFFIC_N_SHAPES - 1);
	taping_expect_replay(&tool, TRAFFIC_N_SHAPES - 1, false);
	CHECK(tool_says(&tool, "cut short"));
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--to", "e", "--map");
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "cut short"));
}

TEST(interrupted, "a recorder that is told to end, has its count, its size or its seconds, leaves a whole file")
{
	char path[TOOL_PATH_N_BYTES];
	struct tool tool;
	struct rig rig = { 0 };

	tool = TOOL_START("record", "--from", "@d", "--out", tool_path(path, "r"), "--json");
	rig = rig_connect(SEA_PUSH, "d", NULL);
	taping_send(&rig, 0, 5);
	CHECK_SYS(kill(tool.pid, SIGINT));
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), 5);
	CHECK_EQ(tool_number(&tool, "indexed"), 1);
	rig_close(&rig);
	/* It is there now. */
	tool = TOOL_START("record", "--from", "d", "--out", path);
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "--force"));
	tool = TOOL_START("record", "--from", "d", "--out", path, "--force", "--size", "1M", "--json");
	rig = rig_bind(SEA_PUSH, "d", NULL);
	for (unsigned i = 0; i < 11; i++)
		CHECK_OK(rig_send(&rig, i, 100000, rig_patience()));
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), 11);
	CHECK_EQ(tool_number(&tool, "bytes"), 1100000);
	rig_close(&rig);
	tool = TOOL_START("record", "--from", "d", "--out", path, "--force", "--seconds", "1", "--json");
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), 0);
	tool = TOOL_START("replay", path, "--to", "e", "--json");
	tool_expect(&tool, 0);
}

TEST(full, "a recorder whose disk is full says so once and keeps what it had accepted")
{
	char path[TOOL_PATH_N_BYTES];
	const char *const arguments[] = { "sealane", "record", "--from", "d", "--out", tool_path(path, "r"),
		                          "--json",  NULL };
	struct tool tool = tool_start(arguments, false, 1 << 20);
	struct rig rig = rig_bind(SEA_PUSH, "d", NULL);
	unsigned n_kept;

	/* It ends somewhere among these; then nobody takes them. */
	for (unsigned i = 0; i < 20; i++)
		if (rig_send(&rig, i, 100000, i < 8 ? rig_patience() : 100000000) < 0)
			break;
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "are kept"));
	n_kept = (unsigned)tool_number(&tool, "messages");
	CHECK_GE(n_kept, 8);
	CHECK_LE(n_kept, 10);
	rig_close(&rig);
	CHECK_LE(taping_file_size(path), 1 << 20);
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max");
	rig = rig_connect(SEA_PULL, "e", NULL);
	rig_expect(&rig, 0, n_kept);
	tool_expect(&tool, 0);
	rig_close(&rig);
}

/* Changes one byte of a file. */
static void byte_flip(const char *path, uint64_t offset)
{
	int fd = (int)CHECK_SYS(open(path, O_RDWR | O_CLOEXEC));
	uint8_t byte;

	CHECK_EQ(CHECK_SYS(pread(fd, &byte, 1, (off_t)offset)), 1);
	byte ^= 0x10;
	CHECK_EQ(CHECK_SYS(pwrite(fd, &byte, 1, (off_t)offset)), 1);
	close(fd);
}

/* Where the records end, by the trailer. */
static uint64_t records_end(const char *path)
{
	int fd = (int)CHECK_SYS(open(path, O_RDONLY | O_CLOEXEC));
	uint64_t end;

	CHECK_EQ(CHECK_SYS(pread(fd, &end, sizeof(end), (off_t)taping_file_size(path) - 56)), sizeof(end));
	close(fd);
	return end;
}

TEST(damaged, "a recording with a wrong byte is refused in one line that names file and offset, and ends with 1")
{
	char path[TOOL_PATH_N_BYTES];
	struct tool tool;
	struct rig rig;
	uint64_t n_bytes, end;

	taping_record(tool_path(path, "r"), 20);
	n_bytes = taping_file_size(path);
	end = records_end(path);
	for (unsigned i = 0; i < 3; i++) {
		/* The header; the first head; the trailer. */
		uint64_t at = i == 0 ? 20 : i == 1 ? 4096 + 9 : n_bytes - 50;

		byte_flip(path, at);
		tool = TOOL_START("replay", path, "--verify");
		tool_expect(&tool, 1);
		CHECK(tool_says(&tool, path));
		CHECK(tool_says(&tool, "offset"));
		tool = TOOL_START("replay", path, "--to", "e", "--peers", "0");
		tool_expect(&tool, 1);
		CHECK(tool_says(&tool, "offset"));
		byte_flip(path, at);
	}
	/* A byte of the payload costs its message alone, when it is looked for. The last but one is the largest. */
	CHECK_EQ(traffic_size(18, 0), 100001);
	byte_flip(path, end - 50000);
	tool = TOOL_START("replay", path, "--verify", "--json");
	tool_expect(&tool, 1);
	CHECK_EQ(tool_number(&tool, "wrong"), 1);
	CHECK(tool_says(&tool, "not what was recorded"));
	byte_flip(path, end - 50000);
	/* Without its index, and with a hole in the middle: what is before it can be had, on demand. */
	CHECK_SYS(truncate(path, (off_t)end));
	CHECK_EQ(traffic_size(0, 0), 0);
	byte_flip(path, 4096 + 128 + 9);
	tool = TOOL_START("replay", path, "--to", "e", "--peers", "0");
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "--to-message 0"));
	tool = TOOL_START("replay", path, "--to", "e", "--to-message", "0", "--speed", "max");
	rig = rig_connect(SEA_PULL, "e", NULL);
	taping_expect(&rig, 0, 1);
	tool_expect(&tool, 0);
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--to", "e", "--from-message", "5");
	tool_expect(&tool, 2);
}

TEST(topics,
     "a subscriber records what it subscribed to, and a publisher replays it to all subscribers, none of whom misses anything")
{
	char path[TOOL_PATH_N_BYTES];
	struct tool tool;
	struct rig rig, rigs[2];
	uint64_t number = 0;

	tool = TOOL_START("record", "--from", "d", "--pattern", "sub", "--out", tool_path(path, "r"), "--count", "50",
	                  "--subscribe", "\x01", "--subscribe", "\x03", "--json");
	rig = rig_bind(SEA_PUB, "d", NULL);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	for (unsigned i = 0; i < 100; i++)
		CHECK_OK(rig_send(&rig, i % 4 + 256 * i, 5000, rig_patience()));
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), 50);
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--to", "e", "--pattern", "pub", "--peers", "2", "--speed", "max", "--json");
	for (unsigned i = 0; i < 2; i++) {
		rigs[i] = rig_connect(SEA_SUB, "e", NULL);
		CHECK_OK(sea_channel_subscribe(rigs[i].channel, i ? "\x01" : "", i));
	}
	for (unsigned i = 1; i < 100; i += 2) {
		CHECK_OK(rig_receive(&rigs[0], &number, rig_patience()));
		CHECK_EQ(number, i % 4 + 256 * i);
		if (i % 4 != 1)
			continue;
		CHECK_OK(rig_receive(&rigs[1], &number, rig_patience()));
		CHECK_EQ(number, i % 4 + 256 * i);
	}
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), 50);
	CHECK_EQ(tool_number(&tool, "missed"), 0);
	for (unsigned i = 0; i < 2; i++)
		rig_close(&rigs[i]);
}

/* An end at a port of this machine's own; connects nowhere else. */
static struct rig rig_bind_tcp(enum sea_pattern pattern, char *address, size_t n_bytes)
{
	struct sea_channel_options options = { .transport = SEA_TRANSPORT_ZEROMQ };
	struct rig rig;
	int r;

#ifdef __SANITIZE_THREAD__
	SKIP("libzmq is not instrumented: ThreadSanitizer sees none of its locks");
#endif
	CHECK_OK(sea_session_open(&rig.session, NULL));
	r = sea_channel_new(&rig.channel, rig.session, pattern, &options);
	if (r == -ENOTSUP) {
		sea_session_close(rig.session);
		SKIP("there is no libzmq here");
	}
	CHECK_OK(r);
	CHECK_OK(sea_channel_bind(rig.channel, "tcp://127.0.0.1:*"));
	address[0] = '+';
	CHECK_OK(sea_channel_get_address(rig.channel, address + 1, n_bytes - 1));
	return rig;
}

TEST(network, "what comes over a network is recorded, and replayed over one")
{
	char path[TOOL_PATH_N_BYTES], address[256];
	struct rig rig = rig_bind_tcp(SEA_PUSH, address, sizeof(address));
	struct tool tool = TOOL_START("record", "--from", address, "--out", tool_path(path, "r"), "--count", "20",
	                              "--json");
	uint64_t number = 0;

	for (unsigned i = 0; i < 20; i++)
		CHECK_OK(rig_send(&rig, i, 100000, rig_patience()));
	tool_expect(&tool, 0);
	rig_close(&rig);
	rig = rig_bind_tcp(SEA_PULL, address, sizeof(address));
	tool = TOOL_START("replay", path, "--to", address, "--speed", "max", "--json");
	for (unsigned i = 0; i < 20; i++) {
		CHECK_OK(rig_receive(&rig, &number, rig_patience()));
		CHECK_EQ(number, i);
	}
	taping_expect_replay(&tool, 20, false);
	rig_close(&rig);
}

TEST(usage, "what cannot be is refused with 2 before anything is opened, and a replay that waits can be told to end")
{
	char path[TOOL_PATH_N_BYTES];
	static const char *const wrong[][8] = {
		{ "sealane", "record", "--from", "d" },
		{ "sealane", "record", "--out", "f" },
		{ "sealane", "record", "--from", "d", "--out", "f", "--pattern", "push" },
		{ "sealane", "record", "--from", "d", "--out", "f", "--count=0" },
		{ "sealane", "replay", "--to", "d" },
		{ "sealane", "replay", "f" },
		{ "sealane", "replay", "f", "--to", "d", "--speed", "0" },
		{ "sealane", "replay", "f", "--to", "d", "--speed", "nan" },
		{ "sealane", "replay", "f", "--to", "d", "--pattern", "pull" },
		{ "sealane", "tap", "--from", "a", "--to", "b" },
	};
	struct tool tool;
	struct rig rig;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		tool = tool_start(wrong[i], false, 0);
		tool_expect(&tool, 2);
	}
	tool = TOOL_START("replay", "/nowhere/at/all", "--to", "d");
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "/nowhere/at/all: No such file"));
	tool = TOOL_START("record", "--from", "d", "--out", "/nowhere/at/all");
	tool_expect(&tool, 1);
	taping_record(tool_path(path, "r"), 3);
	tool = TOOL_START("replay", path, "--to", "e", "--loop", "0", "--speed", "max");
	rig = rig_connect(SEA_PULL, "e", NULL);
	taping_expect(&rig, 0, 3);
	taping_expect(&rig, 0, 3);
	CHECK_SYS(kill(tool.pid, SIGTERM));
	tool_expect(&tool, 128 + SIGTERM);
	rig_close(&rig);
}
