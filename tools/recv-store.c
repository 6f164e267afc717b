/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Storing below one folder. The one odd rule: no path with a slash from outside ever reaches the kernel;
 * each component is looked up alone, relative to the folder before it.
 */
#include "recv-store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cleanup.h"

void store_init(struct store *store)
{
	*store = (struct store){ .root_fd = -1, .fd = -1, .parent_fd = -1 };
}

int store_open(struct store *store, const char *path)
{
	if (mkdir(path, 0777) < 0 && errno != EEXIST)
		return -errno;
	/* The user named this folder: it may be a symbolic link. */
	store->root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return store->root_fd < 0 ? -errno : 0;
}

void store_fini(struct store *store)
{
	store_file_abort(store);
	if (store->root_fd >= 0)
		close(store->root_fd);
	for (size_t i = 0; i < store->n_folders; i++)
		free(store->folders[i].name);
	free(store->folders);
	store_init(store);
}

/* Opens a folder relative to another, making it where it is missing; never through a symbolic link. */
static int folder_enter(int parent_fd, const char *component)
{
	int fd = openat(parent_fd, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT) {
		if (mkdirat(parent_fd, component, 0777) < 0 && errno != EEXIST)
			return -errno;
		fd = openat(parent_fd, component, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	}
	return fd < 0 ? -errno : fd;
}

/* Opens the folder that holds a name. ret_base receives the last component, within the name. */
static int parent_open(const struct store *store, const char *name, const char **ret_base)
{
	TOOL_AUTO_FD int fd = openat(store->root_fd, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *slash;
	int taken;

	if (fd < 0)
		return -errno;
	while ((slash = strchr(name, '/'))) {
		char component[256];
		int next;

		if ((size_t)(slash - name) >= sizeof(component))
			return -ENAMETOOLONG;
		memcpy(component, name, (size_t)(slash - name));
		component[slash - name] = '\0';
		next = folder_enter(fd, component);
		if (next < 0)
			return next;
		close(fd);
		fd = next;
		name = slash + 1;
	}
	*ret_base = name;
	taken = fd;
	fd = -1;
	return taken;
}

int store_file_begin(struct store *store, const char *name, uint64_t number)
{
	const char *base = NULL;
	int r;

	store_file_abort(store);
	r = parent_open(store, name, &base);
	if (r < 0)
		return r;
	store->parent_fd = r;
	snprintf(store->base, sizeof(store->base), "%s", base);
	snprintf(store->temporary, sizeof(store->temporary), ".sealane-%016" PRIx64 "-%" PRIu64 ".part",
	         store->stream_id, number);
	store->fd = openat(store->parent_fd, store->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
	                   0600);
	if (store->fd < 0) {
		r = -errno;
		close(store->parent_fd);
		store->parent_fd = -1;
		return r;
	}
	return 0;
}

int store_file_write(struct store *store, const void *data, size_t n_bytes)
{
	while (n_bytes > 0) {
		ssize_t n = write(store->fd, data, n_bytes);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data = (const unsigned char *)data + n;
		n_bytes -= (size_t)n;
	}
	return 0;
}

void store_file_abort(struct store *store)
{
	if (store->fd >= 0) {
		close(store->fd);
		unlinkat(store->parent_fd, store->temporary, 0);
	}
	if (store->parent_fd >= 0)
		close(store->parent_fd);
	store->fd = store->parent_fd = -1;
}

int store_file_end(struct store *store, uint32_t mode, int64_t mtime_s, uint32_t mtime_ns)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_NOW },
		{ .tv_sec = (time_t)mtime_s, .tv_nsec = (long)mtime_ns },
	};
	int r = 0;

	/* Set-user-id and its like do not travel: whose they would be is not known here. */
	if (fchmod(store->fd, mode & 0777) < 0 || futimens(store->fd, times) < 0 ||
	    renameat(store->parent_fd, store->temporary, store->parent_fd, store->base) < 0)
		r = -errno;
	if (r < 0) {
		store_file_abort(store);
		return r;
	}
	/* What the file system could not keep (a network's, a quota's) is told at close. */
	if (close(store->fd) < 0 && errno != EINTR)
		r = -errno;
	store->fd = -1;
	store_file_abort(store);
	return r;
}

int store_folder_add(struct store *store, const char *name, uint32_t mode, int64_t mtime_s, uint32_t mtime_ns)
{
	TOOL_AUTO_FD int parent_fd = -1;
	TOOL_AUTO_FD int fd = -1;
	const char *base = NULL;
	char *copy;

	parent_fd = parent_open(store, name, &base);
	if (parent_fd < 0)
		return parent_fd;
	fd = folder_enter(parent_fd, base);
	if (fd < 0)
		return fd;
	if (store->n_folders == store->n_folders_max) {
		size_t n_max = store->n_folders_max ? 2 * store->n_folders_max : 64;
		struct store_folder *folders = reallocarray(store->folders, n_max, sizeof(*folders));

		if (!folders)
			return -ENOMEM;
		store->folders = folders;
		store->n_folders_max = n_max;
	}
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	store->folders[store->n_folders++] = (struct store_folder){ copy, mode, mtime_s, mtime_ns };
	return 0;
}

static int folder_end(const struct store *store, const struct store_folder *folder)
{
	const struct timespec times[2] = {
		{ .tv_nsec = UTIME_NOW },
		{ .tv_sec = (time_t)folder->mtime_s, .tv_nsec = (long)folder->mtime_ns },
	};
	TOOL_AUTO_FD int parent_fd = -1;
	TOOL_AUTO_FD int fd = -1;
	const char *base = NULL;

	parent_fd = parent_open(store, folder->name, &base);
	if (parent_fd < 0)
		return parent_fd;
	/* A real descriptor: fchmod() refuses one of O_PATH. */
	fd = openat(parent_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || futimens(fd, times) < 0 || fchmod(fd, folder->mode & 0777) < 0)
		return -errno;
	return 0;
}

int store_folders_end(struct store *store, const char **ret_name)
{
	int result = 0;

	/* Last to first: a folder stands after the one that holds it, which may forbid to enter it afterwards. */
	for (size_t i = store->n_folders; i-- > 0;) {
		int r = folder_end(store, &store->folders[i]);

		if (r < 0 && result == 0) {
			result = r;
			*ret_name = store->folders[i].name;
		}
	}
	return result;
}
