/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An arena of this process: one memfd, mapped here read-write for its whole life,
 * sealed against everyone else before its descriptor leaves arena-file.c.
 *
 * That is the one place that another operating system would have to replace.
 * Functions that change arena state want the session's books lock, unless they say otherwise.
 */
#ifndef SEALANE_MEMORY_ARENA_H
#define SEALANE_MEMORY_ARENA_H

#include <stdbool.h>
#include <stdint.h>

#include <sealane/heap.h>

#include "memory/block.h"
#include "memory/layout.h"

struct sea_heap;
struct sea_session;

struct seai_arena {
	struct sea_heap *heap; /* NULL after its heap was freed */
	struct sea_session *session;
	struct seai_arena *next;      /* in the session's list of retired arenas */
	struct seai_arena *heap_next; /* in the heap's list of all its arenas, oldest first, retired ones included */
	struct seai_arena *heap_previous;
	struct seai_arena_head *head;  /* the mapping, aligned to 2 MiB */
	_Atomic uint64_t *generations; /* in the mapping */
	struct seai_block *blocks;     /* private, one per block id, zero pages until used */
	uint64_t n_bytes;
	uint64_t data_offset;
	uint32_t id;
	uint32_t n_blocks; /* ids given out so far: 0 .. n_blocks-1 are valid */
	uint32_t n_blocks_max;
	uint32_t n_blocks_used; /* blocks that somebody holds */
	int ro_fd;              /* what is passed to holders: O_RDONLY where /proc allows the re-open */
	int rw_fd; /* an O_RDWR re-open for leases, or the memfd itself; of the payload, if that is a file of its own */
	int payload_fd;             /* a shared arena's: O_RDWR, passed to holders besides ro_fd; else -1 */
	bool dedicated;             /* one large block of its own */
	bool immutable;             /* one immutable frame */
	bool is_given;              /* its payload is a file that it did not make, and that others may have after it */
	bool is_read_only;          /* its payload is a file that was opened for reading alone */
	bool is_odd;                /* immutable, retired, or a region's: what is released in it goes no ordinary way */
	bool shared;                /* holders map the payload for writing: a file of its own, see layout.h */
	uint32_t told_state;        /* enum seai_told_state; the wire's, books lock */
	bool is_region;             /* of a region, also when that was closed and the arena is about to go */
	char region_name[32];       /* what subscribers are told of it */
	uint64_t region_user_flags; /* the same */
	bool retired;               /* no new blocks; waiting until the last reader is gone */
	bool announced;             /* its descriptor was passed to another process at least once */
	/* the rest is private to arena*.c, chunks.c, heap*.c */
	struct seai_block *free_ids; /* ids that have no memory now, by block->next */
	uint32_t n_free_ids;
	bool hugetlb;
	bool listed;   /* in the session's table */
	bool leasable; /* rw_fd is an open of its own, so that a lease on it means something */
	bool frozen;   /* immutable, and not writable here any more either */
	bool queued;   /* on the session's list of retired arenas, or taken off it by the service thread */
	bool wants_collapse;
	uint32_t n_busy;       /* so many work on its pages without the lock: do not destroy */
	uint64_t n_bytes_head; /* backed from the start of the arena: head and generations */
	uint64_t n_chunks_free;
	uint16_t *slab_n_free;    /* per chunk, all 0 outside of seai_heap_flush(); NULL in an arena without slabs */
	uint64_t *unit_collapsed; /* bitmap of 2 MiB units, books lock as all else */
	uint64_t n_chunks;        /* in the whole arena, head included */
	uint64_t *chunk_used;     /* bitmap */
	uint64_t *chunk_backed;   /* bitmap */
	uint64_t n_backed_bytes;
	uint64_t n_retire_tries;
};

enum seai_arena_kind {
	SEAI_ARENA_ORDINARY,  /* slabs and runs */
	SEAI_ARENA_DEDICATED, /* made for one large block; runs only */
	SEAI_ARENA_ONE_FRAME, /* immutable: exactly one block */
	SEAI_ARENA_REGION,    /* of a region: the user places the blocks */
};

/*
 * Makes an arena of a heap with that many bytes for blocks (a multiple of the chunk size, and of 2 MiB in hugetlb heaps),
 * sealed, in the heap's list and the session's table.
 * 0; -EAGAIN no room in the quota for its head; -ENOTSUP no such seals or pages; -ENOMEM; -EMFILE; -ENFILE; -EPERM.
 */
int seai_arena_new(struct seai_arena **ret_arena, struct sea_heap *heap, uint64_t n_data_bytes,
                   enum seai_arena_kind kind);

/*
 * Makes sure that n_ids block ids can be taken. 0; -EAGAIN quota; -ENOMEM; -ENOSPC the arena has no more ids.
 */
int seai_arena_prepare_ids(struct seai_arena *arena, uint32_t n_ids);

/* Takes an id that was prepared for. */
struct seai_block *seai_arena_take_id(struct seai_arena *arena);
void seai_arena_give_id(struct seai_arena *arena, struct seai_block *block);

/* Backs a range of the arena, which must not cross data_offset. 0; -ENOMEM. No lock needed. */
int seai_arena_populate(struct seai_arena *arena, uint64_t offset, uint64_t n_bytes);

/* What is passed to holders: one descriptor or two, borrowed. Returns how many. */
unsigned seai_arena_get_fds(const struct seai_arena *arena, int fds[2]);

/* Maps an arena's pages as the heap's options say; before the data is touched. No lock needed. 0; -ENOMEM; -EPERM; -ENOTSUP. */
int seai_pages_apply(const struct sea_heap *heap, void *address, uint64_t n_bytes);

/* Whether this machine has the pages and the node that a heap asks for: 0; -ENOTSUP. */
int seai_pages_check(enum sea_pages pages, uint32_t flags, uint32_t numa_node);

/* Backs chunks of an arena, as far as it gets. Returns how many from the first on. No lock needed: the caller alone uses them. */
uint64_t seai_pages_populate(struct seai_arena *arena, uint64_t first, uint64_t n_chunks);

/*
 * Collapses to huge pages what is wholly backed in one arena that wants it. For the service thread, without locks.
 * Returns whether there was such an arena: call again.
 */
bool seai_session_collapse_next(struct sea_session *session);

/* Bytes that are mapped by huge pages within some address ranges [from, to), from /proc/self/smaps. No lock needed. */
struct seai_range {
	uint64_t from;
	uint64_t to;
};
uint64_t seai_pages_count_huge(const struct seai_range *ranges, size_t n_ranges);

/*
 * No new blocks in this arena; when nobody holds anything in it any more, it goes to the session's list of retired
 * arenas and the service thread is poked. Its free blocks leave the heap's lists.
 */
void seai_arena_retire(struct seai_arena *arena);

/* Takes an arena off the session's table and the heap's list and account; then fini() frees it, without a lock. */
void seai_arena_detach(struct seai_arena *arena);
void seai_arena_fini(struct seai_arena *arena);

#endif
