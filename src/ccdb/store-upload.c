/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New objects. A content is written to a temporary file, goes to the disk, then by a hard link into its place, and then its row is
 * written. A process killed in between leaves a temporary file, which nobody holds locked, or a content without a row.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "ccdb/check.h"
#include "ccdb/entry.h"
#include "ccdb/store.h"

/* Bytes of a content that are compared at once. */
#define COMPARE_N_BYTES ((size_t)65536)

struct sea_ccdb_upload {
	struct sea_ccdb_store *store;
	int fd;
	char name[48]; /* in tmp/ */
	uint64_t n_bytes;
	uint64_t n_bytes_max;
	MD5_CTX md5;
	int error;
};

/* Where the bytes of a new object are: in a temporary file, or still in memory. */
struct content {
	int fd; /* -1: in memory */
	const char *name;
	const void *data;
	uint64_t n_bytes;
	uint8_t md5[16];
	char hex[SEA_CCDB_MD5_N_BYTES];
};

/* Temporary files. ----------------------------------------------------------------------------- */

static int upload_open(struct sea_ccdb_upload *upload)
{
	for (;;) {
		struct stat status;
		uint64_t random = 0;

		(void)!getrandom(&random, sizeof(random), 0);
		snprintf(upload->name, sizeof(upload->name), "tmp/%d-%016" PRIx64, (int)getpid(), random);
		upload->fd = openat(upload->store->dir_fd, upload->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (upload->fd < 0 && errno == EEXIST)
			continue;
		if (upload->fd < 0)
			return -errno;
		/* Who opens the store may have taken it for dead before it was locked: then it is gone. */
		if (flock(upload->fd, LOCK_EX | LOCK_NB) == 0 && fstat(upload->fd, &status) == 0 && status.st_nlink > 0)
			return 0;
		upload->fd = seai_close(upload->fd);
	}
}

int sea_ccdb_upload_new(struct sea_ccdb_upload **ret_upload, struct sea_ccdb_store *store, uint64_t n_bytes_max)
{
	SEAI_AUTO_FREE struct sea_ccdb_upload *upload = NULL;
	int r;

	if (store->read_only)
		return -EROFS;
	upload = calloc(1, sizeof(*upload));
	if (!upload)
		return -ENOMEM;
	upload->store = store;
	upload->n_bytes_max = n_bytes_max ? n_bytes_max : INT64_MAX;
	MD5Init(&upload->md5);
	r = upload_open(upload);
	if (r < 0)
		return r;
	*ret_upload = SEAI_TAKE(upload);
	return 0;
}

struct sea_ccdb_upload *sea_ccdb_upload_free(struct sea_ccdb_upload *upload)
{
	if (!upload)
		return NULL;
	/* Unlinked while it is locked, so that nobody finds it unlocked. */
	unlinkat(upload->store->dir_fd, upload->name, 0);
	seai_close(upload->fd);
	free(upload);
	return NULL;
}

static void upload_cleanup(struct sea_ccdb_upload **upload)
{
	sea_ccdb_upload_free(*upload);
}

int sea_ccdb_upload_write(struct sea_ccdb_upload *upload, const void *data, size_t n_bytes)
{
	const uint8_t *at = data;

	if (upload->error)
		return upload->error;
	if (n_bytes > upload->n_bytes_max - upload->n_bytes)
		return upload->error = -E2BIG;
	MD5Update(&upload->md5, data, n_bytes);
	upload->n_bytes += n_bytes;
	while (n_bytes > 0) {
		const ssize_t n = write(upload->fd, at, n_bytes);

		if (n < 0 && errno != EINTR)
			return upload->error = -errno;
		at += n > 0 ? n : 0;
		n_bytes -= n > 0 ? (size_t)n : 0;
	}
	return 0;
}

/* Contents in their place. --------------------------------------------------------------------- */

/* Whether a file has just these bytes. @return 1, 0, negative errno */
static int content_is_same(const struct content *content, int fd)
{
	SEAI_AUTO_FREE char *buffer = malloc(2 * COMPARE_N_BYTES);
	uint64_t at = 0;

	if (!buffer)
		return -ENOMEM;
	while (at < content->n_bytes) {
		const size_t n_wanted = content->n_bytes - at < COMPARE_N_BYTES ? content->n_bytes - at
		                                                                : COMPARE_N_BYTES;
		const ssize_t n = pread(fd, buffer, n_wanted, (off_t)at);
		const char *other = buffer + COMPARE_N_BYTES;

		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (content->fd < 0)
			other = (const char *)content->data + at;
		else if (pread(content->fd, buffer + COMPARE_N_BYTES, (size_t)n, (off_t)at) != n)
			return -EIO;
		if (memcmp(buffer, other, (size_t)n) != 0)
			return 0;
		at += (uint64_t)n;
	}
	return 1;
}

/* Looks whether a content is there already. @return 1 it is; 0 another one has its name; -ENOENT nothing is there */
static int content_find(const struct sea_ccdb_store *store, const struct content *content, const char *name)
{
	char path[SEAI_CONTENT_N_BYTES];
	SEAI_AUTO_FD int fd = -1;
	struct stat status;

	seai_store_content_path(name, path);
	fd = openat(store->dir_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &status) < 0)
		return -errno;
	/* A file of another length is damaged: it gets no second name for that. */
	return (uint64_t)status.st_size == content->n_bytes ? content_is_same(content, fd) : 0;
}

/* A folder's entries are on the disk when it has been synced itself. */
static int folder_sync(const struct sea_ccdb_store *store, const char *path)
{
	SEAI_AUTO_FD int fd = -1;

	if (store->no_sync)
		return 0;
	fd = openat(store->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int content_link(const struct sea_ccdb_store *store, const struct content *content, const char *name)
{
	char path[SEAI_CONTENT_N_BYTES], folder[16];
	int r;

	seai_store_content_path(name, path);
	snprintf(folder, sizeof(folder), "data/%.2s", name);
	if (linkat(store->dir_fd, content->name, store->dir_fd, path, 0) == 0)
		return folder_sync(store, folder);
	if (errno != ENOENT)
		return -errno;
	if (mkdirat(store->dir_fd, folder, 0777) < 0 && errno != EEXIST)
		return -errno;
	r = folder_sync(store, "data");
	if (r < 0)
		return r;
	return linkat(store->dir_fd, content->name, store->dir_fd, path, 0) < 0 ? -errno : folder_sync(store, folder);
}

/* Puts a content where it belongs, unless the same is there. The lock on contents is held. */
static int content_place(struct sea_ccdb_store *store, const struct content *content,
                         char ret_name[static SEAI_CONTENT_N_BYTES])
{
	SEAI_CLEANUP(upload_cleanup) struct sea_ccdb_upload *upload = NULL;
	struct content file = *content;
	unsigned number = 0;
	int r;

	for (;;) {
		seai_store_content_name(content->hex, content->n_bytes, number, ret_name);
		r = content_find(store, content, ret_name);
		if (r > 0)
			return 0;
		if (r == 0) {
			number++;
			continue;
		}
		if (r != -ENOENT)
			return r;
		if (file.fd < 0 && !upload) {
			r = sea_ccdb_upload_new(&upload, store, 0);
			if (r == 0)
				r = sea_ccdb_upload_write(upload, content->data, content->n_bytes);
			if (r < 0)
				return r;
			file.fd = upload->fd;
			file.name = upload->name;
		}
		if (!store->no_sync && fsync(file.fd) < 0)
			return -errno;
		r = content_link(store, &file, ret_name);
		/* Another process may have put one there since. */
		if (r != -EEXIST)
			return r;
	}
}

/* Rows. ---------------------------------------------------------------------------------------- */

static int put_check(const struct sea_ccdb_put *put, struct sea_error *error)
{
	int r = seai_check_path(put->path, error);

	if (r == 0)
		r = seai_check_metadata(put->metadata, put->n_metadata, error);
	if (r < 0)
		return r;
	if (put->valid_from_ms < 0 || put->valid_until_ms > SEA_CCDB_TIME_MAX_MS)
		return sea_error_set(error, -EINVAL, "validity", "is not within 0 and %" PRId64 " ms",
		                     SEA_CCDB_TIME_MAX_MS);
	if (put->valid_until_ms <= put->valid_from_ms)
		return sea_error_set(error, -EINVAL, "validity", "ends (%" PRId64 ") before it begins (%" PRId64 ")",
		                     put->valid_until_ms, put->valid_from_ms);
	if (put->created_ms < 0 || put->created_ms > SEA_CCDB_TIME_MAX_MS)
		return sea_error_set(error, -EINVAL, "created", "is not within 0 and %" PRId64 " ms",
		                     SEA_CCDB_TIME_MAX_MS);
	if (put->uuid && !seai_check_uuid(put->uuid, strlen(put->uuid)))
		return sea_error_set(error, -EINVAL, "uuid", "is none");
	if ((put->file_name && (!seai_check_text(put->file_name) || strlen(put->file_name) > 255)) ||
	    (put->content_type && (!seai_check_text(put->content_type) || strlen(put->content_type) > 255)) ||
	    (put->uploaded_from && (!seai_check_text(put->uploaded_from) || strlen(put->uploaded_from) > 255)))
		return sea_error_set(
			error, -EINVAL, "file name",
			"it, the content type or the uploader has more than 255 bytes, or a control character");
	return 0;
}

/* Finds or adds a path. @return its id */
static int64_t row_path(struct seai_index *index, const char *path)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	const int64_t id = seai_index_path(index, path);
	int r;

	if (id != -ENOENT)
		return id;
	r = seai_index_get(index, SEAI_INDEX_PATH_ADD, &row);
	if (r < 0)
		return r;
	sqlite3_bind_text(row, 1, path, -1, SQLITE_STATIC);
	r = sqlite3_step(row);
	return r == SQLITE_DONE ? sqlite3_last_insert_rowid(index->db) : seai_index_errno(r);
}

/* When an object is created: now, but later than all of its path; or when it says, or next to it where that is taken. */
static int row_created(struct seai_index *index, int64_t path, const struct sea_ccdb_put *put, int64_t *ret_created_ms)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	int64_t created = put->created_ms ? put->created_ms : seai_store_now_ms();
	int r = seai_index_get(index, put->created_ms ? SEAI_INDEX_CREATED_TAKEN : SEAI_INDEX_CREATED_MAX, &row);

	if (r < 0)
		return r;
	sqlite3_bind_int64(row, 1, path);
	if (!put->created_ms) {
		r = sqlite3_step(row);
		if (r != SQLITE_ROW)
			return seai_index_errno(r);
		if (sqlite3_column_type(row, 0) != SQLITE_NULL && sqlite3_column_int64(row, 0) >= created)
			created = sqlite3_column_int64(row, 0) + 1;
		*ret_created_ms = created;
		return 0;
	}
	for (;; created++) {
		sqlite3_reset(row);
		sqlite3_bind_int64(row, 2, created);
		r = sqlite3_step(row);
		if (r == SQLITE_ROW)
			continue;
		*ret_created_ms = created;
		return seai_index_errno(r);
	}
}

static int row_insert(struct seai_index *index, const struct sea_ccdb_put *put, const struct content *content,
                      const char *name, uint8_t ret_uuid[static 16])
{
	SEAI_AUTO_FREE char *metadata = seai_metadata_pack(put->metadata, put->n_metadata);
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	const int64_t path = metadata ? row_path(index, put->path) : -ENOMEM;
	int64_t created = 0;
	int r = path < 0 ? (int)path : row_created(index, path, put, &created);

	if (r == 0)
		r = seai_index_get(index, SEAI_INDEX_INSERT, &row);
	if (r < 0)
		return r;
	if (put->uuid)
		seai_uuid_parse(put->uuid, ret_uuid);
	else
		seai_uuid_new(created, ret_uuid);
	sqlite3_bind_int64(row, 1, path);
	sqlite3_bind_int64(row, 2, created);
	sqlite3_bind_int64(row, 3, put->valid_from_ms);
	sqlite3_bind_int64(row, 4, put->valid_until_ms);
	sqlite3_bind_blob(row, 5, ret_uuid, 16, SQLITE_STATIC);
	sqlite3_bind_int64(row, 6, (int64_t)content->n_bytes);
	sqlite3_bind_blob(row, 7, content->md5, 16, SQLITE_STATIC);
	sqlite3_bind_text(row, 8, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 9, put->file_name && *put->file_name ? put->file_name : "data", -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 10,
	                  put->content_type && *put->content_type ? put->content_type : "application/octet-stream", -1,
	                  SQLITE_STATIC);
	sqlite3_bind_text(row, 11, put->uploaded_from ? put->uploaded_from : "", -1, SQLITE_STATIC);
	sqlite3_bind_text(row, 12, metadata, -1, SQLITE_STATIC);
	return seai_index_errno(sqlite3_step(row));
}

/* Content and row of one object, in an open transaction for writing, or before it. */
static int put_error(int r, const struct sea_ccdb_put *put, struct sea_error *error)
{
	if (r == -EEXIST)
		return sea_error_set(error, r, "uuid", "%s: an object of that uuid is there",
		                     put->uuid ? put->uuid : "");
	return sea_error_set(error, r, put->path, "%s",
	                     r == -EBUSY ? "another process holds the index for too long" : sea_error_text(r));
}

int sea_ccdb_upload_commit(struct sea_ccdb_upload *upload, const struct sea_ccdb_put *put,
                           struct sea_ccdb_entry **ret_entry, struct sea_error *error)
{
	struct sea_ccdb_store *store = upload->store;
	struct content content = { .fd = upload->fd, .name = upload->name, .n_bytes = upload->n_bytes };
	char name[SEAI_CONTENT_N_BYTES], text[SEA_CCDB_STORE_UUID_N_BYTES];
	MD5_CTX md5 = upload->md5;
	SEAI_AUTO_FD int lock = -1;
	SEAI_STORE_USE(use, store);
	uint8_t uuid[16];
	int r = put_check(put, error);

	if (r < 0)
		return r;
	if (upload->error)
		return put_error(upload->error, put, error);
	MD5Final(content.md5, &md5);
	seai_hex(content.md5, 16, content.hex);
	/* Synced before anything is locked: that is what takes long. */
	if (!store->no_sync && fsync(upload->fd) < 0)
		return put_error(-errno, put, error);
	lock = seai_store_lock(store, LOCK_SH);
	r = lock < 0 ? lock : content_place(store, &content, name);
	if (r == 0)
		r = seai_store_take(store, &use.index);
	if (r == 0)
		r = seai_index_begin(use.index, true);
	if (r == 0)
		r = row_insert(use.index, put, &content, name, uuid);
	if (r == 0)
		r = seai_index_commit(use.index);
	if (r < 0)
		return put_error(r, put, error);
	seai_uuid_format(uuid, text);
	return ret_entry ? sea_ccdb_store_find(store, text, ret_entry) : 0;
}

static int put_one(struct sea_ccdb_store *store, struct seai_index *index, const struct sea_ccdb_put *put,
                   uint8_t ret_uuid[static 16], struct sea_error *error)
{
	struct content content = { .fd = -1, .data = put->data, .n_bytes = put->n_bytes };
	char name[SEAI_CONTENT_N_BYTES];
	MD5_CTX md5;
	int r = put_check(put, error);

	if (r < 0)
		return r;
	MD5Init(&md5);
	MD5Update(&md5, put->data, put->n_bytes);
	MD5Final(content.md5, &md5);
	seai_hex(content.md5, 16, content.hex);
	r = content_place(store, &content, name);
	if (r == 0)
		r = row_insert(index, put, &content, name, ret_uuid);
	return r < 0 ? put_error(r, put, error) : 0;
}

static int put_all(struct sea_ccdb_store *store, const struct sea_ccdb_put *puts, size_t n_puts,
                   uint8_t ret_uuid[static 16], struct sea_error *error)
{
	SEAI_AUTO_FD int lock = -1;
	SEAI_STORE_USE(use, store);
	int r;

	if (store->read_only)
		return sea_error_set(error, -EROFS, store->directory, "was opened for reading only");
	lock = seai_store_lock(store, LOCK_SH);
	r = lock < 0 ? lock : seai_store_take(store, &use.index);
	if (r == 0)
		r = seai_index_begin(use.index, true);
	if (r < 0)
		return sea_error_set(error, r, store->directory, "%s", sea_error_text(r));
	for (size_t i = 0; i < n_puts; i++) {
		r = put_one(store, use.index, &puts[i], ret_uuid, error);
		if (r < 0 && error && n_puts > 1) {
			char key[sizeof(error->key)];

			snprintf(key, sizeof(key), "object %zu: %.80s", i, error->key);
			memcpy(error->key, key, sizeof(key));
		}
		if (r < 0)
			return r;
	}
	r = seai_index_commit(use.index);
	return r < 0 ? sea_error_set(error, r, store->directory, "%s", sea_error_text(r)) : 0;
}

int sea_ccdb_store_put(struct sea_ccdb_store *store, const struct sea_ccdb_put *put, struct sea_ccdb_entry **ret_entry,
                       struct sea_error *error)
{
	char text[SEA_CCDB_STORE_UUID_N_BYTES];
	uint8_t uuid[16];
	const int r = put_all(store, put, 1, uuid, error);

	if (r < 0 || !ret_entry)
		return r;
	seai_uuid_format(uuid, text);
	return sea_ccdb_store_find(store, text, ret_entry);
}

int sea_ccdb_store_put_many(struct sea_ccdb_store *store, const struct sea_ccdb_put *puts, size_t n_puts,
                            struct sea_error *error)
{
	uint8_t uuid[16];

	return put_all(store, puts, n_puts, uuid, error);
}
