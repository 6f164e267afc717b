/* SPDX-License-Identifier: Apache-2.0 */
/* sd_notify(3) without libsystemd; see sealane/device/notify.h. The odd rule: a manager that does not read is waited for one second, no longer. */
#include <sealane/device/notify.h>

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

int sea_notify(const char *assignments)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = 1 };
	SEAI_AUTO_FD int fd = -1;
	size_t n;

	if (!path || !path[0])
		return 0;
	n = strlen(path);
	/* A path, or a name that is in no file system; systemd's newer vsock addresses are for virtual machines. */
	if ((path[0] != '/' && path[0] != '@') || n < 2)
		return -EAFNOSUPPORT;
	if (n >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, n);
	if (path[0] == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (sendto(fd, assignments, strlen(assignments), MSG_NOSIGNAL, (const struct sockaddr *)&address,
	           (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
		return -errno;
	return 1;
}

int64_t sea_notify_watchdog_ns(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	char *end;
	long long value;

	if (!usec || !usec[0])
		return 0;
	if (pid && (strtoll(pid, &end, 10) != getpid() || *end))
		return 0;
	value = strtoll(usec, &end, 10);
	return *end || value <= 0 || value > INT64_MAX / 1000 ? 0 : value * 1000;
}
