/* SPDX-License-Identifier: Apache-2.0 */
/* `sealane record` and `sealane replay` as a user runs them, with processes that are killed, disks that are full and files that are damaged. */
#include "rig.h"

#include <sys/stat.h>

#include "tool.h"
#include "traffic.h"

#define N_MESSAGES (3 * TRAFFIC_N_SHAPES)

/* Sends messages first to end - 1, and waits until all were taken and released. */
static void traffic_send(const struct rig *rig, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		struct sea_message *message = traffic_message(rig->session, i);

		CHECK_OK(sea_channel_send(rig->channel, &message, rig_patience()));
	}
	CHECK_OK(sea_channel_flush(rig->channel, rig_patience()));
}

/* Receives messages first to end - 1, in this order. */
static void traffic_expect(const struct rig *rig, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		struct sea_message *message;

		CHECK_OK(sea_channel_receive(rig->channel, &message, rig_patience()));
		traffic_check(message, i);
		sea_message_unref(message);
	}
}

static struct rig rig_connect_trusting(const char *address)
{
	struct sea_session_options options = { .quota_n_bytes = 256u << 20, .flags = SEA_SESSION_TRUST_FILES };
	struct rig rig;

	CHECK_OK(sea_session_open(&rig.session, &options));
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_connect(rig.channel, address));
	return rig;
}

/* Records messages 0 to n - 1. */
static void recording_make(const char *path, uint64_t n)
{
	char count[24];
	struct tool tool;
	struct rig rig;

	snprintf(count, sizeof(count), "%llu", (unsigned long long)n);
	tool = TOOL_START("record", "--from", "d", "--out", path, "--count", count, "--json");
	rig = rig_bind(SEA_PUSH, "d", NULL);
	traffic_send(&rig, 0, n);
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), n);
	CHECK_EQ(tool_number(&tool, "indexed"), 1);
	rig_close(&rig);
}

static uint64_t file_size(const char *path)
{
	struct stat stat_buffer;

	return stat(path, &stat_buffer) < 0 ? 0 : (uint64_t)stat_buffer.st_size;
}

/* What a replay that has this JSON has sent, and how: all by the file, none, or a mixture. */
static void replay_expect(struct tool *tool, uint64_t n, bool is_mapped)
{
	tool_expect(tool, 0);
	CHECK_EQ(tool_number(tool, "messages"), n);
	if (is_mapped) {
		CHECK_GT(tool_number(tool, "mapped"), 0);
		CHECK_EQ(tool_number(tool, "copied"), 0);
	} else {
		CHECK_EQ(tool_number(tool, "mapped"), 0);
		CHECK_GT(tool_number(tool, "copied"), 0);
	}
}

TEST(same,
     "what was recorded and replayed arrives with the same bytes, parts, tags and order: over the file, copied, part of it, over and over")
{
	char path[TOOL_PATH_N_BYTES];
	struct sea_session_stats stats;
	struct tool tool;
	struct rig rig;

	recording_make(tool_path(path, "r"), N_MESSAGES);
	/* Over the file: nothing is copied. */
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--map", "--json");
	rig = rig_connect_trusting("e");
	traffic_expect(&rig, 0, N_MESSAGES);
	CHECK_OK(sea_session_get_stats(rig.session, &stats));
	replay_expect(&tool, N_MESSAGES, true);
	rig_close(&rig);
	/* To one who does not trust files. */
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--json");
	rig = rig_connect(SEA_PULL, "e", NULL);
	traffic_expect(&rig, 0, N_MESSAGES);
	CHECK_OK(sea_session_get_stats(rig.session, &stats));
	CHECK_EQ(stats.n_refused, 0);
	replay_expect(&tool, N_MESSAGES, false);
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--copy", "--check", "--from-message", "7",
	                  "--to-message", "20", "--loop", "3", "--json");
	rig = rig_connect_trusting("e");
	for (unsigned i = 0; i < 3; i++)
		traffic_expect(&rig, 7, 21);
	replay_expect(&tool, 3 * 14, false);
	rig_close(&rig);
	/* Or it is said. */
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--map");
	rig = rig_connect(SEA_PULL, "e", NULL);
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "does not trust files"));
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--verify", "--json");
	tool_expect(&tool, 0);
	CHECK_EQ(tool_number(&tool, "messages"), N_MESSAGES);
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

	recording_make(tool_path(path, "r"), 20);
	CHECK_SYS(stat(path, &before));
	for (unsigned i = 0; i < 2; i++)
		tools[i] = TOOL_START("replay", path, "--to", i ? "e" : "f", "--map", "--speed", "max", "--json");
	for (unsigned i = 0; i < 2; i++)
		rigs[i] = rig_connect_trusting(i ? "e" : "f");
	for (unsigned i = 0; i < 20; i++) {
		CHECK_OK(sea_channel_receive(rigs[0].channel, &message, rig_patience()));
		CHECK_OK(sea_message_make_mutable(&message, sea_session_heap(rigs[0].session), rig_patience()));
		if (sea_message_size(message))
			memset(sea_message_write(message), 0xee, sea_message_size(message));
		sea_message_unref(message);
	}
	traffic_expect(&rigs[1], 0, 20);
	for (unsigned i = 0; i < 2; i++) {
		replay_expect(&tools[i], 20, true);
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

	recording_make(tool_path(path, "r"), N_MESSAGES);
	for (unsigned i = 0; i < N_MESSAGES; i++)
		for (size_t k = 0; k < traffic_n_parts(i); k++)
			if (traffic_size(i, k)) {
				n_mapped++;
				break;
			}
	CHECK_GT(n * n_mapped, 65536);
	tool = TOOL_START("replay", path, "--to", "e", "--map", "--speed", "max", "--loop", "1500", "--json");
	rig = rig_connect_trusting("e");
	for (unsigned i = 0; i < n * N_MESSAGES; i++) {
		CHECK_OK(sea_channel_receive(rig.channel, &message, rig_patience()));
		CHECK_EQ(sea_message_get_tag(message), traffic_tag(i % N_MESSAGES));
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
		traffic_send(&rig, i, i + 1);
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
		traffic_expect(&rig, 0, 4);
		CHECK_GE(test_now_ns() - start_ns, 3 * 30000000 / speed);
		tool_expect(&tool, 0);
		CHECK_GT(tool_number(&tool, "latest_us"), 0);
		rig_close(&rig);
	}
	/* Rounds follow each other at the same pace. */
	start_ns = test_now_ns();
	tool = TOOL_START("replay", path, "--to", "e", "--loop", "2", "--speed", "4");
	rig = rig_connect(SEA_PULL, "e", NULL);
	traffic_expect(&rig, 0, 4);
	traffic_expect(&rig, 0, 4);
	CHECK_GE(test_now_ns() - start_ns, 7 * 30000000 / 4);
	tool_expect(&tool, 0);
	rig_close(&rig);
}

TEST(killed,
     "a recorder that is killed leaves all that it had written; it is said that the file was cut short, and what is whole is replayed")
{
	char path[TOOL_PATH_N_BYTES];
	struct tool tool;
	struct rig rig;

	tool = TOOL_START("record", "--from", "d", "--out", tool_path(path, "r"));
	rig = rig_bind(SEA_PUSH, "d", NULL);
	traffic_send(&rig, 0, TRAFFIC_N_SHAPES);
	CHECK_EQ(test_kill(tool.pid), -SIGKILL);
	rig_close(&rig);
	/* Half a record, as of a killer who came in between. */
	CHECK_SYS(truncate(path, (off_t)file_size(path) - 1));
	tool = TOOL_START("replay", path, "--info", "--json");
	tool_expect(&tool, 1);
	CHECK(tool_says(&tool, "cut short"));
	CHECK_EQ(tool_number(&tool, "messages"), TRAFFIC_N_SHAPES - 1);
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--json");
	rig = rig_connect_trusting("e");
	traffic_expect(&rig, 0, TRAFFIC_N_SHAPES - 1);
	replay_expect(&tool, TRAFFIC_N_SHAPES - 1, false);
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
	traffic_send(&rig, 0, 5);
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
	CHECK_LE(file_size(path), 1 << 20);
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

	CHECK_EQ(CHECK_SYS(pread(fd, &end, sizeof(end), (off_t)file_size(path) - 56)), sizeof(end));
	close(fd);
	return end;
}

TEST(damaged, "a recording with a wrong byte is refused in one line that names file and offset, and ends with 1")
{
	char path[TOOL_PATH_N_BYTES];
	struct tool tool;
	struct rig rig;
	uint64_t n_bytes, end;

	recording_make(tool_path(path, "r"), 20);
	n_bytes = file_size(path);
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
	traffic_expect(&rig, 0, 1);
	tool_expect(&tool, 0);
	rig_close(&rig);
	tool = TOOL_START("replay", path, "--to", "e", "--from-message", "5");
	tool_expect(&tool, 2);
}

struct worker {
	struct test_step taken;
};

/* Takes ten messages, releases five of them, and waits to be killed. */
static void work_and_die(void *arg)
{
	struct worker *worker = arg;
	struct rig rig = rig_connect_trusting("e");
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
	bool seen[N_MESSAGES] = { false };
	struct tool tool;
	struct rig rig;
	unsigned n_left = 0;
	pid_t pid;

	test_step_init(&worker->taken);
	recording_make(tool_path(path, successor_trusts ? is_mapped ? "m" : "c" : "u"), N_MESSAGES);
	tool = TOOL_START("replay", path, "--to", "e", "--speed", "max", "--json", is_mapped ? "--quiet" : "--copy");
	pid = test_fork(work_and_die, worker);
	test_step_wait(&worker->taken);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	rig = successor_trusts ? rig_connect_trusting("e") : rig_connect(SEA_PULL, "e", NULL);
	/* What the dead one had not released, and all that follows, once each. Without parts there is nothing that it could have held. */
	for (unsigned i = 5; i < N_MESSAGES; i++)
		n_left += traffic_n_parts(i) > 0;
	while (n_left > 0) {
		struct sea_message *message;
		unsigned number = 0;

		CHECK_OK(sea_channel_receive(rig.channel, &message, rig_patience()));
		while (number < N_MESSAGES && traffic_tag(number) != sea_message_get_tag(message))
			number++;
		CHECK_LT(number, N_MESSAGES);
		CHECK(!seen[number]);
		seen[number] = true;
		n_left -= traffic_n_parts(number) > 0;
		traffic_check(message, number);
		sea_message_unref(message);
	}
	for (unsigned i = 0; i < N_MESSAGES; i++)
		CHECK(traffic_n_parts(i) == 0 || seen[i] == (i >= 5));
	tool_expect(&tool, 0);
	CHECK_GE(tool_number(&tool, "sent_again"), 4);
	CHECK_EQ(tool_number(&tool, "messages"), N_MESSAGES);
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
	replay_expect(&tool, 20, false);
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
	recording_make(tool_path(path, "r"), 3);
	tool = TOOL_START("replay", path, "--to", "e", "--loop", "0", "--speed", "max");
	rig = rig_connect(SEA_PULL, "e", NULL);
	traffic_expect(&rig, 0, 3);
	traffic_expect(&rig, 0, 3);
	CHECK_SYS(kill(tool.pid, SIGTERM));
	tool_expect(&tool, 128 + SIGTERM);
	rig_close(&rig);
}
