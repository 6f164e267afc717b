/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing and removing objects. Contents that no row names any more go at once if no upload is being committed just then; else
 * sea_ccdb_store_gc() finds them.
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

#include "ccdb/check.h"
#include "ccdb/entry.h"
#include "ccdb/store.h"

static void entry_cleanup(struct sea_ccdb_entry **entry)
{
	sea_ccdb_entry_free(*entry);
}

/* Update. -------------------------------------------------------------------------------------- */

static size_t pairs_find(const struct sea_ccdb_pair *pairs, size_t n_pairs, const char *key)
{
	for (size_t i = 0; i < n_pairs; i++)
		if (strcmp(pairs[i].key, key) == 0)
			return i;
	return n_pairs;
}

/* What an object has, with what is set. Borrows all strings. @return how many; -EINVAL too many */
static int metadata_merge(const struct sea_ccdb_entry *entry, const struct sea_ccdb_pair *set, size_t n_set,
                          struct sea_ccdb_pair ret_pairs[static SEA_CCDB_METADATA_N_MAX + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < entry->n_metadata && n < SEA_CCDB_METADATA_N_MAX; i++)
		if (pairs_find(set, n_set, entry->metadata[i].key) == n_set)
			ret_pairs[n++] = entry->metadata[i];
	for (size_t i = 0; i < n_set && n <= SEA_CCDB_METADATA_N_MAX; i++)
		if (set[i].value[0])
			ret_pairs[n++] = set[i];
	return n > SEA_CCDB_METADATA_N_MAX ? -EINVAL : (int)n;
}

static int index_update(struct seai_index *index, const struct sea_ccdb_entry *entry, int64_t until_ms,
                        const char *metadata)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	uint8_t uuid[16];
	int r = seai_index_get(index, SEAI_INDEX_UPDATE, &row);

	if (r == 0)
		r = seai_uuid_parse(entry->uuid, uuid);
	if (r < 0)
		return r;
	sqlite3_bind_blob(row, 1, uuid, 16, SQLITE_STATIC);
	sqlite3_bind_int64(row, 2, until_ms);
	sqlite3_bind_text(row, 3, metadata, -1, SQLITE_STATIC);
	sqlite3_bind_int64(row, 4, seai_store_now_ms());
	return seai_index_errno(sqlite3_step(row));
}

/* Changes an entry's row. @return 1; 0 nothing to change */
static int update_entry(struct seai_index *index, const struct sea_ccdb_entry *entry, int64_t until_ms,
                        const struct sea_ccdb_pair *set, size_t n_set, struct sea_error *error)
{
	struct sea_ccdb_pair pairs[SEA_CCDB_METADATA_N_MAX + 1];
	SEAI_AUTO_FREE char *before = seai_metadata_pack(entry->metadata, entry->n_metadata);
	SEAI_AUTO_FREE char *after = NULL;
	int n = metadata_merge(entry, set, n_set, pairs), r;

	if (n < 0)
		return sea_error_set(error, n, "metadata", "more than %d keys", SEA_CCDB_METADATA_N_MAX);
	r = seai_check_metadata(pairs, (size_t)n, error);
	if (r < 0)
		return r;
	if (until_ms < 0)
		until_ms = entry->valid_until_ms;
	if (until_ms <= entry->valid_from_ms || until_ms > SEA_CCDB_TIME_MAX_MS)
		return sea_error_set(error, -EINVAL, "validity",
		                     "cannot end at %" PRId64 ": the object is valid from %" PRId64 ", and %" PRId64
		                     " is the latest",
		                     until_ms, entry->valid_from_ms, SEA_CCDB_TIME_MAX_MS);
	after = seai_metadata_pack(pairs, (size_t)n);
	if (!before || !after)
		return -ENOMEM;
	if (until_ms == entry->valid_until_ms && strcmp(before, after) == 0)
		return 0;
	r = index_update(index, entry, until_ms, after);
	return r < 0 ? r : 1;
}

int sea_ccdb_store_update(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query,
                          int64_t valid_until_ms, const struct sea_ccdb_pair *metadata, size_t n_metadata,
                          struct sea_ccdb_entry **ret_entry, struct sea_error *error)
{
	SEAI_CLEANUP(entry_cleanup) struct sea_ccdb_entry *entry = NULL;
	SEAI_STORE_USE(use, store);
	int changed = 0, r;

	if (store->read_only)
		return sea_error_set(error, -EROFS, store->directory, "was opened for reading only");
	if (!query->path || !query->has_time)
		return sea_error_set(error, -EINVAL, "query", "has no path or no time");
	r = seai_store_take(store, &use.index);
	if (r == 0)
		r = seai_index_begin(use.index, true);
	if (r == 0)
		r = seai_store_match(use.index, query, &entry);
	if (r < 0 || !entry) {
		r = r < 0 ? r : -EBADMSG;
		return sea_error_set(error, r, query->path, "%s", r == -ENOENT ? "nothing fits" : sea_error_text(r));
	}
	if (error)
		error->code = 0;
	changed = update_entry(use.index, entry, valid_until_ms, metadata, n_metadata, error);
	if (changed < 0)
		return error && error->code ? changed
		                            : sea_error_set(error, changed, query->path, "%s", sea_error_text(changed));
	r = seai_index_commit(use.index);
	if (r == 0 && ret_entry)
		r = sea_ccdb_store_find(store, entry->uuid, ret_entry);
	return r < 0 ? sea_error_set(error, r, query->path, "%s", sea_error_text(r)) : changed;
}

/* Remove. -------------------------------------------------------------------------------------- */

static int content_is_used(struct seai_index *index, const char *content)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	int r = seai_index_get(index, SEAI_INDEX_CONTENT_USED, &row);

	if (r < 0)
		return r;
	sqlite3_bind_text(row, 1, content, -1, SQLITE_STATIC);
	r = sqlite3_step(row);
	return r == SQLITE_ROW ? 1 : seai_index_errno(r);
}

/* Removes a content that no row names; the lock on contents is held exclusively. @return 1 removed; 0 it is used, or not there */
static int content_remove(const struct sea_ccdb_store *store, struct seai_index *index, const char *content)
{
	char path[SEAI_CONTENT_N_BYTES];
	const int r = content_is_used(index, content);

	if (r != 0)
		return r < 0 ? r : 0;
	seai_store_content_path(content, path);
	return unlinkat(store->dir_fd, path, 0) == 0;
}

/* @return 1; 0 somebody else has removed it, or its path too */
static int index_delete(struct seai_index *index, const struct sea_ccdb_entry *entry)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL, *path = NULL;
	const int64_t path_id = seai_index_path(index, entry->path);
	uint8_t uuid[16];
	int r = path_id < 0 ? (int)path_id : seai_index_get(index, SEAI_INDEX_DELETE, &row), n;

	if (r == 0)
		r = seai_uuid_parse(entry->uuid, uuid);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	sqlite3_bind_blob(row, 1, uuid, 16, SQLITE_STATIC);
	r = seai_index_errno(sqlite3_step(row));
	n = sqlite3_changes(index->db);
	if (r == 0)
		r = seai_index_get(index, SEAI_INDEX_PATH_DROP, &path);
	if (r < 0)
		return r;
	sqlite3_bind_int64(path, 1, path_id);
	r = seai_index_errno(sqlite3_step(path));
	return r < 0 ? r : n;
}

/* Entries that a listing found. */
struct removal {
	struct sea_ccdb_entry **entries;
	size_t n;
	size_t n_room;
};

static void removal_cleanup(const struct removal *removal)
{
	for (size_t i = 0; i < removal->n; i++)
		free(removal->entries[i]);
	free(removal->entries);
}

/* Keeps what is needed of an entry: its path, uuid and content. */
static int removal_add(const struct sea_ccdb_entry *entry, void *userdata)
{
	const struct seai_entry_texts kept = { entry->path, "", "", "", entry->content, "" };
	struct removal *removal = userdata;

	if (removal->n == removal->n_room) {
		const size_t n_room = removal->n_room ? 2 * removal->n_room : 64;
		struct sea_ccdb_entry **entries = reallocarray(removal->entries, n_room, sizeof(void *));

		if (!entries)
			return -ENOMEM;
		removal->entries = entries;
		removal->n_room = n_room;
	}
	removal->entries[removal->n] = seai_entry_new(&kept);
	if (!removal->entries[removal->n])
		return -ENOMEM;
	memcpy(removal->entries[removal->n++]->uuid, entry->uuid, sizeof(entry->uuid));
	return 0;
}

/* After the rows are gone: their contents too, if nobody is about to name one. */
static void removal_contents(struct sea_ccdb_store *store, struct seai_index *index, const struct removal *removal)
{
	SEAI_AUTO_FD int lock = seai_store_lock(store, LOCK_EX | LOCK_NB);

	for (size_t i = 0; i < removal->n && lock >= 0; i++)
		(void)content_remove(store, index, removal->entries[i]->content);
}

int sea_ccdb_store_remove(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query)
{
	SEAI_CLEANUP(entry_cleanup) struct sea_ccdb_entry *entry = NULL;
	SEAI_STORE_USE(use, store);
	int r;

	if (store->read_only)
		return -EROFS;
	if (!query->path || !query->has_time)
		return -EINVAL;
	r = seai_store_take(store, &use.index);
	if (r == 0)
		r = seai_index_begin(use.index, true);
	if (r == 0)
		r = seai_store_match(use.index, query, &entry);
	if (r == 0)
		r = entry ? index_delete(use.index, entry) : -EBADMSG;
	if (r >= 0)
		r = seai_index_commit(use.index);
	if (r == 0 && entry)
		removal_contents(store, use.index, &(struct removal){ .entries = &entry, .n = 1 });
	return r;
}

int64_t sea_ccdb_store_truncate(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query)
{
	SEAI_CLEANUP(removal_cleanup) struct removal removal = { 0 };
	SEAI_STORE_USE(use, store);
	int64_t n;
	int r;

	if (store->read_only)
		return -EROFS;
	if (!query->path || !*query->path)
		return -EINVAL;
	/* What is uploaded between this look and the transaction stays. */
	n = sea_ccdb_store_list(store, query, 0, 0, removal_add, &removal);
	if (n <= 0)
		return n;
	r = seai_store_take(store, &use.index);
	if (r == 0)
		r = seai_index_begin(use.index, true);
	n = 0;
	for (size_t i = 0; i < removal.n && r >= 0; i++) {
		r = index_delete(use.index, removal.entries[i]);
		n += r > 0;
	}
	if (r >= 0)
		r = seai_index_commit(use.index);
	if (r < 0)
		return r;
	removal_contents(store, use.index, &removal);
	return n;
}

/* Garbage. ------------------------------------------------------------------------------------- */

static int gc_folder(const struct sea_ccdb_store *store, struct seai_index *index, int folder_fd,
                     struct sea_ccdb_gc *gc)
{
	DIR *folder = fdopendir(folder_fd);
	const struct dirent *item;
	int r = 0;

	if (!folder) {
		seai_close(folder_fd);
		return -ENOMEM;
	}
	while (r >= 0 && (item = readdir(folder))) {
		struct stat status;

		if (item->d_name[0] == '.' || strlen(item->d_name) >= SEAI_CONTENT_N_BYTES - 16 ||
		    fstatat(dirfd(folder), item->d_name, &status, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		r = content_remove(store, index, item->d_name);
		gc->n_contents += r == 0;
		gc->n_removed += r == 1;
		gc->n_bytes_removed += r == 1 ? (uint64_t)status.st_size : 0;
	}
	closedir(folder);
	return r < 0 ? r : 0;
}

int sea_ccdb_store_gc(struct sea_ccdb_store *store, struct sea_ccdb_gc *ret_gc)
{
	struct sea_ccdb_gc gc = { 0 };
	SEAI_AUTO_FD int lock = -1;
	SEAI_STORE_USE(use, store);
	int r;

	if (store->read_only)
		return -EROFS;
	lock = seai_store_lock(store, LOCK_EX);
	r = lock < 0 ? lock : seai_store_take(store, &use.index);
	for (unsigned i = 0; i < 256 && r == 0; i++) {
		char path[16];
		int fd;

		snprintf(path, sizeof(path), "data/%02x", i);
		fd = openat(store->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 && errno == ENOENT)
			continue;
		r = fd < 0 ? -errno : gc_folder(store, use.index, fd, &gc);
	}
	if (r == 0 && ret_gc)
		*ret_gc = gc;
	return r;
}
