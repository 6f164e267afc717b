/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A column: a view of the buffers of one field of a batch, in place. Nothing is copied and nothing is owned: it is valid as long as
 * the batch, its reader, and the memory these read.
 *
 * There are two ways to its values. The functions below find them through dictionaries, run ends and unions, and check each step before
 * they make it, so they are safe on any batch that a reader has given, whatever its writer did; a wrong step is -EBADMSG. And
 * the members: what the reader has checked by itself is said at each; the rest is checked by sea_arrow_column_check().
 *
 * That holds for memory that does not change any more, as sealed memory does not. Where a peer can still write (a shared heap) the functions are
 * safe all the same, the members of variable-sized types are not: their offsets may change after they were checked.
 */
#ifndef SEALANE_ARROW_COLUMN_H
#define SEALANE_ARROW_COLUMN_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/schema.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What the functions that look at one row return where that row is null. */
#define SEA_ARROW_IS_NULL 1

/** A piece of memory. */
struct sea_arrow_buffer {
	const void *data; /**< NULL where n_bytes is 0 */
	uint64_t n_bytes; /**< size */
};

/**
 * A column of a batch. Its rows lie at offset to offset + n_rows - 1 of its buffers; offset is 0 in all that was read from a stream. Buffers of
 * streams that others wrote are aligned to 8 bytes only, imported ones to nothing.
 */
struct sea_arrow_column {
	const struct sea_arrow_field *field; /**< name and type */
	int64_t n_rows;                      /**< 0 or more */
	int64_t n_nulls;                     /**< -1: not counted */
	int64_t offset;                      /**< of its first row in the buffers below */
	const uint8_t *validity; /**< one bit per row, least significant first, 1: not null; NULL: no row is null */
	/**
	 * int32 or int64, n_rows + 1 (list views and dense unions: n_rows): where each row begins. Checked: never falling, and
	 * within data, or within the child; but not those of views and unions. NULL where the type has none, or n_rows is 0.
	 */
	const void *offsets;
	const void *sizes; /**< list views only: int32 or int64, n_rows: items of each row. Not checked */
	const void
		*data; /**< values; bits of bool; indices where field->index_bits; views; type ids (int8) of unions */
	uint64_t n_data_bytes;                   /**< size of data; checked: enough for its rows */
	const struct sea_arrow_buffer *variadic; /**< of views: where longer values lie */
	size_t n_variadic;                       /**< how many */
	struct sea_arrow_column *children; /**< n_children of them, as field->children; NULL where field->index_bits */
	size_t n_children;                 /**< 0 where field->index_bits */
	const struct sea_arrow_column
		*dictionary; /**< the values that indices are of; NULL: none has come (all rows are null) */
	/**
	 * In a dictionary that came in pieces (deltas): the piece before this one; NULL: this is the first. Indices below first_row are of it.
	 */
	const struct sea_arrow_column *previous;
	int64_t first_row; /**< in a dictionary: the index that its first row has; 0 unless there is a piece before it */
	uint64_t version;  /**< of a dictionary: another one for each that the reader or import has seen */
};

/**
 * Whether a row is null: in the column itself, or in what it stands for in a dictionary, behind run ends, in a union.
 * @param row 0 to n_rows - 1
 * @return 0 it is not; SEA_ARROW_IS_NULL; -EINVAL no such row; -EBADMSG the column is malformed there. Any thread. Since 0.4.
 */
int sea_arrow_column_is_null(const struct sea_arrow_column *column, int64_t row);

/**
 * Finds where a row's value lies: follows dictionaries, run ends and unions to a column that holds values.
 * @param ret_column, ret_row receive the place
 * @return as sea_arrow_column_is_null(); untouched unless 0. Any thread. Since 0.4.
 */
int sea_arrow_column_resolve(const struct sea_arrow_column *column, int64_t row,
                             const struct sea_arrow_column **ret_column, int64_t *ret_row);

/**
 * A value of an int, bool, date, time, timestamp, duration or year-month interval column, in the column's unit.
 * @return 0; SEA_ARROW_IS_NULL; -EINVAL no such row, or no such type; -ERANGE an unsigned value above INT64_MAX; -EBADMSG the column is malformed
 *         there. Any thread. Since 0.4.
 */
int sea_arrow_column_get_int(const struct sea_arrow_column *column, int64_t row, int64_t *ret_value);

/** As sea_arrow_column_get_int(); -ERANGE a value below 0. Any thread. Since 0.4. */
int sea_arrow_column_get_uint(const struct sea_arrow_column *column, int64_t row, uint64_t *ret_value);

/** A value of a float column of any width; else as sea_arrow_column_get_int(). Any thread. Since 0.4. */
int sea_arrow_column_get_double(const struct sea_arrow_column *column, int64_t row, double *ret_value);

/**
 * The bytes of a value, in place: of text and binary of all kinds, fixed-size binary, and any other type of a fixed width of whole bytes.
 * Text is not checked to be UTF-8.
 * @param ret_data never NULL on success, also for 0 bytes
 * @return 0; SEA_ARROW_IS_NULL; -EINVAL no such row, or no such type; -EBADMSG the column is malformed there. Any thread. Since 0.4.
 */
int sea_arrow_column_get_bytes(const struct sea_arrow_column *column, int64_t row, const void **ret_data,
                               size_t *ret_n_bytes);

/**
 * The items of a list, list view, fixed-size list or map.
 * @param ret_items receives the column of the items; of a map: a struct of key and value
 * @param ret_first, ret_n_items receive which rows of it
 * @return 0; SEA_ARROW_IS_NULL; -EINVAL no such row, or no such type; -EBADMSG the column is malformed there. Any thread. Since 0.4.
 */
int sea_arrow_column_get_items(const struct sea_arrow_column *column, int64_t row,
                               const struct sea_arrow_column **ret_items, int64_t *ret_first, int64_t *ret_n_items);

/**
 * The run that a row of a run-end encoded column lies in, found by halving.
 * @param ret_value_row receives the row of children[1] that holds the value
 * @param ret_end receives the first row behind the run, at most n_rows
 * @return 0; -EINVAL no such row, or no such column; -EBADMSG the run ends are malformed there. Any thread. Since 0.4.
 */
int sea_arrow_column_get_run(const struct sea_arrow_column *column, int64_t row, int64_t *ret_value_row,
                             int64_t *ret_end);

/**
 * Checks every row: offsets, indices within the dictionary, run ends rising and enough, type ids and offsets of unions, views within
 * their buffers, UTF-8 of text; and all of its children and its dictionary. Afterwards its members can be used as they are.
 * @param error NULL, or receives what is wrong; its key is the path of the field
 * @return 0; -EBADMSG it is malformed. O(rows). Any thread. Since 0.4.
 */
int sea_arrow_column_check(const struct sea_arrow_column *column, struct sea_error *error);

#ifdef __cplusplus
}
#endif
#endif
