/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process of `sealane demo` saw of a table: for each version, how many rows name it, which ones, and what its bytes are. A
 * processor finds that by runs and sends it along; the sink finds it row by row, and the two must be the same to the byte.
 */
#ifndef SEALANE_TOOLS_DEMO_SEEN_H
#define SEALANE_TOOLS_DEMO_SEEN_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include <sealane/ccdb/decoder.h>
#include <sealane/ccdb/table.h>

/* Versions in one table; a timeframe has fewer than ten. */
#define DEMO_N_SEEN_MAX 64u
#define DEMO_SEEN_MAGIC UINT64_C(0x4e4545534d454453) /* "SDEMSEEN", little-endian */

struct demo_seen_version {
	uint32_t column;
	uint32_t row; /* of the object table */
	uint64_t n_rows;
	uint64_t runs_hash; /* of first row and length of each run of rows */
	uint64_t uuid_hash;
	uint64_t content_hash;
};

struct demo_seen {
	uint64_t magic;
	uint64_t timeframe;
	uint64_t n_rows;
	uint64_t n_versions;
	struct demo_seen_version versions[DEMO_N_SEEN_MAX];
};
static_assert(sizeof(struct demo_seen_version) == 40 && sizeof(struct demo_seen) == 32 + 40 * DEMO_N_SEEN_MAX,
              "format");

/* Bytes of it that are in use: what is sent. */
static inline size_t demo_seen_n_bytes(const struct demo_seen *seen)
{
	return offsetof(struct demo_seen, versions) + (size_t)seen->n_versions * sizeof(seen->versions[0]);
}

/* A decoder that makes the XXH3 of an object's bytes, once for each version. As sea_decoder_new(). */
int demo_seen_decoder(struct sea_decoder **ret_decoder);
/* The hash of an object's bytes, out of that decoder. 0; errors of sea_decoder_get(). */
int demo_seen_content(struct sea_decoder *decoder, const struct sea_table_object *object, uint64_t *ret_hash,
                      struct sea_error *error);

void demo_seen_begin(struct demo_seen *seen, uint64_t timeframe, const struct sea_table *table);
/* Notes a run of rows. 0; -EBADMSG no object stands there, it is not here, or there are too many; errors of the decoder. */
int demo_seen_add(struct demo_seen *seen, struct sea_decoder *decoder, const struct sea_table_run *run,
                  struct sea_error *error);
/* All of a table by runs. */
int demo_seen_table(struct demo_seen *seen, uint64_t timeframe, const struct sea_table *table,
                    struct sea_decoder *decoder, struct sea_error *error);

#endif
