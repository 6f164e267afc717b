/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a heap consists of, for the files that implement it (heap*.c, arena*.c). All
 * members are guarded by the session's books lock; those up to n_bytes_max do not change.
 */
#ifndef SEALANE_MEMORY_HEAP_STATE_H
#define SEALANE_MEMORY_HEAP_STATE_H

#include "memory/heap.h"
#include "memory/session.h"
#include "memory/size-class.h"

struct sea_heap {
	struct sea_session *session;
	uint32_t id; /* never used again within the session */
	uint64_t quota;
	uint64_t arena_n_bytes; /* for blocks, in an ordinary arena; its head comes on top */
	uint64_t unit_n_bytes;  /* memory is backed in multiples of this: a chunk, or a huge page */
	uint64_t head_n_bytes;  /* least that an arena's head takes */
	uint64_t n_bytes_max;   /* largest allocation that the quota can ever give */
	enum sea_pages pages;
	enum sea_protection protection;
	uint32_t flags;
	uint32_t numa_node;

	uint64_t n_bytes_backed;  /* taken from the kernel, retired arenas included */
	uint64_t n_bytes_retired; /* of these, in retired arenas: they will come back */
	uint64_t n_bytes_used;
	uint64_t n_bytes_peak;
	uint64_t n_blocks_used;
	uint64_t n_waits;  /* counted by who waits */
	uint32_t n_direct; /* so many runs more are not kept on a list when they are released */
	bool flushed;      /* nothing was released since the free lists were last emptied */
	bool is_freed;     /* by its user: it goes with its last arena */
	bool no_collapse;  /* the kernel refused to collapse */

	struct sea_region *region; /* whose memory it is; NULL: an ordinary heap */
	struct seai_arena *arenas; /* oldest first */
	struct seai_arena *arenas_last;
	uint32_t n_arenas; /* retired ones excluded */
	uint32_t n_arenas_retired;
	struct sea_heap *next; /* in the session's list */

	struct seai_heap_class {
		struct seai_block *free; /* last in first out, by block->next */
		uint64_t n_bytes;        /* size of a block */
	} classes[SEAI_CLASS_N];
};

static inline uint64_t seai_heap_room(const struct sea_heap *heap)
{
	return heap->quota > heap->n_bytes_backed ? heap->quota - heap->n_bytes_backed : 0;
}

/* A block is handed out: no holds but one of this process. */
static inline void seai_block_begin(struct sea_heap *heap, struct seai_block *block, uint64_t capacity)
{
	block->flags = SEAI_BLOCK_USED;
	block->n_own = 1;
	block->n_holds = 0;
	block->arena->n_blocks_used++;
	heap->n_blocks_used++;
	heap->n_bytes_used += capacity;
	if (heap->n_bytes_used > heap->n_bytes_peak)
		heap->n_bytes_peak = heap->n_bytes_used;
}

/* Changes the account of backed bytes of a heap and an arena. */
void seai_heap_account(struct sea_heap *heap, struct seai_arena *arena, int64_t n_bytes);

/* Returns a free run, or a wholly free slab's block, that is on no list, to its arena. */
void seai_block_drop(struct seai_block *block);

/* Returns wholly free slabs and all free runs to their arenas, where they join their free neighbours. */
void seai_heap_flush(struct sea_heap *heap);

/*
 * After a flush: gives up wholly free arenas, but keep, until n_bytes more may be backed; those that no other process ever
 * saw at once, others by retiring them; none if that would not be enough. 0 when there is room now, else -EAGAIN.
 */
int seai_heap_make_room(struct sea_heap *heap, uint64_t n_bytes, const struct seai_arena *keep);

/* Where a run could be. */
struct seai_place {
	struct seai_arena *arena;
	uint64_t first;
	uint64_t n_unbacked; /* of the chunks that are needed now */
};

/* A run that is looked for. */
struct seai_wish {
	uint32_t n_blocks; /* ids that it takes */
	uint64_t n_chunks;
	uint64_t n_now; /* chunks from its start that must be possible to back within the quota */
	uint64_t alignment;
	bool slab;
	bool large;     /* gets an arena of its own, if there is room for one */
	bool busy_only; /* not in wholly free arenas: they are to be given up for it */
};

/* Finds where to put a run, and makes room for it. Nothing is taken yet. 0; -EAGAIN; -E2BIG; errors of seai_arena_new(). */
int seai_heap_place(struct sea_heap *heap, const struct seai_wish *wish, struct seai_place *ret_place);

/* To whole units of backing. */
static inline uint64_t seai_heap_round_up(const struct sea_heap *heap, uint64_t n_bytes)
{
	return (n_bytes + heap->unit_n_bytes - 1) / heap->unit_n_bytes * heap->unit_n_bytes;
}

#endif
