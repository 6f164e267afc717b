/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads FlatBuffers of which nothing is known to be right: each step looks whether it stays within the buffer, and no step trusts that an
 * earlier one has looked. There is no pass of verification that a writer could undo behind its back.
 *
 * All functions return 1: there, 0: not there (the default counts), or -EBADMSG.
 */
#ifndef SEALANE_ARROW_FLAT_H
#define SEALANE_ARROW_FLAT_H

#include <errno.h>
#include <stdint.h>

#include "arrow/load.h"

/* A table within a buffer. What is stored here was checked: the vtable lies within the buffer. */
struct seai_flat_table {
	const uint8_t *bytes; /* of the whole buffer */
	uint32_t n_bytes;
	uint32_t at; /* of the table */
	uint32_t vtable;
	uint32_t n_vtable; /* bytes */
};

/* A vector within a buffer: its items lie within it. */
struct seai_flat_vector {
	const uint8_t *bytes;
	uint32_t n_bytes;
	uint32_t at; /* of the first item */
	uint32_t n_items;
};

/* The table at a place. */
static inline int seai_flat_table_at(const uint8_t *bytes, uint32_t n_bytes, uint64_t at, struct seai_flat_table *ret)
{
	int64_t vtable;
	uint32_t n_vtable;

	if (at + 4 > n_bytes)
		return -EBADMSG;
	vtable = (int64_t)at - seai_load_i32(bytes + at);
	if (vtable < 0 || vtable + 4 > n_bytes)
		return -EBADMSG;
	n_vtable = seai_load_u16(bytes + vtable);
	if (n_vtable < 4 || vtable + n_vtable > n_bytes)
		return -EBADMSG;
	*ret = (struct seai_flat_table){ bytes, n_bytes, (uint32_t)at, (uint32_t)vtable, n_vtable };
	return 1;
}

static inline int seai_flat_root(const void *bytes, uint32_t n_bytes, struct seai_flat_table *ret)
{
	if (n_bytes < 4)
		return -EBADMSG;
	return seai_flat_table_at(bytes, n_bytes, seai_load_u32(bytes), ret);
}

/* Where the n_bytes of a field lie. */
static inline int seai_flat_field(const struct seai_flat_table *table, unsigned id, unsigned n_bytes,
                                  const uint8_t **ret_place)
{
	uint32_t slot = 4 + 2 * id;
	uint32_t offset;

	if (slot + 2 > table->n_vtable)
		return 0;
	offset = seai_load_u16(table->bytes + table->vtable + slot);
	if (offset == 0)
		return 0;
	if ((uint64_t)table->at + offset + n_bytes > table->n_bytes)
		return -EBADMSG;
	*ret_place = table->bytes + table->at + offset;
	return 1;
}

#define SEAI_FLAT_NUMBER(type, name)                                                                                   \
	static inline int seai_flat_##name(const struct seai_flat_table *table, unsigned id, type fallback, type *ret) \
	{                                                                                                              \
		const uint8_t *place = NULL;                                                                           \
		int r = seai_flat_field(table, id, sizeof(type), &place);                                              \
		if (r < 0)                                                                                             \
			return r;                                                                                      \
		*ret = r ? seai_load_##name(place) : fallback;                                                         \
		return r;                                                                                              \
	}
SEAI_FLAT_NUMBER(uint8_t, u8)
SEAI_FLAT_NUMBER(int16_t, i16)
SEAI_FLAT_NUMBER(int32_t, i32)
SEAI_FLAT_NUMBER(int64_t, i64)
#undef SEAI_FLAT_NUMBER

/* Where the offset at a place leads. Offsets lead forward; 0 would be a loop. */
static inline int seai_flat_follow(const uint8_t *bytes, uint32_t n_bytes, const uint8_t *place, uint64_t *ret_at)
{
	uint32_t offset = seai_load_u32(place);
	uint64_t at = (uint64_t)(place - bytes) + offset;

	if (offset == 0 || at + 4 > n_bytes)
		return -EBADMSG;
	*ret_at = at;
	return 1;
}

static inline int seai_flat_sub(const struct seai_flat_table *table, unsigned id, struct seai_flat_table *ret)
{
	const uint8_t *place = NULL;
	uint64_t at = 0;
	int r = seai_flat_field(table, id, 4, &place);

	if (r == 1)
		r = seai_flat_follow(table->bytes, table->n_bytes, place, &at);
	return r == 1 ? seai_flat_table_at(table->bytes, table->n_bytes, at, ret) : r;
}

/* A vector of items of a size; not there is empty. */
static inline int seai_flat_vector(const struct seai_flat_table *table, unsigned id, unsigned n_item_bytes,
                                   struct seai_flat_vector *ret)
{
	const uint8_t *place = NULL;
	uint32_t n_items;
	uint64_t at = 0;
	int r = seai_flat_field(table, id, 4, &place);

	if (r == 1)
		r = seai_flat_follow(table->bytes, table->n_bytes, place, &at);
	if (r == 0)
		*ret = (struct seai_flat_vector){ table->bytes, table->n_bytes, 0, 0 };
	if (r != 1)
		return r;
	n_items = seai_load_u32(table->bytes + at);
	if ((uint64_t)n_items * n_item_bytes > table->n_bytes - (at + 4))
		return -EBADMSG;
	*ret = (struct seai_flat_vector){ table->bytes, table->n_bytes, (uint32_t)at + 4, n_items };
	return 1;
}

/* Table i of a vector of tables. */
static inline int seai_flat_vector_table(const struct seai_flat_vector *vector, uint32_t i, struct seai_flat_table *ret)
{
	uint64_t at = 0;
	int r = seai_flat_follow(vector->bytes, vector->n_bytes, vector->bytes + vector->at + (uint64_t)i * 4, &at);

	return r == 1 ? seai_flat_table_at(vector->bytes, vector->n_bytes, at, ret) : r;
}

#endif
