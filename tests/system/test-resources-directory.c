/* SPDX-License-Identifier: Apache-2.0 */
/* The runtime directory has no room left, or cannot be written any more: the call says so, and who has met goes on. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rig.h"

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
