/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies in memory that other processes see: the head of an arena and the
 * part table of a message. A change here is a bump of SEAI_LAYOUT_VERSION.
 *
 * All of it is written by the arena's owner alone, and the kernel makes sure of that; but a part table in a shared
 * arena lies among payload that others can write. A process killed at any instruction leaves an arena as valid
 * as before: generations are single words, and a part table is not referred to
 * before it is whole.
 */
#ifndef SEALANE_MEMORY_LAYOUT_H
#define SEALANE_MEMORY_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define SEAI_LAYOUT_VERSION 1u
#define SEAI_ARENA_MAGIC 0x0131414e45414c53u /* "SLAENA1" and the version, little-endian */
#define SEAI_TABLE_MAGIC 0x5ea17ab1u

/* Unit of backing and of page runs in an arena. At least the page size of every machine we run on (aarch64: up to 64 KiB). */
#define SEAI_CHUNK_N_BYTES ((uint64_t)64 << 10)
/* Smallest block; also the granularity of offsets of blocks. */
#define SEAI_BLOCK_MIN_N_BYTES 64u

/*
 * First page of an arena. After it, at generations_offset, one 64-bit generation per
 * block id; after that, at data_offset (a multiple of the chunk size), the blocks.
 */
struct seai_arena_head {
	_Atomic uint64_t magic; /* written last (release), read first (acquire) */
	uint32_t version;
	uint32_t arena_id;
	uint64_t session_id; /* hash of the session's name */
	uint64_t owner_id;
	uint64_t n_bytes; /* of the whole arena, head included */
	uint64_t generations_offset;
	uint64_t data_offset;
	uint32_t n_blocks_max;
	uint32_t flags;
};

static_assert(sizeof(struct seai_arena_head) == 64, "layout");
static_assert(offsetof(struct seai_arena_head, magic) == 0, "layout");
static_assert(offsetof(struct seai_arena_head, version) == 8, "layout");
static_assert(offsetof(struct seai_arena_head, arena_id) == 12, "layout");
static_assert(offsetof(struct seai_arena_head, session_id) == 16, "layout");
static_assert(offsetof(struct seai_arena_head, owner_id) == 24, "layout");
static_assert(offsetof(struct seai_arena_head, n_bytes) == 32, "layout");
static_assert(offsetof(struct seai_arena_head, generations_offset) == 40, "layout");
static_assert(offsetof(struct seai_arena_head, data_offset) == 48, "layout");
static_assert(offsetof(struct seai_arena_head, n_blocks_max) == 56, "layout");
static_assert(offsetof(struct seai_arena_head, flags) == 60, "layout");
static_assert(sizeof(_Atomic uint64_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2, "lock-free 64-bit atomics");

/* The arena is one immutable frame: one block, F_SEAL_WRITE. */
#define SEAI_ARENA_IMMUTABLE 1u
/*
 * The arena is two files, mapped back to back: this head and the generations in one that its owner alone can write, and from data_offset
 * on the blocks in another, which every holder maps for writing.
 */
#define SEAI_ARENA_SHARED 2u
/* Its payload is a user's file, which has no seals: who cuts it kills its readers. */
#define SEAI_ARENA_FILE 4u
/* That file is only read, by its owner as well: the descriptor that holders get is O_RDONLY. */
#define SEAI_ARENA_READ_ONLY 8u

/* A block as it is named to other processes. */
struct seai_block_name {
	uint64_t owner_id;
	uint32_t arena_id;
	uint32_t block_id;
	uint64_t generation;
};
static_assert(sizeof(struct seai_block_name) == 24, "layout");

/*
 * Part table of a message, at an offset that is a multiple of 64, in the message's head block:
 * this head, then n_blocks block names (the first is the head block itself), then n_parts parts.
 */
struct seai_table_head {
	uint32_t magic;
	uint32_t n_blocks;
	uint32_t n_parts;
	uint32_t reserved;
};
static_assert(sizeof(struct seai_table_head) == 16, "layout");

struct seai_table_part {
	uint64_t where; /* bits 48..63: index of the block in the table; bits 0..47: offset in its arena */
	uint64_t n_bytes;
};
static_assert(sizeof(struct seai_table_part) == 16, "layout");

#define SEAI_TABLE_OFFSET_BITS 48
#define SEAI_TABLE_OFFSET_MASK (((uint64_t)1 << SEAI_TABLE_OFFSET_BITS) - 1)
#define SEAI_TABLE_N_BLOCKS_MAX 65536u

#endif
