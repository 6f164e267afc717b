/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime directory, where the processes of a session meet.
 *
 * BASE/SESSION/ holds per process a socket p-<id>.sock and a status file p-<id>.status, which its process keeps
 * locked for as long as it lives, and per bound address a link c-<name> to a socket; devices add d-<id>.sock. All changes are
 * made under flock of .lock in it; what is not locked is a leftover of the dead, and the next start removes it.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/peer.h"
#include "base/point.h"
#include "wire/monitor.h"
#include "wire/status.h"
#include "wire/wire.h"

/* Opens; in a group session another member may have made it a moment ago, and is about to give the group its rights. */
static int directory_openat(const struct seai_wire *wire, int at_fd, const char *path, int flags, mode_t mode)
{
	const struct timespec moment = { .tv_nsec = SEAI_NS_PER_MS };

	for (int i = 0;; i++) {
		int fd = openat(at_fd, path, flags | O_CLOEXEC | O_NOFOLLOW, mode);

		if (fd >= 0 || errno != EACCES || !wire->group_id || i == 20)
			return fd;
		nanosleep(&moment, NULL);
		errno = EACCES;
	}
}

/* It is held for microseconds; a stopped or hostile process of the same user that keeps it is an error after this time, not a hang. */
#define DIRECTORY_LOCK_TIMEOUT_NS (5 * SEAI_NS_PER_S)

int seai_directory_flock(int fd, int operation, int64_t timeout_ns)
{
	int64_t deadline_ns = seai_deadline(timeout_ns);

	while (flock(fd, operation | LOCK_NB) < 0) {
		const struct timespec pause = { .tv_nsec = SEAI_NS_PER_MS / 5 };

		if (errno != EWOULDBLOCK && errno != EINTR)
			return -errno;
		if (seai_now_ns() > deadline_ns)
			return -EBUSY;
		nanosleep(&pause, NULL);
	}
	return 0;
}

int seai_directory_lock(const struct seai_wire *wire)
{
	SEAI_AUTO_FD int fd = directory_openat(wire, wire->dir_fd, ".lock", O_RDWR | O_CREAT,
	                                       wire->group_id ? 0660 : 0600);
	int r;

	if (fd < 0)
		return -errno;
	if (wire->group_id)
		(void)fchmod(
			fd,
			0660); /* the umask may have taken the group's rights; others than who made it need not give them */
	r = seai_directory_flock(fd, LOCK_EX, DIRECTORY_LOCK_TIMEOUT_NS);
	return r < 0 ? r : seai_take_fd(&fd);
}

bool seai_directory_is_dead(int dir_fd, uint64_t id)
{
	char name[40];
	SEAI_AUTO_FD int fd = -1;

	snprintf(name, sizeof(name), "p-%016llx.status", (unsigned long long)id);
	fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT; /* anything else: not ours to judge */
	return flock(fd, LOCK_SH | LOCK_NB) == 0;
}

bool seai_directory_parse_process(const char *name, uint64_t *ret_id)
{
	char *end;

	if (strncmp(name, "p-", 2) != 0 || strlen(name) < 18)
		return false;
	*ret_id = strtoull(name + 2, &end, 16);
	return end == name + 18 && *end == '.';
}

/* A path of a file in the directory that fits into a socket's address, by /proc where it is too long. */
static int directory_address(const struct seai_wire *wire, const char *name, struct sockaddr_un *address)
{
	int n;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	n = snprintf(address->sun_path, sizeof(address->sun_path), "%s/%s", wire->directory, name);
	if (n >= 0 && n < (int)sizeof(address->sun_path))
		return 0;
	n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", wire->dir_fd, name);
	return n >= 0 && n < (int)sizeof(address->sun_path) ? 0 : -ENAMETOOLONG;
}

/* Whether d-ID.sock, by which a device is controlled, is a dead one's: it gets its name, under the lock, when it listens. */
static bool directory_is_dead_device(const struct seai_wire *wire, const char *name)
{
	SEAI_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	struct stat stat;

	/* What is no socket refuses as well. */
	return fd >= 0 && fstatat(wire->dir_fd, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(stat.st_mode) &&
	       directory_address(wire, name, &address) == 0 &&
	       connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 && errno == ECONNREFUSED;
}

/* Removes what dead processes left. Directory lock held. */
static void directory_clean(const struct seai_wire *wire)
{
	int fd = openat(wire->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		seai_close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		uint64_t id;

		bool is_dead = strncmp(entry->d_name, ".t-", 3) == 0; /* temporary, and nobody has the lock but us */

		if (seai_directory_parse_process(entry->d_name, &id))
			is_dead = seai_directory_is_dead(wire->dir_fd, id);
		else if (strncmp(entry->d_name, "d-", 2) == 0)
			is_dead = directory_is_dead_device(wire, entry->d_name);
		if (is_dead)
			unlinkat(wire->dir_fd, entry->d_name, 0);
	}
	rewinddir(dir);
	while ((entry = readdir(dir))) {
		char target[64];
		ssize_t n;
		uint64_t id;

		if (strncmp(entry->d_name, "c-", 2) != 0)
			continue;
		n = readlinkat(wire->dir_fd, entry->d_name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = 0;
		if (!seai_directory_parse_process(target, &id) || seai_directory_is_dead(wire->dir_fd, id))
			unlinkat(wire->dir_fd, entry->d_name, 0);
	}
	closedir(dir);
}

/* Makes a directory if need be and opens it, if it is ours and nobody else's. */
static int directory_open_own(int parent_fd, const char *path, const struct seai_wire *wire)
{
	struct stat stat;
	mode_t mode = wire->group_id ? 02770 : 0700;
	int fd;
	bool is_new = mkdirat(parent_fd, path, mode) == 0;

	if (!is_new && errno != EEXIST)
		return -errno;
	fd = directory_openat(wire, parent_fd, path, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return errno == ELOOP || errno == ENOTDIR ? -EACCES : -errno;
	if (is_new && wire->group_id) {
		/* The umask took the group's rights, and the group is not ours by default. */
		if (fchown(fd, (uid_t)-1, wire->group_id) < 0 || fchmod(fd, mode) < 0) {
			int r = -errno;

			seai_close(fd);
			return r;
		}
	}
	if (fstat(fd, &stat) < 0 || (stat.st_uid != geteuid() && !(wire->group_id && stat.st_gid == wire->group_id)) ||
	    stat.st_mode & 0002 || (stat.st_mode & 0020 && !wire->group_id)) {
		seai_close(fd);
		return -EACCES;
	}
	return fd;
}

bool seai_directory_is_session(const char *name)
{
	size_t n = strlen(name);

	if (n == 0 || n > 64 || name[0] == '.')
		return false;
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)name[i]) && !strchr("._-", name[i]))
			return false;
	return true;
}

int seai_directory_find_base(const char *chosen, char base[768])
{
	struct stat stat_buffer;

	if (!chosen || !*chosen)
		chosen = getenv("SEALANE_RUNTIME_DIR");
	if (chosen && *chosen) {
		if (strlen(chosen) >= 768)
			return -ENAMETOOLONG;
		strcpy(base, chosen);
		return 0;
	}
	snprintf(base, 768, "/run/sealane/%u", (unsigned)geteuid());
	if (stat(base, &stat_buffer) == 0 && S_ISDIR(stat_buffer.st_mode))
		return 0;
	snprintf(base, 768, "/tmp/sealane-%u", (unsigned)geteuid());
	return 0;
}

/* The socket is bound under a temporary name and listens before it gets its own: who finds it can connect. */
static int directory_listen(struct seai_wire *wire)
{
	SEAI_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	char temporary[40];
	int r;

	if (fd < 0)
		return -errno;
	snprintf(temporary, sizeof(temporary), ".t-%016llx", (unsigned long long)wire->session->id);
	r = directory_address(wire, temporary, &address);
	if (r < 0)
		return r;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	if (wire->group_id)
		(void)fchmodat(wire->dir_fd, temporary, 0660, 0);
	SEAI_POINT("directory: temporary socket");
	if (listen(fd, 4096) < 0 || renameat(wire->dir_fd, temporary, wire->dir_fd, wire->address) < 0) {
		r = -errno;
		unlinkat(wire->dir_fd, temporary, 0);
		return r;
	}
	SEAI_POINT("directory: socket has its name");
	wire->listen_fd = seai_take_fd(&fd);
	return 0;
}

static int directory_make_status(struct seai_wire *wire)
{
	char name[40];

	snprintf(name, sizeof(name), "p-%016llx.status", (unsigned long long)wire->session->id);
	wire->status_fd = openat(wire->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
	                         wire->group_id ? 0640 : 0600);
	if (wire->status_fd < 0)
		return -errno;
	if (wire->group_id)
		(void)fchmod(wire->status_fd, 0640); /* others must see whether it is locked, whatever the umask */
	SEAI_POINT("directory: status file not locked");
	if (flock(wire->status_fd, LOCK_EX | LOCK_NB) < 0)
		return -errno;
	SEAI_POINT("directory: status file empty");
	return seai_status_write_first(wire);
}

int seai_directory_open(struct seai_wire *wire, const struct sea_session_options *options)
{
	char base[768];
	SEAI_AUTO_FD int base_fd = -1;
	SEAI_AUTO_FD int lock_fd = -1;
	int r = seai_directory_find_base(options->runtime_dir, base);

	if (r < 0)
		return r;
	base_fd = directory_open_own(AT_FDCWD, base, wire);
	if (base_fd < 0)
		return base_fd;
	wire->dir_fd = directory_open_own(base_fd, wire->session->name, wire);
	if (wire->dir_fd < 0)
		return wire->dir_fd;
	snprintf(wire->directory, sizeof(wire->directory), "%s/%s", base, wire->session->name);
	snprintf(wire->address, sizeof(wire->address), "p-%016llx.sock", (unsigned long long)wire->session->id);
	lock_fd = seai_directory_lock(wire);
	if (lock_fd < 0)
		return lock_fd;
	directory_clean(wire);
	r = directory_make_status(wire);
	if (r < 0)
		return r;
	return directory_listen(wire);
}

void seai_directory_close(struct seai_wire *wire)
{
	char name[40];
	SEAI_AUTO_FD int lock_fd = -1;

	if (wire->dir_fd < 0)
		return;
	/* Without the lock as well: nobody else removes what a living process has locked. */
	lock_fd = seai_directory_lock(wire);
	(void)lock_fd;
	if (wire->listen_fd >= 0)
		unlinkat(wire->dir_fd, wire->address, 0);
	snprintf(name, sizeof(name), "p-%016llx.status", (unsigned long long)wire->session->id);
	if (wire->status_fd >= 0)
		unlinkat(wire->dir_fd, name, 0);
	snprintf(name, sizeof(name), "p-%016llx.quota", (unsigned long long)wire->session->id);
	if (wire->session->quota)
		unlinkat(wire->dir_fd, name, 0);
	SEAI_POINT("directory: files removed");
	wire->listen_fd = seai_close(wire->listen_fd);
	wire->status_fd = seai_close(wire->status_fd);
	wire->dir_fd = seai_close(wire->dir_fd);
}

int seai_directory_name(const char *address, char name[SEAI_ADDRESS_N_BYTES])
{
	static const char *const schemes[] = { "memfd://", "shmem://", "ipc://" };
	size_t n = 0;

	if (!address)
		return -EINVAL;
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (strncmp(address, schemes[i], strlen(schemes[i])) == 0) {
			address += strlen(schemes[i]);
			break;
		}
	/* As in files that say tcp: the port is the name, whatever the host is called. */
	if (strncmp(address, "tcp://", 6) == 0) {
		const char *port = strrchr(address, ':') + 1;
		long number = strtol(port, NULL, 10);
		size_t n_digits = strspn(port, "0123456789");

		if (port == address + 4 || n_digits == 0 || n_digits > 5 || port[n_digits] || number < 1 ||
		    number > 65535)
			return -EINVAL;
		snprintf(name, SEAI_ADDRESS_N_BYTES, "c-tcp:%ld", number);
		return 0;
	}
	/* Another scheme names another transport: taken for a name, it would never meet anybody. */
	if (!*address || strlen(address) >= SEAI_ADDRESS_N_BYTES || strstr(address, "://"))
		return -EINVAL;
	name[n++] = 'c';
	name[n++] = '-';
	for (; *address; address++) {
		unsigned char c = (unsigned char)*address;

		if (c < ' ' || c == 127 || n > SEAI_ADDRESS_N_BYTES - 5)
			return -EINVAL;
		if (isalnum(c) || strchr("._-@+:,=", c)) {
			name[n++] = (char)c;
		} else {
			/* Anything else, a slash above all, by its number. */
			snprintf(name + n, 4, "%%%02X", c);
			n += 3;
		}
	}
	name[n] = 0;
	return 0;
}

uint64_t seai_directory_resolve(struct seai_wire *wire, const char *name)
{
	char target[64];
	ssize_t n = readlinkat(wire->dir_fd, name, target, sizeof(target) - 1);
	uint64_t id;

	if (n <= 0)
		return 0;
	target[n] = 0;
	return seai_directory_parse_process(target, &id) ? id : 0;
}

/*
 * Whether a process has ended although its status file is locked: a child that it forked has all its descriptors until it runs, or becomes another
 * program. Where nobody listens it is closing, which is as good.
 */
static bool directory_has_ended(struct seai_wire *wire, uint64_t id)
{
	SEAI_AUTO_FD int fd = -1;
	char name[40];

	snprintf(name, sizeof(name), "p-%016llx.sock", (unsigned long long)id);
	fd = seai_directory_connect(wire, name);
	return fd >= 0 ? seai_peer_has_ended(fd) : fd == -ECONNREFUSED;
}

int seai_directory_bind(struct seai_wire *wire, const char *name)
{
	SEAI_AUTO_FD int lock_fd = seai_directory_lock(wire);
	char temporary[40];
	uint64_t id;
	int r;

	if (lock_fd < 0)
		return lock_fd;
	id = seai_directory_resolve(wire, name);
	if (id &&
	    (id == wire->session->id || !(seai_directory_is_dead(wire->dir_fd, id) || directory_has_ended(wire, id))))
		return -EADDRINUSE;
	snprintf(temporary, sizeof(temporary), ".t-%016llx", (unsigned long long)wire->session->id);
	if (symlinkat(wire->address, wire->dir_fd, temporary) < 0)
		return -errno;
	SEAI_POINT("directory: temporary link");
	if (renameat(wire->dir_fd, temporary, wire->dir_fd, name) < 0) {
		r = -errno;
		unlinkat(wire->dir_fd, temporary, 0);
		return r;
	}
	SEAI_POINT("directory: address bound");
	return 0;
}

void seai_directory_unbind(struct seai_wire *wire, const char *name)
{
	SEAI_AUTO_FD int lock_fd = seai_directory_lock(wire);

	(void)lock_fd; /* without it as well: the name is ours */
	SEAI_POINT("directory: before an address is given up");
	if (seai_directory_resolve(wire, name) == wire->session->id)
		unlinkat(wire->dir_fd, name, 0);
}

int seai_directory_connect(struct seai_wire *wire, const char *file_name)
{
	SEAI_AUTO_FD int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un address;
	int r;

	if (fd < 0)
		return -errno;
	r = directory_address(wire, file_name, &address);
	if (r < 0)
		return r;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return seai_take_fd(&fd);
}

size_t seai_directory_list(const struct seai_wire *wire, uint64_t *ids, size_t n_max)
{
	int fd = openat(wire->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	size_t n = 0;

	if (!dir) {
		seai_close(fd);
		return 0;
	}
	while (n < n_max && (entry = readdir(dir)))
		if (seai_directory_parse_process(entry->d_name, &ids[n]) && strcmp(entry->d_name + 18, ".sock") == 0 &&
		    ids[n] != wire->session->id)
			n++;
	closedir(dir);
	return n;
}
