/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Arrow C Data Interface and C Stream Interface: three structures that any two libraries of one process agree on. The guards are
 * those of the specification, so that headers of several libraries can stand in one program. What fills and reads them here is
 * in <sealane/arrow/exchange.h>.
 */
#ifndef SEALANE_ARROW_ABI_H
#define SEALANE_ARROW_ABI_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef ARROW_C_DATA_INTERFACE
/** The guard of the specification. */
#define ARROW_C_DATA_INTERFACE

/** The dictionary of a dictionary-encoded field is ordered. */
#define ARROW_FLAG_DICTIONARY_ORDERED 1
/** A field may be null. */
#define ARROW_FLAG_NULLABLE 2
/** The keys of each map are sorted. */
#define ARROW_FLAG_MAP_KEYS_SORTED 4

/** A type, a field, or as a structure of fields a schema. */
struct ArrowSchema {
	const char *format;                    /**< the type, as the specification encodes it */
	const char *name;                      /**< NULL is allowed */
	const char *metadata;                  /**< encoded keys and values; NULL for none */
	int64_t flags;                         /**< ARROW_FLAG_ */
	int64_t n_children;                    /**< fields within it */
	struct ArrowSchema **children;         /**< n_children of them */
	struct ArrowSchema *dictionary;        /**< type of the values, if this is the type of indices */
	void (*release)(struct ArrowSchema *); /**< set by the producer; NULL: released, or moved */
	void *private_data;                    /**< the producer's */
};

/** The data of one field, or as a structure a batch. */
struct ArrowArray {
	int64_t length;                       /**< rows */
	int64_t null_count;                   /**< -1: not counted */
	int64_t offset;                       /**< rows to skip in all buffers */
	int64_t n_buffers;                    /**< as the type says */
	int64_t n_children;                   /**< as the type says */
	const void **buffers;                 /**< n_buffers of them; NULL entries where the type allows */
	struct ArrowArray **children;         /**< n_children of them */
	struct ArrowArray *dictionary;        /**< the values, if these are indices */
	void (*release)(struct ArrowArray *); /**< set by the producer; NULL: released, or moved */
	void *private_data;                   /**< the producer's */
};
#endif

#ifndef ARROW_C_STREAM_INTERFACE
/** The guard of the specification. */
#define ARROW_C_STREAM_INTERFACE

/** A source of batches of one schema. */
struct ArrowArrayStream {
	int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out); /**< 0 or a positive errno */
	int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out); /**< the end is an array that is released */
	const char *(*get_last_error)(struct ArrowArrayStream *); /**< text of the last error; NULL for none */
	void (*release)(struct ArrowArrayStream *);               /**< set by the producer; NULL: released */
	void *private_data;                                       /**< the producer's */
};
#endif

#ifdef __cplusplus
}
#endif
#endif
