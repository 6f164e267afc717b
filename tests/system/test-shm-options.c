/* SPDX-License-Identifier: Apache-2.0 */
/* FairMQ's options for shared memory: what each does, one test per row of docs/shm-options.md. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <sealane/sealane.h>

#include "test.h"

#define MIB ((uint64_t)1 << 20)
#define MS INT64_C(1000000)

struct user {
	struct sea_shm_options options;
	struct sea_session *session;
	struct sea_heap *heap;
	char text[256];
};

static int set(struct user *user, const char *name, const char *value)
{
	return sea_shm_option_set(&user->options, name, value, user->text, sizeof(user->text));
}

static void open_user(struct user *user)
{
	struct sea_session_options options = { .quota_n_bytes = 64 * MIB };

	sea_shm_options_apply(&user->options, &options, NULL);
	CHECK_OK(sea_session_open(&user->session, &options));
	CHECK_OK(sea_shm_options_get_heap(&user->options, user->session, &user->heap));
}

static void close_user(struct user *user)
{
	user->session = sea_session_close(user->session);
}

static struct sea_heap_stats stats_of(struct user *user)
{
	struct sea_heap_stats stats;

	CHECK_OK(sea_heap_get_stats(user->heap, &stats));
	return stats;
}

static uint64_t locked_n_bytes(void)
{
	char line[200];
	unsigned long long n_kib = 0;
	FILE *file = fopen("/proc/self/status", "re");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "VmLck: %llu", &n_kib) == 1)
			break;
	fclose(file);
	return (uint64_t)n_kib << 10;
}

TEST(names, "every option has a name, an unknown one is said to be so, and nothing said leaves a message of before")
{
	struct user user = { 0 };
	size_t n = 0;

	while (sea_shm_option_name(n))
		n++;
	CHECK_EQ(n, 19);
	CHECK_ERR(set(&user, "shm-segment-siez", "1"), -ENOENT);
	CHECK(strstr(user.text, "shm-segment-siez"));
	CHECK_EQ(set(&user, "shm-segment-id", "1"), 0);
	CHECK_STR_EQ(user.text, "");
	CHECK_ERR(sea_shm_option_set(&user.options, "shm-allocation", "none", NULL, 0), -ENOTSUP);
}

TEST(size, "shm-segment-size is the quota: so much can be had and no more, in bytes or with a unit")
{
	struct user user = { 0 };
	struct sea_message *message;

	CHECK_ERR(set(&user, "shm-segment-size", "much"), -EINVAL);
	CHECK_ERR(set(&user, "shm-segment-size", "0"), -EINVAL);
	CHECK_ERR(set(&user, "shm-segment-size", "-1"), -EINVAL);
	CHECK_ERR(set(&user, "shm-segment-size", "10MB"), -EINVAL);
	CHECK_EQ(set(&user, "shm-segment-size", "20MiB"), 0);
	CHECK_EQ(user.options.segment_n_bytes, 20 * MIB);
	CHECK_EQ(set(&user, "shm-segment-size", "10485760"), 0);
	open_user(&user);
	CHECK_EQ(stats_of(&user).quota_n_bytes, 10 * MIB);
	CHECK_ERR(sea_message_new(&message, user.heap, 11 * MIB, 0, 0), -E2BIG);
	CHECK_OK(sea_message_new(&message, user.heap, 9 * MIB, 0, 0));
	sea_message_unref(message);
	close_user(&user);
}

TEST(id, "shm-segment-id chooses which of several heaps a process allocates from")
{
	struct user user = { 0 }, other;
	struct sea_message *message;
	struct sea_heap *own;

	CHECK_ERR(set(&user, "shm-segment-id", "65536"), -EINVAL);
	open_user(&user);
	/* One of the program's own is not what an option chose. */
	CHECK_OK(sea_heap_new(&own, user.session, NULL));
	CHECK_OK(sea_shm_options_get_heap(&user.options, user.session, &user.heap));
	CHECK_EQ((uintptr_t)user.heap, (uintptr_t)sea_session_heap(user.session));
	other = user;
	CHECK_EQ(set(&other, "shm-segment-id", "1"), 0);
	CHECK_OK(sea_shm_options_get_heap(&other.options, other.session, &other.heap));
	CHECK_NE((uintptr_t)other.heap, (uintptr_t)user.heap);
	CHECK_EQ(sea_heap_segment_id(other.heap), 1);
	CHECK_OK(sea_message_new(&message, other.heap, MIB, 0, 0));
	CHECK_EQ(stats_of(&user).n_blocks_used, 0);
	CHECK_EQ(stats_of(&other).n_blocks_used, 1);
	sea_message_unref(message);
	user.heap = NULL;
	CHECK_OK(sea_shm_options_get_heap(&other.options, other.session, &user.heap));
	CHECK_EQ((uintptr_t)user.heap, (uintptr_t)other.heap);
	close_user(&user);
}

TEST(name, "shm-segment-name is the heap's name for people")
{
	struct user user = { 0 };
	char long_name[65];

	memset(long_name, 'a', sizeof(long_name) - 1);
	long_name[64] = 0;
	CHECK_ERR(set(&user, "shm-segment-name", long_name), -EINVAL);
	CHECK_ERR(set(&user, "shm-segment-name", ""), -EINVAL);
	CHECK_EQ(set(&user, "shm-segment-name", "calibration"), 0);
	open_user(&user);
	CHECK_STR_EQ(sea_heap_name(user.heap), "calibration");
	CHECK_STR_EQ(sea_heap_name(sea_session_heap(user.session)), "");
	close_user(&user);
}

static void check_mlock(const char *option)
{
	struct user user = { 0 };
	struct sea_session_options options = { .quota_n_bytes = 64 * MIB };
	struct sea_message *message = NULL;
	uint64_t n_before;
	int r;

	CHECK_ERR(set(&user, option, "perhaps"), -EINVAL);
	CHECK_EQ(set(&user, "shm-segment-size", "64M"), 0);
	CHECK_EQ(set(&user, option, "false"), 0);
	CHECK_EQ(user.options.heap_flags, 0);
	CHECK_EQ(set(&user, option, "true"), 0);
	CHECK_OK(sea_session_open(&user.session, &options));
	n_before = locked_n_bytes();
	r = sea_shm_options_get_heap(&user.options, user.session, &user.heap);
	if (r == 0)
		r = sea_message_new(&message, user.heap, MIB, 0, 0);
	if (r == 0)
		CHECK_GE(locked_n_bytes(), n_before + MIB);
	sea_message_unref(message);
	close_user(&user);
	if (r == -ENOMEM || r == -EPERM)
		SKIP("RLIMIT_MEMLOCK does not allow it");
	CHECK_EQ(r, 0);
}

TEST(mlock, "shm-mlock-segment locks the memory of the heap")
{
	check_mlock("shm-mlock-segment");
}

TEST(mlock_on_creation, "shm-mlock-segment-on-creation locks it and takes the first arena at once")
{
	check_mlock("shm-mlock-segment-on-creation");
}

static void check_zero(const char *option)
{
	struct user user = { 0 };
	struct sea_message *message;
	const uint8_t *data;

	CHECK_EQ(set(&user, option, "1"), 0);
	CHECK(strstr(user.text, "not zeroed when it is used again"));
	open_user(&user);
	CHECK_GE(stats_of(&user).n_bytes_backed, 2 * MIB);
	CHECK_OK(sea_message_new(&message, user.heap, MIB, 0, 0));
	data = sea_message_data(message);
	for (size_t i = 0; i < MIB; i++)
		CHECK_EQ(data[i], 0);
	sea_message_unref(message);
	close_user(&user);
}

TEST(zero, "shm-zero-segment has zeroed memory taken ahead, and says what it does not do")
{
	check_zero("shm-zero-segment");
}

TEST(zero_on_creation, "shm-zero-segment-on-creation has zeroed memory taken ahead, and says what it does not do")
{
	check_zero("shm-zero-segment-on-creation");
}

/* All of a heap of 4 MiB; the next allocation has to wait. */
static void open_full(struct user *user, struct sea_message **ret_message)
{
	CHECK_EQ(set(user, "shm-segment-size", "4M"), 0);
	open_user(user);
	CHECK_OK(sea_message_new(ret_message, user->heap, 3 * MIB, 0, 0));
}

TEST(attempts, "bad-alloc-max-attempts becomes a deadline: one attempt fails at once, -1 waits for ever")
{
	struct user user = { 0 };
	struct sea_message *held, *message;

	CHECK_EQ(sea_shm_options_timeout_ns(&user.options), 0);
	CHECK_ERR(set(&user, "bad-alloc-max-attempts", "-2"), -EINVAL);
	CHECK_EQ(set(&user, "bad-alloc-max-attempts", "1"), 0);
	CHECK_EQ(sea_shm_options_timeout_ns(&user.options), 0);
	open_full(&user, &held);
	CHECK_ERR(sea_message_new(&message, user.heap, 3 * MIB, 0, sea_shm_options_timeout_ns(&user.options)), -ENOMEM);
	CHECK_EQ(set(&user, "bad-alloc-max-attempts", "-1"), 0);
	CHECK_EQ(sea_shm_options_timeout_ns(&user.options), -1);
	sea_message_unref(held);
	CHECK_OK(sea_message_new(&message, user.heap, 3 * MIB, 0, -1));
	sea_message_unref(message);
	close_user(&user);
}

TEST(interval, "bad-alloc-attempt-interval stretches the deadline, which is kept")
{
	struct user user = { 0 };
	struct sea_message *held, *message;
	int64_t start_ns;

	CHECK_EQ(set(&user, "bad-alloc-max-attempts", "3"), 0);
	CHECK_EQ(sea_shm_options_timeout_ns(&user.options), 100 * MS);
	CHECK_EQ(set(&user, "bad-alloc-attempt-interval", "20"), 0);
	CHECK_EQ(sea_shm_options_timeout_ns(&user.options), 40 * MS);
	open_full(&user, &held);
	start_ns = test_now_ns();
	CHECK_ERR(sea_message_new(&message, user.heap, 3 * MIB, 0, sea_shm_options_timeout_ns(&user.options)),
	          -ETIMEDOUT);
	CHECK_GE(test_now_ns() - start_ns, 40 * MS);
	sea_message_unref(held);
	close_user(&user);
}

TEST(throw, "shm-throw-bad-alloc false waits for ever, whatever the attempts are")
{
	struct user user = { 0 };

	CHECK_EQ(set(&user, "bad-alloc-max-attempts", "2"), 0);
	CHECK_EQ(set(&user, "shm-throw-bad-alloc", "false"), 0);
	CHECK_EQ(sea_shm_options_timeout_ns(&user.options), -1);
	CHECK_EQ(set(&user, "shm-throw-bad-alloc", "true"), 0);
	CHECK_EQ(sea_shm_options_timeout_ns(&user.options), 50 * MS);
}

TEST(metadata, "shm-metadata-msg-size has no effect and says so: a queue of one holds one anyway")
{
	const struct sea_channel_options options = { .sndbuf = 1, .rcvbuf = -1 };
	struct user user = { 0 };
	struct sea_channel *push, *pull;
	struct sea_message *message;

	CHECK_EQ(set(&user, "shm-metadata-msg-size", "2048"), 1);
	CHECK(strstr(user.text, "no effect"));
	open_user(&user);
	CHECK_OK(sea_channel_new(&push, user.session, SEA_PUSH, &options));
	CHECK_OK(sea_channel_new(&pull, user.session, SEA_PULL, &options));
	CHECK_OK(sea_channel_bind(push, "one"));
	CHECK_OK(sea_channel_connect(pull, "one"));
	CHECK_OK(sea_channel_wait_peers(push, 1, 10000 * MS));
	CHECK_OK(sea_message_new(&message, user.heap, 100000, 0, 0));
	CHECK_OK(sea_channel_send(push, &message, 0));
	CHECK_OK(sea_message_new(&message, user.heap, 100000, 0, 0));
	CHECK_ERR(sea_channel_send(push, &message, 0), -EAGAIN);
	sea_message_unref(message);
	sea_channel_close(push);
	sea_channel_close(pull);
	close_user(&user);
}

TEST(allocation,
     "shm-allocation: FairMQ's two have no effect and say so, others are refused by a line that names those")
{
	struct user user = { 0 };

	CHECK_EQ(set(&user, "shm-allocation", "rbtree_best_fit"), 1);
	CHECK(strstr(user.text, "no effect"));
	CHECK_EQ(set(&user, "shm-allocation", "simple_seq_fit"), 1);
	CHECK(strstr(user.text, "no effect"));
	CHECK_ERR(set(&user, "shm-allocation", "buddy"), -ENOTSUP);
	CHECK(strstr(user.text, "rbtree_best_fit"));
}

static void sleep_with_session(void *argument)
{
	struct test_step *step = argument;
	struct user user = { 0 };
	struct sea_message *message;

	open_user(&user);
	CHECK_OK(sea_message_new(&message, user.heap, 8 * MIB, 0, 0));
	test_step_signal(step, 1);
	pause();
}

/* What both options are about: nothing stays of a killed process, without a monitor and without cleaning up. */
static void check_no_effect(const char *option)
{
	struct test_step *step = test_shared(sizeof(*step));
	struct user user = { 0 };
	pid_t pid;

	CHECK_ERR(set(&user, option, "perhaps"), -EINVAL);
	CHECK_EQ(set(&user, option, "true"), 1);
	CHECK(strstr(user.text, "no effect"));
	test_step_init(step);
	pid = test_fork(sleep_with_session, step);
	test_step_wait(step);
	CHECK_EQ(test_kill(pid), -9);
	open_user(&user);
	CHECK_EQ(stats_of(&user).n_bytes_backed, 0);
	close_user(&user);
	test_step_fini(step);
}

TEST(monitor, "shm-monitor has no effect and says so: a killed process leaves no memory behind without one")
{
	check_no_effect("shm-monitor");
}

TEST(no_cleanup, "shm-no-cleanup has no effect and says so: there is nothing that could be kept or cleaned up")
{
	check_no_effect("shm-no-cleanup");
}

static const char *session_of(struct user *user)
{
	const char *slash;

	open_user(user);
	slash = strrchr(sea_session_directory(user->session), '/');
	return slash ? slash + 1 : "";
}

TEST(shmid, "shmid is the session's name, whatever the session is called; 0 takes it back")
{
	struct user user = { 0 };

	CHECK_ERR(set(&user, "shmid", "x"), -EINVAL);
	CHECK_EQ(set(&user, "session", "daq"), 0);
	CHECK_EQ(set(&user, "shmid", "255"), 0);
	CHECK_STR_EQ(session_of(&user), "shmid-ff");
	close_user(&user);
	CHECK_EQ(set(&user, "shmid", "0"), 0);
	CHECK_STR_EQ(session_of(&user), "daq");
	close_user(&user);
}

TEST(session, "session is the session's name, and what cannot be one is wrong")
{
	struct user user = { 0 };

	CHECK_ERR(set(&user, "session", "a/b"), -EINVAL);
	CHECK_ERR(set(&user, "session", ".a"), -EINVAL);
	CHECK_ERR(set(&user, "session", ""), -EINVAL);
	CHECK_EQ(set(&user, "session", "run-7"), 0);
	CHECK_STR_EQ(session_of(&user), "run-7");
	close_user(&user);
}

static bool is_shared(const struct user *user)
{
	struct sea_session_options session = { 0 };
	struct sea_heap_options heap = { 0 };

	sea_shm_options_apply(&user->options, &session, &heap);
	CHECK_EQ(session.transport == SEA_TRANSPORT_SHMEM, heap.protection == SEA_PROTECTION_SHARED);
	return heap.protection == SEA_PROTECTION_SHARED;
}

/* Only a shared heap can make holes in an arena that is in use. */
static bool gives_holes_back(struct user *user)
{
	struct sea_message *small, *large;
	uint64_t n_before;
	bool gives;

	CHECK_EQ(set(user, "shm-segment-size", "64M"), 0);
	open_user(user);
	CHECK_OK(sea_message_new(&small, user->heap, 100, 0, 0));
	CHECK_OK(sea_message_new(&large, user->heap, MIB / 2, 0, 0));
	sea_message_unref(large);
	n_before = stats_of(user).n_bytes_backed;
	CHECK_OK(sea_heap_trim(user->heap, 0));
	gives = stats_of(user).n_bytes_backed + MIB / 2 <= n_before;
	sea_message_unref(small);
	close_user(user);
	return gives;
}

TEST(transport, "transport shmem makes shared heaps, memfd sealed ones, and what goes over a network is refused")
{
	struct user user = { 0 };

	CHECK(!is_shared(&user));
	CHECK(!gives_holes_back(&user));
	CHECK_EQ(set(&user, "transport", "shmem"), 0);
	CHECK(is_shared(&user));
	CHECK(gives_holes_back(&user));
	CHECK_ERR(set(&user, "transport", "zeromq"), -ENOTSUP);
	CHECK(strstr(user.text, "memfd"));
}

TEST(as, "shm-as memfd lets what says shmem run on sealed memory")
{
	struct user user = { 0 };

	CHECK_EQ(set(&user, "transport", "shmem"), 0);
	CHECK_EQ(set(&user, "shm-as", "memfd"), 0);
	CHECK(!is_shared(&user));
	CHECK(!gives_holes_back(&user));
	CHECK_EQ(set(&user, "shm-as", "shmem"), 0);
	CHECK(is_shared(&user));
	CHECK_ERR(set(&user, "shm-as", "zeromq"), -ENOTSUP);
}

TEST(quota, "session-quota is one limit for all heaps together")
{
	struct user user = { 0 };
	struct sea_message *message, *other;
	struct sea_heap *heap;

	CHECK_ERR(set(&user, "session-quota", "none"), -EINVAL);
	CHECK_EQ(set(&user, "session-quota", "16M"), 0);
	open_user(&user);
	CHECK_OK(sea_heap_new(&heap, user.session, NULL));
	CHECK_OK(sea_message_new(&message, user.heap, 10 * MIB, 0, 0));
	CHECK_ERR(sea_message_new(&other, heap, 10 * MIB, 0, 0), -ENOMEM);
	sea_message_unref(message);
	CHECK_OK(sea_heap_trim(user.heap, 0));
	CHECK_OK(sea_message_new(&other, heap, 10 * MIB, 0, 10000 * MS));
	sea_message_unref(other);
	close_user(&user);
}

TEST(command, "the command takes FairMQ's options and says which have no effect")
{
	char line[1024];

	if (access(test_command(), X_OK) != 0)
		SKIP("this build has no command");
	snprintf(
		line, sizeof(line),
		"%s demo --quick --no-kill --quiet --size 16M --shm-segment-size 256M --transport shmem --shm-allocation "
		"rbtree_best_fit 2>%s/said >/dev/null && grep -q 'no effect' %s/said && "
		"! %s send x --shm-allocation buddy 2>%s/said && grep -q 'rbtree_best_fit' %s/said; r=$?; rm -f %s/said; exit $r",
		test_command(), test_runtime_dir(), test_runtime_dir(), test_command(), test_runtime_dir(),
		test_runtime_dir(), test_runtime_dir());
	CHECK_EQ(system(line), 0);
}
