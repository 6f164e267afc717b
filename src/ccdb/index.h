/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to the SQLite index of a store, and its prepared statements. Used by one thread at a time.
 *
 * Matching walks a covering index (path, created DESC, valid from, valid until) newest first and stops at the first that fits.
 * SQLite's R*Tree would round times in milliseconds to minutes.
 */
#ifndef SEALANE_CCDB_INDEX_H
#define SEALANE_CCDB_INDEX_H

#include <sqlite3.h>
#include <stdbool.h>

#include <sealane/ccdb/store.h>

#include "base/cleanup.h"

enum seai_index_statement {
	SEAI_INDEX_BEGIN,
	SEAI_INDEX_BEGIN_WRITE,
	SEAI_INDEX_COMMIT,
	SEAI_INDEX_ROLLBACK,
	SEAI_INDEX_PATH_ID,
	SEAI_INDEX_PATH_ADD,
	SEAI_INDEX_PATH_DROP,
	SEAI_INDEX_PATHS,
	SEAI_INDEX_FOLDERS,
	SEAI_INDEX_PATH_SUM,
	SEAI_INDEX_MATCH,
	SEAI_INDEX_FIND,
	SEAI_INDEX_NEWER,
	SEAI_INDEX_LATER,
	SEAI_INDEX_LIST,
	SEAI_INDEX_CREATED_MAX,
	SEAI_INDEX_CREATED_TAKEN,
	SEAI_INDEX_INSERT,
	SEAI_INDEX_UPDATE,
	SEAI_INDEX_DELETE,
	SEAI_INDEX_CONTENT_USED,
	SEAI_INDEX_TOTAL,
	SEAI_INDEX_N_STATEMENTS,
};

/* Columns of every statement that gives objects: MATCH, FIND, LIST. */
enum {
	SEAI_COLUMN_ID,
	SEAI_COLUMN_PATH_ID,
	SEAI_COLUMN_CREATED,
	SEAI_COLUMN_MODIFIED,
	SEAI_COLUMN_FROM,
	SEAI_COLUMN_UNTIL,
	SEAI_COLUMN_INITIAL,
	SEAI_COLUMN_UUID,
	SEAI_COLUMN_SIZE,
	SEAI_COLUMN_MD5,
	SEAI_COLUMN_CONTENT,
	SEAI_COLUMN_FILE_NAME,
	SEAI_COLUMN_TYPE,
	SEAI_COLUMN_UPLOADED_FROM,
	SEAI_COLUMN_METADATA,
	SEAI_COLUMN_PATH,
};

struct seai_index {
	sqlite3 *db;
	sqlite3_stmt *statements[SEAI_INDEX_N_STATEMENTS];
	bool in_transaction;
	struct seai_index *next;
};

/* Opens a connection. @return 0; negative errno, with the error set */
int seai_index_open(struct seai_index **ret_index, const char *file, bool read_only, bool no_sync,
                    struct sea_error *error);
struct seai_index *seai_index_close(struct seai_index *index);

/* Makes the tables where there are none, and checks that they are of a version known here. The caller holds the folder's lock. */
int seai_index_prepare(struct seai_index *index, const char *file, bool read_only, struct sea_error *error);

/* A statement, reset and ready to be bound. @return 0; negative errno */
int seai_index_get(struct seai_index *index, enum seai_index_statement which, sqlite3_stmt **ret_statement);

/* Runs a statement that gives nothing, and resets it. */
int seai_index_run(struct seai_index *index, enum seai_index_statement which);

int seai_index_begin(struct seai_index *index, bool write);
int seai_index_commit(struct seai_index *index);
/* Does nothing outside of a transaction. */
void seai_index_rollback(struct seai_index *index);

/* A negative errno for a result of SQLite. */
int seai_index_errno(int result);

/* The entry of the row at which a statement stands. @return 0; -ENOMEM; -EBADMSG a row that is none of ours */
int seai_index_entry(sqlite3_stmt *row, struct sea_ccdb_entry **ret_entry);

/* A text of a row; "" for NULL. */
const char *seai_index_text(sqlite3_stmt *row, int column);

/* @return the id of a path; -ENOENT; negative errno */
int64_t seai_index_path(struct seai_index *index, const char *path);

/* Resets a statement when it goes out of scope, so that it holds no lock. */
static inline void seai_cleanup_reset(sqlite3_stmt **statement)
{
	if (*statement)
		sqlite3_reset(*statement);
}
#define SEAI_AUTO_RESET SEAI_CLEANUP(seai_cleanup_reset)

#endif
