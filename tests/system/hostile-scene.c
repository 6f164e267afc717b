/* SPDX-License-Identifier: Apache-2.0 */
/* See hostile-scene.h. */
#include "hostile-scene.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "test.h"

#define QUOTA ((uint64_t)2 << 20)
#define RECEIVE_NS INT64_C(1000000)
#define N_QUEUE 32

static size_t honest_n_bytes(uint64_t i)
{
	return (size_t)(1 + i * 797 % 6000);
}

static void honest_fill(uint8_t *data, size_t n_bytes, uint64_t i)
{
	for (size_t j = 0; j < n_bytes; j++)
		data[j] = (uint8_t)(i * 31 + j);
}

static void honest_check(const struct sea_message *message, uint64_t i)
{
	const uint8_t *data = sea_message_data(message);

	CHECK_EQ(sea_message_get_tag(message), i);
	CHECK_EQ(sea_message_n_parts(message), 1);
	CHECK_EQ(sea_message_size(message), honest_n_bytes(i));
	for (size_t j = 0; j < honest_n_bytes(i); j++)
		CHECK_EQ(data[j], (uint8_t)(i * 31 + j));
}

static struct sea_session *scene_session(void)
{
	struct sea_session_options options = { .name = "default", .quota_n_bytes = QUOTA };
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, &options));
	return session;
}

static struct sea_channel *scene_channel(struct sea_session *session, enum sea_pattern pattern)
{
	struct sea_channel_options options = { .sndbuf = N_QUEUE, .rcvbuf = N_QUEUE };
	struct sea_channel *channel;

	CHECK_OK(sea_channel_new(&channel, session, pattern, &options));
	return channel;
}

static void sender_main(void *arg)
{
	struct scene_shared *shared = arg;
	struct sea_session *session = scene_session();
	struct sea_channel *channel = scene_channel(session, SEA_PUSH);

	shared->sender_id = sea_session_id(session);
	CHECK_OK(sea_channel_connect(channel, "in"));
	CHECK_OK(sea_channel_wait_peers(channel, 1, test_patience_ns()));
	while (!shared->may_send && !shared->stop_sender)
		test_sleep_ms(1);
	for (uint64_t i = 0; !shared->stop_sender; i++) {
		struct sea_message *message;

		CHECK_OK(
			sea_message_new(&message, sea_session_heap(session), honest_n_bytes(i), 0, test_patience_ns()));
		honest_fill(sea_message_write(message), honest_n_bytes(i), i);
		sea_message_set_tag(message, i);
		CHECK_OK(sea_channel_send(channel, &message, test_patience_ns()));
		shared->n_sent++;
		if (i % 4 == 0)
			test_sleep_ms(1);
	}
	CHECK_OK(sea_channel_flush(channel, test_patience_ns()));
	shared->sender_done = true;
	sea_channel_close(channel);
	sea_session_close(session);
}

static void receiver_main(void *arg)
{
	struct scene_shared *shared = arg;
	struct sea_session *session = scene_session();
	struct sea_channel *channel = scene_channel(session, SEA_PULL);

	shared->receiver_id = sea_session_id(session);
	CHECK_OK(sea_channel_connect(channel, "out"));
	while (!shared->stop) {
		struct sea_message *message;
		int r = sea_channel_receive(channel, &message, RECEIVE_NS);

		if (r == -ETIMEDOUT)
			continue;
		CHECK_OK(r);
		honest_check(message, shared->n_received);
		sea_message_unref(message);
		shared->n_received++;
	}
	sea_channel_close(channel);
	sea_session_close(session);
}

static void touch(const void *data, size_t n_bytes)
{
	const uint8_t *bytes = data;

	if (data && n_bytes)
		(void)(*(const volatile uint8_t *)bytes + *(const volatile uint8_t *)(bytes + n_bytes - 1));
}

/* What a trusting program does with a message: it believes the calls of the library. */
static void victim_read_hostile(struct sea_message *message)
{
	size_t n_parts = sea_message_n_parts(message);
	struct sea_part part;

	for (int i = 0; i < 200; i++) {
		const void *data = sea_message_data(message);

		touch(data, sea_message_size(message));
	}
	(void)sea_message_n_bytes(message);
	for (size_t i = 0; i < n_parts && i < 100000; i++)
		if (sea_message_get_part(message, i, &part) == 0)
			touch(part.data, part.n_bytes);
}

static void victim_offer_bait(struct scene_shared *shared, struct sea_channel *bait, struct sea_heap *heap)
{
	struct sea_message *message;
	struct sea_heap_stats stats;

	/* At most so many are out; what a hostile peer keeps is missed, and comes back with its end. */
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	shared->n_bytes_used = stats.n_bytes_used;
	if (stats.n_blocks_used > 64 || sea_message_new(&message, heap, 4096, 0, 0) < 0)
		return;
	if (sea_channel_send(bait, &message, 0) == 0)
		shared->n_bait++;
	else
		sea_message_unref(message);
}

static void victim_publish_stats(struct scene_shared *shared, struct sea_session *session, struct sea_channel *in)
{
	struct sea_session_stats stats;
	struct sea_channel_stats channel_stats;

	CHECK_OK(sea_session_get_stats(session, &stats));
	CHECK_OK(sea_channel_get_stats(in, &channel_stats));
	shared->n_refused = stats.n_refused;
	shared->n_lies = stats.n_lies;
	shared->n_peers = stats.n_peers;
	shared->n_arenas_attached = stats.n_arenas_attached;
	shared->n_refused_in = channel_stats.n_refused;
	shared->n_sleeps = channel_stats.n_sleeps;
	shared->n_rounds++;
}

static void victim_main(void *arg)
{
	struct scene_shared *shared = arg;
	struct sea_session *session = scene_session();
	struct sea_channel *in = scene_channel(session, SEA_PULL), *trap = scene_channel(session, SEA_PULL);
	struct sea_channel *out = scene_channel(session, SEA_PUSH), *bait = scene_channel(session, SEA_PUSH);
	struct sea_message *message;
	uint64_t n_honest = 0;

	shared->victim_id = sea_session_id(session);
	CHECK_OK(sea_channel_bind(in, "in"));
	CHECK_OK(sea_channel_bind(out, "out"));
	CHECK_OK(sea_channel_bind(bait, "bait"));
	CHECK_OK(sea_channel_connect(trap, "trap"));
	while (!shared->stop) {
		int r = sea_channel_receive(in, &message, RECEIVE_NS);

		if (r == 0 && sea_message_sender(message) == shared->sender_id) {
			honest_check(message, n_honest++);
			CHECK_OK(sea_channel_send(out, &message, test_patience_ns()));
		} else if (r == 0) {
			victim_read_hostile(message);
			sea_message_unref(message);
			shared->n_hostile++;
		} else if (r != -ETIMEDOUT) {
			shared->n_errors++;
		}
		while (sea_channel_receive(trap, &message, 0) == 0) {
			victim_read_hostile(message);
			sea_message_unref(message);
		}
		victim_offer_bait(shared, bait, sea_session_heap(session));
		victim_publish_stats(shared, session, in);
	}
	sea_channel_close(in);
	sea_channel_close(out);
	sea_channel_close(bait);
	sea_channel_close(trap);
	sea_session_close(session);
}

static int scene_count_fds(pid_t pid)
{
	char path[64];
	int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	CHECK(dir);
	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static int scene_count_maps(pid_t pid)
{
	char path[64], line[4096];
	int n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	CHECK(file);
	while (fgets(line, sizeof(line), file))
		n += strstr(line, "/memfd:") != NULL;
	fclose(file);
	return n;
}

void scene_wait_round(struct scene *scene)
{
	uint64_t n_rounds = scene->shared->n_rounds;

	CHECK_EVENTUALLY(scene->shared->n_rounds >= n_rounds + 3);
}

void scene_start(struct scene *scene, bool may_send)
{
	struct scene_shared *shared = test_shared(sizeof(*shared));

	scene->shared = shared;
	shared->may_send = may_send;
	scene->victim = test_fork(victim_main, shared);
	scene->receiver = test_fork(receiver_main, shared);
	scene->sender = test_fork(sender_main, shared);
	CHECK_EVENTUALLY(shared->n_peers == 2);
	if (!may_send)
		return;
	CHECK_EVENTUALLY(shared->n_received > 100);
	scene_wait_round(scene);
	scene->n_fds = scene_count_fds(scene->victim);
	scene->n_maps = scene_count_maps(scene->victim);
}

void scene_check_serves(struct scene *scene)
{
	uint64_t n_received = scene->shared->n_received;

	CHECK_EVENTUALLY(scene->shared->n_received > n_received + 50);
}

void scene_end(struct scene *scene)
{
	struct scene_shared *shared = scene->shared;

	CHECK_EVENTUALLY(shared->n_peers == 2);
	scene_check_serves(scene);
	if (scene->n_fds) {
		CHECK_EVENTUALLY(scene_count_fds(scene->victim) <= scene->n_fds);
		CHECK_EVENTUALLY(scene_count_maps(scene->victim) <= scene->n_maps);
		CHECK_EVENTUALLY(shared->n_arenas_attached <= 1);
		CHECK_EVENTUALLY(shared->n_bytes_used == 0);
	}
	shared->stop_sender = true;
	CHECK_EVENTUALLY(shared->sender_done);
	CHECK_EVENTUALLY(shared->n_received == shared->n_sent);
	CHECK_EQ(test_wait(scene->sender), 0);
	shared->stop = true;
	CHECK_EQ(test_wait(scene->receiver), 0);
	CHECK_EQ(test_wait(scene->victim), 0);
}
