/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two bitmaps of an arena: which chunks belong to a slab or a run (or to the head),
 * and which are backed by memory. Chunks are counted from the start of the arena, so that an aligned
 * index is an aligned address. Books lock held for all of them.
 */
#ifndef SEALANE_MEMORY_CHUNKS_H
#define SEALANE_MEMORY_CHUNKS_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/arena.h"

static inline bool seai_bit_get(const uint64_t *bitmap, uint64_t i)
{
	return bitmap[i / 64] >> (i % 64) & 1;
}

static inline void seai_bit_set(uint64_t *bitmap, uint64_t i)
{
	bitmap[i / 64] |= (uint64_t)1 << (i % 64);
}

/*
 * Looks for n_chunks free ones in a row, starting at a multiple of alignment (in chunks, power of two), with as few as
 * possible of the first n_now not backed: the first run with none, else the best.
 * Returns false, or true with the run's first chunk and how many of its first n_now chunks are not backed.
 */
bool seai_chunks_find(const struct seai_arena *arena, uint64_t n_chunks, uint64_t n_now, uint64_t alignment,
                      uint64_t *ret_first, uint64_t *ret_n_unbacked);

/* Marks chunks as used, which were free. */
void seai_chunks_take(struct seai_arena *arena, uint64_t first, uint64_t n_chunks);

/* Marks chunks as free; ones that are free already are let be. */
void seai_chunks_give(struct seai_arena *arena, uint64_t first, uint64_t n_chunks);

uint64_t seai_chunks_count_unbacked(const struct seai_arena *arena, uint64_t first, uint64_t n_chunks);

/* How many from first on are backed without a gap, at most n_chunks. */
uint64_t seai_chunks_count_leading_backed(const struct seai_arena *arena, uint64_t first, uint64_t n_chunks);

/* Marks chunks as backed. Returns how many of them were not. */
uint64_t seai_chunks_set_backed(struct seai_arena *arena, uint64_t first, uint64_t n_chunks);

/* Marks chunks as not backed. Returns how many of them were. */
uint64_t seai_chunks_clear_backed(struct seai_arena *arena, uint64_t first, uint64_t n_chunks);

/* How many of some chunks are backed, if all of them are free; else 0. */
uint64_t seai_chunks_count_punchable(const struct seai_arena *arena, uint64_t first, uint64_t n_chunks);

/* Widens a range to whole units of backing (in chunks, power of two) within the data of the arena. */
void seai_chunks_widen(const struct seai_arena *arena, uint64_t unit, uint64_t *first, uint64_t *n_chunks);

#endif
