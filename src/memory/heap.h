/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A heap inside: size classes over chunks of arenas. Every function here wants the
 * session's books lock held by the caller, unless it says otherwise.
 */
#ifndef SEALANE_MEMORY_HEAP_H
#define SEALANE_MEMORY_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include <sealane/heap.h>

#include "memory/arena.h"
#include "memory/block.h"

struct sea_session;

/* Makes a heap and links it into the session (takes the books lock itself). */
int seai_heap_new(struct sea_heap **ret_heap, struct sea_session *session, const struct sea_heap_options *options);

/*
 * Hands out a block of at least n_bytes (> 0) whose offset in the arena, and so its address, is a
 * multiple of alignment (power of two, <= 2 MiB). n_own is 1, no holds, flags SEAI_BLOCK_USED.
 * Only a warm block is sure to be backed: call seai_block_back() before handing out memory.
 * 0; -EAGAIN the heap is at its quota (a release may help); -E2BIG beyond the quota for ever; -ENOMEM, -EMFILE, -ENFILE from the kernel.
 */
int seai_heap_allocate(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment, struct seai_block **ret_block);

/*
 * As seai_heap_allocate(), of a block of which only the first n_bytes_now must be possible to back within the quota at
 * this moment; the rest is address space.
 */
int seai_heap_reserve(struct sea_heap *heap, uint64_t n_bytes, uint64_t n_bytes_now, uint64_t alignment,
                      struct seai_block **ret_block);

/* A warm block of a class (seai_class_of()) that is backed for n_bytes, or NULL: a few instructions, and no look at anything else. */
struct seai_block *seai_heap_pop_warm(struct sea_heap *heap, unsigned size_class, uint64_t n_bytes);

/* As many as there are, up to n_blocks, of one size: at least 1, else an error as above. */
int seai_heap_allocate_many(struct sea_heap *heap, uint64_t n_bytes, uint64_t alignment, struct seai_block **blocks,
                            size_t n_blocks);

/* An immutable frame's arena of its own, with block 0 of n_bytes, not backed yet. Errors as above. */
int seai_heap_allocate_immutable(struct sea_heap *heap, uint64_t n_bytes, struct seai_block **ret_block);

/*
 * After the payload of an immutable block was written: takes the writable mapping away, adds F_SEAL_WRITE, maps read-only at
 * the same address. 0; -EBUSY something else has it mapped writable; -ENOMEM.
 */
int seai_block_freeze(struct seai_block *block);

/* Nobody holds the block any more: bumps its generation (store, release fence), keeps it for reuse, last in first out. */
void seai_heap_release(struct seai_block *block);

/*
 * Makes sure that the first n_bytes of a block that the caller alone holds are backed by memory.
 * Takes the books lock itself for the account; the kernel's work is done outside of it.
 * 0; -EAGAIN the quota does not allow it now; -ENOMEM.
 */
int seai_block_back(struct seai_block *block, uint64_t n_bytes);

static inline bool seai_block_is_backed(const struct seai_block *block, uint64_t n_bytes)
{
	return n_bytes <= block->n_backed;
}

/*
 * SEA_GUARD=1: makes the whole pages inside of a block read-only for this process too, or writable again. Nothing without
 * session->guard. No lock needed: the block is the caller's.
 */
void seai_block_guard(struct seai_block *block, bool on);

/* Address of the block's first byte in this process. No lock. */
static inline uint8_t *seai_block_data(const struct seai_block *block)
{
	return (uint8_t *)block->arena->head + block->offset;
}

/* Usable size of a block: its class's size. */
uint64_t seai_block_capacity(const struct seai_block *block);

/* The block with that id, or NULL: arena->blocks[id] for ids that exist. */
struct seai_block *seai_arena_get_block(struct seai_arena *arena, uint32_t block_id);

/*
 * A retired arena whose blocks are all free: is it provably ours alone (write lease on rw_fd), so that it may go? Destroys it and
 * returns true if so, or if leases are off (then it is simply unmapped and closed). No books lock needed for the
 * lease (it is taken inside for the account, so it must not be held), but the caller is the service thread and the arena is off all lists.
 */
bool seai_arena_try_destroy(struct seai_arena *arena);

/* Unmaps and closes an arena whatever others do with it. Takes the books lock itself: it must not be held. */
void seai_arena_destroy(struct seai_arena *arena);

/* Punches holes into one shared heap that keeps too much idle. For the service thread, without locks. Returns whether there was one: call again. */
bool seai_session_punch_next(struct sea_session *session);

/* Makes a heap's only arena of a file, which is taken. Books lock held. Errors of seai_arena_new(), but -EAGAIN is -ENOMEM. */
int seai_heap_adopt(struct sea_heap *heap, int *fd, uint64_t n_bytes, enum seai_arena_kind kind,
                    struct seai_arena **ret_arena);

/* All arenas of a heap are freed at once (session close, sea_heap_free); blocks still held by others stay readable to them. */
void seai_heap_destroy(struct sea_heap *heap);

#endif
