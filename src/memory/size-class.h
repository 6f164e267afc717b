/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Size classes. Small blocks share a slab of one chunk: steps of 64 bytes to 256, four
 * steps per doubling to 4 KiB, then a whole fraction of a chunk (1/15 to 1/2), so that no class wastes
 * more than a sixteenth of its slab. Larger ones are runs of chunks, eight steps per doubling; those come
 * twice, the second time for blocks that start at a multiple of 2 MiB.
 *
 * Powers of two up to 32 KiB are classes, and in them a block is aligned to its size.
 */
#ifndef SEALANE_MEMORY_SIZE_CLASS_H
#define SEALANE_MEMORY_SIZE_CLASS_H

#include <stdbool.h>
#include <stdint.h>

#include "memory/layout.h"

#define SEAI_CLASS_N_SLAB 34u
#define SEAI_CLASS_N_RUN 240u /* up to 2^32 chunks, 2^48 bytes */
#define SEAI_CLASS_N (SEAI_CLASS_N_SLAB + 2 * SEAI_CLASS_N_RUN)
/* The block of an immutable arena: just as large as was asked for. */
#define SEAI_CLASS_ONE_FRAME 0xffffu
/* A part of a region: as large as its user said, in n_backed. */
#define SEAI_CLASS_REGION 0xfffeu

#define SEAI_CLASS_SLAB_MAX_N_BYTES 32768u
#define SEAI_CLASS_RUN_MAX_N_BYTES ((uint64_t)1 << 48)
#define SEAI_HUGE_N_BYTES ((uint64_t)2 << 20)

static inline unsigned seai_class_log2(uint64_t number)
{
	return 63u - (unsigned)__builtin_clzll(number);
}

/* Class of n_bytes (1 .. 2^48) with an alignment (power of two, 1 .. 2 MiB). */
static inline unsigned seai_class_of(uint64_t n_bytes, uint64_t alignment)
{
	unsigned e;

	if (n_bytes <= SEAI_CLASS_SLAB_MAX_N_BYTES && alignment <= SEAI_CLASS_SLAB_MAX_N_BYTES) {
		unsigned n = ((unsigned)n_bytes + 63u) & ~63u;

		if (alignment > SEAI_BLOCK_MIN_N_BYTES) {
			n = n > alignment ? n : (unsigned)alignment;
			n = 1u << (seai_class_log2(n - 1) + 1);
		}
		if (n <= 256)
			return n / 64 - 1;
		if (n > 4096)
			return 20 + 15 - (unsigned)SEAI_CHUNK_N_BYTES / n;
		e = seai_class_log2(n - 1);
		return 4 + (e - 8) * 4 + ((n - 1) >> (e - 2) & 3);
	}
	n_bytes = (n_bytes + SEAI_CHUNK_N_BYTES - 1) / SEAI_CHUNK_N_BYTES;
	if (n_bytes <= 8) {
		e = (unsigned)n_bytes - 1;
	} else {
		unsigned doubling = seai_class_log2(n_bytes - 1) - 3;

		e = 8 + doubling * 8 + (unsigned)((n_bytes - 1) >> doubling & 7);
	}
	return SEAI_CLASS_N_SLAB + (alignment > SEAI_CHUNK_N_BYTES ? SEAI_CLASS_N_RUN : 0) + e;
}

static inline bool seai_class_is_slab(unsigned size_class)
{
	return size_class < SEAI_CLASS_N_SLAB;
}

/* Chunks that a run must start at a multiple of. */
static inline uint64_t seai_class_alignment_chunks(unsigned size_class)
{
	return size_class >= SEAI_CLASS_N_SLAB + SEAI_CLASS_N_RUN ? SEAI_HUGE_N_BYTES / SEAI_CHUNK_N_BYTES : 1;
}

extern const uint16_t seai_class_slab_n_bytes[SEAI_CLASS_N_SLAB];

/* Size of a block of a class in bytes. */
static inline uint64_t seai_class_n_bytes(unsigned size_class)
{
	unsigned run;

	if (size_class < SEAI_CLASS_N_SLAB)
		return seai_class_slab_n_bytes[size_class];
	run = size_class - SEAI_CLASS_N_SLAB;
	if (run >= SEAI_CLASS_N_RUN)
		run -= SEAI_CLASS_N_RUN;
	if (run < 8)
		return (run + 1) * SEAI_CHUNK_N_BYTES;
	return ((uint64_t)(9 + run % 8) << (run / 8 - 1)) * SEAI_CHUNK_N_BYTES;
}

#endif
