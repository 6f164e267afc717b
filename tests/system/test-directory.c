/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime directory: where it is, which one is refused, how it is made. Who meets in it: test-directory-meeting.c;
 * addresses in it, and what the dead have left: test-directory-address.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "directory.h"
#include "test.h"

TEST(by_environment, "SEALANE_RUNTIME_DIR and SEALANE_SESSION name the place; options go before them")
{
	struct sea_session *session;
	char expected[300];

	setenv("SEALANE_SESSION", "of-environment", 1);
	CHECK_OK(directory_open(&session, NULL, NULL, 0));
	snprintf(expected, sizeof(expected), "%s/of-environment", test_runtime_dir());
	CHECK_STR_EQ(sea_session_directory(session), expected);
	sea_session_close(session);
	CHECK_OK(directory_open(&session, NULL, "of-options", 0));
	snprintf(expected, sizeof(expected), "%s/of-options", test_runtime_dir());
	CHECK_STR_EQ(sea_session_directory(session), expected);
	sea_session_close(session);
	setenv("SEALANE_SESSION", "", 1);
	CHECK_OK(directory_open(&session, NULL, NULL, 0));
	snprintf(expected, sizeof(expected), "%s/default", test_runtime_dir());
	CHECK_STR_EQ(sea_session_directory(session), expected);
	sea_session_close(session);
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
	directory_check_open(0, path, NULL);
	directory_check_open(-EACCES, link, NULL);
	directory_check_open(-EACCES, file, NULL);
	CHECK_SYS(chmod(path, 0702));
	directory_check_open(-EACCES, path, NULL);
	CHECK_SYS(chmod(path, 01777));
	directory_check_open(-EACCES, path, NULL);
	CHECK_SYS(chmod(path, 0720));
	directory_check_open(-EACCES, path, NULL);
	CHECK_SYS(chmod(path, 0755));
	directory_check_open(0, path, NULL);
	/* The session's own directory in it likewise. */
	snprintf(file, sizeof(file), "%s/linked", path);
	CHECK_SYS(symlink("/tmp", file));
	directory_check_open(-EACCES, path, "linked");
	snprintf(file, sizeof(file), "%s/open", path);
	CHECK_SYS(mkdir(file, 0777));
	directory_check_open(-EACCES, path, "open");
	if (geteuid() == 0) {
		CHECK_SYS(chown(path, 65534, 65534));
		directory_check_open(-EACCES, path, NULL);
		CHECK_SYS(chown(path, 0, 0));
	}
	snprintf(file, sizeof(file), "%s/not/there", test_runtime_dir());
	directory_check_open(-ENOENT, file, NULL);
}

TEST(made, "the directory is made where it is not there, whatever the umask, for its user alone")
{
	char path[300];
	struct stat stat_buffer;

	umask(0);
	snprintf(path, sizeof(path), "%s/new", test_runtime_dir());
	directory_check_open(0, path, "one");
	CHECK_SYS(stat(path, &stat_buffer));
	CHECK_EQ(stat_buffer.st_mode & 07777, 0700);
	strcat(path, "/one");
	CHECK_SYS(stat(path, &stat_buffer));
	CHECK_EQ(stat_buffer.st_mode & 07777, 0700);
}
