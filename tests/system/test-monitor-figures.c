/* SPDX-License-Identifier: Apache-2.0 */
/* What a watcher sees of traffic: rates, queues, how long messages wait, what is in flight and who has it, over shared memory and libzmq. */
#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sealane/monitor.h>

#define N_HELD 3
#define MS INT64_C(1000000)
#define LAST UINT64_MAX

struct scene {
	struct test_step ready, go;
	uint64_t id; /* of the other process */
	char address[128];
	_Atomic bool is_over;
};

static struct scene *scene_start(pid_t *ret_pid, void (*function)(void *arg))
{
	struct scene *scene = test_shared(sizeof(*scene));

	test_step_init(&scene->ready);
	test_step_init(&scene->go);
	*ret_pid = test_fork(function, scene);
	return scene;
}

static void scene_end(struct scene *scene, pid_t pid)
{
	scene->is_over = true;
	test_step_signal(&scene->go, 1);
	CHECK_EQ(test_wait(pid), 0);
	test_step_fini(&scene->ready);
	test_step_fini(&scene->go);
}

static struct sea_monitor_snapshot *look(void)
{
	struct sea_monitor_snapshot *snapshot;

	CHECK_OK(sea_monitor_take(&snapshot, NULL));
	return snapshot;
}

/* A process as it is shown now; all zero: it is not. */
static struct sea_monitor_process process_of(uint64_t id)
{
	struct sea_monitor_snapshot *snapshot = look();
	struct sea_monitor_process found = { 0 };

	for (size_t i = 0; i < snapshot->n_processes; i++)
		if (snapshot->processes[i].id == id)
			found = snapshot->processes[i];
	sea_monitor_free(snapshot);
	return found;
}

/* The only channel of a pattern. */
static struct sea_monitor_channel channel_of(const char *pattern)
{
	struct sea_monitor_snapshot *snapshot = look();
	struct sea_monitor_channel found = { 0 };

	for (size_t i = 0; i < snapshot->n_channels; i++)
		if (strcmp(snapshot->channels[i].pattern, pattern) == 0)
			found = snapshot->channels[i];
	sea_monitor_free(snapshot);
	return found;
}

/* The only link of a process. */
static struct sea_monitor_link link_of(uint64_t id)
{
	struct sea_monitor_snapshot *snapshot = look();
	struct sea_monitor_link found = { .latency_ns = -1, .waiting_ns = -1 };

	for (size_t i = 0; i < snapshot->n_links; i++)
		if (snapshot->links[i].process_id == id)
			found = snapshot->links[i];
	sea_monitor_free(snapshot);
	return found;
}

/* Receives some messages and keeps them until told to go. */
static void scene_holder(void *arg)
{
	struct scene *scene = arg;
	struct sea_message *messages[N_HELD];
	struct rig rig = rig_bind(SEA_PULL, "figures", NULL);

	scene->id = sea_session_id(rig.session);
	for (int i = 0; i < N_HELD; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
	test_step_signal(&scene->ready, 1);
	test_step_wait(&scene->go);
	for (int i = 0; i < N_HELD; i++)
		sea_message_unref(messages[i]);
	rig_close(&rig);
}

TEST(in_flight, "what is sent and still held by others is counted, with who holds the oldest, until it is released")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid, scene_holder);
	struct rig rig = rig_connect(SEA_PUSH, "figures", NULL);
	uint64_t id = sea_session_id(rig.session);
	struct sea_message *unsent = rig_message_of(sea_session_heap(rig.session), 0, 4096);
	struct sea_monitor_process process;

	for (uint64_t i = 0; i < N_HELD; i++)
		CHECK_OK(rig_send(&rig, i, 100000, rig_patience()));
	test_step_wait(&scene->ready);
	/* A new state is told at once. */
	CHECK_OK(sea_session_set_state(rig.session, "SENT"));
	CHECK_EVENTUALLY(process_of(id).n_out == N_HELD);
	process = process_of(id);
	CHECK_EQ(process.out_holder_id, scene->id);
	CHECK_GE(process.n_bytes_out, N_HELD * 100000);
	CHECK_GE(process.out_age_ns, 0);
	CHECK_EQ(process_of(scene->id).n_out, 0);
	scene_end(scene, pid);
	CHECK_OK(sea_session_set_state(rig.session, "RELEASED"));
	CHECK_EVENTUALLY(process_of(id).n_out == 0);
	process = process_of(id);
	CHECK_EQ(process.out_holder_id, 0);
	CHECK_EQ(process.out_age_ns, -1);
	CHECK_EQ(process.n_bytes_out, 0);
	sea_message_unref(unsent);
	rig_close(&rig);
}

/* Takes a message every now and then. */
static void scene_slow(void *arg)
{
	struct sea_channel_options options = { .rcvbuf = -1 };
	struct scene *scene = arg;
	struct rig rig = rig_bind(SEA_PULL, "figures", &options);
	uint64_t number;

	scene->id = sea_session_id(rig.session);
	test_step_signal(&scene->ready, 1);
	while (!scene->is_over) {
		(void)rig_receive(&rig, &number, 10 * MS);
		test_sleep_ms(20);
	}
	rig_close(&rig);
}

/* The only heap of a session as it is shown now; all zero: it is not. */
static struct sea_monitor_heap heap_of(const char *session)
{
	struct sea_monitor_options options = { .session = session };
	struct sea_monitor_snapshot *snapshot;
	struct sea_monitor_heap found = { 0 };

	CHECK_OK(sea_monitor_take(&snapshot, &options));
	CHECK_LE(snapshot->n_heaps, 1);
	if (snapshot->n_heaps)
		found = snapshot->heaps[0];
	sea_monitor_free(snapshot);
	return found;
}

TEST(room, "what room a session's heap has is shown from its start on; of a session that is not there nothing is")
{
	struct sea_monitor_options options = { .session = "room" };
	struct sea_session_options session_options = { .name = "room", .quota_n_bytes = 32u << 20 };
	struct sea_monitor_snapshot *snapshot = NULL;
	struct sea_session *session;
	struct sea_message *message;

	CHECK_ERR(sea_monitor_take(&snapshot, &options), -ENOENT);
	CHECK(!snapshot);
	CHECK_OK(sea_session_open(&session, &session_options));
	CHECK_EVENTUALLY(heap_of("room").n_bytes_quota == 32u << 20);
	CHECK_EQ(heap_of("room").n_bytes_used, 0);
	CHECK_OK(sea_message_new(&message, sea_session_heap(session), 20u << 20, 0, 0));
	CHECK_EVENTUALLY(heap_of("room").n_bytes_used >= 20u << 20);
	CHECK_LE(heap_of("room").n_bytes_largest, 12u << 20);
	sea_message_unref(message);
	CHECK_EVENTUALLY(heap_of("room").n_bytes_used == 0);
	CHECK_GE(heap_of("room").n_bytes_largest, 20u << 20);
	sea_session_close(session);
}

TEST(slow, "how long messages wait in a full queue is sampled, and shown at both ends of the link")
{
	struct sea_channel_options options = { .sndbuf = 20 };
	pid_t pid;
	struct scene *scene = scene_start(&pid, scene_slow);
	struct rig rig = rig_connect(SEA_PUSH, "figures", &options);
	uint64_t id = sea_session_id(rig.session);
	int64_t until_ns = test_now_ns() + test_patience_ns();
	struct sea_monitor_link link;

	/* 20 of them wait for 20 ms each, on an idle machine. */
	for (uint64_t i = 0; link = link_of(id), link.latency_ns < 100 * MS; i++) {
		int r = rig_send(&rig, i, 64, 50 * MS);

		CHECK(r == 0 || r == -ETIMEDOUT);
		CHECK_LT(test_now_ns(), until_ns);
	}
	CHECK_NE(link.id, 0);
	CHECK_LT(link.latency_ns, test_patience_ns());
	CHECK_EVENTUALLY(link_of(scene->id).id == link.id);
	CHECK_GE(link_of(scene->id).latency_ns, 0);
	CHECK_EQ(link_of(scene->id).n_in_max, 20);
	scene_end(scene, pid);
	rig_close(&rig);
}

TEST(stopped, "what waits for a stopped receiver is shown as waiting, and as taken when that goes on")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid, scene_slow);
	struct rig rig = rig_connect(SEA_PUSH, "figures", NULL);
	uint64_t id = sea_session_id(rig.session);
	int64_t until_ns = test_now_ns() + test_patience_ns();
	struct sea_monitor_link link;

	test_step_wait(&scene->ready);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	rig_stop(pid);
	CHECK_OK(rig_send(&rig, 0, 64, rig_patience()));
	CHECK_EVENTUALLY(link_of(id).waiting_ns >= 0);
	CHECK_EQ(link_of(id).n_out, 1);
	/* An idle sender does not look: the receiver's file is not asked either. */
	CHECK_EVENTUALLY(process_of(id).is_quiet);
	link = link_of(id);
	CHECK_GE(link.waiting_ns, 0);
	CHECK_EQ(link_of(id).waiting_ns, link.waiting_ns);
	CHECK_SYS(kill(pid, SIGCONT));
	while (link = link_of(id), link.latency_ns <= 0) {
		CHECK_OK(rig_send(&rig, 1, 64, rig_patience()));
		CHECK_LT(test_now_ns(), until_ns);
		test_sleep_ms(50);
	}
	scene_end(scene, pid);
	rig_close(&rig);
}

/* Takes all at once, until the last one. It sleeps in between, without looking at the clock: that would be doing something. */
static void scene_fast(void *arg)
{
	struct scene *scene = arg;
	struct rig rig = rig_bind(SEA_PULL, "figures", NULL);
	uint64_t number = 0;

	scene->id = sea_session_id(rig.session);
	test_step_signal(&scene->ready, 1);
	while (number != LAST)
		CHECK_OK(rig_receive(&rig, &number, rig_patience()));
	test_step_wait(&scene->go);
	rig_close(&rig);
}

TEST(rates, "rates of both ends are shown while messages flow, and become 0 when they do not; then both are quiet")
{
	pid_t pid;
	struct scene *scene = scene_start(&pid, scene_fast);
	struct rig rig = rig_connect(SEA_PUSH, "figures", NULL);
	int64_t until_ns = test_now_ns() + test_patience_ns();
	uint64_t id = sea_session_id(rig.session), n = 0;

	while (!channel_of("push").n_sent_per_s || !channel_of("pull").n_received_per_s || link_of(id).latency_ns < 0) {
		for (int i = 0; i < 20; i++, n++) {
			CHECK_OK(rig_send(&rig, n, 64, rig_patience()));
			test_sleep_ms(1);
		}
		CHECK_LT(test_now_ns(), until_ns);
	}
	/* No more per second than there were at all: it is told of half a second at least. */
	CHECK_LE(channel_of("push").n_sent_per_s, 2 * n);
	CHECK_OK(rig_send(&rig, LAST, 64, rig_patience()));
	n++;
	CHECK_EVENTUALLY(process_of(id).is_quiet && process_of(scene->id).is_quiet);
	CHECK_EQ(channel_of("push").n_sent_per_s, 0);
	CHECK_EQ(channel_of("pull").n_received_per_s, 0);
	CHECK_EQ(channel_of("push").n_sent, n);
	CHECK_EQ(channel_of("pull").n_received, n);
	scene_end(scene, pid);
	rig_close(&rig);
}

TEST(missed, "messages that a slow subscriber had no room for are shown at the publisher")
{
	struct sea_channel_options options = { .sndbuf = 4, .rcvbuf = -1 };
	struct rig rig = rig_bind(SEA_PUB, "figures", &options);
	struct sea_channel *sub;

	CHECK_OK(sea_channel_new(&sub, rig.session, SEA_SUB, &options));
	CHECK_OK(sea_channel_subscribe(sub, NULL, 0));
	CHECK_OK(sea_channel_connect(sub, "figures"));
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 64, rig_patience()));
	CHECK_OK(sea_session_set_state(rig.session, "SENT"));
	CHECK_EVENTUALLY(channel_of("pub").n_missed == 6);
	CHECK_EQ(channel_of("pub").is_zeromq, 0);
	CHECK_EQ(channel_of("sub").n_missed, 0);
	sea_channel_close(sub);
	rig_close(&rig);
}

static void scene_zeromq(void *arg)
{
	struct sea_channel_options options = { .transport = SEA_TRANSPORT_ZEROMQ };
	struct scene *scene = arg;
	struct rig rig = rig_bind(SEA_PULL, "tcp://127.0.0.1:*", &options);

	CHECK_GT(sea_channel_get_address(rig.channel, scene->address, sizeof(scene->address)), 0);
	scene->id = sea_session_id(rig.session);
	test_step_signal(&scene->ready, 1);
	rig_expect(&rig, 0, 10);
	test_step_wait(&scene->go);
	rig_close(&rig);
}

TEST(zeromq, "a channel over libzmq is shown as such with its peers, and one that only receives is not quiet meanwhile")
{
	struct sea_channel_options options = { .transport = SEA_TRANSPORT_ZEROMQ };
	struct sea_session *session;
	struct sea_channel *channel;
	struct scene *scene;
	struct rig rig;
	pid_t pid;
	int r;

	scene = scene_start(&pid, scene_zeromq);
	CHECK_OK(sea_session_open(&session, NULL));
	r = sea_channel_new(&channel, session, SEA_PUSH, &options);
	if (r == -ENOTSUP) {
		test_kill(pid);
		SKIP("there is no libzmq here");
	}
	test_step_wait(&scene->ready);
	CHECK_EQ(channel_of("pull").n_peers, 0);
	CHECK_OK(sea_channel_connect(channel, scene->address));
	CHECK_EVENTUALLY(channel_of("pull").n_peers == 1);
	CHECK_EVENTUALLY(process_of(scene->id).is_quiet);
	rig = (struct rig){ session, channel };
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 1000, rig_patience()));
	CHECK_EVENTUALLY(channel_of("pull").n_received == 10 && channel_of("push").n_sent == 10);
	CHECK_EQ(channel_of("pull").is_zeromq, 1);
	CHECK_EQ(channel_of("push").is_zeromq, 1);
	CHECK_EQ(link_of(scene->id).id, 0);
	sea_channel_close(channel);
	CHECK_EVENTUALLY(channel_of("pull").n_peers == 0);
	sea_session_close(session);
	scene_end(scene, pid);
}

/* A process that writes what it likes into its locked status file. @return the locked descriptor */
static int file_make(unsigned id, const char *text)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/default", test_runtime_dir());
	CHECK(mkdir(path, 0700) == 0 || errno == EEXIST);
	snprintf(path, sizeof(path), "%s/default/.lock", test_runtime_dir());
	close((int)CHECK_SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)));
	snprintf(path, sizeof(path), "%s/default/p-%016x.status", test_runtime_dir(), id);
	fd = (int)CHECK_SYS(open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
	CHECK_SYS(flock(fd, LOCK_EX));
	CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

TEST(older, "the file of an older version, without these figures, is shown without them")
{
	int fd = file_make(0xaa, "sealane-status 1 7\npid 1\nname old\nheartbeat_ns 5\nsession peers=1\n"
	                         "channel id=0 pattern=push peers=1 sent=5\n"
	                         "link channel=0 peer=00000000000000bb out=1 out_max=5 in=0 in_max=0\nend 7\n");
	struct sea_monitor_process process = process_of(0xaa);
	struct sea_monitor_channel channel = channel_of("push");
	struct sea_monitor_link link = link_of(0xaa);

	CHECK_EQ(process.has_status, 1);
	CHECK_EQ(process.n_out, 0);
	CHECK_EQ(process.out_age_ns, -1);
	CHECK_EQ(channel.n_sent, 5);
	CHECK_EQ(channel.n_sent_per_s, 0);
	CHECK_EQ(channel.is_zeromq, 0);
	CHECK_EQ(link.n_out, 1);
	CHECK_EQ(link.id, 0);
	CHECK_EQ(link.latency_ns, -1);
	CHECK_EQ(link.waiting_ns, -1);
	close(fd);
}

TEST(hostile,
     "figures that cannot be true are shown as not known, and a link that claims another's identity tells it nothing")
{
	int fds[2] = { file_make(0xaa,
		                 "sealane-status 1 7\npid 1\nheartbeat_ns 5\n"
		                 "flight messages=18446744073709551616 bytes=-1 oldest_ms=99999999999999999 holder=zz\n"
		                 "link channel=0 peer=00000000000000bb id=7 out_max=5 latency_ns=99999999999999999999 "
		                 "waits_since_ns=18446744073709551615\nend 7\n"),
		       file_make(0xbb, "sealane-status 1 7\npid 2\nheartbeat_ns 5\n"
		                       "link channel=0 peer=00000000000000cc id=7 in_max=5\n"
		                       "link channel=0 peer=00000000000000cc id=7 in_max=5 latency_ns=5\nend 7\n") };
	struct sea_monitor_process process = process_of(0xaa);
	struct sea_monitor_link link = link_of(0xaa);

	CHECK_EQ(process.n_out, 0);
	CHECK_EQ(process.n_bytes_out, 0);
	CHECK_EQ(process.out_age_ns, -1);
	CHECK_EQ(process.out_holder_id, 0);
	CHECK_GE(link.latency_ns, -1);
	CHECK_EQ(link.waiting_ns, -1);
	CHECK_EQ(link_of(0xbb).latency_ns, 5);
	close(fds[0]);
	close(fds[1]);
}
