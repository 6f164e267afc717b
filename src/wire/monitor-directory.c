/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session's directory, as a watcher reads it: who is dead, and what the dead left.
 *
 * A process is dead when nobody has its status file locked. That is tried only with the directory's lock held: a process that starts
 * locks its new file under it, and must not find it locked by who looks. Where the lock cannot be had, nothing is proven dead. No file is read
 * while it is held, so that a watcher that is stopped keeps nobody from starting for longer than it takes to list a directory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "wire/monitor.h"

/* The lock is held for microseconds by honest processes. */
#define MONITOR_LOCK_NS SEAI_NS_PER_S

void seai_monitor_close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

int seai_monitor_check(const struct sea_monitor_options **options)
{
	static const struct sea_monitor_options no_options;

	if (!*options)
		*options = &no_options;
	for (size_t i = 0; i < sizeof((*options)->reserved) / sizeof((*options)->reserved[0]); i++)
		if ((*options)->reserved[i])
			return -EINVAL;
	return (*options)->timeout_ns < 0 ? -EINVAL : 0;
}

int seai_monitor_open_base(const struct sea_monitor_options *options)
{
	char base[768];
	int r = seai_directory_find_base(options->runtime_dir, base);
	int fd = r < 0 ? -1 : open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return r < 0 ? r : fd < 0 ? -errno : fd;
}

int seai_monitor_open(const struct sea_monitor_options *options, const char **ret_name)
{
	const char *name = options->session ? options->session : getenv("SEALANE_SESSION");
	SEAI_AUTO_FD int base_fd = -1;
	int fd;

	if (!name || (!options->session && !*name))
		name = "default";
	if (!seai_directory_is_session(name))
		return -EINVAL;
	base_fd = seai_monitor_open_base(options);
	if (base_fd < 0)
		return base_fd;
	fd = openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	*ret_name = name;
	return fd < 0 ? errno == ELOOP || errno == ENOTDIR ? -ENOENT : -errno : fd;
}

int seai_monitor_open_list(int dir_fd, DIR **ret_dir)
{
	SEAI_AUTO_FD int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	*ret_dir = fdopendir(fd);
	if (!*ret_dir)
		return -errno;
	(void)seai_take_fd(&fd);
	return 0;
}

int seai_monitor_lock(int dir_fd, int operation)
{
	SEAI_AUTO_FD int fd = openat(dir_fd, ".lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	r = seai_directory_flock(fd, operation, MONITOR_LOCK_NS);
	return r < 0 ? r : seai_take_fd(&fd);
}

bool seai_monitor_is_leftover(int dir_fd, const char *name, bool is_exclusive)
{
	char target[64];
	uint64_t id;
	ssize_t n;

	if (seai_directory_parse_process(name, &id))
		return seai_directory_is_dead(dir_fd, id);
	if (strncmp(name, ".t-", 3) == 0)
		return is_exclusive;
	if (strncmp(name, "c-", 2) != 0)
		return false;
	n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
	if (n < 0)
		return false;
	target[n] = 0;
	return !seai_directory_parse_process(target, &id) || seai_directory_is_dead(dir_fd, id);
}
