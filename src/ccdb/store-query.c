/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking into a store: the match of a query, and listings.
 *
 * The odd rule: how long an answer stays the same is looked for in two ways. Among the few objects that are newer than the match, if they
 * are few; else by where validity begins, where the first that is newer is near as a rule.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "ccdb/check.h"
#include "ccdb/entry.h"
#include "ccdb/store.h"

#define QUERY_N_NEWER 64

static int64_t query_not_before(const struct sea_ccdb_store_query *query)
{
	return query->not_before_ms > 0 ? query->not_before_ms : INT64_MIN;
}

static int64_t query_not_after(const struct sea_ccdb_store_query *query)
{
	return query->not_after_ms > 0 ? query->not_after_ms : INT64_MAX;
}

/* What the statement has not asked for already. */
static bool query_fits_row(const struct sea_ccdb_store_query *query, sqlite3_stmt *row)
{
	const int64_t created = sqlite3_column_int64(row, SEAI_COLUMN_CREATED);
	char uuid[SEA_CCDB_STORE_UUID_N_BYTES];

	if (query->has_time && (sqlite3_column_int64(row, SEAI_COLUMN_FROM) > query->time_ms ||
	                        sqlite3_column_int64(row, SEAI_COLUMN_UNTIL) <= query->time_ms))
		return false;
	if (created < query_not_before(query) || created > query_not_after(query))
		return false;
	if (query->uuid) {
		if (sqlite3_column_bytes(row, SEAI_COLUMN_UUID) != 16)
			return false;
		seai_uuid_format(sqlite3_column_blob(row, SEAI_COLUMN_UUID), uuid);
		if (strcasecmp(uuid, query->uuid) != 0)
			return false;
	}
	return query->n_metadata == 0 ||
	       seai_metadata_fits(seai_index_text(row, SEAI_COLUMN_METADATA), query->metadata, query->n_metadata);
}

static int index_find(struct seai_index *index, const char *uuid, sqlite3_stmt **ret_row)
{
	uint8_t bytes[16];
	int r = seai_uuid_parse(uuid, bytes);

	if (r == 0)
		r = seai_index_get(index, SEAI_INDEX_FIND, ret_row);
	if (r < 0)
		return r;
	sqlite3_bind_blob(*ret_row, 1, bytes, 16, SQLITE_TRANSIENT);
	r = sqlite3_step(*ret_row);
	return r == SQLITE_ROW ? 0 : r == SQLITE_DONE ? -ENOENT : seai_index_errno(r);
}

/* With a uuid there is one candidate at most. */
static int match_by_uuid(struct seai_index *index, const struct sea_ccdb_store_query *query,
                         struct sea_ccdb_entry **ret_entry)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	const int r = index_find(index, query->uuid, &row);

	if (r < 0)
		return r == -EINVAL ? -ENOENT : r;
	if (strcmp(seai_index_text(row, SEAI_COLUMN_PATH), query->path) != 0 || !query_fits_row(query, row))
		return -ENOENT;
	return seai_index_entry(row, ret_entry);
}

int seai_store_match(struct seai_index *index, const struct sea_ccdb_store_query *query,
                     struct sea_ccdb_entry **ret_entry)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	const int64_t path = seai_index_path(index, query->path);
	int r;

	if (path < 0)
		return (int)path;
	if (query->uuid)
		return match_by_uuid(index, query, ret_entry);
	r = seai_index_get(index, SEAI_INDEX_MATCH, &row);
	if (r < 0)
		return r;
	sqlite3_bind_int64(row, 1, path);
	sqlite3_bind_int64(row, 2, query->time_ms);
	sqlite3_bind_int64(row, 3, query_not_before(query));
	sqlite3_bind_int64(row, 4, query_not_after(query));
	while ((r = sqlite3_step(row)) == SQLITE_ROW)
		if (query_fits_row(query, row))
			return seai_index_entry(row, ret_entry);
	return r == SQLITE_DONE ? -ENOENT : seai_index_errno(r);
}

static void bind_newer(sqlite3_stmt *row, int64_t path, const struct sea_ccdb_store_query *query,
                       const struct sea_ccdb_entry *entry)
{
	sqlite3_bind_int64(row, 1, path);
	sqlite3_bind_int64(row, 2, entry->created_ms);
	sqlite3_bind_int64(row, 3, query_not_after(query));
}

/* Looks at all newer objects if there are few. @return 1 done; 0 there are many */
static int until_by_newer(struct seai_index *index, int64_t path, const struct sea_ccdb_store_query *query,
                          struct sea_ccdb_entry *entry)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	int64_t until = entry->valid_until_ms;
	int r = seai_index_get(index, SEAI_INDEX_NEWER, &row), n = 0;

	if (r < 0)
		return r;
	bind_newer(row, path, query, entry);
	while ((r = sqlite3_step(row)) == SQLITE_ROW) {
		const int64_t from = sqlite3_column_int64(row, 0);

		if (++n > QUERY_N_NEWER)
			return 0;
		if (from > query->time_ms && from < until)
			until = from;
	}
	entry->cache_valid_until_ms = until;
	return r == SQLITE_DONE ? 1 : seai_index_errno(r);
}

static int until_by_from(struct seai_index *index, int64_t path, const struct sea_ccdb_store_query *query,
                         struct sea_ccdb_entry *entry)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	int r = seai_index_get(index, SEAI_INDEX_LATER, &row);

	if (r < 0)
		return r;
	bind_newer(row, path, query, entry);
	sqlite3_bind_int64(row, 4, query->time_ms);
	sqlite3_bind_int64(row, 5, entry->valid_until_ms);
	while ((r = sqlite3_step(row)) == SQLITE_ROW) {
		if (query->n_metadata == 0 ||
		    seai_metadata_fits(seai_index_text(row, 1), query->metadata, query->n_metadata)) {
			entry->cache_valid_until_ms = sqlite3_column_int64(row, 0);
			return 0;
		}
	}
	return seai_index_errno(r);
}

/* Until when the same query with a later time has the same answer. */
static int match_until(struct seai_index *index, const struct sea_ccdb_store_query *query, struct sea_ccdb_entry *entry)
{
	const int64_t path = seai_index_path(index, query->path);
	int r;

	/* A uuid has no rival. */
	if (path < 0 || query->uuid)
		return path < 0 ? (int)path : 0;
	if (query->n_metadata == 0) {
		r = until_by_newer(index, path, query, entry);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return until_by_from(index, path, query, entry);
}

static void entry_cleanup(struct sea_ccdb_entry **entry)
{
	sea_ccdb_entry_free(*entry);
}

int sea_ccdb_store_match(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query,
                         struct sea_ccdb_entry **ret_entry)
{
	SEAI_CLEANUP(entry_cleanup) struct sea_ccdb_entry *entry = NULL;
	SEAI_STORE_USE(use, store);
	int r;

	if (!query->path || !query->has_time)
		return -EINVAL;
	r = seai_store_take(store, &use.index);
	/* One transaction: both looks see the same index. */
	if (r == 0)
		r = seai_index_begin(use.index, false);
	if (r == 0)
		r = seai_store_match(use.index, query, &entry);
	if (r == 0)
		r = entry ? match_until(use.index, query, entry) : -EBADMSG;
	if (r == 0)
		r = seai_index_commit(use.index);
	if (r == 0)
		*ret_entry = SEAI_TAKE(entry);
	return r;
}

int sea_ccdb_store_find(struct sea_ccdb_store *store, const char *uuid, struct sea_ccdb_entry **ret_entry)
{
	SEAI_STORE_USE(use, store);
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	int r = seai_store_take(store, &use.index);

	if (r == 0)
		r = index_find(use.index, uuid, &row);
	return r < 0 ? r : seai_index_entry(row, ret_entry);
}

/* Listings. ------------------------------------------------------------------------------------ */

/* The objects of one path. @return how many; -ECANCELED when the callback ended it, with its answer */
static int64_t list_path(struct seai_index *index, int64_t path, const struct sea_ccdb_store_query *query,
                         uint64_t n_max, sea_ccdb_entry_fn *function, void *userdata, int *ret_answer)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	uint64_t n = 0;
	int r = seai_index_get(index, SEAI_INDEX_LIST, &row);

	if (r < 0)
		return r;
	sqlite3_bind_int64(row, 1, path);
	sqlite3_bind_int64(row, 2, query_not_before(query));
	sqlite3_bind_int64(row, 3, query_not_after(query));
	while (n < n_max && (r = sqlite3_step(row)) == SQLITE_ROW) {
		SEAI_CLEANUP(entry_cleanup) struct sea_ccdb_entry *entry = NULL;

		if (!query_fits_row(query, row))
			continue;
		r = seai_index_entry(row, &entry);
		if (r < 0)
			return r;
		n++;
		*ret_answer = function(entry, userdata);
		if (*ret_answer != 0)
			return -ECANCELED;
	}
	r = n < n_max ? seai_index_errno(r) : 0;
	return r < 0 ? r : (int64_t)n;
}

int64_t sea_ccdb_store_list(struct sea_ccdb_store *store, const struct sea_ccdb_store_query *query, int latest,
                            uint64_t n_max, sea_ccdb_entry_fn *function, void *userdata)
{
	const char *pattern = query->path && *query->path ? query->path : "*";
	const size_t n_prefix = seai_pattern_prefix(pattern);
	SEAI_AUTO_FREE char *prefix = strndup(pattern, n_prefix);
	SEAI_STORE_USE(use, store);
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	uint64_t n = 0;
	int answer = 0, r = prefix ? seai_store_take(store, &use.index) : -ENOMEM;

	n_max = n_max ? n_max : UINT64_MAX;
	if (r == 0)
		r = seai_index_begin(use.index, false);
	if (r == 0)
		r = seai_index_get(use.index, SEAI_INDEX_PATHS, &row);
	if (r < 0)
		return r;
	sqlite3_bind_text(row, 1, prefix, -1, SQLITE_STATIC);
	while (n < n_max && (r = sqlite3_step(row)) == SQLITE_ROW) {
		const char *path = seai_index_text(row, 1);
		int64_t n_path;

		if (strncmp(path, pattern, n_prefix) != 0)
			break;
		if (!seai_pattern_match(pattern, path))
			continue;
		n_path = list_path(use.index, sqlite3_column_int64(row, 0), query, latest ? 1 : n_max - n, function,
		                   userdata, &answer);
		if (n_path < 0)
			return n_path == -ECANCELED && answer != 0 ? answer : n_path;
		n += (uint64_t)n_path;
	}
	r = n < n_max ? seai_index_errno(r) : 0;
	return r < 0 ? r : (int64_t)n;
}

/* Adds what stands under one path to its folder. */
static int folder_add(struct seai_index *index, int64_t path, bool is_own, struct sea_ccdb_folder *folder)
{
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	int r = seai_index_get(index, SEAI_INDEX_PATH_SUM, &row);

	if (r < 0)
		return r;
	sqlite3_bind_int64(row, 1, path);
	r = sqlite3_step(row);
	if (r != SQLITE_ROW)
		return seai_index_errno(r);
	*(is_own ? &folder->n_own : &folder->n_below) += (uint64_t)sqlite3_column_int64(row, 0);
	*(is_own ? &folder->n_bytes_own : &folder->n_bytes_below) += (uint64_t)sqlite3_column_double(row, 1);
	return 0;
}

struct folder_walk {
	char name[SEA_CCDB_PATH_N_MAX + 1]; /* "" before the first */
	struct sea_ccdb_folder folder;
	sea_ccdb_folder_fn *function;
	void *userdata;
	int64_t n;
};

static int walk_end_folder(struct folder_walk *walk)
{
	if (!walk->name[0])
		return 0;
	walk->n++;
	walk->folder.name = walk->name;
	return walk->function(&walk->folder, walk->userdata);
}

/* One path, in order: it belongs to the folder of before, or begins the next. n is the length of the folder's name. */
static int walk_path(struct folder_walk *walk, const char *path, size_t n)
{
	int r;

	if (n >= sizeof(walk->name))
		return -EBADMSG;
	if (strncmp(walk->name, path, n) == 0 && walk->name[n] == 0)
		return 0;
	r = walk_end_folder(walk);
	if (r != 0)
		return r;
	memcpy(walk->name, path, n);
	walk->name[n] = 0;
	walk->folder = (struct sea_ccdb_folder){ 0 };
	return 0;
}

int64_t sea_ccdb_store_folders(struct sea_ccdb_store *store, const char *path, int sizes, sea_ccdb_folder_fn *function,
                               void *userdata)
{
	struct folder_walk walk = { .function = function, .userdata = userdata };
	const size_t n_path = path ? strlen(path) : 0;
	SEAI_AUTO_FREE char *prefix = NULL;
	SEAI_STORE_USE(use, store);
	SEAI_AUTO_RESET sqlite3_stmt *row = NULL;
	size_t n_prefix;
	int r;

	if (n_path > 0 && !seai_pattern_is_exact(path))
		return 0;
	if (asprintf(&prefix, "%s%s", n_path ? path : "", n_path ? "/" : "") < 0) {
		prefix = NULL;
		return -ENOMEM;
	}
	n_prefix = strlen(prefix);
	r = seai_store_take(store, &use.index);
	if (r == 0)
		r = seai_index_begin(use.index, false);
	if (r == 0)
		r = seai_index_get(use.index, SEAI_INDEX_FOLDERS, &row);
	if (r < 0)
		return r;
	sqlite3_bind_text(row, 1, prefix, -1, SQLITE_STATIC);
	while ((r = sqlite3_step(row)) == SQLITE_ROW) {
		const char *name = seai_index_text(row, 1);
		const size_t n = n_prefix + strcspn(name + (strlen(name) > n_prefix ? n_prefix : strlen(name)), "/");

		if (strncmp(name, prefix, n_prefix) != 0)
			continue;
		r = walk_path(&walk, name, n);
		if (r == 0 && sizes)
			r = folder_add(use.index, sqlite3_column_int64(row, 0), name[n] == 0, &walk.folder);
		if (r != 0)
			return r;
	}
	r = seai_index_errno(r);
	if (r == 0)
		r = walk_end_folder(&walk);
	return r != 0 ? r : walk.n;
}
