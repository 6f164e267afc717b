/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of calibration objects, as it is received: for each row of a key table (timestamps) and each column, which
 * version of which object holds. The objects are parts of the same message, each once, whatever the number of rows that name it.
 *
 *	if (sea_table_find(message, &part) == 0 && sea_table_open(&table, message, part, NULL, &error) == 0) {
 *		column = sea_table_find_column(table, "field");
 *		object = sea_table_get(table, row, column);
 *		if (object != NULL && object->status == SEA_TABLE_OK)
 *			use(object->data, object->n_bytes, object->uuid);
 *	}
 *	sea_table_close(table);
 *
 * Opening looks at the objects, not at the rows: an index is checked when it is looked at, and nothing is searched then. As long as a
 * table is open, its message is held, and no object of it can go away.
 *
 * Who wrote the table is not trusted: every part number, size and text is checked; a table that is malformed is refused, or where only some row is, that row.
 *
 * Threads: all calls on an open table but its close may be made from any thread, at once.
 */
#ifndef SEALANE_CCDB_TABLE_H
#define SEALANE_CCDB_TABLE_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/schema.h>
#include <sealane/ccdb/table-object.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_message;
struct sea_session;
struct sea_table;

/** Key of the metadata of a schema that says what a part is. */
#define SEA_TABLE_KEY "sealane.table"
/** Its value for an index table. */
#define SEA_TABLE_KIND_INDEX "index/1"
/** Its value for an object table. */
#define SEA_TABLE_KIND_OBJECTS "objects/1"
/** Key of the metadata of a field of an index table: the column's path, or paths per range of runs. */
#define SEA_TABLE_KEY_PATHS "sealane.paths"

/** How to open a table. All zero is a good start; unset members must be zero. */
struct sea_table_options {
	/**
	 * NULL: the table's objects are parts of its message, else it is refused. Otherwise those that are not are looked for by their metas in this
	 * session, and held as long as the table is open.
	 */
	struct sea_session *session;
	/** How long to wait for the owner of each such object in ns; 0 not at all, -1 for ever. */
	int64_t timeout_ns;
	/** Must be 0. */
	uint64_t reserved[4];
};

/** Rows of a column, one behind the other, for which the same version holds. To begin with, all is zero. */
struct sea_table_run {
	int64_t first_row;                     /**< 0 or more */
	int64_t n_rows;                        /**< 1 or more; 0: not begun */
	const struct sea_table_object *object; /**< the version; its status says whether it is here */
};

/**
 * Looks for a table in a message: in parts that are Arrow streams and say so.
 * @param ret_part receives the number of the first index table's part
 * @return 0; -ENOENT there is none. Any thread. Since 0.4.
 */
int sea_table_find(struct sea_message *message, size_t *ret_part);

/**
 * Opens a table in place.
 *
 * @param ret_table closed by sea_table_close()
 * @param message is held until then; the caller keeps its own reference
 * @param part the index table's; the object table is the next, the objects come after it
 * @param options NULL is all zero
 * @param error NULL, or receives what is wrong; its key is "index" or "objects", and where in it
 * @return 0; -EINVAL no such part, or options; -EBADMSG malformed; -ENOTSUP Arrow that cannot be read (compressed, big-endian); -E2BIG more than
 *         a table can have; -ENOENT an object is not in the message and there is no session to look for it; what sea_meta_hold() says of it;
 *         -ENOMEM. Any thread. Since 0.4.
 */
int sea_table_open(struct sea_table **ret_table, struct sea_message *message, size_t part,
                   const struct sea_table_options *options, struct sea_error *error);

/**
 * Closes a table: gives back its message, and what decoders know of its objects. All pointers into it are void.
 * @param table NULL is allowed. @return NULL. Any thread, but nobody may use the table any more. Since 0.4.
 */
struct sea_table *sea_table_close(struct sea_table *table);

/** Rows, of all batches. Since 0.4. */
int64_t sea_table_n_rows(const struct sea_table *table);
/** Columns. Since 0.4. */
size_t sea_table_n_columns(const struct sea_table *table);
/** Batches: the key table's. Since 0.4. */
size_t sea_table_n_batches(const struct sea_table *table);
/** Versions: rows of the object table. Since 0.4. */
size_t sea_table_n_objects(const struct sea_table *table);

/** The first row of a batch; for the number of batches, the number of rows; -EINVAL no such batch. Since 0.4. */
int64_t sea_table_batch_row(const struct sea_table *table, size_t batch);

/** Finds a column by name. @return its index; -ENOENT. Since 0.4. */
int sea_table_find_column(const struct sea_table *table, const char *name);

/** The name of a column; NULL: no such column. Since 0.4. */
const char *sea_table_column_name(const struct sea_table *table, size_t column);

/** The path of a column, or its paths per range of runs, as whoever built the table was told; NULL: no such column, or it does not say. Since 0.4. */
const char *sea_table_column_paths(const struct sea_table *table, size_t column);

/** The value of a key of the key table's metadata, such as the timeframe's number; NULL: there is none. Since 0.4. */
const char *sea_table_metadata(const struct sea_table *table, const char *key);

/** The schema of the index table: fields, and all metadata. Valid until the close. Since 0.4. */
const struct sea_arrow_schema *sea_table_schema(const struct sea_table *table);

/** A row of the object table; NULL: no such row. Valid until the close. Since 0.4. */
const struct sea_table_object *sea_table_get_object(const struct sea_table *table, size_t row);

/**
 * The version that holds for a row and column: a look-up of a few ns.
 * @return valid until the close; its status says whether the object is here. NULL: no such row or column, or what stands there names no
 *         object of this column (malformed). Since 0.4.
 */
const struct sea_table_object *sea_table_get(const struct sea_table *table, int64_t row, size_t column);

/**
 * The same for many rows of a column, faster than one by one.
 * @param objects receives n_rows pointers
 * @return 0; -EINVAL no such rows or column; -EBADMSG one of them names no object of this column: objects are of no meaning then. Since 0.4.
 */
int sea_table_get_many(const struct sea_table *table, int64_t first_row, size_t n_rows, size_t column,
                       const struct sea_table_object **objects);

/**
 * Goes to the next run of a column: rows, also of several batches, for which the same version holds.
 *
 *	struct sea_table_run run = { 0 };
 *	while (sea_table_run_next(table, column, &run) == 1)
 *		... run.object holds for run.n_rows rows from run.first_row ...
 *
 * @param run in: all zero, or the run before; out: the next one, untouched unless 1
 * @return 1; 0 there are no more rows; -EINVAL no such column, or not a run; -EBADMSG the next row names no object of this column. Since 0.4.
 */
int sea_table_run_next(const struct sea_table *table, size_t column, struct sea_table_run *run);

#ifdef __cplusplus
}
#endif
#endif
