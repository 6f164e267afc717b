/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes Arrow IPC streams straight to where they are to lie. A batch is reserved, which tells where the buffers of each column are; the
 * caller computes its values there, in place; a commit makes it part of the stream. Or a batch that was read elsewhere is copied.
 *
 * How many bytes each step takes is known beforehand, so that a block of shared memory of the right size can be asked for. Every
 * message of the stream is a multiple of 64 bytes, and so is each buffer: where the stream begins at an address that is aligned to 64, every
 * buffer does. Padding is zeroed: no byte of the destination stays as it was, but those of buffers, which are the caller's to write.
 *
 * Slots: a column has one, and after it stand those of its children, and of theirs: the order of fields as one reads a schema. A
 * dictionary-encoded column has one slot, of its indices; its values are written as a dictionary, before the batch.
 */
#ifndef SEALANE_ARROW_WRITER_H
#define SEALANE_ARROW_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/arrow/reader.h>
#include <sealane/arrow/schema.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_arrow_writer;

/** Alignment of the memory, and of every buffer in it, in bytes. */
#define SEA_ARROW_ALIGNMENT 64
/** What the end of a stream takes. */
#define SEA_ARROW_END_N_BYTES 8

/** One column, or part of one, of a batch that is being written: first how large it is, then where. */
struct sea_arrow_slot {
	int64_t n_rows; /**< in: rows; the children of a struct and of a sparse union have as many as it, of a fixed-size list n_rows * size */
	int has_validity;      /**< in: whether there is to be a bitmap; else no row is null */
	uint64_t n_data_bytes; /**< in: of text and binary: the bytes of all values; else not looked at */
	/**
	 * out: bitmap, one bit per row, least significant first, 1: not null; all 1 at first. The commit counts the nulls. NULL where
	 * has_validity is 0.
	 */
	uint8_t *validity;
	void *offsets; /**< out: int32 or int64, n_rows + 1, the first 0 (dense union: int32, n_rows); NULL where the type has none */
	void *data; /**< out: values; bits of bool (0 at first); indices where field->index_bits; type ids of a union; else NULL */
};

/** Where a stream goes that is not written to one piece of memory. */
struct sea_arrow_sink {
	/**
	 * Gives room for the next n_bytes of the stream, in one piece, aligned to 64 bytes; they are written, and then committed.
	 * @return 0; negative errno, which the writer returns
	 */
	int (*claim)(void **ret_place, uint64_t n_bytes, void *userdata);
	/** What was claimed is written. NULL: nobody asks. @return 0; negative errno, which the writer returns */
	int (*commit)(void *place, uint64_t n_bytes, void *userdata);
	void *userdata; /**< of both */
};

/**
 * Makes a writer of a schema, which is copied.
 *
 * @param ret_writer freed by sea_arrow_writer_free()
 * @param error NULL, or receives what is wrong with the schema; its key is the path of the field
 * @return 0; -EINVAL, -E2BIG as of sea_arrow_schema_check(); -ENOTSUP a type that is only read (views); -ENOMEM. Any thread. Since 0.4.
 */
int sea_arrow_writer_new(struct sea_arrow_writer **ret_writer, const struct sea_arrow_schema *schema,
                         struct sea_error *error);

/** Frees a writer. @param writer NULL is allowed. @return NULL. Since 0.4. */
struct sea_arrow_writer *sea_arrow_writer_free(struct sea_arrow_writer *writer);

/**
 * Changes what the schema says of the whole, from the next sea_arrow_writer_begin() on. That costs far less than another writer: streams
 * that differ in nothing but an identity, one after the other, need but one.
 *
 * @param metadata n_metadata pairs, copied
 * @return 0; -EINVAL a key or value is missing; -E2BIG more than readers take; -ENOMEM. After an error it says what it said. Since 0.4.
 */
int sea_arrow_writer_set_metadata(struct sea_arrow_writer *writer, const struct sea_arrow_pair *metadata,
                                  size_t n_metadata, struct sea_error *error);

/** What is written: the writer's copy, valid until it is freed, its metadata until it is set again. Since 0.4. */
const struct sea_arrow_schema *sea_arrow_writer_schema(const struct sea_arrow_writer *writer);

/** Bytes that sea_arrow_writer_begin() writes. Since 0.4. */
uint64_t sea_arrow_writer_schema_size(const struct sea_arrow_writer *writer);

/** Slots of a batch. Since 0.4. */
size_t sea_arrow_writer_n_slots(const struct sea_arrow_writer *writer);

/**
 * Bytes that a batch takes.
 * @param slots as for sea_arrow_writer_reserve()
 * @return 0; -EINVAL as of sea_arrow_writer_reserve(); -E2BIG. Since 0.4.
 */
int sea_arrow_writer_batch_size(const struct sea_arrow_writer *writer, const struct sea_arrow_slot *slots,
                                size_t n_slots, uint64_t *ret_n_bytes, struct sea_error *error);

/** Bytes that a dictionary takes; else as sea_arrow_writer_batch_size(). -ENOENT no field has that dictionary. Since 0.4. */
int sea_arrow_writer_dictionary_size(const struct sea_arrow_writer *writer, int64_t dictionary_id,
                                     const struct sea_arrow_slot *slots, size_t n_slots, uint64_t *ret_n_bytes,
                                     struct sea_error *error);

/**
 * Begins a new stream into memory of the caller's; what was begun before is forgotten.
 * @param memory aligned to 64 bytes; kept valid until the end
 * @return 0; -EINVAL not aligned. Since 0.4.
 */
int sea_arrow_writer_set_memory(struct sea_arrow_writer *writer, void *memory, uint64_t n_bytes);

/** Begins a new stream into a sink, which is copied; what was begun before is forgotten. Since 0.4. */
void sea_arrow_writer_set_sink(struct sea_arrow_writer *writer, const struct sea_arrow_sink *sink);

/**
 * Writes the schema.
 * @return 0; -ENOSPC no room in the memory; -EPROTO not at the beginning of a stream, or neither memory nor sink was set; what the sink
 *         says. Since 0.4.
 */
int sea_arrow_writer_begin(struct sea_arrow_writer *writer, struct sea_error *error);

/**
 * Reserves a batch: tells where its buffers are. The caller fills them, in any order and from any threads, and then commits. What stands in
 * them is the caller's word: nothing checks it.
 *
 * @param slots sizes in, places out; kept by the caller until the commit. At that time n_rows and n_data_bytes may have become smaller, if fewer
 *        were needed (all slots of one batch alike, by the rules of n_rows); the room stays, zeroed
 * @param n_slots sea_arrow_writer_n_slots()
 * @param error NULL, or receives what is wrong; its key is the path of the field
 * @return 0; -EINVAL another number of slots, rows that do not fit together, or a negative number; -E2BIG more bytes than 32-bit offsets reach; -ENOSPC no
 *         room in the memory; -EPROTO no schema was written, or something is reserved already; what the sink says. Since 0.4.
 */
int sea_arrow_writer_reserve(struct sea_arrow_writer *writer, struct sea_arrow_slot *slots, size_t n_slots,
                             struct sea_error *error);

/**
 * The same for the values of a dictionary: to be committed before the first batch that uses it, or again before a batch that uses another.
 *
 * @param is_delta these values come behind those that the dictionary has
 * @param slots of the field's values: one, and those of its children
 * @return as sea_arrow_writer_reserve(); -ENOENT no field has that dictionary. Since 0.4.
 */
int sea_arrow_writer_reserve_dictionary(struct sea_arrow_writer *writer, int64_t dictionary_id, int is_delta,
                                        struct sea_arrow_slot *slots, size_t n_slots, struct sea_error *error);

/**
 * Makes what is reserved part of the stream.
 * @return 0; -EPROTO nothing is reserved; -EINVAL a slot has grown, or the last offset of a column lies behind its data: it is still reserved; what
 *         the sink says. Since 0.4.
 */
int sea_arrow_writer_commit(struct sea_arrow_writer *writer, struct sea_error *error);

/** Forgets what is reserved; in memory its room is used again, a sink has to do without the commit. Since 0.4. */
void sea_arrow_writer_abort(struct sea_arrow_writer *writer);

/**
 * Copies a batch, with its dictionaries where these are others than before: of a reader, or of a foreign stream, of the same fields.
 * Its columns are checked first.
 * @return 0; -EINVAL the columns are not those of the schema; -EBADMSG malformed; else as sea_arrow_writer_reserve(). Since 0.4.
 */
int sea_arrow_writer_write(struct sea_arrow_writer *writer, const struct sea_arrow_batch *batch,
                           struct sea_error *error);

/**
 * Ends the stream. Nothing can be written until memory or sink is set again.
 * @param ret_n_bytes NULL, or receives how long the stream has become
 * @return 0; -ENOSPC; -EPROTO no schema was written, or something is reserved; what the sink says. Since 0.4.
 */
int sea_arrow_writer_end(struct sea_arrow_writer *writer, uint64_t *ret_n_bytes, struct sea_error *error);

/** Bytes written so far. Since 0.4. */
uint64_t sea_arrow_writer_position(const struct sea_arrow_writer *writer);

#ifdef __cplusplus
}
#endif
#endif
