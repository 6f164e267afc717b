/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads Arrow IPC streams in place: from memory that the caller keeps valid and in which anything may stand. Every offset, length and
 * alignment is checked before it is used, and nothing is copied but the schema. A batch of fixed-width columns costs the same for
 * whatever number of rows; offsets of variable-sized columns are looked at one by one.
 *
 * Read are streams of all versions: metadata V4 and V5, with and without the continuation marker, with and without an end; and files
 * (which begin with "ARROW1"), front to back. All types. Refused, and said so: compressed bodies, big-endian data, tensors.
 */
#ifndef SEALANE_ARROW_READER_H
#define SEALANE_ARROW_READER_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/column.h>
#include <sealane/arrow/schema.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/** The metadata of one message is at most so large. */
#define SEA_ARROW_METADATA_MAX (16u << 20)
/** A dictionary may come in so many pieces. */
#define SEA_ARROW_DELTAS_MAX 1024

struct sea_arrow_reader;

/**
 * A batch of rows: filled by sea_arrow_reader_next(), again and again; its members are for reading. A program may also make one itself, of columns
 * that it has, to write or export it.
 */
struct sea_arrow_batch {
	int64_t n_rows; /**< 0 or more */
	struct sea_arrow_column
		*columns; /**< n_columns of them, as the schema's fields; valid until the batch is filled again */
	size_t n_columns; /**< as the schema's fields */
	int is_foreign;   /**< its memory is of another library, and goes with it: see <sealane/arrow/exchange.h> */
};

/**
 * Begins to read a stream: reads its schema.
 *
 * @param ret_reader receives the reader; freed by sea_arrow_reader_free()
 * @param memory is borrowed until then; aligned to 8 bytes
 * @param n_bytes may be more than the stream has: see sea_arrow_reader_position()
 * @param error NULL, or receives what is wrong; its key is the number of the message, and the path of the field: "message 0, a.item"
 * @return 0; -EINVAL memory is not aligned; -EBADMSG not a stream, or a malformed one, cut off included; -ENOTSUP big-endian, or an unknown type; -E2BIG too
 *         many fields, or too deep; -ENOMEM. Any thread. Since 0.4.
 */
int sea_arrow_reader_new(struct sea_arrow_reader **ret_reader, const void *memory, uint64_t n_bytes,
                         struct sea_error *error);

/** Frees a reader; its batches must not be used any more, but freed they may be. @param reader NULL is allowed. @return NULL. Since 0.4. */
struct sea_arrow_reader *sea_arrow_reader_free(struct sea_arrow_reader *reader);

/** The schema of the stream; valid as long as the reader. Since 0.4. */
const struct sea_arrow_schema *sea_arrow_reader_schema(const struct sea_arrow_reader *reader);

/**
 * Makes an empty batch for a reader's schema.
 * @param ret_batch freed by sea_arrow_batch_free()
 * @return 0; -ENOMEM. Since 0.4.
 */
int sea_arrow_batch_new(struct sea_arrow_batch **ret_batch, const struct sea_arrow_reader *reader);

/** Frees a batch, before or after its reader. @param batch NULL is allowed. @return NULL. Since 0.4. */
struct sea_arrow_batch *sea_arrow_batch_free(struct sea_arrow_batch *batch);

/**
 * Reads the next batch, and the dictionaries before it. Batches that were filled earlier stay as they are, with the dictionaries they had.
 *
 * @param batch one that was made for this reader; filled on 1, empty otherwise
 * @param error NULL, or receives what is wrong; its key is the number of the message, and the path of the field
 * @return 1 a batch; 0 the end of the stream; -EBADMSG malformed or cut off; -ENOTSUP compressed, or a tensor; -E2BIG a dictionary of too many pieces;
 *         -EINVAL a batch of another reader; -ENOMEM; what a foreign stream says (see <sealane/arrow/exchange.h>). After an error it is the same again.
 *         Since 0.4.
 */
int sea_arrow_reader_next(struct sea_arrow_reader *reader, struct sea_arrow_batch *batch, struct sea_error *error);

/** How many bytes of the memory were read; after the end, where the stream ends. 0 for a foreign stream. Since 0.4. */
uint64_t sea_arrow_reader_position(const struct sea_arrow_reader *reader);

/** Checks all columns of a batch: sea_arrow_column_check(). @return 0; -EBADMSG. Since 0.4. */
int sea_arrow_batch_check(const struct sea_arrow_batch *batch, struct sea_error *error);

#ifdef __cplusplus
}
#endif
#endif
