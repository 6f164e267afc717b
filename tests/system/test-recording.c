/* SPDX-License-Identifier: Apache-2.0 */
/* The format of recordings: what was written is read; what was cut, damaged or made up is told from it. In this process, without the command. */
#include "rig.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../tools/recording-writer.c"
#include "../../tools/recording.c"
#include "tool.h"
#include "traffic.h"

/* Writes `n` messages, i ms after each other. */
static void recording_make(const char *path, uint64_t n, uint32_t flags)
{
	struct recording_header header = {
		.id = test_random(), .flags = flags, .session = "s", .address = "a", .pattern = "pull"
	};
	struct rig rig = rig_open(SEA_PUSH, NULL);
	struct recording_writer writer;

	CHECK_OK(recording_writer_open(&writer, path, false, &header));
	for (uint64_t i = 0; i < n; i++) {
		struct sea_message *message = traffic_message(rig.session, i);

		CHECK_OK(recording_writer_add(&writer, &message, 1, (int64_t)i * 1000000));
		sea_message_unref(message);
	}
	CHECK_EQ(writer.n_messages, n);
	CHECK_OK(recording_writer_finish(&writer));
	recording_writer_fini(&writer);
	rig_close(&rig);
}

/* Whether a message can be read and its payload is right by its checksum; then it is the very message that was written. */
static bool message_is_right(struct recording *recording, uint64_t number)
{
	static uint8_t bytes[100001], expected[100001];
	struct recording_message message;
	uint64_t at;

	if (recording_read(recording, number, &message) < 0 || recording_check_payload(recording, &message) < 0) {
		CHECK(strstr(recording->error, "offset"));
		CHECK(strstr(recording->error, recording->name));
		return false;
	}
	CHECK_EQ(message.head.number, number);
	CHECK_EQ(message.head.tag, traffic_tag(number));
	CHECK_EQ(message.head.time_ns, number * 1000000);
	CHECK_EQ(message.head.n_parts, traffic_n_parts(number));
	at = message.first;
	for (uint32_t i = 0; i < message.head.n_parts; i++) {
		CHECK_EQ(message.sizes[i], traffic_size(number, i));
		if (!message.sizes[i])
			continue;
		at = recording_place(at, message.sizes[i]);
		CHECK_EQ(at % (message.sizes[i] >= 4096 ? 4096 : 64), 0);
		CHECK_OK(recording_read_bytes(recording, at, bytes, message.sizes[i]));
		traffic_fill(expected, message.sizes[i], number, i);
		CHECK_MEM_EQ(bytes, expected, message.sizes[i]);
		at += message.sizes[i];
	}
	return true;
}

TEST(whole, "what was written is read: bytes, parts, tags and times, by the index")
{
	char path[TOOL_PATH_N_BYTES];
	struct recording recording;

	recording_make(tool_path(path, "r"), 5 * TRAFFIC_N_SHAPES, RECORDING_HAS_CHECKSUMS);
	CHECK_OK(recording_open(&recording, path));
	CHECK(recording.is_whole);
	CHECK_STR_EQ(recording.damage, "");
	CHECK_EQ(recording.n_messages, 5 * TRAFFIC_N_SHAPES);
	CHECK_EQ(recording.n_bytes % RECORDING_UNIT_N_BYTES, 0);
	CHECK_EQ(recording.duration_ns, INT64_C(1000000) * (5 * TRAFFIC_N_SHAPES - 1));
	CHECK_STR_EQ(recording.header.address, "a");
	for (uint64_t i = recording.n_messages; i-- > 0;)
		CHECK(message_is_right(&recording, i));
	recording_fini(&recording);
	/* Without messages, too. */
	recording_make(tool_path(path, "empty"), 0, 0);
	CHECK_OK(recording_open(&recording, path));
	CHECK(recording.is_whole);
	CHECK_EQ(recording.n_messages, 0);
	recording_fini(&recording);
	CHECK_EQ(recording_open(&recording, path), 0);
	recording_fini(&recording);
}

TEST(cut, "a file that was cut anywhere is read up to its last whole message, or refused for its header")
{
	char path[TOOL_PATH_N_BYTES];
	struct recording recording;
	uint64_t ends[TRAFFIC_N_SHAPES + 1] = { RECORDING_HEADER_N_BYTES }, n_before = TRAFFIC_N_SHAPES, end;

	recording_make(tool_path(path, "r"), TRAFFIC_N_SHAPES, RECORDING_HAS_CHECKSUMS);
	CHECK_OK(recording_open(&recording, path));
	for (uint64_t i = 1; i < TRAFFIC_N_SHAPES; i++)
		ends[i] = recording.offsets[i];
	ends[TRAFFIC_N_SHAPES] = recording.end;
	end = recording.n_bytes;
	recording_fini(&recording);
	while (end > 0) {
		uint64_t n = n_before;

		/* Around each border, and in steps between. */
		end = n && end > ends[n] + 70000 ? ends[n] + test_random() % 70000
		                                 : end - 1 - (end > 64 ? test_random() % 63 : 0);
		CHECK_SYS(truncate(path, (off_t)end));
		if (end < RECORDING_HEADER_N_BYTES) {
			CHECK_ERR(recording_open(&recording, path), -EBADMSG);
			recording_fini(&recording);
			end = end > 500 ? 500 : end > 10 ? 10 : 0;
			continue;
		}
		while (n && ends[n] > end)
			n--;
		CHECK_OK(recording_open(&recording, path));
		CHECK(!recording.is_whole);
		CHECK_STR_EQ(recording.damage, "");
		CHECK_EQ(recording.n_messages, n);
		CHECK_EQ(recording.end, ends[n]);
		if (n != n_before)
			for (uint64_t i = 0; i < n; i++)
				CHECK(message_is_right(&recording, i));
		recording_fini(&recording);
		n_before = n;
		/* To a little above the next border. */
		if (n && end > ends[n] + 200)
			end = ends[n] + 200;
	}
}

TEST(flipped,
     "whatever bit of a recording is flipped: what can be read is what was written, the rest is refused and named")
{
	char path[TOOL_PATH_N_BYTES];
	struct recording recording;
	unsigned n_refused = 0, n_flips = test_is_soak() ? 50000 : test_is_sanitized() ? 100 : 400;
	uint64_t n_bytes;
	int fd;

	recording_make(tool_path(path, "r"), 9, RECORDING_HAS_CHECKSUMS);
	fd = (int)CHECK_SYS(open(path, O_RDWR | O_CLOEXEC));
	n_bytes = (uint64_t)CHECK_SYS(lseek(fd, 0, SEEK_END));
	for (unsigned i = 0; i < n_flips; i++) {
		/* Mostly where something stands: the header, heads and the end. */
		uint64_t at = i % 4 == 0 ? test_random() % RECORDING_HEADER_N_BYTES / 8
		              : i % 4 == 1
		                      ? n_bytes - 1 - test_random() % 64
		                      : RECORDING_HEADER_N_BYTES + test_random() % (n_bytes - RECORDING_HEADER_N_BYTES);
		uint8_t byte, flipped;
		bool is_refused;

		if (i % 4 == 2)
			at = RECORDING_HEADER_N_BYTES + at % 128;
		CHECK_EQ(CHECK_SYS(pread(fd, &byte, 1, (off_t)at)), 1);
		flipped = (uint8_t)(byte ^ 1u << test_random() % 8);
		CHECK_EQ(CHECK_SYS(pwrite(fd, &flipped, 1, (off_t)at)), 1);
		is_refused = recording_open(&recording, path) < 0;
		if (is_refused) {
			CHECK(strstr(recording.error, "offset"));
			CHECK(strstr(recording.error, path));
		}
		CHECK_LE(recording.n_messages, 9);
		for (uint64_t k = 0; !is_refused && k < recording.n_messages; k++)
			is_refused |= !message_is_right(&recording, k);
		n_refused += is_refused || !recording.is_whole;
		recording_fini(&recording);
		CHECK_EQ(CHECK_SYS(pwrite(fd, &byte, 1, (off_t)at)), 1);
	}
	CHECK_GT(n_refused, n_flips / 2);
	close(fd);
}

/* Puts a checksum of the reader's liking under a head that was changed. */
static void head_change(int fd, struct recording *recording, void (*change)(struct recording_head *head))
{
	struct recording_head head;
	uint64_t sizes[128];

	CHECK_EQ(CHECK_SYS(pread(fd, &head, sizeof(head), RECORDING_HEADER_N_BYTES)), sizeof(head));
	CHECK_EQ(CHECK_SYS(pread(fd, sizes, sizeof(sizes), RECORDING_HEADER_N_BYTES + sizeof(head))), sizeof(sizes));
	change(&head);
	head.checksum = recording_checksum_head(recording->header.id, &head, sizes);
	CHECK_EQ(CHECK_SYS(pwrite(fd, &head, sizeof(head), RECORDING_HEADER_N_BYTES)), sizeof(head));
}

static void change_payload(struct recording_head *head)
{
	head->n_payload_bytes++;
}

static void change_n_bytes(struct recording_head *head)
{
	head->n_bytes += 64;
}

static void change_n_bytes_far(struct recording_head *head)
{
	head->n_bytes = UINT64_MAX - 63;
}

static void change_time(struct recording_head *head)
{
	head->time_ns = -1;
}

static void change_number(struct recording_head *head)
{
	head->number = 1;
}

TEST(made_up, "heads with right checksums whose sizes do not add up are refused, and read nothing outside the file")
{
	static void (*const changes[])(struct recording_head *) = { change_payload, change_n_bytes, change_n_bytes_far,
		                                                    change_time, change_number };
	char path[TOOL_PATH_N_BYTES];
	struct recording recording;
	struct recording_message message;
	struct recording_head saved;
	int fd;

	/* The first message has one part. */
	CHECK_EQ(traffic_n_parts(0), 1);
	recording_make(tool_path(path, "r"), 3, RECORDING_HAS_CHECKSUMS);
	fd = (int)CHECK_SYS(open(path, O_RDWR | O_CLOEXEC));
	CHECK_EQ(CHECK_SYS(pread(fd, &saved, sizeof(saved), RECORDING_HEADER_N_BYTES)), sizeof(saved));
	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		CHECK_OK(recording_open(&recording, path));
		head_change(fd, &recording, changes[i]);
		CHECK_ERR(recording_read(&recording, 0, &message), -EBADMSG);
		CHECK(strstr(recording.error, "offset 4096"));
		recording_fini(&recording);
		CHECK_EQ(CHECK_SYS(pwrite(fd, &saved, sizeof(saved), RECORDING_HEADER_N_BYTES)), sizeof(saved));
	}
	/* A file that shrinks while it is read is an error as well. */
	CHECK_OK(recording_open(&recording, path));
	CHECK_SYS(ftruncate(fd, RECORDING_HEADER_N_BYTES + 10));
	CHECK_ERR(recording_read(&recording, 2, &message), -EBADMSG);
	recording_fini(&recording);
	close(fd);
}

TEST(others,
     "what is no recording is refused with a reason: a folder, a FIFO, an empty file, another format, another byte order")
{
	char path[TOOL_PATH_N_BYTES];
	struct recording recording;
	struct recording_header header;
	int fd;

	CHECK_ERR(recording_open(&recording, tool_path(path, "absent")), -ENOENT);
	recording_fini(&recording);
	CHECK_LT(recording_open(&recording, test_runtime_dir()), 0);
	CHECK(strstr(recording.error, "not a file"));
	recording_fini(&recording);
	CHECK_SYS(mkfifo(tool_path(path, "fifo"), 0600));
	CHECK_ERR(recording_open(&recording, path), -EBADMSG);
	recording_fini(&recording);
	recording_make(tool_path(path, "r"), 1, 0);
	fd = (int)CHECK_SYS(open(path, O_RDWR | O_CLOEXEC));
	CHECK_EQ(CHECK_SYS(pread(fd, &header, sizeof(header), 0)), sizeof(header));
	header.version++;
	header.checksum = recording_checksum_header(&header);
	CHECK_EQ(CHECK_SYS(pwrite(fd, &header, sizeof(header), 0)), sizeof(header));
	CHECK_ERR(recording_open(&recording, path), -EBADMSG);
	CHECK(strstr(recording.error, "format 2"));
	recording_fini(&recording);
	header.byte_order = __builtin_bswap32(header.byte_order);
	CHECK_EQ(CHECK_SYS(pwrite(fd, &header, sizeof(header), 0)), sizeof(header));
	CHECK_ERR(recording_open(&recording, path), -EBADMSG);
	CHECK(strstr(recording.error, "byte order"));
	recording_fini(&recording);
	CHECK_SYS(ftruncate(fd, 0));
	CHECK_ERR(recording_open(&recording, path), -EBADMSG);
	recording_fini(&recording);
	close(fd);
}

TEST(force, "a file that is there is replaced only when that is asked for, and then who reads the old one reads on")
{
	struct recording_header header = { .id = 1 };
	char path[TOOL_PATH_N_BYTES];
	struct recording_writer writer;
	struct recording recording;

	recording_make(tool_path(path, "r"), 3, RECORDING_HAS_CHECKSUMS);
	CHECK_ERR(recording_writer_open(&writer, path, false, &header), -EEXIST);
	recording_writer_fini(&writer);
	CHECK_OK(recording_open(&recording, path));
	CHECK_OK(recording_writer_open(&writer, path, true, &header));
	CHECK_OK(recording_writer_finish(&writer));
	recording_writer_fini(&writer);
	for (uint64_t i = 0; i < 3; i++)
		CHECK(message_is_right(&recording, i));
	recording_fini(&recording);
	CHECK_OK(recording_open(&recording, path));
	CHECK_EQ(recording.n_messages, 0);
	recording_fini(&recording);
	CHECK_LT(recording_writer_open(&writer, "/dev/null", true, &header), 0);
	recording_writer_fini(&writer);
	CHECK_SYS(access("/dev/null", F_OK));
}
