/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session quota: what all processes of a session may take from the kernel together.
 *
 * Each process has a reservation in a file of its own, p-<id>.quota beside its status file, and grows it in steps under
 * the directory's lock if the sum over the living still fits. Only who takes new memory looks; who has warm memory never does.
 * The odd rule: nobody's number is ever written by another, so a process that is killed anywhere leaves a valid file, and
 * with its status file's lock goes what it had reserved. One that lies about itself is believed: it could take the memory as well.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/point.h"
#include "wire/wire.h"

/* A file is just this, so that it is written by one call: "quota <16 hex> reserved <16 hex>\n". */
#define QUOTA_FILE_N_BYTES 49
#define QUOTA_STEP_SHARE 64u
#define QUOTA_STEP_LEAST_N_BYTES ((uint64_t)1 << 20)
/* The lock is held for microseconds. Here it is asked for with the books lock held: whoever keeps it longer makes us fail, not wait. */
#define QUOTA_N_LOCK_TRIES 20
#define QUOTA_LOCK_PAUSE_NS 50000

static void quota_file_name(char name[40], uint64_t id)
{
	snprintf(name, 40, "p-%016" PRIx64 ".quota", id);
}

static int quota_write(const struct seai_wire *wire, uint64_t n_bytes_reserved)
{
	char name[40], text[QUOTA_FILE_N_BYTES + 1];
	SEAI_AUTO_FD int fd = -1;

	quota_file_name(name, wire->session->id);
	fd = openat(wire->dir_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, wire->group_id ? 0640 : 0600);
	if (fd < 0)
		return -errno;
	if (wire->group_id)
		(void)fchmod(fd, 0640);
	snprintf(text, sizeof(text), "quota %016" PRIx64 " reserved %016" PRIx64 "\n", wire->session->quota,
	         n_bytes_reserved);
	SEAI_POINT("quota: not written");
	if (pwrite(fd, text, QUOTA_FILE_N_BYTES, 0) != QUOTA_FILE_N_BYTES)
		return -ENOSPC;
	SEAI_POINT("quota: written");
	return 0;
}

/* Another's file. False: empty, or not such a file. */
static bool quota_read(const struct seai_wire *wire, const char *name, uint64_t *ret_quota, uint64_t *ret_reserved)
{
	SEAI_AUTO_FD int fd = openat(wire->dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[QUOTA_FILE_N_BYTES + 1] = { 0 };

	if (fd < 0 || pread(fd, text, QUOTA_FILE_N_BYTES, 0) != QUOTA_FILE_N_BYTES)
		return false;
	return sscanf(text, "quota %16" SCNx64 " reserved %16" SCNx64, ret_quota, ret_reserved) == 2 && *ret_quota;
}

/* Sums up what the other living processes have, and finds the quota that they go by; 0: none of them has one. Directory lock held. */
static int quota_look_around(const struct seai_wire *wire, uint64_t *ret_quota, uint64_t *ret_reserved)
{
	int fd = openat(wire->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	uint64_t found = 0, sum = 0;
	struct dirent *entry;

	if (!dir) {
		seai_close(fd);
		return -EMFILE;
	}
	while ((entry = readdir(dir))) {
		uint64_t id, quota, reserved;

		if (!seai_directory_parse_process(entry->d_name, &id) || strcmp(entry->d_name + 18, ".quota") != 0 ||
		    id == wire->session->id || !quota_read(wire, entry->d_name, &quota, &reserved) ||
		    seai_directory_is_dead(wire->dir_fd, id))
			continue;
		found = quota;
		sum = reserved > UINT64_MAX - sum ? UINT64_MAX : sum + reserved;
	}
	closedir(dir);
	*ret_quota = found;
	*ret_reserved = sum;
	return 0;
}

/* $SEALANE_SESSION_QUOTA: a number with an optional K, M, G or T. 0 or -EINVAL. */
static int quota_from_environment(uint64_t *ret_quota)
{
	static const char units[] = "KMGT";
	const char *text = getenv("SEALANE_SESSION_QUOTA"), *unit;
	unsigned long long number;
	unsigned shift = 0;
	char *end;

	if (!text || !*text)
		return 0;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (end == text || errno || *text == '-')
		return -EINVAL;
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned)(unit - units + 1);
		end += strcmp(end + 1, "iB") == 0 ? 3 : 1;
	}
	if (*end || number > UINT64_MAX >> shift)
		return -EINVAL;
	*ret_quota = (uint64_t)number << shift;
	return 0;
}

int seai_quota_open(struct seai_wire *wire, uint64_t quota)
{
	struct sea_session *session = wire->session;
	SEAI_AUTO_FD int lock_fd = -1;
	uint64_t theirs, reserved;
	int r = quota ? 0 : quota_from_environment(&quota);

	if (r < 0)
		return r;
	lock_fd = seai_directory_lock(wire);
	if (lock_fd < 0)
		return lock_fd;
	r = quota_look_around(wire, &theirs, &reserved);
	if (r < 0)
		return r;
	if (quota && theirs && quota != theirs) {
		seai_log(session, SEA_LOG_ERROR,
		         "session %s: its quota is %llu bytes, set by a process that is there; this one asks for %llu",
		         session->name, (unsigned long long)theirs, (unsigned long long)quota);
		return -EEXIST;
	}
	session->quota = theirs ? theirs : quota;
	return session->quota ? quota_write(wire, 0) : 0;
}

void seai_quota_reserve(struct sea_session *session, uint64_t n_bytes)
{
	struct seai_wire *wire = session->wire;
	const struct timespec pause = { .tv_nsec = QUOTA_LOCK_PAUSE_NS };
	uint64_t step = session->quota / QUOTA_STEP_SHARE, wanted, theirs, reserved;
	SEAI_AUTO_FD int fd = -1;

	if (n_bytes > session->quota)
		return;
	fd = openat(wire->dir_fd, ".lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return;
	for (int i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == QUOTA_N_LOCK_TRIES)
			return;
		nanosleep(&pause, NULL);
	}
	SEAI_POINT("quota: locked");
	if (quota_look_around(wire, &theirs, &reserved) < 0 || reserved > session->quota ||
	    n_bytes > session->quota - reserved)
		return;
	step = step < QUOTA_STEP_LEAST_N_BYTES ? QUOTA_STEP_LEAST_N_BYTES : step;
	wanted = n_bytes > UINT64_MAX - step ? n_bytes : (n_bytes + step - 1) / step * step;
	/* Near the end just what is needed. */
	if (wanted > session->quota - reserved)
		wanted = n_bytes;
	if (quota_write(wire, wanted) == 0)
		session->n_bytes_reserved = wanted;
}

void seai_quota_give_back(struct seai_wire *wire)
{
	struct sea_session *session = wire->session;
	uint64_t step = session->quota / QUOTA_STEP_SHARE, keep;

	if (!session->quota)
		return;
	step = step < QUOTA_STEP_LEAST_N_BYTES ? QUOTA_STEP_LEAST_N_BYTES : step;
	SEAI_LOCKED(&session->books, books);
	(void)books;
	keep = (session->n_bytes_backed + step - 1) / step * step;
	/* Without the directory's lock: our number only becomes smaller, whenever others read it. */
	if (session->n_bytes_reserved > keep && quota_write(wire, keep) == 0)
		session->n_bytes_reserved = keep;
}
