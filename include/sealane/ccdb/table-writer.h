/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a table of calibration objects: for each row of a key table and each column the version that holds. A plan says all there is to say: the
 * times, the intervals of each column, the objects. The writer tells how large both parts will be, to the byte, and writes them straight to where they
 * are to lie, for instance in a frame:
 *
 *	sea_table_writer_new(&writer, &plan, &error);
 *	sea_frame_new(&frame, heap, &(struct sea_frame_options){ .n_bytes_max = { sea_table_writer_n_bytes(writer) } }, -1);
 *	sea_table_writer_add_to(writer, frame, 0, &error);
 *	... sea_frame_add_part_of() for each object, in the order of their part numbers ...
 *
 * A row of whose time no interval of a column speaks is an error, and never a guess.
 *
 * Threads: a writer belongs to one thread at a time; the plan is read by it until it is freed.
 */
#ifndef SEALANE_CCDB_TABLE_WRITER_H
#define SEALANE_CCDB_TABLE_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/schema.h>
#include <sealane/ccdb/table-object.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_frame;
struct sea_table_writer;

/** Part of the index table, counted from itself. */
#define SEA_TABLE_PART_INDEX 0
/** Part of the object table, counted from the index table's. */
#define SEA_TABLE_PART_OBJECTS 1
/** Part of the first object, counted from the index table's. */
#define SEA_TABLE_PART_FIRST_OBJECT 2

/** How the index table is written. Its reader sees no difference but in size and speed. */
enum sea_table_encoding {
	SEA_TABLE_DICTIONARY =
		0, /**< int8, int16 or int32 per row and column, a dictionary of metas: 1 byte up to 128 objects */
	SEA_TABLE_RUN_ENDS = 1, /**< run-end encoded: for times that rise; at most 2^31 - 1 rows in a batch */
	SEA_TABLE_METAS = 2,    /**< a meta per row and column, 64 bytes: for readers that know neither */
};

/** For times from from_ms until before until_ms: this object. From INT64_MIN until INT64_MAX is all time, its last ms included. */
struct sea_table_interval {
	int64_t from_ms;   /**< ms since 1970 */
	int64_t until_ms;  /**< ms since 1970, more than from_ms */
	uint32_t object;   /**< row of the object table; its column is that of the interval */
	uint32_t reserved; /**< must be 0 */
};

/** What holds when in one column: sorted, no two of them at one time. Gaps are allowed where no row is. */
struct sea_table_intervals {
	const struct sea_table_interval *intervals; /**< n_intervals of them */
	size_t n_intervals;                         /**< how many */
};

/** What holds when in all columns, for rows of one kind: for instance those of one run. */
struct sea_table_group {
	const struct sea_table_intervals *columns; /**< as many as there are columns */
};

/** Rows, one behind the other, of one group. */
struct sea_table_stretch {
	int64_t n_rows; /**< 0 or more */
	size_t group;   /**< which one */
};

/** A batch of rows. */
struct sea_table_rows {
	const int64_t *times_ms; /**< n_rows of them, in any order; fastest if they rise */
	int64_t n_rows;          /**< 0 or more */
	const struct sea_table_stretch
		*stretches; /**< n_stretches, which together are the rows; NULL: all are of group 0 */
	size_t n_stretches; /**< how many */
};

/** A column. */
struct sea_table_column {
	const char *name;  /**< not two of one name */
	const char *paths; /**< its path, or paths per range of runs; NULL: not said */
};

/** All that a table is made of. Unset members must be zero. */
struct sea_table_plan {
	const struct sea_arrow_pair
		*metadata; /**< the key table's: the timeframe's identity. A SEA_TABLE_KEY in it is left out */
	size_t n_metadata; /**< how many */
	const struct sea_table_column *columns; /**< n_columns of them */
	size_t n_columns;                       /**< how many; at least 1 */
	const struct sea_table_group *groups;   /**< n_groups of them */
	size_t n_groups;                        /**< how many; at least 1 if there are rows */
	const struct sea_table_rows *batches;   /**< n_batches of them: the key table's */
	size_t n_batches;                       /**< how many */
	const struct sea_table_object *objects; /**< n_objects of them */
	size_t n_objects;                       /**< how many */
	enum sea_table_encoding encoding;       /**< of the index table */
	uint32_t flags;                         /**< must be 0 */
	uint64_t reserved[4];                   /**< must be 0 */
};

/**
 * Makes a writer: checks the plan and counts the bytes. Of SEA_TABLE_RUN_ENDS it goes over all rows to count the runs; else the rows are not looked at.
 *
 * @param ret_writer freed by sea_table_writer_free()
 * @param plan and all it names are read until then; neither may change
 * @param error NULL, or receives what is wrong and where in the plan
 * @return 0; -EINVAL the plan contradicts itself; -ENOENT no interval of a column speaks of the time of a row; -E2BIG more rows, objects or text than the
 *         encoding can count; -ENOMEM. Any thread. Since 0.4.
 */
int sea_table_writer_new(struct sea_table_writer **ret_writer, const struct sea_table_plan *plan,
                         struct sea_error *error);

/**
 * Gives a writer another plan, as if it were new. Where the columns, the encoding and the width of an index are those of the last plan, that
 * costs far less than a new writer: most of what there is to prepare are schemas.
 *
 * @param plan and all it names are read until the writer is given another or freed; those of the last one no more
 * @return as sea_table_writer_new(); the writer has then no plan, and writing gives -EPROTO. Since 0.4.
 */
int sea_table_writer_set_plan(struct sea_table_writer *writer, const struct sea_table_plan *plan,
                              struct sea_error *error);

/** Frees a writer. @param writer NULL is allowed. @return NULL. Since 0.4. */
struct sea_table_writer *sea_table_writer_free(struct sea_table_writer *writer);

/** Bytes of the index table. Since 0.4. */
uint64_t sea_table_writer_index_n_bytes(const struct sea_table_writer *writer);
/** Bytes of the object table. Since 0.4. */
uint64_t sea_table_writer_objects_n_bytes(const struct sea_table_writer *writer);
/** What a frame has to reserve for both, alignment included. Since 0.4. */
uint64_t sea_table_writer_n_bytes(const struct sea_table_writer *writer);

/**
 * Writes the index table.
 * @param memory aligned to 64 bytes, of sea_table_writer_index_n_bytes() or more; that many are written
 * @param n_bytes of memory
 * @return 0; -EINVAL not aligned; -ENOSPC too small; -EPROTO the last plan was refused; -ENOENT no interval of a column speaks of the time of a row: the error names both;
 *         -ENOMEM. Since 0.4.
 */
int sea_table_writer_write_index(struct sea_table_writer *writer, void *memory, uint64_t n_bytes,
                                 struct sea_error *error);

/** As sea_table_writer_write_index(), the object table. Since 0.4. */
int sea_table_writer_write_objects(struct sea_table_writer *writer, void *memory, uint64_t n_bytes,
                                   struct sea_error *error);

/**
 * Adds both tables to a frame as its next two parts. The objects are to follow, in the order of their part numbers.
 * @param layout_class of the frame
 * @return the index table's part; else as sea_frame_add_to() and the two above: the frame is then of no more use. Since 0.4.
 */
int sea_table_writer_add_to(struct sea_table_writer *writer, struct sea_frame *frame, unsigned layout_class,
                            struct sea_error *error);

#ifdef __cplusplus
}
#endif
#endif
