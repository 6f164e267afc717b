/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into sessions from outside: which there are, what can be removed of them, and the bytes of a part that somebody holds. A session's
 * snapshot is in monitor-snapshot.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wire/monitor.h"

static int session_compare(const void *left, const void *right)
{
	const struct sea_monitor_session *a = left, *b = right;

	return strcmp(a->name, b->name);
}

int sea_monitor_list(const struct sea_monitor_options *options, struct sea_monitor_session **ret_sessions,
                     size_t *ret_n_sessions)
{
	SEAI_AUTO_FREE struct sea_monitor_session *sessions = NULL;
	SEAI_CLEANUP(seai_monitor_close_dir) DIR *dir = NULL;
	SEAI_AUTO_FD int base_fd = -1;
	size_t n_sessions = 0;
	struct dirent *entry;
	int r = seai_monitor_check(&options);

	if (r < 0)
		return r;
	base_fd = seai_monitor_open_base(options);
	r = base_fd < 0 ? base_fd : seai_monitor_open_list(base_fd, &dir);
	if (r < 0 && r != -ENOENT)
		return r;
	while (r == 0 && dir && (entry = readdir(dir))) {
		struct sea_monitor_session *session;
		struct stat stat;

		if (!seai_directory_is_session(entry->d_name) ||
		    fstatat(base_fd, entry->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISDIR(stat.st_mode))
			continue;
		session = seai_monitor_grow(&sessions, &n_sessions, sizeof(*session));
		if (!session)
			return -ENOMEM;
		seai_monitor_copy(session->name, sizeof(session->name), entry->d_name, strlen(entry->d_name));
	}
	if (n_sessions)
		qsort(sessions, n_sessions, sizeof(*sessions), session_compare);
	*ret_sessions = SEAI_TAKE(sessions);
	*ret_n_sessions = n_sessions;
	return 0;
}

/* Addresses first, sockets next, status files last: who is interrupted leaves what still proves them dead. */
static int clean_rank(const char *name)
{
	size_t n = strlen(name);

	return name[0] != 'p' ? 0 : n > 7 && strcmp(name + n - 7, ".status") == 0 ? 2 : 1;
}

static int clean_pass(int dir_fd, int rank, struct sea_monitor_file **files, size_t *n_files)
{
	SEAI_CLEANUP(seai_monitor_close_dir) DIR *dir = NULL;
	struct dirent *entry;
	int r = seai_monitor_open_list(dir_fd, &dir);

	while (r == 0 && dir && (entry = readdir(dir))) {
		struct sea_monitor_file *file;

		if (clean_rank(entry->d_name) != rank || !seai_monitor_is_leftover(dir_fd, entry->d_name, true))
			continue;
		if (unlinkat(dir_fd, entry->d_name, 0) < 0) {
			if (errno == ENOENT)
				continue;
			return -errno;
		}
		file = seai_monitor_grow(files, n_files, sizeof(*file));
		if (!file)
			return -ENOMEM;
		seai_monitor_copy(file->name, sizeof(file->name), entry->d_name, strlen(entry->d_name));
	}
	return r;
}

int sea_monitor_clean(const struct sea_monitor_options *options, struct sea_monitor_file **ret_files,
                      size_t *ret_n_files)
{
	SEAI_AUTO_FREE struct sea_monitor_file *files = NULL;
	SEAI_AUTO_FD int dir_fd = -1;
	SEAI_AUTO_FD int lock_fd = -1;
	size_t n_files = 0;
	const char *name;
	int r = seai_monitor_check(&options);

	if (r < 0)
		return r;
	dir_fd = seai_monitor_open(options, &name);
	if (dir_fd < 0)
		return dir_fd;
	lock_fd = seai_monitor_lock(dir_fd, LOCK_EX);
	if (lock_fd < 0 && lock_fd != -ENOENT)
		return lock_fd;
	/* Without a lock file nothing in here was made by a process of ours. */
	for (int rank = 0; lock_fd >= 0 && rank < 3 && r == 0; rank++)
		r = clean_pass(dir_fd, rank, &files, &n_files);
	if (r < 0)
		return r;
	*ret_files = SEAI_TAKE(files);
	*ret_n_files = n_files;
	return 0;
}

int64_t sea_monitor_read(int32_t pid, const struct sea_monitor_hold *hold, uint64_t offset, void *data, size_t n_bytes)
{
	char path[64], target[64];
	SEAI_AUTO_FD int fd = -1;
	ssize_t n;

	if (offset > hold->n_bytes || hold->file_offset > INT64_MAX - hold->n_bytes)
		return -EINVAL;
	if (n_bytes > hold->n_bytes - offset)
		n_bytes = (size_t)(hold->n_bytes - offset);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, (int)hold->fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = 0;
	/* Nothing else is opened: a device or a pipe might mind. */
	if (strncmp(target, "/memfd:sealane", strlen("/memfd:sealane")) != 0)
		return -ESTALE;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -errno;
	n = pread(fd, data, n_bytes, (off_t)(hold->file_offset + offset));
	return n < 0 ? -errno : n;
}
