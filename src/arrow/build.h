/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes FlatBuffers front to back: what names something comes before it, and the offset is filled in when its place is known. A table
 * begins at 4 modulo 8 and has its widest fields first, so that every field is aligned where the buffer is aligned to 8.
 *
 * Memory that is missing is noted, and found at the end: see seai_build_end().
 */
#ifndef SEALANE_ARROW_BUILD_H
#define SEALANE_ARROW_BUILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct seai_build {
	uint8_t *bytes;
	size_t n_bytes;
	size_t n_max;
	bool failed;
};

/* A field of a table; n_bytes 0 is an offset, to be filled in by seai_build_link(). */
struct seai_build_field {
	unsigned id;
	unsigned n_bytes; /* 0, 1, 2, 4, 8 */
	uint64_t value;
	size_t at; /* set: where it stands */
};

void seai_build_fini(struct seai_build *build);

/* Room for the offset of the root. @return where that stands */
size_t seai_build_root(struct seai_build *build);

/* A table, which the offset at `link` leads to. @return where its vtable has the place of field 0, and 2 bytes on that of the next */
size_t seai_build_table(struct seai_build *build, size_t link, struct seai_build_field *fields, size_t n_fields);

/* A string or vector of bytes. */
void seai_build_string(struct seai_build *build, size_t link, const void *bytes, size_t n_bytes);

/* A vector of n_items items of n_item_bytes, zeroed, aligned to 8 where an item has 8 bytes or more. @return where the first item stands */
size_t seai_build_vector(struct seai_build *build, size_t link, size_t n_items, size_t n_item_bytes);

/* Overwrites a number. */
void seai_build_set(struct seai_build *build, size_t at, uint64_t value, size_t n_bytes);

/* Takes back all behind the first n_bytes, and that there was no memory for it. */
void seai_build_cut(struct seai_build *build, size_t n_bytes);

/* Pads with zeros until n_bytes + n_before is a multiple of alignment. @return 0; -ENOMEM anything failed so far */
int seai_build_end(struct seai_build *build, size_t n_before, size_t alignment);

#endif
