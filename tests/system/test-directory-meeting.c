/* SPDX-License-Identifier: Apache-2.0 */
/* Processes meet in a runtime directory whatever their environment, namespace, path length and user. */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directory.h"
#include "rig.h"

struct meeting {
	const char *runtime_dir; /* NULL: by the environment */
	void (*before)(struct meeting *meeting);
	uid_t uid;
	gid_t gid;
	uint32_t group_id;
	bool other_group; /* only a further group of the process is the session's */
	int expected;     /* of opening */
	struct test_step refused;
};

static void meeting_sender(void *arg)
{
	struct meeting *meeting = arg;
	struct rig rig = { 0 };
	int r;

	if (meeting->before)
		meeting->before(meeting);
	if (meeting->uid) {
		CHECK_SYS(setgroups(meeting->other_group ? 1 : 0, &meeting->group_id));
		CHECK_SYS(setgid(meeting->gid));
		CHECK_SYS(setuid(meeting->uid));
	}
	r = directory_open(&rig.session, meeting->runtime_dir, NULL, meeting->group_id);
	CHECK_EQ(r, meeting->expected);
	if (r < 0)
		return;
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_connect(rig.channel, "meeting"));
	for (uint64_t i = 0; i < 50; i++)
		CHECK_OK(rig_send(&rig, i, i % 2 ? 8 : 5000, rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	CHECK_EQ(rig_n_bytes_used(&rig), 0);
	rig_close(&rig);
}

/* Someone binds here, as this process is; another sends from where meeting says. */
static void meet(struct meeting *meeting, const char *runtime_dir)
{
	struct rig rig = { 0 };
	struct sea_session_stats stats;
	pid_t pid = test_fork(meeting_sender, meeting);

	if (meeting->expected == 0) {
		CHECK_OK(directory_open(&rig.session, runtime_dir, NULL, meeting->group_id));
		CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PULL, NULL));
		CHECK_OK(sea_channel_bind(rig.channel, "meeting"));
		rig_expect(&rig, 0, 50);
	}
	CHECK_EQ(test_wait(pid), 0);
	if (rig.session) {
		CHECK_OK(sea_session_get_stats(rig.session, &stats));
		CHECK_EQ(stats.n_refused, 0);
		rig_close(&rig);
	}
}

static void empty_environment(struct meeting *meeting)
{
	(void)meeting;
	clearenv();
	CHECK_SYS(chdir("/"));
}

static void login_environment(struct meeting *meeting)
{
	(void)meeting;
	clearenv();
	setenv("HOME", "/nonexistent", 1);
	setenv("XDG_RUNTIME_DIR", "/run/user/12345", 1);
	setenv("TMPDIR", "/var/tmp", 1);
	setenv("SEALANE_SESSION", "", 1);
	umask(0077);
}

TEST(environments, "a process of a login shell and one of cron's empty environment meet in the default directory")
{
	/* The default directory is the machine's: a session name of this test's own keeps others out. */
	char name[40];
	struct sea_session_options options = { .name = name };
	struct rig rig;
	struct meeting meeting = { 0 };
	pid_t child;

	snprintf(name, sizeof(name), "test-%d", (int)getpid());
	login_environment(&meeting);
	CHECK_OK(sea_session_open(&rig.session, &options));
	CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_bind(rig.channel, "meeting"));
	child = (pid_t)CHECK_SYS(fork());
	if (child == 0) {
		struct rig other;

		empty_environment(&meeting);
		umask(0022);
		CHECK_OK(sea_session_open(&other.session, &options));
		CHECK_STR_EQ(sea_session_directory(other.session), sea_session_directory(rig.session));
		CHECK_OK(sea_channel_new(&other.channel, other.session, SEA_PUSH, NULL));
		CHECK_OK(sea_channel_connect(other.channel, "meeting"));
		CHECK_OK(rig_send(&other, 0, 1000, rig_patience()));
		CHECK_OK(sea_channel_flush(other.channel, rig_patience()));
		rig_close(&other);
		_exit(0);
	}
	rig_expect(&rig, 0, 1);
	CHECK_EQ(test_wait(child), 0);
	{
		char path[1100], lock[1200];

		snprintf(path, sizeof(path), "%s", sea_session_directory(rig.session));
		snprintf(lock, sizeof(lock), "%s/.lock", path);
		rig_close(&rig);
		CHECK_SYS(unlink(lock));
		CHECK_SYS(rmdir(path)); /* nothing else was left */
	}
}

/* Its own mounts and pids; of the outside only the runtime directory, at another place. */
static void move_to_namespace(struct meeting *meeting)
{
	static char inside[] = "/mnt/meeting";

	CHECK_SYS(unshare(CLONE_NEWNS));
	CHECK_SYS(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL));
	CHECK_SYS(mount("none", "/mnt", "tmpfs", 0, NULL));
	CHECK_SYS(mkdir(inside, 0700));
	CHECK_SYS(mount(test_runtime_dir(), inside, NULL, MS_BIND, NULL));
	CHECK_SYS(mount("none", "/tmp", "tmpfs", 0, NULL));
	meeting->runtime_dir = inside;
}

static void in_pid_namespace(void *arg)
{
	pid_t child;

	move_to_namespace(arg);
	CHECK_SYS(unshare(CLONE_NEWPID));
	child = (pid_t)CHECK_SYS(fork());
	if (child == 0) {
		CHECK_EQ(getpid(), 1);
		CHECK_SYS(mount("none", "/proc", "proc", 0, NULL));
		meeting_sender(arg);
		_exit(0);
	}
	CHECK_EQ(test_wait(child), 0);
}

TEST(namespaces, "two processes that share the runtime directory and nothing else of mounts and pids meet")
{
	struct meeting meeting = { 0 };
	struct rig rig;
	pid_t pid;

	if (geteuid() != 0)
		SKIP("only root can make namespaces");
	pid = test_fork(in_pid_namespace, &meeting);
	rig = rig_bind(SEA_PULL, "meeting", NULL);
	rig_expect(&rig, 0, 50);
	CHECK_EQ(test_wait(pid), 0);
	CHECK_EVENTUALLY(rig_n_deaths(&rig) == 1);
	rig_close(&rig);
}

static struct test_step held;

static void die_in_namespace(void *arg)
{
	struct rig rig;
	struct sea_message *messages[10];

	move_to_namespace(arg);
	CHECK_SYS(unshare(CLONE_NEWPID));
	if (CHECK_SYS(fork()) == 0) {
		setenv("SEALANE_RUNTIME_DIR", "/mnt/meeting", 1);
		rig = rig_bind(SEA_PULL, "dying", NULL);
		for (unsigned i = 0; i < 10; i++)
			CHECK_OK(sea_channel_receive(rig.channel, &messages[i], rig_patience()));
		test_step_signal(&held, 1);
		if (CHECK_SYS(fork()) == 0)
			for (;;)
				pause(); /* inherits what there is to inherit */
		raise(SIGKILL);
		kill(getpid(), SIGKILL);
		_exit(0); /* process 1 of a namespace ignores its own signals */
	}
	CHECK_SYS(wait(NULL));
}

TEST(namespace_death, "the death of a process of another pid namespace is noticed, and its holds come back")
{
	struct meeting meeting = { 0 };
	struct rig rig;
	pid_t pid;

	if (geteuid() != 0)
		SKIP("only root can make namespaces");
	test_step_init(&held);
	pid = test_fork(die_in_namespace, &meeting);
	rig = rig_connect(SEA_PUSH, "dying", NULL);
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 5000, rig_patience()));
	test_step_wait(&held);
	CHECK_EVENTUALLY(rig_n_deaths(&rig) == 1);
	CHECK_EQ(rig_n_bytes_used(&rig), 0);
	CHECK_EQ(test_wait(pid), 0);
	rig_close(&rig);
	test_step_fini(&held);
}

TEST(long_path, "paths beyond the 107 bytes of a socket's address work; beyond 767 they are -ENAMETOOLONG")
{
	char path[1200];
	struct meeting meeting = { .runtime_dir = path };

	snprintf(path, sizeof(path), "%s", test_runtime_dir());
	for (int i = 0; i < 3; i++) {
		memset(path + strlen(path), 0, sizeof(path) - strlen(path));
		strcat(path, "/");
		memset(path + strlen(path), 'a' + i, 120);
		CHECK_SYS(mkdir(path, 0700));
	}
	CHECK_GT(strlen(path), 350);
	meet(&meeting, path);
	memset(path + strlen(path), 'x', 800 - strlen(path));
	path[800] = 0;
	directory_check_open(-ENAMETOOLONG, path, NULL);
}

#define USER_A 65000
#define USER_B 65001
#define GROUP 65010

static void check_group(uid_t uid, bool other_group, bool is_member, int expected)
{
	char path[300];
	struct meeting *meeting = test_shared(sizeof(*meeting));
	pid_t child;

	snprintf(path, sizeof(path), "%s/group%u%d%d", test_runtime_dir(), (unsigned)uid, other_group, is_member);
	CHECK_SYS(chmod(test_runtime_dir(), 0755));
	umask(0077);
	CHECK_SYS(mkdir(path, 02770));
	CHECK_SYS(chown(path, USER_A, GROUP));
	CHECK_SYS(chmod(path, 02770));
	*meeting = (struct meeting){
		.runtime_dir = path,
		.uid = uid,
		.gid = is_member && !other_group ? GROUP : uid,
		.group_id = GROUP,
		.other_group = other_group,
		.expected = expected,
	};
	test_step_init(&meeting->refused);
	child = (pid_t)CHECK_SYS(fork());
	if (child == 0) {
		struct rig rig = { 0 };
		struct sea_session_stats stats;
		gid_t group = GROUP;

		CHECK_SYS(setgroups(1, &group));
		CHECK_SYS(setgid(USER_A));
		CHECK_SYS(setuid(USER_A));
		CHECK_OK(directory_open(&rig.session, path, NULL, GROUP));
		CHECK_OK(sea_channel_new(&rig.channel, rig.session, SEA_PULL, NULL));
		CHECK_OK(sea_channel_bind(rig.channel, "meeting"));
		if (expected == 0)
			rig_expect(&rig, 0, 50);
		else
			test_step_wait(&meeting->refused);
		CHECK_OK(sea_session_get_stats(rig.session, &stats));
		CHECK_EQ(stats.n_refused, 0);
		rig_close(&rig);
		_exit(0);
	}
	CHECK_EQ(test_wait(test_fork(meeting_sender, meeting)), 0);
	if (expected)
		kill(child, SIGKILL);
	CHECK_EQ(test_wait(child), expected ? -SIGKILL : 0);
	test_step_fini(&meeting->refused);
}

TEST(group_primary, "in a group session another user whose group it is exchanges messages")
{
	if (geteuid() != 0)
		SKIP("only root can be other users");
	check_group(USER_B, false, true, 0);
}

TEST(group_further, "in a group session another user who has the group among others exchanges messages")
{
	if (geteuid() != 0)
		SKIP("only root can be other users");
	check_group(USER_B, true, true, 0);
}

TEST(group_outsider, "a user who is not of the group cannot open the session")
{
	if (geteuid() != 0)
		SKIP("only root can be other users");
	check_group(USER_B, false, false, -EACCES);
}

TEST(other_sessions, "sessions of different names in one directory do not meet")
{
	struct rig one, two, three;
	struct sea_session_stats stats;

	CHECK_OK(directory_open(&one.session, NULL, "one", 0));
	CHECK_OK(directory_open(&two.session, NULL, "two", 0));
	CHECK_OK(directory_open(&three.session, NULL, "two", 0));
	CHECK_OK(sea_channel_new(&one.channel, one.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_new(&two.channel, two.session, SEA_PULL, NULL));
	CHECK_OK(sea_channel_new(&three.channel, three.session, SEA_PUSH, NULL));
	CHECK_OK(sea_channel_bind(one.channel, "same"));
	CHECK_OK(sea_channel_bind(two.channel, "same"));
	CHECK_OK(sea_channel_connect(three.channel, "same"));
	CHECK_OK(rig_send(&three, 5, 1000, rig_patience()));
	rig_expect(&two, 5, 6);
	CHECK_OK(sea_session_get_stats(one.session, &stats));
	CHECK_EQ(stats.n_peers, 0);
	rig_close(&one);
	rig_close(&two);
	rig_close(&three);
}
