/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptors, maps, memory and the runtime directory run out in the middle: the call says so, nothing is lost, and when
 * there is something again the same call goes on.
 */
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

#define N_HOARD_MAX 512

/* Takes all descriptors that this process may have but a few. */
struct hoard {
	int fds[N_HOARD_MAX];
	unsigned n;
};

static void hoard_take(struct hoard *hoard, unsigned n_left)
{
	struct rlimit limit;
	int fd;

	CHECK_SYS(getrlimit(RLIMIT_NOFILE, &limit));
	/* The hard limit as well: opening a session raises the soft one. */
	limit.rlim_cur = limit.rlim_max = 400;
	CHECK_SYS(setrlimit(RLIMIT_NOFILE, &limit));
	hoard->n = 0;
	while ((fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		hoard->fds[hoard->n++] = fd;
	CHECK_EQ(errno, EMFILE);
	CHECK_GE(hoard->n, n_left);
	while (n_left--)
		close(hoard->fds[--hoard->n]);
}

static void hoard_give_back(struct hoard *hoard)
{
	while (hoard->n)
		close(hoard->fds[--hoard->n]);
}

/* As little address space as there is in use now, and some more. */
static struct rlimit space_take(uint64_t n_bytes_left)
{
	struct rlimit before, limit;
	unsigned long long n_pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");

	CHECK(file && fscanf(file, "%llu", &n_pages) == 1);
	fclose(file);
	CHECK_SYS(getrlimit(RLIMIT_AS, &before));
	limit = before;
	limit.rlim_cur = n_pages * (uint64_t)sysconf(_SC_PAGESIZE) + n_bytes_left;
	CHECK_SYS(setrlimit(RLIMIT_AS, &limit));
	return before;
}

static void space_give_back(const struct rlimit *before)
{
	CHECK_SYS(setrlimit(RLIMIT_AS, before));
}

struct shared {
	struct test_step ready, go, finish;
	unsigned n_left;
	uint64_t n_bytes_left;
	_Atomic bool is_over;
};

static struct shared *shared_new(void)
{
	struct shared *shared = test_shared(sizeof(*shared));

	test_step_init(&shared->ready);
	test_step_init(&shared->go);
	test_step_init(&shared->finish);
	return shared;
}

static void shared_free(struct shared *shared)
{
	test_step_fini(&shared->ready);
	test_step_fini(&shared->go);
	test_step_fini(&shared->finish);
}

#define N_ARENAS 12

/* One message from each of many heaps: each brings its receiver a descriptor and a map. */
static void arenas_sender(void *arg)
{
	struct shared *shared = arg;
	struct sea_heap_options options = { .quota_n_bytes = 8u << 20, .arena_n_bytes = 2u << 20 };
	struct rig rig = rig_connect(SEA_PUSH, "arenas", NULL);
	struct sea_heap_stats stats;
	struct sea_heap *heaps[N_ARENAS];

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	test_step_wait(&shared->go);
	for (uint64_t i = 0; i < 2 * N_ARENAS; i++) {
		struct sea_message *message;

		if (i < N_ARENAS)
			CHECK_OK(sea_heap_new(&heaps[i], rig.session, &options));
		message = rig_message_of(heaps[i % N_ARENAS], i, 5000);
		CHECK_OK(sea_channel_send(rig.channel, &message, rig_patience()));
	}
	test_step_signal(&shared->ready, 1);
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	for (unsigned i = 0; i < N_ARENAS; i++) {
		CHECK_OK(sea_heap_get_stats(heaps[i], &stats));
		CHECK_EQ(stats.n_blocks_used, 0);
	}
	test_step_wait(&shared->finish);
	rig_close(&rig);
}

/* Receives as far as it goes; an error that the caller can act on. */
static uint64_t receive_until_error(struct rig *rig, uint64_t first, int error)
{
	uint64_t number = 0;
	int r;

	while ((r = rig_receive(rig, &number, rig_patience())) == 0)
		CHECK_EQ(number, first++);
	CHECK_EQ(r, error);
	return first;
}

/* The same call goes on: now, or as soon as what did not find room has come again. */
static void receive_rest(struct rig *rig, uint64_t first, uint64_t end, int error)
{
	int64_t until_ns = test_now_ns() + rig_patience();
	uint64_t number = 0;

	while (first < end) {
		int r = rig_receive(rig, &number, rig_patience());

		CHECK_LT(test_now_ns(), until_ns);
		if (r == error) {
			test_sleep_ms(1);
			continue;
		}
		CHECK_OK(r);
		CHECK_EQ(number, first++);
	}
}

TEST(receiver_fds, "a receiver without descriptors gets -EMFILE, again and again; with some, all messages in order")
{
	struct shared *shared = shared_new();
	pid_t pid = test_fork(arenas_sender, shared);
	struct rig rig = rig_bind(SEA_PULL, "arenas", NULL);
	struct hoard hoard;
	uint64_t n;

	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	hoard_take(&hoard, 3);
	test_step_signal(&shared->go, 1);
	test_step_wait(&shared->ready);
	n = receive_until_error(&rig, 0, -EMFILE);
	CHECK_LT(n, N_ARENAS);
	for (int i = 0; i < 100; i++) {
		uint64_t number = 0;

		CHECK_ERR(rig_receive(&rig, &number, i % 2 ? 0 : rig_patience()), -EMFILE);
	}
	hoard_give_back(&hoard);
	receive_rest(&rig, n, 2 * N_ARENAS, -EMFILE);
	test_step_signal(&shared->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}

TEST(receiver_maps, "a receiver without address space gets -ENOMEM; with some, all messages in order")
{
	struct shared *shared = shared_new();
	struct rlimit before;
	struct rig rig;
	uint64_t n;
	pid_t pid;

	if (test_is_sanitized())
		SKIP("sanitizers need address space themselves");
	pid = test_fork(arenas_sender, shared);
	rig = rig_bind(SEA_PULL, "arenas", NULL);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	before = space_take(20u << 20);
	test_step_signal(&shared->go, 1);
	test_step_wait(&shared->ready);
	n = receive_until_error(&rig, 0, -ENOMEM);
	CHECK_LT(n, N_ARENAS);
	space_give_back(&before);
	receive_rest(&rig, n, 2 * N_ARENAS, -ENOMEM);
	test_step_signal(&shared->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}

static void plain_receiver(void *arg)
{
	struct shared *shared = arg;
	struct rig rig = rig_bind(SEA_PULL, "sender", NULL);

	rig_expect(&rig, 0, 20);
	test_step_wait(&shared->finish);
	rig_close(&rig);
}

TEST(sender_fds, "a sender without descriptors gets -EMFILE for what needs one, and sends what it has")
{
	struct shared *shared = shared_new();
	struct sea_frame_options frame_options = { .n_bytes_max = { 10000 }, .flags = SEA_FRAME_IMMUTABLE };
	struct sea_session_options session_options = { .name = "other" };
	pid_t pid = test_fork(plain_receiver, shared);
	struct rig rig = rig_connect(SEA_PUSH, "sender", NULL);
	struct sea_session *session;
	struct sea_channel *channel;
	struct sea_message *message;
	struct sea_frame *frame;
	struct sea_heap *heap;
	struct hoard hoard;
	int r;

	CHECK_OK(sea_heap_new(&heap, rig.session, NULL));
	CHECK_OK(rig_send(&rig, 0, 5000, rig_patience()));
	for (unsigned n_left = 0; n_left < 3; n_left++) {
		hoard_take(&hoard, n_left);
		for (int i = 0; i < 3; i++) {
			r = sea_message_new(&message, heap, 5000, 0, rig_patience());
			if (r == 0) {
				CHECK_GT(n_left, 1);
				sea_message_unref(message);
			} else {
				CHECK_EQ(r, -EMFILE);
			}
			r = sea_frame_new(&frame, heap, &frame_options, rig_patience());
			if (r == 0)
				sea_frame_free(frame);
			else
				CHECK_EQ(r, -EMFILE);
			if (n_left < 2)
				CHECK_ERR(sea_channel_new(&channel, rig.session, SEA_PULL, NULL), -EMFILE);
			CHECK_ERR(sea_session_open(&session, &session_options), -EMFILE);
		}
		hoard_give_back(&hoard);
	}
	for (uint64_t i = 1; i < 20; i++) {
		hoard_take(&hoard, 0);
		r = rig_send(&rig, i, 5000, rig_patience());
		hoard_give_back(&hoard);
		CHECK_OK(r);
	}
	message = rig_message_of(heap, 0, 5000);
	sea_message_unref(message);
	test_step_signal(&shared->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}

TEST(sender_maps, "a sender without address space gets -ENOMEM; with some, the same call succeeds")
{
	struct sea_message *message;
	struct rlimit before;
	struct rig rig;

	if (test_is_sanitized())
		SKIP("sanitizers need address space themselves");
	rig = rig_open(SEA_PUSH, NULL);
	before = space_take(1u << 20);
	for (int i = 0; i < 3; i++)
		CHECK_ERR(sea_message_new(&message, sea_session_heap(rig.session), 8u << 20, 0, rig_patience()),
		          -ENOMEM);
	space_give_back(&before);
	message = rig_message_of(sea_session_heap(rig.session), 0, 8u << 20);
	sea_message_unref(message);
	CHECK_EQ(rig_n_bytes_used(&rig), 0);
	rig_close(&rig);
}

static void starved_peer(void *arg)
{
	struct shared *shared = arg;
	struct rig rig;

	test_step_wait(&shared->go);
	rig = rig_connect(SEA_PUSH, "starved", NULL);
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 3000, 3 * rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	test_step_signal(&shared->ready, 1);
	rig_close(&rig);
}

TEST_TIMEOUT(accept_fds,
             "a bound process without descriptors in the middle of being connected is connected when it has some", 60)
{
	struct shared *shared = shared_new();
	struct rig rig = rig_bind(SEA_PULL, "starved", NULL);
	struct hoard hoard;

	/* At each step of accept, hello and link another call is the one that fails. */
	for (unsigned n_left = 0; n_left < 10; n_left++) {
		pid_t pid;

		pid = test_fork(starved_peer, shared);
		hoard_take(&hoard, n_left);
		test_step_signal(&shared->go, 1);
		test_sleep_ms(30);
		hoard_give_back(&hoard);
		rig_expect(&rig, 0, 10);
		test_step_wait(&shared->ready);
		CHECK_EQ(test_wait(pid), 0);
	}
	rig_close(&rig);
	shared_free(shared);
}

static void starving_connector(void *arg)
{
	struct shared *shared = arg;
	struct rig rig = rig_open(SEA_PUSH, NULL);
	struct hoard hoard;

	hoard_take(&hoard, shared->n_left);
	CHECK_OK(sea_channel_connect(rig.channel, "starving"));
	test_sleep_ms(30);
	hoard_give_back(&hoard);
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 3000, 3 * rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	rig_close(&rig);
}

TEST_TIMEOUT(connect_fds, "a connecting process without descriptors in the middle of it is connected when it has some",
             60)
{
	struct shared *shared = shared_new();
	struct rig rig = rig_bind(SEA_PULL, "starving", NULL);

	for (unsigned n_left = 0; n_left < 10; n_left++) {
		pid_t pid;

		shared->n_left = n_left;
		pid = test_fork(starving_connector, shared);
		rig_expect(&rig, 0, 10);
		CHECK_EQ(test_wait(pid), 0);
	}
	rig_close(&rig);
	shared_free(shared);
}

TEST(neighbours,
     "a process without descriptors goes on with the peers that it has, and does not spin over those that knock")
{
	struct shared *shared = shared_new();
	struct rig rig = rig_bind(SEA_PULL, "arenas", NULL), other = { .session = rig.session };
	pid_t old = test_fork(arenas_sender, shared), new;
	struct rusage before, after;
	struct hoard hoard;

	CHECK_OK(sea_channel_new(&other.channel, rig.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_bind(other.channel, "starved"));
	test_step_signal(&shared->go, 1);
	rig_expect(&rig, 0, N_ARENAS);
	new = test_fork(starved_peer, shared);
	hoard_take(&hoard, 0);
	test_step_signal(&shared->go, 1);
	CHECK_SYS(getrusage(RUSAGE_SELF, &before));
	test_sleep_ms(200);
	CHECK_SYS(getrusage(RUSAGE_SELF, &after));
	rig_expect(&rig, N_ARENAS, 2 * N_ARENAS);
	/* Who spins is put off by the scheduler or not; who looks now and then sleeps in between: some dozens of times here. */
	CHECK_LT(after.ru_nvcsw - before.ru_nvcsw, 1000);
	CHECK_LT((after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 + after.ru_stime.tv_usec -
	                 before.ru_stime.tv_usec,
	         150000);
	hoard_give_back(&hoard);
	rig_expect(&other, 0, 10);
	test_step_signal(&shared->finish, 1);
	CHECK_EQ(test_wait(new), 0);
	CHECK_EQ(test_wait(old), 0);
	sea_channel_close(other.channel);
	rig_close(&rig);
	shared_free(shared);
}

static void *release_later(void *arg)
{
	struct sea_message **message = arg;

	test_sleep_ms(20);
	*message = sea_message_unref(*message);
	return NULL;
}

static void holder_main(void *arg)
{
	struct shared *shared = arg;
	struct rig rig = rig_bind(SEA_PULL, "quota", NULL);
	struct sea_message *messages[8];

	for (unsigned i = 0; i < 3; i++)
		CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
	test_step_signal(&shared->ready, 1);
	for (unsigned i = 0; i < 3; i++) {
		test_step_wait(&shared->go);
		test_sleep_ms(20);
		sea_message_unref(messages[i]);
	}
	test_step_wait(&shared->finish);
	rig_close(&rig);
}

TEST(quota,
     "a heap at its quota: -ENOMEM at once, -ETIMEDOUT later, woken by a release here or there, -E2BIG for too much")
{
	struct shared *shared = shared_new();
	/* Room for a few blocks of 5 MiB and not for more. */
	struct sea_heap_options options = { .quota_n_bytes = 20u << 20, .arena_n_bytes = 2u << 20 };
	pid_t pid = test_fork(holder_main, shared);
	struct rig rig = rig_connect(SEA_PUSH, "quota", NULL);
	struct sea_message *messages[8] = { 0 }, *more;
	struct sea_heap_stats stats;
	struct sea_heap *heap;
	pthread_t thread;
	unsigned n = 0;
	int r;

	CHECK_OK(sea_heap_new(&heap, rig.session, &options));
	while (n < 8 && (r = sea_message_new(&messages[n], heap, 5u << 20, 0, 0)) == 0)
		n++;
	CHECK_EQ(n, 3);
	CHECK_EQ(r, -ENOMEM);
	CHECK_ERR(sea_message_new(&more, heap, 5u << 20, 0, 5000000), -ETIMEDOUT);
	CHECK_ERR(sea_message_new(&more, heap, 21u << 20, 0, 0), -E2BIG);
	CHECK_ERR(sea_message_new(&more, heap, 21u << 20, 0, -1), -E2BIG);
	CHECK_ERR(sea_message_new(&more, heap, SIZE_MAX / 2, 0, -1), -E2BIG);
	CHECK_ERR(sea_message_new(&more, heap, SIZE_MAX, 0, -1), -E2BIG);
	/* Woken by a thread. */
	CHECK_EQ(pthread_create(&thread, NULL, release_later, &messages[2]), 0);
	CHECK_OK(sea_message_new(&more, heap, 5u << 20, 0, rig_patience()));
	CHECK_EQ(pthread_join(thread, NULL), 0);
	messages[2] = more;
	/* And by another process. */
	for (unsigned i = 0; i < 3; i++)
		CHECK_OK(sea_channel_send(rig.channel, &messages[i], rig_patience()));
	test_step_wait(&shared->ready);
	CHECK_ERR(sea_message_new(&more, heap, 5u << 20, 0, 0), -ENOMEM);
	for (unsigned i = 0; i < 3; i++) {
		test_step_signal(&shared->go, 1);
		CHECK_OK(sea_message_new(&messages[i], heap, 5u << 20, 0, -1));
	}
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_LE(stats.n_bytes_backed, stats.quota_n_bytes);
	CHECK_GE(stats.n_waits, 5);
	sea_message_unref_many(messages, 3);
	CHECK_OK(sea_heap_get_stats(heap, &stats));
	CHECK_EQ(stats.n_bytes_used, 0);
	test_step_signal(&shared->finish, 1);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	shared_free(shared);
}

TEST(quota_death, "who waits for memory that a peer holds is woken by the peer's death")
{
	struct shared *shared = shared_new();
	struct sea_heap_options options = { .quota_n_bytes = 20u << 20, .arena_n_bytes = 2u << 20 };
	pid_t pid = test_fork(holder_main, shared), killer;
	struct rig rig = rig_connect(SEA_PUSH, "quota", NULL);
	struct sea_message *messages[3];
	struct sea_heap *heap;

	CHECK_OK(sea_heap_new(&heap, rig.session, &options));
	for (unsigned i = 0; i < 3; i++) {
		messages[i] = rig_message_of(heap, i, 5u << 20);
		CHECK_OK(sea_channel_send(rig.channel, &messages[i], rig_patience()));
	}
	test_step_wait(&shared->ready);
	killer = (pid_t)CHECK_SYS(fork());
	if (killer == 0) {
		test_sleep_ms(20);
		kill(pid, SIGKILL);
		_exit(0);
	}
	CHECK_OK(sea_message_new(&messages[0], heap, 5u << 20, 0, -1));
	sea_message_unref(messages[0]);
	CHECK_EQ(test_wait(pid), -SIGKILL);
	CHECK_EQ(test_wait(killer), 0);
	rig_close(&rig);
	shared_free(shared);
}

/* A file system of a few pages and names over a new directory, in a mount namespace of this test's own. */
static void mount_small(const char *path, const char *options)
{
	CHECK_SYS(unshare(CLONE_NEWNS));
	CHECK_SYS(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK_SYS(mkdir(path, 0700));
	CHECK_SYS(mount("none", path, "tmpfs", 0, options));
	CHECK_SYS(chmod(path, 0700));
}

static unsigned fill_names(const char *path)
{
	char name[400];
	unsigned n = 0;
	int fd;

	for (;; n++) {
		snprintf(name, sizeof(name), "%s/fill%u", path, n);
		fd = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0)
			break;
		close(fd);
	}
	CHECK_EQ(errno, ENOSPC);
	return n;
}

static void unfill_names(const char *path, unsigned n, unsigned n_keep)
{
	char name[400];

	while (n > n_keep) {
		snprintf(name, sizeof(name), "%s/fill%u", path, --n);
		CHECK_SYS(unlink(name));
	}
}

TEST(directory_full,
     "a runtime directory without room is -ENOSPC for opening and binding, leaves nothing, and works with room")
{
	char path[300];
	struct sea_session_options options = { .runtime_dir = path };
	struct sea_session *session;
	struct rig rig, other;
	unsigned n, n_opened = 0;
	char name[400];
	int r;

	if (geteuid() != 0)
		SKIP("only root can mount a small file system");
	snprintf(path, sizeof(path), "%s/small", test_runtime_dir());
	mount_small(path, "size=64k,nr_inodes=16");
	/* With so many names left; each step of opening meets the end once. */
	n = fill_names(path);
	for (unsigned n_left = 0; n_left < 8; n_left++) {
		unfill_names(path, n, n - n_left);
		r = sea_session_open(&session, &options);
		if (r == 0) {
			n_opened++;
			sea_session_close(session);
		} else {
			CHECK_EQ(r, -ENOSPC);
			CHECK_EQ(n_opened, 0);
		}
		snprintf(name, sizeof(name), "%s/default/.lock", path);
		unlink(name);
		snprintf(name, sizeof(name), "%s/default", path);
		if (rmdir(name) < 0)
			CHECK_EQ(errno, ENOENT);
		unfill_names(path, n - n_left, 0);
		CHECK_EQ(fill_names(path), n); /* nothing was left */
	}
	CHECK_GT(n_opened, 0);
	unfill_names(path, n, 0);

	CHECK_OK(sea_session_open(&rig.session, &options));
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PULL, NULL));
	CHECK_OK(sea_session_open(&other.session, &options));
	CHECK_OK(sea_channel_new(&other.channel, other.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(other.channel, "address"));
	n = fill_names(path);
	CHECK_ERR(sea_channel_bind(rig.channel, "address"), -ENOSPC);
	CHECK_ERR(sea_channel_bind(rig.channel, "address"), -ENOSPC);
	unfill_names(path, n, n - 1);
	CHECK_OK(sea_channel_bind(rig.channel, "address"));
	/* Full again: those who have met need no room. */
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&other, i, 5000, rig_patience()));
	rig_expect(&rig, 0, 10);
	rig_close(&other);
	rig_close(&rig);
	unfill_names(path, n - 1, 0);
	CHECK_SYS(umount2(path, MNT_DETACH));
}

TEST(directory_pages, "a runtime directory with names but without pages left is -ENOSPC, and works when there are some")
{
	char path[300], name[400], page[4096] = { 1 };
	struct sea_session_options options = { .runtime_dir = path };
	struct sea_session *session;
	int fd;

	if (geteuid() != 0)
		SKIP("only root can mount a small file system");
	snprintf(path, sizeof(path), "%s/small", test_runtime_dir());
	mount_small(path, "size=16k");
	snprintf(name, sizeof(name), "%s/fill", path);
	fd = (int)CHECK_SYS(open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	while (write(fd, page, sizeof(page)) == sizeof(page))
		;
	CHECK_EQ(errno, ENOSPC);
	CHECK_ERR(sea_session_open(&session, &options), -ENOSPC);
	CHECK_SYS(ftruncate(fd, 0));
	CHECK_OK(sea_session_open(&session, &options));
	sea_session_close(session);
	close(fd);
	CHECK_SYS(umount2(path, MNT_DETACH));
}

TEST(directory_read_only,
     "a runtime directory that became read-only: -EROFS for opening and binding; who has met goes on")
{
	char path[300];
	struct sea_session_options options = { .runtime_dir = path };
	struct sea_session *session;
	struct rig rig, other;

	if (geteuid() != 0)
		SKIP("only root can mount a file system read-only");
	snprintf(path, sizeof(path), "%s/small", test_runtime_dir());
	mount_small(path, "size=64k");
	CHECK_SYS(mount("none", path, NULL, MS_REMOUNT | MS_RDONLY, NULL));
	CHECK_ERR(sea_session_open(&session, &options), -EROFS);
	CHECK_SYS(mount("none", path, NULL, MS_REMOUNT, NULL));
	CHECK_OK(sea_session_open(&rig.session, &options));
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_bind(rig.channel, "address"));
	CHECK_OK(sea_session_open(&other.session, &options));
	CHECK_OK(sea_channel_new(&other.channel, other.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(other.channel, "address"));
	CHECK_OK(sea_channel_wait_peers(other.channel, 1, rig_patience()));
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&other, i, 5000, rig_patience()));
	rig_expect(&rig, 0, 10);
	rig_close(&other);
	rig_close(&rig);
	CHECK_SYS(umount2(path, MNT_DETACH));
}

#define N_FLIGHT 60
#define FLIGHT_UID 65000

static void become_nobody(void)
{
	CHECK_SYS(setgroups(0, NULL));
	CHECK_SYS(setgid(FLIGHT_UID));
	CHECK_SYS(setuid(FLIGHT_UID));
}

static void flight_receiver(void *arg)
{
	struct shared *shared = arg;
	struct rig rig;

	become_nobody();
	rig = rig_bind(SEA_PULL, "flight", NULL);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	test_step_signal(&shared->ready, 1);
	rig_expect(&rig, 0, N_FLIGHT);
	rig_close(&rig);
}

static void flight_sender(void *arg)
{
	struct shared *shared = arg;
	struct sea_heap_options options = { .quota_n_bytes = 4u << 20, .arena_n_bytes = 2u << 20 };
	struct sea_message *messages[N_FLIGHT];
	struct sea_heap *heaps[N_FLIGHT];
	struct rlimit limit;
	struct rig rig;
	unsigned n = 0;
	int r = 0;

	become_nobody();
	rig = rig_connect(SEA_PUSH, "flight", NULL);
	CHECK_OK(sea_channel_wait_peers(rig.channel, 1, rig_patience()));
	for (unsigned i = 0; i < N_FLIGHT; i++) {
		CHECK_OK(sea_heap_new(&heaps[i], rig.session, &options));
		messages[i] = rig_message_of(heaps[i], i, 5000);
	}
	/* The kernel counts descriptors in flight per user, and compares them with this. */
	CHECK_SYS(getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max = 20;
	CHECK_SYS(setrlimit(RLIMIT_NOFILE, &limit));
	test_step_signal(&shared->go, 1);
	test_step_wait(&shared->finish);
	while (n < N_FLIGHT && (r = sea_channel_send(rig.channel, &messages[n], 0)) == 0)
		n++;
	CHECK_EQ(r, -EAGAIN);
	CHECK_LT(n, N_FLIGHT);
	CHECK_ERR(sea_channel_send(rig.channel, &messages[n], 5000000), -ETIMEDOUT);
	CHECK(messages[n]);
	test_step_signal(&shared->go, 1);
	for (; n < N_FLIGHT; n++)
		CHECK_OK(sea_channel_send(rig.channel, &messages[n], rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	rig_close(&rig);
}

TEST(in_flight, "too many descriptors in flight to a stopped receiver: no room for now, and all arrive once it runs")
{
	struct shared *shared = shared_new();
	pid_t receiver, sender;

	if (geteuid() != 0)
		SKIP("only root can become a user without privileges");
	CHECK_SYS(chown(test_runtime_dir(), FLIGHT_UID, FLIGHT_UID));
	receiver = test_fork(flight_receiver, shared);
	sender = test_fork(flight_sender, shared);
	test_step_wait(&shared->ready);
	test_step_wait(&shared->go);
	rig_stop(receiver);
	test_step_signal(&shared->finish, 1);
	test_step_wait(&shared->go);
	CHECK_SYS(kill(receiver, SIGCONT));
	CHECK_EQ(test_wait(sender), 0);
	CHECK_EQ(test_wait(receiver), 0);
	shared_free(shared);
}

TEST(repeated, "running out of descriptors a hundred times leaves as many descriptors and maps as before")
{
	struct sea_session_options options = { .name = "repeated" };
	struct sea_session *session;
	struct hoard hoard;
	unsigned n_opened = 0;

	for (unsigned i = 0; i < 100; i++) {
		int r;

		hoard_take(&hoard, i % 20);
		r = sea_session_open(&session, &options);
		if (r == 0) {
			struct sea_channel *channel;
			struct sea_message *message;

			n_opened++;
			r = sea_channel_new(&channel, session, SEA_PULL, NULL);
			if (r == 0)
				sea_channel_close(channel);
			else
				CHECK_EQ(r, -EMFILE);
			r = sea_message_new(&message, sea_session_heap(session), 5000, 0, 0);
			if (r == 0)
				sea_message_unref(message);
			else
				CHECK_EQ(r, -EMFILE);
			sea_session_close(session);
		} else {
			CHECK_EQ(r, -EMFILE);
		}
		hoard_give_back(&hoard);
	}
	CHECK_GT(n_opened, 0);
	CHECK_LT(n_opened, 100);
}
