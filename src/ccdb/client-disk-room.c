/* SPDX-License-Identifier: Apache-2.0 */
/* Making room in the folder of objects. What is removed under a reader's hands stays readable for it. */
#include "ccdb/client-disk-room.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Nobody writes one file for that long. */
#define TEMPORARY_S 3600

struct found {
	int64_t used_ns;
	uint64_t n_bytes;
	char name[72];
};

struct list {
	struct found *found;
	size_t n;
	size_t n_room;
	uint64_t n_bytes;
};

static void list_add(struct list *list, const char *name, const struct stat *status)
{
	if (list->n == list->n_room) {
		size_t n_room = list->n_room ? list->n_room * 2 : 64;
		struct found *more = realloc(list->found, n_room * sizeof(*more));

		/* Then fewer are known, and the next time is soon. */
		if (!more)
			return;
		list->found = more;
		list->n_room = n_room;
	}
	list->found[list->n] = (struct found){ .used_ns = (int64_t)status->st_mtim.tv_sec * 1000000000 +
		                                          status->st_mtim.tv_nsec,
		                               .n_bytes = (uint64_t)status->st_size };
	snprintf(list->found[list->n].name, sizeof(list->found[0].name), "%s", name);
	list->n++;
	list->n_bytes += (uint64_t)status->st_size;
}

static DIR *open_dir(int at, const char *name)
{
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir)
		seai_close(fd);
	return dir;
}

static void look_at_folder(struct seai_disk *disk, const char *folder, struct list *list)
{
	DIR *dir = open_dir(disk->fd, folder);
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		struct stat status;
		char name[72];
		int n = snprintf(name, sizeof(name), "%s/%s", folder, entry->d_name);

		if (entry->d_name[0] == '.' || n < 0 || n >= (int)sizeof(name) ||
		    fstatat(disk->fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(status.st_mode))
			continue;
		if (strncmp(entry->d_name, "tmp-", 4) != 0)
			list_add(list, name, &status);
		else if (status.st_mtim.tv_sec < time(NULL) - TEMPORARY_S)
			unlinkat(disk->fd, name, 0);
	}
	if (dir)
		closedir(dir);
}

static int compare_found(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

void seai_disk_make_room(struct seai_disk *disk)
{
	SEAI_AUTO_FD int lock = openat(disk->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	struct list list = { 0 };
	struct dirent *entry;
	DIR *dir;

	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		return;
	dir = open_dir(disk->fd, ".");
	while (dir && (entry = readdir(dir)))
		if (strlen(entry->d_name) == 32)
			look_at_folder(disk, entry->d_name, &list);
	if (dir)
		closedir(dir);
	disk->n_written = 0;
	if (list.n_bytes > disk->n_bytes_max) {
		qsort(list.found, list.n, sizeof(list.found[0]), compare_found);
		for (size_t i = 0; i < list.n && list.n_bytes > disk->n_bytes_max / 10 * 9; i++)
			if (unlinkat(disk->fd, list.found[i].name, 0) == 0)
				list.n_bytes -= list.found[i].n_bytes;
	}
	free(list.found);
}
