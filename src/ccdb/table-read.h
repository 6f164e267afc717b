/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table that was received, inside: what its files share. table.c opens and closes, table-objects.c reads the object table, table-index.c
 * finds the columns of the index table, table-get.c looks rows up.
 *
 * The odd rule: what is read at the opening is copied, but indices are not even looked at: they lie in the message, and each is
 * loaded once and checked when somebody asks for it.
 */
#ifndef SEALANE_CCDB_TABLE_READ_H
#define SEALANE_CCDB_TABLE_READ_H

#include <sealane/arrow/reader.h>
#include <sealane/ccdb/table.h>
#include <sealane/message.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ccdb/decoder.h"
#include "ccdb/table-names.h"

/* Where the parts of a table come from: a message, or, without one, plain memory. */
struct seai_table_parts {
	struct sea_message *message;
	size_t first; /* of the message: the index table */
	const struct sea_part *parts;
	size_t n_parts; /* from the first on */
};

/* A part that is an Arrow stream. */
struct seai_table_stream {
	struct sea_arrow_reader *reader;
	void *copy; /* NULL, or the part's bytes where these were not aligned to 8 (over libzmq) */
};

/* One row of the object table. */
struct seai_table_entry {
	struct sea_table_object object;
	struct seai_decoder_pins pins; /* what its slot points to */
	struct sea_message *held;      /* where its bytes are, if not in the table's message */
};

enum seai_cells_kind {
	SEAI_CELLS_8 = 1, /* bytes of an index */
	SEAI_CELLS_16 = 2,
	SEAI_CELLS_32 = 4,
	SEAI_CELLS_METAS = 64,
	SEAI_CELLS_RUNS,
};

/* One column of one batch: buffers in the message, large enough for the batch's rows. */
struct seai_cells {
	enum seai_cells_kind kind;
	enum seai_cells_kind value_kind; /* of RUNS: 8, 16 or 32 */
	const void *data;                /* indices, metas, or the runs' values */
	const int32_t *run_ends;
	size_t n_runs;
	_Atomic size_t
		hint; /* where the last look-up ended: a run, or an object. Only ever a guess: relaxed, and checked */
};

/* An object by its meta, for columns of metas. */
struct seai_table_by_meta {
	struct sea_meta meta;
	uint32_t column;
	uint32_t row;
};

struct sea_table {
	/* What each look-up reads. */
	int64_t n_rows;
	size_t n_columns;
	size_t n_objects;
	size_t n_batches;
	const struct seai_table_entry *entries; /* n_objects */
	const struct seai_cells *cells;         /* by batch and column */
	const int64_t *first_rows;              /* n_batches + 1 */
	_Atomic size_t hint; /* the batch of the last look-up. Only ever a guess: relaxed, and checked */

	struct seai_table_by_meta *by_meta; /* sorted; NULL where no column is of metas */
	struct seai_table_names names;
	struct seai_table_stream index;
	struct sea_message *message;
	char *texts; /* of all entries */
	/* The same as above, for those who fill it. */
	struct seai_table_entry *entries_room;
	struct seai_cells *cells_room;
	int64_t *first_rows_room;
};

/* As sea_table_open(). Without a message the parts must stay until the close. */
int seai_table_open_parts(struct sea_table **ret_table, const struct seai_table_parts *parts,
                          const struct sea_table_options *options, struct sea_error *error);

/* Begins to read a part. kind: the value of SEA_TABLE_KEY that it must have. @return 0; -ENOENT another kind; as sea_arrow_reader_new() */
int seai_table_stream_open(struct seai_table_stream *ret_stream, const struct sea_part *part, const char *kind,
                           struct sea_error *error);
void seai_table_stream_close(struct seai_table_stream *stream);

/* @return 0; -EINVAL no such part; -EBADMSG */
int seai_table_parts_get(const struct seai_table_parts *parts, size_t part, struct sea_part *ret_part);

/* Says in the error's key which of the two tables it is in. @return code */
int seai_table_error_in(struct sea_error *error, const char *where, int code);

/* The object table, and where the objects are. Wants the names of the columns. */
int seai_table_objects_read(struct sea_table *table, const struct seai_table_parts *parts,
                            const struct sea_table_options *options, struct sea_error *error);

/* The columns of the index table: their names and kinds first, their batches when the objects are known. */
int seai_table_index_read_schema(struct sea_table *table, struct sea_error *error);
int seai_table_index_read(struct sea_table *table, struct sea_error *error);

#endif
