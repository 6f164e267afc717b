/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A decoder: a bounded cache of what a program has made of objects (a class of its own, a histogram, a map of the field). A version, that is a path
 * and a uuid, is decoded once, whatever the number of rows, columns, tables and threads that use it, and also if the cache device was started again
 * meanwhile; and it is destroyed once. What is in use is never destroyed, what is not goes when the cache is full, the longest unused first.
 *
 *	sea_decoder_new(&decoder, &(struct sea_decoder_options){ .decode = decode, .destroy = destroy });
 *	for (row = 0; row < n; ++row)
 *		sea_decoder_get(decoder, sea_table_get(table, row, column), &decoded, &error);
 *
 * sea_decoder_get() borrows: what it gives stays as long as the table is open, and asking again for an object of the same table takes a few ns. To
 * keep something beyond the table, sea_decoder_hold() it.
 *
 * The bytes of an object go away with its message. If what was decoded refers to them, it must hold the message itself (sea_message_ref(), or
 * sea_meta_hold() of the object's meta).
 *
 * Threads: all calls but the free may be made from any thread, at once.
 */
#ifndef SEALANE_CCDB_DECODER_H
#define SEALANE_CCDB_DECODER_H

#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/table-object.h>
#include <sealane/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct sea_decoded;
struct sea_decoder;

/**
 * Makes something of an object. Called on the thread that asks; others that ask for the same version wait meanwhile. It must not use the decoder.
 *
 * @param object its status is 0, its bytes are here
 * @param ret_decoded receives what became of it; NULL is allowed
 * @param ret_cost receives what it costs in the units of n_cost_max; preset to the object's size in bytes
 * @param error to say what is wrong, for a person; never NULL
 * @return 0; negative errno: it cannot be decoded. That is not remembered: who asks next tries again
 */
typedef int (*sea_decode_fn)(const struct sea_table_object *object, void **ret_decoded, uint64_t *ret_cost,
                             struct sea_error *error, void *userdata);

/** Destroys what was decoded; on any thread that uses the decoder, holds, or closes a table. It must not use the decoder. */
typedef void (*sea_destroy_fn)(void *decoded, void *userdata);

/** How to make a decoder. Unset members must be zero. */
struct sea_decoder_options {
	sea_decode_fn decode;   /**< never NULL */
	sea_destroy_fn destroy; /**< NULL: nothing is to be done */
	void *userdata;         /**< last argument of both */
	/** What all that is kept may cost; what is in use counts, and is kept even beyond that. 0: no bound; 1: keep nothing that is not in use. */
	uint64_t n_cost_max;
	/** Must be 0. */
	uint64_t reserved[4];
};

/** Counters of a decoder since it was made. */
struct sea_decoder_stats {
	uint64_t n_decoded;   /**< calls of decode() that were good */
	uint64_t n_failed;    /**< calls of decode() that were not */
	uint64_t n_destroyed; /**< calls of destroy() */
	uint64_t n_kept;      /**< versions that are here now */
	uint64_t n_cost;      /**< what these cost */
};

/**
 * Makes a decoder.
 * @param ret_decoder freed by sea_decoder_free()
 * @return 0; -EINVAL; -ENOMEM. Any thread. Since 0.4.
 */
int sea_decoder_new(struct sea_decoder **ret_decoder, const struct sea_decoder_options *options);

/**
 * Frees a decoder and destroys what it keeps; but what an open table or a hold still uses is destroyed when that ends.
 * @param decoder NULL is allowed. @return NULL. Since 0.4.
 */
struct sea_decoder *sea_decoder_free(struct sea_decoder *decoder);

/**
 * What was decoded from an object, which is decoded now if nobody has done so. Borrowed: it stays as long as the object's table is open.
 *
 * @param object of an open table: sea_table_get(), sea_table_get_object(), a run
 * @param ret_decoded receives it
 * @param error NULL, or receives what is wrong; its key is the object's path
 * @return 0; -EINVAL object is NULL, not of a table, or has no uuid; -ENOENT the object is not here: its reason says why; -EBADMSG another size
 *         than the same version had; -ENOMEM; what decode() says. Any thread. Since 0.4.
 */
int sea_decoder_get(struct sea_decoder *decoder, const struct sea_table_object *object, void **ret_decoded,
                    struct sea_error *error);

/**
 * The same, held beyond the table.
 * @param object need not be of a table; its path, uuid, status and bytes are looked at
 * @param ret_held given back by sea_decoded_release()
 * @return as sea_decoder_get(). Any thread. Since 0.4.
 */
int sea_decoder_hold(struct sea_decoder *decoder, const struct sea_table_object *object, struct sea_decoded **ret_held,
                     struct sea_error *error);

/** What was decoded. Since 0.4. */
void *sea_decoded_get(const struct sea_decoded *held);

/** Gives a hold back. @param held NULL is allowed. @return NULL. Any thread. Since 0.4. */
struct sea_decoded *sea_decoded_release(struct sea_decoded *held);

/** Reads the counters. Any thread. Since 0.4. */
void sea_decoder_get_stats(const struct sea_decoder *decoder, struct sea_decoder_stats *ret_stats);

#ifdef __cplusplus
}
#endif
#endif
