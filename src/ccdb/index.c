/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to the SQLite index of a store. */
#include "ccdb/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ccdb/check.h"
#include "ccdb/entry.h"

#define SCHEMA_VERSION 1
/* "SeaC": so that no other program's file is taken for ours. */
#define APPLICATION_ID 0x53656143
/* Another writer may be waiting for its disk; beyond this somebody hangs. */
#define BUSY_PATIENCE_MS 10000

static const char schema[] =
	"CREATE TABLE path (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE object (id INTEGER PRIMARY KEY, path INTEGER NOT NULL REFERENCES path (id), created INTEGER NOT NULL,"
	" modified INTEGER NOT NULL, valid_from INTEGER NOT NULL, valid_until INTEGER NOT NULL, initial_until INTEGER NOT NULL,"
	" uuid BLOB NOT NULL UNIQUE, size INTEGER NOT NULL, md5 BLOB NOT NULL, content TEXT NOT NULL, file_name TEXT NOT NULL,"
	" content_type TEXT NOT NULL, uploaded_from TEXT NOT NULL, metadata TEXT NOT NULL);"
	"CREATE INDEX object_match ON object (path, created DESC, valid_from, valid_until);"
	"CREATE INDEX object_from ON object (path, valid_from, created);"
	"CREATE INDEX object_content ON object (content);"
	"PRAGMA application_id = 0x53656143;"
	"PRAGMA user_version = 1;";

#define COLUMNS                                                                                               \
	"o.id, o.path, o.created, o.modified, o.valid_from, o.valid_until, o.initial_until, o.uuid, o.size, " \
	"o.md5, o.content, o.file_name, o.content_type, o.uploaded_from, o.metadata, p.name"

static const char *const texts[SEAI_INDEX_N_STATEMENTS] = {
	[SEAI_INDEX_BEGIN] = "BEGIN",
	/* A deferred transaction that finds later that it must write may fail then; this one waits. */
	[SEAI_INDEX_BEGIN_WRITE] = "BEGIN IMMEDIATE",
	[SEAI_INDEX_COMMIT] = "COMMIT",
	[SEAI_INDEX_ROLLBACK] = "ROLLBACK",
	[SEAI_INDEX_PATH_ID] = "SELECT id FROM path WHERE name = ?1",
	[SEAI_INDEX_PATH_ADD] = "INSERT INTO path (name) VALUES (?1)",
	[SEAI_INDEX_PATH_DROP] = "DELETE FROM path WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM object WHERE path = ?1)",
	[SEAI_INDEX_PATHS] = "SELECT id, name FROM path WHERE name >= ?1 ORDER BY name",
	/* Slashes first, so that a folder and all below it stand together. */
	[SEAI_INDEX_FOLDERS] = "SELECT id, name FROM path WHERE name >= ?1 ORDER BY replace(name, '/', char(1))",
	[SEAI_INDEX_PATH_SUM] = "SELECT count(*), total(size) FROM object WHERE path = ?1",
	[SEAI_INDEX_MATCH] =
		"SELECT " COLUMNS " FROM object AS o INDEXED BY object_match CROSS JOIN path AS p ON p.id = o.path "
		"WHERE o.path = ?1 AND o.created BETWEEN ?3 AND ?4 AND o.valid_from <= ?2 AND o.valid_until > ?2 "
		"ORDER BY o.created DESC",
	[SEAI_INDEX_FIND] = "SELECT " COLUMNS
			    " FROM object AS o CROSS JOIN path AS p ON p.id = o.path WHERE o.uuid = ?1",
	[SEAI_INDEX_NEWER] = "SELECT valid_from, valid_until, id FROM object INDEXED BY object_match "
			     "WHERE path = ?1 AND created > ?2 AND created <= ?3 ORDER BY created DESC",
	[SEAI_INDEX_LATER] =
		"SELECT valid_from, metadata FROM object INDEXED BY object_from "
		"WHERE path = ?1 AND valid_from > ?4 AND valid_from < ?5 AND created > ?2 AND created <= ?3 "
		"ORDER BY valid_from",
	[SEAI_INDEX_LIST] = "SELECT " COLUMNS
			    " FROM object AS o INDEXED BY object_match CROSS JOIN path AS p ON p.id = o.path "
			    "WHERE o.path = ?1 AND o.created BETWEEN ?2 AND ?3 ORDER BY o.created DESC",
	[SEAI_INDEX_CREATED_MAX] = "SELECT max(created) FROM object WHERE path = ?1",
	[SEAI_INDEX_CREATED_TAKEN] = "SELECT 1 FROM object WHERE path = ?1 AND created = ?2",
	[SEAI_INDEX_INSERT] =
		"INSERT INTO object (path, created, modified, valid_from, valid_until, initial_until, uuid, size, "
		"md5, content, file_name, content_type, uploaded_from, metadata) "
		"VALUES (?1, ?2, ?2, ?3, ?4, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
	[SEAI_INDEX_UPDATE] = "UPDATE object SET valid_until = ?2, metadata = ?3, modified = ?4 WHERE uuid = ?1",
	[SEAI_INDEX_DELETE] = "DELETE FROM object WHERE uuid = ?1",
	[SEAI_INDEX_CONTENT_USED] = "SELECT 1 FROM object WHERE content = ?1 LIMIT 1",
	[SEAI_INDEX_TOTAL] = "SELECT (SELECT count(*) FROM path), (SELECT count(*) FROM object), "
			     "(SELECT total(size) FROM object)",
};

int seai_index_errno(int result)
{
	switch (result & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return 0;
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return -EBUSY;
	case SQLITE_NOMEM: return -ENOMEM;
	case SQLITE_FULL: return -ENOSPC;
	case SQLITE_READONLY: return -EROFS;
	case SQLITE_PERM:
	case SQLITE_AUTH: return -EACCES;
	case SQLITE_CANTOPEN: return -ENOENT;
	case SQLITE_CONSTRAINT: return -EEXIST;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_FORMAT:
	case SQLITE_SCHEMA: return -EBADMSG;
	default: return -EIO;
	}
}

struct seai_index *seai_index_close(struct seai_index *index)
{
	if (!index)
		return NULL;
	seai_index_rollback(index);
	for (size_t i = 0; i < SEAI_INDEX_N_STATEMENTS; i++)
		sqlite3_finalize(index->statements[i]);
	sqlite3_close(index->db);
	free(index);
	return NULL;
}

static void index_cleanup(struct seai_index **index)
{
	seai_index_close(*index);
}

int seai_index_open(struct seai_index **ret_index, const char *file, bool read_only, bool no_sync,
                    struct sea_error *error)
{
	SEAI_CLEANUP(index_cleanup) struct seai_index *index = calloc(1, sizeof(*index));
	int r;

	if (!index)
		return sea_error_set(error, -ENOMEM, file, "no memory");
	r = sqlite3_open_v2(file, &index->db,
	                    SQLITE_OPEN_NOMUTEX |
	                            (read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE),
	                    NULL);
	if (r == SQLITE_OK)
		r = sqlite3_busy_timeout(index->db, BUSY_PATIENCE_MS);
	if (r == SQLITE_OK)
		r = sqlite3_exec(index->db, "PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY;", NULL, NULL,
		                 NULL);
	/* FULL: what was committed is there after a loss of power. */
	if (r == SQLITE_OK && !read_only)
		r = sqlite3_exec(index->db, no_sync ? "PRAGMA synchronous = OFF" : "PRAGMA synchronous = FULL", NULL,
		                 NULL, NULL);
	if (r != SQLITE_OK)
		return sea_error_set(error, seai_index_errno(r), file, "%s",
		                     index->db ? sqlite3_errmsg(index->db) : "no memory");
	*ret_index = SEAI_TAKE(index);
	return 0;
}

static int index_number(struct seai_index *index, const char *pragma, int *ret_number)
{
	sqlite3_stmt *statement;
	int r = sqlite3_prepare_v2(index->db, pragma, -1, &statement, NULL);

	if (r != SQLITE_OK)
		return r;
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW)
		*ret_number = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return r == SQLITE_ROW ? SQLITE_OK : r == SQLITE_DONE ? SQLITE_CORRUPT : r;
}

int seai_index_prepare(struct seai_index *index, const char *file, bool read_only, struct sea_error *error)
{
	int version = 0, application = 0, n_tables = 0, r;

	r = index_number(index, "PRAGMA user_version", &version);
	if (r == SQLITE_OK)
		r = index_number(index, "PRAGMA application_id", &application);
	if (r == SQLITE_OK)
		r = index_number(index, "SELECT count(*) FROM sqlite_master", &n_tables);
	if (r != SQLITE_OK)
		return sea_error_set(error, seai_index_errno(r), file, "%s", sqlite3_errmsg(index->db));
	if (n_tables > 0 && application != APPLICATION_ID)
		return sea_error_set(error, -EBADMSG, file, "is an SQLite database, but none of a store");
	if (version > SCHEMA_VERSION)
		return sea_error_set(error, -EPROTO, file, "has version %d, made by a newer Sealane; this one knows %d",
		                     version, SCHEMA_VERSION);
	if (version == SCHEMA_VERSION)
		return 0;
	if (n_tables > 0 || read_only)
		return sea_error_set(error, -EBADMSG, file, "has no tables of a store");
	r = sqlite3_exec(index->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(index->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(index->db, schema, NULL, NULL, NULL);
	if (r == SQLITE_OK)
		r = sqlite3_exec(index->db, "COMMIT", NULL, NULL, NULL);
	return r == SQLITE_OK ? 0 : sea_error_set(error, seai_index_errno(r), file, "%s", sqlite3_errmsg(index->db));
}

int seai_index_get(struct seai_index *index, enum seai_index_statement which, sqlite3_stmt **ret_statement)
{
	if (!index->statements[which]) {
		const int r = sqlite3_prepare_v3(index->db, texts[which], -1, SQLITE_PREPARE_PERSISTENT,
		                                 &index->statements[which], NULL);

		if (r != SQLITE_OK)
			return seai_index_errno(r);
	}
	sqlite3_reset(index->statements[which]);
	*ret_statement = index->statements[which];
	return 0;
}

int seai_index_run(struct seai_index *index, enum seai_index_statement which)
{
	SEAI_AUTO_RESET sqlite3_stmt *statement = NULL;
	const int r = seai_index_get(index, which, &statement);

	return r < 0 ? r : seai_index_errno(sqlite3_step(statement));
}

int seai_index_begin(struct seai_index *index, bool write)
{
	const int r = seai_index_run(index, write ? SEAI_INDEX_BEGIN_WRITE : SEAI_INDEX_BEGIN);

	index->in_transaction = r == 0;
	return r;
}

int seai_index_commit(struct seai_index *index)
{
	const int r = seai_index_run(index, SEAI_INDEX_COMMIT);

	if (r == 0)
		index->in_transaction = false;
	else
		seai_index_rollback(index);
	return r;
}

void seai_index_rollback(struct seai_index *index)
{
	/* SQLite may have rolled back by itself after an error. */
	if (index->in_transaction && !sqlite3_get_autocommit(index->db))
		(void)seai_index_run(index, SEAI_INDEX_ROLLBACK);
	index->in_transaction = false;
}

const char *seai_index_text(sqlite3_stmt *row, int column)
{
	const unsigned char *text = sqlite3_column_text(row, column);

	return text ? (const char *)text : "";
}

int seai_index_entry(sqlite3_stmt *row, struct sea_ccdb_entry **ret_entry)
{
	const struct seai_entry_texts entry_texts = {
		.path = seai_index_text(row, SEAI_COLUMN_PATH),
		.file_name = seai_index_text(row, SEAI_COLUMN_FILE_NAME),
		.content_type = seai_index_text(row, SEAI_COLUMN_TYPE),
		.uploaded_from = seai_index_text(row, SEAI_COLUMN_UPLOADED_FROM),
		.content = seai_index_text(row, SEAI_COLUMN_CONTENT),
		.metadata = seai_index_text(row, SEAI_COLUMN_METADATA),
	};
	struct sea_ccdb_entry *entry;

	if (sqlite3_column_bytes(row, SEAI_COLUMN_UUID) != 16 || sqlite3_column_bytes(row, SEAI_COLUMN_MD5) != 16 ||
	    sqlite3_column_int64(row, SEAI_COLUMN_SIZE) < 0)
		return -EBADMSG;
	entry = seai_entry_new(&entry_texts);
	if (!entry)
		return -ENOMEM;
	seai_uuid_format(sqlite3_column_blob(row, SEAI_COLUMN_UUID), entry->uuid);
	seai_hex(sqlite3_column_blob(row, SEAI_COLUMN_MD5), 16, entry->md5);
	entry->created_ms = sqlite3_column_int64(row, SEAI_COLUMN_CREATED);
	entry->modified_ms = sqlite3_column_int64(row, SEAI_COLUMN_MODIFIED);
	entry->valid_from_ms = sqlite3_column_int64(row, SEAI_COLUMN_FROM);
	entry->valid_until_ms = sqlite3_column_int64(row, SEAI_COLUMN_UNTIL);
	entry->initial_until_ms = sqlite3_column_int64(row, SEAI_COLUMN_INITIAL);
	entry->cache_valid_until_ms = entry->valid_until_ms;
	entry->n_bytes = (uint64_t)sqlite3_column_int64(row, SEAI_COLUMN_SIZE);
	*ret_entry = entry;
	return 0;
}

int64_t seai_index_path(struct seai_index *index, const char *path)
{
	SEAI_AUTO_RESET sqlite3_stmt *statement = NULL;
	int r = seai_index_get(index, SEAI_INDEX_PATH_ID, &statement);

	if (r < 0)
		return r;
	sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
	r = sqlite3_step(statement);
	if (r == SQLITE_ROW)
		return sqlite3_column_int64(statement, 0);
	return r == SQLITE_DONE ? -ENOENT : seai_index_errno(r);
}
