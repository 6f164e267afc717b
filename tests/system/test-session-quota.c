/* SPDX-License-Identifier: Apache-2.0 */
/* The session quota: one limit over the heaps of several processes, some of which die. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sealane/sealane.h>

#include "test.h"

#define MIB ((uint64_t)1 << 20)
#define QUOTA (64 * MIB)
#define SECOND_NS (INT64_C(1000000000))

struct scene {
	struct test_step ready, go, done;
	_Atomic uint64_t n_taken;
	int64_t timeout_ns;
};

static struct sea_session *open_session(uint64_t quota)
{
	const struct sea_session_options options = { .quota_n_bytes = 256 * MIB, .session_quota_n_bytes = quota };
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, &options));
	return session;
}

/* As many MiB as there are. */
static size_t take_all(struct sea_session *session, struct sea_message **messages)
{
	size_t n = 0;

	while (n < 256 && sea_message_new(&messages[n], sea_session_heap(session), MIB, 0, 0) == 0)
		n++;
	return n;
}

static void hog(void *argument)
{
	struct scene *scene = argument;
	struct sea_message *messages[256] = { 0 };
	struct sea_session *session = open_session(QUOTA);
	size_t n = take_all(session, messages);

	scene->n_taken = n;
	test_step_signal(&scene->ready, 1);
	test_step_wait(&scene->go);
	sea_message_unref_many(messages, n);
	CHECK_OK(sea_heap_trim(sea_session_heap(session), 0));
	test_step_signal(&scene->done, 1);
	test_step_wait(&scene->go);
	sea_session_close(session);
}

static struct scene *make_scene(void)
{
	struct scene *scene = test_shared(sizeof(*scene));

	test_step_init(&scene->ready);
	test_step_init(&scene->go);
	test_step_init(&scene->done);
	return scene;
}

static void drop_scene(struct scene *scene)
{
	test_step_fini(&scene->ready);
	test_step_fini(&scene->go);
	test_step_fini(&scene->done);
}

TEST(sum, "all heaps of all processes of a session together stay within its quota, and a trim gives back")
{
	struct scene *scene = make_scene();
	struct sea_message *messages[256] = { 0 };
	struct sea_session *session;
	struct sea_session_stats stats;
	struct sea_heap *other;
	pid_t pid = test_fork(hog, scene);

	test_step_wait(&scene->ready);
	CHECK_GT(scene->n_taken, QUOTA / MIB * 9 / 10);
	CHECK_LE(scene->n_taken, QUOTA / MIB);
	session = open_session(QUOTA);
	CHECK_LE(take_all(session, messages), QUOTA / MIB - scene->n_taken);
	sea_message_unref_many(messages, 256);
	test_step_signal(&scene->go, 1);
	test_step_wait(&scene->done);
	/* A second heap shares the quota with the first. */
	CHECK_OK(sea_heap_new(&other, session, NULL));
	CHECK_OK(sea_message_new(&messages[0], other, 20 * MIB, 0, 5 * SECOND_NS));
	CHECK_LE(take_all(session, messages + 1), QUOTA / MIB - 20);
	CHECK_OK(sea_session_get_stats(session, &stats));
	CHECK_LE(stats.n_bytes_backed, QUOTA);
	sea_message_unref_many(messages, 256);
	test_step_signal(&scene->go, 1);
	CHECK_EQ(test_wait(pid), 0);
	sea_session_close(session);
	drop_scene(scene);
}

TEST(death, "what a killed process had of the quota is free at once, and its file is removed by the next")
{
	struct scene *scene = make_scene();
	struct sea_message *messages[256] = { 0 };
	struct sea_session *session;
	pid_t pid = test_fork(hog, scene);
	size_t n;

	test_step_wait(&scene->ready);
	session = open_session(QUOTA);
	CHECK_LT(take_all(session, messages), 8);
	sea_message_unref_many(messages, 256);
	CHECK_EQ(test_kill(pid), -9);
	n = take_all(session, messages);
	CHECK_GT(n, QUOTA / MIB * 9 / 10);
	sea_message_unref_many(messages, n);
	sea_session_close(session);
	session = open_session(QUOTA);
	sea_session_close(session);
	drop_scene(scene);
}

TEST(wait, "who waits at the quota of the session gets what another process gives back")
{
	struct scene *scene = make_scene();
	struct sea_message *message;
	struct sea_session *session;
	pid_t pid = test_fork(hog, scene);
	int64_t start_ns;

	test_step_wait(&scene->ready);
	session = open_session(QUOTA);
	start_ns = test_now_ns();
	CHECK_ERR(sea_message_new(&message, sea_session_heap(session), 30 * MIB, 0, SECOND_NS / 20), -ETIMEDOUT);
	CHECK_GE(test_now_ns() - start_ns, SECOND_NS / 20);
	test_step_signal(&scene->go, 1);
	CHECK_OK(sea_message_new(&message, sea_session_heap(session), 30 * MIB, 0, 10 * SECOND_NS));
	sea_message_unref(message);
	test_step_signal(&scene->go, 1);
	CHECK_EQ(test_wait(pid), 0);
	CHECK_ERR(sea_message_new(&message, sea_session_heap(session), 65 * MIB, 0, SECOND_NS), -E2BIG);
	sea_session_close(session);
	drop_scene(scene);
}

static char said[512];

static void on_log(enum sea_log_level level, const char *line, void *userdata)
{
	(void)userdata;
	if (level == SEA_LOG_ERROR)
		snprintf(said, sizeof(said), "%s", line);
}

TEST(first, "the first process decides; another value is refused by a line that names both, none means the same")
{
	struct sea_session *session = open_session(QUOTA), *other;
	struct sea_session_options options = { .session_quota_n_bytes = 2 * QUOTA, .log = on_log };
	struct sea_message *message;

	CHECK_ERR(sea_session_open(&other, &options), -EEXIST);
	CHECK(strstr(said, "67108864"));
	CHECK(strstr(said, "134217728"));
	other = open_session(0);
	CHECK_ERR(sea_message_new(&message, sea_session_heap(other), 65 * MIB, 0, 0), -E2BIG);
	sea_session_close(other);
	CHECK_SYS(setenv("SEALANE_SESSION_QUOTA", "64MiB", 1));
	other = open_session(0);
	sea_session_close(other);
	CHECK_SYS(setenv("SEALANE_SESSION_QUOTA", "65M", 1));
	options.session_quota_n_bytes = 0;
	CHECK_ERR(sea_session_open(&other, &options), -EEXIST);
	CHECK_SYS(setenv("SEALANE_SESSION_QUOTA", "much", 1));
	CHECK_ERR(sea_session_open(&other, &options), -EINVAL);
	CHECK_SYS(unsetenv("SEALANE_SESSION_QUOTA"));
	sea_session_close(session);
	other = open_session(2 * QUOTA);
	sea_session_close(other);
}

static int count_quota_files(void)
{
	char path[600];
	struct dirent *entry;
	int n = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "%s/default", test_runtime_dir());
	directory = opendir(path);
	CHECK(directory);
	while ((entry = readdir(directory)))
		n += strstr(entry->d_name, ".quota") != NULL;
	closedir(directory);
	return n;
}

static void churn(void *argument)
{
	struct sea_session *session = open_session(QUOTA);
	uint64_t random = test_random() | 1;

	(void)argument;
	for (;;) {
		struct sea_message *message;

		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		if (sea_message_new(&message, sea_session_heap(session), 1 + (random >> 33) % (8 * MIB), 0, 0) == 0)
			sea_message_unref(message);
		CHECK_OK(sea_heap_trim(sea_session_heap(session), 0));
	}
}

TEST(campaign, "processes killed while they take from the quota leave all of it to the others")
{
	struct sea_message *messages[256] = { 0 };
	struct sea_session *session;

	for (unsigned i = 0; i < 12; i++) {
		pid_t pids[3];

		for (unsigned k = 0; k < 3; k++)
			pids[k] = test_fork(churn, NULL);
		test_sleep_ms(20 + i * 3);
		session = NULL;
		if (i % 2)
			session = open_session(QUOTA);
		for (unsigned k = 0; k < 3; k++)
			CHECK_EQ(test_kill(pids[k]), -9);
		if (!session)
			session = open_session(QUOTA);
		CHECK_GT(take_all(session, messages), QUOTA / MIB * 9 / 10);
		sea_message_unref_many(messages, 256);
		sea_session_close(session);
	}
	/* The next to open cleans up after the dead. */
	session = open_session(0);
	sea_session_close(session);
	CHECK_EQ(count_quota_files(), 0);
}
