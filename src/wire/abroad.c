/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address that nobody has in this session, and that somebody has in another one of this user: mostly a mistake in a command line. It is said on both
 * sides, once, and nothing else comes of it, for a peer of this session may still come.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wire/wire.h"

/* Sessions that are looked at. */
#define ABROAD_N_MAX 256

/* Who has the address in that session; 0: nobody. */
static uint64_t abroad_resolve(int parent_fd, const char *session, const char *name)
{
	SEAI_AUTO_FD int fd = openat(parent_fd, session, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat stat;
	char target[64];
	uint64_t id;
	ssize_t n;

	if (fd < 0 || fstat(fd, &stat) < 0 || stat.st_uid != geteuid())
		return 0;
	n = readlinkat(fd, name, target, sizeof(target) - 1);
	if (n <= 0)
		return 0;
	target[n] = 0;
	return seai_directory_parse_process(target, &id) ? id : 0;
}

void seai_abroad_look(struct seai_wire *wire, const struct seai_target *target)
{
	int fd = openat(wire->dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (!dir) {
		seai_close(fd);
		return;
	}
	for (int n = 0; n < ABROAD_N_MAX && (entry = readdir(dir)); n++) {
		struct seai_conn *conn;
		char file_name[300];
		uint64_t id;

		if (entry->d_name[0] == '.' || strcmp(entry->d_name, wire->session->name) == 0)
			continue;
		id = abroad_resolve(fd, entry->d_name, target->name);
		if (!id || id == wire->session->id)
			continue;
		snprintf(file_name, sizeof(file_name), "../%.200s/p-%016llx.sock", entry->d_name,
		         (unsigned long long)id);
		/* Its greeting is refused there, by name, as theirs is here. The dead do not answer. */
		if (seai_conn_connect(wire, id, file_name, &conn) < 0)
			continue;
		seai_log(
			wire->session, SEA_LOG_WARNING,
			"%s: nobody has it in this session, %s; but in session %.200s somebody has: sessions do not mix",
			target->name + 2, wire->session->name, entry->d_name);
		break;
	}
	closedir(dir);
}
