/* SPDX-License-Identifier: Apache-2.0 */
/* The columns of one record batch, out of its metadata and body. */
#ifndef SEALANE_ARROW_BATCH_H
#define SEALANE_ARROW_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/column.h>
#include <sealane/error.h>

#include "arrow/flat.h"
#include "arrow/tree.h"

/* Fields of the tables of a message; from here on to the end, all sizes are the format's. */
enum { MESSAGE_VERSION, MESSAGE_HEADER_TYPE, MESSAGE_HEADER, MESSAGE_BODY_LENGTH };
enum { HEADER_SCHEMA = 1, HEADER_DICTIONARY_BATCH, HEADER_RECORD_BATCH, HEADER_TENSOR, HEADER_SPARSE_TENSOR };
enum { BATCH_LENGTH, BATCH_NODES, BATCH_BUFFERS, BATCH_COMPRESSION, BATCH_VARIADIC_COUNTS };
enum { DICTIONARY_BATCH_ID, DICTIONARY_BATCH_DATA, DICTIONARY_BATCH_IS_DELTA };
#define NODE_N_BYTES 16
#define BUFFER_N_BYTES 16
#define METADATA_V4 3
#define METADATA_V5 4

/* More rows than any memory can have, few enough for every sum and product here. */
#define SEAI_ROWS_MAX ((int64_t)1 << 48)

/* The message that is read. */
struct seai_message {
	struct seai_flat_table table;
	const uint8_t *body;
	uint64_t n_body;
	uint64_t number; /* in the stream, for errors */
	int version;
};

/* Buffers of views: as many as the largest batch so far had. */
struct seai_variadic {
	struct sea_arrow_buffer *buffers;
	size_t n_max;
};

/*
 * Fills columns (of seai_tree_columns()) with a RecordBatch. @param variadic grows as needed. @return 0 or an error of
 * sea_arrow_reader_next(), set
 */
int seai_batch_read(const struct seai_message *message, const struct seai_flat_table *record_batch,
                    const struct seai_tree *tree, struct sea_arrow_column *columns, struct seai_variadic *variadic,
                    int64_t *ret_n_rows, struct sea_error *error);

/* Whether offsets (of 4 or 8 bytes, n_rows + 1) are 0 or more, never fall, and end at or before the end. */
bool seai_offsets_are_good(const void *offsets, unsigned width, int64_t n_rows, uint64_t end);

#endif
