/* SPDX-License-Identifier: Apache-2.0 */
/* Forked and spawned children: they have nothing of their parent's session, and outliving it they hold nobody up. */
#include <dirent.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rig.h"

extern char **environ;

enum child_kind {
	CHILD_POPEN,
	CHILD_FORK,
	CHILD_FORK_CLOSES,
	CHILD_FORK_FORK,
	CHILD_SPAWN,
	CHILD_IN_BETWEEN,
	N_CHILD_KINDS
};

struct shared {
	enum child_kind kind;
	struct test_step held, finish;
	_Atomic pid_t survivor;
	_Atomic unsigned n_good;
};

static struct shared *shared_new(void)
{
	struct shared *shared = test_shared(sizeof(*shared));

	test_step_init(&shared->held);
	test_step_init(&shared->finish);
	return shared;
}

static void shared_free(struct shared *shared)
{
	test_step_fini(&shared->held);
	test_step_fini(&shared->finish);
}

static void sleep_for_ever(struct shared *shared)
{
	shared->survivor = getpid();
	for (;;)
		pause();
}

static void start_survivor(struct shared *shared, struct rig *rig)
{
	char *spawn_arguments[] = { "sleep", "1000", NULL };
	pid_t pid;
	int printed;

	switch (shared->kind) {
	case CHILD_POPEN: {
		FILE *file = popen("echo $$; exec sleep 1000", "re");

		CHECK(file && fscanf(file, "%d", &printed) == 1);
		shared->survivor = printed;
		break;
	}
	case CHILD_SPAWN:
		CHECK_EQ(posix_spawnp(&pid, "sleep", NULL, NULL, spawn_arguments, environ), 0);
		shared->survivor = pid;
		break;
	case CHILD_IN_BETWEEN:
		/* As one is before it has run, or before it becomes another program: no handler has closed anything. */
		if (CHECK_SYS(syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL)) == 0) {
			shared->survivor = (pid_t)syscall(SYS_getpid);
			for (;;)
				syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
		}
		CHECK_EVENTUALLY(shared->survivor);
		break;
	default:
		if (CHECK_SYS(fork()) == 0) {
			if (shared->kind == CHILD_FORK_CLOSES)
				rig_close(rig);
			if (shared->kind == CHILD_FORK_FORK && CHECK_SYS(fork()) > 0)
				_exit(0);
			sleep_for_ever(shared);
		}
		CHECK_EVENTUALLY(shared->survivor);
	}
}

/* Holds ten messages, has a child, and waits to be killed. */
static void parent_main(void *arg)
{
	struct shared *shared = arg;
	struct rig rig = rig_bind(SEA_PULL, "parent", NULL);
	struct sea_message *messages[10];

	for (unsigned i = 0; i < 10; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
	start_survivor(shared, &rig);
	test_step_signal(&shared->held, 1);
	for (;;)
		pause();
}

static void successor_main(void *arg)
{
	struct shared *shared = arg;
	struct rig rig = rig_bind(SEA_PULL, "parent", NULL);

	rig_expect(&rig, 10, 20);
	test_step_signal(&shared->finish, 1);
	rig_close(&rig);
}

static void check_survivor(enum child_kind kind)
{
	struct shared *shared = shared_new();
	pid_t parent, successor;
	struct rig rig;

	shared->kind = kind;
	parent = test_fork(parent_main, shared);
	rig = rig_connect(SEA_PUSH, "parent", NULL);
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 100000, rig_patience()));
	test_step_wait(&shared->held);
	CHECK_GT(rig_n_bytes_used(&rig), 0);
	CHECK_EQ(test_kill(parent), -SIGKILL);
	CHECK_EQ(kill(shared->survivor, 0), 0);
	CHECK_EVENTUALLY(rig_n_deaths(&rig) == 1);
	CHECK_EQ(rig_n_bytes_used(&rig), 0);
	/* Another takes the address while the child lives. */
	successor = test_fork(successor_main, shared);
	for (uint64_t i = 10; i < 20; i++)
		CHECK_OK(rig_send(&rig, i, 1000, rig_patience()));
	test_step_wait(&shared->finish);
	CHECK_EQ(test_wait(successor), 0);
	CHECK_EQ(kill(shared->survivor, SIGKILL), 0);
	rig_close(&rig);
	shared_free(shared);
}

TEST(survivor_popen, "a program started by popen() that outlives its killed parent hides nothing of the parent's death")
{
	check_survivor(CHILD_POPEN);
}

TEST(survivor_spawn, "a program started by posix_spawn() that outlives its killed parent hides nothing of its death")
{
	check_survivor(CHILD_SPAWN);
}

TEST(survivor_fork, "a forked child that outlives its killed parent hides nothing of the parent's death")
{
	check_survivor(CHILD_FORK);
}

TEST(survivor_fork_closes,
     "a forked child that closes its parent's session does not end it; outliving it, it hides nothing")
{
	check_survivor(CHILD_FORK_CLOSES);
}

TEST(survivor_in_between,
     "a child that still has every descriptor of its killed parent hides nothing of the death, and the address can be bound")
{
	check_survivor(CHILD_IN_BETWEEN);
}

TEST(survivor_grandchild, "a child of a forked child that outlives both hides nothing of the death")
{
	check_survivor(CHILD_FORK_FORK);
}

static void echo_main(void *arg)
{
	struct shared *shared = arg;
	struct rig rig = rig_bind(SEA_PAIR, "echo", NULL);
	struct sea_message *message;
	int r;

	while ((r = sea_channel_receive(rig.channel, &message, 10000000)) == 0 || r == -ETIMEDOUT) {
		struct sea_channel_stats stats;

		if (r == 0)
			CHECK_OK(sea_channel_send(rig.channel, &message, rig_patience()));
		CHECK_OK(sea_channel_get_stats(rig.channel, &stats));
		if (r != 0 && stats.n_received && stats.n_links == 0)
			break;
	}
	(void)shared;
	rig_close(&rig);
}

static void check_echo(struct rig *rig, uint64_t first, uint64_t end)
{
	for (uint64_t i = first; i < end; i++) {
		CHECK_OK(rig_send(rig, i, 2000, rig_patience()));
		rig_expect(rig, i, i + 1);
	}
}

/* What of one process the next can have in hand when it forks. */
struct inherited {
	struct rig rig;
	struct sea_heap *heap;
	struct sea_message *own, *received, *many[2];
	struct sea_frame *frame;
};

static void check_child_calls(struct inherited *inherited)
{
	struct sea_session *session = inherited->rig.session;
	struct sea_channel *channel = inherited->rig.channel, *other_channel;
	struct sea_session_stats session_stats;
	struct sea_channel_stats channel_stats;
	struct sea_heap_stats heap_stats;
	struct sea_heap *other_heap;
	struct sea_message *message = NULL;
	struct sea_frame *frame;
	struct sea_frame_options frame_options = { .n_bytes_max = { 1000 } };
	uint64_t cookie;

	CHECK_ERR(sea_session_get_stats(session, &session_stats), -EPERM);
	CHECK_ERR(sea_session_done_fd(session), -EPERM);
	CHECK_ERR(sea_session_take_done(session, &cookie, 1), -EPERM);
	CHECK_ERR(sea_session_on_done(session, NULL, NULL), -EPERM);
	CHECK_ERR(sea_heap_new(&other_heap, session, NULL), -EPERM);
	CHECK_ERR(sea_heap_get_stats(inherited->heap, &heap_stats), -EPERM);
	CHECK_ERR(sea_heap_trim(inherited->heap, 0), -EPERM);
	CHECK_ERR(sea_message_new(&message, inherited->heap, 1000, 0, -1), -EPERM);
	CHECK_ERR(sea_message_new(&message, inherited->heap, 8, 0, -1), -EPERM);
	CHECK_ERR(sea_message_new_many(inherited->many, 2, inherited->heap, 1000, 0, -1), -EPERM);
	CHECK_ERR(sea_frame_new(&frame, inherited->heap, &frame_options, -1), -EPERM);
	CHECK_ERR(sea_frame_seal(&inherited->frame, &message), -EPERM);
	CHECK_ERR(sea_channel_new(&other_channel, session, SEA_PULL, NULL), -EPERM);
	CHECK_ERR(sea_channel_bind(channel, "child"), -EPERM);
	CHECK_ERR(sea_channel_connect(channel, "child"), -EPERM);
	CHECK_ERR(sea_channel_wait_peers(channel, 1, -1), -EPERM);
	CHECK_ERR(sea_channel_send(channel, &inherited->own, -1), -EPERM);
	CHECK(inherited->own);
	CHECK_ERR(sea_channel_send_many(channel, &inherited->own, 1, -1), -EPERM);
	CHECK_ERR(sea_channel_send_each(channel, &inherited->own, NULL), -EPERM);
	CHECK_ERR(sea_channel_receive(channel, &message, -1), -EPERM);
	CHECK_ERR(sea_channel_receive_many(channel, &message, 1, -1), -EPERM);
	CHECK_ERR(sea_channel_fd(channel), -EPERM);
	CHECK_ERR(sea_channel_take_orphan(channel, &message), -EPERM);
	CHECK_ERR(sea_channel_flush(channel, -1), -EPERM);
	CHECK_ERR(sea_channel_get_stats(channel, &channel_stats), -EPERM);
	sea_channel_interrupt(channel);
	CHECK_EQ(sea_message_size(inherited->own), 2000);
	CHECK_EQ(sea_message_n_parts(inherited->received), 1);
	/* What returns no error is harmless. */
	sea_message_ref(inherited->own);
	CHECK(!sea_message_unref(inherited->own));
	CHECK(!sea_message_unref(inherited->own));
	CHECK(!sea_message_unref(inherited->received));
	CHECK(!sea_frame_free(inherited->frame));
	CHECK(!sea_channel_close(channel));
	CHECK(!sea_heap_free(inherited->heap));
	CHECK(!sea_session_close(session));
}

TEST(child_calls, "every call of a forked child on its parent's objects is -EPERM or harmless, and the parent goes on")
{
	struct shared *shared = shared_new();
	struct sea_frame_options frame_options = { .n_bytes_max = { 100000 } };
	pid_t echo = test_fork(echo_main, shared), child;
	struct inherited inherited = { .rig = rig_connect(SEA_PAIR, "echo", NULL) };
	struct rig *rig = &inherited.rig;
	void *data;

	CHECK_OK(sea_heap_new(&inherited.heap, rig->session, NULL));
	inherited.own = rig_message_of(inherited.heap, 4711, 2000);
	CHECK_OK(sea_frame_new(&inherited.frame, inherited.heap, &frame_options, 0));
	CHECK_OK(sea_frame_add(inherited.frame, 500, 0, &data));
	check_echo(rig, 0, 10);
	CHECK_OK(rig_send(rig, 10, 2000, rig_patience()));
	CHECK_OK(sea_channel_receive(rig->channel, &inherited.received, rig_patience()));
	child = (pid_t)CHECK_SYS(fork());
	if (child == 0) {
		check_child_calls(&inherited);
		_exit(0);
	}
	CHECK_EQ(test_wait(child), 0);
	check_echo(rig, 11, 20);
	CHECK_EQ(rig_number_of(inherited.own), 4711);
	CHECK_EQ(rig_number_of(inherited.received), 10);
	CHECK_OK(sea_frame_add(inherited.frame, 500, 0, &data));
	memset(data, 1, 500);
	sea_frame_free(inherited.frame);
	sea_message_unref(inherited.received);
	sea_message_unref(inherited.own);
	rig_close(rig);
	CHECK_EQ(test_wait(echo), 0);
	shared_free(shared);
}

TEST(child_session, "a forked child opens a session of its own and exchanges messages with its parent")
{
	struct sea_session_stats stats;
	struct rig rig = rig_bind(SEA_PULL, "family", NULL);
	pid_t child = (pid_t)CHECK_SYS(fork());

	if (child == 0) {
		struct rig own = rig_connect(SEA_PUSH, "family", NULL);

		CHECK_NE(sea_session_id(own.session), sea_session_id(rig.session));
		for (uint64_t i = 0; i < 100; i++)
			CHECK_OK(rig_send(&own, i, 3000, rig_patience()));
		CHECK_OK(sea_channel_flush(own.channel, rig_patience()));
		rig_close(&own);
		_exit(0);
	}
	rig_expect(&rig, 0, 100);
	CHECK_EQ(test_wait(child), 0);
	CHECK_OK(sea_session_get_stats(rig.session, &stats));
	CHECK_EQ(stats.n_refused, 0);
	rig_close(&rig);
}

struct busy {
	struct rig rig;
	_Atomic bool stop;
	uint64_t n;
};

static void *busy_main(void *arg)
{
	struct busy *busy = arg;

	while (!busy->stop) {
		check_echo(&busy->rig, busy->n, busy->n + 1);
		busy->n++;
	}
	return NULL;
}

TEST_TIMEOUT(fork_while_busy, "children forked while other threads are in calls can release, close, and open sessions",
             60)
{
#ifdef __SANITIZE_ADDRESS__
	SKIP("a child of gcc 12's AddressSanitizer may find the locks of its allocator taken by a thread it has not got");
#endif
	struct shared *shared = shared_new();
	pid_t echo = test_fork(echo_main, shared);
	struct busy busy = { .rig = rig_connect(SEA_PAIR, "echo", NULL) };
	struct sea_message *kept = rig_message_of(sea_session_heap(busy.rig.session), 4711, 5000);
	struct sea_session_options options = { .name = "family" };
	pthread_t thread;

	CHECK_EQ(pthread_create(&thread, NULL, busy_main, &busy), 0);
	for (int i = 0; i < (test_is_sanitized() ? 5 : 60); i++) {
		pid_t child = (pid_t)CHECK_SYS(fork());

		if (child == 0) {
			struct sea_session *session;

			alarm(20);
			sea_message_unref(kept);
			sea_channel_close(busy.rig.channel);
			sea_session_close(busy.rig.session);
			CHECK_OK(sea_session_open(&session, &options));
			kept = rig_message_of(sea_session_heap(session), 1, 5000);
			sea_message_unref(kept);
			sea_session_close(session);
			_exit(0);
		}
		CHECK_EQ(test_wait(child), 0);
	}
	busy.stop = true;
	pthread_join(thread, NULL);
	CHECK_GT(busy.n, 0);
	CHECK_EQ(rig_number_of(kept), 4711);
	sea_message_unref(kept);
	rig_close(&busy.rig);
	CHECK_EQ(test_wait(echo), 0);
	shared_free(shared);
}

/* Descriptors of this process besides those of before. */
static unsigned n_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned n = 0;

	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static unsigned n_memfd_mappings(void)
{
	char line[1024];
	unsigned n = 0;
	FILE *file = fopen("/proc/self/maps", "re");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		n += strstr(line, "/memfd:sealane") != NULL;
	fclose(file);
	return n;
}

TEST(child_has_nothing,
     "a forked child has no descriptor and no mapping of its parent's session, and neither has a program")
{
	struct shared *shared = shared_new();
	pid_t echo = test_fork(echo_main, shared), child;
	unsigned n_before = n_fds(), n_inherited = 0;
	struct rig rig = rig_connect(SEA_PAIR, "echo", NULL);
	char name[256];
	FILE *file;

	check_echo(&rig, 0, 10);
	CHECK_GT(n_fds(), n_before + 5);
	CHECK_GT(n_memfd_mappings(), 2);
	child = (pid_t)CHECK_SYS(fork());
	if (child == 0) {
		CHECK_EQ(n_fds(), n_before);
		CHECK_EQ(n_memfd_mappings(), 0);
		_exit(0);
	}
	CHECK_EQ(test_wait(child), 0);
	file = popen("ls -l /proc/self/fd", "re");
	CHECK(file);
	while (fgets(name, sizeof(name), file))
		n_inherited += strstr(name, "memfd:") || strstr(name, "socket:") || strstr(name, test_runtime_dir());
	CHECK_EQ(pclose(file), 0);
	CHECK_EQ(n_inherited, 0);
	rig_close(&rig);
	CHECK_EQ(test_wait(echo), 0);
	shared_free(shared);
}
