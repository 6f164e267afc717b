/* SPDX-License-Identifier: Apache-2.0 */
/* Where processes meet: whatever their environment, namespace, path length and user, and whatever the dead have left. */
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

static int open_in(struct sea_session **ret_session, const char *runtime_dir, const char *name, uint32_t group_id)
{
	struct sea_session_options options = { .runtime_dir = runtime_dir, .name = name, .group_id = group_id };

	return sea_session_open(ret_session, &options);
}

static void check_open(int expected, const char *runtime_dir, const char *name)
{
	struct sea_session *session = NULL;
	int r = open_in(&session, runtime_dir, name, 0);

	if (r != expected)
		FAIL("opening session \"%s\" in %.60s: %d, not %d", name ? name : "(NULL)", runtime_dir, r, expected);
	sea_session_close(session);
}

/* Names in a directory with that beginning. */
static unsigned count_names(const char *path, const char *beginning)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	unsigned n = 0;

	CHECK(dir);
	while ((entry = readdir(dir)))
		n += strncmp(entry->d_name, beginning, strlen(beginning)) == 0;
	closedir(dir);
	return n;
}

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
	r = open_in(&rig.session, meeting->runtime_dir, NULL, meeting->group_id);
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
		CHECK_OK(open_in(&rig.session, runtime_dir, NULL, meeting->group_id));
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

TEST(by_environment, "SEALANE_RUNTIME_DIR and SEALANE_SESSION name the place; options go before them")
{
	struct sea_session *session;
	char expected[300];

	setenv("SEALANE_SESSION", "of-environment", 1);
	CHECK_OK(open_in(&session, NULL, NULL, 0));
	snprintf(expected, sizeof(expected), "%s/of-environment", test_runtime_dir());
	CHECK_STR_EQ(sea_session_directory(session), expected);
	sea_session_close(session);
	CHECK_OK(open_in(&session, NULL, "of-options", 0));
	snprintf(expected, sizeof(expected), "%s/of-options", test_runtime_dir());
	CHECK_STR_EQ(sea_session_directory(session), expected);
	sea_session_close(session);
	setenv("SEALANE_SESSION", "", 1);
	CHECK_OK(open_in(&session, NULL, NULL, 0));
	snprintf(expected, sizeof(expected), "%s/default", test_runtime_dir());
	CHECK_STR_EQ(sea_session_directory(session), expected);
	sea_session_close(session);
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
	check_open(-ENAMETOOLONG, path, NULL);
}

TEST(bad_directory, "a directory that others may write in, that is another's, a link or a file, is refused")
{
	char path[300], link[300], file[400];

	umask(0);
	snprintf(path, sizeof(path), "%s/dir", test_runtime_dir());
	snprintf(link, sizeof(link), "%s/link", test_runtime_dir());
	snprintf(file, sizeof(file), "%s/file", test_runtime_dir());
	CHECK_SYS(mkdir(path, 0700));
	CHECK_SYS(symlink(path, link));
	close((int)CHECK_SYS(open(file, O_CREAT | O_RDWR | O_CLOEXEC, 0600)));
	check_open(0, path, NULL);
	check_open(-EACCES, link, NULL);
	check_open(-EACCES, file, NULL);
	CHECK_SYS(chmod(path, 0702));
	check_open(-EACCES, path, NULL);
	CHECK_SYS(chmod(path, 01777));
	check_open(-EACCES, path, NULL);
	CHECK_SYS(chmod(path, 0720));
	check_open(-EACCES, path, NULL);
	CHECK_SYS(chmod(path, 0755));
	check_open(0, path, NULL);
	/* The session's own directory in it likewise. */
	snprintf(file, sizeof(file), "%s/linked", path);
	CHECK_SYS(symlink("/tmp", file));
	check_open(-EACCES, path, "linked");
	snprintf(file, sizeof(file), "%s/open", path);
	CHECK_SYS(mkdir(file, 0777));
	check_open(-EACCES, path, "open");
	if (geteuid() == 0) {
		CHECK_SYS(chown(path, 65534, 65534));
		check_open(-EACCES, path, NULL);
		CHECK_SYS(chown(path, 0, 0));
	}
	snprintf(file, sizeof(file), "%s/not/there", test_runtime_dir());
	check_open(-ENOENT, file, NULL);
}

TEST(made, "the directory is made where it is not there, whatever the umask, for its user alone")
{
	char path[300];
	struct stat stat_buffer;

	umask(0);
	snprintf(path, sizeof(path), "%s/new", test_runtime_dir());
	check_open(0, path, "one");
	CHECK_SYS(stat(path, &stat_buffer));
	CHECK_EQ(stat_buffer.st_mode & 07777, 0700);
	strcat(path, "/one");
	CHECK_SYS(stat(path, &stat_buffer));
	CHECK_EQ(stat_buffer.st_mode & 07777, 0700);
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
		CHECK_OK(open_in(&rig.session, path, NULL, GROUP));
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

static void killed_main(void *arg)
{
	struct rig rig = rig_bind(SEA_PULL, "address", NULL);

	test_step_signal(arg, 1);
	for (;;)
		pause();
	rig_close(&rig);
}

TEST(leftovers, "what killed processes leave in the directory is removed by the next that opens the session")
{
	struct test_step bound;
	struct sea_session *session;
	char path[300], name[400];

	snprintf(path, sizeof(path), "%s/default", test_runtime_dir());
	test_step_init(&bound);
	for (int i = 0; i < 4; i++) {
		pid_t pid = test_fork(killed_main, &bound);

		test_step_wait(&bound);
		CHECK_EQ(count_names(path, "p-"), 2);
		CHECK_EQ(count_names(path, "c-"), 1);
		CHECK_EQ(test_kill(pid), -SIGKILL);
		CHECK_EQ(count_names(path, "p-"), 2);
		CHECK_EQ(count_names(path, "c-"), 1);
	}
	/* What a start that was killed in the middle leaves, and what is not ours. */
	snprintf(name, sizeof(name), "%s/.t-0123456789abcdef", path);
	CHECK_SYS(symlink("p-0123456789abcdef.sock", name));
	snprintf(name, sizeof(name), "%s/p-0123456789abcdef.status", path);
	close((int)CHECK_SYS(open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600)));
	snprintf(name, sizeof(name), "%s/c-old", path);
	CHECK_SYS(symlink("p-fedcba9876543210.sock", name));
	snprintf(name, sizeof(name), "%s/README", path);
	close((int)CHECK_SYS(open(name, O_CREAT | O_RDWR | O_CLOEXEC, 0600)));
	CHECK_OK(sea_session_open(&session, NULL));
	CHECK_EQ(count_names(path, "p-"), 2); /* its own */
	CHECK_EQ(count_names(path, "c-"), 0);
	CHECK_EQ(count_names(path, ".t-"), 0);
	CHECK_EQ(count_names(path, "README"), 1);
	sea_session_close(session);
	CHECK_EQ(count_names(path, "p-"), 0);
	test_step_fini(&bound);
}

TEST(address_in_use, "an address is refused while a process that is bound to it lives, stopped or not, and only then")
{
	struct test_step bound;
	struct rig rig = rig_open(SEA_PULL, NULL);
	struct sea_channel *other;
	pid_t pid;

	test_step_init(&bound);
	pid = test_fork(killed_main, &bound);
	test_step_wait(&bound);
	CHECK_ERR(sea_channel_bind(rig.channel, "address"), -EADDRINUSE);
	rig_stop(pid);
	CHECK_ERR(sea_channel_bind(rig.channel, "ipc://address"), -EADDRINUSE);
	CHECK_EQ(test_kill(pid), -SIGKILL);
	CHECK_OK(sea_channel_bind(rig.channel, "memfd://address"));
	/* By itself as well, by this channel or another, until it is closed. */
	CHECK_ERR(sea_channel_bind(rig.channel, "address"), -EADDRINUSE);
	CHECK_OK(sea_channel_new(&other, rig.session, SEA_PULL, NULL));
	CHECK_ERR(sea_channel_bind(other, "address"), -EADDRINUSE);
	rig.channel = sea_channel_close(rig.channel);
	CHECK_OK(sea_channel_bind(other, "address"));
	sea_channel_close(other);
	rig_close(&rig);
	test_step_fini(&bound);
}

TEST(bad_names, "malformed addresses and session names are -EINVAL and leave nothing")
{
	char too_long[400];
	const char *addresses[] = { "", "memfd://", "ipc://", "a\nb", "\x7f", "a\tb", too_long };
	const char *names[] = { "", ".", "..", ".hidden", "a/b", "../x", "a b", "\xc3\xa4", too_long };
	struct rig rig = rig_open(SEA_PULL, NULL);

	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[sizeof(too_long) - 1] = 0;
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		CHECK_ERR(sea_channel_bind(rig.channel, addresses[i]), -EINVAL);
		CHECK_ERR(sea_channel_connect(rig.channel, addresses[i]), -EINVAL);
	}
	CHECK_ERR(sea_channel_bind(rig.channel, NULL), -EINVAL);
	CHECK_ERR(sea_channel_connect(rig.channel, NULL), -EINVAL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		check_open(-EINVAL, test_runtime_dir(), names[i]);
	too_long[64] = 0;
	check_open(0, test_runtime_dir(), too_long);
	too_long[65] = 0;
	too_long[64] = 'x';
	check_open(-EINVAL, test_runtime_dir(), too_long);
	CHECK_EQ(count_names(sea_session_directory(rig.session), "c-"), 0);
	rig_close(&rig);
}

TEST(odd_addresses, "addresses with slashes, dots and other characters stay in the directory and are told apart")
{
	static const char *const addresses[] = { "a/b", "a%2Fb", "../../etc/x", "/abs/olute", ".",
		                                 "..",  "a b",   "a",           "\xc3\xa4" };
	enum { n = sizeof(addresses) / sizeof(addresses[0]) };
	struct rig in[n], out[n];
	struct sea_session *session;

	CHECK_OK(sea_session_open(&session, NULL));
	for (size_t i = 0; i < n; i++) {
		in[i].session = out[i].session = session;
		CHECK_OK(sea_channel_new(&in[i].channel, session, SEA_PULL, NULL));
		CHECK_OK(sea_channel_bind(in[i].channel, addresses[i]));
		CHECK_OK(sea_channel_new(&out[i].channel, session, SEA_PUSH, NULL));
		CHECK_OK(sea_channel_connect(out[i].channel, addresses[i]));
	}
	CHECK_EQ(count_names(sea_session_directory(session), "c-"), n);
	for (size_t i = 0; i < n; i++)
		CHECK_OK(rig_send(&out[i], i, 100, rig_patience()));
	for (size_t i = 0; i < n; i++)
		rig_expect(&in[i], i, i + 1);
	for (size_t i = 0; i < n; i++) {
		sea_channel_close(in[i].channel);
		sea_channel_close(out[i].channel);
	}
	sea_session_close(session);
}

/* Sends ten messages each time it is started, from where it was told. */
static void restarted_main(void *arg)
{
	struct rig rig = rig_open(SEA_PUSH, NULL);

	if (*(bool *)arg)
		CHECK_OK(sea_channel_bind(rig.channel, "again"));
	else
		CHECK_OK(sea_channel_connect(rig.channel, "again"));
	for (uint64_t i = 0; i < 10; i++)
		CHECK_OK(rig_send(&rig, i, 2000, rig_patience()));
	CHECK_OK(sea_channel_flush(rig.channel, rig_patience()));
	kill(getpid(), SIGKILL);
}

static void check_restarts(bool peer_binds)
{
	struct rig rig = rig_open(SEA_PULL, NULL);

	CHECK_OK(peer_binds ? sea_channel_connect(rig.channel, "again") : sea_channel_bind(rig.channel, "again"));
	for (int i = 0; i < 5; i++) {
		/* A child of a process with an open session, as a launcher would start it. */
		pid_t pid = test_fork(restarted_main, &peer_binds);

		rig_expect(&rig, 0, 10);
		CHECK_EQ(test_wait(pid), -SIGKILL);
	}
	rig_close(&rig);
}

TEST(restarts_bound, "a connected side finds the bound one again after each of its restarts")
{
	check_restarts(true);
}

TEST(restarts_connected, "a bound side is found again by the connected one after each of its restarts")
{
	check_restarts(false);
}

TEST(either_first, "either side of either role may come first, in processes and within one")
{
	for (int i = 0; i < 4; i++) {
		bool sender_first = i & 1, sender_binds = i & 2;
		struct rig rigs[2];

		for (int j = 0; j < 2; j++) {
			bool is_sender = (j == 0) == sender_first;
			struct rig *rig = &rigs[is_sender];

			*rig = rig_open(is_sender ? SEA_PUSH : SEA_PULL, NULL);
			CHECK_OK(is_sender == sender_binds ? sea_channel_bind(rig->channel, "first")
			                                   : sea_channel_connect(rig->channel, "first"));
			test_sleep_ms(2);
		}
		CHECK_OK(rig_send(&rigs[1], 7, 100, rig_patience()));
		rig_expect(&rigs[0], 7, 8);
		rig_close(&rigs[0]);
		rig_close(&rigs[1]);
	}
}

TEST(other_sessions, "sessions of different names in one directory do not meet")
{
	struct rig one, two, three;
	struct sea_session_stats stats;

	CHECK_OK(open_in(&one.session, NULL, "one", 0));
	CHECK_OK(open_in(&two.session, NULL, "two", 0));
	CHECK_OK(open_in(&three.session, NULL, "two", 0));
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
