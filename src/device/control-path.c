/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the sockets of devices are, and how to get at them. A session's directory is found, and made, as the core does it, so
 * that a device can be controlled before it has opened its session. What is not plain in an id becomes %XX in the file's name.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/peer.h"
#include "device/control.h"

static bool path_is_plain(char character)
{
	return isalnum((unsigned char)character) || character == '.' || character == '_' || character == '-';
}

int seai_device_path_encode(const char *id, const char *end, char *name, size_t n_bytes)
{
	size_t n = 2;

	if (n_bytes < 8)
		return -ENAMETOOLONG;
	name[0] = 'd';
	name[1] = '-';
	for (; *id; id++) {
		if (n + 4 > n_bytes)
			return -ENAMETOOLONG;
		if (path_is_plain(*id))
			name[n++] = *id;
		else
			n += (size_t)sprintf(name + n, "%%%02X", (unsigned char)*id);
	}
	if (n + strlen(end) + 1 > n_bytes)
		return -ENAMETOOLONG;
	strcpy(name + n, end);
	return 0;
}

int seai_device_path_decode(const char *name, const char *end, char *id, size_t n_bytes)
{
	const size_t n_name = strlen(name), n_end = strlen(end);
	const char *stop = name + n_name - n_end;
	size_t n = 0;

	if (n_name <= 2 + n_end || strncmp(name, "d-", 2) != 0 || strcmp(stop, end) != 0)
		return -EINVAL;
	for (name += 2; name < stop; name++) {
		unsigned code;

		if (n + 1 >= n_bytes)
			return -EINVAL;
		if (*name != '%') {
			id[n++] = *name;
		} else {
			/* Two digits, and not the end of the id. */
			if (!isxdigit((unsigned char)name[1]) || !isxdigit((unsigned char)name[2]) ||
			    sscanf(name + 1, "%2x", &code) != 1 || code == 0)
				return -EINVAL;
			id[n++] = (char)code;
			name += 2;
		}
	}
	id[n] = 0;
	return 0;
}

int sea_control_directory(const char *session, const char *runtime_dir, char *path, size_t n_bytes)
{
	char standard[64];
	struct stat stat_buffer;
	size_t n;
	int r;

	if (!session || !*session)
		session = getenv("SEALANE_SESSION");
	if (!session || !*session)
		session = "default";
	n = strlen(session);
	if (n > 64 || session[0] == '.')
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (!path_is_plain(session[i]))
			return -EINVAL;
	if (!runtime_dir || !*runtime_dir)
		runtime_dir = getenv("SEALANE_RUNTIME_DIR");
	if (!runtime_dir || !*runtime_dir) {
		snprintf(standard, sizeof(standard), "/run/sealane/%u", (unsigned)geteuid());
		if (stat(standard, &stat_buffer) < 0 || !S_ISDIR(stat_buffer.st_mode))
			snprintf(standard, sizeof(standard), "/tmp/sealane-%u", (unsigned)geteuid());
		runtime_dir = standard;
	}
	r = snprintf(path, n_bytes, "%s/%s", runtime_dir, session);
	return r < 0 || (size_t)r >= n_bytes ? -ENAMETOOLONG : 0;
}

/* Opens a directory that is ours, or of a group that the session is for, and that others may not write; made with mode 0700. */
static int path_open_own(const char *path)
{
	SEAI_AUTO_FD int fd = -1;
	struct stat stat_buffer;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? -EACCES : -errno;
	if (fstat(fd, &stat_buffer) < 0 || stat_buffer.st_mode & 0002 ||
	    (stat_buffer.st_uid != geteuid() && !(stat_buffer.st_mode & 0020)))
		return -EACCES;
	return seai_take_fd(&fd);
}

int seai_device_path_open(const char *directory)
{
	SEAI_AUTO_FD int base_fd = -1;
	char base[PATH_MAX];
	char *slash;

	if (strlen(directory) >= sizeof(base))
		return -ENAMETOOLONG;
	strcpy(base, directory);
	slash = strrchr(base, '/');
	if (slash && slash != base) {
		*slash = 0;
		base_fd = path_open_own(base);
		if (base_fd < 0)
			return base_fd;
	}
	return path_open_own(directory);
}

static int path_connect(int directory_fd, const char *name)
{
	SEAI_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int n;

	if (fd < 0)
		return -errno;
	n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", directory_fd, name);
	if (n < 0 || n >= (int)sizeof(address.sun_path))
		return -ENAMETOOLONG;
	/* Not to wait where its backlog is full: a stopped device. */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	/* A child that it forked may have its socket still: nobody would ever answer. */
	if (seai_peer_has_ended(fd))
		return -ECONNREFUSED;
	fcntl(fd, F_SETFL, 0);
	return seai_take_fd(&fd);
}

int sea_control_connect(const char *directory, const char *device)
{
	SEAI_AUTO_FD int directory_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[224];
	int r;

	if (directory_fd < 0)
		return -errno;
	r = seai_device_path_encode(device, ".sock", name, sizeof(name));
	return r < 0 ? r : path_connect(directory_fd, name);
}

static int64_t path_pid(int fd)
{
	struct ucred credentials;
	socklen_t n = sizeof(credentials);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &n) < 0 ? 0 : credentials.pid;
}

int sea_control_list(const char *directory, sea_control_device_fn call, void *userdata)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	int n = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir))) {
		SEAI_AUTO_FD int fd = -1;
		char device[224];

		if (seai_device_path_decode(entry->d_name, ".sock", device, sizeof(device)) < 0)
			continue;
		fd = path_connect(dirfd(dir), entry->d_name);
		if (fd == -ENOENT)
			continue; /* it has ended just now */
		call(device, fd >= 0 ? path_pid(fd) : fd == -ECONNREFUSED ? 0 : -1, userdata);
		n++;
	}
	closedir(dir);
	return n;
}

int sea_control_request(int fd, const char *request, char *answer, size_t n_bytes, int64_t timeout_ns)
{
	const int64_t deadline_ns = seai_deadline(timeout_ns);
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	ssize_t n;

	if (request && strlen(request) > SEA_CONTROL_REQUEST_N_MAX)
		return -EMSGSIZE;
	if (request && send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	for (;;) {
		int64_t left_ns = deadline_ns == SEAI_FOR_EVER ? 0 : deadline_ns - seai_now_ns();
		struct timespec left = seai_timespec(left_ns > 0 ? left_ns : 0);
		int r = ppoll(&poll_fd, 1, deadline_ns == SEAI_FOR_EVER ? NULL : &left, NULL);

		if (r > 0)
			break;
		if (r == 0)
			return -ETIMEDOUT;
		if (errno != EINTR)
			return -errno;
	}
	n = recv(fd, answer, n_bytes - 1, 0);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	answer[n] = 0;
	return n == 0 ? -EPIPE : (int)n;
}
