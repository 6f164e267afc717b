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

#define SEAI_HEAP_NAME_N_BYTES 64u

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
	uint32_t segment_id;
	bool of_options; /* made by sea_shm_options_get_heap(), which finds it again */
	char name[SEAI_HEAP_NAME_N_BYTES];

	uint64_t n_bytes_backed;  /* taken from the kernel, retired arenas included */
	uint64_t n_bytes_retired; /* of these, in retired arenas: they will come back */
	uint64_t n_bytes_used;
	uint64_t n_bytes_peak;
	uint64_t n_blocks_used;
	uint64_t n_waits;  /* counted by who waits */
	uint32_t n_direct; /* so many runs more are not kept on a list when they are released */
	bool flushed;      /* nothing was released since the free lists were last emptied */
	bool is_freed;     /* by its user: it goes with its last arena */
	bool wants_punch;  /* more lies idle than should: the service thread is to punch holes */
	uint32_t n_busy;   /* so many work on it without the lock: its struct stays */
	bool no_collapse;  /* the kernel refused to collapse */

	int given_fd;              /* a file that is its only arena's payload; -1: it makes its own */
	bool is_file;              /* that is a user's file, which has no seals */
	bool is_read_only;         /* and that nobody may write */
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
	const struct sea_session *session = heap->session;
	uint64_t room = heap->quota > heap->n_bytes_backed ? heap->quota - heap->n_bytes_backed : 0;

	if (session->quota && (session->n_bytes_reserved < session->n_bytes_backed ||
	                       session->n_bytes_reserved - session->n_bytes_backed < room))
		room = session->n_bytes_reserved < session->n_bytes_backed
		               ? 0
		               : session->n_bytes_reserved - session->n_bytes_backed;
	return room;
}

/* Before n_bytes of new memory are looked for: where there is a session quota, tries to have so much of it reserved. */
static inline void seai_heap_want(struct sea_heap *heap, uint64_t n_bytes)
{
	struct sea_session *session = heap->session;

	if (session->quota && session->n_bytes_backed + n_bytes > session->n_bytes_reserved &&
	    heap->n_bytes_backed + n_bytes <= heap->quota)
		session->hooks->reserve(session, session->n_bytes_backed + n_bytes);
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

/*
 * Gives up to n_bytes of free memory of a shared heap back to the kernel, by holes in its files. Returns how much. The books lock
 * must not be held. 0 in a sealed heap: there the kernel refuses.
 */
uint64_t seai_heap_punch(struct sea_heap *heap, uint64_t n_bytes);

/* After memory was taken from the kernel: asks the service thread to punch when a shared heap keeps too much idle. */
void seai_heap_look_at_idle(struct sea_heap *heap);

/* The largest block that could be had now without waiting for others, in bytes. */
uint64_t seai_heap_largest_free(const struct sea_heap *heap);

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
	bool large; /* gets an arena of its own, if there is room for one */
	bool apart; /* must leave nothing behind but an arena of its own, if that is possible: see seai_heap_is_apart() */
	bool busy_only; /* not in wholly free arenas: they are to be given up for it */
};

/* Finds where to put a run, and makes room for it. Nothing is taken yet. 0; -EAGAIN; -E2BIG; errors of seai_arena_new(). */
int seai_heap_place(struct sea_heap *heap, const struct seai_wish *wish, struct seai_place *ret_place);

/* Part of the quota from which on a block is set apart in a crowded heap, and what that is at least, in units of backing. */
#define SEAI_HEAP_APART_SHARE 512u
#define SEAI_HEAP_APART_LEAST_UNITS 8u

/* Well over half of a sealed heap is in use: from here on its holes decide what fits, and arenas are given up in one piece only. */
static inline bool seai_heap_is_crowded(const struct sea_heap *heap)
{
	return heap->protection == SEA_PROTECTION_SEALED && heap->n_bytes_used > heap->quota / 16 * 9;
}

/* Whether a block of that size gets an arena of its own now. What it leaves behind is then whole: it can be given up. */
static inline bool seai_heap_is_apart(const struct sea_heap *heap, uint64_t n_bytes)
{
	return n_bytes >= heap->quota / SEAI_HEAP_APART_SHARE &&
	       n_bytes >= SEAI_HEAP_APART_LEAST_UNITS * heap->unit_n_bytes && seai_heap_is_crowded(heap);
}

/* To whole units of backing. */
static inline uint64_t seai_heap_round_up(const struct sea_heap *heap, uint64_t n_bytes)
{
	return (n_bytes + heap->unit_n_bytes - 1) / heap->unit_n_bytes * heap->unit_n_bytes;
}

#endif
