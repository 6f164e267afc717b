/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What `sealane recv` does with streams that `sealane send` would never make: names that lead
 * outside, damaged bytes, missing pieces, a sender that dies. And the format's own checks.
 */
#include "test.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "../../tools/stream.c"

#define SECOND_NS INT64_C(1000000000)

/* --- the format --- */

TEST(stream_names, "names that lead outside or cannot be names are not safe")
{
	static const char *const bad[] = { "",   "/",    "/a",   "a/",     "a//b", ".",
		                           "..", "../a", "a/..", "a/../b", "./a",  "a/./b" };
	static const char *const good[] = { "a", "a/b", "...", ".a", "a..", "a b", "\xff", "a/.../b" };
	char text[5000];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (stream_name_is_safe(bad[i], strlen(bad[i])))
			FAIL("'%s' passes as safe", bad[i]);
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		if (!stream_name_is_safe(good[i], strlen(good[i])))
			FAIL("'%s' does not pass as safe", good[i]);
	CHECK(!stream_name_is_safe("a\0b", 3));
	memset(text, 'a', sizeof(text));
	CHECK(stream_name_is_safe(text, 255));
	CHECK(!stream_name_is_safe(text, 256));
	for (size_t i = 200; i < sizeof(text); i += 200)
		text[i] = '/';
	CHECK(stream_name_is_safe(text, 4095));
	CHECK(!stream_name_is_safe(text, 4096));
}

TEST(stream_show, "names are shown without control characters and as UTF-8")
{
	char text[STREAM_SHOWN_N_BYTES], name[4095];

	CHECK_STR_EQ(stream_name_show(text, "a\nb\x1b[2J", 7), "a\\x0ab\\x1b[2J");
	CHECK_STR_EQ(stream_name_show(text, "gr\xc3\xbc\xc3\x9f", 6), "gr\xc3\xbc\xc3\x9f");
	CHECK_STR_EQ(stream_name_show(text, "\xff\xc3", 2), "\\xff\\xc3");
	CHECK_STR_EQ(stream_name_show(text, "\xc2\x9b", 2), "\\xc2\\x9b");
	CHECK_STR_EQ(stream_name_show(text, "\xed\xa0\x80", 3), "\\xed\\xa0\\x80");
	memset(name, 1, sizeof(name));
	stream_name_show(text, name, sizeof(name));
	CHECK_LT(strlen(text), sizeof(text));
}

static size_t head_make(unsigned char *part, struct stream_entry *entry, const char *name)
{
	struct stream_head head = { .stream_id = 7, .n_entries = 1, .n_names_bytes = (uint32_t)strlen(name) };

	entry->name_n_bytes = head.n_names_bytes;
	stream_head_write(part, &head, entry, name);
	return stream_head_n_bytes(1, head.n_names_bytes);
}

TEST(stream_head_damaged, "a head with any one bit wrong is refused, and so is one cut short")
{
	struct stream_entry entry = { .file_n_bytes = 10, .n_bytes = 10 };
	unsigned char part[400];
	struct stream_view view;
	size_t n = head_make(part, &entry, "name");

	CHECK_OK(stream_view_init(&view, part, n));
	for (size_t i = 0; i < 8 * n; i++) {
		part[i / 8] ^= (unsigned char)(1u << i % 8);
		if (stream_view_init(&view, part, n) == 0)
			FAIL("bit %zu is wrong and the head passes", i);
		part[i / 8] ^= (unsigned char)(1u << i % 8);
	}
	for (size_t i = 0; i < n; i++)
		CHECK_ERR(stream_view_init(&view, part, i), -EBADMSG);
	CHECK_OK(stream_view_init(&view, part, n));
}

TEST(stream_head_liar, "a head whose hash is right but whose numbers are not is refused")
{
	struct stream_entry entry = { .file_n_bytes = 10, .offset = 5, .n_bytes = 6 };
	unsigned char part[400];
	struct stream_view view;
	struct stream_head head = { .n_entries = 1, .n_names_bytes = 4 };

	CHECK_ERR(stream_view_init(&view, part, head_make(part, &entry, "name")), -EBADMSG);
	entry = (struct stream_entry){ .file_n_bytes = 10, .offset = UINT64_MAX, .n_bytes = 6 };
	CHECK_ERR(stream_view_init(&view, part, head_make(part, &entry, "name")), -EBADMSG);
	entry = (struct stream_entry){ .name_n_bytes = 5 };
	stream_head_write(part, &head, &entry, "name");
	CHECK_ERR(stream_view_init(&view, part, stream_head_n_bytes(1, 4)), -EBADMSG);
	entry = (struct stream_entry){ .name_offset = UINT32_MAX, .name_n_bytes = 2 };
	stream_head_write(part, &head, &entry, "name");
	CHECK_ERR(stream_view_init(&view, part, stream_head_n_bytes(1, 4)), -EBADMSG);
}

/* --- the receiver --- */

struct scene {
	char folder[64]; /* with out/, err and outside/ in it */
	pid_t receiver;
	struct sea_session *session;
	struct sea_channel *channel;
	uint64_t n_timeframes;
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static const char *scene_path(const struct scene *scene, const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", scene->folder, name);
	return path;
}

/* Starts a receiver and meets it as its sender. */
static void scene_begin(struct scene *scene)
{
	char out[128], err[128];

	*scene = (struct scene){ .folder = "/tmp/sealane-test-XXXXXX" };
	CHECK(mkdtemp(scene->folder));
	snprintf(out, sizeof(out), "%s/out", scene->folder);
	snprintf(err, sizeof(err), "%s/err", scene->folder);
	CHECK_SYS(mkdir(out, 0700));
	CHECK_SYS(mkdir(scene_path(scene, "outside"), 0700));
	CHECK_SYS(symlink("../outside", scene_path(scene, "out/link")));
	scene->receiver = fork();
	if (scene->receiver == 0) {
		int fd = open(err, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		dup2(fd, 1);
		dup2(fd, 2);
		execl(test_command(), "sealane", "recv", "--out", out, NULL);
		_exit(127);
	}
	CHECK_SYS(scene->receiver);
	CHECK_OK(sea_session_open(&scene->session, NULL));
	CHECK_OK(sea_channel_new(&scene->channel, scene->session, SEA_PAIR, NULL));
	CHECK_OK(sea_channel_bind(scene->channel, STREAM_ADDRESS_DEFAULT));
	CHECK_OK(sea_channel_wait_peers(scene->channel, 1, 10 * SECOND_NS));
}

/* One file, or a piece of one, in a timeframe of its own. */
static void scene_send(struct scene *scene, const char *name, struct stream_entry entry, const char *data)
{
	struct stream_head head = {
		.stream_id = 7,
		.timeframe = scene->n_timeframes++,
		.n_entries = 1,
		.n_names_bytes = (uint32_t)strlen(name),
	};
	struct sea_frame_options options = { .n_bytes_max[0] = 8192 };
	struct sea_message *message = NULL;
	struct sea_frame *frame = NULL;
	void *to = NULL;

	entry.name_n_bytes = head.n_names_bytes;
	CHECK_OK(sea_frame_new(&frame, sea_session_heap(scene->session), &options, 0));
	CHECK_OK(sea_frame_add(frame, strlen(data), 0, &to));
	memcpy(to, data, strlen(data));
	CHECK_OK(sea_frame_add(frame, stream_head_n_bytes(1, head.n_names_bytes), 0, &to));
	stream_head_write(to, &head, &entry, name);
	CHECK_OK(sea_frame_seal(&frame, &message));
	CHECK_OK(sea_channel_send(scene->channel, &message, 10 * SECOND_NS));
}

static struct stream_entry entry_of(const char *data)
{
	size_t n = strlen(data);
	uint64_t hash = XXH3_64bits(data, n);

	return (struct stream_entry){ .file_n_bytes = n, .n_bytes = n, .hash = hash, .file_hash = hash, .mode = 0644 };
}

static void scene_send_end(struct scene *scene, uint64_t n_files, uint64_t n_bytes)
{
	struct stream_head head = { .stream_id = 7, .timeframe = scene->n_timeframes++ };
	struct stream_totals totals = { .n_files = n_files, .n_bytes = n_bytes };
	struct sea_message *message = NULL;

	CHECK_OK(sea_message_new(&message, sea_session_heap(scene->session), stream_end_n_bytes(), 0, 0));
	stream_end_write(sea_message_write(message), &head, &totals);
	CHECK_OK(sea_channel_send(scene->channel, &message, 10 * SECOND_NS));
}

/* The receiver's answer, released. */
static struct stream_answer scene_answer(struct scene *scene)
{
	struct sea_message *message = NULL;
	struct stream_answer answer;

	CHECK_OK(sea_channel_receive(scene->channel, &message, 10 * SECOND_NS));
	CHECK_EQ(sea_message_size(message), sizeof(answer));
	memcpy(&answer, sea_message_data(message), sizeof(answer));
	sea_message_unref(message);
	return answer;
}

static bool scene_said(const struct scene *scene, const char *what)
{
	char text[8192];
	int fd = CHECK_SYS(open(scene_path(scene, "err"), O_RDONLY));
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	CHECK_GE(n, 0);
	text[n] = '\0';
	return strstr(text, what) != NULL;
}

static bool scene_has(const struct scene *scene, const char *name)
{
	struct stat st;

	return lstat(scene_path(scene, name), &st) == 0;
}

static void scene_end(struct scene *scene)
{
	sea_channel_close(scene->channel);
	sea_session_close(scene->session);
	scene->channel = NULL;
	scene->session = NULL;
}

static void scene_remove(struct scene *scene)
{
	CHECK_SYS(nftw(scene->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

TEST(recv_outside, "names that lead outside are refused, and every other file is stored")
{
	struct scene scene;
	struct stream_answer answer;

	scene_begin(&scene);
	scene_send(&scene, "../outside/a", entry_of("evil"), "evil");
	scene_send(&scene, "/tmp/sealane-test-evil", entry_of("evil"), "evil");
	scene_send(&scene, "link/b", entry_of("evil"), "evil");
	scene_send(&scene, "good/c", entry_of("good"), "good");
	scene_send(&scene, "link", entry_of("good"), "good");
	scene_send_end(&scene, 5, 20);
	answer = scene_answer(&scene);
	CHECK_EQ(answer.n_files, 2);
	CHECK_EQ(answer.n_failed, 3);
	CHECK_EQ(test_wait(scene.receiver), 1);
	CHECK(scene_said(&scene, "../outside/a: refused"));
	CHECK(scene_said(&scene, "/tmp/sealane-test-evil: refused"));
	CHECK(scene_said(&scene, "link/b: not stored"));
	CHECK(!scene_has(&scene, "outside/a"));
	CHECK(!scene_has(&scene, "outside/b"));
	CHECK_SYS(access(scene_path(&scene, "out/good/c"), R_OK));
	/* The link itself is replaced by the file of that name, never written through. */
	CHECK_SYS(access(scene_path(&scene, "out/link"), R_OK));
	CHECK_EQ(rmdir(scene_path(&scene, "outside")), 0);
	scene_end(&scene);
	scene_remove(&scene);
}

TEST(recv_damaged, "a wrong byte, a wrong file and a missing piece are noticed, and nothing of them is stored")
{
	struct scene scene;
	struct stream_entry entry;
	struct stream_answer answer;

	scene_begin(&scene);
	scene_send(&scene, "byte", entry_of("right"), "rigHt");
	entry = entry_of("right");
	entry.file_hash++;
	scene_send(&scene, "file", entry, "right");
	entry = entry_of("tail");
	entry.file = 3;
	entry.file_n_bytes = 8;
	entry.offset = 4;
	scene_send(&scene, "headless", entry, "tail");
	entry = entry_of("head");
	entry.file = 4;
	entry.file_n_bytes = 8;
	scene_send(&scene, "tailless", entry, "head");
	scene_send(&scene, "whole", entry_of("whole"), "whole");
	scene_send_end(&scene, 5, 27);
	answer = scene_answer(&scene);
	CHECK_EQ(answer.n_files, 1);
	CHECK_EQ(answer.n_failed, 4);
	CHECK_EQ(test_wait(scene.receiver), 1);
	CHECK(scene_said(&scene, "byte: is not what was sent"));
	CHECK(scene_said(&scene, "file: is not what was sent"));
	CHECK(scene_said(&scene, "headless: incomplete"));
	CHECK(scene_said(&scene, "tailless: incomplete"));
	CHECK_SYS(unlink(scene_path(&scene, "out/whole")));
	CHECK_SYS(unlink(scene_path(&scene, "out/link")));
	CHECK_SYS(rmdir(scene_path(&scene, "out"))); /* nothing else is in it, temporary files included */
	scene_end(&scene);
	scene_remove(&scene);
}

TEST(recv_short, "a file that was announced and never came makes the receiver fail")
{
	struct scene scene;

	scene_begin(&scene);
	scene_send(&scene, "a", entry_of("a"), "a");
	scene_send_end(&scene, 2, 2);
	CHECK_EQ(scene_answer(&scene).n_failed, 1);
	CHECK_EQ(test_wait(scene.receiver), 1);
	CHECK(scene_said(&scene, "2 files were sent and 1 came"));
	scene_end(&scene);
	scene_remove(&scene);
}

TEST(recv_sender_gone, "a sender that ends in the middle makes the receiver fail and remove what is not whole")
{
	struct stream_entry entry = entry_of("head");
	struct scene scene;

	scene_begin(&scene);
	entry.file_n_bytes = 8;
	scene_send(&scene, "half", entry, "head");
	CHECK_OK(sea_channel_flush(scene.channel, 10 * SECOND_NS));
	scene_end(&scene);
	CHECK_EQ(test_wait(scene.receiver), 1);
	CHECK(scene_said(&scene, "half: incomplete"));
	CHECK(scene_said(&scene, "ended in the middle"));
	CHECK_SYS(unlink(scene_path(&scene, "out/link")));
	CHECK_SYS(rmdir(scene_path(&scene, "out")));
	scene_remove(&scene);
}

TEST(recv_other_language, "a message that is no part of a stream makes the receiver fail in one line")
{
	struct sea_message *message = NULL;
	struct scene scene;

	scene_begin(&scene);
	CHECK_OK(sea_message_new(&message, sea_session_heap(scene.session), 100, 0, 0));
	CHECK_OK(sea_channel_send(scene.channel, &message, 10 * SECOND_NS));
	CHECK_EQ(test_wait(scene.receiver), 1);
	CHECK(scene_said(&scene, "does not come from sealane send"));
	scene_end(&scene);
	scene_remove(&scene);
}
