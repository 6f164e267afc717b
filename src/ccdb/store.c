/* SPDX-License-Identifier: Apache-2.0 */
/* A store: its folder, its connections to the index, its contents for reading. */
#include "ccdb/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "ccdb/check.h"

int64_t seai_store_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int seai_store_lock(const struct sea_ccdb_store *store, int how)
{
	SEAI_AUTO_FD int fd = openat(store->dir_fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);

	if (fd < 0)
		return -errno;
	while (flock(fd, how) < 0)
		if (errno != EINTR)
			return -errno;
	return seai_take_fd(&fd);
}

int seai_store_take(struct sea_ccdb_store *store, struct seai_index **ret_index)
{
	struct seai_index *index;

	pthread_mutex_lock(&store->lock);
	index = store->free_indexes;
	if (index)
		store->free_indexes = index->next;
	pthread_mutex_unlock(&store->lock);
	if (index) {
		*ret_index = index;
		return 0;
	}
	return seai_index_open(ret_index, store->index_file, store->read_only, store->no_sync, NULL);
}

void seai_store_give(struct sea_ccdb_store *store, struct seai_index *index)
{
	seai_index_rollback(index);
	pthread_mutex_lock(&store->lock);
	index->next = store->free_indexes;
	store->free_indexes = index;
	pthread_mutex_unlock(&store->lock);
}

/* Removes temporary files whose writer is dead: it held a lock on them. */
static void store_bury(const struct sea_ccdb_store *store)
{
	SEAI_AUTO_FD int fd = openat(store->dir_fd, "tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *item;

	if (!directory)
		return;
	/* The stream closes it. */
	(void)seai_take_fd(&fd);
	while ((item = readdir(directory))) {
		SEAI_AUTO_FD int file = -1;

		if (item->d_name[0] == '.')
			continue;
		file = openat(dirfd(directory), item->d_name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		/* One that was just made and is not locked yet may go as well: its writer sees that and makes another. */
		if (file >= 0 && flock(file, LOCK_EX | LOCK_NB) == 0)
			unlinkat(dirfd(directory), item->d_name, 0);
	}
	closedir(directory);
}

static int store_make_folders(struct sea_ccdb_store *store, const char *directory, struct sea_error *error)
{
	static const char *const folders[] = { "data", "tmp" };

	if (!store->read_only && mkdir(directory, 0777) < 0 && errno != EEXIST)
		return sea_error_set(error, -errno, directory, "%s", strerror(errno));
	store->dir_fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->dir_fd < 0)
		return sea_error_set(error, -errno, directory, "%s", strerror(errno));
	for (size_t i = 0; i < 2 && !store->read_only; i++)
		if (mkdirat(store->dir_fd, folders[i], 0777) < 0 && errno != EEXIST)
			return sea_error_set(error, -errno, directory, "%s: %s", folders[i], strerror(errno));
	store->directory = realpath(directory, NULL);
	if (!store->directory || asprintf(&store->index_file, "%s/index.sqlite", store->directory) < 0) {
		store->index_file = NULL;
		return sea_error_set(error, -ENOMEM, directory, "no memory");
	}
	return 0;
}

/* Opens the index, and makes it under a lock: two that turn a new file into WAL mode at once fail. */
static int store_open_index(struct sea_ccdb_store *store, struct sea_error *error)
{
	struct seai_index *index = NULL;
	int r;

	while (!store->read_only && flock(store->dir_fd, LOCK_EX) < 0)
		if (errno != EINTR)
			return sea_error_set(error, -errno, store->directory, "cannot be locked: %s", strerror(errno));
	r = seai_index_open(&index, store->index_file, store->read_only, store->no_sync, error);
	if (r == 0)
		r = seai_index_prepare(index, store->index_file, store->read_only, error);
	if (!store->read_only)
		flock(store->dir_fd, LOCK_UN);
	if (r == 0)
		seai_store_give(store, index);
	else
		seai_index_close(index);
	return r;
}

static void store_cleanup(struct sea_ccdb_store **store)
{
	sea_ccdb_store_close(*store);
}

int sea_ccdb_store_open(struct sea_ccdb_store **ret_store, const char *directory,
                        const struct sea_ccdb_store_options *options, struct sea_error *error)
{
	static const struct sea_ccdb_store_options defaults;
	SEAI_CLEANUP(store_cleanup) struct sea_ccdb_store *store = NULL;
	int r;

	options = options ? options : &defaults;
	for (size_t i = 0; i < sizeof(options->reserved) / sizeof(options->reserved[0]); i++)
		if (options->reserved[i])
			return sea_error_set(error, -EINVAL, "reserved", "is not 0");
	store = calloc(1, sizeof(*store));
	if (!store)
		return sea_error_set(error, -ENOMEM, directory, "no memory");
	store->dir_fd = -1;
	store->read_only = options->read_only;
	store->no_sync = options->no_sync;
	pthread_mutex_init(&store->lock, NULL);
	r = store_make_folders(store, directory, error);
	if (r == 0)
		r = store_open_index(store, error);
	if (r < 0)
		return r;
	if (!store->read_only)
		store_bury(store);
	*ret_store = SEAI_TAKE(store);
	return 0;
}

struct sea_ccdb_store *sea_ccdb_store_close(struct sea_ccdb_store *store)
{
	if (!store)
		return NULL;
	while (store->free_indexes) {
		struct seai_index *index = store->free_indexes;

		store->free_indexes = index->next;
		seai_index_close(index);
	}
	seai_close(store->dir_fd);
	pthread_mutex_destroy(&store->lock);
	free(store->index_file);
	free(store->directory);
	free(store);
	return NULL;
}

/* Contents. ------------------------------------------------------------------------------------ */

void seai_store_content_path(const char *content, char ret_path[static SEAI_CONTENT_N_BYTES])
{
	snprintf(ret_path, SEAI_CONTENT_N_BYTES, "data/%.2s/%s", content, content);
}

void seai_store_content_name(const char *md5, uint64_t n_bytes, unsigned number,
                             char ret_name[static SEAI_CONTENT_N_BYTES])
{
	if (number == 0)
		snprintf(ret_name, SEAI_CONTENT_N_BYTES, "%.32s-%" PRIu64, md5, n_bytes);
	else
		snprintf(ret_name, SEAI_CONTENT_N_BYTES, "%.32s-%" PRIu64 "-%u", md5, n_bytes, number);
}

int sea_ccdb_store_open_content(struct sea_ccdb_store *store, const struct sea_ccdb_entry *entry)
{
	char path[SEAI_CONTENT_N_BYTES];
	SEAI_AUTO_FD int fd = -1;
	struct stat status;

	if (strspn(entry->content, "0123456789abcdef-") != strlen(entry->content) || strlen(entry->content) < 32)
		return -EBADMSG;
	seai_store_content_path(entry->content, path);
	fd = openat(store->dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	if (!S_ISREG(status.st_mode) || (uint64_t)status.st_size != entry->n_bytes)
		return -EBADMSG;
	return seai_take_fd(&fd);
}

int sea_ccdb_store_total(struct sea_ccdb_store *store, struct sea_ccdb_total *ret_total)
{
	SEAI_STORE_USE(use, store);
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	int r = seai_store_take(store, &use.index);

	if (r == 0)
		r = seai_index_get(use.index, SEAI_INDEX_TOTAL, &row);
	if (r < 0)
		return r;
	r = sqlite3_step(row);
	if (r != SQLITE_ROW)
		return seai_index_errno(r);
	ret_total->n_paths = (uint64_t)sqlite3_column_int64(row, 0);
	ret_total->n_objects = (uint64_t)sqlite3_column_int64(row, 1);
	ret_total->n_bytes = (uint64_t)sqlite3_column_double(row, 2);
	return 0;
}
