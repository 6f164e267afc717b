/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads and stores of numbers at any alignment. Arrow here is little-endian, as the machines are that Sealane runs on.
 *
 * Each is one load into a local: what another process can still change is not looked at twice.
 */
#ifndef SEALANE_ARROW_LOAD_H
#define SEALANE_ARROW_LOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "big-endian machines would have to swap");

#define SEAI_LOAD(type, name)                                                                 \
	static inline type seai_load_##name(const void *place)                                \
	{                                                                                     \
		type value;                                                                   \
		memcpy(&value, place, sizeof(value));                                         \
		return value;                                                                 \
	}                                                                                     \
	static inline type seai_at_##name(const void *items, int64_t i)                       \
	{                                                                                     \
		return seai_load_##name((const uint8_t *)items + (uint64_t)i * sizeof(type)); \
	}                                                                                     \
	static inline void seai_store_##name(void *place, type value)                         \
	{                                                                                     \
		memcpy(place, &value, sizeof(value));                                         \
	}
SEAI_LOAD(int8_t, i8)
SEAI_LOAD(uint8_t, u8)
SEAI_LOAD(int16_t, i16)
SEAI_LOAD(uint16_t, u16)
SEAI_LOAD(int32_t, i32)
SEAI_LOAD(uint32_t, u32)
SEAI_LOAD(int64_t, i64)
SEAI_LOAD(uint64_t, u64)
#undef SEAI_LOAD

/* Item i of an array of integers of 1, 2, 4 or 8 bytes. */
static inline int64_t seai_at_signed(const void *items, unsigned n_item_bytes, int64_t i)
{
	switch (n_item_bytes) {
	case 1: return seai_at_i8(items, i);
	case 2: return seai_at_i16(items, i);
	case 4: return seai_at_i32(items, i);
	default: return seai_at_i64(items, i);
	}
}

/* The same, unsigned. */
static inline uint64_t seai_at_unsigned(const void *items, unsigned n_item_bytes, int64_t i)
{
	switch (n_item_bytes) {
	case 1: return seai_at_u8(items, i);
	case 2: return seai_at_u16(items, i);
	case 4: return seai_at_u32(items, i);
	default: return seai_at_u64(items, i);
	}
}

static inline bool seai_bit(const uint8_t *bits, int64_t i)
{
	return bits[i >> 3] >> (i & 7) & 1;
}

#endif
